"""Signed mails, made by python3-dkim in the system's own interpreter with keys that are made when they are wanted; and
where their public halves are to be found: in a file, or by a server for names."""

import base64
import contextlib
import fcntl
import functools
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

import harness
from harness import require, wait_for
from nameserver import ANSWER, TRUNCATED, NameServer, put_together, take_apart

INTERPRETER = "/usr/bin/python3"

# One JSON object in: message, selector, domain, key (base64 or text), and what else dkim.sign takes; the field out.
SCRIPT = """
import base64, dkim, json, sys, time
given = json.load(sys.stdin)
message = base64.b64decode(given.pop("message"))
ahead = given.pop("ahead", 0)
now = time.time
dkim.time.time = lambda: now() + ahead
key = given.pop("key").encode()
more = {name: tuple(one.encode() for one in value) if isinstance(value, list) else
        value.encode() if isinstance(value, str) else value for name, value in given.items()}
dkim.HASH_ALGORITHMS.setdefault(b"rsa-sha1", __import__("hashlib").sha1)
signer = dkim.DKIM(message, linesep=b"\\r\\n")
signer.should_not_sign = set()
sys.stdout.buffer.write(signer.sign(more.pop("selector"), more.pop("domain"), key, **more))
"""


def once(function):
    """The same for all tests that run side by side."""
    kept, lock = functools.lru_cache(None)(function), threading.Lock()

    def call(*arguments):
        with lock:
            return kept(*arguments)
    return call


@once
def rsa(bits, name=""):
    """PEM of a private key, and base64 of its public half; as many as there are names."""
    folder = tempfile.mkdtemp()
    try:
        path = os.path.join(folder, "key")
        subprocess.run(["openssl", "genrsa", "-traditional", "-out", path, str(bits)], check=True, capture_output=True)
        public = subprocess.run(["openssl", "rsa", "-in", path, "-pubout", "-outform", "DER"], check=True,
                                capture_output=True).stdout
        with open(path) as pem:
            return pem.read(), base64.b64encode(public).decode()
    finally:
        shutil.rmtree(folder)


@once
def ed25519():
    """Base64 of both halves."""
    folder = tempfile.mkdtemp()
    try:
        path = os.path.join(folder, "key")
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", path], check=True, capture_output=True)
        halves = [subprocess.run(["openssl", "pkey", "-in", path, "-outform", "DER", *more], check=True,
                                 capture_output=True).stdout[-32:] for more in ([], ["-pubout"])]
        return tuple(base64.b64encode(half).decode() for half in halves)
    finally:
        shutil.rmtree(folder)


def record(public, kind="rsa", more=""):
    return f"v=DKIM1; k={kind}; {more}p={public}"


def field(message, domain="example.org", selector="sel", key=None, **more):
    """The DKIM-Signature field of a message, CRLF included."""
    given = {"message": base64.b64encode(message).decode(), "selector": selector, "domain": domain,
             "key": key or rsa(2048)[0], **more}
    done = subprocess.run([INTERPRETER, "-c", SCRIPT], input=json.dumps(given).encode(), capture_output=True)
    require(done.returncode == 0 and done.stdout, done.stderr.decode())
    return done.stdout


def signed(message=None, **more):
    message = message or scan()
    return field(message, **more) + message


scan = functools.partial(harness.scan, 3000)


def keys(place, records=None):
    """A file of keys: that of `field`, or these: name -> record."""
    records = records if records is not None else {"sel._domainkey.example.org": record(rsa(2048)[1])}
    return place.file("keys", "# of the tests\n\n" + "".join(f"{name} {text}\n" for name, text in records.items()))


# --- a server for names ------------------------------------------------------------------------------------------------

NO_SUCH_NAME, SERVER_FAILED, REFUSED = 3, 2, 5
TXT, CNAME = 16, 5


def labels(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def strings(text):
    octets = text.encode()
    return b"".join(bytes([len(octets[at:at + 255])]) + octets[at:at + 255] for at in range(0, len(octets), 255))


class Names(NameServer):
    """`records`: name -> a record, a list of them, a code to answer with, or None: no answer at all. What is not there
    there is not. An answer of more than 512 octets is for TCP."""

    def __init__(self, place, records, host="127.0.0.1", port=0):
        self.records, self.asked = records, []
        super().__init__(place, host, port)
        self.address = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def answer(self, question, is_stream):
        name, _, question = take_apart(question)
        self.asked.append((name.lower(), is_stream))
        found = self.records.get(name.lower(), NO_SUCH_NAME)
        if found is None:
            return None
        if isinstance(found, int):
            return put_together(question, ANSWER | found)
        whole = put_together(question, ANSWER, [(CNAME, labels(text[1:])) if text.startswith("@") else (TXT, strings(text))
                                                for text in (found if isinstance(found, list) else [found])])
        return whole if is_stream or len(whole) <= 512 else put_together(question, ANSWER | TRUNCATED)


def free_port():
    """For datagrams and for streams, as far as one can know."""
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams, socket.socket() as streams:
        datagrams.bind(("127.0.0.1", 0))
        streams.bind(datagrams.getsockname())
        return datagrams.getsockname()[1]


def is_answering(port, name):
    with socket.socket(type=socket.SOCK_DGRAM) as client, contextlib.suppress(OSError):
        client.settimeout(0.2)
        client.connect(("127.0.0.1", port))
        client.send(b"\0\1\1\0\0\1\0\0\0\0\0\0" + labels(name) + struct.pack(">HH", TXT, 1))
        return bool(client.recv(4096))
    return False


def dnsmasq(place, name, text):
    """A real one, with one record; ADDRESS:PORT."""
    pieces = ",".join(text[at:at + 250] for at in range(0, len(text), 250))
    for _ in range(5):
        try:
            port = free_port()
        except OSError:
            continue  # somebody streams there
        process = subprocess.Popen(["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--pid-file=", f"--port={port}",
                                    "--listen-address=127.0.0.1", "--bind-interfaces", "--no-resolv", "--no-hosts",
                                    "--local=/#/", f"--txt-record={name},{pieces}"], stderr=subprocess.DEVNULL)
        place.later(process.wait)
        place.later(process.kill)
        if wait_for(lambda: is_answering(port, name) or process.poll() is not None, 10, "dnsmasq does not answer") and \
                process.poll() is None:
            return f"127.0.0.1:{port}"
    raise AssertionError("dnsmasq gets no port")


# --- the prover by itself ----------------------------------------------------------------------------------------------

NOTHING, RELATED, SIGNED, DIED = 1, 2, 3, 4
MESSAGE, LOOK = 1, 2


class Answer:
    def __init__(self, octets):
        self.verdict, self.unsure, self.status, text = struct.unpack("IIi192s", octets)
        self.text = text.split(b"\0")[0].decode()

    def __repr__(self):
        return f"({self.verdict}, {self.unsure}, {self.status}, {self.text!r})"


class Prover:
    """letterchute-prove, with ourselves in the place of the boss and of couriers."""

    def __init__(self, place, program, records=None, resolver="none", environment=None):
        text = (f"[gateway]\nstate = {place.state}\ndkim_resolver = {resolver}\n"
                f"[smtp lan]\nlisten = 127.0.0.1:0\n[share]\npath = {place.share}\n[route a]\nauth = dkim\n")
        configuration = os.open(place.file("prover.conf", text), os.O_RDONLY)
        found = os.open(keys(place, records), os.O_RDONLY)
        self.asks, questions = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.log = os.path.join(place.folder, "prover.log")
        parent = os.getpid()
        with open(self.log, "ab") as log:
            fds = [os.dup(fd) for fd in (configuration, questions.fileno(), found)]

            def place_them():
                high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 50) for fd in fds]
                for at, fd in enumerate(high):
                    os.dup2(fd, 3 + at)
            self.process = subprocess.Popen([program, "alone"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            close_fds=False, preexec_fn=place_them,
                                            env={"LETTERCHUTE_PARENT": str(parent), **(environment or {}),
                                                 **{name: value for name, value in os.environ.items() if "SAN_OPT" in name}})
        for fd in (*fds, configuration, found):
            os.close(fd)
        questions.close()
        place.later(self.process.wait)
        place.later(self.process.kill)

    def send(self, message, domain="example.org", relaxed=False, kind=MESSAGE, seconds=25):
        """Where the answer will come."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        deadline = int((time.clock_gettime(time.CLOCK_MONOTONIC) + seconds) * 1000)
        question = struct.pack("IIQq256s", kind, relaxed, len(message), deadline, domain.encode())
        with theirs, tempfile.TemporaryFile() as file:
            file.write(message)
            file.flush()
            fds = [theirs.fileno()] + ([file.fileno()] if kind == MESSAGE else [])
            socket.send_fds(self.asks, [question], fds)
        return ours

    def ask(self, message=b"", **more):
        with self.send(message, **more) as ours:
            ours.settimeout(60)
            octets = ours.recv(1000)
        return Answer(octets) if octets else None

