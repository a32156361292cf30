/*
 * test_snapshot_dryrun.c: what the dry-run helper says, and what is made of it
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves that a verdict is understood, that anything else is none, and never a good one.
 * Requires nothing: real dry runs are in the end-to-end tests.
 */

#include "config.h"

#include <string.h>

#include "snapshot/snapshot_dryrun.h"

typedef struct {
    const char *name;
    const char *answer;
    VirtHptDryRunOutcome outcome;
    const char *code;
    const char *message; /* a part of it, or %NULL */
} AnswerCase;

static const AnswerCase cases[] = {
    {"restored", "{\"verdict\":\"restored\",\"message\":\"\",\"log\":\"\"}\n",
     VIRT_HPT_DRY_RUN_RESTORED, "restorable", NULL},
    {"restored-with-words", "{\"verdict\":\"restored\",\"log\":\"load of migration failed: x\"}\n",
     VIRT_HPT_DRY_RUN_RESTORED, "restorable", NULL},
    {"first-line-counts", "{\"verdict\":\"restored\"}\n{\"verdict\":\"timeout\"}\n",
     VIRT_HPT_DRY_RUN_RESTORED, "restorable", NULL},
    {"refused-by-qemu",
     "{\"verdict\":\"refused\",\"message\":\"unexpectedly closed the monitor\",\"log\":\"start\\nx "
     "qemu-system-ppc64: Unknown ramblock \\\"vga.vram\\\", cannot accept migration\\n\"}\n",
     VIRT_HPT_DRY_RUN_REFUSED, "ram-block", "Unknown ramblock"},
    {"refused-for-a-new-reason", "{\"verdict\":\"refused\",\"message\":\"no\",\"log\":\"what\"}\n",
     VIRT_HPT_DRY_RUN_REFUSED, "qemu-refused", "no"},
    {"refused-without-words", "{\"verdict\":\"refused\"}\n", VIRT_HPT_DRY_RUN_REFUSED,
     "qemu-refused", NULL},
    {"refused-for-want-of-memory",
     "{\"verdict\":\"refused\",\"log\":\"VQ 0 size 0x100 < last_avail_idx 0xfff0 - used_idx 0x0\"}\n",
     VIRT_HPT_DRY_RUN_PARTIAL, "virtqueue-without-memory", "VQ 0"},
    {"control-characters", "{\"verdict\":\"refused\",\"message\":\"\\u001b[2Jx\",\"log\":\"\"}\n",
     VIRT_HPT_DRY_RUN_REFUSED, "qemu-refused", "?[2Jx"},
    {"unavailable", "{\"verdict\":\"unavailable\",\"message\":\"no user\"}\n",
     VIRT_HPT_DRY_RUN_UNKNOWN, "dry-run-unavailable", "no user"},
    {"timeout", "{\"verdict\":\"timeout\"}\n", VIRT_HPT_DRY_RUN_UNKNOWN, "dry-run-timeout", NULL},
    {"killed", "", VIRT_HPT_DRY_RUN_UNKNOWN, "dry-run-failed", NULL},
    {"half-a-line", "{\"verdict\":\"restored\"}", VIRT_HPT_DRY_RUN_UNKNOWN, "dry-run-failed", NULL},
    {"empty-line", "\n{\"verdict\":\"restored\"}\n", VIRT_HPT_DRY_RUN_UNKNOWN, "dry-run-failed",
     NULL},
    {"comment", "/* x */ {\"verdict\":\"restored\"}\n", VIRT_HPT_DRY_RUN_UNKNOWN, "dry-run-failed",
     NULL},
    {"brackets-in-a-string",
     "{\"verdict\":\"refused\",\"message\":\"\\\"]}[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}\n",
     VIRT_HPT_DRY_RUN_REFUSED, "qemu-refused", "]}[["},
    {"not-json", "restored\n", VIRT_HPT_DRY_RUN_UNKNOWN, "dry-run-failed", NULL},
    {"array", "[\"restored\"]\n", VIRT_HPT_DRY_RUN_UNKNOWN, "dry-run-failed", NULL},
    {"verdict-no-string", "{\"verdict\":[\"restored\"]}\n", VIRT_HPT_DRY_RUN_UNKNOWN,
     "dry-run-unavailable", NULL},
    {"verdict-number", "{\"verdict\":1}\n", VIRT_HPT_DRY_RUN_UNKNOWN, "dry-run-unavailable", NULL},
    {"verdict-unknown", "{\"verdict\":\"RESTORED\"}\n", VIRT_HPT_DRY_RUN_UNKNOWN,
     "dry-run-unavailable", NULL},
    {"no-verdict", "{}\n", VIRT_HPT_DRY_RUN_UNKNOWN, "dry-run-unavailable", NULL},
};

static void
testAnswer(gconstpointer opaque)
{
    const AnswerCase *test = opaque;
    g_autoptr(VirtHptDryRunReport) report = virtHptDryRunReportParse(test->answer);

    g_assert_cmpint(report->outcome, ==, test->outcome);
    g_assert_cmpstr(report->code, ==, test->code);
    g_assert_true(!test->message || strstr(report->message, test->message));
    g_assert_true(report->message || report->outcome == VIRT_HPT_DRY_RUN_RESTORED);
}

/* Deeper than any stack, and not deeper than the bound on an answer */
static void
testDeepAnswer(void)
{
    g_autoptr(GString) answer = g_string_new("{\"verdict\":\"restored\",\"log\":");
    g_autoptr(VirtHptDryRunReport) report = NULL;

    for (guint i = 0; i < 120000; i++)
        g_string_append_c(answer, '[');
    g_string_append_c(answer, '\n');
    report = virtHptDryRunReportParse(answer->str);
    g_assert_cmpint(report->outcome, ==, VIRT_HPT_DRY_RUN_UNKNOWN);
    g_assert_cmpstr(report->code, ==, "dry-run-failed");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/snapshot/dry-run/", cases[i].name, NULL);

        g_test_add_data_func(path, &cases[i], testAnswer);
    }
    g_test_add_func("/snapshot/dry-run/answer-too-deep", testDeepAnswer);
    return g_test_run();
}
