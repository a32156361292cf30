/*
 * htab_checkpriv.h: what the files of a check share
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "libvirt-hpt/htab_check.h"

G_BEGIN_DECLS

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

G_END_DECLS
