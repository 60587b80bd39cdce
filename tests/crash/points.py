"""A point is one system call of one process, at which it is killed: how to list them, to die there, and to compare after.

strace counts the calls of each kind for each process, so a point is (call, number). The list comes from a run in which
nobody dies."""

import collections
import concurrent.futures
import contextlib
import os
import re
import signal
import subprocess
import threading
import time

from harness import COUNT, EXE, Device, Watch, equal, mail, part, pdf, require, wait_for

PATIENT = 60      # seconds, for what takes milliseconds on a machine that is not loaded
PUBLISHED = []    # (what, points) of every test that has counted


def tell(name, points):
    PUBLISHED.append((name, points))
    print(f"     crash/{name}: {points} points", flush=True)


def sample(points, most):
    """All of them in a campaign, else an even choice that is the same each time."""
    if COUNT or len(points) <= most:
        return points
    return [points[index * len(points) // most] for index in range(most)]


# --- mails: each call gives other octets ------------------------------------------------------------------------------

def one(seed):
    content = pdf(900, f"one {seed}")
    return mail(part(content)), {"scan.pdf": content}, "250"


def three(seed):
    files = {f"{name}.pdf": pdf(700, f"{name} {seed}") for name in "abc"}
    return mail(*[part(content, name) for name, content in files.items()]), files, "250"


def refused(seed):
    return mail(part(pdf(500, seed)), part(EXE + str(seed).encode(), "a.exe")), {}, "550"


# --- strace ----------------------------------------------------------------------------------------------------------

def status_of(pid, field):
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/status") as status:
            return next(line.split()[1] for line in status if line.startswith(field + ":"))
    return None


def strace(place, pids, *options):
    """Attaches to running processes; the tracer and what it writes."""
    path = os.path.join(place.folder, "trace")
    with contextlib.suppress(FileNotFoundError):
        os.remove(path)
    tracer = subprocess.Popen(["strace", "-qq", "-o", path, *options, *[word for pid in pids for word in ("-p", str(pid))]],
                              stderr=subprocess.DEVNULL)
    place.later(end_tracer, tracer)
    # a call that is interrupted by this may be made again at once, and be the one to die at
    wait_for(lambda: has_killed(path) or all(status_of(pid, "TracerPid") == str(tracer.pid) for pid in pids), PATIENT,
             "strace does not attach")
    return tracer, path


def end_tracer(tracer):
    if tracer.poll() is None:
        tracer.terminate()
    tracer.wait(PATIENT)


def killing(call, number):
    return "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"


def has_killed(path):
    with contextlib.suppress(FileNotFoundError):
        with open(path, errors="replace") as trace:
            return "+++ killed by SIGKILL +++" in trace.read()
    return False


def points_of(path):
    """Every (call, number) of a trace, in order, each once however many processes come to it."""
    counts, found = collections.Counter(), {}
    with open(path, errors="replace") as trace:
        for line in trace:
            match = re.match(r"(\d+ +)?(\w+)\(", line)
            if match:
                counts[match.groups()] += 1
                found.setdefault((match.group(2), counts[match.groups()]))
    return list(found)


# --- processes -------------------------------------------------------------------------------------------------------

def children(pid):
    """Of a process with one thread."""
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/task/{pid}/children") as found:
            return [int(word) for word in found.read().split()]
    return []


def command_line(pid):
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/cmdline", "rb") as line:
            return line.read().replace(b"\0", b" ").decode()
    return ""


def role(gateway, words):
    """The process of a role, once it runs."""
    def found():
        return [pid for pid in children(gateway.process.pid) if words in command_line(pid)]
    return wait_for(found, PATIENT, f"no {words}")[0]


def courier(gateway):
    return role(gateway, "letterchute-courier run")


def listener(gateway):
    return role(gateway, "letterchute-smtp listen")


def template(gateway):
    return wait_for(lambda: children(courier(gateway)), PATIENT, "no extractor")[0]


def rests(pid):
    """It waits for something to do, or is no more."""
    return status_of(pid, "State") in ("S", "Z", "X", None)


def hold_start(parent):
    """The next program that a process executes, stopped before its first instruction. The tracer of `parent` delays it."""
    def held():
        return [pid for pid in children(parent) if status_of(pid, "State") == "t" and is_executing(pid)]
    pid = wait_for(held, PATIENT, "nothing is executed")[0]
    os.kill(pid, signal.SIGSTOP)
    return pid


def is_executing(pid):
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/syscall") as call:
            return call.read().startswith("322 ")  # execveat
    return False


DELAYED_EXEC = ("-f", "-e", "trace=execveat", "-e", "inject=execveat:delay_enter=600s")


# --- the device ------------------------------------------------------------------------------------------------------

def by_smtp(place, gateway, message, greeted=lambda device: None):
    """One try; the reply, or None for a device that heard none."""
    try:
        device = Device(gateway.port, timeout=2 * PATIENT)
        greeted(device)
        reply = device.deliver(message)
        device.quit()
        return reply
    except (OSError, EOFError):
        return None


def by_drop(place, gateway, message, greeted=lambda device: None):
    greeted(None)
    done = place.run("drop", "-c", os.path.join(place.folder, "gateway.conf"), stdin=message, timeout=2 * PATIENT)
    return {0: "250", 65: "550"}.get(done.returncode)


def is_final(reply):
    return reply is not None and reply[0] in "25"


def until_heard(place, gateway, message, by=by_smtp):
    """A device that tries again until it is told something final."""
    def heard():
        reply = by(place, gateway, message)
        return reply if is_final(reply) else None
    return wait_for(heard, PATIENT, lambda: f"it is never taken:\n{gateway.log()[-3000:]}")


# --- comparing -------------------------------------------------------------------------------------------------------

def litter(place, couriers):
    """What is on share and spool that nobody needs while so many couriers rest."""
    lives, base = place.spool("lives"), os.path.join(place.share, ".letterchute")
    found = [f"plan {name}" for name in place.spool("publishing")] + [f"scratch {name}" for name in place.spool("receiving")]
    if len(lives) != couriers:
        found.append(f"lives {lives}")
    for name in os.listdir(base):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if name != "id" and (name not in lives or os.listdir(os.path.join(base, name))):
                found.append(f"staging {name}")
    return found


def is_clean(place, couriers=1):
    wait_for(lambda: not litter(place, couriers), PATIENT, lambda: f"there is left: {litter(place, couriers)}")


def forget_files(place):
    for name in place.files():
        os.remove(os.path.join(place.share, name))


def saw_whole(watch):
    """A file came by one rename, and nobody wrote it after."""
    strange = [event for event in watch.events() if event[0] not in ("MOVED_TO", "DELETE") and event[1] != ".letterchute"]
    equal(strange, [], "what a watcher of the share saw")


def use_up_doubts(place, gateway, message, files, by):
    """A mark that stays is a doubt, of this mail: the mail is known once more, and then no doubt is left."""
    require(until_heard(place, gateway, message, by).startswith("250"))
    wait_for(lambda: not place.marks(), PATIENT, lambda: f"marks {place.marks()} stay, of what was sent once more")
    equal(place.files(), files, "after the doubt")


def compare(place, gateway, message, wanted, by, watch, couriers=1):
    """`wanted`: files, quarantined messages."""
    files, aside = wanted
    is_clean(place, couriers)
    equal(place.files(), files, "on the share")
    equal(len(place.quarantine()), aside, place.quarantine())
    if place.marks():
        use_up_doubts(place, gateway, message, files, by)
    saw_whole(watch)
    forget_files(place)
    watch.events()


# --- one point -------------------------------------------------------------------------------------------------------

def sessions(gateway):
    return [child for pid in children(gateway.process.pid) for child in children(pid)
            if "letterchute-smtp" in command_line(pid)]


def is_quiet(place, gateway, pids):
    return not place.marks() and not sessions(gateway) and all(rests(pid) for pid in pids)


def first_try(place, gateway, find, options, message, by, after_greeting):
    """Sends a mail to a gateway with one of its roles traced, until the trace has killed or all is done.
    Returns the try, under way perhaps, whether somebody died, and the trace."""
    armed, pids = threading.Event(), []

    def arm(device):
        pids.extend(find(gateway))
        arm.tracer, arm.path = strace(place, pids, *options)
        armed.set()
    if not after_greeting:
        arm(None)
    with_greeting = arm if after_greeting else lambda device: None
    pool = concurrent.futures.ThreadPoolExecutor(1)
    trial = pool.submit(by, place, gateway, message, with_greeting)
    pool.shutdown(wait=False)
    require(armed.wait(PATIENT), "the device is not greeted")
    wait_for(lambda: has_killed(arm.path) or (trial.done() and is_quiet(place, gateway, pids)), 2 * PATIENT,
             lambda: f"it does not come to an end; {place.marks()} {trial}\n{gateway.log()[-3000:]}")
    died = has_killed(arm.path)
    end_tracer(arm.tracer)
    return trial, died, arm.path


def list_points(place, gateway, find, follow, kind, by=by_smtp, after_greeting=False):
    """Of a run in which nobody dies."""
    message, files, code = kind("list")
    trial, _, path = first_try(place, gateway, find, follow, message, by, after_greeting)
    equal(trial.result()[:3], code)
    equal(place.files(), files)
    forget_files(place)
    return points_of(path)


def restart(gateway):
    """The whole gateway is killed, and started again."""
    gateway.kill()
    gateway.start()


def stop_and_start(place, gateway, may_doubt):
    """An orderly end leaves no doubt."""
    gateway.stop()
    require(may_doubt or not place.marks(), lambda: f"a doubt stays although the 250 was read: {place.marks()}")
    gateway.start()


def die_at(place, gateway, role_row, point, seed, kind, whole, watch):
    """One death; True if the point was reached. `whole`: the gateway dies too, and is started again; else the boss
    starts the role again."""
    find, follow, by, after_greeting = role_row
    message, files, code = kind(seed)
    trial, died, _ = first_try(place, gateway, find, [*follow, *killing(*point)], message, by, after_greeting)
    if died and whole:
        restart(gateway)
    reply = trial.result()
    tried_again = not is_final(reply)
    if tried_again:
        reply = until_heard(place, gateway, message, by)
    equal(reply[:3], code, "the last reply")
    if not whole:
        stop_and_start(place, gateway, died and not tried_again)
    elif tried_again:
        wait_for(lambda: not place.marks(), PATIENT, "a doubt stays although the 250 was read")
    compare(place, gateway, message, (files, 0), by, watch)
    return died


def die_everywhere(place, name, role_row, kind, whole, most, **config):
    """A role dies at each of its calls while it takes part in a delivery, one at a time."""
    config.setdefault("gateway", "couriers = 1\nanswer_within = 60s")
    with place.gateway(**config) as gateway:
        watch = Watch(place.share)
        points = list_points(place, gateway, role_row[0], role_row[1], kind, *role_row[2:])
        stop_and_start(place, gateway, False)
        points += [point for point in list_points(place, gateway, role_row[0], role_row[1], kind, *role_row[2:])
                   if point not in points]
        restart(gateway)
        watch.events()
        chosen = sample(points, most)
        died = 0
        for seed, point in enumerate(chosen):
            try:
                died += die_at(place, gateway, role_row, point, seed, kind, whole, watch)
            except Exception as error:
                raise AssertionError(f"killed at {point[0]} {point[1]}: {error}") from error
    require(died >= len(chosen) * 3 // 4, f"only {died} of {len(chosen)} points were reached")
    tell(name, died)
