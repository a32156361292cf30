/*
 * tool.c: what every command of virt-hpt shares
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "config.h"

#include "tool.h"

#include <glib/gi18n.h>
#include <unistd.h>

#include "libvirt-hpt/htab_error.h"
#include "json.h"
#include "progress.h"
#include "text.h"

/* Prints "virt-hpt: PREFIX MESSAGE" to standard error */
static void
complain(const char *prefix, const char *message, const char *hint)
{
    g_autoptr(VirtHptOutput) err = virtHptOutputNew(STDERR_FILENO);
    g_autofree char *escaped = virtHptTextEscape(message);

    virtHptOutputPrintf(err, "virt-hpt: %s %s\n", prefix, escaped);
    if (hint)
        virtHptOutputPrintf(err, "%s\n", hint);
    virtHptOutputFlush(err);
}

static void
report(VirtHptTool *tool, const char *code, const char *message, const char *hint)
{
    g_autoptr(JsonBuilder) json = NULL;

    if (!tool->json) {
        /* What was found before the failure comes before it also where both go to one file */
        virtHptOutputFlush(tool->out);
        complain(_("error:"), message, hint);
        return;
    }
    json = virtHptJsonNew();
    virtHptJsonBeginObject(json, "error");
    virtHptJsonAddString(json, "code", code);
    virtHptJsonAddString(json, "message", message);
    json_builder_end_object(json);
    virtHptJsonPrint(json, tool->out);
}

/**
 * virtHptToolFail:
 * @tool: whose options say how to print
 * @error: why the command could not do it
 *
 * Returns: the exit code for @error
 */
VirtHptExit
virtHptToolFail(VirtHptTool *tool, const GError *error)
{
    gboolean own = error->domain == VIRT_HPT_ERROR;

    report(tool, virtHptErrorName(own ? (VirtHptError)error->code : VIRT_HPT_ERROR_FAILED),
           error->message, NULL);
    if (g_error_matches(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED))
        return VIRT_HPT_EXIT_UNSUPPORTED;
    return VIRT_HPT_EXIT_FAILED;
}

/**
 * virtHptToolFailCheck:
 * @tool: whose options say how to print
 * @error: why a command that checks could not read its input
 *
 * Input that cannot be read because it is broken was checked, and found bad.
 *
 * Returns: the exit code for @error
 */
VirtHptExit
virtHptToolFailCheck(VirtHptTool *tool, const GError *error)
{
    VirtHptExit status = virtHptToolFail(tool, error);

    if (g_error_matches(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED) ||
        g_error_matches(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_DAMAGED))
        return VIRT_HPT_EXIT_BAD;
    return status;
}

/**
 * virtHptToolUsage:
 * @tool: whose options say how to print
 * @format: as of printf(): what is wrong with the command line
 *
 * Returns: %VIRT_HPT_EXIT_USAGE
 */
VirtHptExit
virtHptToolUsage(VirtHptTool *tool, const char *format, ...)
{
    g_autofree char *message = NULL;
    g_autofree char *help = NULL;
    g_autofree char *hint = NULL;
    va_list args;

    va_start(args, format);
    message = g_strdup_vprintf(format, args);
    va_end(args);
    help = g_strconcat("virt-hpt ", tool->command ? tool->command->name : "",
                       tool->command ? " " : "", "--help", NULL);
    hint = g_strdup_printf(_("Try '%s'."), help);
    report(tool, "usage", message, hint);
    return VIRT_HPT_EXIT_USAGE;
}

/**
 * virtHptToolWarn:
 * @tool: whose options say whether to print
 * @format: as of printf(): what a user should know, which does not change the outcome
 */
void
virtHptToolWarn(const VirtHptTool *tool, const char *format, ...)
{
    g_autofree char *message = NULL;
    va_list args;

    if (tool->quiet || tool->json)
        return;
    va_start(args, format);
    message = g_strdup_vprintf(format, args);
    va_end(args);
    complain(_("warning:"), message, NULL);
}

/**
 * virtHptToolOpen:
 * @tool: whose options say whether to show progress
 * @path: an image or a record
 * @error: set on failure
 *
 * Returns: (transfer full): what @path holds, or %NULL
 */
VirtHptSubject *
virtHptToolOpen(const VirtHptTool *tool, const char *path, GError **error)
{
    g_auto(VirtHptProgress) progress;

    virtHptProgressInit(&progress, tool);
    return virtHptSubjectOpen(path, virtHptProgressUpdate, &progress, error);
}

/**
 * virtHptToolOpenTable:
 * @tool: whose options say whether to show progress
 * @path: an image, a record, or a table
 * @error: set on failure
 *
 * Returns: (transfer full): what @path holds, or %NULL
 */
VirtHptSubject *
virtHptToolOpenTable(const VirtHptTool *tool, const char *path, GError **error)
{
    g_auto(VirtHptProgress) progress;

    virtHptProgressInit(&progress, tool);
    return virtHptSubjectOpenTable(path, virtHptProgressUpdate, &progress, error);
}
