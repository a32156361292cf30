/*
 * qemu_stream_devices.c: the device sections of a migration stream, kept as they are
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The bodies carry no length and are of a hundred kinds, so they are not read.  What can be known
 * is whether the stream is whole: QEMU closes it with an end mark and, unless the machine type
 * suppresses it, a description in JSON (QEMU 7.2 migration/savevm.c
 * qemu_savevm_state_complete_precopy_non_iterable()).
 */

#include "config.h"

#include <glib/gi18n-lib.h>

#include "qemu/qemu_streampriv.h"

/* Footer of the last section (0x7e, be32 id), end mark 0x00, 0x06, be32 length, '{' */
#define CLOSING_SIZE 12
#define CLOSING_DESCRIPTION 11 /* offset of the description in it */

/* Footer of the last section, end mark */
#define BARE_CLOSING_SIZE 6

static gboolean
takeDevices(VirtHptStreamReader *reader, guint64 length, GError **error)
{
    while (length > 0) {
        gsize some;
        const guint8 *p = virtHptSourcePeekSome(reader->source, &some, error);

        if (!p)
            return FALSE;
        some = (gsize)MIN(some, length);
        if (!virtHptStreamEmit(reader, p, some, error) ||
            !virtHptSourceSkip(reader->source, some, error))
            return FALSE;
        length -= some;
    }
    return TRUE;
}

/* Whether @p may be what closes a stream that has @left bytes from @p on.  In a file the
 * description ends where the file does; a block device has room behind it. */
static gboolean
isClosing(const VirtHptStreamReader *reader, const guint8 *p, guint64 left)
{
    guint64 length;

    if (p[0] != 0x7e || p[5] != 0x00 || p[6] != 0x06 || p[CLOSING_DESCRIPTION] != '{')
        return FALSE;
    length = CLOSING_DESCRIPTION + (guint64)virtHptReadBE32(p + 7);
    return virtHptSourceHasTail(reader->source) ? length <= left : length == left;
}

/* Finds what closes the stream in the @length bytes at @p; @left: bytes in the source from @p on.
 */
static const guint8 *
findClosing(const VirtHptStreamReader *reader, const guint8 *p, gsize length, guint64 left)
{
    const guint8 *end = p + length;
    const guint8 *at = p;

    while (end - at >= CLOSING_SIZE) {
        at = memchr(at, 0x7e, (gsize)(end - at) - (CLOSING_SIZE - 1));
        if (!at)
            return NULL;
        if (isClosing(reader, at, left - (guint64)(at - p)))
            return at;
        at++;
    }
    return NULL;
}

static gboolean
isBareClosing(const VirtHptStreamReader *reader, const guint8 *p)
{
    return p[BARE_CLOSING_SIZE - 1] == 0x00 && (!reader->footers || p[0] == 0x7e);
}

static gboolean
refuseTruncated(VirtHptStreamReader *reader, GError **error)
{
    virtHptSourceSetError(
        reader->source, virtHptSourceGetSize(reader->source), VIRT_HPT_ERROR_MALFORMED, error,
        _("truncated: the file ends inside the device sections, which QEMU closes with an end mark"));
    return FALSE;
}

/**
 * virtHptStreamReadDevices:
 * @reader: at the first device section
 * @error: set on failure
 *
 * Hands on all that follows, and finds out whether it is whole.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptStreamReadDevices(VirtHptStreamReader *reader, GError **error)
{
    VirtHptSource *source = reader->source;

    for (;;) {
        guint64 left = virtHptSourceGetSize(source) - virtHptSourceGetOffset(source);
        const guint8 *closing;
        const guint8 *p;
        gsize length;

        if (left < CLOSING_SIZE)
            return refuseTruncated(reader, error);
        if (!virtHptSourcePeek(source, CLOSING_SIZE, error))
            return FALSE;
        p = virtHptSourcePeekSome(source, &length, error);
        if (!p)
            return FALSE;
        closing = findClosing(reader, p, length, left);
        if (closing) {
            guint64 before = (guint64)(closing - p);

            return takeDevices(reader, before + CLOSING_DESCRIPTION + virtHptReadBE32(closing + 7),
                               error);
        }
        if (length == left) {
            if (!isBareClosing(reader, p + length - BARE_CLOSING_SIZE))
                return refuseTruncated(reader, error);
            return takeDevices(reader, length, error);
        }
        if (!takeDevices(reader, length - (CLOSING_SIZE - 1), error))
            return FALSE;
    }
}
