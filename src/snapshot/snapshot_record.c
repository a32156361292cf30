/*
 * snapshot_record.c: records: found, opened, compared with their image, deleted
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "full-read.h"
#include "snapshot/snapshot_digest.h"
#include "snapshot/snapshot_dir.h"
#include "snapshot/snapshot_payload.h"
#include "snapshot/snapshot_recordpriv.h"

#define CHUNK_SIZE ((gsize)256 * 1024)
/* Device sections, and a header that takes far less */
#define STATE_MAX (2 * VIRT_HPT_DEVICES_MAX)

/* Extents below this many bytes, and headers, are alike in any two images of one guest: the first
 * section of the HPT holds its order and nothing else. */
#define IDENTIFYING_MIN 64

/**
 * virtHptRecordStateGetName:
 * @state: a state
 *
 * Returns: its stable name, never translated
 */
const char *
virtHptRecordStateGetName(VirtHptRecordState state)
{
    switch (state) {
    case VIRT_HPT_RECORD_CURRENT:
        return "current";
    case VIRT_HPT_RECORD_DAMAGED:
        return "damaged";
    case VIRT_HPT_RECORD_STALE:
        return "stale";
    }
    g_return_val_if_reached(NULL);
}

/**
 * virtHptRecordOutcomeGetName:
 * @outcome: an outcome
 *
 * Returns: its stable name, never translated
 */
const char *
virtHptRecordOutcomeGetName(VirtHptRecordOutcome outcome)
{
    switch (outcome) {
    case VIRT_HPT_RECORD_CREATED:
        return "created";
    case VIRT_HPT_RECORD_REPLACED:
        return "replaced";
    case VIRT_HPT_RECORD_UNCHANGED:
        return "unchanged";
    }
    g_return_val_if_reached(NULL);
}

void
virtHptRecordFree(VirtHptRecord *record)
{
    if (!record)
        return;
    if (record->dir >= 0)
        close(record->dir);
    virtHptSnapshotDefFree(record->def);
    g_free(record->path);
    g_free(record);
}

static VirtHptSnapshotDef *
readDescriptor(const VirtHptRecord *record, GError **error)
{
    g_autofree char *origin = g_build_filename(record->path, VIRT_HPT_RECORD_DESCRIPTOR, NULL);
    int fd = virtHptDirOpenFile(record->dir, VIRT_HPT_RECORD_DESCRIPTOR, record->path, error);
    g_autofree char *xml = NULL;
    struct stat st;
    size_t length;

    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) < 0 || (guint64)st.st_size > VIRT_HPT_SNAPSHOT_XML_MAX) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_LIMIT,
                    _("'%1$s' is too large: expected at most %2$lu bytes"), origin,
                    (gulong)VIRT_HPT_SNAPSHOT_XML_MAX);
        close(fd);
        return NULL;
    }
    xml = g_malloc((gsize)st.st_size + 1);
    errno = 0;
    length = (gsize)full_read(fd, xml, (gssize)st.st_size);
    close(fd);
    if (length != (size_t)st.st_size) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO, _("cannot read '%1$s': %2$s"), origin,
                    errno ? g_strerror(errno) : _("it became shorter"));
        return NULL;
    }
    return virtHptSnapshotDefParse(xml, length, origin, error);
}

/**
 * virtHptRecordOpenAt:
 * @location: of a record
 * @error: set on failure, as virtHptRecordOpen() does
 *
 * Returns: (transfer full): the record, or %NULL
 */
VirtHptRecord *
virtHptRecordOpenAt(const VirtHptLocation *location, GError **error)
{
    g_autoptr(VirtHptRecord) record = g_new0(VirtHptRecord, 1);

    record->path = g_strdup(location->path);
    record->dir = virtHptDirOpen(location->dir, location->name, location->path, error);
    if (record->dir < 0)
        return NULL;
    record->def = readDescriptor(record, error);
    if (!record->def)
        return NULL;
    return g_steal_pointer(&record);
}

/**
 * virtHptRecordOpen:
 * @path: of a record directory
 * @error: set on failure: %VIRT_HPT_ERROR_NOT_FOUND also for another directory,
 *   %VIRT_HPT_ERROR_UNTRUSTED where a link or somebody else's file lies in its place,
 *   %VIRT_HPT_ERROR_DAMAGED where it lacks its descriptor, %VIRT_HPT_ERROR_MALFORMED,
 *   %VIRT_HPT_ERROR_LIMIT, %VIRT_HPT_ERROR_IO
 *
 * Returns: (transfer full): the record, its descriptor checked, or %NULL
 */
VirtHptRecord *
virtHptRecordOpen(const char *path, GError **error)
{
    g_autoptr(VirtHptLocation) location = virtHptLocationOfPath(path, error);
    g_autoptr(GError) local = NULL;
    VirtHptRecord *record;

    if (!location)
        return NULL;
    record = virtHptRecordOpenAt(location, &local);
    if (record)
        return record;
    if (g_error_matches(local, VIRT_HPT_ERROR, VIRT_HPT_ERROR_DAMAGED) &&
        !g_str_has_suffix(location->name, VIRT_HPT_RECORD_SUFFIX))
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND,
                    _("'%1$s' is a directory without '%2$s': expected an image or a record"), path,
                    VIRT_HPT_RECORD_DESCRIPTOR);
    else
        g_propagate_error(error, g_steal_pointer(&local));
    return NULL;
}

/**
 * virtHptRecordFind:
 * @place: an image
 * @error: set where there is a record that cannot be used, as virtHptRecordOpen() does
 *
 * Looks beside the image, then in the domain's part of the state directory.
 *
 * Returns: (transfer full): the record, or %NULL: without @error set, there is none
 */
VirtHptRecord *
virtHptRecordFind(const VirtHptPlace *place, GError **error)
{
    g_autoptr(VirtHptLocation) location = virtHptLocationBeside(place, error);
    g_autoptr(GError) local = NULL;
    VirtHptRecord *record;

    if (!location)
        return NULL;
    record = virtHptRecordOpenAt(location, &local);
    if (g_error_matches(local, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND)) {
        g_clear_error(&local);
        virtHptLocationFree(location);
        location = virtHptLocationInState(place, FALSE, &local);
        if (location)
            record = virtHptRecordOpenAt(location, &local);
        else if (g_error_matches(local, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED))
            return NULL; /* the image is, which whoever reads it will find */
    }
    if (!record && !g_error_matches(local, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND))
        g_propagate_error(error, g_steal_pointer(&local));
    return record;
}

/**
 * virtHptRecordOpenImage:
 * @record: a record
 * @error: set on failure, as virtHptPlaceOpen() does
 *
 * Opens the image that the record is of: the file beside it, or, where the record lies in the
 * state directory, the file that its descriptor names.
 *
 * Returns: (transfer full): the image's place, or %NULL
 */
VirtHptPlace *
virtHptRecordOpenImage(const VirtHptRecord *record, GError **error)
{
    g_autofree char *path = NULL;

    if (g_path_is_absolute(record->def->imageFile))
        path = g_strdup(record->def->imageFile);
    else if (g_str_has_suffix(record->path, VIRT_HPT_RECORD_SUFFIX))
        path = g_strndup(record->path, strlen(record->path) - strlen(VIRT_HPT_RECORD_SUFFIX));
    else
        path = g_build_filename(record->path, "..", record->def->imageFile, NULL);
    return virtHptPlaceOpen(path, error);
}

static gboolean
feedTable(const guint8 *data, gsize length, gpointer opaque, GError **error)
{
    return virtHptCanonicalReaderFeed(opaque, data, length, error);
}

static gboolean
readPayload(const VirtHptRecord *record,
            const VirtHptPayload *payload,
            VirtHptWriteFunc write,
            gpointer opaque,
            GError **error)
{
    int fd = virtHptDirOpenFile(record->dir, payload->file, record->path, error);
    gboolean ok;

    if (fd < 0)
        return FALSE;
    ok = virtHptPayloadRead(fd, payload, record->path, write, opaque, error);
    close(fd);
    return ok;
}

/**
 * virtHptRecordLoadTable:
 * @record: the record of a guest with a table
 * @maxBytes: the largest table to hold, in bytes
 * @error: set on failure: %VIRT_HPT_ERROR_DAMAGED where the payload is not what was recorded,
 *   %VIRT_HPT_ERROR_LIMIT, %VIRT_HPT_ERROR_UNTRUSTED,
 *   %VIRT_HPT_ERROR_IO
 *
 * Returns: (transfer full): the table, verified against its digest, or %NULL
 */
VirtHptTable *
virtHptRecordLoadTable(const VirtHptRecord *record, guint64 maxBytes, GError **error)
{
    g_autoptr(VirtHptCanonicalReader) reader = virtHptCanonicalReaderNew(maxBytes);
    g_autoptr(VirtHptTable) table = NULL;
    VirtHptTableStats stats;

    g_return_val_if_fail(record->def->mmu == VIRT_HPT_MMU_HASH, NULL);
    if (!readPayload(record, &record->def->table, feedTable, reader, error))
        return NULL;
    table = virtHptCanonicalReaderFinish(reader, error);
    if (!table)
        return NULL;
    virtHptTableGetStats(table, &stats);
    if (virtHptTableGetOrder(table) != record->def->order ||
        stats.valid != record->def->stats.valid || stats.bolted != record->def->stats.bolted) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_DAMAGED,
                    _("'%1$s': the table has order %2$u and %3$" PRIu64
                      " valid entries, the descriptor says %4$u and %5$" PRIu64
                      ": make the record anew"),
                    record->path, virtHptTableGetOrder(table), stats.valid, record->def->order,
                    record->def->stats.valid);
        return NULL;
    }
    return g_steal_pointer(&table);
}

/**
 * virtHptRecordLoadState:
 * @record: a record
 * @write: called with the machine state, before it is verified, or %NULL
 * @opaque: passed to @write
 * @error: set on failure, as virtHptRecordLoadTable() does, %VIRT_HPT_ERROR_LIMIT for one that is
 *   longer than any that is recorded, or what @write set
 *
 * Reads the machine state and verifies it against its digest.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptRecordLoadState(const VirtHptRecord *record,
                       VirtHptWriteFunc write,
                       gpointer opaque,
                       GError **error)
{
    if (record->def->state.length > STATE_MAX) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_LIMIT,
                    _("'%1$s' claims a machine state of %2$" PRIu64 " bytes: at most %3$" PRIu64
                      " are read"),
                    record->path, record->def->state.length, STATE_MAX);
        return FALSE;
    }
    return readPayload(record, &record->def->state, write, opaque, error);
}

/* Whether the extent in the file is the recorded one; @same is FALSE also where the file ends. */
static gboolean
compareExtent(const VirtHptExtent *extent,
              const VirtHptPlace *place,
              VirtHptDigest *digest,
              guint8 *buffer,
              gboolean *same,
              GError **error)
{
    guint64 done = 0;
    guint8 result[VIRT_HPT_DIGEST_SIZE];

    while (done < extent->length) {
        ssize_t n = pread(place->fd, buffer, (size_t)MIN(CHUNK_SIZE, extent->length - done),
                          (off_t)(extent->offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO,
                        _("'%1$s', byte %2$" PRIu64 ": cannot read: %3$s"), place->path,
                        extent->offset + done, g_strerror(errno));
            return FALSE;
        }
        if (n == 0)
            break;
        if (!virtHptDigestUpdate(digest, buffer, (gsize)n, error))
            return FALSE;
        done += (guint64)n;
    }
    virtHptDigestTake(digest, result);
    *same = done == extent->length && memcmp(result, extent->digest, sizeof(result)) == 0;
    return TRUE;
}

/* Whether no other image of the same guest has these bytes at this place.  A table without entries
 * looks the same at each boot. */
static gboolean
isIdentifying(const VirtHptSnapshotDef *def, const VirtHptExtent *extent)
{
    switch (extent->part) {
    case VIRT_HPT_IMAGE_PART_HEADER:
        return FALSE;
    case VIRT_HPT_IMAGE_PART_TABLE:
        return def->stats.valid > 0 && extent->length >= IDENTIFYING_MIN;
    case VIRT_HPT_IMAGE_PART_STATE:
        return extent->length >= IDENTIFYING_MIN;
    }
    g_return_val_if_reached(FALSE);
}

/**
 * virtHptRecordCompare:
 * @record: a record
 * @place: the image
 * @comparison: (out): how they compare
 * @error: set on failure: %VIRT_HPT_ERROR_IO
 *
 * Reads what the record covers of the image: header, HPT and machine state, not RAM contents.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptRecordCompare(const VirtHptRecord *record,
                     const VirtHptPlace *place,
                     VirtHptComparison *comparison,
                     GError **error)
{
    const GArray *extents = record->def->extents;
    g_autoptr(VirtHptDigest) digest = virtHptDigestNew(error);
    g_autofree guint8 *buffer = g_malloc(CHUNK_SIZE);
    /* A copy keeps the time at most, an image written anew has neither.  The time of a block device
     * is that of its node, which a write to the device need not change. */
    gboolean recorded =
        S_ISREG(place->stat.st_mode) && record->def->imageMtime == virtHptMtime(&place->stat);
    gboolean alike = S_ISREG(place->stat.st_mode) && record->def->stats.valid == 0 &&
                     (guint64)place->stat.st_size == record->def->imageSize;

    memset(comparison, 0, sizeof(*comparison));
    comparison->extents = extents->len;
    if (!digest)
        return FALSE;
    for (guint i = 0; i < extents->len; i++) {
        const VirtHptExtent *extent = &g_array_index(extents, VirtHptExtent, i);
        gboolean same;

        if (!compareExtent(extent, place, digest, buffer, &same, error))
            return FALSE;
        if (same) {
            recorded = recorded || isIdentifying(record->def, extent);
            continue;
        }
        alike = alike && extent->part != VIRT_HPT_IMAGE_PART_HEADER;
        comparison->differing++;
        if (!comparison->first)
            comparison->first = extent;
    }
    if (comparison->differing == 0)
        comparison->state = VIRT_HPT_RECORD_CURRENT;
    else
        comparison->state = recorded ? VIRT_HPT_RECORD_DAMAGED : VIRT_HPT_RECORD_STALE;
    comparison->doubtful = comparison->state == VIRT_HPT_RECORD_STALE && alike;
    return TRUE;
}

/**
 * virtHptRecordDelete:
 * @path: of a record; what is open of it stays valid
 * @error: set on failure, as virtHptRecordOpen() does
 *
 * Removes a record from the disk, not its image.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptRecordDelete(const char *path, GError **error)
{
    g_autoptr(VirtHptLocation) location = virtHptLocationOfPath(path, error);

    return location && virtHptDirRemove(location->dir, location->name, location->path, error);
}
