/*
 * snapshot_place.h: where an image lies, and where its record belongs
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <sys/stat.h>

#include <glib.h>

G_BEGIN_DECLS

/* A record is the directory with this suffix beside its image */
#define VIRT_HPT_RECORD_SUFFIX ".hpt"

/**
 * VirtHptPlace:
 * @path: absolute path of the image, links resolved
 * @name: last component of @path
 * @fd: the image, open for reading, or -1 where only the place is known
 * @dir: the directory that holds the image, open
 * @stat: of the image when it was opened
 */
typedef struct {
    char *path;
    char *name;
    int fd;
    int dir;
    struct stat stat;
} VirtHptPlace;

VirtHptPlace *virtHptPlaceOpen(const char *path, GError **error);
void virtHptPlaceFree(VirtHptPlace *place);

gboolean virtHptPlaceIsRecord(const char *path);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptPlace, virtHptPlaceFree)

G_END_DECLS
