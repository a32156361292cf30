/*
 * test_htab_delta.c: a delta turns one table into the other, and nothing else
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves what is in a delta, byte by byte; that it gives the second table back, bit for bit, from
 * the first; that it shows where it is applied to another one; and that passes of a table that
 * changes are deltas, too.  Requires nothing.
 */

#include "config.h"

#include "libvirt-hpt/htab_delta.h"
#include "libvirt-hpt/htab_diff.h"
#include "libvirt-hpt/htab_error.h"
#include "libvirt-hpt/htab_tracker.h"
#include "htab_testutils.h"

#define ORDER 18
#define SLOTS (1 << (ORDER - 4))

/* Has more slots than a record */
#define LARGE_ORDER 21

#define ROUNDS 60
#define PASSES 10

#define PROLOGUE "00000012 00000000 "
#define END "0000000000000000"

static VirtHptTable *
newTable(guint order)
{
    g_autoptr(GError) error = NULL;
    VirtHptTable *table = virtHptTableNew(order, TEST_MAX_BYTES, &error);

    g_assert_no_error(error);
    return table;
}

static VirtHptTable *
copyTable(const VirtHptTable *table)
{
    VirtHptTable *copy = newTable(virtHptTableGetOrder(table));

    virtHptTableSetWire(copy, 0, virtHptTablePeekWire(table, 0), virtHptTableGetSlots(table));
    return copy;
}

static void
fill(VirtHptTable *table, guint64 slot, guint64 n, guint64 r)
{
    const VirtHptEntry entry = {VIRT_HPT_V_VALID | 0x100, r};

    for (guint64 end = slot + n; slot < end; slot++)
        virtHptTableSet(table, slot, &entry);
}

static GByteArray *
makeDelta(const VirtHptTable *before, const VirtHptTable *after)
{
    GByteArray *delta = g_byte_array_new();
    g_autoptr(GError) error = NULL;

    virtHptTableEncodeDelta(before, after, testAppend, delta, &error);
    g_assert_no_error(error);
    return delta;
}

static gboolean
apply(VirtHptTable *table,
      const GByteArray *delta,
      gsize piece,
      VirtHptDeltaStats *stats,
      GError **error)
{
    g_autoptr(VirtHptDeltaReader) reader = virtHptDeltaReaderNew(table);

    for (gsize at = 0; at < delta->len; at += piece) {
        if (!virtHptDeltaReaderFeed(reader, delta->data + at, MIN(piece, delta->len - at), error))
            return FALSE;
    }
    return virtHptDeltaReaderFinish(reader, stats, error);
}

/* The delta from one to the other leads there, whatever pieces it comes in */
static void
checkWay(const VirtHptTable *before, const VirtHptTable *after, gsize piece)
{
    g_autoptr(GByteArray) delta = makeDelta(before, after);
    g_autoptr(VirtHptTable) table = copyTable(before);
    g_autoptr(VirtHptDiff) diff = virtHptTableDiff(before, after, 0, NULL);
    g_autoptr(GByteArray) wanted = g_byte_array_new();
    g_autoptr(GByteArray) found = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    VirtHptDeltaStats stats = {0};

    apply(table, delta, piece, &stats, &error);
    g_assert_no_error(error);
    virtHptTableEncodeCanonical(after, testAppend, wanted, NULL);
    virtHptTableEncodeCanonical(table, testAppend, found, NULL);
    g_assert_cmpmem(found->data, found->len, wanted->data, wanted->len);
    g_assert_cmpuint(stats.cleared, ==, diff->counts[VIRT_HPT_DIFF_REMOVED]);
    g_assert_cmpuint(stats.set + stats.cleared, ==, virtHptDiffGetTotal(diff));
    g_assert_cmpuint(stats.same + stats.absent, ==, 0);
}

typedef struct {
    const char *name;
    guint before[3][2]; /* slot, entries */
    guint after[3][2];
    guint other[2]; /* of those after: with other contents */
    const char *delta;
} ExactCase;

#define ENTRY "0000000000000101 0000000000001000 "
#define OTHER "0000000000000101 0000000000002000 "

static const ExactCase exactCases[] = {
    {"equal tables", {{5, 3}}, {{5, 3}}, {0, 0}, PROLOGUE END},
    {"added", {{0}}, {{5, 2}}, {0, 0}, PROLOGUE "00000005 0002 0000" ENTRY ENTRY END},
    {"removed", {{0, 2}}, {{1, 1}}, {0, 0}, PROLOGUE "00000000 0000 0001" END},
    {"changed", {{7, 3}}, {{7, 3}}, {8, 1}, PROLOGUE "00000008 0001 0000" OTHER END},
    {"removed behind changed", {{7, 4}}, {{7, 2}}, {8, 1}, PROLOGUE "00000008 0001 0002" OTHER END},
    {"changed behind removed",
     {{7, 4}},
     {{9, 2}},
     {9, 1},
     PROLOGUE "00000007 0000 0002 00000009 0001 0000" OTHER END},
    {"with one that is the same between",
     {{7, 1}},
     {{6, 3}},
     {0, 0},
     PROLOGUE "00000006 0001 0000" ENTRY "00000008 0001 0000" ENTRY END},
    {"at the ends",
     {{0, 1}},
     {{SLOTS - 1, 1}},
     {0, 0},
     PROLOGUE "00000000 0000 0001 00003fff 0001 0000" ENTRY END},
    {"around a chunk's end",
     {{255, 2}},
     {{511, 2}},
     {0, 0},
     PROLOGUE "000000ff 0000 0002 000001ff 0002 0000" ENTRY ENTRY END},
};

static void
testExact(gconstpointer opaque)
{
    const ExactCase *exact = opaque;
    g_autoptr(VirtHptTable) before = newTable(ORDER);
    g_autoptr(VirtHptTable) after = newTable(ORDER);
    g_autoptr(GByteArray) wanted = testParseHex(exact->delta);
    g_autoptr(GByteArray) delta = NULL;

    for (guint i = 0; i < 3; i++) {
        fill(before, exact->before[i][0], exact->before[i][1], 0x1000);
        fill(after, exact->after[i][0], exact->after[i][1], 0x1000);
    }
    fill(after, exact->other[0], exact->other[1], 0x2000);
    delta = makeDelta(before, after);
    g_assert_cmpmem(delta->data, delta->len, wanted->data, wanted->len);
    checkWay(before, after, 1);
    checkWay(after, before, 4096);
}

/* A run longer than a record is split where the record is full */
static void
testLongRuns(void)
{
    g_autoptr(VirtHptTable) empty = newTable(LARGE_ORDER);
    g_autoptr(VirtHptTable) full = newTable(LARGE_ORDER);
    g_autoptr(GByteArray) cleared = NULL;
    g_autoptr(GByteArray) wanted = testParseHex("00000015 00000000 00000001 0000 ffff"
                                                "00010000 0000 0005" END);

    fill(full, 1, 65540, 0x1000);
    cleared = makeDelta(full, empty);
    g_assert_cmpmem(cleared->data, cleared->len, wanted->data, wanted->len);
    checkWay(full, empty, 5);
    checkWay(empty, full, 65536);
}

static void
randomise(VirtHptTable *table, guint changes)
{
    while (changes-- > 0) {
        guint64 slot = (guint64)g_test_rand_int_range(0, SLOTS);
        guint64 n = (guint64)g_test_rand_int_range(1, g_test_rand_bit() ? 4 : 600);

        n = MIN(n, SLOTS - slot);
        if (g_test_rand_int_range(0, 3) == 0)
            virtHptTableClear(table, slot, n);
        else
            fill(table, slot, n, (guint64)g_test_rand_int_range(0, 4) << 12);
    }
}

static void
testRandom(void)
{
    for (guint i = 0; i < ROUNDS; i++) {
        g_autoptr(VirtHptTable) before = newTable(ORDER);
        g_autoptr(VirtHptTable) after = NULL;

        randomise(before, (guint)g_test_rand_int_range(0, 100));
        after = copyTable(before);
        randomise(after, (guint)g_test_rand_int_range(0, 40));
        checkWay(before, after, (gsize)g_test_rand_int_range(1, 5000));
        checkWay(after, before, (gsize)g_test_rand_int_range(1, 5000));
    }
}

/* On another base than its own a delta does nothing in places */
static void
testOtherBase(void)
{
    g_autoptr(VirtHptTable) before = newTable(ORDER);
    g_autoptr(VirtHptTable) after = newTable(ORDER);
    g_autoptr(VirtHptTable) other = newTable(ORDER);
    g_autoptr(GByteArray) delta = NULL;
    VirtHptDeltaStats stats = {0};

    fill(before, 0, 10, 0x1000);
    fill(after, 5, 10, 0x1000);
    delta = makeDelta(before, after);
    fill(other, 3, 9, 0x1000);
    g_assert_true(apply(other, delta, delta->len, &stats, NULL));
    g_assert_cmpuint(stats.set, ==, 3);
    g_assert_cmpuint(stats.same, ==, 2);
    g_assert_cmpuint(stats.cleared, ==, 2);
    g_assert_cmpuint(stats.absent, ==, 3);
    /* And once it was applied nothing is left to be done */
    g_assert_true(apply(other, delta, delta->len, &stats, NULL));
    g_assert_cmpuint(stats.set + stats.cleared, ==, 0);
    g_assert_cmpuint(stats.same, ==, 5);
    g_assert_cmpuint(stats.absent, ==, 5);
}

typedef struct {
    const char *name;
    const char *delta;
    int code;
} RefusedCase;

static const RefusedCase refusedCases[] = {
    {"empty", "", VIRT_HPT_ERROR_MALFORMED},
    {"prologue cut", "00000012 000000", VIRT_HPT_ERROR_MALFORMED},
    {"another order", "00000013 00000000" END, VIRT_HPT_ERROR_FAILED},
    {"no table", "ffffffff 00000000" END, VIRT_HPT_ERROR_FAILED},
    {"second word not zero", "00000012 00000001" END, VIRT_HPT_ERROR_MALFORMED},
    {"no end marker", PROLOGUE "00000000 0000 0001", VIRT_HPT_ERROR_MALFORMED},
    {"more behind the end", PROLOGUE END "00", VIRT_HPT_ERROR_MALFORMED},
    {"record without slots", PROLOGUE "00000001 0000 0000" END, VIRT_HPT_ERROR_MALFORMED},
    {"record beyond the table", PROLOGUE "00003fff 0000 0002" END, VIRT_HPT_ERROR_MALFORMED},
    {"entry not valid", PROLOGUE "00000000 0001 0000 0000000000000100 0000000000001000" END,
     VIRT_HPT_ERROR_MALFORMED},
    {"entries cut", PROLOGUE "00000000 0002 0000" ENTRY, VIRT_HPT_ERROR_MALFORMED},
};

static void
testRefused(gconstpointer opaque)
{
    const RefusedCase *refused = opaque;
    g_autoptr(GByteArray) delta = testParseHex(refused->delta);

    for (gsize piece = 1; piece <= 64; piece += 63) {
        g_autoptr(VirtHptTable) table = newTable(ORDER);
        g_autoptr(GError) error = NULL;
        VirtHptDeltaStats stats = {.set = 77};

        g_assert_false(apply(table, delta, piece, &stats, &error));
        g_assert_error(error, VIRT_HPT_ERROR, refused->code);
        g_assert_cmpuint(stats.set, ==, 77);
    }
}

static void
testOrders(void)
{
    g_autoptr(VirtHptTable) before = newTable(ORDER);
    g_autoptr(VirtHptTable) after = newTable(ORDER + 1);
    g_autoptr(GByteArray) delta = g_byte_array_new();
    g_autoptr(GError) error = NULL;

    g_assert_false(virtHptTableEncodeDelta(before, after, testAppend, delta, &error));
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED);
    g_assert_cmpuint(delta->len, ==, 0);
}

static void
changeTracked(VirtHptTracker *tracker)
{
    for (guint i = 0; i < 50; i++) {
        const VirtHptEntry entry = {VIRT_HPT_V_VALID | 0x100, (guint64)g_test_rand_int_range(0, 4)
                                                                  << 12};
        /* Few, so that in ten passes some are the same again, or empty still */
        guint64 slot = (guint64)g_test_rand_int_range(0, 64);

        if (g_test_rand_bit())
            virtHptTrackerSet(tracker, slot, &entry);
        else
            virtHptTrackerInvalidate(tracker, slot);
    }
}

static void
addPass(VirtHptTrackerReader *reader, GByteArray *delta)
{
    guint8 buffer[1000];
    gsize n;

    while ((n = virtHptTrackerReaderRead(reader, buffer, sizeof(buffer))) > 0)
        g_byte_array_append(delta, buffer, (guint)n);
}

/*
 * What a later pass tells is a delta of what the earlier ones told.  It has private bits, entries
 * that are the same again, and slots that are empty still.
 */
static void
testPasses(void)
{
    const guint flags = VIRT_HPT_TRACKER_BIG_ENDIAN | VIRT_HPT_TRACKER_PRIVATE_BITS;
    g_autoptr(VirtHptTable) live = newTable(ORDER);
    g_autoptr(VirtHptTracker) tracker = virtHptTrackerNew(live);
    g_autoptr(VirtHptTable) copy = newTable(ORDER);
    g_autoptr(VirtHptTrackerReader) reader = virtHptTrackerOpen(tracker, flags, 0, NULL);
    guint64 same = 0;
    guint64 absent = 0;

    for (guint i = 0; i < PASSES; i++) {
        g_autoptr(GByteArray) delta = testParseHex(PROLOGUE);
        g_autoptr(GByteArray) end = testParseHex(END);
        g_autoptr(GError) error = NULL;
        VirtHptDeltaStats stats = {0};

        changeTracked(tracker);
        addPass(reader, delta);
        g_byte_array_append(delta, end->data, end->len);
        apply(copy, delta, 100, &stats, &error);
        g_assert_no_error(error);
        g_assert_true(virtHptTableEqual(copy, live));
        same += stats.same;
        absent += stats.absent;
    }
    g_assert_cmpuint(same, >, 0);
    g_assert_cmpuint(absent, >, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(exactCases); i++) {
        g_autofree char *path = g_strconcat("/htab/delta/exact/", exactCases[i].name, NULL);

        g_test_add_data_func(path, &exactCases[i], testExact);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(refusedCases); i++) {
        g_autofree char *path = g_strconcat("/htab/delta/refused/", refusedCases[i].name, NULL);

        g_test_add_data_func(path, &refusedCases[i], testRefused);
    }
    g_test_add_func("/htab/delta/runs longer than a record", testLongRuns);
    g_test_add_func("/htab/delta/random tables", testRandom);
    g_test_add_func("/htab/delta/another base is noticed", testOtherBase);
    g_test_add_func("/htab/delta/tables of two orders have none", testOrders);
    g_test_add_func("/htab/delta/later passes are deltas", testPasses);
    return g_test_run();
}
