/*
 * htab_fd_write.c: what a write to a guest's HPT does, whoever keeps the table
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Each case is named after what it proves.  The kernel's answers are the expected ones; they were
 * seen on real kernels, and the cases run there, too (tests/e2e/powerhost).  Random cases print
 * their seed through GLib; --seed=R02S... repeats a run.
 */

#include <errno.h>
#include <string.h>

#include "htab_fd.h"

#define ORDER HTAB_FD_ORDER
#define SLOTS HTAB_FD_SLOTS

/* A table of this order has a million slots */
#define MILLION_ORDER 24

static void
assertHolds(const HtabFdFixture *f, const VirtHptTable *expected)
{
    g_autoptr(VirtHptTable) table = htabFdReadTable(f->fd, f->guest, ORDER);

    g_assert_true(virtHptTableEqual(table, expected));
}

static void
testRecordIsApplied(HtabFdFixture *f, G_GNUC_UNUSED gconstpointer data)
{
    const VirtHptEntry entries[] = {htabFdPlain, htabFdBolted, htabFdLarge};
    g_autoptr(VirtHptTable) expected = htabFdTableNew(ORDER);

    for (guint32 slot = 98; slot < 108; slot++)
        htabFdPut(f->fd, f->guest, slot, &htabFdPlain);
    g_assert_cmpint(htabFdWrite(f->fd, f->guest, 100, entries, 3, 4), ==, 8 + 3 * 16);
    for (guint64 slot = 98; slot < 108; slot++)
        virtHptTableSet(expected, slot, &htabFdPlain);
    for (guint i = 0; i < 3; i++)
        virtHptTableSet(expected, 100 + i, &entries[i]);
    virtHptTableClear(expected, 103, 4);
    assertHolds(f, expected);
}

static void
testRangeIsChecked(HtabFdFixture *f, G_GNUC_UNUSED gconstpointer data)
{
    static const struct {
        guint32 index;
        guint valid;
        guint invalid;
        gssize result;
    } cases[] = {
        {0, 0, 0, 8},
        {SLOTS - 1, 0, 0, 8},
        {SLOTS - 1, 0, 1, 8},
        {SLOTS - 1, 1, 0, 24},
        {SLOTS, 0, 0, -EINVAL},
        {G_MAXUINT32, 0, 0, -EINVAL},
        {SLOTS - 1, 1, 1, -EINVAL},
        {SLOTS - 1, 0, 2, -EINVAL},
        {0, 0, SLOTS + 1, -EINVAL},
        {SLOTS - 1, 0, 65535, -EINVAL},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        gssize n = htabFdWrite(f->fd, f->guest, cases[i].index, &htabFdPlain, cases[i].valid,
                               cases[i].invalid);

        if (n != cases[i].result)
            g_test_message("case %u", i);
        g_assert_cmpint(n, ==, cases[i].result);
    }
}

static void
testEntryWithoutValidBitIsRefused(HtabFdFixture *f, G_GNUC_UNUSED gconstpointer data)
{
    const VirtHptEntry none = {htabFdPlain.v & ~VIRT_HPT_V_VALID, htabFdPlain.r};
    const VirtHptEntry absent = {none.v | VIRT_HPT_V_ABSENT, none.r};
    g_autoptr(VirtHptTable) expected = htabFdTableNew(ORDER);

    htabFdPut(f->fd, f->guest, 9, &htabFdBolted);
    g_assert_cmpint(htabFdWrite(f->fd, f->guest, 9, &none, 1, 0), ==, -EINVAL);
    g_assert_cmpint(htabFdWrite(f->fd, f->guest, 9, &absent, 1, 0), ==, -EINVAL);
    virtHptTableSet(expected, 9, &htabFdBolted);
    assertHolds(f, expected);
}

/* All page-size encodings: what the library takes for none is refused, and nothing else */
static void
testPageSizesAreThoseOfTheLibrary(HtabFdFixture *f, G_GNUC_UNUSED gconstpointer data)
{
    guint taken = 0;

    for (guint i = 0; i < 512; i++) {
        const VirtHptEntry entry = {
            0x4001000000000001 | (i & 256 ? VIRT_HPT_V_LARGE : 0),
            0x400000190 | (guint64)(i & 255) << 12,
        };
        VirtHptPageSize size;
        gboolean known = virtHptEntryGetPageSize(&entry, &size);
        gssize n = htabFdWrite(f->fd, f->guest, i, &entry, 1, 0);

        if (n != (known ? 24 : -EINVAL))
            g_test_message("V 0x%" G_GINT64_MODIFIER "x R 0x%" G_GINT64_MODIFIER "x", entry.v,
                           entry.r);
        g_assert_cmpint(n, ==, known ? 24 : -EINVAL);
        taken += known;
    }
    g_assert_cmpuint(taken, ==, 256 + 16 + 16 + 4);
}

static void
testReservedSegmentSizeEmptiesSlot(HtabFdFixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VirtHptTable) expected = htabFdTableNew(ORDER);

    for (guint b = 2; b < 4; b++) {
        const VirtHptEntry bad = {(htabFdPlain.v & ~(3ULL << 62)) | (guint64)b << 62,
                                  htabFdPlain.r};

        htabFdPut(f->fd, f->guest, 9, &htabFdBolted);
        g_assert_cmpint(htabFdWrite(f->fd, f->guest, 9, &bad, 1, 0), ==, -EIO);
        assertHolds(f, expected);
    }
}

static void
testGoodEntriesBeforeBadOneStay(HtabFdFixture *f, G_GNUC_UNUSED gconstpointer data)
{
    const VirtHptEntry none = {htabFdPlain.v & ~VIRT_HPT_V_VALID, htabFdPlain.r};
    const VirtHptEntry entries[] = {htabFdPlain, htabFdBolted, none, htabFdPlain};
    g_autoptr(VirtHptTable) expected = htabFdTableNew(ORDER);

    htabFdPut(f->fd, f->guest, 14, &htabFdLarge);
    g_assert_cmpint(htabFdWrite(f->fd, f->guest, 10, entries, 4, 1), ==, -EINVAL);
    virtHptTableSet(expected, 10, &htabFdPlain);
    virtHptTableSet(expected, 11, &htabFdBolted);
    virtHptTableSet(expected, 14, &htabFdLarge);
    assertHolds(f, expected);
}

/* Writes @table whole, in records of random length */
static void
writeTable(const HtabFd *fd, gpointer guest, const VirtHptTable *table)
{
    guint64 slots = virtHptTableGetSlots(table);
    g_autofree VirtHptEntry *entries = g_new(VirtHptEntry, 5000);
    guint64 slot = 0;

    while (slot < slots) {
        guint max = (guint)g_test_rand_int_range(1, g_test_rand_int_range(0, 8) ? 5000 : 8);
        guint64 end = virtHptTableNextInvalid(table, slot, MIN(slot + max, slots));
        guint64 empty = virtHptTableNextValidBelow(table, end, MIN(end + 65535, slots)) - end;
        guint n = (guint)(end - slot);

        for (guint i = 0; i < n; i++)
            entries[i] = virtHptTableGet(table, slot + i);
        g_assert_cmpint(htabFdWrite(fd, guest, (guint32)slot, entries, n, (guint)empty), ==,
                        8 + 16 * n);
        slot = end + empty;
    }
}

static void
testMillionEntriesReadBackEqual(gconstpointer data)
{
    const HtabFd *fd = data;
    gpointer guest = fd->guestNew(MILLION_ORDER);
    g_autoptr(VirtHptTable) table = htabFdTableNew(MILLION_ORDER);
    g_autoptr(VirtHptTable) back = NULL;
    guint64 slots = virtHptTableGetSlots(table);
    VirtHptTableStats stats;

    g_assert_cmpuint(slots, >=, 1000000);
    for (guint64 slot = 0; slot < slots; slot++) {
        const VirtHptEntry entry = htabFdRandomEntry(fd->keptV);

        virtHptTableSet(table, slot, &entry);
    }
    writeTable(fd, guest, table);
    back = htabFdReadTable(fd, guest, MILLION_ORDER);
    g_assert_true(virtHptTableEqual(table, back));
    virtHptTableGetStats(back, &stats);
    g_assert_cmpuint(stats.valid, ==, slots);
    g_test_message("%" G_GUINT64_FORMAT " entries: %" G_GUINT64_FORMAT " bolted, %" G_GUINT64_FORMAT
                   " secondary",
                   stats.valid, stats.bolted, stats.secondary);
    fd->guestFree(guest);
}

/* As a reader gave it: also with the private bits that it gives */
static void
testBoltedStreamMakesTableOfBoltedEntries(HtabFdFixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VirtHptTable) expected = htabFdTableNew(ORDER);
    gpointer reader = f->fd->open(f->guest, HTAB_FD_BOLTED_ONLY, 0);
    gpointer fresh = f->fd->guestNew(ORDER);
    gpointer used = f->fd->guestNew(ORDER);
    g_autoptr(GByteArray) bytes = NULL;
    const guint8 *stream;
    gsize left;
    HtabFdRecord record;

    for (guint i = 0; i < 1000; i++) {
        const VirtHptEntry entry = htabFdRandomEntry(f->fd->keptV);
        guint32 slot = (guint32)g_test_rand_int_range(0, SLOTS);

        htabFdPut(f->fd, f->guest, slot, &entry);
        if (entry.v & VIRT_HPT_V_BOLTED)
            virtHptTableSet(expected, slot, &entry);
        else
            virtHptTableClear(expected, slot, 1);
        htabFdPut(f->fd, used, (guint32)g_test_rand_int_range(0, SLOTS), &htabFdPlain);
    }
    bytes = htabFdRead(f->fd, reader, 1 << 20);
    for (stream = bytes->data, left = bytes->len; htabFdNextRecord(&stream, &left, &record);) {
        gssize length = 8 + 16 * (gssize)record.valid;

        g_assert_cmpint(f->fd->write(fresh, record.hptes - 8, (gsize)length), ==, length);
        g_assert_cmpint(f->fd->write(used, record.hptes - 8, (gsize)length), ==, length);
    }
    for (guint i = 0; i < 2; i++) {
        g_autoptr(VirtHptTable) held = htabFdReadTable(f->fd, i ? used : fresh, ORDER);

        g_assert_true(virtHptTableEqual(held, expected));
    }
    f->fd->close(reader);
    f->fd->guestFree(fresh);
    f->fd->guestFree(used);
}

static void
testBitsOutsideTheKeptOnesAreDropped(HtabFdFixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VirtHptTable) expected = htabFdTableNew(ORDER);

    for (guint32 slot = 0; slot < 64; slot++) {
        VirtHptEntry entry = htabFdRandomEntry(G_MAXUINT64);

        htabFdPut(f->fd, f->guest, slot, &entry);
        entry.v &= f->fd->keptV;
        virtHptTableSet(expected, slot, &entry);
    }
    assertHolds(f, expected);
}

/* Random writes while somebody reads in buffers of random sizes: in the end both agree */
static void
testReaderFollowsRandomChanges(HtabFdFixture *f, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VirtHptTable) written = htabFdTableNew(ORDER);
    g_autoptr(VirtHptTable) followed = htabFdTableNew(ORDER);
    gpointer reader = f->fd->open(f->guest, 0, 0);
    g_autoptr(GByteArray) last = NULL;

    for (guint round = 0; round < 400; round++) {
        gsize count = (gsize)g_test_rand_int_range(0, g_test_rand_int_range(0, 2) ? 200 : 70000);
        g_autoptr(GByteArray) bytes = htabFdRead(f->fd, reader, count);
        guint32 slot = (guint32)g_test_rand_int_range(0, SLOTS - 100);
        guint n = (guint)g_test_rand_int_range(0, 50);
        guint invalid = (guint)g_test_rand_int_range(0, 50);
        VirtHptEntry entries[50];

        htabFdApply(followed, bytes->data, bytes->len);
        for (guint i = 0; i < n; i++) {
            entries[i] = htabFdRandomEntry(f->fd->keptV);
            virtHptTableSet(written, slot + i, &entries[i]);
        }
        virtHptTableClear(written, slot + n, invalid);
        g_assert_cmpint(htabFdWrite(f->fd, f->guest, slot, entries, n, invalid), ==, 8 + 16 * n);
    }
    /* The first gives the rest of a pass */
    for (guint i = 0; i < 3; i++) {
        g_clear_pointer(&last, g_byte_array_unref);
        last = htabFdRead(f->fd, reader, 1 << 20);
        htabFdApply(followed, last->data, last->len);
    }
    g_assert_cmpuint(last->len, ==, 0);
    g_assert_true(virtHptTableEqual(written, followed));
    f->fd->close(reader);
}

void
htabFdAddWriteTests(const HtabFd *fd)
{
    g_autofree char *million =
        g_strdup_printf("/htab-fd/%s/write/a million random entries read back equal", fd->name);

    htabFdAdd(fd, "write/valid entries are put, invalid slots emptied", testRecordIsApplied);
    htabFdAdd(fd, "write/the range of slots is checked", testRangeIsChecked);
    htabFdAdd(fd, "write/an entry that is not valid is refused", testEntryWithoutValidBitIsRefused);
    htabFdAdd(fd, "write/the page sizes are those of the library",
              testPageSizesAreThoseOfTheLibrary);
    htabFdAdd(fd, "write/a reserved segment size empties the slot",
              testReservedSegmentSizeEmptiesSlot);
    htabFdAdd(fd, "write/entries before a bad one stay", testGoodEntriesBeforeBadOneStay);
    htabFdAdd(fd, "write/a bolted stream makes a table of the bolted entries",
              testBoltedStreamMakesTableOfBoltedEntries);
    htabFdAdd(fd, "write/bits of V that the processor lacks are dropped",
              testBitsOutsideTheKeptOnesAreDropped);
    htabFdAdd(fd, "write/a reader follows random changes", testReaderFollowsRandomChanges);
    g_test_add_data_func(million, fd, testMillionEntriesReadBackEqual);
}
