/*
 * bench_table.h: tables to measure with
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#pragma once

#include "libvirt-hpt/htab_stream.h"

G_BEGIN_DECLS

/**
 * BenchShape:
 * @BENCH_FULL: an entry in each slot: few records, all of them long
 * @BENCH_SPARSE: 6 % of the slots: single entries at the start of every other PTEG or so, as the
 *   linear mapping of a real guest has them
 * @BENCH_ALTERNATING: every other slot: the most records that a table can have
 * @BENCH_BROKEN: as full, but each entry breaks a rule, and lies where its hash wants it, so that
 *   all rules are asked: the most that a check can have to do
 */
typedef enum {
    BENCH_FULL,
    BENCH_SPARSE,
    BENCH_ALTERNATING,
    BENCH_BROKEN,
} BenchShape;

/* Entries map memory below this, in bytes */
#define BENCH_RAM (G_GUINT64_CONSTANT(16) << 30)

VirtHptTable *benchTableNew(guint order, BenchShape shape);
void benchTableAppend(const VirtHptTable *table, GByteArray *stream);

G_END_DECLS
