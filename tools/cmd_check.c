/*
 * cmd_check.c: virt-hpt check: is the table one that a guest could have built?
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "config.h"

#include <glib/gi18n.h>

#include "explain.h"
#include "json.h"
#include "options.h"
#include "snapshot/snapshot_validate.h"
#include "text.h"
#include "tool.h"

/* Findings shown of one rule unless --max says otherwise; the most that it may say */
#define FINDINGS_DEFAULT 10
#define FINDINGS_LIMIT 1000000

#define NO_OFFSET G_MAXUINT64

/* The report, and where in the file the entries of its findings lie */
typedef struct {
    const VirtHptSubject *subject;
    const VirtHptReport *report;
    const guint64 *offsets;
    guint64 entries;
} CheckResult;

static VirtHptResult
getVerdict(const VirtHptReport *report)
{
    if (virtHptReportCount(report, VIRT_HPT_SEVERITY_ERROR) > 0)
        return VIRT_HPT_RESULT_FAILED;
    if (virtHptReportCount(report, VIRT_HPT_SEVERITY_WARNING) > 0)
        return VIRT_HPT_RESULT_WARNED;
    return VIRT_HPT_RESULT_PASSED;
}

/* Returns one file offset a finding, %NO_OFFSET where there is none */
static guint64 *
locateFindings(VirtHptTool *tool, VirtHptSubject *subject, const VirtHptReport *report)
{
    guint n = report->findings->len;
    guint64 *offsets = g_new(guint64, n + 1);
    g_autofree guint64 *slots = g_new(guint64, n + 1);
    g_autofree guint64 *found = g_new(guint64, n + 1);
    g_autoptr(GError) error = NULL;
    guint nslots = 0;

    for (guint i = 0; i < n; i++) {
        const VirtHptFinding *finding = g_ptr_array_index(report->findings, i);

        offsets[i] = NO_OFFSET;
        if (finding->slot != VIRT_HPT_NO_SLOT)
            slots[nslots++] = finding->slot;
    }
    if (nslots == 0)
        return offsets;
    if (!virtHptSubjectLocate(subject, slots, found, nslots, &error)) {
        /* The findings stand without */
        virtHptToolWarn(tool, _("cannot tell where in the file the entries lie: %s"),
                        error->message);
        return offsets;
    }
    nslots = 0;
    for (guint i = 0; i < n; i++) {
        const VirtHptFinding *finding = g_ptr_array_index(report->findings, i);

        if (finding->slot != VIRT_HPT_NO_SLOT)
            offsets[i] = found[nslots++];
    }
    return offsets;
}

static void
jsonFinding(JsonBuilder *json, const VirtHptFinding *finding, guint64 offset)
{
    virtHptJsonBeginObject(json, NULL);
    virtHptJsonAddString(json, "rule", virtHptRuleGetName(finding->rule));
    virtHptJsonAddString(json, "severity", virtHptSeverityGetName(finding->severity));
    if (finding->slot == VIRT_HPT_NO_SLOT) {
        virtHptJsonAddNull(json, "slot");
        virtHptJsonAddNull(json, "offset");
        virtHptJsonAddNull(json, "v");
        virtHptJsonAddNull(json, "r");
    } else {
        virtHptJsonAddUint(json, "slot", finding->slot);
        if (offset == NO_OFFSET)
            virtHptJsonAddNull(json, "offset");
        else
            virtHptJsonAddUint(json, "offset", offset);
        virtHptJsonAddHex(json, "v", finding->entry.v);
        virtHptJsonAddHex(json, "r", finding->entry.r);
    }
    virtHptJsonAddString(json, "found", finding->found);
    virtHptJsonAddString(json, "expected", finding->expected);
    json_builder_end_object(json);
}

static void
jsonReport(JsonBuilder *json, const CheckResult *result)
{
    const VirtHptReport *report = result->report;

    virtHptJsonBeginArray(json, "findings");
    for (guint i = 0; i < report->findings->len; i++)
        jsonFinding(json, g_ptr_array_index(report->findings, i), result->offsets[i]);
    json_builder_end_array(json);

    virtHptJsonBeginObject(json, "counts");
    for (int i = VIRT_HPT_SEVERITY_NOTE; i <= VIRT_HPT_SEVERITY_ERROR; i++) {
        virtHptJsonAddUint(json, virtHptSeverityGetName((VirtHptSeverity)i),
                           virtHptReportCount(report, (VirtHptSeverity)i));
    }
    json_builder_end_object(json);

    virtHptJsonBeginObject(json, "rules");
    for (guint i = 0; i < VIRT_HPT_RULE_COUNT; i++) {
        if (report->counts[i])
            virtHptJsonAddUint(json, virtHptRuleGetName((VirtHptRule)i), report->counts[i]);
    }
    json_builder_end_object(json);

    /* A record's table may be compressed: what counts there are bytes of the uncompressed one */
    virtHptJsonAddString(json, "offsets_in",
                         result->subject->isRecord || result->subject->isTable ? "table" : "image");
    virtHptJsonAddUint(json, "entries", result->entries);
    virtHptJsonAddUint(json, "pteg_bits", report->ptegBits);
    virtHptJsonBeginArray(json, "placement");
    for (guint i = 0; i < report->placement->len; i++) {
        const VirtHptPlacement *placement = &g_array_index(report->placement, VirtHptPlacement, i);

        virtHptJsonBeginObject(json, NULL);
        virtHptJsonAddUint(json, "base", 1ULL << placement->size.base);
        virtHptJsonAddUint(json, "actual", 1ULL << placement->size.actual);
        virtHptJsonAddUint(json, "entries", placement->entries);
        virtHptJsonAddUint(json, "verifiable_bits", placement->verifiable);
        json_builder_end_object(json);
    }
    json_builder_end_array(json);
}

static void
printJson(VirtHptTool *tool, const CheckResult *result)
{
    g_autoptr(JsonBuilder) json = virtHptJsonNew();

    virtHptJsonAddString(json, "path", result->subject->path);
    virtHptJsonAddString(json, "mmu", virtHptMmuGetName(result->subject->mmu));
    if (result->report) {
        virtHptJsonAddString(json, "result", virtHptResultGetName(getVerdict(result->report)));
        jsonReport(json, result);
    } else {
        virtHptJsonAddString(json, "result", virtHptResultGetName(VIRT_HPT_RESULT_NOT_CHECKED));
    }
    virtHptJsonPrint(json, tool->out);
}

static char *
findingPlace(const VirtHptFinding *finding, guint64 offset, gboolean inRecord)
{
    unsigned long long slot = finding->slot;

    if (finding->slot == VIRT_HPT_NO_SLOT)
        return g_strdup(_("table"));
    if (offset == NO_OFFSET)
        return g_strdup_printf(_("slot %llu"), slot);
    if (inRecord) {
        return g_strdup_printf(_("slot %1$llu, offset %2$llu in the record's table"), slot,
                               (unsigned long long)offset);
    }
    return g_strdup_printf(_("slot %1$llu, file offset %2$llu"), slot, (unsigned long long)offset);
}

static void
textFindings(VirtHptTool *tool, const CheckResult *result)
{
    const GPtrArray *findings = result->report->findings;
    guint shown = 0;

    for (guint i = 0; i < findings->len; i++) {
        const VirtHptFinding *finding = g_ptr_array_index(findings, i);
        const VirtHptFinding *next = i + 1 < findings->len ? findings->pdata[i + 1] : NULL;
        g_autofree char *place =
            findingPlace(finding, result->offsets[i], result->subject->isRecord);
        g_autofree char *found = virtHptTextEscape(finding->found);
        g_autofree char *expected = virtHptTextEscape(finding->expected);
        guint64 more;

        virtHptOutputPrintf(tool->out, "%s: %s: %s: ", virtHptExplainSeverity(finding->severity),
                            virtHptRuleGetName(finding->rule), place);
        virtHptOutputPrintf(tool->out, _("found %1$s, expected %2$s"), found, expected);
        virtHptOutputPuts(tool->out, "\n");
        if (finding->slot != VIRT_HPT_NO_SLOT) {
            virtHptOutputPrintf(tool->out, "    V %016llx R %016llx\n",
                                (unsigned long long)finding->entry.v,
                                (unsigned long long)finding->entry.r);
        }
        shown++;
        if (next && next->rule == finding->rule)
            continue;

        more = result->report->counts[finding->rule] - shown;
        if (more > 0) {
            virtHptOutputPrintf(tool->out, _("    ... and %1$llu more of rule %2$s"),
                                (unsigned long long)more, virtHptRuleGetName(finding->rule));
            virtHptOutputPuts(tool->out, "\n");
        }
        shown = 0;
    }
    if (findings->len > 0 && !tool->quiet) {
        virtHptOutputPuts(tool->out, "\n");
        virtHptOutputField(tool->out, _("Rules:"), _("what they mean: %1$s"),
                           "virt-hpt check --explain RULE");
    }
}

static void
textPlacement(VirtHptTool *tool, const VirtHptReport *report)
{
    for (guint i = 0; i < report->placement->len; i++) {
        const VirtHptPlacement *placement = &g_array_index(report->placement, VirtHptPlacement, i);
        g_autofree char *base = virtHptTextPageSize(placement->size.base);
        g_autofree char *actual = virtHptTextPageSize(placement->size.actual);

        virtHptOutputField(
            tool->out, i == 0 ? _("Hash placement:") : "",
            ngettext("%1$s/%2$s: %3$llu entry, %4$u of %5$u bits of its PTEG verifiable",
                     "%1$s/%2$s: %3$llu entries, %4$u of %5$u bits of their PTEG verifiable",
                     (gulong)placement->entries),
            base, actual, (unsigned long long)placement->entries, placement->verifiable,
            report->ptegBits);
    }
}

static void
textVerdict(VirtHptTool *tool, const CheckResult *result)
{
    static const char *const verdicts[] = {
        [VIRT_HPT_RESULT_PASSED] = N_("consistent"),
        [VIRT_HPT_RESULT_WARNED] = N_("consistent, with warnings"),
        [VIRT_HPT_RESULT_FAILED] = N_("inconsistent"),
    };
    const VirtHptReport *report = result->report;
    gulong errors = (gulong)virtHptReportCount(report, VIRT_HPT_SEVERITY_ERROR);
    gulong warnings = (gulong)virtHptReportCount(report, VIRT_HPT_SEVERITY_WARNING);
    gulong notes = (gulong)virtHptReportCount(report, VIRT_HPT_SEVERITY_NOTE);

    virtHptOutputPadded(tool->out, _("Checked:"), VIRT_HPT_OUTPUT_LABEL_WIDTH);
    virtHptOutputPrintf(tool->out, ngettext("%llu entry", "%llu entries", (gulong)result->entries),
                        (unsigned long long)result->entries);
    virtHptOutputPuts(tool->out, ": ");
    virtHptOutputPrintf(tool->out, ngettext("%lu error", "%lu errors", errors), errors);
    virtHptOutputPuts(tool->out, ", ");
    virtHptOutputPrintf(tool->out, ngettext("%lu warning", "%lu warnings", warnings), warnings);
    virtHptOutputPuts(tool->out, ", ");
    virtHptOutputPrintf(tool->out, ngettext("%lu note", "%lu notes", notes), notes);
    virtHptOutputPuts(tool->out, "\n");
    virtHptOutputField(tool->out, _("Verdict:"), "%s", _(verdicts[getVerdict(report)]));
}

static void
printText(VirtHptTool *tool, const CheckResult *result)
{
    if (!result->report) {
        if (!tool->quiet)
            virtHptOutputField(tool->out, _("Verdict:"), "%s",
                               _("nothing to check: the guest's MMU is radix, it has no HPT"));
        return;
    }
    textFindings(tool, result);
    if (tool->quiet)
        return;
    textPlacement(tool, result->report);
    textVerdict(tool, result);
}

VirtHptExit
virtHptCmdCheck(VirtHptTool *tool, int argc, char **argv)
{
    g_autofree char *max = NULL;
    g_autofree char *rule = NULL;
    const GOptionEntry entries[] = {
        {"max", 0, 0, G_OPTION_ARG_FILENAME, &max,
         N_("Show at most N findings of each rule (default: 10)"), N_("N")},
        {"explain", 0, 0, G_OPTION_ARG_FILENAME, &rule,
         N_("Explain a rule, or all of them, and check nothing"), N_("RULE|all")},
        {.long_name = NULL},
    };
    g_auto(GStrv) operands = NULL;
    g_autoptr(VirtHptSubject) subject = NULL;
    g_autoptr(VirtHptReport) report = NULL;
    g_autofree guint64 *offsets = NULL;
    g_autoptr(GError) error = NULL;
    VirtHptCheckContext context = {0};
    VirtHptTableStats stats = {0};
    CheckResult result;
    guint64 maxPerRule = FINDINGS_DEFAULT;
    VirtHptExit status;

    if (!virtHptOptionsParse(tool, entries, argc, argv, &operands, &status))
        return status;
    if (max && !virtHptOptionsNumber(max, 1, FINDINGS_LIMIT, &maxPerRule))
        return virtHptToolUsage(tool, _("--max: '%1$s' is not a number from 1 to %2$u"), max,
                                FINDINGS_LIMIT);
    if (rule && operands)
        return virtHptToolUsage(tool, _("--explain RULE takes no FILE"));
    if (rule)
        return virtHptExplainRules(tool, rule);
    if (!operands)
        return virtHptToolUsage(tool, _("missing operand %s"), "FILE");

    subject = virtHptToolOpenTable(tool, operands[0], &error);
    if (!subject)
        return virtHptToolFailCheck(tool, error);

    if (subject->table) {
        virtHptSubjectGetCheckContext(subject, &context);
        context.maxPerRule = (guint)maxPerRule;
        report = virtHptTableCheck(subject->table, &context);
        virtHptTableGetStats(subject->table, &stats);
        offsets = locateFindings(tool, subject, report);
    }
    result = (CheckResult){subject, report, offsets, stats.valid};
    if (tool->json)
        printJson(tool, &result);
    else
        printText(tool, &result);

    switch (report ? getVerdict(report) : VIRT_HPT_RESULT_PASSED) {
    case VIRT_HPT_RESULT_FAILED:
        return VIRT_HPT_EXIT_BAD;
    case VIRT_HPT_RESULT_WARNED:
        return VIRT_HPT_EXIT_WARNED;
    case VIRT_HPT_RESULT_PASSED:
    case VIRT_HPT_RESULT_NOT_CHECKED:
    default:
        return VIRT_HPT_EXIT_GOOD;
    }
}
