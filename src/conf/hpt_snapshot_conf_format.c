/*
 * hpt_snapshot_conf_format.c: the record's descriptor, struct -> XML
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The document is built as a tree, never printed together, and read back before it is handed out:
 * a record that its own reader refuses is found when it is made, not when it is needed.
 */

#include "config.h"

#include <inttypes.h>
#include <string.h>

#include <glib/gi18n-lib.h>

#include "conf/hpt_snapshot_conf_priv.h"

/* Without memory libxml2 returns NULL; GLib ends the program, and so do we */
static void
virtHptSnapshotCheckMemory(gconstpointer pointer)
{
    if (!pointer)
        g_error("%s: out of memory", G_STRLOC);
}

static xmlNode *
virtHptSnapshotAdd(xmlNode *parent, const char *name)
{
    xmlNode *node = xmlNewChild(parent, NULL, BAD_CAST name, NULL);

    virtHptSnapshotCheckMemory(node);
    return node;
}

static void
virtHptSnapshotAddText(xmlNode *parent, const char *name, const char *text)
{
    virtHptSnapshotCheckMemory(xmlNewTextChild(parent, NULL, BAD_CAST name, BAD_CAST text));
}

static void
virtHptSnapshotSet(xmlNode *node, const char *name, const char *text)
{
    virtHptSnapshotCheckMemory(xmlNewProp(node, BAD_CAST name, BAD_CAST text));
}

static void
virtHptSnapshotSetOptional(xmlNode *node, const char *name, const char *text)
{
    if (text)
        virtHptSnapshotSet(node, name, text);
}

static void
virtHptSnapshotSetNumber(xmlNode *node, const char *name, guint64 number)
{
    g_autofree char *text = g_strdup_printf("%" PRIu64, number);

    virtHptSnapshotSet(node, name, text);
}

static void
virtHptSnapshotAddDigest(xmlNode *parent, const guint8 digest[VIRT_HPT_DIGEST_SIZE])
{
    char hex[2 * VIRT_HPT_DIGEST_SIZE + 1];
    xmlNode *node;

    for (gsize i = 0; i < VIRT_HPT_DIGEST_SIZE; i++)
        g_snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    node = virtHptSnapshotAdd(parent, "digest");
    virtHptSnapshotSet(node, "algorithm", "sha256");
    virtHptSnapshotCheckMemory(xmlAddChild(node, xmlNewText(BAD_CAST hex)));
}

static void
virtHptSnapshotAddPages(xmlNode *hpt, const VirtHptPageCount *pages)
{
    xmlNode *node = virtHptSnapshotAdd(hpt, "pages");

    /* Shifts of no page size are left to the schema, which refuses a size of 0 */
    if (pages->size.base || pages->size.actual) {
        virtHptSnapshotSetNumber(node, "base", 1ULL << (pages->size.base & 63) >> 10);
        virtHptSnapshotSetNumber(node, "actual", 1ULL << (pages->size.actual & 63) >> 10);
        virtHptSnapshotSet(node, "unit", "KiB");
    }
    virtHptSnapshotSetNumber(node, "count", pages->count);
}

static void
virtHptSnapshotAddMmu(xmlNode *root, const VirtHptSnapshotDef *def)
{
    const VirtHptTableStats *stats = &def->stats;
    xmlNode *mmu = virtHptSnapshotAdd(root, "mmu");
    xmlNode *hpt;

    virtHptSnapshotSet(mmu, "mode", virtHptMmuGetName(def->mmu));
    if (def->mmu == VIRT_HPT_MMU_RADIX)
        return;

    hpt = virtHptSnapshotAdd(mmu, "hpt");
    virtHptSnapshotSetNumber(hpt, "order", def->order);
    virtHptSnapshotSetNumber(hpt, "slots", (1ULL << (def->order & 63)) / VIRT_HPT_ENTRY_SIZE);
    virtHptSnapshotSetNumber(hpt, "valid", stats->valid);
    virtHptSnapshotSetNumber(hpt, "bolted", stats->bolted);
    virtHptSnapshotSetNumber(hpt, "secondary", stats->secondary);
    virtHptSnapshotSetNumber(hpt, "cacheInhibited", stats->cacheInhibited);
    for (guint i = 0; i < MIN(stats->npages, VIRT_HPT_PAGE_COUNTS_MAX); i++)
        virtHptSnapshotAddPages(hpt, &stats->pages[i]);
}

static void
virtHptSnapshotAddImage(xmlNode *root, const VirtHptSnapshotDef *def)
{
    xmlNode *image = virtHptSnapshotAdd(root, "image");
    g_autofree char *mtime = g_strdup_printf("%" PRId64, def->imageMtime);

    virtHptSnapshotSet(image, "kind", virtHptSnapshotImageKindGetName(def->imageKind));
    virtHptSnapshotSetOptional(image, "file", def->imageFile);
    virtHptSnapshotSetOptional(image, "format", def->imageFormat);
    virtHptSnapshotSetNumber(image, "size", def->imageSize);
    virtHptSnapshotSetNumber(image, "inode", def->imageInode);
    virtHptSnapshotSet(image, "mtime", mtime);

    for (guint i = 0; i < def->extents->len; i++) {
        const VirtHptExtent *extent = &g_array_index(def->extents, VirtHptExtent, i);
        xmlNode *node = virtHptSnapshotAdd(image, "extent");

        virtHptSnapshotSet(node, "part", virtHptImagePartGetName(extent->part));
        virtHptSnapshotSetNumber(node, "offset", extent->offset);
        virtHptSnapshotSetNumber(node, "length", extent->length);
        virtHptSnapshotAddDigest(node, extent->digest);
    }
}

static void
virtHptSnapshotAddPayload(xmlNode *node, const VirtHptPayload *payload)
{
    virtHptSnapshotSetNumber(node, "length", payload->length);
    virtHptSnapshotSetOptional(node, "compression", payload->zstd ? "zstd" : NULL);
    virtHptSnapshotAddDigest(node, payload->digest);
    if (payload->stored) {
        xmlNode *stored = virtHptSnapshotAdd(node, "stored");

        virtHptSnapshotSetNumber(stored, "length", payload->storedLength);
        virtHptSnapshotAddDigest(stored, payload->storedDigest);
    }
}

static void
virtHptSnapshotAddTable(xmlNode *root, const VirtHptPayload *payload)
{
    xmlNode *node;

    if (!payload->file)
        return;
    node = virtHptSnapshotAdd(root, "table");
    virtHptSnapshotSet(node, "file", payload->file);
    virtHptSnapshotAddPayload(node, payload);
}

static void
virtHptSnapshotAddState(xmlNode *root, const VirtHptSnapshotDef *def)
{
    const VirtHptPayload *payload = &def->state;
    xmlNode *node;

    if (!payload->file)
        return;
    node = virtHptSnapshotAdd(root, "state");
    virtHptSnapshotSet(node, "file", payload->file);
    virtHptSnapshotSetOptional(node, "machine", def->machine);
    if (def->ramBytes)
        virtHptSnapshotSetNumber(node, "ram", def->ramBytes);
    virtHptSnapshotAddPayload(node, payload);
}

static void
virtHptSnapshotAddFindings(xmlNode *root, const VirtHptSnapshotDef *def)
{
    xmlNode *findings = virtHptSnapshotAdd(root, "findings");

    for (guint i = 0; i < def->findings->len; i++) {
        const VirtHptKnownFinding *finding = &g_array_index(def->findings, VirtHptKnownFinding, i);
        xmlNode *node = virtHptSnapshotAdd(findings, "finding");

        virtHptSnapshotSetOptional(node, "rule", finding->rule);
        virtHptSnapshotSet(node, "severity", virtHptSeverityGetName(finding->severity));
        virtHptSnapshotSetNumber(node, "count", finding->count);
    }
}

static void
virtHptSnapshotAddSource(xmlNode *root, const VirtHptSnapshotDef *def)
{
    xmlNode *source;

    if (!def->sourceHost && !def->sourceAccel && !def->sourceQemu && !def->sourceLibvirt)
        return;
    source = virtHptSnapshotAdd(root, "source");
    virtHptSnapshotSetOptional(source, "host", def->sourceHost);
    virtHptSnapshotSetOptional(source, "accel", def->sourceAccel);
    virtHptSnapshotSetOptional(source, "qemu", def->sourceQemu);
    virtHptSnapshotSetOptional(source, "libvirt", def->sourceLibvirt);
}

/* The domain's XML may come from the header of an image: it is as hostile as a descriptor */
static gboolean
virtHptSnapshotAddDomain(xmlNode *root, const char *domainXml, GError **error)
{
    g_autoptr(xmlDoc) doc = NULL;
    xmlNode *domain;
    xmlNode *copy;

    if (!domainXml)
        return TRUE;
    doc = virtHptXmlParseDomain(domainXml, strlen(domainXml), _("domain XML"), error);
    if (!doc)
        return FALSE;
    domain = xmlDocGetRootElement(doc);
    if (!g_str_equal((const char *)domain->name, "domain") || domain->ns) {
        g_autofree char *quoted = virtHptXmlQuote((const char *)domain->name);

        virtHptXmlSetError(error, VIRT_HPT_ERROR_MALFORMED, _("domain XML"), xmlGetLineNo(domain),
                           _("its root is <%1$s>: expected <domain>"), quoted);
        return FALSE;
    }
    copy = xmlDocCopyNode(domain, root->doc, 1);
    virtHptSnapshotCheckMemory(copy);
    virtHptSnapshotCheckMemory(xmlAddChild(root, copy));
    return TRUE;
}

/* Every string that goes into the tree and was not checked by the parser above */
static gboolean
virtHptSnapshotCheckStrings(const VirtHptSnapshotDef *def, GError **error)
{
    const struct {
        const char *text;
        const char *what;
        gboolean required;
    } strings[] = {
        {def->name, _("the snapshot's name"), TRUE},
        {def->imageFile, _("the image's name"), TRUE},
        {def->imageFormat, _("the image's format"), TRUE},
        {def->table.file, _("the table's file name"), FALSE},
        {def->state.file, _("the state's file name"), TRUE},
        {def->machine, _("the machine type"), FALSE},
        {def->sourceHost, _("the source host"), FALSE},
        {def->sourceAccel, _("the source accelerator"), FALSE},
        {def->sourceQemu, _("QEMU's version"), FALSE},
        {def->sourceLibvirt, _("libvirt's version"), FALSE},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(strings); i++) {
        if (!strings[i].text && strings[i].required) {
            g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                        _("cannot write a descriptor without %1$s"), strings[i].what);
            return FALSE;
        }
        if (strings[i].text && !virtHptXmlCheckText(strings[i].text, strings[i].what, error))
            return FALSE;
    }
    for (guint i = 0; i < def->findings->len; i++) {
        const char *rule = g_array_index(def->findings, VirtHptKnownFinding, i).rule;

        if (rule && !virtHptXmlCheckText(rule, _("a rule's name"), error))
            return FALSE;
    }
    return TRUE;
}

static xmlDoc *
virtHptSnapshotBuildTree(const VirtHptSnapshotDef *def, GError **error)
{
    g_autoptr(xmlDoc) doc = xmlNewDoc(BAD_CAST "1.0");
    g_autofree char *created = g_strdup_printf("%" PRId64, def->creationTime);
    xmlNode *root;

    virtHptSnapshotCheckMemory(doc);
    root = xmlNewDocNode(doc, NULL, BAD_CAST "hptsnapshot", NULL);
    virtHptSnapshotCheckMemory(root);
    xmlDocSetRootElement(doc, root);

    virtHptSnapshotAddText(root, "name", def->name);
    virtHptSnapshotAddText(root, "creationTime", created);
    virtHptSnapshotAddMmu(root, def);
    virtHptSnapshotAddImage(root, def);
    virtHptSnapshotAddTable(root, &def->table);
    virtHptSnapshotAddState(root, def);
    virtHptSnapshotAddFindings(root, def);
    virtHptSnapshotAddSource(root, def);
    if (!virtHptSnapshotAddDomain(root, def->domainXml, error))
        return NULL;
    return g_steal_pointer(&doc);
}

/* Indents by libxml2's default of 2 spaces; <domain> has white space of its own, and keeps it */
static void
virtHptSnapshotPrintTree(xmlDoc *doc, xmlBuffer *buffer)
{
    g_autoptr(xmlSaveCtxt) save =
        xmlSaveToBuffer(buffer, "UTF-8", XML_SAVE_FORMAT | XML_SAVE_NO_DECL);

    virtHptSnapshotCheckMemory(save);
    xmlSaveDoc(save, doc);
}

/**
 * virtHptSnapshotDefFormat:
 * @def: a descriptor
 * @length: (out) (optional): bytes of the result, without the NUL behind it
 * @error: return location for an error
 *
 * Writes a descriptor: UTF-8, indented by 2 spaces, the same bytes for the same @def.
 *
 * Errors: %VIRT_HPT_ERROR_MALFORMED where the domain XML is, %VIRT_HPT_ERROR_LIMIT where the result
 * would exceed what virtHptSnapshotDefParse() reads, %VIRT_HPT_ERROR_FAILED for a name that XML
 * cannot hold and for anything else in @def that virtHptSnapshotDefParse() would refuse.
 * Thread-safe as long as nobody changes @def.
 *
 * Returns: (transfer full): the descriptor, ending in a line break and NUL, or %NULL with @error
 * set
 */
char *
virtHptSnapshotDefFormat(const VirtHptSnapshotDef *def, gsize *length, GError **error)
{
    g_autoptr(xmlBuffer) buffer = NULL;
    g_autoptr(xmlDoc) doc = NULL;
    g_autoptr(VirtHptSnapshotDef) readBack = NULL;
    g_autoptr(GError) local = NULL;
    const char *text;
    gsize size;

    if (!virtHptSnapshotCheckStrings(def, error))
        return NULL;
    doc = virtHptSnapshotBuildTree(def, error);
    if (!doc)
        return NULL;

    buffer = xmlBufferCreate();
    virtHptSnapshotCheckMemory(buffer);
    virtHptSnapshotPrintTree(doc, buffer);
    text = (const char *)xmlBufferContent(buffer);
    size = (gsize)xmlBufferLength(buffer);

    readBack = virtHptSnapshotDefParse(text, size, _("new descriptor"), &local);
    if (!readBack) {
        if (!g_error_matches(local, VIRT_HPT_ERROR, VIRT_HPT_ERROR_LIMIT))
            local->code = VIRT_HPT_ERROR_FAILED;
        g_propagate_prefixed_error(error, g_steal_pointer(&local),
                                   _("cannot write a descriptor that could not be read: "));
        return NULL;
    }
    if (length)
        *length = size;
    return g_strndup(text, size);
}
