# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tests of snapshots share: one guest for all of them, and what may not become of it."""

from __future__ import annotations

import contextlib
import itertools
import re
import subprocess
import time
import unittest
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import libvirt

from .guest import Config, make_disk
from .libvirthost import URI, HostError, LibvirtGuest, LibvirtHost
from .support import CONTEXT, GOOD, Result, TestCase, run_tool

NAME = "snapshot"
STATE = Path("/var/lib/libvirt-hpt")

# libvirt reverts to external snapshots by itself
REVERTS_ITSELF = libvirt.getVersion() >= 9009000

# Layers of earlier tests are still below the guest: no name comes twice
NUMBERS = itertools.count()

# libvirt 11.3 starts no guest with many more (it parses no JSON that is nested so deeply)
DEPTH_MAX = 12


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


def files_in(xml: str) -> set[Path]:
    """Every file that some XML names."""
    return {Path(node.get("file")) for node in ElementTree.fromstring(xml).iter()
            if node.get("file")}


@dataclass(frozen=True)
class Metadata:
    """What libvirt knows of a domain and its snapshots."""

    definition: str
    tree: str
    current: str
    snapshots: dict[str, str]


class SnapshotCase(TestCase):
    """A test with the shared guest running, without snapshots before and after."""

    def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        """A test that failed may leave a guest that stands still: the next one has another."""
        failed = len(result.failures + result.errors) if result else 0
        super().run(result)
        if result and len(result.failures + result.errors) > failed:
            with contextlib.suppress(HostError, libvirt.libvirtError):
                shared_guest().destroy()
        return result

    def setUp(self) -> None:
        super().setUp()
        self.guest = shared_guest()
        self.host = self.guest.host
        self.addCleanup(self.forget_snapshots)
        if self.guest.state() != "running" or self.depth() > DEPTH_MAX:
            self.start_over()
        self.there = self.files()

    def depth(self) -> int:
        """How many layers are below the guest's disk."""
        root = ElementTree.fromstring(self.host.virsh("dumpxml", NAME))
        return len(list(root.find("devices/disk").iter("backingStore")))

    def start_over(self) -> None:
        """Boot on a new disk, without the layers of earlier tests below it."""
        self.guest.destroy()
        self.guest.disk.unlink()
        make_disk(self.guest.disk, self.guest.config)
        self.host.connection.defineXML(self.guest.xml())
        self.guest.reboot()

    def forget_snapshots(self) -> None:
        """Leave a guest that runs, has no snapshots, and no files of them."""
        # A test that failed may leave a revert that waits for a decision
        left = STATE / self.guest.uuid
        if (left / "journal").exists():
            virt_hpt("snapshot-revert", "--recover", NAME)
        for path in left.glob("*journal*"):
            self.guest.destroy()
            path.unlink()
        for name in self.snapshots():
            self.host.virsh("snapshot-delete", "--metadata", NAME, name)
        for path in self.guest.disk.parent.glob(f"{NAME}.*.mem"):
            path.unlink()

    def expect(self, code: int, *arguments: str | Path) -> Result:
        result = virt_hpt(str(arguments[0]), *arguments[1:])
        self.assertEqual(result.code, code, result)
        return result

    def create(self, name: str, *options: str | Path) -> int:
        """A snapshot at a quiet moment; returns the guest's count then."""
        if "--diskspec" not in options:
            layer = self.guest.disk.with_name(f"{NAME}.{name}.{next(NUMBERS)}")
            options += ("--diskspec", f"vda,file={layer}")
        self.guest.console.settle()
        self.expect(GOOD, "snapshot-create-as", NAME, name, *options)
        return self.guest.console.counter()

    def snapshots(self) -> list[str]:
        """Names, as libvirt has them."""
        return self.host.virsh("snapshot-list", "--name", NAME).split()

    def memory_of(self, name: str) -> Path:
        """The snapshot's memory file."""
        return Path(self.expect(GOOD, "snapshot-info", NAME, name, "--json").json()["memory"])

    def current_disk(self, *, inactive: bool = False) -> Path:
        """The top image of the guest's disk."""
        arguments = ["dumpxml", NAME] + (["--inactive"] if inactive else [])
        root = ElementTree.fromstring(self.host.virsh(*arguments))
        return Path(root.find("devices/disk/source").get("file"))

    def counts_on_disk(self) -> set[int]:
        """The counts of the console's boot that the guest's disk holds, through all its layers."""
        raw, boot = self.work / "disk.raw", self.guest.console.ready()["boot"]
        subprocess.run(["qemu-img", "convert", "-U", "-O", "raw", self.current_disk(), raw],
                       check=True)
        return {int(count) for count in re.findall(rb"E2E COUNT (\d+) %b " % boot.encode(),
                                                   raw.read_bytes())}

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

    def metadata(self) -> Metadata:
        """What libvirt knows now."""
        current = ""
        with contextlib.suppress(HostError):
            current = self.host.virsh("snapshot-current", NAME, "--name").strip()
        return Metadata(self.host.virsh("dumpxml", NAME, "--inactive"),
                        self.host.virsh("snapshot-list", NAME, "--tree"), current,
                        {name: self.host.virsh("snapshot-dumpxml", NAME, name, "--security-info")
                         for name in self.snapshots()})

    def files(self) -> set[Path]:
        """What lies where the guest's disks and what belongs to it are."""
        return set(self.guest.disk.parent.iterdir()) | set(STATE.glob(f"{self.guest.uuid}/*"))

    def assert_nothing_left(self, said: str = "") -> None:
        """What was not there before is in use, or was named; and all that is in use is there."""
        now = self.metadata()
        used = files_in(now.definition) | files_in(self.host.virsh("dumpxml", NAME))
        for xml in now.snapshots.values():
            used |= files_in(xml)
        memories = {path for path in used if path.suffix == ".mem"}
        used |= {path.with_name(f"{path.name}.hpt") for path in memories}
        left = [path for path in self.files() - self.there - used if str(path) not in said]
        self.assertEqual(left, [], said)
        needed = files_in(now.definition) | files_in(self.host.virsh("dumpxml", NAME)) | memories
        for xml in now.snapshots.values():
            domain = ElementTree.fromstring(xml).find("domain")
            needed |= files_in(ElementTree.tostring(domain, encoding="unicode"))
        self.assertEqual([path for path in needed if not path.exists()], [])
