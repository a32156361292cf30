/*
 * test_htab_kvm.c: what is read from the kernel's HPT file descriptor is taken whole or not at all
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves how passes are told apart, and which records are refused and with which message.  A socket
 * stands where the kernel's descriptor would: it shows how bytes are taken, and proves nothing
 * about the kernel.  That is tests/e2e/powerhost.
 *
 * Requires nothing.
 */

#include "config.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libvirt-hpt/htab_error.h"
#include "htab_kvm_testutils.h"

#define SLOTS (1U << (TRANSPORT_ORDER - 4))

/* What fits one read, less 8 bytes: the kernel would stop there within a pass */
#define FULL_READ_ENTRIES 4095

/* Adds a record of @valid times the sample to the packet */
static void
addRecord(Transport *transport, guint32 index, guint16 valid, guint16 invalid)
{
    guint64 wire[] = {GUINT64_TO_BE(transportSample.v), GUINT64_TO_BE(transportSample.r)};

    g_byte_array_append(transport->packet, (const guint8 *)&index, sizeof(index));
    g_byte_array_append(transport->packet, (const guint8 *)&valid, sizeof(valid));
    g_byte_array_append(transport->packet, (const guint8 *)&invalid, sizeof(invalid));
    for (guint i = 0; i < valid; i++)
        g_byte_array_append(transport->packet, (const guint8 *)wire, sizeof(wire));
}

/* What one read is to give */
static void
sendPacket(Transport *transport)
{
    GByteArray *packet = transport->packet;

    g_assert_cmpint(send(transport->ours, packet->data, packet->len, 0), ==, packet->len);
    g_byte_array_set_size(packet, 0);
}

static VirtHptKvmReader *
newReader(Transport *transport, guint64 startIndex)
{
    VirtHptKvmReader *reader =
        virtHptKvmReaderNewForFd(transport->theirs, TRANSPORT_ORDER, startIndex, NULL);

    g_assert_nonnull(reader);
    return reader;
}

static void
testFirstPassEndsWithTable(Transport *transport, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VirtHptKvmReader) reader = newReader(transport, 0);
    g_autoptr(VirtHptTable) table = transportTableNew();
    g_autoptr(GError) error = NULL;
    VirtHptKvmPass pass;

    addRecord(transport, 0, FULL_READ_ENTRIES, 0);
    sendPacket(transport);
    addRecord(transport, FULL_READ_ENTRIES, 2, 100);
    addRecord(transport, FULL_READ_ENTRIES + 102, 0, SLOTS - FULL_READ_ENTRIES - 102);
    sendPacket(transport);

    g_assert_true(virtHptKvmReaderPass(reader, table, &pass, &error));
    g_assert_no_error(error);
    g_assert_true(pass.first);
    g_assert_cmpuint(pass.reads, ==, 2);
    g_assert_cmpuint(pass.records, ==, 3);
    g_assert_cmpuint(pass.valid, ==, FULL_READ_ENTRIES + 2);
    g_assert_cmpuint(pass.valid + pass.invalid, ==, SLOTS);
    g_assert_cmpuint(virtHptTableNextInvalid(table, 0, SLOTS), ==, FULL_READ_ENTRIES + 2);
}

static void
testPrivateBitsAreCleared(Transport *transport, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VirtHptKvmReader) reader = newReader(transport, 0);
    g_autoptr(VirtHptTable) table = transportTableNew();
    VirtHptKvmPass pass;

    addRecord(transport, 0, 1, SLOTS - 1);
    sendPacket(transport);
    g_assert_true(virtHptKvmReaderPass(reader, table, &pass, NULL));
    g_assert_cmphex(virtHptTableGet(table, 0).v, ==, transportSample.v & ~VIRT_HPT_V_PRIVATE);
    g_assert_cmphex(virtHptTableGet(table, 0).r, ==, transportSample.r);
}

static void
testZeroIsNoEndOfFile(Transport *transport, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VirtHptKvmReader) reader = newReader(transport, 0);
    g_autoptr(VirtHptTable) table = transportTableNew();
    VirtHptKvmPass pass;

    addRecord(transport, 0, 8, SLOTS - 8);
    sendPacket(transport);
    sendPacket(transport);
    addRecord(transport, 3, 0, 2);
    addRecord(transport, 100, 1, 0);
    sendPacket(transport);

    g_assert_true(virtHptKvmReaderPass(reader, table, &pass, NULL));
    g_assert_true(virtHptKvmReaderPass(reader, table, &pass, NULL));
    g_assert_false(pass.first);
    g_assert_cmpuint(pass.reads, ==, 1);
    g_assert_cmpuint(pass.records, ==, 0);

    g_assert_true(virtHptKvmReaderPass(reader, table, &pass, NULL));
    g_assert_cmpuint(pass.valid, ==, 1);
    g_assert_cmpuint(pass.invalid, ==, 2);
    g_assert_cmpuint(virtHptTableNextInvalid(table, 0, SLOTS), ==, 3);
    g_assert_cmpuint(virtHptTableNextValid(table, 3), ==, 5);
    g_assert_cmpuint(virtHptTableNextValid(table, 8), ==, 100);
}

static void
testLaterPassGoesOnAfterFullRead(Transport *transport, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VirtHptKvmReader) reader = newReader(transport, SLOTS);
    g_autoptr(VirtHptTable) table = transportTableNew();
    VirtHptKvmPass pass;

    sendPacket(transport);
    g_assert_true(virtHptKvmReaderPass(reader, table, &pass, NULL));
    g_assert_cmpuint(pass.records, ==, 0);

    addRecord(transport, 7, FULL_READ_ENTRIES, 0);
    sendPacket(transport);
    addRecord(transport, 9000, 1, 0);
    sendPacket(transport);
    g_assert_true(virtHptKvmReaderPass(reader, table, &pass, NULL));
    g_assert_cmpuint(pass.reads, ==, 2);
    g_assert_cmpuint(virtHptTableNextValid(table, 8000), ==, 9000);

    /* A record that ends where the table does ends the pass, however full the buffer is */
    addRecord(transport, SLOTS - FULL_READ_ENTRIES, FULL_READ_ENTRIES, 0);
    sendPacket(transport);
    g_assert_true(virtHptKvmReaderPass(reader, table, &pass, NULL));
    g_assert_cmpuint(pass.reads, ==, 1);
}

static void
testStartIndexBeginsThere(Transport *transport, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VirtHptKvmReader) reader = newReader(transport, 4096);
    g_autoptr(VirtHptTable) table = transportTableNew();
    VirtHptKvmPass pass;

    addRecord(transport, 4096, 1, SLOTS - 4097);
    sendPacket(transport);
    g_assert_true(virtHptKvmReaderPass(reader, table, &pass, NULL));
    g_assert_true(pass.first);
    g_assert_cmpuint(virtHptTableNextValid(table, 0), ==, 4096);
}

/* A first read that must be refused: records, cut after some bytes; what is said of them */
typedef struct {
    const char *name;
    struct {
        guint32 index;
        guint16 valid;
        guint16 invalid;
    } records[2];
    gsize cut;
    VirtHptError code;
    const char *message;
} Refused;

static const Refused refused[] = {
    {"nothing", {{0}}, 0, VIRT_HPT_ERROR_NOT_FOUND, "*no record in the first pass*"},
    {"header-cut", {{0, 0, 9}}, 5, VIRT_HPT_ERROR_MALFORMED, "*5 bytes of a record header*"},
    {"entries-cut", {{0, 2, 0}}, 8 + 31, VIRT_HPT_ERROR_MALFORMED, "*31 bytes of*2 valid*"},
    {"no-slots", {{0, 0, 0}, {0, 0, 9}}, 16, VIRT_HPT_ERROR_MALFORMED, "*without slots*"},
    {"beyond-end", {{0, 1, SLOTS}}, 24, VIRT_HPT_ERROR_MALFORMED, "*0x0 to 0x4000*0x3fff*"},
    {"gap", {{0, 1, 9}, {11, 1, 0}}, 48, VIRT_HPT_ERROR_MALFORMED, "*slot 0xb*slot 0xa*"},
    {"late", {{1, 1, 9}}, 24, VIRT_HPT_ERROR_MALFORMED, "*slot 0x1*slot 0x0*"},
    {"back", {{0, 1, 9}, {0, 1, 0}}, 48, VIRT_HPT_ERROR_MALFORMED, "*slot 0x0*slot 0xa*"},
    {"short", {{0, 1, 9}}, 24, VIRT_HPT_ERROR_FAILED, "*ends behind slot 0x9*0x4000 slots*"},
};

static void
testIsRefused(Transport *transport, gconstpointer data)
{
    const Refused *given = data;
    g_autoptr(VirtHptKvmReader) reader = newReader(transport, 0);
    g_autoptr(VirtHptTable) table = transportTableNew();
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) again = NULL;
    VirtHptKvmPass pass;

    for (guint i = 0; i < G_N_ELEMENTS(given->records); i++)
        addRecord(transport, given->records[i].index, given->records[i].valid,
                  given->records[i].invalid);
    g_byte_array_set_size(transport->packet, (guint)given->cut);
    sendPacket(transport);

    g_assert_false(virtHptKvmReaderPass(reader, table, &pass, &error));
    g_assert_error(error, VIRT_HPT_ERROR, (gint)given->code);
    g_test_message("%s", error->message);
    g_assert_true(g_pattern_match_simple(given->message, error->message));

    g_assert_false(virtHptKvmReaderPass(reader, table, &pass, &again));
    g_assert_error(again, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED);
}

static void
testEntryWithoutValidBitIsRefused(Transport *transport, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VirtHptKvmReader) reader = newReader(transport, 0);
    g_autoptr(VirtHptTable) table = transportTableNew();
    g_autoptr(GError) error = NULL;
    VirtHptKvmPass pass;

    addRecord(transport, 0, 2, SLOTS - 2);
    transport->packet->data[8 + 16 + 7] &= (guint8)~VIRT_HPT_V_VALID;
    sendPacket(transport);
    g_assert_false(virtHptKvmReaderPass(reader, table, &pass, &error));
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED);
    g_assert_nonnull(strstr(error->message, "slot 0x1 "));
}

static gboolean
refuseRecord(G_GNUC_UNUSED guint64 slot,
             G_GNUC_UNUSED const guint8 *hptes,
             G_GNUC_UNUSED guint valid,
             G_GNUC_UNUSED guint invalid,
             G_GNUC_UNUSED gpointer opaque,
             GError **error)
{
    g_set_error_literal(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_LIMIT, "enough");
    return FALSE;
}

static void
testReaderWhoseCallerFailedGoesNotOn(Transport *transport, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VirtHptKvmReader) reader = newReader(transport, 0);
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) again = NULL;
    VirtHptKvmPass pass;

    addRecord(transport, 0, 2, SLOTS - 2);
    sendPacket(transport);
    g_assert_false(virtHptKvmReaderPassRecords(reader, refuseRecord, NULL, &pass, &error));
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_LIMIT);
    g_assert_false(virtHptKvmReaderPassRecords(reader, refuseRecord, NULL, &pass, &again));
    g_assert_error(again, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED);
}

static void
testTableOfAnotherOrderIsRefused(Transport *transport, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VirtHptKvmReader) reader = newReader(transport, 0);
    g_autoptr(VirtHptTable) table = virtHptTableNew(TRANSPORT_ORDER + 1, TEST_MAX_BYTES, NULL);
    g_autoptr(GError) error = NULL;
    VirtHptKvmPass pass;

    g_assert_false(virtHptKvmReaderPass(reader, table, &pass, &error));
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED);
}

static void
testOrdersThatNoIndexReachesAreRefused(void)
{
    static const guint orders[] = {0, 17, 37, 46};

    for (guint i = 0; i < G_N_ELEMENTS(orders); i++) {
        g_autoptr(GError) readError = NULL;
        g_autoptr(GError) writeError = NULL;

        g_assert_null(virtHptKvmReaderNewForFd(-1, orders[i], 0, &readError));
        g_assert_error(readError, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED);
        g_assert_null(virtHptKvmWriterNewForFd(-1, orders[i], &writeError));
        g_assert_error(writeError, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED);
    }
}

static void
testWhatIsNoVmIsRefused(void)
{
    g_autoptr(GError) noVm = NULL;
    g_autoptr(GError) noFd = NULL;
    VirtHptKvmState state;
    guint order;
    int fds[2];

    g_assert_cmpint(pipe2(fds, O_CLOEXEC), ==, 0);
    g_assert_cmpint(virtHptKvmOpen(fds[0], 0, 0, &noVm), ==, -1);
    g_assert_error(noVm, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED);
    close(fds[0]);
    close(fds[1]);
    g_assert_false(virtHptKvmProbe(-1, &state, &order, &noFd));
    /* qemu-user knows none of KVM's calls and does not look at the descriptor */
    if (!g_error_matches(noFd, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED))
        g_assert_error(noFd, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    transportAdd("/htab/kvm/read/first-pass-ends-with-table", NULL, testFirstPassEndsWithTable);
    transportAdd("/htab/kvm/read/private-bits-are-cleared", NULL, testPrivateBitsAreCleared);
    transportAdd("/htab/kvm/read/zero-is-no-end-of-file", NULL, testZeroIsNoEndOfFile);
    transportAdd("/htab/kvm/read/later-pass-goes-on-after-full-read", NULL,
                 testLaterPassGoesOnAfterFullRead);
    transportAdd("/htab/kvm/read/start-index-begins-there", NULL, testStartIndexBeginsThere);
    for (guint i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autofree char *path = g_strdup_printf("/htab/kvm/read/refused/%s", refused[i].name);

        transportAdd(path, &refused[i], testIsRefused);
    }
    transportAdd("/htab/kvm/read/refused/entry-without-valid-bit", NULL,
                 testEntryWithoutValidBitIsRefused);
    transportAdd("/htab/kvm/read/reader-whose-caller-failed-goes-not-on", NULL,
                 testReaderWhoseCallerFailedGoesNotOn);
    transportAdd("/htab/kvm/read/table-of-another-order-is-refused", NULL,
                 testTableOfAnotherOrderIsRefused);
    g_test_add_func("/htab/kvm/orders-that-no-index-reaches-are-refused",
                    testOrdersThatNoIndexReachesAreRefused);
    g_test_add_func("/htab/kvm/what-is-no-vm-is-refused", testWhatIsNoVmIsRefused);
    return g_test_run();
}
