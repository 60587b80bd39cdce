"""kill -9 at each command, before the server has done it and after: each mail is on the share once, none is left."""

import contextlib
import os
import signal

from accounts import account, is_on, pullers, refused, several, wait_files
from harness import COUNT, equal, require, rows, wait_for
from hostile import Gone, Server, Trick
from scenarios import BY_HAND, LOGIN

SOON = 20
KINDS = {"": {}, "COPY": dict(without=("MOVE",)), "no UIDPLUS": dict(without=("UIDPLUS",))}
MAILS = 3
# command, server, whether the mails are refused
STEPS = [("greeting", "", False), (LOGIN, "", False), ("SELECT", "", False), ("SEARCH", "", False), ("FETCH", "", False),
         ("STORE", "", False), ("EXPUNGE", "", False), ("IDLE", "", False), ("DONE", "", False), ("MOVE", "", True),
         ("CREATE", "", True), ("COPY", "COPY", True), ("STORE", "COPY", True), ("EXPUNGE", "COPY", True),
         ("STORE", "no UIDPLUS", False), ("EXPUNGE", "no UIDPLUS", False)]


def kill(pids):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class Death:
    """A trick that kills; `gateway` is told when there is one."""

    def __init__(self, everybody, performs):
        self.everybody, self.performs, self.gateway, self.struck = everybody, performs, None, 0

    def __call__(self, session, call):
        if self.performs:
            session.perform(call)
        pids = pullers(self.gateway)
        if self.everybody:
            pids = [self.gateway.process.pid, *(pid for pid, _ in self.gateway.children())]
        kill(pids)
        if self.everybody:
            self.gateway.process.wait(20)
        self.struck += 1
        raise Gone


def cases():
    for number, (step, kind, refuses) in enumerate(STEPS):
        for performs in (False, True):
            if performs and (step in BY_HAND or step == "greeting"):
                continue
            for everybody in (False, True):
                if not COUNT and everybody != ((number + performs) % 2 == 0):
                    continue
                label = step if isinstance(step, str) else step[0]
                yield (f"{'all' if everybody else 'the puller'} {'after' if performs else 'before'} {label}" +
                       (f", {kind}" if kind else "") + (", refused mails" if refuses else ""),
                       step, KINDS[kind], refuses, performs, everybody)


def story(server, death):
    return f"{death.struck} deaths; these mails stay, with these flags: {server.flags()}"


@rows(list(cases()))
def test_killed(place, step, kind, refuses, performs, everybody):
    """Twice, at the first and at the second time that it says this."""
    death = Death(everybody, performs)
    server = Server(place, Trick(step, death), witness=lambda message: is_on(place, message), **kind)
    messages, files = ([refused(number) for number in range(MAILS)], {}) if refuses else several(range(MAILS))
    for message in messages:
        server.append(message)
    config = place.config(account(place, server))
    death.gateway = gateway = place.gateway(config=config)
    gateway.start(ready=not everybody)
    for times in (1, 2):
        wait_for(lambda: death.struck >= times or (server.count() == 0 and server.idling()), SOON,
                 lambda: story(server, death))
        if gateway.process.poll() is not None:
            gateway.start(ready=times == 2)
    server.be_honest()
    if gateway.process.poll() is not None:
        gateway.start()
    with contextlib.ExitStack() as stack:
        stack.push(gateway.__exit__)
        wait_for(lambda: server.count() == 0, SOON, lambda: story(server, death))
        message, its = several([90])
        server.append(message[0])
        wait_files(place, {**files, **its}, SOON)
        wait_for(lambda: server.count() == 0, SOON, "the last one stays")
        wait_for(lambda: not place.staged(), SOON, lambda: f"staged: {place.staged()}")
    equal(server.too_early(), [], "acknowledged before the file was on the share")
    equal(server.violations, [])
    if refuses:
        found = server.octets("Refused")
        require(set(found) == set(messages), f"{len(found)} mails are in Refused")
        # a copy can't be taken back, nor is it known to who comes after
        require(len(found) == MAILS or step in ("COPY", "STORE", "EXPUNGE"), f"{len(found)} copies in Refused")
