/*
 * dryrun_testutils.h: what must hold for every dry run's XML
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "conf/dryrun_conf.h"

G_BEGIN_DECLS

void testDryRunNamesNoPath(const VirtHptDryRunDef *def);
void testDryRunIsItsOwn(const VirtHptDryRunDef *def, const VirtHptDryRunHost *host);

G_END_DECLS
