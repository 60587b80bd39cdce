"""A role that does what its jail forbids dies, in the middle of its work: what becomes of the mail in hand, of the others,
and of the gateway."""

import os

from harness import Device, equal, needs_root, require, scan, send, wait_for
from misbehave import Server, gateway, mailbox, order, results, sender
from accounts import account, delivered, several


def fresh(place):
    """Names on the share that came by mail."""
    return sorted(set(place.files()) - {"ours", "linked", "way"})


def died(one, who):
    return one.log().count(f'ended text="{who} died of signal 31"')


def delivers(one):
    try:
        return send(one.port, scan()).startswith("250")
    except (OSError, EOFError):
        return False


def pids(one, name):
    return {pid for pid, found in one.children() if found == name}


@needs_root
def test_child(place):
    """Once more in a newly executed extractor, then the mail is refused and put aside whole."""
    with gateway(place, gateway="couriers = 1") as one:
        require(send(one.port, scan()).startswith("250"))
        before = pids(one, "letterchute-ext")
        message = order("child", "socket_inet")
        reply = send(one.port, message)
        require(reply.startswith("554 5.6.0"), reply)
        require("died of signal 31" in one.last(2)["text"], one.last(2))
        (entry,) = place.quarantine()
        with open(os.path.join(place.state, "quarantine", entry, "message.eml"), "rb") as kept:
            equal(kept.read(), message)
        require(send(one.port, scan()).startswith("250"))
        require(not before & pids(one, "letterchute-ext"), "the old template goes on")
        equal((len(fresh(place)), place.staged()), (2, []))


@needs_root
def test_template(place):
    """It is nobody's fault: the mail is for later however often, and never put aside."""
    with gateway(place, gateway="couriers = 1") as one:
        message = order("template", "socket_inet")
        for _ in range(5):
            reply = send(one.port, message)
            require(reply.startswith("4"), reply)
        equal((place.quarantine(), place.spool("tries"), fresh(place), place.staged()), ([], [], [], []))
        require(send(one.port, scan()).startswith("250"))


@needs_root
def test_session(place):
    """Its device hears no 250; the others do not notice."""
    with gateway(place) as one:
        other, device = Device(one.port), Device(one.port)
        other.envelope()
        device.say("EHLO device")
        device.send(f"MAIL FROM:<{sender('session', 'socket_inet')}>\r\n")
        require(device.is_closed(), "it lives")
        require(other.data(scan()).startswith("250"))
        other.quit()
        equal(len(fresh(place)), 1)
        require(results(one.log(), "session") == {"socket_inet": "died"}, one.log())
        equal(died(one, "lan"), 0)


@needs_root
def test_listener(place):
    """Its sessions die with it, none with a 250; another takes the same port."""
    with gateway(place) as one:
        other = Device(one.port)
        other.envelope()
        require(not delivers_for(one, sender("listener", "socket_inet")), "it got a 250")
        require(b"250" not in last_words(other), "a session outlives its listener")
        wait_for(lambda: delivers(one), 30, "the port is dead")
        equal((died(one, "lan"), len(fresh(place)), place.staged()), (1, 1, []))


def last_words(device):
    """What it still hears before the connection ends: nothing, or 421."""
    heard = b""
    try:
        while octets := device.socket.recv(4096):
            heard += octets
    except ConnectionError:
        pass
    return heard


def delivers_for(one, who):
    try:
        return send(one.port, scan(), sender=who).startswith("250")
    except (OSError, EOFError):
        return False


@needs_root
def test_door(place):
    """Who stands at it is asked to come again; those who come by SMTP do not notice."""
    with gateway(place, route="name = {name}") as one:
        config = os.path.join(place.folder, "gateway.conf")
        done = place.run("drop", "-c", config, "--from", sender("door", "socket_inet"), stdin=scan())
        equal(done.returncode, 75, done.stderr)
        require(died(one, "door") >= 1, one.log())
        require(send(one.port, scan()).startswith("250"))
        equal(place.run("drop", "-c", config, stdin=scan()).returncode, 0)
        equal((len(fresh(place)), place.staged()), (2, []))


@needs_root
def test_courier(place):
    """Another courier tries; then it is for later; a mail that brought down three is refused and put aside whole. The other
    couriers deliver meanwhile."""
    message = order("courier", "socket_inet")
    with gateway(place, gateway="couriers = 3") as one:
        wait_for(lambda: len(place.spool("lives")) == 3, 10, "three couriers")
        seen = set(place.spool("lives"))

        def are_replaced(count):
            """The dead are counted when the keeper finds them."""
            lives = set(place.spool("lives"))
            seen.update(lives)
            return died(one, "courier") == count and (len(lives), len(seen)) == (3, 3 + count)

        for turn in range(10):
            reply = send(one.port, message, sender=sender("courier", "socket_inet"))
            require(send(one.port, scan()).startswith("250"), "another mail")
            if not reply.startswith("451"):
                break
            wait_for(lambda: are_replaced(2 * turn + 2), 60, "they do not come back")
        require(reply.startswith("554 5.6.0"), reply)
        require(3 <= died(one, "courier") <= 4, one.log())
        (entry,) = place.quarantine()
        with open(os.path.join(place.state, "quarantine", entry, "message.eml"), "rb") as kept:
            equal(kept.read(), message)
        equal((len(fresh(place)), place.staged()), (turn + 1, []))


@needs_root
def test_keeper(place):
    """It is started again; nobody waits for it."""
    one = gateway(place)
    with one:
        pass
    os.chmod(place.file("state/spool/misbehave", sender("keeper", "socket_inet")), 0o666)
    with one:
        require(send(one.port, scan()).startswith("250"))
        wait_for(lambda: died(one, "keeper") == 1, 30, "it lives")
        require(send(one.port, scan()).startswith("250"))
        wait_for(lambda: len(pids(one, "letterchute-kee")) == 1, 30, "it stays away")
        equal((len(fresh(place)), place.staged()), (2, []))


@needs_root
def test_puller(place):
    """Another takes its place and delivers, once; those of other accounts do not notice, nor does the couriers' work end."""
    messages, files = several(range(2))
    good, bad = Server(place), mailbox(place, messages[0], "puller.listen_any")
    with gateway(place, text=account(place, good, "good") + account(place, bad, "bad")) as one:
        wait_for(lambda: died(one, "bad") == 1 and good.idling(), 20, "it lives")
        good.append(messages[1])
        require(send(one.port, scan()).startswith("250"))
        wait_for(lambda: bad.count() + good.count() == 0, 20, "a mail waits")
        equal({name: place.files()[name] for name in files}, files)
        equal((len(delivered(one, "bad")), len(delivered(one, "good")), died(one, "good")), (1, 1, 0))
        equal((len(fresh(place)), place.staged(), place.quarantine()), (3, [], []))
