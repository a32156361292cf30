/*
 * htab_tablepriv.h: what a table is made of, for htab_table.c and tests, and a part of decoding
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "libvirt-hpt/htab_table.h"

G_BEGIN_DECLS

/* 4 KiB, the smallest page of the machines that this runs on */
#define VIRT_HPT_CHUNK_SLOTS 256

struct _VirtHptTable {
    guint order;
    guint64 slots;
    guint64 *words;  /* two a slot, V before R, in wire order */
    guint64 *chunks; /* bit n is set when chunk n may hold an entry */
};

gboolean virtHptTableCopyPlain(VirtHptTable *table, guint64 slot, const guint8 *hptes, guint64 n);

G_END_DECLS
