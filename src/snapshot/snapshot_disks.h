/*
 * snapshot_disks.h: a domain's disks, as libvirt's XML names them
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "conf/xml_util.h"
#include "snapshot/snapshot_guest.h"

G_BEGIN_DECLS

xmlDoc *virtHptGuestReadDomain(VirtHptGuest *guest, unsigned int flags, GError **error);
xmlNode *virtHptDomainFirstDisk(const xmlDoc *domain);
xmlDoc *virtHptSnapshotXmlParse(const char *xml, const char *origin, GError **error);
xmlNode *virtHptSnapshotFirstDisk(const xmlDoc *snapshot);
char *virtHptDomainImage(const xmlNode *domain, const char *target);
gboolean virtHptDiskIsOwn(xmlNode *disk);
char *virtHptDiskSource(const xmlNode *disk, gboolean *block);
gboolean virtHptFileIsAbsent(const char *path);

G_END_DECLS
