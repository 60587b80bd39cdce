"""A mailbox that goes away, and comes back: how soon /healthz and `status --health` know, and how often it is tried."""

import json
import re
import time
import urllib.error
import urllib.request

from accounts import account
from dovecot import Dovecot
from harness import equal, require, rows, scan, wait_for
from hostile import Server, Trick

SOON = 10


def health(gateway):
    """Status of HTTP, the object."""
    port = re.findall(r"ready service=http addr=\S+:(\d+)", gateway.log())[-1]
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as answer:
        return answer.code, json.load(answer)


def becomes(gateway, word):
    """How long it took."""
    begun = time.monotonic()
    wait_for(lambda: health(gateway)[1]["status"] == word, SOON, lambda: f"{health(gateway)}\n{gateway.log()}")
    return time.monotonic() - begun


@rows([("for a moment", 0), ("for as long as it is knocked at least often", 9)])
def test_goes_away(place, seconds):
    server = Dovecot(place)
    text = account(place, server, "office") + "[http]\nlisten = 127.0.0.1:0\n"
    with place.gateway(text=text) as gateway:
        becomes(gateway, "ok")
        server.stop()
        gone = becomes(gateway, "degraded")
        status, found = health(gateway)
        equal((status, [row["state"] for row in found["sources"]]), (200, ["up", "down"]))
        require(found["why"][0].startswith("source office is down: "), found)
        done = place.run("status", "-c", f"{place.folder}/gateway.conf", "--health")
        require(done.stdout.startswith(b"degraded: source office is down: ") and done.returncode == 0, done)
        time.sleep(seconds)
        server.start()
        back = becomes(gateway, "ok")
        server.append(scan(1000))
        wait_for(lambda: server.count() == 0, 10, gateway.log)
    print(f"     health/goes_away: away for {seconds} s more: degraded after {gone:.1f} s, up after {back:.1f} s")


# --- a server that is there, and is not ready -------------------------------------------------------------------------

FOR_EVER = 1 << 30
LOGIN = ("LOGIN", "AUTHENTICATE")
PLAIN = dict(more=("AUTH=PLAIN",))


def no(words):
    """As some do, with the time in it."""
    return lambda session, call: session.end(call, b"", f"NO {words} [host:{time.strftime('%H:%M:%S')}]")


def unwilling(place, step, words, more):
    server = Server(place, Trick(step, no(words), FOR_EVER), **more)
    text = account(place, server, "office", fast=False) + "[http]\nlisten = 127.0.0.1:0\n"
    return server, place.gateway(text=text)


def tried(server, gateway, times, seconds):
    """How long it took."""
    begun = time.monotonic()
    wait_for(lambda: server.hits >= times, seconds, lambda: f"{server.hits} tries\n{gateway.log()}")
    return time.monotonic() - begun


@rows([("at LOGIN", LOGIN, "[UNAVAILABLE] Temporary authentication failure.", {}),
       ("at AUTHENTICATE", LOGIN, "[UNAVAILABLE] Temporary authentication failure.", PLAIN),
       ("at AUTHENTICATE, in small letters", LOGIN, "[inuse] Maintenance", PLAIN),
       ("with a bug", "SELECT", "[SERVERBUG] Internal error", {}), ("at SELECT", "SELECT", "[UNAVAILABLE] Backend", {}),
       ("while somebody locks it", "SELECT", "[INUSE] Mailbox is locked", {})])
def test_not_ready(place, step, words, more):
    """Trouble of the server's own is waited for as a broken connection is, and said to be that, once."""
    server, running = unwilling(place, step, words, more)
    with running as gateway:
        took = tried(server, gateway, 6, 40)
        require(took >= 10, f"6 tries in {took:.1f} s")
        why = health(gateway)[1]["why"][0]
        require(f'the server is not ready: "{words}' in why and "ask who runs it if it lasts" in why, why)
        equal(gateway.log().count("the server is not ready: "), 1, gateway.log())
        server.be_honest()
        back = becomes(gateway, "ok")
        server.append(scan(1000))
        wait_for(lambda: server.count() == 0, 10, gateway.log)
    equal(server.violations, [])
    print(f"     health/not_ready: back after {back:.1f} s")


@rows([("a wrong password", LOGIN, "[AUTHENTICATIONFAILED] No", {}), ("no code", LOGIN, "Not you", PLAIN),
       ("too many connections", LOGIN, "[LIMIT] Too many connections", PLAIN),
       ("another code behind it", LOGIN, "[AUTHENTICATIONFAILED] [UNAVAILABLE] No", PLAIN),
       ("no such mailbox", "SELECT", "Mailbox doesn't exist", {})])
def test_unwilling(place, step, words, more):
    """Who comes too often with what was refused may be locked out."""
    server, running = unwilling(place, step, words, more)
    with running as gateway:
        tried(server, gateway, 5, 40)
        time.sleep(8)
        equal(server.hits, 5, "tries")
        require("not ready" not in gateway.log(), gateway.log())


@rows([("the login", LOGIN), ("the mailbox", "SELECT")])
def test_check_of_not_ready(place, step):
    server = Server(place, Trick(step, no("[UNAVAILABLE] Not now"), FOR_EVER))
    done = place.run("check", "-c", place.config(text=account(place, server)))
    text = done.stdout.decode()
    require('the server is not ready: "[UNAVAILABLE] Not now' in text and "nothing is wrong here: try again" in text, text)
    require("password" not in text, text)
    equal(done.returncode, 69)
