/*
 * htab-reader.c: reads a VM's hashed page table out of the kernel, pass by pass
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 *     cc htab-reader.c -o htab-reader $(pkg-config --cflags --libs libvirt-hpt)
 *     ./htab-reader
 *
 * Does what a live migration does, with a VM of its own that has a table and no vCPU: a first pass
 * takes the whole table, later ones what changed since.  Where a VMM's vCPUs run, here entries are
 * put and removed through the kernel's descriptor for writing.
 *
 * Requires KVM-HV on POWER.  Exit status: 0 what was read equals what was written; 2 it does not;
 * 1 something failed, as it does where there is no KVM-HV.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <libvirt-hpt/htab_error.h>
#include <libvirt-hpt/htab_kvm.h>

/* KVM_CREATE_VM's type for KVM-HV (Linux include/uapi/linux/kvm.h: KVM_VM_PPC_HV) */
#define TYPE_HV 1UL

#define ORDER 18

/* A 64 KiB page of a 1 TiB segment, bolted; and its RPN, size encoding, R, C, M, N and PP */
#define ENTRY_V 0x4001000000000015ULL
#define ENTRY_R 0x0000000000011194ULL

/* Returns a VM with an empty table, or -1 with @error set */
static int
makeVm(GError **error)
{
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, TYPE_HV);
    guint32 order = ORDER;
    int number = errno;

    if (kvm >= 0)
        close(kvm);
    if (vm >= 0 && ioctl(vm, KVM_PPC_ALLOCATE_HTAB, &order) == 0)
        return vm;
    if (vm >= 0) {
        number = errno;
        close(vm);
    }
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED,
                "cannot make a VM with a hashed page table: %s", g_strerror(number));
    return -1;
}

/* Makes the kernel's table @after, where it is @before, and @before equal to it */
static gboolean
change(VirtHptKvmWriter *writer, VirtHptTable *before, const VirtHptTable *after, GError **error)
{
    VirtHptKvmWritten written;

    if (!virtHptKvmWriterWriteChanges(writer, before, after, &written, error))
        return FALSE;
    for (guint64 slot = 0; slot < virtHptTableGetSlots(after); slot++) {
        const VirtHptEntry entry = virtHptTableGet(after, slot);

        virtHptTableSet(before, slot, &entry);
    }
    return TRUE;
}

static gboolean
readPass(VirtHptKvmReader *reader, VirtHptTable *table, GError **error)
{
    VirtHptKvmPass pass;

    if (!virtHptKvmReaderPass(reader, table, &pass, error))
        return FALSE;
    printf("%s: %llu valid, %llu invalid slots in %llu records, %llu bytes\n",
           pass.first ? "first pass" : "changes", (unsigned long long)pass.valid,
           (unsigned long long)pass.invalid, (unsigned long long)pass.records,
           (unsigned long long)pass.bytes);
    return TRUE;
}

/* Three passes, between which the table changes */
static gboolean
follow(int vm, VirtHptTable *ours, VirtHptTable *read, GError **error)
{
    static const VirtHptEntry entry = {ENTRY_V, ENTRY_R};
    g_autoptr(VirtHptTable) kernels = virtHptTableNew(ORDER, G_MAXUINT64, error);
    g_autoptr(VirtHptKvmWriter) writer = virtHptKvmWriterNew(vm, ORDER, error);
    g_autoptr(VirtHptKvmReader) reader = NULL;

    if (!kernels || !writer)
        return FALSE;
    for (guint64 slot = 100; slot < 110; slot++)
        virtHptTableSet(ours, slot, &entry);
    if (!change(writer, kernels, ours, error))
        return FALSE;

    reader = virtHptKvmReaderNew(vm, ORDER, 0, 0, error);
    if (!reader || !readPass(reader, read, error) || !readPass(reader, read, error))
        return FALSE;
    virtHptTableClear(ours, 104, 2);
    virtHptTableSet(ours, 4000, &entry);
    return change(writer, kernels, ours, error) && readPass(reader, read, error);
}

int
main(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptTable) ours = virtHptTableNew(ORDER, G_MAXUINT64, &error);
    g_autoptr(VirtHptTable) read = ours ? virtHptTableNew(ORDER, G_MAXUINT64, &error) : NULL;
    int vm = read ? makeVm(&error) : -1;
    gboolean ok = vm >= 0 && follow(vm, ours, read, &error);

    if (vm >= 0)
        close(vm);
    if (!ok) {
        fprintf(stderr, "htab-reader: %s: %s\n", virtHptErrorName((VirtHptError)error->code),
                error->message);
        return 1;
    }
    if (!virtHptTableEqual(ours, read)) {
        fprintf(stderr, "htab-reader: what was read is not what was written\n");
        return 2;
    }
    printf("what was read is what was written\n");
    return 0;
}
