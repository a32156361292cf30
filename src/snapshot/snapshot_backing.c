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

#define FILE_PROTOCOL "file:"

/**
 * virtHptBackingResolve:
 * @backing: what a layer's header names
 * @above: path of that layer
 *
 * QEMU takes "word:" before any slash for a protocol (QEMU 7.2 block.c path_has_protocol()), of
 * which "file:" is that of local files.
 *
 * Returns: (transfer full): the path that the header means, or %NULL for what is no local file
 */
char *
virtHptBackingResolve(const char *backing, const char *above)
{
    g_autofree char *directory = NULL;

    if (g_str_has_prefix(backing, FILE_PROTOCOL))
        backing += strlen(FILE_PROTOCOL);
    if (backing[strcspn(backing, ":/")] == ':')
        return NULL;
    directory = g_path_get_dirname(above);
    return g_canonicalize_filename(backing, directory);
}

/* What the image lies above, or %NULL for nothing; %FALSE where that cannot be told */
static gboolean
readBacking(const char *path, char **below)
{
    g_autofree guint8 *head = NULL;
    g_autoptr(VirtHptQcow2) header = NULL;
    struct stat st;
    gsize length;
    int fd = virtHptImageOpenFile(path, &st, NULL);

    *below = NULL;
    if (fd < 0)
        return FALSE;
    head = g_malloc(VIRT_HPT_QCOW2_HEAD);
    length = (gsize)full_read(fd, head, VIRT_HPT_QCOW2_HEAD);
    close(fd);
    if (!virtHptQcow2Probe(head, length))
        return TRUE;
    header = virtHptQcow2Parse(head, length, path, NULL);
    if (!header)
        return FALSE;
    if (header->backing)
        *below = virtHptBackingResolve(header->backing, path);
    return !header->backing || *below;
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
    char *below;

    readBacking(path, &below);
    return below;
}

/**
 * virtHptBackingIsKnown:
 * @path: of a disk layer
 *
 * Returns: whether virtHptBackingRead() tells: it can be read, and names a local file or nothing
 */
gboolean
virtHptBackingIsKnown(const char *path)
{
    g_autofree char *below = NULL;

    return readBacking(path, &below);
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
