/*
 * htab_testutils.c: what the tests of src/htab share
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include <string.h>

#include "htab_testutils.h"

/* The contents of tests/htabdata/@name */
char *
testLoadFile(const char *name)
{
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "htabdata", name, NULL);
    g_autoptr(GError) error = NULL;
    char *text = NULL;

    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    return text;
}

/* tests/htabdata/@name, in which a group is a case */
GKeyFile *
testLoadCases(const char *name)
{
    g_autofree char *text = testLoadFile(name);
    g_autoptr(GError) error = NULL;
    GKeyFile *file = g_key_file_new();

    g_key_file_load_from_data(file, text, (gsize)-1, G_KEY_FILE_NONE, &error);
    g_assert_no_error(error);
    return file;
}

/* The most memory that this process has had, in KiB; rusage would count what its parent had */
guint64
testPeakMemory(void)
{
    g_autofree char *status = NULL;
    const char *line;

    g_assert_true(g_file_get_contents("/proc/self/status", &status, NULL, NULL));
    line = strstr(status, "\nVmHWM:");
    g_assert_nonnull(line);
    return g_ascii_strtoull(line + strlen("\nVmHWM:"), NULL, 10);
}

/* A VirtHptWriteFunc: @opaque is a GByteArray */
gboolean
testAppend(const guint8 *data, gsize length, gpointer opaque, G_GNUC_UNUSED GError **error)
{
    g_byte_array_append(opaque, data, (guint)length);
    return TRUE;
}

/* Spaces between bytes are skipped; "xx*n" stands for n times xx */
GByteArray *
testParseHex(const char *hex)
{
    GByteArray *bytes = g_byte_array_new();

    while (*hex) {
        guint8 byte;
        guint64 n = 1;

        if (*hex == ' ') {
            hex++;
            continue;
        }
        g_assert_true(g_ascii_isxdigit(hex[0]) && g_ascii_isxdigit(hex[1]));
        byte = (guint8)(g_ascii_xdigit_value(hex[0]) << 4 | g_ascii_xdigit_value(hex[1]));
        hex += 2;
        if (*hex == '*')
            n = g_ascii_strtoull(hex + 1, (char **)&hex, 10);
        while (n--)
            g_byte_array_append(bytes, &byte, 1);
    }
    return bytes;
}

/* Each of @entries is "slot V R", all hexadecimal */
void
testSetEntries(VirtHptTable *table, char **entries)
{
    for (; *entries; entries++) {
        g_auto(GStrv) words = g_strsplit(*entries, " ", 0);
        VirtHptEntry entry;

        g_assert_cmpuint(g_strv_length(words), ==, 3);
        entry.v = g_ascii_strtoull(words[1], NULL, 16);
        entry.r = g_ascii_strtoull(words[2], NULL, 16);
        virtHptTableSet(table, g_ascii_strtoull(words[0], NULL, 16), &entry);
    }
}

/* Reads @bytes in pieces of @piece bytes; %NULL with @error if they are refused */
VirtHptTable *
testReadCanonical(const GByteArray *bytes, gsize piece, GError **error)
{
    g_autoptr(VirtHptCanonicalReader) reader = virtHptCanonicalReaderNew(TEST_MAX_BYTES);

    for (gsize i = 0; i < bytes->len; i += piece) {
        /* A copy of its own, so that a sanitizer sees a read beyond the piece */
        gsize n = MIN(piece, bytes->len - i);
        g_autofree guint8 *copy = g_malloc(n);

        memcpy(copy, bytes->data + i, n);
        if (!virtHptCanonicalReaderFeed(reader, copy, n, error))
            return NULL;
    }
    return virtHptCanonicalReaderFinish(reader, error);
}
