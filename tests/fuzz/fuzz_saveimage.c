/*
 * fuzz_saveimage.c: any bytes as the header of a save image
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The mark is put in front, so that no time is spent on finding it.  The domain XML goes where a
 * record would take it from.
 */

#include "config.h"

#include <string.h>

#include "conf/domain_conf.h"
#include "qemu/qemu_saveimage.h"

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_autoptr(VirtHptSource) source = NULL;
    g_autoptr(VirtHptDomainDef) domain = NULL;
    g_auto(VirtHptSaveHeader) header = {0};

    g_byte_array_append(bytes, (const guint8 *)VIRT_HPT_SAVE_MAGIC, VIRT_HPT_SAVE_MAGIC_SIZE);
    g_byte_array_append(bytes, data, (guint)size);
    source = virtHptSourceNewBytes(bytes->data, bytes->len, "fuzz");
    if (!virtHptSaveHeaderRead(source, &header, &error)) {
        g_assert_true(error && error->domain == VIRT_HPT_ERROR);
        return 0;
    }
    g_assert_no_error(error);
    g_assert_nonnull(header.domainXml);
    g_assert_nonnull(virtHptSaveFormatGetName(header.format));
    g_assert_cmpuint(virtHptSourceGetOffset(source), <=, bytes->len);

    domain = virtHptDomainDefParse(header.domainXml, strlen(header.domainXml), "fuzz", &error);
    g_assert_true((domain != NULL) == (error == NULL));
    if (domain && domain->uuid)
        g_assert_true(g_uuid_string_is_valid(domain->uuid));
    return 0;
}
