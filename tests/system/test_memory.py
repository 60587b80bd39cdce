"""Memory does not grow with the mail."""

import base64
import os
import threading
import time

from harness import IS_SANITIZED, Device, Skip, pdf, require, tree


def resident(root):
    """Sum of the private and shared memory of a process tree (kB of PSS)."""
    total = 0
    for pid in [root] + [pid for pid, _ in tree(root)]:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as rollup:
                for line in rollup:
                    if line.startswith("Pss:"):
                        total += int(line.split()[1])
        except OSError:
            pass
    return total


class Peak(threading.Thread):
    def __init__(self, root):
        super().__init__(daemon=True)
        self.root, self.peak, self.looks, self.ending = root, 0, 0, False

    def run(self):
        while not self.ending:
            self.peak = max(self.peak, resident(self.root))
            self.looks += 1
            time.sleep(0.02)

    def end(self):
        self.ending = True
        self.join()
        return self.peak


def send_large(port, octets):
    """A mail with one attachment of that size, made on the way."""
    device = Device(port, timeout=300)
    device.envelope()
    device.say("DATA")
    device.send(b"From: scanner@example.org\r\nTo: scans@example.org\r\nContent-Type: application/pdf; name=big.pdf\r\n"
                b"Content-Transfer-Encoding: base64\r\n\r\n")
    block = pdf(57 * 1024 * 18)
    text = base64.encodebytes(block).replace(b"\n", b"\r\n")
    for _ in range(max(1, octets // len(block))):
        device.send(text)
    device.send(b".\r\n")
    reply = device.reply()
    device.quit()
    return reply


def test_one_gigabyte(place):
    """A part of 1 GB makes the process tree grow by at most 2 MB over one of 1 MB. What the page cache holds of files in
    the spool and on the share is not the tree's."""
    if IS_SANITIZED:
        raise Skip("the sanitizer's own memory grows")
    config = place.config(text="[limits]\nmessage = 3G\npart = 2G\n", route="part_max = 2G", gateway="answer_within = 300s")
    with place.gateway(config=config) as gateway:
        def measure(octets, looks=1):
            """The peak of one mail, or of as many as it takes to look so often: a small one passes between two looks."""
            peak = Peak(gateway.process.pid)
            peak.start()
            while True:
                reply = send_large(gateway.port, octets)
                require(reply.startswith("250"), reply)
                if peak.looks >= looks:
                    return peak.end()
        measure(2 << 20)  # everything that is started on first use
        small = measure(1 << 20, 30)
        large = measure(1 << 30)
        print(f"    tree: {small} kB at 1 MB, {large} kB at 1 GB", flush=True)
        require(large - small <= 2048, f"{small} kB at 1 MB, {large} kB at 1 GB")
        sizes = sorted(os.path.getsize(os.path.join(place.share, name)) for name in os.listdir(place.share)
                       if name.endswith(".pdf"))
        require(sizes[-1] > 1020 << 20, sizes)


test_one_gigabyte.alone = True
test_one_gigabyte.measured = True
