/*
 * hpt_snapshot_conf_parse.c: the record's descriptor, XML -> struct
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * In three steps: a bounded parse (xml_util.c), the schema, and what a schema cannot say: sums,
 * products, order and range of extents.  No value is read before the schema was satisfied.
 */

#include "config.h"

#include <inttypes.h>
#include <string.h>

#include <glib/gi18n-lib.h>

#include "conf/hpt_snapshot_conf_priv.h"
#include "conf/xml_read.h"
#include "intprops.h"

/* Elements outside <domain>: extents with their digests, and far more than all the rest */
#define ELEMENTS_MAX (2 * VIRT_HPT_SNAPSHOT_EXTENTS_MAX + 1024)

/* Reads the <digest> in @parent */
static gboolean
virtHptSnapshotReadDigest(const xmlNode *parent,
                          const char *origin,
                          guint8 digest[VIRT_HPT_DIGEST_SIZE],
                          GError **error)
{
    xmlNode *node = virtHptXmlRequire(parent, "digest", origin, error);
    g_autoptr(xmlChar) content = node ? xmlNodeGetContent(node) : NULL;
    const char *hex = (const char *)content;

    if (!node)
        return FALSE;
    if (!hex || strlen(hex) != (gsize)2 * VIRT_HPT_DIGEST_SIZE) {
        virtHptXmlSetMalformed(error, origin, node, _("<digest> has not %1$d hex digits"),
                               2 * VIRT_HPT_DIGEST_SIZE);
        return FALSE;
    }
    for (gsize i = 0; i < VIRT_HPT_DIGEST_SIZE; i++) {
        int high = g_ascii_xdigit_value(hex[2 * i]);
        int low = g_ascii_xdigit_value(hex[2 * i + 1]);

        if (high < 0 || low < 0) {
            virtHptXmlSetMalformed(error, origin, node, _("<digest> has not %1$d hex digits"),
                                   2 * VIRT_HPT_DIGEST_SIZE);
            return FALSE;
        }
        digest[i] = (guint8)(high << 4 | low);
    }
    return TRUE;
}

static gboolean
virtHptSnapshotReadName(const xmlNode *root,
                        const char *origin,
                        VirtHptSnapshotDef *def,
                        GError **error)
{
    xmlNode *name = virtHptXmlRequire(root, "name", origin, error);
    xmlNode *created = name ? virtHptXmlRequire(root, "creationTime", origin, error) : NULL;
    g_autoptr(xmlChar) nameText = NULL;
    g_autoptr(xmlChar) createdText = NULL;
    g_autoptr(GError) local = NULL;

    if (!created)
        return FALSE;
    nameText = xmlNodeGetContent(name);
    createdText = xmlNodeGetContent(created);
    if (!nameText || !createdText)
        g_error("%s: out of memory", G_STRLOC);

    if (!virtHptXmlCheckText((const char *)nameText, "name", &local)) {
        virtHptXmlSetMalformed(error, origin, name, "%s", local->message);
        return FALSE;
    }
    if (!g_ascii_string_to_signed((const char *)createdText, 10, 0, G_MAXINT64, &def->creationTime,
                                  NULL)) {
        virtHptXmlSetMalformed(error, origin, created,
                               _("<creationTime> is not a number of seconds"));
        return FALSE;
    }
    def->name = g_strdup((const char *)nameText);
    return TRUE;
}

/* Reads one <pages>; @previous is the one before it, or NULL */
static gboolean
virtHptSnapshotReadPages(xmlNode *node,
                         const char *origin,
                         const VirtHptPageCount *previous,
                         VirtHptPageCount *pages,
                         GError **error)
{
    guint64 base = 0;
    guint64 actual = 0;

    /* The schema knows both sizes or none, in KiB, powers of two */
    if (xmlHasNsProp(node, BAD_CAST "base", NULL)) {
        if (!virtHptXmlReadNumber(node, "base", G_MAXUINT32, origin, &base, error) ||
            !virtHptXmlReadNumber(node, "actual", G_MAXUINT32, origin, &actual, error))
            return FALSE;
        pages->size.base = (guint)g_bit_storage((gulong)base) + 9;
        pages->size.actual = (guint)g_bit_storage((gulong)actual) + 9;
    }
    if (!virtHptXmlReadNumber(node, "count", G_MAXUINT64, origin, &pages->count, error))
        return FALSE;

    if (actual < base) {
        virtHptXmlSetMalformed(error, origin, node,
                               _("pages of %1$" PRIu64 " KiB with a base size of %2$" PRIu64
                                 " KiB: expected at least the base size"),
                               actual, base);
        return FALSE;
    }
    if (previous &&
        (pages->size.base < previous->size.base || (pages->size.base == previous->size.base &&
                                                    pages->size.actual <= previous->size.actual))) {
        virtHptXmlSetMalformed(error, origin, node,
                               _("<pages> out of order: expected ascending sizes"));
        return FALSE;
    }
    return TRUE;
}

/* The counts of valid entries by page size must sum up to all valid entries */
static gboolean
virtHptSnapshotReadAllPages(xmlNode *hpt,
                            const char *origin,
                            VirtHptTableStats *stats,
                            GError **error)
{
    guint64 sum = 0;

    for (xmlNode *node = virtHptXmlChild(hpt, "pages"); node;
         node = virtHptXmlNext(node->next, "pages")) {
        VirtHptPageCount *pages = &stats->pages[stats->npages];

        if (stats->npages == VIRT_HPT_PAGE_COUNTS_MAX) {
            virtHptXmlSetMalformed(error, origin, node, _("more than %1$d elements <pages>"),
                                   VIRT_HPT_PAGE_COUNTS_MAX);
            return FALSE;
        }
        if (!virtHptSnapshotReadPages(node, origin, stats->npages ? pages - 1 : NULL, pages, error))
            return FALSE;
        stats->npages++;
        if (INT_ADD_WRAPV(sum, pages->count, &sum)) {
            virtHptXmlSetMalformed(error, origin, node, _("the counts of <pages> overflow"));
            return FALSE;
        }
    }
    if (sum != stats->valid) {
        virtHptXmlSetMalformed(
            error, origin, hpt,
            _("<pages> count %1$" PRIu64 " entries: expected %2$" PRIu64 ", all that are valid"),
            sum, stats->valid);
        return FALSE;
    }
    return TRUE;
}

static gboolean
virtHptSnapshotReadHpt(xmlNode *hpt, const char *origin, VirtHptSnapshotDef *def, GError **error)
{
    VirtHptTableStats *stats = &def->stats;
    guint64 order = 0;
    guint64 slots = 0;
    guint64 expected;

    if (!virtHptXmlReadNumber(hpt, "order", VIRT_HPT_ORDER_MAX, origin, &order, error) ||
        !virtHptXmlReadNumber(hpt, "slots", G_MAXUINT64, origin, &slots, error))
        return FALSE;
    if (order < VIRT_HPT_ORDER_MIN) {
        virtHptXmlSetMalformed(error, origin, hpt, _("order %1$" PRIu64 ": expected at least %2$d"),
                               order, VIRT_HPT_ORDER_MIN);
        return FALSE;
    }
    def->order = (guint)order;
    expected = (1ULL << order) / VIRT_HPT_ENTRY_SIZE;
    if (slots != expected) {
        virtHptXmlSetMalformed(
            error, origin, hpt,
            _("%1$" PRIu64 " slots: expected %2$" PRIu64 ", which follows from order %3$u"), slots,
            expected, def->order);
        return FALSE;
    }

    return virtHptXmlReadNumber(hpt, "valid", slots, origin, &stats->valid, error) &&
           virtHptXmlReadNumber(hpt, "bolted", stats->valid, origin, &stats->bolted, error) &&
           virtHptXmlReadNumber(hpt, "secondary", stats->valid, origin, &stats->secondary, error) &&
           virtHptXmlReadNumber(hpt, "cacheInhibited", stats->valid, origin, &stats->cacheInhibited,
                                error) &&
           virtHptSnapshotReadAllPages(hpt, origin, stats, error);
}

static gboolean
virtHptSnapshotReadMmu(const xmlNode *root,
                       const char *origin,
                       VirtHptSnapshotDef *def,
                       GError **error)
{
    xmlNode *mmu = virtHptXmlRequire(root, "mmu", origin, error);
    xmlNode *hpt = mmu ? virtHptXmlChild(mmu, "hpt") : NULL;
    guint mode = 0;

    if (!mmu || !virtHptXmlReadEnum(mmu, "mode", virtHptMmuNames, origin, &mode, error))
        return FALSE;
    def->mmu = (VirtHptMmu)mode;
    return !hpt || virtHptSnapshotReadHpt(hpt, origin, def, error);
}

/* Where the file of an image may be: a descriptor must not lead out of the directory that its
 * reader was pointed to by anything but an absolute path, which can be seen and judged */
static gboolean
virtHptSnapshotCheckImageFile(xmlNode *image, const char *origin, const char *file, GError **error)
{
    g_autofree char *quoted = NULL;

    if (g_path_is_absolute(file))
        return TRUE;
    if (*file && !strchr(file, '/') && !g_str_equal(file, ".") && !g_str_equal(file, ".."))
        return TRUE;
    quoted = virtHptXmlQuote(file);
    virtHptXmlSetMalformed(error, origin, image,
                           _("image file '%1$s': expected a plain name or an absolute path"),
                           quoted);
    return FALSE;
}

/* @end is where the extent before this one ends, and becomes where this one ends */
static gboolean
virtHptSnapshotReadExtent(xmlNode *node,
                          const char *origin,
                          guint64 size,
                          guint64 *end,
                          VirtHptExtent *extent,
                          GError **error)
{
    guint64 next = 0;
    guint part = 0;

    if (!virtHptXmlReadEnum(node, "part", virtHptImagePartNames, origin, &part, error) ||
        !virtHptXmlReadNumber(node, "offset", G_MAXUINT64, origin, &extent->offset, error) ||
        !virtHptXmlReadNumber(node, "length", G_MAXUINT64, origin, &extent->length, error) ||
        !virtHptSnapshotReadDigest(node, origin, extent->digest, error))
        return FALSE;
    extent->part = (VirtHptImagePart)part;

    if (INT_ADD_WRAPV(extent->offset, extent->length, &next) || next > size) {
        virtHptXmlSetMalformed(error, origin, node,
                               _("extent of %1$" PRIu64 " bytes at offset %2$" PRIu64
                                 ": expected its end within the image's %3$" PRIu64 " bytes"),
                               extent->length, extent->offset, size);
        return FALSE;
    }
    if (extent->offset < *end) {
        virtHptXmlSetMalformed(error, origin, node,
                               _("extent at offset %1$" PRIu64
                                 ": expected it at or behind %2$" PRIu64
                                 ", where the one before it ends"),
                               extent->offset, *end);
        return FALSE;
    }
    *end = next;
    return TRUE;
}

static gboolean
virtHptSnapshotReadExtents(const xmlNode *image,
                           const char *origin,
                           VirtHptSnapshotDef *def,
                           GError **error)
{
    guint64 end = 0;

    for (xmlNode *node = virtHptXmlChild(image, "extent"); node;
         node = virtHptXmlNext(node->next, "extent")) {
        VirtHptExtent extent = {0};

        if (!virtHptSnapshotReadExtent(node, origin, def->imageSize, &end, &extent, error))
            return FALSE;
        g_array_append_val(def->extents, extent);
    }
    return TRUE;
}

static gboolean
virtHptSnapshotReadImage(const xmlNode *root,
                         const char *origin,
                         VirtHptSnapshotDef *def,
                         GError **error)
{
    xmlNode *image = virtHptXmlRequire(root, "image", origin, error);
    g_autofree char *mtime = image ? virtHptXmlGetAttribute(image, "mtime") : NULL;
    guint kind = 0;

    if (!image ||
        !virtHptXmlReadEnum(image, "kind", virtHptSnapshotImageKindNames, origin, &kind, error) ||
        !virtHptXmlReadText(image, "file", origin, &def->imageFile, error) ||
        !virtHptSnapshotCheckImageFile(image, origin, def->imageFile ? def->imageFile : "",
                                       error) ||
        !virtHptXmlReadText(image, "format", origin, &def->imageFormat, error) ||
        !virtHptXmlReadNumber(image, "size", G_MAXINT64, origin, &def->imageSize, error) ||
        !virtHptXmlReadNumber(image, "inode", G_MAXUINT64, origin, &def->imageInode, error))
        return FALSE;
    def->imageKind = (VirtHptSnapshotImageKind)kind;

    if (!mtime ||
        !g_ascii_string_to_signed(mtime, 10, G_MININT64, G_MAXINT64, &def->imageMtime, NULL)) {
        virtHptXmlSetMalformed(error, origin, image, _("mtime in <image> is not a number"));
        return FALSE;
    }
    return virtHptSnapshotReadExtents(image, origin, def, error);
}

static gboolean
virtHptSnapshotReadPayload(xmlNode *node,
                           const char *origin,
                           VirtHptPayload *payload,
                           GError **error)
{
    xmlNode *stored = virtHptXmlChild(node, "stored");

    /* The schema lets nothing but 'table' and 'state' stand here: names, never paths */
    payload->file = virtHptXmlGetAttribute(node, "file");
    payload->zstd = xmlHasNsProp(node, BAD_CAST "compression", NULL) != NULL;
    if (!virtHptXmlReadNumber(node, "length", G_MAXINT64, origin, &payload->length, error) ||
        !virtHptSnapshotReadDigest(node, origin, payload->digest, error))
        return FALSE;
    if (!stored)
        return TRUE;
    payload->stored = TRUE;
    return virtHptXmlReadNumber(stored, "length", G_MAXINT64, origin, &payload->storedLength,
                                error) &&
           virtHptSnapshotReadDigest(stored, origin, payload->storedDigest, error);
}

static gboolean
virtHptSnapshotReadPayloads(const xmlNode *root,
                            const char *origin,
                            VirtHptSnapshotDef *def,
                            GError **error)
{
    xmlNode *table = virtHptXmlChild(root, "table");
    xmlNode *state = virtHptXmlRequire(root, "state", origin, error);

    if (!state)
        return FALSE;
    if (table && !virtHptSnapshotReadPayload(table, origin, &def->table, error))
        return FALSE;
    if (!virtHptSnapshotReadPayload(state, origin, &def->state, error) ||
        !virtHptXmlReadText(state, "machine", origin, &def->machine, error))
        return FALSE;
    return !xmlHasNsProp(state, BAD_CAST "ram", NULL) ||
           virtHptXmlReadNumber(state, "ram", G_MAXINT64, origin, &def->ramBytes, error);
}

static gboolean
virtHptSnapshotReadFindings(const xmlNode *root,
                            const char *origin,
                            VirtHptSnapshotDef *def,
                            GError **error)
{
    const xmlNode *findings = virtHptXmlRequire(root, "findings", origin, error);
    const char *const severities[] = {
        virtHptSeverityGetName(VIRT_HPT_SEVERITY_NOTE),
        virtHptSeverityGetName(VIRT_HPT_SEVERITY_WARNING),
        virtHptSeverityGetName(VIRT_HPT_SEVERITY_ERROR),
        NULL,
    };
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    if (!findings)
        return FALSE;
    for (xmlNode *node = virtHptXmlChild(findings, "finding"); node;
         node = virtHptXmlNext(node->next, "finding")) {
        VirtHptKnownFinding finding = {0};
        guint severity = 0;

        if (def->findings->len == VIRT_HPT_SNAPSHOT_FINDINGS_MAX) {
            virtHptXmlSetError(error, VIRT_HPT_ERROR_LIMIT, origin, xmlGetLineNo(node),
                               _("findings of more than %1$d rules"),
                               VIRT_HPT_SNAPSHOT_FINDINGS_MAX);
            return FALSE;
        }
        if (!virtHptXmlReadEnum(node, "severity", severities, origin, &severity, error) ||
            !virtHptXmlReadNumber(node, "count", G_MAXUINT64, origin, &finding.count, error))
            return FALSE;
        finding.severity = (VirtHptSeverity)severity;
        finding.rule = virtHptXmlGetAttribute(node, "rule");
        g_array_append_val(def->findings, finding);

        if (!g_hash_table_add(seen, finding.rule)) {
            virtHptXmlSetMalformed(error, origin, node,
                                   _("findings of rule '%1$s' twice: expected once"), finding.rule);
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean
virtHptSnapshotReadSource(const xmlNode *root,
                          const char *origin,
                          VirtHptSnapshotDef *def,
                          GError **error)
{
    xmlNode *source = virtHptXmlChild(root, "source");

    return !source || (virtHptXmlReadText(source, "host", origin, &def->sourceHost, error) &&
                       virtHptXmlReadText(source, "accel", origin, &def->sourceAccel, error) &&
                       virtHptXmlReadText(source, "qemu", origin, &def->sourceQemu, error) &&
                       virtHptXmlReadText(source, "libvirt", origin, &def->sourceLibvirt, error));
}

/* Takes what is in <domain> out of the tree, into def->domainXml.  It is carried, not read: the
 * schema lets anything stand there, and walking through it would cost the validator time in the
 * square of its elements.  The validator will see a second <domain>, and refuse it. */
static gboolean
virtHptSnapshotTakeDomain(xmlNode *root, VirtHptSnapshotDef *def, GError **error)
{
    for (xmlNode *node = virtHptXmlChild(root, "domain"); node;
         node = virtHptXmlNext(node->next, "domain")) {
        if (!def->domainXml) {
            def->domainXml = virtHptXmlFormatNode(node, error);
            if (!def->domainXml)
                return FALSE;
        }
        xmlFreeNodeList(node->children);
        node->children = NULL;
        node->last = NULL;
    }
    return TRUE;
}

/* Counts what is left for the validator, without recursion */
static gboolean
virtHptSnapshotCheckElements(const xmlNode *root, const char *origin, GError **error)
{
    const xmlNode *node = root;
    guint elements = 0;
    guint extents = 0;

    while (node) {
        gboolean element = node->type == XML_ELEMENT_NODE;

        if (element && ++elements > ELEMENTS_MAX) {
            virtHptXmlSetError(error, VIRT_HPT_ERROR_LIMIT, origin, xmlGetLineNo(node),
                               _("the descriptor has more than %1$d elements"), ELEMENTS_MAX);
            return FALSE;
        }
        if (element && g_str_equal((const char *)node->name, "extent") &&
            ++extents > VIRT_HPT_SNAPSHOT_EXTENTS_MAX) {
            virtHptXmlSetError(error, VIRT_HPT_ERROR_LIMIT, origin, xmlGetLineNo(node),
                               _("the image has more than %1$d extents"),
                               VIRT_HPT_SNAPSHOT_EXTENTS_MAX);
            return FALSE;
        }

        if (element && node->children) {
            node = node->children;
            continue;
        }
        while (node != root && !node->next)
            node = node->parent;
        node = node == root ? NULL : node->next;
    }
    return TRUE;
}

/**
 * virtHptSnapshotDefParse:
 * @xml: the descriptor; need not end in NUL, and may be hostile
 * @length: bytes, at most %VIRT_HPT_SNAPSHOT_XML_MAX
 * @origin: where it comes from, as a file name, for messages, or %NULL
 * @error: return location for an error
 *
 * Reads a descriptor.  Errors are %VIRT_HPT_ERROR_MALFORMED and %VIRT_HPT_ERROR_LIMIT; the message
 * is "origin:line: what was found and what was expected".  Nothing outside the document is
 * opened, whatever it says.  Thread-safe.
 *
 * Returns: (transfer full): the descriptor, or %NULL with @error set
 */
VirtHptSnapshotDef *
virtHptSnapshotDefParse(const char *xml, gsize length, const char *origin, GError **error)
{
    g_autoptr(VirtHptSnapshotDef) def = virtHptSnapshotDefNew();
    g_autoptr(xmlDoc) doc = NULL;
    xmlNode *root;

    doc = virtHptXmlParse(xml, length, VIRT_HPT_SNAPSHOT_XML_MAX, origin, error);
    if (!doc)
        return NULL;
    root = xmlDocGetRootElement(doc);

    if (!virtHptSnapshotTakeDomain(root, def, error) ||
        !virtHptSnapshotCheckElements(root, origin, error) ||
        !virtHptSnapshotValidateTree(doc, origin, error) ||
        !virtHptSnapshotReadName(root, origin, def, error) ||
        !virtHptSnapshotReadMmu(root, origin, def, error) ||
        !virtHptSnapshotReadImage(root, origin, def, error) ||
        !virtHptSnapshotReadPayloads(root, origin, def, error) ||
        !virtHptSnapshotReadFindings(root, origin, def, error) ||
        !virtHptSnapshotReadSource(root, origin, def, error))
        return NULL;
    return g_steal_pointer(&def);
}
