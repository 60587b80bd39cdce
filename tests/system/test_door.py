"""The local door of the gateway, `gateway.sock`: whose it is when two run on one state, and who gets it next."""

from harness import equal, processes, require, scan, send, wait_for


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
