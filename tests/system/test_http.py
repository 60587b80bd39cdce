"""/healthz, /metrics, /api/status: what they say, to whom, and how soon after it has happened. `status --health`."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time

from harness import (EXE, PATIENCE, Device, children, command_line, equal, mail, needs_root, part, pdf, processes, require,
                     rows, scan, send, wait_for)
from test_maildir import stopped_couriers

HTTP = "[http]\nlisten = 127.0.0.1:0\n"
SOON = 10  # seconds after which what went away, or came back, is known
TOKEN = "correct-horse-battery-staple"


def port_of(gateway):
    found = re.findall(r"^(?:<\d>)?ready service=http addr=\S+:(\d+)", gateway.fresh_log(), re.M)
    require(found, lambda: f"nobody listens:\n{gateway.log()}")
    return int(found[-1])


def get(gateway, path, method="GET", port=None, body=None, **headers):
    """Status, headers, body."""
    link = http.client.HTTPConnection("127.0.0.1", port or port_of(gateway), timeout=10 * PATIENCE)
    try:
        link.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = link.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        link.close()


def health(gateway):
    """Status of HTTP, the object."""
    status, _, text = get(gateway, "/healthz")
    return status, json.loads(text)


def metrics(gateway):
    """A line of a number: what comes before it -> the number."""
    _, _, text = get(gateway, "/metrics")
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if not line.startswith("#")}


def said(place, gateway):
    """What `status --health` prints, and its exit status."""
    done = place.run("status", "-c", gateway.arguments[gateway.arguments.index("-c") + 1], "--health")
    equal(done.stderr, b"")
    return done.stdout.decode(), done.returncode


def becomes(place, gateway, word, words="", seconds=SOON):
    """Within that time, here and there; how long it took."""
    wanted = {"ok": (200, 0), "degraded": (200, 0), "down": (503, 69)}[word]
    begun = time.monotonic()

    def has():
        status, found = health(gateway)
        return found["status"] == word and status == wanted[0] and words in "; ".join(found["why"])
    wait_for(has, seconds, lambda: f"{health(gateway)}\n{gateway.log()}")
    took = time.monotonic() - begun
    line, status = said(place, gateway)
    require(line.startswith(word) and words in line and status == wanted[1], f"{line} {status}")
    return took


@contextlib.contextmanager
def running(place, text="", **more):
    with place.gateway(text=HTTP + text, **more) as gateway:
        becomes(place, gateway, "ok", seconds=5)
        yield gateway


# --- what is said -----------------------------------------------------------------------------------------------------

def test_well(place):
    with running(place) as gateway:
        status, headers, text = get(gateway, "/healthz")
        found = json.loads(text)
        equal((status, found["status"], found["why"]), (200, "ok", []))
        equal([(row["source"], row["kind"], row["state"]) for row in found["sources"]], [("lan", "smtp", "up")])
        equal([(row["path"], row["state"]) for row in found["shares"]], [(place.share, "up")])
        equal((headers["Content-Type"], headers["Cache-Control"], headers["X-Content-Type-Options"]),
              ("application/json", "no-store", "nosniff"))
        equal(said(place, gateway), ("ok\n", 0))


def test_pages(place):
    """What there is, and what not."""
    with running(place) as gateway:
        for path, method, wanted in (("/healthz", "HEAD", 200), ("/metrics", "HEAD", 200), ("/", "GET", 404), ("/healthz/", "GET", 404),
                                     ("//healthz", "GET", 404), ("/metrics?x=y", "GET", 200), ("/healthz", "POST", 405),
                                     ("/healthz", "DELETE", 405), ("/api/status", "PUT", 405)):
            status, headers, text = get(gateway, path, method, body="x" if method in ("POST", "PUT") else None)
            equal(status, wanted, f"{method} {path}")
            require(headers["X-Content-Type-Options"] == "nosniff" and (method != "HEAD") == bool(text), f"{method} {path}: {text}")
        equal(get(gateway, "/", Host="printers.example")[0], 421, "a name that leads here")
        for host in ("localhost", "localhost:8025", "127.0.0.1:1", "[::1]:8025"):
            equal(get(gateway, "/healthz", Host=host)[0], 200, host)


def test_api_status(place):
    """What the verb prints."""
    with running(place) as gateway:
        require(send(gateway.port, scan()).startswith("250"))
        device = Device(gateway.port)
        device.say("EHLO device")
        device.say("AUTH LOGIN")
        device.close()
        shown = place.run("status", "-c", os.path.join(place.folder, "gateway.conf"), "--json").stdout.decode().splitlines()
        found = json.loads(get(gateway, "/api/status")[2])
        for one in (*found, *(rest := [json.loads(line) for line in shown])):
            one.pop("free_bytes", None)
        equal(found, rest)
        require(found[0]["last_delivery"] and "failed" in found[0], found)


@rows([("before it is looked at", False), ("before it is answered", True)])
def test_told_once(place, asked):
    """A mail for which there was no time has one line and counts once, whoever of the two noticed."""
    with running(place, "", gateway="answer_within = 3s\ncouriers = 1") as gateway:
        require(send(gateway.port, scan(1000)).startswith("250"))
        for turn in range(3):
            if asked:
                for pid in processes(gateway, "letterchute-extract"):
                    os.kill(pid, signal.SIGSTOP)
                require(send(gateway.port, scan(2000 + turn)).startswith("451 4.4.5"))
            else:
                with stopped_couriers(gateway):
                    require(send(gateway.port, scan(2000 + turn)).startswith("451 4.4.5"))
            require(send(gateway.port, scan(1000)).startswith("250"))
        time.sleep(1)
        lines = [line for line in gateway.lines() if line["outcome"] == "later"]
        equal(len(lines), 3, lines)
        counted = {key: number for key, number in metrics(gateway).items() if "messages_total" in key and "later" in key}
        equal(sum(counted.values()), 3, counted)


def promtool(text):
    return subprocess.run(["promtool", "check", "metrics"], input=text.encode(), capture_output=True, timeout=60)


def test_metrics(place):
    """After deliveries and refusals of which everything is known."""
    text = ("[share other]\npath = {0}\nfree_floor = 0\n[route second]\nto = two@*\nshare = other\ntypes = pdf\n"
            .format(place.make("other")))
    with running(place, text, route="to = scans@*\ntypes = pdf", gateway="quarantine_bytes = 1M") as gateway:
        small, big = scan(1000), scan(300000)
        for message in (small, big):
            require(send(gateway.port, message).startswith("250"))
        require(send(gateway.port, small, to=("two@example.org",)).startswith("250"))
        require(send(gateway.port, scan(500), to=("two@example.org", "scans@example.org")).startswith("250"))
        require(send(gateway.port, mail(part(EXE, "a.exe"))).startswith("550 5.7.1"))
        require(send(gateway.port, scan(), to=("nobody@example.org",)).startswith("550 5.1.1"))
        device = Device(gateway.port)
        device.say("EHLO device")
        require(device.say("MAIL FROM:<a@example.org> SIZE=999999999").startswith("552"))
        device.quit()
        os.rename(place.share, place.share + ".away")
        require(send(gateway.port, small).startswith("451"))
        os.rename(place.share + ".away", place.share)
        becomes(place, gateway, "ok")

        def row(name, **labels):
            return f"letterchute_{name}" + "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"

        def messages(route, outcome, reason=""):
            return row("messages_total", source="lan", route=route, outcome=outcome, reason=reason)
        wanted = {messages("scans", "delivered"): 2, messages("second", "delivered"): 1, messages("scans,second", "delivered"): 1,
                  messages("-", "refused", "type"): 1, messages("-", "refused", "route"): 1, messages("-", "refused", "size"): 1,
                  messages("scans", "later", "share"): 1}
        found = metrics(gateway)
        counted = {key: number for key, number in found.items() if "messages_total" in key}
        for one in (messages("scans", "refused", "type"), messages("scans,second", "refused", "type")):  # as far as it came
            if one in counted:
                counted[messages("-", "refused", "type")] = counted.pop(one)
        if messages("second,scans", "delivered") in counted:
            counted[messages("scans,second", "delivered")] = counted.pop(messages("second,scans", "delivered"))
        equal(counted, wanted)
        delivered = [line for line in gateway.lines() if line["outcome"] == "delivered"]
        equal(found[row("bytes_total", source="lan")], sum(int(line["bytes"]) for line in delivered))
        equal((found["letterchute_delivery_seconds_count"], found[row("delivery_seconds_bucket", le="+Inf")]), (4, 4))
        equal(round(found["letterchute_delivery_seconds_sum"] * 1000), sum(int(line["took_ms"]) for line in delivered))
        in_time = sum(int(line["took_ms"]) <= 250 for line in delivered)
        equal(found[row("delivery_seconds_bucket", le="0.25")], in_time)
        equal((found[row("source_up", source="lan")], found[row("share_up", share="")], found[row("share_up", share="other")]), (1, 1, 1))
        require(abs(found[row("source_last_contact_seconds", source="lan")] - time.time()) < 20, found)
        require(abs(found[row("share_free_bytes", share="")] - os.statvfs(place.share).f_bavail * 4096) < 1 << 30, found)
        equal((found["letterchute_held_messages"], found["letterchute_quarantined_messages"]), (0, len(place.quarantine())))
        judged = promtool(get(gateway, "/metrics")[2])
        equal((judged.returncode, judged.stdout, judged.stderr), (0, b"", b""))
        require(promtool("letterchute_bytes_total{source=lan} 3\n").returncode != 0, "promtool bears it all")


# --- who may ----------------------------------------------------------------------------------------------------------

def test_token(place):
    path = place.file("token", TOKEN + "\nanything else\n")
    with place.gateway(text=f"[http]\nlisten = 0.0.0.0:0\ntoken_file = {path}\n") as gateway:
        wait_for(lambda: get(gateway, "/healthz")[0] == 200, 5, "it is not well")
        equal(json.loads(get(gateway, "/healthz")[2]), {"status": "ok"})
        for shown in ("", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer ", "Bearer", f"Basic {TOKEN}", TOKEN):
            for page in ("/metrics", "/api/status", "/nothing"):
                status, headers, _ = get(gateway, page, Authorization=shown)
                equal((status, headers["WWW-Authenticate"]), (401, 'Bearer realm="letterchute"'), f"{page} {shown}")
            equal(json.loads(get(gateway, "/healthz", Authorization=shown)[2]), {"status": "ok"}, shown)
        equal(get(gateway, "/metrics")[0], 401)
        for page, wanted in (("/metrics", 200), ("/api/status", 200), ("/nothing", 404)):
            equal(get(gateway, page, Authorization=f"Bearer {TOKEN}", Host="gateway.example")[0], wanted, page)
        equal(json.loads(get(gateway, "/healthz", Authorization=f"bearer {TOKEN}")[2])["why"], [])
        require(TOKEN not in gateway.log())


@rows([("for all, without a token", "listen = 0.0.0.0:8025", "token_file", 12),
       ("a name, which may lead anywhere", "listen = gateway.example:8025", "token_file", 12),
       ("one of two", "listen = 127.0.0.1:8025, [::]:8025", "[::]:8025", 12),
       ("one that only begins like us", "listen = 127.evil.example:8025", "token_file", 12),
       ("no port", "listen = 127.0.0.1", "ADDRESS:PORT", 12),
       ("a token that is not there", "listen = 127.0.0.1:0\ntoken_file = /no/such", "a file that is there", 13),
       ("a token that is short", "listen = 127.0.0.1:0\ntoken_file = {}/short", "16 to 255", 13),
       ("a token with a blank", "listen = 127.0.0.1:0\ntoken_file = {}/blank", "blank", 13),
       ("an unknown key", "port = 8025", "port", 12)])
def test_configuration(place, text, words, line):
    place.file("short", "secret\n")
    place.file("blank", "a token with blanks in it\n")
    config = place.config(text="[http]\n" + text.format(place.folder))
    with open(config) as lines:
        at = [number for number, one in enumerate(lines, 1) if one == "[http]\n"][0] - 11  # whatever the harness writes before
    done = place.run("run", "-c", config)
    equal(done.returncode, 78)
    require(f"gateway.conf:{line + at}: ".encode() in done.stderr and words.encode() in done.stderr, done.stderr)


def test_port_that_is_taken(place):
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = place.run("run", "-c", place.config(text=f"[http]\nlisten = 127.0.0.1:{other.getsockname()[1]}\n"))
    equal(done.returncode, 69)
    require(b"Address already in use" in done.stderr, done.stderr)


# --- shares -----------------------------------------------------------------------------------------------------------

def run(*command):
    subprocess.run(command, check=True, capture_output=True)


class Disk:
    """A small disk of its own, mounted at the share."""

    def __init__(self, place):
        self.at = place.share
        self.disk = place.mount("mount", "-t", "tmpfs", "-o", "size=8m,mode=755", "none", f"{place.folder}/disk", at=f"{place.folder}/disk")
        self.other = place.make("other")
        place.later(self.umount)
        self.mount(self.disk)

    def mount(self, what):
        run("mount", "--bind", what, self.at)

    def umount(self):
        while subprocess.run(["umount", "-l", self.at], capture_output=True).returncode == 0:
            pass


def swap(disk):
    run("umount", "-l", disk.at)
    disk.mount(disk.other)


def swap_back(disk):
    run("umount", "-l", disk.at)
    disk.mount(disk.disk)


AWAY = [("its disk is not mounted", lambda disk: run("umount", "-l", disk.at), lambda disk: disk.mount(disk.disk), "mount its disk"),
        ("another disk is mounted", swap, swap_back, "check --adopt"),
        ("it is read-only", lambda disk: run("mount", "-o", "remount,bind,ro", disk.at),
         lambda disk: run("mount", "-o", "remount,bind,rw", disk.at), "mount it read-write"),
        ("it is full", lambda disk: run("fallocate", "-l", "7M", disk.disk + "/filler"),
         lambda disk: os.remove(disk.disk + "/filler"), "lower free_floor")]


@needs_root
def test_share(place):
    """Each way of going away is told soon, with what to do, and so is its return; mail is delivered then."""
    disk = Disk(place)
    config = place.file("gateway.conf", f"[gateway]\nstate = {place.state}\n[smtp lan]\nlisten = 127.0.0.1:0\ntls = off\n[share]\n"
                        f"path = {place.share}\nfree_floor = 2M\n{HTTP}[route scans]\ntypes = pdf\n")
    with place.gateway(config=config) as gateway:
        becomes(place, gateway, "ok", seconds=5)
        for name, spoil, mend, words in AWAY:
            spoil(disk)
            gone = becomes(place, gateway, "down", words)
            require(send(gateway.port, scan()).startswith("45"), name)
            equal(metrics(gateway)['letterchute_share_up{share=""}'], 0, name)
            mend(disk)
            back = becomes(place, gateway, "ok")
            require(send(gateway.port, scan()).startswith("250"), name)
            print(f"     http/share: {name}: down after {gone:.1f} s, up after {back:.1f} s")
    require("ended" not in gateway.log(), gateway.log())


def test_share_renamed(place):
    """Also where everything is its owner's, who is not root."""
    with running(place) as gateway:
        os.rename(place.share, place.share + ".away")
        becomes(place, gateway, "down", "make the folder, or mount its disk")
        os.rename(place.share + ".away", place.share)
        becomes(place, gateway, "ok")


@needs_root
def test_share_of_somebody_else(place):
    """A gateway that is not root's has its user's rights alone. And the folder that its answers depend on is its own."""
    place.open_to_all()
    os.chmod(place.folder, 0o777)
    config = place.config(text=HTTP)
    with place.gateway(config=config, wrapper=("setpriv", "--reuid=1", "--regid=1", "--clear-groups")) as gateway:
        becomes(place, gateway, "ok", seconds=5)
        os.chmod(place.share, 0o755)
        wait_for(lambda: health(gateway)[0] == 503, SOON, lambda: health(gateway))
        require("give the gateway's user the right to write there" in health(gateway)[1]["why"][0], health(gateway))
        os.chmod(place.share, 0o700)
        wait_for(lambda: "can't be opened" in health(gateway)[1]["why"][0], SOON, lambda: health(gateway))
        os.chmod(place.share, 0o777)
        becomes(place, gateway, "ok")


def fill_octets(folder):
    with open(f"{folder}/filler", "wb") as filler, contextlib.suppress(OSError):
        while filler.write(b"\0" * 65536):
            filler.flush()


def fill_inodes(folder):
    with contextlib.suppress(OSError):
        for number in range(1000):
            with open(f"{folder}/filler{number}", "wb"):
                pass


@needs_root
@rows([("of octets", "size=8m", fill_octets, "make room on its disk"),
       ("of files", "nr_inodes=200", fill_inodes, "its inodes are used up: every mail is told to come later; remove files there")])
def test_state(place, option, fill, words):
    """No mail can be taken where its answer can't be promised."""
    place.mount("mount", "-t", "tmpfs", "-o", f"{option},mode=755", "none", place.state, at=place.state)
    with running(place) as gateway:
        fill(place.state)
        becomes(place, gateway, "down", "state: ")
        require(words in health(gateway)[1]["why"][0], health(gateway))
        require(send(gateway.port, scan()).startswith("4"))
        for name in os.listdir(place.state):
            if name.startswith("filler"):
                os.remove(f"{place.state}/{name}")
        becomes(place, gateway, "ok")


@needs_root
def test_hardly_any_room(place):
    """Also where nobody has set a floor."""
    disk = place.mount("mount", "-t", "tmpfs", "-o", "size=2m,mode=755", "none", place.share, at=place.share)
    with running(place) as gateway:
        run("fallocate", "-l", "1500K", f"{disk}/filler")
        becomes(place, gateway, "down", "has 0 MB left, the least is 1 MB")
        os.remove(f"{disk}/filler")
        becomes(place, gateway, "ok")


def slow_share(place):
    """Who serves it, and what the configuration says of it."""
    slow = os.path.join(place.folder, "slow")
    server = place.bindfs(place.make("below", 0o777), slow)
    return server, f"[share slow]\npath = {slow}\nfree_floor = 0\n[route slow]\nto = slow@*\nshare = slow\n"


@needs_root
def test_looker_is_stuck(place):
    """Of a share that hangs one process may be stuck, and no more, however often another share moves."""
    server, text = slow_share(place)
    with running(place, text) as gateway:
        before = set(processes(gateway, "lookout"))
        server.send_signal(signal.SIGSTOP)
        wait_for(lambda: health(gateway)[0] == 503, SOON, lambda: health(gateway))
        os.rename(place.share, place.share + ".away")
        os.mkdir(place.share)
        wait_for(lambda: health(gateway)[1]["shares"][0]["state"] == "away", SOON, lambda: health(gateway))
        wait_for(lambda: set(processes(gateway, "lookout")) != before, SOON, "nobody looks with new eyes")
        equal((len(before), len(before & set(processes(gateway, "lookout"))), len(processes(gateway, "lookout"))), (4, 3, 4))
        server.send_signal(signal.SIGCONT)


def lookers(place):
    """Whom `status` has sent to look at this place's shares: they have its files open."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if " look " in command_line(pid) and any(
                    os.readlink(f"/proc/{pid}/fd/{fd}").startswith(place.folder) for fd in os.listdir(f"/proc/{pid}/fd")):
                found.append(pid)
    return found


@needs_root
@rows([("nobody else looks", "", ""), ("as root, of another user's gateway", "user = daemon", ""), ("the lookout is stuck", "", HTTP)])
def test_asked_again_and_again(place, user, http):
    """`status --health` for a share that hangs and can't be let go of: one process is stuck, whoever asks, and how often."""
    inner = place.bindfs(place.make("below", 0o777), os.path.join(place.folder, "inner"))
    place.bindfs(os.path.join(place.folder, "inner"), os.path.join(place.folder, "slow"), "--multithreaded")
    place.open_to_all()
    text = f"[share slow]\npath = {place.folder}/slow\nfree_floor = 0\n[route slow]\nto = slow@*\nshare = slow\n"
    with place.gateway(gateway=user, text=text + http) as gateway:
        wait_for(lambda: said(place, gateway)[0] == "ok\n", 10, lambda: said(place, gateway))
        inner.send_signal(signal.SIGSTOP)
        for _ in range(3):
            equal(place.run("status", "-c", f"{place.folder}/gateway.conf", "--health").returncode, 69)
        stuck = lookers(place)
        inner.send_signal(signal.SIGCONT)
    require(len(stuck) <= 1, stuck)


@needs_root
def test_share_hangs(place):
    """It hides no other; and who asks is answered in time."""
    server, text = slow_share(place)
    with running(place, text) as gateway:
        server.send_signal(signal.SIGSTOP)
        begun = time.monotonic()
        wait_for(lambda: health(gateway)[0] == 503, SOON, lambda: f"{health(gateway)}")
        equal({row["share"]: row["state"] for row in health(gateway)[1]["shares"]}, {"": "up", "slow": "away"})
        require("does its server hang" in health(gateway)[1]["why"][0] and time.monotonic() - begun < SOON * PATIENCE, health(gateway))
        begun = time.monotonic()
        done = place.run("status", "-c", f"{place.folder}/gateway.conf", "--health")
        took = time.monotonic() - begun
        require(done.stdout.startswith(b"down: share slow: ") and b"share:" not in done.stdout and done.returncode == 69, done)
        require(took < 5, f"`status --health` took {took:.1f} s")
        require(send(gateway.port, scan()).startswith("250"))
        server.send_signal(signal.SIGCONT)
        becomes(place, gateway, "ok")


# --- sources ----------------------------------------------------------------------------------------------------------

def maildir(place, name="box"):
    path = os.path.join(place.folder, name)
    for folder in ("new", "cur", "tmp"):
        os.makedirs(os.path.join(path, folder))
    return path


def test_maildir(place):
    path = maildir(place)
    with running(place, f"[maildir box]\npath = {path}\n") as gateway:
        os.rename(path, path + ".away")
        becomes(place, gateway, "degraded", "source box is down: ")
        equal(metrics(gateway)['letterchute_source_up{source="box"}'], 0)
        os.rename(path + ".away", path)
        becomes(place, gateway, "ok")


def test_every_source(place):
    """Nothing comes in any more."""
    path = maildir(place)
    config = place.file("gateway.conf", f"[gateway]\nstate = {place.state}\n[maildir box]\npath = {path}\n[share]\npath = {place.share}\n"
                        f"free_floor = 0\n{HTTP}[route scans]\ntypes = pdf\n")
    gateway = place.gateway(config=config).start(ready=False)
    wait_for(lambda: "ready service=http" in gateway.log(), 10, gateway.log)
    becomes(place, gateway, "ok", seconds=5)
    os.rename(path, path + ".away")
    becomes(place, gateway, "down", "source box is down: ")
    os.rename(path + ".away", path)
    becomes(place, gateway, "ok")
    gateway.stop()


def test_listener(place):
    """Its process dies again and again: connections wait, and that is told."""
    with running(place, "[smtp second]\nlisten = 127.0.0.1:0\ntls = off\n") as gateway:
        limit = time.monotonic() + SOON * PATIENCE
        while (found := health(gateway))[1]["status"] != "degraded":
            require(time.monotonic() < limit, found)
            for pid in processes(gateway, "listen second"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
        require(found[0] == 200 and "source second is down: its process died" in found[1]["why"][0], found)
        becomes(place, gateway, "ok", seconds=15)


LACKS = [
    ("the keeper", "letterchute-courier keep", "what is left over or too old is not tidied away: its process \"keeper\" "),
    ("the lookout", "lookout", "nobody looks how the shares are: its process \"lookout\" "),
    ("the door", "smtp door", "`drop` and `smtp-session` get no answer: its process \"door\" "),
    ("the prover", "letterchute-prove", "DKIM signatures can't be checked, and mail that needs one waits: its process \"prover\" "),
    ("the keys", "smtp keeper", "TLS and logins of listeners don't work: its process \"keys\" "),
    ("the window", "letterchute-after", "/healthz and /metrics get no answer: its process \"window\" "),
]


@rows(LACKS)
def test_what_is_lacking(place, words, sentence):
    """Who reads it knows no names of processes."""
    with place.gateway(text=HTTP, tls="starttls", route="from = *@example.org\nauth = dkim") as gateway:
        wait_for(lambda: said(place, gateway)[0] == "ok\n", 10, lambda: said(place, gateway))
        limit = time.monotonic() + SOON * PATIENCE
        while (found := said(place, gateway)[0]) == "ok\n":
            require(time.monotonic() < limit, gateway.log)
            for pid in processes(gateway, words):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        equal(found, f"degraded: gateway: {sentence}ends, or can't be started, again and again; the log says why\n")


def test_state_is_a_folder(place):
    """What can't be read is not taken for well."""
    os.makedirs(os.path.join(place.state, "spool/sources/second"))
    with place.gateway(text=HTTP + "[smtp second]\nlisten = 127.0.0.1:0\ntls = off\n") as gateway:
        becomes(place, gateway, "degraded", "source second is down: its state can't be read: Is a directory")
        require("source second is down: its state can't be read" in said(place, gateway)[0], said(place, gateway))


def couriers(gateway):
    return [pid for pid, name in gateway.children() if name.startswith("letterchute-cou") and "lookout" not in command_line(pid)]


def test_couriers(place):
    """They die again and again: mail waits, and that is told until they live."""
    with running(place) as gateway:
        limit = time.monotonic() + SOON * PATIENCE
        while (found := health(gateway))[1]["status"] != "down":
            require(time.monotonic() < limit, found)
            for pid in couriers(gateway):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
        require(found[0] == 503 and found[1]["why"][0].startswith('gateway: all mail waits: its process "courier" ends'), found)
        equal(said(place, gateway)[1], 69)
        done = place.run("status", "-c", f"{place.folder}/gateway.conf")
        require(done.stdout.startswith(b'gateway: all mail waits: its process "courier" ends'), done)
        becomes(place, gateway, "ok", seconds=25)
        require(send(gateway.port, scan()).startswith("250"))


@needs_root
def test_maildir_hangs(place):
    path = os.path.join(place.folder, "mails")
    server = place.bindfs(os.path.dirname(maildir(place, "below/box")), path)
    with running(place, f"[maildir box]\npath = {path}/box\n") as gateway:
        server.send_signal(signal.SIGSTOP)
        becomes(place, gateway, "degraded", "source box is down: its folder gives no answer: does its server hang?")
        server.send_signal(signal.SIGCONT)
        becomes(place, gateway, "ok")


def test_no_gateway(place):
    config = place.config()
    done = place.run("status", "-c", config, "--health")
    equal((done.stdout, done.returncode), (b"down: no gateway runs; start it with `letterchute run`\n", 69))
    with place.gateway(config=config) as gateway:
        equal(said(place, gateway), ("ok\n", 0))


@needs_root
def test_as_the_gateways_user(place):
    """The gateway of root has rights that its user has not: what he can't see is not down for that."""
    place.open_to_all()
    os.chmod(place.share, 0o700)
    path = maildir(place)
    os.rename(path, path + ".away")
    text = f"[maildir box]\npath = {path}\n"
    with place.gateway(gateway="user = daemon", text=text) as gateway:
        wait_for(lambda: said(place, gateway)[0].startswith("degraded"), 5, lambda: said(place, gateway))
        done = subprocess.run([place.program, "status", "-c", f"{place.folder}/gateway.conf", "--health"], user=1, group=1,
                              extra_groups=[], capture_output=True, text=True, timeout=20 * PATIENCE)
        equal((done.stdout, done.returncode), (said(place, gateway)[0], 0), done.stderr)


# --- what becomes of it -----------------------------------------------------------------------------------------------

def window(gateway):
    return wait_for(lambda: processes(gateway, "letterchute-after"), 10, "there is no window")[0]


def delivered(gateway):
    return metrics(gateway).get('letterchute_messages_total{source="lan",route="scans",outcome="delivered",reason=""}', 0)


def reaches(gateway, count):
    wait_for(lambda: delivered(gateway) == count, 10, lambda: f"{delivered(gateway)} were counted, not {count}")


def test_killed(place):
    """Mail does not care, and what was counted stays."""
    with running(place) as gateway:
        before = gateway.children()
        require(send(gateway.port, scan()).startswith("250"))
        reaches(gateway, 1)
        for turn in range(2):
            old = window(gateway)
            os.kill(old, signal.SIGKILL)
            require(send(gateway.port, scan()).startswith("250"))
            wait_for(lambda: processes(gateway, "letterchute-after") not in ([], [old]), 10, "it is not started again")  # noqa: B023
            equal(health(gateway)[0], 200, "the shares are looked at again first")
            reaches(gateway, turn + 2)
        gone = {pid for pid, _ in before} - {pid for pid, _ in gateway.children()}
        require(all(name.startswith("letterchute-win") or name.startswith("letterchute-ext") or "after" in name
                    for pid, name in before if pid in gone), gone)
        becomes(place, gateway, "ok")


def test_stopped(place):
    """It takes nothing any more: nobody waits for it."""
    with running(place) as gateway:
        pid = window(gateway)
        os.kill(pid, signal.SIGSTOP)
        begun = time.monotonic()
        device = Device(gateway.port)
        for _ in range(250):
            require(device.deliver(scan()).startswith("250"))
        device.quit()
        took = time.monotonic() - begun
        os.kill(pid, signal.SIGCONT)
        require(took < 30 * PATIENCE, f"it took {took:.1f} s")
        wait_for(lambda: delivered(gateway) > 100, 10, lambda: f"{delivered(gateway)}")
        require(delivered(gateway) < 250, "there was always room: nothing was shown")


ODD = (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20000, b"\0" * 5000, b"GET " + b"/" * 20000,
       b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n")


def test_slow_clients(place):
    """More than there is room for, some silent, some that send a little now and then, some that send nonsense: whoever asks
    is answered at once, and they are gone soon."""
    with running(place) as gateway:
        port, slow = port_of(gateway), []
        for number in range(300):
            one = socket.create_connection(("127.0.0.1", port), timeout=5)
            slow.append(one)
            if number % 2:
                one.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
        for octets in ODD:
            one = socket.create_connection(("127.0.0.1", port), timeout=15)
            with contextlib.suppress(OSError):
                one.sendall(octets)
            slow.append(one)
        for _ in range(5):
            drip(slow[1:300:2])
            begun = time.monotonic()
            equal(get(gateway, "/healthz")[0], 200)
            require(time.monotonic() - begun < 1 * PATIENCE, "it was not answered at once")
        heard = {}

        def gone():
            drip(slow[1:300:2])
            return all([is_closed(one, heard) for one in slow])
        wait_for(gone, 15, lambda: f"{sum(not is_closed(one, heard) for one in slow)} live on")
        for one, octets in zip(slow[300:], ODD):
            require(b" 200 " not in heard.get(one, b""), octets[:40])
        equal(get(gateway, "/healthz")[0], 200)
        equal(gateway.log().count("ended"), 0)


def drip(links):
    """So slowly that it looks as if more came."""
    for one in links:
        with contextlib.suppress(OSError):
            one.send(b"X")


def is_closed(link, heard):
    link.setblocking(False)
    try:
        while octets := link.recv(4096):
            heard[link] = heard.get(link, b"") + octets
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_reload(place):
    """It comes, changes and goes with the configuration; what was counted stays as long as it is there."""
    port = socket.create_server(("127.0.0.1", 0)).getsockname()[1]

    def told(text):
        place.config(text=text)
        gateway.reload()
    with place.gateway() as gateway:
        require(not processes(gateway, "letterchute-after") and not processes(gateway, "lookout"))
        told(HTTP)
        becomes(place, gateway, "ok")
        require(send(gateway.port, scan()).startswith("250"))
        reaches(gateway, 1)
        first = port_of(gateway)
        told(f"[http]\nlisten = 127.0.0.1:{first}, 127.0.0.1:{port}\n[smtp second]\nlisten = 127.0.0.1:0\ntls = off\n")
        wait_for(lambda: len(health(gateway)[1]["sources"]) == 2, 10, "it shows the old ones")
        equal(get(gateway, "/healthz", port=first)[0], 200)
        require(send(gateway.port, scan()).startswith("250"))
        reaches(gateway, 2)
        path = place.file("token", TOKEN + "\n")
        told(f"[http]\nlisten = 127.0.0.1:{first}\ntoken_file = {path}\n")
        wait_for(lambda: get(gateway, "/metrics", port=first)[0] == 401, 10, "no token is asked for")
        told("")
        wait_for(lambda: not processes(gateway, "letterchute-after") and not processes(gateway, "lookout"), 10, "it stays")
        require(send(gateway.port, scan()).startswith("250"))
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", first))
            raise AssertionError("somebody listens")


def test_lookout_ends(place):
    """With the gateway, at once, and leaves nobody behind."""
    gateway = place.gateway(text=HTTP).start()
    becomes(place, gateway, "ok", seconds=5)
    lookout = processes(gateway, "lookout")
    require(len(lookout) == 3 and children(lookout[0]) == lookout[1:], lookout)  # one for the share, one for the state
    begun = time.monotonic()
    gateway.stop()
    require(time.monotonic() - begun < 3 * PATIENCE, "it took its time")
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in lookout), 2, "somebody is left")
    require("ended" not in gateway.log(), gateway.log())
