# SPDX-License-Identifier: LGPL-2.1-or-later
"""Proves that a revert that fails, or is killed, or differs leaves the guest, libvirt's knowledge of it
and its files as they were, or completes; and that nobody who kills the tool, QEMU or libvirtd, or fills
a disk, loses the guest.
Requires root, libvirt and QEMU: a real guest runs under a private libvirtd."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .libvirthost import HostError
from .revertcase import RevertCase, change_recorded_table
from .snapshotcase import NAME, NUMBERS, REVERTS_ITSELF, STATE, virt_hpt
from .support import BAD, CONTEXT, COULD_NOT, GOOD, UNSUPPORTED, Result


def moments(long: int = 20, short: int = 6) -> int:
    """How many moments of a command are tried."""
    return long if CONTEXT.long else short


@contextlib.contextmanager
def small_disk(path: Path, size: str) -> Iterator[Path]:
    """A file system of its own at a directory."""
    path.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", path],
                   check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def fill(directory: Path) -> Path:
    """Leave no space on a disk."""
    ballast = directory / "ballast"
    with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))
    return ballast


class Revert(RevertCase):
    """snapshot-revert, --recover"""

    def test_failed_restore_brings_back_guest_and_metadata(self) -> None:
        self.broken("broken")
        self.create("current")
        disk, before, count = self.current_disk(), self.metadata(), self.guest.console.settle()
        self.assertEqual(before.current, "current")
        result = self.expect(COULD_NOT, "snapshot-revert", NAME, "broken")
        self.assertIn("as it was before", result.err)
        self.assert_undone(before, disk, count, result.err)

    def test_revert_that_differs_can_be_undone_as_if_it_never_was(self) -> None:
        self.create("target")
        slot = change_recorded_table(Path(f"{self.memory_of('target')}.hpt"))
        self.create("current")
        disk, before, count = self.current_disk(), self.metadata(), self.guest.console.settle()
        result = self.expect(BAD, "snapshot-revert", NAME, "target", "--prove")
        self.assertIn(slot, result.numbers(), result)
        self.assertEqual((self.guest.state(), self.phase()), ("paused", "differs"))
        self.assertEqual(self.metadata().current, "target")
        # It waits: nothing else undoes it, and no other revert begins
        self.expect(GOOD, "snapshot-list", NAME)
        self.assertIn("--recover", self.expect(COULD_NOT, "snapshot-revert", NAME, "current").err)
        # Nor is a snapshot made, which would be above layers that an undo removes
        self.assertIn("--recover", self.expect(COULD_NOT, "snapshot-create-as", NAME, "third").err)
        self.assertEqual((self.guest.state(), self.phase()), ("paused", "differs"))
        result = self.expect(GOOD, "snapshot-revert", "--recover", NAME, "--json")
        self.assertEqual(result.json()["outcome"], "brought-back")
        self.assert_undone(before, disk, count, result.err)

    def test_revert_that_differs_can_be_kept(self) -> None:
        count = self.create("target")
        change_recorded_table(Path(f"{self.memory_of('target')}.hpt"))
        self.guest.console.wait_count()
        result = self.expect(BAD, "snapshot-revert", NAME, "target", "--prove")
        self.assertIn(str(self.aside()), result.text)
        self.aside().unlink()
        kept = self.expect(GOOD, "snapshot-revert", "--recover", NAME)
        self.assertEqual((self.guest.state(), self.phase()), ("paused", "none"))
        self.assert_nothing_left(result.text + kept.text)
        self.host.virsh("resume", NAME)
        self.assert_went_back(count)

    def test_saved_state_that_no_revert_knows_of_is_not_removed(self) -> None:
        self.create("target")
        self.aside().write_bytes(self.memory_of("target").read_bytes())
        content = self.aside().read_bytes()
        self.guest.console.settle()
        result = self.expect(COULD_NOT, "snapshot-revert", NAME, "target")
        self.assertIn(str(self.aside()), result.err)
        self.assertEqual(self.aside().read_bytes(), content)
        self.assertEqual(self.phase(), "none")
        self.assert_alive()
        # What is not whole is nobody's
        self.aside().write_bytes(b"partial")
        self.expect(GOOD, "snapshot-revert", NAME, "target")
        self.assertFalse(self.aside().exists())
        self.assert_alive()

    def test_no_current_snapshot_before_is_none_after(self) -> None:
        self.broken("broken")
        xml = self.work / "broken.xml"
        xml.write_text(self.host.virsh("snapshot-dumpxml", NAME, "broken", "--security-info"),
                       encoding="utf-8")
        self.host.virsh("snapshot-delete", "--metadata", NAME, "broken")
        self.host.virsh("snapshot-create", NAME, xml, "--redefine")
        disk, before, count = self.current_disk(), self.metadata(), self.guest.console.settle()
        self.assertEqual((before.current, list(before.snapshots)), ("", ["broken"]))
        result = self.expect(UNSUPPORTED if REVERTS_ITSELF else COULD_NOT,
                             "snapshot-revert", NAME, "broken")
        self.assert_undone(before, disk, count, result.err)

    def test_domain_that_is_not_defined_is_refused(self) -> None:
        definition = self.work / "definition.xml"
        definition.write_text(self.host.virsh("dumpxml", NAME, "--inactive"), encoding="utf-8")
        self.host.virsh("undefine", NAME)
        # Defined again, it would be started on a layer that is below the one it runs on
        self.addCleanup(self.back_to_the_first_disk)
        self.addCleanup(self.host.virsh, "define", definition)
        self.create("transient")
        before = self.guest.domain.ID()
        result = self.expect(UNSUPPORTED, "snapshot-revert", NAME, "transient")
        self.assertIn("persistent", result.err)
        self.assertEqual(self.guest.domain.ID(), before)
        self.assert_alive()
        self.assert_nothing_left(result.err)

    def test_what_another_snapshot_needs_stays(self) -> None:
        count = self.create("first")
        self.guest.console.wait_count()
        self.create("second")
        said = self.expect(GOOD, "snapshot-revert", NAME, "first").err
        self.assert_nothing_left(said)
        for name in ("second", "first"):
            # libvirt names its layers by the second
            time.sleep(1.1)
            self.guest.console.settle()
            said += self.expect(GOOD, "snapshot-revert", NAME, name, "--prove").err
            self.assert_nothing_left(said)
        self.assert_went_back(count)
        self.assertEqual(self.metadata().current, "first")

    def test_layer_that_was_written_to_stays_and_is_named(self) -> None:
        self.create("target")
        change_recorded_table(Path(f"{self.memory_of('target')}.hpt"))
        disk, before, count = self.current_disk(), self.metadata(), self.guest.console.settle()
        self.expect(BAD, "snapshot-revert", NAME, "target", "--prove")
        layer = self.current_disk()
        self.host.virsh("resume", NAME)
        self.assert_alive()
        # A guest that runs is not ended by us
        self.assertIn("destroy", self.expect(COULD_NOT, "snapshot-revert", "--recover", NAME).err)
        self.assert_alive()
        self.guest.destroy()
        result = self.expect(GOOD, "snapshot-revert", "--recover", NAME)
        self.assertTrue(layer.exists())
        self.assertIn(str(layer), result.err)
        self.assert_undone(before, disk, count, result.err)

    # Whoever is killed in the middle

    def time_of(self, *arguments: str) -> float:
        """How long a command takes that succeeds."""
        start = time.monotonic()
        self.expect(GOOD, *arguments)
        return time.monotonic() - start

    @staticmethod
    def create_another() -> list[str]:
        """A command that makes a snapshot of a new name."""
        return ["snapshot-create-as", NAME, f"another{next(NUMBERS)}"]

    def settled(self, *, may_be_off: bool = False) -> Result:
        """Wait until libvirt has done what it was asked for and the guest is back."""
        deadline = time.monotonic() + 60
        while True:
            result = virt_hpt("snapshot-list", NAME)
            with contextlib.suppress(HostError):
                state = self.guest.state()
                if result.code == GOOD and (state == "running" or
                                            (may_be_off and state == "shut off")):
                    return result
            self.assertLess(time.monotonic(), deadline, result)
            time.sleep(0.2)

    def at_moments(self, moments: int, whole: float, command: Callable[[], list[str]],
                   strike: Callable[[subprocess.Popen[str]], None],
                   after: Callable[[str], None]) -> set[str]:
        """Strike at moments spread over the time that a command takes; returns the phases in which
        it was struck."""
        struck = runs = 0
        phases = set()
        while struck < moments:
            runs += 1
            self.assertLess(runs, 4 * moments, "the command ends before it can be struck")
            self.guest.console.settle()
            (self.work / "said").write_text("", encoding="utf-8")
            process = self.start(*command())
            try:
                process.wait(whole * (struck + 0.5) / moments)
                whole *= 0.8
            except subprocess.TimeoutExpired:
                phases.add(self.phase())
                strike(process)
                process.wait(120)
                struck += 1
            after(self.said())
        return phases

    def after_kill(self, said: str) -> None:
        """The guest runs, and nothing of the killed command is left."""
        result = self.settled()
        self.assert_alive()
        self.assertEqual(self.phase(), "none")
        self.assert_nothing_left(said + result.err)
        # What was named stays
        self.there = self.files()

    def after_kill_of_create(self, said: str) -> None:
        """A snapshot is whole or absent; libvirt says which.  What is left of it is named."""
        result = self.settled()
        self.assert_alive()
        for name in self.snapshots():
            self.expect(GOOD, "snapshot-validate", NAME, name)
        self.assertEqual(self.phase(), "none", said)
        self.assert_nothing_left(said + result.err)
        self.there = self.files()

    def test_kill_during_create_leaves_the_guest_running(self) -> None:
        self.guest.console.settle()
        whole = self.time_of(*self.create_another())
        self.at_moments(moments(), whole, self.create_another,
                        subprocess.Popen.kill, self.after_kill_of_create)

    def test_kill_during_revert_does_not_lose_the_guest(self) -> None:
        self.create("target")
        whole = 0.0
        for _ in range(2):
            time.sleep(1.1)
            whole = self.time_of("snapshot-revert", NAME, "target", "--prove")
        self.there = self.files()
        phases = self.at_moments(moments(), whole,
                                 lambda: ["snapshot-revert", NAME, "target", "--prove"],
                                 subprocess.Popen.kill, self.after_kill)
        if CONTEXT.long:
            self.assertLessEqual({"none", "stopping", "restoring"}, phases)
        else:
            self.assertGreater(len(phases), 1)

    def kill_qemu(self, process: subprocess.Popen[str]) -> None:
        """End whatever runs the guest now, as the kernel would for want of memory."""
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(Path(f"/run/libvirt/qemu/{NAME}.pid").read_text()), signal.SIGKILL)

    def after_kill_of_qemu(self, said: str) -> None:
        """The guest is back, or was ended before its state was saved, and can be started."""
        result = self.settled(may_be_off=True)
        self.assert_nothing_left(said + result.err)
        self.there = self.files()
        self.expect(GOOD, "snapshot-validate", NAME, "target")
        if self.guest.state() == "shut off":
            self.guest.reboot()
        self.assert_alive()

    def test_death_of_qemu_during_revert_leaves_all_files_whole(self) -> None:
        self.create("target")
        whole = self.time_of("snapshot-revert", NAME, "target", "--prove")
        self.there = self.files()
        self.at_moments(moments(6, 3), whole, lambda: ["snapshot-revert", NAME, "target", "--prove"],
                        self.kill_qemu, self.after_kill_of_qemu)

    def test_death_of_qemu_during_create_leaves_snapshots_whole_or_absent(self) -> None:
        self.guest.console.settle()
        whole = self.time_of(*self.create_another())

        def after(said: str) -> None:
            self.assert_nothing_left(said + self.settled(may_be_off=True).err)
            self.there = self.files()
            for name in self.snapshots():
                self.expect(GOOD, "snapshot-validate", NAME, name)
            if self.guest.state() == "shut off":
                self.guest.reboot()
            self.assert_alive()

        self.at_moments(moments(4, 2), whole, self.create_another,
                        self.kill_qemu, after)

    def test_snapshot_that_libvirt_made_without_its_memory_is_forgotten(self) -> None:
        """libvirt makes such a one of a guest that ends just before its turn comes."""
        name = f"hollow{next(NUMBERS)}"
        memory = self.guest.disk.with_name(f"{NAME}.{name}.mem")
        self.guest.console.settle()
        process = self.start("snapshot-create-as", NAME, name)
        while process.poll() is None and self.phase() != "creating":
            pass
        process.kill()
        process.wait()
        self.await_libvirt()
        self.assertEqual(self.phase(), "creating", self.said())
        if name not in self.snapshots():
            self.host.virsh("snapshot-create-as", NAME, name, "--memspec", memory)
        memory.unlink()
        result = self.settled()
        self.assertIn("without its memory", result.err)
        self.assertEqual((self.snapshots(), self.phase()), ([], "none"))
        self.assert_nothing_left(result.err)
        self.assert_alive()

    def stop_in_commit(self) -> subprocess.Popen[str]:
        """A revert that stands still where the snapshot's guest is restored and is about to stay."""
        for _ in range(10):
            self.guest.console.settle()
            process = self.start("snapshot-revert", NAME, "target")
            while process.poll() is None and self.phase() != "committing":
                pass
            process.send_signal(signal.SIGSTOP)
            if process.poll() is None and self.phase() == "committing":
                return process
            process.send_signal(signal.SIGCONT)
            process.wait(120)
        self.fail("no revert was stopped in time")

    def await_death(self) -> None:
        """QEMU ends, and libvirt knows."""
        self.kill_qemu(None)
        deadline = time.monotonic() + 30
        while self.guest.state() != "shut off":
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)

    def test_death_of_qemu_as_a_revert_ends_brings_the_guest_back(self) -> None:
        self.create("target")
        process = self.stop_in_commit()
        self.await_death()
        process.send_signal(signal.SIGCONT)
        self.assertEqual(process.wait(120), COULD_NOT, self.said())
        self.assertEqual((self.guest.state(), self.phase()), ("running", "none"), self.said())
        self.assert_alive()

    def test_who_looks_waits_for_nobody_and_who_changes_is_refused(self) -> None:
        self.create("target")
        process = self.stop_in_commit()
        try:
            for command in ("snapshot-list", "snapshot-info", "snapshot-validate"):
                self.expect(GOOD, command, NAME, *(["target"] if command != "snapshot-list" else []))
            for command in ("snapshot-create-as", "snapshot-revert", "snapshot-delete"):
                result = self.expect(COULD_NOT, command, NAME, "target")
                self.assertIn("another virt-hpt works on", result.err)
        finally:
            process.send_signal(signal.SIGCONT)
        self.assertEqual(process.wait(120), GOOD, self.said())
        self.assertEqual(self.phase(), "none")
        self.assert_alive()

    def test_state_before_stays_where_a_killed_reverts_guest_is_gone(self) -> None:
        self.create("target")
        process = self.stop_in_commit()
        self.await_death()
        process.kill()
        process.wait()
        self.addCleanup(self.aside().unlink, missing_ok=True)
        result = self.expect(COULD_NOT, "snapshot-revert", "--recover", NAME)
        self.assertIn(str(self.aside()), result.err)
        self.assertTrue(self.aside().exists())
        self.aside().unlink()
        self.expect(GOOD, "snapshot-revert", "--recover", NAME)
        self.assertEqual(self.phase(), "none")

    def restart_libvirtd(self, _process: subprocess.Popen[str]) -> None:
        """As an upgrade of its package does."""
        self.host.restart(**self.host.settings)

    def test_restart_of_libvirtd_during_revert_does_not_lose_the_guest(self) -> None:
        self.create("target")
        whole = self.time_of("snapshot-revert", NAME, "target", "--prove")
        self.there = self.files()
        self.at_moments(moments(6, 3), whole, lambda: ["snapshot-revert", NAME, "target", "--prove"],
                        self.restart_libvirtd, self.after_kill)

    def test_restart_of_libvirtd_during_create_leaves_the_guest_running(self) -> None:
        self.guest.console.settle()
        whole = self.time_of(*self.create_another())
        self.at_moments(moments(4, 2), whole, self.create_another,
                        self.restart_libvirtd, self.after_kill_of_create)

    def test_memory_that_libvirtd_left_when_it_was_killed_is_removed(self) -> None:
        disk, memory = self.current_disk(), self.guest.disk.with_name(f"{NAME}.cut.mem")
        self.guest.console.settle()
        process = self.start("snapshot-create-as", NAME, "cut")
        while process.poll() is None and not memory.exists():
            pass
        os.kill(int(Path("/run/libvirtd.pid").read_text()), signal.SIGKILL)
        self.assertEqual(process.wait(120), COULD_NOT, self.said())
        self.assertTrue(memory.exists())
        self.assertEqual(self.phase(), "creating")
        self.host.restart(**self.host.settings)
        result = self.settled()
        self.assertFalse(memory.exists(), result)
        self.assertEqual((self.snapshots(), self.current_disk(), self.phase()), ([], disk, "none"))
        self.assert_nothing_left(self.said() + result.err)
        self.assert_alive()

    # Full disks

    def test_full_disk_for_the_memory_makes_no_snapshot(self) -> None:
        with small_disk(self.work / "small", "8m") as small:
            self.guest.console.settle()
            disk = self.current_disk()
            result = self.expect(COULD_NOT, "snapshot-create-as", NAME, "full", "--memspec",
                                 f"file={small}/full.mem")
            self.assertEqual((self.snapshots(), self.current_disk()), ([], disk), result)
            self.assertEqual(list(small.iterdir()), [])
            self.assert_alive()
            self.assert_nothing_left(result.err)

    def test_full_disk_for_the_state_before_leaves_the_guest_running(self) -> None:
        self.create("target")
        with small_disk(STATE, "8m"):
            disk, before, count = self.current_disk(), self.metadata(), self.guest.console.settle()
            result = self.expect(COULD_NOT, "snapshot-revert", NAME, "target")
            self.assert_undone(before, disk, count, result.err)
        with small_disk(STATE, "64k"):
            (STATE / self.guest.uuid).mkdir(mode=0o700)
            fill(STATE / self.guest.uuid)
            result = self.expect(COULD_NOT, "snapshot-revert", NAME, "target")
            self.assertEqual(self.metadata(), before)
            self.assert_alive()

    def back_to_the_first_disk(self) -> None:
        """Start over on the disk that the guest was defined with."""
        self.forget_snapshots()
        self.guest.destroy()
        self.host.connection.defineXML(self.guest.xml())

    def test_disk_that_was_plugged_for_a_time_goes_back_too(self) -> None:
        self.addCleanup(self.back_to_the_first_disk)
        disk, layer = self.work / "plugged", self.work / "plugged.target"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "8M"], check=True)
        self.host.virsh("attach-disk", NAME, disk, "vdb", "--targetbus", "virtio", "--driver", "qemu",
                        "--subdriver", "qcow2", "--live")
        count = self.create("target", "--memspec", f"file={self.work}/target.mem",
                            "--diskspec", f"vda,file={self.work}/layer",
                            "--diskspec", f"vdb,file={layer}")
        self.guest.console.wait_count()
        self.expect(GOOD, "snapshot-revert", NAME, "target", "--prove")
        self.assert_went_back(count)
        live, persistent = self.host.virsh("domblklist", NAME), self.host.virsh(
            "domblklist", NAME, "--inactive")
        self.assertIn("vdb", live)
        self.assertNotIn(f"{layer}\n", live)
        self.assertNotIn("vdb", persistent)
        self.assertIn(str(self.current_disk()), persistent)

    def test_disk_plugged_in_the_place_of_a_defined_one_does_not_stay(self) -> None:
        self.addCleanup(self.back_to_the_first_disk)
        for name, way in (("plugged", "--live"), ("defined", "--config")):
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", self.work / name, "8M"],
                           check=True)
            self.host.virsh("attach-disk", NAME, self.work / name, "vdb", "--targetbus", "virtio",
                            "--driver", "qemu", "--subdriver", "qcow2", way)
        self.create("target", "--memspec", f"file={self.work}/target.mem",
                    "--diskspec", f"vda,file={self.work}/layer",
                    "--diskspec", f"vdb,file={self.work}/plugged.target")
        before = self.host.virsh("domblklist", NAME, "--inactive").split()[-1]
        self.expect(GOOD, "snapshot-revert", NAME, "target", "--prove")
        self.assert_alive()
        if not REVERTS_ITSELF:
            self.assertEqual(self.host.virsh("domblklist", NAME, "--inactive").split()[-1], before)

    def test_full_disk_for_the_new_layer_leaves_the_guest_running(self) -> None:
        self.addCleanup(self.back_to_the_first_disk)
        with small_disk(self.work / "small", "32m") as small:
            for name, layer in (("below", small / "layer"), ("target", self.work / "layer")):
                self.create(name, "--memspec", f"file={self.work}/{name}.mem",
                            "--diskspec", f"vda,file={layer}")
            ballast = fill(small)
            left = set(small.iterdir())
            disk, before, count = self.current_disk(), self.metadata(), self.guest.console.settle()
            result = self.expect(COULD_NOT, "snapshot-revert", NAME, "target")
            self.assert_undone(before, disk, count, result.err)
            self.assertEqual(set(small.iterdir()), left)
            ballast.unlink()
            self.expect(GOOD, "snapshot-revert", NAME, "target", "--prove")
            self.assert_alive()
            self.guest.destroy()
