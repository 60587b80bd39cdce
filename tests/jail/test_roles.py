"""What each role really has at run time, seen from outside."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time

from harness import BUILD, Device, children, equal, mail, needs_root, part, pdf, require, scan, send, wait_for
from misbehave import MISBEHAVE, Server
from accounts import account

COURIER, KEEPER, TEMPLATE, SMTP = "letterchute-cou", "letterchute-kee", "letterchute-ext", "letterchute-smt"
PULL, TOKEN = "letterchute-pul", "letterchute-tok"
ROLES = ("courier", "keeper", "template", "listener", "door", "session", "puller")
KNOWN = {"TZ", "JOURNAL_STREAM", "TMPDIR", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LETTERCHUTE_PARENT", "LETTERCHUTE_DEBUG"}


def fields(pid):
    with open(f"/proc/{pid}/status") as status:
        return {key: value.split() for key, value in re.findall(r"^(\w+):\t(.*)$", status.read(), re.M)}


def environment(pid):
    """Name -> value."""
    with open(f"/proc/{pid}/environ") as text:
        return dict(entry.split("=", 1) for entry in text.read().split("\0") if entry)


def parent(pid):
    return int(fields(pid)["PPid"][0])


def roles(one):
    """Role -> process ids, in a gateway with one open session."""
    found = {}
    boss = one.process.pid
    for pid, name in one.children():
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/cmdline") as line:
                words = line.read().split("\0")
            role = {COURIER: "courier", KEEPER: "keeper", TEMPLATE: "template", PULL: "puller", TOKEN: "token"}.get(name)
            if name == SMTP:
                role = "session" if parent(pid) != boss else "door" if "door" in words else "listener"
            elif name == TEMPLATE and parent(pid) in found.get("template", ()):
                role = "child"
            found.setdefault(role, []).append(pid)
    return found


@contextlib.contextmanager
def busy(place, **more):
    """A gateway with one of each role."""
    server = Server(place)
    with place.gateway(gateway="user = daemon\ncouriers = 1", text=account(place, server, "office"), **more) as one:
        require(send(one.port, scan()).startswith("250"))
        device = Device(one.port)
        wait_for(lambda: server.idling() and {role: len(pids) for role, pids in roles(one).items()} == dict.fromkeys(ROLES, 1),
                 20, lambda: f"there are {roles(one)}")
        yield one, {role: pids[0] for role, pids in roles(one).items()}, device
        device.close()


def filters(pid):
    return int(fields(pid)["Seccomp_filters"][0])


@needs_root
def test_locked_in(place):
    """Each in its filter, and in that of whom it was forked from or executed by; none may be traced or looked into."""
    with busy(place) as (one, found, _):
        before = filters(one.process.pid)
        equal({role: filters(pid) - before for role, pid in found.items()},
              {"courier": 1, "keeper": 1, "template": 2, "listener": 1, "door": 1, "session": 2, "puller": 1})
        for role, pid in found.items():
            status = fields(pid)
            equal((status["Seccomp"], status["NoNewPrivs"]), (["2"], ["1"]), role)
            equal((status["Uid"], status["Groups"]), (["1"] * 4, []), role)
            equal(os.stat(f"/proc/{pid}/fd").st_uid, 0, f"{role} is dumpable")


@needs_root
def test_environment(place):
    """What the gateway was started with is nobody's business."""
    with busy(place, environment={"DATABASE_PASSWORD": "hunter2", "LD_LIBRARY_PATH": "/nonexistent"}) as (_, found, _):
        for role, pid in found.items():
            has = environment(pid)
            require(has.keys() <= KNOWN and "hunter2" not in str(has), f"{role}: {has}")


@needs_root
def test_standard_input(place):
    """Of who talks to devices: nothing, though the boss has a terminal. Standard error is the log."""
    with busy(place) as (one, found, _):
        for role in ("listener", "door", "session", "puller"):
            equal([os.readlink(f"/proc/{found[role]}/fd/{number}") for number in (0, 1, 2)],
                  ["/dev/null", "/dev/null", one.log_path], role)


@needs_root
def test_limits_of_a_child(place):
    """Its courier is stopped, so that it can't get on."""
    with busy(place) as (one, found, _):
        device = Device(one.port)
        device.envelope()
        device.say("DATA")
        device.send(mail(part(pdf(20000000))) + b".\r\n")
        limit, readers = time.monotonic() + 10, []
        while not readers and time.monotonic() < limit:  # it does not live for long
            readers = children(found["template"])
        os.kill(found["courier"], signal.SIGSTOP)
        (child,) = readers
        try:
            wait_for(lambda: filters(child) - filters(one.process.pid) == 3, 10, "it is not locked in")
            equal(limits(child, "file size", "processes", "core file size"),
                  {"file size": ["0", "0"], "processes": ["0", "0"], "core file size": ["0", "0"]})
            hard = {name: int(most) for name, (_, most) in limits(child, "cpu time", "address space", "open files").items()}
            require(hard["cpu time"] <= 30 and hard["address space"] < 1 << 31 and hard["open files"] <= 64, hard)
        finally:
            os.kill(found["courier"], signal.SIGCONT)
        require(device.reply().startswith("250"))
        device.quit()


def descriptors(pid):
    """Number -> path, or the kind where there is none."""
    found = {}
    for number in os.listdir(f"/proc/{pid}/fd"):
        target = os.readlink(f"/proc/{pid}/fd/{number}")
        found[int(number)] = re.sub(r":\[\d+\]$| \(deleted\)$", "", target)
    return found


def limits(pid, *names):
    """Soft and hard."""
    with open(f"/proc/{pid}/limits") as text:
        found = {name.strip(): both for name, *both in re.findall(r"^Max (.{21}) (\S+) +(\S+)", text.read(), re.M)}
    return {name: found[name] for name in names}


@needs_root
def test_puller(place):
    """It has its server, couriers to ask, who knows its password, and signals; of the spool its scratch, the ledgers to
    read, and its own status. Of the folder of tokens it sees when one was changed. The configuration, with the accounts
    of others, is closed."""
    with busy(place) as (one, found, _):
        spool = os.path.join(place.state, "spool")
        equal(descriptors(found["puller"]),
              {0: "/dev/null", 1: "/dev/null", 2: one.log_path, 3: "socket", 4: "socket", 5: f"{spool}/receiving",
               6: f"{spool}/kept", 7: f"{spool}/sources/office", 8: "socket", 9: os.path.join(place.state, "tokens"),
               10: "anon_inode:[signalfd]"})
        equal(limits(found["puller"], "core file size", "address space"),
              {"core file size": ["0", "0"], "address space": [str(256 << 20)] * 2})


@needs_root
def test_token(place):
    """It has its puller, the secret of this account, and the tokens; what it executes has none of it."""
    text = account(place, Server(place), "office", password_command="/bin/sleep 20")
    with place.gateway(gateway="user = daemon", text=text, environment={"DATABASE_PASSWORD": "hunter2"}) as one:
        token = wait_for(lambda: roles(one).get("token"), 10, "nobody asks for the password")[0]
        sleeper = wait_for(lambda: [pid for pid, name in one.children() if name == "sleep"], 10, "it is not executed")[0]
        status = fields(token)
        equal((status["NoNewPrivs"], status["Uid"], status["Groups"]), (["1"], ["1"] * 4, []))
        equal(os.stat(f"/proc/{token}/fd").st_uid, 0, "it is dumpable")
        equal(descriptors(token), {0: "/dev/null", 1: "/dev/null", 2: one.log_path, 3: "/memfd:configuration", 4: "socket",
                                   5: "/memfd:secret", 6: os.path.join(place.state, "tokens"), 7: "/dev/null",
                                   8: "pipe"})
        equal(descriptors(sleeper), {0: "/dev/null", 1: "pipe", 2: one.log_path})
        equal((fields(sleeper)["NoNewPrivs"], fields(sleeper)["Uid"]), (["1"], ["1"] * 4))
        for pid, keys in ((token, KNOWN), (sleeper, {"PATH", "HOME"})):
            require(environment(pid).keys() <= keys, pid)


def test_installed_programs_do_not_misbehave(place):
    """Nothing of tests/jail is in them; and of the programs that have it none would be installed."""
    for program in ("letterchute", "letterchute-after", "letterchute-courier", "letterchute-extract", "letterchute-prove", "letterchute-pull",
                    "letterchute-smtp", "letterchute-token", "letterchute-watch"):
        with open(os.path.join(BUILD, program), "rb") as octets:
            require(b"misbehave" not in octets.read(), f"{program} can be told to misbehave")
    for program in ("letterchute-after", "letterchute-courier", "letterchute-extract", "letterchute-prove", "letterchute-pull", "letterchute-smtp",
                    "letterchute-token", "letterchute-watch"):
        with open(os.path.join(MISBEHAVE, program), "rb") as octets:
            require(b"misbehave.example" in octets.read(), f"{program} of {MISBEHAVE} can't")
    plan = subprocess.run(["meson", "introspect", "--installed", MISBEHAVE], capture_output=True, text=True, check=True)
    equal(json.loads(plan.stdout), {})
