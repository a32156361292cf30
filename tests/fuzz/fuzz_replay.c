/*
 * fuzz_replay.c: a fuzzing harness without a fuzzer
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Linked with a harness in place of libFuzzer, it runs the harness over each of its seeds, one test
 * a file: those of corpus/NAME/, where NAME is that of the program, or the files that are given
 * after "--" on the command line.  The harness aborts where it finds a fault.
 */

#include "config.h"

#include <string.h>

#include <glib.h>

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

static void
replayFile(gconstpointer path)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *contents = NULL;
    g_autofree guint8 *data = NULL;
    gsize length = 0;

    g_file_get_contents(path, &contents, &length, &error);
    g_assert_no_error(error);

    /* A copy without the NUL that GLib puts behind it: reading past the end is to be noticed */
    data = g_malloc(length);
    if (length)
        memcpy(data, contents, length);
    g_assert_cmpint(LLVMFuzzerTestOneInput(data, length), ==, 0);
}

static void
replayAdd(const char *program, const char *path)
{
    g_autofree char *name = g_path_get_basename(path);
    g_autofree char *test = g_strdup_printf("/%s/%s", program, name);

    g_test_add_data_func_full(test, g_strdup(path), replayFile, g_free);
}

static gint
replayCompare(gconstpointer a, gconstpointer b)
{
    return g_strcmp0(*(const char *const *)a, *(const char *const *)b);
}

/* In the order of their names: that of the directory differs between file systems */
static void
replayAddCorpus(const char *program)
{
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "fuzz", "corpus", program, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) dir = g_dir_open(path, 0, &error);
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(g_free);
    const char *name;

    g_assert_no_error(error);
    while ((name = g_dir_read_name(dir)))
        g_ptr_array_add(files, g_build_filename(path, name, NULL));
    g_assert_cmpuint(files->len, >, 0);
    g_ptr_array_sort(files, replayCompare);
    for (guint i = 0; i < files->len; i++)
        replayAdd(program, g_ptr_array_index(files, i));
}

int
main(int argc, char **argv)
{
    g_autofree char *program = g_path_get_basename(argv[0]);

    g_test_init(&argc, &argv, NULL);
    if (argc > 1) {
        for (int i = 1; i < argc; i++)
            replayAdd(program, argv[i]);
    } else {
        replayAddCorpus(program);
    }
    return g_test_run();
}
