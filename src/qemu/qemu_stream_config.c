/*
 * qemu_stream_config.c: the configuration section of a migration stream
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * QEMU 7.2 to 10.2 migration/savevm.c vmstate_configuration: be32 length and name of the machine,
 * then subsections.
 */

#include "config.h"

#include <glib/gi18n-lib.h>

#include "qemu/qemu_streampriv.h"

#define SECTION_SUBSECTION 0x05
#define MACHINE_NAME_MAX 255
#define UUID_SIZE 16

static gboolean
readMachine(VirtHptStreamReader *reader, GError **error)
{
    VirtHptStream *stream = reader->stream;
    guint64 offset = virtHptSourceGetOffset(reader->source);
    guint32 length;

    if (!virtHptStreamTakeBE32(reader, &length, error))
        return FALSE;
    if (length > MACHINE_NAME_MAX) {
        virtHptSourceSetError(reader->source, offset, VIRT_HPT_ERROR_MALFORMED, error,
                              _("a machine name of %1$u bytes: expected at most %2$u"), length,
                              MACHINE_NAME_MAX);
        return FALSE;
    }
    stream->machine = virtHptStreamTakeString(reader, length, _("the name of the machine"), error);
    if (!stream->machine)
        return FALSE;
    if (g_str_has_prefix(stream->machine, "pseries-"))
        return TRUE;
    virtHptSourceSetError(
        reader->source, offset, VIRT_HPT_ERROR_UNSUPPORTED, error,
        _("a guest of machine type '%1$s': only pseries guests have an HPT in their stream"),
        stream->machine);
    return FALSE;
}

/* What a capability changes in the stream must be known, or the stream cannot be read. */
static gboolean
learnCapability(VirtHptStreamReader *reader, guint64 offset, const char *name, GError **error)
{
    if (g_str_equal(name, "x-ignore-shared")) {
        reader->ignoreShared = TRUE;
    } else if (g_str_equal(name, "mapped-ram")) {
        reader->mappedRam = TRUE;
    } else {
        virtHptSourceSetError(
            reader->source, offset, VIRT_HPT_ERROR_UNSUPPORTED, error,
            _("migration capability '%1$s': the format that it asks for cannot be read"), name);
        return FALSE;
    }
    return TRUE;
}

/* The machine state has no RAM, so it must not ask for a way to store it. */
static gboolean
emitCapabilities(VirtHptStreamReader *reader, GError **error)
{
    const GPtrArray *names = reader->stream->capabilities;
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    guint32 count = GUINT32_TO_BE(names->len - (reader->mappedRam ? 1 : 0));

    g_byte_array_append(bytes, (const guint8 *)&count, sizeof(count));
    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        guint8 length = (guint8)strlen(name);

        if (g_str_equal(name, "mapped-ram"))
            continue;
        g_byte_array_append(bytes, &length, sizeof(length));
        g_byte_array_append(bytes, (const guint8 *)name, length);
    }
    return virtHptStreamEmit(reader, bytes->data, bytes->len, error);
}

static gboolean
readCapability(VirtHptStreamReader *reader, GError **error)
{
    GPtrArray *names = reader->stream->capabilities;
    guint64 offset = virtHptSourceGetOffset(reader->source);
    char *name = virtHptStreamTakeName(reader, _("the name of a capability"), error);

    if (!name)
        return FALSE;
    if (g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL)) {
        virtHptSourceSetError(reader->source, offset, VIRT_HPT_ERROR_MALFORMED, error,
                              _("migration capability '%1$s' is listed twice"), name);
        g_free(name);
        return FALSE;
    }
    g_ptr_array_add(names, name);
    return learnCapability(reader, offset, name, error);
}

static gboolean
readCapabilities(VirtHptStreamReader *reader, GError **error)
{
    guint64 offset = virtHptSourceGetOffset(reader->source);
    guint32 count;

    reader->emit = FALSE;
    if (!virtHptStreamTakeBE32(reader, &count, error))
        return FALSE;
    if (count > VIRT_HPT_CAPABILITIES_MAX || reader->stream->capabilities->len > 0) {
        virtHptSourceSetError(reader->source, offset, VIRT_HPT_ERROR_MALFORMED, error,
                              _("%1$u migration capabilities: expected one list of at most %2$u"),
                              count, VIRT_HPT_CAPABILITIES_MAX);
        return FALSE;
    }
    for (guint32 i = 0; i < count; i++) {
        if (!readCapability(reader, error))
            return FALSE;
    }
    reader->emit = TRUE;
    return emitCapabilities(reader, error);
}

static gboolean
readUuid(VirtHptStreamReader *reader, GError **error)
{
    const guint8 *p = virtHptSourcePeek(reader->source, UUID_SIZE, error);
    GString *text;

    if (!p)
        return FALSE;
    text = g_string_new(NULL);
    for (gsize i = 0; i < UUID_SIZE; i++)
        g_string_append_printf(text, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
                               p[i]);
    g_free(reader->stream->uuid);
    reader->stream->uuid = g_string_free(text, FALSE);
    return virtHptStreamTake(reader, UUID_SIZE, error);
}

static gboolean
readTargetPageBits(VirtHptStreamReader *reader, GError **error)
{
    guint64 offset = virtHptSourceGetOffset(reader->source);
    guint32 bits;

    if (!virtHptStreamTakeBE32(reader, &bits, error))
        return FALSE;
    if (bits == VIRT_HPT_TARGET_PAGE_BITS)
        return TRUE;
    virtHptSourceSetError(reader->source, offset, VIRT_HPT_ERROR_UNSUPPORTED, error,
                          _("target pages of 2^%1$u bytes: only pages of 2^%2$u bytes can be read"),
                          bits, VIRT_HPT_TARGET_PAGE_BITS);
    return FALSE;
}

static gboolean
readSubsection(VirtHptStreamReader *reader, GError **error)
{
    guint64 offset = virtHptSourceGetOffset(reader->source);
    const guint8 *p = virtHptSourcePeek(reader->source, 2, error);
    g_autofree char *name = NULL;
    gsize length;
    guint32 version;

    if (!p)
        return FALSE;
    length = p[1];
    if (!virtHptStreamTake(reader, 2, error))
        return FALSE;
    name = virtHptStreamTakeString(reader, length, _("the name of a subsection"), error);
    if (!name || !virtHptStreamTakeBE32(reader, &version, error))
        return FALSE;
    if (version == 1) {
        if (g_str_equal(name, "configuration/capabilities"))
            return readCapabilities(reader, error);
        if (g_str_equal(name, "configuration/uuid"))
            return readUuid(reader, error);
        if (g_str_equal(name, "configuration/target-page-bits"))
            return readTargetPageBits(reader, error);
    }
    virtHptSourceSetError(reader->source, offset, VIRT_HPT_ERROR_UNSUPPORTED, error,
                          _("version %1$u of subsection '%2$s' cannot be read"), version, name);
    return FALSE;
}

/**
 * virtHptStreamReadConfiguration:
 * @reader: at the section's type
 * @error: set on failure
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptStreamReadConfiguration(VirtHptStreamReader *reader, GError **error)
{
    if (!virtHptStreamTake(reader, 1, error) || !readMachine(reader, error))
        return FALSE;
    for (;;) {
        const guint8 *p = virtHptSourcePeek(reader->source, 1, error);

        if (!p)
            return FALSE;
        if (p[0] != SECTION_SUBSECTION)
            return TRUE;
        if (!readSubsection(reader, error))
            return FALSE;
    }
}
