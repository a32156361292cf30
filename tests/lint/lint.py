#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of the tree itself; prints TAP, one line a check.

A check is a function that returns what it objects to, one string an objection.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Which directories a directory's files may include from, besides itself and libvirt-hpt/
MAY_INCLUDE = {
    "src/htab": (),
    "src/conf": ("src/htab",),
    "src/host": ("src/htab",),
    "src/qemu": ("src/htab",),
    "src/lib": ("src/qemu", "src/htab"),
    "src/snapshot": ("src/conf", "src/host", "src/qemu", "src/htab"),
    "src/daemon": ("src/snapshot", "src/conf", "src/host", "src/qemu", "src/htab"),
    "src/hook": ("src/snapshot", "src/conf", "src/host", "src/qemu", "src/htab"),
    "src/dryrun": ("src/snapshot", "src/conf", "src/host", "src/qemu", "src/htab"),
    "tools": ("src/snapshot", "src/conf", "src/host", "src/qemu", "src/htab"),
}

NEEDS_SPDX = (".c", ".h", ".py", ".sh", ".rng", ".rst", ".build", ".supp", ".syms", ".po")


def tracked():
    """The tree's files, also those not committed yet; of a copy without git's data, all but builds."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others",
               "--exclude-standard"]
    if (ROOT / ".git").exists():
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
        paths = [Path(os.fsdecode(name)) for name in done.stdout.split(b"\0") if name]
    else:
        paths = [path.relative_to(ROOT) for path in ROOT.rglob("*")]
        paths = [path for path in paths
                 if not path.parts[0].startswith("build") and "__pycache__" not in path.parts]
    return sorted(path for path in paths if (ROOT / path).is_file())


class Tree:
    """The files by kind."""

    def __init__(self, options):
        self.options = options
        self.files = tracked()
        self.c_files = [path for path in self.files if path.suffix in (".c", ".h")]
        self.python = [path for path in self.files if self.is_script(path, ".py", "python3")]
        self.shell = [path for path in self.files if self.is_script(path, ".sh", "sh")]

    @staticmethod
    def is_script(path, suffix, interpreter):
        """Whether path is a script of that interpreter, by its name or its first line."""
        if path.suffix == suffix:
            return True
        if path.suffix:
            return False
        with open(ROOT / path, "rb") as script:
            first = script.readline(200)
        return re.match(rb"#!.*\b(ba)?%s\b" % interpreter.encode(), first) is not None

    @staticmethod
    def text(path):
        """The file's contents."""
        return (ROOT / path).read_text(encoding="utf-8")


def run(*command):
    """Its output, one string a line, if it fails; else nothing."""
    done = subprocess.run([str(word) for word in command], cwd=ROOT, text=True, check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    return done.stdout.splitlines() or [f"{command[0]} failed"] if done.returncode else []


def check_format(tree):
    """clang-format has nothing to change"""
    return run(f"clang-format-{tree.options.llvm}", "--dry-run", "-Werror", *tree.c_files)


def check_tidy(tree):
    """clang-tidy has no warnings"""
    commands = json.loads((tree.options.build / "compile_commands.json").read_text())
    sources = {Path(entry["directory"], entry["file"]).resolve() for entry in commands}
    ours = [path for path in tree.c_files if ROOT / path in sources]
    elsewhere = ["tests/fuzz"]
    # Its meson.build leaves it to suite powerhost where the kernel's headers are without POWER
    if not any(source.is_relative_to(ROOT / "tests/e2e/powerhost") for source in sources):
        elsewhere.append("tests/e2e/powerhost")
    missed = [path for path in tree.c_files
              if path.suffix == ".c" and ROOT / path not in sources
              and not any(path.is_relative_to(place) for place in elsewhere)]

    def tidy(path):
        return run(f"clang-tidy-{tree.options.llvm}", "--quiet", "-p", tree.options.build, path)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = [line for lines in pool.map(tidy, ours) for line in lines]
    return [f"{path}: not compiled" for path in missed] + found


def check_spdx(tree):
    """every source file names its licence"""
    scripts = set(tree.python) | set(tree.shell)
    return [f"{path}: no SPDX-License-Identifier in the first 10 lines" for path in tree.files
            if (path.suffix in NEEDS_SPDX or path in scripts or path.name == "meson_options.txt")
            and "SPDX-License-Identifier: " not in "\n".join(tree.text(path).splitlines()[:10])]


def check_includes(tree):
    """includes go one way"""
    found = []
    for path in tree.c_files:
        home = next((name for name in MAY_INCLUDE if path.is_relative_to(name)), None)
        if home is None:
            if path.parts[0] not in ("tests", "include", "examples"):
                found.append(f"{path}: no rule for this directory")
            continue
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if match is None:
                continue
            target = next((name for name in MAY_INCLUDE if match[1].startswith(
                f"{name.removeprefix('src/')}/")), None)
            if target is not None and target != home and target not in MAY_INCLUDE[home]:
                found.append(f"{path}:{number}: {home} must not include from {target}")
    return found


def check_potfiles(tree):
    """po/POTFILES lists the files with translated strings"""
    listed = {line for line in tree.text("po/POTFILES").splitlines()
              if line and not line.startswith("#")}
    marked = {str(path) for path in tree.c_files
              if path.parts[0] in ("src", "tools", "include")
              and re.search(r"\b(_|N_|C_|NC_|Q_|ngettext|g_dngettext) ?\(",
                            re.sub(r"/\*.*?\*/|#\s*define[^\n]*", "", tree.text(path),
                                   flags=re.DOTALL))}
    return ([f"{path}: has translated strings, and is not in po/POTFILES"
             for path in sorted(marked - listed)]
            + [f"po/POTFILES: '{path}' has no translated strings"
               for path in sorted(listed - marked)])


def check_translations(tree):
    """translations are whole and their formats agree"""
    found = []
    with tempfile.TemporaryDirectory() as directory:
        template = Path(directory, "template.pot")
        found += run("xgettext", "--from-code=UTF-8", "--keyword=_", "--keyword=N_",
                     "--keyword=ngettext:1,2", "--files-from=po/POTFILES", f"--output={template}")
        lines = template.read_text(encoding="utf-8").splitlines()

        def place(match):
            """Where in the sources the message is that begins at that line of the template."""
            before = lines[:int(match[1])]
            return next(line for line in reversed(before) if line.startswith("#: "))[3:]

        for path in tree.files:
            if path.suffix == ".po":
                found += run("msgfmt", "--check", "--output-file=/dev/null", path)
                # What is in no source any more is a warning to it
                done = subprocess.run(["msgcmp", path, template], cwd=ROOT, text=True, check=False,
                                      stdin=subprocess.DEVNULL, capture_output=True)
                found += [re.sub(rf"{template}:(\d+)", place, line)
                          for line in done.stderr.splitlines()]
    return found


def check_shell(tree):
    """shellcheck has no warnings"""
    return run("shellcheck", *tree.shell)


def check_python(tree):
    """Python compiles and pyflakes has no warnings"""
    found = run("pyflakes3", *tree.python)
    for path in tree.python:
        try:
            compile(tree.text(path), path, "exec")
        except SyntaxError as error:
            found.append(f"{path}: {error}")
    return found


def check_schemas(tree):
    """the RELAX NG schemas compile"""
    found = []
    for path in tree.files:
        if path.suffix == ".rng":
            done = subprocess.run(["xmllint", "--noout", "--relaxng", path, path], cwd=ROOT,
                                  capture_output=True, text=True, check=False)
            # 3: the document (here the schema itself, which is no such document) is not valid
            if done.returncode not in (0, 3):
                found += done.stderr.splitlines()
    return found


def check_xml(tree):
    """XML files are well-formed, but for those that tests expect not to be"""
    return [line for path in tree.files
            if path.suffix in (".xml", ".rng", ".xsl") and path.parts[0] != "tests"
            for line in run("xmllint", "--noout", "--nonet", path)]


def check_rst(tree):
    """reStructuredText parses"""
    from docutils.core import publish_string
    from docutils.utils import SystemMessage
    found = []
    for path in tree.files:
        if path.suffix == ".rst":
            try:
                publish_string(tree.text(path), source_path=str(path), writer_name="null",
                               settings_overrides={"halt_level": 2, "report_level": 5})
            except SystemMessage as error:
                found.append(str(error))
    return found


def check_named_tests(tree):
    """the tests that docs/htab-stream.rst names are there"""
    text = " ".join(tree.text("docs/htab-stream.rst").split())
    sources = {str(path): tree.text(path) for path in tree.c_files if path.parts[0] == "tests"}
    names = re.findall(r"\*(/?(?:read|write|kernel|htab)/[^*]+)\*", text)
    found = [] if names else ["docs/htab-stream.rst names no test"]
    for name in names:
        group, _, rest = name.partition("/")
        in_file, literal = {
            "read": ("tests/htab_fd_read.c", f'"{name}"'),
            "write": ("tests/htab_fd_write.c", f'"{name}"'),
            "kernel": ("tests/e2e/powerhost/", f'"/{name}"'),
        }.get(group, ("tests/", f'"{name}"'))
        # Literals with the name of who is tested in them have it in front
        ends = (literal, f'/{group}/{rest}"')
        if not any(end in source for path, source in sources.items() if path.startswith(in_file)
                   for end in ends):
            found.append(f"docs/htab-stream.rst: no test '{name}' in {in_file}")
    return found


def check_links(tree):
    """links within Markdown lead somewhere"""
    return [f"{path}: no '{target}'" for path in tree.files if path.suffix == ".md"
            for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", tree.text(path))
            if "://" not in target and not (ROOT / path.parent / target).exists()]


def check_man_page(tree):
    """the manual page has every command, option and rule of virt-hpt"""
    program = tree.options.build / "tools" / "virt-hpt"
    if not program.exists():
        return [f"{program} was not built"]
    page = tree.text("docs/manpages/virt-hpt.rst")

    def usage(*words):
        done = subprocess.run([program, *words, "--help"], capture_output=True, text=True,
                              check=False, stdin=subprocess.DEVNULL)
        if done.returncode:
            found.append(f"virt-hpt {' '.join(words)} --help: exit status {done.returncode}")
        return done.stdout

    found = []
    commands = re.findall(r"^  ([a-z][a-z-]+)(?:  +\S| [A-Z<\[])", usage(), re.MULTILINE)
    if not commands:
        found.append("virt-hpt --help lists no commands")
    for command in commands:
        if not re.search(rf"^{command}\b.*\n[-~^\"]+$", page, re.MULTILINE):
            found.append(f"the manual page has no section '{command}'")
    for command in ["", *commands]:
        words = [command] if command else []
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", usage(*words)):
            if not re.search(rf"{option}\b", page):
                found.append(f"the manual page has no '{option}' (virt-hpt {command})")
    done = subprocess.run([program, "--json", "check", "--explain", "all"], capture_output=True,
                          text=True, check=True, stdin=subprocess.DEVNULL)
    for rule in json.loads(done.stdout)["rules"]:
        row = rf"^``{rule['rule']}`` +{rule['severity']} +{re.escape(rule['finding'])}$"
        if not re.search(row, page, re.MULTILINE):
            found.append(f"the manual page does not list the rule '{rule['rule']}' as it is")
    return sorted(set(found))


def check_json(tree):
    """the manual page has every member of the JSON that is printed"""
    page = tree.text("docs/manpages/virt-hpt.rst").split("\nJSON\n====\n")[-1].split("\n\n\n")[0]
    known = set(re.findall(r"``([a-z_]+)``", page))
    return [f"{path}: the manual page has no JSON member '{key}'" for path in tree.c_files
            if path.parts[0] == "tools"
            for key in re.findall(r'virtHptJson(?:Add|Begin)\w+\(\w+, "(\w+)"|\\"(\w+)\\":',
                                  tree.text(path)) for key in filter(None, key)
            if key not in known]


def check_whitespace(tree):
    """no trailing white space, no tabs in C, a newline at the end"""
    found = []
    for path in tree.files:
        if path.suffix not in (".c", ".h", ".py", ".sh", ".rst", ".md", ".build", ".rng"):
            continue
        text = tree.text(path)
        if text and not text.endswith("\n"):
            found.append(f"{path}: no newline at the end")
        found += [f"{path}:{number}: white space" for number, line in enumerate(
            text.splitlines(), 1)
            if line != line.rstrip() or ("\t" in line and path.suffix in (".c", ".h"))]
    return found


def main():
    """Run every check, or those named."""
    checks = {name.removeprefix("check_"): function for name, function in globals().items()
              if name.startswith("check_")}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--llvm", default="19", help="version of clang-format and clang-tidy")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "clang",
                        help="a build with clang")
    parser.add_argument("check", nargs="*", choices=[[], *checks], help="default: all")
    tree = Tree(parser.parse_args())
    chosen = tree.options.check or list(checks)
    failed = 0
    print(f"1..{len(chosen)}", flush=True)
    for number, name in enumerate(chosen, 1):
        objections = checks[name](tree)
        failed += bool(objections)
        for line in objections:
            print(f"# {line}")
        print(f"{'not ok' if objections else 'ok'} {number} - {name}: {checks[name].__doc__}",
              flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
