/*
 * snapshot_backing.c: the file that a disk layer lies above
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "full-read.h"
#include "qemu/qemu_image.h"
#include "qemu/qemu_qcow2.h"
#include "snapshot/snapshot_backing.h"

/**
 * virtHptBackingResolve:
 * @backing: what a layer's header names
 * @above: path of that layer
 *
 * QEMU takes "word:" before any slash for a protocol (QEMU 7.2 block.c path_has_protocol()).
 *
 * Returns: (transfer full): the path that the header means, or %NULL for what is no local file
 */
char *
virtHptBackingResolve(const char *backing, const char *above)
{
    g_autofree char *directory = NULL;

    if (backing[strcspn(backing, ":/")] == ':')
        return NULL;
    directory = g_path_get_dirname(above);
    return g_canonicalize_filename(backing, directory);
}

/**
 * virtHptBackingRead:
 * @path: of a disk layer
 *
 * Reads no more than its first %VIRT_HPT_QCOW2_HEAD bytes.
 *
 * Returns: (transfer full): path of the file that it lies above, or %NULL where it is no qcow2
 *   image, cannot be read, or lies above no local file
 */
char *
virtHptBackingRead(const char *path)
{
    g_autofree guint8 *head = NULL;
    g_autoptr(VirtHptQcow2) header = NULL;
    struct stat st;
    gsize length;
    int fd = virtHptImageOpenFile(path, &st, NULL);

    if (fd < 0)
        return NULL;
    head = g_malloc(VIRT_HPT_QCOW2_HEAD);
    length = (gsize)full_read(fd, head, VIRT_HPT_QCOW2_HEAD);
    close(fd);
    if (virtHptQcow2Probe(head, length))
        header = virtHptQcow2Parse(head, length, path, NULL);
    return header && header->backing ? virtHptBackingResolve(header->backing, path) : NULL;
}

/**
 * virtHptBackingIsFile:
 * @a: a path
 * @b: another
 *
 * Returns: whether they are, or lead to, the same
 */
gboolean
virtHptBackingIsFile(const char *a, const char *b)
{
    g_autofree char *first = g_canonicalize_filename(a, "/");
    g_autofree char *second = g_canonicalize_filename(b, "/");
    struct stat st;
    struct stat other;

    return g_str_equal(first, second) || (stat(a, &st) == 0 && stat(b, &other) == 0 &&
                                          st.st_dev == other.st_dev && st.st_ino == other.st_ino);
}
