/*
 * htab_check.h: structural verification of a table, as fsck checks a file system
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "libvirt-hpt/htab_table.h"

G_BEGIN_DECLS

/**
 * VirtHptSeverity:
 * @VIRT_HPT_SEVERITY_NOTE: a sane guest can have it
 * @VIRT_HPT_SEVERITY_WARNING: a sane guest is unlikely to have it; it may still run
 * @VIRT_HPT_SEVERITY_ERROR: no sane guest has it
 */
typedef enum {
    VIRT_HPT_SEVERITY_NOTE,
    VIRT_HPT_SEVERITY_WARNING,
    VIRT_HPT_SEVERITY_ERROR,
} VirtHptSeverity;

/**
 * VirtHptRule:
 *
 * The rules.  Their names (virtHptRuleGetName()) are stable: they stand in records and in JSON.
 */
typedef enum {
    VIRT_HPT_RULE_ORDER_RANGE,       /* order outside 18..46: no VirtHptTable has one */
    VIRT_HPT_RULE_ORDER_RAM,         /* order far from what the guest's RAM implies */
    VIRT_HPT_RULE_SEGMENT_RESERVED,  /* B is 2 or 3 */
    VIRT_HPT_RULE_PAGE_SIZE,         /* L and low RPN bits: no page size, or above its segment */
    VIRT_HPT_RULE_PAGE_SIZE_UNUSUAL, /* 16G, 4K/64K: KVM does not advertise them */
    VIRT_HPT_RULE_PAGE_SIZE_LIMIT,   /* above the machine's cap-hpt-max-page-size */
    VIRT_HPT_RULE_RPN_ALIGNMENT,     /* RPN bits below the actual size are not the encoding */
    VIRT_HPT_RULE_RPN_RANGE,         /* cacheable, and outside the guest's RAM */
    VIRT_HPT_RULE_HASH_PLACEMENT,    /* neither PTEG of its hash */
    VIRT_HPT_RULE_DUPLICATE,         /* the same virtual page twice */
    VIRT_HPT_RULE_AVPN_WIDTH,        /* AVPN bits that a POWER9 cannot keep */
    VIRT_HPT_RULE_NO_BOLTED,         /* entries, and none of them bolted */
    VIRT_HPT_RULE_COUNT,
} VirtHptRule;

/**
 * VirtHptFinding:
 * @rule: what was broken
 * @severity: of the rule
 * @slot: the entry's slot, or %VIRT_HPT_NO_SLOT where the finding is about the table
 * @entry: the entry at @slot, else zeroes
 * @found: what was found, translated
 * @expected: what was expected, translated
 */
typedef struct {
    VirtHptRule rule;
    VirtHptSeverity severity;
    guint64 slot;
    VirtHptEntry entry;
    char *found;
    char *expected;
} VirtHptFinding;

#define VIRT_HPT_NO_SLOT G_MAXUINT64

/**
 * VirtHptCheckContext:
 * @maxPageShift: largest actual page shift the machine allows (cap-hpt-max-page-size), 0: unknown
 * @ramBytes: end of the guest's RAM in guest real addresses, in bytes, 0: unknown
 * @orderBytes: RAM, from which the order follows, in bytes, 0: unknown
 * @orderMaxBytes: the most RAM that the machine may get (maxmem), from which it follows as well,
 *   in bytes; 0: as @orderBytes
 * @power9: whether the host keeps entries in ISA 3.0 form, which drops V bits 52-61
 * @maxPerRule: findings kept a rule; the rest are counted
 *
 * What is known of the machine around the table.  Zero-initialised it asks for nothing.
 */
typedef struct {
    guint maxPageShift;
    guint64 ramBytes;
    guint64 orderBytes;
    guint64 orderMaxBytes;
    gboolean power9;
    guint maxPerRule;
} VirtHptCheckContext;

/**
 * VirtHptPlacement:
 * @size: page size
 * @entries: valid entries of it
 * @verifiable: bits of the PTEG number that the check verifies for that size, of order - 7
 */
typedef struct {
    VirtHptPageSize size;
    guint64 entries;
    guint verifiable;
} VirtHptPlacement;

/**
 * VirtHptReport:
 * @findings: (element-type VirtHptFinding): at most @maxPerRule a rule, ascending by rule and slot
 * @counts: findings a rule, also those not kept
 * @placement: (element-type VirtHptPlacement): how much of the hash placement is verifiable
 * @ptegBits: order - 7: bits of a PTEG number
 */
typedef struct {
    GPtrArray *findings;
    guint64 counts[VIRT_HPT_RULE_COUNT];
    GArray *placement;
    guint ptegBits;
} VirtHptReport;

const char *virtHptRuleGetName(VirtHptRule rule);
gboolean virtHptRuleFromName(const char *name, VirtHptRule *rule);
VirtHptSeverity virtHptRuleGetSeverity(VirtHptRule rule);
const char *virtHptRuleGetSummary(VirtHptRule rule);
const char *virtHptSeverityGetName(VirtHptSeverity severity);

VirtHptReport *virtHptTableCheck(const VirtHptTable *table, const VirtHptCheckContext *context);
void virtHptReportFree(VirtHptReport *report);
guint64 virtHptReportCount(const VirtHptReport *report, VirtHptSeverity severity);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptReport, virtHptReportFree)

G_END_DECLS
