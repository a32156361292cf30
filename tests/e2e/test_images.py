# SPDX-License-Identifier: LGPL-2.1-or-later
"""Proves that the images are what their names say, by the independent reader alone.

Requires no tool: these are the tests of the tests."""

from . import images, oracle
from .support import TestCase, each, facts, image, report

READABLE = tuple(name for name, kind in images.IMAGES.items() if kind.expect == images.READ)


class Images(TestCase):
    """What a guest says of itself and what its image says agree."""

    @each(*READABLE)
    def image_agrees_with_its_guest(self, name: str) -> None:
        known, read = facts(name), report(name)
        self.assertEqual(read.kind, known["kind"])
        self.assertEqual(read.mmu, known["mmu"])
        self.assertEqual(read.order, known["order"])
        self.assertTrue(read.ended)
        if known["guest"]:
            self.assertEqual(known["guest"]["mmu"].lower(), read.mmu)
        if known["guest"] and read.order is not None:
            self.assertEqual(int(known["guest"]["pft"]), read.order)
            self.assertGreater(len(read.entries), 1000)
            self.assertGreater(read.count(v_bit=0x10), 1000)
        if known["config"]["firmware_only"]:
            self.assertEqual(read.entries, {})

    def test_live_streams_repeat_the_table(self) -> None:
        for name in ("stream-live", "stream-xbzrle"):
            read = report(name)
            self.assertGreater(len(read.passes), 2, name)
            self.assertGreater(read.invalid_runs, 0, name)
            self.assertGreater(read.repeats, 0, name)

    def test_background_snapshot_is_torn(self) -> None:
        self.assertFalse(report("stream-background").ended)

    def test_postcopy_is_advised(self) -> None:
        names = [name for name, _at in report("stream-postcopy").sections]
        self.assertIn("command", names)

    def test_ignore_shared_is_declared(self) -> None:
        self.assertEqual(report("stream-ignore-shared").declared, ["x-ignore-shared"])

    def test_managed_saves_differ(self) -> None:
        first, second = report("save-managed"), report("save-managed-next")
        self.assertEqual(first.order, second.order)
        self.assertNotEqual(first.entries, second.entries)

    @each(*(name for name in images.IMAGES if name.removeprefix("save-") in images.COMPRESSED))
    def image_is_compressed(self, name: str) -> None:
        known = oracle.Report()
        oracle.stream_offset(image(name).read_bytes()[:92], known)
        self.assertEqual(known.format, facts(name)["format"])
