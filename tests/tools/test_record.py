# SPDX-License-Identifier: GPL-2.0-or-later
"""record keeps what validate judges by; the exit code is the verdict."""

import os
import shutil
import subprocess

import streams
import virthpt
from virthpt import BAD, FAILED, USAGE, WARNED


class Record(virthpt.Case):
    """virt-hpt record and virt-hpt validate"""

    def small(self, table=None, name="guest.save"):
        """A small save image."""
        return self.write(name, streams.save_image(streams.stream(table or streams.good_table())))

    def facts(self, path, status):
        """{code: result} of validate."""
        document = self.run_json("validate", "--no-dry-run", path, status=status)
        self.assertIs(document["ram_covered"], False)
        self.assertIn("RAM contents are not covered.\n",
                      self.run_ok("validate", "--no-dry-run", path, status=status))
        return {fact["code"]: fact["result"] for fact in document["facts"]}

    def damage(self, name, at):
        """Inverts a bit of a file as a disk does it: nobody wrote, so the times stay."""
        path = self.dir / name
        before = path.stat()
        content = bytearray(path.read_bytes())
        content[at] ^= 1
        path.write_bytes(content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    def test_record_is_made_once(self):
        name = self.real_stream()
        document = self.run_json("record", name)
        self.assertEqual((document["path"], document["outcome"]), (name, "created"))
        self.assertEqual(document["record"], str((self.dir / f"{name}.hpt").resolve()))
        self.assertEqual(sorted(os.listdir(self.dir / f"{name}.hpt")),
                         ["snapshot.xml", "state", "table"])
        before = (self.dir / f"{name}.hpt").stat().st_ino
        self.assertEqual(self.run_json("record", name)["outcome"], "unchanged")
        self.assertIn("unchanged", self.run_ok("record", name))
        self.assertEqual((self.dir / f"{name}.hpt").stat().st_ino, before)

    def test_record_of_a_record_is_that_of_its_image(self):
        name = self.small()
        self.run_ok("record", name)
        self.assertEqual(self.run_json("record", f"{name}.hpt")["outcome"], "unchanged")
        (self.dir / name).unlink()
        self.run_error("record", f"{name}.hpt", status=FAILED, code="not-found")

    def test_stale_record_is_replaced(self):
        name = self.small()
        self.run_ok("record", name)
        (self.dir / name).unlink()
        self.write(name, streams.stream(streams.good_table(40)))
        document = self.run_json("record", name)
        self.assertEqual(document["outcome"], "replaced")
        self.assertEqual(self.run_json("inspect", f"{name}.hpt")["hpt"]["valid"], 40)

    def test_outcome_is_told(self):
        name = self.small()
        self.assertTrue(self.run_ok("record", name).endswith(f"{name}.hpt: recorded\n"))
        self.assertEqual(self.run_ok("record", "--quiet", name), "")

    def test_findings_are_kept_and_told(self):
        table = {slot: (v & ~streams.BOLTED, r)
                 for slot, (v, r) in streams.good_table().items()}
        name = self.small(table)
        self.assertIn("1 error or warning", self.run_ok("record", name, status=WARNED))
        self.assertEqual(self.run_json("record", name, status=WARNED)["counts"],
                         {"note": 0, "warning": 1, "error": 0})

    def test_radix_guest_is_recorded_as_such(self):
        name = self.write("radix", streams.stream(order=streams.NO_HPT))
        self.assertEqual(self.run_json("record", name)["mmu"], "radix")
        self.assertEqual(self.run_json("inspect", f"{name}.hpt")["mmu"], "radix")
        self.assertEqual(self.run_json("validate", name)["result"], "passed")

    def test_failed_write_leaves_nothing(self):
        name = self.small()
        done = subprocess.run(
            ["bash", "-c", 'ulimit -f 0; exec "$0" record "$1"',
             virthpt.PROGRAM, name], cwd=self.dir, capture_output=True, check=False)
        self.assertEqual(done.returncode, FAILED, done.stderr)
        self.assertTrue(done.stderr.startswith(b"virt-hpt: error: "), done.stderr)
        self.assertEqual(os.listdir(self.dir), [name])

    def test_current_record_passes(self):
        name = self.real_stream()
        self.run_ok("record", name)
        for path in name, f"{name}.hpt":
            with self.subTest(path):
                document = self.run_json("validate", path)
                self.assertEqual(document["result"], "passed")
                self.assertEqual(document["levels"], {"record": "passed", "table": "passed",
                                                      "dry-run": "not-checked",
                                                      "disks": "not-checked"})
                self.assertIn("image-current", self.facts(path, virthpt.GOOD))

    def test_levels_add_up(self):
        name = self.small()
        self.run_ok("record", name)
        for words in (["--level=record,table"], ["--level", "table", "--level", "record"]):
            with self.subTest(words):
                self.assertEqual(self.run_json("validate", *words, name)["levels"],
                                 {"record": "passed", "table": "passed", "dry-run": "not-checked",
                                  "disks": "not-checked"})
        # Where there is a record, it is always looked at
        for level, table in ("record", "not-checked"), ("table", "passed"):
            self.assertEqual(self.run_json("validate", "--level", level, name)["levels"],
                             {"record": "passed", "table": table, "dry-run": "not-checked",
                              "disks": "not-checked"})

    def test_wrong_levels(self):
        name = self.small()
        for words, wrong in ([["--level="], ""], [["--level=table,"], "table,"],
                             [["--level=host"], "host"],
                             [["--level=host,x", "--level=table"], "host,x"],
                             [["--level=table", "--level=x"], "x"]):
            with self.subTest(words):
                message = self.run_error("validate", *words, name, status=USAGE, code="usage")
                self.assertTrue(message.endswith(f"not '{wrong}'"), message)
        self.run_error("validate", "--level=table", "--no-dry-run", name, status=USAGE)

    def test_quiet_verdict(self):
        name = self.small()
        self.run_ok("record", name)
        self.assertEqual(self.run_ok("validate", "-q", "--no-dry-run", name),
                         "Verdict:         passed\nRAM contents are not covered.\n")

    def test_damaged_image_fails(self):
        name = self.real_stream()
        self.run_ok("record", name)
        self.damage(name, 20)
        for path in name, f"{name}.hpt":
            with self.subTest(path):
                self.assertEqual(self.run_json("validate", path, status=BAD)["result"], "failed")
        self.assertEqual(self.run_json("inspect", f"{name}.hpt")["record"]["state"], "damaged")

    def test_changed_entry_fails(self):
        name = self.small()
        self.run_ok("record", name)
        slot = self.run_lines("entry-list", name)[0]["slot"]
        content = (self.dir / name).read_bytes()
        v, r = streams.good_table()[slot]
        self.damage(name, content.index(v.to_bytes(8, "big") + r.to_bytes(8, "big")) + 15)
        facts = self.facts(name, BAD)
        self.assertEqual(facts["image-damaged"], "failed")
        self.assertEqual(facts["entries-changed"], "failed")

    def test_damaged_payload_fails(self):
        for payload in "table", "state", "snapshot.xml":
            with self.subTest(payload):
                name = self.small(name=f"{payload}.save")
                self.run_ok("record", name)
                content = (self.dir / f"{name}.hpt" / payload).read_bytes()
                at = content.index(b'"sha256">') + 9 if payload == "snapshot.xml" else 30
                self.damage(f"{name}.hpt/{payload}", at)
                for path in name, f"{name}.hpt":
                    self.assertEqual(self.run_program("validate", path).returncode, BAD)

    def test_missing_payload_fails(self):
        name = self.small()
        self.run_ok("record", name)
        (self.dir / f"{name}.hpt" / "table").unlink()
        self.assertIn(self.run_program("validate", name).returncode, (FAILED, BAD))

    def test_bad_table_fails_with_or_without_a_record(self):
        table = streams.good_table()
        slot = min(table)
        table[slot ^ 0x780 * 8] = table.pop(slot)
        name = self.small(table)
        self.assertEqual(self.run_program("validate", name).returncode, BAD)

    def test_known_findings_do_not_refuse(self):
        table = streams.good_table()
        slot = min(table)
        table[slot ^ 0x780 * 8] = table.pop(slot)
        name = self.small(table)
        self.run_ok("record", name, status=WARNED)
        self.assertNotEqual(self.run_program("validate", name).returncode, BAD)

    def test_malformed_image_fails(self):
        name = self.write("cut", streams.stream(streams.good_table())[:-200])
        self.assertEqual(self.run_program("validate", name).returncode, BAD)

    def test_record_moves_with_its_image(self):
        name = self.small()
        self.run_ok("record", name)
        (self.dir / "elsewhere").mkdir()
        shutil.move(self.dir / name, self.dir / "elsewhere" / name)
        shutil.move(self.dir / f"{name}.hpt", self.dir / "elsewhere" / f"{name}.hpt")
        self.assertEqual(self.run_json("validate", "--no-dry-run", f"elsewhere/{name}")["result"], "passed")

    def test_nothing_there(self):
        for command in "record", "validate":
            with self.subTest(command):
                self.run_error(command, "absent", status=FAILED, code="not-found")


if __name__ == "__main__":
    virthpt.main()
