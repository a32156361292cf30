/*
 * snapshot_keep.h: second names for files that libvirt may remove
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "snapshot/snapshot_journal.h"

G_BEGIN_DECLS

gboolean virtHptKeepPlan(VirtHptJournal *journal, GError **error);
gboolean virtHptKeepFile(const char *path, GError **error);
gboolean virtHptKeepBringBack(const char *path, GError **error);
char *virtHptKeepFind(const char *path);
void virtHptKeepDrop(const char *path);

G_END_DECLS
