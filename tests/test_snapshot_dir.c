/*
 * test_snapshot_dir.c: record directories are trusted only where they are ours
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves on real files in a temporary directory: planted links and files of others are refused;
 * what killed processes left is removed.  Cases that need another owner run only as root.
 */

#include "config.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "record_testutils.h"
#include "snapshot/snapshot_dir.h"

static void
assertRefused(const TestRecord *fixture)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptRecord) record = testRecordCreate(fixture, VIRT_HPT_RECORD_CREATED, &error);

    g_assert_null(record);
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNTRUSTED);
    testAssertVerdict(fixture->image, VIRT_HPT_RESULT_FAILED, "record-unusable");
    g_assert_cmpuint(testCountEntries(fixture->dir), ==, 2);
}

static void
testPlantedLink(TestRecord *fixture, gconstpointer name G_GNUC_UNUSED)
{
    g_autofree char *elsewhere = g_dir_make_tmp("virt-hpt-XXXXXX", NULL);

    g_assert_cmpint(symlink(elsewhere, fixture->record), ==, 0);
    assertRefused(fixture);
    g_assert_cmpuint(testCountEntries(elsewhere), ==, 0);
    g_assert_cmpint(g_rmdir(elsewhere), ==, 0);
}

static void
testPlantedFile(TestRecord *fixture, gconstpointer name G_GNUC_UNUSED)
{
    testWriteFile(fixture->record, (const guint8 *)"x", 1);
    assertRefused(fixture);
}

static void
testPlantedWritable(TestRecord *fixture, gconstpointer name G_GNUC_UNUSED)
{
    testRecordCreateOk(fixture, VIRT_HPT_RECORD_CREATED);
    g_assert_cmpint(chmod(fixture->record, 0770), ==, 0);
    assertRefused(fixture);
}

static void
testPlantedOwner(TestRecord *fixture, gconstpointer name G_GNUC_UNUSED)
{
    testRecordCreateOk(fixture, VIRT_HPT_RECORD_CREATED);
    g_assert_cmpint(chown(fixture->record, 1, 1), ==, 0);
    assertRefused(fixture);
}

static void
testPlantedPayload(TestRecord *fixture, gconstpointer kind)
{
    g_autofree char *path = g_build_filename(fixture->record, "state", NULL);
    g_autofree char *other = g_build_filename(fixture->dir, "other", NULL);

    testRecordCreateOk(fixture, VIRT_HPT_RECORD_CREATED);
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
    testAssertVerdict(fixture->image, VIRT_HPT_RESULT_FAILED, "record-damaged");
}

/* Makes a draft with a file in it, as a process that is killed leaves it. */
static void
leaveDraft(int parent)
{
    pid_t child = fork();
    int status;

    g_assert_cmpint(child, >=, 0);
    if (child == 0) {
        VirtHptDirDraft *draft = virtHptDirDraftNew(parent, "record", NULL);

        if (draft && virtHptDirDraftCreateFile(draft, "table", NULL) >= 0)
            raise(SIGKILL);
        _exit(1);
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Directories that a killed process left are removed, one that is being filled is not. */
static void
testLeftDrafts(TestRecord *fixture, gconstpointer name G_GNUC_UNUSED)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptDirDraft) used = NULL;
    g_autofree char *path = NULL;
    int parent = open(fixture->dir, O_RDONLY | O_DIRECTORY);

    used = virtHptDirDraftNew(parent, "record", &error);
    g_assert_no_error(error);
    leaveDraft(parent);
    leaveDraft(parent);
    g_assert_cmpuint(testCountEntries(fixture->dir), ==, 4);
    testRecordCreateOk(fixture, VIRT_HPT_RECORD_CREATED);
    path = g_build_filename(fixture->dir, used->temporary, NULL);
    g_assert_true(g_file_test(path, G_FILE_TEST_IS_DIR));
    g_assert_cmpuint(testCountEntries(fixture->dir), ==, 3);
    g_clear_pointer(&used, virtHptDirDraftFree);
    close(parent);
}

/* Locks may not be seen from host to host: a draft of another one is left alone for a day. */
static void
testDraftOfAnotherHost(TestRecord *fixture, gconstpointer name)
{
    g_autofree char *draft = g_build_filename(fixture->dir, name, NULL);
    g_autofree char *file = g_build_filename(draft, "table", NULL);
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    int parent = open(fixture->dir, O_RDONLY | O_DIRECTORY);

    g_assert_cmpint(g_mkdir(draft, 0700), ==, 0);
    testWriteFile(file, (const guint8 *)"x", 1);
    virtHptDirReapDrafts(parent, now);
    virtHptDirReapDrafts(parent, now + (gint64)23 * 60 * 60);
    g_assert_true(g_file_test(file, G_FILE_TEST_EXISTS));
    virtHptDirReapDrafts(parent, now + (gint64)25 * 60 * 60);
    g_assert_false(g_file_test(draft, G_FILE_TEST_EXISTS));
    close(parent);
}

/* Who can rename a record can put another in its place, whoever owns both. */
static void
testDirectoryOfAGroup(TestRecord *fixture, gconstpointer data G_GNUC_UNUSED)
{
    static const struct {
        mode_t mode;
        gboolean own;
    } modes[] = {
        {0700, TRUE},  {0755, TRUE},  {0770, FALSE}, {0775, FALSE},
        {0707, FALSE}, {0777, FALSE}, {01777, TRUE}, {01775, TRUE},
    };
    int dir = open(fixture->dir, O_RDONLY | O_DIRECTORY);

    g_assert_cmpint(dir, >=, 0);
    for (gsize i = 0; i < G_N_ELEMENTS(modes); i++) {
        g_assert_cmpint(fchmod(dir, modes[i].mode), ==, 0);
        g_assert_cmpint(virtHptDirIsOwn(dir), ==, modes[i].own);
    }
    close(dir);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
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
    TEST("/record/directory-is-ours-only-if-nobody-else-can-change-it", NULL,
         testDirectoryOfAGroup);
    TEST("/record/left-drafts-are-removed", NULL, testLeftDrafts);
    TEST_WITH("/record/a-draft-of-another-host-is-kept-for-a-day",
              ".virt-hpt.01234567-89ab.0123456789abcdef", testDraftOfAnotherHost);
    TEST_WITH("/record/a-draft-of-an-unknown-host-is-kept-for-a-day", ".virt-hpt.0123456789abcdef",
              testDraftOfAnotherHost);
    return g_test_run();
}
