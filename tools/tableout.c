/*
 * tableout.c: where commands write a table or a delta to
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "config.h"

#include "tableout.h"

#include <glib/gi18n.h>
#include <unistd.h>

#include "libvirt-hpt/htab_error.h"

#define STDOUT "-"

typedef struct {
    VirtHptOutput *out;
    guint64 length;
} Sink;

/**
 * virtHptTableOutCheckStdout:
 * @tool: whose options say what standard output is for
 * @path: where to write, as it was typed; - is standard output
 * @status: (out): exit code if it cannot be that
 *
 * Returns: %FALSE if there is nothing more to do
 */
gboolean
virtHptTableOutCheckStdout(VirtHptTool *tool, const char *path, VirtHptExit *status)
{
    if (!g_str_equal(path, STDOUT))
        return TRUE;
    if (tool->json) {
        *status = virtHptToolUsage(tool, _("--json and an HPT cannot share standard output"));
        return FALSE;
    }
    if (isatty(STDOUT_FILENO)) {
        *status = virtHptToolUsage(tool, _("an HPT is binary: it is not written to a terminal"));
        return FALSE;
    }
    return TRUE;
}

/**
 * virtHptTableOutPrepare:
 * @out: (out): where to write
 * @path: as it was typed, which must outlive @out; - is standard output
 * @force: whether a file may be replaced
 * @error: set on failure, as virtHptNewFilePrepare() does
 *
 * To be called before an image of many gigabytes is read.
 *
 * Returns: %FALSE with @error set
 */
gboolean
virtHptTableOutPrepare(VirtHptTableOut *out, const char *path, gboolean force, GError **error)
{
    out->path = path;
    if (g_str_equal(path, STDOUT))
        return TRUE;
    out->file = virtHptNewFilePrepare(path, force, error);
    return out->file != NULL;
}

static gboolean
sameFile(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/**
 * virtHptTableOutAvoid:
 * @out: where to write
 * @place: (nullable): what was read
 * @error: set on failure: %VIRT_HPT_ERROR_EXISTS
 *
 * With --force a slip of the hand must not replace an image by its own table.  Standard output was
 * opened by a shell, perhaps to append to it, before we could object.
 *
 * Returns: %FALSE with @error set if they are the same
 */
gboolean
virtHptTableOutAvoid(const VirtHptTableOut *out, const VirtHptPlace *place, GError **error)
{
    struct stat old;

    if (!place)
        return TRUE;
    if (out->file) {
        if (!virtHptNewFileGetOld(out->file, &old) || !sameFile(&old, &place->stat))
            return TRUE;
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_EXISTS,
                    _("'%s' is the image itself, and is not replaced"), out->path);
        return FALSE;
    }
    if (fstat(STDOUT_FILENO, &old) < 0 || !sameFile(&old, &place->stat))
        return TRUE;
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_EXISTS,
                _("standard output is the image '%s' itself, and is not written to"), place->path);
    return FALSE;
}

/**
 * virtHptTableOutAvoidSubject:
 * @out: where to write
 * @subject: what was read
 * @error: set on failure: %VIRT_HPT_ERROR_EXISTS
 *
 * Returns: %FALSE with @error set if @out is the image or part of its record
 */
gboolean
virtHptTableOutAvoidSubject(const VirtHptTableOut *out,
                            const VirtHptSubject *subject,
                            GError **error)
{
    struct stat old;
    struct stat dir;
    struct stat recordDir;

    if (!virtHptTableOutAvoid(out, subject->place, error))
        return FALSE;
    if (!out->file || !subject->record || !virtHptNewFileGetOld(out->file, &old) ||
        fstat(out->file->dir, &dir) < 0 || fstat(subject->record->dir, &recordDir) < 0 ||
        !sameFile(&dir, &recordDir))
        return TRUE;
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_EXISTS,
                _("'%s' is part of the record, and is not replaced"), out->path);
    return FALSE;
}

static gboolean
sinkWrite(const guint8 *data, gsize length, gpointer opaque, GError **error)
{
    Sink *sink = opaque;
    int errnum;

    virtHptOutputWrite(sink->out, data, length);
    sink->length += length;
    errnum = virtHptOutputGetError(sink->out);
    if (errnum) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO, _("cannot write: %s"),
                    g_strerror(errnum));
        return FALSE;
    }
    return TRUE;
}

static gboolean
writeFile(VirtHptNewFile *file,
          VirtHptEncodeFunc encode,
          gpointer opaque,
          guint64 *length,
          GError **error)
{
    g_autoptr(VirtHptOutput) output = NULL;
    Sink sink = {0};
    int errnum;

    if (!virtHptNewFileOpen(file, error))
        return FALSE;
    output = virtHptOutputNew(file->fd);
    sink.out = output;
    if (!encode(sinkWrite, &sink, opaque, error)) {
        g_prefix_error(error, "'%s': ", file->path);
        return FALSE;
    }
    errnum = virtHptOutputFlush(output);
    if (errnum) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO, _("cannot write '%1$s': %2$s"),
                    file->path, g_strerror(errnum));
        return FALSE;
    }
    *length = sink.length;
    return virtHptNewFileCommit(file, error);
}

/**
 * virtHptTableOutWrite:
 * @tool: whose standard output it may be
 * @out: where to write, which is none of what was read
 * @encode: makes the bytes
 * @opaque: passed to @encode
 * @length: (out): how many there were
 * @error: set on failure
 *
 * A file appears whole or not at all.  A failed write to standard output is told once, when that is
 * closed.
 *
 * Returns: %FALSE with @error set
 */
gboolean
virtHptTableOutWrite(VirtHptTool *tool,
                     const VirtHptTableOut *out,
                     VirtHptEncodeFunc encode,
                     gpointer opaque,
                     guint64 *length,
                     GError **error)
{
    Sink sink = {tool->out, 0};

    if (out->file)
        return writeFile(out->file, encode, opaque, length, error);
    if (!encode(sinkWrite, &sink, opaque, error)) {
        if (!virtHptOutputGetError(tool->out))
            return FALSE;
        g_clear_error(error);
    }
    *length = sink.length;
    return TRUE;
}

void
virtHptTableOutClear(VirtHptTableOut *out)
{
    g_clear_pointer(&out->file, virtHptNewFileFree);
}
