# SPDX-License-Identifier: LGPL-2.1-or-later
"""Proves that a snapshot whose disk layers, at any depth, are not those it was made on is refused, or
doubted, before anything is stopped.
Requires root, libvirt and QEMU: a guest in its firmware, with real images below its disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from functools import lru_cache
from pathlib import Path

from .guest import Config
from .libvirthost import URI, LibvirtGuest
from .snapshotcase import shared_guest, virt_hpt
from .support import BAD, CONTEXT, GOOD, WARNINGS, Result, TestCase

NAME = "layers"
MIDDLE = "middle.img"
SLACK = 2       # seconds after the snapshot in which a layer may still be written


@lru_cache(maxsize=None)
def layered_guest() -> LibvirtGuest:
    """A guest whose snapshot 'deep' lies on layers.qcow2 <- middle.img."""
    host = shared_guest().host
    guest = host.define(Config(NAME, firmware_only=True, mem_mib=256, disk_format="qcow2"))
    guest.start()
    host.virsh("snapshot-create-as", NAME, "below", "--disk-only", "--diskspec",
               f"vda,file={guest.disk.with_name(MIDDLE)}")
    result = virt_hpt("snapshot-create-as", NAME, "deep")
    assert result.code == GOOD, result
    time.sleep(SLACK + 1)
    return guest


class Layers(TestCase):
    """the layers that a snapshot rests on"""

    def setUp(self) -> None:
        super().setUp()
        self.guest = layered_guest()
        self.base = self.guest.disk
        self.middle = self.base.with_name(MIDDLE)
        for path in (self.base, self.middle):
            self.addCleanup(self.put_back, path, path.read_bytes(), path.stat())

    @staticmethod
    def put_back(path: Path, content: bytes, before: os.stat_result) -> None:
        """Make a file what it was, times and all."""
        if path.is_symlink() or not path.is_file():
            path.unlink(missing_ok=True)
            path.touch()
        if path.read_bytes() != content:
            path.write_bytes(content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    def overwrite(self, path: Path, offset: int, data: bytes) -> None:
        """Change bytes of a file, not its times."""
        before = path.stat()
        with open(path, "r+b") as file:
            file.seek(offset)
            file.write(data)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    def judge(self, code: int, reason: str, path: Path) -> None:
        """The verdict says why, and a revert that it does not allow leaves the guest alone."""
        result = virt_hpt("snapshot-validate", NAME, "deep", "--json", timeout=60)
        self.assertEqual(result.code, code, result)
        said = [fact["message"] for fact in result.json()["facts"] if fact["code"] == reason]
        self.assertIn(str(path), "\n".join(said), result)
        if code == BAD:
            self.refused()

    def refused(self) -> Result:
        """A revert is refused, and nothing was touched."""
        before = self.guest.domain.ID(), self.guest.host.virsh("dumpxml", NAME)
        result = virt_hpt("snapshot-revert", NAME, "deep")
        self.assertEqual(result.code, BAD, result)
        self.assertEqual((self.guest.domain.ID(), self.guest.host.virsh("dumpxml", NAME)), before)
        return result

    def test_layers_as_they_were_pass(self) -> None:
        result = virt_hpt("snapshot-validate", NAME, "deep", "--json")
        self.assertEqual((result.code, result.json()["levels"]["disks"]), (GOOD, "passed"), result)

    def test_middle_layer_that_was_written_since_is_doubted(self) -> None:
        before = self.middle.stat()
        with open(self.base, "r+b") as file:
            file.seek(self.base.stat().st_size - 1)
            file.write(b"x")
        self.judge(WARNINGS, "layer-newer", self.base)
        os.utime(self.middle, ns=(before.st_atime_ns, time.time_ns()))
        self.judge(WARNINGS, "layer-newer", self.middle)

    def test_missing_layers_are_refused(self) -> None:
        for path in (self.base, self.middle):
            aside = path.with_name("aside")
            path.rename(aside)
            try:
                self.judge(BAD, "layer-missing", path)
            finally:
                aside.rename(path)

    def test_middle_layer_of_another_format_is_refused(self) -> None:
        self.overwrite(self.base, 0, b"\0" * 4)
        self.judge(BAD, "layer-format", self.base)

    def test_layer_above_another_file_is_refused(self) -> None:
        other = self.base.with_name("layerz.qcow2")
        shutil.copy2(self.base, other)
        self.addCleanup(other.unlink)
        where = self.middle.read_bytes()[:65536].index(str(self.base).encode())
        self.overwrite(self.middle, where, str(other).encode())
        self.judge(BAD, "layer-rebased", other)

    def test_layers_that_lead_in_a_circle_are_refused(self) -> None:
        self.base.unlink()
        self.base.symlink_to(self.middle)
        self.judge(BAD, "layer-cycle", self.base)

    def test_fifo_in_the_place_of_a_layer_is_refused_at_once(self) -> None:
        self.base.unlink()
        os.mkfifo(self.base)
        self.judge(BAD, "layer-kind", self.base)

    def test_layer_that_a_definition_writes_to_is_refused(self) -> None:
        host = self.guest.host
        before = host.virsh("dumpxml", "--inactive", NAME)
        host.connection.defineXML(self.guest.xml())
        try:
            self.judge(BAD, "layer-in-use", self.base)
        finally:
            host.connection.defineXML(before)

    def replace_during_revert(self, path: Path) -> None:
        """A file that takes another's place, however like it, when the guest is being stopped is
        noticed, and the guest comes back."""
        twin = path.with_name("twin")
        shutil.copy2(path, twin)
        with subprocess.Popen([CONTEXT.tool, "-c", URI, "snapshot-revert", NAME, "deep"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              text=True) as process:
            said = ""
            for line in process.stderr:
                said += line
                if "before-revert.save" in line and twin.exists():
                    twin.rename(path)
        self.assertEqual(process.returncode, BAD, said)
        self.assertIn(f"'{path}' was changed or replaced", said)
        self.assertIn("as it was before", said)
        self.assertEqual(self.guest.state(), "running")

    def test_image_that_is_replaced_during_the_revert_is_not_restored(self) -> None:
        self.replace_during_revert(self.base.with_name(f"{NAME}.deep.mem"))

    def test_layer_that_is_replaced_during_the_revert_is_not_restored(self) -> None:
        self.replace_during_revert(self.base)
