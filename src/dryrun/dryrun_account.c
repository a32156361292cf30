/*
 * dryrun_account.c: the account of a dry run's QEMU
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Not libvirt's account for QEMU, which owns the disks of running guests, but a number that nobody
 * has.  Debian gives none from 65000 to 65533 to an account, ever (Policy 9.2.2); systemd lends
 * 61184 to 65519 to services with DynamicUser= for as long as they run (systemd UIDS-GIDS), and
 * names those that are in use through NSS.  So the run takes one of both ranges that has no name
 * and runs no process.  As it lies in both, no file of a package is ever its own; nor does the run
 * see any file of the host's that is not in /usr.
 */

#include "config.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/resource.h>

#include "dryrun/dryrun.h"
#include "libvirt-hpt/htab_error.h"

#define ACCOUNT_FIRST 65000
#define ACCOUNTS 520

/* What libvirt's builds call the account of their QEMU: they ask for its number, and do not start
 * without, before they read in their configuration that it is another one (libvirt 9.0
 * src/qemu/qemu_conf.c virQEMUDriverConfigNew) */
static const char *const names[] = {"libvirt-qemu", "qemu", "kvm", "nobody", "nogroup"};

/* Only the first process of a dry run asks, before it has threads */
static gboolean
isFree(guint id)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe) */
    if (getpwuid(id) || getgrgid(id))
        return FALSE;
    errno = 0;
    return getpriority(PRIO_USER, id) == -1 && errno == ESRCH;
}

/**
 * virtHptAccountChoose:
 * @id: (out): a number for user and group
 * @error: set on failure
 *
 * To be called where the machine's processes and accounts are seen.  Two runs at a time that choose
 * the same number do not meet: each is alone in its namespaces.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptAccountChoose(guint *id, GError **error)
{
    guint first = (guint)g_random_int_range(0, ACCOUNTS);

    for (guint i = 0; i < ACCOUNTS; i++) {
        *id = ACCOUNT_FIRST + (first + i) % ACCOUNTS;
        if (isFree(*id))
            return TRUE;
    }
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                "no number from %d to %d is free for an account", ACCOUNT_FIRST,
                ACCOUNT_FIRST + ACCOUNTS - 1);
    return FALSE;
}

static gboolean
writeNames(const char *path, const char *format, guint id, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);

    g_string_append_printf(text, "root:x:0:%s\n", format);
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
        g_string_append_printf(text, "%s:x:%u:%s\n", names[i], id, format);
    return g_file_set_contents(path, text->str, -1, error);
}

/**
 * virtHptAccountWrite:
 * @id: number of user and group
 * @error: set on failure
 *
 * Writes the accounts of the run's own world to its /etc: root and @id, under each name that
 * libvirt may ask for.  @id is in no group but its own.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptAccountWrite(guint id, GError **error)
{
    g_autofree char *user = g_strdup_printf("%u::/:/usr/sbin/nologin", id);

    return g_file_set_contents("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n",
                               -1, error) &&
           writeNames("/etc/passwd", user, id, error) && writeNames("/etc/group", "", id, error);
}
