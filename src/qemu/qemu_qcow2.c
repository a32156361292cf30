/*
 * qemu_qcow2.c: what the header of a qcow2 image says
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Offsets and limits are those of QEMU 7.2 docs/interop/qcow2.txt and block/qcow2.c.
 */

#include "config.h"

#include <string.h>

#include <glib/gi18n-lib.h>

#include "libvirt-hpt/htab_error.h"
#include "qemu/qemu_qcow2.h"

#define MAGIC "QFI\xfb"
#define MAGIC_SIZE 4
#define VERSION_AT 4
#define BACKING_OFFSET_AT 8
#define BACKING_SIZE_AT 16
#define HEADER_SIZE_2 72
#define INCOMPATIBLE_AT 72
#define HEADER_LENGTH_AT 100
#define HEADER_SIZE_3 104

#define INCOMPATIBLE_DATA_FILE (G_GUINT64_CONSTANT(1) << 2)

#define BACKING_MAX 1023

#define EXTENSION_HEADER 8
#define EXTENSION_END 0
#define EXTENSION_BACKING_FORMAT 0xe2792acaU
#define FORMAT_MAX 15

typedef struct {
    const guint8 *data;
    gsize length;
    const char *name;
} Head;

void
virtHptQcow2Free(VirtHptQcow2 *header)
{
    if (!header)
        return;
    g_free(header->backing);
    g_free(header->backingFormat);
    g_free(header);
}

/**
 * virtHptQcow2Probe:
 * @head: the first bytes of a file
 * @length: bytes
 *
 * Returns: whether they are those of a qcow2 image
 */
gboolean
virtHptQcow2Probe(const guint8 *head, gsize length)
{
    return length >= MAGIC_SIZE && memcmp(head, MAGIC, MAGIC_SIZE) == 0;
}

static guint32
get32(const Head *head, gsize at)
{
    guint32 value;

    memcpy(&value, head->data + at, sizeof(value));
    return GUINT32_FROM_BE(value);
}

static guint64
get64(const Head *head, gsize at)
{
    return (guint64)get32(head, at) << 32 | get32(head, at + 4);
}

static gboolean
refuse(const Head *head, gsize at, const char *what, GError **error)
{
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED,
                _("'%1$s': byte %2$zu of its qcow2 header: %3$s"), head->name, at, what);
    return FALSE;
}

/* A text of bytes @at to @at + @size, of which no byte is NUL. */
static gboolean
takeText(const Head *head, guint64 at, gsize size, char **text, GError **error)
{
    if (at > head->length || size > head->length - at)
        return refuse(head, (gsize)MIN(at, head->length), _("a name lies outside of it"), error);
    if (memchr(head->data + at, '\0', size))
        return refuse(head, (gsize)at, _("a name with a NUL byte"), error);
    g_free(*text);
    *text = g_strndup((const char *)head->data + at, size);
    return TRUE;
}

static gboolean
readBacking(const Head *head, VirtHptQcow2 *header, GError **error)
{
    guint64 offset = get64(head, BACKING_OFFSET_AT);
    guint32 size = get32(head, BACKING_SIZE_AT);

    if (offset == 0)
        return TRUE;
    if (size == 0 || size > BACKING_MAX)
        return refuse(head, BACKING_SIZE_AT, _("a backing file's name of an impossible length"),
                      error);
    return takeText(head, offset, size, &header->backing, error);
}

/* Extensions end with one of type 0, at the backing file's name, or with the first cluster. */
static gboolean
readExtensions(const Head *head, gsize at, VirtHptQcow2 *header, GError **error)
{
    guint64 backing = get64(head, BACKING_OFFSET_AT);
    gsize end = backing ? (gsize)MIN(backing, head->length) : head->length;

    while (at < end && end - at >= EXTENSION_HEADER) {
        guint32 type = get32(head, at);
        guint32 size = get32(head, at + 4);

        at += EXTENSION_HEADER;
        if (type == EXTENSION_END)
            return TRUE;
        if (size > end - at)
            return refuse(head, at - 4, _("an extension that is longer than there is room"), error);
        if (type == EXTENSION_BACKING_FORMAT &&
            (size == 0 || size > FORMAT_MAX ||
             !takeText(head, at, size, &header->backingFormat, NULL)))
            return refuse(head, at, _("not the name of a format"), error);
        /* Padded to a multiple of 8, which cannot overflow: @end is small */
        at += (size + 7) & ~(gsize)7;
    }
    return TRUE;
}

/**
 * virtHptQcow2Parse:
 * @head: the first bytes of an image, untrusted: %VIRT_HPT_QCOW2_HEAD of them, or all there are
 * @length: bytes
 * @name: what messages call the image
 * @error: set on failure: %VIRT_HPT_ERROR_MALFORMED with the byte's offset
 *
 * Returns: (transfer full): what it says, or %NULL
 */
VirtHptQcow2 *
virtHptQcow2Parse(const guint8 *head, gsize length, const char *name, GError **error)
{
    const Head bytes = {.data = head, .length = length, .name = name};
    g_autoptr(VirtHptQcow2) header = g_new0(VirtHptQcow2, 1);
    gsize size = HEADER_SIZE_2;

    if (length < HEADER_SIZE_2 || !virtHptQcow2Probe(head, length)) {
        refuse(&bytes, 0, _("there is none"), error);
        return NULL;
    }
    header->version = get32(&bytes, VERSION_AT);
    if (header->version != 2 && header->version != 3) {
        refuse(&bytes, VERSION_AT, _("neither version 2 nor 3"), error);
        return NULL;
    }
    if (header->version == 3) {
        size = length < HEADER_SIZE_3 ? 0 : get32(&bytes, HEADER_LENGTH_AT);
        if (size < HEADER_SIZE_3 || size > length) {
            refuse(&bytes, HEADER_LENGTH_AT, _("an impossible length"), error);
            return NULL;
        }
        header->dataFile = (get64(&bytes, INCOMPATIBLE_AT) & INCOMPATIBLE_DATA_FILE) != 0;
    }
    if (!readBacking(&bytes, header, error) || !readExtensions(&bytes, size, header, error))
        return NULL;
    return g_steal_pointer(&header);
}
