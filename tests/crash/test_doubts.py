"""A device that did not hear its 250 tries again: nothing is lost, nothing comes twice."""

import cut
from harness import COUNT, Device, Watch, equal, needs_root, require, rows, scan, send, wait_for
from points import PATIENT, children, is_clean, listener, restart, saw_whole, stop_and_start, tell


def difference(found, wanted):
    """What is on the share and should not be, and the other way round; few enough to be read."""
    names = sorted(set(found) ^ set(wanted))
    names += [name for name in wanted if found.get(name, wanted[name]) != wanted[name]]
    return f"{len(names)} files differ: {names[:20]}"


def test_cut_connections(place):
    """Cut between the last octet of the mail and the reply, or in it, or by the death of the session."""
    count = COUNT or 300
    watch = Watch(place.share)
    with place.gateway(gateway="couriers = 3") as gateway:
        files = cut.deliver_all(gateway.port, count, listener(gateway))
        wait_for(lambda: set(place.files()) >= set(files), PATIENT, "files are lost")
        found = place.files()
        require(found == files, difference(found, files))
        saw_whole(watch)
        gateway.stop()
        # who heard 250 from a session that was killed right after it tries no more: that doubt nobody asks about
        require(len(place.marks()) <= len(cut.SESSIONS_KILLED), f"doubts stay: {len(place.marks())}")
        gateway.start()
        is_clean(place, 3)
    tell("cut connections", count)


def lose_the_answer(place, gateway, message):
    """It is here, and the device never reads it."""
    device = Device(gateway.port)
    device.envelope()
    device.say("DATA")
    device.send(message + b".\r\n")
    wait_for(place.files, PATIENT, "it is not delivered")
    device.reset()
    wait_for(lambda: not children(listener(gateway)), PATIENT, "its session stays")


@needs_root
@rows([("is killed", lambda place, gateway: restart(gateway)),
       ("ends", lambda place, gateway: stop_and_start(place, gateway, True))])
def test_doubt_outlives_a_gateway(place, end):
    """... that is killed, or ends in order; the doubt answers once."""
    with place.gateway() as gateway:
        message = scan(9000)
        lose_the_answer(place, gateway, message)
        end(place, gateway)
        for files in (1, 2):
            require(send(gateway.port, message).startswith("250"))
            equal(len(place.files()), files)
        wait_for(lambda: not place.marks(), PATIENT, "a doubt stays")


def test_doubt_of_one_is_none_of_another(place):
    """The same octets for somebody else are another message."""
    with place.gateway() as gateway:
        message = scan(9000)
        lose_the_answer(place, gateway, message)
        require(send(gateway.port, message, to=("others@example.org",)).startswith("250"))
        equal(len(place.files()), 2)
        require(send(gateway.port, message).startswith("250"))
        equal(len(place.files()), 2)


def test_each_doubt_answers_once(place):
    """Two identical alarms whose answers were both lost, both sent again: two files."""
    with place.gateway() as gateway:
        message, devices = scan(9000), [Device(gateway.port) for _ in range(2)]
        for device in devices:
            device.envelope()
            device.say("DATA")
            device.send(message + b".\r\n")
        wait_for(lambda: len(place.files()) == 2 and len(place.marks()) == 2, PATIENT, "they are not delivered")
        for device in devices:
            device.reset()
        wait_for(lambda: not children(listener(gateway)), PATIENT, "a session stays")
        for _ in devices:
            require(send(gateway.port, message).startswith("250"))
        equal(len(place.files()), 2)
        wait_for(lambda: not place.marks(), PATIENT, "a doubt stays")


def test_half_closed_device_knows(place):
    """A device that says it will send no more, and reads its 250, leaves no doubt."""
    with place.gateway() as gateway:
        message = scan(9000)
        for files in (1, 2):
            require(cut.try_once(gateway.port, message, cut.half_closed, None, listener(gateway)), "it is not told")
            wait_for(lambda: not place.marks(), PATIENT, "a doubt stays")
            equal(len(place.files()), files)
