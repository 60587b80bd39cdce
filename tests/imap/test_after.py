"""What becomes of a mail when its files are on the share, or when it was refused."""

import re

from accounts import account, numbered, refused, same, several, wait_files
from dovecot import Dovecot
from harness import equal, require, rows, wait_for
from hostile import Server

MINE = "Mine"
NAME, ON_THE_WIRE = "Geprüft/Büro & Söhne", "Gepr&APw-ft/B&APw-ro &- S&APY-hne"


class Bed:
    """A server, an account of it, and `once`: the mailbox is seen to, and the program ends."""

    def __init__(self, place, server, **keys):
        self.place, self.server, self.files = place, server, {}
        self.config = place.config(account(place, server, **keys))

    def arrives(self, number, mailbox="INBOX", flags=()):
        message, files = numbered(number)
        self.files.update(files)
        return self.server.append(message, mailbox, flags)

    def pull(self, wanted=0):
        """The lines of the messages that it saw to."""
        done = self.place.run("once", "-c", self.config)
        text = done.stderr.decode(errors="replace")
        equal(done.returncode, wanted, text)
        self.log = text
        return re.findall(r"outcome=(\w+)", text)

    def has_all(self):
        same(self.place.files(), self.files)


def scripted(*without):
    """A server that serves nothing that it doesn't announce."""
    return lambda place: Server(place, without=without, more=("NAMESPACE",))


SERVERS = {"Dovecot": Dovecot, "a server with all": scripted(), "one without MOVE": scripted("MOVE"),
           "one without UIDPLUS": scripted("UIDPLUS"), "one without both": scripted("MOVE", "UIDPLUS")}


def stays(*flags):
    def check(server, uid, box):
        equal(server.flags(), {uid: list(flags)}, "what is in INBOX")
    return check


def goes(to=None):
    def check(server, uid, box):
        equal(server.count(), 0, "what is left in INBOX")
        if to:
            equal(server.count(to), 1, f"what is in {to}")
            equal(list(server.flags(to).values()), [[]], "its flags")
    return check


FATES = [("expunge", goes()), ("move:Done", goes("Done")), ("seen", stays("\\Seen")), (f"flag:{MINE}", stays(MINE)),
         ("flag:$Scanned", stays("$Scanned")), ("keep", stays())]


def no_violations(server):
    equal(getattr(server, "violations", []), [], "what a client may not say")


@rows([(f"{fate}, {name}", fate, check, make) for fate, check in FATES for name, make in SERVERS.items()])
def test_after(place, fate, check, make):
    """... and it is not delivered again."""
    bed = Bed(place, make(place), after=fate)
    uid = bed.arrives(1)
    equal(bed.pull(), ["delivered"])
    check(bed.server, uid, "INBOX")
    equal(bed.pull(), [])
    check(bed.server, uid, "INBOX")
    bed.has_all()
    bed.arrives(2)
    equal(bed.pull(), ["delivered"])
    bed.has_all()
    no_violations(bed.server)


@rows([(f"{fate}, {name}", fate, check, make)
       for fate, check in (("move:Refused", goes("Refused")), (f"flag:{MINE}", stays(MINE)), ("keep", stays()),
                           ("expunge", goes()))
       for name, make in SERVERS.items()])
def test_refused(place, fate, check, make):
    """... and it is not looked at again."""
    bed = Bed(place, make(place), refused=fate)
    uid = bed.server.append(refused(1))
    equal(bed.pull(), ["refused"])
    check(bed.server, uid, "INBOX")
    equal(bed.pull(), [])
    check(bed.server, uid, "INBOX")
    bed.has_all()
    no_violations(bed.server)


def test_refused_by_default(place):
    """Without a word about it a refused mail is moved to Refused, whole."""
    server = Dovecot(place)
    bed, message = Bed(place, server), refused(1)
    server.append(message)
    bed.pull()
    equal(list(server.messages("Refused").values()), [message])


@rows(list(SERVERS.items()))
def test_box_that_is_there(place, make):
    """It is not made anew, and what is in it stays."""
    bed = Bed(place, make(place), after="move:Done")
    bed.server.create("Done")
    bed.server.append(refused(7), "Done")
    bed.arrives(1)
    equal(bed.pull(), ["delivered"])
    equal((bed.server.count("Done"), bed.server.count()), (2, 0))


# --- what belongs to others -----------------------------------------------------------------------------------------

@rows([(f"{fate}, {name}", fate, make) for fate in ("expunge", "move:Done") for name, make in SERVERS.items()])
def test_deleted_by_another(place, fate, make):
    """What somebody else marked \\Deleted is his to expunge: it stays, and is not delivered."""
    bed = Bed(place, make(place), after=fate)
    foreign = bed.server.append(numbered(50)[0], flags=["\\Deleted"])
    bed.arrives(1)
    bed.arrives(2)
    equal(bed.pull(), ["delivered"] * 2)
    require(foreign in bed.server.uids(), "it was expunged")
    equal(bed.pull(), [])
    bed.has_all()
    # and when he has done so, nothing of ours is left
    others = set(bed.server.uids()) - {foreign}
    bed.server.expunge(foreign) if hasattr(bed.server, "expunge") else bed.server.inbox.messages.pop(foreign)
    equal(bed.pull(), [])
    equal(bed.server.uids(), [], f"left over: {others}")
    bed.has_all()


@rows([("expunge", "expunge", ["\\Seen", "\\Flagged", MINE], 1), ("expunge, deleted", "expunge", ["\\Deleted"], 0),
       ("move, deleted", "move:Done", ["\\Deleted"], 0), ("move, seen", "move:Done", ["\\Seen"], 1),
       ("seen, seen", "seen", ["\\Seen"], 0), ("seen, deleted and unseen", "seen", ["\\Flagged"], 1),
       ("flag, flagged so", f"flag:{MINE}", [MINE], 0), ("flag, seen", f"flag:{MINE}", ["\\Seen"], 1),
       ("keep, seen and flagged", "keep", ["\\Seen", "\\Flagged"], 1)])
def test_which_are_taken(place, fate, flags, count):
    bed = Bed(place, Dovecot(place), after=fate)
    bed.server.append(numbered(1)[0], flags=flags)
    equal(bed.pull(), ["delivered"] * count)
    equal(len(place.files()), count)


# --- names of mailboxes ---------------------------------------------------------------------------------------------

DOTS = dict(separator=".", prefix="INBOX.")


@rows([("separator /", {}, "Scans/In", "Scans/In", "Scans/Done", "Scans/Done"),
       ("separator .", dict(separator="."), "Scans/In", "Scans.In", "Scans/Done", "Scans.Done"),
       ("separator . below INBOX", DOTS, "INBOX/In", "INBOX.In", "INBOX/Done/Old", "INBOX.Done.Old"),
       ("not ASCII", {}, NAME, ON_THE_WIRE, f"{NAME}/fertig", f"{ON_THE_WIRE}/fertig"),
       ("not ASCII, separator .", dict(separator="."), NAME, ON_THE_WIRE.replace("/", "."), "Büro",
        "B&APw-ro"),
       ("an &", {}, "a & b", "a &- b", "x&y", "x&-y"),
       ("quotes and blanks", {}, 'In "the" box', 'In "the" box', "so \\ so", "so \\ so")])
def test_name(place, layout, box, box_on_the_wire, target, target_on_the_wire):
    server = Dovecot(place, **layout)
    server.create(box_on_the_wire)
    bed = Bed(place, server, mailbox=box, after=f"move:{target}")
    bed.arrives(1, box_on_the_wire)
    equal(bed.pull(), ["delivered"])
    bed.has_all()
    equal((server.count(box_on_the_wire), server.count(target_on_the_wire)), (0, 1), server.mailboxes())


@rows([("below INBOX", "INBOX.Refused"), ("anywhere", "Refused")])
def test_refused_box_of_a_server_with_dots(place, box):
    """The default has a place on servers that keep all below INBOX, too."""
    server = Dovecot(place, **(DOTS if box.startswith("INBOX") else dict(separator=".")))
    bed = Bed(place, server)
    server.append(refused(1))
    equal(bed.pull(), ["refused"])
    equal((server.count(), server.count(box)), (0, 1), server.mailboxes())


def test_mailbox_that_there_is_not(place):
    """... is said, and nothing is made of it."""
    server = Dovecot(place)
    bed = Bed(place, server, mailbox="Scnas")
    bed.pull(69)
    require("Scnas" in bed.log, bed.log)
    equal(server.mailboxes(), ["INBOX"])


# --- messages that stay ---------------------------------------------------------------------------------------------

STAYING = ("keep", "seen", f"flag:{MINE}")


@rows([(fate, fate) for fate in STAYING])
def test_stays_and_is_known(place, fate):
    """After restarts, and by the running gateway, which goes on with what is new."""
    bed = Bed(place, Dovecot(place), after=fate)
    for number in range(5):
        bed.arrives(number)
    equal(bed.pull(), ["delivered"] * 5)
    bed.arrives(5)
    for wanted in (["delivered"], [], []):
        equal(bed.pull(), wanted)
    bed.has_all()
    equal(bed.server.count(), 6)


def test_kept_under_a_new_validity(place):
    """The server numbers anew between two runs: equal octets are the same mail, and the log says of each that it is."""
    bed = Bed(place, Dovecot(place), after="keep")
    for number in range(3):
        bed.arrives(number)
    equal(bed.pull(), ["delivered"] * 3)
    bed.server.new_validity()
    bed.arrives(3)
    bed.pull()
    equal(bed.log.count("known=yes"), 3, bed.log)
    bed.has_all()
    equal(bed.pull(), [])
    bed.has_all()


def test_kept_under_a_new_validity_meanwhile(place):
    """The same while the gateway runs: it says so."""
    bed = Bed(place, Dovecot(place), after="keep")
    for number in range(3):
        bed.arrives(number)
    with place.gateway(config=bed.config) as gateway:
        wait_files(place, bed.files)
        bed.server.new_validity()
        bed.server.kick()
        bed.arrives(3)
        wait_files(place, bed.files)
        wait_for(lambda: re.search(r"UIDVALIDITY", gateway.log()), 10, "the log is silent about it")


def test_kept_in_a_box_made_anew(place):
    """The same mail put into a new box of the same name is the same mail; another one is another."""
    server = Dovecot(place)
    server.create("Scans")
    bed = Bed(place, server, after="keep", mailbox="Scans")
    message, files = numbered(1)
    bed.files.update(files)
    server.append(message, "Scans")
    equal(bed.pull(), ["delivered"])
    server.recreate("Scans")
    server.append(message, "Scans")
    bed.arrives(2, "Scans")
    bed.pull()
    bed.has_all()


def test_equal_mails_are_two(place):
    """Two mails of the same octets in one box are two."""
    bed = Bed(place, Dovecot(place))
    message, files = numbered(1)
    for _ in range(2):
        bed.server.append(message)
    equal(bed.pull(), ["delivered"] * 2)
    equal(sorted(place.files()), ["1 (2).pdf", "1.pdf"])


def test_refused_and_kept_until_the_policy_changes(place):
    bed = Bed(place, Dovecot(place), refused="keep")
    bed.server.append(refused(1))
    equal(bed.pull(), ["refused"])
    equal(bed.pull(), [])
    text = account(place, bed.server, refused="keep")
    bed.config = place.config(text, route="types = pdf, png")
    # whatever the new policy says of it, it is asked
    equal(len(bed.pull()), 1)


def test_received_is_the_internal_date(place):
    """{received} of a mail is when the server got it."""
    server = Dovecot(place)
    bed = Bed(place, server)
    bed.config = place.config(account(place, server), route="name = {received:%Y-%m-%d}_{name}")
    server.append(numbered(1)[0], date='"14-Mar-2021 11:12:13 +0000"')
    equal(bed.pull(), ["delivered"])
    equal(list(place.files()), ["2021-03-14_1.pdf"])


def test_once_waits_for_nobody(place):
    """An empty mailbox is no reason to stay."""
    bed = Bed(place, Dovecot(place))
    equal(bed.pull(), [])


def test_once_beside_a_gateway(place):
    bed = Bed(place, Dovecot(place))
    with place.gateway(config=bed.config):
        bed.pull(69)


def test_large_mail(place):
    """Larger than what is fetched at a time, and than what is held in memory."""
    server = Dovecot(place)
    bed = Bed(place, server)
    messages, bed.files = several([1, 2], 25 << 20)
    server.append_all(messages)
    equal(bed.pull(), ["delivered"] * 2)
    bed.has_all()
