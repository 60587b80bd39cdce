"""Many accounts of one gateway: what one costs, and that none waits for another."""

import time

from accounts import account, proportional_kb, pullers, several, wait_files
from dovecot import Dovecot
from harness import IS_SANITIZED, Skip, cpu_s, equal, require, wait_for
from hostile import Server, Trick
from scenarios import FOR_EVER, silent, slow

ACCOUNTS = 200
EACH_KB = 1024
SOON = 5


def logged_in(server):
    return server.log().count("Login: user=<u")


def test_two_hundred_accounts(place):
    """Idle they cost next to nothing; each is served at once, whatever another account's server does."""
    if IS_SANITIZED:
        raise Skip("the sanitizer's own memory grows")
    server = Dovecot(place, imap="client_limit = 50\n  service_count = 0")
    stuck = [Server(place, Trick("SELECT", silent, FOR_EVER)), Server(place, Trick("greeting", slow, FOR_EVER))]
    text = "".join(account(place, server, f"n{number}", "implicit", user=f"u{number}", fast=False)
                   for number in range(ACCOUNTS))
    text += "".join(account(place, one, f"stuck{number}") for number, one in enumerate(stuck))
    started = time.monotonic()
    with place.gateway(config=place.config(text)) as gateway:
        wait_for(lambda: logged_in(server) >= ACCOUNTS, 60, lambda: f"{logged_in(server)} are logged in")
        began = time.monotonic() - started
        time.sleep(3)
        pids = pullers(gateway)
        equal(len(pids), ACCOUNTS + len(stuck))
        each = sum(proportional_kb(pid) for pid in pids) / len(pids)
        before = cpu_s(gateway.process.pid)
        time.sleep(5)
        spent = cpu_s(gateway.process.pid) - before
        equal(logged_in(server), ACCOUNTS, "logins: nobody begins anew")
        times, files = [], {}
        for number in (0, 77, ACCOUNTS - 1):
            messages, its = several([number])
            files.update(its)
            server.append(messages[0], user=f"u{number}")
            sent = time.monotonic()
            wait_files(place, files, SOON)
            times.append(time.monotonic() - sent)
        print(f"    {each:.0f} kB an account, {spent:.2f} s of 5 s, {began:.1f} s to log in, a mail in {max(times):.2f} s",
              flush=True)
        require(each <= EACH_KB, f"{each:.0f} kB of PSS an account")
        require(spent <= 0.25, f"{spent} s of processor time in 5 s while all are idle")


test_two_hundred_accounts.alone = True


def test_stuck_account_delays_no_other(place):
    """A full mailbox whose server gives an octet a second, beside one with a mail now and then."""
    snail = Server(place, Trick("FETCH", slow, FOR_EVER))
    for message in several(range(100, 120))[0]:
        snail.append(message)
    server, files = Dovecot(place), {}
    text = account(place, snail, "snail") + account(place, server)
    with place.gateway(config=place.config(text, gateway="couriers = 1")):
        wait_for(lambda: snail.hits, 20, "the slow one is never asked")
        for number in range(5):
            messages, its = several([number])
            server.append_all(messages)
            files.update(its)
            wait_files(place, files, SOON)
