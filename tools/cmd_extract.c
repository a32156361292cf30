/*
 * cmd_extract.c: virt-hpt extract: the table as a file of its own
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "config.h"

#include <glib/gi18n.h>
#include <unistd.h>

#include "libvirt-hpt/htab_error.h"
#include "libvirt-hpt/htab_stream.h"
#include "json.h"
#include "newfile.h"
#include "options.h"
#include "text.h"
#include "tool.h"

typedef struct {
    const char *name;
    VirtHptEncoding encoding;
    gboolean canonical;
} Format;

static const Format formats[] = {
    {"qemu", VIRT_HPT_ENCODING_QEMU, TRUE},
    {"kvm-le", VIRT_HPT_ENCODING_KVM_LE, FALSE},
    {"kvm-be", VIRT_HPT_ENCODING_KVM_BE, FALSE},
};

typedef struct {
    VirtHptOutput *out;
    guint64 length;
} Sink;

static const Format *
findFormat(const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(formats); i++) {
        if (g_str_equal(formats[i].name, name))
            return &formats[i];
    }
    return NULL;
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
encodeTable(const VirtHptTable *table, const Format *format, Sink *sink, GError **error)
{
    if (format->canonical)
        return virtHptTableEncodeCanonical(table, sinkWrite, sink, error);
    return virtHptTableEncode(table, format->encoding, sinkWrite, sink, error);
}

static gboolean
sameFile(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* With --force a slip of the hand must not replace the image by its own table */
static gboolean
checkNotSource(const VirtHptSubject *subject, const VirtHptNewFile *file, GError **error)
{
    struct stat old;
    struct stat dir;
    struct stat recordDir;

    if (!virtHptNewFileGetOld(file, &old))
        return TRUE;
    if (subject->place && sameFile(&old, &subject->place->stat)) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_EXISTS,
                    _("'%s' is the image itself, and is not replaced"), file->path);
        return FALSE;
    }
    if (subject->record && fstat(file->dir, &dir) == 0 &&
        fstat(subject->record->dir, &recordDir) == 0 && sameFile(&dir, &recordDir)) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_EXISTS,
                    _("'%s' is part of the record, and is not replaced"), file->path);
        return FALSE;
    }
    return TRUE;
}

/* A shell has opened standard output, perhaps to append to it, before we could object */
static gboolean
extractToStdout(VirtHptTool *tool,
                const VirtHptSubject *subject,
                const Format *format,
                GError **error)
{
    Sink sink = {tool->out, 0};
    struct stat out;

    if (subject->place && fstat(STDOUT_FILENO, &out) == 0 &&
        sameFile(&out, &subject->place->stat)) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_EXISTS,
                    _("standard output is the image '%s' itself, and is not written to"),
                    subject->path);
        return FALSE;
    }
    return encodeTable(subject->table, format, &sink, error);
}

static gboolean
extractToFile(const VirtHptSubject *subject,
              const Format *format,
              VirtHptNewFile *file,
              guint64 *length,
              GError **error)
{
    g_autoptr(VirtHptOutput) out = NULL;
    Sink sink = {0};
    int errnum;

    if (!checkNotSource(subject, file, error) || !virtHptNewFileOpen(file, error))
        return FALSE;
    out = virtHptOutputNew(file->fd);
    sink.out = out;
    if (!encodeTable(subject->table, format, &sink, error)) {
        g_prefix_error(error, "'%s': ", file->path);
        return FALSE;
    }
    errnum = virtHptOutputFlush(out);
    if (errnum) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO, _("cannot write '%1$s': %2$s"),
                    file->path, g_strerror(errnum));
        return FALSE;
    }
    *length = sink.length;
    return virtHptNewFileCommit(file, error);
}

static void
printOutcome(VirtHptTool *tool,
             const VirtHptSubject *subject,
             const char *output,
             const Format *format,
             guint64 length)
{
    g_autoptr(JsonBuilder) json = NULL;
    g_autofree char *name = virtHptTextEscape(output);

    if (tool->json) {
        json = virtHptJsonNew();
        virtHptJsonAddString(json, "path", subject->path);
        virtHptJsonAddString(json, "output", output);
        virtHptJsonAddString(json, "format", format->name);
        virtHptJsonAddUint(json, "order", subject->order);
        virtHptJsonAddUint(json, "size", length);
        virtHptJsonPrint(json, tool->out);
    } else if (!tool->quiet) {
        virtHptOutputPrintf(tool->out, _("%1$s: HPT of order %2$u, %3$llu bytes"), name,
                            subject->order, (unsigned long long)length);
        virtHptOutputPuts(tool->out, "\n");
    }
}

static VirtHptExit
extract(VirtHptTool *tool,
        const char *path,
        const char *output,
        const Format *format,
        gboolean force)
{
    g_autoptr(VirtHptNewFile) file = NULL;
    g_autoptr(VirtHptSubject) subject = NULL;
    g_autoptr(GError) error = NULL;
    guint64 length = 0;

    /* Before an image of many gigabytes is read */
    if (output) {
        file = virtHptNewFilePrepare(output, force, &error);
        if (!file)
            return virtHptToolFail(tool, error);
    }
    subject = virtHptToolOpen(tool, path, &error);
    if (!subject)
        return virtHptToolFail(tool, error);
    if (!subject->table) {
        g_set_error(&error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND,
                    _("'%s': nothing to extract: the guest's MMU is radix, it has no HPT"), path);
        return virtHptToolFail(tool, error);
    }

    if (!output) {
        /* A failed write is told once, when the output is closed */
        if (!extractToStdout(tool, subject, format, &error) && !virtHptOutputGetError(tool->out))
            return virtHptToolFail(tool, error);
        return VIRT_HPT_EXIT_GOOD;
    }
    if (!extractToFile(subject, format, file, &length, &error))
        return virtHptToolFail(tool, error);
    printOutcome(tool, subject, output, format, length);
    return VIRT_HPT_EXIT_GOOD;
}

VirtHptExit
virtHptCmdExtract(VirtHptTool *tool, int argc, char **argv)
{
    g_autofree char *output = NULL;
    g_autofree char *formatName = NULL;
    gboolean force = FALSE;
    const GOptionEntry entries[] = {
        {"output", 'o', 0, G_OPTION_ARG_FILENAME, &output,
         N_("Where to write; - is standard output"), N_("OUT")},
        {"format", 0, 0, G_OPTION_ARG_FILENAME, &formatName, N_("qemu (default), kvm-le or kvm-be"),
         N_("FORMAT")},
        {"force", 'f', 0, G_OPTION_ARG_NONE, &force, N_("Replace OUT if it is there"), NULL},
        {.long_name = NULL},
    };
    g_auto(GStrv) operands = NULL;
    const Format *format;
    gboolean toStdout;
    VirtHptExit status;

    if (!virtHptOptionsParse(tool, entries, argc, argv, &operands, &status))
        return status;
    if (!output)
        return virtHptToolUsage(tool, _("missing option --output"));
    format = findFormat(formatName ? formatName : "qemu");
    if (!format)
        return virtHptToolUsage(tool, _("--format: '%s' is none of qemu, kvm-le, kvm-be"),
                                formatName);
    toStdout = g_str_equal(output, "-");
    if (toStdout && tool->json)
        return virtHptToolUsage(tool, _("--json and an HPT cannot share standard output"));
    if (toStdout && isatty(STDOUT_FILENO))
        return virtHptToolUsage(tool, _("an HPT is binary: it is not written to a terminal"));

    return extract(tool, operands[0], toStdout ? NULL : output, format, force);
}
