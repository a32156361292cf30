/*
 * snapshot_made.h: the disk layers that are made for a revert, by us or by libvirt
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "snapshot/snapshot_driver.h"

G_BEGIN_DECLS

gboolean virtHptMadeNote(VirtHptGuest *guest, VirtHptJournal *journal, GError **error);
gboolean virtHptMadeIsUnder(VirtHptGuest *guest,
                            const VirtHptJournal *journal,
                            gboolean *is,
                            GError **error);
gboolean virtHptMadeIsBelow(VirtHptGuest *guest,
                            const VirtHptJournal *journal,
                            gboolean *is,
                            GError **error);
gboolean virtHptMadeRemove(VirtHptGuest *guest,
                           const VirtHptJournal *journal,
                           const VirtHptRevertOptions *options,
                           GError **error);

G_END_DECLS
