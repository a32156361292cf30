/*
 * htab_delta.h: what turns one table into another, as an HPT stream
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A delta has the form of a table's file: be32 order, be32 0, records with big-endian headers, an
 * end marker of 8 zero bytes.  Its records put entries where they are new or other ones, and have
 * invalid runs where there are none any more.  A later pass of a migration is the same.
 */

#pragma once

#include "libvirt-hpt/htab_stream.h"

G_BEGIN_DECLS

/**
 * VirtHptDeltaStats:
 * @set: entries that were put where there was none, or another one
 * @cleared: entries that were removed
 * @same: entries that were there already
 * @absent: slots that were to be cleared, and held no entry
 *
 * What came of applying a delta.  What virtHptTableEncodeDelta() wrote has neither @same nor
 * @absent on its own base; a migration's pass may have both on any.
 */
typedef struct {
    guint64 set;
    guint64 cleared;
    guint64 same;
    guint64 absent;
} VirtHptDeltaStats;

gboolean virtHptTableEncodeDelta(const VirtHptTable *before,
                                 const VirtHptTable *after,
                                 VirtHptWriteFunc write,
                                 gpointer opaque,
                                 GError **error);

/**
 * VirtHptDeltaReader:
 *
 * Applies a delta to a table, from pieces of any size.
 */
typedef struct _VirtHptDeltaReader VirtHptDeltaReader;

VirtHptDeltaReader *virtHptDeltaReaderNew(VirtHptTable *table);
void virtHptDeltaReaderFree(VirtHptDeltaReader *reader);
gboolean virtHptDeltaReaderFeed(VirtHptDeltaReader *reader,
                                const guint8 *data,
                                gsize length,
                                GError **error);
gboolean virtHptDeltaReaderFinish(VirtHptDeltaReader *reader,
                                  VirtHptDeltaStats *stats,
                                  GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptDeltaReader, virtHptDeltaReaderFree)

G_END_DECLS
