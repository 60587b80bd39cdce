"""Kernels and containers that lack a jail: the gateway says once what is missing, or does not start; mail is delivered
whole, or stays with its sender."""

import contextlib
import os
import re
import socket
import subprocess
import sys

from harness import HERE, Device, equal, needs_root, require, rows, scan, send, wait_for
from misbehave import gateway, mailbox, order, results, sender
from accounts import account, several

KERNEL = os.path.join(HERE, "jail", "kernel.py")
EVERY_FILE = "a broken courier could open every file of this machine"

# Name, what the kernel lacks, what the one warning names.
LANDLOCK = [
    ("no Landlock in the kernel", "landlock=ENOSYS", "has no Landlock (Linux 5.13)"),
    ("Landlock not switched on", "landlock=EOPNOTSUPP", "has no Landlock (Linux 5.13)"),
    ("a container that forbids Landlock", "landlock=EPERM", "has no Landlock (Linux 5.13)"),
    ("ABI 1", "landlock=1", 'renames between folders, the right "refer" (Linux 5.19)'),
    ("ABI 2", "landlock=2", None),
    ("ABI 3", "landlock=3", None),
    ("ABI 5", "landlock=5", None),
]


def on(*words):
    return (sys.executable, KERNEL, *words, "--")


def says(text):
    """Lines about the sandbox."""
    return [line.replace('\\"', '"') for line in text.splitlines() if line.startswith("sandbox ")]


def deliver_renaming(place, one):
    """A mail for a folder: its file is renamed out of ours into another."""
    require(send(one.port, scan()).startswith("250"))
    equal(list(place.files()), ["in/a/folder/scan.pdf"])
    equal(place.staged(), [])


@needs_root
@rows(LANDLOCK)
def test_best(place, lacks, warning):
    with place.gateway(wrapper=on(lacks), route="folder = in/a/folder") as one:
        deliver_renaming(place, one)
    wanted = [] if warning is None else [warning]
    told = says(one.log())
    equal(len(told), len(wanted), told)
    require(all(warning in line and EVERY_FILE in line for line in told), told)


@needs_root
@rows(LANDLOCK)
def test_require(place, lacks, warning):
    one = place.gateway(wrapper=on(lacks), gateway="sandbox = require", route="folder = in/a/folder")
    if warning is None:
        with one:
            deliver_renaming(place, one)
        equal(says(one.log()), [])
        return
    one.start(ready=False)
    equal(one.process.wait(20), 70)
    (told,) = says(one.log())
    require(warning in told and "`sandbox = require` can't be met" in told, told)
    require("ready" not in one.log(), one.log())
    equal(place.run("check", "-c", os.path.join(place.folder, "gateway.conf")).returncode, 0, "with all of it")


@needs_root
@rows(LANDLOCK[:1] + LANDLOCK[3:4])
def test_require_of_drop(place, lacks, warning):
    """Without a gateway, too: the mail stays with its sender."""
    config = place.config(gateway="sandbox = require", route="source = drop")
    command = [*on(lacks), place.program, "drop", "-c", config]
    done = subprocess.run(command, input=scan(), capture_output=True, text=False, timeout=60)
    equal(done.returncode, 75, done.stderr)
    require(b"can't be met" in done.stderr, done.stderr)
    equal(place.files(), {})


@needs_root
def test_off(place):
    """Every line of the start says it; the extractor is locked in all the same."""
    with place.gateway(gateway="sandbox = off", text="[smtp wan]\nlisten = 127.0.0.1:0\ntls = off\n") as one:
        wait_for(lambda: one.is_ready() and len(one.ports) == 2, 10, "it is not ready")
        start = one.log().splitlines()
        require(start and all("sandbox = off" in line or "sandbox=off" in line for line in start), start)
        require(EVERY_FILE in start[0], start)
        require(send(one.port, scan()).startswith("250"))
        equal(seccomp_modes(one), {"letterchute-cou": 0, "letterchute-kee": 0, "letterchute-smt": 0, "letterchute-ext": 2})


def seccomp_modes(one):
    """Of the processes that outlive the look at them."""
    modes = {}
    for pid, name in one.children():
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/status") as status:
                modes[name] = int(re.search(r"^Seccomp:\s*(\d+)", status.read(), re.M).group(1))
    return modes


# What is open where Landlock is missing or old, and what SECURITY.md says of it.
WITHOUT = [
    ("a courier without Landlock opens what root may", "landlock=ENOSYS", "courier", ["open_shadow", "write_outside"],
     {"open_shadow": "allowed", "write_outside": "allowed"}),
    ("a courier on ABI 1 too", "landlock=1", "courier", ["open_shadow", "write_outside"],
     {"open_shadow": "allowed", "write_outside": "allowed"}),
    ("a courier without Landlock makes no socket", "landlock=ENOSYS", "courier", ["all"],
     {"socket_unix": "SYS", "execute": "SYS", "trace": "SYS", "mount_any": "SYS", "chown_path": "SYS", "give_setuid": "SYS"}),
    ("a courier on ABI 2 stays on its share", "landlock=2", "courier", ["all"],
     {"open_shadow": "EACCES", "write_outside": "EACCES", "empty_outside": "EACCES", "rename_out": "EACCES",
      "link_in": "EXDEV", "climb": "EACCES", "truncate_path": "SYS", "signal_neighbour": "allowed"}),
    ("a courier on ABI 5 can end its like", "landlock=5", "courier", ["all"],
     {"open_shadow": "EACCES", "signal_neighbour": "allowed"}),
    ("a session without Landlock has the rights of its user", "landlock=ENOSYS", "session",
     ["open_passwd", "open_shadow", "neighbour_descriptor", "socket_unix", "execute"],
     {"open_passwd": "allowed", "open_shadow": "EACCES", "neighbour_descriptor": "EACCES", "socket_unix": "died",
      "execute": "died"}),
    ("a session on ABI 1 opens nothing", "landlock=1", "session", ["open_passwd", "read_outside", "neighbour_descriptor"],
     {"open_passwd": "EACCES", "read_outside": "EACCES", "neighbour_descriptor": "EACCES"}),
    ("a template without Landlock opens nothing", "landlock=ENOSYS", "template", ["all"],
     {"open_passwd": "SYS", "socket_unix": "SYS", "execute": "SYS"}),
]


@needs_root
@rows(WITHOUT)
def test_attempts(place, lacks, role, attempts, wanted):
    with gateway(place, wrapper=on(lacks), gateway="couriers = 1") as one:
        for attempt in attempts:
            try:
                send(one.port, order(role, attempt), sender=sender(role, attempt))
            except (EOFError, ConnectionError):
                pass
        found = results(one.log(), role)
        equal({name: found.get(name) for name in wanted}, wanted)
        require(send(one.port, scan()).startswith("250"))


PULLERS = [
    ("without Landlock it reads what its user may", "landlock=ENOSYS",
     {"read_password": "allowed", "read_tokens": "allowed", "read_plans": "allowed", "write_ledger": "allowed",
      "connect_tcp": "allowed", "bind_tcp": "allowed", "open_shadow": "EACCES", "read_token": "allowed", "knock": "EAFNOSUPPORT",
      "fast_open_fresh": "died", "listen_any": "died", "execute": "died"}),
    ("on ABI 3 it connects to anybody", "landlock=3",
     {"read_password": "EACCES", "read_tokens": "EACCES", "read_token": "EACCES", "read_plans": "EACCES", "write_ledger": "EACCES",
      "remove_ledger": "EACCES", "connect_tcp": "allowed", "bind_tcp": "allowed", "listen_any": "died"}),
    ("on ABI 5 it does not", "landlock=5", {"read_password": "EACCES", "connect_tcp": "EACCES", "bind_tcp": "EACCES"}),
]


@needs_root
@rows(PULLERS)
def test_attempts_of_a_puller(place, lacks, wanted):
    """An account for each. Their mails are delivered all the same."""
    messages, files = several(range(len(wanted)))
    servers = [mailbox(place, message, f"puller.{name}") for name, message in zip(wanted, messages)]
    text = "".join(account(place, server, f"a{i}") for i, server in enumerate(servers))
    with gateway(place, wrapper=on(lacks), text=text) as one:
        wait_for(lambda: all(server.count() == 0 for server in servers), 30, "a mail waits")
        found = results(one.log(), "puller")
        equal({name: found.get(name) for name in wanted}, wanted)
        equal({name: place.files().get(name) for name in files}, files)


# What is refused to those who would lock themselves in.
SECCOMP = [("seccomp unknown", "seccomp=ENOSYS"), ("seccomp without filters", "seccomp=EINVAL"),
           ("a container that forbids seccomp", "seccomp=EPERM")]
STEPS = [("a filter", "filter=EINVAL"), ("no new privileges", "no_new_privs=EINVAL"),
         ("not dumpable", "dumpable=EINVAL"), ("death with the parent", "pdeathsig=EINVAL")]


@needs_root
@rows(SECCOMP)
def test_no_gateway_without_seccomp(place, lacks):
    one = place.gateway(wrapper=on(lacks))
    one.start(ready=False)
    equal(one.process.wait(20), 70)
    (told,) = says(one.log())
    require("has no seccomp" in told, told)
    require("ready" not in one.log(), one.log())


@needs_root
@rows(STEPS)
def test_no_role_without(place, lacks):
    """The boss may start: nobody who would read a mail does."""
    with place.gateway(wrapper=on(lacks)) as one:
        device = Device(one.port, greet=False)
        wait_for(lambda: "can't be started" in one.log() or "ended with status" in one.log(), 10, "nobody tells")
        device.socket.settimeout(1)
        try:
            equal(device.socket.recv(100), b"", "somebody greets")
        except (socket.timeout, ConnectionError):
            pass
        device.close()
    equal(place.files(), {})


@needs_root
@rows(SECCOMP + STEPS)
def test_no_extractor_without(place, lacks):
    path, out = place.file("mail.eml", scan()), place.make("out")
    done = subprocess.run([*on(lacks), place.program, "extract", "--to", out, path], capture_output=True, timeout=60)
    require(done.returncode not in (0, 65), f"{done.returncode} {done.stderr}")
    equal(os.listdir(out), [])


@needs_root
@rows(SECCOMP + STEPS)
def test_no_session_without(place, lacks):
    """As inetd runs it."""
    config = place.config(route="source = session")
    done = subprocess.run([*on(lacks), place.program, "smtp-session", "-c", config], input=b"EHLO x\r\nQUIT\r\n",
                          capture_output=True, timeout=60)
    require(done.returncode != 0 and b"220" not in done.stdout, f"{done.returncode} {done.stdout} {done.stderr}")


@needs_root
@rows(SECCOMP)
def test_drop_without_seccomp_is_for_later(place, lacks):
    """A courier of its own might go on; its extractor does not start."""
    config = place.config(route="source = drop")
    done = subprocess.run([*on(lacks), place.program, "drop", "-c", config], input=scan(), capture_output=True, timeout=60)
    equal(done.returncode, 75, done.stderr)
    equal((place.files(), place.staged(), place.quarantine()), ({}, [], []))
