"""The image: what builds it, how big it is, what is in it."""

import json
import subprocess

from engine import ENVIRONMENT, IMAGE, build, call, image, podman, service
from harness import ROOT, equal, require

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
    """Everything goes on where the shells are gone."""
    image()
    make = ["FROM localhost/letterchute", "RUN [\"/bin/sh\", \"-c\", \"rm -f /bin/bash /bin/dash /bin/sh\"]"]
    place.file("Dockerfile", "\n".join(make))
    build("letterchute-bare", place.folder)
    share = place.make("bare", 0o777)
    text = podman("run", "--rm", "--user", "1000:1000", "-e", "FREE_FLOOR=0", "-v", f"{share}:/share",
                  "localhost/letterchute-bare", "check")
    require("FAIL" not in text and "rename" in text, text)


def test_built_through_the_socket(place):
    """`docker build`, as the guide has it."""
    service()
    text = call("docker", "build", "--network", "host", "-t", "letterchute-docker", "-f", "contrib/docker/Dockerfile", ".",
                folder=ROOT)
    require("letterchute-docker" in text or "Successfully" in text, text)
    require("letterchute 0." in call("docker", "run", "--rm", "letterchute-docker", "--version"))

