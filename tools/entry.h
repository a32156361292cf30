/*
 * entry.h: one entry in its place, decoded once for text, JSON and filters
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#pragma once

#include "libvirt-hpt/htab_entry.h"

G_BEGIN_DECLS

/* The real page number that the tool shows counts pages of 4 KiB, whatever the entry's page size */
#define VIRT_HPT_RPN_SHIFT 12

/* "WIMG" and NUL */
#define VIRT_HPT_WIMG_BUFLEN 5

/**
 * VirtHptEntryView:
 * @entry: the entry
 * @slot: where it lies
 * @order: log2 of the table's size in bytes
 * @sized: whether it encodes a page size: @size and @real are valid
 * @size: its page size
 * @real: guest real address, in bytes
 * @placed: whether it lies in a PTEG of its hash: @address is valid
 * @address: its virtual address
 */
typedef struct {
    VirtHptEntry entry;
    guint64 slot;
    guint order;
    gboolean sized;
    VirtHptPageSize size;
    guint64 real;
    gboolean placed;
    VirtHptAddress address;
} VirtHptEntryView;

void virtHptEntryViewInit(VirtHptEntryView *view,
                          const VirtHptEntry *entry,
                          guint64 slot,
                          guint order);

void virtHptEntryFormatWimg(const VirtHptEntry *entry, char buf[VIRT_HPT_WIMG_BUFLEN]);
const char *virtHptEntryGetAccess(const VirtHptEntry *entry);

G_END_DECLS
