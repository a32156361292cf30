/*
 * htab_check_entry.c: the rules that a single entry can break
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <glib/gi18n-lib.h>

#include "htab/htab_checkpriv.h"
#include "htab/htab_entrypriv.h"

#define V_AVPN (((1ULL << 62) - 1) & ~((1ULL << VIRT_HPT_V_AVPN_SHIFT) - 1))

/* What virtHptEntryGetPageSize() looks at */
#define R_PAGE_SIZE 0xff000ULL

#define R_STRONG_ORDER (VIRT_HPT_R_W | VIRT_HPT_R_I | VIRT_HPT_R_M)

/* Bit n: PP0 and PP of value n mean nothing (Power ISA 2.07 III-S 5.7.9.1) */
#define RESERVED_PROTECTIONS 0xb0U /* 4, 5 and 7 */

/* Devices of a pseries machine lie from 1 TiB on (QEMU up to 2.6), today from 32 TiB on, and end
 * with XIVE's pages at 0x60302031a0000 (QEMU 7.2 include/hw/ppc/spapr.h, spapr_xive.h).  No real
 * address of POWER8 to POWER10 has more than 51 bits. */
#define MMIO_START (1ULL << 40)
#define MMIO_END (1ULL << 51)

/* Plugged ranges that a finding lists */
#define RANGES_NAMED 4

/* A page size as people write it: 2^12 bytes is "4K" */
static char *
formatShift(guint shift)
{
    static const char units[] = "BKMGTPE";

    return g_strdup_printf("%u%c", 1U << (shift % 10), units[MIN(shift / 10, sizeof(units) - 2)]);
}

static char *
formatPageSize(const VirtHptPageSize *size)
{
    g_autofree char *base = formatShift(size->base);
    g_autofree char *actual = formatShift(size->actual);

    return g_strdup_printf("%s/%s", base, actual);
}

/* Returns whether the page size makes sense; the other rules build on it */
static gboolean
decodePageSize(VirtHptCheck *check, VirtHptCheckSubject *subject)
{
    guint segmentShift = virtHptEntryGetSegmentShift(&subject->entry);

    if (!virtHptEntryGetPageSize(&subject->entry, &subject->size)) {
        if (virtHptCheckCount(check, VIRT_HPT_RULE_PAGE_SIZE)) {
            guint lp = (guint)(subject->entry.r >> 12) & 0xff;

            virtHptCheckKeep(check, VIRT_HPT_RULE_PAGE_SIZE, subject,
                             g_strdup_printf(_("large page encoding 0x%1$02x in R bits 19:12"), lp),
                             g_strdup(_("0x00, 0x03, 0x08, 0x38, 0x*1 or 0x*7")));
        }
        return FALSE;
    }

    if (segmentShift != 0 && subject->size.actual > segmentShift) {
        if (virtHptCheckCount(check, VIRT_HPT_RULE_PAGE_SIZE)) {
            g_autofree char *size = formatPageSize(&subject->size);
            g_autofree char *segment = formatShift(segmentShift);

            virtHptCheckKeep(
                check, VIRT_HPT_RULE_PAGE_SIZE, subject,
                g_strdup_printf(_("page size %1$s in a segment of %2$s"), size, segment),
                g_strdup(_("a page that fits into its segment")));
        }
        return FALSE;
    }
    return TRUE;
}

/* Whether a page size is not one that KVM advertises */
gboolean
virtHptCheckUnusualSize(const VirtHptPageSize *size)
{
    return size->base == VIRT_HPT_PAGE_SHIFT_MAX || (size->base == 12 && size->actual == 16);
}

/* A size above the limit is not reported as unusual as well */
static void
checkPageSize(VirtHptCheck *check, const VirtHptCheckSubject *subject)
{
    const VirtHptPageSize *size = &subject->size;
    guint limit = check->context->maxPageShift;

    if (limit != 0 && size->actual > limit) {
        if (virtHptCheckCount(check, VIRT_HPT_RULE_PAGE_SIZE_LIMIT)) {
            g_autofree char *largest = formatShift(limit);

            virtHptCheckKeep(check, VIRT_HPT_RULE_PAGE_SIZE_LIMIT, subject, formatPageSize(size),
                             g_strdup_printf(_("at most %1$s"), largest));
        }
    } else if (virtHptCheckUnusualSize(size) &&
               virtHptCheckCount(check, VIRT_HPT_RULE_PAGE_SIZE_UNUSUAL)) {
        virtHptCheckKeep(check, VIRT_HPT_RULE_PAGE_SIZE_UNUSUAL, subject, formatPageSize(size),
                         g_strdup(_("4K/4K, 4K/16M, 64K/64K, 64K/16M or 16M/16M")));
    }
}

/* Whether all of a page is RAM; it may span DIMMs that touch */
static gboolean
isRam(const VirtHptCheck *check, guint64 real, guint64 bytes)
{
    guint low = 0;
    guint high = check->ram->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;
        const VirtHptRamRange *range = &g_array_index(check->ram, VirtHptRamRange, middle);

        if (real < range->start)
            high = middle;
        else if (real - range->start < range->length)
            return bytes <= range->length - (real - range->start);
        else
            low = middle + 1;
    }
    return FALSE;
}

static char *
formatRam(const VirtHptCheckContext *context)
{
    GString *text = g_string_new(NULL);

    g_string_append_printf(text, "0x0-0x%" G_GINT64_MODIFIER "x", context->ramBytes - 1);
    for (gsize i = 0; i < MIN(context->nplugged, RANGES_NAMED); i++) {
        const VirtHptRamRange *range = &context->plugged[i];

        g_string_append_printf(text, ", 0x%" G_GINT64_MODIFIER "x-0x%" G_GINT64_MODIFIER "x",
                               range->start, range->start + (range->length - 1));
    }
    if (context->nplugged > RANGES_NAMED)
        g_string_append(text, ", ...");
    return g_string_free(text, FALSE);
}

/* H_ENTER takes M alone for RAM, and KVM also W, I and M together: strong access ordering */
static void
checkRamMode(VirtHptCheck *check, const VirtHptCheckSubject *subject)
{
    guint64 wimg = subject->entry.r & VIRT_HPT_CHECK_R_WIMG;

    if (wimg == VIRT_HPT_R_M || wimg == R_STRONG_ORDER ||
        !virtHptCheckCount(check, VIRT_HPT_RULE_CACHE_MODE))
        return;
    virtHptCheckKeep(check, VIRT_HPT_RULE_CACHE_MODE, subject,
                     g_strdup_printf(_("WIMG bits 0x%1$02x for RAM"), (guint)wimg),
                     g_strdup_printf(_("0x%1$02x (M), or 0x%2$02x (strong access ordering)"),
                                     (guint)VIRT_HPT_R_M, (guint)R_STRONG_ORDER));
}

/* What is not cached is a device */
static void
checkDevice(VirtHptCheck *check, const VirtHptCheckSubject *subject, guint64 real, guint64 bytes)
{
    guint64 low = check->context->ramBytes ? MMIO_START : 0;

    if ((subject->entry.r & VIRT_HPT_R_W) && virtHptCheckCount(check, VIRT_HPT_RULE_CACHE_MODE)) {
        virtHptCheckKeep(check, VIRT_HPT_RULE_CACHE_MODE, subject,
                         g_strdup_printf(_("WIMG bits 0x%1$02x for a device"),
                                         (guint)(subject->entry.r & VIRT_HPT_CHECK_R_WIMG)),
                         g_strdup(_("W to be clear where I is set")));
    }
    if ((real < low || real > MMIO_END - bytes) &&
        virtHptCheckCount(check, VIRT_HPT_RULE_MMIO_RANGE)) {
        virtHptCheckKeep(
            check, VIRT_HPT_RULE_MMIO_RANGE, subject,
            g_strdup_printf(_("cache-inhibited real address 0x%1$llx to 0x%2$llx"),
                            (unsigned long long)real, (unsigned long long)(real + bytes - 1)),
            g_strdup_printf(_("a device, at 0x%1$llx to 0x%2$llx"), (unsigned long long)low,
                            (unsigned long long)MMIO_END - 1));
    }
}

static void
checkRpn(VirtHptCheck *check, const VirtHptCheckSubject *subject)
{
    const VirtHptCheckContext *context = check->context;
    guint64 bytes = G_GUINT64_CONSTANT(1) << subject->size.actual;
    guint64 low = subject->entry.r & VIRT_HPT_R_RPN & (bytes - 1);
    guint64 real = virtHptEntryGetRealAddress(&subject->entry, &subject->size);

    /* The bits that the page size was read from agree with it */
    if ((low & ~R_PAGE_SIZE) != 0 && virtHptCheckCount(check, VIRT_HPT_RULE_RPN_ALIGNMENT)) {
        guint64 encoding = virtHptPageSizeGetEncoding(&subject->size);
        g_autofree char *size = formatPageSize(&subject->size);

        virtHptCheckKeep(
            check, VIRT_HPT_RULE_RPN_ALIGNMENT, subject,
            g_strdup_printf(_("RPN bits 0x%1$llx below the page size"), (unsigned long long)low),
            g_strdup_printf(_("0x%1$llx, which encodes %2$s"), (unsigned long long)encoding, size));
    }

    if (isRam(check, real, bytes)) {
        checkRamMode(check, subject);
    } else if (subject->entry.r & VIRT_HPT_R_I) {
        /* Where it is not known what is RAM, W, I and M may be strong access ordering */
        if (context->ramBytes != 0 || (subject->entry.r & VIRT_HPT_CHECK_R_WIMG) != R_STRONG_ORDER)
            checkDevice(check, subject, real, bytes);
    } else if (context->ramBytes != 0 && virtHptCheckCount(check, VIRT_HPT_RULE_RPN_RANGE)) {
        g_autofree char *ram = formatRam(context);

        virtHptCheckKeep(check, VIRT_HPT_RULE_RPN_RANGE, subject,
                         g_strdup_printf(_("real address 0x%1$llx to 0x%2$llx"),
                                         (unsigned long long)real,
                                         (unsigned long long)(real + bytes - 1)),
                         g_strdup_printf(_("RAM, which is at %1$s"), ram));
    }
}

static void
reportPlacement(VirtHptCheck *check, const VirtHptCheckSubject *subject, guint64 hash)
{
    guint64 mask = virtHptTableGetPtegs(check->table) - 1;
    guint64 hidden = (G_GUINT64_CONSTANT(1) << virtHptPageSizeHiddenBits(&subject->size)) - 1;
    guint64 pteg = subject->slot / VIRT_HPT_PTEG_SLOTS;
    unsigned long long primary = hash & mask & ~hidden;
    unsigned long long secondary = ~hash & mask & ~hidden;
    char *found;
    char *expected;

    found = g_strdup_printf(subject->entry.v & VIRT_HPT_V_SECONDARY ? _("PTEG 0x%1$llx (secondary)")
                                                                    : _("PTEG 0x%1$llx (primary)"),
                            (unsigned long long)pteg);
    if (hidden == 0) {
        expected = g_strdup_printf(_("PTEG 0x%1$llx or, secondary, 0x%2$llx"), primary, secondary);
    } else {
        expected = g_strdup_printf(
            _("a PTEG of 0x%1$llx to 0x%2$llx or, secondary, of 0x%3$llx to 0x%4$llx"), primary,
            primary | hidden, secondary, secondary | hidden);
    }
    virtHptCheckKeep(check, VIRT_HPT_RULE_HASH_PLACEMENT, subject, found, expected);
}

/* Returns whether the entry has a virtual address; @address is set then */
static gboolean
checkPlacement(VirtHptCheck *check, const VirtHptCheckSubject *subject, VirtHptAddress *address)
{
    guint64 hash;

    if (virtHptEntryGetAddress(&subject->entry, &subject->size, subject->slot, check->order,
                               address))
        return TRUE;

    /* A page that fits into its segment has a hash, unless B is reserved */
    if (!virtHptEntryGetHash(&subject->entry, &subject->size, &hash)) {
        if (virtHptCheckCount(check, VIRT_HPT_RULE_SEGMENT_RESERVED)) {
            guint b = (guint)(subject->entry.v >> VIRT_HPT_V_B_SHIFT);

            virtHptCheckKeep(check, VIRT_HPT_RULE_SEGMENT_RESERVED, subject,
                             g_strdup_printf(_("segment size B is %1$u"), b),
                             g_strdup(_("0 (256M) or 1 (1T)")));
        }
    } else if (virtHptCheckCount(check, VIRT_HPT_RULE_HASH_PLACEMENT)) {
        reportPlacement(check, subject, hash);
    }
    return FALSE;
}

static void
checkAvpn(VirtHptCheck *check, const VirtHptCheckSubject *subject)
{
    const VirtHptEntry *entry = &subject->entry;
    guint64 stray = entry->v & ~virtHptPageSizeVMask(&subject->size) & V_AVPN;
    guint64 wide = entry->v & VIRT_HPT_CHECK_V_BEYOND_68;

    if (wide != 0 && virtHptCheckCount(check, VIRT_HPT_RULE_AVPN_WIDTH)) {
        virtHptCheckKeep(
            check, VIRT_HPT_RULE_AVPN_WIDTH, subject,
            g_strdup_printf(_("AVPN bits 0x%1$llx of V are set"), (unsigned long long)wide),
            g_strdup(_("V bits 61:52 to be clear")));
    }
    if (stray != 0 && virtHptCheckCount(check, VIRT_HPT_RULE_AVPN_STRAY)) {
        g_autofree char *size = formatPageSize(&subject->size);

        virtHptCheckKeep(
            check, VIRT_HPT_RULE_AVPN_STRAY, subject,
            g_strdup_printf(_("AVPN bits 0x%1$llx of V are set"), (unsigned long long)stray),
            g_strdup_printf(_("address bits below the base page of %1$s to be clear"), size));
    }
}

static void
checkBits(VirtHptCheck *check, const VirtHptCheckSubject *subject)
{
    const VirtHptEntry *entry = &subject->entry;
    guint protection = virtHptEntryGetProtection(entry);

    if ((entry->r & VIRT_HPT_R_TS) && virtHptCheckCount(check, VIRT_HPT_RULE_RESERVED_BITS)) {
        virtHptCheckKeep(check, VIRT_HPT_RULE_RESERVED_BITS, subject,
                         g_strdup(_("bit 62 of R is set")),
                         g_strdup(_("reserved bits to be clear")));
    }
    if ((RESERVED_PROTECTIONS >> protection & 1) != 0 &&
        virtHptCheckCount(check, VIRT_HPT_RULE_PROTECTION)) {
        virtHptCheckKeep(check, VIRT_HPT_RULE_PROTECTION, subject,
                         g_strdup_printf(_("protection PP is %1$u"), protection),
                         g_strdup(_("0 to 3, or 6")));
    }
}

/*
 * KVM-HV gives a guest real mode by entries of a segment of their own, one for each page of the
 * RMA, which map it to itself (Linux arch/powerpc/kvm/book3s_64_mmu_hv.c kvmppc_map_vrma()).
 */
static void
checkVrma(VirtHptCheck *check, const VirtHptCheckSubject *subject, const VirtHptAddress *address)
{
    guint64 bytes = G_GUINT64_CONSTANT(1) << subject->size.actual;
    guint64 real = virtHptEntryGetRealAddress(&subject->entry, &subject->size);
    guint64 wanted = address->offset & ~(bytes - 1);

    if ((subject->entry.v & VIRT_HPT_CHECK_V_SEGMENT_1T) != VIRT_HPT_CHECK_V_VRMA)
        return;
    if (!check->vrma.seen)
        check->vrma = (VirtHptVrma){TRUE, subject->size.base};
    if (real == wanted && check->vrma.base == subject->size.base &&
        (subject->entry.v & VIRT_HPT_V_BOLTED))
        return;
    if (!virtHptCheckCount(check, VIRT_HPT_RULE_VRMA_MAPPING))
        return;

    if (real != wanted) {
        virtHptCheckKeep(check, VIRT_HPT_RULE_VRMA_MAPPING, subject,
                         g_strdup_printf(_("real address 0x%1$llx at offset 0x%2$llx of the VRMA"),
                                         (unsigned long long)real,
                                         (unsigned long long)address->offset),
                         g_strdup_printf(_("real address 0x%1$llx"), (unsigned long long)wanted));
    } else if (check->vrma.base != subject->size.base) {
        g_autofree char *found = formatShift(subject->size.base);
        g_autofree char *first = formatShift(check->vrma.base);

        virtHptCheckKeep(check, VIRT_HPT_RULE_VRMA_MAPPING, subject,
                         g_strdup_printf(_("base page size %1$s in the VRMA"), found),
                         g_strdup_printf(_("%1$s, as its first entry has"), first));
    } else {
        virtHptCheckKeep(check, VIRT_HPT_RULE_VRMA_MAPPING, subject,
                         g_strdup(_("an entry of the VRMA that is not bolted")),
                         g_strdup(_("a bolted entry")));
    }
}

/*
 * virtHptCheckPlacement:
 * @check: a check
 * @size: a page size
 * @entries: so many more have it
 *
 * Keeps the placements ascending by base, then actual shift.
 */
void
virtHptCheckPlacement(VirtHptCheck *check, const VirtHptPageSize *size, guint64 entries)
{
    GArray *placement = check->report->placement;
    VirtHptPlacement fresh = {*size, entries, virtHptPageSizeVerifiableBits(size, check->order)};
    guint i;

    for (i = 0; i < placement->len; i++) {
        VirtHptPlacement *p = &g_array_index(placement, VirtHptPlacement, i);

        if (p->size.base == size->base && p->size.actual == size->actual) {
            p->entries += entries;
            return;
        }
        if (p->size.base > size->base ||
            (p->size.base == size->base && p->size.actual > size->actual))
            break;
    }
    g_array_insert_val(placement, i, fresh);
}

static void
countEntry(VirtHptCheck *check, const VirtHptEntry *entry)
{
    check->valid++;
    check->bolted += (entry->v & VIRT_HPT_V_BOLTED) != 0;
    check->secondary += (entry->v & VIRT_HPT_V_SECONDARY) != 0;
}

/* An entry maps as much as its base page, of whichever size the real page is */
static void
countBolted(VirtHptCheck *check, const VirtHptCheckSubject *subject)
{
    guint64 sum;

    if (!(subject->entry.v & VIRT_HPT_V_BOLTED) || (subject->entry.r & VIRT_HPT_R_I))
        return;
    if (!g_uint64_checked_add(&sum, check->boltedBytes,
                              G_GUINT64_CONSTANT(1) << subject->size.base))
        sum = G_MAXUINT64;
    check->boltedBytes = sum;
}

/*
 * virtHptCheckEntry:
 * @check: a check
 * @subject: a valid entry of its table, in a slot above all that were checked before
 *
 * Looks at what is suspect in it; the rest is known to be sound, and if V is, the entry was
 * counted. An entry that cannot be understood gets the finding that says so and no others: what
 * would be read out of it is arbitrary.
 */
void
virtHptCheckEntry(VirtHptCheck *check, VirtHptCheckSubject *subject)
{
    VirtHptAddress address;

    if (subject->suspects & VIRT_HPT_SUSPECT_V) {
        countEntry(check, &subject->entry);
        if (!decodePageSize(check, subject))
            return;
        virtHptCheckPlacement(check, &subject->size, 1);
        countBolted(check, subject);
        checkPageSize(check, subject);
        checkAvpn(check, subject);
    }
    if (subject->suspects & VIRT_HPT_SUSPECT_R) {
        checkRpn(check, subject);
        checkBits(check, subject);
    }
    if (!(subject->suspects & ~(guint)VIRT_HPT_SUSPECT_R) ||
        !checkPlacement(check, subject, &address))
        return;
    if (subject->suspects & VIRT_HPT_SUSPECT_DOUBLE)
        virtHptCheckDuplicate(check, subject, &address);
    if (subject->suspects & VIRT_HPT_SUSPECT_VRMA)
        checkVrma(check, subject, &address);
}
