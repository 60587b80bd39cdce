"""The field of the races: a disk with a share, with what belongs to others in it and beside it, and a hostile user.

The share's root and its folder `in` are open to all, as a Samba share is; what lies beside the share, and some folders
in it, belong to root and to alice. The hostile user is racer.c, run with an ordinary user id."""

import contextlib
import hashlib
import mmap
import os
import shutil
import stat
import struct
import subprocess
import threading
import time

from harness import HERE, Device, equal, mail, part, pdf, require, wait_for

FOREIGN = ("Archive", "Private", "Board")
GATEWAY, HOSTILE, ALICE = 64001, 64002, 64003
OLD = time.time() - 10 * 86400
ROUND = 500  # deliveries between two looks at everything


class Field:
    """Where all is, for one test."""

    def __init__(self, place, megabytes=192):
        ram = place.mount("mount", "-t", "tmpfs", "-o", "size=2g", "none", os.path.join(place.folder, "ram"),
                          at=os.path.join(place.folder, "ram"))
        image = os.path.join(ram, "disk.img")
        with open(image, "w") as out:
            out.truncate(megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", "-N", "120000", image], check=True, capture_output=True)
        self.place = place
        self.disk = place.mount("mount", "-o", "loop", image, os.path.join(place.folder, "disk"),
                                at=os.path.join(place.folder, "disk"))
        place.state = os.path.join(ram, "state")
        self.top = self.folder("top", mode=0o777)
        place.share = self.share = self.folder("top/share", mode=0o777)
        self.outside = self.folder("outside")
        self.own = self.folder("own", HOSTILE, 0o700)
        self.file("own/own", b"his own\n", HOSTILE, 0o600)
        foreign_tree(self, "outside")
        for name, owner, mode in zip(FOREIGN, (0, 0, ALICE), (0o755, 0o700, 0o1777)):
            self.folder(f"top/share/{name}", owner, mode)
            foreign_tree(self, f"top/share/{name}")
        self.folder("top/share/in", mode=0o777)
        self.trees = {name: os.lstat(os.path.join(self.disk, name)).st_ino
                      for name in ("outside", *(f"top/share/{name}" for name in FOREIGN))}
        self.lent = ()  # trees that he gives the name of a destination: mails may go there
        self.racer = os.path.join(place.folder, "racer")
        subprocess.run(["gcc", "-O2", "-w", "-o", self.racer, os.path.join(HERE, "race", "racer.c")], check=True)

    def folder(self, name, owner=0, mode=0o755):
        path = os.path.join(self.disk, name)
        os.mkdir(path)
        os.chown(path, owner, owner)
        os.chmod(path, mode)
        return path

    def file(self, name, content, owner=0, mode=0o644):
        path = os.path.join(self.disk, name)
        with open(path, "wb") as out:
            out.write(content)
        os.chown(path, owner, owner)
        os.chmod(path, mode)
        os.utime(path, (OLD, OLD))
        return path

    def foreign(self):
        """Name -> where it is now, of all trees that belong to others."""
        found = {}
        for at, folders, _ in os.walk(self.disk):
            for name in folders:
                path = os.path.join(at, name)
                found[os.lstat(path).st_ino] = path
        missing = [name for name, inode in self.trees.items() if inode not in found]
        require(not missing, f"a tree of somebody's is gone: {missing}")
        return {name: found[inode] for name, inode in self.trees.items()}


def foreign_tree(field, at):
    """Files and folders of root and of alice, with names that ours would have, older than all that is ever swept."""
    for number, (owner, mode) in enumerate(((0, 0o600), (0, 0o644), (0, 0o4755), (ALICE, 0o600), (ALICE, 0o640))):
        field.file(f"{at}/file-{number}", f"foreign {number}\n".encode() * 50, owner, mode)
    field.file(f"{at}/gone-0123456789abcdef", b"it only sounds like ours\n", ALICE, 0o600)
    subprocess.run(["setfacl", "-m", "u:daemon:r", os.path.join(field.disk, at, "file-1")], check=True)
    for name in ("sub", "0123456789abcdef", "empty"):
        field.folder(f"{at}/{name}", 0)
    field.file(f"{at}/0123456789abcdef/0123456789ab.1", b"it only sounds like staged\n", ALICE)
    for name in ("0123456789abcdef", "sub", "empty", ""):
        os.utime(os.path.join(field.disk, at, name), (OLD, OLD))


# --- what belongs to others -------------------------------------------------------------------------------------------

def state_of(path):
    """Everything about a file or folder but its place: his renames change the time of a change of a folder's inode."""
    found = os.lstat(path)
    names = os.listxattr(path, follow_symlinks=False)
    state = {"inode": found.st_ino, "mode": oct(found.st_mode), "owner": (found.st_uid, found.st_gid),
             "mtime": found.st_mtime_ns,
             "more": [(name, os.getxattr(path, name, follow_symlinks=False)) for name in names]}
    if stat.S_ISREG(found.st_mode):
        with open(path, "rb") as content:
            state.update(content=hashlib.sha256(content.read()).hexdigest(), ctime=found.st_ctime_ns)
    return state


def sentinel(field):
    """(tree, path in it) -> state, of all that belongs to others. Mails are no part of it."""
    found = {}
    for tree, root in field.foreign().items():
        for at, folders, names in os.walk(root):
            for name in [".", *folders, *names]:
                path = os.path.join(at, name)
                found[tree, os.path.relpath(path, root)] = state_of(path)
    return found


def untouched(before, field):
    after = sentinel(field)
    for tree in field.lent:
        after[tree, "."]["mtime"] = before[tree, "."]["mtime"]
    changed = [(key, before.get(key), after.get(key)) for key in sorted({*before, *after})
               if before.get(key) != after.get(key)]
    require(not changed, lambda: "what belongs to others was changed:\n" + "\n".join(map(str, changed[:5])))


# --- the hostile user -------------------------------------------------------------------------------------------------

BOARD = struct.Struct("=QQ")


class Racer:
    """The hostile user, from the first line of a with block to its last."""

    def __init__(self, field, tasks):
        self.board_path = os.path.join(field.place.folder, "board")
        with open(self.board_path, "wb") as out:
            out.write(bytes(4096))
        os.chmod(self.board_path, 0o666)
        with open(self.board_path, "r+b") as file:
            self.board = mmap.mmap(file.fileno(), 4096)
        self.field, self.tasks = field, tasks

    def flips(self):
        return BOARD.unpack_from(self.board)[1]

    def __enter__(self):
        self.process = subprocess.Popen([self.field.racer, self.board_path, self.field.own, *self.tasks],
                                        cwd=self.field.share, user=HOSTILE, group=HOSTILE, extra_groups=[],
                                        stdout=subprocess.PIPE, text=True)
        self.field.place.later(self.process.kill)
        return self

    @contextlib.contextmanager
    def rests(self):
        """He stands still while we look, and is not in the middle of anything."""
        struct.pack_into("=Q", self.board, 16, 1)
        wait_for(lambda: struct.unpack_from("=Q", self.board, 24)[0], 20, "the racer does not stand still")
        try:
            yield
        finally:
            struct.pack_into("=Q", self.board, 16, 0)
            wait_for(lambda: not struct.unpack_from("=Q", self.board, 24)[0], 20, "the racer does not go on")

    def __exit__(self, kind, value, trace):
        struct.pack_into("=Q", self.board, 0, 1)
        said, _ = self.process.communicate(timeout=60)
        if kind is None:
            equal((said, self.process.returncode), ("", 0), "what the hostile user could do")


# --- deliveries -------------------------------------------------------------------------------------------------------

class Tally:
    """What was sent, and what was answered."""

    def __init__(self):
        self.lock = threading.Lock()
        self.deliveries, self.races, self.flips, self.files = 0, 0, 0, 0
        self.answers, self.owed = {}, {}

    def note(self, answer, content, raced):
        with self.lock:
            self.deliveries += 1
            self.races += raced
            self.answers[answer] = self.answers.get(answer, 0) + 1
            if answer in ("250", "0"):
                self.owed[content] = self.owed.get(content, 0) + 1

    def __str__(self):
        answers = ", ".join(f"{count} of {answer}" for answer, count in sorted(self.answers.items()))
        return f"{self.races} races in {self.deliveries} deliveries and {self.flips} flips; {answers}"


def is_final(answer):
    return answer[:1] not in ("4", "7")


def deliver(tally, racer, content, ask):
    """One mail, tried again with the same octets as a scanner does; each try is a delivery."""
    message = mail(part(content))
    for _ in range(3):
        before = racer.flips()
        answer = ask(message)
        tally.note(answer, content, racer.flips() > before)
        if is_final(answer):
            return


class Smtp:
    """One device, on one connection as long as it lasts."""

    def __init__(self, gateway, number):
        self.gateway, self.number, self.device = gateway, number, None

    def ask(self, message):
        try:
            if not self.device:
                self.device = Device(self.gateway.port, timeout=60)
            reply = self.device.deliver(message, to=(f"scans+{self.number % 8}@example.org",))
        except (EOFError, ConnectionError):
            reply = "451"
        if not reply.startswith(("250", "451 4.3", "452", "5")):
            self.close()
        self.number += 1
        return reply[:3]

    def close(self):
        if self.device:
            self.device.close()
        self.device = None


class Drop:
    """The verb, a process for each mail."""

    def __init__(self, place):
        self.place = place

    def ask(self, message):
        config = os.path.join(self.place.folder, "gateway.conf")
        return str(self.place.run("drop", "-c", config, stdin=message).returncode)

    def close(self):
        pass


def storm(field, racer, tally, senders, wanted, limit):
    """Rounds of deliveries until there were so many races, and a look at everything after each."""
    serial = 0
    while tally.races < wanted:
        require(time.monotonic() < limit, lambda: f"it takes too long: {tally}")
        last = tally.deliveries + min(ROUND, wanted - tally.races)

        def send_some(index, sender):
            number = serial + index
            while tally.deliveries < last and time.monotonic() < limit:
                deliver(tally, racer, pdf(300, number), sender.ask)
                number += len(senders)
            numbers[index] = number
        numbers = [serial] * len(senders)
        failures = in_parallel([lambda i=i, s=s: send_some(i, s) for i, s in enumerate(senders)])
        require(not failures, lambda: f"a sender failed: {failures[0]!r}")
        serial = max(numbers)
        with racer.rests():
            audit(field, tally)
    for sender in senders:
        sender.close()


def in_parallel(works):
    failures = []

    def run(work):
        try:
            work()
        except BaseException as failure:
            failures.append(failure)
    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def is_ours(path):
    """A folder of the gateway's own, wherever it was moved: what lies in it is not on the share yet."""
    return os.lstat(path).st_uid == GATEWAY and os.path.isfile(os.path.join(path, "id"))


def published(field):
    """Every file of a mail, wherever he has put it: path -> (content, state)."""
    found = {}
    for at, folders, names in os.walk(field.disk):
        folders[:] = [name for name in folders if name != "lost+found" and not is_ours(os.path.join(at, name))]
        for name in names:
            path = os.path.join(at, name)
            state = os.lstat(path)
            if not stat.S_ISREG(state.st_mode) or state.st_uid == HOSTILE:
                continue
            with open(path, "rb") as file:
                content = file.read()
            if content.startswith(b"%PDF"):
                found[path] = content, state
            else:
                require(state.st_uid != GATEWAY, f"{path} is ours, and no mail's")
    return found


def put_right(field):
    """What a hostile user leaves in the place of our folder, an administrator takes out of the way."""
    base = os.path.join(field.share, ".letterchute")
    if os.path.lexists(base) and os.lstat(base).st_uid != GATEWAY:
        os.rename(base, base + ".his")


def audit(field, tally):
    """Every 250 has its file, whole, with its owner and mode. What was found is taken away."""
    files = published(field)
    for path, (content, state) in files.items():
        equal((state.st_uid, state.st_mode & 0o7077), (ALICE, 0), f"owner and mode of {path}")
    contents = {content for content, _ in files.values()}
    lost = [content for content in tally.owed if content not in contents]
    require(not lost, lambda: f"{len(lost)} of {len(tally.owed)} mails were acknowledged and are nowhere")
    tally.owed.clear()
    tally.files += len(files)
    for path in files:
        os.unlink(path)
    for entry in os.scandir(field.own):  # what he made room with
        if entry.name.startswith("out-") and entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
