/*
 * xml_read.c: elements and attributes of a tree that a schema has approved
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What the schema has made sure of is checked again where that is free: no caller has to trust
 * two files at once.
 */

#include "config.h"

#include <inttypes.h>

#include <glib/gi18n-lib.h>

#include "conf/xml_read.h"

static gboolean
virtHptXmlIsElement(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && g_str_equal((const char *)node->name, name);
}

/**
 * virtHptXmlNext:
 * @node: (nullable): where to begin
 * @name: an element's name
 *
 * Returns: (nullable): the first element @name among @node and the siblings behind it
 */
xmlNode *
virtHptXmlNext(xmlNode *node, const char *name)
{
    while (node && !virtHptXmlIsElement(node, name))
        node = node->next;
    return node;
}

/**
 * virtHptXmlChild:
 * @parent: an element
 * @name: an element's name
 *
 * Returns: (nullable): the first child @name of @parent
 */
xmlNode *
virtHptXmlChild(const xmlNode *parent, const char *name)
{
    return virtHptXmlNext(parent->children, name);
}

/**
 * virtHptXmlRequire:
 * @parent: an element
 * @name: name of a child that the schema demands
 * @origin: where the document comes from, for messages, or %NULL
 * @error: return location for an error
 *
 * Returns: the first child @name of @parent, or %NULL with %VIRT_HPT_ERROR_MALFORMED set
 */
xmlNode *
virtHptXmlRequire(const xmlNode *parent, const char *name, const char *origin, GError **error)
{
    xmlNode *child = virtHptXmlChild(parent, name);

    if (!child) {
        virtHptXmlSetMalformed(error, origin, parent, _("no <%1$s> in <%2$s>"), name,
                               (const char *)parent->name);
    }
    return child;
}

/**
 * virtHptXmlDrop:
 * @parent: an element
 * @name: name of a child that it may have, which goes
 */
void
virtHptXmlDrop(xmlNode *parent, const char *name)
{
    xmlNode *child = virtHptXmlChild(parent, name);

    if (child) {
        xmlUnlinkNode(child);
        xmlFreeNode(child);
    }
}

/**
 * virtHptXmlFindDisk:
 * @devices: a domain's <devices>
 * @target: a disk, as the domain's XML names it ('vda')
 *
 * Returns: (nullable): the disk
 */
xmlNode *
virtHptXmlFindDisk(const xmlNode *devices, const char *target)
{
    for (xmlNode *disk = virtHptXmlChild(devices, "disk"); disk;
         disk = virtHptXmlNext(disk->next, "disk")) {
        xmlNode *node = virtHptXmlChild(disk, "target");
        g_autofree char *name = node ? virtHptXmlGetAttribute(node, "dev") : NULL;

        if (g_strcmp0(name, target) == 0)
            return disk;
    }
    return NULL;
}

/**
 * virtHptXmlGetAttribute:
 * @node: an element
 * @name: an attribute without a namespace
 *
 * Returns: (transfer full) (nullable): its value, or %NULL where there is none
 */
char *
virtHptXmlGetAttribute(xmlNode *node, const char *name)
{
    g_autoptr(xmlChar) value = xmlGetNoNsProp(node, BAD_CAST name);

    return g_strdup((const char *)value);
}

/**
 * virtHptXmlReadText:
 * @node: an element
 * @name: an attribute that holds the name of something
 * @origin: where the document comes from, for messages, or %NULL
 * @text: (out) (transfer full): its value, or %NULL where there is no such attribute
 * @error: return location for an error
 *
 * Returns: %TRUE, or %FALSE with %VIRT_HPT_ERROR_MALFORMED set where the value fails
 *   virtHptXmlCheckText()
 */
gboolean
virtHptXmlReadText(xmlNode *node, const char *name, const char *origin, char **text, GError **error)
{
    g_autofree char *value = virtHptXmlGetAttribute(node, name);
    g_autoptr(GError) local = NULL;

    if (value && !virtHptXmlCheckText(value, name, &local)) {
        virtHptXmlSetMalformed(error, origin, node, "%s", local->message);
        return FALSE;
    }
    *text = g_steal_pointer(&value);
    return TRUE;
}

/**
 * virtHptXmlReadNumber:
 * @node: an element
 * @name: an attribute that must be there, decimal
 * @max: the largest value that may stand there
 * @origin: where the document comes from, for messages, or %NULL
 * @number: (out): its value
 * @error: return location for an error
 *
 * XML Schema lets white space stand around a number; this does not.
 *
 * Returns: %TRUE, or %FALSE with %VIRT_HPT_ERROR_MALFORMED set
 */
gboolean
virtHptXmlReadNumber(xmlNode *node,
                     const char *name,
                     guint64 max,
                     const char *origin,
                     guint64 *number,
                     GError **error)
{
    g_autofree char *value = virtHptXmlGetAttribute(node, name);
    g_autofree char *quoted = NULL;

    if (value && g_ascii_string_to_unsigned(value, 10, 0, max, number, NULL))
        return TRUE;
    quoted = virtHptXmlQuote(value ? value : "");
    virtHptXmlSetMalformed(error, origin, node,
                           _("%1$s='%2$s' in <%3$s>: expected a number of at most %4$" PRIu64),
                           name, quoted, (const char *)node->name, max);
    return FALSE;
}

/**
 * virtHptXmlReadEnum:
 * @node: an element
 * @name: an attribute that must be there
 * @names: (array zero-terminated=1): the values that it may have
 * @origin: where the document comes from, for messages, or %NULL
 * @index: (out): which of @names it has
 * @error: return location for an error
 *
 * Returns: %TRUE, or %FALSE with %VIRT_HPT_ERROR_MALFORMED set
 */
gboolean
virtHptXmlReadEnum(xmlNode *node,
                   const char *name,
                   const char *const *names,
                   const char *origin,
                   guint *index,
                   GError **error)
{
    g_autofree char *value = virtHptXmlGetAttribute(node, name);
    g_autofree char *quoted = NULL;

    for (guint i = 0; value && names[i]; i++) {
        if (g_str_equal(names[i], value)) {
            *index = i;
            return TRUE;
        }
    }
    quoted = virtHptXmlQuote(value ? value : "");
    virtHptXmlSetMalformed(error, origin, node, _("%1$s='%2$s' in <%3$s> is not known"), name,
                           quoted, (const char *)node->name);
    return FALSE;
}
