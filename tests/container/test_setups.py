"""The three set-ups of contrib/docker: started by their one command, a mail comes to lie on the share; killed, nothing is
lost; and nobody in them is root or has a right of root."""

import os
import subprocess
import threading

from compose import PROJECT, SHARE_PASSWORD, Setup
from engine import Health, call, is_bare, is_healthy, plain_image, podman, statuses
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


def read_only_root(setup, service="letterchute"):
    """As the kernel has it."""
    with open(f"/proc/{setup.pid(service)}/mounts") as mounts:
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


def kill_and_start(setup, service="letterchute"):
    name = setup.container(service)
    podman("kill", "-s", "KILL", name)
    podman("wait", name)
    podman("start", name)
    setup.join()


def inspect(setup):
    nobody_is_root(setup)
    read_only_root(setup)
    wait_for(lambda: is_healthy(setup.container()), 20, lambda: f"{Health(setup.container())}\n{setup.log()}")


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


SECOND = 10 ** 9


@rows(TOOLS)
def test_health(place, tool):
    """It is the compose file that asks, whatever the image says; and what is wrong can be read there."""
    setup = Setup(place, "compose.lan.yaml", tool)
    setup.edit({"image: letterchute": f"image: {plain_image()}"})
    setup.up()
    name = setup.container()
    wait_for(lambda: is_healthy(name), 20, lambda: Health(name))
    equal(Health(name).every, [30 * SECOND, 15 * SECOND, 20 * SECOND, 2])
    os.chown(setup.share, 0, 0)
    os.chmod(setup.share, 0o700)
    wait_for(lambda: Health(name).status == "unhealthy", 40, lambda: Health(name))
    said = Health(name).said
    require("/share can't be opened: Permission denied (we are user 1234; it belongs to user 0" in said and "PUID" in said, said)
    os.chown(setup.share, setup.uid, setup.gid)
    wait_for(lambda: is_healthy(name), 20, lambda: Health(name))


ONE_PROJECT = threading.Lock()


@rows(TOOLS)
def test_nothing_is_set(place, tool):
    """As the command stands there, the name of the project with it: a new volume, whose owner is the user that is usual."""
    with ONE_PROJECT:
        setup = Setup(place, "compose.lan.yaml", tool, uid=1000, gid=1000, plain=True, project=PROJECT)
        setup.down()  # of a run that was ended
        try:
            nothing_is_set(setup)
        finally:
            setup.down()


def nothing_is_set(setup):
    setup.up()
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
    put_by_smb(setup, place)
    inspect_samba(setup)
    kill_and_start(setup)
    brought(setup)
    owned(setup, 2)
    kill_and_start(setup, "samba")
    wait_for(lambda: smb(setup, "ls").returncode == 0, 20, lambda: f"{smb(setup, 'ls')}\n{setup.log('samba')}")


def put_by_smb(setup, place):
    """It is the owner of the files who made it, not root."""
    done = smb(setup, f"put {place.file('put', b'')} put.txt")
    require(done.returncode == 0, done)
    path = os.path.join(setup.share, "put.txt")
    equal((os.stat(path).st_uid, os.stat(path).st_gid), (setup.uid, setup.gid))
    os.remove(path)


# DAC_OVERRIDE, SETGID, SETUID, NET_BIND_SERVICE
SAMBAS = 1 << 1 | 1 << 6 | 1 << 7 | 1 << 10


def inspect_samba(setup):
    """It is root, with four of its rights and no way to more; and writes to the share and to what is forgotten."""
    found = statuses(setup.pid("samba"))
    require(found and all(status["Name"].startswith(("smbd", "cleanupd", "lpqd", "samba")) for status in found), found)
    for status in found:
        for name in ("CapPrm", "CapEff", "CapAmb", "CapInh", "CapBnd"):
            equal(int(status[name], 16) & ~SAMBAS, 0, status)
        equal(status["NoNewPrivs"], "1", status)
        require(int(status["Seccomp_filters"]) >= 1, status)
    read_only_root(setup, "samba")
    with open(f"/proc/{setup.pid('samba')}/mounts") as mounts:
        lines = [line.split() for line in mounts]
    lasting = {line[1] for line in lines if "rw" in line[3].split(",") and line[2] not in MADE_BY_THE_KERNEL}
    require("/share" in lasting, lines)
    # what the engine itself lays there, it knows of for every container
    require(all(at == "/share" or at.startswith("/etc/") or at == "/run/.containerenv" for at in lasting), lines)
    name = setup.container("samba")
    wait_for(lambda: is_healthy(name), 20, lambda: Health(name))


MADE_BY_THE_KERNEL = ("tmpfs", "proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2")
