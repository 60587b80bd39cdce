"""What a device is told of a handshake that fails, and what nobody is told."""
import contextlib
import json
import os
import socket
import ssl
import subprocess

from devices import TlsDevice, tls_context
from harness import equal, require, rows, scan, wait_for

RSA_AES_128_GCM = b"\x00\x9c"
HANDSHAKE, ALERT, CHANGE_CIPHER_SPEC = 22, 21, 20


def record(kind, content):
    return bytes([kind]) + b"\3\3" + len(content).to_bytes(2, "big") + content


def handshake(kind, content):
    return record(HANDSHAKE, bytes([kind]) + len(content).to_bytes(3, "big") + content)


class Stranger:
    """As much of TLS 1.2 as it takes to send a pre-master secret that is none."""

    def __init__(self, port):
        self.connection = socket.create_connection(("127.0.0.1", port), 20)
        self.input = self.connection.makefile("rb")
        hello = b"\3\3" + os.urandom(32) + b"\0" + b"\0\2" + RSA_AES_128_GCM + b"\1\0"
        self.connection.sendall(handshake(1, hello + b"\0\5" + b"\xff\1\0\1\0"))
        flight = b""
        while b"\x0e\0\0\0" not in flight[-4:]:
            kind, content = self.read_record()
            equal(kind, HANDSHAKE, content)
            flight += content
        self.modulus, self.exponent = public_key(certificate_of(flight))

    def read_record(self):
        head = self.input.read(5)
        return (head[0], self.input.read(int.from_bytes(head[3:5], "big"))) if head else (None, b"")

    def encrypt(self, block):
        size = (self.modulus.bit_length() + 7) // 8
        return pow(int.from_bytes(block(size), "big"), self.exponent, self.modulus).to_bytes(size, "big")

    def finish(self, secret):
        """What the server says to this, and to a Finished that nobody could have made."""
        self.connection.sendall(handshake(16, len(secret).to_bytes(2, "big") + secret) +
                                record(CHANGE_CIPHER_SPEC, b"\1") + record(HANDSHAKE, b"\0" * 40))
        said = []
        while not said or said[-1][0] is not None:
            said.append(self.read_record())
        self.connection.close()
        return said


def certificate_of(flight):
    """The first one of a flight of handshake messages."""
    at = 0
    while flight[at] != 11:
        at += 4 + int.from_bytes(flight[at + 1:at + 4], "big")
    size = int.from_bytes(flight[at + 7:at + 10], "big")
    return ssl.DER_cert_to_PEM_cert(flight[at + 10:at + 10 + size])


def public_key(pem):
    text = subprocess.run(["openssl", "x509", "-noout", "-modulus"], input=pem.encode(), capture_output=True, check=True)
    return int(text.stdout.decode().split("=")[1], 16), 65537


def padded(begin, secret, end=b"\0"):
    """PKCS #1 v1.5, with whatever is wrong with it."""
    return lambda size: begin + b"\x55" * (size - len(begin) - len(end) - len(secret)) + end + secret


SECRET = b"\3\3" + b"s" * 46
BLOCKS = [
    ("as it should be", padded(b"\0\2", SECRET)),
    ("another version in it", padded(b"\0\2", b"\2\7" + b"s" * 46)),
    ("another kind of block", padded(b"\0\1", SECRET)),
    ("no zero in front", padded(b"\1\2", SECRET)),
    ("no end of the padding", padded(b"\0\2", SECRET, end=b"")),
    ("a zero in the padding", padded(b"\0\2\x55\0", SECRET)),
    ("one octet too few", padded(b"\0\2", SECRET[1:])),
    ("one octet too many", padded(b"\0\2", SECRET + b"s")),
    ("nothing in it", padded(b"\0\2", b"")),
    ("all of it", lambda size: b"\0\2" + b"\x55" * (size - 2)),
    ("zero", lambda size: b"\0" * size),
    ("one", lambda size: b"\0" * (size - 1) + b"\1"),
]


@rows([(compat, compat) for compat in ("modern", "legacy", "ancient")])
def test_padding(place, compat):
    """RSA key exchange, which many scanners need: the same answer to all, and nobody dies of one (RFC 5246 section
    7.4.7.1)."""
    with place.gateway(tls="implicit", smtp=f"tls_compat = {compat}") as gateway:
        wanted = None
        for name, block in BLOCKS * 3:
            stranger = Stranger(gateway.port)
            said = stranger.finish(stranger.encrypt(block))
            wanted = wanted or said
            equal(said, wanted, name)
        equal([kind for kind, _ in wanted], [ALERT, None], "what is said to who can't finish")
        for size in (0, 1, 255, 257, 1024):
            stranger = Stranger(gateway.port)
            with contextlib.suppress(ConnectionResetError):  # it hangs up on what it has not read
                equal(stranger.finish(b"\x41" * size)[-1], (None, b""))
        require("signal" not in gateway.log(), gateway.log())
        device = TlsDevice(gateway.port, tls_context("TLSv1_2", "kRSA"), implicit=True)
        require(device.deliver(scan()).startswith("250"))
        device.quit()


ALERTS = [
    ("TLS 1.0", dict(version="TLSv1"), "protocol version"),
    ("TLS 1.1", dict(version="TLSv1_1"), "protocol version"),
    ("no cipher of ours", dict(version="TLSv1_2", ciphers="ADH:AECDH:@SECLEVEL=0"), "handshake failure"),
]


@rows(ALERTS)
def test_alert(place, offer, words):
    """What is wrong is said to the device, whose panel may show it (RFC 5246 section 7.2)."""
    with place.gateway(tls="starttls") as gateway:
        device = TlsDevice(gateway.port)
        device.say("EHLO device")
        try:
            device.start_tls(tls_context(**offer))
        except ssl.SSLError as error:
            require(words in str(error).replace("_", " ").lower(), error)
        else:
            require(False, "it was let in")


TOO_EARLY = [
    ("in clear where TLS comes first", "implicit", b"EHLO device\r\n", "554 5.7.0", "speaks without TLS"),
    ("before the greeting", "starttls", b"EHLO device\r\nMAIL FROM:<a@b>\r\n", "554 5.5.1", "an order that can't be"),
]


def diagnosis(place, gateway):
    """Of the one session that failed."""
    def found():
        listed = place.run("status", "--json", *gateway.arguments[-2:]).stdout.decode().splitlines()
        return next((line["failed"] for line in map(json.loads, listed) if line.get("failed")), None)
    return wait_for(found, 5, gateway.log)[0]["diagnosis"]


@rows(TOO_EARLY)
def test_too_early(place, tls, said, code, words):
    """The answer is about the port, and so is the diagnosis."""
    with place.gateway(tls=tls) as gateway:
        device = TlsDevice(gateway.port, greet=False)
        device.send(said)
        require(device.reply().startswith(code))
        device.close()
        require(words in diagnosis(place, gateway), diagnosis(place, gateway))


def test_second_starttls(place):
    with place.gateway(tls="starttls") as gateway:
        device = TlsDevice(gateway.port)
        device.hello(tls_context())
        require(device.say("STARTTLS").startswith("503"))
        device.close()
        require("an order that can't be" in diagnosis(place, gateway), diagnosis(place, gateway))
