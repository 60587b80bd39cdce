"""Who may log in, and as whom a login may send."""

import concurrent.futures
import os
import re
import signal
import socket
import statistics
import subprocess
import time

from devices import (BCRYPT, PASSWORD, SHA512, USERNAME, WELCOME, YESCRYPT, Connected, Network, TlsDevice, b64, hash_of,
                     log_says, logged_in, meanwhile, plain, start_all, users_file, users_line)
from harness import (PATIENCE, PDF, cpu_s, equal, mail, needs_root, part, proc_file, processes, require,
                     rows, scan, send, wait_for)

SECRET = "k3YsafeK3ysafe16"
IN_CLEAR = "plaintext_auth = yes\nusers = "


def with_users(place, *lines, **texts):
    """A gateway where they log in in clear."""
    smtp = IN_CLEAR + users_file(place, *lines) + "\n" + texts.pop("smtp", "")
    return place.gateway(smtp=smtp, **texts)


def answer(port, name, password, shape="plain"):
    """The last reply to a login on a connection of its own."""
    device = TlsDevice(port)
    device.say("EHLO x")
    try:
        if shape == "plain":
            return device.login(name, password)
        equal(device.say("AUTH LOGIN"), USERNAME)
        equal(device.say(b64(name)), PASSWORD)
        return device.say(b64(password))
    finally:
        device.quit()


# --- the file of logins ----------------------------------------------------------------------------------------------

HASHES = [("yescrypt", YESCRYPT), ("SHA-512", SHA512), ("bcrypt", BCRYPT), ("SHA-512 of 5000 rounds", "$6$salt$")]


@rows(HASHES)
def test_hash(place, setting):
    with with_users(place, users_line("cam", SECRET, setting=setting)) as gateway:
        for shape in ("plain", "login"):
            equal(answer(gateway.port, "cam", SECRET, shape), WELCOME)
            require(answer(gateway.port, "cam", SECRET + "x", shape).startswith("535 5.7.8"))
            require(answer(gateway.port, "cam", SECRET[:-1], shape).startswith("535 5.7.8"))


def test_file_with_everything(place):
    """Comments, empty lines, line ends of Windows, blanks at the ends, no end of line at the end."""
    lines = ["# who may send\n", "\n", users_line("one", SECRET), users_line("two", SECRET, "a@b", "c@d").replace("\n", "\r\n"),
             "   \n", users_line("three@example.org", SECRET, setting=BCRYPT), users_line("four\\x", SECRET, "*@example.org").strip()]
    with with_users(place, *lines) as gateway:
        for name in ("one", "two", "three@example.org", "four\\x"):
            equal(answer(gateway.port, name, SECRET), WELCOME)
        for name in ("# who may send", "", "One", "on", "onee", "one "):
            require(answer(gateway.port, name, SECRET).startswith(("535 5.7.8", "501")), name)


GOOD = users_line("good", SECRET)
BAD = [
    ("MD5", f"a:{hash_of('x', '$1$salt$')}"), ("SHA-256", f"a:{hash_of('x', '$5$salt$')}"),
    ("DES", "a:" + hash_of("x", "ab")), ("the password itself", f"a:{SECRET}"), ("nothing", "a:"), ("no colon", "a"),
    ("an empty name", ":" + hash_of("x")), ("a name twice", GOOD.strip()), ("a locked account", "a:!"), ("a star", "a:*"),
    ("argon2, which libcrypt does not know", "a:$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA"),
    ("a hash that was cut", "a:" + hash_of("x")[:40]), ("a hash with a letter too many", "a:" + hash_of("x") + "x"),
    ("a setting without a hash", "a:" + SHA512), ("yescrypt that was cut", "a:" + hash_of("x", YESCRYPT)[:-5]),
    ("bcrypt that was cut", "a:" + hash_of("x", BCRYPT)[:-1]), ("a control character in the name", "a\x01b:" + hash_of("x")),
    ("a field too many", f"a:{hash_of('x')}:a@b:c@d"), ("a blank in an address", f"a:{hash_of('x')}:a b@c, d e"),
    ("a NUL octet", b"a\0b:" + hash_of("x").encode()),
    ("a line of 100 kB", "a:" + "x" * 100000),
]


@rows(BAD)
def test_bad_line(place, line):
    line = line if isinstance(line, bytes) else line.encode()
    users = place.file("users", b"# comment\n" + GOOD.encode() + line + b"\n")
    config = place.config(smtp=IN_CLEAR + users)
    for verb in ("run", "check"):
        done = place.run(verb, "-c", config, timeout=10)
        message = done.stderr.decode()
        equal(done.returncode, 78, f"{verb}: {message}")
        # a file that is no text has no lines
        where = r"gateway\.conf:\d+: `users" if b"\0" in line else rf"{re.escape(users)}:3:"
        require(re.search(rf"{where} .*expected", message), f"{verb}: {message}")
        equal(len(message.strip().splitlines()), 1, message)
        require(len(message) < 600 and message.strip().isprintable(), message)
        for secret in (SECRET, hash_of(SECRET), hash_of("x"), hash_of("x", "$1$salt$")):
            require(secret not in message, f"a secret is told: {message}")


def test_no_such_file(place):
    config = place.config(smtp=IN_CLEAR + "no-such-file")
    done = place.run("run", "-c", config)
    equal(done.returncode, 78)
    require(re.search(r"gateway\.conf:\d+: .*no-such-file.*expected", done.stderr.decode()), done.stderr)


def test_require_without_users(place):
    done = place.run("check", "-c", place.config(smtp="auth = require\nplaintext_auth = yes"))
    equal(done.returncode, 78, done.stderr)
    require(re.search(r"gateway\.conf:\d+: .*users.*expected", done.stderr.decode()), done.stderr)


@rows([("empty", ""), ("comments alone", "# nobody yet\n\n")])
def test_nobody_in_the_file(place, text):
    """It would take every role of the gateway down, or let nobody in without a word."""
    for auth in ("require", "optional"):
        done = place.run("run", "-c", place.config(smtp=f"auth = {auth}\n" + IN_CLEAR + users_file(place, text)))
        equal(done.returncode, 78, done.stderr)
        require(re.search(r"gateway\.conf:\d+: .*nobody.*expected", done.stderr.decode()), done.stderr)


@needs_root
def test_file_for_root_alone(place):
    users = users_file(place, users_line("cam", SECRET))
    os.chmod(users, 0o600)
    with place.gateway(smtp=IN_CLEAR + users) as gateway:
        equal(answer(gateway.port, "cam", SECRET), WELCOME)


@needs_root
def test_file_that_is_not_for_local_users(place):
    """Who may read the configuration, and not the logins, may still ask what would become of a mail; not run a gateway."""
    users = users_file(place, users_line("cam", SECRET))
    os.chmod(users, 0o600)
    os.chmod(place.folder, 0o755)
    config, mail = place.config(smtp=IN_CLEAR + users), place.file("mail.eml", scan())
    nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    equal(place.run("explain", "-c", config, mail, **nobody).returncode, 0)
    done = place.run("run", "-c", config, **nobody)
    equal(done.returncode, 78)
    require(re.search(r"gateway.conf:\d+: users: it can't be read", done.stderr.decode()), done)


def test_many_users(place):
    """A thousand cameras."""
    hashed = hash_of(SECRET)
    with with_users(place, *[f"cam{n}:{hashed}:cam{n}@example.org\n" for n in range(1000)], route="login = cam9*") as gateway:
        device = logged_in(gateway.port, "cam999", SECRET)
        require(device.deliver(scan(sender="cam999@example.org"), sender="cam999@example.org").startswith("250"))
        device.quit()
        device = logged_in(gateway.port, "cam0", SECRET)
        require(not device.deliver(scan(sender="cam0@example.org"), sender="cam0@example.org").startswith("250"))
        device.quit()


# --- the verb --------------------------------------------------------------------------------------------------------

def test_verb_with_a_name(place):
    done = place.run("password", "camera1", stdin=SECRET.encode() + b"\n")
    equal(done.returncode, 0, done.stderr)
    line = done.stdout.decode()
    require(re.fullmatch(r"camera1:\$y\$[^:\s]+\n", line), line)
    hashed = line.strip().split(":")[1]
    equal(hash_of(SECRET, hashed), hashed, "it is that password's")
    with with_users(place, line) as gateway:
        equal(answer(gateway.port, "camera1", SECRET), WELCOME)


def test_verb_alone(place):
    done = place.run("password", stdin=SECRET.encode() + b"\n")
    equal(done.returncode, 0, done.stderr)
    hashed = done.stdout.decode()
    require(re.fullmatch(r"\$y\$[^:\s]+\n", hashed), hashed)
    equal(hash_of(SECRET, hashed.strip()), hashed.strip())


def test_verb_salts(place):
    found = {place.run("password", stdin=SECRET.encode()).stdout for _ in range(5)}
    equal(len(found), 5, "different hashes of one password")


@rows([("no end of line", b"pass word ", "pass word "), ("line end of Windows", b"secret\r\n", "secret"),
       ("UTF-8", "Tür-Öffner".encode() + b"\n", "Tür-Öffner"), ("the first line alone", b"secret\nmore\n", "secret"),
       ("100 characters", b"x" * 100 + b"\n", "x" * 100), ("blanks at the ends", b"  s  \n", "  s  ")])
def test_verb_reads(place, stdin, password):
    done = place.run("password", stdin=stdin)
    equal(done.returncode, 0, done.stderr)
    hashed = done.stdout.decode().strip()
    equal(hash_of(password, hashed), hashed)


@rows([("nothing", b"", ()), ("an empty line", b"\n", ()), ("a NUL octet", b"a\0b\n", ()), ("no end", b"x" * 200000, ()),
       ("a name with a colon", b"secret\n", ("a:b",)), ("an empty name", b"secret\n", ("",)),
       ("a name of two lines", b"secret\n", ("a\nb",)), ("two names", b"secret\n", ("a", "b"))])
def test_verb_refuses(place, stdin, arguments):
    done = place.run("password", *arguments, stdin=stdin)
    require(done.returncode in (64, 65), f"{done.returncode} {done.stdout} {done.stderr}")
    equal(done.stdout, b"")
    require(done.stderr, "it says nothing")


def test_verb_needs_no_configuration(place):
    done = place.run("password", stdin=b"secret\n", env={"PATH": os.environ["PATH"]}, cwd="/")
    equal(done.returncode, 0, done.stderr)


# --- the shapes of a login that are none -------------------------------------------------------------------------------

SHAPES = [
    ("no mechanism", ["AUTH"], "50"), ("unknown mechanism", ["AUTH GSSAPI"], "504 5.5.4"),
    ("XOAUTH2", ["AUTH XOAUTH2 " + b64("user=cam\1auth=Bearer x\1\1")], "504 5.5.4"),
    ("a word too many", ["AUTH PLAIN " + plain("cam", SECRET) + " x"], "501"),
    ("an empty initial response", ["AUTH PLAIN ="], "501"), ("no NUL", ["AUTH PLAIN " + b64("cam")], "501"),
    ("one NUL", ["AUTH PLAIN " + b64("cam\0" + SECRET)], "501"),
    ("three NUL", ["AUTH PLAIN " + b64(f"\0cam\0{SECRET}\0more")], "5"),
    ("base64 that is none", ["AUTH PLAIN !!!!"], "501"),
    ("base64 that was cut", ["AUTH PLAIN " + plain("cam", SECRET)[:-1]], "5"),
    ("base64 without its =", ["AUTH LOGIN " + b64("camx").rstrip("="), b64(SECRET)], "5"),
    ("base64 with something behind", ["AUTH PLAIN " + plain("cam", SECRET) + "===="], "501"),
    ("a line of 10 kB", ["AUTH PLAIN " + "QUFB" * 2500], "5"), ("asked, a line of 10 kB", ["AUTH PLAIN", "QUFB" * 2500], "5"),
    ("asked, nothing", ["AUTH PLAIN", ""], "501"), ("a star", ["AUTH PLAIN", "*"], "501"),
    ("a star for the password", ["AUTH LOGIN", b64("cam"), "*"], "501"),
    ("another to act as", ["AUTH PLAIN " + plain("cam", SECRET, "boss")], "535 5.7.8"),
    ("a name of 300 characters", ["AUTH LOGIN", b64("x" * 300), b64(SECRET)], "5"),
    ("a password of 3000 characters", ["AUTH LOGIN", b64("cam"), b64("x" * 3000)], "5"),
    ("a NUL in the name", ["AUTH LOGIN", b64("cam\0x"), b64(SECRET)], "5"),
    ("a NUL in the password", ["AUTH LOGIN", b64("cam"), b64(SECRET + "\0x")], "5"),
    ("a name with a line end", ["AUTH LOGIN", b64("cam\r\nx"), b64(SECRET)], "5"),
    ("a command in place of the name", ["AUTH LOGIN", "MAIL FROM:<a@b>"], "501"),
]


@rows(SHAPES)
def test_shape(place, lines, code):
    """Refused, no login, and the session goes on."""
    smtp = "auth = require"
    with with_users(place, users_line("cam", SECRET), users_line("camx", "other password"), smtp=smtp) as gateway:
        device = TlsDevice(gateway.port)
        device.say("EHLO x")
        for line in lines:
            reply = device.say(line)
            if not reply.startswith("334"):
                break
        require(reply.startswith(code), reply)
        require(device.say("MAIL FROM:<a@b>").startswith("530 5.7.0"), "logged in")
        equal(device.login("cam", SECRET), WELCOME)
        require(device.deliver(scan()).startswith("250"))
        device.quit()


def test_device_hangs_up_in_its_login(place):
    with with_users(place, users_line("cam", SECRET)) as gateway:
        for lines in (["AUTH LOGIN"], ["AUTH LOGIN", b64("cam")], ["AUTH PLAIN"]):
            device = TlsDevice(gateway.port)
            device.say("EHLO x")
            for line in lines:
                device.say(line)
            device.close()
        equal(answer(gateway.port, "cam", SECRET), WELCOME)


def test_idle_in_a_login(place):
    with with_users(place, users_line("cam", SECRET), smtp="idle = 1s") as gateway:
        device = TlsDevice(gateway.port)
        device.say("EHLO x")
        device.say("AUTH LOGIN")
        require(device.reply().startswith("421 4.4.2"))


# --- where it may be done ------------------------------------------------------------------------------------------------

def offers(device):
    found = re.search(r"^250[- ]AUTH (.*)$", device.say("EHLO x"), re.M)
    return found and found.group(1)


WHERE = [
    # name, tls, lines, in clear: offered and the answer to AUTH PLAIN, the same in TLS (None: there is none)
    ("optional, no plaintext", "starttls", "users = {}", (None, "538 5.7.11"), ("PLAIN LOGIN", WELCOME)),
    ("optional, plaintext", "starttls", "users = {}\nplaintext_auth = yes", ("PLAIN LOGIN", WELCOME), ("PLAIN LOGIN", WELCOME)),
    ("TLS required", "require", "users = {}", (None, "53"), ("PLAIN LOGIN", WELCOME)),
    ("TLS required, plaintext", "require", "users = {}\nplaintext_auth = yes", (None, "53"), ("PLAIN LOGIN", WELCOME)),
    ("off", "starttls", "users = {}\nauth = off", (None, "502 5.5.1"), (None, "502 5.5.1")),
    ("no TLS, plaintext", "off", "users = {}\nplaintext_auth = yes", ("PLAIN LOGIN", WELCOME), None),
    ("accept-any", "starttls", "auth = accept-any", None, ("PLAIN LOGIN", WELCOME)),
    ("accept-any, plaintext", "off", "auth = accept-any\nplaintext_auth = yes", ("PLAIN LOGIN", WELCOME), None),
]


@rows(WHERE)
def test_where(place, tls, lines, clear, encrypted):
    """Offered exactly where it would be taken now."""
    users = users_file(place, users_line("cam", SECRET))
    with place.gateway(tls=tls, smtp=lines.format(users)) as gateway:
        for encrypt, wanted in ((False, clear), (True, encrypted)):
            if wanted is None:
                continue
            device = TlsDevice(gateway.port)
            device.say("EHLO x")
            if encrypt:
                device.start_tls()
            equal(offers(device), wanted[0], "offered")
            reply = device.login("cam", SECRET)
            require(reply.startswith(wanted[1]), reply)
            if reply == WELCOME:
                equal(offers(device), None, "offered after the login")
                require(device.login("cam", SECRET).startswith("503 5.5.1"), "a second login")
            device.quit()


def test_plaintext_for_peers_only(place):
    """`peers` of the listener decide who is let in at all; who is in may log in in clear where that is allowed."""
    with with_users(place, users_line("cam", SECRET), smtp="peers = 192.0.2.0/24") as gateway:
        equal(answer(gateway.port, "cam", SECRET), WELCOME, "this machine is a peer of its own")


def test_require(place):
    with with_users(place, users_line("cam", SECRET), smtp="auth = require") as gateway:
        device = TlsDevice(gateway.port)
        device.say("EHLO x")
        require(device.say("MAIL FROM:<a@b>").startswith("530 5.7.0"))
        require(device.say("RCPT TO:<a@b>").startswith("503"))
        require(device.login("cam", "wrong").startswith("535 5.7.8"))
        require(device.say("MAIL FROM:<a@b>").startswith("530 5.7.0"))
        equal(device.login("cam", SECRET), WELCOME)
        require(device.deliver(scan()).startswith("250"))
        require(device.say("RSET").startswith("250"))
        require(device.deliver(scan(700)).startswith("250"), "the login outlives RSET and EHLO")
        device.quit()


def test_accept_any_proves_nothing(place):
    """Who said anything at all has not proven a login to a route that asks for one."""
    route = "auth = login\nto = safe@*\n[route named]\nlogin = cam\nto = named@*\n[route open]\nto = open@*"
    with place.gateway(smtp="auth = accept-any\nplaintext_auth = yes", route=route) as gateway:
        device = logged_in(gateway.port, "cam", "anything")
        for to, code in (("safe@x", "55"), ("named@x", "55"), ("open@x", "250")):
            reply = device.deliver(scan(), to=[to])
            require(reply.startswith(code), f"{to}: {reply}")
        device.quit()
        equal(len(place.files()), 1)


# --- what a login opens --------------------------------------------------------------------------------------------------

def test_routes(place):
    route = ("login = front, back\nfolder = cameras\n[route proven]\nauth = login\nfolder = proven\nto = proven@*\n"
             "[route rest]\nto = rest@*\nfolder = rest")
    users = [users_line(name, SECRET) for name in ("front", "back", "scanner")]
    with with_users(place, *users, route=route) as gateway:
        wanted = [("front", "rest@x", "cameras/1.pdf"), ("BACK", "rest@x", None), ("scanner", "rest@x", "rest/3.pdf"),
                  ("scanner", "proven@x", "proven/4.pdf"), (None, "proven@x", None), (None, "rest@x", "rest/6.pdf"),
                  ("back", "proven@x", "cameras/7.pdf")]
        for number, (login, to, path) in enumerate(wanted, 1):
            device = TlsDevice(gateway.port)
            device.say("EHLO x")
            if login:
                reply = device.login(login, SECRET)
                if reply != WELCOME:
                    require(login == "BACK" and reply.startswith("535"), reply)
                    continue
            reply = device.deliver(mail(part(PDF, f"{number}.pdf")), to=[to])
            equal(reply.startswith("250"), path is not None, f"{number}: {reply}")
            device.quit()
        equal(sorted(place.files()), sorted(path for _, _, path in wanted if path))


def test_login_is_gone_with_its_session(place):
    with with_users(place, users_line("cam", SECRET), route="auth = login") as gateway:
        logged_in(gateway.port, "cam", SECRET).quit()
        reply = send(gateway.port, scan())
        require(reply.startswith("550 5.7.1"), reply)
        equal(gateway.last()["reason"], "proof")


def test_failed_login_proves_nothing(place):
    """Also where one follows that worked, on another connection."""
    with with_users(place, users_line("cam", SECRET), route="auth = login") as gateway:
        device = TlsDevice(gateway.port)
        device.say("EHLO x")
        require(device.login("cam", "wrong").startswith("535"))
        logged_in(gateway.port, "cam", SECRET).quit()
        reply = device.deliver(scan())
        require(reply.startswith("550 5.7.1"), reply)
        device.quit()


# --- as whom it may send -------------------------------------------------------------------------------------------------

OWN = ("cam@example.org", "door@example.org", "*@cams.example")

SENDERS = [
    # name, envelope, From (None: no field), taken
    ("its own", "cam@example.org", "cam@example.org", True),
    ("its second", "door@example.org", "Door <door@example.org>", True),
    ("another case", "CAM@Example.ORG", "Cam@EXAMPLE.org", True),
    ("by a glob", "garden@cams.example", "garden@cams.example", True),
    ("one of both each", "cam@example.org", "door@example.org", True),
    ("another's envelope", "scanner@example.org", "cam@example.org", False),
    ("another's From", "cam@example.org", "scanner@example.org", False),
    ("both of another", "scanner@example.org", "scanner@example.org", False),
    ("another's From, its own as a name", "cam@example.org", "\"cam@example.org\" <scanner@example.org>", False),
    ("another's From, its own in a comment", "cam@example.org", "scanner@example.org (cam@example.org)", False),
    ("two From", "cam@example.org", "cam@example.org, scanner@example.org", False),
    ("no From", "cam@example.org", None, True),
    ("no From, another's envelope", "scanner@example.org", None, False),
    ("no envelope, its own From", "", "cam@example.org", True),
    ("no envelope, another's From", "", "scanner@example.org", False),
    ("longer", "cam@example.org.evil.example", "cam@example.org.evil.example", False),
    ("a subdomain", "x@sub.cams.example", "x@sub.cams.example", False),
    ("no domain", "cam", "cam", False),
    ("a quoted local part that is the same", "\"cam\"@example.org", "\"cam\"@example.org", True),
    ("its own and a blank", "cam @example.org", "cam@example.org", False),
    ("a NUL in From", "cam@example.org", "cam@example.org\0 <scanner@example.org>", False),
]


def letter_from(sender):
    message = scan(sender="SENDER")
    return message.replace(b"From: SENDER\r\n", f"From: {sender}\r\n".encode() if sender is not None else b"")


@rows(SENDERS)
def test_sends_as(place, envelope, sender, taken):
    """Whatever the route asks for. Who has not logged in is not bound by it."""
    with with_users(place, users_line("cam", SECRET, *OWN), users_line("scanner", SECRET, "scanner@example.org"),
                    users_line("free", SECRET)) as gateway:
        device = logged_in(gateway.port, "cam", SECRET)
        reply = device.deliver(letter_from(sender), sender=envelope)
        device.quit()
        equal(reply.startswith("250"), taken, reply)
        equal(len(place.files()), int(taken))
        if not taken:
            require(reply.startswith(("550 5.7.1", "501 5.1.7", "554 5.6.0")), reply)
        if not taken and reply.startswith("550"):
            require(gateway.last()["reason"] in ("sender", "login"), gateway.log())


def test_another_sender_field(place):
    """A second From, Sender and Resent-From do not open what From does not."""
    with with_users(place, users_line("cam", SECRET, "cam@example.org")) as gateway:
        device = logged_in(gateway.port, "cam", SECRET)
        for sender, headers, taken in (("scanner@example.org", ["Sender: cam@example.org"], False),
                                       ("scanner@example.org", ["Resent-From: cam@example.org"], False),
                                       ("cam@example.org", ["From: scanner@example.org"], False),
                                       ("scanner@example.org", ["From: cam@example.org"], False),
                                       ("cam@example.org", ["Reply-To: scanner@example.org"], True)):
            reply = device.deliver(scan(sender=sender, headers=headers), sender="cam@example.org")
            equal(reply.startswith("250"), taken, f"{sender} {headers}: {reply}")
        device.quit()


def test_login_without_addresses(place):
    with with_users(place, users_line("free", SECRET)) as gateway:
        device = logged_in(gateway.port, "free", SECRET)
        require(device.deliver(scan(sender="anybody@example.org"), sender="else@example.net").startswith("250"))
        device.quit()


def test_addresses_of_others_are_theirs(place):
    """Who has no list of his own may send as anybody, but not as somebody who has."""
    users = [users_line("free", SECRET), users_line("scanner", SECRET, "scanner@example.org")]
    with with_users(place, *users) as gateway:
        device = logged_in(gateway.port, "free", SECRET)
        for envelope, sender, code in (("x@example.org", "x@example.org", "250"), ("scanner@example.org", "x@example.org", "550 5.7.1"),
                                       ("x@example.org", "scanner@example.org", "550 5.7.1")):
            reply = device.deliver(scan(sender=sender), sender=envelope)
            require(reply.startswith(code), f"{envelope}, {sender}: {reply}")
        device.quit()


def test_second_mail_of_a_session(place):
    """Each mail is looked at anew."""
    with with_users(place, users_line("cam", SECRET, "cam@example.org")) as gateway:
        device = logged_in(gateway.port, "cam", SECRET)
        for sender, code in (("cam@example.org", "250"), ("scanner@example.org", "550 5.7.1"), ("cam@example.org", "250")):
            reply = device.deliver(scan(sender=sender), sender=sender)
            require(reply.startswith(code), f"{sender}: {reply}")
        device.quit()
        equal(len(place.files()), 2)


# --- who is there at all ---------------------------------------------------------------------------------------------------

def hears(network, port, address):
    """The first line that a device at that address hears; empty if it is cut off."""
    connection = network.connect(port, address)
    try:
        return Connected(connection).greeting
    except (EOFError, ConnectionError):
        return ""
    finally:
        connection.close()


PEERS = [
    ("IPv4", "192.0.2.0/24", ["192.0.2.1"], ["198.51.100.1", "2001:db8:1::1"]),
    ("one address", "192.0.2.1", ["192.0.2.1"], ["198.51.100.1", "2001:db8:1::1"]),
    ("IPv6", "2001:db8:1::/64", ["2001:db8:1::1"], ["192.0.2.1", "2001:db8:2::1"]),
    ("both", "198.51.100.0/25, 2001:db8:2::/48", ["198.51.100.1", "2001:db8:2::1"], ["192.0.2.1", "2001:db8:1::1"]),
    ("private", "private", [], ["192.0.2.1", "198.51.100.1", "2001:db8:1::1", "2001:db8:2::1"]),
    ("IPv4 as IPv6 has it", "::ffff:192.0.2.0/120", ["192.0.2.1"], ["198.51.100.1", "2001:db8:1::1"]),
    ("nobody", "", [], ["192.0.2.1", "2001:db8:1::1"]),
]


@needs_root
@rows(PEERS)
def test_peers(place, peers, let_in, kept_out):
    network = Network(place)
    config = place.config(listen="0.0.0.0:2525, [::]:2525", smtp=f"peers = {peers}" if peers else "")
    with place.gateway(config=config, wrapper=network.inside) as gateway:
        for address in let_in:
            require(hears(network, gateway.port, address).startswith("220 "), address)
        for address in kept_out:
            heard = hears(network, gateway.port, address)
            require(not heard.startswith("220") and heard[:3] in ("554", "550", ""), f"{address}: {heard}")
            log_says(gateway, "peers", peer=address)
        require(hears(network, gateway.port, "127.0.0.1").startswith("220 "), "this machine")


@needs_root
def test_peers_and_tls_at_once(place):
    """Who is kept out does not get as far as a handshake."""
    network = Network(place)
    config = place.config(listen="0.0.0.0:2525", tls="implicit", smtp="peers = 198.51.100.0/24")
    with place.gateway(config=config, wrapper=network.inside) as gateway:
        device = Connected(network.connect(gateway.port, "192.0.2.1"), greet=False)
        try:
            device.encrypt()
        except OSError:
            pass
        else:
            raise AssertionError("there is TLS for a stranger")
        device.close()
        device = Connected(network.connect(gateway.port, "198.51.100.1"), greet=False)
        device.encrypt()
        require(device.reply().startswith("220 "))
        require(device.deliver(scan()).startswith("250"))
        device.quit()


@needs_root
def test_plaintext_login_of_peers(place):
    network = Network(place)
    users = users_file(place, users_line("cam", SECRET))
    config = place.config(listen="0.0.0.0:2525", smtp=f"{IN_CLEAR}{users}\npeers = 192.0.2.0/24")
    with place.gateway(config=config, wrapper=network.inside) as gateway:
        device = Connected(network.connect(gateway.port, "192.0.2.1"))
        device.say("EHLO x")
        equal(device.login("cam", SECRET), WELCOME)
        device.quit()


ROUTES_OF_PEERS = "peers = 192.0.2.0/24\nauth = peer\nfolder = one\n[route two]\npeers = 2001:db8:1::/64\nfolder = two"


def accept_one(network, server, address):
    """A connection to a socket of both families, as it comes out of accept."""
    client = network.connect(server.getsockname()[1], address)
    taken, peer = server.accept()
    return client, taken, peer[0]


@needs_root
@rows([("IPv4, mapped", "192.0.2.1", "one"), ("IPv6", "2001:db8:1::1", "two"),
       ("IPv4 from elsewhere, mapped", "198.51.100.1", None)])
def test_mapped_addresses(place, address, folder):
    """A socket that somebody else made, inetd or systemd, may show IPv4 as IPv6; rules match it all the same."""
    network = Network(place)
    server = network.do(lambda: socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True))
    config = place.config(route=ROUTES_OF_PEERS, smtp="peers = 192.0.2.0/24, 2001:db8:1::/64")
    client, taken, shown = accept_one(network, server, address)
    equal(shown, address if ":" in address else f"::ffff:{address}", "what accept shows")
    done = subprocess.Popen([place.program, "smtp-session", "lan", "-c", config], stdin=taken, stdout=taken,
                            stderr=subprocess.PIPE)
    taken.close()
    try:
        device = Connected(client, greet=False)
        greeting = device.reply()
        if folder is None:
            require(not greeting.startswith("220"), greeting)
            return
        require(device.deliver(scan()).startswith("250"), "refused")
        device.quit()
        equal(done.wait(20 * PATIENCE), 0, done.stderr.read().decode())
        equal(list(place.files()), [f"{folder}/scan.pdf"])
    except EOFError:
        equal(folder, None)
    finally:
        client.close()
        server.close()
        if done.poll() is None:
            done.kill()
        done.wait(10)
        done.stderr.close()


# --- wrong passwords -------------------------------------------------------------------------------------------------------

def try_until_cut(device, password, most=40):
    """Replies to wrong passwords, up to the end of the connection."""
    replies = []
    for number in range(most):
        try:
            replies.append(device.login("cam", f"{password}{number}"))
        except (EOFError, ConnectionError):
            return replies, True
        if replies[-1].startswith("421"):
            return replies, device.is_closed()
    return replies, False


def test_ten_wrong_passwords(place):
    """They end the connection, whatever comes next."""
    with with_users(place, users_line("cam", SECRET)) as gateway:
        device = TlsDevice(gateway.port, timeout=120)
        device.say("EHLO x")
        replies, ended = try_until_cut(device, "wrong")
        require(ended, f"it goes on after {len(replies)}: {replies[-1]}")
        require(len([reply for reply in replies if reply.startswith("535")]) <= 10, replies)
        require(all(reply.startswith(("535 5.7.8", "421 4.7.0", "454 4.7.0")) for reply in replies), replies)
        log_says(gateway, "password")


def test_ten_wrong_and_the_right_one(place):
    """In one go: nothing behind the tenth is looked at."""
    with with_users(place, users_line("cam", SECRET)) as gateway:
        device = TlsDevice(gateway.port, timeout=120)
        device.say("EHLO x")
        wrong = "".join(f"AUTH PLAIN {plain('cam', f'wrong{number}')}\r\n" for number in range(10))
        device.send(wrong + f"AUTH PLAIN {plain('cam', SECRET)}\r\nMAIL FROM:<a@b>\r\n")
        replies = []
        try:
            while True:
                replies.append(device.reply())
        except (EOFError, ConnectionError):
            pass
        require(not any(reply.startswith(("235", "250")) for reply in replies), replies)


def test_wrong_ones_are_counted_over_greetings(place):
    """EHLO, RSET and a mail in between do not begin the count anew."""
    with with_users(place, users_line("cam", SECRET)) as gateway:
        device = TlsDevice(gateway.port, timeout=120)
        device.say("EHLO x")
        count = 0
        try:
            for count in range(1, 30):
                if not device.login("cam", f"wrong{count}").startswith("535"):
                    break
                device.say("EHLO x" if count % 2 else "RSET")
                if count == 4:
                    device.deliver(scan())
        except (EOFError, ConnectionError):
            pass
        require(count <= 11, f"{count} tries")


def test_failures_of_one_lock_nobody_out(place):
    """While somebody guesses, from the same address even, the right password is let in, within a moment."""
    with with_users(place, users_line("cam", SECRET), users_line("door", SECRET)) as gateway:
        def guess(_):
            device = TlsDevice(gateway.port)
            device.say("EHLO x")
            try_until_cut(device, "guess")
            device.close()
        with meanwhile(4, guess):
            time.sleep(3)
            for name in ("door", "cam"):
                started = time.monotonic()
                reply = answer(gateway.port, name, SECRET)
                equal(reply, WELCOME, name)
                require(time.monotonic() - started < 10 * PATIENCE, f"{name}: it took too long")


@needs_root
def test_who_guesses_from_elsewhere_waits(place):
    """Each wrong password beyond the tenth makes the next one of that address wait longer; other addresses do not."""
    network = Network(place)
    users = users_file(place, users_line("cam", SECRET), users_line("door", SECRET))
    config = place.config(listen="0.0.0.0:2525", smtp=f"{IN_CLEAR}{users}\npeers = 192.0.2.0/24, 198.51.100.0/24")

    def ask(address, name, password):
        device = Connected(network.connect(gateway.port, address, timeout=60))
        try:
            device.say("EHLO x")
            started = time.monotonic()
            return device.login(name, password)[:3], time.monotonic() - started
        finally:
            device.close()
    with place.gateway(config=config, wrapper=network.inside) as gateway:
        equal(ask("192.0.2.1", "cam", SECRET)[0], "235")
        took = [ask("192.0.2.1", "cam", f"wrong{number}") for number in range(13)]
        equal({code for code, _ in took}, {"535"})
        require(took[12][1] > took[0][1] + 1, took)
        code, seconds = ask("198.51.100.1", "door", SECRET)
        equal(code, "235")
        require(seconds < 1 * PATIENCE, seconds)
        code, seconds = ask("192.0.2.1", "cam", SECRET)
        equal(code, "235", "what was right a moment ago is right still")
        require(seconds < 1 * PATIENCE, seconds)


def test_guesses_cost_little(place):
    """Twenty that guess at once do not take the processor from a device that delivers."""
    with with_users(place, users_line("cam", SECRET, setting=YESCRYPT)) as gateway:
        count = [0]

        def guess(number):
            device = TlsDevice(gateway.port, timeout=60)
            device.say("EHLO x")
            for turn in range(10):
                device.login("cam", f"guess{number}-{turn}")
                count[0] += 1
            device.close()
        with meanwhile(20, guess):
            time.sleep(1)
            before, started = cpu_s(gateway.process.pid), time.monotonic()
            took = []
            for _ in range(5):
                one = time.monotonic()
                require(send(gateway.port, scan()).startswith("250"))
                took.append(time.monotonic() - one)
                time.sleep(0.5)
            used, passed = cpu_s(gateway.process.pid) - before, time.monotonic() - started
            print(f"    {count[0]} guesses, {used / passed:.2f} of a processor, a mail within {max(took):.2f} s", flush=True)
            require(max(took) < 2, took)


test_guesses_cost_little.measured = True
test_guesses_cost_little.alone = True


# --- what an answer tells ----------------------------------------------------------------------------------------------------

TURNS = 20
APART_S = 0.15  # a check of a password takes a third of it


def timed(port, logins):
    """The replies to some logins (name, password), and how long each took. All are connected before the first; each begins
    when the check of the one before is over, not only when that one is answered."""
    devices = [TlsDevice(port, timeout=120) for _ in logins]
    for device in devices:
        device.say("EHLO x")

    def log_in(number):
        time.sleep(number * APART_S)
        started = time.monotonic()
        return devices[number].login(*logins[number]), time.monotonic() - started
    with concurrent.futures.ThreadPoolExecutor(len(logins)) as pool:
        answers = list(pool.map(log_in, range(len(logins))))
    for device in devices:
        device.close()
    return answers


def medians_of(names, answers):
    """Milliseconds; the logins went round by name."""
    return {name: 1000 * statistics.median(took for _, took in answers[number::len(names)])
            for number, name in enumerate(names)}


def are_alike(names, compared, measure):
    """Medians of what is compared differ by less than 15 ms. A load from elsewhere may part them, once; what the gateway itself
    tells, it tells each time."""
    for _ in range(3):
        medians = medians_of(names, measure())
        print("    medians: " + ", ".join(f"{name} {ms:.1f} ms" for name, ms in medians.items()), flush=True)
        times = [medians[name] for name in compared]
        if max(times) - min(times) < 15:
            return
    raise AssertionError(medians)


MIXED = [("one of them", [YESCRYPT]), ("all kinds in one file", [YESCRYPT, SHA512, BCRYPT])]


@rows(MIXED)
def test_unknown_and_wrong_look_alike(place, settings):
    """The same words, and medians of 20 that differ by less than 15 ms."""
    lines = [users_line(f"cam{number}", SECRET, setting=setting) for number, setting in enumerate(settings)]
    with with_users(place, *lines) as gateway:
        names = [f"cam{number}" for number in range(len(settings))] + ["nobody"]

        def measure():
            answers = timed(gateway.port, [(name, f"wrong{turn}") for turn in range(TURNS) for name in names])
            replies = {reply for reply, _ in answers}
            equal(len(replies), 1, f"words: {replies}")
            require(next(iter(replies)).startswith("535 5.7.8"), replies)
            return answers
        are_alike(names, names, measure)


test_unknown_and_wrong_look_alike.alone = True
test_unknown_and_wrong_look_alike.measured = True


def test_after_a_success_too(place):
    """That somebody has just logged in is not told by how long a wrong password takes."""
    with with_users(place, users_line("cam", SECRET, setting=YESCRYPT)) as gateway:
        logins = [("cam", SECRET), ("cam", "wrong"), ("nobody", "wrong")]

        def measure():
            answers = timed(gateway.port, logins * TURNS)
            equal({reply for reply, _ in answers[::3]}, {WELCOME})
            return answers
        are_alike(["right", "cam", "nobody"], ["cam", "nobody"], measure)


test_after_a_success_too.alone = True
test_after_a_success_too.measured = True


# --- what was right a moment ago ---------------------------------------------------------------------------------------------

def test_many_logins_cost_little(place):
    """A camera that sends a picture a second: 50 logins cost less than ten checks of the password."""
    setting = "$y$jAT$LetterchuteSaltX$"  # dearer than usual, so that ten are seen
    hash_of(SECRET, setting)
    before = time.process_time()
    hash_of(SECRET, setting)
    one = time.process_time() - before
    with with_users(place, users_line("cam", SECRET, setting=setting)) as gateway:
        equal(answer(gateway.port, "cam", SECRET), WELCOME)
        start = cpu_s(gateway.process.pid)
        for number in range(50):
            equal(answer(gateway.port, "cam", SECRET, "login" if number % 2 else "plain"), WELCOME)
        used = cpu_s(gateway.process.pid) - start
        print(f"    50 logins: {1000 * used:.0f} ms; one check: {1000 * one:.0f} ms", flush=True)
        require(used < 10 * one, f"{used:.2f} s")
        # what was right does not make right what is not
        for wrong in (SECRET + "x", SECRET[:-1], SECRET.lower(), ""):
            require(answer(gateway.port, "cam", wrong).startswith("535"), wrong)
        require(answer(gateway.port, "other", SECRET).startswith("535"))


test_many_logins_cost_little.measured = True
test_many_logins_cost_little.alone = True


def test_changed_file(place):
    """After a reload a new password is taken and the old one is not, a new user is there and one that is gone is not."""
    with with_users(place, users_line("cam", SECRET), users_line("gone", SECRET)) as gateway:
        for name in ("cam", "gone"):
            equal(answer(gateway.port, name, SECRET), WELCOME)
        open_one = logged_in(gateway.port, "gone", SECRET)
        users_file(place, users_line("cam", "an0therPassword!"), users_line("new", SECRET))
        gateway.reload()
        wait_for(lambda: answer(gateway.port, "cam", "an0therPassword!") == WELCOME, 5, "the new password is not taken")
        equal(answer(gateway.port, "new", SECRET), WELCOME)
        require(answer(gateway.port, "cam", SECRET).startswith("535"), "the old password")
        require(answer(gateway.port, "gone", SECRET).startswith("535"), "who is gone")
        open_one.say("NOOP")
        open_one.quit()


def test_changed_addresses(place):
    with with_users(place, users_line("cam", SECRET, "old@example.org")) as gateway:
        device = logged_in(gateway.port, "cam", SECRET)
        require(device.deliver(scan(sender="old@example.org"), sender="old@example.org").startswith("250"))
        users_file(place, users_line("cam", SECRET, "new@example.org"))
        gateway.reload()

        def taken(sender):
            other = logged_in(gateway.port, "cam", SECRET)
            reply = other.deliver(scan(sender=sender), sender=sender)
            other.quit()
            return reply.startswith("250")
        wait_for(lambda: taken("new@example.org"), 5, "the new address is not taken")
        require(not taken("old@example.org"), "the old address")
        # the last word is the courier's, under the newest rules, also for a session that was open
        require(not device.deliver(scan(sender="old@example.org"), sender="old@example.org").startswith("250"), "an open session")
        device.quit()


def test_bad_reload(place):
    with with_users(place, users_line("cam", SECRET)) as gateway:
        users = users_file(place, users_line("cam", "other"), "nonsense\n")
        gateway.reload("the old configuration stays")
        require(f"{users}:2:" in gateway.log(), gateway.log())
        equal(answer(gateway.port, "cam", SECRET), WELCOME)


def test_keeper_begins_anew_with_what_held(place):
    """Whatever has become of the file meanwhile: nobody has asked for a reload."""
    with with_users(place, users_line("cam", SECRET)) as gateway:
        equal(answer(gateway.port, "cam", SECRET), WELCOME)
        users_file(place, users_line("cam", "other"), "nonsense\n")
        (keeper,) = processes(gateway, "letterchute-smtp keeper")
        os.kill(keeper, signal.SIGKILL)
        wait_for(lambda: "keys died of signal 9" in gateway.log(), 10, "it lives")
        wait_for(lambda: answer(gateway.port, "cam", SECRET) == WELCOME, 10, gateway.log)


def test_listeners_have_users_of_their_own(place):
    other = users_file(place, users_line("door", SECRET), name="others")
    text = f"[smtp other]\nlisten = 127.0.0.1:0\ntls = off\n{IN_CLEAR}{other}\n"
    with start_all(with_users(place, users_line("cam", SECRET), text=text), 2) as gateway:
        for source, name, code in (("lan", "cam", "235"), ("lan", "door", "535"), ("other", "door", "235"), ("other", "cam", "535")):
            reply = answer(gateway.ports[source], name, SECRET)
            require(reply.startswith(code), f"{source} {name}: {reply}")


def test_same_name_at_two_listeners(place):
    """A success at one is none at the other."""
    other = users_file(place, users_line("cam", "an0therPassword!", "b@example.org"), name="others")
    text = f"[smtp other]\nlisten = 127.0.0.1:0\ntls = off\n{IN_CLEAR}{other}\n"
    with start_all(with_users(place, users_line("cam", SECRET, "a@example.org"), text=text), 2) as gateway:
        equal(answer(gateway.ports["lan"], "cam", SECRET), WELCOME)
        require(answer(gateway.ports["other"], "cam", SECRET).startswith("535"))
        device = logged_in(gateway.ports["other"], "cam", "an0therPassword!")
        require(not device.deliver(scan(sender="a@example.org"), sender="a@example.org").startswith("250"))
        require(device.deliver(scan(sender="b@example.org"), sender="b@example.org").startswith("250"))
        device.quit()


def test_guesses_keep_nobody_else(place):
    """Who guesses passwords, as many at once as they like, keeps nobody from TLS."""
    users = users_file(place, users_line("cam", SECRET, setting=YESCRYPT))
    with place.gateway(tls="starttls", smtp=IN_CLEAR + users) as gateway:
        with meanwhile(40, lambda number: answer(gateway.port, "cam", f"wrong{number}")):
            time.sleep(1.5)
            took = []
            for _ in range(10):
                started = time.monotonic()
                device = TlsDevice(gateway.port)
                device.hello()
                took.append(time.monotonic() - started)
                device.quit()
        print(f"    beside 40 that guess: a handshake within {max(took):.2f} s", flush=True)
        require(max(took) < 1, took)


test_guesses_keep_nobody_else.measured = True
test_guesses_keep_nobody_else.alone = True


# --- what is not told ----------------------------------------------------------------------------------------------------------

def disguises(secret):
    """The forms in which a secret may show up: itself, and its base64 wherever in a text it stands."""
    found = {secret.encode()}
    for before in range(3):
        coded = base64_of(b"x" * before + secret.encode())
        found.add(coded[(before * 8 + 5) // 6 + 1:len(coded) - 4])
    return found


def base64_of(octets):
    return b64(octets).rstrip("=").encode()


BLUNDERS = [
    # what goes wrong with a login while a secret is on the wire: name, lines of the listener, what is sent
    ("a login that works", "", ["EHLO x", "AUTH PLAIN " + plain("cam", SECRET)]),
    ("LOGIN that works", "", ["EHLO x", "AUTH LOGIN", b64("cam"), b64(SECRET)]),
    ("a wrong one", "", ["EHLO x", "AUTH PLAIN " + plain("cam", SECRET + "x")]),
    ("an unknown user", "", ["EHLO x", "AUTH LOGIN", b64("nobody"), b64(SECRET)]),
    ("as it is, not as base64", "", ["EHLO x", "AUTH LOGIN", "cam", SECRET]),
    ("another mechanism", "", ["EHLO x", "AUTH GSSAPI " + plain("cam", SECRET)]),
    ("lower case", "", ["EHLO x", "auth plain " + plain("cam", SECRET)]),
    ("two blanks and a tab", "", ["EHLO x", "AUTH  PLAIN \t" + plain("cam", SECRET)]),
    ("before EHLO", "", ["AUTH PLAIN " + plain("cam", SECRET)]),
    ("in the middle of a mail", "", ["EHLO x", "MAIL FROM:<a@b>", "AUTH PLAIN " + plain("cam", SECRET)]),
    ("a second time", "", ["EHLO x", "AUTH PLAIN " + plain("cam", SECRET), "AUTH PLAIN " + plain("cam", SECRET)]),
    ("where nobody can", "auth = off", ["EHLO x", "AUTH PLAIN " + plain("cam", SECRET)]),
    ("where nobody can, and goes on", "auth = off", ["EHLO x", "AUTH LOGIN", b64("cam"), b64(SECRET)]),
    ("in clear where that is not allowed, and goes on", "plaintext_auth = no", ["EHLO x", "AUTH LOGIN", b64("cam"), b64(SECRET)]),
    ("in clear where that is not allowed", "plaintext_auth = no", ["EHLO x", "AUTH PLAIN " + plain("cam", SECRET)]),
    ("CRAM-MD5 refused, and goes on", "", ["EHLO x", "AUTH CRAM-MD5", b64("cam " + SECRET)]),
    ("goes on after a star", "", ["EHLO x", "AUTH LOGIN", "*", b64(SECRET)]),
    ("too long", "", ["EHLO x", "AUTH PLAIN " + plain("cam", SECRET * 300)]),
]


@rows(BLUNDERS)
def test_secrets_are_not_logged(place, lines, dialogue):
    """Also at -v, and if the device says them where it should not."""
    users = users_file(place, users_line("cam", SECRET))
    clear = "" if "plaintext_auth" in lines else "plaintext_auth = yes\n"
    config = place.config(smtp=f"users = {users}\n{clear}{lines}", tls="starttls")
    for encrypt in (False, True):
        gateway = place.gateway("-v", config=config, log=f"{encrypt}.log").start()
        device = TlsDevice(gateway.port)
        if encrypt:
            device.hello()
        for line in dialogue:
            device.say(line)
        device.quit()
        gateway.stop()
        log = gateway.log().encode()
        require(b"dialogue" in log and b"EHLO" in log or "EHLO x" not in dialogue, "no dialogue to look at")
        for form in disguises(SECRET):
            require(form not in log, f"{form} is in the log:\n{gateway.log()}")
        require(hash_of(SECRET).encode() not in log, "the hash is in the log")


def test_secrets_in_one_packet(place):
    """What is behind a refused AUTH in the same packet is a secret as well."""
    config = place.config(tls="starttls", smtp="users = " + users_file(place, users_line("cam", SECRET)))
    gateway = place.gateway("-v", config=config, log="packet.log").start()
    device = TlsDevice(gateway.port)
    device.send(f"EHLO x\r\nAUTH LOGIN\r\n{b64('cam')}\r\n{b64(SECRET)}\r\nQUIT\r\n")
    for _ in range(5):
        device.reply()
    device.close()
    gateway.stop()
    for form in disguises(SECRET):
        require(form not in gateway.log().encode(), gateway.log())


def test_login_is_in_the_line_of_the_failure(place):
    """Who failed is told, with a name that is made harmless; the password is not."""
    with with_users(place, users_line("cam", SECRET)) as gateway:
        require(answer(gateway.port, "cam", "wr0ng-passw0rd").startswith("535"))
        log_says(gateway, "cam")
        require(answer(gateway.port, "evil\" outcome=delivered x=\"\x1b[31m", "wr0ng-passw0rd").startswith(("535", "501")))
        require("wr0ng-passw0rd" not in gateway.log() and "\x1b" not in gateway.log(), gateway.log())
        require(not any(line.get("outcome") == "delivered" for line in gateway.lines()), gateway.log())


def test_environment_and_arguments(place):
    """Neither shows a hash: every user of the machine can read what a program was called with."""
    hashed = hash_of(SECRET)
    with with_users(place, users_line("cam", SECRET)) as gateway:
        equal(answer(gateway.port, "cam", SECRET), WELCOME)
        found = {(pid, name): proc_file(pid, name) for pid in [gateway.process.pid] + [pid for pid, _ in gateway.children()]
                 for name in ("cmdline", "environ")}
        for (pid, name), content in found.items():
            require(hashed.encode() not in content, f"{name} of {pid}")
        # the session may have ended; who stays was looked at
        (keeper,) = processes(gateway, "letterchute-smtp keeper")
        for pid in (gateway.process.pid, keeper, *processes(gateway, "letterchute-courier")):
            require(found[pid, "cmdline"] and found[pid, "environ"], f"{pid} was not looked at")
