"""A set-up of contrib/docker, started from a clean clone by the command that stands in its file."""

import os
import re
import subprocess
import sys

import engine
from engine import call, podman
from harness import HERE, require, wait_for

sys.path.insert(2, os.path.join(HERE, "imap"))
from certs import certs  # noqa: E402
from client import PASSWORD, USER  # noqa: E402
from dovecot import Dovecot, free_port  # noqa: E402

SHARE_PASSWORD = "sh4re-word"
PROJECT = "letterchute"  # what the documented commands call it


class Relay:
    """Lets who is in a container reach a port of ours as if it were his own; `at`: by this number; `cert`: by TLS, which the
    port itself knows nothing of."""

    def __init__(self, place, port, at=None, cert=None):
        self.path = os.path.join(place.folder, f"relay-{port}")
        self.inside, self.listen = None, f"TCP-LISTEN:{at or port}"
        if cert:
            self.listen = f"OPENSSL-LISTEN:{at or port},cert={certs().cert(cert)},key={certs().key(cert)},verify=0"
        outside = subprocess.Popen(["socat", f"UNIX-LISTEN:{self.path},fork", f"TCP:127.0.0.1:{port}"])
        place.later(engine.end, outside)
        place.later(self.leave)
        wait_for(lambda: os.path.exists(self.path))

    def enter(self, pid):
        self.leave()
        self.inside = subprocess.Popen(["nsenter", "-t", str(pid), "-n", "socat", f"{self.listen},bind=127.0.0.1,fork,reuseaddr",
                                        f"UNIX-CONNECT:{self.path}"])

    def leave(self):
        if self.inside:
            engine.end(self.inside)
        self.inside = None


class Setup:
    """`tool`: docker-compose, which speaks to podman's socket, or podman-compose. `plain`: nothing is set but the port.
    `project`: the documented one, or one of this test alone. `mailbox`: the server is one's own business, and so is what is
    `set` for it."""

    number = 0

    def __init__(self, place, file, tool, uid=1234, gid=100, plain=False, project=None, mailbox=None, settings=None):
        engine.image()
        if tool == "docker-compose":
            engine.service()
        Setup.number += 1
        self.project = project or f"lcts{os.getpid()}x{Setup.number}"
        self.place, self.uid, self.gid = place, uid, gid
        self.folder = engine.clone(place)
        self.share = place.make("scans")
        os.chown(self.share, uid, gid)
        self.port, self.smb = free_port(), free_port()
        self.mailbox, self.relays = mailbox, []
        chosen = {"SHARE": self.share, "PUID": str(uid), "PGID": str(gid), "UMASK": "027",
                  "LISTEN": f"127.0.0.1:{self.port}", "SMB": f"127.0.0.1:{self.smb}", **(settings or {})}
        if not mailbox and "lan" not in file:
            self.mailbox = Dovecot(place)
            self.relays = [Relay(place, self.mailbox.tls_port)]
            chosen.update(IMAP_HOST="localhost", IMAP_USER=USER, IMAP_PORT=str(self.mailbox.tls_port),
                          IMAP_PIN_SHA256=certs().pin_hex("good"))
        if self.mailbox:
            self.secret("imap_password", PASSWORD)
            self.secret("samba_password", SHARE_PASSWORD)
        if plain:
            chosen = {"LISTEN": chosen["LISTEN"]}
        with open(os.path.join(self.folder, "contrib/docker/.env"), "w") as out:
            out.writelines(f"{key}={value}\n" for key, value in chosen.items())
        self.file = f"contrib/docker/{file}"
        self.tool = [tool, "-p", self.project, "-f", self.file]
        place.later(self.down)

    def secret(self, name, text):
        path = os.path.join(self.folder, "contrib/docker", name)
        with open(path, "w") as out:
            out.write(text + "\n")
        os.chown(path, self.uid, self.gid)
        os.chmod(path, 0o400)

    def documented(self):
        """The command in the file's head, as this tool and this project have it."""
        with open(os.path.join(self.folder, self.file)) as text:
            words = re.search(rf"^#     docker compose -p {PROJECT} -f (\S+) (.*)$", text.read(), re.M)
        require(words and words.group(1) == self.file, "the file does not say how it is started")
        return [*self.tool, *words.group(2).split()]

    def edit(self, changes):
        """The compose file, by hand: every text that stands there once becomes another."""
        path = os.path.join(self.folder, self.file)
        with open(path) as text:
            content = text.read()
        for before, after in changes.items():
            require(content.count(before) == 1, f"{before!r} is {content.count(before)} times in {self.file}")
            content = content.replace(before, after)
        with open(path, "w") as out:
            out.write(content)

    def add(self, text):
        """A second compose file, for what only a stand-in needs."""
        with open(os.path.join(self.folder, "contrib/docker/stand-in.yaml"), "w") as out:
            out.write(text)
        self.tool += ["-f", "contrib/docker/stand-in.yaml"]

    def up(self):
        call(*self.documented(), folder=self.folder)
        self.join()
        return self

    def join(self):
        for relay in self.relays:
            relay.enter(self.pid())

    def down(self):
        call(*self.tool, "down", "-v", folder=self.folder, check=False)
        podman("network", "rm", "-f", f"{self.project}_default", check=False)  # podman-compose leaves it

    def container(self, service="letterchute"):
        found = podman("ps", "-a", "-q", "--filter", f"label=com.docker.compose.project={self.project}", "--filter",
                       f"label=com.docker.compose.service={service}").split()
        require(len(found) == 1, f"{service}: {found}")
        return found[0]

    def pid(self, service="letterchute"):
        return int(podman("inspect", "-f", "{{.State.Pid}}", self.container(service)))

    def log(self, service="letterchute"):
        return podman("logs", self.container(service))

    def files(self):
        return {name: path for name, path in ((entry.name, entry.path) for entry in os.scandir(self.share))
                if name != ".letterchute"}
