/*
 * test_qemu_qcow2.c: what the header of a qcow2 image says, and what it must not say
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <string.h>

#include "libvirt-hpt/htab_error.h"
#include "qemu/qemu_qcow2.h"

#define HEAD_SIZE 512
#define BACKING_AT 256

static void
put32(guint8 *head, gsize at, guint32 value)
{
    value = GUINT32_TO_BE(value);
    memcpy(head + at, &value, sizeof(value));
}

/* A version 3 header of 104 bytes, with the extension that names the backing file's format, as
 * qemu-img writes it */
static guint8 *
makeHead(const char *backing, const char *format)
{
    guint8 *head = g_malloc0(HEAD_SIZE);

    memcpy(head, "QFI\xfb", 4);
    put32(head, 4, 3);
    put32(head, 100, 104);
    if (backing) {
        put32(head, 12, BACKING_AT);
        put32(head, 16, (guint32)strlen(backing));
        memcpy(head + BACKING_AT, backing, strlen(backing));
    }
    if (format) {
        put32(head, 104, 0xe2792aca);
        put32(head, 108, (guint32)strlen(format));
        memcpy(head + 112, format, strlen(format));
    }
    return head;
}

static void
assertRefused(const guint8 *head, gsize length, const char *said)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptQcow2) header = virtHptQcow2Parse(head, length, "image", &error);

    g_assert_null(header);
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED);
    g_assert_nonnull(strstr(error->message, said));
}

static void
readsWhatLiesBelow(void)
{
    g_autofree guint8 *head = makeHead("below.qcow2", "qcow2");
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptQcow2) header = virtHptQcow2Parse(head, HEAD_SIZE, "image", &error);

    g_assert_no_error(error);
    g_assert_cmpuint(header->version, ==, 3);
    g_assert_cmpstr(header->backing, ==, "below.qcow2");
    g_assert_cmpstr(header->backingFormat, ==, "qcow2");
    g_assert_false(header->dataFile);
}

static void
readsThatNothingLiesBelow(void)
{
    g_autofree guint8 *head = makeHead(NULL, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptQcow2) header = virtHptQcow2Parse(head, HEAD_SIZE, "image", &error);

    g_assert_no_error(error);
    g_assert_null(header->backing);
    g_assert_null(header->backingFormat);
}

static void
readsVersion2(void)
{
    g_autofree guint8 *head = makeHead("below.raw", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptQcow2) header = NULL;

    put32(head, 4, 2);
    put32(head, 100, 0);
    header = virtHptQcow2Parse(head, HEAD_SIZE, "image", &error);
    g_assert_no_error(error);
    g_assert_cmpstr(header->backing, ==, "below.raw");
}

static void
tellsDataInAnotherFile(void)
{
    g_autofree guint8 *head = makeHead(NULL, NULL);
    g_autoptr(VirtHptQcow2) header = NULL;

    put32(head, 76, 4);
    header = virtHptQcow2Parse(head, HEAD_SIZE, "image", NULL);
    g_assert_true(header->dataFile);
}

static void
refusesNamesThatLieElsewhere(void)
{
    g_autofree guint8 *head = makeHead("below", NULL);

    put32(head, 12, HEAD_SIZE - 4);
    assertRefused(head, HEAD_SIZE, "byte 508");
    put32(head, 8, G_MAXUINT32);
    assertRefused(head, HEAD_SIZE, "outside");
}

static void
refusesNamesOfImpossibleLength(void)
{
    g_autofree guint8 *head = makeHead("below", NULL);

    put32(head, 16, 0);
    assertRefused(head, HEAD_SIZE, "byte 16");
    put32(head, 16, 1024);
    assertRefused(head, HEAD_SIZE, "byte 16");
}

static void
refusesNamesWithNul(void)
{
    g_autofree guint8 *head = makeHead("below", NULL);

    head[BACKING_AT + 2] = 0;
    assertRefused(head, HEAD_SIZE, "NUL");
}

static void
refusesExtensionsWithoutRoom(void)
{
    g_autofree guint8 *head = makeHead("below", "qcow2");

    put32(head, 108, G_MAXUINT32);
    assertRefused(head, HEAD_SIZE, "byte 108");
}

static void
refusesOtherVersionsAndTornHeaders(void)
{
    g_autofree guint8 *head = makeHead(NULL, NULL);

    for (gsize length = 0; length < 104; length++)
        assertRefused(head, length, "header");
    put32(head, 100, 103);
    assertRefused(head, HEAD_SIZE, "byte 100");
    put32(head, 100, HEAD_SIZE + 1);
    assertRefused(head, HEAD_SIZE, "byte 100");
    put32(head, 4, 4);
    assertRefused(head, HEAD_SIZE, "byte 4");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qemu/qcow2/reads-what-lies-below", readsWhatLiesBelow);
    g_test_add_func("/qemu/qcow2/reads-that-nothing-lies-below", readsThatNothingLiesBelow);
    g_test_add_func("/qemu/qcow2/reads-version-2", readsVersion2);
    g_test_add_func("/qemu/qcow2/tells-data-in-another-file", tellsDataInAnotherFile);
    g_test_add_func("/qemu/qcow2/refuses-names-that-lie-elsewhere", refusesNamesThatLieElsewhere);
    g_test_add_func("/qemu/qcow2/refuses-names-of-impossible-length",
                    refusesNamesOfImpossibleLength);
    g_test_add_func("/qemu/qcow2/refuses-names-with-nul", refusesNamesWithNul);
    g_test_add_func("/qemu/qcow2/refuses-extensions-without-room", refusesExtensionsWithoutRoom);
    g_test_add_func("/qemu/qcow2/refuses-other-versions-and-torn-headers",
                    refusesOtherVersionsAndTornHeaders);
    return g_test_run();
}
