# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tests of reverts share: snapshots that fail or differ, and reverts that are cut short."""

from __future__ import annotations

import contextlib
import hashlib
import re
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from .libvirthost import URI, HostError
from .snapshotcase import NAME, STATE, SnapshotCase
from .support import CONTEXT, GOOD, payload

TICK = re.compile(r"^E2E TICK (\d+)\n", re.MULTILINE)
PHASE = re.compile(r"^phase=(\w+)$", re.MULTILINE)


def break_memory(memory: Path, descriptor: str) -> None:
    """Make QEMU refuse an image that passes validation: among the RAM contents, which no record
    covers, a page record with flags that QEMU does not know."""
    extents = sorted((int(one.get("offset")), int(one.get("length")))
                     for one in ElementTree.fromstring(descriptor).iter("extent"))
    gap = next(at + length for (at, length), (following, _) in zip(extents, extents[1:])
               if at + length < following)
    with open(memory, "r+b") as file:
        file.seek(gap)
        file.write(b"\xff" * 8)


def change_recorded_table(record: Path) -> int:
    """Make a record that is sound in itself say that an entry was changed (C) that was not;
    returns its slot."""
    path = record / "table"
    stored, table = path.read_bytes(), bytearray(payload(path))
    plain = bytes(table)
    table[8 + 8 + 15] ^= 0x80
    path.write_bytes(table)
    if stored != plain:
        subprocess.run(["zstd", "-q", path, "-o", f"{path}.zst"], check=True)
        Path(f"{path}.zst").rename(path)
    descriptor = (record / "snapshot.xml").read_text(encoding="utf-8")
    for before, after in ((plain, bytes(table)), (stored, path.read_bytes())):
        descriptor = descriptor.replace(hashlib.sha256(before).hexdigest(),
                                        hashlib.sha256(after).hexdigest())
        descriptor = descriptor.replace(f'length="{len(before)}"', f'length="{len(after)}"')
    (record / "snapshot.xml").write_text(descriptor, encoding="utf-8")
    return int.from_bytes(table[8:12], "big")


class RevertCase(SnapshotCase):
    """A test of reverts."""

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Run a command, and let it run."""
        return subprocess.Popen([CONTEXT.tool, "-c", URI, *arguments], text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=open(self.work / "said", "a", encoding="utf-8"))

    def said(self) -> str:
        """What commands of start() have said."""
        return (self.work / "said").read_text(encoding="utf-8")

    def phase(self) -> str:
        """What the journal says that is being done."""
        with contextlib.suppress(OSError):
            match = PHASE.search((STATE / self.guest.uuid / "journal").read_text(encoding="utf-8"))
            return match[1] if match else "unknown"
        return "none"

    def broken(self, name: str) -> None:
        """A snapshot that validation lets pass, and QEMU does not restore."""
        self.create(name)
        break_memory(self.memory_of(name), self.expect(GOOD, "snapshot-dumpxml", NAME, name).out)

    def assert_went_back(self, count: int) -> None:
        """The guest is alive, and when it last jumped back, it was to that count or one before, from
        which it went on."""
        self.assert_alive()
        counts = [int(one) for one in TICK.findall(self.guest.console.text())]
        jumps = [after for before, after in zip(counts, counts[1:]) if after <= before]
        self.assertTrue(jumps, counts)
        self.assertLessEqual(jumps[-1], count + 1)

    def aside(self) -> Path:
        """Where the state before a revert is."""
        return STATE / self.guest.uuid / "before-revert.save"

    def write_to(self, disk: Path) -> None:
        """Write to a disk that no guest is on, what it holds already: as soon as libvirt has reverted it
        may have a second name alone."""
        path = disk if disk.exists() else disk.with_name(f"{disk.name}.virt-hpt-kept")
        with open(path, "r+b") as file:
            head = file.read(512)
            file.seek(0)
            file.write(head)

    def assert_undone(self, before: object, disk: Path, count: int, said: str) -> None:
        """The guest runs on; libvirt knows what it knew; no file is left."""
        self.assertGreater(self.assert_alive()[0], count)
        self.assertEqual(self.metadata(), before)
        self.assertEqual(self.current_disk(), disk)
        self.assert_nothing_left(said)
        self.assertEqual(self.phase(), "none")

    def stop_before_restore(self, *options: str) -> None:
        """A revert without a state before, killed as soon as the guest has gone."""
        process = self.start("snapshot-revert", NAME, "target", "--discard-current", *options)
        while process.poll() is None and self.phase() in ("none", "preparing", "stopping"):
            pass
        process.kill()
        process.wait()
        self.assertEqual(self.phase(), "restoring", self.said())

    def await_libvirt(self) -> None:
        """Wait until libvirt has done what the killed tool asked it for."""
        deadline, quiet = time.monotonic() + 60, 0
        while quiet < 10:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
            reason = self.host.virsh("domstate", NAME, "--reason")
            with contextlib.suppress(HostError):
                job = self.host.virsh("domjobinfo", NAME)
                quiet = 0 if "None" not in job or "starting" in reason else quiet + 1
                continue
            quiet += 1
