"""One mail is one mail: whatever is in it, and whoever sends it, nothing in it becomes a second one."""

import re

from harness import PDF, Device, equal, mail, part, require

SECOND = (b"MAIL FROM:<scanner@example.org>\r\nRCPT TO:<evil@example.org>\r\nDATA\r\n" +
          b"From: second@example.org\r\nSubject: the second\r\n\r\nsecond\r\n.\r\nQUIT\r\n")
ENDS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n.\r", b"\r.\n", b"\r\r\n.\r\r\n", b"\n\r.\n\r",
        b"\0\r\n.\n", b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\n\0.\n", b"\n.\0\n", b"\r\0\n.\r\0\n", b"\r\n.\x1a\r\n", b"\x85.\x85",
        b"\xe2\x80\xa8.\xe2\x80\xa8", b"\r\n .\r\n", b"\r\n. \r\n", b"\n\n.\n\n", b"\r\n\r.\r\n", b"\n\r\n.\n"]


def is_bare(text):
    return bool(re.search(rb"\r(?!\n)|(?<!\r)\n", text))


def converse(port, octets):
    """Sends all of it after the greeting; all replies up to the end of the connection."""
    device = Device(port)
    device.send(octets)
    replies = []
    try:
        while True:
            replies.append(device.reply())
    except (EOFError, ConnectionError):
        device.close()
    return replies


def is_alone(gateway, count):
    """So many mails were delivered, and none of them is the second."""
    equal(len([line for line in gateway.lines() if line["outcome"] == "delivered"]), count)
    require("second@example.org" not in gateway.log() and "evil@" not in gateway.log(), gateway.log)


def smuggle(gateway, lenient):
    first = mail(part(PDF, "first.pdf"))
    delivered = 0
    for end in ENDS:
        text = b"EHLO x\r\nMAIL FROM:<scanner@example.org>\r\nRCPT TO:<scans@example.org>\r\nDATA\r\n"
        replies = converse(gateway.port, text + first + b"that was it" + end + SECOND)
        refused = is_bare(end) and not lenient
        equal([reply[:3] for reply in replies], ["250", "250", "250", "354", "554" if refused else "250", "221"], repr(end))
        delivered += not refused
        is_alone(gateway, delivered)


def test_ends_of_data(place):
    with place.gateway() as gateway:
        smuggle(gateway, False)


def test_ends_of_data_when_lenient(place):
    with place.gateway(smtp="line_ends = lenient") as gateway:
        smuggle(gateway, True)


BEGIN = b"EHLO x\r\nMAIL FROM:<scanner@example.org>\r\nRCPT TO:<scans@example.org>\r\n"
WEB = b"POST /x HTTP/1.1\r\nHost: scanner:2525\r\nContent-Type: text/plain\r\nContent-Length: 500\r\n\r\n"

# what is sent after the greeting, and how the last reply begins
REFUSED = [
    ("a web request with a mail in it", WEB + BEGIN + SECOND, "421"),
    ("a web request with a method of ours", b"EHLO /x HTTP/1.1\r\nHost: a\r\n\r\n" + BEGIN + SECOND, "421"),
    ("a web request after a greeting", b"EHLO x\r\n" + WEB + SECOND, "421"),
    ("a proxy request", b"CONNECT scanner:2525 HTTP/1.1\r\nHost: a\r\n\r\n" + BEGIN + SECOND, "421"),
    ("HTTP 2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + BEGIN + SECOND, "421"),
    ("the text of a mail after a DATA that was refused",
     b"EHLO x\r\nMAIL FROM:<a@b>\r\nDATA\r\n" + mail(part(PDF)) + SECOND, "421"),
    ("commands after a chunk that is too big", BEGIN + b"BDAT 99999999999999999999 LAST\r\n" + SECOND, "552"),
    ("commands after a chunk of nonsense", BEGIN + b"BDAT 1x LAST\r\n" + SECOND, "501"),
    ("a chunk with a mail in it, out of order", b"EHLO x\r\nBDAT %d LAST\r\n" % len(SECOND) + SECOND + b"QUIT\r\n", "221"),
    ("a chunk with a mail in it, after RSET", BEGIN + b"BDAT 2\r\nhiRSET\r\nBDAT %d LAST\r\n" % len(SECOND) + SECOND +
     b"QUIT\r\n", "221"),
    ("a line that is too long, with a mail in it",
     b"EHLO x\r\nNOOP " + b"x" * 5000 + b"\r" + SECOND.replace(b"\r\n", b"\r") + b"\r\nQUIT\r\n", "221"),
    ("commands that end in CR", b"EHLO x\r\n" + SECOND.replace(b"\r\n", b"\r") + b"\r\nQUIT\r\n", "221"),
]


def test_refused(place):
    with place.gateway() as gateway:
        for name, octets, last in REFUSED:
            replies = converse(gateway.port, octets)
            require(replies[-1].startswith(last), f"{name}: {replies}")
            is_alone(gateway, 0)
            equal(place.files(), {}, name)


def test_chunks_keep_their_content(place):
    """What looks like a dialogue is a mail's own text; BDAT and DATA do not mix."""
    with place.gateway(route="types = any\nbody = eml\nno_parts = accept") as gateway:
        text = mail(text="see below\r\n.\r\n" + SECOND.decode("latin-1"))
        half = len(text) // 2
        octets = (BEGIN + b"BDAT %d\r\n" % half + text[:half] + b"BDAT 0\r\nDATA\r\nBDAT %d\r\n" % (len(text) - half) +
                  text[half:] + b"BDAT 0 LAST\r\nQUIT\r\n")
        replies = converse(gateway.port, octets)
        equal([reply[:3] for reply in replies], ["250", "250", "250", "250", "250", "503", "250", "250", "221"])
        equal(place.files(), {"mail.eml": text})


def test_before_the_greeting(place):
    with place.gateway() as gateway:
        for octets in (BEGIN + SECOND, WEB + BEGIN + SECOND):
            device = Device(gateway.port, greet=False)
            device.send(octets)
            reply = device.reply()
            # who is slow enough to be greeted first is heard, and a web request is none the less refused
            if reply.startswith("220") and octets.startswith(BEGIN):
                continue
            if reply.startswith("220"):
                reply = device.reply()
            require(reply.startswith(("554", "421")), reply)
            require(device.is_closed())
            equal(place.files(), {})
