/*
 * kernel_fd.c: the kernel as the keeper of a guest's HPT
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include <errno.h>
#include <unistd.h>

#include "libvirt-hpt/htab_kvm.h"
#include "powerhost.h"

static gpointer
guestNew(guint order)
{
    return hostVmNewWithTable(order);
}

static void
guestFree(gpointer guest)
{
    hostVmFree(guest);
}

static int
openFd(const HostVm *vm, guint flags, guint64 startIndex)
{
    g_autoptr(GError) error = NULL;
    int fd = virtHptKvmOpen(vm->fd, flags, startIndex, &error);

    g_assert_no_error(error);
    return fd;
}

static gssize
writeRecord(gpointer guest, const void *record, gsize length)
{
    int fd = openFd(guest, VIRT_HPT_KVM_WRITE, 0);
    ssize_t n = write(fd, record, length);
    int number = errno;

    close(fd);
    return n < 0 ? -number : n;
}

static gpointer
openReader(gpointer guest, guint flags, guint64 startIndex)
{
    return GINT_TO_POINTER(openFd(guest, flags, startIndex));
}

static gssize
readRecords(gpointer reader, void *buffer, gsize count)
{
    ssize_t n = read(GPOINTER_TO_INT(reader), buffer, count);

    return n < 0 ? -errno : n;
}

static void
closeReader(gpointer reader)
{
    close(GPOINTER_TO_INT(reader));
}

/* Of V POWER9 keeps what its own format has room for: not bits 52 to 61 */
#define KEPT_V_ARCH_300 0xc00fffffffffffffULL

const HtabFd *
kernelFd(void)
{
    static HtabFd fd = {
        .name = "kernel",
        .guestNew = guestNew,
        .guestFree = guestFree,
        .write = writeRecord,
        .open = openReader,
        .read = readRecords,
        .close = closeReader,
    };

    fd.keptV = hostIsArch300() ? KEPT_V_ARCH_300 : G_MAXUINT64;
    return &fd;
}
