"""A peer that is dead without a word: the gateway lives behind a wire of its own, and the wire is cut."""

import re
import threading
import time

from accounts import account, several, wait_files
from certs import NETWORK
from dovecot import Dovecot
from harness import COUNT, Wire, needs_root, require, rows, run, wait_for

NOTICED = 10  # seconds after which it must know that its server is gone
BACK = 10  # seconds after which mail must flow again
THERE = NETWORK.rsplit(".", 1)[0] + ".2"
ONE = threading.Lock()  # the address of the server is in its certificate, so there is one wire at a time


class Cut(Wire):
    """The wire of the gateway, which can be cut."""

    def __init__(self, place):
        ONE.acquire()
        place.later(ONE.release)
        super().__init__(place, [f"{NETWORK}/30"], f"{THERE}/30")

    def drop(self):
        """Packets vanish on both ways."""
        for chain, way in (("INPUT", "-i"), ("OUTPUT", "-o")):
            run(*self.inside, "iptables", "-A", chain, way, "wire", "-j", "DROP")

    def undrop(self):
        for chain in ("INPUT", "OUTPUT"):
            run(*self.inside, "iptables", "-F", chain)

    def down(self):
        run("ip", "link", "set", self.name, "down")

    def up(self):
        run("ip", "link", "set", self.name, "up")


def health(place, config):
    return place.run("status", "-c", config, "--health").stdout


def has_noticed(gateway, since):
    """It has said that something is wrong with the account."""
    return re.search(r"^(<\d>)?source source=office text=", gateway.log()[since:], re.M)


@needs_root
@rows([("packets are dropped", Cut.drop, Cut.undrop), ("the link is down", Cut.down, Cut.up)][:2 if COUNT else 1])
def test_noticed_while_idling(place, cut, mend):
    wire = Cut(place)
    server = Dovecot(place, address=NETWORK)
    (first, second, third), files = several(range(3))
    config = place.config(account(place, server, tls="implicit", host=NETWORK, fast=False))
    with place.gateway(config=config, wrapper=wire.inside) as gateway:
        server.append(first)
        wait_files(place, {"0.pdf": files["0.pdf"]})
        server.wait_idling()
        since = len(gateway.log())
        cut(wire)
        started = time.monotonic()
        server.append(second)
        wait_for(lambda: health(place, config).startswith(b"degraded: source office "), NOTICED + 5, "it never notices")
        noticed = time.monotonic() - started
        require(noticed <= NOTICED, f"noticed after {noticed:.0f} s")
        require(has_noticed(gateway, since), "nothing is said")
        mend(wire)
        started = time.monotonic()
        wait_for(lambda: "1.pdf" in place.files(), BACK, "mail does not flow again")
        wait_for(lambda: health(place, config) == b"ok\n", BACK, lambda: health(place, config))
        print(f"    noticed after {noticed:.0f} s, mail {time.monotonic() - started:.1f} s after the return", flush=True)
        server.append(third)
        wait_files(place, files)


@needs_root
@rows([("two seconds", 2), ("twenty seconds", 20)] if COUNT else [("two seconds", 2)])
def test_short_cut_is_survived(place, seconds):
    """Mail that came meanwhile is told by TCP itself, or found after the reconnect."""
    wire = Cut(place)
    server = Dovecot(place, address=NETWORK)
    messages, files = several(range(2))
    config = place.config(account(place, server, tls="starttls", host=NETWORK, fast=False))
    with place.gateway(config=config, wrapper=wire.inside):
        server.wait_idling()
        wire.drop()
        server.append(messages[0])
        time.sleep(seconds)
        wire.undrop()
        wait_for(lambda: "0.pdf" in place.files(), 30, "the mail does not come")
        server.append(messages[1])
        wait_files(place, files)


@needs_root
@rows([("of four", 4)][:COUNT])
def test_cut_in_the_middle_of_a_mail(place, count):
    wire = Cut(place)
    server = Dovecot(place, address=NETWORK)
    messages, files = several(range(count), 20 << 20)
    server.append_all(messages)
    config = place.config(account(place, server, tls="implicit", host=NETWORK, fast=False))
    with place.gateway(config=config, wrapper=wire.inside):
        wait_for(place.files, 30, "nothing comes")
        wire.drop()
        time.sleep(30)
        wire.undrop()
        wait_files(place, files, 60)
        wait_for(lambda: server.count() == 0, 20, "the mailbox is not empty")


for each in (test_noticed_while_idling, test_short_cut_is_survived, test_cut_in_the_middle_of_a_mail):
    each.slow = True
