/*
 * qemu_json.c: JSON from a process that may be in an attacker's hands
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * json-glib before 1.10 calls itself for each level of nesting, however many there are, and its
 * scanner takes more than JSON: comments, and strings in single quotes.  Any version takes several
 * values, and 1.10 nests the later ones deeper than they are.  So the text is looked through first,
 * by rules that are stricter than all.
 */

#include "config.h"

#include <string.h>

#include "qemu/qemu_json.h"

/* What may stand outside of strings, besides brackets: numbers, true, false, null, separators */
#define SPACE " \t\r\n"
#define PLAIN SPACE ":,+-.0123456789Eaeflnrstu"

/* The byte behind a string that begins at @p, or %NULL where it has no end. */
static const char *
skipString(const char *p, const char *end)
{
    for (p++; p < end; p++) {
        if (*p == '"')
            return p + 1;
        if (*p == '\\')
            p++;
    }
    return NULL;
}

/* Whether @text consists of JSON's tokens, nests no deeper than it may, and has nothing beside an
 * array or object. */
static gboolean
isFlatEnough(const char *text, gsize length)
{
    const char *end = text + length;
    const char *p = text;
    guint depth = 0;
    gboolean begun = FALSE;
    gboolean ended = FALSE;

    while (p && p < end) {
        if (ended && !strchr(SPACE, *p))
            return FALSE;
        switch (*p) {
        case '"':
            begun = TRUE;
            p = skipString(p, end);
            continue;
        case '{':
        case '[':
            if (depth == VIRT_HPT_JSON_DEPTH_MAX || (depth == 0 && begun))
                return FALSE;
            depth++;
            break;
        case '}':
        case ']':
            if (depth-- == 0)
                return FALSE;
            ended = depth == 0;
            break;
        default:
            if (*p == '\0' || !strchr(PLAIN, *p))
                return FALSE;
            break;
        }
        begun = begun || !strchr(SPACE, *p);
        p++;
    }
    return p != NULL && depth == 0;
}

/**
 * virtHptJsonParse:
 * @text: one JSON value, untrusted; need not end in NUL
 * @length: bytes; the caller bounds them
 *
 * Parses what nests no deeper than %VIRT_HPT_JSON_DEPTH_MAX.
 *
 * Returns: (transfer full): the value, or %NULL for what is none
 */
JsonNode *
virtHptJsonParse(const char *text, gsize length)
{
    g_autoptr(JsonParser) parser = json_parser_new();

    if (length == 0 || length > G_MAXINT || !isFlatEnough(text, length) ||
        !json_parser_load_from_data(parser, text, (gssize)length, NULL))
        return NULL;
    return json_parser_steal_root(parser);
}
