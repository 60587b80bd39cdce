"""What `check` says of a share and of `state`, and that the log says the same at the start: one sentence, and what helps."""

import contextlib
import json
import os
import re
import socket
import subprocess
import threading

from harness import equal, needs_root, require, rows, scan, send, wait_for
from test_ladder import bindfs, exfat, fusefat, image, mergerfs, sshfs


def findings(place, config, *arguments):
    """(exit status, {(what, ok, text, remedy)})"""
    done = place.run("check", "-c", config, "--json", *arguments)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, [(f["what"], f["ok"], f["text"], f["remedy"]) for f in found]


def warnings(place, config):
    """Of the mounts: (what, text)."""
    status, found = findings(place, config)
    equal(status, 0, found)
    return [(what, text) for what, ok, text, remedy in found if what in ("share", "state") and ok and remedy]


def said(gateway, text):
    """How often the log of the start says a finding."""
    return len([line for line in gateway.log().splitlines() if line.startswith("share ") and text in line])


def disk(kind, *options, size=32):
    def mount(place, at):
        place.mount("mount", "-t", kind, "-o", ",".join(["loop", *options]), image(place, size, f"mkfs.{kind}", "-q"), at,
                    at=at)
    return mount


def tmpfs(place, at):
    place.mount("mount", "-t", "tmpfs", "none", at, at=at)


def overlay(*options):
    def mount(place, at):
        base = place.mount("mount", "-t", "tmpfs", "none", os.path.join(place.folder, "layers"),
                           at=os.path.join(place.folder, "layers"))
        for name in ("lower", "upper", "work"):
            os.mkdir(os.path.join(base, name))
        place.mount("mount", "-t", "overlay", "-o",
                    ",".join([f"lowerdir={base}/lower", f"upperdir={base}/upper", f"workdir={base}/work", *options]),
                    "none", at, at=at)
    return mount


def bind_of(mount):
    """As a container sees its volume: a folder of what is mounted elsewhere."""
    def mounted(place, at):
        below = os.path.join(place.folder, "elsewhere")
        mount(place, below)
        os.makedirs(os.path.join(below, "sub"))
        place.mount("mount", "--bind", os.path.join(below, "sub"), at, at=at)
    return mounted


def mergerfs_for_all(place, at):
    place.mount("mergerfs", "-o", "allow_other", place.make("below", 0o777), at, at=at)


def ntfs_on_a_disk(place, at):
    path = image(place, 32, "mkfs.ntfs", "-F", "-q")
    device = subprocess.run(["losetup", "-f", "--show", path], check=True, capture_output=True, text=True).stdout.strip()
    place.later(subprocess.run, ["losetup", "-d", device])
    place.mount("ntfs-3g", device, at, at=at)


MOUNTS = [("ext4", disk("ext4"), []), ("xfs", disk("xfs", size=320), []), ("btrfs", disk("btrfs", size=128), []),
          ("a folder of ext4", bind_of(disk("ext4")), []),
          ("ext4 that writes late", disk("ext4", "data=writeback", "commit=300"), []),
          ("ext4 without barriers", disk("ext4", "barrier=0"), ["with `nobarrier`"]),
          ("btrfs without barriers", disk("btrfs", "nobarrier", size=128), ["with `nobarrier`"]),
          ("ext4 that writes at once", disk("ext4", "sync"), ["with `sync`"]),
          ("ext2", disk("ext2"), ["is on ext2"]),
          ("memory", tmpfs, ["is on tmpfs"]), ("a folder of memory", bind_of(tmpfs), ["is on tmpfs"]),
          ("overlay", overlay(), ["is on overlay"]),
          ("overlay that is volatile", overlay("volatile"), ["is on overlay", "volatile`: a sync does nothing"]),
          ("sshfs", sshfs, ["is on fuse.sshfs: it is another machine's disk", "without `allow_other`"]),
          ("mergerfs", mergerfs, ["is on fuse.mergerfs: whether a sync", "without `allow_other`"]),
          ("mergerfs for all", mergerfs_for_all, ["is on fuse.mergerfs: whether a sync"]),
          ("bindfs", bindfs, ["is on fuse: whether a sync"]), ("ntfs-3g", ntfs_on_a_disk, ["is on fuseblk: owner"]),
          ("exfat", exfat, ["is on fuseblk: owner"]), ("fat", fusefat, ["is on fuse.fusefat: owner", "without `allow_other`"])]


@needs_root
@rows(MOUNTS)
def test_mount_of_the_share(place, mount, wanted):
    mount(place, place.share)
    config = place.config()
    found = [text for what, text in warnings(place, config) if what == "share" and place.share in text]
    equal(len(found), len(wanted), found)
    require(all(words in text for words, text in zip(wanted, found)), found)


@needs_root
@rows(MOUNTS[:1] + MOUNTS[5:6] + MOUNTS[9:13])
def test_mount_of_the_state(place, mount, wanted):
    mount(place, place.state)
    config = place.config()
    found = [text for what, text in warnings(place, config) if what == "state" and place.state in text]
    equal(len(found), len(wanted), found)
    require(all(words in text for words, text in zip(wanted, found)), found)


@needs_root
def test_warned_once(place):
    """At the start, in the words of `check`; then no more, and mail is taken."""
    tmpfs(place, place.share)
    tmpfs(place, place.state)
    config = place.config()
    found = warnings(place, config)
    equal(len(found), 2, found)
    with place.gateway(config=config) as gateway:
        for what, text in found:
            wait_for(lambda: said(gateway, text), 10, lambda: f"the start does not say {text}: {gateway.log()}")
        for turn in range(3):
            require(send(gateway.port, scan(100 + turn)).startswith("250"))
    equal([said(gateway, text) for _, text in found], [1, 1])
    lines = place.run("check", "-c", config).stdout.decode().splitlines()
    equal([line[:5] for line, after in zip(lines, lines[1:]) if after.startswith("     -> ")], ["warn "] * 2, lines)


# --- what is wrong, and what to change ---

def mounted(*options):
    return lambda place: place.mount("mount", "-t", "tmpfs", "-o", ",".join(["mode=777", *options]), "none", place.share,
                                     at=place.share)


def missing(place):
    os.rename(place.share, place.share + ".away")


def a_file(place):
    missing(place)
    place.file("share", "")


def read_only(place):
    subprocess.run(["mount", "-o", "remount,ro", place.share], check=True)


def full(place):
    with open(os.path.join(place.share, "big"), "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def base(place):
    return os.path.join(place.share, ".letterchute")


def mounted_staging(place):
    place.mount("mount", "-t", "tmpfs", "none", base(place), at=base(place))


def linked_staging(place):
    elsewhere = os.path.join(place.folder, "elsewhere")
    if os.path.exists(base(place)):
        os.rename(base(place), elsewhere)
    else:
        os.mkdir(elsewhere)
    os.symlink(elsewhere, base(place))


def somebodys_staging(place):
    os.makedirs(base(place), exist_ok=True)
    os.chown(base(place), 1234, 1234)
    os.chmod(base(place), 0o700)


def folder(place):
    """Of the route; empty."""
    path = os.path.join(place.share, "in")
    if os.path.exists(path):
        os.rename(path, path + ".away")
    return path


def mounted_folder(*options):
    return lambda place: place.mount("mount", "-t", "tmpfs", *options, "none", folder(place), at=folder(place))


def mounted_inside(place):
    """Of the same file system, and read-only."""
    path = folder(place)
    place.mount("mount", "--bind", place.share, path, at=path)
    subprocess.run(["mount", "-o", "remount,ro,bind", path], check=True)


def linked_folder(place):
    os.symlink(place.make("elsewhere"), folder(place))


def a_file_for_a_folder(place):
    with open(folder(place), "w", encoding="utf-8"):
        pass


def somebodys_folder(mode):
    def make(place):
        path = folder(place)
        os.mkdir(path)
        os.chown(path, 1234, 1234)
        os.chmod(path, mode)
    return make


def no_inodes(place):
    number = 0
    with contextlib.suppress(OSError):
        while True:
            with open(os.path.join(place.share, f"x{number}"), "w", encoding="utf-8"):
                number += 1


def somebodys(mode):
    def give(place):
        os.chown(place.share, 1234, 1234)
        os.chmod(place.share, mode)
    return give


NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
WHOSE = r"Permission denied \(we are user 65534; it belongs to user 1234 and group 1234, mode "
RIGHT = "give the gateway's user the right to write there, or run it as the owner"

# before, what goes wrong, who we are, the sentence, what to change
WRONGS = [("missing", None, missing, (), "can't be opened: No such file", "make the folder, or mount its disk"),
          ("a file", None, a_file, (), "can't be opened: Not a directory", "a folder is expected"),
          ("read-only", mounted(), read_only, (), "Read-only file system", "mount it read-write"),
          ("full", mounted("size=1m"), full, (), "0 MB are free|No space left", "make room on the disk"),
          ("staging is a mount", None, mounted_staging, (), r"\.letterchute is a mount of its own",
           "unmount it; a disk of its own wants a [share] of its own"),
          ("staging is a link", None, linked_staging, (), r"\.letterchute is a symbolic link",
           "remove the symbolic link"),
          ("staging is somebody's", None, somebodys_staging, (), r"\.letterchute is not ours alone: owner 1234, mode 700",
           "give it to the gateway's user"),
          ("staging is closed to us", None, somebodys_staging, NOBODY, r"\.letterchute can't be opened: " + WHOSE + "700",
           "give it to the gateway's user"),
          ("somebody's", None, somebodys(0o755), NOBODY, "can't be written to: Permission denied", RIGHT, ""),
          ("somebody's alone", None, somebodys(0o700), NOBODY, "can't be opened: " + WHOSE + "700", RIGHT),
          ("no inodes", mounted("nr_inodes=30"), no_inodes, (), "has no room for another file|No space left",
           "remove files there|make room"),
          ("a folder is a mount", None, mounted_folder(), (), "share/in is a mount of its own", "unmount it; a disk of its own"),
          ("a folder is a mount of the same disk", None, mounted_inside, (), "share/in is a mount of its own", "unmount it;"),
          ("a folder is a link", None, linked_folder, (), "share/in is a symbolic link", "remove the symbolic link"),
          ("a folder is a file", None, a_file_for_a_folder, (), "share/in is no folder", "a folder is expected"),
          ("a folder is somebody's", None, somebodys_folder(0o755), NOBODY,
           "share/in can't be written to: " + WHOSE + "755", RIGHT),
          ("a folder is somebody's alone", None, somebodys_folder(0o700), NOBODY,
           "share/in can't be (opened|written to): " + WHOSE + "700", RIGHT)]


@needs_root
@rows([(f"{row[0]}, {when}", when, *row[1:]) for row in WRONGS for when in ("at first", "later")])
def test_wrong_share(place, when, before, spoil, identity, words, remedy, route="folder = in"):
    """One sentence that says what it is and one that says what to change: by check, at the start and for each mail."""
    place.open_to_all()
    if before:
        before(place)
    config = place.config(route=f"{route}\ntypes = pdf")
    if when == "later":
        done = subprocess.run([*identity, place.program, "drop", "-c", config], input=scan(), capture_output=True)
        equal(done.returncode, 0, done.stderr)
    spoil(place)
    done = subprocess.run([*identity, place.program, "check", "-c", config, "--json"], capture_output=True)
    equal(done.returncode, 69, done.stdout)
    wrong = [finding for finding in map(json.loads, done.stdout.splitlines()) if not finding["ok"]]
    equal([finding["what"] for finding in wrong], ["share"], wrong)
    require(place.share in wrong[0]["text"] or "MB" in wrong[0]["text"], wrong)
    require(re.search(words, wrong[0]["text"]) and any(each in wrong[0]["remedy"] for each in remedy.split("|")), wrong)
    with place.gateway(config=config, wrapper=identity) as gateway:
        wait_for(lambda: said(gateway, f"{wrong[0]['text']}; {wrong[0]['remedy']}"), 10,
                 lambda: f"not at the start: {wrong} {gateway.log()}")
        require(re.match("45[12] 4.3.[01] ", send(gateway.port, scan(50000))), gateway.log())
        text = gateway.last()["text"]
        helps = [each.split(",")[0].split(" on ")[0] for each in remedy.split("|")]
        require(any(each in text for each in helps) or "free_floor" in text or "No space left" in text, f"for a mail: {text}")
        for more in ((), ("--health",)):
            done = subprocess.run([*identity, place.program, "status", "-c", config, *more], capture_output=True, text=True)
            require(any(each in done.stdout for each in helps), f"status: {done.stdout}{done.stderr}")
        require(done.stdout.startswith("down: share: ") and done.returncode == 69, done)


class Mailbox(threading.Thread):
    """A server that knows how to log in, and lets nobody."""

    def __init__(self, place):
        super().__init__(daemon=True)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        place.later(self.listening.close)
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listening.accept()
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, contextlib.suppress(OSError), connection.makefile("rwb") as stream:
            stream.write(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")
            stream.flush()
            for line in stream:
                tag, command = line.decode().split()[:2]
                stream.write(f"{tag} {'NO' if command.upper() == 'LOGIN' else 'OK'} x\r\n".encode())
                stream.flush()


OAUTH = "oauth = custom\ntoken_url = https://127.0.0.1:1/\ngrant = client_credentials\nclient_id = x\nclient_secret_file"
SECRETS = [
    ("an empty file", "password_file", b"", "its first line is empty"),
    ("a blank line", "password_file", b"\nsecret\n", "its first line is empty"),
    ("a folder", "password_file", None, "it is a folder"),
    ("a long line", "password_file", b"x" * 20000, "its first line is too long"),
    ("a device", "password_file", False, "it is no file that can be read"),
    ("one that is good", "password_file", b"word\n", "the server refuses the login"),
    ("an empty one of a client", OAUTH, b"", "its first line is empty"),
    ("a folder of a client", OAUTH, None, "it is a folder"),
]


@rows(SECRETS)
def test_file_of_a_secret(place, key, content, words):
    """The one thing that is wrong with it, and its name."""
    path = place.make("secret") if content is None else place.file("secret", content or b"")
    config = place.config(text=f"[imap office]\nhost = 127.0.0.1\nport = {Mailbox(place).port}\ntls = off\nuser = u\n{key} = {path}\n")
    place.open_to_all()
    if content is False:
        os.remove(path)
        os.symlink("/dev/null", path)
    found = [json.loads(line) for line in place.run("check", "--json", "-c", config).stdout.splitlines()]
    (said,) = [one["text"] for one in found if one["what"] == "imap office" and not one["ok"]]
    require(words in said, said)
    require(words.startswith("the server") or f"{key.split()[-1]} = {path}: {words}" in said, said)
