/*
 * explain.h: what the rules of a check mean
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#pragma once

#include "libvirt-hpt/htab_check.h"
#include "tool.h"

G_BEGIN_DECLS

const char *virtHptExplainSeverity(VirtHptSeverity severity);
VirtHptExit virtHptExplainRules(VirtHptTool *tool, const char *name);

G_END_DECLS
