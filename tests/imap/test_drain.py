"""kill -9 while a full mailbox is drained: each mail is on the share once, and the mailbox is empty."""

import contextlib
import os
import random
import signal
import time

from accounts import account, same, same_lines, several
from dovecot import Dovecot
from harness import COUNT, equal, processes, require, rows, wait_for

MAILS = 200
TRIALS = COUNT or 5
PATIENCE = 60

# who is killed: what its name begins with; the gateway itself takes all with it
WHO = ("pull", "courier", "extract", "gateway", "all", "anybody")


def victims(gateway, who, chance):
    below = [pid for pid, _ in gateway.children()]
    if who == "gateway":
        return [gateway.process.pid]
    if who == "all":
        return [gateway.process.pid, *below]
    named = below if who == "anybody" else processes(gateway, f"letterchute-{who}")
    return [chance.choice(named)] if named else []


def kill(gateway, pids):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if gateway.process.pid in pids:
        gateway.process.wait(20)
        gateway.start()


def drain(place, gateway, server, who, seed, files):
    """Three deaths at moments that are spread over the time that it takes."""
    chance, started = random.Random(seed), len(place.files())
    for share in sorted(chance.uniform(0, 0.9) for _ in range(3)):
        wait_for(lambda: len(place.files()) - started >= share * MAILS, PATIENCE, "nothing comes any more")
        time.sleep(chance.uniform(0, 0.03))
        kill(gateway, victims(gateway, who, chance))
    wait_for(lambda: server.count() == 0, PATIENCE, lambda: f"{server.count()} mails stay in the mailbox")
    same(place.files(), files)


@rows([(f"trial {trial + 1}: {WHO[trial % len(WHO)]}", WHO[trial % len(WHO)], trial) for trial in range(TRIALS)])
def test_killed_while_it_drains(place, who, trial):
    server = Dovecot(place)
    messages, files = several(range(MAILS), 4000)
    server.append_all(messages)
    with place.gateway(config=place.config(account(place, server))) as gateway:
        drain(place, gateway, server, who, trial, files)
        wait_for(lambda: not place.staged(), 20, lambda: f"staged: {place.staged()}")
    equal(place.quarantine(), [])


def test_drains_in_order(place):
    """Nobody dies: a line a mail, and no mark is left."""
    server = Dovecot(place)
    messages, files = several(range(MAILS), 4000)
    server.append_all(messages)
    started = time.monotonic()
    with place.gateway(config=place.config(account(place, server))) as gateway:
        wait_for(lambda: server.count() == 0, PATIENCE, "the mailbox is not empty")
        same(place.files(), files)
        print(f"    {MAILS} mails in {time.monotonic() - started:.1f} s", flush=True)
        same_lines(gateway, place)
        wait_for(lambda: not place.marks(), 20, lambda: f"marks stay: {len(place.marks())}")


@rows([(name, number) for name, number in (("SIGTERM", signal.SIGTERM), ("SIGHUP", signal.SIGHUP))])
def test_told_while_it_drains(place, number):
    """In order, it ends or begins anew without a doubt about any mail."""
    server = Dovecot(place)
    messages, files = several(range(MAILS), 4000)
    server.append_all(messages)
    with place.gateway(config=place.config(account(place, server))) as gateway:
        for share in (0.2, 0.5):
            wait_for(lambda: len(place.files()) >= share * MAILS, PATIENCE, "nothing comes")
            gateway.process.send_signal(number)
            if number == signal.SIGTERM:
                equal(gateway.process.wait(40), 0)
                require(len(place.files()) < MAILS, "it was too late for this test")
                gateway.start()
        wait_for(lambda: server.count() == 0, PATIENCE, "the mailbox is not empty")
        same(place.files(), files)


def test_server_dies_while_it_drains(place):
    """A connection that is silent is given up after a minute, so long it may take."""
    server = Dovecot(place)
    messages, files = several(range(MAILS), 4000)
    server.append_all(messages)
    with place.gateway(config=place.config(account(place, server))):
        for share in (0.1, 0.4, 0.7):
            wait_for(lambda: len(place.files()) >= share * MAILS, 2 * PATIENCE, "nothing comes")
            server.stop(signal.SIGKILL)
            server.start()
        wait_for(lambda: server.count() == 0, 2 * PATIENCE, "the mailbox is not empty")
        same(place.files(), files)
