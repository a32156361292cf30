/*
 * dryrun_conf.h: a domain's XML -> the XML of its dry run
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "libvirt-hpt/htab_error.h"

G_BEGIN_DECLS

/* The directory that a dry run sees as its own, and nobody else sees */
#define VIRT_HPT_DRY_RUN_DIR "/run/libvirt-hpt"
/* The domain's name there */
#define VIRT_HPT_DRY_RUN_NAME "dry-run"
/* An empty disk each, of the size below, numbered from 0 */
#define VIRT_HPT_DRY_RUN_DISK VIRT_HPT_DRY_RUN_DIR "/disk-%u"
#define VIRT_HPT_DRY_RUN_DISK_BYTES ((goffset)1 << 30)
/* The most disks that a guest may have */
#define VIRT_HPT_DRY_RUN_DISKS_MAX 1024

/**
 * VirtHptDryRunHost:
 * @kvm: whether a guest of type 'kvm' can run; else it becomes one of type 'qemu'
 * @tap: whether network cards can have a tap device behind them; else QEMU's user network, with
 *   which they lack offloads that a guest may have negotiated
 *
 * What the host of a dry run has.
 */
typedef struct {
    gboolean kvm;
    gboolean tap;
} VirtHptDryRunHost;

/**
 * VirtHptDryRunDef:
 * @xml: domain XML for the dry run
 * @disks: disks that it names: %VIRT_HPT_DRY_RUN_DISK, 0 to @disks - 1
 * @kvm: whether it runs with KVM
 * @fallback: whether the guest does and the dry run does not
 */
typedef struct {
    char *xml;
    guint disks;
    gboolean kvm;
    gboolean fallback;
} VirtHptDryRunDef;

VirtHptDryRunDef *virtHptDryRunDefNew(const char *xml,
                                      gsize length,
                                      const char *origin,
                                      const VirtHptDryRunHost *host,
                                      GError **error);
void virtHptDryRunDefFree(VirtHptDryRunDef *def);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptDryRunDef, virtHptDryRunDefFree)

G_END_DECLS
