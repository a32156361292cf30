/*
 * test_snapshot_record.c: records are made whole, and tell what became of their image
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves on real files in a temporary directory: what is made and with which modes; current,
 * damaged, stale; that any flipped bit in what a record covers is found.
 */

#include "config.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "qemu_testutils.h"
#include "record_testutils.h"
#include "snapshot/snapshot_payload.h"

static void
assertMode(const char *dir, const char *name, mode_t mode)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    struct stat st;

    g_assert_cmpint(lstat(path, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 07777, ==, mode);
}

static void
testCreated(TestRecord *fixture, gconstpointer name)
{
    gboolean radix = name && g_str_equal(name, "radix");

    testRecordCreateOk(fixture, VIRT_HPT_RECORD_CREATED);
    assertMode(fixture->dir, "guest.save.hpt", 0700);
    assertMode(fixture->record, "snapshot.xml", 0600);
    assertMode(fixture->record, "state", 0600);
    if (!radix)
        assertMode(fixture->record, "table", 0600);
    g_assert_cmpuint(testCountEntries(fixture->record), ==, radix ? 2 : 3);
    g_assert_cmpuint(testCountEntries(fixture->dir), ==, 2);
    testAssertVerdict(fixture->image, VIRT_HPT_RESULT_PASSED, "image-current");
    testAssertVerdict(fixture->record, VIRT_HPT_RESULT_PASSED, "image-current");
}

static void
testUnchanged(TestRecord *fixture, gconstpointer name G_GNUC_UNUSED)
{
    struct stat before;
    struct stat after;

    testRecordCreateOk(fixture, VIRT_HPT_RECORD_CREATED);
    g_assert_cmpint(stat(fixture->record, &before), ==, 0);
    testRecordCreateOk(fixture, VIRT_HPT_RECORD_UNCHANGED);
    g_assert_cmpint(stat(fixture->record, &after), ==, 0);
    g_assert_cmpuint(before.st_ino, ==, after.st_ino);
    g_assert_cmpint(before.st_mtim.tv_nsec, ==, after.st_mtim.tv_nsec);
}

/* The next save of the same guest: its header is the same, the rest is not. */
static void
writeNextImage(const TestRecord *fixture)
{
    g_autoptr(GByteArray) bytes = testLoadImage("save");
    const guint8 *timer = memmem(bytes->data, bytes->len, "timer", 5);
    guint8 page[9] = {0, 0, 0, 0, 0, 0, 0x30, 0x22, 0};
    g_autoptr(GByteArray) next = g_byte_array_new();
    /* A further zero page in the RAM part moves all that follows. */
    const guint8 mark[] = {0, 0, 0, 0, 0, 0, 0x20, 0x28};
    const guint8 *at = memmem(bytes->data, bytes->len, mark, sizeof(mark));

    g_assert_true(timer && at);
    g_byte_array_append(next, bytes->data, (guint)(at - bytes->data));
    g_byte_array_append(next, page, sizeof(page));
    g_byte_array_append(next, at, bytes->len - (guint)(at - bytes->data));
    next->data[timer - bytes->data + sizeof(page) + 20] ^= 0x55;
    g_assert_cmpint(g_unlink(fixture->image), ==, 0);
    testWriteFile(fixture->image, next->data, next->len);
}

static void
testStale(TestRecord *fixture, gconstpointer name G_GNUC_UNUSED)
{
    testRecordCreateOk(fixture, VIRT_HPT_RECORD_CREATED);
    writeNextImage(fixture);
    testAssertVerdict(fixture->image, VIRT_HPT_RESULT_PASSED, "record-stale");
    testRecordCreateOk(fixture, VIRT_HPT_RECORD_REPLACED);
    testAssertVerdict(fixture->image, VIRT_HPT_RESULT_PASSED, "image-current");
    g_assert_cmpuint(testCountEntries(fixture->dir), ==, 2);
}

/* None of the extents agrees, but it is the same file, by its times. */
static void
testOverwritten(TestRecord *fixture, gconstpointer name G_GNUC_UNUSED)
{
    struct timespec times[2];
    struct stat st;
    int fd;

    testRecordCreateOk(fixture, VIRT_HPT_RECORD_CREATED);
    g_assert_cmpint(stat(fixture->image, &st), ==, 0);
    fd = open(fixture->image, O_WRONLY);
    g_assert_cmpint(fd, >=, 0);
    for (off_t i = 0; i < st.st_size; i += 16)
        g_assert_cmpint(pwrite(fd, "\xff", 1, i), ==, 1);
    times[0] = st.st_atim;
    times[1] = st.st_mtim;
    g_assert_cmpint(futimens(fd, times), ==, 0);
    close(fd);
    testAssertVerdict(fixture->image, VIRT_HPT_RESULT_FAILED, "image-damaged");
}

static void
flip(const char *path, gsize offset, guint bit)
{
    int fd = open(path, O_RDWR);
    guint8 byte;

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(pread(fd, &byte, 1, (off_t)offset), ==, 1);
    byte ^= (guint8)(1U << bit);
    g_assert_cmpint(pwrite(fd, &byte, 1, (off_t)offset), ==, 1);
    close(fd);
}

/* @path is a file of the record: each of its bits counts. */
static void
assertFlipsFound(const TestRecord *fixture, const char *file)
{
    g_autofree char *path = g_build_filename(fixture->record, file, NULL);
    g_autoptr(GByteArray) bytes = testReadFile(path);

    for (guint i = 0; i < bytes->len * 8; i++) {
        flip(path, i / 8, i % 8);
        testAssertVerdict(fixture->record, VIRT_HPT_RESULT_FAILED, "record-damaged");
        flip(path, i / 8, i % 8);
    }
    testAssertVerdict(fixture->record, VIRT_HPT_RESULT_PASSED, NULL);
}

/* Of a guest without a table only the machine state tells one image from the next. */
static void
testDoubtful(TestRecord *fixture, gconstpointer name G_GNUC_UNUSED)
{
    g_autoptr(GByteArray) bytes = testReadFile(fixture->image);
    const guint8 *timer = memmem(bytes->data, bytes->len, "timer", 5);

    testRecordCreateOk(fixture, VIRT_HPT_RECORD_CREATED);
    flip(fixture->image, (gsize)(timer - bytes->data) + 20, 1);
    testAssertVerdict(fixture->image, VIRT_HPT_RESULT_WARNED, "image-maybe-damaged");
}

static void
testFlippedPayload(TestRecord *fixture, gconstpointer name G_GNUC_UNUSED)
{
    testRecordCreateOk(fixture, VIRT_HPT_RECORD_CREATED);
    assertFlipsFound(fixture, "state");
    assertFlipsFound(fixture, "table");
}

static void
testFlippedExtent(TestRecord *fixture, gconstpointer name)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptRecord) record = testRecordCreate(fixture, VIRT_HPT_RECORD_CREATED, &error);
    const GArray *extents;

    g_assert_no_error(error);
    extents = record->def->extents;
    g_assert_cmpuint(extents->len, >=, 3);
    for (guint i = 0; i < extents->len; i++) {
        const VirtHptExtent *extent = &g_array_index(extents, VirtHptExtent, i);

        for (guint64 bit = 0; bit < extent->length * 8; bit++) {
            g_autoptr(VirtHptPlace) place = NULL;
            VirtHptComparison comparison;

            flip(fixture->image, extent->offset + bit / 8, (guint)(bit % 8));
            place = virtHptPlaceOpen(fixture->image, &error);
            g_assert_no_error(error);
            virtHptRecordCompare(record, place, &comparison, &error);
            g_assert_no_error(error);
            g_assert_cmpuint(comparison.differing, ==, 1);
            g_assert_true(comparison.first == extent);
            /* What identifies this image is in table and state of a hash guest. */
            if (!name)
                g_assert_cmpint(comparison.state, ==, VIRT_HPT_RECORD_DAMAGED);
            flip(fixture->image, extent->offset + bit / 8, (guint)(bit % 8));
        }
    }
}

static void
testNamesEntry(TestRecord *fixture, gconstpointer name G_GNUC_UNUSED)
{
    g_autoptr(GByteArray) bytes = testReadFile(fixture->image);
    const guint8 entry[] = {0, 0, 0, 9, 0, 1, 0, 0, 0x40, 0x01};
    const guint8 *at = memmem(bytes->data, bytes->len, entry, sizeof(entry));

    g_assert_nonnull(at);
    testRecordCreateOk(fixture, VIRT_HPT_RECORD_CREATED);
    flip(fixture->image, (gsize)(at - bytes->data) + 8 + 8 + 5, 4);
    testAssertVerdict(fixture->image, VIRT_HPT_RESULT_FAILED, "entries-changed");
    testAssertVerdict(fixture->image, VIRT_HPT_RESULT_FAILED, "image-damaged");
}

static void
testReplacesDamaged(TestRecord *fixture, gconstpointer file)
{
    g_autofree char *path = g_build_filename(fixture->record, file, NULL);

    testRecordCreateOk(fixture, VIRT_HPT_RECORD_CREATED);
    flip(path, 10, 3);
    testRecordCreateOk(fixture, VIRT_HPT_RECORD_REPLACED);
    testRecordCreateOk(fixture, VIRT_HPT_RECORD_UNCHANGED);
}

static void
testDeleted(TestRecord *fixture, gconstpointer name G_GNUC_UNUSED)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptRecord) record = testRecordCreate(fixture, VIRT_HPT_RECORD_CREATED, &error);

    g_assert_no_error(error);
    g_assert_true(virtHptRecordDelete(record->path, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(testCountEntries(fixture->dir), ==, 1);
}

/* A record stands by itself: its image need not be there. */
static void
testImageAbsent(TestRecord *fixture, gconstpointer name G_GNUC_UNUSED)
{
    testRecordCreateOk(fixture, VIRT_HPT_RECORD_CREATED);
    g_assert_cmpint(g_unlink(fixture->image), ==, 0);
    testAssertVerdict(fixture->record, VIRT_HPT_RESULT_PASSED, "image-absent");
}

/* Found from the image wherever both are moved to. */
static void
testMoved(TestRecord *fixture, gconstpointer name G_GNUC_UNUSED)
{
    g_autofree char *image = g_build_filename(fixture->dir, "other name", NULL);
    g_autofree char *record = g_strconcat(image, ".hpt", NULL);

    testRecordCreateOk(fixture, VIRT_HPT_RECORD_CREATED);
    g_assert_cmpint(rename(fixture->image, image), ==, 0);
    g_assert_cmpint(rename(fixture->record, record), ==, 0);
    testAssertVerdict(image, VIRT_HPT_RESULT_PASSED, "image-current");
    testAssertVerdict(record, VIRT_HPT_RESULT_PASSED, "image-current");
}

/* A bad image leaves nothing behind. */
static void
testMalformed(TestRecord *fixture, gconstpointer name G_GNUC_UNUSED)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptRecord) record = testRecordCreate(fixture, VIRT_HPT_RECORD_CREATED, &error);

    g_assert_null(record);
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED);
    g_assert_cmpuint(testCountEntries(fixture->dir), ==, 1);
}

/* What is written is read back, also where it just fills the reader's buffers. */
static void
testPayloadLength(void)
{
    const gsize lengths[] = {1, 131071, 131072, 131073, 262144, 1048576};
    g_autofree guint8 *data = g_malloc0(1048576);

    for (gsize i = 0; i < G_N_ELEMENTS(lengths); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *path = NULL;
        int fd = g_file_open_tmp("virt-hpt-XXXXXX", &path, &error);
        g_autoptr(VirtHptPayloadWriter) writer = NULL;
        VirtHptPayload payload = {0};

        g_assert_no_error(error);
        writer = virtHptPayloadWriterNew(fd, "state", &error);
        g_assert_no_error(error);
        virtHptPayloadWrite(writer, data, lengths[i], &error);
        g_assert_no_error(error);
        virtHptPayloadWriterFinish(writer, &payload, &error);
        g_assert_no_error(error);

        fd = open(path, O_RDONLY);
        g_assert_cmpint(fd, >=, 0);
        virtHptPayloadRead(fd, &payload, "record", NULL, NULL, &error);
        g_assert_no_error(error);
        close(fd);
        g_assert_cmpint(g_unlink(path), ==, 0);
        g_free(payload.file);
    }
}

/* The level says what was checked of the image, and a stale record says nothing of it. */
static void
testStaleLevel(TestRecord *fixture, gconstpointer name G_GNUC_UNUSED)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptVerdict) verdict = NULL;

    testRecordCreateOk(fixture, VIRT_HPT_RECORD_CREATED);
    writeNextImage(fixture);
    verdict = virtHptValidate(fixture->image, &testOwnLevels, &error);
    g_assert_no_error(error);
    g_assert_cmpint(verdict->levels[VIRT_HPT_LEVEL_RECORD], ==, VIRT_HPT_RESULT_NOT_CHECKED);
    g_assert_cmpint(verdict->levels[VIRT_HPT_LEVEL_TABLE], ==, VIRT_HPT_RESULT_PASSED);
}

/* A record that lacks a file is a damaged one, not none. */
static void
testMissingFile(TestRecord *fixture, gconstpointer file)
{
    g_autofree char *path = g_build_filename(fixture->record, file, NULL);
    gboolean descriptor = g_str_equal(file, "snapshot.xml");

    testRecordCreateOk(fixture, VIRT_HPT_RECORD_CREATED);
    g_assert_cmpint(g_unlink(path), ==, 0);
    testAssertVerdict(fixture->image, VIRT_HPT_RESULT_FAILED,
                      descriptor ? "record-unusable" : "record-damaged");
    testAssertVerdict(fixture->record, VIRT_HPT_RESULT_FAILED, "record-damaged");
    testRecordCreateOk(fixture, VIRT_HPT_RECORD_REPLACED);
}

/* An image that cannot be opened is there all the same. */
static void
testImageUnopenable(TestRecord *fixture, gconstpointer name G_GNUC_UNUSED)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptVerdict) verdict = NULL;

    testRecordCreateOk(fixture, VIRT_HPT_RECORD_CREATED);
    g_assert_cmpint(g_unlink(fixture->image), ==, 0);
    g_assert_cmpint(mkfifo(fixture->image, 0600), ==, 0);
    verdict = virtHptValidate(fixture->record, &testOwnLevels, &error);
    g_assert_null(verdict);
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED);
}

/* There can be no record in the state directory that is named after such a path. */
static void
testLongPath(TestRecord *fixture, gconstpointer name G_GNUC_UNUSED)
{
    const char xml[] =
        "<domain type='kvm'><uuid>5c0a3b6e-3ad0-4a1c-9f0e-6f1d2a7b8c9d</uuid></domain>";
    const guint32 fields[] = {2, sizeof(xml), 1, 0, 0};
    g_autofree char *part = g_strnfill(200, 'x');
    g_autofree char *dir = g_build_filename(fixture->dir, part, NULL);
    g_autofree char *path = g_build_filename(dir, "guest.save", NULL);
    g_autoptr(GByteArray) stream = testLoadImage("hash");
    g_autoptr(GByteArray) bytes = g_byte_array_new();

    g_byte_array_set_size(bytes, 92);
    memset(bytes->data, 0, 92);
    memcpy(bytes->data, "LibvirtQemudSave", 16);
    memcpy(bytes->data + 16, fields, sizeof(fields));
    g_byte_array_append(bytes, (const guint8 *)xml, sizeof(xml));
    g_byte_array_append(bytes, stream->data, stream->len);
    g_assert_cmpint(g_mkdir(dir, 0700), ==, 0);
    testWriteFile(path, bytes->data, bytes->len);
    testAssertVerdict(path, VIRT_HPT_RESULT_PASSED, "record-none");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEST("/record/is-made-whole/save-image", NULL, testCreated);
    TEST("/record/is-made-whole/stream", "hash", testCreated);
    TEST("/record/is-made-whole/kvm", "hash-kvm", testCreated);
    TEST("/record/is-made-whole/radix", "radix", testCreated);
    TEST("/record/is-made-whole/firmware", "firmware", testCreated);
    TEST("/record/is-made-whole/mapped-ram", "mapped-ram", testCreated);
    TEST("/record/is-made-whole/sparse", "save-sparse", testCreated);
    TEST("/record/of-an-unchanged-image-is-kept", NULL, testUnchanged);
    TEST("/record/is-stale-after-the-next-save", NULL, testStale);
    TEST("/record/tells-an-overwritten-image-by-its-time", NULL, testOverwritten);
    TEST("/record/tells-when-it-cannot-tell-damage-from-a-new-save/radix", "radix", testDoubtful);
    TEST("/record/tells-when-it-cannot-tell-damage-from-a-new-save/firmware", "firmware",
         testDoubtful);
    TEST("/record/any-flipped-bit-of-a-payload-is-found", NULL, testFlippedPayload);
    TEST("/record/any-flipped-bit-of-an-extent-is-found", NULL, testFlippedExtent);
    TEST("/record/any-flipped-bit-of-an-extent-is-found/radix", "radix", testFlippedExtent);
    TEST("/record/names-the-entry-that-changed", NULL, testNamesEntry);
    TEST_WITH("/record/is-replaced-when-damaged/table", "table", testReplacesDamaged);
    TEST_WITH("/record/is-replaced-when-damaged/state", "state", testReplacesDamaged);
    TEST_WITH("/record/is-replaced-when-damaged/descriptor", "snapshot.xml", testReplacesDamaged);
    TEST("/record/is-deleted", NULL, testDeleted);
    TEST("/record/stands-without-its-image", NULL, testImageAbsent);
    TEST("/record/moves-with-its-image", NULL, testMoved);
    TEST("/record/of-a-malformed-image-is-absent", "bad-htab-not-valid", testMalformed);
    g_test_add_func("/record/payload-of-any-length-is-read-back", testPayloadLength);
    TEST("/record/that-is-stale-does-not-pass", NULL, testStaleLevel);
    TEST_WITH("/record/is-damaged-without/descriptor", "snapshot.xml", testMissingFile);
    TEST_WITH("/record/is-damaged-without/state", "state", testMissingFile);
    TEST_WITH("/record/is-damaged-without/table", "table", testMissingFile);
    TEST("/record/does-not-pass-with-an-image-that-cannot-be-opened", NULL, testImageUnopenable);
    TEST("/record/is-none-for-an-image-of-a-long-path", NULL, testLongPath);
    return g_test_run();
}
