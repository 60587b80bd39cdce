"""What a mailbox has in common with every other source: routes and proofs, a share that is away, poison, and the verbs
that say where it stands."""

import json
import os
import signal

from accounts import account, numbered, refused, same_lines, several, wait_files
from dovecot import Dovecot
from harness import EXE, equal, mail, part, pdf, processes, require, rows, wait_for
from hostile import Server, Trick
from scenarios import status as status_line

SOON = 10


def away(place):
    """The share as it is when its disk is not mounted."""
    os.rename(place.share, place.share + ".away")
    os.mkdir(place.share)


def back(place):
    os.rmdir(place.share)
    os.rename(place.share + ".away", place.share)


def verb(place, config, *arguments):
    return place.run(arguments[0], "-c", config, *arguments[1:])


def status(place, config, source="office"):
    for line in verb(place, config, "status", "--json").stdout.decode().splitlines():
        found = json.loads(line)
        if found.get("source") == source:
            return found
    raise AssertionError("status says nothing of it")


# --- a share that is away --------------------------------------------------------------------------------------------

def test_share_away_moves_nothing(place):
    server = Dovecot(place)
    config = place.config(account(place, server))
    with place.gateway(config=config) as gateway:
        first, its = several([0])
        server.append_all(first)
        wait_files(place, its)
        away(place)
        messages, files = several(range(1, 6))
        server.append_all([*messages, refused(7)])
        wait_for(lambda: status(place, config)["state"] == "waiting", SOON, "status does not say that mail waits")
        found = status(place, config)
        require("waits in the mailbox" in (found["last_error"] or ""), found)
        require(found["next_try"], found)
        equal(server.count(), 6)
        equal(server.count("Refused"), 0)
        equal(os.listdir(place.share), [], "something was written where the share should be")
        back(place)
        wait_files(place, {**its, **files}, 40)
        wait_for(lambda: server.count() == 0, SOON, "mails stay in the mailbox")
        equal(server.count("Refused"), 1)
        wait_for(lambda: status(place, config)["state"] == "up", SOON, "status does not say that it is over")
        same_lines(gateway, place)
        require("outcome=later reason=share" in gateway.log())


def test_share_back_after_a_restart(place):
    server = Dovecot(place)
    config = place.config(account(place, server))
    messages, files = several(range(3))
    with place.gateway(config=config):
        server.append_all(messages[:1])
        wait_for(lambda: server.count() == 0, SOON, "it is not delivered")
    away(place)
    server.append_all(messages[1:])
    with place.gateway(config=config):
        wait_for(lambda: status(place, config)["state"] == "waiting", SOON, "nothing waits")
    back(place)
    with place.gateway(config=config):
        wait_files(place, files)
        wait_for(lambda: server.count() == 0, SOON, "mails stay in the mailbox")


# --- size ------------------------------------------------------------------------------------------------------------

def test_too_large_is_not_fetched(place):
    server = Server(place)
    config = place.config(account(place, server) + "[limits]\nmessage = 100k\n")
    messages, files = several([1])
    server.append(mail(part(pdf(200000))))
    server.append(messages[0])
    with place.gateway(config=config) as gateway:
        wait_files(place, files)
        wait_for(lambda: server.count() == 0, SOON, "mails stay in the mailbox")
        equal(sorted(line["outcome"] for line in gateway.lines()), ["delivered", "refused"])
        require(any(line.get("reason") == "size" for line in gateway.lines()))
    equal(len(server.octets("Refused")), 1)
    asked = [call.line for call in server.calls if b"BODY" in call.line]
    equal(len(asked), 1, f"what is too large was fetched: {asked}")


# --- who may send ----------------------------------------------------------------------------------------------------

GENUINE = "Authentication-Results: mx.example.net; dmarc=pass header.from=example.org"
PROOFS = [
    ("genuine", [GENUINE], "delivered", None),
    ("no field", [], "refused", "proof"),
    ("by somebody else", [GENUINE.replace("mx.", "evil.")], "refused", "proof"),
    ("it failed", [GENUINE.replace("pass", "fail")], "refused", "proof"),
    ("for another domain", [GENUINE.replace("header.from=example.org", "header.from=example.com")], "refused", "proof"),
    ("forged below a genuine one", [GENUINE.replace("dmarc=pass", "dmarc=none"), GENUINE], "refused", "proof"),
    ("forged below nothing of dmarc", ["Authentication-Results: mx.example.net; spf=pass", GENUINE], "refused", "proof"),
    ("malformed", [GENUINE.replace("dmarc=pass", "dmarc=(pass")], "refused", "proof"),
]


@rows(PROOFS)
def test_results_prove_the_sender(place, fields, outcome, reason):
    server = Dovecot(place)
    config = place.config(account(place, server, authserv_ids="mx.example.net"),
                          route="from = *@example.org\nauth = results\ntypes = pdf")
    message = "\r\n".join([*fields, ""]).encode() + mail(part(pdf(500)), sender="scan@example.org")
    server.append(message)
    with place.gateway(config=config) as gateway:
        found = gateway.last()
        equal((found["outcome"], found.get("reason")), (outcome, reason))
        wait_for(lambda: server.count() == 0, SOON, "it stays in the mailbox")


FROM = [
    ("two fields", b"From: a@example.org\r\nFrom: b@example.org\r\n", "refused"),
    ("two addresses", b"From: a@example.org, b@example.org\r\n", "refused"),
    ("none, and no rule", b"", "delivered"),
]


@rows(FROM)
def test_from(place, fields, outcome):
    server = Dovecot(place)
    whole = mail(part(pdf(500)), sender="x@example.org").replace(b"From: x@example.org\r\n", fields)
    server.append(whole)
    with place.gateway(config=place.config(account(place, server))) as gateway:
        equal(gateway.last()["outcome"], outcome)


def test_to_and_cc_choose_the_route(place):
    server = Dovecot(place)
    config = place.config(account(place, server) + "[route invoices]\nsource = office\nto = invoices@*\ntypes = pdf\n"
                          "folder = invoices\n", route="types = png")
    server.append(mail(part(pdf(500), "a.pdf"), to="invoices@example.org"))
    server.append(mail(part(EXE, "a.exe"), to="others@example.org"))
    with place.gateway(config=config) as gateway:
        wait_for(lambda: server.count() == 0, SOON, "mails stay in the mailbox")
        equal(sorted((line["outcome"], line.get("route")) for line in gateway.lines()),
              [("delivered", "invoices"), ("refused", "scans")])
    equal(list(place.files()), ["invoices/a.pdf"])


# --- once, reload ----------------------------------------------------------------------------------------------------

def test_once_ends_with(place):
    server = Dovecot(place)
    messages, files = several(range(5))
    server.append_all(messages)
    config = place.config(account(place, server))
    equal(verb(place, config, "once").returncode, 0)
    equal(place.files(), files)
    equal(server.count(), 0)
    server.append(numbered(9)[0])
    away(place)
    equal(verb(place, config, "once").returncode, 75, "something waits")
    back(place)
    wrong = place.config(account(place, server, password="wrong"), name="wrong.conf")
    equal(verb(place, wrong, "once").returncode, 77, "the login is refused")
    server.stop()
    gone = verb(place, config, "once")
    equal(gone.returncode, 69, "the server is gone")
    require(b"refused" in gone.stderr, gone.stderr)


def test_reload_while_it_drains(place):
    """Two who empty one mailbox at a time would deliver twice."""
    server = Dovecot(place)
    messages, files = several(range(120))
    server.append_all(messages)
    with place.gateway(config=place.config(account(place, server))) as gateway:
        for _ in range(5):
            gateway.process.send_signal(signal.SIGHUP)
            wait_for(lambda: True)
            signal.sigtimedwait([signal.SIGUSR2], 0.15)
        wait_files(place, files, 40)
        wait_for(lambda: server.count() == 0, SOON, "mails stay in the mailbox")


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_reload_with_another_name(place):
    """A source that has got another name empties the same mailbox: it waits for the old one, and so does the boss,
    without a look at the time."""
    server = Dovecot(place)
    config = place.config(account(place, server))
    with place.gateway(config=config) as gateway:
        wait_for(lambda: "ready source=office" in gateway.log(), SOON, "no puller is ready")
        [old] = processes(gateway, "letterchute-pull")
        os.kill(old, signal.SIGSTOP)
        try:
            place.config(account(place, server, name="bureau"))
            gateway.reload()
            before = cpu_s(gateway.process.pid)
            signal.sigtimedwait([signal.SIGUSR2], 1.5)
            equal(processes(gateway, "letterchute-pull"), [old])
            require(cpu_s(gateway.process.pid) - before < 0.5, "the boss turns round and round")
        finally:
            os.kill(old, signal.SIGCONT)
        message, files = numbered(1)
        server.append(message)
        wait_files(place, files, SOON)
        wait_for(lambda: "ready source=bureau" in gateway.log(), SOON, "the new source is not ready")


def test_no_password_comes(place):
    """Who is to say the password dies over it: who asked need not wait for him, and asks again."""
    server = Dovecot(place)
    with place.gateway(config=place.config(account(place, server, password_command="/bin/sleep 50"))) as gateway:
        for _ in range(2):
            wait_for(lambda: processes(gateway, "letterchute-token"), SOON, "nobody is asked")
            os.kill(processes(gateway, "letterchute-token")[0], signal.SIGKILL)
            wait_for(lambda: not processes(gateway, "letterchute-token"), SOON, "he is still there")
        wait_for(lambda: "has died" in gateway.log(), SOON, "the puller waits for an answer")


# --- status and check ------------------------------------------------------------------------------------------------

KEYS = {"source", "kind", "state", "since", "last_contact", "last_delivery", "last_error", "waiting"}


def test_status(place):
    server = Dovecot(place)
    config = place.config(account(place, server))
    equal(status(place, config)["state"], "down", "no gateway runs")
    with place.gateway(config=config):
        server.append(numbered(1)[0])
        wait_for(lambda: status(place, config)["last_delivery"], SOON, "no delivery is told")
        found = status(place, config)
        require(KEYS <= set(found), found)
        equal((found["kind"], found["state"], found["last_error"]), ("imap", "up", None))
        server.stop()
        wait_for(lambda: status(place, config)["state"] == "down", SOON, "status does not see that the server is gone")
        require(status(place, config)["last_error"], "no reason is told")
        people = verb(place, config, "status").stdout.decode()
        require("next try in" in people or "office" in people, people)
        server.start()
        wait_for(lambda: status(place, config)["state"] == "up", SOON, "status does not see that it is back")
    lines = [json.loads(line) for line in verb(place, config, "status", "--json").stdout.splitlines()]
    share = next(line for line in lines if "share" in line)
    equal(set(share) >= {"share", "path", "state", "free_bytes"}, True, share)
    equal(share["state"], "up")
    require({"held", "quarantined"} <= set(lines[-1]), lines[-1])


def findings(place, config):
    run = verb(place, config, "check", "--json")
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    return run.returncode, [line for line in lines if line["what"] == "imap office"]


def test_check_of_a_good_account(place):
    server = Dovecot(place)
    server.append_all(several(range(3))[0])
    code, found = findings(place, place.config(account(place, server, tls="implicit")))
    equal(code, 0)
    text = "\n".join(line["text"] for line in found)
    for word in ("TLS1.3", "valid until", "logged in as", "IDLE", "MOVE", "INBOX", "separator /", "3 mails wait", "expunged"):
        require(word in text, f"{word} is not in:\n{text}")
    equal(server.count(), 3, "a check takes nothing")


def test_check_of_what_proves_a_sender(place):
    server = Dovecot(place)
    config = place.config(account(place, server), route="from = *@example.org\nauth = results\ntypes = pdf")
    run = verb(place, config, "check", "--json")
    equal(run.returncode, 69)
    bad = [line for line in map(json.loads, run.stdout.splitlines()) if not line["ok"]]
    require(len(bad) == 1 and "authserv_ids" in bad[0]["remedy"], bad)
    config = place.config(account(place, server), route="from = *@example.org\ntypes = pdf")
    require(b"no proof" in verb(place, config, "check").stdout)


def test_check_of_a_maildir(place):
    path = place.make("Maildir")
    for name in ("new", "cur", "tmp"):
        place.make(f"Maildir/{name}")
    place.file("Maildir/new/1", mail(part(pdf(100))))
    good = verb(place, place.config(f"[maildir m]\npath = {path}\n"), "check").stdout.decode()
    require("1 mail(s) wait" in good and "moved to" in good, good)
    bad = verb(place, place.config(f"[maildir m]\npath = {place.share}\n"), "check")
    equal(bad.returncode, 69)


FAULTS = [
    ("password", {"password": "wrong"}, "refuses the login", "password"),
    ("mailbox", {"mailbox": "Nowhere"}, "Nowhere", "mailbox"),
    ("authority", {"tls": "implicit", "ca_file": ""}, "unknown CA", "ca_file"),
    ("port", {"port": 1}, "refused", "port"),
]


@rows(FAULTS)
def test_check_names_the_fault(place, keys, word, remedy):
    server = Dovecot(place)
    code, found = findings(place, place.config(account(place, server, **keys)))
    equal(code, 69)
    bad = [line for line in found if not line["ok"]]
    equal(len(bad), 1, found)
    require(word in bad[0]["text"], bad)
    require(remedy in bad[0]["remedy"], bad)


# --- what can't be had does not keep anybody busy --------------------------------------------------------------------

def sizes_of(*uids):
    """A FETCH of sizes that asks for one of these, too."""
    def when(call):
        asked = call.line.decode().split("FETCH", 1)[-1].split("(")[0]
        first_last = [[int(word) for word in piece.split(":")] for piece in asked.strip().split(",")]
        return b"RFC822.SIZE" in call.line and any(piece[0] <= uid <= piece[-1] for uid in uids for piece in first_last)
    return when


def test_no_to_sizes_holds_up_no_other(place):
    """The server stumbles over one of them, whenever it is asked: it is found, and waits by itself."""
    server = Server(place, Trick("FETCH", status_line("NO I can't"), times=10 ** 6, when=sizes_of(3)))
    messages, files = several(range(1, 6))
    for message in messages:
        server.append(message)
    del files["3.pdf"]
    with place.gateway(config=place.config(account(place, server, fast=False))):
        wait_files(place, files)
        wait_for(lambda: server.count() == 1, SOON, "the others stay in the mailbox")
        before = len(server.calls)
        signal.sigtimedwait([signal.SIGUSR2], 5)
        require(len(server.calls) - before < 60, f"{len(server.calls) - before} commands in five seconds of waiting")


def test_what_stays_keeps_nobody_busy(place):
    """It says that it expunges, and does not; new mail is delivered meanwhile, and all of it once."""
    server = Server(place, Trick(("STORE", "EXPUNGE"), status_line("OK done"), times=10 ** 6))
    messages, files = several(range(1, 6))
    for message in messages:
        server.append(message)
    with place.gateway(config=place.config(account(place, server, fast=False))) as gateway:
        wait_files(place, files)
        before = len(server.calls)
        signal.sigtimedwait([signal.SIGUSR2], 4)
        require(len(server.calls) - before < 60, f"{len(server.calls) - before} commands in four seconds of waiting")
        more, its = several([9])
        server.append(more[0])
        wait_files(place, {**files, **its})
        same_lines(gateway, place)
