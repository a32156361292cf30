/*
 * snapshot_uses.c: the images that a domain's disks lie on
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <string.h>

#include <glib/gi18n-lib.h>

#include "conf/xml_read.h"
#include "snapshot/snapshot_backing.h"
#include "snapshot/snapshot_disks.h"
#include "snapshot/snapshot_uses.h"

static char *
fileOf(const xmlNode *disk)
{
    xmlNode *source = virtHptXmlChild(disk, "source");

    return source ? virtHptXmlGetAttribute(source, "file") : NULL;
}

/* Of the disks that are @wanted, the files that they are on */
static GPtrArray *
collect(VirtHptGuest *guest, gboolean (*wanted)(xmlNode *disk), GError **error)
{
    g_autoptr(GPtrArray) layers = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(xmlDoc) doc = virtHptGuestReadDomain(guest, 0, error);

    if (!doc)
        return NULL;
    for (xmlNode *disk = virtHptDomainFirstDisk(doc); disk;
         disk = virtHptXmlNext(disk->next, "disk")) {
        char *path = wanted(disk) ? fileOf(disk) : NULL;

        if (path)
            g_ptr_array_add(layers, path);
    }
    return g_steal_pointer(&layers);
}

static gboolean
isWritable(xmlNode *disk)
{
    return !virtHptXmlChild(disk, "readonly");
}

/**
 * virtHptUsesTop:
 * @guest: a guest
 * @error: set on failure
 *
 * Returns: (transfer full) (element-type utf8): paths of the files that the disks which it can
 *   write to are on, as it is now: the top ones; or %NULL
 */
GPtrArray *
virtHptUsesTop(VirtHptGuest *guest, GError **error)
{
    return collect(guest, isWritable, error);
}

/**
 * virtHptUsesOwn:
 * @guest: a guest
 * @error: set on failure
 *
 * Returns: (transfer full) (element-type utf8): the same of the disks that nobody else writes to;
 *   or %NULL
 */
GPtrArray *
virtHptUsesOwn(VirtHptGuest *guest, GError **error)
{
    return collect(guest, virtHptDiskIsOwn, error);
}

/**
 * virtHptUsesHas:
 * @layers: (element-type utf8): paths
 * @path: a path
 *
 * Returns: whether @path is among them
 */
gboolean
virtHptUsesHas(const GPtrArray *layers, const char *path)
{
    return g_ptr_array_find_with_equal_func((GPtrArray *)layers, path, g_str_equal, NULL);
}

/* The next element in document order below @root */
static xmlNode *
following(xmlNode *node, const xmlNode *root)
{
    if (node->children)
        return node->children;
    while (node != root && !node->next)
        node = node->parent;
    return node == root ? NULL : node->next;
}

/* A snapshot's memory is named as a disk's image is; a domain's has no file.  Network interfaces
 * have names of devices as well, which are no paths. */
static void
addSources(GHashTable *used, xmlNode *root)
{
    static const char *const attributes[] = {"file", "dev"};

    for (xmlNode *node = root; node; node = following(node, root)) {
        gboolean source =
            node->type == XML_ELEMENT_NODE && (xmlStrEqual(node->name, (const xmlChar *)"source") ||
                                               xmlStrEqual(node->name, (const xmlChar *)"memory"));

        for (gsize i = 0; source && i < G_N_ELEMENTS(attributes); i++) {
            g_autofree char *path = virtHptXmlGetAttribute(node, attributes[i]);

            if (path && g_path_is_absolute(path))
                g_hash_table_add(used, g_steal_pointer(&path));
        }
    }
}

/**
 * virtHptUsesAdd:
 * @used: (element-type utf8): paths
 * @xml: XML of a domain, or of a snapshot
 * @error: set on failure
 *
 * Adds the files that the domain, or those in the snapshot, name as their disks' images, whether on
 * top or below.  The layers that a snapshot made are not among them: it does not need those.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptUsesAdd(GHashTable *used, const char *xml, GError **error)
{
    g_autoptr(xmlDoc) doc = virtHptSnapshotXmlParse(xml, "domain", error);
    xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
    xmlNode *inner[] = {NULL, NULL};

    if (!root)
        return FALSE;
    if (!xmlStrEqual(root->name, (const xmlChar *)"domainsnapshot")) {
        addSources(used, root);
        return TRUE;
    }
    inner[0] = virtHptXmlChild(root, "domain");
    inner[1] = virtHptXmlChild(root, "inactiveDomain");
    for (gsize i = 0; i < G_N_ELEMENTS(inner); i++) {
        if (inner[i])
            addSources(used, inner[i]);
    }
    return TRUE;
}

/**
 * virtHptUsesAddNamed:
 * @named: (element-type utf8): paths
 * @xml: XML of a domain, or of a snapshot
 * @error: set on failure
 *
 * Adds all files that @xml names as disks' images, or a snapshot's memory, whether somebody needs
 * them or not.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptUsesAddNamed(GHashTable *named, const char *xml, GError **error)
{
    g_autoptr(xmlDoc) doc = virtHptSnapshotXmlParse(xml, "domain", error);

    if (!doc)
        return FALSE;
    addSources(named, xmlDocGetRootElement(doc));
    return TRUE;
}

/* virtHptUsesAdd() or virtHptUsesAddNamed() */
typedef gboolean (*AddFunc)(GHashTable *used, const char *xml, GError **error);

static gboolean
addSnapshots(GHashTable *used, VirtHptGuest *guest, AddFunc add, GError **error)
{
    virDomainSnapshot **snapshots = NULL;
    int n = virDomainListAllSnapshots(guest->domain, &snapshots, 0);
    gboolean ok = n >= 0 || virtHptLibvirtSetError(error, _("cannot list the snapshots of '%1$s'"),
                                                   guest->name);

    for (int i = 0; i < n; i++) {
        g_autoptr(virDomainSnapshot) snapshot = snapshots[i];
        g_autoptr(VirtHptLibvirtString) xml = ok ? virDomainSnapshotGetXMLDesc(snapshot, 0) : NULL;

        if (ok && !xml)
            ok = virtHptLibvirtSetError(error, _("cannot query snapshot '%1$s'"),
                                        virDomainSnapshotGetName(snapshot));
        ok = ok && xml && add(used, xml, error);
    }
    free(snapshots);
    return ok;
}

static gboolean
addDomain(GHashTable *used, VirtHptGuest *guest, unsigned int flags, AddFunc add, GError **error)
{
    g_autoptr(VirtHptLibvirtString) xml = virDomainGetXMLDesc(guest->domain, flags);

    if (!xml)
        return virtHptLibvirtSetError(error, _("cannot query '%1$s'"), guest->name);
    return add(used, xml, error);
}

/* XML need not say what an image lies above: its header does.  To follow one that a guest wrote
 * makes no more than one file count as used that is not. */
static void
addBelow(GHashTable *used)
{
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    GHashTableIter iter;
    gpointer path;

    g_hash_table_iter_init(&iter, used);
    while (g_hash_table_iter_next(&iter, &path, NULL))
        g_ptr_array_add(paths, g_strdup(path));
    for (guint i = 0; i < paths->len; i++) {
        char *below = virtHptBackingRead(g_ptr_array_index(paths, i));

        /* Each is looked at once: what goes in circles ends. */
        if (below && g_hash_table_add(used, below))
            g_ptr_array_add(paths, g_strdup(below));
    }
}

static GHashTable *
collectAll(VirtHptGuest *guest, AddFunc add, GError **error)
{
    g_autoptr(GHashTable) used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    if (!addDomain(used, guest, 0, add, error) ||
        !addDomain(used, guest, VIR_DOMAIN_XML_INACTIVE, add, error) ||
        !addSnapshots(used, guest, add, error))
        return NULL;
    addBelow(used);
    return g_steal_pointer(&used);
}

/**
 * virtHptUsesNow:
 * @guest: a guest
 * @error: set on failure
 *
 * Returns: (transfer full) (element-type utf8): a set of the files that the domain, as it is now,
 *   needs for its disks; or %NULL
 */
GHashTable *
virtHptUsesNow(VirtHptGuest *guest, GError **error)
{
    g_autoptr(GHashTable) used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    if (!addDomain(used, guest, 0, virtHptUsesAdd, error))
        return NULL;
    addBelow(used);
    return g_steal_pointer(&used);
}

/**
 * virtHptUsesAll:
 * @guest: a guest
 * @error: set on failure
 *
 * Returns: (transfer full) (element-type utf8): a set of the files that the domain, as it is and as
 *   it is defined, and its snapshots need for their disks; or %NULL
 */
GHashTable *
virtHptUsesAll(VirtHptGuest *guest, GError **error)
{
    return collectAll(guest, virtHptUsesAdd, error);
}

/**
 * virtHptUsesNamed:
 * @guest: a guest
 * @error: set on failure
 *
 * Returns: (transfer full) (element-type utf8): a set of all files that the domain, as it is and as
 *   it is defined, and its snapshots name; or %NULL
 */
GHashTable *
virtHptUsesNamed(VirtHptGuest *guest, GError **error)
{
    return collectAll(guest, virtHptUsesAddNamed, error);
}

/**
 * virtHptUsesBases:
 * @xml: XML of a snapshot
 * @error: set on failure: it cannot be read
 *
 * Returns: (transfer full) (element-type utf8): paths of the files that the guest's disks were on
 *   at the snapshot: the top ones; or %NULL
 */
GPtrArray *
virtHptUsesBases(const char *xml, GError **error)
{
    g_autoptr(GPtrArray) bases = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(xmlDoc) doc = virtHptSnapshotXmlParse(xml, "domainsnapshot", error);
    xmlNode *domain = doc ? virtHptXmlChild(xmlDocGetRootElement(doc), "domain") : NULL;
    xmlNode *devices = domain ? virtHptXmlChild(domain, "devices") : NULL;

    if (!doc)
        return NULL;
    for (xmlNode *disk = devices ? virtHptXmlChild(devices, "disk") : NULL; disk;
         disk = virtHptXmlNext(disk->next, "disk")) {
        char *path = fileOf(disk);

        if (path)
            g_ptr_array_add(bases, path);
    }
    return g_steal_pointer(&bases);
}

/**
 * virtHptUsesAddRemovable:
 * @layers: (element-type utf8): paths
 * @xml: XML of the current snapshot
 * @error: set on failure
 *
 * Adds the files that libvirt since 9.9.0 removes when it reverts from this snapshot to any: its
 * <revertDisks>, else its <disks> (qemuSnapshotRevertExternalFinish()).  Whether anybody needs them
 * it does not ask.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptUsesAddRemovable(GPtrArray *layers, const char *xml, GError **error)
{
    g_autoptr(xmlDoc) doc = virtHptSnapshotXmlParse(xml, "domainsnapshot", error);
    xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
    xmlNode *disks = NULL;

    if (!root)
        return FALSE;
    disks = virtHptXmlChild(root, "revertDisks");
    if (!disks)
        disks = virtHptXmlChild(root, "disks");
    for (xmlNode *disk = disks ? virtHptXmlChild(disks, "disk") : NULL; disk;
         disk = virtHptXmlNext(disk->next, "disk")) {
        g_autofree char *path = fileOf(disk);

        if (path && !virtHptUsesHas(layers, path))
            g_ptr_array_add(layers, g_steal_pointer(&path));
    }
    return TRUE;
}
