/*
 * snapshot_hptfile.c: files that hold an HPT stream and nothing else: a table, or a delta
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * They have no mark: an order and four bytes of zero begin them, and no image begins so.
 */

#include "config.h"

#include <errno.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "libvirt-hpt/htab_stream.h"
#include "qemu/qemu_image.h"
#include "snapshot/snapshot_hptfile.h"

#define PROLOGUE_SIZE 8

/**
 * virtHptFileProbe:
 * @place: a file
 *
 * Returns: whether it begins as a table or a delta does
 */
gboolean
virtHptFileProbe(const VirtHptPlace *place)
{
    guint32 words[PROLOGUE_SIZE / sizeof(guint32)];
    guint32 order;
    ssize_t n;

    if (!S_ISREG(place->stat.st_mode))
        return FALSE;
    n = TEMP_FAILURE_RETRY(pread(place->fd, words, sizeof(words), 0));
    if (n != (ssize_t)sizeof(words))
        return FALSE;
    order = GUINT32_FROM_BE(words[0]);
    return order >= VIRT_HPT_ORDER_MIN && order <= VIRT_HPT_ORDER_MAX && words[1] == 0;
}

/* Hands the file's bytes to @write, and sees that nobody changed it meanwhile */
static gboolean
readFile(const VirtHptPlace *place,
         const char *name,
         VirtHptProgressFunc progress,
         gpointer progressOpaque,
         VirtHptWriteFunc write,
         gpointer opaque,
         GError **error)
{
    g_autoptr(VirtHptSource) source = virtHptSourceNewFd(place->fd, name, error);
    struct stat after;

    if (!source)
        return FALSE;
    virtHptSourceSetProgress(source, progress, progressOpaque);
    for (;;) {
        gsize length;
        const guint8 *data = virtHptSourcePeekSome(source, &length, error);

        if (!data)
            return FALSE;
        if (length == 0)
            break;
        if (!write(data, length, opaque, error)) {
            g_prefix_error(error, "'%s': ", name);
            return FALSE;
        }
        if (!virtHptSourceSkip(source, length, error))
            return FALSE;
    }
    if (fstat(place->fd, &after) < 0 || !virtHptImageSameFile(&place->stat, &after)) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO,
                    _("'%1$s' was changed while it was read: try again when its writer is done"),
                    name);
        return FALSE;
    }
    return TRUE;
}

static gboolean
feedTable(const guint8 *data, gsize length, gpointer opaque, GError **error)
{
    return virtHptCanonicalReaderFeed(opaque, data, length, error);
}

/**
 * virtHptFileReadTable:
 * @place: a file in the canonical form, as virtHptTableEncodeCanonical() writes it
 * @name: what messages call it
 * @progress: called as it is read, or %NULL
 * @progressOpaque: passed to @progress
 * @error: set on failure: %VIRT_HPT_ERROR_MALFORMED, %VIRT_HPT_ERROR_LIMIT, %VIRT_HPT_ERROR_IO
 *
 * Returns: (transfer full): the table, or %NULL
 */
VirtHptTable *
virtHptFileReadTable(const VirtHptPlace *place,
                     const char *name,
                     VirtHptProgressFunc progress,
                     gpointer progressOpaque,
                     GError **error)
{
    g_autoptr(VirtHptCanonicalReader) reader =
        virtHptCanonicalReaderNew(virtHptTableDefaultMaxBytes());
    VirtHptTable *table;

    if (!readFile(place, name, progress, progressOpaque, feedTable, reader, error))
        return NULL;
    table = virtHptCanonicalReaderFinish(reader, error);
    if (!table)
        g_prefix_error(error, "'%s': ", name);
    return table;
}

static gboolean
feedDelta(const guint8 *data, gsize length, gpointer opaque, GError **error)
{
    return virtHptDeltaReaderFeed(opaque, data, length, error);
}

/**
 * virtHptFileApplyDelta:
 * @place: a delta
 * @name: what messages call it
 * @table: what to apply it to; neither the old nor the new one on failure
 * @stats: (out): what it did
 * @error: set on failure: %VIRT_HPT_ERROR_MALFORMED, %VIRT_HPT_ERROR_IO, %VIRT_HPT_ERROR_FAILED
 *   where its order is not that of @table
 *
 * Returns: %FALSE with @error set
 */
gboolean
virtHptFileApplyDelta(const VirtHptPlace *place,
                      const char *name,
                      VirtHptTable *table,
                      VirtHptDeltaStats *stats,
                      GError **error)
{
    g_autoptr(VirtHptDeltaReader) reader = virtHptDeltaReaderNew(table);

    if (!readFile(place, name, NULL, NULL, feedDelta, reader, error))
        return FALSE;
    if (!virtHptDeltaReaderFinish(reader, stats, error)) {
        g_prefix_error(error, "'%s': ", name);
        return FALSE;
    }
    return TRUE;
}
