/*
 * cmd_record.c: virt-hpt record and validate: keep a record, and judge by it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "config.h"

#include <glib/gi18n.h>

#include "libvirt-hpt/htab_error.h"
#include "json.h"
#include "options.h"
#include "progress.h"
#include "text.h"
#include "tool.h"
#include "verdict.h"

/* The longest that a dry run may be given, in seconds */
#define TIMEOUT_MAX 3600

/* The image that @path names, or that the record @path was made of */
static VirtHptPlace *
openPlace(const VirtHptTool *tool, const char *path, GError **error)
{
    g_autoptr(VirtHptSubject) subject = NULL;

    if (!virtHptPlaceIsRecord(path))
        return virtHptPlaceOpen(path, error);

    subject = virtHptToolOpen(tool, path, error);
    if (!subject)
        return NULL;
    if (!subject->place) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND,
                    _("'%1$s' is a record, and its image '%2$s' is not there"), path,
                    subject->record->def->imageFile);
        return NULL;
    }
    return g_steal_pointer(&subject->place);
}

/* Findings of the table check that the record keeps, by severity */
static void
countFindings(const VirtHptSnapshotDef *def, guint64 counts[VIRT_HPT_SEVERITY_ERROR + 1])
{
    for (guint i = 0; i < def->findings->len; i++) {
        const VirtHptKnownFinding *finding = &g_array_index(def->findings, VirtHptKnownFinding, i);

        counts[finding->severity] += finding->count;
    }
}

static void
recordJson(VirtHptTool *tool,
           const char *path,
           const VirtHptRecord *record,
           VirtHptRecordOutcome outcome,
           const guint64 *counts)
{
    g_autoptr(JsonBuilder) json = virtHptJsonNew();

    virtHptJsonAddString(json, "path", path);
    virtHptJsonAddString(json, "record", record->path);
    virtHptJsonAddString(json, "outcome", virtHptRecordOutcomeGetName(outcome));
    virtHptJsonAddString(json, "mmu", virtHptMmuGetName(record->def->mmu));
    virtHptJsonBeginObject(json, "counts");
    for (int i = VIRT_HPT_SEVERITY_NOTE; i <= VIRT_HPT_SEVERITY_ERROR; i++)
        virtHptJsonAddUint(json, virtHptSeverityGetName((VirtHptSeverity)i), counts[i]);
    json_builder_end_object(json);
    virtHptJsonPrint(json, tool->out);
}

static void
recordText(VirtHptTool *tool,
           const VirtHptRecord *record,
           VirtHptRecordOutcome outcome,
           const guint64 *counts)
{
    g_autofree char *path = virtHptTextEscape(record->path);
    guint64 findings = counts[VIRT_HPT_SEVERITY_ERROR] + counts[VIRT_HPT_SEVERITY_WARNING];

    if (!tool->quiet) {
        switch (outcome) {
        case VIRT_HPT_RECORD_CREATED:
            virtHptOutputPrintf(tool->out, _("%s: recorded"), path);
            break;
        case VIRT_HPT_RECORD_REPLACED:
            virtHptOutputPrintf(tool->out, _("%s: recorded anew, the old record was unusable"),
                                path);
            break;
        case VIRT_HPT_RECORD_UNCHANGED:
        default:
            virtHptOutputPrintf(tool->out, _("%s: unchanged, the record is current"), path);
            break;
        }
        virtHptOutputPuts(tool->out, "\n");
    }
    if (findings > 0) {
        virtHptOutputPrintf(tool->out,
                            ngettext("the table has %llu error or warning, see virt-hpt check",
                                     "the table has %llu errors and warnings, see virt-hpt check",
                                     (gulong)findings),
                            (unsigned long long)findings);
        virtHptOutputPuts(tool->out, "\n");
    }
}

VirtHptExit
virtHptCmdRecord(VirtHptTool *tool, int argc, char **argv)
{
    g_auto(GStrv) operands = NULL;
    g_autoptr(VirtHptPlace) place = NULL;
    g_autoptr(VirtHptRecord) record = NULL;
    g_autoptr(GError) error = NULL;
    guint64 counts[VIRT_HPT_SEVERITY_ERROR + 1] = {0};
    VirtHptRecordOutcome outcome = VIRT_HPT_RECORD_CREATED;
    VirtHptExit status;

    if (!virtHptOptionsParse(tool, NULL, argc, argv, &operands, &status))
        return status;

    place = openPlace(tool, operands[0], &error);
    if (place) {
        g_auto(VirtHptProgress) progress;

        virtHptProgressInit(&progress, tool);
        record = virtHptRecordCreate(place, virtHptProgressUpdate, &progress, &outcome, &error);
    }
    if (!record)
        return virtHptToolFail(tool, error);

    countFindings(record->def, counts);
    if (tool->json)
        recordJson(tool, operands[0], record, outcome, counts);
    else
        recordText(tool, record, outcome, counts);
    if (counts[VIRT_HPT_SEVERITY_ERROR] + counts[VIRT_HPT_SEVERITY_WARNING] > 0)
        return VIRT_HPT_EXIT_WARNED;
    return VIRT_HPT_EXIT_GOOD;
}

/* A file has no disks. */
static gboolean
addLevels(const char *list, VirtHptValidateOptions *options)
{
    g_auto(GStrv) names = g_strsplit(list, ",", -1);

    for (gsize i = 0; names[i]; i++) {
        VirtHptLevel level;

        if (!virtHptLevelFromName(names[i], &level) || level == VIRT_HPT_LEVEL_DISKS)
            return FALSE;
        options->skip &= ~(1U << level);
        options->require |= 1U << level;
    }
    return names[0] != NULL;
}

/* Levels that were named are required, and no others are run; what is wrong is returned. */
static const char *
parseLevels(char **lists, VirtHptValidateOptions *options)
{
    options->skip = ~0U;
    for (; *lists; lists++) {
        if (!addLevels(*lists, options))
            return *lists;
    }
    return NULL;
}

VirtHptExit
virtHptCmdValidate(VirtHptTool *tool, int argc, char **argv)
{
    g_auto(GStrv) levels = NULL;
    g_autofree char *timeout = NULL;
    gboolean noDryRun = FALSE;
    const GOptionEntry entries[] = {
        {"level", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &levels,
         N_("Run these levels only, and fail if one of them cannot be run"), N_("LEVEL,...")},
        {"no-dry-run", 0, 0, G_OPTION_ARG_NONE, &noDryRun, N_("Start no dry run"), NULL},
        {"timeout", 0, 0, G_OPTION_ARG_FILENAME, &timeout,
         N_("Give a dry run this many seconds; the default is 30"), N_("N")},
        {0},
    };
    g_auto(GStrv) operands = NULL;
    g_autoptr(VirtHptVerdict) verdict = NULL;
    g_autoptr(GError) error = NULL;
    VirtHptValidateOptions options = {0};
    const char *wrong = NULL;
    guint64 seconds = 0;
    VirtHptExit status;

    if (!virtHptOptionsParse(tool, entries, argc, argv, &operands, &status))
        return status;
    if (levels && noDryRun)
        return virtHptToolUsage(tool, _("--level and --no-dry-run exclude each other"));
    if (levels)
        wrong = parseLevels(levels, &options);
    if (wrong)
        return virtHptToolUsage(tool, _("--level: expected record, table or dry-run, not '%s'"),
                                wrong);
    if (timeout && !virtHptOptionsNumber(timeout, 1, TIMEOUT_MAX, &seconds))
        return virtHptToolUsage(tool, _("--timeout: expected a number from 1 to %d, not '%s'"),
                                TIMEOUT_MAX, timeout);
    if (noDryRun)
        options.skip = 1U << VIRT_HPT_LEVEL_DRY_RUN;
    options.timeout = (guint)seconds;
    {
        g_auto(VirtHptProgress) progress;

        virtHptProgressInit(&progress, tool);
        options.progress = virtHptProgressUpdate;
        options.progressOpaque = &progress;
        verdict = virtHptValidate(operands[0], &options, &error);
    }
    if (!verdict)
        return virtHptToolFailCheck(tool, error);

    return virtHptVerdictPrint(tool, operands[0], verdict);
}
