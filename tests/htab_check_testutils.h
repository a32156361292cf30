/*
 * htab_check_testutils.h: a check, and the same by judging each entry by all rules
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "libvirt-hpt/htab_check.h"

G_BEGIN_DECLS

guint testComparePlain(const VirtHptTable *table,
                       const VirtHptCheckContext *context,
                       guint64 *counts);

G_END_DECLS
