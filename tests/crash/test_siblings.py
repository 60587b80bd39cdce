"""Whoever dies, the work of those beside him goes on: couriers of one gateway, of two, and those of `drop`."""

import concurrent.futures
import contextlib
import os
import re
import signal
import subprocess

from harness import equal, mail, needs_root, part, pdf, require, rows, wait_for
from points import (PATIENT, STOPPED_EXEC, await_settled, by_smtp, children, command_line, courier, each_point,
                    forget_files, forget_marks, go_on, has_killed, has_stopped, hold_start, is_clean, is_final, killing,
                    let_go, new_trace, one, points_of, rests, same_files, sample, sessions, status_of, strace, three,
                    until_heard)

# of a courier's first mail, of one part: its file is written; its plan is written but may not be durable yet; its file
# is visible and there is no mark
STAGED, PLANNED, VISIBLE = ("fsync", 2), ("fsync", 4), ("fsync", 6)


# --- couriers that are held in the middle of a job --------------------------------------------------------------------

def couriers(gateway, count):
    def found():
        pids = [pid for pid in children(gateway.process.pid) if "letterchute-courier run" in command_line(pid)]
        return pids if len(pids) == count else None
    return wait_for(found, PATIENT, f"there are not {count} couriers")


def hold_at(place, pid, point):
    """It stops right after this call. Its trace."""
    call, number = point
    return strace(place, [pid], "-e", f"trace={call}", "-e", f"inject={call}:signal=STOP:when={number}")[1]


def await_held(pid, path):
    """It has stopped, and is traced no more."""
    wait_for(lambda: has_stopped(path), PATIENT, "it is not held")
    let_go(pid)
    wait_for(lambda: status_of(pid, "State") == "T", PATIENT, "it does not stop")


def life_of(place, pid):
    lives = os.path.join(place.state, "spool", "lives") + "/"
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            path = os.readlink(f"/proc/{pid}/fd/{fd}")
            if path.startswith(lives):
                return path[len(lives):]
    raise AssertionError("it has no life")


def work_of(place, life):
    """What lies on share and spool for a life: names, sizes and numbers of the files."""
    folders = ((os.path.join(place.share, ".letterchute", life), ""),
               (os.path.join(place.state, "spool", "publishing"), life))
    found = set()
    for folder, end in folders:
        for entry in os.scandir(folder) if os.path.isdir(folder) else ():
            if entry.name.endswith(end):
                found.add((entry.name, entry.stat().st_size, entry.stat().st_ino))
    return found


def named(name):
    content = pdf(900, name)
    return mail(part(content, f"{name}.pdf")), {f"{name}.pdf": content}


class Devices:
    """So many that send at the same time."""

    def __init__(self, place, gateway):
        self.pool = concurrent.futures.ThreadPoolExecutor(8)
        self.place, self.gateway = place, gateway

    def send(self, message):
        return self.pool.submit(by_smtp, self.place, self.gateway, message)

    def send_until_heard(self, message):
        return self.pool.submit(until_heard, self.place, self.gateway, message)


def settled(place, files, count):
    """All is there once, and nobody doubts it."""
    await_settled(place)
    is_clean(place, count)
    same_files(place.files(), files)
    equal(place.quarantine(), [])


@needs_root
@rows([(f"held at {held[0]} {held[1]}, the other dies at {death[0]} {death[1]}", held, death)
       for held in (STAGED, PLANNED, VISIBLE) for death in (STAGED, PLANNED, VISIBLE)])
def test_sibling_dies(place, held, death):
    """What a courier has in hand is not touched by who adopts another's life."""
    with place.gateway(gateway="couriers = 2\nanswer_within = 60s") as gateway:
        is_clean(place, 2)
        pids, devices = couriers(gateway, 2), Devices(place, gateway)
        traces = [hold_at(place, pid, point) for pid, point in zip(pids, (held, death))]
        mails = [named("sibling"), named("dies")]
        replies = [devices.send(message) for message, _ in mails]
        for pid, path in zip(pids, traces):
            await_held(pid, path)
        lives = [life_of(place, pid) for pid in pids]
        before = work_of(place, lives[0])
        require(before, "it has nothing in hand")
        os.kill(pids[1], signal.SIGKILL)
        wait_for(lambda: lives[1] not in place.spool("lives"), PATIENT, "the dead one is not adopted")
        wait_for(lambda: any(reply.done() for reply in replies), PATIENT, "nobody takes the mail of the dead one")
        equal(work_of(place, lives[0]), before, "what the living one has in hand")
        go_on(pids[:1])
        equal([reply.result()[:3] for reply in replies], ["250", "250"])
        equal(couriers(gateway, 2).count(pids[0]), 1, "the living one lives")
        settled(place, {**mails[0][1], **mails[1][1]}, 2)


@needs_root
def test_other_number_of_couriers(place):
    """Three die in the middle; one, and then four, take what they left."""
    files, mails = {}, []
    for name in ("one", "other"):
        message, its = named(name)
        mails.append(message)
        files.update(its)
    config = place.config(gateway="couriers = 3\nanswer_within = 60s")
    gateway = place.gateway(config=config).start()
    for count in (1, 4):
        number = 3 if count == 1 else 1
        is_clean(place, number)
        for pid in couriers(gateway, number):
            hold_at(place, pid, PLANNED if count == 1 else VISIBLE)
        devices = Devices(place, gateway)
        replies = [devices.send(message) for message in mails]
        wait_for(lambda: len(place.spool("publishing")) >= min(number, 2), PATIENT, "nobody plans")
        gateway.kill()
        require(not any(is_final(reply.result()) for reply in replies), "somebody was answered")
        place.config(gateway=f"couriers = {count}\nanswer_within = 60s")
        gateway.start()
        devices = Devices(place, gateway)
        equal([reply.result()[:3] for reply in [devices.send_until_heard(message) for message in mails]], ["250"] * 2)
        settled(place, files, count)
        forget_files(place)
    gateway.stop()


# --- a courier that outlives its boss ---------------------------------------------------------------------------------

PDEATHSIG = 4  # of the calls to prctl that a courier makes


def start_survivor(place, gateway):
    """A courier that does not hear of the death of its boss."""
    _, path = strace(place, [gateway.process.pid], *STOPPED_EXEC)
    os.kill(courier(gateway), signal.SIGKILL)
    pid = hold_start(gateway.process.pid, "letterchute-courier run", path)
    place.later(end, pid)
    _, path = strace(place, [pid], "-e", "trace=prctl", "-e", f"inject=prctl:retval=0:when={PDEATHSIG}")
    go_on([pid])
    wait_for(lambda: courier_rests(pid), PATIENT, "it does not start")
    let_go(pid)
    with open(path) as trace:
        require(re.search(r"PR_SET_PDEATHSIG.*INJECTED", trace.read()), "it does hear of it")
    is_clean(place)
    return pid


def courier_rests(pid):
    with open(f"/proc/{pid}/syscall") as call:
        return call.read().startswith("232 ")  # epoll_wait


def courier_waits(pid):
    """For another that works on the same plan."""
    with open(f"/proc/{pid}/syscall") as call:
        return call.read().startswith("230 ")  # clock_nanosleep


def end(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def is_gone(pid):
    return status_of(pid, "State") in ("Z", "X", None)


@needs_root
@rows([(f"held at {point[0]} {point[1]}, then {'goes on' if then is go_on else 'dies'}", point, then)
       for point in (STAGED, PLANNED, VISIBLE) for then in (go_on, lambda pids: end(pids[0]))])
def test_courier_outlives_its_boss(place, point, then):
    """The next gateway leaves it its life while it lives, and takes it when it is dead."""
    with place.gateway(gateway="couriers = 1\nanswer_within = 60s") as gateway:
        is_clean(place)
        survivor = start_survivor(place, gateway)
        path = hold_at(place, survivor, point)
        message, files = named("survives")
        reply = Devices(place, gateway).send(message)
        await_held(survivor, path)
        os.kill(gateway.process.pid, signal.SIGKILL)
        gateway.process.wait(PATIENT)
        require(not is_final(reply.result()), "it was answered")
        life = life_of(place, survivor)
        before = work_of(place, life)
        gateway.start()
        wait_for(lambda: len(place.spool("lives")) == 2, PATIENT, "the next one does not start")
        reply = Devices(place, gateway).send_until_heard(message)
        if point == STAGED:
            require(reply.result().startswith("250"))
        else:
            wait_for(lambda: courier_waits(courier(gateway)), PATIENT, "nobody waits for it")
        equal(work_of(place, life), before, "what it has in hand")
        then([survivor])
        require(reply.result().startswith("250"))
        wait_for(lambda: is_gone(survivor), PATIENT, "it stays")
        settled(place, files, 1)


# --- drop -------------------------------------------------------------------------------------------------------------

def drop(place, message, *before):
    config = os.path.join(place.folder, "gateway.conf")
    return subprocess.run([*before, place.program, "drop", "-c", config], input=message, capture_output=True,
                          timeout=2 * PATIENT).returncode


def drop_traced(place, message, *options):
    path = new_trace(place)
    return drop(place, message, "strace", "-qq", "-o", path, *options), path


def drop_until_done(place, message):
    wait_for(lambda: drop(place, message) == 0, PATIENT, "it is never taken")


def is_settled(place, files):
    return not place.marks() and not place.spool("publishing") and set(files) <= set(place.files())


def die_beside(place, gateway, follow, point, seed):
    """A drop dies while a device sends; whoever called it calls it again."""
    message, files, _ = three(seed)
    other, its, _ = one(seed)
    reply = Devices(place, gateway).send(other) if gateway else None
    status, path = drop_traced(place, message, *follow, *killing(*point))
    if gateway:
        require(reply.result().startswith("250"), reply.result())
        files = {**files, **its}
        wait_for(lambda: not sessions(gateway) and all(rests(pid) for pid in couriers(gateway, 2)), PATIENT, "no rest")
    # between its last question, which takes the mark away, and its exit it can't be known whether the caller knows
    if status != 0 and not is_settled(place, files):
        drop_until_done(place, message)
    wait_for(lambda: not place.marks() or status == 0, PATIENT, "a doubt stays although it was answered")
    if not gateway:
        drop(place, one("next")[0])
        files = {**files, **one("next")[1]}
    is_clean(place, 2 if gateway else 0)
    same_files(place.files(), files)
    forget_files(place)
    forget_marks(place)
    return has_killed(path)


@needs_root
@rows([("beside a gateway", "drop beside", True, (), 50),
       ("alone, with all its processes", "drop alone", False, ("-f",), 60)])
def test_drop_dies(place, name, beside, follow, most):
    """Killed at each of its calls."""
    gateway = place.gateway(gateway="couriers = 2")
    if beside:
        gateway.start()
        is_clean(place, 2)
    status, path = drop_traced(place, three("list")[0], *follow)
    equal(status, 0)
    points = points_of(path)
    forget_files(place)
    each_point(name, sample(points, most), None,
               lambda point, seed, _: die_beside(place, beside and gateway, follow, point, seed))
    if beside:
        gateway.stop()
        equal(place.marks(), [])


@needs_root
def test_drop_beside_a_dead_gateway(place):
    """A drop that needs its own courier takes what the dead left, and the next gateway finds nothing to do."""
    with place.gateway(gateway="couriers = 2\nanswer_within = 60s") as gateway:
        is_clean(place, 2)
        for pid, point in zip(couriers(gateway, 2), (PLANNED, VISIBLE)):
            hold_at(place, pid, point)
        devices, (message, files), (other, its) = Devices(place, gateway), named("first"), named("second")
        replies = [devices.send(message), devices.send(other)]
        wait_for(lambda: len(place.spool("publishing")) == 2, PATIENT, "nobody plans")
        gateway.kill()
        require(not any(is_final(reply.result()) for reply in replies), "somebody was answered")
        dropped, last, _ = one("drop")
        equal(drop(place, dropped), 0)
        wanted = {**files, **its, **last}
        is_clean(place, 0)
        same_files(place.files(), wanted)
        gateway.start()
        for mail in (message, other):
            require(until_heard(place, gateway, mail).startswith("250"))
        await_settled(place)
        is_clean(place, 2)
        same_files(place.files(), wanted)
