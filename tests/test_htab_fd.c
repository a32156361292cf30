/*
 * test_htab_fd.c: a table in userspace answers the test program that the kernel answers
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The same cases run against the real kernel on emulated hosts: tests/e2e/powerhost.
 *
 * Requires nothing.
 */

#include "htab_fd.h"

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    htabFdAddReadTests(&htabFdTracker);
    htabFdAddWriteTests(&htabFdTracker);
    return g_test_run();
}
