/*
 * snapshot_save.c: save images: the state of a guest that was saved and is off since
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The format is that of a memory snapshot, but nothing belongs to it: no disk layer, and nothing
 * that libvirt would know it by.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "full-read.h"
#include "qemu/qemu_capture.h"
#include "qemu/qemu_saveimage.h"
#include "snapshot/snapshot_backend.h"

static gboolean
saveProbe(const VirtHptSnapshot *snapshot)
{
    return !snapshot->handle && snapshot->image != NULL;
}

static char *
saveLocate(const VirtHptSnapshot *snapshot, GError **error G_GNUC_UNUSED)
{
    return g_strdup(snapshot->image);
}

/**
 * virtHptBackendOpenImage:
 * @snapshot: a snapshot whose memory is a file of its own, in the format of a save image
 * @error: set on failure: what virtHptPlaceOpen() sets
 *
 * Returns: (transfer full): that file, or %NULL
 */
VirtHptPlace *
virtHptBackendOpenImage(const VirtHptSnapshot *snapshot, GError **error)
{
    return virtHptPlaceOpen(snapshot->image, error);
}

static gboolean
saveCreate(VirtHptGuest *guest, const VirtHptCreateOptions *options, GError **error)
{
    if (!virtHptCaptureCheckSpent(guest->domain, error))
        return FALSE;
    if (virDomainSaveFlags(guest->domain, options->memory, NULL, 0) < 0)
        return virtHptLibvirtSetError(error, _("cannot save '%1$s' to '%2$s'"), guest->name,
                                      options->memory);
    return TRUE;
}

static gboolean
saveRevert(const VirtHptSnapshot *snapshot,
           const VirtHptJournal *journal G_GNUC_UNUSED,
           GError **error)
{
    if (virDomainRestoreFlags(snapshot->guest->connection, snapshot->image, NULL,
                              VIR_DOMAIN_SAVE_PAUSED) < 0)
        return virtHptLibvirtSetError(error, _("cannot restore '%1$s'"), snapshot->image);
    return TRUE;
}

const VirtHptBackend virtHptBackendSave = {
    .name = "save",
    .probe = saveProbe,
    .locate = saveLocate,
    .open = virtHptBackendOpenImage,
    .create = saveCreate,
    .revert = saveRevert,
};

/* libvirt leaves it to the kernel when the image, and its name, come to the disk. */
static gboolean
settle(const VirtHptGuest *guest, const char *path, GError **error)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    gboolean ok = fd >= 0 && fsync(fd) == 0 && fsync(guest->stateDir) == 0;

    if (!ok)
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO,
                    _("cannot make sure that '%1$s' is on the disk: %2$s"), path,
                    g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return ok;
}

/**
 * virtHptBackendSaveGuest:
 * @guest: a locked guest that runs or is paused
 * @path: where to, in its state directory
 * @error: set on failure; the guest is then as it was, or, with %VIRT_HPT_ERROR_IO, off and saved,
 *   and a power failure might undo that
 *
 * Returns: %TRUE and the guest is off, or %FALSE with @error set
 */
gboolean
virtHptBackendSaveGuest(VirtHptGuest *guest, const char *path, GError **error)
{
    const VirtHptCreateOptions options = {.memory = path};

    return virtHptBackendSave.create(guest, &options, error) && settle(guest, path, error);
}

/**
 * virtHptBackendRestoreGuest:
 * @guest: a guest that is off
 * @path: where it was saved
 * @error: set on failure; the image is then as it was
 *
 * Returns: %TRUE and the guest runs or is paused as it did or was, or %FALSE with @error set
 */
gboolean
virtHptBackendRestoreGuest(VirtHptGuest *guest, const char *path, GError **error)
{
    if (virDomainRestoreFlags(guest->connection, path, NULL, 0) < 0)
        return virtHptLibvirtSetError(error, _("cannot restore '%1$s' from '%2$s'"), guest->name,
                                      path);
    return TRUE;
}

/* Reads a file's mark into @mark; returns how long it is, or -1 where it cannot be read. */
static gssize
readMark(const char *path, char mark[VIRT_HPT_SAVE_MAGIC_SIZE])
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    gsize length;
    int code;

    if (fd < 0)
        return -1;
    errno = 0;
    length = (gsize)full_read(fd, mark, VIRT_HPT_SAVE_MAGIC_SIZE);
    code = errno;
    close(fd);
    errno = code;
    return length < VIRT_HPT_SAVE_MAGIC_SIZE && code != 0 ? -1 : (gssize)length;
}

/**
 * virtHptBackendIsWhole:
 * @path: where a guest was to be saved
 *
 * In doubt it was, in whatever format libvirt is configured to save in: what is not whole may be
 * removed.
 *
 * Returns: whether it was: libvirt writes the mark of a whole image last
 */
gboolean
virtHptBackendIsWhole(const char *path)
{
    char mark[VIRT_HPT_SAVE_MAGIC_SIZE];
    gssize length = readMark(path, mark);

    if (length < 0)
        return errno != ENOENT;
    return length == sizeof(mark) && memcmp(mark, VIRT_HPT_SAVE_MAGIC, sizeof(mark)) == 0;
}

/**
 * virtHptBackendIsPartial:
 * @path: where a guest's memory was to be written
 *
 * Returns: whether that was begun and did not end; nobody else's file looks like it, unless it is
 *   empty
 */
gboolean
virtHptBackendIsPartial(const char *path)
{
    char mark[VIRT_HPT_SAVE_MAGIC_SIZE];
    gssize length = readMark(path, mark);

    return length == 0 ||
           (length == sizeof(mark) && memcmp(mark, VIRT_HPT_SAVE_MAGIC_PARTIAL, sizeof(mark)) == 0);
}
