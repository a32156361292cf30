/*
 * snapshot_location.h: the directory and name that an image's record has, or will have
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "snapshot/snapshot_place.h"

G_BEGIN_DECLS

/**
 * VirtHptLocation:
 * @dir: the directory that holds the record, open; owned
 * @name: the record's name in it
 * @path: the record's path, for messages
 * @beside: whether the image lies in the same directory
 */
typedef struct {
    int dir;
    char *name;
    char *path;
    gboolean beside;
} VirtHptLocation;

gboolean virtHptLocationIsBeside(const VirtHptPlace *place);

VirtHptLocation *virtHptLocationBeside(const VirtHptPlace *place, GError **error);
VirtHptLocation *virtHptLocationInState(const VirtHptPlace *place, gboolean create, GError **error);
VirtHptLocation *virtHptLocationOfPath(const char *path, GError **error);
void virtHptLocationFree(VirtHptLocation *location);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptLocation, virtHptLocationFree)

G_END_DECLS
