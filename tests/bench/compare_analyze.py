#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virt-hpt check beside QEMU's scripts/analyze-migration.py, on the same images.

Each image is read as it is, with one bit of one HPT entry flipped, and cut off within the table.
Prints for each tool the exit status, CPU time (the median of the runs, which alternate), peak of
memory, and what it says of the table.  Nothing is asserted.

Debian ships QEMU's script in no binary package.  --script names it, or --fetch gets it out of the
source package of a release, through apt with apt's own signature checks, in a private directory;
only that one file is unpacked.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.dont_write_bytecode = True

from e2e import oracle  # noqa: E402

MEMBER = "scripts/analyze-migration.py"


@dataclass
class Run:
    """What came of one command."""

    status: int
    seconds: float      # on a CPU
    kib: int            # the most memory
    output: str
    errors: str


def fetch(work, release):
    """The script, of a release's qemu source package."""
    lines = subprocess.run([HERE.parent / "apt-sources", release], check=True,
                           capture_output=True, text=True).stdout.splitlines()
    sources = work / "sources.list"
    sources.write_text("".join(line.replace("deb ", "deb-src ", 1) + "\n" for line in lines))
    for directory in ("lists", "cache/archives"):
        (work / directory / "partial").mkdir(parents=True)
    apt = ["apt-get", "-q", "-o", f"Dir::Etc::sourcelist={sources}",
           "-o", "Dir::Etc::sourceparts=/dev/null", "-o", f"Dir::State::lists={work}/lists",
           "-o", f"Dir::Cache={work}/cache", "-o", "APT::Sandbox::User=root"]
    for command in (["update"], ["source", "--download-only", "qemu"]):
        subprocess.run(apt + command, check=True, cwd=work, stdout=subprocess.DEVNULL)
    archive = next(work.glob("qemu_*.orig.tar.*"))
    subprocess.run(["tar", "-xf", archive, "--strip-components=2", "--wildcards", f"*/{MEMBER}"],
                   check=True, cwd=work)
    return work / Path(MEMBER).name


def peak(pid):
    """The most memory that a process has had, in KiB, or 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines()
                 if line.startswith("VmHWM")), 0)


def run(command):
    """Run a command to its end."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err) as child:
            kib, done = 0, 0
            while not done:
                # rusage would count what this interpreter has had: the child was a copy of it
                kib = max(kib, peak(child.pid))
                done, status, usage = os.wait4(child.pid, os.WNOHANG)
                time.sleep(0.001)
            child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        return Run(child.returncode, usage.ru_utime + usage.ru_stime, kib,
                   out.read().decode(errors="replace"), err.read().decode(errors="replace"))


def variants(image, work):
    """The image, and copies that are damaged."""
    yield "as it is", image
    where = oracle.read(image).where
    if not where:
        return
    at = sorted(where.values())[len(where) // 2]
    flipped, cut = work / "flipped", work / "cut"
    shutil.copyfile(image, flipped)
    with open(flipped, "r+b") as file:
        file.seek(at + 6)
        byte = file.read(1)[0]
        file.seek(at + 6)
        file.write(bytes([byte ^ 1]))
    yield "one bit of an entry flipped, of those that its hash covers", flipped
    shutil.copyfile(image, cut)
    os.truncate(cut, at + 8)
    yield "cut off within the table", cut


def last_line(text):
    """The beginning of the last line that is not empty: it may be a whole JSON document."""
    return next((line.strip()[:120] for line in reversed(text.splitlines()) if line.strip()), "")


def about_table(result):
    """What analyze-migration.py prints for the sections of the table."""
    if result.status != 0:
        # The first exception is the reason; the last one of newer versions prints all they know
        reason = re.search(r"^\w*(Error|Exception)\b.*", result.errors, re.MULTILINE)
        return reason[0][:200] if reason else last_line(result.errors)
    lines = [line.strip().rstrip(",") for line in result.output.splitlines()
             if '"spapr/htab' in line]
    return " ".join(lines) or "nothing"


def verdict(result):
    """What virt-hpt check prints."""
    return last_line(result.errors) or last_line(result.output)


def compare(tools, path, runs):
    """Run the tools in turn, and print a line each."""
    results = {name: [] for name in tools}
    for _ in range(runs):
        for name, (command, _) in tools.items():
            results[name].append(run([*command, path]))
        # An image that is taken away meanwhile would make a tool quick
        if any(len({result.status for result in done}) > 1 for done in results.values()):
            raise SystemExit(f"compare_analyze: '{path}': not the same exit status each time")
    medians = {}
    for name, (_, describe) in tools.items():
        medians[name] = statistics.median(result.seconds for result in results[name])
        most = max(result.kib for result in results[name])
        print(f"  {name}: exit status {results[name][0].status}, {medians[name]:.3f} s, "
              f"{most / 1024:.0f} MiB: {describe(results[name][0])}")
    if results["analyze-migration.py"][0].status == 0:
        ours, theirs = medians.values()
        print(f"  ratio of the times: 1/{theirs / ours:.0f}", flush=True)


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--virt-hpt", type=Path, metavar="PATH",
                        default=HERE.parent.parent / "build/release/tools/virt-hpt")
    parser.add_argument("--script", type=Path, metavar="PATH", help="QEMU's script")
    parser.add_argument("--fetch", metavar="CODENAME",
                        help="get it through apt, of that Debian release")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    options = parser.parse_args()
    if not options.script and not options.fetch:
        print("compare_analyze: QEMU's analyze-migration.py is in no binary package: name it with "
              "--script, or get it with --fetch", file=sys.stderr)
        return 1
    if not shutil.which(options.virt_hpt):
        print(f"compare_analyze: no program '{options.virt_hpt}': ./run-tests release builds it, or "
              "name one with --virt-hpt", file=sys.stderr)
        return 1
    for path in (*options.images, *([options.script] if options.script else [])):
        if not path.is_file():
            print(f"compare_analyze: no file '{path}'", file=sys.stderr)
            return 1
    if options.runs < 1:
        print("compare_analyze: --runs takes a number from 1 on", file=sys.stderr)
        return 64
    with tempfile.TemporaryDirectory(prefix="compare.") as name:
        work = Path(name)
        script = options.script or fetch(work, options.fetch)
        tools = {"virt-hpt check": ([options.virt_hpt, "check"], verdict),
                 "analyze-migration.py": ([sys.executable, script, "-f"], about_table)}
        for image in options.images:
            print(f"{image.name}, {image.stat().st_size / (1 << 20):.1f} MiB")
            try:
                for about, path in variants(image, work):
                    print(f" {about}")
                    compare(tools, path, options.runs)
            except oracle.OracleError as error:
                print(f" not damaged, since it has no table that can be read: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
