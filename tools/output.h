/*
 * output.h: bytes and text to a file descriptor, where no failure is lost
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * stdio forgets why a write failed once its buffer is flushed behind the caller's back.  Here the
 * first error sticks, later output is dropped, and the caller asks once, at the end.
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct _VirtHptOutput VirtHptOutput;

/* Column of the value in "Label:   value" lines */
#define VIRT_HPT_OUTPUT_LABEL_WIDTH 17

/* The most that virtHptOutputReserve() gives, in bytes */
#define VIRT_HPT_OUTPUT_RESERVE_MAX 4096

VirtHptOutput *virtHptOutputNew(int fd);
void virtHptOutputFree(VirtHptOutput *out);

void virtHptOutputWrite(VirtHptOutput *out, const void *data, gsize length);
void virtHptOutputPuts(VirtHptOutput *out, const char *text);
void virtHptOutputPrintf(VirtHptOutput *out, const char *format, ...) G_GNUC_PRINTF(2, 3);
void virtHptOutputPadded(VirtHptOutput *out, const char *text, guint width);
void virtHptOutputField(VirtHptOutput *out, const char *label, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

char *virtHptOutputReserve(VirtHptOutput *out, gsize length);
void virtHptOutputCommit(VirtHptOutput *out, const char *end);

int virtHptOutputFlush(VirtHptOutput *out);
int virtHptOutputGetError(const VirtHptOutput *out);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptOutput, virtHptOutputFree)

G_END_DECLS
