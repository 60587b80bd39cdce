#!/usr/bin/env python3
"""Drives letterchute-smtp over real sockets, with a scripted stand-in for the courier.

    smtp_dialogue.py PROGRAM [--sandbox best|off] [--only WORD] [--list]

Every test starts a program of its own. Nothing but the Python standard library is needed. Exit status 0: all passed.
"""
import argparse
import array
import contextlib
import fcntl
import os
import re
import resource
import select
import signal
import socket
import struct
import sys
import tempfile
import threading
import time
import traceback

PROGRAM = SANDBOX = None
ASK_DELIVER, ASK_SETTLE = 1, 2
ASK_PROMISED, ASK_FINAL, ASK_SETTLED = 1, 2, 3
REASON_TYPE = 1
HEAD = struct.Struct("=II64sIBB16s2x64sQ272xqq4xII4x72s")
ANSWER = struct.Struct("=III20s128s")
CRLF = b"\r\n"

CONFIG = """
[gateway]
state = {state}
sandbox = {sandbox}
answer_within = {answer_within}
[share]
path = {state}
[limits]
message = {message}
[smtp lan]
listen = 127.0.0.1:0
tls = off
{listener}
[route all]
to = *@example.test, "john doe"@example.test, postmaster
"""


class Question:
    """One message that the courier got."""

    def __init__(self, data, fds):
        (self.kind, _, source, self.source_kind, self.peer_known, self.peer_allowed, self.peer, login, self.bytes,
         self.received_ms, self.deadline_ms, self.has_envelope, count, _) = HEAD.unpack_from(data)
        self.source = source.split(b"\0")[0].decode()
        texts = data[HEAD.size:].split(b"\0")[:-1]
        self.sender, self.recipients = texts[0], texts[1:]
        assert len(self.recipients) == count
        self.message_fd, self.answer_fd = fds
        self.read_only = fcntl.fcntl(self.message_fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
        self.body = os.pread(self.message_fd, self.bytes + 10, 0)
        self.answer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=self.answer_fd)

    def send(self, kind, reason=0, text="", mark=None):
        packet = ANSWER.pack(kind, reason, 1, b"j1", text.encode())
        ancillary = []
        if mark is not None:
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [mark]))]
        try:
            self.answer.sendmsg([packet], ancillary)
            return True
        except OSError:
            return False

    def close(self):
        os.close(self.message_fd)
        self.answer.close()


class Courier:
    """Reads the queue with several threads; what it does with a question is `behaviour`."""

    def __init__(self, queue, folder, threads=4):
        self.queue, self.folder = queue, folder
        self.lock = threading.Lock()
        self.questions, self.settled, self.marks = [], [], []
        self.behaviour, self.settling = Courier.deliver, Courier.settle
        self.stopped = False
        self.threads = [threading.Thread(target=self.loop, daemon=True) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def loop(self):
        while not self.stopped:
            try:
                ready, _, _ = select.select([self.queue], [], [], 0.1)
                if not ready:
                    continue
                data, fds, _, _ = socket.recv_fds(self.queue, 65536, 4, socket.MSG_DONTWAIT)
            except BlockingIOError:
                continue
            except (OSError, ValueError):
                return
            if not data:
                return
            self.take(data, fds)

    def take(self, data, fds):
        kind = struct.unpack_from("=I", data)[0]
        if kind == ASK_SETTLE:
            self.settling(self, *fds)
            for fd in fds:
                os.close(fd)
            return
        question = Question(data, fds)
        with self.lock:
            self.questions.append(question)
            number = len(self.questions)
        self.behaviour(self, question, number)
        question.close()

    def deliver(self, question, number, delay=0.0):
        path = os.path.join(self.folder, "mark%d" % number)
        mark = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(mark, fcntl.LOCK_SH)
        with self.lock:
            self.marks.append(path)
        question.send(ASK_PROMISED, mark=mark)
        time.sleep(delay)
        question.send(ASK_FINAL)
        os.close(mark)

    def settle(self, mark, answer):
        with self.lock:
            self.settled.append(os.fstat(mark).st_ino)
        with socket.socket(fileno=os.dup(answer)) as to, contextlib.suppress(OSError):
            to.send(ANSWER.pack(ASK_SETTLED, 0, 0, b"", b""))

    def stop(self):
        self.stopped = True
        for thread in self.threads:
            thread.join()


def lives(path):
    """Is the session of this mark alive, that is, does anybody hold the lock?"""
    fd = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(fd)


def wait_until(what, seconds=5.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.01)
    return bool(what())


class Gateway:
    """The program with everything that the boss gives it."""

    def __init__(self, listener="", message="100M", answer_within="25s", mode="listen", name="lan", courier=True,
                 receiving=True, stdio=None, host="127.0.0.1", local_users="", debug=False):
        self.folder = tempfile.TemporaryDirectory(prefix="smtp-test-")
        state = self.folder.name
        os.mkdir(os.path.join(state, "receiving"))
        text = CONFIG.format(state=state, sandbox=SANDBOX, listener=listener, message=message,
                             answer_within=answer_within)
        if local_users:
            text = text.replace("[share]", "local_users = %s\n[share]" % local_users, 1)
        config = tempfile.TemporaryFile()
        config.write(text.encode())
        config.seek(0)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.queue = theirs
        fds = {3: config.fileno(), 4: ours.fileno()}
        self.receiving = os.open(os.path.join(state, "receiving"), os.O_RDONLY | os.O_DIRECTORY)
        if receiving:
            fds[5] = self.receiving
        self.socket = None
        nothing = open(os.devnull, "rb")  # no keeper
        if mode == "listen":
            self.socket = socket.create_server((host, 0), backlog=512)
            self.address = self.socket.getsockname()
            fds[6], fds[7] = nothing.fileno(), self.socket.fileno()
        elif mode == "door":
            self.address = os.path.join(state, "gateway.sock")
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.socket.bind(self.address)
            self.socket.listen(16)
            fds[6], fds[7] = nothing.fileno(), self.socket.fileno()
        if stdio:
            fds[0], fds[1] = stdio
        self.log_file = tempfile.TemporaryFile()
        self.start(fds, [mode] + ([name] if mode != "door" else []), debug)
        ours.close()
        config.close()
        nothing.close()
        self.courier = Courier(theirs, state) if courier else None

    def start(self, fds, arguments, debug):
        high = {place: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for place, fd in fds.items()}
        parent = os.getpid()
        log = fcntl.fcntl(self.log_file.fileno(), fcntl.F_DUPFD_CLOEXEC, 100)

        def place():
            for fd in range(3, 100):
                try:
                    os.close(fd)
                except OSError:
                    pass
            os.dup2(log, 2)
            for where, fd in high.items():
                os.dup2(fd, where)
            os.closerange(100, 400)
            os.environ["LETTERCHUTE_PARENT"] = str(parent)
            if debug:
                os.environ["LETTERCHUTE_DEBUG"] = "1"
            os.execve(PROGRAM, ["letterchute-smtp"] + arguments, dict(os.environ))

        # no Popen: its own pipe would take a place that is ours
        self.pid = os.fork()
        if self.pid == 0:
            try:
                place()
            finally:
                os._exit(70)
        for fd in list(high.values()) + [log]:
            os.close(fd)
        self.status = None

    def log(self):
        self.log_file.seek(0)
        return self.log_file.read().decode("utf-8", "replace")

    def connect(self, greeting=True, timeout=10, source=None):
        device = Device(self.address, timeout, source)
        if greeting:
            device.expect("220 ")
        return device

    def signal(self, number):
        os.kill(self.pid, number)

    def wait(self, seconds=10.0):
        """The exit status, or None if it still runs."""
        end = time.monotonic() + seconds
        while self.status is None and time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            else:
                time.sleep(0.01)
        return self.status

    def sessions(self):
        try:
            with open("/proc/%d/task/%d/children" % (self.pid, self.pid)) as f:
                return [int(p) for p in f.read().split()]
        except OSError:
            return []

    def close(self):
        if self.wait(0) is None:
            self.signal(signal.SIGKILL)
            self.wait()
        if self.courier:
            self.courier.stop()
        if self.socket:
            self.socket.close()
        os.close(self.receiving)
        self.queue.close()
        text = self.log()
        self.log_file.close()
        self.folder.cleanup()
        for bad in ("ERROR: AddressSanitizer", "runtime error:", "Assertion"):
            assert bad not in text, text
        assert self.status is None or self.status in (0, -9, 70, 78), "exit status %s\n%s" % (self.status, text)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Device:
    """A client that says exactly what it is told to."""

    def __init__(self, address, timeout=10, source=None):
        if isinstance(address, socket.socket):
            self.s = address
        else:
            self.s = socket.create_connection(address, timeout, source)
            self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.s.settimeout(timeout)
        self.buffer = b""

    def send(self, data):
        self.s.sendall(data)

    def line(self):
        while b"\n" not in self.buffer:
            try:
                got = self.s.recv(65536)
            except ConnectionResetError:
                got = b""
            if not got:
                return None
            self.buffer += got
        line, self.buffer = self.buffer.split(b"\n", 1)
        assert line.endswith(b"\r"), "a reply ends with a bare LF: %r" % line
        return line[:-1].decode("ascii")

    def reply(self):
        lines = []
        while True:
            line = self.line()
            if line is None:
                return "<end>" if not lines else "\n".join(lines)
            lines.append(line)
            if re.match(r"\d\d\d( |$)", line):
                return "\n".join(lines)

    def expect(self, *starts):
        got = None
        for start in starts:
            got = self.reply()
            assert got.startswith(start), "expected %r, got %r" % (start, got)
        return got

    def say(self, data, *starts):
        self.send(data if isinstance(data, bytes) else data.encode() + CRLF)
        return self.expect(*starts)

    def envelope(self, sender="a@example.test", recipients=("scan@example.test",), hello=True):
        if hello:
            self.say("EHLO device", "250")
        self.say("MAIL FROM:<%s>" % sender, "250 2.1.0")
        for recipient in recipients:
            self.say("RCPT TO:<%s>" % recipient, "250 2.1.5")

    def mail(self, body=b"Subject: x\r\n\r\nHello\r\n", answer="250 2.0.0", **envelope):
        self.envelope(**envelope)
        self.say("DATA", "354")
        return self.say(body + b".\r\n", answer)

    def at_end(self):
        """The connection ends, perhaps after a last word."""
        return "<end>" in (self.reply(), self.reply())

    def close(self):
        self.s.close()

    def reset(self):
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.s.close()


@contextlib.contextmanager
def stopped(gateway):
    """It accepts nothing meanwhile."""
    gateway.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        gateway.signal(signal.SIGCONT)


TESTS = []


def test(function):
    TESTS.append(function)
    return function


def equal(got, expected, what=""):
    assert got == expected, "%s: expected %r, got %r" % (what, expected, got)


# --- transcripts: what is sent, how the answer starts; None: the connection ends --------------------------------------

HELLO = ("EHLO x", "250-")
MAIL = ("MAIL FROM:<a@example.test>", "250 2.1.0")
RCPT = ("RCPT TO:<scan@example.test>", "250 2.1.5")
QUIT = ("QUIT", "221 2.0.0")
BODY = (b"Subject: s\r\n\r\ntext\r\n.\r\n", "250 2.0.0")

TRANSCRIPTS = [
    ("plain", [HELLO, MAIL, RCPT, ("DATA", "354"), BODY, QUIT, (b"", None)]),
    ("helo", [("HELO x", "250 "), MAIL, RCPT, ("DATA", "354"), BODY, QUIT]),
    ("lower case", [("ehlo x", "250-"), ("mail from:<a@example.test>", "250"), ("rcpt to:<scan@example.test>", "250"),
                    ("data", "354"), BODY, ("quit", "221")]),
    ("hello without a name", [("HELO", "250 "), ("EHLO", "250-"), ("HELO ", "250 "), (b"EHLO \xff\x00\x01\r\n", "250-")]),
    ("camera says EHLO, then HELO", [HELLO, ("HELO cam", "250 "), MAIL, RCPT]),
    ("hello drops what was begun", [HELLO, MAIL, RCPT, ("EHLO y", "250-"), ("DATA", "503 5.5.1")]),
    ("bare LF ends a command", [(b"EHLO x\n", "250-"), (b"MAIL FROM:<a@example.test>\n", "250"), (b"NOOP\n", "250")]),
    ("order", [("MAIL FROM:<a@b>", "503 5.5.1"), HELLO, ("RCPT TO:<scan@example.test>", "503"), ("DATA", "503"), MAIL,
               ("MAIL FROM:<a@b>", "503"), ("DATA", "503"), RCPT, ("MAIL FROM:<a@b>", "503"), ("DATA", "354"), BODY,
               ("DATA", "503"), ("RCPT TO:<scan@example.test>", "503")]),
    ("before hello", [("NOOP", "250"), ("RSET", "250"), ("HELP", "214"), ("VRFY x", "252"), ("DATA", "503"),
                      ("RCPT TO:<a@b>", "503"), ("QUIT", "221")]),
    ("unknown and refused verbs", [HELLO, ("FOO", "500 5.5.1"), ("", "500"), ("EXPN list", "502 5.5.1"), ("TURN", "502"),
                                   ("ETRN x", "502"), ("SEND FROM:<a@b>", "502"), ("AUTH LOGIN", "502"),
                                   ("STARTTLS", "502"), ("MAILFROM:<a@b>", "500")]),
    ("bad arguments", [HELLO, ("MAIL", "501 5.5.4"), ("MAIL FROM:", "501"), ("MAIL TO:<a@b>", "501"),
                       ("MAIL FROM:<a@b", "501 5.1.7"), ("MAIL FROM:<a@b@c>", "501"), ("MAIL FROM:<a@>", "501"),
                       (b"MAIL FROM:<a\x00b@c>\r\n", "501"), (b"MAIL FROM:<a\rb@c>\r\n", "501"),
                       ("MAIL FROM:<a@b> SIZE=x", "501 5.5.4"), ("MAIL FROM:<a@b> BODY=FOO", "501"),
                       ("MAIL FROM:<a@b> FOO=1", "555 5.5.4"), ("MAIL FROM:<a@b> BODY=BINARYMIME", "555"), MAIL,
                       ("RCPT TO:<>", "501 5.1.3"), ("RCPT TO:<a", "501")]),
    ("vrfy without a word", [HELLO, ("VRFY", "501"), ("VRFY someone", "252 2.0.0")]),
    ("parameters", [HELLO, ("MAIL FROM:<a@b> SIZE=100 BODY=8BITMIME SMTPUTF8 AUTH=<> RET=HDRS ENVID=1", "250"),
                    ("RCPT TO:<scan@example.test> NOTIFY=NEVER ORCPT=rfc822;x", "250"), ("RSET", "250"),
                    ("MAIL FROM:<a@b>SIZE=100", "250"), ("RSET", "250"), ("mail from:<a@b> size=5", "250")]),
    ("size", [HELLO, ("MAIL FROM:<a@b> SIZE=999999999999", "552 5.3.4"),
              ("MAIL FROM:<a@b> SIZE=99999999999999999999999999", "552"), MAIL]),
    ("no route", [HELLO, MAIL, ("RCPT TO:<x@elsewhere.test>", "550 5.1.1"), ("DATA", "503"), RCPT, ("DATA", "354"), BODY]),
    ("rset", [HELLO, MAIL, RCPT, ("RSET", "250 2.0.0"), ("DATA", "503"), MAIL, RCPT, ("DATA", "354"), BODY]),
    ("two messages", [HELLO, MAIL, RCPT, ("DATA", "354"), BODY, MAIL, RCPT, ("DATA", "354"), BODY, QUIT]),
    ("web request", [("GET / HTTP/1.1", "421 4.7.0"), (b"", None)]),
    ("web request after hello", [HELLO, ("POST /mail HTTP/1.1", "421 4.7.0"), (b"", None)]),
    ("proxy request", [("CONNECT mail:25 HTTP/1.0", "421"), (b"", None)]),
    ("web request with a word of ours", [("MAIL / HTTP/1.1", "421 4.7.0"), (b"", None)]),
    ("web request with a word of its own", [HELLO, ("FOO /x HTTP/1.1", "421 4.7.0"), (b"", None)]),
    ("web request whose body is a mail", [(b"POST / HTTP/1.1\r\nHost: x:25\r\nContent-Length: 200\r\n\r\nEHLO x\r\n"
                                           b"MAIL FROM:<a@b>\r\nRCPT TO:<scan@example.test>\r\nDATA\r\nx\r\n.\r\n",
                                           "421 4.7.0"), (b"", None)]),
    ("the rest of a web request", [HELLO, ("Host: example.test", "421 4.7.0"), (b"", None)]),
    ("header fields that nobody asked for", [HELLO, MAIL, (b"DATA\r\nSubject: x\r\n\r\nRCPT TO:<scan@example.test>\r\n"
                                                           b"DATA\r\nx\r\n.\r\n", "503 5.5.1"), (b"", "421 4.7.0"),
                                             (b"", None)]),
    ("commands with other line ends in them", [HELLO, (b"NOOP\rMAIL FROM:<a@b>\r\n", "500"), (b"RSET\0\r\n", "500"),
                                               (b"DATA\r\r\n", "500"), (b"MAIL\0FROM:<a@b>\r\n", "500"),
                                               (b"MAIL FROM:<a@b>\rRCPT TO:<c@d>\r\n", "555"),
                                               (b"MAIL FROM:<a@b>\0\r\n", "555"), ("RCPT TO:<scan@example.test>", "503")]),
    ("a long line with commands in it", [HELLO, (b"NOOP " + b"x" * 4085 + b"\rMAIL FROM:<a@b>\rx\0" + CRLF, "500 5.5.2"),
                                         ("RCPT TO:<scan@example.test>", "503"),
                                         (b"x" * 70000 + b"\nRCPT TO:<scan@example.test>\r\n", "500 5.5.2"),
                                         (b"", "503 5.5.1"), ("NOOP", "250")]),
    ("long line", [HELLO, (b"NOOP " + b"x" * 2100 + CRLF, "250"), (b"NOOP " + b"x" * 9000 + CRLF, "500 5.5.2"),
                   (b"x" * 200000 + CRLF, "500 5.5.2"), ("NOOP", "250")]),
    ("bdat", [HELLO, MAIL, RCPT, (b"BDAT 6\r\nab\r\ncd", "250 2.0.0"), (b"BDAT 0\r\n", "250"),
              (b"bdat 3 last\r\nef\n", "250 2.0.0"), QUIT]),
    ("bdat at once", [HELLO, MAIL, RCPT, (b"BDAT 12 LAST\r\nab: c\r\n\r\n.\r\n", "250 2.0.0")]),
    ("bdat empty last", [HELLO, MAIL, RCPT, (b"BDAT 4\r\nabcd", "250"), ("BDAT 0 LAST", "250 2.0.0")]),
    ("bdat out of order eats its chunk", [HELLO, (b"BDAT 17 LAST\r\nMAIL FROM:<x@y>\r\n", "503 5.5.1"), MAIL,
                                          (b"BDAT 6\r\nQUIT\r\n", "503"), RCPT, (b"BDAT 2 LAST\r\nhi", "250")]),
    ("bdat before hello eats its chunk", [(b"BDAT 6\r\nQUIT\r\n", "503"), ("NOOP", "250")]),
    ("bdat and data do not mix", [HELLO, MAIL, RCPT, (b"BDAT 2\r\nhi", "250"), ("DATA", "503"), ("MAIL FROM:<a@b>", "503"),
                                  ("RCPT TO:<b@example.test>", "503"), ("NOOP", "250"), (b"BDAT 2 LAST\r\nho", "250")]),
    ("bdat and rset", [HELLO, MAIL, RCPT, (b"BDAT 2\r\nhi", "250"), ("RSET", "250"), (b"BDAT 2 LAST\r\nhi", "503")]),
    ("bdat nonsense ends it", [HELLO, MAIL, RCPT, ("BDAT x", "501"), (b"", None)]),
    ("bdat with a negative number", [HELLO, MAIL, RCPT, ("BDAT -1", "501"), (b"", None)]),
    ("bdat with a plus", [HELLO, MAIL, RCPT, ("BDAT +5", "501"), (b"", None)]),
    ("bdat in hex", [HELLO, MAIL, RCPT, ("BDAT 0x5", "501"), (b"", None)]),
    ("bdat glued", [HELLO, MAIL, RCPT, ("BDAT 5LAST", "501"), (b"", None)]),
    ("bdat with another word", [HELLO, MAIL, RCPT, ("BDAT 5 FIRST", "501"), (b"", None)]),
    ("bdat with one word more", [HELLO, MAIL, RCPT, ("BDAT 5 LAST LAST", "501"), (b"", None)]),
    ("bdat without a number", [HELLO, MAIL, RCPT, ("BDAT LAST", "501"), (b"", None)]),
    ("bdat with NUL", [HELLO, MAIL, RCPT, (b"BDAT 5\0 LAST\r\n", "501"), (b"", None)]),
    ("bdat beyond 64 bits", [HELLO, MAIL, RCPT, ("BDAT 18446744073709551618", "552"), (b"", None)]),
    ("bdat nonsense out of order ends it", [HELLO, ("BDAT x", "501"), (b"", None)]),
    ("bdat of nothing", [HELLO, MAIL, RCPT, ("BDAT 0 LAST", "250 2.0.0"), ("BDAT 0 LAST", "503 5.5.1")]),
    ("bdat without a recipient eats its chunk", [HELLO, MAIL, (b"BDAT 29 LAST\r\nRCPT TO:<scan@example.test>\r\n", "503"),
                                                 ("DATA", "503")]),
    ("bdat whose recipient was refused eats its chunk", [HELLO, MAIL, ("RCPT TO:<x@elsewhere.test>", "550"),
                                                         (b"BDAT 6 LAST\r\nQUIT\r\n", "503"), ("NOOP", "250")]),
    ("bdat, then a dot", [HELLO, MAIL, RCPT, (b"BDAT 2\r\nhi", "250"), (b".\r\n", "500"),
                          (b"BDAT 2 LAST\r\nho", "250 2.0.0")]),
    ("bdat and hello", [HELLO, MAIL, RCPT, (b"BDAT 2\r\nhi", "250"), ("EHLO y", "250-"), (b"BDAT 2 LAST\r\nhi", "503"),
                        ("DATA", "503")]),
    ("bdat and rset at once", [HELLO, MAIL, RCPT, (b"BDAT 2\r\nhiRSET\r\nBDAT 6 LAST\r\nDATA\r\nNOOP\r\n", "250"),
                               (b"", "250 2.0.0"), (b"", "503"), (b"", "250")]),
    ("bdat and quit", [HELLO, MAIL, RCPT, (b"BDAT 2\r\nhi", "250"), QUIT, (b"", None)]),
    ("bdat, and data with its text", [HELLO, MAIL, RCPT, (b"BDAT 2\r\nhi", "250"),
                                      (b"DATA\r\nFrom: x\r\n\r\nMAIL FROM:<a@b>\r\n.\r\n", "503"), (b"", "421 4.7.0"),
                                      (b"", None)]),
    ("data, then bdat in its text", [HELLO, MAIL, RCPT, ("DATA", "354"), (b"BDAT 5 LAST\r\nhello\r\n.\r\n", "250 2.0.0"),
                                     (b"BDAT 5 LAST\r\nhello", "503")]),
    ("bdat endless", [HELLO, MAIL, RCPT, ("BDAT 18446744073709551615 LAST", "552"), (b"", None)]),
    ("errors are counted", [HELLO] + [("FOO", "500")] * 20 + [("NOOP", "421 4.7.0"), (b"", None)]),
    ("data with an argument", [HELLO, MAIL, RCPT, ("DATA x", "501")]),
    ("empty message", [HELLO, MAIL, RCPT, ("DATA", "354"), (b".\r\n", "250")]),
]


@test
def transcripts():
    with Gateway() as g:
        for name, steps in TRANSCRIPTS:
            device = g.connect()
            for sent, start in steps:
                device.send(sent if isinstance(sent, bytes) else sent.encode() + CRLF)
                got = device.reply()
                if start is None:
                    assert got == "<end>", "%s: %r" % (name, got)
                else:
                    assert got.startswith(start), "%s: after %r expected %r, got %r" % (name, sent, start, got)
            device.close()


@test
def before_the_greeting():
    """Who sends a whole dialogue before we said anything is heard no further; one line is a device in a hurry."""
    script = b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<scan@example.test>\r\nDATA\r\nhi\r\n.\r\nQUIT\r\n"
    web = b"POST / HTTP/1.1\r\nHost: x\r\n\r\n" + script
    with Gateway() as g:
        with stopped(g):
            devices = [g.connect(greeting=False) for _ in range(4)]
            for device, text in zip(devices, (script, web, b"\r\n" + script, b"EHLO x\r\n")):
                device.send(text)
        devices[0].expect("554 5.5.1", "<end>")
        devices[1].expect("554 5.5.1", "<end>")
        devices[2].expect("554 5.5.1", "<end>")
        devices[3].expect("220", "250-")
        devices[3].mail(hello=False)
        equal(len(g.courier.questions), 1)
        equal(g.log().count("not-smtp source=lan"), 3)


@test
def extensions():
    with Gateway(message="3M") as g:
        device = g.connect()
        lines = device.say("EHLO x", "250-").split("\n")
        equal(lines[1:], ["250-PIPELINING", "250-SIZE 3145728", "250-8BITMIME", "250-SMTPUTF8",
                          "250-ENHANCEDSTATUSCODES", "250 CHUNKING"])


# --- addresses: what is sent, what the courier reads ---------------------------------------------------------------------

SENDERS = [
    (b"MAIL FROM:<a@b>", b"a@b"), (b"MAIL FROM: <a@b>", b"a@b"), (b"MAIL FROM:\t<a@b>", b"a@b"),
    (b"MAIL FROM :<a@b>", b"a@b"), (b"MAIL FROM <a@b>", b"a@b"), (b"MAIL FROM:a@b", b"a@b"), (b"MAIL FROM: a@b ", b"a@b"),
    (b"mail   from:<a@b>  ", b"a@b"), (b"MAIL FROM:<>", b""), (b"MAIL FROM: < >", b""), (b"MAIL FROM:< a@b >", b"a@b"),
    (b"MAIL FROM:<@one,@two:a@b>", b"a@b"), (b"MAIL FROM:<scanner>", b"scanner"), (b"MAIL FROM:scanner", b"scanner"),
    (b'MAIL FROM:<"a"@b>', b"a@b"), (b'MAIL FROM:<"a b@c"@d>', b'"a b@c"@d'), (b'MAIL FROM:<"a\\"b"@d>', b'"a\\"b"@d'),
    (b'MAIL FROM:<"a>b"@d> SIZE=3', b'"a>b"@d'), (b"MAIL FROM:<front door@cam>", b"front door@cam"),
    ("MAIL FROM:<t\u00fcr@b>".encode(), "t\u00fcr@b".encode()), (b"MAIL FROM:<t\xfcr@b>", "t\u00fcr@b".encode()),
    (b"MAIL FROM:<a@[192.168.1.7]>", b"a@[192.168.1.7]"), (b'MAIL FROM:"a b"@c SIZE=4', b'"a b"@c'),
    (b"MAIL FROM:<DOMAIN\\user@b>", b"DOMAIN\\user@b"),
]


@test
def addresses():
    with Gateway() as g:
        device = g.connect()
        device.say("EHLO x", "250")
        for sent, expected in SENDERS:
            device.say(sent + CRLF, "250")
            device.say("RCPT TO:<scan@example.test>", "250")
            device.say("DATA", "354")
            device.say(b"x\r\n.\r\n", "250")
            equal(g.courier.questions[-1].sender, expected, repr(sent))
        equal(g.courier.questions[0].recipients, [b"scan@example.test"])


@test
def recipients():
    with Gateway() as g:
        device = g.connect()
        device.envelope(recipients=["scan@example.test", "SCAN@example.TEST", "b@example.test", "scan@example.test"])
        device.say("DATA", "354")
        device.say(b"x\r\n.\r\n", "250")
        equal(g.courier.questions[0].recipients, [b"scan@example.test", b"b@example.test"], "a repeated one is one")
        device.say("MAIL FROM:<a@b>", "250")
        for i in range(100):
            device.say("RCPT TO:<r%d@example.test>" % i, "250")
        for i in range(30):
            device.say("RCPT TO:<s%d@example.test>" % i, "452 4.5.3")
        device.say("RCPT TO:<r5@example.test>", "250")
        device.say("DATA", "354")
        device.say(b"x\r\n.\r\n", "250")
        equal(len(g.courier.questions[1].recipients), 100)
        long = "x" * 250 + "@example.test"
        device.say("MAIL FROM:<%s>" % long, "250")
        device.say("RCPT TO:<%s>" % long, "250")
        device.say("RCPT TO:<%s>" % ("y" * 500 + "@example.test"), "501 5.1.3")


# --- the data ----------------------------------------------------------------------------------------------------------

INJECTED = b"MAIL FROM:<evil@example.test>\r\nRCPT TO:<scan@example.test>\r\nDATA\r\nsecond\r\n"
FORMS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\n.\r", b"\r.\n", b"\n\n.\n\n", b"\r\r\n.\r\r\n",
         b"\n\r.\n\r", b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\0\r\n.\n", b"\r\n. \r\n", b"\r\n .\r\n", b"\xe2\x80\xa8.\xe2\x80\xa8",
         b"\x0b.\x0b", b"\x0c.\x0c", b"\x85.\x85", b"\r\n.\r\0\n", b"\r\n.\x1a\r\n", b"\r\n\r.\r\n", b"\n\r\n.\n"]


def bare(form):
    return bool(re.search(rb"\r(?!\n)|(?<!\r)\n", form))


def smuggle(g, form, lenient, bytewise):
    device = g.connect()
    before = len(g.courier.questions)
    device.envelope()
    device.say("DATA", "354")
    text = b"Subject: s\r\n\r\nfirst" + form + INJECTED
    pieces = [text[i:i + 1] for i in range(len(text))] if bytewise else [text]
    for piece in pieces:
        device.send(piece)
    device.send(b".\r\n")
    refused = bare(form) and not lenient
    device.expect("554 5.6.0 Bare " if refused else "250 2.0.0")
    device.say("NOOP", "250 2.0.0")
    device.close()
    got = g.courier.questions[before:]
    equal(len(got), 0 if refused else 1, "messages from %r" % form)
    if got:
        body = got[0].body
        assert body.startswith(b"Subject: s\r\n\r\nfirst") and body.endswith(INJECTED), body
        assert not re.search(rb"(?<!\r)\n", body), body
    assert "evil" not in [q.sender for q in got]


@test
def smuggling_strict():
    with Gateway() as g:
        for form in FORMS:
            smuggle(g, form, False, False)
            smuggle(g, form, False, True)
        assert "reason=ambiguous" in g.log()


@test
def smuggling_lenient():
    with Gateway(listener="line_ends = lenient") as g:
        for form in FORMS:
            smuggle(g, form, True, False)
            smuggle(g, form, True, True)


@test
def dots():
    with Gateway() as g:
        device = g.connect()
        device.mail(b"..\r\n..a\r\n...\r\n.b\r\na.\r\n\r\n..\r\n")
        equal(g.courier.questions[0].body, b".\r\n.a\r\n..\r\nb\r\na.\r\n\r\n.\r\n")
        device.mail(b"\0\xff\r\n" + b"x" * 300000 + b"\r\n", hello=False)
        equal(g.courier.questions[1].body, b"\0\xff\r\n" + b"x" * 300000 + b"\r\n")
        device.mail(b"", hello=False)
        equal(g.courier.questions[2].body, b"")


@test
def bdat_is_taken_as_it_is():
    with Gateway() as g:
        device = g.connect()
        device.envelope()
        text = b"a\nb\r.\r\n.\r\n..x\0"
        device.say(b"BDAT %d\r\n" % len(text) + text, "250")
        device.say(b"BDAT 3 LAST\r\n.\r\n", "250")
        equal(g.courier.questions[0].body, text + b".\r\n")


@test
def big_messages():
    """Through memory, over the edge to the disk, announced and not."""
    with Gateway() as g:
        device = g.connect()
        device.say("EHLO x", "250")
        for size in (1 << 20, (1 << 20) + 1, 5 << 20):
            for announced in ("", " SIZE=%d" % size):
                body = os.urandom(1024).hex().encode() * (size // 2048 + 1)
                body = CRLF.join(body[i:i + 78] for i in range(0, size, 78))[:size - 3] + b"x" + CRLF
                device.say("MAIL FROM:<a@b>%s" % announced, "250")
                device.say("RCPT TO:<scan@example.test>", "250")
                device.say("DATA", "354")
                device.say(body + b".\r\n", "250")
                question = g.courier.questions[-1]
                equal(question.body == body, True, "%d%s" % (size, announced))
                equal(question.read_only, True)
        equal(os.listdir(g.receiving), [])


@test
def too_big():
    with Gateway(message="100k") as g:
        device = g.connect()
        device.envelope()
        device.say("DATA", "354")
        device.send(b"x" * 70 + CRLF)
        device.say((b"y" * 70 + CRLF) * 3000 + b".\r\n", "552 5.3.4")
        device.say("MAIL FROM:<a@b> SIZE=102401", "552 5.3.4")
        device.envelope(hello=False)
        device.say(b"BDAT 102401\r\n" + b"x" * 102401, "552 5.3.4")
        device.say(b"BDAT 5 LAST\r\nxxxxx", "503")
        device.mail(hello=False)
        equal(len(g.courier.questions), 1)
        log = g.log()
        assert re.search(r'^job=- source=lan peer=127.0.0.1 from="a@example.test" to="scan@example.test" route=- parts=0 '
                         r'bytes=216072 outcome=refused reason=size text="[^"]+" took_ms=\d+$', log, re.M), log


@test
def endless_data_is_cut():
    with Gateway(message="1k") as g:
        device = g.connect()
        device.envelope()
        device.say("DATA", "354")
        sent, piece = 0, (b"z" * 998 + CRLF) * 64
        try:
            while sent < 200 << 20:
                device.send(piece)
                sent += len(piece)
        except OSError:
            pass
        assert sent < 100 << 20, (sent, g.log())


@test
def spool_trouble():
    with Gateway() as g:
        os.rmdir(os.path.join(g.folder.name, "receiving"))
        device = g.connect()
        device.mail((b"y" * 70 + CRLF) * 30000, answer="452 4.3.1")
        device.mail(hello=False)
        log = g.log()
        assert "reason=spool" in log and 'error="' in log, log


# --- pipelining ----------------------------------------------------------------------------------------------------------

@test
def pipelining():
    with Gateway() as g:
        device = g.connect()
        device.send(b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<scan@example.test>\r\nRCPT TO:<x@elsewhere.test>\r\nDATA\r\n")
        device.expect("250", "250", "250", "550", "354")
        device.send(b"hi\r\n.\r\nMAIL FROM:<a@b>\r\nRCPT TO:<scan@example.test>\r\nDATA\r\n")
        device.expect("250 2.0.0", "250", "250", "354")
        device.send(b"ho\r\n.\r\nQUIT\r\n")
        device.expect("250 2.0.0", "221", "<end>")
        equal([q.body for q in g.courier.questions], [b"hi\r\n", b"ho\r\n"])


@test
def everything_at_once():
    """A device that waits for nothing but the greeting, in one piece and byte by byte."""
    script = (b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<scan@example.test>\r\nDATA\r\nhi\r\n.\r\n"
              b"MAIL FROM:<a@b>\r\nRCPT TO:<scan@example.test>\r\nBDAT 4\r\nabcdBDAT 2 LAST\r\nefQUIT\r\n")
    with Gateway() as g:
        for bytewise in (False, True):
            device = g.connect()
            for i in range(0, len(script), 1 if bytewise else len(script)):
                device.send(script[i:i + 1] if bytewise else script)
            device.expect("250", "250", "250", "354", "250", "250", "250", "250", "250", "221", "<end>")
        equal([q.body for q in g.courier.questions], [b"hi\r\n", b"abcdef"] * 2)


@test
def one_write_per_flush():
    with Gateway() as g:
        device = g.connect()
        device.send(b"NOOP\r\n" * 50)
        time.sleep(0.3)
        equal(device.s.recv(65536).count(b"\n"), 50)


@test
def foreign_protocols():
    with Gateway() as g:
        device = g.connect(greeting=False)
        device.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\n" * 20)
        while device.reply() != "<end>":
            pass
        device = g.connect()
        device.send(b"\x16")
        assert device.at_end()
        equal(g.log().count("not-smtp source=lan peer=127.0.0.1"), 2)
        assert "TLS" in g.log()
        for hello in (b"SSH-2.0-x\r\n", b"\x03\x00\x00\x13", b"GET / HTTP/1.0\r\n\r\n"):
            device = Device(g.address)
            device.send(hello)
            got = device.reply()
            assert got[:3] in ("554", "220"), got


# --- the courier -----------------------------------------------------------------------------------------------------------

@test
def question_is_whole():
    with Gateway() as g:
        before = time.time() * 1000
        device = g.connect()
        device.mail(b"Subject: q\r\n\r\nbody\r\n")
        q = g.courier.questions[0]
        equal((q.source, q.source_kind, q.peer_known, q.peer_allowed), ("lan", 1, 1, 1))
        equal(q.peer, bytes(10) + b"\xff\xff\x7f\0\0\1")
        equal((q.sender, q.recipients, q.has_envelope), (b"a@example.test", [b"scan@example.test"], 1))
        equal(q.body, b"Subject: q\r\n\r\nbody\r\n")
        equal(q.bytes, len(q.body))
        assert before - 1 <= q.received_ms <= time.time() * 1000 + 1
        left = q.deadline_ms - time.monotonic() * 1000
        assert 20000 < left <= 25000, left


def refuse(courier, question, number):
    question.send(ASK_FINAL, REASON_TYPE, "Only PDF is taken here")


@test
def refusal_is_passed_on():
    with Gateway() as g:
        g.courier.behaviour = refuse
        device = g.connect()
        equal(device.mail(answer="550 5.7.1"), "550 5.7.1 Only PDF is taken here")
        g.courier.behaviour = lambda c, q, n: q.send(ASK_FINAL, REASON_TYPE, "two\r\nlines")
        equal(device.mail(answer="550 5.7.1", hello=False), "550 5.7.1 two??lines")
        g.courier.behaviour = lambda c, q, n: q.send(ASK_FINAL, 999, "x")
        device.mail(answer="451 4.3.0", hello=False)


@test
def courier_dies():
    def die_once(courier, question, number):
        if number % 2 == 0:
            courier.deliver(question, number)

    def die_after_promise(courier, question, number):
        question.send(ASK_PROMISED)
        if number % 2 == 0:
            courier.deliver(question, number)

    def nonsense(courier, question, number):
        question.answer.send(b"nonsense")

    with Gateway() as g:
        device = g.connect()
        device.say("EHLO x", "250")
        for behaviour, answer in ((die_once, "250"), (die_after_promise, "250"), (lambda c, q, n: None, "451 4.3.0"),
                                  (nonsense, "451 4.3.0"), (lambda c, q, n: q.send(ASK_PROMISED), "451 4.3.0")):
            before = len(g.courier.questions)
            g.courier.behaviour = behaviour
            device.mail(answer=answer, hello=False)
            first, second = g.courier.questions[before:]
            equal(first.body, second.body, "asked again with the same message")
        equal(g.log().count("outcome=later reason=io"), 3)


@test
def nobody_listens():
    with Gateway(courier=False) as g:
        g.queue.close()
        g.queue = socket.socket()
        device = g.connect()
        device.mail(answer="451 4.3.0")


@test
def deadline():
    with Gateway(answer_within="1s") as g:
        closed = []

        def hang(courier, question, number):
            time.sleep(1.5)
            closed.append(not question.send(ASK_FINAL))

        g.courier.behaviour = hang
        device = g.connect()
        start = time.monotonic()
        device.mail(answer="451 4.4.5")
        assert 0.9 < time.monotonic() - start < 1.4
        assert wait_until(lambda: closed == [True]), "the courier learns that nobody waits"
        g.courier.behaviour = lambda c, q, n: c.deliver(q, n, delay=1.5)
        device.mail(answer="250", hello=False)
        assert "outcome=later reason=deadline" in g.log()


@test
def queue_is_full():
    """Nobody takes questions: the loop still accepts, the sessions wait, and everything goes on later."""
    with Gateway(courier=False, listener="sessions = 400\nsessions_per_peer = 400") as g:
        devices = [g.connect() for _ in range(300)]
        for device in devices:
            device.envelope()
            device.say("DATA", "354")
            device.send(b"hi\r\n.\r\n")
        g.connect().say("NOOP", "250")
        g.courier = Courier(g.queue, g.folder.name)
        for device in devices:
            device.expect("250 2.0.0")
            device.say("QUIT", "221")
        equal(len(g.courier.questions), 300)
        assert wait_until(lambda: len(g.courier.settled) == 300), len(g.courier.settled)


# --- who knows what --------------------------------------------------------------------------------------------------------

def one_mark(g):
    return g.courier.marks[-1]


@test
def settled_at_next_command():
    with Gateway() as g:
        device = g.connect()
        device.mail()
        assert lives(one_mark(g)), "the session lives"
        time.sleep(0.2)
        assert lives(one_mark(g)) and not g.courier.settled
        inode = os.stat(one_mark(g)).st_ino
        device.say("NOOP", "250")
        assert wait_until(lambda: g.courier.settled == [inode])
        time.sleep(0.1)
        device.say("NOOP", "250")
        assert wait_until(lambda: not lives(one_mark(g)))


def die_once(count=1):
    """The first couriers that are to settle a mark die over it."""
    left = [count]

    def settling(courier, mark, answer):
        left[0] -= 1
        if left[0] < 0:
            courier.settle(mark, answer)

    return settling


@test
def settled_by_another_when_the_courier_died():
    for leave in (lambda d: d.say("QUIT", "221", "<end>"), Device.close, lambda d: d.say("NOOP", "250")):
        with Gateway() as g:
            g.courier.settling = die_once()
            device = g.connect()
            device.mail()
            inode = os.stat(one_mark(g)).st_ino
            device.say("NOOP", "250")
            time.sleep(0.1)
            assert lives(one_mark(g)), "it is known, but not settled"
            equal(g.courier.settled, [])
            leave(device)
            assert wait_until(lambda: g.courier.settled == [inode]), g.courier.settled
            assert wait_until(lambda: not lives(one_mark(g)) or g.sessions())


@test
def settled_before_the_next_mail_is():
    """Marks that wait for their word are kept in order, and looked for at each command."""
    with Gateway() as g:
        g.courier.settling = die_once()
        device = g.connect()
        for hello in (True, False, False):
            device.mail(hello=hello)
        inodes = [os.stat(mark).st_ino for mark in g.courier.marks]
        device.say("QUIT", "221", "<end>")
        assert wait_until(lambda: sorted(g.courier.settled) == sorted(inodes)), (g.courier.settled, inodes)
        assert wait_until(lambda: not g.sessions())
        assert wait_until(lambda: not any(lives(mark) for mark in g.courier.marks))


@test
def settling_is_bounded():
    """No courier has the time, or each dies: the device does not notice, and the session ends nevertheless."""
    def silent(courier, mark, answer):
        time.sleep(4)

    for settling, most in ((silent, 3.5), (die_once(1000), 1.0)):
        with Gateway() as g:
            g.courier.settling = settling
            device = g.connect()
            device.mail()
            start = time.monotonic()
            device.say("NOOP", "250")
            device.say("QUIT", "221", "<end>")
            assert time.monotonic() - start < 0.8, "the device waits"
            assert wait_until(lambda: not g.sessions(), most)
            equal(g.courier.settled, [])


@test
def settled_at_end_of_file():
    with Gateway() as g:
        device = g.connect()
        device.mail()
        device.close()
        assert wait_until(lambda: len(g.courier.settled) == 1)
        assert not lives(one_mark(g))


@test
def settled_after_half_close():
    with Gateway() as g:
        device = g.connect()
        device.envelope()
        device.say("DATA", "354")
        device.send(b"x\r\n.\r\n")
        device.s.shutdown(socket.SHUT_WR)
        device.expect("250", "<end>")
        assert wait_until(lambda: len(g.courier.settled) == 1)


@test
def settled_at_quit_in_the_same_packet():
    """A QUIT that was sent before the 250 proves nothing; the end of the connection does."""
    with Gateway() as g:
        device = g.connect()
        device.envelope()
        device.say("DATA", "354")
        device.send(b"x\r\n.\r\nQUIT\r\n")
        device.expect("250", "221")
        time.sleep(0.2)
        equal(g.courier.settled, [])
        device.close()
        assert wait_until(lambda: len(g.courier.settled) == 1)


@test
def doubt_when_reset():
    with Gateway() as g:
        device = g.connect()
        device.mail()
        device.reset()
        assert wait_until(lambda: not lives(one_mark(g)))
        equal(g.courier.settled, [])


@test
def doubt_when_gone_before_the_answer():
    with Gateway() as g:
        g.courier.behaviour = lambda c, q, n: c.deliver(q, n, delay=0.5)
        for leave in (Device.close, Device.reset):
            device = g.connect()
            device.envelope()
            device.say("DATA", "354")
            device.send(b"x\r\n.\r\n")
            time.sleep(0.2)
            leave(device)
            assert wait_until(lambda: g.courier.marks and not g.sessions())
            assert wait_until(lambda: not lives(one_mark(g)))
        time.sleep(0.2)
        equal(g.courier.settled, [])


@test
def doubt_at_once_when_reset_while_waiting():
    """The courier need not begin what nobody waits for; what it has promised is in doubt before it is done."""
    for promised in (False, True):
        with Gateway() as g:
            told = []

            def slow(courier, question, number):
                if not promised:
                    time.sleep(0.5)
                    told.append(question.send(ASK_PROMISED))
                    return
                courier.deliver(question, number, delay=1.0)

            g.courier.behaviour = slow
            device = g.connect()
            device.envelope()
            device.say("DATA", "354")
            device.send(b"x\r\n.\r\n")
            assert wait_until(lambda: g.courier.questions)
            time.sleep(0.2)
            device.reset()
            assert wait_until(lambda: not g.sessions(), 0.3)
            if promised:
                # the stand-in's own descriptor is the same open file
                assert wait_until(lambda: not lives(one_mark(g)), 2)
            else:
                assert wait_until(lambda: told == [False])
            equal(g.courier.settled, [])
            assert "unfinished" in g.log()


@test
def doubt_when_unread():
    """The kernel of the device has the 250, its program never reads it and dies: a reset says so."""
    with Gateway() as g:
        device = g.connect()
        device.envelope()
        device.say("DATA", "354")
        device.send(b"x\r\n.\r\n")
        assert wait_until(lambda: g.courier.marks)
        time.sleep(0.2)
        device.close()
        assert wait_until(lambda: not lives(one_mark(g)))
        equal(g.courier.settled, [])


@test
def doubt_when_killed():
    with Gateway() as g:
        device = g.connect()
        device.mail()
        for pid in g.sessions():
            os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda: not lives(one_mark(g)))
        equal(g.courier.settled, [])
        g.connect().mail()


@test
def two_equal_messages_at_once():
    with Gateway() as g:
        one, two = g.connect(), g.connect()
        one.mail()
        two.mail()
        assert all(lives(mark) for mark in g.courier.marks)
        equal(len(g.courier.marks), 2)


# --- time -------------------------------------------------------------------------------------------------------------------

def cut_after(device, feed, least, most):
    """Feeds a byte every 50 ms until the other side ends."""
    start = time.monotonic()
    got = b""
    device.s.settimeout(0.05)
    while time.monotonic() - start < most + 1:
        try:
            if feed:
                device.send(feed(time.monotonic() - start))
        except OSError:
            pass
        try:
            more = device.s.recv(1000)
            if not more:
                break
            got += more
        except socket.timeout:
            pass
        except OSError:
            break
    took = time.monotonic() - start
    assert least <= took <= most, "cut after %.2f s: %r" % (took, got)
    return got


@test
def idle_is_cut():
    with Gateway(listener="idle = 2s") as g:
        got = cut_after(g.connect(), None, 1.8, 2.6)
        assert got.startswith(b"421 4.4.2"), got
        device = g.connect()
        device.envelope()
        device.say("DATA", "354")
        got = cut_after(device, None, 1.4, 2.6)
        assert got.startswith(b"421 4.4.2"), got
        assert "unfinished source=lan" in g.log()


@test
def dripping_is_cut():
    with Gateway(listener="idle = 2s") as g:
        assert b"421 4.4.2" in cut_after(g.connect(), lambda t: b"x", 1.4, 2.6)
        device = g.connect()
        device.envelope()
        device.say("DATA", "354")
        assert b"421 4.4.2" in cut_after(device, lambda t: b"x", 1.4, 2.6)
        device = g.connect()
        device.envelope()
        device.send(b"BDAT 10000 LAST\r\n")
        assert b"421 4.4.2" in cut_after(device, lambda t: b"x", 1.4, 2.6)


def drip(text, step=0.25):
    """One octet of the text, over and over, whenever its time has come."""
    sent = [0]

    def feed(seconds):
        if seconds < sent[0] * step:
            return b""
        sent[0] += 1
        return text[(sent[0] - 1) % len(text):][:1]

    return feed


@test
def dripping_commands_are_cut():
    """An octet now and then, though each command is a good one, and so soon that no line takes long."""
    mail = b"MAIL FROM:<>\r\nRSET\r\n"
    with Gateway(listener="idle = 6s") as g:
        cases = [(b"NOOP\r\n", False), (mail, False), (b"BDAT 1\r\nx", True), (b"BDAT 0\r\n", True)]
        devices = []
        for text, begun in cases:
            device = g.connect()
            if begun:
                device.envelope()
            else:
                device.say("HELO x", "250")
            devices.append((device, text))
        wrong = []

        def work(device, text):
            try:
                got = cut_after(device, drip(text), 3.5, 6)
                assert b"421 4." in got, got
            except AssertionError as error:
                wrong.append((text, error))

        threads = [threading.Thread(target=work, args=case) for case in devices]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        equal(wrong, [])
        equal(g.courier.questions, [])


@test
def dripping_through_a_mail_is_cut():
    """The time of the commands and that of the mail are one."""
    with Gateway(listener="idle = 6s") as g:
        device = g.connect()
        got = cut_after(device, drip(b"HELO\r\nMAIL FROM:<>\r\nRCPT TO:<postmaster>\r\nDATA\r\n" + b"x" * 100, 0.05), 4.5, 6)
        assert b"354" in got and b"421 4.4.2" in got, got


@test
def pieces_of_commands_are_none():
    """A device that writes its commands in pieces, and waits in between: it is in nobody's way."""
    with Gateway(listener="idle = 2s") as g:
        device = g.connect()
        for _ in range(8):
            for piece in (b"NO", b"OP", b"\r\n"):
                device.send(piece)
                time.sleep(0.02)
            device.expect("250")
            time.sleep(0.4)


@test
def slow_but_steady_is_not_cut():
    with Gateway(listener="idle = 2s") as g:
        device = g.connect()
        device.envelope()
        device.say("DATA", "354")
        for _ in range(50):
            device.send(b"y" * 98 + CRLF)
            time.sleep(0.08)
        device.say(b".\r\n", "250")


@test
def who_does_not_read_is_cut():
    with Gateway(listener="idle = 1s") as g:
        device = g.connect()
        device.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        end = time.monotonic() + 20
        device.s.settimeout(1)
        try:
            while time.monotonic() < end:
                device.send(b"HELP\r\n" * 1000)
        except OSError:
            pass
        assert time.monotonic() < end
        device.close()
        assert wait_until(lambda: not g.sessions())


@test
def endless_line_is_cut():
    with Gateway() as g:
        device = g.connect()
        try:
            for _ in range(3000):
                device.send(b"x" * 65536)
            raise AssertionError("200 MB of one line were taken")
        except OSError:
            pass
        device = g.connect()
        for _ in range(20):
            device.say(b"x" * 5000 + CRLF, "500 5.5.2")
        device.say(b"x" * 5000 + CRLF, "421 4.7.0", "<end>")


@test
def many_commands_are_cut():
    with Gateway() as g:
        device = g.connect()
        for _ in range(1000):
            device.send(b"NOOP\r\n")
        device.expect(*["250"] * 1000)
        device.say("NOOP", "421 4.7.0", "<end>")


# --- limits -------------------------------------------------------------------------------------------------------------------

@test
def per_peer_limit():
    with Gateway(listener="sessions = 5\nsessions_per_peer = 3") as g:
        first = [g.connect() for _ in range(3)]
        device = g.connect(greeting=False)
        device.expect("421 4.7.0", "<end>")
        others = [g.connect(source=("127.0.0.2", 0)) for _ in range(2)]
        g.connect(greeting=False, source=("127.0.0.3", 0)).expect("421 4.7.0", "<end>")
        first[0].say("QUIT", "221")
        assert wait_until(lambda: len(g.sessions()) == 4)
        g.connect(source=("127.0.0.3", 0)).say("NOOP", "250")
        assert "turned-away source=lan peer=127.0.0.1" in g.log()


@test
def full_listener_lets_wait():
    with Gateway(listener="sessions = 1") as g:
        first, second = g.connect(), g.connect(greeting=False)
        time.sleep(0.1)
        first.say("QUIT", "221")
        second.expect("220")
        third = g.connect(greeting=False)
        third.expect("421 4.7.0", "<end>")


def own_address():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(("192.0.2.1", 9))
    return s.getsockname()[0]


@test
def peers():
    address = own_address()
    with Gateway(host="0.0.0.0") as g:
        device = Device((address, g.address[1]), source=(address, 0))
        device.expect("554 5.7.1", "<end>")
        assert "peer=%s" % address in g.log()
        Device(("127.0.0.1", g.address[1])).expect("220")
    with Gateway(host="0.0.0.0", listener="peers = %s" % address) as g:
        device = Device((address, g.address[1]), source=(address, 0))
        device.expect("220")
        device.mail()
        equal(g.courier.questions[0].peer, bytes(10) + b"\xff\xff" + socket.inet_aton(address))
        Device(("127.0.0.1", g.address[1])).expect("220")


@test
def own_machine_is_no_crowd():
    address = own_address()
    with Gateway(host="0.0.0.0", listener="peers = %s" % address) as g:
        local = [Device(("127.0.0.1", g.address[1])) for _ in range(30)]
        strangers = [Device((address, g.address[1]), source=(address, 0)) for _ in range(21)]
        for device in local + strangers[:20]:
            device.expect("220")
        strangers[20].expect("421 4.7.0", "<end>")


@test
def refusals_do_not_fill_the_log():
    with Gateway(listener="sessions = 1") as g:
        keep = g.connect()
        for _ in range(100):
            g.connect(greeting=False).expect("421")
        equal(g.log().count("turned-away"), 20)


@test
def hundreds_idle():
    with Gateway(listener="sessions = 300\nsessions_per_peer = 300") as g:
        idle = [g.connect(greeting=False) for _ in range(500)]
        equal(sum(device.reply().startswith("220") for device in idle), 300)
        start = time.monotonic()
        got = g.connect(greeting=False).reply()
        assert got[:3] in ("220", "421") and time.monotonic() - start < 1, got


@test
def concurrent():
    """200 senders side by side, 3 mails each."""
    with Gateway(listener="sessions = 400\nsessions_per_peer = 400") as g:
        wrong = []

        def work(number):
            try:
                device = g.connect(timeout=60)
                device.say("EHLO x", "250")
                for i in range(3):
                    device.mail(b"n: %d %d\r\n\r\n" % (number, i) + b"z" * 5000 + CRLF, hello=False)
                device.say("QUIT", "221")
                device.close()
            except (AssertionError, OSError) as error:
                wrong.append((number, error))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(200)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        equal(wrong, [])
        equal(len({q.body for q in g.courier.questions}), 600)
        assert wait_until(lambda: len(g.courier.settled) == 600), len(g.courier.settled)
        assert wait_until(lambda: not g.sessions())


# --- signals --------------------------------------------------------------------------------------------------------------------

@test
def sigterm_between_commands():
    with Gateway() as g:
        fresh, begun = g.connect(), g.connect()
        begun.envelope()
        partial = g.connect()
        partial.send(b"EHL")
        time.sleep(0.1)
        g.signal(signal.SIGTERM)
        for device in (fresh, begun, partial):
            device.expect("421 4.3.2", "<end>")
            device.close()
        equal(g.wait(), 0)


@test
def sigterm_in_data():
    with Gateway() as g:
        device = g.connect()
        device.envelope()
        device.say("DATA", "354")
        device.send(b"half a mail\r\n")
        other = g.connect()
        other.envelope()
        other.send(b"BDAT 100\r\nhalf")
        time.sleep(0.1)
        g.signal(signal.SIGTERM)
        for d in (device, other):
            d.expect("421 4.3.2", "<end>")
            d.close()
        equal(g.wait(), 0)
        equal(g.log().count("outcome=later reason=shutdown"), 2)
        equal(g.courier.questions, [])


@test
def sigterm_while_waiting():
    with Gateway() as g:
        g.courier.behaviour = lambda c, q, n: c.deliver(q, n, delay=1.0)
        device = g.connect()
        device.envelope()
        device.say("DATA", "354")
        device.send(b"x\r\n.\r\n")
        assert wait_until(lambda: g.courier.questions)
        g.signal(signal.SIGTERM)
        device.expect("250 2.0.0", "421 4.3.2", "<end>")
        device.close()
        equal(g.wait(), 0)
        assert wait_until(lambda: len(g.courier.settled) == 1)


@test
def sigterm_to_everybody():
    """A control group is ended as a whole: sessions hear the signal too."""
    with Gateway() as g:
        g.courier.behaviour = lambda c, q, n: c.deliver(q, n, delay=0.5)
        idle = g.connect()
        device = g.connect()
        device.envelope()
        device.say("DATA", "354")
        device.send(b"x\r\n.\r\n")
        assert wait_until(lambda: g.courier.questions)
        for pid in g.sessions() + [g.pid]:
            os.kill(pid, signal.SIGTERM)
        idle.expect("421 4.3.2", "<end>")
        device.expect("250 2.0.0", "421 4.3.2", "<end>")
        idle.close()
        device.close()
        equal(g.wait(), 0)


@test
def sigterm_is_bounded():
    with Gateway(answer_within="1s") as g:
        g.courier.behaviour = lambda c, q, n: c.deliver(q, n, delay=5)
        device = g.connect()
        device.envelope()
        device.say("DATA", "354")
        device.send(b"x\r\n.\r\n")
        assert wait_until(lambda: g.courier.questions)
        g.signal(signal.SIGTERM)
        equal(g.wait(2.0), 0)


@test
def sighup_drains():
    with Gateway() as g:
        device = g.connect()
        g.signal(signal.SIGHUP)
        time.sleep(0.2)
        device.mail()
        equal(g.wait(0.2), None)
        device.say("QUIT", "221")
        equal(g.wait(), 0)
        assert wait_until(lambda: len(g.courier.settled) == 1)


@test
def two_generations():
    """The old one drains while a new one accepts on the same socket."""
    with Gateway() as g:
        old = g.connect()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        g.signal(signal.SIGHUP)
        time.sleep(0.1)
        waiting = g.connect(greeting=False)
        old.mail()
        old.say("QUIT", "221")
        equal(g.wait(), 0)
        waiting.close()


@test
def parent_dies_with_everything():
    with Gateway() as g:
        other, device = g.connect(), g.connect()
        sessions = g.sessions()
        equal(len(sessions), 2)
        g.signal(signal.SIGKILL)
        g.wait()
        assert device.at_end() and other.at_end()
        assert wait_until(lambda: not any(os.path.exists("/proc/%d" % pid) for pid in sessions))


# --- the jail ---------------------------------------------------------------------------------------------------------------------

@test
def session_is_locked_in():
    with Gateway() as g:
        devices = g.connect(), g.connect()
        equal(len(g.sessions()), len(devices))
        for pid in g.sessions():
            with open("/proc/%d/status" % pid) as f:
                status = f.read()
            assert "NoNewPrivs:\t1" in status
            assert SANDBOX == "off" or "Seccomp:\t2" in status
            if os.geteuid() == 0:
                # the standard three, the device, where questions go, scratch; no link to the keeper
                equal(sorted(int(n) for n in os.listdir("/proc/%d/fd" % pid)), list(range(6)))


# --- the other modes ----------------------------------------------------------------------------------------------------------------

@test
def single_on_a_local_socket():
    ours, theirs = socket.socketpair()
    with Gateway(mode="session", name="session", stdio=(theirs.fileno(), theirs.fileno())) as g:
        theirs.close()
        device = Device(ours)
        device.expect("220")
        device.mail()
        q = g.courier.questions[0]
        equal((q.source, q.source_kind, q.peer_known, q.peer_allowed), ("session", 1, 0, 1))
        device.say("QUIT", "221", "<end>")
        equal(g.wait(), 0)
        assert wait_until(lambda: len(g.courier.settled) == 1)


@test
def single_ends_only_when_all_is_settled():
    """Whoever lent us the connection may end us, and the courier that we have from him, at the end of file."""
    ours, theirs = socket.socketpair()
    with Gateway(mode="session", name="session", stdio=(theirs.fileno(), theirs.fileno())) as g:
        theirs.close()

        def slow(courier, mark, answer):
            time.sleep(0.4)
            courier.settle(mark, answer)

        g.courier.settling = slow
        device = Device(ours)
        device.expect("220")
        device.mail()
        device.say("QUIT", "221", "<end>")
        equal(len(g.courier.settled), 1)
        equal(g.wait(), 0)


@test
def single_on_pipes():
    for receiving in (True, False):
        in_read, in_write = os.pipe()
        out_read, out_write = os.pipe()
        with Gateway(mode="session", name="lan", stdio=(in_read, out_write), receiving=receiving) as g:
            os.close(in_read)
            os.close(out_write)
            os.write(in_write, b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<scan@example.test>\r\nDATA\r\n")
            with os.fdopen(in_write, "wb") as f:
                f.write((b"x" * 70 + CRLF) * 40000 + b".\r\nQUIT\r\n")
            with os.fdopen(out_read, "rb") as f:
                text = f.read().decode()
            assert re.search(r"354 .*\r\n250 2\.0\.0 .*\r\n221 .*\r\n$", text), text
            equal(g.wait(), 0)
            q = g.courier.questions[0]
            equal((q.source, q.peer_allowed, q.bytes), ("lan", 1, 72 * 40000))
            assert wait_until(lambda: len(g.courier.settled) == 1)


@test
def single_on_an_internet_socket():
    server = socket.create_server(("127.0.0.1", 0))
    ours = socket.create_connection(server.getsockname())
    theirs, _ = server.accept()
    with Gateway(mode="session", name="session", stdio=(theirs.fileno(), theirs.fileno())) as g:
        theirs.close()
        device = Device(ours)
        device.expect("220")
        device.mail()
        q = g.courier.questions[0]
        equal((q.peer_known, q.peer), (1, bytes(10) + b"\xff\xff\x7f\0\0\1"))
        g.queue.shutdown(socket.SHUT_RDWR)
        device.expect("421 4.3.2", "<end>")
        equal(g.wait(), 0)


def local_question(client, source, recipients=(b"scan@example.test",), kind=ASK_DELIVER, peer=None, fds=None):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    message = tempfile.TemporaryFile()
    message.write(b"x\r\n")
    message.flush()
    data = HEAD.pack(kind, 0, source.encode(), 77, 1 if peer else 0, 1, peer or bytes(16), b"root", 3, 0, 0, 1,
                     len(recipients), b"") + b"a@b\0" + b"".join(r + b"\0" for r in recipients)
    with open(message.fileno(), "rb", closefd=False) as again:
        socket.send_fds(client, [data], [again.fileno(), theirs.fileno()] if fds is None else fds)
    theirs.close()
    ours.settimeout(5)
    return ours


@test
def door():
    with Gateway(mode="door") as g:
        def knock():
            client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            client.connect(g.address)
            client.settimeout(5)
            return client

        stranger = bytes(10) + b"\xff\xff\xc0\0\2\7"
        rows = [("drop", None, (2, 0, 1)), ("drop", stranger, (2, 0, 1)), ("session", None, (1, 0, 1)),
                ("session", stranger, (1, 1, 0)), ("lan", stranger, (1, 1, 0)),
                ("lan", bytes(10) + b"\xff\xff\x7f\0\0\1", (1, 1, 1))]
        client = knock()
        for source, peer, expected in rows:
            answer = local_question(client, source, peer=peer)
            data, fds, _, _ = socket.recv_fds(answer, 1000, 4)
            equal((ANSWER.unpack(data)[0], len(fds)), (ASK_PROMISED, 1))
            equal(ANSWER.unpack(answer.recv(1000))[:2], (ASK_FINAL, 0))
            q = g.courier.questions[-1]
            equal((q.source_kind, q.peer_known, q.peer_allowed), expected, source)
            settle = HEAD.pack(ASK_SETTLE, 0, source.encode(), 0, 0, 0, bytes(16), b"", 0, 0, 0, 0, 0, b"") + b"\0"
            word, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            socket.send_fds(client, [settle], [fds[0], theirs.fileno()])
            theirs.close()
            word.settimeout(5)
            equal(ANSWER.unpack(word.recv(1000))[0], ASK_SETTLED)
            os.close(fds[0])
        assert wait_until(lambda: len(g.courier.settled) == len(rows)), g.courier.settled
        for bad in ({"source": "nobody"}, {"source": "drop", "kind": 3}, {"source": "drop", "kind": 9},
                    {"source": "drop", "fds": []}, {"source": "drop", "kind": ASK_SETTLE, "fds": [0]}):
            client = knock()
            answer = local_question(client, **bad)
            equal(answer.recv(100), b"", "not passed on: %r" % bad)
            equal(client.recv(100), b"")
        client = knock()
        client.send(b"nonsense")
        equal(client.recv(100), b"")
        equal(len(g.courier.questions), len(rows))
        client = knock()
        g.signal(signal.SIGTERM)
        equal(client.recv(100), b"", "the client learns that the gateway ends")
        client.close()
        equal(g.wait(), 0)


@test
def door_is_for_some():
    if os.geteuid() != 0:
        return
    for users, allowed in (("", False), ("12345", True), ("1,12345,7", True), ("1234", False)):
        with Gateway(mode="door", local_users=users) as g:
            os.chmod(g.folder.name, 0o755)
            os.chmod(g.address, 0o666)
            pid = os.fork()
            if pid == 0:
                os.setresuid(12345, 12345, 12345)
                client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                client.settimeout(1)
                client.connect(g.address)
                try:
                    os._exit(1 if client.recv(10) == b"" else 2)
                except socket.timeout:
                    os._exit(0)
                except OSError:
                    os._exit(1)
            _, status = os.waitpid(pid, 0)
            equal(os.waitstatus_to_exitcode(status), 0 if allowed else 1, users)


# --- the log ----------------------------------------------------------------------------------------------------------------------

@test
def early_refusals_are_logged():
    with Gateway() as g:
        device = g.connect()
        device.say("EHLO x", "250")
        device.say("MAIL FROM:<big@x> SIZE=999999999999", "552")
        device.say("MAIL FROM:<a@b>", "250")
        device.say("RCPT TO:<x@elsewhere.test>", "550 5.1.1")
        lines = [l for l in g.log().split("\n") if l.startswith("job=")]
        assert re.match(r'job=- source=lan peer=127.0.0.1 from="big@x" to="" route=- parts=0 bytes=0 outcome=refused '
                        r'reason=size text="[^"]+" took_ms=\d+$', lines[0]), lines
        assert re.match(r'job=- source=lan peer=127.0.0.1 from="a@b" to="x@elsewhere.test" route=- parts=0 bytes=0 '
                        r'outcome=refused reason=route text="[^"]+" took_ms=\d+$', lines[1]), lines


@test
def dialogue_at_debug():
    with Gateway(debug=True) as g:
        device = g.connect()
        device.say(b"EHLO \"x\x01\r\n", "250")
        device.say("QUIT", "221", "<end>")
        log = g.log()
        assert 'dialogue source=lan peer=127.0.0.1 in="EHLO \\"x\\x01"' in log, log
        assert re.search(r'dialogue source=lan peer=127.0.0.1 out="221 2.0.0 Bye"', log), log


@test
def broken_off_is_told():
    with Gateway() as g:
        device = g.connect()
        device.envelope()
        device.say("DATA", "354")
        device.send(b"half")
        device.close()
        assert wait_until(lambda: "unfinished source=lan peer=127.0.0.1" in g.log())
        equal(g.courier.questions, [])


def main():
    global PROGRAM, SANDBOX
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--sandbox", default="best")
    parser.add_argument("--only", default="")
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    PROGRAM, SANDBOX = os.path.abspath(arguments.program), arguments.sandbox
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    failed = 0
    for function in TESTS:
        if arguments.only not in function.__name__:
            continue
        if arguments.list:
            print(function.__name__)
            continue
        start = time.monotonic()
        try:
            function()
            print("ok   smtp/%s (%.1f s)" % (function.__name__, time.monotonic() - start), flush=True)
        except Exception as error:  # a failed test must not hide the others
            failed += 1
            line = traceback.extract_tb(error.__traceback__)[1].lineno
            print("FAIL smtp/%s, line %d: %s" % (function.__name__, line, error or type(error).__name__), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
