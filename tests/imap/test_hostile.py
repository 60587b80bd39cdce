"""A server that does what it should not: the puller is never stuck, and nothing is lost, doubled or acknowledged too early."""

from accounts import (Peak, account, address_space_limit, is_on, numbered, pullers, refused, same_lines, several,
                      wait_files)
from harness import IS_SANITIZED, COUNT, equal, require, rows, wait_for
from hostile import Server
from scenarios import ALL

MEMORY = 256 << 10  # kB that a puller may have
PATIENT = 100  # seconds: the longest silence that it may bear, and a pause before it tries again
MAILS = 2


def chosen(is_slow):
    """In a campaign all; else those that are not rare."""
    return [(scenario.name, scenario) for scenario in ALL if scenario.slow == is_slow and (COUNT or not scenario.rare)]


def account_of(place, server, scenario):
    keys = dict(scenario.account)
    return account(place, server, refused="move:Refused", **keys)


@rows(chosen(False))
def test_scenario(place, scenario):
    play(place, scenario)


@rows(chosen(True))
def test_patience(place, scenario):
    """The same where the client has to wait until it has had enough."""
    play(place, scenario)


test_patience.slow = True


def play(place, scenario):
    server = Server(place, scenario.make_trick(), witness=lambda message: is_on(place, message), **scenario.server)
    messages, files = several(range(1, MAILS + 1), 30000)
    if scenario.refused:
        messages, files = [refused(number) for number in range(1, MAILS + 1)], {}
    for message in messages:
        server.arrive(message)
    for number in range(20, 20 + scenario.spares):
        message, its = numbered(number)
        server.spares.append(message)
        if scenario.lasts:
            files.update(its)
    with place.gateway(config=place.config(account_of(place, server, scenario))) as gateway:
        peak = Peak(gateway)
        peak.start()
        if not scenario.lasts:
            wait_for(lambda: server.hits >= scenario.times or is_done(server), PATIENT, lambda: story(server))
            server.be_honest()
        else:
            wait_files(place, files, PATIENT)
        # an hour later nobody remembers: what comes now, comes through
        message, its = numbered(90)
        server.arrive(message)
        wait_for(lambda: server.count() == 0, PATIENT, lambda: story(server))
        files.update(its)
        if scenario.may_refuse:
            require(set(its) <= set(place.files()), "the mail of the honest server")
            equal(len(place.files()) + server.count("Refused"), len(files), "what is on the share or in Refused")
        else:
            files.update(late(server, scenario))
            wait_files(place, files)
        if scenario.refused:
            copies = [octets for name in server.boxes if name != "INBOX" for octets in server.octets(name)]
            require(set(copies) == set(messages), f"{len(copies)} mails are in {sorted(server.boxes)}")
            require(len(copies) <= 3 * len(messages), f"{len(copies)} copies of {len(messages)} refused mails")
        peak.end()
        same_lines(gateway, place)
        require(pullers(gateway), "no puller")
        for pid in pullers(gateway):
            limit = address_space_limit(pid)
            # a sanitizer reserves terabytes
            require(IS_SANITIZED or (limit and limit <= 512 << 20), f"address space: {limit}")
    equal(server.too_early(), [], "acknowledged before the file was on the share")
    equal(server.violations, [], "what a client may not say")
    require(peak.puller <= MEMORY, f"a puller had {peak.puller} kB")
    require(not scenario.cut_at or server.poured <= scenario.cut_at, f"it took {server.poured >> 20} MiB")
    require(all(seconds < PATIENT for seconds in server.stalls), f"it waited {server.stalls}")


def late(server, scenario):
    """Spares that did arrive before the server turned honest."""
    arrived = 0 if scenario.lasts else scenario.spares - len(server.spares)
    return several(range(20, 20 + arrived))[1]


def is_done(server):
    """The step of the trick never came, and didn't need to."""
    return server.count() == 0 and (server.idling() or "NOOP" in server.names()[-3:])


def story(server):
    """What was said, for who reads that it failed."""
    last = [call.line[:100].decode(errors="replace") for call in server.calls[-30:]]
    return (f"{server.hits} tricks, {server.count()} mails left, {len(server.sessions)} sessions; last calls:\n" +
            "\n".join(last))
