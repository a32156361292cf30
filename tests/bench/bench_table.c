/*
 * bench_table.c: tables to measure with
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The entries are sound, but for those of a broken table, each where its hash wants it, none twice:
 * 64K pages in segments of 1T, 4K pages in segments of 256M and a few 16M pages; a quarter are in
 * their secondary PTEG, which is what a crowded table comes to.  What is free in them is random,
 * and the same in each run.
 */

#include "bench_table.h"

#define SEED 2012

/* Of 100 PTEGs so many have an entry in a sparse table: 6 % of the slots */
#define SPARSE_PTEGS 48

static guint64
random64(GRand *random)
{
    return (guint64)g_rand_int(random) << 32 | g_rand_int(random);
}

static VirtHptEntry
makeEntry(GRand *random, guint64 slot, guint order)
{
    guint64 mask = (G_GUINT64_CONSTANT(1) << (order - 7)) - 1;
    guint64 bits = random64(random);
    gboolean secondary = (bits & 3) == 0;
    guint64 pteg = slot / VIRT_HPT_PTEG_SLOTS;
    guint64 hash = (secondary ? ~pteg : pteg) & mask;
    /* Among the entries of one hash, that tells each from the others */
    guint64 unique = slot % VIRT_HPT_PTEG_SLOTS | (secondary ? VIRT_HPT_PTEG_SLOTS : 0);
    guint64 rpn = bits & (BENCH_RAM - 1);
    VirtHptEntry entry = {VIRT_HPT_V_VALID, VIRT_HPT_R_R | VIRT_HPT_R_C | VIRT_HPT_R_M | 2};
    guint64 vsid;
    guint64 page;

    switch (bits >> 60) {
    case 0: /* 16M/16M, 1T: the offset has 16 bits of page number */
        page = bits >> 8 & 0xffff;
        vsid = unique << 24 | (hash ^ page);
        entry.v |= G_GUINT64_CONSTANT(1) << 62 | VIRT_HPT_V_LARGE | vsid << 24 | page << 8;
        entry.r |= rpn & ~G_GUINT64_CONSTANT(0xffffff);
        break;
    case 1:
    case 2:
    case 3:
    case 4: /* 4K/4K, 256M: 16 bits, of which AVPN holds 5 */
        page = bits >> 8 & 0xffff;
        vsid = unique << 24 | (hash ^ page);
        entry.v |= vsid << 12 | (page >> 11) << 7;
        entry.r |= rpn & ~G_GUINT64_CONSTANT(0xfff);
        break;
    default: /* 64K/64K, 1T: 24 bits, of which AVPN holds 17 */
        vsid = (bits >> 8 & 0xffff) << 4 | unique;
        page = (hash ^ vsid ^ vsid << 25) & mask & 0xffffff;
        entry.v |= G_GUINT64_CONSTANT(1) << 62 | VIRT_HPT_V_LARGE | vsid << 24 | (page >> 7) << 7;
        entry.r |= (rpn & ~G_GUINT64_CONSTANT(0xffff)) | 0x1000;
        break;
    }
    if (secondary)
        entry.v |= VIRT_HPT_V_SECONDARY;
    if (slot % VIRT_HPT_PTEG_SLOTS == 0)
        entry.v |= VIRT_HPT_V_BOLTED;
    return entry;
}

static gboolean
wanted(GRand *random, guint64 slot, BenchShape shape)
{
    switch (shape) {
    case BENCH_SPARSE:
        return slot % VIRT_HPT_PTEG_SLOTS == 0 && g_rand_int_range(random, 0, 100) < SPARSE_PTEGS;
    case BENCH_ALTERNATING:
        return slot % 2 == 0;
    case BENCH_FULL:
    case BENCH_BROKEN:
    default:
        return TRUE;
    }
}

/* One bit of R, of three that rules are about, of no use to other rules */
static void
breakEntry(GRand *random, VirtHptEntry *entry)
{
    const guint64 bits[] = {
        VIRT_HPT_R_TS, /* reserved */
        VIRT_HPT_R_M,  /* RAM that is not coherent */
        2 * BENCH_RAM, /* not RAM */
    };

    entry->r ^= bits[g_rand_int_range(random, 0, G_N_ELEMENTS(bits))];
}

/* A table of 2^@order bytes */
VirtHptTable *
benchTableNew(guint order, BenchShape shape)
{
    GRand *random = g_rand_new_with_seed(SEED);
    g_autoptr(GError) error = NULL;
    VirtHptTable *table = virtHptTableNew(order, G_GUINT64_CONSTANT(1) << order, &error);

    g_assert_no_error(error);
    for (guint64 slot = 0; slot < virtHptTableGetSlots(table); slot++) {
        if (wanted(random, slot, shape)) {
            VirtHptEntry entry = makeEntry(random, slot, order);

            if (shape == BENCH_BROKEN)
                breakEntry(random, &entry);
            virtHptTableSet(table, slot, &entry);
        }
    }
    g_rand_free(random);
    return table;
}

static gboolean
append(const guint8 *data, gsize length, gpointer opaque, G_GNUC_UNUSED GError **error)
{
    g_byte_array_append(opaque, data, (guint)length);
    return TRUE;
}

/* The records of @table in QEMU's encoding */
void
benchTableAppend(const VirtHptTable *table, GByteArray *stream)
{
    g_assert(virtHptTableEncode(table, VIRT_HPT_ENCODING_QEMU, append, stream, NULL));
}
