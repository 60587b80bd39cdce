"""What systemd makes of the unit and its kin, without a systemd that runs; tests/systemd has one."""

import os
import re
import subprocess

from harness import BUILD, ROOT, equal, needs_root, require, rows

UNITS = ("letterchute.service", "letterchute-inetd@.service")
SOCKETS = ("letterchute.socket", "letterchute-inetd.socket")


def source(name):
    with open(os.path.join(ROOT, "contrib", "systemd", name)) as text:
        return text.read()


def unit(place, name):
    """As it is installed, with a program that is there."""
    os.makedirs(os.path.join(place.folder, "bin"), exist_ok=True)
    program = place.file("bin/letterchute", "#!/bin/sh\n")
    os.chmod(program, 0o755)
    return place.file(name, source(name + ".in").replace("@bindir@", os.path.dirname(program)))


def analyze(*words):
    done = subprocess.run(["systemd-analyze", "--no-pager", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=60)
    return done.returncode, done.stdout


@rows([(name, name) for name in UNITS])
def test_exposure(place, name):
    """2.0 at most, and no more than that is hidden in a rounding."""
    status, said = analyze("security", "--offline=yes", "--threshold=20", unit(place, name))
    line = said.strip().split("\n")[-1].strip()
    print("     " + line)
    equal(status, 0, line)
    looser = place.file("looser-" + name, re.sub("^NoNewPrivileges.*", "", source(name + ".in"), flags=re.M))
    equal(analyze("security", "--offline=yes", "--threshold=20", looser)[0], 1)


def test_verify(place):
    paths = [unit(place, name) for name in UNITS] + [place.file(name, source(name)) for name in SOCKETS]
    instance = place.file("letterchute-inetd@1.service", open(paths[1]).read())
    status, said = analyze("verify", "--recursive-errors=yes", "--man=no", paths[0], instance, *paths[2:])
    equal((status, said), (0, ""))
    place.file("letterchute.socket", source("letterchute.socket").replace("ListenStream=25", "ListenStreams=25"))
    status, said = analyze("verify", "--recursive-errors=yes", "--man=no", paths[2])
    require(status and "ListenStreams" in said, said)


def may(name):
    """What a unit may do, as a list of directives."""
    directives = [line for line in source(name + ".in").split("\n") if re.match("[A-Z]", line)]
    first = next(i for i, line in enumerate(directives) if line.startswith("AmbientCapabilities="))
    return [line for line in directives[first:] if not line.startswith("WantedBy=")]


def test_a_session_may_do_what_the_gateway_may(place):
    equal(may(UNITS[1]), may(UNITS[0]))
    require(len(may(UNITS[0])) > 25)


@needs_root
def test_user_and_folders(place):
    root = place.make("root")
    for folder in ("etc", "var/lib"):
        os.makedirs(os.path.join(root, folder))
    for tool, name in (("systemd-sysusers", "letterchute.sysusers"), ("systemd-tmpfiles", "letterchute.tmpfiles")):
        more = ["--create"] if tool == "systemd-tmpfiles" else []
        done = subprocess.run([tool, f"--root={root}", *more, place.file(name, source(name))], capture_output=True, text=True)
        equal(done.returncode, 0, done.stderr)
    with open(os.path.join(root, "etc/passwd")) as users:
        (user,) = [line.split(":") for line in users if line.startswith("letterchute:")]
    require(user[6].strip().endswith("nologin"), user)
    found = os.stat(os.path.join(root, "var/lib/letterchute"))
    equal((str(found.st_uid), str(found.st_gid), oct(found.st_mode & 0o7777)), (user[2], user[3], "0o711"))


def test_install(place):
    """Unit, sockets, user and folders lie where systemd looks for them; the unit starts the program that is installed."""
    done = subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet"],
                          env={**os.environ, "DESTDIR": place.folder}, capture_output=True, text=True)
    equal(done.returncode, 0, done.stderr)
    top = os.path.join(place.folder, "usr/local")
    equal(sorted(os.listdir(f"{top}/lib/systemd/system")), sorted(UNITS + SOCKETS))
    for folder in ("sysusers.d", "tmpfiles.d"):
        equal(os.listdir(f"{top}/lib/{folder}"), ["letterchute.conf"])
    for name in UNITS:
        with open(f"{top}/lib/systemd/system/{name}") as text:
            (program,) = re.findall(r"^ExecStart=-?(\S+)", text.read(), re.M)
        require(os.access(place.folder + program, os.X_OK), program)
