"""Users of the share who do what users do while mails come, and Samba as it is often set up."""

import concurrent.futures
import hashlib
import os
import subprocess
import threading
import time

from bed import PASSWORD, Bed, config_of, prepare
from harness import COUNT, equal, mail, needs_root, part, pdf, require, rows, send, wait_for


@needs_root
def test_renames_deletes_locks(place):
    """Each file is delivered once and whole, whatever a client does with those before it."""
    prepare(place)
    bed = Bed(place).samba()
    contents = [pdf(2000 + seed, seed) for seed in range(COUNT or 200)]
    with place.gateway(config=config_of(place)) as gateway:
        meddler = bed.smb_program("smb_meddle.py", "inbox")
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            replies = list(pool.map(lambda content: send(gateway.port, mail(part(content, "scan.pdf"))), contents))
        (told,) = meddler.finish()
    equal({reply[:3] for reply in replies}, {"250"})
    left = [hashlib.sha256(content).hexdigest() for content in place.files().values() if content != b"mine"]
    mine = hashlib.sha256(b"mine").hexdigest()
    equal(sorted(left + [digest for digest in told["deleted"] if digest != mine]),
          sorted(hashlib.sha256(content).hexdigest() for content in contents))
    require(min(told["done"].get(what, 0) for what in ("rename", "move", "delete", "lock", "replace")) > 3, told["done"])
    print(f"     share/users: {len(contents)} deliveries, {told['done']}", flush=True)
    equal(place.staged(), [])


class Ear:
    """A client that waits for changes of a folder; what it hears: `0001` is a new name."""

    def __init__(self, bed, folder):
        command = ["stdbuf", "-oL", "smbclient", "-U", f"alice%{PASSWORD}", "//127.0.0.1/scans", "-c", f"notify {folder}"]
        self.process = subprocess.Popen([*bed.enter, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        bed.place.later(bed.end, self.process)
        self.heard = []
        threading.Thread(target=lambda: self.heard.extend(self.process.stdout), daemon=True).start()

    def wait(self, folder):
        """Until it hears of what a user makes."""
        for turn in range(200):
            os.mkdir(os.path.join(folder, f"try-{turn}"))
            time.sleep(0.1)
            if self.heard:
                break
        time.sleep(0.1)

    def lines(self):
        return [line.rstrip() for line in self.heard if "try-" not in line]


@needs_root
def test_told_at_once(place):
    """A client that waits for changes hears of each file once, by its final name, and of nothing else."""
    prepare(place)
    bed = Bed(place).samba()
    inbox, root = Ear(bed, "inbox"), Ear(bed, "/")
    inbox.wait(os.path.join(place.share, "inbox"))
    root.wait(place.share)
    with place.gateway(config=config_of(place)) as gateway:
        wanted = []
        for size in (100, 70000, 2000000):
            require(send(gateway.port, mail(part(pdf(size), f"{size}.pdf"))).startswith("250"))
            wanted.append(f"0001 {size}.pdf")
            wait_for(lambda: inbox.lines() == wanted, 5, lambda: f"heard {inbox.lines()}, not {wanted}")
    # Samba tells of the folder that it hides: at the start, when we make it and work in it for the first time
    equal({line[5:].split("\\")[0] for line in root.lines()} - {"inbox", ".letterchute"}, set())
    require(not any(".letterchute\\" in line for line in root.lines()), root.lines())


MODULES = [("a bin", "vfs objects = recycle\nrecycle:repository = .recycle\nrecycle:keeptree = yes\nrecycle:versions = yes\n"),
           ("Windows ACLs", "vfs objects = acl_xattr\n"),
           ("Macs", "vfs objects = catia fruit streams_xattr\nfruit:metadata = stream\nfruit:encoding = native\n"),
           ("all letters count", "case sensitive = yes\n")]


@needs_root
@rows([(name, name, lines) for name, lines in MODULES])
def test_modules(place, name, lines):
    """With the modules that README.md speaks of: files are seen whole, read, and deleted as without them."""
    prepare(place)
    bed = Bed(place).samba(lines)
    with place.gateway(config=config_of(place)) as gateway:
        for turn in range(3):
            require(send(gateway.port, mail(part(pdf(3000 + turn, turn), "Größe: 5.pdf"))).startswith("250"))
        *files, count = bed.smb_watcher("inbox").finish()
        equal((count["odd"], sorted(file["read"] for file in files)), ([], [3000, 3001, 3002]))
        equal({file["name"] for file in files}, {"Größe_ 5.pdf", "Größe_ 5 (2).pdf", "Größe_ 5 (3).pdf"})
        bed.smb("alice", 'cd inbox; del "Größe_ 5.pdf"')
        require(send(gateway.port, mail(part(pdf(4000, 4), "Größe: 5.pdf"))).startswith("250"))
    binned = os.path.join(place.share, ".recycle", "inbox", "Größe_ 5.pdf")
    equal(os.path.exists(binned), name == "a bin")
    equal(len(os.listdir(os.path.join(place.share, "inbox"))), 3)
    require("letterchute" not in bed.smb("alice", "ls").stdout)
