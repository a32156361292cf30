/*
 * test_compare.c: the kernel and the table in userspace give the same bytes
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Both are given the same random writes, good and bad, and the same readers, which come and go, and
 * read with the same buffers.  Each result, and each byte that is read, must be the same.  GLib
 * prints the seed; --seed=R02S... repeats a run.
 */

#include <string.h>

#include "powerhost.h"

#define ORDER 18
#define SLOTS (1U << (ORDER - 4))

#define READERS 4
#define STEPS 3000

/* 0 is the kernel, 1 the tracker */
typedef struct {
    const HtabFd *fds[2];
    gpointer guests[2];
    gpointer readers[READERS][2];
} Pair;

static guint
randomBelow(guint n)
{
    return (guint)g_test_rand_int_range(0, (gint32)n);
}

/* An entry that is refused with EINVAL or EIO */
static VirtHptEntry
badEntry(void)
{
    VirtHptEntry entry = htabFdPlain;

    switch (randomBelow(3)) {
    case 0:
        entry.v &= ~VIRT_HPT_V_VALID;
        break;
    case 1:
        entry.v |= VIRT_HPT_V_LARGE; /* with R's 7: 4K/64K, with 2 none */
        entry.r = (entry.r & ~0xf000ULL) | 0x2000;
        break;
    default:
        entry.v |= 1ULL << 63;
    }
    return entry;
}

static void
writeRandomly(Pair *pair)
{
    VirtHptEntry entries[40];
    guint n = randomBelow(G_N_ELEMENTS(entries));
    /* Now and then behind the end */
    guint32 slot = randomBelow(SLOTS + 40);
    guint invalid = randomBelow(3) ? randomBelow(20) : randomBelow(400);
    gssize results[2];

    for (guint i = 0; i < n; i++)
        entries[i] = randomBelow(500) ? htabFdRandomEntry(pair->fds[0]->keptV) : badEntry();
    for (guint i = 0; i < 2; i++)
        results[i] = htabFdWrite(pair->fds[i], pair->guests[i], slot, entries, n, invalid);
    g_assert_cmpint(results[0], ==, results[1]);
}

static void
openOrClose(Pair *pair, gpointer *readers)
{
    guint flags = randomBelow(3) ? 0 : HTAB_FD_BOLTED_ONLY;
    guint64 start = randomBelow(2) ? 0 : randomBelow(SLOTS + 10);

    for (guint i = 0; i < 2; i++) {
        if (readers[i])
            pair->fds[i]->close(g_steal_pointer(&readers[i]));
        else
            readers[i] = pair->fds[i]->open(pair->guests[i], flags, start);
    }
}

static void
readBoth(Pair *pair, gpointer *readers)
{
    gsize count = randomBelow(2) ? randomBelow(200) : randomBelow(300000);
    g_autoptr(GByteArray) a = htabFdRead(pair->fds[0], readers[0], count);
    g_autoptr(GByteArray) b = htabFdRead(pair->fds[1], readers[1], count);

    g_assert_cmpmem(a->data, a->len, b->data, b->len);
}

static void
testSameBytes(void)
{
    Pair pair = {.fds = {kernelFd(), &htabFdTracker}};
    g_autoptr(VirtHptTable) kernels = NULL;
    g_autoptr(VirtHptTable) trackers = NULL;

    for (guint i = 0; i < 2; i++)
        pair.guests[i] = pair.fds[i]->guestNew(ORDER);
    for (guint step = 0; step < STEPS; step++) {
        gpointer *readers = pair.readers[randomBelow(READERS)];

        if (!readers[0] || randomBelow(30) == 0)
            openOrClose(&pair, readers);
        else if (randomBelow(2))
            readBoth(&pair, readers);
        else
            writeRandomly(&pair);
    }
    kernels = htabFdReadTable(pair.fds[0], pair.guests[0], ORDER);
    trackers = htabFdReadTable(pair.fds[1], pair.guests[1], ORDER);
    g_assert_true(virtHptTableEqual(kernels, trackers));
    for (guint r = 0; r < READERS; r++) {
        for (guint i = 0; i < 2; i++) {
            if (pair.readers[r][i])
                pair.fds[i]->close(pair.readers[r][i]);
        }
    }
    for (guint i = 0; i < 2; i++)
        pair.fds[i]->guestFree(pair.guests[i]);
}

void
addCompareTests(void)
{
    g_test_add_func("/kernel/compare/the table in userspace gives the same bytes", testSameBytes);
}
