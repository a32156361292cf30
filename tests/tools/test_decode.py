# SPDX-License-Identifier: GPL-2.0-or-later
"""decode explains an entry, and tells whether it can be where it was found."""

import streams
import virthpt
from virthpt import BAD, GOOD, USAGE

K, M, G = 1 << 10, 1 << 20, 1 << 30

# what differs from a plain entry -> what the JSON says
ENCODED = [
    ({"size": (12, 12)}, {"base": 4 * K, "actual": 4 * K}),
    ({"size": (12, 16)}, {"base": 4 * K, "actual": 64 * K}),
    ({"size": (12, 24)}, {"base": 4 * K, "actual": 16 * M}),
    ({"size": (16, 16)}, {"base": 64 * K, "actual": 64 * K}),
    ({"size": (16, 24)}, {"base": 64 * K, "actual": 16 * M}),
    ({"size": (24, 24)}, {"base": 16 * M, "actual": 16 * M}),
    ({"size": (34, 34)}, {"base": 16 * G, "actual": 16 * G}),
    ({"segment": 28}, {"segment": 256 * M}),
    ({"segment": 40}, {"segment": 1 << 40}),
    ({"place": 3}, {"placement": "consistent"}),
    ({"place": 11}, {"placement": "consistent"}),
    ({"low": 0x000}, {"pp": 0, "wimg": "----", "key": 0}),
    ({"low": 0x003}, {"pp": 3}),
    ({"low": 0x078}, {"wimg": "WIMG"}),
    ({"low": 0x020}, {"wimg": "-I--"}),
    ({"low": 0xE00}, {"key": 7}),
]

# V, R (without slot or order) -> what the text says
EXPLAINED = [
    ("40046e93b0001105", "1f1c1196", ["Page size:       64K base, 64K actual",
                                      "Real address:    0x1f1c0000 (real page 0x1f1c0)",
                                      "Protection:      2 (kernel and user read and write)",
                                      "Segment:         1 TiB"]),
    ("0x1", "0X0", ["Page size:       4K base, 4K actual", "Segment:         256 MiB",
                    "Protection:      0 (kernel reads and writes, user has no access)"]),
    ("0x" + 30 * "0" + "1", 40 * "0", ["  0       VALID    1 "]),
    ("1", "8000000000000002", ["Protection:      6 (kernel reads, user has no access)"]),
    ("1", "8000000000000000", ["Protection:      4 (reserved)"]),
    ("1", "3000000000000e00", ["Storage key:     31"]),
    ("8000000000000001", "0", ["Segment:         invalid: B is reserved"]),
    ("5", "5000", ["Page size:       invalid: L and the low bits of RPN encode none"]),
    ("7FFFFFFFFFFFFFFF", "ffffffffffff1fff", ["  61:7    AVPN     0x7fffffffffffff "]),
]


class Decode(virthpt.Case):
    """virt-hpt decode"""

    def test_every_encoding(self):
        address = 0x123456 << 40 | 0x9C << 32
        for order in 18, 24, 46:
            for changes, expected in ENCODED:
                with self.subTest(order=order, **changes):
                    slot, v, r = streams.entry(address, 3 << 34, order=order, **changes)
                    found = self.run_json("decode", f"{v:x}", f"0x{r:016X}", "--slot", str(slot),
                                          "--order", str(order))
                    self.assertEqual({key: found[key] for key in expected}, expected)
                    self.assertEqual(found["va"], f"0x{address:016x}")
                    self.assertEqual(found["rpn"], 3 << 34 >> 12)
                    self.assertEqual((found["v"], found["r"]), (f"{v:016x}", f"{r:016x}"))
                    self.assertEqual(found["pteg"], slot // 8)

    def test_every_explanation(self):
        for v, r, lines in EXPLAINED:
            with self.subTest(v=v, r=r):
                output = self.run_ok("decode", v, r, status=BAD if "invalid: " in lines[0] else GOOD)
                for line in lines:
                    self.assertIn(line, output)

    def test_text(self):
        self.compare("decode", self.run_ok("decode", "40046e93b0001105", "000000001f1c1196",
                                           "--slot", "5192", "--order", "22"))

    def test_entry_of_a_real_guest(self):
        name = self.real_stream()
        for listed in self.run_lines("entry-list", name)[::4000]:
            found = self.run_json("decode", listed["v"], listed["r"], "--slot",
                                  str(listed["slot"]), "--order", "22")
            for key in "va", "base", "actual", "rpn", "pp", "wimg", "key":
                self.assertEqual(found[key], listed[key], key)

    def test_misplaced_entry(self):
        slot, v, r = streams.entry(0x123 << 40, 0, order=24)
        words = ["decode", f"{v:x}", f"{r:x}", "--order=24", "--slot"]
        self.run_ok(*words, str(slot))
        wrong = str(slot ^ 1 << 18)
        self.assertIn("inconsistent: ", self.run_ok(*words, wrong, status=BAD))
        found = self.run_json(*words, wrong, status=BAD)
        self.assertEqual((found["placement"], found["va"]), ("inconsistent", None))
        self.assertEqual((found["pteg_bits"], found["verifiable_bits"]), (17, 10))

    def test_invalid_encoding(self):
        # No page size, a reserved segment size, a page of 16G in a segment of 256M
        for v, r in ("5", "5000"), ("8000000000000001", "0"), ("5", "3000"):
            with self.subTest(v=v, r=r):
                self.run_json("decode", v, r, status=BAD)
                self.run_json("decode", f"{int(v, 16) & ~1:x}", r)
                found = self.run_json("decode", v, r, "--slot=0", "--order=18", status=BAD)
                self.assertEqual(found["placement"], "not-applicable")

    def test_entry_that_is_not_in_use(self):
        output = self.run_ok("decode", "0", "0", "--slot=7", "--order=18")
        self.assertIn("not applicable: the entry is not in use", output)

    def test_wrong_usage(self):
        for words in (["1"], [], ["1", "2", "3"], ["x", "1"], ["1", ""], ["1", "0x"],
                      ["1", "10000000000000000"], ["1", "1", "--slot", "1"],
                      ["1", "1", "--order", "18"],
                      ["1", "1", "--slot=0", "--order=17"], ["1", "1", "--slot=0", "--order=47"],
                      ["1", "1", "--slot=0", "--order=0x11"],
                      ["1", "1", "--slot=16384", "--order=18"],
                      ["1", "1", "--slot=-1", "--order=18"], ["1", "1", "--slot=x", "--order=18"]):
            with self.subTest(words):
                self.run_error("decode", *words, status=USAGE, code="usage")


if __name__ == "__main__":
    virthpt.main()
