/*
 * unpack.c: unpacks test data that is too large to be kept unpacked
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * usage: unpack FILE.zst OUT
 *
 * A stream of a guest is mostly zeroes: they become holes.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>
#include <zstd.h>

static void G_GNUC_NORETURN
die(const char *what, const char *why)
{
    fprintf(stderr, "unpack: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

/* Whether all of @data is zero */
static gboolean
isZero(const char *data, size_t length)
{
    return length > 0 && data[0] == 0 && memcmp(data, data + 1, length - 1) == 0;
}

int
main(int argc, char **argv)
{
    ZSTD_DStream *stream = ZSTD_createDStream();
    g_autofree char *packed = NULL;
    g_autofree char *plain = g_malloc(ZSTD_DStreamOutSize());
    g_autoptr(GError) error = NULL;
    ZSTD_inBuffer in = {NULL, 0, 0};
    FILE *out;
    size_t rest = 1;
    gboolean hole = FALSE;

    if (argc != 3)
        die("usage", "unpack FILE.zst OUT");
    if (!g_file_get_contents(argv[1], &packed, &in.size, &error))
        die(argv[1], error->message);
    in.src = packed;
    out = fopen(argv[2], "wb");
    if (!out)
        die(argv[2], strerror(errno));

    while (in.pos < in.size) {
        ZSTD_outBuffer piece = {plain, ZSTD_DStreamOutSize(), 0};

        rest = ZSTD_decompressStream(stream, &piece, &in);
        if (ZSTD_isError(rest))
            die(argv[1], ZSTD_getErrorName(rest));
        hole = isZero(plain, piece.pos);
        if (hole ? fseek(out, (long)piece.pos, SEEK_CUR) < 0
                 : fwrite(plain, 1, piece.pos, out) != piece.pos)
            die(argv[2], strerror(errno));
    }
    if (rest != 0)
        die(argv[1], "truncated");
    /* A hole at the end has no length until a byte follows */
    if (hole && (fseek(out, -1, SEEK_CUR) < 0 || fputc(0, out) == EOF))
        die(argv[2], strerror(errno));
    if (fclose(out) != 0)
        die(argv[2], strerror(errno));
    ZSTD_freeDStream(stream);
    return EXIT_SUCCESS;
}
