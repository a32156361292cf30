#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves what the public API promises: its headers, the shared library and the documentation agree.

Requires the compilers ($CC, $CXX), nm, readelf and pkg-config.  Nothing is run of what is built.
"""

import os
import re
import shlex
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import taprunner  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "include"
HEADERS = sorted((INCLUDE / "libvirt-hpt").glob("*.h"))
SYMBOLS = ROOT / "src" / "lib" / "libvirt-hpt.syms"
LIBRARY = os.environ["VIRT_HPT_LIBRARY"]
CC = shlex.split(os.environ["CC"])
CXX = shlex.split(os.environ["CXX"])

COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
DOCUMENTATION = re.compile(r"/\*\*\n \* (\w+):\n(.*?)\*/", re.DOTALL)


def run(*command):
    """What it prints."""
    return subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          text=True).stdout


def declared(path):
    """The functions of a header: name -> (type, [parameter...])."""
    code = COMMENT.sub("", path.read_text())
    code = "\n".join(line for line in code.splitlines() if not line.startswith("#"))
    found = {}
    for match in re.finditer(r"^((?:const |unsigned )*\w+[ *]+)(\w+)\(([^;{]*)\)[^;{)]*;", code,
                             re.MULTILINE):
        if match[1].startswith(("typedef", "G_")):
            continue
        words = [re.findall(r"\w+", re.sub(r"\[.*?\]", "", word)) for word in match[3].split(",")]
        found[match[2]] = (match[1].strip(), [word[-1] for word in words if word != ["void"]])
    return found


def all_declared():
    """The functions of all headers."""
    found = {}
    for path in HEADERS:
        found.update(declared(path))
    return found


def listed():
    """The symbol file: version -> {header: [function...]}."""
    versions, header = {}, None
    for line in SYMBOLS.read_text().splitlines():
        line = line.strip()
        if match := re.fullmatch(r"(\w+\.[\d.]+) \{", line):
            sections = versions.setdefault(match[1], {})
        elif match := re.fullmatch(r"# (\w+\.h)", line):
            header = match[1]
        elif match := re.fullmatch(r"(\w+);", line):
            sections.setdefault(header, []).append(match[1])
    return versions


def all_listed():
    """The functions of all versions, each once."""
    return [name for sections in listed().values() for names in sections.values()
            for name in names]


def exported():
    """What the library exports: name -> version."""
    found = {}
    for line in run("nm", "-D", "--defined-only", LIBRARY).splitlines():
        kind, name = line.split()[1:]
        if kind != "A":  # the versions themselves
            found[name.partition("@")[0]] = name.rpartition("@")[2]
    return found


def documentation(paths):
    """What comments beginning with / * * say: name -> text."""
    return {name: text for path in paths for name, text in DOCUMENTATION.findall(path.read_text())}


class Library(unittest.TestCase):
    """libvirt-hpt.so."""

    def test_every_function_of_the_headers_is_in_the_symbol_file(self):
        self.assertEqual([], sorted(set(all_declared()) - set(all_listed())))

    def test_every_listed_symbol_is_a_function_of_the_header_it_is_listed_under(self):
        for sections in listed().values():
            for header, names in sections.items():
                functions = declared(INCLUDE / "libvirt-hpt" / header)
                self.assertEqual([], [name for name in names if name not in functions], header)

    def test_no_symbol_is_listed_twice(self):
        names = all_listed()
        self.assertEqual(len(names), len(set(names)))

    def test_symbols_are_sorted(self):
        for sections in listed().values():
            self.assertEqual(sorted(sections), list(sections))
            for names in sections.values():
                self.assertEqual(sorted(names), names)

    def test_it_exports_the_functions_of_the_headers_and_nothing_else(self):
        self.assertEqual(sorted(all_declared()), sorted(exported()))

    def test_every_symbol_has_the_version_it_is_listed_with(self):
        wanted = {name: version for version, sections in listed().items()
                  for names in sections.values() for name in names}
        self.assertEqual(wanted, exported())

    def test_its_name_has_the_version_of_the_interface(self):
        self.assertIn("[libvirt-hpt.so.0]", run("readelf", "-d", LIBRARY))

    def test_it_needs_nothing_but_glib(self):
        needed = re.findall(r"\(NEEDED\).*\[(.*?)\]", run("readelf", "-d", LIBRARY))
        self.assertTrue(needed)
        ours = re.compile(r"lib(glib-2\.0|c|asan|ubsan)\.so\.\d+|ld-linux.*")
        self.assertEqual([], [name for name in needed if not ours.fullmatch(name)])


class Headers(unittest.TestCase):
    """include/libvirt-hpt/."""

    def compile(self, compiler, language, standard):
        """Each header alone."""
        glib = shlex.split(run("pkg-config", "--cflags", "glib-2.0"))
        for path in HEADERS:
            with self.subTest(path.name):
                done = subprocess.run(
                    [*compiler, "-x", language, f"-std={standard}", "-fsyntax-only", "-Wall",
                     "-Wextra", "-Wpedantic", "-Werror", f"-I{INCLUDE}", *glib, "-"],
                    input=f"#include <libvirt-hpt/{path.name}>\n", text=True, check=False,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                self.assertEqual(0, done.returncode, done.stdout)

    def test_each_compiles_alone_as_c(self):
        self.compile(CC, "c", "c11")

    def test_each_compiles_alone_as_cplusplus(self):
        self.compile(CXX, "c++", "c++17")

    def test_all_are_installed(self):
        installed = {Path(name).name for name in os.environ["VIRT_HPT_HEADERS"].split(":")}
        self.assertEqual({path.name for path in HEADERS}, installed)

    def test_they_include_nothing_of_the_sources(self):
        for path in HEADERS:
            for name in re.findall(r'^#\s*include ["<](.*?)[">]', path.read_text(), re.MULTILINE):
                self.assertRegex(name, r"^(libvirt-hpt/\w+\.h|glib\.h)$", path.name)


class Documentation(unittest.TestCase):
    """What a caller reads."""

    def test_every_function_has_its_parameters_and_result_described(self):
        texts = documentation((ROOT / "src").rglob("*.c"))
        for name, (result, parameters) in all_declared().items():
            with self.subTest(name):
                self.assertTrue(name in texts, "not described")
                described = re.findall(r"^ \* @(\w+|\.\.\.):", texts[name], re.MULTILINE)
                self.assertEqual(parameters, described)
                self.assertEqual(result != "void", "\n * Returns: " in texts[name])

    def test_every_type_and_its_members_are_described(self):
        for path in HEADERS:
            texts = documentation([path])
            code = path.read_text()
            types = set(re.findall(r"^typedef struct \w+ (\w+);", code, re.MULTILINE))
            types |= set(re.findall(r"^\} (\w+);", code, re.MULTILINE))
            types |= set(re.findall(r"^typedef [\w ]*\**\(\s*\*(\w+)\)", code, re.MULTILINE))
            for name in sorted(types):
                with self.subTest(name):
                    self.assertTrue(name in texts, "not described")
            for body, name in re.findall(r"^typedef (?:enum|struct) \{\n(.*?)^\} (\w+);", code,
                                         re.MULTILINE | re.DOTALL):
                for line in body.splitlines():
                    member = re.search(r"(\w+)(?:\[\w+\])?(?: = .*)?[;,]", COMMENT.sub("", line))
                    if member and "/*" not in line and not member[1].endswith("_COUNT"):
                        with self.subTest(f"{name}.{member[1]}"):
                            self.assertRegex(texts[name], rf"(?m)^ \* @{member[1]}:")

    def test_every_macro_is_described(self):
        for path in HEADERS:
            code = path.read_text()
            described = False  # whether a comment stands before this block of lines
            for line in code.splitlines():
                match = re.match(r"#\s*define (\w+)", line)
                if match:
                    with self.subTest(match[1]):
                        self.assertTrue(described or "/*" in line or f"%{match[1]}" in code,
                                        "not described")
                elif not line.startswith("#"):
                    described = line.endswith("*/")


if __name__ == "__main__":
    taprunner.main()
