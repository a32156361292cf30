/*
 * snapshot_disks.c: a domain's disks, as libvirt's XML names them
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include <glib/gi18n-lib.h>

#include "conf/xml_read.h"
#include "snapshot/snapshot_disks.h"

/**
 * virtHptGuestReadDomain:
 * @guest: a guest
 * @flags: of virDomainGetXMLDesc()
 * @error: set on failure
 *
 * Returns: (transfer full): the domain's XML, or %NULL
 */
xmlDoc *
virtHptGuestReadDomain(VirtHptGuest *guest, unsigned int flags, GError **error)
{
    g_autoptr(VirtHptLibvirtString) xml = virDomainGetXMLDesc(guest->domain, flags);

    if (!xml) {
        virtHptLibvirtSetError(error, _("cannot query '%1$s'"), guest->name);
        return NULL;
    }
    return virtHptXmlParseDomain(xml, strlen(xml), guest->name, error);
}

/**
 * virtHptDomainFirstDisk:
 * @domain: a domain's XML
 *
 * Returns: (transfer none): its first <disk>, from where virtHptXmlNext() goes on, or %NULL
 */
xmlNode *
virtHptDomainFirstDisk(const xmlDoc *domain)
{
    xmlNode *devices = virtHptXmlChild(xmlDocGetRootElement(domain), "devices");

    return devices ? virtHptXmlChild(devices, "disk") : NULL;
}

/**
 * virtHptSnapshotXmlParse:
 * @xml: XML of a snapshot, which holds one or two domains, or of a domain
 * @origin: what it is of, for messages
 * @error: set on failure: what virtHptXmlParse() sets
 *
 * Returns: (transfer full): the document, or %NULL
 */
xmlDoc *
virtHptSnapshotXmlParse(const char *xml, const char *origin, GError **error)
{
    return virtHptXmlParse(xml, strlen(xml), 2 * VIRT_HPT_XML_DOMAIN_MAX, origin, error);
}

/**
 * virtHptSnapshotFirstDisk:
 * @snapshot: a snapshot's XML
 *
 * Returns: (transfer none): the first <disk> of its <disks>, what it made of a disk, from where
 *   virtHptXmlNext() goes on, or %NULL
 */
xmlNode *
virtHptSnapshotFirstDisk(const xmlDoc *snapshot)
{
    xmlNode *disks = virtHptXmlChild(xmlDocGetRootElement(snapshot), "disks");

    return disks ? virtHptXmlChild(disks, "disk") : NULL;
}

/**
 * virtHptDiskSource:
 * @disk: a <disk>, or a <backingStore>
 * @block: (out): whether it is a device
 *
 * Returns: (transfer full): path of its image, or %NULL for what is neither file nor device
 */
char *
virtHptDiskSource(const xmlNode *disk, gboolean *block)
{
    xmlNode *source = virtHptXmlChild(disk, "source");
    char *path = source ? virtHptXmlGetAttribute(source, "file") : NULL;

    *block = FALSE;
    if (source && !path) {
        path = virtHptXmlGetAttribute(source, "dev");
        *block = TRUE;
    }
    return path;
}

/**
 * virtHptDomainImage:
 * @domain: (nullable): a <domain> or <inactiveDomain>
 * @target: a disk, as the domain's XML names it ('vda')
 *
 * Returns: (transfer full): path of the disk's image, or %NULL where there is no such disk, or it
 * is neither file nor device
 */
char *
virtHptDomainImage(const xmlNode *domain, const char *target)
{
    xmlNode *devices = domain ? virtHptXmlChild(domain, "devices") : NULL;
    xmlNode *disk = devices ? virtHptXmlFindDisk(devices, target) : NULL;
    gboolean block;

    return disk ? virtHptDiskSource(disk, &block) : NULL;
}

/**
 * virtHptFileIsAbsent:
 * @path: of a file of a snapshot
 *
 * Returns: whether nothing is there; what cannot be looked at is
 */
gboolean
virtHptFileIsAbsent(const char *path)
{
    struct stat st;

    return lstat(path, &st) < 0 && errno == ENOENT;
}

/**
 * virtHptDiskIsOwn:
 * @disk: a <disk>
 *
 * Returns: whether the guest writes to it, and nobody else does, so that its memory knows what is
 *   on it
 */
gboolean
virtHptDiskIsOwn(xmlNode *disk)
{
    g_autofree char *device = virtHptXmlGetAttribute(disk, "device");

    return (!device || g_str_equal(device, "disk")) && !virtHptXmlChild(disk, "readonly") &&
           !virtHptXmlChild(disk, "shareable");
}
