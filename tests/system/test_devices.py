"""Devices as they are: each row does octet for octet what a device was reported to do. Its mail is filed, or its owner
is told why not, at the device and in the log, without having to look at packets."""

import re
import socket
import ssl
import time

from devices import (BIZHUB, PASSWORD, SSL2_HELLO, SSL3_HELLO, TRIPLE_DES, USERNAME, WELCOME, GnutlsDevice, TlsDevice, b64,
                     log_says, plain, status_says, tls_context, users_file, users_line)
from harness import JPEG, PATIENCE, PDF, equal, mail, part, require, rows, scan, wait_for

CAMERA, CAMERA_PASSWORD = "camera1", "k3YsafeK3ysafe16"
TWENTY, THIRTY_ONE = "Twenty_characters_20", "Thirty-one-characters-and-no-1X"
SECRETS = {CAMERA: CAMERA_PASSWORD, "epson": TWENTY, "dell": THIRTY_ONE, "scanner@example.org": "of1ts0wnMailbox",
           "OFFICE\\copier": "d0mainPassw0rd"}

IN_CLEAR = "users = {users}\nauth = optional\nplaintext_auth = yes"
OLD = "\npeers = 127.0.0.0/8\ntls_compat = "
EHLO = ("EHLO device", "250")


class Row:
    """What a device does and what becomes of it.
      listener, tls, route   lines of the configuration; {users} is the file of logins
      start      how it connects: makes a device of a port
      steps      what it says, and what it must hear: "=text" the whole reply, "+text" the last reply has it, "!text" it
                 has not, None the end, anything else is how a reply begins. A text is a line, octets are sent as they
                 are, a function does what it does
      files      what is on the share then; a row without a file is refused, and then
      words      are in a line of the log that names the device
      advice     is in what `status` tells of its last session; not given: the words"""

    def __init__(self, steps, files=None, words=None, advice=None, listener="", tls="off", route="types = pdf, jpeg",
                 start=TlsDevice):
        self.steps, self.files, self.words, self.advice = steps, files or {}, words, advice or words
        self.listener, self.tls, self.route, self.start = listener, tls, route, start

    def play(self, port):
        device = self.start(port)
        for number, (sent, *expected) in enumerate(self.steps):
            if callable(sent):
                sent(device)
            else:
                device.send(sent if isinstance(sent, bytes) else sent + "\r\n")
            self.hear(device, expected, f"step {number}, after {sent!r}")
        device.close()

    @staticmethod
    def hear(device, expected, where):
        reply = None
        for one in expected:
            if one is None:
                require(device.is_closed(), f"{where}: the connection goes on")
            elif one[:1] == "+":
                require(one[1:] in reply, f"{where}: heard {reply!r}, {one[1:]!r} is missing")
            elif one[:1] == "!":
                require(one[1:] not in reply, f"{where}: heard {reply!r}")
            else:
                reply = device.reply()
                good = reply == one[1:] if one[:1] == "=" else reply.startswith(one)
                require(good, f"{where}: heard {reply!r}, expected {one!r}")


# --- what many devices do --------------------------------------------------------------------------------------------

def at_once(context=None):
    """Speaks TLS as soon as it is connected."""
    return lambda port: TlsDevice(port, context, implicit=True)


def silent(port):
    """Connects and does not wait for the greeting."""
    return TlsDevice(port, greet=False)


def with_gnutls(priority):
    return lambda port: GnutlsDevice(port, priority)


def encrypt(**of):
    return lambda device: device.encrypt(tls_context(**of))


def fails_to_encrypt(**of):
    """The handshake ends, and not well."""
    def handshake(device):
        try:
            device.encrypt(tls_context(**of))
        except (ssl.SSLError, ConnectionError):
            return
        raise AssertionError(f"there is TLS: {device.socket.version()} {device.socket.cipher()}")
    return handshake


def hears_nothing_useful(device):
    """Whatever it is told, it does not speak that language; but it is not left waiting."""
    device.socket.settimeout(10)
    try:
        while device.socket.recv(4096):
            pass
    except ConnectionError:
        pass


def login(name=CAMERA, password=None):
    return [("AUTH LOGIN", f"={USERNAME}"), (b64(name), f"={PASSWORD}"),
            (b64(SECRETS[name] if password is None else password), f"={WELCOME}")]


def envelope(sender="scanner@example.org", to=("scans@example.org",)):
    return [(f"MAIL FROM:<{sender}>", "250 2.1.0"), *[(f"RCPT TO:<{one}>", "250 2.1.5") for one in to]]


def body(message):
    return re.sub(rb"(?m)^\.", b"..", message) + b".\r\n"


def letter(message=None, **more):
    return [*envelope(**more), ("DATA", "354"), (body(message or scan()), "250 2.0.0"), ("QUIT", "221")]


START_TLS = ("STARTTLS", "220 ")
FILED = {"scan.pdf": PDF}
PHOTO = mail(part(JPEG, "alarm.jpg", "image/jpeg", "inline"), sender="cam@example.org", text="Motion detected")
BARE = scan().replace(b"see the scan\r\n", b"see\nthe scan\n")


def starttls_of(listener="", compat="", **more):
    return dict(listener="users = {users}" + (OLD + compat if compat else "") + listener, tls="starttls", **more)


HELLOS = [
    ("smtp2mqtt 1: a camera says EHLO, HELO, then AUTH LOGIN that nobody offered",
     Row([EHLO, ("HELO ipcam", "250", "!AUTH"), *login(), *letter()], FILED, listener=IN_CLEAR)),
    ("OpenSMTPD 1054: a UPS says HELO and a blank", Row([("HELO ", "250"), *letter()], FILED)),
    ("simple.mailserver 5: HELO without anything", Row([("HELO", "250"), *letter()], FILED)),
    ("mailcow 455: HP is called NPIF65E56", Row([("HELO NPIF65E56", "250"), *letter()], FILED)),
    ("haraka 376: EHLO again in the middle of a mail drops it",
     Row([EHLO, *envelope(sender="old@example.org"), EHLO, ("DATA", "503"), *letter()], FILED)),
    ("haraka 376: EHLO again after the login, which stays",
     Row([EHLO, *login(), EHLO, *letter()], FILED, listener=IN_CLEAR.replace("optional", "require"))),
    ("email-oauth2-proxy 232: a printer knows HELO only, and logs in",
     Row([("HELO printer", "250"), *login(), *letter()], FILED, listener=IN_CLEAR)),
    ("smtp-oauth-relay 70: TLS is off, so it is not offered", Row([(*EHLO, "!STARTTLS"), *letter()], FILED)),
]

LOGINS = [
    ("aiosmtpd 305: auth login in lower case",
     Row([EHLO, ("auth login", f"={USERNAME}"), (b64(CAMERA), f"={PASSWORD}"), (b64(CAMERA_PASSWORD), f"={WELCOME}"),
          *letter()], FILED, listener=IN_CLEAR)),
    ("smtp4dev 17: AUTH LOGIN with the name in the line",
     Row([EHLO, (f"AUTH LOGIN {b64(CAMERA)}", f"={PASSWORD}"), (b64(CAMERA_PASSWORD), f"={WELCOME}"), *letter()], FILED,
         listener=IN_CLEAR)),
    ("aiosmtpd 566: Xerox quits on any prompt but Username:", Row([EHLO, *login(), *letter()], FILED, listener=IN_CLEAR)),
    ("Fuji Xerox ApeosPort-IV: AUTH PLAIN in one line, no TLS at all",
     Row([(*EHLO, "+AUTH PLAIN LOGIN"), ("AUTH PLAIN " + plain(CAMERA, CAMERA_PASSWORD), f"={WELCOME}"), *letter()], FILED,
         listener=IN_CLEAR)),
    ("Xerox WorkCentre 6505: AUTH PLAIN, the rest when asked",
     Row([EHLO, ("AUTH PLAIN", "=334 "), (plain(CAMERA, CAMERA_PASSWORD), f"={WELCOME}"), *letter()], FILED, listener=IN_CLEAR)),
    ("Axis: auth plain that says whom it acts as",
     Row([EHLO, ("auth plain " + plain(CAMERA, CAMERA_PASSWORD, CAMERA), f"={WELCOME}"), *letter()], FILED, listener=IN_CLEAR)),
    ("postal 663: Ricoh is not offered CRAM-MD5, and reads 235 2.7.0",
     Row([(*EHLO, "!CRAM"), *login(), *letter()], FILED, listener=IN_CLEAR)),
    ("Xerox 6505 on auto: CRAM-MD5 first, LOGIN where that is refused",
     Row([EHLO, ("AUTH CRAM-MD5", "504 5.5.4"), *login(), *letter()], FILED, listener=IN_CLEAR)),
    ("an MFP that knows CRAM-MD5 alone", Row([EHLO, ("AUTH CRAM-MD5", "504 5.5.4"), ("QUIT", "221")], listener=IN_CLEAR,
                                             words="PLAIN.*LOGIN|CRAM")),
    ("a panel cancels its login and begins again",
     Row([EHLO, ("AUTH LOGIN", f"={USERNAME}"), ("*", "501"), ("AUTH PLAIN", "=334 "), ("*", "501"), *login(), *letter()], FILED,
         listener=IN_CLEAR)),
    ("a camera sends its name as it is, not as base64",
     Row([EHLO, ("AUTH LOGIN", f"={USERNAME}"), ("camera one!", "501"), ("QUIT", "221")], listener=IN_CLEAR, words="base64")),
    ("a camera sends AUTH PLAIN without the NUL octets",
     Row([EHLO, ("AUTH PLAIN " + b64(CAMERA + CAMERA_PASSWORD), "501"), ("QUIT", "221")], listener=IN_CLEAR,
         words="PLAIN|base64|login")),
    ("a panel with an empty password",
     Row([EHLO, ("AUTH LOGIN", f"={USERNAME}"), (b64(CAMERA), f"={PASSWORD}"), ("", "535 5.7.8"),
          ("AUTH PLAIN " + plain(CAMERA, ""), "535 5.7.8"), ("QUIT", "221")], listener=IN_CLEAR, words="password")),
    ("a wrong password",
     Row([EHLO, ("AUTH LOGIN", f"={USERNAME}"), (b64(CAMERA), f"={PASSWORD}"), (b64("t0tally wrong"), "535 5.7.8"),
          ("QUIT", "221")], listener=IN_CLEAR, words="camera1.*password|password.*camera1")),
    ("Epson EM-C800: a password of 20 characters, its most", Row([EHLO, *login("epson"), *letter()], FILED, listener=IN_CLEAR)),
    ("Dell 2335dn: a password of 31 characters, its most", Row([EHLO, *login("dell"), *letter()], FILED, listener=IN_CLEAR)),
    ("a scanner whose login is an address", Row([EHLO, *login("scanner@example.org"), *letter()], FILED, listener=IN_CLEAR)),
    ("a copier whose login has a Windows domain", Row([EHLO, *login("OFFICE\\copier"), *letter()], FILED, listener=IN_CLEAR)),
    ("mailrise 22: a device that must log in, anything will do",
     Row([(*EHLO, "+AUTH PLAIN LOGIN"), *login("no such user", "whatever"), *letter()], FILED,
         listener="auth = accept-any\nplaintext_auth = yes")),
    ("smtp_to_telegram 53: ... also with an empty password",
     Row([EHLO, *login("no such user", ""), *letter()], FILED, listener="auth = accept-any\nplaintext_auth = yes")),
    ("app-mail 370: a device that must log in where nobody can",
     Row([(*EHLO, "!AUTH"), ("AUTH LOGIN", "502 5.5.1"), ("QUIT", "221")], listener="auth = off", words="login|AUTH")),
    ("smtp2mqtt 1: ... that goes on without",
     Row([EHLO, ("AUTH LOGIN", "502 5.5.1"), *letter()], FILED, listener="auth = off")),
    ("home-assistant 22601: no login at a listener that wants one",
     Row([EHLO, ("MAIL FROM:<scanner@example.org>", "530 5.7.0"), ("QUIT", "221")],
         listener=IN_CLEAR.replace("optional", "require"), words="log in|login|AUTH")),
    ("mailrise 22: ... and AUTH LOGIN, then",
     Row([EHLO, ("MAIL FROM:<scanner@example.org>", "530 5.7.0"), *login(), *letter()], FILED,
         listener=IN_CLEAR.replace("optional", "require"))),
    ("a password in clear where that is not allowed",
     Row([(*EHLO, "!AUTH", "+STARTTLS"), ("AUTH LOGIN", "538 5.7.11"), ("QUIT", "221")], words="TLS|plaintext_auth",
         **starttls_of())),
    ("... all in one line", Row([EHLO, ("AUTH PLAIN " + plain(CAMERA, CAMERA_PASSWORD), "538 5.7.11"), ("QUIT", "221")],
                                words="TLS|plaintext_auth", **starttls_of())),
    ("a login in the middle of a mail", Row([EHLO, *envelope(), ("AUTH LOGIN", "503 5.5.1"), ("DATA", "354"),
                                             (body(scan()), "250 2.0.0"), ("QUIT", "221")], FILED, listener=IN_CLEAR)),
    ("a second login", Row([EHLO, *login(), ("AUTH LOGIN", "503 5.5.1"), *letter()], FILED, listener=IN_CLEAR)),
]

ENCRYPTED = [
    ("Canon imageRUNNER: STARTTLS if it is offered, then AUTH PLAIN",
     Row([(*EHLO, "+STARTTLS", "!AUTH"), START_TLS, (encrypt(),), (*EHLO, "!STARTTLS", "+AUTH PLAIN LOGIN"),
          ("AUTH PLAIN " + plain(CAMERA, CAMERA_PASSWORD), f"={WELCOME}"), *letter()], FILED, **starttls_of())),
    ("Canon imageRUNNER: STARTTLS switched off", Row([EHLO, *letter()], FILED, **starttls_of())),
    ("a scanner says HELO, then STARTTLS",
     Row([("HELO scanner", "250"), START_TLS, (encrypt(),), ("HELO scanner", "250"), *login(), *letter()], FILED,
         **starttls_of())),
    ("a camera does not repeat its EHLO after STARTTLS", Row([EHLO, START_TLS, (encrypt(),), *login(), *letter()], FILED,
                                                             **starttls_of())),
    ("Dahua: SSL is TLS at once", Row([EHLO, *login(), *letter()], FILED, listener="users = {users}", tls="implicit",
                                      start=at_once())),
    ("postal 2005: an MFP speaks TLS at once to the port of STARTTLS",
     Row([(*EHLO, "!STARTTLS"), *login(), *letter()], FILED, start=at_once(), **starttls_of())),
    ("postal 2005: ... to a port that requires TLS", Row([EHLO, *login(), *letter()], FILED, listener="users = {users}",
                                                         tls="require", start=at_once())),
    ("homebridge-smtpsensor 7: TLS at once to a port without",
     Row([(fails_to_encrypt(),)], start=silent, words="TLS")),
    ("smtp-oauth-relay 70: STARTTLS at a port without", Row([EHLO, ("STARTTLS", "502 5.5.1"), *letter()], FILED)),
    ("a scanner without TLS where it is required",
     Row([(*EHLO, "!AUTH"), ("MAIL FROM:<scanner@example.org>", "530 5.7.0"), ("QUIT", "221")], words="TLS", tls="require")),
    ("... that logs in first", Row([EHLO, ("AUTH LOGIN", "53", "!334"), ("QUIT", "221")], words="TLS", tls="require",
                                   listener="users = {users}")),
    ("Xerox WorkCentre before 2017: TLS 1.0 only, by default",
     Row([EHLO, START_TLS, (fails_to_encrypt(version="TLSv1"),)], words="TLS", advice=r"TLS 1\.0.*tls_compat = legacy", **starttls_of())),
    ("Xerox WorkCentre before 2017: TLS 1.0 only, legacy",
     Row([EHLO, START_TLS, (encrypt(version="TLSv1"),), EHLO, *login(), *letter()], FILED, **starttls_of(compat="legacy"))),
    ("OpenSMTPD 1244: TLS 1.1 only, legacy",
     Row([EHLO, START_TLS, (encrypt(version="TLSv1_1"),), EHLO, *login(), *letter()], FILED, **starttls_of(compat="legacy"))),
    ("smtp-oauth-relay 70: old HP, TLS 1.0 at once, legacy",
     Row([EHLO, *letter()], FILED, start=at_once(tls_context("TLSv1")), **starttls_of(compat="legacy"))),
    ("Ricoh MP 2025: TLS 1.2 without ECDHE",
     Row([EHLO, START_TLS, (encrypt(version="TLSv1_2", ciphers="kRSA"),), EHLO, *login(), *letter()], FILED, **starttls_of())),
    ("Sharp 2025: TLS 1.2 with DHE alone",
     Row([EHLO, START_TLS, (encrypt(version="TLSv1_2", ciphers="kDHE"),), EHLO, *login(), *letter()], FILED, **starttls_of())),
    ("Konica Minolta bizhub: TLS 1.0, RC4, 3DES and AES, legacy",
     Row([EHLO, *letter()], FILED, start=with_gnutls(BIZHUB), **starttls_of(compat="legacy"))),
    ("3DES and nothing else, ancient",
     Row([EHLO, *login(), *letter()], FILED, start=with_gnutls(TRIPLE_DES), **starttls_of(compat="ancient"))),
    ("docker-mailserver 1145: HP M276n knows SSL 3.0 at most",
     Row([(SSL3_HELLO,), (hears_nothing_useful,)], start=silent, words="TLS", advice="SSL 3", **starttls_of(compat="ancient"))),
    ("... after STARTTLS, by default",
     Row([EHLO, START_TLS, (SSL3_HELLO,), (hears_nothing_useful,)], words="TLS", advice="SSL 3", **starttls_of())),
    ("a copier of 2003: SSL 3.0 in the form of SSL 2.0", Row([EHLO, START_TLS, (SSL2_HELLO,), (hears_nothing_useful,)],
                                                             words=r"SSL|TLS", **starttls_of())),
    ("STARTTLS and a mail in the same packet, to be taken for encrypted",
     Row([EHLO, (b"STARTTLS\r\nEHLO x\r\nMAIL FROM:<evil@example.net>\r\nRCPT TO:<scans@example.org>\r\n", "5")],
         words="STARTTLS|TLS", **starttls_of())),
    ("a device that changes its mind behind STARTTLS",
     Row([EHLO, START_TLS, (b"MAIL FROM:<scanner@example.org>\r\n",), (hears_nothing_useful,)], words="TLS", **starttls_of())),
]

MAILS = [
    ("SmtpServer 219: MegaRAID sends no brackets",
     Row([("HELO megaraid", "250"), ("MAIL FROM: raid@example.org", "250"), ("RCPT TO: scans@example.org", "250"),
          ("DATA", "354"), (body(scan()), "250 2.0.0"), ("QUIT", "221")], FILED)),
    ("Papercut 183: a blank behind FROM:",
     Row([EHLO, ("MAIL FROM: <scanner@example.org>", "250"), ("RCPT TO: <scans@example.org>", "250"), ("DATA", "354"),
          (body(scan()), "250 2.0.0"), ("QUIT", "221")], FILED)),
    ("go-smtp 11: a tab there, no domain, a null sender",
     Row([EHLO, ("MAIL FROM:\t<scanner>", "250"), ("RSET", "250"), ("MAIL FROM:<>", "250"), ("RCPT TO:<scans>", "250"),
          ("DATA", "354"), (body(scan()), "250 2.0.0"), ("QUIT", "221")], FILED)),
    ("haraka 3268: bare line feeds in the mail, strict",
     Row([EHLO, *envelope(), ("DATA", "354"), (body(BARE), "554 5.6.0", "+line feed", "+lenient"), ("QUIT", "221")],
         words="Bare line feed.*lenient")),
    ("haraka 3268: bare line feeds in the mail, lenient",
     Row([EHLO, *letter(BARE)], FILED, listener="line_ends = lenient")),
    ("hmailserver 357: line feeds only, commands too, lenient",
     Row([(b"HELO dvr\n", "250"), (b"MAIL FROM:<dvr@example.org>\n", "250"), (b"RCPT TO:<scans@example.org>\n", "250"),
          (b"DATA\n", "354"), (scan().replace(b"\r\n", b"\n") + b"\r\n.\r\n", "250 2.0.0"), (b"QUIT\n", "221")], FILED,
         listener="line_ends = lenient")),
    ("a scan that is too large, announced",
     Row([EHLO, ("MAIL FROM:<scanner@example.org> SIZE=209715200", "552 5.3.4"), ("QUIT", "221")], words="reason=size")),
    ("nodelink 32: Reolink sends a test mail without a picture",
     Row([EHLO, *letter(mail(text="Test mail"), sender="cam@example.org")], route="no_parts = accept", words="outcome=delivered")),
    ("nodelink 32: ... its text is kept where that is wanted",
     Row([EHLO, *letter(mail(text="Test mail"))], {"mail.txt": b"Test mail"}, route="no_parts = accept\nbody = text")),
    ("nodelink 32: ... and by default it is told what is missing",
     Row([EHLO, *envelope(), ("DATA", "354"), (body(mail(text="Test mail")), "554 5.6.0", "+No file"), ("QUIT", "221")],
         words="reason=no_parts")),
    ("smtp_to_telegram 4: the picture is inline", Row([EHLO, *letter(PHOTO)], {"alarm.jpg": JPEG})),
    ("homebridge-camera-ui 379: one recipient for each camera",
     Row([EHLO, *envelope(to=["cams+front@example.org", "cams+garden@example.org"]), ("DATA", "354"), (body(PHOTO), "250 2.0.0"),
          ("MAIL FROM:<nvr@example.org>", "250"), ("RCPT TO:<cams+front@example.org>", "250"), ("DATA", "354"),
          (body(PHOTO), "250 2.0.0"), ("QUIT", "221")],
         {"front/alarm.jpg": JPEG, "garden/alarm.jpg": JPEG, "front/alarm (2).jpg": JPEG},
         route="to = *+front@*\nfolder = front\n[route garden]\nto = *+garden@*\nfolder = {to.tag}")),
    ("homebridge-camera-ui 379: the channel is in the subject",
     Row([EHLO, *letter(mail(part(JPEG, "1.jpg"), subject="Alarm CH02 Motion"))], {"ch02/1.jpg": JPEG},
         route="subject = *CH01*\nfolder = ch01\n[route two]\nsubject = *ch02*\nfolder = ch02")),
    ("homebridge-camera-ui 355: a camera called front door",
     Row([EHLO, *letter(PHOTO, sender="front door@cams", to=["front door@cams"])], {"door/alarm.jpg": JPEG},
         route="to = \"front door@*\"\nfolder = door")),
    ("homebridge-camera-ui 355: a camera called Haust\u00fcr",
     Row([EHLO, *letter(PHOTO, sender="Haust\u00fcr@cams", to=["Haust\u00fcr@cams"])], {"alarm.jpg": JPEG},
         route="to = haust*@cams")),
    ("a device that waits for nothing after the greeting",
     Row([(b"EHLO dvr\r\nMAIL FROM:<dvr@example.org>\r\nRCPT TO:<scans@example.org>\r\nDATA\r\n" + body(scan()) + b"QUIT\r\n",
           "250-", "250 2.1.0", "250 2.1.5", "354", "250 2.0.0", "221")], FILED)),
    ("... its login included",
     Row([(f"EHLO dvr\r\nAUTH LOGIN\r\n{b64(CAMERA)}\r\n{b64(CAMERA_PASSWORD)}\r\nMAIL FROM:<dvr@example.org>\r\n"
           "RCPT TO:<scans@example.org>\r\nDATA\r\n".encode() + body(scan()) + b"QUIT\r\n",
           "250-", f"={USERNAME}", f"={PASSWORD}", f"={WELCOME}", "250 2.1.0", "250 2.1.5", "354", "250 2.0.0", "221")], FILED,
         listener=IN_CLEAR)),
    ("a panel says QUIT without waiting for the 250",
     Row([EHLO, *envelope(), ("DATA", "354"), (body(scan()) + b"QUIT\r\n", "250 2.0.0", "221")], FILED)),
    ("a panel is gone before the 250", Row([EHLO, *envelope(), ("DATA", "354"), (body(scan()) + b"QUIT\r\n",)], FILED)),
    ("paperless 1236: two mails, the same name each time",
     Row([EHLO, *letter(mail(part(PDF, "SCN_0001.pdf")))[:-1], *letter(mail(part(PDF + b"2", "SCN_0001.pdf")))],
         {"SCN_0001.pdf": PDF, "SCN_0001 (2).pdf": PDF + b"2"})),
    ("a fax server writes to sixty people at once",
     Row([EHLO, *letter(to=[f"user{n}@example.org" for n in range(60)])], FILED)),
]


def file_of(place):
    return users_file(place, *[users_line(name, password) for name, password in SECRETS.items()])


@rows(HELLOS + LOGINS + ENCRYPTED + MAILS)
def test_device(place, row):
    listener = row.listener.format(users=file_of(place))
    config = place.config(smtp=listener, tls=row.tls, route=row.route)
    with place.gateway(config=config) as gateway:
        row.play(gateway.port)
        if row.files:
            wait_for(lambda: place.files() == row.files, 5, lambda: f"on the share: {place.files()}\n{gateway.log()}")
        else:
            equal(place.files(), {})
        if row.words:
            log_says(gateway, row.words)
        if row.words and not row.files and "outcome=delivered" not in row.words:
            status_says(place, config, row.advice)
        for secret in SECRETS.values():
            require(secret not in gateway.log() and b64(secret) not in gateway.log(), "a password is in the log")
        wait_for(lambda: not place.staged(), 5, "something stays in our folder")


# --- TLS at once, in more than one way -------------------------------------------------------------------------------

def client_hello(context):
    """The first octets of a client, and what they came from."""
    came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
    talk = context.wrap_bio(came, goes)
    try:
        talk.do_handshake()
    except ssl.SSLWantReadError:
        return goes.read()


def at_once_but_slowly(port, delay):
    """A device makes its connection first and its hello then, and that takes it a while."""
    device = TlsDevice(port, greet=False)
    time.sleep(delay)
    try:
        device.encrypt()
    except ssl.SSLError:
        device.close()
        return False
    require(device.reply().startswith("220 "))
    require(device.deliver(scan()).startswith("250"))
    device.quit()
    return True


# what comes late is greeted in clear first, and heard the next time
@rows([("20 ms", 0.02, 1), ("100 ms", 0.1, 2), ("300 ms", 0.3, 2)])
def test_tls_at_once_but_slowly(place, delay, tries):
    with place.gateway(tls="starttls") as gateway:
        for _ in range(3):
            tries -= 1
            if at_once_but_slowly(gateway.port, delay):
                break
            require(tries > 0, "it is not heard")
            log_says(gateway, "TLS")
        for _ in range(3):
            require(at_once_but_slowly(gateway.port, delay), "it is heard no more")


def test_tls_at_once_in_single_octets(place):
    with place.gateway(tls="starttls") as gateway:
        device = TlsDevice(gateway.port, greet=False)
        device.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in client_hello(tls_context()):
            device.send(bytes([octet]))
        require(device.socket.recv(3).startswith(b"\x16\x03"), "no TLS comes back")
        device.close()


def test_who_waits_is_greeted_soon(place):
    """That there may be TLS at once must not keep waiting whoever waits for the greeting."""
    for tls in ("off", "starttls", "require"):
        with place.gateway(config=place.config(tls=tls), log=f"{tls}.log") as gateway:
            started = time.monotonic()
            device = TlsDevice(gateway.port)
            require(time.monotonic() - started < 1.0 * PATIENCE, f"{tls}: greeted late")
            device.quit()
