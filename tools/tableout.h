/*
 * tableout.h: where commands write a table or a delta to
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#pragma once

#include "libvirt-hpt/htab_stream.h"
#include "newfile.h"
#include "tool.h"

G_BEGIN_DECLS

/**
 * VirtHptTableOut:
 * @path: as it was typed
 * @file: the file that is written, or %NULL: it is standard output
 */
typedef struct {
    const char *path;
    VirtHptNewFile *file;
} VirtHptTableOut;

/**
 * VirtHptEncodeFunc:
 * @write: takes the bytes
 * @sink: to be passed to @write
 * @opaque: the caller's
 * @error: set on failure
 *
 * Returns: %FALSE with @error set
 */
typedef gboolean (*VirtHptEncodeFunc)(VirtHptWriteFunc write,
                                      gpointer sink,
                                      gpointer opaque,
                                      GError **error);

gboolean virtHptTableOutCheckStdout(VirtHptTool *tool, const char *path, VirtHptExit *status);
gboolean virtHptTableOutPrepare(VirtHptTableOut *out,
                                const char *path,
                                gboolean force,
                                GError **error);
gboolean virtHptTableOutAvoid(const VirtHptTableOut *out,
                              const VirtHptPlace *place,
                              GError **error);
gboolean virtHptTableOutAvoidSubject(const VirtHptTableOut *out,
                                     const VirtHptSubject *subject,
                                     GError **error);
gboolean virtHptTableOutWrite(VirtHptTool *tool,
                              const VirtHptTableOut *out,
                              VirtHptEncodeFunc encode,
                              gpointer opaque,
                              guint64 *length,
                              GError **error);
void virtHptTableOutClear(VirtHptTableOut *out);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VirtHptTableOut, virtHptTableOutClear)

G_END_DECLS
