/*
 * htab_table.h: a hashed page table in memory
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "libvirt-hpt/htab_entry.h"

G_BEGIN_DECLS

/**
 * VirtHptTable:
 *
 * A table of 2^order bytes.  Entries are kept in wire order (big-endian doublewords) with the
 * private bits %VIRT_HPT_V_PRIVATE cleared; a slot without a valid entry is 16 zero bytes.
 * Memory is the table once; pages of it that hold no entry are never touched.
 *
 * Not thread-safe for writers; any number of readers may share a table that nobody changes.
 */
typedef struct _VirtHptTable VirtHptTable;

/**
 * VirtHptPageCount:
 * @size: base and actual page shift; both 0 stands for every encoding that is not a page size
 * @count: valid entries of that size
 */
typedef struct {
    VirtHptPageSize size;
    guint64 count;
} VirtHptPageCount;

/* Base and actual sizes that an entry can encode, and one for all other encodings */
#define VIRT_HPT_PAGE_COUNTS_MAX 8

/**
 * VirtHptTableStats:
 * @valid: valid entries
 * @bolted: valid entries with the software bit "bolted"
 * @secondary: valid entries in their secondary PTEG
 * @cacheInhibited: valid entries with the I bit
 * @ptegsUsed: PTEGs with at least one valid entry
 * @ptegFullest: the most valid entries in one PTEG, 0..8
 * @mapped: bytes mapped: the sum of actual page sizes, saturating
 * @npages: elements of @pages
 * @pages: valid entries by page size, ascending by base, then actual shift
 */
typedef struct {
    guint64 valid;
    guint64 bolted;
    guint64 secondary;
    guint64 cacheInhibited;
    guint64 ptegsUsed;
    guint ptegFullest;
    guint64 mapped;
    guint npages;
    VirtHptPageCount pages[VIRT_HPT_PAGE_COUNTS_MAX];
} VirtHptTableStats;

VirtHptTable *virtHptTableNew(guint order, guint64 maxBytes, GError **error);
void virtHptTableFree(VirtHptTable *table);

guint virtHptTableGetOrder(const VirtHptTable *table);
guint64 virtHptTableGetSlots(const VirtHptTable *table);
guint64 virtHptTableGetPtegs(const VirtHptTable *table);

VirtHptEntry virtHptTableGet(const VirtHptTable *table, guint64 slot);
void virtHptTableSet(VirtHptTable *table, guint64 slot, const VirtHptEntry *entry);

const guint8 *virtHptTablePeekWire(const VirtHptTable *table, guint64 slot);
void virtHptTableSetWire(VirtHptTable *table, guint64 slot, const guint8 *hptes, guint64 n);
void virtHptTableClear(VirtHptTable *table, guint64 slot, guint64 n);

guint64 virtHptTableNextValid(const VirtHptTable *table, guint64 slot);
guint64 virtHptTableNextValidBelow(const VirtHptTable *table, guint64 slot, guint64 limit);
guint64 virtHptTableNextInvalid(const VirtHptTable *table, guint64 slot, guint64 limit);

gboolean virtHptTableEqual(const VirtHptTable *a, const VirtHptTable *b);
void virtHptTableGetStats(const VirtHptTable *table, VirtHptTableStats *stats);

guint64 virtHptTableDefaultMaxBytes(void);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptTable, virtHptTableFree)

G_END_DECLS
