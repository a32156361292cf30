/*
 * entry.c: one entry in its place, decoded once for text, JSON and filters
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "config.h"

#include "entry.h"

/**
 * virtHptEntryViewInit:
 * @view: (out): what can be told of the entry
 * @entry: a valid entry
 * @slot: where it lies
 * @order: log2 of the table's size in bytes; 0: the place is not known
 */
void
virtHptEntryViewInit(VirtHptEntryView *view, const VirtHptEntry *entry, guint64 slot, guint order)
{
    view->entry = *entry;
    view->slot = slot;
    view->order = order;
    view->size = (VirtHptPageSize){0, 0};
    view->real = 0;
    view->placed = FALSE;
    view->sized = virtHptEntryGetPageSize(entry, &view->size);
    if (!view->sized)
        return;
    view->real = virtHptEntryGetRealAddress(entry, &view->size);
    view->placed =
        order > 0 && virtHptEntryGetAddress(entry, &view->size, slot, order, &view->address);
}

/**
 * virtHptEntryFormatWimg:
 * @entry: an entry
 * @buf: (out): four characters, '-' for a bit that is clear
 */
void
virtHptEntryFormatWimg(const VirtHptEntry *entry, char buf[VIRT_HPT_WIMG_BUFLEN])
{
    buf[0] = entry->r & VIRT_HPT_R_W ? 'W' : '-';
    buf[1] = entry->r & VIRT_HPT_R_I ? 'I' : '-';
    buf[2] = entry->r & VIRT_HPT_R_M ? 'M' : '-';
    buf[3] = entry->r & VIRT_HPT_R_G ? 'G' : '-';
    buf[4] = '\0';
}

/**
 * virtHptEntryGetAccess:
 * @entry: an entry
 *
 * What the protection bits allow to a storage key of 0 and of 1, which Linux makes the kernel and
 * the user (Power ISA 2.07 III-S 5.7.9.1; Linux arch/powerpc/include/asm/book3s/64/mmu-hash.h,
 * PP_RWXX and following).
 *
 * Returns: 'rw/r-' and the like; '?' for reserved values
 */
const char *
virtHptEntryGetAccess(const VirtHptEntry *entry)
{
    static const char *const access[] = {"rw/--", "rw/r-", "rw/rw", "r-/r-",
                                         "?",     "?",     "r-/--", "?"};

    return access[virtHptEntryGetProtection(entry) & 7];
}
