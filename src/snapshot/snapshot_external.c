/*
 * snapshot_external.c: external snapshots: a memory file, and a new layer above each disk
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * libvirt before 9.9.0 makes them and does not revert to them.  There we do what it does since: put
 * a new layer above each image that the snapshot left as it was, and restore the memory file into a
 * domain on these layers.
 */

#include "config.h"

#include <errno.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "conf/xml_read.h"
#include "qemu/qemu_capture.h"
#include "snapshot/snapshot_backend.h"
#include "snapshot/snapshot_disks.h"
#include "snapshot/snapshot_metadata.h"

#define ORIGIN "domainsnapshot"

static gboolean
externalProbe(const VirtHptSnapshot *snapshot)
{
    const xmlNode *root = snapshot->doc ? xmlDocGetRootElement(snapshot->doc) : NULL;
    xmlNode *memory = root ? virtHptXmlChild(root, "memory") : NULL;
    g_autofree char *kind = memory ? virtHptXmlGetAttribute(memory, "snapshot") : NULL;

    return g_strcmp0(kind, "external") == 0;
}

static char *
externalLocate(const VirtHptSnapshot *snapshot, GError **error)
{
    xmlNode *memory = virtHptXmlChild(xmlDocGetRootElement(snapshot->doc), "memory");
    g_autofree char *file = memory ? virtHptXmlGetAttribute(memory, "file") : NULL;

    if (file && g_path_is_absolute(file))
        return g_steal_pointer(&file);
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND,
                _("libvirt does not say where snapshot '%1$s' has its memory"), snapshot->name);
    return NULL;
}

static void
appendDisk(GString *xml, const VirtHptDiskSpec *disk)
{
    g_autofree char *name = g_markup_printf_escaped("<disk name='%s'", disk->name);

    g_string_append(xml, name);
    if (disk->snapshot) {
        g_autofree char *text = g_markup_printf_escaped(" snapshot='%s'", disk->snapshot);

        g_string_append(xml, text);
    }
    if (disk->type) {
        g_autofree char *text = g_markup_printf_escaped(" type='%s'", disk->type);

        g_string_append(xml, text);
    }
    g_string_append_c(xml, '>');
    if (disk->driver) {
        g_autofree char *text = g_markup_printf_escaped("<driver type='%s'/>", disk->driver);

        g_string_append(xml, text);
    }
    if (disk->file) {
        g_autofree char *text = g_markup_printf_escaped(
            "<source %s='%s'/>", g_strcmp0(disk->type, "block") == 0 ? "dev" : "file", disk->file);

        g_string_append(xml, text);
    }
    g_string_append(xml, "</disk>");
}

static char *
formatCreate(const VirtHptCreateOptions *options)
{
    GString *xml = g_string_new("<domainsnapshot>");
    g_autofree char *name = g_markup_printf_escaped("<name>%s</name>", options->name);
    g_autofree char *memory =
        g_markup_printf_escaped("<memory snapshot='external' file='%s'/>", options->memory);

    g_string_append(xml, name);
    if (options->description) {
        g_autofree char *description =
            g_markup_printf_escaped("<description>%s</description>", options->description);

        g_string_append(xml, description);
    }
    g_string_append(xml, memory);
    if (options->disks && options->disks->len > 0) {
        g_string_append(xml, "<disks>");
        for (guint i = 0; i < options->disks->len; i++)
            appendDisk(xml, g_ptr_array_index(options->disks, i));
        g_string_append(xml, "</disks>");
    }
    g_string_append(xml, "</domainsnapshot>");
    return g_string_free(xml, FALSE);
}

static gboolean
externalCreate(VirtHptGuest *guest, const VirtHptCreateOptions *options, GError **error)
{
    g_autofree char *xml = formatCreate(options);
    g_autoptr(virDomainSnapshot) created = NULL;
    unsigned int flags = 0;

    if (!virtHptCaptureCheckSpent(guest->domain, error))
        return FALSE;
    if (options->live)
        flags |= VIR_DOMAIN_SNAPSHOT_CREATE_LIVE;
    if (options->atomic)
        flags |= VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC;
    created = virDomainSnapshotCreateXML(guest->domain, xml, flags);
    if (!created)
        return virtHptLibvirtSetError(error, _("cannot make snapshot '%1$s' of '%2$s'"),
                                      options->name, guest->name);
    return TRUE;
}

/* Whether a plain layer above a disk's image would hide what it takes to read that */
static gboolean
isSpecial(const xmlNode *disk)
{
    const xmlNode *source = virtHptXmlChild(disk, "source");

    return virtHptXmlChild(disk, "encryption") ||
           (source && (virtHptXmlChild(source, "encryption") || virtHptXmlChild(source, "slices")));
}

/* The overlay that disk @target of the snapshot needs, over what the snapshot's own definition has
 * as its image. */
static VirtHptOverlay *
planOverlay(const VirtHptSnapshot *snapshot, const char *target, GError **error)
{
    xmlNode *root = xmlDocGetRootElement(snapshot->doc);
    xmlNode *domain = virtHptXmlRequire(root, "domain", ORIGIN, error);
    xmlNode *devices = domain ? virtHptXmlRequire(domain, "devices", ORIGIN, error) : NULL;
    xmlNode *disk = devices ? virtHptXmlFindDisk(devices, target) : NULL;
    xmlNode *driver = disk ? virtHptXmlChild(disk, "driver") : NULL;
    g_autofree char *format = driver ? virtHptXmlGetAttribute(driver, "type") : NULL;
    g_autofree char *base = NULL;
    gboolean block = FALSE;

    if (!devices)
        return NULL;
    base = disk ? virtHptDiskSource(disk, &block) : NULL;
    if (!base || !format || !g_path_is_absolute(base) || isSpecial(disk)) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED,
            _("disk '%1$s' of snapshot '%2$s' had no plain file or block device of a known format"),
            target, snapshot->name);
        return NULL;
    }
    if (access(base, R_OK) < 0) {
        g_set_error(error, VIRT_HPT_ERROR,
                    errno == ENOENT ? VIRT_HPT_ERROR_NOT_FOUND : VIRT_HPT_ERROR_IO,
                    _("'%1$s', which disk '%2$s' of snapshot '%3$s' needs: %4$s"), base, target,
                    snapshot->name, g_strerror(errno));
        return NULL;
    }
    return virtHptOverlayNew(target, base, format, block);
}

/* The new layer of @disk, one of the snapshot's <disks>; it lies beside its base, or, as beside a
 * device is /dev, which is memory, beside the layer that the snapshot itself put above that. */
static gboolean
planDisk(const VirtHptSnapshot *snapshot,
         const xmlNode *disk,
         const char *target,
         VirtHptJournal *journal,
         GError **error)
{
    VirtHptOverlay *overlay = planOverlay(snapshot, target, error);
    g_autofree char *above = NULL;
    gboolean block = FALSE;

    if (!overlay)
        return FALSE;
    g_ptr_array_add(journal->overlays, overlay);
    if (!overlay->block) {
        virtHptOverlayName(overlay, overlay->base, snapshot->name);
        return TRUE;
    }
    above = virtHptDiskSource(disk, &block);
    if (above && !block && g_path_is_absolute(above)) {
        virtHptOverlayName(overlay, above, snapshot->name);
        return TRUE;
    }
    g_set_error(
        error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED,
        _("disk '%1$s' of snapshot '%2$s' is the block device '%3$s', and no file lies above it: there is no place for a new layer"),
        target, snapshot->name, overlay->base);
    return FALSE;
}

/* A disk that stayed as it is while the memory goes back would be corrupted by the guest itself,
 * which remembers other contents. */
static gboolean
checkLeftOut(const VirtHptSnapshot *snapshot, const char *target, GError **error)
{
    xmlNode *domain = virtHptXmlChild(xmlDocGetRootElement(snapshot->doc), "domain");
    xmlNode *devices = domain ? virtHptXmlChild(domain, "devices") : NULL;
    xmlNode *disk = devices ? virtHptXmlFindDisk(devices, target) : NULL;

    if (!disk || !virtHptDiskIsOwn(disk))
        return TRUE;
    g_set_error(
        error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED,
        _("disk '%1$s' can be written to and is not in snapshot '%2$s': the guest's memory would go back and that disk would not"),
        target, snapshot->name);
    return FALSE;
}

/* libvirt since 9.9.0 finds out with the guest off (qemuSnapshotRevertExternalPrepare()). */
static gboolean
checkLibvirtReverts(const VirtHptSnapshot *snapshot, const char *target, GError **error)
{
    xmlNode *domain = virtHptXmlChild(xmlDocGetRootElement(snapshot->doc), "domain");
    xmlNode *devices = domain ? virtHptXmlChild(domain, "devices") : NULL;
    xmlNode *disk = devices ? virtHptXmlFindDisk(devices, target) : NULL;
    gboolean block = FALSE;
    g_autofree char *base = disk ? virtHptDiskSource(disk, &block) : NULL;

    if (base && !block)
        return TRUE;
    g_set_error(
        error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED,
        _("disk '%1$s' of snapshot '%2$s' was '%3$s', no file: this libvirt reverts to no such snapshot; to restore its memory on the disks as you want them: virsh restore --xml"),
        target, snapshot->name, base ? base : "?");
    return FALSE;
}

static gboolean
externalPlan(const VirtHptSnapshot *snapshot, VirtHptJournal *journal, GError **error)
{
    for (xmlNode *disk = virtHptSnapshotFirstDisk(snapshot->doc); disk;
         disk = virtHptXmlNext(disk->next, "disk")) {
        g_autofree char *target = virtHptXmlGetAttribute(disk, "name");
        g_autofree char *kind = virtHptXmlGetAttribute(disk, "snapshot");

        if (!target || !kind)
            continue;
        if (g_str_equal(kind, "no")) {
            if (!checkLeftOut(snapshot, target, error))
                return FALSE;
            continue;
        }
        if (snapshot->guest->revertsExternal) {
            if (!checkLibvirtReverts(snapshot, target, error))
                return FALSE;
            continue;
        }
        if (!g_str_equal(kind, "external")) {
            g_set_error(
                error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED,
                _("snapshot '%1$s' has its memory in a file and disk '%2$s' in another way"),
                snapshot->name, target);
            return FALSE;
        }
        if (!planDisk(snapshot, disk, target, journal, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
externalPrepare(const VirtHptSnapshot *snapshot G_GNUC_UNUSED,
                VirtHptJournal *journal,
                GError **error)
{
    for (guint i = 0; i < journal->overlays->len; i++) {
        VirtHptOverlay *overlay = g_ptr_array_index(journal->overlays, i);

        int fd = virtHptOverlayReserve(overlay, error);

        if (fd < 0 || !virtHptOverlayFormat(overlay, fd, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
externalRevert(const VirtHptSnapshot *snapshot, const VirtHptJournal *journal, GError **error)
{
    virConnect *connection = snapshot->guest->connection;
    g_autoptr(VirtHptLibvirtString) before = NULL;
    g_autofree char *after = NULL;

    if (snapshot->guest->revertsExternal) {
        if (virDomainRevertToSnapshot(snapshot->handle, VIR_DOMAIN_SNAPSHOT_REVERT_PAUSED) < 0)
            return virtHptLibvirtSetError(error, _("cannot revert to snapshot '%1$s'"),
                                          snapshot->name);
        return TRUE;
    }
    before =
        virDomainSaveImageGetXMLDesc(connection, snapshot->image, VIR_DOMAIN_SAVE_IMAGE_XML_SECURE);
    if (!before)
        return virtHptLibvirtSetError(error, _("cannot read the domain of '%1$s'"),
                                      snapshot->image);
    after = virtHptOverlayEditDomain(before, journal->overlays, error);
    if (!after)
        return FALSE;
    if (virDomainRestoreFlags(connection, snapshot->image, after, VIR_DOMAIN_SAVE_PAUSED) < 0)
        return virtHptLibvirtSetError(error, _("cannot restore '%1$s'"), snapshot->image);
    return TRUE;
}

/* (transfer container): those of disks that the definition has as well, which is @inactive, or
 * %NULL where it is that of the guest itself: some may have been plugged for a time only, in the
 * place of another perhaps */
static GPtrArray *
overlaysOf(const VirtHptSnapshot *snapshot, const xmlNode *inactive, const GPtrArray *overlays)
{
    const xmlNode *domain = virtHptXmlChild(xmlDocGetRootElement(snapshot->doc), "domain");
    GPtrArray *own = g_ptr_array_new();

    for (guint i = 0; i < overlays->len; i++) {
        VirtHptOverlay *overlay = g_ptr_array_index(overlays, i);
        g_autofree char *live = virtHptDomainImage(domain, overlay->target);
        g_autofree char *defined = virtHptDomainImage(inactive, overlay->target);

        if (!inactive ||
            (defined && (g_strcmp0(defined, live) == 0 || g_strcmp0(defined, overlay->base) == 0)))
            g_ptr_array_add(own, overlay);
    }
    return own;
}

/* Redefines the domain as it was at the snapshot, on the new layers. */
static gboolean
redefineDomain(const VirtHptSnapshot *snapshot, const VirtHptJournal *journal, GError **error)
{
    xmlNode *root = xmlDocGetRootElement(snapshot->doc);
    xmlNode *inactive = virtHptXmlChild(root, "inactiveDomain");
    xmlNode *domain = inactive ? inactive : virtHptXmlRequire(root, "domain", ORIGIN, error);
    g_autoptr(GPtrArray) overlays = NULL;
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;
    g_autoptr(virDomain) defined = NULL;

    if (!domain)
        return FALSE;
    overlays = overlaysOf(snapshot, inactive, journal->overlays);
    xmlNodeSetName(domain, (const xmlChar *)"domain");
    before = virtHptXmlFormatNode(domain, error);
    if (inactive)
        xmlNodeSetName(inactive, (const xmlChar *)"inactiveDomain");
    after = before ? virtHptOverlayEditDomain(before, overlays, error) : NULL;
    if (!after)
        return FALSE;
    defined = virDomainDefineXML(snapshot->guest->connection, after);
    if (!defined)
        return virtHptLibvirtSetError(error, _("cannot redefine '%1$s'"), snapshot->guest->name);
    return TRUE;
}

static gboolean
externalSettle(const VirtHptSnapshot *snapshot, const VirtHptJournal *journal, GError **error)
{
    g_autoptr(VirtHptLibvirtString) xml = NULL;
    g_autoptr(virDomainSnapshot) current = NULL;

    if (snapshot->guest->revertsExternal)
        return TRUE;
    if (!redefineDomain(snapshot, journal, error))
        return FALSE;
    xml = virDomainSnapshotGetXMLDesc(snapshot->handle, VIR_DOMAIN_SNAPSHOT_XML_SECURE);
    if (xml)
        current = virDomainSnapshotCreateXML(snapshot->guest->domain, xml,
                                             VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE |
                                                 VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT);
    if (!current)
        return virtHptLibvirtSetError(error, _("cannot make snapshot '%1$s' the current one"),
                                      snapshot->name);
    return TRUE;
}

const VirtHptBackend virtHptBackendExternal = {
    .name = "external",
    .probe = externalProbe,
    .locate = externalLocate,
    .open = virtHptBackendOpenImage,
    .plan = externalPlan,
    .prepare = externalPrepare,
    .create = externalCreate,
    .revert = externalRevert,
    .settle = externalSettle,
};
