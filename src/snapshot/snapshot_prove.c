/*
 * snapshot_prove.c: whether a restored guest has the table that it was restored with
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <glib/gi18n-lib.h>

#include "qemu/qemu_capture.h"
#include "snapshot/snapshot_revertpriv.h"

/* A paused guest of any size is read within this time, in seconds */
#define PROVE_TIME 600
/* Differences that are named, of each kind */
#define PROVE_KEPT 16

/* The table that the restored guest must have: the recorded one, else the image's */
static VirtHptSubject *
loadExpected(const VirtHptSnapshot *snapshot, const VirtHptRevertOptions *options, GError **error)
{
    g_autoptr(VirtHptRecord) record = virtHptSnapshotFindRecord(snapshot, NULL);

    return virtHptSubjectOpen(record ? record->path : snapshot->image, options->progress,
                              options->opaque, error);
}

/**
 * virtHptRevertProve:
 * @snapshot: a snapshot whose guest was restored and is paused
 * @options: whom to tell how far a long step is
 * @diff: (out) (nullable): what differs, %NULL where neither has a table
 * @same: (out): whether the guest's table is the recorded one
 * @error: set on failure: the tables cannot be compared
 *
 * Compares the restored guest's table with the recorded one, slot by slot.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptRevertProve(const VirtHptSnapshot *snapshot,
                   const VirtHptRevertOptions *options,
                   VirtHptDiff **diff,
                   gboolean *same,
                   GError **error)
{
    g_autoptr(VirtHptSubject) expected = loadExpected(snapshot, options, error);
    g_autoptr(VirtHptStream) stream = NULL;

    if (!expected)
        return FALSE;
    stream = virtHptCapture(snapshot->guest->domain, NULL, PROVE_TIME, error);
    if (!stream)
        return FALSE;
    if (!stream->hasHpt || !expected->table) {
        *same = !stream->hasHpt && !expected->table;
        if (*same)
            return TRUE;
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_DAMAGED,
            _("the restored guest and the snapshot do not use the same kind of page table"));
        return FALSE;
    }
    *diff = virtHptTableDiff(expected->table, stream->table, PROVE_KEPT, error);
    *same = *diff && virtHptDiffGetTotal(*diff) == 0;
    return *diff != NULL;
}
