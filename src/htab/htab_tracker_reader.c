/*
 * htab_tracker_reader.c: the passes in which a tracked table is read, as the kernel's is
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a reader gets, byte for byte but for private bits, is what Linux 6.1
 * arch/powerpc/kvm/book3s_64_mmu_hv.c kvm_htab_read() gives for the same entries and changes.
 */

#include "config.h"

#include <string.h>

#include <glib/gi18n-lib.h>

#include "htab/htab_streampriv.h"
#include "htab/htab_trackerpriv.h"
#include "libvirt-hpt/htab_error.h"

/* On the wire: the byte with all bits of V that matter here, and the one with R's TS bit */
#define WIRE_V_LOW 7
#define WIRE_R_HIGH 8
#define WIRE_R_HIGH_TS 0x40

/* An index has 32 bits: a table of this order has that many slots */
#define ORDER_MAX 36

#define READER_FLAGS                                                                               \
    (VIRT_HPT_TRACKER_BOLTED_ONLY | VIRT_HPT_TRACKER_BIG_ENDIAN | VIRT_HPT_TRACKER_PRIVATE_BITS)

struct _VirtHptTrackerReader {
    VirtHptTracker *tracker;
    VirtHptEncoding encoding;
    gboolean boltedOnly;
    guint8 privateBits; /* of V's lowest byte */
    gboolean firstPass;
    guint64 slot; /* where the next read begins */
};

static gboolean
isChanged(const VirtHptTracker *tracker, guint64 slot)
{
    return ((tracker->changed[slot / VIRT_HPT_TRACKER_WORD_SLOTS] >>
             (slot % VIRT_HPT_TRACKER_WORD_SLOTS)) &
            1) != 0;
}

static void
clearChanged(VirtHptTracker *tracker, guint64 slot, guint64 end)
{
    while (slot < end) {
        if (slot % VIRT_HPT_TRACKER_WORD_SLOTS == 0 && end - slot >= VIRT_HPT_TRACKER_WORD_SLOTS) {
            tracker->changed[slot / VIRT_HPT_TRACKER_WORD_SLOTS] = 0;
            slot += VIRT_HPT_TRACKER_WORD_SLOTS;
        } else {
            tracker->changed[slot / VIRT_HPT_TRACKER_WORD_SLOTS] &=
                ~(G_GUINT64_CONSTANT(1) << (slot % VIRT_HPT_TRACKER_WORD_SLOTS));
            slot++;
        }
    }
}

/* Returns the first changed slot from @slot on, or the number of slots */
static guint64
nextChanged(const VirtHptTracker *tracker, guint64 slot)
{
    while (slot < tracker->slots) {
        guint64 word = tracker->changed[slot / VIRT_HPT_TRACKER_WORD_SLOTS] >>
                       (slot % VIRT_HPT_TRACKER_WORD_SLOTS);

        if (word)
            return slot + (guint)__builtin_ctzll(word);
        slot = (slot / VIRT_HPT_TRACKER_WORD_SLOTS + 1) * VIRT_HPT_TRACKER_WORD_SLOTS;
    }
    return tracker->slots;
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
    reader->encoding = virtHptTrackerEncoding(flags);
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
