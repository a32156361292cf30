/*
 * test_qemu_dryrun.c: the skeleton of a save image, and what QEMU's messages mean
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves, on images written by hand, that a skeleton is an image with the same table and the same
 * machine state, and no RAM contents; and that what QEMU prints gets the right reason code.
 * Requires nothing.
 */

#include "config.h"

#include <string.h>
#include <unistd.h>

#include "qemu/qemu_dryrun.h"
#include "qemu_testutils.h"

#define DOMAIN_XML "<domain type='qemu'/>"

static const char *const images[] = {
    "hash",     "hash-kvm",     "radix",      "radix-since", "firmware",       "no-footers",
    "commands", "capabilities", "mapped-ram", "page-kinds",  "no-description",
};

static VirtHptImage *
readWithState(const GByteArray *bytes, GByteArray *state)
{
    const VirtHptStreamOptions options = {.state = testAppendBytes, .opaque = state};
    g_autoptr(GError) error = NULL;
    VirtHptImage *image = testReadImage(bytes, &options, &error);

    g_assert_no_error(error);
    return image;
}

static GByteArray *
makeSkeleton(const GByteArray *state, const VirtHptTable *table, GError **error)
{
    g_autoptr(GByteArray) skeleton = g_byte_array_new();
    int fd = testOpenBytes(state);
    gboolean ok =
        virtHptSkeletonWrite(fd, "state", table, DOMAIN_XML, testAppendBytes, skeleton, error);

    close(fd);
    return ok ? g_steal_pointer(&skeleton) : NULL;
}

static void
testSkeleton(gconstpointer opaque)
{
    g_autoptr(GByteArray) bytes = testLoadImage(opaque);
    g_autoptr(GByteArray) state = g_byte_array_new();
    g_autoptr(VirtHptImage) image = readWithState(bytes, state);
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) skeleton = makeSkeleton(state, image->stream->table, &error);
    g_autoptr(GByteArray) again = g_byte_array_new();
    g_autoptr(VirtHptImage) read = NULL;

    g_assert_no_error(error);
    read = readWithState(skeleton, again);
    g_assert_cmpint(read->kind, ==, VIRT_HPT_IMAGE_SAVE);
    g_assert_cmpstr(read->format, ==, "raw");
    g_assert_cmpstr(read->domainXml, ==, DOMAIN_XML);
    g_assert_false(read->wasRunning);
    g_assert_cmpint(read->stream->hasHpt, ==, image->stream->hasHpt);
    g_assert_cmpuint(read->stream->order, ==, image->stream->order);
    if (image->stream->table)
        g_assert_true(virtHptTableEqual(read->stream->table, image->stream->table));
    g_assert_cmpmem(again->data, again->len, state->data, state->len);
}

/* What a record holds may have been written by anybody. */
static void
testSkeletonOfBrokenStateIsRefused(void)
{
    g_autoptr(GByteArray) bytes = testLoadImage("hash");
    g_autoptr(GByteArray) state = g_byte_array_new();
    g_autoptr(VirtHptImage) image = readWithState(bytes, state);
    guint accepted = 0;

    for (guint length = 0; length < state->len; length++) {
        g_autoptr(GByteArray) cut = g_byte_array_new();
        g_autoptr(GError) error = NULL;
        g_autoptr(GByteArray) skeleton = NULL;

        g_byte_array_append(cut, state->data, length);
        skeleton = makeSkeleton(cut, image->stream->table, &error);
        /* The description behind the end mark may be absent */
        if (skeleton) {
            g_assert_cmpuint(cut->data[length - 1], ==, 0);
            accepted++;
        } else {
            g_assert_true(error && error->domain == VIRT_HPT_ERROR);
        }
    }
    g_assert_cmpuint(accepted, <=, 1);
}

static gboolean
refuseBytes(const guint8 *data G_GNUC_UNUSED,
            gsize length G_GNUC_UNUSED,
            gpointer opaque,
            GError **error)
{
    guint *left = opaque;

    if ((*left)-- > 0)
        return TRUE;
    g_set_error_literal(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO, "full");
    return FALSE;
}

static void
testFailureToWriteIsHandedOn(void)
{
    g_autoptr(GByteArray) bytes = testLoadImage("hash");
    g_autoptr(GByteArray) state = g_byte_array_new();
    g_autoptr(VirtHptImage) image = readWithState(bytes, state);
    guint writes = 0;
    gboolean ok;

    do {
        g_autoptr(GError) error = NULL;
        int fd = testOpenBytes(state);
        guint left = writes;

        ok = virtHptSkeletonWrite(fd, "state", image->stream->table, DOMAIN_XML, refuseBytes, &left,
                                  &error);
        close(fd);
        if (!ok)
            g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO);
        g_assert_cmpuint(writes++, <, 1000);
    } while (!ok);
    g_assert_cmpuint(writes, >, 10);
}

typedef struct {
    const char *log;
    const char *code; /* %NULL: not known */
    const char *line;
    gboolean artefact;
} MessageCase;

#define STAMP "2026-11-22T09:23:55.176264Z qemu-system-ppc64: "

static const MessageCase messageCases[] = {
    {"", NULL, NULL, FALSE},
    {"LC_ALL=C \\\n/usr/bin/qemu-system-ppc64 -S \\\n", NULL, NULL, FALSE},
    {STAMP "Machine type received is 'pseries-7.2' and local is 'pseries-7.1'\n" STAMP
           "load of migration failed: Invalid argument\n",
     "machine-type", "Machine type received is 'pseries-7.2' and local is 'pseries-7.1'", FALSE},
    {STAMP
     "cap-hpt-max-page-size higher level (24) in incoming stream than on destination (16)\n" STAMP
     "error while loading state for instance 0x0 of device 'spapr'\n" STAMP
     "load of migration failed: Invalid argument\n",
     "capability",
     "cap-hpt-max-page-size higher level (24) in incoming stream than on destination (16)", FALSE},
    {STAMP "Size mismatch: ppc_spapr.ram: 0x20000000 != 0x40000000: Invalid argument\n", "ram-size",
     "Size mismatch: ppc_spapr.ram: 0x20000000 != 0x40000000: Invalid argument", FALSE},
    {STAMP "Unknown ramblock \"vga.vram\", cannot accept migration\n", "ram-block",
     "Unknown ramblock \"vga.vram\", cannot accept migration", FALSE},
    {STAMP "Unknown savevm section or instance 'xive-source' 0. Make sure\n", "missing-device",
     "Unknown savevm section or instance 'xive-source' 0. Make sure", FALSE},
    {STAMP
     "VQ 0 size 0x100 < last_avail_idx 0xfff0 - used_idx 0x0\n" STAMP
     "Failed to load virtio-blk:virtio\n" STAMP
     "error while loading state for instance 0x0 of device 'pci@800000020000000:02.0/virtio-blk'\n",
     "virtqueue-without-memory", "VQ 0 size 0x100 < last_avail_idx 0xfff0 - used_idx 0x0", FALSE},
    /* What speaks of the guest is never hidden by what speaks of the dry run */
    {STAMP "VQ 0 size 0x100 < last_avail_idx 0xfff0 - used_idx 0x0\n" STAMP
           "Failed to load virtio-blk:virtio\n" STAMP
           "Features 0x130afffa7 unsupported. Allowed features: 0x1b0bf8006\n",
     "virtio-features", "Features 0x130afffa7 unsupported. Allowed features: 0x1b0bf8006", FALSE},
    {STAMP "Failed to get \"write\" lock\n", NULL, NULL, FALSE},
    {STAMP "failed to get \"write\" lock\n" STAMP "load of migration failed: Invalid argument\n",
     "dry-run-disk", "failed to get \"write\" lock", TRUE},
    {STAMP "VQ 0 size 0x100 Guest index 0x0 inconsistent with Host index 0x1: delta 0xffff\n", NULL,
     NULL, FALSE},
    {STAMP "Features 0x130afffa7 unsupported. Allowed features: 0x1b0bf8006\n", "virtio-features",
     "Features 0x130afffa7 unsupported. Allowed features: 0x1b0bf8006", FALSE},
    {STAMP "Bad page size encoding in SLB store: slot 0 - rs 0xc - va 0x0\n", "page-size",
     "Bad page size encoding in SLB store: slot 0 - rs 0xc - va 0x0", FALSE},
    {STAMP "Failed to allocate KVM HPT of order 33: Cannot allocate memory\n", "hpt-allocation",
     "Failed to allocate KVM HPT of order 33: Cannot allocate memory", FALSE},
    {STAMP "Requested order 33 HPT, but kernel allocated order 24 (try smaller maxmem?)\n",
     "hpt-allocation",
     "Requested order 33 HPT, but kernel allocated order 24 (try smaller maxmem?)", FALSE},
    {STAMP "Process table config unsupported by the host\n", "mmu-mode",
     "Process table config unsupported by the host", FALSE},
    {STAMP "Missing section footer for spapr-xive\n", "section-contents",
     "Missing section footer for spapr-xive", FALSE},
    {STAMP "load of migration failed: Input/output error\n", "qemu-refused",
     "load of migration failed: Input/output error", FALSE},
};

static void
testMessage(gconstpointer opaque)
{
    const MessageCase *test = opaque;
    g_autofree char *line = NULL;
    const VirtHptRefusal *refusal = virtHptRefusalRecognise(test->log, &line);

    g_assert_cmpstr(refusal ? refusal->code : NULL, ==, test->code);
    g_assert_cmpstr(line, ==, test->line);
    g_assert_cmpint(refusal && refusal->artefact, ==, test->artefact);
    g_assert_cmpint(refusal && refusal->unchecked, ==,
                    g_strcmp0(test->code, "virtqueue-without-memory") == 0);
}

static void
testDeviceIsNamed(void)
{
    g_autofree char *device = virtHptRefusalGetDevice(
        STAMP "error while loading state for instance 0x0 of device 'pci@8:02.0/virtio-blk'\n");
    g_autofree char *torn = virtHptRefusalGetDevice(
        STAMP "error while loading state for instance 0x0 of device 'pci@8\n");

    g_assert_cmpstr(device, ==, "pci@8:02.0/virtio-blk");
    g_assert_null(torn);
    g_assert_null(virtHptRefusalGetDevice("of device 'x'"));
}

static void
testUncheckedQueuesAreCounted(void)
{
    static const char line[] =
        STAMP "VQ 1 size 0x100 Guest index 0x0 inconsistent with Host index 0x1: delta 0xffff\n";
    g_autofree char *three = g_strconcat(line, "VQ\n", line, line, NULL);

    g_assert_cmpuint(virtHptLogCountUncheckedQueues(""), ==, 0);
    g_assert_cmpuint(virtHptLogCountUncheckedQueues(line), ==, 1);
    g_assert_cmpuint(virtHptLogCountUncheckedQueues(three), ==, 3);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(images); i++) {
        g_autofree char *path = g_strconcat("/qemu/skeleton/", images[i], NULL);

        g_test_add_data_func(path, images[i], testSkeleton);
    }
    g_test_add_func("/qemu/skeleton/broken-state", testSkeletonOfBrokenStateIsRefused);
    g_test_add_func("/qemu/skeleton/failure-to-write", testFailureToWriteIsHandedOn);
    g_test_add_func("/qemu/refusal/device-is-named", testDeviceIsNamed);
    g_test_add_func("/qemu/refusal/unchecked-queues", testUncheckedQueuesAreCounted);
    for (gsize i = 0; i < G_N_ELEMENTS(messageCases); i++) {
        g_autofree char *path = g_strdup_printf(
            "/qemu/refusal/%zu-%s", i, messageCases[i].code ? messageCases[i].code : "unknown");

        g_test_add_data_func(path, &messageCases[i], testMessage);
    }
    return g_test_run();
}
