/*
 * fuzz_delta.c: any bytes as a delta, applied to any table
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The input is two deltas, with the length of the first in two bytes before it.  The first makes a
 * table of an empty one, the second is applied to that.  From the table before to the one after
 * leads a delta of our own, whose every record does something.
 */

#include "config.h"

#include "libvirt-hpt/htab_delta.h"
#include "libvirt-hpt/htab_diff.h"
#include "libvirt-hpt/htab_error.h"

#define ORDER 18
#define TABLE_MAX ((guint64)1 << ORDER)

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

static gboolean
append(const guint8 *data, gsize length, gpointer opaque, GError **error G_GNUC_UNUSED)
{
    g_byte_array_append(opaque, data, (guint)length);
    return TRUE;
}

/* Applies @length bytes in pieces of @piece; returns whether they are a delta */
static gboolean
apply(VirtHptTable *table, const guint8 *data, gsize length, gsize piece, VirtHptDeltaStats *stats)
{
    g_autoptr(VirtHptDeltaReader) reader = virtHptDeltaReaderNew(table);
    g_autoptr(GError) error = NULL;
    gboolean ok = TRUE;

    for (gsize at = 0; ok && at < length; at += piece)
        ok = virtHptDeltaReaderFeed(reader, data + at, MIN(piece, length - at), &error);
    ok = ok && virtHptDeltaReaderFinish(reader, stats, &error);
    g_assert_true(ok == (error == NULL));
    g_assert_true(ok || error->domain == VIRT_HPT_ERROR);
    return ok;
}

static VirtHptTable *
copyTable(const VirtHptTable *table)
{
    VirtHptTable *copy = virtHptTableNew(ORDER, TABLE_MAX, NULL);
    guint64 slots = virtHptTableGetSlots(table);

    for (guint64 slot = virtHptTableNextValid(table, 0); slot < slots;
         slot = virtHptTableNextValid(table, slot + 1))
        virtHptTableSetWire(copy, slot, virtHptTablePeekWire(table, slot), 1);
    return copy;
}

static void
checkWay(const VirtHptTable *before, const VirtHptTable *after)
{
    g_autoptr(VirtHptTable) table = copyTable(before);
    g_autoptr(VirtHptDiff) diff = virtHptTableDiff(before, after, 0, NULL);
    g_autoptr(GByteArray) delta = g_byte_array_new();
    VirtHptDeltaStats stats = {0};

    g_assert_true(virtHptTableEncodeDelta(before, after, append, delta, NULL));
    g_assert_true(apply(table, delta->data, delta->len, delta->len, &stats));
    g_assert_true(virtHptTableEqual(table, after));
    g_assert_cmpuint(stats.same + stats.absent, ==, 0);
    g_assert_cmpuint(stats.set + stats.cleared, ==, virtHptDiffGetTotal(diff));
    g_assert_cmpuint(stats.cleared, ==, diff->counts[VIRT_HPT_DIFF_REMOVED]);
}

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    g_autoptr(VirtHptTable) before = virtHptTableNew(ORDER, TABLE_MAX, NULL);
    g_autoptr(VirtHptTable) after = NULL;
    VirtHptDeltaStats stats = {0};
    gsize first;

    if (size < 2)
        return 0;
    first = MIN(((gsize)data[0] << 8) + data[1], size - 2);
    apply(before, data + 2, first, 7, &stats);
    after = copyTable(before);
    /* What is refused leaves a table, too */
    apply(after, data + 2 + first, size - 2 - first, 4096, &stats);
    checkWay(before, after);
    return 0;
}
