"""Start, stop, reload, and what happens when processes die."""

import os
import signal
import socket
import subprocess
import time

from harness import Device, Skip, command_line, equal, needs_root, processes, require, rows, scan, send, tree, wait_for


def test_stops_cleanly(place):
    gateway = place.gateway().start()
    require(send(gateway.port, scan()).startswith("250"))
    pids = [pid for pid, _ in gateway.children()]
    require(len(pids) >= 5, pids)
    started = time.monotonic()
    gateway.stop()
    require(time.monotonic() - started < 5, "it takes too long")
    wait_for(lambda: not any(map(command_line, pids)), 2, "children live on")
    equal(place.staged(), [])
    equal(place.spool("lives"), [])
    require(not os.path.exists(os.path.join(place.state, "gateway.sock")), "the socket stays")


def test_idle_device_hears_421(place):
    gateway = place.gateway().start()
    device = Device(gateway.port)
    device.say("EHLO x")
    gateway.stop()
    require(device.reply().startswith("421 4.3.2"))
    require(device.is_closed())


def interrupt(process):
    """Ctrl-C at a terminal: the whole group gets it."""
    os.killpg(process.pid, signal.SIGINT)


def test_ctrl_c_stops_cleanly(place):
    gateway = place.gateway(wrapper=("setsid",)).start()
    require(send(gateway.port, scan()).startswith("250"))
    device = Device(gateway.port)
    device.say("EHLO x")
    interrupt(gateway.process)
    require(device.reply().startswith("421 4.3.2"))
    equal(gateway.process.wait(30), 0)
    require("signal" not in gateway.log(), gateway.log())
    equal(place.staged(), [])
    equal(place.spool("lives"), [])


def test_ctrl_c_is_for_the_boss(place):
    """Nobody ends before the boss says so, and the boss is stopped."""
    gateway = place.gateway(wrapper=("setsid",), gateway="couriers = 2").start()
    require(send(gateway.port, scan()).startswith("250"))
    # a session that is about to end bears the name of its listener
    wait_for(lambda: len(processes(gateway, "letterchute-smtp listen")) == 1, 5, "the session stays")
    before = [pid for pid, _ in gateway.children()]
    gateway.process.send_signal(signal.SIGSTOP)
    interrupt(gateway.process)
    time.sleep(0.5)
    for _ in range(3):
        require(send(gateway.port, scan()).startswith("250"))
    ended = [name for pid, name in gateway.children() if pid in before and not command_line(pid)]
    gateway.process.send_signal(signal.SIGCONT)
    equal(gateway.process.wait(30), 0)
    equal(ended, [])


@needs_root
def test_ctrl_c_ends_drop(place):
    """Its courier is held before it has stored anything, so that it is not done before we are."""
    config = place.config(route="source = drop")
    message = scan(3000000)
    strace = ("strace", "-DD", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fchmod", "-e",
              "inject=fchmod:delay_enter=4000000:when=1")
    process = subprocess.Popen(["setsid", *strace, place.program, "drop", "-c", config], stdin=subprocess.PIPE)
    process.stdin.write(message)
    process.stdin.close()
    wait_for(lambda: any(name.startswith("letterchute-ext") for _, name in tree(process.pid)), 10, "no extractor")
    pids = [pid for pid, _ in tree(process.pid)]
    interrupt(process)
    equal(process.wait(15), -signal.SIGINT)
    wait_for(lambda: not any(map(command_line, pids)), 15, "children live on")
    equal(place.run("drop", "-c", config, stdin=message).returncode, 0)
    equal(len(place.files()), 1)
    equal(place.staged(), [])


def test_restart_keeps_everything(place):
    config = place.config()
    for turn in range(3):
        with place.gateway(config=config) as gateway:
            require(send(gateway.port, scan()).startswith("250"))
    equal(len(place.files()), 3)
    equal(place.staged(), [])


def test_reload(place):
    config = place.config(route="types = pdf\nname = one_{name}")
    with place.gateway(config=config) as gateway:
        device = Device(gateway.port)
        require(device.deliver(scan()).startswith("250"))
        place.config(route="types = pdf\nname = two_{name}")
        gateway.reload()
        require(send(gateway.port, scan()).startswith("250"), "the same port")
        # a session that was open goes on, under the newest rules
        require(device.deliver(scan()).startswith("250"))
        device.quit()
        equal(sorted(place.files()), ["one_scan.pdf", "two_scan (2).pdf", "two_scan.pdf"])


def test_bad_reload_keeps_the_old(place):
    config = place.config()
    with place.gateway(config=config) as gateway:
        with open(config, "a") as out:
            out.write("nonsense = yes\n")
        gateway.reload("the old configuration stays")
        require("gateway.conf:" in gateway.log() and "nonsense" in gateway.log(), gateway.log())
        require(send(gateway.port, scan()).startswith("250"))


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def ready(gateway, source, port):
    return f"ready source={source} addr=127.0.0.1:{port}\n" in gateway.log()


def test_reload_adds_an_address(place):
    one, two = free_port(), free_port()
    config = place.config()
    with open(config) as text:
        text = text.read()

    def listen(addresses):
        place.file("gateway.conf", text.replace("127.0.0.1:0", addresses))
    listen(f"127.0.0.1:{one}")
    with place.gateway(config=config) as gateway:
        device = Device(one)
        listen(f"127.0.0.1:{two}, 127.0.0.1:{one}")
        gateway.reload()
        require(ready(gateway, "lan", two), gateway.log())
        equal(gateway.log().count("ready source="), 2, "the old one is not told again")
        for port in (one, two, one, two):
            require(send(port, scan()).startswith("250"))
        require(device.deliver(scan()).startswith("250"), "the session that was open")
        device.quit()
        listen(f"127.0.0.1:{two}")
        gateway.reload()
        require(send(two, scan()).startswith("250"))

        def refused():
            try:
                Device(one).close()
            except OSError:
                return True
        wait_for(refused, 5, "it is still listened to")
        listen(f"127.0.0.1:{one}")
        gateway.reload()
        require(send(one, scan()).startswith("250"))


def test_reload_renames_a_listener(place):
    port = free_port()
    config = place.config(route="name = {source}_{name}")
    with open(config) as text:
        text = text.read().replace("127.0.0.1:0", f"127.0.0.1:{port}")
    place.file("gateway.conf", text)
    with place.gateway(config=config) as gateway:
        require(send(port, scan()).startswith("250"))
        place.file("gateway.conf", text.replace("[smtp lan]", "[smtp office]"))
        gateway.reload()
        require(ready(gateway, "office", port), gateway.log())
        # who connected while the old one was still there is told to come again
        wait_for(lambda: send(port, scan()).startswith("250"), 5, "nobody takes it")
        require("office_scan.pdf" in place.files(), place.files())


def test_reload_swaps_addresses(place):
    one, two = free_port(), free_port()
    config = place.config(route="name = {source}_{name}", text=f"[smtp wan]\nlisten = 127.0.0.1:{two}\ntls = off\n")
    with open(config) as text:
        text = text.read().replace("127.0.0.1:0", f"127.0.0.1:{one}")
    place.file("gateway.conf", text)
    with place.gateway(config=config) as gateway:
        place.file("gateway.conf", text.replace("[smtp lan]", "[smtp x]").replace("[smtp wan]", "[smtp lan]")
                   .replace("[smtp x]", "[smtp wan]"))
        gateway.reload()
        require(ready(gateway, "lan", two) and ready(gateway, "wan", one), gateway.log())
        wait_for(lambda: len(processes(gateway, "letterchute-smtp listen")) == 2, 5, "the old ones stay")
        require(send(one, scan()).startswith("250"))
        require(send(two, scan()).startswith("250"))
        equal(sorted(place.files()), ["lan_scan.pdf", "wan_scan.pdf"])


@rows([("a courier", "letterchute-courier run"), ("the keeper", "letterchute-courier keep"), ("the listener", "letterchute-smtp listen"),
       ("the door", "letterchute-smtp door"), ("the extractor", "letterchute-extract")])
def test_killed_role_is_started_again(place, words):
    with place.gateway(gateway="couriers = 1") as gateway:
        require(send(gateway.port, scan()).startswith("250"))
        # a session that is about to end bears the name of its listener
        wait_for(lambda: len(processes(gateway, words)) == 1, 5, "more than one of them")
        os.kill(processes(gateway, words)[0], signal.SIGKILL)
        def delivers():
            try:
                return send(gateway.port, scan()).startswith("250")
            except (OSError, EOFError):
                return False
        wait_for(delivers, 20, "it does not come back")
        equal(place.staged(), [])


def kill_extractor(gateway):
    """Its process id, which is free again."""
    require(send(gateway.port, scan()).startswith("250"))
    wait_for(lambda: len(processes(gateway, "letterchute-extract")) == 1, 5, "its reader stays")
    (pid,) = processes(gateway, "letterchute-extract")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), 5, "it stays")
    return pid


def test_extractor_that_died_idle_delays_nobody(place):
    with place.gateway(gateway="couriers = 1") as gateway:
        for _ in range(3):
            kill_extractor(gateway)
            reply = send(gateway.port, scan())
            require(reply.startswith("250"), reply)
        equal(len(place.files()), 6)


def start_with_number(pid, user):
    """A process of that number and user; None if the number is somebody else's."""
    for _ in range(20):
        try:
            with open("/proc/sys/kernel/ns_last_pid", "w") as last:
                last.write(str(pid - 1))
        except FileNotFoundError:
            raise Skip("this kernel lets nobody choose a process id") from None
        process = subprocess.Popen(["sleep", "600"], user=user, group=user, extra_groups=[])
        if process.pid == pid:
            return process
        process.kill()
        process.wait()
    return None


@needs_root
def test_number_of_a_dead_extractor(place):
    """Whoever gets it is none of ours."""
    with place.gateway(gateway="couriers = 1\nuser = 65534") as gateway:
        stranger = wait_for(lambda: start_with_number(kill_extractor(gateway), 65534), 20, "each number was taken by somebody else")
        place.later(stranger.kill)
        before = len(place.files())
        require(send(gateway.port, scan()).startswith("250"))
        equal(stranger.poll(), None, "the stranger was killed")
        stranger.kill()
        stranger.wait()
        equal(len(place.files()), before + 1)


def test_children_die_with_the_boss(place):
    gateway = place.gateway().start()
    require(send(gateway.port, scan()).startswith("250"))
    pids = [pid for pid, _ in gateway.children()]
    gateway.process.kill()
    gateway.process.wait()
    wait_for(lambda: not any(map(command_line, pids)), 10, "children live on")


def test_second_gateway_on_the_same_state(place):
    config = place.config()
    with place.gateway(config=config) as one, place.gateway(config=config, log="second.log") as two:
        require("another gateway" in two.log(), two.log())
        for gateway in (one, two, one, two):
            require(send(gateway.port, scan()).startswith("250"))
        equal(len(place.files()), 4)


@rows([("an end", signal.SIGTERM), ("a reload", signal.SIGHUP)])
def test_told_soon_after_the_start(place, number):
    """Processes that can't hear yet die of our word; nobody needs to know."""
    for delay_s in (0, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08):
        gateway = place.gateway(log=f"{delay_s}.log").start(ready=False)
        wait_for(gateway.is_ready, 20, gateway.log)
        time.sleep(delay_s)
        gateway.process.send_signal(number)
        if number == signal.SIGHUP:
            wait_for(lambda: "the new configuration holds" in gateway.log(), 10, gateway.log)  # noqa: B023
            wait_for(lambda: processes(gateway, "smtp door"), 10, gateway.log)  # noqa: B023
            time.sleep(0.2)
        gateway.stop()
        require("ended text" not in gateway.log(), gateway.log())


def test_killed_by_another_at_the_end(place):
    with place.gateway() as gateway:
        door, = wait_for(lambda: processes(gateway, "smtp door"), 10)
        time.sleep(0.3)
        os.kill(door, signal.SIGSTOP)
        gateway.process.send_signal(signal.SIGTERM)
        wait_for(lambda: "ending" in gateway.log(), 10)
        os.kill(door, signal.SIGKILL)
        equal(gateway.process.wait(20), 0)
        require('ended text="door died of signal 9"' in gateway.log(), gateway.log())


def test_port_that_is_taken(place):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = place.file("taken.conf", open(place.config()).read().replace(
            "127.0.0.1:0", f"127.0.0.1:{taken.getsockname()[1]}"))
        done = place.run("run", "-c", config)
        equal(done.returncode, 69)
        require(b"can't be listened to" in done.stderr, done.stderr)


def test_several_listeners(place):
    text = "[smtp wan]\nlisten = 127.0.0.1:0, 127.0.0.1:0\ntls = off\n[route wan]\nsource = wan\nname = wan_{name}\n"
    config = place.config(text=text, route="source = lan\nname = lan_{name}")
    with place.gateway(config=config) as gateway:
        wait_for(lambda: gateway.is_ready() and len(gateway.ports) == 2, 10, gateway.ports)
        require(send(gateway.ports["wan"], scan()).startswith("250"))
        require(send(gateway.ports["lan"], scan()).startswith("250"))
        equal(sorted(place.files()), ["lan_scan.pdf", "wan_scan.pdf"])


def seen(gateway):
    """Name, user, NoNewPrivs and capabilities of each child that outlives the look at it."""
    found = set()
    for pid, name in gateway.children():
        try:
            with open(f"/proc/{pid}/status") as status:
                fields = dict(line.split(":\t", 1) for line in status.read().splitlines() if ":\t" in line)
        except OSError:
            continue  # a session that is over
        sets = (int(fields[f"Cap{one}"], 16) for one in ("Prm", "Eff", "Inh", "Amb"))
        found.add((name, fields["Uid"].split()[0], fields["NoNewPrivs"].strip(), *sets))
    return found


CHOWN, DAC_OVERRIDE, FOWNER = 1 << 0, 1 << 1, 1 << 3
COURIERS, OTHERS = ("letterchute-cou", "letterchute-kee"), ("letterchute-ext", "letterchute-smt")


def identities(user, capabilities):
    return {(name, user, "1", *[capabilities] * 4) for name in COURIERS} | {(name, user, "1", 0, 0, 0, 0) for name in OTHERS}


@needs_root
def test_identity_of_the_roles(place):
    """Started as root, nobody but the boss stays root; only couriers have capabilities, and only three."""
    wanted = identities("1", CHOWN | DAC_OVERRIDE | FOWNER)
    with place.gateway(gateway="user = daemon") as gateway:
        require(send(gateway.port, scan()).startswith("250"))
        device = Device(gateway.port)
        wait_for(lambda: seen(gateway) == wanted, 5, lambda: f"there are {seen(gateway) ^ wanted}")
        device.close()


def with_capabilities(*names, user=65534):
    """The wrapper that starts a gateway as systemd does with User= and AmbientCapabilities=."""
    gains = ",".join(f"+{name}" for name in names) or "-all"
    return ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", f"--inh-caps={gains}",
            f"--ambient-caps={gains}", f"--bounding-set=-all,{gains}")


# what is handed over besides, and what each courier has of it
GIVEN = [
    ("all three", ("chown", "dac_override", "fowner"), CHOWN | DAC_OVERRIDE | FOWNER),
    ("more than we want", ("chown", "fowner", "net_bind_service", "sys_admin"), CHOWN | FOWNER),
    ("none", (), 0),
]


@needs_root
@rows(GIVEN)
def test_identity_of_the_roles_of_a_user(place, names, capabilities):
    """Started as a user with ambient capabilities: couriers have of these what root would have left them, others none."""
    place.open_to_all()
    box = place.make("box")
    for name in ("new", "cur", "tmp"):
        os.mkdir(os.path.join(box, name))
    for at, _, _ in os.walk(box):
        os.chown(at, 65534, 65534)
    with place.gateway(text=f"[maildir box]\npath = {box}\n", wrapper=with_capabilities(*names)) as gateway:
        wanted = identities("65534", capabilities) | {("letterchute-wat", "65534", "1", 0, 0, 0, 0)}
        require(send(gateway.port, scan()).startswith("250"))
        device = Device(gateway.port)
        wait_for(lambda: seen(gateway) == wanted, 5, lambda: f"there are {seen(gateway) ^ wanted}")
        device.close()


@needs_root
def test_watcher_of_a_user(place):
    """Of a Maildir that is root's it gets what it opens any mail by, and nothing else."""
    place.open_to_all()
    box = place.make("box", 0o700)
    for name in ("new", "cur", "tmp"):
        os.mkdir(os.path.join(box, name))
    message = os.path.join(box, "new", "1.x.y")
    with open(message, "wb") as out:
        out.write(scan())
    os.chmod(message, 0o600)
    with place.gateway(text=f"[maildir box]\npath = {box}\n",
                       wrapper=with_capabilities("chown", "dac_override", "fowner")) as gateway:
        wait_for(lambda: place.files() and not os.path.exists(message), 10, gateway.log)
        watcher = {row for row in seen(gateway) if row[0] == "letterchute-wat"}
        equal(watcher, {("letterchute-wat", "65534", "1", *[DAC_OVERRIDE] * 4)})


@needs_root
def test_owner_from_a_user(place):
    """With the three capabilities, files and folders are given away as by one that was started as root, on a share of
    somebody else's; root uses its verbs beside it; local_users are let in."""
    place.open_to_all()
    os.chown(place.share, 2, 3)
    os.chmod(place.share, 0o2750)
    texts = {"share": "owner = 1\ngroup = 60\nmode = 0640\nfolder_mode = 2750\nacl = u:13:r--", "route": "folder = a/b",
             "gateway": "local_users = 33\nuser = 65534"}
    found = []
    for turn, wrapper in enumerate(((), with_capabilities("chown", "dac_override", "fowner"))):
        place.state = os.path.join(place.folder, f"state{turn}")
        os.mkdir(place.state)
        if turn:
            os.chown(place.state, 65534, 65534)
            os.chmod(place.state, 0o711)
        with place.gateway(config=place.config(**texts), wrapper=wrapper, log=f"{turn}.log") as gateway:
            config = gateway.arguments[-1]
            require(send(gateway.port, scan()).startswith("250"), gateway.log)
            for user in (0, 33):
                done = place.run("drop", "-c", config, stdin=scan(), user=user, group=user, extra_groups=[])
                equal(done.returncode, 0, done.stderr.decode() + gateway.log())
            for verb in ("check", "status"):
                done = place.run(verb, "-c", config)
                equal(done.returncode, 0, done.stdout.decode() + done.stderr.decode())
            equal(len(gateway.lines()), 3)
        rights = subprocess.run(["getfacl", "-Rnp", "."], cwd=place.share, capture_output=True, text=True).stdout
        found.append("".join(sorted(part for part in rights.split("\n\n") if "letterchute" not in part)))
        for path in ("a/b", "a"):
            for name in os.listdir(os.path.join(place.share, path)):
                at = os.path.join(place.share, path, name)
                os.unlink(at) if os.path.isfile(at) else os.rmdir(at)
        os.rmdir(os.path.join(place.share, "a"))
        subprocess.run(["rm", "-r", os.path.join(place.share, ".letterchute")], check=True)
    require("# owner: 1\n# group: 60" in found[0] and "user:13:r--" in found[0], found[0])
    equal(found[1], found[0])


@needs_root
@rows([("none", ()), ("not that one", ("dac_override", "fowner"))])
def test_owner_without_the_capability(place, names):
    place.open_to_all()
    config = place.config(share="owner = 1")
    done = subprocess.run([*with_capabilities(*names), place.program, "run", "-c", config], capture_output=True, timeout=20)
    equal(done.returncode, 78)
    require(b"gateway.conf:" in done.stderr and b"by root or with CAP_CHOWN" in done.stderr, done.stderr)


def test_as_an_ordinary_user(place):
    if os.geteuid() != 0:
        with place.gateway() as gateway:
            require(send(gateway.port, scan()).startswith("250"))
        return
    place.open_to_all()
    config = place.config()
    with place.gateway(config=config, wrapper=("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")) as gateway:
        require(send(gateway.port, scan()).startswith("250"), gateway.log())
        (name,) = place.files()
        equal(os.stat(os.path.join(place.share, name)).st_uid, 65534)
