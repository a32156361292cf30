/*
 * dryrun_world.c: the world of a dry run: namespaces, directories, libvirt's configuration
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * In it there is no system D-Bus, no daemon of libvirt's, no run but this one.  Network cards get
 * tap devices that lead nowhere.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/dryrun_conf.h"
#include "dryrun/dryrun.h"

static const char *const directories[] = {
    VIRT_HPT_DRY_RUN_DIR,
    VIRT_HPT_DRY_RUN_DIR "/etc",
    VIRT_HPT_DRY_RUN_DIR "/cache",
    VIRT_HPT_DRY_RUN_DIR "/cache/qemu",
    VIRT_HPT_DRY_RUN_DIR "/cache/qemu/capabilities",
};

/* libvirt 9.0 src/qemu/qemu.conf.in.  Ownership of files is nobody's business here: all there
 * are belong to the run. */
static const char configuration[] = "security_driver = \"none\"\n"
                                    "stdio_handler = \"file\"\n"
                                    "namespaces = []\n"
                                    "cgroup_controllers = []\n"
                                    "hugetlbfs_mount = []\n"
                                    "dynamic_ownership = 0\n"
                                    "remember_owner = 0\n"
                                    "seccomp_sandbox = 1\n";

static gboolean
fail(const char *what, GError **error)
{
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO, "%s: %s", what, g_strerror(errno));
    return FALSE;
}

/**
 * virtHptWorldEnter:
 * @error: set on failure
 *
 * Leaves the mount, network and IPC namespaces; the next child is process 1 of a new PID
 * namespace.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptWorldEnter(GError **error)
{
    if (unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC) < 0)
        return fail("cannot make namespaces", error);
    return TRUE;
}

static gboolean
makeDisks(const DryRun *run, GError **error)
{
    for (guint i = 0; i < run->disks; i++) {
        g_autofree char *path = g_strdup_printf(VIRT_HPT_DRY_RUN_DISK, i);
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        gboolean ok = fd >= 0 && ftruncate(fd, VIRT_HPT_DRY_RUN_DISK_BYTES) == 0 &&
                      fchown(fd, run->account, run->account) == 0;

        if (!ok)
            fail("cannot make a disk", error);
        if (fd >= 0)
            close(fd);
        if (!ok)
            return FALSE;
    }
    return TRUE;
}

/**
 * virtHptWorldSetUp:
 * @run: the run
 * @error: set on failure
 *
 * To be called by process 1 of the namespaces.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptWorldSetUp(DryRun *run, GError **error)
{
    g_autofree char *text = NULL;

    umask(0022);
    virtHptCacheOpen(run);
    if (!virtHptRootEnter(run, error))
        return FALSE;
    for (gsize i = 0; i < G_N_ELEMENTS(directories); i++) {
        /* QEMU's user passes through, and lists nothing */
        if (mkdir(directories[i], 0711) < 0)
            return fail(directories[i], error);
    }
    text = g_strdup_printf("%suser = \"+%u\"\ngroup = \"+%u\"\n", configuration, run->account,
                           run->account);
    if (!g_file_set_contents(VIRT_HPT_DRY_RUN_DIR "/etc/qemu.conf", text, -1, error))
        return FALSE;
    return makeDisks(run, error);
}
