/*
 * snapshot_context.h: what is known of the machine around a table
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "conf/domain_conf.h"
#include "libvirt-hpt/htab_check.h"

G_BEGIN_DECLS

/**
 * virtHptCheckContextInit:
 * @context: (out): to fill
 * @ramEnd: end of the guest's RAM in guest real addresses, in bytes, 0: unknown
 * @ramBytes: the guest's base RAM in bytes, 0: unknown
 * @domain: (nullable): its domain XML, or %NULL
 */
static inline void
virtHptCheckContextInit(VirtHptCheckContext *context,
                        guint64 ramEnd,
                        guint64 ramBytes,
                        const VirtHptDomainDef *domain)
{
    *context = (VirtHptCheckContext){
        .ramBytes = ramEnd,
        .orderBytes = ramBytes,
        /* A stream does not say what memory could be plugged. */
        .orderMaxBytes = domain ? domain->maxMemory : G_MAXUINT64,
        .maxPageShift = domain ? domain->hptMaxPageShift : 0,
    };
}

G_END_DECLS
