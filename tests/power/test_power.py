"""The power goes at any moment of many deliveries, on each file system: what a device heard 250 for is there, whole and
with its owner; after the next start every mail is there exactly once, and new ones are taken at once."""

import contextlib
import dataclasses
import os
import random
import shutil
import tempfile

import disks
import workload
from harness import BUILD, COUNT, ROOT, Place, needs_root, require, rows, send, wait_for

STATES = COUNT or 60  # of each file system
WEAK = os.path.join(ROOT, "build-weak", "tests", "power")
DEVICES, TURNS = 6, 8
ROUND = 50  # states that are taken from one run of the gateway, at most
FAULTS = ("lost", "partial", "rights", "doubled", "late", "litter", "unusable")


@dataclasses.dataclass
class Trial:
    """A kind of file system, on one disk or with share and state on two; what was sent to it; what was found."""
    place: object
    kind: disks.Kind
    memory: str  # a folder for images
    points: list  # where the disks are mounted
    images: list  # the disks before the work
    config: str = None
    wanted: list = None  # rights of a file, of a folder
    devices: list = None  # mails of each
    fresh: workload.Mail = None  # comes when all is well again
    log: str = None
    records: list = None
    states: int = 0
    unreadable: list = dataclasses.field(default_factory=list)
    plans: int = 0  # that the cuts left to be rolled forward
    faults: dict = dataclasses.field(default_factory=lambda: {fault: [] for fault in FAULTS})

    @property
    def mails(self):
        return [one for mails in self.devices for one in mails] + [self.fresh]

    def note(self, fault, label, what):
        self.faults[fault].extend(f"{label}: {one}" for one in what)


# --- the work that is cut off -----------------------------------------------------------------------------------------

def prepare(place, kind, count):
    """Empty disks with a share on the first and room for the state on the last."""
    memory = place.make("memory")
    place.mount("mount", "-t", "tmpfs", "none", memory, at=memory)
    points = [place.make(f"disk-{number}") for number in range(count)]
    images = [disks.make_image(disks.KINDS[kind], os.path.join(memory, f"base-{number}")) for number in range(count)]
    trial = Trial(place, disks.KINDS[kind], memory, points, images)
    place.share, place.state = os.path.join(points[0], "share"), os.path.join(points[-1], "state")
    with disks.mounted(trial.kind, images, points):
        trial.wanted = workload.prepare_share(place.share)
    trial.config = place.config(workload.ROUTES, route=None, share=workload.SHARE, gateway=workload.GATEWAY)
    trial.devices = workload.make_mails(DEVICES, TURNS)
    trial.fresh = workload.make_mail("fresh", 0, random.Random(0), to="deep")
    return trial


def work(trial):
    """Runs the gateway on logged disks, and lets the devices send."""
    folder = tempfile.mkdtemp(dir=trial.memory)
    trial.log = os.path.join(folder, "log")
    with disks.logged(folder, trial.images, trial.log) as devices, disks.mounted(trial.kind, devices, trial.points):
        with trial.place.gateway(config=trial.config, log="work.log") as gateway:
            troubles = workload.run_devices(gateway.port, trial.devices)
        trial.records = disks.read_log(trial.log, os.path.getsize(trial.log))
    require(not troubles, troubles)


# --- one state of the disks -------------------------------------------------------------------------------------------

def unfinished(place):
    """Lives and plans in the spool."""
    return {(name, one) for name in ("lives", "publishing") for one in place.spool(name)}


def litter(place):
    base = os.path.join(place.share, ".letterchute")
    return (sorted(unfinished(place)) + [("receiving", name) for name in place.spool("receiving")] +
            [("quarantine", name) for name in place.quarantine() if name[0] == "."] +
            [("staging", name) for name in os.listdir(base) if name != "id"])


def incomplete(mails, seen):
    return [f"{one.label} lacks {missing}" for one in mails if (missing := workload.missing(one, seen))]


def look(trial, label):
    """What is seen, at any time, is whole and has its owner."""
    seen = workload.look(trial.place, trial.mails, trial.wanted)
    trial.note("partial", label, seen.partial)
    trial.note("rights", label, seen.rights)
    trial.note("doubled", label, workload.doubled(seen))
    return seen


def send_again(trial, label, port, mails):
    """Senders without an answer try again, and a new mail comes: all get their answer at once."""
    for one in mails:
        reply = send(port, one.message, to=(one.to,))
        if not one.is_answered(reply):
            trial.note("late", label, [f"{one.label}: {reply}"])


def check_start(trial, label, acknowledged, waiting):
    """What the next start makes of it."""
    place, left = trial.place, unfinished(trial.place)
    with place.gateway(config=trial.config, log="after.log") as gateway:
        wait_for(lambda: not left & unfinished(place), 30, lambda: f"it is not adopted:\n{gateway.fresh_log()}")
        trial.note("lost", label, incomplete(acknowledged, look(trial, label)))
        send_again(trial, label, gateway.port, waiting)
    trial.note("lost", label, incomplete(acknowledged + waiting, look(trial, label)))
    trial.note("litter", label, litter(place))


def check_state(trial, label, moment):
    """What was acknowledged before the moment of the cut is to be there."""
    acknowledged = [one for one in trial.mails if one.was_acknowledged(moment)]
    waiting = [one for one in trial.mails if one.was_begun(moment) and not one.was_acknowledged(moment)]
    look(trial, label)
    trial.plans += len(trial.place.spool("publishing"))
    check_start(trial, label, acknowledged, waiting + [trial.fresh])


def cut_power(trial, count, seed, enough=lambda: False):
    """Each state is what a cut left of the disks, mounted and looked at before and after the next start."""
    chance = random.Random(f"{trial.kind.name} {len(trial.points)} {seed}")
    spans = [(one.begun, one.acknowledged) for one in trial.mails
             if one.acknowledged and one.acknowledged > trial.records[0].time]
    wreck = disks.Wreck(trial.images, trial.log, trial.records, trial.memory)
    for cut in disks.choose_cuts(trial.records, spans, count, chance):
        label = f"{trial.kind.name}, {len(trial.points)} disks, {seed}, cut at record {cut}"
        moment = wreck.cut(cut, chance)
        trial.states += 1
        try:
            with disks.mounted(trial.kind, wreck.left, trial.points):
                check_state(trial, label, moment)
        except disks.Unreadable as trouble:
            trial.unreadable.append(f"{label}: {trouble}")
        except AssertionError as trouble:
            trial.note("unusable", label, [trouble])
        if enough():
            return


def under_way(trial, moment):
    return [one for one in trial.mails if one.hears and one.was_begun(moment) and not one.was_acknowledged(moment)]


def cut_once_more(trial, seed):
    """The power goes while many mails are under way; the disks and the devices as they are then. The next start will
    have something to do while the power goes again."""
    chance = random.Random(seed)
    cuts = chance.choices(range(len(trial.records)), k=100)
    cut = max(cuts, key=lambda cut: len(under_way(trial, trial.records[cut].time)))
    wreck = disks.Wreck(trial.images, trial.log, trial.records, trial.memory)
    moment = wreck.cut(cut, chance)
    for left, image in zip(wreck.left, trial.images):
        os.replace(left, image)
    devices = [[workload.after_cut(one, moment) for one in mails] for mails in trial.devices]
    return dataclasses.replace(trial, devices=devices)


# --- the tests --------------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def place_within(place):
    """A place for one round, gone with all its mounts when the round is over; its logs stay if it fails."""
    inner = Place(tempfile.mkdtemp(dir=place.folder))
    try:
        yield inner
    except BaseException:
        place.gateways.extend(inner.gateways)
        inner.close()
        raise
    inner.close()
    shutil.rmtree(inner.folder)


def one_disk(place, kind, count, seed):
    trial = prepare(place, kind, 1)
    work(trial)
    cut_power(trial, count, f"one disk {seed}")
    return trial


def two_disks(place, kind, count, seed):
    """Share and state are on disks of their own, that write at their own times."""
    trial = prepare(place, kind, 2)
    work(trial)
    cut_power(trial, count, f"two disks {seed}")
    return trial


def twice(place, kind, count, seed):
    """The power goes again while the gateway finishes what the first cut left."""
    trial = prepare(place, kind, 1 + seed % 2)
    work(trial)
    again = cut_once_more(trial, seed)
    work(again)
    cut_power(again, count, f"twice {seed}")
    return again


ROUNDS = (one_disk, two_disks, twice)


@needs_root
@rows([(kind, kind) for kind in disks.KINDS])
def test_nothing_is_lost(place, kind):
    rounds = len(ROUNDS) * -(-STATES // (len(ROUNDS) * ROUND))
    states, plans, unreadable, faults = 0, 0, [], {fault: [] for fault in FAULTS}
    for number in range(rounds):
        count = STATES * (number + 1) // rounds - STATES * number // rounds
        with place_within(place) as inner:
            trial = ROUNDS[number % len(ROUNDS)](inner, kind, count, number)
        states, plans = states + trial.states, plans + trial.plans
        unreadable.extend(trial.unreadable)
        for fault, found in trial.faults.items():
            faults[fault].extend(found)
    counts = ", ".join(f"{len(found)} {fault}" for fault, found in faults.items())
    print(f"     power/{kind}: {states} states, {counts}; {plans} plans rolled forward, "
          f"{len(unreadable)} not mountable", flush=True)
    # a state that its own file system can't read says nothing of us; more than very few would be a fault of the test
    require(len(unreadable) <= 1 + states // 100, lambda: "\n".join(unreadable))
    require(not any(faults.values()), "\n".join(text[:2000] for found in faults.values() for text in found[:5]))


# --- tests of the test ------------------------------------------------------------------------------------------------

def weak_programs(place, promise):
    """Copies of the programs, the courier being one that breaks a promise."""
    folder = place.make("weak")
    for name in ("letterchute", "letterchute-extract", "letterchute-smtp"):
        shutil.copy(os.path.join(BUILD, name), folder)
    shutil.copy(os.path.join(WEAK, f"letterchute-courier-{promise}"), os.path.join(folder, "letterchute-courier"))
    return os.path.join(folder, "letterchute")


# Not every file system needs every step: one sync may write the journal with all that came before.
BROKEN = [(f"{promise}, {kind}", promise, kind, count, fault) for promise, kind, count, fault in (
    ("no-fsync", "ext4", 1, "partial"),
    ("no-fsync", "xfs", 1, "lost"),
    ("no-folder-sync", "ext4", 2, "lost"),
    ("no-folder-sync", "xfs", 2, "lost"),
    ("no-folder-sync", "btrfs", 2, "lost"),
    ("plan-first", "ext4", 2, "lost"),
    ("plan-first", "btrfs", 1, "partial"),
    ("chown-last", "btrfs", 1, "rights"))]


@needs_root
@rows(BROKEN)
def test_broken_promise_is_seen(place, promise, kind, count, fault):
    """A courier that leaves out a step, or takes it too late, is found out."""
    trial = prepare(place, kind, count)
    sound, place.program = place.program, weak_programs(place, promise)
    work(trial)
    place.program = sound
    for seed in range(20):
        cut_power(trial, 20, f"{promise} {seed}", lambda: trial.faults[fault])
        if trial.faults[fault]:
            print(f"     power/{promise}, {kind}: {fault} after {trial.states} states", flush=True)
            return
    raise AssertionError(f"{trial.states} states, and nothing is {fault}: {trial.faults}")
