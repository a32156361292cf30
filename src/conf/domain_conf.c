/*
 * domain_conf.c: what a domain's XML says that bears on its HPT
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <glib/gi18n-lib.h>

#include "conf/domain_conf.h"
#include "conf/xml_read.h"

/* QEMU's machines have at most this many slots for memory (docs/memory-hotplug.txt) */
#define MEMORY_DEVICES_MAX 256

void
virtHptDomainDefFree(VirtHptDomainDef *def)
{
    if (!def)
        return;
    g_free(def->type);
    g_free(def->uuid);
    if (def->memory)
        g_array_unref(def->memory);
    g_free(def);
}

/* The child @name of an element that may not be there. */
static xmlNode *
child(const xmlNode *parent, const char *name)
{
    return parent ? virtHptXmlChild(parent, name) : NULL;
}

static char *
content(const xmlNode *node)
{
    g_autoptr(xmlChar) text = node ? xmlNodeGetContent(node) : NULL;

    return text ? g_strstrip(g_strdup((const char *)text)) : NULL;
}

/* libvirt's scaled integers (docs/formatdomain.rst) */
static guint64
unitBytes(const char *unit)
{
    static const struct {
        const char *name;
        guint64 bytes;
    } units[] = {
        {"b", 1},
        {"bytes", 1},
        {"KB", 1000},
        {"k", 1 << 10},
        {"KiB", 1 << 10},
        {"MB", 1000000},
        {"M", 1 << 20},
        {"MiB", 1 << 20},
        {"GB", 1000000000},
        {"G", 1 << 30},
        {"GiB", 1 << 30},
        {"TB", 1000000000000},
        {"T", G_GUINT64_CONSTANT(1) << 40},
        {"TiB", G_GUINT64_CONSTANT(1) << 40},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(units); i++) {
        if (g_ascii_strcasecmp(unit, units[i].name) == 0)
            return units[i].bytes;
    }
    return 0;
}

/* A size in bytes, 0 where there is none that can be understood; @unit: where there is none. */
static guint64
sizeOf(xmlNode *node, const char *defaultUnit)
{
    g_autofree char *text = content(node);
    g_autofree char *unit = node ? virtHptXmlGetAttribute(node, "unit") : NULL;
    guint64 value;
    guint64 bytes;

    if (!text || !g_ascii_string_to_unsigned(text, 10, 1, G_MAXINT64, &value, NULL) ||
        !g_uint64_checked_mul(&bytes, value, unitBytes(unit ? unit : defaultUnit)))
        return 0;
    return bytes;
}

/* A size that is no page size says nothing. */
static guint
pageShift(xmlNode *node)
{
    guint64 bytes = sizeOf(node, "b");

    if (bytes == 0 || (bytes & (bytes - 1)) != 0)
        return 0;
    return (guint)g_bit_storage((gulong)bytes) - 1;
}

/* Where a memory device lies; %FALSE if it does not say, as in a definition that was not started */
static gboolean
readMemory(const xmlNode *device, VirtHptRamRange *range)
{
    xmlNode *address = virtHptXmlChild(device, "address");
    g_autofree char *base = address ? virtHptXmlGetAttribute(address, "base") : NULL;
    guint64 end;

    range->length = sizeOf(child(virtHptXmlChild(device, "target"), "size"), "KiB");
    return range->length > 0 && base && g_str_has_prefix(base, "0x") &&
           g_ascii_string_to_unsigned(base + 2, 16, 1, G_MAXINT64, &range->start, NULL) &&
           g_uint64_checked_add(&end, range->start, range->length);
}

static void
readMemoryDevices(VirtHptDomainDef *def, const xmlNode *root)
{
    xmlNode *device = child(child(root, "devices"), "memory");

    def->memory = g_array_new(FALSE, FALSE, sizeof(VirtHptRamRange));
    for (; device; device = virtHptXmlNext(device->next, "memory")) {
        VirtHptRamRange range;

        if (def->memory->len >= MEMORY_DEVICES_MAX || !readMemory(device, &range)) {
            g_array_set_size(def->memory, 0);
            return;
        }
        g_array_append_val(def->memory, range);
    }
    def->memoryKnown = TRUE;
}

/**
 * virtHptDomainDefParse:
 * @xml: a domain's XML, untrusted; need not end in NUL
 * @length: bytes
 * @origin: where it comes from, for messages, or %NULL
 * @error: set on failure: %VIRT_HPT_ERROR_MALFORMED, %VIRT_HPT_ERROR_LIMIT
 *
 * Reads the few facts that matter here.  All else is left to libvirt.
 *
 * Returns: (transfer full): the facts, or %NULL
 */
VirtHptDomainDef *
virtHptDomainDefParse(const char *xml, gsize length, const char *origin, GError **error)
{
    g_autoptr(VirtHptDomainDef) def = g_new0(VirtHptDomainDef, 1);
    g_autoptr(xmlDoc) doc = virtHptXmlParseDomain(xml, length, origin, error);
    g_autofree char *uuid = NULL;
    xmlNode *root;

    if (!doc)
        return NULL;
    root = xmlDocGetRootElement(doc);
    if (!xmlStrEqual(root->name, BAD_CAST "domain")) {
        g_autofree char *quoted = virtHptXmlQuote((const char *)root->name);

        virtHptXmlSetError(error, VIRT_HPT_ERROR_MALFORMED, origin, xmlGetLineNo(root),
                           _("element <%1$s>: expected <domain>"), quoted);
        return NULL;
    }
    def->type = virtHptXmlGetAttribute(root, "type");
    uuid = content(child(root, "uuid"));
    if (uuid && g_uuid_string_is_valid(uuid))
        def->uuid = g_ascii_strdown(uuid, -1);
    def->maxMemory = sizeOf(child(root, "maxMemory"), "KiB");
    readMemoryDevices(def, root);
    def->hptMaxPageShift = pageShift(child(child(child(root, "features"), "hpt"), "maxpagesize"));
    return g_steal_pointer(&def);
}
