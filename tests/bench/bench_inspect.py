#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""virt-hpt inspect of an image in page cache, as a ratio to "cat IMAGE > /dev/null" in the same run.

The image is all full pages, the most bytes a guest's RAM can be.  The two commands alternate; the
ratio is the median over the rounds.  A round between two runs of cat that disagree is repeated: the
machine was busy.  Exit status: 1 if a ratio is far above what must hold, 77 if none could be measured.
"""

import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import streams  # noqa: E402

MIB = 1 << 20
PAGE = 4096
BATCH = 256
ROUNDS = 21
TRIES = 4       # for each round, on the average
NOISE = 1.5     # the most that one cat may take longer than the one before
BOUND = 1       # inspect takes no longer than cat: on an idle machine
SLACK = 2       # on any other one, it fails if no round comes to twice that


def write_image(path, size):
    """A stream whose RAM is full pages, that many bytes of them."""
    whole = streams.stream(streams.good_table(500), ram=size)
    # A part of section ram goes before the end of it
    end = whole.index(struct.pack(">BIQ", 3, 2, 0x10))
    page = os.urandom(PAGE)
    with open(path, "wb") as image:
        image.write(whole[:end])
        image.write(struct.pack(">BI", 2, 2))
        image.write(struct.pack(">Q", 0x08) + streams.text("ppc_spapr.ram") + page)
        for first in range(PAGE, size, BATCH * PAGE):
            image.write(b"".join(struct.pack(">Q", address | 0x28) + page for address in
                                 range(first, min(size, first + BATCH * PAGE), PAGE)))
        image.write(struct.pack(">QBI", 0x10, 0x7E, 2))
        image.write(whole[end:])
        image.flush()
        os.fsync(image.fileno())


def seconds(command):
    """How long a command takes, its output thrown away."""
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def measure(inspect, cat):
    """Inspect's and cat's seconds, one pair a round; fewer than ROUNDS if the machine is too busy."""
    seconds(inspect)
    pairs, before = [], seconds(cat)
    for _ in range(ROUNDS * TRIES):
        ours, after = seconds(inspect), seconds(cat)
        if max(before, after) <= NOISE * min(before, after):
            pairs.append((ours, (before + after) / 2))
        before = after
        if len(pairs) == ROUNDS:
            break
    return pairs


def main():
    """Prints the ratio for each size, in MiB, that is asked for."""
    program, directory = sys.argv[1:3]
    worst = 0
    for mib in sys.argv[3:]:
        with tempfile.TemporaryDirectory(dir=directory) as work:
            path = os.path.join(work, "image")
            write_image(path, int(mib) * MIB)
            pairs = measure([program, "inspect", path], ["cat", path])
        if len(pairs) < ROUNDS:
            print(f"inspect {mib} MiB: not measured: of {ROUNDS * TRIES} rounds {len(pairs)} were "
                  f"between two runs of cat that differ by less than {NOISE} times", flush=True)
            worst = worst or 77
            continue
        ratios = sorted(a / b for a, b in pairs)
        ratio = statistics.median(ratios)
        # Inspect has two threads: whatever else runs makes single rounds slow, but not the best
        fails = ratios[0] > BOUND * SLACK
        verdict = ("FAILS" if fails else "holds" if ratio <= BOUND
                   else "does not hold, which may be the machine's doing")
        print(f"inspect {mib} MiB: {ratio:.2f} times cat "
              f"({ratios[0]:.2f} to {ratios[-1]:.2f}; medians "
              f"{statistics.median(a for a, _ in pairs):.3f} s and "
              f"{statistics.median(b for _, b in pairs):.3f} s); at most {BOUND}: {verdict}",
              flush=True)
        if fails:
            worst = 1
    return worst


if __name__ == "__main__":
    sys.exit(main())
