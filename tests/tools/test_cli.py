# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: options, exit codes, help; and output that cannot be written."""

import json
import os
import pty
import re
import socket
import subprocess

import streams
import virthpt
from virthpt import FAILED, GOOD, UNSUPPORTED, USAGE

COMMANDS = {"inspect": ["FILE"], "check": ["[FILE]"], "entry-list": ["FILE"], "decode": ["V", "R"],
            "diff": ["A", "B"], "apply": ["BASE", "DELTA"],
            "extract": ["FILE"], "record": ["FILE"], "validate": ["FILE"]}

SNAPSHOT_COMMANDS = {"snapshot-create-as": ["DOMAIN", "[NAME]"], "snapshot-list": ["DOMAIN"],
                     **{f"snapshot-{verb}": ["DOMAIN", "[NAME]"] for verb in
                        ("info", "dumpxml", "validate", "revert", "delete")}}


class CommandLine(virthpt.Case):
    """virt-hpt"""

    def small(self):
        """A small image."""
        return self.write("image", streams.stream(streams.good_table()))

    def test_help_of_each_command(self):
        for command, operands in (COMMANDS | SNAPSHOT_COMMANDS).items():
            with self.subTest(command):
                text = self.run_ok(command, "--help")
                self.assertRegex(text, rf"^Usage:\n  virt-hpt {command} .*"
                                       rf"{re.escape(' '.join(operands))}\n")
                for option in "--connect=URI", "--json", "--quiet", "--help", "--version":
                    self.assertIn(option, text)
                self.assertEqual(self.run_ok("help", command), text)
                self.assertEqual(self.run_ok("help", "-q", command), text)
                self.assertEqual(self.run_ok(command, "-h"), text)
                self.assertEqual(self.run_ok(command, "some", "file", "--help"), text)

    def test_main_help_lists_every_command(self):
        text = self.run_ok("--help")
        self.assertEqual(re.findall(r"^  ([a-z][a-z-]+) +[A-Z]", text, re.MULTILINE),
                         [*COMMANDS, *SNAPSHOT_COMMANDS, "help"])
        for words in (["help"], ["-h"], ["help", "help"], ["help", "--help"], ["--help", "inspect"],
                      ["--version", "--help"], ["help", "-h", "inspect"]):
            with self.subTest(words):
                self.assertEqual(self.run_ok(*words), text)

    def test_version(self):
        for words in (["--version"], ["-V"], ["inspect", "--version"], ["help", "-V"]):
            with self.subTest(words):
                self.assertRegex(self.run_ok(*words), r"^virt-hpt \(libvirt-hpt\) \d+\.\d+\.\d+\n$")

    def test_options_stand_anywhere(self):
        name = self.small()
        expected = self.run_ok("inspect", "--json", name)
        for words in (["--json", "inspect", name], ["inspect", name, "--json"],
                      ["-q", "inspect", name, "--json"], ["-c", "test:///", "--json", "inspect", name],
                      ["--connect=test:///", "inspect", "-c", "qemu:///session", name, "--json"],
                      ["inspect", "--json", "--", name], ["--json", "--", "inspect", name]):
            with self.subTest(words):
                self.assertEqual(self.run_ok(*words), expected)

    def test_options_reach_commands_that_need_libvirt(self):
        self.forget_state("6695eb01-f6a4-8304-79aa-97f2502e193f")
        connect, operands = ["-c", "test:///default"], ["snapshot-list", "test"]
        for before, after in (connect, []), ([], connect):
            with self.subTest(before=before):
                self.assertRegex(self.run_ok(*before, *operands, *after), r"^Name +Creation time ")
        self.assertEqual(self.run_ok("-q", *connect, *operands), "")
        self.assertEqual(self.run_ok("-q", *operands, *connect), "")
        self.assertEqual(self.run_ok("--json", *connect, *operands),
                         self.run_ok(*operands, "--json", *connect))
        self.assertEqual(self.run_json(*connect, *operands)["snapshots"], [])
        self.assertIn("'d'", self.run_error(*connect, "snapshot-list", "d"))

    def test_operand_that_looks_like_an_option(self):
        self.write("--json", streams.stream({}))
        self.assertIn("Image:           --json ", self.run_ok("inspect", "--", "--json"))

    def test_connection_is_accepted_by_every_command(self):
        name = self.small()
        for command, words in [("inspect", [name]), ("check", [name]), ("entry-list", [name]),
                               ("decode", ["1", "0"]), ("extract", [name, "-o", "out"]),
                               ("diff", [name, name, "--delta=delta"]),
                               ("apply", [name, "delta", "-o", "out2"]),
                               ("record", [name]), ("validate", [name])]:
            with self.subTest(command):
                self.run_ok(command, "-c", "nowhere://x", *words)

    def test_wrong_usage(self):
        for words in ([], ["frobnicate"], ["--frobnicate"], ["inspect"], ["inspect", "a", "b"],
                      ["inspect", "--frobnicate", "a"], ["inspect", "-x", "a"], ["-c"],
                      ["inspect", "a", "-c"], ["help", "frobnicate"], ["help", "-x"],
                      ["help", "--frobnicate"], ["help", "inspect", "check"],
                      ["inspect", "--quiet=yes", "a"], ["--quiet=yes", "inspect", "a"],
                      ["extract", "--force=no", "-o", "x", "a"], ["INSPECT", "a"], [""],
                      ["snapshot-revert", "--recover", "x", "y"],
                      ["snapshot-revert", "--recover", "x", "--prove"],
                      ["snapshot-revert", "--recover", "x", "--paused"]):
            with self.subTest(words):
                done = self.run_program(*words)
                self.assertEqual((done.returncode, done.stdout), (USAGE, b""))
                self.assertRegex(done.stderr.decode(),
                                 r"^virt-hpt: error: .*\nTry 'virt-hpt ([a-z-]+ )?--help'\.\n$")

    def test_wrong_usage_in_json(self):
        for words in (["--json"], ["--json", "frobnicate"], ["inspect", "--json"],
                      ["inspect", "--frobnicate", "--json", "a"]):
            with self.subTest(words):
                done = self.run_program(*words)
                self.assertEqual((done.returncode, done.stderr), (USAGE, b""))
                document = json.loads(done.stdout)
                self.assertEqual(document["error"]["code"], "usage")
                self.assertEqual(document["schema"], 1)

    def test_missing_file(self):
        for command in "inspect", "check", "entry-list", "record", "validate":
            with self.subTest(command):
                message = self.run_error(command, "absent", status=FAILED, code="not-found")
                self.assertIn("absent", message)

    def test_not_an_image(self):
        for content in b"", b"#!/bin/sh\n" * 100, bytes(1000):
            with self.subTest(content[:4]):
                self.write("x", content)
                done = self.run_program("inspect", "x")
                self.assertIn(done.returncode, (FAILED, UNSUPPORTED))
                self.assertTrue(done.stderr.startswith(b"virt-hpt: error: "))

    def test_only_files_and_block_devices_are_opened(self):
        os.mkfifo(self.dir / "fifo")
        # To open a socket fails; what is not opened is told apart from that
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.dir / "socket"))
            for path in "fifo", "socket", "/dev/null", "/dev/full":
                for command in "inspect", "check", "entry-list", "record", "validate":
                    with self.subTest(path=path, command=command):
                        message = self.run_error(command, path, status=UNSUPPORTED,
                                                 code="unsupported")
                        self.assertIn("neither a regular file nor a block device", message)

    def test_directory_that_is_no_record(self):
        (self.dir / "dir").mkdir()
        for path in "dir", "dir/", "dir/.", ".":
            for command in "inspect", "check", "entry-list", "record", "validate":
                with self.subTest(path=path, command=command):
                    message = self.run_error(command, path, status=FAILED, code="not-found")
                    self.assertIn(f"'{path}' is a directory", message)

    def test_unsupported_image(self):
        name = self.write("x.save", streams.save_image(b"\x1f\x8b" + bytes(1000), form=1))
        for command in "inspect", "check", "entry-list", "record", "validate":
            with self.subTest(command):
                self.run_error(command, name, status=UNSUPPORTED, code="unsupported")

    def test_error_in_json_is_utf8(self):
        done = self.run_program("--json", "inspect", b"\xff\xfe\x1f\x1b")
        message = json.loads(done.stdout.decode(), strict=True)["error"]["message"]
        self.assertIn("\ufffd\ufffd\x1f\x1b", message)
        self.assertNotIn(b"\x1b", done.stdout)

    def test_full_disk(self):
        name = self.small()
        for words in (["--help"], ["--version"], ["inspect", "--help"], ["inspect", name],
                      ["--json", "inspect", name], ["check", name], ["entry-list", name],
                      ["decode", "1", "0"], ["extract", name, "-o", "-"], ["record", name],
                      ["diff", name, name], ["check", "--explain", "all"],
                      ["validate", name], ["--json", "frobnicate"]):
            with self.subTest(words), open("/dev/full", "wb") as full:
                done = self.run_program(*words, stdout=full)
                self.assertEqual(done.returncode, FAILED)
                self.assertEqual(done.stderr.decode(),
                                 "virt-hpt: error: cannot write to standard output: "
                                 "No space left on device\n")

    def test_file_that_may_not_grow(self):
        name = self.real_stream()
        done = subprocess.run(["bash", "-c", 'ulimit -f 64; exec "$0" entry-list "$1" >list',
                               virthpt.PROGRAM, name], cwd=self.dir, stderr=subprocess.PIPE,
                              check=False)
        self.assertEqual(done.returncode, FAILED, done.stderr)
        self.assertEqual(done.stderr, b"virt-hpt: error: cannot write to standard output: "
                                      b"File too large\n")

    def test_output_larger_than_a_buffer(self):
        table = {slot ^ 0x780 * 8: entry for slot, entry in streams.good_table(400).items()}
        name = self.write("stream", streams.stream(table))
        output = self.run_ok("check", "--json", "--max=1000", name, status=virthpt.BAD)
        self.assertGreater(len(output), 65536)
        self.assertEqual(len(json.loads(output)["findings"]), 400)

    def test_reader_that_has_gone(self):
        name = self.real_stream()
        reader, writer = os.pipe()
        os.close(reader)
        done = self.run_program("entry-list", name, stdout=writer)
        os.close(writer)
        self.assertEqual((done.returncode, done.stderr), (FAILED, b""))

    def test_closed_standard_output(self):
        name = self.small()
        done = subprocess.run(["bash", "-c", '"$0" inspect "$1" >&-', virthpt.PROGRAM, name],
                              cwd=self.dir, stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, FAILED)
        self.assertIn(b"cannot write to standard output", done.stderr)
        done = subprocess.run(["bash", "-c", '"$0" extract "$1" -o out >&-', virthpt.PROGRAM, name],
                              cwd=self.dir, stderr=subprocess.PIPE, check=False)
        table = streams.read_records((self.dir / "out").read_bytes()[8:])
        self.assertEqual(table, streams.good_table())

    def test_quick_steps_show_no_progress(self):
        name = self.small()
        main, side = pty.openpty()
        done = self.run_program("inspect", name, stderr=side)
        os.write(side, b"end")
        self.assertEqual(os.read(main, 1000), b"end")
        os.close(side)
        os.close(main)
        self.assertEqual(done.returncode, GOOD)

    def test_other_locales_change_no_code(self):
        name = self.small()
        expected = self.run_json("inspect", name)
        for locale in "C", "C.UTF-8", "de_DE.UTF-8", "nowhere":
            with self.subTest(locale):
                done = self.run_program("inspect", "--json", name,
                                        env=dict(os.environ, LC_ALL=locale))
                self.assertEqual(json.loads(done.stdout), expected)


if __name__ == "__main__":
    virthpt.main()
