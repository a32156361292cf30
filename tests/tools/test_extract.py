# SPDX-License-Identifier: GPL-2.0-or-later
"""extract writes the same table in every encoding, whole or not at all."""

import os
import pty
import socket
import stat
import struct
import subprocess

import streams
import virthpt
from virthpt import FAILED, USAGE


class Extract(virthpt.Case):
    """virt-hpt extract"""

    def small(self, name="guest.save"):
        """A small save image."""
        return self.write(name, streams.save_image(streams.stream(streams.good_table())))

    def extracted(self, *words):
        """What extract writes."""
        self.run_ok("extract", "-o", "out", *words)
        content = (self.dir / "out").read_bytes()
        (self.dir / "out").unlink()
        return content

    def test_all_formats_hold_the_same_table(self):
        name = self.real_stream()
        qemu = self.extracted(name)
        self.assertEqual(qemu, self.extracted(name, "--format=qemu"))
        self.assertEqual(struct.unpack_from(">II", qemu), (22, 0))
        table = streams.read_records(qemu[8:])
        self.assertEqual(len(table), 16460)
        self.assertEqual(sum(bool(v & streams.BOLTED) for v, _ in table.values()), 16392)
        for form, little in ("kvm-le", True), ("kvm-be", False):
            with self.subTest(form):
                content = self.extracted(name, "--format", form)
                self.assertEqual(streams.read_records(content, little, end_marker=False), table)

    def test_canonical_form(self):
        table = streams.good_table()
        name = self.write("stream", streams.stream(table))
        self.assertEqual(self.extracted(name),
                         struct.pack(">II", 18, 0) + streams.records(table))

    def test_record_gives_the_same(self):
        name = self.real_stream()
        self.run_ok("record", name)
        self.assertEqual(self.extracted(f"{name}.hpt"), self.extracted(name))

    def test_standard_output(self):
        name = self.small()
        done = self.run_program("extract", name, "-o", "-")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertEqual(done.stdout, self.extracted(name))

    def test_image_is_not_appended_to(self):
        name = self.small()
        self.run_ok("record", name)
        before = (self.dir / name).read_bytes()
        for source in name, f"{name}.hpt":
            with self.subTest(source), open(self.dir / name, "ab") as image:
                done = self.run_program("extract", source, "-o", "-", stdout=image)
                self.assertEqual(done.returncode, FAILED)
                self.assertIn(b"standard output is the image", done.stderr)
                self.assertEqual((self.dir / name).read_bytes(), before)

    def test_terminal_is_refused(self):
        name = self.small()
        main, side = pty.openpty()
        done = self.run_program("extract", name, "-o", "-", stdout=side)
        os.close(side)
        os.close(main)
        self.assertEqual(done.returncode, USAGE)
        self.assertIn(b"terminal", done.stderr)

    def test_file_is_private_and_alone(self):
        name = self.small()
        os.umask(0o022)
        self.run_ok("extract", name, "-o", "out")
        self.assertEqual(stat.S_IMODE((self.dir / "out").stat().st_mode), 0o600)
        self.assertEqual(sorted(os.listdir(self.dir)), ["guest.save", "out"])

    def test_outcome(self):
        name = self.small()
        document = self.run_json("extract", name, "-o", "out")
        self.assertEqual(document["output"], "out")
        self.assertEqual(document["size"], (self.dir / "out").stat().st_size)
        self.assertEqual(self.run_ok("extract", "-q", name, "-o", "out2"), "")

    def test_existing_file_is_kept(self):
        name = self.small()
        self.write("out", b"precious")
        self.run_error("extract", name, "-o", "out", status=FAILED, code="exists")
        self.assertEqual((self.dir / "out").read_bytes(), b"precious")
        self.run_ok("extract", name, "-o", "out", "--force")
        self.assertNotEqual((self.dir / "out").read_bytes(), b"precious")

    def test_only_regular_files_are_replaced(self):
        name = self.small()
        self.write("target", b"precious")
        (self.dir / "link").symlink_to("target")
        (self.dir / "nowhere").symlink_to("absent")
        (self.dir / "dir").mkdir()
        os.mkfifo(self.dir / "fifo")
        # No device of the machine's: root could replace it
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.dir / "socket"))
        for out in "link", "nowhere", "dir", "fifo", "socket":
            for force in [], ["--force"]:
                with self.subTest(out=out, force=force):
                    message = self.run_error("extract", name, "-o", out, *force, code="exists")
                    self.assertIn("is not a regular file, and is not replaced", message)
        self.assertEqual((self.dir / "target").read_bytes(), b"precious")
        self.assertTrue((self.dir / "link").is_symlink())

    def test_image_and_record_are_never_replaced(self):
        name = self.small()
        content = (self.dir / name).read_bytes()
        self.run_ok("record", name)
        table = (self.dir / f"{name}.hpt" / "table").read_bytes()
        for source in name, f"{name}.hpt":
            for out in name, f"{name}.hpt/table":
                with self.subTest(source=source, out=out):
                    self.run_error("extract", "-f", source, "-o", out, code="exists")
        self.assertEqual((self.dir / name).read_bytes(), content)
        self.assertEqual((self.dir / f"{name}.hpt" / "table").read_bytes(), table)

    def test_directory_that_is_not_there(self):
        name = self.small()
        for out in "no/out", "out/", "":
            with self.subTest(out):
                self.run_error("extract", name, "-o", out, code="io")

    def test_failed_write_leaves_nothing(self):
        name = self.real_stream()
        done = subprocess.run(
            ["bash", "-c", 'ulimit -f 64; exec "$0" extract "$1" -o out',
             virthpt.PROGRAM, name], cwd=self.dir, capture_output=True, check=False)
        self.assertEqual(done.returncode, FAILED, done.stderr)
        self.assertIn(b"File too large", done.stderr)
        self.assertEqual(os.listdir(self.dir), [name])

    def test_radix_guest_has_nothing_to_extract(self):
        name = self.write("radix", streams.stream(order=streams.NO_HPT))
        message = self.run_error("extract", name, "-o", "out", status=FAILED)
        self.assertIn("nothing to extract", message)
        self.assertFalse((self.dir / "out").exists())

    def test_wrong_usage(self):
        name = self.small()
        for words in [name], [name, "-o", "out", "--format=raw"], [name, "-o"]:
            with self.subTest(words):
                self.run_error("extract", *words, status=USAGE, code="usage")
        self.run_json("extract", name, "-o", "-", status=USAGE)


if __name__ == "__main__":
    virthpt.main()
