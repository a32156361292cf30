/*
 * record_testutils.h: what the tests of records share
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "snapshot/snapshot_validate.h"

G_BEGIN_DECLS

/**
 * TestRecord:
 * @dir: a temporary directory
 * @image: an image in it
 * @record: where its record will be
 */
typedef struct {
    char *dir;
    char *image;
    char *record;
} TestRecord;

/* No guest, no libvirt */
extern const VirtHptValidateOptions testOwnLevels;

void testRecordSetUp(TestRecord *fixture, gconstpointer name);
void testRecordSetUpDefault(TestRecord *fixture, gconstpointer data);
void testRecordTearDown(TestRecord *fixture, gconstpointer name);

VirtHptRecord *testRecordCreate(const TestRecord *fixture,
                                VirtHptRecordOutcome expected,
                                GError **error);
void testRecordCreateOk(const TestRecord *fixture, VirtHptRecordOutcome expected);

void testAssertVerdict(const char *path, VirtHptResult expected, const char *code);
guint testCountEntries(const char *path);
void testWriteFile(const char *path, const guint8 *data, gsize length);
GByteArray *testReadFile(const char *path);

/* One test: the data names the image, or, with TEST_WITH(), is the test's own */
#define TEST(path, data, function)                                                                 \
    g_test_add(path, TestRecord, data, testRecordSetUp, function, testRecordTearDown)
#define TEST_WITH(path, data, function)                                                            \
    g_test_add(path, TestRecord, data, testRecordSetUpDefault, function, testRecordTearDown)

G_END_DECLS
