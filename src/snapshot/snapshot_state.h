/*
 * snapshot_state.h: the directory that keeps what belongs to a domain and lies beside no image
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

char *virtHptStateDirPath(const char *uuid);
int virtHptStateDirOpen(const char *uuid, gboolean create, GError **error);

G_END_DECLS
