/*
 * qemu_source.c: bytes read forward, once, with their offsets
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A file is read through windows of fixed size.  It is not mapped: whoever may truncate the
 * file could then kill this process with SIGBUS.  A pipe or socket has one window, which is
 * filled with whatever has arrived.
 */

#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "qemu/qemu_readahead.h"
#include "qemu/qemu_source.h"

#define PROGRESS_STEP ((guint64)16 * 1024 * 1024)

struct _VirtHptSource {
    char *name;
    guint64 size;
    gboolean hasTail;
    /* Where the next window comes from; with neither of them, all bytes are in the first one */
    VirtHptReadahead *readahead;
    int pipe;
    guint8 *pipeWindow;
    gint64 pipeDeadline; /* monotonic microseconds */
    guint pipePatience;  /* milliseconds */
    const guint8 *window;
    guint64 windowOffset; /* of window[0] in the file */
    gsize windowLength;
    gsize pos; /* of the next byte in the window */
    VirtHptSourceFunc tap;
    gpointer tapOpaque;
    VirtHptProgressFunc progress;
    gpointer progressOpaque;
    guint64 progressNext;
};

static VirtHptSource *
sourceNew(const char *name)
{
    VirtHptSource *source = g_new0(VirtHptSource, 1);

    source->name = g_strdup(name);
    source->window = (const guint8 *)"";
    source->pipe = -1;
    return source;
}

/**
 * virtHptSourceNewFd:
 * @fd: a regular file or a block device, open for reading; stays the caller's
 * @name: what messages call it
 * @error: set on failure: %VIRT_HPT_ERROR_IO, %VIRT_HPT_ERROR_UNSUPPORTED
 *
 * Reads from offset 0, whatever the file position of @fd, which is not moved.
 *
 * Returns: a source, or %NULL
 */
VirtHptSource *
virtHptSourceNewFd(int fd, const char *name, GError **error)
{
    g_autoptr(VirtHptSource) source = sourceNew(name);
    struct stat st;
    off_t size;

    if (fstat(fd, &st) < 0) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO, _("cannot stat '%1$s': %2$s"), name,
                    g_strerror(errno));
        return NULL;
    }
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED,
                    _("'%1$s' is neither a regular file nor a block device"), name);
        return NULL;
    }
    size = S_ISREG(st.st_mode) ? st.st_size : lseek(fd, 0, SEEK_END);
    if (size < 0) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO,
                    _("cannot find the size of '%1$s': %2$s"), name, g_strerror(errno));
        return NULL;
    }
    source->size = (guint64)size;
    source->hasTail = S_ISBLK(st.st_mode);
    source->readahead = virtHptReadaheadNew(fd, source->size);
    return g_steal_pointer(&source);
}

/**
 * virtHptSourceNewBytes:
 * @data: the bytes, which must outlive the source
 * @length: how many
 * @name: what messages call them
 *
 * Returns: a source
 */
VirtHptSource *
virtHptSourceNewBytes(const guint8 *data, gsize length, const char *name)
{
    VirtHptSource *source = sourceNew(name);

    source->size = length;
    if (length > 0)
        source->window = data;
    source->windowLength = length;
    return source;
}

/**
 * virtHptSourceNewPipe:
 * @fd: the end of a pipe or a socket to read from; stays the caller's
 * @name: what messages call it
 * @deadline: when all must have been read, as g_get_monotonic_time() counts
 * @patience: how long to wait for the next byte, in milliseconds
 *
 * Its size is %VIRT_HPT_SOURCE_SIZE_UNKNOWN, and its end is where the other side closes it, or
 * whatever the bytes themselves say.  No more is read than has arrived, so that a reader that
 * knows its end by the bytes never waits for one that does not come.
 *
 * Returns: a source
 */
VirtHptSource *
virtHptSourceNewPipe(int fd, const char *name, gint64 deadline, guint patience)
{
    VirtHptSource *source = sourceNew(name);

    source->size = VIRT_HPT_SOURCE_SIZE_UNKNOWN;
    source->hasTail = TRUE;
    source->pipe = fd;
    source->pipeWindow = g_malloc(VIRT_HPT_WINDOW_HEADROOM + VIRT_HPT_WINDOW_SIZE);
    source->pipeDeadline = deadline;
    source->pipePatience = patience;
    return source;
}

void
virtHptSourceFree(VirtHptSource *source)
{
    if (!source)
        return;
    g_free(source->name);
    virtHptReadaheadFree(source->readahead);
    g_free(source->pipeWindow);
    g_free(source);
}

/**
 * virtHptSourceSetProgress:
 * @source: a source
 * @func: called now and then as bytes are passed, or %NULL
 * @opaque: passed to @func
 */
void
virtHptSourceSetProgress(VirtHptSource *source, VirtHptProgressFunc func, gpointer opaque)
{
    source->progress = func;
    source->progressOpaque = opaque;
}

const char *
virtHptSourceGetName(const VirtHptSource *source)
{
    return source->name;
}

/**
 * virtHptSourceGetOffset:
 * @source: a source
 *
 * Returns: the offset of the next byte
 */
guint64
virtHptSourceGetOffset(const VirtHptSource *source)
{
    return source->windowOffset + source->pos;
}

/**
 * virtHptSourceGetSize:
 * @source: a source
 *
 * Returns: the size in bytes, as it was when the source was made, or
 *   %VIRT_HPT_SOURCE_SIZE_UNKNOWN
 */
guint64
virtHptSourceGetSize(const VirtHptSource *source)
{
    return source->size;
}

/**
 * virtHptSourceHasTail:
 * @source: a source
 *
 * Returns: whether the end is not known by the size: bytes that mean nothing may follow what was
 *   stored, as on a block device, or the size itself is unknown
 */
gboolean
virtHptSourceHasTail(const VirtHptSource *source)
{
    return source->hasTail;
}

/**
 * virtHptSourceSetError:
 * @source: where it was found
 * @offset: the byte it was found at
 * @code: the error's code
 * @error: set
 * @format: what was found, and what was expected, translated
 *
 * Sets an error that names the source and the byte offset.
 */
void
virtHptSourceSetError(const VirtHptSource *source,
                      guint64 offset,
                      VirtHptError code,
                      GError **error,
                      const char *format,
                      ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, VIRT_HPT_ERROR, (gint)code, _("'%1$s', byte %2$" PRIu64 ": %3$s"),
                source->name, offset, text);
}

static gboolean
sourceCheckLeft(VirtHptSource *source, guint64 length, GError **error)
{
    guint64 offset = virtHptSourceGetOffset(source);

    if (length <= source->size - offset)
        return TRUE;
    virtHptSourceSetError(source, source->size, VIRT_HPT_ERROR_MALFORMED, error,
                          _("truncated: the file ends here, and what begins at byte %1$" PRIu64
                            " has %2$" PRIu64 " bytes"),
                          offset, length);
    return FALSE;
}

static void
sourceReport(VirtHptSource *source)
{
    if (!source->progress || source->windowOffset < source->progressNext)
        return;
    source->progress(source->windowOffset, source->size, source->progressOpaque);
    source->progressNext = source->windowOffset + PROGRESS_STEP;
}

/* Waits until the pipe has something to read, or its end. */
static gboolean
sourceWait(VirtHptSource *source, GError **error)
{
    struct pollfd wanted = {.fd = source->pipe, .events = POLLIN};
    int ready;

    /* A signal is no data: to read then could wait for ever. */
    do {
        gint64 left = (source->pipeDeadline - g_get_monotonic_time()) / 1000;

        ready = left > 0 ? poll(&wanted, 1, (int)MIN(left, source->pipePatience)) : 0;
    } while (ready < 0 && errno == EINTR);
    if (ready > 0)
        return TRUE;
    virtHptSourceSetError(source, source->windowOffset + source->windowLength, VIRT_HPT_ERROR_IO,
                          error, "%s",
                          ready < 0 ? g_strerror(errno) : _("nothing more came within the time"));
    return FALSE;
}

/* The same as sourceNextWindow(), of a pipe. */
static gboolean
sourceNextFromPipe(VirtHptSource *source, gsize kept, GError **error)
{
    guint64 end = source->windowOffset + source->windowLength;
    ssize_t got;

    do {
        if (!sourceWait(source, error))
            return FALSE;
        got =
            read(source->pipe, source->pipeWindow + VIRT_HPT_WINDOW_HEADROOM, VIRT_HPT_WINDOW_SIZE);
    } while (got < 0 && (errno == EINTR || errno == EAGAIN));
    if (got < 0) {
        virtHptSourceSetError(source, end, VIRT_HPT_ERROR_IO, error, "%s", g_strerror(errno));
        return FALSE;
    }
    if (got == 0) {
        virtHptSourceSetError(source, end, VIRT_HPT_ERROR_MALFORMED, error,
                              _("truncated: the other side closed it here"));
        return FALSE;
    }
    source->window = source->pipeWindow + VIRT_HPT_WINDOW_HEADROOM - kept;
    source->windowOffset = end - kept;
    source->windowLength = kept + (gsize)got;
    source->pos = 0;
    return TRUE;
}

/* Puts the next window in the place of this one, of which @kept bytes are left, at most the
 * headroom of a window. */
static gboolean
sourceNextWindow(VirtHptSource *source, gsize kept, GError **error)
{
    guint8 carried[VIRT_HPT_WINDOW_HEADROOM];
    guint64 offset = source->windowOffset + source->windowLength;
    gsize skipped = (gsize)(offset % VIRT_HPT_WINDOW_SIZE);
    guint8 *data;
    gsize length;
    int code;

    if (source->pipe >= 0) {
        /* They may lie in the window that is about to be filled. */
        memmove(source->pipeWindow + VIRT_HPT_WINDOW_HEADROOM - kept, source->window + source->pos,
                kept);
        return sourceNextFromPipe(source, kept, error);
    }
    /* The bytes go with their window. */
    memcpy(carried, source->window + source->pos, kept);
    data = virtHptReadaheadGet(source->readahead, offset / VIRT_HPT_WINDOW_SIZE, &length, &code);
    if (length <= skipped ||
        (code == 0 && length < MIN(VIRT_HPT_WINDOW_SIZE, source->size - (offset - skipped)))) {
        virtHptSourceSetError(source, offset - skipped + length, VIRT_HPT_ERROR_IO, error, "%s",
                              code ? g_strerror(code)
                                   : _("the file became shorter while it was read"));
        return FALSE;
    }
    data += skipped;
    memcpy(data - kept, carried, kept);
    source->window = data - kept;
    source->windowOffset = offset - kept;
    source->windowLength = kept + length - skipped;
    source->pos = 0;
    sourceReport(source);
    return TRUE;
}

/* Makes at least @length bytes follow in the window, which the file was found to have. */
static gboolean
sourceFill(VirtHptSource *source, gsize length, GError **error)
{
    while (source->windowLength - source->pos < length) {
        if (!sourceNextWindow(source, source->windowLength - source->pos, error))
            return FALSE;
    }
    return TRUE;
}

/**
 * virtHptSourcePeek:
 * @source: a source
 * @length: bytes wanted, 1 to %VIRT_HPT_SOURCE_PEEK_MAX
 * @error: set on failure: %VIRT_HPT_ERROR_IO, or %VIRT_HPT_ERROR_MALFORMED where the file ends
 *
 * Shows the next @length bytes without consuming them.
 *
 * Returns: (transfer none): the bytes, valid until the next call, or %NULL
 */
const guint8 *
virtHptSourcePeek(VirtHptSource *source, gsize length, GError **error)
{
    g_assert(length <= VIRT_HPT_SOURCE_PEEK_MAX);
    if (length <= source->windowLength - source->pos)
        return source->window + source->pos;
    if (!sourceCheckLeft(source, length, error) || !sourceFill(source, length, error))
        return NULL;
    return source->window + source->pos;
}

/**
 * virtHptSourcePeekSome:
 * @source: a source
 * @length: (out): bytes shown, 0 at the end
 * @error: set on failure: %VIRT_HPT_ERROR_IO
 *
 * Shows as many of the next bytes as are at hand, at least one before the end.
 *
 * Returns: (transfer none): the bytes, valid until the next call, or %NULL on failure
 */
const guint8 *
virtHptSourcePeekSome(VirtHptSource *source, gsize *length, GError **error)
{
    if (source->pos == source->windowLength && virtHptSourceGetOffset(source) < source->size &&
        !sourceFill(source, 1, error))
        return NULL;
    *length = source->windowLength - source->pos;
    return source->window + source->pos;
}

/* Consumes @length bytes by reading them, and shows them to the tap if there is one. */
static gboolean
sourceReadOver(VirtHptSource *source, guint64 length, GError **error)
{
    while (length > 0) {
        gsize some;
        const guint8 *data = virtHptSourcePeekSome(source, &some, error);

        if (!data)
            return FALSE;
        some = (gsize)MIN(some, length);
        if (source->tap &&
            !source->tap(data, some, virtHptSourceGetOffset(source), source->tapOpaque, error))
            return FALSE;
        source->pos += some;
        length -= some;
    }
    return TRUE;
}

/**
 * virtHptSourceSkip:
 * @source: a source
 * @length: bytes to consume
 * @error: set on failure: %VIRT_HPT_ERROR_MALFORMED where the file ends before that, else what
 *   reading or the tap sets
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptSourceSkip(VirtHptSource *source, guint64 length, GError **error)
{
    if (length > source->windowLength - source->pos && !sourceCheckLeft(source, length, error))
        return FALSE;
    if (source->tap || source->pipe >= 0)
        return sourceReadOver(source, length, error);
    if (length <= source->windowLength - source->pos) {
        source->pos += (gsize)length;
        return TRUE;
    }
    source->windowOffset += source->pos + length;
    source->windowLength = 0;
    source->pos = 0;
    sourceReport(source);
    return TRUE;
}

/**
 * virtHptSourceTap:
 * @source: a source
 * @func: called with all bytes that are consumed from now on, or %NULL to end that
 * @opaque: passed to @func
 */
void
virtHptSourceTap(VirtHptSource *source, VirtHptSourceFunc func, gpointer opaque)
{
    source->tap = func;
    source->tapOpaque = opaque;
}
