"""quarantine list, show, retry and rm: what is told, what becomes of an entry, and that no death makes two of one."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import time

from harness import EXE, PDF, equal, mail, needs_root, part, pdf, require, rows, scan, send

SUSPICIOUS = b"From: scanner@example.org\r\n\r\nsee the scan\r\n--x\r\n" + part(pdf(4000)) + b"\r\n--x--\r\n"


def quarantine(place, *arguments, config=None, wrapper=()):
    path = config or os.path.join(place.folder, "gateway.conf")
    word, ids = arguments[0], arguments[1:]
    return subprocess.run([*wrapper, place.program, "quarantine", word, "-c", path, *ids], capture_output=True, timeout=240)


def entries(place):
    done = quarantine(place, "list", "--json")
    equal(done.returncode, 0, done.stderr.decode())
    return [json.loads(line) for line in done.stdout.splitlines()]


def path_of(place, entry, name="message.eml"):
    return os.path.join(place.state, "quarantine", entry, name)


def put_aside(place, message=SUSPICIOUS, **config):
    """One message in quarantine, from `drop`; its id."""
    before = place.quarantine()
    done = place.run("drop", "-c", place.config(**config), "--from", "scanner@example.org", "--to", "scans@example.org",
                     stdin=message)
    equal(done.returncode, 65, done.stderr.decode())
    (entry,) = [name for name in place.quarantine() if name not in before]
    return entry


def learn(place, entry, message=None):
    """As if the extractor had learned to read what it refused."""
    with open(path_of(place, entry), "wb") as out:
        out.write(message or scan())


def check_gone(place, files=("scan.pdf",)):
    equal((sorted(place.files()), place.quarantine(), place.marks(), place.staged()), (sorted(files), [], [], []))
    for name in ("lives", "publishing", "tries"):
        equal(place.spool(name), [], name)


# --- looking ---------------------------------------------------------------------------------------------------------

def test_list(place):
    config = place.config(route="types = pdf\nbad_part = quarantine")
    equal(quarantine(place, "list").stdout, b"nothing was kept aside\n")
    equal(quarantine(place, "list", "--json").stdout, b"")
    with place.gateway(config=config) as gateway:
        require(send(gateway.port, SUSPICIOUS, sender="a@b").startswith("554"))
        require(send(gateway.port, mail(part(PDF), part(EXE, "b.exe"))).startswith("250"))
        found = entries(place)
    second, first = found
    for entry in found:
        require({"id", "time", "source", "from", "reason", "bytes"} <= set(entry), entry)
        require(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}", entry["time"]), entry["time"])
    equal((first["source"], first["from"], first["reason"], first["bytes"], first["kind"]),
          ("lan", "a@b", "suspicious", len(SUSPICIOUS), "message"))
    equal((second["from"], second["reason"], second["bytes"], second["kind"], second["name"]),
          ("scanner@example.org", "type", len(EXE), "part", "b.exe"))
    table = quarantine(place, "list").stdout.decode().splitlines()
    equal([line.split()[0] for line in table], ["ID", second["id"], first["id"]])
    require("suspicious" in table[2] and "a@b" in table[2] and "lan" in table[2], table)


def test_list_is_newest_first(place):
    for seed in range(3):
        entry = put_aside(place, SUSPICIOUS + b"%d\r\n" % seed)
        path = path_of(place, entry, "facts.json")
        with open(path) as facts:
            known = json.load(facts)
        known["received_ms"] -= 10 ** 7 * ((seed + 1) % 3)
        with open(path, "w") as facts:
            json.dump(known, facts)
    times = [entry["time"] for entry in entries(place)]
    equal(times, sorted(times, reverse=True))
    equal(len(set(times)), 3)


def test_show(place):
    entry = put_aside(place)
    shown = quarantine(place, "show", entry[:6]).stdout.decode()
    for words in (entry, path_of(place, entry), "suspicious", "scanner@example.org", "scans@example.org", "drop"):
        require(words in shown, f"{words} is not in {shown}")
    known = json.loads(quarantine(place, "show", entry[:6], "--json").stdout)
    equal((known["id"], known["path"], known["kind"], known["reason"], known["bytes"], known["to"]),
          (entry, path_of(place, entry), "message", "suspicious", len(SUSPICIOUS), ["scans@example.org"]))
    equal(open(known["path"], "rb").read(), SUSPICIOUS)
    equal(place.quarantine(), [entry])


UNKNOWN = [
    ("show of nothing like it", ("show", "ffff"), "nothing was kept aside as `ffff`"),
    ("show of an empty prefix", ("show", ""), "nothing was kept aside as"),
    ("rm of nothing like it", ("rm", "zz"), "nothing was kept aside as `zz`"),
    ("retry of nothing like it", ("retry", "../x"), "nothing was kept aside as `../x`"),
    ("rm of one that is there and one that is not", ("rm", "", "zz"), "nothing was kept aside as"),
    ("a name that a terminal would obey", ("show", "\x1b[2J"), "`\\x1b[2J`"),
    ("show of none", ("show",), "is expected"), ("show of two", ("show", "a", "b"), "is expected"),
    ("retry of two", ("retry", "a", "b"), "is expected"), ("rm of none", ("rm",), "is expected"),
    ("list of one", ("list", "a"), "is expected"), ("another word", ("frob", "a"), "is expected"),
]


@rows(UNKNOWN)
def test_usage(place, arguments, words):
    entry = put_aside(place)
    done = quarantine(place, *arguments)
    equal((done.returncode, done.stdout), (64, b""))
    require(words in done.stderr.decode(), done.stderr)
    equal(place.quarantine(), [entry])


def test_prefix_of_several(place):
    entry = put_aside(place)
    other = entry[:-1] + ("0" if entry[-1] != "0" else "1")
    shutil.copytree(os.path.join(place.state, "quarantine", entry), os.path.join(place.state, "quarantine", other))
    for word in ("show", "retry", "rm"):
        done = quarantine(place, word, entry[:-1])
        equal(done.returncode, 64, word)
        require(b"several" in done.stderr, done.stderr)
    equal(quarantine(place, "rm", other).returncode, 0)
    equal(place.quarantine(), [entry])


def test_unfinished_entries_are_none(place):
    entry = put_aside(place)
    folder = os.path.join(place.state, "quarantine")
    shutil.copytree(os.path.join(folder, entry), os.path.join(folder, ".new-" + entry))
    equal([one["id"] for one in entries(place)], [entry])
    equal(quarantine(place, "show", ".new-").returncode, 64)


HOSTILE = "\x1b]0;owned\x07\x1b[2J \u009b2J \u202e \u200b\r\nX"


def test_hostile_texts(place):
    """Nothing that a terminal obeys leaves us, neither as a table nor as JSON."""
    name = "=?utf-8?Q?" + "".join(f"={octet:02X}" for octet in HOSTILE.encode()) + "?="
    config = place.config(route="types = pdf\nbad_part = quarantine")
    message = mail(part(PDF), part(EXE, name), subject=name)
    equal(place.run("drop", "-c", config, "--from", "a\u009b@b", stdin=message).returncode, 0)
    (entry,) = place.quarantine()
    path = path_of(place, entry, "facts.json")
    with open(path) as facts:  # as it would be if our own checks of what a header says had failed
        known = json.load(facts)
    known.update(source=HOSTILE, reason=HOSTILE, text=HOSTILE, sender=HOSTILE)
    with open(path, "w") as facts:
        json.dump(known, facts)
    for arguments in (("list",), ("list", "--json"), ("show", entry), ("show", entry, "--json"), ("rm", entry)):
        done = quarantine(place, *arguments)
        equal(done.returncode, 0, done.stderr.decode())
        text = (done.stdout + done.stderr).decode()
        require(not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", text), repr(text))
        if "--json" not in arguments:
            require("\u202e" not in text and "\u200b" not in text, repr(text))
        else:
            equal(json.loads(text)["source"], HOSTILE)


def test_damaged_entry(place):
    """Facts that nobody understands: it is shown, can't be tried, and can be removed."""
    for facts in ("{", "[1]", "{}", None):
        entry = put_aside(place)
        if facts is None:
            os.remove(path_of(place, entry, "facts.json"))
        else:
            with open(path_of(place, entry, "facts.json"), "w") as out:
                out.write(facts)
        (listed,) = entries(place)
        equal((listed["id"], listed["source"], listed["bytes"]), (entry, None, len(SUSPICIOUS)))
        require(path_of(place, entry) in quarantine(place, "show", entry).stdout.decode())
        done = quarantine(place, "retry", entry)
        equal(done.returncode, 64)
        require(path_of(place, entry) in done.stderr.decode(), done.stderr)
        equal(quarantine(place, "rm", entry).returncode, 0)
        equal(place.quarantine(), [])


@needs_root
def test_somebody_else(place):
    """A user who may not read the state is told so."""
    entry = put_aside(place)
    place.open_to_all()
    for arguments in (("list",), ("list", "--json"), ("show", entry), ("rm", entry), ("retry", entry)):
        done = quarantine(place, *arguments, wrapper=("setpriv", "--reuid=4711", "--regid=4711", "--clear-groups"))
        equal((done.returncode, done.stdout), (69, b""), arguments)
        require(b"Permission denied; it belongs to root" in done.stderr, done.stderr)
    equal(place.quarantine(), [entry])


@needs_root
def test_as_the_user_of_the_gateway(place):
    """Who isn't root, but may read the state, can do everything."""
    place.open_to_all()
    as_user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    config = place.config()
    done = subprocess.run([*as_user, place.program, "drop", "-c", config], input=SUSPICIOUS, capture_output=True)
    equal(done.returncode, 65, done.stderr.decode())
    (entry,) = place.quarantine()
    learn(place, entry)
    done = quarantine(place, "retry", entry, wrapper=as_user)
    equal(done.returncode, 0, done.stderr.decode())
    check_gone(place)


def test_without_a_configuration_file(place):
    options = ("--share", place.share, "--state", place.state)
    done = place.run("drop", *options, stdin=SUSPICIOUS)
    equal(done.returncode, 65, done.stderr.decode())
    (entry,) = place.quarantine()
    equal(json.loads(place.run("quarantine", "list", "--json", *options).stdout)["id"], entry)
    equal(place.run("quarantine", *options, "rm", entry).returncode, 0)
    equal(place.quarantine(), [])


# --- rm --------------------------------------------------------------------------------------------------------------

def test_rm(place):
    one, two, three = (put_aside(place, SUSPICIOUS + b"%d\r\n" % seed) for seed in range(3))
    done = quarantine(place, "rm", one[:8], three)
    equal(done.returncode, 0, done.stderr.decode())
    equal([line.split()[:2] for line in done.stdout.decode().splitlines()],
          [["removed", one + ","], ["removed", three + ","]])
    equal(place.quarantine(), [two])
    equal(json.loads(quarantine(place, "rm", two, "--json").stdout)["id"], two)
    equal(place.quarantine(), [])


def test_rm_while_somebody_is_at_it(place):
    entry = put_aside(place)
    held = os.open(os.path.join(place.state, "quarantine", entry), os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    for word in ("rm", "retry"):
        done = quarantine(place, word, entry)
        equal(done.returncode, 75, word)
        require(entry.encode() in done.stderr, done.stderr)
    os.close(held)
    equal(place.quarantine(), [entry])
    equal(quarantine(place, "rm", entry).returncode, 0)


def test_equal_message_after_rm(place):
    """It is put aside anew."""
    entry = put_aside(place)
    equal(quarantine(place, "rm", entry).returncode, 0)
    equal(put_aside(place), entry)


def each_death(place, call, entry, *arguments, follow=("-f",)):
    """Kills a verb, or whoever it starts, at the first, second ... call, until there is none left to be killed at. Each
    time the entry, and nothing else, is there before."""
    folder = os.path.join(place.state, "quarantine", entry)
    kept = os.path.join(place.folder, "kept")
    shutil.copytree(folder, kept)
    for turn in range(1, 80):
        trace = os.path.join(place.folder, "trace")
        strace = ["strace", *follow, "-qq", "-o", trace, "-e", f"trace={call}", "-e",
                  f"inject={call}:signal=KILL:when={turn}"]
        done = quarantine(place, *arguments, wrapper=strace)
        yield f"killed at {call} {turn}", done
        with open(trace) as calls:
            if not any(line.endswith("= ?\n") for line in calls):
                return
        require(not os.path.exists(folder), f"{turn}: it is still there")
        for name in place.files():
            os.remove(os.path.join(place.share, name))
        shutil.copytree(kept, folder)
    raise AssertionError(f"{call} never ends")


@needs_root
@rows([(call, call) for call in ("renameat", "fsync", "unlinkat", "flock")])
def test_rm_killed(place, call):
    """What is half removed never looks whole, and is tidied by the next courier."""
    entry = put_aside(place)
    for turn, _ in each_death(place, call, entry, "rm", entry):
        for one in entries(place):
            equal((one["id"], one["bytes"], one["reason"]), (entry, len(SUSPICIOUS), "suspicious"), turn)
            equal(quarantine(place, "rm", entry).returncode, 0, turn)
        equal(place.run("drop", "-c", place.config(), stdin=scan()).returncode, 0)
        equal(place.quarantine(), [], turn)


# --- retry -----------------------------------------------------------------------------------------------------------

@rows([("beside a gateway", True), ("without one", False)])
def test_retry_delivered(place, beside):
    """By the newest rules, with what it came with: source, peer, envelope, time."""
    route = "source = lan\npeers = 127.0.0.0/8\nto = scans@*\nfrom = scanner@*\nfolder = {source}/{peer}/{to.local}"
    config = place.config(route=f"{route}\nname = {{received:%Y%m%d%H%M%S}}")
    gateway = place.gateway(config=config).start()
    require(send(gateway.port, SUSPICIOUS).startswith("554"))
    (entry,) = place.quarantine()
    received = time.strftime("%Y%m%d%H%M%S", time.strptime(entries(place)[0]["time"], "%Y-%m-%dT%H:%M:%S%z"))
    learn(place, entry)
    time.sleep(1.1)
    if not beside:
        gateway.stop()
    done = quarantine(place, "retry", entry[:9])
    equal(done.returncode, 0, done.stderr.decode())
    require(b"delivered" in done.stdout and b"1 file" in done.stdout, done.stdout)
    gateway.stop()
    check_gone(place, [f"lan/127.0.0.1/scans/{received}.pdf"])
    require(b"source=lan peer=127.0.0.1 " in done.stderr and b"outcome=delivered" in done.stderr, done.stderr)
    took = int(re.search(rb"took_ms=(\d+)", done.stderr).group(1))
    equal(took < 60000 and quarantine(place, "retry", entry).returncode, 64)


def test_retry_by_new_rules(place):
    entry = put_aside(place, route="to = scans@*\ntypes = pdf")
    learn(place, entry)
    place.config(route="to = scans@*\ntypes = png")
    done = quarantine(place, "retry", entry, "--json")
    equal(done.returncode, 65)
    told = json.loads(done.stdout)
    equal((told["id"], told["outcome"], told["reason"], told["parts"]), (entry, "refused", "type", 0))
    require(told["text"], told)
    equal((place.quarantine(), place.files()), ([entry], {}))
    place.config(route="to = scans@*\ntypes = pdf")
    told = json.loads(quarantine(place, "retry", entry, "--json").stdout)
    equal((told["outcome"], told["reason"], told["parts"]), ("delivered", None, 1))
    check_gone(place)


def test_retry_refused_again(place):
    """For the same reason: it stays, the same entry, with the same facts."""
    entry = put_aside(place)
    before = quarantine(place, "show", entry, "--json").stdout
    for _ in range(2):
        done = quarantine(place, "retry", entry)
        equal(done.returncode, 65)
        require(b"refused, suspicious" in done.stdout, done.stdout)
    equal(place.quarantine(), [entry])
    equal(quarantine(place, "show", entry, "--json").stdout, before)
    equal((place.spool("tries"), place.marks(), place.files()), ([], [], {}))


def test_retry_later(place):
    """The share is away: it stays, and is delivered when the share is back."""
    entry = put_aside(place)
    learn(place, entry)
    equal(place.run("drop", "-c", place.config(), stdin=scan()).returncode, 0, "the share is known")
    away = place.share + "-away"
    os.rename(place.share, away)
    os.mkdir(place.share)
    done = quarantine(place, "retry", entry)
    equal(done.returncode, 75)
    require(b"later, share" in done.stdout, done.stdout)
    equal((place.quarantine(), os.listdir(place.share)), ([entry], []))
    os.rmdir(place.share)
    os.rename(away, place.share)
    equal(quarantine(place, "retry", entry).returncode, 0)
    check_gone(place, ["scan.pdf", "scan (2).pdf"])


def test_retry_forgets_tries(place):
    """Three couriers died on it; now it gets a chance, and no other message gets one by that."""
    entry = put_aside(place)
    key = json.loads(quarantine(place, "show", entry, "--json").stdout)["key"]
    for name in (key, "0" * 64):
        with open(os.path.join(place.state, "spool", "tries", name), "w") as tries:
            tries.write("3\n")
    learn(place, entry)
    equal(quarantine(place, "retry", entry).returncode, 0)
    equal(place.spool("tries"), ["0" * 64])
    equal((list(place.files()), place.quarantine()), (["scan.pdf"], []))


def test_retry_that_stores_nothing(place):
    """Its route takes mails without files."""
    entry = put_aside(place)
    learn(place, entry, mail())
    equal(quarantine(place, "retry", entry).returncode, 65)
    place.config(route="no_parts = accept")
    equal(quarantine(place, "retry", entry).returncode, 0)
    check_gone(place, [])


def test_retry_puts_its_parts_aside(place):
    entry = put_aside(place, route="types = pdf\nbad_part = quarantine")
    learn(place, entry, mail(part(PDF), part(EXE, "b.exe")))
    equal(quarantine(place, "retry", entry).returncode, 0)
    (left,) = entries(place)
    equal((left["kind"], left["name"], list(place.files())), ("part", "b.exe", ["scan.pdf"]))


def test_retry_of_a_part(place):
    config = place.config(route="types = pdf\nbad_part = quarantine")
    equal(place.run("drop", "-c", config, stdin=mail(part(PDF), part(EXE, "b.exe"))).returncode, 0)
    (entry,) = place.quarantine()
    done = quarantine(place, "retry", entry)
    equal((done.returncode, done.stdout), (64, b""))
    require(b"one part of a message" in done.stderr and path_of(place, entry, "part").encode() in done.stderr, done.stderr)
    equal(open(path_of(place, entry, "part"), "rb").read(), EXE)


def test_two_retries_at_once(place):
    """One of them delivers it; the other says that somebody is at it, or that it is gone."""
    entry = put_aside(place)
    learn(place, entry)
    config = os.path.join(place.folder, "gateway.conf")
    both = [subprocess.Popen([place.program, "quarantine", "retry", "-c", config, entry], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE) for _ in range(4)]
    statuses = sorted(one.wait(120) for one in both)
    for one in both:
        one.communicate()
    equal(statuses.count(0), 1, statuses)
    require(set(statuses) <= {0, 64, 75}, statuses)
    check_gone(place)


# --- killed at it ----------------------------------------------------------------------------------------------------

def settle_retry(place, entry, turn):
    """The next retry, if there is anything left to retry: one file, no entry."""
    if entry in place.quarantine():
        done = quarantine(place, "retry", entry)
        equal(done.returncode, 0, f"{turn}: {done.stderr.decode()}")
    equal(list(place.files()), ["scan.pdf"], turn)
    require(entry not in place.quarantine(), turn)


@needs_root
@rows([(f"{who}: {call}", call, follow) for who, follow in (("the verb", ()), ("the verb and its courier", ("-f",)))
       for call in ("renameat", "fsync", "unlinkat", "sendmsg", "recvmsg", "renameat2", "flock")
       if follow or call in ("renameat", "fsync", "unlinkat", "sendmsg", "recvmsg")])
def test_retry_killed(place, call, follow):
    entry = put_aside(place)
    learn(place, entry)
    for turn, done in each_death(place, call, entry, "retry", entry, follow=follow):
        settle_retry(place, entry, turn)
        # what is left of it is tidied by whoever comes next; a doubt answers for a source that asks again
        equal(place.run("drop", "-c", place.config(), "--from", "x@y", stdin=SUSPICIOUS).returncode, 65)
        shutil.rmtree(os.path.join(place.state, "quarantine", place.quarantine()[0]))
        equal((place.quarantine(), place.staged()), ([], []), turn)
        for name in ("lives", "publishing"):
            equal(place.spool(name), [], f"{turn}: {name}")
        for mark in place.marks():
            os.remove(os.path.join(place.state, "spool", "done", mark[:2], mark))


@needs_root
def test_doubt_outlives_its_age(place):
    """Killed between delivery and removal, and tried again when other doubts would be forgotten: still one file."""
    entry = put_aside(place, gateway="doubt_keep = 60s")
    learn(place, entry, mail(part(PDF), message_id=False))
    trace = os.path.join(place.folder, "trace")
    quarantine(place, "retry", entry, wrapper=("strace", "-qq", "-o", trace, "-e", "trace=renameat", "-e",
                                               "inject=renameat:signal=KILL:when=1"))
    equal((list(place.files()), place.quarantine(), len(place.marks())), (["scan.pdf"], [entry], 1))
    with open(os.path.join(place.state, "spool", "clock"), "w") as clock:
        clock.write("00000000000000900000\n")
    done = quarantine(place, "retry", entry)
    equal(done.returncode, 0, done.stderr.decode())
    require(b"Stored before" in done.stdout and b"known=yes" in done.stderr, (done.stdout, done.stderr))
    check_gone(place)
