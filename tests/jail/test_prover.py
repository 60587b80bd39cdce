"""The prover, and its child that looks at one message, told to misbehave: by the domain that they are asked about, and by
the message itself. Each attempt is made by a prover of its own."""

import errno
import os
import sys

from harness import HERE, Device, equal, needs_root, require, rows, send, wait_for
from misbehave import MISBEHAVE, gateway, lay_out, names, order, results, sender, untouched
from test_attempts import ENDS, OPENING, judge
from test_ends import died
from test_roles import KNOWN, descriptors, environment, fields, filters, limits, parent

sys.path.append(os.path.join(HERE, "system"))
from signing import DIED, Names, Prover, keys, signed  # noqa: E402

# What opens a file ends by Landlock: names are looked up by some. Sockets are for those who know names, at one port of TCP.
ENDS["verifier"] = {**dict.fromkeys(OPENING, "EACCES"), "other_message": "ENOENT", "look_outside": "allowed",
                    **dict.fromkeys(["socket_inet", "socket_inet6"], "allowed"), "connect_tcp": "EACCES",
                    "connect_any": None, "descriptors": 2}
# it makes processes, and takes messages
ENDS["prover"] = {**ENDS["verifier"], "fork_library": "allowed", "control_message": None, "descriptors": None}


def tell_prover(prover, name):
    """It says so in its log, and lives, or dies of it."""
    answer = prover.ask(b"From: a@example.org\r\n\r\n", domain=sender("prover", name))
    if answer:
        prover.process.kill()
    code = prover.process.wait(20)
    with open(prover.log) as log:
        found = results(log.read(), "prover")[name]
    os.remove(prover.log)
    equal(code == -31, found == "died", f"{name}: {code} {found}")
    return found


def tell_verifier(prover, name):
    """Its end says so; the prover lives."""
    answer = prover.ask(order("verifier", name), domain="misbehave.example")
    require(answer.verdict == DIED and prover.process.poll() is None, f"{name}: {answer}")
    prover.process.kill()
    if answer.status == 31:
        return "died"
    status = answer.status >> 8
    equal(answer.status, status << 8, name)
    return "allowed" if status == 200 else status if name == "descriptors" else errno.errorcode[status]


@needs_root
@rows([("prover", "prover", tell_prover), ("verifier", "verifier", tell_verifier)])
def test_attempts(place, role, tell):
    environment, found = {"TMPDIR": lay_out(place)}, {}
    place.file("gateway.conf", "")
    for folder in ("quarantine", "spool/publishing", "spool/done", "spool/sources"):
        os.makedirs(os.path.join(place.state, folder))
    program = os.path.join(MISBEHAVE, "letterchute-prove")
    for name in names():
        found[name] = tell(Prover(place, program, environment=environment), name)
    judge(role, found)
    require(untouched(place), "something outside was changed")


def started(place):
    return gateway(place, gateway=f"dkim_keys = {keys(place)}\ndkim_resolver = none", text="[route open]\nto = open@*\n",
                   route="auth = dkim")


@needs_root
def test_child_that_dies(place):
    """Its mail is looked at once more, refused, and put aside whole; others do not notice."""
    with started(place) as one:
        message = order("verifier", "socket_netlink")
        for _ in range(3):
            reply = send(one.port, message)
            require(reply.startswith("554 5.6.0"), reply)
            equal((one.last()["reason"], one.last()["text"]), ("crash", "the prover died of signal 31"))
            require(send(one.port, order("open", "x"), to=["open@x"]).startswith("250"))
            require(send(one.port, signed()).startswith("250"), one.log())
        (entry,) = place.quarantine()
        with open(os.path.join(place.state, "quarantine", entry, "message.eml"), "rb") as kept:
            equal(kept.read(), message)
        equal(died(one, "prover"), 0, one.log())


@needs_root
def test_who_dies_of_a_message_leaves_no_traces(place):
    """Another process takes the place of one whose child was brought down: it has other addresses."""
    with started(place) as one:
        def provers():
            return [pid for pid, name in one.children() if name == "letterchute-pro"]
        before = wait_for(provers, 10, "there is none")
        send(one.port, order("verifier", "socket_netlink"))
        wait_for(lambda: len(provers()) == 1 and provers() != before, 20, "it is still there")
        require(send(one.port, signed()).startswith("250"))


@needs_root
def test_what_it_has(place):
    """The prover has the questions, and signals; who looks at a message has that, and where its answer goes. The
    configuration and the file of keys are closed."""
    names = Names(place, {"sel._domainkey.example.org": None})
    text = f"user = daemon\ndkim_resolver = {names.address}"
    with place.gateway(gateway=text, route="auth = dkim") as one:
        device = Device(one.port)
        device.envelope()
        device.say("DATA")
        device.send(signed() + b".\r\n")
        wait_for(lambda: names.asked, 20, "nobody asks for its key")
        pids = [pid for pid, name in one.children() if name == "letterchute-pro"]
        (prover,) = [pid for pid in pids if parent(pid) == one.process.pid]
        (child,) = [pid for pid in pids if parent(pid) == prover]
        found = descriptors(child)
        equal(sorted(found.values()), ["/memfd:message", "socket", "socket"])
        require(2 not in found, found)
        equal({number: what for number, what in descriptors(prover).items() if what != "socket"},
              {0: "/dev/null", 1: "/dev/null", 2: one.log_path, 6: "anon_inode:[signalfd]"})
        for pid, count in ((prover, 1), (child, 2)):
            status = fields(pid)
            equal((status["Seccomp"], status["NoNewPrivs"], status["Uid"], status["Groups"]), (["2"], ["1"], ["1"] * 4, []))
            equal(filters(pid) - filters(one.process.pid), count)
            equal(os.stat(f"/proc/{pid}/fd").st_uid, 0, "it is dumpable")
            require(environment(pid).keys() <= KNOWN, pid)
            equal(limits(pid, "core file size", "address space"),
                  {"core file size": ["0", "0"], "address space": [str(256 << 20)] * 2})
        equal(limits(child, "file size", "processes", "open files", "cpu time"),
              {"file size": ["0", "0"], "processes": ["0", "0"], "open files": ["16", "16"], "cpu time": ["10", "11"]})
        require(device.reply().startswith("451 4.4.3"))
