# SPDX-License-Identifier: GPL-2.0-or-later
"""diff tells what changed between two tables; apply does it again."""

import os
import struct
import subprocess

import streams
import virthpt
from virthpt import BAD, FAILED, GOOD, UNSUPPORTED, USAGE, WARNED

R, C = 0x100, 0x80


def changed(table):
    """Another table, and how many slots of each kind differ."""
    table = dict(table)
    first, second, third, fourth, *_ = sorted(table)
    del table[first]
    table[second] = (table[second][0], table[second][1] ^ 0x10000)
    table[third] = (table[third][0], table[third][1] ^ R)
    table[fourth] = (table[fourth][0], table[fourth][1] ^ R ^ C)
    slot, v, r = streams.entry(0x77 << 40, 0)
    table[slot] = (v, r)
    return table, {"added": 1, "removed": 1, "changed": 1, "rc_only": 2}


def canonical(table, order=18):
    """The bytes of a table's file."""
    return struct.pack(">II", order, 0) + streams.records(table)


def read_delta(data):
    """(dict slot -> (V, R), list of slots to clear) of a delta."""
    order, zero = struct.unpack_from(">II", data)
    assert (order, zero) == (18, 0)
    put, gone, at = {}, [], 8
    while True:
        slot, valid, invalid = struct.unpack_from(">IHH", data, at)
        at += 8
        if (slot, valid, invalid) == (0, 0, 0):
            assert at == len(data)
            return put, gone
        for i in range(valid):
            put[slot + i] = struct.unpack_from(">QQ", data, at)
            at += 16
        gone += range(slot + valid, slot + valid + invalid)


class Case(virthpt.Case):
    """A case with two tables."""

    def setUp(self):
        super().setUp()
        self.before = streams.good_table()
        self.after, self.counts = changed(self.before)
        self.write("a", streams.stream(self.before))
        self.write("b", streams.stream(self.after))


class Diff(Case):
    """virt-hpt diff"""

    def test_kinds(self):
        document = self.run_json("diff", "a", "b", status=BAD)
        self.assertEqual({kind: document[kind] for kind in self.counts}, self.counts)
        self.assertEqual(document["result"], "different")
        self.assertEqual([(side["path"], side["mmu"], side["order"])
                          for side in (document["before"], document["after"])],
                         [("a", "hash", 18), ("b", "hash", 18)])
        found = document["differences"]
        self.assertEqual([one["slot"] for one in found], sorted(
            slot for slot in self.before.keys() | self.after.keys()
            if self.before.get(slot) != self.after.get(slot)))
        for one in found:
            for side, table in ("before", self.before), ("after", self.after):
                entry = table.get(one["slot"])
                self.assertEqual(one[side], entry and {"v": f"{entry[0]:016x}",
                                                       "r": f"{entry[1]:016x}"})
        self.assertEqual(sorted(one["kind"] for one in found),
                         ["added", "changed", "rc_only", "rc_only", "removed"])

    def test_text(self):
        output = self.run_ok("diff", "a", "b", status=BAD)
        for line in ("Added:           1", "Removed:         1", "Changed:         1",
                     "R/C only:        2", "Verdict:         different", "Order:           18"):
            self.assertIn(line + "\n", output)
        slot = sorted(self.before)[1]
        (v, r), (w, s) = self.before[slot], self.after[slot]
        self.assertIn(f"{slot}  V {v:016x} R {r:016x}  ->  V {w:016x} R {s:016x}\n", output)
        self.assertEqual(len(self.run_ok("diff", "-q", "a", "b", status=BAD).splitlines()), 5)

    def test_equal(self):
        for other in "a", "again":
            self.write("again", streams.stream(self.before, ram=64 * streams.MIB))
            with self.subTest(other):
                self.assertIn("Verdict:         equal\n", self.run_ok("diff", "a", other))
                document = self.run_json("diff", "a", other)
                self.assertEqual(document["result"], "equal")
                self.assertEqual([document[kind] for kind in self.counts], [0] * 4)
                self.assertEqual(self.run_ok("diff", "-q", "a", other), "")

    def test_reference_and_change_bits_alone(self):
        table = {slot: (v, r ^ C) for slot, (v, r) in self.before.items()}
        self.write("touched", streams.stream(table))
        self.assertEqual(self.run_json("diff", "a", "touched", status=BAD)["rc_only"], len(table))
        document = self.run_json("diff", "--ignore-rc", "a", "touched")
        self.assertEqual((document["result"], document["rc_only"]), ("equal", len(table)))
        self.run_ok("diff", "--ignore-rc", "a", "b", status=BAD)

    def test_private_bits_make_no_difference(self):
        table = {slot: (v | 0x60, r) for slot, (v, r) in self.before.items()}
        self.write("kernel", streams.stream(table))
        self.run_ok("diff", "a", "kernel")

    def test_images_records_and_tables_compare(self):
        self.write("guest.save", streams.save_image(streams.stream(self.before)))
        self.run_ok("record", "guest.save")
        self.run_ok("extract", "guest.save", "-o", "table")
        sides = "a", "guest.save", "guest.save.hpt", "table"
        for before in sides:
            for after in sides:
                with self.subTest(before=before, after=after):
                    self.run_ok("diff", before, after)
            self.run_ok("diff", before, "b", status=BAD)

    def test_output_is_bounded(self):
        count = 300
        self.write("many", streams.stream(streams.good_table(count)))
        for words, shown in ([], 10), (["--max=3"], 3), (["--max=0"], 0), (["--max=1000"], count):
            with self.subTest(words):
                self.write("none", streams.stream({}))
                output = self.run_ok("diff", *words, "none", "many", status=BAD)
                listed = [line for line in output.splitlines() if line.startswith("added ")]
                self.assertEqual(len(listed), shown)
                self.assertEqual(f"... and {count - shown} more" in output, shown < count)
                document = self.run_json("diff", *words, "none", "many", status=BAD)
                self.assertEqual((len(document["differences"]), document["added"]), (shown, count))

    def test_orders_differ(self):
        self.write("large", streams.stream(streams.good_table(order=19), order=19))
        self.assertIn("18, 19: slots cannot be compared",
                      self.run_ok("diff", "a", "large", status=BAD))
        document = self.run_json("diff", "a", "large", status=BAD)
        self.assertEqual([document[kind] for kind in self.counts], [None] * 4)
        self.assertEqual((document["before"]["order"], document["after"]["order"]), (18, 19))
        self.run_error("diff", "a", "large", "--delta", "out", status=UNSUPPORTED,
                       code="unsupported")
        self.assertFalse((self.dir / "out").exists())

    def test_radix_guests(self):
        self.write("radix", streams.stream(order=streams.NO_HPT))
        self.assertEqual(self.run_json("diff", "radix", "radix")["result"], "equal")
        document = self.run_json("diff", "a", "radix", status=BAD)
        self.assertEqual((document["after"]["mmu"], document["after"]["order"]), ("radix", None))
        self.assertIn("hash, radix", self.run_ok("diff", "a", "radix", status=BAD))
        for names in ("radix", "radix"), ("radix", "a"):
            self.run_error("diff", *names, "--delta=out", status=UNSUPPORTED)

    def test_delta(self):
        document = self.run_json("diff", "a", "b", "--delta", "out", status=BAD)
        data = (self.dir / "out").read_bytes()
        self.assertEqual(document["delta"], {"path": "out", "size": len(data)})
        put, gone = read_delta(data)
        self.assertEqual(put, {slot: entry for slot, entry in self.after.items()
                               if self.before.get(slot) != entry})
        self.assertEqual(gone, sorted(self.before.keys() - self.after.keys()))

    def test_delta_of_equal_tables_is_empty(self):
        self.run_ok("diff", "a", "a", "--delta", "out")
        self.assertEqual((self.dir / "out").read_bytes(), struct.pack(">II", 18, 0) + bytes(8))

    def test_delta_replaces_nothing(self):
        self.write("guest.save", streams.save_image(streams.stream(self.before)))
        self.run_ok("record", "guest.save")
        self.write("out", b"precious")
        self.run_error("diff", "a", "b", "--delta=out", code="exists")
        self.assertEqual((self.dir / "out").read_bytes(), b"precious")
        for out in "guest.save", "guest.save.hpt/table":
            content = (self.dir / out).read_bytes()
            for sides in ("guest.save", "b"), ("b", "guest.save"):
                with self.subTest(out=out, sides=sides):
                    self.run_error("diff", *sides, "-f", "--delta", out, code="exists")
                    self.assertEqual((self.dir / out).read_bytes(), content)
        self.run_ok("diff", "a", "b", "-f", "--delta=out", status=BAD)

    def test_inputs_that_cannot_be_read(self):
        self.write("cut", streams.stream(self.before)[:-200])
        for names in ("a", "absent"), ("absent", "a"), ("cut", "a"), ("a", "cut"):
            with self.subTest(names):
                self.run_error("diff", *names, status=FAILED)

    def test_wrong_usage(self):
        for words in ["a"], ["a", "b", "c"], ["--max=-1", "a", "b"], ["--max=x", "a", "b"], \
                ["a", "b", "--delta=-"], ["--max=1000001", "a", "b"]:
            with self.subTest(words):
                self.run_error("diff", *words, status=USAGE, code="usage")


class Apply(Case):
    """virt-hpt apply"""

    def delta(self, before="a", after="b", name="delta"):
        """What leads from one to the other."""
        self.run_program("diff", "-f", before, after, "--delta", name)
        return name

    def test_gives_the_table_back(self):
        for before, after, table in ("a", "b", self.after), ("b", "a", self.before), \
                ("a", "a", self.before):
            with self.subTest(before=before, after=after):
                delta = self.delta(before, after)
                self.run_ok("apply", "-f", before, delta, "-o", "out")
                self.assertEqual((self.dir / "out").read_bytes(), canonical(table))
                self.run_ok("diff", "out", after)

    def test_real_table(self):
        name = self.real_stream()
        self.run_ok("extract", name, "-o", "real")
        content = (self.dir / "real").read_bytes()
        table = streams.read_records(content[8:])
        for i, slot in enumerate(sorted(table)):
            if i % 5 == 0:
                del table[slot]
            elif i % 7 == 0:
                table[slot] = (table[slot][0], table[slot][1] ^ C)
        self.write("other", canonical(table, order=22))
        for before, after in (name, "other"), ("other", name):
            with self.subTest(before):
                delta = self.delta(before, after)
                document = self.run_json("apply", "-f", before, delta, "-o", "out")
                self.assertEqual((document["same"], document["absent"]), (0, 0))
                self.run_ok("diff", "out", after)
                self.run_ok("extract", "-f", after, "-o", "wanted")
                self.assertEqual((self.dir / "out").read_bytes(),
                                 (self.dir / "wanted").read_bytes())

    def test_images_records_and_tables_are_bases(self):
        self.write("guest.save", streams.save_image(streams.stream(self.before)))
        self.run_ok("record", "guest.save")
        self.run_ok("extract", "guest.save", "-o", "table")
        delta = self.delta()
        for base in "guest.save", "guest.save.hpt", "table":
            with self.subTest(base):
                self.run_ok("apply", "-f", base, delta, "-o", "out")
                self.assertEqual((self.dir / "out").read_bytes(), canonical(self.after))

    def test_outcome(self):
        delta = self.delta()
        document = self.run_json("apply", "a", delta, "-o", "out")
        self.assertEqual({key: document[key] for key in ("base", "delta", "output", "order", "size",
                                                         "set", "cleared", "same", "absent")},
                         {"base": "a", "delta": delta, "output": "out", "order": 18,
                          "size": (self.dir / "out").stat().st_size,
                          "set": 4, "cleared": 1, "same": 0, "absent": 0})
        self.assertIn("4 entries put, 1 removed", self.run_ok("apply", "-f", "a", delta, "-o", "out"))
        self.assertEqual(self.run_ok("apply", "-qf", "a", delta, "-o", "out"), "")

    def test_another_base_is_noticed(self):
        delta = self.delta()
        document = self.run_json("apply", "b", delta, "-o", "out", status=WARNED)
        self.assertEqual((document["same"], document["absent"]), (4, 1))
        done = self.run_program("apply", "-f", "b", delta, "-o", "out")
        self.assertEqual(done.returncode, WARNED)
        self.assertRegex(done.stderr.decode(), "^virt-hpt: warning: 5 of 5 slots in the delta were ")
        self.assertEqual((self.dir / "out").read_bytes(), canonical(self.after))

    def test_pass_of_a_migration(self):
        """Private bits, slots that are empty already, and an order of its own."""
        slots = sorted(self.before)
        v, r = self.before[slots[2]]
        records = b""
        for slot, valid, invalid in (slots[1], 0, 1), (slots[2], 1, 0), (7, 0, 1), (slots[0], 0, 1):
            records += struct.pack(">IHH", slot, valid, invalid)
            records += struct.pack(">QQ", v | 0x40, r ^ R) if valid else b""
        self.write("pass", struct.pack(">II", 18, 0) + records + bytes(8))
        self.assertNotIn(7, self.before)
        document = self.run_json("apply", "a", "pass", "-o", "out", status=WARNED)
        self.assertEqual([document[key] for key in ("set", "cleared", "same", "absent")],
                         [1, 2, 0, 1])
        table = dict(self.before)
        del table[slots[0]], table[slots[1]]
        table[slots[2]] = (v, r ^ R)
        self.assertEqual((self.dir / "out").read_bytes(), canonical(table))

    def test_malformed_delta_is_found_bad(self):
        good = (self.dir / self.delta()).read_bytes()
        for what, content in {
                "cut": good[:-1], "more": good + b"\0", "empty": b"", "word": good[:7] + b"\1" + good[8:],
                "beyond": good[:8] + struct.pack(">IHH", 0x3fff, 0, 2) + bytes(8)}.items():
            with self.subTest(what):
                self.write("bad", content)
                message = self.run_error("apply", "a", "bad", "-o", "out", status=BAD,
                                         code="malformed")
                self.assertTrue(message.startswith("'bad': "), message)
                self.assertFalse((self.dir / "out").exists())

    def test_delta_of_another_order(self):
        for name, order in ("x", 19), ("y", 19):
            self.write(name, canonical(streams.good_table(16 if name == "x" else 8, order), order))
        delta = self.delta("x", "y")
        message = self.run_error("apply", "a", delta, "-o", "out", status=FAILED, code="failed")
        self.assertIn("order 19, expected 18", message)

    def test_image_is_no_delta(self):
        self.run_error("apply", "a", "b", "-o", "out", status=BAD, code="malformed")

    def test_only_files_are_opened(self):
        os.mkfifo(self.dir / "fifo")
        delta = self.delta()
        for words in ("apply", "a", "fifo", "-o", "out"), ("apply", "fifo", delta, "-o", "out"), \
                ("diff", "a", "fifo"), ("diff", "/dev/null", "a"):
            with self.subTest(words):
                self.run_error(*words, status=UNSUPPORTED, code="unsupported")

    def test_nothing_is_replaced(self):
        delta = self.delta()
        content = (self.dir / delta).read_bytes()
        self.write("out", b"precious")
        self.run_error("apply", "a", delta, "-o", "out", code="exists")
        self.assertEqual((self.dir / "out").read_bytes(), b"precious")
        self.run_ok("extract", "a", "-o", "table")
        for base, out in ("a", delta), ("a", "a"), ("table", "table"):
            before = (self.dir / out).read_bytes()
            with self.subTest(base=base, out=out):
                self.run_error("apply", "-f", base, delta, "-o", out, code="exists")
                self.assertEqual((self.dir / out).read_bytes(), before)
        self.assertEqual((self.dir / delta).read_bytes(), content)

    def test_standard_output(self):
        done = self.run_program("apply", "a", self.delta(), "-o", "-")
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (GOOD, canonical(self.after), b""))

    def test_delta_is_not_appended_to(self):
        delta = self.delta()
        content = (self.dir / delta).read_bytes()
        with open(self.dir / delta, "ab") as out:
            done = self.run_program("apply", "a", delta, "-o", "-", stdout=out)
        self.assertEqual(done.returncode, FAILED)
        self.assertEqual((self.dir / delta).read_bytes(), content)

    def test_failed_write_leaves_nothing(self):
        name = self.real_stream()
        self.write("nothing", struct.pack(">II", 22, 0) + bytes(8))
        before = sorted(os.listdir(self.dir))
        done = subprocess.run(
            ["bash", "-c", 'ulimit -f 64; exec "$0" apply "$1" nothing -o out',
             virthpt.PROGRAM, name], cwd=self.dir, capture_output=True, check=False)
        self.assertEqual(done.returncode, FAILED, done.stderr)
        self.assertIn(b"File too large", done.stderr)
        self.assertEqual(sorted(os.listdir(self.dir)), before)

    def test_radix_guest_has_nothing_to_apply_to(self):
        self.write("radix", streams.stream(order=streams.NO_HPT))
        message = self.run_error("apply", "radix", self.delta(), "-o", "out", code="not-found")
        self.assertIn("nothing to apply a delta to", message)

    def test_wrong_usage(self):
        for words in ["a", "b"], ["a", "-o", "out"], ["a", "b", "c", "-o", "out"]:
            with self.subTest(words):
                self.run_error("apply", *words, status=USAGE, code="usage")
        self.run_json("apply", "a", self.delta(), "-o", "-", status=USAGE)


class Tables(Case):
    """Files that hold a table alone, where commands take a FILE"""

    def test_table_stands_for_its_image(self):
        name = self.real_stream()
        self.run_ok("extract", name, "-o", "table")
        self.assertEqual(self.run_ok("entry-list", "table"), self.run_ok("entry-list", name))
        self.run_ok("extract", "table", "-o", "again")
        self.assertEqual((self.dir / "again").read_bytes(), (self.dir / "table").read_bytes())
        self.run_ok("check", "table")
        said, wanted = (self.run_json("inspect", path) for path in ("table", name))
        self.assertEqual(said["hpt"], wanted["hpt"])
        self.assertEqual(said["image"], {"file": "table", "kind": "table", "format": "canonical",
                                         "size": (self.dir / "table").stat().st_size,
                                         "machine": None, "ram": None})
        said, wanted = (self.run_ok("inspect", path) for path in ("table", name))
        self.assertRegex(said, r"\AImage: +table \(an HPT alone, .*\)\nMMU: +hash\n\n")
        self.assertEqual(said.split("\n\n")[1:], wanted.split("\n\n")[1:])

    def test_table_is_neither_recorded_nor_validated(self):
        self.write("table", canonical(self.before))
        for command in "record", "validate":
            with self.subTest(command):
                self.assertIn(self.run_program(command, "table").returncode, (FAILED, BAD))
        self.assertEqual(sorted(os.listdir(self.dir)), ["a", "b", "table"])

    def test_findings_name_bytes_of_the_table(self):
        slot = max(self.before) + 0x80 * 8
        self.before[slot] = self.before.pop(max(self.before))
        content = canonical(self.before)
        self.write("table", content)
        document = self.run_json("check", "table", status=BAD)
        self.assertEqual(document["offsets_in"], "table")
        finding, = document["findings"]
        self.assertEqual(content[finding["offset"]:finding["offset"] + 16],
                         struct.pack(">QQ", *self.before[slot]))

    def test_only_the_canonical_form_is_a_table(self):
        self.run_ok("diff", "b", "a", "--delta=delta", status=BAD)
        for content in (canonical(self.before)[:-1], canonical(self.before) + b"\0",
                        (self.dir / "delta").read_bytes()):
            self.write("bad", content)
            self.run_error("check", "bad", status=BAD, code="malformed")
            self.run_error("entry-list", "bad", status=FAILED, code="malformed")

    def test_order_is_bounded(self):
        self.write("huge", struct.pack(">II", 46, 0) + bytes(8))
        self.run_error("check", "huge", status=FAILED, code="limit")


if __name__ == "__main__":
    virthpt.main()
