/*
 * snapshot_verdict.h: what a validation found, fact by fact
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * VirtHptLevel:
 * @VIRT_HPT_LEVEL_RECORD: the descriptor against its schema, payloads and image against digests
 * @VIRT_HPT_LEVEL_TABLE: the table against the rules of virtHptTableCheck()
 * @VIRT_HPT_LEVEL_DRY_RUN: machine state and table against this host's libvirt and QEMU
 * @VIRT_HPT_LEVEL_DISKS: of a snapshot, the disk layers that it rests on
 */
typedef enum {
    VIRT_HPT_LEVEL_RECORD,
    VIRT_HPT_LEVEL_TABLE,
    VIRT_HPT_LEVEL_DRY_RUN,
    VIRT_HPT_LEVEL_DISKS,
} VirtHptLevel;

#define VIRT_HPT_LEVEL_COUNT (VIRT_HPT_LEVEL_DISKS + 1)

typedef enum {
    VIRT_HPT_RESULT_PASSED,
    VIRT_HPT_RESULT_WARNED,
    VIRT_HPT_RESULT_FAILED,
    VIRT_HPT_RESULT_NOT_CHECKED,
} VirtHptResult;

/**
 * VirtHptFact:
 * @level: the level that established it
 * @result: what it means for the verdict
 * @code: stable reason code ('image-damaged'), never translated
 * @message: the fact, translated
 * @advice: what to do about it, translated, or %NULL
 */
typedef struct {
    VirtHptLevel level;
    VirtHptResult result;
    char *code;
    char *message;
    char *advice;
} VirtHptFact;

/**
 * VirtHptVerdict:
 * @result: the worst of @facts, and a warning where a level is missing that ought to be there;
 *   passed where nothing failed or warned
 * @levels: the result of each level
 * @facts: (element-type VirtHptFact): in the order in which they were established
 * @ramCovered: whether RAM contents were verified too: never, until they can be recorded
 */
typedef struct {
    VirtHptResult result;
    VirtHptResult levels[VIRT_HPT_LEVEL_COUNT];
    GPtrArray *facts;
    gboolean ramCovered;
} VirtHptVerdict;

VirtHptVerdict *virtHptVerdictNew(void);
void virtHptVerdictFree(VirtHptVerdict *verdict);

void virtHptVerdictAdd(VirtHptVerdict *verdict,
                       VirtHptLevel level,
                       VirtHptResult result,
                       const char *code,
                       char *message,
                       const char *advice);

void virtHptVerdictAddUnchecked(VirtHptVerdict *verdict,
                                VirtHptLevel level,
                                const char *code,
                                char *message,
                                const char *advice);

const char *virtHptLevelGetName(VirtHptLevel level);
gboolean virtHptLevelFromName(const char *name, VirtHptLevel *level);
const char *virtHptResultGetName(VirtHptResult result);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptVerdict, virtHptVerdictFree)

G_END_DECLS
