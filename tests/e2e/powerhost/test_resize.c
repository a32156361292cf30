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
#include <sched.h>
#include <sys/ioctl.h>

#include "powerhost.h"

#define ORDER 18
#define SLOTS (G_GUINT64_CONSTANT(1) << (ORDER - 4))

/* More than the host has */
#define ORDER_TOO_LARGE 34

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

/* The kernel's worker, which allocates the table, waits for its processor meanwhile */
static int
prepareAndCommitAtOnce(HostVm *vm, guint order)
{
    const struct sched_param first = {.sched_priority = 1};
    const struct sched_param ordinary = {0};
    int result;

    g_assert_cmpint(sched_setscheduler(0, SCHED_FIFO, &first), ==, 0);
    g_assert_cmpint(hostVmResize(vm, KVM_PPC_RESIZE_HPT_PREPARE, order), >, 0);
    result = hostVmResize(vm, KVM_PPC_RESIZE_HPT_COMMIT, order);
    g_assert_cmpint(sched_setscheduler(0, SCHED_OTHER, &ordinary), ==, 0);
    return result;
}

/* EBUSY is not about vCPUs: what is to be committed is still being prepared, and is given up */
static void
testCommitIsBusyWhilePreparing(void)
{
    g_autoptr(HostVm) vm = hostVmNewThatCounts(ORDER);

    for (guint running = 0; running < 2; running++) {
        hostVmRunAndStop(vm);
        if (running)
            hostVmStart(vm);
        g_assert_cmpint(prepareAndCommitAtOnce(vm, ORDER + 1), ==, -EBUSY);
        g_assert_cmpint(hostVmResize(vm, KVM_PPC_RESIZE_HPT_COMMIT, ORDER + 1), ==, -ENXIO);
        if (running) {
            hostVmWaitCount(vm);
            hostVmStop(vm);
        }
        kernelAssertProbes(vm, VIRT_HPT_KVM_STATE_TABLE, ORDER);
    }
    g_assert_cmpint(prepare(vm, ORDER + 1), ==, 0);
    g_assert_cmpint(hostVmResize(vm, KVM_PPC_RESIZE_HPT_COMMIT, ORDER + 1), ==, 0);
}

/* Before a vCPU ran, or a VRMA entry was written */
static void
testCommitNeedsMmuThatIsReady(void)
{
    g_autoptr(HostVm) vm = hostVmNewThatCounts(ORDER);

    g_assert_cmpint(prepare(vm, ORDER + 1), ==, 0);
    g_assert_cmpint(hostVmResize(vm, KVM_PPC_RESIZE_HPT_COMMIT, ORDER + 1), ==, -EIO);
    hostVmRunAndStop(vm);
    /* What was prepared was given up */
    g_assert_cmpint(hostVmResize(vm, KVM_PPC_RESIZE_HPT_COMMIT, ORDER + 1), ==, -ENXIO);
    kernelAssertProbes(vm, VIRT_HPT_KVM_STATE_TABLE, ORDER);
    g_assert_cmpint(prepare(vm, ORDER + 1), ==, 0);
    g_assert_cmpint(hostVmResize(vm, KVM_PPC_RESIZE_HPT_COMMIT, ORDER + 1), ==, 0);
    kernelAssertProbes(vm, VIRT_HPT_KVM_STATE_TABLE, ORDER + 1);
}

static void
testArgumentsOfResize(void)
{
    static const gulong requests[] = {KVM_PPC_RESIZE_HPT_PREPARE, KVM_PPC_RESIZE_HPT_COMMIT};
    g_autoptr(HostVm) vm = hostVmNewThatCounts(ORDER);
    g_autoptr(HostVm) fresh = hostVmNew();

    hostVmRunAndStop(vm);
    for (guint i = 0; i < G_N_ELEMENTS(requests); i++) {
        struct kvm_ppc_resize_hpt flagged = {.flags = 1, .shift = ORDER};

        g_assert_cmpint(hostVmResize(vm, requests[i], 17), ==, -EINVAL);
        g_assert_cmpint(hostVmResize(vm, requests[i], 47), ==, -EINVAL);
        g_assert_cmpint(ioctl(vm->fd, requests[i], &flagged), ==, -1);
        g_assert_cmpint(errno, ==, EINVAL);
        if (hostIsRadix())
            g_assert_cmpint(hostVmResize(fresh, requests[i], ORDER), ==, -EINVAL);
    }
    /* Order 0 gives up what was prepared */
    g_assert_cmpint(prepare(vm, ORDER + 1), ==, 0);
    g_assert_cmpint(hostVmResize(vm, KVM_PPC_RESIZE_HPT_PREPARE, 0), ==, 0);
    g_assert_cmpint(hostVmResize(vm, KVM_PPC_RESIZE_HPT_COMMIT, ORDER + 1), ==, -ENXIO);
    kernelAssertProbes(vm, VIRT_HPT_KVM_STATE_TABLE, ORDER);
}

/* Other than with KVM_PPC_ALLOCATE_HTAB the VM keeps its table */
static void
testPreparationThatNoMemoryIsLeftForChangesNothing(void)
{
    g_autoptr(HostVm) vm = hostVmNewThatCounts(ORDER);

    hostVmRunAndStop(vm);
    g_assert_cmpint(prepare(vm, ORDER_TOO_LARGE), ==, -ENOMEM);
    kernelAssertProbes(vm, VIRT_HPT_KVM_STATE_TABLE, ORDER);
    g_assert_cmpint(prepareAndCommitAtOnce(vm, ORDER_TOO_LARGE), ==, -EBUSY);
    hostVmRunAndStop(vm);
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
    g_test_add_func("/kernel/resize/a commit is busy while it is prepared, not while vCPUs run",
                    testCommitIsBusyWhilePreparing);
    g_test_add_func("/kernel/resize/a commit needs an MMU that is ready",
                    testCommitNeedsMmuThatIsReady);
    g_test_add_func("/kernel/resize/orders, flags and radix VMs", testArgumentsOfResize);
    g_test_add_func("/kernel/resize/a preparation that no memory is left for changes nothing",
                    testPreparationThatNoMemoryIsLeftForChangesNothing);
    g_test_add_func("/kernel/resize/it is refused where bolted entries meet",
                    testResizeIsRefusedWhereBoltedEntriesMeet);
}
