/*
 * snapshot_backing.h: the file that a disk layer lies above
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

char *virtHptBackingResolve(const char *backing, const char *above);
char *virtHptBackingRead(const char *path);
gboolean virtHptBackingIsKnown(const char *path);
gboolean virtHptBackingIsFile(const char *a, const char *b);

G_END_DECLS
