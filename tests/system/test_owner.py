"""Owner, group, mode and ACL: those of a file made in the folder, plus what the configuration says."""

import grp
import os
import pwd
import subprocess

from harness import PDF, equal, needs_root, part, mail, require, rows, scan, send

MAKERS = {
    "ext4": (["mkfs.ext4", "-q"], 32),
    "xfs": (["mkfs.xfs", "-q"], 320),
    "btrfs": (["mkfs.btrfs", "-q"], 128),
}


def disk(place, kind, at):
    os.makedirs(at, exist_ok=True)
    if kind == "tmpfs":
        return place.mount("mount", "-t", "tmpfs", "none", at, at=at)
    maker, size = MAKERS[kind]
    image = place.file(f"{kind}.img", b"")
    os.truncate(image, size << 20)
    subprocess.run([*maker, image], check=True, capture_output=True)
    return place.mount("mount", "-o", "loop", image, at, at=at)


def state_of(path):
    """Everything about a file's rights, in one comparable text."""
    found = os.stat(path)
    acl = subprocess.run(["getfacl", "-ncp", path], capture_output=True, text=True, check=True).stdout
    return f"{found.st_uid}:{found.st_gid} {found.st_mode & 0o7777:o}\n{acl.strip()}"


def reference(folder, mode=None, owner=-1, group=-1, acl=""):
    """What a program makes of the same wishes: create, setfacl, chmod, chown."""
    path = os.path.join(folder, "reference")
    umask = os.umask(0o022)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o666))
    os.umask(umask)
    if acl:
        subprocess.run(["setfacl", "-m", acl, path], check=True)
    if mode is not None:
        os.chmod(path, mode)
    if owner != -1:
        os.chown(path, owner, -1)
    if group != -1:
        os.chown(path, -1, group)
    found = state_of(path)
    os.unlink(path)
    return found


GAMES = grp.getgrnam("games").gr_gid
DAEMON = pwd.getpwnam("daemon").pw_uid
KINDS = [(kind,) for kind in ("ext4", "xfs", "btrfs", "tmpfs")]


def prepare_plain(folder):
    os.chmod(folder, 0o755)


def prepare_setgid(folder):
    os.chown(folder, 0, GAMES)
    os.chmod(folder, 0o2770)


def prepare_default_acl(folder):
    prepare_setgid(folder)
    subprocess.run(["setfacl", "-d", "-m", "u:daemon:rw,g:mail:rx,o:-", folder], check=True)


FOLDERS = {"plain": prepare_plain, "setgid": prepare_setgid, "default acl": prepare_default_acl}
WISHES = {
    "nothing": ("mode =", {}),
    "mode": ("mode = 0640", {"mode": 0o640}),
    "owner and group": ("mode = 0640\nowner = daemon\ngroup = games", {"mode": 0o640, "owner": DAEMON, "group": GAMES}),
    "acl": ("mode =\nacl = g:mail:r--, u:games:rw-", {"acl": "g:mail:r--,u:games:rw-"}),
    "acl and mode": ("mode = 0660\nacl = g:mail:r--", {"mode": 0o660, "acl": "g:mail:r--"}),
}
CASES = [(f"{kind}, {folder} folder, {wish}", kind, folder, wish) for (kind,) in KINDS for folder in FOLDERS
         for wish in WISHES]


@needs_root
@rows([(kind, kind) for (kind,) in KINDS])
def test_like_a_file_made_there(place, kind):
    """All folders and wishes on one disk, since making disks is what takes long."""
    disk(place, kind, place.share)
    os.chmod(place.share, 0o755)
    text, cases = "", []
    for folder, make in FOLDERS.items():
        name = folder.replace(" ", "-")
        path = os.path.join(place.share, name)
        os.mkdir(path)
        make(path)
        for number, (wish, (keys, expected)) in enumerate(WISHES.items()):
            to = f"{name}-{number}"
            text += f"[route {to}]\nto = {to}@x\nfolder = {name}\nname = {to}\n{keys}\n"
            cases.append((f"{folder}, {wish}", to, path, expected))
    # as root the reference file is root's: the gateway runs as root's own user here, to be comparable
    with place.gateway(text=text, route=None, gateway="user = root") as gateway:
        for label, to, path, expected in cases:
            reply = send(gateway.port, scan(), to=(f"{to}@x",))
            require(reply.startswith("250"), f"{label}: {reply} {gateway.log()}")
            equal(state_of(os.path.join(path, f"{to}.pdf")), reference(path, **expected), f"{kind}, {label}")


@needs_root
def test_run_share_gives_the_owner_of_the_folder(place):
    os.chown(place.share, DAEMON, GAMES)
    with place.gateway("--share", place.share, "--state", place.state, "--listen", "127.0.0.1:0") as gateway:
        require(send(gateway.port, scan()).startswith("250"))
    (name,) = place.files()
    found = os.stat(os.path.join(place.share, name))
    equal((found.st_uid, found.st_gid, found.st_mode & 0o7777), (DAEMON, GAMES, 0o640))


@needs_root
def test_new_folders(place):
    """Folders that we make have the owner, group and mode of the route, and pass the default ACL on."""
    prepare_default_acl(place.share)
    route = "folder = a/b\nowner = daemon\ngroup = mail\nmode = 0640"
    with place.gateway(route=route, share="folder_mode = 2750") as gateway:
        require(send(gateway.port, scan()).startswith("250"))
    mail_group = grp.getgrnam("mail").gr_gid
    for folder in ("a", "a/b"):
        path = os.path.join(place.share, folder)
        found = os.stat(path)
        equal((found.st_uid, found.st_gid, oct(found.st_mode & 0o7777)), (DAEMON, mail_group, "0o2750"), folder)
        acl = subprocess.run(["getfacl", "-cp", path], capture_output=True, text=True).stdout
        require("default:user:daemon:rw-" in acl, acl)


@needs_root
@rows([(name, name) for name in FOLDERS])
def test_new_folder_is_like_one_made_there(place, name):
    """It was made elsewhere and renamed: nothing that mkdir would have given it is missing."""
    FOLDERS[name](place.share)
    wanted = os.path.join(place.share, "reference")
    os.mkdir(wanted, 0o700)
    os.chmod(wanted, 0o2750)
    with place.gateway(route="folder = new", share="folder_mode = 2750", gateway="user = root") as gateway:
        require(send(gateway.port, scan()).startswith("250"))
    equal(state_of(os.path.join(place.share, "new")), state_of(wanted))


@needs_root
@rows([(call, call) for call in ("mkdirat", "fchmod", "fchown", "fsync", "renameat2")])
def test_no_death_leaves_a_folder_half_made(place, call):
    """Killed at each such call, then tried again: the folder has its owner and mode, or it is not there."""
    message = mail(part(PDF))
    wanted = (DAEMON, GAMES, 0o2770)
    for turn in range(1, 30):
        os.mkdir(os.path.join(place.folder, str(turn)))
        place.share, place.state = place.make(f"{turn}/share"), os.path.join(place.folder, f"{turn}/state")
        config = place.config(route="folder = x/y\nowner = daemon\ngroup = games", share="folder_mode = 2770")
        strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                  f"inject={call}:signal=KILL:when={turn}"]
        status = subprocess.run([*strace, place.program, "drop", "-c", config], input=message, capture_output=True,
                                timeout=120).returncode
        equal(place.run("drop", "-c", config, stdin=message).returncode, 0, f"{call} {turn}")
        for folder in ("x", "x/y"):
            found = os.stat(os.path.join(place.share, folder))
            equal((found.st_uid, found.st_gid, found.st_mode & 0o7777), wanted, f"{folder}, killed at {call} {turn}")
        if status == 0:
            return
    raise AssertionError(f"{call} never ends")


@needs_root
def test_setgid_bit_that_is_forbidden(place):
    """RestrictSUIDSGID= of a unit: one call fails, and whoever is to come in comes in. The warning is of that call."""
    config = place.config(route="folder = x\nowner = daemon\ngroup = games", share="folder_mode = 2770")
    modes = set()
    for turn in range(1, 6):
        subprocess.run(["rm", "-rf", os.path.join(place.share, "x")], check=True)
        strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fchmod", "-e",
                  f"inject=fchmod:error=EPERM:when={turn}"]
        done = subprocess.run([*strace, place.program, "drop", "-c", config], input=scan(), capture_output=True, timeout=60)
        equal(done.returncode, 0, done.stderr)
        found = os.stat(os.path.join(place.share, "x"))
        equal((found.st_uid, found.st_gid), (DAEMON, GAMES))
        modes.add((found.st_mode & 0o7777, b"the setgid bit can't be set" in done.stderr))
    equal(modes, {(0o2770, False), (0o770, True)})


@needs_root
def test_owner_is_final_before_it_is_visible(place):
    """A watcher that looks at the moment of the rename sees the final state."""
    import threading
    seen, ending = set(), []

    def look():
        while not ending:
            for name in os.listdir(place.share):
                if name != ".letterchute":
                    found = os.stat(os.path.join(place.share, name))
                    seen.add((found.st_uid, found.st_gid, found.st_mode & 0o7777))

    thread = threading.Thread(target=look)
    thread.start()
    with place.gateway(route="owner = daemon\ngroup = games\nmode = 0604") as gateway:
        for _ in range(30):
            require(send(gateway.port, scan()).startswith("250"))
    ending.append(True)
    thread.join()
    equal(seen, {(DAEMON, GAMES, 0o604)})


def test_owner_that_cannot_be_given(place):
    """As an ordinary user another owner is an error of the configuration, not of a delivery. To a mail server it is no
    fault of the mail."""
    config = place.config(share="owner = daemon")
    user = {}
    if os.geteuid() == 0:
        place.open_to_all()
        user = {"user": 65534, "group": 65534}
    for verb, status in (("check", 78), ("run", 78), ("once", 78), ("drop", 75)):
        done = place.run(verb, "-c", config, stdin=scan(), **user)
        equal(done.returncode, status, verb + done.stdout.decode() + done.stderr.decode())
        require(b"gateway.conf:" in done.stderr and b"owner" in done.stderr, done.stderr)
    equal(place.files(), {})
