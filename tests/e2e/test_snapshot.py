# SPDX-License-Identifier: LGPL-2.1-or-later
"""Proves that a guest's memory and disk go back in time together, and that a snapshot that must not be
restored is refused before anything is stopped.
Requires root, libvirt and QEMU: a real guest runs under a private libvirtd."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from . import oracle
from .guest import Config
from .libvirthost import URI
from .snapshotcase import NAME, NUMBERS, SnapshotCase
from .support import BAD, CONTEXT, COULD_NOT, GOOD, UNSUPPORTED, WARNINGS, flip

QEMU_XML = "http://libvirt.org/schemas/domain/qemu/1.0"


class Snapshot(SnapshotCase):
    """snapshot-*"""

    def test_memory_and_disk_go_back_together(self) -> None:
        count = self.create("first")
        listed = self.expect(GOOD, "snapshot-list", NAME, "--json").json()["snapshots"]
        self.assertEqual([(one["name"], one["kind"], one["record"]) for one in listed],
                         [("first", "external", "present")])
        self.assertIn("first", self.host.virsh("snapshot-list", "--name", NAME))
        self.assertIn("<hptsnapshot>", self.expect(GOOD, "snapshot-dumpxml", NAME, "first").out)
        self.expect(GOOD, "snapshot-validate", NAME, "first")
        self.guest.console.wait_count(4)
        later = self.guest.console.counter()
        self.assertIn(later - 1, self.counts_on_disk())

        abandoned = self.current_disk()
        result = self.expect(GOOD, "snapshot-revert", NAME, "first", "--prove", "--paused", "--json")
        self.assertEqual((result.json()["outcome"], result.json()["proved"]), ("reverted", True))
        self.assertEqual(self.guest.state(), "paused")
        self.assertLessEqual(max(self.counts_on_disk()), count + 1)
        self.host.virsh("resume", NAME)
        self.assertLessEqual(self.assert_alive()[0], count + 2)
        self.assertEqual(self.current_disk(inactive=True), self.current_disk())
        self.assertIn("first", self.host.virsh("snapshot-current", "--name", NAME))

        self.guest.destroy()
        self.guest.start()
        disk = self.current_disk()
        self.assertNotEqual(disk, abandoned)
        self.assertNotIn(later, self.counts_on_disk())
        self.guest.reboot()
        memory = self.memory_of("first")
        self.expect(GOOD, "snapshot-delete", NAME, "first")
        self.assertFalse(memory.exists() or memory.with_name(f"{memory.name}.hpt").exists())
        self.assert_alive()

    def test_snapshot_without_record_is_listed_as_such(self) -> None:
        memory = self.guest.disk.with_name(f"{NAME}.plain.mem")
        self.guest.console.settle()
        self.host.virsh("snapshot-create-as", NAME, "plain", "--memspec",
                              f"file={memory},snapshot=external")
        listed = self.expect(GOOD, "snapshot-list", NAME, "--json").json()["snapshots"]
        self.assertEqual([(one["name"], one["record"]) for one in listed], [("plain", "none")])
        self.expect(GOOD, "snapshot-info", NAME, "plain")
        self.expect(GOOD, "snapshot-validate", NAME, "plain")
        self.assertIn("virt-hpt record", self.expect(COULD_NOT, "snapshot-dumpxml", NAME, "plain").err)
        self.expect(GOOD, "snapshot-revert", NAME, "plain", "--prove")
        self.assert_alive()
        self.expect(GOOD, "record", memory)
        self.assertIn("present", self.expect(GOOD, "snapshot-list", NAME).out)
        self.expect(GOOD, "snapshot-dumpxml", NAME, "plain")
        verdict = self.expect(GOOD, "snapshot-validate", NAME, "plain", "--json").json()
        self.assertEqual(verdict["levels"]["record"], "passed")
        self.expect(GOOD, "snapshot-revert", NAME, "plain", "--prove")
        self.assert_alive()

    def test_snapshot_that_cannot_be_recorded_stands(self) -> None:
        memory = self.guest.disk.with_name(f"{NAME}.unrecorded.mem")
        inway = memory.with_name(f"{memory.name}.hpt")
        inway.write_text("somebody's", encoding="utf-8")
        self.addCleanup(inway.unlink, missing_ok=True)
        self.guest.console.settle()
        layer = self.guest.disk.with_name(f"{NAME}.unrecorded.{next(NUMBERS)}")
        result = self.expect(WARNINGS, "snapshot-create-as", NAME, "unrecorded", "--json", "--memspec",
                             memory, "--diskspec", f"vda,file={layer}")
        self.assertEqual((result.json()["memory"], result.json()["record"]), (str(memory), None))
        self.assertIn(str(inway), result.json()["record_error"])
        self.assertEqual(self.snapshots(), ["unrecorded"])
        self.assertEqual(inway.read_text(encoding="utf-8"), "somebody's")
        inway.unlink()
        self.expect(GOOD, "record", memory)
        self.expect(GOOD, "snapshot-revert", NAME, "unrecorded", "--prove")
        self.assert_alive()
        self.expect(GOOD, "snapshot-delete", NAME, "unrecorded")
        self.assertFalse(memory.exists() or inway.exists())

    def test_guest_goes_to_one_snapshot_and_then_to_a_later_one(self) -> None:
        first = self.create("one")
        self.guest.console.wait_count(4)
        second = self.create("two")
        self.assertGreater(second, first + 2)
        self.expect(GOOD, "snapshot-revert", NAME, "one")
        self.assertLessEqual(self.assert_alive()[0], first + 2)
        self.assertNotIn(second, self.counts_on_disk())
        self.expect(GOOD, "snapshot-revert", NAME, "two", "--prove")
        self.assertGreaterEqual(self.assert_alive()[0], second)
        self.assertIn(second - 1, self.counts_on_disk())
        self.expect(GOOD, "snapshot-revert", NAME, "one", "--prove")
        self.assertLessEqual(self.assert_alive()[0], first + 2)

    def test_odd_names_are_kept_as_they_are(self) -> None:
        names = ["100%20 b", "ü & <'\">", "-dash"]
        for name in names:
            self.guest.console.settle()
            layer = self.guest.disk.with_name(f"odd{names.index(name)}")
            made = self.expect(GOOD, "snapshot-create-as", NAME, "--json", "--diskspec",
                               f"vda,file={layer}", "--", name).json()
            self.assertEqual(made["name"], name)
            self.addCleanup(self.expect, GOOD, "snapshot-delete", NAME, "--metadata", "--", name)
            self.assertEqual(Path(made["memory"]).parent, self.guest.disk.parent)
        listed = self.expect(GOOD, "snapshot-list", NAME, "--json").json()["snapshots"]
        self.assertEqual([(one["name"], one["record"]) for one in listed],
                         [(name, "present") for name in names])
        for name in names:
            self.expect(GOOD, "snapshot-validate", NAME, "--", name)
        self.expect(GOOD, "snapshot-revert", NAME, "--", names[1])
        self.assert_alive()
        for name in ("", "..", "a/b", "a\nb", "a\x1bb"):
            result = self.expect(COULD_NOT, "snapshot-create-as", NAME, "--", name)
            self.assertNotIn("\x1b", result.text)
        listed = self.expect(GOOD, "snapshot-list", NAME, "--json").json()["snapshots"]
        self.assertEqual([one["name"] for one in listed], names)

    def test_snapshot_without_a_name_gets_one(self) -> None:
        self.guest.console.settle()
        name = self.expect(GOOD, "snapshot-create-as", NAME, "--json").json()["name"]
        self.assertAlmostEqual(int(name), time.time(), delta=120)
        self.expect(GOOD, "snapshot-info", NAME, name)

    def test_options_of_virsh_that_are_not_supported_say_why(self) -> None:
        for option in ("--disk-only", "--halt", "--no-metadata", "--print-xml", "--quiesce",
                       "--reuse-external", "--validate"):
            result = self.expect(UNSUPPORTED, "snapshot-create-as", NAME, "x", option)
            self.assertIn(option, result.err)
        self.assertEqual(self.guest.host.virsh("snapshot-list", "--name", NAME).strip(), "")

    def test_proved_and_paused_guest_is_saved_after_a_resume_if_told_so(self) -> None:
        self.create("target")
        result = self.expect(GOOD, "snapshot-revert", NAME, "target", "--prove", "--paused",
                             "--json").json()
        if result["resume_first"]:
            refused = self.expect(COULD_NOT, "snapshot-create-as", NAME, "second")
            self.assertIn("resume", refused.err)
            refused = self.expect(COULD_NOT, "snapshot-revert", NAME, "target")
            self.assertIn("resume", refused.err)
            self.assertEqual(self.guest.state(), "paused")
            self.guest.host.virsh("resume", NAME)
        self.expect(GOOD, "snapshot-create-as", NAME, "second")
        if not result["resume_first"]:
            self.guest.host.virsh("resume", NAME)
        self.assert_alive()

    def test_options_of_virsh_mean_the_same(self) -> None:
        layer = self.guest.disk.with_name(f"{NAME}.options,{next(NUMBERS)}")
        self.create("options", "--live", "--atomic", "--description", "less < more & all",
                    "--diskspec", "vda,snapshot=external,driver=qcow2,stype=file,file="
                    + str(layer).replace(",", ",,"),
                    "--memspec", f"snapshot=external,{self.guest.disk.with_name('options.mem')}")
        root = ElementTree.fromstring(self.host.virsh("snapshot-dumpxml", NAME, "options"))
        self.assertEqual(root.findtext("description"), "less < more & all")
        self.assertEqual(root.find("disks/disk/driver").get("type"), "qcow2")
        self.assertEqual(self.current_disk(), layer)
        self.assertEqual(self.memory_of("options").name, "options.mem")
        self.addCleanup(self.memory_of("options").unlink)
        self.expect(GOOD, "snapshot-validate", NAME, "options")
        self.assert_alive()

    def test_guest_is_left_as_it_was_or_as_told(self) -> None:
        self.guest.console.settle()
        self.host.virsh("suspend", NAME)
        layer = self.guest.disk.with_name(f"{NAME}.still.{next(NUMBERS)}")
        self.expect(GOOD, "snapshot-create-as", NAME, "still", "--diskspec", f"vda,file={layer}")
        self.assertEqual(self.guest.state(), "paused")
        self.host.virsh("resume", NAME)
        self.assert_alive()
        self.expect(GOOD, "snapshot-revert", NAME, "still", "--discard-current")
        self.assertEqual(self.guest.state(), "paused")
        result = self.expect(GOOD, "--json", "snapshot-revert", NAME, "still", "--running")
        self.assertTrue(result.json()["running"])
        self.assert_alive()

    def test_delete_names_the_files_that_are_left(self) -> None:
        self.create("gone")
        layer, memory = self.current_disk(), self.memory_of("gone")
        left = self.expect(GOOD, "snapshot-delete", NAME, "gone", "--metadata", "--json").json()
        self.assertEqual(set(left["left"]), {str(memory), f"{memory}.hpt"})
        self.assertTrue(layer.exists())

    def test_damaged_snapshot_is_refused_and_the_guest_never_notices(self) -> None:
        self.create("damaged")
        memory = self.memory_of("damaged")
        read = oracle.read(memory)
        slot = sorted(read.where)[len(read.where) // 2]
        flip(memory, read.where[slot] + 13, 3)
        before = self.guest.domain.ID()
        seen = self.host.messages()
        result = self.expect(BAD, "snapshot-revert", NAME, "damaged")
        self.assertIn(slot, result.numbers(), result)
        self.assertEqual(self.guest.domain.ID(), before)
        self.assertEqual(self.host.messages(), seen)
        self.assert_alive()

    def test_a_written_disk_that_is_left_out_is_refused(self) -> None:
        self.guest.console.settle()
        self.expect(GOOD, "snapshot-create-as", NAME, "partial", "--diskspec", "vda,snapshot=no")
        before = self.guest.domain.ID()
        result = self.expect(UNSUPPORTED, "snapshot-revert", NAME, "partial")
        self.assertIn("vda", result.err)
        self.assertEqual(self.guest.domain.ID(), before)
        memory = self.memory_of("partial")
        self.expect(GOOD, "snapshot-delete", NAME, "partial")
        self.assertFalse(memory.exists())
        self.assert_alive()

    def test_hardware_unknown_to_a_dry_run_takes_an_option(self) -> None:
        host, name = self.guest.host, "foreign"
        guest = host.define(Config(name, firmware_only=True, mem_mib=256))
        xml = guest.xml().replace("<domain ", f"<domain xmlns:qemu='{QEMU_XML}' ", 1).replace(
            "</domain>", "<qemu:commandline><qemu:arg value='-msg'/><qemu:arg value='timestamp=on'/>"
                         "</qemu:commandline></domain>")
        host.connection.defineXML(xml)
        guest.start()
        self.addCleanup(guest.destroy)
        self.expect(GOOD, "snapshot-create-as", name, "one")
        before = guest.domain.ID()
        self.assertIn("--no-dry-run", self.expect(UNSUPPORTED, "snapshot-revert", name, "one").err)
        self.assertEqual(guest.domain.ID(), before)
        verdict = self.expect(WARNINGS, "snapshot-validate", name, "one", "--no-dry-run", "--json")
        self.assertEqual(verdict.json()["levels"]["dry-run"], "not-checked")
        result = self.expect(WARNINGS, "snapshot-revert", name, "one", "--no-dry-run", "--prove",
                             "--json")
        self.assertEqual((result.json()["outcome"], result.json()["validation"]),
                         ("reverted", "warned"))
        self.assertIn("dry-run-unwanted", result.err)
        self.assertNotEqual(guest.domain.ID(), before)
        self.assertEqual(guest.state(), "running")

    def test_user_whom_libvirt_lets_look_only_can_look(self) -> None:
        self.create("seen")
        # As where polkit or a group decides who may write
        socket = Path("/run/libvirt/libvirt-sock")
        self.addCleanup(socket.chmod, socket.stat().st_mode & 0o777)
        socket.chmod(0o700)
        with tempfile.TemporaryDirectory() as copies:
            Path(copies).chmod(0o755)
            for name in ("virt-hpt", "virt-hpt-snapshot"):
                shutil.copy(CONTEXT.tool.with_name(name), copies)
            def run(*arguments: str) -> subprocess.CompletedProcess[str]:
                return subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                                       f"{copies}/virt-hpt", "-c", URI, *arguments], check=False,
                                      capture_output=True, text=True, cwd="/")
            listed = run("snapshot-list", NAME, "--json")
            self.assertEqual(listed.returncode, GOOD, listed)
            self.assertEqual([one["name"] for one in json.loads(listed.stdout)["snapshots"]],
                             ["seen"])
            self.assertEqual(run("snapshot-info", NAME, "seen").returncode, GOOD)
            for command in ("snapshot-create-as", "snapshot-revert", "snapshot-delete"):
                refused = run(command, NAME, "seen")
                self.assertEqual(refused.returncode, COULD_NOT, refused)
                self.assertIn("look", refused.stderr)
        self.assert_alive()

    def test_what_is_not_external_is_unsupported(self) -> None:
        self.expect(UNSUPPORTED, "snapshot-create-as", NAME, "internal", "--memspec",
                    "x,snapshot=internal")
        self.expect(COULD_NOT, "snapshot-info", NAME, "absent")
