"""What the tests of the IMAP source have in common: the section of an account, mails with numbers, the pullers."""

import contextlib
import re
import threading

from certs import certs
from client import PASSWORD, USER
from dovecot import Dovecot
from harness import EXE, equal, mail, part, pdf, processes, require, status_of, wait_for

FAST = "poll = 1s\nrefresh = 3s\n"  # what a test waits for should not take minutes
WAYS = ("implicit", "starttls", "off")


def account(place, server, name="office", tls="off", host=None, port=None, user=USER, password=None, fast=True, **keys):
    """The section [imap NAME]. Without TLS the name of the server is its address, since only loopback is served so."""
    if port is None:
        port = server.tls_port if tls == "implicit" and isinstance(server, Dovecot) else server.port
    secret = place.file(f"{name}.password", (password or PASSWORD) + "\n")
    lines = [f"[imap {name}]", f"host = {host or ('127.0.0.1' if tls == 'off' else 'localhost')}", f"port = {port}",
             f"tls = {tls}", f"user = {user}"]
    if not {"token_command", "password_command", "oauth"} & set(keys):
        lines.append(f"password_file = {secret}")
    if tls != "off" and "ca_file" not in keys and "pin_sha256" not in keys:
        lines.append(f"ca_file = {certs().ca}")
    lines += [f"{key} = {value}" for key, value in keys.items()]
    return "\n".join(lines) + "\n" + (FAST if fast else "")


def numbered(number, size=3000):
    """A mail, and the file that it becomes."""
    content = pdf(size, number)
    return mail(part(content, f"{number}.pdf"), subject=f"mail {number}"), {f"{number}.pdf": content}


def several(numbers, size=3000):
    messages, files = [], {}
    for number in numbers:
        message, its = numbered(number, size)
        messages.append(message)
        files.update(its)
    return messages, files


def refused(number):
    """A mail that no route takes."""
    return mail(part(EXE + str(number).encode(), f"{number}.exe"), subject=f"refused {number}")


def delivered(gateway, source="office", outcome="delivered"):
    """The lines of a source's messages."""
    return [line for line in gateway.lines() if line.get("source") == source and line.get("outcome") == outcome]


def same_lines(gateway, place):
    """One line for each file."""
    wait_for(lambda: len(delivered(gateway)) >= len(place.files()), 5, "a line is missing")
    equal(len(delivered(gateway)), len(place.files()), "lines of delivered mails")


def wait_files(place, files, seconds=20):
    """All of them are there, and nothing else."""
    wait_for(lambda: set(place.files()) >= set(files), seconds, lambda: difference(place.files(), files))
    same(place.files(), files)


def difference(found, wanted):
    missing, more = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    return f"on the share {len(missing)} are missing {missing[:10]}, {len(more)} too many {more[:10]}"


def same(found, wanted):
    require(set(found) == set(wanted), lambda: difference(found, wanted))
    for name, content in wanted.items():
        require(found[name] == content, f"{name} has {len(found[name])} octets that differ from the {len(content)} sent")


def is_on(place, message):
    """Its file is on the share, whole."""
    names = re.findall(rb'filename="(\d+)\.pdf"', message.octets)
    if not names:
        return None
    number = names[0].decode()
    content = place.files().get(f"{number}.pdf")
    return content is not None and content == numbered(int(number), len(content))[1][f"{number}.pdf"]


# --- pullers --------------------------------------------------------------------------------------------------------

def pullers(gateway):
    return processes(gateway, "letterchute-pull")


def address_space_limit(pid):
    """RLIMIT_AS in octets; None for none."""
    with open(f"/proc/{pid}/limits") as limits:
        value = re.search(r"^Max address space\s+(\S+)", limits.read(), re.M)[1]
    return None if value == "unlimited" else int(value)


def proportional_kb(pid):
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            return int(re.search(r"^Pss:\s+(\d+)", rollup.read(), re.M)[1])
    return 0


class Peak(threading.Thread):
    """The most memory that any puller ever had resident (kB)."""

    def __init__(self, gateway):
        super().__init__(daemon=True)
        self.gateway, self.puller, self.ending = gateway, 0, threading.Event()

    def run(self):
        while not self.ending.wait(0.2):
            self.puller = max([self.puller, *(int(status_of(pid, "VmHWM") or 0) for pid in pullers(self.gateway))])

    def end(self):
        self.ending.set()
        self.join()
