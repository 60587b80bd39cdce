#!/usr/bin/env python3
"""smb_meddle.py USER PASSWORD FOLDER: a user of the share who renames, deletes, moves and locks what he sees, all the time.
For bed.Watcher: in the end he says the SHA-256 of what he has deleted, and how much he did of each."""

import hashlib
import json
import select
import sys

from samba import NTSTATUSError
from smb_client import connect

READ, NOT_SHARED, OPEN = 0x00120089, 0, 1
# he meets his own lock, or what is for reading only, or what is not there any more, or there already
REFUSALS = (0xC0000043, 0xC0000022, 0xC0000034, 0xC0000035)


class Meddler:
    def __init__(self, connection, folder):
        self.connection, self.folder = connection, folder
        self.deleted, self.done, self.held, self.turn = [], {}, [], 0

    def path(self, name):
        return f"{self.folder}\\{name}"

    def rename(self, name):
        self.connection.rename(self.path(name), self.path(f"mine {self.turn}.pdf"))

    def move(self, name):
        self.connection.rename(self.path(name), f"mine {self.turn}.pdf")

    def delete(self, name):
        content = self.connection.loadfile(self.path(name))
        self.connection.unlink(self.path(name))
        self.deleted.append(hashlib.sha256(content).hexdigest())

    def lock(self, name):
        """Nobody else may open it over SMB, as Windows programs do it; a few at a time."""
        self.held.append(self.connection.create(self.path(name), DesiredAccess=READ, ShareAccess=NOT_SHARED,
                                                CreateDisposition=OPEN))
        if len(self.held) > 5:
            self.connection.close(self.held.pop(0))

    def replace(self, name):
        """Puts a file of his own where one of ours may come next."""
        self.connection.savefile(self.path(f"scan ({self.turn % 50}).pdf"), b"mine")

    def meddle(self, name):
        work = (self.rename, self.lock, self.delete, self.move, self.replace)[self.turn % 5]
        self.turn += 1
        try:
            work(name)
            self.done[work.__name__] = self.done.get(work.__name__, 0) + 1
        except NTSTATUSError as error:
            if error.args[0] not in REFUSALS:
                raise
            self.done["refused"] = self.done.get("refused", 0) + 1


def main():
    user, password, folder = sys.argv[1:]
    meddler = Meddler(connect(user, password), folder)
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        for entry in meddler.connection.list(folder):
            if entry["name"].startswith("scan"):
                meddler.meddle(entry["name"])
    for handle in meddler.held:
        meddler.connection.close(handle)
    print(json.dumps({"deleted": meddler.deleted, "done": meddler.done}))


main()
