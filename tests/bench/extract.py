#!/usr/bin/env python3
"""How fast a large mail is taken apart, beside GMime, ripmime, munpack and cp, in one run.

usage: extract.py LETTERCHUTE GMIME-PROGRAM [MEGABYTES] [ROUNDS]

All work in memory (/dev/shm), all write their output; the tools take turns, and the best round of each counts. Prints
decoded MB/s and ratios. cp copies the encoded file: what no tool can beat by much. Ends with 1 if we are not faster than
GMime."""

import base64
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time


def make_mail(path, octets):
    block = random.Random(1).randbytes(57 * 18000)
    text = base64.encodebytes(block)
    with open(path, "wb") as out:
        out.write(b"From: scanner@example.org\nTo: scans@example.org\nSubject: Scan\nMIME-Version: 1.0\n"
                  b"Content-Type: multipart/mixed; boundary=\"b\"\n\n--b\nContent-Type: text/plain\n\nscan\n\n--b\n"
                  b"Content-Type: application/pdf; name=\"scan.pdf\"\nContent-Transfer-Encoding: base64\n"
                  b"Content-Disposition: attachment; filename=\"scan.pdf\"\n\n")
        for _ in range(max(1, octets // len(block))):
            out.write(text)
        out.write(b"\n--b--\n")
    return max(1, octets // len(block)) * len(block)


def main():
    letterchute, gmime = sys.argv[1:3]
    megabytes = int(sys.argv[3]) if len(sys.argv) > 3 else 100
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 5
    base = tempfile.mkdtemp(prefix="letterchute-bench-", dir="/dev/shm")
    mail, out = os.path.join(base, "mail.eml"), os.path.join(base, "out")
    try:
        decoded = make_mail(mail, megabytes << 20)
        tools = {
            "letterchute": [letterchute, "extract", "--to", out, mail],
            "gmime": [gmime, out, mail],
            "ripmime": ["ripmime", "-i", mail, "-d", out],
            "munpack": ["munpack", "-f", "-q", "-C", out, mail],
            "cp": ["cp", mail, out],
        }
        best = {}
        for _ in range(rounds):
            for name, command in tools.items():
                os.mkdir(out)
                started = time.monotonic()
                done = subprocess.run(command, capture_output=True)
                took = time.monotonic() - started
                sizes = [os.path.getsize(os.path.join(out, f)) for f in os.listdir(out)]
                shutil.rmtree(out)
                if done.returncode or (name != "cp" and decoded not in sizes):
                    sys.exit(f"{name}: {done.returncode} {done.stderr.decode()[:300]} {sizes} {decoded}")
                best[name] = min(took, best.get(name, took))
        print(f"a mail with one attachment of {decoded / 1e6:.0f} MB, best of {rounds}:")
        for name, took in best.items():
            print(f"  {name:12} {decoded / 1e6 / took:7.0f} MB/s   letterchute is {took / best['letterchute']:5.2f} x")
        sys.exit(best["gmime"] < best["letterchute"])
    finally:
        shutil.rmtree(base, ignore_errors=True)


main()
