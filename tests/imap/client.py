"""What a test does with the mailboxes of a real server, by Python's own client."""

import contextlib
import imaplib
import re
import time

USER, PASSWORD = "scans", "s3cret-word"


class Mailboxes:
    """Of a server that has an address and a port. Names of mailboxes are those on the wire."""

    @contextlib.contextmanager
    def client(self, user=USER, mailbox=None, readonly=True):
        client = imaplib.IMAP4(self.address, self.port, timeout=30)
        try:
            client.login(user, PASSWORD)
            if mailbox:
                good(client.select(quoted(mailbox), readonly))
            yield client
        finally:
            with contextlib.suppress(Exception):
                client.logout()

    def append(self, message, mailbox="INBOX", flags=(), date=None, user=USER):
        """The UID that it got."""
        return self.append_all([message], mailbox, flags, date, user)[0]

    def append_all(self, messages, mailbox="INBOX", flags=(), date=None, user=USER):
        """Several over one connection, as fast as they go."""
        found = []
        with self.client(user) as client:
            for message in messages:
                text = good(client.append(quoted(mailbox), " ".join(flags), date, message))
                found.append(int(re.search(rb"APPENDUID \d+ (\d+)", text[0]).group(1)))
        return found

    def uids(self, mailbox="INBOX", criteria="ALL", user=USER):
        with self.client(user, mailbox) as client:
            return [int(uid) for uid in good(client.uid("SEARCH", criteria))[0].split()]

    def count(self, mailbox="INBOX", user=USER):
        """0 also for a mailbox that there isn't."""
        if mailbox not in self.mailboxes(user):
            return 0
        return len(self.uids(mailbox, user=user))

    def flags(self, mailbox="INBOX", user=USER):
        """UID -> its flags, \\Recent apart."""
        with self.client(user, mailbox) as client:
            lines = good(client.uid("FETCH", "1:*", "(FLAGS)"))
        found = {}
        for line in filter(None, lines):
            uid = int(re.search(rb"UID (\d+)", line).group(1))
            words = re.search(rb"FLAGS \((.*?)\)", line).group(1).decode().split()
            found[uid] = sorted(set(words) - {"\\Recent"})
        return found

    def messages(self, mailbox="INBOX", user=USER):
        """UID -> octets."""
        with self.client(user, mailbox) as client:
            parts = good(client.uid("FETCH", "1:*", "(BODY.PEEK[])"))
        return {int(re.search(rb"UID (\d+)", part[0]).group(1)): part[1] for part in parts if isinstance(part, tuple)}

    def store(self, uid, flags, mailbox="INBOX", how="+FLAGS", user=USER):
        with self.client(user, mailbox, False) as client:
            good(client.uid("STORE", str(uid), how, "(" + " ".join(flags) + ")"))

    def expunge(self, uid, mailbox="INBOX", user=USER):
        self.store(uid, ["\\Deleted"], mailbox, user=user)
        with self.client(user, mailbox, False) as client:
            good(client.expunge())

    def mailboxes(self, user=USER):
        with self.client(user) as client:
            lines = good(client.list())
        names = [re.search(rb'\) (?:"."|NIL) (?:"(.*)"|(.*))$', line).expand(rb"\1\2") for line in lines if line]
        return [re.sub(rb"\\(.)", rb"\1", name).decode() for name in names]

    def create(self, mailbox, user=USER):
        with self.client(user) as client:
            good(client.create(quoted(mailbox)))

    def recreate(self, mailbox, user=USER):
        """Empty, and with another UIDVALIDITY. Not for INBOX."""
        before = self.validity(mailbox, user)
        while self.validity(mailbox, user) == before:
            with self.client(user) as client:
                good(client.delete(quoted(mailbox)))
                time.sleep(1)  # most servers take the time in seconds
                good(client.create(quoted(mailbox)))

    def validity(self, mailbox="INBOX", user=USER):
        with self.client(user) as client:
            text = good(client.status(quoted(mailbox), "(UIDVALIDITY)"))[0]
        return int(re.search(rb"UIDVALIDITY (\d+)", text).group(1))


def good(answer):
    if answer[0] != "OK":
        raise AssertionError(f"the server says {answer}")
    return answer[1]


def quoted(mailbox):
    return '"' + mailbox.replace("\\", "\\\\").replace('"', '\\"') + '"'
