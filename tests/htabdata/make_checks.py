#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes checks.ini: a sound table, and what planted entries must be reported as."""

from make_entries import build, pteg

ORDER = 22
MASK = (1 << (ORDER - 7)) - 1
K4, K64, M16 = (12, 12), (16, 16), (24, 24)
M16_64, M16_4, G16, K64_4 = (16, 24), (12, 24), (34, 34), (12, 16)

cases = []


def text(entries):
    return "".join("%x %x %x;" % e for e in entries)


def case(name, entries=(), findings=(), **keys):
    lines = ["[%s]" % name, "entries=" + text(entries)]
    for i, (rule, slot, found, expected) in enumerate(findings):
        where = "-" if slot is None else "%x" % slot
        lines.append("finding%d=%s;%s;%s;%s;" % (i, rule, where, found, expected))
    cases.append("\n".join(lines + ["%s=%s" % k for k in keys.items()]))


def one(va, s, size, secondary=0, member=0, real=0x1000000, **more):
    return build(va, s, size, ORDER, secondary, member, real, **more)


def ranges(va, s, p, u):
    a, b = (pteg(va, s, p, ORDER, sec) >> u << u for sec in (0, 1))
    return "a PTEG of 0x%x to 0x%x or, secondary, of 0x%x to 0x%x" % (a, a | (1 << u) - 1, b, b | (1 << u) - 1)


VA = 0x123456 << 40 | 0x789 << 24
SOUND = [
    one(0xC00001 << 40 | 0x10000, 40, K64), one(0xC00001 << 40 | 0x20000, 40, K64, 1),
    one(0xF2B1F51E << 28 | 0x270000, 28, K64, 0, 3), one(0x4711 << 40 | 0x1000, 40, K4, 1, 7),
    one(0x4712 << 40 | 0x3000000, 40, M16), one(0x4713 << 40 | 0x4050000, 40, M16_64),
    one(0x4714 << 28 | 0x5001000, 28, M16_4),
]
slot, v, r = one(0x4715 << 40, 40, K4, real=0x600000000000)
SOUND.append((slot, v, r | 0x20))  # a device

case("a sound table has no findings")
case("a table without entries has no findings", empty="true")

slot, v, r = one(VA, 40, K64)
for b in (2, 3):
    case("a segment size of %d is reserved" % b, [(slot, v & ~(3 << 62) | b << 62, r)],
         [("segment-reserved", slot, "segment size B is %d" % b, "0 (256M) or 1 (1T)")])

ENCODINGS = "0x00, 0x03, 0x08, 0x38, 0x*1 or 0x*7"
case("an encoding of no page size", [(slot, v, r & ~0xFF000 | 0x15000)],
     [("page-size", slot, "large page encoding 0x15 in R bits 19:12", ENCODINGS)])
case("an entry of all ones has one finding", [(slot, 2**64 - 1, 2**64 - 1)],
     [("page-size", slot, "large page encoding 0xff in R bits 19:12", ENCODINGS)])
case("a page does not fit into its segment", [(0, 0x15, 0x3000)],
     [("page-size", 0, "page size 16G/16G in a segment of 256M", "a page that fits into its segment")],
     maxPageShift=0, ramBytes=0)

USUAL = "4K/4K, 4K/16M, 64K/64K, 64K/16M or 16M/16M"
e = one(VA, 40, G16, real=0)
case("a 16G page is unusual", [e], [("page-size-unusual", e[0], "16G/16G", USUAL)], maxPageShift=34, ramBytes=1 << 40,
     orderBytes=0)
case("a 16G page is above the limit", [e], [("page-size-limit", e[0], "16G/16G", "at most 16M")], ramBytes=1 << 40)
e = one(VA, 40, K64_4)
case("a 64K page in a 4K segment is unusual", [e], [("page-size-unusual", e[0], "4K/64K", USUAL)])
e = one(VA, 40, K64)
case("a 64K page is above a limit of 4K", [e], [("page-size-limit", e[0], "64K/64K", "at most 4K")], bare="true",
     maxPageShift=12)

slot, v, r = one(VA, 40, M16)
case("a real address is not aligned to 16M", [(slot, v, r | 0x700000)],
     [("rpn-alignment", slot, "RPN bits 0x700000 below the page size", "0x0, which encodes 16M/16M")])
slot, v, r = one(VA, 40, M16_64)
case("an encoding has a stray bit above it", [(slot, v, r | 0x100000)],
     [("rpn-alignment", slot, "RPN bits 0x108000 below the page size", "0x8000, which encodes 64K/16M")])

e = one(VA, 40, K64, real=0x20000000)
case("a cacheable page lies right behind RAM", [e],
     [("rpn-range", e[0], "real address 0x20000000 to 0x2000ffff", "RAM, which ends at 0x1fffffff")])
e = one(VA, 40, M16, real=0x1F000000)
case("the last page of RAM is in RAM", [e])
case("a cacheable page crosses the end of RAM", [e],
     [("rpn-range", e[0], "real address 0x1f000000 to 0x1fffffff", "RAM, which ends at 0x1fefffff")],
     ramBytes=0x1FF00000)
e = one(VA, 40, K64, real=0x600000000000)
case("a cacheable page without known RAM is accepted", [e], ramBytes=0)

for size, u in ((K4, 11), (K64, 7)):
    slot, v, r = one(VA, 40, size)
    bad = slot ^ 8 << u
    case("a %s entry lies in another PTEG" % ("4K" if u == 11 else "64K"), [(bad, v, r)],
         [("hash-placement", bad, "PTEG 0x%x (primary)" % (bad >> 3), ranges(VA, 40, size[0], u))])
slot, v, r = one(VA, 40, M16)
a, b = (pteg(VA, 40, 24, ORDER, sec) for sec in (0, 1))
case("a 16M entry lies in the next PTEG", [(slot ^ 8, v, r)],
     [("hash-placement", slot ^ 8, "PTEG 0x%x (primary)" % (a ^ 1), "PTEG 0x%x or, secondary, 0x%x" % (a, b))])
case("an entry is marked secondary in its primary PTEG", [(slot, v | 2, r)],
     [("hash-placement", slot, "PTEG 0x%x (secondary)" % a, "PTEG 0x%x or, secondary, 0x%x" % (a, b))])

DOUBLE = "one entry for a virtual page"


def double(name, va, s, first, second):
    first, second = sorted((first, second))
    case(name, [first, second], [("duplicate", second[0], "virtual page 0x%016x, as at slot 0x%x" % (va, first[0]),
                                  DOUBLE)])


for sec in (0, 1):
    double("a page has two entries in one PTEG%s" % (", the secondary" if sec else ""), VA, 40,
           one(VA, 40, K64, sec, 2), one(VA, 40, K64, sec, 6, real=0x2000000))
double("a page has an entry in both of its PTEGs", VA, 40, one(VA, 40, K64, 0, 2), one(VA, 40, K64, 1, 2))
double("a page of a 256M segment has two entries", 0x1234567 << 28, 28, one(0x1234567 << 28, 28, K4, 0, 2),
       one(0x1234567 << 28, 28, K4, 1, 5))
double("AVPN bits below the page size do not make two pages of one", VA, 40, one(VA, 40, M16, 0, 1),
       one(VA, 40, M16, 0, 4, stray=1))
double("the actual page size does not make two pages of one", VA, 40, one(VA, 40, K64, 0, 1), one(VA, 40, M16_64, 1, 4))
case("neighbours with one AVPN are different pages", [one(VA | i << 16, 40, K64, i & 1) for i in range(8)])
same = 0x40 << 40
case("a 4K and a 64K page of one AVPN are different pages", [one(same, 40, K4, 0, 0), one(same, 40, K64, 0, 1)])

wide = 0x12345678 << 40 | 0xABC << 24 | 1 << 74
e = one(wide, 40, K64)
lost = e[1] & (((1 << 62) - 1) ^ ((1 << 52) - 1))
case("a wide address is kept on POWER8", [e])
case("a wide address is cut on POWER9", [e],
     [("avpn-width", e[0], "AVPN bits 0x%x of V are set" % lost, "V bits 61:52 to be clear on POWER9")], power9="true")

slot, v, r = one(VA, 40, K64)
case("no entry is bolted", [(slot, v & ~0x10, r)],
     [("no-bolted", None, "none of the entries is bolted, of 1", "bolted entries for the guest's kernel")], bare="true")

for name, size, implied in (("eight times larger than RAM implies is accepted", 64, 0),
                            ("sixteen times larger than RAM implies is reported", 32, 18),
                            ("eight times smaller than RAM implies is accepted", 4096, 0),
                            ("sixteen times smaller than RAM implies is reported", 4097, 26)):
    found = [("order-ram", None, "order 22", "about order %d for %d bytes of RAM" % (implied, size << 20))]
    case("an order " + name, (), found if implied else (), orderBytes=size << 20)

case("an order that memory to be plugged implies is accepted", (), (), orderBytes=16 << 20, orderMaxBytes=512 << 20)

print("""# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Written by make_checks.py.  A group is a case of test_htab_check.c; [sound] is the table they start from.
#   entries      planted: "slot V R"
#   bare, empty  without the entries of [sound]; without any
#   findingN     rule; slot, or -; found; expected
#   other keys   differ from the context in [sound]
""")
print("[sound]\norder=%d\nmaxPageShift=24\nramBytes=%d\norderBytes=%d\norderMaxBytes=0\npower9=false" % (ORDER, 512 << 20, 512 << 20))
print("entries=%s\n\n%s" % (text(SOUND), "\n\n".join(cases)))
