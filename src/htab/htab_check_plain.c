/*
 * htab_check_plain.c: the entries that no rule has anything to say about
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Nearly all entries of nearly all tables are sound, and of few page sizes.  A PTEG that holds no
 * others is recognised here, at a small part of what it takes to judge each entry by each rule
 * (htab_check_entry.c).  To be wrong in one direction costs time only: what is not recognised is
 * judged.  In the other it would hide a finding; a test compares the two on any tables.
 *
 * What the rules depend on besides the entry is worked out before, for each page size.
 */

#include "config.h"

#include <string.h>

#include "htab/htab_checkpriv.h"
#include "htab/htab_entrypriv.h"

#define SLOTS VIRT_HPT_PTEG_SLOTS

/* L, and the eight bits of R that may encode a page size, as an index */
#define ENCODINGS 512
#define ENCODING_R_SHIFT 12
#define ENCODING_R_BITS 8

#define V_BELOW_AVPN ((1ULL << VIRT_HPT_V_AVPN_SHIFT) - 1)
#define R_BELOW_RPN 0xfffULL
#define B_RESERVED (2ULL << VIRT_HPT_V_B_SHIFT)

/* H, B and what an MMU compares of AVPN with plain pages of any size: the largest, of 16M, make the
 * lowest bit mean nothing.  That bit is in the hash, so that among the entries of a PTEG it seldom
 * tells two from each other. */
#define V_NAMES_PAGE (~((1ULL << (VIRT_HPT_V_AVPN_SHIFT + 1)) - 1) | VIRT_HPT_V_SECONDARY)

#define V_AND_WHAT_FOLLOWS (VIRT_HPT_SUSPECT_V | VIRT_HPT_SUSPECT_R | VIRT_HPT_SUSPECT_PLACE)

/* An odd number near 2^64 divided by the golden ratio: the upper half of a product by it depends
 * on all bits of the other factor */
#define MIX 0x9e3779b97f4a7c15ULL

/* What V holds in a segment of 2^28 and of 2^40 bytes: VSID, the page's offset; see hashOf() */
typedef struct {
    guint64 vsid;
    guint vsidShift;
    guint64 vsidTwice;
    guint64 offset;
} Segment;

#define V_BITS(high, low) ((2ULL << (high)) - (1ULL << (low)))

static const Segment segments[] = {
    {V_BITS(61, 12), 12, 0, V_BITS(11, 7)},
    {V_BITS(61, 24), 24, V_BITS(61, 24), V_BITS(23, 7)},
};

static void
initSize(VirtHptPlainSize *plain, const VirtHptCheck *check, const VirtHptPageSize *size)
{
    guint64 bytes = G_GUINT64_CONSTANT(1) << size->actual;
    guint64 encoding = virtHptPageSizeGetEncoding(size);
    guint64 hidden = (G_GUINT64_CONSTANT(1) << virtHptPageSizeHiddenBits(size)) - 1;
    guint64 stray = ~virtHptPageSizeVMask(size) & ~V_BELOW_AVPN;
    /* The base, and what touches it: as many of the smallest pages as there is room for */
    gboolean known = check->ram->len > 0;
    guint64 ram = known ? g_array_index(check->ram, VirtHptRamRange, 0).length & ~R_BELOW_RPN : 0;
    guint limit = check->context->maxPageShift;

    plain->size = *size;
    plain->verify = (virtHptTableGetPtegs(check->table) - 1) & ~hidden;
    plain->vRefused = VIRT_HPT_CHECK_V_BEYOND_68 | B_RESERVED | stray;
    /* With PP0 one value of PP means something, which few entries have */
    plain->rMask = VIRT_HPT_R_PP0 | VIRT_HPT_R_TS | (VIRT_HPT_R_RPN & (bytes - 1)) |
                   (known ? VIRT_HPT_CHECK_R_WIMG : VIRT_HPT_R_I);
    plain->rWanted = encoding | (known ? VIRT_HPT_R_M : 0);
    plain->rLast = known ? ram - bytes + encoding + R_BELOW_RPN : G_MAXUINT64;

    if (virtHptCheckUnusualSize(size) || (limit && size->actual > limit) || (known && bytes > ram))
        plain->vRefused = VIRT_HPT_V_VALID; /* which all have */
}

/* Returns the index of a page size, which is new to @plain perhaps */
static guint8
findSize(VirtHptPlain *plain, const VirtHptCheck *check, const VirtHptPageSize *size)
{
    guint8 i;

    for (i = 1; i < plain->nsizes; i++) {
        if (plain->sizes[i].size.base == size->base && plain->sizes[i].size.actual == size->actual)
            return i;
    }
    g_assert(i < G_N_ELEMENTS(plain->sizes));
    initSize(&plain->sizes[i], check, size);
    plain->nsizes++;
    return i;
}

/*
 * virtHptPlainInit:
 * @plain: (out): filled in
 * @check: a check of a table
 */
void
virtHptPlainInit(VirtHptPlain *plain, const VirtHptCheck *check)
{
    memset(plain, 0, sizeof(*plain));
    /* No entry is plain whose page size means nothing */
    plain->sizes[0].vRefused = VIRT_HPT_V_VALID;
    plain->nsizes = 1;

    for (guint i = 0; i < ENCODINGS; i++) {
        VirtHptEntry entry = {VIRT_HPT_V_VALID | (i >> ENCODING_R_BITS ? VIRT_HPT_V_LARGE : 0),
                              (guint64)(i & ((1U << ENCODING_R_BITS) - 1)) << ENCODING_R_SHIFT};
        VirtHptPageSize size;

        if (virtHptEntryGetPageSize(&entry, &size))
            plain->encodings[i] = findSize(plain, check, &size);
    }
}

static inline guint8
sizeOf(const VirtHptPlain *plain, guint64 v, guint64 r)
{
    guint large = (v & VIRT_HPT_V_LARGE) != 0;

    return plain->encodings[large << ENCODING_R_BITS |
                            (r >> ENCODING_R_SHIFT & ((1U << ENCODING_R_BITS) - 1))];
}

/* As virtHptEntryGetHash(), of an entry without AVPN bits below its page size */
static inline guint64
hashOf(guint64 v, guint baseShift)
{
    const Segment *segment = &segments[v >> VIRT_HPT_V_B_SHIFT & 1];
    guint64 offset = (v & segment->offset) << (23 - VIRT_HPT_V_AVPN_SHIFT);

    return (v & segment->vsid) >> segment->vsidShift ^ (v & segment->vsidTwice) << 1 ^
           offset >> baseShift;
}

/* The parts of suspicion(): something other than 0 if a rule about that might apply.  What R and
 * the place must be like follows from a V that is not suspect. */
static inline guint64
suspectV(const VirtHptPlainSize *size, guint64 v)
{
    return v & size->vRefused;
}

static inline guint64
suspectR(const VirtHptPlainSize *size, guint64 r)
{
    return ((r & size->rMask) ^ size->rWanted) | (r > size->rLast);
}

static inline guint64
suspectPlace(const VirtHptPlainSize *size, guint64 v, guint64 pteg)
{
    guint64 hash = v & VIRT_HPT_V_SECONDARY ? ~pteg : pteg;

    return (hash ^ hashOf(v, size->size.base)) & size->verify;
}

static inline gboolean
isVrma(guint64 v)
{
    return (v & VIRT_HPT_CHECK_V_SEGMENT_1T) == VIRT_HPT_CHECK_V_VRMA;
}

/* Returns something other than 0 if a rule other than that of duplicates might apply */
static inline guint64
suspicion(const VirtHptPlainSize *size, guint64 v, guint64 r, guint64 pteg)
{
    return suspectV(size, v) | suspectR(size, r) | suspectPlace(size, v, pteg) | isVrma(v);
}

/*
 * Entries for the same page have the same one, if they have the same H and the page is not of 16G;
 * others in their PTEGs seldom have.
 */
static inline guint32
fingerprint(guint64 v)
{
    return (guint32)((v & V_NAMES_PAGE) * MIX >> 32);
}

static inline guint64
loadWord(const guint8 *wire, guint i)
{
    guint64 word;

    memcpy(&word, wire + i * sizeof(word), sizeof(word));
    return GUINT64_FROM_BE(word);
}

/* Whether two of @a have the same fingerprint; it holds each of them twice */
static inline gboolean
anyTwice(const guint32 a[2 * SLOTS])
{
    guint32 same = 0;

    for (guint distance = 1; distance <= SLOTS / 2; distance++) {
        for (guint i = 0; i < SLOTS; i++)
            same |= a[i] == a[i + distance] ? G_MAXUINT32 : 0;
    }
    return same != 0;
}

/* Whether one of @a has the fingerprint of one of @b, which holds each of them twice */
static inline gboolean
anyCommon(const guint32 a[2 * SLOTS], const guint32 b[2 * SLOTS])
{
    guint32 same = 0;

    for (guint distance = 0; distance < SLOTS; distance++) {
        for (guint i = 0; i < SLOTS; i++)
            same |= a[i] == b[i + distance] ? G_MAXUINT32 : 0;
    }
    return same != 0;
}

/* Puts the fingerprints that entries at @wire have if @flip is not in V, or is; each of them twice.
 * Those of empty slots are no entry's, but by accident. */
static inline void
loadPrints(const guint8 *wire, guint64 flip, guint32 prints[2 * SLOTS])
{
    for (guint i = 0; i < SLOTS; i++) {
        guint64 v = loadWord(wire, 2 * i);

        prints[i] = (flip ? SLOTS : 0) + i;
        if (v & VIRT_HPT_V_VALID)
            prints[i] = fingerprint(v ^ flip);
        prints[i + SLOTS] = prints[i];
    }
}

/* Counts an entry whose V is sound */
static inline void
countEntry(VirtHptPlain *plain, VirtHptPlainSize *size, guint64 v, guint64 r)
{
    guint64 bolted = (v & VIRT_HPT_V_BOLTED) != 0;
    guint64 device = (r & VIRT_HPT_R_I) != 0;

    size->entries++;
    size->bolted += bolted & ~device;
    plain->boltedDevices += bolted & device;
    plain->secondary += (v & VIRT_HPT_V_SECONDARY) != 0;
}

/*
 * virtHptPlainPteg:
 * @plain: prepared for the table
 * @table: the table
 * @pteg: one of its PTEGs
 *
 * If all entries of the PTEG are plain, counts them.
 *
 * Returns: whether they are; if not, each is to be judged by virtHptCheckEntry()
 */
gboolean
virtHptPlainPteg(VirtHptPlain *plain, const VirtHptTable *table, guint64 pteg)
{
    const guint64 complement = ~pteg & (virtHptTableGetPtegs(table) - 1);
    const guint8 *wire = virtHptTablePeekWire(table, pteg * SLOTS);
    guint32 own[2 * SLOTS];
    guint32 other[2 * SLOTS];
    guint8 sizes[SLOTS];
    guint64 any = 0;

    for (guint i = 0; i < SLOTS; i++) {
        guint64 v = loadWord(wire, 2 * i);
        guint64 r = loadWord(wire, 2 * i + 1);

        sizes[i] = 0;
        own[i] = i;
        if (v & VIRT_HPT_V_VALID) {
            sizes[i] = sizeOf(plain, v, r);
            any |= suspicion(&plain->sizes[sizes[i]], v, r, pteg);
            own[i] = fingerprint(v);
        }
        own[i + SLOTS] = own[i];
    }
    if (any || anyTwice(own))
        return FALSE;

    if (complement < pteg) {
        loadPrints(virtHptTablePeekWire(table, complement * SLOTS), VIRT_HPT_V_SECONDARY, other);
        if (anyCommon(own, other))
            return FALSE;
    }

    for (guint i = 0; i < SLOTS; i++)
        countEntry(plain, &plain->sizes[sizes[i]], loadWord(wire, 2 * i), 0);
    return TRUE;
}

/* Sets @twice[i] to 0 unless entry i has the fingerprint of another one */
static inline void
findTwice(const guint32 own[2 * SLOTS], const guint32 other[2 * SLOTS], guint32 twice[SLOTS])
{
    for (guint i = 0; i < SLOTS; i++)
        twice[i] = own[i] == other[i] ? G_MAXUINT32 : 0;
    for (guint distance = 1; distance < SLOTS; distance++) {
        for (guint i = 0; i < SLOTS; i++)
            twice[i] |= own[i] == own[i + distance] ? G_MAXUINT32 : 0;
        for (guint i = 0; i < SLOTS; i++)
            twice[i] |= own[i] == other[i + distance] ? G_MAXUINT32 : 0;
    }
}

/*
 * virtHptPlainSuspects:
 * @plain: prepared for the table
 * @table: the table
 * @pteg: one of its PTEGs, that virtHptPlainPteg() did not recognise
 * @subjects: (out): the entries of it that are not plain, ascending
 *
 * Most of each entry is plain nevertheless.  Counts the entries whose V is.
 *
 * Returns: how many are not: each is to be judged by virtHptCheckEntry()
 */
guint
virtHptPlainSuspects(VirtHptPlain *plain,
                     const VirtHptTable *table,
                     guint64 pteg,
                     VirtHptCheckSubject subjects[SLOTS])
{
    const guint64 complement = ~pteg & (virtHptTableGetPtegs(table) - 1);
    const guint8 *wire = virtHptTablePeekWire(table, pteg * SLOTS);
    guint32 own[2 * SLOTS];
    guint32 other[2 * SLOTS] = {0};
    guint32 twice[SLOTS] = {0};
    guint n = 0;

    loadPrints(wire, 0, own);
    if (complement < pteg)
        loadPrints(virtHptTablePeekWire(table, complement * SLOTS), VIRT_HPT_V_SECONDARY, other);
    if (anyTwice(own) || anyCommon(own, other))
        findTwice(own, other, twice);

    for (guint i = 0; i < SLOTS; i++) {
        guint64 v = loadWord(wire, 2 * i);
        guint64 r = loadWord(wire, 2 * i + 1);
        VirtHptPlainSize *size = &plain->sizes[sizeOf(plain, v, r)];
        guint suspects = 0;

        if (!(v & VIRT_HPT_V_VALID))
            continue;
        suspects |= suspectV(size, v) ? V_AND_WHAT_FOLLOWS : 0;
        suspects |= suspectR(size, r) ? VIRT_HPT_SUSPECT_R : 0;
        suspects |= suspectPlace(size, v, pteg) ? VIRT_HPT_SUSPECT_PLACE : 0;
        suspects |= isVrma(v) ? VIRT_HPT_SUSPECT_VRMA : 0;
        suspects |= twice[i] ? VIRT_HPT_SUSPECT_DOUBLE : 0;
        suspects |= size->size.base == VIRT_HPT_PAGE_SHIFT_MAX ? VIRT_HPT_SUSPECT_DOUBLE : 0;
        if (!(suspects & VIRT_HPT_SUSPECT_V))
            countEntry(plain, size, v, r);
        if (suspects)
            subjects[n++] = (VirtHptCheckSubject){pteg * SLOTS + i, {v, r}, size->size, suspects};
    }
    return n;
}

/*
 * virtHptPlainFinish:
 * @plain: what was found
 * @check: receives the counts
 */
void
virtHptPlainFinish(const VirtHptPlain *plain, VirtHptCheck *check)
{
    check->secondary += plain->secondary;
    check->bolted += plain->boltedDevices;
    for (guint i = 1; i < plain->nsizes; i++) {
        const VirtHptPlainSize *size = &plain->sizes[i];
        guint64 bytes;

        if (size->entries == 0)
            continue;
        check->valid += size->entries;
        check->bolted += size->bolted;
        virtHptCheckPlacement(check, &size->size, size->entries);
        if (!g_uint64_checked_mul(&bytes, size->bolted, G_GUINT64_CONSTANT(1) << size->size.base) ||
            !g_uint64_checked_add(&check->boltedBytes, check->boltedBytes, bytes))
            check->boltedBytes = G_MAXUINT64;
    }
}
