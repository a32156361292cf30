/*
 * json.c: --json output
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "config.h"

#include "json.h"

#include "text.h"

/**
 * virtHptJsonNew:
 *
 * Returns: (transfer full): a builder within its outermost object, which has its 'schema'
 */
JsonBuilder *
virtHptJsonNew(void)
{
    JsonBuilder *json = json_builder_new();

    json_builder_begin_object(json);
    virtHptJsonAddUint(json, "schema", VIRT_HPT_JSON_SCHEMA);
    return json;
}

/*
 * json-glib 1.6 leaves U+001F as it is, which no JSON parser takes, and a terminal obeys C1
 * controls too.  Outside of strings the generator writes ASCII without controls, so whatever is
 * unsafe is within one, where it may be escaped.
 */
static void
printEscaped(VirtHptOutput *out, const char *text)
{
    const char *plain = text;

    for (const char *p = text; *p;) {
        gunichar c = g_utf8_get_char(p);
        const char *next = g_utf8_next_char(p);

        if (virtHptTextIsUnsafe(c)) {
            virtHptOutputWrite(out, plain, (gsize)(p - plain));
            if (c > 0xffff) {
                c -= 0x10000;
                virtHptOutputPrintf(out, "\\u%04x\\u%04x", 0xd800 + (c >> 10),
                                    0xdc00 + (c & 0x3ff));
            } else {
                virtHptOutputPrintf(out, "\\u%04x", c);
            }
            plain = next;
        }
        p = next;
    }
    virtHptOutputPuts(out, plain);
}

/**
 * virtHptJsonPrint:
 * @json: a builder within its outermost object
 * @out: where to print
 *
 * Closes the outermost object and prints it as one line.
 */
void
virtHptJsonPrint(JsonBuilder *json, VirtHptOutput *out)
{
    g_autoptr(JsonGenerator) generator = json_generator_new();
    g_autoptr(JsonNode) root = NULL;
    g_autofree char *text = NULL;

    json_builder_end_object(json);
    root = json_builder_get_root(json);
    json_generator_set_root(generator, root);
    text = json_generator_to_data(generator, NULL);
    printEscaped(out, text);
    virtHptOutputPuts(out, "\n");
}

/**
 * virtHptJsonAddString:
 * @json: a builder
 * @key: (nullable): name of the member; %NULL within an array
 * @value: (nullable): any bytes; what is not UTF-8 becomes U+FFFD
 */
void
virtHptJsonAddString(JsonBuilder *json, const char *key, const char *value)
{
    g_autofree char *valid = value ? g_utf8_make_valid(value, -1) : NULL;

    if (key)
        json_builder_set_member_name(json, key);
    if (valid)
        json_builder_add_string_value(json, valid);
    else
        json_builder_add_null_value(json);
}

/**
 * virtHptJsonAddUint:
 * @json: a builder
 * @key: name of the member
 * @value: a number; what JSON's readers cannot hold is given as the largest that they can
 */
void
virtHptJsonAddUint(JsonBuilder *json, const char *key, guint64 value)
{
    json_builder_set_member_name(json, key);
    json_builder_add_int_value(json, (gint64)MIN(value, (guint64)G_MAXINT64));
}

/**
 * virtHptJsonAddKnown:
 * @json: a builder
 * @key: name of the member
 * @value: a number, or 0 where it is not known
 */
void
virtHptJsonAddKnown(JsonBuilder *json, const char *key, guint64 value)
{
    if (value)
        virtHptJsonAddUint(json, key, value);
    else
        virtHptJsonAddNull(json, key);
}

/**
 * virtHptJsonAddBool:
 * @json: a builder
 * @key: name of the member
 * @value: a boolean
 */
void
virtHptJsonAddBool(JsonBuilder *json, const char *key, gboolean value)
{
    json_builder_set_member_name(json, key);
    json_builder_add_boolean_value(json, value);
}

/**
 * virtHptJsonAddHex:
 * @json: a builder
 * @key: name of the member
 * @value: a doubleword, given as a string of 16 hexadecimal digits
 */
void
virtHptJsonAddHex(JsonBuilder *json, const char *key, guint64 value)
{
    g_autofree char *text = g_strdup_printf("%016llx", (unsigned long long)value);

    virtHptJsonAddString(json, key, text);
}

/**
 * virtHptJsonAddNull:
 * @json: a builder
 * @key: name of the member
 */
void
virtHptJsonAddNull(JsonBuilder *json, const char *key)
{
    json_builder_set_member_name(json, key);
    json_builder_add_null_value(json);
}

/**
 * virtHptJsonBeginObject:
 * @json: a builder
 * @key: (nullable): name of the member; %NULL within an array
 */
void
virtHptJsonBeginObject(JsonBuilder *json, const char *key)
{
    if (key)
        json_builder_set_member_name(json, key);
    json_builder_begin_object(json);
}

/**
 * virtHptJsonBeginArray:
 * @json: a builder
 * @key: name of the member
 */
void
virtHptJsonBeginArray(JsonBuilder *json, const char *key)
{
    json_builder_set_member_name(json, key);
    json_builder_begin_array(json);
}
