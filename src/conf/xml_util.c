/*
 * xml_util.c: libxml2 with hostile input in mind
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A document comes from a directory that anybody may have filled, and is read by root.  So it may
 * name nothing outside itself, and what it costs in memory and time is bounded before libxml2
 * sees a byte of it:
 *
 *  - UTF-8 whatever its declaration says, so that no converter runs and a scan of the bytes
 *    sees the same markup as the parser;
 *  - no DOCTYPE: without one there are no entities but the five of XML, and no default values;
 *  - no more nodes and no more different names than documents of ours have, and texts are not
 *    interned (XML_PARSE_NODICT);
 *  - no XInclude, no network, no catalogues: the options that would use them are not set;
 *  - XML_PARSE_HUGE stays off: the parser refuses elements nested deeper than 256 and texts above
 *    10 MB.  libxml2's validator, serialiser and xmlFreeDoc() recurse with the depth of the tree:
 *    that limit is what bounds their stack.
 */

#include "config.h"

#include <string.h>

#include <glib/gi18n-lib.h>

#include "conf/xml_util.h"

/* The longest piece of input that a message quotes, in bytes */
#define QUOTE_MAX 160

/* The most bytes that all different names may have, roughly: before libxml2 2.12 the table of names
 * stops to grow at 16384 buckets, so that each further one makes all lookups slower */
#define NAMES_MAX ((gsize)256 * 1024)

/* What happened in one run of the parser, hung on its context */
typedef struct {
    gboolean doctype;
    long line;
    char *message;
} ParseState;

/**
 * virtHptXmlQuote:
 * @text: text of unknown origin, UTF-8 or not
 *
 * Returns: (transfer full): a copy that is fit for a message: valid UTF-8, of bounded length,
 *   without trailing white space, and without control characters, which a terminal might obey
 */
char *
virtHptXmlQuote(const char *text)
{
    g_autofree char *head = g_strndup(text, QUOTE_MAX);
    g_autofree char *valid = NULL;
    GString *quoted = g_string_new(NULL);

    g_strchomp(head);
    valid = g_utf8_make_valid(head, -1);
    for (const char *p = valid; *p; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);

        g_string_append_unichar(quoted, g_unichar_iscntrl(c) ? '?' : c);
    }
    if (strlen(text) > QUOTE_MAX)
        g_string_append(quoted, "...");
    return g_string_free(quoted, FALSE);
}

/**
 * virtHptXmlSetError:
 * @error: return location for an error
 * @code: of the domain %VIRT_HPT_ERROR
 * @origin: where the document comes from, as a file name, or %NULL
 * @line: line in it, counted from 1; 0: none in particular
 * @format: printf format of the message
 * @...: its arguments
 *
 * Sets @error to "origin:line: message".
 */
void
virtHptXmlSetError(GError **error,
                   VirtHptError code,
                   const char *origin,
                   long line,
                   const char *format,
                   ...)
{
    g_autofree char *message = NULL;
    va_list args;

    va_start(args, format);
    message = g_strdup_vprintf(format, args);
    va_end(args);

    if (!origin)
        origin = "(hptsnapshot)";
    if (line > 0) {
        g_set_error(error, VIRT_HPT_ERROR, (int)code, "%s:%ld: %s", origin, line, message);
    } else {
        g_set_error(error, VIRT_HPT_ERROR, (int)code, "%s: %s", origin, message);
    }
}

/**
 * virtHptXmlCheckText:
 * @text: a name
 * @what: what it is, for the message, translated
 * @error: return location for an error
 *
 * XML cannot hold most control characters, and changes others (a line break in an attribute).
 * No name of ours has a use for any of them, so all are refused.
 *
 * Returns: whether @text is UTF-8 and free of control characters and noncharacters; else
 *   %VIRT_HPT_ERROR_FAILED is set
 */
gboolean
virtHptXmlCheckText(const char *text, const char *what, GError **error)
{
    if (!g_utf8_validate(text, -1, NULL)) {
        g_autofree char *quoted = virtHptXmlQuote(text);

        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                    _("%1$s '%2$s' is not UTF-8: XML cannot hold it"), what, quoted);
        return FALSE;
    }
    for (const char *p = text; *p; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);

        if (g_unichar_iscntrl(c) || c == 0xfffe || c == 0xffff) {
            g_autofree char *quoted = virtHptXmlQuote(text);

            g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                        _("%1$s '%2$s' contains the character U+%3$04X, which a descriptor cannot "
                          "hold"),
                        what, quoted, (guint)c);
            return FALSE;
        }
    }
    return TRUE;
}

/* Bounds nodes and attributes.  Markup begins at '<' and nowhere else, so each '<' starts the
 * count of a tag anew and no tag can hide, neither in a comment nor behind a quote; what is counted
 * inside a comment or CDATA is counted too much, never too little. */
static gboolean
virtHptXmlCheckCost(const char *xml,
                    gsize length,
                    guint nodesMax,
                    const char *origin,
                    GError **error)
{
    guint64 nodes = 0;
    guint attributes = 0;
    guint namespaces = 0;
    gboolean tag = FALSE;
    char quote = '\0';
    long line = 1;

    for (gsize i = 0; i < length; i++) {
        char c = xml[i];

        if (c == '\n')
            line++;
        if (c == '<') {
            tag = i + 1 < length && !strchr("!?/", xml[i + 1]);
            quote = '\0';
            attributes = 0;
            nodes++;
        } else if (!tag) {
            continue;
        } else if (quote) {
            if (c == quote)
                quote = '\0';
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '>') {
            tag = FALSE;
        } else if (c == '=') {
            attributes++;
            nodes++;
        } else if (c == 'x' && length - i >= 5 && memcmp(xml + i, "xmlns", 5) == 0) {
            namespaces++;
        }

        if (attributes > VIRT_HPT_XML_ATTRIBUTES_MAX) {
            virtHptXmlSetError(error, VIRT_HPT_ERROR_LIMIT, origin, line,
                               _("an element has more than %1$d attributes"),
                               VIRT_HPT_XML_ATTRIBUTES_MAX);
            return FALSE;
        }
        if (namespaces > VIRT_HPT_XML_NAMESPACES_MAX) {
            virtHptXmlSetError(error, VIRT_HPT_ERROR_LIMIT, origin, line,
                               _("the document declares more than %1$d namespaces"),
                               VIRT_HPT_XML_NAMESPACES_MAX);
            return FALSE;
        }
        if (nodes > nodesMax) {
            virtHptXmlSetError(error, VIRT_HPT_ERROR_LIMIT, origin, line,
                               _("the document has more than %1$u nodes"), nodesMax);
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean
virtHptXmlCheckBytes(const char *xml,
                     gsize length,
                     gsize maxLength,
                     guint nodesMax,
                     const char *origin,
                     GError **error)
{
    const char *end = NULL;

    if (length > maxLength) {
        virtHptXmlSetError(error, VIRT_HPT_ERROR_LIMIT, origin, 0,
                           _("the document has %1$zu bytes, at most %2$zu are read"), length,
                           maxLength);
        return FALSE;
    }
    if (length == 0) {
        virtHptXmlSetError(error, VIRT_HPT_ERROR_MALFORMED, origin, 0, _("the document is empty"));
        return FALSE;
    }
    if (!g_utf8_validate(xml, (gssize)length, &end)) {
        virtHptXmlSetError(error, VIRT_HPT_ERROR_MALFORMED, origin, 0,
                           _("byte 0x%1$02x at offset %2$zu: expected a text in UTF-8"),
                           (guint)(guint8)*end, (gsize)(end - xml));
        return FALSE;
    }
    return virtHptXmlCheckCost(xml, length, nodesMax, origin, error);
}

/* Keeps the first error: those that follow are mostly its consequences */
static void
virtHptXmlNoteError(void *opaque, VirtHptXmlError *err)
{
    const xmlParserCtxt *context = opaque;
    ParseState *state = context->_private;

    if (state->message || err->level < XML_ERR_ERROR)
        return;
    state->line = err->line;
    state->message = virtHptXmlQuote(err->message ? err->message : "");
}

/* Stops at the name of the document type, before anything is declared in it */
static void
virtHptXmlRefuseDoctype(void *opaque,
                        const xmlChar *name G_GNUC_UNUSED,
                        const xmlChar *publicId G_GNUC_UNUSED,
                        const xmlChar *systemId G_GNUC_UNUSED)
{
    xmlParserCtxt *context = opaque;
    ParseState *state = context->_private;

    state->doctype = TRUE;
    state->line = xmlSAX2GetLineNumber(context);
    xmlStopParser(context);
}

/* Returns the tree of a document whose cost was found to be bounded, or NULL with @error set */
static xmlDoc *
virtHptXmlParseChecked(const char *xml, gsize length, const char *origin, GError **error)
{
    /* XML_PARSE_NOERROR would silence the handler too in libxml2 2.13; with the handler
     * nothing is printed */
    const int options = XML_PARSE_NONET | XML_PARSE_NOWARNING | XML_PARSE_IGNORE_ENC |
                        XML_PARSE_BIG_LINES | XML_PARSE_NODICT;
    g_autoptr(xmlParserCtxt) context = NULL;
    g_autoptr(xmlDoc) doc = NULL;
    g_autofree char *message = NULL;
    ParseState state = {0};

    xmlInitParser();
    context = xmlNewParserCtxt();
    if (!context)
        g_error("%s: out of memory", G_STRLOC);
    context->_private = &state;
    context->sax->serror = virtHptXmlNoteError;
    context->sax->internalSubset = virtHptXmlRefuseDoctype;
    xmlDictSetLimit(context->dict, NAMES_MAX);

    doc = xmlCtxtReadMemory(context, xml, (int)length, NULL, "UTF-8", options);
    context->_private = NULL;
    message = g_steal_pointer(&state.message);

    if (state.doctype || (doc && (doc->intSubset || doc->extSubset))) {
        virtHptXmlSetError(error, VIRT_HPT_ERROR_MALFORMED, origin, state.line,
                           _("the document has a document type declaration: expected none"));
        return NULL;
    }
    if ((!doc || message) && xmlDictGetUsage(context->dict) > NAMES_MAX) {
        virtHptXmlSetError(error, VIRT_HPT_ERROR_LIMIT, origin, state.line,
                           _("the names in the document have more than %1$d bytes"),
                           (int)NAMES_MAX);
        return NULL;
    }
    /* An unbound namespace prefix is an error that leaves a tree */
    if (!doc || message || !xmlDocGetRootElement(doc)) {
        virtHptXmlSetError(error, VIRT_HPT_ERROR_MALFORMED, origin, state.line,
                           _("not well-formed XML: %1$s"), message ? message : _("unknown error"));
        return NULL;
    }
    return g_steal_pointer(&doc);
}

/**
 * virtHptXmlParse:
 * @xml: the document; need not end in NUL
 * @length: bytes
 * @maxLength: the most bytes that are read
 * @origin: where it comes from, for messages, or %NULL
 * @error: return location for an error
 *
 * Parses an untrusted document: see the top of this file.  Errors are %VIRT_HPT_ERROR_MALFORMED and
 * %VIRT_HPT_ERROR_LIMIT, with the line.  Thread-safe.
 *
 * Returns: (transfer full): the tree, or %NULL with @error set
 */
xmlDoc *
virtHptXmlParse(const char *xml, gsize length, gsize maxLength, const char *origin, GError **error)
{
    if (!virtHptXmlCheckBytes(xml, length, MIN(maxLength, G_MAXINT), VIRT_HPT_XML_NODES_MAX, origin,
                              error))
        return NULL;
    return virtHptXmlParseChecked(xml, length, origin, error);
}

/**
 * virtHptXmlParseDomain:
 * @xml: a domain's XML; need not end in NUL
 * @length: bytes
 * @origin: where it comes from, for messages, or %NULL
 * @error: return location for an error
 *
 * Parses an untrusted document as virtHptXmlParse() does, within the bounds of a domain's XML: some
 * ten megabytes of short elements would otherwise become a tree of hundreds.
 *
 * Returns: (transfer full): the tree, or %NULL with @error set
 */
xmlDoc *
virtHptXmlParseDomain(const char *xml, gsize length, const char *origin, GError **error)
{
    if (!virtHptXmlCheckBytes(xml, length, VIRT_HPT_XML_DOMAIN_MAX, VIRT_HPT_XML_DOMAIN_NODES_MAX,
                              origin, error))
        return NULL;
    return virtHptXmlParseChecked(xml, length, origin, error);
}

/**
 * virtHptXmlFormatNode:
 * @node: an element
 * @error: return location for an error
 *
 * Returns: (transfer full): @node and what is in it as XML in UTF-8, as it stands in the tree,
 *   without a declaration, or %NULL with %VIRT_HPT_ERROR_FAILED set
 */
char *
virtHptXmlFormatNode(xmlNode *node, GError **error)
{
    g_autoptr(xmlBuffer) buffer = xmlBufferCreate();
    g_autoptr(xmlDoc) doc = xmlNewDoc(BAD_CAST "1.0");
    gboolean saved = FALSE;

    /* A copy into a document of its own carries the namespaces that ancestors declare */
    if (buffer && doc) {
        xmlNode *copy = xmlDocCopyNode(node, doc, 1);

        if (copy) {
            g_autoptr(xmlSaveCtxt) save = xmlSaveToBuffer(buffer, "UTF-8", XML_SAVE_NO_DECL);

            xmlDocSetRootElement(doc, copy);
            saved = save && xmlSaveTree(save, copy) >= 0;
        }
    }
    if (!saved) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                    _("cannot serialise the element <%1$s>"), (const char *)node->name);
        return NULL;
    }
    return g_strndup((const char *)xmlBufferContent(buffer), (gsize)xmlBufferLength(buffer));
}
