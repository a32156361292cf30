/*
 * htab_diffpriv.h: slot by slot through two tables, where they differ
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "libvirt-hpt/htab_diff.h"

G_BEGIN_DECLS

/*
 * VirtHptDiffWalk:
 * @slot: where to look next
 * @nextBefore: the first entry of @before from @slot on, unless it lies before @slot
 * @nextAfter: the same of @after
 */
typedef struct {
    const VirtHptTable *before;
    const VirtHptTable *after;
    guint64 slot;
    guint64 nextBefore;
    guint64 nextAfter;
} VirtHptDiffWalk;

/*
 * VirtHptDiffRun:
 * @slot: the first slot
 * @valid: how many from there on hold other entries afterwards, at most VIRT_HPT_RECORD_MAX
 * @invalid: how many behind those are emptied, at most VIRT_HPT_RECORD_MAX
 *
 * What one record can say of a difference.
 */
typedef struct {
    guint64 slot;
    guint valid;
    guint invalid;
} VirtHptDiffRun;

gboolean virtHptDiffWalkInit(VirtHptDiffWalk *walk,
                             const VirtHptTable *before,
                             const VirtHptTable *after,
                             GError **error);
gboolean virtHptDiffWalkNext(VirtHptDiffWalk *walk, guint64 *slot);
gboolean virtHptDiffWalkNextRun(VirtHptDiffWalk *walk, VirtHptDiffRun *run);

G_END_DECLS
