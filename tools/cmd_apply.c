/*
 * cmd_apply.c: virt-hpt apply: a table and a delta give another table
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "config.h"

#include <glib/gi18n.h>
#include <inttypes.h>

#include "libvirt-hpt/htab_error.h"
#include "libvirt-hpt/htab_stream.h"
#include "json.h"
#include "options.h"
#include "snapshot/snapshot_hptfile.h"
#include "tableout.h"
#include "text.h"
#include "tool.h"

typedef struct {
    const char *base;
    const char *delta;
    const char *output;
    guint order;
    guint64 length;
    VirtHptDeltaStats stats;
} ApplyResult;

static void
printJson(VirtHptTool *tool, const ApplyResult *result)
{
    g_autoptr(JsonBuilder) json = virtHptJsonNew();

    virtHptJsonAddString(json, "base", result->base);
    virtHptJsonAddString(json, "delta", result->delta);
    virtHptJsonAddString(json, "output", result->output);
    virtHptJsonAddUint(json, "order", result->order);
    virtHptJsonAddUint(json, "size", result->length);
    virtHptJsonAddUint(json, "set", result->stats.set);
    virtHptJsonAddUint(json, "cleared", result->stats.cleared);
    virtHptJsonAddUint(json, "same", result->stats.same);
    virtHptJsonAddUint(json, "absent", result->stats.absent);
    virtHptJsonPrint(json, tool->out);
}

static void
printText(VirtHptTool *tool, const ApplyResult *result)
{
    g_autofree char *name = virtHptTextEscape(result->output);

    virtHptOutputPrintf(tool->out,
                        _("%1$s: HPT of order %2$u, %3$" PRIu64 " bytes: %4$" PRIu64
                          " entries put, %5$" PRIu64 " removed"),
                        name, result->order, result->length, result->stats.set,
                        result->stats.cleared);
    virtHptOutputPuts(tool->out, "\n");
}

/* A stream cannot say which table it belongs to; but on that one each slot of it changes */
static gboolean
checkBase(VirtHptTool *tool, const VirtHptDeltaStats *stats)
{
    guint64 without = stats->same + stats->absent;

    if (without == 0)
        return TRUE;
    virtHptToolWarn(
        tool,
        _("%1$" PRIu64 " of %2$" PRIu64
          " slots in the delta were that way before: it was not made from this table, or it is a pass of a migration"),
        without, without + stats->set + stats->cleared);
    return FALSE;
}

static gboolean
encodeTable(VirtHptWriteFunc write, gpointer sink, gpointer opaque, GError **error)
{
    return virtHptTableEncodeCanonical(opaque, write, sink, error);
}

static VirtHptExit
applyFile(VirtHptTool *tool, char **operands, const char *output, gboolean force)
{
    g_auto(VirtHptTableOut) out = {0};
    g_autoptr(VirtHptPlace) delta = NULL;
    g_autoptr(VirtHptSubject) base = NULL;
    g_autoptr(GError) error = NULL;
    ApplyResult result = {.base = operands[0], .delta = operands[1], .output = output};

    if (!virtHptTableOutPrepare(&out, output, force, &error))
        return virtHptToolFail(tool, error);
    delta = virtHptPlaceOpen(operands[1], &error);
    if (delta)
        base = virtHptToolOpenTable(tool, operands[0], &error);
    if (!base)
        return virtHptToolFail(tool, error);
    if (!base->table) {
        g_set_error(&error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND,
                    _("'%s': nothing to apply a delta to: the guest's MMU is radix, it has no HPT"),
                    operands[0]);
        return virtHptToolFail(tool, error);
    }
    if (!virtHptFileApplyDelta(delta, operands[1], base->table, &result.stats, &error))
        return virtHptToolFailCheck(tool, error);
    if (!virtHptTableOutAvoidSubject(&out, base, &error) ||
        !virtHptTableOutAvoid(&out, delta, &error) ||
        !virtHptTableOutWrite(tool, &out, encodeTable, base->table, &result.length, &error))
        return virtHptToolFail(tool, error);

    result.order = base->order;
    if (tool->json)
        printJson(tool, &result);
    else if (out.file && !tool->quiet)
        printText(tool, &result);
    return checkBase(tool, &result.stats) ? VIRT_HPT_EXIT_GOOD : VIRT_HPT_EXIT_WARNED;
}

VirtHptExit
virtHptCmdApply(VirtHptTool *tool, int argc, char **argv)
{
    g_autofree char *output = NULL;
    gboolean force = FALSE;
    const GOptionEntry entries[] = {
        {"output", 'o', 0, G_OPTION_ARG_FILENAME, &output,
         N_("Where to write; - is standard output"), N_("OUT")},
        {"force", 'f', 0, G_OPTION_ARG_NONE, &force, N_("Replace OUT if it is there"), NULL},
        {.long_name = NULL},
    };
    g_auto(GStrv) operands = NULL;
    VirtHptExit status;

    if (!virtHptOptionsParse(tool, entries, argc, argv, &operands, &status))
        return status;
    if (!output)
        return virtHptToolUsage(tool, _("missing option --output"));
    if (!virtHptTableOutCheckStdout(tool, output, &status))
        return status;
    return applyFile(tool, operands, output, force);
}
