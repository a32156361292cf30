/*
 * snapshot_validate.c: may this image be restored?
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * With a current record the table and machine state are those of the record, so the image's RAM
 * contents need not be passed: the cost is that of the HPT, whatever the guest's RAM.
 */

#include "config.h"

#include <fcntl.h>
#include <inttypes.h>

#include <glib/gi18n-lib.h>

#include "libvirt-hpt/htab_diff.h"
#include "snapshot/snapshot_validatepriv.h"
#include "snapshot/snapshot_watch.h"

/* Whether an error is a verdict about the input, not about our doings. */
static gboolean
isBad(const GError *error)
{
    return g_error_matches(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED) ||
           g_error_matches(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_DAMAGED) ||
           g_error_matches(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNTRUSTED);
}

/* Turns an error that is a verdict into a fact; hands on any other. */
static gboolean
judgeError(VirtHptVerdict *verdict,
           VirtHptLevel level,
           const char *code,
           const char *advice,
           GError *local,
           GError **error)
{
    if (!isBad(local)) {
        g_propagate_error(error, local);
        return FALSE;
    }
    virtHptVerdictAdd(verdict, level, VIRT_HPT_RESULT_FAILED, code, g_strdup(local->message),
                      advice);
    g_error_free(local);
    return TRUE;
}

static void
judgeComparison(VirtHptVerdict *verdict, const VirtHptPlace *place, const VirtHptComparison *found)
{
    switch (found->state) {
    case VIRT_HPT_RECORD_CURRENT:
        virtHptVerdictAdd(
            verdict, VIRT_HPT_LEVEL_RECORD, VIRT_HPT_RESULT_PASSED, "image-current",
            g_strdup_printf(ngettext("'%1$s': its %2$u recorded extent is as recorded",
                                     "'%1$s': all %2$u recorded extents are as recorded",
                                     found->extents),
                            place->path, found->extents),
            NULL);
        break;
    case VIRT_HPT_RECORD_DAMAGED:
        virtHptVerdictAdd(
            verdict, VIRT_HPT_LEVEL_RECORD, VIRT_HPT_RESULT_FAILED, "image-damaged",
            g_strdup_printf(
                _("'%1$s' was changed since it was recorded: %2$u of %3$u extents differ, the first holds the %4$s at bytes %5$" PRIu64
                  " to %6$" PRIu64),
                place->path, found->differing, found->extents,
                virtHptImagePartGetName(found->first->part), found->first->offset,
                found->first->offset + found->first->length - 1),
            _("do not restore it; take the image from a backup, or, if you know that the guest was saved anew, record that: virt-hpt record"));
        break;
    case VIRT_HPT_RECORD_STALE:
        virtHptVerdictAdd(
            verdict, VIRT_HPT_LEVEL_RECORD, VIRT_HPT_RESULT_NOT_CHECKED, "record-stale",
            g_strdup_printf(
                _("'%1$s' is not the image that was recorded: its record says nothing of it"),
                place->path),
            _("record it: virt-hpt record"));
        /* A stale record is no record, however sound it is. */
        verdict->levels[VIRT_HPT_LEVEL_RECORD] = VIRT_HPT_RESULT_NOT_CHECKED;
        if (found->doubtful)
            virtHptVerdictAdd(
                verdict, VIRT_HPT_LEVEL_RECORD, VIRT_HPT_RESULT_WARNED, "image-maybe-damaged",
                g_strdup_printf(
                    _("'%1$s' is of another time than its record, and differs from it in the machine state alone: the guest was saved anew, or the image was damaged"),
                    place->path),
                _("if you know that the guest was saved anew, record that: virt-hpt record"));
        break;
    }
}

/* Names the entries in a damaged image that are not those of its record. */
static void
nameDifferences(VirtHptVerdict *verdict,
                const VirtHptRecord *record,
                const VirtHptPlace *place,
                const VirtHptTable *recorded)
{
    g_autoptr(GError) local = NULL;
    g_autoptr(VirtHptImage) image = virtHptImageRead(place->fd, place->path, NULL, &local);
    g_autoptr(VirtHptDiff) diff = NULL;
    const VirtHptDifference *first;

    if (!image) {
        virtHptVerdictAdd(verdict, VIRT_HPT_LEVEL_RECORD, VIRT_HPT_RESULT_FAILED,
                          "image-unreadable", g_strdup(local->message), NULL);
        return;
    }
    if (!image->stream->hasHpt || image->stream->order != record->def->order) {
        virtHptVerdictAdd(
            verdict, VIRT_HPT_LEVEL_RECORD, VIRT_HPT_RESULT_FAILED, "order-changed",
            image->stream->hasHpt
                ? g_strdup_printf(
                      _("the image has a table of order %1$u, its record one of order %2$u"),
                      image->stream->order, record->def->order)
                : g_strdup_printf(_("the image has no table, its record one of order %1$u"),
                                  record->def->order),
            NULL);
        return;
    }
    diff = virtHptTableDiff(recorded, image->stream->table, 1, &local);
    if (!diff || diff->differences->len == 0)
        return;
    first = &g_array_index(diff->differences, VirtHptDifference, 0);
    virtHptVerdictAdd(verdict, VIRT_HPT_LEVEL_RECORD, VIRT_HPT_RESULT_FAILED, "entries-changed",
                      g_strdup_printf(_("%1$" PRIu64 " entries differ, the first in slot %2$" PRIu64
                                        ": V 0x%3$016" PRIx64 " R 0x%4$016" PRIx64
                                        ", recorded V 0x%5$016" PRIx64 " R 0x%6$016" PRIx64),
                                      virtHptDiffGetTotal(diff), first->slot, first->after.v,
                                      first->after.r, first->before.v, first->before.r),
                      NULL);
}

static guint64
knownCount(const VirtHptRecord *record, const char *rule)
{
    const GArray *findings = record ? record->def->findings : NULL;

    for (guint i = 0; findings && i < findings->len; i++) {
        const VirtHptKnownFinding *known = &g_array_index(findings, VirtHptKnownFinding, i);

        if (g_str_equal(known->rule, rule))
            return known->count;
    }
    return 0;
}

static const VirtHptFinding *
firstFinding(const VirtHptReport *report, VirtHptRule rule)
{
    for (guint i = 0; i < report->findings->len; i++) {
        const VirtHptFinding *finding = g_ptr_array_index(report->findings, i);

        if (finding->rule == rule)
            return finding;
    }
    return NULL;
}

static char *
describeRule(const VirtHptReport *report, VirtHptRule rule)
{
    const VirtHptFinding *first = firstFinding(report, rule);

    /* The report keeps at least one finding of each rule that it counts. */
    g_return_val_if_fail(first, NULL);
    if (first->slot == VIRT_HPT_NO_SLOT)
        return g_strdup_printf(_("%1$s: found %2$s, expected %3$s"), virtHptRuleGetName(rule),
                               first->found, first->expected);
    return g_strdup_printf(
        ngettext("%1$s: %2$" PRIu64 " finding, in slot %3$" PRIu64 ": found %4$s, expected %5$s",
                 "%1$s: %2$" PRIu64 " findings, the first in slot %3$" PRIu64
                 ": found %4$s, expected %5$s",
                 report->counts[rule]),
        virtHptRuleGetName(rule), report->counts[rule], first->slot, first->found, first->expected);
}

/* Judges what the check found.  What a current record knows already is no news. */
static void
judgeReport(VirtHptVerdict *verdict, const VirtHptReport *report, const VirtHptRecord *record)
{
    for (guint i = 0; i < VIRT_HPT_RULE_COUNT; i++) {
        VirtHptRule rule = (VirtHptRule)i;
        VirtHptSeverity severity = virtHptRuleGetSeverity(rule);
        const char *name = virtHptRuleGetName(rule);

        if (report->counts[rule] == 0 || severity == VIRT_HPT_SEVERITY_NOTE)
            continue;
        if (report->counts[rule] <= knownCount(record, name)) {
            virtHptVerdictAdd(
                verdict, VIRT_HPT_LEVEL_TABLE, VIRT_HPT_RESULT_PASSED, "finding-known",
                g_strdup_printf(_("%1$s: the table had this when it was recorded"), name), NULL);
            continue;
        }
        virtHptVerdictAdd(
            verdict, VIRT_HPT_LEVEL_TABLE,
            severity == VIRT_HPT_SEVERITY_ERROR ? VIRT_HPT_RESULT_FAILED : VIRT_HPT_RESULT_WARNED,
            name, describeRule(report, rule),
            severity == VIRT_HPT_SEVERITY_ERROR ? _("do not restore it; see: virt-hpt check")
                                                : _("see: virt-hpt check"));
    }
}

static void
checkTable(VirtHptValidation *validation,
           const VirtHptSubject *subject,
           const VirtHptRecord *current)
{
    VirtHptVerdict *verdict = validation->verdict;
    VirtHptCheckContext context;
    g_autoptr(VirtHptReport) report = NULL;

    if (!virtHptValidationWants(validation, VIRT_HPT_LEVEL_TABLE))
        return;
    if (subject->mmu == VIRT_HPT_MMU_RADIX) {
        virtHptVerdictAdd(verdict, VIRT_HPT_LEVEL_TABLE, VIRT_HPT_RESULT_PASSED, "no-table",
                          g_strdup(_("the guest has no hashed page table")), NULL);
        return;
    }
    virtHptSubjectGetCheckContext(subject, &context);
    report = virtHptTableCheck(subject->table, &context);
    judgeReport(verdict, report, current);
    if (verdict->levels[VIRT_HPT_LEVEL_TABLE] == VIRT_HPT_RESULT_NOT_CHECKED)
        virtHptVerdictAdd(verdict, VIRT_HPT_LEVEL_TABLE, VIRT_HPT_RESULT_PASSED, "table-sound",
                          g_strdup(_("the table is sound")), NULL);
}

/* Judges what a subject holds; @current: its record, where that counts. */
static gboolean
judgeSubject(VirtHptValidation *validation,
             const VirtHptSubject *subject,
             const VirtHptRecord *current,
             GError **error)
{
    checkTable(validation, subject, current);
    return virtHptValidationDryRun(validation, subject, error);
}

/* Reads the machine state of a record, which verifies it. */
static gboolean
loadState(VirtHptValidation *validation, const VirtHptSubject *subject, GError **error)
{
    gboolean keep = virtHptValidationWantsState(validation) && subject->record->def->domainXml;

    if (keep && (validation->state = virtHptDryRunOpenTemporary(error)) < 0)
        return FALSE;
    return virtHptRecordLoadState(subject->record, keep ? virtHptDryRunWriteTemporary : NULL,
                                  &validation->state, error);
}

static gboolean
judgeRecordError(VirtHptValidation *validation, GError *local, GError **error)
{
    return judgeError(validation->verdict, VIRT_HPT_LEVEL_RECORD, "record-damaged",
                      _("if the image itself is sound, make the record anew: virt-hpt record"),
                      local, error);
}

/* Reads a record, which it takes, for validation: its table and its machine state. */
static VirtHptSubject *
readRecord(VirtHptValidation *validation, VirtHptRecord *record, GError **error)
{
    GError *local = NULL;
    VirtHptSubject *subject;

    virtHptValidationBeginDryRun(validation, record);
    subject = virtHptSubjectOpenRecord(record, &local);
    if (subject && loadState(validation, subject, &local)) {
        virtHptVerdictAdd(
            validation->verdict, VIRT_HPT_LEVEL_RECORD, VIRT_HPT_RESULT_PASSED, "record-sound",
            g_strdup_printf(_("'%1$s' is as it was made"), subject->record->path), NULL);
        return subject;
    }
    g_clear_pointer(&subject, virtHptSubjectFree);
    judgeRecordError(validation, local, error);
    return NULL;
}

/* Compares a sound record with its image; @current: whether they agree. */
static gboolean
compare(VirtHptVerdict *verdict, const VirtHptSubject *subject, gboolean *current, GError **error)
{
    VirtHptComparison comparison;

    *current = FALSE;
    if (!virtHptRecordCompare(subject->record, subject->place, &comparison, error))
        return FALSE;
    judgeComparison(verdict, subject->place, &comparison);
    *current = comparison.state == VIRT_HPT_RECORD_CURRENT;
    if (comparison.state == VIRT_HPT_RECORD_DAMAGED && subject->table)
        nameDifferences(verdict, subject->record, subject->place, subject->table);
    return TRUE;
}

static gboolean
validateRecord(VirtHptValidation *validation, const char *path, GError **error)
{
    GError *local = NULL;
    VirtHptRecord *record = virtHptRecordOpen(path, &local);
    g_autoptr(VirtHptSubject) subject = NULL;
    gboolean current;

    if (!record)
        return judgeRecordError(validation, local, error);
    subject = readRecord(validation, record, &local);
    if (local) {
        g_propagate_error(error, local);
        return FALSE;
    }
    if (!subject)
        return TRUE;
    if (subject->place) {
        if (!compare(validation->verdict, subject, &current, error))
            return FALSE;
    } else if (!g_error_matches(subject->placeError, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND)) {
        g_propagate_error(error, g_steal_pointer(&subject->placeError));
        return FALSE;
    } else {
        virtHptVerdictAdd(
            validation->verdict, VIRT_HPT_LEVEL_RECORD, VIRT_HPT_RESULT_PASSED, "image-absent",
            g_strdup_printf(_("the image '%1$s' is not here: only the record was validated"),
                            subject->record->def->imageFile),
            NULL);
    }
    return judgeSubject(validation, subject, subject->record, error);
}

/* Validates an image that has no record, or none that counts. */
static gboolean
validateImage(VirtHptValidation *validation, const char *path, GError **error)
{
    VirtHptImageOptions options = {
        .progress = validation->options->progress,
        .progressOpaque = validation->options->progressOpaque,
    };
    GError *local = NULL;
    g_autoptr(VirtHptSubject) subject = NULL;

    if (virtHptValidationWantsState(validation)) {
        validation->state = virtHptDryRunOpenTemporary(error);
        if (validation->state < 0)
            return FALSE;
        options.stream.state = virtHptDryRunWriteTemporary;
        options.stream.opaque = &validation->state;
    }
    subject = virtHptSubjectOpenFull(path, &options, &local);
    if (!subject)
        return judgeError(validation->verdict, VIRT_HPT_LEVEL_TABLE, "image-malformed",
                          _("do not restore it; take the image from a backup"), local, error);
    return judgeSubject(validation, subject, NULL, error);
}

/* Validates an image by its record, which it takes; @judged: whether that was enough. */
static gboolean
validateByRecord(VirtHptValidation *validation,
                 VirtHptRecord *record,
                 gboolean *judged,
                 GError **error)
{
    GError *local = NULL;
    g_autoptr(VirtHptSubject) subject = readRecord(validation, record, &local);
    gboolean current;

    *judged = TRUE;
    if (local) {
        g_propagate_error(error, local);
        return FALSE;
    }
    if (!subject)
        return TRUE;
    if (!subject->place) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO,
                    _("'%1$s': its image went away: try again"), subject->record->path);
        return FALSE;
    }
    if (!compare(validation->verdict, subject, &current, error))
        return FALSE;
    *judged = current || validation->verdict->result == VIRT_HPT_RESULT_FAILED;
    return !current || judgeSubject(validation, subject, subject->record, error);
}

static gboolean
validatePlace(VirtHptValidation *validation,
              const VirtHptPlace *place,
              const char *path,
              GError **error)
{
    GError *local = NULL;
    g_autoptr(VirtHptRecord) record = virtHptRecordFind(place, &local);
    gboolean judged = FALSE;

    if (local) {
        if (!judgeError(validation->verdict, VIRT_HPT_LEVEL_RECORD, "record-unusable",
                        _("if the image itself is sound, remove the record and make it anew"),
                        local, error))
            return FALSE;
    } else if (!record) {
        virtHptVerdictAdd(validation->verdict, VIRT_HPT_LEVEL_RECORD, VIRT_HPT_RESULT_NOT_CHECKED,
                          "record-none",
                          g_strdup_printf(_("'%1$s' has no record to compare it with"), path),
                          _("record it while it is known to be good: virt-hpt record"));
    } else if (!validateByRecord(validation, g_steal_pointer(&record), &judged, error)) {
        return FALSE;
    }
    if (judged)
        return TRUE;
    virtHptValidationDropState(validation);
    return validateImage(validation, path, error);
}

/* A verdict is about the image that lies there all the time. */
static gboolean
validateFile(VirtHptValidation *validation, const char *path, GError **error)
{
    g_autoptr(VirtHptPlace) place = virtHptPlaceOpen(path, error);
    g_autoptr(VirtHptWatch) watch = virtHptWatchNew();
    int fd = place ? fcntl(place->fd, F_DUPFD_CLOEXEC, 0) : -1;

    if (!place)
        return FALSE;
    virtHptWatchAddOpen(watch, path, fd, &place->stat);
    return validatePlace(validation, place, path, error) &&
           virtHptWatchCheck(watch, VIRT_HPT_WATCH_OURS, error);
}

/* A level that is required must have been run, unless one before it failed. */
static gboolean
checkRequired(const VirtHptValidation *validation, GError **error)
{
    const VirtHptVerdict *verdict = validation->verdict;

    for (gsize i = 0; i < G_N_ELEMENTS(verdict->levels); i++) {
        if (!(validation->options->require & (1U << i)) ||
            verdict->result == VIRT_HPT_RESULT_FAILED ||
            verdict->levels[i] != VIRT_HPT_RESULT_NOT_CHECKED)
            continue;
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                    _("the level '%1$s' is required, and cannot be run here"),
                    virtHptLevelGetName((VirtHptLevel)i));
        return FALSE;
    }
    return TRUE;
}

/**
 * virtHptValidate:
 * @path: an image, or a record directory
 * @options: what is wanted, or %NULL
 * @error: set where nothing can be said: %VIRT_HPT_ERROR_NOT_FOUND, %VIRT_HPT_ERROR_IO,
 *   %VIRT_HPT_ERROR_UNSUPPORTED also where a dry run does not know the guest's hardware,
 *   %VIRT_HPT_ERROR_LIMIT; %VIRT_HPT_ERROR_FAILED where a level that is required cannot be run
 *
 * Validates level after level.  An image that is changed or replaced meanwhile is an error
 * (%VIRT_HPT_ERROR_DAMAGED), whatever was found.  An input that is damaged or malformed is a
 * verdict, not an error.
 *
 * Returns: (transfer full): the verdict, or %NULL
 */
VirtHptVerdict *
virtHptValidate(const char *path, const VirtHptValidateOptions *options, GError **error)
{
    static const VirtHptValidateOptions defaults;
    g_autoptr(VirtHptVerdict) verdict = virtHptVerdictNew();
    VirtHptValidation validation = {
        .options = options ? options : &defaults,
        .verdict = verdict,
        .state = -1,
    };
    gboolean ok = virtHptPlaceIsRecord(path) ? validateRecord(&validation, path, error)
                                             : validateFile(&validation, path, error);

    virtHptValidationDropState(&validation);
    ok = ok && checkRequired(&validation, error);
    return ok ? g_steal_pointer(&verdict) : NULL;
}
