/*
 * snapshot_verdict.c: what a validation found, fact by fact
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "snapshot/snapshot_verdict.h"

static const char *const levelNames[] = {
    [VIRT_HPT_LEVEL_RECORD] = "record",
    [VIRT_HPT_LEVEL_TABLE] = "table",
    [VIRT_HPT_LEVEL_DRY_RUN] = "dry-run",
    [VIRT_HPT_LEVEL_DISKS] = "disks",
};

/**
 * virtHptLevelGetName:
 * @level: a level
 *
 * Returns: its stable name, never translated
 */
const char *
virtHptLevelGetName(VirtHptLevel level)
{
    g_return_val_if_fail((guint)level < G_N_ELEMENTS(levelNames), NULL);
    return levelNames[level];
}

/**
 * virtHptLevelFromName:
 * @name: what may be the name of a level
 * @level: (out): the level
 *
 * Returns: whether it is one
 */
gboolean
virtHptLevelFromName(const char *name, VirtHptLevel *level)
{
    for (gsize i = 0; i < G_N_ELEMENTS(levelNames); i++) {
        if (g_str_equal(name, levelNames[i])) {
            *level = (VirtHptLevel)i;
            return TRUE;
        }
    }
    return FALSE;
}

/**
 * virtHptResultGetName:
 * @result: a result
 *
 * Returns: its stable name, never translated
 */
const char *
virtHptResultGetName(VirtHptResult result)
{
    switch (result) {
    case VIRT_HPT_RESULT_PASSED:
        return "passed";
    case VIRT_HPT_RESULT_WARNED:
        return "warned";
    case VIRT_HPT_RESULT_FAILED:
        return "failed";
    case VIRT_HPT_RESULT_NOT_CHECKED:
        return "not-checked";
    }
    g_return_val_if_reached(NULL);
}

static void
factFree(gpointer data)
{
    VirtHptFact *fact = data;

    g_free(fact->code);
    g_free(fact->message);
    g_free(fact->advice);
    g_free(fact);
}

void
virtHptVerdictFree(VirtHptVerdict *verdict)
{
    if (!verdict)
        return;
    g_ptr_array_unref(verdict->facts);
    g_free(verdict);
}

/**
 * virtHptVerdictNew:
 *
 * Returns: (transfer full): a verdict of which nothing is established
 */
VirtHptVerdict *
virtHptVerdictNew(void)
{
    VirtHptVerdict *verdict = g_new0(VirtHptVerdict, 1);

    verdict->facts = g_ptr_array_new_with_free_func(factFree);
    for (gsize i = 0; i < G_N_ELEMENTS(verdict->levels); i++)
        verdict->levels[i] = VIRT_HPT_RESULT_NOT_CHECKED;
    return verdict;
}

static gboolean
isWorse(VirtHptResult a, VirtHptResult b)
{
    return b == VIRT_HPT_RESULT_NOT_CHECKED || (a != VIRT_HPT_RESULT_NOT_CHECKED && a > b);
}

/**
 * virtHptVerdictAdd:
 * @verdict: a verdict
 * @level: the level that established the fact
 * @result: what it means for the verdict
 * @code: its stable reason code
 * @message: (transfer full): the fact, translated
 * @advice: (nullable): what to do about it, translated
 */
void
virtHptVerdictAdd(VirtHptVerdict *verdict,
                  VirtHptLevel level,
                  VirtHptResult result,
                  const char *code,
                  char *message,
                  const char *advice)
{
    VirtHptFact *fact = g_new0(VirtHptFact, 1);

    fact->level = level;
    fact->result = result;
    fact->code = g_strdup(code);
    fact->message = message;
    fact->advice = g_strdup(advice);
    g_ptr_array_add(verdict->facts, fact);
    if (isWorse(result, verdict->levels[level]))
        verdict->levels[level] = result;
    if (isWorse(result, verdict->result))
        verdict->result = result;
}

/**
 * virtHptVerdictAddUnchecked:
 * @verdict: a verdict
 * @level: a level that ought to have been run, and was not
 * @code: the stable reason code
 * @message: (transfer full): why not, translated
 * @advice: (nullable): what to do about it, translated
 *
 * The verdict passes with warnings at best.
 */
void
virtHptVerdictAddUnchecked(VirtHptVerdict *verdict,
                           VirtHptLevel level,
                           const char *code,
                           char *message,
                           const char *advice)
{
    virtHptVerdictAdd(verdict, level, VIRT_HPT_RESULT_NOT_CHECKED, code, message, advice);
    if (isWorse(VIRT_HPT_RESULT_WARNED, verdict->result))
        verdict->result = VIRT_HPT_RESULT_WARNED;
}
