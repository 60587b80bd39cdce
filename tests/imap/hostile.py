"""An IMAP server that keeps a mailbox in memory and serves it as it should, but for the step at which it is told not to.

    server = Server(place, trick=Trick("FETCH", function))
    server.arrive(message)                   # into INBOX; those who idle hear of it
    server.be_honest()                       # from here on; sessions that are being tricked go on being it

It writes down what it was told (`calls`), what was taken away from it and whether the file was on the share then
(`removed`), and what a client may not do (`violations`). A step is a command's name, `UID` apart, or `connect`, before
anything, `greeting`, and `DONE`, the end of an IDLE. The function of a trick gets the session and the call; what it wants to be
done as it should be, it has done by `session.obey(call)`, or, without a word said, by `session.perform(call)`."""

import base64
import contextlib
import re
import select
import socket
import ssl
import struct
import threading
import time

CRLF = b"\r\n"
CAPABILITIES = ("IMAP4rev1", "SASL-IR", "LITERAL+", "IDLE", "UIDPLUS", "MOVE", "NAMESPACE", "UNSELECT")
DATE = "21-Nov-2026 10:00:00 +0000"
LINE_MAX = 1 << 20
BEFORE_LOGIN = {"CAPABILITY", "NOOP", "LOGOUT", "STARTTLS", "LOGIN", "AUTHENTICATE", "ID"}
WITHOUT_BOX = BEFORE_LOGIN | {"LIST", "LSUB", "CREATE", "SELECT", "EXAMINE", "STATUS", "NAMESPACE", "ENABLE", "SUBSCRIBE",
                              "IDLE"}


class Gone(Exception):
    """The client is, or is to be taken for it."""


class Trick:
    """`function` at `step`, or at several, so many times, and only `when` the call is one of those that are meant."""

    def __init__(self, step, function, times=2, when=None):
        self.steps = {step} if isinstance(step, str) else set(step)
        self.function, self.left, self.when = function, times, when

    def is_for(self, call):
        return call.name in self.steps and self.left > 0 and (not self.when or self.when(call))


class Message:
    def __init__(self, uid, octets, flags=(), date=DATE):
        self.uid, self.octets, self.flags, self.date = uid, octets, set(flags), date


class Box:
    def __init__(self, name, validity=1000):
        self.name, self.validity, self.next, self.messages = name, validity, 1, {}

    def add(self, octets, flags=(), date=DATE):
        message = Message(self.next, octets, flags, date)
        self.messages[message.uid] = message
        self.next += 1
        return message


class Call:
    def __init__(self, tag, name, words=(), line=b"", by_uid=False):
        self.tag, self.name, self.words, self.line, self.by_uid = tag, name, list(words), line, by_uid
        self.time = time.monotonic()


class Server:
    """`tls`: off, starttls or implicit, with a context of the ssl module. `witness(message)` says whether its file is on
    the share; it is asked when the message is marked or taken away. `tokens`: what XOAUTH2 and OAUTHBEARER take."""

    def __init__(self, place, trick=None, tls="off", context=None, without=(), more=(), separator="/", witness=None,
                 user="scans", password="s3cret-word", tokens=(), announces=True, foreign_flags=True):
        self.trick, self.tls, self.context, self.separator = trick, tls, context, separator
        self.capabilities = [word for word in (*CAPABILITIES, *more) if word not in without]
        self.user, self.password, self.tokens, self.announces = user, password, tokens, announces
        self.foreign_flags, self.witness = foreign_flags, witness
        self.lock = threading.RLock()
        self.boxes = {"INBOX": Box("INBOX")}
        self.sessions, self.calls, self.removed, self.marked, self.violations = [], [], [], [], []
        self.offered_tokens = ("AUTH=XOAUTH2", "AUTH=OAUTHBEARER") if tokens else ()
        self.spares = []  # what a trick lets arrive
        self.hits, self.poured, self.stalls, self.ending = 0, 0, [], False
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()
        place.later(self.stop)

    @property
    def inbox(self):
        return self.boxes["INBOX"]

    def accept(self):
        with contextlib.suppress(OSError):
            while not self.ending:
                connection, _ = self.listener.accept()
                session = Session(self, connection, len(self.sessions) + 1)
                self.sessions.append(session)
                session.start()

    def stop(self):
        self.ending = True
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # accept wakes up
        self.listener.close()
        for session in self.sessions:
            session.close()

    def drop(self):
        """Every connection is reset."""
        for session in self.sessions:
            session.reset()

    def be_honest(self):
        self.trick = None

    def take_trick(self, call):
        """The function that takes this step over, if there is one."""
        with self.lock:
            trick = self.trick
            if not trick or not trick.is_for(call):
                return None
            trick.left -= 1
            self.hits += 1
            return trick.function

    def arrive(self, octets, flags=(), box="INBOX", date=DATE):
        with self.lock:
            return self.boxes[box].add(octets, flags, date)

    # by the names that client.py has

    def append(self, octets, mailbox="INBOX", flags=(), date=DATE):
        return self.arrive(octets, flags, mailbox, date).uid

    def create(self, mailbox):
        with self.lock:
            self.boxes[mailbox] = Box(mailbox, 1000 + len(self.boxes))

    def store(self, uid, flags, mailbox="INBOX"):
        self.boxes[mailbox].messages[uid].flags |= set(flags)

    def count(self, box="INBOX"):
        with self.lock:
            return len(self.boxes[box].messages) if box in self.boxes else 0

    def uids(self, mailbox="INBOX"):
        with self.lock:
            return list(self.boxes[mailbox].messages)

    def flags(self, mailbox="INBOX"):
        with self.lock:
            return {uid: sorted(message.flags) for uid, message in self.boxes[mailbox].messages.items()}

    def mailboxes(self):
        return list(self.boxes)

    def new_validity(self, mailbox="INBOX"):
        self.boxes[mailbox].validity += 7

    def octets(self, box="INBOX"):
        with self.lock:
            return [message.octets for message in self.boxes[box].messages.values()] if box in self.boxes else []

    def names(self):
        """The commands of all sessions, in order."""
        return [call.name for call in self.calls]

    def idling(self):
        return any(session.is_idling for session in self.sessions)

    def note_removal(self, message, how):
        self.removed.append((message, how, self.witness(message) if self.witness else None))

    def note_mark(self, message):
        self.marked.append((message, self.witness(message) if self.witness else None))

    def too_early(self):
        """What was marked or taken away before its file was on the share."""
        return ([f"UID {message.uid} by {how}" for message, how, good in self.removed if good is False] +
                [f"UID {message.uid} by a flag" for message, good in self.marked if good is False])


class Session(threading.Thread):
    def __init__(self, server, connection, number):
        super().__init__(daemon=True)
        self.server, self.socket, self.number = server, connection, number
        self.buffer, self.box, self.view = b"", None, []
        self.is_read_only = self.is_known = self.is_over = self.is_idling = self.is_closed = False
        self.secured = False
        self.pace = None  # seconds an octet
        self.mutate = None

    # --- octets -----------------------------------------------------------------------------------------------------

    def send(self, *parts):
        data = b"".join(part if isinstance(part, bytes) else part.encode() for part in parts)
        if self.mutate:
            data = self.mutate(data)
        size = 1 if self.pace else len(data)
        for at in range(0, len(data), size or 1):
            try:
                self.socket.sendall(data[at:at + size])
            except (OSError, ssl.SSLError) as error:
                raise Gone from error
            if self.pace:
                self.stall(self.pace)

    def pour(self, chunk, total=400 << 20):
        """So much of it, or as much as it takes; what was taken is counted."""
        block = chunk * max(1, 65536 // len(chunk))
        sent = 0
        while sent < total and not self.server.ending:
            self.send(block)
            sent += len(block)
            self.server.poured = max(self.server.poured, sent)

    def stall(self, seconds=600):
        """Says nothing until the client goes."""
        started = time.monotonic()
        try:
            while time.monotonic() < started + seconds and not self.server.ending:
                # what it sends meanwhile is left for later
                ready, _, _ = select.select([self.socket], [], [], 0.1)
                if ready and self.is_at_end():
                    raise Gone
                time.sleep(0.02 if ready else 0)
        finally:
            if seconds > 5:
                self.server.stalls.append(time.monotonic() - started)

    def is_at_end(self):
        try:
            if isinstance(self.socket, ssl.SSLSocket):
                self.socket.setblocking(False)
                with contextlib.suppress(ssl.SSLWantReadError):
                    more = self.socket.recv(65536)
                    self.buffer += more
                    return not more
                return False
            return self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            with contextlib.suppress(OSError):
                self.socket.setblocking(True)

    def has_input(self, seconds):
        if self.buffer or (isinstance(self.socket, ssl.SSLSocket) and self.socket.pending()):
            return True
        try:
            return bool(select.select([self.socket], [], [], seconds)[0])
        except (OSError, ValueError) as error:
            raise Gone from error

    def read_more(self):
        try:
            more = self.socket.recv(65536)
        except (OSError, ssl.SSLError) as error:
            raise Gone from error
        if not more:
            raise Gone
        self.buffer += more

    def read_line(self):
        while b"\n" not in self.buffer:
            if len(self.buffer) > LINE_MAX:
                raise Gone
            self.read_more()
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.removesuffix(b"\r")

    def read_octets(self, count):
        while len(self.buffer) < count:
            self.read_more()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def close(self):
        self.is_closed = True
        # shut down first: a thread that reads from it wakes up
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self.socket.close()

    def reset(self):
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.socket.close()

    # --- one session ------------------------------------------------------------------------------------------------

    def run(self):
        with contextlib.suppress(Gone, OSError, ssl.SSLError, ValueError):
            self.serve()
        self.is_idling = False
        self.close()

    def serve(self):
        for step in ("connect", "greeting"):
            self.take(Call(b"*", step))
        while not self.is_over:
            line = self.read_line()
            call = self.read_call(line)
            self.server.calls.append(call)
            self.take(call)

    def take(self, call):
        trick = self.server.take_trick(call)
        if trick:
            trick(self, call)
        else:
            self.obey(call)

    def read_call(self, line):
        """A command with its literals."""
        words, whole = [], line
        while True:
            literal = re.search(rb"\{(\d+)(\+?)\}$", line)
            words += split_words(line[:literal.start()] if literal else line)
            if not literal:
                break
            if not literal.group(2):
                self.send(b"+ go on\r\n")
            words.append(self.read_octets(int(literal.group(1))))
            line = self.read_line()
            whole += CRLF + words[-1] + line
        tag = words.pop(0) if words else b"*"
        name = words.pop(0).upper().decode(errors="replace") if words else ""
        by_uid = name == "UID" and bool(words)
        if by_uid:
            name = words.pop(0).upper().decode(errors="replace")
        return Call(tag, name, words, whole, by_uid)

    def obey(self, call):
        """As it should be."""
        if call.name == "connect":
            if self.server.tls == "implicit":
                self.secure()
        elif call.name == "greeting":
            self.send(self.answer(call))
        elif call.name == "IDLE":
            self.idle(call)
        elif call.name == "AUTHENTICATE":
            self.authenticate(call)
        elif call.name == "STARTTLS":
            self.end(call, *self.perform(call))
            self.secure()
        else:
            self.end(call, *self.perform(call))

    def end(self, call, untagged=b"", status="OK done"):
        """All of it at once, as servers do."""
        self.send(untagged, call.tag, b" ", status, CRLF)

    def answer(self, call):
        """Does it: all the octets of the answer."""
        if call.name == "greeting":
            return f"* OK {self.code()}ready\r\n".encode()
        untagged, status = self.perform(call)
        return untagged + call.tag + b" " + status.encode() + CRLF

    def surprise(self):
        """A mail arrives right now: the line that says so, if there is one left."""
        with self.server.lock:
            if not self.server.spares:
                return b""
            self.box.add(self.server.spares.pop(0))
            return self.news()

    def perform(self, call):
        """Does it: (untagged lines, what follows the tag)."""
        method = getattr(self, "do_" + call.name.lower(), None)
        problem = None
        if not method:
            problem = "BAD no such command"
        elif not self.is_known and call.name not in BEFORE_LOGIN:
            problem = "BAD not logged in"
        elif not self.box and call.name not in WITHOUT_BOX:
            problem = "BAD no mailbox"
        elif not self.may(call):
            problem = "BAD that is nothing I said I could do"
        if problem:
            self.violate(call, problem)
            return b"", problem
        with self.server.lock:
            try:
                return method(call)
            except (IndexError, ValueError, UnicodeDecodeError) as error:
                self.violate(call, repr(error))
                return b"", "BAD arguments"

    def may(self, call):
        needed = {"IDLE": "IDLE", "MOVE": "MOVE", "NAMESPACE": "NAMESPACE", "UNSELECT": "UNSELECT", "ENABLE": "ENABLE",
                  "ID": "ID"}.get(call.name)
        if call.name == "EXPUNGE" and call.by_uid:
            needed = "UIDPLUS"
        return not needed or needed in self.server.capabilities

    def violate(self, call, problem):
        self.server.violations.append(f"{problem}: {call.line[:200]!r}")

    def secure(self):
        if self.buffer:
            self.violate(Call(b"*", "TLS", line=self.buffer), "more before TLS")
            self.buffer = b""
        try:
            self.socket = self.server.context.wrap_socket(self.socket, server_side=True)
        except (OSError, ssl.SSLError) as error:
            raise Gone from error
        self.secured = True

    # --- before a mailbox -------------------------------------------------------------------------------------------

    def offered(self):
        words = list(self.server.capabilities)
        if not self.is_known:
            if self.server.tls == "starttls" and not self.secured:
                words.append("STARTTLS")
            words += ["AUTH=PLAIN", *self.server.offered_tokens]
        return " ".join(words)

    def code(self):
        return f"[CAPABILITY {self.offered()}] " if self.server.announces else ""

    def do_capability(self, call):
        return f"* CAPABILITY {self.offered()}\r\n".encode(), "OK that is all"

    def do_starttls(self, call):
        if self.server.tls != "starttls" or self.secured:
            self.violate(call, "no STARTTLS here")
            return b"", "BAD no"
        return b"", "OK begin"

    def know(self, is_good):
        if not is_good:
            return b"", "NO [AUTHENTICATIONFAILED] Authentication failed."
        self.is_known = True
        return b"", f"OK {self.code()}logged in"

    def do_login(self, call):
        return self.know([word.decode() for word in call.words] == [self.server.user, self.server.password])

    def authenticate(self, call):
        method = call.words[0].upper()
        if len(call.words) > 1:
            answer = call.words[1]
        else:
            self.send(b"+ \r\n")
            answer = self.read_line()
        said = base64.b64decode(b"" if answer == b"=" else answer)
        if method == b"PLAIN":
            good = said.split(b"\0")[1:] == [self.server.user.encode(), self.server.password.encode()]
        else:
            token = re.search(rb"\x01auth=Bearer (.*?)\x01\x01$", said)
            good = bool(token) and token.group(1).decode() in self.server.tokens
            if not good:
                self.send("+ ", base64.b64encode(b'{"status":"invalid_token"}'), CRLF)
                self.read_line()
        self.end(call, *self.know(good))

    do_authenticate = do_idle = None  # see obey

    def do_noop(self, call):
        return self.news(), "OK done"

    do_check = do_noop

    def do_logout(self, call):
        self.is_over = True
        return b"* BYE see you\r\n", "OK done"

    def do_enable(self, call):
        return b"* ENABLED\r\n", "OK done"

    def do_id(self, call):
        return b"* ID NIL\r\n", "OK done"

    def do_namespace(self, call):
        return f'* NAMESPACE (("" "{self.server.separator}")) NIL NIL\r\n'.encode(), "OK done"

    def name_of(self, word):
        """A mailbox is named in modified UTF-7."""
        name = word.decode("ascii")
        if re.search(r"&(?![A-Za-z0-9+,]*-)|[\x00-\x1f\x7f]", name):
            raise ValueError("not a name of a mailbox")
        return "INBOX" if name.upper() == "INBOX" else name

    def do_list(self, call):
        wanted = self.name_of(call.words[1])
        if not wanted:
            return f'* LIST (\\Noselect) "{self.server.separator}" ""\r\n'.encode(), "OK done"
        pattern = re.compile("".join(".*" if c == "*" else f"[^{re.escape(self.server.separator)}]*" if c == "%" else
                                     re.escape(c) for c in call.words[0].decode() + wanted))
        lines = [f'* LIST (\\HasNoChildren) "{self.server.separator}" "{name}"\r\n' for name in self.server.boxes
                 if pattern.fullmatch(name)]
        return "".join(lines).encode(), "OK done"

    do_lsub = do_list

    def do_subscribe(self, call):
        return b"", "OK done"

    def do_create(self, call):
        name = self.name_of(call.words[0])
        if name in self.server.boxes:
            return b"", "NO [ALREADYEXISTS] there is one"
        self.server.boxes[name] = Box(name, 1000 + len(self.server.boxes))
        return b"", "OK created"

    def do_status(self, call):
        name = self.name_of(call.words[0])
        box = self.server.boxes.get(name)
        if not box:
            return b"", "NO [NONEXISTENT] no such mailbox"
        return (f'* STATUS "{name}" (MESSAGES {len(box.messages)} UIDNEXT {box.next} UIDVALIDITY {box.validity})\r\n'
                .encode()), "OK done"

    def do_select(self, call):
        self.box = self.server.boxes.get(self.name_of(call.words[0]))
        if not self.box:
            return b"", "NO [NONEXISTENT] no such mailbox"
        self.is_read_only = call.name == "EXAMINE"
        self.view = list(self.box.messages)
        known = "\\Answered \\Flagged \\Deleted \\Seen \\Draft"
        lasting = known + (" \\*" if self.server.foreign_flags else "")
        return (f"* FLAGS ({known})\r\n* OK [PERMANENTFLAGS ({lasting})] these last\r\n* {len(self.view)} EXISTS\r\n"
                f"* 0 RECENT\r\n* OK [UIDVALIDITY {self.box.validity}] so old\r\n* OK [UIDNEXT {self.box.next}] next\r\n"
                .encode()), f"OK [READ-{'ONLY' if self.is_read_only else 'WRITE'}] opened"

    do_examine = do_select

    # --- in a mailbox -----------------------------------------------------------------------------------------------

    def news(self):
        """What happened since the last look."""
        lines = []
        if self.box:
            with self.server.lock:
                for uid in [uid for uid in self.view if uid not in self.box.messages]:
                    lines.append(f"* {self.view.index(uid) + 1} EXPUNGE\r\n")
                    self.view.remove(uid)
                fresh = [uid for uid in self.box.messages if uid not in self.view]
                if fresh:
                    self.view += fresh
                    lines.append(f"* {len(self.view)} EXISTS\r\n* 0 RECENT\r\n")
        return "".join(lines).encode()

    def do_close(self, call):
        box, self.box = self.box, None
        if call.name == "CLOSE" and not self.is_read_only:
            self.remove([uid for uid, message in box.messages.items() if "\\Deleted" in message.flags], box, "CLOSE")
        return b"", "OK done"

    do_unselect = do_close

    def chosen(self, words, by_uid):
        """The UIDs of a sequence set that there are."""
        found = set()
        space = self.view if by_uid else list(range(1, len(self.view) + 1))
        top = max(space, default=0)
        for one in words.decode().split(","):
            ends = [top if end == "*" else int(end) for end in one.split(":")]
            found |= {number for number in space if min(ends) <= number <= max(ends)}
        return [uid if by_uid else self.view[uid - 1] for uid in sorted(found)]

    def here(self, call):
        """Messages that a command names and that are still there."""
        return [self.box.messages[uid] for uid in self.chosen(call.words[0], call.by_uid) if uid in self.box.messages]

    def do_search(self, call):
        self.news_before = self.news()
        words = list(call.words)
        if words and words[0].upper() == b"CHARSET":
            words = words[2:]
        found = [m for uid in self.view if (m := self.box.messages.get(uid))]
        wanted = self.search_keys(words)
        numbers = [m.uid if call.by_uid else self.view.index(m.uid) + 1 for m in found if all(key(m) for key in wanted)]
        return ("* SEARCH" + "".join(f" {number}" for number in numbers) + "\r\n").encode() + self.news_before, "OK done"

    def search_keys(self, words):
        keys = []
        while words:
            keys.append(self.search_key(words))
        return keys

    def search_key(self, words):
        word = words.pop(0)
        if word.startswith(b"("):
            inner = self.search_keys(split_words(word[1:-1]))
            return lambda m: all(key(m) for key in inner)
        word = word.upper().decode()
        if word == "ALL":
            return lambda m: True
        if word == "NOT":
            key = self.search_key(words)
            return lambda m: not key(m)
        if word == "OR":
            first, second = self.search_key(words), self.search_key(words)
            return lambda m: first(m) or second(m)
        if word == "UID":
            uids = self.chosen(words.pop(0), True)
            return lambda m: m.uid in uids
        if word in ("KEYWORD", "UNKEYWORD"):
            flag = words.pop(0).decode().lower()
            return lambda m: (flag in {f.lower() for f in m.flags}) == (word == "KEYWORD")
        plain = word.removeprefix("UN")
        if plain in ("DELETED", "SEEN", "ANSWERED", "FLAGGED", "DRAFT"):
            return lambda m: ("\\" + plain.capitalize() in m.flags) == (plain == word)
        uids = self.chosen(word.encode(), False)
        return lambda m: m.uid in uids

    def do_fetch(self, call):
        items = re.findall(rb"[A-Z0-9.]+(?:\[[^\]]*\])?(?:<\d+\.\d+>)?", b" ".join(call.words[1:]).upper())
        data = b"".join(self.fetched(message, items, call.by_uid) for message in self.here(call))
        return data + (self.news() if call.by_uid else b""), "OK done"

    def sequence(self, message):
        return self.view.index(message.uid) + 1 if message.uid in self.view else len(self.view)

    def fetched(self, message, items, by_uid=True):
        out = [b"UID %d" % message.uid] if by_uid or b"UID" in items else []
        for item in items:
            if item == b"FLAGS":
                out.append(b"FLAGS (" + " ".join(sorted(message.flags)).encode() + b")")
            elif item == b"INTERNALDATE":
                out.append(b'INTERNALDATE "' + message.date.encode() + b'"')
            elif item == b"RFC822.SIZE":
                out.append(b"RFC822.SIZE %d" % len(message.octets))
            elif item.startswith(b"BODY"):
                out.append(self.body(message, item))
        return b"* %d FETCH (" % self.sequence(message) + b" ".join(out) + b")\r\n"

    def body(self, message, item):
        section, first, count = re.fullmatch(rb"BODY(?:\.PEEK)?\[(.*?)\](?:<(\d+)\.(\d+)>)?", item).groups()
        octets = message.octets
        if section == b"HEADER":
            octets = octets.split(b"\r\n\r\n", 1)[0] + b"\r\n\r\n"
        elif section:
            raise ValueError("a section that I can't cut out")
        if b"PEEK" not in item and not self.is_read_only:
            message.flags.add("\\Seen")
        where = b""
        if first is not None:
            octets, where = octets[int(first):int(first) + int(count)], b"<%d>" % int(first)
        return b"BODY[%s]%s {%d}\r\n" % (section, where, len(octets)) + octets

    def do_store(self, call):
        if self.is_read_only:
            return b"", "NO read only"
        how = call.words[1].upper().decode()
        flags = {re.sub(r"^\\(.)(.*)", lambda m: "\\" + m[1].upper() + m[2].lower(), f)
                 for f in b" ".join(call.words[2:]).decode().strip("()").split()}
        data = b""
        for message in self.here(call):
            if "\\Deleted" in flags - message.flags and how[0] != "-":
                self.server.note_mark(message)
            message.flags = {"+": message.flags | flags, "-": message.flags - flags}.get(how[0], flags)
            if ".SILENT" not in how:
                data += self.fetched(message, [b"FLAGS"], call.by_uid)
        return data, "OK done"

    def remove(self, uids, box, how):
        for uid in uids:
            message = box.messages.pop(uid)
            self.server.note_removal(message, how)

    def do_expunge(self, call):
        if self.is_read_only:
            return b"", "NO read only"
        among = self.chosen(call.words[0], True) if call.by_uid else list(self.box.messages)
        gone = [uid for uid in among if uid in self.box.messages and "\\Deleted" in self.box.messages[uid].flags]
        self.remove(gone, self.box, "EXPUNGE")
        return self.news(), "OK done"

    def copied(self, call):
        target = self.server.boxes.get(self.name_of(call.words[1]))
        if not target:
            return None, None, None
        messages = self.here(call)
        copies = [target.add(m.octets, m.flags - {"\\Deleted"}, m.date) for m in messages]
        code = (f"[COPYUID {target.validity} {numbers(messages)} {numbers(copies)}] "
                if messages and "UIDPLUS" in self.server.capabilities else "")
        return target, messages, code

    def do_copy(self, call):
        target, _, code = self.copied(call)
        if not target:
            return b"", "NO [TRYCREATE] no such mailbox"
        return b"", f"OK {code}copied"

    def do_move(self, call):
        target, messages, code = self.copied(call)
        if not target:
            return b"", "NO [TRYCREATE] no such mailbox"
        self.remove([m.uid for m in messages], self.box, "MOVE")
        return (f"* OK {code}moved\r\n".encode() if code else b"") + self.news(), "OK done"

    # --- idle -------------------------------------------------------------------------------------------------------

    def idle(self, call, before=b"", after=b""):
        """`before` and `after`: what is sent in one go with the +."""
        if "IDLE" not in self.server.capabilities or not self.is_known:
            self.violate(call, "IDLE is nothing I said I could do")
            self.end(call, b"", "BAD no")
            return
        self.send(before + b"+ idling\r\n" + after)
        self.watch()
        self.done(call)

    def watch(self):
        """Until the client wants to speak."""
        self.is_idling = True
        while not self.has_input(0.03):
            news = self.news()
            if news:
                self.send(news)
        self.is_idling = False

    def done(self, call):
        line = self.read_line()
        end = Call(call.tag, "DONE", line=line)
        self.server.calls.append(end)
        if line.upper() != b"DONE":
            self.violate(end, "not the end of an IDLE")
        trick = self.server.take_trick(end)
        if trick:
            trick(self, end)
        else:
            self.end(end, self.news(), "OK idle done")

    do_done = do_noop


def numbers(messages):
    return ",".join(str(message.uid) for message in messages)


WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"|(\((?:[^()"]|"(?:[^"\\]|\\.)*"|\((?:[^()]|\([^()]*\))*\))*\))|((?:[^\s"()\[]|\[[^\]]*\])+)')


def split_words(line):
    """Atoms, quoted strings without their quotes, and lists in one piece."""
    found = []
    for quoted, group, atom in WORD.findall(line):
        if group or atom:
            found.append(group or atom)
        else:
            found.append(re.sub(rb"\\(.)", rb"\1", quoted))
    return found
