#!/usr/bin/env python3
"""smb_watch.py USER PASSWORD FOLDER: lists a folder over SMB in a tight loop, and reads each new file at once. For
bed.Watcher. The name `.letterchute`, and whatever else is in the root of the share, is looked for as well."""

import hashlib
import json
import select
import sys

from smb_client import connect


def read(connection, path):
    """What can be read now; None: it can't be."""
    try:
        return connection.loadfile(path)
    except Exception as error:
        return str(error)


def main():
    user, password, folder = sys.argv[1:]
    connection, sizes, listings, sightings, odd = connect(user, password), {}, 0, 0, []
    print("ready", flush=True)
    ending = False
    while not ending:  # and once more, when all has come
        ending = bool(select.select([sys.stdin], [], [], 0)[0])
        listings += 1
        for entry in connection.list(folder):
            name, size = entry["name"], entry["size"]
            sightings += 1
            if name not in sizes:
                sizes[name] = size
                content = read(connection, f"{folder}\\{name}")
                good = isinstance(content, bytes)
                print(json.dumps({"name": name, "listed": size, "read": len(content) if good else content,
                                  "sha256": hashlib.sha256(content).hexdigest() if good else ""}), flush=True)
            elif size != sizes[name]:
                odd.append(f"{name} grew from {sizes[name]} to {size}")
                sizes[name] = size
        if listings % 8 == 0 or ending:
            odd.extend(entry["name"] for entry in connection.list("") if entry["name"] != folder)
    print(json.dumps({"listings": listings, "sightings": sightings, "odd": odd}))


main()
