/*
 * snapshot_payload.h: a file of a record: compressed, and known by the digest of what is in it
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "conf/hpt_snapshot_conf.h"
#include "libvirt-hpt/htab_error.h"
#include "libvirt-hpt/htab_stream.h"

G_BEGIN_DECLS

typedef struct _VirtHptPayloadWriter VirtHptPayloadWriter;

VirtHptPayloadWriter *virtHptPayloadWriterNew(int fd, const char *name, GError **error);
void virtHptPayloadWriterFree(VirtHptPayloadWriter *writer);

gboolean virtHptPayloadWrite(VirtHptPayloadWriter *writer,
                             const guint8 *data,
                             gsize length,
                             GError **error);
gboolean virtHptPayloadWriterFinish(VirtHptPayloadWriter *writer,
                                    VirtHptPayload *payload,
                                    GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptPayloadWriter, virtHptPayloadWriterFree)

gboolean virtHptPayloadRead(int fd,
                            const VirtHptPayload *payload,
                            const char *path,
                            VirtHptWriteFunc write,
                            gpointer opaque,
                            GError **error);

G_END_DECLS
