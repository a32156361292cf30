/*
 * snapshot_stopped.h: what must not change while a guest is off in the middle of a revert
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "snapshot/snapshot_journal.h"

G_BEGIN_DECLS

gboolean virtHptStoppedPlan(VirtHptGuest *guest, VirtHptJournal *journal, GError **error);
void virtHptStoppedNote(VirtHptJournal *journal);
const char *virtHptStoppedFindUsed(const VirtHptGuest *guest, const VirtHptJournal *journal);

G_END_DECLS
