/*
 * qemu_monitor.h: QMP commands to the QEMU of a domain, through libvirt
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * libvirt's monitor pass-through (libvirt 9.0 include/libvirt/libvirt-qemu.h) bypasses libvirt's
 * jobs and marks the domain as tainted ('custom-monitor'): whoever uses it keeps others from
 * doing so at the same time.
 */

#pragma once

#include <json-glib/json-glib.h>

#include "qemu/qemu_libvirt.h"

G_BEGIN_DECLS

/* The longest reply that is read, in bytes; the longest one asked for has some kilobytes */
#define VIRT_HPT_MONITOR_REPLY_MAX ((gsize)256 * 1024)

JsonNode *virtHptMonitorCommand(virDomain *domain,
                                const char *command,
                                JsonNode *arguments,
                                GError **error);
gboolean virtHptMonitorRun(virDomain *domain,
                           const char *command,
                           JsonNode *arguments,
                           GError **error);
gboolean virtHptMonitorPassFd(virDomain *domain, const char *name, int fd, GError **error);

char *virtHptMonitorQueryString(virDomain *domain,
                                const char *command,
                                const char *member,
                                GError **error);

G_END_DECLS
