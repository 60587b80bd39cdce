"""What people send mail with: each delivers, and each reads a refusal."""

import os
import re
import signal
import smtplib
import socket
import subprocess

from harness import EXE, PROGRAM, Device, equal, mail, needs_root, part, require, rows, scan, send, tree, wait_for


def run(place, *command, stdin=b"", check=True, **more):
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=120, cwd=place.folder, **more)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.returncode} {done.stderr.decode()} {done.stdout.decode()}")
    return done


def by_curl(place, port, message, check=True):
    eml = place.file("mail.eml", message)
    return run(place, "curl", "-sS", f"smtp://127.0.0.1:{port}/device", "--mail-from", "scanner@example.org",
               "--mail-rcpt", "scans@example.org", "--upload-file", eml, check=check)


def by_swaks(place, port, message, check=True):
    eml = place.file("mail.eml", message)
    return run(place, "swaks", "--server", f"127.0.0.1:{port}", "--from", "scanner@example.org", "--to",
               "scans@example.org", "--data", f"@{eml}", "--suppress-data", check=check)


def by_msmtp(place, port, message, check=True):
    return run(place, "msmtp", "--host=127.0.0.1", f"--port={port}", "--tls=off", "--auth=off",
               "--from=scanner@example.org", "scans@example.org", stdin=message.replace(b"\r\n", b"\n"), check=check)


def by_smtplib(place, port, message, check=True):
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as client:
        try:
            client.sendmail("scanner@example.org", ["scans@example.org"], message)
        except smtplib.SMTPDataError as error:
            if check:
                raise
            return subprocess.CompletedProcess([], 1, error.smtp_error, b"")


CLIENTS = [("curl", by_curl), ("swaks", by_swaks), ("msmtp", by_msmtp), ("smtplib", by_smtplib)]


@rows(CLIENTS)
def test_client_delivers(place, client):
    with place.gateway("--share", place.share, "--state", place.state, "--listen", "127.0.0.1:0") as gateway:
        client(place, gateway.port, scan(3000, subject="from a client"))
        files = place.files()
        equal(len(files), 1, "files")
        name, content = files.popitem()
        require(name.endswith("_scan.pdf"), name)
        equal(len(content), 3000, "size")
        line = gateway.last()
        equal((line["outcome"], line["source"], line["parts"], line["route"]), ("delivered", "lan", "1", "scans"))
        wait_for(lambda: not place.marks(), 5, "the client left with its 250, and yet the mark stays")


@rows(CLIENTS)
def test_client_reads_refusal(place, client):
    with place.gateway("--share", place.share, "--state", place.state, "--listen", "127.0.0.1:0") as gateway:
        done = client(place, gateway.port, mail(part(EXE, "tool.exe", "application/octet-stream")), check=False)
        require(done.returncode != 0, "the client did not notice")
        require(b"File type not allowed" in done.stdout + done.stderr or client is by_curl,
                f"{done.stdout} {done.stderr}")
        equal(place.files(), {})
        equal(gateway.last()["reason"], "type")


def test_default_listens_on_2525(place):
    """`run --share DIR` alone; another program may hold the port here, then the start says so."""
    gateway = place.gateway("--share", place.share, "--state", place.state)
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind(("127.0.0.1", 2525))
        free = True
    except OSError:
        free = False
    probe.close()
    gateway.start(ready=free)
    if free:
        equal(gateway.port, 2525)
        require(send(2525, scan()).startswith("250 2.0.0"))
        gateway.stop()
    else:
        equal(gateway.process.wait(20), 69)


def test_drop_alone(place):
    done = place.run("drop", "--share", place.share, "--state", place.state, stdin=scan(5000))
    equal(done.returncode, 0, done.stderr.decode())
    equal([len(c) for c in place.files().values()], [5000])
    is_tidy(place)


def is_tidy(place):
    equal(place.staged(), [])
    equal(place.marks(), [])
    equal(place.spool("lives"), [])
    equal(os.listdir(os.path.join(place.share, ".letterchute")), ["id"])


def test_drop_refused(place):
    done = place.run("drop", "--share", place.share, "--state", place.state, stdin=mail(part(EXE, "a.exe")))
    equal(done.returncode, 65)
    require(b"File type not allowed" in done.stderr, done.stderr)
    equal(place.files(), {})
    is_tidy(place)


@needs_root
def test_drop_exits_when_the_mark_is_gone(place):
    """Killed before that, it leaves a doubt, which the next try finds; so nothing is done in between."""
    trace = os.path.join(place.folder, "trace")
    config = place.config()
    done = subprocess.run(["strace", "-f", "-y", "-o", trace, "-e", "trace=unlinkat,fsync,wait4,exit_group", PROGRAM,
                           "drop", "-c", config], input=scan(5000), capture_output=True, timeout=120)
    equal(done.returncode, 0, done.stderr.decode())
    is_tidy(place)
    lines = [line.rstrip() for line in open(trace, errors="replace")]
    mark = next(n for n, line in enumerate(lines) if "unlinkat" in line and "/spool/done" in line)
    require(any("unlinkat" in line and "/spool/lives" in line for line in lines[:mark]), lines)
    after = [line for line in lines[mark + 1:] if re.search(r"unlinkat|fsync|wait4", line)]
    equal(after, [], "between the end of the mark and the exit")


def run_stuck(place, *command, stdin):
    """Runs a verb whose courier is stuck in its first look at the share. What it says, when nothing of it is left."""
    out, source = os.path.join(place.folder, "out"), place.file("in", stdin)
    with open(out, "wb") as to, open(source, "rb") as fed:
        tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=openat2", "-e",
                                   "inject=openat2:delay_enter=90000000:when=1", PROGRAM, *command], stdin=fed,
                                  stdout=to, stderr=to)
    try:
        wait_for(lambda: any("cou" in name for _, name in tree(tracer.pid)), 10, "no courier was started")
        wait_for(lambda: not tree(tracer.pid), 8, "it waits for its courier")
    finally:
        for pid in [*[pid for pid, _ in tree(tracer.pid)], tracer.pid]:
            os.kill(pid, signal.SIGKILL)
        tracer.wait(10)
    with open(out, "rb") as said:
        return said.read()


@needs_root
def test_stuck_courier_of_our_own(place):
    """A share that hangs keeps nobody for much longer than `answer_within`."""
    patient, config = place.config(name="patient.conf"), place.config(gateway="answer_within = 2s")
    equal(place.run("drop", "-c", patient, stdin=scan(100)).returncode, 0)
    said = run_stuck(place, "drop", "-c", config, stdin=scan(200))
    require(b"no answer in time" in said, said)
    dialogue = b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n" + scan(300) + b".\r\nQUIT\r\n"
    said = run_stuck(place, "smtp-session", "-c", config, stdin=dialogue)
    require(b"\r\n451 4.4.5" in said, said)
    equal(place.run("drop", "-c", patient, stdin=scan(400)).returncode, 0)
    equal(sorted(len(c) for c in place.files().values()), [100, 400])
    is_tidy(place)


def test_drop_later(place):
    os.rename(place.share, place.share + ".away")
    config = place.config()
    done = place.run("drop", "-c", config, stdin=scan())
    equal(done.returncode, 75, done.stderr.decode())


def test_drop_through_the_gateway(place):
    config = place.config(route="to = door@*\ntypes = pdf")
    with place.gateway(config=config) as gateway:
        done = place.run("drop", "-c", config, "--from", "panel@x", "--to", "door@example.org", stdin=scan(700))
        equal(done.returncode, 0, done.stderr.decode())
        line = gateway.last()
        equal((line["source"], line["from"], line["to"]), ("drop", "panel@x", "door@example.org"))
        equal(place.run("drop", "-c", config, "--to", "other@example.org", stdin=scan()).returncode, 65)
        equal(len(place.files()), 1)
        wait_for(lambda: not place.marks(), 5, "a mark stays")


def test_drop_many_at_once(place):
    config = place.config()
    with place.gateway(config=config):
        running = [subprocess.Popen([PROGRAM, "drop", "-c", config], stdin=subprocess.PIPE) for _ in range(20)]
        for one in running:
            one.stdin.write(scan(300))
            one.stdin.close()
        equal([one.wait(60) for one in running], [0] * 20)
        equal(len(place.files()), 20)


def converse(port, message):
    device = Device(port)
    require(device.greeting.startswith("220"), device.greeting)
    reply = device.deliver(message)
    device.quit()
    return reply


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_port(port):
    def is_open():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0
    wait_for(is_open, 10, "the server does not listen")


def under_server(place, command, gateway):
    port = free_port()
    server = subprocess.Popen([word.replace("PORT", str(port)) for word in command(place, port)],
                              stderr=subprocess.DEVNULL)
    place.later(server.kill)
    wait_port(port)
    reply = converse(port, scan(1234))
    require(reply.startswith("250 2.0.0"), reply)
    reply = converse(port, mail(part(EXE, "a.exe")))
    require(reply.startswith("550 5.7.1"), reply)
    equal([len(c) for c in place.files().values()], [1234])
    if gateway:
        equal(gateway.last(2)["source"], "session")
    wait_for(lambda: not place.marks(), 10, "a mark stays")
    wait_for(lambda: not place.staged(), 10, "staging is not empty")
    server.kill()


def socat(place, port):
    config = place.config()
    return ["socat", "TCP-LISTEN:PORT,bind=127.0.0.1,reuseaddr,fork", f"EXEC:{PROGRAM} smtp-session -c {config}"]


def inetd(place, port):
    config = place.config()
    table = place.file("inetd.conf", f"127.0.0.1:{port} stream tcp nowait root {PROGRAM} letterchute smtp-session -c "
                                     f"{config}\n")
    return ["inetd", "-i", table]


@rows([("socat", socat), ("openbsd-inetd", inetd)])
def test_session_alone(place, command):
    under_server(place, command, None)


test_session_alone.needs_root = True


@rows([("socat", socat), ("openbsd-inetd", inetd)])
def test_session_through_the_gateway(place, command):
    with place.gateway(config=place.config()) as gateway:
        under_server(place, command, gateway)


test_session_through_the_gateway.needs_root = True


def test_two_messages_on_a_connection(place):
    with place.gateway() as gateway:
        device = Device(gateway.port)
        for size in (200, 300, 400):
            require(device.deliver(scan(size)).startswith("250"))
        device.quit()
        equal(sorted(len(c) for c in place.files().values()), [200, 300, 400])
        equal(sorted(place.files()), ["scan (2).pdf", "scan (3).pdf", "scan.pdf"])


def test_dots_and_long_lines(place):
    """Dots are unstuffed, whatever the line is; the stored mail is the mail that was sent."""
    with place.gateway(route="types = any\nbody = eml\nno_parts = accept") as gateway:
        text = "\r\n".join([".", "..", ".a", "x" * 5000, "", "."])
        message = mail(text=text)
        require(send(gateway.port, message).startswith("250"))
        equal(place.files(), {"mail.eml": message})
