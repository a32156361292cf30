/*
 * hpt_snapshot_conf_priv.h: what reader and writer of the descriptor share
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "conf/hpt_snapshot_conf.h"
#include "conf/xml_util.h"

G_BEGIN_DECLS

/* Rules of which a descriptor may hold findings; there are a dozen today */
#define VIRT_HPT_SNAPSHOT_FINDINGS_MAX 256

/* Names in the descriptor, indexed by value, closed by NULL */
extern const char *const virtHptMmuNames[];
extern const char *const virtHptSnapshotImageKindNames[];
extern const char *const virtHptImagePartNames[];

gboolean virtHptSnapshotValidateTree(xmlDoc *doc, const char *origin, GError **error);

G_END_DECLS
