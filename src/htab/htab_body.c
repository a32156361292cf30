/*
 * htab_body.c: an HPT stream as a file: order, records, end marker
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * These are the bytes of one START and one END of a spapr/htab section (QEMU 7.2 hw/ppc/spapr.c
 * htab_save_setup(), htab_save_complete()).  Tables and deltas are kept so.
 */

#include "config.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#include "libvirt-hpt/htab_error.h"
#include "htab/htab_bodypriv.h"
#include "htab/htab_streampriv.h"

/*
 * virtHptBodyFormatPrologue:
 * @order: of a table
 * @prologue: (out): what stands before its records
 */
void
virtHptBodyFormatPrologue(guint order, guint8 prologue[VIRT_HPT_BODY_PROLOGUE_SIZE])
{
    virtHptStoreBE32(prologue, order);
    virtHptStoreBE32(prologue + 4, 0);
}

static gboolean
beginRecords(VirtHptBody *body, GError **error)
{
    guint32 zero = virtHptLoadBE32(body->prologue + 4);

    if (zero != 0) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED,
                    _("HPT stream at byte %1$d: 0x%2$08x, expected 0"), 4, zero);
        return FALSE;
    }
    body->decoder = body->begin(virtHptLoadBE32(body->prologue), body->opaque, error);
    if (!body->decoder) {
        g_prefix_error(error, _("HPT stream at byte %1$d: "), 0);
        return FALSE;
    }
    return TRUE;
}

static gboolean
feed(VirtHptBody *body, const guint8 *data, gsize length, GError **error)
{
    gsize n;

    if (body->offset < VIRT_HPT_BODY_PROLOGUE_SIZE && length > 0) {
        n = MIN(length, VIRT_HPT_BODY_PROLOGUE_SIZE - (gsize)body->offset);
        memcpy(body->prologue + body->offset, data, n);
        body->offset += n;
        data += n;
        length -= n;
        if (body->offset == VIRT_HPT_BODY_PROLOGUE_SIZE && !beginRecords(body, error))
            return FALSE;
    }

    if (length > 0 && !body->ended) {
        if (!virtHptDecoderFeed(body->decoder, body->offset, data, length, &n, &body->ended, error))
            return FALSE;
        body->offset += n;
        length -= n;
    }

    if (length > 0) {
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED,
            _("HPT stream at byte %1$llu: more data, expected its end behind the end marker"),
            (unsigned long long)body->offset);
        return FALSE;
    }
    return TRUE;
}

static gboolean
checkNotFailed(const VirtHptBody *body, GError **error)
{
    if (body->failed)
        g_set_error_literal(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                            _("the HPT stream was refused before"));
    return !body->failed;
}

/*
 * virtHptBodyFeed:
 * @body: a body
 * @data: the next bytes
 * @length: how many; pieces may have any size
 * @error: set on failure: what @begin or the decoder set, %VIRT_HPT_ERROR_MALFORMED for anything
 *   else, %VIRT_HPT_ERROR_FAILED if the stream was refused before
 *
 * Returns: %FALSE with @error set
 */
gboolean
virtHptBodyFeed(VirtHptBody *body, const guint8 *data, gsize length, GError **error)
{
    if (!checkNotFailed(body, error))
        return FALSE;
    body->failed = !feed(body, data, length, error);
    return !body->failed;
}

/*
 * virtHptBodyFinish:
 * @body: a body whose bytes were all fed; it takes no more
 * @error: set on failure: %VIRT_HPT_ERROR_MALFORMED if the end is missing, %VIRT_HPT_ERROR_FAILED
 *   if the stream was refused before
 *
 * Returns: %FALSE with @error set
 */
gboolean
virtHptBodyFinish(VirtHptBody *body, GError **error)
{
    if (!checkNotFailed(body, error))
        return FALSE;
    body->failed = TRUE; /* there is nothing left to feed */

    if (body->offset < VIRT_HPT_BODY_PROLOGUE_SIZE) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED,
                    _("HPT stream ends at byte %1$llu, expected a header of %2$d bytes"),
                    (unsigned long long)body->offset, VIRT_HPT_BODY_PROLOGUE_SIZE);
        return FALSE;
    }
    return virtHptDecoderFinish(body->decoder, body->offset, error);
}

/*
 * virtHptBodyClear:
 * @body: a body; what @begin gave goes with it
 */
void
virtHptBodyClear(VirtHptBody *body)
{
    g_clear_pointer(&body->decoder, virtHptDecoderFree);
}
