/*
 * text.c: values as people read them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "config.h"

#include "text.h"

#include <string.h>

/**
 * virtHptTextIsUnsafe:
 * @c: a character
 *
 * Names in an image are whatever its writer put there, and an image may come from anyone.
 *
 * Returns: whether @c could steer a terminal, or reorder or hide what is printed there
 */
gboolean
virtHptTextIsUnsafe(gunichar c)
{
    switch ((int)g_unichar_type(c)) {
    case G_UNICODE_CONTROL:
    case G_UNICODE_FORMAT:
    case G_UNICODE_LINE_SEPARATOR:
    case G_UNICODE_PARAGRAPH_SEPARATOR:
    case G_UNICODE_PRIVATE_USE:
    case G_UNICODE_SURROGATE:
    case G_UNICODE_UNASSIGNED:
        return TRUE;
    default:
        return FALSE;
    }
}

/* Appends the bytes of a character as a shell and a C programmer know them */
static void
appendBytes(GString *out, const char *bytes, gsize length)
{
    for (gsize i = 0; i < length; i++)
        g_string_append_printf(out, "\\x%02x", (guint)(guchar)bytes[i]);
}

/**
 * virtHptTextEscape:
 * @text: (nullable): any bytes
 *
 * Returns: (transfer full): @text as valid UTF-8, safe to print to a terminal: what is not is
 *   shown as \xNN a byte
 */
char *
virtHptTextEscape(const char *text)
{
    GString *out = g_string_new(NULL);
    const char *p = text ? text : "";

    while (*p) {
        gunichar c = g_utf8_get_char_validated(p, -1);

        if (c == (gunichar)-1 || c == (gunichar)-2) {
            appendBytes(out, p, 1);
            p++;
            continue;
        }
        if (virtHptTextIsUnsafe(c))
            appendBytes(out, p, (gsize)(g_utf8_next_char(p) - p));
        else
            g_string_append_unichar(out, c);
        p = g_utf8_next_char(p);
    }
    return g_string_free(out, FALSE);
}

/**
 * virtHptTextXml:
 * @xml: a document in UTF-8
 *
 * XML has no ASCII controls but white space, and may have all others.
 *
 * Returns: (transfer full): the same document, safe to print to a terminal: what is not is a
 *   character reference
 */
char *
virtHptTextXml(const char *xml)
{
    GString *out = g_string_new(NULL);

    for (const char *p = xml; *p; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);

        if (c > 0x7e && virtHptTextIsUnsafe(c))
            g_string_append_printf(out, "&#x%x;", c);
        else
            g_string_append_unichar(out, c);
    }
    return g_string_free(out, FALSE);
}

/**
 * virtHptTextShellQuote:
 * @path: a file name, any bytes
 *
 * Returns: (transfer full): @path as a shell needs it to be typed, printable, and no option;
 *   unchanged where nothing in it is special
 */
char *
virtHptTextShellQuote(const char *path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_@%+=:,./-";
    g_autofree char *operand = path[0] == '-' ? g_strconcat("./", path, NULL) : g_strdup(path);
    g_autofree char *escaped = virtHptTextEscape(operand);
    GString *out;

    if (strspn(operand, plain) == strlen(operand) && *operand)
        return g_steal_pointer(&operand);
    if (g_str_equal(escaped, operand))
        return g_shell_quote(operand);

    /* Only $'...' can name a byte that must not be printed */
    out = g_string_new("$'");
    for (const char *p = operand; *p; p++) {
        if (*p == '\'' || *p == '\\')
            g_string_append_printf(out, "\\%c", *p);
        else if (g_ascii_isprint(*p))
            g_string_append_c(out, *p);
        else
            appendBytes(out, p, 1);
    }
    g_string_append_c(out, '\'');
    return g_string_free(out, FALSE);
}

/**
 * virtHptTextWidth:
 * @text: UTF-8
 *
 * Returns: columns of a terminal that @text takes
 */
guint
virtHptTextWidth(const char *text)
{
    guint width = 0;

    for (const char *p = text; *p; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);

        if (!g_unichar_iszerowidth(c))
            width += g_unichar_iswide(c) ? 2 : 1;
    }
    return width;
}

/**
 * virtHptTextSize:
 * @bytes: a size in bytes
 *
 * Returns: (transfer full): @bytes in the largest binary unit: as an integer where it is one, else
 *   with three significant digits
 */
char *
virtHptTextSize(guint64 bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    guint unit = 0;
    double value;

    while (unit + 1 < G_N_ELEMENTS(units) && bytes >> (10 * (unit + 1)))
        unit++;
    if ((bytes & ((G_GUINT64_CONSTANT(1) << (10 * unit)) - 1)) == 0)
        return g_strdup_printf("%llu %s", (unsigned long long)(bytes >> (10 * unit)), units[unit]);

    value = (double)bytes / (double)(G_GUINT64_CONSTANT(1) << (10 * unit));
    return g_strdup_printf("%.*f %s",
                           value < 9.995   ? 2
                           : value < 99.95 ? 1
                                           : 0,
                           value, units[unit]);
}

/**
 * virtHptTextPageSize:
 * @shift: log2 of a page size in bytes
 *
 * Returns: (transfer full): '4K', '64K', '16M', '16G'
 */
char *
virtHptTextPageSize(guint shift)
{
    static const char units[] = {'B', 'K', 'M', 'G', 'T', 'P'};
    guint unit = MIN(shift / 10, (guint)G_N_ELEMENTS(units) - 1);

    g_return_val_if_fail(shift < 64, g_strdup("?"));
    return g_strdup_printf("%llu%c", 1ULL << (shift - unit * 10), units[unit]);
}

/**
 * virtHptTextTime:
 * @seconds: since the epoch
 *
 * Returns: (transfer full): date and time of day here
 */
char *
virtHptTextTime(gint64 seconds)
{
    g_autoptr(GDateTime) when = g_date_time_new_from_unix_local(seconds);
    char *text = when ? g_date_time_format(when, "%Y-%m-%d %H:%M:%S %Z") : NULL;

    /* A record may say anything: GDateTime ends with the year 9999 */
    return text ? text : g_strdup_printf("@%lld", (long long)seconds);
}
