/*
 * newfile.c: a file that appears whole or not at all
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Written without a name, so that nothing is left of it should we be killed; where the file system
 * cannot do that, under a temporary one.  The directory that it is for is opened once and worked in
 * by descriptor: whoever renames it meanwhile does not send us elsewhere.
 */

#include "config.h"

#include "newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libvirt-hpt/htab_error.h"

#define ATTEMPTS_MAX 100

static void
setErrno(GError **error, const char *path, int errnum)
{
    g_set_error(error, VIRT_HPT_ERROR, errnum == EEXIST ? VIRT_HPT_ERROR_EXISTS : VIRT_HPT_ERROR_IO,
                _("cannot create '%1$s': %2$s"), path, g_strerror(errnum));
}

/* What is there must not be lost, unless it is a plain file and the user said so */
static gboolean
checkOld(const VirtHptNewFile *file, GError **error)
{
    struct stat old;

    if (!virtHptNewFileGetOld(file, &old))
        return TRUE;
    if (!S_ISREG(old.st_mode)) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_EXISTS,
                    _("'%s' is not a regular file, and is not replaced"), file->path);
        return FALSE;
    }
    if (!file->replace) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_EXISTS,
                    _("'%s' exists already: --force replaces it"), file->path);
        return FALSE;
    }
    return TRUE;
}

/**
 * virtHptNewFilePrepare:
 * @path: the file to be
 * @replace: whether a regular file of that name may be replaced
 * @error: set on failure: %VIRT_HPT_ERROR_EXISTS, %VIRT_HPT_ERROR_IO
 *
 * Finds what can be found out before the file is written, which may be long after.
 *
 * Returns: (transfer full): a file that is not there yet, or %NULL
 */
VirtHptNewFile *
virtHptNewFilePrepare(const char *path, gboolean replace, GError **error)
{
    g_autoptr(VirtHptNewFile) file = g_new0(VirtHptNewFile, 1);
    g_autofree char *directory = g_path_get_dirname(path);
    gsize length = strlen(path);

    file->path = g_strdup(path);
    file->name = g_path_get_basename(path);
    file->replace = replace;
    file->fd = -1;
    file->dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file->dir < 0) {
        setErrno(error, path, errno);
        return NULL;
    }
    if (length == 0 || path[length - 1] == '/') {
        setErrno(error, path, length == 0 ? ENOENT : EISDIR);
        return NULL;
    }
    if (!checkOld(file, error))
        return NULL;
    return g_steal_pointer(&file);
}

/**
 * virtHptNewFileGetOld:
 * @file: a file
 * @old: (out): what has its name now, a link itself
 *
 * Returns: %FALSE if there is nothing
 */
gboolean
virtHptNewFileGetOld(const VirtHptNewFile *file, struct stat *old)
{
    return fstatat(file->dir, file->name, old, AT_SYMLINK_NOFOLLOW) == 0;
}

static char *
temporaryName(void)
{
    return g_strdup_printf(".virt-hpt.%08x%08x", g_random_int(), g_random_int());
}

/* A file without a name can get one only through this link (open(2), O_TMPFILE) */
static int
linkUnnamed(const VirtHptNewFile *file, const char *name)
{
    g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", file->fd);

    return linkat(AT_FDCWD, link, file->dir, name, AT_SYMLINK_FOLLOW);
}

static gboolean
openUnnamed(VirtHptNewFile *file)
{
    if (access("/proc/self/fd", X_OK) == 0)
        file->fd = openat(file->dir, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
    return file->fd >= 0;
}

/**
 * virtHptNewFileOpen:
 * @file: a file
 * @error: set on failure: %VIRT_HPT_ERROR_IO
 *
 * Opens @fd, which nobody else may read.
 *
 * Returns: %FALSE with @error set
 */
gboolean
virtHptNewFileOpen(VirtHptNewFile *file, GError **error)
{
    if (openUnnamed(file))
        return TRUE;
    for (int i = 0; i < ATTEMPTS_MAX; i++) {
        g_autofree char *name = temporaryName();

        file->fd =
            openat(file->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (file->fd >= 0) {
            file->temporary = g_steal_pointer(&name);
            return TRUE;
        }
        if (errno != EEXIST)
            break;
    }
    setErrno(error, file->path, errno);
    return FALSE;
}

/* Not every file system can rename without replacing (NFS): there a link does the same */
static int
renameNew(const VirtHptNewFile *file)
{
    if (renameat2(file->dir, file->temporary, file->dir, file->name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    if (linkat(file->dir, file->temporary, file->dir, file->name, 0) < 0)
        return -1;
    return unlinkat(file->dir, file->temporary, 0);
}

/* Only a rename replaces, and it needs a name to begin with */
static int
nameFile(VirtHptNewFile *file)
{
    g_autofree char *name = NULL;

    if (!file->temporary) {
        if (linkUnnamed(file, file->name) == 0)
            return 0;
        if (errno != EEXIST || !file->replace)
            return -1;
        name = temporaryName();
        if (linkUnnamed(file, name) < 0)
            return -1;
        file->temporary = g_steal_pointer(&name);
    }
    if (file->replace)
        return renameat(file->dir, file->temporary, file->dir, file->name);
    return renameNew(file);
}

/**
 * virtHptNewFileCommit:
 * @file: a file that was written
 * @error: set on failure: %VIRT_HPT_ERROR_EXISTS, %VIRT_HPT_ERROR_IO
 *
 * Gives the file its name once it is safely stored.
 *
 * Returns: %FALSE with @error set
 */
gboolean
virtHptNewFileCommit(VirtHptNewFile *file, GError **error)
{
    if (!checkOld(file, error))
        return FALSE;
    if (fsync(file->fd) < 0) {
        setErrno(error, file->path, errno);
        return FALSE;
    }
    if (nameFile(file) < 0) {
        setErrno(error, file->path, errno);
        return FALSE;
    }
    g_clear_pointer(&file->temporary, g_free);
    if (fsync(file->dir) < 0 && errno != EINVAL) {
        setErrno(error, file->path, errno);
        return FALSE;
    }
    return TRUE;
}

/**
 * virtHptNewFileFree:
 * @file: (nullable): a file
 *
 * What was not committed leaves no trace.
 */
void
virtHptNewFileFree(VirtHptNewFile *file)
{
    if (!file)
        return;
    if (file->temporary)
        unlinkat(file->dir, file->temporary, 0);
    if (file->fd >= 0)
        close(file->fd);
    if (file->dir >= 0)
        close(file->dir);
    g_free(file->temporary);
    g_free(file->name);
    g_free(file->path);
    g_free(file);
}
