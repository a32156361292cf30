/*
 * cmd_snapshot_create.c: virt-hpt snapshot-create-as
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Options have virsh's names, form and meaning.
 */

#include "config.h"

#include <glib/gi18n.h>
#include <inttypes.h>
#include <string.h>

#include "json.h"
#include "options.h"
#include "progress.h"
#include "snapshot.h"
#include "snapshot_common.h"
#include "text.h"

static void
diskSpecFree(gpointer data)
{
    VirtHptDiskSpec *spec = data;

    g_free(spec->name);
    g_free(spec->snapshot);
    g_free(spec->driver);
    g_free(spec->type);
    g_free(spec->file);
    g_free(spec);
}

/* Splits at commas, of which two stand for one in a value. */
static GPtrArray *
splitSpec(const char *text)
{
    GPtrArray *parts = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GString) part = g_string_new(NULL);

    for (const char *p = text; *p; p++) {
        if (p[0] == ',' && p[1] == ',') {
            g_string_append_c(part, ',');
            p++;
        } else if (p[0] == ',') {
            g_ptr_array_add(parts, g_strdup(part->str));
            g_string_truncate(part, 0);
        } else {
            g_string_append_c(part, *p);
        }
    }
    g_ptr_array_add(parts, g_strdup(part->str));
    return parts;
}

/* Takes "KEY=VALUE" if that is what @part is. */
static gboolean
takeValue(const char *part, const char *key, char **value)
{
    gsize length = strlen(key);

    if (strncmp(part, key, length) != 0 || part[length] != '=')
        return FALSE;
    g_free(*value);
    *value = g_strdup(part + length + 1);
    return TRUE;
}

/* [file=]NAME[,snapshot=external] */
static gboolean
parseMemory(VirtHptTool *tool, const char *text, char **file, VirtHptExit *status)
{
    g_autoptr(GPtrArray) parts = splitSpec(text);
    g_autofree char *snapshot = NULL;

    for (guint i = 0; i < parts->len; i++) {
        const char *part = g_ptr_array_index(parts, i);

        if (takeValue(part, "file", file) || takeValue(part, "snapshot", &snapshot))
            continue;
        /* As in virsh a path may stand anywhere */
        if (*file || (i > 0 && *part != '/') || *part == '\0') {
            *status = virtHptToolUsage(tool, _("--memspec: '%s' is not understood"), part);
            return FALSE;
        }
        *file = g_strdup(part);
    }
    if (snapshot && !g_str_equal(snapshot, "external")) {
        g_autoptr(GError) error = g_error_new(
            VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED,
            _("--memspec: memory snapshots of kind '%1$s' are not supported"), snapshot);

        *status = virtHptToolFail(tool, error);
        return FALSE;
    }
    return TRUE;
}

/* DISK[,snapshot=TYPE][,driver=FORMAT][,stype=TYPE][,file=NAME] */
static gboolean
parseDisk(VirtHptTool *tool, const char *text, GPtrArray *disks, VirtHptExit *status)
{
    g_autoptr(GPtrArray) parts = splitSpec(text);
    VirtHptDiskSpec *spec = g_new0(VirtHptDiskSpec, 1);

    g_ptr_array_add(disks, spec);
    spec->name = g_strdup(g_ptr_array_index(parts, 0));
    for (guint i = 1; i < parts->len; i++) {
        const char *part = g_ptr_array_index(parts, i);

        if (!takeValue(part, "snapshot", &spec->snapshot) &&
            !takeValue(part, "driver", &spec->driver) && !takeValue(part, "stype", &spec->type) &&
            !takeValue(part, "file", &spec->file)) {
            *status = virtHptToolUsage(tool, _("--diskspec: '%s' is not understood"), part);
            return FALSE;
        }
    }
    if (*spec->name == '\0') {
        *status = virtHptToolUsage(tool, _("--diskspec: '%s' names no disk"), text);
        return FALSE;
    }
    return TRUE;
}

/* Options of virsh's that make no snapshot with memory, or none that could be recorded */
static const struct {
    const char *name;
    const char *reason;
} refused[] = {
    {"disk-only", N_("without memory there is no table to record: use virsh")},
    {"halt", N_("end the guest when the snapshot was made: virsh destroy")},
    {"no-metadata", N_("nobody could list the snapshot, or revert to it")},
    {"print-xml", N_("use virsh, which prints the same")},
    {"quiesce", N_("libvirt does that for snapshots without memory only: use virsh")},
    {"reuse-external", N_("a file that is there already is never written over")},
    {"validate", N_("the XML is not the user's")},
};

/* The options that are understood, and those that are refused with a reason */
static GOptionEntry *
allEntries(const GOptionEntry *own, gboolean *given)
{
    g_autoptr(GArray) entries = g_array_new(TRUE, TRUE, sizeof(GOptionEntry));

    for (; own->long_name; own++)
        g_array_append_val(entries, *own);
    for (gsize i = 0; i < G_N_ELEMENTS(refused); i++) {
        GOptionEntry entry = {.long_name = refused[i].name,
                              .flags = G_OPTION_FLAG_HIDDEN,
                              .arg = G_OPTION_ARG_NONE,
                              .arg_data = &given[i]};

        g_array_append_val(entries, entry);
    }
    return (GOptionEntry *)(gpointer)g_array_free(g_steal_pointer(&entries), FALSE);
}

static gboolean
checkRefused(VirtHptTool *tool, const gboolean *given, VirtHptExit *status)
{
    for (gsize i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autoptr(GError) error = NULL;

        if (!given[i])
            continue;
        error =
            g_error_new(VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED,
                        _("--%1$s is not supported: %2$s"), refused[i].name, _(refused[i].reason));
        *status = virtHptToolFail(tool, error);
        return FALSE;
    }
    return TRUE;
}

static VirtHptExit
printCreated(VirtHptTool *tool,
             const VirtHptGuest *guest,
             const VirtHptCreateOptions *options,
             const VirtHptRecord *record,
             const GError *error)
{
    if (tool->json) {
        g_autoptr(JsonBuilder) json = virtHptJsonNew();

        virtHptJsonAddString(json, "domain", guest->name);
        virtHptJsonAddString(json, "name", options->name);
        virtHptJsonAddString(json, "memory", options->memory);
        virtHptJsonAddString(json, "record", record ? record->path : NULL);
        virtHptJsonAddString(json, "record_error", error ? error->message : NULL);
        virtHptJsonPrint(json, tool->out);
    } else {
        g_autofree char *name = virtHptTextEscape(options->name);
        g_autofree char *path = record ? virtHptTextEscape(record->path) : NULL;

        if (!tool->quiet) {
            virtHptOutputPrintf(tool->out, _("Snapshot '%s' was made."), name);
            virtHptOutputPuts(tool->out, "\n");
        }
        if (path && !tool->quiet) {
            virtHptOutputPrintf(tool->out, _("It is recorded in '%s'."), path);
            virtHptOutputPuts(tool->out, "\n");
        }
    }
    if (error) {
        g_autofree char *message =
            g_strdup_printf(_("the snapshot has no record: %s"), error->message);

        virtHptToolSay(message, tool);
    }
    return error ? VIRT_HPT_EXIT_WARNED : VIRT_HPT_EXIT_GOOD;
}

static VirtHptExit
create(VirtHptTool *tool, const char *domain, VirtHptCreateOptions *options)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptGuest) guest =
        virtHptToolOpenGuest(tool, domain, VIRT_HPT_ACCESS_CHANGE, &error);
    g_autoptr(VirtHptSnapshot) snapshot = NULL;
    g_autoptr(VirtHptRecord) record = NULL;
    g_autofree char *memory = NULL;
    gboolean made;
    const VirtHptRevertOptions tell = {.say = virtHptToolSay, .opaque = tool};

    if (guest && !options->memory) {
        memory = virtHptSnapshotSuggestMemory(guest, options->name, &error);
        options->memory = memory;
    }
    made = guest && options->memory && virtHptSnapshotCreate(guest, options, &tell, &error);
    if (!made)
        return virtHptToolFail(tool, error);
    snapshot = virtHptSnapshotLookup(guest, options->name, &error);
    if (snapshot && virtHptSnapshotHasImage(snapshot, &error)) {
        g_auto(VirtHptProgress) progress;

        virtHptProgressInit(&progress, tool);
        record = virtHptSnapshotRecord(snapshot, virtHptProgressUpdate, &progress, &error);
    }
    /* What is not ended now the next command ends. */
    virtHptSnapshotCreateFinish(guest, NULL);
    return printCreated(tool, guest, options, record, error);
}

VirtHptExit
virtHptCmdSnapshotCreateAs(VirtHptTool *tool, int argc, char **argv)
{
    g_autofree char *memspec = NULL;
    g_auto(GStrv) diskspecs = NULL;
    g_autofree char *description = NULL;
    g_autofree char *memory = NULL;
    gboolean live = FALSE;
    gboolean atomic = FALSE;
    const GOptionEntry entries[] = {
        {"memspec", 0, 0, G_OPTION_ARG_FILENAME, &memspec,
         N_("Where the memory goes; default: beside the first disk"),
         N_("[file=]NAME[,snapshot=external]")},
        {"diskspec", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &diskspecs,
         N_("What to do with a disk; may be given for each"),
         N_("DISK[,snapshot=TYPE][,driver=FORMAT][,stype=TYPE][,file=NAME]")},
        {"description", 0, 0, G_OPTION_ARG_STRING, &description, N_("Describe the snapshot"),
         N_("TEXT")},
        {"live", 0, 0, G_OPTION_ARG_NONE, &live,
         N_("Let the guest run while its memory is written"), NULL},
        {"atomic", 0, 0, G_OPTION_ARG_NONE, &atomic, N_("Have libvirt do all or nothing"), NULL},
        {.long_name = NULL},
    };
    g_autoptr(GPtrArray) disks = g_ptr_array_new_with_free_func(diskSpecFree);
    gboolean given[G_N_ELEMENTS(refused)] = {FALSE};
    g_autofree GOptionEntry *all = allEntries(entries, given);
    g_autofree char *name = NULL;
    g_auto(GStrv) operands = NULL;
    VirtHptCreateOptions options = {.disks = disks};
    VirtHptExit status;

    if (!virtHptOptionsParse(tool, all, argc, argv, &operands, &status) ||
        !checkRefused(tool, given, &status))
        return status;
    if (memspec && !parseMemory(tool, memspec, &memory, &status))
        return status;
    for (char **spec = diskspecs; spec && *spec; spec++) {
        if (!parseDisk(tool, *spec, disks, &status))
            return status;
    }
    /* libvirt would choose the same */
    if (!operands[1])
        name = g_strdup_printf("%" PRId64, (gint64)(g_get_real_time() / G_USEC_PER_SEC));
    options.name = name ? name : operands[1];
    options.description = description;
    options.memory = memory;
    options.live = live;
    options.atomic = atomic;
    return create(tool, operands[0], &options);
}
