/*
 * fuzz_descriptor.c: any bytes as a descriptor
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the reader takes, the writer must be able to write, and in one form only: reading that
 * again and writing it again gives the same bytes.
 */

#include "config.h"

#include "conf/hpt_snapshot_conf.h"
#include "libvirt-hpt/htab_error.h"

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptSnapshotDef) first = NULL;
    g_autoptr(VirtHptSnapshotDef) second = NULL;
    g_autofree char *written = NULL;
    g_autofree char *again = NULL;
    gsize length = 0;

    first = virtHptSnapshotDefParse((const char *)data, size, "fuzz", &error);
    if (!first) {
        g_assert_true(error && error->domain == VIRT_HPT_ERROR);
        g_assert_true(g_utf8_validate(error->message, -1, NULL));
        return 0;
    }

    written = virtHptSnapshotDefFormat(first, &length, &error);
    /* Escapes and namespaces may carry a document over a limit that it was below */
    if (g_error_matches(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_LIMIT))
        return 0;
    g_assert_no_error(error);

    second = virtHptSnapshotDefParse(written, length, "fuzz", &error);
    g_assert_no_error(error);
    again = virtHptSnapshotDefFormat(second, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(written, ==, again);
    return 0;
}
