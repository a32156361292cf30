/*
 * snapshot_watch.h: notice that files change, or others take their place
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <sys/stat.h>

#include <glib.h>

G_BEGIN_DECLS

typedef struct _VirtHptWatch VirtHptWatch;

/**
 * VirtHptWatchKind:
 * @VIRT_HPT_WATCH_OURS: nobody but us has any business with the files
 * @VIRT_HPT_WATCH_SHARED: libvirt hands them to QEMU's user and back meanwhile, which changes their
 *   owner, labels and change time
 */
typedef enum {
    VIRT_HPT_WATCH_OURS,
    VIRT_HPT_WATCH_SHARED,
} VirtHptWatchKind;

VirtHptWatch *virtHptWatchNew(void);
void virtHptWatchFree(VirtHptWatch *watch);

void virtHptWatchAddOpen(VirtHptWatch *watch, const char *path, int fd, const struct stat *st);
gboolean virtHptWatchAdd(VirtHptWatch *watch, const char *path, GError **error);
gboolean virtHptWatchCheck(VirtHptWatch *watch, VirtHptWatchKind kind, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptWatch, virtHptWatchFree)

G_END_DECLS
