#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that the installed library is one that others can use: the examples, compiled with nothing
but what was installed and pkg-config's flags, run on images of a real guest and on made ones.

Requires an installation (meson install) in the directory VIRT_HPT_DESTDIR, cc and pkg-config, and
the stream in VIRT_HPT_STREAM.
"""

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "tools")]
import streams  # noqa: E402
import taprunner  # noqa: E402

DESTDIR = Path(os.environ["VIRT_HPT_DESTDIR"]).resolve()
STREAM = Path(os.environ["VIRT_HPT_STREAM"]).resolve()
EXAMPLES = sorted((ROOT / "examples").glob("*.c"))


def run(*command, **options):
    """The finished process, its output as text."""
    return subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=120, **options)


class Installed(unittest.TestCase):
    """What is installed, and the examples made with it."""

    @classmethod
    def setUpClass(cls):
        cls.dir = Path(tempfile.mkdtemp(prefix="virt-hpt-"))
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        found, = DESTDIR.glob("**/pkgconfig/libvirt-hpt.pc")
        text = found.read_text()
        # Not installed where it belongs: what it says of that place must hold here as well
        moved, count = re.subn(r"(?m)^prefix=", f"prefix={DESTDIR}", text)
        assert count == 1, text
        (cls.dir / "libvirt-hpt.pc").write_text(moved)
        cls.libdir = found.parent.parent
        cls.environment = {**os.environ, "PKG_CONFIG_PATH": str(cls.dir),
                           "LD_LIBRARY_PATH": str(cls.libdir), "LC_ALL": "C.UTF-8"}

    def pkg_config(self, *words):
        """What it says of the library."""
        done = run("pkg-config", *words, "libvirt-hpt", env=self.environment)
        self.assertEqual(0, done.returncode, done.stdout)
        return shlex.split(done.stdout)

    def example(self, name):
        """The program, compiled if it is not there yet."""
        program = self.dir / name
        if not program.exists():
            done = run("cc", "-std=gnu11", "-Wall", "-Wextra", "-Werror",
                       ROOT / "examples" / f"{name}.c", "-o", program,
                       *self.pkg_config("--cflags", "--libs"), env=self.environment)
            self.assertEqual(0, done.returncode, done.stdout)
        return program

    def check_image(self, status, *words):
        """What check-image prints, once it ended as it should."""
        done = run(self.example("check-image"), *words, env=self.environment)
        self.assertEqual(status, done.returncode, done.stdout)
        return done.stdout

    def check_bytes(self, status, data):
        """The same of a file that holds data."""
        path = self.dir / "image"
        path.write_bytes(data)
        return self.check_image(status, path)

    def test_pkg_config_knows_the_version(self):
        self.assertEqual(["0.1.0"], self.pkg_config("--modversion"))

    def test_pkg_config_asks_for_nothing_but_glib(self):
        self.assertEqual(["glib-2.0"], [word for word in self.pkg_config("--print-requires")
                                        if re.match("[a-z]", word)])
        self.assertEqual([], self.pkg_config("--print-requires-private"))

    def test_every_header_is_installed(self):
        self.assertEqual(
            sorted(path.name for path in (ROOT / "include" / "libvirt-hpt").glob("*.h")),
            sorted(path.name for path in DESTDIR.glob("usr/include/libvirt-hpt/*")))

    def test_the_library_is_found_by_its_names(self):
        library = self.libdir / "libvirt-hpt.so"
        self.assertEqual("libvirt-hpt.so.0.1.0", library.resolve().name)
        self.assertEqual(library.resolve(), (self.libdir / "libvirt-hpt.so.0").resolve())

    def test_every_example_compiles(self):
        self.assertEqual(["check-image.c", "htab-reader.c"], [path.name for path in EXAMPLES])
        for path in EXAMPLES:
            with self.subTest(path.name):
                self.example(path.stem)

    def test_check_image_finds_the_table_of_a_real_guest_sound(self):
        said = self.check_image(0, STREAM)
        self.assertIn("stream, pseries-7.2, 512 MiB RAM\ntable of order 22\n", said)
        self.assertIn("0 errors, 0 warnings", said)

    def test_check_image_reads_a_save_image(self):
        said = self.check_bytes(0, streams.save_image(streams.stream(streams.good_table())))
        self.assertIn("save-image, pseries-7.2, 32 MiB RAM\ntable of order 18\n", said)

    def test_check_image_names_a_misplaced_entry(self):
        table = streams.good_table()
        slot = min(table)
        free = next(n for n in range(8 * 1024, 16 * 1024) if n not in table)
        table[free] = table.pop(slot)
        said = self.check_bytes(2, streams.save_image(streams.stream(table)))
        self.assertRegex(said, rf"error: hash-placement at slot {free:#x}: ")

    def test_check_image_says_that_a_radix_guest_has_no_table(self):
        said = self.check_bytes(0, streams.stream(order=streams.NO_HPT))
        self.assertIn("radix", said)

    def test_check_image_fails_on_what_is_no_image(self):
        self.assertIn("check-image: malformed: ", self.check_bytes(1, b"no image at all\n" * 4))
        self.assertIn("check-image: not-found: ", self.check_image(1, self.dir / "nothing"))
        self.check_image(64)

    def test_the_table_alone_is_a_subproject(self):
        project = self.dir / "vmm"
        (project / "subprojects").mkdir(parents=True)
        (project / "subprojects" / "libvirt-hpt").symlink_to(ROOT)
        (project / "meson.build").write_text(
            "project('vmm', 'c', default_options: ['c_std=gnu11'])\n"
            "executable('vmm', 'vmm.c', dependencies: dependency('libvirt-hpt-htab',\n"
            "  fallback: 'libvirt-hpt', default_options: ['htab-only=true']))\n")
        (project / "vmm.c").write_text(
            "#include <libvirt-hpt/htab_table.h>\n"
            "int main(void)\n{\n"
            "    g_autoptr(VirtHptTable) table = virtHptTableNew(18, 1 << 18, NULL);\n"
            "    return table && virtHptTableGetOrder(table) == 18 ? 0 : 1;\n}\n")
        for words in (("setup", "build"), ("compile", "-C", "build", "vmm")):
            done = run("meson", *words, cwd=project)
            self.assertEqual(0, done.returncode, done.stdout)
        done = run(project / "build" / "vmm")
        self.assertEqual(0, done.returncode, done.stdout)

    @unittest.skipIf(platform.machine().startswith("ppc64"), "this is POWER: it might succeed")
    def test_htab_reader_says_that_it_needs_power(self):
        done = run(self.example("htab-reader"), env=self.environment)
        self.assertEqual(1, done.returncode, done.stdout)
        self.assertIn("htab-reader: unsupported: cannot make a VM with a hashed page table: ",
                      done.stdout)


if __name__ == "__main__":
    taprunner.main()
