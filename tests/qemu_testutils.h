/*
 * qemu_testutils.h: what the tests of src/qemu share
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "qemu/qemu_image.h"

G_BEGIN_DECLS

/* No test needs a larger table */
#define TEST_TABLE_MAX ((guint64)16 * 1024 * 1024)

GByteArray *testLoadImage(const char *name);
VirtHptImage *testReadImage(const GByteArray *bytes,
                            const VirtHptStreamOptions *options,
                            GError **error);
gboolean testAppendBytes(const guint8 *data, gsize length, gpointer opaque, GError **error);
int testOpenBytes(const GByteArray *bytes);

G_END_DECLS
