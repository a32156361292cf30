/*
 * snapshot_guest.h: a domain that snapshots are made of, and what we keep for it
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "qemu/qemu_libvirt.h"

G_BEGIN_DECLS

/**
 * VirtHptGuest:
 * @connection: to libvirt
 * @domain: the domain
 * @name: of the domain; libvirt's
 * @uuid: of the domain, in canonical form
 * @stateDir: the domain's directory under the state directory, open, or -1 before it is locked
 * @statePath: its path
 * @locked: whether nobody else who uses this library changes the domain meanwhile
 * @readOnly: whether libvirt lets this user look at it only
 * @revertsExternal: whether this libvirt itself reverts to external snapshots (9.9.0)
 */
typedef struct {
    virConnect *connection;
    virDomain *domain;
    const char *name;
    char uuid[VIR_UUID_STRING_BUFLEN];
    int stateDir;
    char *statePath;
    gboolean locked;
    gboolean readOnly;
    gboolean revertsExternal;
} VirtHptGuest;

VirtHptGuest *virtHptGuestOpen(const char *uri, const char *domain, GError **error);
void virtHptGuestFree(VirtHptGuest *guest);

gboolean virtHptGuestLock(VirtHptGuest *guest, GError **error);
void virtHptGuestUnlock(VirtHptGuest *guest);

gboolean virtHptGuestGetState(VirtHptGuest *guest, int *state, GError **error);
gint virtHptGuestGetId(VirtHptGuest *guest);
char *virtHptGuestBootId(void);
gboolean virtHptGuestAwaitJob(VirtHptGuest *guest, guint timeout, GError **error);
gboolean virtHptGuestPullPlug(VirtHptGuest *guest, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptGuest, virtHptGuestFree)

G_END_DECLS
