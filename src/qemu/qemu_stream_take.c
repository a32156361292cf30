/*
 * qemu_stream_take.c: numbers and names of a migration stream
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Whatever is taken is handed on, too, where it is part of the machine state.
 */

#include "config.h"

#include <glib/gi18n-lib.h>

#include "qemu/qemu_streampriv.h"

/**
 * virtHptStreamEmit:
 * @reader: a reader
 * @data: bytes of the machine state
 * @length: how many
 * @error: set on failure
 *
 * Hands bytes to the caller that collects the machine state, if there is one.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptStreamEmit(VirtHptStreamReader *reader, const void *data, gsize length, GError **error)
{
    if (!reader->options->state)
        return TRUE;
    return reader->options->state(data, length, reader->options->opaque, error);
}

/**
 * virtHptStreamTake:
 * @reader: a reader
 * @length: bytes, at most %VIRT_HPT_SOURCE_PEEK_MAX
 * @error: set on failure
 *
 * Consumes bytes, and emits them where the machine state has them too.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptStreamTake(VirtHptStreamReader *reader, gsize length, GError **error)
{
    if (reader->emit) {
        const guint8 *p = virtHptSourcePeek(reader->source, length, error);

        if (!p || !virtHptStreamEmit(reader, p, length, error))
            return FALSE;
    }
    return virtHptSourceSkip(reader->source, length, error);
}

gboolean
virtHptStreamTakeBE32(VirtHptStreamReader *reader, guint32 *value, GError **error)
{
    const guint8 *p = virtHptSourcePeek(reader->source, sizeof(*value), error);

    if (!p)
        return FALSE;
    *value = virtHptReadBE32(p);
    return virtHptStreamTake(reader, sizeof(*value), error);
}

gboolean
virtHptStreamTakeBE64(VirtHptStreamReader *reader, guint64 *value, GError **error)
{
    const guint8 *p = virtHptSourcePeek(reader->source, sizeof(*value), error);

    if (!p)
        return FALSE;
    *value = virtHptReadBE64(p);
    return virtHptStreamTake(reader, sizeof(*value), error);
}

/**
 * virtHptStreamIsName:
 * @p: bytes
 * @length: how many
 *
 * Names are shown to people and compared: only printable ASCII is a name.
 *
 * Returns: whether they are one
 */
gboolean
virtHptStreamIsName(const guint8 *p, gsize length)
{
    for (gsize i = 0; i < length; i++) {
        if (p[i] < 0x20 || p[i] > 0x7e)
            return FALSE;
    }
    return length > 0;
}

/**
 * virtHptStreamTakeString:
 * @reader: a reader
 * @length: of the string, in bytes, below 256
 * @what: what it is, translated, for the error
 * @error: set on failure
 *
 * Returns: the string, or %NULL
 */
char *
virtHptStreamTakeString(VirtHptStreamReader *reader, gsize length, const char *what, GError **error)
{
    guint64 offset = virtHptSourceGetOffset(reader->source);
    const guint8 *p = virtHptSourcePeek(reader->source, length, error);
    g_autofree char *string = NULL;

    if (!p)
        return NULL;
    if (!virtHptStreamIsName(p, length)) {
        virtHptSourceSetError(reader->source, offset, VIRT_HPT_ERROR_MALFORMED, error,
                              _("%1$s: expected printable characters"), what);
        return NULL;
    }
    string = g_strndup((const char *)p, length);
    if (!virtHptStreamTake(reader, length, error))
        return NULL;
    return g_steal_pointer(&string);
}

/**
 * virtHptStreamTakeName:
 * @reader: a reader
 * @what: what it is, translated, for the error
 * @error: set on failure
 *
 * Takes a byte that says how long the name behind it is, and that.
 *
 * Returns: the name, or %NULL
 */
char *
virtHptStreamTakeName(VirtHptStreamReader *reader, const char *what, GError **error)
{
    const guint8 *p = virtHptSourcePeek(reader->source, 1, error);
    gsize length;

    if (!p)
        return NULL;
    length = p[0];
    if (!virtHptStreamTake(reader, 1, error))
        return NULL;
    return virtHptStreamTakeString(reader, length, what, error);
}
