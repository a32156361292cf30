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
#include "htab/htab_streampriv.h"

/*
 * The entries of a guest are scattered: most runs are a few entries long.  Those are gathered, so
 * that a writer which hashes, compresses or calls the kernel is not called for every 24 bytes.
 * Longer runs are handed out straight from the table.
 */
#define GATHER_BYTES 65536
#define GATHER_RUN_BYTES 4096

typedef struct {
    VirtHptWriteFunc write;
    gpointer opaque;
    gsize used;
    guint8 buffer[GATHER_BYTES];
} Output;

static gboolean
outputFlush(Output *output, GError **error)
{
    gsize used = output->used;

    output->used = 0;
    return used == 0 || output->write(output->buffer, used, output->opaque, error);
}

static gboolean
outputPut(Output *output, const guint8 *data, gsize length, GError **error)
{
    gboolean gather = length <= GATHER_RUN_BYTES;

    if ((!gather || output->used + length > sizeof(output->buffer)) && !outputFlush(output, error))
        return FALSE;
    if (!gather)
        return output->write(data, length, output->opaque, error);

    memcpy(output->buffer + output->used, data, length);
    output->used += length;
    return TRUE;
}

static gboolean
putHeader(Output *output, VirtHptEncoding encoding, guint64 slot, guint64 n, GError **error)
{
    const VirtHptRecordHeader header = {.index = (guint32)slot, .valid = (guint16)n};
    guint8 data[VIRT_HPT_RECORD_HEADER_SIZE];

    if (slot > G_MAXUINT32) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED,
                    _("HPT entry at slot 0x%1$llx cannot be written, expected at most 0x%2$x"),
                    (unsigned long long)slot, G_MAXUINT32);
        return FALSE;
    }
    virtHptRecordHeaderStore(header, encoding, data);
    return outputPut(output, data, sizeof(data), error);
}

static gboolean
putRecords(Output *output, const VirtHptTable *table, VirtHptEncoding encoding, GError **error)
{
    static const guint8 endMarker[VIRT_HPT_RECORD_HEADER_SIZE];
    guint64 slots = virtHptTableGetSlots(table);
    guint64 slot = virtHptTableNextValid(table, 0);

    while (slot < slots) {
        guint64 limit = MIN(slots, slot + VIRT_HPT_RECORD_MAX);
        guint64 n = virtHptTableNextInvalid(table, slot, limit) - slot;

        if (!putHeader(output, encoding, slot, n, error) ||
            !outputPut(output, virtHptTablePeekWire(table, slot), (gsize)n * VIRT_HPT_ENTRY_SIZE,
                       error))
            return FALSE;
        slot = virtHptTableNextValid(table, slot + n);
    }

    if (encoding == VIRT_HPT_ENCODING_QEMU &&
        !outputPut(output, endMarker, sizeof(endMarker), error))
        return FALSE;
    return outputFlush(output, error);
}

static Output *
outputNew(VirtHptWriteFunc write, gpointer opaque)
{
    Output *output = g_new(Output, 1);

    output->write = write;
    output->opaque = opaque;
    output->used = 0;
    return output;
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
    g_autofree Output *output = outputNew(write, opaque);

    return putRecords(output, table, encoding, error);
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
    g_autofree Output *output = outputNew(write, opaque);
    guint8 prologue[8] = {0};

    virtHptStoreBE32(prologue, virtHptTableGetOrder(table));
    return outputPut(output, prologue, sizeof(prologue), error) &&
           putRecords(output, table, VIRT_HPT_ENCODING_QEMU, error);
}
