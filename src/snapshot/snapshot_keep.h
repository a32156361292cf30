/*
 * snapshot_keep.h: second names for files that libvirt may remove
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

gboolean virtHptKeepFile(const char *path, GError **error);
gboolean virtHptKeepBringBack(const char *path, GError **error);
void virtHptKeepDrop(const char *path);

G_END_DECLS
