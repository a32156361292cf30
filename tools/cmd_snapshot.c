/*
 * cmd_snapshot.c: virt-hpt snapshot-list, -info, -dumpxml, -validate and -delete
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "config.h"

#include <glib/gi18n.h>
#include <inttypes.h>
#include <unistd.h>

#include "json.h"
#include "options.h"
#include "progress.h"
#include "snapshot.h"
#include "snapshot_common.h"
#include "text.h"
#include "verdict.h"

#define NAME_WIDTH 20
#define TIME_WIDTH 27
#define STATE_WIDTH 15
#define KIND_WIDTH 10

/**
 * Named:
 * @guest: the domain
 * @snapshot: one of its snapshots
 *
 * What the operands DOMAIN [NAME] mean.
 */
typedef struct {
    VirtHptGuest *guest;
    VirtHptSnapshot *snapshot;
} Named;

static void
namedClear(Named *named)
{
    g_clear_pointer(&named->snapshot, virtHptSnapshotFree);
    g_clear_pointer(&named->guest, virtHptGuestFree);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Named, namedClear)

/* Parses DOMAIN [NAME] and --current besides @own, an option without a value or NULL. */
static gboolean
openNamed(VirtHptTool *tool,
          int argc,
          char **argv,
          VirtHptAccess access,
          const GOptionEntry *own,
          Named *named,
          VirtHptExit *status)
{
    gboolean current = FALSE;
    const GOptionEntry entries[] = {
        {"current", 0, 0, G_OPTION_ARG_NONE, &current, N_("The current snapshot"), NULL},
        own ? *own : (GOptionEntry){.long_name = NULL},
        {.long_name = NULL},
    };
    g_auto(GStrv) operands = NULL;
    g_autoptr(GError) error = NULL;

    if (!virtHptOptionsParse(tool, entries, argc, argv, &operands, status) ||
        !virtHptToolCheckName(tool, operands, current, status))
        return FALSE;
    named->guest = virtHptToolOpenGuest(tool, operands[0], access, &error);
    if (named->guest)
        named->snapshot = virtHptSnapshotLookup(named->guest, operands[1], &error);
    if (named->snapshot)
        return TRUE;
    *status = virtHptToolFail(tool, error);
    return FALSE;
}

/* Whether a snapshot is recorded, in a stable word */
static const char *
recordState(const VirtHptSnapshot *snapshot)
{
    g_autoptr(VirtHptRecord) record = NULL;
    g_autoptr(GError) error = NULL;

    if (!snapshot->backend || !snapshot->image)
        return "none";
    record = virtHptSnapshotFindRecord(snapshot, &error);
    if (record)
        return "present";
    return error ? "unusable" : "none";
}

static const char *
recordText(const char *state)
{
    if (g_str_equal(state, "present"))
        return _("present");
    return g_str_equal(state, "none") ? _("none") : _("unusable");
}

static void
listJson(VirtHptTool *tool, const VirtHptGuest *guest, const GPtrArray *list)
{
    g_autoptr(JsonBuilder) json = virtHptJsonNew();

    virtHptJsonAddString(json, "domain", guest->name);
    virtHptJsonBeginArray(json, "snapshots");
    for (guint i = 0; i < list->len; i++) {
        const VirtHptSnapshot *snapshot = g_ptr_array_index(list, i);

        virtHptJsonBeginObject(json, NULL);
        virtHptJsonAddString(json, "name", snapshot->name);
        virtHptJsonAddUint(json, "creation_time", (guint64)MAX(snapshot->creationTime, 0));
        virtHptJsonAddString(json, "state", snapshot->state);
        virtHptJsonAddString(json, "kind", virtHptSnapshotGetKind(snapshot));
        virtHptJsonAddString(json, "memory", snapshot->image);
        virtHptJsonAddString(json, "record", recordState(snapshot));
        json_builder_end_object(json);
    }
    json_builder_end_array(json);
    virtHptJsonPrint(json, tool->out);
}

static void
listText(VirtHptTool *tool, const GPtrArray *list)
{
    if (!tool->quiet) {
        virtHptOutputPadded(tool->out, _("Name"), NAME_WIDTH);
        virtHptOutputPadded(tool->out, _("Creation time"), TIME_WIDTH);
        virtHptOutputPadded(tool->out, _("State"), STATE_WIDTH);
        virtHptOutputPadded(tool->out, _("Kind"), KIND_WIDTH);
        virtHptOutputPrintf(tool->out, "%s\n", _("Record"));
    }
    for (guint i = 0; i < list->len; i++) {
        const VirtHptSnapshot *snapshot = g_ptr_array_index(list, i);
        g_autofree char *name = virtHptTextEscape(snapshot->name);
        g_autofree char *time = virtHptTextTime(snapshot->creationTime);

        virtHptOutputPadded(tool->out, name, NAME_WIDTH);
        virtHptOutputPadded(tool->out, time, TIME_WIDTH);
        virtHptOutputPadded(tool->out, snapshot->state ? snapshot->state : "-", STATE_WIDTH);
        virtHptOutputPadded(tool->out, virtHptSnapshotGetKind(snapshot), KIND_WIDTH);
        virtHptOutputPrintf(tool->out, "%s\n", recordText(recordState(snapshot)));
    }
}

VirtHptExit
virtHptCmdSnapshotList(VirtHptTool *tool, int argc, char **argv)
{
    g_auto(GStrv) operands = NULL;
    g_autoptr(VirtHptGuest) guest = NULL;
    g_autoptr(GPtrArray) list = NULL;
    g_autoptr(GError) error = NULL;
    VirtHptExit status;

    if (!virtHptOptionsParse(tool, NULL, argc, argv, &operands, &status))
        return status;
    guest = virtHptToolOpenGuest(tool, operands[0], VIRT_HPT_ACCESS_LOOK, &error);
    if (guest)
        list = virtHptSnapshotList(guest, &error);
    if (!list)
        return virtHptToolFail(tool, error);
    if (tool->json)
        listJson(tool, guest, list);
    else
        listText(tool, list);
    return VIRT_HPT_EXIT_GOOD;
}

static void
infoJson(VirtHptTool *tool, const VirtHptSnapshot *snapshot, const VirtHptRecord *record)
{
    g_autoptr(JsonBuilder) json = virtHptJsonNew();

    virtHptJsonAddString(json, "domain", snapshot->guest->name);
    virtHptJsonAddString(json, "name", snapshot->name);
    virtHptJsonAddBool(json, "current", virDomainSnapshotIsCurrent(snapshot->handle, 0) == 1);
    virtHptJsonAddUint(json, "creation_time", (guint64)MAX(snapshot->creationTime, 0));
    virtHptJsonAddString(json, "state", snapshot->state);
    virtHptJsonAddString(json, "kind", virtHptSnapshotGetKind(snapshot));
    virtHptJsonAddString(json, "memory", snapshot->image);
    virtHptJsonAddString(json, "record", record ? record->path : NULL);
    if (record) {
        virtHptJsonAddString(json, "mmu", virtHptMmuGetName(record->def->mmu));
        virtHptJsonAddKnown(json, "order", record->def->order);
        virtHptJsonAddUint(json, "valid", record->def->stats.valid);
        virtHptJsonAddUint(json, "bolted", record->def->stats.bolted);
    }
    virtHptJsonPrint(json, tool->out);
}

static void
infoText(VirtHptTool *tool,
         const VirtHptSnapshot *snapshot,
         const VirtHptRecord *record,
         const GError *error)
{
    g_autofree char *name = virtHptTextEscape(snapshot->name);
    g_autofree char *domain = virtHptTextEscape(snapshot->guest->name);
    g_autofree char *time = virtHptTextTime(snapshot->creationTime);
    g_autofree char *image = virtHptTextEscape(snapshot->image);
    g_autofree char *path = record ? virtHptTextEscape(record->path) : NULL;
    g_autofree char *why = error ? virtHptTextEscape(error->message) : NULL;

    virtHptOutputField(tool->out, _("Name:"), "%s", name);
    virtHptOutputField(tool->out, _("Domain:"), "%s", domain);
    virtHptOutputField(tool->out, _("Current:"), "%s",
                       virDomainSnapshotIsCurrent(snapshot->handle, 0) == 1 ? _("yes") : _("no"));
    virtHptOutputField(tool->out, _("Creation time:"), "%s", time);
    virtHptOutputField(tool->out, _("State:"), "%s", snapshot->state ? snapshot->state : "-");
    virtHptOutputField(tool->out, _("Kind:"), "%s", virtHptSnapshotGetKind(snapshot));
    virtHptOutputField(tool->out, _("Memory:"), "%s", snapshot->image ? image : "-");
    virtHptOutputField(tool->out, _("Record:"), "%s", path ? path : (why ? why : _("none")));
    if (!record)
        return;
    virtHptOutputField(tool->out, _("MMU:"), "%s", virtHptMmuGetName(record->def->mmu));
    if (record->def->mmu != VIRT_HPT_MMU_HASH)
        return;
    virtHptOutputField(tool->out, _("HPT order:"), "%u", record->def->order);
    virtHptOutputField(tool->out, _("Valid:"), "%" PRIu64, record->def->stats.valid);
    virtHptOutputField(tool->out, _("Bolted:"), "%" PRIu64, record->def->stats.bolted);
}

VirtHptExit
virtHptCmdSnapshotInfo(VirtHptTool *tool, int argc, char **argv)
{
    g_auto(Named) named = {.guest = NULL};
    g_autoptr(VirtHptRecord) record = NULL;
    g_autoptr(GError) error = NULL;
    VirtHptExit status;

    if (!openNamed(tool, argc, argv, VIRT_HPT_ACCESS_LOOK, NULL, &named, &status))
        return status;
    if (named.snapshot->image)
        record = virtHptSnapshotFindRecord(named.snapshot, &error);
    if (tool->json)
        infoJson(tool, named.snapshot, record);
    else
        infoText(tool, named.snapshot, record, error);
    return VIRT_HPT_EXIT_GOOD;
}

static char *
readDescriptor(const VirtHptSnapshot *snapshot, GError **error)
{
    g_autoptr(VirtHptRecord) record = NULL;
    g_autofree char *quoted = NULL;
    g_autoptr(GError) local = NULL;

    if (!virtHptSnapshotHasImage(snapshot, error))
        return NULL;
    record = virtHptSnapshotFindRecord(snapshot, &local);
    if (record)
        return virtHptSnapshotDefFormat(record->def, NULL, error);
    quoted = g_shell_quote(snapshot->image);
    if (local)
        g_propagate_error(error, g_steal_pointer(&local));
    else
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND,
                    _("snapshot '%1$s' has no record; to make one: virt-hpt record %2$s"),
                    snapshot->name, quoted);
    return NULL;
}

VirtHptExit
virtHptCmdSnapshotDumpxml(VirtHptTool *tool, int argc, char **argv)
{
    g_auto(Named) named = {.guest = NULL};
    g_autofree char *xml = NULL;
    g_autoptr(GError) error = NULL;
    VirtHptExit status;

    if (!openNamed(tool, argc, argv, VIRT_HPT_ACCESS_LOOK, NULL, &named, &status))
        return status;
    xml = readDescriptor(named.snapshot, &error);
    if (!xml)
        return virtHptToolFail(tool, error);
    if (tool->json) {
        g_autoptr(JsonBuilder) json = virtHptJsonNew();

        virtHptJsonAddString(json, "xml", xml);
        virtHptJsonPrint(json, tool->out);
    } else {
        g_autofree char *safe = isatty(STDOUT_FILENO) ? virtHptTextXml(xml) : NULL;

        virtHptOutputPuts(tool->out, safe ? safe : xml);
    }
    return VIRT_HPT_EXIT_GOOD;
}

VirtHptExit
virtHptCmdSnapshotValidate(VirtHptTool *tool, int argc, char **argv)
{
    gboolean noDryRun = FALSE;
    const GOptionEntry own = {"no-dry-run",           0,   0, G_OPTION_ARG_NONE, &noDryRun,
                              N_("Start no dry run"), NULL};
    g_auto(Named) named = {.guest = NULL};
    g_autoptr(VirtHptWatch) layers = virtHptWatchNew();
    g_autoptr(VirtHptVerdict) verdict = NULL;
    g_autoptr(GError) error = NULL;
    VirtHptExit status;

    if (!openNamed(tool, argc, argv, VIRT_HPT_ACCESS_LOOK, &own, &named, &status))
        return status;
    if (virtHptSnapshotHasImage(named.snapshot, &error)) {
        g_auto(VirtHptProgress) progress;
        const VirtHptValidateOptions options = {
            .skip = noDryRun ? 1U << VIRT_HPT_LEVEL_DRY_RUN : 0,
            .progress = virtHptProgressUpdate,
            .progressOpaque = &progress,
        };

        virtHptProgressInit(&progress, tool);
        verdict = virtHptSnapshotValidate(named.snapshot, &options, layers, &error);
    }
    if (!verdict)
        return virtHptToolFailCheck(tool, error);
    return virtHptVerdictPrint(tool, named.snapshot->image, verdict);
}

static void
deletedJson(VirtHptTool *tool, const VirtHptSnapshot *snapshot, const GPtrArray *left)
{
    g_autoptr(JsonBuilder) json = virtHptJsonNew();

    virtHptJsonAddString(json, "domain", snapshot->guest->name);
    virtHptJsonAddString(json, "name", snapshot->name);
    virtHptJsonBeginArray(json, "left");
    for (guint i = 0; i < left->len; i++)
        virtHptJsonAddString(json, NULL, g_ptr_array_index(left, i));
    json_builder_end_array(json);
    virtHptJsonPrint(json, tool->out);
}

static void
deletedText(VirtHptTool *tool, const VirtHptSnapshot *snapshot, const GPtrArray *left)
{
    g_autofree char *name = virtHptTextEscape(snapshot->name);

    if (tool->quiet)
        return;
    virtHptOutputPrintf(tool->out, _("Snapshot '%s' was deleted."), name);
    virtHptOutputPuts(tool->out, "\n");
    for (guint i = 0; i < left->len; i++) {
        g_autofree char *path = virtHptTextEscape(g_ptr_array_index(left, i));

        virtHptOutputPrintf(tool->out, _("'%s' was left; the domain does not use it."), path);
        virtHptOutputPuts(tool->out, "\n");
    }
}

VirtHptExit
virtHptCmdSnapshotDelete(VirtHptTool *tool, int argc, char **argv)
{
    gboolean metadata = FALSE;
    const GOptionEntry own = {
        "metadata", 0,
        0,          G_OPTION_ARG_NONE,
        &metadata,  N_("Make libvirt forget it, and keep its files and its record"),
        NULL};
    g_auto(Named) named = {.guest = NULL};
    g_autoptr(GPtrArray) left = NULL;
    gboolean warned = FALSE;
    const VirtHptRevertOptions tell = {.say = virtHptToolSay, .warned = &warned, .opaque = tool};
    g_autoptr(GError) error = NULL;
    VirtHptExit status;

    if (!openNamed(tool, argc, argv, VIRT_HPT_ACCESS_CHANGE, &own, &named, &status))
        return status;
    if (!virtHptSnapshotDelete(named.snapshot, metadata, &tell, &left, &error))
        return virtHptToolFail(tool, error);
    if (tool->json)
        deletedJson(tool, named.snapshot, left);
    else
        deletedText(tool, named.snapshot, left);
    return warned ? VIRT_HPT_EXIT_WARNED : VIRT_HPT_EXIT_GOOD;
}
