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

#include <inttypes.h>

#include <glib/gi18n-lib.h>

#include "qemu/qemu_streampriv.h"

#define FOOTER 0x7e
#define FOOTER_SIZE 5

/* End mark 0x00, description 0x06, be32 length, '{' */
#define CLOSING_SIZE 7
#define CLOSING_DESCRIPTION 6 /* offset of the description in it */

/* Footer of the last section, end mark */
#define BARE_CLOSING_SIZE 6

/* The name of a section with its length in front */
#define HTAB_NAME "\x0aspapr/htab"

/* Footer, type and id of a section, be32 that begins a part of spapr/htab */
#define HIDDEN_PART_SIZE 14

/* The longest of what is searched for */
#define PATTERN_MAX HIDDEN_PART_SIZE

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
 * description ends where the file does; a block device has room behind it, and then
 * only the footer before it makes the end mark one. */
static gboolean
isClosing(const VirtHptStreamReader *reader, const guint8 *p, guint64 left)
{
    guint64 length;

    if (p[0] != 0x00 || p[1] != 0x06 || p[CLOSING_DESCRIPTION] != '{')
        return FALSE;
    length = CLOSING_DESCRIPTION + (guint64)virtHptReadBE32(p + 2);
    return virtHptSourceHasTail(reader->source) ? reader->footers && length <= left
                                                : length == left;
}

/* Finds what closes the stream in the @length bytes at @p; @left: bytes in the source from @p on.
 * Where sections have footers it stands behind one. */
static const guint8 *
findClosing(const VirtHptStreamReader *reader, const guint8 *p, gsize length, guint64 left)
{
    const gsize before = reader->footers ? FOOTER_SIZE : 0;
    const guint8 first = reader->footers ? FOOTER : 0x00;
    const guint8 *end = p + length;
    const guint8 *at = p;

    while ((gsize)(end - at) >= before + CLOSING_SIZE) {
        at = memchr(at, first, (gsize)(end - at) - (before + CLOSING_SIZE - 1));
        if (!at)
            return NULL;
        if (isClosing(reader, at + before, left - (guint64)(at + before - p)))
            return at + before;
        at++;
    }
    return NULL;
}

/* Whether @p is a footer with a part of the HPT behind it. */
static gboolean
isHiddenPart(const VirtHptStreamReader *reader, const guint8 *p)
{
    guint32 mark = virtHptReadBE32(p + FOOTER_SIZE + 5);

    return (p[FOOTER_SIZE] == 0x02 || p[FOOTER_SIZE] == 0x03) &&
           virtHptReadBE32(p + FOOTER_SIZE + 1) == reader->htabSection &&
           (mark == 0 || mark == G_MAXUINT32);
}

/* QEMU loads a table that comes after the first device section, too, and it would replace the one
 * that was read.  No QEMU writes one there: who did wants another table loaded than checked. */
static const guint8 *
findHiddenTable(const VirtHptStreamReader *reader, const guint8 *p, gsize length)
{
    const guint8 *end = p + length;
    const guint8 *name = memmem(p, length, HTAB_NAME, strlen(HTAB_NAME));

    if (name || !reader->footers || !reader->htabStarted)
        return name;
    while (end - p >= HIDDEN_PART_SIZE) {
        p = memchr(p, FOOTER, (gsize)(end - p) - (HIDDEN_PART_SIZE - 1));
        if (!p || isHiddenPart(reader, p))
            return p;
        p++;
    }
    return NULL;
}

static gboolean
isBareClosing(const VirtHptStreamReader *reader, const guint8 *p)
{
    return p[BARE_CLOSING_SIZE - 1] == 0x00 && (!reader->footers || p[0] == FOOTER);
}

static gboolean
refuseTruncated(VirtHptStreamReader *reader, GError **error)
{
    virtHptSourceSetError(
        reader->source, virtHptSourceGetSize(reader->source), VIRT_HPT_ERROR_MALFORMED, error,
        _("truncated: the file ends inside the device sections, which QEMU closes with an end mark"));
    return FALSE;
}

static gboolean
refuseHiddenTable(VirtHptStreamReader *reader, guint64 offset, GError **error)
{
    virtHptSourceSetError(
        reader->source, offset, VIRT_HPT_ERROR_MALFORMED, error,
        _("a part of section 'spapr/htab' among the device sections: QEMU would load it in place of the table that stands where it belongs"));
    return FALSE;
}

static gboolean
checkSize(VirtHptStreamReader *reader, guint64 taken, GError **error)
{
    if (taken <= VIRT_HPT_DEVICES_MAX)
        return TRUE;
    virtHptSourceSetError(
        reader->source, virtHptSourceGetOffset(reader->source), VIRT_HPT_ERROR_LIMIT, error,
        _("device sections of more than %1$" PRIu64 " bytes"), VIRT_HPT_DEVICES_MAX);
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
    guint64 start = virtHptSourceGetOffset(source);

    /* A file ends where they end. */
    if (!virtHptSourceHasTail(source) &&
        !checkSize(reader, virtHptSourceGetSize(source) - start, error))
        return FALSE;
    for (;;) {
        guint64 offset = virtHptSourceGetOffset(source);
        guint64 left = virtHptSourceGetSize(source) - offset;
        const guint8 *closing;
        const guint8 *hidden;
        const guint8 *p;
        gsize length;

        if (left < BARE_CLOSING_SIZE)
            return refuseTruncated(reader, error);
        if (!checkSize(reader, offset - start, error) ||
            !virtHptSourcePeek(source, (gsize)MIN(left, PATTERN_MAX), error))
            return FALSE;
        p = virtHptSourcePeekSome(source, &length, error);
        if (!p)
            return FALSE;
        closing = findClosing(reader, p, length, left);
        hidden = findHiddenTable(reader, p, closing ? (gsize)(closing - p) : length);
        if (hidden)
            return refuseHiddenTable(reader, offset + (guint64)(hidden - p), error);
        if (closing) {
            guint64 before = (guint64)(closing - p);

            return takeDevices(reader, before + CLOSING_DESCRIPTION + virtHptReadBE32(closing + 2),
                               error);
        }
        if (length == left) {
            if (!isBareClosing(reader, p + length - BARE_CLOSING_SIZE))
                return refuseTruncated(reader, error);
            return takeDevices(reader, length, error);
        }
        if (!takeDevices(reader, length - (PATTERN_MAX - 1), error))
            return FALSE;
    }
}
