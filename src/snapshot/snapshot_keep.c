/*
 * snapshot_keep.c: second names for files that libvirt may remove
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * As soon as libvirt since 9.9.0 has reverted a guest it removes the disk layers that the guest was
 * on, as far as the current snapshot names them (qemuSnapshotRevertExternalFinish()), and whoever
 * else needs them.  A guest whose state was saved needs them if it has to be brought back.
 */

#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "libvirt-hpt/htab_error.h"
#include "snapshot/snapshot_keep.h"
#include "snapshot/snapshot_metadata.h"
#include "snapshot/snapshot_uses.h"

#define SUFFIX ".virt-hpt-kept"

static void
addKept(VirtHptJournal *journal, const char *path)
{
    struct stat st;

    /* What is not there can be neither removed nor kept. */
    if (!virtHptUsesHas(journal->kept, path) && lstat(path, &st) == 0)
        g_ptr_array_add(journal->kept, g_strdup(path));
}

/**
 * virtHptKeepPlan:
 * @journal: of a revert that libvirt will do; knows the layers that the guest is on, and the
 *   current snapshot; gets the files to be kept
 * @error: set on failure: the snapshot's XML cannot be read
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptKeepPlan(VirtHptJournal *journal, GError **error)
{
    g_autoptr(GPtrArray) removable = g_ptr_array_new_with_free_func(g_free);
    const char *current = virtHptMetadataCurrent(journal);

    if (current && !virtHptUsesAddRemovable(removable, current, error))
        return FALSE;
    for (guint i = 0; i < journal->layers->len; i++)
        addKept(journal, g_ptr_array_index(journal->layers, i));
    for (guint i = 0; i < removable->len; i++)
        addKept(journal, g_ptr_array_index(removable, i));
    return TRUE;
}

/**
 * virtHptKeepFile:
 * @path: of a file, absolute
 * @error: set on failure: %VIRT_HPT_ERROR_IO, also where the file system knows no hard links
 *
 * Gives the file a second name beside its own, in the place of an older one that nobody needs.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptKeepFile(const char *path, GError **error)
{
    g_autofree char *kept = g_strconcat(path, SUFFIX, NULL);

    if ((unlink(kept) == 0 || errno == ENOENT) && link(path, kept) == 0)
        return TRUE;
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO,
                _("cannot make the hard link '%1$s': %2$s"), kept, g_strerror(errno));
    return FALSE;
}

/**
 * virtHptKeepFind:
 * @path: of a file that may have been kept
 *
 * Returns: (transfer full): the name that leads to it now: @path, or the second one where libvirt
 *   removed that
 */
char *
virtHptKeepFind(const char *path)
{
    g_autofree char *kept = g_strconcat(path, SUFFIX, NULL);
    struct stat st;

    if (lstat(path, &st) < 0 && lstat(kept, &st) == 0)
        return g_steal_pointer(&kept);
    return g_strdup(path);
}

/**
 * virtHptKeepBringBack:
 * @path: of a file that was kept
 * @error: set on failure: %VIRT_HPT_ERROR_IO, %VIRT_HPT_ERROR_NOT_FOUND where there is nothing to
 *   give it to
 *
 * Gives the file its name again if that is gone.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptKeepBringBack(const char *path, GError **error)
{
    g_autofree char *kept = g_strconcat(path, SUFFIX, NULL);
    struct stat st;

    if (lstat(path, &st) == 0 || rename(kept, path) == 0)
        return TRUE;
    if (errno == ENOENT) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND,
                    _("'%1$s' is gone, and so is '%2$s', its second name"), path, kept);
        return FALSE;
    }
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO, _("cannot rename '%1$s' to '%2$s': %3$s"),
                kept, path, g_strerror(errno));
    return FALSE;
}

/**
 * virtHptKeepDrop:
 * @path: of a file that was kept
 *
 * Removes the second name.
 */
void
virtHptKeepDrop(const char *path)
{
    g_autofree char *kept = g_strconcat(path, SUFFIX, NULL);

    unlink(kept);
}
