#!/usr/bin/env python3
"""short.py CALL N PID: the Nth such call of a running process, or of a child that it makes meanwhile, moves half of the octets that
it was asked for, as a disk that is almost full does. strace can't play that: it can make a call lie, but not do less.

Prints `ready` when it is attached and `fired` when it was done. Whoever is traced goes on when we end."""

import ctypes
import os
import signal
import sys

SEIZE, SYSCALL, GET_REGISTERS, SET_REGISTERS, INTERRUPT, LISTEN = 0x4206, 24, 12, 13, 0x4207, 0x4208
OPTIONS = 1 | 2 | 4 | 8  # syscall stops can be told from signals; forks of all kinds are followed
EVENT_STOP = 128
NUMBERS = {"read": 0, "write": 1, "pread64": 17, "pwrite64": 18, "sendto": 44, "recvfrom": 45}
COUNT, NUMBER = 12, 15  # rdx and orig_rax in struct user_regs_struct of x86_64

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
Registers = ctypes.c_ulong * 27


def ptrace(request, pid, data=0):
    return libc.ptrace(request, pid, None, data) == 0


def is_wanted(pid, number, registers):
    ptrace(GET_REGISTERS, pid, ctypes.addressof(registers))
    return registers[NUMBER] == number


def resume(pid, status, seen):
    """Lets the process go on until its next stop."""
    stop, event = os.WSTOPSIG(status), status >> 16
    if event == EVENT_STOP and stop != signal.SIGTRAP:
        ptrace(LISTEN, pid)
        return
    is_signal = not event and stop != signal.SIGTRAP | 0x80 and pid in seen
    ptrace(SYSCALL, pid, stop if is_signal and stop != signal.SIGSTOP else 0)


def follow(number, wanted):
    """Until the call has come, or nobody is left."""
    registers, seen, inside = Registers(), {}, {}
    while True:
        try:
            pid, status = os.waitpid(-1, 0x40000000)
        except ChildProcessError:
            return False
        if not os.WIFSTOPPED(status):
            continue
        if os.WSTOPSIG(status) == signal.SIGTRAP | 0x80:
            inside[pid] = not inside.get(pid, False)
            if inside[pid] and is_wanted(pid, number, registers):
                seen[pid] = seen.get(pid, 0) + 1
                if seen[pid] == wanted and registers[COUNT] > 1:
                    registers[COUNT] //= 2
                    ptrace(SET_REGISTERS, pid, ctypes.addressof(registers))
                    return True
        resume(pid, status, inside)


def main():
    call, wanted, pid = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if not ptrace(SEIZE, pid, OPTIONS) or not ptrace(INTERRUPT, pid):
        sys.exit(f"process {pid} can't be traced: {os.strerror(ctypes.get_errno())}")
    print("ready", flush=True)
    if follow(NUMBERS[call], wanted):
        print("fired", flush=True)


main()
