/*
 * dryrun_testutils.c: what must hold for every dry run's XML
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <string.h>

#include "conf/xml_util.h"
#include "dryrun_testutils.h"

#define DISK_PREFIX VIRT_HPT_DRY_RUN_DIR "/disk-"

/* All that there may be of QEMU's namespace: the one element that is the dry run's own. */
#define LARGE_PAGES                                                                                \
    "  <qemu:commandline>\n"                                                                       \
    "    <qemu:env name=\"GLIBC_TUNABLES\" value=\"glibc.malloc.hugetlb=1\"/>\n"                   \
    "  </qemu:commandline>\n"

static char *
withoutLargePages(const VirtHptDryRunDef *def)
{
    g_auto(GStrv) parts = g_strsplit(def->xml, LARGE_PAGES, 2);

    g_assert_cmpuint(g_strv_length(parts), ==, def->kvm ? 1 : 2);
    return g_strjoinv("", parts);
}

/* Whether a value can make nobody open anything but a disk of the run's own. */
static gboolean
isHarmless(const xmlNode *node, const char *value)
{
    const char *number = value + strlen(DISK_PREFIX);

    if (!strchr(value, '/'))
        return TRUE;
    if (xmlStrEqual(node->name, BAD_CAST "emulator"))
        return g_str_has_prefix(value, "/usr/bin/") || g_str_equal(value, "/usr/libexec/qemu-kvm");
    return xmlStrEqual(node->name, BAD_CAST "source") && g_str_has_prefix(value, DISK_PREFIX) &&
           *number && strspn(number, "0123456789") == strlen(number);
}

static void
checkNode(const xmlNode *node)
{
    g_assert_null(node->ns);
    for (const xmlAttr *attr = node->properties; attr; attr = attr->next) {
        g_autoptr(xmlChar) value = xmlNodeListGetString(node->doc, attr->children, 1);

        g_assert_null(attr->ns);
        g_assert_true(!value || isHarmless(node, (const char *)value));
    }
}

/* Asserts that all paths in the XML are the run's own.  Walks without recursion. */
void
testDryRunNamesNoPath(const VirtHptDryRunDef *def)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *xml = withoutLargePages(def);
    g_autoptr(xmlDoc) doc = virtHptXmlParse(xml, strlen(xml), G_MAXINT, "dry run", &error);
    const xmlNode *node;

    g_assert_no_error(error);
    node = xmlDocGetRootElement(doc);
    while (node) {
        if (node->type == XML_ELEMENT_NODE)
            checkNode(node);
        else
            g_assert_true(node->type == XML_TEXT_NODE &&
                          isHarmless(node->parent, (const char *)node->content));
        if (node->children) {
            node = node->children;
            continue;
        }
        while (node && !node->next)
            node = node->parent && node->parent->type == XML_ELEMENT_NODE ? node->parent : NULL;
        node = node ? node->next : NULL;
    }
}

/* Asserts that the dry run of a dry run is that dry run. */
void
testDryRunIsItsOwn(const VirtHptDryRunDef *def, const VirtHptDryRunHost *host)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *xml = withoutLargePages(def);
    g_autoptr(VirtHptDryRunDef) again =
        virtHptDryRunDefNew(xml, strlen(xml), "dry run", host, &error);
    g_autoptr(VirtHptDryRunDef) once = NULL;
    g_autofree char *againXml = NULL;

    g_assert_no_error(error);
    g_assert_cmpuint(again->disks, ==, def->disks);
    /* Elements may change places once */
    againXml = withoutLargePages(again);
    once = virtHptDryRunDefNew(againXml, strlen(againXml), "dry run", host, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(strlen(again->xml), ==, strlen(def->xml));
    g_assert_cmpstr(once->xml, ==, again->xml);
}
