/*
 * htab_kvm_reader.c: a VM's HPT out of the kernel, pass by pass
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * kvm_htab_read() (Linux arch/powerpc/kvm/book3s_64_mmu_hv.c) fills the buffer with whole records
 * for as long as another header and entry fit with a byte to spare, and stops at the end of the
 * table whatever room is left.  So a read that leaves more than that unused has reached the end,
 * and so has one whose last record ends there.  A 0 is such a read, and no end of file.
 *
 * The first pass gives every slot, valid or not, so that its records follow one another without a
 * gap up to the last slot.  That is verified: a gap means that someone else reads the same open
 * file, and another end that the table is not of the order which the caller believes in.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n-lib.h>
#include <string.h>
#include <unistd.h>

#include "htab/htab_kvmpriv.h"
#include "htab/htab_streampriv.h"
#include "libvirt-hpt/htab_error.h"

/* With no more room than this the kernel does not begin another record */
#define READ_ROOM (VIRT_HPT_RECORD_HEADER_SIZE + VIRT_HPT_ENTRY_SIZE)

/* Byte 7 of an entry on the wire is the low byte of V, which holds the bits that matter here */
#define WIRE_V_LOW 7

struct _VirtHptKvmReader {
    int fd;
    int vmFd; /* to tell why there is no table; -1: unknown */
    guint order;
    guint64 slots;
    gboolean first;  /* in the first pass */
    gboolean failed; /* what the kernel took for delivered was not */
    guint64 next;    /* the slot behind the last record of this pass */
    guint8 buffer[VIRT_HPT_KVM_BUFFER_SIZE];
};

/**
 * virtHptKvmReaderNewForFd:
 * @fd: (transfer full): a descriptor of virtHptKvmOpen(), of this or of another process; on failure
 *   it stays the caller's
 * @order: log2 of the table's size in bytes, as KVM_PPC_ALLOCATE_HTAB gave it
 * @startIndex: what the descriptor was opened with
 * @error: return location
 *
 * Makes a reader of a descriptor from which nothing was read yet.
 *
 * Errors: %VIRT_HPT_ERROR_UNSUPPORTED for an order outside 18..36.
 *
 * Returns: (transfer full): a reader, or %NULL
 */
VirtHptKvmReader *
virtHptKvmReaderNewForFd(int fd, guint order, guint64 startIndex, GError **error)
{
    VirtHptKvmReader *reader;

    if (!virtHptKvmCheckOrder(order, error))
        return NULL;
    reader = g_new(VirtHptKvmReader, 1);
    reader->fd = fd;
    reader->vmFd = -1;
    reader->order = order;
    reader->slots = G_GUINT64_CONSTANT(1) << (order - 4);
    reader->first = TRUE;
    reader->failed = FALSE;
    reader->next = startIndex;
    return reader;
}

/**
 * virtHptKvmReaderNew:
 * @vmFd: a VM's file descriptor; it stays the caller's, who may close it
 * @order: log2 of the table's size in bytes, as KVM_PPC_ALLOCATE_HTAB gave it
 * @flags: 0 or %VIRT_HPT_KVM_BOLTED_ONLY
 * @startIndex: the slot where the first pass begins, as virtHptKvmOpen() takes it; with the number
 *   of slots the first pass is empty and the later ones give changes
 * @error: return location
 *
 * Makes a reader.  The vCPUs may run.  From now on the kernel tracks changes.
 *
 * One VM has one reader that can rely on its passes: readers take changes from each other.  After
 * KVM_PPC_ALLOCATE_HTAB or KVM_PPC_RESIZE_HPT_COMMIT make a new reader: the kernel does not tell
 * those that are open which entries went.
 *
 * With order 36 it is the caller who knows that the HPT is no larger: the records of one that is do
 * not tell a slot from that 2^32 slots below.
 *
 * Errors: as virtHptKvmOpen() and virtHptKvmReaderNewForFd().
 *
 * Returns: (transfer full): a reader, or %NULL
 */
VirtHptKvmReader *
virtHptKvmReaderNew(int vmFd, guint order, guint flags, guint64 startIndex, GError **error)
{
    VirtHptKvmReader *reader;
    int fd;

    g_return_val_if_fail((flags & VIRT_HPT_KVM_WRITE) == 0, NULL);

    if (!virtHptKvmCheckOrder(order, error))
        return NULL;
    fd = virtHptKvmOpen(vmFd, flags, startIndex, error);
    if (fd < 0)
        return NULL;
    reader = virtHptKvmReaderNewForFd(fd, order, startIndex, error);
    reader->vmFd = fcntl(vmFd, F_DUPFD_CLOEXEC, 0);
    return reader;
}

/**
 * virtHptKvmReaderFree:
 * @reader: (nullable): a reader
 *
 * Closes its descriptor.  With the last one the kernel ceases to track changes.
 */
void
virtHptKvmReaderFree(VirtHptKvmReader *reader)
{
    if (!reader)
        return;
    close(reader->fd);
    if (reader->vmFd >= 0)
        close(reader->vmFd);
    g_free(reader);
}

static gboolean
checkRecord(const VirtHptKvmReader *reader,
            const VirtHptRecordHeader *header,
            gsize left,
            GError **error)
{
    guint64 end = (guint64)header->index + header->valid + header->invalid;

    if ((gsize)header->valid * VIRT_HPT_ENTRY_SIZE > left) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED,
            _("the kernel gave %1$llu bytes of a record of %2$u valid entries at slot 0x%3$x, expected whole records"),
            (unsigned long long)left, header->valid, header->index);
        return FALSE;
    }
    if (header->valid == 0 && header->invalid == 0) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED,
                    _("the kernel gave a record without slots at slot 0x%1$x"), header->index);
        return FALSE;
    }
    if (end > reader->slots) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED,
            _("the kernel gave slots 0x%1$x to 0x%2$llx, expected at most 0x%3$llx in an HPT of order %4$u: was it allocated anew or resized?"),
            header->index, (unsigned long long)end - 1, (unsigned long long)reader->slots - 1,
            reader->order);
        return FALSE;
    }
    if (header->index < reader->next || (reader->first && header->index != reader->next)) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED,
            _("the kernel gave slot 0x%1$x where slot 0x%2$llx was expected: is someone else reading the same file descriptor?"),
            header->index, (unsigned long long)reader->next);
        return FALSE;
    }
    return TRUE;
}

/* The kernel holds HVLOCK (0x40) while it copies V, so that every entry arrives with it */
static gboolean
cleanEntries(const VirtHptRecordHeader *header, guint8 *hptes, GError **error)
{
    for (guint i = 0; i < header->valid; i++) {
        guint8 *v = hptes + (gsize)i * VIRT_HPT_ENTRY_SIZE + WIRE_V_LOW;

        if (!(*v & VIRT_HPT_V_VALID)) {
            g_set_error(
                error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED,
                _("the kernel gave an entry without valid bit at slot 0x%1$x among valid ones"),
                header->index + i);
            return FALSE;
        }
        *v &= (guint8)~VIRT_HPT_V_PRIVATE;
    }
    return TRUE;
}

static gboolean
takeRecords(VirtHptKvmReader *reader,
            gsize length,
            VirtHptKvmRecordFunc func,
            gpointer opaque,
            VirtHptKvmPass *pass,
            GError **error)
{
    guint8 *data = reader->buffer;

    while (length > 0) {
        VirtHptRecordHeader header;
        guint8 *hptes = data + VIRT_HPT_RECORD_HEADER_SIZE;
        gsize used;

        if (length < VIRT_HPT_RECORD_HEADER_SIZE) {
            g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED,
                        _("the kernel gave %1$llu bytes of a record header, expected %2$d"),
                        (unsigned long long)length, VIRT_HPT_RECORD_HEADER_SIZE);
            return FALSE;
        }
        header = virtHptRecordHeaderLoad(data, VIRT_HPT_ENCODING_KVM);
        if (!checkRecord(reader, &header, length - VIRT_HPT_RECORD_HEADER_SIZE, error) ||
            !cleanEntries(&header, hptes, error) ||
            !func(header.index, hptes, header.valid, header.invalid, opaque, error))
            return FALSE;

        used = VIRT_HPT_RECORD_HEADER_SIZE + (gsize)header.valid * VIRT_HPT_ENTRY_SIZE;
        reader->next = (guint64)header.index + header.valid + header.invalid;
        pass->records++;
        pass->valid += header.valid;
        pass->invalid += header.invalid;
        data += used;
        length -= used;
    }
    return TRUE;
}

/* A table of any size has something to give in its first pass, if that begins within it. */
static gboolean
explainNothing(const VirtHptKvmReader *reader, GError **error)
{
    VirtHptKvmState state = VIRT_HPT_KVM_STATE_RUNNING;
    guint order = 0;

    if (reader->vmFd >= 0 && !virtHptKvmProbe(reader->vmFd, &state, &order, error))
        return FALSE;
    if (state == VIRT_HPT_KVM_STATE_RADIX) {
        g_set_error_literal(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED,
                            _("the VM uses radix translation and has no HPT"));
    } else if (state == VIRT_HPT_KVM_STATE_NO_TABLE) {
        g_set_error_literal(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND,
            _("the VM has no HPT yet: the VMM allocates it with KVM_PPC_ALLOCATE_HTAB, or the kernel when a vCPU first runs"));
    } else if (order != 0 && order != reader->order) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                    _("the VM's HPT is of order %1$u, expected order %2$u"), order, reader->order);
    } else {
        g_set_error_literal(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND,
            _("the kernel gave no record in the first pass: the VM uses radix translation, or has no HPT yet, or a smaller one"));
    }
    return FALSE;
}

/* At the kernel's end of the table: what there was must have been all */
static gboolean
endPass(VirtHptKvmReader *reader, const VirtHptKvmPass *pass, GError **error)
{
    if (reader->first && reader->next < reader->slots) {
        if (pass->records == 0)
            return explainNothing(reader, error);
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
            _("the kernel's HPT ends behind slot 0x%1$llx, expected 0x%2$llx slots in an HPT of order %3$u"),
            (unsigned long long)reader->next - 1, (unsigned long long)reader->slots, reader->order);
        return FALSE;
    }
    reader->first = FALSE;
    reader->next = 0;
    return TRUE;
}

/**
 * virtHptKvmReaderStep:
 * @reader: a reader
 * @func: receives the records
 * @opaque: passed to @func
 * @pass: (inout): counts of this pass; zero it when a pass begins
 * @ended: (out): whether the pass has come to its end; the next call begins another
 * @error: return location
 *
 * Reads once: at most 64 KiB.  For a caller that has to share its time or its bandwidth; others
 * have virtHptKvmReaderPass().
 *
 * Records of a pass ascend.  An entry may be given in several passes, the last one counts; an
 * update of R or C alone gives it again.
 *
 * Errors: those of @func; %VIRT_HPT_ERROR_IO if read(2) fails; %VIRT_HPT_ERROR_UNSUPPORTED if the
 * VM uses radix; %VIRT_HPT_ERROR_NOT_FOUND if it has no HPT; %VIRT_HPT_ERROR_FAILED if its HPT is
 * not of the reader's order; %VIRT_HPT_ERROR_MALFORMED if the kernel broke its own rules.  The
 * kernel takes what it gave for delivered: a reader that failed cannot go on, make a new one.
 *
 * A VM that turns to radix after the first pass looks as if nothing changed: see virtHptKvmProbe().
 *
 * Returns: %FALSE on error
 */
gboolean
virtHptKvmReaderStep(VirtHptKvmReader *reader,
                     VirtHptKvmRecordFunc func,
                     gpointer opaque,
                     VirtHptKvmPass *pass,
                     gboolean *ended,
                     GError **error)
{
    const gsize size = sizeof(reader->buffer);
    ssize_t n;

    if (reader->failed) {
        g_set_error_literal(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                            _("reading the HPT failed before: begin again with a new reader"));
        return FALSE;
    }
    reader->failed = TRUE;
    n = TEMP_FAILURE_RETRY(read(reader->fd, reader->buffer, size));
    if (n < 0) {
        virtHptKvmSetError(error, errno, _("the kernel does not give the HPT"));
        return FALSE;
    }
    if ((gsize)n > size) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED,
            _("the kernel says that it gave %1$llu bytes of the HPT, expected at most %2$llu"),
            (unsigned long long)n, (unsigned long long)size);
        return FALSE;
    }
    pass->first = reader->first;
    pass->reads++;
    pass->bytes += (gsize)n;
    if (!takeRecords(reader, (gsize)n, func, opaque, pass, error))
        return FALSE;
    *ended = reader->next == reader->slots || (gsize)n + READ_ROOM < size;
    if (*ended && !endPass(reader, pass, error))
        return FALSE;
    reader->failed = FALSE;
    return TRUE;
}

/**
 * virtHptKvmReaderPassRecords:
 * @reader: a reader
 * @func: receives the records
 * @opaque: passed to @func
 * @pass: (out): what the pass gave
 * @error: return location
 *
 * Reads one pass: to the end of the table once.  A pass that is not the first gives what changed
 * since it was last given; with @pass's records 0, nothing did.
 *
 * With running vCPUs a pass is no image of one moment: entries change behind its back and are given
 * by the next one.  The last pass must be one with the vCPUs stopped.
 *
 * Errors: as virtHptKvmReaderStep().
 *
 * Returns: %FALSE on error
 */
gboolean
virtHptKvmReaderPassRecords(VirtHptKvmReader *reader,
                            VirtHptKvmRecordFunc func,
                            gpointer opaque,
                            VirtHptKvmPass *pass,
                            GError **error)
{
    gboolean ended = FALSE;

    memset(pass, 0, sizeof(*pass));
    while (!ended) {
        if (!virtHptKvmReaderStep(reader, func, opaque, pass, &ended, error))
            return FALSE;
    }
    return TRUE;
}

/* A VirtHptKvmRecordFunc: @opaque is a table of the reader's order */
static gboolean
applyRecord(guint64 slot,
            const guint8 *hptes,
            guint valid,
            guint invalid,
            gpointer opaque,
            G_GNUC_UNUSED GError **error)
{
    virtHptTableSetWire(opaque, slot, hptes, valid);
    virtHptTableClear(opaque, slot + valid, invalid);
    return TRUE;
}

/**
 * virtHptKvmReaderPass:
 * @reader: a reader
 * @table: (transfer none): a table of the reader's order
 * @pass: (out): what the pass gave
 * @error: return location
 *
 * Reads one pass, as virtHptKvmReaderPassRecords() does, into @table.  After the first pass, and
 * after each one that ended while no vCPU ran, it equals the kernel's, as far as the reader looks:
 * from its start index on, with %VIRT_HPT_KVM_BOLTED_ONLY the bolted entries.
 *
 * Errors: as virtHptKvmReaderStep(), and %VIRT_HPT_ERROR_FAILED if @table is of another order.
 *
 * Returns: %FALSE on error
 */
gboolean
virtHptKvmReaderPass(VirtHptKvmReader *reader,
                     VirtHptTable *table,
                     VirtHptKvmPass *pass,
                     GError **error)
{
    if (virtHptTableGetOrder(table) != reader->order) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                    _("an HPT of order %1$u cannot be read into a table of order %2$u"),
                    reader->order, virtHptTableGetOrder(table));
        return FALSE;
    }
    return virtHptKvmReaderPassRecords(reader, applyRecord, table, pass, error);
}
