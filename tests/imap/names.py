"""An /etc of our own for a gateway in a mount namespace of its own, and a server for the names in it. Needs root."""

import contextlib
import os
import random
import shutil
import socket
import struct
import threading

FILES = ("passwd", "group", "nsswitch.conf", "host.conf", "gai.conf", "ld.so.cache", "localtime")
MOUNT = 'mount --bind "$1" /etc; for each in $2; do mount -t overlay -o "lowerdir=$3:$each" none "$each"; done; shift 3; exec "$@"'
A, AAAA = 1, 28
TRUNCATED, NO_SUCH_NAME = 0x8380, 0x8183


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


class Names(threading.Thread):
    """Answers by UDP and TCP at port 53 of an address that nobody else has. many.example and long.example have several
    addresses, the second is only told by TCP; all other names there are not."""

    def __init__(self, place):
        super().__init__(daemon=True)
        self.address = f"127.{random.randrange(64, 128)}.{random.randrange(256)}.{random.randrange(1, 255)}"
        self.asked = []
        self.datagrams = socket.socket(type=socket.SOCK_DGRAM)
        self.datagrams.bind((self.address, 53))
        self.listener = socket.create_server((self.address, 53))
        place.later(self.stop)
        self.start()
        threading.Thread(target=self.serve_streams, daemon=True).start()

    def stop(self):
        for one in (self.datagrams, self.listener):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                question, peer = self.datagrams.recvfrom(4096)
                if not question:
                    break
                self.datagrams.sendto(self.answer(question, False), peer)

    def serve_streams(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with connection, contextlib.suppress(OSError, struct.error):
                    while True:
                        (size,) = struct.unpack(">H", connection.recv(2))
                        answer = self.answer(connection.recv(size), True)
                        connection.sendall(struct.pack(">H", len(answer)) + answer)

    def answer(self, question, is_stream):
        at, labels = 12, []
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += question[at] + 1
        (kind,) = struct.unpack(">H", question[at + 1:at + 3])
        self.asked.append((".".join(labels), kind, is_stream))
        flags, found = 0x8180, []
        if labels[0] not in ("many", "long"):
            flags = NO_SUCH_NAME
        elif labels[0] == "long" and not is_stream:
            flags = TRUNCATED
        elif kind == A:
            found = [socket.inet_aton(f"127.0.0.{number}") for number in (3, 2, 1)]
        elif kind == AAAA:
            found = [socket.inet_pton(socket.AF_INET6, "::1")]
        return (question[:2] + struct.pack(">HHHHH", flags, 1, len(found), 0, 0) + question[12:at + 5] +
                b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(one)) + one for one in found))
