"""A volume that is missing, read-only, full, of somebody else or on two file systems: one sentence says what to change, in
the log, in `check`, in the health check and in `status`; the gateway stays, answers "later", and goes on when it is mended."""

import os

from engine import FIVE, Container, Health, statuses
from harness import equal, require, rows, run, scan, send, wait_for


def own(path, uid, gid, mode=0o755):
    os.makedirs(path, exist_ok=True)
    os.chown(path, uid, gid)
    os.chmod(path, mode)


def make_foreign(place, share):
    own(share, 0, 0)
    return lambda: own(share, 1000, 1000)


def make_closed(place, share):
    own(share, 0, 0, 0o700)
    return lambda: own(share, 1000, 1000)


def make_full(place, share):
    place.mount("mount", "-t", "tmpfs", "-o", "size=16m,mode=0777", "none", share, at=share)
    with open(os.path.join(share, "filler"), "wb") as out:
        out.write(bytes(14 << 20))
    return lambda: os.remove(os.path.join(share, "filler"))


def make_two(place, share):
    staging = os.path.join(share, ".letterchute")
    own(share, 1000, 1000)
    place.mount("mount", "-t", "tmpfs", "-o", "mode=0700,uid=1000,gid=1000", "none", staging, at=staging)
    return None  # within a container nothing can be unmounted


def make_staging_foreign(place, share):
    own(share, 1000, 1000)
    own(os.path.join(share, ".letterchute"), 1001, 1001, 0o700)
    return lambda: own(os.path.join(share, ".letterchute"), 1000, 1000, 0o700)


def make_read_only(place, share):
    own(share, 1000, 1000)
    place.mount("mount", "--bind", share, share, at=share)
    run("mount", "-o", "remount,bind,ro", share)
    return None


WHOSE = "(we are user 1000; it belongs to user {0} and group {0}, mode {1})"
ROOTS = WHOSE.format(0, 755)
SHARES = [
    ("of somebody else", make_foreign, f"/share can't be written to: Permission denied {ROOTS}", "PUID"),
    ("closed", make_closed, f"/share can't be opened: Permission denied {WHOSE.format(0, 700)}", "PUID"),
    ("full", make_full, "free_floor is 8 MB", "make room"),
    ("on two file systems", make_two, "/share/.letterchute is a mount of its own", "unmount it"),
    ("with a staging of somebody else", make_staging_foreign,
     f"/share/.letterchute can't be opened: Permission denied {WHOSE.format(1001, 700)}", "PUID"),
    ("read-only", make_read_only, "Read-only file system", "mount it read-write"),
]


def bad_share(gateway, sentence, remedy):
    """Everybody says it."""
    line = wait_for(lambda: next((line for line in gateway.log().splitlines() if sentence in line), None), 10,
                    lambda: f"not in the log:\n{gateway.log()}")
    require(remedy in line, line)
    found = [one for one in gateway.findings() if not one["ok"]]
    require(any(sentence in one["text"] and remedy in one["remedy"] for one in found), found)
    health = Health(gateway.name)
    require(health.code != 0 and sentence in health.said and remedy in health.said, health)
    (share,) = gateway.shares()
    require(share["state"] != "up" and sentence in share["last_error"] and remedy in share["last_error"], share)


@rows(SHARES)
def test_share(place, make, sentence, remedy):
    share = os.path.join(place.folder, "bad")
    mend = make(place, share)
    gateway = Container(place, "-v", f"{share}:/share", share=None,
                        environment={"FREE_FLOOR": "8M", "NAME": "{name}"}).start()
    bad_share(gateway, sentence, remedy)
    reply = send(gateway.port, scan())
    require(reply.startswith("45"), reply)
    if not mend:
        return
    mend()
    wait_for(lambda: send(gateway.port, scan()).startswith("250"), 20, gateway.log)
    wait_for(lambda: gateway.shares()[0]["state"] == "up", 10)
    require(os.path.exists(os.path.join(share, "scan.pdf")))
    gateway.stop()
    equal(gateway.exit_code(), 0)


def test_mounted_read_only(place):
    """As the engine does it, by :ro."""
    gateway = Container(place, share="share:ro", environment={"FREE_FLOOR": "0"}).start()
    bad_share(gateway, "Read-only file system", ":ro")


def test_no_share(place):
    gateway = Container(place, share=None, environment={"FREE_FLOOR": "0"}).start()
    bad_share(gateway, "Read-only file system", "give it a volume")
    require("/share is no volume: the files are lost with the container" in gateway.log(), gateway.log())


@rows([("user", "1000:1000"), ("root, with all that the engine gives", None)])
def test_no_volumes_and_yet_it_works(place, user):
    """Where its own file system can be written to."""
    gateway = Container(place, share=None, state=None, user=user, safe=False, environment={"FREE_FLOOR": "0"}).start()
    require(send(gateway.port, scan()).startswith("250"))
    for status in statuses(gateway.pid()):
        equal((status["Uid"].split(), status["Gid"].split()), (["1000"] * 4, ["1000"] * 4))
        equal(int(status["CapPrm"], 16) & ~0b1011, 0, status)
    for folder in ("/share", "/state"):
        require(f"{folder} is no volume" in gateway.log(), gateway.log())
        require(any(folder in one["text"] and "no volume" in one["text"] for one in gateway.findings()))


def test_volumes_are_no_surprise(place):
    gateway = Container(place, environment={"FREE_FLOOR": "0"}).start()
    require("no volume" not in gateway.log(), gateway.log())


STATES = [
    ("missing", None, "/state can't be written to: Read-only file system", "give it a volume"),
    ("read-only", "closed:ro", "/state can't be written to: Read-only file system", ":ro"),
    ("of somebody else", "foreign", f"/state can't be written to: Permission denied {ROOTS}", "PUID"),
]


@rows(STATES)
def test_state(place, state, sentence, remedy):
    """Nobody can promise anything without: it ends, and says why."""
    place.make("foreign")
    place.file("foreign/kept", b"")
    gateway = Container(place, state=None, environment={"FREE_FLOOR": "0"})
    if state == "foreign":
        gateway.options += ["-v", f"{place.folder}/foreign:/state"]
    elif state:
        gateway.mount(state, "/state")
    gateway.start(ready=False)
    wait_for(lambda: gateway.state() == "exited", 20)
    equal(gateway.exit_code(), 69)
    require(sentence in gateway.log() and remedy in gateway.log(), gateway.log())
    gateway.command = ["check", "--json"]
    gateway.remove()
    gateway.start(ready=False)
    wait_for(lambda: gateway.state() == "exited", 20)
    require(sentence in gateway.log() and remedy in gateway.log(), gateway.log())


def test_full_state(place):
    """Nothing is promised, and it says why; when there is room it goes on."""
    full = place.make("full")
    place.mount("mount", "-t", "tmpfs", "-o", "size=1m,mode=0777", "none", full, at=full)
    gateway = Container(place, "-v", f"{full}:/state", state=None, environment={"FREE_FLOOR": "0"}).start()
    filler = os.path.join(full, "filler")
    with open(filler, "wb", buffering=0) as out:
        try:
            while True:
                out.write(bytes(4096))
        except OSError:
            pass
    reply = send(gateway.port, scan())
    require(reply.startswith("45"), reply)
    (found,) = [one for one in gateway.findings() if not one["ok"]]
    require("/state" in found["text"] and "No space left" in found["text"] and "make room" in found["remedy"], found)
    health = Health(gateway.name)
    require(health.code != 0 and "/state" in health.said and "make room" in health.said, health)
    os.remove(filler)
    wait_for(lambda: send(gateway.port, scan()).startswith("250"), 20, gateway.log)


@rows([("with its rights", FIVE, True), ("without", ["--cap-add", "SETUID,SETGID"], False)])
def test_share_of_somebody_else_as_root(place, options, works):
    """Started as root it may write there all the same, and the files are PUID's."""
    share = place.make("foreign")
    gateway = Container(place, "-v", f"{share}:/share", *options, share=None, user=None,
                        environment={"PUID": "1234", "PGID": "100", "FREE_FLOOR": "0", "NAME": "{name}"})
    if not works:
        os.chown(gateway.place.state, 1234, 100)
    gateway.start()
    if not works:
        bad_share(gateway, f"/share can't be written to: Permission denied {ROOTS.replace('1000', '1234')}", "PUID")
        return
    require(send(gateway.port, scan()).startswith("250"), gateway.log())
    found = os.stat(os.path.join(share, "scan.pdf"))
    equal((found.st_uid, found.st_gid, found.st_mode & 0o7777), (1234, 100, 0o644))
    equal(os.stat(share).st_uid, 0)
    equal(os.stat(os.path.join(place.folder, "state")).st_uid, 1234)
