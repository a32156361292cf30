/*
 * snapshot_delete.c: delete a snapshot, and what belongs to it
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * libvirt goes on with it when whoever asked for it is killed.  What is to be done afterwards is in
 * the guest's journal: what libvirt before 9.9.0 then says wrongly of other snapshots is put right,
 * and the snapshot's memory and its record, which say nothing without it, go.
 */

#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "conf/xml_read.h"
#include "snapshot/snapshot_disks.h"
#include "snapshot/snapshot_location.h"
#include "snapshot/snapshot_metadata.h"
#include "snapshot/snapshot_revertpriv.h"
#include "snapshot/snapshot_uses.h"

/* The disk layers that were made for a snapshot */
static GPtrArray *
layersOf(const VirtHptSnapshot *snapshot)
{
    GPtrArray *layers = g_ptr_array_new_with_free_func(g_free);

    for (xmlNode *disk = virtHptSnapshotFirstDisk(snapshot->doc); disk;
         disk = virtHptXmlNext(disk->next, "disk")) {
        gboolean block;
        char *layer = virtHptDiskSource(disk, &block);

        if (layer)
            g_ptr_array_add(layers, layer);
    }
    return layers;
}

/* Whether the domain's disks lie no more above the layers that the snapshot made.  After a revert
 * they do not, and libvirt before 9.9.0, which was not told, could not merge anything. */
static gboolean
isAbandoned(const VirtHptSnapshot *snapshot, const GPtrArray *layers)
{
    g_autoptr(GHashTable) used = NULL;

    if (snapshot->guest->revertsExternal)
        return FALSE;
    /* In doubt libvirt is asked to do it, and says why it cannot. */
    used = virtHptUsesNow(snapshot->guest, NULL);
    for (guint i = 0; used && i < layers->len; i++) {
        if (g_hash_table_contains(used, g_ptr_array_index(layers, i)))
            return FALSE;
    }
    return used != NULL;
}

/* Path of its record, also where the image that this was made of is lost; or %NULL */
static char *
recordOf(const VirtHptSnapshot *snapshot)
{
    g_autoptr(VirtHptRecord) record = virtHptSnapshotFindRecord(snapshot, NULL);
    g_autofree char *beside = g_strconcat(snapshot->image, VIRT_HPT_RECORD_SUFFIX, NULL);
    struct stat st;

    if (!record && lstat(snapshot->image, &st) < 0 && errno == ENOENT)
        record = virtHptRecordOpen(beside, NULL);
    return record ? g_strdup(record->path) : NULL;
}

static VirtHptJournal *
plan(const VirtHptSnapshot *snapshot, gboolean keepFiles, gboolean forget, GError **error)
{
    g_autoptr(VirtHptJournal) journal = virtHptJournalNew(snapshot->name);

    if (forget &&
        !virtHptMetadataRememberOthers(snapshot->guest, snapshot->name, journal->snapshots, error))
        return NULL;
    if (!keepFiles) {
        /* A record that cannot be read stays. */
        char *record = recordOf(snapshot);

        if (record)
            g_ptr_array_add(journal->doomed, record);
        g_ptr_array_add(journal->doomed, g_strdup(snapshot->image));
    }
    return g_steal_pointer(&journal);
}

static gboolean
removeFile(const char *path, GError **error)
{
    if (unlink(path) == 0 || errno == ENOENT)
        return TRUE;
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO, _("cannot remove '%1$s': %2$s"), path,
                g_strerror(errno));
    return FALSE;
}

/* Unless another snapshot has them by now.  Memory that is no file, such as a device, stays. */
static gboolean
removeDoomed(VirtHptGuest *guest,
             const VirtHptJournal *journal,
             const VirtHptRevertOptions *options,
             GError **error)
{
    g_autoptr(GHashTable) named = virtHptUsesNamed(guest, error);
    const GPtrArray *doomed = journal->doomed;
    const char *image = doomed->len > 0 ? g_ptr_array_index(doomed, doomed->len - 1) : NULL;

    if (!named)
        return FALSE;
    for (guint i = 0; image && !g_hash_table_contains(named, image) && i < doomed->len; i++) {
        const char *path = g_ptr_array_index(doomed, i);
        g_autoptr(GError) local = NULL;
        struct stat st;

        if (lstat(path, &st) == 0 && (path != image || S_ISREG(st.st_mode)) &&
            !(path == image ? removeFile(path, &local) : virtHptRecordDelete(path, &local)))
            virtHptRevertWarn(options, _("'%1$s' of snapshot '%2$s' is left: %3$s"), path,
                              journal->snapshot, local->message);
    }
    return TRUE;
}

/**
 * virtHptDeleteFinish:
 * @guest: a locked guest
 * @journal: of a snapshot that was to be deleted, with which libvirt is done
 * @options: whom to tell what could not be done
 * @error: set on failure: libvirt cannot be asked; the journal is then kept
 *
 * Does what is left to do, if the snapshot is gone.  May be done twice.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptDeleteFinish(VirtHptGuest *guest,
                    const VirtHptJournal *journal,
                    const VirtHptRevertOptions *options,
                    GError **error)
{
    g_autoptr(virDomainSnapshot) handle =
        virDomainSnapshotLookupByName(guest->domain, journal->snapshot, 0);
    g_autoptr(GError) local = NULL;

    if (!handle && virGetLastErrorCode() != VIR_ERR_NO_DOMAIN_SNAPSHOT)
        return virtHptLibvirtSetError(error, _("cannot query snapshot '%1$s'"), journal->snapshot);
    if (!virtHptMetadataPutBackOthers(guest, journal->snapshots, &local)) {
        if (virConnectIsAlive(guest->connection) != 1) {
            g_propagate_error(error, g_steal_pointer(&local));
            return FALSE;
        }
        virtHptRevertWarn(options,
                          _("the snapshots of '%1$s' are not all as they were before: %2$s"),
                          guest->name, local->message);
    }
    return (handle || removeDoomed(guest, journal, options, error)) &&
           virtHptJournalRemove(guest, error);
}

/* Of @files, those that are there and that nobody uses */
static GPtrArray *
findUnused(const GPtrArray *files, GHashTable *used)
{
    GPtrArray *left = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < files->len; i++) {
        const char *path = g_ptr_array_index(files, i);
        struct stat st;

        if (lstat(path, &st) == 0 && !g_hash_table_contains(used, path))
            g_ptr_array_add(left, g_strdup(path));
    }
    return left;
}

/* A snapshot's memory, its record, and the disk layers that were made for it */
static GPtrArray *
filesOf(const VirtHptSnapshot *snapshot, const GPtrArray *layers)
{
    GPtrArray *files = g_ptr_array_new_with_free_func(g_free);
    char *record = recordOf(snapshot);

    g_ptr_array_add(files, g_strdup(snapshot->image));
    if (record)
        g_ptr_array_add(files, record);
    for (guint i = 0; i < layers->len; i++)
        g_ptr_array_add(files, g_strdup(g_ptr_array_index(layers, i)));
    return files;
}

/**
 * virtHptSnapshotDelete:
 * @snapshot: a snapshot of a locked guest
 * @keepFiles: whether libvirt shall only forget it
 * @tell: whom to tell what is not as it should be; no more of it is used
 * @left: (out) (transfer full) (element-type utf8): files of it that are still there and that
 *   neither the domain nor another snapshot uses
 * @error: set on failure: %VIRT_HPT_ERROR_FAILED also where an earlier revert is not decided
 *
 * Deletes a snapshot, and then its memory and record.  Where it is gone and something of it could
 * not be removed, that is told.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptSnapshotDelete(VirtHptSnapshot *snapshot,
                      gboolean keepFiles,
                      const VirtHptRevertOptions *tell,
                      GPtrArray **left,
                      GError **error)
{
    VirtHptGuest *guest = snapshot->guest;
    g_autoptr(VirtHptJournal) journal = NULL;
    g_autoptr(GPtrArray) layers = NULL;
    g_autoptr(GPtrArray) files = NULL;
    g_autoptr(GHashTable) used = NULL;
    g_autoptr(GError) local = NULL;
    gboolean forget;

    /* What a revert that waits for a decision would go back to needs all that is there. */
    if (!virtHptSnapshotHasImage(snapshot, error) || !virtHptRevertIsDecided(guest, error))
        return FALSE;
    used = virtHptUsesAll(guest, error);
    if (!used)
        return FALSE;
    layers = layersOf(snapshot);
    /* The record is found by the image, which is gone afterwards. */
    files = filesOf(snapshot, layers);
    forget = keepFiles || isAbandoned(snapshot, layers);
    journal = plan(snapshot, keepFiles, forget, error);
    if (!journal || !virtHptJournalEnter(journal, guest, VIRT_HPT_PHASE_DELETING, error))
        return FALSE;
    if (virDomainSnapshotDelete(snapshot->handle,
                                forget ? VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY : 0) < 0) {
        virtHptLibvirtSetError(error, _("cannot delete snapshot '%1$s'"), snapshot->name);
        /* Else the next command does it. */
        virtHptDeleteFinish(guest, journal, tell, NULL);
        return FALSE;
    }
    if (!virtHptDeleteFinish(guest, journal, tell, &local))
        virtHptRevertWarn(
            tell, _("snapshot '%1$s' is deleted, and the next command removes what is left: %2$s"),
            snapshot->name, local->message);
    *left = findUnused(files, used);
    return TRUE;
}
