/*
 * snapshot_state.c: the directory that keeps what belongs to a domain and lies beside no image
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "libvirt-hpt/htab_error.h"
#include "snapshot/snapshot_dir.h"
#include "snapshot/snapshot_state.h"

#define STATE_SUBDIR "libvirt-hpt"

/* Opens @name in @parent, which is closed; makes it first if asked to. */
static int
descend(int parent, const char *name, gboolean create)
{
    int fd;
    int code;

    if (parent < 0)
        return -1;
    if (create && mkdirat(parent, name, 0700) < 0 && errno != EEXIST)
        fd = -1;
    else
        fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    code = errno;
    close(parent);
    errno = code;
    return fd;
}

/**
 * virtHptStateDirPath:
 * @uuid: of a domain, in canonical form
 *
 * Returns: (transfer full): the path of the domain's directory, which need not exist
 */
char *
virtHptStateDirPath(const char *uuid)
{
    return g_build_filename(STATEDIR, STATE_SUBDIR, uuid, NULL);
}

/**
 * virtHptStateDirOpen:
 * @uuid: of a domain, in canonical form
 * @create: whether to make the directory
 * @error: set on failure: %VIRT_HPT_ERROR_NOT_FOUND where it does not exist, or,
 *   without @create, is not ours to see; %VIRT_HPT_ERROR_UNTRUSTED where others could change it,
 * %VIRT_HPT_ERROR_IO
 *
 * Returns: the domain's directory, open, or -1
 */
int
virtHptStateDirOpen(const char *uuid, gboolean create, GError **error)
{
    g_autofree char *path = virtHptStateDirPath(uuid);
    int dir = open(STATEDIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    dir = descend(dir, STATE_SUBDIR, create);
    dir = descend(dir, uuid, create);
    if (dir < 0) {
        /* Root's records are root's to see: for others there are none. */
        gboolean none = errno == ENOENT || (errno == EACCES && !create);

        g_set_error(error, VIRT_HPT_ERROR, none ? VIRT_HPT_ERROR_NOT_FOUND : VIRT_HPT_ERROR_IO,
                    _("cannot open the directory '%1$s': %2$s"), path, g_strerror(errno));
        return -1;
    }
    if (!virtHptDirIsOwn(dir)) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNTRUSTED,
            _("the directory '%1$s' is not yours alone: expected one of root's or your own"), path);
        close(dir);
        return -1;
    }
    return dir;
}
