/*
 * snapshot_uses.h: the images that a domain's disks lie on
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "snapshot/snapshot_guest.h"

G_BEGIN_DECLS

GPtrArray *virtHptUsesTop(VirtHptGuest *guest, GError **error);
GPtrArray *virtHptUsesOwn(VirtHptGuest *guest, GError **error);
gboolean virtHptUsesHas(const GPtrArray *layers, const char *path);

GHashTable *virtHptUsesNow(VirtHptGuest *guest, GError **error);
GHashTable *virtHptUsesAll(VirtHptGuest *guest, GError **error);
gboolean virtHptUsesAdd(GHashTable *used, const char *xml, GError **error);
gboolean virtHptUsesAddNamed(GHashTable *named, const char *xml, GError **error);
GHashTable *virtHptUsesNamed(VirtHptGuest *guest, GError **error);
GPtrArray *virtHptUsesBases(const char *xml, GError **error);
gboolean virtHptUsesAddRemovable(GPtrArray *layers, const char *xml, GError **error);

G_END_DECLS
