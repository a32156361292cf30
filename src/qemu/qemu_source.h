/*
 * qemu_source.h: bytes read forward, once, with their offsets
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The one bounded reader under every parser of an image: nothing is mapped, nothing is sized by
 * the input, and every failure carries the byte offset.
 */

#pragma once

#include "libvirt-hpt/htab_error.h"

G_BEGIN_DECLS

/* The most that virtHptSourcePeek() can show at once, in bytes */
#define VIRT_HPT_SOURCE_PEEK_MAX 4096

/* The size of a pipe or socket */
#define VIRT_HPT_SOURCE_SIZE_UNKNOWN G_MAXUINT64

typedef struct _VirtHptSource VirtHptSource;

/**
 * VirtHptSourceFunc:
 * @data: bytes that were consumed
 * @length: how many
 * @offset: of the first of them
 * @opaque: the caller's
 * @error: set on failure
 *
 * Returns: %TRUE, or %FALSE to stop.
 */
typedef gboolean (*VirtHptSourceFunc)(const guint8 *data,
                                      gsize length,
                                      guint64 offset,
                                      gpointer opaque,
                                      GError **error);

/**
 * VirtHptProgressFunc:
 * @done: bytes passed
 * @total: bytes in all
 * @opaque: the caller's
 *
 * Called every 16 MiB or so: a caller that draws must limit itself.
 */
typedef void (*VirtHptProgressFunc)(guint64 done, guint64 total, gpointer opaque);

VirtHptSource *virtHptSourceNewFd(int fd, const char *name, GError **error);
VirtHptSource *virtHptSourceNewBytes(const guint8 *data, gsize length, const char *name);
VirtHptSource *virtHptSourceNewPipe(int fd, const char *name, gint64 deadline, guint patience);
void virtHptSourceFree(VirtHptSource *source);

void virtHptSourceSetProgress(VirtHptSource *source, VirtHptProgressFunc func, gpointer opaque);

const char *virtHptSourceGetName(const VirtHptSource *source);
guint64 virtHptSourceGetOffset(const VirtHptSource *source);
guint64 virtHptSourceGetSize(const VirtHptSource *source);
gboolean virtHptSourceHasTail(const VirtHptSource *source);

const guint8 *virtHptSourcePeek(VirtHptSource *source, gsize length, GError **error);
const guint8 *virtHptSourcePeekSome(VirtHptSource *source, gsize *length, GError **error);
gboolean virtHptSourceSkip(VirtHptSource *source, guint64 length, GError **error);

void virtHptSourceSetError(const VirtHptSource *source,
                           guint64 offset,
                           VirtHptError code,
                           GError **error,
                           const char *format,
                           ...) G_GNUC_PRINTF(5, 6);

void virtHptSourceTap(VirtHptSource *source, VirtHptSourceFunc func, gpointer opaque);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptSource, virtHptSourceFree)

G_END_DECLS
