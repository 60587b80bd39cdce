"""Mailboxes as the guide has them, with a Dovecot of ours in place of the provider's server."""

import os
import re

from compose import PROJECT, Relay, Setup, certs
from client import PASSWORD, USER
from dovecot import Dovecot
from engine import Container, call, podman
from harness import ROOT, equal, require, rows, scan, wait_for
from tokens import CLIENT, Tokens

PLAIN = {"FREE_FLOOR": "0", "NAME": "{name}"}


def stored(place):
    return sorted(place.files(os.path.join(place.folder, "share")))


def begin(gateway, *relays):
    """A mailbox alone listens to nobody and so is never `ready`."""
    gateway.start(ready=False)
    wait_for(lambda: gateway.state() == "running", 10)
    for relay in relays:
        relay.enter(gateway.pid())
    return gateway


def test_server_of_ones_own(place):
    """STARTTLS, an authority of its own, mails that stay, and senders that don't count."""
    server = Dovecot(place)
    password = place.file("password", PASSWORD + "\n")
    os.chmod(password, 0o444)
    gateway = Container(place, "-v", f"{password}:/run/secrets/imap:ro", "-v", f"{certs().ca}:/config/ca.pem:ro", environment={
        **PLAIN, "IMAP_HOST": "localhost", "IMAP_PORT": str(server.port), "IMAP_TLS": "starttls", "IMAP_USER": USER,
        "IMAP_PASSWORD_FILE": "/run/secrets/imap", "IMAP_CA_FILE": "/config/ca.pem", "IMAP_AFTER": "move:Stored",
        "IMAP_REFUSED": "move:Not ours", "FROM": "*@example.org", "FOLDER": "{received:%Y}"})
    begin(gateway, Relay(place, server.port))
    server.append(scan())
    server.append(scan(sender="somebody@example.com"))
    wait_for(lambda: stored(place), 30, gateway.log)
    wait_for(lambda: server.count("Stored") == 1 and server.count("Not ours") == 1 and server.count() == 0, 20, gateway.log)
    require(stored(place)[0].startswith("20") and stored(place)[0].endswith("/scan.pdf"), stored(place))
    server.wait_idling()
    said = gateway.exec("check")
    require("FAIL" not in said and "imap mailbox" in said, said)
    said = gateway.exec("check", check=False, options=["-e", "IMAP_CA_FILE=", "-e", f"IMAP_PIN_SHA256={'0' * 64}"])
    require(f"it is {certs().pin_hex('good')}" in said, said)


def test_sign_in(place):
    """OAuth2 by `login --device` in the container; the token is in the state, and outlives the container."""
    tokens = Tokens(place)
    tokens.answers = ["authorization_pending"]
    server = Dovecot(place, passdb=tokens.passdb(place), mechanisms="plain login xoauth2 oauthbearer")
    config = place.make("conf")
    with open(os.path.join(config, "letterchute.conf"), "w") as out:
        out.write(f"[gateway]\nstate = /state\n[imap mailbox]\nhost = localhost\nport = {server.tls_port}\nuser = {USER}\n"
                  f"pin_sha256 = {certs().pin_hex('good')}\noauth = custom\nclient_id = {CLIENT}\nscope = mail offline\n"
                  f"token_url = {tokens.url}/token\ndevice_url = {tokens.url}/devicecode\n"
                  "[share]\npath = /share\nfree_floor = 0\nname = {name}\n[route r]\n")
    relays = [Relay(place, server.tls_port), Relay(place, tokens.server.server_port)]
    gateway = begin(Container(place, "-v", f"{config}:/config:ro"), *relays)
    said = gateway.exec("login", "--device", "mailbox")
    require("WDJB-MJHT" in said and "Signed in" in said, said)
    server.append(scan())
    wait_for(lambda: stored(place) == ["scan.pdf"], 40, gateway.log)
    gateway.stop()
    equal(gateway.exit_code(), 0)
    gateway.remove()
    begin(gateway, *relays)
    server.append(scan())
    wait_for(lambda: stored(place) == ["scan (2).pdf", "scan.pdf"], 40, gateway.log)
    require(not [token for token in (*tokens.access, *tokens.refresh) if token in podman("logs", gateway.name)])


# what the set-up has to be told that the providers' servers are ours
STAND_IN = """services:
  letterchute:
    extra_hosts: ["imap.gmail.com:127.0.0.1", "outlook.office365.com:127.0.0.1", "login.microsoftonline.com:127.0.0.1"]
    volumes:
      - "{0}:/etc/ssl/certs/ca-certificates.crt:ro"
"""
TOOLS = [("docker-compose", "docker-compose"), ("podman-compose", "podman-compose")]


def guide():
    with open(os.path.join(ROOT, "contrib/docker/README.md")) as text:
        return text.read()


def told(provider):
    """The guide's words about one provider, in a line."""
    return " ".join(re.search(rf"^- \*\*{provider}\*\*: (.*?)^- \*\*", guide(), re.M | re.S).group(1).split())


def start(place, tool, server, settings, changes, *relays):
    setup = Setup(place, "compose.yaml", tool, mailbox=server, settings={"IMAP_USER": USER, **settings})
    setup.edit(changes)
    setup.add(STAND_IN.format(certs().ca))
    setup.relays = [Relay(place, server.tls_port, at=993), *relays]
    return setup.up()


def comes(setup, server):
    server.append(scan())
    before = len(setup.files())
    wait_for(lambda: len(setup.files()) == before + 1, 40, setup.log)
    wait_for(lambda: server.count() == 0, 20, setup.log)


@rows(TOOLS)
def test_gmail(place, tool):
    require("`IMAP_HOST=imap.gmail.com`" in told("Gmail"), guide())
    server = Dovecot(place, cert="providers")
    setup = start(place, tool, server, {"IMAP_HOST": "imap.gmail.com"}, {})
    comes(setup, server)
    said = podman("exec", setup.container(), "letterchute", "check")
    require("FAIL" not in said and "imap.gmail.com" in said, said)


SECRETS = """    secrets:
      - imap_password
"""
SECRETS_BELOW = """secrets:
  imap_password:
    file: ./imap_password

"""
OAUTH = """      IMAP_OAUTH: microsoft
      IMAP_CLIENT_ID: {0}
      IMAP_TENANT: {1}
"""
TENANT = "2f4a9838-26b7-47ee-be60-ccc1fdec5953"


@rows(TOOLS)
def test_microsoft(place, tool):
    """Nothing but variables, as the guide has them; signed in once, and then from a token that is renewed."""
    words = told("Microsoft 365")
    names = ("IMAP_HOST=outlook.office365.com", "IMAP_OAUTH: microsoft", "IMAP_CLIENT_ID", "IMAP_TENANT", "IMAP_PASSWORD_FILE",
             "secrets:")
    require(all(f"`{name}`" in words for name in names), words)
    tokens = Tokens(place)
    tokens.answers = ["authorization_pending"]
    server = Dovecot(place, cert="providers", passdb=tokens.passdb(place), mechanisms="plain login xoauth2 oauthbearer")
    setup = start(place, tool, server, {"IMAP_HOST": "outlook.office365.com"}, {
        "      IMAP_PASSWORD_FILE: /run/secrets/imap_password\n": OAUTH.format(CLIENT, TENANT), SECRETS: "", SECRETS_BELOW: ""},
        Relay(place, tokens.server.server_port, at=443, cert="providers"))
    wait_for(lambda: "letterchute login" in setup.log(), 20, setup.log)
    sign_in = re.search(rf"`docker compose -p {PROJECT} -f contrib/docker/compose.yaml (exec letterchute letterchute login [^`]*)`",
                        words).group(1).split()
    # whoever types it has a terminal
    said = call(*setup.tool, sign_in[0], "-T", *sign_in[1:], folder=setup.folder)
    require("WDJB-MJHT" in said and "Signed in" in said, said)
    comes(setup, server)
    equal(tokens.tenants, {TENANT})
    asked = next(given for path, given in tokens.requests if path == "/devicecode")
    equal(asked, {"client_id": CLIENT, "scope": "offline_access https://outlook.office.com/IMAP.AccessAsUser.All"})
    # with what is kept in the volume of /state, and no other
    podman("rm", "-f", "-t", "20", setup.container())
    tokens.revoke_access()
    before = tokens.count("refresh_token")
    setup.up()
    comes(setup, server)
    require(tokens.count("refresh_token") > before, tokens.requests)
    require(not [token for token in (*tokens.access, *tokens.refresh) if token in setup.log()], setup.log())
