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
 * @ram: (element-type VirtHptRamRange): what is RAM, ascending, ranges that touch as one; empty
 * where it is not known
 * @valid: entries, and those of them that are @bolted or @secondary
 * @boltedBytes: what bolted, cacheable entries map, saturating
 */
typedef struct {
    const VirtHptTable *table;
    const VirtHptCheckContext *context;
    GArray *ram;
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

/*
 * VirtHptSuspects:
 * @VIRT_HPT_SUSPECT_V: bits of V, the page size included
 * @VIRT_HPT_SUSPECT_R: bits of R other than the page size
 * @VIRT_HPT_SUSPECT_PLACE: the PTEG is not one of the hash
 * @VIRT_HPT_SUSPECT_VRMA: it is in the segment of the VRMA
 * @VIRT_HPT_SUSPECT_DOUBLE: another entry may be for the same virtual page
 *
 * What rules might have something to say about in an entry; about the rest they have nothing.
 */
typedef enum {
    VIRT_HPT_SUSPECT_V = 1,
    VIRT_HPT_SUSPECT_R = 2,
    VIRT_HPT_SUSPECT_PLACE = 4,
    VIRT_HPT_SUSPECT_VRMA = 8,
    VIRT_HPT_SUSPECT_DOUBLE = 16,
} VirtHptSuspects;

#define VIRT_HPT_SUSPECT_ALL 31

/*
 * VirtHptCheckSubject:
 * @size: its page size, if V is not suspect
 * @suspects: what is to be looked at, of #VirtHptSuspects
 *
 * One entry under scrutiny
 */
typedef struct {
    guint64 slot;
    VirtHptEntry entry;
    VirtHptPageSize size;
    guint suspects;
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

void virtHptCheckEntry(VirtHptCheck *check, VirtHptCheckSubject *subject);
void virtHptCheckDuplicate(VirtHptCheck *check,
                           const VirtHptCheckSubject *subject,
                           const VirtHptAddress *address);
void virtHptCheckPlacement(VirtHptCheck *check, const VirtHptPageSize *size, guint64 entries);
gboolean virtHptCheckUnusualSize(const VirtHptPageSize *size);

/*
 * VirtHptPlainSize:
 * @vRefused: bits of V that no plain entry has
 * @rMask: bits of R that must be as in @rWanted
 * @rLast: the highest R: RPN, with the encoding of the page size, and all bits below
 * @verify: bits of the PTEG number that must be those of the hash
 * @entries: those that need not be counted again, and how many of them are @bolted and cached
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
    guint64 boltedDevices;
} VirtHptPlain;

void virtHptPlainInit(VirtHptPlain *plain, const VirtHptCheck *check);
gboolean virtHptPlainPteg(VirtHptPlain *plain, const VirtHptTable *table, guint64 pteg);
guint virtHptPlainSuspects(VirtHptPlain *plain,
                           const VirtHptTable *table,
                           guint64 pteg,
                           VirtHptCheckSubject subjects[VIRT_HPT_PTEG_SLOTS]);
void virtHptPlainFinish(const VirtHptPlain *plain, VirtHptCheck *check);

G_END_DECLS
