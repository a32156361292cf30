/*
 * fuzz_journal.c: any bytes as the journal of a revert, which root reads
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What is accepted names files by absolute paths alone, and reads back as it is written.
 */

#include "config.h"

#include <string.h>

#include "snapshot/snapshot_journal.h"

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

static void
checkPaths(const VirtHptJournal *journal)
{
    g_assert_true(!journal->aside || g_path_is_absolute(journal->aside));
    for (guint i = 0; i < journal->overlays->len; i++) {
        const VirtHptOverlay *overlay = g_ptr_array_index(journal->overlays, i);

        g_assert_true(g_path_is_absolute(overlay->base) && g_path_is_absolute(overlay->path));
    }
    for (guint i = 0; i < journal->made->len; i++) {
        const VirtHptLayer *layer = g_ptr_array_index(journal->made, i);

        g_assert_true(g_path_is_absolute(layer->path));
    }
    for (guint i = 0; i < journal->stopped->len; i++) {
        const VirtHptFileMark *mark = g_ptr_array_index(journal->stopped, i);

        g_assert_true(g_path_is_absolute(mark->path));
    }
    for (guint i = 0; i < journal->kept->len; i++)
        g_assert_true(g_path_is_absolute(g_ptr_array_index(journal->kept, i)));
    for (guint i = 0; i < journal->doomed->len; i++)
        g_assert_true(g_path_is_absolute(g_ptr_array_index(journal->doomed, i)));
}

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    g_autoptr(VirtHptJournal) journal = virtHptJournalParse((const char *)data, size, NULL);
    g_autoptr(VirtHptJournal) again = NULL;
    g_autofree char *first = NULL;
    g_autofree char *second = NULL;
    gsize length;

    if (!journal)
        return 0;
    g_assert_nonnull(journal->snapshot);
    checkPaths(journal);
    first = virtHptJournalFormat(journal, &length);
    again = virtHptJournalParse(first, length, NULL);
    g_assert_nonnull(again);
    second = virtHptJournalFormat(again, &length);
    g_assert_cmpstr(first, ==, second);
    return 0;
}
