/*
 * htab_stream.c: HPT stream records -> a table
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The bytes are untrusted and come in pieces that end anywhere.  A header or an entry that
 * straddles two pieces is gathered in a buffer of 16 bytes; all others go straight from the
 * caller's memory into the table.
 */

#include "config.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#include "libvirt-hpt/htab_error.h"
#include "htab/htab_streampriv.h"
#include "htab/htab_tablepriv.h"

/* Entries are looked at, then copied, as many at a time as stay in the L1 cache */
#define BATCH_ENTRIES 256

/* Byte 7 of an entry on the wire is the low byte of V, which holds all bits that matter here */
#define WIRE_V_LOW 7

typedef enum {
    STATE_HEADER,  /* a header is next, or the rest of one */
    STATE_ENTRIES, /* entries of a record are next */
    STATE_ENDED,   /* the end marker was read (QEMU's encoding only) */
    STATE_FAILED,
} DecoderState;

struct _VirtHptDecoder {
    VirtHptTable *table;
    VirtHptEncoding encoding;
    VirtHptRecordFunc watch;
    gpointer watchOpaque;
    VirtHptRecordCheckFunc check; /* set: private bits are refused as well */
    gpointer checkOpaque;

    DecoderState state;
    guint8 partial[VIRT_HPT_ENTRY_SIZE]; /* the beginning of what straddles two pieces */
    guint have;                          /* bytes in it */
    guint64 partialOffset;               /* where it began */

    VirtHptRecordHeader record;
    guint64 recordOffset; /* where its header began */
    guint64 slot;         /* of the next entry */
    guint left;           /* entries still to come */
};

/* What is left of one piece */
typedef struct {
    const guint8 *data;
    gsize length;
    guint64 offset;
} Input;

static void
inputSkip(Input *input, gsize n)
{
    input->data += n;
    input->length -= n;
    input->offset += n;
}

/**
 * virtHptDecoderNew:
 * @table: (transfer none): where the records go; it must outlive the decoder
 * @encoding: how the records are written
 *
 * The table may hold entries already: records apply on top of them, as later passes do on
 * earlier ones.
 *
 * A decoder belongs to one thread at a time, and so does its table.
 *
 * Returns: (transfer full): a decoder
 */
VirtHptDecoder *
virtHptDecoderNew(VirtHptTable *table, VirtHptEncoding encoding)
{
    VirtHptDecoder *decoder = g_new0(VirtHptDecoder, 1);

    decoder->table = table;
    decoder->encoding = encoding;
    return decoder;
}

/**
 * virtHptDecoderFree:
 * @decoder: (nullable): a decoder; its table stays
 */
void
virtHptDecoderFree(VirtHptDecoder *decoder)
{
    g_free(decoder);
}

/**
 * virtHptDecoderWatch:
 * @decoder: a decoder
 * @func: (nullable): called for each record once its header was found to be sound, before its
 * entries are applied; not called for the end marker
 * @opaque: passed to @func
 *
 * The offsets that @func receives are counted as virtHptDecoderFeed()'s are.
 */
void
virtHptDecoderWatch(VirtHptDecoder *decoder, VirtHptRecordFunc func, gpointer opaque)
{
    decoder->watch = func;
    decoder->watchOpaque = opaque;
}

/*
 * virtHptDecoderRestrict:
 * @decoder: a decoder
 * @func: called for each record whose header was found to be sound; may refuse it
 * @opaque: passed to @func
 *
 * From now on the decoder also refuses entries with private bits.
 */
void
virtHptDecoderRestrict(VirtHptDecoder *decoder, VirtHptRecordCheckFunc func, gpointer opaque)
{
    decoder->check = func;
    decoder->checkOpaque = opaque;
}

/* 32 bits and twice 16 bits do not overflow 64 */
static gboolean
checkHeader(const VirtHptDecoder *decoder, const VirtHptRecordHeader *header, GError **error)
{
    guint64 slots = virtHptTableGetSlots(decoder->table);
    guint64 end = (guint64)header->index + header->valid + header->invalid;

    if (header->valid == 0 && header->invalid == 0) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED,
            _("HPT record at byte %1$llu: n_valid and n_invalid are 0 at index 0x%2$x, expected a slot"),
            (unsigned long long)decoder->recordOffset, header->index);
        return FALSE;
    }
    if (end > slots) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED,
            _("HPT record at byte %1$llu: slots 0x%2$x to 0x%3$llx, expected at most 0x%4$llx in an HPT of order %5$u"),
            (unsigned long long)decoder->recordOffset, header->index, (unsigned long long)end - 1,
            (unsigned long long)slots - 1, virtHptTableGetOrder(decoder->table));
        return FALSE;
    }
    if (decoder->check)
        return decoder->check(header, decoder->recordOffset, decoder->checkOpaque, error);
    return TRUE;
}

static void
endRecord(VirtHptDecoder *decoder)
{
    virtHptTableClear(decoder->table, decoder->slot, decoder->record.invalid);
    decoder->state = STATE_HEADER;
}

static gboolean
beginRecord(VirtHptDecoder *decoder, const guint8 *data, guint64 offset, GError **error)
{
    static const guint8 endMarker[VIRT_HPT_RECORD_HEADER_SIZE];

    if (decoder->encoding == VIRT_HPT_ENCODING_QEMU &&
        memcmp(data, endMarker, sizeof(endMarker)) == 0) {
        decoder->state = STATE_ENDED;
        return TRUE;
    }

    decoder->record = virtHptRecordHeaderLoad(data, decoder->encoding);
    decoder->recordOffset = offset;
    if (!checkHeader(decoder, &decoder->record, error))
        return FALSE;

    if (decoder->watch) {
        decoder->watch(decoder->record.index, decoder->record.valid, decoder->record.invalid,
                       offset, decoder->watchOpaque);
    }
    decoder->slot = decoder->record.index;
    decoder->left = decoder->record.valid;
    decoder->state = STATE_ENTRIES;
    if (decoder->left == 0)
        endRecord(decoder);
    return TRUE;
}

/* Finds the first entry of @n that must not stand in a valid run, and says why */
static gboolean
checkEntries(const VirtHptDecoder *decoder,
             const guint8 *data,
             gsize n,
             guint64 offset,
             GError **error)
{
    const guint8 refused = decoder->check ? VIRT_HPT_V_PRIVATE : 0;
    guint8 bad = 0;
    guint64 slot;
    gsize i;

    for (i = 0; i < n; i++) {
        guint8 v = data[i * VIRT_HPT_ENTRY_SIZE + WIRE_V_LOW];

        bad |= (guint8)(~v & VIRT_HPT_V_VALID) | (v & refused);
    }
    if (!bad)
        return TRUE;

    for (i = 0; i < n - 1; i++) {
        guint8 v = data[i * VIRT_HPT_ENTRY_SIZE + WIRE_V_LOW];

        if (!(v & VIRT_HPT_V_VALID) || (v & refused))
            break;
    }
    offset += i * VIRT_HPT_ENTRY_SIZE;
    data += i * VIRT_HPT_ENTRY_SIZE;
    slot = decoder->slot + i;
    g_set_error(
        error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED,
        data[WIRE_V_LOW] & VIRT_HPT_V_VALID
            ? _("HPT entry at byte %1$llu, slot 0x%2$llx: V is 0x%3$08x%4$08x, expected private bits 0x60 clear")
            : _("HPT entry at byte %1$llu, slot 0x%2$llx: V is 0x%3$08x%4$08x, expected valid bit 0x1 set"),
        (unsigned long long)offset, (unsigned long long)slot, virtHptLoadBE32(data),
        virtHptLoadBE32(data + 4));
    return FALSE;
}

/* Applies @n whole entries, no more than the record has left */
static gboolean
applyEntries(VirtHptDecoder *decoder, const guint8 *data, guint n, guint64 offset, GError **error)
{
    while (n > 0) {
        guint batch = MIN(n, BATCH_ENTRIES);
        guint bytes = batch * VIRT_HPT_ENTRY_SIZE;

        if (!virtHptTableCopyPlain(decoder->table, decoder->slot, data, batch)) {
            if (!checkEntries(decoder, data, batch, offset, error))
                return FALSE;
            virtHptTableSetWire(decoder->table, decoder->slot, data, batch);
        }
        decoder->slot += batch;
        decoder->left -= batch;
        data += bytes;
        offset += bytes;
        n -= batch;
    }
    if (decoder->left == 0)
        endRecord(decoder);
    return TRUE;
}

/*
 * Gathers a unit of @size bytes.  Returns where it lies, in @input or in the buffer, and in
 * @offset where it began; %NULL if the input ends within it.
 */
static const guint8 *
takeUnit(VirtHptDecoder *decoder, Input *input, guint size, guint64 *offset)
{
    const guint8 *data = input->data;
    gsize missing = size - decoder->have;
    gsize n = MIN(missing, input->length);

    if (decoder->have == 0) {
        decoder->partialOffset = input->offset;
        *offset = input->offset;
        if (n == size) {
            inputSkip(input, n);
            return data;
        }
    }

    memcpy(decoder->partial + decoder->have, data, n);
    decoder->have += (guint)n;
    inputSkip(input, n);
    if (decoder->have < size)
        return NULL;
    decoder->have = 0;
    *offset = decoder->partialOffset;
    return decoder->partial;
}

static gboolean
feedEntries(VirtHptDecoder *decoder, Input *input, GError **error)
{
    const guint8 *data = input->data;
    guint64 offset = input->offset;
    guint n = 1;

    if (decoder->have == 0 && input->length >= VIRT_HPT_ENTRY_SIZE) {
        n = (guint)MIN(decoder->left, input->length / VIRT_HPT_ENTRY_SIZE);
        inputSkip(input, (gsize)n * VIRT_HPT_ENTRY_SIZE);
    } else {
        data = takeUnit(decoder, input, VIRT_HPT_ENTRY_SIZE, &offset);
    }
    return !data || applyEntries(decoder, data, n, offset, error);
}

static gboolean
feedHeader(VirtHptDecoder *decoder, Input *input, GError **error)
{
    guint64 offset = 0;
    const guint8 *data = takeUnit(decoder, input, VIRT_HPT_RECORD_HEADER_SIZE, &offset);

    return !data || beginRecord(decoder, data, offset, error);
}

/**
 * virtHptDecoderFeed:
 * @decoder: a decoder
 * @offset: where @data begins in the file or stream, in bytes; only for messages and the watcher
 * @data: the next bytes
 * @length: how many
 * @consumed: (out) (optional): how many of them belong to the records: all, unless @ended
 * @ended: (out) (optional): whether the end marker was read; only with %VIRT_HPT_ENCODING_QEMU
 * @error: return location
 *
 * Applies all whole entries in @data and remembers the rest.  The last write to a slot wins.
 * Pieces may have any size and need not follow one another in the file: records of a
 * migration stream lie between other sections.
 *
 * Reading stops behind the end marker; the caller goes on at @consumed.  Feeding more begins the
 * next sequence of records, as each part of a spapr/htab section is one.
 *
 * The bounds are those of QEMU 7.2 hw/ppc/spapr.c htab_load(), the rules for entries those of
 * Linux kvm_htab_write().  A record with neither valid nor invalid slots, which no writer
 * makes, is refused in all encodings.
 *
 * Errors: %VIRT_HPT_ERROR_MALFORMED if a record has no slots, or reaches beyond the table, or an
 * entry is not valid.  What came before it has been applied.  A decoder that failed cannot go on:
 * %VIRT_HPT_ERROR_FAILED.
 *
 * Returns: %FALSE on error
 */
gboolean
virtHptDecoderFeed(VirtHptDecoder *decoder,
                   guint64 offset,
                   const guint8 *data,
                   gsize length,
                   gsize *consumed,
                   gboolean *ended,
                   GError **error)
{
    Input input = {data, length, offset};
    gboolean ok = TRUE;

    if (decoder->state == STATE_FAILED) {
        g_set_error_literal(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                            _("the HPT stream was refused before"));
        return FALSE;
    }
    if (decoder->state == STATE_ENDED && length > 0)
        decoder->state = STATE_HEADER;

    while (ok && input.length > 0 && decoder->state != STATE_ENDED) {
        ok = decoder->state == STATE_ENTRIES ? feedEntries(decoder, &input, error)
                                             : feedHeader(decoder, &input, error);
    }

    if (consumed)
        *consumed = length - input.length;
    if (ended)
        *ended = ok && length > 0 && decoder->state == STATE_ENDED;
    if (!ok)
        decoder->state = STATE_FAILED;
    return ok;
}

/**
 * virtHptDecoderFinish:
 * @decoder: a decoder
 * @offset: where the input ended, in bytes; for the message
 * @error: return location
 *
 * To be called when there is no more input.
 *
 * Errors: %VIRT_HPT_ERROR_MALFORMED if the input ended within a record, or with
 * %VIRT_HPT_ENCODING_QEMU without an end marker; %VIRT_HPT_ERROR_FAILED if it was refused before.
 *
 * Returns: %FALSE on error
 */
gboolean
virtHptDecoderFinish(VirtHptDecoder *decoder, guint64 offset, GError **error)
{
    if (decoder->state == STATE_FAILED) {
        g_set_error_literal(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                            _("the HPT stream was refused before"));
        return FALSE;
    }
    if (decoder->state == STATE_ENTRIES) {
        guint64 last = decoder->slot + decoder->left - 1;

        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED,
            _("HPT stream ends at byte %1$llu, slot 0x%2$llx, expected the entries up to slot 0x%3$llx of the record at byte %4$llu"),
            (unsigned long long)offset, (unsigned long long)decoder->slot, (unsigned long long)last,
            (unsigned long long)decoder->recordOffset);
        return FALSE;
    }
    if (decoder->have > 0) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED,
            _("HPT stream ends at byte %1$llu, expected a record header of %2$d bytes at byte %3$llu"),
            (unsigned long long)offset, VIRT_HPT_RECORD_HEADER_SIZE,
            (unsigned long long)decoder->partialOffset);
        return FALSE;
    }
    if (decoder->encoding == VIRT_HPT_ENCODING_QEMU && decoder->state != STATE_ENDED) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED,
                    _("HPT stream ends at byte %1$llu, expected an end marker of %2$d zero bytes"),
                    (unsigned long long)offset, VIRT_HPT_RECORD_HEADER_SIZE);
        return FALSE;
    }
    return TRUE;
}
