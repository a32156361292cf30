/*
 * dryrun_main.c: virt-hpt-dryrun: restores the save image on standard input, and says how it went
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Three processes.  The first waits for the deadline.  The second is process 1 of a PID namespace
 * and waits for orphans, as libvirt's QEMU is nobody's child.  The third is libvirt.  Whenever one
 * of the first two ends, killed or not, the kernel kills everything in the namespace, QEMU too,
 * and drops the directories: nothing can be left behind.
 *
 * With --ready the image need not be whole when we start: libvirt is opened meanwhile, a byte from
 * that pipe says that it is, and the deadline counts from there.
 *
 * The verdict is one line of JSON on standard output.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <json-glib/json-glib.h>

#include "dryrun/dryrun.h"
#include "full-write.h"
#include "libvirt-hpt/htab_error.h"
#include "safe-read.h"

#define TIMEOUT_DEFAULT 30
#define TIMEOUT_MAX 3600
#define DISKS_MAX 1024

/**
 * virtHptDryRunSay:
 * @verdict: 'restored', 'refused', 'unavailable' or 'timeout'
 * @message: (nullable): libvirt's or our own, in English
 * @log: (nullable): what QEMU printed
 *
 * Prints the verdict.
 */
void
virtHptDryRunSay(const char *verdict, const char *message, const char *log)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonGenerator) generator = json_generator_new();
    g_autoptr(JsonNode) root = NULL;
    g_autofree char *json = NULL;
    g_autofree char *line = NULL;

    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "verdict");
    json_builder_add_string_value(builder, verdict);
    json_builder_set_member_name(builder, "message");
    json_builder_add_string_value(builder, message ? message : "");
    json_builder_set_member_name(builder, "log");
    json_builder_add_string_value(builder, log ? log : "");
    json_builder_end_object(builder);
    root = json_builder_get_root(builder);
    json_generator_set_root(generator, root);
    json = json_generator_to_data(generator, NULL);
    line = g_strconcat(json, "\n", NULL);
    if ((gsize)full_write(STDOUT_FILENO, line, (gssize)strlen(line)) != strlen(line))
        _exit(EXIT_FAILURE);
}

/* The third process */
static void G_GNUC_NORETURN
runLibvirt(DryRun *run)
{
    g_autoptr(GError) error = NULL;

    if (virtHptPrivilegesDrop(&error))
        virtHptRestore(run);
    else
        virtHptDryRunSay("unavailable", error->message, NULL);
    _exit(EXIT_SUCCESS);
}

/* What the XML of an image makes QEMU allocate is no reason to end another guest (Linux proc(5)).
 * Where it cannot be said it is not. */
static void
offerToKiller(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    full_write(fd, "1000", 4);
    close(fd);
}

/* The second process: makes the world, and waits for whoever ends in it. */
static void G_GNUC_NORETURN
runInit(DryRun *run, int lifeline)
{
    struct pollfd parent = {.fd = lifeline};
    g_autoptr(GError) error = NULL;
    pid_t worker;
    pid_t pid;

    /* The signal comes only for a parent that dies from here on */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || poll(&parent, 1, 0) != 0)
        _exit(EXIT_FAILURE);
    close(lifeline);
    offerToKiller();
    if (!virtHptWorldSetUp(run, &error)) {
        virtHptDryRunSay("unavailable", error->message, NULL);
        _exit(EXIT_SUCCESS);
    }
    worker = fork();
    if (worker == 0)
        runLibvirt(run);
    do {
        pid = waitpid(-1, NULL, 0);
    } while (worker > 0 && pid != worker && (pid >= 0 || errno == EINTR));
    _exit(EXIT_SUCCESS);
}

static gint64
deadlineOf(const DryRun *run)
{
    return g_get_monotonic_time() + (gint64)run->timeout * G_USEC_PER_SEC;
}

/* Waits for the second process, up to the deadline; @children: a descriptor of SIGCHLD. */
static gboolean
waitFor(pid_t init, const DryRun *run, int children)
{
    /* The pipe's end stays to be seen, whoever took the byte */
    struct pollfd events[] = {{.fd = children, .events = POLLIN},
                              {.fd = run->ready, .events = POLLIN}};
    gint64 deadline = run->ready < 0 ? deadlineOf(run) : G_MAXINT64;

    while (waitpid(init, NULL, WNOHANG) == 0) {
        gint64 left = (deadline - g_get_monotonic_time()) / 1000;
        struct signalfd_siginfo info;

        if (left <= 0)
            return FALSE;
        if (poll(events, G_N_ELEMENTS(events), (int)MIN(left, G_MAXINT)) < 0)
            continue;
        if (events[0].revents)
            safe_read(children, &info, sizeof(info));
        if (events[1].revents) {
            deadline = deadlineOf(run);
            events[1].fd = -1;
        }
    }
    return TRUE;
}

static void
runNamespace(DryRun *run)
{
    g_autoptr(GError) error = NULL;
    sigset_t signals;
    int children;
    int lifeline[2];
    pid_t init;

    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, NULL);

    if (!virtHptAccountChoose(&run->account, &error) || !virtHptWorldEnter(&error)) {
        virtHptDryRunSay("unavailable", error->message, NULL);
        return;
    }
    children = signalfd(-1, &signals, SFD_CLOEXEC);
    if (children < 0 || pipe(lifeline) < 0) {
        virtHptDryRunSay("unavailable", g_strerror(errno), NULL);
        return;
    }
    init = fork();
    if (init == 0) {
        close(lifeline[1]);
        sigprocmask(SIG_UNBLOCK, &signals, NULL);
        runInit(run, lifeline[0]);
    }
    close(lifeline[0]);
    if (init < 0) {
        virtHptDryRunSay("unavailable", g_strerror(errno), NULL);
    } else if (!waitFor(init, run, children)) {
        kill(init, SIGKILL);
        waitpid(init, NULL, 0);
        virtHptDryRunSay("timeout", NULL, NULL);
    }
    close(lifeline[1]);
}

int
main(int argc, char **argv)
{
    DryRun run = {.ready = -1, .cache = -1, .cacheLock = -1};
    struct pollfd reader = {.fd = STDOUT_FILENO};
    int disks = 0;
    int timeout = TIMEOUT_DEFAULT;
    const GOptionEntry entries[] = {
        {"disks", 0, 0, G_OPTION_ARG_INT, &disks, "Empty disks that the domain needs", "N"},
        {"kvm", 0, 0, G_OPTION_ARG_NONE, &run.kvm, "The guest is one of KVM's", NULL},
        {"ready", 0, 0, G_OPTION_ARG_INT, &run.ready, "Pipe that says when the image is whole",
         "FD"},
        {"timeout", 0, 0, G_OPTION_ARG_INT, &timeout, "Seconds that it may take", "N"},
        {0},
    };
    g_autoptr(GOptionContext) context = g_option_context_new("<SAVE-IMAGE");
    g_autoptr(GError) error = NULL;

    /* Whoever started us waits for us: without them there is nothing to do.  The signal does not
     * come for one that is dead already, and then nobody reads. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || poll(&reader, 1, 0) != 0)
        return EXIT_FAILURE;
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error) || argc > 1 || disks < 0 ||
        disks > DISKS_MAX || timeout <= 0 || timeout > TIMEOUT_MAX ||
        (run.ready != -1 && fcntl(run.ready, F_SETFD, FD_CLOEXEC) < 0)) {
        fprintf(stderr, "virt-hpt-dryrun: %s\n", error ? error->message : "wrong usage");
        return EXIT_FAILURE;
    }
    run.disks = (guint)disks;
    run.timeout = (guint)timeout;
    if (geteuid() != 0) {
        virtHptDryRunSay("unavailable", "a dry run needs root", NULL);
        return EXIT_SUCCESS;
    }
    setpgid(0, 0);
    runNamespace(&run);
    return EXIT_SUCCESS;
}
