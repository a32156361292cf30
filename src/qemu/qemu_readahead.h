/*
 * qemu_readahead.h: a file read in windows, the next ones while the last is looked at
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Windows begin at multiples of this many bytes.  Large enough that the cost of a system call
 * vanishes. */
#define VIRT_HPT_WINDOW_SIZE ((gsize)1024 * 1024)

/* Bytes in front of a window that its reader may write to */
#define VIRT_HPT_WINDOW_HEADROOM 4096

/**
 * VirtHptReadahead:
 *
 * Memory is four windows, whatever the file.  A large file is read by two threads at once: most
 * of an image is RAM contents, which nobody looks at, so that copying them out of the page cache
 * is all the work there is.
 */
typedef struct _VirtHptReadahead VirtHptReadahead;

VirtHptReadahead *virtHptReadaheadNew(int fd, guint64 size);
void virtHptReadaheadFree(VirtHptReadahead *readahead);

guint8 *virtHptReadaheadGet(VirtHptReadahead *readahead, guint64 index, gsize *length, int *code);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptReadahead, virtHptReadaheadFree)

G_END_DECLS
