"""Names: whatever the sender calls a file, a client of SMB sees it under a name of its own, not a short one that Samba made
up, and opens it by that name."""

import hashlib
import json
import random
import re
import unicodedata
import urllib.parse

from bed import Bed, config_of, prepare
from harness import equal, mail, needs_root, part, pdf, require, send

NASTY = [
    # case twins, and those that only Unicode knows
    "Scan.pdf", "scan.pdf", "SCAN.PDF", "sCaN.pdf", "STRASSE.pdf", "straße.pdf", "Straße.pdf", "ÄÖÜ.pdf", "äöü.pdf",
    "İstanbul.pdf", "istanbul.pdf", "ISTANBUL.pdf", "ısparta.pdf", "ΣΑΣ.pdf", "σας.pdf", "σασ.pdf", "Ǆ.pdf", "ǆ.pdf", "ǅ.pdf",
    "ﬀ.pdf", "ff.pdf", "K.pdf", "k.pdf", "\u212a.pdf", "\u2126.pdf", "ω.pdf",
    # composed and not
    "café.pdf", unicodedata.normalize("NFD", "café.pdf"), "Å.pdf", "\u212b.pdf", "A\u030a.pdf", "a\u0301\u0323.pdf",
    "a\u0323\u0301.pdf", "e" + "\u0301" * 40 + ".pdf", "\u0301lone.pdf", "한국.pdf", unicodedata.normalize("NFD", "한국.pdf"),
    # devices
    "con.pdf", "CON", "nul", "NUL.txt.pdf", "aux.pdf", "prn", "com1.pdf", "COM9", "lpt1.pdf", "COM¹.pdf", "conin$", "CONOUT$.pdf",
    "clock$.pdf",
    # ends and beginnings
    "trailing.", "trailing. . .", "trailing ", "trailing.pdf.", "trailing.pdf ", ".hidden", "...", "..", ".", " ", "-rf", "--",
    "~lock.pdf#", "~$doc.pdf", "desktop.ini", "Thumbs.db", "._resource", ".DS_Store",
    # what neither Windows nor a shell bears
    'a<b>c:d"e/f\\g|h?i*j.pdf', "a:$DATA", "file.pdf:stream", "..\\..\\x.pdf", "../../x.pdf", "a\tb.pdf", "a\nb.pdf", "\x01\x1f.pdf",
    "a\u202efdp.exe", "a\u200bb.pdf", "\ufeffbom.pdf", "a\u2028b.pdf", "\u00a0blank\u3000.pdf", "%00.pdf", "a\x7fb.pdf",
    # what looks like a short name of Samba's or Windows'
    "SCANFI~1.PDF", "A~1", "AV2RNM~X.PDF", "letter~1.let",
    # long, and of letters that take two, three or four octets, or two units of UTF-16
    "a" * 255 + ".pdf", "ä" * 200 + ".pdf", "日" * 120 + ".pdf", "😀" * 80 + ".pdf", "𝔘𝔫𝔦.pdf", "👩‍👩‍👧.pdf", "🇩🇪.pdf", "x." + "y" * 300,
    # as our own folder, and as our numbers
    ".letterchute", "letterchute", "Scan (2).pdf", "Scan (2) (2).pdf", "scan (999999999999).pdf",
]


def random_names(count):
    chance = random.Random(6)
    pools = ([chr(c) for c in range(32, 127)], [chr(c) for c in range(1, 0x530) if c != 0], ["a", "A", ".", " ", "~", "1"],
             [chr(c) for c in range(0x1F300, 0x1F700)], [chr(c) for c in range(0x300, 0x370)] + ["e", "o"],
             [chr(c) for c in range(0x2000, 0x2070)] + ["x"], [chr(c) for c in range(0xF900, 0xFFFE)])
    for _ in range(count):
        pool = chance.choice(pools)
        yield "".join(chance.choice(pool) for _ in range(chance.randrange(1, 40)))


def named(content, name):
    """A part whose name is one of RFC 2231: any octet can be said."""
    field = f"Content-Disposition: attachment; filename*=utf-8''{urllib.parse.quote(name, safe='')}"
    return part(content, name=None, disposition=None, headers=(field,))


@needs_root
def test_opened_by_its_name(place):
    prepare(place)
    bed = Bed(place).samba()
    names = NASTY + list(random_names(300))
    contents = [pdf(200 + seed, seed) for seed in range(len(names))]
    with place.gateway(config=config_of(place)) as gateway:
        for start in range(0, len(names), 150):
            reply = send(gateway.port, mail(*[named(content, name) for content, name in
                                              zip(contents[start:start + 150], names[start:start + 150])]))
            require(reply.startswith("250"), f"{reply} {gateway.log()}")
    *files, count = bed.smb_watcher("inbox").finish()
    equal(count["odd"], [])
    equal(sorted(file["sha256"] for file in files), sorted(hashlib.sha256(content).hexdigest() for content in contents))
    on_disk = {name.split("/", 1)[1] for name in place.files()}
    equal({file["name"] for file in files}, on_disk, "the names that are shown are those on the disk")
    # a name that Samba made up has eight letters, a ~ before the last, and three
    mangled = [name for name in on_disk if re.fullmatch(r"[^.]{6}~[^.](\..{0,3})?", name)]
    equal(mangled, [])
    equal(len({unicodedata.normalize("NFC", name).casefold() for name in on_disk}), len(names), "twins")
    print(f"     share/names: {len(names)} names, each listed as it is and read by it", flush=True)


@needs_root
def test_would_see_a_short_name(place):
    """The test of the test: what we never write is shown by Samba under another name."""
    prepare(place)
    bed = Bed(place).samba()
    wrong = ["a:b?.pdf", "trailing.", "back\\slash.pdf", "con?.pdf"]
    for name in wrong:
        with open(f"{place.share}/inbox/{name}", "wb") as file:
            file.write(b"x")
    *files, _ = bed.smb_watcher("inbox").finish()
    shown = {json.dumps(file["name"]) for file in files}
    require(not shown & {json.dumps(name) for name in wrong} and any("~" in name for name in shown), shown)
