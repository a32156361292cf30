/*
 * test_htab_entry.c: one HPTE is understood as the MMU understands it
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves that page size, real address and virtual address come out of entries of every page
 * size, both segment sizes and both PTEGs as they went in, and that an entry at a wrong place has
 * no address.  Expectations: htabdata/entries.txt, made in the forward direction.
 *
 * Requires nothing.
 */

#include <string.h>

#include "htab_testutils.h"

typedef struct {
    VirtHptEntry entry;
    guint64 slot;
    guint order;
    const char *size;
    const char *real;
    const char *address;
} Line;

static void
checkLine(const Line *line)
{
    VirtHptPageSize size;
    VirtHptAddress address;
    g_autofree char *sizeText = NULL;
    g_autofree char *realText = NULL;
    char buf[VIRT_HPT_ADDRESS_BUFLEN];

    if (!virtHptEntryGetPageSize(&line->entry, &size)) {
        g_assert_cmpstr(line->size, ==, "invalid");
        return;
    }
    sizeText = g_strdup_printf("%u/%u", size.base, size.actual);
    g_assert_cmpstr(sizeText, ==, line->size);

    realText =
        g_strdup_printf("%" G_GINT64_MODIFIER "x", virtHptEntryGetRealAddress(&line->entry, &size));
    g_assert_cmpstr(realText, ==, line->real);

    if (!virtHptEntryGetAddress(&line->entry, &size, line->slot, line->order, &address)) {
        g_assert_cmpstr(line->address, ==, "none");
        return;
    }
    virtHptAddressFormat(&address, buf);
    g_assert_cmpstr(buf, ==, line->address);
}

static void
testEntries(void)
{
    g_autofree char *text = testLoadFile("entries.txt");
    g_auto(GStrv) lines = g_strsplit(text, "\n", 0);
    guint checked = 0;

    for (guint i = 0; lines[i]; i++) {
        g_auto(GStrv) words = NULL;
        Line line;

        if (lines[i][0] == '#' || lines[i][0] == '\0')
            continue;
        words = g_strsplit(lines[i], " ", 0);
        g_assert_cmpuint(g_strv_length(words), ==, 7);
        line.entry.v = g_ascii_strtoull(words[0], NULL, 16);
        line.entry.r = g_ascii_strtoull(words[1], NULL, 16);
        line.slot = g_ascii_strtoull(words[2], NULL, 16);
        line.order = (guint)g_ascii_strtoull(words[3], NULL, 10);
        line.size = words[4];
        line.real = words[5];
        line.address = words[6];
        g_test_message("entries.txt:%u", i + 1);
        checkLine(&line);
        checked++;
    }
    g_assert_cmpuint(checked, >, 400);
}

static void
testVerifiableBits(void)
{
    static const struct {
        VirtHptPageSize size;
        guint order;
        guint bits;
    } cases[] = {
        {{12, 12}, 18, 0},  {{12, 12}, 24, 6},  {{12, 24}, 24, 6},  {{16, 16}, 18, 4},
        {{16, 24}, 24, 10}, {{24, 24}, 18, 11}, {{34, 34}, 24, 17}, {{12, 12}, 5, 0},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_cmpuint(virtHptPageSizeVerifiableBits(&cases[i].size, cases[i].order), ==,
                         cases[i].bits);
    }
}

static void
testFormat(void)
{
    static const struct {
        VirtHptAddress address;
        const char *text;
    } cases[] = {
        {{0, 0, 28}, "0x0000000000000000"},
        {{0x1ffffff, 0x1fff0000, 40}, "0x1ffffff001fff0000"},
        {{0xffffff, 0xff1fff0000, 40}, "0xffffffff1fff0000"},
        {{0x3fffffffff, 0xffffffffff, 40}, "0x3fffffffffffffffffff"},
        {{0x3ffffffffffff, 0xfffffff, 28}, "0x3fffffffffffffffffff"},
    };
    char buf[VIRT_HPT_ADDRESS_BUFLEN];

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        virtHptAddressFormat(&cases[i].address, buf);
        g_assert_cmpstr(buf, ==, cases[i].text);
    }
}

static void
testCovers(void)
{
    const VirtHptAddress address = {0x3fffffffff, 0xfffff10000, 40};
    const guint64 low = 0xfffffffffff10000;

    g_assert_true(virtHptAddressCovers(&address, 16, 0x3fff, low));
    g_assert_true(virtHptAddressCovers(&address, 16, 0x3fff, low | 0xffff));
    g_assert_false(virtHptAddressCovers(&address, 16, 0x3fff, low + 0x10000));
    g_assert_false(virtHptAddressCovers(&address, 16, 0x3fff, low - 1));
    g_assert_false(virtHptAddressCovers(&address, 16, 0x3ffe, low));
    g_assert_false(virtHptAddressCovers(&address, 16, 0, low));
    /* An entry for a base page maps a larger actual page all around it */
    g_assert_true(virtHptAddressCovers(&address, 24, 0x3fff, low - 1));
}

static void
testFields(void)
{
    VirtHptEntry entry = {0, 0};

    entry.r = VIRT_HPT_R_KEY_HI;
    g_assert_cmpuint(virtHptEntryGetKey(&entry), ==, 0x18);
    entry.r = VIRT_HPT_R_KEY_LO;
    g_assert_cmpuint(virtHptEntryGetKey(&entry), ==, 0x07);
    entry.r = ~(VIRT_HPT_R_KEY_HI | VIRT_HPT_R_KEY_LO);
    g_assert_cmpuint(virtHptEntryGetKey(&entry), ==, 0);

    entry.r = VIRT_HPT_R_PP0;
    g_assert_cmpuint(virtHptEntryGetProtection(&entry), ==, 4);
    entry.r = VIRT_HPT_R_PP;
    g_assert_cmpuint(virtHptEntryGetProtection(&entry), ==, 3);
    entry.r = ~(VIRT_HPT_R_PP0 | VIRT_HPT_R_PP);
    g_assert_cmpuint(virtHptEntryGetProtection(&entry), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    g_test_add_func("/htab/entry/entries decode to what they were made from", testEntries);
    g_test_add_func("/htab/entry/the verifiable bits of a PTEG follow from page size and order",
                    testVerifiableBits);
    g_test_add_func("/htab/entry/an address of 78 bits is formatted whole", testFormat);
    g_test_add_func("/htab/entry/an address is compared in all its 78 bits", testCovers);
    g_test_add_func("/htab/entry/key and protection are joined from both ends of R", testFields);

    return g_test_run();
}
