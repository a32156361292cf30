/*
 * bench_ratio.c: how long something takes, as a ratio to memcpy() in the same run
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A memcpy() goes before and after each piece of work, and one thread does all.  Times are the
 * thread's own, on a CPU: what else runs on the machine costs less then.  What shares its caches
 * and memory still costs, and shows in that the two memcpy() around a piece of work disagree: such
 * a round tells nothing, and is repeated.  The ratio is the median of the rounds that count.
 */

#include "bench_ratio.h"

#include <string.h>
#include <time.h>

/* Of so many tries for each round the last one is the end */
#define TRIES 5

/* What came of one case */
typedef struct {
    double ratio[BENCH_ROUNDS_MAX];
    double own[BENCH_ROUNDS_MAX];    /* in milliseconds, */
    double theirs[BENCH_ROUNDS_MAX]; /* as memcpy()'s */
    int counted;
    int repeated;
} Series;

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

static double
copyTime(const BenchCase *what)
{
    double begin = ownTime();

    memcpy(what->to, what->from, what->bytes);
    return ownTime() - begin;
}

static double
workTime(const BenchCase *what)
{
    double begin;

    if (what->before)
        what->before(what->opaque);
    begin = ownTime();
    what->work(what->opaque);
    return ownTime() - begin;
}

static void
measureRounds(const BenchOptions *options, const BenchCase *what, Series *series)
{
    double before;

    copyTime(what); /* the first of each warms up and does not count */
    workTime(what);
    before = copyTime(what);

    while (series->counted < options->rounds && series->repeated < options->rounds * (TRIES - 1)) {
        double own = workTime(what);
        double after = copyTime(what);

        if (MAX(before, after) > options->noise * MIN(before, after)) {
            series->repeated++;
        } else {
            series->own[series->counted] = own;
            series->theirs[series->counted] = (before + after) / 2;
            series->ratio[series->counted] = own * 2 / (before + after);
            series->counted++;
        }
        before = after;
    }
}

static BenchVerdict
judge(const BenchOptions *options, const BenchCase *what, double typical)
{
    if (what->bound <= 0) {
        g_print("\n");
        return BENCH_HOLDS;
    }
    g_print(" %8.1f ", what->bound);
    if (typical <= what->bound) {
        g_print("holds\n");
        return BENCH_HOLDS;
    }
    if (typical <= what->bound * options->slack) {
        g_print("DOES NOT HOLD, which may be the machine's doing: below %.3g it is no failure\n",
                what->bound * options->slack);
        return BENCH_HOLDS;
    }
    g_print("FAILS: %.3g times the bound\n", typical / what->bound);
    return BENCH_FAILS;
}

/**
 * benchPrintHeader:
 * @options: how it is measured
 *
 * Prints the head of the table that benchMeasure() prints the rows of.
 */
void
benchPrintHeader(const BenchOptions *options)
{
    g_print("times memcpy() of the same bytes; medians of %d rounds\n", options->rounds);
    g_print("%-12s %-24s %7s %7s %7s %9s %9s %16s %4s %8s\n", "table", "what", "ratio", "lowest",
            "highest", "ms", "memcpy ms", "of", "again", "at most");
}

/**
 * benchMeasure:
 * @options: how to measure
 * @what: what to measure
 *
 * Prints a row of the table.
 *
 * Returns: %BENCH_FAILS if the ratio is far above its bound, %BENCH_NOT_MEASURED if the machine was
 * too busy to tell
 */
BenchVerdict
benchMeasure(const BenchOptions *options, const BenchCase *what)
{
    g_autofree Series *series = g_new0(Series, 1);
    double typical;

    measureRounds(options, what, series);
    if (series->counted < options->rounds) {
        g_print("%-12s %-24s not measured: in %d of %d rounds the times of two memcpy() in turn "
                "differed by more than %.3g times\n",
                what->table, what->what, series->repeated, series->repeated + series->counted,
                options->noise);
        return BENCH_NOT_MEASURED;
    }
    typical = median(series->ratio, series->counted);
    g_print("%-12s %-24s %7.2f %7.2f %7.2f %9.1f %9.1f %5.1f MiB %-6s %5d", what->table, what->what,
            typical, series->ratio[0], series->ratio[series->counted - 1],
            median(series->own, series->counted), median(series->theirs, series->counted),
            (double)what->bytes / (1 << 20), what->reference, series->repeated);
    return judge(options, what, typical);
}
