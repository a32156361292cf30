/*
 * htab_entry.c: one hashed page table entry (HPTE)
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Where an entry lies in the table is part of what it says: AVPN holds the virtual address down
 * to bit 23 only, and the bits between there and the page size are recovered from the number of
 * the PTEG, which is their hash.  What the hash has beyond those bits is redundant, and tells
 * whether the entry lies where the guest's MMU would look for it.
 *
 * All functions here are pure and thread-safe.
 */

#include "htab/htab_entrypriv.h"

#define SEGMENT_SHIFT_256M 28
#define SEGMENT_SHIFT_1T 40

/* AVPN ends at this bit of the virtual address */
#define AVPN_VA_SHIFT 23

/* LP, the page size encoding when L is set: the low bits of RPN, four at the least */
#define LP_SHIFT 12
#define LP_LO(r) (((r) >> LP_SHIFT) & 0xf)
#define LP_HI(r) (((r) >> (LP_SHIFT + 4)) & 0xf)

#define LP_HI_ANY G_MAXUINT

typedef struct {
    guint lo;
    guint hi;
    VirtHptPageSize size;
} LargePage;

/*
 * Linux arch/powerpc/include/asm/kvm_book3s_64.h, __hpte_page_shifts() and its callers.
 * Four bits of LP are all that a 64K page leaves of RPN; a larger one has more.
 */
static const LargePage largePages[] = {
    {0x0, 0x0, {24, 24}},       {0x1, LP_HI_ANY, {16, 16}}, {0x3, 0x0, {34, 34}},
    {0x7, LP_HI_ANY, {12, 16}}, {0x8, 0x0, {16, 24}},       {0x8, 0x3, {12, 24}},
};

static inline guint64
lowBits(guint n)
{
    return n < 64 ? (G_GUINT64_CONSTANT(1) << n) - 1 : G_MAXUINT64;
}

/**
 * virtHptEntryGetSegmentShift:
 * @entry: an entry
 *
 * Returns: log2 of the segment's size in bytes: 28 or 40; 0 if B is reserved
 */
guint
virtHptEntryGetSegmentShift(const VirtHptEntry *entry)
{
    switch (entry->v >> VIRT_HPT_V_B_SHIFT) {
    case 0:
        return SEGMENT_SHIFT_256M;
    case 1:
        return SEGMENT_SHIFT_1T;
    default:
        return 0;
    }
}

/**
 * virtHptEntryGetPageSize:
 * @entry: an entry
 * @size: (out): base and actual page shift; left alone on failure
 *
 * Decodes the page size as KVM does (Linux arch/powerpc/include/asm/kvm_book3s_64.h), which looks
 * at eight bits of RPN at most.  QEMU 7.2 (target/ppc/mmu-hash64.c, hpte_page_shift()) compares
 * all bits below the actual page size; see %VIRT_HPT_RULE_RPN_ALIGNMENT.
 *
 * Returns: %FALSE if L and the low RPN bits encode no page size
 */
gboolean
virtHptEntryGetPageSize(const VirtHptEntry *entry, VirtHptPageSize *size)
{
    if (!(entry->v & VIRT_HPT_V_LARGE)) {
        *size = (VirtHptPageSize){12, 12};
        return TRUE;
    }

    for (gsize i = 0; i < G_N_ELEMENTS(largePages); i++) {
        const LargePage *page = &largePages[i];

        if (page->lo == LP_LO(entry->r) && (page->hi == LP_HI_ANY || page->hi == LP_HI(entry->r))) {
            *size = page->size;
            return TRUE;
        }
    }
    return FALSE;
}

/**
 * virtHptEntryGetRealAddress:
 * @entry: an entry
 * @size: its page size
 *
 * Returns: the guest real address that @entry maps, in bytes, aligned to the actual page size
 */
guint64
virtHptEntryGetRealAddress(const VirtHptEntry *entry, const VirtHptPageSize *size)
{
    return entry->r & VIRT_HPT_R_RPN & ~lowBits(size->actual);
}

/**
 * virtHptEntryGetKey:
 * @entry: an entry
 *
 * Returns: the storage key, 0..31: KEY_HI and KEY_LO joined
 */
guint
virtHptEntryGetKey(const VirtHptEntry *entry)
{
    return (guint)(((entry->r & VIRT_HPT_R_KEY_HI) >> 57) | ((entry->r & VIRT_HPT_R_KEY_LO) >> 9));
}

/**
 * virtHptEntryGetProtection:
 * @entry: an entry
 *
 * Returns: the page protection bits, 0..7: PP0 and PP joined
 */
guint
virtHptEntryGetProtection(const VirtHptEntry *entry)
{
    return (guint)(((entry->r & VIRT_HPT_R_PP0) >> 61) | (entry->r & VIRT_HPT_R_PP));
}

/*
 * virtHptPageSizeGetEncoding:
 * @size: a page size that virtHptEntryGetPageSize() gave
 *
 * Returns: what R must hold between bit 12 and the actual page size
 */
guint64
virtHptPageSizeGetEncoding(const VirtHptPageSize *size)
{
    for (gsize i = 0; i < G_N_ELEMENTS(largePages); i++) {
        const LargePage *page = &largePages[i];

        if (page->size.base == size->base && page->size.actual == size->actual) {
            guint hi = page->hi == LP_HI_ANY ? 0 : page->hi;

            return (guint64)(hi << 4 | page->lo) << LP_SHIFT;
        }
    }
    return 0;
}

/*
 * virtHptPageSizeHiddenBits:
 * @size: a page size
 *
 * Returns: bits of the virtual page number that AVPN does not hold, 0..11
 */
guint
virtHptPageSizeHiddenBits(const VirtHptPageSize *size)
{
    return size->base < AVPN_VA_SHIFT ? AVPN_VA_SHIFT - size->base : 0;
}

/*
 * virtHptPageSizeVMask:
 * @size: a page size
 *
 * Returns: the bits of V that name the virtual page: B, and AVPN less its bits below the base
 * page size, which the MMU does not compare
 */
guint64
virtHptPageSizeVMask(const VirtHptPageSize *size)
{
    guint ignored = size->base > AVPN_VA_SHIFT ? size->base - AVPN_VA_SHIFT : 0;

    return ~lowBits(VIRT_HPT_V_AVPN_SHIFT + ignored);
}

/**
 * virtHptPageSizeVerifiableBits:
 * @size: page size of an entry
 * @order: log2 of the table's size in bytes
 *
 * A PTEG number has @order - 7 bits.  As many of them as AVPN leaves out of the virtual page
 * number carry that number instead of redundancy.
 *
 * Returns: bits of the PTEG number that can be verified; a random entry passes with a probability
 * of 2 to the minus that
 */
guint
virtHptPageSizeVerifiableBits(const VirtHptPageSize *size, guint order)
{
    guint bits = order > 7 ? order - 7 : 0;
    guint hidden = virtHptPageSizeHiddenBits(size);

    return bits > hidden ? bits - hidden : 0;
}

/* Splits AVPN into segment and offset.  A page must fit into its segment. */
static gboolean
splitAvpn(const VirtHptEntry *entry, const VirtHptPageSize *size, VirtHptAddress *address)
{
    guint segmentShift = virtHptEntryGetSegmentShift(entry);
    guint64 avpn = (entry->v & virtHptPageSizeVMask(size) & lowBits(VIRT_HPT_V_B_SHIFT)) >>
                   VIRT_HPT_V_AVPN_SHIFT;
    guint offsetBits;

    if (segmentShift == 0 || size->base > segmentShift)
        return FALSE;

    offsetBits = segmentShift - AVPN_VA_SHIFT;
    address->segmentShift = segmentShift;
    address->vsid = avpn >> offsetBits;
    address->offset = (avpn & lowBits(offsetBits)) << AVPN_VA_SHIFT;
    return TRUE;
}

/* The hash of a virtual page (Power ISA 2.07 III-S 5.7.7.3), not yet cut to the table's size */
static guint64
hashAddress(const VirtHptAddress *address, guint pageShift)
{
    guint64 hash = address->vsid ^ (address->offset >> pageShift);

    if (address->segmentShift == SEGMENT_SHIFT_1T)
        hash ^= address->vsid << 25;
    return hash;
}

/*
 * virtHptEntryGetHash:
 * @entry: an entry
 * @size: its page size
 * @hash: (out): hash of its virtual page, the hidden low bits taken as 0
 *
 * Returns: %FALSE if B is reserved, or the page is larger than its segment
 */
gboolean
virtHptEntryGetHash(const VirtHptEntry *entry, const VirtHptPageSize *size, guint64 *hash)
{
    VirtHptAddress address;

    if (!splitAvpn(entry, size, &address))
        return FALSE;
    *hash = hashAddress(&address, size->base);
    return TRUE;
}

/**
 * virtHptEntryGetAddress:
 * @entry: an entry
 * @size: its page size
 * @slot: where it lies
 * @order: log2 of the table's size in bytes, 18..46
 * @address: (out): the virtual address of the base page; left alone on failure
 *
 * Recovers the virtual address from AVPN and the entry's place (Power ISA 2.07 III-S 5.7.7.3; Linux
 * arch/powerpc/include/asm/book3s/64/mmu-hash.h, hpt_hash()).  The hash of a PTEG is its number,
 * or with H the complement of it.  What it has beyond the known part of the address must be the
 * address bits that AVPN does not hold, and nothing else.
 *
 * Returns: %FALSE if B is reserved, if the base page is larger than its segment, or if @slot is in
 * neither PTEG of the entry's hash
 */
gboolean
virtHptEntryGetAddress(const VirtHptEntry *entry,
                       const VirtHptPageSize *size,
                       guint64 slot,
                       guint order,
                       VirtHptAddress *address)
{
    guint64 pteg = slot / VIRT_HPT_PTEG_SLOTS;
    guint hidden = virtHptPageSizeHiddenBits(size);
    VirtHptAddress known;
    guint64 rest;

    g_return_val_if_fail(order >= VIRT_HPT_ORDER_MIN && order <= VIRT_HPT_ORDER_MAX, FALSE);

    if (!splitAvpn(entry, size, &known))
        return FALSE;

    rest = entry->v & VIRT_HPT_V_SECONDARY ? ~pteg : pteg;
    rest = (rest ^ hashAddress(&known, size->base)) & lowBits(order - 7);
    if (rest >> hidden)
        return FALSE;

    known.offset |= rest << size->base;
    *address = known;
    return TRUE;
}

/* The address as one number of 128 bits */
static void
joinAddress(const VirtHptAddress *address, guint64 *high, guint64 *low)
{
    g_assert(address->segmentShift > 0 && address->segmentShift < 64);

    *high = address->vsid >> (64 - address->segmentShift);
    *low = address->vsid << address->segmentShift | address->offset;
}

/**
 * virtHptAddressFormat:
 * @address: a virtual address
 * @buf: (out): receives "0x" and 16 hexadecimal digits, or as many more as it takes
 */
void
virtHptAddressFormat(const VirtHptAddress *address, char buf[VIRT_HPT_ADDRESS_BUFLEN])
{
    guint64 high;
    guint64 low;

    joinAddress(address, &high, &low);
    /* 78 bits at the most, so that BUFLEN is enough whatever @address holds */
    high &= lowBits(78 - 64);
    if (high) {
        g_snprintf(buf, VIRT_HPT_ADDRESS_BUFLEN, "0x%x%016" G_GINT64_MODIFIER "x", (guint)high,
                   low);
    } else {
        g_snprintf(buf, VIRT_HPT_ADDRESS_BUFLEN, "0x%016" G_GINT64_MODIFIER "x", low);
    }
}

/**
 * virtHptAddressCovers:
 * @address: a virtual address
 * @pageShift: log2 of a page size in bytes, below 64
 * @high: bits 127:64 of another virtual address
 * @low: bits 63:0 of it
 *
 * Returns: whether both lie in the same naturally aligned page of 2^@pageShift bytes
 */
gboolean
virtHptAddressCovers(const VirtHptAddress *address, guint pageShift, guint64 high, guint64 low)
{
    guint64 ownHigh;
    guint64 ownLow;

    g_return_val_if_fail(pageShift < 64, FALSE);

    joinAddress(address, &ownHigh, &ownLow);
    return ownHigh == high && (ownLow ^ low) >> pageShift == 0;
}
