/*
 * test_vcpu.c: a table that a guest uses while it is read and written
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The guest is a loop in real mode that counts in memory.  What it touches the kernel maps by
 * entries of the VRMA (virtual real mode area), which it makes itself and which the MMU marks.
 */

#include <errno.h>
#include <linux/kvm.h>

#include "libvirt-hpt/htab_error.h"
#include "libvirt-hpt/htab_kvm.h"
#include "powerhost.h"

#define ORDER 18
#define SLOTS (G_GUINT64_CONSTANT(1) << (ORDER - 4))

/* Linux arch/powerpc/kvm/book3s_64_mmu_hv.c is_vrma_hpte(): 1T segment, VSID 0x1ffffff */
#define V_VRMA 0x4001ffffff000000ULL
#define V_VRMA_MASK (~0xffffffULL)

/* Linux arch/powerpc/include/asm/reg.h: the part of LPCR that says how the VRMA is mapped */
#define LPCR_VRMASD (0x1fULL << 47)

static HostVm *
vmThatCounts(void)
{
    HostVm *vm = hostVmNew();

    g_assert_cmpint(hostVmAllocate(vm, ORDER), ==, 0);
    hostVmAddMemory(vm);
    hostVmAddVcpu(vm);
    return vm;
}

static VirtHptTable *
tableNew(void)
{
    VirtHptTable *table = virtHptTableNew(ORDER, TEST_MAX_BYTES, NULL);

    g_assert_nonnull(table);
    return table;
}

static VirtHptKvmReader *
readerNew(const HostVm *vm)
{
    VirtHptKvmReader *reader = virtHptKvmReaderNew(vm->fd, ORDER, 0, 0, NULL);

    g_assert_nonnull(reader);
    return reader;
}

static VirtHptKvmPass
readPass(VirtHptKvmReader *reader, VirtHptTable *table)
{
    g_autoptr(GError) error = NULL;
    VirtHptKvmPass pass;

    virtHptKvmReaderPass(reader, table, &pass, &error);
    g_assert_no_error(error);
    return pass;
}

static void
assertState(const HostVm *vm, VirtHptKvmState expected)
{
    g_autoptr(GError) error = NULL;
    VirtHptKvmState state = VIRT_HPT_KVM_STATE_RADIX;
    guint order = 0;

    virtHptKvmProbe(vm->fd, &state, &order, &error);
    g_assert_no_error(error);
    g_assert_cmpint((int)state, ==, (int)expected);
}

static void
runAndStop(HostVm *vm)
{
    hostVmStart(vm);
    hostVmWaitCount(vm);
    hostVmStop(vm);
}

/* Entries of @table that map the VRMA; all others must be none */
static guint
countVrma(const VirtHptTable *table)
{
    guint count = 0;

    for (guint64 slot = virtHptTableNextValid(table, 0); slot < SLOTS;
         slot = virtHptTableNextValid(table, slot + 1)) {
        g_assert_cmphex(virtHptTableGet(table, slot).v & V_VRMA_MASK, ==, V_VRMA);
        count++;
    }
    return count;
}

/* The slot that maps the guest's real address @address, whose page is 64K */
static guint64
findPage(const VirtHptTable *table, guint64 address)
{
    guint64 slot = virtHptTableNextValid(table, 0);

    while (slot < SLOTS) {
        const VirtHptEntry entry = virtHptTableGet(table, slot);
        VirtHptPageSize size;

        g_assert_true(virtHptEntryGetPageSize(&entry, &size));
        if (virtHptEntryGetRealAddress(&entry, &size) == address)
            return slot;
        slot = virtHptTableNextValid(table, slot + 1);
    }
    g_assert_not_reached();
}

static void
testRunningVcpusKeepWritersOut(void)
{
    g_autoptr(HostVm) vm = vmThatCounts();
    g_autoptr(VirtHptKvmWriter) writer = virtHptKvmWriterNew(vm->fd, ORDER, NULL);
    g_autoptr(VirtHptKvmReader) reader = readerNew(vm);
    g_autoptr(VirtHptTable) read = tableNew();
    g_autoptr(VirtHptTable) empty = tableNew();
    g_autoptr(GError) error = NULL;
    VirtHptKvmWritten written;

    hostVmStart(vm);
    hostVmWaitCount(vm);
    assertState(vm, VIRT_HPT_KVM_STATE_RUNNING);
    g_assert_cmpint(htabFdWrite(kernelFd(), vm, 0, NULL, 0, 0), ==, -EBUSY);
    g_assert_cmpint(hostVmAllocate(vm, ORDER), ==, EBUSY);
    g_assert_false(virtHptKvmWriterWriteTable(writer, empty, &written, &error));
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_BUSY);
    g_assert_cmpuint(written.next, ==, 0);
    g_assert_false(written.lost);
    g_test_message("%s", error->message);

    /* Readers are not kept out, and the guest goes on */
    readPass(reader, read);
    g_assert_cmpuint(countVrma(read), >, 0);
    hostVmWaitCount(vm);
    hostVmStop(vm);
    assertState(vm, VIRT_HPT_KVM_STATE_TABLE);
    g_assert_cmpint(htabFdWrite(kernelFd(), vm, 0, NULL, 0, 0), ==, 8);
}

static void
testKernelMakesTableOfVcpuThatRuns(void)
{
    g_autoptr(HostVm) vm = hostVmNew();

    hostVmAddMemory(vm);
    hostVmAddVcpu(vm);
    assertState(vm, VIRT_HPT_KVM_STATE_NO_TABLE);
    runAndStop(vm);
    assertState(vm, VIRT_HPT_KVM_STATE_TABLE);
}

/* The guest stores to a page after that was read: its entry comes again, with C */
static void
testReferenceAndChangeComeAsChanges(void)
{
    g_autoptr(HostVm) vm = vmThatCounts();
    g_autoptr(VirtHptKvmReader) reader = readerNew(vm);
    g_autoptr(VirtHptTable) before = tableNew();
    g_autoptr(VirtHptTable) after = tableNew();
    VirtHptKvmPass pass;
    guint64 slot;
    VirtHptEntry entry;

    runAndStop(vm);
    readPass(reader, before);
    slot = findPage(before, HOST_VM_COUNTER);
    g_assert_cmphex(virtHptTableGet(before, slot).r & VIRT_HPT_R_C, ==, VIRT_HPT_R_C);
    g_assert_cmpuint(readPass(reader, before).records, ==, 0);

    /* The same entry without R and C, as a guest writes it; then the guest stores once more */
    entry = virtHptTableGet(before, slot);
    entry.r &= ~(VIRT_HPT_R_R | VIRT_HPT_R_C);
    htabFdPut(kernelFd(), vm, (guint32)slot, &entry);
    g_assert_cmpuint(readPass(reader, after).valid, ==, 1);
    g_assert_cmphex(virtHptTableGet(after, slot).r & (VIRT_HPT_R_R | VIRT_HPT_R_C), ==, 0);
    runAndStop(vm);
    pass = readPass(reader, after);
    g_assert_cmpuint(pass.valid, ==, 1);
    g_assert_cmpuint(pass.invalid, ==, 0);
    g_assert_cmphex(virtHptTableGet(after, slot).r, ==, entry.r | VIRT_HPT_R_R | VIRT_HPT_R_C);
}

/* Before the MMU is set up, the first VRMA entry that is written sets it up */
static void
testVrmaEntrySetsUpVrma(void)
{
    g_autoptr(HostVm) source = vmThatCounts();
    g_autoptr(HostVm) vm = vmThatCounts();
    g_autoptr(VirtHptTable) table = NULL;
    g_autoptr(VirtHptTable) held = NULL;
    guint64 code;
    guint64 counter;
    VirtHptEntry entry;

    runAndStop(source);
    table = htabFdReadTable(kernelFd(), source, ORDER);
    g_assert_cmpuint(countVrma(table), ==, HOST_VM_MEMORY / HOST_VM_PAGE);
    code = findPage(table, 0);
    counter = findPage(table, HOST_VM_COUNTER);

    /* Two entries alone.  The guest runs on them: the kernel adds none of its own. */
    if (!hostIsArch300())
        g_assert_cmphex(hostVmGetLpcr(vm) & LPCR_VRMASD, !=, hostVmGetLpcr(source) & LPCR_VRMASD);
    entry = virtHptTableGet(table, code);
    htabFdPut(kernelFd(), vm, (guint32)code, &entry);
    if (!hostIsArch300())
        g_assert_cmphex(hostVmGetLpcr(vm) & LPCR_VRMASD, ==, hostVmGetLpcr(source) & LPCR_VRMASD);
    entry = virtHptTableGet(table, counter);
    htabFdPut(kernelFd(), vm, (guint32)counter, &entry);
    runAndStop(vm);
    held = htabFdReadTable(kernelFd(), vm, ORDER);
    g_assert_cmpuint(countVrma(held), ==, 2);
}

/* Passes while the source runs, one when it stands; the destination counts on where it stood */
static void
testGuestMigrates(void)
{
    g_autoptr(HostVm) source = vmThatCounts();
    g_autoptr(HostVm) destination = vmThatCounts();
    g_autoptr(VirtHptKvmReader) reader = readerNew(source);
    g_autoptr(VirtHptKvmWriter) writer = virtHptKvmWriterNew(destination->fd, ORDER, NULL);
    g_autoptr(VirtHptTable) table = tableNew();
    g_autoptr(VirtHptTable) held = NULL;
    g_autoptr(GError) error = NULL;
    VirtHptKvmWritten written;
    guint64 count;

    hostVmStart(source);
    for (guint i = 0; i < 5; i++) {
        hostVmWaitCount(source);
        readPass(reader, table);
    }
    hostVmStop(source);
    readPass(reader, table);
    count = hostVmGetCount(source);

    virtHptKvmWriterWriteTable(writer, table, &written, &error);
    g_assert_no_error(error);
    held = htabFdReadTable(kernelFd(), destination, ORDER);
    g_assert_true(virtHptTableEqual(table, held));
    hostVmCopyMemory(destination, source);
    runAndStop(destination);
    g_assert_cmpuint(hostVmGetCount(destination), >=, count + 100);
    g_assert_cmpuint(hostVmGetCount(source), ==, count);
}

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
    g_autoptr(HostVm) vm = vmThatCounts();
    g_autoptr(VirtHptKvmReader) reader = NULL;
    g_autoptr(VirtHptTable) read = tableNew();
    guint64 bolted;

    runAndStop(vm);
    reader = readerNew(vm);
    readPass(reader, read);
    for (guint64 slot = 0, i = 0; i < 100; slot++, i++) {
        slot = virtHptTableNextInvalid(read, slot, SLOTS);
        htabFdPut(kernelFd(), vm, (guint32)slot, i % 2 ? &htabFdPlain : &htabFdBolted);
    }
    readPass(reader, read);
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
    g_assert_cmpuint(readPass(reader, read).records, ==, 0);
}

static void
testGuestRunsOnWhileResized(void)
{
    g_autoptr(HostVm) vm = vmThatCounts();
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
    g_autoptr(HostVm) vm = vmThatCounts();
    g_autoptr(VirtHptTable) table = NULL;

    runAndStop(vm);
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
addVcpuTests(void)
{
    g_test_add_func("/kernel/vcpu/running vCPUs keep writers out", testRunningVcpusKeepWritersOut);
    if (!hostIsRadix())
        g_test_add_func("/kernel/vcpu/the kernel makes a table for a vCPU that runs",
                        testKernelMakesTableOfVcpuThatRuns);
    g_test_add_func("/kernel/vcpu/R and C come as changes", testReferenceAndChangeComeAsChanges);
    g_test_add_func("/kernel/vcpu/a VRMA entry sets up the VRMA", testVrmaEntrySetsUpVrma);
    g_test_add_func("/kernel/vcpu/a guest migrates", testGuestMigrates);
    g_test_add_func("/kernel/resize/bolted entries alone move", testResizeMovesBoltedEntriesAlone);
    g_test_add_func("/kernel/resize/a guest runs on", testGuestRunsOnWhileResized);
    g_test_add_func("/kernel/resize/it is refused where bolted entries meet",
                    testResizeIsRefusedWhereBoltedEntriesMeet);
}
