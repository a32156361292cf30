/*
 * qemu_image.c: any file that holds a migration stream of a guest
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "qemu/qemu_image.h"
#include "qemu/qemu_saveimage.h"

/* The longest mark below */
#define SNIFF_SIZE 16

typedef struct {
    const char *mark;
    gsize length;
    const char *what;
} ForeignFormat;

/* What people are likely to pass, and cannot be read: refused by name. */
static const ForeignFormat foreignFormats[] = {
    {"QFI\xfb", 4, N_("a qcow2 disk image")},
    {"\x7f"
     "ELF",
     4, N_("an ELF file, as 'virsh dump --memory-only' writes: it holds no migration stream")},
    {"KDUMP   ", 8, N_("a kdump file: it holds no migration stream")},
    {"makedumpfile\0\0\0\0", 16, N_("a flattened kdump file: it holds no migration stream")},
    {"\x1f\x8b", 2, N_("a gzip file: unpack it first")},
    {"BZh", 3, N_("a bzip2 file: unpack it first")},
    {"\xfd"
     "7zXZ\0",
     6, N_("an xz file: unpack it first")},
    {"\x89LZO\0\r\n\x1a\n", 9, N_("an lzop file: unpack it first")},
    {"\x28\xb5\x2f\xfd", 4, N_("a zstd file: unpack it first")},
};

/**
 * virtHptImageFree:
 * @image: (nullable): an image, with its table and all text that it gave
 */
void
virtHptImageFree(VirtHptImage *image)
{
    if (!image)
        return;
    g_free(image->name);
    g_free(image->domainXml);
    virtHptStreamFree(image->stream);
    g_free(image);
}

/**
 * virtHptImageKindGetName:
 * @kind: a kind
 *
 * Returns: the stable name of @kind, never translated
 */
const char *
virtHptImageKindGetName(VirtHptImageKind kind)
{
    return kind == VIRT_HPT_IMAGE_SAVE ? "save-image" : "stream";
}

/**
 * virtHptImageSameFile:
 * @before: of a file
 * @after: of what should be the same file, unchanged
 *
 * The time of the last status change does not count: libvirt changes an image's owner, and backup
 * programs link it, while others read it.
 *
 * Returns: whether device, inode, size and modification time agree
 */
gboolean
virtHptImageSameFile(const struct stat *before, const struct stat *after)
{
    return before->st_dev == after->st_dev && before->st_ino == after->st_ino &&
           before->st_size == after->st_size && before->st_mtim.tv_sec == after->st_mtim.tv_sec &&
           before->st_mtim.tv_nsec == after->st_mtim.tv_nsec;
}

static void
setOpenError(GError **error, const char *path)
{
    g_set_error(error, VIRT_HPT_ERROR,
                errno == ENOENT ? VIRT_HPT_ERROR_NOT_FOUND : VIRT_HPT_ERROR_IO,
                _("cannot open '%1$s': %2$s"), path, g_strerror(errno));
}

/**
 * virtHptImageOpenFile:
 * @path: an image; links are followed
 * @st: (out): what fstat(2) says of it
 * @error: set on failure: %VIRT_HPT_ERROR_NOT_FOUND, %VIRT_HPT_ERROR_IO,
 *   %VIRT_HPT_ERROR_UNSUPPORTED for what is neither a regular file nor a block device
 *
 * A record may name any path, and to open a device can have an effect: a watchdog starts to count,
 * a tape rewinds.  So it is looked at first, and then that very file is opened (open(2), O_PATH).
 *
 * Returns: a descriptor open for reading, or -1
 */
int
virtHptImageOpenFile(const char *path, struct stat *st, GError **error)
{
    int name = open(path, O_PATH | O_CLOEXEC);
    g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", name);
    int fd = -1;

    if (name < 0) {
        setOpenError(error, path);
        return -1;
    }
    if (fstat(name, st) < 0) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO, _("cannot stat '%1$s': %2$s"), path,
                    g_strerror(errno));
    } else if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode)) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED,
                    _("'%1$s' is neither a regular file nor a block device"), path);
    } else {
        fd = open(link, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
            setOpenError(error, path);
    }
    close(name);
    return fd;
}

/* Tells what a file is that is neither a save image nor a stream. */
static gboolean
refuseForeign(VirtHptSource *source, const guint8 *p, gsize length, GError **error)
{
    for (gsize i = 0; i < G_N_ELEMENTS(foreignFormats); i++) {
        const ForeignFormat *format = &foreignFormats[i];

        if (length >= format->length && memcmp(p, format->mark, format->length) == 0) {
            virtHptSourceSetError(source, 0, VIRT_HPT_ERROR_UNSUPPORTED, error, "%s",
                                  _(format->what));
            return FALSE;
        }
    }
    virtHptSourceSetError(
        source, 0, VIRT_HPT_ERROR_MALFORMED, error,
        _("neither a save image ('LibvirtQemudSave') nor a QEMU migration stream ('QEVM')"));
    return FALSE;
}

/* Finds out what the file is, and consumes what precedes the stream. */
static gboolean
readPreamble(VirtHptImage *image, VirtHptSource *source, GError **error)
{
    g_auto(VirtHptSaveHeader) header = {0};
    gsize length = (gsize)MIN(virtHptSourceGetSize(source), SNIFF_SIZE);
    const guint8 *p = virtHptSourcePeek(source, length, error);

    if (!p)
        return FALSE;
    if (length == 0) {
        virtHptSourceSetError(source, 0, VIRT_HPT_ERROR_MALFORMED, error, _("the file is empty"));
        return FALSE;
    }
    image->kind = VIRT_HPT_IMAGE_STREAM;
    image->format = "raw";
    if (length >= 4 && memcmp(p, "QEVM", 4) == 0)
        return TRUE;
    if (length < SNIFF_SIZE || memcmp(p, "LibvirtQemud", 12) != 0)
        return refuseForeign(source, p, length, error);
    if (!virtHptSaveHeaderRead(source, &header, error))
        return FALSE;
    image->kind = VIRT_HPT_IMAGE_SAVE;
    image->format = virtHptSaveFormatGetName(header.format);
    image->wasRunning = header.wasRunning;
    image->domainXml = g_steal_pointer(&header.domainXml);
    return TRUE;
}

static gboolean
tapPreamble(const guint8 *data, gsize length, guint64 offset, gpointer opaque, GError **error)
{
    const VirtHptStreamOptions *options = opaque;

    return options->part(VIRT_HPT_STREAM_PART_HEADER, data, length, offset, options->opaque, error);
}

/**
 * virtHptImageReadSource:
 * @source: at the first byte of an image
 * @options: how to read it, or %NULL
 * @error: set on failure, as virtHptImageRead() does
 *
 * Returns: (transfer full): the image, whose @stat is zero, or %NULL
 */
VirtHptImage *
virtHptImageReadSource(VirtHptSource *source, const VirtHptImageOptions *options, GError **error)
{
    static const VirtHptImageOptions defaults;
    g_autoptr(VirtHptImage) image = g_new0(VirtHptImage, 1);
    VirtHptImageOptions chosen = options ? *options : defaults;
    gboolean ok;

    image->name = g_strdup(virtHptSourceGetName(source));
    virtHptSourceSetProgress(source, chosen.progress, chosen.progressOpaque);
    if (chosen.stream.part)
        virtHptSourceTap(source, tapPreamble, &chosen.stream);
    ok = readPreamble(image, source, error);
    virtHptSourceTap(source, NULL, NULL);
    if (!ok)
        return NULL;
    image->stream = virtHptStreamRead(source, &chosen.stream, error);
    if (!image->stream)
        return NULL;
    return g_steal_pointer(&image);
}

/**
 * virtHptImageRead:
 * @fd: the image, open for reading; stays the caller's, its position is not used
 * @name: what messages call it
 * @options: how to read it, or %NULL
 * @error: set on failure: as virtHptStreamRead(), and %VIRT_HPT_ERROR_IO where the file changed
 *   while it was read
 *
 * Reads an image in one forward pass.
 *
 * Returns: (transfer full): the image, or %NULL
 */
VirtHptImage *
virtHptImageRead(int fd, const char *name, const VirtHptImageOptions *options, GError **error)
{
    g_autoptr(VirtHptSource) source = NULL;
    g_autoptr(VirtHptImage) image = NULL;
    struct stat before;
    struct stat after;

    if (fstat(fd, &before) < 0) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO, _("cannot stat '%1$s': %2$s"), name,
                    g_strerror(errno));
        return NULL;
    }
    source = virtHptSourceNewFd(fd, name, error);
    if (!source)
        return NULL;
    image = virtHptImageReadSource(source, options, error);
    if (!image)
        return NULL;
    if (fstat(fd, &after) < 0 || !virtHptImageSameFile(&before, &after)) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO,
                    _("'%1$s' was changed while it was read: try again when its writer is done"),
                    name);
        return NULL;
    }
    image->stat = before;
    return g_steal_pointer(&image);
}

/**
 * virtHptImageReadDomainXml:
 * @fd: the image, open for reading; stays the caller's
 * @name: what messages call it
 * @domainXml: (out): domain XML in libvirt's header, unchecked; %NULL where there is none
 * @error: set on failure, as virtHptImageRead() does
 *
 * Reads no further than the header.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptImageReadDomainXml(int fd, const char *name, char **domainXml, GError **error)
{
    g_autoptr(VirtHptSource) source = virtHptSourceNewFd(fd, name, error);
    g_autoptr(VirtHptImage) image = g_new0(VirtHptImage, 1);

    *domainXml = NULL;
    if (!source || !readPreamble(image, source, error))
        return FALSE;
    *domainXml = g_steal_pointer(&image->domainXml);
    return TRUE;
}
