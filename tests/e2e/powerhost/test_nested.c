/*
 * test_nested.c: a host that is a guest itself keeps no HPT for its own guests
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves that there are no nested tables that a stream would have to tell apart: the capability and
 * the descriptor are there, a table is not.
 */

#include <errno.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "libvirt-hpt/htab_error.h"
#include "powerhost.h"

#define ORDER 18

static void
testHostHasNoHashForItsGuests(void)
{
    g_autoptr(HostVm) vm = hostVmNew();
    struct kvm_ppc_smmu_info info = {0};

    g_assert_cmpint(ioctl(vm->fd, KVM_PPC_GET_SMMU_INFO, &info), ==, 0);
    g_assert_true(info.flags & KVM_PPC_NO_HASH);
    g_assert_cmpint(hostVmAllocate(vm, ORDER), ==, EOPNOTSUPP);
}

/* As a VMM asks when its guest chooses hash in the negotiation (H_REGISTER_PROC_TBL; PAPR) */
static void
testNoGuestTurnsToHash(void)
{
    g_autoptr(HostVm) vm = hostVmNew();

    g_assert_cmpint(hostVmCapability(vm, KVM_CAP_PPC_MMU_HASH_V3), ==, 0);
    g_assert_cmpint(hostVmCapability(vm, KVM_CAP_PPC_MMU_RADIX), ==, 1);
    g_assert_cmpint(hostVmConfigureMmu(vm, 0, 0), ==, EINVAL);
    g_assert_cmpint(hostVmResize(vm, KVM_PPC_RESIZE_HPT_PREPARE, ORDER), ==, -EINVAL);
    g_assert_cmpint(hostVmResize(vm, KVM_PPC_RESIZE_HPT_COMMIT, ORDER), ==, -EINVAL);
}

static void
testDescriptorReadsEmptyAndRefusesWrites(void)
{
    g_autoptr(HostVm) vm = hostVmNew();
    int fd = hostVmGetHtab(vm, 0, 0, 0);
    guint8 buffer[1000];

    g_assert_cmpint(hostVmCapability(vm, KVM_CAP_PPC_HTAB_FD), ==, 1);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(read(fd, buffer, sizeof(buffer)), ==, 0);
    g_assert_cmpint(htabFdWrite(kernelFd(), vm, 0, &htabFdPlain, 0, 0), ==, -EINVAL);
    g_assert_cmpint(htabFdWrite(kernelFd(), vm, 0, &htabFdPlain, 1, 0), ==, -EINVAL);
    close(fd);
}

static void
testLibrarySaysRadix(void)
{
    g_autoptr(HostVm) vm = hostVmNew();
    g_autoptr(VirtHptKvmReader) reader = virtHptKvmReaderNew(vm->fd, ORDER, 0, 0, NULL);
    g_autoptr(VirtHptTable) table = virtHptTableNew(ORDER, TEST_MAX_BYTES, NULL);
    g_autoptr(GError) error = NULL;
    VirtHptKvmState state;
    VirtHptKvmPass pass;
    guint order;

    g_assert_true(virtHptKvmProbe(vm->fd, &state, &order, NULL));
    g_assert_cmpint((int)state, ==, (int)VIRT_HPT_KVM_STATE_RADIX);
    g_assert_false(virtHptKvmReaderPass(reader, table, &pass, &error));
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED);
    g_test_message("%s", error->message);
}

void
addNestedTests(void)
{
    g_test_add_func("/kernel/nested/the host has no hash for its guests",
                    testHostHasNoHashForItsGuests);
    g_test_add_func("/kernel/nested/no guest turns to hash", testNoGuestTurnsToHash);
    g_test_add_func("/kernel/nested/the descriptor reads empty and refuses writes",
                    testDescriptorReadsEmptyAndRefusesWrites);
    g_test_add_func("/kernel/nested/the library says radix", testLibrarySaysRadix);
}
