"""Each role, told to misbehave inside its jail, makes every attempt of tests/jail/attempts.c, and is denied each."""

import base64
import contextlib
import crypt
import errno
import fcntl
import os
import re
import socket
import subprocess

from harness import COUNT, Device, equal, needs_root, require, rows, scan, send, tree, wait_for
from misbehave import MISBEHAVE, SECRET, gateway, lay_out, mailbox, names, order, results, sender, untouched
from accounts import account, delivered, several

# What opens a file: denied by Landlock to those who may open files at all.
OPENING = """open_passwd open_shadow open_memory open_relative open_by_root open_configuration read_outside write_outside
             empty_outside make_outside make_nameless_outside follow_link climb reopen read_password read_tokens read_token read_plans
             read_marks read_statuses read_quarantine read_share write_ledger neighbour_descriptor neighbour_memory""".split()
# What those do with files that have a share.
OWN = "read_plans read_marks read_statuses read_quarantine read_share write_ledger remove_ledger".split()
MOVING = "open_openat2 make_folder_outside remove_outside rename_out rename_in link_out execute_at".split()
GIVING = "give_setuid_away give_setgid give_capabilities".split()

# How an attempt ends that does not end by SIGSYS: an errno, or `allowed` where a role needs it (SECURITY.md). None: not
# for this role.
SMTP = {**dict.fromkeys([*OPENING, *GIVING, "remove_outside", "remove_ledger", "give_setuid"], "EACCES"), "other_message": "ENOENT",
        "chmod_library": "EACCES", "look_outside": "allowed", "memory_file": "allowed"}
ENDS = {
    "child": {"other_message": "ENOENT", "descriptors": 2, "control_socket": "EBADF"},
    "template": {"other_message": "ENOENT", "descriptors": 6, "fork_library": "allowed", "control_message": None},
    "session": {**SMTP, "descriptors": 6, "control_message": None},
    "listener": {**SMTP, "fork_library": "allowed", "accept_any": "ENOTSOCK", "descriptors": None,
                 "control_message": None},
    "keys": {"control_message": None},
    "door": {"accept_any": "ENOTSOCK", "control_message": None},
    "watcher": {**dict.fromkeys([*OPENING, *GIVING, "remove_outside", "remove_ledger", "rename_out", "rename_in", "link_out",
                                 "link_in", "give_setuid", "chmod_library"], "EACCES"), "other_message": "ENOENT",
                "look_outside": "allowed", "descriptors": 12, "control_message": None},
    "courier": {**dict.fromkeys([*OPENING, *MOVING], "EACCES"), **dict.fromkeys(GIVING, "EPERM"), "link_in": "EXDEV",
                "take_capabilities": "EPERM", "signal_neighbour": "EPERM", "other_message": "ENOENT",
                "chmod_library": "allowed", "look_outside": "allowed", "fork_library": "allowed", "map_code": "allowed",
                "make_code": "allowed", "memory_file": "allowed", "descriptors": None, "control_message": None,
                **dict.fromkeys(OWN, "allowed")},
    # its server, and those who know names, need sockets; Landlock says which ports they reach. Its descriptor 3 is its
    # own connection. One is the folder of tokens: it sees by their times that somebody has signed in, and can open none
    "puller": {**SMTP, **dict.fromkeys("socket_inet socket_inet6 socket_netlink".split(), "allowed"),
               **dict.fromkeys("connect_any bind_any control_message".split()),
               **dict.fromkeys("socket_unix knock".split(), "EAFNOSUPPORT"),
               **dict.fromkeys("connect_tcp bind_tcp map_code".split(), "EACCES"), "chmod_library": "SYS",
               "descriptors": 11},
}
ENDS["keeper"] = ENDS["courier"]
# it accepts, and nothing else; its descriptors are the states of the sources too
ENDS["window"] = {"accept_any": "EINVAL", "descriptors": None, "control_message": None}
# who asks a provider, and who only reads a file that is open
ENDS["token"] = {**SMTP, **dict.fromkeys(["socket_inet", "socket_inet6", "socket_netlink"], "allowed"), "map_code": "EACCES",
                 # it may connect to anybody, and the tokens are its own
                 **dict.fromkeys(["connect_tcp", "bind_tcp", "read_tokens", "read_token"], "allowed"),
                 **dict.fromkeys(["socket_mptcp", "fast_open_fresh", "filter_socket"]), "socket_raw": "EPERM",
                 "knock": "EAFNOSUPPORT",
                 **dict.fromkeys(["connect_any", "bind_any", "control_message"], "ENOTSOCK"), "socket_unix": "EAFNOSUPPORT",
                 "fast_open": None, "rename_out": "EACCES", "rename_in": "EACCES", "descriptors": 9,
                 **dict.fromkeys(["chmod_library", "memory_file"], "SYS")}
ENDS["file"] = {}


@contextlib.contextmanager
def neighbour(one):
    """A device in the middle of a mail that is nobody else's business."""
    device = Device(one.port)
    try:
        device.envelope()
        device.say("DATA")
        device.send(b"Subject: " + SECRET + b"\r\n\r\n" + b"x" * 70 + b"\r\n" * 2000)
        wait_for(lambda: holds_memory(one), 10, "it holds no mail")
        yield
    finally:
        device.close()


def holds_memory(one):
    for pid, _ in tree(one.process.pid):
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    if "memfd:message" in os.readlink(f"/proc/{pid}/fd/{fd}"):
                        return True
    return False


# Where each attempt is a process or a gateway of its own, the short form makes one of each kind.
SHORT = "socket_inet socketpair_datagram io_uring open_passwd execute fork_library trace kill_thread map_code mount_any"


def judge(role, found, wanted=None, ends=None):
    """Every attempt was made and ended as it must. `died` is SIGSYS where nobody can hear of what."""
    wanted = {name: {**ENDS[role], **(ends or {})}.get(name, "SYS") for name in wanted or names()}
    wanted = {name: end for name, end in wanted.items() if end is not None}
    found = {name: "SYS" if end == "died" else end for name, end in found.items() if name in wanted}
    wrong = {name: (found.get(name), end) for name, end in wanted.items() if str(found.get(name)) != str(end)}
    require(not wrong and len(found) == len(wanted), f"{role}: (found, wanted): {wrong}")
    print(f"     jail/attempts/{role}: {len(wanted)} attempts")


@needs_root
def test_free(place):
    """Outside of a jail root can do it all: what is denied below is denied by the jail."""
    outside = lay_out(place)
    place.file("gateway.conf", "")
    for folder in ("quarantine", "spool/publishing", "spool/done", "spool/sources"):
        os.makedirs(os.path.join(place.state, folder))
    door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    door.bind(os.path.join(place.state, "gateway.sock"))
    door.listen()
    # what this kernel has not, and what fails for want of a socket, a process or a program before it is denied
    known = {"connect_any": "ENOTSOCK", "accept_any": "ENOTSOCK", "socket_mptcp": "EPROTONOSUPPORT", "bind_any": "ENOTSOCK", "listen_any": "ENOTSOCK", "take_descriptor": "EBADF",
             "enter_namespace": "EINVAL", "type_ahead": "ENOTTY", "control_message": "ENOTSOCK", "load_bpf": "EINVAL"}
    if subprocess.run(["unshare", "--user", "true"], capture_output=True).returncode != 0:
        known.update(clone_user="EPERM", unshare_user="EPERM")  # nobody may in a chroot
    with open(place.file("mail", SECRET), "rb") as mail, socket.create_server(("127.0.0.1", 0)) as listening:
        # where a role would have them; from numbers that are not the other's
        fds = [fcntl.fcntl(one, fcntl.F_DUPFD, 100) for one in (mail, listening)]
        neighbour = subprocess.Popen(["sleep", "120"])
        done = subprocess.run(["bash", "-c", f"exec unshare --mount \"$0\" 3<&{fds[0]} 8<&{fds[0]} 9<&{fds[1]}",
                               os.path.join(MISBEHAVE, "tests/jail/free")], env={"TMPDIR": outside},
                              pass_fds=fds, capture_output=True, text=True, timeout=120)
        neighbour.kill()
        neighbour.wait()
        for fd in fds:
            os.close(fd)
        door.close()
    found = results(done.stderr, "free")
    equal(sorted(found), sorted(names()))
    denied = {name: end for name, end in found.items()
              if end not in ("allowed", "ENOSYS", known.get(name)) and name not in ("descriptors", "count_events", "load_module")}
    require(not denied, denied)


@needs_root
def test_courier(place):
    with gateway(place) as one, neighbour(one):
        reply = send(one.port, order("courier", "all"), sender=sender("courier", "all"))
        require(reply.startswith("250"), reply)
        judge("courier", results(one.log(), "courier"))
        require(untouched(place), "something outside the share was changed")


@needs_root
def test_template(place):
    with gateway(place) as one, neighbour(one):
        reply = send(one.port, order("template", "all"))
        require(reply.startswith("250"), reply)
        judge("template", results(one.log(), "template"))


@needs_root
def test_template_of_a_verb(place):
    """Without the courier's jail around it. It is nobody then, whatever its mail says."""
    one = gateway(place)
    path, out = place.file("mail.eml", order("template", "all")), place.make("out")
    done = subprocess.run([place.program, "extract", "--to", out, path], capture_output=True, text=True, timeout=60,
                          env=one.environment)
    equal(done.returncode, 0, done.stderr)
    judge("template", results(done.stderr, "template"), ends={"clone_three": "ENOSYS"})


@needs_root
def test_keeper(place):
    """It is told at its start, by a file in the spool."""
    one = gateway(place)
    with one:
        pass
    os.chmod(place.file("state/spool/misbehave", sender("keeper", "all")), 0o666)
    with one:
        wait_for(lambda: "role=keeper attempt=all result=done" in one.log(), 60, "it is not told")
        judge("keeper", results(one.log(), "keeper"))
        require(untouched(place), "something outside the share was changed")


def end_of_child(one, attempt):
    """SYS, or the status it ended with: an errno, or 200 for `allowed`."""
    count = len(one.lines())
    reply = send(one.port, order("child", attempt))
    line = one.last(count + 1)
    died = re.fullmatch(r"the extractor died of signal (\d+)", line.get("text", ""))
    ended = re.fullmatch(r"the extractor ended with status (\d+)", line.get("text", ""))
    require(reply.startswith("554 5.6.0") and (died or ended), f"{attempt}: {reply} {line}")
    if died:
        equal(died.group(1), "31", attempt)
        return "SYS"
    status = int(ended.group(1))
    return "allowed" if status == 200 else status if attempt == "descriptors" else errno.errorcode[status]


@needs_root
def test_child(place):
    with gateway(place, gateway="couriers = 1") as one:
        judge("child", {name: end_of_child(one, name) for name in [*names(), "control_socket"]},
              [*names(), "control_socket"])
        require(send(one.port, scan()).startswith("250"))


def tell_session(one, role, attempt, port=None):
    with contextlib.suppress(EOFError, OSError):
        send(port or one.port, scan(), sender=sender(role, attempt))


@needs_root
def test_session(place):
    with gateway(place) as one, neighbour(one):
        for name in names():
            tell_session(one, "session", name)
        judge("session", results(one.log(), "session"))
        require(untouched(place), "something outside the share was changed")
        require(send(one.port, scan()).startswith("250"))


@needs_root
def test_session_of_a_verb(place):
    """As inetd runs it: not forked from a listener. In the short form one attempt of each kind."""
    one, wanted, found = gateway(place, route="source = session"), names() if COUNT else SHORT.split(), {}
    for name in wanted:
        dialogue = f"EHLO x\r\nMAIL FROM:<{sender('session', name)}>\r\nQUIT\r\n".encode()
        done = subprocess.run([place.program, "smtp-session", *one.arguments[2:]], input=dialogue, capture_output=True,
                              timeout=60, env=one.environment)
        found.update(results(done.stderr.decode(), "session"))
        equal(done.returncode != 0, found.get(name) == "died", f"{name}: {done}")
    judge("session", found, wanted)


PULLERS = 24  # of one gateway: each of them may die once


@needs_root
def test_puller(place):
    """Its server tells it, in the middle of its work. Whether it dies or not, its mail is delivered, once."""
    wanted, found = names(), {}
    other = f"[imap other]\nhost = 127.0.0.1\nport = 9\ntls = off\nuser = other\npassword = {SECRET.decode()}\nafter = keep\n"
    for start in range(0, len(wanted), PULLERS):
        some = wanted[start:start + PULLERS]
        messages, files = several(range(start, start + len(some)))
        servers = [mailbox(place, message, f"puller.{name}") for name, message in zip(some, messages)]
        text = other + "".join(account(place, server, f"a{i}") for i, server in enumerate(servers))
        with gateway(place, text=text, log=f"{start}.log") as one, neighbour(one):
            wait_for(lambda: all(server.count() == 0 for server in servers), 60, lambda: one.log())
            lines = [line for i in range(len(some)) for line in delivered(one, f"a{i}")]
            equal((len(lines), {name: place.files().get(name) for name in files}), (len(some), files))
            found.update(results(one.log(), "puller"))
    equal(set(place.files()) - {f"{i}.pdf" for i in range(len(wanted))}, {"ours", "linked", "way"})
    judge("puller", found)
    require(untouched(place), "something outside the share was changed")


LISTENERS = 24  # of one gateway: each of them may die once


@needs_root
def test_listener(place):
    wanted, found = names(), {}
    listeners = "".join(f"[smtp l{i}]\nlisten = 127.0.0.1:0\ntls = off\n" for i in range(LISTENERS))
    for start in range(0, len(wanted), LISTENERS):
        some = wanted[start:start + LISTENERS]
        with gateway(place, text=listeners, log=f"{start}.log") as one:
            wait_for(lambda: one.is_ready() and len(one.ports) == LISTENERS + 1, 20, "not all listen")
            with neighbour(one):
                for i, name in enumerate(some):
                    tell_session(one, "listener", name, one.ports[f"l{i}"])
                    wait_for(lambda: name in ended(one, f"l{i}", "listener", name), 20, f"{name}: no end")
                found.update(results(one.log(), "listener"))
    judge("listener", found)
    require(untouched(place), "something outside the share was changed")


def ended(one, child, role, attempt):
    """The attempt, once it has a result or the boss has seen its process die of SIGSYS."""
    if f"{child} died of signal 31" in one.log() or results(one.log(), role).get(attempt, "died") != "died":
        return [attempt]
    return []


def told_watchers(place, some, owner):
    """A Maildir for each attempt, and a watcher that finds it there as the name of a mail."""
    text = ""
    for number, name in enumerate(some):
        box = place.make(f"box-{name}", 0o700)
        for folder in ("new", "cur", "tmp"):
            os.mkdir(os.path.join(box, folder))
        open(os.path.join(box, "new", sender("watcher", name)), "wb").close()
        for folder in ("", "new", "cur", "tmp", os.path.join("new", sender("watcher", name))):
            os.chown(os.path.join(box, folder), owner, owner)
        text += f"[maildir w{number}]\npath = {box}\nrefused = delete\n"
    return text


@needs_root
@rows([("root's", 0), ("somebody's", 1234)])
def test_watcher(place, owner):
    """Of a Maildir of root's it has a capability; of somebody's in the short form one attempt of each kind."""
    wanted, found = names() if COUNT or owner == 0 else SHORT.split(), {}
    for start in range(0, len(wanted), LISTENERS):
        some = wanted[start:start + LISTENERS]
        with gateway(place, text=told_watchers(place, some, owner), log=f"{start}.log") as one:
            for number, name in enumerate(some):
                wait_for(lambda: ended(one, f"w{number}", "watcher", name), 20, f"{name}: no end")
            found.update(results(one.log(), "watcher"))
    judge("watcher", found, wanted)
    require(untouched(place), "something outside of its Maildir was changed")


@needs_root
def test_door(place):
    """It can make no process, and each death is a gateway."""
    wanted, found = names() if COUNT else SHORT.split(), {}
    for name in wanted:
        with gateway(place, log=f"{name}.log", gateway="couriers = 1") as one:
            command = [place.program, "drop", "-c", os.path.join(place.folder, "gateway.conf"), "--from", sender("door", name)]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
            process.stdin.write(scan())
            process.stdin.close()
            wait_for(lambda: ended(one, "door", "door", name), 20, f"{name}: no end")
            process.kill()
            process.wait()
            found.update(results(one.log(), "door"))
    judge("door", found, wanted)


@needs_root
def test_keys(place):
    """Who has the private keys is told by a name that wants to log in. Each death is a gateway."""
    wanted, found = names(), {}
    users = place.file("users", "cam:" + crypt.crypt("right", crypt.mksalt(crypt.METHOD_SHA512)) + "\n")
    for name in wanted:
        with gateway(place, log=f"{name}.log", smtp=f"users = {users}\nplaintext_auth = yes") as one:
            device = Device(one.port)
            device.say("EHLO x")
            device.send(b"AUTH PLAIN " + base64.b64encode(f"\0{sender('keys', name)}\0x".encode()) + b"\r\n")
            wait_for(lambda: ended(one, "keys", "keys", name), 20, f"{name}: no end")
            found.update(results(one.log(), "keys"))
            device.close()
    judge("keys", found, wanted)


def ask_window(one, words):
    """It may die of it."""
    (port,) = re.findall(r"ready service=http addr=\S+:(\d+)", one.log())
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(port)), timeout=20) as link:
        link.sendall(f"GET /healthz HTTP/1.1\r\nHost: {words}\r\n\r\n".encode())
        return link.recv(4096)
    return b""


@needs_root
def test_window(place):
    """Who shows health and numbers is told by the name that it is asked for. Each death is a gateway."""
    wanted, found = names() if COUNT else SHORT.split(), {}
    for name in wanted:
        with gateway(place, log=f"{name}.log", gateway="couriers = 1", text="[http]\nlisten = 127.0.0.1:0\n") as one:
            ask_window(one, sender("window", name))
            wait_for(lambda: ended(one, "window", "window", name), 20, f"{name}: no end")
            found.update(results(one.log(), "window"))
    judge("window", found, wanted)
    require(untouched(place), "something outside was changed")
