#!/usr/bin/env python3
"""Runs each mail of the corpus through the program: run.py [-j JOBS] [WORD]...

Delivers every */NAME.eml into an empty share of its own, compares what lies there with NAME.expect (README.md says how
that reads), and prints one line a mail, `ok` or `FAIL`; below a failure stands what differs."""

import argparse
import concurrent.futures
import glob
import hashlib
import json
import os
import re
import shlex
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import harness  # noqa: E402

# One zone for all, by rule and not by name, so that no zone files are needed. The search for leaks stops its own
# process to look at it, which a jail forbids, and would wait for that for ever.
ENVIRONMENT = {"ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1", **os.environ, "TZ": "CET-1CEST,M3.5.0,M10.5.0/3"}
NAME_MAX = 200


class Expectation:
    """NAME.expect, read."""

    def __init__(self, path):
        self.options, self.files, self.refused, self.quarantined = [], [], None, 0
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                word, _, rest = line.rstrip("\n").partition(" ")
                if word == "file":
                    self.files.append(rest)
                elif word == "refused":
                    self.refused = rest
                elif word == "quarantined":
                    self.quarantined = int(rest)
                elif word == "run":
                    self.options = shlex.split(rest)
                elif word not in ("#", ""):
                    raise ValueError(f"{path}: `{word}`, expected file, refused, quarantined, run or #")


def fits(wanted, found):
    """`-` stands for any type, size or digest, `*` (which no stored name can hold) for any part of a name. The type of
    a stored text, mail or description is not known: explain tells the types of parts only."""
    wanted, found = wanted.split(" ", 3), found.split(" ", 3)
    name = ".*".join(map(re.escape, wanted[3].split("*")))
    return all(w in ("-", f) or f == "-" for w, f in zip(wanted[:3], found)) and bool(re.fullmatch(name, found[3]))


def compare_files(wanted, found):
    """Lines that say which files are missing, and which nobody asked for."""
    extra = list(found)
    for one in wanted:
        match = next((f for f in extra if fits(one, f)), None)
        if match:
            extra.remove(match)
        else:
            yield f"missing: {one}"
    yield from (f"not expected: {one}" for one in extra)


def compare(what, found, wanted):
    if found != wanted:
        yield f"{what}: {found}, expected {wanted}"


def explain(place, options, mail_path):
    """What the program would do: its outcome, its reason, the paths and types of the files."""
    done = place.run("explain", *options, "--json", mail_path, env=ENVIRONMENT)
    harness.require(done.stdout, done.stderr.decode(errors="replace").strip())
    report = json.loads(done.stdout)
    kept = [(os.path.relpath(part["path"], place.share), part["type"]) for part in report["parts"]
            if part["decision"] == "keep" and part["path"] and report["outcome"] == "delivered"]
    refused = " ".join([report["reason"], *report["smtp"].split()[:2]]) if report["outcome"] != "delivered" else None
    return done.returncode, refused, kept


def drop(place, options, mail_path):
    """What the program does: its exit status, its reason and code, what it said."""
    with open(mail_path, "rb") as mail:
        done = place.run("drop", *options, stdin=mail.read(), env=ENVIRONMENT)
    log = done.stderr.decode(errors="replace")
    reason = re.search(r" outcome=(?:refused|later) reason=(\w+)", log)
    enhanced = re.search(r"^letterchute: (\d\.\d\.\d) ", log, re.M)
    refused = f"{reason[1]} {enhanced[1]}" if reason and enhanced else None
    return done.returncode, refused, log


def differences(place, base):
    """Everything in which the program and the expectation differ, a line each."""
    wanted = Expectation(base + ".expect")
    texts = {}
    if os.path.exists(base + ".conf"):
        with open(base + ".conf", encoding="utf-8") as text:
            texts = {"text": text.read(), "route": None}
    options = ["-c", place.config(**texts), *wanted.options]
    status = 65 if wanted.refused else 0

    explain_status, explain_refused, explained = explain(place, options, base + ".eml")
    types = dict(explained)
    drop_status, drop_refused, log = drop(place, options, base + ".eml")
    files = place.files()
    found = [f"{types.get(path, '-')} {len(content)} {hashlib.sha256(content).hexdigest()[:16]} {path}"
             for path, content in sorted(files.items())]

    yield from compare_files(wanted.files, found)
    yield from compare("exit status", drop_status, status)
    yield from compare("refused", drop_refused, wanted.refused and re.sub(r" \d{3} ", " ", wanted.refused))
    yield from compare("quarantined", len(place.quarantine()), wanted.quarantined)
    yield from compare("left in the staging folder", place.staged(), [])
    longest = max((len(name.encode()) for path in files for name in path.split("/")), default=0)
    yield from compare("octets of the longest name", max(longest, NAME_MAX), NAME_MAX)
    yield from compare("explain: exit status", explain_status, status)
    yield from compare("explain: refused", explain_refused, wanted.refused)
    yield from compare("explain: paths", sorted(path for path, _ in explained), sorted(files))
    if drop_status != status:
        yield from log.splitlines()


def run_mail(base):
    folder = tempfile.mkdtemp(prefix="letterchute-", dir=os.environ.get("LETTERCHUTE_TMP"))
    try:
        return list(differences(harness.Place(folder), base))
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-j", type=int, default=4)
    parser.add_argument("wanted", nargs="*")
    options = parser.parse_args()
    bases = sorted(os.path.splitext(path)[0] for path in glob.glob(os.path.join(glob.escape(HERE), "*", "*.eml")))
    names = {base: f"corpus/{os.path.relpath(base, HERE)}" for base in bases}
    bases = [base for base in bases if not options.wanted or any(word in names[base] for word in options.wanted)]
    failed = not bases
    with concurrent.futures.ThreadPoolExecutor(options.j) as pool:
        for base, lines in zip(bases, pool.map(run_mail, bases)):
            failed |= bool(lines)
            print("\n    ".join([f"{'FAIL' if lines else 'ok  '} {names[base]}", *lines]), flush=True)
    sys.exit(failed)


main()
