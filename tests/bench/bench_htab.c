/*
 * bench_htab.c: what decoding, encoding, applying, checking and comparing a table cost
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Times are ratios to memcpy() of the same bytes (bench_ratio.c), both destinations with their
 * pages there; memory is what a process takes besides its tables.
 *
 *   bench_htab [--order N] [--rounds N] [full | sparse | alternating | broken | memory]...
 *
 * Exit status: 1 if a ratio is far above its bound, or more memory is needed than stated; 77 if the
 * machine was too busy to tell.
 */

#include <stdlib.h>
#include <string.h>

#include "bench_ratio.h"
#include "bench_table.h"
#include "libvirt-hpt/htab_check.h"
#include "libvirt-hpt/htab_delta.h"
#include "libvirt-hpt/htab_diff.h"
#include "htab_testutils.h"

#define PIECE ((gsize)64 * 1024)

/* Of so many entries one differs between the tables that are compared */
#define DIFF_EVERY 1000

/* As automake and meson have it: neither passed nor failed */
#define EXIT_NOT_MEASURED 77

#define MIB (1 << 20)

static int order = 27;
static int besides = 32; /* the most memory that is needed besides tables, in MiB */
static BenchOptions measuring = {.rounds = 9, .slack = 1.5, .noise = 1.5};

/* A table and its stream, and memory to copy both to */
typedef struct {
    const char *name;
    BenchShape shape;
    VirtHptTable *table;
    VirtHptTable *other;
    GByteArray *stream;
    GByteArray *delta; /* from other to table, once they differ */
    guint8 *copy;
    gsize copySize;
    gsize used; /* of copy, by the encoder */
    BenchVerdict worst;
} Bench;

static gboolean
copyOut(const guint8 *data, gsize length, gpointer opaque, G_GNUC_UNUSED GError **error)
{
    Bench *bench = opaque;

    g_assert(length <= bench->copySize - bench->used);
    memcpy(bench->copy + bench->used, data, length);
    bench->used += length;
    return TRUE;
}

static void
feed(VirtHptTable *table, const GByteArray *stream)
{
    g_autoptr(VirtHptDecoder) decoder = virtHptDecoderNew(table, VIRT_HPT_ENCODING_QEMU);
    g_autoptr(GError) error = NULL;

    for (gsize at = 0; at < stream->len; at += PIECE)
        virtHptDecoderFeed(decoder, at, stream->data + at, MIN(PIECE, stream->len - at), NULL, NULL,
                           &error);
    g_assert_no_error(error);
}

static void
clear(gpointer opaque)
{
    Bench *bench = opaque;
    virtHptTableClear(bench->other, 0, virtHptTableGetSlots(bench->other));
}

static void
decode(gpointer opaque)
{
    Bench *bench = opaque;
    feed(bench->other, bench->stream);
}

/* As a reader does: the table's pages are not there yet */
static void
decodeNew(gpointer opaque)
{
    Bench *bench = opaque;
    g_autoptr(VirtHptTable) table = virtHptTableNew((guint)order, G_MAXSIZE, NULL);

    feed(table, bench->stream);
}

static void
encode(gpointer opaque)
{
    Bench *bench = opaque;
    bench->used = 0;
    g_assert(virtHptTableEncode(bench->table, VIRT_HPT_ENCODING_QEMU, copyOut, bench, NULL));
    g_assert(bench->used == bench->stream->len);
}

/* Of tables as full as this something may be said as a whole; of each entry only of broken ones */
static void
check(gpointer opaque)
{
    Bench *bench = opaque;
    const VirtHptCheckContext context = {.maxPageShift = 24, .ramBytes = BENCH_RAM};
    g_autoptr(VirtHptReport) report = virtHptTableCheck(bench->table, &context);
    guint64 bad = virtHptReportCount(report, VIRT_HPT_SEVERITY_WARNING) +
                  virtHptReportCount(report, VIRT_HPT_SEVERITY_ERROR);

    if (bench->shape == BENCH_BROKEN)
        g_assert(bad >= virtHptTableGetSlots(bench->table));
    else
        g_assert(bad <= 1);
}

static void
change(gpointer opaque)
{
    Bench *bench = opaque;
    guint64 slots = virtHptTableGetSlots(bench->other);

    decode(bench);
    for (guint64 slot = 0; slot < slots; slot += DIFF_EVERY) {
        slot = virtHptTableNextValid(bench->other, slot);
        if (slot < slots) {
            VirtHptEntry entry = virtHptTableGet(bench->other, slot);

            entry.r ^= VIRT_HPT_R_C;
            virtHptTableSet(bench->other, slot, &entry);
        }
    }
}

static void
diff(gpointer opaque)
{
    Bench *bench = opaque;
    g_autoptr(VirtHptDiff) result = virtHptTableDiff(bench->table, bench->other, 16, NULL);

    g_assert(result && virtHptDiffGetTotal(result) > 0);
}

static void
encodeDelta(gpointer opaque)
{
    Bench *bench = opaque;
    bench->used = 0;
    g_assert(virtHptTableEncodeDelta(bench->other, bench->table, copyOut, bench, NULL));
}

static void
applyDelta(gpointer opaque)
{
    Bench *bench = opaque;
    g_autoptr(VirtHptDeltaReader) reader = virtHptDeltaReaderNew(bench->other);
    VirtHptDeltaStats stats = {0};

    g_assert(virtHptDeltaReaderFeed(reader, bench->delta->data, bench->delta->len, NULL));
    g_assert(virtHptDeltaReaderFinish(reader, &stats, NULL));
    g_assert(stats.set > 0 && stats.same == 0);
}

/* Measures @work beside the memcpy() of the stream, or of the @wholeTable */
static void
measure(Bench *bench,
        const char *what,
        void (*before)(gpointer opaque),
        void (*work)(gpointer opaque),
        gboolean wholeTable,
        double bound)
{
    BenchVerdict verdict;
    const BenchCase one = {
        .table = bench->name,
        .what = what,
        .before = before,
        .work = work,
        .opaque = bench,
        .from = wholeTable ? virtHptTablePeekWire(bench->table, 0) : bench->stream->data,
        .to = bench->copy,
        .bytes = wholeTable ? (gsize)1 << order : bench->stream->len,
        .reference = wholeTable ? "table" : "stream",
        .bound = bound,
    };

    verdict = benchMeasure(&measuring, &one);
    bench->worst = MAX(bench->worst, verdict);
}

static BenchVerdict
runShape(const char *name, BenchShape shape)
{
    gsize tableBytes = (gsize)1 << order;
    gboolean full = shape == BENCH_FULL;
    Bench bench = {
        .name = name,
        .shape = shape,
        .table = benchTableNew((guint)order, shape),
        .other = benchTableNew((guint)order, BENCH_FULL), /* so that it has all of its pages */
        .stream = g_byte_array_new(),
        .delta = g_byte_array_new(),
        /* Headers may take half of what entries take: one record an entry */
        .copySize = tableBytes + tableBytes / 2,
    };

    bench.copy = g_malloc(bench.copySize);
    memset(bench.copy, 1, bench.copySize);
    benchTableAppend(bench.table, bench.stream);

    measure(&bench, "decode", clear, decode, FALSE, full ? 2 : 0);
    g_assert(virtHptTableEqual(bench.table, bench.other));
    measure(&bench, "apply over the same", NULL, decode, FALSE, full ? 2 : 0);
    measure(&bench, "decode into a new table", NULL, decodeNew, FALSE, 0);
    measure(&bench, "encode", NULL, encode, FALSE, full ? 2 : 0);
    measure(&bench, "check", NULL, check, TRUE, full ? 6 : 0);
    change(&bench);
    measure(&bench, "diff", NULL, diff, TRUE, 0);
    measure(&bench, "encode a delta", NULL, encodeDelta, TRUE, 0);
    encodeDelta(&bench); /* since memcpy() went over what was written */
    g_byte_array_append(bench.delta, bench.copy, (guint)bench.used);
    measure(&bench, "apply a delta", change, applyDelta, TRUE, 0);

    virtHptTableFree(bench.table);
    virtHptTableFree(bench.other);
    g_byte_array_unref(bench.stream);
    g_byte_array_unref(bench.delta);
    g_free(bench.copy);
    return bench.worst;
}

/* A VirtHptWriteFunc: @opaque is a decoder */
static gboolean
pass(const guint8 *data, gsize length, gpointer opaque, GError **error)
{
    return virtHptDecoderFeed(opaque, 0, data, length, NULL, NULL, error);
}

/* Another one: @opaque is a delta reader */
static gboolean
passDelta(const guint8 *data, gsize length, gpointer opaque, GError **error)
{
    return virtHptDeltaReaderFeed(opaque, data, length, error);
}

/*
 * What is needed besides two tables to encode one, decode the other from that as it comes, check
 * it, compare the two, and make the one the other by a delta as it comes.  Goes before all others:
 * a peak does not come down.
 */
static BenchVerdict
runMemory(void)
{
    double tables = 2 * (double)(G_GUINT64_CONSTANT(1) << order) / MIB;
    g_autoptr(VirtHptTable) from = benchTableNew((guint)order, BENCH_FULL);
    g_autoptr(VirtHptTable) to = virtHptTableNew((guint)order, G_MAXSIZE, NULL);
    g_autoptr(VirtHptDecoder) decoder = virtHptDecoderNew(to, VIRT_HPT_ENCODING_QEMU);
    g_autoptr(VirtHptDeltaReader) reader = virtHptDeltaReaderNew(from);
    g_autoptr(VirtHptReport) report = NULL;
    g_autoptr(VirtHptDiff) difference = NULL;
    VirtHptDeltaStats stats = {0};
    double needed;

    g_assert(virtHptTableEncode(from, VIRT_HPT_ENCODING_QEMU, pass, decoder, NULL));
    report = virtHptTableCheck(to, NULL);
    g_assert(virtHptReportCount(report, VIRT_HPT_SEVERITY_ERROR) == 0);
    virtHptTableClear(to, 0, virtHptTableGetSlots(to) / 2);
    difference = virtHptTableDiff(from, to, 16, NULL);
    g_assert(virtHptDiffGetTotal(difference) == virtHptTableGetSlots(to) / 2);
    g_assert(virtHptTableEncodeDelta(from, to, passDelta, reader, NULL));
    g_assert(virtHptDeltaReaderFinish(reader, &stats, NULL));
    g_assert(virtHptTableEqual(from, to));

    needed = (double)testPeakMemory() / 1024 - tables;
    g_print(
        "memory: encode, decode, check, compare and apply, full tables of order %d: peak %.1f MiB "
        "besides the two tables of %.1f; at most %d: %s\n",
        order, needed, tables / 2, besides, needed <= besides ? "holds" : "FAILS");
    return needed <= besides ? BENCH_HOLDS : BENCH_FAILS;
}

int
main(int argc, char **argv)
{
    const GOptionEntry entries[] = {
        {"order", 0, 0, G_OPTION_ARG_INT, &order, "log2 of the table's size in bytes", "N"},
        {"rounds", 0, 0, G_OPTION_ARG_INT, &measuring.rounds, "how often each is measured", "N"},
        {"slack", 0, 0, G_OPTION_ARG_DOUBLE, &measuring.slack, "fails above N times a bound", "N"},
        {"noise", 0, 0, G_OPTION_ARG_DOUBLE, &measuring.noise,
         "repeats a round if the memcpy() before and after it differ by more than N times", "N"},
        {"besides", 0, 0, G_OPTION_ARG_INT, &besides, "memory besides tables, in MiB", "N"},
        {0},
    };
    static const char *const names[] = {"full", "sparse", "alternating", "broken"};
    static const BenchShape shapes[] = {BENCH_FULL, BENCH_SPARSE, BENCH_ALTERNATING, BENCH_BROKEN};
    g_autoptr(GOptionContext) context =
        g_option_context_new("[full | sparse | alternating | broken | memory]...");
    g_autoptr(GError) error = NULL;
    BenchVerdict worst = BENCH_HOLDS;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        g_printerr("bench_htab: %s\n", error->message);
        return 64;
    }
    order = CLAMP(order, VIRT_HPT_ORDER_MIN, 31);
    measuring.rounds = CLAMP(measuring.rounds, 1, BENCH_ROUNDS_MAX);

    if (argc == 1 || g_strv_contains((const char *const *)argv + 1, "memory"))
        worst = runMemory();
    benchPrintHeader(&measuring);
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        if (argc == 1 || g_strv_contains((const char *const *)argv + 1, names[i])) {
            BenchVerdict verdict = runShape(names[i], shapes[i]);

            worst = MAX(worst, verdict);
        }
    }
    if (worst == BENCH_NOT_MEASURED)
        return EXIT_NOT_MEASURED;
    return worst == BENCH_FAILS ? EXIT_FAILURE : EXIT_SUCCESS;
}
