/*
 * snapshot_recover.c: bring a guest back after a revert that failed or was interrupted
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <string.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "snapshot/snapshot_driver.h"
#include "snapshot/snapshot_keep.h"
#include "snapshot/snapshot_revertpriv.h"

/* How long libvirt may take to save a guest, or to restore one, that nobody waits for any more */
#define JOB_TIME 3600 /* seconds */

static void
dropKept(const VirtHptJournal *journal)
{
    for (guint i = 0; i < journal->kept->len; i++)
        virtHptKeepDrop(g_ptr_array_index(journal->kept, i));
}

/**
 * virtHptRevertDropOverlays:
 * @journal: of a revert that has not touched its guest
 *
 * Removes the disk layers that were made for it, and the second names of others.
 */
void
virtHptRevertDropOverlays(const VirtHptJournal *journal)
{
    for (guint i = 0; i < journal->overlays->len; i++)
        virtHptOverlayRemove(g_ptr_array_index(journal->overlays, i));
    dropKept(journal);
}

static void
removeAside(const VirtHptJournal *journal)
{
    if (journal->aside)
        unlink(journal->aside);
}

static gboolean
bringBackKept(const VirtHptJournal *journal, GError **error)
{
    for (guint i = 0; i < journal->kept->len; i++) {
        if (!virtHptKeepBringBack(g_ptr_array_index(journal->kept, i), error))
            return FALSE;
    }
    return TRUE;
}

/* The last step: what the journal speaks of is in order. */
static gboolean
forget(VirtHptGuest *guest, VirtHptJournal *journal, GError **error)
{
    if (!virtHptJournalRemove(guest, error))
        return FALSE;
    removeAside(journal);
    dropKept(journal);
    return TRUE;
}

/**
 * virtHptRevertAbandon:
 * @guest: a locked guest, as it was
 * @journal: of a revert that has not touched it
 * @error: set on failure
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptRevertAbandon(VirtHptGuest *guest, VirtHptJournal *journal, GError **error)
{
    if (!forget(guest, journal, error))
        return FALSE;
    virtHptRevertDropOverlays(journal);
    return TRUE;
}

static gboolean
redefine(VirtHptGuest *guest, const VirtHptJournal *journal, GError **error)
{
    g_autoptr(virDomain) defined = NULL;

    if (!journal->definition)
        return TRUE;
    defined = virDomainDefineXML(guest->connection, journal->definition);
    if (!defined)
        return virtHptLibvirtSetError(error, _("cannot redefine '%1$s'"), guest->name);
    return TRUE;
}

/**
 * virtHptRevertUndo:
 * @guest: a locked guest
 * @journal: of a revert that is not committed
 * @error: set on failure; the journal and the state before are then kept
 *
 * Ends the snapshot's guest if there is one, and brings back what was before.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptRevertUndo(VirtHptGuest *guest, VirtHptJournal *journal, GError **error)
{
    /* The snapshot's guest is better than none. */
    if (journal->aside && !virtHptBackendIsWhole(journal->aside)) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND,
                    _("'%1$s' does not hold the state of '%2$s' before its revert"), journal->aside,
                    guest->name);
        return FALSE;
    }
    if (!virtHptGuestPullPlug(guest, error) || !bringBackKept(journal, error) ||
        !redefine(guest, journal, error))
        return FALSE;
    if (journal->aside && !virtHptBackendRestoreGuest(guest, journal->aside, error))
        return FALSE;
    return virtHptRevertAbandon(guest, journal, error);
}

/**
 * virtHptRevertCommit:
 * @guest: a locked guest
 * @journal: of a revert that is committed
 * @running: (out): whether the guest runs
 * @error: set on failure; the journal is then kept
 *
 * Lets the snapshot's guest run if it shall, and removes the state before.  May be done twice.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptRevertCommit(VirtHptGuest *guest, VirtHptJournal *journal, gboolean *running, GError **error)
{
    int state;

    if (!virtHptGuestGetState(guest, &state, error))
        return FALSE;
    if (journal->resume && state == VIR_DOMAIN_PAUSED && virDomainResume(guest->domain) < 0)
        return virtHptLibvirtSetError(error, _("cannot resume '%1$s'"), guest->name);
    if (!virtHptGuestGetState(guest, &state, error))
        return FALSE;
    *running = state == VIR_DOMAIN_RUNNING;
    return forget(guest, journal, error);
}

/* There was no state to keep, or it was not to be kept: what the user asked for is all there is. */
static gboolean
finishRevert(VirtHptGuest *guest, VirtHptJournal *journal, gboolean restored, GError **error)
{
    g_autoptr(VirtHptSnapshot) snapshot = virtHptSnapshotLookup(guest, journal->snapshot, error);
    gboolean running;

    if (!snapshot || !virtHptSnapshotHasImage(snapshot, error) ||
        !virtHptJournalEnter(journal, guest, VIRT_HPT_PHASE_RESTORING, error))
        return FALSE;
    if (!restored && !snapshot->backend->revert(snapshot, journal, error))
        return FALSE;
    return (!snapshot->backend->settle || snapshot->backend->settle(snapshot, journal, error)) &&
           virtHptJournalEnter(journal, guest, VIRT_HPT_PHASE_COMMITTING, error) &&
           virtHptRevertCommit(guest, journal, &running, error);
}

/* Somebody else let the guest run since: what was saved must not go just because of that. */
static gboolean
recoverRunning(VirtHptGuest *guest,
               VirtHptJournal *journal,
               VirtHptRecovery *recovery,
               GError **error)
{
    if (!journal->aside || !virtHptBackendIsWhole(journal->aside)) {
        *recovery = VIRT_HPT_RECOVERY_UNTOUCHED;
        return virtHptJournalRemove(guest, error);
    }
    g_set_error(
        error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
        _("a revert of '%1$s' was interrupted, and it runs all the same: to keep it as it is, remove '%2$s', its state before the revert; to go back to that: virsh destroy, then virt-hpt snapshot-revert --recover"),
        guest->name, journal->aside);
    return FALSE;
}

static gboolean
recoverStopping(VirtHptGuest *guest,
                VirtHptJournal *journal,
                gboolean active,
                VirtHptRecovery *recovery,
                GError **error)
{
    if (active && journal->aside && virtHptBackendIsWhole(journal->aside))
        return recoverRunning(guest, journal, recovery, error);
    if (active) {
        *recovery = VIRT_HPT_RECOVERY_UNTOUCHED;
        return virtHptRevertAbandon(guest, journal, error);
    }
    if (!journal->aside) {
        *recovery = VIRT_HPT_RECOVERY_FINISHED;
        return finishRevert(guest, journal, FALSE, error);
    }
    if (!virtHptBackendIsWhole(journal->aside)) {
        /* The machine went down while libvirt saved the guest: there is no state to bring back. */
        *recovery = VIRT_HPT_RECOVERY_OFF;
        return virtHptRevertAbandon(guest, journal, error);
    }
    *recovery = VIRT_HPT_RECOVERY_BROUGHT_BACK;
    return virtHptRevertUndo(guest, journal, error);
}

/* Whether a guest that is paused may be the one that @journal's revert restored: that lies on the
 * layers which were made for it alone, if there are any. */
static gboolean
isOfRevert(VirtHptGuest *guest, const VirtHptJournal *journal)
{
    g_autoptr(VirtHptLibvirtString) xml = virDomainGetXMLDesc(guest->domain, 0);

    for (guint i = 0; xml && i < journal->overlays->len; i++) {
        const VirtHptOverlay *overlay = g_ptr_array_index(journal->overlays, i);
        g_autofree char *escaped = g_markup_escape_text(overlay->path, -1);
        g_auto(GStrv) parts = g_strsplit(escaped, "&#39;", -1);
        g_autofree char *quoted = g_strjoinv("&apos;", parts); /* as libvirt writes it */

        if (!strstr(xml, quoted))
            return FALSE;
    }
    return xml != NULL;
}

static gboolean
recoverRestoring(VirtHptGuest *guest,
                 VirtHptJournal *journal,
                 int state,
                 VirtHptRecovery *recovery,
                 GError **error)
{
    gboolean active = state != VIR_DOMAIN_SHUTOFF;

    /* A revert leaves its guest paused until it is committed: this one is somebody else's. */
    if (active && (state != VIR_DOMAIN_PAUSED || !isOfRevert(guest, journal)))
        return recoverRunning(guest, journal, recovery, error);
    if (journal->aside) {
        *recovery = VIRT_HPT_RECOVERY_BROUGHT_BACK;
        return virtHptRevertUndo(guest, journal, error);
    }
    *recovery = VIRT_HPT_RECOVERY_FINISHED;
    return finishRevert(guest, journal, active, error);
}

static gboolean
recoverJournal(VirtHptGuest *guest,
               VirtHptJournal *journal,
               VirtHptRecovery *recovery,
               GError **error)
{
    gboolean running;
    int state;

    /* libvirt goes on with what it was asked for, whoever asked. */
    if (!virtHptGuestAwaitJob(guest, JOB_TIME, error) ||
        !virtHptGuestGetState(guest, &state, error))
        return FALSE;
    switch (journal->phase) {
    case VIRT_HPT_PHASE_STOPPING:
        return recoverStopping(guest, journal, state != VIR_DOMAIN_SHUTOFF, recovery, error);
    case VIRT_HPT_PHASE_COMMITTING:
        *recovery = VIRT_HPT_RECOVERY_FINISHED;
        return virtHptRevertCommit(guest, journal, &running, error);
    case VIRT_HPT_PHASE_DIFFERS:
        if (!journal->aside) {
            /* There is nothing to go back to, and the guest is not to run by itself. */
            *recovery = VIRT_HPT_RECOVERY_UNTOUCHED;
            return virtHptJournalRemove(guest, error);
        }
        return recoverRestoring(guest, journal, state, recovery, error);
    case VIRT_HPT_PHASE_RESTORING:
    default:
        return recoverRestoring(guest, journal, state, recovery, error);
    }
}

/**
 * virtHptGuestRecover:
 * @guest: a locked guest
 * @asked: whether somebody asks for it; else a guest that waits for a decision is left alone
 * @recovery: (out): what was done
 * @error: set on failure; what it takes to try again is then kept
 *
 * Brings the guest back if a revert was interrupted.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptGuestRecover(VirtHptGuest *guest, gboolean asked, VirtHptRecovery *recovery, GError **error)
{
    g_autoptr(VirtHptJournal) journal = NULL;
    g_autoptr(GError) local = NULL;

    *recovery = VIRT_HPT_RECOVERY_NONE;
    if (!virtHptJournalLoad(guest, &journal, error))
        return FALSE;
    if (!journal || (journal->phase == VIRT_HPT_PHASE_DIFFERS && !asked))
        return TRUE;
    if (recoverJournal(guest, journal, recovery, &local))
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
