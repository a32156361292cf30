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

gboolean virtHptDiffWalkInit(VirtHptDiffWalk *walk,
                             const VirtHptTable *before,
                             const VirtHptTable *after,
                             GError **error);
gboolean virtHptDiffWalkNext(VirtHptDiffWalk *walk, guint64 *slot);

G_END_DECLS
