/*
 * snapshot_location.c: the directory and name that an image's record has, or will have
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Beside the image where that can be; else under the state directory, by the domain's UUID.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "conf/domain_conf.h"
#include "qemu/qemu_image.h"
#include "snapshot/snapshot_dir.h"
#include "snapshot/snapshot_location.h"
#include "snapshot/snapshot_state.h"

void
virtHptLocationFree(VirtHptLocation *location)
{
    if (!location)
        return;
    if (location->dir >= 0)
        close(location->dir);
    g_free(location->name);
    g_free(location->path);
    g_free(location);
}

static VirtHptLocation *
locationNew(int dir, const char *name, const char *path)
{
    VirtHptLocation *location = g_new0(VirtHptLocation, 1);

    location->dir = dir;
    location->name = g_strdup(name);
    location->path = g_strdup(path);
    return location;
}

/**
 * virtHptLocationIsBeside:
 * @place: an image
 *
 * Returns: whether a new record can lie beside the image: in a directory of ours that we may
 *   write to, and not among device nodes
 */
gboolean
virtHptLocationIsBeside(const VirtHptPlace *place)
{
    return S_ISREG(place->stat.st_mode) && virtHptDirIsOwn(place->dir) &&
           faccessat(place->dir, ".", W_OK, AT_EACCESS) == 0;
}

/**
 * virtHptLocationBeside:
 * @place: an image
 * @error: set on failure: %VIRT_HPT_ERROR_IO
 *
 * Returns: (transfer full): the location beside the image, whether or not there is a record, or
 *   %NULL
 */
VirtHptLocation *
virtHptLocationBeside(const VirtHptPlace *place, GError **error)
{
    g_autofree char *name = g_strconcat(place->name, VIRT_HPT_RECORD_SUFFIX, NULL);
    g_autofree char *path = g_strconcat(place->path, VIRT_HPT_RECORD_SUFFIX, NULL);
    int dir = fcntl(place->dir, F_DUPFD_CLOEXEC, 0);
    VirtHptLocation *location;

    if (dir < 0) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO, _("'%1$s': cannot open: %2$s"), path,
                    g_strerror(errno));
        return NULL;
    }
    location = locationNew(dir, name, path);
    location->beside = TRUE;
    return location;
}

/* The domain that the image is of, which libvirt's header tells. */
static char *
domainUuid(const VirtHptPlace *place, GError **error)
{
    g_autofree char *xml = NULL;
    g_autoptr(VirtHptDomainDef) domain = NULL;

    if (!virtHptImageReadDomainXml(place->fd, place->path, &xml, error))
        return NULL;
    if (xml) {
        domain = virtHptDomainDefParse(xml, strlen(xml), place->path, error);
        if (!domain)
            return NULL;
    }
    if (domain && domain->uuid)
        return g_strdup(domain->uuid);
    g_set_error(
        error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND,
        _("'%1$s' does not say which domain it is of, and its directory is not yours alone to write to, so there is no place for its record: copy it to a directory that is"),
        place->path);
    return NULL;
}

/**
 * virtHptLocationInState:
 * @place: an image
 * @create: whether to make the directory that holds the domain's records
 * @error: set on failure: %VIRT_HPT_ERROR_NOT_FOUND where the directory does not exist, or, without
 *   @create, is not ours to see or cannot hold that name, or the image does not say which domain it
 *   is of; %VIRT_HPT_ERROR_UNTRUSTED where others could change
 *   the directory; %VIRT_HPT_ERROR_UNSUPPORTED, %VIRT_HPT_ERROR_MALFORMED, %VIRT_HPT_ERROR_IO
 *
 * The record is named after the image's whole path, percent-encoded.
 *
 * Returns: (transfer full): the location under the state directory, or %NULL
 */
VirtHptLocation *
virtHptLocationInState(const VirtHptPlace *place, gboolean create, GError **error)
{
    g_autofree char *uuid = domainUuid(place, error);
    g_autofree char *escaped = g_uri_escape_string(place->path, NULL, FALSE);
    g_autofree char *name = g_strconcat(escaped, VIRT_HPT_RECORD_SUFFIX, NULL);
    g_autofree char *directory = NULL;
    g_autofree char *path = NULL;
    int dir;

    if (!uuid)
        return NULL;
    directory = virtHptStateDirPath(uuid);
    path = g_build_filename(directory, name, NULL);
    if (strlen(name) > NAME_MAX) {
        g_set_error(error, VIRT_HPT_ERROR,
                    create ? VIRT_HPT_ERROR_UNSUPPORTED : VIRT_HPT_ERROR_NOT_FOUND,
                    _("'%1$s': the path is too long to name a record after"), place->path);
        return NULL;
    }
    dir = virtHptStateDirOpen(uuid, create, error);
    if (dir < 0)
        return NULL;
    return locationNew(dir, name, path);
}

/* The path with its last component as it is, and links resolved in what precedes it; %NULL, with
 * errno set, where that does not exist. */
static char *
absolutePath(const char *path)
{
    g_autofree char *name = g_path_get_basename(path);
    g_autofree char *trimmed = g_strdup(path);
    g_autofree char *parent = NULL;
    gboolean whole = g_str_equal(name, ".") || g_str_equal(name, "..");
    char *resolved;
    char *absolute = NULL;

    for (gsize n = strlen(trimmed); n > 1 && trimmed[n - 1] == '/'; n--)
        trimmed[n - 1] = '\0';
    parent = g_path_get_dirname(trimmed);
    resolved = realpath(whole ? path : parent, NULL);
    if (resolved)
        absolute = whole ? g_strdup(resolved) : g_build_filename(resolved, name, NULL);
    free(resolved);
    return absolute;
}

/**
 * virtHptLocationOfPath:
 * @path: of a record directory, which need not exist
 * @error: set on failure: %VIRT_HPT_ERROR_NOT_FOUND, %VIRT_HPT_ERROR_IO
 *
 * Returns: (transfer full): its location, or %NULL
 */
VirtHptLocation *
virtHptLocationOfPath(const char *path, GError **error)
{
    g_autofree char *absolute = absolutePath(path);
    g_autofree char *name = absolute ? g_path_get_basename(absolute) : NULL;
    g_autofree char *parent = absolute ? g_path_get_dirname(absolute) : NULL;
    int dir = parent ? open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (dir < 0) {
        g_set_error(error, VIRT_HPT_ERROR,
                    errno == ENOENT ? VIRT_HPT_ERROR_NOT_FOUND : VIRT_HPT_ERROR_IO,
                    _("cannot open the directory of '%1$s': %2$s"), path, g_strerror(errno));
        return NULL;
    }
    return locationNew(dir, name, absolute);
}
