"""What a watcher of the share sees, and what has been made durable when the device hears 250."""

import os
import re
import signal
import subprocess
import threading

from harness import (PROGRAM, Consumer, Device, Watch, equal, mail, needs_root, part, pdf, require, rows, scan, send, tree,
                     wait_for)


def syscalls(path):
    """(process, call, arguments, result) in order; calls that were interrupted in the trace are joined."""
    pending, found = {}, []
    for line in open(path, errors="replace"):
        match = re.match(r"(\d+) +(.*)", line)
        pid, text = match.groups()
        if text.endswith("<unfinished ...>\n") or text.endswith("<unfinished ...>"):
            pending[pid] = text.split("<unfinished")[0]
            continue
        resumed = re.match(r"<\.\.\. \w+ resumed>(.*)", text)
        if resumed:
            text = pending.pop(pid, "") + resumed.group(1)
        call = re.match(r"(\w+)\((.*)\)\s+= (-?\d+)", text)
        if call:
            found.append((pid, call.group(1), call.group(2), int(call.group(3))))
    return found


@needs_root
def test_synced_before_the_answer(place):
    """fsync of the file, of staging and of the plan, rename, fsync of the folder: in this order, then the 250."""
    trace = os.path.join(place.folder, "trace")
    config = place.config(route="folder = deep/er")
    with place.gateway(config=config) as gateway:
        require(send(gateway.port, scan()).startswith("250"), "warm up")
        pids = [str(gateway.process.pid)] + [str(pid) for pid, _ in gateway.children()]
        tracer = subprocess.Popen(
            ["strace", "-f", "-y", "-s", "200", "-o", trace, "-e",
             "trace=openat,openat2,fsync,renameat2,renameat,sendmsg,sendto,write,fchown,fchmod,mkdirat"] +
            [word for pid in pids for word in ("-p", pid)], stderr=subprocess.PIPE)
        for _ in pids:
            tracer.stderr.readline()
        require(send(gateway.port, mail(part(pdf(5000, 1), "a.pdf"), part(pdf(6000, 2), "b.pdf"))).startswith("250"))
        tracer.terminate()
        tracer.wait(20)
    order = []
    for _, call, arguments, result in syscalls(trace):
        if result < 0:
            continue
        if call == "fsync" and "/.letterchute/" in arguments:
            order.append("file" if re.search(r"/[0-9a-f]{8}\.\d+>", arguments) else "staging")
        elif call == "fsync" and "/spool/publishing" in arguments:
            order.append("plan" if "publishing/" in arguments else "plans")
        elif call == "fsync" and arguments.rstrip(">").endswith("/deep/er"):
            order.append("folder")
        elif call == "renameat2" and "RENAME_NOREPLACE" in arguments:
            order.append("rename")
        elif call == "renameat" and "/spool/done" in arguments:
            order.append("mark")
        elif call in ("fchown", "fchmod") and "/.letterchute/" in arguments:
            order.append("owner")
        elif call in ("write", "sendto", "sendmsg") and "250 2.0.0" in arguments and "stored" in arguments:
            order.append("250")
    steps = [step for step in order if step != "owner"]
    equal(steps, ["file", "file", "staging", "plan", "plans", "rename", "rename", "folder", "mark", "250"], order)
    require(order.index("owner") < order.index("file"), "the owner is inside the promise")


def test_watcher_sees_one_event(place):
    watch = Watch(place.share)
    with place.gateway() as gateway:
        for size in (100, 100000, 3000000):
            require(send(gateway.port, scan(size)).startswith("250"))
        require(send(gateway.port, mail(part(pdf(10), "a.pdf"), part(pdf(20), "b.pdf"))).startswith("250"))
    events = [event for event in watch.events() if event[1] != ".letterchute"]
    names = ["scan.pdf", "scan (2).pdf", "scan (3).pdf", "a.pdf", "b.pdf"]
    equal(events, [("MOVED_TO", name) for name in names])


def whole(content):
    """Each file ends with a line that says how long it is."""
    try:
        return int(content.rsplit(b"\n", 1)[1]) == len(content)
    except (IndexError, ValueError):
        return False


def sized(size, seed):
    content = pdf(size - 8, seed) + b"\n"
    return content + str(size).zfill(size - len(content)).encode()


def test_consumer_never_sees_half(place):
    consumer = Consumer(place.share, whole)
    consumer.start()
    with place.gateway() as gateway:
        def device(number):
            for turn in range(10):
                reply = send(gateway.port, mail(part(sized(20000 + 977 * (number * 10 + turn), number), "x.pdf")))
                require(reply.startswith("250"), reply)
        threads = [threading.Thread(target=device, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        consumer.end()
        equal(consumer.partial, [])
        require(consumer.looks > 20, f"only {consumer.looks} looks")
        equal(len(place.files()), 60)
        equal(sorted(place.files()), sorted(["x.pdf"] + [f"x ({n}).pdf" for n in range(2, 61)]))


def test_staging_does_not_grow_old(place):
    """A device that stalls in the middle of DATA holds nothing on the share."""
    with place.gateway() as gateway:
        device = Device(gateway.port)
        device.envelope()
        device.say("DATA")
        device.send(scan(500000)[:300000])
        require(send(gateway.port, scan()).startswith("250"))
        equal(place.staged(), [])
        device.close()
        equal(place.staged(), [])
        equal(len(place.files()), 1)


def at_once(count, send_one):
    """The same message so many times at the same time; all are accepted."""
    replies = []
    threads = [threading.Thread(target=lambda: replies.append(send_one())) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal([reply[:3] for reply in replies], ["250"] * count)


def test_identical_alarms_at_once_are_two_files(place):
    with place.gateway() as gateway:
        message = scan(9000)
        at_once(8, lambda: send(gateway.port, message))
        equal(len(place.files()), 8)


def test_identical_alarm_again(place):
    """A panel that closes without QUIT, and sends the same once more: two files."""
    with place.gateway() as gateway:
        message = scan(9000)
        for turn in range(3):
            device = Device(gateway.port)
            require(device.deliver(message).startswith("250"))
            device.close()
            wait_for(lambda: not place.marks(), 10, "the mark stays although the 250 was read")
        equal(len(place.files()), 3)


@rows([("a device that hears 421", False), ("a device that said QUIT", True)])
def test_identical_alarm_after_a_stop(place, quits):
    """The end of the gateway leaves no doubt about a mail whose 250 was read: sent again it is a second file."""
    config, message = place.config(), scan(9000)
    with place.gateway(config=config) as gateway:
        device = Device(gateway.port)
        require(device.deliver(message).startswith("250"))
        if quits:
            device.quit()
        gateway.process.send_signal(signal.SIGTERM)
        if not quits:
            require(device.reply().startswith("421"))
            device.close()
    equal(place.marks(), [])
    with place.gateway(config=config) as gateway:
        require(send(gateway.port, message).startswith("250"))
    equal(len(place.files()), 2)


@needs_root
def test_stop_during_a_delivery(place):
    """What is promised when the gateway is told to end is finished, answered and settled."""
    config = place.config(gateway="couriers = 1")
    with place.gateway(config=config) as gateway:
        require(send(gateway.port, scan()).startswith("250"))
        (courier,) = [pid for pid, name in gateway.children() if "cou" in name]
        tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "-e",
                                   "inject=fsync:delay_enter=300000", "-p", str(courier)])
        wait_for(lambda: traced(courier), 10, "strace does not come")
        device = Device(gateway.port)
        device.envelope()
        device.say("DATA")
        device.send(scan(9000) + b".\r\n")
        wait_for(lambda: place.spool("publishing"), 10, "no plan")
        gateway.process.send_signal(signal.SIGTERM)
        require(device.reply().startswith("250"))
        device.say("QUIT")
        device.close()
    tracer.wait(20)
    equal(place.marks(), [])
    equal(len(place.files()), 2)


def traced(pid):
    with open(f"/proc/{pid}/status") as status:
        return "TracerPid:\t0\n" not in status.read()


def test_answer_that_was_never_read(place):
    """A device that resets before it reads its 250, and tries again: one file."""
    with place.gateway() as gateway:
        message = scan(9000)
        device = Device(gateway.port)
        device.envelope()
        device.say("DATA")
        device.send(message + b".\r\n")
        device.reset()
        wait_for(lambda: place.files() or len(gateway.lines()) == 1, 10, "nothing happened")
        require(send(gateway.port, message).startswith("250"))
        equal(len(place.files()), 1, gateway.log())
        # and once more, knowingly: a second file
        require(send(gateway.port, message).startswith("250"))
        equal(len(place.files()), 2)


def kill_at(pid, call):
    """The process is killed when it makes this call."""
    tracer = subprocess.Popen(["strace", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                               f"inject={call}:signal=KILL:when=1", "-p", str(pid)])
    wait_for(lambda: "TracerPid:\t0" not in open(f"/proc/{pid}/status").read(), 10, "strace does not attach")
    return tracer


def by_smtp(place, gateway, message):
    return send(gateway.port, message)


def by_drop(place, gateway, message):
    done = place.run("drop", "-c", os.path.join(place.folder, "gateway.conf"), stdin=message)
    return "250" if done.returncode == 0 else done.stderr.decode()


@needs_root
@rows([("smtp", by_smtp), ("drop", by_drop)])
def test_courier_dies_while_it_settles(place, send_by):
    """The sender knows: another courier takes the mark away, so that an alarm that comes again is another file."""
    with place.gateway(gateway="couriers = 2") as gateway:
        message = scan(9000)
        require(send_by(place, gateway, message).startswith("250"))
        courier = next(pid for pid, name in gateway.children() if name.startswith("letterchute-cou"))
        tracer = kill_at(courier, "readlink")
        rounds = 0
        while tracer.poll() is None and rounds < 100:
            # so many that each courier gets something to do
            at_once(4, lambda: send_by(place, gateway, message))
            rounds += 1
            wait_for(lambda: not place.marks(), 10, "a mark stays although the sender has its answer")
        tracer.wait(10)
        require(send_by(place, gateway, message).startswith("250"))
        equal(len(place.files()), 4 * rounds + 2)


@needs_root
def test_signal_while_drop_settles(place):
    """Once its mark is gone `drop` has delivered, whoever wants to end it: else its caller would send a second copy."""
    config = place.config(route="source = drop")
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=unlinkat", "-e",
                               "inject=unlinkat:delay_exit=500000", PROGRAM, "drop", "-c", config], stdin=subprocess.PIPE,
                              stderr=subprocess.DEVNULL)
    tracer.stdin.write(scan())
    tracer.stdin.close()
    wait_for(lambda: place.marks(), 10, "no mark")
    drop = tree(tracer.pid)[0][0]
    wait_for(lambda: not place.marks(), 10, "the mark stays")
    os.kill(drop, signal.SIGTERM)
    equal(tracer.wait(20), 0)
    equal(len(place.files()), 1)
