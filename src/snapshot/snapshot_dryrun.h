/*
 * snapshot_dryrun.h: a restore of machine state and HPT, without RAM contents, into a guest that is
 * thrown away
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "libvirt-hpt/htab_error.h"
#include "libvirt-hpt/htab_table.h"

G_BEGIN_DECLS

/* Seconds that a dry run may take, unless the caller says otherwise */
#define VIRT_HPT_DRY_RUN_TIMEOUT 30

/* A dry run that has begun */
typedef struct _VirtHptDryRun VirtHptDryRun;

/**
 * VirtHptDryRunOutcome:
 * @VIRT_HPT_DRY_RUN_RESTORED: libvirt and QEMU took it
 * @VIRT_HPT_DRY_RUN_REFUSED: they refused it, and would refuse the image too
 * @VIRT_HPT_DRY_RUN_PARTIAL: they took it up to a device that needs RAM contents; that one and what
 *   is behind it was not checked
 * @VIRT_HPT_DRY_RUN_UNKNOWN: nothing can be said, because of the dry run or the host it ran on
 */
typedef enum {
    VIRT_HPT_DRY_RUN_RESTORED,
    VIRT_HPT_DRY_RUN_REFUSED,
    VIRT_HPT_DRY_RUN_PARTIAL,
    VIRT_HPT_DRY_RUN_UNKNOWN,
} VirtHptDryRunOutcome;

/**
 * VirtHptDryRunReport:
 * @outcome: what came out
 * @code: stable reason code, never translated
 * @message: what QEMU or libvirt said, or %NULL where nobody objected
 * @advice: what to do about it, translated, or %NULL
 * @device: where it ended, as QEMU calls it, or %NULL; of %VIRT_HPT_DRY_RUN_PARTIAL
 * @uncheckedQueues: queues of devices that were not compared with RAM contents; of
 *   %VIRT_HPT_DRY_RUN_RESTORED
 * @fallback: whether a guest of type 'kvm' was run by TCG, which says less
 */
typedef struct {
    VirtHptDryRunOutcome outcome;
    const char *code;
    char *message;
    const char *advice;
    char *device;
    guint uncheckedQueues;
    gboolean fallback;
} VirtHptDryRunReport;

int virtHptDryRunOpenTemporary(GError **error);
gboolean virtHptDryRunWriteTemporary(const guint8 *data,
                                     gsize length,
                                     gpointer opaque,
                                     GError **error);

VirtHptDryRun *virtHptDryRunBegin(const char *name,
                                  const char *domainXml,
                                  guint timeout,
                                  GError **error);
VirtHptDryRunReport *virtHptDryRunFinish(VirtHptDryRun *run,
                                         int state,
                                         const VirtHptTable *table,
                                         GError **error);
void virtHptDryRunFree(VirtHptDryRun *run);
VirtHptDryRunReport *virtHptDryRunReportParse(const char *answer);
void virtHptDryRunReportFree(VirtHptDryRunReport *report);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptDryRun, virtHptDryRunFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptDryRunReport, virtHptDryRunReportFree)

G_END_DECLS
