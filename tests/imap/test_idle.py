"""Mail that comes at any moment is delivered at once: neither a new IDLE nor another mail is needed for it."""

import time

from accounts import WAYS, account, several, wait_files
from certs import certs
from dovecot import Dovecot
from harness import equal, rows, wait_for
from relay import Relay

SOON = 10  # seconds, where the next IDLE would be begun after nine minutes
BY_ALL_WAYS = [(way, way) for way in WAYS]


def start(place, server, way, **more):
    config = place.config(account(place, server, tls=way, fast=False, **more))
    return place.gateway(config=config)


def is_settled(place, server, files):
    wait_files(place, files, SOON)
    wait_for(lambda: server.count() == 0, SOON, "the mails stay in the mailbox")


@rows(BY_ALL_WAYS)
def test_while_idling(place, way):
    server, files = Dovecot(place), {}
    with start(place, server, way) as gateway:
        for number in range(3):
            server.wait_idling()
            messages, its = several([number])
            server.append_all(messages)
            files.update(its)
            is_settled(place, server, files)
        equal([line["outcome"] for line in gateway.lines()], ["delivered"] * 3)


@rows(BY_ALL_WAYS)
def test_what_is_there_already(place, way):
    server = Dovecot(place)
    messages, files = several(range(10))
    server.append_all(messages)
    with start(place, server, way):
        is_settled(place, server, files)


@rows(BY_ALL_WAYS)
def test_between_search_and_idle(place, way):
    """20 of 20: each time when the puller says IDLE there is another mail, which Dovecot tells together with the +."""
    server, (messages, files) = Dovecot(place), several(range(20))
    waiting = list(messages)

    def hook(command):
        if command == b"IDLE" and waiting:
            server.append(waiting.pop(0))
    relay = Relay(place, server, way, certs().server(), hook)
    with start(place, relay, way):
        wait_for(lambda: not waiting, 20 * SOON, lambda: f"{len(waiting)} mails were never asked for")
        is_settled(place, server, files)


@rows(BY_ALL_WAYS)
def test_during_a_fetch(place, way):
    """While one is fetched the next one comes, and while it is marked and expunged the next."""
    server, (messages, files) = Dovecot(place), several(range(12), 40000)
    waiting, told = list(messages), set()

    def hook(command):
        step = next((word for word in (b"FETCH", b"STORE", b"EXPUNGE", b"SEARCH") if word in command), None)
        if waiting and step and step not in told:
            told.add(step)
            server.append(waiting.pop(0))
            if len(told) == 4:
                told.clear()
    relay = Relay(place, server, way, certs().server(), hook)
    with start(place, relay, way):
        server.append(waiting.pop(0))
        while waiting:
            count = len(waiting)
            wait_for(lambda: len(waiting) < count or server.idling(), SOON, "nothing is fetched")
            time.sleep(0.3)
            if len(waiting) == count:
                server.append(waiting.pop(0))
        is_settled(place, server, files)


@rows([(f"{count}, {way}", way, count) for way in WAYS for count in (2, 5)] +
      [(f"{count}, {way}", way, count) for way in WAYS[:1] for count in (3, 4)])
def test_burst(place, way, count):
    """So many within a second, at different distances; after each burst there is silence."""
    server, files, number = Dovecot(place), {}, 0
    with start(place, server, way):
        server.wait_idling()
        for pause in (0, 0.02, 0.1, 0.45, 0.55):
            for _ in range(count):
                messages, its = several([number], 20000)
                server.append_all(messages)
                files.update(its)
                number += 1
                time.sleep(pause)
            is_settled(place, server, files)


@rows([(f"{name}, {way}", way, end) for way in WAYS
       for name, end in (("its session killed", Dovecot.kick), ("the server restarted", Dovecot.restart))])
def test_during_a_reconnect(place, way, end):
    server = Dovecot(place)
    (first, second), files = several(range(2))
    with start(place, server, way):
        server.wait_idling()
        end(server)
        server.append(first)
        is_settled(place, server, dict(list(files.items())[:1]))
        server.wait_idling()
        server.append(second)
        is_settled(place, server, files)


@rows(BY_ALL_WAYS)
def test_down_at_the_start(place, way):
    """The server comes up after the gateway."""
    server = Dovecot(place, start=False)
    messages, files = several(range(2))
    with start(place, server, way):
        time.sleep(1.5)
        server.start()
        server.append_all(messages)
        is_settled(place, server, files)


def test_without_idle(place):
    """Where the server can't tell, it is asked."""
    server = Dovecot(place, without=("IDLE",))
    messages, files = several(range(2))
    with place.gateway(config=place.config(account(place, server))):
        for count in (1, 2):
            server.append(messages[count - 1])
            is_settled(place, server, dict(list(files.items())[:count]))
            time.sleep(1.5)
        require_no_idle(server)


def require_no_idle(server):
    equal(server.idling(), [], "it idles although that was not offered")


def test_two_accounts_on_one_server(place):
    """Each puller sees to its own mailbox."""
    server, files = Dovecot(place), {}
    text = account(place, server, user="one") + account(place, server, name="home", user="two")
    with place.gateway(config=place.config(text)) as gateway:
        for number, user in enumerate(("one", "two", "one")):
            messages, its = several([number])
            server.append_all(messages, user=user)
            files.update(its)
        wait_files(place, files, SOON)
        wait_for(lambda: len(gateway.lines()) == 3, SOON, "a line is missing")
        equal(sorted(line["source"] for line in gateway.lines()), ["home", "office", "office"])


def test_another_mailbox(place):
    server = Dovecot(place)
    server.create("Scans/In")
    (message, other), files = several(range(2))
    server.append(other)
    server.append(message, "Scans/In")
    with place.gateway(config=place.config(account(place, server, mailbox="Scans/In"))):
        wait_files(place, {"0.pdf": files["0.pdf"]}, SOON)
        wait_for(lambda: server.count("Scans/In") == 0, SOON, "it stays in the mailbox")
        equal(server.count(), 1)
