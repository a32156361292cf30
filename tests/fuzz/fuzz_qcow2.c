/*
 * fuzz_qcow2.c: any bytes as the header of a qcow2 image
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The mark is put in front, so that no time is spent on finding it.
 */

#include "config.h"

#include <string.h>

#include "libvirt-hpt/htab_error.h"
#include "qemu/qemu_qcow2.h"

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    static const guint8 mark[] = {'Q', 'F', 'I', 0xfb};
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptQcow2) header = NULL;

    g_byte_array_append(bytes, mark, sizeof(mark));
    g_byte_array_append(bytes, data, (guint)size);
    header = virtHptQcow2Parse(bytes->data, bytes->len, "fuzz", &error);
    if (!header) {
        g_assert_true(error && error->domain == VIRT_HPT_ERROR);
        return 0;
    }
    g_assert_no_error(error);
    g_assert_true(header->version == 2 || header->version == 3);
    g_assert_true(!header->backing || strlen(header->backing) <= 1023);
    g_assert_true(!header->backingFormat || strlen(header->backingFormat) <= 15);
    return 0;
}
