/*
 * snapshot_validate.h: may this image be restored?
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "snapshot/snapshot_subject.h"
#include "snapshot/snapshot_verdict.h"

G_BEGIN_DECLS

/**
 * VirtHptValidateOptions:
 * @skip: bits 1 << level of levels that are not wanted
 * @require: bits 1 << level of levels without which there is no verdict, but an error
 * @timeout: seconds that a dry run may take, 0: the default
 * @progress: called as an image is read, or %NULL
 * @progressOpaque: passed to @progress
 *
 * How to validate.  Zero-initialised: all levels that can be run here.
 */
typedef struct {
    guint skip;
    guint require;
    guint timeout;
    VirtHptProgressFunc progress;
    gpointer progressOpaque;
} VirtHptValidateOptions;

VirtHptVerdict *virtHptValidate(const char *path,
                                const VirtHptValidateOptions *options,
                                GError **error);

G_END_DECLS
