/*
 * htab_encode.c: a table -> HPT stream records
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Equal tables give equal bytes: slots ascend, runs of valid entries are maximal and split only
 * where a record is full, and empty slots are left out.  So one digest stands for one table.
 */

#include "config.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#include "libvirt-hpt/htab_error.h"
#include "htab/htab_bodypriv.h"
#include "htab/htab_encodepriv.h"
#include "htab/htab_streampriv.h"

/*
 * The entries of a guest are scattered: most runs are a few entries long.  Those are gathered, so
 * that a writer which hashes, compresses or calls the kernel is not called for every 24 bytes.
 * Longer runs are handed out straight from the table.
 */
#define GATHER_BYTES 65536
#define GATHER_RUN_BYTES 4096

struct _VirtHptRecordWriter {
    VirtHptEncoding encoding;
    VirtHptWriteFunc write;
    gpointer opaque;
    gsize used;
    guint8 buffer[GATHER_BYTES];
};

static gboolean
flush(VirtHptRecordWriter *writer, GError **error)
{
    gsize used = writer->used;

    writer->used = 0;
    return used == 0 || writer->write(writer->buffer, used, writer->opaque, error);
}

static gboolean
put(VirtHptRecordWriter *writer, const guint8 *data, gsize length, GError **error)
{
    gboolean gather = length <= GATHER_RUN_BYTES;

    if ((!gather || writer->used + length > sizeof(writer->buffer)) && !flush(writer, error))
        return FALSE;
    if (!gather)
        return writer->write(data, length, writer->opaque, error);

    memcpy(writer->buffer + writer->used, data, length);
    writer->used += length;
    return TRUE;
}

/*
 * virtHptRecordWriterNew:
 * @encoding: how to write the records
 * @write: receives the bytes, in order, not record by record
 * @opaque: passed to @write
 *
 * Returns: (transfer full): a writer
 */
VirtHptRecordWriter *
virtHptRecordWriterNew(VirtHptEncoding encoding, VirtHptWriteFunc write, gpointer opaque)
{
    VirtHptRecordWriter *writer = g_new(VirtHptRecordWriter, 1);

    writer->encoding = encoding;
    writer->write = write;
    writer->opaque = opaque;
    writer->used = 0;
    return writer;
}

/*
 * virtHptRecordWriterFree:
 * @writer: (nullable): a writer; what it gathered is lost unless virtHptRecordWriterEnd() was
 * called
 */
void
virtHptRecordWriterFree(VirtHptRecordWriter *writer)
{
    g_free(writer);
}

/*
 * virtHptRecordWriterBegin:
 * @writer: a writer that wrote nothing yet
 * @order: of the table
 * @error: set on failure: what @write set
 *
 * Writes what stands before the records in a file.
 *
 * Returns: %FALSE with @error set
 */
gboolean
virtHptRecordWriterBegin(VirtHptRecordWriter *writer, guint order, GError **error)
{
    guint8 prologue[VIRT_HPT_BODY_PROLOGUE_SIZE];

    virtHptBodyFormatPrologue(order, prologue);
    return put(writer, prologue, sizeof(prologue), error);
}

/*
 * virtHptRecordWriterPut:
 * @writer: a writer
 * @table: where the entries are
 * @slot: the first slot
 * @valid: entries from @slot on, at most %VIRT_HPT_RECORD_MAX
 * @invalid: empty slots behind them, at most %VIRT_HPT_RECORD_MAX
 * @error: set on failure: what @write set, %VIRT_HPT_ERROR_UNSUPPORTED for a slot that no index
 *   reaches
 *
 * Returns: %FALSE with @error set
 */
gboolean
virtHptRecordWriterPut(VirtHptRecordWriter *writer,
                       const VirtHptTable *table,
                       guint64 slot,
                       guint64 valid,
                       guint64 invalid,
                       GError **error)
{
    const VirtHptRecordHeader header = {
        .index = (guint32)slot,
        .valid = (guint16)valid,
        .invalid = (guint16)invalid,
    };
    guint8 data[VIRT_HPT_RECORD_HEADER_SIZE];

    if (slot > G_MAXUINT32) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED,
                    _("HPT entry at slot 0x%1$llx cannot be written, expected at most 0x%2$x"),
                    (unsigned long long)slot, G_MAXUINT32);
        return FALSE;
    }
    virtHptRecordHeaderStore(header, writer->encoding, data);
    return put(writer, data, sizeof(data), error) &&
           (valid == 0 || put(writer, virtHptTablePeekWire(table, slot),
                              (gsize)valid * VIRT_HPT_ENTRY_SIZE, error));
}

/*
 * virtHptRecordWriterEnd:
 * @writer: a writer
 * @error: set on failure: what @write set
 *
 * Writes the end marker, where the encoding has one, and what was gathered.
 *
 * Returns: %FALSE with @error set
 */
gboolean
virtHptRecordWriterEnd(VirtHptRecordWriter *writer, GError **error)
{
    static const guint8 endMarker[VIRT_HPT_RECORD_HEADER_SIZE];

    if (writer->encoding == VIRT_HPT_ENCODING_QEMU &&
        !put(writer, endMarker, sizeof(endMarker), error))
        return FALSE;
    return flush(writer, error);
}

static gboolean
putTable(VirtHptRecordWriter *writer, const VirtHptTable *table, GError **error)
{
    guint64 slots = virtHptTableGetSlots(table);
    guint64 slot = virtHptTableNextValid(table, 0);

    while (slot < slots) {
        guint64 limit = MIN(slots, slot + VIRT_HPT_RECORD_MAX);
        guint64 n = virtHptTableNextInvalid(table, slot, limit) - slot;

        if (!virtHptRecordWriterPut(writer, table, slot, n, 0, error))
            return FALSE;
        slot = virtHptTableNextValid(table, slot + n);
    }
    return virtHptRecordWriterEnd(writer, error);
}

/**
 * virtHptTableEncode:
 * @table: a table
 * @encoding: how to write the records
 * @write: receives the bytes, in order
 * @opaque: passed to @write
 * @error: return location
 *
 * Writes the records of a table that was empty before: maximal runs of valid entries, split at
 * 65535, ascending; no invalid runs.  With %VIRT_HPT_ENCODING_QEMU the end marker follows.
 *
 * Pieces do not end where records do.  The kernel takes exactly one record a write(2) (Linux
 * arch/powerpc/kvm/book3s_64_mmu_hv.c, kvm_htab_write()), so that @write must not pass them on to
 * its file descriptor as they come.
 *
 * An index has 32 bits on the wire; a table of order 37 (a guest of 16 TiB) has more slots.
 *
 * Errors: those of @write; %VIRT_HPT_ERROR_UNSUPPORTED for an entry that no index reaches.
 *
 * Returns: %FALSE on error
 */
gboolean
virtHptTableEncode(const VirtHptTable *table,
                   VirtHptEncoding encoding,
                   VirtHptWriteFunc write,
                   gpointer opaque,
                   GError **error)
{
    g_autoptr(VirtHptRecordWriter) writer = virtHptRecordWriterNew(encoding, write, opaque);

    return putTable(writer, table, error);
}

/**
 * virtHptTableEncodeCanonical:
 * @table: a table
 * @write: receives the bytes, in order
 * @opaque: passed to @write
 * @error: return location
 *
 * Writes the one canonical form: be32 order, be32 0, and the records in QEMU's encoding.  These are
 * the bytes of one START and one END of a spapr/htab section (QEMU 7.2 hw/ppc/spapr.c
 * htab_save_setup(), htab_save_complete()).
 *
 * Errors: as virtHptTableEncode().
 *
 * Returns: %FALSE on error
 */
gboolean
virtHptTableEncodeCanonical(const VirtHptTable *table,
                            VirtHptWriteFunc write,
                            gpointer opaque,
                            GError **error)
{
    g_autoptr(VirtHptRecordWriter) writer =
        virtHptRecordWriterNew(VIRT_HPT_ENCODING_QEMU, write, opaque);

    return virtHptRecordWriterBegin(writer, virtHptTableGetOrder(table), error) &&
           putTable(writer, table, error);
}
