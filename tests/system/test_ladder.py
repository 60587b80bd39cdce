"""File systems that lack something: each still delivers, or `check` and the start say why not."""

import os
import subprocess

from harness import PDF, PROGRAM, equal, mail, needs_root, part, pdf, require, rows, scan, send, wait_for


def bindfs(place, at):
    place.mount("bindfs", place.make("below", 0o777), at, at=at)


def bindfs_forced(place, at):
    place.mount("bindfs", "-p", "0644,a+X", "-u", "daemon", place.make("below", 0o777), at, at=at)


def sshfs(place, at):
    wrapper = place.file("ssh", "#!/bin/sh\nexec /usr/lib/openssh/sftp-server\n")
    os.chmod(wrapper, 0o755)
    place.mount("sshfs", "-o", f"ssh_command={wrapper}", f"x:{place.make('below', 0o777)}", at, at=at)


def mergerfs(place, at):
    place.mount("mergerfs", place.make("below", 0o777), at, at=at)


def image(place, size, *maker):
    path = place.file("disk.img", b"")
    os.truncate(path, size << 20)
    # mkfs.btrfs asks after the source of every mount, and that of another test may be dead or hang: it sees none
    subprocess.run(["unshare", "--mount", "sh", "-c", 'mount --bind /dev/null /proc/$$/mounts && exec "$@"', "sh", *maker,
                    path], check=True, capture_output=True)
    return path


def ntfs(place, at):
    place.mount("ntfs-3g", image(place, 32, "mkfs.ntfs", "-F", "-q"), at, at=at)


def exfat(place, at):
    path = image(place, 32, "mkfs.exfat")
    device = subprocess.run(["losetup", "-f", "--show", path], check=True, capture_output=True, text=True).stdout.strip()
    place.later(subprocess.run, ["losetup", "-d", device])
    place.mount("mount.exfat-fuse", device, at, at=at)


def fusefat(place, at):
    place.mount("fusefat", "-o", "rw+", image(place, 32, "mkfs.fat"), at, at=at)


SYSTEMS = [("bindfs", bindfs), ("bindfs with forced rights", bindfs_forced), ("sshfs", sshfs), ("mergerfs", mergerfs),
           ("ntfs-3g", ntfs), ("exfat", exfat), ("fat", fusefat)]


@needs_root
@rows(SYSTEMS)
def test_delivers(place, mount):
    mount(place, place.share)
    config = place.config(route="folder = in/{received:%Y}\ntypes = pdf")
    done = place.run("check", "-c", config)
    equal(done.returncode, 0, done.stdout.decode() + done.stderr.decode())
    with place.gateway(config=config) as gateway:
        for turn in range(3):
            reply = send(gateway.port, mail(part(pdf(5000, turn), "scan.pdf"), part(pdf(70000, turn), "Büro.pdf")))
            require(reply.startswith("250"), f"{reply}\n{gateway.log()}")
        reply = send(gateway.port, mail(part(PDF, "a:b?c*d|e\\f.pdf")))
        require(reply.startswith("250"), reply)
        files = place.files()
        equal(len(files), 7, sorted(files))
        equal(sorted(len(c) for c in files.values()), [len(PDF), 5000, 5000, 5000, 70000, 70000, 70000])
        names = sorted(os.path.basename(name) for name in files)
        require("scan (3).pdf" in names, names)
        equal(place.staged(), [])
        wait_for(lambda: not place.marks(), 5, "the last delivery is not settled")


@needs_root
@rows(SYSTEMS)
def test_restart_finishes_what_was_promised(place, mount):
    """The plan is durable and the courier is gone: roll forward works on every rung of the ladder."""
    mount(place, place.share)
    config = place.config()
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat2", "-e",
              "inject=renameat2:signal=KILL:when=1"]
    done = subprocess.run([*strace, PROGRAM, "drop", "-c", config], input=scan(3000), capture_output=True, timeout=120)
    equal(done.returncode, 75, "it was killed, and killed again")
    equal(len(place.spool("publishing")), 1, "a plan waits")
    equal(place.run("drop", "-c", config, stdin=b"nothing").returncode, 65, "the next one adopts it")
    equal([len(c) for c in place.files().values()], [3000])
    equal(place.staged(), [])


@needs_root
@rows([("plain", "a" * 180), ("of other letters", "日" * 60)])
def test_names_that_are_too_long(place, name):
    """An encrypted folder allows 143 octets: a shorter name is tried, with its number and its ending."""
    config = place.config()
    equal(place.run("drop", "-c", config, stdin=scan()).returncode, 0)
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat2", "-e",
              "inject=renameat2:error=ENAMETOOLONG:when=1"]
    for number in ("", " (2)"):
        done = subprocess.run([*strace, PROGRAM, "drop", "-c", config], input=mail(part(pdf(500), f"{name}.pdf")),
                              capture_output=True, timeout=120)
        equal(done.returncode, 0, done.stderr)
        (found,) = [path for path in place.files() if path.endswith(f"{name[0]}{number}.pdf")]
        require(100 < len(found.encode()) <= 120, found)


@needs_root
def test_owner_that_the_file_system_drops(place):
    """A configured owner that is ignored is named by check; a delivery with it waits, in words."""
    ntfs(place, place.share)
    config = place.config(route="owner = daemon")
    done = place.run("check", "-c", config)
    equal(done.returncode, 69)
    require(b"does not keep `owner`" in done.stdout, done.stdout)
    with place.gateway(config=config) as gateway:
        wait_for(lambda: "does not keep `owner`" in gateway.log(), 10, "the start does not say so")
        require(send(gateway.port, scan()).startswith("451 4.3.0"))
        equal(place.files(), {})


@needs_root
def test_private_fuse_mount(place):
    """Mounted for root alone: the gateway's user can't see it. Said by check and at the start."""
    wrapper = place.file("ssh", "#!/bin/sh\nexec /usr/lib/openssh/sftp-server\n")
    os.chmod(wrapper, 0o755)
    place.mount("sshfs", "-o", f"ssh_command={wrapper}", f"x:{place.make('below', 0o777)}", place.share, at=place.share)
    config = place.config()
    done = place.run("check", "-c", config)
    if done.returncode == 0:
        with place.gateway(config=config) as gateway:  # then it must work
            require(send(gateway.port, scan()).startswith("250"))
        return
    equal(done.returncode, 69)
    require(b"allow_other" in done.stdout, done.stdout)
    with place.gateway(config=config) as gateway:
        wait_for(lambda: "allow_other" in gateway.log(), 10, "the start does not say so")
        require(send(gateway.port, scan()).startswith("451 4.3.0"))


@needs_root
def test_staging_on_another_file_system(place):
    os.mkdir(os.path.join(place.share, ".letterchute"))
    place.mount("mount", "-t", "tmpfs", "none", os.path.join(place.share, ".letterchute"),
                at=os.path.join(place.share, ".letterchute"))
    config = place.config()
    done = place.run("check", "-c", config)
    equal(done.returncode, 69, done.stdout.decode())
    require(b".letterchute" in done.stdout, done.stdout)
    with place.gateway(config=config) as gateway:
        require(send(gateway.port, scan()).startswith("451 4.3.0"))
        wait_for(lambda: ".letterchute" in gateway.log(), 10, "the start does not say so")
