#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Test results of several sources, one line a test case: suite, verdict, name, note.

  results.py meson SUITE DIR LOG.json...  read meson's log; print failures in full
  results.py tap SUITE DIR FILE STATUS    read TAP and the exit status of what wrote it
  results.py case SUITE DIR VERDICT NAME [NOTE]
  results.py merge SUITE DIR OTHER-DIR    take over the results of a run elsewhere
  results.py summary DIR                  the table, what failed, what was skipped, the last line

DIR holds SUITE.tsv and SUITE.seconds.  A test case is a TAP line where a program speaks TAP, else the
whole program.
"""

import json
import re
import sys
from pathlib import Path

PASS, FAIL, SKIP = "pass", "fail", "skip"
TAP_LINE = re.compile(r"(not )?ok\b\s*(\d*)\s*(?:- )?(.*)")
DIRECTIVE = re.compile(r"(.*?)\s*(?<!\\)#\s*(skip|todo)\b[:\s]*(.*)", re.IGNORECASE)


def parse_tap(text):
    """The cases in text, and what is wrong with the TAP itself (or None)."""
    cases, plan, fault = [], None, None
    for line in text.splitlines():
        if line.startswith("Bail out!"):
            fault = line
            continue
        match = re.match(r"1\.\.(\d+)\s*(?:#\s*(.*))?$", line)
        if match:
            plan = int(match[1])
            if plan == 0:
                cases.append((SKIP, "all", re.sub(r"(?i)^skip\S*\s*", "", match[2] or "no tests")))
                plan = 1
            continue
        match = TAP_LINE.match(line)
        if not match:
            continue
        verdict = FAIL if match[1] else PASS
        name, note = match[3], ""
        directive = DIRECTIVE.match(name)
        if directive:
            name, note = directive[1], directive[3]
            if directive[2].lower() == "skip":
                verdict = SKIP
            elif verdict == FAIL:
                verdict, note = SKIP, f"known to fail: {note}"
        cases.append((verdict, name or match[2], note))
    if fault is None and plan is None:
        fault = "no plan: the program ended early"
    elif fault is None and plan != len(cases):
        fault = f"{plan} tests planned, {len(cases)} run"
    return cases, fault


def write(suite, directory, cases):
    """Append cases to the suite's file."""
    Path(directory).mkdir(parents=True, exist_ok=True)
    with open(Path(directory) / f"{suite}.tsv", "a", encoding="utf-8") as out:
        for case in cases:
            out.write("\t".join(re.sub(r"[\t\r\n]+", " ", field) for field in (suite, *case)) + "\n")


def read(directory):
    """All cases below directory, in the order of the files' making."""
    files = sorted(Path(directory).glob("*.tsv"), key=lambda path: path.stat().st_ctime_ns)
    return [line.rstrip("\n").split("\t") for path in files
            for line in path.read_text(encoding="utf-8").splitlines()]


def meson_cases(entry):
    """The cases of one test in meson's log."""
    name = entry["name"].split(" / ")[-1]
    result, out = entry["result"], entry.get("stdout") or ""
    good = result in ("OK", "EXPECTEDFAIL")
    if re.search(r"^(1\.\.\d+|(not )?ok\b|TAP version)", out, re.MULTILINE):
        cases, fault = parse_tap(out)
        cases = [(verdict, f"{name}: {case}", note) for verdict, case, note in cases]
        if fault and not good:
            cases.append((FAIL, name, f"{fault}; exit status {entry.get('returncode')}"))
        elif not good and result != "SKIP" and not any(case[0] == FAIL for case in cases):
            cases.append((FAIL, name, f"{result}, exit status {entry.get('returncode')}"))
        return cases
    if good:
        return [(PASS, name, "")]
    if result == "SKIP":
        return [(SKIP, name, out.strip().splitlines()[-1] if out.strip() else "")]
    return [(FAIL, name, f"{result}, exit status {entry.get('returncode')}")]


def meson(suite, directory, *logs):
    """Take over meson's logs; print all that failing tests said."""
    for log in logs:
        for line in Path(log).read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            cases = meson_cases(entry)
            write(suite, directory, cases)
            if any(case[0] == FAIL for case in cases):
                print(f"--- {suite}: {entry['name']}: {' '.join(entry.get('command', []))}")
                print(entry.get("stdout") or "")
                print(entry.get("stderr") or "")
                print(f"--- end of {entry['name']}: {entry['result']}")


def tap(suite, directory, path, status):
    """Take over a TAP file."""
    cases, fault = parse_tap(Path(path).read_text(encoding="utf-8", errors="replace"))
    if fault:
        cases.append((FAIL, suite, fault))
    elif status != "0" and not any(case[0] == FAIL for case in cases):
        cases.append((FAIL, suite, f"exit status {status}"))
    write(suite, directory, cases)


def merge(suite, directory, other):
    """Take over the results of another run."""
    write(suite, directory, [(verdict, f"{inner}: {name}", note)
                             for inner, verdict, name, note in read(other)])


def summary(directory):
    """Print all; exit 1 unless something passed and nothing failed."""
    cases = read(directory)
    suites = list(dict.fromkeys(case[0] for case in cases))
    width = max([len(suite) for suite in suites] + [5])
    for title, verdict in (("Failed", FAIL), ("Skipped", SKIP)):
        chosen = [case for case in cases if case[1] == verdict]
        if chosen:
            print(f"\n{title}:")
            for suite, _, name, note in chosen:
                print(f"  {suite}: {name}" + (f" ({note})" if note else ""))
    print(f"\n{'suite':<{width}}  passed  failed  skipped   seconds")
    for suite in suites:
        counts = [sum(case[0] == suite and case[1] == verdict for case in cases)
                  for verdict in (PASS, FAIL, SKIP)]
        seconds = Path(directory) / f"{suite}.seconds"
        took = seconds.read_text(encoding="ascii").strip() if seconds.exists() else "-"
        print(f"{suite:<{width}}  {counts[0]:6}  {counts[1]:6}  {counts[2]:7}  {took:>8}")
    passed, failed, skipped = (sum(case[1] == verdict for case in cases)
                               for verdict in (PASS, FAIL, SKIP))
    print(f"\n{passed} passed, {failed} failed, {skipped} skipped")
    return 0 if passed and not failed else 1


def main(argv):
    """Dispatch."""
    if len(argv) >= 4 and argv[1] == "meson":
        meson(*argv[2:])
    elif len(argv) == 6 and argv[1] == "tap":
        tap(*argv[2:])
    elif len(argv) in (6, 7) and argv[1] == "case":
        write(argv[2], argv[3], [(argv[4], argv[5], argv[6] if len(argv) == 7 else "")])
    elif len(argv) == 5 and argv[1] == "merge":
        merge(*argv[2:])
    elif len(argv) == 3 and argv[1] == "summary":
        return summary(argv[2])
    else:
        print(__doc__, file=sys.stderr)
        return 64
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
