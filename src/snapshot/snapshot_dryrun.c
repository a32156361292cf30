/*
 * snapshot_dryrun.c: a restore of machine state and HPT, without RAM contents, into a guest that is
 * thrown away
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The work is done by virt-hpt-dryrun, a process of its own: it opens libvirt, which the caller may
 * be in the middle of, and its QEMU reads what may be hostile.  It is handed the save image as
 * standard input, in a file without a name.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <gio/gio.h>
#include <glib/gi18n-lib.h>

#include "conf/dryrun_conf.h"
#include "conf/xml_util.h"
#include "full-write.h"
#include "qemu/qemu_dryrun.h"
#include "qemu/qemu_json.h"
#include "safe-read.h"
#include "snapshot/snapshot_dryrun.h"

#define STATE_DIR STATEDIR "/libvirt-hpt"
#define HELPER "virt-hpt-dryrun"

/* The helper quotes 16 KiB of QEMU's log; JSON may need six bytes for one */
#define ANSWER_MAX ((gsize)128 * 1024)
/* The helper keeps its deadline itself; this is for one that cannot */
#define GRACE 10

void
virtHptDryRunReportFree(VirtHptDryRunReport *report)
{
    if (!report)
        return;
    g_free(report->message);
    g_free(report);
}

/**
 * virtHptDryRunOpenTemporary:
 * @error: set on failure: %VIRT_HPT_ERROR_IO
 *
 * Returns: a file without a name, open for reading and writing, or -1
 */
int
virtHptDryRunOpenTemporary(GError **error)
{
    int fd = -1;

    if (g_mkdir_with_parents(STATE_DIR, 0700) == 0)
        fd = open(STATE_DIR, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO,
                    _("cannot make a temporary file in '%1$s': %2$s"), STATE_DIR,
                    g_strerror(errno));
    return fd;
}

/**
 * virtHptDryRunWriteTemporary:
 * @data: bytes to append
 * @length: of @data
 * @opaque: (type int *): what virtHptDryRunOpenTemporary() returned
 * @error: set on failure: %VIRT_HPT_ERROR_IO
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptDryRunWriteTemporary(const guint8 *data, gsize length, gpointer opaque, GError **error)
{
    const int *fd = opaque;

    if ((gsize)full_write(*fd, data, length) == length)
        return TRUE;
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO, _("cannot write a temporary file: %1$s"),
                g_strerror(errno));
    return FALSE;
}

/* A program in the build tree uses the helper there; any other the installed one. */
static char *
findHelper(void)
{
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);

    if (self && g_str_has_prefix(self, BUILDDIR "/"))
        return g_strdup(BUILDDIR "/src/dryrun/" HELPER);
    return g_strdup(PKGLIBEXECDIR "/" HELPER);
}

static int
makeSkeleton(const char *name,
             int state,
             const VirtHptTable *table,
             const char *domainXml,
             GError **error)
{
    int fd = virtHptDryRunOpenTemporary(error);

    if (fd < 0)
        return -1;
    if (!virtHptSkeletonWrite(state, name, table, domainXml, virtHptDryRunWriteTemporary, &fd,
                              error) ||
        lseek(fd, 0, SEEK_SET) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static VirtHptDryRunReport *
reportNew(VirtHptDryRunOutcome outcome, const char *code, const char *message, const char *advice)
{
    VirtHptDryRunReport *report = g_new0(VirtHptDryRunReport, 1);

    report->outcome = outcome;
    report->code = code;
    report->message = message ? virtHptXmlQuote(message) : NULL;
    report->advice = advice;
    return report;
}

/* What was refused: the line of the log that says why, or libvirt's own message. */
static VirtHptDryRunReport *
judgeRefusal(const char *message, const char *log)
{
    g_autofree char *all = g_strconcat(log, "\n", message, NULL);
    g_autofree char *line = NULL;
    const VirtHptRefusal *refusal = virtHptRefusalRecognise(all, &line);

    if (!refusal)
        return reportNew(VIRT_HPT_DRY_RUN_REFUSED, "qemu-refused", message, NULL);
    return reportNew(refusal->artefact ? VIRT_HPT_DRY_RUN_UNKNOWN : VIRT_HPT_DRY_RUN_REFUSED,
                     refusal->code, line, refusal->advice ? _(refusal->advice) : NULL);
}

static const char *
getString(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    if (!node || json_node_get_value_type(node) != G_TYPE_STRING)
        return "";
    return json_node_get_string(node);
}

/**
 * virtHptDryRunReportParse:
 * @answer: what the helper printed, of which nothing is trusted
 *
 * Returns: (transfer full): what it means
 */
VirtHptDryRunReport *
virtHptDryRunReportParse(const char *answer)
{
    const char *end = strchr(answer, '\n');
    g_autoptr(JsonNode) root = end ? virtHptJsonParse(answer, (gsize)(end - answer)) : NULL;
    const char *verdict;
    JsonObject *object;

    if (!root)
        return reportNew(VIRT_HPT_DRY_RUN_UNKNOWN, "dry-run-failed",
                         _("the helper ended without a verdict"), NULL);
    if (!JSON_NODE_HOLDS_OBJECT(root))
        return reportNew(VIRT_HPT_DRY_RUN_UNKNOWN, "dry-run-failed",
                         _("the helper's verdict is not understood"), NULL);
    object = json_node_get_object(root);
    verdict = getString(object, "verdict");
    if (g_str_equal(verdict, "restored"))
        return reportNew(VIRT_HPT_DRY_RUN_RESTORED, "restorable", NULL, NULL);
    if (g_str_equal(verdict, "refused"))
        return judgeRefusal(getString(object, "message"), getString(object, "log"));
    if (g_str_equal(verdict, "timeout"))
        return reportNew(VIRT_HPT_DRY_RUN_UNKNOWN, "dry-run-timeout",
                         _("it took longer than it may"), _("try again, or see: --timeout"));
    return reportNew(VIRT_HPT_DRY_RUN_UNKNOWN, "dry-run-unavailable", getString(object, "message"),
                     NULL);
}

/* Reads what the helper says, up to its end, a bound, or a time. */
static char *
readAnswer(int fd, guint timeout)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)timeout * G_USEC_PER_SEC;
    g_autofree char *answer = g_malloc(ANSWER_MAX + 1);
    gsize length = 0;

    while (length < ANSWER_MAX) {
        struct pollfd event = {.fd = fd, .events = POLLIN};
        gint64 left = (deadline - g_get_monotonic_time()) / 1000;
        int ready = left > 0 ? poll(&event, 1, (int)left) : 0;
        size_t n;

        if (ready < 0 && errno == EINTR)
            continue;
        n = ready > 0 ? (size_t)safe_read(fd, answer + length, ANSWER_MAX - length) : 0;
        if (n == 0 || n == (size_t)SAFE_READ_ERROR)
            break;
        length += n;
    }
    answer[length] = '\0';
    return g_steal_pointer(&answer);
}

/* Runs the helper on an image, which it takes. */
static char *
runHelper(int image, const VirtHptDryRunDef *def, guint timeout, GError **error)
{
    g_autofree char *helper = findHelper();
    g_autofree char *disksArg = g_strdup_printf("--disks=%u", def->disks);
    g_autofree char *timeoutArg = g_strdup_printf("--timeout=%u", timeout);
    const char *const argv[] = {helper, disksArg, timeoutArg, def->kvm ? "--kvm" : NULL, NULL};
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDERR_SILENCE);
    g_autoptr(GSubprocess) process = NULL;
    g_autofree char *answer = NULL;
    int answers[2];

    g_subprocess_launcher_take_stdin_fd(launcher, image);
    if (pipe2(answers, O_CLOEXEC) < 0) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO, _("cannot make a pipe: %1$s"),
                    g_strerror(errno));
        return NULL;
    }
    g_subprocess_launcher_take_stdout_fd(launcher, answers[1]);
    process = g_subprocess_launcher_spawnv(launcher, argv, error);
    /* The other end must be the helper's alone */
    g_clear_object(&launcher);
    if (process) {
        answer = readAnswer(answers[0], timeout + GRACE);
        g_subprocess_force_exit(process);
        g_subprocess_wait(process, NULL, NULL);
    }
    close(answers[0]);
    return g_steal_pointer(&answer);
}

/* Whether this host's KVM runs guests of this architecture. */
static gboolean
hasKvm(void)
{
    struct utsname name;

    return uname(&name) == 0 && g_str_has_prefix(name.machine, "ppc64") &&
           access("/dev/kvm", R_OK | W_OK) == 0;
}

/**
 * virtHptDryRun:
 * @name: what messages call the image
 * @domainXml: domain XML of the guest, untrusted
 * @state: its machine state, open for reading; the position is moved
 * @table: (nullable): its table, %NULL for a radix guest
 * @timeout: seconds that it may take, 0: %VIRT_HPT_DRY_RUN_TIMEOUT
 * @error: set where it could not even be tried: %VIRT_HPT_ERROR_UNSUPPORTED names what of the XML a
 *   dry run does not know; %VIRT_HPT_ERROR_MALFORMED, %VIRT_HPT_ERROR_LIMIT, %VIRT_HPT_ERROR_IO
 *
 * Lets this host's libvirt and QEMU restore the guest without RAM contents.  Needs root.  Nothing
 * of the host's is touched, and nothing is left behind.
 *
 * Returns: (transfer full): what they said, or %NULL
 */
VirtHptDryRunReport *
virtHptDryRun(const char *name,
              const char *domainXml,
              int state,
              const VirtHptTable *table,
              guint timeout,
              GError **error)
{
    const VirtHptDryRunHost host = {
        .kvm = hasKvm(),
        .tap = access("/dev/net/tun", R_OK | W_OK) == 0,
    };
    g_autoptr(VirtHptDryRunDef) def =
        virtHptDryRunDefNew(domainXml, strlen(domainXml), name, &host, error);
    g_autoptr(GError) local = NULL;
    g_autofree char *answer = NULL;
    VirtHptDryRunReport *report;
    int image;

    if (!def)
        return NULL;
    image = makeSkeleton(name, state, table, def->xml, error);
    if (image < 0)
        return NULL;
    answer = runHelper(image, def, timeout ? timeout : VIRT_HPT_DRY_RUN_TIMEOUT, &local);
    report = answer
                 ? virtHptDryRunReportParse(answer)
                 : reportNew(VIRT_HPT_DRY_RUN_UNKNOWN, "dry-run-unavailable", local->message, NULL);
    report->fallback = def->fallback;
    return report;
}
