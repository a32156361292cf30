/*
 * data_testutils.h: files that lie beside the tests, and what a test writes into them
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

char *testDataPath(const char *directory, const char *name, const char *suffix);
char *testDataRead(const char *path, gsize *length);
gboolean testDataRegenerate(const char *path, const char *text);
void testDataCompare(const char *path, const char *actual);

G_END_DECLS
