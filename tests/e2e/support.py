# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the test modules share: the tool under test, the images, a place to work, TAP."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import unittest
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Callable, Iterator

from . import assets, images, oracle

GOOD, COULD_NOT, BAD, WARNINGS, UNSUPPORTED, USAGE = 0, 1, 2, 3, 63, 64


@dataclass
class Context:
    """Set once by run."""

    tool: Path = Path("build/tools/virt-hpt")
    images: Path = Path()
    work: Path = Path()
    long: bool = False      # take the time to try everything


CONTEXT = Context()


@dataclass
class Result:
    """How the tool ended and what it said."""

    command: str
    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err

    def json(self) -> Any:
        """stdout as one JSON document."""
        return json.loads(self.out)

    def numbers(self) -> set[int]:
        """Every number in the output, decimal or hexadecimal."""
        return {int(word, 0) for word in re.findall(r"\b(?:0x[0-9a-fA-F]+|0|[1-9][0-9]*)\b",
                                                    self.text)}

    def __str__(self) -> str:
        return f"{self.command}: exit {self.code}\n{self.out[-1500:]}\n{self.err[-1500:]}"


def run_tool(*arguments: str | Path, timeout: float = 120) -> Result:
    """Run virt-hpt."""
    argv = [str(CONTEXT.tool), *map(str, arguments)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL, env=dict(os.environ, LC_ALL="C.UTF-8"))
    return Result(" ".join(argv), done.returncode, done.stdout, done.stderr)


def facts(name: str) -> dict[str, Any]:
    """What is known of an image; the test is skipped if it cannot be made here."""
    known = images.load_facts(CONTEXT.images, name)
    if "unavailable" in known:
        raise unittest.SkipTest(known["unavailable"])
    return known


def image(name: str) -> Path:
    """An image; not to be changed, and nothing to be written beside it."""
    facts(name)
    return CONTEXT.images / name


@lru_cache(maxsize=None)
def report(name: str) -> oracle.Report:
    """What the independent reader says of an image."""
    return oracle.read(image(name))


def copy(source: Path, target: Path, length: int | None = None) -> Path:
    """A copy of (the first length bytes of) a file, sharing blocks where the file system can."""
    subprocess.run(["cp", "--reflink=auto", source, target], check=True)
    if length is not None:
        os.truncate(target, length)
    return target


def flip(path: Path, offset: int, bit: int = 0) -> None:
    """Change one bit of a file."""
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1 << bit]))


def payload(path: Path) -> bytes:
    """A record's payload, decompressed if it is compressed."""
    data = path.read_bytes()
    if data[:4] == b"\x28\xb5\x2f\xfd":
        data = subprocess.run(["zstd", "-dc", path], check=True, capture_output=True).stdout
    return data


def page_bytes(value: int | str) -> int:
    """A page size in bytes, from bytes or from a number with K, M or G."""
    if isinstance(value, int):
        return value
    match = re.fullmatch(r"(\d+)\s*([KMG]?)(?:i?B)?", value)
    if match is None:
        raise ValueError(f"'{value}' is no page size")
    return int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[match[2]]


def each(*names: str) -> Callable[[Callable[[Any, str], None]], Callable[[Any, str], None]]:
    """Decorator: one test per image; TestCase.expand() makes them."""
    def mark(function: Callable[[Any, str], None]) -> Callable[[Any, str], None]:
        function.images = names  # type: ignore[attr-defined]
        return function
    return mark


class TestCase(unittest.TestCase):
    """With a directory of its own and tests that are made for each of several images."""

    def __init_subclass__(cls) -> None:
        for name, function in list(vars(cls).items()):
            for label in getattr(function, "images", ()):
                def test(self: TestCase, label: str = label, function: Any = function) -> None:
                    function(self, label)
                setattr(cls, f"test_{name}[{label}]", test)

    def setUp(self) -> None:
        self.work = Path(tempfile.mkdtemp(dir=CONTEXT.work))
        self.addCleanup(shutil.rmtree, self.work, ignore_errors=True)

    def expect(self, code: int, *arguments: str | Path) -> Result:
        """Run the tool and check how it ends."""
        result = run_tool(*arguments)
        self.assertEqual(result.code, code, result)
        return result

    def assert_error_json(self, result: Result) -> None:
        """The form of a failure with --json."""
        document = result.json()
        self.assertEqual(document["schema"], 1, result)
        self.assertTrue(document["error"]["code"], result)
        self.assertTrue(document["error"]["message"], result)


@contextmanager
def workspace(where: Path | None) -> Iterator[Path]:
    """A directory for the run: where, kept; or one in the cache that goes afterwards, as do those
    of runs that were killed."""
    if where is not None:
        where.mkdir(parents=True, exist_ok=True)
        yield where.resolve()
        return
    base = assets.cache_dir()
    for old in base.glob("work.*"):
        handle = os.open(old, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(old, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(handle)
    path = Path(tempfile.mkdtemp(prefix="work.", dir=base))
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(handle)


class TapResult(unittest.TestResult):
    """Prints TAP as the tests end."""

    def __init__(self) -> None:
        super().__init__()
        self.number = 0
        self.began = 0.0

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self.began = time.monotonic()

    @staticmethod
    def name(test: unittest.TestCase) -> str:
        """module.Class.behaviour"""
        return test.id().removeprefix("e2e.test_").replace(".test_", ".")

    def _line(self, state: str, test: unittest.TestCase, more: str = "") -> None:
        self.number += 1
        print(f"{state} {self.number} - {self.name(test)}{more}\n"
              f"# after {time.monotonic() - self.began:.1f} s", flush=True)

    def _failed(self, test: unittest.TestCase, error: Any) -> None:
        self._line("not ok", test)
        for line in "".join(traceback.format_exception(*error)).splitlines():
            print(f"# {line}", flush=True)

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        self._line("ok", test)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        self._line("ok", test, f" # SKIP {reason}")

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addFailure(test, err)
        self._failed(test, err)

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        raise RuntimeError("TAP has one line for a test: gather failures instead of subTest()")

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        super().addError(test, err)
        if isinstance(test, unittest.TestCase):
            self._failed(test, err)
        else:
            traceback.print_exception(*err, file=sys.stdout)
