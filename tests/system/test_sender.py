"""Who sent it: every trick with a sender that is allowed, by SMTP and by `drop`; and the genuine forms of it."""

import os

from harness import PDF, Device, equal, mail, part, require, send

GOOD = "scanner@example.org"
ROUTE = "types = pdf\nfrom = scanner@example.org, *@good.example"


def headers(*lines):
    """A mail with these header lines on top, octet for octet, and a scan in it."""
    whole = mail(part(PDF)).split(b"\r\n", 1)[1]  # without its From field
    return b"".join(line if isinstance(line, bytes) else line.encode() for line in lines) + whole


def froms(value):
    return headers(b"From: " + (value if isinstance(value, bytes) else value.encode()) + b"\r\n")


GENUINE = [
    ("the address alone", "scanner@example.org"),
    ("in brackets", "<scanner@example.org>"),
    ("with a name", "Scanner <scanner@example.org>"),
    ("a quoted name with a comma", '"Doe, John" <scanner@example.org>'),
    ("a name that lacks its quotes", "Doe, John <scanner@example.org>"),
    ("a name with a colon", "Camera: Yard <scanner@example.org>"),
    ("the address as its own name", "scanner@example.org <scanner@example.org>"),
    ("the address as its own quoted name", '"scanner@example.org" <scanner@example.org>'),
    ("another case", "SCANNER@Example.ORG"),
    ("an encoded name", "=?utf-8?b?U2Nhbm5lciBpbSBCw7xybw==?= <scanner@example.org>"),
    ("a name in 8-bit", b"B\xfcro <scanner@example.org>"),
    ("a name in UTF-8", "Büro <scanner@example.org>"),
    ("a comment", "scanner@example.org (the one (2nd) upstairs)"),
    ("comments in the address", "scanner(x)@(y)example.org"),
    ("quotes that say nothing", '"scanner"@example.org'),
    ("folded", "Scanner\r\n\t<scanner@example.org>"),
    ("another address of the domain", "x.y+z@good.example"),
    ("a quoted local part of the domain", '"a b"@good.example'),
    ("a comma at the end", "scanner@example.org,"),
]

REFUSED = [
    ("another address", "evil@evil.example"),
    ("an address that begins like it", "scanner@example.org.evil.example"),
    ("an address that ends like it", "xscanner@example.org"),
    ("a domain below it", "x@sub.good.example"),
    ("a domain that ends like it", "x@notgood.example"),
    ("two addresses", "scanner@example.org, evil@evil.example"),
    ("two addresses, the other way", "evil@evil.example, scanner@example.org"),
    ("two with a semicolon", "scanner@example.org; evil@evil.example"),
    ("two in brackets", "<scanner@example.org> <evil@evil.example>"),
    ("brackets in brackets", "<evil@evil.example<scanner@example.org>>"),
    ("a group", "Friends: scanner@example.org;"),
    ("an empty group", "Friends:;"),
    ("a group with two", "Friends: scanner@example.org, evil@evil.example;"),
    ("the name is an address", "scanner@example.org <evil@evil.example>"),
    ("the quoted name is an address", '"scanner@example.org" <evil@evil.example>'),
    ("the quoted name is an address in brackets", '"<scanner@example.org>" <evil@evil.example>'),
    ("the encoded name is an address", "=?utf-8?q?scanner=40example.org?= <evil@evil.example>"),
    ("an encoded word for an address", "=?utf-8?q?scanner=40example.org?="),
    ("an encoded word in the address", "=?utf-8?q?x=40good.example=3e=00?=foo@evil.example"),
    ("an encoded word at the right domain", "=?utf-8?q?evil=40evil.example=3e=00?=foo@good.example"),
    ("an encoded word in the domain", "x@=?utf-8?q?good.example?="),
    ("a comment that is an address", "evil@evil.example (scanner@example.org)"),
    ("a comment that is an address, before", "(<scanner@example.org>) evil@evil.example"),
    ("a comment that never closes", "scanner@example.org (evil@evil.example"),
    ("a quote that never closes", '"scanner@example.org'),
    ("@ in a quoted local part", '"scanner@example.org"@evil.example'),
    ("two @", "scanner@example.org@evil.example"),
    ("two @, the other way", "evil@evil.example@good.example"),
    ("a route", "<@evil.example:scanner@example.org>"),
    ("a route of two", "<@evil.example,@b.example:scanner@example.org>"),
    ("a dot behind the domain", "scanner@example.org."),
    ("a dot before the domain", "x@.good.example"),
    ("two dots in the domain", "x@good..example"),
    ("no domain", "scanner"),
    ("no local part", "@good.example"),
    ("nothing", ""),
    ("an empty address", "Scanner <>"),
    ("a backslash", "scanner\\@evil@example.org"),
    ("a Cyrillic letter", "sc\u0430nner@example.org"),
    ("a wide letter in the domain", "x@g\uff4fod.example"),
    ("an ideographic dot", "x@good\u3002example"),
    ("a letter that is invisible", "scanner\u200b@example.org"),
    ("the Kelvin sign", "x@good.example\u212a"),
    ("an A-label that looks like it", "x@xn--god-5qa.example"),
    ("8-bit in the local part", b"x\xe4@good.example"),
    ("8-bit in the domain", b"x@good\xe4.example"),
    ("a control character of Latin-1", "x\u0085@good.example"),
    ("NUL in the address", b"scanner@example.org\0.evil.example"),
    ("NUL before the address", b"\0scanner@example.org"),
    ("NUL behind the address", b"scanner@example.org\0"),
    ("a local part without end", "x" * 400 + "@good.example"),
    ("a field without end", "(" + "x" * 5000 + ") scanner@example.org"),
    ("folded onto another field's look", "evil@evil.example\r\n From: scanner@example.org"),
    ("folded within the domain", "x@\r\n evil.example"),
    ("a tab for a blank", "scanner@example.org\tevil@evil.example"),
]

FIELDS = [
    ("a blank before the colon", [b"From : scanner@example.org\r\n"], True),
    ("in small letters", [b"from: scanner@example.org\r\n"], True),
    ("sent on", [b"Resent-From: evil@evil.example\r\n", b"From: scanner@example.org\r\n"], True),
    ("somebody else's Sender", [b"Sender: evil@evil.example\r\n", b"From: scanner@example.org\r\n"], True),
    ("only a Sender", [b"Sender: scanner@example.org\r\n"], False),
    ("only Resent-From", [b"Resent-From: scanner@example.org\r\n"], False),
    ("only Reply-To", [b"Reply-To: scanner@example.org\r\n"], False),
    ("Sender beside another From", [b"Sender: scanner@example.org\r\nFrom: evil@evil.example\r\n"], False),
    ("Resent-From beside another From", [b"Resent-From: scanner@example.org\r\nFrom: evil@evil.example\r\n"], False),
    ("two fields", [b"From: scanner@example.org\r\nFrom: evil@evil.example\r\n"], False),
    ("two fields, the other way", [b"From: evil@evil.example\r\nFrom: scanner@example.org\r\n"], False),
    ("the same twice", [b"From: scanner@example.org\r\n"] * 2, False),
    ("the second with a blank", [b"From: scanner@example.org\r\nFrom : evil@evil.example\r\n"], False),
    ("the second in capitals", [b"From: scanner@example.org\r\nFROM\t: evil@evil.example\r\n"], False),
    ("the second is empty", [b"From: scanner@example.org\r\nFrom:\r\n"], False),
    ("NUL in the name of the second", [b"From: scanner@example.org\r\nFr\0om: evil@evil.example\r\n"], False),
    ("NUL before the name of the first", [b"\0From: evil@evil.example\r\nFrom: scanner@example.org\r\n"], False),
    ("junk between", [b"From: scanner@example.org\r\njunk\r\nFrom: evil@evil.example\r\n"], False),
    ("a fold of blanks between", [b"From: scanner@example.org\r\n \r\nFrom: evil@evil.example\r\n"], False),
]

# what SMTP does not let through as it is
LINES = [
    ("a bare CR before the second", [b"X: y\rFrom: evil@evil.example\r\nFrom: scanner@example.org\r\n"]),
    ("a bare CR before the only one", [b"X: y\rFrom: scanner@example.org\r\n"]),
    ("a bare CR in the field", [b"From: scanner@example.org\rX: y\r\n"]),
    ("a bare CR and another From", [b"From: scanner@example.org\rFrom: evil@evil.example\r\n"]),
    ("a bare LF before the second", [b"X: y\nFrom: evil@evil.example\r\nFrom: scanner@example.org\r\n"]),
]


def is_refused(place, gateway, config, message, sender=GOOD):
    """By SMTP and by `drop`, whatever the envelope says; nothing is stored."""
    before = len(gateway.lines())
    reply = send(gateway.port, message, sender=sender)
    require(reply.startswith("550 5.7.1"), reply)
    equal(gateway.last(before + 1)["reason"], "sender")
    for envelope in ([], ["--from", sender]):
        done = place.run("drop", "-c", config, *envelope, stdin=message)
        equal(done.returncode, 65, done.stderr.decode())
    equal([line["reason"] for line in gateway.lines()[before + 1:]], ["sender"] * 2)
    equal(place.files(), {})


def is_taken(place, gateway, config, message):
    reply = send(gateway.port, message, sender="evil@evil.example")
    require(reply.startswith("250"), reply)
    equal(place.run("drop", "-c", config, stdin=message).returncode, 0)
    equal(len(place.files()), 2)


def all_rows(place, table, make, judge):
    """One gateway for a whole table: the name of a row that fails is in the error."""
    config = place.config(route=ROUTE)
    with place.gateway(config=config) as gateway:
        for name, *row in table:
            try:
                judge(place, gateway, config, make(*row))
            except AssertionError as error:
                raise AssertionError(f"{name}: {error}") from None
            for path in place.files():
                os.unlink(os.path.join(place.share, path))


def test_genuine(place):
    all_rows(place, GENUINE, froms, is_taken)


def test_refused(place):
    all_rows(place, REFUSED, froms, is_refused)


def test_fields(place):
    for taken, judge in ((True, is_taken), (False, is_refused)):
        table = [(name, lines) for name, lines, good in FIELDS if good == taken]
        if not taken:  # without a From field the envelope sender stands in: here it is a stranger's
            alone = [row for row in table if row[0].startswith("only")]
            table = [row for row in table if row not in alone]
            all_rows(place, alone, lambda lines: headers(*lines),
                     lambda *args: is_refused(*args, sender="evil@evil.example"))
        all_rows(place, table, lambda lines: headers(*lines), judge)


def test_line_ends(place):
    """Strict SMTP refuses the line ends, a lenient listener repairs what it can; no reader sees another sender."""
    config = place.config(route=ROUTE, text="[smtp old]\nlisten = 127.0.0.1:0\ntls = off\nline_ends = lenient\n")
    with place.gateway(config=config) as gateway:
        for name, lines in LINES:
            message = headers(*lines)
            reply = send(gateway.ports["lan"], message)
            require(reply.startswith("554 5.6.0 Bare"), f"{name}: {reply}")
            reply = send(gateway.ports["old"], message)
            require(reply.startswith("550 5.7.1"), f"{name}: {reply}")
            device = Device(gateway.ports["lan"])
            device.envelope(sender=GOOD)
            device.send(b"BDAT %d LAST\r\n" % len(message) + message)
            reply = device.reply()
            require(reply.startswith("550 5.7.1"), f"{name}, by BDAT: {reply}")
            device.quit()
            done = place.run("drop", "-c", config, stdin=message)
            equal(done.returncode, 65, f"{name}: {done.stderr}")
        only_cr = headers(b"From: scanner@example.org\r\n").replace(b"\r\n", b"\r")
        equal(place.run("drop", "-c", config, stdin=only_cr).returncode, 65)
        equal(gateway.last()["reason"], "sender")
        equal(place.files(), {})
        only_lf = headers(b"From: scanner@example.org\r\n").replace(b"\r\n", b"\n")
        equal(place.run("drop", "-c", config, stdin=only_lf).returncode, 0)


ENVELOPES = [
    ("the sender", "<scanner@example.org>", "250"),
    ("in capitals", "<SCANNER@EXAMPLE.ORG>", "250"),
    ("without brackets", "scanner@example.org", "250"),
    ("with quotes that say nothing", '<"scanner"@example.org>', "250"),
    ("by a route", "<@relay.example:scanner@example.org>", "250"),
    ("nobody", "<>", "550"),
    ("another", "<evil@evil.example>", "550"),
    ("@ in a quoted local part", '<"scanner@example.org"@evil.example>', "550"),
    ("a quoted local part that ends like it", '<"evil@good.example"@evil.example>', "550"),
    ("two @", "<evil@evil.example@good.example>", "501"),
    ("a list", "<evil@evil.example,scanner@example.org>", "501"),
    ("two", "<evil@evil.example> <scanner@example.org>", "555"),
    ("brackets in brackets", "<<scanner@example.org>>", "501"),
    ("a dot behind the domain", "<scanner@example.org.>", "550"),
    ("a Cyrillic letter", "<sc\u0430nner@example.org>", "550"),
    ("NUL", "<scanner@example.org\0>", "501"),
    ("a bare CR", "<scanner@example.org\r>", "501"),
    ("8-bit", b"<x\xe4@good.example>", "250"),  # a local part, of the right domain
]


def test_envelope_stands_in(place):
    """A mail without a From field is from who the envelope says; there too a trick is none."""
    with place.gateway(route=ROUTE) as gateway:
        for name, path, wanted in ENVELOPES:
            device = Device(gateway.port)
            device.say("EHLO x")
            device.send(b"MAIL FROM:" + (path if isinstance(path, bytes) else path.encode()) + b"\r\n")
            reply = device.reply()
            if reply.startswith("250"):
                device.say("RCPT TO:<scans@example.org>")
                reply = device.data(headers())
            require(reply.startswith(wanted), f"{name}: {reply}")
            device.quit()
        equal(len(place.files()), sum(row[2] == "250" for row in ENVELOPES))


def test_without_a_rule(place):
    """Where no route asks who sent it, what can't be read is no fault; two senders always are."""
    with place.gateway() as gateway:
        for value in ("scanner", "", "=?utf-8?q?scanner=40example.org?=", b"x\0y@z", "a@b@c"):
            reply = send(gateway.port, froms(value))
            require(reply.startswith("250"), f"{value}: {reply}")
        for value in ("a@b, c@d", "Friends: a@b;"):
            reply = send(gateway.port, froms(value))
            require(reply.startswith("550 5.7.1"), f"{value}: {reply}")
        reply = send(gateway.port, headers(b"From: a@b\r\nFrom: a@b\r\n"))
        require(reply.startswith("550 5.7.1"), reply)
