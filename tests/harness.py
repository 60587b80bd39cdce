"""What the tests of the running programs have in common: a gateway, a mail, a scripted device, a look at the share.

A test is a function called test_... in a file test_*.py; it gets a Place, a fresh folder with everything it may want.
It fails by an exception. Nothing here is imported from outside Python's own library."""

import base64
import contextlib
import ctypes
import hashlib
import os
import re
import signal
import shutil
import socket
import struct
import subprocess
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
BUILD = os.environ.get("LETTERCHUTE_BUILD", os.path.join(ROOT, "build"))
PROGRAM = os.path.join(BUILD, "letterchute")
IS_ROOT = os.geteuid() == 0

# In a jail the leak checker of a sanitized program waits for ever; leaks are looked for by the unit tests.
os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=0:abort_on_error=1")
IS_SANITIZED = os.environ.get("LETTERCHUTE_SANITIZED") == "1"

# How often, how many: a campaign is told, the default run takes the short form.
COUNT = int(os.environ.get("LETTERCHUTE_COUNT", "0"))

# A sanitized program is slower, and its processes take longer to start.
PATIENCE = 4 if IS_SANITIZED else 1


class Skip(Exception):
    """This machine can't run the test, for the reason given."""


def needs_root(test):
    test.needs_root = True
    return test


def rows(table):
    """Runs a test once for each row of a table; the first column names the row."""

    def mark(test):
        test.rows = table
        return test

    return mark


def require(condition, text="condition does not hold"):
    if not condition:
        raise AssertionError(text() if callable(text) else text)


def equal(found, wanted, text=""):
    if found != wanted:
        raise AssertionError(f"{text}: found {found!r}, wanted {wanted!r}")


def wait_for(condition, seconds=10, text="it did not happen in time"):
    limit = time.monotonic() + seconds * PATIENCE
    while time.monotonic() < limit:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(text() if callable(text) else text)


# --- mails -----------------------------------------------------------------------------------------------------------

PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffdb004300") + b"\x08" * 64 + bytes.fromhex("ffd9")
EXE = b"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00" + b"\x00" * 48 + b"PE\x00\x00" + b"\x00" * 200


def pdf(size, seed=0):
    """A PDF of exactly `size` octets that no other seed gives."""
    line = hashlib.sha256(str(seed).encode()).hexdigest().encode() + b"\n"
    body = (line * (size // len(line) + 1))[: max(0, size - len(PDF))]
    return (PDF + body)[:size]


def part(content, name="scan.pdf", declared="application/pdf", disposition="attachment", headers=()):
    lines = [f"Content-Type: {declared}; name=\"{name}\"" if name else f"Content-Type: {declared}",
             "Content-Transfer-Encoding: base64"]
    if disposition:
        lines.append(f"Content-Disposition: {disposition}; filename=\"{name}\"" if name
                     else f"Content-Disposition: {disposition}")
    lines.extend(headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + base64.encodebytes(content).replace(b"\n", b"\r\n")


def mail(*parts, sender="scanner@example.org", to="scans@example.org", subject="Scan", text="see the scan", headers=(),
         message_id=True):
    """A message of CRLF lines, as a device sends it."""
    top = [f"From: {sender}", f"To: {to}", f"Subject: {subject}", "MIME-Version: 1.0"]
    if message_id:
        top.append(f"Message-ID: <{time.monotonic_ns()}@device>")
        top.append("Date: Sat, 21 Nov 2026 10:00:00 +0000")
    top.extend(headers)
    top.append("Content-Type: multipart/mixed; boundary=\"=b0undary\"")
    bodies = []
    if text is not None:
        bodies.append(b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + text.encode() + b"\r\n")
    bodies.extend(parts)
    out = "\r\n".join(top).encode() + b"\r\n\r\n"
    for body in bodies:
        out += b"--=b0undary\r\n" + body
        if not out.endswith(b"\r\n"):
            out += b"\r\n"
    return out + b"--=b0undary--\r\n"


def scan(size=None, **more):
    return mail(part(pdf(size) if size else PDF), **more)


# --- a device --------------------------------------------------------------------------------------------------------

class Device:
    """A client that says exactly what it is told, octet for octet."""

    def __init__(self, port, host="127.0.0.1", timeout=30, greet=True, family=socket.AF_INET, source=None):
        self.socket = socket.socket(family)
        self.socket.settimeout(timeout * PATIENCE)
        if source:
            self.socket.bind(source)
        self.socket.connect((host, port))
        self.buffer = b""
        self.greeting = self.reply() if greet else None

    def send(self, octets):
        self.socket.sendall(octets if isinstance(octets, bytes) else octets.encode())

    def line(self):
        while b"\n" not in self.buffer:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError("the gateway closed the connection")
            self.buffer += more
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode().rstrip("\r")

    def reply(self):
        """The text of one reply, its lines joined."""
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        return "\n".join(lines)

    def say(self, line):
        self.send(line + "\r\n")
        return self.reply()

    def envelope(self, sender="scanner@example.org", to=("scans@example.org",), size=None):
        self.say("EHLO device")
        more = f" SIZE={size}" if size is not None else ""
        reply = self.say(f"MAIL FROM:<{sender}>{more}")
        if not reply.startswith("250"):
            return reply
        for one in to:
            reply = self.say(f"RCPT TO:<{one}>")
        return reply

    def data(self, message):
        reply = self.say("DATA")
        if not reply.startswith("354"):
            return reply
        if not message.endswith(b"\r\n"):
            message += b"\r\n"
        self.send(re.sub(rb"(?m)^\.", b"..", message) + b".\r\n")
        return self.reply()

    def deliver(self, message, **envelope):
        reply = self.envelope(**envelope)
        return self.data(message) if reply.startswith("250") else reply

    def quit(self):
        with contextlib.suppress(OSError, EOFError):
            self.say("QUIT")
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes with a reset: nothing that is still in flight is ever read."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def is_closed(self):
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True


def send(port, message, **envelope):
    """One message on a connection of its own; the reply."""
    device = Device(port)
    try:
        return device.deliver(message, **envelope)
    finally:
        device.quit()


# --- the gateway -----------------------------------------------------------------------------------------------------

class Gateway:
    """`letterchute run`, its log, its ports."""

    def __init__(self, arguments, log_path, wrapper=(), environment=None, program=PROGRAM):
        self.log_path = log_path
        self.arguments = [*wrapper, program, "run", *arguments]
        self.config = arguments[arguments.index("-c") + 1] if "-c" in arguments else ""
        self.environment = {**os.environ, **(environment or {})}
        self.process = None
        self.ports = {}

    def runs(self):
        return self.process is not None and self.process.poll() is None

    def start(self, ready=True):
        require(not self.runs(), "it runs already, and would not be ended")
        self.offset = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.arguments, stderr=log, stdout=log, env=self.environment)
        if ready:
            wait_for(self.is_ready, 20, f"the gateway did not start:\n{self.log()}")
        return self

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the gateway ended with {self.process.returncode}:\n{self.log()}")
        found = re.findall(r"^(?:<\d>)?ready source=(\S+) addr=(\S+):(\d+)", self.fresh_log(), re.M)
        for name, _, port in found:
            self.ports[name] = int(port)
        return bool(found) and self.told_all()

    def told_all(self):
        """A line each for those that its configuration file has listen: they don't come all at once."""
        if not os.path.isfile(self.config):
            return True
        with open(self.config, errors="replace") as config:
            text = config.read()
        return (set(re.findall(r"^\[smtp (\S+)\]", text, re.M)) <= set(self.ports) and
                ("\n[http]" not in text or "ready service=http " in self.fresh_log()))

    @property
    def port(self):
        return self.ports.get("lan") or next(iter(self.ports.values()))

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def fresh_log(self):
        """What came since the last start."""
        return self.log()[self.offset:]

    def lines(self):
        """The lines of messages, each as a dict."""
        found = []
        for line in self.log().splitlines():
            if " outcome=" in line:
                found.append({k: v.strip('"') for k, v in re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)', line)})
        return found

    def last(self, count=1):
        """The last line of a message, once there are that many."""
        wait_for(lambda: len(self.lines()) >= count, 10, "no line for the message in the log")
        return self.lines()[-1]

    def children(self):
        """Process ids of the whole tree below the gateway, with their names."""
        return tree(self.process.pid)

    def reload(self, words="the new configuration holds"):
        """Has it read its configuration again; it says so in these words."""
        count = self.log().count(words)
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: self.log().count(words) > count, 10, lambda: f"no word of the reload:\n{self.log()}")

    def stop(self, wanted=0):
        if not self.process or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(40 * PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the gateway did not end:\n{self.log()}") from None
        if wanted is not None:
            equal(code, wanted, f"exit status of the gateway; log:\n{self.log()}")

    def kill(self):
        """kill -9 of the whole tree, at once."""
        pids = [pid for pid, _ in self.children()]
        for pid in [self.process.pid, *pids]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(20)

    def __enter__(self):
        return self if self.runs() else self.start()

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.stop()
        else:
            with contextlib.suppress(Exception):
                self.stop(None)
            if self.process and self.process.poll() is None:
                self.kill()


def tree(root):
    parents = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, IndexError):
            with open(f"/proc/{pid}/stat") as stat:
                text = stat.read()
            name = text[text.index("(") + 1:text.rindex(")")]
            parents[int(pid)] = (int(text[text.rindex(")") + 2:].split()[1]), name)
    found, front = [], [root]
    while front:
        at = front.pop()
        for pid, (parent, name) in parents.items():
            if parent == at:
                found.append((pid, name))
                front.append(pid)
    return found


GONE = (FileNotFoundError, ProcessLookupError)  # what a look at a process fails by that ends meanwhile


def proc_file(pid, name):
    """The octets of /proc/PID/NAME; none when the process has gone."""
    with contextlib.suppress(*GONE):
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    return b""


def command_line(pid):
    """Empty when it has ended, also where it is not buried yet."""
    return proc_file(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace")


def processes(gateway, words):
    """Those below the gateway whose command line says this."""
    return [pid for pid, _ in gateway.children() if words in command_line(pid)]


def children(pid):
    """Of a process with one thread."""
    return [int(word) for word in proc_file(pid, f"task/{pid}/children").split()]


def status_of(pid, field):
    """The first word of a line of /proc/PID/status; None: it has ended, and is perhaps not buried yet."""
    found = re.search(rf"^{field}:\s+(\S+)", proc_file(pid, "status").decode(errors="replace"), re.M)
    return found and found.group(1)


def cpu_s(root):
    """Processor time of a process and all below it, their dead included."""
    ticks = 0
    for pid in [root, *(pid for pid, _ in tree(root))]:
        ticks += sum(int(word) for word in proc_file(pid, "stat").rpartition(b")")[2].split()[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


# --- a place for a test ----------------------------------------------------------------------------------------------

class Place:
    def __init__(self, folder):
        self.folder = folder
        self.program = PROGRAM
        self.share = self.make("share")
        self.state = os.path.join(folder, "state")
        self.gateways = []
        self.undo = []
        os.chmod(folder, 0o755)

    def open_to_all(self):
        """Any user may work here, with programs that may have been built where only root comes."""
        programs = self.make("bin")
        names = [name for name in os.listdir(BUILD) if name == "letterchute" or re.fullmatch("letterchute-[a-z]+", name)]
        # not by us: what another thread starts meanwhile would hold the copy open, and nobody could execute it
        subprocess.run(["cp", *(os.path.join(BUILD, name) for name in names), programs], check=True)
        self.program = os.path.join(programs, "letterchute")
        for folder in (self.folder, self.share):
            os.chmod(folder, 0o777)

    def make(self, name, mode=0o755):
        path = os.path.join(self.folder, name)
        os.mkdir(path)
        os.chmod(path, mode)
        return path

    def file(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as out:
            out.write(content if isinstance(content, bytes) else content.encode())
        return path

    def config(self, text="", route="types = pdf, jpeg, png, tiff", share="", gateway="", smtp="", name="gateway.conf",
               tls="off", listen="127.0.0.1:0"):
        """A configuration: the usual one with lines added to its sections, `text` behind it."""
        whole = (f"[gateway]\nstate = {self.state}\n{gateway}\n"
                 f"[smtp lan]\nlisten = {listen}\ntls = {tls}\n{smtp}\n"
                 f"[share]\npath = {self.share}\nfree_floor = 0\nname = {{name}}\n{share}\n"
                 f"{text}\n")
        if route is not None:
            whole += f"[route scans]\n{route}\n"
        return self.file(name, whole)

    def gateway(self, *arguments, config=None, wrapper=(), log="gateway.log", environment=None, **texts):
        if config is None and "--share" not in arguments:
            config = self.config(**texts)
        if config:
            arguments = ("-c", config, *arguments)
        gateway = Gateway(list(arguments), os.path.join(self.folder, log), wrapper, environment, self.program)
        self.gateways.append(gateway)
        return gateway

    def files(self, share=None):
        """What a user of the share sees: path -> content."""
        share = share or self.share
        found = {}
        for at, folders, names in os.walk(share):
            if at == share and ".letterchute" in folders:
                folders.remove(".letterchute")
            for name in names:
                path = os.path.join(at, name)
                with open(path, "rb") as content:
                    found[os.path.relpath(path, share)] = content.read()
        return found

    def folders(self):
        return sorted(os.path.relpath(os.path.join(at, f), self.share) for at, folders, _ in os.walk(self.share)
                      for f in folders if ".letterchute" not in os.path.join(at, f))

    def staged(self, share=None):
        """Files in our folder on the share, identity apart. The first look at a share, which a start takes, may be under
        way: what is gone within two seconds is none."""
        base = os.path.join(share or self.share, ".letterchute")
        limit = time.monotonic() + 2
        while True:
            found = [os.path.join(at, name) for at, _, names in os.walk(base) for name in names if name != "id"]
            if not found or time.monotonic() > limit:
                return found
            time.sleep(0.02)

    def spool(self, name):
        base = os.path.join(self.state, "spool", name)
        return sorted(name for _, _, names in os.walk(base) for name in names)

    def marks(self):
        return self.spool("done")

    def quarantine(self):
        base = os.path.join(self.state, "quarantine")
        return sorted(os.listdir(base)) if os.path.isdir(base) else []

    def run(self, *arguments, stdin=b"", timeout=60, **more):
        """Runs a verb; the finished process."""
        return subprocess.run([self.program, *arguments], input=stdin, capture_output=True, timeout=timeout * PATIENCE,
                              **more)

    def later(self, function, *arguments):
        """Something to undo at the end, last first."""
        self.undo.append((function, arguments))

    def mount(self, *command, at):
        """Runs a mount command; unmounts at the end."""
        os.makedirs(at, exist_ok=True)
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            raise AssertionError(f"{' '.join(command)}: {result.stderr}")
        self.later(unmount, at)
        return at

    def bindfs(self, below, at, *options):
        """A share in user space that a test can stop or kill: its process. It is gone at the end, whatever became of it."""
        os.makedirs(at, exist_ok=True)
        server = subprocess.Popen(["bindfs", "-f", *options, below, at], stderr=subprocess.DEVNULL)

        def end():
            server.kill()
            server.wait()
            subprocess.run(["umount", "-l", at], capture_output=True)
        self.later(end)
        wait_for(lambda: os.path.ismount(at), 10, "bindfs does not mount")
        return server

    def close(self):
        for gateway in self.gateways:
            if gateway.process and gateway.process.poll() is None:
                gateway.kill()
        for function, arguments in reversed(self.undo):
            with contextlib.suppress(Exception):
                function(*arguments)


def unmount(at):
    for command in (["fusermount3", "-u", at], ["umount", at], ["umount", "-l", at]):
        if subprocess.run(command, capture_output=True).returncode == 0:
            return


# --- a network of its own ---------------------------------------------------------------------------------------------

def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    require(done.returncode == 0, f"{' '.join(command)}: {done.stderr}")


class Wire:
    """A network namespace, and the one wire that leads from it to us: our end is called as it is, has the addresses `ours`,
    each with its mask, and theirs is `wire`. For root."""

    def __init__(self, place, ours, theirs):
        self.name = f"lc{time.monotonic_ns() % 10 ** 8}"
        self.inside = ("ip", "netns", "exec", self.name)
        place.later(run, "ip", "netns", "del", self.name)
        run("ip", "netns", "add", self.name)
        place.later(run, "ip", "link", "del", self.name)
        run("ip", "link", "add", self.name, "type", "veth", "peer", "name", "wire", "netns", self.name)
        for address in ours:
            run("ip", "addr", "add", address, "dev", self.name)
        run("ip", "link", "set", self.name, "up")
        run(*self.inside, "ip", "link", "set", "lo", "up")
        run(*self.inside, "ip", "addr", "add", theirs, "dev", "wire")
        run(*self.inside, "ip", "link", "set", "wire", "up")


# --- watching a folder ------------------------------------------------------------------------------------------------

class Watch:
    """inotify on one folder: events as (name of the event, file)."""

    NAMES = {0x1: "ACCESS", 0x2: "MODIFY", 0x4: "ATTRIB", 0x8: "CLOSE_WRITE", 0x10: "CLOSE_NOWRITE", 0x20: "OPEN",
             0x40: "MOVED_FROM", 0x80: "MOVED_TO", 0x100: "CREATE", 0x200: "DELETE"}

    def __init__(self, folder, mask=0x2 | 0x8 | 0x40 | 0x80 | 0x100 | 0x200):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_NONBLOCK)
        require(libc.inotify_add_watch(self.fd, folder.encode(), mask) >= 0, "inotify_add_watch")

    def events(self):
        try:
            data = os.read(self.fd, 1 << 20)
        except BlockingIOError:
            return []
        found = []
        while data:
            _, mask, _, length = struct.unpack_from("iIII", data)
            name = data[16:16 + length].rstrip(b"\0").decode()
            data = data[16 + length:]
            found.extend((word, name) for bit, word in self.NAMES.items() if mask & bit)
        return found


class Consumer(threading.Thread):
    """Reads every file of a share as soon as it sees it, over and over, as an eager program would; tells what it ever
    saw that was not whole."""

    def __init__(self, share, is_whole):
        super().__init__(daemon=True)
        self.share, self.is_whole = share, is_whole
        self.partial, self.looks, self.ending = [], 0, False

    def run(self):
        while not self.ending:
            for entry in os.scandir(self.share):
                if entry.name == ".letterchute":
                    continue
                with contextlib.suppress(FileNotFoundError):
                    with open(entry.path, "rb") as content:
                        if not self.is_whole(content.read()):
                            self.partial.append(entry.name)
            self.looks += 1

    def end(self):
        self.ending = True
        self.join()
