/*
 * qemu_stream_htab.c: section 'spapr/htab' of a migration stream
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <inttypes.h>

#include <glib/gi18n-lib.h>

#include "qemu/qemu_streampriv.h"

#define HTAB_SECTION_VERSION 1

static gboolean
readHtabRecords(VirtHptStreamReader *reader, GError **error)
{
    g_autoptr(VirtHptDecoder) decoder =
        virtHptDecoderNew(reader->stream->table, VIRT_HPT_ENCODING_QEMU);
    gboolean ended = FALSE;

    if (reader->options->record)
        virtHptDecoderWatch(decoder, reader->options->record, reader->options->opaque);
    while (!ended) {
        guint64 offset = virtHptSourceGetOffset(reader->source);
        gsize length;
        gsize consumed;
        const guint8 *p = virtHptSourcePeekSome(reader->source, &length, error);

        if (!p)
            return FALSE;
        if (length == 0) {
            virtHptSourceSetError(reader->source, offset, VIRT_HPT_ERROR_MALFORMED, error,
                                  _("truncated: the file ends inside section 'spapr/htab'"));
            return FALSE;
        }
        if (!virtHptDecoderFeed(decoder, offset, p, length, &consumed, &ended, error)) {
            g_prefix_error(error, "'%s': ", virtHptSourceGetName(reader->source));
            return FALSE;
        }
        if (!virtHptSourceSkip(reader->source, consumed, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
readHtabStart(VirtHptStreamReader *reader, GError **error)
{
    VirtHptStream *stream = reader->stream;
    guint64 offset = virtHptSourceGetOffset(reader->source);
    guint64 maxBytes = reader->options->maxTableBytes;
    guint32 order;

    if (!virtHptStreamTakeBE32(reader, &order, error))
        return FALSE;
    if (order == VIRT_HPT_STREAM_NO_HPT)
        return TRUE;
    stream->table =
        virtHptTableNew(order, maxBytes ? maxBytes : virtHptTableDefaultMaxBytes(), error);
    if (!stream->table) {
        g_prefix_error(error, _("'%1$s', byte %2$" PRIu64 ": section 'spapr/htab': "),
                       virtHptSourceGetName(reader->source), offset);
        return FALSE;
    }
    stream->hasHpt = TRUE;
    stream->order = order;
    return TRUE;
}

/* A part is be32 0 and records, or the mark of a guest that has no table (any more). */
static gboolean
readHtabPart(VirtHptStreamReader *reader, GError **error)
{
    VirtHptStream *stream = reader->stream;
    guint64 offset = virtHptSourceGetOffset(reader->source);
    guint32 mark;

    if (!virtHptStreamTakeBE32(reader, &mark, error))
        return FALSE;
    if (mark == VIRT_HPT_STREAM_NO_HPT) {
        g_clear_pointer(&stream->table, virtHptTableFree);
        stream->hasHpt = FALSE;
        stream->order = 0;
        return TRUE;
    }
    if (mark != 0 || !stream->hasHpt) {
        virtHptSourceSetError(
            reader->source, offset, VIRT_HPT_ERROR_MALFORMED, error,
            stream->hasHpt
                ? _("a part of section 'spapr/htab' begins with 0x%1$08x: expected 0, or 0xffffffff for no table")
                : _("a part of section 'spapr/htab' begins with 0x%1$08x: expected 0xffffffff, as the section began without a table"),
            mark);
        return FALSE;
    }
    return readHtabRecords(reader, error);
}

/**
 * virtHptStreamReadHtab:
 * @reader: at a section 'spapr/htab'
 * @header: its header
 * @error: set on failure
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptStreamReadHtab(VirtHptStreamReader *reader,
                      const VirtHptSectionHeader *header,
                      GError **error)
{
    gboolean start = header->type == VIRT_HPT_SECTION_START;

    if (reader->options->machineState ||
        (start ? reader->htabStarted : (!reader->htabStarted || reader->htabEnded)))
        return virtHptStreamRefuseOrder(reader, header, error);
    if (start && header->version != HTAB_SECTION_VERSION) {
        virtHptSourceSetError(reader->source, header->offset, VIRT_HPT_ERROR_UNSUPPORTED, error,
                              _("version %1$u of section 'spapr/htab': only version 1 can be read"),
                              header->version);
        return FALSE;
    }
    if (start) {
        reader->htabStarted = TRUE;
        reader->htabSection = header->id;
    }
    virtHptStreamBeginPart(reader, VIRT_HPT_STREAM_PART_TABLE);
    if (!virtHptStreamTake(reader, header->length, error) ||
        !(start ? readHtabStart(reader, error) : readHtabPart(reader, error)) ||
        !virtHptStreamReadFooter(reader, header, error))
        return FALSE;
    virtHptStreamEndPart(reader);
    reader->htabEnded = header->type == VIRT_HPT_SECTION_END;
    return TRUE;
}
