"""The same against Courier-IMAP: other separators, no MOVE, no UIDNEXT, and a server that tells late or never."""

from accounts import account, refused, several, wait_files
from courier import Courier
from harness import COUNT, equal, needs_root, rows, wait_for

SOON = 15


def is_settled(place, server, files):
    wait_files(place, files, SOON)
    wait_for(lambda: server.count() == 0, SOON, "the mails stay in the mailbox")


@needs_root
def test_asked_again_and_again(place):
    """It has no IDLE: what comes is found by polling."""
    server, files = Courier(place, idle=False), {}
    with place.gateway(config=place.config(account(place, server))):
        for number in range(4 if COUNT else 2):
            messages, its = several([10 * number, 10 * number + 1])
            server.append_all(messages)
            files.update(its)
            is_settled(place, server, files)


@needs_root
def test_idle_that_tells_late(place):
    """IDLE is begun anew after three seconds, and the mailbox looked at each time."""
    server, files = Courier(place), {}
    with place.gateway(config=place.config(account(place, server))):
        for number in range(6 if COUNT else 2):
            messages, its = several([number])
            server.append_all(messages)
            files.update(its)
            is_settled(place, server, files)


@needs_root
@rows([("a box", "INBOX/Done", "INBOX.Done"), ("a name", "INBOX/Geprüft/& mehr", "INBOX.Gepr&APw-ft.&- mehr")])
def test_moved_to(place, name, on_the_wire):
    """Without MOVE: copied, then expunged; and what somebody else marked stays."""
    server, (messages, files) = Courier(place), several(range(3))
    server.append_all(messages)
    server.append(several([9])[0][0], flags=["\\Deleted"])
    with place.gateway(config=place.config(account(place, server, after=f"move:{name}"))):
        wait_files(place, files, SOON)
        wait_for(lambda: server.count() == 1, SOON, "the mails stay in the mailbox")
        equal(server.count(on_the_wire), 3, server.mailboxes())


@needs_root
def test_refused(place):
    server, message = Courier(place), refused(1)
    server.append(message)
    with place.gateway(config=place.config(account(place, server, refused="move:INBOX/Refused"))):
        wait_for(lambda: server.count() == 0, SOON, "it stays in the mailbox")
        equal(list(server.messages("INBOX.Refused").values()), [message])


@needs_root
@rows([(fate, fate) for fate in ("seen", "flag:$Mine", "keep")])
def test_stays(place, fate):
    server, (messages, files) = Courier(place), several(range(3))
    server.append_all(messages)
    config = place.config(account(place, server, after=fate))
    for _ in range(2):
        done = place.run("once", "-c", config)
        equal(done.returncode, 0, done.stderr.decode())
        wait_files(place, files, 1)
    equal(server.count(), 3)
