/*
 * snapshot_metadata.h: what libvirt knows of a domain and its snapshots, remembered and put back
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "snapshot/snapshot_journal.h"

G_BEGIN_DECLS

gboolean virtHptMetadataRemember(VirtHptGuest *guest,
                                 virDomainSnapshot *target,
                                 VirtHptJournal *journal,
                                 GError **error);
const char *virtHptMetadataTarget(const VirtHptJournal *journal);
const char *virtHptMetadataCurrent(const VirtHptJournal *journal);
gboolean virtHptMetadataRememberOthers(VirtHptGuest *guest,
                                       const char *name,
                                       GPtrArray *others,
                                       GError **error);
gboolean virtHptMetadataPutBackOthers(VirtHptGuest *guest, const GPtrArray *others, GError **error);
gboolean virtHptMetadataPutBack(VirtHptGuest *guest, const VirtHptJournal *journal, GError **error);

G_END_DECLS
