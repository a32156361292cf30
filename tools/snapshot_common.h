/*
 * snapshot_common.h: what the snapshot commands share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#pragma once

#include "snapshot/snapshot_driver.h"
#include "tool.h"

G_BEGIN_DECLS

/**
 * VirtHptAccess:
 * @VIRT_HPT_ACCESS_LOOK: the command changes nothing
 * @VIRT_HPT_ACCESS_CHANGE: it changes the domain or its snapshots
 */
typedef enum {
    VIRT_HPT_ACCESS_LOOK,
    VIRT_HPT_ACCESS_CHANGE,
} VirtHptAccess;

VirtHptGuest *virtHptToolOpenGuest(const VirtHptTool *tool,
                                   const char *domain,
                                   VirtHptAccess access,
                                   GError **error);
gboolean virtHptToolCheckName(VirtHptTool *tool,
                              char **operands,
                              gboolean current,
                              VirtHptExit *status);

const char *virtHptToolRecoveryName(VirtHptRecovery recovery);
void virtHptToolHold(void);
void virtHptToolSay(const char *message, gpointer opaque);
void virtHptToolSayRecovery(const VirtHptTool *tool,
                            const VirtHptGuest *guest,
                            VirtHptRecovery recovery);

G_END_DECLS
