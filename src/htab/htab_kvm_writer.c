/*
 * htab_kvm_writer.c: a VM's HPT into the kernel, record by record
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * kvm_htab_write() (Linux arch/powerpc/kvm/book3s_64_mmu_hv.c) loops over the records of a buffer
 * without stepping over their entries, so that exactly one goes into a write(2).  On an error it
 * does not say how many entries it took: the record is written again entry by entry then, which
 * changes nothing where it was written before, until the kernel refuses one.
 */

#include "config.h"

#include <errno.h>
#include <glib/gi18n-lib.h>
#include <string.h>
#include <unistd.h>

#include "htab/htab_diffpriv.h"
#include "htab/htab_kvmpriv.h"
#include "htab/htab_streampriv.h"
#include "libvirt-hpt/htab_error.h"

/* Entries in one write(2) */
#define WRITE_ENTRIES                                                                              \
    ((VIRT_HPT_KVM_BUFFER_SIZE - VIRT_HPT_RECORD_HEADER_SIZE) / VIRT_HPT_ENTRY_SIZE)

struct _VirtHptKvmWriter {
    int fd;
    guint order;
    guint64 slots;
    guint8 buffer[VIRT_HPT_KVM_BUFFER_SIZE];
};

/* A record to write */
typedef struct {
    guint64 slot;
    const guint8 *hptes;
    guint valid;
    guint invalid;
} Record;

/**
 * virtHptKvmWriterNewForFd:
 * @fd: (transfer full): a descriptor of virtHptKvmOpen() with %VIRT_HPT_KVM_WRITE, of this or of
 *   another process; on failure it stays the caller's
 * @order: log2 of the table's size in bytes, as KVM_PPC_ALLOCATE_HTAB gave it
 * @error: return location
 *
 * Makes a writer.  Whether the VM has an HPT of that order is not looked at.
 *
 * Errors: %VIRT_HPT_ERROR_UNSUPPORTED for an order outside 18..36.
 *
 * Returns: (transfer full): a writer, or %NULL
 */
VirtHptKvmWriter *
virtHptKvmWriterNewForFd(int fd, guint order, GError **error)
{
    VirtHptKvmWriter *writer;

    if (!virtHptKvmCheckOrder(order, error))
        return NULL;
    writer = g_new(VirtHptKvmWriter, 1);
    writer->fd = fd;
    writer->order = order;
    writer->slots = G_GUINT64_CONSTANT(1) << (order - 4);
    return writer;
}

/* Whether @state and @order of the VM are such that a table of @wanted can be written */
static gboolean
checkState(VirtHptKvmState state, guint order, guint wanted, GError **error)
{
    if (state == VIRT_HPT_KVM_STATE_RADIX) {
        g_set_error_literal(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED,
                            _("the VM uses radix translation and has no HPT"));
        return FALSE;
    }
    if (state == VIRT_HPT_KVM_STATE_NO_TABLE) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND,
            _("the VM has no HPT: allocate one of order %1$u with KVM_PPC_ALLOCATE_HTAB first"),
            wanted);
        return FALSE;
    }
    if (state == VIRT_HPT_KVM_STATE_RUNNING) {
        g_set_error_literal(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_BUSY,
                            _("the HPT cannot be written while vCPUs run: stop them first"));
        return FALSE;
    }
    if (order != wanted) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                    _("the VM's HPT is of order %1$u, expected order %2$u"), order, wanted);
        return FALSE;
    }
    return TRUE;
}

/**
 * virtHptKvmWriterNew:
 * @vmFd: a VM's file descriptor; it stays the caller's, who may close it
 * @order: log2 of the table's size in bytes, as KVM_PPC_ALLOCATE_HTAB gave it
 * @error: return location
 *
 * Makes a writer, if the VM has an HPT of that order and its vCPUs stand still.  Nothing is
 * allocated: that is the VMM's business, which knows when an HPT may be thrown away.
 *
 * Errors: as virtHptKvmProbe() and virtHptKvmWriterNewForFd(); %VIRT_HPT_ERROR_UNSUPPORTED if the
 * VM uses radix; %VIRT_HPT_ERROR_NOT_FOUND if it has no HPT; %VIRT_HPT_ERROR_BUSY if vCPUs run;
 * %VIRT_HPT_ERROR_FAILED if its HPT is of another order.
 *
 * With order 36 it is the caller who knows that the HPT is no larger: see virtHptKvmProbe().
 *
 * Returns: (transfer full): a writer, or %NULL
 */
VirtHptKvmWriter *
virtHptKvmWriterNew(int vmFd, guint order, GError **error)
{
    VirtHptKvmState state;
    guint found;
    int fd;

    if (!virtHptKvmCheckOrder(order, error) || !virtHptKvmProbe(vmFd, &state, &found, error) ||
        !checkState(state, found, order, error))
        return NULL;
    fd = virtHptKvmOpen(vmFd, VIRT_HPT_KVM_WRITE, 0, error);
    return fd < 0 ? NULL : virtHptKvmWriterNewForFd(fd, order, error);
}

/**
 * virtHptKvmWriterFree:
 * @writer: (nullable): a writer; its descriptor is closed
 */
void
virtHptKvmWriterFree(VirtHptKvmWriter *writer)
{
    if (!writer)
        return;
    close(writer->fd);
    g_free(writer);
}

/* In place of an errno: the kernel took more or less than it was given */
#define MISREAD (-1)

/* One write(2).  Returns 0, errno or MISREAD */
static int
submit(VirtHptKvmWriter *writer, const Record *record)
{
    const VirtHptRecordHeader header = {
        .index = (guint32)record->slot,
        .valid = (guint16)record->valid,
        .invalid = (guint16)record->invalid,
    };
    const gsize bytes = (gsize)record->valid * VIRT_HPT_ENTRY_SIZE;
    const gsize length = VIRT_HPT_RECORD_HEADER_SIZE + bytes;
    ssize_t n;

    virtHptRecordHeaderStore(header, VIRT_HPT_ENCODING_KVM, writer->buffer);
    if (bytes > 0)
        memcpy(writer->buffer + VIRT_HPT_RECORD_HEADER_SIZE, record->hptes, bytes);
    n = TEMP_FAILURE_RETRY(write(writer->fd, writer->buffer, length));
    if (n < 0)
        return errno;
    return (gsize)n == length ? 0 : MISREAD;
}

static int
submitCounted(VirtHptKvmWriter *writer, const Record *record, VirtHptKvmWritten *written)
{
    int number = submit(writer, record);

    written->next = record->slot;
    if (number != 0)
        return number;
    written->records++;
    written->valid += record->valid;
    written->invalid += record->invalid;
    written->next += record->valid + record->invalid;
    return 0;
}

/*
 * Writes @record, which the kernel refused as a whole, entry by entry.  Returns 0 if all went well
 * now, else errno or MISREAD, with @written up to the entry where that happened.
 */
static int
submitPieces(VirtHptKvmWriter *writer, const Record *record, VirtHptKvmWritten *written)
{
    for (guint i = 0; i < record->valid; i++) {
        const Record piece = {
            .slot = record->slot + i,
            .hptes = record->hptes + (gsize)i * VIRT_HPT_ENTRY_SIZE,
            .valid = 1,
        };
        int number = submitCounted(writer, &piece, written);

        if (number != 0)
            return number;
    }
    if (record->invalid > 0) {
        const Record piece = {.slot = record->slot + record->valid, .invalid = record->invalid};

        return submitCounted(writer, &piece, written);
    }
    return 0;
}

static void
setNotWritten(GError **error, int number, const Record *record, const VirtHptKvmWritten *written)
{
    guint64 i = written->next - record->slot;
    const guint8 *hpte = record->hptes + i * VIRT_HPT_ENTRY_SIZE;
    guint64 v;
    guint64 r;

    if (number == MISREAD) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO,
            _("the kernel took another number of bytes than it was given for slot 0x%1$llx: the slots before it are written, but any others may have been changed, too"),
            (unsigned long long)written->next);
        return;
    }
    if (number == EBUSY) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_BUSY,
            _("the HPT cannot be written while vCPUs run: stop them and go on at slot 0x%1$llx"),
            (unsigned long long)written->next);
        return;
    }
    if (i >= record->valid) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO,
                    _("the kernel does not empty %1$u slots from slot 0x%2$llx on: %3$s"),
                    record->invalid, (unsigned long long)written->next, g_strerror(number));
        return;
    }
    memcpy(&v, hpte, sizeof(v));
    memcpy(&r, hpte + sizeof(v), sizeof(r));
    g_set_error(
        error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO,
        written->lost
            ? _("the kernel refuses the HPT entry V 0x%1$016llx R 0x%2$016llx for slot 0x%3$llx, which is empty now: %4$s; the slots before it are written")
            : _("the kernel refuses the HPT entry V 0x%1$016llx R 0x%2$016llx for slot 0x%3$llx: %4$s; the slots before it are written"),
        (unsigned long long)GUINT64_FROM_BE(v), (unsigned long long)GUINT64_FROM_BE(r),
        (unsigned long long)written->next, g_strerror(number));
}

static gboolean
put(VirtHptKvmWriter *writer, const Record *record, VirtHptKvmWritten *written, GError **error)
{
    int whole = submitCounted(writer, record, written);
    int number = whole;

    if (number == 0)
        return TRUE;
    if (number != EBUSY && number != MISREAD)
        number = submitPieces(writer, record, written);
    if (number == 0)
        return TRUE;
    /* What was tried as a whole came further than the pieces perhaps. */
    written->unsure = number == MISREAD || number != whole;
    /* H_ENTER, which alone gives EIO, comes after the old entry was removed. */
    written->lost = number == EIO;
    setNotWritten(error, number, record, written);
    return FALSE;
}

/* In as many records as it takes */
static gboolean
putLong(VirtHptKvmWriter *writer,
        guint64 slot,
        const guint8 *hptes,
        guint valid,
        guint invalid,
        VirtHptKvmWritten *written,
        GError **error)
{
    while (valid > 0 || invalid > 0) {
        Record record = {.slot = slot, .hptes = hptes, .valid = MIN(valid, WRITE_ENTRIES)};

        valid -= record.valid;
        record.invalid = valid == 0 ? invalid : 0;
        invalid -= record.invalid;
        if (!put(writer, &record, written, error))
            return FALSE;
        slot = written->next;
        if (valid > 0)
            hptes += (gsize)record.valid * VIRT_HPT_ENTRY_SIZE;
    }
    return TRUE;
}

/* What the kernel would refuse with EINVAL is found before anything is written. */
static gboolean
checkEntry(guint64 slot, const guint8 *hpte, GError **error)
{
    VirtHptPageSize size;
    VirtHptEntry entry;

    memcpy(&entry.v, hpte, sizeof(entry.v));
    memcpy(&entry.r, hpte + sizeof(entry.v), sizeof(entry.r));
    entry.v = GUINT64_FROM_BE(entry.v);
    entry.r = GUINT64_FROM_BE(entry.r);
    if ((entry.v & VIRT_HPT_V_VALID) && virtHptEntryGetPageSize(&entry, &size))
        return TRUE;
    g_set_error(
        error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED,
        entry.v & VIRT_HPT_V_VALID
            ? _("the kernel does not take the HPT entry V 0x%1$016llx R 0x%2$016llx for slot 0x%3$llx: its encoding is no page size")
            : _("the kernel does not take the HPT entry V 0x%1$016llx R 0x%2$016llx for slot 0x%3$llx: it is not valid"),
        (unsigned long long)entry.v, (unsigned long long)entry.r, (unsigned long long)slot);
    return FALSE;
}

/**
 * virtHptKvmWriterWriteRecord:
 * @writer: a writer
 * @slot: first slot
 * @hptes: (nullable): @valid entries of 16 bytes, big-endian doublewords
 * @valid: how many, at most 65535
 * @invalid: slots behind them to empty, at most 65535
 * @written: (out): how far it came, also on failure
 * @error: return location
 *
 * Writes what one record of a stream says.  In the kernel each entry is an H_ENTER at its very
 * slot; whether it hashes there is not checked.  What reads back differs from what was written in
 * bit 0x40 of V and in bit 62 of R, and on POWER9 V's bits 52 to 61 are lost.
 *
 * The kernel takes an address without memory behind it for MMIO.
 *
 * Entries are looked at before the first is written.  What the kernel may still refuse is an entry
 * whose page is larger than the host's pages behind it, whose B is reserved, or whose storage
 * control bits do not fit the host's mapping.
 *
 * Errors: %VIRT_HPT_ERROR_MALFORMED if the record reaches beyond the table, or an entry is not
 * valid or of no page size: nothing was written then; %VIRT_HPT_ERROR_BUSY if vCPUs run;
 * %VIRT_HPT_ERROR_IO if the kernel refuses an entry: @written tells which; the same if it takes
 * another number of bytes than it was given: then @written's unsure is set.  A record that is
 * refused as a whole is written entry by entry, to find which; if that ends for another reason,
 * unsure is set as well.
 *
 * The kernel looks for running vCPUs at each write(2), that is every 4095 entries.  If some start
 * in between, they run on a table that is half written.  With %VIRT_HPT_ERROR_BUSY all that was
 * asked for before @written's next is done, and nothing behind it but, with unsure, in the rest of
 * what was asked for.  Stop them and call again: slots that are written once more are none the
 * worse for it.
 *
 * Returns: %FALSE on error
 */
gboolean
virtHptKvmWriterWriteRecord(VirtHptKvmWriter *writer,
                            guint64 slot,
                            const guint8 *hptes,
                            guint valid,
                            guint invalid,
                            VirtHptKvmWritten *written,
                            GError **error)
{
    *written = (VirtHptKvmWritten){.next = slot};
    if (valid > VIRT_HPT_RECORD_MAX || invalid > VIRT_HPT_RECORD_MAX || slot >= writer->slots ||
        (guint64)valid + invalid > writer->slots - slot) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED,
            _("HPT record at slot 0x%1$llx has %2$u valid and %3$u invalid slots, expected at most %4$d of each and none beyond slot 0x%5$llx"),
            (unsigned long long)slot, valid, invalid, VIRT_HPT_RECORD_MAX,
            (unsigned long long)writer->slots - 1);
        return FALSE;
    }
    for (guint i = 0; i < valid; i++) {
        if (!checkEntry(slot + i, hptes + (gsize)i * VIRT_HPT_ENTRY_SIZE, error))
            return FALSE;
    }

    return putLong(writer, slot, hptes, valid, invalid, written, error);
}

static gboolean
checkTableOrder(const VirtHptKvmWriter *writer, const VirtHptTable *table, GError **error)
{
    if (virtHptTableGetOrder(table) == writer->order)
        return TRUE;
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                _("a table of order %1$u cannot be written to an HPT of order %2$u"),
                virtHptTableGetOrder(table), writer->order);
    return FALSE;
}

static gboolean
checkTable(const VirtHptKvmWriter *writer, const VirtHptTable *table, GError **error)
{
    guint64 slots = writer->slots;

    if (!checkTableOrder(writer, table, error))
        return FALSE;
    for (guint64 slot = virtHptTableNextValid(table, 0); slot < slots;
         slot = virtHptTableNextValid(table, slot + 1)) {
        if (!checkEntry(slot, virtHptTablePeekWire(table, slot), error))
            return FALSE;
    }
    return TRUE;
}

/**
 * virtHptKvmWriterWriteTable:
 * @writer: a writer
 * @table: a table of the writer's order
 * @written: (out): how far it came, also on failure
 * @error: return location
 *
 * Makes the kernel's table equal to @table: writes its entries and empties all other slots.
 *
 * All entries are looked at before the first is written, as virtHptKvmWriterWriteRecord() does.
 *
 * Errors: as virtHptKvmWriterWriteRecord(); %VIRT_HPT_ERROR_FAILED if @table is of another order.
 *
 * Returns: %FALSE on error
 */
gboolean
virtHptKvmWriterWriteTable(VirtHptKvmWriter *writer,
                           const VirtHptTable *table,
                           VirtHptKvmWritten *written,
                           GError **error)
{
    *written = (VirtHptKvmWritten){0};
    if (!checkTable(writer, table, error))
        return FALSE;
    while (written->next < writer->slots) {
        guint64 slot = written->next;
        guint64 end =
            virtHptTableNextInvalid(table, slot, MIN(slot + WRITE_ENTRIES, writer->slots));
        guint64 limit = MIN(end + VIRT_HPT_RECORD_MAX, writer->slots);
        const Record record = {
            .slot = slot,
            .hptes = virtHptTablePeekWire(table, slot),
            .valid = (guint)(end - slot),
            .invalid = (guint)(virtHptTableNextValidBelow(table, end, limit) - end),
        };

        if (!put(writer, &record, written, error))
            return FALSE;
    }
    return TRUE;
}

/**
 * virtHptKvmWriterWriteChanges:
 * @writer: a writer
 * @before: a table of the writer's order: what the kernel's holds
 * @after: a table of the writer's order: what it is to hold
 * @written: (out): how far it came, also on failure
 * @error: return location
 *
 * Writes the slots in which @after differs from @before: entries that are new or changed, and
 * emptied slots.  The others are not touched, and not read either: that the kernel's table is
 * @before is the caller's knowledge.
 *
 * All entries are looked at before the first is written, as virtHptKvmWriterWriteRecord() does.
 *
 * Errors: as virtHptKvmWriterWriteRecord(); %VIRT_HPT_ERROR_FAILED if a table is of another order.
 *
 * Returns: %FALSE on error
 */
gboolean
virtHptKvmWriterWriteChanges(VirtHptKvmWriter *writer,
                             const VirtHptTable *before,
                             const VirtHptTable *after,
                             VirtHptKvmWritten *written,
                             GError **error)
{
    VirtHptDiffWalk walk;
    VirtHptDiffRun run;

    *written = (VirtHptKvmWritten){0};
    if (!checkTableOrder(writer, before, error) || !checkTable(writer, after, error) ||
        !virtHptDiffWalkInit(&walk, before, after, error))
        return FALSE;
    while (virtHptDiffWalkNextRun(&walk, &run)) {
        if (!putLong(writer, run.slot, virtHptTablePeekWire(after, run.slot), run.valid,
                     run.invalid, written, error))
            return FALSE;
    }
    return TRUE;
}
