/*
 * htab_tracker.c: a table whose changes are tracked and read in passes, as the kernel's are
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a reader gets, byte for byte but for private bits, is what Linux 6.1
 * arch/powerpc/kvm/book3s_64_mmu_hv.c kvm_htab_read() gives for the same entries and changes;
 * what a write does is what kvm_htab_write() does with one whole record.
 */

#include "config.h"

#include <errno.h>
#include <string.h>

#include <glib/gi18n-lib.h>

#include "htab/htab_streampriv.h"
#include "libvirt-hpt/htab_error.h"
#include "libvirt-hpt/htab_tracker.h"

#define WORD_SLOTS 64

/* On the wire: the byte with all bits of V that matter here, and the one with R's TS bit */
#define WIRE_V_LOW 7
#define WIRE_R_HIGH 8
#define WIRE_R_HIGH_TS 0x40

/* An index has 32 bits: a table of this order has that many slots */
#define ORDER_MAX 36

#define READER_FLAGS                                                                               \
    (VIRT_HPT_TRACKER_BOLTED_ONLY | VIRT_HPT_TRACKER_BIG_ENDIAN | VIRT_HPT_TRACKER_PRIVATE_BITS)

struct _VirtHptTracker {
    VirtHptTable *table; /* the caller's */
    guint64 slots;
    guint readers;
    guint64 *changed; /* bit n of the array is slot n's */
};

struct _VirtHptTrackerReader {
    VirtHptTracker *tracker;
    VirtHptEncoding encoding;
    gboolean boltedOnly;
    guint8 privateBits; /* of V's lowest byte */
    gboolean firstPass;
    guint64 slot; /* where the next read begins */
};

static VirtHptEncoding
encodingOf(guint flags)
{
    return flags & VIRT_HPT_TRACKER_BIG_ENDIAN ? VIRT_HPT_ENCODING_KVM_BE : VIRT_HPT_ENCODING_KVM;
}

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
    tracker->changed = g_new0(guint64, (gsize)(tracker->slots / WORD_SLOTS));
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

static gboolean
isChanged(const VirtHptTracker *tracker, guint64 slot)
{
    return ((tracker->changed[slot / WORD_SLOTS] >> (slot % WORD_SLOTS)) & 1) != 0;
}

static void
markChanged(VirtHptTracker *tracker, guint64 slot)
{
    tracker->changed[slot / WORD_SLOTS] |= G_GUINT64_CONSTANT(1) << (slot % WORD_SLOTS);
}

static void
clearChanged(VirtHptTracker *tracker, guint64 slot, guint64 end)
{
    while (slot < end) {
        if (slot % WORD_SLOTS == 0 && end - slot >= WORD_SLOTS) {
            tracker->changed[slot / WORD_SLOTS] = 0;
            slot += WORD_SLOTS;
        } else {
            tracker->changed[slot / WORD_SLOTS] &= ~(G_GUINT64_CONSTANT(1) << (slot % WORD_SLOTS));
            slot++;
        }
    }
}

/* Returns the first changed slot from @slot on, or the number of slots */
static guint64
nextChanged(const VirtHptTracker *tracker, guint64 slot)
{
    while (slot < tracker->slots) {
        guint64 word = tracker->changed[slot / WORD_SLOTS] >> (slot % WORD_SLOTS);

        if (word)
            return slot + (guint)__builtin_ctzll(word);
        slot = (slot / WORD_SLOTS + 1) * WORD_SLOTS;
    }
    return tracker->slots;
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

    for (guint64 i = 0; i < tracker->slots / WORD_SLOTS; i++)
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
    header = virtHptRecordHeaderLoad(data, encodingOf(flags));
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

/**
 * virtHptTrackerOpen:
 * @tracker: a tracker; it must outlive the reader
 * @flags: VirtHptTrackerFlags
 * @startIndex: where the first pass begins; entries before it are read only once they change.
 * Behind the end there is no first pass: changes only
 * @error: set on failure
 *
 * Opens what the ioctl KVM_PPC_GET_HTAB_FD opens (Linux Documentation/virt/kvm/api.rst 4.78).
 *
 * Readers share the marks, as in the kernel: what one has read as changed is no longer so for
 * another.  Changes without a reader are lost, but for those of R and C.  Marks that were not
 * read stay when a reader is freed.
 *
 * Errors: %VIRT_HPT_ERROR_UNSUPPORTED for unknown flags, and for a table with more slots than an
 * index of 32 bits reaches (order above 36).
 *
 * Returns: (transfer full): a reader, or %NULL
 */
VirtHptTrackerReader *
virtHptTrackerOpen(VirtHptTracker *tracker, guint flags, guint64 startIndex, GError **error)
{
    VirtHptTrackerReader *reader;

    if (flags & ~(guint)READER_FLAGS) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED,
                    _("flags 0x%1$x, expected none but 0x%2$x"), flags, (guint)READER_FLAGS);
        return NULL;
    }
    if (virtHptTableGetOrder(tracker->table) > ORDER_MAX) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED,
                    _("HPT of order %1$u has slots that no record reaches, expected at most %2$d"),
                    virtHptTableGetOrder(tracker->table), ORDER_MAX);
        return NULL;
    }
    reader = g_new0(VirtHptTrackerReader, 1);
    reader->tracker = tracker;
    reader->encoding = encodingOf(flags);
    reader->boltedOnly = (flags & VIRT_HPT_TRACKER_BOLTED_ONLY) != 0;
    reader->privateBits = flags & VIRT_HPT_TRACKER_PRIVATE_BITS ? VIRT_HPT_V_HVLOCK : 0;
    reader->firstPass = TRUE;
    reader->slot = MIN(startIndex, tracker->slots);
    tracker->readers++;
    return reader;
}

/**
 * virtHptTrackerReaderFree:
 * @reader: (nullable): a reader
 */
void
virtHptTrackerReaderFree(VirtHptTrackerReader *reader)
{
    if (!reader)
        return;
    reader->tracker->readers--;
    g_free(reader);
}

/**
 * virtHptTrackerReaderIsFirstPass:
 * @reader: a reader
 *
 * The kernel does not tell; its readers see an index that is no higher than the one before.
 *
 * Returns: whether the next read continues the first pass
 */
gboolean
virtHptTrackerReaderIsFirstPass(const VirtHptTrackerReader *reader)
{
    return reader->firstPass;
}

static gboolean
countsAsValid(const VirtHptTrackerReader *reader, guint64 slot)
{
    guint8 v = virtHptTablePeekWire(reader->tracker->table, slot)[WIRE_V_LOW];

    return (v & VIRT_HPT_V_VALID) && (!reader->boltedOnly || (v & VIRT_HPT_V_BOLTED));
}

static gboolean
isInteresting(const VirtHptTrackerReader *reader, guint64 slot)
{
    return reader->firstPass || isChanged(reader->tracker, slot);
}

/* Puts the run of valid entries that begins here, at most @max, to @to; returns how many */
static guint16
takeValid(VirtHptTrackerReader *reader, guint8 *to, gsize max)
{
    VirtHptTracker *tracker = reader->tracker;
    guint64 first = reader->slot;
    guint64 limit = first + MIN(MIN(max, VIRT_HPT_RECORD_MAX), tracker->slots - first);
    guint64 slot = first;
    gsize n;

    while (slot < limit && isInteresting(reader, slot) && countsAsValid(reader, slot))
        slot++;
    n = (gsize)(slot - first);
    if (n == 0)
        return 0;

    memcpy(to, virtHptTablePeekWire(tracker->table, first), n * VIRT_HPT_ENTRY_SIZE);
    for (gsize i = 0; i < n; i++, to += VIRT_HPT_ENTRY_SIZE) {
        to[WIRE_V_LOW] |= reader->privateBits;
        to[WIRE_R_HIGH] &= (guint8)~WIRE_R_HIGH_TS;
    }
    clearChanged(tracker, first, slot);
    reader->slot = slot;
    return (guint16)n;
}

/* Passes over the run of invalid slots that begins here; returns how many */
static guint16
takeInvalid(VirtHptTrackerReader *reader)
{
    VirtHptTracker *tracker = reader->tracker;
    guint64 first = reader->slot;
    guint64 limit = first + MIN(VIRT_HPT_RECORD_MAX, tracker->slots - first);
    guint64 slot = first;

    while (slot < limit) {
        /* Most of a table is empty: not slot by slot */
        if (reader->firstPass)
            slot = virtHptTableNextValidBelow(tracker->table, slot, limit);
        if (slot == limit || !isInteresting(reader, slot) || countsAsValid(reader, slot))
            break;
        slot++;
    }
    clearChanged(tracker, first, slot);
    reader->slot = slot;
    return (guint16)(slot - first);
}

/**
 * virtHptTrackerReaderRead:
 * @reader: a reader
 * @buffer: receives whole records, at any alignment
 * @count: its bytes: at least 25, or 8 + 16 k + 1 to get k entries in one record
 *
 * Does what read(2) on the kernel's file descriptor does.  The first pass gives every slot, valid
 * or not; later ones what changed since it was read.  A read stops at the end of the table also if
 * there is room; the next one begins the next pass at slot 0.
 *
 * Returns: how many bytes were written.  0 is no end of file: nothing changed from here to the end
 * of the table, or @count is 24 or less
 */
gsize
virtHptTrackerReaderRead(VirtHptTrackerReader *reader, void *buffer, gsize count)
{
    guint8 *data = buffer;
    gsize used = 0;

    while (count - used > VIRT_HPT_RECORD_HEADER_SIZE + VIRT_HPT_ENTRY_SIZE) {
        guint8 *entries = data + used + VIRT_HPT_RECORD_HEADER_SIZE;
        gsize room = count - used - VIRT_HPT_RECORD_HEADER_SIZE - 1;
        VirtHptRecordHeader header;

        if (!reader->firstPass)
            reader->slot = nextChanged(reader->tracker, reader->slot);
        header.index = (guint32)reader->slot;
        header.valid = takeValid(reader, entries, room / VIRT_HPT_ENTRY_SIZE);
        header.invalid = takeInvalid(reader);
        if (header.valid || header.invalid) {
            virtHptRecordHeaderStore(header, reader->encoding, data + used);
            used += VIRT_HPT_RECORD_HEADER_SIZE + (gsize)header.valid * VIRT_HPT_ENTRY_SIZE;
        }
        if (reader->slot >= reader->tracker->slots) {
            reader->slot = 0;
            reader->firstPass = FALSE;
            break;
        }
    }
    return used;
}
