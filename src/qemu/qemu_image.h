/*
 * qemu_image.h: any file that holds a migration stream of a guest
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <sys/stat.h>

#include "libvirt-hpt/image.h"
#include "qemu/qemu_stream.h"

G_BEGIN_DECLS

/**
 * VirtHptImageOptions:
 * @stream: how to read the stream in it
 * @progress: called as the file is read, or %NULL
 * @progressOpaque: passed to @progress
 */
typedef struct {
    VirtHptStreamOptions stream;
    VirtHptProgressFunc progress;
    gpointer progressOpaque;
} VirtHptImageOptions;

/**
 * _VirtHptImage:
 * @name: as the caller named it, for messages
 * @kind: what it is
 * @format: 'raw' or 'sparse' (mapped-ram)
 * @stat: of the file when it was opened
 * @domainXml: domain XML in libvirt's header, unchecked, or %NULL
 * @wasRunning: whether libvirt will resume the guest after a restore
 * @stream: what the stream holds
 */
struct _VirtHptImage {
    char *name;
    VirtHptImageKind kind;
    const char *format;
    struct stat stat;
    char *domainXml;
    gboolean wasRunning;
    VirtHptStream *stream;
};

VirtHptImage *virtHptImageRead(int fd,
                               const char *name,
                               const VirtHptImageOptions *options,
                               GError **error);
VirtHptImage *virtHptImageReadSource(VirtHptSource *source,
                                     const VirtHptImageOptions *options,
                                     GError **error);
gboolean virtHptImageReadDomainXml(int fd, const char *name, char **domainXml, GError **error);

int virtHptImageOpenFile(const char *path, struct stat *st, GError **error);
gboolean virtHptImageSameFile(const struct stat *before, const struct stat *after);

G_END_DECLS
