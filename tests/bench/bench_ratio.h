/*
 * bench_ratio.h: how long something takes, as a ratio to memcpy() in the same run
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define BENCH_ROUNDS_MAX 101

/* In order of what they are for the whole run: the last of them counts */
typedef enum {
    BENCH_HOLDS,
    BENCH_NOT_MEASURED,
    BENCH_FAILS,
} BenchVerdict;

/**
 * BenchOptions:
 * @rounds: how often each is measured
 * @slack: it fails above its bound times that
 * @noise: the most that a memcpy() may take longer than the one a round before or after it; else
 *   the round between them does not count, and is repeated
 */
typedef struct {
    int rounds;
    double slack;
    double noise;
} BenchOptions;

/**
 * BenchCase:
 * @table: what it is measured with, and @what is measured
 * @before: (nullable): goes before each @work, and does not count
 * @opaque: passed to both
 * @from: what is copied to @to, @bytes bytes of it
 * @reference: what these bytes are
 * @bound: the ratio that must hold, or 0
 */
typedef struct {
    const char *table;
    const char *what;
    void (*before)(gpointer opaque);
    void (*work)(gpointer opaque);
    gpointer opaque;
    const guint8 *from;
    guint8 *to;
    gsize bytes;
    const char *reference;
    double bound;
} BenchCase;

void benchPrintHeader(const BenchOptions *options);
BenchVerdict benchMeasure(const BenchOptions *options, const BenchCase *what);

G_END_DECLS
