/*
 * snapshot_chain.c: the disk layers that a snapshot rests on
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Below the layer that a snapshot made of each disk lies what the guest had written until then: the
 * snapshot's base, and all that the base itself lies above.  None of it may change as long as the
 * snapshot is to be of use.  libvirt's XML of the snapshot says what they were, and their headers
 * are compared with it.  Where it does not say what lies below, headers are followed, as libvirt
 * and QEMU would, but only to regular files and block devices, of which nothing but the head is
 * read.
 */

#include "config.h"

#include <string.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "conf/domain_conf.h"
#include "conf/xml_read.h"
#include "conf/xml_util.h"
#include "full-read.h"
#include "qemu/qemu_image.h"
#include "qemu/qemu_qcow2.h"
#include "snapshot/snapshot_backing.h"
#include "snapshot/snapshot_chain.h"
#include "snapshot/snapshot_disks.h"

/* QEMU's own limit on a chain is its memory; nobody's is as long */
#define LAYERS_MAX 200

/* Between the end of the memory and the switch to the new layers, in seconds */
#define SLACK 2

/* What one disk's chain is judged with */
typedef struct {
    const VirtHptSnapshot *snapshot;
    const xmlDoc *saved; /* the domain in the snapshot's memory, or NULL */
    VirtHptVerdict *verdict;
    VirtHptWatch *watch; /* gets the layers */
    const char *target;
    gint64 time;  /* when the snapshot was complete, seconds since the epoch */
    GArray *seen; /* (element-type struct stat) */
    guint judged; /* disks */
    gboolean ok;  /* whether all that was looked at passed */
} Chain;

/* A layer: @node is what libvirt recorded of it, or NULL where only a header named it */
typedef struct {
    xmlNode *node;
    char *path;
    char *format;
} Layer;

static void
layerClear(Layer *layer)
{
    g_clear_pointer(&layer->path, g_free);
    g_clear_pointer(&layer->format, g_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Layer, layerClear)

static void G_GNUC_PRINTF(5, 6) add(Chain *chain,
                                    VirtHptResult result,
                                    const char *code,
                                    const char *advice,
                                    const char *format,
                                    ...)
{
    va_list args;

    va_start(args, format);
    /* What it rests on and cannot be looked at is a doubt. */
    if (result == VIRT_HPT_RESULT_NOT_CHECKED)
        virtHptVerdictAddUnchecked(chain->verdict, VIRT_HPT_LEVEL_DISKS, code,
                                   g_strdup_vprintf(format, args), advice);
    else
        virtHptVerdictAdd(chain->verdict, VIRT_HPT_LEVEL_DISKS, result, code,
                          g_strdup_vprintf(format, args), advice);
    va_end(args);
    if (result != VIRT_HPT_RESULT_PASSED)
        chain->ok = FALSE;
}

static const char *
adviseRestore(void)
{
    return _("do not revert to it; take the disk's layers from a backup");
}

static xmlNode *
snapshotDomain(const VirtHptSnapshot *snapshot)
{
    return virtHptXmlChild(xmlDocGetRootElement(snapshot->doc), "domain");
}

/* The disk as it was before the snapshot put a layer above it */
static xmlNode *
baseOf(const VirtHptSnapshot *snapshot, const char *target)
{
    xmlNode *domain = snapshotDomain(snapshot);
    xmlNode *devices = domain ? virtHptXmlChild(domain, "devices") : NULL;

    return devices ? virtHptXmlFindDisk(devices, target) : NULL;
}

/* What libvirt recorded of the layer @node; a path that is not absolute is none. */
static void
describe(Layer *layer, xmlNode *node)
{
    xmlNode *format = virtHptXmlChild(node, "format");
    xmlNode *driver = virtHptXmlChild(node, "driver");
    gboolean block;

    layerClear(layer);
    layer->node = node;
    layer->path = virtHptDiskSource(node, &block);
    if (layer->path && !g_path_is_absolute(layer->path))
        g_clear_pointer(&layer->path, g_free);
    if (format)
        layer->format = virtHptXmlGetAttribute(format, "type");
    else if (driver)
        layer->format = virtHptXmlGetAttribute(driver, "type");
}

static int
openLayer(Chain *chain, const char *path, struct stat *st)
{
    g_autoptr(GError) error = NULL;
    int fd = virtHptImageOpenFile(path, st, &error);
    gboolean missing = g_error_matches(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND);
    gboolean foreign = g_error_matches(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED);

    if (fd < 0 && (missing || foreign))
        add(chain, VIRT_HPT_RESULT_FAILED, missing ? "layer-missing" : "layer-kind",
            adviseRestore(), _("a layer of disk '%1$s' of the snapshot: %2$s"), chain->target,
            error->message);
    else if (fd < 0)
        add(chain, VIRT_HPT_RESULT_NOT_CHECKED, "layer-unreadable", NULL,
            _("a layer of disk '%1$s' of the snapshot: %2$s"), chain->target, error->message);
    return fd;
}

/* Whether the chain has come to a file that it has passed before; else remembers it. */
static gboolean
isCycle(Chain *chain, const struct stat *st, const char *path)
{
    for (guint i = 0; i < chain->seen->len; i++) {
        const struct stat *other = &g_array_index(chain->seen, struct stat, i);

        if (other->st_dev == st->st_dev && other->st_ino == st->st_ino) {
            add(chain, VIRT_HPT_RESULT_FAILED, "layer-cycle", adviseRestore(),
                _("the layers of disk '%1$s' lead from '%2$s' back to itself"), chain->target,
                path);
            return TRUE;
        }
    }
    if (chain->seen->len == LAYERS_MAX) {
        add(chain, VIRT_HPT_RESULT_FAILED, "layer-depth", adviseRestore(),
            _("disk '%1$s' has more than %2$d layers"), chain->target, LAYERS_MAX);
        return TRUE;
    }
    g_array_append_val(chain->seen, *st);
    return FALSE;
}

/* The time of a device's name says nothing of what is on it. */
static void
judgeTime(Chain *chain, const struct stat *st, const char *path)
{
    g_autoptr(GDateTime) then = NULL;
    g_autoptr(GDateTime) now = NULL;
    g_autofree char *thenText = NULL;
    g_autofree char *nowText = NULL;

    if (S_ISBLK(st->st_mode) || (gint64)st->st_mtim.tv_sec <= chain->time + SLACK)
        return;
    then = g_date_time_new_from_unix_local(chain->time);
    now = g_date_time_new_from_unix_local((gint64)st->st_mtim.tv_sec);
    thenText = then ? g_date_time_format(then, "%F %T") : NULL;
    nowText = now ? g_date_time_format(now, "%F %T") : NULL;
    add(chain, VIRT_HPT_RESULT_WARNED, "layer-newer",
        _("if it was not merged or copied by libvirt or yourself, its contents are not the snapshot's"),
        _("'%1$s', a layer of disk '%2$s', was written at %3$s, after the snapshot of %4$s"), path,
        chain->target, nowText ? nowText : "?", thenText ? thenText : "?");
}

/* Reads the header of a qcow2 layer; NULL where there is none, which may be right. */
static VirtHptQcow2 *
readHeader(Chain *chain, const Layer *layer, int fd)
{
    g_autofree guint8 *head = g_malloc(VIRT_HPT_QCOW2_HEAD);
    gsize length = (gsize)full_read(fd, head, VIRT_HPT_QCOW2_HEAD);
    gboolean isQcow2 = virtHptQcow2Probe(head, length);
    g_autoptr(GError) error = NULL;
    VirtHptQcow2 *header;

    /* Any image may lie within a raw one. */
    if (g_strcmp0(layer->format, "qcow2") != 0 && (layer->format || !isQcow2))
        return NULL;
    if (!isQcow2) {
        add(chain, VIRT_HPT_RESULT_FAILED, "layer-format", adviseRestore(),
            _("'%1$s', a layer of disk '%2$s', is no qcow2 image any more"), layer->path,
            chain->target);
        return NULL;
    }
    header = virtHptQcow2Parse(head, length, layer->path, &error);
    if (!header)
        add(chain, VIRT_HPT_RESULT_FAILED, "layer-format", adviseRestore(), "%s", error->message);
    else if (header->dataFile)
        add(chain, VIRT_HPT_RESULT_NOT_CHECKED, "layer-data-file", NULL,
            _("'%1$s', a layer of disk '%2$s', has its data in another file, which was not looked at"),
            layer->path, chain->target);
    return header;
}

static void
addNotLocal(Chain *chain)
{
    add(chain, VIRT_HPT_RESULT_NOT_CHECKED, "layer-not-local", NULL,
        _("disk '%1$s' of the snapshot has layers that are no local files, which were not looked at"),
        chain->target);
}

static void
addRebased(Chain *chain, const Layer *layer, const char *now, const char *then)
{
    add(chain, VIRT_HPT_RESULT_FAILED, "layer-rebased", adviseRestore(),
        _("'%1$s', a layer of disk '%2$s', lies above '%3$s' now, and lay above '%4$s' at the snapshot"),
        layer->path, chain->target, now ? now : _("nothing"), then ? then : _("nothing"));
}

/* Goes from @layer to the one below: what libvirt recorded, with which the header must agree. */
static gboolean
descendRecorded(Chain *chain, Layer *layer, xmlNode *below, const VirtHptQcow2 *header)
{
    g_auto(Layer) next = {.node = NULL};
    gboolean last = !virtHptXmlChild(below, "source");
    g_autofree char *named = NULL;

    describe(&next, below);
    if (header && header->backing)
        named = virtHptBackingResolve(header->backing, layer->path);
    if (header && (last ? header->backing != NULL : !header->backing)) {
        addRebased(chain, layer, header->backing, next.path);
        return FALSE;
    }
    if (last)
        return FALSE;
    if (!next.path) {
        addNotLocal(chain);
        return FALSE;
    }
    if (named && !virtHptBackingIsFile(next.path, named)) {
        addRebased(chain, layer, named, next.path);
        return FALSE;
    }
    if (header && header->backingFormat && next.format &&
        !g_str_equal(header->backingFormat, next.format)) {
        add(chain, VIRT_HPT_RESULT_FAILED, "layer-format", adviseRestore(),
            _("'%1$s' takes '%2$s' for '%3$s', and it was '%4$s' at the snapshot"), layer->path,
            next.path, header->backingFormat, next.format);
        return FALSE;
    }
    layerClear(layer);
    *layer = next;
    next = (Layer){.node = NULL};
    return TRUE;
}

/* Goes on by the header alone. */
static gboolean
descendNamed(Chain *chain, Layer *layer, const VirtHptQcow2 *header)
{
    char *path;

    if (!header || !header->backing)
        return FALSE;
    path = virtHptBackingResolve(header->backing, layer->path);
    if (!path) {
        addNotLocal(chain);
        return FALSE;
    }
    layerClear(layer);
    *layer = (Layer){.path = path, .format = g_strdup(header->backingFormat)};
    return TRUE;
}

/* Judges @layer, and makes it the one below; FALSE: there is none. */
static gboolean
judgeLayer(Chain *chain, Layer *layer)
{
    xmlNode *below = layer->node ? virtHptXmlChild(layer->node, "backingStore") : NULL;
    g_autoptr(VirtHptQcow2) header = NULL;
    struct stat st;
    int fd = openLayer(chain, layer->path, &st);

    if (fd < 0)
        return FALSE;
    virtHptWatchAddOpen(chain->watch, layer->path, fd, &st);
    if (isCycle(chain, &st, layer->path))
        return FALSE;
    judgeTime(chain, &st, layer->path);
    header = readHeader(chain, layer, fd);
    if (g_strcmp0(layer->format, "qcow2") == 0 && !header)
        return FALSE;
    return below ? descendRecorded(chain, layer, below, header)
                 : descendNamed(chain, layer, header);
}

/* The top image of a disk is written to.  Where that is a layer of the snapshot, layers were merged
 * since, or the guest was put on an older one, and the state that the snapshot names is gone. */
static void
judgeUse(Chain *chain, unsigned int flags)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(xmlDoc) doc = virtHptGuestReadDomain(chain->snapshot->guest, flags, &error);

    if (!doc) {
        add(chain, VIRT_HPT_RESULT_NOT_CHECKED, "domain-unreadable", NULL, "%s", error->message);
        return;
    }
    for (xmlNode *disk = virtHptDomainFirstDisk(doc); disk;
         disk = virtHptXmlNext(disk->next, "disk")) {
        gboolean block;
        g_autofree char *path = virtHptDiskSource(disk, &block);
        struct stat st;

        if (!path || virtHptXmlChild(disk, "readonly") || stat(path, &st) < 0)
            continue;
        for (guint i = 0; i < chain->seen->len; i++) {
            const struct stat *layer = &g_array_index(chain->seen, struct stat, i);

            if (layer->st_dev != st.st_dev || layer->st_ino != st.st_ino)
                continue;
            add(chain, VIRT_HPT_RESULT_FAILED, "layer-in-use", adviseRestore(),
                _("'%1$s' uses '%2$s' itself, not a layer above it: what disk '%3$s' held at the snapshot is overwritten"),
                chain->snapshot->guest->name, path, chain->target);
            return;
        }
    }
}

/* Whether libvirt says now that the disk was on another image than its memory says, and that one is
 * still there: so it was not merged.  libvirt 9.0.0 says so of all snapshots that come after one
 * that it was told to forget (virsh snapshot-delete --metadata). */
static gboolean
isMoved(Chain *chain, const Layer *base)
{
    xmlNode *root = chain->saved ? xmlDocGetRootElement(chain->saved) : NULL;
    xmlNode *devices = root ? virtHptXmlChild(root, "devices") : NULL;
    xmlNode *disk = devices ? virtHptXmlFindDisk(devices, chain->target) : NULL;
    gboolean block;
    g_autofree char *path = disk ? virtHptDiskSource(disk, &block) : NULL;

    if (!path || !g_path_is_absolute(path) || virtHptBackingIsFile(path, base->path) ||
        access(path, F_OK) < 0)
        return FALSE;
    add(chain, VIRT_HPT_RESULT_FAILED, "layer-rebased",
        _("do not revert to it: libvirt would put its memory on another disk; correct its XML: virsh snapshot-create --redefine"),
        _("disk '%1$s' was on '%2$s' at the snapshot, and libvirt says now that it was on '%3$s'"),
        chain->target, path, base->path);
    return TRUE;
}

/* What its memory knows of the domain, where libvirt can tell; it goes on without. */
static xmlDoc *
readSaved(const VirtHptSnapshot *snapshot)
{
    g_autoptr(VirtHptLibvirtString) xml =
        virDomainSaveImageGetXMLDesc(snapshot->guest->connection, snapshot->image, 0);

    return xml ? virtHptXmlParseDomain(xml, strlen(xml), snapshot->image, NULL) : NULL;
}

static void
judgeDisk(Chain *chain, const char *target)
{
    xmlNode *disk = baseOf(chain->snapshot, target);
    g_auto(Layer) layer = {.node = NULL};

    chain->target = target;
    chain->judged++;
    g_array_set_size(chain->seen, 0);
    if (disk)
        describe(&layer, disk);
    if (layer.path && isMoved(chain, &layer))
        return;
    if (layer.path) {
        while (judgeLayer(chain, &layer))
            continue;
        judgeUse(chain, 0);
        if (chain->ok && virDomainIsActive(chain->snapshot->guest->domain) == 1)
            judgeUse(chain, VIR_DOMAIN_XML_INACTIVE);
    } else {
        addNotLocal(chain);
    }
}

/* When the snapshot was complete: the disks were switched after the memory was written. */
static gint64
timeOf(const VirtHptSnapshot *snapshot)
{
    struct stat st;

    if (stat(snapshot->image, &st) < 0)
        return snapshot->creationTime;
    return MAX(snapshot->creationTime, (gint64)st.st_mtim.tv_sec);
}

/**
 * virtHptChainJudge:
 * @snapshot: an external snapshot with an image
 * @verdict: gets what was found, of %VIRT_HPT_LEVEL_DISKS
 * @watch: gets the layers as they were when they were looked at
 *
 * Tells whether the disk layers that the snapshot rests on are still there, in the format and above
 * the layers that they were, were not written since, and are not being written.  Contents are not
 * compared.  Reads no more than the first %VIRT_HPT_QCOW2_HEAD bytes of each.
 */
void
virtHptChainJudge(const VirtHptSnapshot *snapshot, VirtHptVerdict *verdict, VirtHptWatch *watch)
{
    g_autoptr(GArray) seen = g_array_new(FALSE, FALSE, sizeof(struct stat));
    g_autoptr(xmlDoc) saved = readSaved(snapshot);
    xmlNode *first = snapshot->doc ? virtHptSnapshotFirstDisk(snapshot->doc) : NULL;
    Chain chain = {
        .snapshot = snapshot,
        .saved = saved,
        .verdict = verdict,
        .watch = watch,
        .time = timeOf(snapshot),
        .seen = seen,
        .ok = TRUE,
    };

    for (xmlNode *disk = first; disk; disk = virtHptXmlNext(disk->next, "disk")) {
        g_autofree char *target = virtHptXmlGetAttribute(disk, "name");
        g_autofree char *kind = virtHptXmlGetAttribute(disk, "snapshot");

        if (target && g_strcmp0(kind, "external") == 0)
            judgeDisk(&chain, target);
    }
    if (chain.ok && chain.judged > 0)
        virtHptVerdictAdd(
            verdict, VIRT_HPT_LEVEL_DISKS, VIRT_HPT_RESULT_PASSED, "layers-unchanged",
            g_strdup(_("the layers below the snapshot's disks are those it was made on")), NULL);
}
