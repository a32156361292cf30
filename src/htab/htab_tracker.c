/*
 * htab_tracker.c: a table whose changes are tracked, as the kernel tracks those of its own
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a write does is what Linux 6.1 arch/powerpc/kvm/book3s_64_mmu_hv.c kvm_htab_write() does
 * with one whole record.
 */

#include "config.h"

#include <errno.h>
#include <string.h>

#include <glib/gi18n-lib.h>

#include "htab/htab_streampriv.h"
#include "htab/htab_trackerpriv.h"
#include "libvirt-hpt/htab_error.h"

/**
 * virtHptTrackerNew:
 * @table: (transfer none): a table; it must outlive the tracker, and while that lives be changed
 * only through it
 *
 * Changes are tracked from the first virtHptTrackerOpen() on.  Memory: one bit a slot.
 *
 * Returns: (transfer full): a tracker
 */
VirtHptTracker *
virtHptTrackerNew(VirtHptTable *table)
{
    VirtHptTracker *tracker = g_new0(VirtHptTracker, 1);

    tracker->table = table;
    tracker->slots = virtHptTableGetSlots(table);
    tracker->changed = g_new0(guint64, (gsize)(tracker->slots / VIRT_HPT_TRACKER_WORD_SLOTS));
    return tracker;
}

/**
 * virtHptTrackerFree:
 * @tracker: (nullable): a tracker without readers; its table stays
 */
void
virtHptTrackerFree(VirtHptTracker *tracker)
{
    if (!tracker)
        return;
    g_return_if_fail(tracker->readers == 0);
    g_free(tracker->changed);
    g_free(tracker);
}

static void
markChanged(VirtHptTracker *tracker, guint64 slot)
{
    tracker->changed[slot / VIRT_HPT_TRACKER_WORD_SLOTS] |= G_GUINT64_CONSTANT(1)
                                                            << (slot % VIRT_HPT_TRACKER_WORD_SLOTS);
}

static gboolean
slotIsValid(const VirtHptTracker *tracker, guint64 slot)
{
    return (virtHptTableGet(tracker->table, slot).v & VIRT_HPT_V_VALID) != 0;
}

/**
 * virtHptTrackerSet:
 * @tracker: a tracker
 * @slot: a slot of its table
 * @entry: an entry in host byte order
 *
 * Puts @entry less its private bits and R's bit TS, as H_ENTER does, and marks the slot changed
 * if there is a reader, also where the same entry was there before.  An entry that is not valid is
 * virtHptTrackerInvalidate().
 *
 * A slot outside the table is a programming error and aborts the process.
 */
void
virtHptTrackerSet(VirtHptTracker *tracker, guint64 slot, const VirtHptEntry *entry)
{
    const VirtHptEntry stripped = {entry->v, entry->r & ~VIRT_HPT_R_TS};

    if (!(entry->v & VIRT_HPT_V_VALID)) {
        virtHptTrackerInvalidate(tracker, slot);
        return;
    }
    virtHptTableSet(tracker->table, slot, &stripped);
    if (tracker->readers > 0)
        markChanged(tracker, slot);
}

/**
 * virtHptTrackerInvalidate:
 * @tracker: a tracker
 * @slot: a slot of its table
 *
 * Removes an entry, as H_REMOVE does, and marks the slot changed if there is a reader.  A slot
 * that is empty already stays as it is.
 *
 * A slot outside the table is a programming error and aborts the process.
 */
void
virtHptTrackerInvalidate(VirtHptTracker *tracker, guint64 slot)
{
    if (!slotIsValid(tracker, slot))
        return;
    virtHptTableClear(tracker->table, slot, 1);
    if (tracker->readers > 0)
        markChanged(tracker, slot);
}

/**
 * virtHptTrackerTouch:
 * @tracker: a tracker
 * @slot: a slot of its table
 * @bits: %VIRT_HPT_R_R, %VIRT_HPT_R_C or both; other bits are ignored
 *
 * Sets R (referenced) and C (changed) as the MMU does.  If one of them was clear, the slot is
 * marked changed, also without a reader: the kernel sees such bits when it reads, whoever was
 * there when the hardware set them.  An empty slot stays as it is.
 *
 * A slot outside the table is a programming error and aborts the process.
 */
void
virtHptTrackerTouch(VirtHptTracker *tracker, guint64 slot, guint64 bits)
{
    VirtHptEntry entry = virtHptTableGet(tracker->table, slot);

    bits &= (VIRT_HPT_R_R | VIRT_HPT_R_C) & ~entry.r;
    if (!(entry.v & VIRT_HPT_V_VALID) || !bits)
        return;
    entry.r |= bits;
    virtHptTableSet(tracker->table, slot, &entry);
    markChanged(tracker, slot);
}

/**
 * virtHptTrackerGetChanges:
 * @tracker: a tracker
 *
 * What a migration has still to send, if it has sent a first pass.
 *
 * Returns: how many slots are marked changed
 */
guint64
virtHptTrackerGetChanges(const VirtHptTracker *tracker)
{
    guint64 count = 0;

    for (guint64 i = 0; i < tracker->slots / VIRT_HPT_TRACKER_WORD_SLOTS; i++)
        count += (guint)__builtin_popcountll(tracker->changed[i]);
    return count;
}

static gssize refuseRecord(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Sets @error, and returns what write(2) would leave in errno, negative */
static gssize
refuseRecord(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (error)
        *error = g_error_new_valist(VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED, format, args);
    va_end(args);
    return -EINVAL;
}

/* Returns 0, or a negative errno with @error set */
static gssize
checkRecord(const VirtHptTracker *tracker,
            const VirtHptRecordHeader *header,
            gsize length,
            GError **error)
{
    gsize whole = VIRT_HPT_RECORD_HEADER_SIZE + (gsize)header->valid * VIRT_HPT_ENTRY_SIZE;
    guint64 end = (guint64)header->index + header->valid + header->invalid;

    if (length != whole) {
        return refuseRecord(
            error,
            _("HPT record of %1$zu bytes at index 0x%2$x, expected %3$zu bytes for %4$u entries: write one whole record"),
            length, header->index, whole, header->valid);
    }
    if (header->index >= tracker->slots || end > tracker->slots) {
        return refuseRecord(
            error,
            _("HPT record at index 0x%1$x with %2$u valid and %3$u invalid slots, expected slots up to 0x%4$llx"),
            header->index, header->valid, header->invalid, (unsigned long long)tracker->slots - 1);
    }
    return 0;
}

static VirtHptEntry
loadEntry(const guint8 *data)
{
    guint64 words[2];

    memcpy(words, data, sizeof(words));
    return (VirtHptEntry){GUINT64_FROM_BE(words[0]), GUINT64_FROM_BE(words[1])};
}

/* Returns 0, or a negative errno with @error set */
static gssize
checkEntry(const VirtHptEntry *entry, guint64 slot, guint64 first, GError **error)
{
    VirtHptPageSize size;

    if (!(entry->v & VIRT_HPT_V_VALID)) {
        return refuseRecord(
            error,
            _("HPT entry for slot 0x%1$llx: V is 0x%2$016llx, expected valid bit 0x1 set; slots from 0x%3$llx to before it were written"),
            (unsigned long long)slot, (unsigned long long)entry->v, (unsigned long long)first);
    }
    if (!virtHptEntryGetPageSize(entry, &size)) {
        return refuseRecord(
            error,
            _("HPT entry for slot 0x%1$llx: V 0x%2$016llx and R 0x%3$016llx encode no page size; slots from 0x%4$llx to before it were written"),
            (unsigned long long)slot, (unsigned long long)entry->v, (unsigned long long)entry->r,
            (unsigned long long)first);
    }
    if (entry->v >> VIRT_HPT_V_B_SHIFT > 1) {
        refuseRecord(
            error,
            _("HPT entry for slot 0x%1$llx: V is 0x%2$016llx, expected a segment size (bits 63:62) of 0 or 1; slots from 0x%3$llx to before it were written"),
            (unsigned long long)slot, (unsigned long long)entry->v, (unsigned long long)first);
        return -EIO;
    }
    return 0;
}

/* As virtHptTrackerInvalidate() of each slot.  Slots far from entries are not visited, and those
 * that were emptied once are not again: eight bytes may ask for 65535 of them. */
static void
invalidateRun(VirtHptTracker *tracker, guint64 first, guint64 n)
{
    VirtHptTable *table = tracker->table;
    guint64 end = first + n;

    if (tracker->readers > 0) {
        for (guint64 slot = virtHptTableNextValidBelow(table, first, end); slot < end;
             slot = virtHptTableNextValidBelow(table, slot + 1, end))
            markChanged(tracker, slot);
    }
    virtHptTableClear(table, first, n);
}

/**
 * virtHptTrackerWrite:
 * @tracker: a tracker
 * @flags: %VIRT_HPT_TRACKER_BIG_ENDIAN or 0
 * @record: one record: header, then its entries, big-endian doublewords
 * @length: its bytes
 * @error: set on failure
 *
 * Does what a write(2) of one record to the kernel's file descriptor does: valid entries are put
 * at their slots, those of n_invalid are emptied, and the slots are marked changed if there is a
 * reader.  A record with both counts 0 does nothing.
 *
 * On error the entries before the bad one have been written, and with -EIO the bad one's slot is
 * empty, as in the kernel.  Where the kernel takes a record that is cut, or several at once, and
 * misreads them, this refuses them.
 *
 * Errors: %VIRT_HPT_ERROR_MALFORMED, always.
 *
 * Returns: @length, or a negative errno as the kernel's: -EINVAL for a header, an entry that is
 * not valid or an unknown page size, -EIO for an entry that H_ENTER refuses
 */
gssize
virtHptTrackerWrite(VirtHptTracker *tracker,
                    guint flags,
                    const void *record,
                    gsize length,
                    GError **error)
{
    const guint8 *data = record;
    VirtHptRecordHeader header;
    gssize status;
    guint64 slot;

    if (flags & ~(guint)VIRT_HPT_TRACKER_BIG_ENDIAN) {
        return refuseRecord(error, _("flags 0x%1$x, expected none but 0x%2$x"), flags,
                            (guint)VIRT_HPT_TRACKER_BIG_ENDIAN);
    }
    if (length < VIRT_HPT_RECORD_HEADER_SIZE) {
        return refuseRecord(error, _("HPT record of %1$zu bytes, expected a header of %2$d"),
                            length, VIRT_HPT_RECORD_HEADER_SIZE);
    }
    header = virtHptRecordHeaderLoad(data, virtHptTrackerEncoding(flags));
    status = checkRecord(tracker, &header, length, error);
    if (status < 0)
        return status;

    data += VIRT_HPT_RECORD_HEADER_SIZE;
    slot = header.index;
    for (guint i = 0; i < header.valid; i++, slot++, data += VIRT_HPT_ENTRY_SIZE) {
        VirtHptEntry entry = loadEntry(data);

        status = checkEntry(&entry, slot, header.index, error);
        if (status == -EIO) /* H_ENTER refuses it once the old entry is gone */
            virtHptTrackerInvalidate(tracker, slot);
        if (status < 0)
            return status;
        virtHptTrackerSet(tracker, slot, &entry);
    }
    invalidateRun(tracker, slot, header.invalid);
    return (gssize)length;
}
