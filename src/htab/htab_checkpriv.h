/*
 * htab_checkpriv.h: what the files of a check share
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "libvirt-hpt/htab_check.h"

G_BEGIN_DECLS

/* Virtual addresses of Linux have 68 bits, and entries in the format of ISA 3.0, in which POWER9
 * keeps them, have no room for more */
#define VIRT_HPT_CHECK_V_BEYOND_68 (((1ULL << 62) - 1) & ~((1ULL << 52) - 1))

/* B and the VSID of a 1 TiB segment; those of the VRMA (Linux
 * arch/powerpc/include/asm/book3s/64/mmu-hash.h HPTE_V_VRMA_MASK) */
#define VIRT_HPT_CHECK_V_SEGMENT_1T 0xffffffffff000000ULL
#define VIRT_HPT_CHECK_V_VRMA 0x4001ffffff000000ULL

#define VIRT_HPT_CHECK_R_WIMG (VIRT_HPT_R_W | VIRT_HPT_R_I | VIRT_HPT_R_M | VIRT_HPT_R_G)

/* The page size of the VRMA's entries is that of the first one */
typedef struct {
    gboolean seen;
    guint base;
} VirtHptVrma;

/*
 * VirtHptCheck:
 * @table: (nullable): %NULL where only an order is checked
 * @valid: entries, and those of them that are @bolted or @secondary
 * @boltedBytes: what bolted, cacheable entries map, saturating
 */
typedef struct {
    const VirtHptTable *table;
    const VirtHptCheckContext *context;
    VirtHptReport *report;
    GPtrArray *kept[VIRT_HPT_RULE_COUNT];
    guint maxPerRule;
    guint order;
    guint64 valid;
    guint64 bolted;
    guint64 secondary;
    guint64 boltedBytes;
    VirtHptVrma vrma;
} VirtHptCheck;

/* One entry under scrutiny */
typedef struct {
    guint64 slot;
    VirtHptEntry entry;
    VirtHptPageSize size;
} VirtHptCheckSubject;

void virtHptCheckInit(VirtHptCheck *check,
                      const VirtHptTable *table,
                      guint order,
                      const VirtHptCheckContext *context);
VirtHptReport *virtHptCheckFinish(VirtHptCheck *check);

gboolean virtHptCheckCount(VirtHptCheck *check, VirtHptRule rule);
void virtHptCheckKeep(VirtHptCheck *check,
                      VirtHptRule rule,
                      const VirtHptCheckSubject *subject,
                      char *found,
                      char *expected);

void virtHptCheckEntry(VirtHptCheck *check, guint64 slot);
void virtHptCheckPlacement(VirtHptCheck *check, const VirtHptPageSize *size, guint64 entries);
gboolean virtHptCheckUnusualSize(const VirtHptPageSize *size);

/*
 * VirtHptPlainSize:
 * @vRefused: bits of V that no plain entry has
 * @rMask: bits of R that must be as in @rWanted
 * @rLast: the highest R: RPN, with the encoding of the page size, and all bits below
 * @verify: bits of the PTEG number that must be those of the hash
 * @entries: plain ones, and those of them that are @bolted
 *
 * What makes an entry of that page size a plain one.
 */
typedef struct {
    VirtHptPageSize size;
    guint64 vRefused;
    guint64 rMask;
    guint64 rWanted;
    guint64 rLast;
    guint64 verify;
    guint64 entries;
    guint64 bolted;
} VirtHptPlainSize;

/* Of @sizes the first stands for none */
typedef struct {
    VirtHptPlainSize sizes[8];
    guint8 nsizes;
    guint8 encodings[512];
    guint64 secondary;
} VirtHptPlain;

void virtHptPlainInit(VirtHptPlain *plain, const VirtHptCheck *check);
gboolean virtHptPlainPteg(VirtHptPlain *plain, const VirtHptTable *table, guint64 pteg);
void virtHptPlainFinish(const VirtHptPlain *plain, VirtHptCheck *check);

G_END_DECLS
