"""The three set-ups of contrib/docker: started by their one command, a mail comes to lie on the share; killed, nothing is
lost; and nobody in them is root or has a right of root."""

import os
import subprocess

from compose import SHARE_PASSWORD, Setup
from engine import call, is_bare, podman, statuses
from harness import PDF, equal, part, mail, require, rows, scan, send, wait_for

TOOLS = [("docker-compose", "docker-compose"), ("podman-compose", "podman-compose")]


def owned(setup, count, mode=0o640):
    """The files, once there are so many: whole, and with the owner and mode that were asked for."""
    wait_for(lambda: len(setup.files()) >= count, 30, lambda: f"{setup.files()}\n{setup.log()}")
    for path in setup.files().values():
        found = os.stat(path)
        equal((found.st_uid, found.st_gid, found.st_mode & 0o7777), (setup.uid, setup.gid, mode), path)
        with open(path, "rb") as content:
            equal(content.read(), PDF)
    equal(len(setup.files()), count)


def nobody_is_root(setup):
    found = statuses(setup.pid())
    require(len(found) > 5, found)
    for status in found:
        require(is_bare(status, setup.uid, setup.gid), status)


def read_only_root(setup):
    """As the kernel has it."""
    with open(f"/proc/{setup.pid()}/mounts") as mounts:
        root = next(line.split() for line in mounts if line.split()[1] == "/")
    require("ro" in root[3].split(","), root)


def brought(setup):
    """By a device; it may be that the listener is not there yet."""
    def take():
        try:
            return send(setup.port, scan())
        except OSError:
            return ""
    wait_for(lambda: take().startswith("250"), 20, setup.log)


def kill_and_start(setup):
    name = setup.container()
    podman("kill", "-s", "KILL", name)
    podman("wait", name)
    podman("start", name)
    setup.join()


def inspect(setup):
    nobody_is_root(setup)
    read_only_root(setup)


@rows(TOOLS)
def test_mailbox(place, tool):
    setup = Setup(place, "compose.yaml", tool)
    setup.mailbox.append(scan())
    setup.up()
    owned(setup, 1)
    wait_for(lambda: setup.mailbox.count() == 0, 20, "the mail stays in the mailbox")
    inspect(setup)
    setup.mailbox.wait_idling()
    podman("pause", setup.container())
    for _ in range(3):
        setup.mailbox.append(scan())
    kill_and_start(setup)
    owned(setup, 4)
    wait_for(lambda: setup.mailbox.count() == 0, 20, "mails stay in the mailbox")
    setup.mailbox.append(mail(part(b"MZ" + bytes(500), "run.exe")))
    wait_for(lambda: setup.mailbox.count("Refused") == 1, 20, setup.log)


@rows(TOOLS)
def test_lan(place, tool):
    setup = Setup(place, "compose.lan.yaml", tool)
    call(*setup.tool, "build", folder=setup.folder)
    setup.up()
    brought(setup)
    owned(setup, 1)
    inspect(setup)
    kill_and_start(setup)
    brought(setup)
    owned(setup, 2)


@rows(TOOLS)
def test_nothing_is_set(place, tool):
    """A new volume, whose owner is the user that is usual."""
    setup = Setup(place, "compose.lan.yaml", tool, uid=1000, gid=1000, plain=True).up()
    brought(setup)
    setup.share = podman("volume", "inspect", "-f", "{{.Mountpoint}}", f"{setup.project}_scans").strip()
    owned(setup, 1, 0o644)
    inspect(setup)


def smb(setup, command):
    return subprocess.run(["smbclient", "-p", str(setup.smb), "-U", f"scans%{SHARE_PASSWORD}", "//127.0.0.1/scans", "-c",
                           command], capture_output=True, text=True)


@rows(TOOLS)
def test_samba(place, tool):
    setup = Setup(place, "compose.samba.yaml", tool)
    call(*setup.tool, "build", "samba", folder=setup.folder)
    setup.mailbox.append(scan())
    setup.up()
    brought(setup)
    owned(setup, 2)
    inspect(setup)
    wait_for(lambda: smb(setup, "ls").returncode == 0, 20, lambda: f"{smb(setup, 'ls')}\n{setup.log('samba')}")
    listed = smb(setup, "ls").stdout
    require(all(name in listed for name in setup.files()) and ".letterchute" not in listed, listed)
    for name in setup.files():
        path = place.file("got", b"")
        require(smb(setup, f"get \"{name}\" {path}").returncode == 0, name)
        with open(path, "rb") as content:
            equal(content.read(), PDF)
    require(smb(setup, "cd .letterchute").returncode != 0, "the staging folder can be entered")
    require(smb(setup, f"del \"{min(setup.files())}\"").returncode == 0)
    equal(len(setup.files()), 1)
    podman("healthcheck", "run", setup.container("samba"))
    kill_and_start(setup)
    brought(setup)
    owned(setup, 2)
