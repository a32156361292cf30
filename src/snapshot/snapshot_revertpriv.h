/*
 * snapshot_revertpriv.h: steps that a revert and the recovery of one share
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "snapshot/snapshot_driver.h"

G_BEGIN_DECLS

#define VIRT_HPT_ASIDE "before-revert.save"

void virtHptRevertSay(const VirtHptRevertOptions *options, const char *format, ...)
    G_GNUC_PRINTF(2, 3);
void virtHptRevertWarn(const VirtHptRevertOptions *options, const char *format, ...)
    G_GNUC_PRINTF(2, 3);

gboolean virtHptCreateClean(VirtHptGuest *guest,
                            const VirtHptJournal *journal,
                            const VirtHptRevertOptions *options,
                            GError **error);
gboolean virtHptDeleteFinish(VirtHptGuest *guest,
                             const VirtHptJournal *journal,
                             const VirtHptRevertOptions *options,
                             GError **error);
gboolean virtHptRevertIsDecided(VirtHptGuest *guest, GError **error);
gboolean virtHptRevertMayBegin(VirtHptGuest *guest, const VirtHptJournal *journal, GError **error);
gboolean virtHptRevertProve(const VirtHptSnapshot *snapshot,
                            const VirtHptRevertOptions *options,
                            VirtHptDiff **diff,
                            gboolean *same,
                            GError **error);
gboolean virtHptRevertAbandon(VirtHptGuest *guest,
                              VirtHptJournal *journal,
                              const VirtHptRevertOptions *options,
                              GError **error);
gboolean virtHptRevertIsOurs(VirtHptGuest *guest,
                             const VirtHptJournal *journal,
                             gboolean *is,
                             GError **error);
gboolean virtHptRevertRefuseRunning(const VirtHptGuest *guest,
                                    const VirtHptJournal *journal,
                                    GError **error);
gboolean virtHptRevertUndo(VirtHptGuest *guest,
                           VirtHptJournal *journal,
                           const VirtHptRevertOptions *options,
                           GError **error);
gboolean virtHptRevertLeave(VirtHptGuest *guest,
                            const VirtHptJournal *journal,
                            const VirtHptRevertOptions *options,
                            GError **error);
gboolean virtHptRevertCommit(VirtHptGuest *guest,
                             const VirtHptJournal *journal,
                             const VirtHptRevertOptions *options,
                             gboolean *running,
                             GError **error);
gboolean virtHptRevertComplete(VirtHptGuest *guest,
                               VirtHptJournal *journal,
                               gboolean restored,
                               const VirtHptRevertOptions *options,
                               VirtHptRecovery *recovery,
                               GError **error);

G_END_DECLS
