"""Limits under attack: a real device is served or told within a second, whoever holds connections open and however slowly
he speaks; and what an idle connection costs."""

import contextlib
import threading
import time

from devices import first_word, flood, meanwhile, raise_limit
from harness import Device, equal, needs_root, require, rows, scan
from test_memory import resident
from test_proxied import Container, setting

SOON = 1.0  # seconds within which a device is greeted or told
DRIPPED = 60  # seconds after which who sends an octet a second is gone
COST = 190  # kB of an idle connection


def is_told(port, seconds, words=("220", "421"), **more):
    """For so long every device hears something soon; the longest time that one waited."""
    limit, worst = time.monotonic() + seconds, 0
    while time.monotonic() < limit:
        word, took = first_word(port, **more)
        require(word in words and took <= SOON, f"{word} after {took:.2f} s")
        worst = max(worst, took)
        time.sleep(0.1)
    return worst


def test_500_idle_of_one_machine(place):
    """All sessions are taken by who says nothing: a device is told to come later, at once."""
    with place.gateway() as gateway:
        flood(place, ("127.0.0.1", gateway.port), 500)
        worst = is_told(gateway.port, 8)
        print(f"    told after {worst:.2f} s at most", flush=True)


test_500_idle_of_one_machine.alone = True
test_500_idle_of_one_machine.measured = True


def test_500_idle_that_come_again(place):
    """Whoever is turned away comes back at once, and some of those inside leave: the next is told all the same."""
    with place.gateway() as gateway:
        address = "127.0.0.1", gateway.port
        idle = flood(place, address, 500)

        def again(_):
            for one in list(idle):
                with contextlib.suppress(OSError):
                    if not one.recv(200):
                        idle.remove(one)
                        one.close()
                        idle.extend(flood(place, address, 1))
            time.sleep(0.05)
        with meanwhile(1, again):
            worst = is_told(gateway.port, 5)
        print(f"    told after {worst:.2f} s at most", flush=True)


test_500_idle_that_come_again.alone = True
test_500_idle_that_come_again.measured = True


@needs_root
def test_500_idle_of_another_machine(place):
    """One address gets its share of the sessions and no more: every other device is served."""
    container = Container(place)
    with setting(place, container, "peers = private") as gateway:
        flood(place, (container.inside, gateway.port), 500, source=container.other)
        worst = is_told(gateway.port, 5, words=("220",), host=container.inside, source=container.router)
        device = Device(gateway.port, host=container.inside, source=(container.router, 0))
        require(device.deliver(scan()).startswith("250"))
        device.quit()
        print(f"    greeted after {worst:.2f} s at most", flush=True)


test_500_idle_of_another_machine.alone = True
test_500_idle_of_another_machine.measured = True


def test_work_goes_on_beside_them(place):
    """Sessions that are open when the flood comes are not disturbed."""
    with place.gateway() as gateway:
        device = Device(gateway.port)
        require(device.deliver(scan(200)).startswith("250"))
        flood(place, ("127.0.0.1", gateway.port), 500)
        started = time.monotonic()
        require(device.deliver(scan(300)).startswith("250"))
        require(time.monotonic() - started < 2, f"{time.monotonic() - started:.2f} s")
        device.quit()


test_work_goes_on_beside_them.alone = True
test_work_goes_on_beside_them.measured = True


ENVELOPE = b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"

# what is sent at once after the greeting, and then over and over, an octet a second
DRIPS = [
    ("nothing but x", b"", b"x"),
    ("commands", b"", b"NOOP\r\n"),
    ("blank lines", b"", b"\r\n"),
    ("envelopes", b"HELO x\r\n", b"MAIL FROM:<>\r\nRSET\r\n"),
    ("a mail", ENVELOPE + b"DATA\r\n", b"x\r\n"),
    ("chunks", ENVELOPE, b"BDAT 1\r\nx"),
    ("a chunk", ENVELOPE + b"BDAT 10000\r\n", b"x"),
    ("everything", b"", b"HELO\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n" + b"x" * 200),
]


def dripped(port, begin, text, found):
    device = Device(port, timeout=100)
    device.send(begin)
    started, at, heard = time.monotonic(), 0, b""
    while time.monotonic() - started < DRIPPED + 20:
        with contextlib.suppress(OSError):
            device.send(text[at % len(text):][:1])
        at += 1
        next_s = started + at
        try:
            while time.monotonic() < next_s:
                device.socket.settimeout(max(0.01, next_s - time.monotonic()))
                more = device.socket.recv(4096)
                heard += more
                if not more:
                    found.append((time.monotonic() - started, heard))
                    return
        except TimeoutError:
            pass
        except ConnectionError:
            found.append((time.monotonic() - started, heard))
            return
    found.append((time.monotonic() - started, heard))


def test_an_octet_a_second(place):
    with place.gateway() as gateway:
        runs = []
        for name, begin, text in DRIPS:
            found = []
            thread = threading.Thread(target=dripped, args=(gateway.port, begin, text, found))
            thread.start()
            runs.append((name, thread, found))
        for name, thread, found in runs:
            thread.join()
            seconds, heard = found[0]
            print(f"    {name}: cut after {seconds:.0f} s", flush=True)
            require(seconds < DRIPPED, f"{name}: {seconds:.0f} s")
            require(b"\r\n421 4." in b"\r\n" + heard, f"{name}: {heard}")
        equal(place.files(), {})


test_an_octet_a_second.slow = True


def test_no_mail_for_long(place):
    """Good commands all the time, and never a mail."""
    with place.gateway(smtp="idle = 1s") as gateway:
        for _ in range(3):
            device = Device(gateway.port)
            device.say("EHLO x")
            started = heard = time.monotonic()
            silence, reply = 0, ""
            while heard - started < 75 and not reply.startswith("421"):
                time.sleep(0.2)
                reply = device.say("NOOP")
                silence, heard = max(silence, time.monotonic() - heard), time.monotonic()
            took = heard - started
            device.close()
            if silence < 0.9:
                break  # else it was held up itself, and may have been cut for that: once more
        require(reply.startswith("421 4.4.2"), reply)
        require(55 < took < 65, f"{took:.0f} s")


test_no_mail_for_long.slow = True


@rows([("greeted", b""), ("has said its name", b"EHLO scanner\r\n"), ("has begun a mail", ENVELOPE)])
def test_cost_of_an_idle_connection(place, say):
    raise_limit()
    count = 300
    with place.gateway(smtp="sessions = 500") as gateway:
        first = Device(gateway.port)
        first.send(say)
        time.sleep(1)
        before = resident(gateway.process.pid)
        idle = []
        for _ in range(count):
            device = Device(gateway.port)
            device.send(say)
            idle.append(device)
        for device in idle:
            for _ in range(say.count(b"\n")):
                device.reply()
        time.sleep(1)
        cost = (resident(gateway.process.pid) - before) / count
        for device in idle:
            device.close()
        first.quit()
        print(f"    {cost:.0f} kB", flush=True)
        require(cost <= COST, f"{cost:.0f} kB")


test_cost_of_an_idle_connection.alone = True
test_cost_of_an_idle_connection.measured = True
