/*
 * htab_streampriv.h: what decoder, encoder and canonical reader share
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <string.h>

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

static inline VirtHptRecordHeader
virtHptRecordHeaderLoad(const guint8 *data, VirtHptEncoding encoding)
{
    VirtHptRecordHeader header;

    memcpy(&header.index, data, sizeof(header.index));
    memcpy(&header.valid, data + 4, sizeof(header.valid));
    memcpy(&header.invalid, data + 6, sizeof(header.invalid));

    if (encoding == VIRT_HPT_ENCODING_KVM_LE) {
        header.index = GUINT32_FROM_LE(header.index);
        header.valid = GUINT16_FROM_LE(header.valid);
        header.invalid = GUINT16_FROM_LE(header.invalid);
    } else {
        header.index = GUINT32_FROM_BE(header.index);
        header.valid = GUINT16_FROM_BE(header.valid);
        header.invalid = GUINT16_FROM_BE(header.invalid);
    }
    return header;
}

static inline void
virtHptRecordHeaderStore(VirtHptRecordHeader header, VirtHptEncoding encoding, guint8 *data)
{
    if (encoding == VIRT_HPT_ENCODING_KVM_LE) {
        header.index = GUINT32_TO_LE(header.index);
        header.valid = GUINT16_TO_LE(header.valid);
        header.invalid = GUINT16_TO_LE(header.invalid);
    } else {
        header.index = GUINT32_TO_BE(header.index);
        header.valid = GUINT16_TO_BE(header.valid);
        header.invalid = GUINT16_TO_BE(header.invalid);
    }
    memcpy(data, &header.index, sizeof(header.index));
    memcpy(data + 4, &header.valid, sizeof(header.valid));
    memcpy(data + 6, &header.invalid, sizeof(header.invalid));
}

G_END_DECLS
