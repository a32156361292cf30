/*
 * test_htab_stream.c: a stream gives the table that its writer had, or an error that says where
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves for each case of htabdata/streams.ini, however the stream is cut into pieces, which table
 * comes out of it or with which message it is refused; and for the encoder where runs are split.
 *
 * Requires nothing.
 */

#include <string.h>

#include "libvirt-hpt/htab_error.h"
#include "htab_testutils.h"

#define OFFSET 4096

static const VirtHptEntry sample = {0x4000000000000001, 0x1196};

static GKeyFile *cases;

static GByteArray *
parseStream(const char *hex)
{
    g_auto(GStrv) words = g_strsplit(hex, " ", 0);
    GByteArray *bytes = g_byte_array_new();

    for (guint i = 0; words[i]; i++) {
        guint64 n = words[i][0] == '@' ? g_ascii_strtoull(words[i] + 1, NULL, 10) : 0;
        guint64 wire[] = {GUINT64_TO_BE(sample.v), GUINT64_TO_BE(sample.r)};
        g_autoptr(GByteArray) part = n ? NULL : testParseHex(words[i]);

        if (part && part->len)
            g_byte_array_append(bytes, part->data, part->len);
        while (n--)
            g_byte_array_append(bytes, (const guint8 *)wire, sizeof(wire));
    }
    return bytes;
}

static gboolean
parseEncoding(const char *group, VirtHptEncoding *encoding)
{
    static const char *const names[] = {"qemu", "kvm-le", "kvm-be"};
    g_autofree char *name = g_key_file_get_string(cases, group, "encoding", NULL);

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            *encoding = (VirtHptEncoding)i;
            return TRUE;
        }
    }
    g_assert_cmpstr(name, ==, "canonical");
    return FALSE;
}

static VirtHptTable *
makeTable(const char *group, const char *key)
{
    guint order = (guint)g_key_file_get_integer(cases, group, "order", NULL);
    VirtHptTable *table = virtHptTableNew(order, TEST_MAX_BYTES, NULL);
    g_auto(GStrv) entries = g_key_file_get_string_list(cases, group, key, NULL, NULL);
    int run = g_key_file_get_integer(cases, group, "run", NULL);

    if (entries)
        testSetEntries(table, entries);
    for (int i = 0; i < run; i++)
        virtHptTableSet(table, (guint64)i, &sample);
    return table;
}

static gboolean
decodePieces(VirtHptDecoder *decoder,
             const GByteArray *bytes,
             gsize piece,
             gsize *read,
             GError **error)
{
    gboolean ended = FALSE;

    *read = 0;
    while (*read < bytes->len && !ended) {
        gsize n = MIN(piece, bytes->len - *read);
        g_autofree guint8 *copy = g_malloc(n);
        gsize consumed = 0;

        memcpy(copy, bytes->data + *read, n);
        if (!virtHptDecoderFeed(decoder, OFFSET + *read, copy, n, &consumed, &ended, error))
            return FALSE;
        if (!ended)
            g_assert_cmpuint(consumed, ==, n);
        *read += consumed;
    }
    return virtHptDecoderFinish(decoder, OFFSET + *read, error);
}

static VirtHptTable *
decode(const char *group, VirtHptEncoding encoding, gsize piece, GError **error)
{
    g_autofree char *hex = g_key_file_get_string(cases, group, "hex", NULL);
    g_autoptr(GByteArray) bytes = parseStream(hex);
    g_autoptr(VirtHptTable) table = makeTable(group, "before");
    g_autoptr(VirtHptDecoder) decoder = virtHptDecoderNew(table, encoding);
    int expected = g_key_file_get_integer(cases, group, "consumed", NULL);
    gsize read;

    if (!decodePieces(decoder, bytes, piece, &read, error))
        return NULL;
    g_assert_cmpuint(read, ==, expected ? (guint)expected : bytes->len);
    return g_steal_pointer(&table);
}

static void
testCase(gconstpointer data)
{
    static const gsize pieces[] = {G_MAXSIZE, 1, 3, 7, 16, 24};
    const char *group = data;
    g_autofree char *message = g_key_file_get_string(cases, group, "error", NULL);
    g_autofree char *hex = g_key_file_get_string(cases, group, "hex", NULL);
    g_autoptr(GByteArray) bytes = parseStream(hex);
    VirtHptEncoding encoding;
    gboolean canonical = !parseEncoding(group, &encoding);

    for (gsize i = 0; i < G_N_ELEMENTS(pieces); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(VirtHptTable) table = NULL;
        g_autoptr(VirtHptTable) expected = NULL;

        table = canonical ? testReadCanonical(bytes, pieces[i], &error)
                          : decode(group, encoding, pieces[i], &error);
        if (message) {
            g_assert_null(table);
            g_assert_nonnull(error);
            g_assert_cmpstr(error->message, ==, message);
            continue;
        }
        g_assert_no_error(error);
        expected = makeTable(group, "entries");
        g_assert_true(virtHptTableEqual(table, expected));
    }
}

static void
noteRecord(guint64 slot, guint valid, guint invalid, guint64 offset, gpointer opaque)
{
    g_string_append_printf(opaque, "%u+%u+%u@%u ", (guint)slot, valid, invalid, (guint)offset);
}

static void
testWatch(void)
{
    g_autoptr(GByteArray) bytes = parseStream("00000010 0002 0003 @2 00000000 0000 0001 00*8");
    static const gsize pieces[] = {G_MAXSIZE, 1, 5};

    for (gsize i = 0; i < G_N_ELEMENTS(pieces); i++) {
        g_autoptr(VirtHptTable) table = virtHptTableNew(18, TEST_MAX_BYTES, NULL);
        g_autoptr(VirtHptDecoder) decoder = virtHptDecoderNew(table, VIRT_HPT_ENCODING_QEMU);
        g_autoptr(GString) seen = g_string_new(NULL);
        gsize read;

        virtHptDecoderWatch(decoder, noteRecord, seen);
        g_assert_true(decodePieces(decoder, bytes, pieces[i], &read, NULL));
        g_assert_cmpstr(seen->str, ==, "16+2+3@4096 0+0+1@4136 ");
    }
}

static void
testSections(void)
{
    g_autoptr(VirtHptTable) table = virtHptTableNew(18, TEST_MAX_BYTES, NULL);
    g_autoptr(VirtHptDecoder) decoder = virtHptDecoderNew(table, VIRT_HPT_ENCODING_QEMU);
    g_autoptr(GByteArray) first = parseStream("00000010 0002 0000 @2 00*8");
    g_autoptr(GByteArray) second = parseStream("00000011 0000 0001 00*8");
    gsize read;

    g_assert_true(decodePieces(decoder, first, G_MAXSIZE, &read, NULL));
    g_assert_true(decodePieces(decoder, second, 1, &read, NULL));
    g_assert_cmpuint(virtHptTableNextValid(table, 0), ==, 16);
    g_assert_cmpuint(virtHptTableNextValid(table, 17), ==, virtHptTableGetSlots(table));
}

static void
testFailedStaysFailed(void)
{
    g_autoptr(VirtHptTable) table = virtHptTableNew(18, TEST_MAX_BYTES, NULL);
    g_autoptr(VirtHptDecoder) decoder = virtHptDecoderNew(table, VIRT_HPT_ENCODING_KVM_BE);
    static const guint8 zeroes[VIRT_HPT_RECORD_HEADER_SIZE];
    g_autoptr(GError) error = NULL;

    g_assert_false(virtHptDecoderFeed(decoder, 0, zeroes, sizeof(zeroes), NULL, NULL, NULL));
    g_assert_false(virtHptDecoderFeed(decoder, 8, zeroes, 0, NULL, NULL, &error));
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED);
    g_assert_false(virtHptDecoderFinish(decoder, 8, NULL));
}

static void
testSplit(void)
{
    g_autoptr(VirtHptTable) table = virtHptTableNew(22, TEST_MAX_BYTES, NULL);
    g_autoptr(GByteArray) expected = NULL;
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_autoptr(GError) error = NULL;

    for (guint64 slot = 3; slot < 3 + 2 * VIRT_HPT_RECORD_MAX + 1; slot++)
        virtHptTableSet(table, slot, &sample);
    g_assert_true(virtHptTableEncode(table, VIRT_HPT_ENCODING_KVM_LE, testAppend, bytes, &error));
    g_assert_no_error(error);
    expected =
        parseStream("03000000 ffff 0000 @65535 02000100 ffff 0000 @65535 01000200 0100 0000 @1");
    g_assert_cmpmem(bytes->data, bytes->len, expected->data, expected->len);
}

static gboolean
refuse(G_GNUC_UNUSED const guint8 *data,
       G_GNUC_UNUSED gsize length,
       gpointer opaque,
       GError **error)
{
    guint *left = opaque;

    if ((*left)-- > 0)
        return TRUE;
    g_set_error_literal(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO, "disk full");
    return FALSE;
}

static void
testWriterFails(void)
{
    g_autoptr(VirtHptTable) table = virtHptTableNew(18, TEST_MAX_BYTES, NULL);

    for (guint64 slot = 0; slot < 3000; slot++)
        virtHptTableSet(table, slot, &sample);
    for (guint calls = 0; calls < 3; calls++) {
        g_autoptr(GError) error = NULL;
        guint left = calls;

        g_assert_false(virtHptTableEncodeCanonical(table, refuse, &left, &error));
        g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO);
    }
}

int
main(int argc, char **argv)
{
    g_auto(GStrv) groups = NULL;
    int rc;

    g_test_init(&argc, &argv, NULL);

    cases = testLoadCases("streams.ini");
    groups = g_key_file_get_groups(cases, NULL);
    for (guint i = 0; groups[i]; i++) {
        g_autofree char *path = g_strdup_printf("/htab/stream/%s", groups[i]);

        g_test_add_data_func(path, groups[i], testCase);
    }
    g_test_add_func("/htab/stream/each record is reported with its offset", testWatch);
    g_test_add_func("/htab/stream/a decoder goes on with the next section", testSections);
    g_test_add_func("/htab/stream/a refused stream cannot be continued", testFailedStaysFailed);
    g_test_add_func("/htab/stream/a run longer than a record is split where it is full", testSplit);
    g_test_add_func("/htab/stream/a failing writer stops the encoder", testWriterFails);

    rc = g_test_run();
    g_key_file_free(cases);
    return rc;
}
