"""What the tests of faults have in common: which calls a role makes, and how one of them is made to fail."""

import contextlib
import os
import re
import signal
import subprocess
import sys

import harness
from harness import HERE, status_of, wait_for

NUMBERS = {"epoll_wait": 232, "poll": 7, "ppoll": 271, "epoll_pwait": 281}

FULL = ("ENOSPC", "EDQUOT")
TABLE = ("EMFILE", "ENFILE", "ENOMEM")
DISK = ("EIO", "ENOMEM")
SHORT = "SHORT"
ALIKE = 80

# What each call may say where it is not our mistake. A call that is not here can't fail, or its failure has no meaning:
# close gives the descriptor back whatever it says.
ERRORS = {
    "openat": ("EIO", *TABLE, "EINTR"), "openat2": ("EIO", *TABLE, "EINTR"), "open": ("EIO", *TABLE, "EINTR"),
    "mkdirat": ("EIO", *FULL), "unlinkat": ("EIO", "EROFS"),
    "renameat": ("EIO", *FULL, "EROFS"), "renameat2": ("EIO", *FULL, "EROFS"), "linkat": ("EIO", *FULL),
    "read": ("EIO", "EINTR", SHORT), "pread64": ("EIO", "EINTR", SHORT),
    "write": ("EIO", *FULL, "EINTR", SHORT), "pwrite64": ("EIO", *FULL, SHORT),
    "fsync": ("EIO", *FULL, "EINTR"),
    "fchmod": ("EIO", *FULL), "fchown": ("EIO", *FULL), "fsetxattr": ("EIO", *FULL), "setxattr": ("EIO", *FULL),
    "removexattr": ("EIO", *FULL), "fgetxattr": DISK, "getxattr": DISK, "fremovexattr": ("EIO", *FULL),
    "newfstatat": DISK, "fstat": DISK, "statx": DISK, "fstatfs": DISK, "statfs": DISK, "getdents64": DISK,
    "faccessat2": DISK, "faccessat": DISK, "readlink": DISK, "lseek": ("EIO",),
    "flock": ("EINTR", "ENOLCK"), "ftruncate": ("EIO", "EINTR"), "fallocate": ("EIO", "ENOSPC", "EINTR"),
    "mmap": ("ENOMEM",), "mprotect": ("ENOMEM",), "brk": ("ENOMEM",), "mremap": ("ENOMEM",),
    "memfd_create": TABLE, "socketpair": TABLE, "pipe2": TABLE, "fcntl": ("EMFILE",), "dup3": ("EMFILE",),
    "sendmsg": ("ENOBUFS", "ENOMEM", "EINTR"), "recvmsg": ("ENOMEM", "EINTR"),
    "sendto": ("ECONNRESET", "ENOMEM", "EINTR", SHORT), "recvfrom": ("ECONNRESET", "ENOMEM", "EINTR", SHORT),
    "poll": ("EINTR", "ENOMEM"), "ppoll": ("EINTR", "ENOMEM"), "epoll_wait": ("EINTR",), "epoll_pwait": ("EINTR",),
    "epoll_ctl": ("ENOMEM", "ENOSPC"), "epoll_create1": TABLE, "eventfd2": TABLE,
    "accept4": (*TABLE, "ECONNABORTED"), "connect": ("ECONNREFUSED", "EINTR"), "socket": TABLE,
    "getsockopt": ("ENOMEM",), "ioctl": ("EIO",),
    "clone": ("EAGAIN", "ENOMEM"), "clone3": ("EAGAIN", "ENOMEM"), "wait4": ("EINTR",), "pidfd_open": TABLE,
    "seccomp": ("ENOMEM",), "prctl": ("EINVAL",), "prlimit64": ("EPERM",), "close_range": ("ENOSYS",),
    "getrandom": ("EINTR",),
}


def calls_of(path):
    """(call, which of its kind, arguments) in the order in which a trace has them; each process counts for itself."""
    counts, found = {}, []
    with open(path, errors="replace") as trace:
        for line in trace:
            match = re.match(r"(\d+) +(\w+)\((.*)", line)
            if match and match.group(2) != "restart_syscall":
                pid, call, arguments = match.groups()
                counts[pid, call] = counts.get((pid, call), 0) + 1
                found.append((call, counts[pid, call], arguments))
    return found


def points_of(path):
    """(call, which, error) of everything that may fail in a trace, each once; what comes again and again for a long mail, only
    at first."""
    points = {}
    for call, which, arguments in calls_of(path):
        errors = ERRORS.get(call, ()) if which <= ALIKE else ()
        if call == "openat" and "O_CREAT" in arguments:
            errors = (*FULL, *errors)
        for error in errors:
            points[call, which, error] = True
    return list(points)


def sample(points, count):
    """In a campaign all. Else each call with one error, another one for each; of those so many, evenly."""
    if harness.COUNT:
        return points
    groups = {}
    for point in points:
        groups.setdefault(point[:2], []).append(point)
    chosen = [group[i % len(group)] for i, group in enumerate(groups.values())]
    return chosen if len(chosen) <= count else [chosen[i * len(chosen) // count] for i in range(count)]


def waits_in(pid, call):
    """It sleeps in this call."""
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/syscall") as at:
            return at.read().split()[0] == str(NUMBERS[call])
    return False


class Tracer:
    """strace, or meddle.py, on running processes, and what became of it."""

    def __init__(self, path, command, pids):
        self.path, self.pids = path, pids
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def wait_attached(self):
        wait_for(lambda: all(status_of(pid, "TracerPid") not in ("0",) for pid in self.pids), 30,
                 "the tracer does not attach")
        return self

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        return self.process.stdout.read().decode()

    def has_fired(self):
        """Asked after the end."""
        with open(self.path, errors="replace") as trace:
            return "(INJECTED)" in trace.read()


class Meddler(Tracer):
    def __init__(self, fault, call, which, pids):
        super().__init__(None, [sys.executable, os.path.join(HERE, "faults", "meddle.py"), fault, call, str(which), *map(str, pids)],
                         pids)

    def wait_attached(self):
        if self.process.stdout.readline() != b"ready\n":
            raise AssertionError("meddle.py does not attach")
        return self

    def end(self):
        self.output = super().end()
        return self.output

    def has_fired(self):
        return "fired" in self.output


def strace(path, pids, words, follow=True):
    command = ["strace", "-qq", "-y", "-o", path, *(["-f"] if follow else []), *words]
    for pid in pids:
        command += ["-p", str(pid)]
    return Tracer(path, command, pids).wait_attached()


def meddle(fault, call, which, pids):
    return Meddler(fault, call, which, pids).wait_attached()


def inject(path, pids, call, which, fault, follow=True, words=()):
    """Attaches to the processes: the call that is named fails, or moves too little, when it comes."""
    what = f"signal={fault[3:]}" if fault.startswith("SIG") else f"error={fault}"
    return strace(path, pids, ["-e", f"trace={call}", "-e", f"inject={call}:{what}:when={which}", *words], follow)
