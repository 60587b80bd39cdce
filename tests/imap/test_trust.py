"""Whom the puller trusts with a password: a server that proves its name, or its key, and nobody else."""

import re
import ssl
import time

from accounts import account, several, wait_files
from certs import certs
from dovecot import Dovecot
from harness import equal, require, rows, wait_for
from hostile import Server, Trick
from scenarios import FOR_EVER

SOON = 15
SECURE = ("implicit", "starttls")

# what the server shows, and what the sentence about it must say
FAULTS = {
    "wrong-host": r"name|host",
    "unknown-ca": r"not trusted|unknown|not signed|untrusted|signed by|authority|issuer|\bCA\b",
    "expired": r"expired",
    "not-yet": r"not (yet )?(valid|active|activated)|future",
    "self-signed": r"not trusted|unknown|self-signed|untrusted|signed by|authority|issuer|\bCA\b",
}


def told(gateway, pattern):
    """The line about this source that says so, once it is there."""
    def line():
        return next((line for line in gateway.log().splitlines()
                     if "office" in line and "outcome=" not in line and re.search(pattern, line, re.I)), None)
    return wait_for(line, SOON, lambda: f"no line about office says {pattern}")


def refuses(place, server, pattern, asked, mailbox, **keys):
    """It says why, and no password ever reaches the server."""
    server.append(several([1])[0][0])
    with place.gateway(config=place.config(account(place, server, **keys))) as gateway:
        line = told(gateway, pattern)
        require(len(line) > 40, f"hardly a sentence: {line}")
        time.sleep(1)
        equal(asked(), [], "what the server was asked although it is not to be trusted")
        equal((place.files(), mailbox()), ({}, 1))


def accepts(place, server, **keys):
    messages, files = several([1])
    server.append(messages[0])
    with place.gateway(config=place.config(account(place, server, **keys))):
        wait_files(place, files, SOON)
        wait_for(lambda: server.count() == 0, SOON, "it stays in the mailbox")


def logins(server):
    """As Dovecot writes them; those of the tests themselves come in clear."""
    return [line for line in server.log().splitlines() if "Login: user=" in line and "TLS" in line]


@rows([(f"{name}, {way}", name, way) for name in FAULTS for way in SECURE])
def test_bad_certificate(place, name, way):
    server = Dovecot(place, cert=name)
    refuses(place, server, FAULTS[name], lambda: logins(server), server.count, tls=way)


@rows([(f"{name}, {way}", name, way) for name in ("good", "by-middle") for way in SECURE])
def test_good_certificate(place, name, way):
    accepts(place, Dovecot(place, cert=name), tls=way)


def test_authority_of_the_system(place):
    """Without `ca_file` ours is nobody that the system knows."""
    server = Dovecot(place)
    refuses(place, server, FAULTS["unknown-ca"], lambda: logins(server), server.count, tls="implicit", ca_file="")


def names_asked(server):
    """The commands of scripted sessions that a client has no business to say before it trusts."""
    return [name for name in server.names() if name not in ("CAPABILITY", "STARTTLS", "LOGOUT", "NOOP")]


@rows([(way, way) for way in SECURE])
def test_old_tls(place, way):
    """A server that knows TLS 1.1 and nothing newer."""
    server = Server(place, tls=way, context=certs().server(newest=ssl.TLSVersion.TLSv1_1))
    refuses(place, server, r"version|TLS ?1|protocol", lambda: names_asked(server), server.count, tls=way)


# --- STARTTLS -------------------------------------------------------------------------------------------------------

def without_starttls(session, call):
    """Somebody between us and the server takes the offer away."""
    if call.name == "STARTTLS":
        session.end(call, b"", "BAD unknown command")
    else:
        session.send(session.answer(call).replace(b" STARTTLS", b""))


def injects(session, call):
    """What follows the OK is read before TLS, and must not count after it."""
    untagged, status = session.perform(call)
    session.send(untagged, call.tag, b" ", status, b"\r\n* CAPABILITY IMAP4rev1 IDLE INJECTED\r\n* 9 EXISTS\r\n")
    session.secure()


def preauth(session, call):
    session.is_known = True
    session.send(b"* PREAUTH welcome\r\n")


def refused_starttls(session, call):
    session.end(call, b"", "NO not today")


TRICKS = {
    "stripped": (("greeting", "CAPABILITY", "STARTTLS"), without_starttls, r"STARTTLS"),
    "refused": ("STARTTLS", refused_starttls, r"STARTTLS"),
    "followed by more": ("STARTTLS", injects, r"STARTTLS|TLS"),
    "greeted with PREAUTH": ("greeting", preauth, r"PREAUTH|STARTTLS"),
}


@rows([(name, *trick) for name, trick in TRICKS.items()])
def test_starttls_is(place, step, function, pattern):
    server = Server(place, Trick(step, function, FOR_EVER), tls="starttls", context=certs().server())
    refuses(place, server, pattern, lambda: names_asked(server), server.count, tls="starttls")


def test_starttls_is_not_offered_but_served(place):
    """What is told before TLS is no reason to leave it out; a server that doesn't announce it is refused, or asked."""
    server = Server(place, Trick(("greeting", "CAPABILITY"), without_starttls, 1), tls="starttls",
                    context=certs().server())
    accepts(place, server, tls="starttls")


def test_nothing_of_before_counts(place):
    """Capabilities that were told in clear are asked for again."""
    server = Server(place, Trick("greeting", lambda s, c: s.send(b"* OK [CAPABILITY IMAP4rev1 STARTTLS X-NEVER] hi\r\n"),
                                 FOR_EVER), tls="starttls", context=certs().server(), without=("IDLE", "MOVE"))
    accepts(place, server, tls="starttls")
    equal(server.violations, [])


def test_server_is_told_its_name(place):
    """SNI: a host that serves several names shows the certificate of the one that is meant."""
    context, asked = certs().server("wrong-host"), []

    def choose(connection, name, _):
        asked.append(name)
        connection.context = certs().server("good")
    context.sni_callback = choose
    accepts(place, Server(place, tls="implicit", context=context), tls="implicit")
    require(asked and set(asked) == {"localhost"}, f"asked for {asked}")


# --- pins -----------------------------------------------------------------------------------------------------------

PINS = {
    "hex": lambda name: certs().pin_hex(name),
    "hex in capitals": lambda name: certs().pin_hex(name).upper(),
    "base64": lambda name: certs().pin_base64(name),
    "one of two": lambda name: f"{certs().pin_hex('other-key')}, {certs().pin_hex(name)}",
}


@rows([(f"{form}, {name}, {way}", form, name, way) for form in PINS for name, way in
       (("self-signed", "implicit"), ("good", "starttls"))] +
      [(f"hex, {name}, implicit", "hex", name, "implicit") for name in ("unknown-ca", "wrong-host")])
def test_pin_accepts_its_key(place, form, name, way):
    """In place of an authority: whoever signed it, and whatever name it bears."""
    accepts(place, Dovecot(place, cert=name), tls=way, pin_sha256=PINS[form](name))


@rows([(f"{form}, {way}", form, way) for form in ("hex", "base64") for way in SECURE])
def test_pin_accepts_no_other(place, form, way):
    """... not even a certificate that would be good without a pin."""
    server = Dovecot(place)
    refuses(place, server, r"pin|key", lambda: logins(server), server.count, tls=way,
            pin_sha256=PINS[form]("other-key"))


# --- login ----------------------------------------------------------------------------------------------------------

def test_wrong_password(place):
    server = Dovecot(place)
    server.append(several([1])[0][0])
    with place.gateway(config=place.config(account(place, server, tls="implicit", password="wrong"))) as gateway:
        told(gateway, r"login|password|authenticat|refused")
        equal((place.files(), server.count()), ({}, 1))
        require("wrong" not in re.sub(r"wrong (password|user|login)", "", gateway.log()), "the password is in the log")


@rows([("quotes and blanks", 'a "b\\ c{5}'), ("UTF-8", "Prüfung€"), ("long", "x" * 200)])
def test_password_with(place, password):
    """Whatever a person thinks of."""
    server = Server(place, password=password)
    accepts(place, server, password=password)
    equal(server.violations, [])


@rows([("with a line behind it", "s3cret-word\nmore\n"), ("without an end of its line", "s3cret-word")])
def test_password_of_a_command(place, content):
    """Its first line is the password."""
    server = Dovecot(place)
    path = place.file("secret", content)
    text = account(place, server, tls="implicit", password_command=f"/bin/cat {path}")
    messages, files = several([1])
    server.append(messages[0])
    with place.gateway(config=place.config(text)):
        wait_files(place, files, SOON)
