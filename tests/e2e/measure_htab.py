#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How many entries the tables of real guests have, and how fast they change.

Linux guests under QEMU's TCG, with 64 KiB and with 16 MiB pages for the kernel's own mapping, idle
and under load (e2e.load in guest-init.sh).  Each is measured twice: stopped before and after it has
run for a while, and the two tables compared, which tells what a delta holds; and by a live migration
that is kept from converging, which tells what the passes of spapr/htab hold.  A guest that runs on a
busy machine does less: the CPU time that it had is printed beside.  Prints tables in
reStructuredText, those of docs/htab-stream.rst.

Requires qemu-system-ppc64; the network once.  No rights.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.dont_write_bytecode = True

from e2e import assets, guest, oracle  # noqa: E402

LOADS = ("idle", "memory", "fork")
LINEAR = {"64K": "pseries", "16M": "pseries,cap-hpt-max-page-size=16777216"}
ROUNDS = 3          # comparisons; the median counts
PASSES = 30         # over RAM; each is followed by one over the table
BANDWIDTH = 2 << 20 # bytes a second, so that the passes take a while
INTERVAL = 60       # seconds between the tables that are compared
READY = 600         # seconds until a guest must be up, on a machine that is busy otherwise
REFERENCE = 0x180   # R and C


def compare(before: oracle.Report, after: oracle.Report) -> Counter[str]:
    """Slots that differ, by kind."""
    kinds: Counter[str] = Counter()
    for slot in before.entries.keys() | after.entries.keys():
        old, new = before.entries.get(slot), after.entries.get(slot)
        if old == new:
            continue
        if old is None:
            kinds["added"] += 1
        elif new is None:
            kinds["removed"] += 1
        elif old[0] == new[0] and (old[1] ^ new[1]) & ~REFERENCE == 0:
            kinds["rc"] += 1
        else:
            kinds["changed"] += 1
    return kinds


def capture(machine: guest.QemuGuest, path: Path) -> oracle.Report:
    """The guest's table, while it is stopped; it runs on afterwards."""
    machine.migrate(path)
    return oracle.read(path)


def entries(name: str, report: oracle.Report, ready: dict[str, str]) -> str:
    """A row: what is in the table."""
    assert report.order is not None
    slots = 1 << (report.order - 4)
    bolted = report.count(v_bit=0x10)
    runs = sum(slot - 1 not in report.entries for slot in report.entries)
    sizes = ", ".join(f"{number:,} of {1 << base - 10}K/{1 << actual - 10}K"
                      for (base, actual), number in sorted(report.sizes().items()))
    return (f'   "{name}", "{ready["release"]}, {ready["page"].upper()} pages", {report.order}, '
            f'"{len(report.entries):,} of {slots:,} ({100 * len(report.entries) / slots:.1f} %)", '
            f'"{bolted:,}", "{report.count(v_bit=2):,}", "{runs:,}", "{sizes}"')


def cpu_time(machine: guest.QemuGuest) -> float:
    """How long QEMU has run on CPUs, in seconds; nearly all of it is the guest."""
    stat = Path(f"/proc/{machine.process.pid}/stat").read_text(encoding="ascii")
    return sum(map(int, stat.rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")


def changes(name: str, machine: guest.QemuGuest, path: Path) -> tuple[str, oracle.Report]:
    """A row: what a while changes; and the last table."""
    numbers: dict[str, list[float]] = {
        kind: [] for kind in ("cpu", "added", "removed", "changed", "rc")}
    report = capture(machine, path)
    for _ in range(ROUNDS):
        before, begin = report, cpu_time(machine)
        time.sleep(INTERVAL)
        numbers["cpu"].append(cpu_time(machine) - begin)
        report = capture(machine, path)
        found = compare(before, report)
        for kind in ("added", "removed", "changed", "rc"):
            numbers[kind].append(found[kind])
    cells = [f'"{statistics.median(cpu):.1f} s"' for cpu in [numbers.pop("cpu")]]
    cells += [f'"{statistics.median(values):,.0f} ({min(values):,} to {max(values):,})"'
              for values in numbers.values()]
    return f'   "{name}", {", ".join(cells)}', report


@dataclass
class Pass:
    """What one pass over the table holds."""

    last: int = -1      # slot; the records of a pass ascend
    records: int = 0
    valid: int = 0
    invalid: int = 0

    def add(self, index: int, valid: int, invalid: int) -> None:
        """One more record."""
        self.last = index + valid + invalid - 1
        self.records += 1
        self.valid += valid
        self.invalid += invalid


def whole_passes(sections: list[bytes]) -> list[Pass]:
    """Passes over the table: QEMU ends a section after 5 ms and goes on behind it in the next."""
    passes = [Pass()]
    for records in sections:
        for index, valid, invalid in oracle.runs(records):
            if index <= passes[-1].last:
                passes.append(Pass())
            passes[-1].add(index, valid, invalid)
    return passes


def migration(name: str, machine: guest.QemuGuest, path: Path) -> str:
    """A row: what the passes of a live migration hold."""
    info = machine.migrate(path, live=True, passes=PASSES, timeout=READY,
                           parameters={"max-bandwidth": BANDWIDTH})
    report = oracle.read(path)
    first, *later = whole_passes(report.passes)
    valid, invalid = (sum(getattr(one, what) for one in later) for what in ("valid", "invalid"))
    most = max((one.valid + one.invalid for one in later), default=0)
    records = sum(one.records for one in later)
    seconds = info["total-time"] / 1000
    return (f'   "{name}", "{seconds:.0f} s", {len(report.passes)}, '
            f'"{first.records:,}: {first.valid:,} + {first.invalid:,}", '
            f'{len(later)}, "{records:,}: {valid:,} + {invalid:,}", "{most:,}", '
            f'"{(valid + invalid) / seconds:,.0f}"')


def measure(work: Path, linear: str, load: str) -> tuple[str, str, str]:
    """One guest; its rows."""
    name = f"{linear}, {load}"
    config = guest.Config(f"measure-{linear}-{load}".lower(), machine=LINEAR[linear], load=load)
    with guest.QemuGuest(config, work) as machine:
        ready = machine.console.wait_ready(READY)
        time.sleep(3)       # what the boot leaves behind
        row, report = changes(name, machine, work / "stream")
        return entries(name, report, ready), row, migration(name, machine, work / "stream")


def table(columns: str, rows: list[str]) -> None:
    """Print one."""
    print(f".. csv-table::\n   :header: {columns}\n")
    print("\n".join(rows), end="\n\n")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--linear", choices=LINEAR, action="append",
                        help="the kernel's own pages (default: each)")
    parser.add_argument("--load", choices=LOADS, action="append", help="(default: each)")
    options = parser.parse_args()
    rows = []
    try:
        print(f"{guest.emulator_version()}; {os.cpu_count()} CPUs\n", flush=True)
        assets.get()
        with tempfile.TemporaryDirectory(prefix="measure.", dir=assets.cache_dir()) as work:
            for linear in options.linear or LINEAR:
                for load in options.load or LOADS:
                    print(f"{linear}, {load} ...", file=sys.stderr, flush=True)
                    rows.append(measure(Path(work), linear, load))
    except (assets.AssetError, guest.GuestError, guest.QmpError, oracle.OracleError) as error:
        print(f"measure_htab: {error}", file=sys.stderr)
        return 1
    contents, intervals, migrations = zip(*rows)
    table("guest, kernel, order, entries, bolted, secondary, runs, page sizes", contents)
    table("guest, CPU time, added, removed, changed, R and C alone", intervals)
    table('guest, time, sections, "first pass, records: valid + invalid", later passes that hold records, '
          '"all of them, records: valid + invalid", "slots in the largest", a second', migrations)
    return 0


if __name__ == "__main__":
    sys.exit(main())
