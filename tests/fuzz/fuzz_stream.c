/*
 * fuzz_stream.c: any bytes as a migration stream
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What is read gives a table whose canonical form is read back as the same table, and a machine
 * state that is itself a stream and its own machine state.
 */

#include "config.h"

#include "libvirt-hpt/htab_error.h"
#include "qemu/qemu_image.h"

#define TABLE_MAX ((guint64)4 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

static gboolean
append(const guint8 *data, gsize length, gpointer opaque, GError **error G_GNUC_UNUSED)
{
    g_byte_array_append(opaque, data, (guint)length);
    return TRUE;
}

static VirtHptImage *
readBytes(const guint8 *data,
          gsize length,
          gboolean machineState,
          GByteArray *state,
          GError **error)
{
    g_autoptr(VirtHptSource) source = virtHptSourceNewBytes(data, length, "fuzz");
    const VirtHptImageOptions options = {
        .stream =
            {
                .maxTableBytes = TABLE_MAX,
                .machineState = machineState,
                .state = append,
                .opaque = state,
            },
    };

    return virtHptImageReadSource(source, &options, error);
}

static void
checkTable(const VirtHptTable *table)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_autoptr(VirtHptCanonicalReader) reader = virtHptCanonicalReaderNew(TABLE_MAX);
    g_autoptr(VirtHptTable) again = NULL;

    virtHptTableEncodeCanonical(table, append, bytes, &error);
    g_assert_no_error(error);
    virtHptCanonicalReaderFeed(reader, bytes->data, bytes->len, &error);
    g_assert_no_error(error);
    again = virtHptCanonicalReaderFinish(reader, &error);
    g_assert_no_error(error);
    g_assert_true(virtHptTableEqual(table, again));
}

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) state = g_byte_array_new();
    g_autoptr(GByteArray) again = g_byte_array_new();
    g_autoptr(VirtHptImage) image = readBytes(data, size, FALSE, state, &error);
    g_autoptr(VirtHptImage) machine = NULL;

    if (!image) {
        g_assert_true(error && error->domain == VIRT_HPT_ERROR);
        g_assert_true(g_utf8_validate(error->message, -1, NULL));
        return 0;
    }
    g_assert_no_error(error);
    if (image->stream->hasHpt)
        checkTable(image->stream->table);
    machine = readBytes(state->data, state->len, TRUE, again, &error);
    g_assert_no_error(error);
    g_assert_nonnull(machine);
    g_assert_cmpmem(state->data, state->len, again->data, again->len);
    return 0;
}
