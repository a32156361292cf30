/*
 * snapshot_place.c: where an image lies, and where its record belongs
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "libvirt-hpt/htab_error.h"
#include "qemu/qemu_image.h"
#include "snapshot/snapshot_place.h"

void
virtHptPlaceFree(VirtHptPlace *place)
{
    if (!place)
        return;
    g_free(place->path);
    g_free(place->name);
    if (place->fd >= 0)
        close(place->fd);
    if (place->dir >= 0)
        close(place->dir);
    g_free(place);
}

/**
 * virtHptPlaceIsRecord:
 * @path: what a user named
 *
 * Returns: whether @path can only be a record: it is a directory
 */
gboolean
virtHptPlaceIsRecord(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Splits the image's real path, and opens its directory. */
static gboolean
placeResolve(VirtHptPlace *place, const char *path, GError **error)
{
    char *resolved = realpath(path, NULL);
    g_autofree char *directory = NULL;

    if (resolved) {
        place->path = g_strdup(resolved);
        free(resolved);
        place->name = g_path_get_basename(place->path);
        directory = g_path_get_dirname(place->path);
        place->dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (place->dir < 0) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO,
                    _("cannot open the directory of '%1$s': %2$s"), path, g_strerror(errno));
        return FALSE;
    }
    return TRUE;
}

/**
 * virtHptPlaceOpen:
 * @path: an image; links are followed
 * @error: set on failure: %VIRT_HPT_ERROR_NOT_FOUND, %VIRT_HPT_ERROR_IO,
 *   %VIRT_HPT_ERROR_UNSUPPORTED for what is neither a regular file nor a block device
 *
 * Returns: (transfer full): the place, or %NULL
 */
VirtHptPlace *
virtHptPlaceOpen(const char *path, GError **error)
{
    g_autoptr(VirtHptPlace) place = g_new0(VirtHptPlace, 1);
    struct stat st;

    place->dir = -1;
    place->fd = virtHptImageOpenFile(path, &place->stat, error);
    if (place->fd < 0)
        return NULL;
    if (!placeResolve(place, path, error))
        return NULL;
    if (fstatat(place->dir, place->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        st.st_dev != place->stat.st_dev || st.st_ino != place->stat.st_ino) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO,
                    _("'%1$s' was replaced while it was opened: try again"), path);
        return NULL;
    }
    return g_steal_pointer(&place);
}
