"""A bad configuration is told with file and line, and stops the start with 78."""

import contextlib
import json
import os
import signal
import socket
import subprocess

from harness import equal, require, rows, wait_for

GOOD = "[smtp lan]\nlisten = 127.0.0.1:0\n[share]\npath = share\n[route all]\n"

HASH = "$y$j9T$HkELb1yEpcPyUCfmFF82D.$T3WMOcBIhRsGU3noXteaZ.dwG1Sr8hhSiuzN2f80PS4"

BAD = [
    ("unknown key", GOOD + "tpyes = pdf\n", 6), ("unknown section", GOOD + "[rout x]\n", 6),
    ("key twice", GOOD + "types = pdf\ntypes = png\n", 7), ("section twice", GOOD + "[share]\npath = x\n", 6),
    ("bad size", GOOD + "part_max = 10 MB\n", 6), ("bad time", "[gateway]\nanswer_within = x\n" + GOOD, 2),
    ("bad number", "[gateway]\ncouriers = four\n" + GOOD, 2), ("bad word", GOOD + "bad_part = drop\n", 6),
    ("bad network", GOOD + "peers = 300.1.1.1\n", 6), ("bad mode", GOOD + "mode = 9999\n", 6),
    ("bad acl", GOOD + "acl = group:rw\n", 6), ("bad type", GOOD + "types = pdff\n", 6),
    ("bad template", GOOD + "name = {sender}\n", 6), ("folder that leaves the share", GOOD + "folder = a/../../b\n", 6),
    ("absolute folder", GOOD + "folder = /etc\n", 6), ("undefined source", GOOD + "source = wan\n", 6),
    ("undefined share", GOOD + "share = archive\n", 6), ("unset variable", GOOD + "folder = ${LETTERCHUTE_NOT_SET}\n", 6),
    ("unknown user", GOOD + "owner = no-such-user-here\n", 6), ("no equals sign", GOOD + "types pdf\n", 6),
    ("quote not closed", GOOD + "folder = \"a\n", 6), ("key before a section", "types = pdf\n" + GOOD, 1),
    ("share without path", "[smtp lan]\nlisten = 127.0.0.1:0\n[share]\nmode = 0640\n[route x]\n", 3),
    ("listener called ..", "[share]\npath = share\n[route x]\n[smtp ..]\nlisten = 127.0.0.1:0\n", 4),
    ("mailbox called .", GOOD + "[imap .]\nhost = localhost\nuser = me\npassword = x\n", 6),
    ("hidden maildir", GOOD + "[maildir .in]\npath = in\n", 6), ("share called .", GOOD + "[share .]\npath = x\n", 6),
    ("route called ..", GOOD + "[route ..]\n", 6),
    ("listener without listen", "[smtp lan]\nidle = 60s\n[share]\npath = share\n[route x]\n", 1),
]


@rows(BAD)
def test_bad(place, text, line):
    path = place.file("bad.conf", text)
    for verb in ("run", "check"):
        done = place.run(verb, "-c", path)
        equal(done.returncode, 78, f"{verb}: {done.stderr.decode()}")
        message = done.stderr.decode()
        require(f"{path}:{line}: " in message, message)
        require("expected" in message or "did you mean" in message, message)
        equal(len(message.strip().splitlines()), 1, message)


def test_missing_file(place):
    done = place.run("run", "-c", os.path.join(place.folder, "none.conf"))
    equal(done.returncode, 78)
    require(b"none.conf" in done.stderr, done.stderr)


def test_folder_of_files(place):
    folder = place.make("conf.d")
    with open(os.path.join(folder, "10-share.conf"), "w") as out:
        out.write(f"[gateway]\nstate = ../state\n[share]\npath = {place.share}\nfree_floor = 0\n")
    with open(os.path.join(folder, "20-route.conf"), "w") as out:
        out.write("[smtp lan]\nlisten = 127.0.0.1:0\n[route all]\n")
    with place.gateway(config=folder) as gateway:
        require(gateway.port)
    with open(os.path.join(folder, "20-route.conf"), "a") as out:
        out.write("nonsense = 1\n")
    done = place.run("check", "-c", folder)
    equal(done.returncode, 78)
    require(b"20-route.conf:4:" in done.stderr, done.stderr)


def test_folder_with_others(place):
    """What is not read is told, at a start, a reload and by `check`; but not what a file that is read names."""
    folder = place.make("conf.d")
    text = open(place.config(smtp="plaintext_auth = yes\nusers = logins")).read()
    for name, content in (("a.conf", text), ("b.ini", "[route b]\n"), ("logins", "a:" + HASH + "\n")):
        place.file(f"conf.d/{name}", content)
    sentence = f"{folder}/b.ini: not read, its name must end in .conf"
    said = place.run("check", "--offline", "--json", "-c", folder).stdout.decode()
    found = [json.loads(line) for line in said.splitlines() if "not read" in line]
    equal([(one["what"], one["ok"], one["text"]) for one in found], [("configuration", True, sentence)])
    with place.gateway(config=folder) as gateway:
        equal(gateway.log().count(sentence), 1, gateway.log())
        place.file("conf.d/c.CONF", "# mine\n  [route c]\n")
        gateway.reload()
        require(f"{folder}/c.CONF: not read" in gateway.log(), gateway.log())
        require("logins: not read" not in gateway.log(), gateway.log())
    os.mkfifo(os.path.join(folder, "0.conf"))
    done = place.run("run", "-c", folder, timeout=5)
    equal(done.returncode, 78)
    require(f"{folder}/0.conf: it is no file" in done.stderr.decode(), done.stderr)


def test_relative_paths_and_variables(place):
    os.environ["LETTERCHUTE_TEST_FOLDER"] = "from the environment"
    path = place.file("rel.conf", "[gateway]\nstate = state\n[smtp lan]\nlisten = 127.0.0.1:0\n[share]\npath = share\n"
                      "[route all]\nfolder = ${LETTERCHUTE_TEST_FOLDER}/${LETTERCHUTE_TEST_NONE:-default}\n")
    done = place.run("check", "-c", path)
    equal(done.returncode, 0, done.stdout.decode() + done.stderr.decode())
    require(os.path.isdir(place.state))


class Journal:
    """A socket that JOURNAL_STREAM names, as systemd makes one for a unit: `begin` starts something with it."""

    def __init__(self, place):
        self.ours, self.theirs = socket.socketpair()
        place.later(self.ours.close)
        found = os.fstat(self.theirs.fileno())
        self.environment = {**os.environ, "JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        self.text = ""

    def begin(self, *command):
        return subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL, stdout=self.theirs, stderr=self.theirs)

    def said(self):
        self.ours.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.text += self.ours.recv(1 << 16).decode()
        return self.text


SPEAKERS = [("run", 78), ("once", 78), ("check", 78), ("status", 78), ("drop", 75)]


@rows([(verb, verb, status) for verb, status in SPEAKERS])
def test_why_has_a_priority(place, verb, status):
    """In a journal the reason is an error like any other, and not a line that `-p err` leaves out."""
    path = place.file("bad.conf", GOOD + "typs = pdf\n")
    journal = Journal(place)
    equal(journal.begin(place.program, verb, "-c", path).wait(20), status)
    lines = journal.said().splitlines()
    equal(len(lines), 1, lines)
    require(lines[0].startswith(f'<3>start text="{path}:6: [route] has no key `typs`'), lines)


@rows([(verb, verb) for verb in ("run", "once", "check")])
def test_why_elsewhere(place, verb):
    """A file or a pipe gets what a person at a terminal gets."""
    path = place.file("bad.conf", GOOD + "typs = pdf\n")
    said = place.run(verb, "-c", path).stderr.decode()
    require(said.startswith(f"letterchute: {path}:6: "), said)


def test_why_a_reload_is_bad(place):
    """One line says that the old one stays, and why."""
    path = place.config()
    journal = Journal(place)
    process = journal.begin(place.program, "run", "-c", path)
    place.later(process.wait)
    place.later(process.terminate)
    wait_for(lambda: "ready source=" in journal.said(), 20, journal.said)
    with open(path, "a") as out:
        out.write("typs = pdf\n")
    line = len(open(path).read().splitlines())
    before = len(journal.said().splitlines())
    process.send_signal(signal.SIGHUP)
    wait_for(lambda: "the old configuration stays" in journal.said(), 10, journal.said)
    told = journal.said().splitlines()[before:]
    equal(len(told), 1, told)
    require(told[0].startswith(f'<3>reload text="the old configuration stays: {path}:{line}: [route] has no key `typs`'), told)
