"""explain, extract and check: what they print, and that they write nothing."""

import json
import os
import time

from harness import EXE, PATIENCE, PDF, PNG, equal, mail, part, pdf, require, rows, scan, send, wait_for


def tree_of(place):
    found = []
    for at, folders, names in os.walk(place.folder):
        found.extend(os.path.join(at, name) for name in folders + names)
    return sorted((path, os.stat(path).st_mtime_ns) for path in found if not path.endswith("gateway.log"))


def explain(place, message, *options, **config):
    mail_path = place.file("mail.eml", message)
    config_path = place.config(**config)
    before = tree_of(place)
    done = place.run("explain", "-c", config_path, "--json", *options, mail_path)
    equal(tree_of(place), before, "explain writes nothing")
    return done.returncode, json.loads(done.stdout)


def test_delivered(place):
    message = mail(part(pdf(2000), "Rechnung März.pdf"), part(PNG, "logo.png", "image/png"))
    status, report = explain(place, message, route="types = pdf\nbad_part = skip\nfolder = in/{from.domain}")
    equal(status, 0)
    equal((report["outcome"], report["reason"], report["routes"]), ("delivered", None, ["scans"]))
    first, second = report["parts"]
    equal(first["path"], os.path.join(place.share, "in/example.org/Rechnung März.pdf"))
    equal((first["decision"], first["type"], first["size"]), ("keep", "pdf", 2000))
    equal((second["decision"], second["path"], second["type"]), ("skip", None, "png"))
    require(second["why"], "why")


REFUSED = [
    ("type", mail(part(EXE)), (), "type", "550 5.7.1"),
    ("recipient", scan(), ("--to", "x@y"), "route", "550 5.7.1"),
    ("nothing", mail(), (), "no_parts", "554 5.6.0"),
    ("peer", scan(), ("--peer", "198.51.100.9"), "peer", "550 5.7.1"),
]


@rows(REFUSED)
def test_refused(place, message, options, reason, smtp):
    status, report = explain(place, message, *options, route="to = scans@*\npeers = 127.0.0.0/8, 192.0.2.0/24"
                             if reason == "peer" else "to = scans@*")
    equal(status, 65)
    equal((report["outcome"], report["reason"]), ("refused", reason))
    require(report["smtp"].startswith(smtp), report["smtp"])
    require(report["text"], "text")


def test_path_is_the_one_it_gets(place):
    """The path that explain shows is where the file then lies, taken names included."""
    with place.gateway(route="name = {from.local}_{n}_{name}") as gateway:
        require(send(gateway.port, mail(part(PDF, "other.pdf"))).startswith("250"), "everything is started")
        for _ in range(3):
            wait_for(lambda: not place.marks(), 5, "the delivery before is not settled")
            time.sleep(0.5)
            status, report = explain(place, scan(), route="name = {from.local}_{n}_{name}")
            equal(status, 0)
            path = report["parts"][0]["path"]
            require(not os.path.exists(path), path)
            require(send(gateway.port, scan()).startswith("250"))
            require(os.path.exists(path), f"{path} {place.files().keys()}")


BODIES = ["none", "text", "eml", "json"]


@rows([(body, body) for body in BODIES])
def test_paths_of_several_parts(place, body):
    """Parts of one name, two routes to one folder, and what `body` stores: each is shown where it will lie."""
    open(os.path.join(place.share, "scan (2).pdf"), "w").close()
    texts = {"route": f"to = scans@*\nbody = {body}", "text": "[route other]\nto = other@*\n"}
    message = mail(part(pdf(100)), part(pdf(200)), part(pdf(300), "Scan.pdf"), to="scans@x, other@x")
    status, report = explain(place, message, **texts)
    equal(status, 0)
    shown = [(entry["path"], entry["size"]) for entry in report["parts"]]
    equal(place.run("drop", "-c", place.config(**texts), stdin=message).returncode, 0)
    files = {os.path.join(place.share, name): len(content) for name, content in place.files().items()
             if name != "scan (2).pdf"}
    equal(len(shown), 6 + (body != "none"))
    equal(sorted(path for path, _ in shown), sorted(files))
    if body != "json":  # which tells when it was written
        equal(sorted(shown), sorted(files.items()))


def test_explain_of_a_full_folder_is_quick(place):
    for number in range(2, 6000):
        open(os.path.join(place.share, f"scan ({number}).pdf"), "w").close()
    open(os.path.join(place.share, "scan.pdf"), "w").close()
    started = time.monotonic()
    _, report = explain(place, mail(part(PDF), part(PDF)))
    equal([os.path.basename(entry["path"]) for entry in report["parts"]], ["scan (6000).pdf", "scan (6001).pdf"])
    require(time.monotonic() - started < 3 * PATIENCE, "it takes too long")


def test_lists(place):
    done = place.run("explain", "--types")
    require(b"pdf" in done.stdout and b"docx" in done.stdout, done.stdout)
    done = place.run("explain", "--reasons")
    reasons = {line.split()[0] for line in done.stdout.decode().splitlines()}
    equal(reasons, set("type name size parts depth header sender peer login proof route no_parts ambiguous suspicious "
                       "crash scan share full io dns deadline spool shutdown".split()))


def test_extract(place):
    path = place.file("m.eml", mail(part(pdf(500), "../../etc/a.pdf"), part(PNG, "b.png", "image/png")))
    out = place.make("out")
    done = place.run("extract", "--json", "--to", out, path)
    equal(done.returncode, 0, done.stderr.decode())
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    equal([line["type"] for line in lines], ["text", "pdf", "png"])
    equal([bool(line.get("text_body")) for line in lines], [True, False, False])
    equal(lines[1]["name"], "../../etc/a.pdf")
    equal(lines[1]["path"], "a.pdf")
    equal(sorted(os.listdir(out)), ["a.pdf", "b.png", "part-1.txt"])
    again = place.run("extract", "--to", out, path)
    equal(again.returncode, 0)
    require("a (2).pdf" in os.listdir(out), os.listdir(out))
    listing = place.run("extract", path)
    require(b"a.pdf" in listing.stdout and b"->" not in listing.stdout, listing.stdout)


def test_extract_leaves_nothing_of_a_capped_mail(place):
    message = mail(*[part(PDF, f"{n}.pdf") for n in range(600)])
    out = place.make("out")
    done = place.run("extract", "--to", out, place.file("m.eml", message))
    equal(done.returncode, 65)
    equal(os.listdir(out), [])


USAGE = [
    ("no verb", []), ("an unknown verb", ["frobnicate"]), ("an unknown option", ["run", "--frob"]),
    ("an option of another verb", ["run", "--json"]), ("a missing mail", ["extract"]),
    ("too many operands", ["drop", "x"]), ("two configurations", ["run", "-c", "x", "--share", "y"]),
]


@rows(USAGE)
def test_usage(place, arguments):
    equal(place.run(*arguments).returncode, 64)


def test_help(place):
    for arguments in (["--help"], ["--version"], *[[verb, "--help"] for verb in
                      ("run", "drop", "smtp-session", "extract", "explain", "check", "quarantine")]):
        done = place.run(*arguments)
        equal(done.returncode, 0)
        require(done.stdout and not done.stderr, arguments)


def test_check(place):
    config = place.config()
    done = place.run("check", "-c", config, "--json")
    equal(done.returncode, 0, done.stdout.decode())
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    require(all(line["ok"] for line in lines), lines)
    require({"what", "ok", "text", "remedy"} == set(lines[0]), lines[0])
    equal(place.files(), {})
    equal(place.staged(), [])
