# SPDX-License-Identifier: LGPL-2.1-or-later
"""Proves that the tables of real guests are compared as the independent reader would, that a delta
gives the second one back, and that the passes of real migrations are deltas.  Requires images of
real guests (root)."""

import subprocess
from pathlib import Path

from . import oracle
from .support import GOOD, TestCase, each, image, report, run_tool

DIFFERENT, WARNED = 2, 3
RC = 0x180
KVM_STREAM = Path(__file__).parents[1] / "qemustreamdata" / "kvm-power9.stream.zst"

# Two states of one guest, or of two guests of one size
PAIRS = {"save-managed": "save-managed-next", "stream-power8": "stream-live",
         "save-running": "save-paused", "save-power9": "save-managed"}


def kinds(before: oracle.Report, after: oracle.Report) -> dict[str, int]:
    """How many slots differ in which way."""
    counts = {"added": 0, "removed": 0, "changed": 0, "rc_only": 0}
    for slot in before.entries.keys() | after.entries.keys():
        old, new = before.entries.get(slot), after.entries.get(slot)
        if old is None:
            counts["added"] += 1
        elif new is None:
            counts["removed"] += 1
        elif old != new:
            alike = old[0] == new[0] and old[1] & ~RC == new[1] & ~RC
            counts["rc_only" if alike else "changed"] += 1
    return counts


class Diff(TestCase):
    """diff and apply on tables of real guests."""

    @each(*PAIRS)
    def delta_gives_the_other_table_back(self, name: str) -> None:
        for before, after in (name, PAIRS[name]), (PAIRS[name], name):
            delta, out = self.work / f"{after}.delta", self.work / after
            counts = kinds(report(before), report(after))
            self.assertGreater(sum(counts.values()), 0)
            said = self.expect(DIFFERENT, "diff", image(before), image(after), "--json",
                               "--delta", delta).json()
            self.assertEqual({kind: said[kind] for kind in counts}, counts)
            said = self.expect(GOOD, "apply", image(before), delta, "-o", out, "--json").json()
            self.assertEqual(said["cleared"], counts["removed"])
            self.assertEqual(said["set"] + said["cleared"], sum(counts.values()))
            self.assertEqual(out.read_bytes(), oracle.canonical_table(report(after)))
            self.expect(GOOD, "check", out)

    def test_a_delta_on_another_guest_is_noticed(self) -> None:
        delta = self.work / "delta"
        self.expect(DIFFERENT, "diff", image("save-managed"), image("save-managed-next"),
                    "--delta", delta)
        self.expect(WARNED, "apply", image("save-power9"), delta, "-o", self.work / "out")

    def check_passes(self, read: oracle.Report) -> None:
        """Each pass of a migration, applied to what the passes before it gave."""
        prologue = oracle.canonical_table(oracle.Report(order=read.order))[:8]
        self.assertGreater(len(read.passes), 1)
        base = self.work / "base"
        base.write_bytes(oracle.canonical_table(oracle.Report(order=read.order)))
        for number, records in enumerate(read.passes):
            delta, out = self.work / f"pass{number}", self.work / f"table{number}"
            delta.write_bytes(prologue + records)
            result = run_tool("apply", base, delta, "-o", out)
            self.assertIn(result.code, (GOOD, WARNED), result)
            base = out
        self.assertEqual(base.read_bytes(), oracle.canonical_table(read))

    @each("stream-live", "stream-xbzrle")
    def passes_of_a_migration_are_deltas(self, name: str) -> None:
        self.check_passes(report(name))

    def test_passes_of_the_kernel_are_deltas(self) -> None:
        data = subprocess.run(["zstd", "-dc", KVM_STREAM], check=True, capture_output=True).stdout
        self.check_passes(oracle.parse(data))
