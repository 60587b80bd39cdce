"""Many at once."""

import collections
import threading

from harness import equal, mail, part, pdf, send


def test_200_senders(place):
    """200 connections, each with a scan of 300 kB: every one stored once, whole."""
    with place.gateway(smtp="sessions = 200") as gateway:
        replies, barrier = [], threading.Barrier(200)
        contents = {pdf(300000, number) for number in range(200)}

        def device(content):
            message = mail(part(content))
            barrier.wait()
            replies.append(send(gateway.port, message))

        threads = [threading.Thread(target=device, args=(content,)) for content in contents]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        equal(collections.Counter(reply[:3] for reply in replies), {"250": 200})
        stored = list(place.files().values())
        equal(len(stored), 200)
        equal(set(stored), contents)
        equal(place.staged(), [])


test_200_senders.alone = True


def test_names_that_collide(place):
    """The same name from many at once, in other cases and normal forms: each gets a number of its own."""
    names = ["Scan.pdf", "scan.pdf", "SCAN.PDF", "sc\u00e4n.pdf", "sca\u0308n.pdf", "SC\u00c4N.pdf"]
    with place.gateway() as gateway:
        threads = [threading.Thread(target=send, args=(gateway.port, mail(part(pdf(100 + n), names[n % 6]).decode().encode())))
                   for n in range(36)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        files = place.files()
        equal(len(files), 36)
        equal(len({name.casefold() for name in files}), 36)
