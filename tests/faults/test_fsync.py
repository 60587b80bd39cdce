"""An fsync that fails once: the answer is LATER, nobody asks the same open file again, and the next try stages anew."""

import os
import re

import faults
from harness import equal, mail, needs_root, part, pdf, processes, require, send, wait_for

TRACED = "trace=fsync,fdatasync,sync_file_range,syncfs,openat,openat2,close,dup,fcntl,renameat,renameat2,write,unlinkat"


def three(turn):
    return mail(*[part(pdf(3000 + i, f"{turn}.{i}"), f"{turn}-{i}.pdf") for i in range(3)], subject=f"s{turn}")


def courier(gateway):
    def idle():
        found = processes(gateway, "letterchute-courier run")
        return found[0] if len(found) == 1 and faults.waits_in(found[0], "epoll_wait") else None
    return wait_for(idle, 30, "no idle courier")


def traced(place, gateway, turn, message, which=None):
    """One delivery; the reply and what the courier asked of the kernel, as (call, arguments, result)."""
    path = os.path.join(place.folder, f"trace{turn}")
    words = ["-e", f"inject=fsync:error=EIO:when={which}"] if which else []
    tracer = faults.strace(path, [courier(gateway)], ["-e", TRACED, "-s", "200", *words])
    reply = send(gateway.port, message)
    courier(gateway)
    tracer.end()
    with open(path, errors="replace") as trace:
        return reply, re.findall(r"^\d+ +(\w+)\((.*)\) += (-?\d+.*)$", trace.read(), re.M)


def check_never_again(calls):
    """After the fsync that failed: none on that descriptor until it is closed, and none on that file by another one. Its path."""
    at = next(i for i, (call, _, result) in enumerate(calls) if call == "fsync" and "INJECTED" in result)
    fd, path = re.match(r"(\d+)<([^>]*)>", calls[at][1]).groups()
    is_folder = not re.search(r"/[0-9a-f]{8}\.\d+$|/publishing/.", path)
    is_open = True
    for call, arguments, _ in calls[at + 1:]:
        if call == "close" and arguments.startswith(f"{fd}<"):
            is_open = False
        synced = call in ("fsync", "fdatasync", "sync_file_range", "syncfs")
        require(not (synced and is_open and arguments.startswith(f"{fd}<")), f"{path} is synced once more after an error")
        require(not (synced and not is_folder and f"<{path}>" in arguments), f"{path} is synced by another descriptor")
        require(call not in ("renameat2", "renameat") or is_folder or os.path.basename(path) not in arguments,
                f"{path} is published, and was not synced")
    return path


@needs_root
def test_fsync_is_never_retried(place):
    with place.gateway(gateway="couriers = 1", route="folder = in/{subject}", share="owner = 1") as gateway:
        require(send(gateway.port, three("warm")).startswith("250"))
        reply, calls = traced(place, gateway, "clean", three("clean"))
        require(reply.startswith("250"), reply)
        count = sum(call == "fsync" for call, _, _ in calls)
        require(count >= 8, f"only {count} syncs")
        failed = set()
        for which in range(1, count + 1):
            message = three(which)
            reply, calls = traced(place, gateway, which, message, which)
            path = check_never_again(calls)
            failed.add(re.sub(r"[0-9a-f]{8,}", "#", os.path.relpath(path, place.folder)))
            made = [arguments for call, arguments, _ in calls if call == "openat" and "O_EXCL" in arguments]
            # only a folder that had a way of its own to be made may be made in another way
            if reply.startswith("250"):
                require(is_new_folder(path), f"{reply} although {path} was not synced")
            else:
                require(reply.startswith("45"), reply)
                after, again = traced(place, gateway, which, message)
                require(after.startswith("250"), f"the next try: {after}")
                staged = [arguments for call, arguments, _ in again if call == "openat" and "O_EXCL" in arguments]
                require(not set(staged) & set(made), "a staged file is used again")
            found = [name for name in place.files() if f"{which}-" in name and name.startswith(f"in/s{which}/")]
            equal(sorted(found), [f"in/s{which}/{which}-{i}.pdf" for i in range(3)])
    equal(place.staged(), [])
    equal(place.marks(), [])
    print(f"     faults/fsync: {count} points, {len(failed)} kinds: {' '.join(sorted(failed))}", flush=True)


def is_new_folder(path):
    """The folder was being made aside, and was then made in its place, with a sync of its own."""
    return re.search(r"\.letterchute/[0-9a-f]{16}/[0-9a-f]{16}$", path) is not None
