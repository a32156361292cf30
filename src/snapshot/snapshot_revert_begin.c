/*
 * snapshot_revert_begin.c: what keeps a revert from beginning
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <errno.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "snapshot/snapshot_revertpriv.h"

/* What libvirt itself would lose, or take for the guest's state later */
static gboolean
checkGuest(VirtHptGuest *guest, GError **error)
{
    if (virDomainIsPersistent(guest->domain) != 1) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED,
            _("'%1$s' is not defined persistently: libvirt forgets its snapshots when it stops"),
            guest->name);
        return FALSE;
    }
    if (virDomainHasManagedSaveImage(guest->domain, 0) == 1) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED,
            _("'%1$s' has a managed save, which its next start would restore: start it, or: virsh managedsave-remove"),
            guest->name);
        return FALSE;
    }
    return TRUE;
}

/**
 * virtHptRevertIsDecided:
 * @guest: a locked guest, which was recovered
 * @error: set on failure: %VIRT_HPT_ERROR_FAILED
 *
 * Nobody but the user knows whether the state before an earlier revert may go, and its journal must
 * not be written over.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptRevertIsDecided(VirtHptGuest *guest, GError **error)
{
    g_autoptr(VirtHptJournal) earlier = NULL;

    if (!virtHptJournalLoad(guest, &earlier, error))
        return FALSE;
    if (!earlier)
        return TRUE;
    g_set_error(
        error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
        _("an earlier revert of '%1$s' waits for a decision, as its restored table differed: to go back to before it: virt-hpt snapshot-revert --recover; to keep the guest as it is, remove '%2$s' first, and then the same"),
        guest->name, earlier->aside);
    return FALSE;
}

/* What an earlier revert left there must be gone before a journal speaks of it; a whole state is
 * somebody's. */
static gboolean
clearAside(const VirtHptGuest *guest, const char *aside, GError **error)
{
    g_autofree char *quoted = g_shell_quote(aside);

    if (access(aside, F_OK) == 0 && virtHptBackendIsWhole(aside)) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_EXISTS,
            _("'%1$s' holds a state of '%2$s' that no revert knows of: keep it elsewhere, or if nobody needs it: rm %3$s"),
            aside, guest->name, quoted);
        return FALSE;
    }
    if (unlink(aside) == 0 || errno == ENOENT)
        return TRUE;
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO, _("cannot remove '%1$s': %2$s"), aside,
                g_strerror(errno));
    return FALSE;
}

/**
 * virtHptRevertMayBegin:
 * @guest: a locked guest
 * @journal: of a revert that is planned
 * @error: set on failure: %VIRT_HPT_ERROR_FAILED where an earlier one is not decided,
 *   %VIRT_HPT_ERROR_EXISTS where a saved state is in the way, %VIRT_HPT_ERROR_UNSUPPORTED
 *
 * Nothing is changed but that an unfinished saved state goes.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptRevertMayBegin(VirtHptGuest *guest, const VirtHptJournal *journal, GError **error)
{
    return virtHptRevertIsDecided(guest, error) && checkGuest(guest, error) &&
           (!journal->aside || clearAside(guest, journal->aside, error));
}
