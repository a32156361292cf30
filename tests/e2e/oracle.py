# SPDX-License-Identifier: LGPL-2.1-or-later
"""An independent, slow and simple reader of the HPT in a migration stream or save image.

It shares no code with the project's reader; the tests compare the two.  It stops where the stream
ends to describe itself (the first FULL section after the HPT), so it does not read device state.
"""

from __future__ import annotations

import collections
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SAVE_MAGIC = b"LibvirtQemudSave"
PART_MAGIC = b"LibvirtQemudPart"
FORMATS = ("raw", "gzip", "bzip2", "xz", "lzop", "zstd", "sparse")
NO_HPT = 0xFFFFFFFF
VOLATILE = 0x60     # bits of V that hypervisors use for themselves

# (low 4 bits, next 4 bits, or None for any) of the size encoding in R: (base, actual) shift
_SIZES = {(0, 0): (24, 24), (1, None): (16, 16), (3, 0): (34, 34), (7, None): (12, 16),
          (8, 0): (16, 24), (8, 3): (12, 24)}


class OracleError(Exception):
    """Not what this reader understands."""


@dataclass
class Report:
    """What an image says of itself."""

    kind: str = "stream"
    format: str = "raw"
    machine: str = ""
    stream_offset: int = 0
    declared: list[str] = field(default_factory=list)    # capabilities
    order: int | None = None                             # None: radix
    entries: dict[int, tuple[int, int]] = field(default_factory=dict)
    passes: list[bytes] = field(default_factory=list)    # records of htab PART and END sections
    invalid_runs: int = 0
    repeats: int = 0            # entries sent more than once
    # (section, byte offset in the file): in the order of the file
    sections: list[tuple[str, int]] = field(default_factory=list)
    # byte offset in the file of the last copy of each entry
    where: dict[int, int] = field(default_factory=dict)
    state_offset: int = 0       # of the first FULL section after the HPT
    ended: bool = False         # the htab section has an END

    @property
    def mmu(self) -> str:
        return "radix" if self.order is None else "hash"

    def sizes(self) -> collections.Counter[tuple[int, int]]:
        """How many entries of each (base, actual) page size, as shifts."""
        return collections.Counter(page_size(v, r) for v, r in self.entries.values())

    def count(self, v_bit: int = 0, r_bit: int = 0) -> int:
        """How many entries have those bits."""
        return sum(1 for v, r in self.entries.values()
                   if v & v_bit == v_bit and r & r_bit == r_bit)

    def facts(self) -> dict[str, object]:
        """For people and JSON."""
        facts: dict[str, object] = {"kind": self.kind, "format": self.format,
                                    "machine": self.machine, "mmu": self.mmu}
        if self.order is not None:
            facts["hpt"] = {
                "order": self.order, "slots": 1 << (self.order - 4),
                "valid": len(self.entries), "bolted": self.count(v_bit=1 << 4),
                "secondary": self.count(v_bit=1 << 1),
                "cache_inhibited": self.count(r_bit=1 << 5),
                "page_sizes": [{"base": 1 << base, "actual": 1 << actual, "count": number}
                               for (base, actual), number in sorted(self.sizes().items())],
                "parts": len(self.passes), "invalid_runs": self.invalid_runs, "repeats": self.repeats,
            }
        return facts


def page_size(v: int, r: int) -> tuple[int, int]:
    """(base, actual) page shift of an entry; (0, 0) for a reserved encoding."""
    if not v & 4:
        return 12, 12
    low, high = r >> 12 & 15, r >> 16 & 15
    return _SIZES.get((low, high)) or _SIZES.get((low, None)) or (0, 0)


class _Bytes:
    """Big-endian numbers from a buffer."""

    def __init__(self, data: bytes, offset: int = 0) -> None:
        self.data = data
        self.at = offset

    def take(self, length: int) -> bytes:
        if self.at + length > len(self.data):
            raise OracleError(f"ends at {len(self.data)}")
        self.at += length
        return self.data[self.at - length:self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def name(self) -> str:
        return self.take(self.number(1)).decode()


def _records(source: _Bytes, report: Report) -> None:
    """HPT records up to the end marker."""
    while True:
        index, valid, invalid = source.number(4), source.number(2), source.number(2)
        if (index, valid, invalid) == (0, 0, 0):
            return
        for slot in range(index, index + valid):
            report.repeats += slot in report.where
            report.where[slot] = source.at
            v, r = source.number(8), source.number(8)
            report.entries[slot] = (v & ~VOLATILE, r)
        for slot in range(index + valid, index + valid + invalid):
            report.entries.pop(slot, None)
        report.invalid_runs += invalid > 0


def runs(records: bytes) -> Iterator[tuple[int, int, int]]:
    """Index, valid and invalid slots of each record of a pass."""
    source = _Bytes(records)
    while source.at < len(records):
        index, valid, invalid = source.number(4), source.number(2), source.number(2)
        if (index, valid, invalid) != (0, 0, 0):
            yield index, valid, invalid
        source.take(16 * valid)


def parse_table(data: bytes) -> Report:
    """The 'table' of a record: order, 0, records, end marker."""
    source = _Bytes(data)
    report = Report(order=source.number(4))
    if source.number(4) != 0:
        raise OracleError("no 0 after the order")
    _records(source, report)
    if source.at != len(data):
        raise OracleError(f"{len(data) - source.at} bytes after the end marker")
    return report


def canonical_table(report: Report) -> bytes:
    """What the 'table' of a record must be, byte for byte."""
    out = bytearray(struct.pack(">II", report.order or 0, 0))
    run: list[int] = []
    for slot in [*sorted(report.entries), -1]:
        if run and (slot != run[-1] + 1 or len(run) == 65535):
            out += struct.pack(">IHH", run[0], len(run), 0)
            for member in run:
                out += struct.pack(">QQ", *report.entries[member])
            run = []
        run.append(slot)
    return bytes(out) + bytes(8)


def _ram(source: _Bytes, declared: list[str]) -> None:
    """One ram section's records, up to its end."""
    while True:
        word = source.number(8)
        flags, value = word & 0xFFF, word & ~0xFFF
        if flags & 0x10:
            return
        if flags & 0x04:
            while value > 0:
                source.name()
                length = source.number(8)
                value -= length
                if "x-ignore-shared" in declared:
                    source.number(8)
                if "mapped-ram" in declared:
                    source.take(4 + 8 + 8)
                    source.at = source.number(8) + length
            continue
        if flags & 0x200:
            continue
        if not flags & 0x20:
            source.name()
        if flags & 0x02:
            source.take(1)
        elif flags & 0x08:
            source.take(4096)
        elif flags & 0x40:
            if source.number(1) != 1:
                raise OracleError("xbzrle")
            source.take(source.number(2))
        elif flags & 0x100:
            source.take(source.number(4))
        else:
            raise OracleError(f"ram flags {flags:#x} at {source.at - 8}")


def _htab(source: _Bytes, report: Report, start: bool) -> None:
    """One htab section's body."""
    word = source.number(4)
    if word == NO_HPT:
        return
    if start:
        report.order = word
    elif word != 0:
        raise OracleError(f"htab {word:#x} at {source.at - 4}")
    else:
        begin = source.at
        _records(source, report)
        report.passes.append(source.data[begin:source.at])


def _configuration(source: _Bytes, report: Report) -> None:
    report.machine = source.take(source.number(4)).decode()
    while source.data[source.at] == 5:
        source.take(1)
        name = source.name()
        source.number(4)
        if name == "configuration/capabilities":
            report.declared = [source.name() for _ in range(source.number(4))]
        elif name == "configuration/uuid":
            source.take(16)
        elif name == "configuration/target-page-bits":
            source.number(4)
        else:
            raise OracleError(f"'{name}'")


def _dirty_bitmap(source: _Bytes) -> None:
    """A dirty-bitmap section: chunks up to the one that says EOS."""
    while True:
        flags = source.number(1)
        if flags & 0x80:
            raise OracleError(f"dirty-bitmap flags {flags:#x}")
        for bit in (0x08, 0x04):        # names of device and bitmap
            if flags & bit:
                source.name()
        if flags & 0x10:                # start: granularity, flags
            source.take(5)
        if flags & 0x40:                # bits: sector, count, unless all zeros length and data
            source.take(12)
            if not flags & 0x02:
                source.take(source.number(8))
        if flags & 0x01:
            return


def stream_offset(data: bytes, report: Report) -> int:
    """Where the migration stream starts; fills in what the save image's header says."""
    if data[:16] not in (SAVE_MAGIC, PART_MAGIC):
        return 0
    version, length, _running, form = struct.unpack_from("<4I", data, 16)
    if version > 2:
        _version, length, _running, form = struct.unpack_from(">4I", data, 16)
    report.kind, report.format = "save-image", FORMATS[form]
    return 92 + length


def parse(data: bytes) -> Report:
    """Read an image up to the first device section."""
    report = Report()
    report.stream_offset = stream_offset(data, report)
    if report.format != "raw":
        raise OracleError(f"compressed with {report.format}")
    source = _Bytes(data, report.stream_offset)
    if source.take(8) != b"QEVM\0\0\0\3":
        raise OracleError("no QEVM 3")
    names: dict[int, str] = {}
    while True:
        at = source.at
        kind = source.number(1)
        if kind == 7:
            report.sections.append(("configuration", at))
            _configuration(source, report)
            continue
        if kind == 8:
            report.sections.append(("command", at))
            source.number(2)
            source.take(source.number(2))
            continue
        if kind in (0, 4):
            report.state_offset = at
            return report
        if kind not in (1, 2, 3):
            raise OracleError(f"type {kind} at {at}")
        number = source.number(4)
        if kind == 1:
            names[number] = source.name()
            source.number(8)
        name = names[number]
        report.sections.append((f"{name} {('start', 'part', 'end')[kind - 1]}", at))
        if name == "ram":
            _ram(source, report.declared)
        elif name == "spapr/htab":
            _htab(source, report, kind == 1)
            report.ended |= kind == 3
        elif name == "dirty-bitmap":
            _dirty_bitmap(source)
        else:
            raise OracleError(f"section '{name}' at {at}")
        if source.number(1) != 0x7E or source.number(4) != number:
            raise OracleError(f"no footer at {source.at - 5}")


def read(path: Path) -> Report:
    """parse() of a file."""
    return parse(path.read_bytes())
