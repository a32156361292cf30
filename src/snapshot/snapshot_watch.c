/*
 * snapshot_watch.c: notice that files change, or others take their place
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Each file is held by a descriptor, so that its inode number cannot go to another one as long as
 * it is watched.  Contents are not looked at.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "libvirt-hpt/htab_error.h"
#include "snapshot/snapshot_watch.h"

typedef struct {
    char *path;
    int fd; /* it holds the file */
    struct stat before;
} Watched;

struct _VirtHptWatch {
    GPtrArray *files; /* (element-type Watched) */
};

static void
watchedFree(gpointer data)
{
    Watched *file = data;

    if (file->fd >= 0)
        close(file->fd);
    g_free(file->path);
    g_free(file);
}

/**
 * virtHptWatchNew:
 *
 * Returns: (transfer full): a watch of no files
 */
VirtHptWatch *
virtHptWatchNew(void)
{
    VirtHptWatch *watch = g_new0(VirtHptWatch, 1);

    watch->files = g_ptr_array_new_with_free_func(watchedFree);
    return watch;
}

void
virtHptWatchFree(VirtHptWatch *watch)
{
    if (!watch)
        return;
    g_ptr_array_unref(watch->files);
    g_free(watch);
}

static gboolean
failStat(const char *path, GError **error)
{
    g_set_error(error, VIRT_HPT_ERROR,
                errno == ENOENT ? VIRT_HPT_ERROR_NOT_FOUND : VIRT_HPT_ERROR_IO,
                _("cannot stat '%1$s': %2$s"), path, g_strerror(errno));
    return FALSE;
}

/**
 * virtHptWatchAddOpen:
 * @watch: a watch
 * @path: of a file or device
 * @fd: (transfer full): what @path led to
 * @st: of @fd
 *
 * Watches from now on whether @path leads to what it led to at @st.
 */
void
virtHptWatchAddOpen(VirtHptWatch *watch, const char *path, int fd, const struct stat *st)
{
    Watched *file = g_new0(Watched, 1);

    file->path = g_strdup(path);
    file->fd = fd;
    file->before = *st;
    g_ptr_array_add(watch->files, file);
}

/**
 * virtHptWatchAdd:
 * @watch: a watch
 * @path: of a file or device; links are followed, as libvirt and QEMU do
 * @error: set on failure: %VIRT_HPT_ERROR_NOT_FOUND, %VIRT_HPT_ERROR_IO
 *
 * Watches a file from now on.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptWatchAdd(VirtHptWatch *watch, const char *path, GError **error)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        failStat(path, error);
        if (fd >= 0)
            close(fd);
        return FALSE;
    }
    virtHptWatchAddOpen(watch, path, fd, &st);
    return TRUE;
}

static gboolean
isSameTime(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Of a device see virtHptFileMarkFill(). */
static gboolean
isSame(const struct stat *a, const struct stat *b, VirtHptWatchKind kind)
{
    if ((a->st_mode & S_IFMT) != (b->st_mode & S_IFMT))
        return FALSE;
    if (S_ISBLK(a->st_mode))
        return a->st_rdev == b->st_rdev;
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           isSameTime(&a->st_mtim, &b->st_mtim) &&
           (kind == VIRT_HPT_WATCH_SHARED || isSameTime(&a->st_ctim, &b->st_ctim));
}

/**
 * virtHptWatchCheck:
 * @watch: a watch
 * @kind: who else may have touched the files since they were added or checked last
 * @error: set on failure: %VIRT_HPT_ERROR_DAMAGED where a file was changed or replaced,
 *   %VIRT_HPT_ERROR_NOT_FOUND, %VIRT_HPT_ERROR_IO
 *
 * Returns: %TRUE if each path still leads to the same, unchanged file, or %FALSE with @error set
 */
gboolean
virtHptWatchCheck(VirtHptWatch *watch, VirtHptWatchKind kind, GError **error)
{
    for (guint i = 0; i < watch->files->len; i++) {
        Watched *file = g_ptr_array_index(watch->files, i);
        struct stat now;

        if (stat(file->path, &now) < 0)
            return failStat(file->path, error);
        if (!isSame(&file->before, &now, kind)) {
            g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_DAMAGED,
                        _("'%1$s' was changed or replaced by somebody meanwhile"), file->path);
            return FALSE;
        }
        file->before.st_ctim = now.st_ctim;
    }
    return TRUE;
}

void
virtHptFileMarkFree(VirtHptFileMark *mark)
{
    if (!mark)
        return;
    g_free(mark->path);
    g_free(mark);
}

static void
markFree(gpointer data)
{
    virtHptFileMarkFree(data);
}

/**
 * virtHptFileMarksNew:
 *
 * Returns: (transfer full) (element-type VirtHptFileMark): no marks, which frees those it gets
 */
GPtrArray *
virtHptFileMarksNew(void)
{
    return g_ptr_array_new_with_free_func(markFree);
}

/**
 * virtHptFileMarkNew:
 * @path: of a file or device
 *
 * Returns: (transfer full): a mark of it that says nothing yet
 */
VirtHptFileMark *
virtHptFileMarkNew(const char *path)
{
    VirtHptFileMark *mark = g_new0(VirtHptFileMark, 1);

    mark->path = g_strdup(path);
    return mark;
}

/**
 * virtHptFileMarkFill:
 * @mark: (inout): a mark
 * @st: of the file
 *
 * Notes what the file is.  A device's name may be made anew, and its times say nothing of what is
 * on it.
 */
void
virtHptFileMarkFill(VirtHptFileMark *mark, const struct stat *st)
{
    if (S_ISBLK(st->st_mode)) {
        mark->device = st->st_rdev;
        return;
    }
    mark->device = st->st_dev;
    mark->inode = st->st_ino;
    mark->size = (guint64)st->st_size;
    mark->seconds = st->st_mtim.tv_sec;
    mark->nanoseconds = st->st_mtim.tv_nsec;
}

/**
 * virtHptWatchMark:
 * @watch: a watch
 * @marks: (element-type VirtHptFileMark): gets one of each file, as it was when it was added
 */
void
virtHptWatchMark(const VirtHptWatch *watch, GPtrArray *marks)
{
    for (guint i = 0; i < watch->files->len; i++) {
        const Watched *file = g_ptr_array_index(watch->files, i);
        VirtHptFileMark *mark = virtHptFileMarkNew(file->path);

        virtHptFileMarkFill(mark, &file->before);
        g_ptr_array_add(marks, mark);
    }
}

/**
 * virtHptFileMarkIsSame:
 * @mark: a mark, of this process or another
 *
 * Returns: whether its path leads to a file or device that cannot be told from the marked one
 */
gboolean
virtHptFileMarkIsSame(const VirtHptFileMark *mark)
{
    VirtHptFileMark now = {.path = NULL};
    struct stat st;

    if (stat(mark->path, &st) < 0)
        return FALSE;
    virtHptFileMarkFill(&now, &st);
    return now.device == mark->device && now.inode == mark->inode && now.size == mark->size &&
           now.seconds == mark->seconds && now.nanoseconds == mark->nanoseconds;
}
