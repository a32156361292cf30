#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes entries.txt: what entries at given slots must decode to.

Nothing is decoded here.  An entry is built forwards, from a virtual address that was chosen, as
Linux does (hpt_hash() and hpte_encode_avpn() in arch/powerpc/include/asm/book3s/64/mmu-hash.h).
For the entries of a real guest (Linux 6.1 under KVM on POWER9) the address is the only one of all
candidates whose forward hash gives the slot.
"""

import sys

# base, actual: penc, the encoding in RPN
PENC = {(12, 12): None, (12, 16): 0x7, (12, 24): 0x38, (16, 16): 0x1, (16, 24): 0x8, (24, 24): 0x0,
        (34, 34): 0x3}

REAL = [  # slot, V, R; order 22, 64K pages
    (0x1448, 0x40046E93B0001105, 0x1F1C1196), (0x10000, 0x400EA1B217001215, 0x12171194),
    (0x16409, 0x4007CA2C8F008005, 0x60100220311AC), (0x19000, 0x400EA1B217000015, 0x8000000000171192),
    (0x27C28, 0x400FDBC2B3FF8D05, 0x26C1113), (0x28C80, 0x3AF4DF51B0005, 0x1F9F1113),
    (0x28CB0, 0x3AF4DF51B0005, 0x1FA81197), (0x28E38, 0xF2B1F51E0005, 0x1FAC1196),
    (0x30007, 0x4001FFFFFF001F95, 0x1FFF1190), (0x3D398, 0x4009287A77000005, 0x8000000004081196),
]


def forward_hash(va, s, p):
    vsid, off = va >> s, va & ((1 << s) - 1)
    h = vsid ^ (off >> p)
    return h ^ (vsid << 25) if s == 40 else h


def pteg(va, s, p, order, secondary):
    h = forward_hash(va, s, p)
    return (~h if secondary else h) & ((1 << (order - 7)) - 1)


def build(va, s, size, order, secondary, member, real, stray=0):
    p, actual = size
    v = (1 if s == 40 else 0) << 62 | (va >> 23 >> max(0, p - 23) << max(0, p - 23) | stray) << 7 | 0x11
    r = real | 0x196
    if PENC[size] is not None:
        v |= 4
        r |= PENC[size] << 12
    if secondary:
        v |= 2
    return pteg(va, s, p, order, secondary) * 8 + member, v, r


def line(v, r, slot, order, size, real, va):
    size = "%d/%d" % size if isinstance(size, tuple) else size
    va = "0x%016x" % va if isinstance(va, int) else va
    print("%016x %016x %x %d %s %s %s" % (v, r, slot, order, size, real if real == "-" else "%x" % real, va))


def main():
    print("# SPDX-License-Identifier: LGPL-2.1-or-later")
    print("# Written by make_entries.py")
    print("# V R slot order base/actual|invalid real-address virtual-address|none")
    n = 0
    for s, vsids in ((28, (0x1, 0xF2B1F51E, 0x3FFFFFFFFFFFF)), (40, (0x1, 0x12345678, 0x3FFFFFFFFF))):
        for size in PENC:
            p, actual = size
            if p > s:
                continue
            for vsid in vsids:
                for order in (18, 22, 27, 46):
                    for secondary in (0, 1):
                        n += 1
                        off = (n * 0x9E3779B97F4A7C15 >> 20) & ((1 << s) - 1) >> p << p
                        va = vsid << s | off
                        real = (n * 0xD1342543DE82EF95 & ((1 << 50) - 1)) >> actual << actual
                        slot, v, r = build(va, s, size, order, secondary, n % 8, real)
                        line(v, r, slot, order, size, real, va)
                        u = max(0, 23 - p)
                        if order - 7 > u:  # a verifiable bit of the PTEG, or H alone, is wrong
                            bad = slot ^ (1 << (u + n % (order - 7 - u))) * 8
                            line(v, r, bad, order, size, real, "none")
                            line(v ^ 2, r, slot, order, size, real, "none")

    print("# AVPN bits below the page size are not compared")
    va, size = 0x12345 << 40 | 0x3 << 34, (34, 34)
    slot, v, r = build(va, 40, size, 24, 0, 0, 1 << 34, stray=0x2A5)
    line(v, r, slot, 24, size, 1 << 34, va)

    print("# RPN bits below the actual page size are no part of the address, nor of the encoding KVM looks at")
    va, size = 0x12345 << 40 | 0x7000000, (24, 24)
    slot, v, r = build(va, 40, size, 24, 0, 0, 0x5000000)
    line(v, r | 0xF00000, slot, 24, size, 0x5000000, va)

    print("# Reserved segment sizes have no address")
    for b in (2, 3):
        line(v & ~(3 << 62) | b << 62, r, slot, 24, size, 0x5000000, "none")

    print("# A 16G page does not fit into a 256M segment")
    line(0x5, 0x3000, 0, 24, (34, 34), 0, "none")

    print("# All other encodings are invalid")
    for lo in range(16):
        for hi in (0, 1, 3, 0xF):
            if lo not in (1, 7) and (lo, hi) not in ((0, 0), (3, 0), (8, 0), (8, 3)):
                line(0x4000000000000005, hi << 16 | lo << 12, 0, 24, "invalid", "-", "-")

    print("# A Linux 6.1 guest")
    for slot, v, r in REAL:
        s = 40 if v >> 62 else 28
        avpn = (v & (1 << 62) - 1) >> 7
        found = [avpn << 23 | low << 16 for low in range(128)
                 if pteg(avpn << 23 | low << 16, s, 16, 22, v & 2) == slot // 8]
        assert len(found) == 1
        line(v, r, slot, 22, (16, 16), r & ((1 << 60) - 1) >> 16 << 16, found[0])


if __name__ == "__main__":
    sys.exit(main())
