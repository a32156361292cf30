/*
 * htab_fd_tracker.c: a table in userspace as the keeper of a guest's HPT
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "libvirt-hpt/htab_tracker.h"
#include "htab_fd.h"

typedef struct {
    VirtHptTable *table;
    VirtHptTracker *tracker;
} Guest;

static gpointer
guestNew(guint order)
{
    Guest *guest = g_new(Guest, 1);

    guest->table = virtHptTableNew(order, TEST_MAX_BYTES, NULL);
    g_assert_nonnull(guest->table);
    guest->tracker = virtHptTrackerNew(guest->table);
    return guest;
}

static void
guestFree(gpointer data)
{
    Guest *guest = data;

    virtHptTrackerFree(guest->tracker);
    virtHptTableFree(guest->table);
    g_free(guest);
}

static gssize
writeRecord(gpointer data, const void *record, gsize length)
{
    const Guest *guest = data;

    return virtHptTrackerWrite(guest->tracker, 0, record, length, NULL);
}

static gpointer
openReader(gpointer data, guint flags, guint64 startIndex)
{
    const Guest *guest = data;
    guint ours = VIRT_HPT_TRACKER_PRIVATE_BITS;
    VirtHptTrackerReader *reader;

    if (flags & HTAB_FD_BOLTED_ONLY)
        ours |= VIRT_HPT_TRACKER_BOLTED_ONLY;
    reader = virtHptTrackerOpen(guest->tracker, ours, startIndex, NULL);
    g_assert_nonnull(reader);
    return reader;
}

static gssize
readRecords(gpointer reader, void *buffer, gsize count)
{
    return (gssize)virtHptTrackerReaderRead(reader, buffer, count);
}

static void
closeReader(gpointer reader)
{
    virtHptTrackerReaderFree(reader);
}

const HtabFd htabFdTracker = {
    .name = "tracker",
    .keptV = G_MAXUINT64,
    .guestNew = guestNew,
    .guestFree = guestFree,
    .write = writeRecord,
    .open = openReader,
    .read = readRecords,
    .close = closeReader,
};
