/*
 * htab_tracker.h: a table whose changes are tracked and read in passes, as the kernel's are
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * For a VMM that keeps its guest's HPT itself, as QEMU does without KVM: what reads
 * KVM_PPC_GET_HTAB_FD reads a VirtHptTracker with the same code.
 */

#pragma once

#include "libvirt-hpt/htab_table.h"

G_BEGIN_DECLS

/**
 * VirtHptTracker:
 *
 * A table and one bit a slot that tells whether it changed since somebody read it.
 *
 * Not thread-safe: a tracker, its table and its readers belong to one thread at a time.
 */
typedef struct _VirtHptTracker VirtHptTracker;

/**
 * VirtHptTrackerReader:
 *
 * What an open file descriptor of KVM_PPC_GET_HTAB_FD is to the kernel's table.
 */
typedef struct _VirtHptTrackerReader VirtHptTrackerReader;

/**
 * VirtHptTrackerFlags:
 * @VIRT_HPT_TRACKER_BOLTED_ONLY: valid entries that are not bolted are told as invalid, and no
 *   longer as changed; the value is the kernel's KVM_GET_HTAB_BOLTED_ONLY
 * @VIRT_HPT_TRACKER_BIG_ENDIAN: record headers are big-endian, as in QEMU's migration stream;
 *   without it they are in this host's order, as the kernel's are
 * @VIRT_HPT_TRACKER_PRIVATE_BITS: V has %VIRT_HPT_V_HVLOCK set, as the kernel gives it; without it
 *   V has no private bits
 */
typedef enum {
    VIRT_HPT_TRACKER_BOLTED_ONLY = 1 << 0,
    VIRT_HPT_TRACKER_BIG_ENDIAN = 1 << 8,
    VIRT_HPT_TRACKER_PRIVATE_BITS = 1 << 9,
} VirtHptTrackerFlags;

VirtHptTracker *virtHptTrackerNew(VirtHptTable *table);
void virtHptTrackerFree(VirtHptTracker *tracker);

void virtHptTrackerSet(VirtHptTracker *tracker, guint64 slot, const VirtHptEntry *entry);
void virtHptTrackerInvalidate(VirtHptTracker *tracker, guint64 slot);
void virtHptTrackerTouch(VirtHptTracker *tracker, guint64 slot, guint64 bits);
guint64 virtHptTrackerGetChanges(const VirtHptTracker *tracker);

gssize virtHptTrackerWrite(VirtHptTracker *tracker,
                           guint flags,
                           const void *record,
                           gsize length,
                           GError **error);

VirtHptTrackerReader *virtHptTrackerOpen(VirtHptTracker *tracker,
                                         guint flags,
                                         guint64 startIndex,
                                         GError **error);
gsize virtHptTrackerReaderRead(VirtHptTrackerReader *reader, void *buffer, gsize count);
gboolean virtHptTrackerReaderIsFirstPass(const VirtHptTrackerReader *reader);
void virtHptTrackerReaderFree(VirtHptTrackerReader *reader);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptTracker, virtHptTrackerFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptTrackerReader, virtHptTrackerReaderFree)

G_END_DECLS
