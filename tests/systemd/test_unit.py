"""letterchute.service and its kin under a real systemd, as `meson install` leaves them."""

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request

from harness import PDF, ROOT, Device, equal, needs_root, require, rows, scan, send, status_of, wait_for
from machine import Machine

PORT = 2525
FILES = 1 << 0 | 1 << 1 | 1 << 3  # CHOWN, DAC_OVERRIDE, FOWNER
DAC_OVERRIDE, NET_BIND = 1 << 1, 1 << 10


def gateway(place, unit="letterchute.service", **config):
    """A machine with a share and a configuration, before it is up."""
    machine = Machine(place)
    machine.share()
    machine.config(**config)
    return machine


def is_delivered(port=PORT, host="127.0.0.1"):
    device = Device(port, host=host, family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    reply = device.deliver(scan())
    device.quit()
    require(reply.startswith("250"), reply)
    return True


def rights(machine, *fields):
    """What each kind of process has in these lines of its status; who ends meanwhile is none."""
    found, boss = set(), machine.main()
    for pid, line in machine.pids().items():
        values = [status_of(pid, field) for field in fields]
        kind = "boss" if pid == boss else line.removeprefix("letterchute-").partition(" ")[0]
        if None not in values:
            found.add((kind, *(int(value, 16) for value in values)))
    return found


def have(machine, wanted, *fields):
    wait_for(lambda: rights(machine, *fields) == wanted, 5, lambda: f"there are {rights(machine, *fields)}")


def comes_back(port=PORT):
    with contextlib.suppress(OSError, EOFError):
        return send(port, scan()).startswith("250")
    return False


# every kind of process; all of our own jail
ALL = """[gateway]
sandbox = require
[smtp safe]
listen = 127.0.0.1:4650
tls = implicit
[http]
listen = 127.0.0.1:8025
[maildir box]
path = /srv/box
[route signed]
auth = dkim
types = png
"""


@needs_root
def test_from_install_to_a_scan(place):
    """User and folders are made at boot; a file gets the owner asked for; nobody has more rights than he needs."""
    machine = gateway(place, more="owner = games\ngroup = mail\nmode = 0640\nfolder_mode = 2770",
                      route="folder = a/b\nsource = lan", text=ALL)
    for folder in ("new", "cur", "tmp"):
        os.makedirs(machine.path(f"/srv/box/{folder}"))
    with machine:
        require("letterchute:x:" in machine.run("getent", "passwd", "letterchute"))
        folders = machine.run("stat", "-c", "%U:%G %a", "/etc/letterchute", "/var/lib/letterchute").split("\n")
        equal(folders[:2], ["root:root 755", "letterchute:letterchute 711"])
        machine.run("systemctl", "enable", "--now", "letterchute")
        equal(machine.run("systemctl", "is-active", "letterchute"), "active\n")
        is_delivered()
        equal(machine.files(), ["a/b/scan.pdf"])
        rights = machine.run("stat", "-c", "%U:%G %a", "/srv/scans/a/b/scan.pdf", "/srv/scans/a/b", "/srv/scans/a").split("\n")
        equal(rights[:3], ["games:mail 640", "games:mail 2770", "games:mail 2770"])
        with socket.create_connection(("127.0.0.1", 4650), 10) as plain:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            with context.wrap_socket(plain) as device:
                require(device.recv(100).startswith(b"220 "), "no TLS")
        with urllib.request.urlopen("http://127.0.0.1:8025/healthz", timeout=10) as health:
            require(b'"ok"' in health.read(), "no health")
        wanted = {("boss", FILES), ("courier", FILES), ("smtp", 0), ("extract", 0), ("prove", 0), ("after", 0),
                  ("watch", DAC_OVERRIDE)}
        have(machine, {(kind, *[held] * 4, FILES, 1, 2) for kind, held in wanted},
             "CapPrm", "CapEff", "CapInh", "CapAmb", "CapBnd", "NoNewPrivs", "Seccomp")
        # the machine is one, and is told so
        warnings = [line for line in machine.journal("-p", "warning").splitlines() if " is on overlay: " not in line]
        equal(warnings, [])
        exposure = machine.run("systemd-analyze", "security", "--no-pager", "--threshold=20", "letterchute.service")
        print("     " + exposure.strip().split("\n")[-1].strip())


def guide():
    """The commands of the guide, a script a block."""
    with open(os.path.join(ROOT, "contrib", "systemd", "README.md")) as text:
        return re.findall(r"^```sh\n(.*?)^```$", text.read(), re.M | re.S)


def page(path, token=""):
    """(status, what is said)"""
    asked = urllib.request.Request("http://127.0.0.1:8025" + path, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if path == "/healthz" else text
    except urllib.error.HTTPError as error:
        return error.code, None
    except OSError:
        return 0, None


@needs_root
def test_guide(place):
    """Every command of it, in its order; then a scan, as its owner sees it over SMB."""
    machine = Machine(place)
    for folder in ("etc/letterchute", "var/lib/letterchute"):
        require(not os.path.exists(machine.path("/" + folder)), folder)
    with machine:
        for block in guide():
            block = block.replace("smbpasswd -a anna\n", "printf 'word\\nword\\n' | smbpasswd -s -a anna\n")
            block = block.replace("systemctl status", "systemctl status --no-pager")
            machine.run("sh", "-euxc", block)
        is_delivered()
        with open(machine.path("/etc/letterchute/http.token")) as text:
            token = text.read()
        wait_for(lambda: page("/healthz") == (200, {"status": "ok"}), 10, machine.journal)
        equal(page("/api/status")[0], 401)
        equal(page("/api/status", token)[0], 200)
        require(page("/metrics", token)[0] == 200, machine.journal)
        year = time.strftime("%Y")
        (name,) = machine.files()
        require(name.startswith(f"{year}/{year}-") and name.endswith("_scan.pdf"), name)
        equal(machine.run("stat", "-c", "%U:%G %a", "/srv/scans/" + name, "/srv/scans/" + year), "anna:family 660\nanna:family 2770\n")
        seen = machine.run("smbclient", "//127.0.0.1/scans", "-U", "anna%word", "-c", f"ls; cd {year}; get {name[5:]} /tmp/got")
        require(".letterchute" not in seen, seen)
        with open(f"/proc/{machine.inits()[0]}/root/tmp/got", "rb") as got:
            equal(got.read(), PDF)
        machine.run("useradd", "stranger")
        machine.run("smbpasswd", "-s", "-a", "stranger", input=b"word\nword\n")
        refused = machine.run("smbclient", "//127.0.0.1/scans", "-U", "stranger%word", "-c", "ls", check=False)
        require("ACCESS_DENIED" in refused, refused)


@needs_root
def test_log_has_priorities(place):
    with gateway(place) as machine:
        machine.run("systemctl", "start", "letterchute")
        is_delivered()
        require(send(PORT, scan().replace(b"JVBERi0", b"AAAAAAA")).startswith("550"))
        machine.file("/etc/letterchute/letterchute.conf", "nonsense\n")
        machine.run("systemctl", "reload", "letterchute")
        for words, level in (("outcome=delivered", "info"), ("outcome=refused", "warning"), ("the old configuration stays", "err")):
            wait_for(lambda: words in machine.journal("-p", f"{level}..{level}"), 5, lambda: f"{words}: {machine.journal()}")
        (line,) = [line for line in machine.journal("-p", "err..err").splitlines() if "the old configuration stays" in line]
        require("letterchute.conf:1: " in line, line)
        machine.run("systemctl", "restart", "letterchute", check=False)
        wait_for(lambda: "start text=\"/etc/letterchute/letterchute.conf:1: " in machine.journal("-p", "err..err"), 5, machine.journal)
        require("letterchute.conf" not in machine.journal("-p", "info..info"), machine.journal())
        require("<" not in machine.journal(), machine.journal())


@needs_root
def test_reload(place):
    """A new route holds; a bad configuration leaves the old one and says so; the port is never closed."""
    with gateway(place, route="name = one") as machine:
        machine.run("systemctl", "start", "letterchute")
        is_delivered()
        first = machine.main()
        machine.config(route="name = two")
        machine.run("systemctl", "reload", "letterchute")
        wait_for(lambda: "the new configuration holds" in machine.journal(), 5)
        is_delivered()
        equal(machine.files(), ["one.pdf", "two.pdf"])
        machine.config(route="name = three\nnonsense = yes")
        machine.run("systemctl", "reload", "letterchute")
        wait_for(lambda: "the old configuration stays" in machine.show("StatusText"), 5)
        status = machine.run("systemctl", "status", "--no-pager", "-l", "letterchute")
        require("active (running)" in status and "nonsense" in status and "the old configuration stays" in status, status)
        is_delivered()
        equal(machine.files(), ["one.pdf", "two (2).pdf", "two.pdf"])
        machine.config(route="name = three")
        machine.run("systemctl", "reload", "letterchute")
        wait_for(lambda: machine.show("StatusText") == "", 5)
        is_delivered()
        require("three.pdf" in machine.files())
        equal((machine.main(), machine.show("NRestarts")), (first, "0"))


@contextlib.contextmanager
def slow_couriers(machine, call, seconds):
    """Every courier is held at this call."""
    with contextlib.ExitStack() as stack:
        for pid, line in machine.pids().items():
            if "letterchute-courier run" in line:
                tracer = subprocess.Popen(["strace", "-qq", "-o", "/dev/null", "-p", str(pid), "-e", f"trace={call}", "-e",
                                           f"inject={call}:delay_enter={int(seconds * 1e6)}"], stderr=subprocess.DEVNULL)
                stack.callback(tracer.wait)
                stack.callback(tracer.kill)
                wait_for(lambda: status_of(pid, "TracerPid") != "0", 5)
        yield


@needs_root
def test_stop_finishes_what_is_promised(place):
    """At the rename that makes the file visible the plan is written: the device hears 250, and stop waits for it."""
    with gateway(place) as machine:
        machine.run("systemctl", "start", "letterchute")
        is_delivered()
        with slow_couriers(machine, "renameat2", 1.5):
            replies = []
            device = threading.Thread(target=lambda: replies.append(send(PORT, scan())))
            device.start()
            time.sleep(0.7)
            equal(machine.files(), ["scan.pdf"])
            machine.run("systemctl", "stop", "letterchute")
            device.join(20)
        require(replies[0].startswith("250"), replies)
        equal(machine.files(), ["scan (2).pdf", "scan.pdf"])
        equal([machine.show(name) for name in ("ActiveState", "Result", "ExecMainStatus")], ["inactive", "success", "0"])
        equal(machine.pids(), {})
        require("did not end" not in machine.journal(), machine.journal)


@needs_root
def test_kill_9(place):
    """systemd starts it again; what was answered 250 is there once, and nothing of the dead one lives."""
    with gateway(place, route="name = {subject}") as machine:
        machine.run("systemctl", "start", "letterchute")
        heard, ending = [], []

        def deliver(device):
            for number in range(10 ** 6):
                name = f"{device}-{number}"
                while not ending:
                    with contextlib.suppress(OSError, EOFError):
                        if send(PORT, scan(subject=name)).startswith("250"):
                            heard.append(name)
                            break
                    time.sleep(0.02)
                if ending:
                    return

        devices = [threading.Thread(target=deliver, args=(device,)) for device in range(3)]
        for device in devices:
            device.start()
        for turn in range(3):
            before, count = machine.pids(), len(heard)
            wait_for(lambda: len(heard) > count + 5, 10, "nothing is delivered")
            os.kill(machine.main(), signal.SIGKILL)
            wait_for(lambda: machine.show("NRestarts") == str(turn + 1) and machine.show("SubState") == "running", 10,
                     "it is not started again")
            wait_for(lambda: not set(before) & set(machine.pids()), 5, lambda: f"of the dead one: {machine.pids()}")
        count = len(heard)
        wait_for(lambda: len(heard) > count + 5, 10, "nothing is delivered")
        ending.append(True)
        for device in devices:
            device.join()
        names = [name.removesuffix(".pdf") for name in machine.files()]
        equal(sorted(set(heard) - set(names)), [], "lost")
        # what a device did not hear of comes once more, from another session: two at worst
        equal(len(names) - len(set(names)), 0)
        twice = [name for name in names if name.endswith(" (2)")]
        require(len(twice) <= 9, twice)
        for name in names:
            require(name.removesuffix(" (2)") in heard or not name.endswith(" (2)"), name)
        wait_for(lambda: os.listdir(machine.path("/var/lib/letterchute/spool/publishing")) == [], 5)
        is_delivered()


@needs_root
def test_watchdog(place):
    """A boss that hangs is killed with all that is his, and started again; one that is busy for a while is not."""
    machine = gateway(place)
    machine.drop_in("[Service]\nWatchdogSec=2\n")
    with machine:
        machine.run("systemctl", "start", "letterchute")
        first = machine.main()
        time.sleep(2.5)
        for _ in range(3):
            os.kill(first, signal.SIGSTOP)
            time.sleep(0.8)
            os.kill(first, signal.SIGCONT)
            time.sleep(0.3)
        equal((machine.main(), machine.show("NRestarts")), (first, "0"))
        before = machine.pids()
        os.kill(first, signal.SIGSTOP)
        started = time.monotonic()
        wait_for(lambda: machine.show("NRestarts") == "1" and machine.show("SubState") == "running", 15)
        require(time.monotonic() - started < 8, "it takes too long")
        require("Watchdog timeout" in machine.journal(), machine.journal)
        equal(set(before) & set(machine.pids()), set())
        is_delivered()


@needs_root
@rows([("78", "nonsense\n", "78"), ("64", None, "64")])
def test_not_started_over_and_over(place, text, status):
    machine = gateway(place)
    if text:
        machine.file("/etc/letterchute/letterchute.conf", text)
    else:
        machine.drop_in("[Service]\nExecStart=\nExecStart=/usr/local/bin/letterchute run --nonsense\n")
    with machine:
        said = machine.run("systemctl", "start", "letterchute", check=False)
        require("failed" in said, said)
        time.sleep(3)
        equal([machine.show(name) for name in ("ActiveState", "ExecMainStatus", "NRestarts")], ["failed", status, "0"])


@needs_root
def test_tries_again_where_that_may_help(place):
    """The port is taken, for longer than some few tries take."""
    machine = gateway(place)
    machine.drop_in("[Service]\nRestartSec=0.3\n")
    with machine:
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", PORT))
            taken.listen()
            machine.run("systemctl", "start", "letterchute", check=False)
            wait_for(lambda: int(machine.show("NRestarts")) >= 6, 10)
            require("69" in machine.journal(unit="letterchute.service"), machine.journal)
        wait_for(comes_back, 10, "it gives up")


@needs_root
def test_port_25_from_a_socket(place):
    """The first connection starts the gateway; while it is started again devices wait and are served. Who comes at the
    moment of a kill -9 may meet a listener that is about to die."""
    machine = gateway(place)
    machine.file("/etc/letterchute/letterchute.conf", open(machine.path("/etc/letterchute/letterchute.conf")).read().replace(
        "127.0.0.1:2525", "0.0.0.0:25, [::]:25"))
    with machine:
        machine.run("systemctl", "enable", "--now", "letterchute.socket")
        equal(machine.show("ActiveState"), "inactive")
        is_delivered(25)
        is_delivered(25, "::1")
        equal(machine.show("ActiveState"), "active")
        for how in (("restart",), ("stop",), ("kill", "-s", "KILL", "--kill-who=main"), ("reload",)):
            machine.run("systemctl", *how, "letterchute")
            if how[0] == "kill":
                wait_for(lambda: comes_back(25), 10)
            else:
                is_delivered(25)
        equal(len(machine.files()), 6)


@needs_root
def test_bad_configuration_behind_a_socket(place):
    """A device that knocks at a gateway that can't start does not make it start for ever."""
    machine = gateway(place)
    machine.file("/etc/letterchute/letterchute.conf", "nonsense\n")
    with machine:
        machine.run("systemctl", "start", "letterchute.socket")
        with socket.create_connection(("127.0.0.1", 25)):
            wait_for(lambda: machine.show("ActiveState", "letterchute.socket") == "failed", 20, "it goes on for ever")
        count = machine.journal().count("Main process exited")
        time.sleep(2)
        equal(machine.journal().count("Main process exited"), count)


@needs_root
def test_one_session_a_connection(place):
    """Accept=yes: with no gateway the session does it all, with the same rights; beside one it hands the mail over."""
    with gateway(place, more="owner = games\ngroup = mail") as machine:
        machine.run("systemctl", "start", "letterchute-inetd.socket")
        for turn in range(2):
            is_delivered(25)
        equal(machine.files(), ["scan (2).pdf", "scan.pdf"])
        equal(machine.run("stat", "-c", "%U:%G", "/srv/scans/scan.pdf"), "games:mail\n")
        machine.run("systemctl", "start", "letterchute")
        is_delivered(25)
        wait_for(lambda: "source=lan" in machine.journal(), 5, machine.journal)
        wait_for(lambda: "letterchute-inetd@" not in machine.run("systemctl", "list-units", "--all", "--no-pager",
                                                                  "letterchute-inetd@*", "--plain"), 5, "instances pile up")
        machine.run("systemctl", "stop", "letterchute")
        machine.run("systemctl", "start", "letterchute.socket")
        equal(machine.show("ActiveState", "letterchute-inetd.socket"), "inactive", "only one of them has the port")


@needs_root
def test_port_25_by_a_capability(place):
    machine = gateway(place)
    machine.file("/etc/letterchute/letterchute.conf", open(machine.path("/etc/letterchute/letterchute.conf")).read().replace(
        ":2525", ":25"))
    machine.drop_in("[Service]\nAmbientCapabilities=CAP_NET_BIND_SERVICE\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\n")
    with machine:
        machine.run("systemctl", "start", "letterchute")
        is_delivered(25)
        have(machine, {("boss", FILES | NET_BIND), ("courier", FILES), ("smtp", 0), ("extract", 0)}, "CapEff")


@needs_root
def test_without_capabilities(place):
    """A share of its own needs none; an owner that can't be given is said, and is not tried for ever."""
    machine = gateway(place)
    machine.drop_in("[Service]\nAmbientCapabilities=\nCapabilityBoundingSet=\nSystemCallFilter=~capset\n")
    with machine:
        machine.run("chown", "letterchute:", "/srv/scans")
        machine.run("systemctl", "start", "letterchute")
        is_delivered()
        have(machine, {("boss", 0), ("courier", 0), ("smtp", 0), ("extract", 0)}, "CapEff")
        machine.config(more="owner = games")
        machine.run("systemctl", "restart", "letterchute", check=False)
        equal(machine.show("ExecMainStatus"), "78")
        require("only be given by root or with CAP_CHOWN" in machine.journal(), machine.journal)


@needs_root
def test_restrict_suid_sgid(place):
    """Somebody adds it all the same: the folder lacks one bit, and lets everybody in who is to come in."""
    machine = gateway(place, more="owner = games\ngroup = mail\nfolder_mode = 2770", route="folder = new")
    machine.drop_in("[Service]\nRestrictSUIDSGID=yes\n")
    with machine:
        machine.run("systemctl", "start", "letterchute")
        is_delivered()
        equal(machine.run("stat", "-c", "%U:%G %a", "/srv/scans/new", "/srv/scans/new/scan.pdf"), "games:mail 770\ngames:mail 640\n")
        require("the setgid bit can't be set" in machine.journal("-p", "warning"), machine.journal)


# where the share lies, what the drop-in says besides, and what that lets in
PLACES = [
    ("elsewhere", "/data/scans", "ReadWritePaths=/data/scans\n"),
    ("in a home", "/home/anna/scans", "ProtectHome=tmpfs\nBindPaths=/home/anna/scans\n"),
]


@needs_root
@rows(PLACES)
def test_share(place, path, drop_in):
    """`check` of an administrator sees nothing of what the unit may not; the log says it, and so does the device."""
    machine = Machine(place)
    machine.share(path)
    machine.config(share=path)
    with machine:
        machine.run("systemctl", "start", "letterchute")
        reply = send(PORT, scan())
        require(reply.startswith("451"), reply)
        require(path in machine.journal("-p", "warning"), machine.journal)
        machine.run("letterchute", "check", "--offline")
        machine.drop_in(f"[Service]\n{drop_in}")
        machine.run("systemctl", "restart", "letterchute")
        is_delivered()
        equal(machine.files(path), ["scan.pdf"])


@needs_root
def test_share_that_is_mounted_later(place):
    """Its disk comes when the unit runs: that sees it."""
    machine = Machine(place)
    os.makedirs(machine.path("/srv/disk"))
    machine.config(share="/srv/disk/scans")
    with machine:
        machine.run("systemctl", "start", "letterchute")
        require(send(PORT, scan()).startswith("451"))
        machine.run("mount", "-t", "tmpfs", "none", "/srv/disk")
        machine.run("mkdir", "/srv/disk/scans")
        wait_for(comes_back, 20, "it is not seen")
        equal(machine.run("ls", "/srv/disk/scans"), "scan.pdf\n")


@needs_root
def test_waits_for_its_mount(place):
    """RequiresMountsFor= in a drop-in: the unit pulls in the mount, and goes with it."""
    machine = Machine(place)
    os.makedirs(machine.path("/srv/disk"))
    machine.config(share="/srv/disk/scans")
    machine.file("/etc/fstab", "none /srv/disk tmpfs noauto,mode=755 0 0\n")
    machine.drop_in("[Unit]\nRequiresMountsFor=/srv/disk\n[Service]\nExecStartPre=+/bin/mkdir -p /srv/disk/scans\n")
    with machine:
        machine.run("systemctl", "start", "letterchute")
        is_delivered()
        machine.run("systemctl", "stop", "srv-disk.mount")
        equal(machine.show("ActiveState"), "inactive")


@needs_root
def test_maildir_of_another_user(place):
    """As root by a drop-in: who reads it is its owner, nobody but the boss is root, and reload and stop reach them all."""
    machine = gateway(place, text="[maildir box]\npath = /var/spool/box/in\n")
    machine.drop_in("[Service]\nUser=root\nAmbientCapabilities=\nCapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_KILL\n"
                    "SystemCallFilter=@setuid\nReadWritePaths=/var/spool/box\n")
    for folder in ("new", "cur", "tmp"):
        os.makedirs(machine.path(f"/var/spool/box/in/{folder}"))
    with open(machine.path("/var/spool/box/in/new/1.2.3"), "wb") as out:
        out.write(scan())
    for at, _, names in os.walk(machine.path("/var/spool/box")):
        for path in [at] + [os.path.join(at, name) for name in names]:
            os.chown(path, 8, 8)
            os.chmod(path, 0o700)
    with machine:
        machine.run("systemctl", "start", "letterchute")
        wait_for(lambda: machine.files() == ["scan.pdf"], 10, machine.journal)
        user = int(machine.run("id", "-u", "letterchute"), 16)
        have(machine, {("boss", 0, FILES | 0xe0), ("courier", user, FILES), ("smtp", user, 0), ("extract", user, 0),
                       ("watch", 8, 0)}, "Uid", "CapEff")
        before = machine.pids()
        machine.run("systemctl", "reload", "letterchute")
        wait_for(lambda: set(before) & set(machine.pids()) == {machine.main()}, 10, "of the old ones some stay")
        is_delivered()
        machine.run("systemctl", "stop", "letterchute")
        equal((machine.show("Result"), machine.show("ExecMainStatus")), ("success", "0"))
        require("did not end" not in machine.journal(), machine.journal)


class Mailbox(threading.Thread):
    """An IMAP server that wants to know the password, and lets nobody in."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listening = socket.create_server(("127.0.0.1", 1143))
        self.logins = []

    def run(self):
        while True:
            connection, _ = self.listening.accept()
            with connection, contextlib.suppress(OSError), connection.makefile("rwb") as stream:
                stream.write(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")
                stream.flush()
                for line in stream:
                    tag, command, *rest = line.decode().split()
                    if command.upper() == "LOGIN":
                        self.logins.append(rest[-1].strip('"'))
                    stream.write(f"{tag} {'NO' if command.upper() == 'LOGIN' else 'OK'} x\r\n".encode())
                    stream.flush()


@needs_root
@rows([("a credential", "LoadCredential=imap:/etc/letterchute/secret\n",
        "${CREDENTIALS_DIRECTORY:-/run/credentials/letterchute.service}/imap"),
       ("a file of root's", "", "/etc/letterchute/secret")])
def test_secret(place, drop_in, path):
    """A file that root alone may read; `check` by root finds it as well."""
    account = f"[imap office]\nhost = 127.0.0.1\nport = 1143\ntls = off\nuser = scans\npassword_file = {path}\n"
    machine = gateway(place, text=account)
    machine.file("/etc/letterchute/secret", "open-sesame\n", 0o600)
    machine.drop_in(f"[Service]\n{drop_in}")
    with machine:
        mailbox = Mailbox()
        mailbox.start()
        machine.run("systemctl", "start", "letterchute")
        wait_for(lambda: mailbox.logins, 10, machine.journal)
        equal(set(mailbox.logins), {"open-sesame"})
        require("open-sesame" not in machine.journal())
        machine.run("systemctl", "reload", "letterchute")
        wait_for(lambda: "the new configuration holds" in machine.journal(), 5, machine.journal)
        said = machine.run("letterchute", "check", check=False)
        require("FAIL imap office: the server refuses the login" in said, said)
        equal(set(mailbox.logins), {"open-sesame"})


@needs_root
def test_verbs_beside_it(place):
    """Root's, and those of a user who is let in: what he hands over gets an owner that he could not give."""
    with gateway(place, more="owner = games\ngroup = mail", text="[gateway]\nlocal_users = www-data\n") as machine:
        machine.run("systemctl", "start", "letterchute")
        for user in ("root", "www-data"):
            machine.run("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "letterchute", "drop", input=scan())
        said = machine.run("setpriv", "--reuid=mail", "--regid=mail", "--clear-groups", "letterchute", "drop", input=scan(),
                           check=False)
        require("try again later" in said, said)
        equal(machine.files(), ["scan (2).pdf", "scan.pdf"])
        require("is not among `local_users`" in machine.journal("-p", "warning"), machine.journal)
        equal(machine.run("stat", "-c", "%U:%G", "/srv/scans/scan.pdf", "/srv/scans/scan (2).pdf"), "games:mail\n" * 2)
        machine.run("letterchute", "check", "--offline")
        require("lan" in machine.run("letterchute", "status"))
        is_delivered()
