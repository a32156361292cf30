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
     [("rpn-range", e[0], "real address 0x20000000 to 0x2000ffff", "RAM, which is at 0x0-0x1fffffff")])
e = one(VA, 40, M16, real=0x1F000000)
case("the last page of RAM is in RAM", [e])
case("a cacheable page crosses the end of RAM", [e],
     [("rpn-range", e[0], "real address 0x1f000000 to 0x1fffffff", "RAM, which is at 0x0-0x1fefffff")],
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
STRAY = ("AVPN bits 0x80 of V are set", "address bits below the base page of 16M/16M to be clear")
e = one(VA, 40, M16, 0, 4, stray=1)
case("an address has a bit below its page", [e], [("avpn-stray", e[0], *STRAY)])
case("AVPN bits below the page size do not make two pages of one", [one(VA, 40, M16, 0, 1), e],
     [("duplicate", e[0], "virtual page 0x%016x, as at slot 0x%x" % (VA, e[0] - 3), DOUBLE), ("avpn-stray", e[0], *STRAY)])
double("the actual page size does not make two pages of one", VA, 40, one(VA, 40, K64, 0, 1), one(VA, 40, M16_64, 1, 4))
case("neighbours with one AVPN are different pages", [one(VA | i << 16, 40, K64, i & 1) for i in range(8)])
same = 0x40 << 40
case("a 4K and a 64K page of one AVPN are different pages", [one(same, 40, K4, 0, 0), one(same, 40, K64, 0, 1)])

wide = 0x12345678 << 40 | 0xABC << 24 | 1 << 74
e = one(wide, 40, K64)
lost = e[1] & (((1 << 62) - 1) ^ ((1 << 52) - 1))
case("an address has more than 68 bits", [e],
     [("avpn-width", e[0], "AVPN bits 0x%x of V are set" % lost, "V bits 61:52 to be clear")])
case("an address has 68 bits", [one((1 << 28) - 1 << 40 | 0x5000000, 40, K64)])

slot, v, r = one(VA, 40, K64)
case("a reserved bit of R is set", [(slot, v, r | 1 << 62)],
     [("reserved-bits", slot, "bit 62 of R is set", "reserved bits to be clear")])
for pp in (4, 5, 7):
    case("a page protection of %d is reserved" % pp, [(slot, v, r & ~3 | pp >> 2 << 63 | pp & 3)],
         [("protection", slot, "protection PP is %d" % pp, "0 to 3, or 6")])
case("a page protection of 6 is kernel read-only", [(slot, v, r | 1 << 63)])

DEVICE = "a device, at 0x10000000000 to 0x7ffffffffffff"
MODES = "0x10 (M), or 0x70 (strong access ordering)"
for wimg, what in ((0x30, "cache-inhibited"), (0x50, "write-through"), (0x00, "not coherent"), (0x18, "guarded")):
    case("RAM is mapped %s" % what, [(slot, v, r & ~0x78 | wimg)],
         [("cache-mode", slot, "WIMG bits 0x%02x for RAM" % wimg, MODES)])
case("RAM is mapped with strong access ordering", [(slot, v, r | 0x70)])
case("RAM is mapped with strong access ordering, and not known to be RAM", [(slot, v, r | 0x70)], ramBytes=0)
high = r & ~0x1000000 | 0x210000000000
for wimg in (0x20, 0x28, 0x30):
    case("a device with WIMG bits 0x%02x is accepted" % wimg, [(slot, v, high & ~0x78 | wimg)])
case("a device is mapped write-through", [(slot, v, high & ~0x78 | 0x60)],
     [("cache-mode", slot, "WIMG bits 0x60 for a device", "W to be clear where I is set")])
low = r & ~0x1000078 | 0x20 | 0xFFFFFF0000
case("a device lies below 1 TiB", [(slot, v, low)],
     [("mmio-range", slot, "cache-inhibited real address 0xffffff0000 to 0xffffffffff", DEVICE)])
case("a device below 1 TiB without known RAM is accepted", [(slot, v, low)], ramBytes=0)
case("a device lies at 1 TiB", [(slot, v, r & ~0x1000078 | 0x20 | 1 << 40)])
case("a device lies at the end of real addresses", [(slot, v, r & ~0x1000078 | 0x20 | 0x7FFFFFFFF0000)])
case("a device lies beyond the end of real addresses", [(slot, v, r & ~0x1000078 | 0x20 | 0x8000000000000)],
     [("mmio-range", slot, "cache-inhibited real address 0x8000000000000 to 0x800000000ffff", DEVICE)])

plugged = "40000000:10000000;50000000:10000000;"
case("a page lies in plugged RAM", [one(VA, 40, M16, real=0x4F000000)], plugged=plugged)
case("a page of 16G spans plugged RAM and RAM", [one(VA, 40, G16, real=0)],
     [("page-size-unusual", one(VA, 40, G16)[0], "16G/16G", USUAL)],
     plugged="20000000:3e0000000;", maxPageShift=34)
case("a page of 16G spans RAM and DIMMs that are named from the last one", [one(VA, 40, G16, real=0)],
     [("page-size-unusual", one(VA, 40, G16)[0], "16G/16G", USUAL)],
     plugged="".join("%x:20000000;" % (a << 29) for a in range(31, 0, -1)), maxPageShift=34)
case("a page lies in plugged RAM that begins with the end of RAM and has no end", [one(VA, 40, K64, real=1 << 59)],
     bare="true", plugged="20000000:ffffffffe0000000;")
real = 0x30000000
case("a page lies between RAM and plugged RAM", [one(VA, 40, K64, real=real)],
     [("rpn-range", slot, "real address 0x30000000 to 0x3000ffff",
       "RAM, which is at 0x0-0x1fffffff, 0x40000000-0x4fffffff, 0x50000000-0x5fffffff")], plugged=plugged)
case("plugged RAM is mapped cache-inhibited", [(slot, v, r & ~0x1000078 | 0x20 | 0x5FFF0000)],
     [("cache-mode", slot, "WIMG bits 0x20 for RAM", MODES)], plugged=plugged)
case("more ranges of plugged RAM than a finding lists", [one(VA, 40, K64, real=real)],
     [("rpn-range", slot, "real address 0x30000000 to 0x3000ffff", "RAM, which is at 0x0-0x1fffffff" +
       "".join(", 0x%x-0x%x" % (a << 28, (a << 28) + 0xFFFFFFF) for a in range(4, 8)) + ", ...")],
     plugged="".join("%x:10000000;" % (a << 28) for a in range(4, 9)))


def vrma(offset, size, **more):
    return one(0x1FFFFFF << 40 | offset, 40, size, real=more.pop("real", offset >> size[1] << size[1]), **more)


for size, name in ((K4, "4K"), (K64, "64K"), (M16, "16M"), (M16_64, "64K/16M")):
    case("the VRMA is mapped to itself by %s pages" % name, [vrma(n << size[1], size) for n in range(3)])
case("a page of 16M in the VRMA is entered for one of its base pages", [vrma(0x1230000, M16_64)])
e = vrma(0x30000, K64, real=0x40000)
case("a page of the VRMA is mapped to another one", [vrma(0, K64), e],
     [("vrma-mapping", e[0], "real address 0x40000 at offset 0x30000 of the VRMA", "real address 0x30000")])
(first, wanted), (other, found) = sorted(((vrma(0, M16), "16M"), (vrma(0x30000, K64), "64K")))
case("the VRMA has pages of two sizes", [first, other],
     [("vrma-mapping", other[0], "base page size %s in the VRMA" % found, "%s, as its first entry has" % wanted)])
slot, v, r = vrma(0x30000, K64)
case("a page of the VRMA is not bolted", [(slot, v & ~0x10, r)],
     [("vrma-mapping", slot, "an entry of the VRMA that is not bolted", "a bolted entry")])
slot, v, r = one(0x1FFFFFE << 40, 40, K64)
case("a page of the segment before the VRMA is no page of the VRMA", [(slot, v, r)])

many = [one(VA + (n << 16), 40, K64, 1, real=n << 16) for n in range(128)]
case("most entries are secondary", many, [("secondary-excess", None, "128 of 128 entries are secondary",
     "mostly primary entries in a table less than half full")], bare="true")
case("half of the entries are secondary", [one(VA + (n << 16), 40, K64, n & 1, real=n << 16) for n in range(128)],
     bare="true")
case("few entries, most of them secondary", many[1:], bare="true")
case("bolted entries map RAM five times", [one(VA + (n << 24), 40, M16, real=0) for n in range(5)],
     [("bolted-excess", None, "bolted entries map 83886080 bytes", "at most 4 times the 16777216 bytes of RAM")],
     bare="true", ramBytes=16 << 20, orderBytes=0)
case("bolted entries map RAM four times", [one(VA + (n << 24), 40, M16, real=0) for n in range(4)], bare="true",
     ramBytes=16 << 20, orderBytes=0)
case("bolted entries map RAM and plugged RAM four times", [one(VA + (n << 24), 40, M16, real=0) for n in range(8)],
     bare="true", ramBytes=16 << 20, orderBytes=0, plugged="1000000:1000000;")
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
#   plugged      RAM beyond ramBytes: "start:length", hexadecimal
#   other keys   differ from the context in [sound]
""")
print("[sound]\norder=%d\nmaxPageShift=24\nramBytes=%d\norderBytes=%d\norderMaxBytes=0" % (ORDER, 512 << 20, 512 << 20))
print("entries=%s\n\n%s" % (text(SOUND), "\n\n".join(cases)))
