/*
 * htab_encodepriv.h: what writes the records of a table and those of a delta
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "libvirt-hpt/htab_stream.h"

G_BEGIN_DECLS

typedef struct _VirtHptRecordWriter VirtHptRecordWriter;

VirtHptRecordWriter *virtHptRecordWriterNew(VirtHptEncoding encoding,
                                            VirtHptWriteFunc write,
                                            gpointer opaque);
gboolean virtHptRecordWriterBegin(VirtHptRecordWriter *writer, guint order, GError **error);
gboolean virtHptRecordWriterPut(VirtHptRecordWriter *writer,
                                const VirtHptTable *table,
                                guint64 slot,
                                guint64 valid,
                                guint64 invalid,
                                GError **error);
gboolean virtHptRecordWriterEnd(VirtHptRecordWriter *writer, GError **error);
void virtHptRecordWriterFree(VirtHptRecordWriter *writer);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptRecordWriter, virtHptRecordWriterFree)

G_END_DECLS
