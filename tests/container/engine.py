"""Podman with a store of its own, the base image that Debian's mirror gives, and what is built on it.

The base and the store lie in LETTERCHUTE_CONTAINERS (/var/tmp/letterchute-containers) and are used again; the image is built
anew by each run, from layers that are still right. What this kernel needs: runc, cgroupfs, equal limits."""

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time

from harness import ROOT, equal, require, wait_for

FOLDER = os.environ.get("LETTERCHUTE_CONTAINERS", "/var/tmp/letterchute-containers")
BASE = os.path.join(FOLDER, "base.tar")
BASE_NAME = "docker.io/library/debian:bookworm-slim"
IMAGE = "localhost/letterchute:latest"

STORAGE = """[storage]
driver = "overlay"
graphroot = "{0}/graph"
runroot = "{0}/run"
"""

CONTAINERS = """[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""

LOCK = threading.RLock()
ENVIRONMENT = {**os.environ, "CONTAINERS_STORAGE_CONF": f"{FOLDER}/storage.conf",
               "CONTAINERS_CONF": f"{FOLDER}/containers.conf", "TMPDIR": f"{FOLDER}/tmp", "BUILDAH_FORMAT": "docker",
               "DOCKER_HOST": f"unix://{FOLDER}/podman.sock", "DOCKER_BUILDKIT": "0"}
NOISE = re.compile(r"^time=\"\S+\" level=error msg=\"(unable to get systemd connection|Removing timer).*\n", re.M)


class Output(str):
    """What a program wrote, and how it ended."""

    code = 0


def call(*command, check=True, timeout=600, environment=None, folder=None, stdin=None):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, cwd=folder,
                          env={**ENVIRONMENT, **(environment or {})}, input=stdin)
    text = Output(NOISE.sub("", done.stdout.decode(errors="replace")))
    text.code = done.returncode
    require(not check or done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{text}")
    return text


def podman(*arguments, **more):
    return call("podman", *arguments, **more)


def write(name, text):
    with open(os.path.join(FOLDER, name), "w") as out:
        out.write(text)


DONE = {}


def once(name, function):
    """For all tests: the first that needs it waits for it, the others get what it gave."""
    with LOCK:
        if name not in DONE:
            DONE[name] = function()
        return DONE[name]


def make_store():
    os.makedirs(f"{FOLDER}/tmp", exist_ok=True)
    write("storage.conf", STORAGE.format(FOLDER))
    write("containers.conf", CONTAINERS)
    if podman("image", "exists", BASE_NAME, check=False).code == 0:
        return
    if not os.path.exists(BASE):
        options = ["--aptopt=Acquire::Languages \"none\"", "--aptopt=Acquire::GzipIndexes \"true\"",
                   "--aptopt=Dir::Cache::pkgcache \"\"", "--aptopt=Dir::Cache::srcpkgcache \"\"",
                   "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/info/*",
                   "--dpkgopt=path-exclude=/usr/share/locale/*", "--dpkgopt=path-exclude=/usr/share/doc/*",
                   "--dpkgopt=path-include=/usr/share/doc/*/copyright", "--dpkgopt=force-unsafe-io"]
        call("mmdebstrap", "--variant=minbase", *options, "bookworm", f"{BASE}.part.tar")
        os.rename(f"{BASE}.part.tar", BASE)
    podman("import", "-q", "-c", "CMD [\"bash\"]", BASE, BASE_NAME)


def store():
    once("store", make_store)


def build(tag, *arguments, tool="podman"):
    store()
    network = ["--network", "host"]
    return call(tool, "build", *network, "-t", tag, *arguments, folder=ROOT)


def make_image():
    build("letterchute", "-f", "contrib/docker/Dockerfile", ".")
    # what Docker's clients mean by this name may be there from an earlier run
    podman("tag", IMAGE, "docker.io/library/letterchute:latest")


def image():
    """The image, built from this tree."""
    once("image", make_image)
    return IMAGE


def make_plain_image():
    image()
    place = os.path.join(FOLDER, "plain")
    os.makedirs(place, exist_ok=True)
    with open(os.path.join(place, "Dockerfile"), "w") as out:
        out.write(f"FROM {IMAGE}\n")
    build("letterchute-plain", "--format", "oci", place)
    podman("tag", "localhost/letterchute-plain", "docker.io/library/letterchute-plain:latest")
    return "letterchute-plain"


def plain_image():
    """The same in Podman's own format, which has no room for a health check."""
    return once("plain", make_plain_image)


def clone(place):
    """A clean clone of what is committed."""
    folder = os.path.join(place.folder, "clone")
    call("git", "clone", "-q", "--no-hardlinks", ROOT, folder)
    return folder


def start_service():
    store()
    service = subprocess.Popen(["podman", "system", "service", "--time=0", ENVIRONMENT["DOCKER_HOST"]],
                               env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    import atexit
    atexit.register(end, service)
    wait_for(lambda: call("docker", "version", check=False).code == 0, 20, "podman's socket does not answer")
    return service


def service():
    """Podman's socket, for programs that think it is Docker's."""
    return once("service", start_service)


def end(process):
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
        process.wait(10)


# --- a container -------------------------------------------------------------------------------------------------------

# Podman would lay something over /tmp and /run that can be written to, as Docker does not
SAFE = ["--read-only", "--read-only-tmpfs=false", "--cap-drop", "all", "--security-opt", "no-new-privileges"]
FIVE = ["--cap-add", "CHOWN,FOWNER,DAC_OVERRIDE,SETUID,SETGID"]


class Container:
    """The gateway in a container, with its folders on the host: `share` and `state`; None: no such volume."""

    number = 0

    def __init__(self, place, *options, share="share", state="state", user="1000:1000", environment=None, safe=True,
                 command=("run",), name="gw", of=None):
        self.image = of or image()
        with LOCK:
            Container.number += 1
            self.name = f"lct-{os.getpid()}-{Container.number}-{name}"
        self.place, self.command = place, list(command)
        self.options = ["-p", "127.0.0.1::2525", *(SAFE if safe else []), *options]
        if user:
            self.options += ["--user", user]
        for folder, at in ((share, "/share"), (state, "/state")):
            if folder:
                self.mount(folder, at)
        for key, value in (environment or {}).items():
            self.options += ["-e", f"{key}={value}"]
        place.later(self.remove)

    def mount(self, name, at):
        """A folder of the host, given to 1000:1000; a name with a : has its options behind it."""
        name, _, options = name.partition(":")
        path = os.path.join(self.place.folder, name)
        os.makedirs(path, exist_ok=True)
        os.chown(path, 1000, 1000)
        self.options += ["-v", f"{path}:{at}" + (f":{options}" if options else "")]

    def start(self, ready=True):
        podman("run", "-d", "--name", self.name, *self.options, self.image, *self.command)
        if ready:
            self.wait_ready()
        return self

    def wait_ready(self):
        wait_for(self.is_ready, 20, lambda: f"it is not ready:\n{self.log()}")

    def is_ready(self):
        require(self.state() == "running", lambda: f"it ended:\n{self.log()}")
        return "ready source=" in self.log().split("\ncontainer started\n")[-1]

    def state(self):
        return podman("inspect", "-f", "{{.State.Status}}", self.name).strip()

    def exit_code(self):
        return int(podman("inspect", "-f", "{{.State.ExitCode}}", self.name))

    def pid(self):
        return int(podman("inspect", "-f", "{{.State.Pid}}", self.name))

    def log(self):
        return podman("logs", self.name)

    @property
    def port(self):
        return int(podman("port", self.name, "2525/tcp").split(":")[-1])

    def exec(self, *arguments, check=True, options=()):
        return podman("exec", *options, self.name, "letterchute", *arguments, check=check)

    def findings(self):
        return [json.loads(line) for line in self.exec("check", "--json", check=False).splitlines() if line[:1] == "{"]

    def shares(self):
        lines = self.exec("status", "--json", check=False).splitlines()
        return [one for one in (json.loads(line) for line in lines if line[:1] == "{") if "share" in one]

    def stop(self):
        """Seconds that it took."""
        started = time.monotonic()
        podman("stop", "-t", "40", self.name)
        return time.monotonic() - started

    def kill(self):
        podman("kill", "-s", "KILL", self.name)
        wait_for(lambda: self.state() == "exited", 10, "it did not die")

    def again(self, ready=True):
        count = self.log().count("ready source=")
        podman("start", self.name)
        if ready:
            wait_for(lambda: self.log().count("ready source=") > count, 20, lambda: f"it is not ready:\n{self.log()}")

    def remove(self):
        podman("rm", "-f", "-t", "0", "-v", self.name, check=False)


class Health:
    """What the engine finds when it is made to look; of itself it looks by timers of systemd, which is not here."""

    def __init__(self, name):
        self.code = podman("healthcheck", "run", name, check=False).code
        (found,) = json.loads(podman("inspect", name))
        state = found["State"].get("Health") or found["State"].get("Healthcheck") or {}
        config = found["Config"].get("Healthcheck") or {}
        self.status, self.said = state.get("Status"), (state.get("Log") or [{}])[-1].get("Output", "")
        self.every = [config.get(key) for key in ("Interval", "Timeout", "StartPeriod", "Retries")]

    def __repr__(self):
        return f"{self.status} ({self.code}): {self.said}"


def is_healthy(name):
    return Health(name).status == "healthy"


def statuses(pid):
    """/proc/PID/status of every process in the container whose first one this is, as dicts."""
    found = []
    namespace = os.readlink(f"/proc/{pid}/ns/pid")
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{entry}/ns/pid") == namespace:
                with open(f"/proc/{entry}/status") as text:
                    found.append(dict(line.rstrip("\n").split(":\t", 1) for line in text if ":\t" in line))
    return found


def is_bare(status, uid, gid):
    """Nobody's but the user's, and no right of root in any set that could be used."""
    sets = [int(status[name], 16) for name in ("CapPrm", "CapEff", "CapAmb", "CapInh")]
    return (status["Uid"].split() == [str(uid)] * 4 and status["Gid"].split() == [str(gid)] * 4 and not any(sets) and
            status["NoNewPrivs"] == "1")
