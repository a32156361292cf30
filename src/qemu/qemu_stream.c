/*
 * qemu_stream.c: one bounded forward pass over a QEMU migration stream of a pseries guest
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Framing as QEMU 7.2 to 10.2 write it (migration/savevm.c).  Bodies carry no length, so whatever
 * lies before the device sections must be understood; the rest is kept as it is.
 */

#include "config.h"

#include <inttypes.h>

#include <glib/gi18n-lib.h>

#include "qemu/qemu_streampriv.h"

#define STREAM_MAGIC "QEVM"
#define STREAM_VERSION 3

enum {
    COMMAND_OPEN_RETURN_PATH = 1,
    COMMAND_PING = 2,
    COMMAND_SWITCHOVER_START = 11,
};

#define RAM_SECTION_VERSION 4

/* type, be32 id */
#define SECTION_HEADER 5
#define FOOTER_SIZE 5

void
virtHptStreamFree(VirtHptStream *stream)
{
    if (!stream)
        return;
    for (guint i = 0; i < stream->ramBlocks->len; i++)
        g_free(g_array_index(stream->ramBlocks, VirtHptRamBlock, i).id);
    g_array_unref(stream->ramBlocks);
    g_ptr_array_unref(stream->capabilities);
    g_free(stream->machine);
    g_free(stream->uuid);
    virtHptTableFree(stream->table);
    g_free(stream);
}

static VirtHptStream *
streamNew(guint64 start)
{
    VirtHptStream *stream = g_new0(VirtHptStream, 1);

    stream->capabilities = g_ptr_array_new_with_free_func(g_free);
    stream->ramBlocks = g_array_new(FALSE, TRUE, sizeof(VirtHptRamBlock));
    stream->ramOnly = TRUE;
    stream->start = start;
    return stream;
}

static gboolean
tapPart(const guint8 *data, gsize length, guint64 offset, gpointer opaque, GError **error)
{
    const VirtHptStreamReader *reader = opaque;

    return reader->options->part(reader->part, data, length, offset, reader->options->opaque,
                                 error);
}

/**
 * virtHptStreamBeginPart:
 * @reader: a reader
 * @part: what follows
 *
 * From here on, what is consumed is shown to the caller as @part.
 */
void
virtHptStreamBeginPart(VirtHptStreamReader *reader, VirtHptStreamPart part)
{
    reader->part = part;
    reader->emit = part == VIRT_HPT_STREAM_PART_HEADER;
    if (reader->options->part)
        virtHptSourceTap(reader->source, tapPart, reader);
}

/**
 * virtHptStreamEndPart:
 * @reader: a reader
 *
 * From here on, what is consumed is RAM contents, or framing around them.
 */
void
virtHptStreamEndPart(VirtHptStreamReader *reader)
{
    reader->emit = FALSE;
    virtHptSourceTap(reader->source, NULL, NULL);
}

static gboolean
peekSectionHeader(VirtHptStreamReader *reader, VirtHptSectionHeader *header, GError **error)
{
    const guint8 *p = virtHptSourcePeek(reader->source, SECTION_HEADER, error);
    gsize nameLength;

    if (!p)
        return FALSE;
    header->offset = virtHptSourceGetOffset(reader->source);
    header->type = p[0];
    header->id = virtHptReadBE32(p + 1);
    header->length = SECTION_HEADER;
    if (header->type == VIRT_HPT_SECTION_PART || header->type == VIRT_HPT_SECTION_END)
        return TRUE;

    p = virtHptSourcePeek(reader->source, SECTION_HEADER + 1, error);
    if (!p)
        return FALSE;
    nameLength = p[SECTION_HEADER];
    header->length = SECTION_HEADER + 1 + nameLength + 8;
    p = virtHptSourcePeek(reader->source, header->length, error);
    if (!p)
        return FALSE;
    p += SECTION_HEADER + 1;
    if (!virtHptStreamIsName(p, nameLength)) {
        virtHptSourceSetError(reader->source, header->offset, VIRT_HPT_ERROR_MALFORMED, error,
                              _("the name of a section: expected printable characters"));
        return FALSE;
    }
    memcpy(header->idstr, p, nameLength);
    header->idstr[nameLength] = '\0';
    header->instance = virtHptReadBE32(p + nameLength);
    header->version = virtHptReadBE32(p + nameLength + 4);
    return TRUE;
}

/**
 * virtHptStreamReadFooter:
 * @reader: behind the body of a section
 * @header: of that section
 * @error: set on failure
 *
 * Sections have a footer since QEMU 2.4; the machine types before do without.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptStreamReadFooter(VirtHptStreamReader *reader,
                        const VirtHptSectionHeader *header,
                        GError **error)
{
    guint64 offset = virtHptSourceGetOffset(reader->source);
    const guint8 *p = virtHptSourcePeek(reader->source, 1, error);

    if (!p)
        return FALSE;
    if (p[0] != VIRT_HPT_SECTION_FOOTER && !reader->footers)
        return TRUE;
    p = virtHptSourcePeek(reader->source, FOOTER_SIZE, error);
    if (!p)
        return FALSE;
    if (p[0] != VIRT_HPT_SECTION_FOOTER || virtHptReadBE32(p + 1) != header->id) {
        virtHptSourceSetError(
            reader->source, offset, VIRT_HPT_ERROR_MALFORMED, error,
            _("0x%1$02x%2$08x: expected the footer 0x7e%3$08x of the section that begins at byte %4$" PRIu64),
            p[0], virtHptReadBE32(p + 1), header->id, header->offset);
        return FALSE;
    }
    reader->footers = TRUE;
    return virtHptStreamTake(reader, FOOTER_SIZE, error);
}

/**
 * virtHptStreamRefuseOrder:
 * @reader: a reader
 * @header: of a section that does not belong where it is
 * @error: set
 *
 * Returns: %FALSE
 */
gboolean
virtHptStreamRefuseOrder(VirtHptStreamReader *reader,
                         const VirtHptSectionHeader *header,
                         GError **error)
{
    virtHptSourceSetError(
        reader->source, header->offset, VIRT_HPT_ERROR_MALFORMED, error,
        _("section %1$u of type %2$u does not belong here: sections 'ram' and 'spapr/htab' begin once, then have parts, then end"),
        header->id, header->type);
    return FALSE;
}

static gboolean
readRamSection(VirtHptStreamReader *reader, const VirtHptSectionHeader *header, GError **error)
{
    gboolean start = header->type == VIRT_HPT_SECTION_START;

    if (start ? reader->ramStarted : (!reader->ramStarted || reader->ramEnded))
        return virtHptStreamRefuseOrder(reader, header, error);
    if (start && header->version != RAM_SECTION_VERSION) {
        virtHptSourceSetError(reader->source, header->offset, VIRT_HPT_ERROR_UNSUPPORTED, error,
                              _("version %1$u of section 'ram': only version 4 can be read"),
                              header->version);
        return FALSE;
    }
    if (start) {
        reader->ramStarted = TRUE;
        reader->ramSection = header->id;
        virtHptStreamBeginPart(reader, VIRT_HPT_STREAM_PART_HEADER);
    } else {
        virtHptStreamEndPart(reader);
    }
    if (!virtHptStreamTake(reader, header->length, error) ||
        !virtHptStreamReadRam(reader, start, error))
        return FALSE;
    reader->emit = start;
    if (!virtHptStreamReadFooter(reader, header, error))
        return FALSE;
    virtHptStreamEndPart(reader);
    reader->ramEnded = header->type == VIRT_HPT_SECTION_END;
    return TRUE;
}

static gboolean
readSection(VirtHptStreamReader *reader, GError **error)
{
    VirtHptSectionHeader header = {0};

    if (!peekSectionHeader(reader, &header, error))
        return FALSE;
    if (header.type == VIRT_HPT_SECTION_START) {
        if (g_str_equal(header.idstr, "ram"))
            return readRamSection(reader, &header, error);
        if (g_str_equal(header.idstr, "spapr/htab"))
            return virtHptStreamReadHtab(reader, &header, error);
        virtHptSourceSetError(
            reader->source, header.offset, VIRT_HPT_ERROR_UNSUPPORTED, error,
            _("section '%1$s' has contents of its own kind, which cannot be read: only 'ram' and 'spapr/htab' can"),
            header.idstr);
        return FALSE;
    }
    if (reader->ramStarted && header.id == reader->ramSection)
        return readRamSection(reader, &header, error);
    if (reader->htabStarted && header.id == reader->htabSection)
        return virtHptStreamReadHtab(reader, &header, error);
    return virtHptStreamRefuseOrder(reader, &header, error);
}

static const char *
commandName(guint command)
{
    static const char *const names[] = {
        "INVALID",         "OPEN_RETURN_PATH",     "PING",     "POSTCOPY_ADVISE", "POSTCOPY_LISTEN",
        "POSTCOPY_RUN",    "POSTCOPY_RAM_DISCARD", "PACKAGED", "RECV_BITMAP",     "ENABLE_COLO",
        "POSTCOPY_RESUME", "SWITCHOVER_START",
    };

    return command < G_N_ELEMENTS(names) ? names[command] : "?";
}

static gboolean
readCommand(VirtHptStreamReader *reader, GError **error)
{
    guint64 offset = virtHptSourceGetOffset(reader->source);
    const guint8 *p = virtHptSourcePeek(reader->source, SECTION_HEADER, error);
    guint16 command;

    if (!p)
        return FALSE;
    command = virtHptReadBE16(p + 1);
    if (command != COMMAND_OPEN_RETURN_PATH && command != COMMAND_PING &&
        command != COMMAND_SWITCHOVER_START) {
        virtHptSourceSetError(
            reader->source, offset, VIRT_HPT_ERROR_UNSUPPORTED, error,
            _("command %1$u (%2$s): streams of postcopy, COLO or resumed migrations cannot be read"),
            command, commandName(command));
        return FALSE;
    }
    reader->emit = FALSE;
    return virtHptSourceSkip(reader->source, SECTION_HEADER + (guint64)virtHptReadBE16(p + 3),
                             error);
}

/* An empty last part of section 'ram', so that the machine state is a stream of its own. */
static gboolean
emitRamEnd(VirtHptStreamReader *reader, GError **error)
{
    const guint32 id = GUINT32_TO_BE(reader->ramSection);
    const guint64 eos = GUINT64_TO_BE((guint64)VIRT_HPT_RAM_EOS);
    const guint8 end = VIRT_HPT_SECTION_END;
    const guint8 footer = VIRT_HPT_SECTION_FOOTER;

    if (!virtHptStreamEmit(reader, &end, sizeof(end), error) ||
        !virtHptStreamEmit(reader, &id, sizeof(id), error) ||
        !virtHptStreamEmit(reader, &eos, sizeof(eos), error))
        return FALSE;
    return !reader->footers || (virtHptStreamEmit(reader, &footer, sizeof(footer), error) &&
                                virtHptStreamEmit(reader, &id, sizeof(id), error));
}

/* Everything before the device sections was read: is it all there? */
static gboolean
checkBeforeDevices(VirtHptStreamReader *reader, GError **error)
{
    guint64 offset = virtHptSourceGetOffset(reader->source);
    const char *missing = NULL;

    if (!reader->ramStarted || !reader->ramEnded)
        missing = "ram";
    else if (!reader->options->machineState && (!reader->htabStarted || !reader->htabEnded))
        missing = "spapr/htab";
    if (missing) {
        gboolean started = g_str_equal(missing, "ram") ? reader->ramStarted : reader->htabStarted;

        virtHptSourceSetError(
            reader->source, offset, VIRT_HPT_ERROR_MALFORMED, error,
            started
                ? _("device sections begin here, and section '%1$s' has not ended: a stream whose guest ran on while it was written holds no consistent table")
                : _("device sections begin here, and there was no section '%1$s', which every pseries guest has"),
            missing);
        return FALSE;
    }
    return TRUE;
}

static gboolean
readSections(VirtHptStreamReader *reader, GError **error)
{
    for (;;) {
        guint64 offset = virtHptSourceGetOffset(reader->source);
        const guint8 *p = virtHptSourcePeek(reader->source, 1, error);

        if (!p)
            return FALSE;
        switch (p[0]) {
        case VIRT_HPT_SECTION_START:
        case VIRT_HPT_SECTION_PART:
        case VIRT_HPT_SECTION_END:
            if (!readSection(reader, error))
                return FALSE;
            break;
        case VIRT_HPT_SECTION_COMMAND:
            if (!readCommand(reader, error))
                return FALSE;
            break;
        case VIRT_HPT_SECTION_FULL:
            if (!checkBeforeDevices(reader, error) || !emitRamEnd(reader, error))
                return FALSE;
            virtHptStreamBeginPart(reader, VIRT_HPT_STREAM_PART_STATE);
            return virtHptStreamReadDevices(reader, error);
        default:
            virtHptSourceSetError(reader->source, offset, VIRT_HPT_ERROR_MALFORMED, error,
                                  _("0x%1$02x: expected a section or a command"), p[0]);
            return FALSE;
        }
    }
}

static gboolean
readMagic(VirtHptStreamReader *reader, GError **error)
{
    guint64 offset = virtHptSourceGetOffset(reader->source);
    const guint8 *p = virtHptSourcePeek(reader->source, 8, error);

    if (!p)
        return FALSE;
    if (memcmp(p, STREAM_MAGIC, 4) != 0) {
        virtHptSourceSetError(reader->source, offset, VIRT_HPT_ERROR_MALFORMED, error,
                              _("0x%1$08x: expected the mark 'QEVM' of a QEMU migration stream"),
                              virtHptReadBE32(p));
        return FALSE;
    }
    if (virtHptReadBE32(p + 4) != STREAM_VERSION) {
        virtHptSourceSetError(reader->source, offset + 4, VIRT_HPT_ERROR_UNSUPPORTED, error,
                              _("migration stream version %1$u: only version 3 can be read"),
                              virtHptReadBE32(p + 4));
        return FALSE;
    }
    return virtHptStreamTake(reader, 8, error);
}

static gboolean
readStream(VirtHptStreamReader *reader, GError **error)
{
    const guint8 *p;

    virtHptStreamBeginPart(reader, VIRT_HPT_STREAM_PART_HEADER);
    if (!readMagic(reader, error))
        return FALSE;
    p = virtHptSourcePeek(reader->source, 1, error);
    if (!p)
        return FALSE;
    if (p[0] == VIRT_HPT_SECTION_CONFIGURATION && !virtHptStreamReadConfiguration(reader, error))
        return FALSE;
    return readSections(reader, error);
}

/**
 * virtHptStreamRead:
 * @source: at the first byte of a stream
 * @options: how to read it
 * @error: set on failure: %VIRT_HPT_ERROR_MALFORMED, %VIRT_HPT_ERROR_UNSUPPORTED for what is
 *   recognised and cannot be read, %VIRT_HPT_ERROR_LIMIT, %VIRT_HPT_ERROR_IO, or what a function
 *   of @options set
 *
 * Reads a stream to its end.  Memory is bounded by the table (see virtHptTableNew()) and a
 * constant, whatever the stream says.
 *
 * Returns: (transfer full): what the stream holds, or %NULL
 */
VirtHptStream *
virtHptStreamRead(VirtHptSource *source, const VirtHptStreamOptions *options, GError **error)
{
    g_autoptr(VirtHptStream) stream = streamNew(virtHptSourceGetOffset(source));
    g_autoptr(GHashTable) blockIndex = g_hash_table_new(g_str_hash, g_str_equal);
    VirtHptStreamReader reader = {
        .source = source,
        .options = options,
        .stream = stream,
        .currentBlock = G_MAXUINT,
        .blockIndex = blockIndex,
    };
    gboolean ok = readStream(&reader, error);

    virtHptSourceTap(source, NULL, NULL);
    if (!ok)
        return NULL;
    stream->end = virtHptSourceGetOffset(source);
    return g_steal_pointer(&stream);
}
