/*
 * htab_stream.h: HPT stream records <-> a table
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A record is a header (u32 index, u16 n_valid, u16 n_invalid) and n_valid HPTEs of 16 bytes;
 * n_invalid slots without an entry follow the valid ones.  HPTE doublewords are big-endian
 * always (Linux Documentation/virt/kvm/api.rst 4.78; QEMU 7.2 hw/ppc/spapr.c htab_load()).
 */

#pragma once

#include "libvirt-hpt/htab_table.h"

G_BEGIN_DECLS

/**
 * VirtHptEncoding:
 * @VIRT_HPT_ENCODING_QEMU: QEMU's wire: big-endian header, closed by an end marker of 8 zero bytes
 * @VIRT_HPT_ENCODING_KVM_LE: the kernel's file descriptor on a little-endian host: no end marker
 * @VIRT_HPT_ENCODING_KVM_BE: the kernel's file descriptor on a big-endian host: no end marker
 */
typedef enum {
    VIRT_HPT_ENCODING_QEMU,
    VIRT_HPT_ENCODING_KVM_LE,
    VIRT_HPT_ENCODING_KVM_BE,
} VirtHptEncoding;

/* What the kernel's file descriptor of this host uses */
#if G_BYTE_ORDER == G_LITTLE_ENDIAN
#    define VIRT_HPT_ENCODING_KVM VIRT_HPT_ENCODING_KVM_LE
#else
#    define VIRT_HPT_ENCODING_KVM VIRT_HPT_ENCODING_KVM_BE
#endif

#define VIRT_HPT_RECORD_HEADER_SIZE 8 /* bytes */
#define VIRT_HPT_RECORD_MAX 65535     /* valid, or invalid, slots in one record */

/* Orders as the spapr/htab section gives them: "no HPT" (radix) is all ones */
#define VIRT_HPT_STREAM_NO_HPT 0xffffffffU

/**
 * VirtHptRecordFunc:
 * @slot: first slot of the record
 * @valid: valid entries in it
 * @invalid: invalid slots behind them
 * @offset: offset of the record's header, in bytes, counted as virtHptDecoderNew() was told
 * @opaque: the caller's
 *
 * Called for each record once its header was found to be sound.
 */
typedef void (
    *VirtHptRecordFunc)(guint64 slot, guint valid, guint invalid, guint64 offset, gpointer opaque);

/**
 * VirtHptDecoder:
 *
 * Applies records to a table as their bytes arrive, in pieces of any size.
 */
typedef struct _VirtHptDecoder VirtHptDecoder;

VirtHptDecoder *virtHptDecoderNew(VirtHptTable *table, VirtHptEncoding encoding);
void virtHptDecoderFree(VirtHptDecoder *decoder);
void virtHptDecoderWatch(VirtHptDecoder *decoder, VirtHptRecordFunc func, gpointer opaque);

gboolean virtHptDecoderFeed(VirtHptDecoder *decoder,
                            guint64 offset,
                            const guint8 *data,
                            gsize length,
                            gsize *consumed,
                            gboolean *ended,
                            GError **error);
gboolean virtHptDecoderFinish(VirtHptDecoder *decoder, guint64 offset, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptDecoder, virtHptDecoderFree)

/**
 * VirtHptWriteFunc:
 * @data: bytes of the stream
 * @length: how many
 * @opaque: the caller's
 * @error: set on failure
 *
 * Returns: %TRUE, or %FALSE to stop.
 */
typedef gboolean (*VirtHptWriteFunc)(const guint8 *data,
                                     gsize length,
                                     gpointer opaque,
                                     GError **error);

gboolean virtHptTableEncode(const VirtHptTable *table,
                            VirtHptEncoding encoding,
                            VirtHptWriteFunc write,
                            gpointer opaque,
                            GError **error);

gboolean virtHptTableEncodeCanonical(const VirtHptTable *table,
                                     VirtHptWriteFunc write,
                                     gpointer opaque,
                                     GError **error);

/**
 * VirtHptCanonicalReader:
 *
 * Reads the canonical form (be32 order, be32 0, records, end marker) from pieces of any size and
 * refuses everything that virtHptTableEncodeCanonical() would not have written: descending or
 * touching runs, invalid runs, private bits.
 */
typedef struct _VirtHptCanonicalReader VirtHptCanonicalReader;

VirtHptCanonicalReader *virtHptCanonicalReaderNew(guint64 maxBytes);
void virtHptCanonicalReaderFree(VirtHptCanonicalReader *reader);
gboolean virtHptCanonicalReaderFeed(VirtHptCanonicalReader *reader,
                                    const guint8 *data,
                                    gsize length,
                                    GError **error);
VirtHptTable *virtHptCanonicalReaderFinish(VirtHptCanonicalReader *reader, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptCanonicalReader, virtHptCanonicalReaderFree)

G_END_DECLS
