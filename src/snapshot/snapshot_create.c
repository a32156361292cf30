/*
 * snapshot_create.c: make a snapshot, and leave no file of it that nobody knows of
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * libvirt goes on with a snapshot when whoever asked for it is killed, and either makes it or
 * removes what it had made; where libvirt itself ends meanwhile, or QEMU, files are left.  So the
 * names of those that were not there before are in the guest's journal until the snapshot is made.
 *
 * Of what is left and not named by any snapshot nor the domain, memory that was not written to its
 * end is removed, as is the draft of a record.  The rest is named: a layer may hold what the guest
 * wrote.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "conf/xml_read.h"
#include "snapshot/snapshot_dir.h"
#include "snapshot/snapshot_disks.h"
#include "snapshot/snapshot_revertpriv.h"
#include "snapshot/snapshot_uses.h"

/* The first image of a disk that is a file, which a snapshot will leave as it is */
static char *
firstDisk(VirtHptGuest *guest, GError **error)
{
    g_autoptr(xmlDoc) doc = virtHptGuestReadDomain(guest, 0, error);

    if (!doc)
        return NULL;
    for (xmlNode *disk = virtHptDomainFirstDisk(doc); disk;
         disk = virtHptXmlNext(disk->next, "disk")) {
        xmlNode *source = virtHptXmlChild(disk, "source");
        char *file = NULL;

        if (source && !virtHptXmlChild(disk, "readonly"))
            file = virtHptXmlGetAttribute(source, "file");
        if (file)
            return file;
    }
    g_set_error(
        error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND,
        _("'%1$s' has no disk that is a file, beside which its memory could lie: use --memspec"),
        guest->name);
    return NULL;
}

/**
 * virtHptSnapshotSuggestMemory:
 * @guest: a guest
 * @name: of a snapshot that is to be made
 * @error: set on failure: %VIRT_HPT_ERROR_NOT_FOUND where no disk of the guest is a file
 *
 * Returns: (transfer full): where its memory may lie: beside the guest's first disk; or %NULL
 */
char *
virtHptSnapshotSuggestMemory(VirtHptGuest *guest, const char *name, GError **error)
{
    g_autofree char *disk = firstDisk(guest, error);
    g_autofree char *directory = disk ? g_path_get_dirname(disk) : NULL;
    g_autofree char *domain = g_uri_escape_string(guest->name, NULL, FALSE);
    g_autofree char *snapshot = g_uri_escape_string(name, NULL, FALSE);
    g_autofree char *file = g_strdup_printf("%s.%s.mem", domain, snapshot);

    return directory ? g_build_filename(directory, file, NULL) : NULL;
}

/* libvirt would write over what is there. */
static gboolean
checkMemory(const char *path, GError **error)
{
    struct stat st;

    if (!g_path_is_absolute(path)) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                    _("'%1$s' is not an absolute path"), path);
        return FALSE;
    }
    if (stat(path, &st) < 0 || (S_ISREG(st.st_mode) && st.st_size == 0))
        return TRUE;
    if (!S_ISREG(st.st_mode)) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_EXISTS,
                    _("'%1$s' is there and is no file: choose another place with --memspec"), path);
        return FALSE;
    }
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_EXISTS,
                _("'%1$s' exists already: remove it, or choose another with --memspec"), path);
    return FALSE;
}

/* libvirt refuses what it cannot make a file of, with a reason, and what XML cannot hold without.
 */
static gboolean
checkName(const char *name, GError **error)
{
    gboolean ok = *name != '\0' && g_utf8_validate(name, -1, NULL);

    for (const char *p = name; ok && *p; p++)
        ok = !g_ascii_iscntrl(*p);
    if (!ok)
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                    _("'%1$s' cannot name a snapshot: expected UTF-8 without control characters"),
                    name);
    return ok;
}

static void
noteFile(VirtHptJournal *journal, const char *path)
{
    struct stat st;

    if (path && g_path_is_absolute(path) && lstat(path, &st) < 0 &&
        !virtHptJournalHasMade(journal, path))
        virtHptJournalAddMade(journal, path, VIRT_HPT_LAYER_SIZE_UNKNOWN);
}

/* What libvirt calls the layer above a disk unless it is told (libvirt 9.0 and 11.3
 * virDomainSnapshotDefAssignExternalNames()) */
static char *
layerName(const char *disk, const char *name)
{
    g_autofree char *stem = g_strdup(disk);
    char *suffix = strrchr(stem, '.');

    if (suffix && !strchr(suffix, '/'))
        *suffix = '\0';
    return g_strdup_printf("%s.%s", stem, name);
}

/* The files that are about to be made and are not there yet */
static VirtHptJournal *
planFiles(VirtHptGuest *guest, const VirtHptCreateOptions *options, GError **error)
{
    g_autoptr(VirtHptJournal) journal = virtHptJournalNew(options->name);
    g_autoptr(GPtrArray) disks = virtHptUsesTop(guest, error);

    if (!disks)
        return NULL;
    noteFile(journal, options->memory);
    for (guint i = 0; options->disks && i < options->disks->len; i++) {
        const VirtHptDiskSpec *spec = g_ptr_array_index(options->disks, i);

        noteFile(journal, spec->file);
    }
    for (guint i = 0; i < disks->len; i++) {
        g_autofree char *layer = layerName(g_ptr_array_index(disks, i), options->name);

        noteFile(journal, layer);
    }
    return g_steal_pointer(&journal);
}

/* Removes the drafts of a record that were left where the file lies. */
static void
reapDrafts(const char *path)
{
    g_autofree char *directory = g_path_get_dirname(path);
    int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        return;
    virtHptDirReapDrafts(dir, g_get_real_time() / G_USEC_PER_SEC);
    close(dir);
}

/* libvirt parses what is asked for before its turn comes with the domain.  Where the guest ends in
 * between, libvirt makes a snapshot of a guest that is off, and its XML names memory that is not
 * there (9.0.0 and 11.3.0 qemuSnapshotCreateXML()). */
static void
forgetHollow(VirtHptGuest *guest,
             const VirtHptJournal *journal,
             const VirtHptRevertOptions *options)
{
    g_autoptr(VirtHptSnapshot) snapshot = virtHptSnapshotLookup(guest, journal->snapshot, NULL);

    /* One of the same name may be older. */
    if (snapshot && snapshot->image && virtHptFileIsAbsent(snapshot->image) &&
        snapshot->creationTime >= virtHptJournalGetTime(guest) &&
        virDomainSnapshotDelete(snapshot->handle, VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY) == 0)
        virtHptRevertSay(
            options,
            _("libvirt made snapshot '%1$s' of '%2$s' without its memory: it is removed, and the disks stay on their new layers"),
            journal->snapshot, guest->name);
}

/**
 * virtHptCreateClean:
 * @guest: a locked guest
 * @journal: of a snapshot that was to be made, and that libvirt is done with
 * @options: whom to tell which files are left
 * @error: set on failure; the journal is then kept
 *
 * Removes or names the files of the snapshot that neither a snapshot nor the domain names, and a
 * snapshot without its memory.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptCreateClean(VirtHptGuest *guest,
                   const VirtHptJournal *journal,
                   const VirtHptRevertOptions *options,
                   GError **error)
{
    g_autoptr(GHashTable) named = NULL;

    forgetHollow(guest, journal, options);
    named = virtHptUsesNamed(guest, error);
    if (!named)
        return FALSE;
    for (guint i = 0; i < journal->made->len; i++) {
        const VirtHptLayer *layer = g_ptr_array_index(journal->made, i);
        g_autofree char *quoted = g_shell_quote(layer->path);
        struct stat st;

        reapDrafts(layer->path);
        if (lstat(layer->path, &st) < 0 || g_hash_table_contains(named, layer->path) ||
            (virtHptBackendIsPartial(layer->path) && unlink(layer->path) == 0))
            continue;
        virtHptRevertSay(
            options,
            _("'%1$s' is left of snapshot '%2$s', which was not made, and nothing of '%3$s' uses it; if nobody else does: rm %4$s"),
            layer->path, journal->snapshot, guest->name, quoted);
    }
    /* Where there is no place for a record beside its image it is here. */
    virtHptDirReapDrafts(guest->stateDir, g_get_real_time() / G_USEC_PER_SEC);
    return virtHptJournalRemove(guest, error);
}

static gboolean
checkMade(const VirtHptGuest *guest, const VirtHptCreateOptions *options, GError **error)
{
    if (!virtHptFileIsAbsent(options->memory))
        return TRUE;
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                _("'%1$s' ended before libvirt made snapshot '%2$s': there is no memory in '%3$s'"),
                guest->name, options->name, options->memory);
    return FALSE;
}

/**
 * virtHptSnapshotCreate:
 * @guest: a locked guest
 * @options: what to make
 * @tell: whom to tell which files are left where it fails; no more of it is used
 * @error: set on failure: %VIRT_HPT_ERROR_FAILED also where an earlier revert is not decided; the
 *   guest is then as libvirt left it
 *
 * Makes an external snapshot with memory.  The record is virtHptSnapshotRecord()'s; when that is
 * done, virtHptSnapshotCreateFinish() ends it.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptSnapshotCreate(VirtHptGuest *guest,
                      const VirtHptCreateOptions *options,
                      const VirtHptRevertOptions *tell,
                      GError **error)
{
    g_autoptr(VirtHptJournal) journal = NULL;

    if (!checkName(options->name, error) || !checkMemory(options->memory, error) ||
        !virtHptRevertIsDecided(guest, error))
        return FALSE;
    journal = planFiles(guest, options, error);
    if (!journal || !virtHptJournalEnter(journal, guest, VIRT_HPT_PHASE_CREATING, error))
        return FALSE;
    if (virtHptBackendExternal.create(guest, options, error) && checkMade(guest, options, error))
        return TRUE;
    /* Else the next command does it. */
    virtHptCreateClean(guest, journal, tell, NULL);
    return FALSE;
}

/**
 * virtHptSnapshotCreateFinish:
 * @guest: a locked guest, of which a snapshot was made and recorded, or could not be recorded
 * @error: set on failure: %VIRT_HPT_ERROR_IO; the next command then looks for files that are left
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptSnapshotCreateFinish(VirtHptGuest *guest, GError **error)
{
    return virtHptJournalRemove(guest, error);
}
