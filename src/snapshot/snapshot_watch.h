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

/**
 * VirtHptFileMark:
 * @path: of a file or device
 * @device: of a struct stat, of a device the one that it is
 * @inode: 0 for a device, as are the next ones
 * @size: in bytes
 * @seconds: of the time of change of the contents, since 1970
 * @nanoseconds: of that second
 *
 * What shows another process that a file is the same: what of it libvirt does not change when it
 * hands the file to QEMU's user and back.
 */
typedef struct {
    char *path;
    guint64 device;
    guint64 inode;
    guint64 size;
    gint64 seconds;
    gint64 nanoseconds;
} VirtHptFileMark;

VirtHptWatch *virtHptWatchNew(void);
void virtHptWatchFree(VirtHptWatch *watch);

void virtHptWatchAddOpen(VirtHptWatch *watch, const char *path, int fd, const struct stat *st);
gboolean virtHptWatchAdd(VirtHptWatch *watch, const char *path, GError **error);
gboolean virtHptWatchCheck(VirtHptWatch *watch, VirtHptWatchKind kind, GError **error);
void virtHptWatchMark(const VirtHptWatch *watch, GPtrArray *marks);

GPtrArray *virtHptFileMarksNew(void);
VirtHptFileMark *virtHptFileMarkNew(const char *path);
void virtHptFileMarkFree(VirtHptFileMark *mark);
void virtHptFileMarkFill(VirtHptFileMark *mark, const struct stat *st);
gboolean virtHptFileMarkIsSame(const VirtHptFileMark *mark);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptWatch, virtHptWatchFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptFileMark, virtHptFileMarkFree)

G_END_DECLS
