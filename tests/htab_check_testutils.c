/*
 * htab_check_testutils.c: a check, and the same by judging each entry by all rules
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "htab/htab_checkpriv.h"
#include "htab_check_testutils.h"

static guint64
countFindings(const VirtHptReport *report)
{
    guint64 sum = 0;

    for (guint i = 0; i < VIRT_HPT_RULE_COUNT; i++)
        sum += report->counts[i];
    return sum;
}

/* Adds the entries of a PTEG, each judged by itself and whole; returns how many findings there are
 */
static guint64
judge(VirtHptCheck *check, guint64 pteg)
{
    guint64 before = countFindings(check->report);

    for (guint i = 0; i < VIRT_HPT_PTEG_SLOTS; i++) {
        guint64 slot = pteg * VIRT_HPT_PTEG_SLOTS + i;
        VirtHptCheckSubject subject = {
            .slot = slot,
            .entry = virtHptTableGet(check->table, slot),
            .suspects = VIRT_HPT_SUSPECT_ALL,
        };

        if (subject.entry.v & VIRT_HPT_V_VALID)
            virtHptCheckEntry(check, &subject);
    }
    return countFindings(check->report) - before;
}

/* The same of what is suspect only */
static guint64
judgeSuspects(VirtHptCheck *check, VirtHptPlain *plain, guint64 pteg)
{
    VirtHptCheckSubject subjects[VIRT_HPT_PTEG_SLOTS];
    guint64 before = countFindings(check->report);
    guint n = virtHptPlainSuspects(plain, check->table, pteg, subjects);

    for (guint i = 0; i < n; i++)
        virtHptCheckEntry(check, &subjects[i]);
    return countFindings(check->report) - before;
}

static void
assertSameCounts(const VirtHptCheck *a, const VirtHptCheck *b)
{
    g_assert_cmpuint(a->valid, ==, b->valid);
    g_assert_cmpuint(a->bolted, ==, b->bolted);
    g_assert_cmpuint(a->secondary, ==, b->secondary);
    g_assert_cmpuint(a->boltedBytes, ==, b->boltedBytes);
    g_assert_cmpuint(a->report->placement->len, ==, b->report->placement->len);
    for (guint i = 0; i < a->report->placement->len; i++) {
        const VirtHptPlacement *x = &g_array_index(a->report->placement, VirtHptPlacement, i);
        const VirtHptPlacement *y = &g_array_index(b->report->placement, VirtHptPlacement, i);

        g_assert_cmpuint(x->size.base, ==, y->size.base);
        g_assert_cmpuint(x->size.actual, ==, y->size.actual);
        g_assert_cmpuint(x->entries, ==, y->entries);
    }
}

static void
assertSameFindings(const VirtHptCheck *a, const VirtHptCheck *b)
{
    for (guint i = 0; i < VIRT_HPT_RULE_COUNT; i++) {
        g_assert_cmpuint(a->report->counts[i], ==, b->report->counts[i]);
        g_assert_cmpuint(a->kept[i]->len, ==, b->kept[i]->len);
        for (guint j = 0; j < a->kept[i]->len; j++) {
            const VirtHptFinding *x = g_ptr_array_index(a->kept[i], j);
            const VirtHptFinding *y = g_ptr_array_index(b->kept[i], j);

            g_assert_cmpuint(x->slot, ==, y->slot);
            g_assert_cmpstr(x->found, ==, y->found);
            g_assert_cmpstr(x->expected, ==, y->expected);
        }
    }
}

/*
 * Compares what a check passes over and what it judges, PTEG by PTEG, with what all rules have to
 * say about each entry, and the counts that both come to.  Returns how many PTEGs are not plain;
 * adds what there is to find about entries to @counts, if not %NULL.
 */
guint
testComparePlain(const VirtHptTable *table, const VirtHptCheckContext *context, guint64 *counts)
{
    const guint order = virtHptTableGetOrder(table);
    VirtHptCheck all;
    VirtHptCheck rest;
    VirtHptPlain plain;
    guint others = 0;

    virtHptCheckInit(&all, table, order, context);
    virtHptCheckInit(&rest, table, order, context);
    virtHptPlainInit(&plain, &rest);

    for (guint64 pteg = 0; pteg < virtHptTableGetPtegs(table); pteg++) {
        guint64 findings = judge(&all, pteg);

        if (virtHptPlainPteg(&plain, table, pteg)) {
            g_assert_cmpuint(findings, ==, 0);
        } else {
            g_assert_cmpuint(judgeSuspects(&rest, &plain, pteg), ==, findings);
            others++;
        }
    }
    virtHptPlainFinish(&plain, &rest);
    assertSameCounts(&all, &rest);
    assertSameFindings(&all, &rest);
    for (guint i = 0; counts && i < VIRT_HPT_RULE_COUNT; i++)
        counts[i] += all.report->counts[i];

    virtHptReportFree(virtHptCheckFinish(&all));
    virtHptReportFree(virtHptCheckFinish(&rest));
    return others;
}
