/*
 * snapshot_undo.c: how a revert ends: the guest before is brought back, or it goes; and so do files
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Files that a revert makes, and when they go.  The journal names each before it is there and goes
 * last, so that whoever comes after a process that was killed knows all that is left.
 *
 * The state before (aside) goes when the revert is committed, or the guest was restored from it.
 *
 * New layers, of ours or libvirt's, go when the revert is undone, unless the domain or a snapshot
 * names them, or somebody wrote to them, and then they are named.
 *
 * Second names (kept) go in both cases; where libvirt removed a layer that is still needed, or that
 * may be all that is left of the state before, it gets its name again.
 *
 * The layers that the guest was on before a revert hold what was given up.  They are named, never
 * removed, by us.
 */

#include "config.h"

#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "snapshot/snapshot_keep.h"
#include "snapshot/snapshot_made.h"
#include "snapshot/snapshot_metadata.h"
#include "snapshot/snapshot_revertpriv.h"
#include "snapshot/snapshot_uses.h"

static void G_GNUC_PRINTF(2, 0)
    say(const VirtHptRevertOptions *options, const char *format, va_list args)
{
    g_autofree char *message = g_strdup_vprintf(format, args);

    if (options->say)
        options->say(message, options->opaque);
}

/**
 * virtHptRevertSay:
 * @options: whom to tell
 * @format: of what a user should know, translated
 */
void
virtHptRevertSay(const VirtHptRevertOptions *options, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(options, format, args);
    va_end(args);
}

/**
 * virtHptRevertWarn:
 * @options: whom to tell, and what notes that
 * @format: of what is not as it should be, translated
 */
void
virtHptRevertWarn(const VirtHptRevertOptions *options, const char *format, ...)
{
    va_list args;

    if (options->warned)
        *options->warned = TRUE;
    va_start(args, format);
    say(options, format, args);
    va_end(args);
}

/* Gives a file that was kept its name again; one that is gone by both is said to be, once. */
static gboolean
bringBackOne(const VirtHptJournal *journal,
             guint i,
             const VirtHptRevertOptions *options,
             GError **error)
{
    const char *path = g_ptr_array_index(journal->kept, i);
    g_autoptr(GError) local = NULL;

    if (virtHptKeepBringBack(path, &local))
        return TRUE;
    if (!g_error_matches(local, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND)) {
        g_propagate_error(error, g_steal_pointer(&local));
        return FALSE;
    }
    virtHptRevertWarn(options, "%s", local->message);
    g_ptr_array_remove_index(journal->kept, i);
    return TRUE;
}

static gboolean
bringBackKept(const VirtHptJournal *journal, const VirtHptRevertOptions *options, GError **error)
{
    for (guint i = journal->kept->len; i > 0; i--) {
        if (!bringBackOne(journal, i - 1, options, error))
            return FALSE;
    }
    return TRUE;
}

static void
dropKept(const VirtHptJournal *journal)
{
    for (guint i = 0; i < journal->kept->len; i++)
        virtHptKeepDrop(g_ptr_array_index(journal->kept, i));
}

static void
sayLeft(const VirtHptRevertOptions *options, const char *path)
{
    g_autofree char *quoted = g_shell_quote(path);

    virtHptRevertSay(
        options,
        _("'%1$s' holds disk contents from before the revert, and the domain does not use it any more; if nobody else does: rm %2$s"),
        path, quoted);
}

static void
removeAside(const VirtHptJournal *journal)
{
    if (journal->aside)
        unlink(journal->aside);
}

/**
 * virtHptRevertAbandon:
 * @guest: a locked guest, as it was
 * @journal: of a revert that has not touched it, or was undone
 * @options: whom to tell which files are left
 * @error: set on failure: %VIRT_HPT_ERROR_IO; the journal is then as it was
 *
 * Removes the files of a revert, and its journal last.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptRevertAbandon(VirtHptGuest *guest,
                     VirtHptJournal *journal,
                     const VirtHptRevertOptions *options,
                     GError **error)
{
    g_autoptr(GError) local = NULL;

    /* A journal that cannot be written goes first: a guest that runs must not be brought back. */
    if (!virtHptJournalEnter(journal, guest, VIRT_HPT_PHASE_UNDONE, NULL) &&
        !virtHptJournalRemove(guest, error))
        return FALSE;
    removeAside(journal);
    /* What cannot be removed now is removed by the next command, for which the journal stays. */
    if (bringBackKept(journal, options, &local) &&
        virtHptMadeRemove(guest, journal, options, &local)) {
        dropKept(journal);
        virtHptJournalRemove(guest, &local);
    }
    return TRUE;
}

static gboolean
redefine(VirtHptGuest *guest, const VirtHptJournal *journal, GError **error)
{
    g_autoptr(VirtHptLibvirtString) now = NULL;
    g_autoptr(virDomain) defined = NULL;

    if (!journal->definition)
        return TRUE;
    now = virDomainGetXMLDesc(guest->domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
    if (g_strcmp0(now, journal->definition) == 0)
        return TRUE;
    defined = virDomainDefineXML(guest->connection, journal->definition);
    if (!defined)
        return virtHptLibvirtSetError(error, _("cannot redefine '%1$s'"), guest->name);
    return TRUE;
}

/* libvirt may have made some and been left alone then. */
static gboolean
noteMade(VirtHptGuest *guest, VirtHptJournal *journal, GError **error)
{
    guint before = journal->made->len;

    /* It was noted once the guest was restored: what is on it since, somebody else attached. */
    if (journal->id >= 0)
        return TRUE;
    if (!virtHptMadeNote(guest, journal, error))
        return FALSE;
    /* On a full disk they may be left, and the guest comes back all the same. */
    if (journal->made->len > before)
        virtHptJournalEnter(journal, guest, journal->phase, NULL);
    return TRUE;
}

/**
 * virtHptRevertIsOurs:
 * @guest: a locked guest
 * @journal: of a revert
 * @is: (out): whether the domain is the guest that the revert restored, which stays paused until it
 *   is committed, and not one that somebody started since; %TRUE where it is off
 * @error: set on failure
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptRevertIsOurs(VirtHptGuest *guest,
                    const VirtHptJournal *journal,
                    gboolean *is,
                    GError **error)
{
    g_autofree char *boot = NULL;
    int state;

    *is = FALSE;
    if (!virtHptGuestGetState(guest, &state, error))
        return FALSE;
    if (state != VIR_DOMAIN_PAUSED) {
        *is = state == VIR_DOMAIN_SHUTOFF;
        return TRUE;
    }
    /* It was interrupted before the id was known. */
    if (journal->id < 0)
        return virtHptMadeIsUnder(guest, journal, is, error) &&
               (*is || virtHptMadeIsBelow(guest, journal, is, error));
    boot = virtHptGuestBootId();
    *is = virtHptGuestGetId(guest) == journal->id && g_strcmp0(boot, journal->boot) == 0;
    return TRUE;
}

/**
 * virtHptRevertRefuseRunning:
 * @guest: a guest that somebody started or let run
 * @journal: of its revert, which is not committed
 * @error: set
 *
 * Says what to do with it.
 *
 * Returns: %FALSE
 */
gboolean
virtHptRevertRefuseRunning(const VirtHptGuest *guest, const VirtHptJournal *journal, GError **error)
{
    if (journal->aside)
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
            _("a revert of '%1$s' was interrupted, and it runs all the same: to keep it as it is, remove '%2$s', its state before the revert; to go back to that: virsh destroy, then virt-hpt snapshot-revert --recover"),
            guest->name, journal->aside);
    else
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                    _("somebody started '%1$s' during the revert: it is left as it is"),
                    guest->name);
    return FALSE;
}

static gboolean
endRestored(VirtHptGuest *guest, const VirtHptJournal *journal, GError **error)
{
    gboolean ours;

    if (!virtHptRevertIsOurs(guest, journal, &ours, error))
        return FALSE;
    return ours ? virtHptGuestPullPlug(guest, error)
                : virtHptRevertRefuseRunning(guest, journal, error);
}

/**
 * virtHptRevertUndo:
 * @guest: a locked guest
 * @journal: of a revert that is not committed
 * @options: whom to tell which files are left
 * @error: set on failure; the journal and the state before are then kept
 *
 * Ends the snapshot's guest if there is one, and brings back what was before.  A guest that
 * somebody else started is not touched.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptRevertUndo(VirtHptGuest *guest,
                  VirtHptJournal *journal,
                  const VirtHptRevertOptions *options,
                  GError **error)
{
    g_autoptr(GError) local = NULL;

    /* The snapshot's guest is better than none. */
    if (journal->aside && !virtHptBackendIsWhole(journal->aside)) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND,
            _("'%1$s' does not hold the state of '%2$s' before its revert: to leave the guest as it is now, remove that file, then virt-hpt snapshot-revert --recover"),
            journal->aside, guest->name);
        return FALSE;
    }
    if (!noteMade(guest, journal, error) || !endRestored(guest, journal, error) ||
        !bringBackKept(journal, options, error) || !redefine(guest, journal, error))
        return FALSE;
    /* The guest is worth more than what libvirt says of its snapshots. */
    if (!virtHptMetadataPutBack(guest, journal, &local))
        virtHptRevertWarn(options,
                          _("the snapshots of '%1$s' are not all as they were before: %2$s"),
                          guest->name, local->message);
    /* On a full disk it is left out, and the guest comes back all the same. */
    virtHptJournalEnter(journal, guest, VIRT_HPT_PHASE_UNDOING, NULL);
    if (journal->aside && !virtHptBackendRestoreGuest(guest, journal->aside, error))
        return FALSE;
    return virtHptRevertAbandon(guest, journal, options, error);
}

/* libvirt removes layers without asking whether a snapshot needs them. */
static gboolean
settleKept(const VirtHptJournal *journal,
           GHashTable *used,
           const VirtHptRevertOptions *options,
           GError **error)
{
    for (guint i = journal->kept->len; i > 0; i--) {
        const char *path = g_ptr_array_index(journal->kept, i - 1);

        if (g_hash_table_contains(used, path) && !bringBackOne(journal, i - 1, options, error))
            return FALSE;
    }
    dropKept(journal);
    return TRUE;
}

/* Names the layers that the guest was on and that nothing of it needs any more. */
static void
nameLeft(const VirtHptJournal *journal, GHashTable *used, const VirtHptRevertOptions *options)
{
    for (guint i = 0; i < journal->layers->len; i++) {
        const char *path = g_ptr_array_index(journal->layers, i);

        if (!g_hash_table_contains(used, path) && access(path, F_OK) == 0)
            sayLeft(options, path);
    }
}

/**
 * virtHptRevertLeave:
 * @guest: a locked guest, which somebody started or let run since, or which is off
 * @journal: of a revert that was interrupted, and has no state before to bring back
 * @options: whom to tell which files are left
 * @error: set on failure; the journal is then kept
 *
 * Leaves the guest as it is, and removes what it does not use of the revert's files.  What may be
 * all that is left of the disks before stays.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptRevertLeave(VirtHptGuest *guest,
                   const VirtHptJournal *journal,
                   const VirtHptRevertOptions *options,
                   GError **error)
{
    g_autoptr(GHashTable) used = virtHptUsesAll(guest, error);

    if (!used || !virtHptMadeRemove(guest, journal, options, error) ||
        !bringBackKept(journal, options, error))
        return FALSE;
    dropKept(journal);
    nameLeft(journal, used, options);
    removeAside(journal);
    return virtHptJournalRemove(guest, error);
}

/* A guest that cannot be resumed now is whole all the same; @state: (out): its state then */
static gboolean
resume(VirtHptGuest *guest, const VirtHptRevertOptions *options, int *state, GError **error)
{
    g_autofree char *quoted = g_shell_quote(guest->name);
    g_autoptr(GError) local = NULL;
    gboolean resumed = virDomainResume(guest->domain) == 0;

    if (!resumed)
        virtHptLibvirtSetError(&local, _("cannot resume '%1$s'"), guest->name);
    /* Where libvirt itself is gone this is to be tried again. */
    if (!virtHptGuestGetState(guest, state, error))
        return FALSE;
    if (!resumed)
        virtHptRevertWarn(
            options,
            _("%1$s: it is the snapshot's, and stays paused; to let it run: virsh resume %2$s"),
            local->message, quoted);
    return TRUE;
}

/* Whether the snapshot's guest is there to take the place of the state before.  Whoever comes after
 * an interruption cannot tell a guest that died from one that was shut down since. */
static gboolean
checkThere(const VirtHptGuest *guest, const VirtHptJournal *journal, int state, GError **error)
{
    if (state != VIR_DOMAIN_SHUTOFF)
        return TRUE;
    if (!journal->found) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                    _("'%1$s' ended just after the snapshot was restored"), guest->name);
        return FALSE;
    }
    if (!journal->aside || !virtHptBackendIsWhole(journal->aside))
        return TRUE;
    g_set_error(
        error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
        _("a revert of '%1$s' was interrupted as it ended, and it is off: to leave it off, on the snapshot's disks, remove '%2$s', its state before the revert, then virt-hpt snapshot-revert --recover; to go back to that state: virsh restore"),
        guest->name, journal->aside);
    return FALSE;
}

/**
 * virtHptRevertCommit:
 * @guest: a locked guest
 * @journal: of a revert that is committed
 * @options: whom to tell which files are left
 * @running: (out): whether the guest runs
 * @error: set on failure, also where that guest is gone; journal and state before are then kept
 *
 * Lets the snapshot's guest run if it shall, and removes the state before.  May be done twice.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptRevertCommit(VirtHptGuest *guest,
                    const VirtHptJournal *journal,
                    const VirtHptRevertOptions *options,
                    gboolean *running,
                    GError **error)
{
    g_autoptr(GHashTable) used = NULL;
    int state;

    if (!virtHptGuestGetState(guest, &state, error))
        return FALSE;
    if (journal->resume && state == VIR_DOMAIN_PAUSED && !resume(guest, options, &state, error))
        return FALSE;
    if (!checkThere(guest, journal, state, error))
        return FALSE;
    *running = state == VIR_DOMAIN_RUNNING;
    used = virtHptUsesAll(guest, error);
    if (!used || !settleKept(journal, used, options, error))
        return FALSE;
    nameLeft(journal, used, options);
    removeAside(journal);
    return virtHptJournalRemove(guest, error);
}
