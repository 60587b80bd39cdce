"""Tokens through kill -9: at each system call of who renews them, with the refresh token changing each time.

The program is started as the boss starts it, below a tracer. The server takes an old refresh token until the access
token that was had for it has been used."""

import fcntl
import os
import socket
import struct
import subprocess
import sys
import threading

from accounts import account
from harness import BUILD, HERE, equal, require
from tokens import CLIENT, Tokens

sys.path.append(os.path.join(HERE, "crash"))
from points import has_killed, killing, points_of  # noqa: E402

KINDS = {1: "password", 2: "token", 3: "later", 4: "never"}
FIRST_FD = 40  # of what is handed over, clear of those that it becomes


class Server:
    port = tls_port = 1


class Account:
    """One account, its store and its provider, and the program that answers for it."""

    def __init__(self, place, tokens, **keys):
        self.place, self.tokens = place, tokens
        section = account(place, Server, oauth="custom", client_id=CLIENT, token_url=tokens.url + "/token", **keys)
        self.config = place.config(section)
        self.folder = os.path.join(place.state, "tokens")
        os.makedirs(self.folder, exist_ok=True)
        self.seed = place.file("seed", tokens.new_refresh() + "\n")

    def ask(self, wrapper=(), refused=0):
        """(kind, text) of the answer, None if none came; and how the program ended."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(90)
        ours.send(struct.pack("II", refused, 0))
        opened = [os.open(self.config, os.O_RDONLY), os.dup(theirs.fileno()), os.open("/dev/null", os.O_RDONLY),
                  os.open(self.folder, os.O_RDONLY), os.open(self.seed, os.O_RDONLY)]
        handed = [fcntl.fcntl(fd, fcntl.F_DUPFD, FIRST_FD) for fd in opened]
        theirs.close()
        moves = " ".join(f"{3 + index}<&{fd}" for index, fd in enumerate(handed))
        program = os.path.join(BUILD, "letterchute-token")
        process = subprocess.Popen(["bash", "-c", f'exec "$@" {moves}', "bash", *wrapper, program, "answer", "office"],
                                   pass_fds=handed, stdin=subprocess.DEVNULL,
                                   env={**os.environ, "LETTERCHUTE_PARENT": str(os.getpid())})
        for fd in opened + handed:
            os.close(fd)
        status = process.wait(90)
        ours.setblocking(False)
        try:
            whole = ours.recv(1 << 16)
        except BlockingIOError:
            whole = b""
        ours.close()
        if not whole:
            return None, status
        return (KINDS[struct.unpack_from("I", whole)[0]], whole[8:].split(b"\0")[0].decode()), status

    def use(self, answer):
        """As a mail server does with what it is shown."""
        equal(answer[0], "token", answer)
        require(self.tokens.introspect({"token": answer[1]})[1]["active"], "a token that is good for nothing")


def trace(place, name, *options):
    path = os.path.join(place.folder, name)
    return path, ("strace", "-D", "-qq", "-o", path, *options)


def points_in(place, asked):
    """Those from the first look at the store on: before it nothing is known that could be lost."""
    path, tracer = trace(place, "trace")
    answer, _ = asked.ask(tracer)
    asked.use(answer)
    points = points_of(path)
    return points[points.index(("flock", 1)):]


def test_killed_while_it_renews(place):
    tokens = Tokens(place, lasts=1)
    asked = Account(place, tokens)
    died = 0
    points = points_in(place, asked)
    for point in points:
        path, tracer = trace(place, "killed", *killing(*point))
        answer, status = asked.ask(tracer)
        died += status == -9
        if answer:
            asked.use(answer)
        for _ in range(2):
            answer, status = asked.ask()
            equal(status, 0, f"after a death at {point}")
            asked.use(answer)
        equal(sorted(os.listdir(asked.folder)), ["office", "office~lock"], f"after a death at {point}")
        require(has_killed(path) or status == 0, point)
    require(died > len(points) * 3 // 4, f"only {died} of {len(points)} died")
    print(f"     imap/oauth_kill: {died} deaths at {len(points)} points", flush=True)


def test_killed_with_a_first_token(place):
    """The one of token_file, which is good for one exchange."""
    tokens = Tokens(place, lasts=1)
    asked = Account(place, tokens)
    points = [point for point in points_in(place, asked) if point[0] in
              ("openat", "write", "fsync", "rename", "renameat", "renameat2", "unlinkat", "sendmsg", "recvfrom", "sendto",
               "exit_group")]
    for point in points:
        for name in os.listdir(asked.folder):
            os.unlink(os.path.join(asked.folder, name))
        place.file("seed", tokens.new_refresh() + "\n")
        answer, _ = asked.ask(trace(place, "killed", *killing(*point))[1])
        if answer:
            asked.use(answer)
        for _ in range(2):
            asked.use(asked.ask()[0])


def test_disk_that_is_full(place):
    """Found out while the old token is good; nothing is asked of the provider."""
    tokens = Tokens(place, lasts=1)
    asked = Account(place, tokens)
    asked.use(asked.ask()[0])
    # the first one to a file of ours, not those that tie up the jail
    first = next(number for call, number in points_in(place, asked) if call == "write")
    before = tokens.count("refresh_token")
    _, tracer = trace(place, "full", "-e", f"inject=write:error=ENOSPC:when={first}+")
    answer, _ = asked.ask(tracer)
    equal((answer[0], tokens.count("refresh_token") - before), ("later", 0), answer)
    require("No space" in answer[1], answer)
    asked.use(asked.ask()[0])


def test_disk_that_breaks_later(place):
    """What can't be made durable is shown to nobody, and the old token still serves."""
    tokens = Tokens(place, lasts=1)
    asked = Account(place, tokens)
    asked.use(asked.ask()[0])
    for error in ("EIO", "ENOSPC"):
        _, tracer = trace(place, "breaks", "-e", f"inject=fsync:error={error}:when=1+")
        answer, _ = asked.ask(tracer)
        equal(answer[0], "later", answer)
        require("stored" in answer[1], answer)
        asked.use(asked.ask()[0])


def test_disk_that_breaks_for_a_moment(place):
    tokens = Tokens(place)
    asked = Account(place, tokens)
    _, tracer = trace(place, "breaks", "-e", "inject=fsync:error=ENOSPC:when=1..4")
    asked.use(asked.ask(tracer)[0])


def test_two_at_once(place):
    """Only one of them renews; the other finds what he got."""
    tokens = Tokens(place)
    asked = Account(place, tokens)
    holder = os.open(os.path.join(asked.folder, "office~lock"), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(holder, fcntl.LOCK_EX)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(asked.ask())) for _ in range(3)]
    for thread in threads:
        thread.start()
    threads[0].join(1)
    equal((answers, tokens.requests), ([], []), "they do not wait")
    os.close(holder)
    for thread in threads:
        thread.join(60)
    equal(len({answer for answer, _ in answers}), 1, answers)
    asked.use(answers[0][0])
    equal(tokens.count("refresh_token"), 1)
