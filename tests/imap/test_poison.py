"""A mail that brings its reader down is kept aside and moved, and holds up nobody."""

import json
import os
import signal
import subprocess

from accounts import account, numbered, several, wait_files
from dovecot import Dovecot
from harness import equal, needs_root, processes, status_of, wait_for

SOON = 10


@needs_root
def test_poison_blocks_nobody(place):
    """A mail that brings down its extractor twice is kept aside and moved; the others are delivered meanwhile."""
    server = Dovecot(place)
    config = place.config(account(place, server), gateway="couriers = 1")
    messages, files = several(range(4))
    with place.gateway(config=config) as gateway:
        first, its = several([90])
        server.append_all(first)
        wait_files(place, its)
        pids = processes(gateway, "letterchute-courier run") + processes(gateway, "letterchute-extract")
        tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", os.path.join(place.folder, "trace"), "-e",
                                   "trace=prlimit64,execve", "-e", "inject=prlimit64:signal=SEGV:when=2",
                                   *(word for pid in pids for word in ("-p", str(pid)))])
        wait_for(lambda: all(status_of(pid, "TracerPid") != "0" for pid in pids), 30, "the tracer does not attach")
        server.append(numbered(66)[0])
        wait_for(lambda: server.count("Refused") == 1, 30, "the poison is not moved")
        tracer.send_signal(signal.SIGTERM)
        tracer.wait(30)
        server.append_all(messages)
        wait_files(place, {**its, **files}, 30)
        wait_for(lambda: server.count() == 0, SOON, "mails stay in the mailbox")
        equal([line["reason"] for line in gateway.lines() if line["outcome"] == "refused"], ["crash"])
    equal(len(place.quarantine()), 1)
    listed = json.loads(place.run("quarantine", "list", "--json", "-c", config).stdout)
    equal((listed["source"], listed["reason"]), ("office", "crash"))
    equal(place.run("quarantine", "retry", listed["id"], "-c", config).returncode, 0)
    wait_files(place, {**its, **files, **numbered(66)[1]})
