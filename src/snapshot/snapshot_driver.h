/*
 * snapshot_driver.h: snapshots of a domain, as libvirt has them, with their records
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "libvirt-hpt/htab_diff.h"
#include "snapshot/snapshot_backend.h"
#include "snapshot/snapshot_validate.h"
#include "snapshot/snapshot_watch.h"

G_BEGIN_DECLS

VirtHptSnapshot *virtHptSnapshotLookup(VirtHptGuest *guest, const char *name, GError **error);
GPtrArray *virtHptSnapshotList(VirtHptGuest *guest, GError **error);
void virtHptSnapshotFree(VirtHptSnapshot *snapshot);

const char *virtHptSnapshotGetKind(const VirtHptSnapshot *snapshot);
gboolean virtHptSnapshotHasImage(const VirtHptSnapshot *snapshot, GError **error);
VirtHptVerdict *virtHptSnapshotValidate(const VirtHptSnapshot *snapshot,
                                        const VirtHptValidateOptions *options,
                                        VirtHptWatch *layers,
                                        GError **error);
VirtHptRecord *virtHptSnapshotFindRecord(const VirtHptSnapshot *snapshot, GError **error);

char *virtHptSnapshotSuggestMemory(VirtHptGuest *guest, const char *name, GError **error);
VirtHptRecord *virtHptSnapshotRecord(const VirtHptSnapshot *snapshot,
                                     VirtHptProgressFunc progress,
                                     gpointer progressOpaque,
                                     GError **error);

/**
 * VirtHptSayFunc:
 * @message: what a user should know before it happens, translated
 * @opaque: the caller's
 */
typedef void (*VirtHptSayFunc)(const char *message, gpointer opaque);

/**
 * VirtHptRunState:
 * @VIRT_HPT_RUN_AS_SAVED: as the guest was at the snapshot
 * @VIRT_HPT_RUN_PAUSED: paused
 * @VIRT_HPT_RUN_RUNNING: running
 */
typedef enum {
    VIRT_HPT_RUN_AS_SAVED,
    VIRT_HPT_RUN_PAUSED,
    VIRT_HPT_RUN_RUNNING,
} VirtHptRunState;

/**
 * VirtHptRevertOptions:
 * @discardCurrent: whether the state of the running guest may be thrown away at once
 * @prove: whether to compare the restored table with the recorded one before the guest runs
 * @noDryRun: whether to revert without having tried that this host restores the guest
 * @run: the state to leave the guest in
 * @progress: called as an image without a record is read, or %NULL
 * @say: called with what a user should know, or %NULL
 * @hold: called when it is no time to be interrupted any more, or %NULL: the guest is going to be
 *   off, and has to come back
 * @patience: how long to wait for what libvirt does with the domain, in seconds; 0: for an hour
 * @warned: (nullable): set to %TRUE where that was a warning: something is not as it should be
 * @opaque: passed to @progress and @say
 */
typedef struct {
    gboolean discardCurrent;
    gboolean prove;
    gboolean noDryRun;
    VirtHptRunState run;
    VirtHptProgressFunc progress;
    VirtHptSayFunc say;
    void (*hold)(void);
    guint patience;
    gboolean *warned;
    gpointer opaque;
} VirtHptRevertOptions;

/**
 * VirtHptRevertOutcome:
 * @VIRT_HPT_REVERT_DONE: the guest is the snapshot's
 * @VIRT_HPT_REVERT_REFUSED: validation failed, and nothing was touched
 * @VIRT_HPT_REVERT_DIFFERS: the guest is the snapshot's and paused, for its table is not the
 *   recorded one; the state before is kept
 */
typedef enum {
    VIRT_HPT_REVERT_DONE,
    VIRT_HPT_REVERT_REFUSED,
    VIRT_HPT_REVERT_DIFFERS,
} VirtHptRevertOutcome;

/**
 * VirtHptRevertResult:
 * @outcome: how it ended
 * @verdict: of the validation
 * @proved: whether the restored table was compared with the recorded one, and is the same; or that
 *   neither guest has one
 * @diff: of the two tables, or %NULL where they were not compared
 * @aside: where the state before is kept, or %NULL
 * @running: whether the guest runs now
 */
typedef struct {
    VirtHptRevertOutcome outcome;
    VirtHptVerdict *verdict;
    gboolean proved;
    VirtHptDiff *diff;
    char *aside;
    gboolean running;
} VirtHptRevertResult;

gboolean virtHptSnapshotCreate(VirtHptGuest *guest,
                               const VirtHptCreateOptions *options,
                               const VirtHptRevertOptions *tell,
                               GError **error);
gboolean virtHptSnapshotCreateFinish(VirtHptGuest *guest, GError **error);
gboolean virtHptSnapshotDelete(VirtHptSnapshot *snapshot,
                               gboolean keepFiles,
                               const VirtHptRevertOptions *tell,
                               GPtrArray **left,
                               GError **error);
gboolean virtHptSnapshotRevert(VirtHptSnapshot *snapshot,
                               const VirtHptRevertOptions *options,
                               VirtHptRevertResult *result,
                               GError **error);
void virtHptRevertResultClear(VirtHptRevertResult *result);

/**
 * VirtHptRecovery:
 * @VIRT_HPT_RECOVERY_NONE: nothing was interrupted
 * @VIRT_HPT_RECOVERY_UNTOUCHED: what was interrupted had not touched the guest
 * @VIRT_HPT_RECOVERY_BROUGHT_BACK: the guest is as it was before
 * @VIRT_HPT_RECOVERY_FINISHED: the revert was completed
 * @VIRT_HPT_RECOVERY_OFF: there was no state to bring back: the guest is off
 * @VIRT_HPT_RECOVERY_DIFFERS: the revert was completed, and the guest is paused, for its table is
 *   not the recorded one
 * @VIRT_HPT_RECOVERY_LEFT: somebody started the guest or let it run since, or there is nothing to
 *   bring back any more: it is left as it is
 */
typedef enum {
    VIRT_HPT_RECOVERY_NONE,
    VIRT_HPT_RECOVERY_UNTOUCHED,
    VIRT_HPT_RECOVERY_BROUGHT_BACK,
    VIRT_HPT_RECOVERY_FINISHED,
    VIRT_HPT_RECOVERY_OFF,
    VIRT_HPT_RECOVERY_DIFFERS,
    VIRT_HPT_RECOVERY_LEFT,
} VirtHptRecovery;

gboolean virtHptGuestRecover(VirtHptGuest *guest,
                             gboolean asked,
                             const VirtHptRevertOptions *options,
                             VirtHptRecovery *recovery,
                             GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptSnapshot, virtHptSnapshotFree)
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VirtHptRevertResult, virtHptRevertResultClear)

G_END_DECLS
