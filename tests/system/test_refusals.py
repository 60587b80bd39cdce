"""What is refused, when, with which words; and that nothing is left of it."""

import os
import resource
import subprocess

from harness import EXE, JPEG, PDF, PNG, PROGRAM, Device, equal, mail, part, pdf, require, rows, scan, send

ROUTE = """types = pdf, jpeg, png
from = scanner@example.org, *@accounting.example
to = scans@*, big@*
part_max = 100k"""

LIMITS = "[limits]\nmessage = 1M\nparts = 5\ndepth = 4\nheader = 8k\n"


def nested(depth):
    body = b"Content-Type: text/plain\r\n\r\nx\r\n"
    for level in range(depth):
        body = (f"Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n".encode() + body +
                f"\r\n--b{level}--\r\n".encode())
    return b"From: scanner@example.org\r\nMIME-Version: 1.0\r\n" + body


AT_THE_END = [
    ("a type by content", mail(part(EXE, "scan.pdf")), "550 5.7.1", "type"),
    ("a script with a good name", mail(part(b"#!/bin/sh\nrm -rf /\n", "scan.pdf")), "550 5.7.1", "type"),
    ("one bad file among good ones", mail(part(PDF), part(EXE, "b.pdf"), part(PDF)), "550 5.7.1", "type"),
    ("a part that is too large", scan(200 * 1024), "552 5.3.4", "size"),
    ("the sender of From", scan(sender="stranger@example.net"), "550 5.7.1", "sender"),
    ("a sender in the display name", scan(sender='"scanner@example.org" <evil@example.net>'), "550 5.7.1", "sender"),
    ("two senders", scan(sender="scanner@example.org, evil@example.net"), "550 5.7.1", "sender"),
    ("two From fields", scan(headers=["From: evil@example.net"]), "550 5.7.1", "sender"),
    ("no attachment", mail(), "554 5.6.0", "no_parts"),
    ("an empty mail", b"From: scanner@example.org\r\n\r\n", "554 5.6.0", "no_parts"),
    ("too many parts", mail(*[part(PDF, f"{i}.pdf") for i in range(9)]), "554 5.6.0", "parts"),
    ("nested too deeply", nested(9), "554 5.6.0", "depth"),
    ("a header that is too long", scan(headers=["X-Long: " + "x" * 9000]), "554 5.6.0", "header"),
    ("two names of one part that differ",
     mail(part(PDF, headers=["Content-Disposition: attachment; filename=\"a.exe\""])), "554 5.6.0", "ambiguous"),
    ("two encodings of one part that differ",
     mail(part(PDF, headers=["Content-Transfer-Encoding: 7bit"])), "554 5.6.0", "ambiguous"),
]


@rows(AT_THE_END)
def test_at_the_end_of_data(place, message, code, reason):
    with place.gateway(route=ROUTE, text=LIMITS) as gateway:
        reply = send(gateway.port, message)
        require(reply.startswith(code), reply)
        require(reply.isascii() and len(reply) < 80, reply)
        line = gateway.last()
        equal((line["outcome"], line["reason"]), ("refused", reason))
        equal(place.files(), {})
        equal(place.folders(), [])
        equal(place.staged(), [])
        equal(place.spool("publishing"), [])
        equal(place.marks(), [])
        require(send(gateway.port, scan()).startswith("250"), "the next mail")


def test_recipient(place):
    with place.gateway(route=ROUTE) as gateway:
        device = Device(gateway.port)
        device.say("EHLO x")
        device.say("MAIL FROM:<scanner@example.org>")
        require(device.say("RCPT TO:<nobody@example.org>").startswith("550 5.1.1"))
        require(device.say("RCPT TO:<SCANS@EXAMPLE.org>").startswith("250"))
        require(device.data(scan()).startswith("250"))
        device.quit()
        line = [line for line in gateway.lines() if line["outcome"] == "refused"][0]
        equal((line["reason"], line["parts"], line["to"]), ("route", "0", "nobody@example.org"))


def test_size_declared(place):
    with place.gateway(route=ROUTE, text=LIMITS) as gateway:
        device = Device(gateway.port)
        require("SIZE 1048576" in device.say("EHLO x"))
        require(device.say("MAIL FROM:<scanner@example.org> SIZE=2000000").startswith("552 5.3.4"))
        equal(gateway.last()["reason"], "size")
        device.quit()


def test_size_not_declared(place):
    with place.gateway(route=ROUTE, text=LIMITS) as gateway:
        reply = send(gateway.port, scan(1500 * 1024))
        require(reply.startswith("552 5.3.4"), reply)
        equal(gateway.last()["reason"], "size")
        equal(place.files(), {})


def limit_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20))


def test_size_of_a_drop(place):
    """What is too long is not kept; whoever writes is heard out, unless he never ends."""
    config = place.config("[limits]\nmessage = 1M\n")
    equal(place.run("drop", "-c", config, stdin=scan(700 << 10)).returncode, 0)
    done = place.run("drop", "-c", config, stdin=scan(20 << 20), preexec_fn=limit_files)
    equal(done.returncode, 65, done.stderr.decode())
    require(b"5.3.4" in done.stderr, done.stderr)
    endless = subprocess.Popen(["yes"], stdout=subprocess.PIPE)
    place.later(endless.kill)
    done = subprocess.run([PROGRAM, "drop", "-c", config], stdin=endless.stdout, capture_output=True, timeout=60,
                          preexec_fn=limit_files)
    equal(done.returncode, 65, done.stderr.decode())
    equal(len(place.files()), 1)


def test_no_route_for_the_peer(place):
    with place.gateway(route="types = pdf\npeers = 192.0.2.0/24") as gateway:
        device = Device(gateway.port)
        device.say("EHLO x")
        reply = device.say("MAIL FROM:<a@b>")
        require(reply.startswith("550 5.7.1"), reply)
        equal(gateway.last()["reason"], "peer")
        device.quit()


def test_peer_is_not_greeted(place):
    with place.gateway(smtp="peers = 192.0.2.0/24") as gateway:
        # loopback counts as allowed whatever `peers` says; another address of this machine does not
        require(send(gateway.port, scan()).startswith("250"))


BAD_PARTS = [
    ("skip", "bad_part = skip", "250", 1, 0),
    ("quarantine", "bad_part = quarantine", "250", 1, 1),
    ("refuse", "bad_part = refuse", "550", 0, 0),
]


@rows(BAD_PARTS)
def test_bad_part(place, key, code, files, kept):
    with place.gateway(route=f"types = pdf\n{key}") as gateway:
        reply = send(gateway.port, mail(part(PDF), part(EXE, "b.exe")))
        require(reply.startswith(code), reply)
        equal(len(place.files()), files)
        equal(len(place.quarantine()), kept)
        equal(place.staged(), [])
    if kept:
        entry = os.path.join(place.state, "quarantine", place.quarantine()[0])
        equal(open(os.path.join(entry, "part"), "rb").read(), EXE)


def test_skip_that_leaves_nothing(place):
    with place.gateway(route="types = pdf\nbad_part = skip") as gateway:
        require(send(gateway.port, mail(part(EXE, "b.exe"))).startswith("554 5.6.0"))
        equal(gateway.last()["reason"], "no_parts")


def test_no_parts_accepted(place):
    with place.gateway(route="no_parts = accept") as gateway:
        require(send(gateway.port, mail()).startswith("250"))
        equal(gateway.last()["outcome"], "delivered")
        equal(place.files(), {})


def html(*parts):
    page = b"Content-Type: text/html\r\n\r\n<html><img src=\"cid:logo@x\"></html>\r\n"
    return mail(page, *parts, text=None)


PICTURES = [
    ("shown by the page, skipped", "", [part(PNG, "logo.png", "image/png", "inline", ["Content-ID: <logo@x>"]), part(PDF)],
     ["scan.pdf"]),
    ("shown by the page, kept", "inline = keep",
     [part(PNG, "logo.png", "image/png", "inline", ["Content-ID: <logo@x>"]), part(PDF)], ["logo.png", "scan.pdf"]),
    ("inline and not shown", "", [part(PNG, "shot.png", "image/png", "inline", ["Content-ID: <other@x>"])],
     ["shot.png"]),
    ("inline without an id", "", [part(JPEG, "shot.jpg", "image/jpeg", "inline")], ["shot.jpg"]),
    ("an inline PDF that is shown", "", [part(PDF, "a.pdf", "application/pdf", "inline", ["Content-ID: <logo@x>"])],
     ["a.pdf"]),
]


@rows(PICTURES)
def test_picture(place, key, parts, names):
    with place.gateway(route=f"types = pdf, png, jpeg\n{key}") as gateway:
        require(send(gateway.port, html(*parts)).startswith("250"), "the mail")
        equal(sorted(place.files()), names)


def test_several_routes(place):
    """A message goes once to each distinct route, all or none."""
    text = ("[route one]\nto = one@*, uno@*\nfolder = one\ntypes = pdf\n"
            "[route two]\nto = two@*\nfolder = two\ntypes = pdf, png\n")
    with place.gateway(text=text, route=None) as gateway:
        to = ("one@x", "uno@x", "two@x")
        require(send(gateway.port, scan(500), to=to).startswith("250"))
        equal(sorted(place.files()), ["one/scan.pdf", "two/scan.pdf"])
        line = gateway.last()
        equal((line["route"], line["parts"]), ("one,two", "2"))
        reply = send(gateway.port, mail(part(PNG, "a.png", "image/png")), to=to)
        require(reply.startswith("550 5.7.1"), reply)
        equal(sorted(place.files()), ["one/scan.pdf", "two/scan.pdf"])
        equal(place.staged(), [])


def test_two_shares(place):
    other = place.make("other")
    text = (f"[share other]\npath = {other}\nfree_floor = 0\nname = {{name}}\n"
            "[route one]\nto = one@*\n[route two]\nto = two@*\nshare = other\n")
    with place.gateway(text=text, route=None) as gateway:
        require(send(gateway.port, scan(600), to=("one@x", "two@x")).startswith("250"))
        equal(list(place.files()), ["scan.pdf"])
        equal(list(place.files(other)), ["scan.pdf"])
        equal(place.staged(other), [])


BODIES = [
    ("text", "body = text", ["mail.txt", "scan.pdf"]),
    ("eml", "body = eml", ["mail.eml", "scan.pdf"]),
    ("json", "body = json", ["mail.json", "scan.pdf"]),
]


@rows(BODIES)
def test_body(place, key, names):
    with place.gateway(route=f"types = pdf\n{key}") as gateway:
        message = mail(part(PDF), text="Zone 4: Fenster offen, Küche")
        require(send(gateway.port, message).startswith("250"))
        files = place.files()
        equal(sorted(files), names)
        if key.endswith("text"):
            equal(files["mail.txt"].strip().decode(), "Zone 4: Fenster offen, Küche")
        if key.endswith("eml"):
            equal(files["mail.eml"], message)


def test_body_alone(place):
    with place.gateway(route="body = text\nno_parts = accept") as gateway:
        require(send(gateway.port, mail(text="alarm")).startswith("250"))
        equal(place.files()["mail.txt"].strip(), b"alarm")


@rows([("refused", "body = text", "552 5.3.4", []), ("skipped", "body = text\nbad_part = skip", "250", ["scan.pdf"]),
       ("not stored", "body = none", "250", ["scan.pdf"])])
def test_text_that_is_too_large(place, keys, code, names):
    """Where the text is stored it is a part like any other."""
    message = scan(100, text="x" * 70 + ("\r\n" + "x" * 70) * 200)
    with place.gateway(text="[limits]\npart = 10k\n", route=f"types = pdf\n{keys}") as gateway:
        require(send(gateway.port, message).startswith(code))
        equal(sorted(place.files()), names)


def test_suspicious_is_kept_aside(place):
    """The header that says multipart was lost on the way: a part that no reading accounts for."""
    with place.gateway() as gateway:
        message = b"From: scanner@example.org\r\n\r\nsee the scan\r\n--x\r\n" + part(pdf(4000)) + b"\r\n--x--\r\n"
        require(send(gateway.port, message).startswith("554 5.6.0"))
        equal(gateway.last()["reason"], "suspicious")
        equal(place.files(), {})
    (entry,) = place.quarantine()
    equal(open(os.path.join(place.state, "quarantine", entry, "message.eml"), "rb").read(), message)


def test_suspicious_that_can_not_be_kept(place):
    """A full quarantine: "kept aside" would be a lie, so the sender keeps it."""
    message = b"From: scanner@example.org\r\n\r\nsee the scan\r\n--x\r\n" + part(pdf(4000)) + b"\r\n--x--\r\n"
    with place.gateway(gateway="quarantine_bytes = 100") as gateway:
        require(send(gateway.port, message).startswith("452 4.3.1"))
        equal((gateway.last()["outcome"], gateway.last()["reason"]), ("later", "spool"))
        require("quarantine_bytes" in gateway.last()["text"], gateway.last())
        equal(place.quarantine(), [])


def test_ambiguous_with_equal_files(place):
    """Two values that give the same files are no attack."""
    with place.gateway() as gateway:
        message = mail(part(PDF, headers=["Content-Type: application/octet-stream; name=\"scan.pdf\""]))
        require(send(gateway.port, message).startswith("250"))
        equal(list(place.files()), ["scan.pdf"])
