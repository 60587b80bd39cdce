"""Each trick of a hostile user by itself, at the moment that serves him best: what the races find by chance."""

import fcntl
import os
import shutil
import subprocess
import threading

from field import ALICE, GATEWAY, HOSTILE, OLD, Field, sentinel, untouched
from harness import Watch, equal, mail, needs_root, part, pdf, require, rows, scan, send, wait_for

BASE = ".letterchute"


def prepare(place, route="folder = in", share="", gateway=""):
    """A field whose share the gateway has met."""
    field = Field(place)
    config = place.config(route=f"types = pdf\nowner = {ALICE}\nmode = 0600\n{route}", share=share,
                          gateway=f"user = {GATEWAY}\n{gateway}")
    return field, config


def met(place):
    field, config = prepare(place)
    equal(place.run("drop", "-c", config, stdin=scan()).returncode, 0)
    return field, config, os.path.join(place.share, BASE)


def look_alike(field, path):
    """His own folder, with our identity in it."""
    os.mkdir(path)
    shutil.copy(os.path.join(field.share, BASE, "id"), path)
    for each in (path, os.path.join(path, "id")):
        os.chown(each, HOSTILE, HOSTILE)
        os.chmod(each, 0o777)


def as_his(text, *arguments):
    """Runs a line of shell as the hostile user, who must be able to do what it says."""
    subprocess.run(["sh", "-ec", text, "sh", *arguments], check=True, user=HOSTILE, group=HOSTILE, extra_groups=[])


@needs_root
@rows([(name, name) for name in ("Archive", "Private", "Board")])
def test_name_of_ours_for_a_folder_of_others(place, name):
    """Without our identity in it: no identity is written, nothing is staged, nothing is swept there."""
    field, config, base = met(place)
    before = sentinel(field)
    as_his('cd "$1"; mv .letterchute away; mv "$2" .letterchute', place.share, name)
    done = place.run("drop", "-c", config, stdin=scan())
    equal(done.returncode, 75, done.stderr)
    with place.gateway(config=config) as gateway:
        require(send(gateway.port, scan()).startswith("451 4.3.0"), gateway.log())
        require("not ours alone" in gateway.log(), gateway.log())
        untouched(before, field)
        as_his('cd "$1"; mv .letterchute "$2"; mv away .letterchute', place.share, name)
        wait_for(lambda: send(gateway.port, scan()).startswith("250"), 10, "it stays away")
    untouched(before, field)


def meet_nothing(place, field, config):
    pass


def meet(place, field, config):
    equal(place.run("drop", "-c", config, stdin=scan()).returncode, 0)


@needs_root
@rows([("of a share we know", meet), ("of a share we never met", meet_nothing)])
def test_sweep_in_a_folder_of_his(place, first):
    """Files that he has no right to remove, in a folder that has the name of what we sweep."""
    field, config = prepare(place)
    first(place, field, config)
    base, fake = os.path.join(place.share, BASE), os.path.join(place.share, "fake")
    if os.path.exists(base):
        look_alike(field, fake)
        as_his('cd "$1"; mv .letterchute away', place.share)
    else:
        field.folder("top/share/fake", HOSTILE, 0o777)
    before = sentinel(field)
    as_his('cd "$1"; mv Board fake/gone-0123456789abcdef; mv fake .letterchute', place.share)
    os.utime(os.path.join(base, "gone-0123456789abcdef"), (OLD, OLD))
    equal(place.run("drop", "-c", config, stdin=scan()).returncode, 75)
    with place.gateway(config=config) as gateway:
        require(send(gateway.port, scan()).startswith("451 4.3.0"), gateway.log())
    untouched(before, field)


@needs_root
def test_folder_of_his_is_not_touched(place):
    """Not even for a moment; and whatever lock he holds on it, nobody waits for him."""
    field, config, base = met(place)
    look_alike(field, os.path.join(place.share, "fake"))
    as_his('cd "$1"; mv .letterchute away; mv fake .letterchute', place.share)
    lock = os.open(base, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    watch = Watch(base, 0x40 | 0x80 | 0x100 | 0x200)
    equal(place.run("drop", "-c", config, stdin=scan(), timeout=30).returncode, 75)
    with place.gateway(config=config) as gateway:
        require(send(gateway.port, scan()).startswith("451 4.3.0"), gateway.log())
    equal(watch.events(), [])
    os.close(lock)


@needs_root
def test_name_of_ours_for_a_folder_we_never_met(place):
    """A closed folder of root's: at first contact neither it gets an identity."""
    field, config = prepare(place)
    before = sentinel(field)
    as_his('cd "$1"; mv Private .letterchute', place.share)
    done = place.run("drop", "-c", config, stdin=scan())
    equal(done.returncode, 75, done.stderr)
    require(b"not ours alone" in done.stderr, done.stderr)
    untouched(before, field)


@needs_root
@rows([(name, name) for name in ("Archive", "Private", "Board")])
def test_name_of_ours_for_a_folder_of_others_meanwhile(place, name):
    """Our folder is away at the first look, and somebody's is there at the second, that would make it anew."""
    field, config, base = met(place)
    before = sentinel(field)
    as_his('cd "$1"; mv .letterchute away', place.share)
    shares, calls = os.path.join(place.state, "shares"), os.path.join(place.folder, "calls")
    open(calls, "w").close()
    lock = os.open(shares, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    drop = subprocess.Popen(["strace", "-f", "-qq", "-y", "-o", calls, "-e", "trace=flock", place.program, "drop",
                             "-c", config], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    place.later(drop.kill)
    drop.stdin.write(scan())
    drop.stdin.close()
    wait_for(lambda: any(shares in call and "EAGAIN" in call for call in open(calls)), 20, "it does not wait")
    as_his('cd "$1"; mv "$2" .letterchute', place.share, name)
    os.close(lock)
    equal(drop.wait(60), 75)
    require(b"not ours alone" in drop.stderr.read(), "another reason")
    untouched(before, field)


def exchange(share, one, other):
    """As soon as `one` is there."""
    subprocess.run(["python3", "-c", "import ctypes,os,sys\n"
                    "libc=ctypes.CDLL(None)\n"
                    "while libc.renameat2(-100,sys.argv[1].encode(),-100,sys.argv[2].encode(),2): pass\n",
                    one, other], cwd=share, user=HOSTILE, group=HOSTILE, extra_groups=[], timeout=60)


def swapped_at(place, call, config, one, other):
    """`drop`, which pauses behind each such call, while the hostile user exchanges two names once he can."""
    thread = threading.Thread(target=exchange, args=(place.share, one, other))
    thread.start()
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:delay_exit=300000"]
    done = subprocess.run([*strace, place.program, "drop", "-c", config], input=scan(), capture_output=True,
                          timeout=120)
    thread.join()
    return done


@needs_root
@rows([(name, name) for name in ("Archive", "Private")])
def test_our_folder_swapped_while_it_is_made(place, name):
    """Between mkdir and open: a folder of somebody's is not made private."""
    field, config, base = met(place)
    before = sentinel(field)
    as_his('cd "$1"; mv .letterchute away', place.share)
    equal(swapped_at(place, "mkdirat", config, BASE, name).returncode, 75)
    untouched(before, field)


@needs_root
@rows([(name, name) for name in ("Archive", "Private", "empty", "ours")])
def test_new_folder_swapped_while_it_is_made(place, name):
    """Between mkdir and open: a folder of somebody's gets no other owner and mode, and ours is not given away."""
    field, config = prepare(place, "folder = new", "folder_mode =")
    field.folder("top/share/empty", 0, 0o700)
    equal(place.run("drop", "-c", place.config(route="folder = in", gateway=f"user = {GATEWAY}", name="other.conf"),
                    stdin=scan()).returncode, 0)
    other = BASE if name == "ours" else name
    before, state = sentinel(field), os.lstat(os.path.join(place.share, other))
    equal(swapped_at(place, "mkdirat", config, "new", other).returncode, 75)
    after = os.lstat(os.path.join(place.share, "new"))
    equal((after.st_ino, after.st_uid, after.st_mode), (state.st_ino, state.st_uid, state.st_mode))
    untouched(before, field)


@needs_root
def test_two_folders_of_ours_exchanged(place):
    """A promise that was staged in one of them is not taken for published since it is not in the other."""
    field, config = prepare(place, gateway="couriers = 1")
    strace = ("strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat2", "-e",
              "inject=renameat2:error=EIO:when=3")
    with place.gateway(config=config, wrapper=strace) as gateway:
        require(send(gateway.port, scan()).startswith("250"), gateway.log())
        as_his('cd "$1"; mv .letterchute away', place.share)
        require(send(gateway.port, scan()).startswith("250"), gateway.log())
        as_his('cd "$1"; mv .letterchute other; mv away .letterchute', place.share)
        content = pdf(5000, "promised")
        message = mail(part(content))
        require(send(gateway.port, message).startswith("451"), gateway.log())
        as_his('cd "$1"; mv .letterchute away; mv other .letterchute', place.share)
        wait_for(lambda: not place.spool("publishing"), 20, gateway.log())
        require(send(gateway.port, message).startswith("250"), gateway.log())
        found = [name for name, found in place.files().items() if found == content and not name.startswith("away")]
        require(found, f"it was acknowledged and is nowhere\n{gateway.log()}")
