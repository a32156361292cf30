/*
 * snapshot_digest.c: SHA-256, by GnuTLS
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <glib/gi18n-lib.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "snapshot/snapshot_digest.h"

struct _VirtHptDigest {
    gnutls_hash_hd_t hash;
};

static gboolean
setError(int code, GError **error)
{
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED, _("cannot compute SHA-256: %s"),
                gnutls_strerror(code));
    return FALSE;
}

/**
 * virtHptDigestNew:
 * @error: set on failure: %VIRT_HPT_ERROR_FAILED
 *
 * Returns: (transfer full): the digest of no bytes yet, or %NULL
 */
VirtHptDigest *
virtHptDigestNew(GError **error)
{
    VirtHptDigest *digest = g_new0(VirtHptDigest, 1);
    int code = gnutls_hash_init(&digest->hash, GNUTLS_DIG_SHA256);

    if (code < 0) {
        setError(code, error);
        g_free(digest);
        return NULL;
    }
    return digest;
}

void
virtHptDigestFree(VirtHptDigest *digest)
{
    if (!digest)
        return;
    gnutls_hash_deinit(digest->hash, NULL);
    g_free(digest);
}

/**
 * virtHptDigestUpdate:
 * @digest: a digest
 * @data: further bytes
 * @length: how many
 * @error: set on failure: %VIRT_HPT_ERROR_FAILED
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptDigestUpdate(VirtHptDigest *digest, const guint8 *data, gsize length, GError **error)
{
    int code = gnutls_hash(digest->hash, data, length);

    return code < 0 ? setError(code, error) : TRUE;
}

/**
 * virtHptDigestTake:
 * @digest: a digest
 * @result: (out): SHA-256 of all bytes since it was made, or last taken
 *
 * Starts anew with no bytes.
 */
void
virtHptDigestTake(VirtHptDigest *digest, guint8 result[VIRT_HPT_DIGEST_SIZE])
{
    gnutls_hash_output(digest->hash, result);
}
