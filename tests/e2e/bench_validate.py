# SPDX-License-Identifier: LGPL-2.1-or-later
"""What virt-hpt validate of a recorded image costs, all levels, as ratios within one run.

  memory   the same order of table in guests of 512 MiB and of 4 GiB, 2.5 GiB of them in use
  restore  validate against virsh restore --paused of the same image, 4 GiB with 2.5 GiB in use
  order    full tables of order 22, 25 and 27, against sha256sum and cat of the same table

What is compared alternates; a ratio is the median over the rounds.  Nothing of it is asserted: the
machine may be busy.  Images and records are in page cache, unless a line says that they are not.
Requires sandbox.enter(), 5 GiB of memory and 4 GiB of disk.
"""

from __future__ import annotations

import os
import re
import statistics
import struct
import subprocess
import time
from array import array
from pathlib import Path
from typing import Callable, Sequence

import libvirt

from . import oracle
from .guest import FIRMWARE_PROMPT, Config, GuestError
from .libvirthost import HostError, LibvirtGuest, LibvirtHost
from .support import CONTEXT, GOOD, WARNINGS, run_tool

# The small one has room to grow: both have a table of order 25
SMALL = Config("bench-small", max_mem_mib=4096, disk_format="qcow2")
LARGE = Config("bench-large", mem_mib=4096, fill_mib=2560, disk_format="qcow2")

# Their tables are empty and their images small; the tables are put in afterwards
FULL = tuple(Config(f"bench-{name}", firmware_only=True, max_mem_mib=most, disk_format="qcow2")
             for name, most in (("22", 0), ("25", 4096), ("27", 16384)))

LEVELS = ("record", "table", "dry-run")


class BenchError(Exception):
    """It cannot be measured here."""


ERRORS = (BenchError, GuestError, HostError, oracle.OracleError, libvirt.libvirtError, OSError,
          subprocess.SubprocessError)


def validate(path: Path, *options: str, levels: Sequence[str] = LEVELS) -> Callable[[], None]:
    """virt-hpt validate, which must pass these levels."""
    def work() -> None:
        result = run_tool("--json", "validate", *options, path)
        if result.code != GOOD or any(result.json()["levels"][level] != "passed"
                                      for level in levels):
            raise BenchError(str(result))
    return work


def command(*argv: str | Path) -> Callable[[], None]:
    """A command whose output is thrown away."""
    def work() -> None:
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return work


class Timing:
    """How long each of some things takes, done in turn, so that a busy moment meets them all.

    before and after are called, with its name, around each, and their time does not count.
    """

    def __init__(self, rounds: int, work: dict[str, Callable[[], None]],
                 before: Callable[[str], None] = lambda _name: None,
                 after: Callable[[str], None] = lambda _name: None) -> None:
        self.seconds: dict[str, list[float]] = {name: [] for name in work}
        for number in range(-1, rounds):        # the first round fills caches and does not count
            for name, what in work.items():
                before(name)
                began = time.perf_counter()
                what()
                took = time.perf_counter() - began
                if number >= 0:
                    self.seconds[name].append(took)
                after(name)

    def median(self, name: str) -> float:
        """Seconds that it takes."""
        return statistics.median(self.seconds[name])

    def ratios(self, name: str, reference: str) -> list[float]:
        """The ratios of the rounds, sorted."""
        return sorted(a / b for a, b in zip(self.seconds[name], self.seconds[reference]))

    def ratio(self, name: str, reference: str) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios(name, reference))

    def details(self, name: str, reference: str) -> str:
        """The spread of the ratios, and the times."""
        ratios = self.ratios(name, reference)
        return (f"{ratios[0]:.3f} to {ratios[-1]:.3f} in {len(ratios)} rounds; "
                f"medians {self.median(name):.3f} s and {self.median(reference):.3f} s")


def say(text: str) -> None:
    """A line of the report."""
    print(text, flush=True)


def save(guest: LibvirtGuest, path: Path) -> Path:
    """Save a guest; what its image writes to the disk later must not disturb a measurement."""
    guest.save(path)
    os.sync()
    return path


def evict(path: Path) -> None:
    """Take a file out of page cache; it is on the disk already."""
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def record(path: Path) -> None:
    """Record an image; warnings do not matter here."""
    result = run_tool("record", path)
    if result.code not in (GOOD, WARNINGS):
        raise BenchError(str(result))


class Bench:
    """The parts; guests that two parts need are booted once."""

    def __init__(self, host: LibvirtHost) -> None:
        self.host = host
        self.saved: dict[str, Path] = {}

    def images(self, *configs: Config) -> list[Path]:
        """Recorded images of Linux guests, booted side by side."""
        guests = [self.host.define(config) for config in configs
                  if config.name not in self.saved]
        for guest in guests:
            guest.start()
        for guest in guests:
            seen = guest.console.wait_ready(timeout=300)
            if int(seen["pft"]) != guest.config.order:
                raise BenchError(f"'{guest.name}' has a table of order {seen['pft']}")
        for guest in guests:
            path = save(guest, self.host.work / f"{guest.name}.save")
            if path.stat().st_size < guest.config.fill_mib << 20:
                raise BenchError(f"'{path}' has only {path.stat().st_size >> 20} MiB")
            record(path)
            self.saved[guest.name] = path
        return [self.saved[config.name] for config in configs]

    def memory(self) -> None:
        """Two guests whose tables have the same order."""
        small, large = self.images(SMALL, LARGE)
        timing = Timing(11, {"large": validate(large), "small": validate(small)})
        say(f"memory: validate, order {LARGE.order}: 4 GiB, 2.5 GiB in use, takes "
            f"{timing.ratio('large', 'small'):.2f} times what 512 MiB take "
            f"({timing.details('large', 'small')}); must hold: within 1.5")

    def restore(self) -> None:
        """The real restore, with the image in page cache, and read from the disk."""
        path, = self.images(LARGE)

        def restore() -> None:
            self.host.virsh("restore", "--paused", path)

        def before(name: str) -> None:
            if name.endswith("disk"):
                evict(path)
                for file in path.with_name(f"{path.name}.hpt").iterdir():
                    evict(file)

        def after(name: str) -> None:
            if name.startswith("restore"):
                domain = self.host.connection.lookupByName(LARGE.name)
                if domain.state()[0] != libvirt.VIR_DOMAIN_PAUSED:
                    raise BenchError(f"'{LARGE.name}' was not restored")
                domain.destroy()

        timing = Timing(5, {"validate": validate(path), "restore": restore,
                            "validate, disk": validate(path), "restore, disk": restore},
                        before, after)
        size = path.stat().st_size / 1e6
        for where, which in (("read from the disk", ", disk"), ("in page cache", "")):
            ours, real = f"validate{which}", f"restore{which}"
            say(f"restore: validate, 4 GiB, 2.5 GiB in use, order {LARGE.order}, image {where}, "
                f"takes 1/{1 / timing.ratio(ours, real):.1f} of virsh restore --paused "
                f"({timing.details(ours, real)}); must hold: at most 1/20 (0.050)")
            say(f"restore: image {where}: restored at {size / timing.median(real):.0f} MB/s; "
                f"1/20 is where that is {size / timing.median(ours) / 20:.0f} MB/s or less")

    def order(self) -> None:
        """Full tables, of three orders."""
        guests = [self.host.define(config) for config in FULL]
        for guest in guests:
            guest.start()
        for guest in guests:
            guest.console.wait_for(FIRMWARE_PROMPT)
        # A guest in its firmware is never idle
        paths = [save(guest, self.host.work / f"{guest.name}.save") for guest in guests]
        before: tuple[int, Timing] | None = None
        for guest, path in zip(guests, paths):
            order = guest.config.order
            table = path.with_suffix(".table")
            body = full_table(order, guest.config.mem_mib << 20)
            table.write_bytes(body)
            graft(path, body)
            os.sync()
            record(path)
            timing = Timing(5, {
                "validate": validate(path),
                "own": validate(path, "--no-dry-run", levels=LEVELS[:2]),
                "sha256sum": command("sha256sum", table)})
            say(f"order {order}, full ({len(body) >> 20} MiB): validate {show(timing, 'validate')}")
            say(f"order {order}, levels record and table: {show(timing, 'own')}")
            if before is not None:
                say(f"order {order}, growth over order {before[0]}: table "
                    f"{1 << order - before[0]}, validate "
                    f"{timing.median('validate') / before[1].median('validate'):.1f}, levels "
                    f"record and table {timing.median('own') / before[1].median('own'):.1f} times")
            before = order, timing
            path.unlink()
            table.unlink()


def show(timing: Timing, name: str) -> str:
    """Time, and the ratio to hashing the same table."""
    return (f"{timing.median(name):.3f} s, {timing.ratio(name, 'sha256sum'):.1f} times sha256sum of "
            f"the same table ({timing.details(name, 'sha256sum')})")


def full_table(order: int, ram: int) -> bytes:
    """The body of section spapr/htab, each slot valid and in its place, what is free random.

    64 KiB pages in segments of 256 MiB at offset 0, so that the PTEG's number is the low bits of the
    VSID; above it the place in the PTEG, so that no two entries are the same, and random bits.  The
    first of each PTEG is bolted.
    """
    ptegs = 1 << (order - 7)
    table = array("Q", bytes(1 << order))
    numbers = array("Q", range(0, ptegs << 12, 1 << 12))
    for place in range(8):
        table[2 * place::16] = numbers
    table.byteswap()
    # Large integers are the fastest bit-wise operations that Python has
    fixed = b"".join(struct.pack(">QQ", place << 32 | (0x05 if place else 0x15), 0x1196)
                     for place in range(8))
    free = struct.pack(">QQ", 0x3FFF << 36, ram - 1 & ~0xFFFF)
    value = (int.from_bytes(os.urandom(1 << order), "big") &
             int.from_bytes(free * (1 << order - 4), "big") |
             int.from_bytes(fixed * ptegs, "big") | int.from_bytes(table.tobytes(), "big"))
    entries = value.to_bytes(1 << order, "big")
    body = [bytes(4)]
    slots = 1 << (order - 4)
    for first in range(0, slots, 65535):
        count = min(65535, slots - first)
        body += [struct.pack(">IHH", first, count, 0), entries[16 * first:16 * (first + count)]]
    return b"".join((*body, bytes(8)))


def graft(path: Path, body: bytes) -> None:
    """Give an image whose table is empty another one."""
    data = path.read_bytes()
    read = oracle.parse(data)
    at = dict(read.sections)["spapr/htab end"] + 5
    if read.entries or data[at:at + 12] != bytes(12):
        raise BenchError(f"'{path}' is not an image of a guest in its firmware")
    path.write_bytes(b"".join((data[:at], body, data[at + 12:])))


PARTS: dict[str, Callable[[Bench], None]] = {
    "memory": Bench.memory, "restore": Bench.restore, "order": Bench.order}


def run(work: Path, parts: Sequence[str]) -> None:
    """Measure and print."""
    disk = os.statvfs(work)
    free = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    if free is None or int(free[1]) < 5 << 20:
        raise BenchError("less than 5 GiB of memory are available")
    if disk.f_bavail * disk.f_frsize < 4 << 30:
        raise BenchError(f"less than 4 GiB are free in '{work}'")
    say(f"virt-hpt: {CONTEXT.tool}")
    with LibvirtHost(work / "host") as host:
        bench = Bench(host)
        for part in parts:
            PARTS[part](bench)
