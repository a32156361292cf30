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

G_BEGIN_DECLS

/**
 * VirtHptPhase:
 * @VIRT_HPT_PHASE_STOPPING: the running guest is being saved or ended; if it is still there,
 *   nothing has happened
 * @VIRT_HPT_PHASE_RESTORING: from when it is off until the snapshot is restored and in order; if
 *   there is a guest and it is paused, it is the snapshot's
 * @VIRT_HPT_PHASE_COMMITTING: the snapshot's guest stays; the old state goes
 * @VIRT_HPT_PHASE_DIFFERS: the snapshot's guest is paused since its table is not the recorded one,
 *   and somebody has to decide
 */
typedef enum {
    VIRT_HPT_PHASE_STOPPING,
    VIRT_HPT_PHASE_RESTORING,
    VIRT_HPT_PHASE_COMMITTING,
    VIRT_HPT_PHASE_DIFFERS,
} VirtHptPhase;

/**
 * VirtHptJournal:
 * @phase: what is being done
 * @snapshot: name of the snapshot that is reverted to
 * @aside: where the state of the guest before is saved, or %NULL where there is none
 * @definition: the persistent definition before, or %NULL where there is none
 * @resume: whether the snapshot's guest is to run
 * @overlays: (element-type VirtHptOverlay): disk layers made for it
 * @kept: (element-type utf8): paths of disk layers that libvirt may remove, see virtHptKeepFile()
 */
typedef struct {
    VirtHptPhase phase;
    char *snapshot;
    char *aside;
    char *definition;
    gboolean resume;
    GPtrArray *overlays;
    GPtrArray *kept;
} VirtHptJournal;

VirtHptJournal *virtHptJournalNew(const char *snapshot);
void virtHptJournalFree(VirtHptJournal *journal);

gboolean virtHptJournalLoad(VirtHptGuest *guest, VirtHptJournal **journal, GError **error);
gboolean virtHptJournalEnter(VirtHptJournal *journal,
                             VirtHptGuest *guest,
                             VirtHptPhase phase,
                             GError **error);
gboolean virtHptJournalRemove(VirtHptGuest *guest, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptJournal, virtHptJournalFree)

G_END_DECLS
