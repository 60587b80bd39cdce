"""The share goes away, in every way, at every moment, and comes back: LATER, nothing below its mount point, nothing that grows,
other work goes on, and in the end each file once."""

import contextlib
import os
import re
import signal
import subprocess
import threading

import faults
from harness import (EXE, equal, mail, needs_root, part, pdf, processes, require, rows, scan, send,
                     status_of, wait_for)

TEXT = ("[share other]\npath = {}/other\nfree_floor = 0\nname = {{name}}\n"
        "[route other]\nto = other@*\nshare = other\ntypes = pdf\n")


def run(*command):
    subprocess.run(command, check=True, capture_output=True)


class Disk:
    """A disk of its own, mounted at the share; below the mount point lies an empty folder."""

    def __init__(self, place):
        self.place, self.at = place, place.share
        self.real = place.mount("mount", "-t", "tmpfs", "-o", "size=4m", "none", os.path.join(place.folder, "disk"),
                                at=os.path.join(place.folder, "disk"))
        place.later(self.umount_all)
        self.mount()

    def mount(self, what=None, *options):
        run("mount", "--bind", what or self.real, self.at)
        if options:
            run("mount", "-o", ",".join(("remount", "bind", *options)), self.at)

    def umount(self):
        run("umount", "-l", self.at)

    def umount_all(self):
        while subprocess.run(["umount", "-l", self.at], capture_output=True).returncode == 0:
            pass  # a folder of the same disk does not look like a mount point

    def is_empty_below(self):
        """What lies below the mount point, seen with nothing mounted there."""
        bare = self.place.folder + "/bare"
        os.makedirs(bare, exist_ok=True)
        run("mount", "--bind", os.path.dirname(self.at), bare)
        try:
            return os.listdir(os.path.join(bare, os.path.basename(self.at))) == []
        finally:
            run("umount", "-l", bare)


# --- what goes wrong, and how it is put right ------------------------------------------------------

def fill(disk):
    with contextlib.suppress(OSError), open(os.path.join(disk.real, "filler"), "wb", buffering=0) as out:
        while True:
            out.write(b"x" * 4096)


def unfill(disk):
    os.unlink(os.path.join(disk.real, "filler"))


def read_only(disk):
    run("mount", "-o", "remount,ro", disk.real)


def writable(disk):
    run("mount", "-o", "remount,rw", disk.real)


def unmount(disk):
    disk.umount()


def mount_again(disk):
    disk.mount()


def remount(disk):
    """Unmounted and mounted again at once: another mount, the same disk."""
    disk.umount()
    disk.mount()


def leave(disk):
    pass


def other_disk(disk, identity):
    other = os.path.join(disk.place.folder, "another")
    os.makedirs(os.path.join(other, ".letterchute") if identity else other, exist_ok=True)
    if identity:
        with open(os.path.join(other, ".letterchute", "id"), "w") as out:
            out.write("0123456789abcdef" * 2 + "\n")
        os.chmod(os.path.join(other, ".letterchute"), 0o700)
    disk.umount()
    disk.mount(other)


def with_identity(disk):
    other_disk(disk, True)


def without_identity(disk):
    other_disk(disk, False)


def right_disk(disk):
    disk.umount()
    found = [name for _, _, names in os.walk(os.path.join(disk.place.folder, "another")) for name in names]
    require(set(found) <= {"id"}, f"written to another disk: {found}")
    disk.mount()


CONDITIONS = [("full", fill, unfill), ("read-only", read_only, writable), ("unmounted", unmount, mount_again),
              ("remounted", remount, leave), ("another disk with an identity", with_identity, right_disk),
              ("another disk without one", without_identity, right_disk)]


# --- a gateway and its device ----------------------------------------------------------------------

def two_shares(place):
    os.makedirs(os.path.join(place.folder, "other"), exist_ok=True)
    return place.config(text=TEXT.format(place.folder), route="to = scans@*\nfolder = in\ntypes = pdf",
                        gateway="couriers = 2\nanswer_within = 10s", share="owner = 1")


def try_send(gateway, message, to="scans@example.org"):
    with contextlib.suppress(OSError, EOFError):
        return send(gateway.port, message, to=(to,))
    return ""


def retry(gateway, message):
    """What a device does: until it is accepted."""
    def accepted():
        reply = try_send(gateway, message)
        require(reply[:1] in ("", "2", "4"), reply)
        return reply.startswith("250")
    wait_for(accepted, 40, f"never accepted:\n{gateway.log()[-3000:]}")


def others_go_on(place, gateway, turn):
    """The other share takes mail, and what is never acceptable is still refused."""
    reply = try_send(gateway, mail(part(pdf(900, turn), f"o{turn}.pdf")), "other@example.org")
    require(reply.startswith("250"), f"the other share: {reply}")
    reply = try_send(gateway, mail(part(EXE, "x.exe")), "other@example.org")
    require(reply.startswith("550 5.7.1"), f"a refusal: {reply}")
    reply = try_send(gateway, scan(), "nobody@example.org")
    require(reply.startswith("550 5.1.1"), f"an unknown recipient: {reply}")


def three(name):
    return mail(*[part(pdf(30000, f"{name}{i}"), f"{name}-{i}.pdf") for i in range(3)])


def check_there(disk, names):
    """Of each mail three files, whole."""
    folder = os.path.join(disk.real, "in")
    equal(sorted(os.listdir(folder)), sorted(f"{name}-{i}.pdf" for name in names for i in range(3)))
    for name in names:
        for i in range(3):
            with open(os.path.join(folder, f"{name}-{i}.pdf"), "rb") as content:
                require(content.read() == pdf(30000, f"{name}{i}"), f"{name}-{i} is not whole")


def state_files(place):
    return sorted(re.sub(r"[0-9a-f]{16}", "#", os.path.join(at, name)) for at, _, names in os.walk(place.state)
                  for name in names if name != "clock")


def wait_settled(place, gateway):
    """Couriers that made room for others at a change of mounts have left their lives to the keeper."""
    def settled():
        running = len(processes(gateway, "letterchute-courier run"))
        return len(place.spool("lives")) == running and not place.spool("publishing") and not place.marks()
    wait_for(settled, 30, lambda: f"lives {place.spool('lives')}, publishing {place.spool('publishing')}, marks {place.marks()}")


def check_clean(place, disk, config):
    """After a stop. A courier that ends with a jail around the mount that was before leaves its life to the next start."""
    if place.spool("lives"):
        with place.gateway(config=config) as gateway:
            wait_settled(place, gateway)
    base = os.path.join(disk.real, ".letterchute")
    equal(os.listdir(base), ["id"], "staging")
    for name in ("lives", "publishing", "done", "tries"):
        equal(place.spool(name), [], name)
    equal(place.quarantine(), [])
    require(disk.is_empty_below(), "something was written below the mount point")


# --- the tests -------------------------------------------------------------------------------------

@needs_root
@rows(CONDITIONS)
def test_gone_while_it_runs(place, spoil, mend):
    disk, config = Disk(place), two_shares(place)
    with place.gateway(config=config) as gateway:
        for turn in range(4):  # each courier has seen both
            retry(gateway, three(f"w{turn}"))
            others_go_on(place, gateway, -turn)
        before = state_files(place)
        spoil(disk)
        letters = [three(f"m{turn}") for turn in range(6)]
        if spoil is not remount:
            for turn, letter in enumerate(letters):
                for _ in range(3):
                    reply = try_send(gateway, letter)
                    require(reply.startswith("45"), f"{reply}:\n{gateway.log()[-2000:]}")
                others_go_on(place, gateway, turn)
            # a change of mounts may cost each courier one life, which waits for the share
            more = len(state_files(place)) - len(before)
            require(more <= len(idle_couriers(gateway)), f"it grows: {before} {state_files(place)}")
            require(disk.is_empty_below(), "something was written below the mount point")
        mend(disk)
        for letter in letters:
            retry(gateway, letter)
        check_there(disk, [f"w{i}" for i in range(4)] + [f"m{i}" for i in range(6)])
        wait_settled(place, gateway)
    check_clean(place, disk, config)


@needs_root
@rows([row for row in CONDITIONS if row[1] is not remount])
def test_gone_at_the_start(place, spoil, mend):
    disk, config = Disk(place), two_shares(place)
    with place.gateway(config=config) as gateway:
        retry(gateway, three("w"))
    spoil(disk)
    with place.gateway(config=config) as gateway:
        letter = three("m")
        for turn in range(3):
            reply = try_send(gateway, letter)
            require(reply.startswith("45"), f"{reply}:\n{gateway.log()[-2000:]}")
            others_go_on(place, gateway, turn)
        require(disk.is_empty_below(), "something was written below the mount point")
        mend(disk)
        retry(gateway, letter)
        check_there(disk, ["w", "m"])
        wait_settled(place, gateway)
    check_clean(place, disk, config)


# The courier stands still behind this call of a delivery of three parts.
MOMENTS = [("a part is staged", "openat", "O_CREAT", 1), ("all are staged", "fchown", "", 3), ("the plan is written", "flock", "", 1),
           ("one is published", "renameat2", "", 1), ("all are published", "renameat2", "", 3)]


def idle_couriers(gateway):
    def idle():
        found = processes(gateway, "letterchute-courier run")
        return found if found and all(faults.waits_in(pid, "epoll_wait") for pid in found) else None
    return wait_for(idle, 30, "no idle couriers")


def which_call(place, gateway, call, words, number):
    """The call's number among its kind, from a delivery that is traced."""
    path = os.path.join(place.folder, "trace")
    tracer = faults.strace(path, idle_couriers(gateway), ["-e", f"trace={call}", "-s", "200"])
    require(try_send(gateway, three("t")).startswith("250"))
    idle_couriers(gateway)
    tracer.end()
    found = [which for name, which, arguments in faults.calls_of(path) if name == call and words in arguments]
    return found[number - 1]


def hold(place, gateway, message, moment):
    """A delivery that stands still. (the courier, strace, the thread of the device, its replies)"""
    replies = []
    for turn in range(4):  # each courier has seen the share
        retry(gateway, three(f"h{turn}"))
    which = which_call(place, gateway, *moment)
    couriers = idle_couriers(gateway)
    tracer = faults.inject(os.path.join(place.folder, "held"), couriers, moment[0], which, "SIGSTOP")
    device = threading.Thread(target=lambda: replies.append(try_send(gateway, message)))
    device.start()

    def held():
        still = [pid for pid in couriers if (status_of(pid, "State") or "Z")[0] in "Tt"]
        return still if len(still) == 1 and stopped_in(tracer) else None
    (courier,) = wait_for(held, 30, "it does not stand still")
    return courier, tracer, device, replies


HELD = ["h0", "h1", "h2", "h3", "t"]  # what `hold` delivers on its way


def stopped_in(tracer):
    with open(tracer.path, errors="replace") as trace:
        return "stopped by SIGSTOP" in trace.read()


@needs_root
@rows([(f"{name}, {when[0]}", spoil, mend, when[1:]) for name, spoil, mend in CONDITIONS for when in MOMENTS
       if spoil is not read_only or when[1] not in ("openat", "fchown")])  # with files open for writing the kernel says no
def test_gone_in_the_middle(place, spoil, mend, moment):
    disk = Disk(place)
    config = two_shares(place)
    with place.gateway(config=config) as gateway:
        retry(gateway, three("w"))
        letter = three("m")
        courier, tracer, device, replies = hold(place, gateway, letter, moment)
        spoil(disk)
        os.kill(courier, signal.SIGCONT)
        device.join()
        tracer.end()
        if replies[0].startswith("250"):  # it had the disk open, or needed nothing more of it
            check_there(disk, ["w", *HELD, "m"])
        else:
            require(replies[0].startswith("45"), f"{replies}:\n{gateway.log()[-2000:]}")
        others_go_on(place, gateway, 1)
        require(disk.is_empty_below(), "something was written below the mount point")
        mend(disk)
        if not replies[0].startswith("250"):
            retry(gateway, letter)
        check_there(disk, ["w", *HELD, "m"])
        wait_settled(place, gateway)
    check_clean(place, disk, config)
