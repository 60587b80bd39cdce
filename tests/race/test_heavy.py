"""A hostile user who makes our work heavy: much of everything, and things that hang. The gateway answers in time."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import time

from field import ALICE, GATEWAY, HOSTILE, Field
from harness import equal, needs_root, require, rows, scan, send, wait_for

BASE = ".letterchute"
LIMIT = 30  # seconds, on a loaded machine; a lease is broken after 45, a lock never


def in_time(act, text):
    started = time.monotonic()
    found = act()
    took = time.monotonic() - started
    require(took < LIMIT, f"{text} took {took:.1f} s")
    return found


def touch(path):
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))


def many_numbers(field):
    """All names that we would try, up to the hundred thousandth."""
    folder = os.path.join(field.share, "in")
    touch(os.path.join(folder, "scan.pdf"))
    for number in range(2, 100000):
        touch(os.path.join(folder, f"scan ({number}).pdf"))


def long_names(field):
    for number in range(5000):
        touch(os.path.join(field.share, "in", f"{number:05}".ljust(255, "x")))


def many_folders(field):
    for number in range(5000):
        os.mkdir(os.path.join(field.share, f"folder-{number}"))
        os.mkdir(os.path.join(field.share, "in", f"scan ({number}).pdf"))


def deep_tree(field):
    at = os.open(os.path.join(field.share, "in"), os.O_RDONLY)
    for _ in range(2000):
        os.mkdir("d" * 100, dir_fd=at)
        below = os.open("d" * 100, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)


@needs_root
@rows([("100,000 numbers", many_numbers), ("names of 255 octets", long_names), ("folders", many_folders),
       ("a deep tree", deep_tree)])
def test_much_in_the_destination(place, fill):
    """And again while it changes each time, so that nothing that is remembered of it holds."""
    field = Field(place)
    config = place.config(route=f"types = pdf\nowner = {ALICE}\nfolder = in\nname = scan", gateway=f"user = {GATEWAY}")
    fill(field)
    with place.gateway(config=config) as gateway:
        for number in range(3):
            reply = in_time(lambda: send(gateway.port, scan()), "a delivery")
            require(reply.startswith("250"), f"{reply} {gateway.log()}")
            touch(os.path.join(field.share, "in", f"new-{number}"))
    found = [name for name in os.listdir(os.path.join(field.share, "in"))
             if os.lstat(os.path.join(field.share, "in", name)).st_uid == ALICE]
    equal(len(found), 3)


# --- things that hang in the place of our folder ----------------------------------------------------------------------

HOLD_LEASE = ("import fcntl, os, signal, sys\n"
              "signal.signal(signal.SIGIO, signal.SIG_IGN)\n"
              "fd = os.open(sys.argv[1], os.O_RDWR)\n"
              "fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)\n"
              "print('held', flush=True)\n"
              "sys.stdin.read()\n")


@contextlib.contextmanager
def held_lease(base):
    holder = subprocess.Popen(["python3", "-c", HOLD_LEASE, os.path.join(base, "id")], user=HOSTILE, group=HOSTILE,
                              extra_groups=[], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        equal(holder.stdout.readline(), b"held\n")
        yield
    finally:
        holder.kill()
        holder.communicate()


@contextlib.contextmanager
def held_locks(base):
    folders = [os.open(path, os.O_RDONLY) for path in (base, os.path.join(base, "id"))]
    for fd in folders:
        fcntl.flock(fd, fcntl.LOCK_EX)
    yield
    for fd in folders:
        os.close(fd)


@contextlib.contextmanager
def pipe_for_identity(base):
    os.unlink(os.path.join(base, "id"))
    os.mkfifo(os.path.join(base, "id"), 0o666)
    yield


@contextlib.contextmanager
def much_in_it(base):
    for number in range(20000):
        os.mkdir(os.path.join(base, f"{number:016x}"))
    yield


@contextlib.contextmanager
def hung_mount(base):
    """His own file system on his own folder, which gives no answer."""
    source = base + ".source"
    os.mkdir(source)
    os.unlink(os.path.join(base, "id"))
    server = subprocess.Popen(["bindfs", "-f", source, base], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: os.path.ismount(base), 10, "bindfs does not mount")
        server.send_signal(signal.SIGSTOP)
        yield
    finally:
        server.kill()
        server.wait()
        subprocess.run(["umount", "-l", base], check=True)


@needs_root
@rows([("a lease", held_lease), ("locks", held_locks), ("a pipe", pipe_for_identity), ("20,000 folders", much_in_it),
       ("a mount that hangs", hung_mount)])
def test_hung_thing_for_our_folder(place, hold):
    """Nobody waits for it, at a start or while we run; and all goes on when it is gone."""
    field = Field(place)
    config = place.config(route=f"types = pdf\nowner = {ALICE}\nfolder = in", gateway=f"user = {GATEWAY}")
    base, away = os.path.join(place.share, BASE), os.path.join(place.share, "away")
    with place.gateway(config=config) as gateway:
        require(send(gateway.port, scan()).startswith("250"))
        os.rename(base, away)
        os.mkdir(base)
        shutil.copy(os.path.join(away, "id"), base)
        for path in (base, os.path.join(base, "id")):
            os.chown(path, HOSTILE, HOSTILE)
        with hold(base):
            for _ in range(3):
                reply = in_time(lambda: send(gateway.port, scan()), "an answer")
                require(reply.startswith("451 4.3.0"), reply)
            with place.gateway(config=config, log="second.log") as second:
                reply = in_time(lambda: send(second.port, scan()), "an answer after a start")
                require(reply.startswith("451 4.3.0"), reply)
                in_time(second.stop, "the end")
        os.rename(base, base + ".his")
        os.rename(away, base)
        wait_for(lambda: send(gateway.port, scan()).startswith("250"), 20, "it stays away")
    equal(place.staged(), [])
