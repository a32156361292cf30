/*
 * snapshot_overlay.h: new disk layers over the images that a snapshot left as they were
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * VirtHptOverlay:
 * @target: the disk, as the domain's XML names it ('vda')
 * @base: absolute path of the image that the snapshot left as it was
 * @format: of @base
 * @block: whether @base is a block device
 * @path: absolute path of the layer above @base; %NULL: not chosen yet, or it is somebody else's
 */
typedef struct {
    char *target;
    char *base;
    char *format;
    gboolean block;
    char *path;
} VirtHptOverlay;

VirtHptOverlay *virtHptOverlayNew(const char *target,
                                  const char *base,
                                  const char *format,
                                  gboolean block);
void virtHptOverlayFree(VirtHptOverlay *overlay);

void virtHptOverlayName(VirtHptOverlay *overlay, const char *beside, const char *label);
int virtHptOverlayReserve(VirtHptOverlay *overlay, GError **error);
gboolean virtHptOverlayFormat(const VirtHptOverlay *overlay, int fd, GError **error);

char *virtHptOverlayEditDomain(const char *xml, const GPtrArray *overlays, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptOverlay, virtHptOverlayFree)

G_END_DECLS
