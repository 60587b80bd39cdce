"""Devices whose connection is cut around the time of the reply, and that try again until they hear 250.

What is cut how is drawn from a seed; which side of the reply a cut falls on is up to the machine."""

import contextlib
import os
import random
import select
import signal
import socket
import threading
import time

from harness import Device, mail, part, pdf, wait_for
from points import PATIENT, children

WORKERS = 12
SESSIONS_KILLED = []
CONNECTING = threading.Lock()


class Usual:
    """How long a reply takes here, so that a random moment is one around it."""
    seconds = 0.02


def wait_a_moment(chance):
    time.sleep(chance.uniform(0, 2 * Usual.seconds))


def at_a_moment(device, chance, listener):
    wait_a_moment(chance)
    device.reset()


def closed(device, chance, listener):
    """Without a reset: its session hears only that no more will come."""
    wait_a_moment(chance)
    device.close()


def with_the_reply_unread(device, chance, listener):
    select.select([device.socket], [], [], PATIENT)
    device.reset()


def in_the_reply(device, chance, listener):
    """A part of it is read."""
    device.socket.recv(chance.randint(1, 20))
    device.reset()


def half_closed(device, chance, listener):
    """It says that it will send no more, and is not cut: it hears its reply."""
    device.socket.shutdown(socket.SHUT_WR)
    return device.reply()


def without_its_session(device, chance, listener):
    wait_a_moment(chance)
    with contextlib.suppress(ProcessLookupError):
        if device.session in children(listener):
            os.kill(device.session, signal.SIGKILL)
            SESSIONS_KILLED.append(device.session)
    reply = device.reply()
    device.close()
    return reply


def uncut(device, chance, listener):
    started = time.monotonic()
    reply = device.reply()
    Usual.seconds += (time.monotonic() - started - Usual.seconds) / 20
    device.quit()
    return reply


CUTS = (at_a_moment, at_a_moment, closed, closed, with_the_reply_unread, in_the_reply, half_closed, without_its_session)


def connect(port, listener):
    """A device that knows its session: one at a time, so that the new one is its own."""
    with CONNECTING:
        before = children(listener)
        device = Device(port, timeout=2 * PATIENT)
        # the kernel's list may miss one while others end
        device.session = wait_for(lambda: next((pid for pid in children(listener) if pid not in before), None), PATIENT,
                                  "no session for it")
    return device


def try_once(port, message, cut, chance, listener):
    """True if it heard 250. A device tries again after seconds; here, at once."""
    return send_and_cut(connect(port, listener), message, cut, chance, listener)


def send_and_cut(device, message, cut, chance, listener):
    try:
        device.envelope()
        device.say("DATA")
        device.send(message + b".\r\n")
        return (cut(device, chance, listener) or "").startswith("250")
    except (OSError, EOFError):
        return False


def deliver(port, seed, listener):
    """One mail, cut once to three times; the name and the content of its file."""
    chance = random.Random(seed)
    name, content = f"{seed}.pdf", pdf(600, seed)
    message = mail(part(content, name))
    cuts = [chance.choice(CUTS) for _ in range(chance.choice((1, 1, 1, 2, 3)))]
    if not any(try_once(port, message, cut, chance, listener) for cut in cuts):
        wait_for(lambda: try_once(port, message, uncut, chance, listener), PATIENT, f"mail {seed} is never taken")
    return name, content


def deliver_all(port, count, listener):
    """So many mails, many at once; what must be on the share."""
    files, failures, seeds, lock = {}, [], iter(range(count)), threading.Lock()

    def work():
        while not failures:
            with lock:
                seed = next(seeds, None)
            if seed is None:
                return
            try:
                name, content = deliver(port, seed, listener)
                files[name] = content
            except Exception as error:
                failures.append(error)
    threads = [threading.Thread(target=work) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return files
