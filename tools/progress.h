/*
 * progress.h: a bar on the terminal for steps that take a while
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#pragma once

#include "tool.h"

G_BEGIN_DECLS

/**
 * VirtHptProgress:
 * @enabled: whether anybody watches
 * @started: when the step began, monotonic microseconds
 * @drawn: when it was last drawn, monotonic microseconds
 * @columns: of the line on the terminal, 0: none
 *
 * A bar that appears on standard error once a step has run for a second, and leaves no trace.
 * Use it as g_auto(VirtHptProgress) and pass it to whatever takes a VirtHptProgressFunc.
 */
typedef struct {
    gboolean enabled;
    gint64 started;
    gint64 drawn;
    guint columns;
} VirtHptProgress;

void virtHptProgressInit(VirtHptProgress *progress, const VirtHptTool *tool);
void virtHptProgressClear(VirtHptProgress *progress);
void virtHptProgressUpdate(guint64 done, guint64 total, gpointer opaque);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VirtHptProgress, virtHptProgressClear)

G_END_DECLS
