# SPDX-License-Identifier: GPL-2.0-or-later
"""A run of extract that is killed, at whatever system call, leaves its file whole or nothing.

strace -e inject kills it at each call in turn.
"""

import errno
import itertools
import os
import subprocess
import time

import streams
import virthpt
from virthpt import GOOD

CALLS = ["openat", "write", "fsync", "linkat", "renameat", "close"]

# A sanitizer that looks for leaks is a tracer itself; here strace is
TRACED = dict(os.environ, ASAN_OPTIONS="detect_leaks=0", LC_ALL="C")


class Killed(virthpt.Case):
    """virt-hpt extract, killed"""

    def setUp(self):
        super().setUp()
        self.write("guest.save", streams.save_image(streams.stream(streams.good_table())))
        self.run_ok("extract", "guest.save", "-o", "expected")
        self.whole = (self.dir / "expected").read_bytes()
        (self.dir / "expected").unlink()
        try:
            os.close(os.open(self.dir, os.O_TMPFILE | os.O_WRONLY))
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            self.skipTest("this file system has no files without a name")

    def traced(self, *options, words=()):
        """virt-hpt extract under strace."""
        return subprocess.run(["strace", "-f", "-qq", *options, virthpt.PROGRAM, "extract",
                               "guest.save", "-o", "out", *words], cwd=self.dir, env=TRACED,
                              check=False, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=60)

    def killed(self, *words, before=None):
        """Yields (call, what the directory holds besides the image) for each run that was killed."""
        for call in CALLS:
            for number in itertools.count(1):
                for name in os.listdir(self.dir):
                    if name != "guest.save":
                        (self.dir / name).unlink()
                if before is not None:
                    self.write("out", before)
                done = self.traced("-o", "/dev/null", "-e",
                                   f"inject={call}:signal=KILL:when={number}", words=words)
                if done.returncode == GOOD:
                    break
                self.assertEqual(done.returncode, -9, (call, number, done.stderr))
                yield call, {name: (self.dir / name).read_bytes()
                             for name in os.listdir(self.dir) if name != "guest.save"}

    def test_new_file_is_whole_or_absent(self):
        calls = set()
        for call, left in self.killed():
            self.assertIn(left, ({}, {"out": self.whole}), call)
            calls.add(call)
        self.assertEqual(calls, {"openat", "write", "fsync", "linkat", "close"})

    def test_old_file_stays_until_the_new_one_is_whole(self):
        calls = set()
        for call, left in self.killed("--force", before=b"old"):
            self.assertIn(left.pop("out"), (b"old", self.whole), call)
            calls.add(call)
            # Only for the moment between two calls has it another name
            self.assertTrue(not left or call in ("linkat", "renameat") and
                            list(left.values()) == [self.whole], (call, left))
        self.assertIn("renameat", calls)

    def test_file_that_cannot_be_stored(self):
        for options in [], ["--force"]:
            with self.subTest(options):
                done = self.traced("-o", "/dev/null", "-e", "inject=fsync:error=EIO:when=1",
                                   words=options)
                self.assertEqual(done.returncode, virthpt.FAILED)
                self.assertIn(b"cannot create 'out'", done.stderr)
                self.assertEqual(os.listdir(self.dir), ["guest.save"])

    def test_what_comes_meanwhile_is_not_replaced(self):
        for options in [], ["--force"]:
            with self.subTest(options), subprocess.Popen(
                    ["strace", "-qq", "-o", "trace", "-e", "trace=openat,write", "-e",
                     "inject=write:delay_enter=2s:when=1", virthpt.PROGRAM, "extract",
                     "guest.save", "-o", "out", *options],
                    cwd=self.dir, env=TRACED, stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
                trace = self.dir / "trace"
                while process.poll() is None and not (
                        trace.exists() and "O_TMPFILE" in trace.read_text()):
                    time.sleep(0.02)
                os.mkfifo(self.dir / "out")
                message = process.communicate(timeout=60)[1]
                self.assertEqual(process.returncode, virthpt.FAILED)
                self.assertIn(b"'out'", message)
                self.assertTrue((self.dir / "out").is_fifo())
            for name in "out", "trace":
                (self.dir / name).unlink()

    def test_file_system_without_nameless_files(self):
        self.traced("-o", "trace", "-e", "trace=openat")
        lines = (self.dir / "trace").read_text().splitlines()
        number, = [n for n, line in enumerate(lines, 1) if "O_TMPFILE" in line]
        for name in "trace", "out":
            (self.dir / name).unlink()
        without = ["-o", "/dev/null", "-e", f"inject=openat:error=EOPNOTSUPP:when={number}"]
        self.assertEqual(self.traced(*without).returncode, GOOD)
        self.assertEqual(self.traced(*without).returncode, virthpt.FAILED)
        self.write("out", b"old")
        self.assertEqual(self.traced(*without, words=["--force"]).returncode, GOOD)
        self.assertEqual((self.dir / "out").read_bytes(), self.whole)
        # No space: what was written so far goes
        self.assertEqual(self.traced(*without, "-e", "inject=fsync:error=ENOSPC",
                                     words=["--force"]).returncode, virthpt.FAILED)
        self.assertEqual(sorted(os.listdir(self.dir)), ["guest.save", "out"])


if __name__ == "__main__":
    virthpt.main()
