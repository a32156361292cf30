/*
 * dryrun_restore.c: libvirt in the process itself restores the save image on standard input
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "conf/dryrun_conf.h"
#include "dryrun/dryrun.h"
#include "full-read.h"
#include "safe-read.h"

#define URI "qemu:///embed?root=" VIRT_HPT_DRY_RUN_DIR
#define IMAGE "/proc/self/fd/0"
#define LOG VIRT_HPT_DRY_RUN_DIR "/log/qemu/" VIRT_HPT_DRY_RUN_NAME ".log"
/* QEMU's last words are what counts */
#define LOG_TAIL 16384

static gpointer
runEvents(gpointer opaque G_GNUC_UNUSED)
{
    while (virEventRunDefaultImpl() >= 0)
        continue;
    return NULL;
}

/* libvirt would print errors to standard error */
static void
ignoreError(void *opaque G_GNUC_UNUSED, virErrorPtr err G_GNUC_UNUSED)
{
}

static char *
readLog(void)
{
    int fd = open(LOG, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    g_autofree char *text = g_malloc0(LOG_TAIL + 1);
    struct stat st;

    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) == 0 && st.st_size > LOG_TAIL)
        lseek(fd, -LOG_TAIL, SEEK_END);
    if (full_read(fd, text, LOG_TAIL) == 0)
        text[0] = '\0';
    close(fd);
    return g_utf8_make_valid(text, -1);
}

static void
sayFailure(const char *verdict)
{
    const virError *error = virGetLastError();
    g_autofree char *message =
        error && error->message ? g_utf8_make_valid(error->message, -1) : NULL;
    g_autofree char *log = readLog();

    virtHptDryRunSay(verdict, message, log);
}

static void
sayRestored(void)
{
    g_autofree char *log = readLog();

    virtHptDryRunSay("restored", NULL, log);
}

/* What was set for whoever called is not for libvirt and QEMU. */
static void
clearEnvironment(void)
{
    clearenv();
    g_setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", TRUE);
    g_setenv("LC_ALL", "C", TRUE);
    g_setenv("HOME", VIRT_HPT_DRY_RUN_DIR, TRUE);
}

/* Whether there is an image to restore; without one nobody waits for a verdict. */
static gboolean
waitForImage(const DryRun *run)
{
    char byte;

    return run->ready < 0 || safe_read(run->ready, &byte, 1) == 1;
}

/**
 * virtHptRestore:
 * @run: the run, in its own world
 *
 * Says the verdict, which is the last that happens: who reads it may kill us then.  The guest stays
 * behind, paused: it ends with the world.
 */
void
virtHptRestore(DryRun *run)
{
    virConnectPtr connection;
    gboolean restored;

    clearEnvironment();
    virtHptCacheLoad(run);
    virSetErrorFunc(NULL, ignoreError);
    if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0) {
        sayFailure("unavailable");
        return;
    }
    g_thread_unref(g_thread_new("events", runEvents, NULL));
    connection = virConnectOpen(URI);
    if (!connection) {
        sayFailure("unavailable");
        return;
    }
    /* What took seconds to find out is kept, however this run ends */
    virtHptCacheStore(run);
    if (!waitForImage(run))
        return;
    restored = virDomainRestoreFlags(connection, IMAGE, NULL, VIR_DOMAIN_SAVE_PAUSED) == 0;
    virtHptCacheStore(run);
    if (restored)
        sayRestored();
    else
        sayFailure("refused");
}
