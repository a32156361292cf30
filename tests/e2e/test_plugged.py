# SPDX-License-Identifier: LGPL-2.1-or-later
"""Proves that the entries of a guest with plugged memory are checked against where that memory is.
Boots a guest under libvirt (root)."""

import json
import re
from dataclasses import replace
from pathlib import Path

from . import images, oracle
from .snapshotcase import shared_host
from .support import GOOD, TestCase
from .test_dryrun import replaced, set_xml

WARNED = 3
MIB = 1 << 20
DIMM = 256

MEMORY = f"""\
<memory model='dimm'><target><size unit='MiB'>{DIMM}</size><node>0</node></target></memory>
<memballoon"""
NUMA = "<numa><cell id='0' cpus='0' memory='{}' unit='MiB'/></numa></cpu>"


class Plugged(TestCase):
    """check of a guest with a DIMM"""

    def save(self) -> Path:
        """A save image of such a guest."""
        host = shared_host()
        config = replace(images.LV8, name="plugged", max_mem_mib=4 * images.LV8.mem_mib)
        guest = host.define(config)
        xml = guest.xml().replace("<memballoon", MEMORY)
        xml = xml.replace("</cpu>", NUMA.format(config.mem_mib))
        host.connection.defineXML(xml)
        guest.start()
        guest.wait_ready()
        path = guest.save(self.work / "plugged.save")
        guest.undefine()
        return path

    def test_plugged_memory_is_ram(self) -> None:
        path = self.save()
        data = path.read_bytes()
        match = re.search(rb"<address type='dimm' slot='0' base='(0x[0-9a-f]+)'/>", data)
        self.assertIsNotNone(match)
        base = int(match[1], 16)
        self.assertGreaterEqual(base, images.LV8.mem_mib * MIB)

        # The guest uses it
        real = [r & (1 << 60) - 1 & ~0xFFF for _v, r in oracle.parse(data).entries.values()]
        inside = [address for address in real if base <= address < base + DIMM * MIB]
        self.assertGreater(len(inside), DIMM // 16)
        result = self.expect(GOOD, "check", path)
        self.assertIn(" 0 errors, 0 warnings, 0 notes", result.out)

        # Were it elsewhere, these entries would map nothing
        set_xml(path, replaced(f"base='{base:#x}'", f"base='{base << 1:#x}'"))
        rules = json.loads(self.expect(WARNED, "--json", "check", path).out)["rules"]
        self.assertEqual(rules, {"rpn-range": len(inside)})
