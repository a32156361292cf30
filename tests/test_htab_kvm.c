/*
 * test_htab_kvm.c: what is read from the kernel's HPT file descriptor is taken whole or not at all
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves how passes are told apart, which records are refused and with which message, and that a
 * writer hands over exactly one record a write(2).  A socket that keeps the boundaries of packets
 * stands where the kernel's descriptor would: it shows how bytes are taken, and proves nothing
 * about the kernel.  That is tests/e2e/powerhost.
 *
 * Requires nothing.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libvirt-hpt/htab_error.h"
#include "libvirt-hpt/htab_kvm.h"
#include "htab_testutils.h"

#define ORDER 18
#define SLOTS (1U << (ORDER - 4))
#define READ_SIZE ((gsize)64 * 1024)

/* What fits one read, less 8 bytes: the kernel would stop there within a pass */
#define FULL_READ_ENTRIES 4095

static const VirtHptEntry sample = {0x4000000000000051, 0x1196};

typedef struct {
    int ours;
    int theirs;
    GByteArray *packet;
} Transport;

static void
transportUp(Transport *transport, G_GNUC_UNUSED gconstpointer data)
{
    int fds[2];
    int bytes = 1024 * 1024;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), ==, 0);
    g_assert_cmpint(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), ==, 0);
    g_assert_cmpint(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), ==, 0);
    transport->ours = fds[0];
    transport->theirs = fds[1];
    transport->packet = g_byte_array_new();
}

static void
transportDown(Transport *transport, G_GNUC_UNUSED gconstpointer data)
{
    close(transport->ours);
    g_byte_array_unref(transport->packet);
}

/* Adds a record with @valid sample entries to the packet */
static void
addRecord(Transport *transport, guint32 index, guint16 valid, guint16 invalid)
{
    guint64 wire[] = {GUINT64_TO_BE(sample.v), GUINT64_TO_BE(sample.r)};

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

static VirtHptTable *
newTable(void)
{
    return virtHptTableNew(ORDER, TEST_MAX_BYTES, NULL);
}

static VirtHptKvmReader *
newReader(Transport *transport, guint64 startIndex)
{
    VirtHptKvmReader *reader = virtHptKvmReaderNewForFd(transport->theirs, ORDER, startIndex, NULL);

    g_assert_nonnull(reader);
    return reader;
}

static void
testFirstPassEndsWithTable(Transport *transport, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VirtHptKvmReader) reader = newReader(transport, 0);
    g_autoptr(VirtHptTable) table = newTable();
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
    g_autoptr(VirtHptTable) table = newTable();
    VirtHptKvmPass pass;

    addRecord(transport, 0, 1, SLOTS - 1);
    sendPacket(transport);
    g_assert_true(virtHptKvmReaderPass(reader, table, &pass, NULL));
    g_assert_cmphex(virtHptTableGet(table, 0).v, ==, sample.v & ~VIRT_HPT_V_PRIVATE);
    g_assert_cmphex(virtHptTableGet(table, 0).r, ==, sample.r);
}

static void
testZeroIsNoEndOfFile(Transport *transport, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VirtHptKvmReader) reader = newReader(transport, 0);
    g_autoptr(VirtHptTable) table = newTable();
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
    g_autoptr(VirtHptTable) table = newTable();
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
    g_autoptr(VirtHptTable) table = newTable();
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
    g_autoptr(VirtHptTable) table = newTable();
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
    g_autoptr(VirtHptTable) table = newTable();
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
    g_autoptr(VirtHptTable) table = virtHptTableNew(ORDER + 1, TEST_MAX_BYTES, NULL);
    g_autoptr(GError) error = NULL;
    VirtHptKvmPass pass;

    g_assert_false(virtHptKvmReaderPass(reader, table, &pass, &error));
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED);
}

/* Applies packets to @table; each must be exactly one record */
static guint
receiveAll(Transport *transport, VirtHptTable *table)
{
    g_autofree guint8 *packet = g_malloc((gsize)2 * READ_SIZE);
    guint records = 0;
    ssize_t n;

    while ((n = recv(transport->ours, packet, (gsize)2 * READ_SIZE, MSG_DONTWAIT)) > 0) {
        g_autoptr(VirtHptDecoder) decoder = virtHptDecoderNew(table, VIRT_HPT_ENCODING_KVM);
        g_autoptr(GError) error = NULL;
        guint16 valid;

        memcpy(&valid, packet + 4, sizeof(valid));
        g_assert_cmpint(n, ==, 8 + 16 * valid);
        virtHptDecoderFeed(decoder, 0, packet, (gsize)n, NULL, NULL, &error);
        g_assert_no_error(error);
        g_assert_true(virtHptDecoderFinish(decoder, (guint64)n, &error));
        records++;
    }
    return records;
}

static VirtHptKvmWriter *
newWriter(Transport *transport)
{
    VirtHptKvmWriter *writer = virtHptKvmWriterNewForFd(transport->theirs, ORDER, NULL);

    g_assert_nonnull(writer);
    return writer;
}

static void
fillRuns(VirtHptTable *table, guint64 first, guint64 length, guint64 step)
{
    for (guint64 slot = first; slot < SLOTS; slot += step) {
        for (guint64 end = MIN(slot + length, SLOTS), s = slot; s < end; s++) {
            const VirtHptEntry entry = {sample.v & ~VIRT_HPT_V_PRIVATE, sample.r + (s << 12)};

            virtHptTableSet(table, s, &entry);
        }
    }
}

static void
testTableIsWrittenOneRecordAtATime(Transport *transport, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VirtHptKvmWriter) writer = newWriter(transport);
    g_autoptr(VirtHptTable) table = newTable();
    g_autoptr(VirtHptTable) kernel = newTable();
    g_autoptr(GError) error = NULL;
    VirtHptKvmWritten written;

    /* What stood there before goes; a run longer than one write is split */
    fillRuns(kernel, 0, 1, 3);
    fillRuns(table, 5, 1, 1000);
    fillRuns(table, 8192, 5000, SLOTS);
    g_assert_true(virtHptKvmWriterWriteTable(writer, table, &written, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(written.next, ==, SLOTS);
    g_assert_cmpuint(written.valid + written.invalid, ==, SLOTS);
    g_assert_cmpuint(receiveAll(transport, kernel), ==, written.records);
    g_assert_true(virtHptTableEqual(table, kernel));
}

static void
testChangesAloneAreWritten(Transport *transport, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VirtHptKvmWriter) writer = newWriter(transport);
    g_autoptr(VirtHptTable) before = newTable();
    g_autoptr(VirtHptTable) after = newTable();
    g_autoptr(GError) error = NULL;
    VirtHptEntry entry;
    VirtHptKvmWritten written;

    fillRuns(before, 0, 3, 8);
    fillRuns(after, 0, 3, 8);
    entry = virtHptTableGet(before, 8);
    entry.r ^= VIRT_HPT_R_R | VIRT_HPT_R_C;
    virtHptTableSet(after, 8, &entry);
    virtHptTableClear(after, 9, 2);
    virtHptTableSet(after, 31, &entry);
    virtHptTableSet(after, SLOTS - 1, &entry);

    g_assert_true(virtHptKvmWriterWriteChanges(writer, before, after, &written, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(written.records, ==, 3);
    g_assert_cmpuint(written.valid, ==, 3);
    g_assert_cmpuint(written.invalid, ==, 2);
    g_assert_cmpuint(receiveAll(transport, before), ==, 3);
    g_assert_true(virtHptTableEqual(before, after));
}

static void
testLongRecordIsSplit(Transport *transport, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VirtHptKvmWriter) writer = newWriter(transport);
    g_autoptr(VirtHptTable) table = newTable();
    g_autoptr(VirtHptTable) kernel = newTable();
    VirtHptKvmWritten written;

    fillRuns(table, 0, 10000, SLOTS);
    fillRuns(kernel, 0, 1, 1);
    g_assert_true(virtHptKvmWriterWriteRecord(writer, 0, virtHptTablePeekWire(table, 0), 10000,
                                              SLOTS - 10000, &written, NULL));
    g_assert_cmpuint(written.valid, ==, 10000);
    g_assert_cmpuint(written.invalid, ==, SLOTS - 10000);
    g_assert_cmpuint(receiveAll(transport, kernel), ==, written.records);
    g_assert_true(virtHptTableEqual(table, kernel));
}

static void
testBadEntryIsRefusedBeforeAnythingIsWritten(Transport *transport, G_GNUC_UNUSED gconstpointer data)
{
    /* L with an encoding that is no page size; not valid */
    static const VirtHptEntry bad[] = {{0x4000000000000005, 0xf000}, {0x4000000000000000, 0x1196}};
    g_autoptr(VirtHptKvmWriter) writer = newWriter(transport);
    g_autoptr(VirtHptTable) table = newTable();
    g_autoptr(VirtHptTable) kernel = newTable();

    fillRuns(table, 0, 100, SLOTS);
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        guint64 wire[2][2] = {{GUINT64_TO_BE(sample.v), GUINT64_TO_BE(sample.r)},
                              {GUINT64_TO_BE(bad[i].v), GUINT64_TO_BE(bad[i].r)}};
        g_autoptr(GError) error = NULL;
        VirtHptKvmWritten written;

        g_assert_false(
            virtHptKvmWriterWriteRecord(writer, 64, (const guint8 *)wire, 2, 0, &written, &error));
        g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED);
        g_assert_nonnull(strstr(error->message, "slot 0x41"));
        g_assert_cmpuint(written.next, ==, 64);
    }
    virtHptTableSet(table, 99, &bad[0]);
    for (guint changes = 0; changes < 2; changes++) {
        g_autoptr(GError) error = NULL;
        VirtHptKvmWritten written;

        if (changes)
            virtHptKvmWriterWriteChanges(writer, kernel, table, &written, &error);
        else
            virtHptKvmWriterWriteTable(writer, table, &written, &error);
        g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED);
        g_assert_nonnull(strstr(error->message, "slot 0x63"));
        g_assert_cmpuint(written.next, ==, 0);
    }
    g_assert_cmpuint(receiveAll(transport, kernel), ==, 0);
}

static void
testRecordBeyondTheTableIsRefused(Transport *transport, G_GNUC_UNUSED gconstpointer data)
{
    static const struct {
        guint64 slot;
        guint valid;
        guint invalid;
    } beyond[] = {
        {SLOTS, 0, 0}, {SLOTS - 1, 0, 2}, {SLOTS - 1, 1, 1}, {G_MAXUINT64, 0, 1}, {0, 65536, 0},
    };
    g_autoptr(VirtHptKvmWriter) writer = newWriter(transport);
    g_autoptr(VirtHptTable) table = newTable();

    fillRuns(table, 0, 1, 1);
    for (guint i = 0; i < G_N_ELEMENTS(beyond); i++) {
        g_autoptr(GError) error = NULL;
        VirtHptKvmWritten written;

        g_assert_false(virtHptKvmWriterWriteRecord(writer, beyond[i].slot,
                                                   virtHptTablePeekWire(table, 0), beyond[i].valid,
                                                   beyond[i].invalid, &written, &error));
        g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED);
    }
    g_assert_cmpuint(receiveAll(transport, table), ==, 0);
}

/* A pipe that takes less than a record stands for a kernel that does */
static void
testShortWriteIsAnError(void)
{
    g_autoptr(VirtHptTable) table = newTable();
    g_autoptr(VirtHptKvmWriter) writer = NULL;
    g_autoptr(GError) error = NULL;
    VirtHptKvmWritten written;
    int fds[2];

    g_assert_cmpint(pipe2(fds, O_CLOEXEC | O_NONBLOCK), ==, 0);
    g_assert_cmpint(fcntl(fds[1], F_SETPIPE_SZ, 4096), ==, 4096);
    writer = virtHptKvmWriterNewForFd(fds[1], ORDER, NULL);
    fillRuns(table, 16, 4000, SLOTS);
    g_assert_false(virtHptKvmWriterWriteTable(writer, table, &written, &error));
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO);
    g_assert_nonnull(strstr(error->message, "number of bytes"));
    g_assert_cmpuint(written.next, ==, 16);
    g_assert_cmpuint(written.records, ==, 1);
    close(fds[0]);
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

static void
add(const char *path, gconstpointer data, void (*func)(Transport *, gconstpointer))
{
    g_test_add(path, Transport, data, transportUp, func, transportDown);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/htab/kvm/read/first-pass-ends-with-table", NULL, testFirstPassEndsWithTable);
    add("/htab/kvm/read/private-bits-are-cleared", NULL, testPrivateBitsAreCleared);
    add("/htab/kvm/read/zero-is-no-end-of-file", NULL, testZeroIsNoEndOfFile);
    add("/htab/kvm/read/later-pass-goes-on-after-full-read", NULL,
        testLaterPassGoesOnAfterFullRead);
    add("/htab/kvm/read/start-index-begins-there", NULL, testStartIndexBeginsThere);
    for (guint i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autofree char *path = g_strdup_printf("/htab/kvm/read/refused/%s", refused[i].name);

        add(path, &refused[i], testIsRefused);
    }
    add("/htab/kvm/read/refused/entry-without-valid-bit", NULL, testEntryWithoutValidBitIsRefused);
    add("/htab/kvm/read/reader-whose-caller-failed-goes-not-on", NULL,
        testReaderWhoseCallerFailedGoesNotOn);
    add("/htab/kvm/read/table-of-another-order-is-refused", NULL, testTableOfAnotherOrderIsRefused);
    add("/htab/kvm/write/table-one-record-at-a-time", NULL, testTableIsWrittenOneRecordAtATime);
    add("/htab/kvm/write/changes-alone", NULL, testChangesAloneAreWritten);
    add("/htab/kvm/write/long-record-is-split", NULL, testLongRecordIsSplit);
    add("/htab/kvm/write/bad-entry-is-refused-first", NULL,
        testBadEntryIsRefusedBeforeAnythingIsWritten);
    add("/htab/kvm/write/record-beyond-the-table-is-refused", NULL,
        testRecordBeyondTheTableIsRefused);
    g_test_add_func("/htab/kvm/write/short-write-is-an-error", testShortWriteIsAnError);
    g_test_add_func("/htab/kvm/orders-that-no-index-reaches-are-refused",
                    testOrdersThatNoIndexReachesAreRefused);
    g_test_add_func("/htab/kvm/what-is-no-vm-is-refused", testWhatIsNoVmIsRefused);
    return g_test_run();
}
