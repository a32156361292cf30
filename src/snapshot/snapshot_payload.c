/*
 * snapshot_payload.c: a file of a record: compressed, and known by the digest of what is in it
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>
#include <zstd.h>

#include "full-write.h"
#include "safe-read.h"
#include "snapshot/snapshot_digest.h"
#include "snapshot/snapshot_payload.h"

/* Fast, and already small: tables and device state are mostly zeroes. */
#define COMPRESSION_LEVEL 3

/* What a reader may have to hold: 2^23 bytes, zstd's own recommendation for decoders (RFC 8878
 * 3.1.1.1.2); level 3 stays below it. */
#define WINDOW_LOG_MAX 23

#define CHUNK_SIZE ((gsize)128 * 1024)

struct _VirtHptPayloadWriter {
    char *name;
    int fd;
    ZSTD_CCtx *context;
    VirtHptDigest *digest;
    guint64 length;
    VirtHptDigest *storedDigest;
    guint64 storedLength;
    guint8 *buffer;
};

/**
 * virtHptPayloadWriterNew:
 * @fd: an empty file, open for writing; taken, also on failure
 * @name: of the file in the record
 * @error: set on failure: %VIRT_HPT_ERROR_FAILED
 *
 * Returns: (transfer full): a writer, or %NULL
 */
VirtHptPayloadWriter *
virtHptPayloadWriterNew(int fd, const char *name, GError **error)
{
    g_autoptr(VirtHptPayloadWriter) writer = g_new0(VirtHptPayloadWriter, 1);

    writer->fd = fd;
    writer->name = g_strdup(name);
    writer->digest = virtHptDigestNew(error);
    writer->storedDigest = writer->digest ? virtHptDigestNew(error) : NULL;
    if (!writer->storedDigest)
        return NULL;
    writer->context = ZSTD_createCCtx();
    if (!writer->context ||
        ZSTD_isError(
            ZSTD_CCtx_setParameter(writer->context, ZSTD_c_compressionLevel, COMPRESSION_LEVEL)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(writer->context, ZSTD_c_checksumFlag, 1))) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                    _("cannot set up compression of '%1$s'"), name);
        return NULL;
    }
    writer->buffer = g_malloc(CHUNK_SIZE);
    return g_steal_pointer(&writer);
}

void
virtHptPayloadWriterFree(VirtHptPayloadWriter *writer)
{
    if (!writer)
        return;
    if (writer->fd >= 0)
        close(writer->fd);
    ZSTD_freeCCtx(writer->context);
    virtHptDigestFree(writer->digest);
    virtHptDigestFree(writer->storedDigest);
    g_free(writer->buffer);
    g_free(writer->name);
    g_free(writer);
}

static gboolean
compress(VirtHptPayloadWriter *writer, ZSTD_inBuffer *in, ZSTD_EndDirective end, GError **error)
{
    size_t left;

    do {
        ZSTD_outBuffer out = {.dst = writer->buffer, .size = CHUNK_SIZE};

        left = ZSTD_compressStream2(writer->context, &out, in, end);
        if (ZSTD_isError(left)) {
            g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                        _("cannot compress '%1$s': %2$s"), writer->name, ZSTD_getErrorName(left));
            return FALSE;
        }
        if (!virtHptDigestUpdate(writer->storedDigest, writer->buffer, out.pos, error))
            return FALSE;
        writer->storedLength += out.pos;
        if ((size_t)full_write(writer->fd, writer->buffer, (gssize)out.pos) != out.pos) {
            g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO,
                        _("cannot write the file '%1$s' of the record: %2$s"), writer->name,
                        g_strerror(errno));
            return FALSE;
        }
    } while (end == ZSTD_e_end ? left > 0 : in->pos < in->size);
    return TRUE;
}

/**
 * virtHptPayloadWrite:
 * @writer: a writer
 * @data: further bytes
 * @length: how many
 * @error: set on failure: %VIRT_HPT_ERROR_IO, %VIRT_HPT_ERROR_FAILED
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptPayloadWrite(VirtHptPayloadWriter *writer, const guint8 *data, gsize length, GError **error)
{
    ZSTD_inBuffer in = {.src = data, .size = length};

    writer->length += length;
    return virtHptDigestUpdate(writer->digest, data, length, error) &&
           compress(writer, &in, ZSTD_e_continue, error);
}

/**
 * virtHptPayloadWriterFinish:
 * @writer: a writer, not to be written to any more
 * @payload: (out): what the descriptor says of the file
 * @error: set on failure: %VIRT_HPT_ERROR_IO, %VIRT_HPT_ERROR_FAILED
 *
 * Writes what is left, and syncs the file.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptPayloadWriterFinish(VirtHptPayloadWriter *writer, VirtHptPayload *payload, GError **error)
{
    ZSTD_inBuffer in = {0};
    int fd = writer->fd;
    gboolean ok;

    if (!compress(writer, &in, ZSTD_e_end, error))
        return FALSE;
    writer->fd = -1;
    ok = fsync(fd) == 0;
    if (close(fd) < 0 || !ok) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO,
                    _("cannot sync the file '%1$s' of the record: %2$s"), writer->name,
                    g_strerror(errno));
        return FALSE;
    }
    g_free(payload->file);
    payload->file = g_strdup(writer->name);
    payload->length = writer->length;
    payload->zstd = TRUE;
    virtHptDigestTake(writer->digest, payload->digest);
    payload->stored = TRUE;
    payload->storedLength = writer->storedLength;
    virtHptDigestTake(writer->storedDigest, payload->storedDigest);
    return TRUE;
}

/* What a read in progress needs to hand on and verify what comes out. */
typedef struct {
    const VirtHptPayload *payload;
    const char *path;
    VirtHptDigest *digest;
    guint64 length;
    VirtHptDigest *storedDigest;
    guint64 storedLength;
    VirtHptWriteFunc write;
    gpointer opaque;
} Verifier;

static gboolean
refuse(const Verifier *verifier, GError **error, const char *what)
{
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_DAMAGED,
                _("'%1$s/%2$s' is damaged: %3$s; make the record anew"), verifier->path,
                verifier->payload->file, what);
    return FALSE;
}

static gboolean
verify(Verifier *verifier, const guint8 *data, gsize length, GError **error)
{
    if (length > verifier->payload->length - verifier->length)
        return refuse(verifier, error, _("it is longer than its descriptor says"));
    verifier->length += length;
    if (!virtHptDigestUpdate(verifier->digest, data, length, error))
        return FALSE;
    return !verifier->write || verifier->write(data, length, verifier->opaque, error);
}

static gboolean
decompress(Verifier *verifier,
           ZSTD_DCtx *context,
           ZSTD_inBuffer *in,
           guint8 *buffer,
           size_t *pending,
           GError **error)
{
    gboolean more;

    do {
        ZSTD_outBuffer out = {.dst = buffer, .size = CHUNK_SIZE};

        *pending = ZSTD_decompressStream(context, &out, in);
        if (ZSTD_isError(*pending))
            return refuse(verifier, error, ZSTD_getErrorName(*pending));
        if (!verify(verifier, buffer, out.pos, error))
            return FALSE;
        /* What filled the buffer may have been the end of the frame: asking for more would begin
         * another one. */
        more = out.pos == out.size && *pending > 0;
    } while (in->pos < in->size || more);
    return TRUE;
}

static gboolean
readAll(Verifier *verifier, int fd, ZSTD_DCtx *context, GError **error)
{
    g_autofree guint8 *input = g_malloc(CHUNK_SIZE);
    g_autofree guint8 *output = g_malloc(CHUNK_SIZE);
    size_t pending = 0;
    size_t n;

    while ((n = (size_t)safe_read(fd, input, CHUNK_SIZE)) > 0) {
        ZSTD_inBuffer in = {.src = input, .size = n};

        if (n == (size_t)SAFE_READ_ERROR) {
            g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO,
                        _("cannot read '%1$s/%2$s': %3$s"), verifier->path, verifier->payload->file,
                        g_strerror(errno));
            return FALSE;
        }
        verifier->storedLength += n;
        if (!virtHptDigestUpdate(verifier->storedDigest, input, n, error))
            return FALSE;
        if (context ? !decompress(verifier, context, &in, output, &pending, error)
                    : !verify(verifier, input, n, error))
            return FALSE;
    }
    return pending == 0 || refuse(verifier, error, _("it is truncated"));
}

/* Compares what was read with what the descriptor says. */
static gboolean
judge(const Verifier *verifier, GError **error)
{
    const VirtHptPayload *payload = verifier->payload;
    guint8 digest[VIRT_HPT_DIGEST_SIZE];
    guint8 storedDigest[VIRT_HPT_DIGEST_SIZE];

    virtHptDigestTake(verifier->digest, digest);
    virtHptDigestTake(verifier->storedDigest, storedDigest);
    if (verifier->length != payload->length)
        return refuse(verifier, error, _("it is shorter than its descriptor says"));
    if (memcmp(digest, payload->digest, sizeof(digest)) != 0 ||
        (payload->stored &&
         (verifier->storedLength != payload->storedLength ||
          memcmp(storedDigest, payload->storedDigest, sizeof(storedDigest)) != 0)))
        return refuse(verifier, error, _("its SHA-256 is not the recorded one"));
    return TRUE;
}

/**
 * virtHptPayloadRead:
 * @fd: the file, open for reading at its start; stays the caller's
 * @payload: what the descriptor says of it
 * @path: the record directory, for messages
 * @write: called with the uncompressed bytes, before they are verified, or %NULL
 * @opaque: passed to @write
 * @error: set on failure: %VIRT_HPT_ERROR_DAMAGED where length or digest differ,
 *   %VIRT_HPT_ERROR_IO, or what @write set
 *
 * Reads a payload to its end and verifies it.  What @write was given counts only if this succeeds.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptPayloadRead(int fd,
                   const VirtHptPayload *payload,
                   const char *path,
                   VirtHptWriteFunc write,
                   gpointer opaque,
                   GError **error)
{
    g_autoptr(VirtHptDigest) digest = virtHptDigestNew(error);
    g_autoptr(VirtHptDigest) storedDigest = digest ? virtHptDigestNew(error) : NULL;
    Verifier verifier = {
        .payload = payload,
        .path = path,
        .digest = digest,
        .storedDigest = storedDigest,
        .write = write,
        .opaque = opaque,
    };
    ZSTD_DCtx *context = NULL;
    gboolean ok;

    if (!storedDigest)
        return FALSE;
    if (payload->zstd) {
        context = ZSTD_createDCtx();
        if (!context ||
            ZSTD_isError(ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, WINDOW_LOG_MAX))) {
            ZSTD_freeDCtx(context);
            g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                        _("cannot set up decompression of '%1$s'"), payload->file);
            return FALSE;
        }
    }
    ok = readAll(&verifier, fd, context, error);
    ZSTD_freeDCtx(context);
    return ok && judge(&verifier, error);
}
