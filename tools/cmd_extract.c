/*
 * cmd_extract.c: virt-hpt extract: the table as a file of its own
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "config.h"

#include <glib/gi18n.h>

#include "libvirt-hpt/htab_error.h"
#include "libvirt-hpt/htab_stream.h"
#include "json.h"
#include "options.h"
#include "tableout.h"
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

/* What virtHptTableOutWrite() is to write */
typedef struct {
    const VirtHptTable *table;
    const Format *format;
} Content;

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
encodeContent(VirtHptWriteFunc write, gpointer sink, gpointer opaque, GError **error)
{
    const Content *content = opaque;

    if (content->format->canonical)
        return virtHptTableEncodeCanonical(content->table, write, sink, error);
    return virtHptTableEncode(content->table, content->format->encoding, write, sink, error);
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
    g_auto(VirtHptTableOut) out = {0};
    g_autoptr(VirtHptSubject) subject = NULL;
    g_autoptr(GError) error = NULL;
    Content content;
    guint64 length = 0;

    if (!virtHptTableOutPrepare(&out, output, force, &error))
        return virtHptToolFail(tool, error);
    subject = virtHptToolOpenTable(tool, path, &error);
    if (!subject)
        return virtHptToolFail(tool, error);
    if (!subject->table) {
        g_set_error(&error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND,
                    _("'%s': nothing to extract: the guest's MMU is radix, it has no HPT"), path);
        return virtHptToolFail(tool, error);
    }
    content = (Content){subject->table, format};
    if (!virtHptTableOutAvoidSubject(&out, subject, &error) ||
        !virtHptTableOutWrite(tool, &out, encodeContent, &content, &length, &error))
        return virtHptToolFail(tool, error);
    if (out.file)
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
    VirtHptExit status;

    if (!virtHptOptionsParse(tool, entries, argc, argv, &operands, &status))
        return status;
    if (!output)
        return virtHptToolUsage(tool, _("missing option --output"));
    format = findFormat(formatName ? formatName : "qemu");
    if (!format)
        return virtHptToolUsage(tool, _("--format: '%s' is none of qemu, kvm-le, kvm-be"),
                                formatName);
    if (!virtHptTableOutCheckStdout(tool, output, &status))
        return status;
    return extract(tool, operands[0], output, format, force);
}
