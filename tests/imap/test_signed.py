"""`auth = dkim` for mails from a mailbox: those that are signed are stored, others are moved, and where nobody can know now
they stay; and names are looked up from within the prover's jail as the system says."""

import os
import random
import sys

from accounts import account, delivered
from harness import HERE, equal, needs_root, require, send, wait_for
from hostile import Server
from names import Etc

sys.path.append(os.path.join(HERE, "system"))
from signing import Names, keys, record, rsa, scan, signed  # noqa: E402

SOON = 20
SELECTOR = "sel._domainkey.example.org"


def test_mailbox(place):
    server = Server(place)
    server.append(signed())
    server.append(scan())
    with place.gateway(gateway=f"dkim_keys = {keys(place)}\ndkim_resolver = none", route="auth = dkim",
                       text=account(place, server)) as one:
        wait_for(lambda: server.count() == 0, SOON, lambda: one.log())
        equal((len(delivered(one)), len(delivered(one, outcome="refused")), len(place.files())), (1, 1, 1))
        equal(delivered(one, outcome="refused")[0]["reason"], "proof")


def test_nobody_knows_now(place):
    """The mail stays where it is until somebody does."""
    names = Names(place, {SELECTOR: 2})
    server = Server(place)
    server.append(signed())
    with place.gateway(gateway=f"dkim_resolver = {names.address}", route="auth = dkim", text=account(place, server)) as one:
        wait_for(lambda: delivered(one, outcome="later"), SOON, lambda: one.log())
        equal((delivered(one, outcome="later")[0]["reason"], server.count(), place.files()), ("dns", 1, {}))
        names.records[SELECTOR] = record(rsa(2048)[1])
        wait_for(lambda: server.count() == 0, 60, lambda: one.log())
        equal((len(delivered(one)), len(place.files()), place.quarantine()), (1, 1, []))


def somebody(place, records):
    """Who knows names at port 53 of an address that nobody else has."""
    address = f"127.{random.randrange(64, 128)}.{random.randrange(256)}.{random.randrange(1, 255)}"
    return Names(place, records, host=address, port=53)


@needs_root
def test_asked_as_the_system_says(place):
    """By the file of the system, also after another took its place, and by TCP where an answer is long."""
    private, public = rsa(4096)
    ignorant, knowing = somebody(place, {}), somebody(place, {SELECTOR: record(public)})
    etc = Etc(place, resolver=ignorant.address.rsplit(":", 1)[0])
    message = signed(key=private)
    with place.gateway(config=place.config(route="auth = dkim"), wrapper=etc.wrapper) as one:
        require(send(one.port, message).startswith("550 5.7.1"), one.log())
        equal(ignorant.asked, [(SELECTOR, False)])
        etc.write("resolv.conf", f"nameserver {knowing.address.rsplit(':', 1)[0]}\noptions timeout:1 attempts:1\n")
        require(send(one.port, message).startswith("250"), one.log())
        equal(knowing.asked, [(SELECTOR, False), (SELECTOR, True)])
        require(" died of signal" not in one.log(), one.log())
