/*
 * htab_diff.c: what changed between two tables
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What is empty in both tables is passed over without a look at it, and what is the same in both a
 * chunk at a time: an empty slot is zero and private bits are cleared, so that bytes tell.
 */

#include "config.h"

#include <glib/gi18n-lib.h>

#include <string.h>

#include "libvirt-hpt/htab_error.h"
#include "htab/htab_diffpriv.h"
#include "htab/htab_streampriv.h"

/* Slots compared at a time, and looked at one by one only where they differ: 4 KiB */
#define CHUNK_SLOTS 256

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
        [VIRT_HPT_DIFF_RC_ONLY] = "rc_only",
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
        return VIRT_HPT_DIFF_RC_ONLY;
    return VIRT_HPT_DIFF_CHANGED;
}

/*
 * virtHptDiffWalkInit:
 * @walk: (out): before the first difference
 * @before: a table
 * @after: a table
 * @error: set on failure: %VIRT_HPT_ERROR_FAILED where the orders differ
 *
 * Returns: %FALSE with @error set
 */
gboolean
virtHptDiffWalkInit(VirtHptDiffWalk *walk,
                    const VirtHptTable *before,
                    const VirtHptTable *after,
                    GError **error)
{
    if (virtHptTableGetOrder(before) != virtHptTableGetOrder(after)) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                    _("a table of order %1$u cannot be compared with one of order %2$u"),
                    virtHptTableGetOrder(before), virtHptTableGetOrder(after));
        return FALSE;
    }
    *walk = (VirtHptDiffWalk){
        .before = before,
        .after = after,
        .nextBefore = virtHptTableNextValid(before, 0),
        .nextAfter = virtHptTableNextValid(after, 0),
    };
    return TRUE;
}

/* Moves @slot to the first difference in the rest of its chunk; else behind it: %FALSE */
static gboolean
findDifference(const VirtHptDiffWalk *walk, guint64 *slot)
{
    guint64 end = (*slot / CHUNK_SLOTS + 1) * CHUNK_SLOTS;
    const guint8 *before = virtHptTablePeekWire(walk->before, *slot);
    const guint8 *after = virtHptTablePeekWire(walk->after, *slot);

    if (memcmp(before, after, (gsize)(end - *slot) * VIRT_HPT_ENTRY_SIZE) == 0) {
        *slot = end;
        return FALSE;
    }
    while (memcmp(before, after, VIRT_HPT_ENTRY_SIZE) == 0) {
        before += VIRT_HPT_ENTRY_SIZE;
        after += VIRT_HPT_ENTRY_SIZE;
        (*slot)++;
    }
    return TRUE;
}

/*
 * virtHptDiffWalkNext:
 * @walk: a walk
 * @slot: (out): the next slot that differs, ascending
 *
 * Returns: %FALSE if there are no more
 */
gboolean
virtHptDiffWalkNext(VirtHptDiffWalk *walk, guint64 *slot)
{
    guint64 slots = virtHptTableGetSlots(walk->before);

    for (;;) {
        if (walk->nextBefore < walk->slot)
            walk->nextBefore = virtHptTableNextValid(walk->before, walk->slot);
        if (walk->nextAfter < walk->slot)
            walk->nextAfter = virtHptTableNextValid(walk->after, walk->slot);
        walk->slot = MIN(walk->nextBefore, walk->nextAfter);
        if (walk->slot >= slots)
            return FALSE;
        if (findDifference(walk, &walk->slot)) {
            *slot = walk->slot++;
            return TRUE;
        }
    }
}

/* Whether the difference at @slot belongs to @run; it is added then */
static gboolean
extendRun(VirtHptDiffRun *run, guint64 slot, gboolean valid)
{
    if (slot != run->slot + run->valid + run->invalid || (valid && run->invalid != 0) ||
        (valid ? run->valid : run->invalid) == VIRT_HPT_RECORD_MAX)
        return FALSE;
    if (valid)
        run->valid++;
    else
        run->invalid++;
    return TRUE;
}

/*
 * virtHptDiffWalkNextRun:
 * @walk: a walk
 * @run: (out): the next slots that differ, as many as one record takes
 *
 * Returns: %FALSE if there are no more
 */
gboolean
virtHptDiffWalkNextRun(VirtHptDiffWalk *walk, VirtHptDiffRun *run)
{
    guint64 slot;

    if (!virtHptDiffWalkNext(walk, &slot))
        return FALSE;
    *run = (VirtHptDiffRun){.slot = slot};
    do {
        if (!extendRun(run, slot, (virtHptTableGet(walk->after, slot).v & VIRT_HPT_V_VALID) != 0)) {
            /* It is the next run's */
            walk->slot = slot;
            break;
        }
    } while (virtHptDiffWalkNext(walk, &slot));
    return TRUE;
}

static void
keepDifference(VirtHptDiff *diff, const VirtHptDiffWalk *walk, guint64 slot, guint64 max)
{
    VirtHptDifference difference = {
        .slot = slot,
        .before = virtHptTableGet(walk->before, slot),
        .after = virtHptTableGet(walk->after, slot),
    };

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
    VirtHptDiffWalk walk;
    VirtHptDiff *diff;
    guint64 slot;

    if (!virtHptDiffWalkInit(&walk, before, after, error))
        return NULL;
    diff = g_new0(VirtHptDiff, 1);
    diff->differences = g_array_new(FALSE, FALSE, sizeof(VirtHptDifference));
    while (virtHptDiffWalkNext(&walk, &slot))
        keepDifference(diff, &walk, slot, max);
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
