/*
 * htab_kvm.c: the file descriptor through which the kernel gives and takes a guest's HPT
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Linux declares the ioctl on every architecture and its argument on powerpc alone
 * (arch/powerpc/include/uapi/asm/kvm.h), so that the argument is declared here again.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n-lib.h>
#include <glib/gstdio.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "htab/htab_kvmpriv.h"
#include "htab/htab_streampriv.h"
#include "libvirt-hpt/htab_error.h"

/* struct kvm_get_htab_fd */
typedef struct {
    guint64 flags;
    guint64 startIndex;
    guint64 reserved[2];
} GetHtabFd;

/* KVM_PPC_GET_HTAB_FD (Linux include/uapi/linux/kvm.h) */
#define GET_HTAB_FD _IOW(KVMIO, 0xaa, GetHtabFd)

#ifdef __powerpc__
G_STATIC_ASSERT(GET_HTAB_FD == KVM_PPC_GET_HTAB_FD);
G_STATIC_ASSERT(sizeof(GetHtabFd) == sizeof(struct kvm_get_htab_fd));
G_STATIC_ASSERT(sizeof(struct kvm_get_htab_header) == VIRT_HPT_RECORD_HEADER_SIZE);
G_STATIC_ASSERT(VIRT_HPT_KVM_BOLTED_ONLY == KVM_GET_HTAB_BOLTED_ONLY);
G_STATIC_ASSERT(VIRT_HPT_KVM_WRITE == KVM_GET_HTAB_WRITE);
#endif

/* Sets an error for a system call that failed with @number; @what says which */
void
virtHptKvmSetError(GError **error, int number, const char *what)
{
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO, "%s: %s", what, g_strerror(number));
}

gboolean
virtHptKvmCheckOrder(guint order, GError **error)
{
    if (order >= VIRT_HPT_ORDER_MIN && order <= VIRT_HPT_KVM_ORDER_MAX)
        return TRUE;
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED,
                _("HPT order is %1$u, expected %2$d to %3$d for the kernel's HPT file descriptor"),
                order, VIRT_HPT_ORDER_MIN, VIRT_HPT_KVM_ORDER_MAX);
    return FALSE;
}

/**
 * virtHptKvmOpen:
 * @vmFd: a VM's file descriptor, as KVM_CREATE_VM gave it; it stays the caller's
 * @flags: #VirtHptKvmFlags
 * @startIndex: the slot where the first pass begins; slots below it are read only once they
 *   changed.  At or beyond the number of slots there is no first pass, only changes
 * @error: return location
 *
 * Opens the VM's HPT, as KVM_PPC_GET_HTAB_FD does.  A descriptor for reading makes the kernel track
 * changes for as long as it is open.  It has its own position, and all that were opened share one
 * set of marks of what changed: what one reads as changed is not given to another.
 *
 * The descriptor may be handed to another process.  It keeps the VM alive.  poll(2) always finds
 * it ready; O_NONBLOCK changes nothing, nor does the position that lseek(2) moves.
 *
 * The VM may have no HPT, or use radix: see virtHptKvmProbe().
 *
 * Any thread of the process that made the VM may call this.
 *
 * Errors: %VIRT_HPT_ERROR_UNSUPPORTED where this is no KVM-HV on POWER; %VIRT_HPT_ERROR_IO else.
 *
 * Returns: a file descriptor with close-on-exec set, or -1
 */
int
virtHptKvmOpen(int vmFd, guint flags, guint64 startIndex, GError **error)
{
    GetHtabFd arg = {.flags = flags, .startIndex = startIndex};
    int fd = ioctl(vmFd, GET_HTAB_FD, &arg);

    if (fd >= 0)
        return fd;
    /* ENOSYS: an emulator of programs stands in for the kernel */
    if (errno == ENOTTY || errno == ENOSYS) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED,
                    _("file descriptor %1$d gives no HPT, expected a VM of KVM-HV on POWER"), vmFd);
    } else if (errno == EIO) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO,
            _("the kernel does not open the HPT of a VM of another process: open it in the process that made the VM, and hand the descriptor on"));
    } else {
        virtHptKvmSetError(error, errno, _("the kernel does not open the HPT"));
    }
    return -1;
}

/* Returns 0 or errno of writing a record without slots at @index, which changes nothing */
static int
tryIndex(int fd, guint64 index)
{
    const VirtHptRecordHeader header = {.index = (guint32)index};
    guint8 record[VIRT_HPT_RECORD_HEADER_SIZE];
    ssize_t n;

    virtHptRecordHeaderStore(header, VIRT_HPT_ENCODING_KVM, record);
    n = TEMP_FAILURE_RETRY(write(fd, record, sizeof(record)));
    if (n < 0)
        return errno;
    return n == (ssize_t)sizeof(record) ? 0 : EPROTO;
}

static gboolean
probeOrder(int fd, VirtHptKvmState *state, guint *order, GError **error)
{
    int number = tryIndex(fd, 0);

    *order = 0;
    *state = VIRT_HPT_KVM_STATE_NO_TABLE;
    for (guint o = VIRT_HPT_ORDER_MIN; number == 0 && o <= VIRT_HPT_KVM_ORDER_MAX; o++) {
        *state = VIRT_HPT_KVM_STATE_TABLE;
        number = tryIndex(fd, (G_GUINT64_CONSTANT(1) << (o - 4)) - 1);
        if (number == 0)
            *order = o;
    }
    if (number == 0 || number == EINVAL)
        return TRUE;
    if (number == EBUSY) {
        *state = VIRT_HPT_KVM_STATE_RUNNING;
        *order = 0;
        return TRUE;
    }
    virtHptKvmSetError(error, number, _("the kernel does not say how large the HPT is"));
    return FALSE;
}

/**
 * virtHptKvmProbe:
 * @vmFd: a VM's file descriptor; it stays the caller's
 * @state: (out): what the VM has
 * @order: (out): log2 of its HPT's size in bytes, 18 to 36; 0 unless @state is
 *   %VIRT_HPT_KVM_STATE_TABLE
 * @error: return location
 *
 * Tells a VM with an HPT from one without and from one that uses radix, and how large the HPT is,
 * for none of which the kernel has a call.  Nothing is allocated, no entry is read or changed, and
 * no mark of a change is lost: what tells are writes of no byte, which a radix VM refuses, and of
 * records without slots, which are refused beyond the end (Linux kvm_htab_write()).
 *
 * The kernel allocates HPTs of orders up to 46.  One above 36 looks like one of order 36, as no
 * record reaches a slot that only a larger one has, and can be neither read nor written.
 *
 * Another thread that allocates or resizes the HPT meanwhile makes the answer meaningless.
 *
 * Errors: as virtHptKvmOpen().
 *
 * Returns: %FALSE on error
 */
gboolean
virtHptKvmProbe(int vmFd, VirtHptKvmState *state, guint *order, GError **error)
{
    int fd = virtHptKvmOpen(vmFd, VIRT_HPT_KVM_WRITE, 0, error);
    gboolean ok = FALSE;

    if (fd < 0)
        return FALSE;
    *order = 0;
    if (TEMP_FAILURE_RETRY(write(fd, "", 0)) < 0 && errno == EINVAL) {
        *state = VIRT_HPT_KVM_STATE_RADIX;
        ok = TRUE;
    } else {
        ok = probeOrder(fd, state, order, error);
    }
    close(fd);
    return ok;
}
