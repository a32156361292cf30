/*
 * test_htab_check.c: each rule finds what it is there for, and nothing else
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves for each case of htabdata/checks.ini that an entry planted into a sound table is
 * reported by exactly the expected rule, at its slot, in the expected words; that findings are
 * capped but counted; and that names and severities of rules are stable.
 *
 * Requires nothing.
 */

#include <string.h>

#include "libvirt-hpt/htab_check.h"
#include "htab_testutils.h"

static GKeyFile *cases;

/* The key of the case, else that of [sound] */
static guint64
getNumber(const char *group, const char *key)
{
    if (!g_key_file_has_key(cases, group, key, NULL))
        group = "sound";
    return g_key_file_get_uint64(cases, group, key, NULL);
}

static void
plant(VirtHptTable *table, const char *group)
{
    g_auto(GStrv) entries = g_key_file_get_string_list(cases, group, "entries", NULL, NULL);

    g_assert_nonnull(entries);
    testSetEntries(table, entries);
}

static VirtHptTable *
makeTable(const char *group)
{
    VirtHptTable *table = virtHptTableNew((guint)getNumber("sound", "order"), TEST_MAX_BYTES, NULL);

    if (g_key_file_get_boolean(cases, group, "empty", NULL))
        return table;
    if (!g_key_file_get_boolean(cases, group, "bare", NULL))
        plant(table, "sound");
    plant(table, group);
    return table;
}

static void
checkFinding(const VirtHptFinding *finding, char **expected, const VirtHptTable *table)
{
    g_autofree char *slot = finding->slot == VIRT_HPT_NO_SLOT
                                ? g_strdup("-")
                                : g_strdup_printf("%x", (guint)finding->slot);

    g_assert_cmpuint(g_strv_length(expected), ==, 4);
    g_assert_cmpstr(virtHptRuleGetName(finding->rule), ==, expected[0]);
    g_assert_cmpstr(slot, ==, expected[1]);
    g_assert_cmpstr(finding->found, ==, expected[2]);
    g_assert_cmpstr(finding->expected, ==, expected[3]);
    g_assert_cmpint(finding->severity, ==, virtHptRuleGetSeverity(finding->rule));
    if (finding->slot != VIRT_HPT_NO_SLOT) {
        g_assert_cmphex(finding->entry.v, ==, virtHptTableGet(table, finding->slot).v);
    } else {
        g_assert_cmphex(finding->entry.v, ==, 0);
    }
}

/* The ranges of "plugged" */
static GArray *
makePlugged(const char *group)
{
    g_auto(GStrv) texts = g_key_file_get_string_list(cases, group, "plugged", NULL, NULL);
    GArray *ranges = g_array_new(FALSE, FALSE, sizeof(VirtHptRamRange));

    for (guint i = 0; texts && texts[i]; i++) {
        g_auto(GStrv) words = g_strsplit(texts[i], ":", 0);
        VirtHptRamRange range;

        g_assert_cmpuint(g_strv_length(words), ==, 2);
        range.start = g_ascii_strtoull(words[0], NULL, 16);
        range.length = g_ascii_strtoull(words[1], NULL, 16);
        g_array_append_val(ranges, range);
    }
    return ranges;
}

static void
testCase(gconstpointer data)
{
    const char *group = data;
    g_autoptr(VirtHptTable) table = makeTable(group);
    g_autoptr(GArray) plugged = makePlugged(group);
    g_autoptr(VirtHptReport) report = NULL;
    VirtHptCheckContext context = {0};
    guint64 total = 0;

    context.maxPageShift = (guint)getNumber(group, "maxPageShift");
    context.ramBytes = getNumber(group, "ramBytes");
    context.orderBytes = getNumber(group, "orderBytes");
    context.orderMaxBytes = getNumber(group, "orderMaxBytes");
    context.plugged = (gconstpointer)plugged->data;
    context.nplugged = plugged->len;
    report = virtHptTableCheck(table, &context);

    for (guint i = 0;; i++) {
        g_autofree char *key = g_strdup_printf("finding%u", i);
        g_auto(GStrv) expected = g_key_file_get_string_list(cases, group, key, NULL, NULL);

        if (!expected) {
            g_assert_cmpuint(report->findings->len, ==, i);
            break;
        }
        g_assert_cmpuint(report->findings->len, >, i);
        checkFinding(g_ptr_array_index(report->findings, i), expected, table);
    }
    for (guint i = 0; i < VIRT_HPT_RULE_COUNT; i++)
        total += report->counts[i];
    g_assert_cmpuint(total, ==, report->findings->len);
}

static void
testCap(void)
{
    g_autoptr(VirtHptTable) table = virtHptTableNew(18, TEST_MAX_BYTES, NULL);
    VirtHptCheckContext context = {0};
    static const guint caps[] = {0, 1, 40, 1000};
    static const guint kept[] = {16, 1, 40, 100};

    for (guint64 slot = 0; slot < 100; slot++) {
        const VirtHptEntry entry = {0x8000000000000011, 0};

        virtHptTableSet(table, slot * 8, &entry);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(caps); i++) {
        g_autoptr(VirtHptReport) report = NULL;

        context.maxPerRule = caps[i];
        report = virtHptTableCheck(table, &context);
        g_assert_cmpuint(report->findings->len, ==, kept[i]);
        g_assert_cmpuint(report->counts[VIRT_HPT_RULE_SEGMENT_RESERVED], ==, 100);
        g_assert_cmpuint(virtHptReportCount(report, VIRT_HPT_SEVERITY_ERROR), ==, 100);
        g_assert_cmpuint(virtHptReportCount(report, VIRT_HPT_SEVERITY_WARNING), ==, 0);
    }
}

static void
testPlacement(void)
{
    static const VirtHptPlacement expected[] = {
        {{12, 12}, 2, 4}, {{12, 24}, 1, 4}, {{16, 16}, 3, 8}, {{16, 24}, 1, 8}, {{24, 24}, 1, 15},
    };
    g_autoptr(VirtHptTable) table = makeTable("a sound table has no findings");
    g_autoptr(VirtHptReport) report = virtHptTableCheck(table, NULL);

    g_assert_cmpuint(report->ptegBits, ==, 15);
    g_assert_cmpuint(report->placement->len, ==, G_N_ELEMENTS(expected));
    for (guint i = 0; i < report->placement->len; i++) {
        const VirtHptPlacement *p = &g_array_index(report->placement, VirtHptPlacement, i);

        g_assert_cmpuint(p->size.base, ==, expected[i].size.base);
        g_assert_cmpuint(p->size.actual, ==, expected[i].size.actual);
        g_assert_cmpuint(p->entries, ==, expected[i].entries);
        g_assert_cmpuint(p->verifiable, ==, expected[i].verifiable);
    }
}

/* They stand in records: an old record must keep its meaning.  Severities tell what is restored. */
static void
testNames(void)
{
    static const struct {
        const char *name;
        VirtHptSeverity severity;
    } names[] = {
        {"order-range", VIRT_HPT_SEVERITY_ERROR},
        {"order-ram", VIRT_HPT_SEVERITY_WARNING},
        {"segment-reserved", VIRT_HPT_SEVERITY_ERROR},
        {"page-size", VIRT_HPT_SEVERITY_ERROR},
        {"page-size-unusual", VIRT_HPT_SEVERITY_WARNING},
        {"page-size-limit", VIRT_HPT_SEVERITY_ERROR},
        {"rpn-alignment", VIRT_HPT_SEVERITY_ERROR},
        {"rpn-range", VIRT_HPT_SEVERITY_WARNING},
        {"hash-placement", VIRT_HPT_SEVERITY_ERROR},
        {"duplicate", VIRT_HPT_SEVERITY_ERROR},
        {"avpn-width", VIRT_HPT_SEVERITY_WARNING},
        {"no-bolted", VIRT_HPT_SEVERITY_WARNING},
        {"mmio-range", VIRT_HPT_SEVERITY_WARNING},
        {"cache-mode", VIRT_HPT_SEVERITY_WARNING},
        {"reserved-bits", VIRT_HPT_SEVERITY_WARNING},
        {"protection", VIRT_HPT_SEVERITY_WARNING},
        {"avpn-stray", VIRT_HPT_SEVERITY_WARNING},
        {"vrma-mapping", VIRT_HPT_SEVERITY_WARNING},
        {"table-full", VIRT_HPT_SEVERITY_NOTE},
        {"secondary-excess", VIRT_HPT_SEVERITY_WARNING},
        {"bolted-excess", VIRT_HPT_SEVERITY_WARNING},
    };
    VirtHptRule rule = VIRT_HPT_RULE_COUNT;

    g_assert_cmpuint(G_N_ELEMENTS(names), ==, VIRT_HPT_RULE_COUNT);
    for (guint i = 0; i < VIRT_HPT_RULE_COUNT; i++) {
        g_assert_cmpstr(virtHptRuleGetName((VirtHptRule)i), ==, names[i].name);
        g_assert_true(virtHptRuleFromName(names[i].name, &rule));
        g_assert_cmpuint(rule, ==, i);
        g_assert_cmpint(virtHptRuleGetSeverity(rule), ==, names[i].severity);
    }
    g_assert_false(virtHptRuleFromName("order", &rule));
    g_assert_cmpstr(virtHptSeverityGetName(VIRT_HPT_SEVERITY_NOTE), ==, "note");
    g_assert_cmpstr(virtHptSeverityGetName(VIRT_HPT_SEVERITY_WARNING), ==, "warning");
    g_assert_cmpstr(virtHptSeverityGetName(VIRT_HPT_SEVERITY_ERROR), ==, "error");
}

static void
checkSentence(const char *text)
{
    g_assert_true(g_unichar_isupper(g_utf8_get_char(text)));
    g_assert_true(g_str_has_suffix(text, "."));
}

static void
testTexts(void)
{
    for (guint i = 0; i < VIRT_HPT_RULE_COUNT; i++) {
        VirtHptRuleText text = {0};

        virtHptRuleGetText((VirtHptRule)i, &text);
        g_assert_cmpstr(text.summary, ==, virtHptRuleGetSummary((VirtHptRule)i));
        g_assert_cmpuint(strlen(text.summary), >, 0);
        checkSentence(text.meaning);
        checkSentence(text.guests);
        checkSentence(text.advice);
        g_assert_true(strstr(text.source, "Linux arch") || strstr(text.source, "QEMU 7.2 ") ||
                      strstr(text.source, "Power ISA "));
    }
}

/* The fault of each rule is planted by a case of checks.ini or, where that cannot be, by a test */
static void
testEachRuleIsPlanted(void)
{
    g_auto(GStrv) groups = g_key_file_get_groups(cases, NULL);
    gboolean planted[VIRT_HPT_RULE_COUNT] = {0};

    planted[VIRT_HPT_RULE_ORDER_RANGE] = TRUE; /* testOrder() */
    planted[VIRT_HPT_RULE_TABLE_FULL] = TRUE;  /* testFull() */
    for (guint i = 0; groups[i]; i++) {
        g_auto(GStrv) finding =
            g_key_file_get_string_list(cases, groups[i], "finding0", NULL, NULL);
        VirtHptRule rule;

        if (finding && virtHptRuleFromName(finding[0], &rule))
            planted[rule] = TRUE;
    }
    for (guint i = 0; i < VIRT_HPT_RULE_COUNT; i++) {
        if (!planted[i])
            g_error("no test plants '%s'", virtHptRuleGetName((VirtHptRule)i));
    }
}

static void
testOrder(void)
{
    const VirtHptCheckContext context = {.orderBytes = 512U << 20};
    static const struct {
        guint order;
        const char *rule; /* of the only finding */
    } orders[] = {
        {0, "order-range"},  {5, "order-range"},  {17, "order-range"},
        {18, "order-ram"},   {22, NULL},          {46, "order-ram"},
        {47, "order-range"}, {64, "order-range"}, {G_MAXUINT, "order-range"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(orders); i++) {
        g_autoptr(VirtHptReport) report = virtHptOrderCheck(orders[i].order, &context);
        const VirtHptFinding *finding;

        g_assert_cmpuint(report->findings->len, ==, orders[i].rule ? 1 : 0);
        if (!orders[i].rule)
            continue;
        finding = g_ptr_array_index(report->findings, 0);
        g_assert_cmpstr(virtHptRuleGetName(finding->rule), ==, orders[i].rule);
        g_assert_cmpuint(finding->slot, ==, VIRT_HPT_NO_SLOT);
        g_assert_cmpuint(report->counts[finding->rule], ==, 1);
    }
}

/* 4K pages fill both PTEGs of their hashes: half of the slots hold primary entries */
static void
testFull(void)
{
    g_autoptr(VirtHptTable) table = virtHptTableNew(18, TEST_MAX_BYTES, NULL);
    g_autoptr(VirtHptReport) report = NULL;
    guint64 slots = virtHptTableGetSlots(table);

    for (guint64 slot = 0; slot < slots; slot++) {
        guint64 secondary = slot % 2 ? VIRT_HPT_V_SECONDARY : 0;
        /* A VSID of its own for each member, so that no page has two entries */
        const VirtHptEntry entry = {
            .v =
                slot % VIRT_HPT_PTEG_SLOTS << 40 | secondary | VIRT_HPT_V_BOLTED | VIRT_HPT_V_VALID,
            .r = VIRT_HPT_R_M,
        };

        virtHptTableSet(table, slot, &entry);
        if (slot == slots - 2) {
            g_autoptr(VirtHptReport) before = virtHptTableCheck(table, NULL);

            g_assert_cmpuint(before->findings->len, ==, 0);
        }
    }
    report = virtHptTableCheck(table, NULL);
    g_assert_cmpuint(report->findings->len, ==, 1);
    g_assert_cmpuint(report->counts[VIRT_HPT_RULE_TABLE_FULL], ==, 1);
    g_assert_cmpuint(virtHptReportCount(report, VIRT_HPT_SEVERITY_NOTE), ==, 1);
}

int
main(int argc, char **argv)
{
    g_auto(GStrv) groups = NULL;
    int rc;

    g_test_init(&argc, &argv, NULL);

    cases = testLoadCases("checks.ini");
    groups = g_key_file_get_groups(cases, NULL);
    for (guint i = 0; groups[i]; i++) {
        g_autofree char *path = g_strdup_printf("/htab/check/%s", groups[i]);

        if (strcmp(groups[i], "sound") != 0)
            g_test_add_data_func(path, groups[i], testCase);
    }
    g_test_add_func("/htab/check/findings are capped a rule and all counted", testCap);
    g_test_add_func("/htab/check/the report says how much of the placement is verified",
                    testPlacement);
    g_test_add_func("/htab/check/names and severities of rules are stable", testNames);
    g_test_add_func("/htab/check/each rule has its texts", testTexts);
    g_test_add_func("/htab/check/each rule is planted by a test", testEachRuleIsPlanted);
    g_test_add_func("/htab/check/orders are checked without a table", testOrder);
    g_test_add_func("/htab/check/a table without a free slot is full", testFull);

    rc = g_test_run();
    g_key_file_free(cases);
    return rc;
}
