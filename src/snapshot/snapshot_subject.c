/*
 * snapshot_subject.c: what a FILE argument names: an image, a record, or a table
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <string.h>

#include <glib/gi18n-lib.h>

#include "snapshot/snapshot_context.h"
#include "snapshot/snapshot_hptfile.h"
#include "snapshot/snapshot_subject.h"

void
virtHptSubjectFree(VirtHptSubject *subject)
{
    if (!subject)
        return;
    if (subject->isRecord || subject->isTable)
        virtHptTableFree(subject->table);
    virtHptImageFree(subject->image);
    virtHptRecordFree(subject->record);
    virtHptPlaceFree(subject->place);
    virtHptDomainDefFree(subject->domain);
    g_clear_error(&subject->placeError);
    g_clear_error(&subject->recordError);
    g_free(subject->path);
    g_free(subject);
}

/* What libvirt could not parse it could not restore. */
static gboolean
readDomain(VirtHptSubject *subject, const char *xml, GError **error)
{
    if (!xml)
        return TRUE;
    subject->domain = virtHptDomainDefParse(xml, strlen(xml), subject->path, error);
    return subject->domain != NULL;
}

/* Takes @record, which may be %NULL with @error set. */
static gboolean
useRecord(VirtHptSubject *subject, VirtHptRecord *record, GError **error)
{
    const VirtHptSnapshotDef *def;

    subject->isRecord = TRUE;
    subject->record = record;
    if (!record)
        return FALSE;
    def = record->def;
    subject->place = virtHptRecordOpenImage(subject->record, &subject->placeError);
    subject->mmu = def->mmu;
    subject->order = def->order;
    subject->machine = def->machine;
    subject->ramBytes = def->ramBytes;
    if (!readDomain(subject, def->domainXml, error))
        return FALSE;
    if (def->mmu == VIRT_HPT_MMU_RADIX)
        return TRUE;
    subject->table = virtHptRecordLoadTable(subject->record, virtHptTableDefaultMaxBytes(), error);
    return subject->table != NULL;
}

static gboolean
readTable(VirtHptSubject *subject, const VirtHptImageOptions *options, GError **error)
{
    subject->isTable = TRUE;
    subject->mmu = VIRT_HPT_MMU_HASH;
    subject->table = virtHptFileReadTable(subject->place, subject->path, options->progress,
                                          options->progressOpaque, error);
    if (!subject->table)
        return FALSE;
    subject->order = virtHptTableGetOrder(subject->table);
    return TRUE;
}

static gboolean
readImage(VirtHptSubject *subject, const VirtHptImageOptions *options, GError **error)
{
    const VirtHptStream *stream;

    subject->image = virtHptImageRead(subject->place->fd, subject->path, options, error);
    if (!subject->image || !readDomain(subject, subject->image->domainXml, error))
        return FALSE;
    stream = subject->image->stream;
    subject->mmu = stream->hasHpt ? VIRT_HPT_MMU_HASH : VIRT_HPT_MMU_RADIX;
    subject->table = stream->table;
    subject->order = stream->order;
    subject->machine = stream->machine;
    subject->ramBytes = stream->ramBytes;

    subject->record = virtHptRecordFind(subject->place, &subject->recordError);
    return TRUE;
}

/* @tables: whether a file may also hold a table alone */
static VirtHptSubject *
openSubject(const char *path, const VirtHptImageOptions *options, gboolean tables, GError **error)
{
    g_autoptr(VirtHptSubject) subject = g_new0(VirtHptSubject, 1);
    gboolean ok;

    subject->path = g_strdup(path);
    if (virtHptPlaceIsRecord(path)) {
        ok = useRecord(subject, virtHptRecordOpen(path, error), error);
    } else {
        subject->place = virtHptPlaceOpen(path, error);
        if (!subject->place)
            return NULL;
        ok = tables && virtHptFileProbe(subject->place) ? readTable(subject, options, error)
                                                        : readImage(subject, options, error);
    }
    return ok ? g_steal_pointer(&subject) : NULL;
}

/**
 * virtHptSubjectOpenFull:
 * @path: an image, or a record directory
 * @options: how to read an image
 * @error: set on failure: what opening and reading an image or a record set
 *
 * Reads an image whole, or a record's descriptor and table.
 *
 * Returns: (transfer full): the subject, or %NULL
 */
VirtHptSubject *
virtHptSubjectOpenFull(const char *path, const VirtHptImageOptions *options, GError **error)
{
    return openSubject(path, options, FALSE, error);
}

/**
 * virtHptSubjectOpenRecord:
 * @record: (transfer full): a record
 * @error: set on failure: what reading the record's table set
 *
 * Returns: (transfer full): the subject that the record is, or %NULL
 */
VirtHptSubject *
virtHptSubjectOpenRecord(VirtHptRecord *record, GError **error)
{
    g_autoptr(VirtHptSubject) subject = g_new0(VirtHptSubject, 1);

    subject->path = g_strdup(record->path);
    return useRecord(subject, record, error) ? g_steal_pointer(&subject) : NULL;
}

/**
 * virtHptSubjectOpen:
 * @path: an image, or a record directory
 * @progress: called as an image is read, or %NULL
 * @progressOpaque: passed to @progress
 * @error: set on failure: what opening and reading an image or a record set
 *
 * Reads an image whole, or a record's descriptor and table.
 *
 * Returns: (transfer full): the subject, or %NULL
 */
VirtHptSubject *
virtHptSubjectOpen(const char *path,
                   VirtHptProgressFunc progress,
                   gpointer progressOpaque,
                   GError **error)
{
    VirtHptImageOptions options = {.progress = progress, .progressOpaque = progressOpaque};

    return openSubject(path, &options, FALSE, error);
}

/**
 * virtHptSubjectOpenTable:
 * @path: an image, a record directory, or a file that holds a table in the canonical form
 * @progress: called as a file is read, or %NULL
 * @progressOpaque: passed to @progress
 * @error: set on failure: what opening and reading any of them set
 *
 * For those who want a table, wherever it is.
 *
 * Returns: (transfer full): the subject, or %NULL
 */
VirtHptSubject *
virtHptSubjectOpenTable(const char *path,
                        VirtHptProgressFunc progress,
                        gpointer progressOpaque,
                        GError **error)
{
    VirtHptImageOptions options = {.progress = progress, .progressOpaque = progressOpaque};

    return openSubject(path, &options, TRUE, error);
}

/**
 * virtHptSubjectGetCheckContext:
 * @subject: a subject
 * @context: (out): what it tells about the machine around its table; valid as long as @subject
 */
void
virtHptSubjectGetCheckContext(const VirtHptSubject *subject, VirtHptCheckContext *context)
{
    const VirtHptDomainDef *domain = subject->domain;
    gboolean plugged;

    if (subject->image) {
        plugged = !subject->image->stream->ramOnly;
    } else {
        /* A record does not say what else the address space holds, but its domain XML may. */
        plugged = !domain || !domain->memoryKnown || (domain->maxMemory && !domain->memory->len);
    }
    virtHptCheckContextInit(context, subject->ramBytes, plugged, domain);
}

/* A slot that is looked for, and where the last record that holds it was seen. */
typedef struct {
    guint64 slot;
    guint64 *offset;
} Wanted;

/* All of them, ascending: an image may have as many records as the user asks for slots. */
typedef struct {
    Wanted *wanted;
    gsize n;
} Search;

static gint
compareWanted(gconstpointer a, gconstpointer b, gpointer opaque G_GNUC_UNUSED)
{
    const Wanted *first = a;
    const Wanted *second = b;

    return first->slot < second->slot ? -1 : first->slot > second->slot;
}

/* The first that is not below @slot */
static gsize
findWanted(const Search *search, guint64 slot)
{
    gsize low = 0;
    gsize high = search->n;

    while (low < high) {
        gsize middle = low + (high - low) / 2;

        if (search->wanted[middle].slot < slot)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void
searchRecord(guint64 slot,
             guint valid,
             guint invalid G_GNUC_UNUSED,
             guint64 offset,
             gpointer opaque)
{
    const Search *search = opaque;

    for (gsize i = findWanted(search, slot); i < search->n && search->wanted[i].slot - slot < valid;
         i++)
        *search->wanted[i].offset = offset + VIRT_HPT_RECORD_HEADER_SIZE +
                                    (search->wanted[i].slot - slot) * VIRT_HPT_ENTRY_SIZE;
}

/* In the canonical form offsets follow from the runs alone. */
static void
locateInTable(const VirtHptTable *table, Search *search)
{
    guint64 slots = virtHptTableGetSlots(table);
    guint64 offset = 2 * sizeof(guint32);
    guint64 slot = virtHptTableNextValid(table, 0);

    while (slot < slots) {
        guint64 limit = MIN(slots, slot + VIRT_HPT_RECORD_MAX);
        guint64 end = virtHptTableNextInvalid(table, slot, limit);

        searchRecord(slot, (guint)(end - slot), 0, offset, search);
        offset += VIRT_HPT_RECORD_HEADER_SIZE + (end - slot) * VIRT_HPT_ENTRY_SIZE;
        slot = virtHptTableNextValid(table, end);
    }
}

/**
 * virtHptSubjectLocate:
 * @subject: a subject with a table, which is read anew and is %NULL where that fails
 * @slots: slots of it
 * @offsets: (out): where the entry of each lies, in bytes from the start of the image, or of
 *   the table, uncompressed, where the subject is a record or a table; %VIRT_HPT_NO_SLOT: nowhere
 * @nslots: elements of @slots and @offsets
 * @error: set on failure, as virtHptSubjectOpen() does
 *
 * Reads the image once more: offsets are asked for only where something was found.  There is one
 * table at a time.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptSubjectLocate(VirtHptSubject *subject,
                     const guint64 *slots,
                     guint64 *offsets,
                     gsize nslots,
                     GError **error)
{
    g_autofree Wanted *wanted = g_new(Wanted, nslots);
    Search search = {.wanted = wanted, .n = nslots};
    VirtHptImageOptions options = {.stream = {.record = searchRecord, .opaque = &search}};
    g_autoptr(VirtHptImage) image = NULL;

    for (gsize i = 0; i < nslots; i++) {
        offsets[i] = VIRT_HPT_NO_SLOT;
        wanted[i] = (Wanted){slots[i], &offsets[i]};
    }
    if (nslots == 0)
        return TRUE;
    g_qsort_with_data(wanted, (gint)nslots, sizeof(*wanted), compareWanted, NULL);
    if (subject->isRecord || subject->isTable) {
        locateInTable(subject->table, &search);
        return TRUE;
    }
    g_clear_pointer(&subject->image->stream->table, virtHptTableFree);
    subject->table = NULL;
    image = virtHptImageRead(subject->place->fd, subject->path, &options, error);
    if (!image)
        return FALSE;
    subject->image->stream->table = g_steal_pointer(&image->stream->table);
    subject->table = subject->image->stream->table;
    return TRUE;
}
