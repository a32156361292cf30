# SPDX-License-Identifier: LGPL-2.1-or-later
"""Proves that the dry run tells what this host's libvirt and QEMU would say of a real guest's image,
that it opens nothing which the image names, that nobody sees it, and that it leaves nothing behind.
Requires images of real guests (root), QEMU and libvirt."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import struct
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable

from . import images, oracle
from .guest import FIRMWARE_PROMPT, Config
from .snapshotcase import shared_host
from .support import (BAD, CONTEXT, GOOD, UNSUPPORTED, WARNINGS, Result, TestCase, copy, each,
                      image, run_tool)

RESTORABLE = ("save-running", "save-paused", "save-managed", "save-power9", "save-radix",
              "save-firmware", "snapshot-memory")

STATE = Path("/var/lib/libvirt-hpt")
IN_OPEN = 0x20
IN_NONBLOCK = os.O_NONBLOCK


def set_xml(path: Path, change: Callable[[str], str]) -> None:
    """Change the domain XML in a save image's header; libvirt leaves room behind it."""
    with open(path, "r+b") as file:
        header = bytearray(file.read(92))
        size = struct.unpack_from("<I", header, 20)[0]
        xml = file.read(size).split(b"\0")[0].decode()
        changed = change(xml).encode()
        assert len(changed) < size and changed.decode() != xml, "nothing was changed"
        struct.pack_into("<I", header, 32, 0)
        file.seek(0)
        file.write(header + changed.ljust(size, b"\0"))


def replaced(pattern: str, text: str) -> Callable[[str], str]:
    """Replaces what matches, once or more."""
    return lambda xml: re.sub(pattern, lambda _match: text, xml, flags=re.DOTALL)


def inside(element: str, text: str) -> Callable[[str], str]:
    """Adds text at the end of an element."""
    return replaced(f"</{element}>", f"{text}</{element}>")


# What virt-install and nova give a pseries guest, but for what needs a ROM of another package
HARDWARE = """\
<controller type='usb' model='qemu-xhci'/>
<controller type='scsi' index='0' model='virtio-scsi'><driver iothread='1'/></controller>
<controller type='scsi' index='1' model='ibmvscsi'/>
<controller type='virtio-serial' index='0'/>
<controller type='pci' index='1' model='pci-root'/>
<disk type='file' device='cdrom'>
  <target dev='sda' bus='scsi'/><readonly/><address type='drive' controller='1' unit='0'/>
</disk>
<interface type='user'><model type='spapr-vlan'/></interface>
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
<input type='tablet' bus='usb'/>
<input type='keyboard' bus='usb'/>
<watchdog model='i6300esb' action='reset'/>
<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
<panic model='pseries'/>
<memballoon model='virtio'><stats period='10'/></memballoon>
"""
TOPOLOGY = """\
<topology sockets='1' cores='2' threads='1'/>
<numa><cell id='0' cpus='0' memory='256' unit='MiB'/>
<cell id='1' cpus='1' memory='256' unit='MiB'/></numa></cpu>"""


def emulators() -> list[int]:
    """The processes that run a dry run's guest, or help it."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"guest=dry-run,debug-threads=on" in words or words[0].endswith(b"virt-hpt-dryrun"):
            found.append(int(entry.name))
    return found


class OpenWatch:
    """Counts opens of files, in whatever namespace, by inotify."""

    def __init__(self, *paths: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(IN_NONBLOCK)
        for path in paths:
            if self._libc.inotify_add_watch(self._fd, os.fsencode(path), IN_OPEN) < 0:
                raise OSError(ctypes.get_errno(), f"inotify on '{path}'")

    def opened(self) -> bool:
        """Whether one was opened since the last call."""
        try:
            return bool(os.read(self._fd, 65536))
        except BlockingIOError:
            return False

    def close(self) -> None:
        os.close(self._fd)


class DryRunTestCase(TestCase):
    """Nothing may be left behind a test."""

    def setUp(self) -> None:
        super().setUp()
        self.mounts = Path("/proc/self/mounts").read_text()
        self.state = self.state_files()
        self.addCleanup(self.assert_nothing_left)

    def assert_nothing_left(self) -> None:
        """No process, no mount, no file but the cache."""
        deadline = time.monotonic() + 5
        while emulators() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual([], emulators())
        self.assertFalse(Path("/run/libvirt-hpt").exists())
        self.assertEqual(self.mounts, Path("/proc/self/mounts").read_text())
        self.assertLessEqual(self.state_files(), self.state | {"cache"})

    @staticmethod
    def state_files() -> set[str]:
        """What lies in the state directory: other tests' domains have theirs there."""
        return {path.name for path in STATE.iterdir()} if STATE.exists() else set()

    def variant(self, change: Callable[[str], str], name: str = "save-running") -> Path:
        """A copy of an image with another domain XML."""
        path = copy(image(name), self.work / "variant")
        set_xml(path, change)
        return path

    def codes(self, result: Result) -> dict[str, str]:
        """{code: result} of the level dry-run, without the note on queues that are in use."""
        return {fact["code"]: fact["result"] for fact in result.json()["facts"]
                if fact["level"] == "dry-run" and fact["code"] != "virtqueues-not-checked"}

    def dry_run(self, code: int, path: Path) -> dict[str, str]:
        """Its facts, once it ended as it should."""
        result = self.expect(code, "--json", "validate", "--level", "dry-run", path)
        return self.codes(result)


class DryRun(DryRunTestCase):
    """virt-hpt validate, level dry-run."""

    @each(*RESTORABLE)
    def real_image_is_restorable(self, name: str) -> None:
        self.assertEqual({"restorable": "passed"}, self.dry_run(GOOD, image(name)))
        self.assertIn("restorable", run_tool("validate", image(name)).out)

    @each("save-running", "save-radix")
    def record_alone_is_enough(self, name: str) -> None:
        path = copy(image(name), self.work / "image")
        self.expect(GOOD, "record", path)
        self.assertEqual({"restorable": "passed"}, self.dry_run(GOOD, path))
        path.unlink()
        record = path.with_name("image.hpt")
        self.assertEqual({"restorable": "passed"}, self.dry_run(GOOD, record))
        seconds = []
        for _ in range(3):
            began = time.monotonic()
            self.dry_run(GOOD, record)
            seconds.append(time.monotonic() - began)
        print(f"# dry run of {name}: {min(seconds):.2f} s")

    def refused(self, code: str, change: Callable[[str], str], *options: str,
                or_code: str | None = None) -> Result:
        """A changed image fails with that code, and the tool says what to do."""
        result = self.expect(BAD, "--json", "validate", *options, self.variant(change))
        self.assertIn(self.codes(result), ({code: "failed"}, {or_code: "failed"}), result)
        return result

    def test_other_machine_version_is_refused(self) -> None:
        result = self.refused("machine-type", replaced(r"machine='pseries-[\d.]+'",
                                                       "machine='pseries-6.2'"))
        self.assertIn("pseries-6.2", result.out)

    def test_unknown_machine_is_refused(self) -> None:
        self.refused("machine-type", replaced(r"machine='pseries-[\d.]+'",
                                              "machine='pseries-99.9'"))

    def test_other_memory_size_is_refused(self) -> None:
        self.refused("ram-size", replaced(r"'KiB'>524288<", "'KiB'>786432<"))

    def test_missing_device_is_refused(self) -> None:
        self.refused("missing-device", replaced(r"<interface.*</interface>", ""))

    def test_lower_capability_is_refused(self) -> None:
        result = self.refused("capability", replaced(
            "<cpu ", "<features><cfpc value='broken'/></features><cpu "))
        self.assertIn("cap-cfpc", result.out)

    def test_smaller_page_size_is_refused(self) -> None:
        # Our own check of the table finds it first.  QEMU 7.2 stumbles over the SLB, QEMU 10 names
        # the capability.
        self.refused("page-size", replaced(
            "<cpu ", "<features><hpt><maxpagesize unit='KiB'>4</maxpagesize></hpt></features><cpu "),
            "--level", "dry-run", or_code="capability")

    def test_emulator_that_is_not_here_is_refused(self) -> None:
        emulator = "/usr/libexec/qemu-kvm"
        self.assertFalse(os.path.exists(emulator))
        result = self.refused("no-emulator", replaced(
            "<emulator>[^<]*</emulator>", f"<emulator>{emulator}</emulator>"))
        self.assertIn(emulator, result.out)

    def test_guest_of_kvm_is_run_by_tcg_and_the_verdict_says_so(self) -> None:
        if os.uname().machine.startswith("ppc64") and os.path.exists("/dev/kvm"):
            self.skipTest("this host has KVM for the guest")
        path = self.variant(replaced("<domain type='qemu'", "<domain type='kvm'"))
        self.assertEqual({"restorable": "passed", "dry-run-tcg": "passed"},
                         self.dry_run(GOOD, path))
        path = self.variant(lambda xml: replaced("<domain type='qemu'", "<domain type='kvm'")(
            replaced(r"machine='pseries-[\d.]+'", "machine='pseries-6.2'")(xml)))
        self.assertEqual({"machine-type": "warned", "dry-run-tcg": "passed"},
                         self.dry_run(WARNINGS, path))

    def with_queue_index(self, sizes: int, more: int) -> Path:
        """A copy of an image whose disk has taken that many times its queue's size of requests, and
        some more, modulo 65536."""
        path = copy(image("save-running"), self.work / "busy")
        data = path.read_bytes()
        # One queue of 256, or of 1024 in newer machines, its ring on a page of its own (QEMU 7.2
        # hw/virtio/virtio.c virtio_save); behind them index and vector, and that no request is in flight
        disk = data.index(b"/virtio-blk", oracle.parse(data).state_offset)
        queue = re.compile(rb"\x00{3}\x01(\x00\x00[\x01\x04]\x00)\x00{4}.{2}[\x00-\xf0]\x00"
                           rb"(?=.{4}\x00\x05.virtio/)", re.DOTALL).search(data, disk)
        assert queue, "no queue in the state of the disk"
        with open(path, "r+b") as file:
            file.seek(queue.end())
            file.write(struct.pack(">H", sizes * int.from_bytes(queue[1], "big") + more & 0xFFFF))
        return path

    def test_queues_in_use_are_a_note(self) -> None:
        result = self.expect(GOOD, "--json", "validate", image("save-running"))
        self.assertIn({"virtqueues-not-checked": "not-checked"},
                      [{fact["code"]: fact["result"]} for fact in result.json()["facts"]])
        self.assertEqual("passed", result.json()["levels"]["dry-run"])

    def test_queue_that_needs_memory_is_a_warning(self) -> None:
        # The ring's index in RAM, that a real restore compares it with, is 0 for a dry run
        for index, code in (((-1, -1), GOOD), ((-1, 0), WARNINGS), ((0, -1), WARNINGS),
                            ((0, 0), GOOD), ((1, 0), GOOD)):
            result = self.expect(code, "--json", "validate", self.with_queue_index(*index))
            if code == GOOD:
                self.assertEqual({"restorable": "passed"}, self.codes(result), index)
            else:
                self.assertEqual({"virtqueue-without-memory": "warned"}, self.codes(result), index)
                self.assertIn("virtio-blk", result.out)

    def test_queue_that_needs_memory_hides_nothing(self) -> None:
        path = self.with_queue_index(0, -16)
        set_xml(path, replaced(r"'KiB'>524288<", "'KiB'>786432<"))
        self.assertEqual({"ram-size": "failed"}, self.dry_run(BAD, path))

    def test_own_levels_come_first(self) -> None:
        path = copy(image("save-running"), self.work / "image")
        self.expect(GOOD, "record", path)
        with open(path.with_name("image.hpt") / "table", "r+b") as table:
            table.seek(100)
            table.write(b"\0\1\2\3")
        result = self.expect(BAD, "--json", "validate", path.with_name("image.hpt"))
        self.assertEqual({}, {code: verdict for code, verdict in self.codes(result).items()
                              if code != "dry-run-pointless"}, result)

    def test_stream_without_domain(self) -> None:
        path = image("stream-power8")
        result = self.expect(GOOD, "--json", "validate", path)
        self.assertEqual({"dry-run-no-domain": "not-checked"}, self.codes(result))
        self.expect(UNSUPPORTED, "validate", "--level", "dry-run", path)

    def test_no_dry_run(self) -> None:
        result = self.expect(GOOD, "--json", "validate", "--no-dry-run", image("save-running"))
        self.assertEqual({}, self.codes(result))
        self.assertEqual("not-checked", result.json()["levels"]["dry-run"])

    def test_many_at_a_time(self) -> None:
        with ThreadPoolExecutor(6) as pool:
            for got in pool.map(lambda name: self.dry_run(GOOD, image(name)), RESTORABLE * 2):
                self.assertEqual({"restorable": "passed"}, got)

    def start(self, path: Path) -> subprocess.Popen[bytes]:
        """A dry run that goes on meanwhile."""
        return subprocess.Popen([CONTEXT.tool, "validate", "--level", "dry-run", path],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                stdin=subprocess.DEVNULL)

    def small(self) -> Path:
        """A record: little is read before the dry run begins."""
        path = copy(image("save-running"), self.work / "image")
        self.expect(GOOD, "record", path)
        path.unlink()
        return path.with_name("image.hpt")

    def test_killed_at_any_moment_nothing_is_left(self) -> None:
        record = self.small()
        for moment in range(20):
            with self.start(record) as process:
                time.sleep(moment * 0.025)
                process.kill()
            self.assert_nothing_left()
        self.assertEqual({"restorable": "passed"}, self.dry_run(GOOD, record))

    def test_killed_helper_is_no_verdict(self) -> None:
        record = self.small()
        for victim in range(3):
            with self.start(record) as process:
                deadline = time.monotonic() + 10
                while len(emulators()) < 3 and time.monotonic() < deadline:
                    time.sleep(0.001)
                for pid in sorted(emulators())[victim:victim + 1]:
                    os.kill(pid, signal.SIGKILL)
                self.assertEqual(1, process.wait(10), victim)
            self.assert_nothing_left()

    def test_image_that_is_replaced_meanwhile_is_an_error(self) -> None:
        path, other = self.work / "image", self.work / "other"
        copy(image("save-running"), path)
        copy(image("save-paused"), other)
        self.expect(GOOD, "record", path)
        with subprocess.Popen([CONTEXT.tool, "validate", path], text=True, stderr=subprocess.PIPE,
                              stdout=subprocess.DEVNULL) as process:
            while process.poll() is None and not emulators():
                time.sleep(0.001)
            helpers = emulators()
            for pid in helpers:
                os.kill(pid, signal.SIGSTOP)
            other.rename(path)
            for pid in helpers:
                os.kill(pid, signal.SIGCONT)
            said = process.communicate(timeout=30)[1]
        self.assertTrue(helpers)
        self.assertEqual(BAD, process.returncode, said)
        self.assertIn("was changed or replaced", said)

    def test_killed_while_it_fills_the_cache(self) -> None:
        record = self.small()
        for moment in range(1, 6):
            for path in (STATE / "cache").glob("*.xml"):
                path.unlink()
            with self.start(record) as process:
                time.sleep(moment * 0.2)
                process.kill()
            self.assert_nothing_left()
        self.assertEqual({"restorable": "passed"}, self.dry_run(GOOD, record))
        self.assertTrue(list((STATE / "cache").glob("*.xml")))

    def test_broken_cache_is_made_anew(self) -> None:
        record = self.small()
        self.dry_run(GOOD, record)
        for path in (STATE / "cache").glob("*.xml"):
            path.write_bytes(path.read_bytes()[:1000])
        self.assertEqual({"restorable": "passed"}, self.dry_run(GOOD, record))
        for path in (STATE / "cache").glob("*.xml"):
            self.assertGreater(path.stat().st_size, 1000)

    def test_deadline(self) -> None:
        record = self.small()
        (STATE / "cache").mkdir(parents=True, exist_ok=True)
        for path in (STATE / "cache").glob("*.xml"):
            path.unlink()
        # Whoever holds the lock is filling the cache
        import fcntl
        with open(STATE / "cache/lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            began = time.monotonic()
            result = self.expect(WARNINGS, "--json", "validate", "--timeout", "1", record)
            self.assertLess(time.monotonic() - began, 5)
        self.assertEqual({"dry-run-timeout": "not-checked"}, self.codes(result))

    def test_state_directory_that_cannot_be_written_to(self) -> None:
        record = self.small()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", STATE], check=True)
        try:
            self.assertEqual({"restorable": "passed"}, self.dry_run(GOOD, record))
        finally:
            subprocess.run(["umount", STATE], check=True)

    def test_no_libvirt_sees_it(self) -> None:
        record = self.small()
        seen: set[str] = set()
        done = threading.Event()
        host = shared_host()
        before = {domain.name() for domain in host.connection.listAllDomains()}

        def look() -> None:
            while not done.is_set():
                seen.update(domain.name() for domain in host.connection.listAllDomains())
                seen.update(host.virsh("list", "--all", "--name").split())
        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            for _ in range(5):
                self.assertEqual({"restorable": "passed"}, self.dry_run(GOOD, record))
        finally:
            done.set()
            watcher.join()
        self.assertEqual(before, seen | before)

    def test_guest_with_offloads_is_restorable(self) -> None:
        if not os.path.exists("/dev/net/tun"):
            self.skipTest("no /dev/net/tun")
        host = shared_host()
        guest = host.define(images.LV8)
        xml = guest.xml().replace("<interface type='user'>", "<interface type='ethernet'>")
        host.connection.defineXML(xml)
        guest.start()
        guest.wait_ready()
        path = guest.save(self.work / "tap.save")
        guest.undefine()
        self.assertEqual({"restorable": "passed"}, self.dry_run(GOOD, path))
        # Without a tap device behind it the card does not offer what the guest uses
        set_xml(path, replaced("<interface type='ethernet'>", "<interface type='user'>"))
        self.assertEqual({"virtio-features": "failed"}, self.dry_run(BAD, path))


    def test_guest_with_ordinary_hardware_is_restorable(self) -> None:
        config = Config("hardware", firmware_only=True, vcpus=2)
        host = shared_host()
        guest = host.define(config)
        xml = guest.xml()
        for before, after in (("<controller type='usb' model='none'/>", ""),
                              ("<memballoon model='none'/>", HARDWARE), ("</cpu>", TOPOLOGY),
                              ("</vcpu>", "</vcpu><iothreads>1</iothreads>")):
            self.assertIn(before, xml)
            xml = xml.replace(before, after)
        host.connection.defineXML(xml)
        guest.start()
        guest.console.wait_for(FIRMWARE_PROMPT)
        path = guest.save(self.work / "hardware.save")
        guest.undefine()
        self.assertEqual({"restorable": "passed"}, self.dry_run(GOOD, path))
        # Each device counts
        set_xml(path, replaced("<watchdog.*?</watchdog>", ""))
        self.assertEqual({"missing-device": "failed"}, self.dry_run(BAD, path))


class Canaries(DryRunTestCase):
    """What a hostile image names is never opened."""

    def setUp(self) -> None:
        super().setUp()
        self.canary = self.work / "canary"
        self.canary.mkdir()
        self.canary.chmod(0o777)
        self.work.chmod(0o755)
        self.file = self.canary / "file"
        self.file.write_bytes(b"x" * (1 << 20))
        self.file.chmod(0o777)
        self.watch = OpenWatch(self.canary, self.file)
        self.addCleanup(self.watch.close)

    def hostile(self, code: int, change: Callable[[str], str]) -> Result:
        """A hostile image ends with that code, and the canary lives."""
        path = self.variant(change)
        self.assertFalse(self.watch.opened())
        result = self.expect(code, "validate", path)
        self.assertFalse(self.watch.opened(), result)
        self.assertEqual({self.file}, set(self.canary.iterdir()))
        self.assertEqual(b"x" * (1 << 20), self.file.read_bytes())
        self.assertTrue(self.watch.opened(), "the watch is blind")
        return result

    def test_files_of_the_boot(self) -> None:
        self.hostile(GOOD, inside("os", f"<loader>{self.file}</loader><nvram>{self.file}</nvram>"
                                        f"<dtb>{self.file}</dtb>"))
        self.hostile(GOOD, replaced(r"<kernel>[^<]*</kernel>\s*<initrd>[^<]*</initrd>",
                                    f"<kernel>{self.file}</kernel><initrd>{self.file}</initrd>"))

    def test_files_behind_consoles(self) -> None:
        self.hostile(GOOD, replaced(r"<source path='[^']*'", f"<source path='{self.file}'"))
        self.hostile(GOOD, replaced(r"(?<='/>)\s*<target port='0'/>",
                                    f"<log file='{self.file}'/><target port='0'/>"))

    def test_disks(self) -> None:
        self.hostile(GOOD, replaced(r"<source file='[^']*'/>", f"<source file='{self.file}'/>"))
        self.hostile(GOOD, replaced(
            r"(<backingStore/>\s*)?<target dev='vda'",
            f"<backingStore type='file'><format type='raw'/><source file='{self.file}'/>"
            f"</backingStore><target dev='vda'"))

    @each("filesystem", "commandline", "emulator", "rom", "hostdev", "tpm")
    def refused_by_name(self, what: str) -> None:
        file, directory = self.file, self.canary
        changes: dict[str, Any] = {
            "filesystem": inside("devices", f"<filesystem><source dir='{directory}'/>"
                                            f"<target dir='x'/></filesystem>"),
            "commandline": lambda xml: replaced(
                "<domain ", "<domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0' ")(
                    inside("domain", "<qemu:commandline><qemu:arg value='-chardev'/>"
                                     f"<qemu:arg value='file,id=x,path={file}'/>"
                                     "</qemu:commandline>")(xml)),
            "emulator": replaced(r"<emulator>[^<]*<", f"<emulator>{file}<"),
            "rom": replaced(r"<rom enabled='no'/>", f"<rom file='{file}'/>"),
            "hostdev": inside("devices", "<hostdev mode='subsystem' type='pci'><source>"
                                         "<address domain='0' bus='0' slot='0' function='0'/>"
                                         "</source></hostdev>"),
            "tpm": inside("devices", "<tpm model='tpm-spapr'><backend type='passthrough'>"
                                     f"<device path='{file}'/></backend></tpm>"),
        }
        result = self.hostile(UNSUPPORTED, changes[what])
        self.assertIn(what, result.err)
