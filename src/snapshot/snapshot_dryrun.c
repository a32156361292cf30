/*
 * snapshot_dryrun.c: a restore of machine state and HPT, without RAM contents, into a guest that is
 * thrown away
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The work is done by virt-hpt-dryrun, a process of its own: it opens libvirt, which the caller may
 * be in the middle of, and its QEMU reads what may be hostile.  It is handed the save image as
 * standard input, in a file without a name, and told when that is whole.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

/* What the helper has open besides standard input and output */
#define HELPER_READY_FD 3

struct _VirtHptDryRun {
    char *name;
    VirtHptDryRunDef *def;
    guint timeout;
    int image;
    int ready[2];
    int answers;
    GSubprocess *process;
    GError *failure; /* why there is no process */
};

void
virtHptDryRunReportFree(VirtHptDryRunReport *report)
{
    if (!report)
        return;
    g_free(report->message);
    g_free(report->device);
    g_free(report);
}

/**
 * virtHptDryRunOpenTemporary:
 * @error: set on failure: %VIRT_HPT_ERROR_IO
 *
 * Where the state directory cannot hold it, as a read-only one, it is in memory.
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
        fd = memfd_create("virt-hpt", MFD_CLOEXEC);
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

    if ((gsize)full_write(*fd, data, (gssize)length) == length)
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
    g_autofree char *device = NULL;
    const VirtHptRefusal *refusal = virtHptRefusalRecognise(all, &line);
    VirtHptDryRunOutcome outcome = VIRT_HPT_DRY_RUN_REFUSED;
    VirtHptDryRunReport *report;

    if (!refusal)
        return reportNew(outcome, "qemu-refused", message, NULL);
    if (refusal->artefact)
        outcome = VIRT_HPT_DRY_RUN_UNKNOWN;
    else if (refusal->unchecked)
        outcome = VIRT_HPT_DRY_RUN_PARTIAL;
    report = reportNew(outcome, refusal->code, line, refusal->advice ? _(refusal->advice) : NULL);
    device = refusal->unchecked ? virtHptRefusalGetDevice(all) : NULL;
    report->device = device ? virtHptXmlQuote(device) : NULL;
    return report;
}

static VirtHptDryRunReport *
judgeRestored(const char *log)
{
    VirtHptDryRunReport *report = reportNew(VIRT_HPT_DRY_RUN_RESTORED, "restorable", NULL, NULL);

    report->uncheckedQueues = virtHptLogCountUncheckedQueues(log);
    return report;
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
        return judgeRestored(getString(object, "log"));
    if (g_str_equal(verdict, "refused"))
        return judgeRefusal(getString(object, "message"), getString(object, "log"));
    if (g_str_equal(verdict, "timeout"))
        return reportNew(VIRT_HPT_DRY_RUN_UNKNOWN, "dry-run-timeout",
                         _("it took longer than it may"), _("try again, or see: --timeout"));
    return reportNew(VIRT_HPT_DRY_RUN_UNKNOWN, "dry-run-unavailable", getString(object, "message"),
                     NULL);
}

/* Reads what the helper says, up to the end of the line, of the helper, a bound, or a time.  Behind
 * the line only QEMU's end would follow. */
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
        if (memchr(answer + length - n, '\n', n))
            break;
    }
    answer[length] = '\0';
    return g_steal_pointer(&answer);
}

/* A descriptor for the helper, which is the launcher's from here on. */
static int
duplicate(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static gboolean
makePipe(int ends[2], GError **error)
{
    if (pipe2(ends, O_CLOEXEC) == 0)
        return TRUE;
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO, _("cannot make a pipe: %1$s"),
                g_strerror(errno));
    return FALSE;
}

/* Starts the helper, which opens libvirt and then waits to be told that the image is whole. */
static gboolean
startHelper(VirtHptDryRun *run, GError **error)
{
    g_autofree char *helper = findHelper();
    g_autofree char *disksArg = g_strdup_printf("--disks=%u", run->def->disks);
    g_autofree char *timeoutArg = g_strdup_printf("--timeout=%u", run->timeout);
    g_autofree char *readyArg = g_strdup_printf("--ready=%d", HELPER_READY_FD);
    const char *const argv[] = {
        helper, disksArg, timeoutArg, readyArg, run->def->kvm ? "--kvm" : NULL, NULL};
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDERR_SILENCE);
    int answers[2];

    if (!makePipe(run->ready, error) || !makePipe(answers, error))
        return FALSE;
    run->answers = answers[0];
    /* The other end of the answers must be the helper's alone */
    g_subprocess_launcher_take_stdout_fd(launcher, answers[1]);
    g_subprocess_launcher_take_stdin_fd(launcher, duplicate(run->image));
    g_subprocess_launcher_take_fd(launcher, duplicate(run->ready[0]), HELPER_READY_FD);
    run->process = g_subprocess_launcher_spawnv(launcher, argv, error);
    return run->process != NULL;
}

static void
closeFd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Tells the helper that the image is whole.  We hold both ends of the pipe: it may be dead. */
static void
tellReady(VirtHptDryRun *run)
{
    full_write(run->ready[1], "", 1);
    closeFd(&run->ready[1]);
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
 * virtHptDryRunFree:
 * @run: (nullable): a dry run, which ends at once if it goes on
 *
 * QEMU and its world are the kernel's to remove, which goes on after the return.
 */
void
virtHptDryRunFree(VirtHptDryRun *run)
{
    if (!run)
        return;
    if (run->process) {
        g_subprocess_force_exit(run->process);
        g_subprocess_wait(run->process, NULL, NULL);
        g_object_unref(run->process);
    }
    closeFd(&run->image);
    closeFd(&run->ready[0]);
    closeFd(&run->ready[1]);
    closeFd(&run->answers);
    g_clear_error(&run->failure);
    virtHptDryRunDefFree(run->def);
    g_free(run->name);
    g_free(run);
}

/**
 * virtHptDryRunBegin:
 * @name: what messages call the image
 * @domainXml: domain XML of the guest, untrusted
 * @timeout: seconds that it may take from virtHptDryRunFinish() on, 0: %VIRT_HPT_DRY_RUN_TIMEOUT
 * @error: set where it could not even be tried: %VIRT_HPT_ERROR_UNSUPPORTED names what of the XML a
 *   dry run does not know; %VIRT_HPT_ERROR_MALFORMED, %VIRT_HPT_ERROR_LIMIT, %VIRT_HPT_ERROR_IO
 *
 * Opens libvirt for a dry run, in the background.  It is given nothing of the guest's: what comes
 * from the image goes in by virtHptDryRunFinish().  Needs root.  Nothing of the host's is touched,
 * and nothing is left behind.
 *
 * Returns: (transfer full): the dry run, or %NULL
 */
VirtHptDryRun *
virtHptDryRunBegin(const char *name, const char *domainXml, guint timeout, GError **error)
{
    const VirtHptDryRunHost host = {
        .kvm = hasKvm(),
        .tap = access("/dev/net/tun", R_OK | W_OK) == 0,
    };
    g_autoptr(VirtHptDryRun) run = g_new0(VirtHptDryRun, 1);

    run->name = g_strdup(name);
    run->timeout = timeout ? timeout : VIRT_HPT_DRY_RUN_TIMEOUT;
    run->image = run->answers = run->ready[0] = run->ready[1] = -1;
    run->def = virtHptDryRunDefNew(domainXml, strlen(domainXml), name, &host, error);
    if (!run->def)
        return NULL;
    run->image = virtHptDryRunOpenTemporary(error);
    if (run->image < 0)
        return NULL;
    if (!startHelper(run, &run->failure))
        g_debug("%s", run->failure->message);
    return g_steal_pointer(&run);
}

/**
 * virtHptDryRunFinish:
 * @run: a dry run that was begun; it can be finished once
 * @state: the guest's machine state, open for reading; the position is moved
 * @table: (nullable): its table, %NULL for a radix guest
 * @error: set where it could not even be tried: as virtHptSkeletonWrite() does
 *
 * Lets this host's libvirt and QEMU restore the guest without RAM contents.
 *
 * Returns: (transfer full): what they said, or %NULL
 */
VirtHptDryRunReport *
virtHptDryRunFinish(VirtHptDryRun *run, int state, const VirtHptTable *table, GError **error)
{
    g_autofree char *answer = NULL;
    VirtHptDryRunReport *report;

    if (run->failure) {
        report =
            reportNew(VIRT_HPT_DRY_RUN_UNKNOWN, "dry-run-unavailable", run->failure->message, NULL);
    } else {
        if (!virtHptSkeletonWrite(state, run->name, table, run->def->xml,
                                  virtHptDryRunWriteTemporary, &run->image, error))
            return NULL;
        tellReady(run);
        answer = readAnswer(run->answers, run->timeout + GRACE);
        report = virtHptDryRunReportParse(answer);
    }
    report->fallback = run->def->fallback;
    return report;
}
