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
#include "snapshot/snapshot_backing.h"
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

/* Whether the domain's disks, which lie on @now, all lie above the layers that the snapshot made.
 * After a revert they do not, and libvirt before 9.9.0, which was not told, could merge nothing. */
static gboolean
isBelow(const GPtrArray *layers, GHashTable *now)
{
    for (guint i = 0; i < layers->len; i++) {
        if (!g_hash_table_contains(now, g_ptr_array_index(layers, i)))
            return FALSE;
    }
    return TRUE;
}

/* (transfer full): the image of a disk, or its name, that is not among what the domain is on @now;
 * or %NULL.  @domain: (nullable): a <domain> or <inactiveDomain> */
static char *
findElsewhere(const xmlNode *domain, GHashTable *now)
{
    xmlNode *devices = domain ? virtHptXmlChild(domain, "devices") : NULL;

    for (xmlNode *disk = devices ? virtHptXmlChild(devices, "disk") : NULL; disk;
         disk = virtHptXmlNext(disk->next, "disk")) {
        xmlNode *target = virtHptXmlChild(disk, "target");
        gboolean block;
        g_autofree char *image = virtHptDiskSource(disk, &block);

        if (virtHptDiskIsOwn(disk) && !(image && g_hash_table_contains(now, image)))
            return image ? g_steal_pointer(&image)
                         : (target ? virtHptXmlGetAttribute(target, "dev") : g_strdup("?"));
    }
    return NULL;
}

/* The same of the definition and of all snapshots but @name; @error is set where it is not known */
static char *
findBranch(VirtHptGuest *guest, const char *name, GHashTable *now, GError **error)
{
    static const char *const domains[] = {"domain", "inactiveDomain"};
    g_autoptr(GPtrArray) snapshots = virtHptSnapshotList(guest, error);
    g_autoptr(xmlDoc) definition =
        snapshots ? virtHptGuestReadDomain(guest, VIR_DOMAIN_XML_INACTIVE, error) : NULL;
    char *found = definition ? findElsewhere(xmlDocGetRootElement(definition), now) : NULL;

    for (guint i = 0; definition && !found && i < snapshots->len; i++) {
        const VirtHptSnapshot *other = g_ptr_array_index(snapshots, i);
        const xmlNode *root = xmlDocGetRootElement(other->doc);

        for (gsize j = 0; !found && j < G_N_ELEMENTS(domains); j++) {
            if (!g_str_equal(other->name, name))
                found = findElsewhere(virtHptXmlChild(root, domains[j]), now);
        }
    }
    return found;
}

/* Whether libvirt is not to merge the snapshot's layers, and is only to forget it.  Before 9.9.0 it
 * knows of no reverts, and so of no branch but the one that the domain is on: what it merges
 * another snapshot may lie on.  So all others have to be on that branch. */
static gboolean
mustForget(const VirtHptSnapshot *snapshot,
           const GPtrArray *layers,
           const VirtHptRevertOptions *tell,
           gboolean *forget,
           GError **error)
{
    g_autoptr(GHashTable) now = NULL;
    g_autofree char *branch = NULL;
    g_autoptr(GError) local = NULL;

    *forget = FALSE;
    if (snapshot->guest->revertsExternal)
        return TRUE;
    now = virtHptUsesNow(snapshot->guest, error);
    if (!now)
        return FALSE;
    *forget = layers->len == 0 || !isBelow(layers, now);
    if (*forget)
        return TRUE;
    branch = findBranch(snapshot->guest, snapshot->name, now, &local);
    if (local) {
        g_propagate_error(error, g_steal_pointer(&local));
        return FALSE;
    }
    if (!branch)
        return TRUE;
    *forget = TRUE;
    virtHptRevertSay(
        tell,
        _("the disk layers of snapshot '%1$s' stay and are not merged: another snapshot, or the definition, needs '%2$s', which may lie on them and is not what the guest is on"),
        snapshot->name, branch);
    return TRUE;
}

/* Path of its record, also where the image that this was made of is lost; or %NULL, with @error set
 * where there is one that cannot be read */
static char *
recordOf(const VirtHptSnapshot *snapshot, GError **error)
{
    g_autofree char *beside = g_strconcat(snapshot->image, VIRT_HPT_RECORD_SUFFIX, NULL);
    g_autoptr(VirtHptRecord) record = NULL;

    if (!virtHptFileIsAbsent(snapshot->image))
        record = virtHptSnapshotFindRecord(snapshot, error);
    else if (!virtHptFileIsAbsent(beside))
        record = virtHptRecordOpen(beside, error);
    return record ? g_strdup(record->path) : NULL;
}

/* What is to be done once libvirt has done it; @record: (nullable) */
static VirtHptJournal *
plan(const VirtHptSnapshot *snapshot,
     const char *record,
     gboolean keepFiles,
     gboolean forget,
     GError **error)
{
    g_autoptr(VirtHptJournal) journal = virtHptJournalNew(snapshot->name);
    g_autoptr(VirtHptWatch) watch = virtHptWatchNew();

    journal->created = snapshot->creationTime;
    if (forget &&
        !virtHptMetadataRememberOthers(snapshot->guest, snapshot->name, journal->snapshots, error))
        return NULL;
    if (keepFiles)
        return g_steal_pointer(&journal);
    if (record)
        g_ptr_array_add(journal->doomed, g_strdup(record));
    g_ptr_array_add(journal->doomed, g_strdup(snapshot->image));
    if (virtHptWatchAdd(watch, snapshot->image, NULL))
        virtHptWatchMark(watch, journal->files);
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

/* Whether the memory is the one that was to go, or is gone: some versions of libvirt remove it. */
static gboolean
isDoomed(const VirtHptJournal *journal, const char *image)
{
    return virtHptFileIsAbsent(image) ||
           (journal->files->len > 0 && virtHptFileMarkIsSame(g_ptr_array_index(journal->files, 0)));
}

/* Memory that is no file, such as a device, stays, and so does what another snapshot has by now. */
static gboolean
removeDoomed(VirtHptGuest *guest,
             const VirtHptJournal *journal,
             const VirtHptRevertOptions *options,
             GError **error)
{
    g_autoptr(GHashTable) named = virtHptUsesNamed(guest, error);
    const GPtrArray *doomed = journal->doomed;
    const char *image = doomed->len > 0 ? g_ptr_array_index(doomed, doomed->len - 1) : NULL;
    struct stat st;

    if (!named || !image)
        return named != NULL;
    if (g_hash_table_contains(named, image) || !isDoomed(journal, image) ||
        (lstat(image, &st) == 0 && !S_ISREG(st.st_mode))) {
        virtHptRevertSay(options,
                         _("'%1$s' stays: it is not, or not only, the memory of snapshot '%2$s'"),
                         image, journal->snapshot);
        return TRUE;
    }
    for (guint i = 0; i < doomed->len; i++) {
        const char *path = g_ptr_array_index(doomed, i);
        g_autoptr(GError) local = NULL;

        if (virtHptFileIsAbsent(path))
            continue;
        if (!(path == image ? removeFile(path, &local) : virtHptRecordDelete(path, &local)))
            virtHptRevertWarn(options, _("'%1$s' of snapshot '%2$s' is left: %3$s"), path,
                              journal->snapshot, local->message);
        else if (journal->found)
            virtHptRevertSay(
                options,
                _("the deletion of snapshot '%1$s' of '%2$s' was interrupted: removed '%3$s'"),
                journal->snapshot, guest->name, path);
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
    g_autoptr(GError) local = NULL;
    g_autoptr(VirtHptSnapshot) there = virtHptSnapshotLookup(guest, journal->snapshot, &local);

    if (!there && !g_error_matches(local, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND)) {
        g_propagate_error(error, g_steal_pointer(&local));
        return FALSE;
    }
    g_clear_error(&local);
    /* Nothing was done, unless somebody made another of the name since. */
    if (there && there->creationTime == journal->created)
        return virtHptJournalRemove(guest, error);
    if (!virtHptMetadataPutBackOthers(guest, journal->snapshots, &local)) {
        if (!g_error_matches(local, VIRT_HPT_ERROR, VIRT_HPT_ERROR_DAMAGED)) {
            g_propagate_error(error, g_steal_pointer(&local));
            return FALSE;
        }
        virtHptRevertWarn(options, "%s", local->message);
    }
    return removeDoomed(guest, journal, options, error) && virtHptJournalRemove(guest, error);
}

/* Adds the layers that are there and that nobody uses, if it is known what all that is used lies
 * above.  Whatever libvirt says now, the snapshots that there were need what they needed. */
static void
addUnusedLayers(GPtrArray *left,
                VirtHptGuest *guest,
                const VirtHptJournal *journal,
                const GPtrArray *layers)
{
    g_autoptr(GHashTable) used = virtHptUsesAll(guest, NULL);
    gboolean known = used != NULL;
    GHashTableIter iter;
    gpointer path;

    for (guint i = 0; known && i < journal->snapshots->len; i++)
        known = virtHptUsesAdd(used, g_ptr_array_index(journal->snapshots, i), NULL);
    if (!known)
        return;
    g_hash_table_iter_init(&iter, used);
    while (known && g_hash_table_iter_next(&iter, &path, NULL))
        known = virtHptBackingIsKnown(path);
    for (guint i = 0; known && i < layers->len; i++) {
        const char *layer = g_ptr_array_index(layers, i);
        gboolean unused = !virtHptFileIsAbsent(layer);

        g_hash_table_iter_init(&iter, used);
        while (unused && g_hash_table_iter_next(&iter, &path, NULL))
            unused = !virtHptBackingIsFile(path, layer);
        if (unused)
            g_ptr_array_add(left, g_strdup(layer));
    }
}

/* What is still there of a snapshot that is gone, and used by nobody */
static GPtrArray *
findLeft(VirtHptGuest *guest,
         const VirtHptJournal *journal,
         const GPtrArray *layers,
         const char *image,
         const char *record)
{
    GPtrArray *left = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GHashTable) named = virtHptUsesNamed(guest, NULL);
    const char *own[] = {image, record};

    for (gsize i = 0; named && i < G_N_ELEMENTS(own); i++) {
        if (own[i] && !virtHptFileIsAbsent(own[i]) && !g_hash_table_contains(named, image))
            g_ptr_array_add(left, g_strdup(own[i]));
    }
    addUnusedLayers(left, guest, journal, layers);
    return left;
}

/**
 * virtHptSnapshotDelete:
 * @snapshot: a snapshot of a locked guest
 * @keepFiles: whether libvirt shall only forget it
 * @tell: whom to tell what should be known; no more of it is used
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
    g_autofree char *record = NULL;
    g_autoptr(GError) local = NULL;
    gboolean forget = keepFiles;

    /* What a revert that waits for a decision would go back to needs all that is there. */
    if (!virtHptSnapshotHasImage(snapshot, error) || !virtHptRevertIsDecided(guest, error))
        return FALSE;
    layers = layersOf(snapshot);
    if (!forget && !mustForget(snapshot, layers, tell, &forget, error))
        return FALSE;
    /* It is found by the image, which is gone afterwards. */
    record = recordOf(snapshot, &local);
    if (local && !keepFiles)
        virtHptRevertWarn(tell, _("the record of snapshot '%1$s' is left: %2$s"), snapshot->name,
                          local->message);
    g_clear_error(&local);
    journal = plan(snapshot, record, keepFiles, forget, error);
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
    *left = findLeft(guest, journal, layers, snapshot->image, record);
    return TRUE;
}
