/*
 * htab_canonical.c: the canonical form of a table -> a table
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A digest stands for a table only as long as there is one way to write it.  So what is read here
 * must be exactly what virtHptTableEncodeCanonical() writes.
 */

#include "config.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#include "libvirt-hpt/htab_error.h"
#include "htab/htab_streampriv.h"

#define PROLOGUE_SIZE 8 /* be32 order, be32 0 */

struct _VirtHptCanonicalReader {
    guint64 maxBytes;
    guint64 offset; /* bytes read so far */
    guint8 prologue[PROLOGUE_SIZE];
    VirtHptTable *table; /* set once the prologue was read */
    VirtHptDecoder *decoder;
    gboolean ended;
    gboolean failed;
    guint64 next;   /* slot behind the previous record */
    guint previous; /* entries in it */
};

/**
 * virtHptCanonicalReaderNew:
 * @maxBytes: the largest table to allow, in bytes
 *
 * A reader belongs to one thread at a time.
 *
 * Returns: (transfer full): a reader
 */
VirtHptCanonicalReader *
virtHptCanonicalReaderNew(guint64 maxBytes)
{
    VirtHptCanonicalReader *reader = g_new0(VirtHptCanonicalReader, 1);

    reader->maxBytes = maxBytes;
    return reader;
}

/**
 * virtHptCanonicalReaderFree:
 * @reader: (nullable): a reader, and its table unless virtHptCanonicalReaderFinish() gave it away
 */
void
virtHptCanonicalReaderFree(VirtHptCanonicalReader *reader)
{
    if (!reader)
        return;
    virtHptDecoderFree(reader->decoder);
    virtHptTableFree(reader->table);
    g_free(reader);
}

/* Refuses records that another record should have held, or that stand out of order */
static gboolean
checkRecord(const VirtHptRecordHeader *header, guint64 offset, gpointer opaque, GError **error)
{
    VirtHptCanonicalReader *reader = opaque;

    if (header->invalid > 0) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED,
            _("HPT record at byte %1$llu: n_invalid is %2$u at index 0x%3$x, expected 0 in the canonical form"),
            (unsigned long long)offset, header->invalid, header->index);
        return FALSE;
    }
    if (header->index < reader->next) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED,
            _("HPT record at byte %1$llu: index 0x%2$x, expected at least 0x%3$llx: records ascend in the canonical form"),
            (unsigned long long)offset, header->index, (unsigned long long)reader->next);
        return FALSE;
    }
    if (reader->previous > 0 && reader->previous < VIRT_HPT_RECORD_MAX &&
        header->index == reader->next) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED,
            _("HPT record at byte %1$llu: index 0x%2$x touches the record before it, expected one record for both in the canonical form"),
            (unsigned long long)offset, header->index);
        return FALSE;
    }

    reader->next = (guint64)header->index + header->valid;
    reader->previous = header->valid;
    return TRUE;
}

/* Makes the table; nothing was allocated until here */
static gboolean
beginTable(VirtHptCanonicalReader *reader, GError **error)
{
    guint32 zero = virtHptLoadBE32(reader->prologue + 4);

    if (zero != 0) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED,
                    _("HPT stream at byte %1$d: 0x%2$08x, expected 0"), 4, zero);
        return FALSE;
    }

    reader->table = virtHptTableNew(virtHptLoadBE32(reader->prologue), reader->maxBytes, error);
    if (!reader->table) {
        g_prefix_error(error, _("HPT stream at byte %1$d: "), 0);
        return FALSE;
    }
    reader->decoder = virtHptDecoderNew(reader->table, VIRT_HPT_ENCODING_QEMU);
    virtHptDecoderRestrict(reader->decoder, checkRecord, reader);
    return TRUE;
}

static gboolean
feed(VirtHptCanonicalReader *reader, const guint8 *data, gsize length, GError **error)
{
    gsize n;

    if (reader->offset < PROLOGUE_SIZE && length > 0) {
        n = MIN(length, PROLOGUE_SIZE - (gsize)reader->offset);
        memcpy(reader->prologue + reader->offset, data, n);
        reader->offset += n;
        data += n;
        length -= n;
        if (reader->offset == PROLOGUE_SIZE && !beginTable(reader, error))
            return FALSE;
    }

    if (length > 0 && !reader->ended) {
        if (!virtHptDecoderFeed(reader->decoder, reader->offset, data, length, &n, &reader->ended,
                                error))
            return FALSE;
        reader->offset += n;
        length -= n;
    }

    if (length > 0) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED,
            _("HPT stream at byte %1$llu: more data, expected its end behind the end marker"),
            (unsigned long long)reader->offset);
        return FALSE;
    }
    return TRUE;
}

/**
 * virtHptCanonicalReaderFeed:
 * @reader: a reader
 * @data: the next bytes
 * @length: how many; pieces may have any size
 * @error: return location
 *
 * Offsets in messages count from the first byte fed.
 *
 * Errors: %VIRT_HPT_ERROR_MALFORMED for anything that virtHptTableEncodeCanonical() does not write;
 * %VIRT_HPT_ERROR_LIMIT if the table is larger than allowed; %VIRT_HPT_ERROR_FAILED if the stream
 * was refused before.
 *
 * Returns: %FALSE on error
 */
gboolean
virtHptCanonicalReaderFeed(VirtHptCanonicalReader *reader,
                           const guint8 *data,
                           gsize length,
                           GError **error)
{
    if (reader->failed) {
        g_set_error_literal(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                            _("the HPT stream was refused before"));
        return FALSE;
    }
    reader->failed = !feed(reader, data, length, error);
    return !reader->failed;
}

/**
 * virtHptCanonicalReaderFinish:
 * @reader: a reader
 * @error: return location
 *
 * To be called once, when there is no more input.
 *
 * Errors: %VIRT_HPT_ERROR_MALFORMED if the end marker is missing; %VIRT_HPT_ERROR_FAILED if the
 * stream was refused before.
 *
 * Returns: (transfer full): the table, or %NULL
 */
VirtHptTable *
virtHptCanonicalReaderFinish(VirtHptCanonicalReader *reader, GError **error)
{
    if (reader->failed) {
        g_set_error_literal(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                            _("the HPT stream was refused before"));
        return NULL;
    }
    reader->failed = TRUE; /* there is nothing left to feed */

    if (reader->offset < PROLOGUE_SIZE) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED,
                    _("HPT stream ends at byte %1$llu, expected a header of %2$d bytes"),
                    (unsigned long long)reader->offset, PROLOGUE_SIZE);
        return NULL;
    }
    if (!virtHptDecoderFinish(reader->decoder, reader->offset, error))
        return NULL;
    return g_steal_pointer(&reader->table);
}
