"""An /etc of our own for a gateway in a mount namespace of its own, and a server for the names in it. Needs root."""

import os
import random
import shutil
import socket

from nameserver import ANSWER, TRUNCATED, NameServer, put_together, take_apart

FILES = ("passwd", "group", "nsswitch.conf", "host.conf", "gai.conf", "ld.so.cache", "localtime")
MOUNT = 'mount --bind "$1" /etc; for each in $2; do mount -t overlay -o "lowerdir=$3:$each" none "$each"; done; shift 3; exec "$@"'
A, AAAA = 1, 28
NO_SUCH_NAME = 3


class Etc:
    """`hosts` and `resolver` are what is written into the files; `libraries`: a folder of those that are to be found
    beside the system's."""

    def __init__(self, place, hosts="127.0.0.1 localhost\n", resolver="127.0.0.1", switch=None, libraries=None):
        self.folder = place.make("etc")
        for name in FILES:
            if os.path.exists(os.path.join("/etc", name)):
                shutil.copy(os.path.join("/etc", name), self.folder)
        self.write("hosts", hosts)
        self.write("resolv.conf", f"nameserver {resolver}\noptions timeout:1 attempts:1\n")
        self.write("nsswitch.conf", f"hosts: {switch or 'files dns'}\n")
        found = sorted({os.path.realpath(at) for at in (f"/usr/lib/{os.uname().machine}-linux-gnu", "/usr/lib64")
                        if libraries and os.path.isdir(at)})
        self.wrapper = ("unshare", "--mount", "sh", "-ec", MOUNT, "sh", self.folder, " ".join(found), libraries or "-")

    def write(self, name, text):
        """As editors and network managers do: another file takes the place of the old one."""
        path = os.path.join(self.folder, name)
        with open(path + ".new", "w") as out:
            out.write(text)
        os.rename(path + ".new", path)


class Names(NameServer):
    """At port 53 of an address that nobody else has. many.example and long.example have several addresses, the second is
    only told by TCP; all other names there are not."""

    def __init__(self, place):
        self.address = f"127.{random.randrange(64, 128)}.{random.randrange(256)}.{random.randrange(1, 255)}"
        self.asked = []
        super().__init__(place, self.address, 53)

    def answer(self, question, is_stream):
        name, kind, question = take_apart(question)
        self.asked.append((name, kind, is_stream))
        first = name.split(".")[0]
        if first not in ("many", "long"):
            return put_together(question, ANSWER | NO_SUCH_NAME)
        if first == "long" and not is_stream:
            return put_together(question, ANSWER | TRUNCATED)
        found = {A: [socket.inet_aton(f"127.0.0.{number}") for number in (3, 2, 1)],
                 AAAA: [socket.inet_pton(socket.AF_INET6, "::1")]}.get(kind, [])
        return put_together(question, ANSWER, [(kind, one) for one in found])
