/*
 * qemu_json.c: JSON from a process that may be in an attacker's hands
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * json-glib before 1.10 calls itself for each level of nesting, however many there are, and its
 * scanner takes more than JSON: comments, and strings in single quotes.  So the text is looked
 * through first, by rules that are stricter than both.
 */

#include "config.h"

#include <string.h>

#include "qemu/qemu_json.h"

/* What may stand outside of strings, besides brackets: numbers, true, false, null, separators */
#define PLAIN " \t\r\n:,+-.0123456789Eaeflnrstu"

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

/* Whether @text consists of JSON's tokens, and nests no deeper than it may. */
static gboolean
isFlatEnough(const char *text, gsize length)
{
    const char *end = text + length;
    const char *p = text;
    guint depth = 0;

    while (p && p < end) {
        switch (*p) {
        case '"':
            p = skipString(p, end);
            continue;
        case '{':
        case '[':
            if (depth++ == VIRT_HPT_JSON_DEPTH_MAX)
                return FALSE;
            break;
        case '}':
        case ']':
            if (depth-- == 0)
                return FALSE;
            break;
        default:
            if (*p == '\0' || !strchr(PLAIN, *p))
                return FALSE;
            break;
        }
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
