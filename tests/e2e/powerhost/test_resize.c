/*
 * test_resize.c: a table that is replaced by one of another size
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * KVM_PPC_RESIZE_HPT_PREPARE and _COMMIT (Linux Documentation/virt/kvm/api.rst 4.102 and 4.103):
 * what moves, when it is refused, and that whoever reads is not told.
 */

#include <errno.h>
#include <linux/kvm.h>

#include "powerhost.h"

#define ORDER 18
#define SLOTS (G_GUINT64_CONSTANT(1) << (ORDER - 4))

/* Prepares and waits until it is done, as the caller is told to */
static int
prepare(HostVm *vm, guint order)
{
    int result;

    while ((result = hostVmResize(vm, KVM_PPC_RESIZE_HPT_PREPARE, order)) > 0)
        g_usleep((gulong)result * 1000);
    return result;
}

static VirtHptTableStats
statsOf(HostVm *vm, guint order)
{
    g_autoptr(VirtHptTable) table = htabFdReadTable(kernelFd(), vm, order);
    VirtHptTableStats stats;

    virtHptTableGetStats(table, &stats);
    return stats;
}

static void
testResizeMovesBoltedEntriesAlone(void)
{
    g_autoptr(HostVm) vm = hostVmNewThatCounts(ORDER);
    g_autoptr(VirtHptKvmReader) reader = NULL;
    g_autoptr(VirtHptTable) read = htabFdTableNew(ORDER);
    guint64 bolted;

    hostVmRunAndStop(vm);
    reader = kernelReader(vm, ORDER, 0);
    kernelPass(reader, read);
    for (guint64 slot = 0, i = 0; i < 100; slot++, i++) {
        slot = virtHptTableNextInvalid(read, slot, SLOTS);
        htabFdPut(kernelFd(), vm, (guint32)slot, i % 2 ? &htabFdPlain : &htabFdBolted);
    }
    kernelPass(reader, read);
    bolted = statsOf(vm, ORDER).bolted;
    g_assert_cmpuint(statsOf(vm, ORDER).valid, ==, bolted + 50);

    g_assert_cmpint(hostVmResize(vm, KVM_PPC_RESIZE_HPT_COMMIT, ORDER + 1), ==, -ENXIO);
    g_assert_cmpint(hostVmResize(vm, KVM_PPC_RESIZE_HPT_PREPARE, ORDER + 1), >, 0);
    g_assert_cmpint(prepare(vm, ORDER + 1), ==, 0);
    g_assert_cmpint(hostVmResize(vm, KVM_PPC_RESIZE_HPT_COMMIT, ORDER + 2), ==, -ENXIO);
    g_assert_cmpint(prepare(vm, ORDER + 1), ==, 0);
    g_assert_cmpint(hostVmResize(vm, KVM_PPC_RESIZE_HPT_COMMIT, ORDER + 1), ==, 0);
    g_assert_cmpuint(statsOf(vm, ORDER + 1).valid, ==, bolted);
    g_assert_cmpuint(statsOf(vm, ORDER + 1).bolted, ==, bolted);
    /* Whoever read before is not told what went */
    g_assert_cmpuint(kernelPass(reader, read).records, ==, 0);
}

static void
testGuestRunsOnWhileResized(void)
{
    g_autoptr(HostVm) vm = hostVmNewThatCounts(ORDER);
    VirtHptKvmState state;
    guint order;

    hostVmStart(vm);
    hostVmWaitCount(vm);
    g_assert_cmpint(prepare(vm, ORDER + 1), ==, 0);
    g_assert_cmpint(hostVmResize(vm, KVM_PPC_RESIZE_HPT_COMMIT, ORDER + 1), ==, 0);
    hostVmWaitCount(vm);
    hostVmStop(vm);
    g_assert_true(virtHptKvmProbe(vm->fd, &state, &order, NULL));
    g_assert_cmpuint(order, ==, ORDER + 1);
    g_assert_cmpuint(statsOf(vm, ORDER + 1).valid, ==, HOST_VM_MEMORY / HOST_VM_PAGE);
}

static void
testResizeIsRefusedWhereBoltedEntriesMeet(void)
{
    g_autoptr(HostVm) vm = hostVmNewThatCounts(ORDER);
    g_autoptr(VirtHptTable) table = NULL;

    hostVmRunAndStop(vm);
    g_assert_cmpint(prepare(vm, ORDER + 1), ==, 0);
    g_assert_cmpint(hostVmResize(vm, KVM_PPC_RESIZE_HPT_COMMIT, ORDER + 1), ==, 0);
    table = htabFdReadTable(kernelFd(), vm, ORDER + 1);
    for (guint64 slot = 0; slot < (guint64)2 * SLOTS; slot++) {
        if (virtHptTableNextValidBelow(table, slot, slot + 1) > slot)
            htabFdPut(kernelFd(), vm, (guint32)slot, &htabFdBolted);
    }
    g_assert_cmpint(prepare(vm, ORDER), ==, 0);
    g_assert_cmpint(hostVmResize(vm, KVM_PPC_RESIZE_HPT_COMMIT, ORDER), ==, -ENOSPC);
    g_assert_cmpuint(statsOf(vm, ORDER + 1).bolted, ==, (guint64)2 * SLOTS);
}

void
addResizeTests(void)
{
    g_test_add_func("/kernel/resize/bolted entries alone move", testResizeMovesBoltedEntriesAlone);
    g_test_add_func("/kernel/resize/a guest runs on", testGuestRunsOnWhileResized);
    g_test_add_func("/kernel/resize/it is refused where bolted entries meet",
                    testResizeIsRefusedWhereBoltedEntriesMeet);
}
