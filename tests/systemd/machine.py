"""A machine with a real systemd: namespaces, a Debian of its own, what `meson install` puts there. It is up in half a
second, has no network but its loopback, and forgets everything at its end."""

import contextlib
import ctypes
import os
import re
import subprocess
import time

from harness import BUILD, HERE, ROOT, command_line, proc_file, require, wait_for

DEBIAN = os.environ.get("LETTERCHUTE_MACHINE", os.path.join(ROOT, "build", "machine"))
CLONE_NEWNET = 0x40000000
CONFIG = """[smtp lan]
listen = 127.0.0.1:2525
tls = off
[share]
path = {share}
free_floor = 0
name = {{name}}
{more}
[route scans]
types = pdf
{route}
"""


def enter_network(path):
    """For this thread, and what it starts."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(path, "rb") as network:
        require(libc.setns(network.fileno(), CLONE_NEWNET) == 0, f"setns: {os.strerror(ctypes.get_errno())}")


def find_cgroup():
    """The folder of our own group of processes, in the hierarchy that systemd takes for its own."""
    with open("/proc/self/mounts") as mounts:
        points = [line.split()[1] for line in mounts if line.split()[2] == "cgroup2"]
    with open("/proc/self/cgroup") as groups:
        paths = [line.strip()[3:] for line in groups if line.startswith("0::")]
    require(points and paths, "there is no cgroup2 for systemd")
    return points[0] + paths[0].rstrip("/")


class Machine:
    """With `with`: it is up, and the thread is in its network."""

    def __init__(self, place):
        require(os.path.isdir(os.path.join(DEBIAN, "usr")), f"{DEBIAN} is no Debian; tests/run systemd makes one")
        self.layers = os.path.join(place.folder, "layers")
        self.root = os.path.join(place.folder, "machine")
        self.log_path = os.path.join(place.folder, "journal")
        self.cgroup = os.path.join(find_cgroup(), f"letterchute-{time.monotonic_ns()}")
        self.process = None
        # where /tmp is an overlay it can't be a layer of one
        place.mount("mount", "-t", "tmpfs", "-o", "mode=755", "none", self.layers, at=self.layers)
        for name in ("upper", "work"):
            os.mkdir(os.path.join(self.layers, name))
        place.mount("mount", "-t", "overlay", "-o", f"lowerdir={DEBIAN},upperdir={self.layers}/upper,workdir={self.layers}/work",
                    "none", self.root, at=self.root)
        place.gateways.append(self)  # so that its log is shown, and it does not outlive the test
        subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet"], env={**os.environ, "DESTDIR": self.root},
                       check=True, capture_output=True)
        os.chmod(self.root, 0o755)

    def path(self, path):
        return self.root + path

    def file(self, path, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
        with open(self.path(path), "w") as out:
            out.write(text)
        os.chmod(self.path(path), mode)

    def config(self, share="/srv/scans", more="", route="", text=""):
        self.file("/etc/letterchute/letterchute.conf", CONFIG.format(share=share, more=more, route=route) + text)

    def drop_in(self, text, unit="letterchute.service"):
        """What `systemctl edit` writes."""
        self.file(f"/etc/systemd/system/{unit}.d/override.conf", text)
        if self.process:
            self.run("systemctl", "daemon-reload")

    def share(self, path="/srv/scans", owner=0, group=8, mode=0o2770):
        os.makedirs(self.path(path))
        os.chown(self.path(path), owner, group)
        os.chmod(self.path(path), mode)

    def files(self, share="/srv/scans"):
        found = []
        for at, folders, names in os.walk(self.path(share)):
            if ".letterchute" in folders:
                folders.remove(".letterchute")
            found += [os.path.relpath(os.path.join(at, name), self.path(share)) for name in names]
        return sorted(found)

    def start(self):
        os.mkdir(self.cgroup)
        with open(self.log_path + ".boot", "wb") as log:
            self.process = subprocess.Popen([os.path.join(HERE, "systemd", "boot"), self.root, self.cgroup], stdout=log,
                                            stderr=log)
        wait_for(lambda: self.is_up(), 20, lambda: open(self.log_path + ".boot").read() or "it does not boot")
        return self

    def is_up(self):
        require(self.process.poll() is None, lambda: open(self.log_path + ".boot").read())
        return self.inits() and os.path.exists(f"/proc/{self.inits()[0]}/root/run/systemd/private") and \
            self.run("systemctl", "is-system-running", check=False).strip() == "running"

    def inits(self):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as children:
            return children.read().split()

    def run(self, *command, check=True, **more):
        """Runs a command in it; what that says."""
        done = subprocess.run(["nsenter", "-t", self.inits()[0], "--all", "-r", "-w", "env", "-i", "LC_ALL=C.UTF-8",
                               "PATH=/usr/local/bin:/usr/sbin:/usr/bin", *command], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=60, **more)
        text = done.stdout.decode(errors="replace")
        require(not check or done.returncode == 0, lambda: f"{command} ended with {done.returncode}: {text}")
        return text

    def show(self, name, unit="letterchute.service"):
        return self.run("systemctl", "show", "--value", "-p", name, unit).strip()

    def journal(self, *words, unit="letterchute.service"):
        return self.run("journalctl", "--no-pager", "-o", "cat", "-u", unit, *words)

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def pids(self, unit="letterchute.service"):
        """Of the processes of a unit, as we see them: number -> command line."""
        try:
            with open(os.path.join(self.cgroup, "system.slice", unit, "cgroup.procs")) as procs:
                return {int(pid): command_line(int(pid)).strip() for pid in procs.read().split()}
        except FileNotFoundError:
            return {}

    def main(self):
        """The boss. A child of its that has not executed anything yet looks the same, but for its number in there."""
        inside = self.show("MainPID").encode()
        (pid,) = [pid for pid in self.pids() if re.search(rb"^NSpid:.*\t%s$" % inside, proc_file(pid, "status"), re.M)]
        return pid

    def kill(self):
        self.process.kill()
        self.process.wait(20)
        for _ in range(100):
            for at, _, _ in os.walk(self.cgroup, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(at)
            if not os.path.exists(self.cgroup):
                return
            time.sleep(0.05)

    def __enter__(self):
        self.start()
        self.outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        enter_network(f"/proc/{self.inits()[0]}/ns/net")
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            with contextlib.suppress(Exception), open(self.log_path, "w") as out:
                out.write(self.run("journalctl", "--no-pager", "-o", "short-monotonic", check=False))
        enter_network(f"/proc/self/fd/{self.outside}")
        os.close(self.outside)
        self.kill()
