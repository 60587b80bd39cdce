"""A share whose server hangs: who touches it may never come back, but the gateway starts, ends and goes on."""

import contextlib
import os
import signal
import time

from harness import Device, equal, needs_root, require, rows, scan, send, wait_for

TWO_SHARES = ("[share slow]\npath = {}\nfree_floor = 0\n"
              "[route slow]\nto = slow@*\nshare = slow\n")


def stopped(place):
    """Its server takes no question: a look can still be killed."""
    return place.bindfs(place.make("below", 0o777), os.path.join(place.folder, "slow"))


def stuck(place):
    """Its server took the question and waits for another that hangs: a look can't even be killed."""
    inner = place.bindfs(place.make("below", 0o777), os.path.join(place.folder, "inner"))
    place.bindfs(os.path.join(place.folder, "inner"), os.path.join(place.folder, "slow"))
    return inner


HANGING = [("its server is stopped", stopped), ("its server is stuck", stuck)]


def two_shares(place, path="slow", seconds=6):
    return place.config(text=TWO_SHARES.format(os.path.join(place.folder, path)), route="to = scans@*",
                        gateway=f"couriers = 3\nanswer_within = {seconds}s")


def couriers(gateway):
    return {pid for pid, name in gateway.children() if name.startswith("letterchute-cou")}


def ends_in_time(gateway):
    started = time.monotonic()
    gateway.stop()
    require(time.monotonic() - started < 8, f"it took {time.monotonic() - started:.1f} s")


@needs_root
@rows(HANGING)
def test_at_the_start(place, mount):
    server = mount(place)
    os.mkdir(os.path.join(place.folder, "below", "deep"))
    for path in ("slow", "slow/deep"):
        config = two_shares(place, path)
        server.send_signal(signal.SIGSTOP)
        gateway = place.gateway(config=config)
        started = time.monotonic()
        gateway.start()
        require(time.monotonic() - started < 8, "it took its time")
        wait_for(lambda: "gives no answer" in gateway.log(), 5, "nothing is said")
        ends_in_time(gateway)
        server.send_signal(signal.SIGCONT)


@needs_root
@rows(HANGING)
def test_while_it_runs(place, mount):
    server = mount(place)
    gateway = place.gateway(config=two_shares(place)).start()
    for turn in range(3):
        require(send(gateway.port, scan(), to=("slow@example.org",)).startswith("250"))
        require(send(gateway.port, scan()).startswith("250"))
    before = wait_for(lambda: len(couriers(gateway)) == 4 and couriers(gateway), 10, "three couriers and the reserve")
    time.sleep(2)  # what the kernel knows of the share grows old
    server.send_signal(signal.SIGSTOP)
    require(send(gateway.port, scan()).startswith("250"), "the other share")
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: len(couriers(gateway) - {victim}) == 4, 10, "no new courier")
    require(send(gateway.port, scan()).startswith("250"), "the other share")
    # the boss still hears its signals
    gateway.reload()
    ends_in_time(gateway)


@needs_root
def test_nothing_is_held_by_who_is_stuck(place):
    """The port is free again while what looked at the share is still there."""
    server = stuck(place)
    config = two_shares(place)
    server.send_signal(signal.SIGSTOP)
    gateway = place.gateway(config=config).start()
    port = gateway.port
    ends_in_time(gateway)
    with open(config) as text:
        fixed = place.file("fixed.conf", text.read().replace("127.0.0.1:0", f"127.0.0.1:{port}"))
    again = place.gateway(config=fixed).start()
    ends_in_time(again)


@needs_root
def test_comes_back(place):
    """What was left out at the start is taken in again."""
    server = stopped(place)
    os.mkdir(os.path.join(place.folder, "below", "deep"))
    config = two_shares(place, "slow/deep")
    server.send_signal(signal.SIGSTOP)
    with place.gateway(config=config) as gateway:
        wait_for(lambda: "gives no answer" in gateway.log(), 5, "nothing is said")
        server.send_signal(signal.SIGCONT)

        def delivers():
            with contextlib.suppress(OSError, EOFError):
                return send(gateway.port, scan(), to=("slow@example.org",)).startswith("250")
        wait_for(delivers, 20, "it stays away")


@needs_root
@rows(HANGING)
def test_mails_for_it_hold_up_no_others(place, mount):
    """However many there are, and however often they are sent again: one courier is left for the other share."""
    server = mount(place)
    with place.gateway(config=two_shares(place, seconds=18)) as gateway:
        require(send(gateway.port, scan(), to=("slow@example.org",)).startswith("250"))
        time.sleep(2)  # what the kernel knows of the share grows old
        server.send_signal(signal.SIGSTOP)
        messages = [scan(2000 + turn) for turn in range(8)]
        for _ in range(2):
            devices = [Device(gateway.port) for _ in messages]
            for device, message in zip(devices, messages):
                device.envelope(to=("slow@example.org",))
                device.say("DATA")
                device.send(message + b".\r\n")
            for _ in range(3):
                require(send(gateway.port, scan()).startswith("250"), "the other share")
            for device in devices:
                require(device.reply().startswith("451"))
                device.close()
        server.send_signal(signal.SIGCONT)
        below = os.path.join(place.folder, "below")

        def delivered(message):
            with contextlib.suppress(OSError, EOFError):
                return send(gateway.port, message, to=("slow@example.org",)).startswith("250")
        for message in messages:
            wait_for(lambda: delivered(message), 20, "it stays away")
        equal(len(place.files(below)), 1 + len(messages), gateway.log())
        wait_for(lambda: place.staged(below) == [], 20, "it left something")


@needs_root
def test_two_shares_of_one_server(place):
    """Both hang with it; the third goes on."""
    server = stopped(place)
    text = ""
    for name in ("a", "b"):
        os.mkdir(os.path.join(place.folder, "below", name))
        text += (f"[share {name}]\npath = {place.folder}/slow/{name}\nfree_floor = 0\n"
                 f"[route {name}]\nto = {name}@*\nshare = {name}\n")
    with place.gateway(text=text, route="to = scans@*", gateway="couriers = 3\nanswer_within = 18s") as gateway:
        for name in ("a", "b"):
            require(send(gateway.port, scan(), to=(f"{name}@example.org",)).startswith("250"), gateway.log())
        time.sleep(2)  # what the kernel knows of the share grows old
        server.send_signal(signal.SIGSTOP)
        devices = [Device(gateway.port) for _ in range(8)]
        for number, device in enumerate(devices):
            device.envelope(to=("ab"[number % 2] + "@example.org",))
            device.say("DATA")
            device.send(scan(3000 + number) + b".\r\n")
        for _ in range(3):
            require(send(gateway.port, scan()).startswith("250"), "the other share")
        for device in devices:
            require(device.reply().startswith("451"))
            device.close()
        server.send_signal(signal.SIGCONT)
