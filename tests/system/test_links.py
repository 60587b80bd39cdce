"""What somebody at the other end of a link may do to the couriers: a local user, or a session that was taken over."""

import array
import os
import signal
import socket
import struct
import subprocess
import time

from harness import equal, needs_root, require, rows, scan, send, wait_for

HEAD = struct.Struct("=II64sIBB16s2x64sQ272xqq4xII4x72s")
ANSWER = struct.Struct("=III20s128s")
ASK_DELIVER = 1
SOURCE_DROP = 2


def question(size, deadline_ms=0, kind=ASK_DELIVER, key=b""):
    return HEAD.pack(kind, 0, b"drop", SOURCE_DROP, 0, 1, bytes(16), b"", size, int(time.time() * 1000), deadline_ms, 0,
                     0, key) + b"\0"


def message_file(content=b"", size=None):
    """In memory, and to be read only."""
    fd = os.memfd_create("message")
    os.write(fd, content)
    if size is not None:
        os.truncate(fd, size)
    again = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)
    os.close(fd)
    return again


def knock(place):
    link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    link.connect(place.state + "/gateway.sock")
    return link


def ask(link, head, *fds):
    link.sendmsg([head], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds).tobytes())])


def is_cut(link):
    link.settimeout(5)
    try:
        return link.recv(10) == b""
    except ConnectionResetError:
        return True


def pair():
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def fill(one):
    one.setblocking(False)
    try:
        while True:
            one.send(b"x" * 1000)
    except BlockingIOError:
        pass
    one.setblocking(True)


def test_answers_that_nobody_reads(place):
    """A sender whose socket is full went away: no courier waits for him."""
    with place.gateway(gateway="couriers = 2\nanswer_within = 10s") as gateway:
        kept = []
        for _ in range(2):
            ours, theirs = pair()
            fill(theirs)
            link = knock(place)
            message = scan(300)
            ask(link, question(len(message)), message_file(message), theirs.fileno())
            theirs.close()
            kept.append((link, ours))
        wait_for(lambda: len(gateway.lines()) == 2, 10, "a courier waits for a sender that does not read")
        equal([line["reason"] for line in gateway.lines()], ["io", "io"])
        equal(place.files(), {})
        require(send(gateway.port, scan(200)).startswith("250"))
        for link, _ in kept:
            link.close()


def test_endless_message(place):
    """A hole of half a terabyte costs nothing to make; a courier reads it for no longer than somebody waits."""
    with place.gateway(text="[limits]\nmessage = 1000G\n", gateway="couriers = 2\nanswer_within = 4s") as gateway:
        link = knock(place)
        far = (time.monotonic_ns() + 10 ** 15) // 10 ** 6
        for deadline_ms in (0, far):
            ours, theirs = pair()
            ask(link, question(10, deadline_ms), message_file(b"From: a@b\r\n\r\n", 1 << 39), theirs.fileno())
        wait_for(lambda: len(gateway.lines()) == 2, 8, "a courier reads on and on")
        equal([line["reason"] for line in gateway.lines()], ["deadline", "deadline"])
        ours, theirs = pair()
        ask(link, question(10), message_file(size=1 << 50), theirs.fileno())
        wait_for(lambda: len(gateway.lines()) == 3, 1, "what is too long is read nevertheless")
        equal(gateway.last()["reason"], "size")
        require(send(gateway.port, scan(200)).startswith("250"))
        ask(link, question(10), message_file(size=1 << 39), theirs.fileno())
        time.sleep(0.2)
        link.close()
        gateway.stop()
        equal(gateway.last()["reason"], "shutdown")


def test_retry_at_the_door(place):
    """What was put aside may be from anybody: a local user, who speaks for himself, can't say that it was."""
    with place.gateway() as gateway:
        ours, theirs = pair()
        message = scan(300)
        link = knock(place)
        ask(link, question(len(message), kind=5, key=b"0" * 64), message_file(message), theirs.fileno())
        require(is_cut(link), "the link goes on")
        equal(place.files(), {})
        require(send(gateway.port, message).startswith("250"))


@needs_root
def test_file_of_somebody_else(place):
    """A file system that its owner serves, and stops serving: neither couriers nor the door wait for him."""
    source, mounted = place.make("source"), os.path.join(place.folder, "mounted")
    place.mount("bindfs", source, mounted, at=mounted)
    with open(os.path.join(source, "mail"), "wb") as out:
        out.write(scan(300))
    file = os.open(os.path.join(mounted, "mail"), os.O_RDONLY)
    place.later(os.close, file)
    server = int(subprocess.run(["pgrep", "-f", "-n", f"bindfs {source} "], capture_output=True).stdout)
    with place.gateway(gateway="couriers = 1\nanswer_within = 10s") as gateway:
        require(send(gateway.port, scan(100)).startswith("250"))
        os.kill(server, signal.SIGSTOP)
        place.later(os.kill, server, signal.SIGCONT)
        time.sleep(1.2)  # so that nothing is remembered of the file
        ours, theirs = pair()
        questions = [(question(300), file, theirs.fileno()), (question(300), message_file(scan(1)), file),
                     (question(300, kind=2), file, theirs.fileno()), (question(300, kind=9), file, theirs.fileno()),
                     (b"x" * 100000, file, theirs.fileno()), (b"x", file, file, file, file)]
        for row in questions:
            link = knock(place)
            ask(link, *row)
            require(is_cut(link), f"the link goes on after {row[0][:4]}")
        require(send(gateway.port, scan(200)).startswith("250"))
        equal(place.run("drop", "-c", os.path.join(place.folder, "gateway.conf"), stdin=scan(400)).returncode, 0)
        os.kill(server, signal.SIGCONT)


@rows([("in memory", 100 << 10, None), ("on disk", 3 << 20, None), ("in TMPDIR", 3 << 20, "/tmp"),
       ("in memory by TMPDIR", 3 << 20, "/dev/shm")])
def test_message_of_our_own(place, size, folder):
    with place.gateway():
        done = place.run("drop", "-c", os.path.join(place.folder, "gateway.conf"), stdin=scan(size),
                         env={**os.environ, **({"TMPDIR": folder} if folder else {})})
        equal(done.returncode, 0, done.stderr.decode())
        equal([len(content) for content in place.files().values()], [size])
