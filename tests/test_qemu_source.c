/*
 * test_qemu_source.c: a stream that comes through a socket is read to its own end
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves that a stream read from a socket in pieces of any size is the same as from a file, that
 * its end is found by its description while the other side keeps the socket open, and that a reader
 * waits neither for what was cut off nor for ever.  Requires nothing.
 */

#include "config.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "full-write.h"

#include "qemu_testutils.h"

#define PATIENCE 20000 /* milliseconds; far beyond what a test takes */

typedef struct {
    int fd;
    const GByteArray *bytes;
    gsize length;
} Sender;

static gpointer
sendSlowly(gpointer opaque)
{
    const Sender *sender = opaque;
    gsize at = 0;

    while (at < sender->length) {
        gsize some = (gsize)g_random_int_range(1, 300);

        some = MIN(some, sender->length - at);
        g_assert_cmpuint(full_write(sender->fd, sender->bytes->data + at, some), ==, some);
        at += some;
    }
    return NULL;
}

/* Reads the first @length bytes of @bytes from a socket that stays open unless @hangUp. */
static VirtHptStream *
readSocket(const GByteArray *bytes,
           gsize length,
           gboolean hangUp,
           guint patience,
           GByteArray *state,
           GError **error)
{
    VirtHptStreamOptions options = {
        .maxTableBytes = TEST_TABLE_MAX, .state = testAppendBytes, .opaque = state};
    g_autoptr(VirtHptSource) source = NULL;
    VirtHptStream *stream;
    GThread *thread;
    Sender sender = {.bytes = bytes, .length = length};
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
    sender.fd = fds[1];
    thread = g_thread_new("sender", sendSlowly, &sender);
    if (hangUp) {
        g_thread_join(thread);
        close(fds[1]);
    }
    source = virtHptSourceNewPipe(fds[0], "socket",
                                  g_get_monotonic_time() + (gint64)PATIENCE * 1000, patience);
    stream = virtHptStreamRead(source, &options, error);
    if (!hangUp) {
        g_thread_join(thread);
        close(fds[1]);
    }
    close(fds[0]);
    return stream;
}

static void
testSame(gconstpointer opaque)
{
    g_autoptr(GByteArray) bytes = testLoadImage(opaque);
    g_autoptr(GByteArray) expected = g_byte_array_new();
    g_autoptr(GByteArray) state = g_byte_array_new();
    g_autoptr(VirtHptImage) image = NULL;
    g_autoptr(GError) error = NULL;
    VirtHptStreamOptions options = {.state = testAppendBytes, .opaque = expected};

    image = testReadImage(bytes, &options, &error);
    g_assert_no_error(error);
    for (guint round = 0; round < 20; round++) {
        g_autoptr(VirtHptStream) stream = NULL;

        g_byte_array_set_size(state, 0);
        stream = readSocket(bytes, bytes->len, FALSE, PATIENCE, state, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(stream->hasHpt, ==, image->stream->hasHpt);
        if (stream->hasHpt)
            g_assert_true(virtHptTableEqual(stream->table, image->stream->table));
        g_assert_cmpuint(stream->end, ==, bytes->len);
        g_assert_cmpmem(state->data, state->len, expected->data, expected->len);
    }
}

static void
testHungUp(void)
{
    g_autoptr(GByteArray) bytes = testLoadImage("hash");

    for (gsize length = 0; length < bytes->len; length += 7) {
        g_autoptr(GByteArray) state = g_byte_array_new();
        g_autoptr(GError) error = NULL;

        g_assert_null(readSocket(bytes, length, TRUE, PATIENCE, state, &error));
        g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED);
    }
}

static void
testSilent(void)
{
    g_autoptr(GByteArray) bytes = testLoadImage("hash");
    g_autoptr(GByteArray) state = g_byte_array_new();
    g_autoptr(GError) error = NULL;

    g_assert_null(readSocket(bytes, bytes->len - 1, FALSE, 50, state, &error));
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO);
}

static void
ignoreSignal(int number G_GNUC_UNUSED)
{
}

/* As when the reader is stopped and continued */
static void
testInterrupted(void)
{
    const struct itimerval soon = {.it_value = {.tv_usec = 10000}};
    const struct sigaction action = {.sa_handler = ignoreSignal};
    struct sigaction before;

    g_assert_cmpint(sigaction(SIGALRM, &action, &before), ==, 0);
    g_assert_cmpint(setitimer(ITIMER_REAL, &soon, NULL), ==, 0);
    testSilent();
    g_assert_cmpint(sigaction(SIGALRM, &before, NULL), ==, 0);
}

int
main(int argc, char **argv)
{
    static const char *const names[] = {"hash",     "hash-kvm",   "radix",
                                        "firmware", "page-kinds", "capabilities"};

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_strconcat("/qemu/socket/", names[i], NULL);

        g_test_add_data_func(path, names[i], testSame);
    }
    g_test_add_func("/qemu/socket-closed-early-is-refused", testHungUp);
    g_test_add_func("/qemu/silent-socket-is-given-up", testSilent);
    g_test_add_func("/qemu/silent-socket-is-given-up-after-a-signal", testInterrupted);
    return g_test_run();
}
