/*
 * test_qemu_image.c: what is read of an image, and what is refused, and why
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves, on images written by hand (qemuimagedata/NAME.hex), that each construct of a stream and
 * of libvirt's header is read or refused by name with its byte offset, that an image cut off at any
 * byte is refused, and that the machine state is itself a stream.  Requires nothing.
 *
 * VIRT_HPT_TEST_REGENERATE_OUTPUT=1 rewrites the expected side, NAME.out.
 */

#include "config.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "qemu_testutils.h"

typedef struct {
    const char *name;
    gboolean good;
} ImageCase;

static const ImageCase cases[] = {
    {"hash", TRUE},
    {"hash-kvm", TRUE},
    {"radix", TRUE},
    {"radix-since", TRUE},
    {"firmware", TRUE},
    {"no-footers", TRUE},
    {"no-footers-description", TRUE},
    {"no-description", TRUE},
    {"commands", TRUE},
    {"capabilities", TRUE},
    {"mapped-ram", TRUE},
    {"page-kinds", TRUE},
    {"ram-continue", TRUE},
    {"save", TRUE},
    {"save-big-endian", TRUE},
    {"save-sparse", TRUE},
    {"bad-capability", FALSE},
    {"bad-capability-count", FALSE},
    {"bad-capability-twice", FALSE},
    {"bad-command-packaged", FALSE},
    {"bad-command-postcopy", FALSE},
    {"bad-devices-htab-full", FALSE},
    {"bad-devices-htab-part", FALSE},
    {"bad-devices-htab-start", FALSE},
    {"bad-devices-tail", FALSE},
    {"bad-devices-truncated", FALSE},
    {"bad-file-bzip2", FALSE},
    {"bad-file-elf", FALSE},
    {"bad-file-empty", FALSE},
    {"bad-file-gzip", FALSE},
    {"bad-file-kdump", FALSE},
    {"bad-file-lzop", FALSE},
    {"bad-file-qcow2", FALSE},
    {"bad-file-short", FALSE},
    {"bad-file-text", FALSE},
    {"bad-file-xz", FALSE},
    {"bad-file-zstd", FALSE},
    {"bad-footer", FALSE},
    {"bad-footer-lost", FALSE},
    {"bad-htab-after-radix", FALSE},
    {"bad-htab-index", FALSE},
    {"bad-htab-mark", FALSE},
    {"bad-htab-missing", FALSE},
    {"bad-htab-no-end", FALSE},
    {"bad-htab-not-valid", FALSE},
    {"bad-htab-order-46", FALSE},
    {"bad-htab-order-high", FALSE},
    {"bad-htab-order-huge", FALSE},
    {"bad-htab-order-low", FALSE},
    {"bad-htab-run", FALSE},
    {"bad-htab-truncated", FALSE},
    {"bad-htab-twice", FALSE},
    {"bad-htab-version", FALSE},
    {"bad-machine", FALSE},
    {"bad-machine-control", FALSE},
    {"bad-machine-length", FALSE},
    {"bad-magic", FALSE},
    {"bad-mapped-ram-back", FALSE},
    {"bad-mapped-ram-version", FALSE},
    {"bad-page-address", FALSE},
    {"bad-page-block", FALSE},
    {"bad-page-compressed", FALSE},
    {"bad-page-continue", FALSE},
    {"bad-page-flags", FALSE},
    {"bad-page-full", FALSE},
    {"bad-page-rdma", FALSE},
    {"bad-page-xbzrle", FALSE},
    {"bad-ram-block-twice", FALSE},
    {"bad-ram-list-empty-block", FALSE},
    {"bad-ram-list-sum", FALSE},
    {"bad-ram-list-twice", FALSE},
    {"bad-ram-missing", FALSE},
    {"bad-ram-no-list", FALSE},
    {"bad-ram-version", FALSE},
    {"bad-save-bzip2", FALSE},
    {"bad-save-cookie", FALSE},
    {"bad-save-data-truncated", FALSE},
    {"bad-save-format", FALSE},
    {"bad-save-gzip", FALSE},
    {"bad-save-long-data", FALSE},
    {"bad-save-lzop", FALSE},
    {"bad-save-no-data", FALSE},
    {"bad-save-no-stream", FALSE},
    {"bad-save-part", FALSE},
    {"bad-save-version", FALSE},
    {"bad-save-xml-open", FALSE},
    {"bad-save-xz", FALSE},
    {"bad-save-zstd", FALSE},
    {"bad-section", FALSE},
    {"bad-section-eof", FALSE},
    {"bad-section-name", FALSE},
    {"bad-section-part", FALSE},
    {"bad-section-type", FALSE},
    {"bad-subsection", FALSE},
    {"bad-target-page-bits", FALSE},
    {"bad-version", FALSE},
};

static const char *const partNames[] = {"header", "table", "state"};

/* What passes by while an image is read. */
typedef struct {
    GString *parts;
    VirtHptStreamPart part;
    guint64 end;
    GByteArray *state;
} Observer;

static gboolean
observePart(VirtHptStreamPart part,
            const guint8 *data G_GNUC_UNUSED,
            gsize length,
            guint64 offset,
            gpointer opaque,
            GError **error G_GNUC_UNUSED)
{
    Observer *observer = opaque;

    if (observer->parts->len == 0 || observer->part != part || observer->end != offset) {
        if (observer->parts->len > 0)
            g_string_append_printf(observer->parts, "-%" PRIu64 "\n", observer->end - 1);
        g_string_append_printf(observer->parts, "  %s %" PRIu64, partNames[part], offset);
    }
    observer->part = part;
    observer->end = offset + length;
    return TRUE;
}

static gboolean
observeState(const guint8 *data, gsize length, gpointer opaque, GError **error)
{
    const Observer *observer = opaque;

    return testAppendBytes(data, length, observer->state, error);
}

static void
describeTable(GString *out, const VirtHptTable *table)
{
    guint64 slots = virtHptTableGetSlots(table);

    g_string_append_printf(out, "order %u\n", virtHptTableGetOrder(table));
    for (guint64 slot = virtHptTableNextValid(table, 0); slot < slots;
         slot = virtHptTableNextValid(table, slot + 1)) {
        VirtHptEntry entry = virtHptTableGet(table, slot);

        g_string_append_printf(out, "  %" PRIu64 " %016" PRIx64 " %016" PRIx64 "\n", slot, entry.v,
                               entry.r);
    }
}

static char *
describe(const VirtHptImage *image, const Observer *observer)
{
    const VirtHptStream *stream = image->stream;
    GString *out = g_string_new(NULL);

    g_string_append_printf(out, "%s %s at %" PRIu64 " to %" PRIu64 "\n",
                           virtHptImageKindGetName(image->kind), image->format, stream->start,
                           stream->end);
    if (image->kind == VIRT_HPT_IMAGE_SAVE)
        g_string_append_printf(out, "xml %s\nrunning %d\n", image->domainXml, image->wasRunning);
    g_string_append_printf(out, "machine %s\nuuid %s\n", stream->machine ? stream->machine : "-",
                           stream->uuid ? stream->uuid : "-");
    for (guint i = 0; i < stream->capabilities->len; i++)
        g_string_append_printf(out, "capability %s\n",
                               (const char *)g_ptr_array_index(stream->capabilities, i));
    for (guint i = 0; i < stream->ramBlocks->len; i++) {
        const VirtHptRamBlock *block = &g_array_index(stream->ramBlocks, VirtHptRamBlock, i);

        g_string_append_printf(out, "block %s %" PRIu64 "\n", block->id, block->length);
    }
    g_string_append_printf(out, "ram %" PRIu64 "%s\n", stream->ramBytes,
                           stream->ramOnly ? " only" : "");
    if (stream->hasHpt)
        describeTable(out, stream->table);
    g_string_append_printf(out, "parts\n%s-%" PRIu64 "\n", observer->parts->str, observer->end - 1);
    g_string_append_printf(out, "state %u\n", observer->state->len);
    return g_string_free(out, FALSE);
}

/* Reads @bytes, and tells what was read, or why not. */
static char *
readAndDescribe(const GByteArray *bytes, GByteArray *state)
{
    Observer observer = {.parts = g_string_new(NULL), .state = state};
    VirtHptStreamOptions options = {
        .part = observePart, .state = observeState, .opaque = &observer};
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptImage) image = testReadImage(bytes, &options, &error);
    char *text;

    if (image) {
        g_assert_no_error(error);
        text = describe(image, &observer);
    } else {
        text = g_strdup_printf("%s: %s\n", virtHptErrorName((VirtHptError)error->code),
                               error->message);
    }
    g_string_free(observer.parts, TRUE);
    return text;
}

static void
compareWithFile(const char *name, const char *text)
{
    g_autofree char *file = g_strconcat(name, ".out", NULL);
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "qemuimagedata", file, NULL);
    g_autofree char *expected = NULL;
    g_autoptr(GError) error = NULL;

    if (g_getenv("VIRT_HPT_TEST_REGENERATE_OUTPUT")) {
        g_file_set_contents(path, text, -1, &error);
        g_assert_no_error(error);
    }
    g_file_get_contents(path, &expected, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(text, ==, expected);
}

static void
testCase(gconstpointer opaque)
{
    const ImageCase *image = opaque;
    g_autoptr(GByteArray) bytes = testLoadImage(image->name);
    g_autoptr(GByteArray) state = g_byte_array_new();
    g_autofree char *text = readAndDescribe(bytes, state);

    g_assert_cmpint(image->good, ==,
                    g_str_has_prefix(text, "stream ") || g_str_has_prefix(text, "save-image "));
    compareWithFile(image->name, text);
}

/* The bytes that a description takes: without it a stream is whole, too. */
static gsize
descriptionLength(const GByteArray *bytes)
{
    for (gsize i = 0; i + 6 <= bytes->len; i++) {
        const guint8 *p = bytes->data + bytes->len - i - 6;

        if (p[0] == 0x06 && p[5] == '{' && p[4] == i + 1)
            return i + 6;
    }
    return 0;
}

/* Contents of pages are long, and all alike to the reader. */
static gboolean
isInsidePage(const GByteArray *bytes, guint offset)
{
    return offset >= 64 && offset + 128 < bytes->len &&
           memcmp(bytes->data + offset - 64, bytes->data + offset, 128) == 0;
}

static void
testTruncated(gconstpointer opaque)
{
    const ImageCase *image = opaque;
    g_autoptr(GByteArray) bytes = testLoadImage(image->name);
    gsize whole = bytes->len - descriptionLength(bytes);

    for (guint length = 0; length < bytes->len; length += isInsidePage(bytes, length) ? 61 : 1) {
        g_autoptr(GByteArray) cut = g_byte_array_new();
        g_autoptr(GError) error = NULL;
        g_autoptr(VirtHptImage) read = NULL;

        if (length == whole)
            continue;
        g_byte_array_append(cut, bytes->data, length);
        read = testReadImage(cut, NULL, &error);
        g_assert_null(read);
        g_assert_nonnull(error);
        g_assert_nonnull(strstr(error->message, "byte "));
    }
}

static void
testState(gconstpointer opaque)
{
    const ImageCase *image = opaque;
    g_autoptr(GByteArray) bytes = testLoadImage(image->name);
    g_autoptr(GByteArray) state = g_byte_array_new();
    g_autoptr(GByteArray) again = g_byte_array_new();
    g_autofree char *text = readAndDescribe(bytes, state);
    VirtHptStreamOptions options = {
        .machineState = TRUE, .state = testAppendBytes, .opaque = again};
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptImage) read = testReadImage(state, &options, &error);

    g_assert_nonnull(text);
    g_assert_no_error(error);
    g_assert_false(read->stream->hasHpt);
    g_assert_cmpmem(state->data, state->len, again->data, again->len);
}

/* The window of a file is 1 MiB: every byte of an image comes to lie on its border once.  What
 * precedes it is domain XML, which gets shorter. */
static void
testWindow(void)
{
    g_autoptr(GByteArray) tail = testLoadImage("hash");
    g_autoptr(GByteArray) head = g_byte_array_new();
    const guint border = 1024 * 1024;
    int fd;

    g_byte_array_set_size(head, border);
    memset(head->data, 'x', border);
    memset(head->data, 0, 92);
    memcpy(head->data, "LibvirtQemudSave", 16);
    fd = testOpenBytes(head);

    for (guint shift = 0; shift < tail->len; shift += isInsidePage(tail, shift) ? 301 : 1) {
        const guint32 fields[] = {2, border - shift - 92, 1, 0, 0};
        const guint start = border - shift;
        g_autoptr(GError) error = NULL;
        g_autoptr(VirtHptImage) read = NULL;

        g_assert_cmpint(pwrite(fd, fields, sizeof(fields), 16), ==, sizeof(fields));
        g_assert_cmpint(pwrite(fd, "", 1, start - 1), ==, 1);
        g_assert_cmpint(pwrite(fd, tail->data, tail->len, start), ==, tail->len);
        g_assert_cmpint(ftruncate(fd, start + tail->len), ==, 0);
        read = virtHptImageRead(fd, "test", NULL, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(read->stream->order, ==, 18);
        g_assert_cmpuint(read->stream->start, ==, start);
    }
    close(fd);
}

/* Whatever changes, nothing crashes, and what is refused is refused with an error. */
static void
testMutated(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(cases) && cases[i].good; i++) {
        g_autoptr(GByteArray) bytes = testLoadImage(cases[i].name);

        for (guint round = 0; round < 400; round++) {
            g_autoptr(GByteArray) changed = g_byte_array_new();
            g_autoptr(GError) error = NULL;
            g_autoptr(VirtHptImage) read = NULL;

            g_byte_array_append(changed, bytes->data, bytes->len);
            for (guint n = (guint)g_test_rand_int_range(1, 4); n > 0; n--)
                changed->data[g_test_rand_int_range(0, (gint32)changed->len)] =
                    (guint8)g_test_rand_int();
            read = testReadImage(changed, NULL, &error);
            g_assert_true((read != NULL) == (error == NULL));
        }
    }
}

static void
testNotAFile(void)
{
    g_autoptr(GError) error = NULL;
    int fds[2];

    g_assert_cmpint(pipe(fds), ==, 0);
    g_assert_null(virtHptImageRead(fds[0], "a pipe", NULL, &error));
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED);
    close(fds[0]);
    close(fds[1]);
}

/* A hole costs nothing to make, so it must cost nothing to read. */
static void
testHole(void)
{
    g_autoptr(GByteArray) bytes = testLoadImage("hash");
    g_autoptr(GError) error = NULL;
    int fd = testOpenBytes(bytes);

    g_assert_cmpint(ftruncate(fd, G_GINT64_CONSTANT(1) << 40), ==, 0);
    g_assert_null(virtHptImageRead(fd, "test", NULL, &error));
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_LIMIT);
    close(fd);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/qemu/image/", cases[i].name, NULL);
        g_autofree char *truncated =
            g_strconcat("/qemu/truncated-is-refused/", cases[i].name, NULL);
        g_autofree char *state = g_strconcat("/qemu/state-is-a-stream/", cases[i].name, NULL);

        g_test_add_data_func(path, &cases[i], testCase);
        if (cases[i].good)
            g_test_add_data_func(state, &cases[i], testState);
        /* Without footers nothing tells the end mark from any other zero. */
        if (cases[i].good && !g_str_has_prefix(cases[i].name, "no-footers"))
            g_test_add_data_func(truncated, &cases[i], testTruncated);
    }
    g_test_add_func("/qemu/any-byte-may-lie-on-the-border-of-the-window", testWindow);
    g_test_add_func("/qemu/mutated-never-crashes", testMutated);
    g_test_add_func("/qemu/a-pipe-is-refused", testNotAFile);
    g_test_add_func("/qemu/a-hole-among-the-devices-is-refused", testHole);
    return g_test_run();
}
