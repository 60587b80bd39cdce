"""Mailboxes as the guide has them, with a Dovecot of ours in place of the provider's server."""

import os

from compose import Relay, certs
from client import PASSWORD, USER
from dovecot import Dovecot
from engine import Container, podman
from harness import equal, require, scan, wait_for
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
