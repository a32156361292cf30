/*
 * htab_bodypriv.h: an HPT stream as a file: order, records, end marker
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "libvirt-hpt/htab_stream.h"

G_BEGIN_DECLS

#define VIRT_HPT_BODY_PROLOGUE_SIZE 8 /* be32 order, be32 0 */

/*
 * VirtHptBodyBeginFunc:
 * @order: as it was read, unchecked
 * @opaque: the caller's
 * @error: set on failure
 *
 * Returns: (transfer full): what decodes the records, in QEMU's encoding, or %NULL to refuse them
 */
typedef VirtHptDecoder *(*VirtHptBodyBeginFunc)(guint32 order, gpointer opaque, GError **error);

/*
 * VirtHptBody:
 * @begin: called once the prologue was read; nothing is allocated before
 * @opaque: passed to @begin
 *
 * The rest is private.  Zero-initialised but for these two it is at its first byte.
 */
typedef struct {
    VirtHptBodyBeginFunc begin;
    gpointer opaque;
    guint64 offset; /* bytes read so far */
    guint8 prologue[VIRT_HPT_BODY_PROLOGUE_SIZE];
    VirtHptDecoder *decoder;
    gboolean ended;
    gboolean failed;
} VirtHptBody;

gboolean virtHptBodyFeed(VirtHptBody *body, const guint8 *data, gsize length, GError **error);
gboolean virtHptBodyFinish(VirtHptBody *body, GError **error);
void virtHptBodyClear(VirtHptBody *body);

void virtHptBodyFormatPrologue(guint order, guint8 prologue[VIRT_HPT_BODY_PROLOGUE_SIZE]);

G_END_DECLS
