# SPDX-License-Identifier: LGPL-2.1-or-later
"""Proves that the tool reads every image that it must, and agrees with the independent reader on
every entry.  Requires images of real guests (root)."""

import json
import random
import struct

from . import images, oracle
from .support import (COULD_NOT, GOOD, UNSUPPORTED, USAGE, TestCase, each, facts, image, page_bytes,
                      report, run_tool)
from .test_images import READABLE

HASH = tuple(name for name in READABLE if "radix" not in name)
EITHER = tuple(name for name, kind in images.IMAGES.items() if kind.expect == images.EITHER)
BASES = {12: "4K", 16: "64K", 24: "16M", 34: "16G"}


def virtual_address(v: int, slot: int, order: int, base: int) -> int:
    """The virtual address an entry translates, from its place: the hash, undone."""
    one_tb = v >> 62 & 1
    shift = 40 if one_tb else 28
    # V holds the address from bit 23 up; page number bits below that come from the hash
    address = (v >> 7 & (1 << 55) - 1) << 23
    address &= ~((1 << base) - 1)
    vsid, offset = address >> shift, address & (1 << shift) - 1
    mask = (1 << order - 7) - 1
    group = slot // 8 ^ (mask if v & 2 else 0)
    known = vsid ^ (vsid << 25 if one_tb else 0) ^ offset >> base
    if base < 23:
        address |= ((group ^ known) & mask & (1 << 23 - base) - 1) << base
    return address


class Read(TestCase):
    """inspect, check, entry-list, decode and extract on healthy images."""

    @each(*READABLE)
    def inspect_equals_the_oracle(self, name: str) -> None:
        self.compare_inspect(name, self.expect(GOOD, "inspect", image(name), "--json").json())

    def compare_inspect(self, name: str, said: dict) -> None:
        """inspect --json against the independent reader."""
        read = report(name)
        self.assertEqual(said["schema"], 1)
        self.assertEqual(said["image"]["kind"], read.kind)
        self.assertEqual(said["image"]["format"], read.format)
        self.assertEqual(said["image"]["machine"], read.machine)
        self.assertEqual(said["mmu"], read.mmu)
        if read.order is None:
            self.assertNotIn("hpt", said)
            return
        hpt = said["hpt"]
        self.assertEqual(hpt["order"], read.order)
        self.assertEqual(hpt["slots"], 1 << read.order - 4)
        self.assertEqual(hpt["valid"], len(read.entries))
        self.assertEqual(hpt["bolted"], read.count(v_bit=0x10))
        self.assertEqual(hpt["secondary"], read.count(v_bit=0x02))
        sizes = {(page_bytes(size["base"]), page_bytes(size["actual"])): size["count"]
                 for size in hpt["page_sizes"]}
        self.assertEqual(sizes, {(1 << base, 1 << actual): count
                                 for (base, actual), count in read.sizes().items()})

    @each(*READABLE)
    def inspect_speaks_to_people(self, name: str) -> None:
        result = self.expect(GOOD, "inspect", image(name))
        self.assertIn(report(name).mmu, result.out.lower())
        self.assertEqual(result.err, "")

    @each(*READABLE)
    def healthy_guest_has_no_findings(self, name: str) -> None:
        result = self.expect(GOOD, "check", image(name))
        self.assertEqual(result.err, "", result)
        self.assertRegex(result.out, r"\b0 errors, 0 warnings, 0 notes\b|radix", result)

    @each(*HASH)
    def entries_equal_the_oracle(self, name: str) -> None:
        read = report(name)
        lines = self.expect(GOOD, "entry-list", image(name), "--json").out.splitlines()
        entries = [json.loads(line) for line in lines]
        self.assertEqual([entry["slot"] for entry in entries], sorted(read.entries))
        for entry in entries:
            v, r = read.entries[entry["slot"]]
            self.assertEqual((entry["v"], entry["r"]), (f"{v:016x}", f"{r:016x}"), entry)
            base, actual = oracle.page_size(v, r)
            self.assertEqual((page_bytes(entry["base"]), page_bytes(entry["actual"])),
                             (1 << base, 1 << actual), entry)
            va = virtual_address(v, entry["slot"], read.order, base)
            self.assertEqual(int(str(entry["va"]), 16), va, entry)

    def test_entries_are_filtered(self) -> None:
        name = "stream-power8"
        read = report(name)
        middle = sorted(read.entries)[len(read.entries) // 2]
        v, r = read.entries[middle]
        base, actual = oracle.page_size(v, r)
        va = virtual_address(v, middle, read.order, base)
        rpn = (r & (1 << 60) - 1) >> actual << actual >> 12
        low, high = middle - 100, middle + 100
        bolted = {slot for slot, (entry, _r) in read.entries.items() if entry & 0x10}
        cases = {
            ("--slot", f"{low}-{high}"): {slot for slot in read.entries if low <= slot <= high},
            ("--bolted",): bolted,
            ("--size", BASES[base]): {slot for slot, (ev, er) in read.entries.items()
                                      if base in oracle.page_size(ev, er)},
            ("--size", "16G"): set(),
        }
        for arguments, expected in cases.items():
            self.assertEqual(self.slots(name, *arguments), expected, arguments)
        for option, value in (("--va", va), ("--rpn", rpn)):
            found = self.slots(name, option, f"{value:#x}")
            self.assertIn(middle, found, option)
            self.assertLess(len(found), 1000, option)

    def slots(self, name: str, *arguments: str) -> set[int]:
        """The slots that entry-list shows."""
        result = self.expect(GOOD, "entry-list", image(name), "--json", *arguments)
        return {json.loads(line)["slot"] for line in result.out.splitlines()}

    def test_a_radix_guest_has_no_entries_to_list(self) -> None:
        result = run_tool("entry-list", image("stream-radix"))
        self.assertIn("radix", result.text.lower(), result)

    def test_entries_decode(self) -> None:
        read = report("stream-power8")
        chosen = random.Random(1).sample(sorted(read.entries), 20)
        for slot in chosen:
            v, r = read.entries[slot]
            base = oracle.page_size(v, r)[0]
            result = self.expect(GOOD, "decode", f"{v:#x}", f"{r:#x}", "--slot", str(slot),
                                 "--order", str(read.order))
            va = virtual_address(v, slot, read.order, base)
            self.assertIn(va, result.numbers(), result)

    @each("stream-power8", "stream-live", "save-running", "stream-firmware")
    def extract_for_qemu_is_the_table(self, name: str) -> None:
        out = self.work / "out"
        self.expect(GOOD, "extract", image(name), "-o", out, "--format", "qemu")
        self.assertEqual(oracle.parse_table(out.read_bytes()).entries, report(name).entries)

    @each("stream-power8", "stream-firmware")
    def extract_for_kvm_is_the_kernels_stream(self, name: str) -> None:
        for form, order in (("kvm-le", "<"), ("kvm-be", ">")):
            out = self.work / form
            self.expect(GOOD, "extract", image(name), "-o", out, "--format", form)
            data, at, entries = out.read_bytes(), 0, {}
            while at < len(data):
                index, valid, _invalid = struct.unpack_from(f"{order}IHH", data, at)
                at += 8
                for slot in range(index, index + valid):
                    # Doublewords are big-endian in both
                    entries[slot] = struct.unpack_from(">QQ", data, at)
                    at += 16
            self.assertEqual(entries, report(name).entries, form)

    @each(*EITHER)
    def is_read_right_or_refused(self, name: str) -> None:
        result = run_tool("inspect", image(name), "--json")
        if result.code == UNSUPPORTED:
            self.assert_error_json(result)
        else:
            self.assertEqual(result.code, GOOD, result)
            self.compare_inspect(name, result.json())

    def test_reading_leaves_nothing_behind(self) -> None:
        self.assertEqual(facts("save-running")["kind"], "save-image")
        self.assertFalse(image("save-running").with_name("save-running.hpt").exists())

    def test_misuse_is_usage(self) -> None:
        for arguments in ((), ("no-such-command",), ("inspect",), ("inspect", "--no-such", "x"),
                          ("entry-list", image("save-running"), "--slot", "x")):
            self.expect(USAGE, *arguments)

    def test_a_missing_file_could_not_be_read(self) -> None:
        result = self.expect(COULD_NOT, "inspect", self.work / "none")
        self.assertIn(str(self.work / "none"), result.err)
