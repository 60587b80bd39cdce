"""`auth = dkim`: what a signature proves, and what it does not. Each trap of libopendkim has its row; the mails are signed
by python3-dkim."""

import concurrent.futures
import contextlib
import json
import os
import random
import re
import select
import signal
import socket
import struct
import sys
import time

from harness import (BUILD, COUNT, HERE, Device, PATIENCE, PDF, children, equal, mail, needs_root, part, require, rows, send, status_of,
                     tree, wait_for)
from signing import (LOOK, NO_SUCH_NAME, NOTHING, REFUSED, RELATED, SERVER_FAILED, SIGNED, Names, Prover, dnsmasq,
                     ed25519, field, keys, record, rsa, scan, signed)
from test_maildir import SUSPICIOUS, box_of, section

ROUTE = "from = *@example.org\nauth = dkim"
PROVER = os.path.join(BUILD, "letterchute-prove")
SELECTOR = "sel._domainkey.example.org"


def settings(place, records=None, resolver="none", more=""):
    return f"dkim_keys = {keys(place, records)}\ndkim_resolver = {resolver}\n{more}"


def explain(place, message, *options, route=ROUTE, records=None, resolver="none", **more):
    config = place.config(gateway=settings(place, records, resolver), route=route, **more)
    done = place.run("explain", "-c", config, "--json", *options, place.file("mail.eml", message))
    require(done.stdout, done.stderr.decode())
    return json.loads(done.stdout)


def proven(place, message, **more):
    report = explain(place, message, **more)
    equal((report["outcome"], report["dkim"]), ("delivered", "signed by example.org"), report["text"])


def unproven(place, message, words, **more):
    report = explain(place, message, **more)
    equal((report["outcome"], report["reason"], report["dkim"]), ("refused", "proof", words), report)
    equal(report["text"], f"no route takes it: {words}")
    require(report["smtp"].startswith("550 5.7.1"), report["smtp"])


def of_example(fault):
    return f"signature of example.org: {fault}"


# --- genuine ones ------------------------------------------------------------------------------------------------------

def on_top(message, lines):
    return lines.replace("\n", "\r\n").encode() + message


GENUINE = [
    *[(f"{header}/{body}", lambda h=header, b=body: signed(canonicalize=[h, b])) for header in ("relaxed", "simple")
      for body in ("relaxed", "simple")],
    ("LF only, as in a Maildir", lambda: signed().replace(b"\r\n", b"\n")),
    ("one bare LF in the body", lambda: signed(scan(text="two\r\nlines")).replace(b"two\r\nlines", b"two\nlines")),
    ("without its last line end", lambda: signed(canonicalize=["relaxed", "relaxed"])[:-2]),
    ("and received", lambda: on_top(signed(), "Received: from a by b;\n\tnow\nReturn-Path: <x@y>\n")),
    ("a field of 100 kB", lambda: signed(scan(headers=["X-Long: " + "x" * 900 + "\r\n " + ("y" * 900 + "\r\n ") * 110 + "z"]))),
    ("a long header", lambda: signed(scan(headers=["X-Long: " + "x" * 900] * 100))),
    ("8-bit text", lambda: signed(scan(text="Grüße"))),
    ("a small d=", lambda: signed(scan(sender="Scanner <scanner@EXAMPLE.org>"))),
    ("a foreign one on top", lambda: field(scan(), domain="evil.test") + signed()),
    ("one on top that is none", lambda: on_top(signed(), "DKIM-Signature: v=1; this is none\n")),
    ("a bad one of its own on top", lambda: field(scan(subject="other")) + signed()),
    ("a bad one of its own below", lambda: (lambda m: field(m) + field(scan(subject="other")) + m)(scan())),
    ("an encoding that is none, unsigned", lambda: on_top(signed(), "Content-Transfer-Encoding: 7bit\n")),
    ("a Cc that is not signed, as README says", lambda: on_top(signed(), "Cc: other@example.org\n")),
]


@rows(GENUINE)
def test_genuine(place, make):
    proven(place, make())


@rows([("1024", lambda: rsa(1024), "rsa", "rsa-sha256"), ("2048", lambda: rsa(2048), "rsa", "rsa-sha256"),
       ("4096", lambda: rsa(4096), "rsa", "rsa-sha256"), ("ed25519", ed25519, "ed25519", "ed25519-sha256")])
def test_keys_of_all_kinds(place, make, kind, algorithm):
    private, public = make()
    proven(place, signed(key=private, signature_algorithm=algorithm), records={SELECTOR: record(public, kind)})


# --- traps -------------------------------------------------------------------------------------------------------------

def appended(message):
    """One more attachment behind the end of what l= covers."""
    end = b"--=b0undary--\r\n"
    require(message.endswith(end))
    return message[:-len(end)] + b"--=b0undary\r\n" + part(PDF, "second.pdf") + end


def open_ended(**more):
    """Its closing delimiter is not under the signature, as l= is meant."""
    message = scan()
    head, end = message[:-len(b"--=b0undary--\r\n")], b"--=b0undary--\r\n"
    return field(head, length=True, **more) + head + end


FIELDS = ["from", "to", "subject", "date", "message-id", "mime-version"]
TWO = "there are two {} fields"
TRAPS = [
    ("1 body changed", lambda: signed().replace(b"see the scan", b"see the scam"), of_example("body hash differs")),
    ("1 header changed", lambda: signed().replace(b"Subject: Scan", b"Subject: Spam"),
     of_example("the signed header fields were changed")),
    ("4 From with a blank before its colon", lambda: on_top(signed(), "X: y\n").replace(b"\r\nFrom:", b"\r\nFrom :"),
     "a line in the header that is no field"),
    *[(f"5 a second {name} on top", lambda n=name, v=value: on_top(signed(), f"{n}: {v}\n"), TWO.format(name))
      for name, value in (("Content-Type", "multipart/mixed; boundary=\"=b0undary\""), ("MIME-Version", "1.0"),
                          ("Subject", "Scan"), ("To", "scans@example.org"), ("Date", "Sat, 21 Nov 2026 10:00:00 +0000"))],
    ("5 two Content-Transfer-Encoding fields",
     lambda: on_top(signed(), "Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: 8bit\n"),
     TWO.format("Content-Transfer-Encoding")),
    ("6 l= as it was signed", open_ended, of_example("it covers a part of the body only (l=)")),
    ("6 an attachment behind l=", lambda: appended(open_ended()), of_example("it covers a part of the body only (l=)")),
    ("6 l= of the whole body", lambda: signed(length=True), of_example("it covers a part of the body only (l=)")),
    ("7 Content-Type unsigned", lambda: signed(include_headers=FIELDS), of_example("it leaves Content-Type unsigned")),
    ("7 an encoding put on top", lambda: on_top(signed(include_headers=FIELDS + ["content-type"]),
                                               "Content-Transfer-Encoding: base64\n"),
     of_example("it leaves Content-Transfer-Encoding unsigned")),
    ("7 a disposition put on top", lambda: on_top(signed(include_headers=FIELDS + ["content-type"]),
                                                  "Content-Disposition: attachment; filename=x.pdf\n"),
     of_example("it leaves Content-Disposition unsigned")),
    ("8 rsa-sha1", lambda: signed(signature_algorithm="rsa-sha1"), of_example("it is made with SHA-1")),
    ("11 signed by somebody else", lambda: signed(domain="evil.test"), "no signature of example.org, but of evil.test"),
    ("11 by a domain below", lambda: signed(domain="mail.example.org"),
     "no signature of example.org, but of mail.example.org"),
    ("11 i= of ours, d= of theirs", lambda: signed(domain="evil.test", identity="@x.evil.test"),
     "no signature of example.org, but of evil.test"),
    ("14 all of them bad", lambda: (lambda m: field(m, selector="other") + field(m, domain="evil.test") +
                                    signed(m).replace(b"Scan", b"Spam"))(scan()),
     of_example("its key is not to be found")),
    ("15 no body", lambda: signed()[:signed().index(b"\r\n\r\n")] + b"\r\n", "its header has no end"),
    ("16 expired", lambda: signed(selector="sel; x=1000000000"), of_example("it has expired")),
    ("16 from the future", lambda: signed(ahead=86400), of_example("it is from the future: is the clock right?")),
    ("17 a footer of a list", lambda: signed(mail(text="see")) + b"-- \r\nlist\r\n", of_example("body hash differs")),
    ("17 a subject of a list", lambda: signed().replace(b"Subject: Scan", b"Subject: [list] Scan"),
     of_example("the signed header fields were changed")),
    ("not signed", scan, "it is not signed"),
    ("a signature of 100 kB", lambda: on_top(signed(), "DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=sel; h=from" +
                                             ":x" * 50000 + "; bh=AAAA; b=AAAA\n"), None),
    ("signed by nobody who can be read", lambda: on_top(scan(), "DKIM-Signature: v=1\n"), "its signature can't be read"),
    ("no such key", lambda: signed(selector="other"), of_example("its key is not to be found")),
    ("a selector that is no name", lambda: signed(selector="a b"), of_example("its key is not to be found")),
    ("From unsigned", lambda: signed().replace(b"h=from", b"h=x-from"), None),
    *[(f"18 h= with {name}", lambda o=one: signed(include_headers=[*FIELDS, o]), of_example("it leaves Content-Type unsigned"))
      for name, one in (("an empty name", ""), ("a shorter one", "content"), ("a longer one", "content-type-x"))],
    ("18 an empty name, and another Content-Type",
     lambda: signed(include_headers=[*FIELDS, ""]).replace(b"=b0undary", b"=another", 1),
     of_example("it leaves Content-Type unsigned")),
]


@rows(TRAPS)
def test_trap(place, make, words):
    if words:
        unproven(place, make(), words)
    else:
        equal(explain(place, make())["reason"], "proof")


@rows([("9 for tests", record(rsa(2048)[1], more="t=y; "), "its key is for tests (t=y)"),
       ("10 of another kind", record(rsa(2048)[1], "ed25519"), "its key is of another kind"), ("revoked", record(""), "its key was revoked"),
       ("not for mail", record(rsa(2048)[1], more="s=web; "), "its key is not for mail"),
       ("for another hash", record(rsa(2048)[1], more="h=sha1; "), None), ("no key at all", "hello", None),
       ("damaged", record("AAAA" + rsa(2048)[1]), None), ("another one", record(rsa(2048, "other")[1]), None)])
def test_trap_of_the_key(place, text, words):
    report = explain(place, signed(), records={SELECTOR: text})
    equal((report["outcome"], report["reason"]), ("refused", "proof"), report)
    if words:
        equal(report["dkim"], of_example(words))


def test_trap_10_short_key(place):
    private, public = rsa(512)
    unproven(place, signed(key=private), of_example("its key is too short"), records={SELECTOR: record(public)})


def test_trap_4_second_from(place):
    """It is refused whoever signed it; and who looks at signatures would not take it either."""
    message = on_top(signed(), "From: boss@example.org\n")
    equal(explain(place, message)["reason"], "sender")
    prover = Prover(place, PROVER)
    equal((prover.ask(message).verdict, prover.ask(message).text), (NOTHING, "there are two From fields"))


BEGINNINGS = [b"\n\nx", b"\r\n\r\nx", b"\nx", b"\r\rx", b"\n", b"", b"x", b"\r", b"\0", b":\r\n\r\n", b" \r\n\r\n",
              b"a:\r\n\r\n", b"\xff: x\r\n\r\n", b"DKIM-Signature:\r\n\r\n", b"DKIM-Signature: ;\r\n\r\n", b"From:\n\n\n",
              b"From: @example.org\n\n"]


def test_trap_2_three_octets(place):
    """Nothing of the like ends anything: the child that saw it ended well, and its prover lives."""
    prover = Prover(place, PROVER)
    for beginning in [*BEGINNINGS, *[start + signed() for start in (b"\n", b"\r\n", b"\n\n", b"\r", b" \r\n")]]:
        answer = prover.ask(beginning)
        equal((answer.verdict, answer.status), (NOTHING, 0), f"{beginning[:20]}: {answer}")
    equal(prover.ask(signed()).verdict, SIGNED)
    require(prover.process.poll() is None, "it ended")


@rows([(repr(start), start) for start in (b"\n\nx", b"\n", b"\r\n\n")])
def test_trap_2_by_smtp_and_drop(place, start):
    """The same through a gateway, alone and in front of a mail that is signed well."""
    with place.gateway(gateway=settings(place), route=ROUTE, smtp="line_ends = lenient") as gateway:
        before = provers(gateway)
        for message in (start, start + signed()):
            require(send(gateway.port, message).startswith("55"), message[:20])
            equal(place.run("drop", "-c", gateway.arguments[-1], stdin=message).returncode, 65)
        require(send(gateway.port, signed()).startswith("250"))
        equal(provers(gateway), before)
        require(" died of signal" not in gateway.log(), gateway.log())


def provers(gateway):
    return [pid for pid, name in tree(gateway.process.pid) if name == "letterchute-pro" and
            status_of(pid, "PPid") == str(gateway.process.pid)]


# --- who is asked for keys ---------------------------------------------------------------------------------------------

def many(count, selector="s{}", domain="example.org", first=0):
    """A mail with so many signatures."""
    message = scan()
    one = field(message, domain="example.org", selector="placeholder").decode()
    out = "".join(one.replace("s=placeholder", "s=" + selector.format(number))
                  .replace("d=example.org", "d=" + domain.format(number)).replace("@example.org", "@" + domain.format(number))
                  for number in range(first, first + count))
    return out.encode() + message


@rows([("100 of 100 domains", many(100, domain="d{}.test"), 0, "there are too many signatures"),
       ("10 of 10 domains", many(10, domain="d{}.test"), 0, "no signature of example.org, but of d0.test"),
       ("100 of its own", many(100), 0, "there are too many signatures"),
       ("10 of its own", many(10), 4, of_example("its key is not to be found")),
       ("11 of its own", many(11), 0, "there are too many signatures")])
def test_trap_12_lookups(place, message, most, words):
    names = Names(place, {})
    prover = Prover(place, PROVER, records={}, resolver=names.address)
    answer = prover.ask(message)
    equal((answer.verdict, answer.unsure, answer.text), (NOTHING, 0, words))
    equal(len(names.asked), most)


def test_key_by_name(place):
    names = Names(place, {SELECTOR: record(rsa(2048)[1])})
    proven(place, signed(), records={}, resolver=names.address)
    equal(names.asked, [(SELECTOR, False)])


def test_key_by_name_at_version_6(place):
    names = Names(place, {SELECTOR: record(rsa(2048)[1])}, host="::1")
    proven(place, signed(), records={}, resolver=names.address)


def test_key_by_tcp(place):
    private, public = rsa(4096)
    names = Names(place, {SELECTOR: record(public)})
    proven(place, signed(key=private), records={}, resolver=names.address)
    equal(names.asked, [(SELECTOR, False), (SELECTOR, True)])


def test_key_by_another_name(place):
    names = Names(place, {SELECTOR: ["@sel.hoster.example", record(rsa(2048)[1])]})
    proven(place, signed(), records={}, resolver=names.address)


def test_file_goes_before_names(place):
    names = Names(place, {SELECTOR: record(rsa(2048, "other")[1])})
    proven(place, signed(), resolver=names.address)
    equal(names.asked, [])


@rows([("not there", NO_SUCH_NAME), ("no text", []), ("two keys", [record(rsa(2048)[1])] * 2), ("too long", "x" * 3000)])
def test_no_key_by_name(place, found):
    names = Names(place, {SELECTOR: found})
    report = explain(place, signed(), records={}, resolver=names.address)
    equal((report["outcome"], report["reason"]), ("refused", "proof"), report)


@rows([("a server that fails", SERVER_FAILED), ("one that refuses", REFUSED), ("one that is silent", None)])
def test_later_by_names(place, found):
    """Told to the device as 451 4.4.3; nothing goes to a route that would take it unsigned."""
    names = Names(place, {SELECTOR: found})
    texts = {"gateway": settings(place, {}, names.address), "text": f"[route signed]\n{ROUTE}\n", "route": "folder = rest"}
    with place.gateway(**texts) as gateway:
        started = time.monotonic()
        reply = send(gateway.port, signed())
        require(reply.startswith("451 4.4.3"), reply)
        require(time.monotonic() - started < 15 * PATIENCE, "it takes too long")
        line = gateway.last()
        equal((line["outcome"], line["reason"], line["text"]),
              ("later", "dns", of_example("its key can't be looked up now")))
        names.records[SELECTOR] = record(rsa(2048)[1])
        require(send(gateway.port, signed()).startswith("250"))
        equal((len(place.files()), place.spool("tries"), place.quarantine()), (1, [], []))
        require("rest" not in place.folders(), place.folders())


def test_one_key_that_is_there_is_enough(place):
    """Of two signatures of the domain the key of one can't be looked up."""
    message = scan()
    names = Names(place, {SELECTOR: record(rsa(2048)[1]), "other._domainkey.example.org": SERVER_FAILED})
    proven(place, field(message, selector="other") + signed(message), records={}, resolver=names.address)


def test_dnsmasq(place):
    """From a device to the share, with a real server for names."""
    resolver = dnsmasq(place, SELECTOR, record(rsa(2048)[1]))
    with place.gateway(gateway=f"dkim_resolver = {resolver}", route=ROUTE) as gateway:
        require(send(gateway.port, signed()).startswith("250"), gateway.log())
        reply = send(gateway.port, signed(selector="other"))
        require(reply.startswith("550 5.7.1"), reply)
        equal(gateway.last()["text"], f"no route takes it: {of_example('its key is not to be found')}")
        equal(len(place.files()), 1)


# --- whose signature counts --------------------------------------------------------------------------------------------

def test_relaxed(place):
    """`align = relaxed` is for one route; the first that takes it decides."""
    records = {"sel._domainkey.mail.example.org": record(rsa(2048)[1]), SELECTOR: record(rsa(2048)[1])}
    texts = {"records": records, "text": f"[route strict]\n{ROUTE}\n[route owner]\nauth = dkim\nalign = relaxed\n",
             "route": None}
    report = explain(place, signed(domain="mail.example.org"), **texts)
    equal((report["routes"], report["dkim"]), (["owner"], "signed by mail.example.org"))
    equal(explain(place, signed(), **texts)["routes"], ["strict"])
    equal(explain(place, signed(domain="evil.test"), **texts)["reason"], "proof")
    both = scan()
    equal(explain(place, field(both, domain="mail.example.org") + field(both) + both, **texts)["routes"], ["strict"])


def test_relaxed_answers(place):
    prover = Prover(place, PROVER, records={"sel._domainkey.mail.example.org": record(rsa(2048)[1])})
    message = signed(domain="mail.example.org")
    equal(prover.ask(message, relaxed=True).verdict, RELATED)
    equal(prover.ask(message).verdict, NOTHING)
    equal(prover.ask(message, domain="example.co.uk", relaxed=True).verdict, NOTHING)


def test_asked_only_where_it_decides(place):
    """Who looks at signatures is not there unless a route wants one, and not asked where another proof will do, another
    condition fails, or an earlier route takes the mail."""
    names = Names(place, {SELECTOR: SERVER_FAILED})
    with place.gateway(route="from = *@example.org", gateway=settings(place, {}, names.address)) as gateway:
        require(send(gateway.port, signed()).startswith("250"))
        equal(provers(gateway), [])
    for route in ("auth = peer, dkim", "auth = dkim\nfrom = other@*", "auth = dkim\nto = other@*"):
        equal(explain(place, signed(), records={}, resolver=names.address, route=route)["dkim"], None, route)
    equal(explain(place, signed(), records={}, resolver=names.address, text="[route a]\ntypes = pdf\n")["dkim"], None)
    equal(names.asked, [])


@rows([("no From", b"", "proof"), ("two addresses", b"From: a@example.org, b@example.org\r\n", "sender"),
       ("no domain", b"From: scanner\r\n", "proof"), ("an address of a machine", b"From: a@[127.0.0.1]\r\n", "proof")])
def test_from_that_proves_nothing(place, line, reason):
    message = scan().split(b"\r\n", 1)[1]
    report = explain(place, field(line + message if line else scan()) + line + message, route="auth = dkim")
    equal((report["outcome"], report["reason"]), ("refused", reason))


# --- the same octets for both ------------------------------------------------------------------------------------------

def forged(lines):
    """The attacker's own mail, with his own good signature, and lines that make somebody read another From."""
    return lambda: on_top(signed(scan(sender="a@evil.test"), domain="evil.test"), lines)


def below(junk):
    """A genuine mail below a From of the attacker's, and something between them."""
    return lambda: b"From: a@evil.test\r\n" + junk + signed()


SAME = [
    ("another From on top", forged("From: boss@example.org\n")),
    ("… folded", forged("From:\n boss@example.org\n")),
    ("… in capitals", forged("FROM: boss@example.org\n")),
    ("… with a blank before its colon", forged("From : boss@example.org\n")),
    ("… behind a blank line", forged("X: y\n \nFrom: boss@example.org\n")),
    ("… behind a line of blanks at the top", forged(" \nFrom: boss@example.org\n")),
    ("… behind junk", forged("X: y\njunk\nFrom: boss@example.org\n")),
    ("… behind a mark of an mbox", forged("From a@evil.test Sat Nov 21 10:00:00 2026\nFrom: boss@example.org\n")),
    ("… behind a bare CR", lambda: b"X: y\rFrom: boss@example.org\r\n" + forged("")()),
    ("… behind a NUL", lambda: b"X: \0\r\nFrom: boss@example.org\r\n" + forged("")()),
    ("… behind an empty line", forged("X: y\n\nFrom: boss@example.org\n")),
    ("… below an empty line at the top", forged("\nFrom: boss@example.org\n")),
    ("… behind a parameter that is not folded", forged("Content-Disposition: inline;\nx=y\nFrom: boss@example.org\n")),
    ("… behind dashes", forged("--x: y\nFrom: boss@example.org\n")),
    ("lines that end with CR alone", lambda: signed(scan(sender="a@evil.test"), domain="evil.test")
     .replace(b"\r\n", b"\r").replace(b"From: a@evil.test", b"From: boss@example.org")),
    ("a genuine mail behind an empty line", below(b"\r\n")),
    ("… behind a blank one", below(b" \r\n")),
    ("… behind junk", below(b"junk\r\n")),
    ("… behind a bare CR", below(b"X: y\r")),
    ("… behind LF CR", below(b"\n\r")),
]


@rows(SAME)
def test_same_octets(place, make):
    """Whatever the extractor takes for From, what is proven is that very field: nothing of this is delivered, neither as
    example.org's nor as evil.test's that has signed another."""
    message = make()
    report = explain(place, message, route="auth = dkim",
                     records={SELECTOR: record(rsa(2048)[1]), "sel._domainkey.evil.test": record(rsa(2048)[1])})
    equal(report["outcome"], "refused", report)
    prover = Prover(place, PROVER)
    for relaxed in (False, True):
        answer = prover.ask(message, relaxed=relaxed)
        equal((answer.verdict, answer.status), (NOTHING, 0), answer)


def test_of_which_from_it_is_told(place):
    """Who reads another From than the one that is signed, and says so, hears that it is not there."""
    prover = Prover(place, PROVER, records={"sel._domainkey.evil.test": record(rsa(2048)[1])})
    message = signed(scan(sender="a@example.org"), domain="evil.test")
    equal(prover.ask(message, domain="evil.test").text, "the domain of From is not written out in it")
    equal(prover.ask(signed(scan(sender="a@evil.test"), domain="evil.test"), domain="evil.test").verdict, SIGNED)
    for sender in ("a@evil.test.example.org", "a@notevil.test", "a@evil.testing"):
        equal(prover.ask(signed(scan(sender=sender), domain="evil.test"), domain="evil.test").verdict, NOTHING)


# --- every source ------------------------------------------------------------------------------------------------------

def test_smtp(place):
    with place.gateway(gateway=settings(place), route=ROUTE) as gateway:
        require(send(gateway.port, signed()).startswith("250"))
        reply = send(gateway.port, signed().replace(b"see the", b"see a"))
        require(reply.startswith("550 5.7.1"), reply)
        equal((gateway.last(2)["reason"], gateway.last(2)["text"]),
              ("proof", f"no route takes it: {of_example('body hash differs')}"))
        equal(len(place.files()), 1)


def test_maildir(place):
    """Its files end their lines with LF."""
    box = box_of(place)
    with place.gateway(gateway=settings(place), route=ROUTE, text=section(box)):
        box.lay(signed().replace(b"\r\n", b"\n"))
        wait_for(lambda: len(place.files()) == 1 and box.is_empty(), 20, "it is not delivered")
        box.lay(scan().replace(b"\r\n", b"\n"))
        refused = os.path.join(place.folder, "refused", "cur")
        wait_for(lambda: box.is_empty() and len(os.listdir(refused)) == 1, 20, "it is not refused")
        equal(len(place.files()), 1)


def test_once(place):
    box = box_of(place)
    box.lay(signed())
    done = place.run("once", "-c", place.config(section(box), gateway=settings(place), route=ROUTE))
    equal((done.returncode, len(place.files()), box.is_empty()), (0, 1, True), done.stderr.decode())


def test_drop(place):
    """Without a gateway, and through one."""
    config = place.config(gateway=settings(place), route=ROUTE)
    equal(place.run("drop", "-c", config, stdin=signed()).returncode, 0)
    done = place.run("drop", "-c", config, stdin=scan())
    equal(done.returncode, 65)
    with place.gateway(config=config):
        equal(place.run("drop", "-c", config, stdin=signed()).returncode, 0)
        equal(place.run("drop", "-c", config, stdin=scan()).returncode, 65)
    equal(len(place.files()), 2)


def test_session(place):
    config = place.config(gateway=settings(place), route=ROUTE)
    for message, code in ((signed(), b"250 2.0.0"), (scan(), b"550 5.7.1")):
        dialogue = (b"EHLO x\r\nMAIL FROM:<scanner@example.org>\r\nRCPT TO:<scans@example.org>\r\nDATA\r\n" + message +
                    b".\r\nQUIT\r\n")
        done = place.run("smtp-session", "-c", config, stdin=dialogue)
        require(b"\n" + code in done.stdout, done.stdout)
    equal(len(place.files()), 1)


def test_quarantine_says_so(place):
    """What is put aside for another reason is kept with what its signature proves."""
    damaged = signed(b"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\n" + SUSPICIOUS)
    with place.gateway(gateway=settings(place), route=ROUTE) as gateway:
        require(send(gateway.port, damaged).startswith("554"), gateway.log())
        (entry,) = place.quarantine()
        with open(os.path.join(place.state, "quarantine", entry, "facts.json")) as facts:
            equal(json.load(facts)["dkim"], "signed by example.org")


# --- what goes wrong ---------------------------------------------------------------------------------------------------

def test_killed(place):
    """Another takes its place, and what waits for it."""
    with place.gateway(gateway=settings(place), route=ROUTE) as gateway:
        for _ in range(3):
            (before,) = wait_for(lambda: provers(gateway), 20, "there is none")
            os.kill(before, signal.SIGKILL)
            require(send(gateway.port, signed()).startswith("250"), gateway.log())
            wait_for(lambda: provers(gateway) not in ([], [before]), 20, "no other is started")
        equal((len(place.files()), place.spool("tries"), place.quarantine()), (3, [], []))


def test_killed_over_a_message(place):
    """Whoever looks at it, and the prover: another looks at it, or it is for later; never against it."""
    names = Names(place, {SELECTOR: None})
    with place.gateway(gateway=settings(place, {}, names.address), route=ROUTE) as gateway:
        def kill_child():
            wait_for(lambda: names.asked, 20, "nobody asks for its key")
            for pid, name in tree(gateway.process.pid):
                if name == "letterchute-pro" and pid not in provers(gateway):
                    os.kill(pid, signal.SIGKILL)
        with background(kill_child):
            reply = send(gateway.port, signed())
        require(reply.startswith("451 4.3.0"), reply)
        equal((gateway.last()["reason"], gateway.last()["text"]), ("io", "the prover died of signal 9"))
        names.records[SELECTOR] = record(rsa(2048)[1])
        require(send(gateway.port, signed()).startswith("250"))
        equal((place.spool("tries"), place.quarantine()), ([], []))


@contextlib.contextmanager
def background(function):
    """Beside what is done within; what it fails by is told at the end."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        done = pool.submit(function)
        yield
        done.result()


def test_wedged(place):
    """One that hangs: the device is told to come again in time, others are not held up, and it goes on afterwards."""
    texts = {"gateway": settings(place, more="answer_within = 6s\ncouriers = 3"), "route": ROUTE + "\nto = in@*",
             "text": "[route rest]\nto = out@*\n"}
    with place.gateway(**texts) as gateway:
        require(send(gateway.port, signed(), to=["in@x"]).startswith("250"))
        (prover,) = provers(gateway)
        os.kill(prover, signal.SIGSTOP)
        try:
            with background(lambda: require(send(gateway.port, scan(), to=["out@x"]).startswith("250"))):
                started = time.monotonic()
                reply = send(gateway.port, signed(), to=["in@x"])
                require(reply.startswith("451 4.4.5") and time.monotonic() - started < 7 * PATIENCE, reply)
        finally:
            os.kill(prover, signal.SIGCONT)
        require(send(gateway.port, signed(), to=["in@x"]).startswith("250"))
        equal((len(place.files()), place.quarantine()), (3, []))


def test_ends_of_a_gateway(place):
    """It ends with its gateway, killed or asked to, and in time; and a reload brings a new one for new couriers."""
    with place.gateway(gateway=settings(place), route=ROUTE) as gateway:
        (before,) = provers(gateway)
        gateway.process.send_signal(signal.SIGHUP)
        wait_for(lambda: provers(gateway) not in ([], [before]) and len(provers(gateway)) == 1, 20, "the old one stays")
        require(send(gateway.port, signed()).startswith("250"))
        started = time.monotonic()
        gateway.stop()
        require(time.monotonic() - started < 3 * PATIENCE, "it takes too long")
    with place.gateway(gateway=settings(place), route=ROUTE) as gateway:
        (prover,) = provers(gateway)
        gateway.process.kill()
        wait_for(lambda: status_of(prover, "State") in (None, "Z"), 10, "it outlives its gateway")
        gateway.kill()


def test_ends_while_a_key_is_looked_up(place):
    """Who waits is told to come again, and nothing is written."""
    names = Names(place, {SELECTOR: None})
    with place.gateway(gateway=settings(place, {}, names.address), route=ROUTE) as gateway:
        device = Device(gateway.port)
        device.envelope()
        device.say("DATA")
        device.send(signed() + b".\r\n")
        wait_for(lambda: names.asked, 20, "nobody asks for its key")
        started = time.monotonic()
        gateway.stop()
        require(time.monotonic() - started < 4 * PATIENCE, "it takes too long")
        require(device.reply().startswith("421"))
        equal((place.files(), place.spool("tries")), ({}, []))


def test_file_of_keys_is_read_anew(place):
    with place.gateway(gateway=settings(place, {}), route=ROUTE) as gateway:
        (before,) = provers(gateway)
        require(send(gateway.port, signed()).startswith("550"))
        keys(place)
        gateway.process.send_signal(signal.SIGHUP)
        wait_for(lambda: provers(gateway) not in ([], [before]) and len(provers(gateway)) == 1, 20, "the old one stays")
        require(send(gateway.port, signed()).startswith("250"))


@rows([("not there", "dkim_keys = none-such", b"gateway.conf:3: "), ("no address", "dkim_resolver = dns.example", b":3: "),
       ("no port", "dkim_resolver = 127.0.0.1:0", b":3: "), ("two colons", "dkim_resolver = 127.0.0.1:5:3", b":3: ")])
def test_bad_configuration(place, line, words):
    done = place.run("check", "-c", place.config(gateway=line, route=ROUTE))
    equal(done.returncode, 78)
    require(words in done.stderr and b"expected" in done.stderr, done.stderr)


def check(place, **texts):
    done = place.run("check", "-c", place.config(**texts), "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, [line for line in lines if line["what"] == "dkim"], done.stderr.decode()


def test_check(place):
    names = Names(place, {})
    status, found, _ = check(place, gateway=settings(place, resolver=names.address), route=ROUTE)
    equal((status, [line["ok"] for line in found]), (0, [True]), found)
    names.stop()
    status, found, _ = check(place, gateway=settings(place, resolver=names.address), route=ROUTE)
    equal((status, [line["ok"] for line in found]), (69, [False]), found)
    require("does not answer" in found[0]["text"] and "dkim_resolver" in found[0]["remedy"], found)
    equal(check(place, gateway=settings(place, resolver=names.address), route="types = pdf")[:2], (0, []))
    status, found, _ = check(place, gateway=settings(place), route=ROUTE)
    equal((status, [line["ok"] for line in found]), (0, [True]), found)


def test_check_of_a_bad_file_of_keys(place):
    _, _, log = check(place, gateway=settings(place, {"not a key": "x"}), route=ROUTE)
    require("line 3 of the file is no key" in log, log)


@needs_root
@rows([("off", "off", ()), ("require", "require", ()), ("best without Landlock", "best", ("landlock=ENOSYS",)),
       ("best with less of it", "best", ("landlock=3",))])
def test_sandbox(place, word, lacks):
    wrapper = (sys.executable, os.path.join(HERE, "jail", "kernel.py"), *lacks, "--") if lacks else ()
    names = Names(place, {SELECTOR: record(rsa(2048)[1])})
    text = settings(place, {}, names.address, f"sandbox = {word}")
    with place.gateway(gateway=text, route=ROUTE, wrapper=wrapper) as gateway:
        require(send(gateway.port, signed()).startswith("250"), gateway.log())
        require(send(gateway.port, scan()).startswith("550"), gateway.log())


def canonical(message):
    """Lines that end with CRLF, the last one too, and no empty ones at the end. A lone CR is none."""
    lines = re.sub(rb"\r?\n", b"\r\n", message)
    return re.sub(rb"(\r\n)+\Z", b"\r\n", lines if lines.endswith(b"\n") else lines + b"\r\n")


def test_changed_anywhere(place):
    """A mail that is signed whole, changed at one place or another: it proves nothing any more, and ends nobody."""
    chance = random.Random(20261122)
    message = scan()
    top = field(message, canonicalize=["simple", "simple"])
    prover = Prover(place, PROVER)
    equal(prover.ask(top + message).verdict, SIGNED)
    for _ in range(COUNT or 300):
        at, other = chance.randrange(len(message)), bytes([chance.choice(b"\0\r\n\t :;=AZaz09\xff\x80")])
        changed = chance.choice([message[:at] + other + message[at + 1:], message[:at] + other + message[at:],
                                 message[:at] + message[at + chance.randrange(1, 40):],
                                 message[:at] + message[chance.randrange(len(message)):]])
        answer = prover.ask(top + changed)
        wanted = SIGNED if canonical(changed) == canonical(message) else NOTHING
        equal((answer.verdict, answer.status), (wanted, 0), f"{changed!r}")


def test_changed_signature(place):
    """The field itself, changed: whatever comes of it, nobody dies of it."""
    chance = random.Random(20261123)
    message = scan()
    top = field(message)
    words = [b";", b"=", b"d=", b"s=", b"h=", b"l=0;", b"x=1;", b"t=0;", b"c=simple;", b"a=rsa-sha1;", b"b=", b"bh=;", b"v=2;",
             b"i=@x;", b"q=x;", b"z=a|b;", b":" * 3000, b"from:" * 3000, b"A" * 70000, b"\0", b"\xff", b"\r\n\t", b"%00", b"=00"]
    prover = Prover(place, PROVER)
    for _ in range(COUNT or 500):
        changed = top
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(len("DKIM-Signature:"), len(changed) - 2)
            changed = changed[:at] + chance.choice([chance.choice(words), b""]) + changed[at + chance.randrange(3):]
        answer = prover.ask(changed + message)
        equal(answer.status, 0, f"{changed[:2000]!r}: {answer}")


# --- how much it takes -------------------------------------------------------------------------------------------------

def peak_kb(pid):
    return int(status_of(pid, "VmHWM") or 0)


def test_memory(place):
    """A mail of 100 MB takes no more than a small one."""
    prover = Prover(place, PROVER)
    line = b"x" * 76 + b"\r\n"
    peaks = []
    for size in (20 << 20, 100 << 20):
        head = signed(mail(text=None))[:-2]
        with prover.send(head + line * (size // len(line))) as answer:
            peak = 0
            while not readable(answer):
                for pid in children(prover.process.pid):
                    with contextlib.suppress(OSError, ValueError):
                        peak = max(peak, peak_kb(pid))
            answer.settimeout(30)
            verdict = struct.unpack_from("I", answer.recv(1000))[0]
        equal(verdict, NOTHING)
        peaks.append(peak)
    print(f"     system/dkim/memory: {peaks} kB")
    require(peaks[0] > 0 and peaks[1] < peaks[0] + 2048 and peaks[1] < 32 << 10, peaks)


test_memory.measured = True


def readable(answer):
    return bool(select.select([answer], [], [], 0.002)[0])


def test_many_at_once(place):
    prover = Prover(place, PROVER)
    good, bad = signed(), scan()
    answers = [(prover.send(message), verdict) for _ in range(20) for message, verdict in ((good, SIGNED), (bad, NOTHING))]
    for answer, verdict in answers:
        with answer:
            answer.settimeout(60)
            equal(struct.unpack_from("I", answer.recv(1000))[0], verdict)


def test_nonsense(place):
    """Questions that are none are said, and harm nobody."""
    prover = Prover(place, PROVER)
    for octets, fds in ((b"x", []), (b"x" * 280, []), (struct.pack("IIQq256s", 1, 0, 0, 0, b"x" * 256), [2, 2]),
                        (struct.pack("IIQq256s", 9, 0, 0, 0, b"x"), [2, 2]), (struct.pack("IIQq256s", 1, 0, 0, 0, b"x"), [2]),
                        (b"x" * 5000, [])):
        socket.send_fds(prover.asks, [octets], fds)
    equal(prover.ask(signed()).verdict, SIGNED)


def test_look(place):
    names = Names(place, {})
    prover = Prover(place, PROVER, resolver=names.address)
    equal(prover.ask(kind=LOOK).unsure, 0)
    equal(len(names.asked), 1)


def test_question_that_another_took(place):
    """Woken for nothing it closes nothing: the next descriptor would have the number of its standard input."""
    program = place.file("prover", "#!/bin/sh\nexec strace -D -o /dev/null -e trace=recvmsg -e inject=recvmsg:error=EAGAIN:when=1 "
                         f"{PROVER} \"$@\"\n")
    os.chmod(program, 0o755)
    prover = Prover(place, program)
    equal(prover.ask(signed()).verdict, SIGNED)
    equal(os.readlink(f"/proc/{prover.process.pid}/fd/0"), os.devnull)
