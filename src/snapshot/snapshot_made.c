/*
 * snapshot_made.c: the disk layers that are made for a revert, by us or by libvirt
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Of those that libvirt makes (since 9.9.0) it does not say which they are, and the user may have
 * attached a disk of their own meanwhile.  A layer of libvirt's lies directly above an image that a
 * disk of the snapshot was on, and nothing knew of it before.
 */

#include "config.h"

#include <sys/stat.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "snapshot/snapshot_backing.h"
#include "snapshot/snapshot_made.h"
#include "snapshot/snapshot_metadata.h"
#include "snapshot/snapshot_revertpriv.h"
#include "snapshot/snapshot_uses.h"

/* What libvirt knew of before a revert, by the journal */
static GHashTable *
knownBefore(const VirtHptJournal *journal, GError **error)
{
    g_autoptr(GHashTable) known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    if (journal->definition && !virtHptUsesAddNamed(known, journal->definition, error))
        return NULL;
    for (guint i = 0; i < journal->snapshots->len; i++) {
        if (!virtHptUsesAddNamed(known, g_ptr_array_index(journal->snapshots, i), error))
            return NULL;
    }
    return g_steal_pointer(&known);
}

static gboolean
isAmong(const GPtrArray *bases, const char *path)
{
    for (guint i = 0; i < bases->len; i++) {
        if (virtHptBackingIsFile(path, g_ptr_array_index(bases, i)))
            return TRUE;
    }
    return FALSE;
}

static gboolean
isAbove(const GPtrArray *bases, const char *path)
{
    g_autofree char *backing = virtHptBackingRead(path);

    return backing && isAmong(bases, backing);
}

/* Drops from @layers what libvirt did not make for the revert. */
static gboolean
keepLibvirts(GPtrArray *layers, const VirtHptJournal *journal, GError **error)
{
    const char *target = virtHptMetadataTarget(journal);
    g_autoptr(GHashTable) known = knownBefore(journal, error);
    g_autoptr(GPtrArray) bases = known && target ? virtHptUsesBases(target, error) : NULL;

    if (!known || (target && !bases))
        return FALSE;
    for (guint i = layers->len; i > 0; i--) {
        const char *path = g_ptr_array_index(layers, i - 1);

        if (!bases || virtHptUsesHas(journal->layers, path) ||
            virtHptUsesHas(journal->kept, path) || g_hash_table_contains(known, path) ||
            !isAbove(bases, path))
            g_ptr_array_remove_index(layers, i - 1);
    }
    return TRUE;
}

static void
addMade(VirtHptJournal *journal, const char *path)
{
    gboolean unwritten = !journal->found;
    struct stat st;

    if (!virtHptJournalHasMade(journal, path) && lstat(path, &st) == 0 && S_ISREG(st.st_mode))
        virtHptJournalAddMade(journal, path,
                              unwritten ? (guint64)st.st_size : VIRT_HPT_LAYER_SIZE_UNKNOWN);
}

/* What libvirt says that it made: the snapshot has it, and the guest is on it. */
static gboolean
addMadeByLibvirt(VirtHptGuest *guest, VirtHptJournal *journal, GError **error)
{
    g_autoptr(GPtrArray) layers = virtHptUsesTop(guest, error);
    g_autoptr(virDomainSnapshot) snapshot = NULL;
    g_autoptr(VirtHptLibvirtString) xml = NULL;

    if (!layers)
        return FALSE;
    snapshot = virDomainSnapshotLookupByName(guest->domain, journal->snapshot, 0);
    xml = snapshot ? virDomainSnapshotGetXMLDesc(snapshot, 0) : NULL;
    if ((xml && !virtHptUsesAddRemovable(layers, xml, error)) ||
        !keepLibvirts(layers, journal, error))
        return FALSE;
    for (guint i = 0; i < layers->len; i++)
        addMade(journal, g_ptr_array_index(layers, i));
    return TRUE;
}

/**
 * virtHptMadeNote:
 * @guest: a guest
 * @journal: gets the disk layers that were made for its revert so far; it is not written.  Where
 *   another process made them a guest may have written to them since
 * @error: set on failure
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptMadeNote(VirtHptGuest *guest, VirtHptJournal *journal, GError **error)
{
    for (guint i = 0; i < journal->overlays->len; i++) {
        const VirtHptOverlay *overlay = g_ptr_array_index(journal->overlays, i);

        addMade(journal, overlay->path);
    }
    return !guest->revertsExternal || addMadeByLibvirt(guest, journal, error);
}

/* Whether the domain is on all the layers that were made by us */
static gboolean
isOnOverlays(const VirtHptJournal *journal, const GPtrArray *layers)
{
    for (guint i = 0; i < journal->overlays->len; i++) {
        const VirtHptOverlay *overlay = g_ptr_array_index(journal->overlays, i);

        if (!overlay->path || !virtHptUsesHas(layers, overlay->path))
            return FALSE;
    }
    return journal->overlays->len > 0;
}

/**
 * virtHptMadeIsUnder:
 * @guest: a guest
 * @journal: of its revert
 * @is: (out): whether its disks are on layers that were made for the revert
 * @error: set on failure
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptMadeIsUnder(VirtHptGuest *guest, const VirtHptJournal *journal, gboolean *is, GError **error)
{
    g_autoptr(GPtrArray) layers = virtHptUsesTop(guest, error);

    if (!layers)
        return FALSE;
    if (!guest->revertsExternal) {
        *is = isOnOverlays(journal, layers);
        return TRUE;
    }
    if (!keepLibvirts(layers, journal, error))
        return FALSE;
    *is = layers->len > 0;
    return TRUE;
}

/**
 * virtHptMadeIsBelow:
 * @guest: a guest
 * @journal: of its revert
 * @is: (out): whether its disks are on the images that the snapshot was made on
 * @error: set on failure
 *
 * libvirt since 9.9.0 starts the guest on these and makes the layers above them then; where it
 * cannot, as on a full disk, it leaves the guest there (11.3.0 qemuSnapshotRevertActive(): 'paused
 * (migrating)').  No definition is on such an image: validation refuses that.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptMadeIsBelow(VirtHptGuest *guest, const VirtHptJournal *journal, gboolean *is, GError **error)
{
    const char *target = guest->revertsExternal ? virtHptMetadataTarget(journal) : NULL;
    g_autoptr(GPtrArray) bases = target ? virtHptUsesBases(target, error) : NULL;
    g_autoptr(GPtrArray) layers = bases ? virtHptUsesTop(guest, error) : NULL;

    *is = layers && layers->len > 0;
    for (guint i = 0; *is && i < layers->len; i++)
        *is = isAmong(bases, g_ptr_array_index(layers, i));
    return layers || !target;
}

/* Removes a layer that was made for a revert, unless somebody came to use it. */
static void
removeUnused(GHashTable *used, const char *path)
{
    if (path && !g_hash_table_contains(used, path))
        unlink(path);
}

/* The same of one that a guest may have been on: what it wrote may be missed. */
static void
removeUnwritten(GHashTable *used, const VirtHptLayer *layer, const VirtHptRevertOptions *options)
{
    g_autofree char *quoted = g_shell_quote(layer->path);
    struct stat st;

    if (g_hash_table_contains(used, layer->path) || lstat(layer->path, &st) < 0)
        return;
    if ((guint64)st.st_size == layer->size) {
        unlink(layer->path);
        return;
    }
    virtHptRevertSay(
        options,
        layer->size == VIRT_HPT_LAYER_SIZE_UNKNOWN
            ? _("'%1$s' was made for the revert, which was undone, and may hold what the guest wrote after it; if nobody needs it: rm %2$s")
            : _("'%1$s' holds what the guest wrote after the revert, which was undone; if nobody needs it: rm %2$s"),
        layer->path, quoted);
}

/**
 * virtHptMadeRemove:
 * @guest: a locked guest
 * @journal: of a revert that it is not on any more
 * @options: whom to tell which files are left
 * @error: set on failure
 *
 * Removes the layers that were made for the revert and that nobody came to use, and names those
 * that hold, or may hold, what a guest wrote.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptMadeRemove(VirtHptGuest *guest,
                  const VirtHptJournal *journal,
                  const VirtHptRevertOptions *options,
                  GError **error)
{
    g_autoptr(GHashTable) used = NULL;

    if (journal->overlays->len == 0 && journal->made->len == 0)
        return TRUE;
    used = virtHptUsesAll(guest, error);
    if (!used)
        return FALSE;
    for (guint i = 0; i < journal->overlays->len; i++) {
        const VirtHptOverlay *overlay = g_ptr_array_index(journal->overlays, i);

        if (overlay->path && !virtHptJournalHasMade(journal, overlay->path))
            removeUnused(used, overlay->path);
    }
    for (guint i = 0; i < journal->made->len; i++)
        removeUnwritten(used, g_ptr_array_index(journal->made, i), options);
    return TRUE;
}
