/*
 * snapshot_digest.h: SHA-256, by GnuTLS
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "conf/hpt_snapshot_conf.h"
#include "libvirt-hpt/htab_error.h"

G_BEGIN_DECLS

typedef struct _VirtHptDigest VirtHptDigest;

VirtHptDigest *virtHptDigestNew(GError **error);
void virtHptDigestFree(VirtHptDigest *digest);

gboolean virtHptDigestUpdate(VirtHptDigest *digest,
                             const guint8 *data,
                             gsize length,
                             GError **error);
void virtHptDigestTake(VirtHptDigest *digest, guint8 result[VIRT_HPT_DIGEST_SIZE]);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptDigest, virtHptDigestFree)

G_END_DECLS
