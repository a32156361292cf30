/*
 * snapshot_dir.h: record directories: opened only where they are our own, made whole or not at all
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * All work is done relative to open directories; no link is followed below them.
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Files of a record */
#define VIRT_HPT_RECORD_DESCRIPTOR "snapshot.xml"
#define VIRT_HPT_RECORD_TABLE "table"
#define VIRT_HPT_RECORD_STATE "state"

gboolean virtHptDirIsOwn(int dir);
int virtHptDirOpen(int parent, const char *name, const char *path, GError **error);
int virtHptDirOpenFile(int dir, const char *name, const char *path, GError **error);
gboolean virtHptDirRemove(int parent, const char *name, const char *path, GError **error);

/**
 * VirtHptDirDraft:
 * @parent: the directory in which it will appear; the caller's
 * @dir: the draft itself, open and locked
 * @temporary: its name until it is published
 *
 * A record directory that is being filled under a random name, which no reader looks at.
 */
typedef struct {
    int parent;
    int dir;
    char *temporary;
} VirtHptDirDraft;

void virtHptDirReapDrafts(int parent, gint64 now);
VirtHptDirDraft *virtHptDirDraftNew(int parent, const char *path, GError **error);
int virtHptDirDraftCreateFile(VirtHptDirDraft *draft, const char *name, GError **error);
gboolean virtHptDirDraftPublish(VirtHptDirDraft *draft,
                                const char *name,
                                const char *path,
                                gboolean *replaced,
                                GError **error);
void virtHptDirDraftFree(VirtHptDirDraft *draft);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptDirDraft, virtHptDirDraftFree)

G_END_DECLS
