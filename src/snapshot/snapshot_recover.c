/*
 * snapshot_recover.c: bring a guest back after a revert that was interrupted
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include <glib/gi18n-lib.h>

#include "snapshot/snapshot_revertpriv.h"
#include "snapshot/snapshot_stopped.h"
#include "snapshot/snapshot_uses.h"

/* How long libvirt may take to save a guest, or to restore one, that nobody waits for any more */
#define JOB_TIME 3600 /* seconds */

/* What was found */
typedef struct {
    VirtHptGuest *guest;
    VirtHptJournal *journal;
    const VirtHptRevertOptions *options;
    int state;      /* virDomainState */
    int reason;     /* for it */
    gboolean whole; /* whether the state before is saved */
    VirtHptRecovery *recovery;
} Found;

static gboolean
isActive(const Found *found)
{
    return found->state != VIR_DOMAIN_SHUTOFF;
}

static gboolean
leave(const Found *found, GError **error)
{
    *found->recovery = VIRT_HPT_RECOVERY_LEFT;
    return virtHptRevertLeave(found->guest, found->journal, found->options, error);
}

/* Somebody else let the guest run since: what was saved must not go just because of that. */
static gboolean
recoverRunning(const Found *found, GError **error)
{
    if (found->whole)
        return virtHptRevertRefuseRunning(found->guest, found->journal, error);
    virtHptRevertWarn(found->options,
                      _("somebody started '%1$s', or let it run, since its revert was interrupted"),
                      found->guest->name);
    return leave(found, error);
}

static gboolean
bringBack(const Found *found, GError **error)
{
    *found->recovery =
        found->journal->aside ? VIRT_HPT_RECOVERY_BROUGHT_BACK : VIRT_HPT_RECOVERY_OFF;
    return virtHptRevertUndo(found->guest, found->journal, found->options, error);
}

static const char *
findUsed(const Found *found)
{
    return virtHptStoppedFindUsed(found->guest, found->journal);
}

/* Memory of then on a disk of now is a broken file system: that is for somebody to decide. */
static gboolean
recoverUsed(const Found *found, const char *disk, GError **error)
{
    if (!found->whole) {
        virtHptRevertWarn(
            found->options,
            _("'%1$s' was written to or replaced since the revert of '%2$s' was interrupted"), disk,
            found->guest->name);
        return leave(found, error);
    }
    g_set_error(
        error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
        _("a revert of '%1$s' was interrupted, and '%2$s' was written to or replaced since: to keep the disks as they are, remove '%3$s', the state before the revert; to restore it all the same, touch it; then virt-hpt snapshot-revert --recover"),
        found->guest->name, disk, found->journal->aside);
    return FALSE;
}

static gboolean
abandon(const Found *found, VirtHptRecovery recovery, GError **error)
{
    *found->recovery = recovery;
    return virtHptRevertAbandon(found->guest, found->journal, found->options, error);
}

static gboolean
complete(const Found *found, GError **error)
{
    return virtHptRevertComplete(found->guest, found->journal, isActive(found), found->options,
                                 found->recovery, error);
}

static gboolean
recoverStopping(const Found *found, GError **error)
{
    if (isActive(found))
        return found->whole ? recoverRunning(found, error)
                            : abandon(found, VIRT_HPT_RECOVERY_UNTOUCHED, error);
    if (!found->journal->aside)
        return complete(found, error);
    /* The guest ended while libvirt saved it: there is no state to bring back. */
    return found->whole ? bringBack(found, error) : abandon(found, VIRT_HPT_RECOVERY_OFF, error);
}

static gboolean
isOnLayersBefore(const VirtHptJournal *journal, const GPtrArray *layers)
{
    for (guint i = 0; i < layers->len; i++) {
        if (!virtHptUsesHas(journal->layers, g_ptr_array_index(layers, i)))
            return FALSE;
    }
    return TRUE;
}

/* Whoever removed the state before has decided: there is nothing to bring back. */
static gboolean
isAsideGone(const Found *found)
{
    struct stat st;

    return found->journal->aside && lstat(found->journal->aside, &st) < 0 && errno == ENOENT;
}

static gboolean
recoverWithoutAside(const Found *found, GError **error)
{
    virtHptRevertWarn(
        found->options,
        _("'%1$s', the state of '%2$s' before its revert, is gone: there is nothing to bring back"),
        found->journal->aside, found->guest->name);
    return leave(found, error);
}

static gboolean
recoverRestoring(const Found *found, GError **error)
{
    gboolean ours = FALSE;

    if (isActive(found)) {
        if (!virtHptRevertIsOurs(found->guest, found->journal, &ours, error))
            return FALSE;
        /* It was restored onto new layers, and ran since if those are not empty any more. */
        if (!ours || (!found->journal->aside && findUsed(found)))
            return recoverRunning(found, error);
    }
    /* Where there was no state to keep, what the user asked for is all there is. */
    if (!found->journal->aside || (ours && isAsideGone(found)))
        return complete(found, error);
    return isAsideGone(found) ? recoverWithoutAside(found, error) : bringBack(found, error);
}

/* Whether the domain is the guest before, as libvirt restored it */
static gboolean
isBack(const Found *found, gboolean *is, GError **error)
{
    g_autoptr(GPtrArray) layers = virtHptUsesTop(found->guest, error);

    if (!layers)
        return FALSE;
    /* Who starts a guest paused, or pauses it, is the user. */
    *is = layers->len > 0 && isOnLayersBefore(found->journal, layers) &&
          ((found->state == VIR_DOMAIN_PAUSED && found->reason != VIR_DOMAIN_PAUSED_USER &&
            found->reason != VIR_DOMAIN_PAUSED_IOERROR) ||
           (found->state == VIR_DOMAIN_RUNNING && found->reason == VIR_DOMAIN_RUNNING_RESTORED));
    return TRUE;
}

static gboolean
recoverUndoing(const Found *found, GError **error)
{
    gboolean back = FALSE;

    if (!isActive(found))
        return isAsideGone(found) ? recoverWithoutAside(found, error) : bringBack(found, error);
    if (!isBack(found, &back, error))
        return FALSE;
    return back ? abandon(found, VIRT_HPT_RECOVERY_BROUGHT_BACK, error)
                : recoverRunning(found, error);
}

/* Whether the guest was resumed, and paused again by the user or what happened to it.  One that
 * libvirt restored paused has other reasons. */
static gboolean
isPausedSince(const Found *found)
{
    return found->state == VIR_DOMAIN_PAUSED &&
           (found->reason == VIR_DOMAIN_PAUSED_USER || found->reason == VIR_DOMAIN_PAUSED_IOERROR ||
            found->reason == VIR_DOMAIN_PAUSED_WATCHDOG ||
            found->reason == VIR_DOMAIN_PAUSED_CRASHED);
}

static gboolean
recoverCommitting(const Found *found, GError **error)
{
    gboolean running;

    if (isPausedSince(found))
        found->journal->resume = FALSE;
    *found->recovery = VIRT_HPT_RECOVERY_FINISHED;
    return virtHptRevertCommit(found->guest, found->journal, found->options, &running, error);
}

/* Whoever removed the state before has decided. */
static gboolean
recoverDiffering(const Found *found, GError **error)
{
    return found->whole ? recoverRestoring(found, error) : recoverCommitting(found, error);
}

/* Whether a guest that is off would be restored, from the state before or the snapshot */
static gboolean
willRestore(const Found *found)
{
    VirtHptPhase phase = found->journal->phase;

    return !isActive(found) && (found->whole || !found->journal->aside) &&
           (phase == VIRT_HPT_PHASE_STOPPING || phase == VIRT_HPT_PHASE_RESTORING ||
            phase == VIRT_HPT_PHASE_UNDOING || phase == VIRT_HPT_PHASE_DIFFERS);
}

static gboolean
recoverFound(const Found *found, GError **error)
{
    const char *disk = willRestore(found) ? findUsed(found) : NULL;

    if (disk)
        return recoverUsed(found, disk, error);
    switch (found->journal->phase) {
    case VIRT_HPT_PHASE_PREPARING:
        return abandon(found, VIRT_HPT_RECOVERY_UNTOUCHED, error);
    case VIRT_HPT_PHASE_STOPPING:
        return recoverStopping(found, error);
    case VIRT_HPT_PHASE_COMMITTING:
        return recoverCommitting(found, error);
    case VIRT_HPT_PHASE_UNDOING:
        return recoverUndoing(found, error);
    case VIRT_HPT_PHASE_UNDONE:
        return abandon(found, VIRT_HPT_RECOVERY_BROUGHT_BACK, error);
    case VIRT_HPT_PHASE_DIFFERS:
        return recoverDiffering(found, error);
    case VIRT_HPT_PHASE_CREATING:
        return virtHptCreateClean(found->guest, found->journal, found->options, error);
    case VIRT_HPT_PHASE_DELETING:
        return virtHptDeleteFinish(found->guest, found->journal, found->options, error);
    case VIRT_HPT_PHASE_RESTORING:
    default:
        return recoverRestoring(found, error);
    }
}

static gboolean
recoverJournal(VirtHptGuest *guest,
               VirtHptJournal *journal,
               const VirtHptRevertOptions *options,
               VirtHptRecovery *recovery,
               GError **error)
{
    Found found = {
        .guest = guest,
        .journal = journal,
        .options = options,
        .recovery = recovery,
    };

    /* libvirt goes on with what it was asked for, whoever asked. */
    if (!virtHptGuestAwaitJob(guest, options->patience ? options->patience : JOB_TIME, error))
        return FALSE;
    /* Not before: that may take long, and the guest was not touched by us. */
    if (options->hold && journal->phase != VIRT_HPT_PHASE_PREPARING &&
        journal->phase != VIRT_HPT_PHASE_CREATING && journal->phase != VIRT_HPT_PHASE_DELETING)
        options->hold();
    if (virDomainGetState(guest->domain, &found.state, &found.reason, 0) < 0)
        return virtHptLibvirtSetError(error, _("cannot query the state of '%1$s'"), guest->name);
    found.whole = journal->aside && virtHptBackendIsWhole(journal->aside);
    return recoverFound(&found, error);
}

/**
 * virtHptGuestRecover:
 * @guest: a locked guest
 * @asked: whether somebody asks for it; else a guest that waits for a decision is left alone
 * @options: whom to tell what should be known, and how far a long step is; no more of it is used
 * @recovery: (out): what was done
 * @error: set on failure; what it takes to try again is then kept
 *
 * Brings the guest back if a revert was interrupted.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptGuestRecover(VirtHptGuest *guest,
                    gboolean asked,
                    const VirtHptRevertOptions *options,
                    VirtHptRecovery *recovery,
                    GError **error)
{
    g_autoptr(VirtHptJournal) journal = NULL;
    g_autoptr(GError) local = NULL;

    *recovery = VIRT_HPT_RECOVERY_NONE;
    if (!virtHptJournalLoad(guest, &journal, error))
        return FALSE;
    if (!journal)
        return virtHptJournalRemove(guest, error);
    if (journal->phase == VIRT_HPT_PHASE_DIFFERS && !asked)
        return TRUE;
    if (recoverJournal(guest, journal, options, recovery, &local))
        return TRUE;
    if (journal->aside && !strstr(local->message, journal->aside) &&
        g_file_test(journal->aside, G_FILE_TEST_EXISTS))
        g_set_error(error, local->domain, local->code,
                    _("%1$s (the state of '%2$s' before its interrupted revert is in '%3$s')"),
                    local->message, guest->name, journal->aside);
    else
        g_propagate_error(error, g_steal_pointer(&local));
    return FALSE;
}
