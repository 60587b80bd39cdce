"""Between a puller and a Dovecot: it sees each command, and may do something before it lets it through.

Whatever way the puller comes, by TLS or not, Dovecot is asked in clear."""

import contextlib
import select
import socket
import ssl
import threading


class Relay:
    """`hook(command)` is called before a command goes on; the command without its tag, in upper case."""

    def __init__(self, place, server, tls="off", context=None, hook=None):
        self.server, self.tls, self.context, self.hook = server, tls, context, hook
        self.pairs, self.ending = [], False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()
        place.later(self.stop)

    def accept(self):
        with contextlib.suppress(OSError):
            while not self.ending:
                client, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def stop(self):
        self.ending = True
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()

    def cut(self):
        """All connections end."""
        for one in sum(self.pairs, ()):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def serve(self, client):
        with contextlib.suppress(OSError, ssl.SSLError, EOFError):
            if self.tls == "implicit":
                client = self.context.wrap_socket(client, server_side=True)
            server = socket.create_connection((self.server.address, self.server.port))
            self.pairs.append((client, server))
            self.pass_on(client, server)
        client.close()

    def pass_on(self, client, server):
        said = b""
        while True:
            if isinstance(client, ssl.SSLSocket) and client.pending():
                ready = [client]
            else:
                ready, _, _ = select.select([client, server], [], [])
            if server in ready:
                client.sendall(received(server))
            if client in ready:
                said += received(client)
                while b"\n" in said:
                    line, said = said.split(b"\n", 1)
                    words = line.split(b" ", 1)
                    command = words[-1].strip().upper()
                    if command == b"STARTTLS" and self.tls == "starttls":
                        client.sendall(words[0] + b" OK begin\r\n")
                        client = self.context.wrap_socket(client, server_side=True)
                        self.pairs.append((client, server))
                        continue
                    if self.hook:
                        self.hook(command)
                    server.sendall(line + b"\n")


def received(one):
    data = one.recv(65536)
    if not data:
        raise EOFError
    return data
