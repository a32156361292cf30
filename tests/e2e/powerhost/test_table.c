/*
 * test_table.c: the kernel's table, through the library's reader and writer
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves that what the writer writes is what the reader reads, that a refusal is reported where it
 * happened, and what becomes of tables and readers when the table is allocated anew.
 */

#include <errno.h>
#include <string.h>

#include "libvirt-hpt/htab_error.h"
#include "powerhost.h"

#define ORDER 18
#define SLOTS (1U << (ORDER - 4))

/* More than the host has */
#define ORDER_TOO_LARGE 34

static void
fillRandomly(VirtHptTable *table, guint runs)
{
    guint slots = (guint)virtHptTableGetSlots(table);

    for (guint i = 0; i < runs; i++) {
        guint slot = (guint)g_test_rand_int_range(0, (gint32)slots);
        guint n = (guint)g_test_rand_int_range(1, 200);

        for (guint end = MIN(slots, slot + n); slot < end; slot++) {
            const VirtHptEntry entry = htabFdRandomEntry(kernelFd()->keptV);

            virtHptTableSet(table, slot, &entry);
        }
    }
}

static void
testTablesComeBackWhole(void)
{
    for (guint order = 18; order <= 22; order += 2) {
        g_autoptr(HostVm) vm = hostVmNewWithTable(order);
        g_autoptr(VirtHptKvmReader) reader = kernelReader(vm, order, 0);
        g_autoptr(VirtHptKvmWriter) writer = kernelWriter(vm, order);
        g_autoptr(VirtHptTable) read = htabFdTableNew(order);
        g_autoptr(VirtHptTable) before = htabFdTableNew(order);
        g_autoptr(GError) error = NULL;
        VirtHptKvmWritten written;
        VirtHptKvmPass pass = kernelPass(reader, read);

        g_assert_true(pass.first);
        g_assert_cmpuint(pass.valid, ==, 0);
        g_assert_cmpuint(pass.invalid, ==, virtHptTableGetSlots(read));
        for (guint round = 0; round < 4; round++) {
            g_autoptr(VirtHptTable) table = htabFdTableNew(order);
            guint64 valid = 0;

            fillRandomly(table, 100);
            if (round % 2)
                virtHptKvmWriterWriteChanges(writer, before, table, &written, &error);
            else
                virtHptKvmWriterWriteTable(writer, table, &written, &error);
            g_assert_no_error(error);
            pass = kernelPass(reader, read);
            g_assert_false(pass.first);
            g_assert_true(virtHptTableEqual(table, read));
            for (guint64 slot = virtHptTableNextValid(table, 0); slot < virtHptTableGetSlots(table);
                 slot = virtHptTableNextValid(table, slot + 1))
                valid++;
            g_assert_cmpuint(written.valid, ==, valid);
            g_assert_cmpuint(kernelPass(reader, read).records, ==, 0);
            virtHptTableFree(g_steal_pointer(&before));
            before = g_steal_pointer(&table);
        }
    }
}

static void
testBoltedReaderSeesBoltedEntries(void)
{
    g_autoptr(HostVm) vm = hostVmNewWithTable(ORDER);
    g_autoptr(VirtHptKvmReader) reader = kernelReader(vm, ORDER, VIRT_HPT_KVM_BOLTED_ONLY);
    g_autoptr(VirtHptTable) read = htabFdTableNew(ORDER);

    htabFdPut(kernelFd(), vm, 5, &htabFdBolted);
    htabFdPut(kernelFd(), vm, 6, &htabFdPlain);
    kernelPass(reader, read);
    g_assert_cmpuint(virtHptTableNextValid(read, 0), ==, 5);
    g_assert_cmpuint(virtHptTableNextValid(read, 6), ==, SLOTS);
}

static void
testProbeTellsOrderAndChangesNothing(void)
{
    for (guint order = 18; order <= 26; order += 4) {
        g_autoptr(HostVm) vm = hostVmNewWithTable(order);
        g_autoptr(VirtHptKvmReader) reader = kernelReader(vm, order, 0);
        g_autoptr(VirtHptTable) read = htabFdTableNew(order);
        g_autoptr(VirtHptTable) again = NULL;

        htabFdPut(kernelFd(), vm, 5, &htabFdBolted);
        kernelPass(reader, read);
        htabFdPut(kernelFd(), vm, 7, &htabFdPlain);
        kernelAssertProbes(vm, VIRT_HPT_KVM_STATE_TABLE, order);
        g_assert_cmpuint(kernelPass(reader, read).valid, ==, 1);
        again = htabFdReadTable(kernelFd(), vm, order);
        g_assert_true(virtHptTableEqual(read, again));
    }
}

static void
testAnotherOrderIsNoticed(void)
{
    for (guint order = 18; order <= 20; order += 2) {
        g_autoptr(HostVm) vm = hostVmNewWithTable(order);
        g_autoptr(VirtHptKvmReader) reader = kernelReader(vm, 19, 0);
        g_autoptr(VirtHptTable) read = htabFdTableNew(19);
        g_autoptr(GError) error = NULL;
        VirtHptKvmPass pass;

        htabFdPut(kernelFd(), vm, 5, &htabFdBolted);
        g_assert_false(virtHptKvmReaderPass(reader, read, &pass, &error));
        g_assert_true(error->domain == VIRT_HPT_ERROR);
        g_test_message("%s", error->message);
    }
}

/* The guest's memory lies on pages of 64K: one of 16M does not fit there */
static void
testRefusedEntryIsReportedWithItsSlot(void)
{
    g_autoptr(HostVm) vm = hostVmNewWithTable(ORDER);
    g_autoptr(VirtHptKvmWriter) writer = kernelWriter(vm, ORDER);
    g_autoptr(VirtHptTable) table = htabFdTableNew(ORDER);
    g_autoptr(VirtHptTable) held = NULL;
    const VirtHptEntry tooLarge = {htabFdLarge.v, 0x190};
    g_autoptr(GError) error = NULL;
    VirtHptKvmWritten written;

    hostVmAddMemory(vm);
    htabFdPut(kernelFd(), vm, 102, &htabFdPlain);
    htabFdPut(kernelFd(), vm, 103, &htabFdPlain);
    for (guint64 slot = 99; slot < 105; slot++)
        virtHptTableSet(table, slot, slot == 102 ? &tooLarge : &htabFdBolted);

    g_assert_false(virtHptKvmWriterWriteTable(writer, table, &written, &error));
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, "slot 0x66, which is empty now"));
    g_assert_cmpuint(written.next, ==, 102);
    g_assert_cmpuint(written.valid, ==, 3);
    g_assert_true(written.lost);

    /* What was before slot 102 is written, 102 itself is lost, 103 is as it was */
    held = htabFdReadTable(kernelFd(), vm, ORDER);
    g_assert_cmpuint(virtHptTableNextValid(held, 0), ==, 99);
    g_assert_cmpuint(virtHptTableNextInvalid(held, 99, SLOTS), ==, 102);
    g_assert_cmphex(virtHptTableGet(held, 103).v, ==, htabFdPlain.v);
    g_assert_cmpuint(virtHptTableNextValid(held, 104), ==, SLOTS);
}

/* Cached memory that the guest maps as devices' stays cached inside, and reads back as written */
static void
testCacheInhibitedMappingOfMemoryReadsBack(void)
{
    g_autoptr(HostVm) vm = hostVmNewWithTable(ORDER);
    const VirtHptEntry device = {htabFdPlain.v,
                                 (htabFdPlain.r & ~VIRT_HPT_R_M) | VIRT_HPT_R_I | VIRT_HPT_R_G};
    g_autoptr(VirtHptTable) held = NULL;

    hostVmAddMemory(vm);
    htabFdPut(kernelFd(), vm, 5, &device);
    held = htabFdReadTable(kernelFd(), vm, ORDER);
    g_assert_cmphex(virtHptTableGet(held, 5).v, ==, device.v);
    g_assert_cmphex(virtHptTableGet(held, 5).r, ==, device.r);
}

static void
testOrdersOfAllocation(void)
{
    g_autoptr(HostVm) vm = hostVmNew();

    g_assert_cmpint(hostVmAllocate(vm, 17), ==, EINVAL);
    g_assert_cmpint(hostVmAllocate(vm, 47), ==, EINVAL);
    g_assert_cmpint(hostVmAllocate(vm, 18), ==, 0);
    kernelAssertProbes(vm, VIRT_HPT_KVM_STATE_TABLE, 18);
}

static void
testFailedAllocationLeavesNoTable(void)
{
    g_autoptr(HostVm) vm = hostVmNewWithTable(ORDER);

    g_assert_cmpint(hostVmAllocate(vm, ORDER_TOO_LARGE), ==, ENOMEM);
    kernelAssertProbes(vm, VIRT_HPT_KVM_STATE_NO_TABLE, 0);
    g_assert_cmpint(hostVmAllocate(vm, ORDER), ==, 0);
    kernelAssertProbes(vm, VIRT_HPT_KVM_STATE_TABLE, ORDER);
}

static void
testReaderDoesNotSeeNewAllocation(void)
{
    g_autoptr(HostVm) vm = hostVmNewWithTable(ORDER);
    g_autoptr(VirtHptKvmReader) reader = kernelReader(vm, ORDER, 0);
    g_autoptr(VirtHptTable) read = htabFdTableNew(ORDER);
    g_autoptr(VirtHptTable) held = NULL;

    htabFdPut(kernelFd(), vm, 5, &htabFdBolted);
    kernelPass(reader, read);
    g_assert_cmpint(hostVmAllocate(vm, ORDER), ==, 0);
    g_assert_cmpuint(kernelPass(reader, read).records, ==, 0);
    g_assert_cmpuint(virtHptTableNextValid(read, 0), ==, 5);
    held = htabFdReadTable(kernelFd(), vm, ORDER);
    g_assert_cmpuint(virtHptTableNextValid(held, 0), ==, SLOTS);
}

void
addTableTests(void)
{
    g_test_add_func("/kernel/table/tables come back whole", testTablesComeBackWhole);
    g_test_add_func("/kernel/table/a bolted reader sees bolted entries",
                    testBoltedReaderSeesBoltedEntries);
    g_test_add_func("/kernel/table/a probe tells the order and changes nothing",
                    testProbeTellsOrderAndChangesNothing);
    g_test_add_func("/kernel/table/another order is noticed", testAnotherOrderIsNoticed);
    g_test_add_func("/kernel/table/a refused entry is reported with its slot",
                    testRefusedEntryIsReportedWithItsSlot);
    g_test_add_func("/kernel/table/a cache-inhibited mapping of memory reads back",
                    testCacheInhibitedMappingOfMemoryReadsBack);
    g_test_add_func("/kernel/table/orders of allocation", testOrdersOfAllocation);
    g_test_add_func("/kernel/table/a failed allocation leaves no table",
                    testFailedAllocationLeavesNoTable);
    g_test_add_func("/kernel/table/a reader does not see a new allocation",
                    testReaderDoesNotSeeNewAllocation);
}
