/*
 * snapshot_journal.h: how far a revert got, for whoever comes after it
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Written before each step that cannot be undone by leaving it, whole or not at all, so that a
 * revert that is killed leaves behind what is needed to bring the guest back.
 */

#pragma once

#include "snapshot/snapshot_guest.h"
#include "snapshot/snapshot_overlay.h"
#include "snapshot/snapshot_watch.h"

G_BEGIN_DECLS

/**
 * VirtHptPhase:
 * @VIRT_HPT_PHASE_PREPARING: files are being made beside the disks; the guest is not touched
 * @VIRT_HPT_PHASE_STOPPING: the running guest is being saved or ended; if it is still there,
 *   nothing has happened
 * @VIRT_HPT_PHASE_RESTORING: from when it is off until the snapshot is restored and in order; if
 *   there is a guest and it is paused, it is the snapshot's
 * @VIRT_HPT_PHASE_COMMITTING: the snapshot's guest stays; the old state goes
 * @VIRT_HPT_PHASE_DIFFERS: the snapshot's guest is paused since its table is not the recorded one,
 *   and somebody has to decide
 * @VIRT_HPT_PHASE_UNDOING: the snapshot's guest is gone, and the state before is being restored
 * @VIRT_HPT_PHASE_UNDONE: the guest is as it was before; the files of the revert go
 * @VIRT_HPT_PHASE_CREATING: not a revert: the snapshot is being made, of the files in 'made'
 * @VIRT_HPT_PHASE_DELETING: not a revert: the snapshot is being deleted, and then the files in
 *   'doomed'
 */
typedef enum {
    VIRT_HPT_PHASE_PREPARING,
    VIRT_HPT_PHASE_STOPPING,
    VIRT_HPT_PHASE_RESTORING,
    VIRT_HPT_PHASE_COMMITTING,
    VIRT_HPT_PHASE_DIFFERS,
    VIRT_HPT_PHASE_UNDOING,
    VIRT_HPT_PHASE_UNDONE,
    VIRT_HPT_PHASE_CREATING,
    VIRT_HPT_PHASE_DELETING,
} VirtHptPhase;

/* It may have been written to: no file is that long (off_t) */
#define VIRT_HPT_LAYER_SIZE_UNKNOWN G_MAXUINT64

/**
 * VirtHptLayer:
 * @path: of a disk layer that was made for a revert
 * @size: in bytes, of the file when nothing had been written to the layer, or
 *   %VIRT_HPT_LAYER_SIZE_UNKNOWN
 */
typedef struct {
    char *path;
    guint64 size;
} VirtHptLayer;

/**
 * VirtHptJournal:
 * @phase: what is being done
 * @found: whether it is of another process, and was found
 * @snapshot: name of the snapshot that is reverted to, made, or deleted
 * @aside: where the state of the guest before is saved, or %NULL where there is none
 * @definition: the persistent definition before, or %NULL where there is none
 * @current: name of the current snapshot before, or %NULL where there was none
 * @snapshots: (element-type utf8): libvirt's XML before of the snapshots that the revert, or what
 *   libvirt makes of a deletion, changes
 * @resume: whether the snapshot's guest is to run
 * @noDryRun: whether no dry run was wanted
 * @prove: whether its table is to be compared with the recorded one before
 * @id: libvirt's id of the snapshot's guest once that is restored, or -1
 * @boot: (nullable): the host's boot id when it was
 * @files: (element-type VirtHptFileMark): what was validated, or is to be deleted: the image, then
 *   the layers of its disks; none where that cannot be told
 * @stopped: (element-type VirtHptFileMark): what must not change while the guest is off, see
 *   virtHptStoppedNote()
 * @overlays: (element-type VirtHptOverlay): disk layers to be made for it
 * @made: (element-type VirtHptLayer): disk layers that were made for it, by us or by libvirt
 * @layers: (element-type utf8): paths of the files that the guest's disks were on before
 * @created: when the snapshot that is to be deleted was made, in seconds since 1970
 * @kept: (element-type utf8): paths of disk layers that libvirt may remove, see virtHptKeepFile()
 * @doomed: (element-type utf8): paths of what goes with the snapshot: its record, and its memory
 *   last
 */
typedef struct {
    VirtHptPhase phase;
    gboolean found;
    char *snapshot;
    char *aside;
    char *definition;
    char *current;
    GPtrArray *snapshots;
    gboolean resume;
    gboolean prove;
    gboolean noDryRun;
    gint id;
    char *boot;
    GPtrArray *files;
    GPtrArray *stopped;
    GPtrArray *overlays;
    GPtrArray *made;
    GPtrArray *layers;
    gint64 created;
    GPtrArray *kept;
    GPtrArray *doomed;
} VirtHptJournal;

VirtHptJournal *virtHptJournalNew(const char *snapshot);
void virtHptJournalFree(VirtHptJournal *journal);

gboolean virtHptJournalHasMade(const VirtHptJournal *journal, const char *path);
void virtHptJournalAddMade(VirtHptJournal *journal, const char *path, guint64 size);

VirtHptJournal *virtHptJournalParse(const char *text, gsize length, GError **error);
char *virtHptJournalFormat(const VirtHptJournal *journal, gsize *length);

gboolean virtHptJournalLoad(VirtHptGuest *guest, VirtHptJournal **journal, GError **error);
gboolean virtHptJournalEnter(VirtHptJournal *journal,
                             VirtHptGuest *guest,
                             VirtHptPhase phase,
                             GError **error);
gint64 virtHptJournalGetTime(const VirtHptGuest *guest);
gboolean virtHptJournalRemove(VirtHptGuest *guest, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptJournal, virtHptJournalFree)

G_END_DECLS
