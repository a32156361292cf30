/*
 * record_testutils.c: what the tests of records share
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "record_testutils.h"

#include <sys/stat.h>

#include <glib/gstdio.h>

#include "qemu_testutils.h"

void
testWriteFile(const char *path, const guint8 *data, gsize length)
{
    g_autoptr(GError) error = NULL;

    g_file_set_contents(path, (const char *)data, (gssize)length, &error);
    g_assert_no_error(error);
}

GByteArray *
testReadFile(const char *path)
{
    g_autoptr(GError) error = NULL;
    char *data;
    gsize length;

    g_file_get_contents(path, &data, &length, &error);
    g_assert_no_error(error);
    return g_byte_array_new_take((guint8 *)data, length);
}

static void
writeImage(const TestRecord *fixture, const char *name)
{
    g_autoptr(GByteArray) bytes = testLoadImage(name);

    testWriteFile(fixture->image, bytes->data, bytes->len);
}

void
testRecordSetUp(TestRecord *fixture, gconstpointer name)
{
    g_autoptr(GError) error = NULL;

    fixture->dir = g_dir_make_tmp("virt-hpt-XXXXXX", &error);
    g_assert_no_error(error);
    fixture->image = g_build_filename(fixture->dir, "guest.save", NULL);
    fixture->record = g_strconcat(fixture->image, ".hpt", NULL);
    writeImage(fixture, name ? name : "save");
}

void
testRecordSetUpDefault(TestRecord *fixture, gconstpointer data G_GNUC_UNUSED)
{
    testRecordSetUp(fixture, NULL);
}

static void
removeTree(const char *path)
{
    GDir *dir = g_file_test(path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open(path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *child = g_build_filename(path, name, NULL);

        removeTree(child);
    }
    if (dir)
        g_dir_close(dir);
    g_assert_cmpint(g_remove(path), ==, 0);
}

void
testRecordTearDown(TestRecord *fixture, gconstpointer name G_GNUC_UNUSED)
{
    removeTree(fixture->dir);
    g_free(fixture->dir);
    g_free(fixture->image);
    g_free(fixture->record);
}

VirtHptRecord *
testRecordCreate(const TestRecord *fixture, VirtHptRecordOutcome expected, GError **error)
{
    g_autoptr(VirtHptPlace) place = virtHptPlaceOpen(fixture->image, error);
    VirtHptRecordOutcome outcome;
    VirtHptRecord *record = place ? virtHptRecordCreate(place, NULL, NULL, &outcome, error) : NULL;

    if (record)
        g_assert_cmpint(outcome, ==, expected);
    return record;
}

void
testRecordCreateOk(const TestRecord *fixture, VirtHptRecordOutcome expected)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptRecord) record = testRecordCreate(fixture, expected, &error);

    g_assert_no_error(error);
    g_assert_nonnull(record);
}

/* No guest, no libvirt */
const VirtHptValidateOptions testOwnLevels = {.skip = 1U << VIRT_HPT_LEVEL_DRY_RUN};

void
testAssertVerdict(const char *path, VirtHptResult expected, const char *code)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptVerdict) verdict = virtHptValidate(path, &testOwnLevels, &error);
    gboolean found = code == NULL;

    g_assert_no_error(error);
    for (guint i = 0; !found && i < verdict->facts->len; i++) {
        const VirtHptFact *fact = g_ptr_array_index(verdict->facts, i);

        found = g_str_equal(fact->code, code);
    }
    g_assert_cmpint(verdict->result, ==, expected);
    g_assert_true(found);
}

guint
testCountEntries(const char *path)
{
    GDir *dir = g_dir_open(path, 0, NULL);
    guint count = 0;

    while (g_dir_read_name(dir))
        count++;
    g_dir_close(dir);
    return count;
}
