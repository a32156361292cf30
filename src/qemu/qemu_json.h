/*
 * qemu_json.h: JSON from a process that may be in an attacker's hands
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <json-glib/json-glib.h>

G_BEGIN_DECLS

/* How deep objects and arrays may lie in each other */
#define VIRT_HPT_JSON_DEPTH_MAX 32

JsonNode *virtHptJsonParse(const char *text, gsize length);

G_END_DECLS
