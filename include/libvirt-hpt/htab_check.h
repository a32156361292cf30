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
 * @VIRT_HPT_SEVERITY_NOTE: a sane guest can have it, under load or by its own choice
 * @VIRT_HPT_SEVERITY_WARNING: no known guest has it, but a guest could: it would still run, or only
 *   the facts around the table speak against it, and those may be out of date
 * @VIRT_HPT_SEVERITY_ERROR: no sane guest has it: its MMU would not find the entry, or not know
 *   what to do with it
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
    VIRT_HPT_RULE_AVPN_WIDTH,        /* AVPN bits beyond 68 of the address */
    VIRT_HPT_RULE_NO_BOLTED,         /* entries, and none of them bolted */
    VIRT_HPT_RULE_MMIO_RANGE,        /* cache-inhibited, and neither RAM nor where devices are */
    VIRT_HPT_RULE_CACHE_MODE,        /* WIMG bits that H_ENTER does not take for such an address */
    VIRT_HPT_RULE_RESERVED_BITS,     /* bits that mean nothing: R 62 */
    VIRT_HPT_RULE_PROTECTION,        /* PP0 and PP hold a reserved value */
    VIRT_HPT_RULE_AVPN_STRAY,        /* AVPN bits below the base page size */
    VIRT_HPT_RULE_VRMA_MAPPING,      /* in the VRMA segment, and not as KVM maps it */
    VIRT_HPT_RULE_TABLE_FULL,        /* no slot is free */
    VIRT_HPT_RULE_SECONDARY_EXCESS,  /* mostly secondary entries, where primary PTEGs have room */
    VIRT_HPT_RULE_BOLTED_EXCESS,     /* bolted entries map the guest's RAM several times over */
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
 * VirtHptRuleText:
 * @summary: what a finding says, in one line
 * @meaning: what is wrong, and what comes of it
 * @guests: what sane guests do, which is why the rule has its severity
 * @advice: what to do about a finding
 * @source: of the facts, never translated
 *
 * Translated, static.
 */
typedef struct {
    const char *summary;
    const char *meaning;
    const char *guests;
    const char *advice;
    const char *source;
} VirtHptRuleText;

/**
 * VirtHptRamRange:
 * @start: guest real address, in bytes
 * @length: in bytes; @start + @length is at most 2^64
 */
typedef struct {
    guint64 start;
    guint64 length;
} VirtHptRamRange;

/**
 * VirtHptCheckContext:
 * @maxPageShift: largest actual page shift the machine allows (cap-hpt-max-page-size), 0: unknown
 * @ramBytes: the guest's base RAM, which begins at real address 0, in bytes; 0: it is not known
 *   what is RAM
 * @plugged: (array length=nplugged) (nullable): RAM beyond the base: DIMMs at their addresses
 * @nplugged: elements of @plugged
 * @orderBytes: RAM, from which the order follows, in bytes, 0: unknown
 * @orderMaxBytes: the most RAM that the machine may get (maxmem), from which it follows as well,
 *   in bytes; 0: as @orderBytes
 * @maxPerRule: findings kept a rule, 0: 16; the rest are counted
 *
 * What is known of the machine around the table.  Zero-initialised it asks for nothing.
 */
typedef struct {
    guint maxPageShift;
    guint64 ramBytes;
    const VirtHptRamRange *plugged;
    gsize nplugged;
    guint64 orderBytes;
    guint64 orderMaxBytes;
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
 * @placement: (element-type VirtHptPlacement): how much of the hash placement is verifiable
 * @ptegBits: order - 7: bits of a PTEG number
 * @counts: findings a rule, also those not kept.  Rules that a later version has come behind these
 */
typedef struct {
    GPtrArray *findings;
    GArray *placement;
    guint ptegBits;
    guint64 counts[VIRT_HPT_RULE_COUNT];
} VirtHptReport;

const char *virtHptRuleGetName(VirtHptRule rule);
gboolean virtHptRuleFromName(const char *name, VirtHptRule *rule);
VirtHptSeverity virtHptRuleGetSeverity(VirtHptRule rule);
const char *virtHptRuleGetSummary(VirtHptRule rule);
void virtHptRuleGetText(VirtHptRule rule, VirtHptRuleText *text);
const char *virtHptSeverityGetName(VirtHptSeverity severity);

VirtHptReport *virtHptTableCheck(const VirtHptTable *table, const VirtHptCheckContext *context);
VirtHptReport *virtHptOrderCheck(guint order, const VirtHptCheckContext *context);
void virtHptReportFree(VirtHptReport *report);
guint64 virtHptReportCount(const VirtHptReport *report, VirtHptSeverity severity);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptReport, virtHptReportFree)

G_END_DECLS
