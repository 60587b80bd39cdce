"""A mailbox that goes away, and comes back: how soon /healthz and `status --health` know."""

import json
import re
import time
import urllib.error
import urllib.request

from accounts import account
from dovecot import Dovecot
from harness import equal, require, rows, scan, wait_for

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
