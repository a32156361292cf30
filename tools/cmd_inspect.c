/*
 * cmd_inspect.c: virt-hpt inspect: what an image, a record or a table's file holds
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "config.h"

#include <glib/gi18n.h>

#include "json.h"
#include "options.h"
#include "text.h"
#include "tool.h"

/* Column of the second value in lines of two */
#define SECOND_COLUMN 22
/* Of the table of page sizes */
#define PAGES_WIDTH 19
#define COUNT_WIDTH 7

/* What is said of the image, wherever it was learned */
typedef struct {
    const char *file;
    const char *kind;
    const char *kindText;
    const char *format;
    guint64 size;
} ImageFacts;

/* How the record and the image compare; @code is of JSON, never translated */
typedef struct {
    const char *code;
    const VirtHptRecord *record;
    VirtHptComparison comparison;
    gboolean compared;
    GError *error;
} RecordFacts;

static void
recordFactsClear(RecordFacts *facts)
{
    g_clear_error(&facts->error);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(RecordFacts, recordFactsClear)

static void
getImageFacts(const VirtHptSubject *subject, ImageFacts *facts)
{
    gboolean saved;

    if (subject->isTable) {
        *facts = (ImageFacts){
            .file = subject->path,
            .kind = "table",
            .kindText = _("an HPT alone"),
            .format = "canonical",
            .size = (guint64)subject->place->stat.st_size,
        };
        return;
    }
    if (subject->image) {
        saved = subject->image->kind == VIRT_HPT_IMAGE_SAVE;
        facts->file = subject->path;
        facts->kind = virtHptImageKindGetName(subject->image->kind);
        facts->format = subject->image->format;
        facts->size = (guint64)subject->image->stat.st_size;
    } else {
        const VirtHptSnapshotDef *def = subject->record->def;

        saved = def->imageKind == VIRT_HPT_SNAPSHOT_IMAGE_SAVE;
        facts->file = def->imageFile;
        facts->kind = virtHptSnapshotImageKindGetName(def->imageKind);
        facts->format = def->imageFormat;
        facts->size = def->imageSize;
    }
    facts->kindText = saved ? _("libvirt save image") : _("QEMU migration stream");
}

static void
getRecordFacts(const VirtHptSubject *subject, RecordFacts *facts)
{
    facts->record = subject->record;
    if (!subject->record) {
        facts->code = subject->recordError ? "unusable" : "none";
        facts->error = subject->recordError ? g_error_copy(subject->recordError) : NULL;
        return;
    }
    if (!subject->place) {
        facts->code = "image-missing";
        return;
    }
    facts->compared =
        virtHptRecordCompare(subject->record, subject->place, &facts->comparison, &facts->error);
    facts->code = facts->compared ? virtHptRecordStateGetName(facts->comparison.state) : "unusable";
}

static void
jsonRecord(JsonBuilder *json, const RecordFacts *facts)
{
    virtHptJsonBeginObject(json, "record");
    virtHptJsonAddString(json, "state", facts->code);
    if (facts->record) {
        virtHptJsonAddString(json, "path", facts->record->path);
        virtHptJsonAddString(json, "name", facts->record->def->name);
        virtHptJsonAddUint(json, "creation_time",
                           (guint64)MAX(facts->record->def->creationTime, 0));
    }
    if (facts->compared) {
        virtHptJsonAddUint(json, "extents", facts->comparison.extents);
        virtHptJsonAddUint(json, "differing", facts->comparison.differing);
    }
    if (facts->error)
        virtHptJsonAddString(json, "message", facts->error->message);
    json_builder_end_object(json);
}

static void
jsonTable(JsonBuilder *json, const VirtHptTable *table, const VirtHptTableStats *stats)
{
    guint order = virtHptTableGetOrder(table);

    virtHptJsonBeginObject(json, "hpt");
    virtHptJsonAddUint(json, "order", order);
    virtHptJsonAddUint(json, "bytes", 1ULL << order);
    virtHptJsonAddUint(json, "slots", virtHptTableGetSlots(table));
    virtHptJsonAddUint(json, "ptegs", virtHptTableGetPtegs(table));
    virtHptJsonAddUint(json, "valid", stats->valid);
    virtHptJsonAddUint(json, "bolted", stats->bolted);
    virtHptJsonAddUint(json, "secondary", stats->secondary);
    virtHptJsonAddUint(json, "cache_inhibited", stats->cacheInhibited);
    virtHptJsonAddUint(json, "ptegs_used", stats->ptegsUsed);
    virtHptJsonAddUint(json, "pteg_fullest", stats->ptegFullest);
    virtHptJsonAddUint(json, "mapped", stats->mapped);
    virtHptJsonBeginArray(json, "page_sizes");
    for (guint i = 0; i < stats->npages; i++) {
        const VirtHptPageCount *page = &stats->pages[i];

        virtHptJsonBeginObject(json, NULL);
        virtHptJsonAddKnown(json, "base", page->size.base ? 1ULL << page->size.base : 0);
        virtHptJsonAddKnown(json, "actual", page->size.actual ? 1ULL << page->size.actual : 0);
        virtHptJsonAddUint(json, "count", page->count);
        json_builder_end_object(json);
    }
    json_builder_end_array(json);
    json_builder_end_object(json);
}

static void
printJson(VirtHptTool *tool,
          const VirtHptSubject *subject,
          const ImageFacts *image,
          const RecordFacts *record,
          const VirtHptTableStats *stats)
{
    g_autoptr(JsonBuilder) json = virtHptJsonNew();

    virtHptJsonAddString(json, "path", subject->path);
    virtHptJsonBeginObject(json, "image");
    virtHptJsonAddString(json, "file", image->file);
    virtHptJsonAddString(json, "kind", image->kind);
    virtHptJsonAddString(json, "format", image->format);
    virtHptJsonAddUint(json, "size", image->size);
    virtHptJsonAddString(json, "machine", subject->machine);
    virtHptJsonAddKnown(json, "ram", subject->ramBytes);
    if (subject->image)
        virtHptJsonAddString(json, "uuid", subject->image->stream->uuid);
    json_builder_end_object(json);
    virtHptJsonAddString(json, "mmu", virtHptMmuGetName(subject->mmu));
    if (subject->table)
        jsonTable(json, subject->table, stats);
    jsonRecord(json, record);
    virtHptJsonPrint(json, tool->out);
}

static void
textRecord(VirtHptTool *tool, const VirtHptSubject *subject, const RecordFacts *facts)
{
    const char *label = _("Record:");
    g_autofree char *quoted = virtHptTextShellQuote(subject->path);
    g_autofree char *command = g_strdup_printf("virt-hpt record %s", quoted);
    g_autofree char *reason = virtHptTextEscape(facts->error ? facts->error->message : NULL);
    g_autofree char *made = NULL;

    if (facts->record)
        made = virtHptTextTime(facts->record->def->creationTime);

    if (facts->error) {
        virtHptOutputField(tool->out, label, _("cannot be used: %s"), reason);
    } else if (!facts->record) {
        if (tool->quiet)
            virtHptOutputField(tool->out, label, "%s", _("none"));
        else
            virtHptOutputField(tool->out, label, _("none (make one: %s)"), command);
    } else if (!facts->compared) {
        virtHptOutputField(tool->out, label, _("its image is not there, made %s"), made);
    } else {
        switch (facts->comparison.state) {
        case VIRT_HPT_RECORD_DAMAGED:
            virtHptOutputField(tool->out, label, _("damaged, made %s"), made);
            break;
        case VIRT_HPT_RECORD_STALE:
            virtHptOutputField(tool->out, label, _("stale, made %s"), made);
            break;
        case VIRT_HPT_RECORD_CURRENT:
        default:
            virtHptOutputField(tool->out, label, _("current, made %s"), made);
            break;
        }
    }
}

/* A line of two labels and two values */
static void
textPair(VirtHptTool *tool,
         const char *label,
         const char *value,
         const char *secondLabel,
         guint64 second)
{
    virtHptOutputPadded(tool->out, label, VIRT_HPT_OUTPUT_LABEL_WIDTH);
    virtHptOutputPadded(tool->out, value, SECOND_COLUMN);
    virtHptOutputField(tool->out, secondLabel, "%llu", (unsigned long long)second);
}

static char *
pageSizeLabel(const VirtHptPageSize *size)
{
    g_autofree char *base = NULL;
    g_autofree char *actual = NULL;

    if (size->base == 0)
        return g_strdup(_("invalid"));
    base = virtHptTextPageSize(size->base);
    actual = virtHptTextPageSize(size->actual);
    return g_strdup_printf("%s/%s", base, actual);
}

static void
textPages(VirtHptTool *tool, const VirtHptTableStats *stats)
{
    virtHptOutputPuts(tool->out, "\n");
    virtHptOutputPadded(tool->out, _("Base/actual page"), PAGES_WIDTH);
    virtHptOutputPadded(tool->out, _("Entries"), COUNT_WIDTH + 3);
    virtHptOutputPrintf(tool->out, "%s\n", _("Mapped"));
    for (guint i = 0; i < stats->npages; i++) {
        const VirtHptPageCount *page = &stats->pages[i];
        g_autofree char *label = pageSizeLabel(&page->size);
        g_autofree char *mapped = NULL;

        /* As VirtHptTableStats does, the product saturates */
        if (page->size.base == 0)
            mapped = g_strdup("-");
        else if (page->count > G_MAXUINT64 >> page->size.actual)
            mapped = virtHptTextSize(G_MAXUINT64);
        else
            mapped = virtHptTextSize(page->count << page->size.actual);

        virtHptOutputPadded(tool->out, label, PAGES_WIDTH);
        virtHptOutputPrintf(tool->out, "%*llu   %s\n", COUNT_WIDTH, (unsigned long long)page->count,
                            mapped);
    }
}

static void
textTable(VirtHptTool *tool, const VirtHptTable *table, const VirtHptTableStats *stats)
{
    guint order = virtHptTableGetOrder(table);
    guint64 slots = virtHptTableGetSlots(table);
    g_autofree char *size = virtHptTextSize(1ULL << order);
    g_autofree char *valid = g_strdup_printf("%llu (%.1f %%)", (unsigned long long)stats->valid,
                                             (double)stats->valid * 100 / (double)slots);
    g_autofree char *secondary = g_strdup_printf("%llu", (unsigned long long)stats->secondary);

    virtHptOutputPuts(tool->out, "\n");
    virtHptOutputField(tool->out, _("HPT order:"), _("%1$u (%2$s, %3$llu slots, %4$llu PTEGs)"),
                       order, size, (unsigned long long)slots,
                       (unsigned long long)virtHptTableGetPtegs(table));
    textPair(tool, _("Valid:"), valid, _("Bolted:"), stats->bolted);
    textPair(tool, _("Secondary hash:"), secondary, _("Cache-inhibited:"), stats->cacheInhibited);
    virtHptOutputField(tool->out, _("PTEG fill:"), _("%1$llu in use, fullest %2$u of %3$u"),
                       (unsigned long long)stats->ptegsUsed, stats->ptegFullest,
                       VIRT_HPT_PTEG_SLOTS);
    if (stats->npages > 0)
        textPages(tool, stats);
}

static void
printText(VirtHptTool *tool,
          const VirtHptSubject *subject,
          const ImageFacts *image,
          const RecordFacts *record,
          const VirtHptTableStats *stats)
{
    g_autofree char *file = virtHptTextEscape(image->file);
    g_autofree char *size = virtHptTextSize(image->size);
    g_autofree char *machine = virtHptTextEscape(subject->machine);
    g_autofree char *ram = virtHptTextSize(subject->ramBytes);
    const char *machineText = subject->machine ? machine : _("unknown");

    virtHptOutputField(tool->out, _("Image:"), "%s (%s, %s)", file, image->kindText, size);
    if (subject->ramBytes)
        virtHptOutputField(tool->out, _("Machine:"), _("%1$s, %2$s RAM"), machineText, ram);
    else if (!subject->isTable)
        virtHptOutputField(tool->out, _("Machine:"), "%s", machineText);
    virtHptOutputField(tool->out, _("MMU:"), "%s", virtHptMmuGetName(subject->mmu));
    if (!subject->isTable)
        textRecord(tool, subject, record);
    if (subject->table)
        textTable(tool, subject->table, stats);
}

VirtHptExit
virtHptCmdInspect(VirtHptTool *tool, int argc, char **argv)
{
    g_auto(GStrv) operands = NULL;
    g_autoptr(VirtHptSubject) subject = NULL;
    g_auto(RecordFacts) record = {0};
    g_autoptr(GError) error = NULL;
    VirtHptTableStats stats = {0};
    ImageFacts image;
    VirtHptExit status;

    if (!virtHptOptionsParse(tool, NULL, argc, argv, &operands, &status))
        return status;

    subject = virtHptToolOpenTable(tool, operands[0], &error);
    if (!subject)
        return virtHptToolFail(tool, error);

    getImageFacts(subject, &image);
    getRecordFacts(subject, &record);
    if (subject->table)
        virtHptTableGetStats(subject->table, &stats);
    if (tool->json)
        printJson(tool, subject, &image, &record, &stats);
    else
        printText(tool, subject, &image, &record, &stats);
    return VIRT_HPT_EXIT_GOOD;
}
