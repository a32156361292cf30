/*
 * explain.c: what the rules of a check mean
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "config.h"

#include "explain.h"

#include <glib/gi18n.h>

#include "json.h"
#include "text.h"

#define ALL "all"

/* Of the value in a field, so that lines end before column 80 */
#define VALUE_WIDTH (79 - VIRT_HPT_OUTPUT_LABEL_WIDTH)

/**
 * virtHptExplainSeverity:
 * @severity: a severity
 *
 * Returns: its name as people read it, translated
 */
const char *
virtHptExplainSeverity(VirtHptSeverity severity)
{
    switch (severity) {
    case VIRT_HPT_SEVERITY_NOTE:
        return _("note");
    case VIRT_HPT_SEVERITY_WARNING:
        return _("warning");
    case VIRT_HPT_SEVERITY_ERROR:
    default:
        return _("error");
    }
}

/* A field whose value is broken between words */
static void
textField(VirtHptTool *tool, const char *label, const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, " ", 0);
    g_autoptr(GString) line = g_string_new(NULL);

    for (guint i = 0; words[i]; i++) {
        guint width = virtHptTextWidth(line->str) + 1 + virtHptTextWidth(words[i]);

        if (line->len > 0 && width > VALUE_WIDTH) {
            virtHptOutputField(tool->out, label, "%s", line->str);
            label = "";
            g_string_truncate(line, 0);
        }
        if (line->len > 0)
            g_string_append_c(line, ' ');
        g_string_append(line, words[i]);
    }
    virtHptOutputField(tool->out, label, "%s", line->str);
}

static void
textRule(VirtHptTool *tool, VirtHptRule rule)
{
    VirtHptRuleText text;

    virtHptRuleGetText(rule, &text);
    textField(tool, _("Rule:"), virtHptRuleGetName(rule));
    textField(tool, _("Severity:"), virtHptExplainSeverity(virtHptRuleGetSeverity(rule)));
    textField(tool, _("Finding:"), text.summary);
    textField(tool, _("Meaning:"), text.meaning);
    textField(tool, _("Sane guests:"), text.guests);
    textField(tool, _("What to do:"), text.advice);
    textField(tool, _("Source:"), text.source);
}

static void
jsonRule(JsonBuilder *json, VirtHptRule rule)
{
    VirtHptRuleText text;

    virtHptRuleGetText(rule, &text);
    virtHptJsonBeginObject(json, NULL);
    virtHptJsonAddString(json, "rule", virtHptRuleGetName(rule));
    virtHptJsonAddString(json, "severity", virtHptSeverityGetName(virtHptRuleGetSeverity(rule)));
    virtHptJsonAddString(json, "finding", text.summary);
    virtHptJsonAddString(json, "meaning", text.meaning);
    virtHptJsonAddString(json, "guests", text.guests);
    virtHptJsonAddString(json, "advice", text.advice);
    virtHptJsonAddString(json, "source", text.source);
    json_builder_end_object(json);
}

/**
 * virtHptExplainRules:
 * @tool: whose options say how to print
 * @name: a rule's name, or "all"
 *
 * Prints what a rule means.
 *
 * Returns: exit code
 */
VirtHptExit
virtHptExplainRules(VirtHptTool *tool, const char *name)
{
    gboolean all = g_str_equal(name, ALL);
    VirtHptRule rule = (VirtHptRule)0;
    g_autoptr(JsonBuilder) json = NULL;
    guint end;

    if (!all && !virtHptRuleFromName(name, &rule))
        return virtHptToolUsage(
            tool,
            _("--explain: there is no rule '%1$s': 'virt-hpt check --explain %2$s' shows all"),
            name, ALL);
    end = all ? VIRT_HPT_RULE_COUNT : (guint)rule + 1;

    if (tool->json) {
        json = virtHptJsonNew();
        virtHptJsonBeginArray(json, "rules");
    }
    for (guint i = rule; i < end; i++) {
        if (json) {
            jsonRule(json, (VirtHptRule)i);
            continue;
        }
        if (i != (guint)rule)
            virtHptOutputPuts(tool->out, "\n");
        textRule(tool, (VirtHptRule)i);
    }
    if (json) {
        json_builder_end_array(json);
        virtHptJsonPrint(json, tool->out);
    }
    return VIRT_HPT_EXIT_GOOD;
}
