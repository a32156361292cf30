/*
 * snapshot_chain.h: the disk layers that a snapshot rests on
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "snapshot/snapshot_backend.h"
#include "snapshot/snapshot_verdict.h"
#include "snapshot/snapshot_watch.h"

G_BEGIN_DECLS

void virtHptChainJudge(const VirtHptSnapshot *snapshot,
                       VirtHptVerdict *verdict,
                       VirtHptWatch *watch);

G_END_DECLS
