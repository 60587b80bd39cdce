"""A Maildir as a source: what comes to it is delivered once and removed, whatever else happens to it."""

import contextlib
import os
import random
import re
import signal
import stat
import subprocess
import time

from harness import (COUNT, EXE, PATIENCE, Watch, equal, mail, needs_root, part, pdf, require, rows, scan, send,
                     status_of as process_status, wait_for)
from test_promise import syscalls

WATCHER = "letterchute-wat"
OWNER = 1234  # nobody's number
SUSPICIOUS = b"From: scanner@example.org\r\n\r\nsee the scan\r\n--x\r\n" + part(pdf(4000)) + b"\r\n--x--\r\n"
TURN = iter(range(1 << 30))


class Maildir:
    def __init__(self, path, owner=None):
        self.path = path
        for folder in (path, *(f"{path}/{name}" for name in ("new", "cur", "tmp"))):
            os.makedirs(folder, 0o700, exist_ok=True)
            if owner is not None:
                os.chown(folder, owner, owner)
        self.owner = owner

    def at(self, folder, name=""):
        return os.path.join(os.fsencode(self.path), os.fsencode(folder), os.fsencode(name))

    def lay(self, message, name=None, folder="new", mtime=None):
        """As those do who deliver: written in tmp/, renamed. Its name."""
        name = name if name is not None else f"{int(time.time())}.M{next(TURN)}.host"
        fresh = self.at("tmp", "fresh")
        with open(fresh, "wb") as out:
            out.write(message)
        os.chmod(fresh, 0o600)
        if self.owner is not None:
            os.chown(fresh, self.owner, self.owner)
        if mtime:
            os.utime(fresh, (mtime, mtime))
        os.rename(fresh, self.at(folder, name))
        return name

    def names(self, *folders):
        return sorted(name for folder in folders or ("new", "cur") for name in os.listdir(os.path.join(self.path, folder)))

    def is_empty(self):
        return not self.names()


def box_of(place, owner=None, name="box"):
    return Maildir(os.path.join(place.folder, name), owner)


def section(box, more="", name="box"):
    return f"[maildir {name}]\npath = {box.path}\n{more}\n"


def watching(gateway, name="box"):
    """It says so."""
    wait_for(lambda: f"ready source={name} path=" in gateway.fresh_log(), 20, lambda: f"nobody watches:\n{gateway.log()}")


@contextlib.contextmanager
def running(place, box, more="", wait=True, **texts):
    with place.gateway(text=section(box, more) + texts.pop("text", ""), **texts) as gateway:
        if wait:
            watching(gateway)
        yield gateway


def emptied(gateway, box, seconds=20):
    wait_for(box.is_empty, seconds, lambda: f"{box.names()} stay:\n{gateway.log()}")


def watcher(gateway):
    return wait_for(lambda: [pid for pid, name in gateway.children() if name == WATCHER], 10, "no watcher")[0]


def couriers(gateway):
    return [pid for pid, name in gateway.children() if name == "letterchute-cou"]


@contextlib.contextmanager
def stopped_couriers(gateway):
    """All of them; a child of theirs that has their name for a moment may be among those we find."""
    pids = set()
    while fresh := set(couriers(gateway)) - pids:
        for pid in fresh:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        pids |= fresh
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


# --- what is delivered ------------------------------------------------------------------------------------------------

@rows([("in new", "new", "1.a.host"), ("in cur", "cur", "1.a.host:2,"), ("in cur, seen", "cur", "1.a.host:2,RS")])
def test_lies_there(place, folder, name):
    box = box_of(place)
    box.lay(scan(3000), name, folder)
    with running(place, box) as gateway:
        emptied(gateway, box)
        wait_for(lambda: not place.marks(), 10, "the mark stays")
    equal(list(place.files().values()), [pdf(3000)])


@rows([("to new", "new", ""), ("to cur", "cur", ":2,S")])
def test_comes(place, folder, flags):
    """By the event: the next look would be in a day."""
    box = box_of(place)
    with running(place, box, "rescan = 1d") as gateway:
        for turn in range(3):
            box.lay(scan(3000 + turn), f"{turn}.host{flags}", folder)
            emptied(gateway, box)
        wait_for(lambda: not place.marks(), 10, "a mark stays")
    equal(sorted(map(len, place.files().values())), [3000, 3001, 3002])


def test_linked_in(place):
    """As qmail delivers: linked from tmp/ to new/."""
    box = box_of(place)
    with running(place, box, "rescan = 1d") as gateway:
        with open(box.at("tmp", "x"), "wb") as out:
            out.write(scan())
        os.link(box.at("tmp", "x"), box.at("new", "x"))
        os.unlink(box.at("tmp", "x"))
        emptied(gateway, box)
    equal(len(place.files()), 1)


def test_written_where_it_lies(place):
    """Who does not know the rules of a Maildir is waited for until he closes the file."""
    box, message = box_of(place), scan(200000)
    with running(place, box, "rescan = 1d") as gateway:
        with open(box.at("new", "slow"), "wb", buffering=0) as out:
            for at in range(0, len(message), 40000):
                out.write(message[at:at + 40000])
                time.sleep(0.4)
            equal(gateway.lines(), [])
        emptied(gateway, box)
    equal(list(place.files().values()), [pdf(200000)])


def test_tmp_is_not_touched(place):
    box = box_of(place)
    for name in ("half", "1.old.host"):
        with open(box.at("tmp", name), "wb") as out:
            out.write(scan())
    tmp = Watch(os.path.join(box.path, "tmp"), 0xFFF)
    with running(place, box, "rescan = 1s") as gateway:
        box.lay(scan(), folder="tmp", name="moved")
        tmp.events()
        with open(os.path.join(box.path, "new", "x"), "wb") as out:
            out.write(scan())
        emptied(gateway, box)
        time.sleep(1.5)
    equal(tmp.events(), [])
    equal(box.names("tmp"), ["1.old.host", "half", "moved"])


def test_burst(place):
    box = box_of(place)
    with running(place, box, "rescan = 1d") as gateway:
        for turn in range(100):
            box.lay(scan(2000 + turn))
        emptied(gateway, box, 60)
        wait_for(lambda: not place.marks(), 10, "a mark stays")
    equal(sorted(map(len, place.files().values())), list(range(2000, 2100)))


def test_received_is_its_time(place):
    box = box_of(place)
    box.lay(scan(), mtime=1000000000)
    with running(place, box, route="name = {received:%Y}_{source}") as gateway:
        emptied(gateway, box)
    equal(list(place.files()), ["2001_box.pdf"])


def test_routes(place):
    """By the source, and by To and Cc: there is no envelope."""
    one, two = box_of(place, name="one"), box_of(place, name="two")
    config = place.config(text=section(one, name="one") + section(two, name="two") +
                          "[route a]\nsource = one\nto = a@*\nfolder = a\n[route b]\nsource = two\nfolder = b\n", route=None)
    with place.gateway(config=config) as gateway:
        one.lay(mail(part(pdf(100)), to="a@example.org"))
        two.lay(mail(part(pdf(200)), to="a@example.org"))
        emptied(gateway, one)
        emptied(gateway, two)
        equal({name: len(content) for name, content in place.files().items()}, {"a/scan.pdf": 100, "b/scan.pdf": 200})
        one.lay(mail(part(pdf(100)), to="b@example.org"))
        emptied(gateway, one)
    equal(gateway.lines()[-1]["reason"], "route")


# --- what becomes of it -----------------------------------------------------------------------------------------------

def refused_mail():
    return mail(part(EXE, "a.exe"))


@rows([("beside it", "", "refused"), ("by a name", "refused = move:no", "no"), ("by a path", "refused = move:{}/deep", "deep"),
       ("into one that is there", "refused = move:old", "old")])
def test_refused(place, key, where):
    box = box_of(place)
    if where == "old":
        Maildir(os.path.join(place.folder, where))
    message = refused_mail()
    box.lay(message, "1.a.host")
    box.lay(scan(), "2.b.host")
    with running(place, box, key.format(place.folder)) as gateway:
        emptied(gateway, box)
        target = Maildir(os.path.join(place.folder, where))
        equal((target.names("new"), target.names("cur"), target.names("tmp")), ([], ["1.a.host:2,"], []))
        with open(target.at("cur", "1.a.host:2,"), "rb") as kept:
            equal(kept.read(), message)
        equal(stat.S_IMODE(os.stat(target.path).st_mode), 0o700)
    equal(len(place.files()), 1)


def test_refused_is_deleted(place):
    box = box_of(place)
    box.lay(refused_mail())
    with running(place, box, "refused = delete") as gateway:
        emptied(gateway, box)
    require(not os.path.exists(os.path.join(place.folder, "refused")))


def other_disk(place):
    disk = place.make("disk")
    place.mount("mount", "-t", "tmpfs", "none", disk, at=disk)
    return f"{disk}/done"


@needs_root
@rows([("on its own disk", lambda place: f"{place.folder}/done"), ("on another disk", other_disk)])
def test_moved(place, find):
    box = box_of(place)
    path, message, long = find(place), scan(5000), "x" * 255
    done = Maildir(path)
    done.lay(b"somebody's", "1.a.host:2,S", "cur")
    box.lay(message, "1.a.host:2,S", "cur", mtime=1000000000)
    box.lay(scan(), "2.b.host")
    box.lay(scan(), long)
    with running(place, box, f"after = move:{path}") as gateway:
        emptied(gateway, box)
        wait_for(lambda: not place.marks(), 10, "a mark stays")
    names = done.names("cur")
    equal((len(names), done.names("new", "tmp")), (4, []))
    require({"1.a.host:2,S", "2.b.host:2,"} < set(names), names)
    fresh = [name for name in names if "letterchute:2," in name]
    equal(len(fresh), 2, "the name that is taken, and the one that would be too long")
    with open(done.at("cur", "1.a.host:2,S"), "rb") as kept:
        equal(kept.read(), b"somebody's")
    found = [name for name in fresh if os.stat(done.at("cur", name)).st_mtime == 1000000000]
    with open(done.at("cur", found[0]), "rb") as moved:
        equal(moved.read(), message)
    equal(len(place.files()), 3)


@needs_root
@rows([(call, call) for call in ("fsync", "renameat2", "unlinkat")])
def test_copied_once(place, call):
    """To another disk, killed at each step of the copy: it is there once."""
    path = other_disk(place)
    for turn in range(1, 5):
        box, done = box_of(place, name=f"box{turn}"), Maildir(f"{path}{turn}")
        config = place.config(text=section(box, f"after = move:{path}{turn}\nrescan = 1s"), name=f"{turn}.conf")
        with place.gateway(config=config, log=f"{turn}.log") as gateway:
            watching(gateway)
            tracer = dies_at(gateway, call, turn)
            box.lay(scan(9000 + turn), "1.a.host")
            emptied(gateway, box)
            tracer.terminate()
            tracer.wait(20)
            equal((done.names("cur"), done.names("new", "tmp")), (["1.a.host:2,"], []), f"{call} {turn}")
    equal(sorted(map(len, place.files().values())), [9001, 9002, 9003, 9004])


def dies_at(gateway, call, turn):
    """The watcher will, at this one of such calls. It may have died a moment ago: then the next one."""
    while True:
        pid = watcher(gateway)
        tracer = subprocess.Popen(["strace", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                                   f"inject={call}:signal=KILL:when={turn}", "-p", str(pid)])
        if wait_for(lambda: traced(pid) or tracer.poll() is not None, 10, "strace does not come") and traced(pid):
            return tracer
        tracer.wait(20)


def traced(pid):
    return process_status(pid, "TracerPid") not in (None, "0")


def test_target_that_goes_is_made_anew(place):
    box = box_of(place)
    with running(place, box, "rescan = 1s") as gateway:
        box.lay(refused_mail())
        emptied(gateway, box)
        subprocess.run(["rm", "-r", f"{place.folder}/refused"], check=True)
        box.lay(refused_mail(), "late")
        emptied(gateway, box)
    equal(os.listdir(f"{place.folder}/refused/cur"), ["late:2,"])


@rows([("to itself by a name", "after = move:box"), ("to itself by a path", "refused = move:{}/box/")])
def test_to_itself(place, key):
    box = box_of(place)
    done = place.run("run", "-c", place.config(text=section(box, key.format(place.folder))))
    equal(done.returncode, 78)
    require(b"own `path`" in done.stderr, done.stderr)


def test_to_itself_by_a_link(place):
    box = box_of(place)
    os.symlink("box", f"{place.folder}/loop")
    box.lay(scan(), "1.a.host")
    with running(place, box, "after = move:loop\nrescan = 1s", wait=False) as gateway:
        wait_for(lambda: "its mails would be moved to itself" in gateway.log(), 10, gateway.log)
        time.sleep(2)
        equal(box.names(), ["1.a.host"])
        equal((len(gateway.lines()), gateway.log().count("moved to itself")), (0, 1))


# --- others work on it too --------------------------------------------------------------------------------------------

def test_flagged_in_the_middle(place):
    """Another program moves it to cur/ and flags it while it is delivered: the same message."""
    box = box_of(place)
    with running(place, box, "rescan = 1s") as gateway:
        with stopped_couriers(gateway):
            box.lay(scan(), "1.a.host")
            box.lay(refused_mail(), "2.b.host")
            time.sleep(0.5)
            os.rename(box.at("new", "1.a.host"), box.at("cur", "1.a.host:2,S"))
            os.rename(box.at("new", "2.b.host"), box.at("cur", "2.b.host:2,RS"))
            time.sleep(1.5)
        emptied(gateway, box)
        wait_for(lambda: not place.marks(), 10, "a mark stays")
    equal(len(place.files()), 1)
    equal(os.listdir(f"{place.folder}/refused/cur"), ["2.b.host:2,RS"])


def test_removed_in_the_middle(place):
    box = box_of(place)
    with running(place, box) as gateway:
        with stopped_couriers(gateway):
            box.lay(scan(), "1.a.host")
            time.sleep(0.5)
            os.unlink(box.at("new", "1.a.host"))
        wait_for(lambda: gateway.lines() and not place.marks(), 10, "a mark stays")
        require("can't be" not in gateway.log(), gateway.log())
    equal(len(place.files()), 1)


def test_only_what_was_delivered_is_removed(place):
    """Another message of the same name in the meantime is another message."""
    box = box_of(place)
    with running(place, box, "rescan = 1s") as gateway:
        with stopped_couriers(gateway):
            box.lay(scan(1000), "1.a.host")
            time.sleep(0.5)
            box.lay(scan(2000), "1.a.host")
        emptied(gateway, box)
    equal(sorted(map(len, place.files().values())), [1000, 2000])


def test_share_is_away(place):
    """Our trouble: mails stay, none is refused, and all is well when it is back."""
    box = box_of(place)
    with running(place, box, "rescan = 1d") as gateway:
        os.rename(place.share, place.share + ".away")
        names = [box.lay(scan(1000 + turn)) for turn in range(6)]
        wait_for(lambda: "mail waits in the Maildir" in gateway.log(), 10, "nothing is said")
        time.sleep(3)
        equal(box.names(), sorted(names))
        equal(os.listdir(f"{place.folder}/refused/cur"), [])
        require(len(gateway.lines()) < 12, "it asks again and again")
        equal({line["reason"] for line in gateway.lines()}, {"share"})
        os.rename(place.share + ".away", place.share)
        emptied(gateway, box, 40)
    equal(sorted(map(len, place.files().values())), [1000 + turn for turn in range(6)])


def owned(place, mode=0o700):
    """A Maildir of somebody else's, in a folder of root's."""
    box = box_of(place, OWNER)
    os.chmod(place.share, 0o777)
    return box


@needs_root
def test_cannot_be_removed(place):
    """Delivered once all the same, said once, and removed when that can be; also by who comes after us."""
    box = owned(place)
    config = place.config(text=section(box))
    with place.gateway(config=config) as gateway:
        watching(gateway)
        os.chmod(box.at("new"), 0o500)
        os.chown(box.at("new"), OWNER, OWNER)
        with contextlib.suppress(PermissionError):
            box.lay(scan(1000), "1.a.host")
        wait_for(lambda: "can't be removed" in gateway.log(), 10, "nothing is said")
        time.sleep(4)
        equal((gateway.log().count("can't be removed"), len(gateway.lines())), (1, 1), gateway.log())
    with place.gateway(config=config) as gateway:
        wait_for(lambda: "can't be removed" in gateway.fresh_log(), 10, "nothing is said")
        equal(len(place.files()), 1)
        os.chmod(box.at("new"), 0o700)
        emptied(gateway, box)
        box.lay(scan(2000), "2.b.host")
        emptied(gateway, box)
        wait_for(lambda: not place.marks(), 10, "a mark stays")
    equal(sorted(map(len, place.files().values())), [1000, 2000])


def test_two_for_one(place):
    """The second does nothing, and says so, until the first is gone."""
    box = box_of(place)
    text = section(box, "rescan = 1s") + section(box, "rescan = 1s", name="twin")
    with place.gateway(text=text) as gateway:
        wait_for(lambda: "another letterchute empties it" in gateway.log(), 10, gateway.log)
        for turn in range(30):
            box.lay(scan(1000 + turn))
        emptied(gateway, box)
        equal((len(place.files()), len({line["source"] for line in gateway.lines()})), (30, 1))
        equal(gateway.log().count("another letterchute empties it"), 1)


# --- what is there, and is no message ---------------------------------------------------------------------------------

def test_hostile_names(place):
    names = [b"a\nb", b"\xff\xfe\x80", b"x" * 255, b"x" * 254, b"y" * 252 + b":2,", b":2,S", b"a:b", b"a:2,S:2,T", b"-rf", b" ",
             b"%s%n", b"*", b"a\x1b[31m", b"~", b"\\", b"\"quoted\"", b"new"]
    box = box_of(place)
    for turn, name in enumerate(names):
        box.lay(scan(1000 + turn), name, "cur" if turn % 2 else "new")
    box.lay(refused_mail(), b"r\n" + b"z" * 253)
    with running(place, box) as gateway:
        emptied(gateway, box)
        wait_for(lambda: not place.marks(), 10, "a mark stays")
        require("\x1b" not in gateway.log() and "died" not in gateway.log(), gateway.log())
    equal(sorted(map(len, place.files().values())), list(range(1000, 1000 + len(names))))
    equal(len(os.listdir(f"{place.folder}/refused/cur")), 1)


def test_what_is_no_message(place):
    """Links are not followed, a FIFO holds nobody up, hidden files are nobody's."""
    box = box_of(place)
    outside = place.file("outside", scan(7777))
    os.symlink(outside, box.at("new", "link"))
    os.symlink(outside, box.at("cur", "link2:2,S"))
    os.mkfifo(box.at("new", "fifo"))
    os.mkdir(box.at("new", "folder"))
    with open(box.at("new", "folder/1.in.host"), "wb") as out:
        out.write(scan(7777))
    box.lay(scan(7777), ".hidden")
    before = box.names()
    box.lay(scan(1000))
    with running(place, box, "rescan = 1s") as gateway:
        wait_for(lambda: box.names() == before, 10, gateway.log)
        box.lay(scan(1001))
        wait_for(lambda: box.names() == before, 10, gateway.log)
    equal(sorted(map(len, place.files().values())), [1000, 1001])
    require(os.path.exists(outside))


def test_poison(place):
    """It is put aside and refused, and holds up no other."""
    box = box_of(place)
    box.lay(SUSPICIOUS, "1.poison.host")
    for turn in range(5):
        box.lay(scan(1000 + turn), f"2.{turn}.host")
    box.lay(b"", "3.empty.host")
    with running(place, box) as gateway:
        emptied(gateway, box)
    equal(len(place.files()), 5)
    equal(len(place.quarantine()), 1)
    equal(sorted(os.listdir(f"{place.folder}/refused/cur")), ["1.poison.host:2,", "3.empty.host:2,"])


@needs_root
def test_cannot_be_read(place):
    """One that is not for its owner waits, the others don't."""
    box = owned(place)
    box.lay(scan(1000), "1.a.host")
    os.chown(box.at("new", "1.a.host"), 0, 0)
    box.lay(scan(2000), "2.b.host")
    with running(place, box) as gateway:
        wait_for(lambda: box.names() == ["1.a.host"], 10, gateway.log)
        wait_for(lambda: "can't be read: Permission denied" in gateway.log(), 10, gateway.log)
        os.chown(box.at("new", "1.a.host"), OWNER, OWNER)
        emptied(gateway, box, 40)
    equal(sorted(map(len, place.files().values())), [1000, 2000])


# --- the Maildir itself -----------------------------------------------------------------------------------------------

def test_made_later(place):
    path = f"{place.folder}/box"
    with place.gateway(text=f"[maildir box]\npath = {path}\nrescan = 1s\n") as gateway:
        wait_for(lambda: "there is no Maildir yet" in gateway.log(), 10, "nothing is said")
        time.sleep(3)
        equal(gateway.log().count("there is no Maildir yet"), 1)
        os.mkdir(path)
        time.sleep(1.5)
        box = Maildir(path)
        box.lay(scan())
        emptied(gateway, box)
        require("ended" not in gateway.log(), gateway.log())
    equal(len(place.files()), 1)


@rows([("removed", lambda path: subprocess.run(["rm", "-r", path], check=True)),
       ("renamed", lambda path: os.rename(path, path + ".old")),
       ("its new is removed", lambda path: os.rmdir(path + "/new")),
       ("its cur is renamed", lambda path: os.rename(path + "/cur", path + "/old"))])
def test_replaced(place, remove):
    box = box_of(place)
    with running(place, box, "rescan = 1s") as gateway:
        box.lay(scan(1000))
        emptied(gateway, box)
        remove(box.path)
        time.sleep(0.5)
        box = box_of(place)
        box.lay(scan(2000))
        box.lay(scan(3000), "1.c.host:2,S", "cur")
        emptied(gateway, box)
    equal(sorted(map(len, place.files().values())), [1000, 2000, 3000])


def health(place):
    return place.run("status", "-c", f"{place.folder}/gateway.conf", "--health").stdout.decode()


def becomes(place, gateway, words):
    wait_for(lambda: words in health(place), 10, lambda: f"{health(place)}\n{gateway.log()}")


def take_new(box):
    os.rmdir(f"{box.path}/new")


def hide(box):
    os.rename(box.path, box.path + ".old")


@needs_root
@rows([("its new is removed", take_new, lambda place: owned(place), "there is no Maildir yet"),
       ("it is renamed", hide, lambda place: owned(place), "there is no Maildir yet"),
       ("its new is closed", lambda box: os.chmod(f"{box.path}/new", 0), lambda place: os.chmod(f"{place.folder}/box/new", 0o700),
        f"is closed to user {OWNER}"),
       ("its cur is closed", lambda box: os.chmod(f"{box.path}/cur", 0), lambda place: os.chmod(f"{place.folder}/box/cur", 0o700),
        f"is closed to user {OWNER}"),
       ("it is closed", lambda box: os.chmod(box.path, 0), lambda place: os.chmod(f"{place.folder}/box", 0o700),
        f"is closed to user {OWNER}")])
def test_away_is_known(place, take, give, words):
    """Soon, and so is that it is back: nobody waits for the next look at what is in it."""
    box = owned(place)
    with running(place, box, text="[http]\nlisten = 127.0.0.1:0\n") as gateway:
        becomes(place, gateway, "ok\n")
        take(box)
        becomes(place, gateway, "degraded: source box is down: ")
        becomes(place, gateway, words)
        require(words in gateway.log(), gateway.log())
        give(place)
        becomes(place, gateway, "ok\n")
        box = owned(place)
        box.lay(scan())
        emptied(gateway, box, 10)
    equal(len(place.files()), 1)


@needs_root
@rows([("its new", lambda box: (os.rmdir(f"{box.path}/new"), Maildir(box.path, OWNER)), OWNER),
       ("all of it", lambda box: (os.rename(box.path, box.path + ".old"), Maildir(box.path, OWNER)), OWNER),
       ("somebody else's", lambda box: [os.chown(os.path.join(box.path, name), OWNER + 1, OWNER + 1)
                                        for name in ("", "new", "cur", "tmp")], OWNER + 1)])
def test_made_anew(place, make, owner):
    """What comes to it then is there within seconds."""
    box = owned(place)
    with running(place, box) as gateway:
        make(box)
        box.owner = owner
        box.lay(scan())
        emptied(gateway, box, 10)
    equal(len(place.files()), 1)


@needs_root
def test_mounted_over(place):
    """No event tells of it, nor of what is mounted no more."""
    box, other = owned(place), box_of(place, OWNER, "other")
    with running(place, box) as gateway:
        place.mount("mount", "--bind", other.path, box.path, at=box.path)
        box.lay(scan(1000))
        emptied(gateway, box, 12)
        subprocess.run(["umount", "-l", box.path], check=True)
        box.lay(scan(2000))
        emptied(gateway, box, 12)
    equal(sorted(map(len, place.files().values())), [1000, 2000])


def waits_of(pid):
    """How often it waited for anything."""
    return int(status_of(pid)["voluntary_ctxt_switches"][0])


def test_rests(place):
    """What it does itself wakes it no more, nor does what lies beside new/ and cur/."""
    box = box_of(place)
    with running(place, box, "after = move:done") as gateway:
        for size in range(1000, 1010):
            box.lay(scan(size))
        box.lay(refused_mail())
        emptied(gateway, box)
        time.sleep(1)
        before = waits_of(watcher(gateway))
        time.sleep(4)
        require(waits_of(watcher(gateway)) - before <= 3, f"{waits_of(watcher(gateway)) - before} waits in 4 s")
        looks = Watch(f"{box.path}/new", 0x20)
        for turn in range(20):
            with open(f"{box.path}/index", "wb"):
                time.sleep(0.1)
            os.rename(f"{box.path}/index", f"{box.path}/index.old")
        require(len(looks.events()) <= 2, "it looks at new/ for what lies beside it")
    equal(len(place.files()), 10)


@needs_root
@rows([("to a link of root's", 0, True), ("to a link of its owner's", OWNER, True), ("to a link of somebody else's", OWNER + 1, False)])
def test_links_on_the_way(place, linker, works):
    """Who may make a link must not have us empty what is somebody else's."""
    box = owned(place)
    os.symlink("box", f"{place.folder}/link")
    os.lchown(f"{place.folder}/link", linker, linker)
    name = box.lay(scan())
    with place.gateway(text=f"[maildir box]\npath = {place.folder}/link\nrescan = 1s\n") as gateway:
        if works:
            emptied(gateway, box)
        else:
            wait_for(lambda: "belongs to somebody else" in gateway.log(), 10, gateway.log)
            equal(box.names(), [name])


def wrapped(calls):
    return ["strace", "-f", "-qq", "-o", "/dev/null", *calls]


@rows([("no inotify", ["-e", "trace=inotify_init1", "-e", "inject=inotify_init1:error=EMFILE"]),
       ("no watches left", ["-e", "trace=inotify_add_watch", "-e", "inject=inotify_add_watch:error=ENOSPC"])])
def test_without_inotify(place, calls):
    box = box_of(place)
    config = place.config(text=section(box, "rescan = 1s"))
    gateway = place.gateway(config=config, wrapper=wrapped(calls))
    gateway.start()
    watching(gateway)
    require("there is no inotify for it" in gateway.log(), gateway.log())
    for turn in range(2):
        box.lay(scan(1000 + turn))
        emptied(gateway, box)
    for pid, name in gateway.children():
        if name == "letterchute":
            os.kill(pid, signal.SIGTERM)
    gateway.process.wait(40 * PATIENCE)
    equal(len(place.files()), 2)


# --- whose it is ------------------------------------------------------------------------------------------------------

def status_of(pid):
    with open(f"/proc/{pid}/status") as status:
        return {key: value.split() for key, value in re.findall(r"^(\w+):\t(.*)$", status.read(), re.M)}


OPEN_ANY = f"{1 << 1 | 1 << 28:016x}"  # CAP_DAC_OVERRIDE, CAP_LEASE


@needs_root
@rows([("somebody's", OWNER, OWNER, OWNER, "0" * 16), ("somebody's, of root's group", OWNER, 0, 1, "0" * 16),
       ("root's", 0, 0, 1, OPEN_ANY)])
def test_identity(place, owner, group, wanted_group, capabilities):
    """Of its owner, with no capability; for root's, `user` with the right to open files."""
    box = owned(place)
    for folder in ("", "new", "cur", "tmp"):
        os.chown(os.path.join(box.path, folder), owner, group)
    box.owner = owner
    box.lay(scan(1000))
    box.lay(refused_mail(), "refused")
    with running(place, box, gateway="user = daemon") as gateway:
        emptied(gateway, box)
        found = status_of(watcher(gateway))
        equal((found["Uid"], found["Gid"], found["Groups"]), ([str(owner or 1)] * 4, [str(wanted_group)] * 4, []))
        equal({found[key][0] for key in ("CapEff", "CapPrm")}, {capabilities})
        equal((found["NoNewPrivs"], found["Seccomp"]), (["1"], ["2"]))
        equal(os.stat(f"/proc/{watcher(gateway)}/fd").st_uid, 0, "it is dumpable")
        # where only root may make it, it is made for the owner
        equal({os.stat(f"{place.folder}/refused{name}").st_uid for name in ("", "/cur", "/tmp", "/new")}, {owner})
    equal(os.listdir(f"{place.folder}/refused/cur"), ["refused:2,"])
    equal(len(place.files()), 1)


def mend_by_making(home):
    Maildir(f"{home}/refused", OWNER)


def mend_by_allowing(home):
    os.chown(home, OWNER, OWNER)


def mend_by_removing(home):
    os.unlink(f"{home}/refused")
    os.chown(home, OWNER, OWNER)


@needs_root
@rows([("until somebody makes it", None, mend_by_making), ("until he may", None, mend_by_allowing),
       ("a file is in the way", "refused", mend_by_removing)])
def test_refused_has_no_place(place, in_the_way, mend):
    """It stays, is asked about once, and goes when there is a place for it."""
    home = place.make("home")
    box = Maildir(f"{home}/box", OWNER)
    os.chown(home, OWNER + 1, OWNER + 1)
    if in_the_way:
        place.file(f"home/{in_the_way}", b"")
    with running(place, box, "rescan = 1s") as gateway:
        require("refused mails will stay where they are" in gateway.log(), gateway.log())
        box.lay(refused_mail(), "1.a.host")
        box.lay(scan(), "2.b.host")
        wait_for(lambda: box.names() == ["1.a.host"] and "can't be moved" in gateway.log(), 10, gateway.log)
        time.sleep(3)
        equal((len(gateway.lines()), gateway.log().count("ready source=box")), (2, 1), gateway.log())
        mend(home)
        emptied(gateway, box)
        equal(os.listdir(f"{home}/refused/cur"), ["1.a.host:2,"])


# --- the order, and deaths --------------------------------------------------------------------------------------------

@needs_root
@rows([("deleted", ""), ("moved", "after = move:done")])
def test_order(place, more):
    """Removed only after the answer; its folder synced before the mark is settled."""
    trace, box = os.path.join(place.folder, "trace"), box_of(place)
    with running(place, box, more) as gateway:
        box.lay(scan())
        emptied(gateway, box)
        wait_for(lambda: not place.marks(), 10, "a mark stays")
        calls = "openat,unlinkat,renameat2,fsync,sendmsg,recvmsg"
        tracer = subprocess.Popen(["strace", "-y", "-s", "300", "-o", trace, "-f", "-e", f"trace={calls}", "-p",
                                   str(watcher(gateway))], stderr=subprocess.PIPE)
        tracer.stderr.readline()
        box.lay(scan(), "1.order.host")
        emptied(gateway, box)
        wait_for(lambda: not place.marks(), 10, "a mark stays")
        tracer.terminate()
        tracer.wait(20)
    order = []
    for _, call, arguments, result in syscalls(trace):
        if call == "sendmsg" and result > 0:
            order.append("ask" if "1.order.host" in arguments or "ask" not in order else "settle")
        elif call == "recvmsg" and result > 0:
            order.append("answer")
        elif call in ("unlinkat", "renameat2") and "1.order.host" in arguments and result == 0:
            order.append("remove")
        elif call == "fsync":
            order.append("sync new" if "/box/new" in arguments else "sync done" if "/done/cur" in arguments else "sync")
    equal(order[:4], ["ask", "answer", "answer", "remove"], order)
    equal((order[-1], order.count("settle")), ("settle", 1), order)
    require("sync new" in order and (not more or "sync done" in order), order)


@needs_root
@rows([("unlinkat", "unlinkat", ""), ("fsync", "fsync", ""), ("sendmsg", "sendmsg", ""), ("renameat2", "renameat2", "after = move:done")])
def test_watcher_dies(place, call, more):
    """At each of its steps: each mail is delivered once."""
    box = box_of(place)
    with running(place, box, more + "\nrescan = 1s") as gateway:
        for turn in range(1, 7):
            tracer = dies_at(gateway, call, turn)
            for number in range(3):
                box.lay(scan(1000 * turn + number))
            emptied(gateway, box)
            tracer.terminate()
            tracer.wait(20)
            equal(len(place.files()), 3 * turn, f"{call} {turn}: {gateway.log()}")
    if more:
        equal(len(os.listdir(f"{place.folder}/done/cur")), 18)


def killed_while_draining(place, turn, seed):
    choose = random.Random(seed)
    box = box_of(place, name=f"box{turn}")
    place.share, place.state = place.make(f"share{turn}"), os.path.join(place.folder, f"state{turn}")
    wanted = [pdf(1000 + number, f"{turn} {number}") for number in range(200)]
    for number, content in enumerate(wanted):
        box.lay(mail(part(content)), f"{number:03}.host" + (":2,S" if number % 3 == 0 else ""), "cur" if number % 3 == 0 else "new")
    config, deaths = place.config(text=section(box, "rescan = 1s"), name=f"{turn}.conf"), 0
    gateway = place.gateway(config=config, log=f"{turn}.log").start()
    limit = time.monotonic() + 90 * PATIENCE
    while not box.is_empty():
        require(time.monotonic() < limit, lambda: f"seed {seed}: {len(box.names())} stay:\n{gateway.log()[-3000:]}")
        time.sleep(choose.uniform(0, 0.4) * PATIENCE)
        if deaths >= 12:
            continue
        victims = [gateway.process.pid, *(pid for pid, _ in gateway.children()),
                   *(pid for pid, name in gateway.children() if name == WATCHER), *couriers(gateway)]
        victim = choose.choice(victims)
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        deaths += 1
        if victim == gateway.process.pid:
            gateway.process.wait(20)
            gateway.start()
    gateway.stop()
    gateway.start()  # what the last of the dead left is for who comes after him
    wait_for(lambda: not place.staged(), 20, lambda: f"seed {seed}: {place.staged()} are left")
    gateway.stop()
    found = sorted(place.files().values())
    require(found == sorted(wanted), lambda: f"seed {seed}: {len(found)} files, {len(set(found))} of them different")
    return deaths


def test_killed_while_draining(place):
    """kill -9 of any process, at any moment, while 200 mails are drained: each exactly once, the Maildir empty. A mark
    that nobody lived to settle ages: no other message has its key."""
    trials, first = COUNT or 5, random.randrange(1 << 30)
    deaths = sum(killed_while_draining(place, turn, first + turn) for turn in range(trials))
    print(f"     system/maildir: {trials} trials, {deaths} deaths")


# --- beginning and end ------------------------------------------------------------------------------------------------

def test_end_in_order(place):
    """SIGTERM: what couriers have promised is heard and acted on; the rest waits for the next start."""
    box = box_of(place)
    config = place.config(text=section(box))
    for turn in range(3):
        names = [box.lay(scan(1000 + 100 * turn + number)) for number in range(40)]
        with place.gateway(config=config) as gateway:
            watching(gateway)
            wait_for(lambda: len(box.names()) < len(names), 10, "it does not begin")
        left = len(box.names())
        with place.gateway(config=config) as gateway:
            emptied(gateway, box, 60)
        equal(len(place.files()), 40 * (turn + 1), f"{left} were left")
    wait_for(lambda: not place.marks(), 10, "a mark stays")


def test_reload(place):
    """The old watcher ends before the new one begins."""
    one, two = box_of(place, name="one"), box_of(place, name="two")
    place.config(text=section(one))
    with place.gateway(config=os.path.join(place.folder, "gateway.conf")) as gateway:
        watching(gateway)
        for turn in range(30):
            one.lay(scan(1000 + turn))
            two.lay(scan(2000 + turn))
        place.config(text=section(one, "refused = move:others") + section(two, name="two"))
        gateway.process.send_signal(signal.SIGHUP)
        watching(gateway, "two")
        emptied(gateway, one, 60)
        emptied(gateway, two, 60)
        one.lay(refused_mail())
        emptied(gateway, one)
        equal(len([name for _, name in gateway.children() if name == WATCHER]), 2)
    equal(len(place.files()), 60)
    equal(len(os.listdir(f"{place.folder}/others/cur")), 1)


def away(place, box):
    os.rename(place.share, place.share + ".away")


def no_box(place, box):
    os.rename(box.path, box.path + ".away")


def being_written(place, box):
    place.later(open(box.at("new", "open"), "wb").close)


@rows([("all is well", lambda place, box: None, 0, 0), ("one is refused", lambda place, box: box.lay(refused_mail()), 0, 0),
       ("the share is away", away, 75, 1), ("there is no Maildir", no_box, 69, None), ("one is still written", being_written, 75, 1)])
def test_once(place, spoil, wanted, left):
    box = box_of(place)
    config = place.config(text=section(box), smtp="")
    if spoil is away:
        require(place.run("once", "-c", config).returncode == 0)  # it learns what its share is
    box.lay(scan())
    spoil(place, box)
    done = place.run("once", "-c", config)
    equal(done.returncode, wanted, done.stderr.decode())
    if left is not None:
        equal(len(box.names()), left)


def test_once_empties_many(place):
    box, other = box_of(place), box_of(place, name="other")
    config = place.config(text=section(box) + section(other, name="other"))
    for turn in range(50):
        box.lay(scan(1000 + turn))
        other.lay(scan(2000 + turn))
    equal(place.run("once", "-c", config).returncode, 0)
    equal((box.names(), other.names(), len(place.files())), ([], [], 100))
    equal(place.marks(), [])


def test_explain_for_it(place):
    box = box_of(place)
    config = place.config(text=section(box) + "[route box]\nsource = box\nfolder = from-box\n", route=None)
    done = place.run("explain", "-c", config, "--source", "box", place.file("a.eml", scan()))
    require(done.returncode == 0 and b"from-box" in done.stdout, done)


def test_beside_smtp(place):
    """Both at once, the same octets: two messages."""
    box, message = box_of(place), scan(4000)
    with running(place, box) as gateway:
        box.lay(message)
        require(send(gateway.port, message).startswith("250"))
        emptied(gateway, box)
        wait_for(lambda: len(place.files()) == 2, 10, "not both")
