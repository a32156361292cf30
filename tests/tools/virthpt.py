# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests of the command line share: a directory of their own, and virt-hpt run in it."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import taprunner  # noqa: E402 pylint: disable=wrong-import-position

main = taprunner.main

PROGRAM = os.environ["VIRT_HPT"]
STREAM = Path(os.environ["VIRT_HPT_STREAM"])
TESTDATA = Path(os.environ["VIRT_HPT_TESTDATA"])
STATEDIR = Path(os.environ["VIRT_HPT_STATEDIR"], "libvirt-hpt")
COMPLETION = os.environ["VIRT_HPT_COMPLETION"]
TESTTMP = os.environ.get("VIRT_HPT_TESTTMP")
REGENERATE = os.environ.get("VIRT_HPT_TEST_REGENERATE_OUTPUT") == "1"

GOOD, FAILED, BAD, WARNED, UNSUPPORTED, USAGE = 0, 1, 2, 3, 63, 64


class Case(unittest.TestCase):
    """A test case with a directory of its own, in which virt-hpt runs."""

    maxDiff = None

    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="virt-hpt-", dir=TESTTMP))
        self.addCleanup(shutil.rmtree, self.dir)

    def forget_state(self, uuid):
        """Removes at the end the empty directory that root's virt-hpt keeps for a domain."""
        def remove():
            for path in STATEDIR / uuid, STATEDIR:
                try:
                    path.rmdir()
                except OSError:
                    return
        self.addCleanup(remove)

    def run_program(self, *words, **options):
        """The finished process; its output is bytes."""
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        return subprocess.run([PROGRAM, *words], cwd=self.dir, stdin=subprocess.DEVNULL,
                              check=False, timeout=60, **options)

    def run_ok(self, *words, status=GOOD):
        """Its standard output as text, once it ended as it should."""
        done = self.run_program(*words)
        self.assertEqual(done.returncode, status, (words, done.stdout, done.stderr))
        if status in (GOOD, BAD, WARNED):
            self.assertEqual(done.stderr, b"", words)
        return done.stdout.decode()

    def run_json(self, *words, status=GOOD):
        """Its one JSON document."""
        document = json.loads(self.run_ok("--json", *words, status=status), strict=True)
        self.assertEqual(document["schema"], 1)
        return document

    def run_lines(self, *words):
        """Its JSON documents, one a line."""
        return [json.loads(line) for line in self.run_ok("--json", *words).splitlines()]

    def run_error(self, *words, status=FAILED, code=None):
        """Its message, which is the same in text and in JSON."""
        done = self.run_program(*words)
        self.assertEqual(done.returncode, status, (words, done.stdout, done.stderr))
        first = done.stderr.decode().splitlines()[0]
        self.assertTrue(first.startswith("virt-hpt: error: "), done.stderr)
        self.assertEqual(done.stdout, b"")
        error = self.run_json(*words, status=status)["error"]
        if code:
            self.assertEqual(error["code"], code)
        return first.removeprefix("virt-hpt: error: ")

    def write(self, name, data):
        """A file of the test's directory."""
        path = self.dir / name
        path.write_bytes(data)
        return name

    def real_stream(self, name="kvm-power9.stream"):
        """A copy of the stream of a real guest.

        No link: tests run side by side, and a new name changes a file's ctime, by which virt-hpt
        sees that a file was changed while it was read.
        """
        subprocess.run(["cp", "--sparse=always", STREAM, self.dir / name], check=True)
        return name

    def compare(self, name, output):
        """Compares output with what is kept, or keeps it."""
        path = TESTDATA / f"{name}.out"
        if REGENERATE:
            path.write_text(output, encoding="utf-8")
        self.assertEqual(output, path.read_text(encoding="utf-8"))
