#!/usr/bin/env python3
"""Runs the tests of a folder: suite.py FOLDER [-j JOBS] [--only MARK] [--without MARK] [FILE or NAME]...

Prints a line a test, `ok`, `FAIL` or `skip`, and a last line with the counts; the log of what failed is kept and shown."""

import argparse
import concurrent.futures
import glob
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402


def find_tests(folder, wanted):
    """(name, function, row) of every test, in the order of the files."""
    found = []
    for path in sorted(glob.glob(os.path.join(harness.HERE, folder, "test_*.py"))):
        module_name = os.path.splitext(os.path.basename(path))[0]
        module = importlib.import_module(module_name)
        for name in [n for n in vars(module) if n.startswith("test_")]:
            function = getattr(module, name)
            if getattr(function, "__module__", None) != module_name:
                continue
            for row in getattr(function, "rows", [None]):
                label = f"{module_name[5:]}/{name[5:]}" + (f": {row[0]}" if row else "")
                if not wanted or any(w in label or w == os.path.basename(path) for w in wanted):
                    found.append((label, function, row))
    return found


def run_test(label, function, row, base):
    """(verdict, seconds, text)"""
    if getattr(function, "needs_root", False) and not harness.IS_ROOT:
        return "skip", 0, "needs root"
    folder = tempfile.mkdtemp(prefix="letterchute-", dir=base)
    place, started, text = harness.Place(folder), time.monotonic(), ""
    try:
        function(place, *(row[1:] if row else ()))
        verdict = "ok"
    except harness.Skip as reason:
        verdict, text = "skip", str(reason)
    except BaseException:
        verdict, text = "FAIL", traceback.format_exc() + logs(place)
    place.close()
    shutil.rmtree(folder, ignore_errors=True)
    return verdict, time.monotonic() - started, text


def logs(place):
    text = ""
    for gateway in place.gateways:
        if os.path.exists(gateway.log_path):
            text += f"--- {gateway.log_path}\n" + gateway.log()[-6000:]
    return text


def main():
    # who runs us in the background may have it ignored, and what we start inherits that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("-j", type=int, default=2)
    parser.add_argument("--only")
    parser.add_argument("--without")
    parser.add_argument("wanted", nargs="*")
    options = parser.parse_intermixed_args()
    base = os.environ.get("LETTERCHUTE_TMP") or tempfile.gettempdir()
    sys.path.insert(1, os.path.join(harness.HERE, options.folder))
    tests = [test for test in find_tests(options.folder, options.wanted)
             if (not options.only or getattr(test[1], options.only, False)) and
             not (options.without and getattr(test[1], options.without, False))]
    alone = [t for t in tests if getattr(t[1], "alone", False)]
    together = [t for t in tests if not getattr(t[1], "alone", False)]
    together.sort(key=lambda test: not getattr(test[1], "slow", False))  # those that mostly wait, first
    counts = {"ok": 0, "FAIL": 0, "skip": 0}

    def tell(label, result):
        verdict, seconds, text = result
        counts[verdict] += 1
        print(f"{verdict:4} {options.folder}/{label} ({seconds:.1f} s)", flush=True)
        if text:
            print("    " + text.rstrip().replace("\n", "\n    "), flush=True)

    with concurrent.futures.ThreadPoolExecutor(options.j) as pool:
        running = {pool.submit(run_test, *test, base): test[0] for test in together}
        for done in concurrent.futures.as_completed(running):
            tell(running[done], done.result())
    for test in alone:
        tell(test[0], run_test(*test, base))
    print(f"   {counts['ok']} passed, {counts['FAIL']} failed, {counts['skip']} skipped")
    sys.exit(counts["FAIL"] > 0)


main()
