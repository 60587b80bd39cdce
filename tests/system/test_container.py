"""The configuration of our own container comes from variables, and so does who we are; without an engine: config/, share/
and state/ are in the folder that LETTERCHUTE_CONTAINER names. With one: tests/container."""

import base64
import json
import os
import re
import signal
import subprocess
import time

from harness import ROOT, Device, equal, needs_root, require, rows, scan, send, status_of, tree, wait_for
from test_check import Mailbox

PLAIN = {"FREE_FLOOR": "0", "NAME": "{name}", "SMTP_LISTEN": "127.0.0.1:0", "SMTP_PEERS": "127.0.0.0/8"}
FILE = "[gateway]\nstate = {0}\n[smtp lan]\nlisten = 127.0.0.1:0\n[share]\npath = {1}\nfree_floor = 0\n[route r]\n"


def container(place, **variables):
    """Nothing of ours but what the programs need."""
    for name in ("config", "state"):
        os.makedirs(os.path.join(place.folder, name), exist_ok=True)
    kept = {key: os.environ[key] for key in ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS") if key in os.environ}
    return {**kept, "LETTERCHUTE_CONTAINER": place.folder, **variables}


def check(place, **variables):
    """(exit status, what was said)"""
    done = subprocess.run([place.program, "check", "--offline"], env=container(place, **variables), capture_output=True, timeout=60)
    return done.returncode, (done.stdout + done.stderr).decode()


def gateway(place, wrapper=(), **variables):
    """With these variables and no other."""
    place.open_to_all()
    every = [f"{key}={value}" for key, value in container(place, **{**PLAIN, **variables}).items()]
    return place.gateway("-v", config="", wrapper=["env", "-i", *every, *wrapper])


IMAP = {"IMAP_HOST": "localhost", "IMAP_USER": "u", "IMAP_PASSWORD": "p"}

BAD = [
    ("misspelt", {**IMAP, "IMAP_PASWORD_FILE": "/x"}, "IMAP_PASWORD_FILE", "IMAP_PASSWORD_FILE is expected"),
    ("unknown", {"SMTP_GREETING_TEXT": "x"}, "SMTP_GREETING_TEXT", "/config"),
    ("no login", {"IMAP_HOST": "h"}, "IMAP_USER", "is expected"),
    ("no password", {"IMAP_HOST": "h", "IMAP_USER": "u"}, "IMAP_PASSWORD", "IMAP_PASSWORD_FILE"),
    ("no host", {"IMAP_USER": "u"}, "IMAP_USER", "IMAP_HOST is expected"),
    ("password twice", {**IMAP, "IMAP_PASSWORD_FILE": "/etc/hosts"}, "IMAP_PASSWORD", "one of the two"),
    ("two ways in", {**IMAP, "IMAP_OAUTH": "google", "IMAP_CLIENT_ID": "x"}, "IMAP_HOST", "more than one login"),
    ("no client", {"IMAP_HOST": "h", "IMAP_USER": "u", "IMAP_OAUTH": "google"}, "IMAP_CLIENT_ID", "is expected"),
    ("two lines", {**IMAP, "IMAP_MAILBOX": "a\nrefused = keep"}, "IMAP_MAILBOX", "control character"),
    ("no such file", {"IMAP_HOST": "h", "IMAP_USER": "u", "IMAP_PASSWORD_FILE": "/none"}, "IMAP_PASSWORD_FILE",
     "a file that is there is expected"),
    ("bad port", {**IMAP, "IMAP_PORT": "imap"}, "IMAP_PORT", "a whole number from 1 to 65535"),
    ("no TLS", {**IMAP, "IMAP_HOST": "h", "IMAP_TLS": "off"}, "IMAP_TLS", "implicit or starttls"),
    ("bad fate", {**IMAP, "IMAP_AFTER": "delete"}, "IMAP_AFTER", "expunge"),
    ("bad pin", {**IMAP, "IMAP_PIN_SHA256": "00"}, "IMAP_PIN_SHA256", "64 hex digits"),
    ("bad listen", {"SMTP_LISTEN": "2525"}, "SMTP_LISTEN", "ADDRESS:PORT"),
    ("bad peers", {"SMTP_PEERS": "lan"}, "SMTP_PEERS", "private"),
    ("bad word", {"SMTP_TLS": "on"}, "SMTP_TLS", "starttls"),
    ("bad SMTP", {"SMTP": "on"}, "SMTP", "yes or no"),
    ("neither", {"SMTP": "no"}, "SMTP", "IMAP_HOST"),
    ("no listener", {**IMAP, "SMTP_TLS": "off"}, "SMTP_TLS", "`SMTP=yes`"),
    ("nobody can log in", {"SMTP_AUTH": "require"}, "SMTP_AUTH", "is expected"),
    ("half a login", {"SMTP_USER": "cam"}, "SMTP_PASSWORD", "SMTP_USER and one of"),
    ("the other half", {"SMTP_PASSWORD": "x"}, "SMTP_USER", "SMTP_USER and one of"),
    ("bad login", {"SMTP_USER": "a:b", "SMTP_PASSWORD": "x"}, "SMTP_USER", "no blanks, colons"),
    ("bad types", {"TYPES": "pdff"}, "TYPES", "did you mean `pdf`"),
    ("bad template", {"NAME": "{sender}"}, "NAME", "{sender}"),
    ("leaves the share", {"FOLDER": "../x"}, "FOLDER", "folder"),
    ("bad size", {"MAX_SIZE": "10 MB"}, "MAX_SIZE", "size"),
    ("bad floor", {"FREE_FLOOR": "x"}, "FREE_FLOOR", "size"),
    ("root", {"PUID": "0"}, "PUID", "not root"),
    ("a name", {"PUID": "scans"}, "PUID", "a number"),
    ("bad group", {"PGID": "-1"}, "PGID", "a number"),
    ("bad umask", {"UMASK": "089"}, "UMASK", "octal"),
    ("closed to its owner", {"UMASK": "0777"}, "UMASK", "the owner"),
    ("folders without a way in", {"UMASK": "0133"}, "UMASK", "the owner"),
    ("a guess", {"SMTP_PORT": "587"}, "SMTP_PORT", "one of the manual's"),
    ("a long password", {"SMTP_USER": "cam", "SMTP_PASSWORD": "x" * 511}, "SMTP_PASSWORD", "too long"),
    ("bad zone", {"TZ": "Europe/Atlantis"}, "TZ", "Europe/Berlin"), ("a file that is no zone", {"TZ": "zone.tab"}, "TZ", "Berlin"),
    ("a table of zones", {"TZ": "/etc/hosts"}, "TZ", "Berlin"), ("a folder of zones", {"TZ": "Europe"}, "TZ", "Berlin"),
    ("half a zone", {"TZ": "<+03"}, "TZ", "Berlin"), ("a zone with no offset", {"TZ": "<+03>"}, "TZ", "Berlin"),
]


@rows(BAD)
def test_bad(place, variables, name, words):
    status, said = check(place, **variables)
    equal(status, 78, said)
    require(said.startswith(f"letterchute: {name}: ") and words in said, said)
    equal(len(said.splitlines()), 1, said)


GOOD = [
    ("nothing", {}, "1 listeners, 0 accounts", ""), ("empty ones", {"IMAP_HOST": "", "SMTP_TLS": " "}, "1 listeners", ""),
    ("blank, as the compose files leave them", {**IMAP, "IMAP_PORT": " ", "IMAP_PIN_SHA256": " "}, "1 accounts", ""),
    ("a mailbox", IMAP, "0 listeners, 1 accounts", ""), ("both", {**IMAP, "SMTP": "yes"}, "1 listeners, 1 accounts", ""),
    ("both by an address", {**IMAP, "SMTP_LISTEN": "127.0.0.1:0"}, "1 listeners, 1 accounts", ""),
    ("any password", {**IMAP, "IMAP_PASSWORD": "\"a\\ # ${HOME} {"}, "1 accounts", ""),
    ("a slip", {"TYPE": "pdf"}, "1 listeners", "TYPE has no effect: is TYPES meant?"),
    ("not ours", {"HOSTNAME": "x", "UID": "0", "NAMES": ""}, "1 listeners", ""),
    ("links", {**IMAP, "IMAP_PORT": "tcp://10.0.0.7:993", "IMAP_SERVICE_HOST": "10.0.0.7", "SMTP_PORT_25_TCP_ADDR": "x"},
     "1 accounts", ""),
    ("a zone that is spelled out", {"TZ": "CET-1CEST,M3.5.0,M10.5.0/3"}, "1 listeners", ""),
    ("a zone whose name is a number", {"TZ": "<+03>-3"}, "1 listeners", ""), ("a zone", {"TZ": ":Asia/Tokyo"}, "1 listeners", ""),
    ("blanks behind", {"PUID": "1000 ", "UMASK": "022 ", "TZ": "Europe/Berlin\t ", "SMTP_TLS": "off ", "SMTP_LISTEN": " 127.0.0.1:0 ",
                       "TYPES": "pdf "}, "1 listeners", ""),
]


@rows(GOOD)
def test_good(place, variables, words, warning):
    status, said = check(place, **variables)
    equal(status, 0, said)
    require(words in said, said)
    equal("no effect" in said, bool(warning), said)
    require(warning in said, said)


def nothing(place):
    return place.file("secret", "")


def folder(place):
    return place.make("secret")


def blank_line(place):
    return place.file("secret", "\r\nsecret\n")


def device(_place):
    return "/dev/null"


SECRETS = [("IMAP_PASSWORD_FILE", {**IMAP, "IMAP_PASSWORD": ""}), ("SMTP_PASSWORD_FILE", {"SMTP_USER": "cam"}),
           ("IMAP_CLIENT_SECRET_FILE", {**IMAP, "IMAP_PASSWORD": "", "IMAP_OAUTH": "google", "IMAP_CLIENT_ID": "x"})]
NO_SECRET = [(nothing, "it is empty"), (folder, "it is a folder"), (blank_line, "its first line is empty"), (device, "it is no file")]


@rows([(f"{name}, {make.__name__}", name, others, make, words) for name, others in SECRETS for make, words in NO_SECRET] + [
    ("a folder of certificates", "IMAP_CA_FILE", IMAP, folder, "it is a folder"),
    ("a folder of keys", "SMTP_TLS_KEY_FILE", {}, folder, "it is a folder"),
    ("no logins", "SMTP_USERS_FILE", {}, nothing, "it is empty")])
def test_no_secret(place, name, others, make, words):
    """Found at the start, by the name of the variable, and not at a login."""
    container(place)
    path = make(place)
    place.open_to_all()
    status, said = check(place, **others, **{name: path})
    equal(status, 78, said)
    require(said.startswith(f"letterchute: {name}: {path}: {words}"), said)


def test_secret_for_somebody_else(place):
    if os.geteuid() == 0:
        place.open_to_all()
    secret = place.file("secret", "x\n")
    os.chmod(secret, 0)
    status, said = check(place, IMAP_HOST="h", IMAP_USER="u", IMAP_PASSWORD_FILE=secret)
    if os.geteuid() == 0:  # who becomes 1000 and may open what he likes
        equal(status, 0, said)
        return
    equal(status, 78, said)
    require("that" in said and f"IMAP_PASSWORD_FILE: {secret} belongs to" in said, said)


def test_files(place):
    """A file in config/ is all there is, but for who we are; it can mention variables."""
    container(place)
    with open(os.path.join(place.folder, "config", "a.conf"), "w") as out:
        out.write(FILE.format(place.state, place.share) + "types = ${TYPES}\n")
    status, said = check(place, TYPES="png", FOLDER="x", IMAP_HOST="h", IMAP_NONSENSE="x", PUID="1234", UMASK="002")
    equal(status, 0, said)
    require("IMAP_HOST, FOLDER, UMASK: no effect" in said, said)
    status, said = check(place, TYPES="png")
    equal((status, "no effect" in said), (0, False), said)
    with open(os.path.join(place.folder, "config", "a.conf"), "a") as out:
        out.write("nonsense = 1\n")
    status, said = check(place, TYPES="png")
    equal(status, 78, said)
    require("a.conf:10: " in said, said)


UNREAD = ["letterchute.ini", "letterchute.conf.txt", "letterchute.CONF", "config.yaml"]


@rows([(name, name) for name in UNREAD])
def test_configuration_with_another_name(place, name):
    """Rules that somebody wrote and that nobody reads: the variables alone would let in whom they keep out."""
    container(place)
    path = place.file(f"config/{name}", FILE.format(place.state, place.share))
    status, said = check(place, SMTP_LISTEN="127.0.0.1:0")
    equal(status, 78, said)
    require(said.startswith(f"letterchute: {path}: not read, its name must end in .conf"), said)
    equal(len(said.splitlines()), 1, said)
    # beside one that is read it is told, by who starts a gateway too
    place.file("config/a.conf", FILE.format(place.state, place.share))
    status, said = check(place)
    equal(status, 0, said)
    require(f"warn configuration: {path}: not read, its name must end in .conf" in said, said)
    with gateway(place) as running:
        require(re.search(f'^configuration text="{re.escape(path)}: not read', running.log(), re.M), running.log())


@rows([("hidden", ".letterchute.ini", {}), ("an editor's", "a.conf~", {}), ("a folder", "old/", {}),
       ("of a variable", "ca.pem", {**IMAP, "IMAP_CA_FILE": "ca.pem"}),
       ("certificates that nobody names", "ca.pem", {}, "-----BEGIN CERTIFICATE-----\n"), ("a note", "notes.txt", {}, "see [1]\n")])
def test_no_configuration(place, name, variables, content="[route x]\n"):
    """What lies in /config for another reason stops nothing, and is no word worth."""
    container(place)
    path = os.path.join(place.folder, "config", name)
    if name.endswith("/"):
        os.makedirs(path)
    else:
        place.file(f"config/{name}", content)
    status, said = check(place, **{key: path if value == name else value for key, value in variables.items()})
    equal((status, "not read" in said), (0, False), said)


@rows([("a FIFO", os.mkfifo), ("a folder, as Docker makes one", os.mkdir)])
def test_conf_that_is_no_file(place, make):
    """It does not keep the start waiting."""
    container(place)
    path = os.path.join(place.folder, "config", "letterchute.conf")
    make(path)
    status, said = check(place)
    equal(status, 78, said)
    require(f"letterchute: {path}: it is no file" in said, said)


def test_one_is_asked_for_by_name(place):
    """-c and --share are what they are anywhere."""
    done = subprocess.run([place.program, "check", "--offline", "-c", place.config()], env=container(place, SMTP_NONSENSE="x"),
                          capture_output=True)
    equal(done.returncode, 0, done.stderr)


def everything_below(*folders):
    return [os.path.join(at, name) for folder in folders for at, inner, names in os.walk(folder) for name in inner + names]


@needs_root
def test_becomes(place):
    """Root gives up being root at once, and all that is made is PUID's."""
    running = gateway(place, PUID="1234", PGID="100", UMASK="027", FOLDER="{from.local}/x")
    os.chown(place.share, 0, 0)
    os.chmod(place.share, 0o755)
    with running:
        require(send(running.port, scan()).startswith("250"), running.log())
        for pid in [running.process.pid, *(pid for pid, _ in running.children())]:
            # a session may end meanwhile
            require((status_of(pid, "Uid") or "1234", status_of(pid, "Gid") or "100") == ("1234", "100"), pid)
            rights = int(status_of(pid, "CapPrm") or "0", 16)
            speaks = (status_of(pid, "Name") or "").startswith(("letterchute-smt", "letterchute-ext"))
            require(rights & ~0b1011 == 0 and not (speaks and rights), pid)
        wrapper = running.arguments[:running.arguments.index("run")]
        done = subprocess.run([*wrapper, "status"], capture_output=True)
        require(done.returncode == 0 and b"lan" in done.stdout and b"no gateway" not in done.stdout, done)
    path = os.path.join(place.share, "scanner", "x", "scan.pdf")
    equal([os.stat(p).st_mode & 0o7777 for p in (path, os.path.dirname(path))], [0o640, 0o750])
    equal({(os.stat(p).st_uid, os.stat(p).st_gid) for p in everything_below(place.share, place.state)}, {(1234, 100)})


@needs_root
def test_setgid_folder_keeps_its_group(place):
    os.chown(place.share, 1234, 101)
    os.chmod(place.share, 0o2775)
    with gateway(place, PUID="1234", PGID="100") as running:
        os.chmod(place.share, 0o2775)
        require(send(running.port, scan()).startswith("250"), running.log())
    found = os.stat(os.path.join(place.share, "scan.pdf"))
    equal((found.st_uid, found.st_gid), (1234, 101))


@needs_root
def test_state_is_given(place):
    """All of it that is ours, and nothing that has a name elsewhere."""
    outside = place.file("outside", "somebody's")
    os.makedirs(os.path.join(place.state, "spool", "done", "ab"))
    os.link(outside, os.path.join(place.state, "spool", "linked"))
    os.symlink(outside, os.path.join(place.state, "spool", "pointed"))
    for path in everything_below(place.state):
        os.chown(path, 4711, 4711, follow_symlinks=False)
    os.chown(place.state, 4711, 4711)
    with gateway(place, PUID="1234", PGID="100") as running:
        require(running.port)
    equal(os.stat(outside).st_uid, 4711)
    equal(os.stat(os.path.join(place.state, "spool", "done", "ab")).st_uid, 1234)
    equal((os.stat(place.state).st_uid, os.stat(place.state).st_gid), (1234, 100))


@needs_root
@rows([("by who only looks", "spool/done", "status"), ("that is somebody's folder", "photos", "run")])
def test_state_is_not_given(place, inside, verb):
    """Not by a look at it, and nothing that we have never filled."""
    os.makedirs(os.path.join(place.state, inside))
    for path in (*everything_below(place.state), place.state):
        os.chown(path, 4711, 4711)
    place.open_to_all()
    try:
        subprocess.run([place.program, verb], env=container(place, PUID="1234"), capture_output=True, timeout=3)
    except subprocess.TimeoutExpired:
        require(verb == "run", verb)
    equal({os.stat(path).st_uid for path in (os.path.join(place.state, inside), place.state)}, {4711})


@needs_root
def test_told_to_end_at_once(place):
    """As the first process of a container, to which the kernel gives no signal that nobody waits for."""
    variables = [f"{key}={value}" for key, value in container(place, SMTP_LISTEN="127.0.0.1:0").items()]
    place.open_to_all()
    process = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", "env", "-i", *variables, "strace", "-D", "-qq", "-o",
                                "/dev/null", "-e", "trace=setresuid", "-e", "inject=setresuid:delay_enter=3000000",
                                place.program, "run"], stderr=subprocess.PIPE)
    place.later(process.kill)
    time.sleep(1)  # it is about to become somebody
    (first,) = [pid for pid, name in tree(process.pid) if name.startswith("letterchute")]
    os.kill(first, signal.SIGTERM)
    equal(process.wait(20), 0, "it did not hear it")


@needs_root
def test_without_the_right_to_become(place):
    place.open_to_all()
    done = subprocess.run(["setpriv", "--bounding-set", "-setuid,-setgid", place.program, "check", "--offline"],
                          env=container(place), capture_output=True)
    equal(done.returncode, 78)
    require(b"SETUID and SETGID" in done.stderr and b"--user" in done.stderr, done.stderr)


@needs_root
def test_as_somebody(place):
    """--user counts."""
    container(place)
    os.chmod(place.state, 0o777)
    with gateway(place, ["setpriv", "--reuid", "4711", "--regid", "815", "--clear-groups"], PUID="1234") as running:
        require("PUID has no effect: the container was started as 4711:815" in running.log(), running.log())
        require(send(running.port, scan()).startswith("250"), running.log())
    found = os.stat(os.path.join(place.share, "scan.pdf"))
    equal((found.st_uid, found.st_gid, found.st_mode & 0o7777), (4711, 815, 0o644))


def foreign(place):
    os.chown(place.share, 0, 0)
    os.chmod(place.share, 0o755)
    return lambda: os.chown(place.share, 4711, 815)


def full(place):
    place.mount("mount", "-t", "tmpfs", "-o", "size=9m,mode=0777", "none", place.share, at=place.share)
    with open(os.path.join(place.share, "filler"), "wb") as out:
        out.write(bytes(7 << 20))
    return lambda: os.remove(os.path.join(place.share, "filler"))


def read_only(place):
    place.mount("mount", "--bind", place.share, place.share, at=place.share)
    subprocess.run(["mount", "-o", "remount,bind,ro", place.share], check=True)
    return lambda: subprocess.run(["mount", "-o", "remount,bind,rw", place.share], check=True)


def staging_of_another(place):
    os.mkdir(os.path.join(place.share, ".letterchute"), 0o700)
    return lambda: os.rmdir(os.path.join(place.share, ".letterchute"))


WHOSE = "(we are user 4711; it belongs to user 0 and group 0, mode"
SHARES = [("of somebody else", foreign, f"share can't be written to: Permission denied {WHOSE} 755)", "PUID"),
          ("full", full, "free_floor is 4 MB", "make room"),
          ("read-only", read_only, "Read-only file system", "mount it read-write"),
          ("with a staging of another", staging_of_another,
           f".letterchute can't be opened: Permission denied {WHOSE} 700)", "PUID")]


@needs_root
@rows(SHARES)
def test_bad_share(place, make, sentence, remedy):
    """It starts, says what to change wherever one looks, and goes on when it has been changed."""
    user = ["setpriv", "--reuid", "4711", "--regid", "815", "--clear-groups"]
    running = gateway(place, user, FREE_FLOOR="4M")
    os.chmod(place.state, 0o777)
    mend = make(place)
    with running:
        wrapper = running.arguments[:running.arguments.index("run")]
        wait_for(lambda: re.search(f"^share .*{re.escape(sentence)}.*; .*{remedy}", running.log(), re.M), 10, running.log)
        for verb in ("check", "status"):
            said = subprocess.run([*wrapper, verb], capture_output=True, text=True).stdout
            require(sentence in said and remedy in said, said)
        require(send(running.port, scan()).startswith("45"))
        mend()
        wait_for(lambda: send(running.port, scan()).startswith("250"), 20, running.log)


@needs_root
def test_share_hangs_at_the_start(place):
    """Whether it is a volume is found without asking its server."""
    server = place.bindfs(place.make("below", 0o777), place.share)
    running = gateway(place)
    time.sleep(2)  # what the kernel knows of it grows old
    server.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    with running:
        require(time.monotonic() - started < 8, "it took its time")
        wait_for(lambda: "gives no answer" in running.log(), 10, running.log)
        require(send(running.port, scan()).startswith("45"), running.log())
        server.send_signal(signal.SIGCONT)
        wait_for(lambda: send(running.port, scan()).startswith("250"), 20, running.log)


test_share_hangs_at_the_start.slow = True


def couriers(running):
    return {pid for pid, name in running.children() if name.startswith("letterchute-cou")}


@needs_root
def test_known_share_is_closed(place):
    """It is the one that we know, and not taken for another."""
    running = gateway(place, ["setpriv", "--reuid", "4711", "--regid", "815", "--clear-groups"])
    os.chmod(place.state, 0o777)
    ours = os.path.join(place.share, ".letterchute")
    with running:
        require(send(running.port, scan()).startswith("250"), running.log())
        before = couriers(running)
        time.sleep(3)  # one that is younger never makes way
        os.chown(ours, 0, 0)
        for _ in range(3):
            require(send(running.port, scan()).startswith("451"))
        require(f"{ours} can't be opened: Permission denied {WHOSE}" in running.last(2)["text"], running.lines())
        # none makes way for another, which would see no more of it
        time.sleep(0.5)
        equal(couriers(running), before)
        os.chown(ours, 4711, 815)
        wait_for(lambda: send(running.port, scan()).startswith("250"), 20, running.log)


@needs_root
def test_bad_state(place):
    place.open_to_all()
    container(place)
    done = subprocess.run(["setpriv", "--reuid", "4711", "--regid", "815", "--clear-groups", place.program, "run"],
                          env=container(place, **PLAIN), capture_output=True, text=True)
    equal(done.returncode, 69, done.stderr)
    require(f"{place.state} can't be written to: Permission denied {WHOSE} 755)" in done.stderr, done.stderr)
    require("PUID" in done.stderr, done.stderr)


def login(port, name, password):
    device = Device(port)
    device.say("EHLO device")
    reply = device.say("AUTH PLAIN " + base64.b64encode(f"\0{name}\0{password}".encode()).decode())
    device.close()
    return reply[:3]


def test_login(place):
    """The hash is made at the start, and again when the configuration is read again."""
    secret = place.file("secret", "a \"b\" \\ ${X}\nsecond line\n")
    os.chmod(secret, 0o444)
    running = gateway(place, SMTP_USER="cam", SMTP_PASSWORD_FILE=secret, SMTP_PLAINTEXT_AUTH="yes")
    with running:
        equal(login(running.port, "cam", "a \"b\" \\ ${X}"), "235", running.log())
        with open(secret, "w") as out:
            out.write("another\n")
        running.reload()
        wait_for(lambda: login(running.port, "cam", "another") == "235", 10)
        equal(login(running.port, "cam", "a \"b\" \\ ${X}"), "535")


def test_blanks_of_a_password(place):
    """They belong to it."""
    with gateway(place, SMTP_USER="cam ", SMTP_PASSWORD=" word ", SMTP_PLAINTEXT_AUTH="yes") as running:
        equal([login(running.port, "cam", word) for word in ("word", " word ")], ["535", "235"], running.log())


@rows([("a number", "<+03>-3", 3), ("a blank behind", "Asia/Tokyo ", 9)])
def test_zone(place, zone, hours):
    with gateway(place, TZ=zone, NAME="{received:%H}") as running:
        before = time.gmtime(time.time() + 3600 * hours).tm_hour
        require(send(running.port, scan()).startswith("250"), running.log())
        after = time.gmtime(time.time() + 3600 * hours).tm_hour
    require(set(place.files()) <= {f"{before:02}.pdf", f"{after:02}.pdf"} and place.files(), place.files())


def table():
    """The variables, as the program has them."""
    with open(os.path.join(ROOT, "daemon/cli/variables.c")) as source:
        text = source.read()
    found = re.findall(r'^\t\{ "(\w+)", (NULL|"\w+"), (NULL|"\w+"), (NULL|"[^"]*"), (?:true|false), "(.*)" \},$', text, re.M)
    return [[*(word.strip('"') for word in row[:-1]), row[-1].replace('\\"', '"')] for row in found]


def presets():
    """Of the keys, from the same sources."""
    found = {}
    for path, pattern in (("daemon/config_keys.c", r'^\t\{ "(\w+)", "(\w+)", CONFIG_\w+, "([^"]*)"'),
                          ("policy/rules_keys.c", r'^\t\{ "(\w+)", "(\w+)", "[^"]*", (?:NULL|"([^"]*)")')):
        with open(os.path.join(ROOT, path)) as source:
            for section, key, preset in re.findall(pattern, source.read(), re.M):
                found[section, key] = preset
    return found


def expected():
    known = presets()
    lines = ["| variable | default | means |", "|---|---|---|"]
    for name, section, key, preset, help_text in table():
        default = preset if preset != "NULL" else known.get((section, key), "")
        lines.append(f"| `{name}` | {f'`{default}`' if default else ''} | {help_text} |")
    return "\n".join(lines)


def test_the_guide_lists_them(_place):
    """A line in contrib/docker/README.md for each, in the same words."""
    with open(os.path.join(ROOT, "contrib/docker/README.md")) as guide:
        text = guide.read()
    require(len(table()) > 35, table())
    require(expected() in text, f"contrib/docker/README.md should have this table:\n{expected()}")


def asked_by_image(path):
    """Of HEALTHCHECK: what is run, and the rest by the names that Compose has for it."""
    with open(os.path.join(ROOT, "contrib/docker", path)) as text:
        options, command = re.search(r"^HEALTHCHECK (.*) CMD (\[.*\])$", text.read(), re.M).groups()
    found = dict(word.lstrip("-").replace("-", "_").split("=") for word in options.split())
    return {"retries": "3", **found, "test": command.replace("[", '["CMD", ')}


def asked_by_compose(path):
    with open(os.path.join(ROOT, "contrib/docker", path)) as text:
        blocks = re.findall(r"^    healthcheck:\n((?:      .*\n)+)", text.read(), re.M)
    return [dict(re.findall(r"^      (\w+): (.*)$", block, re.M)) for block in blocks]


@rows([("mailbox", "compose.yaml", ["Dockerfile"]), ("lan", "compose.lan.yaml", ["Dockerfile"]),
       ("samba", "compose.samba.yaml", ["Dockerfile", "samba/Dockerfile"])])
def test_health_is_asked_for(_place, path, images):
    """By a set-up as by its images, which may be in a format that has no room for it."""
    equal(asked_by_compose(path), [asked_by_image(image) for image in images])


def test_every_command_names_the_project(_place):
    """Where it is forgotten, Compose calls it `docker`, and finds other containers and volumes."""
    folder = os.path.join(ROOT, "contrib/docker")
    places = [os.path.join(ROOT, "README.md"), *(os.path.join(folder, name) for name in sorted(os.listdir(folder)))]
    count = 0
    for path in filter(os.path.isfile, places):
        with open(path) as text:
            for command in re.findall(r"docker[ -]compose -.*", text.read()):
                found = re.match(r"docker compose -p letterchute -f (contrib/docker/compose[.a-z]*\.yaml) (up|logs|exec) ", command + " ")
                require(found and os.path.exists(os.path.join(ROOT, found.group(1))), f"{path}: {command}")
                count += 1
    require(count > 10, f"{count} commands")


MAILBOX = {**IMAP, "IMAP_HOST": "127.0.0.1", "IMAP_PORT": "1"}  # where nobody listens


@rows([
    ("a mailbox", "route files", IMAP, "set FROM to who may send, as a filter; proof of the sender needs a file in /config"),
    ("a mailbox with a filter", "route files", {**IMAP, "FROM": "*@a.example"}, "proof of the sender needs a file in /config"),
    ("a listener", "route files", {"SMTP_PEERS": "0.0.0.0/0"}, "set SMTP_PEERS to the addresses of your devices, or SMTP_USER"),
    ("no TLS", "smtp lan", {"SMTP_TLS": "off", "SMTP_USER": "a", "SMTP_PASSWORD": "b"}, "SMTP_TLS = starttls, or SMTP_PLAINTEXT_AUTH = yes"),
    ("an old TLS", "smtp lan", {"SMTP_PEERS": "0.0.0.0/0", "SMTP_TLS_COMPAT": "legacy"}, "`SMTP_PEERS`"),
    ("no server", "imap mailbox", MAILBOX, "look at IMAP_HOST, IMAP_PORT, IMAP_TLS, IMAP_CA_FILE and IMAP_PIN_SHA256"),
])
def test_remedy(place, what, variables, words):
    """What to do is said in names that there are."""
    every = container(place, **{**PLAIN, **variables})
    place.open_to_all()
    done = subprocess.run([place.program, "check", "--json"], env=every, capture_output=True, timeout=60)
    told = [one for one in map(json.loads, done.stdout.splitlines()) if one["what"] == what and one["remedy"]]
    require(words in " ".join(one["remedy"] for one in told), told)
    require(not re.search(r"`(?:peers|from|login)`|\bauth = |tls =|_command", " ".join(one["text"] + one["remedy"] for one in told)), told)


def test_secret_is_no_good_at_the_login(place):
    """What is found out behind the look at the start has the name of the variable, too."""
    every = container(place, IMAP_HOST="127.0.0.1", IMAP_PORT=str(Mailbox(place).port), IMAP_TLS="off", IMAP_USER="u",
                      IMAP_PASSWORD_FILE=place.file("secret", "x" * 20000))
    place.open_to_all()
    done = subprocess.run([place.program, "check"], env=every, capture_output=True, timeout=60, text=True)
    require(f"IMAP_PASSWORD_FILE = {place.folder}/secret: its first line is too long" in done.stdout, done)
    require("look at IMAP_PASSWORD_FILE, or IMAP_OAUTH" in done.stdout, done)


def test_remedy_in_the_log(place):
    with gateway(place, SMTP_PEERS="0.0.0.0/0", FROM="*@a.example") as running:
        (line,) = [line for line in running.log().splitlines() if line.startswith("open-route ")]
        require("SMTP_PEERS of [smtp lan] let in more" in line and "; FROM is a filter" in line and "remedy: set SMTP_PEERS" in line, line)
