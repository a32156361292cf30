# SPDX-License-Identifier: GPL-2.0-or-later
"""entry-list lists what is in the table, and its filters what they name."""

import streams
import virthpt
from virthpt import USAGE

SIZES = {"4K": 1 << 12, "64K": 1 << 16, "16M": 1 << 24, "16G": 1 << 34}


def mixed_table():
    """Entries of every page size, bolted or not, in both PTEGs; and two that cannot be decoded."""
    table, number = {}, 0
    for size in (12, 12), *streams.ENCODINGS:
        for place in 0, 5, 9:
            number += 1
            slot, v, r = streams.entry(number << 40 | 0x8 << 34, number << 34, size=size,
                                       place=place, bolted=place == 5, lock=place == 9,
                                       low=0xA00 | number)
            table[slot] = (v, r)
    slot, v, r = streams.entry(99 << 40, 0)
    table[slot] = (v, r & ~0xF000 | 0x5000)
    slot, v, r = streams.entry(98 << 40, 0)
    table[slot ^ 0x780 * 8] = (v, r)
    return table


class EntryList(virthpt.Case):
    """virt-hpt entry-list"""

    entries = None

    def listed(self, *words):
        """(All entries of the mixed table, those that the options select)"""
        if not (self.dir / "mixed").exists():
            self.write("mixed", streams.stream(mixed_table()))
            self.entries = self.run_lines("entry-list", "mixed")
        return self.entries, self.run_lines("entry-list", "mixed", *words) if words else None

    def test_real_guest(self):
        name = self.real_stream()
        entries = self.run_lines("entry-list", name)
        self.assertEqual(len(entries), 16460)
        self.assertEqual(sum(e["bolted"] for e in entries), 16392)
        self.run_ok("extract", name, "-o", "table")
        table = streams.read_records((self.dir / "table").read_bytes()[8:])
        self.assertEqual({e["slot"]: (int(e["v"], 16), int(e["r"], 16)) for e in entries}, table)
        for e in entries:
            # Where an MMU looks for this address is where the entry is
            pteg = streams.hash_of(int(e["va"], 16), 16, 40 if e["v"][0] == "4" else 28)
            self.assertEqual(pteg & 0x7FFF, e["slot"] // 8)

    def test_record_lists_the_same(self):
        name = self.real_stream()
        self.run_ok("record", name)
        self.assertEqual(self.run_ok("entry-list", f"{name}.hpt"), self.run_ok("entry-list", name))

    def test_text(self):
        self.write("mixed", streams.stream(mixed_table()))
        output = self.run_ok("entry-list", "mixed")
        self.compare("entry-list", output)
        for words in ["entry-list", "-q"], ["-q", "entry-list"]:
            self.assertEqual(self.run_ok(*words, "mixed"), output.split("\n", 1)[1])

    def test_addresses_are_those_that_were_mapped(self):
        entries, _ = self.listed()
        self.assertEqual(len(entries), len(mixed_table()))
        known = [e for e in entries if e["va"]]
        self.assertEqual({int(e["va"], 16) for e in known},
                         {n << 40 | 0x8 << 34 for n in range(1, 22)})
        for e in known:
            self.assertEqual(e["rpn"], int(e["va"], 16) >> 40 << 34 >> 12)

    def test_entries_that_cannot_be_decoded_are_listed(self):
        entries, _ = self.listed()
        unknown = [e for e in entries if e["va"] is None]
        self.assertEqual(sorted((e["base"] or 0, e["rpn"]) for e in unknown if e["base"]),
                         [(65536, 0)])
        nothing, = [e for e in unknown if e["base"] is None]
        self.assertEqual((nothing["actual"], nothing["rpn"]), (None, None))

    def test_bolted(self):
        entries, bolted = self.listed("--bolted")
        self.assertEqual(bolted, [e for e in entries if int(e["v"], 16) & streams.BOLTED])
        self.assertEqual(len(bolted), 7)

    def test_size(self):
        for name, size in SIZES.items():
            for spelling in name, name.lower():
                with self.subTest(spelling):
                    entries, found = self.listed("--size", spelling)
                    self.assertEqual(found, [e for e in entries if e["actual"] == size])
                    self.assertGreater(len(found), 0)

    def test_slots(self):
        entries, _ = self.listed()
        middle = entries[5]["slot"]
        for text, first, last in [(str(middle), middle, middle), (hex(middle), middle, middle),
                                  (f"0-{middle}", 0, middle), (f"{middle}-16383", middle, 16383),
                                  ("0-0x3fff", 0, 16383), ("1-1", 1, 1)]:
            with self.subTest(text):
                _, found = self.listed(f"--slot={text}")
                self.assertEqual(found, [e for e in entries if first <= e["slot"] <= last])

    def test_virtual_address(self):
        entries, _ = self.listed()
        for e in entries:
            if not e["va"]:
                continue
            first = int(e["va"], 16) & ~(e["actual"] - 1)
            for address, covered in [(first, True), (first + e["actual"] - 1, True),
                                     (first - 1, False), (first + e["actual"], False),
                                     (first | 1 << 77, False)]:
                with self.subTest(va=hex(address)):
                    _, found = self.listed("--va", f"{address:x}")
                    self.assertEqual(e in found, covered)

    def test_virtual_address_of_78_bits(self):
        address = 0x3FFF << 64 | 0x123 << 40
        slot, v, r = streams.entry(address, 0)
        self.write("high", streams.stream({slot: (v, r)}))
        found, = self.run_lines("entry-list", "high", "--va", hex(address | 0xFFFF))
        self.assertEqual(found["va"], hex(address))
        self.assertEqual(self.run_lines("entry-list", "high", "--va", hex(address >> 1)), [])

    def test_real_page(self):
        entries, _ = self.listed()
        for e in entries:
            if e["rpn"] is None:
                continue
            pages = e["actual"] >> 12
            for rpn, covered in [(e["rpn"], True), (e["rpn"] + pages - 1, True),
                                 (e["rpn"] + pages, False)]:
                with self.subTest(rpn=hex(rpn)):
                    _, found = self.listed(f"--rpn={rpn:#x}")
                    self.assertEqual(e in found, covered)

    def test_filters_add_up(self):
        entries, found = self.listed("--bolted", "--size=64K", "--slot=0-9000")
        self.assertEqual(found, [e for e in entries if e["bolted"] and e["actual"] == 65536 and
                                 e["slot"] <= 9000])

    def test_no_match_is_an_empty_list(self):
        self.write("mixed", streams.stream(mixed_table()))
        self.assertEqual(self.run_ok("entry-list", "--json", "mixed", "--va=0"), "")

    def test_radix_guest_has_no_entries(self):
        name = self.write("radix", streams.stream(order=streams.NO_HPT))
        self.assertEqual(self.run_lines("entry-list", name), [])
        done = self.run_program("entry-list", name)
        self.assertEqual((done.returncode, done.stdout), (0, b""))
        self.assertIn(b"radix", done.stderr)
        self.assertEqual(self.run_ok("entry-list", "-q", name), "")

    def test_wrong_usage(self):
        name = self.write("mixed", streams.stream(mixed_table()))
        for option in ("--slot=", "--slot=x", "--slot=5-4", "--slot=0x5-0x4", "--slot=1-", "--slot=-1", "--slot=1-2-3",
                       "--slot=16384", "--slot=0-16384", "--slot=18446744073709551615",
                       "--slot=0-18446744073709551615", "--slot=99999999999999999999999",
                       "--va=", "--va=0x", "--va=g", "--va=40000000000000000000",
                       "--va=400000000000000000000",
                       "--va=100000000000000000000000000000000", "--rpn=", "--rpn=-1", "--rpn=x",
                       "--rpn=10000000000000000", "--size=", "--size=8K", "--size=64", "--bolted=1"):
            with self.subTest(option):
                self.run_error("entry-list", name, option, status=USAGE, code="usage")


if __name__ == "__main__":
    virthpt.main()
