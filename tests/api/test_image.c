/*
 * test_image.c: images as the users of libvirt-hpt.so see them
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves that the shared library, linked as others link it, opens images of a real guest, says
 * what is in them and refuses what is none, and that the table it gives can be checked.
 *
 * Requires the stream in the environment variable VIRT_HPT_STREAM.
 */

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "libvirt-hpt/htab_error.h"
#include "libvirt-hpt/image.h"

#define DOMAIN "<domain type='kvm'><name>guest</name></domain>"
#define RAM_BYTES ((guint64)512 * 1024 * 1024)
#define VALID 16460

/* libvirt's header: 16 bytes of magic and 19 words in host byte order */
typedef struct {
    char magic[16];
    guint32 version;
    guint32 length;
    guint32 running;
    guint32 rest[16];
} SaveHeader;

static const char *
streamPath(void)
{
    const char *path = g_getenv("VIRT_HPT_STREAM");

    g_assert_nonnull(path);
    return path;
}

/* A file without a name that holds @length bytes and then the real stream */
static int
openPrefixed(const void *prefix, gsize length)
{
    g_autofree char *name = NULL;
    g_autofree char *stream = NULL;
    g_autoptr(GError) error = NULL;
    gsize rest;
    gsize done = 0;
    int fd = g_file_open_tmp("virt-hpt-XXXXXX", &name, &error);

    g_assert_no_error(error);
    g_unlink(name);
    g_file_get_contents(streamPath(), &stream, &rest, &error);
    g_assert_no_error(error);
    g_assert_cmpint(write(fd, prefix, length), ==, (gssize)length);
    while (done < rest) {
        gssize n = write(fd, stream + done, rest - done);

        g_assert_cmpint(n, >, 0);
        done += (gsize)n;
    }
    return fd;
}

static void
assertStream(const VirtHptImage *image)
{
    VirtHptTableStats stats;

    g_assert_cmpstr(virtHptImageGetMachine(image), ==, "pseries-7.2");
    g_assert_cmpuint(virtHptImageGetRamBytes(image), ==, RAM_BYTES);
    g_assert_cmpuint(virtHptImageGetOrder(image), ==, 22);
    g_assert_cmpuint(virtHptTableGetOrder(virtHptImageGetTable(image)), ==, 22);
    virtHptTableGetStats(virtHptImageGetTable(image), &stats);
    g_assert_cmpuint(stats.valid, ==, VALID);
}

static void
testBareStream(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptImage) image = virtHptImageOpen(streamPath(), 0, &error);

    g_assert_no_error(error);
    g_assert_cmpint(virtHptImageGetKind(image), ==, VIRT_HPT_IMAGE_STREAM);
    g_assert_cmpstr(virtHptImageKindGetName(VIRT_HPT_IMAGE_STREAM), ==, "stream");
    g_assert_null(virtHptImageGetDomainXml(image));
    g_assert_false(virtHptImageWasRunning(image));
    assertStream(image);
}

static void
testSaveImage(void)
{
    static const char xml[] = DOMAIN; /* with its NUL, as libvirt writes it */
    struct {
        SaveHeader header;
        char xml[sizeof(xml)];
    } prefix = {.header = {.version = 2, .length = sizeof(xml), .running = 1}, .xml = DOMAIN};
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptImage) image = NULL;
    int fd;

    memcpy(prefix.header.magic, "LibvirtQemudSave", sizeof(prefix.header.magic));
    fd = openPrefixed(&prefix, sizeof(prefix.header) + sizeof(xml));
    image = virtHptImageOpenFd(fd, "save", 0, &error);
    close(fd);

    g_assert_no_error(error);
    g_assert_cmpint(virtHptImageGetKind(image), ==, VIRT_HPT_IMAGE_SAVE);
    g_assert_cmpstr(virtHptImageKindGetName(VIRT_HPT_IMAGE_SAVE), ==, "save-image");
    g_assert_cmpstr(virtHptImageGetDomainXml(image), ==, DOMAIN);
    g_assert_true(virtHptImageWasRunning(image));
    assertStream(image);
}

static void
testTableIsSound(void)
{
    g_autoptr(VirtHptImage) image = virtHptImageOpen(streamPath(), 0, NULL);
    g_autoptr(VirtHptReport) report = NULL;
    VirtHptCheckContext context;

    memset(&context, 0xff, sizeof(context)); /* nothing of it may stay */
    virtHptImageGetCheckContext(image, &context);
    g_assert_cmpuint(context.orderBytes, ==, RAM_BYTES);
    g_assert_cmpuint(context.maxPageShift, ==, 0);
    report = virtHptTableCheck(virtHptImageGetTable(image), &context);
    g_assert_cmpuint(virtHptReportCount(report, VIRT_HPT_SEVERITY_ERROR), ==, 0);
    g_assert_cmpuint(virtHptReportCount(report, VIRT_HPT_SEVERITY_WARNING), ==, 0);
}

static void
testTableAboveLimitIsRefused(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(virtHptImageOpen(streamPath(), ((guint64)1 << 22) - 1, &error));
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_LIMIT);
}

static void
testNoSuchFile(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(virtHptImageOpen("/nonexistent/image", 0, &error));
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND);
    g_assert_nonnull(strstr(error->message, "/nonexistent/image"));
}

/* Nobody has the other end open: to open it would wait for ever */
static void
testFifoIsNotOpened(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *dir = g_dir_make_tmp("virt-hpt-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "fifo", NULL);

    g_assert_cmpint(mkfifo(path, 0600), ==, 0);
    g_assert_null(virtHptImageOpen(path, 0, &error));
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED);
    g_unlink(path);
    g_rmdir(dir);
}

static void
testGarbageIsRefusedByName(void)
{
    g_autoptr(GError) error = NULL;
    int fd = openPrefixed("garbage, no image", 17);

    g_assert_null(virtHptImageOpenFd(fd, "the image", 0, &error));
    close(fd);
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED);
    g_assert_nonnull(strstr(error->message, "the image"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/api/image/bare-stream", testBareStream);
    g_test_add_func("/api/image/save-image", testSaveImage);
    g_test_add_func("/api/image/table-is-sound", testTableIsSound);
    g_test_add_func("/api/image/table-above-limit-is-refused", testTableAboveLimitIsRefused);
    g_test_add_func("/api/image/no-such-file", testNoSuchFile);
    g_test_add_func("/api/image/fifo-is-not-opened", testFifoIsNotOpened);
    g_test_add_func("/api/image/garbage-is-refused-by-name", testGarbageIsRefusedByName);
    return g_test_run();
}
