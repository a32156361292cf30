/*
 * snapshot_record_create.c: an image is read once, and its record made
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "conf/domain_conf.h"
#include "full-write.h"
#include "snapshot/snapshot_context.h"
#include "snapshot/snapshot_digest.h"
#include "snapshot/snapshot_dir.h"
#include "snapshot/snapshot_payload.h"
#include "snapshot/snapshot_recordpriv.h"

/* What is gathered while the image passes. */
typedef struct {
    GArray *extents;
    VirtHptDigest *digest;
    VirtHptPayloadWriter *state;
} Gatherer;

static void
gathererClear(Gatherer *gatherer)
{
    g_clear_pointer(&gatherer->extents, g_array_unref);
    g_clear_pointer(&gatherer->digest, virtHptDigestFree);
    g_clear_pointer(&gatherer->state, virtHptPayloadWriterFree);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Gatherer, gathererClear)

static VirtHptImagePart
imagePart(VirtHptStreamPart part)
{
    switch (part) {
    case VIRT_HPT_STREAM_PART_HEADER:
        return VIRT_HPT_IMAGE_PART_HEADER;
    case VIRT_HPT_STREAM_PART_TABLE:
        return VIRT_HPT_IMAGE_PART_TABLE;
    case VIRT_HPT_STREAM_PART_STATE:
        return VIRT_HPT_IMAGE_PART_STATE;
    }
    g_return_val_if_reached(VIRT_HPT_IMAGE_PART_HEADER);
}

static VirtHptExtent *
lastExtent(const Gatherer *gatherer)
{
    guint n = gatherer->extents->len;

    return n ? &g_array_index(gatherer->extents, VirtHptExtent, n - 1) : NULL;
}

static void
closeExtent(Gatherer *gatherer)
{
    VirtHptExtent *last = lastExtent(gatherer);

    if (last)
        virtHptDigestTake(gatherer->digest, last->digest);
}

/* Bytes of one part that touch are one extent. */
static gboolean
gatherPart(VirtHptStreamPart part,
           const guint8 *data,
           gsize length,
           guint64 offset,
           gpointer opaque,
           GError **error)
{
    Gatherer *gatherer = opaque;
    VirtHptExtent *last = lastExtent(gatherer);

    if (!last || last->part != imagePart(part) || last->offset + last->length != offset) {
        VirtHptExtent extent = {.part = imagePart(part), .offset = offset};

        if (gatherer->extents->len >= VIRT_HPT_SNAPSHOT_EXTENTS_MAX) {
            g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_LIMIT,
                        _("byte %1$" PRIu64 ": HPT and RAM alternate more than %2$u times"), offset,
                        VIRT_HPT_SNAPSHOT_EXTENTS_MAX);
            return FALSE;
        }
        closeExtent(gatherer);
        g_array_append_val(gatherer->extents, extent);
        last = lastExtent(gatherer);
    }
    last->length += length;
    return virtHptDigestUpdate(gatherer->digest, data, length, error);
}

static gboolean
gatherState(const guint8 *data, gsize length, gpointer opaque, GError **error)
{
    Gatherer *gatherer = opaque;

    return virtHptPayloadWrite(gatherer->state, data, length, error);
}

static gboolean
writeTable(const guint8 *data, gsize length, gpointer opaque, GError **error)
{
    return virtHptPayloadWrite(opaque, data, length, error);
}

static gboolean
saveTable(VirtHptDirDraft *draft,
          VirtHptSnapshotDef *def,
          const VirtHptTable *table,
          GError **error)
{
    int fd = virtHptDirDraftCreateFile(draft, VIRT_HPT_RECORD_TABLE, error);
    g_autoptr(VirtHptPayloadWriter) writer = NULL;

    if (fd < 0)
        return FALSE;
    writer = virtHptPayloadWriterNew(fd, VIRT_HPT_RECORD_TABLE, error);
    return writer && virtHptTableEncodeCanonical(table, writeTable, writer, error) &&
           virtHptPayloadWriterFinish(writer, &def->table, error);
}

static gboolean
saveDescriptor(VirtHptDirDraft *draft, const VirtHptSnapshotDef *def, GError **error)
{
    gsize length;
    g_autofree char *xml = virtHptSnapshotDefFormat(def, &length, error);
    gboolean ok;
    int fd;

    if (!xml)
        return FALSE;
    fd = virtHptDirDraftCreateFile(draft, VIRT_HPT_RECORD_DESCRIPTOR, error);
    if (fd < 0)
        return FALSE;
    ok = (gsize)full_write(fd, xml, (gssize)length) == length && fsync(fd) == 0;
    if (close(fd) < 0 || !ok) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO,
                    _("cannot write the file '%1$s' of the record: %2$s"),
                    VIRT_HPT_RECORD_DESCRIPTOR, g_strerror(errno));
        return FALSE;
    }
    return TRUE;
}

static void
describeFindings(VirtHptSnapshotDef *def, const VirtHptImage *image, const VirtHptDomainDef *domain)
{
    VirtHptCheckContext context = {0};
    g_autoptr(VirtHptReport) report = NULL;

    virtHptCheckContextInit(&context, image->stream->ramBytes, !image->stream->ramOnly, domain);
    report = virtHptTableCheck(image->stream->table, &context);
    for (guint rule = 0; rule < VIRT_HPT_RULE_COUNT; rule++) {
        VirtHptKnownFinding finding = {0};

        if (report->counts[rule] == 0)
            continue;
        finding.rule = g_strdup(virtHptRuleGetName((VirtHptRule)rule));
        finding.severity = virtHptRuleGetSeverity((VirtHptRule)rule);
        finding.count = report->counts[rule];
        g_array_append_val(def->findings, finding);
    }
}

static void
describeSource(VirtHptSnapshotDef *def, const VirtHptDomainDef *domain)
{
    def->sourceHost = g_strdup(g_get_host_name());
    if (domain && g_strcmp0(domain->type, "kvm") == 0)
        def->sourceAccel = g_strdup("kvm");
    else if (domain && g_strcmp0(domain->type, "qemu") == 0)
        def->sourceAccel = g_strdup("tcg");
}

static void
describeImage(VirtHptSnapshotDef *def,
              const VirtHptImage *image,
              const VirtHptPlace *place,
              gboolean beside)
{
    def->imageKind = image->kind == VIRT_HPT_IMAGE_SAVE ? VIRT_HPT_SNAPSHOT_IMAGE_SAVE
                                                        : VIRT_HPT_SNAPSHOT_IMAGE_STREAM;
    def->imageFormat = g_strdup(image->format);
    def->imageFile = g_strdup(beside ? place->name : place->path);
    def->imageSize = image->stream->end;
    def->imageInode = image->stat.st_ino;
    def->imageMtime = virtHptMtime(&image->stat);
}

static gboolean
describe(VirtHptSnapshotDef *def,
         const VirtHptImage *image,
         const VirtHptPlace *place,
         gboolean beside,
         GError **error)
{
    const VirtHptStream *stream = image->stream;
    g_autoptr(VirtHptDomainDef) domain = NULL;

    if (image->domainXml) {
        domain =
            virtHptDomainDefParse(image->domainXml, strlen(image->domainXml), image->name, error);
        if (!domain)
            return FALSE;
        def->domainXml = g_strdup(image->domainXml);
    }
    def->name = g_strdup(place->name);
    def->creationTime = g_get_real_time() / G_USEC_PER_SEC;
    def->mmu = stream->hasHpt ? VIRT_HPT_MMU_HASH : VIRT_HPT_MMU_RADIX;
    def->order = stream->order;
    def->machine = g_strdup(stream->machine);
    def->ramBytes = stream->ramBytes;
    describeImage(def, image, place, beside);
    describeSource(def, domain);
    if (stream->hasHpt) {
        virtHptTableGetStats(stream->table, &def->stats);
        describeFindings(def, image, domain);
    }
    return TRUE;
}

/* Fills @draft from one pass over the image. */
static gboolean
fill(VirtHptDirDraft *draft,
     const VirtHptPlace *place,
     gboolean beside,
     VirtHptImageOptions *options,
     GError **error)
{
    g_autoptr(VirtHptSnapshotDef) def = virtHptSnapshotDefNew();
    g_auto(Gatherer) gatherer = {0};
    g_autoptr(VirtHptImage) image = NULL;
    int fd = virtHptDirDraftCreateFile(draft, VIRT_HPT_RECORD_STATE, error);

    if (fd < 0)
        return FALSE;
    gatherer.state = virtHptPayloadWriterNew(fd, VIRT_HPT_RECORD_STATE, error);
    gatherer.digest = gatherer.state ? virtHptDigestNew(error) : NULL;
    if (!gatherer.digest)
        return FALSE;
    gatherer.extents = g_array_ref(def->extents);
    options->stream.part = gatherPart;
    options->stream.state = gatherState;
    options->stream.opaque = &gatherer;

    image = virtHptImageRead(place->fd, place->path, options, error);
    if (!image)
        return FALSE;
    closeExtent(&gatherer);
    return virtHptPayloadWriterFinish(gatherer.state, &def->state, error) &&
           describe(def, image, place, beside, error) &&
           (!image->stream->hasHpt || saveTable(draft, def, image->stream->table, error)) &&
           saveDescriptor(draft, def, error);
}

/* Whether a record says of the image what a new one would say. */
static gboolean
isCurrent(const VirtHptRecord *record, const VirtHptPlace *place)
{
    g_autoptr(VirtHptTable) table = NULL;
    VirtHptComparison comparison;

    if (!virtHptRecordCompare(record, place, &comparison, NULL) ||
        comparison.state != VIRT_HPT_RECORD_CURRENT ||
        !virtHptRecordLoadState(record, NULL, NULL, NULL))
        return FALSE;
    if (record->def->mmu != VIRT_HPT_MMU_HASH)
        return TRUE;
    table = virtHptRecordLoadTable(record, virtHptTableDefaultMaxBytes(), NULL);
    return table != NULL;
}

static VirtHptLocation *
chooseLocation(const VirtHptPlace *place, GError **error)
{
    if (virtHptLocationIsBeside(place))
        return virtHptLocationBeside(place, error);
    return virtHptLocationInState(place, TRUE, error);
}

/* Opens what is there already.  What cannot be read is replaced; what is not ours is refused. */
static gboolean
openOld(const VirtHptLocation *location, VirtHptRecord **old, GError **error)
{
    g_autoptr(GError) local = NULL;

    *old = virtHptRecordOpenAt(location, &local);
    if (g_error_matches(local, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNTRUSTED)) {
        g_propagate_error(error, g_steal_pointer(&local));
        return FALSE;
    }
    return TRUE;
}

/**
 * virtHptRecordCreate:
 * @place: an image
 * @progress: called as the image is read, or %NULL
 * @progressOpaque: passed to @progress
 * @outcome: (out): what was done
 * @error: set on failure: what reading the image sets; %VIRT_HPT_ERROR_IO;
 *   %VIRT_HPT_ERROR_UNTRUSTED where something that is not ours lies in the record's place;
 *   %VIRT_HPT_ERROR_UNSUPPORTED where there is no place for a record
 *
 * Makes the record of an image, unless there is a current one whose files are sound.  Whatever
 * fails, an old record stays whole, and a new one is whole or absent.
 *
 * Returns: (transfer full): the record, or %NULL
 */
VirtHptRecord *
virtHptRecordCreate(const VirtHptPlace *place,
                    VirtHptProgressFunc progress,
                    gpointer progressOpaque,
                    VirtHptRecordOutcome *outcome,
                    GError **error)
{
    VirtHptImageOptions options = {.progress = progress, .progressOpaque = progressOpaque};
    g_autoptr(VirtHptLocation) location = chooseLocation(place, error);
    g_autoptr(VirtHptDirDraft) draft = NULL;
    g_autoptr(VirtHptRecord) old = NULL;
    gboolean replaced;

    if (!location || !openOld(location, &old, error))
        return NULL;
    virtHptDirReapDrafts(location->dir, g_get_real_time() / G_USEC_PER_SEC);
    if (old && isCurrent(old, place)) {
        *outcome = VIRT_HPT_RECORD_UNCHANGED;
        return g_steal_pointer(&old);
    }
    draft = virtHptDirDraftNew(location->dir, location->path, error);
    if (!draft || !fill(draft, place, location->beside, &options, error) ||
        !virtHptDirDraftPublish(draft, location->name, location->path, &replaced, error))
        return NULL;
    *outcome = replaced ? VIRT_HPT_RECORD_REPLACED : VIRT_HPT_RECORD_CREATED;
    return virtHptRecordOpenAt(location, error);
}
