"""SECURITY.md and README.md name the test of each sentence: they exist."""

import os
import re

from harness import HERE, ROOT, require, rows

# A folder of the tests, the file of a test there, and how it begins in it; what is no suite of tests/suite.py.
OTHERS = {"smtp": ("system/smtp_dialogue.py", r"def (test_)?{}\("), "fuzz": ("fuzz/fuzz_{}.c", ""), "unit": ("unit/test_{}.c", "")}


def exists(name):
    folder, *rest = name.split("/")
    if folder in OTHERS:
        path, begins = OTHERS[folder]
    else:
        path, begins = f"{folder}/test_{rest[0]}.py", r"def test_{}\("
    path = os.path.join(HERE, path.format(rest[0]))
    if not os.path.exists(path):
        return False
    with open(path) as text:
        return bool(re.search(begins.format(rest[-1]), text.read()))


@rows([("SECURITY.md", "SECURITY.md"), ("README.md", "README.md")])
def test_names(place, page):
    with open(os.path.join(ROOT, page)) as text:
        names = re.findall(r"`((?:jail|imap|system|systemd|smtp|unit|fuzz|race|crash|faults|power)/[a-z0-9_/…]+)`", text.read())
    require(len(names) > 20, names)
    missing = [name for name in names if not name.endswith("…") and not exists(name)]
    require(not missing, missing)
