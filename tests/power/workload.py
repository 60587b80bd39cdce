"""Mails that devices send while the disk is logged, and what must have become of each of them after a cut."""

import collections
import concurrent.futures
import contextlib
import dataclasses
import hashlib
import os
import random
import re
import socket
import stat
import struct
import subprocess
import time

import harness
from harness import Device, pdf

OWNER, GROUP = 1, 60  # daemon and games
GATEWAY = "user = nobody\ncouriers = 3"
SHARE = f"owner = {OWNER}\ngroup = {GROUP}\nmode = 0640\nacl = g:mail:r--\nfolder_mode = 2770"
ROUTES = "[route deep]\nto = deep@*\nfolder = {received:%Y}/{subject}\n[route flat]\ntypes = pdf\n"
DEFAULT_ACL = "u:backup:rw,g:mail:r,o:-"
SO_TIMESTAMPNS = 35
ACL, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"


# --- mails ------------------------------------------------------------------------------------------------------------

@dataclasses.dataclass
class Part:
    stem: str
    folder: str  # a pattern
    digest: bytes

    def is_path(self, path):
        return re.fullmatch(self.folder + re.escape(self.stem) + r"( \(\d+\))?\.pdf", path)


@dataclasses.dataclass
class Mail:
    """`begun` and `acknowledged` are nanoseconds of the monotonic clock, the latter when the answer had come to the
    device's kernel; None: never. One without parts is refused, and put aside whole: that is an acknowledgement too."""
    label: str
    message: bytes
    to: str
    parts: list
    hears: bool = True
    begun: int = None
    acknowledged: int = None

    def was_acknowledged(self, moment):
        return self.acknowledged is not None and self.acknowledged < moment

    def was_begun(self, moment):
        return self.begun is not None and self.begun < moment

    def is_answered(self, reply):
        return reply.startswith("250" if self.parts else "5")


def digest_of(content):
    return hashlib.sha256(content).digest()


def make_mail(label, turn, chance, to="flat", count=1, hears=True):
    contents = [pdf(chance.choice((100, 3000, 20000, 70000)) + chance.randrange(9000), f"{label} {number}")
                for number in range(count)]
    names = ["scan.pdf"] if count == 1 else [f"page {number}.pdf" for number in range(count)]
    subject = f"batch {turn}"
    folder = rf"\d{{4}}/{subject}/" if to == "deep" else ""
    parts = [harness.part(content, name) for content, name in zip(contents, names)]
    message = harness.mail(*parts, subject=subject, headers=[f"X-Label: {label}"])
    wanted = [Part(name[:-4], folder, digest_of(content)) for content, name in zip(contents, names)]
    return Mail(label, message, f"{to}@example.org", wanted, hears)


def make_suspicious(label):
    message = (f"From: scanner@example.org\r\nX-Label: {label}\r\n\r\nsee the scan\r\n--x\r\n".encode() +
               harness.part(pdf(4000, label)) + b"\r\n--x--\r\n")
    return Mail(label, message, "flat@example.org", [])


FORMS = ({"count": 1}, {"count": 3}, {"to": "deep"}, {"to": "deep", "count": 3}, {"count": 1, "hears": False})


def make_mails(devices, turns):
    """For each device its mails. All devices send to the same new folders at about the same time."""
    chance = random.Random(1)
    mails = [[make_mail(f"{device}.{turn}", turn, chance, **FORMS[(device + turn) % len(FORMS)])
              for turn in range(turns)] for device in range(devices)]
    return mails + [[make_suspicious(f"suspicious {turn}") for turn in range(turns)]]


def after_cut(one, moment):
    """The mail, as its device knows it after a cut at this moment."""
    return dataclasses.replace(one, begun=one.begun if one.was_begun(moment) else None,
                               acknowledged=one.acknowledged if one.was_acknowledged(moment) else None)


# --- devices ----------------------------------------------------------------------------------------------------------

def send_and_vanish(port, one):
    """A sender that never hears the answer."""
    device = Device(port)
    with contextlib.suppress(OSError, EOFError):
        device.envelope(to=(one.to,))
        device.say("DATA")
        device.send(one.message + b".\r\n")
    device.reset()


def moment_of(controls):
    """When the kernel received what was read. It stamps by the wall clock, which may be set at any time."""
    (stamp,) = [content for _, kind, content in controls if kind == SO_TIMESTAMPNS]
    seconds, nanoseconds = struct.unpack("qq", stamp)
    ago = time.time_ns() - seconds * 1000000000 - nanoseconds
    return time.monotonic_ns() - ago


def send_and_hear(port, one):
    """The reply, and the moment when it came, to the kernel: only from then on our side may know that it was heard."""
    device = Device(port)
    try:
        device.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        device.envelope(to=(one.to,))
        device.say("DATA")
        device.send(one.message + b".\r\n")
        reply, controls, _, _ = device.socket.recvmsg(4096, 100)
        return reply.decode(), moment_of(controls)
    finally:
        device.quit()


def send_all(port, mails):
    """One device's mails, one after the other. What went wrong."""
    troubles = []
    for one in mails:
        if one.acknowledged is not None:
            continue
        if one.begun is None:
            one.begun = time.monotonic_ns()
        if not one.hears:
            send_and_vanish(port, one)
            continue
        try:
            reply, moment = send_and_hear(port, one)
        except (OSError, EOFError, ValueError) as trouble:
            reply, moment = repr(trouble), None
        if one.is_answered(reply):
            one.acknowledged = moment
        else:
            troubles.append(f"{one.label}: {reply}")
    return troubles


def run_devices(port, devices):
    """Every device sends its mails, all devices at once. What went wrong."""
    with concurrent.futures.ThreadPoolExecutor(len(devices)) as pool:
        return sum(pool.map(lambda mails: send_all(port, mails), devices), [])


# --- what lies on the share -------------------------------------------------------------------------------------------

def attribute(path, name):
    try:
        return os.getxattr(path, name)
    except OSError:
        return b""


def rights(path):
    """Everything that the promise says about a file or folder, content apart."""
    found = os.lstat(path)
    return (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode), attribute(path, ACL).hex(),
            attribute(path, DEFAULT).hex())


def prepare_share(share):
    """A share with a default ACL; the rights that a file and a folder of ours must have, made by other programs."""
    os.makedirs(share)
    os.chmod(share, 0o755)
    subprocess.run(["setfacl", "-d", "-m", DEFAULT_ACL, share], check=True)
    path = os.path.join(share, "reference")
    with open(path, "wb"):
        pass
    subprocess.run(["setfacl", "-m", "g:mail:r--", path], check=True)
    folder = os.path.join(share, "folder")
    os.mkdir(folder)
    wanted = []
    for one, mode in ((path, 0o640), (folder, 0o2770)):
        os.chown(one, OWNER, GROUP)
        os.chmod(one, mode)
        wanted.append(rights(one))
    os.remove(path)
    os.rmdir(folder)
    return wanted


@dataclasses.dataclass
class Seen:
    """What a user of the share sees: for each content its paths, and what is wrong with them. The same of what was put
    aside."""
    paths: dict = dataclasses.field(default_factory=lambda: collections.defaultdict(list))
    partial: list = dataclasses.field(default_factory=list)
    rights: list = dataclasses.field(default_factory=list)

    def add(self, path, short, known):
        with open(path, "rb") as file:
            content = file.read()
        if digest_of(content) in known:
            self.paths[digest_of(content)].append(short)
        else:
            self.partial.append(f"{short} has {len(content)} octets of no mail")


def look_at_share(share, seen, known, wanted):
    for at, folders, names in os.walk(share):
        if at == share and ".letterchute" in folders:
            folders.remove(".letterchute")
        for name in folders + names:
            path = os.path.join(at, name)
            if (found := rights(path)) != wanted[name in folders]:
                seen.rights.append(f"{os.path.relpath(path, share)} has {found}")
        for name in names:
            path = os.path.join(at, name)
            seen.add(path, os.path.relpath(path, share), known)


def look(place, mails, wanted):
    known = {part.digest for one in mails for part in one.parts}
    suspicious = {digest_of(one.message) for one in mails if not one.parts}
    seen = Seen()
    look_at_share(place.share, seen, known, wanted)
    for name in place.quarantine():
        if name[0] != ".":
            seen.add(os.path.join(place.state, "quarantine", name, "message.eml"), name, suspicious)
    return seen


def missing(one, seen):
    if not one.parts:
        return [] if digest_of(one.message) in seen.paths else ["all of it"]
    return [part.stem for part in one.parts if not any(map(part.is_path, seen.paths.get(part.digest, ())))]


def doubled(seen):
    return [str(paths) for paths in seen.paths.values() if len(paths) > 1]
