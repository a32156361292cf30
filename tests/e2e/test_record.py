# SPDX-License-Identifier: LGPL-2.1-or-later
"""Proves that a record is whole, that it tells a changed image from the recorded one, and that what
it keeps is all that QEMU needs.  Requires images of real guests (root), QEMU and zstd."""

from __future__ import annotations

import hashlib
import re
import struct
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from . import images, oracle
from .guest import QemuGuest
from .support import (BAD, CONTEXT, GOOD, TestCase, copy, each, facts, flip, image, payload,
                      report, run_tool)
from .test_images import READABLE

HASH = tuple(name for name in READABLE if "radix" not in name)


NO_HPT = struct.pack(">I", oracle.NO_HPT)


def record_of(path: Path) -> Path:
    """Where an image's record lies."""
    return path.with_name(f"{path.name}.hpt")


def reassemble(state: bytes, table: bytes | None) -> bytes:
    """A small stream from a record's payloads: the table goes in as a section of its own.

    A radix guest has no table, and its section says so: without it QEMU keeps the table that the
    machine has at reset.
    """
    order, body = (table[:4], table[4:]) if table is not None else (NO_HPT, NO_HPT)
    read = oracle.parse(state)
    starts = dict(read.sections)
    ram = struct.unpack_from(">I", state, starts["ram start"] + 1)[0]
    number = struct.pack(">I", ram + 1)
    footer = b"\x7e" + number
    name = b"spapr/htab"
    start = (b"\1" + number + bytes([len(name)]) + name + struct.pack(">II", 0, 1) + order +
             footer)
    end = b"\3" + number + body + footer
    first, second = starts["ram end"], read.state_offset
    return state[:first] + start + state[first:second] + end + state[second:]


class Record(TestCase):
    """record and validate."""

    def recorded(self, name: str, target: str = "image") -> Path:
        """A copy of an image with its record."""
        path = copy(image(name), self.work / target)
        self.expect(GOOD, "record", path)
        return path

    def second_place(self, path: Path) -> Path:
        """The image and its record, moved as an administrator would: cp -a."""
        place = self.work / "elsewhere"
        place.mkdir()
        subprocess.run(["cp", "-a", path, record_of(path), place], check=True)
        return place / path.name

    @each(*READABLE)
    def recorded_image_validates(self, name: str) -> None:
        path = self.recorded(name)
        record = record_of(path)
        self.assertEqual(record.stat().st_mode & 0o777, 0o700)
        for file in record.iterdir():
            self.assertEqual(file.stat().st_mode & 0o777, 0o600, file)
        self.expect(GOOD, "validate", path)
        self.expect(GOOD, "validate", record)

    @each("stream-power8", "save-running")
    def record_may_move_with_its_image(self, name: str) -> None:
        self.expect(GOOD, "validate", self.second_place(self.recorded(name)))

    @each(*HASH)
    def table_is_canonical(self, name: str) -> None:
        record = record_of(self.recorded(name))
        self.assertEqual(payload(record / "table"), oracle.canonical_table(report(name)))

    @each(*READABLE)
    def state_is_the_stream_without_memory_and_table(self, name: str) -> None:
        state = payload(record_of(self.recorded(name)) / "state")
        kept, full = oracle.parse(state), report(name)
        sections = [section for section, _at in kept.sections if section != "command"]
        self.assertEqual(sections, ["configuration", "ram start", "ram end"])
        self.assertEqual(kept.machine, full.machine)
        with open(image(name), "rb") as file:
            file.seek(full.state_offset)
            self.assertEqual(state[kept.state_offset:], file.read())
        self.assertLess(len(state), 4 << 20)

    @each("stream-power8", "save-running", "save-radix")
    def descriptor_tells_the_truth(self, name: str) -> None:
        path = self.recorded(name)
        record = record_of(path)
        root = ElementTree.parse(record / "snapshot.xml").getroot()
        self.assertEqual(root.tag, "hptsnapshot")
        read, data = report(name), path.read_bytes()
        mmu = root.find("mmu")
        self.assertEqual(mmu.get("mode"), read.mmu)
        if read.order is not None:
            hpt = mmu.find("hpt")
            self.assertEqual({key: int(hpt.get(key)) for key in
                              ("order", "slots", "valid", "bolted", "secondary",
                               "cacheInhibited")},
                             {"order": read.order, "slots": 1 << read.order - 4,
                              "valid": len(read.entries), "bolted": read.count(v_bit=0x10),
                              "secondary": read.count(v_bit=2),
                              "cacheInhibited": read.count(r_bit=0x20)})
        for extent in root.iter("extent"):
            at, length = int(extent.get("offset")), int(extent.get("length"))
            self.assertEqual(extent.find("digest").text.strip(),
                             hashlib.sha256(data[at:at + length]).hexdigest(),
                             extent.attrib)
        for part in ("table", "state"):
            element = root.find(part)
            if element is not None:
                self.assertEqual(element.find("digest").text.strip(),
                                 hashlib.sha256(payload(record / part)).hexdigest(), part)

    @each("stream-power8", "save-running", "stream-live")
    def changed_table_is_found(self, name: str) -> None:
        path = self.second_place(self.recorded(name))
        read = report(name)
        slot = sorted(read.where)[len(read.where) // 2]
        root = ElementTree.parse(record_of(path) / "snapshot.xml").getroot()
        extents = {int(extent.get("offset")) for extent in root.iter("extent")}
        for what, byte in (("V", 3), ("V's software bits", 7), ("RPN", 13)):
            at = read.where[slot] + byte
            flip(path, at, 3)
            result = self.expect(BAD, "validate", path)
            self.assertTrue({slot, at, read.where[slot], *extents} & result.numbers(),
                            f"{what} of slot {slot}: {result}")
            flip(path, at, 3)
        self.expect(GOOD, "validate", path)

    @each("stream-power8", "save-running")
    def changed_state_is_found(self, name: str) -> None:
        path = self.second_place(self.recorded(name))
        at = (report(name).state_offset + path.stat().st_size) // 2
        flip(path, at)
        self.expect(BAD, "validate", path)

    def test_changed_header_is_found(self) -> None:
        path = self.second_place(self.recorded("save-running"))
        at = path.read_bytes().index(b"<vcpu")
        flip(path, at + 1)
        self.assertIn(run_tool("validate", path).code, (BAD,))

    def test_memory_is_not_covered_and_the_verdict_says_so(self) -> None:
        path = self.second_place(self.recorded("save-running"))
        read = report("save-running")
        table = min(read.where.values())
        flip(path, (read.stream_offset + table) // 2)
        result = self.expect(GOOD, "validate", path)
        self.assertRegex(result.text, re.compile(r"\bRAM\b|memory", re.IGNORECASE))

    @each("table", "state")
    def changed_payload_is_found(self, part: str) -> None:
        path = self.recorded("save-running")
        file = record_of(path) / part
        flip(file, file.stat().st_size // 2)
        self.assertNotEqual(run_tool("validate", path).code, GOOD)

    @each("order", "valid", "bolted", "digest")
    def changed_descriptor_is_found(self, what: str) -> None:
        path = self.recorded("save-running")
        file = record_of(path) / "snapshot.xml"
        pattern = r"[0-9a-f](?=\s*</digest>)" if what == "digest" else rf"(?<= {what}=.)\d"
        match = re.search(pattern, file.read_text())
        self.assertIsNotNone(match)
        # A digit becomes its neighbour: still well-formed, no longer true
        flip(file, len(file.read_text()[:match.start()].encode()))
        self.assertNotEqual(run_tool("validate", path).code, GOOD)

    def test_next_managed_save_makes_the_record_stale(self) -> None:
        path = self.recorded("save-managed")
        copy(image("save-managed-next"), self.work / "next").rename(path)
        result = run_tool("validate", path)
        self.assertIn("stale", result.text.lower(), result)
        self.assertNotEqual(result.code, BAD, result)
        self.expect(GOOD, "record", path)
        self.expect(GOOD, "validate", path)

    @each("stream-power8", "stream-power9", "stream-radix", "stream-firmware")
    def qemu_loads_what_the_record_keeps(self, name: str) -> None:
        record = record_of(self.recorded(name))
        table = record / "table"
        small = self.work / "small"
        small.write_bytes(reassemble(payload(record / "state"),
                                     payload(table) if table.exists() else None))
        facts(name)
        config = {"stream-power8": images.P8, "stream-power9": images.P9,
                  "stream-radix": images.RADIX, "stream-firmware": images.FIRMWARE}[name]
        # It is paused in the end, with the very same table
        with QemuGuest(config, self.work, incoming=f"exec:cat {small}") as guest:
            guest.loaded()
            self.assertEqual(guest.qmp.command("query-status")["status"], "paused")
            again = self.work / "again"
            guest.migrate(again)
        self.assertEqual(oracle.read(again).order, report(name).order)
        self.assertEqual(oracle.read(again).entries, report(name).entries)

    def test_nothing_is_written_beside_the_cached_images(self) -> None:
        self.assertEqual([], sorted(CONTEXT.images.glob("*.hpt")))
