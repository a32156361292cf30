/*
 * snapshot_journal.c: how far a revert got, for whoever comes after it
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "full-read.h"
#include "full-write.h"
#include "snapshot/snapshot_journal.h"

#define JOURNAL "journal"
#define JOURNAL_DRAFT "journal.new"
#define JOURNAL_MAX ((off_t)64 * 1024 * 1024)

static void
overlayFree(gpointer data)
{
    virtHptOverlayFree(data);
}

static void
layerFree(gpointer data)
{
    VirtHptLayer *layer = data;

    g_free(layer->path);
    g_free(layer);
}

/**
 * virtHptJournalNew:
 * @snapshot: name of the snapshot that is reverted to
 *
 * Returns: (transfer full): a journal that is not written yet
 */
VirtHptJournal *
virtHptJournalNew(const char *snapshot)
{
    VirtHptJournal *journal = g_new0(VirtHptJournal, 1);

    journal->snapshot = g_strdup(snapshot);
    journal->id = -1;
    journal->files = virtHptFileMarksNew();
    journal->stopped = virtHptFileMarksNew();
    journal->overlays = g_ptr_array_new_with_free_func(overlayFree);
    journal->snapshots = g_ptr_array_new_with_free_func(g_free);
    journal->made = g_ptr_array_new_with_free_func(layerFree);
    journal->layers = g_ptr_array_new_with_free_func(g_free);
    journal->kept = g_ptr_array_new_with_free_func(g_free);
    journal->doomed = g_ptr_array_new_with_free_func(g_free);
    return journal;
}

void
virtHptJournalFree(VirtHptJournal *journal)
{
    if (!journal)
        return;
    g_free(journal->snapshot);
    g_free(journal->aside);
    g_free(journal->definition);
    g_free(journal->current);
    g_free(journal->boot);
    g_ptr_array_unref(journal->files);
    g_ptr_array_unref(journal->stopped);
    g_ptr_array_unref(journal->overlays);
    g_ptr_array_unref(journal->snapshots);
    g_ptr_array_unref(journal->made);
    g_ptr_array_unref(journal->layers);
    g_ptr_array_unref(journal->kept);
    g_ptr_array_unref(journal->doomed);
    g_free(journal);
}

/**
 * virtHptJournalHasMade:
 * @journal: a journal
 * @path: of a file
 *
 * Returns: whether it is one of the layers that were made for the revert
 */
gboolean
virtHptJournalHasMade(const VirtHptJournal *journal, const char *path)
{
    for (guint i = 0; i < journal->made->len; i++) {
        const VirtHptLayer *layer = g_ptr_array_index(journal->made, i);

        if (g_str_equal(layer->path, path))
            return TRUE;
    }
    return FALSE;
}

/**
 * virtHptJournalAddMade:
 * @journal: a journal; it is not written
 * @path: of a layer that was made for the revert
 * @size: in bytes, of the file, to which nothing was written yet
 */
void
virtHptJournalAddMade(VirtHptJournal *journal, const char *path, guint64 size)
{
    VirtHptLayer *layer = g_new0(VirtHptLayer, 1);

    layer->path = g_strdup(path);
    layer->size = size;
    g_ptr_array_add(journal->made, layer);
}

static gboolean
setErrno(const VirtHptGuest *guest, GError **error)
{
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO, _("'%1$s/%2$s': %3$s"), guest->statePath,
                JOURNAL, g_strerror(errno));
    return FALSE;
}

/* The whole file, or %NULL where there is none */
static char *
readFile(const VirtHptGuest *guest, gsize *length, GError **error)
{
    int fd = openat(guest->stateDir, JOURNAL, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    g_autofree char *text = NULL;
    struct stat st;
    gboolean ok;

    if (fd < 0) {
        if (errno != ENOENT)
            setErrno(guest, error);
        return NULL;
    }
    errno = EFBIG;
    ok = fstat(fd, &st) == 0 && st.st_size <= JOURNAL_MAX;
    if (ok) {
        text = g_malloc((gsize)st.st_size + 1);
        *length = full_read(fd, text, (gssize)st.st_size);
        text[*length] = '\0';
        ok = *length == (gsize)st.st_size;
    }
    if (!ok)
        setErrno(guest, error);
    close(fd);
    return ok ? g_steal_pointer(&text) : NULL;
}

/**
 * virtHptJournalLoad:
 * @guest: a locked guest
 * @journal: (out) (transfer full): what an interrupted revert left, or %NULL
 * @error: set on failure: %VIRT_HPT_ERROR_IO, %VIRT_HPT_ERROR_DAMAGED
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptJournalLoad(VirtHptGuest *guest, VirtHptJournal **journal, GError **error)
{
    g_autoptr(GError) local = NULL;
    g_autofree char *text = NULL;
    gsize length = 0;

    *journal = NULL;
    text = readFile(guest, &length, &local);
    if (local) {
        g_propagate_error(error, g_steal_pointer(&local));
        return FALSE;
    }
    if (!text)
        return TRUE;
    *journal = virtHptJournalParse(text, length, &local);
    if (!*journal) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_DAMAGED, _("'%1$s/%2$s': %3$s"),
                    guest->statePath, JOURNAL, local->message);
        return FALSE;
    }
    (*journal)->found = TRUE;
    return TRUE;
}

/**
 * virtHptJournalEnter:
 * @journal: a journal
 * @guest: a locked guest
 * @phase: what is about to be done
 * @error: set on failure: %VIRT_HPT_ERROR_IO
 *
 * Writes the journal.  When this returns %TRUE it is on the disk.
 *
 * Returns: %TRUE, or %FALSE with @error set.  The journal then is as it was, unless that it was
 *   replaced is all that could not be made sure of: then @journal is in @phase, as whoever reads it
 *   would find
 */
gboolean
virtHptJournalEnter(VirtHptJournal *journal,
                    VirtHptGuest *guest,
                    VirtHptPhase phase,
                    GError **error)
{
    VirtHptPhase before = journal->phase;
    g_autofree char *text = NULL;
    gsize length;
    gboolean written;
    gboolean ok;
    int fd;

    journal->phase = phase;
    text = virtHptJournalFormat(journal, &length);
    unlinkat(guest->stateDir, JOURNAL_DRAFT, 0);
    /* The definition may hold secrets. */
    fd = openat(guest->stateDir, JOURNAL_DRAFT,
                O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    /* What could not be read again is not written. */
    if (fd >= 0 && length > (gsize)JOURNAL_MAX)
        errno = EFBIG;
    written = fd >= 0 && length <= (gsize)JOURNAL_MAX &&
              (gsize)full_write(fd, text, (gssize)length) == length && fsync(fd) == 0 &&
              renameat(guest->stateDir, JOURNAL_DRAFT, guest->stateDir, JOURNAL) == 0;
    ok = written && fsync(guest->stateDir) == 0;
    if (!ok)
        setErrno(guest, error);
    if (!written) {
        journal->phase = before;
        unlinkat(guest->stateDir, JOURNAL_DRAFT, 0);
    }
    if (fd >= 0)
        close(fd);
    return ok;
}

/**
 * virtHptJournalGetTime:
 * @guest: a locked guest
 *
 * Returns: when its journal was written, in seconds since 1970, or 0 where there is none
 */
gint64
virtHptJournalGetTime(const VirtHptGuest *guest)
{
    struct stat st;

    return fstatat(guest->stateDir, JOURNAL, &st, AT_SYMLINK_NOFOLLOW) == 0
               ? (gint64)st.st_mtim.tv_sec
               : 0;
}

/**
 * virtHptJournalRemove:
 * @guest: a locked guest
 * @error: set on failure: %VIRT_HPT_ERROR_IO
 *
 * Removes the journal, if there is one, and what a process that was killed had written of another.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptJournalRemove(VirtHptGuest *guest, GError **error)
{
    unlinkat(guest->stateDir, JOURNAL_DRAFT, 0);
    if (unlinkat(guest->stateDir, JOURNAL, 0) < 0)
        return errno == ENOENT || setErrno(guest, error);
    fsync(guest->stateDir);
    return TRUE;
}
