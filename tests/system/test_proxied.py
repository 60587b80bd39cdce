"""A proxy or a router between the gateway and its devices: all of them have one address, and the owner is told."""

import json
import os
import subprocess
import time

from harness import Device, Wire, equal, needs_root, require, run, scan, wait_for


class Container:
    """A network namespace whose default route leads to us, as that of a container leads to its engine."""

    def __init__(self, place):
        number = time.monotonic_ns()
        net = f"10.{200 + number % 50}.{number // 50 % 250}"
        self.router, self.other, self.inside = f"{net}.1", f"{net}.3", f"{net}.2"
        wire = Wire(place, [f"{self.router}/24", f"{self.other}/24"], f"{self.inside}/24")
        self.wrapper = wire.inside
        run(*self.wrapper, "ip", "route", "add", "default", "via", self.router)


def knock(container, gateway, source):
    device = Device(gateway.port, host=container.inside, source=(source, 0))
    greeting = device.greeting
    reply = device.deliver(scan()) if greeting.startswith("220") else greeting
    device.quit()
    return reply


def warnings(gateway):
    return [line for line in gateway.log().splitlines() if line.startswith("proxied ")]


def setting(place, container, peers):
    """A listener on all addresses, since those of the namespace are not ours."""
    return place.gateway(listen="0.0.0.0:0", smtp=peers, wrapper=container.wrapper)


@needs_root
def test_all_have_the_address_of_the_router(place):
    container = Container(place)
    with setting(place, container, "peers = private") as gateway:
        for count in range(5):
            require(knock(container, gateway, container.router).startswith("250"))
            wait_for(lambda: len(warnings(gateway)) == (count >= 2), 2, f"after {count + 1} connections")
        (warning,) = warnings(gateway)
        require(container.router in warning and "`peers`" in warning and "remedy" in warning, warning)


@needs_root
def test_others_have_their_own(place):
    container = Container(place)
    with setting(place, container, "peers = private") as gateway:
        require(knock(container, gateway, container.router).startswith("250"))
        require(knock(container, gateway, container.other).startswith("250"))
        for _ in range(4):
            require(knock(container, gateway, container.router).startswith("250"))
        equal(warnings(gateway), [])


@needs_root
def test_turned_away_all_the_same(place):
    """Who allowed his devices, and sees none of them, is told why."""
    container = Container(place)
    with setting(place, container, "peers = 192.168.77.0/24") as gateway:
        for _ in range(3):
            require(knock(container, gateway, container.router).startswith("554 5.7.1"))
        wait_for(lambda: len(warnings(gateway)) == 1, 2)


@needs_root
def test_nobody_else_is_allowed(place):
    """Who has seen the one address and allowed it is told at the start."""
    container = Container(place)
    with setting(place, container, f"peers = {container.router}") as gateway:
        wait_for(lambda: len(warnings(gateway)) == 1, 2)
        require(container.router not in warnings(gateway)[0] and "`peers`" in warnings(gateway)[0])


@needs_root
def test_check_tells(place):
    container = Container(place)
    contained = os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv") or "container" in os.environ
    for peers, marked, told in (("peers = private", False, contained), ("peers = private", True, 1), ("peers = {0}", False, 1),
                                ("peers = {0}, 10.1.1.1", False, contained), ("peers = 192.168.77.0/24", True, 0)):
        gateway = setting(place, container, peers.format(container.router))
        mark = ("env", "container=podman") if marked else ()
        done = subprocess.run([*container.wrapper, *mark, place.program, "check", "--offline", "--json", "-c",
                               gateway.arguments[gateway.arguments.index("-c") + 1]], capture_output=True)
        found = [one for one in map(json.loads, done.stdout.splitlines()) if "router" in one["text"]]
        equal(len(found), told, f"{peers} {marked} {done.stdout} {done.stderr}")
        require(not told or found[0]["ok"] and container.router in found[0]["text"] and found[0]["remedy"], found)
