/*
 * qemu_stream_ram.c: the RAM sections of a migration stream: listed, then skipped
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * RAM section version 4 (QEMU 7.2 to 10.2 migration/ram.c): be64 words of an address and flags,
 * each followed by what its flags say, up to the word VIRT_HPT_RAM_EOS.
 */

#include "config.h"

#include <inttypes.h>

#include <glib/gi18n-lib.h>

#include "intprops.h"

#include "qemu/qemu_streampriv.h"

#define RAM_FULL 0x01U
#define RAM_ZERO 0x02U
#define RAM_MEM_SIZE 0x04U
#define RAM_PAGE 0x08U
#define RAM_CONTINUE 0x20U
#define RAM_XBZRLE 0x40U
#define RAM_HOOK 0x80U
#define RAM_COMPRESS 0x100U
#define RAM_MULTIFD_FLUSH 0x200U

#define RAM_FLAGS 0xfffU
#define RAM_WORD 8 /* bytes */

/* deflate never makes a page longer than this (zlib's compressBound(4096)) */
#define RAM_COMPRESSED_MAX 4109

/* mapped-ram's header of a block: be32 version, be64 page size, bitmap offset, pages offset */
#define MAPPED_RAM_HEADER 28
#define MAPPED_RAM_VERSION 1

/* Memory that can be plugged comes in blocks of this size (QEMU hw/ppc/spapr.h
 * SPAPR_MEMORY_BLOCK_SIZE); no other RAM block of a pseries machine is as large. */
#define SPAPR_MEMORY_BLOCK ((guint64)256 * 1024 * 1024)

static gboolean
isBaseRam(const char *id)
{
    /* One backend, or one a NUMA node; old machine types name the object by its path. */
    if (g_str_has_prefix(id, "/objects/"))
        id += strlen("/objects/");
    return g_strcmp0(id, "ppc_spapr.ram") == 0 || g_str_has_prefix(id, "ram-node");
}

static gboolean
skipTo(VirtHptStreamReader *reader, guint64 target, GError **error)
{
    guint64 offset = virtHptSourceGetOffset(reader->source);

    if (target < offset) {
        virtHptSourceSetError(
            reader->source, offset, VIRT_HPT_ERROR_MALFORMED, error,
            _("mapped-ram: pages end at byte %1$" PRIu64 ", before their own header"), target);
        return FALSE;
    }
    return virtHptSourceSkip(reader->source, target - offset, error);
}

/* The header is consumed and not emitted: machine state has no pages that it could point to. */
static gboolean
readMappedRam(VirtHptStreamReader *reader, const VirtHptRamBlock *block, GError **error)
{
    guint64 offset = virtHptSourceGetOffset(reader->source);
    const guint8 *p = virtHptSourcePeek(reader->source, MAPPED_RAM_HEADER, error);
    guint64 pages;
    guint64 end;

    if (!p)
        return FALSE;
    if (virtHptReadBE32(p) != MAPPED_RAM_VERSION) {
        virtHptSourceSetError(
            reader->source, offset, VIRT_HPT_ERROR_UNSUPPORTED, error,
            _("mapped-ram header version %1$u of RAM block '%2$s': only version 1 can be read"),
            virtHptReadBE32(p), block->id);
        return FALSE;
    }
    pages = virtHptReadBE64(p + 20);
    if (INT_ADD_WRAPV(pages, block->length, &end)) {
        virtHptSourceSetError(reader->source, offset, VIRT_HPT_ERROR_MALFORMED, error,
                              _("mapped-ram: the pages of RAM block '%1$s' lie beyond any file"),
                              block->id);
        return FALSE;
    }
    if (!virtHptSourceSkip(reader->source, MAPPED_RAM_HEADER, error))
        return FALSE;
    virtHptStreamEndPart(reader);
    if (!skipTo(reader, end, error))
        return FALSE;
    virtHptStreamBeginPart(reader, VIRT_HPT_STREAM_PART_HEADER);
    return TRUE;
}

static gboolean
readBlock(VirtHptStreamReader *reader, guint64 *left, GError **error)
{
    VirtHptStream *stream = reader->stream;
    guint64 offset = virtHptSourceGetOffset(reader->source);
    VirtHptRamBlock block = {
        .id = virtHptStreamTakeName(reader, _("the name of a RAM block"), error),
    };

    if (!block.id)
        return FALSE;
    if (stream->ramBlocks->len >= VIRT_HPT_RAM_BLOCKS_MAX) {
        virtHptSourceSetError(reader->source, offset, VIRT_HPT_ERROR_LIMIT, error,
                              _("more than %1$u RAM blocks"), VIRT_HPT_RAM_BLOCKS_MAX);
        g_free(block.id);
        return FALSE;
    }
    g_array_append_val(stream->ramBlocks, block);
    if (!g_hash_table_insert(reader->blockIndex, block.id,
                             GUINT_TO_POINTER(stream->ramBlocks->len - 1))) {
        virtHptSourceSetError(reader->source, offset, VIRT_HPT_ERROR_MALFORMED, error,
                              _("RAM block '%1$s' is listed twice"), block.id);
        return FALSE;
    }
    if (!virtHptStreamTakeBE64(reader, &block.length, error))
        return FALSE;
    if (block.length == 0 || block.length > *left ||
        block.length % VIRT_HPT_TARGET_PAGE_SIZE != 0) {
        virtHptSourceSetError(
            reader->source, offset, VIRT_HPT_ERROR_MALFORMED, error,
            _("RAM block '%1$s' has %2$" PRIu64 " bytes: expected whole pages, at most %3$" PRIu64
              " bytes (or a stream with postcopy and huge pages, which cannot be read)"),
            block.id, block.length, *left);
        return FALSE;
    }
    g_array_index(stream->ramBlocks, VirtHptRamBlock, stream->ramBlocks->len - 1) = block;
    *left -= block.length;

    if (isBaseRam(block.id))
        stream->ramBytes += block.length;
    else if (block.length >= SPAPR_MEMORY_BLOCK)
        stream->ramOnly = FALSE;

    if (reader->ignoreShared && !virtHptStreamTake(reader, RAM_WORD, error))
        return FALSE;
    return !reader->mappedRam || readMappedRam(reader, &block, error);
}

static gboolean
readBlockList(VirtHptStreamReader *reader, guint64 total, GError **error)
{
    guint64 left = total;

    while (left > 0) {
        if (!readBlock(reader, &left, error))
            return FALSE;
    }
    return TRUE;
}

/* Reads the name of the block that a page lies in; @length: of the name. */
static gboolean
selectBlock(VirtHptStreamReader *reader, gsize length, GError **error)
{
    guint64 offset = virtHptSourceGetOffset(reader->source);
    gpointer index;
    g_autofree char *id =
        virtHptStreamTakeString(reader, length, _("the name of a RAM block"), error);

    if (!id)
        return FALSE;
    if (g_hash_table_lookup_extended(reader->blockIndex, id, NULL, &index)) {
        reader->currentBlock = GPOINTER_TO_UINT(index);
        return TRUE;
    }
    virtHptSourceSetError(reader->source, offset, VIRT_HPT_ERROR_MALFORMED, error,
                          _("a page of RAM block '%1$s', which the stream did not list"), id);
    return FALSE;
}

static gboolean
checkPage(VirtHptStreamReader *reader, guint64 offset, guint64 address, GError **error)
{
    const VirtHptRamBlock *block;

    if (reader->currentBlock >= reader->stream->ramBlocks->len) {
        virtHptSourceSetError(reader->source, offset, VIRT_HPT_ERROR_MALFORMED, error,
                              _("a page that continues a RAM block, before any block was named"));
        return FALSE;
    }
    block = &g_array_index(reader->stream->ramBlocks, VirtHptRamBlock, reader->currentBlock);
    if (address < block->length)
        return TRUE;
    virtHptSourceSetError(
        reader->source, offset, VIRT_HPT_ERROR_MALFORMED, error,
        _("a page at 0x%1$" PRIx64 " of RAM block '%2$s', which has 0x%3$" PRIx64 " bytes"),
        address, block->id, block->length);
    return FALSE;
}

/* Skips the payload of one page; @flags: of its word, without RAM_CONTINUE. */
static gboolean
skipPage(VirtHptStreamReader *reader, guint64 offset, guint flags, GError **error)
{
    const guint8 *p;
    guint32 length;

    switch (flags) {
    case RAM_ZERO:
        return virtHptSourceSkip(reader->source, 1, error);
    case RAM_PAGE:
        return virtHptSourceSkip(reader->source, VIRT_HPT_TARGET_PAGE_SIZE, error);
    case RAM_XBZRLE:
        p = virtHptSourcePeek(reader->source, 3, error);
        if (!p)
            return FALSE;
        length = virtHptReadBE16(p + 1);
        if (p[0] != 1 || length > VIRT_HPT_TARGET_PAGE_SIZE) {
            virtHptSourceSetError(
                reader->source, offset, VIRT_HPT_ERROR_MALFORMED, error,
                _("an XBZRLE page of type %1$u and %2$u bytes: expected type 1 and at most %3$u bytes"),
                p[0], length, VIRT_HPT_TARGET_PAGE_SIZE);
            return FALSE;
        }
        return virtHptSourceSkip(reader->source, 3 + (guint64)length, error);
    case RAM_COMPRESS:
        p = virtHptSourcePeek(reader->source, 4, error);
        if (!p)
            return FALSE;
        length = virtHptReadBE32(p);
        if (length > RAM_COMPRESSED_MAX) {
            virtHptSourceSetError(reader->source, offset, VIRT_HPT_ERROR_MALFORMED, error,
                                  _("a compressed page of %1$u bytes: expected at most %2$u"),
                                  length, RAM_COMPRESSED_MAX);
            return FALSE;
        }
        return virtHptSourceSkip(reader->source, 4 + (guint64)length, error);
    default:
        g_assert_not_reached();
    }
}

static gboolean
refuseFlags(VirtHptStreamReader *reader, guint64 offset, guint flags, GError **error)
{
    const char *what = _("unknown flags");

    if (flags & RAM_HOOK)
        what = _("RDMA migration");
    else if (flags & RAM_FULL)
        what = _("the obsolete flag FULL");
    else if (flags & RAM_MEM_SIZE)
        what = _("a second RAM block list");
    virtHptSourceSetError(reader->source, offset, VIRT_HPT_ERROR_UNSUPPORTED, error,
                          _("RAM flags 0x%1$x (%2$s) cannot be read"), flags, what);
    return FALSE;
}

static gboolean
readPage(VirtHptStreamReader *reader, guint64 offset, guint64 address, guint flags, GError **error)
{
    if (reader->options->machineState) {
        virtHptSourceSetError(reader->source, offset, VIRT_HPT_ERROR_MALFORMED, error,
                              _("a page of RAM: expected none in machine state"));
        return FALSE;
    }
    if (!(flags & RAM_CONTINUE)) {
        const guint8 *p = virtHptSourcePeek(reader->source, 1, error);
        gsize length;

        if (!p)
            return FALSE;
        length = p[0];
        if (!virtHptStreamTake(reader, 1, error) || !selectBlock(reader, length, error))
            return FALSE;
    }
    return checkPage(reader, offset, address, error) &&
           skipPage(reader, offset, flags & ~RAM_CONTINUE, error);
}

/**
 * virtHptStreamReadRam:
 * @reader: at the body of a RAM section
 * @setup: whether it is the START section, which lists the blocks
 * @error: set on failure
 *
 * Reads up to and including the end mark of the section's body.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptStreamReadRam(VirtHptStreamReader *reader, gboolean setup, GError **error)
{
    gboolean listed = FALSE;

    for (;;) {
        guint64 offset = virtHptSourceGetOffset(reader->source);
        const guint8 *p = virtHptSourcePeek(reader->source, RAM_WORD, error);
        guint64 address;
        guint flags;
        guint kind;

        if (!p)
            return FALSE;
        address = virtHptReadBE64(p) & ~(guint64)RAM_FLAGS;
        flags = (guint)(virtHptReadBE64(p) & RAM_FLAGS);

        /* A page of a stream's setup is not part of the machine state; neither is a flush. */
        kind = flags & ~RAM_CONTINUE;
        reader->emit = setup && (kind == RAM_MEM_SIZE || kind == VIRT_HPT_RAM_EOS);
        if (!virtHptStreamTake(reader, RAM_WORD, error))
            return FALSE;

        switch (kind) {
        case RAM_ZERO:
        case RAM_PAGE:
        case RAM_XBZRLE:
        case RAM_COMPRESS:
            if (!readPage(reader, offset, address, flags, error))
                return FALSE;
            break;
        case RAM_MULTIFD_FLUSH:
            break;
        case RAM_MEM_SIZE:
            if (!setup || listed)
                return refuseFlags(reader, offset, flags, error);
            if (!readBlockList(reader, address, error))
                return FALSE;
            listed = TRUE;
            break;
        case VIRT_HPT_RAM_EOS:
            if (!setup || listed)
                return TRUE;
            virtHptSourceSetError(reader->source, offset, VIRT_HPT_ERROR_MALFORMED, error,
                                  _("section 'ram' ends before its list of blocks"));
            return FALSE;
        default:
            return refuseFlags(reader, offset, flags, error);
        }
    }
}
