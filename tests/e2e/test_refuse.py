# SPDX-License-Identifier: LGPL-2.1-or-later
"""Proves that what cannot be read is refused: by name if it is recognised, with the byte offset if
it ends too soon; and that nothing is written then.  Requires images of real guests (root)."""

from __future__ import annotations

import os
import re
import shutil

from . import images, oracle
from .support import (BAD, COULD_NOT, GOOD, UNSUPPORTED, TestCase, copy, each, image, report,
                      run_tool)

REFUSED = tuple(name for name, kind in images.IMAGES.items() if kind.expect == images.UNSUPPORTED)


def truncations(name: str) -> list[tuple[str, int]]:
    """Where to cut an image off: every part of it, and every kind of field in the table."""
    read, size = report(name), image(name).stat().st_size
    places = [("empty", 0), ("magic", 7)]
    if read.stream_offset:
        places += [("header", 40), ("xml", read.stream_offset // 2),
                   ("before the stream", read.stream_offset)]
    places += [("stream magic", read.stream_offset + 5),
               ("configuration", read.stream_offset + 20)]
    starts = dict(reversed(read.sections))
    table = max(at for section, at in read.sections if section.startswith("spapr/htab"))
    entry = sorted(read.where)[len(read.where) // 2]
    places += [("block list", starts["ram start"] + 40),
               ("ram", (starts["spapr/htab start"] + table) // 2),
               ("table's order", starts["spapr/htab start"] + 25),
               ("first record", min(read.where.values()) - 5),
               ("entry", read.where[entry] + 9),
               ("after the table", max(at + 16 for at in read.where.values())),
               ("first device", read.state_offset + 10),
               ("devices", (read.state_offset + size) // 2),
               ("description", size - 100), ("last byte", size - 1)]
    return places


def byte_offsets(text: str) -> list[int]:
    """The offsets that a message names, as 'byte 123' or 'offset 123'."""
    return [int(number) for number in re.findall(r"\b(?:byte|offset) (\d+)", text)]


class Refuse(TestCase):
    """What the tool must not accept."""

    @each(*REFUSED)
    def unsupported_image_is_named_as_such(self, name: str) -> None:
        path = image(name)
        for command in ("inspect", "check", "record"):
            result = self.expect(UNSUPPORTED, command, path)
            self.assertTrue(result.err.strip(), result)
        self.assertFalse(path.with_name(f"{name}.hpt").exists())
        self.assert_error_json(self.expect(UNSUPPORTED, "inspect", path, "--json"))

    @each(*(name for name in REFUSED if name.removeprefix("save-") in images.COMPRESSED))
    def compression_is_named(self, name: str) -> None:
        result = self.expect(UNSUPPORTED, "inspect", image(name))
        self.assertIn(name.removeprefix("save-"), result.err)

    @each("save-running", "stream-live", "stream-power9")
    def truncated_image_is_refused_at_its_end(self, name: str) -> None:
        place = self.work / "cut"
        failures = []
        for what, length in truncations(name):
            place.mkdir()
            path = copy(image(name), place / "image", length)
            for command in ("check", "record"):
                result = run_tool(command, path)
                wrong = [complaint for complaint, true in (
                    ("accepted", result.code == GOOD),
                    ("crashed", result.code > 64 or result.code < 0),
                    ("names no byte offset", not any(0 <= number <= length for number in
                                                     byte_offsets(result.text))),
                    ("left files", os.listdir(place) != ["image"])) if true]
                if wrong:
                    failures.append(f"cut in {what} at {length}: {', '.join(wrong)}: {result}")
            shutil.rmtree(place)
        self.assertEqual(failures, [], "\n".join(failures))

    def test_torn_table_is_refused(self) -> None:
        path = image("stream-background")
        for command in ("inspect", "check", "entry-list", "record"):
            result = run_tool(command, path)
            bad = (BAD,) if command == "check" else ()
            self.assertIn(result.code, (COULD_NOT, UNSUPPORTED, *bad), result)
            self.assertTrue(result.err.strip(), result)
        self.assertFalse(path.with_name("stream-background.hpt").exists())

    def test_a_stream_without_the_tables_end_is_refused(self) -> None:
        data = bytearray(image("stream-power8").read_bytes())
        read = oracle.parse(bytes(data))
        ends = [at for section, at in read.sections if section == "spapr/htab end"]
        # The END becomes a PART: the same body, but the table is never finished
        data[ends[0]] = 2
        path = self.work / "image"
        path.write_bytes(data)
        self.assertNotEqual(run_tool("inspect", path).code, GOOD)

    def test_other_files_are_not_images(self) -> None:
        for content in (b"", b"\0" * 4096, b"#!/bin/sh\n", os.urandom(70000)):
            path = self.work / "image"
            path.write_bytes(content)
            result = run_tool("inspect", path)
            self.assertNotEqual(result.code, GOOD, result)
            self.assertLess(result.code, 64, result)
            self.assertTrue(result.err.strip())
