/*
 * snapshot_hptfile.h: files that hold an HPT stream and nothing else: a table, or a delta
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "libvirt-hpt/htab_delta.h"
#include "qemu/qemu_source.h"
#include "snapshot/snapshot_place.h"

G_BEGIN_DECLS

gboolean virtHptFileProbe(const VirtHptPlace *place);

VirtHptTable *virtHptFileReadTable(const VirtHptPlace *place,
                                   const char *name,
                                   VirtHptProgressFunc progress,
                                   gpointer progressOpaque,
                                   GError **error);

gboolean virtHptFileApplyDelta(const VirtHptPlace *place,
                               const char *name,
                               VirtHptTable *table,
                               VirtHptDeltaStats *stats,
                               GError **error);

G_END_DECLS
