# SPDX-License-Identifier: LGPL-2.1-or-later
"""Proves that to delete or forget a snapshot takes nothing that another one, or a revert that waits for
a decision, needs; that the record of an earlier image is none of a snapshot's; and that a revert is
not ended by a key.
Boots a guest under libvirt (root)."""

import contextlib
import hashlib
import os
import re
import signal
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Iterator

from .libvirthost import URI
from .revertcase import RevertCase, change_recorded_table
from .snapshotcase import NAME, NUMBERS, REVERTS_ITSELF, STATE, virt_hpt
from .support import BAD, COULD_NOT, GOOD, UNSUPPORTED, WARNINGS


def digest(image: Path) -> str:
    """Of the contents that a guest sees on an image."""
    out = subprocess.run(["qemu-img", "convert", "-U", "-O", "raw", image, f"{image}.raw"], check=False)
    content = Path(f"{image}.raw").read_bytes()
    Path(f"{image}.raw").unlink()
    assert out.returncode == 0
    return hashlib.sha256(content).hexdigest()


class Delete(RevertCase):
    """snapshot-delete"""

    def domain_of(self, name: str) -> bytes:
        """The domain in libvirt's XML of a snapshot."""
        xml = self.host.virsh("snapshot-dumpxml", NAME, name, "--security-info")
        return ElementTree.canonicalize(
            ElementTree.tostring(ElementTree.fromstring(xml).find("domain")), strip_text=True)

    def base_of(self, name: str) -> Path:
        """The image that the guest's disk was on at a snapshot."""
        root = ElementTree.fromstring(self.domain_of(name))
        return Path(root.find("devices/disk/source").get("file"))

    def test_later_snapshots_stay_what_they_are(self) -> None:
        self.create("one")
        count = self.create("two")
        before = self.domain_of("two")
        self.expect(GOOD, "snapshot-delete", NAME, "one", "--metadata")
        self.assertEqual(self.snapshots(), ["two"])
        self.assertEqual(self.domain_of("two"), before)
        self.guest.console.wait_count()
        self.expect(GOOD, "snapshot-revert", NAME, "two", "--prove")
        self.assert_went_back(count)
        self.assertIn(count, self.counts_on_disk())

    @contextlib.contextmanager
    def delete_underway(self, *options: str) -> Iterator[subprocess.Popen[str]]:
        """A deletion of 'one' that libvirt was asked for, and that it begins afterwards: until then another
        job has the domain, of which the monitor does not answer."""
        qemu = int(Path(f"/run/libvirt/qemu/{NAME}.pid").read_text(encoding="ascii"))
        os.kill(qemu, signal.SIGSTOP)
        try:
            with subprocess.Popen(["virsh", "-q", "-c", URI, "qemu-monitor-command", NAME,
                                   '{"execute": "query-status"}'], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL) as job:
                time.sleep(0.5)
                process = self.start("snapshot-delete", NAME, "one", *options)
                deadline = time.monotonic() + 20
                while self.phase() != "deleting":
                    self.assertLess(time.monotonic(), deadline, self.said())
                    time.sleep(0.01)
                time.sleep(0.5)
                yield process
                os.kill(qemu, signal.SIGCONT)
                job.wait(60)
        finally:
            with contextlib.suppress(OSError):
                os.kill(qemu, signal.SIGCONT)

    def kill_delete(self, *options: str) -> None:
        """Delete 'one', and kill that when libvirt was asked to do it."""
        with self.delete_underway(*options) as process:
            process.kill()
            process.wait()
        deadline = time.monotonic() + 60
        while "one" in self.snapshots():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)
        self.await_libvirt()
        self.assertEqual(self.phase(), "deleting", self.said())

    def test_killed_delete_leaves_later_snapshots_what_they_are(self) -> None:
        self.create("one")
        count = self.create("two")
        memory, before = self.memory_of("one"), self.domain_of("two")
        self.kill_delete("--metadata")
        self.expect(GOOD, "snapshot-list", NAME)
        self.assertEqual((self.phase(), self.domain_of("two")), ("none", before))
        self.assertTrue(memory.exists() and memory.with_name(f"{memory.name}.hpt").exists())
        self.guest.console.wait_count()
        self.expect(GOOD, "snapshot-revert", NAME, "two", "--prove")
        self.assert_went_back(count)

    def test_killed_delete_is_completed_beside_a_new_snapshot_of_the_name(self) -> None:
        self.create("one")
        self.create("two")
        before = self.domain_of("two")
        self.kill_delete("--metadata")
        self.guest.console.settle()
        self.host.virsh("snapshot-create-as", NAME, "one",
                        "--memspec", self.guest.disk.with_name(f"{NAME}.second-one.mem"),
                        "--diskspec", f"vda,file={self.guest.disk}.one.{next(NUMBERS)}")
        new = self.domain_of("one")
        self.expect(GOOD, "snapshot-list", NAME)
        self.assertEqual((self.phase(), self.domain_of("two"), self.domain_of("one")),
                         ("none", before, new))

    def test_killed_delete_is_completed(self) -> None:
        self.create("one")
        memory = self.memory_of("one")
        self.kill_delete()
        self.expect(GOOD, "snapshot-list", NAME)
        self.assertEqual(self.phase(), "none")
        self.assertFalse(memory.exists() or memory.with_name(f"{memory.name}.hpt").exists())
        self.assert_alive()

    def journal_of_delete(self, *options: str) -> str:
        """Delete 'one'; returns what the journal said meanwhile."""
        with self.delete_underway(*options) as process:
            text = self.journal.read_text(encoding="utf-8")
        self.assertEqual(process.wait(120), GOOD, self.said())
        return text

    @property
    def journal(self) -> Path:
        """The guest's journal."""
        return STATE / self.guest.uuid / "journal"

    def test_stale_journal_changes_no_snapshot_of_the_same_name(self) -> None:
        self.create("one")
        self.create("two")
        stale = self.journal_of_delete("--metadata")
        self.host.virsh("snapshot-delete", NAME, "two", "--metadata")
        time.sleep(1)           # creation times are seconds
        self.guest.console.settle()
        self.host.virsh("snapshot-create-as", NAME, "two",
                        "--memspec", self.guest.disk.with_name(f"{NAME}.second-two.mem"),
                        "--diskspec", f"vda,file={self.guest.disk}.two.{next(NUMBERS)}")
        before = self.metadata()
        self.journal.write_text(stale, encoding="utf-8")
        self.expect(GOOD, "snapshot-list", NAME)
        self.assertEqual((self.phase(), self.metadata()), ("none", before))

    def test_stale_journal_removes_no_other_memory(self) -> None:
        self.create("one")
        memory = self.memory_of("one")
        stale = self.journal_of_delete()
        memory.write_text("another", encoding="utf-8")
        self.journal.write_text(stale, encoding="utf-8")
        result = self.expect(GOOD, "snapshot-list", NAME)
        self.assertIn(f"'{memory}' stays", result.err)
        self.assertEqual((self.phase(), memory.read_text(encoding="utf-8")), ("none", "another"))
        memory.unlink()

    def test_what_libvirt_does_not_take_back_is_kept_in_a_file(self) -> None:
        if REVERTS_ITSELF:
            # libvirt says nothing wrong
            return
        for name in ("one", "two", "three"):
            self.create(name)
        before = {name: self.domain_of(name) for name in ("two", "three")}
        self.kill_delete("--metadata")
        # As if it were another domain's
        text = self.journal.read_text(encoding="utf-8")
        at = text.index("snapshots=")
        self.journal.write_text(text[:at] + text[at:].replace(
            self.guest.uuid, "00000000-0000-4000-8000-000000000000", 1), encoding="utf-8")
        result = self.expect(GOOD, "snapshot-list", NAME)
        kept = re.search(r"snapshot-create --redefine 'snapshot' '([^']+)'", result.err)
        self.assertIsNotNone(kept, result.err)
        text = Path(kept[1]).read_text(encoding="utf-8")
        name = ElementTree.fromstring(text).findtext("name")
        Path(kept[1]).write_text(text.replace("00000000-0000-4000-8000-000000000000",
                                              self.guest.uuid), encoding="utf-8")
        self.host.virsh("snapshot-create", "--redefine", NAME, kept[1])
        self.assertEqual(self.domain_of(name), before[name])
        other = "three" if name == "two" else "two"
        self.assertEqual(self.domain_of(other), before[other])
        Path(kept[1]).unlink()
        self.assertEqual(self.phase(), "none")

    def assert_revertible(self, name: str, count: int, *, merged: bool = False) -> None:
        """A snapshot is what it was.  merged: libvirt wrote to what it lies on, which is doubted."""
        codes = (GOOD, WARNINGS) if merged else (GOOD,)
        result = virt_hpt("snapshot-validate", NAME, name)
        self.assertIn(result.code, codes, result)
        self.guest.console.wait_count()
        result = virt_hpt("snapshot-revert", NAME, name, "--prove")
        self.assertIn(result.code, codes, result)
        self.assert_went_back(count)

    def delete_below_a_branch(self) -> bool:
        """Delete 'zero', which another branch lies on; returns whether libvirt merged it."""
        result = virt_hpt("snapshot-delete", NAME, "zero")
        if REVERTS_ITSELF:
            # It knows of branches: it merges what it can, and else refuses
            self.assertIn(result.code, (GOOD, UNSUPPORTED), result)
            return result.code == GOOD
        self.assertEqual(result.code, GOOD, result)
        self.assertIn("are not merged", result.err)
        return False

    def test_snapshots_of_another_branch_stay(self) -> None:
        """libvirt before 9.9.0 merges the branch that the guest is on, and knows of no other."""
        self.create("zero")
        self.create("one")
        count = self.create("two")
        base = self.base_of("two")
        self.expect(GOOD, "snapshot-revert", NAME, "one")
        self.assert_alive()
        merged = self.delete_below_a_branch()
        self.assertTrue(base.exists())
        self.assert_revertible("two", count, merged=merged)

    def test_branch_that_cannot_be_seen_stays(self) -> None:
        if REVERTS_ITSELF:
            return
        self.create("zero")
        self.create("one")
        count = self.create("two")
        base = self.base_of("two")
        self.expect(GOOD, "snapshot-revert", NAME, "one")
        self.assert_alive()
        away = base.rename(base.with_name("away"))
        try:
            self.delete_below_a_branch()
        finally:
            away.rename(base)
        self.assert_revertible("two", count)

    def test_layers_of_a_straight_line_are_merged(self) -> None:
        self.create("zero")
        layer = self.current_disk()
        count = self.create("one")
        self.expect(GOOD, "snapshot-delete", NAME, "zero")
        self.assertFalse(layer.exists())
        self.assert_revertible("one", count, merged=True)

    def test_snapshot_above_a_revert_stays(self) -> None:
        self.create("zero")
        self.create("one")
        self.expect(GOOD, "snapshot-revert", NAME, "zero")
        self.assert_alive()
        count = self.create("three")
        self.expect(GOOD, "snapshot-revert", NAME, "one")
        self.assert_alive()
        below = digest(self.base_of("three"))
        merged = self.delete_below_a_branch()
        self.assertEqual(digest(self.base_of("three")), below)
        self.assert_revertible("three", count, merged=merged)

    def test_record_of_lost_memory_goes_with_the_snapshot(self) -> None:
        self.create("one")
        memory = self.memory_of("one")
        memory.unlink()
        self.expect(GOOD, "snapshot-delete", NAME, "one")
        self.assertFalse(memory.with_name(f"{memory.name}.hpt").exists())
        self.assert_alive()

    def test_base_of_a_later_snapshot_is_not_said_to_be_left(self) -> None:
        if REVERTS_ITSELF:
            # libvirt merges by itself, and says what it cannot
            return
        self.create("one")
        count = self.create("two")
        before, base = self.domain_of("two"), self.base_of("two")
        self.guest.console.wait_count()
        self.expect(GOOD, "snapshot-revert", NAME, "one")
        result = self.expect(GOOD, "--json", "snapshot-delete", NAME, "one")
        self.assertNotIn(str(base), result.json()["left"])
        self.assertEqual(self.domain_of("two"), before)
        self.expect(GOOD, "snapshot-revert", NAME, "two", "--prove")
        self.assert_went_back(count)
        self.assertLessEqual(set(range(count - 2, count + 1)), self.counts_on_disk())

    def test_snapshot_that_libvirt_moved_to_another_disk_is_refused(self) -> None:
        self.create("one")
        self.create("two")
        before = self.base_of("two")
        self.host.virsh("snapshot-delete", NAME, "one", "--metadata")
        if self.base_of("two") == before:
            self.assertTrue(REVERTS_ITSELF)
            self.expect(GOOD, "snapshot-validate", NAME, "two")
            return
        result = self.expect(BAD, "--json", "snapshot-validate", NAME, "two")
        self.assertIn("layer-rebased", [fact["code"] for fact in result.json()["facts"]])
        self.expect(BAD, "snapshot-revert", NAME, "two")
        self.assert_alive()

    def test_nothing_is_deleted_while_a_revert_waits_for_a_decision(self) -> None:
        self.create("target")
        disk, before = self.current_disk(), self.metadata()
        record = self.memory_of("target").with_name(f"{self.memory_of('target').name}.hpt")
        change_recorded_table(record)
        # What is saved now is restored
        self.guest.console.settle()
        self.expect(BAD, "snapshot-revert", NAME, "target", "--prove")
        self.assertEqual(self.phase(), "differs")
        result = self.expect(COULD_NOT, "snapshot-delete", NAME, "target")
        self.assertIn("--recover", result.err)
        self.expect(GOOD, "snapshot-revert", "--recover", NAME)
        self.assertEqual((self.current_disk(), self.metadata()), (disk, before))
        self.assert_alive()

    def test_record_of_an_earlier_image_is_not_the_snapshots(self) -> None:
        self.create("one")
        memory = self.memory_of("one")
        self.host.virsh("snapshot-delete", NAME, "one", "--metadata")
        memory.unlink()
        self.guest.console.settle()
        layer = self.guest.disk.with_name(f"{NAME}.two.{next(NUMBERS)}")
        self.host.virsh("snapshot-create-as", NAME, "two", "--memspec", memory,
                        "--diskspec", f"vda,file={layer}")
        self.assertIsNone(
            self.expect(GOOD, "--json", "snapshot-info", NAME, "two").json()["record"])
        self.expect(GOOD, "snapshot-revert", NAME, "two", "--prove")
        self.assert_alive()

    def test_revert_is_not_ended_by_a_key(self) -> None:
        count = self.create("target")
        self.guest.console.wait_count()
        process = self.start("snapshot-revert", NAME, "target")
        while process.poll() is None and self.phase() not in ("stopping", "restoring"):
            pass
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process.send_signal(number)
        self.assertIn(process.wait(120), (GOOD, WARNINGS), self.said())
        self.assertEqual(self.phase(), "none")
        self.assert_went_back(count)
