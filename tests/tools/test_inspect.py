# SPDX-License-Identifier: GPL-2.0-or-later
"""inspect shows what an image or a record holds, and nothing of it steers a terminal."""

import json
import os
import re

import streams
import virthpt


def without_date(output):
    """Output as if every record were made at the same time."""
    return re.sub(r"made \S+ \S+ \S+", "made DATE", output)


class Inspect(virthpt.Case):
    """virt-hpt inspect"""

    def test_stream_of_a_kvm_guest(self):
        name = self.real_stream()
        self.compare("inspect-kvm-power9", self.run_ok("inspect", name))

    def test_recorded_stream(self):
        name = self.real_stream()
        self.run_ok("record", name)
        output = without_date(self.run_ok("inspect", name))
        self.compare("inspect-recorded", output)
        self.assertEqual(without_date(self.run_ok("inspect", f"{name}.hpt")), output)

    def test_json_of_a_kvm_guest(self):
        name = self.real_stream()
        document = self.run_json("inspect", name)
        self.assertEqual(document["image"], {
            "file": name, "kind": "stream", "format": "raw", "size": 56899092,
            "machine": "pseries-7.2", "ram": 512 << 20, "uuid": None})
        self.assertEqual(document["mmu"], "hash")
        self.assertEqual(document["hpt"], {
            "order": 22, "bytes": 4 << 20, "slots": 262144, "ptegs": 32768, "valid": 16460,
            "bolted": 16392, "secondary": 0, "cache_inhibited": 6, "ptegs_used": 16446,
            "pteg_fullest": 2, "mapped": 16460 * 65536,
            "page_sizes": [{"base": 65536, "actual": 65536, "count": 16460}]})
        self.assertEqual(document["record"], {"state": "none"})

    def test_json_of_a_record(self):
        name = self.real_stream()
        before = self.run_json("inspect", name)
        self.run_ok("record", name)
        after = self.run_json("inspect", name)
        record = self.run_json("inspect", f"{name}.hpt")
        self.assertEqual(after["hpt"], before["hpt"])
        self.assertEqual(record["hpt"], before["hpt"])
        self.assertEqual(after["record"], record["record"])
        self.assertEqual(record["record"]["state"], "current")
        self.assertEqual(record["record"]["differing"], 0)

    def test_record_whose_image_is_gone(self):
        name = self.write("guest.save", streams.save_image(streams.stream(streams.good_table())))
        self.run_ok("record", name)
        (self.dir / name).unlink()
        document = self.run_json("inspect", f"{name}.hpt")
        self.assertEqual(document["record"]["state"], "image-missing")
        self.assertEqual(document["hpt"]["valid"], 16)
        self.assertIn("its image is not there", self.run_ok("inspect", f"{name}.hpt"))

    def test_record_of_another_or_a_changed_image(self):
        name = self.write("guest.save", streams.save_image(streams.stream(streams.good_table())))
        content = (self.dir / name).read_bytes()
        self.run_ok("record", name)
        times = (self.dir / name).stat()
        self.write(name, content.replace(b"<name>guest", b"<name>tseug"))
        os.utime(self.dir / name, ns=(times.st_atime_ns, times.st_mtime_ns))
        self.assertEqual(self.run_json("inspect", name)["record"]["state"], "damaged")
        self.assertIn("\nRecord:          damaged, made ", self.run_ok("inspect", name))
        (self.dir / name).unlink()
        self.write(name, streams.stream(streams.good_table(40)))
        self.assertEqual(self.run_json("inspect", name)["record"]["state"], "stale")
        self.assertIn("\nRecord:          stale, made ", self.run_ok("inspect", name))

    def test_record_of_no_year_that_we_know(self):
        name = self.write("guest.save", streams.save_image(streams.stream(streams.good_table())))
        self.run_ok("record", name)
        path = self.dir / f"{name}.hpt" / "snapshot.xml"
        for time in 253402300800, 0x7FFFFFFFFFFFFFFF:
            with self.subTest(time):
                path.write_text(re.sub(r"(?<=<creationTime>)\d+", str(time), path.read_text()))
                self.assertEqual(self.run_json("inspect", name)["record"]["creation_time"], time)
                self.assertIn(f"made @{time}\n", self.run_ok("inspect", name))

    def test_record_that_cannot_be_used(self):
        name = self.write("guest.save", streams.save_image(streams.stream(streams.good_table())))
        self.run_ok("record", name)
        (self.dir / f"{name}.hpt" / "snapshot.xml").write_text("<hptsnapshot/>")
        self.assertEqual(self.run_json("inspect", name)["record"]["state"], "unusable")
        self.assertIn("cannot be used: ", self.run_ok("inspect", name))

    def test_save_image(self):
        name = self.write("guest.save", streams.save_image(streams.stream(streams.good_table())))
        self.assertEqual(self.run_json("inspect", name)["image"]["kind"], "save-image")
        self.compare("inspect-save-image", self.run_ok("inspect", name))

    def test_more_ram_than_json_can_tell(self):
        name = self.write("much", streams.stream({}, ram=1 << 63))
        self.assertEqual(self.run_json("inspect", name)["image"]["ram"], (1 << 63) - 1)
        self.assertIn("pseries-7.2, 8 EiB RAM\n", self.run_ok("inspect", name))

    def test_every_page_size(self):
        table = {}
        for number, size in enumerate([(12, 12), *streams.ENCODINGS]):
            slot, v, r = streams.entry((number + 1) << 40, 0, size=size)
            table[slot] = (v, r)
        slot, v, r = streams.entry(99 << 40, 0)
        table[slot] = (v, r & ~0xF000 | 0x5000)
        name = self.write("sizes", streams.stream(table))
        document = self.run_json("inspect", name)
        sizes = {(1 << base, 1 << actual) for base, actual in [(12, 12), *streams.ENCODINGS]}
        self.assertEqual({(page["base"], page["actual"]) for page in
                          document["hpt"]["page_sizes"]}, sizes | {(None, None)})
        self.compare("inspect-page-sizes", self.run_ok("inspect", name))

    def test_radix_guest_has_no_hpt(self):
        name = self.write("radix", streams.stream(order=streams.NO_HPT))
        document = self.run_json("inspect", name)
        self.assertEqual(document["mmu"], "radix")
        self.assertNotIn("hpt", document)
        self.compare("inspect-radix", self.run_ok("inspect", name))

    def test_guest_in_firmware_has_an_empty_hpt(self):
        name = self.write("firmware", streams.stream({}))
        self.assertEqual(self.run_json("inspect", name)["hpt"]["valid"], 0)
        self.compare("inspect-firmware", self.run_ok("inspect", name))

    def test_suggested_command_is_quoted(self):
        content = streams.stream({})
        for name, quoted in [
                ("plain-1.2_x@y", "plain-1.2_x@y"),
                ("two words", "'two words'"),
                ("it's", "'it'\\''s'"),
                ("-c", "./-c"),
                ("$(reboot)", "'$(reboot)'"),
                ("bell\a'\\", "$'bell\\x07\\'\\\\'"),
                ("naïve", "'naïve'")]:
            with self.subTest(name):
                self.write(name, content)
                output = self.run_ok("inspect", "--", name)
                self.assertIn(f"(make one: virt-hpt record {quoted})\n", output)

    def test_names_do_not_steer_the_terminal(self):
        evil = "a\x1b[2Jb\nc\x07\x7f\u009b\u202e\u2028\u2029\ue000\U000e0041"
        names = [evil.encode(), evil.encode() + b"\xff\xfe"]
        contents = {
            "good": streams.stream({}),
            "machine": streams.stream({}, machine=names[1]),
            "block": streams.stream({}, blocks=[(names[1], streams.MIB)]),
            "not an image": b"\x1b[2J" * 100,
        }
        for name in names:
            for kind, content in contents.items():
                with self.subTest(name=name, kind=kind):
                    (self.dir / "x").write_bytes(content)
                    (self.dir / "x").rename(self.dir / name.decode("utf-8", "surrogateescape"))
                    for options in [], ["--json"]:
                        done = self.run_program("inspect", *options, name)
                        for line in (done.stdout + done.stderr).decode().split("\n"):
                            self.assertTrue(line.isprintable(), line)
                    if kind == "good":
                        self.assertEqual(json.loads(done.stdout)["path"],
                                         name.decode(errors="replace"))

    def test_quiet_leaves_out_the_hint(self):
        name = self.write("firmware", streams.stream({}))
        self.assertNotIn("virt-hpt record", self.run_ok("inspect", "-q", name))


if __name__ == "__main__":
    virthpt.main()
