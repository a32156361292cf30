/*
 * test_snapshot_watch.c: files that change or are replaced are noticed
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "libvirt-hpt/htab_error.h"
#include "snapshot/snapshot_watch.h"

/* Longer than the tick of file times, in microseconds */
#define TICK 20000

typedef struct {
    char *directory;
    char *path;
    char *other;
    VirtHptWatch *watch;
} Fixture;

static void
write4(const char *path, const char *text)
{
    g_autoptr(GError) error = NULL;

    g_file_set_contents(path, text, 4, &error);
    g_assert_no_error(error);
}

static void
setUp(Fixture *fixture, gconstpointer opaque G_GNUC_UNUSED)
{
    g_autoptr(GError) error = NULL;

    fixture->directory = g_dir_make_tmp("watch-XXXXXX", &error);
    g_assert_no_error(error);
    fixture->path = g_build_filename(fixture->directory, "image", NULL);
    fixture->other = g_build_filename(fixture->directory, "other", NULL);
    write4(fixture->path, "good");
    write4(fixture->other, "evil");
    fixture->watch = virtHptWatchNew();
    virtHptWatchAdd(fixture->watch, fixture->path, &error);
    g_assert_no_error(error);
    g_usleep(TICK);
}

static void
tearDown(Fixture *fixture, gconstpointer opaque G_GNUC_UNUSED)
{
    virtHptWatchFree(fixture->watch);
    g_unlink(fixture->path);
    g_unlink(fixture->other);
    g_rmdir(fixture->directory);
    g_free(fixture->path);
    g_free(fixture->other);
    g_free(fixture->directory);
}

static void
assertNoticed(const Fixture *fixture, VirtHptWatchKind kind)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(virtHptWatchCheck(fixture->watch, kind, &error));
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_DAMAGED);
}

static void
assertSame(const Fixture *fixture, VirtHptWatchKind kind)
{
    g_autoptr(GError) error = NULL;

    virtHptWatchCheck(fixture->watch, kind, &error);
    g_assert_no_error(error);
}

static void
readingIsNoChange(Fixture *fixture, gconstpointer opaque G_GNUC_UNUSED)
{
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents(fixture->path, &text, NULL, NULL));
    assertSame(fixture, VIRT_HPT_WATCH_OURS);
    assertSame(fixture, VIRT_HPT_WATCH_SHARED);
}

static void
anotherFileInItsPlaceIsNoticed(Fixture *fixture, gconstpointer opaque G_GNUC_UNUSED)
{
    struct stat st;
    struct timespec times[2];

    /* Of the same size and times */
    g_assert_cmpint(stat(fixture->path, &st), ==, 0);
    times[0] = st.st_atim;
    times[1] = st.st_mtim;
    g_assert_cmpint(utimensat(AT_FDCWD, fixture->other, times, 0), ==, 0);
    g_assert_cmpint(g_rename(fixture->other, fixture->path), ==, 0);
    assertNoticed(fixture, VIRT_HPT_WATCH_SHARED);
}

static void
aFileThatWasAwayIsNoticed(Fixture *fixture, gconstpointer opaque G_GNUC_UNUSED)
{
    g_autofree char *aside = g_build_filename(fixture->directory, "aside", NULL);

    g_assert_cmpint(g_rename(fixture->path, aside), ==, 0);
    g_assert_cmpint(g_rename(aside, fixture->path), ==, 0);
    assertNoticed(fixture, VIRT_HPT_WATCH_OURS);
}

static void
contentsWithTimesSetBackAreNoticed(Fixture *fixture, gconstpointer opaque G_GNUC_UNUSED)
{
    struct stat st;
    struct timespec times[2];
    int fd = open(fixture->path, O_WRONLY | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(fstat(fd, &st), ==, 0);
    times[0] = st.st_atim;
    times[1] = st.st_mtim;
    g_assert_cmpint(pwrite(fd, "evil", 4, 0), ==, 4);
    g_assert_cmpint(futimens(fd, times), ==, 0);
    close(fd);
    assertNoticed(fixture, VIRT_HPT_WATCH_OURS);
}

static void
contentsAreNoticedEvenIfShared(Fixture *fixture, gconstpointer opaque G_GNUC_UNUSED)
{
    int fd = open(fixture->path, O_WRONLY | O_CLOEXEC);

    g_assert_cmpint(pwrite(fd, "evil", 4, 0), ==, 4);
    close(fd);
    assertNoticed(fixture, VIRT_HPT_WATCH_SHARED);
}

static void
anotherOwnerIsAllowedWhereShared(Fixture *fixture, gconstpointer opaque G_GNUC_UNUSED)
{
    g_assert_cmpint(g_chmod(fixture->path, 0600), ==, 0);
    assertSame(fixture, VIRT_HPT_WATCH_SHARED);
    assertSame(fixture, VIRT_HPT_WATCH_OURS);
    g_usleep(TICK);
    g_assert_cmpint(g_chmod(fixture->path, 0640), ==, 0);
    assertNoticed(fixture, VIRT_HPT_WATCH_OURS);
}

static void
aLinkThatLeadsElsewhereIsNoticed(Fixture *fixture, gconstpointer opaque G_GNUC_UNUSED)
{
    g_autofree char *name = g_build_filename(fixture->directory, "link", NULL);
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(symlink(fixture->path, name), ==, 0);
    virtHptWatchAdd(fixture->watch, name, &error);
    g_assert_no_error(error);
    assertSame(fixture, VIRT_HPT_WATCH_OURS);
    g_unlink(name);
    g_assert_cmpint(symlink(fixture->other, name), ==, 0);
    assertNoticed(fixture, VIRT_HPT_WATCH_SHARED);
    g_unlink(name);
}

static void
aFileThatIsGoneIsNoticed(Fixture *fixture, gconstpointer opaque G_GNUC_UNUSED)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) again = NULL;

    g_unlink(fixture->path);
    g_assert_false(virtHptWatchCheck(fixture->watch, VIRT_HPT_WATCH_SHARED, &error));
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND);
    g_assert_false(virtHptWatchAdd(fixture->watch, fixture->path, &again));
    g_assert_error(again, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND);
}

#define ADD(name, function)                                                                        \
    g_test_add("/snapshot/watch/" name, Fixture, NULL, setUp, function, tearDown)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("reading-is-no-change", readingIsNoChange);
    ADD("another-file-in-its-place-is-noticed", anotherFileInItsPlaceIsNoticed);
    ADD("a-file-that-was-away-is-noticed", aFileThatWasAwayIsNoticed);
    ADD("contents-with-times-set-back-are-noticed", contentsWithTimesSetBackAreNoticed);
    ADD("contents-are-noticed-even-if-shared", contentsAreNoticedEvenIfShared);
    ADD("another-owner-is-allowed-where-shared", anotherOwnerIsAllowedWhereShared);
    ADD("a-link-that-leads-elsewhere-is-noticed", aLinkThatLeadsElsewhereIsNoticed);
    ADD("a-file-that-is-gone-is-noticed", aFileThatIsGoneIsNoticed);
    return g_test_run();
}
