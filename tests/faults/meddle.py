#!/usr/bin/env python3
"""meddle.py FAULT CALL N PID...: what strace can't do to a running process, or to the children that it makes meanwhile.

  SHORT       the Nth such call moves half of the octets that it was asked for, as a disk that is almost full does
  EIO, ...    the Nth such call fails after all; strace would skip it, and a jail kills a process whose call is skipped
  each:...    the same in each process, not only in the first one that comes to its Nth

Prints `ready` when it is attached, and `fired` at each. Whoever is traced goes on when we end."""

import ctypes
import errno
import os
import signal
import sys

SEIZE, SYSCALL, GET_REGISTERS, SET_REGISTERS, INTERRUPT, LISTEN = 0x4206, 24, 12, 13, 0x4207, 0x4208
OPTIONS = 1 | 2 | 4 | 8  # syscall stops can be told from signals; forks of all kinds are followed
EVENT_STOP = 128
ALL_CHILDREN = 0x40000000
NUMBERS = {"read": 0, "write": 1, "poll": 7, "pread64": 17, "pwrite64": 18, "sendto": 44, "recvfrom": 45, "sendmsg": 46, "recvmsg": 47,
           "clone": 56, "wait4": 61, "prctl": 157, "ppoll": 271, "prlimit64": 302, "seccomp": 317, "close_range": 436}
RESULT, COUNT, NUMBER = 10, 12, 15  # rax, rdx and orig_rax in struct user_regs_struct of x86_64

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
registers = (ctypes.c_ulong * 27)()


def ptrace(request, pid, data=0):
    return libc.ptrace(request, pid, None, data) == 0


def meddle(pid, fault, leaving):
    """Changes the call that the process enters or leaves. True if that was the time to do it."""
    if (fault != "SHORT") != leaving:
        return False
    if fault == "SHORT":
        if registers[COUNT] < 2:
            return False
        registers[COUNT] //= 2
    else:
        registers[RESULT] = ctypes.c_ulong(-getattr(errno, fault)).value
    ptrace(SET_REGISTERS, pid, ctypes.addressof(registers))
    print("fired", flush=True)
    return True


def resume(pid, status, known):
    """Lets the process go on until its next stop."""
    stop, event = os.WSTOPSIG(status), status >> 16
    if event == EVENT_STOP and stop != signal.SIGTRAP:
        ptrace(LISTEN, pid)
        return
    is_signal = not event and stop != signal.SIGTRAP | 0x80 and pid in known
    ptrace(SYSCALL, pid, stop if is_signal and stop != signal.SIGSTOP else 0)


def follow(fault, number, wanted, each):
    """Until the fault has come, or nobody is left."""
    counts, inside = {}, {}
    while True:
        try:
            pid, status = os.waitpid(-1, ALL_CHILDREN)
        except ChildProcessError:
            return
        if not os.WIFSTOPPED(status):
            continue
        if os.WSTOPSIG(status) == signal.SIGTRAP | 0x80:
            inside[pid] = not inside.get(pid, False)
            ptrace(GET_REGISTERS, pid, ctypes.addressof(registers))
            if registers[NUMBER] == number:
                counts[pid] = counts.get(pid, 0) + inside[pid]
                if counts[pid] == wanted and meddle(pid, fault, not inside[pid]) and not each:
                    return
        resume(pid, status, inside)


def main():
    fault, call, wanted, pids = sys.argv[1], sys.argv[2], int(sys.argv[3]), [int(pid) for pid in sys.argv[4:]]
    for pid in pids:
        if not ptrace(SEIZE, pid, OPTIONS) or not ptrace(INTERRUPT, pid):
            sys.exit(f"process {pid} can't be traced: {os.strerror(ctypes.get_errno())}")
    print("ready", flush=True)
    follow(fault.removeprefix("each:"), NUMBERS[call], wanted, fault.startswith("each:"))


main()
