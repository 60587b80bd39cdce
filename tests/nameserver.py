"""A small server for names, on loopback; what it answers is up to who makes one."""

import contextlib
import socket
import struct
import threading

ANSWER, TRUNCATED = 0x8180, 0x200  # the flags of an answer that is whole, and what is added where it is not


class NameServer(threading.Thread):
    """Answers by UDP and TCP at one port. `answer`: the octets for a question; None: nothing is said."""

    def __init__(self, place, host, port=0):
        super().__init__(daemon=True)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host, port), family=family)
        self.port = self.listener.getsockname()[1]
        self.datagrams = socket.socket(family, socket.SOCK_DGRAM)
        self.datagrams.bind((host, self.port))
        place.later(self.stop)
        self.start()
        threading.Thread(target=self.serve_streams, daemon=True).start()

    def answer(self, question, is_stream):
        raise NotImplementedError

    def stop(self):
        for one in (self.datagrams, self.listener):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                question, peer = self.datagrams.recvfrom(4096)
                answer = self.answer(question, False) if len(question) > 12 else None
                if answer:
                    self.datagrams.sendto(answer, peer)

    def serve_streams(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with connection, contextlib.suppress(OSError, struct.error):
                    while True:
                        (size,) = struct.unpack(">H", connection.recv(2))
                        answer = self.answer(connection.recv(size), True)
                        if answer:
                            connection.sendall(struct.pack(">H", len(answer)) + answer)


def take_apart(question):
    """The name and the kind that are asked for; and the question alone, its header in front of it."""
    labels, at = [], 12
    while question[at]:
        labels.append(question[at + 1:at + 1 + question[at]].decode())
        at += 1 + question[at]
    (kind,) = struct.unpack(">H", question[at + 1:at + 3])
    return ".".join(labels), kind, question[:at + 5]


def put_together(question, flags=ANSWER, found=()):
    """`found`: kind and octets of each record."""
    return (question[:2] + struct.pack(">HHHHH", flags, 1, len(found), 0, 0) + question[12:] +
            b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(data)) + data for kind, data in found))
