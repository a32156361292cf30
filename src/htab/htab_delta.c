/*
 * htab_delta.c: what turns one table into another, as an HPT stream
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A stream has no room to say which table a delta belongs to.  What can be told is whether each of
 * its records does something: on the right base it does, on a wrong one some will not.
 */

#include "config.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#include "libvirt-hpt/htab_delta.h"
#include "libvirt-hpt/htab_error.h"
#include "htab/htab_bodypriv.h"
#include "htab/htab_diffpriv.h"
#include "htab/htab_encodepriv.h"

/**
 * virtHptTableEncodeDelta:
 * @before: a table
 * @after: a table of the same order
 * @write: receives the bytes, in order
 * @opaque: passed to @write
 * @error: return location
 *
 * Writes what turns @before into @after: be32 order, be32 0, records in QEMU's encoding that
 * ascend and touch no slot that is the same in both, private bits cleared, and the end marker.
 * The same two tables give the same bytes.
 *
 * Errors: those of @write; %VIRT_HPT_ERROR_FAILED where the orders differ;
 * %VIRT_HPT_ERROR_UNSUPPORTED for a slot that no index reaches.
 *
 * Thread-safe as long as nobody changes the tables.
 *
 * Returns: %FALSE on error
 */
gboolean
virtHptTableEncodeDelta(const VirtHptTable *before,
                        const VirtHptTable *after,
                        VirtHptWriteFunc write,
                        gpointer opaque,
                        GError **error)
{
    g_autoptr(VirtHptRecordWriter) writer =
        virtHptRecordWriterNew(VIRT_HPT_ENCODING_QEMU, write, opaque);
    VirtHptDiffWalk walk;
    VirtHptDiffRun run;

    if (!virtHptDiffWalkInit(&walk, before, after, error) ||
        !virtHptRecordWriterBegin(writer, virtHptTableGetOrder(after), error))
        return FALSE;
    while (virtHptDiffWalkNextRun(&walk, &run)) {
        if (!virtHptRecordWriterPut(writer, after, run.slot, run.valid, run.invalid, error))
            return FALSE;
    }
    return virtHptRecordWriterEnd(writer, error);
}

struct _VirtHptDeltaReader {
    VirtHptBody body;
    VirtHptTable *table;
    VirtHptDeltaStats stats;
    guint64 slot; /* of the last record's entries */
    guint valid;  /* how many */
    guint8 *old;  /* what was in their slots before */
};

/* Counts what the last record did, once its entries are in the table */
static void
countEntries(VirtHptDeltaReader *reader)
{
    const guint8 *now = virtHptTablePeekWire(reader->table, reader->slot);
    guint64 same = 0;

    for (guint i = 0; i < reader->valid; i++) {
        gsize at = (gsize)i * VIRT_HPT_ENTRY_SIZE;

        same += memcmp(reader->old + at, now + at, VIRT_HPT_ENTRY_SIZE) == 0;
    }
    reader->stats.same += same;
    reader->stats.set += reader->valid - same;
    reader->valid = 0;
}

/* Before its entries are applied; the slots were found to be in the table */
static void
beginRecord(guint64 slot, guint valid, guint invalid, guint64 offset G_GNUC_UNUSED, gpointer opaque)
{
    VirtHptDeltaReader *reader = opaque;
    guint64 end = slot + valid + invalid;
    guint64 held = 0;

    countEntries(reader);
    reader->slot = slot;
    reader->valid = valid;
    if (valid > 0) {
        memcpy(reader->old, virtHptTablePeekWire(reader->table, slot),
               (gsize)valid * VIRT_HPT_ENTRY_SIZE);
    }
    for (guint64 at = virtHptTableNextValidBelow(reader->table, slot + valid, end); at < end;
         at = virtHptTableNextValidBelow(reader->table, at + 1, end))
        held++;
    reader->stats.cleared += held;
    reader->stats.absent += invalid - held;
}

static VirtHptDecoder *
beginDelta(guint32 order, gpointer opaque, GError **error)
{
    VirtHptDeltaReader *reader = opaque;
    VirtHptDecoder *decoder;

    if (order != virtHptTableGetOrder(reader->table)) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
            _("the delta is of order %1$u, expected %2$u, that of the table that it is applied to"),
            order, virtHptTableGetOrder(reader->table));
        return NULL;
    }
    decoder = virtHptDecoderNew(reader->table, VIRT_HPT_ENCODING_QEMU);
    virtHptDecoderWatch(decoder, beginRecord, reader);
    return decoder;
}

/**
 * virtHptDeltaReaderNew:
 * @table: (transfer none): what the delta is applied to; it must outlive the reader
 *
 * A reader belongs to one thread at a time, and so does its table.  It takes a mebibyte of memory.
 *
 * Returns: (transfer full): a reader
 */
VirtHptDeltaReader *
virtHptDeltaReaderNew(VirtHptTable *table)
{
    VirtHptDeltaReader *reader = g_new0(VirtHptDeltaReader, 1);

    reader->body.begin = beginDelta;
    reader->body.opaque = reader;
    reader->table = table;
    reader->old = g_malloc((gsize)VIRT_HPT_RECORD_MAX * VIRT_HPT_ENTRY_SIZE);
    return reader;
}

/**
 * virtHptDeltaReaderFree:
 * @reader: (nullable): a reader; its table stays
 */
void
virtHptDeltaReaderFree(VirtHptDeltaReader *reader)
{
    if (!reader)
        return;
    virtHptBodyClear(&reader->body);
    g_free(reader->old);
    g_free(reader);
}

/**
 * virtHptDeltaReaderFeed:
 * @reader: a reader
 * @data: the next bytes
 * @length: how many; pieces may have any size
 * @error: return location
 *
 * Applies what is whole in it.  Offsets in messages count from the first byte fed.  Records may
 * have private bits, which are cleared, and may come in any order: the last one of a slot counts.
 *
 * Errors: %VIRT_HPT_ERROR_MALFORMED; %VIRT_HPT_ERROR_FAILED if the delta is of another order, or
 * was refused before.  The table is neither the old nor the new one then.
 *
 * Returns: %FALSE on error
 */
gboolean
virtHptDeltaReaderFeed(VirtHptDeltaReader *reader, const guint8 *data, gsize length, GError **error)
{
    return virtHptBodyFeed(&reader->body, data, length, error);
}

/**
 * virtHptDeltaReaderFinish:
 * @reader: a reader
 * @stats: (out): what was done
 * @error: return location
 *
 * To be called once, when there is no more input.
 *
 * Errors: as virtHptDeltaReaderFeed(); %VIRT_HPT_ERROR_MALFORMED if the end marker is missing.
 *
 * Returns: %FALSE on error
 */
gboolean
virtHptDeltaReaderFinish(VirtHptDeltaReader *reader, VirtHptDeltaStats *stats, GError **error)
{
    if (!virtHptBodyFinish(&reader->body, error))
        return FALSE;
    countEntries(reader);
    *stats = reader->stats;
    return TRUE;
}
