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
#include "powerhost.h"

#define ORDER 18
#define SLOTS (G_GUINT64_CONSTANT(1) << (ORDER - 4))

/* Linux arch/powerpc/kvm/book3s_64_mmu_hv.c is_vrma_hpte(): 1T segment, VSID 0x1ffffff */
#define V_VRMA 0x4001ffffff000000ULL
#define V_VRMA_MASK (~0xffffffULL)

/* Linux arch/powerpc/include/asm/reg.h: the part of LPCR that says how the VRMA is mapped */
#define LPCR_VRMASD (0x1fULL << 47)

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
    g_autoptr(HostVm) vm = hostVmNewThatCounts(ORDER);
    g_autoptr(VirtHptKvmWriter) writer = virtHptKvmWriterNew(vm->fd, ORDER, NULL);
    g_autoptr(VirtHptKvmReader) reader = kernelReader(vm, ORDER, 0);
    g_autoptr(VirtHptTable) read = htabFdTableNew(ORDER);
    g_autoptr(VirtHptTable) empty = htabFdTableNew(ORDER);
    g_autoptr(GError) error = NULL;
    VirtHptKvmWritten written;

    hostVmStart(vm);
    hostVmWaitCount(vm);
    kernelAssertProbes(vm, VIRT_HPT_KVM_STATE_RUNNING, 0);
    g_assert_cmpint(htabFdWrite(kernelFd(), vm, 0, NULL, 0, 0), ==, -EBUSY);
    g_assert_cmpint(hostVmAllocate(vm, ORDER), ==, EBUSY);
    g_assert_false(virtHptKvmWriterWriteTable(writer, empty, &written, &error));
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_BUSY);
    g_assert_cmpuint(written.next, ==, 0);
    g_assert_false(written.lost);
    g_test_message("%s", error->message);

    /* Readers are not kept out, and the guest goes on */
    kernelPass(reader, read);
    g_assert_cmpuint(countVrma(read), >, 0);
    hostVmWaitCount(vm);
    hostVmStop(vm);
    kernelAssertProbes(vm, VIRT_HPT_KVM_STATE_TABLE, ORDER);
    g_assert_cmpint(htabFdWrite(kernelFd(), vm, 0, NULL, 0, 0), ==, 8);
}

static void
testKernelMakesTableOfVcpuThatRuns(void)
{
    g_autoptr(HostVm) vm = hostVmNew();

    hostVmAddMemory(vm);
    hostVmAddVcpu(vm);
    kernelAssertProbes(vm, VIRT_HPT_KVM_STATE_NO_TABLE, 0);
    hostVmRunAndStop(vm);
    /* KVM_DEFAULT_HPT_ORDER (Linux arch/powerpc/include/asm/kvm_book3s.h) */
    kernelAssertProbes(vm, VIRT_HPT_KVM_STATE_TABLE, 24);
}

/* The guest stores to a page after that was read: its entry comes again, with C */
static void
testReferenceAndChangeComeAsChanges(void)
{
    g_autoptr(HostVm) vm = hostVmNewThatCounts(ORDER);
    g_autoptr(VirtHptKvmReader) reader = kernelReader(vm, ORDER, 0);
    g_autoptr(VirtHptTable) before = htabFdTableNew(ORDER);
    g_autoptr(VirtHptTable) after = htabFdTableNew(ORDER);
    VirtHptKvmPass pass;
    guint64 slot;
    VirtHptEntry entry;

    hostVmRunAndStop(vm);
    kernelPass(reader, before);
    slot = findPage(before, HOST_VM_COUNTER);
    g_assert_cmphex(virtHptTableGet(before, slot).r & VIRT_HPT_R_C, ==, VIRT_HPT_R_C);
    g_assert_cmpuint(kernelPass(reader, before).records, ==, 0);

    /* The same entry without R and C, as a guest writes it; then the guest stores once more */
    entry = virtHptTableGet(before, slot);
    entry.r &= ~(VIRT_HPT_R_R | VIRT_HPT_R_C);
    htabFdPut(kernelFd(), vm, (guint32)slot, &entry);
    g_assert_cmpuint(kernelPass(reader, after).valid, ==, 1);
    g_assert_cmphex(virtHptTableGet(after, slot).r & (VIRT_HPT_R_R | VIRT_HPT_R_C), ==, 0);
    hostVmRunAndStop(vm);
    pass = kernelPass(reader, after);
    g_assert_cmpuint(pass.valid, ==, 1);
    g_assert_cmpuint(pass.invalid, ==, 0);
    g_assert_cmphex(virtHptTableGet(after, slot).r, ==, entry.r | VIRT_HPT_R_R | VIRT_HPT_R_C);
}

/* Before the MMU is set up, the first VRMA entry that is written sets it up */
static void
testVrmaEntrySetsUpVrma(void)
{
    g_autoptr(HostVm) source = hostVmNewThatCounts(ORDER);
    g_autoptr(HostVm) vm = hostVmNewThatCounts(ORDER);
    g_autoptr(VirtHptTable) table = NULL;
    g_autoptr(VirtHptTable) held = NULL;
    guint64 code;
    guint64 counter;
    VirtHptEntry entry;

    hostVmRunAndStop(source);
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
    hostVmRunAndStop(vm);
    held = htabFdReadTable(kernelFd(), vm, ORDER);
    g_assert_cmpuint(countVrma(held), ==, 2);
}

/* Passes while the source runs, one when it stands; the destination counts on where it stood */
static void
testGuestMigrates(void)
{
    g_autoptr(HostVm) source = hostVmNewThatCounts(ORDER);
    g_autoptr(HostVm) destination = hostVmNewThatCounts(ORDER);
    g_autoptr(VirtHptKvmReader) reader = kernelReader(source, ORDER, 0);
    g_autoptr(VirtHptKvmWriter) writer = virtHptKvmWriterNew(destination->fd, ORDER, NULL);
    g_autoptr(VirtHptTable) table = htabFdTableNew(ORDER);
    g_autoptr(VirtHptTable) held = NULL;
    g_autoptr(GError) error = NULL;
    VirtHptKvmWritten written;
    guint64 count;

    hostVmStart(source);
    for (guint i = 0; i < 5; i++) {
        hostVmWaitCount(source);
        kernelPass(reader, table);
    }
    hostVmStop(source);
    kernelPass(reader, table);
    count = hostVmGetCount(source);

    virtHptKvmWriterWriteTable(writer, table, &written, &error);
    g_assert_no_error(error);
    held = htabFdReadTable(kernelFd(), destination, ORDER);
    g_assert_true(virtHptTableEqual(table, held));
    hostVmCopyMemory(destination, source);
    hostVmRunAndStop(destination);
    g_assert_cmpuint(hostVmGetCount(destination), >=, count + 100);
    g_assert_cmpuint(hostVmGetCount(source), ==, count);
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
}
