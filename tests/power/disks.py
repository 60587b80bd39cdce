"""Disks that are logged while they are used, and what a power cut would have left of them at any moment.

The cache of a disk is taken to be volatile and to write in any order: what a disk is after a cut is the disk before,
with every write up to the last flush, and of the later writes any, whole or torn between two sectors. A sector has 4096
octets, as disks have: none of these file systems itself survives that a smaller piece of it is torn."""

import bisect
import contextlib
import dataclasses
import os
import struct
import subprocess
import tempfile

from harness import wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
HEAD = struct.Struct("<IIQQQ")
WRITE, FLUSH = 1, 2
SECTOR = 4096


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of file system. Its journal is to be written now and then of itself, not by our syncs alone."""
    name: str
    size_mb: int
    maker: tuple
    options: str


KINDS = {kind.name: kind for kind in (
    Kind("ext4", 64, ("mkfs.ext4", "-q", "-J", "size=4", "-E", "lazy_itable_init=0"), "commit=1"),
    Kind("xfs", 320, ("mkfs.xfs", "-q"), "defaults"),
    Kind("btrfs", 128, ("mkfs.btrfs", "-q"), "commit=1"))}


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stderr}")
    return done.stdout.strip()


def copy(source, target):
    """What is not written in one is not written in the other."""
    run("cp", "--sparse=auto", "--remove-destination", source, target)


def make_image(kind, path):
    with open(path, "wb") as image:
        image.truncate(kind.size_mb << 20)
    # that of btrfs looks at every loop device, and one of another test may be about to go
    wait_for(lambda: subprocess.run([*kind.maker, path], capture_output=True).returncode == 0, 20, f"no {kind.name}")
    run("fallocate", "--dig-holes", path)
    return path


@contextlib.contextmanager
def mounted(kind, disks, points):
    """Images or block devices, each at its point."""
    done = []
    try:
        for disk, point in zip(disks, points):
            options = f"{kind.options}{',loop' if os.path.isfile(disk) else ''}"
            command = ["mount", "-t", kind.name, "-o", options, disk, point]
            mount = subprocess.run(command, capture_output=True, text=True)
            if mount.returncode:
                raise Unreadable(mount.stderr)
            done.append(point)
        yield
    finally:
        for point in done:
            unmount(point)


def unmount(at):
    """A process that ends may still hold it."""
    wait_for(lambda: subprocess.run(["umount", at], capture_output=True).returncode == 0, 20, f"{at} stays mounted")


# --- logged disks -----------------------------------------------------------------------------------------------------

def build_plugin(folder):
    path = os.path.join(folder, "logged_disk.so")
    source = os.path.join(HERE, "logged_disk.c")
    run("gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o", path, source)
    return path


@contextlib.contextmanager
def running(*command, until):
    """A process, from the moment when what it makes is there."""
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=words)
        try:
            wait_for(lambda: os.path.exists(until), 20, lambda: f"{command}: {os.pread(words.fileno(), 4000, 0)}")
            yield
        finally:
            process.terminate()
            process.wait(20)


@contextlib.contextmanager
def attached(folder, number, socket):
    """A block device for one of the logged disks."""
    point = os.path.join(folder, f"device-{number}")
    os.mkdir(point)
    disk = os.path.join(point, "disk")
    with running("nbdfuse", disk, f"nbd+unix:///{number}?socket={socket}", until=disk):
        loop = run("losetup", "-f", "--show", disk)
        try:
            yield loop
        finally:
            run("losetup", "-d", loop)


@contextlib.contextmanager
def logged(folder, images, log):
    """Copies of the images as block devices whose writes are logged; their names."""
    socket, work = os.path.join(folder, "socket"), []
    for number, image in enumerate(images):
        work.append(os.path.join(folder, f"work-{number}"))
        copy(image, work[-1])
    with contextlib.ExitStack() as stack:
        stack.enter_context(running("nbdkit", "-f", "--exit-with-parent", "-U", socket, build_plugin(folder),
                                    f"log={log}", *[f"image={image}" for image in work], until=socket))
        yield [stack.enter_context(attached(folder, number, socket)) for number in range(len(images))]
    for image in work:
        os.remove(image)


# --- the log ----------------------------------------------------------------------------------------------------------

@dataclasses.dataclass(frozen=True)
class Record:
    kind: int
    disk: int
    offset: int  # on the disk, octets
    at: int  # in the log: its octets, and where it ends
    end: int
    time: int  # nanoseconds of the monotonic clock


def read_log(path, size):
    """The records in this many octets of the log."""
    records, at = [], 0
    with open(path, "rb") as log:
        while at + HEAD.size <= size:
            kind, disk, offset, length, time = HEAD.unpack(log.read(HEAD.size))
            records.append(Record(kind, disk, offset, at + HEAD.size, at + HEAD.size + length, time))
            at = records[-1].end
            log.seek(at)
    return records


def index_at(records, moment):
    """The first record after this moment."""
    return bisect.bisect_right(records, moment, key=lambda record: record.time)


# --- what a cut leaves ------------------------------------------------------------------------------------------------

class Unreadable(Exception):
    """The file system itself did not survive the cut."""


class Wreck:
    """The disks as they are after a cut. Cuts must come in ascending order: what is durable is written but once."""

    def __init__(self, images, log, records, folder):
        self.log, self.records = log, records
        self.done = [0] * len(images)  # records of this disk that are in its durable image
        self.durable = [os.path.join(folder, f"durable-{number}") for number in range(len(images))]
        self.left = [os.path.join(folder, f"left-{number}") for number in range(len(images))]
        for image, durable in zip(images, self.durable):
            copy(image, durable)

    def content(self, record):
        with open(self.log, "rb") as log:
            log.seek(record.at)
            return log.read(record.end - record.at)

    def last_flush(self, disk, cut):
        """Of the records before `cut`, how many are surely durable?"""
        for index in range(cut - 1, self.done[disk] - 1, -1):
            if self.records[index].kind == FLUSH and self.records[index].disk == disk:
                return index
        return self.done[disk]

    def make_durable(self, disk, until):
        with open(self.durable[disk], "r+b") as image:
            for record in self.records[self.done[disk]:until]:
                if record.kind == WRITE and record.disk == disk:
                    image.seek(record.offset)
                    image.write(self.content(record))
        self.done[disk] = max(until, self.done[disk])

    def write_some(self, image, record, chance):
        """Some sectors of a write: the first ones, or any."""
        content = self.content(record)
        count = (len(content) + SECTOR - 1) // SECTOR
        first, any_of_them = chance.randrange(count + 1), chance.random() < 0.5
        for number in range(count):
            if chance.random() < 0.5 if any_of_them else number < first:
                image.seek(record.offset + number * SECTOR)
                image.write(content[number * SECTOR:(number + 1) * SECTOR])

    def write_later(self, disk, cut, chance):
        """What was written since the flush. The write in hand at the moment of the cut is the likeliest to be torn."""
        keep = chance.choice((0, 0.1, 0.5, 0.5, 0.9, 1))
        with open(self.left[disk], "r+b") as image:
            for index in range(self.done[disk], min(cut + 1, len(self.records))):
                record = self.records[index]
                if record.kind != WRITE or record.disk != disk:
                    continue
                if index == cut or chance.random() < 0.1:
                    self.write_some(image, record, chance)
                elif chance.random() < keep:
                    image.seek(record.offset)
                    image.write(self.content(record))

    def cut(self, cut, chance):
        """Cuts the power while record number `cut` is being written. The moment."""
        for disk in range(len(self.durable)):
            self.make_durable(disk, self.last_flush(disk, cut))
            copy(self.durable[disk], self.left[disk])
            self.write_later(disk, cut, chance)
        return self.records[cut].time


def choose_cuts(records, spans, count, chance):
    """Moments for the cuts, ascending: a half of them just behind an acknowledgement, a quarter within a delivery, some
    in the first start, the rest anywhere. `spans`: of each delivery, when it began and when its sender heard of it."""
    cuts = []
    for number in range(count):
        begin, acknowledged = chance.choice(spans)
        first, last = index_at(records, begin), index_at(records, acknowledged)
        if number % 4 < 2:
            cut = last + chance.randrange(3)
        elif number % 4 == 2:
            cut = chance.randint(first, last)
        elif number % 8 == 3:
            cut = chance.randrange(1 + index_at(records, min(end for _, end in spans)))
        else:
            cut = chance.randrange(len(records))
        cuts.append(min(cut, len(records) - 1))
    return sorted(cuts)
