"""Hostile mail: refused or stored within a second of CPU, in bounded memory."""

import os
import resource
import subprocess

from harness import IS_SANITIZED, PATIENCE, PROGRAM, equal, require, rows

TOP = b"From: a@b\r\nMIME-Version: 1.0\r\n"
CPU_S = 1.0 * (8 if IS_SANITIZED else 1)  # seconds


def multipart(boundary, *parts):
    whole = b"Content-Type: multipart/mixed; boundary=\"" + boundary + b"\"\r\n\r\n"
    for one in parts:
        whole += b"--" + boundary + b"\r\n" + one
    return whole


def nest(depth, boundary=lambda level: b"b%d" % level, inner=b""):
    out = b"".join(multipart(boundary(level), b"") for level in range(depth))
    return TOP + out + inner


def dashes(depth):
    return nest(depth, inner=b"Content-Type: text/plain\r\n\r\n" + b"--x\r\n" * (20 * 1024 * 1024 // 5))


def rfc822(count):
    return TOP + b"Content-Type: message/rfc822\r\n\r\n" * count


ROWS = [
    ("a boundary that is a quoted quote", lambda: TOP + b"Content-Type: multipart/mixed; boundary=\"\\\"\"\r\n\r\nx"),
    ("a million ( in From", lambda: b"From: " + b"(" * 1000000 + b"\r\n\r\nx"),
    ("a million ( in Content-Type", lambda: b"Content-Type: " + b"(" * 1000000 + b"\r\n\r\nx"),
    ("folded ( in Content-Type", lambda: b"Content-Type: " + b"(\r\n " * 60000 + b"\r\n\r\nx"),
    ("100,000 messages inside each other", lambda: rfc822(100000)),
    ("1,000 multiparts inside each other", lambda: nest(1000)),
    ("10,000 multiparts inside each other", lambda: nest(10000)),
    ("one boundary 100,000 times, never closed", lambda: nest(100000, lambda level: b"same")),
    ("a million empty parts", lambda: TOP + multipart(b"b") + b"--b\r\n\r\n" * 1000000),
    ("a million parts without anything", lambda: TOP + multipart(b"b") + b"--b\r\n" * 1000000),
    ("a header field of 200 MB", lambda: b"X-Long: " + b"x" * (200 << 20) + b"\r\n\r\nx"),
    ("a Subject of 200 MB", lambda: b"Subject: " + b"=?utf-8?q?x?= " * (200 * 1024 * 1024 // 14) + b"\r\n\r\nx"),
    ("200 MB of folded header", lambda: b"X: y\r\n" + b" z\r\n" * (50 << 20) + b"\r\nx"),
    ("100,000 header fields", lambda: TOP + b"X-A: b\r\n" * 100000 + b"\r\nx"),
    ("100,000 Received fields", lambda: b"Received: from a by b; Sat, 21 Nov 2026 10:00:00 +0000\r\n" * 100000 + b"\r\nx"),
    ("a boundary of 10 kB", lambda: TOP + multipart(b"B" * 10240, *[b"\r\nx\r\n"] * 1000)),
    ("20 MB of -- lines at depth 1", lambda: dashes(1)),
    ("20 MB of -- lines at depth 30", lambda: dashes(29)),
    ("20 MB of -- lines at depth 100", lambda: dashes(100)),
    ("20 MB of -- lines at depth 1,000", lambda: dashes(1000)),
    ("20,000 parameters", lambda: TOP + b"Content-Type: text/plain" + b"".join(b";\r\n a%d=b" % i for i in range(20000)) +
     b"\r\n\r\nx"),
    ("200,000 parameters", lambda: TOP + b"Content-Type: text/plain" + b"; a=b" * 200000 + b"\r\n\r\nx"),
    ("20,000 pieces of one name", lambda: TOP + b"Content-Type: application/pdf" +
     b"".join(b";\r\n name*%d=b" % i for i in range(20000)) + b"\r\n\r\nx"),
    ("base64 in one line of 100 MB", lambda: TOP + b"Content-Type: application/pdf; name=a.pdf\r\n"
     b"Content-Transfer-Encoding: base64\r\n\r\n" + b"QUJD" * (25 << 20)),
    ("quoted-printable of = signs", lambda: TOP + b"Content-Type: application/pdf; name=a.pdf\r\n"
     b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=" * (20 << 20)),
    ("20 MB of NUL", lambda: TOP + b"\r\n" + b"\0" * (20 << 20)),
    ("20 MB of bare CR", lambda: TOP + b"\r\n" + b"\r" * (20 << 20)),
    ("a page of 20 MB of cid:", lambda: TOP + b"Content-Type: text/html\r\n\r\n" + b"cid:a" * (4 << 20)),
    ("words that open and never close", lambda: b"Subject: " + b"=?utf-8?b?" * 20000 + b"\r\n\r\nx"),
    ("an address list of 200,000", lambda: b"To: " + b"a@b,\r\n " * 200000 + b"c@d\r\n\r\nx"),
]


@rows(ROWS)
def test_row(place, make):
    path = place.file("mail.eml", make())
    out = place.make("out")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([PROGRAM, "extract", "--json", "--to", out, path], capture_output=True,
                          timeout=60 * PATIENCE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    require(done.returncode in (0, 65), f"{done.returncode} {done.stderr.decode()}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    require(cpu < CPU_S, f"{cpu:.2f} s of CPU")
    if done.returncode == 65:
        equal(os.listdir(out), [])


test_row.alone = True
test_row.measured = True
