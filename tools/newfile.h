/*
 * newfile.h: a file that appears whole or not at all
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#pragma once

#include <sys/stat.h>

#include <glib.h>

G_BEGIN_DECLS

/**
 * VirtHptNewFile:
 * @path: as the caller gave it, for messages
 * @name: last component of @path
 * @temporary: name of the file until it has @name, or %NULL where it has none
 * @dir: the directory, open
 * @fd: the file, open for writing, or -1
 * @replace: whether a regular file of that name may be replaced
 */
typedef struct {
    char *path;
    char *name;
    char *temporary;
    int dir;
    int fd;
    gboolean replace;
} VirtHptNewFile;

VirtHptNewFile *virtHptNewFilePrepare(const char *path, gboolean replace, GError **error);
gboolean virtHptNewFileGetOld(const VirtHptNewFile *file, struct stat *old);
gboolean virtHptNewFileOpen(VirtHptNewFile *file, GError **error);
gboolean virtHptNewFileCommit(VirtHptNewFile *file, GError **error);
void virtHptNewFileFree(VirtHptNewFile *file);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptNewFile, virtHptNewFileFree)

G_END_DECLS
