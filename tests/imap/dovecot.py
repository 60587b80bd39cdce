"""A Dovecot of our own on loopback: no file of the system is read or written, every user has the same password.

    server = Dovecot(place)                 # plain, STARTTLS and implicit TLS, each on a port of its own
    server.append(message, "INBOX")         # the UID that it got
    server.uids(), server.count("Refused"), server.idling("scans")"""

import contextlib
import getpass
import grp
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess

from certs import certs
from client import PASSWORD, USER, Mailboxes
from harness import IS_ROOT, command_line, tree, wait_for

MAIL_ID = 64010  # whose files the mails are, when we are root: Dovecot serves none of root's

ALL = "IMAP4rev1 SASL-IR LITERAL+ ENABLE IDLE NAMESPACE UIDPLUS LIST-EXTENDED UNSELECT CHILDREN MOVE"

CONFIG = """
protocols = imap
listen = {address}
base_dir = {run}/base
state_dir = {run}/state
instance_name = {name}
log_path = {run}/dovecot.log
default_internal_user = {internal}
default_internal_group = {group}
default_login_user = {login}
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 1
mail_home = {run}/mail/%u
mail_location = maildir:~/Maildir
mail_max_userip_connections = 0
mail_fsync = never
mailbox_idle_check_interval = 2s
verbose_proctitle = yes
auth_failure_delay = 0
disable_plaintext_auth = no
auth_mechanisms = {mechanisms}
stats_writer_socket_path =
{tls}
service imap-login {{
  chroot =
  service_count = 0
  client_limit = 2000
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service imap {{
  process_limit = 600
  {imap}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
{passdb}
userdb {{
  driver = static
  args = home={run}/mail/%u allow_all_users=yes
}}
namespace inbox {{
  inbox = yes
  separator = {separator}
  prefix = {prefix}
}}
protocol imap {{
  {capability}
}}
{more}
"""

PASSDB = """passdb {{
  driver = static
  args = password={password}
}}"""


TAKEN = set()


def free_port():
    """Below those that the kernel gives to clients: nobody takes it between two starts of a server. Each once."""
    while True:
        port = random.randrange(20000, 32000)
        if port in TAKEN:
            continue
        TAKEN.add(port)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


class Dovecot(Mailboxes):
    """`without`: capabilities that it does not announce. `cert`: the name of what it shows (certs.py); None: no TLS.
    `passdb`, `mechanisms`, `more`: text for the configuration. `wrapper`: a command that it is started by."""

    def __init__(self, place, name="dovecot", cert="good", without=(), separator="/", prefix="", address="127.0.0.1",
                 passdb=None, mechanisms="plain login", imap="", more="", wrapper=(), start=True):
        self.run, self.place, self.address, self.prefix = place.make(name), place, address, prefix
        self.separator, self.wrapper, self.process = separator, list(wrapper), None
        self.port, self.tls_port = free_port(), free_port()
        for folder in ("mail", "base", "state"):
            os.mkdir(os.path.join(self.run, folder))
        who = getpass.getuser()
        us = dict(internal="dovecot", login="dovenull", group="dovecot", uid=MAIL_ID, gid=MAIL_ID)
        if IS_ROOT:
            os.chown(os.path.join(self.run, "mail"), MAIL_ID, MAIL_ID)
        else:
            us = dict(internal=who, login=who, group=grp.getgrgid(os.getgid()).gr_name, uid=os.getuid(),
                      gid=pwd.getpwnam(who).pw_gid)
        tls = "ssl = no"
        if cert:
            tls = f"ssl = yes\nssl_cert = <{certs().cert(cert)}\nssl_key = <{certs().key(cert)}"
        capability = ""
        if without:
            capability = "imap_capability = " + " ".join(word for word in ALL.split() if word not in without)
        self.config = os.path.join(self.run, "dovecot.conf")
        with open(self.config, "w") as out:
            out.write(CONFIG.format(run=self.run, name=f"{os.path.basename(place.folder)}-{name}", address=address,
                                    mechanisms=mechanisms, tls=tls, port=self.port, tls_port=self.tls_port, imap=imap,
                                    passdb=passdb or PASSDB.format(password=PASSWORD), separator=separator,
                                    prefix=prefix, capability=capability, more=more, **us))
        place.later(self.stop, signal.SIGKILL)
        if start:
            self.start()

    # --- starting and stopping ------------------------------------------------------------------------------------

    def start(self):
        with open(os.path.join(self.run, "output"), "ab") as output:
            self.process = subprocess.Popen([*self.wrapper, "dovecot", "-F", "-c", self.config], stdout=output,
                                            stderr=output)
        wait_for(self.answers, 20, lambda: f"Dovecot does not start:\n{self.log()}")
        return self

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"Dovecot ended with {self.process.returncode}:\n{self.log()}")
        with contextlib.suppress(OSError), socket.create_connection((self.address, self.port), 5) as probe:
            return probe.recv(4) == b"* OK"
        return False

    def stop(self, signal_number=signal.SIGTERM):
        """All its processes are gone when this returns."""
        if not self.process:
            return
        # one that is made after it was listed would live on, and be silent
        if signal_number == signal.SIGKILL and self.process.poll() is None:
            self.process.send_signal(signal.SIGSTOP)
        pids = [self.process.pid, *(pid for pid, _ in tree(self.process.pid))]
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)
        self.process = None

    def restart(self):
        self.stop()
        self.start()

    def log(self):
        text = ""
        for name in ("output", "dovecot.log"):
            path = os.path.join(self.run, name)
            if os.path.exists(path):
                with open(path, errors="replace") as log:
                    text += log.read()
        return text

    # --- what no client can do ---------------------------------------------------------------------------------------

    def new_validity(self, mailbox="INBOX", user=USER):
        """The same messages under the same UIDs, with another UIDVALIDITY."""
        self.doveadm("mailbox", "update", "-u", user, "--uid-validity", str(self.validity(mailbox, user) + 7), mailbox)

    def doveadm(self, *command):
        done = subprocess.run(["doveadm", "-c", self.config, *command], capture_output=True, text=True)
        if done.returncode:
            raise AssertionError(f"doveadm {' '.join(command)}: {done.stderr}")
        return done.stdout

    # --- who is connected -----------------------------------------------------------------------------------------

    def sessions(self, user=USER):
        """Process and state of each session of a user, as Dovecot writes them into the title of the process."""
        found = []
        for pid, name in tree(self.process.pid):
            title = name == "imap" and re.search(r"\[(\S+) \S+ ?(.*?)\]", command_line(pid))
            if title and title.group(1) == user:
                found.append((pid, title.group(2)))
        return found

    def idling(self, user=USER):
        return [pid for pid, state in self.sessions(user) if state == "IDLE"]

    def wait_idling(self, user=USER, seconds=20):
        wait_for(lambda: self.idling(user), seconds, lambda: f"nobody idles as {user}: {self.sessions(user)}")

    def kick(self, user=USER):
        """Ends its sessions without a word."""
        for pid, _ in self.sessions(user):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def forget(self, user=USER):
        """Everything of this user is gone."""
        self.kick(user)
        shutil.rmtree(os.path.join(self.run, "mail", user), ignore_errors=True)
