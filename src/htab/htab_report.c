/*
 * htab_report.c: the rules of a check by name, and the report that holds its findings
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#include "libvirt-hpt/htab_check.h"

typedef struct {
    const char *name;
    VirtHptSeverity severity;
    const char *summary;
} Rule;

/*
 * An error is what no guest can make use of: its MMU would not find the entry, or not know what to
 * do with it.  A warning is what only the facts around the table speak against, and those may be
 * out of date, or the guest unlike any that was seen.
 */
static const Rule rules[VIRT_HPT_RULE_COUNT] = {
    [VIRT_HPT_RULE_ORDER_RANGE] = {"order-range", VIRT_HPT_SEVERITY_ERROR,
                                   N_("the order of the HPT is outside 18 to 46")},
    [VIRT_HPT_RULE_ORDER_RAM] =
        {"order-ram", VIRT_HPT_SEVERITY_WARNING,
         N_("the order of the HPT is far from what the guest's RAM implies")},
    [VIRT_HPT_RULE_SEGMENT_RESERVED] = {"segment-reserved", VIRT_HPT_SEVERITY_ERROR,
                                        N_("an entry has a reserved segment size")},
    [VIRT_HPT_RULE_PAGE_SIZE] = {"page-size", VIRT_HPT_SEVERITY_ERROR,
                                 N_("an entry encodes no page size")},
    [VIRT_HPT_RULE_PAGE_SIZE_UNUSUAL] =
        {"page-size-unusual", VIRT_HPT_SEVERITY_WARNING,
         N_("an entry has a page size that KVM does not advertise")},
    [VIRT_HPT_RULE_PAGE_SIZE_LIMIT] = {"page-size-limit", VIRT_HPT_SEVERITY_ERROR,
                                       N_("an entry's page is larger than the machine allows")},
    [VIRT_HPT_RULE_RPN_ALIGNMENT] = {"rpn-alignment", VIRT_HPT_SEVERITY_ERROR,
                                     N_("an entry's real address is not aligned to its page")},
    [VIRT_HPT_RULE_RPN_RANGE] = {"rpn-range", VIRT_HPT_SEVERITY_WARNING,
                                 N_("an entry maps cacheable memory outside the guest's RAM")},
    [VIRT_HPT_RULE_HASH_PLACEMENT] = {"hash-placement", VIRT_HPT_SEVERITY_ERROR,
                                      N_("an entry is in neither PTEG of its hash")},
    [VIRT_HPT_RULE_DUPLICATE] = {"duplicate", VIRT_HPT_SEVERITY_ERROR,
                                 N_("a virtual page has two entries")},
    [VIRT_HPT_RULE_AVPN_WIDTH] = {"avpn-width", VIRT_HPT_SEVERITY_WARNING,
                                  N_("an entry has address bits that a POWER9 host does not keep")},
    [VIRT_HPT_RULE_NO_BOLTED] = {"no-bolted", VIRT_HPT_SEVERITY_WARNING,
                                 N_("the HPT has entries, and none of them is bolted")},
};

/**
 * virtHptRuleGetName:
 * @rule: a rule
 *
 * Returns: its stable name, never translated
 */
const char *
virtHptRuleGetName(VirtHptRule rule)
{
    g_return_val_if_fail((guint)rule < VIRT_HPT_RULE_COUNT, "unknown");
    return rules[rule].name;
}

/**
 * virtHptRuleFromName:
 * @name: a name that virtHptRuleGetName() gave
 * @rule: (out): the rule; left alone on failure
 *
 * Returns: %FALSE if there is no rule of that name
 */
gboolean
virtHptRuleFromName(const char *name, VirtHptRule *rule)
{
    for (guint i = 0; i < VIRT_HPT_RULE_COUNT; i++) {
        if (strcmp(rules[i].name, name) == 0) {
            *rule = (VirtHptRule)i;
            return TRUE;
        }
    }
    return FALSE;
}

/**
 * virtHptRuleGetSeverity:
 * @rule: a rule
 *
 * Returns: the severity of every finding of @rule
 */
VirtHptSeverity
virtHptRuleGetSeverity(VirtHptRule rule)
{
    g_return_val_if_fail((guint)rule < VIRT_HPT_RULE_COUNT, VIRT_HPT_SEVERITY_ERROR);
    return rules[rule].severity;
}

/**
 * virtHptRuleGetSummary:
 * @rule: a rule
 *
 * Returns: what a finding of @rule says, in one line, translated
 */
const char *
virtHptRuleGetSummary(VirtHptRule rule)
{
    g_return_val_if_fail((guint)rule < VIRT_HPT_RULE_COUNT, "");
    return _(rules[rule].summary);
}

/**
 * virtHptSeverityGetName:
 * @severity: a severity
 *
 * Returns: its stable name, never translated
 */
const char *
virtHptSeverityGetName(VirtHptSeverity severity)
{
    switch (severity) {
    case VIRT_HPT_SEVERITY_NOTE:
        return "note";
    case VIRT_HPT_SEVERITY_WARNING:
        return "warning";
    case VIRT_HPT_SEVERITY_ERROR:
        return "error";
    default:
        g_return_val_if_reached("unknown");
    }
}

/**
 * virtHptReportCount:
 * @report: a report
 * @severity: a severity
 *
 * Returns: how many findings of exactly that severity there were, also those not kept
 */
guint64
virtHptReportCount(const VirtHptReport *report, VirtHptSeverity severity)
{
    guint64 count = 0;

    for (guint i = 0; i < VIRT_HPT_RULE_COUNT; i++) {
        if (rules[i].severity == severity)
            count += report->counts[i];
    }
    return count;
}

/**
 * virtHptReportFree:
 * @report: (nullable): a report and its findings
 */
void
virtHptReportFree(VirtHptReport *report)
{
    if (!report)
        return;
    g_ptr_array_unref(report->findings);
    g_array_unref(report->placement);
    g_free(report);
}
