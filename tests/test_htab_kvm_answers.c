/*
 * test_htab_kvm_answers.c: what read(2) and write(2) answer is believed as far as it can be true
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves what a writer and a reader of the kernel's HPT file descriptor make of answers that no
 * sound kernel gives, and of refusals in a certain order, which take a race on a real one.  The
 * linker puts answers in the place of the system calls (--wrap).  It proves nothing about the
 * kernel, which refuses, and is busy, in tests/e2e/powerhost.
 *
 * Requires nothing.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "libvirt-hpt/htab_error.h"
#include "libvirt-hpt/htab_kvm.h"
#include "htab_testutils.h"

#define ORDER 18
#define SLOTS (1U << (ORDER - 4))

/* Ends a list of answers; a call too many fails the test */
#define END G_MININT

static const VirtHptEntry sample = {0x4001000000000001, 0x7194};

/* What the calls on @fd answer, one after the other: a negative errno, or the bytes asked for and
 * more */
static struct {
    int fd;
    const int *next;
} answers = {.fd = -1};

/* The linker's names */
ssize_t __wrap_write(int fd, const void *data, size_t length);
ssize_t __wrap_read(int fd, void *data, size_t length);
ssize_t __real_write(int fd, const void *data, size_t length);
ssize_t __real_read(int fd, void *data, size_t length);

static ssize_t
answer(size_t length)
{
    int next = *answers.next;

    g_assert_cmpint(next, !=, END);
    answers.next++;
    if (next > -4096 && next < 0) {
        errno = -next;
        return -1;
    }
    return (ssize_t)length + (next < 0 ? next + 4096 : next);
}

ssize_t
__wrap_write(int fd, const void *data, size_t length)
{
    return fd == answers.fd ? answer(length) : __real_write(fd, data, length);
}

ssize_t
__wrap_read(int fd, void *data, size_t length)
{
    return fd == answers.fd ? answer(length) : __real_read(fd, data, length);
}

/* So many bytes less than asked for */
#define SHORT(bytes) (-4096 - (bytes))

/* A descriptor that answers so */
static int
openFd(const int *list)
{
    answers.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    g_assert_cmpint(answers.fd, >=, 0);
    answers.next = list;
    return answers.fd;
}

static void
assertAllCalled(void)
{
    g_assert_cmpint(*answers.next, ==, END);
    answers.fd = -1;
}

/* A record of 4 entries from slot 100 on, and 5 slots to empty; what becomes of it */
typedef struct {
    const char *name;
    int answers[8];
    int code; /* -1: none */
    const char *message;
    VirtHptKvmWritten written;
} Case;

/* Whole, then the entries 100 to 103, then the 5 slots */
static const Case cases[] = {
    {"a record that is taken is written",
     {0, END},
     -1,
     "",
     {.records = 1, .valid = 4, .invalid = 5, .next = 109}},
    {"a call that was interrupted is made again",
     {-EINTR, 0, END},
     -1,
     "",
     {.records = 1, .valid = 4, .invalid = 5, .next = 109}},
    {"more bytes than the record has are not believed",
     {8, END},
     VIRT_HPT_ERROR_IO,
     "*another number of bytes*slot 0x64:*",
     {.next = 100, .unsure = TRUE}},
    {"less bytes than the record has are not believed",
     {SHORT(16), END},
     VIRT_HPT_ERROR_IO,
     "*another number of bytes*slot 0x64:*",
     {.next = 100, .unsure = TRUE}},
    {"the same of one of its entries",
     {-EINVAL, 0, 0, 8, END},
     VIRT_HPT_ERROR_IO,
     "*another number of bytes*slot 0x66:*",
     {.records = 2, .valid = 2, .next = 102, .unsure = TRUE}},
    {"the same of the slots to empty",
     {-EIO, 0, 0, 0, 0, SHORT(8), END},
     VIRT_HPT_ERROR_IO,
     "*another number of bytes*slot 0x68:*",
     {.records = 4, .valid = 4, .next = 104, .unsure = TRUE}},
    {"a refused entry is lost",
     {-EIO, 0, -EIO, END},
     VIRT_HPT_ERROR_IO,
     "*refuses*slot 0x65, which is empty now*",
     {.records = 1, .valid = 1, .next = 101, .lost = TRUE}},
    {"an entry that is no good is not",
     {-EINVAL, 0, 0, 0, -EINVAL, END},
     VIRT_HPT_ERROR_IO,
     "*refuses*slot 0x67: *",
     {.records = 3, .valid = 3, .next = 103}},
    {"slots that are not emptied",
     {-EIO, 0, 0, 0, 0, -EINVAL, END},
     VIRT_HPT_ERROR_IO,
     "*does not empty 5 slots from slot 0x68 on*",
     {.records = 4, .valid = 4, .next = 104, .unsure = TRUE}},
    {"a record is not tried in pieces while vCPUs run",
     {-EBUSY, END},
     VIRT_HPT_ERROR_BUSY,
     "*go on at slot 0x64",
     {.next = 100}},
    {"vCPUs that start in between end it",
     {-EIO, 0, 0, -EBUSY, END},
     VIRT_HPT_ERROR_BUSY,
     "*go on at slot 0x66",
     {.records = 2, .valid = 2, .next = 102, .unsure = TRUE}},
    {"a refusal that does not come again is none",
     {-EIO, 0, 0, 0, 0, 0, END},
     -1,
     "",
     {.records = 5, .valid = 4, .invalid = 5, .next = 109}},
    {"an error of the kernel's own is no misreading",
     {-EPROTO, -EPROTO, END},
     VIRT_HPT_ERROR_IO,
     "*refuses*slot 0x64: *",
     {.next = 100}},
};

static void
testWrite(gconstpointer data)
{
    const Case *given = data;
    g_autoptr(VirtHptKvmWriter) writer =
        virtHptKvmWriterNewForFd(openFd(given->answers), ORDER, NULL);
    g_autoptr(VirtHptTable) table = virtHptTableNew(ORDER, TEST_MAX_BYTES, NULL);
    g_autoptr(GError) error = NULL;
    VirtHptKvmWritten written;
    gboolean ok;

    for (guint64 slot = 100; slot < 104; slot++)
        virtHptTableSet(table, slot, &sample);
    ok = virtHptKvmWriterWriteRecord(writer, 100, virtHptTablePeekWire(table, 100), 4, 5, &written,
                                     &error);
    assertAllCalled();
    g_assert_cmpint(ok, ==, given->code < 0);
    if (given->code < 0) {
        g_assert_no_error(error);
    } else {
        g_assert_error(error, VIRT_HPT_ERROR, given->code);
        g_test_message("%s", error->message);
        g_assert_true(g_pattern_match_simple(given->message, error->message));
    }
    g_assert_cmpuint(written.records, ==, given->written.records);
    g_assert_cmpuint(written.valid, ==, given->written.valid);
    g_assert_cmpuint(written.invalid, ==, given->written.invalid);
    g_assert_cmpuint(written.next, ==, given->written.next);
    g_assert_cmpint(written.lost, ==, given->written.lost);
    g_assert_cmpint(written.unsure, ==, given->written.unsure);
}

static void
testNothingIsWrittenBehindMisreading(void)
{
    static const int list[] = {0, 0, 24, END};
    g_autoptr(VirtHptKvmWriter) writer = virtHptKvmWriterNewForFd(openFd(list), ORDER, NULL);
    g_autoptr(VirtHptTable) table = virtHptTableNew(ORDER, TEST_MAX_BYTES, NULL);
    g_autoptr(GError) error = NULL;
    VirtHptKvmWritten written;

    for (guint64 slot = 10; slot < SLOTS; slot += 1000)
        virtHptTableSet(table, slot, &sample);
    g_assert_false(virtHptKvmWriterWriteTable(writer, table, &written, &error));
    assertAllCalled();
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO);
    g_assert_cmpuint(written.next, ==, 1010);
    g_assert_cmpuint(written.records, ==, 2);
    g_assert_true(written.unsure);
}

static void
testReadOfMoreThanFitsIsNotBelieved(void)
{
    static const int list[] = {1, END};
    g_autoptr(VirtHptKvmReader) reader = virtHptKvmReaderNewForFd(openFd(list), ORDER, 0, NULL);
    g_autoptr(VirtHptTable) table = virtHptTableNew(ORDER, TEST_MAX_BYTES, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) again = NULL;
    VirtHptKvmPass pass;

    g_assert_false(virtHptKvmReaderPass(reader, table, &pass, &error));
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED);
    g_assert_nonnull(strstr(error->message, "65537 bytes"));
    g_assert_cmpuint(pass.bytes, ==, 0);
    /* It is not asked again */
    g_assert_false(virtHptKvmReaderPass(reader, table, &pass, &again));
    g_assert_error(again, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED);
    assertAllCalled();
}

static void
testReadThatFailsIsTold(void)
{
    static const int list[] = {-EINTR, -EFAULT, END};
    g_autoptr(VirtHptKvmReader) reader = virtHptKvmReaderNewForFd(openFd(list), ORDER, 0, NULL);
    g_autoptr(VirtHptTable) table = virtHptTableNew(ORDER, TEST_MAX_BYTES, NULL);
    g_autoptr(GError) error = NULL;
    VirtHptKvmPass pass;

    g_assert_false(virtHptKvmReaderPass(reader, table, &pass, &error));
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO);
    g_assert_nonnull(strstr(error->message, g_strerror(EFAULT)));
    assertAllCalled();
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf("/htab/kvm/answers/write/%s", cases[i].name);

        g_test_add_data_func(path, &cases[i], testWrite);
    }
    g_test_add_func("/htab/kvm/answers/write/nothing is written behind a misreading",
                    testNothingIsWrittenBehindMisreading);
    g_test_add_func("/htab/kvm/answers/read/more than fits is not believed",
                    testReadOfMoreThanFitsIsNotBelieved);
    g_test_add_func("/htab/kvm/answers/read/a failure is told", testReadThatFailsIsTold);
    return g_test_run();
}
