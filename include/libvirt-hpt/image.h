/*
 * image.h: a file that holds a guest's migration stream, and the table in it
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Files are taken to be hostile: no length in them sizes an allocation without a limit, and what
 * violates the format is refused with its byte offset.  Text that comes from one is unchecked.
 */

#pragma once

#include "libvirt-hpt/htab_check.h"

G_BEGIN_DECLS

/**
 * VirtHptImageKind:
 * @VIRT_HPT_IMAGE_STREAM: a bare stream
 * @VIRT_HPT_IMAGE_SAVE: libvirt's save image; managed saves and external memory snapshots have
 *   the same format
 */
typedef enum {
    VIRT_HPT_IMAGE_STREAM,
    VIRT_HPT_IMAGE_SAVE,
} VirtHptImageKind;

/**
 * VirtHptImage:
 *
 * What was read of a file.  It keeps no descriptor: the file may change or go.
 *
 * Any number of threads may share an image.
 */
typedef struct _VirtHptImage VirtHptImage;

VirtHptImage *virtHptImageOpen(const char *path, guint64 maxTableBytes, GError **error);
VirtHptImage *virtHptImageOpenFd(int fd, const char *name, guint64 maxTableBytes, GError **error);
void virtHptImageFree(VirtHptImage *image);

VirtHptImageKind virtHptImageGetKind(const VirtHptImage *image);
const char *virtHptImageKindGetName(VirtHptImageKind kind);
const char *virtHptImageGetDomainXml(const VirtHptImage *image);
gboolean virtHptImageWasRunning(const VirtHptImage *image);
const char *virtHptImageGetMachine(const VirtHptImage *image);
const char *virtHptImageGetUuid(const VirtHptImage *image);
guint64 virtHptImageGetRamBytes(const VirtHptImage *image);

guint virtHptImageGetOrder(const VirtHptImage *image);
const VirtHptTable *virtHptImageGetTable(const VirtHptImage *image);
void virtHptImageGetCheckContext(const VirtHptImage *image, VirtHptCheckContext *context);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptImage, virtHptImageFree)

G_END_DECLS
