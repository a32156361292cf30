/*
 * snapshot_common.c: what the snapshot commands share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "config.h"

#include "snapshot_common.h"

#include <signal.h>
#include <unistd.h>

#include <glib/gi18n.h>

#include "text.h"

/* How long who only looks waits for what libvirt does with the domain, in seconds */
#define LOOK_PATIENCE 10

/**
 * virtHptToolSay:
 * @message: what a user should know while a command runs
 * @opaque: the VirtHptTool
 *
 * Prints to standard error, and at once: it may be the last thing that this process does.
 */
void
virtHptToolSay(const char *message, gpointer opaque G_GNUC_UNUSED)
{
    g_autoptr(VirtHptOutput) err = virtHptOutputNew(STDERR_FILENO);
    g_autofree char *escaped = virtHptTextEscape(message);

    virtHptOutputPrintf(err, "virt-hpt: %s\n", escaped);
    virtHptOutputFlush(err);
}

/**
 * virtHptToolHold:
 *
 * From now on this process is not ended by a key, a terminal that is closed, or a polite request: a
 * guest is off, and is on its way back.
 */
void
virtHptToolHold(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    const struct sigaction ignore = {.sa_handler = SIG_IGN};

    for (gsize i = 0; i < G_N_ELEMENTS(signals); i++)
        sigaction(signals[i], &ignore, NULL);
}

/**
 * virtHptToolRecoveryName:
 * @recovery: what was done with a revert that was interrupted
 *
 * Returns: its stable name, never translated
 */
const char *
virtHptToolRecoveryName(VirtHptRecovery recovery)
{
    static const char *const names[] = {
        [VIRT_HPT_RECOVERY_NONE] = "none",
        [VIRT_HPT_RECOVERY_UNTOUCHED] = "untouched",
        [VIRT_HPT_RECOVERY_BROUGHT_BACK] = "brought-back",
        [VIRT_HPT_RECOVERY_FINISHED] = "completed",
        [VIRT_HPT_RECOVERY_OFF] = "off",
        [VIRT_HPT_RECOVERY_DIFFERS] = "differs",
        [VIRT_HPT_RECOVERY_LEFT] = "left",
    };

    return names[recovery];
}

/**
 * virtHptToolSayRecovery:
 * @tool: whose options say whether to print
 * @guest: a guest
 * @recovery: what was done with it
 */
void
virtHptToolSayRecovery(const VirtHptTool *tool, const VirtHptGuest *guest, VirtHptRecovery recovery)
{
    g_autofree char *message = NULL;

    switch (recovery) {
    case VIRT_HPT_RECOVERY_UNTOUCHED:
        message = g_strdup_printf(
            _("a revert of '%1$s' was interrupted before it changed anything"), guest->name);
        break;
    case VIRT_HPT_RECOVERY_BROUGHT_BACK:
        message = g_strdup_printf(
            _("a revert of '%1$s' was interrupted: brought it back as it was before"), guest->name);
        break;
    case VIRT_HPT_RECOVERY_FINISHED:
        message =
            g_strdup_printf(_("a revert of '%1$s' was interrupted: completed it"), guest->name);
        break;
    case VIRT_HPT_RECOVERY_OFF:
        message = g_strdup_printf(
            _("a revert of '%1$s' was interrupted, and there is no state before it: it is off"),
            guest->name);
        break;
    case VIRT_HPT_RECOVERY_DIFFERS:
        message = g_strdup_printf(
            _("a revert of '%1$s' was interrupted: completed it, and the restored table differs from the recorded one: the guest is paused"),
            guest->name);
        break;
    case VIRT_HPT_RECOVERY_LEFT:
        message = g_strdup_printf(
            _("a revert of '%1$s' was interrupted: the guest is left as it is now"), guest->name);
        break;
    case VIRT_HPT_RECOVERY_NONE:
    default:
        return;
    }
    virtHptToolSay(message, (gpointer)tool);
}

/**
 * virtHptToolOpenGuest:
 * @tool: whose options say how to connect
 * @domain: name or UUID
 * @access: whether the command changes anything
 * @error: set on failure
 *
 * Opens a guest, and brings it back if a revert was interrupted.
 *
 * Returns: (transfer full): the guest, locked if the command changes anything, or %NULL
 */
VirtHptGuest *
virtHptToolOpenGuest(const VirtHptTool *tool,
                     const char *domain,
                     VirtHptAccess access,
                     GError **error)
{
    g_autoptr(VirtHptGuest) guest = virtHptGuestOpen(tool->connection, domain, error);
    g_autoptr(GError) local = NULL;
    const VirtHptRevertOptions options = {
        .say = virtHptToolSay,
        .hold = virtHptToolHold,
        .patience = access == VIRT_HPT_ACCESS_LOOK ? LOOK_PATIENCE : 0,
        .opaque = (gpointer)tool,
    };
    VirtHptRecovery recovery;

    if (!guest)
        return NULL;
    /* Somebody at work, or no right to write, is no reason not to look. */
    if (!virtHptGuestLock(guest, access == VIRT_HPT_ACCESS_CHANGE ? error : NULL))
        return access == VIRT_HPT_ACCESS_CHANGE ? NULL : g_steal_pointer(&guest);
    if (virtHptGuestRecover(guest, FALSE, &options, &recovery, &local)) {
        virtHptToolSayRecovery(tool, guest, recovery);
    } else if (access == VIRT_HPT_ACCESS_LOOK) {
        virtHptToolSay(local->message, (gpointer)tool);
    } else {
        g_propagate_error(error, g_steal_pointer(&local));
        return NULL;
    }
    if (access == VIRT_HPT_ACCESS_LOOK)
        virtHptGuestUnlock(guest);
    return g_steal_pointer(&guest);
}

/**
 * virtHptToolCheckName:
 * @tool: a tool
 * @operands: DOMAIN, and NAME unless it was left out
 * @current: whether --current was given
 * @status: (out): exit code if that is wrong
 *
 * Returns: whether exactly one snapshot is meant
 */
gboolean
virtHptToolCheckName(VirtHptTool *tool, char **operands, gboolean current, VirtHptExit *status)
{
    if (!operands[1] && !current)
        *status = virtHptToolUsage(tool, _("missing operand %s"), "NAME");
    else if (operands[1] && current)
        *status = virtHptToolUsage(tool, _("NAME and --current exclude each other"));
    else
        return TRUE;
    return FALSE;
}
