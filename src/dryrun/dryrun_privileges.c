/*
 * dryrun_privileges.c: what libvirt may do in the world of a dry run
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * libvirt runs as root, beside a QEMU that may be in an attacker's hands and that it reads answers
 * from.  It keeps the capabilities for what it does here, and none with which its world could be
 * left: no mounts, no device nodes, no other process's memory, no files by handle.
 */

#include "config.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dryrun/dryrun.h"
#include "libvirt-hpt/htab_error.h"

/* QEMU's account and its files; tap devices; where QEMU's threads run and what they may take; its
 * end (Linux capabilities(7)) */
static const guint kept[] = {
    CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_FOWNER,   CAP_FSETID,   CAP_KILL,         CAP_SETGID,
    CAP_SETUID, CAP_SETPCAP,      CAP_IPC_LOCK, CAP_SYS_NICE, CAP_SYS_RESOURCE, CAP_NET_ADMIN,
};

/* Capabilities that this kernel does not know yet end the list. */
static gboolean
boundTo(guint64 set)
{
    for (guint i = 0; i < 64 && prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++) {
        if (!(set & (G_GUINT64_CONSTANT(1) << i)) && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0)
            return FALSE;
    }
    return TRUE;
}

/**
 * virtHptPrivilegesDrop:
 * @error: set on failure
 *
 * Gives up, for this process and what it starts, every capability that libvirt does not need, and
 * any way to get one by a program.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptPrivilegesDrop(GError **error)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
    guint64 set = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(kept); i++)
        set |= G_GUINT64_CONSTANT(1) << kept[i];
    /* What is not ours, as in a container, cannot be kept */
    if (syscall(SYS_capget, &header, data) == 0 && boundTo(set)) {
        for (gsize i = 0; i < G_N_ELEMENTS(data); i++) {
            data[i].permitted &= (guint32)(set >> (32 * i));
            data[i].effective = data[i].permitted;
            data[i].inheritable = 0;
        }
        if (syscall(SYS_capset, &header, data) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
            return TRUE;
    }
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED, "cannot drop privileges: %s",
                g_strerror(errno));
    return FALSE;
}
