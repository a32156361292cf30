/*
 * cmd_diff.c: virt-hpt diff: what changed from one table to another
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "config.h"

#include <glib/gi18n.h>
#include <inttypes.h>

#include "libvirt-hpt/htab_delta.h"
#include "libvirt-hpt/htab_diff.h"
#include "libvirt-hpt/htab_error.h"
#include "json.h"
#include "options.h"
#include "tableout.h"
#include "text.h"
#include "tool.h"

/* Differences shown of each kind unless --max says otherwise; the most that it may say */
#define DIFFERENCES_DEFAULT 10
#define DIFFERENCES_LIMIT 1000000

/* Column of the slot */
#define KIND_WIDTH 9

typedef struct {
    char *max;
    char *delta;
    gboolean ignoreRc;
    gboolean force;
} Arguments;

/*
 * What was compared.  @diff is NULL where slots cannot be: the tables have two orders, or not both
 * guests have one.
 */
typedef struct {
    const VirtHptSubject *before;
    const VirtHptSubject *after;
    const VirtHptDiff *diff;
    const char *delta;
    guint64 deltaLength;
    gboolean equal;
} DiffResult;

static void
argumentsClear(Arguments *arguments)
{
    g_free(arguments->max);
    g_free(arguments->delta);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Arguments, argumentsClear)

static void
jsonEntry(JsonBuilder *json, const char *key, const VirtHptEntry *entry)
{
    if (!(entry->v & VIRT_HPT_V_VALID)) {
        virtHptJsonAddNull(json, key);
        return;
    }
    virtHptJsonBeginObject(json, key);
    virtHptJsonAddHex(json, "v", entry->v);
    virtHptJsonAddHex(json, "r", entry->r);
    json_builder_end_object(json);
}

static void
jsonSide(JsonBuilder *json, const char *key, const VirtHptSubject *subject)
{
    virtHptJsonBeginObject(json, key);
    virtHptJsonAddString(json, "path", subject->path);
    virtHptJsonAddString(json, "mmu", virtHptMmuGetName(subject->mmu));
    virtHptJsonAddKnown(json, "order", subject->order);
    json_builder_end_object(json);
}

static void
jsonDifferences(JsonBuilder *json, const VirtHptDiff *diff)
{
    virtHptJsonBeginArray(json, "differences");
    for (guint i = 0; diff && i < diff->differences->len; i++) {
        const VirtHptDifference *found = &g_array_index(diff->differences, VirtHptDifference, i);

        virtHptJsonBeginObject(json, NULL);
        virtHptJsonAddUint(json, "slot", found->slot);
        virtHptJsonAddString(json, "kind", virtHptDiffKindGetName(found->kind));
        jsonEntry(json, "before", &found->before);
        jsonEntry(json, "after", &found->after);
        json_builder_end_object(json);
    }
    json_builder_end_array(json);
}

static void
printJson(VirtHptTool *tool, const DiffResult *result)
{
    g_autoptr(JsonBuilder) json = virtHptJsonNew();

    jsonSide(json, "before", result->before);
    jsonSide(json, "after", result->after);
    virtHptJsonAddString(json, "result", result->equal ? "equal" : "different");
    for (int kind = 0; kind < VIRT_HPT_DIFF_KINDS; kind++) {
        const char *key = virtHptDiffKindGetName((VirtHptDiffKind)kind);

        if (result->diff)
            virtHptJsonAddUint(json, key, result->diff->counts[kind]);
        else
            virtHptJsonAddNull(json, key);
    }
    jsonDifferences(json, result->diff);
    if (result->delta) {
        virtHptJsonBeginObject(json, "delta");
        virtHptJsonAddString(json, "path", result->delta);
        virtHptJsonAddUint(json, "size", result->deltaLength);
        json_builder_end_object(json);
    } else {
        virtHptJsonAddNull(json, "delta");
    }
    virtHptJsonPrint(json, tool->out);
}

static const char *
kindText(VirtHptDiffKind kind)
{
    switch (kind) {
    case VIRT_HPT_DIFF_ADDED:
        return _("added");
    case VIRT_HPT_DIFF_REMOVED:
        return _("removed");
    case VIRT_HPT_DIFF_CHANGED:
        return _("changed");
    case VIRT_HPT_DIFF_RC_ONLY:
    case VIRT_HPT_DIFF_KINDS:
    default:
        return _("R/C only");
    }
}

static void
textDifferences(VirtHptTool *tool, const VirtHptDiff *diff)
{
    guint64 more = virtHptDiffGetTotal(diff) - diff->differences->len;

    for (guint i = 0; i < diff->differences->len; i++) {
        const VirtHptDifference *found = &g_array_index(diff->differences, VirtHptDifference, i);
        const VirtHptEntry *first =
            found->kind == VIRT_HPT_DIFF_ADDED ? &found->after : &found->before;

        virtHptOutputPadded(tool->out, kindText(found->kind), KIND_WIDTH);
        virtHptOutputPrintf(tool->out, " %10" PRIu64 "  V %016" PRIx64 " R %016" PRIx64,
                            found->slot, first->v, first->r);
        if (found->kind == VIRT_HPT_DIFF_CHANGED || found->kind == VIRT_HPT_DIFF_RC_ONLY)
            virtHptOutputPrintf(tool->out, "  ->  V %016" PRIx64 " R %016" PRIx64, found->after.v,
                                found->after.r);
        virtHptOutputPuts(tool->out, "\n");
    }
    if (more > 0 && !tool->quiet) {
        virtHptOutputPrintf(tool->out, _("... and %" PRIu64 " more: --max shows them"), more);
        virtHptOutputPuts(tool->out, "\n");
    }
    if (diff->differences->len > 0 && !tool->quiet)
        virtHptOutputPuts(tool->out, "\n");
}

static void
textSummary(VirtHptTool *tool, const DiffResult *result)
{
    const VirtHptDiff *diff = result->diff;

    if (diff) {
        virtHptOutputField(tool->out, _("Order:"), "%u", result->before->order);
        virtHptOutputField(tool->out, _("Added:"), "%" PRIu64, diff->counts[VIRT_HPT_DIFF_ADDED]);
        virtHptOutputField(tool->out, _("Removed:"), "%" PRIu64,
                           diff->counts[VIRT_HPT_DIFF_REMOVED]);
        virtHptOutputField(tool->out, _("Changed:"), "%" PRIu64,
                           diff->counts[VIRT_HPT_DIFF_CHANGED]);
        virtHptOutputField(tool->out, _("R/C only:"), "%" PRIu64,
                           diff->counts[VIRT_HPT_DIFF_RC_ONLY]);
    } else if (result->before->mmu != result->after->mmu) {
        virtHptOutputField(tool->out, _("MMU:"), "%s, %s", virtHptMmuGetName(result->before->mmu),
                           virtHptMmuGetName(result->after->mmu));
    } else if (result->before->table) {
        virtHptOutputField(tool->out, _("Order:"), _("%1$u, %2$u: slots cannot be compared"),
                           result->before->order, result->after->order);
    } else {
        virtHptOutputField(tool->out, _("MMU:"), "%s", _("radix: neither guest has an HPT"));
    }
    if (result->delta) {
        g_autofree char *name = virtHptTextEscape(result->delta);

        virtHptOutputField(tool->out, _("Delta:"), _("%1$s, %2$" PRIu64 " bytes"), name,
                           result->deltaLength);
    }
    virtHptOutputField(tool->out, _("Verdict:"), "%s", result->equal ? _("equal") : _("different"));
}

static void
printText(VirtHptTool *tool, const DiffResult *result)
{
    if (result->diff)
        textDifferences(tool, result->diff);
    if (!tool->quiet)
        textSummary(tool, result);
}

static gboolean
encodeDelta(VirtHptWriteFunc write, gpointer sink, gpointer opaque, GError **error)
{
    const DiffResult *result = opaque;

    return virtHptTableEncodeDelta(result->before->table, result->after->table, write, sink, error);
}

static gboolean
writeDelta(VirtHptTool *tool, DiffResult *result, const VirtHptTableOut *out, GError **error)
{
    if (!result->diff) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED,
                    _("'%1$s': there is no delta between tables of two orders, or without tables"),
                    out->path);
        return FALSE;
    }
    result->delta = out->path;
    return virtHptTableOutAvoidSubject(out, result->before, error) &&
           virtHptTableOutAvoidSubject(out, result->after, error) &&
           virtHptTableOutWrite(tool, out, encodeDelta, result, &result->deltaLength, error);
}

/* Whether A and B are what a user calls equal */
static gboolean
isEqual(const DiffResult *result, gboolean ignoreRc)
{
    guint64 total;

    if (!result->diff)
        return !result->before->table && !result->after->table;
    total = virtHptDiffGetTotal(result->diff);
    return total == (ignoreRc ? result->diff->counts[VIRT_HPT_DIFF_RC_ONLY] : 0);
}

static VirtHptExit
diffFiles(VirtHptTool *tool, char **operands, const Arguments *arguments, guint64 max)
{
    g_auto(VirtHptTableOut) out = {0};
    g_autoptr(VirtHptSubject) before = NULL;
    g_autoptr(VirtHptSubject) after = NULL;
    g_autoptr(VirtHptDiff) diff = NULL;
    g_autoptr(GError) error = NULL;
    DiffResult result = {0};

    if (arguments->delta &&
        !virtHptTableOutPrepare(&out, arguments->delta, arguments->force, &error))
        return virtHptToolFail(tool, error);
    before = virtHptToolOpenTable(tool, operands[0], &error);
    if (before && before->table &&
        (G_GUINT64_CONSTANT(2) << before->order) > virtHptTableDefaultMaxBytes()) {
        g_set_error(&error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_LIMIT,
                    _("'%1$s': two HPTs of order %2$u do not fit into half of the memory"),
                    operands[0], before->order);
        return virtHptToolFail(tool, error);
    }
    if (before)
        after = virtHptToolOpenTable(tool, operands[1], &error);
    if (!after)
        return virtHptToolFail(tool, error);

    if (before->table && after->table && before->order == after->order)
        diff = virtHptTableDiff(before->table, after->table, max, NULL);
    result = (DiffResult){.before = before, .after = after, .diff = diff};
    result.equal = isEqual(&result, arguments->ignoreRc);
    if (arguments->delta && !writeDelta(tool, &result, &out, &error))
        return virtHptToolFail(tool, error);

    if (tool->json)
        printJson(tool, &result);
    else
        printText(tool, &result);
    return result.equal ? VIRT_HPT_EXIT_GOOD : VIRT_HPT_EXIT_BAD;
}

VirtHptExit
virtHptCmdDiff(VirtHptTool *tool, int argc, char **argv)
{
    g_auto(Arguments) arguments = {0};
    const GOptionEntry entries[] = {
        {"max", 0, 0, G_OPTION_ARG_FILENAME, &arguments.max,
         N_("Show at most N differences of each kind (default: 10)"), N_("N")},
        {"ignore-rc", 0, 0, G_OPTION_ARG_NONE, &arguments.ignoreRc,
         N_("Call tables equal that differ in the bits R and C alone"), NULL},
        {"delta", 0, 0, G_OPTION_ARG_FILENAME, &arguments.delta,
         N_("Write what turns A into B to this file"), N_("OUT")},
        {"force", 'f', 0, G_OPTION_ARG_NONE, &arguments.force, N_("Replace OUT if it is there"),
         NULL},
        {.long_name = NULL},
    };
    g_auto(GStrv) operands = NULL;
    guint64 max = DIFFERENCES_DEFAULT;
    VirtHptExit status;

    if (!virtHptOptionsParse(tool, entries, argc, argv, &operands, &status))
        return status;
    if (arguments.max && !virtHptOptionsNumber(arguments.max, 0, DIFFERENCES_LIMIT, &max))
        return virtHptToolUsage(tool, _("--max: '%1$s' is not a number from %2$u to %3$u"),
                                arguments.max, 0, DIFFERENCES_LIMIT);
    if (arguments.delta && g_str_equal(arguments.delta, "-"))
        return virtHptToolUsage(tool, _("--delta: what differs goes to standard output already"));
    return diffFiles(tool, operands, &arguments, max);
}
