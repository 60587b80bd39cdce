"""Login by token: had by refresh, renewed in time, kept through deaths; and the one-time sign-in of a person."""

import base64
import contextlib
import json
import os
import pty
import pwd
import re
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from accounts import account, several, wait_files
from certs import certs
from dovecot import Dovecot, free_port
from harness import IS_ROOT, PATIENCE, equal, needs_root, require, rows, wait_for
from hostile import Server
from tokens import CLIENT, Tokens

SOON = 15


class Bed:
    def __init__(self, place, tokens, server=None, **keys):
        self.place, self.tokens, self.numbers, self.files = place, tokens, iter(range(1000)), {}
        self.server = server or Dovecot(place, passdb=tokens.passdb(place), mechanisms="plain login xoauth2 oauthbearer")
        self.config = place.config(self.section(**keys))

    def section(self, **keys):
        usual = dict(oauth="custom", client_id=CLIENT, token_url=self.tokens.url + "/token")
        return account(self.place, self.server, tls="implicit" if isinstance(self.server, Dovecot) else "off",
                       **{**usual, **keys})

    def gateway(self):
        return self.place.gateway("-v", config=self.config)

    def delivers(self):
        messages, files = several([next(self.numbers)])
        self.server.append(messages[0])
        self.files.update(files)
        wait_files(self.place, self.files, SOON)
        wait_for(lambda: self.server.count() == 0, SOON, "it stays in the mailbox")

    def delivers_over(self, starts):
        """So many gateways, one after another."""
        for _ in range(starts):
            with self.gateway():
                self.delivers()


def token_file(place, token):
    return place.file("refresh-token", token + "\n")


def with_refresh(place, tokens, **keys):
    return Bed(place, tokens, token_file=token_file(place, tokens.new_refresh()), **keys)


def no_secret_in(text, tokens):
    for secret in [*tokens.access, *tokens.refresh, *tokens.refused, tokens.secret]:
        require(not secret or secret not in text, "a secret is in the log")


@rows([(sasl, sasl) for sasl in ("xoauth2", "oauthbearer", "auto")])
def test_login_by(place, sasl):
    tokens = Tokens(place)
    bed = with_refresh(place, tokens, sasl=sasl)
    with bed.gateway() as gateway:
        bed.delivers()
        bed.server.wait_idling()
        equal(tokens.count("refresh_token"), 1)
        no_secret_in(gateway.log(), tokens)


@rows([("xoauth2", ("AUTH=XOAUTH2",), b"XOAUTH2"), ("oauthbearer", ("AUTH=OAUTHBEARER",), b"OAUTHBEARER")])
def test_auto_takes_what_is_offered(place, words, method):
    tokens = Tokens(place)
    server = Server(place, tokens=tokens.access)
    server.offered_tokens = words
    bed = with_refresh(place, tokens, server=server)
    with bed.gateway():
        bed.delivers()
    equal({call.words[0].upper() for call in server.calls if call.name == "AUTHENTICATE"}, {method})
    equal(server.violations, [])


def test_client_secret(place):
    tokens = Tokens(place, secret="very secret")
    bed = with_refresh(place, tokens, client_secret_file=place.file("client-secret", "very secret\n"), scope="mail offline")
    with bed.gateway() as gateway:
        bed.delivers()
        no_secret_in(gateway.log(), tokens)
    asked = next(given for path, given in tokens.requests if path == "/token")
    equal((asked.get("client_secret"), asked.get("scope")), ("very secret", "mail offline"))


def test_client_credentials(place):
    tokens = Tokens(place, secret="very secret")
    bed = Bed(place, tokens, grant="client_credentials", client_secret_file=place.file("client-secret", "very secret\n"))
    with bed.gateway():
        bed.delivers()
    equal((tokens.count("client_credentials"), tokens.count("refresh_token")), (1, 0))


def test_token_of_a_command(place):
    tokens = Tokens(place)
    path = place.file("token", tokens.new_access() + "\n")
    bed = Bed(place, tokens)
    bed.config = place.config(account(place, bed.server, tls="implicit", token_command=f"/bin/cat {path}"))
    with bed.gateway():
        bed.delivers()
        # it is asked anew for each connection
        tokens.revoke_access()
        place.file("token", tokens.new_access() + "\n")
        bed.server.kick()
        bed.delivers()


def test_renewed_before_it_ends(place):
    """No login is ever tried with a token that has run out."""
    tokens = Tokens(place, lasts=2)
    bed = with_refresh(place, tokens)
    with bed.gateway():
        for _ in range(3):
            bed.delivers()
            time.sleep(2.2)
            bed.server.kick()
        bed.delivers()
    equal(tokens.refused, [], "tokens that had run out")


def test_renewed_when_refused(place):
    tokens = Tokens(place)
    bed = with_refresh(place, tokens)
    with bed.gateway():
        bed.delivers()
        tokens.revoke_access()
        bed.server.kick()
        bed.delivers()
        require(tokens.count("refresh_token") <= 3, tokens.requests)


@rows([("when it idles", 0), ("at once", None), ("a moment after the start", 0.15), ("in the middle", 0.4)])
def test_rotation_survives_kill(place, moment):
    """Each refresh brings another refresh token; the old one is good only until the new one is used."""
    tokens = Tokens(place, lasts=1)
    bed = with_refresh(place, tokens)
    gateway = bed.gateway()
    for turn in range(5):
        gateway.start(ready=moment is not None)
        if moment == 0:
            bed.server.wait_idling()
        elif moment:
            time.sleep(moment + turn * 0.05)
        gateway.kill()
        time.sleep(0.2)
        bed.server.kick()
    with gateway:
        bed.delivers()


def test_invalid_grant_is_said_once(place):
    tokens = Tokens(place)
    bed = with_refresh(place, tokens)
    tokens.revoke_refresh()
    with bed.gateway() as gateway:
        def lines():
            return [line for line in gateway.log().splitlines() if re.search(r"letterchute login\b.*office", line)]
        wait_for(lines, SOON, "nobody says what to do")
        time.sleep(6)
        equal(len(lines()), 1, f"said once: {lines()}")
        require(tokens.count("refresh_token") <= 3, f"it asks again and again: {tokens.count('refresh_token')}")


@rows([("503", (503, {})), ("429", (429, {"error": "slow_down"})), ("no JSON", (200, "what")), ("no token", (200, {}))])
def test_trouble_that_passes(place, answer):
    tokens = Tokens(place)
    bed = with_refresh(place, tokens)
    tokens.answer_instead = answer
    with bed.gateway() as gateway:
        wait_for(lambda: tokens.count("refresh_token") >= 1, SOON, "it never asks")
        time.sleep(1)
        tokens.answer_instead = None
        bed.delivers()
        require(not re.search(r"letterchute login\b", gateway.log()), "a person is asked for help")


def test_token_url_in_clear(place):
    """A secret goes to nobody but this machine in clear."""
    tokens = Tokens(place)
    bed = with_refresh(place, tokens, token_url="http://tokens.example.org/token")
    done = place.run("run", "-c", bed.config, timeout=10)
    equal(done.returncode, 78, done.stderr.decode())


def stored(place):
    with open(os.path.join(place.state, "tokens", "office")) as record:
        return json.load(record)


def store(place, record):
    with open(os.path.join(place.state, "tokens", "office"), "w") as out:
        out.write(record if isinstance(record, str) else json.dumps(record))


def test_stored_token_serves_the_next_start(place):
    tokens = Tokens(place)
    bed = with_refresh(place, tokens)
    bed.delivers_over(3)
    equal(tokens.count("refresh_token"), 1)


def test_renewed_five_minutes_early(place):
    tokens = Tokens(place, lasts=299)
    bed = with_refresh(place, tokens)
    bed.delivers_over(2)
    equal(tokens.count("refresh_token"), 2)


def had_tomorrow(record):
    day = 86400 * 1000
    return {**record, "had_ms": record["had_ms"] + day, "until_ms": record["until_ms"] + day}


def of_somebody_else(record):
    return {**record, "account": "0" * 64}


@rows([("of another clock", had_tomorrow, False), ("of another account", of_somebody_else, True),
       ("torn", lambda record: json.dumps(record)[:-20], True), ("empty", lambda record: "", True)])
def test_record(place, spoil, seeds):
    """What can't be believed is had anew; where the refresh token is lost too, by what there was to begin with."""
    tokens = Tokens(place, rotates=False)
    first = tokens.new_refresh()
    bed = Bed(place, tokens, token_file=token_file(place, first))
    with bed.gateway():
        bed.delivers()
    store(place, spoil(stored(place)))
    with bed.gateway():
        bed.delivers()
    equal(tokens.count("refresh_token"), 2)
    equal(stored(place)["refresh"], first)


def test_another_token_file(place):
    """What was put there since counts more than what is stored, and what was heeded already does not."""
    tokens = Tokens(place, lasts=1)
    bed = with_refresh(place, tokens)
    with bed.gateway():
        bed.delivers()
    tokens.revoke_refresh()
    token_file(place, tokens.new_refresh())
    bed.delivers_over(2)


def test_token_file_that_is_away(place):
    """It is no other one when it is back; by then it is good for nothing."""
    tokens = Tokens(place, lasts=1)
    first = tokens.new_refresh()
    bed = Bed(place, tokens, token_file=token_file(place, first))
    for content in (first, "", first):
        token_file(place, content)
        with bed.gateway():
            bed.delivers()
    equal(tokens.count("refresh_token"), 3)


@needs_root
def test_token_file_of_root(place):
    tokens = Tokens(place)
    bed = with_refresh(place, tokens)
    os.chmod(os.path.join(place.folder, "refresh-token"), 0o600)
    with bed.gateway():
        bed.delivers()
    status = os.stat(os.path.join(place.state, "tokens", "office"))
    require(status.st_uid not in (0, os.getuid()), "it belongs to root")
    equal(status.st_mode & 0o7777, 0o600)


def test_https(place):
    tokens = Tokens(place, cert="good")
    plain = Tokens(place)
    plain.access = tokens.access
    bed = with_refresh(place, tokens, server=Dovecot(place, passdb=plain.passdb(place),
                                                     mechanisms="plain login xoauth2 oauthbearer"))
    with bed.gateway() as gateway:
        bed.delivers()
        no_secret_in(gateway.log(), tokens)


@rows([(cert, cert, True) for cert in ("unknown-ca", "wrong-host", "expired")] + [("not the system's", "good", False)])
def test_https_of_nobody(place, cert, with_ca):
    tokens = Tokens(place, cert=cert)
    more = {"ca_file": certs().ca} if with_ca else {}
    bed = Bed(place, tokens, server=Server(place), token_file=token_file(place, tokens.new_refresh()), **more)
    with bed.gateway() as gateway:
        # it was looked at and refused: not that our own signers could not be read
        wait_for(lambda: "certificate or SSH remote key was not OK" in gateway.log(), SOON, "nobody says why")
        equal(tokens.requests, [], "a secret was sent")
        require(not re.search(r"letterchute login\b", gateway.log()), "a person is asked for help")


def big(size):
    return 200, {"access_token": "a" * 100, "filling": "x" * size}


@rows([("elsewhere", (302, {}, {"Location": "/token2"})), ("elsewhere, as it was sent", (307, {}, {"Location": "/token2"})),
       ("65 KiB", big(65 << 10)), ("10 MB", big(10_000_000)), ("a token of 17 KB", (200, {"access_token": "a" * 17000})),
       ("a line end in it", (200, {"access_token": "a\r\nA1 LOGOUT"}))])
def test_answer_that_is_none(place, answer):
    tokens = Tokens(place)
    bed = Bed(place, tokens, server=Server(place), token_file=token_file(place, tokens.new_refresh()))
    tokens.answer_instead = answer
    with bed.gateway() as gateway:
        wait_for(lambda: "provider of tokens" in gateway.log(), SOON, "nobody says why")
        equal([path for path, _ in tokens.requests if path != "/token"], [], "a redirect was followed")
        require(not [call for call in bed.server.calls if call.name == "AUTHENTICATE"], "it was shown to the server")


def test_provider_that_is_slow(place):
    """A connection that hangs is given up, the next one serves. Meanwhile who waits for it is locked in."""
    tokens = Tokens(place)
    bed = with_refresh(place, tokens)
    tokens.delay = 18
    with bed.gateway() as gateway:
        pid = wait_for(lambda: [pid for pid, name in gateway.children() if name == "letterchute-tok"], SOON, "nobody asks")[0]
        wait_for(lambda: "Seccomp:\t2" in status_text(pid), SOON, "it is not locked in")
        require("NoNewPrivs:\t1" in status_text(pid), status_text(pid))
        if IS_ROOT:
            require("Uid:\t0" not in status_text(pid), "it is root's")
        wait_for(lambda: "gives no answer" in gateway.log(), 20, "it waits for ever")
        tokens.delay = 0
        bed.delivers()


def status_text(pid):
    try:
        with open(f"/proc/{pid}/status") as status:
            return status.read()
    except OSError:
        return ""


def test_program_that_dies(place):
    """Nobody waits for its answer."""
    tokens = Tokens(place)
    bed = with_refresh(place, tokens)
    tokens.delay = 5
    with bed.gateway() as gateway:
        pid = wait_for(lambda: [pid for pid, name in gateway.children() if name == "letterchute-tok"], SOON, "nobody asks")[0]
        os.kill(pid, 9)
        tokens.delay = 0
        bed.delivers()


@rows([(error, error, status, words) for error, status, words in (
    ("invalid_client", 401, r"client_id and client_secret of \[imap office\]"),
    ("unauthorized_client", 400, "letterchute login office"),
    ("invalid_scope", 400, r"scope of \[imap office\]"),
    ("invalid_grant", 400, "letterchute login office"),
    ("interaction_required", 400, "letterchute login office"))])
def test_what_a_person_should_do(place, error, status, words):
    tokens = Tokens(place)
    bed = with_refresh(place, tokens)
    tokens.answer_instead = status, {"error": error, "error_description": "AADSTS70000: this is why\r\nTrace ID: 1"}
    with bed.gateway() as gateway:
        line = wait_for(lambda: re.findall(rf".*{words}.*", gateway.log()), SOON, gateway.log)[0]
        require("AADSTS70000: this is why" in line and "Trace" not in line, line)
        time.sleep(3)
        equal(tokens.count("refresh_token"), 1, "it asks again and again")


def test_server_that_repeats_secrets(place):
    tokens = Tokens(place)
    bed = with_refresh(place, tokens)
    refresh = next(iter(tokens.refresh))
    tokens.answer_instead = 400, {"error": "invalid_grant", "error_description": f"the token {refresh} is not known"}
    with bed.gateway() as gateway:
        wait_for(lambda: "letterchute login office" in gateway.log(), SOON, "nobody says what to do")
        no_secret_in(gateway.log(), tokens)


@rows([("nobody has signed in", None, 77), ("refused", (400, {"error": "invalid_grant"}), 77), ("away", (503, {}), 69)])
def test_once(place, answer, wanted):
    tokens = Tokens(place)
    bed = with_refresh(place, tokens) if answer else Bed(place, tokens)
    tokens.answer_instead = answer
    done = place.run("once", "-c", bed.config)
    equal(done.returncode, wanted, done.stderr.decode())


def test_check_shows_a_new_token(place):
    tokens = Tokens(place)
    bed = with_refresh(place, tokens)
    with bed.gateway():
        bed.delivers()
    tokens.revoke_access()
    done = place.run("check", "-c", bed.config)
    require("logged in as" in done.stdout.decode(), done.stdout.decode())


# --- a person signs in ----------------------------------------------------------------------------------------------

class SignIn:
    """`letterchute login office`, and what it says."""

    def __init__(self, bed):
        self.process = subprocess.Popen([bed.place.program, "login", "-c", bed.config, "office"], stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        bed.place.later(self.process.kill)
        self.text = ""

    def wait_said(self, pattern):
        while not re.search(pattern, self.text):
            line = self.process.stdout.readline().decode()
            if not line:
                raise AssertionError(f"it never says {pattern}: {self.text}")
            self.text += line
        return re.search(pattern, self.text)

    def end(self, wanted):
        rest, _ = self.process.communicate(timeout=60)
        self.text += rest.decode()
        equal(self.process.returncode, wanted, self.text)


def test_device_flow(place):
    tokens = Tokens(place)
    tokens.answers = ["authorization_pending", "slow_down", "authorization_pending"]
    bed = Bed(place, tokens, device_url=tokens.url + "/devicecode", scope="mail offline")
    sign_in = SignIn(bed)
    sign_in.wait_said(re.escape(tokens.url + "/device"))
    sign_in.wait_said("WDJB-MJHT")
    sign_in.end(0)
    no_secret_in(sign_in.text, tokens)
    with bed.gateway():
        bed.delivers()


@rows([("a terminal", True), ("nothing", False)])
def test_said_to(place, is_terminal):
    """Its jail lets it ask what it has there, and type nothing."""
    tokens = Tokens(place)
    bed = Bed(place, tokens, device_url=tokens.url + "/devicecode", scope="mail offline")
    ours, theirs = pty.openpty() if is_terminal else (os.open(os.devnull, os.O_RDONLY), os.open(os.devnull, os.O_RDWR))
    with open(ours, "rb", buffering=0) as screen:
        process = subprocess.Popen([place.program, "login", "-c", bed.config, "office"], stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        text = b""
        with contextlib.suppress(OSError):  # how a terminal ends
            while octets := screen.read(4096):
                text += octets
        equal(process.wait(60), 0, text)
    require(not is_terminal or b"Signed in" in text, text)


@rows([(error, error) for error in ("access_denied", "expired_token", "authorization_declined")])
def test_device_flow_ends(place, error):
    tokens = Tokens(place)
    tokens.answers = ["authorization_pending", error]
    bed = Bed(place, tokens, device_url=tokens.url + "/devicecode")
    SignIn(bed).end(77)


def test_by_a_browser(place):
    """The browser is sent back to a port of ours; only who began can end it (PKCE), and only with our state."""
    tokens = Tokens(place)
    bed = Bed(place, tokens, authorize_url=tokens.url + "/authorize", scope="mail offline")
    sign_in = SignIn(bed)
    url = url_of(sign_in)
    require("code_challenge_method=S256" in url and "state=" in url and CLIENT in url, url)
    where = re.search(r"redirect_uri=http%3A%2F%2F(?:127\.0\.0\.1|localhost)%3A(\d+)", url)
    require(where, f"no way back to us: {url}")
    # what somebody else sends is no answer
    foreign = f"http://127.0.0.1:{where[1]}/?code=stolen&state=guessed"
    try:
        urllib.request.urlopen(foreign, timeout=10).read()
    except OSError:
        pass
    page = urllib.request.urlopen(url, timeout=10).read()
    require(page, "the person sees nothing")
    sign_in.end(0)
    no_secret_in(sign_in.text, tokens)
    with bed.gateway():
        bed.delivers()


def test_running_gateway_hears_of_a_sign_in(place):
    """It said what to do; when it is done, mail flows."""
    tokens = Tokens(place)
    bed = with_refresh(place, tokens, device_url=tokens.url + "/devicecode")
    tokens.revoke_refresh()
    with bed.gateway() as gateway:
        wait_for(lambda: re.search(r"letterchute login\b", gateway.log()), SOON, "nobody says what to do")
        SignIn(bed).end(0)
        bed.delivers()


def url_of(sign_in):
    return sign_in.wait_said(r"(http://127\.0\.0\.1:\d+/authorize\?\S+)\s")[1]


def way_back(url):
    given = dict(urllib.parse.parse_qsl(urllib.parse.urlparse(url).query))
    return given["redirect_uri"], given["state"], int(given["redirect_uri"].rsplit(":", 1)[1])


def status_of(url, method="GET"):
    try:
        return urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code


def test_strangers_at_the_port(place):
    """Only who comes back from the provider is heeded, and who says nothing holds up nobody for long."""
    tokens = Tokens(place)
    bed = Bed(place, tokens, authorize_url=tokens.url + "/authorize")
    sign_in = SignIn(bed)
    url = url_of(sign_in)
    back, state, port = way_back(url)
    silent = socket.create_connection(("127.0.0.1", port))
    for path in ("/favicon.ico", "/", "/?", "/?code=x", "/?code=x&state=" + state[:-1], "/x?code=x&state=" + state):
        equal(status_of(back + path), 404, path)
    equal(status_of(f"{back}/?code=x&state={state}", "POST"), 404, "POST")
    with socket.create_connection(("127.0.0.1", port)) as rude:
        rude.sendall(b"GET /?" + b"x" * 20000)
    with socket.create_connection(("127.0.0.1", port)) as rude:
        rude.sendall(b"\0\xff\r\n\r\n")
    equal(tokens.requests, [])
    equal(status_of(url), 200)
    silent.close()
    sign_in.end(0)
    equal(tokens.count("authorization_code"), 1)


def test_browser_says_no(place):
    tokens = Tokens(place)
    bed = Bed(place, tokens, authorize_url=tokens.url + "/authorize")
    sign_in = SignIn(bed)
    back, state, _ = way_back(url_of(sign_in))
    equal(status_of(f"{back}/?error=access_denied&state={state}"), 200)
    sign_in.end(77)
    require("access_denied" in sign_in.text, sign_in.text)


def test_code_of_somebody_else(place):
    """With our state, but not for our challenge."""
    tokens = Tokens(place)
    bed = Bed(place, tokens, authorize_url=tokens.url + "/authorize")
    sign_in = SignIn(bed)
    back, state, _ = way_back(url_of(sign_in))
    _, _, headers = tokens.ask("/authorize", {"redirect_uri": back, "state": state, "code_challenge": "x",
                                              "code_challenge_method": "S256"})
    status_of(headers["Location"])
    sign_in.end(77)
    require(not os.path.exists(os.path.join(place.state, "tokens", "office")), "something is stored")


@needs_root
def test_sign_in_belongs_to_the_gateway(place):
    tokens = Tokens(place)
    bed = Bed(place, tokens, device_url=tokens.url + "/devicecode")
    bed.config = place.config(bed.section(device_url=tokens.url + "/devicecode"), gateway="user = games")
    SignIn(bed).end(0)
    status = os.stat(os.path.join(place.state, "tokens", "office"))
    equal((pwd.getpwuid(status.st_uid).pw_name, status.st_mode & 0o7777), ("games", 0o600))


def test_sign_in_outweighs_token_file(place):
    """What it was when the person signed in is not used any more."""
    tokens = Tokens(place, lasts=1)
    bed = with_refresh(place, tokens, device_url=tokens.url + "/devicecode")
    tokens.revoke_refresh()
    SignIn(bed).end(0)
    bed.delivers_over(2)


def test_provider_without_refresh_token(place):
    tokens = Tokens(place)
    bed = Bed(place, tokens, device_url=tokens.url + "/devicecode")
    tokens.answer_instead = 200, {"access_token": "a-1", "expires_in": 3600}
    sign_in = SignIn(bed)
    sign_in.end(77)
    require("offline_access" in sign_in.text, sign_in.text)


MICROSOFT = dict(oauth="microsoft", token_url="http://127.0.0.1:9/t", device_url="http://127.0.0.1:9/d")
CUSTOM = dict(oauth="custom", token_url="http://127.0.0.1:9/t")


@rows([("no such source", CUSTOM, ("home",), 64, "home"),
       ("no source", CUSTOM, (), 64, "usage"),
       ("two flows", MICROSOFT, ("office", "--device", "--browser"), 64, "one of"),
       ("a port that is none", MICROSOFT, ("office", "--browser", "--port", "70000"), 64, "port"),
       ("a port without a browser", MICROSOFT, ("office", "--port", "7000"), 64, "--browser"),
       ("google by a code", dict(oauth="google"), ("office", "--device"), 64, "--browser"),
       ("no way to sign in", CUSTOM, ("office",), 78, "device_url"),
       ("a flow that is not configured", {**CUSTOM, "device_url": "http://127.0.0.1:9/d"}, ("office", "--browser"), 64,
        "--device"),
       ("a password", dict(password_command="/bin/true"), ("office",), 78, "oauth"),
       ("by itself", {**MICROSOFT, "grant": "client_credentials"}, ("office",), 0, "nothing to do"),
       ("nobody there", MICROSOFT, ("office",), 69, "127.0.0.1")])
def test_sign_in_that_can_not_be(place, keys, words, wanted, text):
    keys = {**keys, "client_id": CLIENT} if "oauth" in keys else keys
    config = place.config(account(place, Server(place), **keys))
    done = place.run("login", "-c", config, *words)
    said = done.stdout.decode() + done.stderr.decode()
    equal(done.returncode, wanted, said)
    require(text in said, said)


def test_port_that_is_taken(place):
    tokens = Tokens(place)
    bed = Bed(place, tokens, server=Server(place), authorize_url=tokens.url + "/authorize")
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = place.run("login", "-c", bed.config, "--port", str(other.getsockname()[1]), "office")
    equal(done.returncode, 69, done.stderr.decode())


def test_port_that_is_chosen(place):
    tokens = Tokens(place)
    bed = Bed(place, tokens, server=Server(place), authorize_url=tokens.url + "/authorize")
    port = free_port()
    process = subprocess.Popen([place.program, "login", "-c", bed.config, "--port", str(port), "office"],
                               stdout=subprocess.PIPE)
    place.later(process.kill)
    line = next(line for line in iter(process.stdout.readline, b"") if b"/authorize" in line).decode().strip()
    equal(way_back(line)[2], port)
    equal(status_of(line), 200)
    equal(process.wait(20 * PATIENCE), 0)


@rows([("google", dict(oauth="google"), "accounts.google.com", "127.0.0.1",
        ("access_type=offline", "prompt=consent", "scope=https%3A%2F%2Fmail.google.com%2F", "code_challenge_method=S256")),
       ("microsoft", dict(oauth="microsoft", tenant="contoso.example"), "login.microsoftonline.com/contoso.example",
        "localhost", ("IMAP.AccessAsUser.All", "offline_access", "login_hint="))])
def test_address_of_a_provider(place, keys, host, redirect, words):
    config = place.config(account(place, Server(place), client_id=CLIENT, **keys))
    process = subprocess.Popen([place.program, "login", "-c", config, "--browser", "office"], stdout=subprocess.PIPE)
    place.later(process.kill)
    line = next(line for line in iter(process.stdout.readline, b"") if b"https://" in line).decode().strip()
    require(line.startswith("https://" + host) and all(word in line for word in words), line)
    equal(way_back(line)[0].rsplit(":", 1)[0], "http://" + redirect)
    process.kill()
    process.wait()


def test_name_with_a_comma(place):
    """OAUTHBEARER would end the name at it (RFC 5801)."""
    tokens = Tokens(place)
    server = Server(place, tokens=tokens.access)
    server.offered_tokens = ("AUTH=OAUTHBEARER",)
    bed = Bed(place, tokens, server=server, user="a,b=c@example.org", token_file=token_file(place, tokens.new_refresh()))
    with bed.gateway():
        wait_for(lambda: [call for call in server.calls if call.name == "AUTHENTICATE"], SOON, "it never logs in")
    call = next(call for call in server.calls if call.name == "AUTHENTICATE")
    require(base64.b64decode(call.words[1]).startswith(b"n,a=a=2Cb=3Dc@example.org,\x01host="), call.words)
