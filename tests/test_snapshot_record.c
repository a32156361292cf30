/*
 * test_snapshot_record.c: records are made whole, trusted only where they are ours, and tell what
 * became of their image
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves on real files in a temporary directory: what is made and with which modes; current,
 * damaged, stale; that any flipped bit in what a record covers is found; that planted links and
 * files of others are refused.  Cases that need another owner run only as root.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "qemu_testutils.h"
#include "snapshot/snapshot_payload.h"
#include "snapshot/snapshot_validate.h"

typedef struct {
    char *dir;
    char *image;
    char *record;
} Fixture;

static void
writeFile(const char *path, const guint8 *data, gsize length)
{
    g_autoptr(GError) error = NULL;

    g_file_set_contents(path, (const char *)data, (gssize)length, &error);
    g_assert_no_error(error);
}

static GByteArray *
readFile(const char *path)
{
    g_autoptr(GError) error = NULL;
    char *data;
    gsize length;

    g_file_get_contents(path, &data, &length, &error);
    g_assert_no_error(error);
    return g_byte_array_new_take((guint8 *)data, length);
}

static void
writeImage(const Fixture *fixture, const char *name)
{
    g_autoptr(GByteArray) bytes = testLoadImage(name);

    writeFile(fixture->image, bytes->data, bytes->len);
}

static void
setUp(Fixture *fixture, gconstpointer name)
{
    g_autoptr(GError) error = NULL;

    fixture->dir = g_dir_make_tmp("virt-hpt-XXXXXX", &error);
    g_assert_no_error(error);
    fixture->image = g_build_filename(fixture->dir, "guest.save", NULL);
    fixture->record = g_strconcat(fixture->image, ".hpt", NULL);
    writeImage(fixture, name ? name : "save");
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

static void
tearDown(Fixture *fixture, gconstpointer name G_GNUC_UNUSED)
{
    removeTree(fixture->dir);
    g_free(fixture->dir);
    g_free(fixture->image);
    g_free(fixture->record);
}

static VirtHptRecord *
create(const Fixture *fixture, VirtHptRecordOutcome expected, GError **error)
{
    g_autoptr(VirtHptPlace) place = virtHptPlaceOpen(fixture->image, error);
    VirtHptRecordOutcome outcome;
    VirtHptRecord *record = place ? virtHptRecordCreate(place, NULL, NULL, &outcome, error) : NULL;

    if (record)
        g_assert_cmpint(outcome, ==, expected);
    return record;
}

static void
createOk(const Fixture *fixture, VirtHptRecordOutcome expected)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptRecord) record = create(fixture, expected, &error);

    g_assert_no_error(error);
    g_assert_nonnull(record);
}

/* No guest, no libvirt */
static const VirtHptValidateOptions ownLevels = {.skip = 1U << VIRT_HPT_LEVEL_DRY_RUN};

static void
assertVerdict(const char *path, VirtHptResult expected, const char *code)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptVerdict) verdict = virtHptValidate(path, &ownLevels, &error);
    gboolean found = code == NULL;

    g_assert_no_error(error);
    for (guint i = 0; !found && i < verdict->facts->len; i++) {
        const VirtHptFact *fact = g_ptr_array_index(verdict->facts, i);

        found = g_str_equal(fact->code, code);
    }
    g_assert_cmpint(verdict->result, ==, expected);
    g_assert_true(found);
}

static guint
countEntries(const char *path)
{
    GDir *dir = g_dir_open(path, 0, NULL);
    guint count = 0;

    while (g_dir_read_name(dir))
        count++;
    g_dir_close(dir);
    return count;
}

static void
assertMode(const char *dir, const char *name, mode_t mode)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    struct stat st;

    g_assert_cmpint(lstat(path, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 07777, ==, mode);
}

static void
testCreated(Fixture *fixture, gconstpointer name)
{
    gboolean radix = name && g_str_equal(name, "radix");

    createOk(fixture, VIRT_HPT_RECORD_CREATED);
    assertMode(fixture->dir, "guest.save.hpt", 0700);
    assertMode(fixture->record, "snapshot.xml", 0600);
    assertMode(fixture->record, "state", 0600);
    if (!radix)
        assertMode(fixture->record, "table", 0600);
    g_assert_cmpuint(countEntries(fixture->record), ==, radix ? 2 : 3);
    g_assert_cmpuint(countEntries(fixture->dir), ==, 2);
    assertVerdict(fixture->image, VIRT_HPT_RESULT_PASSED, "image-current");
    assertVerdict(fixture->record, VIRT_HPT_RESULT_PASSED, "image-current");
}

static void
testUnchanged(Fixture *fixture, gconstpointer name G_GNUC_UNUSED)
{
    struct stat before;
    struct stat after;

    createOk(fixture, VIRT_HPT_RECORD_CREATED);
    g_assert_cmpint(stat(fixture->record, &before), ==, 0);
    createOk(fixture, VIRT_HPT_RECORD_UNCHANGED);
    g_assert_cmpint(stat(fixture->record, &after), ==, 0);
    g_assert_cmpuint(before.st_ino, ==, after.st_ino);
    g_assert_cmpint(before.st_mtim.tv_nsec, ==, after.st_mtim.tv_nsec);
}

/* The next save of the same guest: its header is the same, the rest is not. */
static void
writeNextImage(const Fixture *fixture)
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
    writeFile(fixture->image, next->data, next->len);
}

static void
testStale(Fixture *fixture, gconstpointer name G_GNUC_UNUSED)
{
    createOk(fixture, VIRT_HPT_RECORD_CREATED);
    writeNextImage(fixture);
    assertVerdict(fixture->image, VIRT_HPT_RESULT_PASSED, "record-stale");
    createOk(fixture, VIRT_HPT_RECORD_REPLACED);
    assertVerdict(fixture->image, VIRT_HPT_RESULT_PASSED, "image-current");
    g_assert_cmpuint(countEntries(fixture->dir), ==, 2);
}

/* None of the extents agrees, but it is the same file, by its times. */
static void
testOverwritten(Fixture *fixture, gconstpointer name G_GNUC_UNUSED)
{
    struct timespec times[2];
    struct stat st;
    int fd;

    createOk(fixture, VIRT_HPT_RECORD_CREATED);
    g_assert_cmpint(stat(fixture->image, &st), ==, 0);
    fd = open(fixture->image, O_WRONLY);
    g_assert_cmpint(fd, >=, 0);
    for (off_t i = 0; i < st.st_size; i += 16)
        g_assert_cmpint(pwrite(fd, "\xff", 1, i), ==, 1);
    times[0] = st.st_atim;
    times[1] = st.st_mtim;
    g_assert_cmpint(futimens(fd, times), ==, 0);
    close(fd);
    assertVerdict(fixture->image, VIRT_HPT_RESULT_FAILED, "image-damaged");
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
assertFlipsFound(const Fixture *fixture, const char *file)
{
    g_autofree char *path = g_build_filename(fixture->record, file, NULL);
    g_autoptr(GByteArray) bytes = readFile(path);

    for (guint i = 0; i < bytes->len * 8; i++) {
        flip(path, i / 8, i % 8);
        assertVerdict(fixture->record, VIRT_HPT_RESULT_FAILED, "record-damaged");
        flip(path, i / 8, i % 8);
    }
    assertVerdict(fixture->record, VIRT_HPT_RESULT_PASSED, NULL);
}

/* Of a guest without a table only the machine state tells one image from the next. */
static void
testDoubtful(Fixture *fixture, gconstpointer name G_GNUC_UNUSED)
{
    g_autoptr(GByteArray) bytes = readFile(fixture->image);
    const guint8 *timer = memmem(bytes->data, bytes->len, "timer", 5);

    createOk(fixture, VIRT_HPT_RECORD_CREATED);
    flip(fixture->image, (gsize)(timer - bytes->data) + 20, 1);
    assertVerdict(fixture->image, VIRT_HPT_RESULT_WARNED, "image-maybe-damaged");
}

static void
testFlippedPayload(Fixture *fixture, gconstpointer name G_GNUC_UNUSED)
{
    createOk(fixture, VIRT_HPT_RECORD_CREATED);
    assertFlipsFound(fixture, "state");
    assertFlipsFound(fixture, "table");
}

static void
testFlippedExtent(Fixture *fixture, gconstpointer name)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptRecord) record = create(fixture, VIRT_HPT_RECORD_CREATED, &error);
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
testNamesEntry(Fixture *fixture, gconstpointer name G_GNUC_UNUSED)
{
    g_autoptr(GByteArray) bytes = readFile(fixture->image);
    const guint8 entry[] = {0, 0, 0, 9, 0, 1, 0, 0, 0x40, 0x01};
    const guint8 *at = memmem(bytes->data, bytes->len, entry, sizeof(entry));

    g_assert_nonnull(at);
    createOk(fixture, VIRT_HPT_RECORD_CREATED);
    flip(fixture->image, (gsize)(at - bytes->data) + 8 + 8 + 5, 4);
    assertVerdict(fixture->image, VIRT_HPT_RESULT_FAILED, "entries-changed");
    assertVerdict(fixture->image, VIRT_HPT_RESULT_FAILED, "image-damaged");
}

static void
testReplacesDamaged(Fixture *fixture, gconstpointer file)
{
    g_autofree char *path = g_build_filename(fixture->record, file, NULL);

    createOk(fixture, VIRT_HPT_RECORD_CREATED);
    flip(path, 10, 3);
    createOk(fixture, VIRT_HPT_RECORD_REPLACED);
    createOk(fixture, VIRT_HPT_RECORD_UNCHANGED);
}

static void
setUpDefault(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    setUp(fixture, NULL);
}

static void
assertRefused(const Fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptRecord) record = create(fixture, VIRT_HPT_RECORD_CREATED, &error);

    g_assert_null(record);
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNTRUSTED);
    assertVerdict(fixture->image, VIRT_HPT_RESULT_FAILED, "record-unusable");
    g_assert_cmpuint(countEntries(fixture->dir), ==, 2);
}

static void
testPlantedLink(Fixture *fixture, gconstpointer name G_GNUC_UNUSED)
{
    g_autofree char *elsewhere = g_dir_make_tmp("virt-hpt-XXXXXX", NULL);

    g_assert_cmpint(symlink(elsewhere, fixture->record), ==, 0);
    assertRefused(fixture);
    g_assert_cmpuint(countEntries(elsewhere), ==, 0);
    g_assert_cmpint(g_rmdir(elsewhere), ==, 0);
}

static void
testPlantedFile(Fixture *fixture, gconstpointer name G_GNUC_UNUSED)
{
    writeFile(fixture->record, (const guint8 *)"x", 1);
    assertRefused(fixture);
}

static void
testPlantedWritable(Fixture *fixture, gconstpointer name G_GNUC_UNUSED)
{
    createOk(fixture, VIRT_HPT_RECORD_CREATED);
    g_assert_cmpint(chmod(fixture->record, 0770), ==, 0);
    assertRefused(fixture);
}

static void
testPlantedOwner(Fixture *fixture, gconstpointer name G_GNUC_UNUSED)
{
    createOk(fixture, VIRT_HPT_RECORD_CREATED);
    g_assert_cmpint(chown(fixture->record, 1, 1), ==, 0);
    assertRefused(fixture);
}

static void
testPlantedPayload(Fixture *fixture, gconstpointer kind)
{
    g_autofree char *path = g_build_filename(fixture->record, "state", NULL);
    g_autofree char *other = g_build_filename(fixture->dir, "other", NULL);

    createOk(fixture, VIRT_HPT_RECORD_CREATED);
    if (g_str_equal(kind, "owner")) {
        g_assert_cmpint(chown(path, 1, 1), ==, 0);
    } else if (g_str_equal(kind, "hard-link")) {
        g_assert_cmpint(link(path, other), ==, 0);
    } else if (g_str_equal(kind, "link")) {
        g_assert_cmpint(rename(path, other), ==, 0);
        g_assert_cmpint(symlink(other, path), ==, 0);
    } else {
        g_assert_cmpint(g_unlink(path), ==, 0);
        g_assert_cmpint(mkfifo(path, 0600), ==, 0);
    }
    assertVerdict(fixture->image, VIRT_HPT_RESULT_FAILED, "record-damaged");
}

/* Directories that a killed process left are removed, one that is being filled is not. */
static void
testLeftDrafts(Fixture *fixture, gconstpointer name G_GNUC_UNUSED)
{
    g_autofree char *left = g_build_filename(fixture->dir, ".virt-hpt.0123456789abcdef", NULL);
    g_autofree char *used = g_build_filename(fixture->dir, ".virt-hpt.fedcba9876543210", NULL);
    g_autofree char *file = g_build_filename(left, "table", NULL);
    int fd;

    g_assert_cmpint(g_mkdir(left, 0700), ==, 0);
    g_assert_cmpint(g_mkdir(used, 0700), ==, 0);
    writeFile(file, (const guint8 *)"x", 1);
    fd = open(used, O_RDONLY | O_DIRECTORY);
    g_assert_cmpint(flock(fd, LOCK_EX), ==, 0);
    createOk(fixture, VIRT_HPT_RECORD_CREATED);
    g_assert_false(g_file_test(left, G_FILE_TEST_EXISTS));
    g_assert_true(g_file_test(used, G_FILE_TEST_EXISTS));
    close(fd);
}

static void
testDeleted(Fixture *fixture, gconstpointer name G_GNUC_UNUSED)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptRecord) record = create(fixture, VIRT_HPT_RECORD_CREATED, &error);

    g_assert_no_error(error);
    g_assert_true(virtHptRecordDelete(record, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(countEntries(fixture->dir), ==, 1);
}

/* A record stands by itself: its image need not be there. */
static void
testImageAbsent(Fixture *fixture, gconstpointer name G_GNUC_UNUSED)
{
    createOk(fixture, VIRT_HPT_RECORD_CREATED);
    g_assert_cmpint(g_unlink(fixture->image), ==, 0);
    assertVerdict(fixture->record, VIRT_HPT_RESULT_PASSED, "image-absent");
}

/* Found from the image wherever both are moved to. */
static void
testMoved(Fixture *fixture, gconstpointer name G_GNUC_UNUSED)
{
    g_autofree char *image = g_build_filename(fixture->dir, "other name", NULL);
    g_autofree char *record = g_strconcat(image, ".hpt", NULL);

    createOk(fixture, VIRT_HPT_RECORD_CREATED);
    g_assert_cmpint(rename(fixture->image, image), ==, 0);
    g_assert_cmpint(rename(fixture->record, record), ==, 0);
    assertVerdict(image, VIRT_HPT_RESULT_PASSED, "image-current");
    assertVerdict(record, VIRT_HPT_RESULT_PASSED, "image-current");
}

/* A bad image leaves nothing behind. */
static void
testMalformed(Fixture *fixture, gconstpointer name G_GNUC_UNUSED)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptRecord) record = create(fixture, VIRT_HPT_RECORD_CREATED, &error);

    g_assert_null(record);
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED);
    g_assert_cmpuint(countEntries(fixture->dir), ==, 1);
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
testStaleLevel(Fixture *fixture, gconstpointer name G_GNUC_UNUSED)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptVerdict) verdict = NULL;

    createOk(fixture, VIRT_HPT_RECORD_CREATED);
    writeNextImage(fixture);
    verdict = virtHptValidate(fixture->image, &ownLevels, &error);
    g_assert_no_error(error);
    g_assert_cmpint(verdict->levels[VIRT_HPT_LEVEL_RECORD], ==, VIRT_HPT_RESULT_NOT_CHECKED);
    g_assert_cmpint(verdict->levels[VIRT_HPT_LEVEL_TABLE], ==, VIRT_HPT_RESULT_PASSED);
}

/* A record that lacks a file is a damaged one, not none. */
static void
testMissingFile(Fixture *fixture, gconstpointer file)
{
    g_autofree char *path = g_build_filename(fixture->record, file, NULL);
    gboolean descriptor = g_str_equal(file, "snapshot.xml");

    createOk(fixture, VIRT_HPT_RECORD_CREATED);
    g_assert_cmpint(g_unlink(path), ==, 0);
    assertVerdict(fixture->image, VIRT_HPT_RESULT_FAILED,
                  descriptor ? "record-unusable" : "record-damaged");
    assertVerdict(fixture->record, VIRT_HPT_RESULT_FAILED, "record-damaged");
    createOk(fixture, VIRT_HPT_RECORD_REPLACED);
}

/* An image that cannot be opened is there all the same. */
static void
testImageUnopenable(Fixture *fixture, gconstpointer name G_GNUC_UNUSED)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptVerdict) verdict = NULL;

    createOk(fixture, VIRT_HPT_RECORD_CREATED);
    g_assert_cmpint(g_unlink(fixture->image), ==, 0);
    g_assert_cmpint(mkfifo(fixture->image, 0600), ==, 0);
    verdict = virtHptValidate(fixture->record, &ownLevels, &error);
    g_assert_null(verdict);
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED);
}

/* There can be no record in the state directory that is named after such a path. */
static void
testLongPath(Fixture *fixture, gconstpointer name G_GNUC_UNUSED)
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
    writeFile(path, bytes->data, bytes->len);
    assertVerdict(path, VIRT_HPT_RESULT_PASSED, "record-none");
}

#define TEST(path, data, function) g_test_add(path, Fixture, data, setUp, function, tearDown)
#define TEST_WITH(path, data, function)                                                            \
    g_test_add(path, Fixture, data, setUpDefault, function, tearDown)

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
    TEST("/record/refuses/a-link", NULL, testPlantedLink);
    TEST("/record/refuses/a-file", NULL, testPlantedFile);
    TEST("/record/refuses/what-a-group-may-write-to", NULL, testPlantedWritable);
    TEST_WITH("/record/refuses/a-linked-payload", "link", testPlantedPayload);
    TEST_WITH("/record/refuses/a-payload-of-two-names", "hard-link", testPlantedPayload);
    TEST_WITH("/record/refuses/a-fifo-for-a-payload", "fifo", testPlantedPayload);
    if (geteuid() == 0) {
        TEST("/record/refuses/what-others-own", NULL, testPlantedOwner);
        TEST_WITH("/record/refuses/a-payload-of-others", "owner", testPlantedPayload);
    }
    TEST("/record/left-drafts-are-removed", NULL, testLeftDrafts);
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
