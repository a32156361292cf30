/*
 * test_htab_diff.c: every difference between two tables is found and named
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves that each kind of difference is counted as such, that the first ones are kept in order,
 * and that tables of different orders are not compared.  Requires nothing.
 */

#include "config.h"

#include "libvirt-hpt/htab_diff.h"
#include "libvirt-hpt/htab_error.h"

#define ORDER 18
#define LAST_SLOT ((1U << (ORDER - 4)) - 1)

static VirtHptTable *
newTable(guint order)
{
    g_autoptr(GError) error = NULL;
    VirtHptTable *table = virtHptTableNew(order, 1U << 20, &error);

    g_assert_no_error(error);
    return table;
}

static void
put(VirtHptTable *table, guint64 slot, guint64 v, guint64 r)
{
    const VirtHptEntry entry = {.v = v | VIRT_HPT_V_VALID, .r = r};

    virtHptTableSet(table, slot, &entry);
}

static void
testKinds(void)
{
    g_autoptr(VirtHptTable) before = newTable(ORDER);
    g_autoptr(VirtHptTable) after = newTable(ORDER);
    g_autoptr(VirtHptDiff) diff = NULL;
    g_autoptr(GError) error = NULL;
    const struct {
        guint64 slot;
        VirtHptDiffKind kind;
    } expected[] = {
        {0, VIRT_HPT_DIFF_REMOVED},  {9, VIRT_HPT_DIFF_CHANGED},       {10, VIRT_HPT_DIFF_RC_ONLY},
        {11, VIRT_HPT_DIFF_CHANGED}, {LAST_SLOT, VIRT_HPT_DIFF_ADDED},
    };

    put(before, 0, 0x100, 0x1000);
    put(before, 8, 0x100, 0x1000);
    put(after, 8, 0x100, 0x1000);
    put(before, 9, 0x100, 0x1000);
    put(after, 9, 0x100, 0x2000 | VIRT_HPT_R_C);
    put(before, 10, 0x100, 0x1000 | VIRT_HPT_R_R);
    put(after, 10, 0x100, 0x1000 | VIRT_HPT_R_C);
    put(before, 11, 0x100, 0x1000);
    put(after, 11, 0x180, 0x1000);
    put(after, LAST_SLOT, 0x100, 0x1000);

    diff = virtHptTableDiff(before, after, 16, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(virtHptDiffGetTotal(diff), ==, G_N_ELEMENTS(expected));
    g_assert_cmpuint(diff->differences->len, ==, G_N_ELEMENTS(expected));
    for (guint i = 0; i < G_N_ELEMENTS(expected); i++) {
        const VirtHptDifference *found = &g_array_index(diff->differences, VirtHptDifference, i);

        g_assert_cmpuint(found->slot, ==, expected[i].slot);
        g_assert_cmpstr(virtHptDiffKindGetName(found->kind), ==,
                        virtHptDiffKindGetName(expected[i].kind));
    }
}

static void
testBound(void)
{
    g_autoptr(VirtHptTable) before = newTable(ORDER);
    g_autoptr(VirtHptTable) after = newTable(ORDER);
    g_autoptr(VirtHptDiff) diff = NULL;
    g_autoptr(GError) error = NULL;

    for (guint64 slot = 0; slot <= LAST_SLOT; slot++)
        put(after, slot, 0, 0);
    diff = virtHptTableDiff(before, after, 3, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(diff->counts[VIRT_HPT_DIFF_ADDED], ==, LAST_SLOT + 1);
    g_assert_cmpuint(diff->differences->len, ==, 3);
}

static void
testEqual(void)
{
    g_autoptr(VirtHptTable) table = newTable(ORDER);
    g_autoptr(VirtHptDiff) diff = NULL;

    put(table, 5, 0x100, 0x1000);
    diff = virtHptTableDiff(table, table, 1, NULL);
    g_assert_cmpuint(virtHptDiffGetTotal(diff), ==, 0);
}

static void
testOrders(void)
{
    g_autoptr(VirtHptTable) before = newTable(ORDER);
    g_autoptr(VirtHptTable) after = newTable(ORDER + 1);
    g_autoptr(GError) error = NULL;

    g_assert_null(virtHptTableDiff(before, after, 1, &error));
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/htab/diff/kinds", testKinds);
    g_test_add_func("/htab/diff/bound", testBound);
    g_test_add_func("/htab/diff/equal", testEqual);
    g_test_add_func("/htab/diff/orders", testOrders);
    return g_test_run();
}
