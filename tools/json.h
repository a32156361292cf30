/*
 * json.h: --json output
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Keys and codes are never translated, numbers are integers, hexadecimal values are strings.
 */

#pragma once

#include <json-glib/json-glib.h>

#include "output.h"

G_BEGIN_DECLS

/* Grows when a key changes its meaning or goes away; new keys do not change it */
#define VIRT_HPT_JSON_SCHEMA 1

JsonBuilder *virtHptJsonNew(void);
void virtHptJsonPrint(JsonBuilder *json, VirtHptOutput *out);

void virtHptJsonAddString(JsonBuilder *json, const char *key, const char *value);
void virtHptJsonAddUint(JsonBuilder *json, const char *key, guint64 value);
void virtHptJsonAddBool(JsonBuilder *json, const char *key, gboolean value);
void virtHptJsonAddHex(JsonBuilder *json, const char *key, guint64 value);
void virtHptJsonAddNull(JsonBuilder *json, const char *key);
void virtHptJsonAddKnown(JsonBuilder *json, const char *key, guint64 value);

void virtHptJsonBeginObject(JsonBuilder *json, const char *key);
void virtHptJsonBeginArray(JsonBuilder *json, const char *key);

G_END_DECLS
