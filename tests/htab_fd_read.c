/*
 * htab_fd_read.c: what a reader of a guest's HPT gets, whoever keeps the table
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Each case is named after what it proves.  The kernel's answers are the expected ones; they were
 * seen on real kernels, and the cases run there, too (tests/e2e/powerhost).
 */

#include <string.h>

#include "htab_fd.h"

#define ORDER HTAB_FD_ORDER
#define SLOTS HTAB_FD_SLOTS
#define ROOM ((gsize)1 << 20)

static void
put(const HtabFdFixture *f, guint32 slot, const VirtHptEntry *entry)
{
    htabFdPut(f->fd, f->guest, slot, entry);
}

#define assertSays(f, reader, count, expected)                                                     \
    G_STMT_START                                                                                   \
    {                                                                                              \
        g_autoptr(GByteArray) bytes_ = htabFdRead((f)->fd, reader, count);                         \
        g_autofree char *said_ = htabFdSay(bytes_->data, bytes_->len);                             \
        g_assert_cmpstr(said_, ==, expected);                                                      \
    }                                                                                              \
    G_STMT_END

static void
testFirstPassGivesEverySlot(HtabFdFixture *f, G_GNUC_UNUSED gconstpointer data)
{
    gpointer reader;

    put(f, 0, &htabFdPlain);
    put(f, 1, &htabFdBolted);
    put(f, 100, &htabFdLarge);
    put(f, SLOTS - 1, &htabFdPlain);
    reader = f->fd->open(f->guest, 0, 0);
    assertSays(f, reader, ROOM, "0:2+98 100:1+16282 16383:1+0");
    assertSays(f, reader, ROOM, "");
    f->fd->close(reader);
}

static void
testSmallBuffersGiveNothing(HtabFdFixture *f, G_GNUC_UNUSED gconstpointer data)
{
    gpointer reader;

    put(f, 0, &htabFdPlain);
    put(f, 1, &htabFdPlain);
    reader = f->fd->open(f->guest, 0, 0);
    for (gsize count = 0; count <= 24; count++)
        assertSays(f, reader, count, "");
    assertSays(f, reader, 25, "0:1+0");
    assertSays(f, reader, 24, "");
    assertSays(f, reader, 25, "1:1+16382");
    f->fd->close(reader);
}

static void
testEntriesThatFitBuffer(HtabFdFixture *f, G_GNUC_UNUSED gconstpointer data)
{
    for (guint32 slot = 0; slot < 50; slot++)
        put(f, slot, &htabFdPlain);
    for (guint k = 1; k <= 40; k++) {
        gpointer reader = f->fd->open(f->guest, 0, 0);
        gpointer less = f->fd->open(f->guest, 0, 0);
        g_autofree char *all = g_strdup_printf("0:%u+0", k);
        g_autofree char *fewer = k == 1 ? g_strdup("") : g_strdup_printf("0:%u+0", k - 1);

        assertSays(f, reader, 8 + 16 * k + 1, all);
        assertSays(f, less, 8 + 16 * k, fewer);
        f->fd->close(reader);
        f->fd->close(less);
    }
}

static void
testRecordsHaveSixteenBitCounts(gconstpointer data)
{
    const HtabFd *fd = data;
    HtabFdFixture f = {fd, fd->guestNew(22)};
    g_autofree VirtHptEntry *entries = g_new(VirtHptEntry, 4000);
    gpointer reader = fd->open(f.guest, 0, 0);

    assertSays(&f, reader, ROOM,
               "0:0+65535 65535:0+65535 131070:0+65535 196605:0+65535 262140:0+4");
    for (guint i = 0; i < 4000; i++)
        entries[i] = htabFdPlain;
    for (guint32 slot = 8; slot < 72008; slot += 4000)
        g_assert_cmpint(htabFdWrite(fd, f.guest, slot, entries, 4000, 0), ==, 8 + 16 * 4000);
    assertSays(&f, reader, (gsize)2 * ROOM, "8:65535+0 65543:6465+0");
    for (guint32 slot = 8; slot < 72008; slot += 36000)
        htabFdClear(fd, f.guest, slot, 36000);
    assertSays(&f, reader, ROOM, "8:0+65535 65543:0+6465");
    fd->close(reader);
    fd->guestFree(f.guest);
}

static void
testReadStopsAtEndOfTable(HtabFdFixture *f, G_GNUC_UNUSED gconstpointer data)
{
    gpointer reader = f->fd->open(f->guest, 0, 0);

    assertSays(f, reader, ROOM, "0:0+16384");
    put(f, 5, &htabFdPlain);
    put(f, 6000, &htabFdPlain);
    assertSays(f, reader, 25, "5:1+0");
    /* In this pass slot 3 lies behind; the next one finds it */
    put(f, 3, &htabFdPlain);
    assertSays(f, reader, ROOM, "6000:1+0");
    assertSays(f, reader, ROOM, "3:1+0");
    f->fd->close(reader);
}

static void
testZeroIsNoEndOfFile(HtabFdFixture *f, G_GNUC_UNUSED gconstpointer data)
{
    gpointer reader = f->fd->open(f->guest, 0, 0);

    assertSays(f, reader, ROOM, "0:0+16384");
    assertSays(f, reader, ROOM, "");
    assertSays(f, reader, ROOM, "");
    put(f, 9, &htabFdPlain);
    assertSays(f, reader, ROOM, "9:1+0");
    assertSays(f, reader, ROOM, "");
    f->fd->close(reader);
}

static void
testStartIndexSkipsWhatIsBelow(HtabFdFixture *f, G_GNUC_UNUSED gconstpointer data)
{
    gpointer reader;

    put(f, 50, &htabFdPlain);
    put(f, 200, &htabFdPlain);
    reader = f->fd->open(f->guest, 0, 100);
    assertSays(f, reader, ROOM, "100:0+100 200:1+16183");
    assertSays(f, reader, ROOM, "");
    put(f, 50, &htabFdBolted);
    assertSays(f, reader, ROOM, "50:1+0");
    f->fd->close(reader);
}

static void
testStartBehindEndMeansChanges(HtabFdFixture *f, G_GNUC_UNUSED gconstpointer data)
{
    static const guint64 starts[] = {SLOTS, SLOTS + 1, G_MAXUINT32, G_MAXUINT64};

    put(f, 50, &htabFdPlain);
    for (guint i = 0; i < G_N_ELEMENTS(starts); i++) {
        gpointer reader = f->fd->open(f->guest, 0, starts[i]);

        assertSays(f, reader, ROOM, "");
        assertSays(f, reader, ROOM, "");
        put(f, 51, &htabFdPlain);
        assertSays(f, reader, ROOM, "51:1+0");
        f->fd->close(reader);
    }
}

static void
testLaterPassesGiveChanges(HtabFdFixture *f, G_GNUC_UNUSED gconstpointer data)
{
    gpointer reader;

    for (guint32 slot = 10; slot < 20; slot++)
        put(f, slot, &htabFdPlain);
    reader = f->fd->open(f->guest, 0, 0);
    assertSays(f, reader, ROOM, "0:0+10 10:10+16364");
    put(f, 12, &htabFdBolted);
    put(f, 13, &htabFdPlain); /* the same once more */
    htabFdClear(f->fd, f->guest, 14, 1);
    htabFdClear(f->fd, f->guest, 17, 1);
    htabFdClear(f->fd, f->guest, 40, 100); /* empty before */
    put(f, 3000, &htabFdPlain);
    assertSays(f, reader, ROOM, "12:2+1 17:0+1 3000:1+0");
    assertSays(f, reader, ROOM, "");
    f->fd->close(reader);
}

static void
testChangesAreTrackedWhileOneReads(HtabFdFixture *f, G_GNUC_UNUSED gconstpointer data)
{
    gpointer reader;

    put(f, 5, &htabFdPlain);
    reader = f->fd->open(f->guest, 0, SLOTS);
    assertSays(f, reader, ROOM, "");
    assertSays(f, reader, ROOM, "");
    put(f, 6, &htabFdPlain);
    f->fd->close(reader);

    /* What was marked and not read stays marked, what came later is lost */
    put(f, 7, &htabFdPlain);
    reader = f->fd->open(f->guest, 0, SLOTS);
    assertSays(f, reader, ROOM, "");
    assertSays(f, reader, ROOM, "6:1+0");
    f->fd->close(reader);
}

static void
testReadersShareMarks(HtabFdFixture *f, G_GNUC_UNUSED gconstpointer data)
{
    gpointer a = f->fd->open(f->guest, 0, 0);
    gpointer b = f->fd->open(f->guest, 0, 0);

    assertSays(f, a, ROOM, "0:0+16384");
    assertSays(f, b, ROOM, "0:0+16384");
    put(f, 5, &htabFdPlain);
    assertSays(f, b, ROOM, "5:1+0");
    assertSays(f, a, ROOM, "");
    f->fd->close(a);
    f->fd->close(b);
}

static void
testBoltedOnlyTellsOthersAsInvalid(HtabFdFixture *f, G_GNUC_UNUSED gconstpointer data)
{
    gpointer all = f->fd->open(f->guest, 0, 0);
    gpointer bolted;

    put(f, 10, &htabFdBolted);
    put(f, 11, &htabFdPlain);
    put(f, 13, &htabFdBolted);
    bolted = f->fd->open(f->guest, HTAB_FD_BOLTED_ONLY, 0);
    assertSays(f, bolted, ROOM, "0:0+10 10:1+2 13:1+16370");
    assertSays(f, all, ROOM, "0:0+10 10:2+1 13:1+16370");
    put(f, 11, &htabFdPlain);
    put(f, 12, &htabFdBolted);
    assertSays(f, bolted, ROOM, "11:0+1 12:1+0");
    /* They are no longer marked for anyone */
    assertSays(f, all, ROOM, "");
    f->fd->close(all);
    f->fd->close(bolted);
}

static void
testEntriesComeLocked(HtabFdFixture *f, G_GNUC_UNUSED gconstpointer data)
{
    VirtHptEntry entry = {htabFdPlain.v | VIRT_HPT_V_PRIVATE, htabFdPlain.r | VIRT_HPT_R_TS};
    g_autoptr(GByteArray) bytes = NULL;
    gpointer reader;
    guint64 wire[2];

    put(f, 0, &entry);
    reader = f->fd->open(f->guest, 0, 0);
    bytes = htabFdRead(f->fd, reader, 25);
    g_assert_cmpuint(bytes->len, ==, 24);
    memcpy(wire, bytes->data + 8, sizeof(wire));
    g_assert_cmphex(GUINT64_FROM_BE(wire[0]), ==, htabFdPlain.v | VIRT_HPT_V_HVLOCK);
    g_assert_cmphex(GUINT64_FROM_BE(wire[1]), ==, htabFdPlain.r);
    f->fd->close(reader);
}

void
htabFdAddReadTests(const HtabFd *fd)
{
    g_autofree char *counts = g_strdup_printf("/htab-fd/%s/read/counts have 16 bits", fd->name);

    htabFdAdd(fd, "read/the first pass gives every slot", testFirstPassGivesEverySlot);
    htabFdAdd(fd, "read/24 bytes make no progress, 25 do", testSmallBuffersGiveNothing);
    htabFdAdd(fd, "read/k entries need 8 + 16 k + 1 bytes", testEntriesThatFitBuffer);
    g_test_add_data_func(counts, fd, testRecordsHaveSixteenBitCounts);
    htabFdAdd(fd, "read/a read stops at the end of the table", testReadStopsAtEndOfTable);
    htabFdAdd(fd, "read/0 is not end of file", testZeroIsNoEndOfFile);
    htabFdAdd(fd, "read/what is below the start index comes once it changes",
              testStartIndexSkipsWhatIsBelow);
    htabFdAdd(fd, "read/a start behind the end means changes only", testStartBehindEndMeansChanges);
    htabFdAdd(fd, "read/later passes give changes", testLaterPassesGiveChanges);
    htabFdAdd(fd, "read/changes are tracked while somebody reads",
              testChangesAreTrackedWhileOneReads);
    htabFdAdd(fd, "read/readers share the marks of changes", testReadersShareMarks);
    htabFdAdd(fd, "read/bolted only tells the others as invalid",
              testBoltedOnlyTellsOthersAsInvalid);
    htabFdAdd(fd, "read/V comes with bit 0x40, R without bit 62", testEntriesComeLocked);
}
