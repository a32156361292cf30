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

#include <errno.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "qemu/qemu_capture.h"
#include "snapshot/snapshot_driver.h"
#include "snapshot/snapshot_keep.h"
#include "snapshot/snapshot_revertpriv.h"
#include "snapshot/snapshot_watch.h"

/* A paused guest of any size is read within this time, in seconds */
#define PROVE_TIME 600
/* Differences that are named, of each kind */
#define PROVE_KEPT 16

typedef struct {
    VirtHptSnapshot *snapshot;
    VirtHptGuest *guest;
    const VirtHptRevertOptions *options;
    VirtHptRevertResult *result;
    VirtHptJournal *journal;
    VirtHptJournal *undecided; /* of a revert that was not proved and waits for a decision */
    VirtHptWatch *image;       /* the snapshot's */
    VirtHptWatch *layers;      /* of the snapshot's disks */
    gboolean active;
    gboolean entered; /* whether the journal is this revert's */
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
    g_clear_pointer(&revert->journal, virtHptJournalFree);
    g_clear_pointer(&revert->undecided, virtHptJournalFree);
    g_clear_pointer(&revert->image, virtHptWatchFree);
    g_clear_pointer(&revert->layers, virtHptWatchFree);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Revert, revertClear)

static void G_GNUC_PRINTF(2, 3) say(const Revert *revert, const char *format, ...)
{
    g_autofree char *message = NULL;
    va_list args;

    if (!revert->options->say)
        return;
    va_start(args, format);
    message = g_strdup_vprintf(format, args);
    va_end(args);
    revert->options->say(message, revert->options->opaque);
}

/* Whether what the revert depends on is what it was */
static gboolean
checkFiles(const Revert *revert, GError **error)
{
    return virtHptWatchCheck(revert->image, VIRT_HPT_WATCH_SHARED, error) &&
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
            say(revert, _("validation: %1$s: %2$s"), fact->code, fact->message);
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

/* What libvirt itself would lose, or take for the guest's state later */
static gboolean
checkGuest(const Revert *revert, GError **error)
{
    if (virDomainIsPersistent(revert->guest->domain) != 1) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED,
            _("'%1$s' is not defined persistently: libvirt forgets its snapshots when it stops"),
            revert->guest->name);
        return FALSE;
    }
    if (virDomainHasManagedSaveImage(revert->guest->domain, 0) == 1) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED,
            _("'%1$s' has a managed save, which its next start would restore: start it, or: virsh managedsave-remove"),
            revert->guest->name);
        return FALSE;
    }
    return TRUE;
}

static gboolean
rememberDefinition(Revert *revert, GError **error)
{
    g_autoptr(VirtHptLibvirtString) xml = NULL;

    xml =
        virDomainGetXMLDesc(revert->guest->domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
    if (!xml)
        return virtHptLibvirtSetError(error, _("cannot query '%1$s'"), revert->guest->name);
    revert->journal->definition = g_strdup(xml);
    return TRUE;
}

/* Where the state before goes; never over one that somebody has yet to decide about */
static char *
chooseAside(const Revert *revert)
{
    const char *directory = revert->guest->statePath;
    g_autofree char *path = g_build_filename(directory, VIRT_HPT_ASIDE, NULL);

    if (!revert->undecided || g_strcmp0(revert->undecided->aside, path) != 0)
        return g_steal_pointer(&path);
    return g_build_filename(directory, VIRT_HPT_ASIDE_AGAIN, NULL);
}

/* All that can be done while the guest runs */
static gboolean
prepare(Revert *revert, GError **error)
{
    const VirtHptBackend *backend = revert->snapshot->backend;
    VirtHptRunState run = revert->options->run;

    if (!virtHptJournalLoad(revert->guest, &revert->undecided, error))
        return FALSE;
    revert->active = virDomainIsActive(revert->guest->domain) == 1;
    revert->journal->resume =
        run == VIRT_HPT_RUN_RUNNING ||
        (run == VIRT_HPT_RUN_AS_SAVED && g_strcmp0(revert->snapshot->state, "running") == 0);
    if (revert->active && !revert->options->discardCurrent)
        revert->journal->aside = chooseAside(revert);
    return checkGuest(revert, error) && rememberDefinition(revert, error) &&
           (!backend->prepare || backend->prepare(revert->snapshot, revert->journal, error));
}

static gboolean
stopGuest(Revert *revert, GError **error)
{
    VirtHptGuest *guest = revert->guest;
    VirtHptJournal *journal = revert->journal;

    /* What an earlier revert left there must be gone before a journal speaks of it. */
    if (journal->aside && unlink(journal->aside) < 0 && errno != ENOENT) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO, _("cannot remove '%1$s': %2$s"),
                    journal->aside, g_strerror(errno));
        return FALSE;
    }
    if (!virtHptJournalEnter(journal, guest, VIRT_HPT_PHASE_STOPPING, error))
        return FALSE;
    revert->entered = TRUE;
    if (!revert->active)
        return TRUE;
    if (!journal->aside)
        return virtHptGuestPullPlug(guest, error);
    say(revert, _("the state of '%1$s' goes to '%2$s' until the revert is done"), guest->name,
        journal->aside);
    return virtHptBackendSaveGuest(guest, journal->aside, error);
}

/* The table that the restored guest must have: the recorded one, else the image's */
static gboolean
loadExpected(const Revert *revert, VirtHptSubject **subject, GError **error)
{
    const VirtHptSnapshot *snapshot = revert->snapshot;
    g_autoptr(VirtHptRecord) record = virtHptSnapshotFindRecord(snapshot, NULL);

    *subject = virtHptSubjectOpen(record ? record->path : snapshot->image,
                                  revert->options->progress, revert->options->opaque, error);
    return *subject != NULL;
}

/* Compares the restored guest's table with the recorded one; @same: whether they agree. */
static gboolean
prove(Revert *revert, gboolean *same, GError **error)
{
    g_autoptr(VirtHptSubject) expected = NULL;
    g_autoptr(VirtHptStream) stream = NULL;
    VirtHptDiff *diff;

    if (!loadExpected(revert, &expected, error))
        return FALSE;
    stream = virtHptCapture(revert->guest->domain, NULL, PROVE_TIME, error);
    if (!stream)
        return FALSE;
    if (!stream->hasHpt || !expected->table) {
        *same = !stream->hasHpt && !expected->table;
        if (*same)
            return TRUE;
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_DAMAGED,
            _("the restored guest and the snapshot do not use the same kind of page table"));
        return FALSE;
    }
    diff = virtHptTableDiff(expected->table, stream->table, PROVE_KEPT, error);
    revert->result->diff = diff;
    *same = diff && virtHptDiffGetTotal(diff) == 0;
    return diff != NULL;
}

/* With the guest off: until the snapshot is restored, proved and in order */
static gboolean
restore(Revert *revert, gboolean *same, GError **error)
{
    const VirtHptBackend *backend = revert->snapshot->backend;

    if (!virtHptJournalEnter(revert->journal, revert->guest, VIRT_HPT_PHASE_RESTORING, error) ||
        !checkFiles(revert, error) || !backend->revert(revert->snapshot, revert->journal, error) ||
        !checkFiles(revert, error))
        return FALSE;
    *same = TRUE;
    if (revert->options->prove && !prove(revert, same, error))
        return FALSE;
    return !backend->settle || backend->settle(revert->snapshot, revert->journal, error);
}

/* Nothing is left of this revert: what waited for a decision before it waits on. */
static void
waitOn(Revert *revert)
{
    if (revert->undecided)
        virtHptJournalEnter(revert->undecided, revert->guest, VIRT_HPT_PHASE_DIFFERS, NULL);
}

/* With the guest off something failed: @error says what already, and gets what became of it. */
static void
bringBack(Revert *revert, GError **error)
{
    g_autoptr(GError) local = NULL;
    const char *aside = revert->journal->aside;

    if (virtHptRevertUndo(revert->guest, revert->journal, &local)) {
        waitOn(revert);
        if (aside)
            g_prefix_error(error, _("reverted nothing, '%1$s' is as it was before: "),
                           revert->guest->name);
        else
            g_prefix_error(error, _("reverted nothing, '%1$s' is off: "), revert->guest->name);
        return;
    }
    g_prefix_error(
        error,
        _("'%1$s' could not be brought back (%2$s), its state is in '%3$s': try: virt-hpt snapshot-revert --recover; the revert failed because: "),
        revert->guest->name, local->message, aside ? aside : revert->snapshot->image);
}

/* Something failed before the guest was off, or just when. */
static void
giveUp(Revert *revert, GError **error)
{
    const VirtHptJournal *journal = revert->journal;
    int active = revert->active ? virDomainIsActive(revert->guest->domain) : 1;

    if (!revert->entered) {
        virtHptRevertDropOverlays(journal);
    } else if (active == 0 && (!journal->aside || virtHptBackendIsWhole(journal->aside))) {
        bringBack(revert, error);
    } else if (active >= 0) {
        /* It was not saved: it is as it was, or ended by itself meanwhile. */
        if (virtHptRevertAbandon(revert->guest, revert->journal, NULL))
            waitOn(revert);
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
    VirtHptPhase phase = same ? VIRT_HPT_PHASE_COMMITTING : VIRT_HPT_PHASE_DIFFERS;

    if (!virtHptJournalEnter(revert->journal, revert->guest, phase, error)) {
        bringBack(revert, error);
        return FALSE;
    }
    if (!same) {
        result->outcome = VIRT_HPT_REVERT_DIFFERS;
        result->aside = g_strdup(revert->journal->aside);
        return TRUE;
    }
    result->outcome = VIRT_HPT_REVERT_DONE;
    if (!virtHptRevertCommit(revert->guest, revert->journal, &result->running, error))
        return FALSE;
    /* To revert again was the decision. */
    if (revert->undecided && revert->undecided->aside)
        unlink(revert->undecided->aside);
    for (guint i = 0; revert->undecided && i < revert->undecided->kept->len; i++)
        virtHptKeepDrop(g_ptr_array_index(revert->undecided->kept, i));
    return TRUE;
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
    g_auto(Revert) revert = {
        .snapshot = snapshot,
        .guest = snapshot->guest,
        .options = options,
        .result = result,
        .journal = virtHptJournalNew(snapshot->name),
        .image = virtHptWatchNew(),
        .layers = virtHptWatchNew(),
    };
    gboolean passed = FALSE;
    gboolean same = FALSE;

    if (!virtHptSnapshotHasImage(snapshot, error) ||
        !virtHptWatchAdd(revert.image, snapshot->image, error) ||
        !validate(&revert, &passed, error))
        return FALSE;
    if (!passed)
        return TRUE;
    if (!prepare(&revert, error) || !stopGuest(&revert, error)) {
        giveUp(&revert, error);
        return FALSE;
    }
    if (!restore(&revert, &same, error)) {
        bringBack(&revert, error);
        return FALSE;
    }
    return commit(&revert, same, error);
}
