# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever fails while a record is made, an old one stays whole and a new one is whole or absent.

Each system call that a run makes is made to fail, or kills the run, in turn (strace -e inject),
with and without an old record in its place.  A real file system is filled up, a real foreign
directory is used; these need root, and a mount namespace of their own.
"""

import collections
import os
import re
import subprocess
import unittest

import streams
import virthpt
from virthpt import FAILED, GOOD

# What touches the file system on the way to a record
CALLS = ["openat", "mkdir", "mkdirat", "flock", "pread64", "read", "write", "fsync", "close",
         "newfstatat", "fstat", "getrandom", "renameat2", "renameat", "unlinkat", "faccessat2"]

# Only root may mount
ROOT = os.geteuid() == 0
STATEDIR = os.environ["VIRT_HPT_STATEDIR"]
XML = (b"<domain type='kvm'><name>guest</name>"
       b"<uuid>6ba7b810-9dad-11d1-80b4-00c04fd430c8</uuid></domain>")

# A sanitizer that looks for leaks is a tracer itself; here strace is
TRACED = dict(os.environ, ASAN_OPTIONS="detect_leaks=0", LC_ALL="C")


def image(count):
    """A save image whose table has that many entries."""
    return streams.save_image(streams.stream(streams.good_table(count)), xml=XML)


class Faults(virthpt.Case):
    """Injected faults"""

    def traced(self, *options):
        """virt-hpt record under strace."""
        return subprocess.run(["strace", "-f", "-qq", *options, virthpt.PROGRAM, "record",
                               "guest.save"], cwd=self.dir, env=TRACED, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60)

    def calls(self):
        """How often a run makes each call, before it touches the image and after: {name: range}."""
        self.prepare()
        done = self.traced("-o", "trace", "-e", "trace=" + ",".join("?" + c for c in CALLS))
        self.assertEqual(done.returncode, GOOD, done.stderr)
        first, last = {}, collections.Counter()
        begun = False
        for line in (self.dir / "trace").read_text().splitlines():
            call = re.match(r"(?:\d+ +)?(\w+)\((.*)", line)
            if not call:
                continue
            last[call[1]] += 1
            begun = begun or "guest.save" in call[2]
            if begun:
                first.setdefault(call[1], last[call[1]])
        return {name: range(first[name], last[name] + 1) for name in first}

    def prepare(self):
        """What lies there when the run begins."""
        subprocess.run(["rm", "-rf", *os.listdir(self.dir)], cwd=self.dir, check=True)
        self.write("guest.save", image(8))

    def left(self):
        """The record that lies there now, as (inode, valid entries), or None; it must be whole."""
        record = self.dir / "guest.save.hpt"
        if not record.exists():
            return None
        self.run_ok("validate", "--no-dry-run", "guest.save.hpt")
        return record.stat().st_ino, self.run_json("inspect", "guest.save.hpt")["hpt"]["valid"]

    def check(self, where):
        """Old, new, or none; and the next run sets all right."""
        left = self.left()
        self.assertIn(left and left[1], self.allowed, where)
        self.run_ok("record", "guest.save")
        self.assertEqual(self.left()[1], 8, where)
        self.assertEqual(sorted(n for n in os.listdir(self.dir) if n != "trace"),
                         ["guest.save", "guest.save.hpt"], where)

    allowed = (None, 8)

    def test_killed_at_each_call(self):
        for name, numbers in self.calls().items():
            for number in numbers:
                self.prepare()
                done = self.traced("-o", "/dev/null", "-e",
                                   f"inject={name}:signal=KILL:when={number}")
                self.assertEqual(done.returncode, -9, (name, number, done.stderr))
                self.check((name, number))

    def test_no_space_at_each_call(self):
        failed = 0
        for name, numbers in self.calls().items():
            # These never run out of space
            if name in ("close", "flock", "faccessat2", "fstat", "newfstatat"):
                continue
            for number in numbers:
                self.prepare()
                done = self.traced("-o", "/dev/null", "-e",
                                   f"inject={name}:error=ENOSPC:when={number}")
                self.assertIn(done.returncode, (GOOD, FAILED), (name, number, done.stderr))
                if done.returncode == FAILED:
                    failed += 1
                    self.assertIn(b"virt-hpt: error: ", done.stderr)
                self.check((name, number))
        self.assertGreater(failed, 10)


class FaultsWithOldRecord(Faults):
    """Injected faults where there is an old record"""

    allowed = (4, 8)

    def prepare(self):
        super().prepare()
        self.write("guest.save", image(4))
        self.run_ok("record", "guest.save")
        (self.dir / "guest.save").unlink()
        self.write("guest.save", image(8))


@unittest.skipUnless(ROOT, "only root may mount")
class Mounted(virthpt.Case):
    """Real file systems"""

    def shell(self, script):
        """Runs a script with virt-hpt as $1, in a mount namespace of its own."""
        return subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-euc",
                               script, "sh", virthpt.PROGRAM], cwd=self.dir, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60)

    def test_full_disk_leaves_nothing(self):
        whole = absent = 0
        data = image(500)
        self.write("guest.save", data)
        pages = (len(data) + 4095) // 4096
        for size in range(4 * pages, 4 * pages + 64, 4):
            done = self.shell(f"""
                mkdir -p disk; mount -t tmpfs -o size={size}k disk disk
                cp guest.save disk/
                code=0; "$1" record disk/guest.save >&2 || code=$?
                [ "$(ls -A disk)" = guest.save ] && echo absent
                "$1" validate --no-dry-run disk/guest.save.hpt >&2 && echo whole
                exit $code""")
            self.assertIn(done.stdout.decode().split(), (["absent"], ["whole"]),
                          (size, done.stderr))
            self.assertEqual(done.stdout == b"whole\n", done.returncode == GOOD, done.stderr)
            whole += done.stdout == b"whole\n"
            absent += done.stdout == b"absent\n"
        self.assertTrue(whole and absent, (whole, absent))

    def test_foreign_directory_has_its_record_in_the_state_directory(self):
        self.write("guest.save", image(8))
        for change in ("chown 1 foreign", "chmod 777 foreign", "chmod 775 foreign",
                       "mount -t tmpfs t foreign; cp guest.save foreign; "
                       "mount -o remount,ro foreign"):
            done = self.shell(f"""
                mkdir -p foreign {STATEDIR}; mount -t tmpfs state {STATEDIR}
                cp guest.save foreign/; {change}
                "$1" validate --no-dry-run foreign/guest.save
                "$1" record foreign/guest.save
                "$1" record foreign/guest.save
                "$1" inspect foreign/guest.save
                ls -A foreign; ls {STATEDIR}/libvirt-hpt/*
                "$1" validate --no-dry-run {STATEDIR}/libvirt-hpt/*/*.hpt
                "$1" validate --no-dry-run foreign/guest.save""")
            output = done.stdout.decode()
            self.assertEqual(done.returncode, GOOD, (change, output, done.stderr))
            self.assertIn("record-none", output)
            self.assertIn("unchanged", output)
            self.assertIn("6ba7b810-9dad-11d1-80b4-00c04fd430c8", output)
            self.assertIn("%2Fforeign%2Fguest.save.hpt\n", output)
            self.assertIn("image-current", output)
            self.assertNotIn(".hpt\nguest", output)

    def test_record_in_a_foreign_directory_is_refused(self):
        self.write("guest.save", image(8))
        done = self.shell("""
            mkdir foreign; mv guest.save foreign; "$1" record foreign/guest.save >&2
            chown -R 1 foreign
            "$1" validate --no-dry-run foreign/guest.save""")
        self.assertEqual(done.returncode, virthpt.BAD, done.stderr)
        self.assertIn(b"record-unusable", done.stdout)


if __name__ == "__main__":
    virthpt.main()
