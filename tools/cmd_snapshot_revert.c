/*
 * cmd_snapshot_revert.c: virt-hpt snapshot-revert
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "config.h"

#include <glib/gi18n.h>
#include <inttypes.h>

#include "json.h"
#include "options.h"
#include "progress.h"
#include "qemu/qemu_capture.h"
#include "snapshot.h"
#include "snapshot_common.h"
#include "text.h"
#include "verdict.h"

typedef struct {
    gboolean current;
    gboolean discard;
    gboolean prove;
    gboolean noDryRun;
    gboolean paused;
    gboolean running;
    gboolean recover;
} Options;

/* What virtHptSnapshotRevert() hands back */
typedef struct {
    VirtHptTool *tool;
    VirtHptProgress *progress;
} Watcher;

static void
watchProgress(guint64 done, guint64 total, gpointer opaque)
{
    const Watcher *watcher = opaque;

    virtHptProgressUpdate(done, total, watcher->progress);
}

static void
watchSay(const char *message, gpointer opaque)
{
    const Watcher *watcher = opaque;

    virtHptToolSay(message, watcher->tool);
}

static const char *
outcomeName(const VirtHptRevertResult *result)
{
    return result->outcome == VIRT_HPT_REVERT_DONE ? "reverted" : "differs";
}

static void
resultJson(VirtHptTool *tool, const VirtHptSnapshot *snapshot, const VirtHptRevertResult *result)
{
    const VirtHptDiff *diff = result->diff;
    g_autoptr(JsonBuilder) json = virtHptJsonNew();

    virtHptJsonAddString(json, "domain", snapshot->guest->name);
    virtHptJsonAddString(json, "name", snapshot->name);
    virtHptJsonAddString(json, "outcome", outcomeName(result));
    virtHptJsonAddString(json, "validation", virtHptResultGetName(result->verdict->result));
    virtHptJsonAddBool(json, "running", result->running);
    virtHptJsonAddBool(json, "resume_first",
                       !virtHptCaptureCheckSpent(snapshot->guest->domain, NULL));
    virtHptJsonAddBool(json, "proved", result->proved);
    virtHptJsonAddString(json, "state_before", result->aside);
    virtHptJsonAddUint(json, "differing", diff ? virtHptDiffGetTotal(diff) : 0);
    virtHptJsonBeginArray(json, "differences");
    for (guint i = 0; diff && i < diff->differences->len; i++) {
        const VirtHptDifference *found = &g_array_index(diff->differences, VirtHptDifference, i);

        virtHptJsonBeginObject(json, NULL);
        virtHptJsonAddUint(json, "slot", found->slot);
        virtHptJsonAddString(json, "kind", virtHptDiffKindGetName(found->kind));
        virtHptJsonAddHex(json, "recorded_v", found->before.v);
        virtHptJsonAddHex(json, "recorded_r", found->before.r);
        virtHptJsonAddHex(json, "v", found->after.v);
        virtHptJsonAddHex(json, "r", found->after.r);
        json_builder_end_object(json);
    }
    json_builder_end_array(json);
    virtHptJsonPrint(json, tool->out);
}

static void
differencesText(VirtHptTool *tool, const VirtHptRevertResult *result)
{
    const VirtHptDiff *diff = result->diff;

    virtHptOutputPrintf(tool->out,
                        _("The restored table differs from the recorded one in %" PRIu64 " slots:"),
                        virtHptDiffGetTotal(diff));
    virtHptOutputPuts(tool->out, "\n");
    for (guint i = 0; i < diff->differences->len; i++) {
        const VirtHptDifference *found = &g_array_index(diff->differences, VirtHptDifference, i);

        virtHptOutputPrintf(tool->out,
                            "  %s %" PRIu64 ": V %016" PRIx64 " R %016" PRIx64 ", V %016" PRIx64
                            " R %016" PRIx64 "\n",
                            virtHptDiffKindGetName(found->kind), found->slot, found->before.v,
                            found->before.r, found->after.v, found->after.r);
    }
    virtHptOutputPuts(tool->out, _("The guest is paused."));
    if (result->aside) {
        g_autofree char *aside = virtHptTextEscape(result->aside);

        virtHptOutputPuts(tool->out, " ");
        virtHptOutputPrintf(
            tool->out,
            _("Its state before is in '%s'; to go back to it: virt-hpt snapshot-revert --recover"),
            aside);
    }
    virtHptOutputPuts(tool->out, "\n");
}

static void
spentText(VirtHptTool *tool, const VirtHptSnapshot *snapshot)
{
    if (!virtHptCaptureCheckSpent(snapshot->guest->domain, NULL))
        virtHptOutputPrintf(
            tool->out, "%s\n",
            _("Its QEMU can neither save it nor make another snapshot of it until it was resumed: virsh resume"));
}

static void
resultText(VirtHptTool *tool, const VirtHptSnapshot *snapshot, const VirtHptRevertResult *result)
{
    g_autofree char *name = virtHptTextEscape(snapshot->name);

    if (result->outcome == VIRT_HPT_REVERT_DIFFERS) {
        differencesText(tool, result);
        spentText(tool, snapshot);
        return;
    }
    if (tool->quiet)
        return;
    if (result->diff)
        virtHptOutputPrintf(tool->out, "%s\n",
                            _("The restored table is the recorded one, slot by slot."));
    virtHptOutputPrintf(tool->out,
                        result->running ? _("Reverted to '%s'; the guest runs.")
                                        : _("Reverted to '%s'; the guest is paused."),
                        name);
    virtHptOutputPuts(tool->out, "\n");
    spentText(tool, snapshot);
}

static VirtHptExit
printResult(VirtHptTool *tool,
            const VirtHptSnapshot *snapshot,
            const VirtHptRevertResult *result,
            gboolean warned)
{
    if (result->outcome == VIRT_HPT_REVERT_REFUSED) {
        virtHptVerdictPrint(tool, snapshot->image, result->verdict);
        return VIRT_HPT_EXIT_BAD;
    }
    if (tool->json)
        resultJson(tool, snapshot, result);
    else
        resultText(tool, snapshot, result);
    if (result->outcome != VIRT_HPT_REVERT_DONE)
        return VIRT_HPT_EXIT_BAD;
    return warned || result->verdict->result == VIRT_HPT_RESULT_WARNED ? VIRT_HPT_EXIT_WARNED
                                                                       : VIRT_HPT_EXIT_GOOD;
}

static VirtHptExit
revert(VirtHptTool *tool, VirtHptSnapshot *snapshot, const Options *options)
{
    g_auto(VirtHptProgress) progress;
    g_auto(VirtHptRevertResult) result = {.outcome = VIRT_HPT_REVERT_REFUSED};
    g_autoptr(GError) error = NULL;
    Watcher watcher = {.tool = tool, .progress = &progress};
    gboolean warned = FALSE;
    VirtHptRevertOptions how = {
        .discardCurrent = options->discard,
        .prove = options->prove,
        .noDryRun = options->noDryRun,
        .progress = watchProgress,
        .say = watchSay,
        .hold = virtHptToolHold,
        .warned = &warned,
        .opaque = &watcher,
    };

    if (options->paused)
        how.run = VIRT_HPT_RUN_PAUSED;
    else if (options->running)
        how.run = VIRT_HPT_RUN_RUNNING;
    virtHptProgressInit(&progress, tool);
    if (!virtHptSnapshotRevert(snapshot, &how, &result, &error))
        return virtHptToolFailCheck(tool, error);
    return printResult(tool, snapshot, &result, warned);
}

static VirtHptExit
recover(VirtHptTool *tool, const char *domain)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptGuest) guest = virtHptGuestOpen(tool->connection, domain, &error);
    gboolean warned = FALSE;
    const VirtHptRevertOptions options = {
        .say = virtHptToolSay,
        .hold = virtHptToolHold,
        .warned = &warned,
        .opaque = tool,
    };
    VirtHptRecovery recovery;

    if (!guest || !virtHptGuestLock(guest, &error) ||
        !virtHptGuestRecover(guest, TRUE, &options, &recovery, &error))
        return virtHptToolFail(tool, error);
    if (recovery == VIRT_HPT_RECOVERY_NONE && !tool->quiet && !tool->json)
        virtHptOutputPrintf(tool->out, "%s\n", _("No revert was interrupted."));
    virtHptToolSayRecovery(tool, guest, recovery);
    if (tool->json) {
        g_autoptr(JsonBuilder) json = virtHptJsonNew();

        virtHptJsonAddString(json, "domain", guest->name);
        virtHptJsonAddBool(json, "recovered", recovery != VIRT_HPT_RECOVERY_NONE);
        virtHptJsonAddString(json, "outcome", virtHptToolRecoveryName(recovery));
        virtHptJsonPrint(json, tool->out);
    }
    if (recovery == VIRT_HPT_RECOVERY_DIFFERS)
        return VIRT_HPT_EXIT_BAD;
    return warned ? VIRT_HPT_EXIT_WARNED : VIRT_HPT_EXIT_GOOD;
}

static VirtHptExit
run(VirtHptTool *tool, char **operands, const Options *options)
{
    g_autoptr(VirtHptGuest) guest = NULL;
    g_autoptr(VirtHptSnapshot) snapshot = NULL;
    g_autoptr(GError) error = NULL;
    VirtHptExit status;

    if (options->paused && options->running)
        return virtHptToolUsage(tool, _("--paused and --running exclude each other"));
    if (options->recover) {
        if (operands[1] || options->current)
            return virtHptToolUsage(tool, _("--recover takes no snapshot"));
        if (options->prove || options->noDryRun || options->discard || options->paused ||
            options->running)
            return virtHptToolUsage(tool, _("--recover takes no other option"));
        return recover(tool, operands[0]);
    }
    if (!virtHptToolCheckName(tool, operands, options->current, &status))
        return status;
    guest = virtHptToolOpenGuest(tool, operands[0], VIRT_HPT_ACCESS_CHANGE, &error);
    if (guest)
        snapshot = virtHptSnapshotLookup(guest, operands[1], &error);
    if (!snapshot)
        return virtHptToolFail(tool, error);
    return revert(tool, snapshot, options);
}

VirtHptExit
virtHptCmdSnapshotRevert(VirtHptTool *tool, int argc, char **argv)
{
    Options options = {0};
    const GOptionEntry entries[] = {
        {"current", 0, 0, G_OPTION_ARG_NONE, &options.current, N_("The current snapshot"), NULL},
        {"prove", 0, 0, G_OPTION_ARG_NONE, &options.prove,
         N_("Compare the restored table with the recorded one before the guest runs"), NULL},
        {"no-dry-run", 0, 0, G_OPTION_ARG_NONE, &options.noDryRun,
         N_("Do not try first whether this host restores the guest"), NULL},
        {"discard-current", 0, 0, G_OPTION_ARG_NONE, &options.discard,
         N_("Do not save the state of the running guest first"), NULL},
        {"paused", 0, 0, G_OPTION_ARG_NONE, &options.paused, N_("Leave the guest paused"), NULL},
        {"running", 0, 0, G_OPTION_ARG_NONE, &options.running, N_("Let the guest run"), NULL},
        {"recover", 0, 0, G_OPTION_ARG_NONE, &options.recover,
         N_("Bring the domain back after a revert that was interrupted or differed"), NULL},
        {.long_name = NULL},
    };
    g_auto(GStrv) operands = NULL;
    VirtHptExit status;

    if (!virtHptOptionsParse(tool, entries, argc, argv, &operands, &status))
        return status;
    return run(tool, operands, &options);
}
