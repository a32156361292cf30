# SPDX-License-Identifier: GPL-2.0-or-later
"""Hashed page tables, migration streams and save images, written and read without the code under test.

Sources: Power ISA 2.07 III-S 5.7 (entries, hash); QEMU 7.2 migration/savevm.c, migration/ram.c,
hw/ppc/spapr.c (stream); libvirt 9.0 src/qemu/qemu_saveimage.h (save image).
"""

import struct

MIB = 1 << 20
NO_HPT = 0xFFFFFFFF

B_1T = 1 << 62
BOLTED, LOCK, LARGE, SECONDARY, VALID = 0x10, 0x08, 0x04, 0x02, 0x01

# (base shift, actual shift) -> low bits of RPN, in units of 4 KiB
ENCODINGS = {(24, 24): 0x00, (16, 16): 0x01, (34, 34): 0x03, (12, 16): 0x07, (16, 24): 0x08,
             (12, 24): 0x38}


def hash_of(address, base, segment):
    """The hash of a virtual page, not yet cut to a table's size."""
    vsid, offset = address >> segment, address & ((1 << segment) - 1)
    value = vsid ^ (offset >> base)
    return value ^ (vsid << 25) if segment == 40 else value


def entry(address, real, size=(16, 16), order=18, segment=40, place=0, low=0x196, **flags):
    """(slot, V, R) of an entry where a guest's MMU would look for it.

    place is 0..7 in the primary PTEG, 8..15 in the secondary one; low is the low 12 bits of R.
    """
    base, actual = size
    mask = (1 << (order - 7)) - 1
    pteg = hash_of(address, base, segment)
    v = (address >> 23 << 7) | VALID
    # AVPN bits below the base page size are not kept
    v &= ~((1 << max(0, base - 23)) - 1 << 7)
    if segment == 40:
        v |= B_1T
    if place >= 8:
        pteg = ~pteg
        v |= SECONDARY
    r = real & ~((1 << actual) - 1) | low
    if size != (12, 12):
        v |= LARGE
        r |= ENCODINGS[size] << 12
    if flags.get("bolted"):
        v |= BOLTED
    if flags.get("lock"):
        v |= LOCK
    return (pteg & mask) * 8 + place % 8, v, r


def runs(table):
    """(first slot, [(V, R)...]) of neighbours in a dict slot -> (V, R)."""
    run = []
    for slot in sorted(table):
        if run and slot == run[0] + len(run[1]) and len(run[1]) < 65535:
            run[1].append(table[slot])
        else:
            if run:
                yield tuple(run)
            run = [slot, [table[slot]]]
    if run:
        yield tuple(run)


def records(table):
    """The records of a table and the end marker, as QEMU writes them."""
    out = b""
    for slot, entries in runs(table):
        out += struct.pack(">IHH", slot, len(entries), 0)
        out += b"".join(struct.pack(">QQ", v, r) for v, r in entries)
    return out + bytes(8)


def read_records(data, little=False, end_marker=True):
    """dict slot -> (V, R); the opposite of records(), also for the kernel's encodings."""
    table, at = {}, 0
    while at < len(data):
        slot, valid, invalid = struct.unpack_from("<IHH" if little else ">IHH", data, at)
        at += 8
        if (slot, valid, invalid) == (0, 0, 0):
            assert end_marker and at == len(data), "bytes behind the end marker"
            return table
        for i in range(valid):
            table[slot + i] = struct.unpack_from(">QQ", data, at)
            at += 16
    assert not end_marker, "no end marker"
    return table


def text(value):
    """A string with its length in a byte."""
    value = value if isinstance(value, bytes) else value.encode()
    return struct.pack("B", len(value)) + value


def section(kind, number, body, name=None, version=0):
    """A section with its footer; a start or a full one has a name."""
    head = struct.pack(">BI", kind, number)
    if name:
        head += text(name) + struct.pack(">II", 0, version)
    return head + body + struct.pack(">BI", 0x7E, number)


def stream(table=None, order=18, ram=32 * MIB, machine="pseries-7.2", blocks=None):
    """A migration stream; table is a dict slot -> (V, R), order NO_HPT a radix guest."""
    machine = machine if isinstance(machine, bytes) else machine.encode()
    blocks = blocks or [("ppc_spapr.ram", ram)]
    sizes = b"".join(text(name) + struct.pack(">Q", length) for name, length in blocks)
    total = sum(length for _, length in blocks)
    eos = struct.pack(">Q", 0x10)
    radix = order == NO_HPT
    out = b"QEVM" + struct.pack(">IBI", 3, 7, len(machine)) + machine
    out += section(1, 2, struct.pack(">Q", total | 0x04) + sizes + eos, "ram", 4)
    out += section(1, 3, struct.pack(">I", order), "spapr/htab", 1)
    out += section(3, 2, eos)
    out += section(3, 3, struct.pack(">I", NO_HPT if radix else 0) +
                   (b"" if radix else records(table or {})))
    out += section(4, 4, bytes(16), "timer", 2)
    description = b'{"page_size": 4096, "devices": []}'
    return out + b"\0" + struct.pack(">BI", 6, len(description)) + description


def save_image(payload, xml=b"<domain type='kvm'><name>guest</name></domain>", form=0,
               magic=b"LibvirtQemudSave"):
    """A save image of libvirt with that stream."""
    data = xml + b"\0"
    return magic + struct.pack("<5I", 2, len(data), 1, form, 0) + bytes(56) + data + payload


def good_table(count=16, order=18):
    """A table that a guest could have built, half of it bolted."""
    table = {}
    for i in range(count):
        slot, v, r = entry(0xC0000000000 * 0x1000 + (i << 16), i << 16, order=order,
                           bolted=i % 2 == 0)
        table[slot] = (v, r)
    assert len(table) == count
    return table
