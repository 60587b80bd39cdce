"""A point is one system call of one process, at which it is killed: how to list, to die there, and to compare.

strace counts the calls of each kind for each process, so a point is (call, number). The list comes from a run in which
nobody dies."""

import collections
import concurrent.futures
import contextlib
import hashlib
import itertools
import os
import re
import signal
import subprocess
import threading

from harness import (COUNT, Device, EXE, Watch, children, command_line, equal, mail, part, pdf, require, status_of,
                     wait_for)

PATIENT = 60      # seconds, for what takes milliseconds on a machine that is not loaded
TRACES = itertools.count()


def tell(name, points):
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

def new_trace(place):
    return os.path.join(place.folder, f"trace-{next(TRACES)}")


def strace(place, pids, *options):
    """Attaches to running processes; the tracer and what it writes."""
    path = new_trace(place)
    attached = [word for pid in pids for word in ("-p", str(pid))]
    tracer = subprocess.Popen(["strace", "-qq", "-o", path, *options, *attached], stderr=subprocess.DEVNULL)
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


def has_stopped(path, pid=""):
    """For a tracer that stops with a signal: it came."""
    with contextlib.suppress(FileNotFoundError):
        with open(path, errors="replace") as trace:
            return any(line.startswith(str(pid)) and "--- stopped by SIGSTOP ---" in line for line in trace)
    return False


def points_of(path):
    """Every (call, number) of a trace, in order, each once however many processes come to it. What goes on after the
    tracer has come (restart_syscall) is no call of the program: killed there, it dies before it is told anything."""
    counts, found = collections.Counter(), {}
    with open(path, errors="replace") as trace:
        for line in trace:
            match = re.match(r"(\d+ +)?(\w+)\(", line)
            if match and match.group(2) != "restart_syscall":
                counts[match.groups()] += 1
                found.setdefault((match.group(2), counts[match.groups()]))
    return list(found)


# --- processes -------------------------------------------------------------------------------------------------------

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


# With this on a process, what it executes stops before its first instruction.
STOPPED_EXEC = ("-f", "-e", "trace=execveat", "-e", "inject=execveat:signal=STOP")


def hold_start(parent, words, path):
    """The next program of that name that a process executes, stopped. `parent` is traced by STOPPED_EXEC into `path`,
    and is not any more after this."""
    def held():
        return [pid for pid in children(parent) if words in command_line(pid) and has_stopped(path, pid)]
    pid = wait_for(held, PATIENT, "nothing is executed")[0]
    let_go(parent)
    wait_for(lambda: status_of(pid, "State") == "T", PATIENT, "it does not stop")
    return pid


def let_go(pid):
    """Ends the tracer of a process."""
    tracer = int(status_of(pid, "TracerPid") or 0)
    with contextlib.suppress(ProcessLookupError):
        if tracer:
            os.kill(tracer, signal.SIGTERM)
    wait_for(lambda: status_of(pid, "TracerPid") in ("0", None), PATIENT, "its tracer stays")


def go_on(pids):
    """Those that were held run."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # it may die between the two
            if status_of(pid, "State") in ("T", "t"):
                os.kill(pid, signal.SIGCONT)


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
    found = [f"plan {name}" for name in place.spool("publishing")]
    found += [f"scratch {name}" for name in place.spool("receiving")]
    if len(lives) != couriers:
        found.append(f"lives {lives}")
    for name in os.listdir(base) if os.path.isdir(base) else ["not there"]:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if name != "id" and (name not in lives or os.listdir(os.path.join(base, name))):
                found.append(f"staging {name}")
    return found


def is_clean(place, couriers=1):
    wait_for(lambda: not litter(place, couriers), PATIENT, lambda: f"there is left: {litter(place, couriers)}")


def await_settled(place):
    wait_for(lambda: not place.marks(), PATIENT, lambda: f"a doubt stays although the 250 was read: {place.marks()}")


def same_files(found, wanted, text=""):
    """The same names with the same contents, told in a few words."""
    def short(files):
        return {name: hashlib.sha256(content).hexdigest()[:6] for name, content in sorted(files.items())}
    equal(short(found), short(wanted), text)


def forget_marks(place):
    """Doubts that are right, and nobody is to be asked about."""
    for mark in place.marks():
        os.remove(os.path.join(place.state, "spool", "done", mark[:2], mark))


def forget_files(place):
    for name in place.files():
        os.remove(os.path.join(place.share, name))


def saw_whole(watch):
    """A file came by one rename, and nobody wrote it after."""
    strange = [event for event in watch.events()
               if event[0] not in ("MOVED_TO", "DELETE") and event[1] != ".letterchute"]
    equal(strange, [], "what a watcher of the share saw")


def use_up_doubts(place, gateway, message, files, by):
    """A mark that stays is a doubt, of this mail: the mail is known once more, and then no doubt is left."""
    require(until_heard(place, gateway, message, by).startswith("250"))
    wait_for(lambda: not place.marks(), PATIENT, lambda: f"marks {place.marks()} stay, of what was sent once more")
    same_files(place.files(), files, "after the doubt")


def compare(place, gateway, message, wanted, by, watch, couriers=1):
    """`wanted`: files, quarantined messages."""
    files, aside = wanted
    is_clean(place, couriers)
    same_files(place.files(), files, "on the share")
    equal(len(place.quarantine()), aside, place.quarantine())
    if place.marks():
        use_up_doubts(place, gateway, message, files, by)
    saw_whole(watch)
    forget_files(place)
    watch.events()


# --- one point -------------------------------------------------------------------------------------------------------

def find_courier(place, gateway):
    return [courier(gateway)]


# Who dies: how it is found, how it is traced, how the mail is sent to which it dies, whether it is there only once the
# device is greeted, whether it is found stopped.
Role = collections.namedtuple("Role", "find follow by after_greeting stopped",
                              defaults=(find_courier, (), by_smtp, False, False))


def again(who):
    """How the mail is sent once more."""
    return by_drop if who.by is by_drop else by_smtp


def sessions(gateway):
    return [child for pid in children(gateway.process.pid) for child in children(pid)
            if "letterchute-smtp" in command_line(pid)]


def is_quiet(place, gateway, pids):
    return not place.marks() and not sessions(gateway) and all(rests(pid) for pid in pids)


def first_try(place, gateway, who, options, message, for_good=False):
    """Sends a mail to a gateway with one of its roles traced, until the trace has killed or all is done. `for_good`:
    the boss starts nobody again. Returns the try, under way perhaps, whether somebody died, and the trace."""
    armed, pids = threading.Event(), []

    def arm(device):
        pids.extend(who.find(place, gateway))
        arm.tracer, arm.path = strace(place, pids, *who.follow, *options)
        if who.stopped:
            go_on(pids)
        if for_good and gateway.process.pid not in pids:
            gateway.process.send_signal(signal.SIGSTOP)
        armed.set()
    if not who.after_greeting:
        arm(None)
    pool = concurrent.futures.ThreadPoolExecutor(1)
    trial = pool.submit(who.by, place, gateway, message, arm if who.after_greeting else lambda device: None)
    pool.shutdown(wait=False)
    wait_for(lambda: armed.is_set() or trial.done(), 2 * PATIENT, "the device is not greeted")
    require(armed.is_set(), lambda: f"it ends before it is traced: {trial.exception()}")

    def is_over():
        if who.stopped:
            # it may have been told to go on before its tracer had it
            go_on(pids)
        return has_killed(arm.path) or (trial.done() and is_quiet(place, gateway, pids))
    wait_for(is_over, 2 * PATIENT,
             lambda: f"it does not come to an end; {place.marks()} {trial}\n{gateway.log()[-3000:]}")
    died = has_killed(arm.path)
    end_tracer(arm.tracer)
    if for_good and not died:
        go_on([gateway.process.pid])
    return trial, died, arm.path


def has_ended(gateway):
    return gateway.process.poll() is not None


def list_points(place, gateway, who, kind):
    """Of a run in which nobody dies."""
    is_clean(place)
    message, files, code = kind("list")
    trial, _, path = first_try(place, gateway, who, (), message)
    reply = trial.result()
    if has_ended(gateway):
        gateway.start()
    if not is_final(reply):
        reply = until_heard(place, gateway, message)
    equal(reply[:3], code)
    same_files(place.files(), files)
    forget_files(place)
    # who is killed now, before he knows that the 250 was read, would leave a doubt, and rightly
    await_settled(place)
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


def die_at(place, gateway, who, point, seed, kind, whole, watch):
    """One death; True if the point was reached. `whole`: the gateway dies too, and is started again; else the boss
    starts the role again."""
    message, files, code = kind(seed)
    trial, died, _ = first_try(place, gateway, who, killing(*point), message, whole)
    if (died and whole) or has_ended(gateway):
        restart(gateway)
    reply = trial.result()
    tried_again = not is_final(reply)
    if tried_again:
        reply = until_heard(place, gateway, message, again(who))
    equal(reply[:3], code, "the last reply")
    if not whole:
        stop_and_start(place, gateway, died and not tried_again)
    elif tried_again:
        await_settled(place)
    compare(place, gateway, message, (files, 0), again(who), watch)
    return died


def die_everywhere(place, name, who, kind, whole, most):
    """A role dies at each of its calls while it takes part in a delivery, one at a time."""
    with place.gateway(gateway="couriers = 1\nanswer_within = 60s") as gateway:
        points = list_points(place, gateway, who, kind)
        stop_and_start(place, gateway, False)
        points = list(dict.fromkeys(points + list_points(place, gateway, who, kind)))
        restart(gateway)
        each_point(name, sample(points, most), Watch(place.share),
                   lambda point, seed, watch: die_at(place, gateway, who, point, seed, kind, whole, watch))


def each_point(name, points, watch, die):
    """Counts the points that were reached, most of them: a list that fits no more would prove nothing."""
    died = 0
    for seed, point in enumerate(points):
        try:
            died += die(point, seed, watch)
        except Exception as error:
            raise AssertionError(f"killed at {point[0]} {point[1]}: {error}") from error
    require(died >= len(points) * 3 // 4, f"only {died} of {len(points)} points were reached")
    tell(name, died)
