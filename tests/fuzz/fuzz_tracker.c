/*
 * fuzz_tracker.c: any writes, changes and reads of a tracked table
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The input is a program: commands of one byte, with their operands behind them.  What a reader
 * gets is made of whole records that the write side takes, and once everything was read the table
 * that they make is the same.
 */

#include "config.h"

#include <errno.h>
#include <string.h>

#include "libvirt-hpt/htab_error.h"
#include "libvirt-hpt/htab_stream.h"
#include "libvirt-hpt/htab_tracker.h"

#define ORDER 18
#define SLOTS ((guint64)1 << (ORDER - 4))
#define TABLE_MAX ((guint64)1 << ORDER)
#define READ_MAX 65536

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

typedef struct {
    const guint8 *data;
    gsize length;
} Input;

typedef struct {
    VirtHptTracker *source;
    VirtHptTrackerReader *reader;
    VirtHptTracker *target;
    guint headers; /* VIRT_HPT_TRACKER_BIG_ENDIAN or 0 */
} World;

/* Big-endian; bytes beyond the end are 0 */
static guint64
take(Input *input, guint bytes)
{
    guint64 value = 0;

    for (; bytes > 0; bytes--) {
        value = value << 8 | (input->length ? *input->data : 0);
        if (input->length) {
            input->data++;
            input->length--;
        }
    }
    return value;
}

static void
writeRecord(World *world, Input *input)
{
    g_autoptr(GError) error = NULL;
    g_autofree guint8 *copy = NULL;
    gsize length = (gsize)take(input, 1) * 8;
    gssize n;

    /* A copy of its own, so that a sanitizer sees a read beyond the record */
    length = MIN(length, input->length);
    copy = g_malloc(MAX(length, 1));
    if (length)
        memcpy(copy, input->data, length);
    n = virtHptTrackerWrite(world->source, world->headers, copy, length, &error);
    input->data += length;
    input->length -= length;
    if (n < 0) {
        g_assert_true(n == -EINVAL || n == -EIO);
        g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED);
    } else {
        g_assert_no_error(error);
        g_assert_cmpuint((gsize)n, ==, length);
    }
}

/* Record by record, as to the kernel */
static void
replay(World *world, const guint8 *data, gsize length)
{
    while (length > 0) {
        g_autoptr(GError) error = NULL;
        gsize record;

        g_assert_cmpuint(length, >=, VIRT_HPT_RECORD_HEADER_SIZE);
        record = world->headers || G_BYTE_ORDER == G_BIG_ENDIAN ? (gsize)(data[4] << 8 | data[5])
                                                                : (gsize)(data[5] << 8 | data[4]);
        record = VIRT_HPT_RECORD_HEADER_SIZE + record * VIRT_HPT_ENTRY_SIZE;
        g_assert_cmpuint(length, >=, record);
        virtHptTrackerWrite(world->target, world->headers, data, record, &error);
        g_assert_no_error(error);
        data += record;
        length -= record;
    }
}

static gsize
readSome(World *world, gsize count)
{
    g_autofree guint8 *buffer = g_malloc(MAX(count, 1));
    gsize n = virtHptTrackerReaderRead(world->reader, buffer, count);

    g_assert_cmpuint(n, <=, count);
    replay(world, buffer, n);
    return n;
}

/* Entries that a write may bring as well: the write side is to take them again */
static VirtHptEntry
takeEntry(Input *input)
{
    VirtHptEntry entry;

    entry.v = take(input, 8);
    entry.r = take(input, 8);
    entry.v &= (G_GUINT64_CONSTANT(1) << 63) - 1; /* no reserved segment size */
    entry.v &= ~(guint64)VIRT_HPT_V_LARGE;        /* 4K, whatever R is */
    return entry;
}

static void
runCommand(World *world, Input *input)
{
    guint command = (guint)take(input, 1);
    guint64 slot;
    VirtHptEntry entry;

    switch (command % 5) {
    case 0:
        writeRecord(world, input);
        break;
    case 1:
        readSome(world, (gsize)take(input, 2));
        break;
    case 2:
        slot = take(input, 2) % SLOTS;
        entry = takeEntry(input);
        virtHptTrackerSet(world->source, slot, &entry);
        break;
    case 3:
        virtHptTrackerInvalidate(world->source, take(input, 2) % SLOTS);
        break;
    default:
        slot = take(input, 2) % SLOTS;
        virtHptTrackerTouch(world->source, slot, take(input, 2));
    }
}

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    g_autoptr(VirtHptTable) table = virtHptTableNew(ORDER, TABLE_MAX, NULL);
    g_autoptr(VirtHptTable) replica = virtHptTableNew(ORDER, TABLE_MAX, NULL);
    g_autoptr(VirtHptTracker) source = virtHptTrackerNew(table);
    g_autoptr(VirtHptTracker) target = virtHptTrackerNew(replica);
    g_autoptr(VirtHptTrackerReader) reader = NULL;
    Input input = {data, size};
    guint flags =
        (guint)take(&input, 2) & (VIRT_HPT_TRACKER_BIG_ENDIAN | VIRT_HPT_TRACKER_PRIVATE_BITS);
    World world = {
        .source = source,
        .target = target,
        .headers = flags & VIRT_HPT_TRACKER_BIG_ENDIAN,
    };

    reader = virtHptTrackerOpen(source, flags, 0, NULL);
    world.reader = reader;
    while (input.length > 0)
        runCommand(&world, &input);

    /* From where it stands to the end, then all of it */
    while (readSome(&world, READ_MAX) > 0 || virtHptTrackerGetChanges(source) > 0 ||
           virtHptTrackerReaderIsFirstPass(reader))
        ;
    g_assert_true(virtHptTableEqual(table, replica));
    return 0;
}
