"""The owner is told why a device fails: `watch-device` live, `status` afterwards."""

import base64
import contextlib
import json
import os
import signal
import subprocess
import time

from harness import (EXE, IS_SANITIZED, Device, equal, mail, needs_root, part, processes, require, rows, scan, send,
                     wait_for)

PLACES = 40  # of failed sessions, 8 kB each


def config_of(gateway):
    at = gateway.arguments.index("-c", gateway.arguments.index("run"))
    return gateway.arguments[at:at + 2]


class Watcher:
    """`letterchute watch-device`, its lines, what it says about itself."""

    def __init__(self, place, gateway, *options, sources=("lan",), wrapper=()):
        self.out_path = os.path.join(place.folder, f"watch{id(self)}.out")
        self.error_path = os.path.join(place.folder, f"watch{id(self)}.err")
        with open(self.out_path, "wb") as out, open(self.error_path, "wb") as error:
            self.process = subprocess.Popen([*wrapper, place.program, "watch-device", *config_of(gateway), *options],
                                            stdout=out, stderr=error)
        place.later(self.kill)
        self.wait_welcome(len(sources))

    def wait_welcome(self, count):
        wait_for(lambda: self.process.poll() is not None or self.errors().count("-- watching") >= count, 20, self.errors)
        equal(self.process.poll(), None, self.errors())

    def text(self):
        with open(self.out_path, errors="replace") as out:
            return out.read()

    def errors(self):
        with open(self.error_path, errors="replace") as error:
            return error.read()

    def wait_text(self, words, count=1):
        wait_for(lambda: self.text().count(words) >= count, 20, lambda: f"{words} was not told:\n{self.text()}")

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def end(self):
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        equal(self.process.wait(10), -signal.SIGINT, self.errors())


def status(place, gateway, source="lan"):
    result = place.run("status", "--json", *config_of(gateway))
    equal(result.returncode, 0, result.stderr)
    for line in result.stdout.decode().splitlines():
        found = json.loads(line)
        if found.get("source") == source:
            return found
    raise AssertionError(f"{source} is not in {result.stdout}")


def failed(place, gateway, count=1):
    """The sessions that failed, the last first."""
    wait_for(lambda: len(status(place, gateway)["failed"]) >= count, 10, "the failure is not told")
    return status(place, gateway)["failed"]


def device_at(gateway, address):
    """From another address of this machine."""
    return Device(gateway.port, source=(address, 0))


def test_live(place):
    """Each line as it happens, who says it, and at the end why it ended."""
    gateway = place.gateway().start()
    watcher = Watcher(place, gateway)
    device = Device(gateway.port)
    device.say("EHLO camera")
    watcher.wait_text("127.0.0.1  #1  device  EHLO camera")
    watcher.wait_text("answer  250 CHUNKING")
    require("ended" not in watcher.text())
    require(device.data(b"").startswith("503"))
    watcher.wait_text("answer  503 5.5.1 Say MAIL first")
    device.close()
    watcher.wait_text("#1  failed  says its commands in an order")
    require(send(gateway.port, scan(size=9000)).startswith("250"))
    watcher.wait_text("#2  ended   delivered 1 mail")
    require("octets of a mail)" in watcher.text() and "%PDF" not in watcher.text())
    watcher.end()
    gateway.stop()


def test_json(place):
    gateway = place.gateway().start()
    watcher = Watcher(place, gateway, "--json")
    require(send(gateway.port, scan()).startswith("250"))
    watcher.wait_text('"who":"ended"')
    lines = [json.loads(line) for line in watcher.text().splitlines()]
    equal({line["peer"] for line in lines}, {"127.0.0.1"})
    equal(lines[1]["who"], "device")
    equal(lines[1]["text"], "EHLO device")
    gateway.stop()


SECRET = "hunter22"
CODED = base64.b64encode(SECRET.encode()).decode()
PLAIN = base64.b64encode(f"\0user\0{SECRET}".encode()).decode()


@rows([
    ("AUTH PLAIN with its answer", f"AUTH PLAIN {PLAIN}\r\n"),
    ("lower case, a tab", f"auth\tplain\t{PLAIN}\r\n"),
    ("AUTH LOGIN, and answers although none were asked for", f"AUTH LOGIN\r\ndXNlcg==\r\n{CODED}\r\n"),
    ("the password in the mechanism's place", f"AUTH {CODED}\r\n"),
    ("POP3", f"USER user\r\nPASS {SECRET}\r\n"),
    ("IMAP", f"a1 LOGIN user {SECRET}\r\n"),
    ("HTTP", f"GET /?password={SECRET} HTTP/1.0\r\nAuthorization: Basic {PLAIN}\r\n\r\n"),
])
def test_secrets(place, lines):
    """A password is seen nowhere: not live, not in what is kept, not in the debug log."""
    gateway = place.gateway("-v")
    gateway.start()
    watcher = Watcher(place, gateway)
    device = Device(gateway.port)
    device.say("EHLO camera")
    device.send(lines)
    with contextlib.suppress(OSError, EOFError):
        device.reply()
    device.close()
    watcher.wait_text("failed")
    require("(not shown)" in watcher.text(), watcher.text)
    kept = json.dumps(failed(place, gateway)) + place.run("watch-device", "--last", *config_of(gateway)).stdout.decode()
    require("EHLO camera" in kept, kept)
    with open(os.path.join(place.state, "spool", "sources", "lan"), "rb") as state:
        kept += state.read().decode("latin-1")
    for secret in (SECRET, CODED, PLAIN):
        for where, text in (("live", watcher.text()), ("kept", kept), ("log", gateway.log())):
            require(secret not in text, f"{secret} is {where}:\n{text}")
    require("EHLO camera" in gateway.log())
    gateway.stop()


def hang_up(device):
    device.close()


def quit_politely(device):
    device.quit()


def in_the_mail(device):
    device.envelope()
    device.say("DATA")
    device.send(b"From: a\r\n")
    device.close()


def bare_lf(device):
    device.deliver(scan().replace(b"\r\n", b"\n") + b"\r\n")
    device.quit()


DEVICES = [
    ("EHLO, then gone", ["EHLO x"], hang_up, "hung up after our answer to EHLO, which offers no STARTTLS"),
    ("EHLO, then QUIT", ["EHLO x"], quit_politely, "left after our answer to EHLO"),
    ("AUTH is not offered", ["EHLO x", "HELO x", "AUTH LOGIN"], quit_politely, "no login is offered"),
    ("STARTTLS is not offered", ["EHLO x", "STARTTLS"], quit_politely, "asks for STARTTLS on a port without it"),
    ("a browser", ["GET / HTTP/1.1"], hang_up, "HTTP"),
    ("an unknown command", ["EHLO x", "XAUTHENTIC a"], quit_politely, "left after a command that is not known: XAUTHENTIC"),
    ("a sender without an address", ["EHLO x", "MAIL FROM:<a@b@c>"], quit_politely, "sender address is refused"),
    ("a recipient that no route takes", ["EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<x@nowhere>"], quit_politely,
     "the recipient is refused"),
    ("too big", ["EHLO x", "MAIL FROM:<a@b> SIZE=999999999999"], quit_politely, "its mail is too big"),
    ("hangs up in the mail", [], in_the_mail, "hung up inside the mail, before its end"),
    ("bare LF", [], bare_lf, "set line_ends = lenient"),
    ("nothing at all", [], lambda device: None, "connected and said nothing"),
]


@rows(DEVICES)
def test_diagnosis(place, lines, ends, words):
    """The words of `status` and of who watches are the same, and say it."""
    gateway = place.gateway(smtp="idle = 2s", route="types = pdf\nto = *@example.org").start()
    watcher = Watcher(place, gateway)
    device = Device(gateway.port)
    for line in lines:
        device.say(line)
    ends(device)
    watcher.wait_text("failed")
    found = failed(place, gateway)[0]
    require(words in found["diagnosis"], found["diagnosis"])
    require(found["diagnosis"] in watcher.text(), watcher.text)
    equal(found["peer"], "127.0.0.1")
    equal(found["delivered_since"], None)
    text = place.run("status", *config_of(gateway)).stdout.decode()
    require(f"127.0.0.1: {found['diagnosis']}" in text, text)
    gateway.stop()


def test_refused_mail(place):
    gateway = place.gateway().start()
    require(send(gateway.port, mail(part(EXE, "scan.exe"))).startswith("550"))
    found = failed(place, gateway)[0]
    require("refused for what is in it; we said: 550 5.7.1 " in found["diagnosis"], found)
    # and when it works again, that is told too
    require(send(gateway.port, scan()).startswith("250"))
    wait_for(lambda: status(place, gateway)["failed"][0]["delivered_since"], 10, "the delivery is not told")
    require("; delivered since" in place.run("status", *config_of(gateway)).stdout.decode())
    gateway.stop()


TLS_WORDS = "speaks TLS at once on a port without it: switch TLS/SSL off at the device"


@rows([("openssl, TLS 1.0", ["openssl", "s_client", "-tls1", "-cipher", "AES128-SHA:@SECLEVEL=0", "-connect", "127.0.0.1:PORT"],
        "offers TLS 1.0 only, with RSA key exchange: AES128-SHA"),
       ("gnutls, 3DES", ["gnutls-cli", "--insecure", "-p", "PORT", "127.0.0.1", "--priority",
                         "NONE:+VERS-TLS1.0:+3DES-CBC:+SHA1:+RSA:+COMP-NULL:+SIGN-ALL:+GROUP-ALL:+CTYPE-X509"],
        "offers TLS 1.0 only, with RSA key exchange: 3DES")])
def test_tls_hello(place, command, offers):
    """TLS on a port without it: the fault is named, and what the device offers."""
    gateway = place.gateway().start()
    watcher = Watcher(place, gateway)
    subprocess.run([word.replace("PORT", str(gateway.port)) for word in command], stdin=subprocess.DEVNULL,
                   capture_output=True, timeout=20)
    watcher.wait_text("failed")
    found = failed(place, gateway)[0]
    require(found["diagnosis"].startswith(TLS_WORDS), found)
    require(any(offers in line for line in found["dialogue"]), found)
    require(offers in watcher.text(), watcher.text)
    gateway.stop()


def test_tls_hello_in_pieces(place):
    gateway = place.gateway().start()
    with open(os.path.join(os.path.dirname(__file__), "..", "fuzz", "seeds", "hello", "made_ssl3"), "rb") as seed:
        hello = seed.read()
    device = Device(gateway.port)
    for octet in hello:
        device.send(bytes([octet]))
        time.sleep(0.002)
    found = failed(place, gateway)[0]
    require("SSL 3.0 only, which is not available" in found["diagnosis"], found)
    device.close()
    gateway.stop()


def test_restart(place):
    """What is kept outlives a clean end and a kill; a reload, too. Times of contact and delivery do."""
    gateway = place.gateway().start()
    equal(status(place, gateway)["last_contact"], None)
    require(send(gateway.port, scan()).startswith("250"))
    wait_for(lambda: status(place, gateway)["last_delivery"], 10, "no time of a delivery")
    device = device_at(gateway, "127.0.0.9")
    device.say("EHLO scanner")
    device.close()
    first = failed(place, gateway)
    equal(first[0]["peer"], "127.0.0.9")
    before = status(place, gateway)
    for ends in (gateway.stop, gateway.kill, None):
        if ends:
            ends()
            stopped = place.run("status", *config_of(gateway)).stdout.decode()
            require("no gateway runs" in stopped and first[0]["diagnosis"] in stopped, stopped)
            gateway.start()
        else:
            gateway.reload()
        equal(status(place, gateway)["failed"], first)
        for key in ("last_contact", "last_delivery"):
            equal(status(place, gateway)[key], before[key], key)
    gateway.stop()


def test_thousand_peers(place):
    """The last 32 are kept, in 8 kB each, however many there are and however much they say."""
    gateway = place.gateway().start()
    peers = 100 if IS_SANITIZED else 1000
    for i in range(peers):
        device = device_at(gateway, f"127.1.{i // 250}.{i % 250 + 1}")
        device.send(b"EHLO scanner\r\n" + b"NOOP " + bytes(str(i), "ascii") * 50 + b"\r\n" + b"NOOP\r\n" * (i % 50))
        device.reset()
    last = f"127.1.{(peers - 1) // 250}.{(peers - 1) % 250 + 1}"
    wait_for(lambda: any(one["peer"] == last for one in status(place, gateway)["failed"]), 20, "the last is not told")
    found = status(place, gateway)["failed"]
    equal(len(found), 32)
    equal(len({one["peer"] for one in found}), 32)
    state = os.path.join(place.state, "spool", "sources", "lan")
    require(os.path.getsize(state) <= 4096 + PLACES * 8192, os.path.getsize(state))
    gateway.stop()


def test_thousand_sessions(place):
    """Of one peer the last failure is kept; a look that says nothing does not take its place."""
    gateway = place.gateway().start()
    other = device_at(gateway, "127.0.0.9")
    other.say("EHLO other")
    other.close()
    failed(place, gateway)
    for i in range(100 if IS_SANITIZED else 1000):
        device = Device(gateway.port)
        device.say(f"RCPT TO:<{i}@x>")
        device.close()
    for _ in range(20):
        Device(gateway.port).close()
    wait_for(lambda: any(f"RCPT TO:<{i}@x>" in json.dumps(one) for one in status(place, gateway)["failed"]))
    found = status(place, gateway)["failed"]
    equal({one["peer"] for one in found}, {"127.0.0.1", "127.0.0.9"})
    equal(len(found), 2)
    gateway.stop()


def test_long_talk(place):
    """A session of thousands of lines: its beginning and its end are kept."""
    gateway = place.gateway().start()
    device = Device(gateway.port)
    device.say("EHLO talker")
    for i in range(900):
        device.say(f"NOOP {i} " + "x" * 300)
    device.say("XNONSENSE")
    device.reset()
    dialogue = failed(place, gateway)[0]["dialogue"]
    require("device: EHLO talker" in dialogue[:3], dialogue[:3])
    require(any("lines are left out here" in line for line in dialogue))
    require("device: XNONSENSE" in dialogue[-3:], dialogue[-3:])
    require(len("".join(dialogue)) < 8192)
    gateway.stop()


def test_hostile_text(place):
    """What a device says can't write to the terminal of who looks."""
    gateway = place.gateway().start()
    watcher = Watcher(place, gateway)
    device = Device(gateway.port)
    device.send("EHLO \x1b]0;owned\x07\x1b[2J\0\u202ex\r\n".encode())
    device.reply()
    device.send(b"\x1b[31mRED\r\n")
    device.reply()
    device.close()
    watcher.wait_text("failed")
    failed(place, gateway)
    for verb in (("status",), ("status", "--json"), ("watch-device", "--last"), ("watch-device", "--last", "--json")):
        out = place.run(*verb, *config_of(gateway)).stdout
        require(b"\x1b" not in out and b"\x07" not in out, out)
        require("--json" in verb or "\u202e".encode() not in out, out)
    with open(watcher.out_path, "rb") as raw:
        out = raw.read()
    require(b"\x1b" not in out and b"\x07" not in out and "\u202e".encode() not in out, out)
    gateway.stop()


def test_peer_filter(place):
    gateway = place.gateway().start()
    one = Watcher(place, gateway, "--peer", "127.0.0.2")
    every = Watcher(place, gateway)
    for address in ("127.0.0.3", "127.0.0.2"):
        device = device_at(gateway, address)
        device.say("EHLO " + address)
        device.close()
    every.wait_text("failed", 2)
    one.wait_text("failed")
    require("EHLO 127.0.0.2" in one.text() and "127.0.0.3" not in one.text(), one.text)
    last = place.run("watch-device", "--last", "--peer", "127.0.0.3", *config_of(gateway)).stdout.decode()
    require("EHLO 127.0.0.3" in last and "127.0.0.2" not in last, last)
    for options, wanted in ((("--peer", "127.0.0.0/8"), 64), (("--peer", "x"), 64), (("--source", "nobody"), 78)):
        equal(place.run("watch-device", *options, *config_of(gateway)).returncode, wanted)
    gateway.stop()


def test_sources(place):
    """Several listeners: all of them, or the one that is named."""
    gateway = place.gateway(text="[smtp wan]\nlisten = 127.0.0.1:0\ntls = off").start()
    wait_for(lambda: "wan" in gateway.ports or gateway.is_ready() and "wan" in gateway.ports)
    every = Watcher(place, gateway, sources=("lan", "wan"))
    one = Watcher(place, gateway, "--source", "wan")
    for name in ("lan", "wan"):
        device = Device(gateway.ports[name])
        device.say(f"EHLO at-{name}")
        device.close()
        every.wait_text(f"EHLO at-{name}")
    one.wait_text("EHLO at-wan")
    require("at-lan" not in one.text())
    require("EHLO at-wan" in json.dumps(status(place, gateway, "wan")["failed"]))
    require("EHLO at-wan" not in json.dumps(status(place, gateway, "lan")["failed"]))
    gateway.stop()


def deliver_some(gateway, count):
    times = []
    for _ in range(count):
        started = time.monotonic()
        require(send(gateway.port, scan()).startswith("250"))
        times.append(time.monotonic() - started)
    return sorted(times)[len(times) // 2]


def test_stalled(place):
    """A watcher that reads nothing, or dies, holds up no mail; when it reads on it is told what it missed."""
    gateway = place.gateway().start()
    watcher = Watcher(place, gateway)
    usual = deliver_some(gateway, 20)
    watcher.process.send_signal(signal.SIGSTOP)
    deliver_some(gateway, 30)
    device = Device(gateway.port)
    device.say("EHLO x")
    for _ in range(3):
        device.send(b"NOOP\r\n" * 300 + b"MAIL FROM:<>\r\nRSET\r\n")
        for _ in range(302):
            device.reply()
        require(device.deliver(scan()).startswith("250"))
    device.quit()
    stalled = deliver_some(gateway, 20)
    require(stalled < 3 * usual + 0.05, f"{stalled} s for a mail, {usual} s without a stalled watcher")
    watcher.process.send_signal(signal.SIGCONT)
    require(send(gateway.port, scan()).startswith("250"))
    watcher.wait_text("were missed here")
    watcher.process.kill()
    deliver_some(gateway, 5)
    gateway.stop()


test_stalled.alone = True
test_stalled.measured = True


def test_cut_off(place):
    """Whose socket stays full for half a minute is let go; he comes again."""
    gateway = place.gateway().start()
    watcher = Watcher(place, gateway)
    watcher.process.send_signal(signal.SIGSTOP)
    limit = time.monotonic() + 33
    while time.monotonic() < limit:
        device = Device(gateway.port)
        device.send(b"EHLO x\r\n" + b"NOOP\r\n" * 200 + b"QUIT\r\n")
        with contextlib.suppress(EOFError):
            while True:
                device.reply()
        device.close()
        time.sleep(0.2)
    watcher.process.send_signal(signal.SIGCONT)
    wait_for(lambda: watcher.errors().count("-- watching") == 2, 20, watcher.errors)
    require("the listener is gone" in watcher.errors())
    gateway.stop()


test_cut_off.slow = True


def test_comes_back(place):
    """After a reload, the death of the listener, and a restart of the gateway it goes on."""
    gateway = place.gateway().start()
    watcher = Watcher(place, gateway)

    def reload():
        gateway.process.send_signal(signal.SIGHUP)

    def kill_listener():
        os.kill(processes(gateway, "letterchute-smtp listen")[0], signal.SIGKILL)

    def kill_door():
        # who watches is in the listener's hands
        os.kill(processes(gateway, "letterchute-smtp door")[0], signal.SIGKILL)

    def restart():
        gateway.stop()
        gateway.start()

    for turn, happens in enumerate((reload, kill_listener, restart, kill_door)):
        happens()
        if happens != kill_door:
            watcher.wait_welcome(turn + 2)
        wait_for(lambda: processes(gateway, "letterchute-smtp listen"))
        device = Device(gateway.port)
        device.say(f"EHLO turn-{turn}")
        device.close()
        watcher.wait_text(f"EHLO turn-{turn}")
    watcher.end()
    gateway.stop()


def test_many_watchers(place):
    """Sixteen watch; the next is told that it can't, until one leaves."""
    gateway = place.gateway().start()
    watchers = [Watcher(place, gateway) for _ in range(16)]
    late = place.run("watch-device", *config_of(gateway))
    equal(late.returncode, 69)
    require(b"16 at a time" in late.stderr, late.stderr)
    watchers[3].end()
    time.sleep(0.2)
    watchers[3] = Watcher(place, gateway)
    device = Device(gateway.port)
    device.say("EHLO seen-by-all")
    for watcher in watchers:
        watcher.wait_text("EHLO seen-by-all")
    device.quit()
    gateway.stop()


def test_no_gateway(place):
    place.config()
    result = place.run("watch-device", "-c", os.path.join(place.folder, "gateway.conf"))
    equal(result.returncode, 69)
    require(b"no gateway runs" in result.stderr, result.stderr)


@needs_root
def test_who_may(place):
    """Root, the gateway's user and `local_users`; nobody else."""
    place.open_to_all()
    gateway = place.gateway(gateway="user = daemon\nlocal_users = games").start()

    def as_user(name):
        return ("setpriv", "--reuid", name, "--regid", name, "--clear-groups")

    for name in ("daemon", "games"):
        watcher = Watcher(place, gateway, wrapper=as_user(name))
        require("watching lan" in watcher.errors(), watcher.errors)
    result = subprocess.run([*as_user("sys"), place.program, "watch-device", *config_of(gateway)], capture_output=True,
                            timeout=30)
    equal(result.returncode, 69)
    require(b"does not let us" in result.stderr, result.stderr)
    gateway.stop()


@needs_root
def test_stranger(place):
    """An address outside `peers` is told of, and pushes out no device."""
    inside = ("unshare", "-n", "sh", "-c", 'ip link set lo up; ip addr add 192.0.2.7/32 dev lo; exec "$0" "$@"')
    gateway = place.gateway(listen="0.0.0.0:0", smtp="peers = 10.0.0.0/8", wrapper=inside).start()
    knock = ("import socket; s = socket.create_connection(('192.0.2.7', %d)); print(s.recv(100)[:3].decode())" % gateway.port)
    result = subprocess.run(["nsenter", "-t", str(gateway.process.pid), "-n", "python3", "-c", knock], capture_output=True,
                            timeout=30)
    equal(result.stdout, b"554\n", result.stderr)
    found = failed(place, gateway)[0]
    equal(found["peer"], "192.0.2.7")
    require("not among the `peers`" in found["diagnosis"], found)
    equal(found["dialogue"], [])
    gateway.stop()


def test_unwatched_says_nothing(place):
    """While nobody watches and all goes well no session says a word to its listener."""
    gateway = place.gateway().start()
    trace = os.path.join(place.folder, "trace")
    listener = processes(gateway, "letterchute-smtp listen")[0]
    strace = subprocess.Popen(["strace", "-f", "-o", trace, "-e", "trace=sendmsg", "-p", str(listener)],
                              stderr=subprocess.PIPE)
    strace.stderr.readline()
    device = Device(gateway.port)
    for _ in range(5):
        device.say("HELO quiet")
    device.quit()
    time.sleep(0.3)
    strace.terminate()
    strace.wait()
    with open(trace) as calls:
        told = [line for line in calls if "sendmsg(" in line]
    equal(told, [])
    gateway.stop()


def test_idle_memory(place):
    """What is said costs an idle connection a page or two."""
    gateway = place.gateway(smtp="sessions = 200\nsessions_per_peer = 200").start()
    devices = [Device(gateway.port) for _ in range(50)]
    for device in devices:
        device.say("EHLO idle")
    sizes = []
    for pid in processes(gateway, "letterchute-smtp listen"):
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            sizes.append(sum(int(line.split()[1]) for line in rollup if line.startswith("Private_Dirty")))
    typical = sorted(sizes)[len(sizes) // 2]
    require(typical <= (4000 if IS_SANITIZED else 190), f"{typical} kB for an idle connection")
    for device in devices:
        device.close()
    gateway.stop()
