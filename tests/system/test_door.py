"""The local door of the gateway, `gateway.sock`: whose it is when two run on one state, and who gets it next."""

import os

from harness import equal, processes, require, rows, scan, send, wait_for

# Between a socket's name and its readiness lies a moment: here it is a long one.
SLOW_TO_LISTEN = ("strace", "-D", "-qq", "-o", "/dev/null", "-e", "trace=listen", "-e", "inject=listen:delay_enter=200000")


def has_door(gateway):
    return bool(processes(gateway, "smtp door"))


def healthy(place, config):
    return place.run("status", "-c", config, "--health").stdout == b"ok\n"


def test_second_gateway(place):
    """It takes mail at once, and has the door when the first has ended, without a restart."""
    config = place.config()
    first = place.gateway(config=config).start()
    second = place.gateway(config=config).start()
    require("another gateway runs on this state" in second.log(), second.log())
    require(processes(first, "smtp door") and not processes(second, "smtp door"), "both have a door, or none has")
    require(send(second.port, scan()).startswith("250"))
    second.reload()
    first.stop()
    wait_for(lambda: "it is ours now" in second.log(), 15, second.log)
    wait_for(lambda: processes(second, "smtp door"), 5, "nobody is at the door")
    second.reload()
    wait_for(lambda: len(processes(second, "smtp door")) == 1, 10, "nobody is at the door, or two are")
    equal(place.run("status", "-c", config, "--health").stdout, b"ok\n")
    second.stop()
    equal(place.run("status", "-c", config, "--health").returncode, 69)


def test_two_start_at_once(place):
    """One has the door; when it ends the other gets it."""
    config = place.config()
    two = [place.gateway(config=config, wrapper=SLOW_TO_LISTEN, log=f"{i}.log").start(ready=False) for i in range(2)]
    for gateway in two:
        wait_for(gateway.is_ready, 20, gateway.log)
    wait_for(lambda: any(map(has_door, two)), 5, "nobody is at the door")
    equal(["another gateway runs on this state" in gateway.log() for gateway in two].count(True), 1)
    equal(list(map(has_door, two)).count(True), 1, "how many have a door")
    owner, other = sorted(two, key=has_door, reverse=True)
    owner.stop()
    wait_for(lambda: has_door(other) and healthy(place, config), 15, other.log)
    other.stop()


@rows([("as it is", False), ("after a reload", True)])
def test_removed(place, reloads):
    """Whose door it is does not depend on the path: it is made anew, by the same gateway, and nobody removes another's."""
    config, path = place.config(), os.path.join(place.state, "gateway.sock")
    first = place.gateway(config=config, log="first.log").start()
    if reloads:
        first.reload()
    os.unlink(path)
    second = place.gateway(config=config, log="second.log").start()
    require("another gateway runs on this state" in second.log(), second.log())
    wait_for(lambda: os.path.exists(path), 15, "the door is gone")
    wait_for(lambda: len(processes(first, "smtp door")) == 1, 10, "nobody is at the door, or two are")
    done = place.run("drop", "-c", config, stdin=scan())
    equal((done.returncode, len(first.lines())), (0, 1), first.log())
    first.stop()
    wait_for(lambda: has_door(second) and healthy(place, config), 15, second.log)
    second.stop()
    require(not os.path.exists(path), "the socket stays")


def test_not_ours_at_the_end(place):
    """What somebody else has put there stays."""
    path = os.path.join(place.state, "gateway.sock")
    with place.gateway():
        os.rename(path, path + ".away")
        place.file(path, "mine")
    equal(open(path).read(), "mine")


def test_killed(place):
    """A gateway that was killed has no door any more, though its processes may live a little longer than it."""
    config = place.config()
    for _ in range(3):
        gateway = place.gateway(config=config).start()
        gateway.process.kill()
        gateway.process.wait()
        with place.gateway(config=config, log="next.log") as after:
            require("another gateway" not in after.log(), after.log())
            wait_for(lambda: has_door(after) and healthy(place, config), 10, after.log)
