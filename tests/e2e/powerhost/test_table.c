/*
 * test_table.c: the kernel's table, through the library's reader and writer
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves that what the writer writes is what the reader reads, that a refusal is reported where it
 * happened, and what becomes of tables and readers when the table is allocated anew.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libvirt-hpt/htab_error.h"
#include "powerhost.h"

#define ORDER 18
#define SLOTS (1U << (ORDER - 4))

/* A register of the emulated chip, by its address in the host: its XSCOM (skiboot, chip 0) */
#define DEVICE_POWER8 0x3fc0000000000LL
#define DEVICE_POWER9 0x603fc00000000LL

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

/* A page of the guest at @address that is a device of the host; its memory in this process */
static gpointer
addDevice(const HostVm *vm, guint64 address)
{
    struct kvm_userspace_memory_region region = {
        .slot = 1,
        .guest_phys_addr = address,
        .memory_size = HOST_VM_PAGE,
    };
    off_t where = hostIsArch300() ? DEVICE_POWER9 : DEVICE_POWER8;
    int fd = open("/dev/mem", O_RDWR | O_SYNC | O_CLOEXEC);
    gpointer page;

    g_assert_cmpint(fd, >=, 0);
    page = mmap(NULL, HOST_VM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, where);
    g_assert_true(page != MAP_FAILED);
    close(fd);
    region.userspace_addr = (guint64)(gsize)page;
    g_assert_cmpint(ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region), ==, 0);
    return page;
}

/* Other than memory that is mapped as a device, a device that is mapped as memory is refused */
static void
testCachedMappingOfDeviceIsRefused(void)
{
    static const struct {
        guint64 wimg;
        gssize result;
    } cases[] = {
        {VIRT_HPT_R_M, -EIO},
        {0, -EIO},
        {VIRT_HPT_R_W | VIRT_HPT_R_I | VIRT_HPT_R_G, -EIO},
        {VIRT_HPT_R_I, 24},
        {VIRT_HPT_R_I | VIRT_HPT_R_G, 24},
        {VIRT_HPT_R_I | VIRT_HPT_R_M, 24},
    };
    const guint64 wimg = VIRT_HPT_R_W | VIRT_HPT_R_I | VIRT_HPT_R_M | VIRT_HPT_R_G;
    g_autoptr(HostVm) vm = hostVmNewWithTable(ORDER);
    g_autoptr(VirtHptTable) held = NULL;
    gpointer page = addDevice(vm, 0);

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        const VirtHptEntry entry = {htabFdPlain.v, (htabFdPlain.r & ~wimg) | cases[i].wimg};

        htabFdPut(kernelFd(), vm, i, &htabFdLarge); /* there is nothing at its address */
        g_assert_cmpint(htabFdWrite(kernelFd(), vm, i, &entry, 1, 0), ==, cases[i].result);
    }
    held = htabFdReadTable(kernelFd(), vm, ORDER);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        const VirtHptEntry entry = virtHptTableGet(held, i);

        g_assert_cmpint(entry.v == htabFdPlain.v, ==, cases[i].result == 24);
        g_assert_cmphex(entry.r & wimg, ==, cases[i].result == 24 ? cases[i].wimg : 0);
    }
    g_clear_pointer(&vm, hostVmFree);
    munmap(page, HOST_VM_PAGE);
}

/* The kernel makes such an entry "absent" (0x20), and clears "valid"; who reads it does not see */
static void
testEntryWhosePageIsGoneComesAsValid(void)
{
    g_autoptr(HostVm) vm = hostVmNewWithTable(ORDER);
    g_autoptr(VirtHptKvmReader) reader = kernelReader(vm, ORDER, 0);
    g_autoptr(VirtHptTable) read = htabFdTableNew(ORDER);
    g_autoptr(VirtHptTable) held = NULL;

    hostVmAddMemory(vm);
    htabFdPut(kernelFd(), vm, 5, &htabFdPlain);
    g_assert_cmpint(madvise(vm->memory, HOST_VM_MEMORY, MADV_DONTNEED), ==, 0);
    htabFdPut(kernelFd(), vm, 6, &htabFdBolted);
    g_assert_cmpuint(kernelPass(reader, read).valid, ==, 2);
    memset(vm->memory, 1, HOST_VM_MEMORY);
    g_assert_cmpint(madvise(vm->memory, HOST_VM_MEMORY, MADV_DONTNEED), ==, 0);
    /* What the host does with the page behind is no change of the guest's entry */
    g_assert_cmpuint(kernelPass(reader, read).records, ==, 0);
    held = htabFdReadTable(kernelFd(), vm, ORDER);
    g_assert_true(virtHptTableEqual(held, read));
    g_assert_cmphex(virtHptTableGet(held, 5).v, ==, htabFdPlain.v);
    g_assert_cmphex(virtHptTableGet(held, 6).v, ==, htabFdBolted.v);
}

/* Real pages behind them: those that the guest's memory has, and no larger ones */
static void
testEntriesOfMemoryReadBack(void)
{
    g_autoptr(HostVm) vm = hostVmNewWithTable(ORDER);
    g_autoptr(VirtHptKvmWriter) writer = kernelWriter(vm, ORDER);
    g_autoptr(VirtHptTable) table = htabFdTableNew(ORDER);
    g_autoptr(VirtHptTable) held = NULL;
    g_autoptr(GError) error = NULL;
    VirtHptKvmWritten written;

    hostVmAddMemory(vm);
    for (guint64 slot = 0; slot < SLOTS; slot++) {
        VirtHptEntry entry = htabFdRandomEntry(kernelFd()->keptV & ~VIRT_HPT_V_LARGE);
        guint64 pages = HOST_VM_MEMORY - 0x1000;

        if (slot % 2) { /* 64K */
            entry.v |= VIRT_HPT_V_LARGE;
            entry.r = (entry.r & ~0xf000ULL) | 0x1000;
            pages = (HOST_VM_MEMORY - 0x10000) | 0xf000;
        }
        entry.r &= ~(VIRT_HPT_R_RPN & ~pages);
        virtHptTableSet(table, slot, &entry);
    }
    virtHptKvmWriterWriteTable(writer, table, &written, &error);
    g_assert_no_error(error);
    held = htabFdReadTable(kernelFd(), vm, ORDER);
    g_assert_true(virtHptTableEqual(table, held));
}

static void
testOrdersOfAllocation(void)
{
    g_autoptr(HostVm) vm = hostVmNew();

    g_assert_cmpint(hostVmAllocate(vm, 17), ==, EINVAL);
    g_assert_cmpint(hostVmAllocate(vm, 47), ==, EINVAL);
    g_assert_cmpint(hostVmAllocate(vm, 46), ==, ENOMEM);
    g_assert_cmpint(hostVmAllocate(vm, 18), ==, 0);
    kernelAssertProbes(vm, VIRT_HPT_KVM_STATE_TABLE, 18);
}

/* The memory that the kernel keeps for tables and what else it can move away from there, in KiB */
static guint64
readPool(void)
{
    g_autofree char *text = NULL;
    const char *line;

    g_assert_true(g_file_get_contents("/proc/meminfo", &text, NULL, NULL));
    line = strstr(text, "CmaTotal:");
    g_assert_nonnull(line);
    return g_ascii_strtoull(line + strlen("CmaTotal:"), NULL, 10);
}

/* What is larger than that pool is larger than the page allocator's largest piece, too */
static void
testAllocationThatPoolLacksLeavesNoTable(void)
{
    g_autoptr(HostVm) vm = hostVmNewWithTable(ORDER);
    guint order = ORDER;

    while (readPool() >> (order + 1 - 10) > 0)
        order++;
    g_test_message("%" G_GUINT64_FORMAT " KiB take order %u", readPool(), order);
    g_assert_cmpuint(order, >=, 26);
    g_assert_cmpint(hostVmAllocate(vm, order), ==, 0);
    kernelAssertProbes(vm, VIRT_HPT_KVM_STATE_TABLE, order);
    g_assert_cmpint(hostVmAllocate(vm, order + 1), ==, ENOMEM);
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
    g_test_add_func("/kernel/table/a cached mapping of a device is refused",
                    testCachedMappingOfDeviceIsRefused);
    g_test_add_func("/kernel/table/an entry whose page is gone comes as valid",
                    testEntryWhosePageIsGoneComesAsValid);
    g_test_add_func("/kernel/table/random entries of the guest's memory read back equal",
                    testEntriesOfMemoryReadBack);
    g_test_add_func("/kernel/table/orders of allocation", testOrdersOfAllocation);
    g_test_add_func("/kernel/table/an allocation that the pool lacks leaves no table",
                    testAllocationThatPoolLacksLeavesNoTable);
    g_test_add_func("/kernel/table/a reader does not see a new allocation",
                    testReaderDoesNotSeeNewAllocation);
}
