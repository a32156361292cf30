/*
 * data_testutils.c: files that lie beside the tests, and what a test writes into them
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "data_testutils.h"

/* tests/@directory/@name@suffix */
char *
testDataPath(const char *directory, const char *name, const char *suffix)
{
    g_autofree char *file = g_strconcat(name, suffix, NULL);

    return g_test_build_filename(G_TEST_DIST, directory, file, NULL);
}

/* The contents of a file, and, unless that is %NULL, their length */
char *
testDataRead(const char *path, gsize *length)
{
    g_autoptr(GError) error = NULL;
    char *text = NULL;

    g_file_get_contents(path, &text, length, &error);
    g_assert_no_error(error);
    return text;
}

/* Writes a file, if it is to be regenerated; returns whether it was */
gboolean
testDataRegenerate(const char *path, const char *text)
{
    g_autoptr(GError) error = NULL;

    if (!g_getenv("VIRT_HPT_TEST_REGENERATE_OUTPUT"))
        return FALSE;
    g_file_set_contents(path, text, -1, &error);
    g_assert_no_error(error);
    return TRUE;
}

/* Compares with a file, or writes it */
void
testDataCompare(const char *path, const char *actual)
{
    g_autofree char *expected = NULL;

    if (testDataRegenerate(path, actual))
        return;
    expected = testDataRead(path, NULL);
    g_assert_cmpstr(actual, ==, expected);
}
