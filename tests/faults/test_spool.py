"""The disk of `state` is full, or a share hangs: while it runs, at the start, in the middle. LATER, and all is there in the end."""

import os
import signal
import time

from harness import equal, needs_root, require, rows, scan, wait_for
from test_share import HELD, MOMENTS, check_there, hold, retry, three, try_send, two_shares, wait_settled


class Real:
    """Where check_there looks."""

    def __init__(self, path):
        self.real = path


def spool_of_its_own(place):
    os.makedirs(place.state)
    place.mount("mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "none", place.state, at=place.state)


def fill(folder):
    with open(os.path.join(folder, "filler"), "wb", buffering=0) as out:
        try:
            while True:
                out.write(b"x" * 4096)
        except OSError:
            pass


def check_clean(place, share):
    equal(os.listdir(os.path.join(share, ".letterchute")), ["id"], "staging")
    for name in ("lives", "publishing", "done", "tries"):
        equal(place.spool(name), [], name)
    equal(place.quarantine(), [])


def within(place, seconds):
    with open(two_shares(place)) as text:
        return place.file("within.conf", text.read().replace("10s", f"{seconds}s"))


@needs_root
def test_full_while_it_runs(place):
    spool_of_its_own(place)
    with place.gateway(config=two_shares(place)) as gateway:
        for turn in range(3):
            retry(gateway, three(f"w{turn}"))
        wait_settled(place, gateway)
        fill(place.state)
        letters = [three(f"m{turn}") for turn in range(4)]
        for letter in letters:
            for _ in range(2):
                reply = try_send(gateway, letter)
                require(reply.startswith("45"), reply)
        reply = try_send(gateway, scan(), "nobody@example.org")
        require(reply.startswith("550 5.1.1"), reply)
        os.unlink(os.path.join(place.state, "filler"))
        for letter in letters:
            retry(gateway, letter)
        check_there(Real(place.share), ["w0", "w1", "w2", "m0", "m1", "m2", "m3"])
        wait_settled(place, gateway)
    check_clean(place, place.share)


@needs_root
def test_full_at_the_start(place):
    """Couriers that can't begin a life come again; a session waits for one as long as a device waits for it."""
    spool_of_its_own(place)
    config = within(place, 5)
    with place.gateway(config=config) as gateway:
        retry(gateway, three("w"))
    fill(place.state)
    with place.gateway(config=config) as gateway:
        letter = three("m")
        reply = try_send(gateway, letter)
        require(reply.startswith("45"), reply)
        os.unlink(os.path.join(place.state, "filler"))
        retry(gateway, letter)
        check_there(Real(place.share), ["w", "m"])
        wait_settled(place, gateway)
    check_clean(place, place.share)


@needs_root
@rows([(moment[0], moment[1:]) for moment in MOMENTS])
def test_full_in_the_middle(place, moment):
    spool_of_its_own(place)
    with place.gateway(config=two_shares(place)) as gateway:
        retry(gateway, three("w"))
        letter = three("m")
        courier, tracer, device, replies = hold(place, gateway, letter, moment)
        fill(place.state)
        os.kill(courier, signal.SIGCONT)
        device.join()
        tracer.end()
        if replies[0].startswith("250"):
            check_there(Real(place.share), ["w", *HELD, "m"])
        require(replies[0][:2] in ("25", "45"), replies)
        os.unlink(os.path.join(place.state, "filler"))
        if not replies[0].startswith("250"):
            retry(gateway, letter)
        check_there(Real(place.share), ["w", *HELD, "m"])
        wait_settled(place, gateway)
    check_clean(place, place.share)


# --- a share that hangs ----------------------------------------------------------------------------

@needs_root
@rows([(moment[0], moment[1:]) for moment in MOMENTS])
def test_hangs_in_the_middle(place, moment):
    below = place.make("below", 0o777)
    server = place.bindfs(below, place.share)
    with place.gateway(config=within(place, 5)) as gateway:
        retry(gateway, three("w"))
        letter = three("m")
        courier, tracer, device, replies = hold(place, gateway, letter, moment)
        server.send_signal(signal.SIGSTOP)
        os.kill(courier, signal.SIGCONT)
        promised = bool(place.spool("publishing"))
        if promised:
            time.sleep(2)  # so long it hangs: what is promised is waited for
        else:
            device.join()
            require(replies[0].startswith("45"), replies)
        server.send_signal(signal.SIGCONT)
        device.join()
        tracer.end()
        if not replies[0].startswith("250"):
            retry(gateway, letter)
        check_there(Real(below), ["w", *HELD, "m"])
        wait_settled(place, gateway)
    check_clean(place, below)
