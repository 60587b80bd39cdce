"""Sockets from whoever started us: systemd's way, with systemd-socket-activate in its place, and a word when we are ready."""

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from harness import Device, equal, require, rows, scan, send, wait_for
from test_clients import free_port


def activate(*listens, options=()):
    """The wrapper; the first connection starts what it wraps."""
    words = [word for listen in listens for word in ("-l", listen)]
    return ("systemd-socket-activate", "-E", "ASAN_OPTIONS", *options, *words)


def config_for(place, listeners, name="gateway.conf"):
    """listeners: name -> listen"""
    text = f"[gateway]\nstate = {place.state}\n[share]\npath = {place.share}\nfree_floor = 0\nname = {{source}}\n"
    text += "".join(f"[smtp {one}]\nlisten = {listen}\ntls = off\n" for one, listen in listeners.items())
    return place.file(name, text + "[route scans]\ntypes = pdf\n")


def start(place, config, *listens):
    gateway = place.gateway(config=config, wrapper=activate(*listens))
    gateway.start(ready=False)
    wait_for(lambda: "Listening on" in gateway.log(), 10)
    return gateway


def to(port, host="127.0.0.1"):
    device = Device(port, host=host, family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    reply = device.deliver(scan())
    device.quit()
    return reply


def test_listeners_take_what_is_handed_over(place):
    """Two listeners, one socket each and one of the gateway's own; the connection that woke us is served."""
    one, two, own = free_port(), free_port(), free_port()
    config = config_for(place, {"lan": f"127.0.0.1:{one}, 127.0.0.1:{own}", "cameras": f"127.0.0.1:{two}"})
    gateway = start(place, config, f"127.0.0.1:{two}", f"127.0.0.1:{one}")
    for port in (one, two, own, one):
        require(to(port).startswith("250"))
    equal(sorted(place.files()), ["cameras.pdf", "lan (2).pdf", "lan (3).pdf", "lan.pdf"])
    gateway.reload()
    for port in (one, two, own):
        require(to(port).startswith("250"))
    equal(gateway.log().count("ready source="), 3)
    gateway.stop()


def test_page_takes_what_is_handed_over(place):
    """[http] too; and whoever asks for health may be who wakes us."""
    mail_port, page_port = free_port(), free_port()
    config = config_for(place, {"lan": f"127.0.0.1:{mail_port}"})
    with open(config, "a") as text:
        text.write(f"[http]\nlisten = 127.0.0.1:{page_port}\n")
    gateway = start(place, config, f"127.0.0.1:{mail_port}", f"127.0.0.1:{page_port}")

    def healthz():
        with urllib.request.urlopen(f"http://127.0.0.1:{page_port}/healthz", timeout=20) as answer:
            return answer.status
    with contextlib.suppress(urllib.error.HTTPError):  # before anybody has looked at the share
        equal(healthz(), 200)
    wait_for(lambda: to(mail_port).startswith("250") and healthz() == 200, 10)
    gateway.reload()
    equal(healthz(), 200)
    gateway.stop()


def test_reload_that_forgets_one(place):
    port = free_port()
    config = config_for(place, {"lan": f"127.0.0.1:{port}"})
    gateway = start(place, config, f"127.0.0.1:{port}")
    require(to(port).startswith("250"))
    config_for(place, {"lan": f"127.0.0.1:{free_port()}"})
    gateway.reload("the old configuration stays")
    require(to(port).startswith("250"))
    config_for(place, {"other": f"127.0.0.1:{port}"})
    gateway.reload()
    require(to(port).startswith("250"))
    equal(sorted(place.files()), ["lan (2).pdf", "lan.pdf", "other.pdf"])
    gateway.stop()


def test_one_socket_for_both_kinds(place):
    """ListenStream=25 is [::]:25, which takes IPv4 too."""
    port = free_port()
    config = config_for(place, {"lan": f"0.0.0.0:{port}, [::]:{port}"})
    gateway = start(place, config, f"[::]:{port}")
    for host in ("127.0.0.1", "::1"):
        require(to(port, host).startswith("250"))
    equal([line["peer"] for line in gateway.lines()], ["127.0.0.1", "::1"])
    equal(gateway.log().count("ready source="), 1)
    gateway.reload()
    for host in ("127.0.0.1", "::1"):
        require(to(port, host).startswith("250"))
    equal(gateway.log().count("ready source="), 1)
    gateway.stop()


def test_only_one_kind_is_wanted(place):
    port = free_port()
    gateway = start(place, config_for(place, {"lan": f"0.0.0.0:{port}"}), f"[::]:{port}")
    require(to(port).startswith("250"))
    gateway.stop()


# what is listened to, what is handed over, what is said
WRONG = [
    ("nobody wants it", "127.0.0.1:{0}", ("127.0.0.1:{0}", "127.0.0.1:{1}"),
     "the socket 127.0.0.1 port {1} was handed over, and no [smtp] or [http] has it in its `listen`: add it there"),
    ("another address", "127.0.0.1:{0}", ("127.0.0.2:{0}",), "no [smtp] or [http] has it in its `listen`"),
    ("a local socket", "127.0.0.1:{0}", ("{2}/socket",), "no port but a path was handed over, and no [smtp] or [http] has it"),
    ("all addresses", "127.0.0.1:{0}", ("0.0.0.0:{0}",), "the socket 0.0.0.0 port {0} was handed over, which has that port"),
    ("all addresses of both kinds", "127.0.0.1:{0}", ("[::]:{0}",), "the socket :: port {0} was handed over, which has that port"),
]


@rows(WRONG)
def test_wrong(place, listen, handed, words):
    ports = free_port(), free_port(), place.folder
    config = config_for(place, {"lan": listen.format(*ports)})
    gateway = start(place, config, *[one.format(*ports) for one in handed])
    first = handed[0].format(*ports)
    with socket.socket(socket.AF_UNIX if first.startswith("/") else socket.AF_INET) as knock:
        knock.connect(first if first.startswith("/") else (first.split(":")[0].replace("[", "127.0.0.1"), ports[0]))
        equal(gateway.process.wait(20), 69, gateway.log())
    require(words.format(*ports) in gateway.log(), gateway.log)


def test_one_address_twice(place):
    """Two sockets that share a port: one of them would never be served."""
    port = free_port()
    config = config_for(place, {"lan": f"127.0.0.1:{port}"})
    hand_over = []
    with socket.socket() as one, socket.socket() as two:
        for each in (one, two):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            each.bind(("127.0.0.1", port))
            each.listen()
            hand_over.append(fcntl.fcntl(each.fileno(), fcntl.F_DUPFD, 10))  # beside where they go
            place.later(os.close, hand_over[-1])
        script = f'exec 3<&{hand_over[0]} 4<&{hand_over[1]}; LISTEN_PID=$$ LISTEN_FDS=2 exec "$@"'
        done = subprocess.run(["bash", "-c", script, "x", place.program, "run", "-c", config], stderr=subprocess.PIPE,
                              pass_fds=hand_over, timeout=20)
    equal(done.returncode, 69)
    require(f"the socket 127.0.0.1 port {port} was handed over twice: take one".encode() in done.stderr, done.stderr)


def test_two_listeners_for_one_socket(place):
    port = free_port()
    config = config_for(place, {"a": f"[::]:{port}", "b": f"0.0.0.0:{port}"})
    gateway = start(place, config, f"[::]:{port}")
    with socket.create_connection(("127.0.0.1", port)):
        equal(gateway.process.wait(20), 69)
    require("another listener's already" in gateway.log(), gateway.log)


def test_not_meant_for_us(place):
    """LISTEN_PID is another process: the descriptors are not ours."""
    gateway = place.gateway(environment={"LISTEN_PID": "1", "LISTEN_FDS": "3"})
    with gateway:
        require(send(gateway.port, scan()).startswith("250"))


@rows([("descriptor 3", ()), ("standard input and output", ("--inetd",))])
def test_one_session_a_connection(place, options):
    """Accept=yes: alone, and through a gateway that runs."""
    port, config = free_port(), place.config()
    server = subprocess.Popen([*activate(f"127.0.0.1:{port}", options=("-a", *options)), place.program, "smtp-session",
                               "-c", config], stderr=subprocess.DEVNULL)
    place.later(server.kill)

    def listens():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return True
        return False
    wait_for(listens, 10)
    for _ in range(2):
        require(to(port).startswith("250"))
    with place.gateway(config=config) as gateway:
        require(to(port).startswith("250"))
        equal((gateway.last()["source"], gateway.last()["peer"]), ("session", "127.0.0.1"))
    equal(len(place.files()), 3)
    wait_for(lambda: not place.marks(), 10, "a mark stays")


def test_one_session_a_connection_for_run(place):
    port = free_port()
    config = place.config()
    log = os.path.join(place.folder, "log")
    with open(log, "wb") as out:
        server = subprocess.Popen([*activate(f"127.0.0.1:{port}", options=("-a",)), place.program, "run", "-c", config],
                                  stderr=out)
    place.later(server.kill)
    wait_for(lambda: b"Listening on" in open(log, "rb").read(), 10)
    with socket.create_connection(("127.0.0.1", port)):
        wait_for(lambda: b"smtp-session" in open(log, "rb").read(), 10)


@rows([("by path", "{0}/notify"), ("by name", "@letterchute-test-{1}")])
def test_says_when_it_is_ready(place, form):
    name = form.format(place.folder, time.monotonic_ns())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind("\0" + name[1:] if name[0] == "@" else name)
        told.settimeout(20)
        gateway = place.gateway(environment={"NOTIFY_SOCKET": name})
        with gateway:
            equal(told.recv(100), b"READY=1")
            require(send(gateway.port, scan()).startswith("250"))
        equal(told.recv(100), b"STOPPING=1")


class Told:
    """Who started the gateway hears what it says."""

    def __init__(self, place):
        self.path = os.path.join(place.folder, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        place.later(self.socket.close)

    def next(self, seconds=20):
        """The next word as a dict; None: none comes in this time."""
        self.socket.settimeout(seconds)
        try:
            return dict(line.split("=", 1) for line in self.socket.recv(1000).decode().split("\n"))
        except TimeoutError:
            return None

    def gateway(self, place, **environment):
        return place.gateway(environment={"NOTIFY_SOCKET": self.path, **environment})


@rows([("good", "", ""), ("bad", "nonsense = yes\n", "the old configuration stays")])
def test_says_that_it_reloads(place, more, words):
    """READY=1 comes in either case: else systemd takes it for gone, and ends it."""
    told = Told(place)
    with told.gateway(place) as gateway:
        equal(told.next(), {"READY": "1"})
        with open(os.path.join(place.folder, "gateway.conf"), "a") as config:
            config.write(more)
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        gateway.reload(*[words] if words else ())
        word = told.next()
        equal(sorted(word), ["MONOTONIC_USEC", "RELOADING"])
        require(before <= int(word["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000, word)
        word = told.next()
        equal(word["READY"], "1")
        require(words in word["STATUS"] if words else not word["STATUS"], word)
        equal(told.next(0.3), None, "nobody asked for a word that it lives")
        require(send(gateway.port, scan()).startswith("250"))


def words_within(told, seconds):
    """How often it says that it lives, while nothing happens."""
    limit, count = time.monotonic() + seconds, 0
    while (left := limit - time.monotonic()) > 0:
        word = told.next(left)
        count += word == {"WATCHDOG": "1"}
    return count


def test_says_that_it_lives(place):
    """Twice as often as is asked for, before and after a reload; a boss that hangs says nothing, though its children
    run."""
    told = Told(place)
    with told.gateway(place, WATCHDOG_USEC="500000") as gateway:
        equal(told.next(), {"READY": "1"})
        for _ in range(2):
            require(3 <= words_within(told, 1.1) <= 6, "too many or too few words")
            gateway.reload()
            require(send(gateway.port, scan()).startswith("250"))
        gateway.process.send_signal(signal.SIGSTOP)
        words_within(told, 0.1)
        require(send(gateway.port, scan()).startswith("250"), "its children run")
        equal(words_within(told, 0.6), 0)
        gateway.process.send_signal(signal.SIGCONT)
        require(words_within(told, 0.6) >= 1, "it is silent")


def test_says_to_no_other_that_it_lives(place):
    told = Told(place)
    with told.gateway(place, WATCHDOG_USEC="100000", WATCHDOG_PID="1"):
        equal(told.next(), {"READY": "1"})
        equal(words_within(told, 0.5), 0)
