# SPDX-License-Identifier: LGPL-2.1-or-later
"""Proves that --prove compares the guest that was really restored: a table that changes within QEMU
between the restore and the comparison is told slot by slot, and the guest never runs on it.
Requires root, libvirt and QEMU: a hook of libvirt's, called when the guest is restored and paused,
writes to the memory of its QEMU, as a broken QEMU would."""

from __future__ import annotations

import json
import os
from pathlib import Path

from . import oracle
from .snapshotcase import NAME, SnapshotCase
from .support import BAD, GOOD

HOOK = Path("/etc/libvirt/hooks/qemu")
VALID = 1       # bit of V

# TCG's QEMU keeps the table in memory aligned to its size, in big-endian entries
_HOOK_TEXT = """\
#!/usr/bin/python3
import json, pathlib, struct, sys
plan = json.loads(pathlib.Path({plan!r}).read_text())
if sys.argv[1:4] != [plan["name"], "started", "begin"]:
    sys.exit(0)
pid = int(pathlib.Path(f"/run/libvirt/qemu/{{plan['name']}}.pid").read_text())
found = []
with open(f"/proc/{{pid}}/mem", "r+b", buffering=0) as memory:
    def entry(table, slot):
        memory.seek(table + 16 * slot)
        v, r = struct.unpack(">QQ", memory.read(16))
        return v & ~{volatile}, r
    for line in open(f"/proc/{{pid}}/maps"):
        low, high = (int(word, 16) for word in line.split()[0].split("-"))
        if line.split()[1] != "rw-p":
            continue
        for table in range(-(-low // plan["size"]) * plan["size"], high - plan["size"] + 1,
                           plan["size"]):
            if all(entry(table, slot) == (v, r) for slot, v, r in plan["samples"]):
                found.append(table)
    table, = found
    for slot, v, r in plan["changes"]:
        memory.seek(table + 16 * slot)
        memory.write(struct.pack(">QQ", v, r))
pathlib.Path({plan!r}).with_suffix(".done").touch()
"""


class Prove(SnapshotCase):
    """snapshot-revert --prove of a guest whose table changed"""

    def plan(self, name: str) -> dict[int, str]:
        """Have the hook change the restored table; returns slot -> how."""
        read = oracle.read(self.memory_of(name))
        slots = sorted(read.entries)
        changed, dropped = slots[len(slots) // 3], slots[2 * len(slots) // 3]
        added = next(slot for slot in range(1 << (read.order - 4)) if slot not in read.entries)
        v, r = read.entries[changed]
        plan = self.work / "plan"
        plan.write_text(json.dumps({
            "name": NAME, "size": 1 << read.order,
            "samples": [(slot, *read.entries[slot]) for slot in slots[::len(slots) // 64]],
            "changes": [(changed, v, r ^ 1 << 12), (dropped, 0, 0), (added, v | VALID, r)]}))
        HOOK.parent.mkdir(exist_ok=True)
        HOOK.write_text(_HOOK_TEXT.format(plan=str(plan), volatile=oracle.VOLATILE))
        HOOK.chmod(0o755)
        self.addCleanup(self.guest.host.restart)
        self.addCleanup(HOOK.unlink)
        self.guest.host.restart()
        return {changed: "changed", dropped: "removed", added: "added"}

    def test_differences_are_named_and_the_guest_stays_paused(self) -> None:
        self.create("honest")
        expected = self.plan("honest")
        disk, count = self.current_disk(), self.guest.console.settle()
        result = self.expect(BAD, "snapshot-revert", NAME, "honest", "--prove", "--json")
        self.assertTrue((self.work / "plan.done").exists(), self.guest.host.messages()[-2000:])
        document = result.json()
        self.assertEqual((document["outcome"], document["proved"], document["running"]),
                         ("differs", False, False))
        self.assertEqual({one["slot"]: one["kind"] for one in document["differences"]}, expected)
        self.assertEqual(self.guest.state(), "paused")
        self.assertTrue(os.path.exists(document["state_before"]))

        # The way back
        HOOK.write_text("#!/bin/sh\n")
        self.expect(GOOD, "snapshot-revert", NAME, "--recover")
        self.assertGreater(self.assert_alive()[0], count)
        self.assertEqual((self.current_disk(), self.current_disk(inactive=True)), (disk, disk))
        self.assertFalse(os.path.exists(document["state_before"]))
        # Nothing is wrong with the snapshot itself
        self.expect(GOOD, "snapshot-revert", NAME, "honest", "--prove")
        self.assert_alive()
