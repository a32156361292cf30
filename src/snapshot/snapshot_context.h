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
 * @context: (out): to fill; valid as long as @domain
 * @ramBytes: the guest's base RAM in bytes, 0: unknown
 * @plugged: whether there is, or may be, memory beyond the base
 * @domain: (nullable): its domain XML, or %NULL
 *
 * A stream does not say at which addresses memory was plugged; domain XML does.  Where neither
 * tells, it is not known what is RAM.
 */
static inline void
virtHptCheckContextInit(VirtHptCheckContext *context,
                        guint64 ramBytes,
                        gboolean plugged,
                        const VirtHptDomainDef *domain)
{
    gboolean known = domain && domain->memoryKnown && (domain->memory->len > 0 || !plugged);

    *context = (VirtHptCheckContext){
        .ramBytes = known || !plugged ? ramBytes : 0,
        .plugged = known ? (gconstpointer)domain->memory->data : NULL,
        .nplugged = known ? domain->memory->len : 0,
        .orderBytes = ramBytes,
        /* A stream does not say what memory could be plugged. */
        .orderMaxBytes = domain ? domain->maxMemory : G_MAXUINT64,
        .maxPageShift = domain ? domain->hptMaxPageShift : 0,
    };
}

G_END_DECLS
