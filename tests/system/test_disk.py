"""A failing disk means later: nothing half done, nothing left over, and the next mail goes through."""

import concurrent.futures
import os
import signal
import subprocess

from harness import (PROGRAM, equal, mail, needs_root, part, pdf, require, rows, scan, send, wait_for)


def later(gateway, message, reason, code="45"):
    reply = send(gateway.port, message)
    require(reply.startswith(code), reply)
    line = gateway.last()
    equal((line["outcome"], line["reason"]), ("later", reason))


@needs_root
def test_full(place):
    place.mount("mount", "-t", "tmpfs", "-o", "size=1m", "none", place.share, at=place.share)
    with place.gateway() as gateway:
        require(send(gateway.port, scan(100000)).startswith("250"))
        for _ in range(3):
            later(gateway, scan(2000000), "full", "452 4.3.1")
            equal(place.staged(), [])
        equal(len(place.files()), 1)
        require(send(gateway.port, scan(100000)).startswith("250"), "a smaller one")


@needs_root
def test_full_in_the_middle_of_several(place):
    place.mount("mount", "-t", "tmpfs", "-o", "size=1m", "none", place.share, at=place.share)
    with place.gateway(route="folder = a/{received:%Y}") as gateway:
        parts = [part(pdf(300000, i), f"{i}.pdf") for i in range(5)]
        later(gateway, mail(*parts), "full", "452 4.3.1")
        equal((place.files(), place.folders(), place.staged()), ({}, [], []))


@needs_root
def test_no_inodes(place):
    place.mount("mount", "-t", "tmpfs", "-o", "nr_inodes=9", "none", place.share, at=place.share)
    with place.gateway() as gateway:
        later(gateway, mail(*[part(pdf(100, i), f"{i}.pdf") for i in range(9)]), "full", "452 4.3.1")
        equal((place.files(), place.staged()), ({}, []))


def test_below_the_floor(place):
    config = place.file("floor.conf", open(place.config()).read().replace("free_floor = 0", "free_floor = 1000G"))
    with place.gateway(config=config) as gateway:
        later(gateway, scan(), "full", "452 4.3.1")
        equal(place.files(), {})
        require("free_floor" in gateway.last()["text"])


@needs_root
def test_read_only(place):
    place.mount("mount", "-t", "tmpfs", "none", place.share, at=place.share)
    with place.gateway() as gateway:
        require(send(gateway.port, scan()).startswith("250"))
        subprocess.run(["mount", "-o", "remount,ro", place.share], check=True)
        later(gateway, scan(), "share", "451 4.3.0")
        subprocess.run(["mount", "-o", "remount,rw", place.share], check=True)
        require(send(gateway.port, scan()).startswith("250"))
        equal(len(place.files()), 2)
        equal(place.staged(), [])


def test_missing(place):
    with place.gateway() as gateway:
        require(send(gateway.port, scan()).startswith("250"))
        os.rename(place.share, place.share + ".away")
        later(gateway, scan(), "share", "451 4.3.0")
        os.rename(place.share + ".away", place.share)
        wait_for(lambda: send(gateway.port, scan()).startswith("250"), 10, "it stays away")


def test_missing_at_start(place):
    os.rename(place.share, place.share + ".away")
    with place.gateway() as gateway:
        later(gateway, scan(), "share", "451 4.3.0")
        require("share" in gateway.log() and "make the folder" in gateway.log(), "the start says so in words")
        os.rename(place.share + ".away", place.share)
        wait_for(lambda: send(gateway.port, scan()).startswith("250"), 15, "it stays away")


def test_another_share(place):
    """An empty folder where the share was: its disk is not mounted. Nothing is written there."""
    with place.gateway() as gateway:
        require(send(gateway.port, scan()).startswith("250"))
        os.rename(place.share, place.share + ".away")
        os.mkdir(place.share)
        later(gateway, scan(), "share", "451 4.3.0")
        equal(os.listdir(place.share), [])
        os.rmdir(place.share)
        os.rename(place.share + ".away", place.share)
        wait_for(lambda: send(gateway.port, scan()).startswith("250"), 10, "it stays away")


@needs_root
def test_mounted_after_the_start(place):
    """Also what nobody waits for goes on then: the keeper takes up what a dead courier has left."""
    below, config = place.make("below"), place.config(gateway="couriers = 1")

    def mount():
        place.mount("mount", "--bind", below, place.share, at=place.share)
    mount()
    with place.gateway(config=config) as gateway:
        require(send(gateway.port, scan()).startswith("250"))
    subprocess.run(["umount", place.share], check=True)
    with place.gateway(config=config) as gateway:
        later(gateway, scan(), "share", "451 4.3.0")
        mount()
        wait_for(lambda: send(gateway.port, scan()).startswith("250"), 10, "it stays away")
        before = set(place.spool("lives"))
        (courier,) = [pid for pid, name in gateway.children() if name.startswith("letterchute-cou")]
        os.kill(courier, signal.SIGKILL)
        wait_for(lambda: not before & set(place.spool("lives")), 15, "nobody takes up what it left")


def remove_folder(place):
    """We may be at work in it: whoever tidies says it again then."""
    wait_for(lambda: subprocess.run(["rm", "-rf", os.path.join(place.share, ".letterchute")],
                                    capture_output=True).returncode == 0, 10, "it can't be removed")


@rows([("the files of the folder", lambda place: os.remove(os.path.join(place.share, ".letterchute", "id"))),
       ("the whole folder", remove_folder)])
def test_somebody_tidies(place, tidy):
    """A user's clean-up takes our identity away: the folder is the same one, and work goes on at once."""
    config = place.config()
    with place.gateway(config=config) as gateway:
        require(send(gateway.port, scan()).startswith("250"))
        with open(os.path.join(place.share, ".letterchute", "id")) as identity:
            before = identity.read()
        tidy(place)
        require(send(gateway.port, scan()).startswith("250"), gateway.log())
        with open(os.path.join(place.share, ".letterchute", "id")) as identity:
            equal(identity.read(), before)
        tidy(place)
        replies = at_once(8, lambda: send(gateway.port, scan()))
        equal({reply[:3] for reply in replies}, {"250"})
    tidy(place)
    with place.gateway(config=config) as gateway:
        require(send(gateway.port, scan()).startswith("250"), gateway.log())


def at_once(count, work):
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: work(), range(count)))


def test_adopt_a_new_share(place):
    config = place.config()
    with place.gateway(config=config) as gateway:
        require(send(gateway.port, scan()).startswith("250"))
    os.rename(place.share, place.share + ".old")
    os.mkdir(place.share)
    done = place.run("check", "-c", config)
    equal(done.returncode, 69)
    require(b"--adopt" in done.stdout, done.stdout)
    equal(place.run("check", "-c", config, "--adopt").returncode, 0)
    with place.gateway(config=config) as gateway:
        require(send(gateway.port, scan()).startswith("250"))


@needs_root
def test_folder_that_a_user_made_before_us(place):
    """Who owns `.letterchute` could change what is staged: it is not used, and check and the start say why."""
    base = os.path.join(place.share, ".letterchute")
    os.mkdir(base)
    os.chown(base, 1234, 1234)
    os.chmod(base, 0o777)
    config = place.config(gateway="user = daemon")
    done = place.run("check", "-c", config)
    equal(done.returncode, 69, done.stdout)
    require(b".letterchute is not ours alone: owner 1234, mode 777" in done.stdout, done.stdout)
    with place.gateway(config=config) as gateway:
        later(gateway, scan(), "share", "451 4.3.0")
        equal(os.listdir(base), [])
        os.chown(base, 1, 1)
        os.chmod(base, 0o700)
        require(send(gateway.port, scan()).startswith("250"))


INJECTED = [(f"{error} from {call}", call, error, code) for call, error, code in (
    ("fsync", "EIO", "4.3.0"), ("fsync", "ENOSPC", "4.3.1"), ("fsync", "EDQUOT", "4.3.1"), ("renameat2", "EROFS", "4.3.0"),
    ("renameat2", "EIO", "4.3.0"), ("mkdirat", "EDQUOT", "4.3.1"), ("fchmod", "EIO", "4.3.0"),
    ("getdents64", "EIO", "4.3.0"))]


@needs_root
@rows(INJECTED)
def test_error_of_the_disk(place, call, error, code):
    """Quotas and dying disks can't be had here: strace plays them, at each call of that kind in the courier."""
    config = place.config(route="folder = a/b")
    arguments = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                 f"inject={call}:error={error}", PROGRAM, "drop", "-c", config]
    message = scan(50000)
    done = subprocess.run(arguments, input=message, capture_output=True, timeout=120)
    equal(done.returncode, 75, done.stderr.decode())
    require(code.encode() in done.stderr or b"give `state`" in done.stderr, done.stderr)
    equal(place.files(), {})
    # then the disk is well again, and the sender tries once more
    done = place.run("drop", "-c", config, stdin=message)
    equal(done.returncode, 0, done.stderr.decode())
    equal(len(place.files()), 1)
    equal(place.staged(), [])
