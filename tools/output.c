/*
 * output.c: bytes and text to a file descriptor, where no failure is lost
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "config.h"

#include "output.h"

#include <errno.h>
#include <string.h>

#include "full-write.h"

#include "text.h"

#define BUFFER_SIZE ((gsize)64 * 1024)

struct _VirtHptOutput {
    int fd;
    int error;
    gsize used;
    char buffer[BUFFER_SIZE];
};

/**
 * virtHptOutputNew:
 * @fd: where to write; remains the caller's
 *
 * Returns: (transfer full): an output
 */
VirtHptOutput *
virtHptOutputNew(int fd)
{
    VirtHptOutput *out = g_new(VirtHptOutput, 1);

    out->fd = fd;
    out->error = 0;
    out->used = 0;
    return out;
}

/**
 * virtHptOutputFree:
 * @out: (nullable): an output
 *
 * What was not flushed is lost.
 */
void
virtHptOutputFree(VirtHptOutput *out)
{
    g_free(out);
}

static void
emit(VirtHptOutput *out, const char *data, gsize length)
{
    if (out->error || length == 0)
        return;
    /* A write of zero bytes with no reason given stands for a full device */
    errno = 0;
    if ((gsize)full_write(out->fd, data, (gssize)length) != length)
        out->error = errno ? errno : ENOSPC;
}

/**
 * virtHptOutputFlush:
 * @out: an output
 *
 * Returns: 0, or the errno of the first write that failed
 */
int
virtHptOutputFlush(VirtHptOutput *out)
{
    emit(out, out->buffer, out->used);
    out->used = 0;
    return out->error;
}

/**
 * virtHptOutputGetError:
 * @out: an output
 *
 * Returns: 0, or the errno of the first write that failed so far
 */
int
virtHptOutputGetError(const VirtHptOutput *out)
{
    return out->error;
}

/**
 * virtHptOutputWrite:
 * @out: an output
 * @data: bytes
 * @length: how many
 */
void
virtHptOutputWrite(VirtHptOutput *out, const void *data, gsize length)
{
    if (length > BUFFER_SIZE - out->used)
        virtHptOutputFlush(out);
    if (length > BUFFER_SIZE) {
        emit(out, data, length);
        return;
    }
    memcpy(out->buffer + out->used, data, length);
    out->used += length;
}

/**
 * virtHptOutputReserve:
 * @out: an output
 * @length: bytes, at most %VIRT_HPT_OUTPUT_RESERVE_MAX
 *
 * For lines that are formatted by the million.  virtHptOutputCommit() must follow.
 *
 * Returns: room for @length bytes
 */
char *
virtHptOutputReserve(VirtHptOutput *out, gsize length)
{
    g_assert(length <= VIRT_HPT_OUTPUT_RESERVE_MAX);

    if (length > BUFFER_SIZE - out->used)
        virtHptOutputFlush(out);
    return out->buffer + out->used;
}

/**
 * virtHptOutputCommit:
 * @out: an output
 * @end: behind the last byte written into what virtHptOutputReserve() gave
 */
void
virtHptOutputCommit(VirtHptOutput *out, const char *end)
{
    gsize length = (gsize)(end - (out->buffer + out->used));

    g_assert(length <= BUFFER_SIZE - out->used);
    out->used += length;
}

/**
 * virtHptOutputPuts:
 * @out: an output
 * @text: printed as it is
 */
void
virtHptOutputPuts(VirtHptOutput *out, const char *text)
{
    virtHptOutputWrite(out, text, strlen(text));
}

static void G_GNUC_PRINTF(2, 0) printfValist(VirtHptOutput *out, const char *format, va_list args)
{
    g_autofree char *text = g_strdup_vprintf(format, args);

    virtHptOutputPuts(out, text);
}

/**
 * virtHptOutputPrintf:
 * @out: an output
 * @format: as of printf()
 */
void
virtHptOutputPrintf(VirtHptOutput *out, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    printfValist(out, format, args);
    va_end(args);
}

/**
 * virtHptOutputPadded:
 * @out: an output
 * @text: UTF-8
 * @width: columns
 *
 * Prints @text and blanks up to @width, at least one, or it would run into the next column.
 * Translated text has other widths than its bytes tell.
 */
void
virtHptOutputPadded(VirtHptOutput *out, const char *text, guint width)
{
    guint have = virtHptTextWidth(text);

    virtHptOutputPrintf(out, "%s%*s", text, have < width ? (int)(width - have) : 1, "");
}

/**
 * virtHptOutputField:
 * @out: an output
 * @label: translated, with its colon
 * @format: as of printf(), translated: the value
 *
 * Prints a line of two columns.
 */
void
virtHptOutputField(VirtHptOutput *out, const char *label, const char *format, ...)
{
    va_list args;

    virtHptOutputPadded(out, label, VIRT_HPT_OUTPUT_LABEL_WIDTH);
    va_start(args, format);
    printfValist(out, format, args);
    va_end(args);
    virtHptOutputPuts(out, "\n");
}
