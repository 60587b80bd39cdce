"""A gateway of programs that are told to misbehave, and what became of it."""

import os
import re
import sys

from harness import HERE, ROOT, mail, part, pdf, require

sys.path.append(os.path.join(HERE, "imap"))
from hostile import Server, Trick  # noqa: E402

MISBEHAVE = os.environ.get("LETTERCHUTE_MISBEHAVE", os.path.join(ROOT, "build-misbehave"))
SECRET = b"SECRET-OF-ANOTHER"
HOUSE = "misbehave.example"


def names():
    """Of all attempts, in their order, but for one that is for a child of the template alone."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "attempts.c")) as source:
        return re.findall(r"^\tATTEMPT\((\w+)\),$", source.read(), re.M)


def sender(role, attempt):
    return f"{role}.{attempt}@{HOUSE}"


def order(role, attempt, **more):
    """A mail that tells a role to make an attempt, in its envelope or in its own first line."""
    return mail(part(pdf(200)), sender=sender(role, attempt), **more)


def told(word, more=""):
    """What a server says, once, before it gives a mail, and so to a puller that has logged in."""

    def tell(session, call):
        session.send(f"* OK {word}@{HOUSE} {more}\r\n")
        session.obey(call)
    return Trick("FETCH", tell, times=1, when=lambda call: b"BODY" in call.line)


def mailbox(place, message, word, more=""):
    """A server with one mail, and with words for who fetches it."""
    server = Server(place, told(word, more))
    server.append(message)
    return server


def lay_out(place):
    """What the attempts are made at: files that nobody's rights keep a role from, beside the share."""
    outside = place.make("outside", 0o777)
    for name in ("open", "victim", "lure"):
        os.chmod(place.file(f"outside/{name}", "of somebody else\n"), 0o666)
    os.setxattr(os.path.join(outside, "open"), "user.test", b"x")
    place.file("password", SECRET + b"\n")
    for folder, name in (("spool/kept", "victim"), ("tokens", "token")):
        os.makedirs(os.path.join(place.state, folder))
        os.chmod(place.file(f"state/{folder}/{name}", SECRET), 0o666)
    for name in ("ours", "linked"):
        os.chmod(place.file(f"share/{name}", "of the share\n"), 0o666)
    os.symlink("../outside/open", os.path.join(place.share, "way"))
    os.chmod(place.share, 0o777)
    return outside


def gateway(place, **more):
    place.program = os.path.join(MISBEHAVE, "letterchute")
    require(os.path.exists(place.program), "tests/run builds it: tests/run jail")
    outside = os.path.join(place.folder, "outside")
    if not os.path.isdir(outside):
        lay_out(place)
    return place.gateway(environment={"TMPDIR": outside}, **more)


def results(text, role):
    """attempt -> result, of a role; `died` for one that was begun and never came to an end."""
    found = {name: "died" for name in re.findall(rf"misbehave role={role} attempt=(\w+) at=it", text)}
    found.update(re.findall(rf"misbehave role={role} attempt=(\w+) result=(\S+)", text))
    found.pop("all", None)
    return found


def untouched(place):
    """Nothing outside the share was made, removed, moved or changed."""
    outside = os.path.join(place.folder, "outside")
    return sorted(os.listdir(outside)) == ["lure", "open", "victim"] and \
        os.stat(os.path.join(outside, "open")).st_mode & 0o7777 == 0o666 and \
        os.stat(os.path.join(outside, "open")).st_uid == 0 and \
        os.listxattr(os.path.join(outside, "open")) == ["user.test"] and \
        all(open(os.path.join(outside, name)).read() == "of somebody else\n" for name in ("lure", "open", "victim"))
