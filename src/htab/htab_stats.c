/*
 * htab_stats.c: what is in a table, in numbers
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <string.h>

#include "libvirt-hpt/htab_table.h"

/* Keeps @stats->pages ascending, so that equal tables give equal statistics */
static void
countPage(VirtHptTableStats *stats, const VirtHptPageSize *size)
{
    guint i = 0;

    while (i < stats->npages &&
           (stats->pages[i].size.base < size->base || (stats->pages[i].size.base == size->base &&
                                                       stats->pages[i].size.actual < size->actual)))
        i++;

    if (i == stats->npages || stats->pages[i].size.base != size->base ||
        stats->pages[i].size.actual != size->actual) {
        g_assert(stats->npages < VIRT_HPT_PAGE_COUNTS_MAX);
        memmove(&stats->pages[i + 1], &stats->pages[i],
                (stats->npages - i) * sizeof(stats->pages[0]));
        stats->pages[i] = (VirtHptPageCount){*size, 0};
        stats->npages++;
    }
    stats->pages[i].count++;
}

static void
countEntry(VirtHptTableStats *stats, const VirtHptEntry *entry)
{
    VirtHptPageSize size = {0, 0};

    stats->valid++;
    stats->bolted += (entry->v & VIRT_HPT_V_BOLTED) != 0;
    stats->secondary += (entry->v & VIRT_HPT_V_SECONDARY) != 0;
    stats->cacheInhibited += (entry->r & VIRT_HPT_R_I) != 0;

    if (virtHptEntryGetPageSize(entry, &size)) {
        guint64 bytes = G_GUINT64_CONSTANT(1) << size.actual;

        stats->mapped = bytes > G_MAXUINT64 - stats->mapped ? G_MAXUINT64 : stats->mapped + bytes;
    }
    countPage(stats, &size);
}

/**
 * virtHptTableGetStats:
 * @table: a table
 * @stats: (out): filled in
 *
 * Counts the entries in one pass.
 */
void
virtHptTableGetStats(const VirtHptTable *table, VirtHptTableStats *stats)
{
    guint64 slots = virtHptTableGetSlots(table);
    guint64 pteg = G_MAXUINT64;
    guint inPteg = 0;

    memset(stats, 0, sizeof(*stats));
    for (guint64 slot = virtHptTableNextValid(table, 0); slot < slots;
         slot = virtHptTableNextValid(table, slot + 1)) {
        VirtHptEntry entry = virtHptTableGet(table, slot);

        if (slot / VIRT_HPT_PTEG_SLOTS != pteg) {
            pteg = slot / VIRT_HPT_PTEG_SLOTS;
            stats->ptegsUsed++;
            inPteg = 0;
        }
        inPteg++;
        stats->ptegFullest = MAX(stats->ptegFullest, inPteg);
        countEntry(stats, &entry);
    }
}
