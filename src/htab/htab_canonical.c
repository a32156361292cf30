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

#include "libvirt-hpt/htab_error.h"
#include "htab/htab_bodypriv.h"
#include "htab/htab_streampriv.h"

struct _VirtHptCanonicalReader {
    VirtHptBody body;
    guint64 maxBytes;
    VirtHptTable *table; /* set once the prologue was read */
    guint64 next;        /* slot behind the previous record */
    guint previous;      /* entries in it */
};

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
static VirtHptDecoder *
beginTable(guint32 order, gpointer opaque, GError **error)
{
    VirtHptCanonicalReader *reader = opaque;
    VirtHptDecoder *decoder;

    reader->table = virtHptTableNew(order, reader->maxBytes, error);
    if (!reader->table)
        return NULL;
    decoder = virtHptDecoderNew(reader->table, VIRT_HPT_ENCODING_QEMU);
    virtHptDecoderRestrict(decoder, checkRecord, reader);
    return decoder;
}

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

    reader->body.begin = beginTable;
    reader->body.opaque = reader;
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
    virtHptBodyClear(&reader->body);
    virtHptTableFree(reader->table);
    g_free(reader);
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
    return virtHptBodyFeed(&reader->body, data, length, error);
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
    if (!virtHptBodyFinish(&reader->body, error))
        return NULL;
    return g_steal_pointer(&reader->table);
}
