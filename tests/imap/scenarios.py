"""What a server may do wrong, one row each; test_hostile.py plays them.

A row says at which step which function misbehaves, how often, and what of the account or of the server must be so for
the step to come. After it the server is honest, and everything must be as if it had always been."""

import random
import re
import time

from hostile import CRLF, Call, Gone, Trick

FOR_EVER = 1 << 30
DEEP = 20000


class Scenario:
    """`lasts`: the mails are delivered although it never ends. `refused`: about mails that policy refuses. `may_refuse`:
    what the server says of a mail may make it refused. `cut_at`: how many octets the client may take before it has had
    enough. `slow`: the client's patience is tried. `rare`: for campaigns only."""

    def __init__(self, name, step, function, times=2, when=None, lasts=False, refused=False, may_refuse=False, cut_at=None,
                 spares=0, slow=False, rare=False, server=None, account=None):
        self.name, self.lasts, self.refused, self.may_refuse = name, lasts, refused, may_refuse
        self.cut_at, self.spares, self.slow, self.rare = cut_at, spares, slow, rare
        self.make_trick = lambda: Trick(step, function, FOR_EVER if lasts else times, when)
        self.times = times
        self.server, self.account = server or {}, account or {}


# --- functions that misbehave ---------------------------------------------------------------------------------------

def says(text, then=None):
    """These octets in place of the answer."""
    def function(session, call):
        session.send(text(call) if callable(text) else text)
        if then:
            then(session, call)
    return function


def status(text):
    """The tagged line alone, and nothing done."""
    return lambda session, call: session.end(call, b"", text)


def after(text, what=b""):
    """It is done, and another tagged line says so."""
    return lambda session, call: session.end(call, session.perform(call)[0] if not what else what, text)


def before(text):
    """Lines that nobody asked for, then the answer."""
    return lambda session, call: session.send(text, session.answer(call))


def changed(pattern, replacement, count=0):
    """The answer with something else in it."""
    return lambda session, call: session.send(re.sub(pattern, replacement, session.answer(call), count=count,
                                                     flags=re.S))


def hang_up(session, call):
    raise Gone


def reset(session, call):
    session.reset()
    raise Gone


def bye(session, call):
    session.send(b"* BYE that is enough\r\n")
    raise Gone


def silent(session, call):
    session.stall()


def slow(session, call):
    """An octet a second; where it is the connection that is slow, to its end."""
    session.pace = 1
    session.obey(call)
    if call.name != "connect":
        session.pace = None


def done_then(end):
    """It is done, but the answer never comes."""
    def function(session, call):
        session.perform(call)
        end(session, call)
    return function


def half_then(end):
    """Half of the answer."""
    def function(session, call):
        octets = session.answer(call)
        session.send(octets[:len(octets) // 2])
        end(session, call)
    return function


def wrong_tag(session, call):
    untagged, text = session.perform(call)
    session.end(Call(b"zz99", call.name), untagged, text)
    session.stall()


def garbage(session, call):
    chance = random.Random(call.name)
    session.send(chance.randbytes(3000) + CRLF + chance.randbytes(3000) + CRLF)
    time.sleep(0.3)
    raise Gone


def pours(first, chunk, total=400 << 20):
    """A beginning, and then no end."""
    def function(session, call):
        session.send(first)
        session.pour(chunk, total)
        raise Gone
    return function


# --- idle -----------------------------------------------------------------------------------------------------------

def idle_with(place):
    """Mail comes between SEARCH and IDLE, and is told in one packet with the +."""
    def function(session, call):
        session.idle(call, **{place: session.surprise()})
    return function


def idle_then(*pieces, pause=0.4):
    """The + and, a while later, these; where a piece is None, the news of a mail in two packets."""
    def function(session, call):
        session.send(b"+ idling\r\n")
        for piece in pieces:
            time.sleep(pause)
            news = session.surprise() if piece is None else piece
            session.send(news[:5])
            time.sleep(0.1 if piece is None else 0)
            session.send(news[5:])
        session.watch()
        session.done(call)
    return function


def idle_ends(end):
    def function(session, call):
        session.send(b"+ idling\r\n")
        end(session, call)
    return function


def idle_untold(session, call):
    """Mail comes, and nobody says so."""
    session.surprise()
    session.send(b"+ idling\r\n")
    session.is_idling = True
    while not session.has_input(0.1):
        pass
    session.is_idling = False
    session.done(call)


def told_at_the_end(session, call):
    session.end(call, session.surprise(), "OK idle done")


def is_the_question(call):
    return call.name == "SEARCH" and b"UNDELETED" in call.line


def told_behind(session, call):
    """Mail comes after SEARCH has looked, and is told with its answer: nobody says it again."""
    untagged, text = session.perform(call)
    if not re.search(rb"\* SEARCH \d", untagged):
        untagged += session.surprise()
    session.end(call, untagged, text)


def always_news(session, call):
    """There is always somebody who has just come, who says so and isn't there."""
    if [one.name for one in session.server.calls[-100:]] == ["SEARCH"] * 100:
        session.violate(call, "I was asked a hundred times in a row")
    untagged, text = session.perform(call)
    session.end(call, untagged + b"* %d EXISTS\r\n" % len(session.view), text)


def still_here(session, call):
    session.send(b"+ idling\r\n")
    for _ in range(10):
        session.send(b"* OK Still here\r\n")
        if session.has_input(0.1):
            break
    session.send(session.surprise())
    session.watch()
    session.done(call)


# --- fetch ----------------------------------------------------------------------------------------------------------

def is_body(call):
    return b"BODY" in call.line.upper()


def is_meta(call):
    return not is_body(call)


def asks_size(call):
    return b"RFC822.SIZE" in call.line.upper()


def body_is(value):
    """The item without its octets."""
    return changed(rb"(BODY\[\]\S*) \{\d+\}\r\n.*?\)\r\n(?=\S+ OK|\* )", lambda m: m[1] + b" " + value + b")\r\n")


def other_messages(session, call):
    """What nobody asked for, of messages that there are and that there aren't."""
    more = (b"* 1 FETCH (FLAGS (\\Recent))\r\n* 77 FETCH (UID 4711 FLAGS () RFC822.SIZE 5)\r\n"
            b"* 78 FETCH (UID 4712 FLAGS ())\r\n")
    session.send(more, session.answer(call))


def other_body(session, call):
    """Another message's octets before the right ones."""
    text = b"From: stranger@example.org\r\n\r\nthis is not your mail\r\n"
    session.send(b"* 78 FETCH (UID 4712 BODY[]<0> {%d}\r\n%s)\r\n" % (len(text), text), session.answer(call))


def short_then(end):
    """The literal is told to be longer than what comes."""
    def function(session, call):
        octets = session.answer(call)
        session.send(octets[:octets.index(b"}\r\n") + 1000])
        end(session, call)
    return function


def shortened(by):
    """So many octets of the message are missing, and the literal says so."""
    def function(session, call):
        octets = session.answer(call)
        size = re.search(rb"\{(\d+)\}\r\n", octets)
        if not size or int(size[1]) <= by:
            session.send(octets)
            return
        body = octets[size.end():size.end() + int(size[1]) - by]
        session.send(octets[:size.start()], b"{%d}\r\n" % len(body), body, octets[size.end() + int(size[1]):])
    return function


def lengthened(session, call):
    """More than was asked for."""
    octets = session.answer(call)
    size = re.search(rb"\{(\d+)\}\r\n", octets)
    end = size.end() + int(size[1])
    session.send(octets[:size.start()], b"{%d}\r\n" % (int(size[1]) + 5000), octets[size.end():end], b"x" * 5000,
                 octets[end:])


def twice(session, call):
    """The same item once more."""
    octets = session.answer(call)
    end = octets.rindex(b"\r\n", 0, -2) + 2
    session.send(octets[:end], octets)


def deep(session, call):
    text = b"(" * DEEP + b'"text" "plain" NIL NIL NIL "7bit" 1 1' + b') "mixed")' * DEEP
    session.send(b"* 1 FETCH (UID 1 BODYSTRUCTURE ", text, b")\r\n", session.answer(call))


# --- the mailbox ----------------------------------------------------------------------------------------------------

def new_validity(session, call):
    """At SELECT the box is a new one with the same messages; after that the first FETCH is cut."""
    if call.name == "FETCH":
        raise Gone
    with session.server.lock:
        box = session.server.inbox
        messages = list(box.messages.values())
        box.validity, box.messages = box.validity + 1, {}
        for message in messages:
            message.uid += 10
            box.messages[message.uid] = message
        box.next += 10
    session.obey(call)


def read_only(session, call):
    untagged, _ = session.perform(call)
    session.is_read_only = True
    session.end(call, re.sub(rb"PERMANENTFLAGS \(.*?\)", b"PERMANENTFLAGS ()", untagged), "OK [READ-ONLY] look only")


def code(text):
    """The same answer to SELECT, with this line in front."""
    return before(b"* OK [%s] so\r\n" % text)


LOGIN = ("LOGIN", "AUTHENTICATE")
EXE = dict(refused=True)
COPY = dict(refused=True, server=dict(without=("MOVE",)))
POLLS = dict(server=dict(without=("IDLE",)))
PATIENT = dict(account=dict(fast=False))  # neither a new IDLE nor a poll helps in time
STOP = 64 << 20

TABLE = [
    # mail that is told at a moment when nobody may be listening
    Scenario("mail told in one packet with the +", "IDLE", idle_with("after"), spares=3, lasts=True, **PATIENT),
    Scenario("mail told before the +", "IDLE", idle_with("before"), spares=3, lasts=True, **PATIENT),
    Scenario("chatter before the +", "IDLE",
             lambda s, c: s.idle(c, before=b"* OK hello\r\n* 0 RECENT\r\n* FLAGS (\\Seen)\r\n"), lasts=True, **PATIENT),
    Scenario("mail told late, in two packets", "IDLE", idle_then(None), spares=3, lasts=True, **PATIENT),
    Scenario("mail told with the answer to DONE", "DONE", told_at_the_end, spares=2, lasts=True),
    Scenario("mail told behind the answer to SEARCH", "SEARCH", told_behind, spares=3, lasts=True,
             when=is_the_question, **PATIENT),
    Scenario("each SEARCH tells news that are none", "SEARCH", always_news, lasts=True, **PATIENT),
    Scenario("mail that is never told", "IDLE", idle_untold, spares=2, lasts=True),
    Scenario("still here, again and again", "IDLE", still_here, spares=2, lasts=True, **PATIENT),
    Scenario("IDLE tells a flag, then mail", "IDLE", idle_then(b"* 1 FETCH (FLAGS (\\Seen))\r\n", None), spares=2,
             lasts=True, **PATIENT),
    Scenario("IDLE is answered NO", "IDLE", status("NO not now"), lasts=True),
    Scenario("IDLE is answered BAD", "IDLE", status("BAD what"), lasts=True),
    Scenario("IDLE ends by itself", "IDLE", idle_ends(lambda s, c: s.end(c, b"", "OK enough")), 3),
    Scenario("BYE while idling", "IDLE", idle_ends(bye)),
    Scenario("end of file while idling", "IDLE", idle_ends(hang_up)),
    Scenario("reset while idling", "IDLE", idle_ends(reset)),
    Scenario("garbage while idling", "IDLE", idle_ends(garbage)),
    Scenario("+ and silence", "DONE", silent, 1, slow=True),

    # what FETCH brings
    Scenario("NO to FETCH, with the item", "FETCH", after("NO sorry"), when=is_body),
    Scenario("NO to FETCH, with nothing", "FETCH", status("NO sorry"), when=is_body),
    Scenario("BAD to FETCH", "FETCH", status("BAD sorry"), when=is_body),
    Scenario("BODY[] NIL", "FETCH", body_is(b"NIL"), when=is_body),
    Scenario("BODY[] of no length", "FETCH", body_is(b'""'), when=is_body),
    Scenario("BODY[] literal of no length", "FETCH", body_is(b"{0}\r\n"), when=is_body),
    Scenario("OK with no item", "FETCH", status("OK here"), when=is_body),
    Scenario("an item without its body", "FETCH", changed(rb" BODY\[.*?\)\r\n(?=\S+ OK)", b")\r\n"), when=is_body),
    Scenario("items of other messages", "FETCH", other_messages, lasts=True),
    Scenario("a body of another message first", "FETCH", other_body, when=is_body),
    Scenario("a body under another UID", "FETCH", changed(rb"UID \d+", b"UID 4711", 1), when=is_body),
    Scenario("a body under no UID", "FETCH", changed(rb"UID \d+ ", b"", 1), when=is_body),
    Scenario("the item twice", "FETCH", twice, when=is_body),
    Scenario("short literal, then end of file", "FETCH", short_then(hang_up), when=is_body),
    Scenario("short literal, then reset", "FETCH", short_then(reset), when=is_body),
    Scenario("short literal, then silence", "FETCH", short_then(silent), 1, when=is_body, slow=True),
    Scenario("octets missing at the end", "FETCH", shortened(1500), when=is_body),
    Scenario("more octets than asked for", "FETCH", lengthened, when=is_body),
    Scenario("literal {-5}", "FETCH", changed(rb"\{\d+\}", b"{-5}", 1), when=is_body),
    Scenario("literal {4294967295}, then end of file", "FETCH",
             lambda s, c: (s.send(s.answer(c).replace(b"{", b"{4294967295}\r\n{", 1)), hang_up(s, c)), when=is_body),
    Scenario("literal {18446744073709551616}", "FETCH", changed(rb"\{\d+\}", b"{18446744073709551616}", 1), when=is_body),
    Scenario("literal without end", "FETCH", pours(b"* 1 FETCH (UID 1 BODY[]<0> {4294967295}\r\n", b"x" * 76 + CRLF),
             when=is_body, cut_at=STOP),
    Scenario("size told too small", "FETCH", changed(rb"RFC822.SIZE \d+", b"RFC822.SIZE 100"), when=asks_size, lasts=True),
    Scenario("size told too large", "FETCH", changed(rb"RFC822.SIZE \d+", b"RFC822.SIZE 900000"), when=asks_size,
             lasts=True),
    Scenario("size told as 0", "FETCH", changed(rb"RFC822.SIZE \d+", b"RFC822.SIZE 0"), when=asks_size, lasts=True),
    Scenario("size told over 4 GiB", "FETCH", changed(rb"RFC822.SIZE \d+", b"RFC822.SIZE 4294967396"), when=asks_size,
             may_refuse=True),
    Scenario("size told below 0", "FETCH", changed(rb"RFC822.SIZE \d+", b"RFC822.SIZE -5"), when=asks_size),
    Scenario("unknown item", "FETCH", changed(rb"\(UID", b"(X-UNKNOWN (1 2) UID", 1)),
    Scenario("BODYSTRUCTURE 20,000 levels deep in FETCH", "FETCH", deep),
    Scenario("BODYSTRUCTURE 20,000 levels deep in SEARCH", "SEARCH", deep),
    Scenario("INTERNALDATE that is none", "FETCH", changed(rb'INTERNALDATE ".*?"', b'INTERNALDATE "99-Foo-0000"'),
             when=lambda c: b"INTERNALDATE" in c.line.upper()),
    Scenario("a mail that is gone when it is fetched", "FETCH",
             lambda s, c: s.end(c, b"* 1 FETCH (UID 1 FLAGS (\\Deleted))\r\n", "OK [EXPUNGEISSUED] some are gone"),
             when=is_body),

    # SEARCH
    Scenario("SEARCH finds what isn't there", "SEARCH", changed(rb"\* SEARCH", b"* SEARCH 900 901 4294967295")),
    Scenario("SEARCH numbers that wrap", "SEARCH", says(lambda c: b"* SEARCH 4294967297 18446744073709551617 0\r\n" +
                                                        c.tag + b" OK done\r\n")),
    Scenario("SEARCH without its line", "SEARCH", status("OK done")),
    Scenario("SEARCH in two lines", "SEARCH", changed(rb"\* SEARCH (\d+) ", rb"* SEARCH \1\r\n* SEARCH ")),
    Scenario("SEARCH tells each twice", "SEARCH", changed(rb"\* SEARCH([ \d]*)", rb"* SEARCH\1\1")),
    Scenario("SEARCH is answered NO [BADCHARSET]", "SEARCH", status("NO [BADCHARSET (UTF-8 ISO-8859-1)] no")),
    Scenario("SEARCH is answered NO [BADCHARSET", "SEARCH", status("NO [BADCHARSET (")),

    # the end of a mail
    Scenario("STORE says OK and does nothing", "STORE", status("OK done"), 1, slow=True),
    Scenario("STORE is done and never answered", "STORE", done_then(hang_up)),
    Scenario("STORE tells other flags", "STORE", before(b"* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n"), lasts=True),
    Scenario("EXPUNGE says OK and does nothing", "EXPUNGE", status("OK done"), 1, slow=True),
    Scenario("EXPUNGE is done and never answered", "EXPUNGE", done_then(hang_up)),
    Scenario("EXPUNGE is done and answered NO", "EXPUNGE", lambda s, c: (s.perform(c), s.end(c, b"", "NO sorry"))),
    Scenario("EXPUNGE tells messages that aren't there", "EXPUNGE", before(b"* 900 EXPUNGE\r\n* 0 EXPUNGE\r\n")),

    # refused mails
    Scenario("MOVE says OK and does nothing", "MOVE", status("OK done"), 1, slow=True, **EXE),
    Scenario("MOVE is answered NO", "MOVE", status("NO sorry"), slow=True, rare=True, **EXE),
    Scenario("MOVE is done and never answered", "MOVE", done_then(hang_up), **EXE),
    Scenario("MOVE never finds its target", "MOVE", status("NO [TRYCREATE] no such mailbox"), 4, slow=True, rare=True, **EXE),
    Scenario("COPY without COPYUID", "COPY", changed(rb"\[COPYUID.*?\] ", b""), slow=True, **COPY),
    Scenario("COPYUID that can't be read", "COPY", changed(rb"\[COPYUID.*?\] ", b"[COPYUID 7 (] "), slow=True, rare=True, **COPY),
    Scenario("COPY says OK and does nothing", "COPY", status("OK done"), 1, slow=True, **COPY),
    Scenario("COPY is answered NO", "COPY", status("NO sorry"), slow=True, rare=True, **COPY),
    Scenario("COPY is done and never answered", "COPY", done_then(hang_up), **COPY),
    Scenario("CREATE is answered NO", "CREATE", status("NO sorry"), slow=True, **EXE),
    Scenario("CREATE says OK and does nothing", "CREATE", status("OK done"), slow=True, rare=True, **EXE),
    Scenario("LIST with separator NIL", "LIST", changed(rb'\) ".*?" ', b") NIL "), **EXE),
    Scenario("LIST says nothing", "LIST", status("OK done"), **EXE),

    # before the mailbox
    Scenario("SELECT is answered NO", "SELECT", status("NO [UNAVAILABLE] later")),
    Scenario("SELECT is read-only", "SELECT", read_only),
    Scenario("another UIDVALIDITY at each session", ("SELECT", "FETCH"), new_validity, 6),
    Scenario("no UIDVALIDITY", "SELECT", changed(rb"\* OK \[UIDVALIDITY.*?\r\n", b"")),
    Scenario("UIDVALIDITY that wraps", "SELECT", changed(rb"UIDVALIDITY \d+", b"UIDVALIDITY 4294967297")),
    Scenario("no UIDNEXT", "SELECT", changed(rb"\* OK \[UIDNEXT.*?\r\n", b""), lasts=True),
    Scenario("EXISTS that wraps", "SELECT", changed(rb"\d+ EXISTS", b"4294967296 EXISTS")),
    Scenario("EXISTS of 0 where there are some", "SELECT", changed(rb"\d+ EXISTS", b"0 EXISTS"), lasts=True),
    *[Scenario(f"[{text}] at SELECT", "SELECT", code(text.encode())) for text in
      ("PERMANENTFLAGS (", "PERMANENTFLAGS (\\Deleted \\*", "PERMANENTFLAGS", "PERMANENTFLAGS NIL",
       "PERMANENTFLAGS (\\)", "PERMANENTFLAGS (())", "BADCHARSET", "BADCHARSET (", "BADCHARSET (US-ASCII UTF-8)")],
    *[Scenario(f"[{text}] in the greeting", "greeting", says(f"* OK [{text}] hi\r\n".encode(), lambda s, c: None))
      for text in ("BADCHARSET", "BADCHARSET (", "BADCHARSET (US-ASCII UTF-8)", "CAPABILITY", "CAPABILITY ")],
    Scenario("CAPABILITY says OK and nothing else", "CAPABILITY", status("OK done"), server=dict(announces=False)),
    Scenario("CAPABILITY says that there is none", "CAPABILITY", after("OK done", b"* CAPABILITY\r\n"),
             server=dict(announces=False)),
    Scenario("CAPABILITY is answered NO", "CAPABILITY", status("NO sorry"), server=dict(announces=False)),
    Scenario("nothing announced unasked", "none", None, 0, lasts=True, server=dict(announces=False)),
    Scenario("LOGIN is answered NO", LOGIN, status("NO [UNAVAILABLE] later")),
    Scenario("LOGIN is answered OK without text", LOGIN, lambda s, c: (s.know(True), s.send(c.tag, b" OK\r\n"))),
    Scenario("NUL in the greeting", "greeting", says(b"* OK \0\0 hello\r\n")),
    Scenario("BYE as greeting", "greeting", bye),
    Scenario("a greeting of another protocol", "greeting", says(b"220 mail.example.org ESMTP\r\n")),
    Scenario("a greeting that is none", "greeting", says(CRLF * 3, hang_up)),

    # memory
    Scenario("endless greeting", "greeting", pours(b"* OK ", b"x"), cut_at=STOP),
    Scenario("endless OKs before the greeting's end", "greeting", pours(b"* OK hello\r\n", b"* OK hello\r\n"),
             cut_at=STOP),
    Scenario("endless line", "SEARCH", pours(b"* OK ", b"x"), cut_at=STOP),
    Scenario("endless SEARCH numbers", "SEARCH", pours(b"* SEARCH", b" 4"), cut_at=STOP),
    Scenario("endless SEARCH lines", "SEARCH", pours(b"", b"* SEARCH 1 2 3 4 5 6\r\n"), cut_at=STOP),
    Scenario("endless OKs", "SELECT", pours(b"", b"* OK hello\r\n"), cut_at=STOP),
    Scenario("endless +", "SEARCH", pours(b"", b"+ go on\r\n"), cut_at=STOP),
    Scenario("endless + for IDLE", "IDLE", pours(b"", b"+ idling\r\n")),
    Scenario("endless line while idling", "IDLE", pours(b"+ idling\r\n* OK ", b"x"), cut_at=STOP),
    Scenario("endless EXISTS while idling", "IDLE", pours(b"+ idling\r\n", b"* 3 EXISTS\r\n")),
    Scenario("endless still-here while idling", "IDLE", pours(b"+ idling\r\n", b"* OK Still here\r\n")),
    Scenario("endless FETCH lines", "FETCH", pours(b"", b"* 9 FETCH (UID 9 FLAGS (\\Seen))\r\n"), cut_at=STOP),
    Scenario("endless flags", "FETCH", pours(b"* 1 FETCH (UID 1 FLAGS (", b"$abc "), cut_at=STOP),
    Scenario("endless (", "FETCH", pours(b"* 1 FETCH (UID 1 ENVELOPE ", b"("), cut_at=STOP),
    Scenario("endless capabilities", "CAPABILITY", pours(b"* CAPABILITY", b" IDLE"), cut_at=STOP,
             server=dict(announces=False)),
    Scenario("endless LIST", "LIST", pours(b"", b'* LIST () "/" "box"\r\n'), cut_at=STOP, **EXE),
    Scenario("endless answer to LOGIN", LOGIN, pours(b"", b"* OK hello\r\n"), cut_at=STOP),
    Scenario("endless literal in a line", "SELECT", pours(b"* FLAGS ({4000000000}\r\n", b"x"), cut_at=STOP),
]

# Every step cut, refused, starved; the two dimensions are gone through in a campaign, the short form takes a diagonal.
STEPS = {
    "connect": {}, "greeting": {}, "CAPABILITY": dict(server=dict(announces=False)), LOGIN: {}, "SELECT": {},
    "SEARCH": {}, "FETCH": {}, "STORE": {}, "EXPUNGE": {}, "IDLE": {}, "DONE": {}, "NOOP": POLLS, "LIST": EXE,
    "CREATE": EXE, "MOVE": EXE, "COPY": COPY,
}
ENDS = {
    "ended": hang_up, "reset": reset, "answered BYE": bye, "answered garbage": garbage,
    "answered by half, then ended": half_then(hang_up), "answered with a wrong tag": wrong_tag,
    "answered BAD": status("BAD sorry"), "answered with silence": silent, "answered an octet a second": slow,
}
BEFORE_COMMANDS = ("connect", "greeting")
BY_HAND = ("IDLE", LOGIN, "connect")  # steps that can't be performed without a word


def grid():
    found = []
    for row, (step, more) in enumerate(STEPS.items()):
        for column, (name, end) in enumerate(ENDS.items()):
            if step in BEFORE_COMMANDS and name in ("answered with a wrong tag", "answered BAD"):
                continue
            if step in BY_HAND and (name.startswith("answered by half") or "wrong tag" in name):
                continue
            if (step, name) == ("IDLE", "answered BAD"):
                continue  # is in the table, and lasts
            waits = end in (silent, slow) or name == "answered with a wrong tag"
            label = step if isinstance(step, str) else step[0]
            found.append(Scenario(f"{label} is {name}", step, end, 1 if waits else 2, slow=waits,
                                  rare=(row + column) % 4 != 0 or waits and (row + column) % 8 != 0, **more))
    return found


ALL = TABLE + grid()
