/*
 * bench_htab.c: what decoding, encoding, checking and comparing a table cost
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every time is a ratio to memcpy() of the same bytes: the two alternate in one run, both
 * destinations have their pages, one thread does all, and the ratio is the median of the rounds.
 * Times are the thread's own, on a CPU: what else runs on the machine costs less then.
 * Bounds are printed beside the ratios and never asserted: the machine may be busy.
 *
 *   bench_htab [--order N] [--rounds N] [full | sparse | alternating | memory]...
 */

#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "bench_table.h"
#include "libvirt-hpt/htab_check.h"
#include "libvirt-hpt/htab_delta.h"
#include "libvirt-hpt/htab_diff.h"

#define ROUNDS_MAX 101
#define PIECE ((gsize)64 * 1024)

/* Of so many entries one differs between the tables that are compared */
#define DIFF_EVERY 1000

static int order = 27;
static int rounds = 9;

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
} Bench;

/* How long one thing takes beside the memcpy() that it is compared with */
typedef void (*BenchFunc)(Bench *bench);

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
clear(Bench *bench)
{
    virtHptTableClear(bench->other, 0, virtHptTableGetSlots(bench->other));
}

static void
decode(Bench *bench)
{
    feed(bench->other, bench->stream);
}

/* As a reader does: the table's pages are not there yet */
static void
decodeNew(Bench *bench)
{
    g_autoptr(VirtHptTable) table = virtHptTableNew((guint)order, G_MAXSIZE, NULL);

    feed(table, bench->stream);
}

static void
encode(Bench *bench)
{
    bench->used = 0;
    g_assert(virtHptTableEncode(bench->table, VIRT_HPT_ENCODING_QEMU, copyOut, bench, NULL));
    g_assert(bench->used == bench->stream->len);
}

/* Of tables as full as this something may be said as a whole; of each entry only of broken ones */
static void
check(Bench *bench)
{
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
change(Bench *bench)
{
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
diff(Bench *bench)
{
    g_autoptr(VirtHptDiff) result = virtHptTableDiff(bench->table, bench->other, 16, NULL);

    g_assert(result && virtHptDiffGetTotal(result) > 0);
}

static void
encodeDelta(Bench *bench)
{
    bench->used = 0;
    g_assert(virtHptTableEncodeDelta(bench->other, bench->table, copyOut, bench, NULL));
}

static void
applyDelta(Bench *bench)
{
    g_autoptr(VirtHptDeltaReader) reader = virtHptDeltaReaderNew(bench->other);
    VirtHptDeltaStats stats = {0};

    g_assert(virtHptDeltaReaderFeed(reader, bench->delta->data, bench->delta->len, NULL));
    g_assert(virtHptDeltaReaderFinish(reader, &stats, NULL));
    g_assert(stats.set > 0 && stats.same == 0);
}

static int
compareDoubles(gconstpointer a, gconstpointer b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The median; sorts */
static double
median(double *values, int n)
{
    qsort(values, (gsize)n, sizeof(*values), compareDoubles);
    return values[n / 2];
}

/* In milliseconds */
static double
ownTime(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/*
 * Runs @work in turn with memcpy() of @bytes bytes at @from, and prints the ratio, and whether it
 * is at most @bound unless that is 0.  @before goes before each, and its time does not count.
 */
static void
measure(Bench *bench,
        const char *what,
        BenchFunc before,
        BenchFunc work,
        const guint8 *from,
        gsize bytes,
        const char *reference,
        double bound)
{
    double ratio[ROUNDS_MAX];
    double own[ROUNDS_MAX];
    double theirs[ROUNDS_MAX];
    double typical;

    for (int i = -1; i < rounds; i++) { /* the first round warms up and does not count */
        double begin = ownTime();
        double middle;
        double end;

        memcpy(bench->copy, from, bytes);
        middle = ownTime();
        if (before)
            before(bench);
        end = ownTime();
        work(bench);
        if (i >= 0) {
            theirs[i] = middle - begin;
            own[i] = ownTime() - end;
            ratio[i] = own[i] / theirs[i];
        }
    }

    typical = median(ratio, rounds);
    g_print("%s: %s: %.2f times memcpy of the %s (%.2f to %.2f in %d rounds; medians %.1f ms and "
            "%.1f ms of %.1f MiB)",
            bench->name, what, typical, reference, ratio[0], ratio[rounds - 1], rounds,
            median(own, rounds), median(theirs, rounds), (double)bytes / (1 << 20));
    if (bound > 0)
        g_print("; at most %.0f: %s", bound, typical <= bound ? "holds" : "does not hold");
    g_print("\n");
}

static void
runShape(const char *name, BenchShape shape)
{
    Bench bench = {.name = name, .shape = shape};
    gsize tableBytes = (gsize)1 << order;
    gboolean full = shape == BENCH_FULL;
    const guint8 *wire;
    const guint8 *stream;

    bench.table = benchTableNew((guint)order, shape);
    bench.other = benchTableNew((guint)order, BENCH_FULL); /* so that it has all of its pages */
    bench.stream = g_byte_array_new();
    /* Headers may take half of what entries take: one record an entry */
    bench.copySize = tableBytes + tableBytes / 2;
    bench.copy = g_malloc(bench.copySize);
    memset(bench.copy, 1, bench.copySize);
    benchTableAppend(bench.table, bench.stream);
    wire = virtHptTablePeekWire(bench.table, 0);
    stream = bench.stream->data;

    measure(&bench, "decode", clear, decode, stream, bench.stream->len, "stream", full ? 2 : 0);
    g_assert(virtHptTableEqual(bench.table, bench.other));
    measure(&bench, "apply over the same", NULL, decode, stream, bench.stream->len, "stream",
            full ? 2 : 0);
    measure(&bench, "decode into a new table", NULL, decodeNew, stream, bench.stream->len, "stream",
            0);
    measure(&bench, "encode", NULL, encode, stream, bench.stream->len, "stream", full ? 2 : 0);
    measure(&bench, "check", NULL, check, wire, tableBytes, "table", full ? 6 : 0);
    change(&bench);
    measure(&bench, "diff", NULL, diff, wire, tableBytes, "table", 0);
    measure(&bench, "encode a delta", NULL, encodeDelta, wire, tableBytes, "table", 0);
    bench.delta = g_byte_array_new();
    g_byte_array_append(bench.delta, bench.copy, (guint)bench.used);
    measure(&bench, "apply a delta", change, applyDelta, wire, tableBytes, "table", 0);

    virtHptTableFree(bench.table);
    virtHptTableFree(bench.other);
    g_byte_array_unref(bench.stream);
    g_byte_array_unref(bench.delta);
    g_free(bench.copy);
}

/* A VirtHptWriteFunc: @opaque is a decoder */
static gboolean
pass(const guint8 *data, gsize length, gpointer opaque, GError **error)
{
    return virtHptDecoderFeed(opaque, 0, data, length, NULL, NULL, error);
}

/* Of this process, in KiB */
static long
peakMemory(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/*
 * What is needed besides two tables to encode one, decode the other from that as it comes, and
 * check it.  Goes before all others: a peak does not come down.
 */
static void
runMemory(void)
{
    double before = (double)peakMemory() / 1024;
    double tableSize = (double)(G_GUINT64_CONSTANT(1) << order) / (1 << 20);
    g_autoptr(VirtHptTable) from = benchTableNew((guint)order, BENCH_FULL);
    g_autoptr(VirtHptTable) to = virtHptTableNew((guint)order, G_MAXSIZE, NULL);
    g_autoptr(VirtHptDecoder) decoder = virtHptDecoderNew(to, VIRT_HPT_ENCODING_QEMU);
    g_autoptr(VirtHptReport) report = NULL;
    double peak;

    g_assert(virtHptTableEncode(from, VIRT_HPT_ENCODING_QEMU, pass, decoder, NULL));
    report = virtHptTableCheck(to, NULL);
    g_assert(virtHptReportCount(report, VIRT_HPT_SEVERITY_ERROR) == 0);
    peak = (double)peakMemory() / 1024;
    g_print("memory: encode a full table of order %d, decode it into another, check that: peak "
            "%.1f MiB: %.1f before, twice %.1f for the tables, %.1f besides\n",
            order, peak, before, tableSize, peak - before - 2 * tableSize);
}

int
main(int argc, char **argv)
{
    const GOptionEntry options[] = {
        {"order", 0, 0, G_OPTION_ARG_INT, &order, "log2 of the table's size in bytes", "N"},
        {"rounds", 0, 0, G_OPTION_ARG_INT, &rounds, "how often each is measured", "N"},
        {0},
    };
    static const char *const names[] = {"full", "sparse", "alternating", "broken"};
    static const BenchShape shapes[] = {BENCH_FULL, BENCH_SPARSE, BENCH_ALTERNATING, BENCH_BROKEN};
    g_autoptr(GOptionContext) context = g_option_context_new("[full|sparse|alternating|memory]...");
    g_autoptr(GError) error = NULL;

    g_option_context_add_main_entries(context, options, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        g_printerr("bench_htab: %s\n", error->message);
        return 64;
    }
    order = CLAMP(order, VIRT_HPT_ORDER_MIN, 31);
    rounds = CLAMP(rounds, 1, ROUNDS_MAX);

    if (argc == 1 || g_strv_contains((const char *const *)argv + 1, "memory"))
        runMemory();
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        if (argc == 1 || g_strv_contains((const char *const *)argv + 1, names[i]))
            runShape(names[i], shapes[i]);
    }
    return 0;
}
