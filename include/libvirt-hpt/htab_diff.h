/*
 * htab_diff.h: what changed between two tables
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "libvirt-hpt/htab_table.h"

G_BEGIN_DECLS

/**
 * VirtHptDiffKind:
 * @VIRT_HPT_DIFF_ADDED: the slot was empty and holds an entry
 * @VIRT_HPT_DIFF_REMOVED: the slot held an entry and is empty
 * @VIRT_HPT_DIFF_CHANGED: both hold entries, which differ in more than R and C
 * @VIRT_HPT_DIFF_RC_ONLY: the entries differ in the bits R (referenced) and C (changed) alone
 * @VIRT_HPT_DIFF_KINDS: how many kinds there are
 */
typedef enum {
    VIRT_HPT_DIFF_ADDED,
    VIRT_HPT_DIFF_REMOVED,
    VIRT_HPT_DIFF_CHANGED,
    VIRT_HPT_DIFF_RC_ONLY,
    VIRT_HPT_DIFF_KINDS,
} VirtHptDiffKind;

/**
 * VirtHptDifference:
 * @slot: where
 * @kind: what
 * @before: the entry in the first table; zero where there is none
 * @after: the entry in the second table; zero where there is none
 */
typedef struct {
    guint64 slot;
    VirtHptDiffKind kind;
    VirtHptEntry before;
    VirtHptEntry after;
} VirtHptDifference;

/**
 * VirtHptDiff:
 * @counts: differences of each kind
 * @differences: (element-type VirtHptDifference): the first of them, ascending by slot, at most as
 *   many of each kind as were asked for
 */
typedef struct {
    guint64 counts[VIRT_HPT_DIFF_KINDS];
    GArray *differences;
} VirtHptDiff;

VirtHptDiff *virtHptTableDiff(const VirtHptTable *before,
                              const VirtHptTable *after,
                              guint64 max,
                              GError **error);
void virtHptDiffFree(VirtHptDiff *diff);

guint64 virtHptDiffGetTotal(const VirtHptDiff *diff);

const char *virtHptDiffKindGetName(VirtHptDiffKind kind);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptDiff, virtHptDiffFree)

G_END_DECLS
