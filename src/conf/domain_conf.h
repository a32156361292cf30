/*
 * domain_conf.h: what a domain's XML says that bears on its HPT
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "libvirt-hpt/htab_check.h"
#include "libvirt-hpt/htab_error.h"

G_BEGIN_DECLS

/**
 * VirtHptDomainDef:
 * @type: 'kvm' or 'qemu', or another hypervisor's, or %NULL
 * @uuid: canonical: lower case, with hyphens; or %NULL
 * @maxMemory: <maxMemory> in bytes, 0: not given
 * @hptMaxPageShift: log2 of <features><hpt><maxpagesize> in bytes, 0: not given
 * @memory: (element-type VirtHptRamRange): plugged memory, <memory> of <devices>, with its
 *   addresses
 * @memoryKnown: whether @memory is all that there is: all have their size and address
 */
typedef struct {
    char *type;
    char *uuid;
    guint64 maxMemory;
    guint hptMaxPageShift;
    GArray *memory;
    gboolean memoryKnown;
} VirtHptDomainDef;

VirtHptDomainDef *virtHptDomainDefParse(const char *xml,
                                        gsize length,
                                        const char *origin,
                                        GError **error);
void virtHptDomainDefFree(VirtHptDomainDef *def);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptDomainDef, virtHptDomainDefFree)

G_END_DECLS
