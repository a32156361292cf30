# SPDX-License-Identifier: GPL-2.0-or-later
"""A step that takes a while shows at a terminal how far it is, and wipes that off again.

strace makes each read of the image slow.
"""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading

import virthpt
from virthpt import GOOD

# A sanitizer that looks for leaks is a tracer itself; here strace is
TRACED = dict(os.environ, ASAN_OPTIONS="detect_leaks=0", LC_ALL="C")


class Progress(virthpt.Case):
    """virt-hpt, reading an image of 54 MiB slowly"""

    def shown(self, *words, columns=80):
        """What inspect shows on a terminal of that many columns."""
        name = self.real_stream()
        main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
        shown = []

        def read():
            while not shown or not shown[-1].endswith(b"end"):
                shown.append(os.read(main, 4096))

        reader = threading.Thread(target=read)
        reader.start()
        done = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e",
                               "inject=pread64:delay_enter=80ms", virthpt.PROGRAM, "inspect",
                               *words, name], cwd=self.dir, env=TRACED, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=side, check=False, timeout=120)
        os.write(side, b"end")
        reader.join()
        os.close(side)
        os.close(main)
        self.assertEqual(done.returncode, GOOD)
        return b"".join(shown).decode().removesuffix("end")

    def test_bar_grows_and_goes(self):
        shown = self.shown()
        self.assertNotIn("\n", shown)
        *bars, blank, nothing = shown.split("\r")[1:]
        self.assertGreater(len(bars), 2)
        done = []
        for bar in bars:
            self.assertRegex(bar, r"^\[=*>? *\] +\d+ %  [\d.]+ MiB *$")
            self.assertLess(len(bar), 80)
            done.append(int(re.search(r"(\d+) %", bar)[1]))
        self.assertEqual(done, sorted(done))
        self.assertLess(done[0], done[-1])
        # None leaves the end of a longer one behind
        self.assertEqual(list(map(len, bars)), sorted(map(len, bars)))
        self.assertEqual((blank, nothing), (" " * max(map(len, bars)), ""))

    def test_narrow_terminal_has_no_bar(self):
        *sizes, blank, _ = self.shown(columns=20).split("\r")[1:]
        self.assertGreater(len(sizes), 2)
        for size in sizes:
            self.assertRegex(size, r"^[\d.]+ MiB *$")
        self.assertEqual(blank.strip(" "), "")

    def test_quiet_and_json_show_none(self):
        for option in "--quiet", "--json":
            with self.subTest(option):
                self.assertEqual(self.shown(option), "")


if __name__ == "__main__":
    virthpt.main()
