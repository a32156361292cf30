#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""virt-hpt inspect of an image in page cache, as a ratio to "cat IMAGE > /dev/null" in the same run.

The image is all full pages, the most bytes a guest's RAM can be.  The two commands alternate; the
ratio is the median over the pairs.  It is printed, never asserted: the machine may be busy.
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
PAIRS = 21


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


def main():
    """Prints the ratio for each size, in MiB, that is asked for."""
    program, directory = sys.argv[1:3]
    for mib in sys.argv[3:]:
        with tempfile.TemporaryDirectory(dir=directory) as work:
            path = os.path.join(work, "image")
            write_image(path, int(mib) * MIB)
            inspect, cat = [program, "inspect", path], ["cat", path]
            seconds(cat), seconds(inspect)
            pairs = [(seconds(inspect), seconds(cat)) for _ in range(PAIRS)]
        ratios = sorted(a / b for a, b in pairs)
        print(f"inspect {mib} MiB: {statistics.median(ratios):.2f} times cat "
              f"({ratios[0]:.2f} to {ratios[-1]:.2f}; medians "
              f"{statistics.median(a for a, _ in pairs):.3f} s and "
              f"{statistics.median(b for _, b in pairs):.3f} s)", flush=True)


if __name__ == "__main__":
    main()
