/*
 * snapshot_revert.c: revert to a snapshot, and lose nothing if that fails
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * In this order: validate; make what can be made while the guest runs; save the guest and end it;
 * restore the snapshot paused; prove it; change the definition; commit.  Until the commit whatever
 * fails brings the guest back as it was.
 */

#include "config.h"

#include <glib/gi18n-lib.h>

#include "snapshot/snapshot_keep.h"
#include "snapshot/snapshot_made.h"
#include "snapshot/snapshot_metadata.h"
#include "snapshot/snapshot_revertpriv.h"
#include "snapshot/snapshot_stopped.h"
#include "snapshot/snapshot_watch.h"

typedef struct {
    VirtHptSnapshot *snapshot;
    VirtHptGuest *guest;
    const VirtHptRevertOptions *options;
    VirtHptRevertResult *result;
    VirtHptJournal *journal;
    VirtHptWatch *image;  /* the snapshot's */
    VirtHptWatch *layers; /* of the snapshot's disks */
    gboolean active;
    gboolean entered; /* whether there is a journal that others would find */
} Revert;

/**
 * virtHptRevertResultClear:
 * @result: a result
 */
void
virtHptRevertResultClear(VirtHptRevertResult *result)
{
    g_clear_pointer(&result->verdict, virtHptVerdictFree);
    g_clear_pointer(&result->diff, virtHptDiffFree);
    g_clear_pointer(&result->aside, g_free);
}

static void
revertClear(Revert *revert)
{
    g_clear_pointer(&revert->image, virtHptWatchFree);
    g_clear_pointer(&revert->layers, virtHptWatchFree);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Revert, revertClear)

/* Whether what the revert depends on is what it was; @kind: who has had to do with the image */
static gboolean
checkFiles(const Revert *revert, VirtHptWatchKind kind, GError **error)
{
    return virtHptWatchCheck(revert->image, kind, error) &&
           virtHptWatchCheck(revert->layers, VIRT_HPT_WATCH_SHARED, error);
}

/* What a verdict that lets an image pass does not vouch for */
static void
sayDoubts(const Revert *revert)
{
    const GPtrArray *facts = revert->result->verdict->facts;

    for (guint i = 0; i < facts->len; i++) {
        const VirtHptFact *fact = g_ptr_array_index(facts, i);

        if (fact->result != VIRT_HPT_RESULT_PASSED)
            virtHptRevertSay(revert->options, _("validation: %1$s: %2$s"), fact->code,
                             fact->message);
    }
}

/* Whether the image may be restored; @passed: whether the verdict allows it. */
static gboolean
validate(Revert *revert, gboolean *passed, GError **error)
{
    VirtHptRevertResult *result = revert->result;
    const VirtHptValidateOptions options = {
        .skip = revert->options->noDryRun ? 1U << VIRT_HPT_LEVEL_DRY_RUN : 0,
        .progress = revert->options->progress,
        .progressOpaque = revert->options->opaque,
    };

    if (!virtHptWatchAdd(revert->image, revert->snapshot->image, error))
        return FALSE;
    result->verdict = virtHptSnapshotValidate(revert->snapshot, &options, revert->layers, error);
    if (!result->verdict)
        return FALSE;
    *passed = result->verdict->result == VIRT_HPT_RESULT_PASSED ||
              result->verdict->result == VIRT_HPT_RESULT_WARNED;
    if (!*passed) {
        result->outcome = VIRT_HPT_REVERT_REFUSED;
        return TRUE;
    }
    sayDoubts(revert);
    return virtHptWatchCheck(revert->image, VIRT_HPT_WATCH_OURS, error);
}

/* Notes for whoever has to complete the revert what was validated. */
static void
noteFiles(Revert *revert)
{
    GPtrArray *marks = revert->journal->files;

    g_ptr_array_set_size(marks, 0);
    virtHptWatchMark(revert->image, marks);
    virtHptWatchMark(revert->layers, marks);
}

/* Whether all that was validated is the same, so far as another process can tell. */
static gboolean
areFilesSame(const Revert *revert)
{
    const GPtrArray *marks = revert->journal->files;
    gboolean same = marks->len > 0;

    for (guint i = 0; i < marks->len && same; i++) {
        const VirtHptFileMark *mark = g_ptr_array_index(marks, i);

        same = virtHptFileMarkIsSame(mark) &&
               (i > 0 || g_str_equal(mark->path, revert->snapshot->image));
    }
    return same;
}

/* What the revert needs, and what it takes to undo it; nothing is changed. */
static gboolean
plan(Revert *revert, GError **error)
{
    const VirtHptSnapshot *snapshot = revert->snapshot;
    VirtHptGuest *guest = revert->guest;
    VirtHptJournal *journal = revert->journal;
    VirtHptRunState run = revert->options->run;

    revert->active = virDomainIsActive(guest->domain) == 1;
    journal->prove = revert->options->prove;
    journal->noDryRun = revert->options->noDryRun;
    noteFiles(revert);
    journal->resume = run == VIRT_HPT_RUN_RUNNING ||
                      (run == VIRT_HPT_RUN_AS_SAVED && g_strcmp0(snapshot->state, "running") == 0);
    if (revert->active && !revert->options->discardCurrent)
        journal->aside = g_build_filename(guest->statePath, VIRT_HPT_ASIDE, NULL);
    return virtHptRevertMayBegin(guest, journal, error) &&
           virtHptMetadataRemember(guest, snapshot->handle, journal, error) &&
           (!snapshot->backend->plan || snapshot->backend->plan(snapshot, journal, error)) &&
           virtHptStoppedPlan(guest, journal, error) &&
           (!guest->revertsExternal || virtHptKeepPlan(journal, error));
}

/* Makes the files that a revert needs, while the guest runs. */
static gboolean
prepare(Revert *revert, GError **error)
{
    const VirtHptBackend *backend = revert->snapshot->backend;
    VirtHptJournal *journal = revert->journal;

    /* Also where it is not known whether it was written */
    revert->entered = TRUE;
    if (!virtHptJournalEnter(journal, revert->guest, VIRT_HPT_PHASE_PREPARING, error))
        return FALSE;
    if (backend->prepare && !backend->prepare(revert->snapshot, journal, error))
        return FALSE;
    for (guint i = 0; i < journal->kept->len; i++) {
        if (!virtHptKeepFile(g_ptr_array_index(journal->kept, i), error))
            return FALSE;
    }
    return virtHptMadeNote(revert->guest, journal, error);
}

/* libvirt itself would end what runs (since 9.9.0), whoever started it. */
static gboolean
checkOff(const Revert *revert, GError **error)
{
    int active = virDomainIsActive(revert->guest->domain);

    if (active == 0)
        return TRUE;
    if (active < 0)
        return virtHptLibvirtSetError(error, _("cannot query the state of '%1$s'"),
                                      revert->guest->name);
    g_set_error(
        error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
        _("'%1$s' was off, and somebody started it meanwhile: shut it down, or revert it as it runs"),
        revert->guest->name);
    return FALSE;
}

static gboolean
stopGuest(Revert *revert, GError **error)
{
    VirtHptGuest *guest = revert->guest;
    VirtHptJournal *journal = revert->journal;

    if (!revert->active && !checkOff(revert, error))
        return FALSE;
    if (revert->options->hold)
        revert->options->hold();
    if (!virtHptJournalEnter(journal, guest, VIRT_HPT_PHASE_STOPPING, error))
        return FALSE;
    if (!revert->active)
        return TRUE;
    if (!journal->aside)
        return virtHptGuestPullPlug(guest, error);
    virtHptRevertSay(revert->options,
                     _("the state of '%1$s' goes to '%2$s' until the revert is done"), guest->name,
                     journal->aside);
    return virtHptBackendSaveGuest(guest, journal->aside, error);
}

/* What tells the restored guest from one that somebody starts later */
static gboolean
noteRestored(Revert *revert, GError **error)
{
    VirtHptJournal *journal = revert->journal;

    journal->id = virtHptGuestGetId(revert->guest);
    g_free(journal->boot);
    journal->boot = virtHptGuestBootId();
    return virtHptMadeNote(revert->guest, journal, error) &&
           virtHptJournalEnter(journal, revert->guest, VIRT_HPT_PHASE_RESTORING, error);
}

static gboolean
restoreGuest(Revert *revert, GError **error)
{
    const VirtHptSnapshot *snapshot = revert->snapshot;

    virtHptStoppedNote(revert->journal);
    return virtHptJournalEnter(revert->journal, revert->guest, VIRT_HPT_PHASE_RESTORING, error) &&
           checkFiles(revert, VIRT_HPT_WATCH_OURS, error) && checkOff(revert, error) &&
           snapshot->backend->revert(snapshot, revert->journal, error) &&
           checkFiles(revert, VIRT_HPT_WATCH_SHARED, error) && noteRestored(revert, error);
}

/* With the snapshot restored: until it is proved and in order */
static gboolean
settle(Revert *revert, gboolean *same, GError **error)
{
    const VirtHptBackend *backend = revert->snapshot->backend;

    *same = TRUE;
    if (revert->options->prove &&
        !virtHptRevertProve(revert->snapshot, revert->options, &revert->result->diff, same, error))
        return FALSE;
    revert->result->proved = revert->options->prove && *same;
    return !backend->settle || backend->settle(revert->snapshot, revert->journal, error);
}

/* A guest that somebody started is not ended; TRUE: that is so, and all that is left is to say it
 */
static gboolean
leaveStarted(Revert *revert, GError **error)
{
    VirtHptGuest *guest = revert->guest;
    gboolean ours = TRUE;

    if (revert->journal->aside || !virtHptRevertIsOurs(guest, revert->journal, &ours, NULL) ||
        ours || !virtHptRevertLeave(guest, revert->journal, revert->options, NULL))
        return FALSE;
    g_prefix_error(error, _("reverted nothing, '%1$s' is left as it is: "), guest->name);
    return TRUE;
}

/* With the guest off something failed: @error says what already, and gets what became of it. */
static void
bringBack(Revert *revert, GError **error)
{
    g_autoptr(GError) local = NULL;
    const char *aside = revert->journal->aside;

    /* That it is not supported, say, is no answer any more: the guest was off. */
    if (error && *error && !g_error_matches(*error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_DAMAGED))
        (*error)->code = VIRT_HPT_ERROR_FAILED;
    if (leaveStarted(revert, error))
        return;
    if (virtHptRevertUndo(revert->guest, revert->journal, revert->options, &local)) {
        if (aside)
            g_prefix_error(error, _("reverted nothing, '%1$s' is as it was before: "),
                           revert->guest->name);
        else
            g_prefix_error(error, _("reverted nothing, '%1$s' is off: "), revert->guest->name);
        return;
    }
    if (aside)
        g_prefix_error(
            error,
            _("'%1$s' could not be brought back (%2$s), its state is in '%3$s': try: virt-hpt snapshot-revert --recover; the revert failed because: "),
            revert->guest->name, local->message, aside);
    else
        g_prefix_error(
            error,
            _("the revert of '%1$s' could not be undone (%2$s): try: virt-hpt snapshot-revert --recover; it failed because: "),
            revert->guest->name, local->message);
}

/* Something failed before the guest was off, or just when. */
static void
giveUp(Revert *revert, GError **error)
{
    const VirtHptJournal *journal = revert->journal;
    int active = revert->active ? virDomainIsActive(revert->guest->domain) : 1;

    if (!revert->entered)
        return;
    if (active == 0 && journal->phase != VIRT_HPT_PHASE_PREPARING &&
        (!journal->aside || virtHptBackendIsWhole(journal->aside))) {
        bringBack(revert, error);
    } else if (active >= 0) {
        /* It was not saved: it is as it was, or ended by itself meanwhile. */
        virtHptRevertAbandon(revert->guest, revert->journal, revert->options, NULL);
    } else {
        /* No daemon to ask: all is left as it is for whoever can. */
        g_prefix_error(
            error,
            _("it is not known whether '%1$s' still runs: when libvirt is there again: virt-hpt snapshot-revert --recover: "),
            revert->guest->name);
    }
}

static gboolean
commit(Revert *revert, gboolean same, GError **error)
{
    VirtHptRevertResult *result = revert->result;
    VirtHptJournal *journal = revert->journal;
    gboolean undecided = !same && journal->aside;

    /* It is not to run by itself, whether there is something to go back to or not. */
    journal->resume = journal->resume && same;
    if (!virtHptJournalEnter(journal, revert->guest,
                             undecided ? VIRT_HPT_PHASE_DIFFERS : VIRT_HPT_PHASE_COMMITTING,
                             error)) {
        bringBack(revert, error);
        return FALSE;
    }
    result->outcome = same ? VIRT_HPT_REVERT_DONE : VIRT_HPT_REVERT_DIFFERS;
    if (undecided) {
        result->aside = g_strdup(journal->aside);
        return TRUE;
    }
    if (virtHptRevertCommit(revert->guest, journal, revert->options, &result->running, error))
        return TRUE;
    if (virDomainIsActive(revert->guest->domain) == 0)
        bringBack(revert, error);
    return FALSE;
}

/**
 * virtHptSnapshotRevert:
 * @snapshot: a snapshot with an image, of a guest that is locked and recovered
 * @options: how
 * @result: (out): how it ended
 * @error: set on failure.  The guest then is as it was before, or the message says where its state
 *   is
 *
 * Reverts to a snapshot.
 *
 * Returns: %TRUE with @result set, or %FALSE with @error set
 */
gboolean
virtHptSnapshotRevert(VirtHptSnapshot *snapshot,
                      const VirtHptRevertOptions *options,
                      VirtHptRevertResult *result,
                      GError **error)
{
    g_autoptr(VirtHptJournal) journal = virtHptJournalNew(snapshot->name);
    g_auto(Revert) revert = {
        .snapshot = snapshot,
        .guest = snapshot->guest,
        .options = options,
        .result = result,
        .journal = journal,
        .image = virtHptWatchNew(),
        .layers = virtHptWatchNew(),
    };
    gboolean passed = FALSE;
    gboolean same = FALSE;

    if (!virtHptSnapshotHasImage(snapshot, error) || !validate(&revert, &passed, error))
        return FALSE;
    if (!passed)
        return TRUE;
    if (!plan(&revert, error) || !prepare(&revert, error) || !stopGuest(&revert, error)) {
        giveUp(&revert, error);
        return FALSE;
    }
    if (!restoreGuest(&revert, error) || !settle(&revert, &same, error)) {
        bringBack(&revert, error);
        return FALSE;
    }
    return commit(&revert, same, error);
}

/* What lets no image pass, or that none can be told */
static gboolean
validateAgain(Revert *revert, GError **error)
{
    gboolean passed = FALSE;

    if (!validate(revert, &passed, error))
        return FALSE;
    if (!passed)
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_DAMAGED,
                    _("'%1$s' does not pass validation any more: virt-hpt validate says why"),
                    revert->snapshot->image);
    else
        noteFiles(revert);
    return passed;
}

static gboolean
completeRestore(Revert *revert, gboolean restored, gboolean *same, GError **error)
{
    gboolean layered = FALSE;

    /* What was restored from a file that has changed since may be anything; on no layers of the
     * revert's it would write to the snapshot's own images. */
    if (restored && !virtHptMadeIsUnder(revert->guest, revert->journal, &layered, error))
        return FALSE;
    if (restored && !(layered && areFilesSame(revert))) {
        restored = FALSE;
        if (!virtHptGuestPullPlug(revert->guest, error))
            return FALSE;
    }
    if (!restored && (!validateAgain(revert, error) || !restoreGuest(revert, error)))
        return FALSE;
    return settle(revert, same, error);
}

/**
 * virtHptRevertComplete:
 * @guest: a locked guest
 * @journal: of a revert that was interrupted, and has no state before to bring back
 * @restored: whether the snapshot's guest is there, paused
 * @options: whom to tell what should be known, and how far a long step is; no more of it is used
 * @recovery: (out): how it ended
 * @error: set on failure.  The guest is then off
 *
 * Completes a revert as it was asked for: what is restored now is validated now, and proved if it
 * was to be.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptRevertComplete(VirtHptGuest *guest,
                      VirtHptJournal *journal,
                      gboolean restored,
                      const VirtHptRevertOptions *options,
                      VirtHptRecovery *recovery,
                      GError **error)
{
    g_autoptr(VirtHptSnapshot) snapshot = virtHptSnapshotLookup(guest, journal->snapshot, error);
    g_auto(VirtHptRevertResult) result = {.outcome = VIRT_HPT_REVERT_REFUSED};
    VirtHptRevertOptions how = *options;
    g_auto(Revert) revert = {
        .snapshot = snapshot,
        .guest = guest,
        .options = &how,
        .result = &result,
        .journal = journal,
        .image = virtHptWatchNew(),
        .layers = virtHptWatchNew(),
        .entered = TRUE,
    };
    gboolean same = FALSE;

    how.prove = journal->prove;
    how.noDryRun = journal->noDryRun;
    if (!snapshot || !virtHptSnapshotHasImage(snapshot, error) ||
        !completeRestore(&revert, restored, &same, error)) {
        bringBack(&revert, error);
        return FALSE;
    }
    if (!commit(&revert, same, error))
        return FALSE;
    if (result.verdict && result.verdict->result == VIRT_HPT_RESULT_WARNED && how.warned)
        *how.warned = TRUE;
    *recovery = same ? VIRT_HPT_RECOVERY_FINISHED : VIRT_HPT_RECOVERY_DIFFERS;
    return TRUE;
}
