/*
 * snapshot_validate.c: may this image be restored?
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * With a current record the table and machine state are those of the record, so the image's RAM
 * contents need not be passed: the cost is that of the HPT, whatever the guest's RAM.
 */

#include "config.h"

#include <inttypes.h>

#include <glib/gi18n-lib.h>

#include "snapshot/snapshot_validate.h"

/**
 * virtHptLevelGetName:
 * @level: a level
 *
 * Returns: its stable name, never translated
 */
const char *
virtHptLevelGetName(VirtHptLevel level)
{
    return level == VIRT_HPT_LEVEL_RECORD ? "record" : "table";
}

/**
 * virtHptResultGetName:
 * @result: a result
 *
 * Returns: its stable name, never translated
 */
const char *
virtHptResultGetName(VirtHptResult result)
{
    switch (result) {
    case VIRT_HPT_RESULT_PASSED:
        return "passed";
    case VIRT_HPT_RESULT_WARNED:
        return "warned";
    case VIRT_HPT_RESULT_FAILED:
        return "failed";
    case VIRT_HPT_RESULT_NOT_CHECKED:
        return "not-checked";
    }
    g_return_val_if_reached(NULL);
}

static void
factFree(gpointer data)
{
    VirtHptFact *fact = data;

    g_free(fact->code);
    g_free(fact->message);
    g_free(fact->advice);
    g_free(fact);
}

void
virtHptVerdictFree(VirtHptVerdict *verdict)
{
    if (!verdict)
        return;
    g_ptr_array_unref(verdict->facts);
    g_free(verdict);
}

static VirtHptVerdict *
verdictNew(void)
{
    VirtHptVerdict *verdict = g_new0(VirtHptVerdict, 1);

    verdict->facts = g_ptr_array_new_with_free_func(factFree);
    for (gsize i = 0; i < G_N_ELEMENTS(verdict->levels); i++)
        verdict->levels[i] = VIRT_HPT_RESULT_NOT_CHECKED;
    return verdict;
}

static gboolean
isWorse(VirtHptResult a, VirtHptResult b)
{
    return b == VIRT_HPT_RESULT_NOT_CHECKED || (a != VIRT_HPT_RESULT_NOT_CHECKED && a > b);
}

/* Takes @message. */
static void
addFact(VirtHptVerdict *verdict,
        VirtHptLevel level,
        VirtHptResult result,
        const char *code,
        char *message,
        const char *advice)
{
    VirtHptFact *fact = g_new0(VirtHptFact, 1);

    fact->level = level;
    fact->result = result;
    fact->code = g_strdup(code);
    fact->message = message;
    fact->advice = g_strdup(advice);
    g_ptr_array_add(verdict->facts, fact);
    if (isWorse(result, verdict->levels[level]))
        verdict->levels[level] = result;
    if (isWorse(result, verdict->result))
        verdict->result = result;
}

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
    addFact(verdict, level, VIRT_HPT_RESULT_FAILED, code, g_strdup(local->message), advice);
    g_error_free(local);
    return TRUE;
}

static void
judgeComparison(VirtHptVerdict *verdict, const VirtHptPlace *place, const VirtHptComparison *found)
{
    switch (found->state) {
    case VIRT_HPT_RECORD_CURRENT:
        addFact(verdict, VIRT_HPT_LEVEL_RECORD, VIRT_HPT_RESULT_PASSED, "image-current",
                g_strdup_printf(ngettext("'%1$s': its %2$u recorded extent is as recorded",
                                         "'%1$s': all %2$u recorded extents are as recorded",
                                         found->extents),
                                place->path, found->extents),
                NULL);
        break;
    case VIRT_HPT_RECORD_DAMAGED:
        addFact(
            verdict, VIRT_HPT_LEVEL_RECORD, VIRT_HPT_RESULT_FAILED, "image-damaged",
            g_strdup_printf(
                _("'%1$s' was changed since it was recorded: %2$u of %3$u extents differ, the first holds the %4$s at bytes %5$" PRIu64
                  " to %6$" PRIu64),
                place->path, found->differing, found->extents,
                virtHptImagePartGetName(found->first->part), found->first->offset,
                found->first->offset + found->first->length - 1),
            _("do not restore it; take the image from a backup"));
        break;
    case VIRT_HPT_RECORD_STALE:
        addFact(verdict, VIRT_HPT_LEVEL_RECORD, VIRT_HPT_RESULT_NOT_CHECKED, "record-stale",
                g_strdup_printf(
                    _("'%1$s' is not the image that was recorded: its record says nothing of it"),
                    place->path),
                _("record it: virt-hpt record"));
        /* A stale record is no record, however sound it is. */
        verdict->levels[VIRT_HPT_LEVEL_RECORD] = VIRT_HPT_RESULT_NOT_CHECKED;
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
    guint64 differing = 0;
    guint64 first = 0;

    if (!image) {
        addFact(verdict, VIRT_HPT_LEVEL_RECORD, VIRT_HPT_RESULT_FAILED, "image-unreadable",
                g_strdup(local->message), NULL);
        return;
    }
    if (!image->stream->hasHpt || image->stream->order != record->def->order) {
        addFact(
            verdict, VIRT_HPT_LEVEL_RECORD, VIRT_HPT_RESULT_FAILED, "order-changed",
            g_strdup_printf(_("the image has a table of order %1$u, its record one of order %2$u"),
                            image->stream->order, record->def->order),
            NULL);
        return;
    }
    for (guint64 slot = 0; slot < virtHptTableGetSlots(recorded); slot++) {
        VirtHptEntry a = virtHptTableGet(recorded, slot);
        VirtHptEntry b = virtHptTableGet(image->stream->table, slot);

        if (a.v == b.v && a.r == b.r)
            continue;
        if (differing++ == 0)
            first = slot;
    }
    if (differing > 0) {
        VirtHptEntry a = virtHptTableGet(recorded, first);
        VirtHptEntry b = virtHptTableGet(image->stream->table, first);

        addFact(verdict, VIRT_HPT_LEVEL_RECORD, VIRT_HPT_RESULT_FAILED, "entries-changed",
                g_strdup_printf(_("%1$" PRIu64 " entries differ, the first in slot %2$" PRIu64
                                  ": V 0x%3$016" PRIx64 " R 0x%4$016" PRIx64
                                  ", recorded V 0x%5$016" PRIx64 " R 0x%6$016" PRIx64),
                                differing, first, b.v, b.r, a.v, a.r),
                NULL);
    }
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
            addFact(verdict, VIRT_HPT_LEVEL_TABLE, VIRT_HPT_RESULT_PASSED, "finding-known",
                    g_strdup_printf(_("%1$s: the table had this when it was recorded"), name),
                    NULL);
            continue;
        }
        addFact(verdict, VIRT_HPT_LEVEL_TABLE,
                severity == VIRT_HPT_SEVERITY_ERROR ? VIRT_HPT_RESULT_FAILED
                                                    : VIRT_HPT_RESULT_WARNED,
                name, describeRule(report, rule),
                severity == VIRT_HPT_SEVERITY_ERROR ? _("do not restore it; see: virt-hpt check")
                                                    : _("see: virt-hpt check"));
    }
}

static void
checkTable(VirtHptVerdict *verdict, const VirtHptSubject *subject, const VirtHptRecord *current)
{
    VirtHptCheckContext context;
    g_autoptr(VirtHptReport) report = NULL;

    if (subject->mmu == VIRT_HPT_MMU_RADIX) {
        addFact(verdict, VIRT_HPT_LEVEL_TABLE, VIRT_HPT_RESULT_PASSED, "no-table",
                g_strdup(_("the guest has no hashed page table")), NULL);
        return;
    }
    virtHptSubjectGetCheckContext(subject, &context);
    report = virtHptTableCheck(subject->table, &context);
    judgeReport(verdict, report, current);
    if (verdict->levels[VIRT_HPT_LEVEL_TABLE] == VIRT_HPT_RESULT_NOT_CHECKED)
        addFact(verdict, VIRT_HPT_LEVEL_TABLE, VIRT_HPT_RESULT_PASSED, "table-sound",
                g_strdup(_("the table is sound")), NULL);
}

/* Opens a record for validation: its descriptor, its table and its machine state. */
static VirtHptSubject *
openRecord(VirtHptVerdict *verdict, const char *path, GError **error)
{
    GError *local = NULL;
    VirtHptSubject *subject = virtHptSubjectOpen(path, NULL, NULL, &local);

    if (subject && virtHptRecordVerifyState(subject->record, &local)) {
        addFact(verdict, VIRT_HPT_LEVEL_RECORD, VIRT_HPT_RESULT_PASSED, "record-sound",
                g_strdup_printf(_("'%1$s' is as it was made"), subject->record->path), NULL);
        return subject;
    }
    g_clear_pointer(&subject, virtHptSubjectFree);
    judgeError(verdict, VIRT_HPT_LEVEL_RECORD, "record-damaged",
               _("if the image itself is sound, make the record anew: virt-hpt record"), local,
               error);
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
validateRecord(VirtHptVerdict *verdict, const char *path, GError **error)
{
    GError *local = NULL;
    g_autoptr(VirtHptSubject) subject = openRecord(verdict, path, &local);
    gboolean current;

    if (local) {
        g_propagate_error(error, local);
        return FALSE;
    }
    if (!subject)
        return TRUE;
    if (subject->place) {
        if (!compare(verdict, subject, &current, error))
            return FALSE;
    } else if (!g_error_matches(subject->placeError, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND)) {
        g_propagate_error(error, g_steal_pointer(&subject->placeError));
        return FALSE;
    } else {
        addFact(verdict, VIRT_HPT_LEVEL_RECORD, VIRT_HPT_RESULT_PASSED, "image-absent",
                g_strdup_printf(_("the image '%1$s' is not here: only the record was validated"),
                                subject->record->def->imageFile),
                NULL);
    }
    checkTable(verdict, subject, subject->record);
    return TRUE;
}

/* Validates an image that has no record, or none that counts. */
static gboolean
validateImage(VirtHptVerdict *verdict,
              const char *path,
              VirtHptProgressFunc progress,
              gpointer progressOpaque,
              GError **error)
{
    GError *local = NULL;
    g_autoptr(VirtHptSubject) subject = virtHptSubjectOpen(path, progress, progressOpaque, &local);

    if (!subject)
        return judgeError(verdict, VIRT_HPT_LEVEL_TABLE, "image-malformed",
                          _("do not restore it; take the image from a backup"), local, error);
    checkTable(verdict, subject, NULL);
    return TRUE;
}

/* Validates an image by its record; @judged: whether that was enough. */
static gboolean
validateByRecord(VirtHptVerdict *verdict,
                 const VirtHptRecord *record,
                 gboolean *judged,
                 GError **error)
{
    GError *local = NULL;
    g_autoptr(VirtHptSubject) subject = openRecord(verdict, record->path, &local);
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
                    _("'%1$s': its image went away: try again"), record->path);
        return FALSE;
    }
    if (!compare(verdict, subject, &current, error))
        return FALSE;
    if (current)
        checkTable(verdict, subject, subject->record);
    *judged = current || verdict->result == VIRT_HPT_RESULT_FAILED;
    return TRUE;
}

static gboolean
validateFile(VirtHptVerdict *verdict,
             const char *path,
             VirtHptProgressFunc progress,
             gpointer progressOpaque,
             GError **error)
{
    GError *local = NULL;
    g_autoptr(VirtHptPlace) place = virtHptPlaceOpen(path, error);
    g_autoptr(VirtHptRecord) record = NULL;
    gboolean judged = FALSE;

    if (!place)
        return FALSE;
    record = virtHptRecordFind(place, &local);
    if (local) {
        if (!judgeError(verdict, VIRT_HPT_LEVEL_RECORD, "record-unusable",
                        _("if the image itself is sound, remove the record and make it anew"),
                        local, error))
            return FALSE;
    } else if (!record) {
        addFact(verdict, VIRT_HPT_LEVEL_RECORD, VIRT_HPT_RESULT_NOT_CHECKED, "record-none",
                g_strdup_printf(_("'%1$s' has no record to compare it with"), path),
                _("record it while it is known to be good: virt-hpt record"));
    } else if (!validateByRecord(verdict, record, &judged, error)) {
        return FALSE;
    }
    return judged || validateImage(verdict, path, progress, progressOpaque, error);
}

/**
 * virtHptValidate:
 * @path: an image, or a record directory
 * @progress: called as an image is read, or %NULL
 * @progressOpaque: passed to @progress
 * @error: set where nothing can be said: %VIRT_HPT_ERROR_NOT_FOUND, %VIRT_HPT_ERROR_IO,
 *   %VIRT_HPT_ERROR_UNSUPPORTED, %VIRT_HPT_ERROR_LIMIT
 *
 * Validates levels record and table.  An input that is damaged or malformed is a verdict, not an
 * error.
 *
 * Returns: (transfer full): the verdict, or %NULL
 */
VirtHptVerdict *
virtHptValidate(const char *path,
                VirtHptProgressFunc progress,
                gpointer progressOpaque,
                GError **error)
{
    g_autoptr(VirtHptVerdict) verdict = verdictNew();

    if (virtHptPlaceIsRecord(path) ? !validateRecord(verdict, path, error)
                                   : !validateFile(verdict, path, progress, progressOpaque, error))
        return NULL;
    return g_steal_pointer(&verdict);
}
