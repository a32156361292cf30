/*
 * qemu_saveimage.c: the header of libvirt's save image
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <string.h>

#include <glib/gi18n-lib.h>

#include "qemu/qemu_saveimage.h"

#define SAVE_VERSION 2

/* The fields of the header that mean something, in host byte order. */
typedef struct {
    guint32 version;
    guint32 dataLength;
    guint32 wasRunning;
    guint32 format;
    guint32 cookieOffset;
} SaveFields;

/**
 * virtHptSaveFormatGetName:
 * @format: the header's value
 *
 * Returns: libvirt's name of it ('raw', 'gzip'), or %NULL where it has none
 */
const char *
virtHptSaveFormatGetName(guint32 format)
{
    static const char *const names[] = {
        [VIRT_HPT_SAVE_FORMAT_RAW] = "raw",       [VIRT_HPT_SAVE_FORMAT_GZIP] = "gzip",
        [VIRT_HPT_SAVE_FORMAT_BZIP2] = "bzip2",   [VIRT_HPT_SAVE_FORMAT_XZ] = "xz",
        [VIRT_HPT_SAVE_FORMAT_LZOP] = "lzop",     [VIRT_HPT_SAVE_FORMAT_ZSTD] = "zstd",
        [VIRT_HPT_SAVE_FORMAT_SPARSE] = "sparse",
    };

    return format < G_N_ELEMENTS(names) ? names[format] : NULL;
}

void
virtHptSaveHeaderClear(VirtHptSaveHeader *header)
{
    g_clear_pointer(&header->domainXml, g_free);
}

/* libvirt writes in its own byte order, and reads the other one by a version that is too large. */
static void
parseFields(const guint8 *p, SaveFields *fields)
{
    guint32 words[5];

    memcpy(words, p + VIRT_HPT_SAVE_MAGIC_SIZE, sizeof(words));
    if (words[0] > SAVE_VERSION) {
        for (gsize i = 0; i < G_N_ELEMENTS(words); i++)
            words[i] = GUINT32_SWAP_LE_BE(words[i]);
    }
    fields->version = words[0];
    fields->dataLength = words[1];
    fields->wasRunning = words[2];
    fields->format = words[3];
    fields->cookieOffset = words[4];
}

static gboolean
checkMagic(VirtHptSource *source, const guint8 *p, GError **error)
{
    guint64 offset = virtHptSourceGetOffset(source);

    if (memcmp(p, VIRT_HPT_SAVE_MAGIC, VIRT_HPT_SAVE_MAGIC_SIZE) == 0)
        return TRUE;
    if (memcmp(p, VIRT_HPT_SAVE_MAGIC_PARTIAL, VIRT_HPT_SAVE_MAGIC_SIZE) == 0) {
        virtHptSourceSetError(
            source, offset, VIRT_HPT_ERROR_UNSUPPORTED, error,
            _("'LibvirtQemudPart': libvirt did not finish writing this save image, so it holds no complete guest; libvirt refuses to restore it, and deletes it and boots afresh if it is a managed save"));
        return FALSE;
    }
    virtHptSourceSetError(source, offset, VIRT_HPT_ERROR_MALFORMED, error,
                          _("expected the mark 'LibvirtQemudSave' of a save image"));
    return FALSE;
}

static gboolean
checkFields(VirtHptSource *source, const SaveFields *fields, GError **error)
{
    const char *name = virtHptSaveFormatGetName(fields->format);

    if (fields->version == 0 || fields->version > SAVE_VERSION) {
        virtHptSourceSetError(source, 16, VIRT_HPT_ERROR_UNSUPPORTED, error,
                              _("save image version %1$u: only versions 1 and 2 can be read"),
                              fields->version);
        return FALSE;
    }
    if (fields->dataLength == 0 || fields->dataLength > VIRT_HPT_SAVE_DATA_MAX) {
        virtHptSourceSetError(source, 20, VIRT_HPT_ERROR_MALFORMED, error,
                              _("%1$u bytes of domain XML: expected 1 to %2$u"), fields->dataLength,
                              VIRT_HPT_SAVE_DATA_MAX);
        return FALSE;
    }
    if (fields->cookieOffset >= fields->dataLength) {
        virtHptSourceSetError(source, 32, VIRT_HPT_ERROR_MALFORMED, error,
                              _("a cookie at %1$u: expected it inside the %2$u bytes of data"),
                              fields->cookieOffset, fields->dataLength);
        return FALSE;
    }
    if (fields->format == VIRT_HPT_SAVE_FORMAT_RAW || fields->format == VIRT_HPT_SAVE_FORMAT_SPARSE)
        return TRUE;
    virtHptSourceSetError(
        source, 28, VIRT_HPT_ERROR_UNSUPPORTED, error,
        _("a save image of format %1$u (%2$s): only 'raw' and 'sparse' can be read"),
        fields->format, name ? name : _("unknown"));
    return FALSE;
}

/* Reads @length bytes, at most VIRT_HPT_SAVE_DATA_MAX, which the file was found to have. */
static char *
readData(VirtHptSource *source, gsize length, GError **error)
{
    g_autofree char *data = NULL;
    gsize done = 0;

    if (length > virtHptSourceGetSize(source) - virtHptSourceGetOffset(source)) {
        virtHptSourceSetError(source, virtHptSourceGetSize(source), VIRT_HPT_ERROR_MALFORMED, error,
                              _("truncated: the file ends inside the domain XML"));
        return NULL;
    }
    data = g_malloc(length + 1);
    while (done < length) {
        gsize some;
        const guint8 *p = virtHptSourcePeekSome(source, &some, error);

        if (!p)
            return NULL;
        some = MIN(some, length - done);
        memcpy(data + done, p, some);
        if (!virtHptSourceSkip(source, some, error))
            return NULL;
        done += some;
    }
    data[length] = '\0';
    return g_steal_pointer(&data);
}

/**
 * virtHptSaveHeaderRead:
 * @source: at the first byte of a save image
 * @header: (out): what it says; cleared by the caller
 * @error: set on failure: %VIRT_HPT_ERROR_MALFORMED, %VIRT_HPT_ERROR_UNSUPPORTED for another
 *   format or an unfinished image, %VIRT_HPT_ERROR_IO
 *
 * Consumes the header and its data: the stream is next.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptSaveHeaderRead(VirtHptSource *source, VirtHptSaveHeader *header, GError **error)
{
    const guint8 *p = virtHptSourcePeek(source, VIRT_HPT_SAVE_HEADER_SIZE, error);
    g_autofree char *data = NULL;
    SaveFields fields;
    gsize xmlLimit;

    if (!p || !checkMagic(source, p, error))
        return FALSE;
    parseFields(p, &fields);
    if (!checkFields(source, &fields, error) ||
        !virtHptSourceSkip(source, VIRT_HPT_SAVE_HEADER_SIZE, error))
        return FALSE;

    data = readData(source, fields.dataLength, error);
    if (!data)
        return FALSE;
    xmlLimit = fields.cookieOffset ? fields.cookieOffset : fields.dataLength;
    if (!memchr(data, '\0', xmlLimit)) {
        virtHptSourceSetError(source, VIRT_HPT_SAVE_HEADER_SIZE, VIRT_HPT_ERROR_MALFORMED, error,
                              _("the domain XML is not closed by a NUL within %1$zu bytes"),
                              xmlLimit);
        return FALSE;
    }
    header->format = (VirtHptSaveFormat)fields.format;
    header->wasRunning = fields.wasRunning != 0;
    header->domainXml = g_strdup(data);
    return TRUE;
}
