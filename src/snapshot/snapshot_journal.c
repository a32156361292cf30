/*
 * snapshot_journal.c: how far a revert got, for whoever comes after it
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "full-read.h"
#include "full-write.h"
#include "snapshot/snapshot_journal.h"

#define JOURNAL "journal"
#define JOURNAL_DRAFT "journal.new"
#define JOURNAL_MAX ((off_t)64 * 1024 * 1024)
#define GROUP "revert"

static const char *const phases[] = {
    [VIRT_HPT_PHASE_STOPPING] = "stopping",
    [VIRT_HPT_PHASE_RESTORING] = "restoring",
    [VIRT_HPT_PHASE_COMMITTING] = "committing",
    [VIRT_HPT_PHASE_DIFFERS] = "differs",
};

static void
overlayFree(gpointer data)
{
    virtHptOverlayFree(data);
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
    journal->overlays = g_ptr_array_new_with_free_func(overlayFree);
    journal->kept = g_ptr_array_new_with_free_func(g_free);
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
    g_ptr_array_unref(journal->overlays);
    g_ptr_array_unref(journal->kept);
    g_free(journal);
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
        *length = full_read(fd, text, (gsize)st.st_size);
        text[*length] = '\0';
        ok = *length == (gsize)st.st_size;
    }
    if (!ok)
        setErrno(guest, error);
    close(fd);
    return ok ? g_steal_pointer(&text) : NULL;
}

static gboolean
parseOverlay(VirtHptJournal *journal, GKeyFile *file, const char *group, GError **error)
{
    g_autofree char *target = g_key_file_get_string(file, group, "target", error);
    g_autofree char *base = target ? g_key_file_get_string(file, group, "base", error) : NULL;
    g_autofree char *format = base ? g_key_file_get_string(file, group, "format", error) : NULL;
    g_autofree char *path = format ? g_key_file_get_string(file, group, "path", error) : NULL;
    VirtHptOverlay *overlay;

    if (!path)
        return FALSE;
    overlay =
        virtHptOverlayNew(target, base, format, g_key_file_get_boolean(file, group, "block", NULL));
    overlay->path = g_steal_pointer(&path);
    g_ptr_array_add(journal->overlays, overlay);
    return TRUE;
}

static gboolean
parse(VirtHptJournal *journal, GKeyFile *file, GError **error)
{
    g_auto(GStrv) groups = g_key_file_get_groups(file, NULL);
    g_auto(GStrv) kept = g_key_file_get_string_list(file, GROUP, "kept", NULL, NULL);
    g_autofree char *phase = g_key_file_get_string(file, GROUP, "phase", error);
    gsize i = 0;

    if (!phase)
        return FALSE;
    while (i < G_N_ELEMENTS(phases) && !g_str_equal(phase, phases[i]))
        i++;
    if (i == G_N_ELEMENTS(phases)) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED,
                    _("'%1$s' is a step that this version does not know"), phase);
        return FALSE;
    }
    journal->phase = (VirtHptPhase)i;
    journal->snapshot = g_key_file_get_string(file, GROUP, "snapshot", error);
    if (!journal->snapshot)
        return FALSE;
    journal->aside = g_key_file_get_string(file, GROUP, "aside", NULL);
    journal->definition = g_key_file_get_string(file, GROUP, "definition", NULL);
    journal->resume = g_key_file_get_boolean(file, GROUP, "resume", NULL);
    for (char **group = groups; *group; group++) {
        if (g_str_has_prefix(*group, "overlay") && !parseOverlay(journal, file, *group, error))
            return FALSE;
    }
    for (char **path = kept; path && *path; path++)
        g_ptr_array_add(journal->kept, g_strdup(*path));
    return TRUE;
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
    g_autoptr(VirtHptJournal) read = virtHptJournalNew(NULL);
    g_autoptr(GKeyFile) file = g_key_file_new();
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
    if (!g_key_file_load_from_data(file, text, length, G_KEY_FILE_NONE, &local) ||
        !parse(read, file, &local)) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_DAMAGED, _("'%1$s/%2$s': %3$s"),
                    guest->statePath, JOURNAL, local->message);
        return FALSE;
    }
    *journal = g_steal_pointer(&read);
    return TRUE;
}

static void
setString(GKeyFile *file, const char *group, const char *key, const char *value)
{
    if (value)
        g_key_file_set_string(file, group, key, value);
}

static char *
format(const VirtHptJournal *journal, gsize *length)
{
    g_autoptr(GKeyFile) file = g_key_file_new();

    setString(file, GROUP, "phase", phases[journal->phase]);
    setString(file, GROUP, "snapshot", journal->snapshot);
    setString(file, GROUP, "aside", journal->aside);
    setString(file, GROUP, "definition", journal->definition);
    g_key_file_set_boolean(file, GROUP, "resume", journal->resume);
    if (journal->kept->len > 0)
        g_key_file_set_string_list(file, GROUP, "kept", (const char *const *)journal->kept->pdata,
                                   journal->kept->len);
    for (guint i = 0; i < journal->overlays->len; i++) {
        const VirtHptOverlay *overlay = g_ptr_array_index(journal->overlays, i);
        g_autofree char *group = g_strdup_printf("overlay %u", i);

        setString(file, group, "target", overlay->target);
        setString(file, group, "base", overlay->base);
        setString(file, group, "format", overlay->format);
        g_key_file_set_boolean(file, group, "block", overlay->block);
        setString(file, group, "path", overlay->path);
    }
    return g_key_file_to_data(file, length, NULL);
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
 * Returns: %TRUE, or %FALSE with @error set and the journal as it was
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
    gboolean ok;
    int fd;

    journal->phase = phase;
    text = format(journal, &length);
    unlinkat(guest->stateDir, JOURNAL_DRAFT, 0);
    /* The definition may hold secrets. */
    fd = openat(guest->stateDir, JOURNAL_DRAFT,
                O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    ok = fd >= 0 && (gsize)full_write(fd, text, length) == length && fsync(fd) == 0 &&
         renameat(guest->stateDir, JOURNAL_DRAFT, guest->stateDir, JOURNAL) == 0 &&
         fsync(guest->stateDir) == 0;
    if (!ok) {
        setErrno(guest, error);
        journal->phase = before;
    }
    if (fd >= 0)
        close(fd);
    return ok;
}

/**
 * virtHptJournalRemove:
 * @guest: a locked guest
 * @error: set on failure: %VIRT_HPT_ERROR_IO
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptJournalRemove(VirtHptGuest *guest, GError **error)
{
    if (unlinkat(guest->stateDir, JOURNAL, 0) < 0 && errno != ENOENT)
        return setErrno(guest, error);
    fsync(guest->stateDir);
    return TRUE;
}
