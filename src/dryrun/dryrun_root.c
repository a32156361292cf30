/*
 * dryrun_root.c: the file system of a dry run
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A root of its own in memory that holds programs, libraries and QEMU's firmware, read-only, and
 * the directory that libvirt works in.  Whoever takes QEMU over sees no disk, no home, no
 * socket and no configuration of the host's: they are not there.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "dryrun/dryrun.h"
#include "libvirt-hpt/htab_error.h"

/* Where the root is built: a directory that every host has */
#define BUILD_DIR "/run"

/* What libvirt and QEMU write: sockets, logs, copies of the capability cache.  Disks are holes. */
#define RUN_OPTIONS "mode=0755,size=256m,nr_inodes=16k"
#define ROOT_OPTIONS "mode=0755,size=4m,nr_inodes=4k"
#define TERMINAL_OPTIONS "newinstance,mode=0600,ptmxmode=0666"

/* Where libvirt's capability cache is there */
#define CACHE "cache"

#define FIXED (MS_NOSUID | MS_NODEV | MS_NOEXEC)

static const char *const directories[] = {"dev", "etc", "proc", "run"};

/* What of the host's is there, where the host has it.  The device tree is what QEMU asks about a
 * POWER host (QEMU 7.2 target/ppc/kvm.c kvmppc_read_int_cpu_dt). */
static const char *const hostPaths[] = {
    "usr",
    "bin",
    "sbin",
    "lib",
    "lib32",
    "lib64",
    "etc/alternatives",
    "etc/ld.so.cache",
    "sys/devices/system",
    "sys/kernel/mm/transparent_hugepage",
    "sys/firmware/devicetree",
};

/* What libvirt runs each time it starts, and goes on without: it reads the host's firmware tables
 * (libvirt 9.0 src/util/virsysinfo.c). */
static const char firmwareReader[] = "usr/sbin/dmidecode";

typedef struct {
    const char *name;
    guint minor;
    guint major;
    mode_t mode;
} Device;

/* Linux Documentation/admin-guide/devices.txt.  Only libvirt, as root, makes tap devices. */
static const Device devices[] = {
    {"null", 3, 1, 0666},   {"zero", 5, 1, 0666},    {"full", 7, 1, 0666},
    {"random", 8, 1, 0666}, {"urandom", 9, 1, 0666}, {"net/tun", 200, 10, 0600},
};
static const Device kvm = {"kvm", 232, 10, 0600};

static gboolean
fail(const char *what, const char *path, GError **error)
{
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO, "%s '%s': %s", what, path,
                g_strerror(errno));
    return FALSE;
}

static gboolean
mountNew(const char *type,
         const char *target,
         unsigned long flags,
         const char *options,
         GError **error)
{
    return mount(type, target, type, flags, options) == 0 || fail("cannot mount", target, error);
}

/* A mount of the host's alone, not what is mounted below it. */
static gboolean
bindReadOnly(const char *source, const char *target, GError **error)
{
    struct statvfs st;
    unsigned long flags = MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV;

    if (mount(source, target, NULL, MS_BIND, NULL) < 0 || statvfs(target, &st) < 0)
        return fail("cannot mount", source, error);
    /* A container's mounts may not lose it */
    if (st.f_flag & ST_NOEXEC)
        flags |= MS_NOEXEC;
    return mount(NULL, target, NULL, flags, NULL) == 0 ||
           fail("cannot mount read-only", source, error);
}

static gboolean
makeFile(const char *path, GError **error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    if (fd < 0)
        return fail("cannot make", path, error);
    close(fd);
    return TRUE;
}

static gboolean
copyLink(const char *source, const char *target, GError **error)
{
    g_autofree char *content = g_file_read_link(source, error);

    return content && (symlink(content, target) == 0 || fail("cannot link", target, error));
}

/* Shows a path of the host's; @target is the same path, relative. */
static gboolean
addHostPath(const char *target, GError **error)
{
    g_autofree char *source = g_strconcat("/", target, NULL);
    g_autofree char *parent = g_path_get_dirname(target);
    struct stat st;

    if (lstat(source, &st) < 0)
        return errno == ENOENT || fail("cannot see", source, error);
    if (g_mkdir_with_parents(parent, 0755) < 0)
        return fail("cannot make", parent, error);
    if (S_ISLNK(st.st_mode))
        return copyLink(source, target, error);
    if (S_ISDIR(st.st_mode)) {
        if (mkdir(target, 0755) < 0)
            return fail("cannot make", target, error);
    } else if (!makeFile(target, error)) {
        return FALSE;
    }
    return bindReadOnly(source, target, error);
}

static gboolean
addDevice(const Device *device, uid_t owner, GError **error)
{
    g_autofree char *path = g_strconcat("dev/", device->name, NULL);

    if (mknod(path, S_IFCHR | device->mode, makedev(device->major, device->minor)) < 0 ||
        chmod(path, device->mode) < 0 || chown(path, owner, owner) < 0)
        return fail("cannot make", path, error);
    return TRUE;
}

static gboolean
addDevices(const DryRun *run, GError **error)
{
    if (!mountNew("tmpfs", "dev", MS_NOSUID | MS_NOEXEC, ROOT_OPTIONS, error))
        return FALSE;
    if (mkdir("dev/net", 0755) < 0 || mkdir("dev/pts", 0755) < 0 ||
        symlink("pts/ptmx", "dev/ptmx") < 0)
        return fail("cannot fill", "/dev", error);
    for (gsize i = 0; i < G_N_ELEMENTS(devices); i++) {
        if (!addDevice(&devices[i], 0, error))
            return FALSE;
    }
    if (run->kvm && !addDevice(&kvm, run->account, error))
        return FALSE;
    return mountNew("devpts", "dev/pts", MS_NOSUID | MS_NOEXEC, TERMINAL_OPTIONS, error);
}

/* Puts a file without a name, which cannot be run, in a program's place. */
static gboolean
hideProgram(const char *path, GError **error)
{
    static const char empty[] = "empty";

    if (access(path, F_OK) < 0)
        return TRUE;
    return makeFile(empty, error) && bindReadOnly(empty, path, error) &&
           (unlink(empty) == 0 || fail("cannot remove", empty, error));
}

/* A mount of its own, as whoever holds the host's directory open can go up from it to all of the
 * host's. */
static gboolean
addCache(const DryRun *run, GError **error)
{
    g_autofree char *source = g_strdup_printf("/proc/self/fd/%d", run->cache);

    if (run->cache < 0)
        return TRUE;
    if (mkdir(CACHE, 0700) < 0)
        return fail("cannot make", CACHE, error);
    return (mount(source, CACHE, NULL, MS_BIND, NULL) == 0 &&
            mount(NULL, CACHE, NULL, MS_BIND | MS_REMOUNT | FIXED, NULL) == 0) ||
           fail("cannot mount", CACHE, error);
}

/* Opens it in the world, and no more outside. */
static gboolean
enterCache(DryRun *run, GError **error)
{
    if (run->cache < 0)
        return TRUE;
    close(run->cache);
    run->cache = open("/" CACHE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return run->cache >= 0 || fail("cannot enter", "/" CACHE, error);
}

/* Makes the current directory the root. */
static gboolean
enterRoot(GError **error)
{
    if (syscall(SYS_pivot_root, ".", ".") == 0) {
        if (umount2(".", MNT_DETACH) < 0)
            return fail("cannot leave", "/", error);
    } else if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0) {
        /* The second way is for an initramfs, or a root that is no mount */
        return fail("cannot enter", BUILD_DIR, error);
    }
    return chdir("/") == 0 || fail("cannot enter", "/", error);
}

static gboolean
seal(const char *path, unsigned long flags, GError **error)
{
    return mount(NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | flags, NULL) == 0 ||
           fail("cannot make read-only", path, error);
}

/**
 * virtHptRootEnter:
 * @run: the run; its @cache is opened anew, in the root
 * @error: set on failure
 *
 * Builds the root and enters it; to be called by process 1 of the namespaces.  Only /run and the
 * capability cache can be written to then, by root.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptRootEnter(DryRun *run, GError **error)
{
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return fail("cannot keep mounts private below", "/", error);
    if (!mountNew("tmpfs", BUILD_DIR, FIXED, ROOT_OPTIONS, error))
        return FALSE;
    if (chdir(BUILD_DIR) < 0)
        return fail("cannot enter", BUILD_DIR, error);
    for (gsize i = 0; i < G_N_ELEMENTS(directories); i++) {
        if (mkdir(directories[i], 0755) < 0)
            return fail("cannot make", directories[i], error);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(hostPaths); i++) {
        if (!addHostPath(hostPaths[i], error))
            return FALSE;
    }
    return addDevices(run, error) && hideProgram(firmwareReader, error) && addCache(run, error) &&
           mountNew("proc", "proc", FIXED | MS_RDONLY, NULL, error) &&
           mountNew("tmpfs", "run", FIXED, RUN_OPTIONS, error) && enterRoot(error) &&
           enterCache(run, error) && virtHptAccountWrite(run->account, error) &&
           seal("/dev", MS_NOSUID | MS_NOEXEC, error) && seal("/", FIXED, error);
}
