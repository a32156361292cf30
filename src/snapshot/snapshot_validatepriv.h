/*
 * snapshot_validatepriv.h: what the files of a validation share
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "snapshot/snapshot_dryrun.h"
#include "snapshot/snapshot_validate.h"

G_BEGIN_DECLS

/**
 * VirtHptValidation:
 * @options: what was asked for
 * @verdict: what has been found
 * @state: the machine state for a dry run, in a temporary file, or -1
 * @dryRun: (nullable): a dry run that has begun
 *
 * One validation.
 */
typedef struct {
    const VirtHptValidateOptions *options;
    VirtHptVerdict *verdict;
    int state;
    VirtHptDryRun *dryRun;
} VirtHptValidation;

gboolean virtHptValidationWants(const VirtHptValidation *validation, VirtHptLevel level);
gboolean virtHptValidationWantsState(const VirtHptValidation *validation);
void virtHptValidationBeginDryRun(VirtHptValidation *validation, const VirtHptRecord *record);
void virtHptValidationDropState(VirtHptValidation *validation);
gboolean virtHptValidationDryRun(VirtHptValidation *validation,
                                 const VirtHptSubject *subject,
                                 GError **error);

G_END_DECLS
