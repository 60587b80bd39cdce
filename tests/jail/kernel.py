#!/usr/bin/env python3
"""Runs a program on a kernel that lacks something: kernel.py WORD... -- PROGRAM ARGUMENT...

landlock=N        Landlock says that its ABI is N
landlock=ERRNO    there is no Landlock
seccomp=ERRNO     there is no seccomp(2)
filter=ERRNO      there is, but no filter can be entered
no_new_privs=ERRNO, dumpable=ERRNO, pdeathsig=ERRNO   that prctl(2) is refused

Done by a seccomp filter, as a container does it; it costs nothing and holds for all that the program starts."""

import array
import ctypes
import errno
import fcntl
import os
import platform
import select
import socket
import struct
import sys

ARM = platform.machine() == "aarch64"
LANDLOCK_CREATE, SECCOMP, PRCTL = 444, 277 if ARM else 317, 167 if ARM else 157
PRCTLS = {"pdeathsig": 1, "dumpable": 4, "no_new_privs": 38}
ALLOW, ERRNO, NOTIFY = 0x7FFF0000, 0x00050000, 0x7FC00000
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
RECEIVE, SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_...
ARGUMENT = 16  # offset of the first, 8 octets each; the low half comes first

libc = ctypes.CDLL(None, use_errno=True)


def rule(number, argument, value, answer):
    """Instructions: this call, with this argument, gets this answer."""
    return [(LOAD, 0, 0, 0), (EQUAL, 0, 3, number), (LOAD, 0, 0, ARGUMENT + 8 * argument), (EQUAL, 0, 1, value),
            (RETURN, 0, 0, answer)]


def rules(words):
    program, abi = [], None
    for word in words:
        what, value = word.split("=")
        if what == "landlock" and value.isdigit():
            abi = int(value)
            program += rule(LANDLOCK_CREATE, 2, 1, NOTIFY)
        elif what == "landlock":
            program += [(LOAD, 0, 0, 0), (EQUAL, 0, 1, LANDLOCK_CREATE), (RETURN, 0, 0, ERRNO | getattr(errno, value))]
        elif what == "seccomp":
            program += [(LOAD, 0, 0, 0), (EQUAL, 0, 1, SECCOMP), (RETURN, 0, 0, ERRNO | getattr(errno, value))]
        elif what == "filter":
            program += rule(SECCOMP, 0, 1, ERRNO | getattr(errno, value))
        else:
            program += rule(PRCTL, 0, PRCTLS[what], ERRNO | getattr(errno, value))
    return program + [(RETURN, 0, 0, ALLOW)], abi


def install(program, flags):
    """The descriptor of the listener, if one is asked for."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
    result = libc.syscall(SECCOMP, 1, flags, filter_)
    if result < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return result


def answer(listener, abi):
    """Until nobody is left who could ask."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    while not any(event & select.POLLHUP for _, event in poll.poll()):
        question = bytearray(80)
        try:
            fcntl.ioctl(listener, RECEIVE, question)
            fcntl.ioctl(listener, SEND, bytearray(question[:8] + struct.pack("qiI", abi, 0, 0)))
        except OSError:
            pass  # who asked is dead


def leave_answerer(end, abi):
    """A process of nobody's that gets the listener from the other end of the socket pair."""
    if os.fork() == 0:
        if os.fork() == 0:
            _, controls, _, _ = end.recvmsg(1, socket.CMSG_SPACE(4))
            null = os.open("/dev/null", os.O_RDWR)
            for fd in range(3):
                os.dup2(null, fd)
            answer(array.array("i", controls[0][2])[0], abi)
        os._exit(0)
    os.wait()


def main():
    words, command = sys.argv[1:sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1:]
    program, abi = rules(words)
    if abi is None:
        install(program, 0)
    else:
        ours, theirs = socket.socketpair()
        leave_answerer(theirs, abi)
        theirs.close()
        listener = install(program, 8)
        ours.sendmsg([b"."], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [listener]))])
        os.close(listener)
        ours.close()
    os.execvp(command[0], command)


main()
