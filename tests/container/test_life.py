"""A container's life: started, killed, stopped, two at once; who its processes are, and what holds them."""

import base64
import json
import os
import re
import subprocess
import threading
import time

from compose import free_port
from engine import FIVE, Container, call, image, is_bare, podman, service, statuses
from harness import ROOT, Device, equal, part, mail, pdf, require, rows, scan, send, wait_for

PLAIN = {"FREE_FLOOR": "0", "NAME": "{name}"}


def stored(place):
    return place.files(os.path.join(place.folder, "share"))


@rows([("user", "1000:1000", []), ("somebody", "4711:815", []), ("root", None, FIVE)])
def test_nobody_is_root(place, user, options):
    os.chmod(place.share, 0o777)
    os.chmod(place.make("st"), 0o777)
    gateway = Container(place, *options, "-v", f"{place.folder}/share:/share", "-v", f"{place.folder}/st:/state", share=None,
                        state=None, user=user, environment={**PLAIN, "PUID": "4711", "PGID": "815"}).start()
    require(send(gateway.port, scan()).startswith("250"), gateway.log())
    uid, gid = (user or "4711:815").split(":")
    found = statuses(gateway.pid())
    require(len(found) > 8, found)
    bare = [status for status in found if is_bare(status, uid, gid)]
    held = [status for status in found if status not in bare]
    if user:
        equal(held, [])
    # root's few rights are left to who opens secrets, and to who writes on the share
    for status in held:
        equal(status["Uid"].split(), [uid] * 4, status)
        equal(int(status["CapPrm"], 16), 0b1011, status)  # CHOWN, DAC_OVERRIDE, FOWNER
        require(status["Name"] in ("letterchute", "letterchute-cou", "letterchute-kee"), status)
    with open(f"/proc/{gateway.pid()}/mounts") as mounts:
        root = next(line.split()[3] for line in mounts if line.split()[1] == "/")
    require("ro" in root.split(","), root)
    require("no effect" in gateway.log() if user == "1000:1000" else "no effect" not in gateway.log(), gateway.log())


def test_killed(place):
    """kill -9 of the whole container, over and over, beneath devices that send: what was answered is there, once."""
    gateway = Container(place, environment=PLAIN).start()
    port, sent, answered, ending = gateway.port, {}, [], threading.Event()

    def deliver(message):
        """While there is no container nobody says so: a connection hangs."""
        try:
            device = Device(port, timeout=1)
            reply = device.deliver(message)
            device.quit()
            return reply.startswith("250")
        except (OSError, EOFError, ValueError):
            time.sleep(0.05)
            return False

    def work(number):
        count = 0
        while not ending.is_set():
            name = f"d{number}-{count}.pdf"
            sent[name] = pdf(20000, name)
            message = mail(part(sent[name], name))
            while not ending.is_set():
                if deliver(message):
                    answered.append(name)
                    break
            count += 1

    devices = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for one in devices:
        one.start()
    for _ in range(5):
        time.sleep(0.7)
        gateway.kill()
        gateway.again()
    time.sleep(1)
    ending.set()
    for one in devices:
        one.join()
    gateway.stop()
    equal(gateway.exit_code(), 0)
    files = stored(place)
    require(len(answered) > 20, answered)
    equal([name for name in answered if files.get(name) != sent[name]], [])
    equal([name for name, content in files.items() if content != sent.get(name)], [])


def test_two_at_once(place):
    """Both are PID 1, on one state and one share, and are killed and restarted in one moment."""
    both = [Container(place, environment=PLAIN, name=name).start() for name in ("one", "two")]
    count = 0
    for _ in range(4):
        jobs = []
        for gateway in both:
            for _ in range(4):
                content, count = pdf(3000, count), count + 1
                message = mail(part(content, f"n{count}.pdf"))
                jobs.append(threading.Thread(target=lambda g=gateway, m=message: require(
                    send(g.port, m).startswith("250"), g.log())))
        for job in jobs:
            job.start()
        for job in jobs:
            job.join()
        killing = [threading.Thread(target=lambda g=gateway: (g.kill(), g.again())) for gateway in both]
        for one in killing:
            one.start()
        for one in killing:
            one.join()
    equal(sorted(stored(place)), sorted(f"n{number + 1}.pdf" for number in range(count)))
    for gateway in both:
        gateway.stop()
        equal(gateway.exit_code(), 0)


def test_limits_are_wide_enough(place):
    """Those of the compose files, with the longest mail that is taken and many devices beside it."""
    gateway = Container(place, "--memory", "512m", "--pids-limit", "256", environment=PLAIN).start()
    idle = []
    for _ in range(18):  # so many from one address, and one more
        idle.append(Device(gateway.port))
    content = pdf(49 << 20)
    require(send(gateway.port, mail(part(content, "big.pdf"))).startswith("250"), gateway.log())
    equal(stored(place)["big.pdf"], content)
    for device in idle:
        device.close()


@rows([("SIGTERM", "TERM"), ("SIGINT", "INT")])
def test_ends(place, signal):
    """By `stop`, or by Ctrl-C, at once, though a device is there."""
    gateway = Container(place, "--stop-signal", signal, environment=PLAIN).start()
    device = Device(gateway.port)
    device.say("EHLO device")
    took = gateway.stop()
    equal(gateway.exit_code(), 0)
    require(took < 5, f"{took} s")
    require("processes did not end in time" not in gateway.log(), gateway.log())


def test_no_zombies(place):
    """The first process of a container buries everybody's children."""
    gateway = Container(place, environment=PLAIN).start()
    for _ in range(5):
        require(send(gateway.port, scan()).startswith("250"))
        send(gateway.port, mail(part(b"MZ" + bytes(100), "x.exe")))
    for pid in couriers(gateway):
        os.kill(pid, 9)  # their extractors become ours
    wait_for(lambda: len(couriers(gateway)) >= 4, 10)
    require(send(gateway.port, scan()).startswith("250"))
    wait_for(lambda: not [s for s in statuses(gateway.pid()) if s["State"].startswith("Z")], 5, "there are zombies")


def couriers(gateway):
    return [int(status["Pid"]) for status in statuses(gateway.pid()) if status["Name"].startswith("letterchute-cou")]


def test_reload(place):
    config = place.make("conf")
    path = os.path.join(config, "gateway.conf")

    def write(types):
        with open(path, "w") as out:
            out.write("[gateway]\nstate = /state\n[smtp lan]\nlisten = 0.0.0.0:2525\npeers = private\n"
                      f"[share]\npath = /share\nfree_floor = 0\n[route r]\ntypes = {types}\n")

    write("png")
    gateway = Container(place, "-v", f"{config}:/config:ro", environment={"TYPES": "pdf", "TZ": "Europe/Berlin"}).start()
    require("TYPES: no effect, since the files in /config are the configuration" in gateway.log(), gateway.log())
    require(send(gateway.port, scan()).startswith("550"))
    write("pdf")
    podman("kill", "-s", "HUP", gateway.name)
    wait_for(lambda: "the new configuration holds" in gateway.log(), 10, gateway.log)
    require(send(gateway.port, scan()).startswith("250"))
    (name,) = stored(place)
    found = os.stat(os.path.join(place.folder, "share", name))
    equal(found.st_mode & 0o7777, 0o640, "the file decides of the mode")


def guide_runs():
    """The guide's `docker run` commands, one of each way to say whose the files are."""
    with open(os.path.join(ROOT, "contrib/docker/README.md")) as text:
        return re.findall(r"^    (docker run -d --name letterchute (?:.*\\\n)+.*)$", text.read(), re.M)


@rows([("as a user", 0, (1000, 1000, 0o644)), ("as root that becomes one", 1, (1000, 100, 0o664))])
def test_guide_is_right(place, number, wanted):
    """Its commands as they stand there, but for names and numbers that others may have here."""
    service()
    image()
    share, name, port = place.make("given"), f"lct-{os.getpid()}-guide-{number}", free_port()
    if number == 0:
        os.chown(share, 1000, 1000)
    command = guide_runs()[number].replace("\\\n", " ")
    for before, after in (("--name letterchute", f"--name {name}"), ("2525:2525", f"127.0.0.1:{port}:2525"),
                          ("/srv/scans:", f"{share}:"), ("letterchute:/state", f"{name}:/state")):
        require(before in command, command)
        command = command.replace(before, after)
    place.later(call, "docker", "volume", "rm", name)
    place.later(call, "docker", "rm", "-f", name)
    call(*command.split())
    wait_for(lambda: "ready source=" in podman("logs", name), 20, lambda: podman("logs", name))
    wait_for(lambda: answers(port), 20, lambda: podman("logs", name))
    (stored_name,) = place.files(share)
    found = os.stat(os.path.join(share, stored_name))
    equal((found.st_uid, found.st_gid, found.st_mode & 0o7777), wanted)
    call("docker", "stop", name)
    equal(podman("inspect", "-f", "{{.State.ExitCode}}", name).strip(), "0", podman("logs", name))


def guide_block(first):
    """Of the guide: the lines of the block that begins so."""
    with open(os.path.join(ROOT, "contrib/docker/README.md")) as text:
        return re.search(rf"^    {re.escape(first)}\n(?:    .*\n|\n(?=    ))*", text.read(), re.M).group().replace("\n    ", "\n")[4:]


def test_guide_over_http(place):
    """Its section and its two commands, as they stand there, but for the port."""
    config, port = place.make("conf"), free_port()
    place.file("conf/gateway.conf", "[gateway]\nstate = /state\n[smtp lan]\nlisten = 0.0.0.0:2525\npeers = private\n"
               "[share]\npath = /share\nfree_floor = 0\n[route r]\n" + guide_block("[http]"))
    place.file("conf/http_token", "0123456789abcdef\n")
    gateway = Container(place, "-v", f"{config}:/config:ro", "-p", f"127.0.0.1:{port}:8025").start()
    health, metrics = guide_block("curl http://127.0.0.1:8025/healthz").replace("8025", str(port)).splitlines()
    require(send(gateway.port, scan()).startswith("250"), gateway.log())
    equal(json.loads(call("sh", "-c", health.replace("curl", "curl -s"), folder=config)), {"status": "ok"})
    require("letterchute_messages_total" in call("sh", "-c", metrics.replace("curl", "curl -s"), folder=config), gateway.log())
    require("not read" not in gateway.log(), gateway.log())


def answers(port):
    try:
        return send(port, scan()).startswith("250")
    except OSError:
        return False


def test_verbs_are_somebody_too(place):
    """Who comes in as root, as the engine lets him, leaves nothing of root's behind."""
    gateway = Container(place, *FIVE, user=None, environment={**PLAIN, "PUID": "1234", "PGID": "100"}).start()
    require("FAIL" not in gateway.exec("check"))
    require("up" in gateway.exec("status"))
    podman("exec", "-i", gateway.name, "letterchute", "drop", stdin=scan())
    wait_for(lambda: stored(place), 5)
    whose = {os.stat(os.path.join(at, name)).st_uid for root in ("state", "share")
             for at, folders, names in os.walk(os.path.join(place.folder, root)) for name in folders + names}
    equal(whose, {1234})


def test_state_changes_hands(place):
    """With another PUID the state is given to him, and what was delivered is known."""
    gateway = Container(place, *FIVE, user=None, environment={**PLAIN, "PUID": "1234", "PGID": "100"}, name="before").start()
    require(send(gateway.port, scan()).startswith("250"))
    gateway.stop()
    share = os.path.join(place.folder, "share", ".letterchute")
    for at, folders, names in os.walk(share):
        for name in [".", *folders, *names]:
            os.chown(os.path.join(at, name), 1235, 101)
    # not as Container.mount does, which would give them back
    gateway = Container(place, *FIVE, "-v", f"{place.folder}/share:/share", "-v", f"{place.folder}/state:/state", share=None,
                        state=None, user=None, environment={**PLAIN, "PUID": "1235", "PGID": "101"}, name="after").start()
    require(send(gateway.port, scan()).startswith("250"), gateway.log())
    whose = {(os.stat(os.path.join(at, name)).st_uid, os.stat(os.path.join(at, name)).st_gid)
             for at, folders, names in os.walk(os.path.join(place.folder, "state")) for name in folders + names}
    equal(whose, {(1235, 101)})


def test_root_that_may_not_become_anybody(place):
    gateway = Container(place, user=None, environment=PLAIN).start(ready=False)
    wait_for(lambda: gateway.state() == "exited", 10)
    equal(gateway.exit_code(), 78)
    require("SETUID and SETGID" in gateway.log() and "--user" in gateway.log(), gateway.log())


def test_secret_of_somebody_else(place):
    secret = place.file("secret", "s3cret\n")
    os.chmod(secret, 0o600)
    gateway = Container(place, "-v", f"{secret}:/run/secrets/imap:ro", environment={
        **PLAIN, "IMAP_HOST": "localhost", "IMAP_USER": "x", "IMAP_PASSWORD_FILE": "/run/secrets/imap"}).start(ready=False)
    wait_for(lambda: gateway.state() == "exited", 10)
    equal(gateway.exit_code(), 78)
    require("IMAP_PASSWORD_FILE: /run/secrets/imap belongs to 0:0, mode 0600, one that 1000:1000 can read is expected" in
            gateway.log(), gateway.log())


def profile(place, without):
    """The engine's own list of calls, with some of them gone."""
    with open("/usr/share/containers/seccomp.json") as text:
        rules = json.load(text)
    for rule in rules["syscalls"]:
        if rule["action"] == "SCMP_ACT_ALLOW":
            rule["names"] = [name for name in rule["names"] if name not in without]
    return place.file("seccomp.json", json.dumps(rules))


LANDLOCK = ["landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"]


@rows([("as it is", [], None), ("without Landlock", LANDLOCK, "has no Landlock"),
       ("without openat2", ["openat2", "close_range", "faccessat2"], None)])
def test_sandbox(place, without, words):
    path = profile(place, without)
    gateway = Container(place, "--security-opt", f"seccomp={path}", environment=PLAIN).start()
    require(send(gateway.port, scan()).startswith("250"), gateway.log())
    warned = [line for line in gateway.log().splitlines() if line.startswith("sandbox ")]
    equal(len(warned), 1 if words else 0, warned)
    require(not words or words in warned[0], warned)
    filters = {status["Name"]: status["Seccomp_filters"] for status in statuses(gateway.pid())}
    require(int(filters["letterchute-cou"]) > int(filters["letterchute"]), filters)


def test_health(place):
    """Turns when the share goes away, and back."""
    gateway = Container(place, environment=PLAIN).start()

    def healthy():
        return podman("healthcheck", "run", gateway.name, check=False).code == 0

    wait_for(healthy, 10, gateway.log)
    share = os.path.join(place.folder, "share")
    os.chown(share, 0, 0)
    os.chmod(share, 0o700)
    require(not healthy())
    found = json.loads(podman("inspect", gateway.name))[0]["State"]
    said = (found.get("Health") or found.get("Healthcheck"))["Log"][-1]["Output"]
    require("/share can't be opened: Permission denied (we are user 1000; it belongs to user 0" in said and "PUID" in said, said)
    os.chown(share, 1000, 1000)
    wait_for(healthy, 10)


def test_login(place):
    """SMTP_USER and SMTP_PASSWORD_FILE are a login; its password is nowhere."""
    secret = place.file("secret", 'a "b" \\ ${X}\n')
    os.chmod(secret, 0o444)
    gateway = Container(place, "-v", f"{secret}:/run/secrets/smtp:ro", environment={
        **PLAIN, "SMTP_USER": "cam", "SMTP_PASSWORD_FILE": "/run/secrets/smtp", "SMTP_AUTH": "require",
        "SMTP_PLAINTEXT_AUTH": "yes"}).start()

    def login(password):
        device = Device(gateway.port)
        device.say("EHLO device")
        reply = device.say("AUTH PLAIN " + base64.b64encode(f"\0cam\0{password}".encode()).decode())
        device.close()
        return reply

    require(login('a "b" \\ ${X}').startswith("235"), gateway.log())
    require(login("wrong").startswith("535"))
    equal(subprocess.run(["grep", "-rqaF", "$y$", os.path.join(place.folder, "state")]).returncode, 1, "the hash is kept")
