/*
 * dryrun_conf.c: a domain's XML -> the XML of its dry run
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A guest with the same hardware as far as the migration stream knows it, and without anything of
 * the host's: the XML may come from whoever wrote the image, and libvirt, run by root, opens what
 * its XML names.  So the document is built anew from what the rules in dryrun_rules.c allow;
 * nothing is copied that they do not name, and no value that they let through can be a path.
 */

#include "config.h"

#include <string.h>

#include <glib/gi18n-lib.h>

#include "conf/dryrun_conf.h"
#include "conf/dryrun_rules.h"
#include "conf/xml_read.h"

#define WORD_MAX 64

/* A CPU of TCG that runs guests of POWER8 and POWER9 (compatibility mode) */
#define FALLBACK_CPU "POWER9"

/* libvirt 9.0 src/qemu/qemu_conf.h */
#define QEMU_NAMESPACE "http://libvirt.org/schemas/domain/qemu/1.0"

struct _VirtHptDryRunContext {
    const char *origin;
    const VirtHptDryRunHost *host;
    VirtHptDryRunDef *def;
};

void
virtHptDryRunDefFree(VirtHptDryRunDef *def)
{
    if (!def)
        return;
    g_free(def->xml);
    g_free(def);
}

static gboolean
isWordOf(const char *value, const char *words)
{
    g_auto(GStrv) list = g_strsplit(words, " ", -1);

    return *value && g_strv_contains((const char *const *)list, value);
}

static gboolean
isNumber(const char *value)
{
    guint64 number;

    if (g_str_has_prefix(value, "0x"))
        return g_ascii_string_to_unsigned(value + 2, 16, 0, G_MAXUINT64, &number, NULL);
    return g_ascii_string_to_unsigned(value, 10, 0, G_MAXUINT64, &number, NULL);
}

static gboolean
isMadeOf(const char *value, const char *others)
{
    if (!g_ascii_isalnum(*value) || strlen(value) > WORD_MAX)
        return FALSE;
    for (const char *p = value; *p; p++) {
        if (!g_ascii_isalnum(*p) && !strchr(others, *p))
            return FALSE;
    }
    return TRUE;
}

static gboolean
isAllowed(const char *value, VirtHptDryRunKind kind, const char *arg)
{
    switch (kind) {
    case VIRT_HPT_DRY_RUN_NUMBER:
        return isNumber(value);
    case VIRT_HPT_DRY_RUN_WORD:
        return isMadeOf(value, "_.:+-");
    case VIRT_HPT_DRY_RUN_SET:
        return isMadeOf(value, "-,^") && strspn(value, "0123456789-,^") == strlen(value);
    case VIRT_HPT_DRY_RUN_ONE_OF:
        return isWordOf(value, arg);
    case VIRT_HPT_DRY_RUN_DROP:
    case VIRT_HPT_DRY_RUN_FIXED:
        return TRUE;
    }
    g_return_val_if_reached(FALSE);
}

static gboolean
refuse(const VirtHptDryRunContext *context, const xmlNode *node, const char *what, GError **error)
{
    virtHptXmlSetError(error, VIRT_HPT_ERROR_UNSUPPORTED, context->origin, xmlGetLineNo(node),
                       _("a dry run does not know %1$s"), what);
    return FALSE;
}

static gboolean
refuseElement(const VirtHptDryRunContext *context, const xmlNode *node, GError **error)
{
    g_autofree char *name = virtHptXmlQuote((const char *)node->name);
    g_autofree char *parent = virtHptXmlQuote((const char *)node->parent->name);
    g_autofree char *what = NULL;

    if (node->ns && node->ns->prefix) {
        g_autofree char *prefix = virtHptXmlQuote((const char *)node->ns->prefix);

        what = g_strdup_printf("<%s:%s>", prefix, name);
    } else {
        what = g_strdup_printf(_("<%1$s> in <%2$s>"), name, parent);
    }
    return refuse(context, node, what, error);
}

static gboolean
refuseValue(const VirtHptDryRunContext *context,
            const xmlNode *node,
            const char *attribute,
            const char *value,
            GError **error)
{
    g_autofree char *element = virtHptXmlQuote((const char *)node->name);
    g_autofree char *name = attribute ? virtHptXmlQuote(attribute) : NULL;
    g_autofree char *quoted = virtHptXmlQuote(value);
    g_autofree char *what = name
                                ? g_strdup_printf(_("%1$s='%2$s' in <%3$s>"), name, quoted, element)
                                : g_strdup_printf(_("'%1$s' in <%2$s>"), quoted, element);

    return refuse(context, node, what, error);
}

/* The rule of an attribute, or NULL: attributes in a namespace have none. */
static const VirtHptDryRunAttribute *
findAttribute(const VirtHptDryRunElement *rule, const xmlAttr *attr)
{
    if (attr->ns)
        return NULL;
    for (const VirtHptDryRunAttribute *a = rule->attributes; a && a->name; a++) {
        if (g_str_equal(a->name, (const char *)attr->name))
            return a;
    }
    return NULL;
}

static const VirtHptDryRunElement *
findElement(const VirtHptDryRunElement *rules, const xmlNode *node)
{
    if (node->ns)
        return NULL;
    for (const VirtHptDryRunElement *rule = rules; rule && rule->name; rule++) {
        if (g_str_equal(rule->name, (const char *)node->name))
            return rule;
    }
    return NULL;
}

/* What libvirt would choose for an attribute that is not there may be a resource of the host's, as
 * is the terminal of a serial port without a type. */
static void
addFixed(xmlNode *copy, const VirtHptDryRunElement *rule)
{
    for (const VirtHptDryRunAttribute *a = rule->attributes; a && a->name; a++) {
        if (a->kind == VIRT_HPT_DRY_RUN_FIXED && !xmlHasProp(copy, BAD_CAST a->name))
            xmlNewProp(copy, BAD_CAST a->name, BAD_CAST a->arg);
    }
}

static gboolean
copyAttributes(xmlNode *copy,
               xmlNode *node,
               const VirtHptDryRunElement *rule,
               const VirtHptDryRunContext *context,
               GError **error)
{
    for (const xmlAttr *attr = node->properties; attr; attr = attr->next) {
        const VirtHptDryRunAttribute *allowed = findAttribute(rule, attr);
        g_autoptr(xmlChar) value = xmlNodeListGetString(node->doc, attr->children, 1);
        const char *text = value ? (const char *)value : "";

        if (!allowed || !isAllowed(text, allowed->kind, allowed->arg))
            return refuseValue(context, node, (const char *)attr->name, text, error);
        if (allowed->kind == VIRT_HPT_DRY_RUN_DROP)
            continue;
        if (allowed->kind == VIRT_HPT_DRY_RUN_FIXED)
            text = allowed->arg;
        xmlNewProp(copy, BAD_CAST allowed->name, BAD_CAST text);
    }
    addFixed(copy, rule);
    return TRUE;
}

static gboolean
copyText(xmlNode *copy,
         xmlNode *node,
         const VirtHptDryRunElement *rule,
         const VirtHptDryRunContext *context,
         GError **error)
{
    g_autoptr(xmlChar) content = NULL;
    g_autofree char *text = NULL;

    if (!rule->text)
        return TRUE;
    content = xmlNodeGetContent(node);
    text = g_strstrip(g_strdup(content ? (const char *)content : ""));
    if (!isAllowed(text, rule->textKind, rule->textArg))
        return refuseValue(context, node, NULL, text, error);
    xmlNodeAddContent(copy, BAD_CAST text);
    return TRUE;
}

/* Fills @copy with what @rule lets through of @node.  The rules bound the recursion: they are no
 * deeper than six elements. */
static gboolean
copyElement(xmlNode *copy,
            xmlNode *node,
            const VirtHptDryRunElement *rule,
            VirtHptDryRunContext *context,
            GError **error)
{
    if (!copyAttributes(copy, node, rule, context, error) ||
        !copyText(copy, node, rule, context, error))
        return FALSE;
    for (xmlNode *child = node->children; child; child = child->next) {
        const VirtHptDryRunElement *allowed;

        if (child->type != XML_ELEMENT_NODE)
            continue;
        allowed = findElement(rule->children, child);
        if (!allowed)
            return refuseElement(context, child, error);
        if (!allowed->drop && !copyElement(xmlNewChild(copy, NULL, BAD_CAST allowed->name, NULL),
                                           child, allowed, context, error))
            return FALSE;
    }
    if (rule->amend)
        rule->amend(copy, node, context);
    return TRUE;
}

static void
setAttribute(xmlNode *node, const char *name, const char *value)
{
    xmlSetProp(node, BAD_CAST name, BAD_CAST value);
}

static xmlNode *
getChild(xmlNode *node, const char *name)
{
    xmlNode *child = virtHptXmlChild(node, name);

    return child ? child : xmlNewChild(node, NULL, BAD_CAST name, NULL);
}

/* A disk is an empty file of the run's own; a CD-ROM drive that was empty stays so. */
void
virtHptDryRunAmendDisk(xmlNode *copy, xmlNode *node, VirtHptDryRunContext *context)
{
    g_autofree char *device = virtHptXmlGetAttribute(copy, "device");
    g_autofree char *file = NULL;
    xmlNode *driver = getChild(copy, "driver");

    setAttribute(copy, "type", "file");
    setAttribute(driver, "name", "qemu");
    setAttribute(driver, "type", "raw");
    if (g_strcmp0(device, "cdrom") == 0 && !virtHptXmlChild(node, "source"))
        return;
    file = g_strdup_printf(VIRT_HPT_DRY_RUN_DISK, context->def->disks++);
    setAttribute(xmlNewChild(copy, NULL, BAD_CAST "source", NULL), "file", file);
}

/* QEMU announces the cards when a restore completes: the tap devices that then lie behind them are
 * in the run's own network namespace.  QEMU's user network is in the stream, so it stays. */
void
virtHptDryRunAmendInterface(xmlNode *copy,
                            xmlNode *node G_GNUC_UNUSED,
                            VirtHptDryRunContext *context)
{
    g_autofree char *type = virtHptXmlGetAttribute(copy, "type");
    g_autofree char *model = NULL;
    xmlNode *element = virtHptXmlChild(copy, "model");

    if (g_strcmp0(type, "user") != 0)
        setAttribute(copy, "type", context->host->tap ? "ethernet" : "user");
    model = element ? virtHptXmlGetAttribute(element, "type") : NULL;
    if (model && g_str_has_prefix(model, "virtio"))
        setAttribute(getChild(copy, "driver"), "name", "qemu");
}

void
virtHptDryRunAmendRng(xmlNode *copy,
                      xmlNode *node G_GNUC_UNUSED,
                      VirtHptDryRunContext *context G_GNUC_UNUSED)
{
    setAttribute(xmlNewChild(copy, NULL, BAD_CAST "backend", NULL), "model", "builtin");
}

/* TCG has no CPU of the host's. */
void
virtHptDryRunAmendCpu(xmlNode *copy, xmlNode *node G_GNUC_UNUSED, VirtHptDryRunContext *context)
{
    g_autofree char *mode = virtHptXmlGetAttribute(copy, "mode");
    xmlNode *model;

    if (context->def->kvm ||
        (g_strcmp0(mode, "host-model") != 0 && g_strcmp0(mode, "host-passthrough") != 0))
        return;
    setAttribute(copy, "mode", "custom");
    model = virtHptXmlChild(copy, "model");
    if (model) {
        xmlUnlinkNode(model);
        xmlFreeNode(model);
    }
    xmlNewChild(copy, NULL, BAD_CAST "model", BAD_CAST FALLBACK_CPU);
}

/* Under TCG the HPT is memory of QEMU's, allocated and filled when it starts and again by the
 * stream: page faults on that are much of what both take.  glibc 2.35 malloc/malloc.c,
 * "glibc.malloc.hugetlb"; without effect where libc is another one, or the host has no large pages
 * on demand. */
static void
addLargePages(xmlNode *domain)
{
    xmlNs *qemu = xmlNewNs(domain, BAD_CAST QEMU_NAMESPACE, BAD_CAST "qemu");
    xmlNode *commandline = xmlNewChild(domain, qemu, BAD_CAST "commandline", NULL);
    xmlNode *env = xmlNewChild(commandline, qemu, BAD_CAST "env", NULL);

    setAttribute(env, "name", "GLIBC_TUNABLES");
    setAttribute(env, "value", "glibc.malloc.hugetlb=1");
}

void
virtHptDryRunAmendDomain(xmlNode *copy, xmlNode *node G_GNUC_UNUSED, VirtHptDryRunContext *context)
{
    setAttribute(copy, "type", context->def->kvm ? "kvm" : "qemu");
    xmlNewChild(copy, NULL, BAD_CAST "name", BAD_CAST VIRT_HPT_DRY_RUN_NAME);
    setAttribute(xmlNewChild(copy, NULL, BAD_CAST "clock", NULL), "offset", "utc");
    if (!context->def->kvm)
        addLargePages(copy);
}

static xmlNode *
findChild(const xmlNode *parent, const char *name)
{
    return parent ? virtHptXmlChild(parent, name) : NULL;
}

/*
 * The page sizes that a guest may use are a capability of its machine, which the stream holds.  It
 * is a number of the machine type's, or <maxpagesize>; but with KVM QEMU wants RAM in pages of that
 * size, and before pseries-3.0 it took the number from RAM (QEMU 7.2 hw/ppc/spapr_caps.c
 * default_caps_with_cpu(), spapr_check_pagesize()).
 */
static gboolean
checkHugePages(xmlNode *root,
               const char *machine,
               const VirtHptDryRunContext *context,
               GError **error)
{
    xmlNode *pages = findChild(findChild(root, "memoryBacking"), "hugepages");
    xmlNode *limit = findChild(findChild(findChild(root, "features"), "hpt"), "maxpagesize");

    if (!pages || !context->def->kvm || (!limit && !g_str_has_prefix(machine, "pseries-2.")))
        return TRUE;
    return refuseElement(context, pages, error);
}

/* What a domain must have to be one that can be dry-run. */
static gboolean
checkDomain(xmlNode *root, VirtHptDryRunContext *context, GError **error)
{
    xmlNode *os = findChild(findChild(root, "os"), "type");
    g_autofree char *type = virtHptXmlGetAttribute(root, "type");
    g_autofree char *machine = os ? virtHptXmlGetAttribute(os, "machine") : NULL;
    g_autofree char *arch = os ? virtHptXmlGetAttribute(os, "arch") : NULL;

    if (!type)
        return refuse(context, root, _("a <domain> without a type"), error);
    if (!machine || !g_str_has_prefix(machine, "pseries"))
        return refuseValue(context, os ? os : root, "machine", machine ? machine : "", error);
    if (!arch)
        return refuseValue(context, os, "arch", "", error);
    context->def->kvm = g_str_equal(type, "kvm") && context->host->kvm;
    context->def->fallback = g_str_equal(type, "kvm") && !context->host->kvm;
    return checkHugePages(root, machine, context, error);
}

static char *
formatDocument(xmlDoc *doc)
{
    g_autoptr(xmlBuffer) buffer = xmlBufferCreate();
    g_autoptr(xmlSaveCtxt) save =
        xmlSaveToBuffer(buffer, "UTF-8", XML_SAVE_NO_DECL | XML_SAVE_FORMAT);

    xmlSaveDoc(save, doc);
    xmlSaveFlush(save);
    return g_strndup((const char *)xmlBufferContent(buffer), (gsize)xmlBufferLength(buffer));
}

/**
 * virtHptDryRunDefNew:
 * @xml: a domain's XML, untrusted; need not end in NUL
 * @length: bytes
 * @origin: where it comes from, for messages, or %NULL
 * @host: what the host of the dry run has
 * @error: set on failure: %VIRT_HPT_ERROR_UNSUPPORTED names what a dry run does not know,
 *   %VIRT_HPT_ERROR_MALFORMED, %VIRT_HPT_ERROR_LIMIT
 *
 * Builds the XML of a domain that takes the guest's machine state, and needs no resource of the
 * host's but an empty file for each disk.
 *
 * Returns: (transfer full): the dry run's XML and what it needs, or %NULL
 */
VirtHptDryRunDef *
virtHptDryRunDefNew(const char *xml,
                    gsize length,
                    const char *origin,
                    const VirtHptDryRunHost *host,
                    GError **error)
{
    g_autoptr(VirtHptDryRunDef) def = g_new0(VirtHptDryRunDef, 1);
    g_autoptr(xmlDoc) doc = virtHptXmlParseDomain(xml, length, origin, error);
    g_autoptr(xmlDoc) built = NULL;
    VirtHptDryRunContext context = {.origin = origin, .host = host, .def = def};
    xmlNode *domain;
    xmlNode *root;

    if (!doc)
        return NULL;
    root = xmlDocGetRootElement(doc);
    if (root->ns || !xmlStrEqual(root->name, BAD_CAST virtHptDryRunDomain.name)) {
        g_autofree char *quoted = virtHptXmlQuote((const char *)root->name);

        virtHptXmlSetError(error, VIRT_HPT_ERROR_MALFORMED, origin, xmlGetLineNo(root),
                           _("element <%1$s>: expected <domain>"), quoted);
        return NULL;
    }
    built = xmlNewDoc(BAD_CAST "1.0");
    domain = xmlNewDocNode(built, NULL, root->name, NULL);
    xmlDocSetRootElement(built, domain);
    if (!checkDomain(root, &context, error) ||
        !copyElement(domain, root, &virtHptDryRunDomain, &context, error))
        return NULL;
    if (def->disks > VIRT_HPT_DRY_RUN_DISKS_MAX) {
        virtHptXmlSetError(error, VIRT_HPT_ERROR_LIMIT, origin, 0,
                           _("%1$u disks: a dry run takes at most %2$u"), def->disks,
                           VIRT_HPT_DRY_RUN_DISKS_MAX);
        return NULL;
    }
    def->xml = formatDocument(built);
    return g_steal_pointer(&def);
}
