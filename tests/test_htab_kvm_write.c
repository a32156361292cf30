/*
 * test_htab_kvm_write.c: a writer hands over exactly one record a write(2), and no bad one
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A socket stands where the kernel's HPT file descriptor would: it shows which records are written,
 * and proves nothing about the kernel.  That is tests/e2e/powerhost.
 *
 * Requires nothing.
 */

#include "config.h"

#include <string.h>
#include <sys/socket.h>

#include "libvirt-hpt/htab_error.h"
#include "htab_kvm_testutils.h"

#define SLOTS (1U << (TRANSPORT_ORDER - 4))

/* More than one write(2) takes */
#define PACKET_SIZE ((gsize)128 * 1024)

/* Applies packets to @table; each must be exactly one record */
static guint
receiveAll(Transport *transport, VirtHptTable *table)
{
    g_autofree guint8 *packet = g_malloc(PACKET_SIZE);
    guint records = 0;
    ssize_t n;

    while ((n = recv(transport->ours, packet, PACKET_SIZE, MSG_DONTWAIT)) > 0) {
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
    VirtHptKvmWriter *writer = virtHptKvmWriterNewForFd(transport->theirs, TRANSPORT_ORDER, NULL);

    g_assert_nonnull(writer);
    return writer;
}

static void
fillRuns(VirtHptTable *table, guint64 first, guint64 length, guint64 step)
{
    for (guint64 slot = first; slot < SLOTS; slot += step) {
        for (guint64 end = MIN(slot + length, SLOTS), s = slot; s < end; s++) {
            const VirtHptEntry entry = {transportSample.v & ~VIRT_HPT_V_PRIVATE,
                                        transportSample.r + (s << 12)};

            virtHptTableSet(table, s, &entry);
        }
    }
}

static void
testTableIsWrittenOneRecordAtATime(Transport *transport, G_GNUC_UNUSED gconstpointer data)
{
    g_autoptr(VirtHptKvmWriter) writer = newWriter(transport);
    g_autoptr(VirtHptTable) table = transportTableNew();
    g_autoptr(VirtHptTable) kernel = transportTableNew();
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
    g_autoptr(VirtHptTable) before = transportTableNew();
    g_autoptr(VirtHptTable) after = transportTableNew();
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
    g_autoptr(VirtHptTable) table = transportTableNew();
    g_autoptr(VirtHptTable) kernel = transportTableNew();
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
    g_autoptr(VirtHptTable) table = transportTableNew();
    g_autoptr(VirtHptTable) kernel = transportTableNew();

    fillRuns(table, 0, 100, SLOTS);
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        guint64 wire[2][2] = {{GUINT64_TO_BE(transportSample.v), GUINT64_TO_BE(transportSample.r)},
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
    g_autoptr(VirtHptTable) table = transportTableNew();

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

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    transportAdd("/htab/kvm/write/table-one-record-at-a-time", NULL,
                 testTableIsWrittenOneRecordAtATime);
    transportAdd("/htab/kvm/write/changes-alone", NULL, testChangesAloneAreWritten);
    transportAdd("/htab/kvm/write/long-record-is-split", NULL, testLongRecordIsSplit);
    transportAdd("/htab/kvm/write/bad-entry-is-refused-first", NULL,
                 testBadEntryIsRefusedBeforeAnythingIsWritten);
    transportAdd("/htab/kvm/write/record-beyond-the-table-is-refused", NULL,
                 testRecordBeyondTheTableIsRefused);
    return g_test_run();
}
