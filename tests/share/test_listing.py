"""Clients that list the folder over SMB and NFS all the time, while mails are delivered: every file that is seen is whole
the first time, and no other name is ever seen."""

import hashlib
import os
import re
import threading
import time

from bed import Bed, config_of, deliver_many, prepare, size_in
from harness import COUNT, equal, needs_root, pdf, require

DELIVERIES = COUNT or 500


def tell(name, count, delivered):
    print(f"     share/{name}: {delivered} deliveries, {count['listings']} listings, {count['sightings']} sightings", flush=True)


def look_wrong(lines, wanted):
    """What was not as it has to be, of one watcher; `wanted`: name -> content."""
    *files, count = lines
    wrong = list(count["odd"])
    for file in files:
        name, size = file["name"], size_in(file["name"])
        if size is None:
            wrong.append(f"{name}: no name of ours")
        elif (file["listed"], file["read"]) != (size, size):
            wrong.append(f"{name}: {size} octets were listed as {file['listed']}, and read as {file['read']}")
        elif file["sha256"] != hashlib.sha256(wanted[name]).hexdigest():
            wrong.append(f"{name}: other octets")
    return wrong, {file["name"] for file in files}, count


def watch(bed, work):
    """Both watchers while `work` goes on; its result, and what each has seen."""
    watchers = {"smb": bed.smb_watcher("inbox"), "nfs": bed.nfs_watcher()}
    wanted = work()
    return wanted, {name: watcher.finish() for name, watcher in watchers.items()}


@needs_root
def test_never_half(place):
    prepare(place)
    bed = Bed(place).samba().ganesha()
    with place.gateway(config=config_of(place)) as gateway:
        wanted, seen = watch(bed, lambda: deliver_many(gateway.port, DELIVERIES))
    for name, lines in seen.items():
        wrong, names, count = look_wrong(lines, wanted)
        tell(name, count, len(wanted))
        equal(wrong, [], name)
        equal(names, set(wanted), f"{name} has seen all of them")
        require(count["listings"] > len(wanted) // 4, count)
    equal(place.staged(), [])


@needs_root
def test_would_see_half(place):
    """The test of the test: files that are written where they lie are caught by the same watchers."""
    prepare(place)
    bed = Bed(place).samba().ganesha()

    def write():
        wanted = {}
        for seed in range(8):
            content = pdf(256 << 10, seed)
            wanted[f"scan-{seed}-{len(content)}.pdf"] = content
        threads = [threading.Thread(target=write_slowly, args=(os.path.join(place.share, "inbox", name), content))
                   for name, content in wanted.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        os.mkdir(os.path.join(place.share, "inbox", ".staging"))
        return wanted
    wanted, seen = watch(bed, write)
    for name, lines in seen.items():
        wrong, _, count = look_wrong(lines, wanted)
        partial = len([line for line in wrong if "octets were listed" in line])
        print(f"     share/{name}: written in place, {partial} of {len(wanted)} files were seen half", flush=True)
        require(partial > 4, wrong)
        require(any(".staging" in line for line in wrong), wrong)


def write_slowly(path, content):
    with open(path, "wb", buffering=0) as file:
        os.fchmod(file.fileno(), 0o644)
        for at in range(0, len(content), 16 << 10):
            file.write(content[at:at + (16 << 10)])
            time.sleep(0.03)


@needs_root
def test_staging_is_closed(place):
    """By no road into our folder: not over SMB by its name, not over NFS where the share itself is exported."""
    prepare(place)
    bed = Bed(place).samba().ganesha(lambda text: text.replace("/srv/scans/inbox", "/srv/scans"))
    with place.gateway(config=config_of(place)) as gateway:
        deliver_many(gateway.port, 2)
    for commands in ("cd .letterchute", "ls .letterchute/*", "get .letterchute/id /dev/null", "mkdir .letterchute",
                     "rmdir .letterchute", "rename .letterchute away", "rename inbox .letterchute"):
        done = bed.smb("alice", commands, check=False)
        require(re.search("NT_STATUS_(OBJECT|ACCESS|NO_SUCH)", done.stdout + done.stderr), f"{commands}: {done.stdout}")
    listed = bed.smb("alice", "ls").stdout
    require("inbox" in listed and "letterchute" not in listed, listed)
    for uid, gid in ((61011, 61000), (0, 0)):
        names = bed.nfs_ls(uid=uid, gid=gid, check=False)
        inside = bed.run("nfs-ls", f"nfs://127.0.0.1/scans/.letterchute?version=4&uid={uid}&gid={gid}", check=False)
        require(inside.returncode != 0 and "id" not in inside.stdout.split(), f"{names.stdout} {inside.stdout}")
    require(os.path.exists(os.path.join(place.share, ".letterchute", "id")))
