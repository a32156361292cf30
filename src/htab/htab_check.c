/*
 * htab_check.c: structural verification of a table, as fsck checks a file system
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One pass in the order of slots.  An entry that cannot be understood gets the finding that says
 * so and no others: what would be read out of it is arbitrary.
 *
 * Memory is constant.  A virtual page has one hash, and a hash has two PTEGs; so an entry that
 * lies where it should can have a double in its own PTEG and in the complement of it only.
 */

#include "config.h"

#include <glib/gi18n-lib.h>

#include "libvirt-hpt/htab_check.h"
#include "htab/htab_entrypriv.h"

#define MAX_PER_RULE_DEFAULT 16

/*
 * The order follows from RAM when the guest is made, and departs from it later: with resize-hpt the
 * guest asks for an order of its own as memory is plugged, and without it maxmem counts.
 * A factor of eight covers what was seen of both.
 */
#define ORDER_RAM_TOLERANCE 3

/* log2 of how much smaller than RAM an HPT is (QEMU 7.2 hw/ppc/spapr.c,
 * spapr_hpt_shift_for_ramsize()) */
#define ORDER_RAM_SHIFT 7

/* POWER9 keeps entries in the format of ISA 3.0, which has no room for these bits of V: 52 to 61 */
#define V_AVPN_NOT_ISA3 (((1ULL << 62) - 1) & ~((1ULL << 52) - 1))

typedef struct {
    const VirtHptTable *table;
    const VirtHptCheckContext *context;
    VirtHptReport *report;
    GPtrArray *kept[VIRT_HPT_RULE_COUNT];
    guint maxPerRule;
    guint order;
    guint64 valid;
    guint64 bolted;
} Check;

/* One entry under scrutiny */
typedef struct {
    guint64 slot;
    VirtHptEntry entry;
    VirtHptPageSize size;
} Subject;

static void
findingFree(gpointer data)
{
    VirtHptFinding *finding = data;

    g_free(finding->found);
    g_free(finding->expected);
    g_free(finding);
}

/*
 * Counts a finding.  Returns whether there is room to keep it: only then are its texts worth
 * making, for a table of garbage has millions.
 */
static gboolean
countFinding(Check *check, VirtHptRule rule)
{
    return check->report->counts[rule]++ < check->maxPerRule;
}

/* Takes both texts; @subject is %NULL for a finding about the table */
static void
keepFinding(Check *check, VirtHptRule rule, const Subject *subject, char *found, char *expected)
{
    VirtHptFinding *finding = g_new0(VirtHptFinding, 1);

    finding->rule = rule;
    finding->severity = virtHptRuleGetSeverity(rule);
    finding->slot = subject ? subject->slot : VIRT_HPT_NO_SLOT;
    if (subject)
        finding->entry = subject->entry;
    finding->found = found;
    finding->expected = expected;
    g_ptr_array_add(check->kept[rule], finding);
}

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

/* The order that QEMU chooses for so much memory (QEMU 7.2 hw/ppc/spapr.c
 * spapr_hpt_shift_for_ramsize()). */
static guint
impliedOrder(guint64 bytes)
{
    guint shift = 0;

    while (shift < 64 && bytes - 1 > (G_GUINT64_CONSTANT(1) << shift) - 1)
        shift++; /* log2 of @bytes, rounded up */
    shift = shift > ORDER_RAM_SHIFT ? shift - ORDER_RAM_SHIFT : 0;
    return CLAMP(shift, VIRT_HPT_ORDER_MIN, VIRT_HPT_ORDER_MAX);
}

static void
checkOrder(Check *check)
{
    guint64 bytes = check->context->orderBytes;
    guint64 most = MAX(bytes, check->context->orderMaxBytes);
    guint low;
    guint high;

    /* virtHptTableNew() makes no such table; the rule is for those who met its order elsewhere */
    if ((check->order < VIRT_HPT_ORDER_MIN || check->order > VIRT_HPT_ORDER_MAX) &&
        countFinding(check, VIRT_HPT_RULE_ORDER_RANGE)) {
        keepFinding(
            check, VIRT_HPT_RULE_ORDER_RANGE, NULL, g_strdup_printf(_("order %1$u"), check->order),
            g_strdup_printf(_("order %1$d to %2$d"), VIRT_HPT_ORDER_MIN, VIRT_HPT_ORDER_MAX));
    }

    if (bytes == 0)
        return;
    low = impliedOrder(bytes);
    high = impliedOrder(most);

    if ((check->order + ORDER_RAM_TOLERANCE < low || check->order > high + ORDER_RAM_TOLERANCE) &&
        countFinding(check, VIRT_HPT_RULE_ORDER_RAM)) {
        gboolean small = check->order < low;

        keepFinding(
            check, VIRT_HPT_RULE_ORDER_RAM, NULL, g_strdup_printf(_("order %1$u"), check->order),
            g_strdup_printf(_("about order %1$u for %2$llu bytes of RAM"), small ? low : high,
                            (unsigned long long)(small ? bytes : most)));
    }
}

/* Returns whether the page size makes sense; the other rules build on it */
static gboolean
decodePageSize(Check *check, Subject *subject)
{
    guint segmentShift = virtHptEntryGetSegmentShift(&subject->entry);

    if (!virtHptEntryGetPageSize(&subject->entry, &subject->size)) {
        if (countFinding(check, VIRT_HPT_RULE_PAGE_SIZE)) {
            guint lp = (guint)(subject->entry.r >> 12) & 0xff;

            keepFinding(check, VIRT_HPT_RULE_PAGE_SIZE, subject,
                        g_strdup_printf(_("large page encoding 0x%1$02x in R bits 19:12"), lp),
                        g_strdup(_("0x00, 0x03, 0x08, 0x38, 0x*1 or 0x*7")));
        }
        return FALSE;
    }

    if (segmentShift != 0 && subject->size.actual > segmentShift) {
        if (countFinding(check, VIRT_HPT_RULE_PAGE_SIZE)) {
            g_autofree char *size = formatPageSize(&subject->size);
            g_autofree char *segment = formatShift(segmentShift);

            keepFinding(check, VIRT_HPT_RULE_PAGE_SIZE, subject,
                        g_strdup_printf(_("page size %1$s in a segment of %2$s"), size, segment),
                        g_strdup(_("a page that fits into its segment")));
        }
        return FALSE;
    }
    return TRUE;
}

/* A size above the limit is not reported as unusual as well */
static void
checkPageSize(Check *check, const Subject *subject)
{
    const VirtHptPageSize *size = &subject->size;
    guint limit = check->context->maxPageShift;
    gboolean unusual =
        size->base == VIRT_HPT_PAGE_SHIFT_MAX || (size->base == 12 && size->actual == 16);

    if (limit != 0 && size->actual > limit) {
        if (countFinding(check, VIRT_HPT_RULE_PAGE_SIZE_LIMIT)) {
            g_autofree char *largest = formatShift(limit);

            keepFinding(check, VIRT_HPT_RULE_PAGE_SIZE_LIMIT, subject, formatPageSize(size),
                        g_strdup_printf(_("at most %1$s"), largest));
        }
    } else if (unusual && countFinding(check, VIRT_HPT_RULE_PAGE_SIZE_UNUSUAL)) {
        keepFinding(check, VIRT_HPT_RULE_PAGE_SIZE_UNUSUAL, subject, formatPageSize(size),
                    g_strdup(_("4K/4K, 4K/16M, 64K/64K, 64K/16M or 16M/16M")));
    }
}

static void
checkRpn(Check *check, const Subject *subject)
{
    guint64 bytes = G_GUINT64_CONSTANT(1) << subject->size.actual;
    guint64 low = subject->entry.r & VIRT_HPT_R_RPN & (bytes - 1);
    guint64 encoding = virtHptPageSizeGetEncoding(&subject->size);
    guint64 real = virtHptEntryGetRealAddress(&subject->entry, &subject->size);
    guint64 ram = check->context->ramBytes;

    if (low != encoding && countFinding(check, VIRT_HPT_RULE_RPN_ALIGNMENT)) {
        g_autofree char *size = formatPageSize(&subject->size);

        keepFinding(
            check, VIRT_HPT_RULE_RPN_ALIGNMENT, subject,
            g_strdup_printf(_("RPN bits 0x%1$llx below the page size"), (unsigned long long)low),
            g_strdup_printf(_("0x%1$llx, which encodes %2$s"), (unsigned long long)encoding, size));
    }

    /* What is not cached is a device, and may lie anywhere */
    if (ram != 0 && !(subject->entry.r & VIRT_HPT_R_I) && (real >= ram || bytes > ram - real) &&
        countFinding(check, VIRT_HPT_RULE_RPN_RANGE)) {
        keepFinding(check, VIRT_HPT_RULE_RPN_RANGE, subject,
                    g_strdup_printf(_("real address 0x%1$llx to 0x%2$llx"),
                                    (unsigned long long)real,
                                    (unsigned long long)(real + bytes - 1)),
                    g_strdup_printf(_("RAM, which ends at 0x%1$llx"), (unsigned long long)ram - 1));
    }
}

static void
reportPlacement(Check *check, const Subject *subject, guint64 hash)
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
    keepFinding(check, VIRT_HPT_RULE_HASH_PLACEMENT, subject, found, expected);
}

/* Returns whether the entry has a virtual address; @address is set then */
static gboolean
checkPlacement(Check *check, const Subject *subject, VirtHptAddress *address)
{
    guint64 hash;

    if (virtHptEntryGetAddress(&subject->entry, &subject->size, subject->slot, check->order,
                               address))
        return TRUE;

    /* A page that fits into its segment has a hash, unless B is reserved */
    if (!virtHptEntryGetHash(&subject->entry, &subject->size, &hash)) {
        if (countFinding(check, VIRT_HPT_RULE_SEGMENT_RESERVED)) {
            guint b = (guint)(subject->entry.v >> VIRT_HPT_V_B_SHIFT);

            keepFinding(check, VIRT_HPT_RULE_SEGMENT_RESERVED, subject,
                        g_strdup_printf(_("segment size B is %1$u"), b),
                        g_strdup(_("0 (256M) or 1 (1T)")));
        }
    } else if (countFinding(check, VIRT_HPT_RULE_HASH_PLACEMENT)) {
        reportPlacement(check, subject, hash);
    }
    return FALSE;
}

/*
 * Looks for the same virtual page in the slots of [@slot, @end).  In the PTEG of a hash, with the
 * right H, an equal AVPN is an equal address: what AVPN does not hold follows from the PTEG.
 */
static guint64
findDouble(const Check *check, const Subject *subject, guint64 slot, guint64 end, guint64 secondary)
{
    guint64 mask = virtHptPageSizeVMask(&subject->size);

    for (; slot < end; slot++) {
        VirtHptEntry other = virtHptTableGet(check->table, slot);
        VirtHptPageSize size;

        if ((other.v & VIRT_HPT_V_VALID) && (other.v & VIRT_HPT_V_SECONDARY) == secondary &&
            ((other.v ^ subject->entry.v) & mask) == 0 && virtHptEntryGetPageSize(&other, &size) &&
            size.base == subject->size.base)
            return slot;
    }
    return VIRT_HPT_NO_SLOT;
}

/* Compares with slots before the entry only, so that each pair is found once */
static void
checkDuplicate(Check *check, const Subject *subject, const VirtHptAddress *address)
{
    guint64 secondary = subject->entry.v & VIRT_HPT_V_SECONDARY;
    guint64 pteg = subject->slot / VIRT_HPT_PTEG_SLOTS;
    guint64 complement = ~pteg & (virtHptTableGetPtegs(check->table) - 1);
    guint64 other = VIRT_HPT_NO_SLOT;

    if (complement < pteg) {
        other =
            findDouble(check, subject, complement * VIRT_HPT_PTEG_SLOTS,
                       (complement + 1) * VIRT_HPT_PTEG_SLOTS, secondary ^ VIRT_HPT_V_SECONDARY);
    }
    if (other == VIRT_HPT_NO_SLOT)
        other = findDouble(check, subject, pteg * VIRT_HPT_PTEG_SLOTS, subject->slot, secondary);

    if (other != VIRT_HPT_NO_SLOT && countFinding(check, VIRT_HPT_RULE_DUPLICATE)) {
        char buf[VIRT_HPT_ADDRESS_BUFLEN];

        virtHptAddressFormat(address, buf);
        keepFinding(check, VIRT_HPT_RULE_DUPLICATE, subject,
                    g_strdup_printf(_("virtual page %1$s, as at slot 0x%2$llx"), buf,
                                    (unsigned long long)other),
                    g_strdup(_("one entry for a virtual page")));
    }
}

static void
checkAvpnWidth(Check *check, const Subject *subject)
{
    guint64 lost = subject->entry.v & V_AVPN_NOT_ISA3;

    if (check->context->power9 && lost != 0 && countFinding(check, VIRT_HPT_RULE_AVPN_WIDTH)) {
        keepFinding(check, VIRT_HPT_RULE_AVPN_WIDTH, subject,
                    g_strdup_printf(_("AVPN bits 0x%1$llx of V are set"), (unsigned long long)lost),
                    g_strdup(_("V bits 61:52 to be clear on POWER9")));
    }
}

/* Keeps the placements ascending by base, then actual shift */
static void
countPlacement(Check *check, const VirtHptPageSize *size)
{
    GArray *placement = check->report->placement;
    VirtHptPlacement fresh = {*size, 1, virtHptPageSizeVerifiableBits(size, check->order)};
    guint i;

    for (i = 0; i < placement->len; i++) {
        VirtHptPlacement *p = &g_array_index(placement, VirtHptPlacement, i);

        if (p->size.base == size->base && p->size.actual == size->actual) {
            p->entries++;
            return;
        }
        if (p->size.base > size->base ||
            (p->size.base == size->base && p->size.actual > size->actual))
            break;
    }
    g_array_insert_val(placement, i, fresh);
}

static void
checkEntry(Check *check, guint64 slot)
{
    Subject subject = {slot, virtHptTableGet(check->table, slot), {0, 0}};
    VirtHptAddress address;

    check->valid++;
    check->bolted += (subject.entry.v & VIRT_HPT_V_BOLTED) != 0;

    if (!decodePageSize(check, &subject))
        return;
    countPlacement(check, &subject.size);
    checkPageSize(check, &subject);
    checkRpn(check, &subject);
    checkAvpnWidth(check, &subject);
    if (checkPlacement(check, &subject, &address))
        checkDuplicate(check, &subject, &address);
}

/* By rule, then slot: each rule's own were found in the order of slots */
static void
collectFindings(Check *check)
{
    for (guint i = 0; i < VIRT_HPT_RULE_COUNT; i++)
        g_ptr_array_extend_and_steal(check->report->findings, check->kept[i]);
}

/**
 * virtHptTableCheck:
 * @table: a table
 * @context: (nullable): what is known of the machine around it
 *
 * Checks every entry against the rules of #VirtHptRule.  A table without entries is sound: a guest
 * in firmware has one.  Memory and the number of findings kept do not depend on the table; time
 * is one pass over the entries.
 *
 * Findings of %VIRT_HPT_RULE_HASH_PLACEMENT are certain, the absence of them is not: see
 * @placement in the report for how much of it could be verified.
 *
 * Returns: (transfer full): the report
 */
VirtHptReport *
virtHptTableCheck(const VirtHptTable *table, const VirtHptCheckContext *context)
{
    static const VirtHptCheckContext nothing;
    guint64 slots = virtHptTableGetSlots(table);
    Check check = {.table = table, .context = context ? context : &nothing};

    check.order = virtHptTableGetOrder(table);
    check.maxPerRule = check.context->maxPerRule ? check.context->maxPerRule : MAX_PER_RULE_DEFAULT;
    check.report = g_new0(VirtHptReport, 1);
    check.report->findings = g_ptr_array_new_with_free_func(findingFree);
    check.report->placement = g_array_new(FALSE, FALSE, sizeof(VirtHptPlacement));
    check.report->ptegBits = check.order - 7;
    for (guint i = 0; i < VIRT_HPT_RULE_COUNT; i++)
        check.kept[i] = g_ptr_array_new();

    checkOrder(&check);
    for (guint64 slot = virtHptTableNextValid(table, 0); slot < slots;
         slot = virtHptTableNextValid(table, slot + 1))
        checkEntry(&check, slot);

    if (check.valid > 0 && check.bolted == 0 && countFinding(&check, VIRT_HPT_RULE_NO_BOLTED)) {
        keepFinding(&check, VIRT_HPT_RULE_NO_BOLTED, NULL,
                    g_strdup_printf(_("none of the entries is bolted, of %1$llu"),
                                    (unsigned long long)check.valid),
                    g_strdup(_("bolted entries for the guest's kernel")));
    }

    collectFindings(&check);
    return check.report;
}
