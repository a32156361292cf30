/*
 * verdict.h: what a validation found, printed
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#pragma once

#include "snapshot/snapshot_validate.h"
#include "tool.h"

G_BEGIN_DECLS

VirtHptExit virtHptVerdictPrint(VirtHptTool *tool, const char *path, const VirtHptVerdict *verdict);

G_END_DECLS
