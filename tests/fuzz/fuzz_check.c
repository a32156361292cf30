/*
 * fuzz_check.c: any entries, checked with anything said about the machine
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The input is a context, field by field, and then entries.  What a check passes over, no rule has
 * anything to say about; what it says of RAM is what the ranges say, one by one; and a report is
 * as its documentation has it.
 */

#include "config.h"

#include "htab/htab_entrypriv.h"
#include "htab_check_testutils.h"

#define ORDER 18
#define SLOTS ((guint64)1 << (ORDER - 4))
#define PTEGS (SLOTS / VIRT_HPT_PTEG_SLOTS)
#define TABLE_MAX ((guint64)1 << ORDER)
#define PLUGGED_MAX 7
#define PER_RULE_DEFAULT 16

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

typedef struct {
    const guint8 *data;
    gsize length;
} Input;

/* Big-endian; bytes beyond the end are 0 */
static guint64
take(Input *input, guint bytes)
{
    guint64 value = 0;

    for (; bytes > 0; bytes--) {
        value = value << 8 | (input->length ? *input->data : 0);
        if (input->length) {
            input->data++;
            input->length--;
        }
    }
    return value;
}

/* The last byte of a range is one of the 64-bit address space: that much a caller promises */
static VirtHptRamRange
takeRange(Input *input)
{
    VirtHptRamRange range;

    range.start = take(input, 8);
    range.length = take(input, 8);
    if (range.start != 0)
        range.length = MIN(range.length, -range.start);
    return range;
}

static void
takeContext(Input *input, VirtHptCheckContext *context, VirtHptRamRange plugged[PLUGGED_MAX])
{
    context->maxPageShift = (guint)take(input, 4);
    context->maxPerRule = (guint)take(input, 4);
    context->orderBytes = take(input, 8);
    context->orderMaxBytes = take(input, 8);
    context->ramBytes = take(input, 8);
    context->nplugged = (gsize)(take(input, 1) % (PLUGGED_MAX + 1));
    for (gsize i = 0; i < context->nplugged; i++)
        plugged[i] = takeRange(input);
    context->plugged = plugged;
}

/* Returns a slot where the hash of @entry wants it; what the hash leaves open is as in @slot */
static guint64
place(const VirtHptEntry *entry, guint64 slot)
{
    VirtHptPageSize size;
    guint64 hash;
    guint64 hidden;

    if (!virtHptEntryGetPageSize(entry, &size) || !virtHptEntryGetHash(entry, &size, &hash))
        return slot;
    if (entry->v & VIRT_HPT_V_SECONDARY)
        hash = ~hash;
    hidden = ((guint64)1 << virtHptPageSizeHiddenBits(&size)) - 1;
    hash = (hash & ~hidden) | (slot / VIRT_HPT_PTEG_SLOTS & hidden);
    return hash % PTEGS * VIRT_HPT_PTEG_SLOTS + slot % VIRT_HPT_PTEG_SLOTS;
}

/* The highest bit of the slot tells whether the entry goes where it belongs */
static void
takeEntry(Input *input, VirtHptTable *table)
{
    guint64 slot = take(input, 2);
    gboolean placed = slot >> 15 != 0;
    VirtHptEntry entry;

    slot %= SLOTS;
    entry.v = take(input, 8);
    entry.r = take(input, 8);
    virtHptTableSet(table, placed ? place(&entry, slot) : slot, &entry);
}

/* Moves @at to behind the RAM of @range that it is in; returns whether it is in it */
static gboolean
pass(const VirtHptRamRange *range, guint64 *at)
{
    if (*at < range->start || *at - range->start >= range->length)
        return FALSE;
    if (!g_uint64_checked_add(at, range->start, range->length))
        *at = G_MAXUINT64;
    return TRUE;
}

/* From range to range, in whatever order they are.  No page ends behind 2^60. */
static gboolean
isRam(const VirtHptCheckContext *context, guint64 at, guint64 end)
{
    const VirtHptRamRange base = {0, context->ramBytes};
    gboolean passed = TRUE;

    while (passed && at < end) {
        passed = pass(&base, &at);
        for (gsize i = 0; !passed && i < context->nplugged; i++)
            passed = pass(&context->plugged[i], &at);
    }
    return passed;
}

/* Returns how many cacheable pages are not RAM, of entries that can be understood */
static guint64
countOutside(const VirtHptTable *table, const VirtHptCheckContext *context)
{
    guint64 count = 0;

    if (context->ramBytes == 0)
        return 0;
    for (guint64 slot = virtHptTableNextValid(table, 0); slot < SLOTS;
         slot = virtHptTableNextValid(table, slot + 1)) {
        VirtHptEntry entry = virtHptTableGet(table, slot);
        guint segmentShift = virtHptEntryGetSegmentShift(&entry);
        VirtHptPageSize size;
        guint64 real;

        if ((entry.r & VIRT_HPT_R_I) || !virtHptEntryGetPageSize(&entry, &size) ||
            (segmentShift != 0 && size.actual > segmentShift))
            continue;
        real = virtHptEntryGetRealAddress(&entry, &size);
        count += !isRam(context, real, real + ((guint64)1 << size.actual));
    }
    return count;
}

/* Findings are ascending by rule and slot, and of each rule the first are kept */
static void
assertReport(const VirtHptReport *report, const VirtHptTable *table, guint maxPerRule)
{
    guint64 kept[VIRT_HPT_RULE_COUNT] = {0};
    const VirtHptFinding *last = NULL;

    for (guint i = 0; i < report->findings->len; i++) {
        const VirtHptFinding *finding = g_ptr_array_index(report->findings, i);

        g_assert_cmpuint(finding->rule, <, VIRT_HPT_RULE_COUNT);
        g_assert_true(!last || last->rule < finding->rule ||
                      (last->rule == finding->rule && last->slot < finding->slot));
        g_assert_cmpint(finding->severity, ==, virtHptRuleGetSeverity(finding->rule));
        g_assert_true(finding->found && finding->expected);
        if (finding->slot == VIRT_HPT_NO_SLOT) {
            g_assert_cmphex(finding->entry.v | finding->entry.r, ==, 0);
        } else {
            VirtHptEntry entry = virtHptTableGet(table, finding->slot);

            g_assert_cmphex(finding->entry.v, ==, entry.v);
            g_assert_cmphex(finding->entry.r, ==, entry.r);
        }
        kept[finding->rule]++;
        last = finding;
    }
    for (guint i = 0; i < VIRT_HPT_RULE_COUNT; i++) {
        guint64 max = maxPerRule ? maxPerRule : PER_RULE_DEFAULT;

        g_assert_cmpuint(kept[i], ==, MIN(report->counts[i], max));
    }
}

static gboolean
isAboutTable(VirtHptRule rule)
{
    return rule == VIRT_HPT_RULE_ORDER_RANGE || rule == VIRT_HPT_RULE_ORDER_RAM ||
           rule == VIRT_HPT_RULE_NO_BOLTED || rule >= VIRT_HPT_RULE_TABLE_FULL;
}

static void
checkTable(const VirtHptTable *table, const VirtHptCheckContext *context)
{
    g_autoptr(VirtHptReport) report = virtHptTableCheck(table, context);
    guint64 counts[VIRT_HPT_RULE_COUNT] = {0};

    assertReport(report, table, context->maxPerRule);
    testComparePlain(table, context, counts);
    for (guint i = 0; i < VIRT_HPT_RULE_COUNT; i++) {
        if (!isAboutTable((VirtHptRule)i))
            g_assert_cmpuint(report->counts[i], ==, counts[i]);
    }
    g_assert_cmpuint(counts[VIRT_HPT_RULE_RPN_RANGE], ==, countOutside(table, context));
}

static void
checkOrder(guint order, const VirtHptCheckContext *context)
{
    g_autoptr(VirtHptReport) report = virtHptOrderCheck(order, context);

    assertReport(report, NULL, context->maxPerRule);
    g_assert_cmpuint(report->findings->len, <=, 1);
    g_assert_cmpuint(report->counts[VIRT_HPT_RULE_ORDER_RANGE], ==,
                     order < VIRT_HPT_ORDER_MIN || order > VIRT_HPT_ORDER_MAX);
}

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    g_autoptr(VirtHptTable) table = virtHptTableNew(ORDER, TABLE_MAX, NULL);
    VirtHptRamRange plugged[PLUGGED_MAX];
    VirtHptCheckContext context = {0};
    Input input = {data, size};
    guint order = (guint)take(&input, 4);

    takeContext(&input, &context, plugged);
    while (input.length > 0)
        takeEntry(&input, table);

    checkOrder(order, &context);
    checkTable(table, &context);
    return 0;
}
