/*
 * qemu_capture.c: the HPT of a guest that runs, or is paused
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The table leaves QEMU only in a migration stream.  A migration that completes leaves the guest
 * stopped, so none is completed: with the capability "return-path" QEMU waits, once it has written
 * everything, for the destination to say that it has loaded it.  We close the socket instead.  QEMU
 * then declares the migration failed and goes back to the run state it came from by itself, and
 * does the same if we die at any moment (QEMU 7.2 migration/migration.c migration_completion(),
 * migration_iteration_finish()).
 */

#include "config.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "qemu/qemu_capture.h"
#include "qemu/qemu_monitor.h"

#define FD_NAME "virt-hpt"
#define CAPABILITY "return-path"

/* Bytes a second; QEMU's default would slow the capture of a large guest down */
#define BANDWIDTH (G_GINT64_CONSTANT(1) << 40)

/* How long QEMU may be silent.  At the end of the stream the guest stands still meanwhile. */
#define PATIENCE 10000 /* milliseconds */

/* How long QEMU may take to find out that the migration failed */
#define RETURN_TIME 15000 /* milliseconds */
#define POLL_INTERVAL 3   /* milliseconds */

typedef struct {
    virDomain *domain;
    char *status; /* run state before */
    gboolean returnPath;
    gint64 bandwidth;
    int fd;           /* our end of the socket */
    gboolean started; /* whether the migration under way is ours */
} Capture;

static void
captureClear(Capture *capture)
{
    g_free(capture->status);
    if (capture->fd >= 0)
        close(capture->fd);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Capture, captureClear)

/* Whether a migration that has this status is over, or never began. */
static gboolean
isOver(const char *status)
{
    static const char *const over[] = {"", "none", "completed", "failed", "cancelled", NULL};

    return g_strv_contains(over, status);
}

static gboolean
isSpent(const char *status)
{
    return g_str_equal(status, "postmigrate");
}

static gboolean
refuseSpent(virDomain *domain, GError **error)
{
    g_set_error(
        error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
        _("'%1$s' is paused since an earlier migration or capture, from where QEMU can neither migrate nor save it: resume it first"),
        virDomainGetName(domain));
    return FALSE;
}

/**
 * virtHptCaptureCheckSpent:
 * @domain: a domain
 * @error: set where it is: %VIRT_HPT_ERROR_FAILED
 *
 * A guest that was paused when it was captured cannot be migrated, saved or captured again until it
 * was resumed (QEMU 7.2 migration.c, migration_iteration_finish(); 10.0 brings the old state back).
 * libvirt does not tell that state from any other paused one.
 *
 * Returns: %FALSE with @error set if that is so, else, and in doubt, %TRUE
 */
gboolean
virtHptCaptureCheckSpent(virDomain *domain, GError **error)
{
    g_autofree char *status = NULL;
    int state;

    /* To ask QEMU marks the domain as tampered with: not without need */
    if (virDomainGetState(domain, &state, NULL, 0) < 0 || state != VIR_DOMAIN_PAUSED)
        return TRUE;
    status = virtHptMonitorQueryString(domain, "query-status", "status", NULL);
    return !status || !isSpent(status) || refuseSpent(domain, error);
}

static gboolean
checkIdle(Capture *capture, GError **error)
{
    g_autofree char *migration =
        virtHptMonitorQueryString(capture->domain, "query-migrate", "status", error);

    if (!migration)
        return FALSE;
    capture->status = virtHptMonitorQueryString(capture->domain, "query-status", "status", error);
    if (!capture->status)
        return FALSE;
    if (!isOver(migration)) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                    _("'%1$s' is being migrated, saved or dumped already (%2$s): try again later"),
                    virDomainGetName(capture->domain), migration);
        return FALSE;
    }
    if (isSpent(capture->status))
        return refuseSpent(capture->domain, error);
    if (!g_str_equal(capture->status, "running") && !g_str_equal(capture->status, "paused")) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                    _("'%1$s' is neither running nor paused: QEMU calls its state '%2$s'"),
                    virDomainGetName(capture->domain), capture->status);
        return FALSE;
    }
    return TRUE;
}

static gboolean
setReturnPath(const Capture *capture, gboolean state, GError **error)
{
    g_autoptr(JsonBuilder) arguments = json_builder_new();

    json_builder_begin_object(arguments);
    json_builder_set_member_name(arguments, "capabilities");
    json_builder_begin_array(arguments);
    json_builder_begin_object(arguments);
    json_builder_set_member_name(arguments, "capability");
    json_builder_add_string_value(arguments, CAPABILITY);
    json_builder_set_member_name(arguments, "state");
    json_builder_add_boolean_value(arguments, state);
    json_builder_end_object(arguments);
    json_builder_end_array(arguments);
    json_builder_end_object(arguments);
    return virtHptMonitorRun(capture->domain, "migrate-set-capabilities",
                             json_builder_get_root(arguments), error);
}

static gboolean
setBandwidth(const Capture *capture, gint64 bandwidth, GError **error)
{
    g_autoptr(JsonBuilder) arguments = json_builder_new();

    json_builder_begin_object(arguments);
    json_builder_set_member_name(arguments, "max-bandwidth");
    json_builder_add_int_value(arguments, bandwidth);
    json_builder_end_object(arguments);
    return virtHptMonitorRun(capture->domain, "migrate-set-parameters",
                             json_builder_get_root(arguments), error);
}

static gboolean
rememberReturnPath(Capture *capture, GError **error)
{
    g_autoptr(JsonNode) result =
        virtHptMonitorCommand(capture->domain, "query-migrate-capabilities", NULL, error);
    JsonArray *list;

    if (!result)
        return FALSE;
    if (!JSON_NODE_HOLDS_ARRAY(result))
        return TRUE;
    list = json_node_get_array(result);
    for (guint i = 0; i < json_array_get_length(list); i++) {
        JsonNode *node = json_array_get_element(list, i);
        JsonObject *entry;

        if (!JSON_NODE_HOLDS_OBJECT(node))
            continue;
        entry = json_node_get_object(node);
        if (g_strcmp0(json_object_get_string_member_with_default(entry, "capability", NULL),
                      CAPABILITY) == 0)
            capture->returnPath =
                json_object_get_boolean_member_with_default(entry, "state", FALSE);
    }
    return TRUE;
}

static gboolean
rememberBandwidth(Capture *capture, GError **error)
{
    g_autoptr(JsonNode) result =
        virtHptMonitorCommand(capture->domain, "query-migrate-parameters", NULL, error);

    if (!result)
        return FALSE;
    if (JSON_NODE_HOLDS_OBJECT(result))
        capture->bandwidth = json_object_get_int_member_with_default(json_node_get_object(result),
                                                                     "max-bandwidth", BANDWIDTH);
    return TRUE;
}

/* QEMU keeps what it was passed until a migration has taken it. */
static void
closePassed(const Capture *capture)
{
    g_autoptr(JsonBuilder) arguments = json_builder_new();

    json_builder_begin_object(arguments);
    json_builder_set_member_name(arguments, "fdname");
    json_builder_add_string_value(arguments, FD_NAME);
    json_builder_end_object(arguments);
    virtHptMonitorRun(capture->domain, "closefd", json_builder_get_root(arguments), NULL);
}

static gboolean
startMigration(Capture *capture, GError **error)
{
    g_autoptr(JsonBuilder) arguments = json_builder_new();
    int fds[2];
    gboolean passed;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO, _("cannot make a socket: %1$s"),
                    g_strerror(errno));
        return FALSE;
    }
    capture->fd = fds[0];
    passed = virtHptMonitorPassFd(capture->domain, FD_NAME, fds[1], error);
    close(fds[1]);
    if (!passed)
        return FALSE;
    json_builder_begin_object(arguments);
    json_builder_set_member_name(arguments, "uri");
    json_builder_add_string_value(arguments, "fd:" FD_NAME);
    json_builder_end_object(arguments);
    capture->started =
        virtHptMonitorRun(capture->domain, "migrate", json_builder_get_root(arguments), error);
    if (!capture->started)
        closePassed(capture);
    return capture->started;
}

/* Whether @now is the run state from before.  QEMU 7.2 calls a paused guest 'postmigrate' after a
 * migration that failed; it is resumed as any paused one. */
static gboolean
isBack(const Capture *capture, const char *now)
{
    return g_str_equal(now, capture->status) ||
           (g_str_equal(capture->status, "paused") && g_str_equal(now, "postmigrate"));
}

/* Waits until QEMU has given the migration up and the guest is as it was. */
static gboolean
awaitReturn(Capture *capture, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)RETURN_TIME * 1000;
    gboolean cancelled = FALSE;

    for (;;) {
        g_autofree char *migration =
            virtHptMonitorQueryString(capture->domain, "query-migrate", "status", error);
        g_autofree char *now = NULL;

        if (!migration)
            return FALSE;
        now = virtHptMonitorQueryString(capture->domain, "query-status", "status", error);
        if (!now)
            return FALSE;
        if (isOver(migration) && isBack(capture, now))
            return TRUE;
        if (g_get_monotonic_time() >= deadline) {
            g_set_error(
                error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                _("'%1$s' did not go back to '%2$s' after its table was read: QEMU calls its state '%3$s'; try: virsh resume"),
                virDomainGetName(capture->domain), capture->status, now);
            return FALSE;
        }
        /* A closed socket is enough for every QEMU that was tried. */
        if (!cancelled && g_get_monotonic_time() >= deadline - (gint64)RETURN_TIME * 500) {
            cancelled = TRUE;
            virtHptMonitorRun(capture->domain, "migrate_cancel", NULL, NULL);
        }
        g_usleep(POLL_INTERVAL * 1000UL);
    }
}

/* Reads the stream of a migration that was prepared for. */
static VirtHptStream *
readMigration(Capture *capture, const VirtHptStreamOptions *options, guint timeout, GError **error)
{
    g_autoptr(VirtHptSource) source = NULL;
    g_autofree char *name = NULL;
    VirtHptStream *stream;

    if (!startMigration(capture, error))
        return NULL;
    name = g_strdup_printf(_("migration stream of %1$s"), virDomainGetName(capture->domain));
    source = virtHptSourceNewPipe(
        capture->fd, name, g_get_monotonic_time() + (gint64)timeout * G_USEC_PER_SEC, PATIENCE);
    stream = virtHptStreamRead(source, options, error);
    /* Not acknowledged, and never to be */
    close(capture->fd);
    capture->fd = -1;
    return stream;
}

/* Reads the stream, and sees to it that the guest is as it was before, whatever fails. */
static VirtHptStream *
runMigration(Capture *capture, const VirtHptStreamOptions *options, guint timeout, GError **error)
{
    g_autoptr(VirtHptStream) stream = readMigration(capture, options, timeout, error);
    g_autoptr(GError) local = NULL;

    if (capture->fd >= 0) {
        close(capture->fd);
        capture->fd = -1;
    }
    /* Another one that came between is not ours to cancel.  If QEMU did begin, and only its answer
     * was lost, the closed socket ends it as well. */
    if (!capture->started || awaitReturn(capture, &local))
        return g_steal_pointer(&stream);
    /* That the guest stands still is worse news than whatever else failed. */
    g_clear_error(error);
    g_propagate_error(error, g_steal_pointer(&local));
    return NULL;
}

/**
 * virtHptCapture:
 * @domain: a domain that runs or is paused, on this host; the connection must be local
 * @options: (nullable): how to read the stream
 * @timeout: seconds that it may take; a guest that changes its memory too fast to be read while it
 *   runs is given up then
 * @error: set on failure: what virtHptStreamRead() and virtHptMonitorCommand() set
 *
 * Reads the HPT of a guest, as it is at one moment.  A running guest runs on while its RAM is
 * passed over, and stands still for some milliseconds at the end.  The caller keeps other
 * migrations, saves and captures of the domain away.
 *
 * Returns: (transfer full): what the stream holds, or %NULL
 */
VirtHptStream *
virtHptCapture(virDomain *domain,
               const VirtHptStreamOptions *options,
               guint timeout,
               GError **error)
{
    static const VirtHptStreamOptions defaults;
    g_auto(Capture) capture = {.domain = domain, .fd = -1, .bandwidth = BANDWIDTH};
    VirtHptStream *stream = NULL;

    if (!checkIdle(&capture, error) || !rememberReturnPath(&capture, error) ||
        !rememberBandwidth(&capture, error))
        return NULL;
    if (setReturnPath(&capture, TRUE, error) && setBandwidth(&capture, BANDWIDTH, error))
        stream = runMigration(&capture, options ? options : &defaults, timeout, error);
    /* Nothing depends on these: libvirt sets what it needs for each migration of its own. */
    setBandwidth(&capture, capture.bandwidth, NULL);
    setReturnPath(&capture, capture.returnPath, NULL);
    return stream;
}
