/*
 * snapshot_revertpriv.h: steps that a revert and the recovery of one share
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "snapshot/snapshot_journal.h"

G_BEGIN_DECLS

#define VIRT_HPT_ASIDE "before-revert.save"
#define VIRT_HPT_ASIDE_AGAIN "before-second-revert.save"

void virtHptRevertDropOverlays(const VirtHptJournal *journal);
gboolean virtHptRevertAbandon(VirtHptGuest *guest, VirtHptJournal *journal, GError **error);
gboolean virtHptRevertUndo(VirtHptGuest *guest, VirtHptJournal *journal, GError **error);
gboolean virtHptRevertCommit(VirtHptGuest *guest,
                             VirtHptJournal *journal,
                             gboolean *running,
                             GError **error);

G_END_DECLS
