"""No process holds a descriptor that it does not need: what is not there can't be misused by whoever takes it over."""

import os
import re
import signal
import socket
import subprocess
import time

from harness import (Device, IS_SANITIZED, children, equal, mail, needs_root, part, pdf, processes, require, scan, send, tree,
                     wait_for)


def descriptors(pid):
    """What each descriptor of a process is: number -> path, or the kind where it has none."""
    found = {}
    try:
        for number in os.listdir(f"/proc/{pid}/fd"):
            target = os.readlink(f"/proc/{pid}/fd/{number}")
            found[int(number)] = re.sub(r":.*", "", target) if not target.startswith("/") else target
    except (FileNotFoundError, ProcessLookupError):
        return None  # it ended, or closed one, meanwhile
    return found


def template(root):
    return wait_for(lambda: next((pid for pid, name in tree(root) if name.startswith("letterchute-ext")), None), 10,
                    "no extractor")


@needs_root
def test_template_of_the_gateway(place):
    with place.gateway(gateway="couriers = 1") as gateway:
        require(send(gateway.port, scan()).startswith("250"))
        equal(descriptors(template(gateway.process.pid)),
              {0: "/dev/null", 1: "/dev/null", 2: gateway.log_path, 3: "socket"})


def stopped_reader(device, root, courier):
    """The one that takes a mail apart, its courier stopped; None: it was too fast for us."""
    device.envelope()
    device.say("DATA")
    device.send(mail(part(pdf(20000000))) + b".\r\n")
    limit = time.monotonic() + 2
    while not (found := children(root)) and time.monotonic() < limit:
        pass
    os.kill(courier, signal.SIGSTOP)
    time.sleep(0.3)  # now it waits for somebody to read, or is over
    if found and descriptors(found[0]):
        return found[0]
    os.kill(courier, signal.SIGCONT)
    return None


@needs_root
def test_reader_of_a_message(place):
    """It has the message and the pipe. Its courier is stopped, so that it can't get on."""
    with place.gateway(gateway="couriers = 1") as gateway:
        require(send(gateway.port, scan()).startswith("250"))
        root = template(gateway.process.pid)
        with open(f"/proc/{root}/stat") as stat:
            courier = int(stat.read().rsplit(")", 1)[1].split()[1])
        device = Device(gateway.port)
        for _ in range(20):
            if reader := stopped_reader(device, root, courier):
                break
            require(device.reply().startswith("250"))
        require(reader, "it is never seen")
        try:
            # a sanitizer needs standard error, and the other two are nothing
            standard = {0: "/dev/null", 1: "/dev/null", 2: gateway.log_path} if IS_SANITIZED else {}
            wanted = {**standard, "message": 1, "pipe": 1}

            def has_what_it_needs():
                found = descriptors(reader)
                rest = [what for number, what in found.items() if number >= 3]
                return {**{number: what for number, what in found.items() if number < 3}, "message": sum(what.startswith("/") for what in rest),
                        "pipe": rest.count("pipe")} == wanted and len(rest) == 2
            wait_for(has_what_it_needs, 5, f"it has {descriptors(reader)}")
        finally:
            os.kill(courier, signal.SIGCONT)
        require(device.reply().startswith("250"))


@needs_root
def test_template_beside_a_connection(place):
    """Standard input and output of `smtp-session` are the device's."""
    config = place.config(route="source = session")
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen([place.program, "smtp-session", "-c", config], stdin=theirs, stdout=theirs,
                                   stderr=subprocess.DEVNULL)
    try:
        with ours.makefile("rwb", buffering=0) as device:
            def say(line):
                device.write(line + b"\r\n")
                return device.readline()
            require(device.readline().startswith(b"220"))
            for line in (b"HELO device", b"MAIL FROM:<a@b.example>", b"RCPT TO:<c@d.example>"):
                require(say(line).startswith(b"250"))
            require(say(b"DATA").startswith(b"354"))
            require(say(scan() + b".").startswith(b"250"))
            equal(descriptors(template(process.pid)),
                  {0: "/dev/null", 1: "/dev/null", 2: "/dev/null", 3: "socket"})
            for pid, name in tree(process.pid):
                if name.startswith("letterchute-cou"):
                    found = descriptors(pid)
                    equal((found[0], found[1]), ("/dev/null", "/dev/null"), "the courier")
            say(b"QUIT")
    finally:
        ours.close()
        equal(process.wait(20), 0)


@needs_root
def test_couriers_hand_nothing_on(place):
    """Each role has shut its descriptors to what it may execute."""
    with place.gateway() as gateway:
        require(send(gateway.port, scan()).startswith("250"))
        for pid, name in gateway.children():
            for number in descriptors(pid) or ():
                try:
                    with open(f"/proc/{pid}/fdinfo/{number}") as info:
                        flags = int(re.search(r"flags:\s*(\d+)", info.read()).group(1), 8)
                except (FileNotFoundError, ProcessLookupError):
                    continue  # it was closed meanwhile
                if number >= 3 and not name.startswith("letterchute-ext"):
                    require(flags & os.O_CLOEXEC, f"{name} would hand on {number}")


@needs_root
def test_kernel_without_close_range(place):
    """Linux before 5.9, and containers that refuse it: sessions get rid of their descriptors one by one."""
    strace = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=close_range", "-e", "inject=close_range:error=ENOSYS"]
    # no seccomp lets pass what strace makes of a call that it refuses
    with place.gateway(gateway="sandbox = off", wrapper=strace) as gateway:
        device = Device(gateway.port)
        listener, = processes(gateway, "letterchute-smtp listen lan")[:1]
        (session,) = wait_for(lambda: children(listener), 10, "no session")
        found = descriptors(session)
        # the gateway's own would be more: sockets that listen, the link to the keeper, where it stands
        equal({number: what for number, what in found.items() if number > 2 and what != "socket"},
              {5: os.path.join(place.state, "spool", "receiving")})
        require(sum(what == "socket" for what in found.values()) <= 2, found)
        device.quit()
        require("signal" not in gateway.log(), gateway.log())


test_kernel_without_close_range.measured = True  # no tracer bears a sanitizer's threads
