/*
 * snapshot_dir.c: record directories: opened only where they are our own, made whole or not at all
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A draft is filled, synced, and renamed.  Whoever kills us before the rename leaves a draft
 * behind, which nobody reads and the next draft in that directory removes: a draft in use is
 * locked.  Another host may not see that lock, so a draft has the mark of the system it was made
 * on.
 */

#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "libvirt-hpt/htab_error.h"
#include "snapshot/snapshot_dir.h"

#define DRAFT_PREFIX ".virt-hpt."
#define DRAFT_ATTEMPTS 16
/* Seconds after which nobody fills a draft any more: to read an image takes minutes */
#define DRAFT_AGE_MAX ((gint64)24 * 60 * 60)

#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_USED 13

static const char *const recordFiles[] = {
    VIRT_HPT_RECORD_DESCRIPTOR,
    VIRT_HPT_RECORD_TABLE,
    VIRT_HPT_RECORD_STATE,
};

/* Sets an error from errno; @what: what could not be done, translated. */
static gboolean
setErrno(GError **error, const char *path, const char *what)
{
    int code = errno;

    g_set_error(error, VIRT_HPT_ERROR,
                code == ENOENT ? VIRT_HPT_ERROR_NOT_FOUND : VIRT_HPT_ERROR_IO,
                _("'%1$s': %2$s: %3$s"), path, what, g_strerror(code));
    return FALSE;
}

static gboolean
isOwn(const struct stat *st)
{
    return (st->st_uid == geteuid() || st->st_uid == 0) && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

/**
 * virtHptDirIsOwn:
 * @dir: an open directory
 *
 * Returns: whether nobody but us and root can change what is in it: a directory of ours or
 *   root's, and if a group or others may write to it, one that keeps them from our files (sticky)
 */
gboolean
virtHptDirIsOwn(int dir)
{
    struct stat st;

    if (fstat(dir, &st) < 0 || (st.st_uid != geteuid() && st.st_uid != 0))
        return FALSE;
    return !(st.st_mode & (S_IWGRP | S_IWOTH)) || (st.st_mode & S_ISVTX);
}

/**
 * virtHptDirOpen:
 * @parent: the directory it lies in, open
 * @name: its name there
 * @path: what messages call it
 * @error: set on failure: %VIRT_HPT_ERROR_NOT_FOUND, %VIRT_HPT_ERROR_UNTRUSTED where it is a link,
 *   a file, or somebody else's, %VIRT_HPT_ERROR_IO
 *
 * Returns: the record directory, open, or -1
 */
int
virtHptDirOpen(int parent, const char *name, const char *path, GError **error)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0 && (errno == ELOOP || errno == ENOTDIR)) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNTRUSTED,
            _("'%1$s' is a link or a file: expected a record directory, so it is not used; remove it if it is not yours"),
            path);
        return -1;
    }
    if (fd < 0) {
        setErrno(error, path, _("cannot open the record"));
        return -1;
    }
    if (fstat(fd, &st) < 0 || !isOwn(&st)) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNTRUSTED,
            _("'%1$s' belongs to user %2$u and has mode %3$04o: a record is trusted only if it is root's or your own and nobody else can write to it"),
            path, st.st_uid, st.st_mode & 07777);
        close(fd);
        return -1;
    }
    return fd;
}

/* A file of the record is not there.  Who replaces a record removes the old one's files. */
static void
setMissing(GError **error, int dir, const char *path, const char *file)
{
    struct stat byName;
    struct stat open;

    if (fstat(dir, &open) == 0 &&
        (lstat(path, &byName) < 0 || byName.st_dev != open.st_dev || byName.st_ino != open.st_ino))
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO,
                    _("'%1$s' was replaced while it was read: try again"), path);
    else
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_DAMAGED,
                    _("'%1$s' is missing: make the record anew"), file);
}

/**
 * virtHptDirOpenFile:
 * @dir: a record directory, open
 * @name: a file in it
 * @path: of the directory
 * @error: set on failure: %VIRT_HPT_ERROR_DAMAGED where it is missing, %VIRT_HPT_ERROR_UNTRUSTED,
 *   %VIRT_HPT_ERROR_IO
 *
 * Returns: the file, open for reading, or -1
 */
int
virtHptDirOpenFile(int dir, const char *name, const char *path, GError **error)
{
    g_autofree char *file = g_build_filename(path, name, NULL);
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 && errno == ENOENT) {
        setMissing(error, dir, path, file);
        return -1;
    }
    if (fd < 0 && errno != ELOOP) {
        setErrno(error, file, _("cannot open"));
        return -1;
    }
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !isOwn(&st) || st.st_nlink != 1) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNTRUSTED,
            _("'%1$s' is not a plain file of root's or your own with one name that nobody else can write to: the record is not used"),
            file);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

/* Removes a directory of ours that lies under a draft's name, unless another process did. */
static gboolean
removeDraft(int parent, const char *temporary, int dir)
{
    for (gsize i = 0; i < G_N_ELEMENTS(recordFiles); i++) {
        if (unlinkat(dir, recordFiles[i], 0) < 0 && errno != ENOENT)
            return FALSE;
    }
    return unlinkat(parent, temporary, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

/*
 * Returns what the names of drafts begin with that are made on this running system, whose processes
 * see each other's locks; %NULL where it cannot be told from others.
 */
static char *
systemPrefix(void)
{
    g_autofree char *id = NULL;
    gsize length;

    if (!g_file_get_contents(BOOT_ID, &id, &length, NULL) || length < BOOT_ID_USED)
        return NULL;
    return g_strdup_printf(DRAFT_PREFIX "%.*s.", BOOT_ID_USED, id);
}

/* Whether nobody can be filling a draft, whose directory is open and not locked. */
static gboolean
isLeft(int dir, const char *name, const char *prefix, gint64 now)
{
    struct stat st;

    if (fstat(dir, &st) < 0 || st.st_uid != geteuid())
        return FALSE;
    return (prefix && g_str_has_prefix(name, prefix)) || st.st_ctim.tv_sec < now - DRAFT_AGE_MAX;
}

/**
 * virtHptDirReapDrafts:
 * @parent: a directory that holds records, open
 * @now: seconds since the epoch
 *
 * Removes what a killed process left: drafts of ours that nobody holds a lock on, and that were
 * made on this system since it was started, or over a day ago.  Locks are a host's own where NFS is
 * mounted so, and with many FUSE file systems: what another host is filling would not seem locked.
 */
void
virtHptDirReapDrafts(int parent, gint64 now)
{
    g_autofree char *prefix = systemPrefix();
    int fd = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (!stream) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((entry = readdir(stream))) {
        int dir;

        if (!g_str_has_prefix(entry->d_name, DRAFT_PREFIX))
            continue;
        dir = openat(parent, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (dir < 0)
            continue;
        if (flock(dir, LOCK_EX | LOCK_NB) == 0 && isLeft(dir, entry->d_name, prefix, now))
            removeDraft(parent, entry->d_name, dir);
        close(dir);
    }
    closedir(stream);
}

static char *
draftName(GError **error)
{
    g_autofree char *prefix = systemPrefix();
    guint64 number;

    if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number)) {
        setErrno(error, DRAFT_PREFIX, _("cannot choose a random name"));
        return NULL;
    }
    return g_strdup_printf("%s%016" PRIx64, prefix ? prefix : DRAFT_PREFIX, number);
}

/* Whether the open directory still has the name: a reaper may have come between. */
static gboolean
hasName(int parent, const char *name, int dir)
{
    struct stat byName;
    struct stat open;

    return fstatat(parent, name, &byName, AT_SYMLINK_NOFOLLOW) == 0 && fstat(dir, &open) == 0 &&
           byName.st_dev == open.st_dev && byName.st_ino == open.st_ino;
}

void
virtHptDirDraftFree(VirtHptDirDraft *draft)
{
    if (!draft)
        return;
    if (draft->dir >= 0) {
        if (draft->temporary)
            removeDraft(draft->parent, draft->temporary, draft->dir);
        close(draft->dir);
    }
    g_free(draft->temporary);
    g_free(draft);
}

/**
 * virtHptDirDraftNew:
 * @parent: where the record will appear, open; stays open until the draft is freed
 * @path: what messages call the record
 * @error: set on failure: %VIRT_HPT_ERROR_IO
 *
 * Makes an empty directory of mode 0700 under a random name.  Freeing it before it was published
 * removes it.
 *
 * Returns: (transfer full): the draft, or %NULL
 */
VirtHptDirDraft *
virtHptDirDraftNew(int parent, const char *path, GError **error)
{
    g_autoptr(VirtHptDirDraft) draft = g_new0(VirtHptDirDraft, 1);

    draft->parent = parent;
    draft->dir = -1;
    for (guint i = 0; i < DRAFT_ATTEMPTS; i++) {
        g_autofree char *name = draftName(error);

        if (!name)
            return NULL;
        if (mkdirat(parent, name, 0700) < 0) {
            if (errno == EEXIST)
                continue;
            setErrno(error, path, _("cannot create the record"));
            return NULL;
        }
        draft->dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        /* Where there are no locks, nobody takes the draft for one that was left. */
        if (draft->dir >= 0 &&
            (flock(draft->dir, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) &&
            hasName(parent, name, draft->dir)) {
            draft->temporary = g_steal_pointer(&name);
            return g_steal_pointer(&draft);
        }
        unlinkat(parent, name, AT_REMOVEDIR);
        if (draft->dir >= 0)
            close(draft->dir);
        draft->dir = -1;
    }
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO,
                _("'%1$s': cannot create the record: other processes keep removing it"), path);
    return NULL;
}

/**
 * virtHptDirDraftCreateFile:
 * @draft: a draft
 * @name: of the new file
 * @error: set on failure: %VIRT_HPT_ERROR_IO
 *
 * Returns: the file of mode 0600, open for writing, or -1
 */
int
virtHptDirDraftCreateFile(VirtHptDirDraft *draft, const char *name, GError **error)
{
    int fd = openat(draft->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        setErrno(error, name, _("cannot create the file of the record"));
    return fd;
}

/* rename(2) of a directory replaces an empty directory at most, so it is a fallback where the file
 * system knows no flags. */
static int
renameNew(int parent, const char *from, const char *to)
{
    int result = renameat2(parent, from, parent, to, RENAME_NOREPLACE);

    if (result < 0 && (errno == EINVAL || errno == ENOSYS)) {
        result = renameat(parent, from, parent, to);
        if (result < 0 && errno == ENOTEMPTY)
            errno = EEXIST;
    }
    return result;
}

/* Puts the draft in the place of the old record, which then has the draft's name.  Where the file
 * system cannot exchange them there is a moment with neither in its place. */
static gboolean
exchange(VirtHptDirDraft *draft, const char *name, const char *path, GError **error)
{
    g_autofree char *aside = NULL;
    int code;

    if (renameat2(draft->parent, draft->temporary, draft->parent, name, RENAME_EXCHANGE) == 0)
        return TRUE;
    if (errno != EINVAL && errno != ENOSYS)
        return setErrno(error, path, _("cannot replace the record"));
    aside = draftName(error);
    if (!aside)
        return FALSE;
    if (renameat(draft->parent, name, draft->parent, aside) < 0)
        return setErrno(error, path, _("cannot put the old record aside"));
    if (renameat(draft->parent, draft->temporary, draft->parent, name) < 0) {
        code = errno;
        (void)renameat(draft->parent, aside, draft->parent, name);
        errno = code;
        return setErrno(error, path, _("cannot replace the record"));
    }
    g_free(draft->temporary);
    draft->temporary = g_steal_pointer(&aside);
    return TRUE;
}

/* Opens the old record into @old.  It is locked, as it is about to have a draft's name. */
static gboolean
replace(VirtHptDirDraft *draft, const char *name, const char *path, int *old, GError **error)
{
    *old = virtHptDirOpen(draft->parent, name, path, error);
    if (*old < 0)
        return FALSE;
    (void)flock(*old, LOCK_EX | LOCK_NB);
    if (exchange(draft, name, path, error))
        return TRUE;
    close(*old);
    *old = -1;
    return FALSE;
}

/**
 * virtHptDirDraftPublish:
 * @draft: a draft, filled, its files synced
 * @name: the record's name
 * @path: what messages call the record
 * @replaced: (out): whether there was an old record in its place, which is now gone
 * @error: set on failure: %VIRT_HPT_ERROR_IO, %VIRT_HPT_ERROR_UNTRUSTED where something that is
 *   not ours lies in its place
 *
 * Makes the record appear whole.  When this fails, or the machine does, the old record, if there
 * is one, stays; where the file system cannot exchange two names and the machine fails between
 * two renames, there is none.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptDirDraftPublish(VirtHptDirDraft *draft,
                       const char *name,
                       const char *path,
                       gboolean *replaced,
                       GError **error)
{
    g_autofree char *aside = NULL;
    gboolean ok;
    int old = -1;

    *replaced = FALSE;
    if (fsync(draft->dir) < 0)
        return setErrno(error, path, _("cannot sync the record"));
    if (renameNew(draft->parent, draft->temporary, name) < 0) {
        if (errno != EEXIST)
            return setErrno(error, path, _("cannot name the record"));
        if (!replace(draft, name, path, &old, error))
            return FALSE;
        *replaced = TRUE;
    }
    aside = g_steal_pointer(&draft->temporary);
    ok = fsync(draft->parent) == 0 ||
         setErrno(error, path, _("cannot sync the directory of the record"));
    if (old >= 0) {
        /* Only now is the new record sure to outlive the machine. */
        if (ok)
            removeDraft(draft->parent, aside, old);
        close(old);
    }
    return ok;
}

/**
 * virtHptDirRemove:
 * @parent: the directory it lies in, open
 * @name: a record directory there
 * @path: what messages call it
 * @error: set on failure, as virtHptDirOpen() does
 *
 * Removes a record: it is renamed first, so that nobody ever sees half of one.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptDirRemove(int parent, const char *name, const char *path, GError **error)
{
    int dir = virtHptDirOpen(parent, name, path, error);
    g_autofree char *aside = NULL;
    gboolean removed;

    if (dir < 0)
        return FALSE;
    aside = draftName(error);
    if (!aside || renameNew(parent, name, aside) < 0) {
        if (aside)
            setErrno(error, path, _("cannot remove the record"));
        close(dir);
        return FALSE;
    }
    removed = removeDraft(parent, aside, dir);
    if (!removed)
        setErrno(error, path, _("cannot remove the files of the record"));
    close(dir);
    return removed;
}
