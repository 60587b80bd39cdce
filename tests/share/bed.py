"""A Samba and an NFS server of its own for a test, with the configurations of contrib, and the users that they need.

They run in namespaces of mounts and of network: there the share lies at /srv/scans, the ports are the usual ones, and
/etc/passwd has our users. Nothing of it is seen outside, and it is gone with the process that holds it."""

import json
import os
import re
import subprocess
import threading

from harness import PDF, ROOT, Device, equal, mail, part, pdf, require, send, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
FAMILY, ACCOUNTING, OTHERS = 61000, 61001, 61002
OWNER, ALICE, BOB, CAROL = 61010, 61011, 61012, 61013  # the gateway's; in family; in neither; in accounting
USERS = {"scans": (OWNER, FAMILY), "alice": (ALICE, FAMILY), "bob": (BOB, OTHERS), "carol": (CAROL, ACCOUNTING)}
GROUPS = {"family": FAMILY, "accounting": ACCOUNTING, "others": OTHERS}
PASSWORD = "secret"

# what is written there is nobody else's business
OWN_FOLDERS = ("/etc/samba", "/etc/ganesha", "/var/lib/samba", "/var/cache/samba", "/var/log/samba", "/var/lib/nfs",
               "/run", "/srv")


def contrib(name):
    with open(os.path.join(ROOT, "contrib", name)) as text:
        return text.read()


class Bed:
    def __init__(self, place):
        self.place = place
        self.files = place.make("bed")
        for folder in OWN_FOLDERS:
            require(os.path.isdir(folder), f"{folder} is missing: is its package installed?")
        self.write_users()
        script = self.file("start", "\n".join([
            "set -e", "ip link set lo up",
            *[f"mount --bind {self.files}/{name} /etc/{name}" for name in ("passwd", "group", "shadow")],
            *[f"mount -t tmpfs -o mode=755 none {folder}" for folder in OWN_FOLDERS],
            "mkdir /srv/scans /run/samba /run/ganesha /var/lib/samba/private /var/lib/nfs/ganesha", f"mount --bind {place.share} /srv/scans",
            "echo ready", "exec sleep 1000000"]))
        self.holder = subprocess.Popen(["unshare", "-n", "-m", "sh", script], stdout=subprocess.PIPE)
        place.later(self.end, self.holder)
        equal(self.holder.stdout.readline(), b"ready\n", "the namespaces")
        self.enter = ["nsenter", "-t", str(self.holder.pid), "-n", "-m"]

    def file(self, name, text):
        path = os.path.join(self.files, name)
        with open(path, "w") as out:
            out.write(text)
        return path

    def write_users(self):
        add = {"passwd": [f"{name}:x:{uid}:{gid}::/:/bin/false" for name, (uid, gid) in USERS.items()],
               "group": [f"{name}:x:{gid}:" for name, gid in GROUPS.items()],
               "shadow": [f"{name}:*:19000:0:99999:7:::" for name in USERS]}
        for name, lines in add.items():
            with open(f"/etc/{name}") as text:
                self.file(name, text.read().rstrip("\n") + "\n" + "\n".join(lines) + "\n")

    def run(self, *command, check=True, stdin=""):
        done = subprocess.run([*self.enter, *command], input=stdin, capture_output=True, text=True, timeout=60)
        require(not check or done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return done

    def start(self, *command):
        """A server, with its words in a file. smbd ends all of its group when it ends: it has one of its own."""
        with open(os.path.join(self.files, "log"), "ab") as log:
            process = subprocess.Popen([*self.enter, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       start_new_session=True)
        self.place.later(self.end, process)
        return process

    def log(self):
        with open(os.path.join(self.files, "log"), errors="replace") as text:
            return text.read()[-4000:]

    @staticmethod
    def end(process):
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)

    # --- Samba ---

    def samba(self, more=""):
        """smbd with the configuration of contrib; `more`: lines behind its [scans]."""
        text = "[global]\nserver role = standalone server\ndisable netbios = yes\nload printers = no\n" \
               "smb ports = 445\ninterfaces = lo\nbind interfaces only = yes\n"
        path = self.file("smb.conf", text + contrib("samba/smb.conf") + more + "\n")
        self.run("cp", path, "/etc/samba/smb.conf")
        for name in USERS:
            self.run("smbpasswd", "-s", "-a", name, stdin=f"{PASSWORD}\n{PASSWORD}\n")
        self.start("smbd", "-F", "--no-process-group", "--debug-stdout")
        wait_for(lambda: self.smb("alice", "ls", check=False).returncode == 0, 20,
                 lambda: f"smbd does not serve: {self.smb('alice', 'ls', check=False).stdout} {self.log()}")
        return self

    def smb(self, user, commands, check=True):
        return self.run("smbclient", "-U", f"{user}%{PASSWORD}", "//127.0.0.1/scans", "-c", commands, check=check)

    def acl(self, user, path):
        """The ACL as a Windows client sees it."""
        return self.run("smbcacls", "-U", f"{user}%{PASSWORD}", "//127.0.0.1/scans", path).stdout

    # --- NFS ---

    def ganesha(self, change=lambda text: text):
        path = self.file("ganesha.conf", change(contrib("nfs/ganesha.conf")))
        self.run("cp", path, "/etc/ganesha/ganesha.conf")
        self.start("ganesha.nfsd", "-F", "-f", "/etc/ganesha/ganesha.conf", "-L", "/dev/stdout", "-p", "/run/ganesha/pid")
        wait_for(lambda: self.nfs_ls(check=False).returncode == 0, 30, lambda: f"ganesha does not serve: {self.log()}")
        return self

    def nfs_ls(self, check=True, uid=ALICE, gid=FAMILY):
        return self.run("nfs-ls", f"nfs://127.0.0.1/scans?version=4&uid={uid}&gid={gid}", check=check)

    # --- clients that look all the time ---

    def watcher(self, *command):
        return Watcher(self, command)

    def smb_watcher(self, folder):
        return self.smb_program("smb_watch.py", folder)

    def smb_program(self, name, folder):
        """python3-samba is for the Python of Debian, which may not be the one that runs us."""
        return self.watcher("/usr/bin/python3", os.path.join(HERE, name), "alice", PASSWORD, folder)

    def nfs_watcher(self):
        program = os.path.join(self.files, "nfs_watch")
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libnfs", "nettle"], capture_output=True, text=True,
                               check=True).stdout.split()
        subprocess.run(["gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-o", program, os.path.join(HERE, "nfs_watch.c"),
                        *flags], check=True)
        return self.watcher(program, f"nfs://127.0.0.1/scans?version=4&uid={ALICE}&gid={FAMILY}")


class Watcher:
    """A client in a process of its own: `ready` when it has listed once, and what it saw when its input ends. Each line:
    a name at its first sight, the size that was listed, the size and SHA-256 of what could be read at once."""

    def __init__(self, bed, command):
        self.process = subprocess.Popen([*bed.enter, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        bed.place.later(bed.end, self.process)
        equal(self.process.stdout.readline(), "ready\n", " ".join(command))
        self.lines = []
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.process.stdout), daemon=True)
        self.reader.start()

    def finish(self):
        self.process.stdin.close()
        equal(self.process.wait(60), 0, "the watcher")
        self.reader.join(10)
        return [json.loads(line) for line in self.lines]


# --- what is delivered ------------------------------------------------------------------------------------------------

SHARE = f"owner = {OWNER}\ngroup = {FAMILY}\nmode = 0640\nfolder_mode = 2770\nacl = g:{ACCOUNTING}:r--"
ROUTE = "types = pdf\nfolder = inbox"


def prepare(place):
    """The share as the family has it; who is neither of it nor of accounting stays outside."""
    os.chown(place.share, OWNER, FAMILY)
    os.chmod(place.share, 0o2770)
    subprocess.run(["setfacl", "-m", f"g:{ACCOUNTING}:r-x", "-m", f"d:g:{ACCOUNTING}:r-x", "-m", f"d:g:{FAMILY}:rwx",
                    place.share], check=True)
    # ganesha wants the folder that it exports to be there
    os.mkdir(os.path.join(place.share, "inbox"))
    os.chown(os.path.join(place.share, "inbox"), OWNER, FAMILY)
    os.chmod(os.path.join(place.share, "inbox"), 0o2770)


def config_of(place, route=ROUTE, **more):
    return place.config(gateway=f"user = {OWNER}\n", share=SHARE, route=route, **more)


def name_of(size, seed):
    return f"scan-{seed}-{size}.pdf"


def size_in(name):
    found = re.fullmatch(r"scan-\d+-(\d+)\.pdf", name)
    return int(found.group(1)) if found else None


def deliver_many(port, count, clients=4):
    """So many mails over so many connections; name -> content."""
    sizes = (300, 4096, 70000, 400000)
    wanted = {name_of(size, seed): pdf(size, seed) for seed in range(count) for size in [sizes[seed % len(sizes)] + seed]}
    todo, lock, wrong = list(wanted.items()), threading.Lock(), []

    def client():
        device = Device(port)
        while todo:
            with lock:
                if not todo:
                    break
                name, content = todo.pop(0)
            reply = device.deliver(mail(part(content, name)))
            if not reply.startswith("250"):
                wrong.append(reply)
        device.quit()
    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(wrong, [])
    return wanted
