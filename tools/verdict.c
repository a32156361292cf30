/*
 * verdict.c: what a validation found, printed
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "config.h"

#include "verdict.h"

#include <glib/gi18n.h>

#include "json.h"
#include "text.h"

static const char *
resultText(VirtHptResult result)
{
    switch (result) {
    case VIRT_HPT_RESULT_PASSED:
        return _("passed");
    case VIRT_HPT_RESULT_WARNED:
        return _("passed with warnings");
    case VIRT_HPT_RESULT_NOT_CHECKED:
        return _("not checked");
    case VIRT_HPT_RESULT_FAILED:
    default:
        return _("failed");
    }
}

static void
verdictJson(VirtHptTool *tool, const char *path, const VirtHptVerdict *verdict)
{
    g_autoptr(JsonBuilder) json = virtHptJsonNew();

    virtHptJsonAddString(json, "path", path);
    virtHptJsonAddString(json, "result", virtHptResultGetName(verdict->result));
    virtHptJsonAddBool(json, "ram_covered", verdict->ramCovered);
    virtHptJsonBeginObject(json, "levels");
    for (gsize i = 0; i < G_N_ELEMENTS(verdict->levels); i++) {
        virtHptJsonAddString(json, virtHptLevelGetName((VirtHptLevel)i),
                             virtHptResultGetName(verdict->levels[i]));
    }
    json_builder_end_object(json);
    virtHptJsonBeginArray(json, "facts");
    for (guint i = 0; i < verdict->facts->len; i++) {
        const VirtHptFact *fact = g_ptr_array_index(verdict->facts, i);

        virtHptJsonBeginObject(json, NULL);
        virtHptJsonAddString(json, "level", virtHptLevelGetName(fact->level));
        virtHptJsonAddString(json, "result", virtHptResultGetName(fact->result));
        virtHptJsonAddString(json, "code", fact->code);
        virtHptJsonAddString(json, "message", fact->message);
        virtHptJsonAddString(json, "advice", fact->advice);
        json_builder_end_object(json);
    }
    json_builder_end_array(json);
    virtHptJsonPrint(json, tool->out);
}

/* A level that was not wanted has established nothing */
static gboolean
hasFacts(const VirtHptVerdict *verdict, VirtHptLevel level)
{
    for (guint i = 0; i < verdict->facts->len; i++) {
        const VirtHptFact *fact = g_ptr_array_index(verdict->facts, i);

        if (fact->level == level)
            return TRUE;
    }
    return FALSE;
}

static void
verdictFacts(VirtHptTool *tool, const VirtHptVerdict *verdict, VirtHptLevel level)
{
    for (guint i = 0; i < verdict->facts->len; i++) {
        const VirtHptFact *fact = g_ptr_array_index(verdict->facts, i);
        g_autofree char *message = virtHptTextEscape(fact->message);
        g_autofree char *advice = virtHptTextEscape(fact->advice);

        if (fact->level != level)
            continue;
        virtHptOutputPrintf(tool->out, "  %s: %s\n", fact->code, message);
        if (fact->advice)
            virtHptOutputPrintf(tool->out, "    %s\n", advice);
    }
}

static void
verdictText(VirtHptTool *tool, const VirtHptVerdict *verdict)
{
    static const char *const labels[] = {
        [VIRT_HPT_LEVEL_RECORD] = N_("Record:"),
        [VIRT_HPT_LEVEL_TABLE] = N_("Table:"),
        [VIRT_HPT_LEVEL_DRY_RUN] = N_("Dry run:"),
        [VIRT_HPT_LEVEL_DISKS] = N_("Disks:"),
    };

    for (gsize i = 0; i < G_N_ELEMENTS(labels); i++) {
        if (!hasFacts(verdict, (VirtHptLevel)i) ||
            (tool->quiet && verdict->levels[i] == VIRT_HPT_RESULT_PASSED))
            continue;
        virtHptOutputField(tool->out, _(labels[i]), "%s", resultText(verdict->levels[i]));
        verdictFacts(tool, verdict, (VirtHptLevel)i);
    }
    virtHptOutputField(tool->out, _("Verdict:"), "%s", resultText(verdict->result));
    virtHptOutputPuts(tool->out, verdict->ramCovered ? _("RAM contents are covered.")
                                                     : _("RAM contents are not covered."));
    virtHptOutputPuts(tool->out, "\n");
}

/**
 * virtHptVerdictPrint:
 * @tool: whose options say how to print
 * @path: what was validated
 * @verdict: what was found
 *
 * Returns: the exit code for @verdict
 */
VirtHptExit
virtHptVerdictPrint(VirtHptTool *tool, const char *path, const VirtHptVerdict *verdict)
{
    if (tool->json)
        verdictJson(tool, path, verdict);
    else
        verdictText(tool, verdict);
    switch (verdict->result) {
    case VIRT_HPT_RESULT_PASSED:
        return VIRT_HPT_EXIT_GOOD;
    case VIRT_HPT_RESULT_WARNED:
        return VIRT_HPT_EXIT_WARNED;
    case VIRT_HPT_RESULT_FAILED:
    case VIRT_HPT_RESULT_NOT_CHECKED:
    default:
        return VIRT_HPT_EXIT_BAD;
    }
}
