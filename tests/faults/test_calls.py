"""Every system call of a delivery fails, one at a time, in each role: no 250 that is not true, then the sender's next try ends
with exactly one of each file, and nothing is left over."""

import concurrent.futures
import contextlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import threading

import faults
import harness
from harness import (Device, Place, equal, mail, needs_root, part, pdf, processes, require, rows, send, status_of,
                     wait_for)

OWNER, GROUP, OTHER_GROUP = 1, 1234, 2345
CONFIG = {"share": f"owner = {OWNER}", "gateway": "couriers = 1\nanswer_within = 20s", "route": "to = flat@*",
          "text": f"[route deep]\nto = deep@*\nfolder = in/{{subject}}\nmode = 0640\ngroup = {OTHER_GROUP}\n"}
ACL = "user::rwx,user:daemon:rwx,group::r-x,mask::rwx,other::---"

numbers = itertools.count(1)


class Mail:
    """A mail that no other is like, and the files that it becomes."""

    def __init__(self, parts, size=3000):
        self.name = f"m{next(numbers)}"
        self.to = "flat@example.org" if parts == 1 else "deep@example.org"
        self.folder = "" if parts == 1 else os.path.join("in", self.name)
        contents = {f"{self.name}-{i}.pdf": pdf(size + i, f"{self.name}{i}") for i in range(parts)}
        self.octets = mail(*[part(content, name) for name, content in contents.items()], subject=self.name)
        self.files = {os.path.join(self.folder, name): content for name, content in contents.items()}

    def found(self, place):
        """Of its files, those that a user sees: whatever bears its name."""
        base, found = os.path.join(place.share, self.folder), {}
        for name in os.listdir(base) if os.path.isdir(base) else []:
            if name.startswith(self.name + "-"):
                with open(os.path.join(base, name), "rb") as content:
                    found[os.path.join(self.folder, name)] = content.read()
        return found


def one_part():
    return Mail(1)


def three_parts():
    return Mail(3)


def large():
    return Mail(1, 1500000)


def attributes(path):
    """Owner, group, mode and ACL."""
    found = os.stat(path)
    acl = os.getxattr(path, "system.posix_acl_access") if "system.posix_acl_access" in os.listxattr(path) else b""
    return found.st_uid, found.st_gid, oct(found.st_mode), acl


def check_whole(place, letter, wanted):
    """Every file of the mail is there once, whole, with all that it should have; `wanted`: attributes of a clean one."""
    equal(sorted(letter.found(place)), sorted(letter.files), "files")
    require(letter.found(place) == letter.files, "a file is not whole")
    for name in letter.files:
        equal(attributes(os.path.join(place.share, name)), wanted["file"], name)
    if letter.folder:
        equal(attributes(os.path.join(place.share, letter.folder)), wanted["folder"], letter.folder)


def litter(place, lives, marks=0):
    """What should not be there; "" for nothing. `lives`: how many couriers live."""
    base = os.path.join(place.share, ".letterchute")
    alive = place.spool("lives")
    found = [f"lives {alive}"] if len(alive) != lives else []
    for name in sorted(os.listdir(base)):
        if name != "id" and (name not in alive or os.listdir(os.path.join(base, name))):
            found.append(f"staging {name}")
    for name in ("publishing", "tries"):
        found += [f"{name} {entry}" for entry in place.spool(name)]
    if len(place.marks()) > marks:
        found.append(f"marks {place.marks()}")
    found += [f"quarantine {entry}" for entry in place.quarantine()]
    for at, folders, names in os.walk(place.state):
        found += [os.path.join(at, name) for name in names + folders if name.startswith(".")]
    return ", ".join(found)


# --- a gateway to be tried ------------------------------------------------------------------------

class Bench:
    """A gateway in a place of its own, which is made anew when a fault has shown something."""

    def __init__(self, place, name):
        self.outer, self.name, self.turn, self.gateway = place, name, 0, None

    def renew(self):
        self.end()
        self.turn += 1
        self.place = Place(self.outer.make(f"{self.name}-{self.turn}"))
        self.outer.later(self.place.close)
        os.chown(self.place.share, 0, GROUP)
        os.chmod(self.place.share, 0o2775)
        subprocess.run(["setfacl", "-d", "-m", ACL, self.place.share], check=True)
        self.config = self.place.config(**CONFIG)
        self.place.probe = os.path.join(self.place.folder, "trace")

    def start(self):
        self.gateway = self.place.gateway(config=self.config).start()
        return self

    def end(self):
        if self.gateway and self.gateway.process.poll() is None:
            self.gateway.kill()

    def role(self, words, call):
        """The process that serves, once it waits for work."""
        def idle():
            found = processes(self.gateway, words)
            return found[0] if len(found) == 1 and faults.waits_in(found[0], call) else None
        return wait_for(idle, 30, f"no idle {words}:\n{self.gateway.log()[-2000:]}")

    def is_quiet(self):
        """No session and no child of an extractor is left, and the courier waits for work."""
        return all(len(processes(self.gateway, words)) <= 1
                   for words in ("letterchute-smtp listen", "letterchute-extract", "letterchute-courier run"))

    def send(self, letter):
        """The reply, or "" where the connection broke."""
        with contextlib.suppress(OSError, EOFError):
            return send(self.gateway.port, letter.octets, to=(letter.to,))
        return ""

    def deliver(self, letter):
        """As a device does that tries again."""
        def accepted():
            reply = self.send(letter)
            require(reply[:1] in ("", "2", "4"), f"the next try is refused: {reply}")
            return reply.startswith("250")
        wait_for(accepted, 60, "the mail is never accepted")

    def is_clean(self, marks=0):
        return not litter(self.place, 1, marks)


ROLES = {"courier": ("letterchute-courier run", "epoll_wait"), "extractor": ("letterchute-extract", "ppoll"),
         "session": ("letterchute-smtp listen", "epoll_pwait"), "keeper": ("letterchute-courier keep", "poll")}


def attach(bench, role, point=None):
    """Traces the role; `point` is what fails."""
    pid = bench.role(*ROLES[role])
    if point and (point[2] == faults.SHORT or role == "extractor"):
        return faults.meddle(point[2], point[0], point[1], [pid])
    if point:
        return faults.inject(bench.place.probe, [pid], *point)
    return faults.strace(bench.place.probe, [pid], ["-s", "300"])


def look_for_points(bench, row):
    """What a clean delivery asks of the kernel, and what its files look like then."""
    for _ in range(2):
        bench.deliver(row.shape())
    letter = row.shape()
    row.prepare(bench, letter)
    tracer = attach(bench, row.role)
    require(bench.send(letter).startswith("250"), "the clean delivery")
    wait_for(bench.is_quiet, 30)
    tracer.end()
    wait_for(bench.is_clean, 30, lambda: litter(bench.place, 1))
    file = os.path.join(bench.place.share, next(iter(letter.files)))
    wanted = {"file": attributes(file), "folder": attributes(os.path.dirname(file))}
    equal(wanted["file"][0], OWNER, "owner of a clean file")
    return faults.points_of(bench.place.probe), wanted


def try_point(bench, row, point, wanted):
    """True if the fault came. Raises when a promise is broken."""
    role, letter = row.role, row.shape()
    row.prepare(bench, letter)
    tracer = attach(bench, role, point)
    try:
        reply = bench.send(letter)
        if reply.startswith("250"):
            check_whole(bench.place, letter, wanted)
        require(reply[:1] in ("", "2", "4"), f"answered {reply}")
        wait_for(bench.is_quiet, 60, "a session stays")
    finally:
        tracer.end()
    heard = reply.startswith("250")
    if not heard:
        bench.deliver(letter)
    require(bench.gateway.process.poll() is None, "the boss has ended")
    # a session that can't know whether its 250 was read, or that died, leaves a doubt: that is what a mark is
    doubts = 1 if role == "session" else 0
    wait_for(lambda: bench.is_quiet() and bench.is_clean(doubts), 30, lambda: f"after {reply!r}: {litter(bench.place, 1, doubts)}")
    check_whole(bench.place, letter, wanted)
    if bench.place.marks():
        settle_doubt(bench, letter)
    return tracer.has_fired()


def settle_doubt(bench, letter):
    """A doubt takes the next equal mail, once, and is gone."""
    before = len(letter.found(bench.place))
    bench.deliver(letter)
    equal(len(letter.found(bench.place)), before, "a doubt that writes")
    wait_for(bench.is_clean, 30, lambda: f"the doubt stays: {litter(bench.place, 1)}")


# --- many of them ---------------------------------------------------------------------------------

class Tally:
    """What came of all points."""

    def __init__(self):
        self.lock, self.fired, self.bad = threading.Lock(), 0, []

    def add(self, fired):
        with self.lock:
            self.fired += fired

    def fail(self, point, error, log):
        with self.lock:
            self.bad.append(f"{' '.join(map(str, point))}: {error}\n{log}")

    def tell(self, label, least):
        print(f"     faults/{label}: {self.fired} points", flush=True)
        require(not self.bad, lambda: f"{len(self.bad)} of {self.fired + len(self.bad)}:\n" + "\n".join(self.bad))
        require(self.fired >= least, f"only {self.fired} faults")


def try_points(bench, points, work, tally):
    for point in points:
        try:
            if not bench.gateway:
                bench.renew()
                bench.start()
            tally.add(work(bench, point))
        except Exception as error:  # all points are tried, whatever one of them shows
            tally.fail(point, error, bench.gateway.log()[-1500:] if bench.gateway else "")
            bench.end()
            bench.gateway = None


def finish(bench, tally):
    """A clean stop leaves nothing."""
    if not bench.gateway:
        return
    try:
        bench.gateway.stop()
        equal(litter(bench.place, 0), "", "after a clean stop")
    except Exception as error:
        tally.fail(("stop",), error, bench.gateway.log()[-1500:])


WORKERS = 4  # most of the time they wait: for a tracer, for the keeper's next look


def try_all(benches, points, work):
    tally = Tally()

    def run(index):
        try_points(benches[index], points[index::len(benches)], work, tally)
        finish(benches[index], tally)
    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(benches))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tally


# --- what happened to the mail before -------------------------------------------------------------

def nothing(bench, letter):
    """It comes for the first time."""


def answer_is_lost(bench, letter):
    """It was delivered, and its sender does not know."""
    device = Device(bench.gateway.port)
    device.envelope(to=(letter.to,))
    device.say("DATA")
    device.send(letter.octets + b".\r\n")
    wait_for(lambda: letter.found(bench.place) and not bench.place.spool("publishing"), 30, "it was not delivered")
    device.reset()
    wait_for(lambda: bench.is_quiet() and bench.place.marks(), 30, "it left no doubt")


def plan_waits(bench, letter):
    """A part of it is published, then the disk failed: its plan waits in a life that was left."""
    tracer = attach(bench, "courier", ("renameat2", 2 if letter.folder == "" else 3, "EIO"))
    reply = bench.send(letter)
    tracer.end()
    require(reply.startswith("4"), f"{reply}: it was delivered")


class Row:
    def __init__(self, label, role, shape, prepare, count):
        self.label, self.role, self.shape, self.prepare, self.count = label, role, shape, prepare, count


TABLE = [Row("courier, one part", "courier", one_part, nothing, 120),
         Row("courier, three parts in a new folder", "courier", three_parts, nothing, 170),
         Row("courier, a mail that was delivered before", "courier", one_part, answer_is_lost, 40),
         Row("courier, a plan that waits", "courier", three_parts, plan_waits, 120),
         Row("session", "session", one_part, nothing, 70), Row("session, a mail on the disk", "session", large, nothing, 40),
         Row("extractor", "extractor", three_parts, nothing, 40)]


@needs_root
@rows([(row.label, row) for row in TABLE])
def test_call_fails(place, row):
    first = Bench(place, "bench0")
    first.renew()
    points, wanted = look_for_points(first.start(), row)
    benches = [first] + [Bench(place, f"bench{i}") for i in range(1, WORKERS)]

    def work(bench, point):
        if row.role == "extractor" and not processes(bench.gateway, ROLES[row.role][0]):
            bench.deliver(row.shape())
        return try_point(bench, row, point, wanted)
    chosen = faults.sample(points, row.count)
    tally = try_all(benches, chosen, work)
    tally.tell(f"calls, {row.label} of {len(points)}", len(chosen) * 3 // 4)


# --- the keeper -----------------------------------------------------------------------------------

@contextlib.contextmanager
def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def die_in_the_middle(bench, letter):
    """The courier dies with one of three parts published, and no other comes as long as the boss is stopped. Gives the
    thread of the device, which waits for its answer, and the list where that will be."""
    courier, replies = bench.role(*ROLES["courier"]), []
    killer = faults.inject(bench.place.probe + ".killer", [courier], "renameat2", 3, "SIGKILL")
    device = threading.Thread(target=lambda: replies.append(bench.send(letter)))
    device.start()
    wait_for(lambda: (status_of(courier, "State") or "Z")[0] == "Z", 30, "the courier does not die")
    killer.end()
    # told by its own calls: the keeper may have published the others meanwhile
    with open(killer.path, errors="replace") as trace:
        published = re.findall(rf'renameat2\(.*"({letter.name}-[^"]*)"[^"]*\) = 0$', trace.read(), re.M)
    equal(len(published), 1, f"not in the middle: {published}")
    return device, replies


def adopt_with(bench, point, wanted):
    """The keeper adopts the dead courier's life while it is traced; `wanted` None: nothing is checked."""
    letter = three_parts()
    bench.role(*ROLES["courier"])
    tracer = attach(bench, "keeper", point)
    with stopped(bench.gateway.process.pid):
        device, replies = die_in_the_middle(bench, letter)
        dead = set(bench.place.spool("lives"))
        with contextlib.suppress(AssertionError):  # it may have died of the fault
            wait_for(lambda: not dead & set(bench.place.spool("lives")), 8 / harness.PATIENCE)
        tracer.end()
    device.join()
    if not replies[0].startswith("250"):
        require(replies[0][:1] in ("", "4"), f"answered {replies[0]}")
        bench.deliver(letter)
    # the question of a session whose courier died may still be in the queue
    wait_for(lambda: bench.is_quiet() and bench.is_clean(), 30, lambda: f"after {replies}: {litter(bench.place, 1)}")
    if wanted:
        check_whole(bench.place, letter, wanted)
        return tracer.has_fired()
    return letter


@needs_root
def test_call_fails_in_the_keeper(place):
    """While it rolls forward what a dead courier left."""
    first = Bench(place, "bench0")
    first.renew()
    first.start()
    first.deliver(three_parts())
    letter = adopt_with(first, None, None)
    points = faults.points_of(first.place.probe)
    file = os.path.join(first.place.share, next(iter(letter.files)))
    wanted = {"file": attributes(file), "folder": attributes(os.path.dirname(file))}
    benches = [first] + [Bench(place, f"bench{i}") for i in range(1, 2 * WORKERS)]

    def work(bench, point):
        if bench.turn == 1 and not bench.place.files():
            bench.deliver(three_parts())
        return adopt_with(bench, point, wanted)
    chosen = faults.sample(points, 48)
    tally = try_all(benches, chosen, work)
    tally.tell(f"calls, keeper of {len(points)}", len(chosen) // 2)


# --- drop -----------------------------------------------------------------------------------------

def drop_traced(place, config, octets, words, follow):
    """The exit status of `drop` under strace."""
    command = ["strace", "-qq", "-y", "-s", "300", "-o", os.path.join(place.folder, "trace"), *(["-f"] if follow else []), *words,
               place.program, "drop", "-c", config]
    return subprocess.run(command, input=octets, capture_output=True, timeout=120 * harness.PATIENCE).returncode


def half_delivered(place, config, letter):
    """An earlier try died with one of three parts published."""
    if letter:
        drop_traced(place, config, letter.octets, ["-e", "trace=renameat2", "-e", "inject=renameat2:signal=KILL:when=2"], True)


def trace_from(path, marker, process):
    """Leaves in a trace what the process does after the line with the marker, counted from its beginning."""
    with open(path, errors="replace") as trace:
        lines = trace.readlines()
    start = next(i for i, line in enumerate(lines) if re.search(marker, line))
    pid = lines[start].split()[0] if process else ""
    counts, points = {}, {}
    for i, line in enumerate(lines):
        match = re.match(rf"({pid} +)?(\w+)\(", line)
        if not match or (pid and not line.startswith(pid + " ")):
            continue
        call = match.group(2)
        counts[call] = counts.get(call, 0) + 1
        for error in faults.ERRORS.get(call, ()) if i > start else ():
            if error != faults.SHORT:
                points[call, counts[call], error] = True
    return list(points)


DROPS = [("drop alone", False, r"openat\(.*gateway.conf", 60), ("its courier, which adopts a dead one", True, r"AT_FDCWD.*spool/lives", 100)]


@needs_root
@rows(DROPS)
def test_call_fails_in_drop(place, adopts, marker, count):
    """It is 75, or 0 and all there; the next try ends with exactly one of each."""
    turns = itertools.count(1)

    def run(words):
        inner = Place(place.make(f"turn{next(turns)}"))
        place.later(inner.close)
        own = inner.config(route=None, text="[route all]\n")
        letter = Mail(3)
        letter.folder, letter.files = "", {os.path.basename(name): content for name, content in letter.files.items()}
        half_delivered(inner, own, adopts and letter)
        return inner, own, letter, drop_traced(inner, own, letter.octets, words, adopts)

    def work(_, point):
        call, which, error = point
        inner, own, letter, status = run(["-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={which}"])
        require(status in (0, 75) or status < 0, f"status {status}")
        if status == 0:
            require(letter.found(inner) == letter.files, "0, and not all is there")
        else:
            equal(inner.run("drop", "-c", own, stdin=letter.octets).returncode, 0, "the next try")
        equal(inner.files(), letter.files, "files")
        with open(os.path.join(inner.folder, "trace"), errors="replace") as trace:
            fired = trace.read().count("(INJECTED)")
        # who was to take the mark away failed twice: a doubt, which the next equal mail takes
        if fired > 1 and inner.marks():
            equal(inner.run("drop", "-c", own, stdin=letter.octets).returncode, 0, "an equal mail")
            equal(inner.files(), letter.files, "a doubt that writes")
        if call == "unlinkat":  # a count that could not be removed grows old
            shutil.rmtree(os.path.join(inner.state, "spool", "tries"))
        if litter(inner, 0):  # what a life could not remove at its end is left to the next courier
            equal(inner.run("drop", "-c", own, stdin=Mail(1).octets).returncode, 0, "another mail")
        wait_for(lambda: not litter(inner, 0), 20, lambda: f"litter: {litter(inner, 0)}")
        shutil.rmtree(inner.folder)
        return fired > 0
    inner, _, _, status = run([])
    equal(status, 0, "a clean one")
    points = trace_from(os.path.join(inner.folder, "trace"), marker, adopts)
    chosen = faults.sample(points, count)
    tally = Tally()
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for point, done in [(point, pool.submit(work, None, point)) for point in chosen]:
            try:
                tally.add(done.result())
            except Exception as error:  # all points are tried, whatever one of them shows
                tally.fail(point, error, "")
    tally.tell(f"calls, drop, adopts {adopts}, of {len(points)}", len(chosen) * 3 // 4)
