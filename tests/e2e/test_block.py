# SPDX-License-Identifier: LGPL-2.1-or-later
"""Proves that a guest whose disk is a block device goes back to a snapshot, on a new layer that does
not lie in /dev, or, where libvirt reverts by itself and cannot, is left alone.
Requires root, libvirt, QEMU and loop devices; the guest stays in its firmware."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from .guest import Config, make_disk
from .libvirthost import LibvirtGuest
from .snapshotcase import REVERTS_ITSELF, shared_host, virt_hpt
from .support import COULD_NOT, GOOD, UNSUPPORTED, TestCase

NAME = "block"


class Block(TestCase):
    """snapshots of a guest on a block device"""

    def setUp(self) -> None:
        super().setUp()
        host = shared_host()
        config = Config(NAME, firmware_only=True, mem_mib=256)
        self.guest = LibvirtGuest(host, config)
        make_disk(self.guest.disk, config)
        self.device = Path(subprocess.run(
            ["losetup", "--find", "--show", self.guest.disk], check=True, capture_output=True,
            text=True).stdout.strip())
        self.addCleanup(subprocess.run, ["losetup", "--detach", self.device], check=True)
        self.addCleanup(self.guest.undefine)
        self.layer = self.guest.disk.with_name(f"{NAME}.layer")
        host.connection.defineXML(
            self.guest.xml(self.device).replace("<disk type='file'", "<disk type='block'")
            .replace("<source file=", "<source dev="))
        self.guest.start()

    def layers(self) -> list[str]:
        """The guest's disk and what is below it."""
        root = ElementTree.fromstring(self.guest.host.virsh("dumpxml", NAME))
        sources = root.find("devices/disk").iter("source")
        return [source.get("file") or source.get("dev") for source in sources]

    def test_layer_on_a_device_is_not_said_to_be_unused(self) -> None:
        image = self.work / "layer"
        with open(image, "wb") as file:
            file.truncate(64 << 20)
        device = Path(subprocess.run(["losetup", "--find", "--show", image], check=True,
                                     capture_output=True, text=True).stdout.strip())
        self.addCleanup(subprocess.run, ["losetup", "--detach", device], check=True)
        self.addCleanup(self.guest.destroy)
        memory = self.layer.with_suffix(".mem")
        result = virt_hpt("snapshot-create-as", NAME, "target", "--memspec", memory, "--diskspec",
                          f"vda,stype=block,driver=qcow2,file={device}")
        self.assertEqual(result.code, GOOD, result)
        self.assertEqual(self.layers()[0], str(device))
        result = virt_hpt("snapshot-delete", NAME, "target", "--json")
        self.assertIn(result.code, (GOOD, COULD_NOT), result)
        if result.code == GOOD:
            self.assertFalse(memory.exists())
            self.assertFalse(set(result.json()["left"]) & set(self.layers()), result)
        else:
            self.assertTrue(memory.exists())
            self.assertEqual(self.layers()[0], str(device))

    def test_new_layer_lies_beside_the_one_of_the_snapshot(self) -> None:
        devices = set(Path("/dev").iterdir())
        result = virt_hpt("snapshot-create-as", NAME, "target", "--memspec",
                          self.layer.with_suffix(".mem"), "--diskspec", f"vda,file={self.layer}")
        self.assertEqual(result.code, GOOD, result)
        before = self.guest.domain.ID(), self.layers()
        result = virt_hpt("snapshot-revert", NAME, "target", "--prove")
        if REVERTS_ITSELF:
            self.assertEqual(result.code, UNSUPPORTED, result)
            self.assertIn(f"'{self.device}'", result.err)
            self.assertEqual((self.guest.domain.ID(), self.layers()), before)
            return
        self.assertEqual(result.code, GOOD, result)
        top, base = self.layers()
        self.assertEqual((base, Path(top).parent), (str(self.device), self.layer.parent))
        self.assertNotEqual(top, str(self.layer))
        self.assertEqual(self.guest.state(), "running")
        self.assertEqual(set(Path("/dev").iterdir()), devices)
