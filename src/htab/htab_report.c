/*
 * htab_report.c: the report of a check, as its findings come in and when it is whole
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "htab/htab_checkpriv.h"

#define MAX_PER_RULE_DEFAULT 16

static void
findingFree(gpointer data)
{
    VirtHptFinding *finding = data;

    g_free(finding->found);
    g_free(finding->expected);
    g_free(finding);
}

static gint
compareRanges(gconstpointer a, gconstpointer b)
{
    const VirtHptRamRange *first = a;
    const VirtHptRamRange *second = b;

    return first->start < second->start ? -1 : first->start > second->start;
}

/* A machine may claim to have hundreds of DIMMs, and a table may ask for each of its entries. */
static GArray *
mergeRam(const VirtHptCheckContext *context)
{
    const VirtHptRamRange base = {0, context->ramBytes};
    GArray *ram = g_array_new(FALSE, FALSE, sizeof(VirtHptRamRange));
    guint kept = 0;

    if (context->ramBytes == 0)
        return ram;
    g_array_append_val(ram, base);
    if (context->nplugged > 0)
        g_array_append_vals(ram, context->plugged, (guint)context->nplugged);
    g_array_sort(ram, compareRanges);
    for (guint i = 1; i < ram->len; i++) {
        VirtHptRamRange *last = &g_array_index(ram, VirtHptRamRange, kept);
        const VirtHptRamRange *next = &g_array_index(ram, VirtHptRamRange, i);
        guint64 gap = next->start - last->start;
        guint64 length;

        /* 2^64 is no length that there is; no page reaches the last byte of it */
        if (!g_uint64_checked_add(&length, gap, next->length))
            length = G_MAXUINT64;
        if (gap > last->length)
            g_array_index(ram, VirtHptRamRange, ++kept) = *next;
        else
            last->length = MAX(last->length, length);
    }
    g_array_set_size(ram, kept + 1);
    return ram;
}

/*
 * virtHptCheckInit:
 * @check: (out): a check that has found nothing yet
 * @table: (nullable): what it is about
 * @order: log2 of the table's size in bytes
 * @context: (nullable): what is known of the machine around it
 */
void
virtHptCheckInit(VirtHptCheck *check,
                 const VirtHptTable *table,
                 guint order,
                 const VirtHptCheckContext *context)
{
    static const VirtHptCheckContext nothing;

    *check = (VirtHptCheck){
        .table = table,
        .order = order,
        .context = context ? context : &nothing,
        .report = g_new0(VirtHptReport, 1),
    };
    check->maxPerRule =
        check->context->maxPerRule ? check->context->maxPerRule : MAX_PER_RULE_DEFAULT;
    check->ram = mergeRam(check->context);
    check->report->findings = g_ptr_array_new_with_free_func(findingFree);
    check->report->placement = g_array_new(FALSE, FALSE, sizeof(VirtHptPlacement));
    check->report->ptegBits = order > 7 ? order - 7 : 0;
    for (guint i = 0; i < VIRT_HPT_RULE_COUNT; i++)
        check->kept[i] = g_ptr_array_new();
}

/*
 * virtHptCheckFinish:
 * @check: a check that was initialised
 *
 * Orders the findings by rule, then slot: each rule's own were found in the order of slots.
 *
 * Returns: (transfer full): the report
 */
VirtHptReport *
virtHptCheckFinish(VirtHptCheck *check)
{
    for (guint i = 0; i < VIRT_HPT_RULE_COUNT; i++)
        g_ptr_array_extend_and_steal(check->report->findings, check->kept[i]);
    g_clear_pointer(&check->ram, g_array_unref);
    return g_steal_pointer(&check->report);
}

/*
 * virtHptCheckCount:
 * @check: a check
 * @rule: what was broken
 *
 * Counts a finding.
 *
 * Returns: whether there is room to keep it: only then are its texts worth making, for a table of
 * garbage has millions
 */
gboolean
virtHptCheckCount(VirtHptCheck *check, VirtHptRule rule)
{
    return check->report->counts[rule]++ < check->maxPerRule;
}

/*
 * virtHptCheckKeep:
 * @check: a check
 * @rule: what was broken, once virtHptCheckCount() said that there is room
 * @subject: (nullable): by which entry; %NULL: by the table
 * @found: (transfer full): what was found, translated
 * @expected: (transfer full): what was expected, translated
 */
void
virtHptCheckKeep(VirtHptCheck *check,
                 VirtHptRule rule,
                 const VirtHptCheckSubject *subject,
                 char *found,
                 char *expected)
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

/**
 * virtHptReportCount:
 * @report: a report
 * @severity: a severity
 *
 * Returns: how many findings of exactly that severity there were, also those not kept
 */
guint64
virtHptReportCount(const VirtHptReport *report, VirtHptSeverity severity)
{
    guint64 count = 0;

    for (guint i = 0; i < VIRT_HPT_RULE_COUNT; i++) {
        if (virtHptRuleGetSeverity((VirtHptRule)i) == severity)
            count += report->counts[i];
    }
    return count;
}

/**
 * virtHptReportFree:
 * @report: (nullable): a report and its findings
 */
void
virtHptReportFree(VirtHptReport *report)
{
    if (!report)
        return;
    g_ptr_array_unref(report->findings);
    g_array_unref(report->placement);
    g_free(report);
}
