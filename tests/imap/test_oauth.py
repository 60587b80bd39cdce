"""Login by token: had by refresh, renewed in time, kept through deaths; and the one-time sign-in of a person."""

import re
import subprocess
import time
import urllib.request

from accounts import account, several, wait_files
from dovecot import Dovecot
from harness import equal, require, rows, wait_for
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
    url = sign_in.wait_said(r"(http://127\.0\.0\.1:\d+/authorize\?\S+)\s")[1]
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
