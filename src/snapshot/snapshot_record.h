/*
 * snapshot_record.h: the record: what is kept for one image
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "conf/hpt_snapshot_conf.h"
#include "libvirt-hpt/htab_check.h"
#include "libvirt-hpt/htab_error.h"
#include "qemu/qemu_image.h"
#include "snapshot/snapshot_place.h"

G_BEGIN_DECLS

/**
 * VirtHptRecord:
 * @path: the record directory
 * @dir: the same, open
 * @def: its descriptor, checked against the schema
 */
typedef struct {
    char *path;
    int dir;
    VirtHptSnapshotDef *def;
} VirtHptRecord;

/**
 * VirtHptRecordState:
 * @VIRT_HPT_RECORD_CURRENT: all extents of the image agree with the record
 * @VIRT_HPT_RECORD_DAMAGED: the image is the recorded one, and was changed: it has the same
 *   modification time (where it is a file), or some extent of HPT or machine state agrees
 * @VIRT_HPT_RECORD_STALE: neither: another image lies at this path now
 *
 * How an image compares with its record.
 */
typedef enum {
    VIRT_HPT_RECORD_CURRENT,
    VIRT_HPT_RECORD_DAMAGED,
    VIRT_HPT_RECORD_STALE,
} VirtHptRecordState;

/**
 * VirtHptRecordOutcome:
 * @VIRT_HPT_RECORD_CREATED: there was none
 * @VIRT_HPT_RECORD_REPLACED: there was a stale, damaged or unreadable one
 * @VIRT_HPT_RECORD_UNCHANGED: there was a current one; nothing was written
 */
typedef enum {
    VIRT_HPT_RECORD_CREATED,
    VIRT_HPT_RECORD_REPLACED,
    VIRT_HPT_RECORD_UNCHANGED,
} VirtHptRecordOutcome;

/**
 * VirtHptComparison:
 * @state: the verdict
 * @extents: extents recorded
 * @differing: extents that differ
 * @first: the first differing extent, or %NULL; owned by the record
 * @doubtful: whether a stale record may be one of a damaged image: of a guest without entries in
 *   an HPT only the machine state tells two images from each other, and here only it differs
 */
typedef struct {
    VirtHptRecordState state;
    guint extents;
    guint differing;
    const VirtHptExtent *first;
    gboolean doubtful;
} VirtHptComparison;

VirtHptRecord *virtHptRecordOpen(const char *path, GError **error);
VirtHptRecord *virtHptRecordFind(const VirtHptPlace *place, GError **error);
void virtHptRecordFree(VirtHptRecord *record);

VirtHptTable *virtHptRecordLoadTable(const VirtHptRecord *record, guint64 maxBytes, GError **error);
gboolean virtHptRecordLoadState(const VirtHptRecord *record,
                                VirtHptWriteFunc write,
                                gpointer opaque,
                                GError **error);

VirtHptPlace *virtHptRecordOpenImage(const VirtHptRecord *record, GError **error);
gboolean virtHptRecordCompare(const VirtHptRecord *record,
                              const VirtHptPlace *place,
                              VirtHptComparison *comparison,
                              GError **error);

VirtHptRecord *virtHptRecordCreate(const VirtHptPlace *place,
                                   VirtHptProgressFunc progress,
                                   gpointer progressOpaque,
                                   VirtHptRecordOutcome *outcome,
                                   GError **error);
gboolean virtHptRecordDelete(const char *path, GError **error);

const char *virtHptRecordStateGetName(VirtHptRecordState state);
const char *virtHptRecordOutcomeGetName(VirtHptRecordOutcome outcome);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptRecord, virtHptRecordFree)

G_END_DECLS
