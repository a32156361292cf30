/*
 * snapshot_driver.c: snapshots of a domain, as libvirt has them, with their records
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * There is no list of our own: libvirt knows the snapshots, their XML tells where the image is, and
 * the record lies beside it.
 */

#include "config.h"

#include <string.h>

#include <glib/gi18n-lib.h>

#include "conf/xml_read.h"
#include "snapshot/snapshot_chain.h"
#include "snapshot/snapshot_disks.h"
#include "snapshot/snapshot_driver.h"

static const VirtHptBackend *const backends[] = {
    &virtHptBackendExternal,
    &virtHptBackendSave,
};

void
virtHptSnapshotFree(VirtHptSnapshot *snapshot)
{
    if (!snapshot)
        return;
    g_clear_pointer(&snapshot->handle, virDomainSnapshotFree);
    g_clear_pointer(&snapshot->doc, xmlFreeDoc);
    g_free(snapshot->name);
    g_free(snapshot->state);
    g_free(snapshot->image);
    g_free(snapshot);
}

static void
snapshotFree(gpointer data)
{
    virtHptSnapshotFree(data);
}

static char *
childText(const xmlNode *parent, const char *name)
{
    xmlNode *child = virtHptXmlChild(parent, name);
    g_autoptr(xmlChar) text = child ? xmlNodeGetContent(child) : NULL;

    return g_strdup((const char *)text);
}

/* Takes @handle. */
static VirtHptSnapshot *
snapshotNew(VirtHptGuest *guest, virDomainSnapshot *handle, GError **error)
{
    g_autoptr(VirtHptSnapshot) snapshot = g_new0(VirtHptSnapshot, 1);
    g_autoptr(VirtHptLibvirtString) xml = NULL;
    g_autofree char *time = NULL;
    const xmlNode *root;

    snapshot->guest = guest;
    snapshot->handle = handle;
    snapshot->name = g_strdup(virDomainSnapshotGetName(handle));
    /* Who may only look is not told secrets. */
    xml = virDomainSnapshotGetXMLDesc(handle, guest->readOnly ? 0 : VIR_DOMAIN_SNAPSHOT_XML_SECURE);
    if (!xml) {
        virtHptLibvirtSetError(error, _("cannot query snapshot '%1$s'"), snapshot->name);
        return NULL;
    }
    snapshot->doc = virtHptSnapshotXmlParse(xml, snapshot->name, error);
    if (!snapshot->doc)
        return NULL;
    root = xmlDocGetRootElement(snapshot->doc);
    snapshot->state = childText(root, "state");
    time = childText(root, "creationTime");
    if (time)
        snapshot->creationTime = g_ascii_strtoll(time, NULL, 10);
    for (gsize i = 0; i < G_N_ELEMENTS(backends) && !snapshot->backend; i++) {
        if (backends[i]->probe(snapshot))
            snapshot->backend = backends[i];
    }
    if (snapshot->backend)
        snapshot->image = snapshot->backend->locate(snapshot, NULL);
    return g_steal_pointer(&snapshot);
}

/**
 * virtHptSnapshotLookup:
 * @guest: a guest, which must outlive the snapshot
 * @name: (nullable): the snapshot's name, or %NULL for the current one
 * @error: set on failure: %VIRT_HPT_ERROR_NOT_FOUND, or what libvirt's errors stand for
 *
 * Returns: (transfer full): the snapshot, or %NULL
 */
VirtHptSnapshot *
virtHptSnapshotLookup(VirtHptGuest *guest, const char *name, GError **error)
{
    virDomainSnapshot *handle = name ? virDomainSnapshotLookupByName(guest->domain, name, 0)
                                     : virDomainSnapshotCurrent(guest->domain, 0);

    if (handle)
        return snapshotNew(guest, handle, error);
    if (virGetLastErrorCode() != VIR_ERR_NO_DOMAIN_SNAPSHOT)
        virtHptLibvirtSetError(error, _("cannot query the snapshots of '%1$s'"), guest->name);
    else if (name)
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND,
                    _("'%1$s' has no snapshot '%2$s'"), guest->name, name);
    else
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND,
                    _("'%1$s' has no current snapshot"), guest->name);
    return NULL;
}

/* In the order in which they were made */
static gint
compareSnapshots(gconstpointer a, gconstpointer b)
{
    const VirtHptSnapshot *first = *(VirtHptSnapshot *const *)a;
    const VirtHptSnapshot *second = *(VirtHptSnapshot *const *)b;

    if (first->creationTime != second->creationTime)
        return first->creationTime < second->creationTime ? -1 : 1;
    return strcmp(first->name, second->name);
}

/**
 * virtHptSnapshotList:
 * @guest: a guest, which must outlive the list
 * @error: set on failure
 *
 * Returns: (transfer full) (element-type VirtHptSnapshot): its snapshots, oldest first, or %NULL
 */
GPtrArray *
virtHptSnapshotList(VirtHptGuest *guest, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(snapshotFree);
    virDomainSnapshot **handles = NULL;
    int n = virDomainListAllSnapshots(guest->domain, &handles, 0);
    gboolean ok = n >= 0;

    if (!ok)
        virtHptLibvirtSetError(error, _("cannot list the snapshots of '%1$s'"), guest->name);
    for (int i = 0; i < n; i++) {
        VirtHptSnapshot *snapshot = ok ? snapshotNew(guest, handles[i], error) : NULL;

        if (snapshot)
            g_ptr_array_add(list, snapshot);
        else if (ok)
            ok = FALSE;
        else
            virDomainSnapshotFree(handles[i]);
    }
    free(handles);
    if (!ok)
        return NULL;
    g_ptr_array_sort(list, compareSnapshots);
    return g_steal_pointer(&list);
}

/**
 * virtHptSnapshotGetKind:
 * @snapshot: a snapshot
 *
 * Returns: the stable name of its kind, never translated; 'other' for one that is not supported
 */
const char *
virtHptSnapshotGetKind(const VirtHptSnapshot *snapshot)
{
    return snapshot->backend ? snapshot->backend->name : "other";
}

/**
 * virtHptSnapshotHasImage:
 * @snapshot: a snapshot
 * @error: set where it has none: %VIRT_HPT_ERROR_UNSUPPORTED
 *
 * Returns: whether it has an image that holds the guest's memory, and with it its table
 */
gboolean
virtHptSnapshotHasImage(const VirtHptSnapshot *snapshot, GError **error)
{
    if (snapshot->backend && snapshot->image)
        return TRUE;
    g_set_error(
        error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED,
        _("snapshot '%1$s' of '%2$s' has no memory file: only external snapshots with memory are supported"),
        snapshot->name, snapshot->guest->name);
    return FALSE;
}

/**
 * virtHptSnapshotValidate:
 * @snapshot: a snapshot with an image
 * @options: what is wanted, or %NULL
 * @layers: gets the disk layers that were looked at
 * @error: set on failure: what virtHptValidate() sets
 *
 * Validates its image, and tells whether the disk layers that it rests on are still what they were.
 * Without a dry run it passes with warnings at best.
 *
 * Returns: (transfer full): the verdict, or %NULL
 */
VirtHptVerdict *
virtHptSnapshotValidate(const VirtHptSnapshot *snapshot,
                        const VirtHptValidateOptions *options,
                        VirtHptWatch *layers,
                        GError **error)
{
    VirtHptVerdict *verdict = virtHptValidate(snapshot->image, options, error);

    if (!verdict)
        return NULL;
    if (options && options->skip & (1U << VIRT_HPT_LEVEL_DRY_RUN))
        virtHptVerdictAddUnchecked(
            verdict, VIRT_HPT_LEVEL_DRY_RUN, "dry-run-unwanted",
            g_strdup(_("no dry run was wanted: whether this host restores it is not known")), NULL);
    virtHptChainJudge(snapshot, verdict, layers);
    return verdict;
}

/**
 * virtHptSnapshotFindRecord:
 * @snapshot: a snapshot with an image
 * @error: set on failure: what opening the image and its record set
 *
 * A stale record, of another image that lay at this path, is none of it.
 *
 * Returns: (transfer full): its record, or %NULL, without an error where there is none
 */
VirtHptRecord *
virtHptSnapshotFindRecord(const VirtHptSnapshot *snapshot, GError **error)
{
    g_autoptr(VirtHptPlace) place = snapshot->backend->open(snapshot, error);
    g_autoptr(VirtHptRecord) record = place ? virtHptRecordFind(place, error) : NULL;
    VirtHptComparison comparison;

    if (record && virtHptRecordCompare(record, place, &comparison, NULL) &&
        comparison.state == VIRT_HPT_RECORD_STALE)
        return NULL;
    return g_steal_pointer(&record);
}

/**
 * virtHptSnapshotRecord:
 * @snapshot: a snapshot with an image
 * @progress: called as the image is read, or %NULL
 * @progressOpaque: passed to @progress
 * @error: set on failure: what virtHptRecordCreate() sets
 *
 * Returns: (transfer full): its record, made now or before, or %NULL
 */
VirtHptRecord *
virtHptSnapshotRecord(const VirtHptSnapshot *snapshot,
                      VirtHptProgressFunc progress,
                      gpointer progressOpaque,
                      GError **error)
{
    g_autoptr(VirtHptPlace) place = snapshot->backend->open(snapshot, error);
    VirtHptRecordOutcome outcome;

    return place ? virtHptRecordCreate(place, progress, progressOpaque, &outcome, error) : NULL;
}
