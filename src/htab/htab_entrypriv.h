/*
 * htab_entrypriv.h: what the files of src/htab share about page sizes
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "libvirt-hpt/htab_entry.h"

G_BEGIN_DECLS

/* 16 GiB, the largest page that an HPTE can describe */
#define VIRT_HPT_PAGE_SHIFT_MAX 34

guint64 virtHptPageSizeGetEncoding(const VirtHptPageSize *size);
guint virtHptPageSizeHiddenBits(const VirtHptPageSize *size);
guint64 virtHptPageSizeVMask(const VirtHptPageSize *size);

gboolean virtHptEntryGetHash(const VirtHptEntry *entry, const VirtHptPageSize *size, guint64 *hash);

G_END_DECLS
