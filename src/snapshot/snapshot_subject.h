/*
 * snapshot_subject.h: what a FILE argument names: an image, a record, or a table
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "conf/domain_conf.h"
#include "snapshot/snapshot_record.h"

G_BEGIN_DECLS

/**
 * VirtHptSubject:
 * @path: as the caller gave it
 * @place: of the image; %NULL where @path names a record whose image is not there
 * @placeError: why the image of a record could not be opened, or %NULL
 * @image: what was read from the image; %NULL where @path names a record or a table
 * @record: the record named, or found for the image; %NULL: none, or unusable
 * @recordError: why a record that is there cannot be used, or %NULL
 * @isRecord: whether @path names a record directory
 * @isTable: whether @path names a file that holds a table alone, which is its @place then
 * @mmu: the guest's MMU mode
 * @table: the table, or %NULL for a radix guest; owned by the subject
 * @domain: what the domain's XML says, or %NULL where there is none
 * @order: of the table, 0 without one
 * @machine: versioned machine type, or %NULL
 * @ramBytes: the guest's base RAM, 0: unknown
 *
 * One view of all, so that every command takes any.
 */
typedef struct {
    char *path;
    VirtHptPlace *place;
    GError *placeError;
    VirtHptImage *image;
    VirtHptRecord *record;
    GError *recordError;
    gboolean isRecord;
    gboolean isTable;
    VirtHptMmu mmu;
    VirtHptTable *table;
    VirtHptDomainDef *domain;
    guint order;
    const char *machine;
    guint64 ramBytes;
} VirtHptSubject;

VirtHptSubject *virtHptSubjectOpen(const char *path,
                                   VirtHptProgressFunc progress,
                                   gpointer progressOpaque,
                                   GError **error);
VirtHptSubject *virtHptSubjectOpenFull(const char *path,
                                       const VirtHptImageOptions *options,
                                       GError **error);
VirtHptSubject *virtHptSubjectOpenTable(const char *path,
                                        VirtHptProgressFunc progress,
                                        gpointer progressOpaque,
                                        GError **error);
VirtHptSubject *virtHptSubjectOpenRecord(VirtHptRecord *record, GError **error);
void virtHptSubjectFree(VirtHptSubject *subject);

void virtHptSubjectGetCheckContext(const VirtHptSubject *subject, VirtHptCheckContext *context);

gboolean virtHptSubjectLocate(VirtHptSubject *subject,
                              const guint64 *slots,
                              guint64 *offsets,
                              gsize nslots,
                              GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptSubject, virtHptSubjectFree)

G_END_DECLS
