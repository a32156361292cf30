/*
 * xml_util.h: libxml2 with hostile input in mind
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>
#include <libxml/parser.h>
#include <libxml/relaxng.h>
#include <libxml/SAX2.h>
#include <libxml/tree.h>
#include <libxml/xmlsave.h>

#include "libvirt-hpt/htab_error.h"

G_BEGIN_DECLS

/* The most nodes a document may have, attributes and end tags among them: bounds the memory of its
 * tree */
#define VIRT_HPT_XML_NODES_MAX 1048576

/* The same for the XML of a domain: one with 2000 disks has a third of it.  And its most bytes:
 * what the header of a save image may hold */
#define VIRT_HPT_XML_DOMAIN_NODES_MAX 131072
#define VIRT_HPT_XML_DOMAIN_MAX ((gsize)16 * 1024 * 1024)

/* The most attributes an element may have: libxml2 before 2.12 compares each with each */
#define VIRT_HPT_XML_ATTRIBUTES_MAX 64

/* The most namespaces a document may declare: libxml2 walks through those in scope to look one up
 */
#define VIRT_HPT_XML_NAMESPACES_MAX 128

/* What libxml2 hands to a structured error handler */
#if LIBXML_VERSION >= 21200
typedef const xmlError VirtHptXmlError;
#else
typedef xmlError VirtHptXmlError;
#endif

xmlDoc *virtHptXmlParse(const char *xml,
                        gsize length,
                        gsize maxLength,
                        const char *origin,
                        GError **error);
xmlDoc *virtHptXmlParseDomain(const char *xml, gsize length, const char *origin, GError **error);
char *virtHptXmlFormatNode(xmlNode *node, GError **error);

char *virtHptXmlQuote(const char *text);
gboolean virtHptXmlCheckText(const char *text, const char *what, GError **error);

void virtHptXmlSetError(GError **error,
                        VirtHptError code,
                        const char *origin,
                        long line,
                        const char *format,
                        ...) G_GNUC_PRINTF(5, 6);

/* xmlFree is a variable, which the macros below cannot take */
static inline void
virtHptXmlStringFree(xmlChar *string)
{
    xmlFree(string);
}

/* The handler of xmlSaveToBuffer() writes what it still holds when it is closed */
static inline void
virtHptXmlSaveFree(xmlSaveCtxt *save)
{
    xmlSaveClose(save);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlBuffer, xmlBufferFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlChar, virtHptXmlStringFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlDoc, xmlFreeDoc)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlParserCtxt, xmlFreeParserCtxt)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlRelaxNG, xmlRelaxNGFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlRelaxNGParserCtxt, xmlRelaxNGFreeParserCtxt)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlRelaxNGValidCtxt, xmlRelaxNGFreeValidCtxt)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlSaveCtxt, virtHptXmlSaveFree)

G_END_DECLS
