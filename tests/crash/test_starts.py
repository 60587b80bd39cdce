"""kill -9 at the calls of a role that starts, or of the boss, while a mail waits or a plan is to be rolled forward."""

import os
import signal

from harness import Device, Watch, equal, needs_root, require, rows, wait_for
from points import (PATIENT, STOPPED_EXEC, Role, await_settled, by_drop, by_smtp, children, compare, courier,
                    die_everywhere, each_point, first_try, forget_files, forget_marks, go_on, has_ended, has_killed,
                    hold_start, is_clean, is_final, killing, let_go, litter, new_trace, one, points_of, rests, role,
                    same_files, sample, status_of, strace, three, until_heard)


def anew(words):
    """The boss starts a role again that was killed: it is held before its first instruction."""
    def find(place, gateway):
        _, path = strace(place, [gateway.process.pid], *STOPPED_EXEC)
        os.kill(role(gateway, words), signal.SIGKILL)
        return [hold_start(gateway.process.pid, words, path)]
    return find


def by_first_mail(place, gateway, message, sent):
    """The mail for which a courier starts its template."""
    _, gateway.exec_trace = strace(place, [courier(gateway)], *STOPPED_EXEC)
    return by_data(place, gateway, message, lambda: None, lambda: sent(None))


def find_template(place, gateway):
    return [hold_start(courier(gateway), "letterchute-extract", gateway.exec_trace)]


def by_data(place, gateway, message, halfway, sent=lambda: None):
    try:
        device = Device(gateway.port, timeout=2 * PATIENT)
        device.envelope()
        device.say("DATA")
        device.send(message[:len(message) // 2])
        halfway()
        device.send(message[len(message) // 2:] + b".\r\n")
        sent()
        reply = device.reply()
        device.quit()
        return reply
    except (OSError, EOFError):
        return None


def told(number):
    """The boss is told something in the middle of a mail."""
    def by(place, gateway, message, greeted):
        reply = by_data(place, gateway, message, lambda: gateway.process.send_signal(number))
        if number == signal.SIGTERM:
            gateway.process.wait(PATIENT)
        return reply
    return by


BOSS = Role(find=lambda place, gateway: [gateway.process.pid])
TEMPLATE = Role(find=find_template, by=by_first_mail, after_greeting=True, stopped=True)


@needs_root
@rows([("a courier", "courier starts", Role(anew("letterchute-courier run"), stopped=True), False, 60),
       ("the listener", "listener starts", Role(anew("letterchute-smtp listen"), stopped=True), False, 20),
       ("the door", "door starts", Role(anew("letterchute-smtp door"), by=by_drop, stopped=True), False, 20),
       ("the template", "template starts", TEMPLATE, False, 20),
       ("the boss that reads its configuration anew", "boss reloads", BOSS._replace(by=told(signal.SIGHUP)), True, 30),
       ("the boss that ends", "boss ends", BOSS._replace(by=told(signal.SIGTERM)), True, 15)])
def test_killed_at_its_start(place, name, who, whole, most):
    die_everywhere(place, name, who, one, whole, most)


# --- what starts finds a plan -----------------------------------------------------------------------------------------

def leave_plan(place, gateway, seed):
    """A gateway that died when one of three files was visible; the mail and its files."""
    message, files, _ = three(seed)
    trial, died, _ = first_try(place, gateway, Role(), killing("renameat2", 2), message, True)
    gateway.kill()
    require(died and not is_final(trial.result()), "it did not die in the middle")
    equal((len(place.files()), len(place.spool("publishing"))), (1, 1), "in the middle of a plan")
    return message, files


def start_under(gateway, *wrapper):
    """Starts it with something before it, this time."""
    plain = gateway.arguments
    gateway.arguments = [*wrapper, *plain]
    gateway.start(ready=False)
    gateway.arguments = plain


def start_keeper(place, gateway, options):
    """The boss's first child is the keeper."""
    path = new_trace(place)
    start_under(gateway, "strace", "-D", "-I", "1", "-qq", "-o", path, *STOPPED_EXEC)
    keeper = hold_start(gateway.process.pid, "letterchute-courier keep", path)
    _, path = strace(place, [keeper], *options)
    go_on([keeper])

    def is_over():
        # others may have been stopped like it
        go_on(children(gateway.process.pid))
        return has_killed(path) or (rests(keeper) and is_up(gateway) and not litter(place, 1))
    wait_for(is_over, PATIENT, lambda: f"it does not adopt: {litter(place, 1)}")
    let_go(keeper)
    wait_for(lambda: is_over() and is_up(gateway) and not any(
        status_of(pid, "State") == "T" for pid in children(gateway.process.pid)), PATIENT, "it does not start")
    return path


def start_boss(place, gateway, options):
    path = new_trace(place)
    start_under(gateway, "strace", "-D", "-I", "1", "-qq", "-o", path, *options)
    wait_for(lambda: has_killed(path) or (is_up(gateway) and not litter(place, 1)), PATIENT, gateway.log)
    if has_killed(path):
        gateway.process.wait(PATIENT)
    else:
        let_go(gateway.process.pid)
    return path


def is_up(gateway):
    return not has_ended(gateway) and gateway.is_ready()


def die_with_plan(place, gateway, start, point, seed, watch):
    message, files = leave_plan(place, gateway, seed)
    died = has_killed(start(place, gateway, killing(*point)))
    if has_ended(gateway):
        gateway.start()
    wait_for(gateway.is_ready, PATIENT, "it does not start")
    is_clean(place)
    same_files(place.files(), files, "what was promised is kept without the device")
    require(until_heard(place, gateway, message).startswith("250"))
    await_settled(place)
    compare(place, gateway, message, (files, 0), by_smtp, watch)
    return died


@needs_root
@rows([("the keeper", "keeper adopts", start_keeper, 60), ("the boss", "boss starts", start_boss, 40)])
def test_killed_before_a_plan(place, name, start, most):
    """Whoever comes next rolls it forward; the device that never heard 250 makes no second file."""
    with place.gateway(gateway="couriers = 1\nanswer_within = 60s") as gateway:
        watch = Watch(place.share)
        leave_plan(place, gateway, "list")
        points = points_of(start(place, gateway, ()))
        is_clean(place)
        forget_files(place)
        forget_marks(place)
        watch.events()
        each_point(name, sample(points, most), watch,
                   lambda point, seed, watch: die_with_plan(place, gateway, start, point, seed, watch))
