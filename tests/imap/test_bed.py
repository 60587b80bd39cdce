"""The servers that the other tests stand on, asked by Python's own client."""

import imaplib
import ssl

from accounts import WAYS
from certs import certs
from client import PASSWORD, USER
from dovecot import Dovecot
from harness import equal, require, rows, scan, wait_for
from hostile import Server


def connect(server, way):
    if way == "implicit":
        port = getattr(server, "tls_port", server.port)
        client = imaplib.IMAP4_SSL("localhost", port, ssl_context=certs().client(), timeout=30)
    else:
        client = imaplib.IMAP4("127.0.0.1" if way == "off" else "localhost", server.port, timeout=30)
    if way == "starttls":
        client.starttls(certs().client())
    equal(client.login(USER, PASSWORD)[0], "OK")
    return client


def begin_idle(client):
    client.send(b"idle IDLE\r\n")
    equal(client.readline(), b"+ idling\r\n")


def end_idle(client):
    client.send(b"DONE\r\n")
    while not client.readline().startswith(b"idle OK"):
        pass


def use(client, arrive, idles):
    """Each thing that a client does with a mailbox."""
    client.select()
    begin_idle(client)
    wait_for(idles, 10, "it does not idle")
    message = scan(3000)
    arrive(message)
    equal(client.readline(), b"* 1 EXISTS\r\n")
    end_idle(client)
    equal(client.uid("SEARCH", "UNDELETED"), ("OK", [b"1"]))
    equal(client.uid("FETCH", "1", "(UID BODY.PEEK[]<100.5000>)")[1][0][1], message[100:])
    equal(client.uid("MOVE", "1", "Refused")[0], "NO")
    client.create("Refused")
    equal(client.uid("COPY", "1", "Refused")[0], "OK")
    equal(client.uid("STORE", "1", "+FLAGS.SILENT", "(\\Deleted $Mine)")[0], "OK")
    equal(client.uid("SEARCH", "DELETED", "KEYWORD", "$Mine"), ("OK", [b"1"]))
    equal(client.uid("EXPUNGE", "1")[0], "OK")
    equal(client.uid("SEARCH", "ALL"), ("OK", [b""]))
    client.logout()


@rows([(way, way) for way in WAYS])
def test_dovecot(place, way):
    server = Dovecot(place)
    use(connect(server, way), server.append, server.idling)
    equal((server.count(), server.count("Refused")), (0, 1))


@rows([(way, way) for way in WAYS])
def test_scripted(place, way):
    server = Server(place, tls=way, context=certs().server())
    use(connect(server, way), server.arrive, server.idling)
    equal((server.count(), server.count("Refused"), server.violations), (0, 1, []))


@rows([(name, name) for name in ("wrong-host", "unknown-ca", "expired", "not-yet", "self-signed")])
def test_bad_certificate(place, name):
    try:
        connect(Dovecot(place, cert=name), "implicit")
    except ssl.SSLCertVerificationError:
        return
    raise AssertionError("it is taken for good")


def test_old_tls(place):
    """A server that knows TLS 1.1 and nothing newer does speak it."""
    server = Server(place, tls="implicit", context=certs().server(newest=ssl.TLSVersion.TLSv1_1))
    client = ssl.create_default_context(cafile=certs().ca)
    client.set_ciphers("DEFAULT@SECLEVEL=0")
    client.minimum_version = ssl.TLSVersion.TLSv1
    with imaplib.IMAP4_SSL("localhost", server.port, ssl_context=client, timeout=30) as session:
        equal(session.sock.version(), "TLSv1.1")
    try:
        connect(server, "implicit")
    except ssl.SSLError:
        return
    raise AssertionError("an ordinary client speaks TLS 1.1")


def test_dovecot_without_extensions(place):
    server = Dovecot(place, without=("IDLE", "MOVE", "UIDPLUS"), separator=".", prefix="INBOX.")
    with server.client() as client:
        said = client.capability()[1][0].split()
        require(not {b"IDLE", b"MOVE", b"UIDPLUS"} & set(said), said)
        equal(client.namespace()[1], [b'(("INBOX." ".")) NIL NIL'])


def test_dovecot_new_validity(place):
    server = Dovecot(place)
    server.append(scan())
    before = server.validity()
    server.new_validity()
    require(server.validity() != before, "the UIDVALIDITY is the old one")
    equal(server.uids(), [1])
