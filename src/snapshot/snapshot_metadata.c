/*
 * snapshot_metadata.c: what libvirt knows of a domain and its snapshots, remembered and put back
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A revert makes its snapshot the current one.  Where libvirt itself reverts (since 9.9.0) it also
 * changes what two snapshots say of their disks: the one that is reverted to gets the new layers as
 * its <disks> or <revertDisks>, and the one that was current loses its <revertDisks>
 * (libvirt 11.3 qemu_snapshot.c, qemuSnapshotRevertExternalFinish()).
 */

#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "conf/xml_read.h"
#include "full-write.h"
#include "snapshot/snapshot_disks.h"
#include "snapshot/snapshot_metadata.h"
#include "snapshot/snapshot_uses.h"

#define ORIGIN "domainsnapshot"

/* A snapshot that is there for a moment: when it goes, no snapshot is the current one */
#define NOBODY "virt-hpt-no-current-snapshot"

static gboolean
rememberDomain(VirtHptGuest *guest, VirtHptJournal *journal, GError **error)
{
    g_autoptr(VirtHptLibvirtString) xml =
        virDomainGetXMLDesc(guest->domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
    GPtrArray *layers = NULL;

    if (!xml)
        return virtHptLibvirtSetError(error, _("cannot query '%1$s'"), guest->name);
    layers = virtHptUsesTop(guest, error);
    if (!layers)
        return FALSE;
    g_free(journal->definition);
    journal->definition = g_strdup(xml);
    g_ptr_array_unref(journal->layers);
    journal->layers = layers;
    return TRUE;
}

static gboolean
remember(virDomainSnapshot *snapshot, GPtrArray *snapshots, GError **error)
{
    g_autoptr(VirtHptLibvirtString) xml =
        virDomainSnapshotGetXMLDesc(snapshot, VIR_DOMAIN_SNAPSHOT_XML_SECURE);

    if (!xml)
        return virtHptLibvirtSetError(error, _("cannot query snapshot '%1$s'"),
                                      virDomainSnapshotGetName(snapshot));
    g_ptr_array_add(snapshots, g_strdup(xml));
    return TRUE;
}

/**
 * virtHptMetadataRemember:
 * @guest: a locked guest
 * @target: the snapshot to revert to
 * @journal: gets what the revert will change: the persistent definition, the layers of the disks,
 *   name of the current snapshot, XML of it and of @target
 * @error: set on failure: %VIRT_HPT_ERROR_UNSUPPORTED where libvirt itself reverts and no snapshot
 *   is the current one
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptMetadataRemember(VirtHptGuest *guest,
                        virDomainSnapshot *target,
                        VirtHptJournal *journal,
                        GError **error)
{
    int has = virDomainHasCurrentSnapshot(guest->domain, 0);
    g_autoptr(virDomainSnapshot) current =
        has == 1 ? virDomainSnapshotCurrent(guest->domain, 0) : NULL;

    if (has < 0 || (has == 1 && !current))
        return virtHptLibvirtSetError(error, _("cannot query the snapshots of '%1$s'"),
                                      guest->name);
    if (!current && guest->revertsExternal) {
        /* qemuSnapshotRevertExternalFinish() uses the current one without asking for it */
        g_set_error(
            error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED,
            _("none of the snapshots of '%1$s' is the current one, without which libvirt crashes as it reverts: say which one the guest lies above: virsh snapshot-current"),
            guest->name);
        return FALSE;
    }
    if (current)
        journal->current = g_strdup(virDomainSnapshotGetName(current));
    return rememberDomain(guest, journal, error) && remember(target, journal->snapshots, error) &&
           (!current || g_str_equal(journal->current, virDomainSnapshotGetName(target)) ||
            remember(current, journal->snapshots, error));
}

/**
 * virtHptMetadataTarget:
 * @journal: a journal
 *
 * Returns: (transfer none): XML before the revert of the snapshot that is reverted to, or %NULL
 *   where it is not known
 */
const char *
virtHptMetadataTarget(const VirtHptJournal *journal)
{
    /* It is remembered first. */
    return journal->snapshots->len > 0 ? g_ptr_array_index(journal->snapshots, 0) : NULL;
}

/**
 * virtHptMetadataCurrent:
 * @journal: a journal
 *
 * Returns: (transfer none): XML before the revert of the snapshot that was the current one, or
 *   %NULL where none was
 */
const char *
virtHptMetadataCurrent(const VirtHptJournal *journal)
{
    /* It is remembered last. */
    return journal->current && journal->snapshots->len > 0
               ? g_ptr_array_index(journal->snapshots, journal->snapshots->len - 1)
               : NULL;
}

static char *
nameOf(const char *xml, GError **error)
{
    g_autoptr(xmlDoc) doc = virtHptSnapshotXmlParse(xml, ORIGIN, error);
    xmlNode *name =
        doc ? virtHptXmlRequire(xmlDocGetRootElement(doc), "name", ORIGIN, error) : NULL;
    g_autoptr(xmlChar) text = name ? xmlNodeGetContent(name) : NULL;

    return g_strdup((const char *)text);
}

static char *
currentName(VirtHptGuest *guest)
{
    g_autoptr(virDomainSnapshot) current = virDomainSnapshotCurrent(guest->domain, 0);

    return current ? g_strdup(virDomainSnapshotGetName(current)) : NULL;
}

/* Puts one snapshot back, if @current is that one or not.  To make a snapshot current takes the
 * <revertDisks> of the one that was so before, even where it is the same: so only what has to be
 * made current is. */
static gboolean
putBackOne(VirtHptGuest *guest,
           const VirtHptJournal *journal,
           guint i,
           gboolean current,
           GError **error)
{
    const char *xml = g_ptr_array_index(journal->snapshots, i);
    g_autofree char *name = nameOf(xml, error);
    g_autofree char *now = currentName(guest);
    g_autoptr(virDomainSnapshot) there = NULL;
    g_autoptr(virDomainSnapshot) redefined = NULL;
    unsigned int flags = VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE;

    if (!name)
        return FALSE;
    if (current != (g_strcmp0(name, journal->current) == 0))
        return TRUE;
    /* Somebody deleted it meanwhile. */
    there = virDomainSnapshotLookupByName(guest->domain, name, 0);
    if (!there && virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_SNAPSHOT)
        return TRUE;
    if (current && g_strcmp0(name, now) != 0)
        flags |= VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT;
    if (there)
        redefined = virDomainSnapshotCreateXML(guest->domain, xml, flags);
    if (!redefined)
        return virtHptLibvirtSetError(error, _("cannot put back snapshot '%1$s'"), name);
    return TRUE;
}

static void
setText(xmlNode *node, const char *text)
{
    xmlNodeSetContent(node, (const xmlChar *)text);
}

/* A snapshot of nothing, made of another's XML @xml: libvirt asks for a domain in it. */
static char *
formatNobody(const char *xml, GError **error)
{
    g_autoptr(xmlDoc) doc = virtHptSnapshotXmlParse(xml, ORIGIN, error);
    xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
    xmlNode *name = root ? virtHptXmlRequire(root, "name", ORIGIN, error) : NULL;
    xmlNode *state = name ? virtHptXmlRequire(root, "state", ORIGIN, error) : NULL;

    if (!state)
        return NULL;
    setText(name, NOBODY);
    setText(state, "shutoff");
    virtHptXmlDrop(root, "parent");
    virtHptXmlDrop(root, "memory");
    virtHptXmlDrop(root, "revertDisks");
    for (xmlNode *disk = virtHptSnapshotFirstDisk(doc); disk;
         disk = virtHptXmlNext(disk->next, "disk")) {
        setText(disk, "");
        xmlSetProp(disk, (const xmlChar *)"snapshot", (const xmlChar *)"no");
        xmlUnsetProp(disk, (const xmlChar *)"type");
    }
    return virtHptXmlFormatNode(root, error);
}

/* libvirt can only be told which snapshot is the current one, not that there is none. */
static gboolean
makeNoneCurrent(VirtHptGuest *guest, const VirtHptJournal *journal, GError **error)
{
    g_autofree char *now = currentName(guest);
    g_autofree char *xml = NULL;
    g_autoptr(virDomainSnapshot) nobody = NULL;

    if (journal->current || !now || journal->snapshots->len == 0)
        return TRUE;
    xml = formatNobody(g_ptr_array_index(journal->snapshots, 0), error);
    if (!xml)
        return FALSE;
    nobody = virDomainSnapshotCreateXML(guest->domain, xml,
                                        VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE |
                                            VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT);
    if (!nobody || virDomainSnapshotDelete(nobody, VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY) < 0)
        return virtHptLibvirtSetError(error, _("cannot make '%1$s' have no current snapshot"),
                                      guest->name);
    return TRUE;
}

/**
 * virtHptMetadataPutBack:
 * @guest: a locked guest
 * @journal: of a revert that is undone
 * @error: set on failure
 *
 * Makes libvirt know again what virtHptMetadataRemember() found.  May be done twice.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptMetadataPutBack(VirtHptGuest *guest, const VirtHptJournal *journal, GError **error)
{
    for (guint pass = 0; pass < 2; pass++) {
        for (guint i = 0; i < journal->snapshots->len; i++) {
            if (!putBackOne(guest, journal, i, pass == 0, error))
                return FALSE;
        }
    }
    return makeNoneCurrent(guest, journal, error);
}

/**
 * virtHptMetadataRememberOthers:
 * @guest: a locked guest
 * @name: of a snapshot that libvirt is about to forget
 * @others: (element-type utf8): gets the XML of all other snapshots
 * @error: set on failure
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptMetadataRememberOthers(VirtHptGuest *guest,
                              const char *name,
                              GPtrArray *others,
                              GError **error)
{
    virDomainSnapshot **snapshots = NULL;
    int n = virDomainListAllSnapshots(guest->domain, &snapshots, 0);
    gboolean ok = n >= 0 || virtHptLibvirtSetError(error, _("cannot query the snapshots of '%1$s'"),
                                                   guest->name);

    for (int i = 0; i < n; i++) {
        g_autoptr(virDomainSnapshot) snapshot = snapshots[i];

        if (ok && !g_str_equal(virDomainSnapshotGetName(snapshot), name))
            ok = remember(snapshot, others, error);
    }
    free(snapshots);
    return ok;
}

/* Puts what @before says of the domain in the place of what @now says of it. */
static void
takeDomains(xmlDoc *now, const xmlDoc *before)
{
    static const char *const names[] = {"domain", "inactiveDomain"};
    xmlNode *root = xmlDocGetRootElement(now);

    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        xmlNode *domain = virtHptXmlChild(xmlDocGetRootElement(before), names[i]);
        xmlNode *copy = domain ? xmlDocCopyNode(domain, now, 1) : NULL;

        if (copy) {
            virtHptXmlDrop(root, names[i]);
            xmlAddChild(root, copy);
        }
    }
}

/* Whether both are of the same snapshot: names come again */
static gboolean
isSameSnapshot(const xmlDoc *a, const xmlDoc *b)
{
    xmlNode *first = virtHptXmlChild(xmlDocGetRootElement(a), "creationTime");
    xmlNode *second = virtHptXmlChild(xmlDocGetRootElement(b), "creationTime");
    g_autoptr(xmlChar) x = first ? xmlNodeGetContent(first) : NULL;
    g_autoptr(xmlChar) y = second ? xmlNodeGetContent(second) : NULL;

    return x && y && xmlStrEqual(x, y);
}

static char *
formatDomain(const xmlDoc *snapshot, const char *name)
{
    xmlNode *domain = virtHptXmlChild(xmlDocGetRootElement(snapshot), name);

    return domain ? virtHptXmlFormatNode(domain, NULL) : NULL;
}

/* Whether both say the same of the domain */
static gboolean
isSameDomain(const xmlDoc *a, const xmlDoc *b)
{
    g_autofree char *live = formatDomain(a, "domain");
    g_autofree char *otherLive = formatDomain(b, "domain");
    g_autofree char *defined = formatDomain(a, "inactiveDomain");
    g_autofree char *otherDefined = formatDomain(b, "inactiveDomain");

    return g_strcmp0(live, otherLive) == 0 && g_strcmp0(defined, otherDefined) == 0;
}

/* (transfer full): an image that a disk was on before and that is gone, and libvirt says now that
 * the disk was on another; or %NULL */
static char *
findLost(const xmlDoc *before, const xmlDoc *now)
{
    xmlNode *domain = virtHptXmlChild(xmlDocGetRootElement(before), "domain");
    xmlNode *devices = domain ? virtHptXmlChild(domain, "devices") : NULL;
    xmlNode *other = virtHptXmlChild(xmlDocGetRootElement(now), "domain");

    for (xmlNode *disk = devices ? virtHptXmlChild(devices, "disk") : NULL; disk;
         disk = virtHptXmlNext(disk->next, "disk")) {
        xmlNode *node = virtHptXmlChild(disk, "target");
        g_autofree char *target = node ? virtHptXmlGetAttribute(node, "dev") : NULL;
        g_autofree char *image = target ? virtHptDomainImage(domain, target) : NULL;
        g_autofree char *said = target ? virtHptDomainImage(other, target) : NULL;

        if (image && g_strcmp0(image, said) != 0 && !g_file_test(image, G_FILE_TEST_EXISTS))
            return g_steal_pointer(&image);
    }
    return NULL;
}

/* Puts back what @xml says of the domain, if the snapshot of @name is still that one.  @wanted:
 * (out) (transfer full) (nullable): where it fails, what libvirt should say */
static gboolean
putBackOther(VirtHptGuest *guest, const char *name, const char *xml, char **wanted, GError **error)
{
    g_autoptr(virDomainSnapshot) there = virDomainSnapshotLookupByName(guest->domain, name, 0);
    g_autoptr(VirtHptLibvirtString) now =
        there ? virDomainSnapshotGetXMLDesc(there, VIR_DOMAIN_SNAPSHOT_XML_SECURE) : NULL;
    g_autoptr(virDomainSnapshot) redefined = NULL;
    g_autoptr(xmlDoc) before = NULL;
    g_autoptr(xmlDoc) after = NULL;
    g_autofree char *lost = NULL;

    /* Somebody deleted it meanwhile. */
    if (!there && virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_SNAPSHOT)
        return TRUE;
    if (!now)
        return virtHptLibvirtSetError(error, _("cannot query snapshot '%1$s'"), name);
    before = virtHptSnapshotXmlParse(xml, ORIGIN, error);
    after = before ? virtHptSnapshotXmlParse(now, ORIGIN, error) : NULL;
    if (!after)
        return FALSE;
    if (!isSameSnapshot(before, after) || isSameDomain(before, after))
        return TRUE;
    lost = findLost(before, after);
    takeDomains(after, before);
    *wanted = virtHptXmlFormatNode(xmlDocGetRootElement(after), error);
    if (!*wanted)
        return FALSE;
    if (lost) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND, _("'%1$s' is gone"), lost);
        return FALSE;
    }
    redefined =
        virDomainSnapshotCreateXML(guest->domain, *wanted, VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE);
    if (!redefined)
        return virtHptLibvirtSetError(error, _("cannot put back snapshot '%1$s'"), name);
    g_clear_pointer(wanted, g_free);
    return TRUE;
}

/* (transfer full): path of a file in the guest's part of the state directory that holds @xml and is
 * on the disk, or %NULL */
static char *
keepXml(const VirtHptGuest *guest, const char *xml)
{
    g_autofree char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, xml, -1);
    g_autofree char *file = g_strdup_printf("snapshot-%.16s.xml", digest);
    gsize length = strlen(xml);
    gboolean ok;
    int fd;

    /* Of the same contents, if it is whole */
    unlinkat(guest->stateDir, file, 0);
    fd = openat(guest->stateDir, file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    ok = fd >= 0 && (gsize)full_write(fd, xml, (gssize)length) == length && fsync(fd) == 0 &&
         fsync(guest->stateDir) == 0;
    if (fd >= 0)
        close(fd);
    return ok ? g_build_filename(guest->statePath, file, NULL) : NULL;
}

/* Adds to @failures what to do about a snapshot that could not be put back; returns whether what
 * libvirt should say of it is kept. */
static gboolean
addFailure(GString *failures,
           const VirtHptGuest *guest,
           const char *name,
           const char *xml,
           const GError *why)
{
    g_autofree char *path = keepXml(guest, xml);
    g_autofree char *domain = g_shell_quote(guest->name);
    g_autofree char *file = path ? g_shell_quote(path) : NULL;

    if (failures->len > 0)
        g_string_append(failures, "; ");
    if (path)
        g_string_append_printf(
            failures,
            _("libvirt says of snapshot '%1$s' that it was made on other disk images than it was (%2$s): virsh snapshot-create --redefine %3$s %4$s"),
            name, why->message, domain, file);
    else
        g_string_append_printf(
            failures,
            _("libvirt says of snapshot '%1$s' that it was made on other disk images than it was (%2$s), and '%3$s' cannot be written to"),
            name, why->message, guest->statePath);
    return path != NULL;
}

/**
 * virtHptMetadataPutBackOthers:
 * @guest: a locked guest
 * @others: what virtHptMetadataRememberOthers() found, before libvirt forgot a snapshot
 * @error: set on failure
 *
 * libvirt 9.0.0 takes the layers of a snapshot that it is told to forget for merged, and says of
 * later ones that they were made on what lies below: it is made to say what is true again.  Where
 * it cannot, what it should say is kept in a file, which the message names.
 *
 * Errors: %VIRT_HPT_ERROR_IO where it could not be kept; what libvirt's errors stand for where that
 * is gone; in both cases it is to be tried again.  %VIRT_HPT_ERROR_DAMAGED where it is kept.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptMetadataPutBackOthers(VirtHptGuest *guest, const GPtrArray *others, GError **error)
{
    g_autoptr(GString) failures = g_string_new(NULL);
    gboolean kept = TRUE;

    for (guint i = 0; i < others->len; i++) {
        const char *xml = g_ptr_array_index(others, i);
        g_autoptr(GError) local = NULL;
        g_autofree char *name = nameOf(xml, &local);
        g_autofree char *wanted = NULL;

        if (name && putBackOther(guest, name, xml, &wanted, &local))
            continue;
        if (virConnectIsAlive(guest->connection) != 1) {
            g_propagate_error(error, g_steal_pointer(&local));
            return FALSE;
        }
        kept = addFailure(failures, guest, name ? name : "?", wanted ? wanted : xml, local) && kept;
    }
    if (failures->len == 0)
        return TRUE;
    g_set_error(error, VIRT_HPT_ERROR, kept ? VIRT_HPT_ERROR_DAMAGED : VIRT_HPT_ERROR_IO, "%s",
                failures->str);
    return FALSE;
}
