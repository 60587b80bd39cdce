"""What becomes of a message that its extractor, its courier or the file system can't bear; it blocks nobody."""

import contextlib
import json
import os
import subprocess

import faults
from harness import equal, mail, needs_root, part, pdf, processes, require, rows, scan, send, wait_for

# The child of an extractor makes some such calls, a template one when it starts, and a courier none.
CHILD = "prlimit64"


def try_send(gateway, message, to="scans@example.org"):
    with contextlib.suppress(OSError, EOFError):
        return send(gateway.port, message, to=(to,))
    return ""


def couriers(gateway, count):
    """Once so many wait for work."""
    def idle():
        found = processes(gateway, "letterchute-courier run")
        return found if len(found) == count and all(faults.waits_in(pid, "epoll_wait") for pid in found) else None
    return wait_for(idle, 30, f"no {count} idle couriers:\n{gateway.log()[-3000:]}")


def warm(gateway):
    """Every courier has its extractor."""
    for _ in range(30):
        require(try_send(gateway, scan()).startswith("250"))
        if len(processes(gateway, "letterchute-extract")) == len(processes(gateway, "letterchute-courier run")):
            return


def kept(place):
    """The messages in quarantine."""
    found = []
    for entry in place.quarantine():
        path = os.path.join(place.state, "quarantine", entry, "message.eml")
        if os.path.exists(path):
            with open(path, "rb") as content:
                found.append(content.read())
    return found


def signalled(place, pids, name):
    """Every child of these extractors, or of extractors that these couriers start, ends by the signal."""
    return faults.strace(os.path.join(place.folder, "trace"), pids,
                         ["-e", f"trace={CHILD},execve", "-e", f"inject={CHILD}:signal={name}:when=2"])


def check_clean(place):
    equal(place.staged(), [])
    for name in ("lives", "publishing", "done", "tries"):
        equal(place.spool(name), [], name)


@needs_root
@rows([(name, name) for name in ("SEGV", "BUS", "ILL", "FPE", "ABRT", "SYS", "XCPU")])
def test_crash_once(place, name):
    """One child crashes: the message is tried once more in a template that was executed anew, and is delivered."""
    with place.gateway(gateway="couriers = 1") as gateway:
        warm(gateway)
        (template,) = processes(gateway, "letterchute-extract")
        tracer = signalled(place, [template], name)
        reply = try_send(gateway, scan())
        tracer.end()
        require(reply.startswith("250"), reply)
        require([template] != processes(gateway, "letterchute-extract"), "the same template goes on")
        equal(place.quarantine(), [])
        require(tracer_saw(place, f"SIG{name}"), "it did not crash")
    check_clean(place)


def tracer_saw(place, words):
    with open(os.path.join(place.folder, "trace"), errors="replace") as trace:
        return words in trace.read()


@needs_root
@rows([(name, name) for name in ("SEGV", "SYS", "XCPU")])
def test_crash_always(place, name):
    """Both tries crash: 554 5.6.0, the message whole in quarantine, once; meanwhile and afterwards other mail is delivered."""
    with place.gateway(gateway="couriers = 2") as gateway:
        warm(gateway)
        pids = couriers(gateway, 2)
        templates = processes(gateway, "letterchute-extract")
        message = mail(part(pdf(4000), "poison.pdf"))
        tracer = signalled(place, [*pids, *templates], name)
        for _ in range(2):
            reply = try_send(gateway, message)
            require(reply.startswith("554 5.6.0"), reply)
            equal(kept(place), [message + (b"" if message.endswith(b"\r\n") else b"\r\n")], "the quarantine")
        tracer.end()
        equal(gateway.last()["reason"], "crash")
        for _ in range(4):
            require(try_send(gateway, scan()).startswith("250"), "another mail")
        equal([name for name in place.files() if "poison" in name], [])
    check_clean(place)


def retry(place, entry, wrapper=()):
    command = [place.program, "quarantine", "retry", "--json", "-c", os.path.join(place.folder, "gateway.conf"), entry]
    done = subprocess.run([*wrapper, *command], capture_output=True, timeout=120)
    return done.returncode, json.loads(done.stdout)["reason"]


@needs_root
def test_crash_and_retry(place):
    """What crashed is tried again by hand: it crashes again and stays, as one entry; and is delivered once it does not."""
    with place.gateway(gateway="couriers = 1") as gateway:
        warm(gateway)
        message = mail(part(pdf(4000), "poison.pdf"))
        tracer = signalled(place, [*couriers(gateway, 1), *processes(gateway, "letterchute-extract")], "SEGV")
        require(try_send(gateway, message).startswith("554 5.6.0"))
        tracer.end()
        (entry,) = place.quarantine()
        # nobody but the child of an extractor makes that many
        strace = ("strace", "-f", "-qq", "-o", os.path.join(place.folder, "trace-retry"), "-e", f"trace={CHILD}", "-e",
                  f"inject={CHILD}:signal=SEGV:when=4")
        equal(retry(place, entry, strace), (65, "crash"))
        equal((place.quarantine(), len(kept(place))), ([entry], 1))
        equal(retry(place, entry), (0, None))
        equal(([name for name in place.files() if "poison" in name], place.quarantine()), (["poison.pdf"], []))
        require(try_send(gateway, scan()).startswith("250"), "another mail")
    check_clean(place)


@needs_root
@rows([(name, name) for name in ("KILL", "TERM")])
def test_killed_from_outside(place, name):
    """It is nobody's fault: LATER, as often as it happens, and never counted."""
    with place.gateway(gateway="couriers = 1") as gateway:
        warm(gateway)
        pids = couriers(gateway, 1)
        tracer = signalled(place, [*pids, *processes(gateway, "letterchute-extract")], name)
        message = scan(4000)
        for _ in range(5):
            reply = try_send(gateway, message)
            require(reply.startswith("451"), reply)
        tracer.end()
        equal((place.quarantine(), place.spool("tries")), ([], []))
        require(try_send(gateway, message).startswith("250"), "the next try")
    check_clean(place)


@needs_root
@rows([("no limits", "prlimit64", "EPERM"), ("no message", "pread64", "EIO")])
def test_extractor_that_can_not_work(place, call, error):
    """Both tries end because the kernel says no: our trouble, not the message's. LATER, and nothing in quarantine."""
    with place.gateway(gateway="couriers = 1") as gateway:
        warm(gateway)
        message = scan(4000)
        for turn in range(4):
            pids = couriers(gateway, 1) + processes(gateway, "letterchute-extract")
            # the first of such calls belongs to the start of a template, or to the courier
            tracer = faults.meddle(f"each:{error}", call, 2, pids)
            reply = try_send(gateway, message)
            tracer.end()
            require(tracer.has_fired(), "no fault")
            require(reply.startswith("451"), reply)
        equal((place.quarantine(), place.spool("tries")), ([], []))
        require(try_send(gateway, message).startswith("250"), "the next try")
    check_clean(place)


@needs_root
def test_courier_that_dies_on_it(place):
    """Counted before each try: after three deaths it is refused and kept, without another try. Other mail is delivered in between."""
    with place.gateway(gateway="couriers = 2") as gateway:
        warm(gateway)
        message, replies = mail(part(pdf(4000), "poison.pdf")), []
        while len(replies) < 8 and not (replies and replies[-1].startswith("5")):
            pids = couriers(gateway, 2)
            # a courier asks this when it looks at a share for a message; those that the boss starts meanwhile are followed
            tracer = faults.inject(os.path.join(place.folder, "trace"), [gateway.process.pid, *pids], "fstatfs", 1, "SIGKILL")
            replies.append(try_send(gateway, message))
            tracer.end()
            couriers(gateway, 2)
            require(try_send(gateway, scan()).startswith("250"), "another mail")
            wait_for(lambda: len(place.spool("lives")) == 2, 30, "the dead are not adopted")
        require(replies[-1].startswith("554 5.6.0"), replies)
        require(all(reply.startswith("451") for reply in replies[:-1]) and len(replies) <= 4, replies)
        equal(kept(place), [message], "the quarantine")
        require(" tries failed: " in gateway.log(), gateway.log())
        equal([name for name in place.files() if "poison" in name], [])
    check_clean(place)


@needs_root
@rows([("EILSEQ", "EILSEQ"), ("ENAMETOOLONG", "ENAMETOOLONG")])
def test_plan_that_is_refused(place, error):
    """A file system that refuses the names of one plan, whatever they are: it is kept aside, and blocks nobody."""
    config = place.config(route="to = scans@*", gateway="couriers = 2",
                          text="[route poison]\nto = poison@*\nfolder = poison\n")
    with place.gateway(config=config) as gateway:
        warm(gateway)
        require(try_send(gateway, scan(), "poison@example.org").startswith("250"))
        pids = [gateway.process.pid, *couriers(gateway, 2), *processes(gateway, "letterchute-courier keep")]
        words = ["-e", "trace=renameat2", "-P", os.path.join(place.share, "poison"), "-e", f"inject=renameat2:error={error}"]
        tracer = faults.strace(os.path.join(place.folder, "trace"), pids, words)
        message, replies = mail(part(pdf(4000), "poison.pdf"), part(pdf(5000), "other.pdf")), []
        while len(replies) < 8 and not (replies and replies[-1].startswith("5")):
            replies.append(try_send(gateway, message, "poison@example.org"))
            require(try_send(gateway, scan()).startswith("250"), "another mail")
        tracer.end()
        require(replies[-1].startswith("554 5.6.0"), replies)
        require(all(reply.startswith("45") for reply in replies[:-1]), replies)
        # what was promised is kept in its parts, and the message as a whole
        equal((len(place.quarantine()), kept(place)), (3, [message]))
        equal(os.listdir(os.path.join(place.share, "poison")), ["scan.pdf"])
        wait_for(lambda: len(place.spool("lives")) == 2, 30, "the life of the plan stays")
        require(try_send(gateway, scan(), "poison@example.org").startswith("250"), "the next mail on that route")
    check_clean(place)
