/*
 * dryrun.h: the dry-run helper: a restore in a world of its own
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * DryRun:
 * @disks: empty disks that the domain XML names
 * @timeout: seconds that the whole may take, once the image is whole
 * @ready: a pipe that gives one byte when the image is whole, and ends then; -1: it is
 * @kvm: whether the guest is one of KVM's
 * @account: number of QEMU's user and group
 * @cache: shared directory of libvirt's capability cache, open, or -1: there is none
 * @cacheLock: the lock on @cache that the first run holds, or -1
 */
typedef struct {
    guint disks;
    guint timeout;
    int ready;
    gboolean kvm;
    guint account;
    int cache;
    int cacheLock;
} DryRun;

/* dryrun_account.c */
gboolean virtHptAccountChoose(guint *id, GError **error);
gboolean virtHptAccountWrite(guint id, GError **error);

/* dryrun_privileges.c */
gboolean virtHptPrivilegesDrop(GError **error);

/* dryrun_root.c */
gboolean virtHptRootEnter(DryRun *run, GError **error);

/* dryrun_world.c */
gboolean virtHptWorldEnter(GError **error);
gboolean virtHptWorldSetUp(DryRun *run, GError **error);

/* dryrun_cache.c */
void virtHptCacheOpen(DryRun *run);
void virtHptCacheLoad(DryRun *run);
void virtHptCacheStore(DryRun *run);

/* dryrun_restore.c */
void virtHptRestore(DryRun *run);

/* dryrun_main.c */
void virtHptDryRunSay(const char *verdict, const char *message, const char *log);

G_END_DECLS
