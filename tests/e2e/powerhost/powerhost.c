/*
 * powerhost.c: the library against the real kernel's HPT file descriptor
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Requires a POWER host with KVM-HV: tests/e2e/powerhost/run emulates some.  The program that also
 * the tracker answers, what is the kernel's own, and that both give the same bytes.
 */

#include "powerhost.h"

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (hostIsGuest()) {
        addNestedTests();
        return g_test_run();
    }
    addDescriptorTests();
    addTableTests();
    addVcpuTests();
    addResizeTests();
    addChangesTests();
    htabFdAddReadTests(kernelFd());
    htabFdAddWriteTests(kernelFd());
    htabFdAddReadTests(&htabFdTracker);
    htabFdAddWriteTests(&htabFdTracker);
    addCompareTests();
    return g_test_run();
}
