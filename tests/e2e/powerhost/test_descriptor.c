/*
 * test_descriptor.c: the descriptor that KVM_PPC_GET_HTAB_FD gives
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves what virtHptKvmOpen(), virtHptKvmProbe() and the error messages rest on: flags, direction,
 * other processes, poll(2) and its kin, VMs without a table; and why one write(2) takes one record.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libvirt-hpt/htab_error.h"
#include "powerhost.h"

#define ORDER 18
#define SLOTS (1U << (ORDER - 4))

static int
openFd(const HostVm *vm, guint flags)
{
    int fd = hostVmGetHtab(vm, flags, 0, 0);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

/* The result of a call, or its negative errno */
#define result(call) ((call) < 0 ? -(gssize)errno : 0)

static void
testUnknownFlagsAreRefused(void)
{
    static const guint64 unknown[] = {4, 8, 1ULL << 31, 1ULL << 32, 1ULL << 63, 4 | 1};
    g_autoptr(HostVm) vm = hostVmNewWithTable(ORDER);

    for (guint i = 0; i < G_N_ELEMENTS(unknown); i++)
        g_assert_cmpint(hostVmGetHtab(vm, unknown[i], 0, 0), ==, -EINVAL);
    for (guint flags = 0; flags < 4; flags++)
        close(openFd(vm, flags));
}

static void
testReservedWordsAreNotLookedAt(void)
{
    g_autoptr(HostVm) vm = hostVmNewWithTable(ORDER);
    int fd = hostVmGetHtab(vm, 0, 0, G_MAXUINT64);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
}

static void
testDescriptorHasOneDirection(void)
{
    g_autoptr(HostVm) vm = hostVmNewWithTable(ORDER);
    g_autoptr(GByteArray) record = htabFdMakeRecord(0, NULL, 0, 0);
    int reader = openFd(vm, 0);
    int writer = openFd(vm, VIRT_HPT_KVM_WRITE);
    guint8 buffer[100];

    g_assert_cmpint(fcntl(reader, F_GETFL) & O_ACCMODE, ==, O_RDONLY);
    g_assert_cmpint(fcntl(writer, F_GETFL) & O_ACCMODE, ==, O_WRONLY);
    g_assert_cmpint(fcntl(reader, F_GETFD), ==, FD_CLOEXEC);
    g_assert_cmpint(fcntl(writer, F_GETFD), ==, FD_CLOEXEC);
    g_assert_cmpint(result(write(reader, record->data, record->len)), ==, -EBADF);
    g_assert_cmpint(result(read(writer, buffer, sizeof(buffer))), ==, -EBADF);
    close(reader);
    close(writer);
}

/* In a child: what the library says of a VM that its parent made, and what works on descriptors */
static int
useAsAnotherProcess(const HostVm *vm, int reader, int writer)
{
    g_autoptr(GByteArray) record = htabFdMakeRecord(5, &htabFdPlain, 1, 0);
    g_autoptr(GError) error = NULL;
    guint8 buffer[100];

    if (hostVmGetHtab(vm, 0, 0, 0) != -EIO)
        return 1;
    if (virtHptKvmOpen(vm->fd, 0, 0, &error) >= 0 || !strstr(error->message, "another process"))
        return 2;
    if (write(writer, record->data, record->len) != (ssize_t)record->len)
        return 3;
    return read(reader, buffer, sizeof(buffer)) == 8 + 8 + 16 ? 0 : 4;
}

static void
testOtherProcessesUseDescriptorsOnly(void)
{
    g_autoptr(HostVm) vm = hostVmNewWithTable(ORDER);
    int reader = openFd(vm, 0);
    int writer = openFd(vm, VIRT_HPT_KVM_WRITE);
    int status;
    pid_t child = fork();

    if (child == 0)
        _exit(useAsAnotherProcess(vm, reader, writer));
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_cmpint(status, ==, 0);
    close(reader);
    close(writer);
}

static void
testDescriptorKeepsTableAlive(void)
{
    g_autoptr(HostVm) vm = hostVmNewWithTable(ORDER);
    guint8 buffer[100];
    int reader;

    htabFdPut(kernelFd(), vm, 0, &htabFdPlain);
    reader = openFd(vm, 0);
    g_clear_pointer(&vm, hostVmFree);
    g_assert_cmpint(read(reader, buffer, sizeof(buffer)), ==, 24);
    close(reader);
}

static void
testDescriptorIsAlwaysReady(void)
{
    g_autoptr(HostVm) vm = hostVmNewWithTable(ORDER);
    struct pollfd fds[] = {
        {.fd = openFd(vm, 0), .events = POLLIN},
        {.fd = openFd(vm, VIRT_HPT_KVM_WRITE), .events = POLLOUT},
    };
    guint8 buffer[100];

    /* Nothing to read, and yet readable; and it does not block either */
    g_assert_cmpint(read(fds[0].fd, buffer, sizeof(buffer)), ==, 8);
    g_assert_cmpint(poll(fds, 2, 0), ==, 2);
    g_assert_cmpint(fds[0].revents, ==, POLLIN);
    g_assert_cmpint(fds[1].revents, ==, POLLOUT);
    g_assert_cmpint(fcntl(fds[0].fd, F_SETFL, O_NONBLOCK), ==, 0);
    g_assert_cmpint(read(fds[0].fd, buffer, sizeof(buffer)), ==, 0);
    close(fds[0].fd);
    close(fds[1].fd);
}

static void
testPositionMeansNothing(void)
{
    g_autoptr(HostVm) vm = hostVmNewWithTable(ORDER);
    guint8 buffer[25];
    guint32 index;
    int fd;

    for (guint32 slot = 0; slot < 4; slot++)
        htabFdPut(kernelFd(), vm, slot, &htabFdPlain);
    fd = openFd(vm, 0);
    for (guint32 slot = 0; slot < 4; slot++) {
        const off_t position = (off_t)48 * slot;

        g_assert_cmpint(read(fd, buffer, sizeof(buffer)), ==, 24);
        memcpy(&index, buffer, sizeof(index));
        g_assert_cmpuint(index, ==, slot);
        /* There is a position, at which nobody looks */
        g_assert_cmpint(lseek(fd, 0, SEEK_CUR), ==, position);
        g_assert_cmpint(lseek(fd, position + 48, SEEK_SET), ==, position + 48);
        g_assert_cmpint(result(pread(fd, buffer, sizeof(buffer), 0)), ==, -ESPIPE);
    }
    close(fd);
}

/* A VM of a hash host has no table yet; one of a radix host uses radix */
static void
testVmWithoutTableReadsEmptyAndIsToldApart(void)
{
    g_autoptr(HostVm) vm = hostVmNew();
    g_autoptr(VirtHptKvmReader) reader = virtHptKvmReaderNew(vm->fd, ORDER, 0, 0, NULL);
    g_autoptr(VirtHptTable) table = virtHptTableNew(ORDER, TEST_MAX_BYTES, NULL);
    g_autoptr(GError) error = NULL;
    int fd = openFd(vm, 0);
    guint8 buffer[1000];
    VirtHptKvmState state;
    VirtHptKvmPass pass;
    guint order;

    g_assert_cmpint(read(fd, buffer, sizeof(buffer)), ==, 0);
    for (guint n = 0; n < 2; n++)
        g_assert_cmpint(htabFdWrite(kernelFd(), vm, 0, &htabFdPlain, n, 0), ==, -EINVAL);
    g_assert_true(virtHptKvmProbe(vm->fd, &state, &order, NULL));
    g_assert_cmpint((int)state, ==,
                    (int)(hostIsRadix() ? VIRT_HPT_KVM_STATE_RADIX : VIRT_HPT_KVM_STATE_NO_TABLE));
    g_assert_cmpuint(order, ==, 0);
    g_assert_false(virtHptKvmReaderPass(reader, table, &pass, &error));
    if (hostIsRadix())
        g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED);
    else
        g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND);
    g_test_message("%s", error->message);
    close(fd);
}

/* HASH_V3 is no measure of anything: with 0 the calls work as well, on a host that uses radix, too
 */
static void
testCapabilities(void)
{
    g_autoptr(HostVm) vm = hostVmNewWithTable(ORDER);

    g_assert_cmpint(hostVmCapability(vm, KVM_CAP_PPC_HTAB_FD), ==, 1);
    g_assert_cmpint(hostVmCapability(vm, KVM_CAP_PPC_MMU_HASH_V3), ==,
                    hostIsArch300() && (!hostIsRadix() || hostMixesMmus()));
    htabFdPut(kernelFd(), vm, 0, &htabFdPlain);
}

/* A VM of a radix host has the same descriptor, once its guest has chosen hash.  What it read
 * before was no pass, while what is read of a table that is not there is a first pass of no slot.
 */
static void
testVmThatTurnsToHashIsRead(void)
{
    g_autoptr(HostVm) vm = hostVmNew();
    int fd = openFd(vm, 0);
    guint8 buffer[100];

    g_assert_cmpint(read(fd, buffer, sizeof(buffer)), ==, 0);
    g_assert_cmpint(hostVmConfigureMmu(vm, 0, 0), ==, hostIsArch300() ? 0 : ENODEV);
    kernelAssertProbes(vm, VIRT_HPT_KVM_STATE_NO_TABLE, 0);
    g_assert_cmpint(hostVmAllocate(vm, ORDER), ==, 0);
    g_assert_cmpint(read(fd, buffer, sizeof(buffer)), ==, hostIsRadix() ? 8 : 0);
    htabFdPut(kernelFd(), vm, 9, &htabFdPlain);
    g_assert_cmpint(read(fd, buffer, sizeof(buffer)), ==, 24);
    close(fd);
}

static void
testPageSizesOfTheHost(void)
{
    g_autoptr(HostVm) vm = hostVmNewWithTable(ORDER);
    g_autoptr(GString) text = g_string_new(NULL);
    struct kvm_ppc_smmu_info info = {0};

    g_assert_cmpint(ioctl(vm->fd, KVM_PPC_GET_SMMU_INFO, &info), ==, 0);
    for (guint i = 0; i < KVM_PPC_PAGE_SIZES_MAX_SZ && info.sps[i].page_shift; i++) {
        for (guint j = 0; j < KVM_PPC_PAGE_SIZES_MAX_SZ && info.sps[i].enc[j].page_shift; j++)
            g_string_append_printf(text, "%u/%u:0x%x ", info.sps[i].page_shift,
                                   info.sps[i].enc[j].page_shift, info.sps[i].enc[j].pte_enc);
    }
    g_assert_cmpstr(text->str, ==, "12/12:0x0 12/24:0x38 16/16:0x1 16/24:0x8 24/24:0x0 ");
    g_assert_true(info.flags & KVM_PPC_PAGE_SIZES_REAL);
    g_assert_false(info.flags & KVM_PPC_NO_HASH);
}

/*
 * V of the first entry is the next header to the kernel.  0x4001000000000001 is index 0x140, no
 * valid entry, 256 invalid ones: a slot goes that nobody named.  Then R is one, beyond the table:
 * EINVAL, and what was done is not told.  0x4001000012340001 has more entries than there are bytes:
 * the write ends without an error.  In neither case the second record is taken.
 */
static void
testTwoRecordsInOneWriteAreMisread(void)
{
    static const struct {
        guint64 v;
        gssize result;
        gboolean emptied;
    } cases[] = {
        {0x4001000000000001, -EINVAL, TRUE},
        {0x4001000012340001, 24, FALSE},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        const VirtHptEntry entry = {cases[i].v, htabFdPlain.r};
        g_autoptr(HostVm) vm = hostVmNewWithTable(ORDER);
        g_autoptr(GByteArray) first = htabFdMakeRecord(0, &entry, 1, 0);
        g_autoptr(GByteArray) second = htabFdMakeRecord(1, &entry, 1, 0);
        g_autoptr(VirtHptTable) table = NULL;

        htabFdPut(kernelFd(), vm, 0x150, &htabFdPlain);
        g_byte_array_append(first, second->data, second->len);
        g_assert_cmpint(kernelFd()->write(vm, first->data, first->len), ==, cases[i].result);
        table = htabFdReadTable(kernelFd(), vm, ORDER);
        g_assert_cmphex(virtHptTableGet(table, 0).v, ==, entry.v);
        g_assert_cmpuint(virtHptTableNextValid(table, 1), ==, cases[i].emptied ? SLOTS : 0x150);
    }
}

static void
testRecordThatIsCutIsTakenForWhole(void)
{
    g_autoptr(HostVm) vm = hostVmNewWithTable(ORDER);
    g_autoptr(GByteArray) record = htabFdMakeRecord(0, &htabFdPlain, 1, 0);
    g_autoptr(VirtHptTable) table = NULL;

    g_assert_cmpint(kernelFd()->write(vm, record->data, 15), <, 24);
    for (gsize length = 16; length < 24; length++)
        g_assert_cmpint(kernelFd()->write(vm, record->data, length), ==, 24);
    table = htabFdReadTable(kernelFd(), vm, ORDER);
    g_assert_cmpuint(virtHptTableNextValid(table, 0), ==, 0);
}

void
addDescriptorTests(void)
{
    g_test_add_func("/kernel/open/unknown flags are refused", testUnknownFlagsAreRefused);
    g_test_add_func("/kernel/open/reserved words are not looked at",
                    testReservedWordsAreNotLookedAt);
    g_test_add_func("/kernel/open/a descriptor has one direction and closes on exec",
                    testDescriptorHasOneDirection);
    g_test_add_func("/kernel/open/other processes use descriptors and open none",
                    testOtherProcessesUseDescriptorsOnly);
    g_test_add_func("/kernel/open/a descriptor keeps the table alive",
                    testDescriptorKeepsTableAlive);
    g_test_add_func("/kernel/open/a descriptor is always ready", testDescriptorIsAlwaysReady);
    g_test_add_func("/kernel/open/its position means nothing", testPositionMeansNothing);
    g_test_add_func("/kernel/open/a VM without a table reads empty and is told apart",
                    testVmWithoutTableReadsEmptyAndIsToldApart);
    g_test_add_func("/kernel/open/the capability is there, that for ISA 3.0 is on POWER9 with hash",
                    testCapabilities);
    g_test_add_func("/kernel/open/a VM that turns to hash is read", testVmThatTurnsToHashIsRead);
    g_test_add_func("/kernel/open/the page sizes of the host", testPageSizesOfTheHost);
    g_test_add_func("/kernel/write/two records in one write are misread",
                    testTwoRecordsInOneWriteAreMisread);
    g_test_add_func("/kernel/write/a record that is cut is taken for whole",
                    testRecordThatIsCutIsTakenForWhole);
}
