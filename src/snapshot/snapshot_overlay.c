/*
 * snapshot_overlay.c: new disk layers over the images that a snapshot left as they were
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gio/gio.h>
#include <glib/gi18n-lib.h>

#include "conf/xml_read.h"
#include "libvirt-hpt/htab_error.h"
#include "snapshot/snapshot_disks.h"
#include "snapshot/snapshot_overlay.h"

/* The end of a layer's name: this, and eight hexadecimal digits */
#define REVERT ".revert-"
#define REVERT_LENGTH (sizeof(REVERT) - 1 + 8)

/**
 * virtHptOverlayNew:
 * @target: the disk, as the domain's XML names it
 * @base: absolute path of the image to lie above
 * @format: of @base
 * @block: whether @base is a block device
 *
 * Returns: (transfer full): an overlay that has no file yet
 */
VirtHptOverlay *
virtHptOverlayNew(const char *target, const char *base, const char *format, gboolean block)
{
    VirtHptOverlay *overlay = g_new0(VirtHptOverlay, 1);

    overlay->target = g_strdup(target);
    overlay->base = g_strdup(base);
    overlay->format = g_strdup(format);
    overlay->block = block;
    return overlay;
}

void
virtHptOverlayFree(VirtHptOverlay *overlay)
{
    if (!overlay)
        return;
    g_free(overlay->target);
    g_free(overlay->base);
    g_free(overlay->format);
    g_free(overlay->path);
    g_free(overlay);
}

/* Where qemu-img finds the file that it shall write to */
#define LAYER_FD 3
#define LAYER_NAME "/proc/self/fd/" G_STRINGIFY(LAYER_FD)

/* QEMU runs as whoever may use the base, which may be read-only.  Of a device libvirt sees to that
 * by itself: the file stays root's until then. */
static gboolean
copyOwner(int fd, const char *base)
{
    struct stat st;

    if (stat(base, &st) < 0)
        return FALSE;
    return !S_ISREG(st.st_mode) ||
           (fchown(fd, st.st_uid, st.st_gid) == 0 && fchmod(fd, (st.st_mode & 0666) | 0600) == 0);
}

/* Cuts ".SNAPSHOT.revert-XXXXXXXX" off a path. */
static void
cutRevert(char *path)
{
    gsize length = strlen(path);
    char *end;

    if (length <= REVERT_LENGTH ||
        strncmp(path + length - REVERT_LENGTH, REVERT, strlen(REVERT)) != 0)
        return;
    path[length - REVERT_LENGTH] = '\0';
    end = strrchr(path, '.');
    if (end && end > strrchr(path, '/') + 1)
        *end = '\0';
}

/**
 * virtHptOverlayName:
 * @overlay: an overlay without a file
 * @beside: absolute path of a file to name it after and to lie beside
 * @label: what else to name it after
 *
 * Chooses a path that nobody else chooses, so that whoever finds a file there later knows whose it
 * is.
 */
void
virtHptOverlayName(VirtHptOverlay *overlay, const char *beside, const char *label)
{
    g_autofree char *escaped = g_uri_escape_string(label, NULL, FALSE);
    g_autofree char *stem = g_strdup(beside);
    g_autofree char *path = NULL;
    char *name;

    /* Of the name of a layer of an earlier revert, what that was named after */
    cutRevert(stem);
    path = g_strdup_printf("%s.%s", stem, escaped);
    name = strrchr(path, '/') + 1;
    if (strlen(name) > NAME_MAX - REVERT_LENGTH) {
        char *end = name + NAME_MAX - REVERT_LENGTH;

        /* Not within a character */
        while (end > name && (*end & 0xc0) == 0x80)
            end--;
        *end = '\0';
    }
    g_free(overlay->path);
    overlay->path = g_strdup_printf("%s" REVERT "%08x", path, g_random_int());
}

/**
 * virtHptOverlayReserve:
 * @overlay: an overlay with a path
 * @error: set on failure: %VIRT_HPT_ERROR_IO; where the path is taken it is not the overlay's any
 *   more
 *
 * Makes an empty file.
 *
 * Returns: (transfer full): a descriptor of the file, or -1 with @error set
 */
int
virtHptOverlayReserve(VirtHptOverlay *overlay, GError **error)
{
    int fd = open(overlay->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0 || !copyOwner(fd, overlay->base)) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO, _("cannot make '%1$s': %2$s"),
                    overlay->path, g_strerror(errno));
        if (fd >= 0) {
            unlink(overlay->path);
            close(fd);
        }
        g_clear_pointer(&overlay->path, g_free);
        return -1;
    }
    return fd;
}

/**
 * virtHptOverlayFormat:
 * @overlay: an overlay with an empty file
 * @fd: (transfer full): of that file
 * @error: set on failure: %VIRT_HPT_ERROR_FAILED with what qemu-img said
 *
 * Makes the file an empty qcow2 layer above the base.  The qemu-img is the one that was found when
 * this was built, and the caller's environment has no say.  It is given the file, not its path:
 * whoever the directory belongs to could put a link there.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptOverlayFormat(const VirtHptOverlay *overlay, int fd, GError **error)
{
    static char *environment[] = {(char *)"PATH=/usr/bin:/bin", (char *)"LC_ALL=C", NULL};
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(
        G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
    g_autoptr(GSubprocess) process = NULL;
    g_autofree char *said = NULL;
    g_autoptr(GError) local = NULL;

    g_subprocess_launcher_set_environ(launcher, environment);
    g_subprocess_launcher_take_fd(launcher, fd, LAYER_FD);
    process =
        g_subprocess_launcher_spawn(launcher, &local, QEMU_IMG, "create", "-q", "-f", "qcow2", "-F",
                                    overlay->format, "-b", overlay->base, "--", LAYER_NAME, NULL);
    if (process && g_subprocess_communicate_utf8(process, NULL, NULL, NULL, &said, &local) &&
        g_subprocess_get_successful(process))
        return TRUE;
    if (said)
        g_strstrip(said);
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                _("cannot make a layer over '%1$s' with qemu-img: %2$s"), overlay->base,
                local ? local->message : (said && *said ? said : _("it gave no reason")));
    return FALSE;
}

static void
setAttribute(xmlNode *node, const char *name, const char *value)
{
    xmlSetProp(node, (const xmlChar *)name, (const xmlChar *)value);
}

static xmlNode *
addChild(xmlNode *parent, const char *name)
{
    return xmlNewChild(parent, NULL, (const xmlChar *)name, NULL);
}

static void
addSource(xmlNode *parent, gboolean block, const char *path)
{
    setAttribute(addChild(parent, "source"), block ? "dev" : "file", path);
}

/* Puts the overlay in the place of the base, which becomes its backing store with all that the
 * base itself lies above.  Where layers were merged since, the disk was on another image than the
 * base, and what that lay above says nothing: libvirt finds it out. */
static void
editDisk(xmlNode *disk, const VirtHptOverlay *overlay)
{
    gboolean block;
    g_autofree char *before = virtHptDiskSource(disk, &block);
    xmlNode *below = virtHptXmlChild(disk, "backingStore");
    xmlNode *driver = virtHptXmlChild(disk, "driver");
    xmlNode *backing;

    if (below)
        xmlUnlinkNode(below);
    if (below && g_strcmp0(before, overlay->base) != 0) {
        xmlFreeNode(below);
        below = NULL;
    }
    virtHptXmlDrop(disk, "source");
    setAttribute(disk, "type", "file");
    if (!driver) {
        driver = addChild(disk, "driver");
        setAttribute(driver, "name", "qemu");
    }
    setAttribute(driver, "type", "qcow2");
    addSource(disk, FALSE, overlay->path);
    backing = addChild(disk, "backingStore");
    setAttribute(backing, "type", overlay->block ? "block" : "file");
    setAttribute(addChild(backing, "format"), "type", overlay->format);
    addSource(backing, overlay->block, overlay->base);
    if (below)
        xmlAddChild(backing, below);
}

/**
 * virtHptOverlayEditDomain:
 * @xml: a domain's XML
 * @overlays: (element-type VirtHptOverlay): with paths
 * @error: set on failure: %VIRT_HPT_ERROR_MALFORMED, %VIRT_HPT_ERROR_NOT_FOUND where the domain
 *   has no such disk
 *
 * Returns: (transfer full): the same domain on the overlays, or %NULL
 */
char *
virtHptOverlayEditDomain(const char *xml, const GPtrArray *overlays, GError **error)
{
    g_autoptr(xmlDoc) doc = virtHptXmlParseDomain(xml, strlen(xml), "domain", error);
    xmlNode *root;
    xmlNode *devices;

    if (!doc)
        return NULL;
    root = xmlDocGetRootElement(doc);
    devices = virtHptXmlRequire(root, "devices", "domain", error);
    if (!devices)
        return NULL;
    for (guint i = 0; i < overlays->len; i++) {
        const VirtHptOverlay *overlay = g_ptr_array_index(overlays, i);
        xmlNode *disk = virtHptXmlFindDisk(devices, overlay->target);

        if (!disk) {
            g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND,
                        _("the domain has no disk '%1$s' any more"), overlay->target);
            return NULL;
        }
        editDisk(disk, overlay);
    }
    return virtHptXmlFormatNode(root, error);
}
