"""A Courier-IMAP of our own. It can't be installed beside Dovecot: its packages are unpacked into a folder, once, and it
runs in a root of its own, made of that folder and of the programs that are here. Needs root."""

import contextlib
import fcntl
import glob
import imaplib
import os
import shutil
import signal
import stat
import subprocess

from client import PASSWORD, USER, Mailboxes
from dovecot import MAIL_ID, free_port
from harness import ROOT, wait_for

CACHE = os.path.join(ROOT, ".cache", "courier")
PACKAGES = ("courier-imap", "courier-base", "courier-authlib", "courier-authdaemon", "courier-authlib-userdb",
            "libcourier-unicode4", "gamin", "libgamin0", "libglib2.0-0", "libltdl7", "libgdbm6", "libidn12", "libpcre3")
AUTH = "/usr/lib/courier/courier-authlib/authdaemond"
LOGIN = "/usr/lib/courier/courier/imaplogin"


def unpack():
    """The folder with what is in the packages."""
    os.makedirs(CACHE, exist_ok=True)
    done = os.path.join(CACHE, "done")
    with open(os.path.join(CACHE, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(done):
            folder = os.path.join(CACHE, "root")
            shutil.rmtree(folder, ignore_errors=True)
            os.mkdir(folder)
            run("apt-get", "download", "-qq", *PACKAGES, cwd=CACHE)
            for package in glob.glob(os.path.join(CACHE, "*.deb")):
                run("dpkg", "-x", package, folder)
                os.unlink(package)
            # in the root that they are to run in /lib is a link
            shutil.copytree(os.path.join(folder, "lib"), os.path.join(folder, "usr", "lib"), symlinks=True,
                            dirs_exist_ok=True)
            shutil.rmtree(os.path.join(folder, "lib"))
            os.rename(folder, done)
    return done


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


class Courier(Mailboxes):
    """`idle`: it announces IDLE. It tells those who idle of mail after up to a minute."""

    def __init__(self, place, name="courier", idle=True):
        self.place, self.address, self.port, self.processes = place, "127.0.0.1", free_port(), []
        self.root, unpacked = place.make(name), unpack()
        for folder in ("usr", "dev", "run/courier/authdaemon", "home/scans", "tmp", "var"):
            os.makedirs(os.path.join(self.root, folder))
        for link in ("bin", "sbin", "lib", "lib64"):
            os.symlink(f"usr/{link}", os.path.join(self.root, link))
        place.mount("mount", "-t", "overlay", "-o", f"lowerdir={unpacked}/usr:/usr", "none", self.at("usr"), at=self.at("usr"))
        for number, name in ((3, "null"), (9, "urandom")):
            os.mknod(self.at(f"dev/{name}"), 0o666 | stat.S_IFCHR, os.makedev(1, number))
            os.chmod(self.at(f"dev/{name}"), 0o666)
        shutil.copytree(os.path.join(unpacked, "etc"), self.at("etc"))
        for file in ("ld.so.cache", "ld.so.conf"):
            shutil.copy(f"/etc/{file}", self.at("etc"))
        self.write("etc/passwd", f"root:x:0:0::/:/bin/sh\ncourier:x:{MAIL_ID}:{MAIL_ID}::/:/bin/sh\n")
        self.write("etc/group", f"root:x:0:\ncourier:x:{MAIL_ID}:\n")
        self.configure(idle)
        place.later(self.stop)
        self.start()

    def at(self, path):
        return os.path.join(self.root, path)

    def write(self, path, text, mode=0o644):
        with open(self.at(path), "w") as out:
            out.write(text)
        os.chmod(self.at(path), mode)

    def configure(self, idle):
        os.chown(self.at("home/scans"), MAIL_ID, MAIL_ID)
        self.inside("setpriv", f"--reuid={MAIL_ID}", f"--regid={MAIL_ID}", "--clear-groups", "maildirmake.courier",
                    "/home/scans/Maildir")
        hashed = run("openssl", "passwd", "-6", PASSWORD).strip()
        self.write("etc/courier/userdb", f"{USER}\tuid={MAIL_ID}|gid={MAIL_ID}|home=/home/scans|shell=/bin/sh|imappw={hashed}\n",
                   0o600)
        self.inside("makeuserdb")
        self.write("etc/courier/authdaemonrc", 'authmodulelist="authuserdb"\nauthmodulelistorig="authuserdb"\ndaemons=2\n'
                   'authdaemonvar=/run/courier/authdaemon\nDEBUG_LOGIN=0\nDEFAULTOPTIONS=""\nLOGGEROPTS=""\n')
        words = "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE SORT QUOTA" + (" IDLE" if idle else "")
        self.settings = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "IMAP_CAPABILITY": words, "IMAP_KEYWORDS": "1",
                         "IMAP_ACL": "1", "IMAP_IDLE_TIMEOUT": "60", "IMAP_ENHANCEDIDLE": "0", "IMAP_USELOCKS": "1",
                         "IMAP_MAILBOX_SANITY_CHECK": "1", "IMAP_UMASK": "022", "MAILDIRPATH": "Maildir"}

    def inside(self, *command):
        return run("chroot", self.root, *command)

    def start(self):
        self.log_path = self.at("log")
        with open(self.log_path, "ab") as log:
            for command in ((AUTH,), ("couriertcpd", "-address=127.0.0.1", "-maxprocs=40", "-maxperip=40", "-nodnslookup",
                                      "-noidentlookup", str(self.port), LOGIN, "/usr/bin/imapd", "Maildir")):
                self.processes.append(subprocess.Popen(["chroot", self.root, *command], env=self.settings, stdout=log,
                                                       stderr=log, start_new_session=True))
        wait_for(self.answers, 20, lambda: f"Courier does not start:\n{self.log()}")

    def answers(self):
        with contextlib.suppress(OSError, imaplib.IMAP4.error):
            self.mailboxes()
            return True
        return False

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def stop(self):
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
        self.processes = []
        for pid in filter(str.isdigit, os.listdir("/proc")):  # what has left its session, and lives in this root
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/root") == self.root:
                    os.kill(int(pid), signal.SIGKILL)
