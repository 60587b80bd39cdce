"""Owner, group, mode and ACL as the users of the share meet them over SMB and NFS: one of the group, one whom the ACL names,
and one outside."""

import os
import re
import subprocess

from bed import ACCOUNTING, ALICE, BOB, CAROL, FAMILY, OTHERS, OWNER, Bed, config_of, prepare
from harness import PDF, equal, mail, needs_root, part, pdf, require, send


def denied(done):
    return "NT_STATUS_ACCESS_DENIED" in done.stdout + done.stderr


def state_of(path):
    found = os.stat(path)
    acl = subprocess.run(["getfacl", "-ncp", path], capture_output=True, text=True, check=True).stdout.split()
    return found.st_uid, found.st_gid, oct(found.st_mode & 0o7777), acl


def get(bed, user, path):
    """What a user reads over SMB; None: he may not."""
    target = os.path.join(bed.files, "got")
    if os.path.exists(target):
        os.unlink(target)
    done = bed.smb(user, f'get "{path}" {target}', check=False)
    if not os.path.exists(target):
        require(denied(done), done.stdout)
        return None
    with open(target, "rb") as content:
        return content.read()


@needs_root
def test_reading(place):
    """A file for family and, by its ACL, for accounting: each reads what he may, and sees whose it is."""
    prepare(place)
    bed = Bed(place).samba("valid users =\n")
    with place.gateway(config=config_of(place)) as gateway:
        require(send(gateway.port, mail(part(pdf(5000), "bill.pdf"))).startswith("250"))
    path = os.path.join(place.share, "inbox", "bill.pdf")
    uid, gid, mode, acl = state_of(path)
    equal((uid, gid, mode), (OWNER, FAMILY, "0o640"))
    require(f"group:{ACCOUNTING}:r--" in acl and "other::---" in acl, acl)
    equal({user: get(bed, user, "inbox/bill.pdf") for user in ("alice", "carol", "bob")},
          {"alice": pdf(5000), "carol": pdf(5000), "bob": None})
    require(denied(bed.smb("bob", "ls", check=False)), "bob sees names")
    shown = bed.acl("alice", "inbox/bill.pdf")
    equal({re.sub(r"^\w+:(.*\\)?", "", line) for line in shown.splitlines() if line.startswith(("OWNER:", "GROUP:", "ACL:"))},
          {"scans", "family", "scans:ALLOWED/0x0/RW", "family:ALLOWED/0x0/R", "accounting:ALLOWED/0x0/R",
           "Everyone:ALLOWED/0x0/"}, shown)
    # nobody writes to what was delivered for reading, in or out of the group
    scratch = bed.file("scratch", "other octets")
    for user in ("alice", "carol", "bob"):
        done = bed.smb(user, f"cd inbox; put {scratch} bill.pdf", check=False)
        require(denied(done), f"{user}: {done.stdout}")
    with open(path, "rb") as content:
        equal(content.read(), pdf(5000))


@needs_root
def test_only_the_family_connects(place):
    """As contrib has it: `valid users`."""
    prepare(place)
    bed = Bed(place).samba()
    equal({user: denied(bed.smb(user, "ls", check=False)) for user in ("alice", "bob", "carol")},
          {"alice": False, "bob": True, "carol": True})
    done = bed.run("smbclient", "-U", "alice%wrong", "//127.0.0.1/scans", "-c", "ls", check=False)
    require("NT_STATUS_LOGON_FAILURE" in done.stdout, done.stdout)
    done = bed.run("smbclient", "-N", "//127.0.0.1/scans", "-c", "ls", check=False)
    require("NT_STATUS_ACCESS_DENIED" in done.stdout + done.stderr, done.stdout)


@needs_root
def test_folders_of_a_route(place):
    """Those that we make are entered and written to by the group, and by nobody else; what a client makes in them is the
    group's again, and lets in whom the ACL names."""
    prepare(place)
    bed = Bed(place).samba("valid users =\n")
    with place.gateway(config=config_of(place, route="types = pdf\nfolder = inbox/bills/2026")) as gateway:
        require(send(gateway.port, mail(part(PDF, "bill.pdf"))).startswith("250"))
    for name in ("inbox/bills", "inbox/bills/2026"):
        uid, gid, mode, acl = state_of(os.path.join(place.share, name))
        equal((uid, gid, mode), (OWNER, FAMILY, "0o2770"), name)
        require(f"default:group:{FAMILY}:rwx" in acl and f"default:group:{ACCOUNTING}:r-x" in acl, acl)
    scratch = bed.file("scratch", "a note")
    bed.smb("alice", f"cd inbox/bills/2026; put {scratch} note.txt; mkdir paid; cd paid; put {scratch} note.txt; rename "
            "../bill.pdf bill.pdf")
    equal(os.path.exists(os.path.join(place.share, "inbox/bills/2026/paid/bill.pdf")), True)
    folder = state_of(os.path.join(place.share, "inbox/bills/2026/paid"))
    equal(folder[:3], (ALICE, FAMILY, "0o2770"))
    for name in ("note.txt", "paid/note.txt"):
        uid, gid, mode, acl = state_of(os.path.join(place.share, "inbox/bills/2026", name))
        equal((uid, gid), (ALICE, FAMILY), name)
        require("other::---" in acl and not int(mode, 8) & 0o111, f"{name}: {mode} {acl}")
        equal(get(bed, "carol", f"inbox/bills/2026/{name}"), b"a note", name)
        equal(get(bed, "bob", f"inbox/bills/2026/{name}"), None)
    for user in ("carol", "bob"):
        require(denied(bed.smb(user, f"cd inbox/bills/2026; put {scratch} other.txt", check=False)), user)
        require(denied(bed.smb(user, "mkdir inbox/bills/mine", check=False)), user)


@needs_root
def test_over_nfs(place):
    """A client says who it is by numbers; the server squashes root, and the numbers decide."""
    prepare(place)
    bed = Bed(place).ganesha()
    with place.gateway(config=config_of(place)) as gateway:
        require(send(gateway.port, mail(part(pdf(5000), "bill.pdf"))).startswith("250"))
    found = {}
    for name, uid, gid in (("alice", ALICE, FAMILY), ("carol", CAROL, ACCOUNTING), ("bob", BOB, OTHERS), ("root", 0, 0)):
        done = subprocess.run([*bed.enter, "nfs-cat", f"nfs://127.0.0.1/scans/bill.pdf?version=4&uid={uid}&gid={gid}"],
                              capture_output=True)
        found[name] = done.stdout if done.returncode == 0 else None
    # ganesha looks at owner, group and others alone: whom an ACL names is kept out, too
    equal(found, {"alice": pdf(5000), "carol": None, "bob": None, "root": None})
    listed = bed.nfs_ls().stdout
    require(re.search(rf"-rw-r-----.* {OWNER} +{FAMILY} +5000 bill.pdf", listed), listed)
