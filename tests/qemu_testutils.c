/*
 * qemu_testutils.c: images written by hand, as hexadecimal text with comments
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * qemuimagedata/NAME.hex holds words between white space:
 *   0a0b       bytes in hexadecimal
 *   00*16      a byte, so many times
 *   "text"     its characters, without the quotes; may hold spaces, and stand against other words
 *   < NAME     the bytes of NAME.hex
 *   # text     a comment, to the end of the line
 */

#include "config.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "full-write.h"
#include "qemu_testutils.h"

static void appendImage(GByteArray *bytes, const char *name);

static const char *
appendText(GByteArray *bytes, const char *p)
{
    const char *end = strchr(p + 1, '"');

    g_assert_nonnull(end);
    g_byte_array_append(bytes, (const guint8 *)p + 1, (guint)(end - p - 1));
    return end + 1;
}

static const char *
appendHex(GByteArray *bytes, const char *p)
{
    guint8 byte;
    guint64 count = 1;

    g_assert_true(g_ascii_isxdigit(p[0]) && g_ascii_isxdigit(p[1]));
    byte = (guint8)(g_ascii_xdigit_value(p[0]) << 4 | g_ascii_xdigit_value(p[1]));
    p += 2;
    if (*p == '*') {
        char *end;

        count = g_ascii_strtoull(p + 1, &end, 10);
        p = end;
    }
    for (guint64 i = 0; i < count; i++)
        g_byte_array_append(bytes, &byte, 1);
    return p;
}

static const char *
appendInclude(GByteArray *bytes, const char *p)
{
    gsize length = strcspn(p + 2, "\n");
    g_autofree char *name = g_strndup(p + 2, length);

    appendImage(bytes, name);
    return p + 2 + length;
}

static void
appendImage(GByteArray *bytes, const char *name)
{
    g_autofree char *file = g_strconcat(name, ".hex", NULL);
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "qemuimagedata", file, NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    const char *p;

    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    for (p = text; *p;) {
        if (g_ascii_isspace(*p))
            p++;
        else if (*p == '#')
            p += strcspn(p, "\n");
        else if (*p == '<')
            p = appendInclude(bytes, p);
        else if (*p == '"')
            p = appendText(bytes, p);
        else
            p = appendHex(bytes, p);
    }
}

/* The bytes that qemuimagedata/NAME.hex describes. */
GByteArray *
testLoadImage(const char *name)
{
    GByteArray *bytes = g_byte_array_new();

    appendImage(bytes, name);
    return bytes;
}

/* Reads @bytes as an image that was never in a file. */
VirtHptImage *
testReadImage(const GByteArray *bytes, const VirtHptStreamOptions *options, GError **error)
{
    g_autoptr(VirtHptSource) source = virtHptSourceNewBytes(bytes->data, bytes->len, "test");
    VirtHptImageOptions chosen = {0};

    if (options)
        chosen.stream = *options;
    chosen.stream.maxTableBytes = TEST_TABLE_MAX;
    return virtHptImageReadSource(source, &chosen, error);
}

/* A VirtHptWriteFunc that collects what is written in the GByteArray @opaque. */
gboolean
testAppendBytes(const guint8 *data, gsize length, gpointer opaque, GError **error G_GNUC_UNUSED)
{
    g_byte_array_append(opaque, data, (guint)length);
    return TRUE;
}

/* A file that holds @bytes and has no name. */
int
testOpenBytes(const GByteArray *bytes)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpuint(full_write(fd, bytes->data, bytes->len), ==, bytes->len);
    return fd;
}
