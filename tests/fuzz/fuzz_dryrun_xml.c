/*
 * fuzz_dryrun_xml.c: any bytes as a domain to be dry-run
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Whatever is let through names no file but the run's own disks, and is its own dry run.
 */

#include "config.h"

#include "conf/dryrun_conf.h"
#include "dryrun_testutils.h"

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    const VirtHptDryRunHost host = {.kvm = size % 2 != 0, .tap = size % 4 < 2};
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptDryRunDef) def =
        virtHptDryRunDefNew((const char *)data, size, "fuzz", &host, &error);

    if (!def) {
        g_assert_true(error && error->domain == VIRT_HPT_ERROR);
        g_assert_true(g_utf8_validate(error->message, -1, NULL));
        return 0;
    }
    testDryRunNamesNoPath(def);
    testDryRunIsItsOwn(def, &host);
    return 0;
}
