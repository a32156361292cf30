/*
 * lib_image.c: images as the shared library shows them
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <unistd.h>

#include "qemu/qemu_image.h"

/**
 * virtHptImageOpenFd:
 * @fd: a regular file or a block device, open for reading; stays the caller's.  Reading begins at
 *   offset 0, wherever its position is
 * @name: what messages call it
 * @maxTableBytes: the largest table to hold, in bytes; 0: half of the physical memory
 * @error: set on failure
 *
 * Reads an image in one forward pass: the RAM in it is skipped.  Memory is that of the table and a
 * constant.
 *
 * Errors: %VIRT_HPT_ERROR_MALFORMED for a file that violates its format,
 * %VIRT_HPT_ERROR_UNSUPPORTED for one that is something else or is compressed,
 * %VIRT_HPT_ERROR_LIMIT for a table beyond @maxTableBytes, and %VIRT_HPT_ERROR_IO, also where the
 * file changed while it was read.
 *
 * Returns: (transfer full): the image, or %NULL
 */
VirtHptImage *
virtHptImageOpenFd(int fd, const char *name, guint64 maxTableBytes, GError **error)
{
    const VirtHptImageOptions options = {.stream = {.maxTableBytes = maxTableBytes}};

    return virtHptImageRead(fd, name, &options, error);
}

/**
 * virtHptImageOpen:
 * @path: a file; links are followed
 * @maxTableBytes: the largest table to hold, in bytes; 0: half of the physical memory
 * @error: set on failure
 *
 * Reads an image: see virtHptImageOpenFd().
 *
 * What is neither a regular file nor a block device is not opened: with some devices to open them
 * has an effect.
 *
 * Errors: %VIRT_HPT_ERROR_NOT_FOUND if there is no such file, and those of virtHptImageOpenFd().
 *
 * Returns: (transfer full): the image, or %NULL
 */
VirtHptImage *
virtHptImageOpen(const char *path, guint64 maxTableBytes, GError **error)
{
    struct stat st;
    int fd = virtHptImageOpenFile(path, &st, error);
    VirtHptImage *image;

    if (fd < 0)
        return NULL;
    image = virtHptImageOpenFd(fd, path, maxTableBytes, error);
    close(fd);
    return image;
}

/**
 * virtHptImageGetKind:
 * @image: an image
 *
 * Returns: what it is
 */
VirtHptImageKind
virtHptImageGetKind(const VirtHptImage *image)
{
    return image->kind;
}

/**
 * virtHptImageGetDomainXml:
 * @image: an image
 *
 * Returns: (nullable): the domain XML in libvirt's header, unchecked; %NULL in a bare stream
 */
const char *
virtHptImageGetDomainXml(const VirtHptImage *image)
{
    return image->domainXml;
}

/**
 * virtHptImageWasRunning:
 * @image: an image
 *
 * Returns: whether libvirt resumes the guest after a restore; %FALSE for a bare stream
 */
gboolean
virtHptImageWasRunning(const VirtHptImage *image)
{
    return image->wasRunning;
}

/**
 * virtHptImageGetMachine:
 * @image: an image
 *
 * Returns: (nullable): the versioned machine type ("pseries-7.2"), of printable characters, or
 * %NULL where the stream does not say
 */
const char *
virtHptImageGetMachine(const VirtHptImage *image)
{
    return image->stream->machine;
}

/**
 * virtHptImageGetUuid:
 * @image: an image
 *
 * Returns: (nullable): the guest's UUID as text, or %NULL where the stream does not say
 */
const char *
virtHptImageGetUuid(const VirtHptImage *image)
{
    return image->stream->uuid;
}

/**
 * virtHptImageGetRamBytes:
 * @image: an image
 *
 * Returns: the guest's base RAM in bytes; 0: unknown
 */
guint64
virtHptImageGetRamBytes(const VirtHptImage *image)
{
    return image->stream->ramBytes;
}

/**
 * virtHptImageGetOrder:
 * @image: an image
 *
 * Returns: log2 of the table's size in bytes; 0 for a guest without one, which is radix
 */
guint
virtHptImageGetOrder(const VirtHptImage *image)
{
    return image->stream->order;
}

/**
 * virtHptImageGetTable:
 * @image: an image
 *
 * Returns: (transfer none) (nullable): the table, which lives as long as @image; %NULL for a guest
 *   without one, which is radix
 */
const VirtHptTable *
virtHptImageGetTable(const VirtHptImage *image)
{
    return image->stream->table;
}

/**
 * virtHptImageGetCheckContext:
 * @image: an image
 * @context: (out): filled in with what the stream says of the machine around the table; the rest
 *   is unknown
 *
 * For virtHptTableCheck().  The domain XML, which is not looked at, may tell more: the page size
 * limit and maxMemory.  How many findings are kept stays the default of #VirtHptCheckContext.
 */
void
virtHptImageGetCheckContext(const VirtHptImage *image, VirtHptCheckContext *context)
{
    const VirtHptStream *stream = image->stream;

    *context = (VirtHptCheckContext){
        .ramBytes = stream->ramOnly ? stream->ramBytes : 0,
        .orderBytes = stream->ramBytes,
        /* A stream does not say what memory could be plugged. */
        .orderMaxBytes = G_MAXUINT64,
    };
}
