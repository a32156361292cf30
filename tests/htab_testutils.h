/*
 * htab_testutils.h: what the tests of src/htab share
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "libvirt-hpt/htab_stream.h"

G_BEGIN_DECLS

/* No test needs a larger table */
#define TEST_MAX_BYTES (G_GUINT64_CONSTANT(1) << 30)

GKeyFile *testLoadCases(const char *name);
char *testLoadFile(const char *name);
guint64 testPeakMemory(void);
gboolean testAppend(const guint8 *data, gsize length, gpointer opaque, GError **error);
GByteArray *testParseHex(const char *hex);
void testSetEntries(VirtHptTable *table, char **entries);
VirtHptTable *testReadCanonical(const GByteArray *bytes, gsize piece, GError **error);

G_END_DECLS
