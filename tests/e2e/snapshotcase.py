# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tests of snapshots share: one guest under a private libvirt, and ways to look at it."""

from __future__ import annotations

import re
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from functools import lru_cache
from pathlib import Path

from .guest import Config
from .libvirthost import URI, LibvirtGuest, LibvirtHost
from .support import CONTEXT, GOOD, Result, TestCase, run_tool

NAME = "snapshot"


@lru_cache(maxsize=None)
def shared_host() -> LibvirtHost:
    """The libvirtd of all tests; there is room for one.  The sandbox ends it with everything in it."""
    return LibvirtHost(CONTEXT.work / "host").__enter__()


@lru_cache(maxsize=None)
def shared_guest() -> LibvirtGuest:
    """One guest for all tests: it boots once."""
    guest = shared_host().define(Config(NAME))
    guest.start()
    guest.wait_ready()
    return guest


def virt_hpt(command: str, *arguments: str | Path, timeout: float = 300) -> Result:
    """Run a snapshot command on the private libvirt."""
    return run_tool("-c", URI, command, *arguments, timeout=timeout)


class SnapshotCase(TestCase):
    """With the shared guest running, without snapshots before and after"""

    def setUp(self) -> None:
        super().setUp()
        self.guest = shared_guest()
        self.addCleanup(self.forget_snapshots)
        if self.guest.state() != "running":
            self.guest.reboot()

    def forget_snapshots(self) -> None:
        """Leave a guest that runs, has no snapshots, and no files of them."""
        virt_hpt("snapshot-list", NAME)
        for name in self.guest.host.virsh("snapshot-list", "--name", NAME).split():
            self.guest.host.virsh("snapshot-delete", "--metadata", NAME, name)
        for path in self.guest.disk.parent.glob(f"{NAME}.*.mem"):
            path.unlink()

    def expect(self, code: int, *arguments: str | Path) -> Result:
        result = virt_hpt(str(arguments[0]), *arguments[1:])
        self.assertEqual(result.code, code, result)
        return result

    def create(self, name: str) -> int:
        """A snapshot at a quiet moment; returns the guest's count then."""
        self.guest.console.settle()
        self.expect(GOOD, "snapshot-create-as", NAME, name)
        return self.guest.console.counter()

    def memory_of(self, name: str) -> Path:
        """The snapshot's memory file."""
        return Path(self.expect(GOOD, "snapshot-info", NAME, name, "--json").json()["memory"])

    def current_disk(self, *, inactive: bool = False) -> Path:
        """The top image of the guest's disk."""
        arguments = ["dumpxml", NAME] + (["--inactive"] if inactive else [])
        root = ElementTree.fromstring(self.guest.host.virsh(*arguments))
        return Path(root.find("devices/disk/source").get("file"))

    def counts_on_disk(self) -> set[int]:
        """The counts that the guest's disk holds, through all its layers."""
        raw = self.work / "disk.raw"
        subprocess.run(["qemu-img", "convert", "-U", "-O", "raw", self.current_disk(), raw],
                       check=True)
        return {int(count) for count in re.findall(rb"E2E COUNT (\d+) ", raw.read_bytes())}

    def assert_alive(self) -> list[int]:
        """The guest runs, counts, and finds on its disk what it wrote; returns its next counts."""
        self.assertEqual(self.guest.state(), "running")
        console, counts = self.guest.console, []
        seen, deadline = len(console.text()), time.monotonic() + 60
        while len(counts) < 2:
            self.assertLess(time.monotonic(), deadline, "the guest stands still")
            time.sleep(0.1)
            counts = [int(count) for count in re.findall(r"^E2E TICK (\d+)\n",
                                                         console.text()[seen:], re.MULTILINE)]
        self.assertEqual(console.failures(), [])
        return counts
