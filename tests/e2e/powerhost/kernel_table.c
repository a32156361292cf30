/*
 * kernel_table.c: the library's reader and writer of a VM's HPT, where they must not fail
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "powerhost.h"

VirtHptKvmReader *
kernelReader(const HostVm *vm, guint order, guint flags)
{
    g_autoptr(GError) error = NULL;
    VirtHptKvmReader *reader = virtHptKvmReaderNew(vm->fd, order, flags, 0, &error);

    g_assert_no_error(error);
    return reader;
}

VirtHptKvmWriter *
kernelWriter(const HostVm *vm, guint order)
{
    g_autoptr(GError) error = NULL;
    VirtHptKvmWriter *writer = virtHptKvmWriterNew(vm->fd, order, &error);

    g_assert_no_error(error);
    return writer;
}

VirtHptKvmPass
kernelPass(VirtHptKvmReader *reader, VirtHptTable *table)
{
    g_autoptr(GError) error = NULL;
    VirtHptKvmPass pass;

    virtHptKvmReaderPass(reader, table, &pass, &error);
    g_assert_no_error(error);
    return pass;
}

/* @expectedOrder is 0 where no order is told */
void
kernelAssertProbes(const HostVm *vm, VirtHptKvmState expected, guint expectedOrder)
{
    g_autoptr(GError) error = NULL;
    VirtHptKvmState state = VIRT_HPT_KVM_STATE_RADIX;
    guint order = 0;

    virtHptKvmProbe(vm->fd, &state, &order, &error);
    g_assert_no_error(error);
    g_assert_cmpint((int)state, ==, (int)expected);
    g_assert_cmpuint(order, ==, expectedOrder);
}
