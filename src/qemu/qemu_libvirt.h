/*
 * qemu_libvirt.h: libvirt's objects and errors in GLib's manner
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <stdlib.h>

#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "libvirt-hpt/htab_error.h"

G_BEGIN_DECLS

/* What libvirt hands out is allocated by malloc() */
typedef char VirtHptLibvirtString;

static inline void
virtHptLibvirtStringFree(VirtHptLibvirtString *string)
{
    free(string);
}

static inline void
virtHptLibvirtClose(virConnect *connection)
{
    virConnectClose(connection);
}

static inline void
virtHptLibvirtDomainFree(virDomain *domain)
{
    virDomainFree(domain);
}

static inline void
virtHptLibvirtSnapshotFree(virDomainSnapshot *snapshot)
{
    virDomainSnapshotFree(snapshot);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptLibvirtString, virtHptLibvirtStringFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(virConnect, virtHptLibvirtClose)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(virDomain, virtHptLibvirtDomainFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(virDomainSnapshot, virtHptLibvirtSnapshotFree)

gboolean virtHptLibvirtSetError(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

G_END_DECLS
