"""The image: what builds it, how big it is, what is in it."""

import json
import os
import subprocess

from engine import ENVIRONMENT, IMAGE, Container, Health, build, call, image, is_healthy, podman, service
from harness import PDF, ROOT, equal, require, scan, send, wait_for

MOST_OCTETS = 60 * 1000 * 1000


def test_size(place):
    image()
    saved = subprocess.Popen(["podman", "save", IMAGE], env=ENVIRONMENT, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL)
    packed = subprocess.run(["gzip"], stdin=saved.stdout, capture_output=True, check=True)
    saved.wait()
    size = len(packed.stdout)
    print(f"     the image has {size / 1e6:.1f} MB, compressed")
    require(1e6 < size < MOST_OCTETS, f"{size} octets, compressed")


def test_what_it_says(place):
    image()
    (found,) = json.loads(podman("inspect", IMAGE))
    config = found["Config"]
    equal(config["Entrypoint"], ["letterchute"])
    equal(config["Cmd"], ["run"])
    equal(list(config["ExposedPorts"]), ["2525/tcp"])
    require(config.get("User", "") == "", config)
    require(not config.get("Volumes"), config)
    equal((found.get("HealthCheck") or found.get("Healthcheck") or config.get("Healthcheck"))["Test"],
          ["CMD", "letterchute", "status", "--health"])


def test_every_library_is_there(place):
    image()
    text = podman("run", "--rm", "--entrypoint", "sh", IMAGE, "-c",
                  "for p in /usr/local/bin/letterchute /usr/local/libexec/letterchute/*; do echo $p; ldd $p; done")
    require(text.count("letterchute-") >= 7 and "not found" not in text, text)


def test_needs_no_shell(place):
    """Everything goes on where the shells are gone, and whatever else could be one."""
    image()
    make = [f"FROM {IMAGE}", "RUN [\"/usr/bin/perl\", \"-e\", \"unlink qw(/bin/bash /bin/dash /bin/rbash /bin/sh)\"]",
            "RUN [\"/usr/bin/perl\", \"-e\", \"unlink glob(q(/usr/bin/perl*))\"]"]
    place.file("Dockerfile", "\n".join(make))
    build("letterchute-bare", place.folder)
    bare = "localhost/letterchute-bare"
    gone = podman("run", "--rm", "--entrypoint", "/bin/sh", bare, "-c", "true", check=False)
    require(gone.code != 0 and "no such file" in gone.lower(), gone)
    gateway = Container(place, of=bare, environment={"FREE_FLOOR": "0", "NAME": "{name}"}).start()
    require(send(gateway.port, scan()).startswith("250"), gateway.log())
    equal(place.files(os.path.join(place.folder, "share")), {"scan.pdf": PDF})
    wait_for(lambda: is_healthy(gateway.name), 10, lambda: Health(gateway.name))
    text = gateway.exec("check")
    require("FAIL" not in text and "rename" in text, text)
    gateway.kill()
    gateway.again()
    require(send(gateway.port, scan()).startswith("250"), gateway.log())
    gateway.stop()
    equal(gateway.exit_code(), 0)


def test_built_through_the_socket(place):
    """`docker build`, as the guide has it."""
    service()
    text = call("docker", "build", "--network", "host", "-t", "letterchute-docker", "-f", "contrib/docker/Dockerfile", ".",
                folder=ROOT)
    require("letterchute-docker" in text or "Successfully" in text, text)
    require("letterchute 0." in call("docker", "run", "--rm", "letterchute-docker", "--version"))

