/*
 * test_htab_check_plain.c: what a check passes over, no rule has anything to say about
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves on sound tables that all of their entries are recognised as plain ones, and on such tables
 * with random damage that no rule finds anything in a PTEG that is; that to judge what is suspect
 * about the others finds what to judge them whole does; and that what was counted is what each
 * entry by itself comes to.  And that RAM may end within a page, which is none then.
 *
 * Requires nothing.  GLib prints the seed ("random seed: R02S..."); --seed=R02S... repeats a run.
 */

#include "bench/bench_table.h"
#include "htab/htab_checkpriv.h"
#include "htab_check_testutils.h"

#define ORDER 18
#define SLOTS (1 << (ORDER - 4))
#define ROUNDS 12
#define DAMAGED 400

/* Where the last page of RAM is, if RAM ends with it or within it */
#define LAST_PAGE (G_GUINT64_CONSTANT(1) << 30)

/* The RAM that the entries of the tables map, as a whole and with a gap */
static const VirtHptRamRange plugged[] = {
    {BENCH_RAM / 4, BENCH_RAM / 4},
    {BENCH_RAM / 2, BENCH_RAM / 2},
};
static const VirtHptCheckContext contexts[] = {
    {0},
    {.ramBytes = BENCH_RAM},
    {.ramBytes = BENCH_RAM, .maxPageShift = 24},
    {.ramBytes = BENCH_RAM / 4, .plugged = plugged, .nplugged = G_N_ELEMENTS(plugged)},
    {.ramBytes = BENCH_RAM / 2, .maxPageShift = 16},
    {.ramBytes = 4096},
};

/* Of the first three, nothing is wrong with the tables */
#define SOUND_CONTEXTS 3

static guint
randomBelow(guint n)
{
    return (guint)g_test_rand_int_range(0, (gint32)n);
}

static void
testSound(void)
{
    for (guint shape = BENCH_FULL; shape <= BENCH_ALTERNATING; shape++) {
        g_autoptr(VirtHptTable) table = benchTableNew(ORDER, (BenchShape)shape);

        for (guint i = 0; i < SOUND_CONTEXTS; i++)
            g_assert_cmpuint(testComparePlain(table, &contexts[i], NULL), ==, 0);
    }
}

/* The same virtual page once more, in either PTEG of its hash */
static void
addDouble(VirtHptTable *table, guint64 slot)
{
    VirtHptEntry entry = virtHptTableGet(table, slot);
    guint64 pteg = slot / VIRT_HPT_PTEG_SLOTS;

    if (randomBelow(2)) {
        pteg = ~pteg & (virtHptTableGetPtegs(table) - 1);
        entry.v ^= VIRT_HPT_V_SECONDARY;
    }
    entry.r ^= G_GUINT64_CONSTANT(1) << 30;
    virtHptTableSet(table, pteg * VIRT_HPT_PTEG_SLOTS + randomBelow(VIRT_HPT_PTEG_SLOTS), &entry);
}

/* A 64K page of the VRMA, in its primary PTEG, where @entry maps one */
static VirtHptEntry
makeVrma(guint64 slot, const VirtHptEntry *entry)
{
    /* VSID has all bits set that a PTEG number of this order has */
    guint64 page = ~(slot / VIRT_HPT_PTEG_SLOTS) & (SLOTS / VIRT_HPT_PTEG_SLOTS - 1);

    return (VirtHptEntry){
        VIRT_HPT_CHECK_V_VRMA | (page >> 7) << VIRT_HPT_V_AVPN_SHIFT | VIRT_HPT_V_LARGE |
            VIRT_HPT_V_VALID,
        (entry->r & ~G_GUINT64_CONSTANT(0xf000)) | 0x1000,
    };
}

static void
damage(VirtHptTable *table, guint64 slot)
{
    VirtHptEntry entry = virtHptTableGet(table, slot);

    switch (randomBelow(9)) {
    case 0:
        addDouble(table, slot);
        return;
    case 1: /* another page size */
        entry.v |= VIRT_HPT_V_LARGE;
        entry.r = (entry.r & ~G_GUINT64_CONSTANT(0xff000)) | (guint64)randomBelow(256) << 12;
        break;
    case 2: /* of a 16G page, with bits below it */
        entry.v |= VIRT_HPT_V_LARGE;
        entry.r = (entry.r & ~VIRT_HPT_R_RPN) | 0x3000;
        break;
    case 3: /* other WIMG bits and protection */
        entry.r ^= (guint64)randomBelow(16) << 3 | (guint64)randomBelow(2) << 63 | randomBelow(4);
        break;
    case 4:
        entry = makeVrma(slot, &entry);
        break;
    case 5: /* no damage: a real page of 16M that a smaller virtual one is part of */
        entry.r &= ~G_GUINT64_CONSTANT(0xfff000);
        entry.r |= entry.v & VIRT_HPT_V_LARGE ? 0x8000 : 0x38000;
        entry.v |= VIRT_HPT_V_LARGE;
        break;
    default:
        for (guint n = 1 + randomBelow(3); n > 0; n--) {
            guint64 bit = G_GUINT64_CONSTANT(1) << randomBelow(64);

            if (randomBelow(2))
                entry.v ^= bit;
            else
                entry.r ^= bit;
        }
        break;
    }
    virtHptTableSet(table, slot, &entry);
}

/* The damage must be such that each rule about entries has something to say */
static void
testDamaged(void)
{
    static const VirtHptRule rules[] = {
        VIRT_HPT_RULE_PAGE_SIZE,     VIRT_HPT_RULE_PAGE_SIZE_LIMIT, VIRT_HPT_RULE_PAGE_SIZE_UNUSUAL,
        VIRT_HPT_RULE_RPN_ALIGNMENT, VIRT_HPT_RULE_RPN_RANGE,       VIRT_HPT_RULE_HASH_PLACEMENT,
        VIRT_HPT_RULE_DUPLICATE,     VIRT_HPT_RULE_AVPN_WIDTH,      VIRT_HPT_RULE_SEGMENT_RESERVED,
        VIRT_HPT_RULE_MMIO_RANGE,    VIRT_HPT_RULE_CACHE_MODE,      VIRT_HPT_RULE_RESERVED_BITS,
        VIRT_HPT_RULE_PROTECTION,    VIRT_HPT_RULE_AVPN_STRAY,      VIRT_HPT_RULE_VRMA_MAPPING,
    };
    guint64 counts[VIRT_HPT_RULE_COUNT] = {0};

    for (guint i = 0; i < ROUNDS; i++) {
        g_autoptr(VirtHptTable) table =
            benchTableNew(ORDER, randomBelow(2) ? BENCH_FULL : BENCH_ALTERNATING);

        for (guint n = 0; n < DAMAGED; n++)
            damage(table, randomBelow(SLOTS));
        for (guint j = 0; j < G_N_ELEMENTS(contexts); j++)
            g_assert_cmpuint(testComparePlain(table, &contexts[j], counts), >, 0);
    }
    for (guint i = 0; i < G_N_ELEMENTS(rules); i++)
        g_assert_cmpuint(counts[rules[i]], >, 0);
}

/* Where every entry breaks a rule, the others of its PTEG and its own other rules still count */
static void
testBroken(void)
{
    g_autoptr(VirtHptTable) table = benchTableNew(ORDER, BENCH_BROKEN);

    for (guint round = 0; round < 2; round++) {
        for (guint j = 0; j < G_N_ELEMENTS(contexts); j++)
            testComparePlain(table, &contexts[j], NULL);
        g_assert_cmpuint(testComparePlain(table, &contexts[1], NULL), ==,
                         SLOTS / VIRT_HPT_PTEG_SLOTS);
        for (guint n = 0; n < SLOTS / 4; n++)
            damage(table, randomBelow(SLOTS));
    }
}

/* RAM ends 2 KiB before the page does, with it, and 2 KiB behind it */
static void
testEndOfRam(void)
{
    static const struct {
        guint64 bytes;
        VirtHptEntry entry; /* at @LAST_PAGE, where a hash of 0 wants it */
    } pages[] = {
        {0x1000, {VIRT_HPT_V_VALID, LAST_PAGE | VIRT_HPT_R_M | 2}},
        {0x10000, {VIRT_HPT_V_LARGE | VIRT_HPT_V_VALID, LAST_PAGE | 0x1000 | VIRT_HPT_R_M | 2}},
    };

    for (guint i = 0; i < G_N_ELEMENTS(pages); i++) {
        g_autoptr(VirtHptTable) table = virtHptTableNew(ORDER, 1 << ORDER, NULL);

        virtHptTableSet(table, 0, &pages[i].entry);
        for (gint beyond = -0x800; beyond <= 0x800; beyond += 0x800) {
            const guint64 end = LAST_PAGE + pages[i].bytes + (guint64)beyond;
            const VirtHptRamRange rest = {LAST_PAGE / 2, end - LAST_PAGE / 2};
            const VirtHptCheckContext ends[] = {
                {.ramBytes = end},
                {.ramBytes = LAST_PAGE / 2, .plugged = &rest, .nplugged = 1},
            };

            for (guint j = 0; j < G_N_ELEMENTS(ends); j++) {
                guint64 counts[VIRT_HPT_RULE_COUNT] = {0};

                g_assert_cmpuint(testComparePlain(table, &ends[j], counts), ==, beyond < 0);
                g_assert_cmpuint(counts[VIRT_HPT_RULE_RPN_RANGE], ==, beyond < 0);
            }
        }
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    g_test_add_func("/htab/check/plain/all entries of a sound table are plain", testSound);
    g_test_add_func("/htab/check/plain/no rule has anything to say about a plain entry",
                    testDamaged);
    g_test_add_func("/htab/check/plain/what is not plain about an entry is judged", testBroken);
    g_test_add_func("/htab/check/plain/a page that RAM ends within is none of RAM", testEndOfRam);

    return g_test_run();
}
