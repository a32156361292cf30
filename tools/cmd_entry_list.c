/*
 * cmd_entry_list.c: virt-hpt entry-list: the valid entries of a table, and filters over them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A table of a large guest has tens of millions of entries, so lines are put together by hand in
 * the output's own buffer.  No line holds a string from the image.
 */

#include "config.h"

#include <glib/gi18n.h>
#include <string.h>

#include "entry.h"
#include "options.h"
#include "tool.h"

/* Longer than any line; asserted once a line */
#define LINE_MAX_BYTES 1024

#define VA_BITS 78

typedef struct {
    guint64 first;
    guint64 last;
    gboolean byAddress;
    guint64 addressHigh;
    guint64 addressLow;
    gboolean byRpn;
    guint64 rpn;
    gboolean bolted;
    guint actual;
} Filter;

/* The options as they were typed */
typedef struct {
    char *slot;
    char *va;
    char *rpn;
    char *size;
    gboolean bolted;
} Arguments;

static void
argumentsClear(Arguments *arguments)
{
    g_free(arguments->slot);
    g_free(arguments->va);
    g_free(arguments->rpn);
    g_free(arguments->size);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Arguments, argumentsClear)

static char *
putText(char *p, const char *text)
{
    return g_stpcpy(p, text);
}

static char *
putHex(char *p, guint64 value, guint digits)
{
    static const char hex[] = "0123456789abcdef";

    for (guint i = digits; i > 0; i--)
        *p++ = hex[(value >> (4 * (i - 1))) & 0xf];
    return p;
}

/* Right-aligned to @width */
static char *
putNumber(char *p, guint64 value, guint width)
{
    char digits[20];
    guint n = 0;

    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    for (; width > n; width--)
        *p++ = ' ';
    while (n > 0)
        *p++ = digits[--n];
    return p;
}

/* Left-aligned to @width */
static char *
putPadded(char *p, const char *text, guint width)
{
    gsize length = strlen(text);

    p = putText(p, text);
    for (; length < width; length++)
        *p++ = ' ';
    return p;
}

static char *
putPageSize(char *p, guint shift)
{
    p = putNumber(p, 1ULL << (shift % 10), 4);
    *p++ = "BKMG"[MIN(shift / 10, 3)];
    return p;
}

static char *
putFlag(char *p, const char *start, const char *flag)
{
    if (p != start)
        *p++ = ',';
    return putText(p, flag);
}

static char *
putFlags(char *p, const VirtHptEntry *entry)
{
    static const struct {
        guint64 v;
        guint64 r;
        const char *name;
    } flags[] = {
        {VIRT_HPT_V_BOLTED, 0, "bolted"}, {VIRT_HPT_V_SECONDARY, 0, "secondary"},
        {VIRT_HPT_V_LOCK, 0, "lock"},     {0, VIRT_HPT_R_R, "R"},
        {0, VIRT_HPT_R_C, "C"},           {0, VIRT_HPT_R_N, "N"},
        {0, VIRT_HPT_R_TS, "TS"},
    };
    const char *start = p;
    guint key = virtHptEntryGetKey(entry);

    for (gsize i = 0; i < G_N_ELEMENTS(flags); i++) {
        if ((entry->v & flags[i].v) || (entry->r & flags[i].r))
            p = putFlag(p, start, flags[i].name);
    }
    if (key) {
        p = putFlag(p, start, "key=");
        p = putNumber(p, key, 0);
    }
    if (p == start)
        *p++ = '-';
    return p;
}

static void
textLine(VirtHptOutput *out, const VirtHptEntryView *view)
{
    char *start = virtHptOutputReserve(out, LINE_MAX_BYTES);
    char address[VIRT_HPT_ADDRESS_BUFLEN] = "?";
    char wimg[VIRT_HPT_WIMG_BUFLEN];
    char *p = start;

    if (view->placed)
        virtHptAddressFormat(&view->address, address);
    virtHptEntryFormatWimg(&view->entry, wimg);

    p = putNumber(p, view->slot, 10);
    p = putText(p, " ");
    p = putNumber(p, view->slot / VIRT_HPT_PTEG_SLOTS, 9);
    p = putText(p, "  ");
    p = putHex(p, view->entry.v, 16);
    p = putText(p, " ");
    p = putHex(p, view->entry.r, 16);
    p = putText(p, "  ");
    p = putPadded(p, address, 22);
    if (view->sized) {
        p = putPageSize(p, view->size.base);
        p = putText(p, "  ");
        p = putPageSize(p, view->size.actual);
        p = putText(p, "  ");
        p = putHex(p, view->real >> VIRT_HPT_RPN_SHIFT, 12);
    } else {
        p = putText(p, "    ?      ?  ");
        p = putPadded(p, "?", 12);
    }
    p = putText(p, "  ");
    p = putPadded(p, virtHptEntryGetAccess(&view->entry), 6);
    p = putText(p, wimg);
    p = putText(p, "  ");
    p = putFlags(p, &view->entry);
    *p++ = '\n';
    g_assert(p <= start + LINE_MAX_BYTES);
    virtHptOutputCommit(out, p);
}

static char *
putKnownNumber(char *p, const char *key, gboolean known, guint64 value)
{
    p = putText(p, key);
    return known ? putNumber(p, value, 0) : putText(p, "null");
}

static char *
putBool(char *p, const char *key, guint64 value)
{
    p = putText(p, key);
    return putText(p, value ? "true" : "false");
}

static void
jsonLine(VirtHptOutput *out, const VirtHptEntryView *view)
{
    const VirtHptEntry *entry = &view->entry;
    char *start = virtHptOutputReserve(out, LINE_MAX_BYTES);
    char address[VIRT_HPT_ADDRESS_BUFLEN];
    char wimg[VIRT_HPT_WIMG_BUFLEN];
    char *p = start;

    virtHptEntryFormatWimg(entry, wimg);
    p = putText(p, "{\"slot\":");
    p = putNumber(p, view->slot, 0);
    p = putText(p, ",\"pteg\":");
    p = putNumber(p, view->slot / VIRT_HPT_PTEG_SLOTS, 0);
    p = putText(p, ",\"v\":\"");
    p = putHex(p, entry->v, 16);
    p = putText(p, "\",\"r\":\"");
    p = putHex(p, entry->r, 16);
    if (view->placed) {
        virtHptAddressFormat(&view->address, address);
        p = putText(p, "\",\"va\":\"");
        p = putText(p, address);
        p = putText(p, "\"");
    } else {
        p = putText(p, "\",\"va\":null");
    }
    p = putKnownNumber(p, ",\"base\":", view->sized, 1ULL << view->size.base);
    p = putKnownNumber(p, ",\"actual\":", view->sized, 1ULL << view->size.actual);
    p = putKnownNumber(p, ",\"rpn\":", view->sized, view->real >> VIRT_HPT_RPN_SHIFT);
    p = putKnownNumber(p, ",\"pp\":", TRUE, virtHptEntryGetProtection(entry));
    p = putText(p, ",\"wimg\":\"");
    p = putText(p, wimg);
    p = putText(p, "\"");
    p = putKnownNumber(p, ",\"key\":", TRUE, virtHptEntryGetKey(entry));
    p = putBool(p, ",\"bolted\":", entry->v & VIRT_HPT_V_BOLTED);
    p = putBool(p, ",\"secondary\":", entry->v & VIRT_HPT_V_SECONDARY);
    p = putBool(p, ",\"lock\":", entry->v & VIRT_HPT_V_LOCK);
    p = putBool(p, ",\"referenced\":", entry->r & VIRT_HPT_R_R);
    p = putBool(p, ",\"changed\":", entry->r & VIRT_HPT_R_C);
    p = putBool(p, ",\"no_execute\":", entry->r & VIRT_HPT_R_N);
    p = putText(p, "}\n");
    g_assert(p <= start + LINE_MAX_BYTES);
    virtHptOutputCommit(out, p);
}

static gboolean
filterMatches(const Filter *filter, const VirtHptEntryView *view)
{
    if (filter->bolted && !(view->entry.v & VIRT_HPT_V_BOLTED))
        return FALSE;
    if (filter->actual && !(view->sized && view->size.actual == filter->actual))
        return FALSE;
    if (filter->byRpn && !(view->sized && ((view->real >> VIRT_HPT_RPN_SHIFT) ^ filter->rpn) >>
                                                  (view->size.actual - VIRT_HPT_RPN_SHIFT) ==
                                              0))
        return FALSE;
    if (filter->byAddress &&
        !(view->placed && virtHptAddressCovers(&view->address, view->size.actual,
                                               filter->addressHigh, filter->addressLow)))
        return FALSE;
    return TRUE;
}

static gboolean
parseSlots(const char *text, guint64 *first, guint64 *last)
{
    g_auto(GStrv) ends = g_strsplit(text, "-", 2);

    if (!ends[0] || !virtHptOptionsNumber(ends[0], 0, G_MAXUINT64 - 1, first))
        return FALSE;
    if (!ends[1]) {
        *last = *first;
        return TRUE;
    }
    return virtHptOptionsNumber(ends[1], *first, G_MAXUINT64 - 1, last);
}

static gboolean
parseSize(const char *text, guint *shift)
{
    static const struct {
        const char *name;
        guint shift;
    } sizes[] = {{"4K", 12}, {"64K", 16}, {"16M", 24}, {"16G", 34}};

    for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
        if (g_ascii_strcasecmp(sizes[i].name, text) == 0) {
            *shift = sizes[i].shift;
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean
parseFilter(VirtHptTool *tool, const Arguments *arguments, Filter *filter, VirtHptExit *status)
{
    guint64 high;

    *filter = (Filter){.last = G_MAXUINT64, .bolted = arguments->bolted};
    if (arguments->slot && !parseSlots(arguments->slot, &filter->first, &filter->last)) {
        *status = virtHptToolUsage(tool, _("--slot: '%s' is neither a number nor a range A-B"),
                                   arguments->slot);
        return FALSE;
    }
    filter->byAddress = arguments->va != NULL;
    if (arguments->va &&
        !virtHptOptionsHex(arguments->va, VA_BITS, &filter->addressHigh, &filter->addressLow)) {
        *status =
            virtHptToolUsage(tool, _("--va: '%1$s' is not a hexadecimal number of up to %2$d bits"),
                             arguments->va, VA_BITS);
        return FALSE;
    }
    filter->byRpn = arguments->rpn != NULL;
    if (arguments->rpn && !virtHptOptionsHex(arguments->rpn, 64, &high, &filter->rpn)) {
        *status = virtHptToolUsage(
            tool, _("--rpn: '%1$s' is not a hexadecimal number of up to %2$d bits"), arguments->rpn,
            64);
        return FALSE;
    }
    if (arguments->size && !parseSize(arguments->size, &filter->actual)) {
        *status =
            virtHptToolUsage(tool, _("--size: '%s' is none of 4K, 64K, 16M, 16G"), arguments->size);
        return FALSE;
    }
    return TRUE;
}

static void
listEntries(VirtHptTool *tool, const VirtHptTable *table, const Filter *filter)
{
    guint order = virtHptTableGetOrder(table);
    guint64 end = MIN(virtHptTableGetSlots(table), filter->last + (filter->last < G_MAXUINT64));
    VirtHptEntryView view;

    for (guint64 slot = virtHptTableNextValid(table, filter->first); slot < end;
         slot = virtHptTableNextValid(table, slot + 1)) {
        VirtHptEntry entry = virtHptTableGet(table, slot);

        virtHptEntryViewInit(&view, &entry, slot, order);
        if (!filterMatches(filter, &view))
            continue;
        if (tool->json)
            jsonLine(tool->out, &view);
        else
            textLine(tool->out, &view);
        if (virtHptOutputGetError(tool->out))
            return;
    }
}

static void
printHeader(VirtHptTool *tool)
{
    /* Names of columns are names of fields, in every language */
    virtHptOutputPuts(tool->out, "      SLOT      PTEG  V                R                 "
                                 "ADDRESS                BASE  ACTUAL  RPN           PP    "
                                 "WIMG  FLAGS\n");
}

VirtHptExit
virtHptCmdEntryList(VirtHptTool *tool, int argc, char **argv)
{
    g_auto(Arguments) arguments = {0};
    const GOptionEntry entries[] = {
        {"slot", 0, 0, G_OPTION_ARG_FILENAME, &arguments.slot,
         N_("Entries of this slot, or of these slots"), N_("A[-B]")},
        {"va", 0, 0, G_OPTION_ARG_FILENAME, &arguments.va,
         N_("Entries whose page covers this virtual address, hexadecimal, up to 78 bits"),
         N_("ADDRESS")},
        {"rpn", 0, 0, G_OPTION_ARG_FILENAME, &arguments.rpn,
         N_("Entries whose page covers this real page, hexadecimal: a guest real address divided by 4096"),
         N_("NUMBER")},
        {"bolted", 0, 0, G_OPTION_ARG_NONE, &arguments.bolted, N_("Bolted entries"), NULL},
        {"size", 0, 0, G_OPTION_ARG_FILENAME, &arguments.size,
         N_("Entries of this actual page size: 4K, 64K, 16M or 16G"), N_("SIZE")},
        {.long_name = NULL},
    };
    g_auto(GStrv) operands = NULL;
    g_autoptr(VirtHptSubject) subject = NULL;
    g_autoptr(GError) error = NULL;
    Filter filter;
    VirtHptExit status;

    if (!virtHptOptionsParse(tool, entries, argc, argv, &operands, &status) ||
        !parseFilter(tool, &arguments, &filter, &status))
        return status;

    subject = virtHptToolOpenTable(tool, operands[0], &error);
    if (!subject)
        return virtHptToolFail(tool, error);
    if (!subject->table) {
        virtHptToolWarn(tool, _("the guest's MMU is radix: it has no HPT"));
        return VIRT_HPT_EXIT_GOOD;
    }
    if (arguments.slot) {
        guint64 slots = virtHptTableGetSlots(subject->table);
        guint64 wanted = filter.last;

        if (wanted >= slots) {
            return virtHptToolUsage(tool, _("--slot: %1$llu is outside the table of %2$llu slots"),
                                    (unsigned long long)wanted, (unsigned long long)slots);
        }
    }
    if (!tool->json && !tool->quiet)
        printHeader(tool);
    listEntries(tool, subject->table, &filter);
    return VIRT_HPT_EXIT_GOOD;
}
