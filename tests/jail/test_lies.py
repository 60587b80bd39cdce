"""A role that is taken over lies to the next: it is not believed."""

import contextlib
import glob
import os

from harness import Device, equal, mail, needs_root, part, pdf, processes, require, rows, scan, send, wait_for
from misbehave import SECRET, Server, gateway, lay_out, mailbox, order, results, sender, told
from accounts import account, delivered, several

TWO = {"text": "[smtp wan]\nlisten = 127.0.0.1:0\ntls = off\n[route wan]\nsource = wan\nfolder = wan\n",
       "route": "source = lan\nfolder = lan"}


def couriers(one):
    return set(processes(one, "letterchute-courier run"))


def all_couriers(one, count):
    return wait_for(lambda: len(found := couriers(one)) == count and found, 20, "the couriers do not start")


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


def asks_nonsense(one, who):
    """It is told to come again, and the log says of whom that is."""
    reply = send(one.ports["lan"], scan(), sender=who)
    require(reply.startswith("4"), reply)
    require('ask text="source lan asked nonsense"' in one.log(), one.log())


@needs_root
def test_session_has_no_ledger(place):
    """Nothing stays with a device: it can't have it written down that something does."""
    with two_listeners(place) as one:
        asks_nonsense(one, sender("session", "stays"))
        equal(place.spool("kept"), ["victim"])
        require(send(one.ports["lan"], scan()).startswith("250"))


@needs_root
@rows([("farewell", "farewell"), ("explain", "explain"), ("retry", "retry")])
def test_session_gives_no_orders(place, word):
    """A question that is not for its like ends its link, not a courier."""
    with two_listeners(place) as one:
        before = all_couriers(one, 4)
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
        asks_nonsense(one, sender("listener", "lie"))
        require(not any("scan.pdf" in name for name in place.files()), place.files())
        require(send(one.ports["wan"], scan()).startswith("250"))


@needs_root
def test_listener_looks_nothing_up(place):
    """A message that was put aside may be from anybody: only who has a courier for himself may say from whom."""
    with two_listeners(place) as one:
        asks_nonsense(one, sender("listener", "retry"))
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


@needs_root
def test_door_is_no_account(place):
    """Whose proofs it would be believed by."""
    with gateway(place, text=away("office"), route="name = {name}") as one:
        config = os.path.join(place.folder, "gateway.conf")
        done = place.run("drop", "-c", config, "--from", sender("door", "lie"), stdin=scan())
        equal(done.returncode, 75, done.stderr)
        require('ask text="source * asked nonsense"' in one.log(), one.log())
        equal(place.run("drop", "-c", config, stdin=scan()).returncode, 0)


# --- who pulls --------------------------------------------------------------------------------------------------------

RECORD = 72  # octets of a ledger (daemon/kept.h)


def away(name, **keys):
    """An account whose server is never there."""
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return f"[imap {name}]\nhost = 127.0.0.1\nport = 9\ntls = off\nuser = x\npassword = {SECRET.decode()}\n{lines}"


@contextlib.contextmanager
def lying(place, word, more="", **keys):
    """A puller of the account office that lies once, about its one mail; and the file that the mail becomes."""
    (message,), files = several([1])
    server = mailbox(place, message, f"puller.lie.{word}", more)
    text = account(place, server, "office", **keys) + away("other")
    with gateway(place, text=text, gateway="couriers = 2") as one:
        before = all_couriers(one, 2)
        wait_for(lambda: set(files) <= set(place.files()) and delivered(one), 30,
                 lambda: f"it is not delivered:\n{one.log()}")
        yield one, server
        equal(couriers(one), before, "a courier ended")
        require(" died of signal" not in one.log(), one.log())
        equal((len(delivered(one)), place.files()["1.pdf"]), (1, files["1.pdf"]))
        require(send(one.port, mail(part(pdf(300), "2.pdf"))).startswith("250"))


def gone(server):
    wait_for(lambda: server.count() == 0, 20, "it stays in the mailbox")


@needs_root
def test_puller_is_no_other_source(place):
    """Its socket was made for it; there is nobody who logged in, and no peer."""
    with lying(place, "source") as (one, server):
        gone(server)
        (line,) = delivered(one)
        equal((line["source"], line["peer"], line.get("login")), ("office", "-", None))
        require("nonsense" not in one.log(), one.log())


@needs_root
@rows([(word, word) for word in ("envelope", "explain", "farewell", "retry", "place")])
def test_puller_gives_no_orders(place, word):
    """Once more it asks as it should."""
    with lying(place, word) as (one, server):
        gone(server)
        equal(one.log().count('ask text="source office asked nonsense"'), 1)


@needs_root
@rows([(word, word) for word in ("writable", "directory", "socket", "fifo", "path")])
def test_puller_hands_over_a_file(place, word):
    """What can only be read, and by who hands it over, too: to point at a file of somebody else is not enough."""
    lure = os.path.join(place.folder, "outside", "lure")
    if word == "fifo":
        lay_out(place)
        lure = os.path.join(place.make("state/spool/receiving"), "fifo")
        os.mkfifo(lure)
        os.chmod(lure, 0o666)
    with lying(place, word, lure) as (one, server):
        (line,) = delivered(one, outcome="later")
        require("can only be read" in line["text"], line)
        equal(place.quarantine(), [])
        gone(server)


@needs_root
def test_puller_gives_what_it_tells_of(place):
    """More octets than there are would be a larger budget for what is unpacked."""
    with lying(place, "bytes") as (one, server):
        (line,) = delivered(one, outcome="later")
        require("tells of" in line["text"], line)
        gone(server)


@needs_root
def test_puller_settles_its_own(place):
    """The mark of a device that has heard nothing yet of its delivery: its name alone is no right to it."""
    device = None
    try:
        with gateway(place, log="before.log") as one:
            device = Device(one.port)
            require(device.deliver(scan()).startswith("250"))
            (mark,) = glob.glob(os.path.join(place.state, "spool", "done", "*", "*"))
            device.reset()
            wait_for(lambda: not any("session" in name for _, name in one.children()), 5)
        require(os.path.exists(mark), "it is settled already")
        with lying(place, "mark", mark) as (one, server):
            gone(server)
            require(os.path.exists(mark), "the mark of another is gone")
    finally:
        if device:
            device.close()


@needs_root
@rows([("of another account", "forget", 1), ("seven octets", "odd", 2), ("17 MB", "huge", 2)])
def test_puller_forgets_its_own(place, word, left):
    """A list of what its server still has, here nothing, is for its own ledger; and it must be one."""
    lay_out(place)
    foreign = place.file("state/spool/kept/other", b"x" * RECORD)
    messages, files = several([1, 2])
    server = Server(place)
    server.append(messages[0])
    text = account(place, server, "office", after="keep") + away("other", after="keep")
    with gateway(place, text=text, gateway="couriers = 1") as one:
        ledger = os.path.join(place.state, "spool", "kept", "office")
        wait_for(lambda: os.path.exists(ledger) and os.path.getsize(ledger) == RECORD, 20, "it is not written down")
        server.trick = told(f"puller.lie.{word}")
        server.append(messages[1])
        wait_for(lambda: len(delivered(one)) == 2, 20, "no second one")
        equal((os.path.getsize(ledger), os.path.getsize(foreign)), (left * RECORD, RECORD))
        equal((server.trick.left, set(files) <= set(place.files())), (0, True))
