/*
 * test_htab_tracker.c: a table whose changes are read in passes
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves what a reader of the tracker gets and what a write to it does: each case is a fact about
 * the kernel's file descriptor, in the words of its name.  And proves on random changes, with
 * buffers of random sizes, that what was read makes the same table elsewhere.
 *
 * Requires nothing.  GLib prints the seed ("random seed: R02S..."); --seed=R02S... repeats a run.
 */

#include <errno.h>
#include <string.h>

#include "libvirt-hpt/htab_error.h"
#include "libvirt-hpt/htab_tracker.h"
#include "htab_testutils.h"

#define ORDER 18
#define SLOTS ((guint64)1 << (ORDER - 4))

/* A bolted 64K page, and one that is not */
#define V_BOLTED 0x4001000000000015ULL
#define V_PLAIN 0x4001000000000005ULL
#define R_64K 0x0000000000011194ULL

typedef struct {
    guint32 index;
    guint valid;
    guint invalid;
    guint64 v; /* of the first entry; 0 without one */
    guint64 r;
} Record;

typedef struct {
    VirtHptTable *table;
    VirtHptTracker *tracker;
} Fixture;

static void
setUpOrder(Fixture *f, guint order)
{
    f->table = virtHptTableNew(order, TEST_MAX_BYTES, NULL);
    g_assert_nonnull(f->table);
    f->tracker = virtHptTrackerNew(f->table);
}

static void
setUp(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    setUpOrder(f, ORDER);
}

static void
tearDown(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    virtHptTrackerFree(f->tracker);
    virtHptTableFree(f->table);
}

static VirtHptTrackerReader *
openReader(const Fixture *f, guint flags, guint64 start)
{
    g_autoptr(GError) error = NULL;
    VirtHptTrackerReader *reader = virtHptTrackerOpen(f->tracker, flags, start, &error);

    g_assert_no_error(error);
    return reader;
}

static void
put(const Fixture *f, guint64 slot, guint64 v)
{
    const VirtHptEntry entry = {v, R_64K};

    virtHptTrackerSet(f->tracker, slot, &entry);
}

/* Into memory of exactly @count bytes, so that a sanitizer sees a write beyond it */
static GByteArray *
readBytes(VirtHptTrackerReader *reader, gsize count)
{
    guint8 *buffer = g_malloc(count);
    gsize n = virtHptTrackerReaderRead(reader, buffer, count);

    g_assert_cmpuint(n, <=, count);
    return g_byte_array_new_take(buffer, n);
}

static guint64
load(const guint8 *data, guint bytes, gboolean big)
{
    guint64 value = 0;

    for (guint i = 0; i < bytes; i++)
        value |= (guint64)data[i] << 8 * (big ? bytes - 1 - i : i);
    return value;
}

/* Appends the records in @bytes, which must be whole, to @records */
static void
parseRecords(GArray *records, const GByteArray *bytes, gboolean big)
{
    guint at = 0;

    while (at < bytes->len) {
        const guint8 *data = bytes->data + at;
        Record record = {0};

        g_assert_cmpuint(bytes->len - at, >=, VIRT_HPT_RECORD_HEADER_SIZE);
        record.index = (guint32)load(data, 4, big);
        record.valid = (guint)load(data + 4, 2, big);
        record.invalid = (guint)load(data + 6, 2, big);
        at += VIRT_HPT_RECORD_HEADER_SIZE + record.valid * VIRT_HPT_ENTRY_SIZE;
        g_assert_cmpuint(at, <=, bytes->len);
        g_assert_cmpuint(record.valid + record.invalid, >, 0);
        if (record.valid) {
            record.v = load(data + 8, 8, TRUE);
            record.r = load(data + 16, 8, TRUE);
        }
        g_array_append_val(records, record);
    }
}

static GArray *
readRecords(VirtHptTrackerReader *reader, gsize count)
{
    g_autoptr(GByteArray) bytes = readBytes(reader, count);
    GArray *records = g_array_new(FALSE, FALSE, sizeof(Record));

    parseRecords(records, bytes, G_BYTE_ORDER == G_BIG_ENDIAN);
    return records;
}

/* A read of the whole table gives exactly @n records, "index valid invalid" each */
static void
assertReads(VirtHptTrackerReader *reader, guint n, ...)
{
    g_autoptr(GArray) records = readRecords(reader, 1 << 20);
    va_list args;

    g_assert_cmpuint(records->len, ==, n);
    va_start(args, n);
    for (guint i = 0; i < n; i++) {
        const Record *record = &g_array_index(records, Record, i);

        g_assert_cmpuint(record->index, ==, va_arg(args, guint));
        g_assert_cmpuint(record->valid, ==, va_arg(args, guint));
        g_assert_cmpuint(record->invalid, ==, va_arg(args, guint));
    }
    va_end(args);
}

static void
testFirstPassCoversAll(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    g_autoptr(VirtHptTrackerReader) reader = NULL;

    put(f, 0, V_BOLTED);
    put(f, 1, V_PLAIN);
    put(f, 100, V_PLAIN);
    put(f, SLOTS - 1, V_PLAIN);
    reader = openReader(f, 0, 0);

    g_assert_true(virtHptTrackerReaderIsFirstPass(reader));
    assertReads(reader, 3, 0U, 2U, 98U, 100U, 1U, (guint)SLOTS - 102, (guint)SLOTS - 1, 1U, 0U);
    g_assert_false(virtHptTrackerReaderIsFirstPass(reader));
}

static void
testZeroIsNotTheEnd(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    g_autoptr(VirtHptTrackerReader) reader = openReader(f, 0, 0);

    assertReads(reader, 1, 0U, 0U, (guint)SLOTS);
    assertReads(reader, 0);
    assertReads(reader, 0);
    put(f, 5, V_PLAIN);
    assertReads(reader, 1, 5U, 1U, 0U);
    assertReads(reader, 0);
}

static void
testLaterPassesGiveChanges(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    g_autoptr(VirtHptTrackerReader) reader = NULL;

    for (guint slot = 10; slot < 20; slot++)
        put(f, slot, V_PLAIN);
    reader = openReader(f, 0, 0);
    assertReads(reader, 2, 0U, 0U, 10U, 10U, 10U, (guint)SLOTS - 20);

    put(f, 12, V_BOLTED);
    put(f, 13, V_PLAIN);
    virtHptTrackerInvalidate(f->tracker, 14);
    virtHptTrackerInvalidate(f->tracker, 17);
    put(f, 3000, V_PLAIN);
    g_assert_cmpuint(virtHptTrackerGetChanges(f->tracker), ==, 5);
    assertReads(reader, 3, 12U, 2U, 1U, 17U, 0U, 1U, 3000U, 1U, 0U);
    g_assert_cmpuint(virtHptTrackerGetChanges(f->tracker), ==, 0);
    assertReads(reader, 0);
}

static void
testSmallestBuffer(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    g_autoptr(VirtHptTrackerReader) reader = NULL;
    g_autoptr(GArray) records = NULL;

    put(f, 0, V_PLAIN);
    put(f, 1, V_BOLTED);
    reader = openReader(f, 0, 0);
    for (guint count = 0; count <= 24; count++) {
        g_autoptr(GByteArray) bytes = readBytes(reader, count);

        g_assert_cmpuint(bytes->len, ==, 0);
        g_assert_true(virtHptTrackerReaderIsFirstPass(reader));
    }
    records = readRecords(reader, 25);
    g_assert_cmpuint(records->len, ==, 1);
    g_assert_cmpuint(g_array_index(records, Record, 0).valid, ==, 1);
    g_assert_cmpuint(g_array_index(records, Record, 0).invalid, ==, 0);
    assertReads(reader, 1, 1U, 1U, (guint)SLOTS - 2);
}

static void
testBufferForEntries(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    for (guint slot = 0; slot < 50; slot++)
        put(f, slot, V_PLAIN);
    for (guint k = 1; k <= 40; k++) {
        g_autoptr(VirtHptTrackerReader) reader = openReader(f, 0, 0);
        g_autoptr(VirtHptTrackerReader) less = openReader(f, 0, 0);
        g_autoptr(GArray) records = readRecords(reader, 8 + 16 * k + 1);
        g_autoptr(GArray) fewer = readRecords(less, 8 + 16 * k);

        g_assert_cmpuint(g_array_index(records, Record, 0).valid, ==, k);
        g_assert_cmpuint(fewer->len, ==, k > 1);
        if (k > 1)
            g_assert_cmpuint(g_array_index(fewer, Record, 0).valid, ==, k - 1);
    }
}

static void
testReadStopsAtEndOfTable(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    g_autoptr(VirtHptTrackerReader) reader = openReader(f, 0, 0);
    g_autoptr(GArray) records = NULL;

    assertReads(reader, 1, 0U, 0U, (guint)SLOTS);
    put(f, 7, V_PLAIN);
    put(f, 9, V_PLAIN);
    records = readRecords(reader, 25); /* leaves the next read at slot 8 */
    g_assert_cmpuint(records->len, ==, 1);
    put(f, 2, V_PLAIN);
    assertReads(reader, 1, 9U, 1U, 0U);
    assertReads(reader, 1, 2U, 1U, 0U);
}

static void
testLongRuns(void)
{
    Fixture f;
    VirtHptTrackerReader *reader;

    setUpOrder(&f, 22);
    reader = openReader(&f, 0, 0);
    assertReads(reader, 5, 0U, 0U, 65535U, 65535U, 0U, 65535U, 131070U, 0U, 65535U, 196605U, 0U,
                65535U, 262140U, 0U, 4U);
    for (guint slot = 1; slot < 70001; slot++)
        put(&f, slot, V_PLAIN);
    for (guint slot = 1; slot < 70001; slot++)
        virtHptTrackerInvalidate(f.tracker, slot);
    assertReads(reader, 2, 1U, 0U, 65535U, 65536U, 0U, 4465U);
    for (guint slot = 1; slot < 60001; slot++)
        put(&f, slot, V_PLAIN);
    assertReads(reader, 1, 1U, 60000U, 0U);
    virtHptTrackerReaderFree(reader);

    for (guint slot = 60001; slot < 70001; slot++)
        put(&f, slot, V_PLAIN);
    reader = openReader(&f, 0, 1);
    {
        g_autoptr(GArray) records = readRecords(reader, (gsize)2 * 1024 * 1024);

        g_assert_cmpuint(g_array_index(records, Record, 0).valid, ==, 65535);
        g_assert_cmpuint(g_array_index(records, Record, 0).invalid, ==, 0);
        g_assert_cmpuint(g_array_index(records, Record, 1).index, ==, 65536);
        g_assert_cmpuint(g_array_index(records, Record, 1).valid, ==, 4465);
        g_assert_cmpuint(g_array_index(records, Record, 1).invalid, ==, 65535);
    }
    virtHptTrackerReaderFree(reader);
    tearDown(&f, NULL);
}

static void
testStartIndex(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    g_autoptr(VirtHptTrackerReader) reader = NULL;

    put(f, 50, V_PLAIN);
    put(f, 200, V_PLAIN);
    reader = openReader(f, 0, 100);
    assertReads(reader, 2, 100U, 0U, 100U, 200U, 1U, (guint)SLOTS - 201);
    assertReads(reader, 0);
    put(f, 50, V_BOLTED);
    assertReads(reader, 1, 50U, 1U, 0U);
}

static void
testStartBehindTheEnd(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    static const guint64 starts[] = {SLOTS, SLOTS + 1, G_MAXUINT32, G_MAXUINT64};

    put(f, 50, V_PLAIN);
    for (guint i = 0; i < G_N_ELEMENTS(starts); i++) {
        g_autoptr(VirtHptTrackerReader) reader = openReader(f, 0, starts[i]);

        assertReads(reader, 0);
        g_assert_false(virtHptTrackerReaderIsFirstPass(reader));
        put(f, 51, V_PLAIN);
        assertReads(reader, 1, 51U, 1U, 0U);
    }
}

static void
testBoltedOnly(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    g_autoptr(VirtHptTrackerReader) all = openReader(f, 0, 0);
    g_autoptr(VirtHptTrackerReader) bolted = NULL;

    put(f, 10, V_BOLTED);
    put(f, 11, V_PLAIN);
    put(f, 13, V_BOLTED);
    bolted = openReader(f, VIRT_HPT_TRACKER_BOLTED_ONLY, 0);
    assertReads(bolted, 3, 0U, 0U, 10U, 10U, 1U, 2U, 13U, 1U, (guint)SLOTS - 14);

    /* The first pass of @all is not about changes: it still gives them, and no more than once */
    assertReads(all, 3, 0U, 0U, 10U, 10U, 2U, 1U, 13U, 1U, (guint)SLOTS - 14);
    put(f, 11, V_PLAIN);
    put(f, 12, V_BOLTED);
    assertReads(bolted, 2, 11U, 0U, 1U, 12U, 1U, 0U);
    assertReads(all, 0);
}

static void
testReadersShareMarks(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    g_autoptr(VirtHptTrackerReader) a = openReader(f, 0, 0);
    g_autoptr(VirtHptTrackerReader) b = openReader(f, 0, 0);

    assertReads(a, 1, 0U, 0U, (guint)SLOTS);
    assertReads(b, 1, 0U, 0U, (guint)SLOTS);
    put(f, 5, V_PLAIN);
    assertReads(b, 1, 5U, 1U, 0U);
    assertReads(a, 0);
}

static void
testTrackedWhileOpen(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    VirtHptTrackerReader *reader;

    put(f, 5, V_PLAIN);
    g_assert_cmpuint(virtHptTrackerGetChanges(f->tracker), ==, 0);
    reader = openReader(f, 0, SLOTS);
    assertReads(reader, 0);
    put(f, 6, V_PLAIN);
    g_assert_cmpuint(virtHptTrackerGetChanges(f->tracker), ==, 1);
    virtHptTrackerReaderFree(reader);

    virtHptTrackerInvalidate(f->tracker, 5);
    reader = openReader(f, 0, SLOTS);
    assertReads(reader, 0);
    assertReads(reader, 1, 6U, 1U, 0U);
    virtHptTrackerReaderFree(reader);
}

static void
testReferenceAndChange(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    const VirtHptEntry fresh = {V_PLAIN, R_64K & ~(VIRT_HPT_R_R | VIRT_HPT_R_C)};
    g_autoptr(VirtHptTrackerReader) reader = NULL;
    g_autoptr(GArray) records = NULL;

    virtHptTrackerSet(f->tracker, 5, &fresh);
    virtHptTrackerTouch(f->tracker, 5, VIRT_HPT_R_R);
    reader = openReader(f, 0, SLOTS);
    assertReads(reader, 0);
    assertReads(reader, 1, 5U, 1U, 0U); /* R was set while nobody was there */

    virtHptTrackerTouch(f->tracker, 5, VIRT_HPT_R_R);
    virtHptTrackerTouch(f->tracker, 5, ~(guint64)(VIRT_HPT_R_R | VIRT_HPT_R_C));
    virtHptTrackerTouch(f->tracker, 6, VIRT_HPT_R_R | VIRT_HPT_R_C);
    assertReads(reader, 0);
    virtHptTrackerTouch(f->tracker, 5, VIRT_HPT_R_C);
    records = readRecords(reader, 1000);
    g_assert_cmpuint(records->len, ==, 1);
    g_assert_cmphex(g_array_index(records, Record, 0).r, ==, fresh.r | VIRT_HPT_R_R | VIRT_HPT_R_C);
}

static void
testNothingThere(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    const VirtHptEntry invalid = {V_PLAIN & ~VIRT_HPT_V_VALID, R_64K};
    g_autoptr(VirtHptTrackerReader) reader = openReader(f, 0, SLOTS);

    assertReads(reader, 0);
    virtHptTrackerInvalidate(f->tracker, 5);
    virtHptTrackerSet(f->tracker, 6, &invalid);
    assertReads(reader, 0);
    put(f, 6, V_PLAIN);
    virtHptTrackerSet(f->tracker, 6, &invalid);
    assertReads(reader, 1, 6U, 0U, 1U);
}

static void
testPrivateBits(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    const VirtHptEntry entry = {V_PLAIN | VIRT_HPT_V_PRIVATE, R_64K | VIRT_HPT_R_TS};
    const VirtHptEntry direct = {V_PLAIN, R_64K | VIRT_HPT_R_TS};

    virtHptTableSet(f->table, 6, &direct); /* from before the tracker, as it were */
    virtHptTrackerSet(f->tracker, 5, &entry);
    for (guint64 slot = 5; slot <= 6; slot++) {
        g_autoptr(VirtHptTrackerReader) plain = openReader(f, 0, slot);
        g_autoptr(VirtHptTrackerReader) kernel = openReader(f, VIRT_HPT_TRACKER_PRIVATE_BITS, slot);
        g_autoptr(GArray) a = readRecords(plain, 1000);
        g_autoptr(GArray) b = readRecords(kernel, 1000);

        g_assert_cmphex(g_array_index(a, Record, 0).v, ==, V_PLAIN);
        g_assert_cmphex(g_array_index(a, Record, 0).r, ==, R_64K);
        g_assert_cmphex(g_array_index(b, Record, 0).v, ==, V_PLAIN | VIRT_HPT_V_HVLOCK);
        g_assert_cmphex(g_array_index(b, Record, 0).r, ==, R_64K);
    }
}

static void
testBigEndian(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    g_autoptr(VirtHptTrackerReader) reader = openReader(f, VIRT_HPT_TRACKER_BIG_ENDIAN, 0x102);
    g_autoptr(GArray) records = g_array_new(FALSE, FALSE, sizeof(Record));
    g_autoptr(GByteArray) bytes = NULL;
    const Record *record;

    put(f, 0x102, V_PLAIN);
    bytes = readBytes(reader, 1000);
    parseRecords(records, bytes, TRUE);
    record = &g_array_index(records, Record, 0);
    g_assert_cmpuint(records->len, ==, 1);
    g_assert_cmpuint(record->index, ==, 0x102);
    g_assert_cmpuint(record->valid, ==, 1);
    g_assert_cmpuint(record->invalid, ==, SLOTS - 0x103);
}

static void
testUnknownFlags(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) writeError = NULL;
    static const guint8 record[VIRT_HPT_RECORD_HEADER_SIZE];

    g_assert_null(virtHptTrackerOpen(f->tracker, 2, 0, &error)); /* KVM_GET_HTAB_WRITE */
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED);
    g_assert_cmpint(virtHptTrackerWrite(f->tracker, VIRT_HPT_TRACKER_BOLTED_ONLY, record,
                                        sizeof(record), &writeError),
                    ==, -EINVAL);
    g_assert_error(writeError, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED);
}

/* "index valid invalid" and then "V R" for each entry, all hexadecimal; big-endian */
static GByteArray *
makeRecord(const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, " ", 0);
    GByteArray *bytes = g_byte_array_new();

    for (guint i = 0; words[i]; i++) {
        guint64 value = GUINT64_TO_BE(g_ascii_strtoull(words[i], NULL, 16));
        guint n = i == 0 ? 4 : i < 3 ? 2 : 8;

        g_byte_array_append(bytes, (const guint8 *)&value + 8 - n, n);
    }
    return bytes;
}

static gssize
writeRecord(const Fixture *f, const GByteArray *bytes, gsize length)
{
    g_autofree guint8 *copy = g_malloc(MAX(length, 1));
    g_autoptr(GError) error = NULL;
    gssize n;

    memcpy(copy, bytes->data, length);
    n = virtHptTrackerWrite(f->tracker, VIRT_HPT_TRACKER_BIG_ENDIAN, copy, length, &error);
    g_assert_true((n < 0) == (error != NULL));
    if (error)
        g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED);
    return n;
}

static void
testWriteApplies(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    g_autoptr(GByteArray) record =
        makeRecord("b 2 2 4001000000000055 11194 4001000000000065 4000000000011194");
    g_autoptr(VirtHptTrackerReader) reader = openReader(f, 0, SLOTS);
    g_autoptr(GArray) records = NULL;

    assertReads(reader, 0);
    put(f, 0xd, V_PLAIN);
    put(f, 0xf, V_PLAIN);
    assertReads(reader, 2, 0xdU, 1U, 0U, 0xfU, 1U, 0U);

    g_assert_cmpint(writeRecord(f, record, record->len), ==, record->len);
    g_assert_cmphex(virtHptTableGet(f->table, 0xb).v, ==, V_BOLTED);
    g_assert_cmphex(virtHptTableGet(f->table, 0xc).v, ==, V_PLAIN);
    g_assert_cmphex(virtHptTableGet(f->table, 0xc).r, ==, R_64K);
    g_assert_cmphex(virtHptTableGet(f->table, 0xd).v, ==, 0);
    g_assert_cmphex(virtHptTableGet(f->table, 0xf).v, ==, V_PLAIN);
    records = readRecords(reader, 1000);
    g_assert_cmpuint(records->len, ==, 1);
    g_assert_cmpuint(g_array_index(records, Record, 0).valid, ==, 2);
    g_assert_cmpuint(g_array_index(records, Record, 0).invalid, ==, 1); /* 0xe was empty */
}

static void
testNativeWrite(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    g_autoptr(VirtHptTrackerReader) reader = NULL;
    g_autoptr(GByteArray) bytes = NULL;
    VirtHptEntry entry;

    put(f, 0x102, V_PLAIN);
    reader = openReader(f, 0, 0x102);
    bytes = readBytes(reader, 1000);
    virtHptTrackerInvalidate(f->tracker, 0x102);
    g_assert_cmpint(virtHptTrackerWrite(f->tracker, 0, bytes->data, bytes->len, NULL), ==,
                    bytes->len);
    entry = virtHptTableGet(f->table, 0x102);
    g_assert_cmphex(entry.v, ==, V_PLAIN);
    g_assert_cmphex(entry.r, ==, R_64K);
}

static void
testWriteRefusals(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    static const struct {
        const char *record;
        int expected;
    } cases[] = {
        {"0 0 0", 8},
        {"3fff 0 0", 8},
        {"3fff 0 1", 8},
        {"3fff 1 0 4001000000000005 11194", 24},
        {"4000 0 0", -EINVAL},                        /* no such slot */
        {"ffffffff 0 0", -EINVAL},                    /* no such slot */
        {"3fff 1 1 4001000000000005 11194", -EINVAL}, /* one slot too many */
        {"3fff 0 ffff", -EINVAL},                     /* many slots too many */
        {"0 1 0 4001000000000004 11194", -EINVAL},    /* V is not valid */
        {"0 1 0 4001000000000024 11194", -EINVAL},    /* ABSENT is not VALID */
        {"0 1 0 4001000000000005 12194", -EINVAL},    /* no such page size */
        {"0 1 0 4001000000000005 8194", 24},          /* 64K/16M: low RPN bits are 8 and 0 */
        {"0 1 0 8001000000000005 11194", -EIO},       /* B is 2 */
        {"0 1 0 c001000000000005 11194", -EIO},       /* B is 3 */
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GByteArray) record = makeRecord(cases[i].record);
        g_autofree char *said = g_strdup_printf("%s: %d", cases[i].record, cases[i].expected);
        g_autofree char *got = NULL;

        got = g_strdup_printf("%s: %zd", cases[i].record, writeRecord(f, record, record->len));
        g_assert_cmpstr(got, ==, said);
    }
}

static void
testWriteTakesOneWholeRecord(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    g_autoptr(GByteArray) record =
        makeRecord("5 2 0 4001000000000005 11194 4001000000000005 11194");
    g_autofree guint8 *again = g_malloc(record->len);
    guint length = record->len;

    memcpy(again, record->data, length);
    g_byte_array_append(record, again, length);
    for (guint n = 0; n <= 2 * length; n++) {
        if (n != length)
            g_assert_cmpint(writeRecord(f, record, n), ==, -EINVAL);
    }
    g_assert_cmpuint(virtHptTableNextValid(f->table, 0), ==, SLOTS);
    g_assert_cmpint(writeRecord(f, record, length), ==, length);
}

static void
testWriteStopsAtBadEntry(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    g_autoptr(GByteArray) record =
        makeRecord("5 3 1 4001000000000005 11194 4001000000000004 11194 4001000000000005 11194");

    put(f, 8, V_PLAIN);
    g_assert_cmpint(writeRecord(f, record, record->len), ==, -EINVAL);
    g_assert_cmphex(virtHptTableGet(f->table, 5).v, ==, V_PLAIN);
    g_assert_cmphex(virtHptTableGet(f->table, 6).v, ==, 0);
    g_assert_cmphex(virtHptTableGet(f->table, 7).v, ==, 0);
    g_assert_cmphex(virtHptTableGet(f->table, 8).v, ==, V_PLAIN);
}

/* The kernel makes room first, then H_ENTER refuses the segment size */
static void
testRefusedEntryLeavesNone(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    g_autoptr(GByteArray) unknown = makeRecord("5 1 0 4001000000000005 12194");
    g_autoptr(GByteArray) reserved = makeRecord("5 1 0 8001000000000005 11194");

    put(f, 5, V_PLAIN);
    g_assert_cmpint(writeRecord(f, unknown, unknown->len), ==, -EINVAL);
    g_assert_cmphex(virtHptTableGet(f->table, 5).v, ==, V_PLAIN);
    g_assert_cmpint(writeRecord(f, reserved, reserved->len), ==, -EIO);
    g_assert_cmphex(virtHptTableGet(f->table, 5).v, ==, 0);
}

static guint
randomBelow(guint n)
{
    return (guint)g_test_rand_int_range(0, (gint32)n);
}

static void
mutateRandomly(const Fixture *f, guint changes)
{
    for (guint i = 0; i < changes; i++) {
        guint64 slot = randomBelow((guint)SLOTS);
        guint n = randomBelow(8) ? 1 + randomBelow(6) : 1 + randomBelow(500);

        for (guint64 end = MIN(slot + n, SLOTS); slot < end; slot++) {
            switch (randomBelow(4)) {
            case 0:
                virtHptTrackerInvalidate(f->tracker, slot);
                break;
            case 1:
                virtHptTrackerTouch(f->tracker, slot, randomBelow(2) ? 0x100 : 0x180);
                break;
            default:
                put(f, slot, randomBelow(2) ? V_BOLTED : V_PLAIN);
            }
        }
    }
}

/* The same through the write side: into a table that a tracker has, record by record */
static void
replay(VirtHptTracker *target, const GByteArray *bytes, guint flags)
{
    guint at = 0;

    flags &= VIRT_HPT_TRACKER_BIG_ENDIAN;
    while (at < bytes->len) {
        const guint8 *data = bytes->data + at;
        gboolean big = flags || G_BYTE_ORDER == G_BIG_ENDIAN;
        guint length = 8 + 16 * (guint)load(data + 4, 2, big);
        g_autoptr(GError) error = NULL;

        g_assert_cmpuint(length, <=, bytes->len - at);
        virtHptTrackerWrite(target, flags, data, length, &error);
        g_assert_no_error(error);
        at += length;
    }
}

static gsize
randomSize(void)
{
    switch (randomBelow(4)) {
    case 0:
        return randomBelow(60);
    case 1:
        return 25 + randomBelow(4000);
    default:
        return 25 + randomBelow(200000);
    }
}

/* Both the decoder and the write side replay what was read while the table changed */
static void
testConverges(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    const guint flags[] = {0, VIRT_HPT_TRACKER_PRIVATE_BITS, VIRT_HPT_TRACKER_BIG_ENDIAN};

    for (guint round = 0; round < 30; round++) {
        guint chosen = flags[round % G_N_ELEMENTS(flags)];
        g_autoptr(VirtHptTable) decoded = virtHptTableNew(ORDER, TEST_MAX_BYTES, NULL);
        g_autoptr(VirtHptTable) written = virtHptTableNew(ORDER, TEST_MAX_BYTES, NULL);
        g_autoptr(VirtHptTracker) target = virtHptTrackerNew(written);
        g_autoptr(VirtHptTrackerReader) reader = NULL;
        g_autoptr(VirtHptDecoder) decoder = virtHptDecoderNew(
            decoded, chosen & VIRT_HPT_TRACKER_BIG_ENDIAN ? VIRT_HPT_ENCODING_KVM_BE
                                                          : VIRT_HPT_ENCODING_KVM);
        guint steps = randomBelow(60);

        mutateRandomly(f, randomBelow(100));
        reader = openReader(f, chosen, 0);
        for (guint i = 0;; i++) {
            gsize count = i < steps ? randomSize() : 65536;
            g_autoptr(GByteArray) bytes = readBytes(reader, count);
            g_autoptr(GError) error = NULL;

            virtHptDecoderFeed(decoder, 0, bytes->data, bytes->len, NULL, NULL, &error);
            g_assert_no_error(error);
            replay(target, bytes, chosen);
            if (i < steps)
                mutateRandomly(f, randomBelow(5));
            else if (bytes->len == 0 && virtHptTrackerGetChanges(f->tracker) == 0)
                break;
        }
        g_assert_true(virtHptTableEqual(f->table, decoded));
        g_assert_true(virtHptTableEqual(f->table, written));
    }
}

#define ADD(name, function)                                                                        \
    g_test_add("/htab/tracker/" name, Fixture, NULL, setUp, function, tearDown)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    ADD("the first pass covers every slot", testFirstPassCoversAll);
    ADD("a read of 0 bytes is not the end", testZeroIsNotTheEnd);
    ADD("later passes give what changed", testLaterPassesGiveChanges);
    ADD("24 bytes make no progress, 25 do", testSmallestBuffer);
    ADD("k entries need 8 + 16 k + 1 bytes", testBufferForEntries);
    ADD("a read stops at the end of the table", testReadStopsAtEndOfTable);
    g_test_add_func("/htab/tracker/a record has at most 65535 slots of a kind", testLongRuns);
    ADD("before the start index only changes are read", testStartIndex);
    ADD("a start behind the end means changes only", testStartBehindTheEnd);
    ADD("bolted only tells the others as invalid", testBoltedOnly);
    ADD("one reader takes another's changes", testReadersShareMarks);
    ADD("changes without a reader are lost", testTrackedWhileOpen);
    ADD("R and C send an entry again", testReferenceAndChange);
    ADD("an empty slot that stays empty is no change", testNothingThere);
    ADD("private bits and TS are not the guest's", testPrivateBits);
    ADD("headers may be big-endian", testBigEndian);
    ADD("unknown flags are refused", testUnknownFlags);
    ADD("a written record is applied and is a change", testWriteApplies);
    ADD("what was read can be written", testNativeWrite);
    ADD("what the kernel refuses is refused", testWriteRefusals);
    ADD("a write takes one whole record", testWriteTakesOneWholeRecord);
    ADD("a bad entry ends a write where it stands", testWriteStopsAtBadEntry);
    ADD("an entry that H_ENTER refuses leaves an empty slot", testRefusedEntryLeavesNone);
    ADD("any passes over any changes make the same table", testConverges);

    return g_test_run();
}
