/*
 * htab_kvmpriv.h: what reader and writer of the kernel's HPT file descriptor share
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "libvirt-hpt/htab_kvm.h"

G_BEGIN_DECLS

/* What one read(2) or write(2) moves at most: a header and 4095 entries, and 8 bytes */
#define VIRT_HPT_KVM_BUFFER_SIZE ((gsize)64 * 1024)

gboolean virtHptKvmCheckOrder(guint order, GError **error);
void virtHptKvmSetError(GError **error, int number, const char *what);

G_END_DECLS
