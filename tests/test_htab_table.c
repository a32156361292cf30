/*
 * test_htab_table.c: a table holds what was put into it, and nothing else
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves the bounds on a table's size, the byte order it is kept in, that private bits and invalid
 * entries leave no trace, that scans stop at the right slot across the edges of the
 * memory they skip, and the statistics.
 *
 * Requires nothing.
 */

#include <string.h>

#include "libvirt-hpt/htab_error.h"
#include "htab_testutils.h"

#define ORDER 18
#define SLOTS (G_GUINT64_CONSTANT(1) << (ORDER - 4))

static const VirtHptEntry sample = {0x4000000000000001, 0x1196};

static VirtHptTable *
newTable(guint order)
{
    g_autoptr(GError) error = NULL;
    VirtHptTable *table = virtHptTableNew(order, TEST_MAX_BYTES, &error);

    g_assert_no_error(error);
    return table;
}

static void
testOrderRefused(void)
{
    static const guint orders[] = {0, 5, 17, 47, 64, VIRT_HPT_STREAM_NO_HPT};

    for (gsize i = 0; i < G_N_ELEMENTS(orders); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(virtHptTableNew(orders[i], G_MAXUINT64, &error));
        g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED);
    }
}

static void
testLimit(void)
{
    g_autoptr(VirtHptTable) table = virtHptTableNew(ORDER, 1 << ORDER, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_nonnull(table);
    g_assert_null(virtHptTableNew(ORDER, (1 << ORDER) - 1, &error));
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_LIMIT);
    g_assert_cmpstr(error->message, ==,
                    "an HPT of order 18 takes 262144 bytes, at most 262143 are allowed");
    g_assert_cmpuint(virtHptTableDefaultMaxBytes(), >, 1 << ORDER);
}

static void
testGeometry(void)
{
    g_autoptr(VirtHptTable) table = newTable(22);

    g_assert_cmpuint(virtHptTableGetOrder(table), ==, 22);
    g_assert_cmpuint(virtHptTableGetSlots(table), ==, 262144);
    g_assert_cmpuint(virtHptTableGetPtegs(table), ==, 32768);
}

static void
testWireOrder(void)
{
    static const guint8 wire[] = {0x40, 1, 2,  3,  4,  5,  6,    0x15,
                                  0x80, 9, 10, 11, 12, 13, 0x11, 0x96};
    g_autoptr(VirtHptTable) table = newTable(ORDER);
    const VirtHptEntry entry = {0x4001020304050675, 0x80090a0b0c0d1196};
    VirtHptEntry back;

    virtHptTableSet(table, 5, &entry);
    g_assert_cmpmem(virtHptTablePeekWire(table, 5), sizeof(wire), wire, sizeof(wire));
    back = virtHptTableGet(table, 5);
    g_assert_cmphex(back.v, ==, entry.v & ~VIRT_HPT_V_PRIVATE);
    g_assert_cmphex(back.r, ==, entry.r);
}

static void
testInvalidLeavesNothing(void)
{
    static const guint8 zeroes[VIRT_HPT_ENTRY_SIZE];
    g_autoptr(VirtHptTable) table = newTable(ORDER);
    const VirtHptEntry invalid = {G_MAXUINT64 & ~VIRT_HPT_V_VALID, G_MAXUINT64};

    virtHptTableSet(table, 5, &sample);
    virtHptTableSet(table, 5, &invalid);
    g_assert_cmpmem(virtHptTablePeekWire(table, 5), sizeof(zeroes), zeroes, sizeof(zeroes));
    g_assert_cmpuint(virtHptTableNextValid(table, 0), ==, SLOTS);
}

/* Wherever it is put: among entries, beside them, and where there are none */
static void
testInvalidIsNoEntry(void)
{
    static const guint64 slots[] = {0, 255, 256, 299, 300, 301, 511, 512, SLOTS / 2, SLOTS - 1};
    g_autoptr(VirtHptTable) fresh = newTable(ORDER);
    const VirtHptEntry invalid = {G_MAXUINT64 & ~VIRT_HPT_V_VALID, G_MAXUINT64};

    for (gsize i = 0; i < G_N_ELEMENTS(slots); i++) {
        g_autoptr(VirtHptTable) table = newTable(ORDER);
        guint64 slot = slots[i];

        virtHptTableSet(table, slot, &invalid);
        g_assert_cmpuint(virtHptTableNextValid(table, 0), ==, SLOTS);
        g_assert_cmpuint(virtHptTableNextInvalid(table, slot, SLOTS), ==, slot);
        g_assert_true(virtHptTableEqual(table, fresh));

        for (guint64 other = 299; other <= 301; other++)
            virtHptTableSet(table, other, &sample);
        virtHptTableSet(table, slot, &invalid);
        g_assert_cmpuint(virtHptTableNextValid(table, 0), ==, slot == 299 ? 300 : 299);
        g_assert_cmpuint(virtHptTableNextInvalid(table, 299, SLOTS), ==,
                         slot >= 299 && slot <= 301 ? slot : 302);
        g_assert_cmpuint(virtHptTableNextValid(table, 301), ==, slot == 301 ? SLOTS : 301);

        virtHptTableSet(table, slot, &sample);
        g_assert_cmpuint(virtHptTableNextValid(table, slot), ==, slot);
        g_assert_cmphex(virtHptTableGet(table, slot).r, ==, sample.r);
    }
}

static void
testScan(void)
{
    static const guint64 slots[] = {0,   1,   7,         8,           255,      256,
                                    511, 513, 4096 + 64, SLOTS - 257, SLOTS - 1};

    for (gsize i = 0; i < G_N_ELEMENTS(slots); i++) {
        for (gsize j = i; j < G_N_ELEMENTS(slots); j++) {
            g_autoptr(VirtHptTable) table = newTable(ORDER);
            guint64 a = slots[i];
            guint64 b = slots[j];

            virtHptTableSet(table, a, &sample);
            virtHptTableSet(table, b, &sample);
            g_assert_cmpuint(virtHptTableNextValid(table, 0), ==, a);
            g_assert_cmpuint(virtHptTableNextValid(table, a), ==, a);
            g_assert_cmpuint(virtHptTableNextValid(table, b), ==, b);
            g_assert_cmpuint(virtHptTableNextValid(table, b + 1), ==, SLOTS);
            if (a < b) {
                g_assert_cmpuint(virtHptTableNextValid(table, a + 1), ==, b);
            }

            for (guint64 slot = a; slot <= b; slot++)
                virtHptTableSet(table, slot, &sample);
            g_assert_cmpuint(virtHptTableNextInvalid(table, a, SLOTS), ==, b + 1);
            g_assert_cmpuint(virtHptTableNextInvalid(table, a, b), ==, b);
            g_assert_cmpuint(virtHptTableNextInvalid(table, b + 1, SLOTS), ==, b + 1);
        }
    }
}

static void
testClear(void)
{
    g_autoptr(VirtHptTable) table = newTable(ORDER);
    g_autoptr(VirtHptTable) fresh = newTable(ORDER);

    for (guint64 slot = 200; slot < 800; slot++)
        virtHptTableSet(table, slot, &sample);
    virtHptTableClear(table, 300, 400);
    g_assert_cmpuint(virtHptTableNextInvalid(table, 200, SLOTS), ==, 300);
    g_assert_cmpuint(virtHptTableNextValid(table, 300), ==, 700);
    g_assert_false(virtHptTableEqual(table, fresh));

    virtHptTableClear(table, 0, SLOTS);
    g_assert_cmpuint(virtHptTableNextValid(table, 0), ==, SLOTS);
    g_assert_true(virtHptTableEqual(table, fresh));
}

static void
testEqual(void)
{
    g_autoptr(VirtHptTable) a = newTable(ORDER);
    g_autoptr(VirtHptTable) b = newTable(ORDER);
    g_autoptr(VirtHptTable) larger = newTable(ORDER + 1);
    VirtHptEntry other = sample;

    g_assert_false(virtHptTableEqual(a, larger));
    virtHptTableSet(a, SLOTS - 1, &sample);
    g_assert_false(virtHptTableEqual(a, b));
    g_assert_false(virtHptTableEqual(b, a));
    virtHptTableSet(b, SLOTS - 1, &sample);
    g_assert_true(virtHptTableEqual(a, b));
    other.r ^= VIRT_HPT_R_C;
    virtHptTableSet(b, SLOTS - 1, &other);
    g_assert_false(virtHptTableEqual(a, b));
}

static void
testStats(void)
{
    static const char *const entries[] = {
        "0 4000000000000015 1196",    /* 64K, bolted */
        "1 4000000000000011 1a6",     /* 4K, bolted, cache-inhibited */
        "2 4000000000000007 8000",    /* 64K/16M, secondary */
        "3fff 4000000000000005 3000", /* 16G */
        "3ff7 4000000000000005 f000", /* no page size */
        NULL,
    };
    static const VirtHptPageCount pages[] = {
        {{0, 0}, 1}, {{12, 12}, 1}, {{16, 16}, 1}, {{16, 24}, 1}, {{34, 34}, 1},
    };
    g_autoptr(VirtHptTable) table = newTable(ORDER);
    VirtHptTableStats stats;

    virtHptTableGetStats(table, &stats);
    g_assert_cmpuint(stats.valid, ==, 0);
    g_assert_cmpuint(stats.npages, ==, 0);

    testSetEntries(table, (char **)entries);
    virtHptTableGetStats(table, &stats);
    g_assert_cmpuint(stats.valid, ==, 5);
    g_assert_cmpuint(stats.bolted, ==, 2);
    g_assert_cmpuint(stats.secondary, ==, 1);
    g_assert_cmpuint(stats.cacheInhibited, ==, 1);
    g_assert_cmpuint(stats.ptegsUsed, ==, 3);
    g_assert_cmpuint(stats.ptegFullest, ==, 3);
    g_assert_cmpuint(stats.mapped, ==, (1ULL << 34) + (1 << 24) + (1 << 16) + (1 << 12));
    g_assert_cmpuint(stats.npages, ==, G_N_ELEMENTS(pages));
    for (gsize i = 0; i < G_N_ELEMENTS(pages); i++) {
        g_assert_cmpuint(stats.pages[i].size.base, ==, pages[i].size.base);
        g_assert_cmpuint(stats.pages[i].size.actual, ==, pages[i].size.actual);
        g_assert_cmpuint(stats.pages[i].count, ==, pages[i].count);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    g_test_add_func("/htab/table/an order that no guest can have is refused", testOrderRefused);
    g_test_add_func("/htab/table/a table above the limit is refused with both sizes", testLimit);
    g_test_add_func("/htab/table/slots and PTEGs follow from the order", testGeometry);
    g_test_add_func("/htab/table/entries are kept big-endian without private bits", testWireOrder);
    g_test_add_func("/htab/table/an invalid entry leaves zeroes", testInvalidLeavesNothing);
    g_test_add_func("/htab/table/an invalid entry is none, wherever it is put",
                    testInvalidIsNoEntry);
    g_test_add_func("/htab/table/scans stop at the right slot across chunk edges", testScan);
    g_test_add_func("/htab/table/clearing touches the given slots only", testClear);
    g_test_add_func("/htab/table/tables differ by order and by any bit", testEqual);
    g_test_add_func("/htab/table/statistics count each entry once", testStats);

    return g_test_run();
}
