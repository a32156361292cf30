/*
 * snapshot_journal_text.c: a journal as text, which is read again by whoever comes after it
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <inttypes.h>

#include <glib/gi18n-lib.h>

#include "snapshot/snapshot_journal.h"

#define GROUP "revert"
/* Fields of a VirtHptFileMark: numbers, and the path last */
#define MARK_FIELDS 6

static const char *const phases[] = {
    [VIRT_HPT_PHASE_PREPARING] = "preparing", [VIRT_HPT_PHASE_STOPPING] = "stopping",
    [VIRT_HPT_PHASE_RESTORING] = "restoring", [VIRT_HPT_PHASE_COMMITTING] = "committing",
    [VIRT_HPT_PHASE_DIFFERS] = "differs",     [VIRT_HPT_PHASE_UNDOING] = "undoing",
    [VIRT_HPT_PHASE_UNDONE] = "undone",       [VIRT_HPT_PHASE_CREATING] = "creating",
    [VIRT_HPT_PHASE_DELETING] = "deleting",
};

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

static void
parseList(GKeyFile *file, const char *key, GPtrArray *list)
{
    g_auto(GStrv) strings = g_key_file_get_string_list(file, GROUP, key, NULL, NULL);

    for (char **string = strings; string && *string; string++)
        g_ptr_array_add(list, g_strdup(*string));
}

static gboolean
parseMark(const char *text, VirtHptFileMark *mark)
{
    g_auto(GStrv) fields = g_strsplit(text, ":", MARK_FIELDS);

    if (g_strv_length(fields) != MARK_FIELDS ||
        !g_ascii_string_to_unsigned(fields[0], 10, 0, G_MAXUINT64, &mark->device, NULL) ||
        !g_ascii_string_to_unsigned(fields[1], 10, 0, G_MAXUINT64, &mark->inode, NULL) ||
        !g_ascii_string_to_unsigned(fields[2], 10, 0, G_MAXUINT64, &mark->size, NULL) ||
        !g_ascii_string_to_signed(fields[3], 10, G_MININT64, G_MAXINT64, &mark->seconds, NULL) ||
        !g_ascii_string_to_signed(fields[4], 10, G_MININT64, G_MAXINT64, &mark->nanoseconds, NULL))
        return FALSE;
    mark->path = g_strdup(fields[5]);
    return TRUE;
}

static gboolean
parseMarks(GKeyFile *file, const char *key, GPtrArray *marks)
{
    g_auto(GStrv) texts = g_key_file_get_string_list(file, GROUP, key, NULL, NULL);

    for (char **text = texts; text && *text; text++) {
        VirtHptFileMark *mark = virtHptFileMarkNew(NULL);

        g_ptr_array_add(marks, mark);
        if (!parseMark(*text, mark))
            return FALSE;
    }
    return TRUE;
}

/* Where what was validated cannot be read nothing counts as the same; what the guest was on has to
 * be known. */
static gboolean
parseFiles(VirtHptJournal *journal, GKeyFile *file, GError **error)
{
    if (!parseMarks(file, "files", journal->files))
        g_ptr_array_set_size(journal->files, 0);
    if (parseMarks(file, "stopped", journal->stopped))
        return TRUE;
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_DAMAGED,
                _("'%1$s' is malformed: expected numbers and a path for each file"), "stopped");
    return FALSE;
}

/* A layer whose size cannot be read counts as written to, and stays. */
static void
parseMade(GKeyFile *file, VirtHptJournal *journal)
{
    g_auto(GStrv) texts = g_key_file_get_string_list(file, GROUP, "made", NULL, NULL);

    for (char **text = texts; text && *text; text++) {
        char *end = NULL;
        guint64 size = g_ascii_strtoull(*text, &end, 10);

        if (*end == ':')
            virtHptJournalAddMade(journal, end + 1, size);
    }
}

static gboolean
parse(VirtHptJournal *journal, GKeyFile *file, GError **error)
{
    g_auto(GStrv) groups = g_key_file_get_groups(file, NULL);
    g_autofree char *phase = g_key_file_get_string(file, GROUP, "phase", error);
    g_autoptr(GError) noId = NULL;
    gsize i = 0;
    gint id;

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
    journal->current = g_key_file_get_string(file, GROUP, "current", NULL);
    journal->boot = g_key_file_get_string(file, GROUP, "boot", NULL);
    journal->resume = g_key_file_get_boolean(file, GROUP, "resume", NULL);
    journal->prove = g_key_file_get_boolean(file, GROUP, "prove", NULL);
    journal->noDryRun = g_key_file_get_boolean(file, GROUP, "no-dry-run", NULL);
    id = g_key_file_get_integer(file, GROUP, "id", &noId);
    if (!noId)
        journal->id = id;
    for (char **group = groups; *group; group++) {
        if (g_str_has_prefix(*group, "overlay") && !parseOverlay(journal, file, *group, error))
            return FALSE;
    }
    parseList(file, "snapshots", journal->snapshots);
    parseMade(file, journal);
    parseList(file, "layers", journal->layers);
    parseList(file, "kept", journal->kept);
    parseList(file, "doomed", journal->doomed);
    journal->created = g_key_file_get_int64(file, GROUP, "created", NULL);
    return parseFiles(journal, file, error);
}

static gboolean
checkPath(const char *path, GError **error)
{
    if (!path || g_path_is_absolute(path))
        return TRUE;
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_DAMAGED, _("'%1$s' is not an absolute path"),
                path);
    return FALSE;
}

/* Files are removed and renamed by what is read. */
static gboolean
checkPaths(const VirtHptJournal *journal, GError **error)
{
    const GPtrArray *lists[] = {journal->layers, journal->kept, journal->doomed};

    for (gsize i = 0; i < G_N_ELEMENTS(lists); i++) {
        for (guint j = 0; j < lists[i]->len; j++) {
            if (!checkPath(g_ptr_array_index(lists[i], j), error))
                return FALSE;
        }
    }
    for (guint i = 0; i < journal->overlays->len; i++) {
        const VirtHptOverlay *overlay = g_ptr_array_index(journal->overlays, i);

        if (!checkPath(overlay->base, error) || !checkPath(overlay->path, error))
            return FALSE;
    }
    for (guint i = 0; i < journal->made->len; i++) {
        const VirtHptLayer *layer = g_ptr_array_index(journal->made, i);

        if (!checkPath(layer->path, error))
            return FALSE;
    }
    for (guint i = 0; i < journal->stopped->len; i++) {
        const VirtHptFileMark *mark = g_ptr_array_index(journal->stopped, i);

        if (!checkPath(mark->path, error))
            return FALSE;
    }
    return checkPath(journal->aside, error);
}

/**
 * virtHptJournalParse:
 * @text: a journal's text
 * @length: of @text
 * @error: set on failure: %VIRT_HPT_ERROR_UNSUPPORTED, %VIRT_HPT_ERROR_DAMAGED where a path is not
 *   absolute, or a mark malformed, or what GKeyFile sets
 *
 * Returns: (transfer full): the journal, or %NULL
 */
VirtHptJournal *
virtHptJournalParse(const char *text, gsize length, GError **error)
{
    g_autoptr(VirtHptJournal) journal = virtHptJournalNew(NULL);
    g_autoptr(GKeyFile) file = g_key_file_new();

    if (!g_key_file_load_from_data(file, text, length, G_KEY_FILE_NONE, error) ||
        !parse(journal, file, error) || !checkPaths(journal, error))
        return NULL;
    return g_steal_pointer(&journal);
}

static void
setString(GKeyFile *file, const char *group, const char *key, const char *value)
{
    if (value)
        g_key_file_set_string(file, group, key, value);
}

static void
setList(GKeyFile *file, const char *key, const GPtrArray *list)
{
    if (list->len > 0)
        g_key_file_set_string_list(file, GROUP, key, (const char *const *)list->pdata, list->len);
}

static void
setMarks(GKeyFile *file, const char *key, const GPtrArray *marks)
{
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < marks->len; i++) {
        const VirtHptFileMark *mark = g_ptr_array_index(marks, i);

        g_ptr_array_add(texts, g_strdup_printf("%" PRIu64 ":%" PRIu64 ":%" PRIu64 ":%" PRId64
                                               ":%" PRId64 ":%s",
                                               mark->device, mark->inode, mark->size, mark->seconds,
                                               mark->nanoseconds, mark->path));
    }
    setList(file, key, texts);
}

static void
setMade(GKeyFile *file, const GPtrArray *made)
{
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < made->len; i++) {
        const VirtHptLayer *layer = g_ptr_array_index(made, i);

        g_ptr_array_add(texts, g_strdup_printf("%" PRIu64 ":%s", layer->size, layer->path));
    }
    setList(file, "made", texts);
}

/**
 * virtHptJournalFormat:
 * @journal: a journal
 * @length: (out): of its text in bytes
 *
 * Returns: (transfer full): its text
 */
char *
virtHptJournalFormat(const VirtHptJournal *journal, gsize *length)
{
    g_autoptr(GKeyFile) file = g_key_file_new();

    setString(file, GROUP, "phase", phases[journal->phase]);
    setString(file, GROUP, "snapshot", journal->snapshot);
    setString(file, GROUP, "aside", journal->aside);
    setString(file, GROUP, "definition", journal->definition);
    setString(file, GROUP, "current", journal->current);
    setString(file, GROUP, "boot", journal->boot);
    g_key_file_set_boolean(file, GROUP, "resume", journal->resume);
    g_key_file_set_boolean(file, GROUP, "prove", journal->prove);
    g_key_file_set_boolean(file, GROUP, "no-dry-run", journal->noDryRun);
    g_key_file_set_integer(file, GROUP, "id", journal->id);
    setList(file, "snapshots", journal->snapshots);
    setMade(file, journal->made);
    setList(file, "layers", journal->layers);
    setList(file, "kept", journal->kept);
    setList(file, "doomed", journal->doomed);
    g_key_file_set_int64(file, GROUP, "created", journal->created);
    setMarks(file, "files", journal->files);
    setMarks(file, "stopped", journal->stopped);
    for (guint i = 0; i < journal->overlays->len; i++) {
        const VirtHptOverlay *overlay = g_ptr_array_index(journal->overlays, i);
        g_autofree char *group = g_strdup_printf("overlay %u", i);

        if (!overlay->path)
            continue;
        setString(file, group, "target", overlay->target);
        setString(file, group, "base", overlay->base);
        setString(file, group, "format", overlay->format);
        g_key_file_set_boolean(file, group, "block", overlay->block);
        setString(file, group, "path", overlay->path);
    }
    return g_key_file_to_data(file, length, NULL);
}
