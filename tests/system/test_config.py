"""A bad configuration is told with file and line, and stops the start with 78."""

import os

from harness import equal, require, rows

GOOD = "[smtp lan]\nlisten = 127.0.0.1:0\n[share]\npath = share\n[route all]\n"

BAD = [
    ("unknown key", GOOD + "tpyes = pdf\n", 6), ("unknown section", GOOD + "[rout x]\n", 6),
    ("key twice", GOOD + "types = pdf\ntypes = png\n", 7), ("section twice", GOOD + "[share]\npath = x\n", 6),
    ("bad size", GOOD + "part_max = 10 MB\n", 6), ("bad time", "[gateway]\nanswer_within = x\n" + GOOD, 2),
    ("bad number", "[gateway]\ncouriers = four\n" + GOOD, 2), ("bad word", GOOD + "bad_part = drop\n", 6),
    ("bad network", GOOD + "peers = 300.1.1.1\n", 6), ("bad mode", GOOD + "mode = 9999\n", 6),
    ("bad acl", GOOD + "acl = group:rw\n", 6), ("bad type", GOOD + "types = pdff\n", 6),
    ("bad template", GOOD + "name = {sender}\n", 6), ("folder that leaves the share", GOOD + "folder = a/../../b\n", 6),
    ("absolute folder", GOOD + "folder = /etc\n", 6), ("undefined source", GOOD + "source = wan\n", 6),
    ("undefined share", GOOD + "share = archive\n", 6), ("unset variable", GOOD + "folder = ${LETTERCHUTE_NOT_SET}\n", 6),
    ("unknown user", GOOD + "owner = no-such-user-here\n", 6), ("no equals sign", GOOD + "types pdf\n", 6),
    ("quote not closed", GOOD + "folder = \"a\n", 6), ("key before a section", "types = pdf\n" + GOOD, 1),
    ("share without path", "[smtp lan]\nlisten = 127.0.0.1:0\n[share]\nmode = 0640\n[route x]\n", 3),
    ("listener called ..", "[share]\npath = share\n[route x]\n[smtp ..]\nlisten = 127.0.0.1:0\n", 4),
    ("mailbox called .", GOOD + "[imap .]\nhost = localhost\nuser = me\npassword = x\n", 6),
    ("hidden maildir", GOOD + "[maildir .in]\npath = in\n", 6), ("share called .", GOOD + "[share .]\npath = x\n", 6),
    ("route called ..", GOOD + "[route ..]\n", 6),
    ("listener without listen", "[smtp lan]\nidle = 60s\n[share]\npath = share\n[route x]\n", 1),
]


@rows(BAD)
def test_bad(place, text, line):
    path = place.file("bad.conf", text)
    for verb in ("run", "check"):
        done = place.run(verb, "-c", path)
        equal(done.returncode, 78, f"{verb}: {done.stderr.decode()}")
        message = done.stderr.decode()
        require(f"{path}:{line}: " in message, message)
        require("expected" in message or "did you mean" in message, message)
        equal(len(message.strip().splitlines()), 1, message)


def test_missing_file(place):
    done = place.run("run", "-c", os.path.join(place.folder, "none.conf"))
    equal(done.returncode, 78)
    require(b"none.conf" in done.stderr, done.stderr)


def test_folder_of_files(place):
    folder = place.make("conf.d")
    with open(os.path.join(folder, "10-share.conf"), "w") as out:
        out.write(f"[gateway]\nstate = ../state\n[share]\npath = {place.share}\nfree_floor = 0\n")
    with open(os.path.join(folder, "20-route.conf"), "w") as out:
        out.write("[smtp lan]\nlisten = 127.0.0.1:0\n[route all]\n")
    with place.gateway(config=folder) as gateway:
        require(gateway.port)
    with open(os.path.join(folder, "20-route.conf"), "a") as out:
        out.write("nonsense = 1\n")
    done = place.run("check", "-c", folder)
    equal(done.returncode, 78)
    require(b"20-route.conf:4:" in done.stderr, done.stderr)


def test_relative_paths_and_variables(place):
    os.environ["LETTERCHUTE_TEST_FOLDER"] = "from the environment"
    path = place.file("rel.conf", "[gateway]\nstate = state\n[smtp lan]\nlisten = 127.0.0.1:0\n[share]\npath = share\n"
                      "[route all]\nfolder = ${LETTERCHUTE_TEST_FOLDER}/${LETTERCHUTE_TEST_NONE:-default}\n")
    done = place.run("check", "-c", path)
    equal(done.returncode, 0, done.stdout.decode() + done.stderr.decode())
    require(os.path.isdir(place.state))
