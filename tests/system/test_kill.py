"""kill -9 at each system call of a kind, then a sender without an answer tries again: nothing is there twice or left."""

import os
import subprocess

from harness import EXE, equal, mail, needs_root, part, pdf, require, rows, scan

SUSPICIOUS = b"From: scanner@example.org\r\n\r\nsee the scan\r\n--x\r\n" + part(pdf(4000)) + b"\r\n--x--\r\n"


def each_death(place, call, verb, message=b"", **config):
    """Kills a verb at the first, second ... call, each time in a fresh place, until there is none left to be killed at.
    Yields its status and its configuration."""
    for turn in range(1, 60):
        os.mkdir(os.path.join(place.folder, str(turn)))
        place.share, place.state = place.make(f"{turn}/share"), os.path.join(place.folder, f"{turn}/state")
        path = place.config(**config)
        trace = os.path.join(place.folder, str(turn), "trace")
        strace = ["strace", "-f", "-qq", "-o", trace, "-e", f"trace={call}", "-e",
                  f"inject={call}:signal=KILL:when={turn}"]
        status = subprocess.run([*strace, place.program, verb, "-c", path], input=message, capture_output=True,
                                timeout=120).returncode
        yield f"killed at {call} {turn}", status, path
        with open(trace) as calls:
            if not any(line.endswith("= ?\n") for line in calls):
                return
    raise AssertionError(f"{call} never ends")


def each_retry(place, call, message, wanted=0, **config):
    """The same for `drop`, followed by the sender's next try, unless it was answered."""
    for turn, status, path in each_death(place, call, "drop", message, **config):
        if status != wanted:
            done = place.run("drop", "-c", path, stdin=message)
            equal(done.returncode, wanted, f"{turn}: {done.stderr.decode()}")
        yield turn


@needs_root
@rows([(call, call) for call in ("fsync", "renameat")])
def test_part_is_put_aside_once(place, call):
    message = mail(part(pdf(3000), "a.pdf"), part(EXE, "b.exe"), part(EXE + b"2", "c.exe"))
    for turn in each_retry(place, call, message, route="types = pdf\nbad_part = quarantine"):
        equal([name[0] == "." for name in place.quarantine()], [False, False], f"{turn}: {place.quarantine()}")
        equal(list(place.files()), ["a.pdf"], turn)


@needs_root
@rows([(call, call) for call in ("fsync", "renameat")])
def test_message_is_put_aside_once(place, call):
    for turn in each_retry(place, call, SUSPICIOUS, wanted=65):
        equal([name[0] == "." for name in place.quarantine()], [False], f"{turn}: {place.quarantine()}")
        with open(os.path.join(place.state, "quarantine", place.quarantine()[0], "message.eml"), "rb") as kept:
            equal(kept.read(), SUSPICIOUS, turn)


def test_equal_message_is_put_aside_once(place):
    """The same octets again are no second entry; others are."""
    config = place.config(route="types = pdf\nbad_part = quarantine")
    message = mail(part(pdf(3000), "a.pdf"), part(EXE, "b.exe"))
    for stdin in (message, message, mail(part(pdf(3000), "a.pdf"), part(EXE, "b.exe"))):
        equal(place.run("drop", "-c", config, stdin=stdin).returncode, 0)
    equal(len(place.quarantine()), 2)


@needs_root
@rows([(call, call) for call in ("unlinkat", "renameat2", "mkdirat")])
def test_check_leaves_nothing(place, call):
    """What a dead `check` left on the share goes when the next courier starts."""
    for turn, _, path in each_death(place, call, "check"):
        equal(place.run("drop", "-c", path, stdin=mail(part(pdf(50)))).returncode, 0, turn)
        equal(os.listdir(os.path.join(place.share, ".letterchute")), ["id"], turn)
        equal(place.spool("lives"), [], turn)
        equal(list(place.files()), ["scan.pdf"], turn)


@needs_root
@rows([(call, call) for call in ("mkdirat", "fchmod", "fsync", "renameat2")])
def test_folder_leaves_nothing(place, call):
    """A folder that was being made out of sight goes with the life of its courier."""
    for turn, _, path in each_death(place, call, "drop", mail(part(pdf(50))), route="folder = x/y"):
        equal(place.run("drop", "-c", path, stdin=mail(part(pdf(60), "next.pdf"))).returncode, 0, turn)
        equal(os.listdir(os.path.join(place.share, ".letterchute")), ["id"], turn)
        equal(place.spool("lives"), [], turn)
        require(place.folders() == ["x", "x/y"], turn)


@needs_root
@rows([(call, call) for call in ("fsync", "renameat", "pwrite64")])
def test_death_counts_once(place, call):
    """Also where whoever finds the dead courier dies before he has taken up all that it left."""
    config, key = place.config(), "ab" * 32
    equal(place.run("drop", "-c", config, stdin=scan(50)).returncode, 0)
    for turn in range(1, 6):
        with open(os.path.join(place.state, "spool", "lives", "0123456789abcdef"), "w") as life:
            life.write(key + "none")
        strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                  f"inject={call}:signal=KILL:when={turn}"]
        subprocess.run([*strace, place.program, "drop", "-c", config], input=scan(60), capture_output=True, timeout=120)
        equal(place.run("drop", "-c", config, stdin=scan(70)).returncode, 0)
        counter = os.path.join(place.state, "spool", "tries", key)
        if os.path.exists(counter):
            with open(counter) as tries:
                equal(tries.read(), "1\n", f"killed at {call} {turn}")
            os.remove(counter)
