/*
 * snapshot_guest.c: a domain that snapshots are made of, and what we keep for it
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "snapshot/snapshot_guest.h"
#include "snapshot/snapshot_state.h"

#define REVERTS_EXTERNAL_SINCE 9009000 /* libvirt 9.9.0 */

#define POLL_INTERVAL 50 /* milliseconds */
/* A request that is still on its way to the daemon has no job yet */
#define QUIET_POLLS 6

void
virtHptGuestFree(VirtHptGuest *guest)
{
    if (!guest)
        return;
    if (guest->stateDir >= 0)
        close(guest->stateDir);
    g_free(guest->statePath);
    g_clear_pointer(&guest->domain, virDomainFree);
    g_clear_pointer(&guest->connection, virConnectClose);
    g_free(guest);
}

static virDomain *
lookup(virConnect *connection, const char *name, GError **error)
{
    virDomain *domain = virDomainLookupByName(connection, name);
    int code = domain ? VIR_ERR_OK : virGetLastErrorCode();

    if (code == VIR_ERR_NO_DOMAIN) {
        domain = virDomainLookupByUUIDString(connection, name);
        code = domain ? VIR_ERR_OK : virGetLastErrorCode();
    }
    if (domain)
        return domain;
    /* Where libvirt cannot be asked nobody knows whether there is one; no UUID is no argument. */
    if (code != VIR_ERR_NO_DOMAIN && code != VIR_ERR_INVALID_ARG)
        virtHptLibvirtSetError(error, _("cannot query '%1$s'"), name);
    else
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND, _("there is no domain '%1$s'"),
                    name);
    return domain;
}

/* Who may not change anything may look: libvirt has a socket for that which all may use. */
static virConnect *
connectTo(const char *uri, gboolean *readOnly, GError **error)
{
    g_autoptr(GError) local = NULL;
    virConnect *connection = virConnectOpen(uri);

    *readOnly = !connection;
    if (connection)
        return connection;
    virtHptLibvirtSetError(&local, _("cannot connect to libvirt"));
    connection = virConnectOpenReadOnly(uri);
    if (!connection)
        g_propagate_error(error, g_steal_pointer(&local));
    return connection;
}

/**
 * virtHptGuestOpen:
 * @uri: (nullable): libvirt's connection URI, or %NULL for its default
 * @domain: the domain's name or UUID
 * @error: set on failure: %VIRT_HPT_ERROR_NOT_FOUND, or what libvirt's errors stand for
 *
 * Returns: (transfer full): the guest, or %NULL
 */
VirtHptGuest *
virtHptGuestOpen(const char *uri, const char *domain, GError **error)
{
    g_autoptr(VirtHptGuest) guest = g_new0(VirtHptGuest, 1);
    unsigned long version;

    guest->stateDir = -1;
    guest->connection = connectTo(uri, &guest->readOnly, error);
    if (!guest->connection)
        return NULL;
    guest->domain = lookup(guest->connection, domain, error);
    if (!guest->domain)
        return NULL;
    if (virConnectGetLibVersion(guest->connection, &version) < 0 ||
        virDomainGetUUIDString(guest->domain, guest->uuid) < 0) {
        virtHptLibvirtSetError(error, _("cannot query '%1$s'"), domain);
        return NULL;
    }
    guest->name = virDomainGetName(guest->domain);
    guest->revertsExternal = version >= REVERTS_EXTERNAL_SINCE;
    guest->statePath = virtHptStateDirPath(guest->uuid);
    return g_steal_pointer(&guest);
}

/* The journal, the state put aside and the disk layers are files of the host that the guest is on,
 * which must be this one. */
static gboolean
checkLocal(const VirtHptGuest *guest, GError **error)
{
    g_autoptr(VirtHptLibvirtString) uri = virConnectGetURI(guest->connection);
    const char *host = uri ? strstr(uri, "://") : NULL;

    if (!host || host[3] == '/' || host[3] == '\0')
        return TRUE;
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED,
                _("'%1$s' is on another host (%2$s): run virt-hpt there"), guest->name, uri);
    return FALSE;
}

static gboolean
checkWritable(const VirtHptGuest *guest, GError **error)
{
    if (!guest->readOnly)
        return TRUE;
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                _("libvirt lets this user look at '%1$s', and not change it"), guest->name);
    return FALSE;
}

/**
 * virtHptGuestLock:
 * @guest: a guest
 * @error: set on failure: %VIRT_HPT_ERROR_FAILED where another process has it, or libvirt lets the
 *   user only look,
 *   %VIRT_HPT_ERROR_UNSUPPORTED where it is on another host, or what virtHptStateDirOpen() sets
 *
 * Keeps others who use this library from changing the domain, until @guest is freed or this process
 * ends.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptGuestLock(VirtHptGuest *guest, GError **error)
{
    if (guest->locked)
        return TRUE;
    if (!checkLocal(guest, error) || !checkWritable(guest, error))
        return FALSE;
    if (guest->stateDir < 0) {
        guest->stateDir = virtHptStateDirOpen(guest->uuid, TRUE, error);
        if (guest->stateDir < 0)
            return FALSE;
    }
    if (flock(guest->stateDir, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                        _("another virt-hpt works on '%1$s': wait until it is done"), guest->name);
        else
            g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO, _("cannot lock '%1$s': %2$s"),
                        guest->statePath, g_strerror(errno));
        return FALSE;
    }
    guest->locked = TRUE;
    return TRUE;
}

/**
 * virtHptGuestUnlock:
 * @guest: a locked guest, with which nothing is done any more but to look at it
 */
void
virtHptGuestUnlock(VirtHptGuest *guest)
{
    flock(guest->stateDir, LOCK_UN);
    guest->locked = FALSE;
}

/**
 * virtHptGuestGetState:
 * @guest: a guest
 * @state: (out): a virDomainState
 * @error: set on failure
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptGuestGetState(VirtHptGuest *guest, int *state, GError **error)
{
    if (virDomainGetState(guest->domain, state, NULL, 0) < 0)
        return virtHptLibvirtSetError(error, _("cannot query the state of '%1$s'"), guest->name);
    return TRUE;
}

/**
 * virtHptGuestGetId:
 * @guest: a guest
 *
 * Returns: libvirt's id of what runs or is paused now, which nothing else has until the host or
 *   libvirt is started anew; or -1
 */
gint
virtHptGuestGetId(VirtHptGuest *guest)
{
    /* What was looked up earlier has the id of then. */
    g_autoptr(virDomain) now = virDomainLookupByUUIDString(guest->connection, guest->uuid);
    unsigned int id = now ? virDomainGetID(now) : (unsigned int)-1;

    return id <= G_MAXINT ? (gint)id : -1;
}

/**
 * virtHptGuestBootId:
 *
 * Returns: (transfer full): what tells this run of the host's kernel from others (Linux proc(5),
 *   /proc/sys/kernel/random/boot_id), or %NULL
 */
char *
virtHptGuestBootId(void)
{
    char *id = NULL;

    if (g_file_get_contents("/proc/sys/kernel/random/boot_id", &id, NULL, NULL))
        g_strstrip(id);
    return id;
}

static gboolean
isStartingUp(VirtHptGuest *guest)
{
    int state;
    int reason;

    return virDomainGetState(guest->domain, &state, &reason, 0) == 0 &&
           state == VIR_DOMAIN_PAUSED && reason == VIR_DOMAIN_PAUSED_STARTING_UP;
}

/**
 * virtHptGuestAwaitJob:
 * @guest: a guest
 * @timeout: seconds
 * @error: set on failure: %VIRT_HPT_ERROR_FAILED where libvirt's job has not ended by then
 *
 * Waits until libvirt has done what somebody, who may be gone by now, asked it to do with the
 * domain.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptGuestAwaitJob(VirtHptGuest *guest, guint timeout, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)timeout * G_USEC_PER_SEC;
    guint quiet = 0;

    while (quiet < QUIET_POLLS) {
        virDomainJobInfo info = {.type = VIR_DOMAIN_JOB_NONE};

        /* A domain that is off has none, which some versions call an error. */
        if ((virDomainGetJobInfo(guest->domain, &info) < 0 || info.type == VIR_DOMAIN_JOB_NONE) &&
            !isStartingUp(guest))
            quiet++;
        else
            quiet = 0;
        if (g_get_monotonic_time() >= deadline) {
            g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                        _("libvirt is still at work on '%1$s': try again later"), guest->name);
            return FALSE;
        }
        g_usleep(POLL_INTERVAL * 1000UL);
    }
    return TRUE;
}

/**
 * virtHptGuestPullPlug:
 * @guest: a guest
 * @error: set on failure
 *
 * Ends the guest at once, if it is there.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptGuestPullPlug(VirtHptGuest *guest, GError **error)
{
    g_autoptr(GError) local = NULL;
    int active = virDomainIsActive(guest->domain);

    if (active == 0 || (active > 0 && virDomainDestroy(guest->domain) == 0))
        return TRUE;
    virtHptLibvirtSetError(&local, _("cannot stop '%1$s'"), guest->name);
    /* It may have ended by itself just now; what cannot be asked has not ended. */
    if (virDomainIsActive(guest->domain) == 0)
        return TRUE;
    g_propagate_error(error, g_steal_pointer(&local));
    return FALSE;
}
