"""TLS on the listener: which clients it takes, whose certificate it shows, and where the key is."""

import contextlib
import itertools
import os
import re
import signal
import ssl
import stat
import subprocess
import threading
import time

from devices import (BIZHUB, RC4, SSL2_HELLO, SSL3_HELLO, TRIPLE_DES, WELCOME, GnutlsDevice, TlsDevice, der, first_word, flood,
                     log_says, logged_in, make_pair, meanwhile, start_all, tls_context, users_file, users_line)
from harness import (GONE, PATIENCE, PDF, Device, command_line, equal, needs_root, pdf, proc_file, processes, require, rows,
                     scan, send, status_of, wait_for)

COMPATS = ("modern", "legacy", "ancient")


def three_listeners(place, tls="starttls"):
    """One for each `tls_compat`, called so."""
    others = "".join(f"[smtp {compat}]\nlisten = 127.0.0.1:0\npeers = 127.0.0.0/8\ntls = {tls}\ntls_compat = {compat}\n"
                     for compat in COMPATS)
    return start_all(place.gateway(tls=tls, text=others), 4)


# --- the matrix ------------------------------------------------------------------------------------------------------

# In the default configuration of Debian OpenSSL itself refuses what is old, unless it is told otherwise.
LOWEST = "@SECLEVEL=0"


def by_openssl(*options):
    """Does the whole dialogue in TLS; what was agreed, None if nothing was."""
    def client(port):
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-starttls", "smtp", "-brief",
                               "-ign_eof", "-nocommands", *options], input=b"EHLO x\r\nQUIT\r\n", capture_output=True,
                              timeout=30 * PATIENCE)
        agreed = re.search(rb"Protocol version: (\S+)\nCiphersuite: (\S+)", done.stderr)
        if b"221 2.0.0" not in done.stdout:
            require(done.returncode != 0 and not agreed, f"{done.stdout} {done.stderr}")
            return None
        return " ".join(word.decode() for word in agreed.groups())
    return client


def by_gnutls(priority):
    def client(port):
        device = GnutlsDevice(port, priority, starttls=True)
        try:
            require("SIZE" in device.say("EHLO x"))
            require(device.say("QUIT").startswith("221"))
            return device.socket.agreed()
        except (EOFError, BrokenPipeError):
            return None
        finally:
            device.close()
    return client


def by_hello(hello):
    """Says just that where TLS begins. True if it is answered with a hello."""
    def client(port):
        device = Device(port, timeout=10)
        device.say("EHLO x")
        require(device.say("STARTTLS").startswith("220"))
        device.send(hello)
        heard = b""
        try:
            while more := device.socket.recv(4096):
                heard += more
                if heard[:1] == b"\x16":
                    return True
        except ConnectionError:
            pass
        device.close()
        return None
    return client


ALL, OLD, OLDEST, NONE = (True, True, True), (False, True, True), (False, False, True), (False, False, False)

MATRIX = [
    ("TLS 1.3", by_openssl("-tls1_3"), ALL, "TLSv1.3"),
    ("TLS 1.2", by_openssl("-tls1_2"), ALL, "TLSv1.2 ECDHE-RSA"),
    ("TLS 1.1 only", by_openssl("-tls1_1", "-cipher", "ALL:" + LOWEST), OLD, "TLSv1.1"),
    ("TLS 1.0 only", by_openssl("-tls1", "-cipher", "ALL:" + LOWEST), OLD, "TLSv1 "),
    ("TLS 1.2, RSA key exchange only", by_openssl("-tls1_2", "-cipher", "kRSA"), ALL, "TLSv1.2 AES"),
    ("TLS 1.2, AES128-SHA only", by_openssl("-tls1_2", "-cipher", "AES128-SHA"), ALL, "TLSv1.2 AES128-SHA"),
    ("TLS 1.2, DHE only", by_openssl("-tls1_2", "-cipher", "kDHE"), ALL, "TLSv1.2 DHE-RSA"),
    ("TLS 1.2, SHA-1 signatures only", by_openssl("-tls1_2", "-cipher", "ECDHE:" + LOWEST, "-sigalgs", "RSA+SHA1"), ALL,
     "TLSv1.2 ECDHE-RSA"),
    ("TLS 1.2, DHE and SHA-1 signatures", by_openssl("-tls1_2", "-cipher", "kDHE:" + LOWEST, "-sigalgs", "RSA+SHA1"), ALL,
     "TLSv1.2 DHE-RSA"),
    ("TLS 1.1, RSA key exchange", by_openssl("-tls1_1", "-cipher", "kRSA:" + LOWEST), OLD, "TLSv1.1 AES"),
    ("TLS 1.0, RSA key exchange", by_openssl("-tls1", "-cipher", "kRSA:" + LOWEST), OLD, "TLSv1 AES"),
    ("TLS 1.0, DHE", by_openssl("-tls1", "-cipher", "kDHE:" + LOWEST), OLD, "TLSv1 DHE-RSA"),
    ("TLS 1.0, ECDHE", by_openssl("-tls1", "-cipher", "kECDHE:" + LOWEST), OLD, "TLSv1 ECDHE-RSA"),
    ("GnuTLS as it is", by_gnutls("NORMAL"), ALL, "(TLS1.3"),
    ("GnuTLS, TLS 1.0 only", by_gnutls("NORMAL:-VERS-ALL:+VERS-TLS1.0"), OLD, "(TLS1.0"),
    ("GnuTLS, TLS 1.1 only", by_gnutls("NORMAL:-VERS-ALL:+VERS-TLS1.1"), OLD, "(TLS1.1"),
    ("TLS 1.0, 3DES only", by_gnutls(TRIPLE_DES), OLDEST, "(TLS1.0-X.509)-(RSA)-(3DES-CBC)"),
    ("TLS 1.2, 3DES only", by_gnutls(TRIPLE_DES.replace("1.0", "1.2")), OLDEST, "(TLS1.2-X.509)-(RSA)-(3DES-CBC)"),
    ("TLS 1.0, RC4 only", by_gnutls(RC4), NONE, ""),
    ("TLS 1.2, RC4 only", by_gnutls(RC4.replace("1.0", "1.2")), NONE, ""),
    ("TLS 1.0: RC4, 3DES, AES", by_gnutls(BIZHUB), OLD, "(TLS1.0-X.509)-(RSA)"),
    ("SSL 3.0 only", by_hello(SSL3_HELLO), NONE, ""),
    ("SSL 3.0 in the form of SSL 2.0", by_hello(SSL2_HELLO), NONE, ""),
]


@rows(MATRIX)
def test_matrix(place, client, taken, wanted):
    with three_listeners(place) as gateway:
        for compat, good in zip(COMPATS, taken):
            agreed = client(gateway.ports[compat])
            equal(agreed is not None, good, f"{compat}: {agreed}")
            require(not good or wanted in agreed, f"{compat}: agreed on {agreed}, wanted {wanted}")
        equal(client(gateway.ports["lan"]) is not None, taken[0], "by default, which is modern")
        if not taken[0]:
            log_says(gateway, "TLS|SSL")


@rows([(f"{client}, {tls}", client, tls) for client in ("openssl", "gnutls") for tls in ("implicit", "starttls", "require")])
def test_tls_at_once(place, client, tls):
    """The clients of the matrix, without STARTTLS."""
    commands = {"openssl": ("openssl", "s_client", "-quiet", "-nocommands", "-connect", "127.0.0.1:PORT"),
                "gnutls": ("gnutls-cli", "--insecure", "--no-ca-verification", "-p", "PORT", "127.0.0.1")}
    with place.gateway(tls=tls) as gateway:
        command = [word.replace("PORT", str(gateway.port)) for word in commands[client]]
        running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
        place.later(running.kill)
        hear(running.stdout, b"220 ")
        running.stdin.write(b"EHLO x\r\n")
        require(b"STARTTLS" not in hear(running.stdout, b" CHUNKING"))
        running.stdin.write(b"QUIT\r\n")
        hear(running.stdout, b"221 2.0.0")
        running.kill()
        running.communicate()


def hear(pipe, words):
    """What comes up to these words."""
    heard = b""
    while words not in heard:
        more = os.read(pipe.fileno(), 65536)
        require(more, f"{words} are missing: {heard}")
        heard += more
    return heard


def test_old_tls_is_warned_of(place):
    """Who takes what is broken is told so at each start."""
    with three_listeners(place) as gateway:
        for compat in ("legacy", "ancient"):
            require(re.search(rf"\b{compat}\b.*TLS|TLS.*\b{compat}\b|tls_compat = {compat}", gateway.log(), re.I),
                    f"nothing about {compat}:\n{gateway.log()}")


@rows([("this machine alone", "", False), ("own network", "peers = private", False), ("everybody", "peers = 0.0.0.0/0", True)])
def test_check_warns_of_old_tls(place, peers, warned):
    """And of passwords in clear: where more than the own network may come."""
    users = users_file(place, users_line("cam", "Secret-16-letter"))
    smtp = f"{peers}\ntls_compat = legacy\nusers = {users}\nplaintext_auth = yes"
    done = place.run("check", "--offline", "-c", place.config(tls="starttls", smtp=smtp))
    for words in (b"an old TLS is taken from more", b"passwords come in clear from more"):
        equal(words in done.stdout, warned, done.stdout.decode())


# --- what is offered, and what a session is ---------------------------------------------------------------------------

def test_offer(place):
    """STARTTLS is offered where it would be done."""
    others = "".join(f"[smtp {tls}]\nlisten = 127.0.0.1:0\ntls = {tls}\n" for tls in ("starttls", "require", "implicit"))
    with start_all(place.gateway(text=others), 4) as gateway:
        for tls, offered in (("lan", False), ("starttls", True), ("require", True), ("implicit", False)):
            device = TlsDevice(gateway.ports[tls], implicit=tls == "implicit")
            equal("STARTTLS" in device.say("EHLO x"), offered, tls)
            if offered:
                device.start_tls()
                require("STARTTLS" not in device.say("EHLO x"), f"{tls}: offered again")
            if tls != "lan":
                require(device.say("STARTTLS").startswith("503 5.5.1"), "TLS in TLS")
            require(device.deliver(scan()).startswith("250"), tls)
            device.quit()
        equal(len(place.files()), 4)


def test_starttls_takes_no_word_behind_it(place):
    with place.gateway(tls="starttls") as gateway:
        device = TlsDevice(gateway.port)
        device.say("EHLO x")
        require(device.say("STARTTLS now").startswith("501 5.5.4"))
        require(device.say("starttls").startswith("220 2.0.0"))
        device.encrypt()
        require(device.deliver(scan()).startswith("250"))
        device.quit()


def test_starttls_in_a_mail(place):
    with place.gateway(tls="starttls") as gateway:
        device = TlsDevice(gateway.port)
        device.envelope()
        require(device.say("STARTTLS").startswith("503 5.5.1"))
        require(device.data(scan()).startswith("250"), "the mail goes on")
        require(device.say("STARTTLS").startswith("220"), "and TLS after it")
        device.encrypt()
        require(device.deliver(scan(200)).startswith("250"))
        device.quit()


def test_before_tls_is_forgotten(place):
    """Who was in between said it, perhaps (RFC 3207 section 4.2): the login above all."""
    users = users_file(place, users_line("cam", "Secret-16-letter"))
    smtp = f"users = {users}\nplaintext_auth = yes\nauth = require"
    with place.gateway(tls="starttls", smtp=smtp) as gateway:
        device = logged_in(gateway.port, "cam", "Secret-16-letter")
        device.start_tls()
        device.say("EHLO x")
        require(device.say("MAIL FROM:<a@b>").startswith("530 5.7.0"), "the login of the clear")
        equal(device.login("cam", "Secret-16-letter"), WELCOME)
        require(device.deliver(scan(), ).startswith("250"))
        device.quit()


INJECTED = b"EHLO x\r\nMAIL FROM:<evil@example.net>\r\nRCPT TO:<scans@example.org>\r\nDATA\r\n" + scan() + b".\r\n"


@rows([("in one packet", 0.0), ("a moment later", 0.002), ("before the answer is read", 0.05)])
def test_nothing_is_carried_into_tls(place, delay):
    """What came in clear behind STARTTLS is never answered in TLS."""
    with place.gateway(tls="starttls") as gateway:
        device = TlsDevice(gateway.port, timeout=10)
        device.say("EHLO x")
        if delay:
            device.send(b"STARTTLS\r\n")
            time.sleep(delay)
            device.send(INJECTED)
        else:
            device.send(b"STARTTLS\r\n" + INJECTED)
        try:
            # it may say at once, by an alert, that this is no handshake
            if device.reply().startswith("220") and not device.buffer.startswith(b"\x15\3"):
                device.encrypt()
                reply = device.say("NOOP")
                require(not reply.startswith("250"), f"the handshake was made over it: {reply}")
        except (ssl.SSLError, ConnectionError, EOFError):
            pass
        device.close()
        time.sleep(0.3)
        equal(place.files(), {})
        require(not any(line["outcome"] == "delivered" for line in gateway.lines()), gateway.log())
        require(send(gateway.port, scan()).startswith("250"), "the next device")


@rows([("5 MB", 5 << 20), ("40 MB", 40 << 20)])
def test_big_mail(place, size):
    with place.gateway(tls="starttls", text="[limits]\nmessage = 200M\npart = 100M\n") as gateway:
        for version in ("TLSv1_2", "TLSv1_3"):
            device = TlsDevice(gateway.port, timeout=120)
            device.hello(tls_context(version))
            require(device.deliver(scan(size)).startswith("250"))
            device.quit()
        equal([content == pdf(size) for content in place.files().values()], [True, True])


def test_octet_by_octet(place):
    """A record for each octet."""
    with place.gateway(tls="starttls") as gateway:
        device = TlsDevice(gateway.port)
        device.hello()
        for octet in b"MAIL FROM:<a@b>\r\nRCPT TO:<scans@example.org>\r\nBDAT 4\r\nab: BDAT 2 LAST\r\nx\r":
            device.send(bytes([octet]))
        equal([device.reply()[:3] for _ in range(4)], ["250", "250", "250", "554"])
        for octet in b"MAIL FROM:<a@b>\r\nRCPT TO:<scans@example.org>\r\nDATA\r\n" + scan() + b".\r\n":
            device.send(bytes([octet]))
        equal([device.reply()[:3] for _ in range(4)], ["250", "250", "354", "250"])
        device.quit()
        equal(len(place.files()), 1)


def test_everything_in_one_record(place):
    with place.gateway(tls="starttls") as gateway:
        device = TlsDevice(gateway.port)
        device.hello()
        device.send((b"MAIL FROM:<a@b>\r\nRCPT TO:<scans@example.org>\r\nDATA\r\n" + scan() + b".\r\n") * 3 + b"QUIT\r\n")
        equal([device.reply()[:3] for _ in range(13)], ["250", "250", "354", "250"] * 3 + ["221"])
        equal(len(place.files()), 3)


def test_goodbye(place):
    """The end of TLS is said, or the device takes it for a break; and the gateway knows that its 250 has come."""
    with place.gateway(tls="starttls") as gateway:
        for version in ("TLSv1_2", "TLSv1_3"):
            device = TlsDevice(gateway.port)
            device.hello(tls_context(version))
            require(device.deliver(scan()).startswith("250"))
            require(device.say("QUIT").startswith("221"))
            equal(device.socket.recv(10), b"", "the end")  # an SSLError if TLS was cut
            device.close()
            wait_for(lambda: not place.marks(), 5, "a mark stays")
        equal(len(place.files()), 2)


def test_cut_in_tls_is_a_doubt(place):
    """A device that lost its connection before the 250 gets one file for its two tries."""
    with place.gateway(tls="starttls") as gateway:
        message = scan(900)
        device = TlsDevice(gateway.port)
        device.hello()
        device.envelope()
        device.say("DATA")
        device.send(message + b".\r\n")
        wait_for(place.files, 5, "it is not stored")
        device.reset()
        device = TlsDevice(gateway.port)
        device.hello()
        require(device.deliver(message).startswith("250"))
        device.quit()
        equal(len(place.files()), 1)


@rows([("TLS 1.2, a new handshake", "-tls1_2", b"R\n", b"RENEGOTIATING"),
       ("TLS 1.3, a new key", "-tls1_3", b"k\n", b"KEYUPDATE"),
       ("TLS 1.3, a new key on both sides", "-tls1_3", b"K\n", b"KEYUPDATE")])
def test_handshake_again(place, version, command, said):
    """Refused or done, but it neither hangs nor spins."""
    with place.gateway(tls="starttls") as gateway:
        client = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{gateway.port}", "-starttls", "smtp", version],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        place.later(client.kill)
        hear(client.stdout, b"250 CHUNKING")
        client.stdin.write(command)
        client.stdin.flush()
        hear(client.stdout, said)
        time.sleep(0.3 * PATIENCE)
        if version == "-tls1_3":
            client.stdin.write(b"NOOP\n")
            client.stdin.flush()
            hear(client.stdout, b"250 2.0.0 Ok")
        client.stdin.close()
        client.terminate()
        client.wait(10)
        client.stdout.close()
        require(send(gateway.port, scan()).startswith("250"), "the next device")
        wait_for(lambda: len(processes(gateway, "letterchute-smtp listen")) == 1, 10, "the session goes on for ever")


def cut_within(device, seconds):
    """The other side ends it, in time."""
    started = time.monotonic()
    device.socket.settimeout(seconds + 10)
    try:
        while device.socket.recv(4096):
            pass
    except (ConnectionError, ssl.SSLError):
        pass
    took = time.monotonic() - started
    require(took < seconds, f"it took {took:.1f} s")


def test_handshake_takes_no_longer_than_idle(place):
    """Half a hello, a hello that never ends, and a client that goes silent in the middle."""
    with place.gateway(tls="starttls", smtp="idle = 2s") as gateway:
        for piece in (b"", b"\x16", HALF_A_HELLO):
            device = Device(gateway.port)
            device.say("EHLO x")
            device.say("STARTTLS")
            device.send(piece)
            cut_within(device, 4 * PATIENCE)
        device = Device(gateway.port)
        device.say("EHLO x")
        device.say("STARTTLS")
        drip = threading.Event()

        def feed():
            for octet in b"\x16\x03\x01\x02\x00" + bytes(512):
                if drip.wait(0.2):
                    return
                try:
                    device.send(bytes([octet]))
                except OSError:
                    return
        thread = threading.Thread(target=feed)
        thread.start()
        cut_within(device, 4 * PATIENCE)
        drip.set()
        thread.join()
        log_says(gateway, "TLS|handshake")


# --- the certificate --------------------------------------------------------------------------------------------------

def private_keys(place):
    """Files of our state that hold one."""
    found = []
    for at, _, names in os.walk(place.state):
        for name in names:
            path = os.path.join(at, name)
            if os.path.isfile(path) and b"PRIVATE KEY-----" in open(path, "rb").read(1 << 20):
                found.append(path)
    return found


def shown(port, context=None):
    """The certificate of a listener."""
    device = TlsDevice(port)
    device.hello(context)
    found = device.certificate()
    device.quit()
    return found


def test_pair_of_our_own(place):
    config = place.config(tls="starttls")
    with place.gateway(config=config) as gateway:
        first = shown(gateway.port)
        keys = private_keys(place)
        equal(len(keys), 1, "files with a key")
        equal(stat.S_IMODE(os.stat(keys[0]).st_mode), 0o600, "its mode")
        text = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-text"], input=first,
                              capture_output=True).stdout.decode()
        require("Public-Key: (2048 bit)" in text and "rsaEncryption" in text, text)
        equal(re.search(r"Issuer: (.*)", text).group(1), re.search(r"Subject: (.*)", text).group(1), "self-signed")
        require("sha256WithRSA" in text and "Subject Alternative Name" in text, text)
    content = open(keys[0], "rb").read()
    with place.gateway(config=config) as gateway:
        equal(shown(gateway.port), first, "kept over a restart")
        equal(open(keys[0], "rb").read(), content)
    equal(private_keys(place), keys)


def test_two_gateways_make_one_pair(place):
    """As when two containers are restarted at once: neither does without a certificate."""
    config = place.config(tls="starttls")
    both = [place.gateway(config=config, log=f"gateway{number}.log").start(ready=False) for number in (1, 2)]
    for one in both:
        wait_for(one.is_ready, 20, one.log)
    equal(len({shown(one.port) for one in both}), 1)
    for one in both:
        one.stop()
        require("no certificate" not in one.log(), one.log())


def test_pair_of_our_own_is_made_once_for_all(place):
    with three_listeners(place) as gateway:
        equal(len({shown(port) for port in gateway.ports.values()}), 1)
        equal(len(private_keys(place)), 1)


def test_no_key_without_tls(place):
    with place.gateway() as gateway:
        require(send(gateway.port, scan()).startswith("250"))
        equal(private_keys(place), [])


def test_half_a_pair_of_our_own(place):
    """What a cut may leave behind is made anew, and a pair that was hurt is never used by halves."""
    config = place.config(tls="starttls")
    with place.gateway(config=config) as gateway:
        shown(gateway.port)
    key = private_keys(place)[0]
    with open(key, "wb"):
        pass
    gateway = place.gateway(config=config)
    try:
        gateway.start()
    except AssertionError:
        equal(gateway.process.wait(20), 78, "it does not start, and says why")
        require(os.path.basename(key) in gateway.fresh_log(), gateway.fresh_log())
        return
    shown(gateway.port)
    gateway.stop()


PAIRS = [
    ("RSA 2048", ("-newkey", "rsa:2048")),
    ("RSA 3072", ("-newkey", "rsa:3072")),
    ("EC P-256", ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")),
    ("EC P-384", ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1")),
]


def own_pair(place, name, *options):
    cert, key = make_pair(place, name, *options)
    os.chmod(key, 0o600)
    return cert, key, f"tls_cert = {cert}\ntls_key = {key}"


@rows(PAIRS)
def test_certificate_of_the_owner(place, options):
    cert, key, lines = own_pair(place, "mine", *options)
    with place.gateway(tls="starttls", smtp=lines) as gateway:
        equal(shown(gateway.port), der(cert))
        equal(shown(gateway.port, tls_context("TLSv1_2")), der(cert))
        equal(private_keys(place), [], "none is made")


def test_certificate_of_another_kind(place):
    """Ed25519: it is shown, or the start says that it can't be."""
    cert, key, lines = own_pair(place, "mine", "-newkey", "ed25519")
    gateway = place.gateway(tls="starttls", smtp=lines)
    try:
        gateway.start()
    except AssertionError:
        equal(gateway.process.wait(10), 78)
        require(re.search(r"gateway\.conf:\d+: tls_key.*expected", gateway.log()), gateway.log())
        return
    equal(shown(gateway.port), der(cert))
    gateway.stop()


def test_key_and_certificate_in_one_file(place):
    cert, key, _ = own_pair(place, "mine")
    both = place.file("both.pem", open(cert).read() + open(key).read())
    with place.gateway(tls="starttls", smtp=f"tls_cert = {both}\ntls_key = {both}") as gateway:
        equal(shown(gateway.port), der(cert))


def test_chain_is_sent_whole(place):
    """A client that knows the root alone can verify us."""
    ca, ca_key = make_pair(place, "root", "-newkey", "rsa:2048", "-addext", "basicConstraints=critical,CA:TRUE")
    key, request, cert = (os.path.join(place.folder, name) for name in ("leaf.key", "leaf.csr", "leaf.pem"))
    middle_key, middle_request, middle = (os.path.join(place.folder, name) for name in ("m.key", "m.csr", "m.pem"))

    def sign(to, subject, to_key, to_request, by, by_key, extension):
        extensions = place.file(subject + ".ext", extension)
        for command in (["req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", to_key, "-out", to_request, "-subj",
                         f"/CN={subject}"],
                        ["x509", "-req", "-in", to_request, "-CA", by, "-CAkey", by_key, "-CAcreateserial", "-days", "30",
                         "-extfile", extensions, "-out", to]):
            done = subprocess.run(["openssl", *command], capture_output=True)
            equal(done.returncode, 0, done.stderr.decode())
    sign(middle, "middle", middle_key, middle_request, ca, ca_key, "basicConstraints=critical,CA:TRUE\n")
    sign(cert, "leaf", key, request, middle, middle_key, "subjectAltName=DNS:scans.example\n")
    both = place.file("both.pem", open(cert).read() + open(middle).read())
    with place.gateway(tls="starttls", smtp=f"tls_cert = {both}\ntls_key = {key}") as gateway:
        device = TlsDevice(gateway.port)
        device.say("EHLO x")
        require(device.say("STARTTLS").startswith("220"))
        context = ssl.create_default_context(cafile=ca)
        device.socket = context.wrap_socket(device.socket, server_hostname="scans.example")
        require(device.deliver(scan()).startswith("250"))
        device.quit()


def test_listeners_with_certificates_of_their_own(place):
    one, _, lines = own_pair(place, "one")
    two, two_key = make_pair(place, "two", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    other = f"[smtp other]\nlisten = 127.0.0.1:0\ntls = implicit\ntls_cert = {two}\ntls_key = {two_key}\n"
    with start_all(place.gateway(tls="starttls", smtp=lines, text=other), 2) as gateway:
        equal(shown(gateway.ports["lan"]), der(one))
        device = TlsDevice(gateway.ports["other"], implicit=True)
        equal(device.certificate(), der(two))
        require(device.deliver(scan()).startswith("250"))
        device.quit()


def renew(place, paths, name="renewed"):
    """A new pair under the old names, each in one step."""
    cert, key = make_pair(place, name)
    os.replace(key, paths[1])
    fingerprint = der(cert)
    os.replace(cert, paths[0])
    return fingerprint


def test_renewed_certificate(place):
    """Served after SIGHUP, while sessions that are open go on: one in TLS, in the middle of a mail; one that has not
    begun it yet."""
    cert, key, lines = own_pair(place, "mine")
    with place.gateway(tls="starttls", smtp=lines) as gateway:
        old = shown(gateway.port)
        within, early = TlsDevice(gateway.port), TlsDevice(gateway.port)
        within.hello()
        within.envelope()
        early.say("EHLO x")
        new = renew(place, (cert, key))
        require(new != old)
        equal(shown(gateway.port), old, "nobody has asked for the new one yet")
        gateway.reload()
        wait_for(lambda: shown(gateway.port) == new, 5, "the old one is served still")
        require(within.data(scan(2000)).startswith("250"), "the mail that was begun")
        within.quit()
        reply = early.say("STARTTLS")
        require(reply.startswith(("220", "454 4.7.0")), reply)
        if reply.startswith("220"):
            early.encrypt()
        require(early.deliver(scan(3000)).startswith("250"), "the session that was open")
        early.quit()
        equal(sorted(len(c) for c in place.files().values()), [2000, 3000])


def test_bad_renewal_keeps_the_old(place):
    """The certificate is there, its key is not yet: what a renewal looks like in the middle."""
    cert, key, lines = own_pair(place, "mine")
    with place.gateway(tls="starttls", smtp=lines) as gateway:
        old = shown(gateway.port)
        other, other_key = make_pair(place, "other")
        os.replace(other, cert)
        gateway.reload("the old configuration stays")
        require(re.search(r"gateway\.conf:\d+: .*tls_key", gateway.log()), gateway.log())
        equal(shown(gateway.port), old)
        require(send(gateway.port, scan()).startswith("250"))
        os.replace(other_key, key)
        gateway.reload()
        wait_for(lambda: shown(gateway.port) == der(cert), 5, "the old one is served still")


def bad_pairs(place):
    """How a pair may be none: name, lines of the listener, what the message names."""
    cert, key = make_pair(place, "good")
    _, other = make_pair(place, "other")
    encrypted, public, empty = (os.path.join(place.folder, name) for name in ("locked.key", "public.pem", "empty.pem"))
    for command in (["pkey", "-in", key, "-aes128", "-passout", "pass:word", "-out", encrypted],
                    ["pkey", "-in", key, "-pubout", "-out", public]):
        equal(subprocess.run(["openssl", *command], capture_output=True).returncode, 0)
    place.file("empty.pem", "")
    place.file("noise.pem", os.urandom(3000))
    noise = os.path.join(place.folder, "noise.pem")
    absent = os.path.join(place.folder, "absent.pem")
    return [
        ("no such certificate", absent, key, "absent.pem"), ("no such key", cert, absent, "absent.pem"),
        ("a folder for a key", cert, place.folder, "tls_key"), ("an empty certificate", empty, key, "tls_cert: it is empty"),
        ("an empty key", cert, empty, "tls_key: it is empty"), ("noise for a certificate", noise, key, "tls_cert"),
        ("noise for a key", cert, noise, "tls_key"), ("the key of another", cert, other, "tls_key"),
        ("the two exchanged", key, cert, "tls_cert"), ("a key with a passphrase", cert, encrypted, "tls_key.*password"),
        ("a public key", cert, public, "tls_key"), ("a certificate alone", cert, None, "tls_key"),
        ("a key alone", None, key, "tls_cert"),
    ]


def test_pair_that_is_none(place):
    faults = []
    for number, (name, cert, key, named) in enumerate(bad_pairs(place)):
        try:
            tell_pair(place, number, name, cert, key, named)
        except (AssertionError, subprocess.TimeoutExpired) as fault:
            faults.append(f"{name}: {fault}")
    equal(faults, [])


def tell_pair(place, number, name, cert, key, named):
    """The configuration is refused, and the words name the file and the line."""
    lines = "\n".join(f"{word} = {path}" for word, path in (("tls_cert", cert), ("tls_key", key)) if path)
    config = place.config(tls="starttls", smtp=lines, name=f"bad{number}.conf")
    done = place.run("run", "-c", config, timeout=10)
    message = done.stderr.decode()
    equal(done.returncode, 78, message)
    require(re.search(rf"bad{number}\.conf:\d+: .*expected", message) and re.search(named, message), message)
    equal(len(message.strip().splitlines()), 1, message)
    done = place.run("check", "--offline", "-c", config, timeout=10)
    message = (done.stdout + done.stderr).decode()
    require(done.returncode != 0 and re.search(named, message), f"check: {done.returncode} {message}")


@needs_root
def test_key_for_root_alone(place):
    """Who started it as root need not open the key to the user of the gateway."""
    cert, key, lines = own_pair(place, "mine")
    os.chown(key, 0, 0)
    with place.gateway(tls="starttls", smtp=lines) as gateway:
        equal(shown(gateway.port), der(cert))
        users = {status_of(pid, "Uid") for pid in processes(gateway, "letterchute-smtp")} - {None}
        require(users and "0" not in users, "a role of the listener is root")


# --- who holds the key -------------------------------------------------------------------------------------------------

def memory(pid):
    """What a process can write to, piece by piece; nothing when it has gone."""
    with contextlib.suppress(*GONE), open(f"/proc/{pid}/mem", "rb", 0) as content:
        for line in proc_file(pid, "maps").decode().splitlines():
            bounds, rights = line.split()[:2]
            first, end = (int(word, 16) for word in bounds.split("-"))
            if "r" not in rights or "vvar" in line or "vsyscall" in line or end - first > 1 << 28:
                continue
            try:
                content.seek(first)
                yield content.read(end - first)
            except (OSError, ValueError, OverflowError):
                continue


def secrets_of(key_path):
    """A key in the forms that libraries have for it: text, DER, and numbers of either end."""
    text = subprocess.run(["openssl", "pkey", "-in", key_path, "-noout", "-text"], capture_output=True).stdout.decode()
    found = []
    for name in ("privateExponent", "prime1", "prime2", "exponent1", "exponent2", "coefficient"):
        digits = re.search(rf"^{name}:\n((?:    .*\n)+)", text, re.M).group(1)
        number = int(re.sub(r"[\s:]", "", digits), 16)
        size = (number.bit_length() + 7) // 8
        # the middle is enough, and does not depend on how the ends are kept
        found += [number.to_bytes(size, end)[16:64] for end in ("little", "big")]
    with open(key_path) as pem:
        lines = pem.read().splitlines()
    return found + [line.encode() for line in lines[5:-3]]


def open_paths(pid):
    """Where its descriptors lead; nowhere when it has gone."""
    with contextlib.suppress(*GONE):
        return [os.path.realpath(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    return []


def holds(pid, secrets):
    return [secret for piece in memory(pid) for secret in secrets if secret in piece]


@needs_root
def test_only_the_keeper_holds_the_key(place):
    cert, key, lines = own_pair(place, "mine")
    users = users_file(place, users_line("cam", "Secret-16-letter"))
    with place.gateway(tls="starttls", smtp=f"{lines}\nusers = {users}") as gateway:
        open_ones = []
        for version in ("TLSv1_2", "TLSv1_3"):
            device = TlsDevice(gateway.port)
            device.hello(tls_context(version))
            equal(device.login("cam", "Secret-16-letter"), WELCOME)
            open_ones.append(device)
        device = TlsDevice(gateway.port)
        device.hello(tls_context("TLSv1_2", "kRSA"))
        require(device.deliver(scan()).startswith("250"))
        open_ones.append(device)
        secrets = secrets_of(key)
        keepers = processes(gateway, "letterchute-smtp keeper")
        equal(len(keepers), 1, "keepers")
        require(holds(keepers[0], secrets), "what we look for is not even in the keeper")
        others = [pid for pid, _ in gateway.children() if pid != keepers[0]]
        lasting = processes(gateway, "letterchute-smtp listen")
        require(len(lasting) >= 4, "listener and sessions")
        for pid in others:
            equal(holds(pid, secrets), [], f"in {command_line(pid)}")
            require(not {key, cert} & set(open_paths(pid)), f"{command_line(pid)} has it open")
        hashed = users_line("cam", "Secret-16-letter").strip().split(":")[1].encode()
        for pid in others:
            equal(holds(pid, [hashed]), [], f"the hash of a password in {command_line(pid)}")
        require(all(map(command_line, lasting)), "one of them was gone before all was looked at")
        for device in open_ones:
            device.quit()


test_only_the_keeper_holds_the_key.measured = True  # the memory of a sanitized program has no end


def test_keeper_killed(place):
    """Sessions that are open go on, or hear 454; new ones work within two seconds."""
    users = users_file(place, users_line("cam", "Secret-16-letter"))
    with place.gateway(tls="starttls", smtp=f"users = {users}") as gateway:
        for turn in range(5):
            in_tls, in_clear, authed = TlsDevice(gateway.port), TlsDevice(gateway.port), TlsDevice(gateway.port)
            in_tls.hello()
            in_clear.say("EHLO x")
            authed.hello()
            equal(authed.login("cam", "Secret-16-letter"), WELCOME)
            keeper, = processes(gateway, "letterchute-smtp keeper")
            os.kill(keeper, signal.SIGKILL)
            killed = time.monotonic()
            reply = in_clear.say("STARTTLS")
            require(reply.startswith(("220", "454 4.7.0")), reply)
            if reply.startswith("220"):
                in_clear.encrypt()
            require(in_clear.deliver(scan(1000 + turn)).startswith("250"))
            reply = in_tls.login("cam", "Secret-16-letter")
            require(reply.startswith(("235", "454 4.7.0")), reply)
            require(in_tls.deliver(scan(2000 + turn)).startswith("250"))
            require(authed.deliver(scan(3000 + turn)).startswith("250"))
            wait_for(lambda: new_session_works(gateway.port), 2, "new sessions do not work")
            require(time.monotonic() - killed < 2 * PATIENCE + 0.5, "too late")
            for device in (in_tls, in_clear, authed):
                device.quit()
        equal(len(place.files()), 15)


def new_session_works(port):
    try:
        logged_in(port, "cam", "Secret-16-letter", encrypted=True).quit()
        return True
    except (AssertionError, OSError, EOFError):
        return False


def test_keeper_killed_over_and_over(place):
    """While devices deliver: each mail is answered by 250 and stored, or by a 4xx or a broken connection and perhaps not."""
    done, sizes = [], itertools.count(1001)
    with place.gateway(tls="starttls") as gateway:
        def deliver(_):
            size = next(sizes)
            device = TlsDevice(gateway.port)
            device.hello()
            if device.deliver(scan(size)).startswith("250"):
                done.append(size)
            device.quit()
        with meanwhile(4, deliver):
            for _ in range(8):
                time.sleep(0.5)
                for pid in processes(gateway, "letterchute-smtp keeper"):
                    os.kill(pid, signal.SIGKILL)
        stored = {len(content) for content in place.files().values()}
        require(set(done) <= stored, f"answered and not stored: {set(done) - stored}")
        require(len(done) > 5, f"only {len(done)} went through")


# --- under attack --------------------------------------------------------------------------------------------------------

HALF_A_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


def half_open(port):
    """In the middle of its handshake."""
    device = Device(port, timeout=60)
    device.say("EHLO x")
    require(device.say("STARTTLS").startswith("220"))
    device.send(HALF_A_HELLO)
    return device


@rows([("100 sessions, the default", 100), ("1000 sessions", 1000)])
def test_500_idle_and_50_half_open(place, sessions):
    with place.gateway(tls="starttls", smtp=f"sessions = {sessions}\nidle = 60s") as gateway:
        crowd = []
        try:
            for _ in range(50):
                crowd.append(half_open(gateway.port))
            crowd.extend(flood(place, ("127.0.0.1", gateway.port), 500))
            heard = [first_word(gateway.port) for _ in range(20)]
            slowest = max(took for _, took in heard)
            print(f"    {sessions} sessions: the slowest of 20 devices heard {heard[0][0]} after {slowest:.2f} s", flush=True)
            equal({code for code, _ in heard}, {"421"} if sessions < 550 else {"220"})
            require(slowest < 1, f"{slowest:.2f} s")
        finally:
            for device in crowd:
                device.close()
        wait_for(lambda: first_word(gateway.port)[0] == "220", 10, "nobody is served after the attack")
        device = TlsDevice(gateway.port)
        device.hello()
        require(device.deliver(scan()).startswith("250"))
        device.quit()


test_500_idle_and_50_half_open.alone = True
test_500_idle_and_50_half_open.measured = True


def test_half_open_at_once(place):
    """The same where TLS comes at once: 50 that connect and say nothing or half a hello."""
    with place.gateway(tls="implicit") as gateway:
        TlsDevice(gateway.port, implicit=True).quit()  # the pair is made while the first one waits
        crowd = []
        for number in range(50):
            device = Device(gateway.port, greet=False)
            device.send(b"\x16\x03\x01\x02\x00"[:number % 6])
            crowd.append(device)
        started = time.monotonic()
        device = TlsDevice(gateway.port, implicit=True)
        require(time.monotonic() - started < 1 * PATIENCE, "too late")
        require(device.deliver(scan()).startswith("250"))
        device.quit()
        for one in crowd:
            one.close()


def session_cost(pid):
    """Memory that a session has for itself (kB)."""
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        fields = dict(re.findall(r"^(\w+):\s+(\d+) kB", rollup.read(), re.M))
    return int(fields["Private_Dirty"]) + int(fields["Private_Clean"])


def test_cost_of_a_session(place):
    """An idle connection costs at most 190 kB, also where TLS is offered."""
    with place.gateway(tls="starttls") as gateway:
        listener, = processes(gateway, "letterchute-smtp listen")
        crowd = [Device(gateway.port) for _ in range(50)]
        for device in crowd:
            device.say("EHLO x")
        sessions = [pid for pid in processes(gateway, "letterchute-smtp listen") if pid != listener]
        equal(len(sessions), 50)
        costs = sorted(session_cost(pid) for pid in sessions)
        print(f"    an idle session with STARTTLS offered: {costs[25]} kB, at most {costs[-1]} kB", flush=True)
        require(costs[25] <= 190, costs)
        for device in crowd:
            device.close()


test_cost_of_a_session.measured = True
test_cost_of_a_session.alone = True


# --- clients of others -----------------------------------------------------------------------------------------------------

def by_curl(place, port, at_once):
    return ["curl", "-sS", "-k", f"smtp{'s' if at_once else ''}://127.0.0.1:{port}", *([] if at_once else ["--ssl-reqd"]), "--user",
            "cam:Secret-16-letter", "--mail-from", "cam@example.org", "--mail-rcpt", "scans@example.org", "-T",
            place.file("out.eml", scan())]


def by_msmtp(place, port, at_once):
    return ["msmtp", "--host=127.0.0.1", f"--port={port}", "--tls=on", "--tls-certcheck=off",
            f"--tls-starttls={'off' if at_once else 'on'}", "--auth=on", "--user=cam", "--passwordeval=echo Secret-16-letter",
            "--from=cam@example.org", "scans@example.org"]


SMTPLIB = """import smtplib, ssl, sys
port, at_once = int(sys.argv[1]), sys.argv[2] == "1"
context = ssl._create_unverified_context()
client = smtplib.SMTP_SSL("127.0.0.1", port, context=context) if at_once else smtplib.SMTP("127.0.0.1", port)
if not at_once:
    client.starttls(context=context)
client.login("cam", "Secret-16-letter")
client.sendmail("cam@example.org", ["scans@example.org"], sys.stdin.buffer.read())
client.quit()
"""


def by_smtplib(place, port, at_once):
    return ["python3", "-c", SMTPLIB, str(port), "1" if at_once else "0"]


@rows([(f"{name}, {'at once' if at_once else 'STARTTLS'}", make, at_once) for name, make in
       (("curl", by_curl), ("msmtp", by_msmtp), ("smtplib", by_smtplib)) for at_once in (False, True)])
def test_client(place, make, at_once):
    users = users_file(place, users_line("cam", "Secret-16-letter", "cam@example.org", "scanner@example.org"))
    tls = "implicit" if at_once else "require"
    with place.gateway(tls=tls, smtp=f"users = {users}\nauth = require", route="types = pdf\nauth = login") as gateway:
        message = scan().replace(b"\r\n", b"\n") if make is by_msmtp else scan()
        done = subprocess.run(make(place, gateway.port, at_once), input=message, capture_output=True, timeout=60 * PATIENCE)
        equal(done.returncode, 0, (done.stdout + done.stderr).decode())
        equal(place.files(), {"scan.pdf": PDF})
        equal(gateway.last()["outcome"], "delivered")
