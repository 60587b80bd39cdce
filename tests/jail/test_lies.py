"""A role that is taken over lies to the next: it is not believed."""

import contextlib

from harness import Device, equal, needs_root, require, rows, scan, send, wait_for
from misbehave import gateway, order, results, sender

TWO = {"text": "[smtp wan]\nlisten = 127.0.0.1:0\ntls = off\n[route wan]\nsource = wan\nfolder = wan\n",
       "route": "source = lan\nfolder = lan"}


def couriers(one):
    return {pid for pid, name in one.children() if name == "letterchute-cou"}


@contextlib.contextmanager
def two_listeners(place):
    with gateway(place, **TWO) as one:
        wait_for(lambda: one.is_ready() and len(one.ports) == 2, 10, "not both listen")
        yield one


@needs_root
def test_session_is_no_other_device(place):
    """Its listener knows whom it has accepted."""
    with two_listeners(place) as one:
        require(send(one.ports["lan"], scan(), sender=sender("session", "lie")).startswith("250"))
        line = one.last()
        equal((line["source"], line["peer"], line.get("login")), ("lan", "127.0.0.1", None))
        require("lan/scan.pdf" in place.files() and "wan/scan.pdf" not in place.files(), place.files())


@needs_root
@rows([("farewell", "farewell"), ("explain", "explain"), ("retry", "retry")])
def test_session_gives_no_orders(place, word):
    """A question that is not for its like ends its link, not a courier."""
    with two_listeners(place) as one:
        before = couriers(one)
        reply = send(one.ports["lan"], scan(), sender=sender("session", word))
        require(reply.startswith("4"), reply)
        require("what came is no question" in one.log(), one.log())
        equal(couriers(one), before)
        require(send(one.ports["lan"], scan()).startswith("250"))


@needs_root
def test_message_can_only_be_read(place):
    """A descriptor that could be written through is not taken: it is handed on to the extractor."""
    with gateway(place) as one:
        reply = send(one.port, scan(), sender=sender("session", "writable"))
        require(reply.startswith("4"), reply)
        require("can only be read" in one.last()["text"], one.last())
        require(send(one.port, scan()).startswith("250"))


@needs_root
def test_session_does_not_write_its_mark(place):
    """It is the plan of a delivery, which another courier would follow."""
    with gateway(place) as one:
        device = Device(one.port)
        require(device.deliver(scan()).startswith("250"))
        reply = device.say(f"MAIL FROM:<{sender('session', 'write_mark')}>")
        require(reply.startswith("250"), reply)
        equal(results(one.log(), "session"), {"write_mark": "EACCES"})
        device.quit()


@needs_root
def test_listener_is_no_other_listener(place):
    """Its socket was made for it."""
    with two_listeners(place) as one:
        reply = send(one.ports["lan"], scan(), sender=sender("listener", "lie"))
        require(reply.startswith("4"), reply)
        require('ask text="source lan asked nonsense"' in one.log(), one.log())
        require(not any("scan.pdf" in name for name in place.files()), place.files())
        require(send(one.ports["wan"], scan()).startswith("250"))


@needs_root
def test_listener_looks_nothing_up(place):
    """A message that was put aside may be from anybody: only who has a courier for himself may say from whom."""
    with two_listeners(place) as one:
        reply = send(one.ports["lan"], scan(), sender=sender("listener", "retry"))
        require(reply.startswith("4"), reply)
        require('ask text="source lan asked nonsense"' in one.log(), one.log())
        require(not any("scan.pdf" in name for name in place.files()), place.files())
        require(send(one.ports["lan"], scan()).startswith("250"))


@needs_root
def test_child_speaks_frames(place):
    """Whatever else it says is a fault of its mail."""
    with gateway(place) as one:
        reply = send(one.port, order("child", "nonsense"))
        require(reply.startswith("554 5.6.0"), reply)
        require("spoke nonsense" in one.last()["text"], one.last())
        equal(len(place.quarantine()), 1)
        require(send(one.port, scan()).startswith("250"))
