/*
 * htab_diff.c: what changed between two tables
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Slots that are empty in both tables are passed over without a look at them.
 */

#include "config.h"

#include <glib/gi18n-lib.h>

#include "libvirt-hpt/htab_diff.h"
#include "libvirt-hpt/htab_error.h"

#define REFERENCE_BITS (VIRT_HPT_R_R | VIRT_HPT_R_C)

/**
 * virtHptDiffFree:
 * @diff: (nullable): a diff and its differences
 */
void
virtHptDiffFree(VirtHptDiff *diff)
{
    if (!diff)
        return;
    g_array_unref(diff->differences);
    g_free(diff);
}

/**
 * virtHptDiffKindGetName:
 * @kind: a kind
 *
 * Returns: its stable name, never translated
 */
const char *
virtHptDiffKindGetName(VirtHptDiffKind kind)
{
    static const char *const names[VIRT_HPT_DIFF_KINDS] = {
        [VIRT_HPT_DIFF_ADDED] = "added",
        [VIRT_HPT_DIFF_REMOVED] = "removed",
        [VIRT_HPT_DIFF_CHANGED] = "changed",
        [VIRT_HPT_DIFF_REFERENCE] = "reference",
    };

    g_return_val_if_fail((guint)kind < VIRT_HPT_DIFF_KINDS, NULL);
    return names[kind];
}

static VirtHptDiffKind
classify(const VirtHptEntry *before, const VirtHptEntry *after)
{
    if (!(before->v & VIRT_HPT_V_VALID))
        return VIRT_HPT_DIFF_ADDED;
    if (!(after->v & VIRT_HPT_V_VALID))
        return VIRT_HPT_DIFF_REMOVED;
    if (before->v == after->v && (before->r & ~REFERENCE_BITS) == (after->r & ~REFERENCE_BITS))
        return VIRT_HPT_DIFF_REFERENCE;
    return VIRT_HPT_DIFF_CHANGED;
}

static void
compareSlot(VirtHptDiff *diff,
            const VirtHptTable *before,
            const VirtHptTable *after,
            guint64 slot,
            guint64 max)
{
    VirtHptDifference difference = {
        .slot = slot,
        .before = virtHptTableGet(before, slot),
        .after = virtHptTableGet(after, slot),
    };

    if (difference.before.v == difference.after.v && difference.before.r == difference.after.r)
        return;
    difference.kind = classify(&difference.before, &difference.after);
    if (diff->counts[difference.kind]++ < max)
        g_array_append_val(diff->differences, difference);
}

/**
 * virtHptTableDiff:
 * @before: a table
 * @after: a table of the same order
 * @max: the most differences of each kind to keep; all are counted
 * @error: set on failure: %VIRT_HPT_ERROR_FAILED where the orders differ
 *
 * Compares two tables slot by slot.
 *
 * Returns: (transfer full): the differences, or %NULL
 */
VirtHptDiff *
virtHptTableDiff(const VirtHptTable *before, const VirtHptTable *after, guint64 max, GError **error)
{
    guint64 slots = virtHptTableGetSlots(before);
    guint64 nextBefore = virtHptTableNextValid(before, 0);
    guint64 nextAfter;
    VirtHptDiff *diff;

    if (virtHptTableGetOrder(before) != virtHptTableGetOrder(after)) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                    _("a table of order %1$u cannot be compared with one of order %2$u"),
                    virtHptTableGetOrder(before), virtHptTableGetOrder(after));
        return NULL;
    }
    diff = g_new0(VirtHptDiff, 1);
    diff->differences = g_array_new(FALSE, FALSE, sizeof(VirtHptDifference));
    nextAfter = virtHptTableNextValid(after, 0);
    while (nextBefore < slots || nextAfter < slots) {
        guint64 slot = MIN(nextBefore, nextAfter);

        compareSlot(diff, before, after, slot, max);
        if (nextBefore == slot)
            nextBefore = virtHptTableNextValid(before, slot + 1);
        if (nextAfter == slot)
            nextAfter = virtHptTableNextValid(after, slot + 1);
    }
    return diff;
}

/**
 * virtHptDiffGetTotal:
 * @diff: differences
 *
 * Returns: how many there are of all kinds
 */
guint64
virtHptDiffGetTotal(const VirtHptDiff *diff)
{
    guint64 total = 0;

    for (guint i = 0; i < VIRT_HPT_DIFF_KINDS; i++)
        total += diff->counts[i];
    return total;
}
