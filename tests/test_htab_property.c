/*
 * test_htab_property.c: what holds for any table and any stream
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves on random tables that every encoding gives the table back, however it is cut; that no
 * strict prefix of a stream is taken for a whole one; that no flipped bit of a canonical stream
 * goes unnoticed; and that damaged streams and garbage tables do no harm.
 *
 * Requires nothing.  GLib prints the seed ("random seed: R02S..."); --seed=R02S... repeats a run.
 */

#include <string.h>

#include "libvirt-hpt/htab_check.h"
#include "htab_testutils.h"

#define ORDER 18
#define SLOTS (1 << (ORDER - 4))
#define ROUNDS 40

static guint64
random64(void)
{
    return (guint64)(guint32)g_test_rand_int() << 32 | (guint32)g_test_rand_int();
}

static guint
randomBelow(guint n)
{
    return (guint)g_test_rand_int_range(0, (gint32)n);
}

/* Runs of random length; entries of random bits */
static VirtHptTable *
randomTable(guint runs)
{
    VirtHptTable *table = virtHptTableNew(ORDER, TEST_MAX_BYTES, NULL);

    for (guint i = randomBelow(runs + 1); i > 0; i--) {
        guint64 slot = randomBelow(SLOTS);
        guint64 n = 1 + randomBelow(randomBelow(8) ? 4 : 900);

        for (guint64 end = slot + n; slot < end && slot < SLOTS; slot++) {
            VirtHptEntry entry = {random64() | VIRT_HPT_V_VALID, random64()};

            virtHptTableSet(table, slot, &entry);
        }
    }
    return table;
}

static GByteArray *
canonical(const VirtHptTable *table)
{
    GByteArray *bytes = g_byte_array_new();

    g_assert_true(virtHptTableEncodeCanonical(table, testAppend, bytes, NULL));
    return bytes;
}

static gboolean
feedRandomPieces(VirtHptDecoder *decoder, const guint8 *data, gsize length, GError **error)
{
    gsize at = 0;
    gboolean ended = FALSE;

    while (at < length && !ended) {
        gsize n = 1 + randomBelow(randomBelow(2) ? 40 : 4000);
        gsize consumed;

        n = MIN(n, length - at);
        if (!virtHptDecoderFeed(decoder, at, data + at, n, &consumed, &ended, error))
            return FALSE;
        at += consumed;
    }
    return virtHptDecoderFinish(decoder, at, error);
}

static void
testCanonicalRoundTrip(void)
{
    for (guint i = 0; i < ROUNDS; i++) {
        g_autoptr(VirtHptTable) table = randomTable(200);
        g_autoptr(GByteArray) bytes = canonical(table);
        g_autoptr(VirtHptTable) back = NULL;
        g_autoptr(GByteArray) again = NULL;
        g_autoptr(GError) error = NULL;

        back = testReadCanonical(bytes, 1 + randomBelow(randomBelow(2) ? 40 : 10000), &error);
        g_assert_no_error(error);
        g_assert_true(virtHptTableEqual(table, back));
        again = canonical(back);
        g_assert_cmpmem(bytes->data, bytes->len, again->data, again->len);
    }
}

static void
testEncodings(void)
{
    for (guint i = 0; i < ROUNDS; i++) {
        for (int encoding = 0; encoding <= VIRT_HPT_ENCODING_KVM_BE; encoding++) {
            g_autoptr(VirtHptTable) table = randomTable(200);
            g_autoptr(VirtHptTable) back = virtHptTableNew(ORDER, TEST_MAX_BYTES, NULL);
            g_autoptr(VirtHptDecoder) decoder = virtHptDecoderNew(back, (VirtHptEncoding)encoding);
            g_autoptr(GByteArray) bytes = g_byte_array_new();
            g_autoptr(GError) error = NULL;

            g_assert_true(
                virtHptTableEncode(table, (VirtHptEncoding)encoding, testAppend, bytes, NULL));
            feedRandomPieces(decoder, bytes->data, bytes->len, &error);
            g_assert_no_error(error);
            g_assert_true(virtHptTableEqual(table, back));
        }
    }
}

/* The kernel's encodings have no end: a prefix that ends between records is a whole stream there */
static void
testPrefixes(void)
{
    g_autoptr(VirtHptTable) table = randomTable(20);
    g_autoptr(GByteArray) bytes = canonical(table);
    guint length = bytes->len;

    for (guint i = 0; i < length; i = i + 1 + (length > 2000 ? randomBelow(length / 500) : 0)) {
        g_autoptr(VirtHptTable) back = NULL;
        g_autoptr(GError) error = NULL;

        bytes->len = i;
        back = testReadCanonical(bytes, 4096, &error);
        g_assert_null(back);
        g_assert_nonnull(error);
    }
    bytes->len = length;
}

static void
testFlips(void)
{
    g_autoptr(VirtHptTable) table = randomTable(4);
    g_autoptr(GByteArray) bytes = canonical(table);
    guint step = 1 + bytes->len * 8 / 4000;

    for (guint bit = randomBelow(step); bit < bytes->len * 8;
         bit += 1 + randomBelow(2 * step - 1)) {
        g_autoptr(VirtHptTable) back = NULL;

        bytes->data[bit / 8] ^= (guint8)(1 << bit % 8);
        back = testReadCanonical(bytes, 4096, NULL);
        if (back)
            g_assert_false(virtHptTableEqual(table, back));
        bytes->data[bit / 8] ^= (guint8)(1 << bit % 8);
    }
}

/* Overwrites, as often as not with what means something: zeroes and ones */
static void
mutate(GByteArray *bytes)
{
    static const guint8 values[] = {0x00, 0xff, 0x01, 0x80};

    for (guint i = 1 + randomBelow(8); i > 0; i--) {
        guint at = randomBelow(bytes->len);
        guint n = 1 + randomBelow(16);
        guint value = randomBelow(8);

        for (; n > 0 && at < bytes->len; n--, at++)
            bytes->data[at] = value < 4 ? values[value] : (guint8)randomBelow(256);
    }
    if (randomBelow(4) == 0)
        g_byte_array_set_size(bytes, randomBelow(bytes->len));
}

static void
testMutations(void)
{
    for (guint i = 0; i < 10 * ROUNDS; i++) {
        g_autoptr(VirtHptTable) table = randomTable(30);
        g_autoptr(VirtHptTable) target = virtHptTableNew(ORDER, TEST_MAX_BYTES, NULL);
        g_autoptr(VirtHptDecoder) decoder = NULL;
        g_autoptr(VirtHptTable) back = NULL;
        g_autoptr(GByteArray) bytes = canonical(table);
        g_autoptr(GError) error = NULL;
        g_autoptr(GError) decodeError = NULL;

        mutate(bytes);
        back = testReadCanonical(bytes, 1 + randomBelow(5000), &error);
        g_assert_true((back == NULL) == (error != NULL));
        if (back) {
            g_autoptr(GByteArray) again = canonical(back);

            g_assert_cmpmem(bytes->data, bytes->len, again->data, again->len);
        }

        decoder = virtHptDecoderNew(target, (VirtHptEncoding)randomBelow(3));
        g_assert_true(feedRandomPieces(decoder, bytes->data, bytes->len, &decodeError) ==
                      (decodeError == NULL));
    }
}

static void
testGarbage(void)
{
    const VirtHptCheckContext context = {
        .maxPageShift = 24,
        .ramBytes = TEST_MAX_BYTES,
        .orderBytes = TEST_MAX_BYTES,
        .maxPerRule = 3,
    };

    for (guint i = 0; i < ROUNDS; i++) {
        g_autoptr(VirtHptTable) table = randomTable(200);
        g_autoptr(VirtHptReport) report = virtHptTableCheck(table, &context);
        VirtHptTableStats stats;

        virtHptTableGetStats(table, &stats);
        g_assert_cmpuint(report->findings->len, <=, G_GUINT64_CONSTANT(3) * VIRT_HPT_RULE_COUNT);
        for (guint j = 1; j < report->findings->len; j++) {
            const VirtHptFinding *a = g_ptr_array_index(report->findings, j - 1);
            const VirtHptFinding *b = g_ptr_array_index(report->findings, j);

            g_assert_true(a->rule < b->rule || (a->rule == b->rule && a->slot < b->slot));
        }
        for (guint j = 0; j < VIRT_HPT_RULE_COUNT; j++)
            g_assert_cmpuint(report->counts[j], <=, MAX(stats.valid, 1));
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    g_test_add_func("/htab/property/the canonical form gives the table back",
                    testCanonicalRoundTrip);
    g_test_add_func("/htab/property/every encoding gives the table back", testEncodings);
    g_test_add_func("/htab/property/a strict prefix is refused", testPrefixes);
    g_test_add_func("/htab/property/a flipped bit is refused or changes the table", testFlips);
    g_test_add_func("/htab/property/a damaged stream is refused or canonical", testMutations);
    g_test_add_func("/htab/property/garbage is reported within bounds", testGarbage);

    return g_test_run();
}
