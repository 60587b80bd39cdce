"""What contrib/samba/README.md tells to do, done as it stands there: in namespaces with an /etc of their own."""

import os
import re
import subprocess

from bed import PASSWORD, contrib
from harness import PDF, ROOT, equal, needs_root, require, scan


def block(kind):
    return re.search(rf"```{kind}\n(.*?)```", contrib("samba/README.md"), re.S).group(1)


@needs_root
def test_as_it_is_written(place):
    """The commands and the two sections make a share on which a scan arrives, for its user to read, change and remove."""
    lines = block("sh").replace("smbpasswd -a", f"printf '{PASSWORD}\\n{PASSWORD}\\n' | smbpasswd -s -a")
    require("smbd -D" not in lines and "reload-config" in lines, lines)
    config = place.file("gateway.conf", f"[gateway]\nstate = {place.state}\n[smtp lan]\nlisten = 127.0.0.1:0\n"
                        f"{block('ini')}\nname = {{name}}\nfree_floor = 0\n[route scans]\ntypes = pdf\nfolder = inbox\n")
    letter, etc = place.file("mail", scan()), place.make("etc")
    client = f"smbclient -U anna%{PASSWORD} //127.0.0.1/scans"
    script = place.file("script", "\n".join([
        "set -e", "ip link set lo up", f"cp -a /etc/. {etc}", f"mount --bind {etc} /etc",
        *[f"mount -t tmpfs -o mode=755 none /{name}" for name in ("var/lib/samba", "var/cache/samba", "var/log/samba", "run", "srv")],
        "mkdir /var/lib/samba/private /run/samba", "smbd -D", f"cd {ROOT}",
        "for turn in $(seq 50); do smbcontrol smbd ping >/dev/null 2>&1 && break; sleep 0.1; done",
        lines, f"{place.program} check -c {config}", f"{place.program} drop -c {config} <{letter}",
        "echo =; stat -c '%U %G %a %n' /srv/scans/inbox /srv/scans/inbox/scan.pdf; echo =",
        f"{client} -c 'ls; cd inbox; get scan.pdf {place.folder}/got; put {letter} scan.pdf; rename scan.pdf mine.pdf; ls'",
        "echo =; cat /srv/scans/inbox/mine.pdf | wc -c", "kill $(cat /run/samba/smbd.pid)"]))
    done = subprocess.run(["unshare", "-n", "-m", "bash", script], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          start_new_session=True, timeout=60)
    equal(done.returncode, 0, done.stdout + done.stderr)
    _, rights, shown, size = done.stdout.split("=\n")
    equal(rights, "scans family 2770 /srv/scans/inbox\nscans family 660 /srv/scans/inbox/scan.pdf\n")
    require("inbox" in shown and "mine.pdf" in shown and "letterchute" not in shown, shown)
    with open(os.path.join(place.folder, "got"), "rb") as content:
        equal(content.read(), PDF)
    equal(int(size), os.path.getsize(letter))
