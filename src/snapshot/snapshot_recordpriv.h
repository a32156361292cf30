/*
 * snapshot_recordpriv.h: what the files that implement records share
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "snapshot/snapshot_location.h"
#include "snapshot/snapshot_record.h"

G_BEGIN_DECLS

/* A file's modification time as the descriptor has it: nanoseconds since the epoch. */
static inline gint64
virtHptMtime(const struct stat *st)
{
    return (gint64)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

VirtHptRecord *virtHptRecordOpenAt(const VirtHptLocation *location, GError **error);

G_END_DECLS
