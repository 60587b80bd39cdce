"""Where a mail goes: by recipient, by tag, by subject, by source and peer; and what is said about routes that are open."""

import json
import os

from harness import equal, require, scan, send, wait_for

ROUTES = """[route channels]
to = cam@*
subject = *channel ?*
folder = cameras/{subject}
[route tags]
to = scan+*@*
folder = by-tag/{to.tag}
name = {to.local}_{name}
[route people]
to = *@people.example
folder = people/{to.local}
[route rest]
to = *@example.org
folder = rest
"""

# the recipient, the subject, what lies on the share
PLACES = [
    ("anna@people.example", "x", "people/anna/scan.pdf"),
    ("Bert@PEOPLE.example", "x", "people/Bert/scan.pdf"),
    ("scan+invoices@example.org", "x", "by-tag/invoices/scan+invoices_scan.pdf"),
    ("scan+a+b@example.org", "x", "by-tag/a+b/scan+a+b_scan.pdf"),
    ("cam@example.org", "Motion on channel 3", "cameras/Motion on channel 3/scan.pdf"),
    ("cam@example.org", "=?utf-8?q?Bewegung_channel_T=C3=BCr?=", "cameras/Bewegung channel Tür/scan.pdf"),
    ("cam@example.org", "a test mail", "rest/scan.pdf"),
    ('"a b"@people.example', "x", None),  # what its folder is called is policy/filename's
    ("scan+../../etc@example.org", "x", None),
    ("..@people.example", "x", None),
    ("cam@example.org", "channel ../../../etc/passwd", None),
    ("scan+@example.org", "x", None),
]


def test_recipient_and_subject_choose_the_folder(place):
    with place.gateway(text=ROUTES, route=None) as gateway:
        for count, (to, subject, path) in enumerate(PLACES):
            before = set(place.files())
            reply = send(gateway.port, scan(500 + count, subject=subject), to=[to])
            require(reply.startswith("250"), f"{to}: {reply}")
            (found,) = set(place.files()) - before
            if path:
                equal(found, path)
        equal(sorted({name.split("/")[0] for name in place.files()}), ["by-tag", "cameras", "people", "rest"])


def test_tags_of_one_mail(place):
    """Recipients that reach one route count once: the first says where."""
    with place.gateway(text=ROUTES, route=None) as gateway:
        to = ["scan+b@example.org", "scan+a@example.org", "anna@people.example"]
        require(send(gateway.port, scan(), to=to).startswith("250"))
        equal(sorted(place.files()), ["by-tag/b/scan+b_scan.pdf", "people/anna/scan.pdf"])


def test_listener_and_peer_choose(place):
    """Several listeners; what one takes another refuses."""
    text = ("[smtp submission]\nlisten = 127.0.0.1:0\ntls = off\n[smtp cameras]\nlisten = 127.0.0.1:0\ntls = off\n"
            "[route cameras]\nsource = cameras\nfolder = cameras\n[route one]\nsource = lan\npeers = 127.0.0.9\nfolder = one\n"
            "[route submission]\nsource = submission\nfolder = submission\n")
    with place.gateway(text=text, route=None) as gateway:
        wait_for(lambda: gateway.is_ready() and len(gateway.ports) == 3)
        require(send(gateway.ports["cameras"], scan(100)).startswith("250"))
        require(send(gateway.ports["submission"], scan(200)).startswith("250"))
        reply = send(gateway.ports["lan"], scan(300))
        require(reply.startswith("550 5.7.1"), reply)
        equal(gateway.last()["reason"], "peer")
        equal(sorted(place.files()), ["cameras/scan.pdf", "submission/scan.pdf"])


# keys of the listener, keys of the route, further sections, is it open
OPEN = [
    ("", "", "", False),
    ("peers = private", "", "", False),
    ("peers = 203.0.113.7", "", "", False),
    ("peers = 0.0.0.0/0", "", "", True),
    ("peers = 0.0.0.0/0", "from = a@b", "", True),
    ("peers = 0.0.0.0/0", "auth = peer", "", True),
    ("peers = 0.0.0.0/0", "auth = login", "", False),
    ("peers = 0.0.0.0/0", "login = scanner", "", False),
    ("peers = 0.0.0.0/0", "peers = 192.168.1.0/24", "", False),
    ("peers = 0.0.0.0/0", "source = drop", "", False),
    ("peers = 0.0.0.0/0\nauth = require\nusers = {users}", "", "", False),
    ("peers = 0.0.0.0/0\nauth = optional\nusers = {users}", "", "", True),
    ("peers = 0.0.0.0/0\nauth = accept-any", "", "", True),
    ("", "", "[maildir post]\npath = /nowhere\n", True),
    ("", "source = lan", "[maildir post]\npath = /nowhere\n", False),
    ("", "from = a@b", "[imap box]\nhost = 127.0.0.1\nport = 9\nuser = x\npassword = x\n", True),
    ("", "auth = results", "[imap box]\nhost = 127.0.0.1\nport = 9\nuser = x\npassword = x\n", False),
]


def test_open_routes_are_told(place):
    users = place.file("users", "scanner:$6$x$" + "0" * 86 + "\n")
    os.chmod(users, 0o600)
    for number, (smtp, route, text, is_open) in enumerate(OPEN):
        smtp = smtp.replace("{users}", users)
        config = place.config(text=text, smtp=smtp, route=f"types = pdf\n{route}", name=f"{number}.conf")
        done = place.run("check", "--offline", "--json", "-c", config)
        found = [one for one in map(json.loads, done.stdout.splitlines())
                 if one["what"] == "route scans" and "strangers" in one["text"]]
        equal(len(found), is_open, f"{smtp} {route}")
        if is_open:
            require(found[0]["ok"] and found[0]["remedy"], found)
            equal("filter and no proof" in found[0]["text"], "from" in route)
        with place.gateway(config=config, log=f"{number}.log") as gateway:
            told = [line for line in gateway.log().splitlines() if line.startswith("open-route ")]
            equal(len(told), is_open, f"{smtp} {route}")
            require(not told or "route scans" in told[0] and "remedy" in told[0], told)
