"""A hostile user of the share races the gateway: nothing is written elsewhere, nothing foreign changed, nothing lost.

A race is one delivery, from the end of its data to its answer, within which the hostile user has changed something at
least once; mostly it is some dozens of times. Every row takes the same part of the count: 10,000 in the default run."""

import contextlib
import os
import shutil
import signal
import threading
import time

from field import (ALICE, FOREIGN, GATEWAY, HOSTILE, OLD, Drop, Field, Racer, Smtp, Tally, put_right, sentinel, storm,
                   untouched)
from harness import COUNT, equal, needs_root, require, rows, scan, send, wait_for

ROUTE = f"types = pdf\nowner = {ALICE}\nmode = 0600\n"
BASE = ".letterchute"


def link_beside(field):
    """One out of the share, and one to a folder in it."""
    os.symlink(field.outside, os.path.join(field.share, "link"))
    os.symlink("Archive", os.path.join(field.share, "inner"))


def nested(field):
    for name in ("in/a", "in/a/b"):
        shutil.rmtree(os.path.join(field.share, name), ignore_errors=True)
        field.folder(f"top/share/{name}", mode=0o777)
    link_beside(field)
    os.symlink("../Archive", os.path.join(field.share, "inner-of-in"))  # relative: an absolute one crosses mounts
    os.mkfifo(os.path.join(field.share, "pipe"))


def own_destination(field):
    os.chown(os.path.join(field.share, "in"), HOSTILE, HOSTILE)


def made(field):
    os.chmod(os.path.join(field.share, "made"), 0o777)
    for name in ("Archive", "Private"):
        os.rename(os.path.join(field.share, name), os.path.join(field.share, "made", name))
    lent(field)


def lent(field):
    field.lent = [f"top/share/{name}" for name in FOREIGN]


def nothing(field):
    pass


def look_alike(field, mode=0o777):
    """A folder of his own that has all that ours has: the identity, lives, and what we would sweep."""
    field.folder("top/share/look", HOSTILE, mode)
    shutil.copy(os.path.join(field.share, BASE, "id"), os.path.join(field.share, "look", "id"))
    os.chown(os.path.join(field.share, "look", "id"), HOSTILE, HOSTILE)
    for life in os.listdir(os.path.join(field.place.state, "spool", "lives")):
        field.folder(f"top/share/look/{life}", HOSTILE, mode)
    os.mkfifo(os.path.join(field.share, "look", "gone-pipe"))
    field.trees["look"] = os.lstat(os.path.join(field.share, "look")).st_ino  # nothing is written there either


def look_alike_without_identity(field):
    look_alike(field)
    os.unlink(os.path.join(field.share, "look", "id"))


def look_alike_with_a_pipe(field):
    look_alike_without_identity(field)
    os.mkfifo(os.path.join(field.share, "look", "id"), 0o666)


def look_alike_with_a_board(field):
    """In his own folder lies, under a name that we would sweep, one whose files he may not remove."""
    look_alike(field)
    os.rename(os.path.join(field.share, "Board"), os.path.join(field.share, "look", "gone-0123456789abcdef"))


def other_roots(field):
    """What he puts in the place of the whole share: a link, somebody's folder, one of his own with our identity."""
    look_alike(field)
    field.folder("top/his", HOSTILE, 0o777)
    os.rename(os.path.join(field.share, "look"), os.path.join(field.top, "his", BASE))
    os.symlink(field.outside, os.path.join(field.top, "link"))
    os.rename(os.path.join(field.share, "Archive"), os.path.join(field.top, "Archive"))


def base_beside(field):
    os.symlink(os.path.join(field.share, "Board"), os.path.join(field.share, "link"))


MADE = [f"make:made/{number}=made/{name}" for number in range(8) for name in ("Archive", "Private")]
TAKEN = [f"take:in/scan=../../outside/file-{number}" for number in (1, 4)]
KINDS = {
    "the destination is a link": ("folder = in", link_beside, ["swap:in=link", "swap:in=inner", f"peek:{BASE}"]),
    "a component is a link or a pipe": ("folder = in/a/b", nested,
                                        ["swap:in/a=link", "swap:in/a=inner-of-in", "swap:in/a/b=pipe"]),
    "the destination is somebody's folder": ("folder = in", lent, ["swap:in=Archive", "swap:in=Board"]),
    "the destination is moved away": ("folder = in", nothing, ["move:in"]),
    "names are taken": ("folder = in\nname = scan", nothing, TAKEN),
    "rights of the destination": ("folder = in", own_destination, ["rule:in", f"peek:{BASE}", "peek:in"]),
    "a new folder is somebody's": ("folder = made/{to.tag}", made, MADE),
    "a new folder without a mode is somebody's": ("folder = made/{to.tag}", made, MADE),
    "our folder is away": ("folder = in", nothing, [f"away:{BASE}=away", f"peek:{BASE}"]),
    "our folder is a look-alike": ("folder = in", look_alike, [f"swap:{BASE}=look", "lock:look"]),
    "our folder is his, without an identity": ("folder = in", look_alike_without_identity, [f"swap:{BASE}=look"]),
    "our folder is his, with a pipe": ("folder = in", look_alike_with_a_pipe, [f"swap:{BASE}=look"]),
    "our folder is a link": ("folder = in", base_beside, [f"swap:{BASE}=link", f"away:{BASE}=away"]),
    "our folder is somebody's": ("folder = in", nothing,
                                 [f"{verb}:{BASE}={name}" for verb in ("swap", "away") for name in FOREIGN]),
    "two folders of ours and a link": ("folder = in", link_beside, [f"away:{BASE}=away", "swap:in=link"]),
}
RUNGS = {
    "by link and unlink": ("renameat2:error=EINVAL",),
    "by a look and a rename": ("renameat2:error=EINVAL", "linkat:error=EPERM"),
}
BASES = [f"swap:{BASE}=look", f"away:{BASE}=away", f"swap:{BASE}=Archive", f"swap:{BASE}=Private"]
MORE = {
    "the share itself": ("folder = in", other_roots,
                         [f"swap:../share=../{name}" for name in ("link", "his", "Archive")]),
    "with drop": ("folder = in", look_alike_with_a_board, BASES),
    "while couriers die": ("folder = in", link_beside, [f"away:{BASE}=away", "swap:in=link", "move:in"]),
    "by link and unlink": ("folder = in\nname = scan", link_beside, [*TAKEN, "swap:in=link"]),
    "by a look and a rename": ("folder = in\nname = scan", link_beside,
                               [*(task.replace("take", "risk") for task in TAKEN), "swap:in=link"]),
}
KINDS.update(MORE)
# A jail around the wrong share makes a courier begin anew; here nothing but the identity keeps it away
MORE_KEYS = {"the share itself": "sandbox = off"}
COURIERS = 2
PART = -(-(COUNT or 10000) // len(KINDS))


def wrapper(kind):
    """A file system that lacks a kind of rename is played by strace."""
    inject = [word for error in RUNGS.get(kind, ()) for word in ("-e", f"inject={error}")]
    return ("strace", "-D", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=renameat2,linkat", *inject) \
        if inject else ()


@contextlib.contextmanager
def dying_couriers(gateway):
    """One after the other is killed, whatever it is at."""
    ending = threading.Event()

    def kill():
        while not ending.wait(0.3):
            for pid in [pid for pid, name in gateway.children() if name == "letterchute-cou"][:1]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def recovers(field, gateway):
    """He has gone: mails are delivered again, and no life or plan of ours is left over."""
    put_right(field)
    for number in range(8):
        to = (f"scans+{number}@example.org",)
        wait_for(lambda: send(gateway.port, scan(), to=to).startswith("250"), 30, gateway.log()[-3000:])
    wait_for(lambda: len(field.place.spool("lives")) <= COURIERS, 60, lambda: f"lives stay\n{gateway.log()[-3000:]}")
    gateway.stop()
    equal((field.place.spool("lives"), field.place.spool("publishing")), ([], []))


def leaves_nothing(field, config):
    """What was staged in a folder of ours that he had taken away, and brought back later, is swept after a day."""
    base = os.path.join(field.share, BASE)
    for name in os.listdir(base):
        os.utime(os.path.join(base, name), (OLD, OLD))
    equal(field.place.run("drop", "-c", config, stdin=scan()).returncode, 0)
    equal((field.place.staged(), os.listdir(base)), ([], ["id"]))


@needs_root
@rows([(kind, kind) for kind in KINDS])
def test_hostile_user(place, kind):
    route, prepare, tasks = KINDS[kind]
    field, tally = Field(place), Tally()
    config = place.config(route=ROUTE + route, share="folder_mode =" if "without a mode" in kind else "",
                          gateway=f"user = {GATEWAY}\ncouriers = {COURIERS}\n{MORE_KEYS.get(kind, '')}")
    with place.gateway(config=config, wrapper=wrapper(kind)) as gateway:
        require(send(gateway.port, scan()).startswith("250"), gateway.log())
        prepare(field)
        before = sentinel(field)
        senders = [Drop(place) if kind == "with drop" else Smtp(gateway, number) for number in range(2)]
        dying = dying_couriers(gateway) if kind == "while couriers die" else contextlib.nullcontext()
        with Racer(field, tasks) as racer, dying:
            storm(field, racer, tally, senders, PART, time.monotonic() + 90 + PART)
        tally.flips = racer.flips()
        recovers(field, gateway)
    leaves_nothing(field, config)
    untouched(before, field)
    print(f"     race/races: {kind}: {tally}", flush=True)
