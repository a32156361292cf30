# SPDX-License-Identifier: GPL-2.0-or-later
"""check tells a table that a guest could have built from one that none could."""

import struct

import streams
import virthpt
from virthpt import BAD, GOOD, WARNED


def misplaced(count):
    """A good table, and entries that are where no MMU looks for them: (table, their slots)."""
    table = streams.good_table(256)
    slots = sorted(table)[:count]
    for slot in slots:
        # With 4 verifiable bits of 11 this is another PTEG for sure: they are all inverted
        v, r = table.pop(slot)
        table[slot ^ 0x780 * 8] = (v, r)
    return table, {slot ^ 0x780 * 8 for slot in slots}


class Check(virthpt.Case):
    """virt-hpt check"""

    def test_kvm_guest_is_consistent(self):
        name = self.real_stream()
        self.compare("check-kvm-power9", self.run_ok("check", name))
        document = self.run_json("check", name)
        self.assertEqual(document["result"], "passed")
        self.assertEqual(document["findings"], [])
        self.assertEqual(document["counts"], {"note": 0, "warning": 0, "error": 0})
        self.assertEqual(document["pteg_bits"], 15)
        self.assertEqual(document["placement"], [
            {"base": 65536, "actual": 65536, "entries": 16460, "verifiable_bits": 8}])

    def test_record_is_checked_as_its_image(self):
        name = self.real_stream()
        self.run_ok("record", name)
        self.assertEqual(self.run_ok("check", f"{name}.hpt"), self.run_ok("check", name))

    def test_misplaced_entry_is_an_error(self):
        table, slots = misplaced(1)
        name = self.write("stream", streams.stream(table))
        self.compare("check-misplaced", self.run_ok("check", name, status=BAD))
        findings = self.run_json("check", name, status=BAD)["findings"]
        self.assertEqual([f["rule"] for f in findings], ["hash-placement"])
        self.assertEqual({f["slot"] for f in findings}, slots)
        self.assertEqual(findings[0]["severity"], "error")

    def test_findings_name_bytes_of_the_file(self):
        table, _ = misplaced(3)
        name = self.write("guest.save", streams.save_image(streams.stream(table)))
        content = (self.dir / name).read_bytes()
        document = self.run_json("check", name, status=BAD)
        self.assertEqual(document["offsets_in"], "image")
        for finding in document["findings"]:
            v, r = struct.unpack_from(">QQ", content, finding["offset"])
            self.assertEqual((f"{v:016x}", f"{r:016x}"), (finding["v"], finding["r"]))
            self.assertEqual(table[finding["slot"]], (v, r))

    def test_findings_name_bytes_of_a_record(self):
        table, _ = misplaced(3)
        name = self.write("guest.save", streams.save_image(streams.stream(table)))
        self.run_ok("record", name, status=WARNED)
        self.run_ok("extract", name, "-o", "table")
        content = (self.dir / "table").read_bytes()
        document = self.run_json("check", f"{name}.hpt", status=BAD)
        self.assertEqual(document["offsets_in"], "table")
        for finding in document["findings"]:
            self.assertEqual(struct.unpack_from(">QQ", content, finding["offset"]),
                             table[finding["slot"]])

    def test_repeated_findings_are_summarised(self):
        table, slots = misplaced(13)
        name = self.write("stream", streams.stream(table))
        for words, shown in [[], 10], [["--max", "2"], 2], [["--max=1000"], len(slots)]:
            with self.subTest(words):
                output = self.run_ok("check", *words, name, status=BAD)
                self.assertEqual(output.count("error: hash-placement: slot "), shown)
                summary = f"... and {len(slots) - shown} more of rule hash-placement\n"
                self.assertEqual(summary in output, shown < len(slots))
                document = self.run_json("check", *words, name, status=BAD)
                self.assertEqual(len(document["findings"]), shown)
                self.assertEqual(document["rules"], {"hash-placement": len(slots)})
                self.assertEqual(document["counts"]["error"], len(slots))

    def test_warnings_alone(self):
        table = {slot: (v & ~streams.BOLTED, r)
                 for slot, (v, r) in streams.good_table().items()}
        name = self.write("stream", streams.stream(table))
        output = self.run_ok("check", name, status=WARNED)
        self.assertTrue(output.startswith("warning: no-bolted: table: found "), output)
        self.assertTrue(output.endswith("consistent, with warnings\n"), output)
        finding, = self.run_json("check", name, status=WARNED)["findings"]
        self.assertEqual([finding[key] for key in ("slot", "offset", "v", "r")], [None] * 4)

    def test_quiet_prints_findings_only(self):
        good = self.write("good", streams.stream(streams.good_table()))
        self.assertEqual(self.run_ok("check", "-q", good), "")
        bad = self.write("bad", streams.stream(misplaced(1)[0]))
        self.assertEqual(len(self.run_ok("check", "-q", bad, status=BAD).splitlines()), 2)

    def test_radix_guest_has_nothing_to_check(self):
        name = self.write("radix", streams.stream(order=streams.NO_HPT))
        self.assertIn("nothing to check", self.run_ok("check", name))
        self.assertEqual(self.run_json("check", name)["result"], "not-checked")

    def test_malformed_image_was_checked_and_found_bad(self):
        name = self.write("cut", streams.stream(streams.good_table())[:-200])
        self.run_error("check", name, status=BAD, code="malformed")
        for command in ["inspect", name], ["entry-list", name], ["record", name], \
                ["extract", name, "-o", "out"]:
            with self.subTest(command):
                self.run_error(*command, status=virthpt.FAILED, code="malformed")

    def test_damaged_record_was_checked_and_found_bad(self):
        name = self.write("guest.save", streams.save_image(streams.stream(streams.good_table())))
        self.run_ok("record", name)
        payload = self.dir / f"{name}.hpt" / "table"
        content = bytearray(payload.read_bytes())
        content[-20] ^= 1
        payload.write_bytes(content)
        self.run_error("check", f"{name}.hpt", status=BAD)
        self.run_error("inspect", f"{name}.hpt", status=virthpt.FAILED)

    def test_each_rule_is_explained(self):
        rules = self.run_json("check", "--explain", "all")["rules"]
        names = [rule["rule"] for rule in rules]
        self.assertEqual(len(set(names)), len(names))
        whole = self.run_ok("check", "--explain", "all")
        parts = [self.run_ok("check", "--explain", name) for name in names]
        self.assertEqual(whole, "\n".join(parts))
        for rule, part in zip(rules, parts):
            with self.subTest(rule["rule"]):
                self.assertEqual(self.run_json("check", "--explain", rule["rule"])["rules"], [rule])
                self.assertEqual(list(rule), ["rule", "severity", "finding", "meaning", "guests",
                                              "advice", "source"])
                said = " ".join(part.split())
                for value in rule.values():
                    self.assertIn(value, said)
                self.assertLess(max(map(len, part.splitlines())), 80)

    def test_findings_have_rules_that_are_explained(self):
        name = self.write("bad", streams.stream(misplaced(1)[0]))
        finding, = self.run_json("check", name, status=BAD)["findings"]
        rule, = self.run_json("check", "--explain", finding["rule"])["rules"]
        self.assertEqual(rule["severity"], finding["severity"])

    def test_explain_stands_alone(self):
        for words in ["--explain", "no-rule"], ["--explain", ""], ["--explain", "all", "file"], \
                ["--explain"], []:
            with self.subTest(words):
                self.run_error("check", *words, status=virthpt.USAGE, code="usage")

    def test_plugged_memory_is_ram_where_the_domain_tells_its_address(self):
        dimm = 0x40000000
        slot, v, r = streams.entry(0x123 << 40, dimm + 0x10000)
        table = {**streams.good_table(), slot: (v, r)}
        plugged = [("ppc_spapr.ram", 32 * streams.MIB), ("dimm1", 256 * streams.MIB)]
        xml = b"<domain type='kvm'><name>guest</name><devices>%b</devices></domain>"
        device = (b"<memory model='dimm'><target><size unit='MiB'>256</size></target>"
                  b"<address type='dimm' slot='0' base='0x%x'/></memory>")
        for base, status in (dimm, GOOD), (dimm << 4, WARNED), (None, GOOD):
            with self.subTest(base):
                devices = b"" if base is None else device % base
                name = self.write("guest.save", streams.save_image(
                    streams.stream(table, blocks=plugged), xml % devices))
                rules = self.run_json("check", name, status=status)["rules"]
                self.assertEqual(rules, {"rpn-range": 1} if status else {})

    def test_max_is_a_number(self):
        for value in "", "0", "-1", "ten", "1e3", "1000001", "99999999999999999999":
            with self.subTest(value):
                self.run_error("check", f"--max={value}", "x", status=virthpt.USAGE, code="usage")


if __name__ == "__main__":
    virthpt.main()
