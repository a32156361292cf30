# SPDX-License-Identifier: LGPL-2.1-or-later
"""Proves that what a revert which was cut short left behind is completed, taken back or left alone, as
the user would want it, and never meets disks that were written to since.
Requires root, libvirt and QEMU: a real guest runs under a private libvirtd."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import libvirt

from .revertcase import RevertCase, change_recorded_table
from .snapshotcase import NAME, STATE, Metadata
from .support import BAD, COULD_NOT, GOOD, WARNINGS, flip


class Recover(RevertCase):
    """snapshot-revert --recover, and what other commands do by themselves"""

    def test_interrupted_revert_is_completed_with_its_proof(self) -> None:
        count = self.create("target")
        self.guest.console.wait_count()
        self.stop_before_restore("--prove")
        result = self.expect(GOOD, "snapshot-revert", "--recover", NAME, "--json")
        self.assertEqual(result.json()["outcome"], "completed")
        self.assert_went_back(count)
        self.assert_nothing_left(self.said() + result.err)

    def test_interrupted_revert_whose_proof_fails_is_not_let_run(self) -> None:
        self.create("target")
        change_recorded_table(Path(f"{self.memory_of('target')}.hpt"))
        self.stop_before_restore("--prove")
        result = self.expect(BAD, "snapshot-revert", "--recover", NAME, "--json")
        self.assertEqual(result.json()["outcome"], "differs")
        self.assertEqual(self.guest.state(), "paused")
        self.assert_nothing_left(self.said() + result.err)

    def test_interrupted_revert_does_not_restore_what_was_changed_since(self) -> None:
        self.create("target")
        self.stop_before_restore()
        memory = self.memory_damaged_behind_our_back()
        result = self.expect(COULD_NOT, "snapshot-revert", "--recover", NAME)
        self.assertIn(str(memory), result.err)
        self.assertEqual(self.guest.state(), "shut off")
        self.assertEqual(self.phase(), "none")
        self.assert_nothing_left(self.said() + result.err)

    def test_saved_state_is_not_restored_over_a_disk_that_was_written_since(self) -> None:
        self.create("target")
        change_recorded_table(Path(f"{self.memory_of('target')}.hpt"))
        disk, before, count = self.current_disk(), self.metadata(), self.guest.console.settle()
        self.expect(BAD, "snapshot-revert", NAME, "target", "--prove")
        self.guest.destroy()
        self.write_to(disk)
        self.assert_restored_when_told_to(disk, before, count)

    def assert_restored_when_told_to(self, disk: Path, before: Metadata, count: int) -> None:
        """The state before is not restored over a disk, but when it was touched."""
        result = self.expect(COULD_NOT, "snapshot-revert", "--recover", NAME)
        self.assertIn(f"'{disk}' was written to or replaced since", result.err)
        self.assertIn(str(self.aside()), result.err)
        self.assertEqual(self.guest.state(), "shut off")
        self.aside().touch()
        result = self.expect(GOOD, "snapshot-revert", "--recover", NAME)
        self.assert_undone(before, disk, count, result.err)

    def test_state_saved_after_the_kill_is_not_restored_over_a_disk_written_since(self) -> None:
        self.create("target")
        disk, before, count = self.current_disk(), self.metadata(), self.guest.console.settle()
        process = self.start("snapshot-revert", NAME, "target")
        while process.poll() is None and not self.aside().exists():
            pass
        process.kill()
        process.wait()
        self.assertEqual(self.phase(), "stopping", self.said())
        self.await_libvirt()
        self.assertEqual(self.guest.state(), "shut off")
        self.write_to(disk)
        self.assert_restored_when_told_to(disk, before, count)

    def test_disk_with_an_old_time_in_place_of_the_guests_is_noticed(self) -> None:
        self.create("target")
        change_recorded_table(Path(f"{self.memory_of('target')}.hpt"))
        disk, before, count = self.current_disk(), self.metadata(), self.guest.console.settle()
        self.expect(BAD, "snapshot-revert", NAME, "target", "--prove")
        self.guest.destroy()
        name = disk if disk.exists() else disk.with_name(f"{disk.name}.virt-hpt-kept")
        backup = self.work / "backup"
        subprocess.run(["cp", "-p", name, backup], check=True)
        subprocess.run(["mv", backup, name], check=True)
        self.assert_restored_when_told_to(disk, before, count)

    def test_interrupted_revert_is_not_completed_over_a_disk_that_was_written_since(self) -> None:
        self.create("target")
        disk = self.current_disk()
        self.stop_before_restore()
        self.await_libvirt()
        self.guest.destroy()
        self.write_to(disk)
        result = self.expect(WARNINGS, "snapshot-revert", "--recover", NAME, "--json")
        self.assertEqual(result.json()["outcome"], "left")
        self.assertEqual(self.guest.state(), "shut off")
        self.assertEqual(self.phase(), "none")

    def memory_damaged_behind_our_back(self) -> Path:
        """One bit of the recorded table in the image is another; no command of ours is run."""
        xml = ElementTree.fromstring(self.host.virsh("snapshot-dumpxml", NAME, "target"))
        memory = Path(xml.find("memory").get("file"))
        descriptor = ElementTree.parse(f"{memory}.hpt/snapshot.xml")
        extent = next(one for one in descriptor.iter("extent") if one.get("part") == "table")
        flip(memory, int(extent.get("offset")) + int(extent.get("length")) // 2, 3)
        return memory

    def start_guest_during(self, phase: str) -> int:
        """Revert, and start the guest when that has got that far and the guest is off; returns libvirt's
        id of the guest when the revert has ended."""
        for _ in range(20):
            process, started = self.start("snapshot-revert", NAME, "target"), False
            while process.poll() is None and (self.phase() != phase or self.guest.domain.isActive()):
                pass
            process.send_signal(signal.SIGSTOP)
            if self.phase() == phase:
                with contextlib.suppress(libvirt.libvirtError):
                    self.guest.start()
                    started = True
            before = self.guest.domain.ID()
            process.send_signal(signal.SIGCONT)
            process.wait(120)
            if started:
                self.assertEqual(process.returncode, COULD_NOT, self.said())
                self.assertIn("somebody started it", self.said())
                return before
            self.assertEqual(process.returncode, GOOD, self.said())
            if phase == "preparing":
                self.guest.destroy()
        self.fail(f"never caught in '{phase}': {self.said()}")

    def test_guest_that_was_off_and_is_started_during_the_revert_is_left_alone(self) -> None:
        self.create("target")
        self.guest.destroy()
        self.there = self.files()
        before = self.start_guest_during("preparing")
        self.assertEqual((self.guest.domain.ID(), self.phase()), (before, "none"))
        self.assert_nothing_left(self.said())

    def test_guest_that_is_started_when_its_state_was_saved_is_left_alone(self) -> None:
        self.create("target")
        before = self.start_guest_during("stopping")
        self.assertEqual((self.guest.domain.ID(), self.phase()), (before, "restoring"))
        self.assertIn(str(self.aside()), self.said())
        # Nor is it by whoever comes after that
        result = self.expect(COULD_NOT, "snapshot-revert", "--recover", NAME)
        self.assertIn(str(self.aside()), result.err)
        self.assertEqual(self.guest.domain.ID(), before)
        self.aside().unlink()
        result = self.expect(WARNINGS, "snapshot-revert", "--recover", NAME, "--json")
        self.assertEqual(result.json()["outcome"], "left")
        self.assertEqual((self.guest.domain.ID(), self.phase()), (before, "none"))
        self.assert_nothing_left(self.said() + result.err)

    def attach(self) -> tuple[Path, bytes]:
        """Plug a disk into the guest as it is now; returns its file and what is in it."""
        extra = self.work / "extra.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", extra, "1M"], check=True)
        extra.chmod(0o666)
        self.host.virsh("attach-disk", NAME, extra, "vdb", "--live", "--driver", "qemu",
                        "--subdriver", "qcow2")
        return extra, extra.read_bytes()

    def test_disk_that_was_attached_to_a_guest_that_differs_stays(self) -> None:
        self.create("target")
        change_recorded_table(Path(f"{self.memory_of('target')}.hpt"))
        disk, before, count = self.current_disk(), self.metadata(), self.guest.console.settle()
        self.expect(BAD, "snapshot-revert", NAME, "target", "--prove")
        extra, content = self.attach()
        result = self.expect(GOOD, "snapshot-revert", "--recover", NAME)
        self.assertEqual(extra.read_bytes(), content)
        self.assert_undone(before, disk, count, result.err)

    def kill_while_libvirt_restores(self) -> None:
        """A revert that is killed when libvirt was asked to restore the snapshot's guest."""
        process = self.start("snapshot-revert", NAME, "target")
        while process.poll() is None and self.phase() in ("none", "preparing", "stopping"):
            pass
        # libvirt was asked
        while process.poll() is None and self.guest.state() == "shut off":
            pass
        process.kill()
        process.wait()
        self.assertEqual(self.phase(), "restoring", self.said())
        self.await_libvirt()
        self.assertEqual(self.guest.state(), "paused")

    def test_state_before_that_the_user_removed_is_not_waited_for(self) -> None:
        self.create("target")
        self.kill_while_libvirt_restores()
        self.guest.destroy()
        self.aside().unlink()
        result = self.expect(WARNINGS, "snapshot-revert", "--recover", NAME, "--json")
        self.assertEqual(result.json()["outcome"], "left")
        self.assertIn(f"'{self.aside()}', the state of", result.err)
        self.assertEqual((self.guest.state(), self.phase()), ("shut off", "none"))
        self.assert_nothing_left(self.said() + result.err)

    def give_up_disks(self) -> None:
        """Have QEMU hand the paused guest's disks over, as a migration does."""
        address = str(self.work / "out")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            os.chmod(address, 0o777)
            listener.listen(1)
            self.host.virsh("qemu-monitor-command", NAME, "--hmp", f"migrate -d unix:{address}")
            connection = listener.accept()[0]
            with connection:
                while connection.recv(1 << 20):
                    pass

    def test_guest_that_cannot_be_resumed_stays_paused_and_is_named(self) -> None:
        self.create("target")
        self.kill_while_libvirt_restores()
        # As if it had been killed just before it resumed the guest
        journal = STATE / self.guest.uuid / "journal"
        text = journal.read_text(encoding="utf-8")
        self.assertIn("resume=true", text)
        journal.write_text(text.replace("phase=restoring", "phase=committing"), encoding="utf-8")
        self.give_up_disks()
        with subprocess.Popen(["qemu-io", "-f", "qcow2", self.current_disk()], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            holder.stdin.write("length\n")
            holder.stdin.flush()
            holder.stdout.readline()
            result = self.expect(WARNINGS, "snapshot-revert", "--recover", NAME, "--json")
            holder.stdin.close()
        self.assertEqual(result.json()["outcome"], "completed")
        self.assertIn(f"virsh resume '{NAME}'", result.err)
        self.assertEqual((self.guest.state(), self.phase()), ("paused", "none"))
        self.assert_nothing_left(self.said() + result.err)
        self.host.virsh("resume", NAME)
        self.assertEqual(self.guest.state(), "running")
        self.guest.destroy()

    def test_guest_that_the_user_paused_since_is_not_resumed(self) -> None:
        self.create("target")
        change_recorded_table(Path(f"{self.memory_of('target')}.hpt"))
        for suspend, state in ((False, "running"), (True, "paused")):
            self.expect(BAD, "snapshot-revert", NAME, "target", "--prove")
            # As if the table had been the same and the command was killed then
            journal = STATE / self.guest.uuid / "journal"
            text = journal.read_text(encoding="utf-8").replace("phase=differs", "phase=committing")
            journal.write_text(text.replace("resume=false", "resume=true"), encoding="utf-8")
            if suspend:
                self.host.virsh("resume", NAME)
                self.host.virsh("suspend", NAME)
            result = self.expect(GOOD, "snapshot-revert", "--recover", NAME, "--json")
            self.assertEqual(result.json()["outcome"], "completed")
            self.assertEqual((self.guest.state(), self.phase()), (state, "none"))

    def test_disk_that_was_attached_after_the_kill_stays(self) -> None:
        self.create("target")
        disk, before, count = self.current_disk(), self.metadata(), self.guest.console.settle()
        self.kill_while_libvirt_restores()
        extra, content = self.attach()
        result = self.expect(GOOD, "snapshot-revert", "--recover", NAME, "--json")
        self.assertEqual(result.json()["outcome"], "brought-back")
        self.assertEqual(extra.read_bytes(), content)
        self.assert_undone(before, disk, count, self.said() + result.err)

    def test_guest_that_somebody_started_since_is_left_alone(self) -> None:
        self.create("target")
        self.stop_before_restore()
        self.await_libvirt()
        self.guest.reboot()
        before = self.guest.domain.ID()
        result = self.expect(GOOD, "snapshot-list", NAME)
        self.assertEqual(self.guest.domain.ID(), before)
        self.assertEqual(self.phase(), "none")
        self.assert_alive()
        self.assert_nothing_left(self.said() + result.err)
