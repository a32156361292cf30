/*
 * htab_streampriv.h: what decoder, encoder and canonical reader share
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "libvirt-hpt/htab_stream.h"

G_BEGIN_DECLS

typedef struct {
    guint32 index;
    guint16 valid;
    guint16 invalid;
} VirtHptRecordHeader;

/*
 * VirtHptRecordCheckFunc:
 *
 * As VirtHptRecordFunc, but may refuse the record: FALSE with @error set.
 */
typedef gboolean (*VirtHptRecordCheckFunc)(const VirtHptRecordHeader *header,
                                           guint64 offset,
                                           gpointer opaque,
                                           GError **error);

void virtHptDecoderRestrict(VirtHptDecoder *decoder, VirtHptRecordCheckFunc func, gpointer opaque);

static inline guint32
virtHptLoadBE32(const guint8 *data)
{
    return (guint32)data[0] << 24 | (guint32)data[1] << 16 | (guint32)data[2] << 8 | data[3];
}

static inline void
virtHptStoreBE32(guint8 *data, guint32 value)
{
    data[0] = (guint8)(value >> 24);
    data[1] = (guint8)(value >> 16);
    data[2] = (guint8)(value >> 8);
    data[3] = (guint8)value;
}

G_END_DECLS
