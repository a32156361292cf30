/*
 * cmd_decode.c: virt-hpt decode: one entry, explained
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "config.h"

#include <glib/gi18n.h>

#include "entry.h"
#include "json.h"
#include "options.h"
#include "text.h"
#include "tool.h"

#define BITS_WIDTH 8
#define NAME_WIDTH 9
#define VALUE_WIDTH 18

/**
 * Field:
 * @name: as the Power ISA and Linux call it
 * @key: in JSON
 * @high: its most significant bit, counted from the least significant one of the doubleword
 * @low: its least significant bit
 * @meaning: what it says, or what it says where it is set; to be translated
 */
typedef struct {
    const char *name;
    const char *key;
    guint high;
    guint low;
    const char *meaning;
} Field;

/* Sources: htab/htab_entry.h */
static const Field fieldsV[] = {
    {"B", "b", 63, 62, N_("segment size: 0 = 256 MiB, 1 = 1 TiB, 2 and 3 are reserved")},
    {"AVPN", "avpn", 61, 7, N_("virtual address divided by 2^23")},
    {"HVLOCK", "hvlock", 6, 6, N_("private to KVM: entry locked; under TCG: entry changed")},
    {"ABSENT", "absent", 5, 5, N_("private to KVM: the page is not there")},
    {"BOLTED", "bolted", 4, 4, N_("software: never to be evicted")},
    {"LOCK", "lock", 3, 3, N_("software: locked by the guest")},
    {"L", "l", 2, 2, N_("large page: its size is encoded in the low bits of RPN")},
    {"H", "h", 1, 1, N_("in the secondary PTEG of its hash")},
    {"VALID", "valid", 0, 0, N_("the entry is in use")},
};

static const Field fieldsR[] = {
    {"PP0", "pp0", 63, 63, N_("page protection, first bit")},
    {"TS", "ts", 62, 62, N_("tag select")},
    {"KEY_HI", "key_hi", 61, 60, N_("storage key, high bits")},
    {"RPN", "rpn", 59, 12, N_("real page number and page size encoding")},
    {"KEY_LO", "key_lo", 11, 9, N_("storage key, low bits")},
    {"R", "r", 8, 8, N_("referenced")},
    {"C", "c", 7, 7, N_("changed")},
    {"W", "w", 6, 6, N_("write-through")},
    {"I", "i", 5, 5, N_("cache-inhibited")},
    {"M", "m", 4, 4, N_("memory coherence required")},
    {"G", "g", 3, 3, N_("guarded")},
    {"N", "n", 2, 2, N_("no execution")},
    {"PP", "pp", 1, 0, N_("page protection, other bits")},
};

/* Whether the entry can be where it was said to be; codes of JSON, never translated */
typedef enum {
    PLACEMENT_UNKNOWN,
    PLACEMENT_CONSISTENT,
    PLACEMENT_INCONSISTENT,
    PLACEMENT_NOT_APPLICABLE,
} Placement;

static const char *const placementCodes[] = {
    [PLACEMENT_UNKNOWN] = NULL,
    [PLACEMENT_CONSISTENT] = "consistent",
    [PLACEMENT_INCONSISTENT] = "inconsistent",
    [PLACEMENT_NOT_APPLICABLE] = "not-applicable",
};

static guint64
getField(guint64 doubleword, const Field *field)
{
    guint bits = field->high - field->low + 1;

    return (doubleword >> field->low) & ((G_GUINT64_CONSTANT(1) << bits) - 1);
}

/* An entry that no MMU knows what to do with */
static gboolean
hasInvalidEncoding(const VirtHptEntryView *view)
{
    guint segmentShift = virtHptEntryGetSegmentShift(&view->entry);

    return !view->sized || segmentShift == 0 || view->size.actual > segmentShift;
}

static Placement
getPlacement(const VirtHptEntryView *view)
{
    if (view->order == 0)
        return PLACEMENT_UNKNOWN;
    if (!(view->entry.v & VIRT_HPT_V_VALID) || hasInvalidEncoding(view))
        return PLACEMENT_NOT_APPLICABLE;
    return view->placed ? PLACEMENT_CONSISTENT : PLACEMENT_INCONSISTENT;
}

static void
jsonFields(JsonBuilder *json,
           const char *key,
           guint64 doubleword,
           const Field *fields,
           gsize nfields)
{
    virtHptJsonBeginObject(json, key);
    for (gsize i = 0; i < nfields; i++)
        virtHptJsonAddUint(json, fields[i].key, getField(doubleword, &fields[i]));
    json_builder_end_object(json);
}

static void
printJson(VirtHptTool *tool, const VirtHptEntryView *view)
{
    g_autoptr(JsonBuilder) json = virtHptJsonNew();
    const VirtHptEntry *entry = &view->entry;
    guint segmentShift = virtHptEntryGetSegmentShift(entry);
    char address[VIRT_HPT_ADDRESS_BUFLEN];
    char wimg[VIRT_HPT_WIMG_BUFLEN];

    virtHptEntryFormatWimg(entry, wimg);
    virtHptJsonAddHex(json, "v", entry->v);
    virtHptJsonAddHex(json, "r", entry->r);
    jsonFields(json, "v_fields", entry->v, fieldsV, G_N_ELEMENTS(fieldsV));
    jsonFields(json, "r_fields", entry->r, fieldsR, G_N_ELEMENTS(fieldsR));
    virtHptJsonAddKnown(json, "segment", segmentShift ? 1ULL << segmentShift : 0);
    virtHptJsonAddKnown(json, "base", view->sized ? 1ULL << view->size.base : 0);
    virtHptJsonAddKnown(json, "actual", view->sized ? 1ULL << view->size.actual : 0);
    if (view->sized)
        virtHptJsonAddUint(json, "rpn", view->real >> VIRT_HPT_RPN_SHIFT);
    else
        virtHptJsonAddNull(json, "rpn");
    virtHptJsonAddUint(json, "pp", virtHptEntryGetProtection(entry));
    virtHptJsonAddString(json, "wimg", wimg);
    virtHptJsonAddUint(json, "key", virtHptEntryGetKey(entry));
    if (view->order) {
        virtHptJsonAddUint(json, "slot", view->slot);
        virtHptJsonAddUint(json, "order", view->order);
        virtHptJsonAddUint(json, "pteg", view->slot / VIRT_HPT_PTEG_SLOTS);
        virtHptJsonAddString(json, "placement", placementCodes[getPlacement(view)]);
        virtHptJsonAddUint(json, "pteg_bits", view->order - 7);
        if (view->sized)
            virtHptJsonAddUint(json, "verifiable_bits",
                               virtHptPageSizeVerifiableBits(&view->size, view->order));
        else
            virtHptJsonAddNull(json, "verifiable_bits");
        if (view->placed)
            virtHptAddressFormat(&view->address, address);
        virtHptJsonAddString(json, "va", view->placed ? address : NULL);
    }
    virtHptJsonPrint(json, tool->out);
}

static void
textFields(VirtHptTool *tool,
           const char *name,
           guint64 doubleword,
           const Field *fields,
           gsize nfields)
{
    virtHptOutputPrintf(tool->out, "%s = 0x%016llx\n", name, (unsigned long long)doubleword);
    for (gsize i = 0; i < nfields; i++) {
        const Field *field = &fields[i];
        unsigned long long number = getField(doubleword, field);
        g_autofree char *bits = field->high == field->low
                                    ? g_strdup_printf("%u", field->low)
                                    : g_strdup_printf("%u:%u", field->high, field->low);
        g_autofree char *value = field->high - field->low < 8 ? g_strdup_printf("%llu", number)
                                                              : g_strdup_printf("0x%llx", number);

        virtHptOutputPuts(tool->out, "  ");
        virtHptOutputPadded(tool->out, bits, BITS_WIDTH);
        virtHptOutputPadded(tool->out, field->name, NAME_WIDTH);
        virtHptOutputPadded(tool->out, value, VALUE_WIDTH);
        virtHptOutputPrintf(tool->out, "%s\n", _(field->meaning));
    }
    virtHptOutputPuts(tool->out, "\n");
}

static const char *
accessText(const VirtHptEntry *entry)
{
    switch (virtHptEntryGetProtection(entry)) {
    case 0:
        return _("kernel reads and writes, user has no access");
    case 1:
        return _("kernel reads and writes, user reads");
    case 2:
        return _("kernel and user read and write");
    case 3:
        return _("kernel and user read");
    case 6:
        return _("kernel reads, user has no access");
    default:
        return _("reserved");
    }
}

static void
textPlace(VirtHptTool *tool, const VirtHptEntryView *view)
{
    char address[VIRT_HPT_ADDRESS_BUFLEN];

    virtHptOutputField(tool->out, _("Slot:"), _("%1$llu of a table of order %2$u, PTEG %3$llu"),
                       (unsigned long long)view->slot, view->order,
                       (unsigned long long)(view->slot / VIRT_HPT_PTEG_SLOTS));
    switch (getPlacement(view)) {
    case PLACEMENT_CONSISTENT:
        virtHptAddressFormat(&view->address, address);
        virtHptOutputField(
            tool->out, _("Placement:"), _("consistent (%1$u of %2$u bits of the PTEG verified)"),
            virtHptPageSizeVerifiableBits(&view->size, view->order), view->order - 7);
        virtHptOutputField(tool->out, _("Virtual address:"), "%s", address);
        break;
    case PLACEMENT_INCONSISTENT:
        virtHptOutputField(tool->out, _("Placement:"), "%s",
                           _("inconsistent: neither PTEG of the entry's hash"));
        break;
    case PLACEMENT_UNKNOWN:
    case PLACEMENT_NOT_APPLICABLE:
    default:
        virtHptOutputField(tool->out, _("Placement:"), "%s",
                           view->entry.v & VIRT_HPT_V_VALID
                               ? _("not verifiable: the encoding is invalid")
                               : _("not applicable: the entry is not in use"));
        break;
    }
}

static void
printText(VirtHptTool *tool, const VirtHptEntryView *view)
{
    const VirtHptEntry *entry = &view->entry;
    guint segmentShift = virtHptEntryGetSegmentShift(entry);
    guint key = virtHptEntryGetKey(entry);

    textFields(tool, "V", entry->v, fieldsV, G_N_ELEMENTS(fieldsV));
    textFields(tool, "R", entry->r, fieldsR, G_N_ELEMENTS(fieldsR));

    virtHptOutputField(tool->out, _("Segment:"), "%s",
                       segmentShift == 0 ? _("invalid: B is reserved")
                                         : (segmentShift == 40 ? "1 TiB" : "256 MiB"));
    if (view->sized) {
        g_autofree char *base = virtHptTextPageSize(view->size.base);
        g_autofree char *actual = virtHptTextPageSize(view->size.actual);

        virtHptOutputField(tool->out, _("Page size:"),
                           segmentShift != 0 && view->size.actual > segmentShift
                               ? _("invalid: %1$s base, %2$s actual, more than the segment")
                               : _("%1$s base, %2$s actual"),
                           base, actual);
        virtHptOutputField(tool->out, _("Real address:"), _("0x%1$llx (real page 0x%2$llx)"),
                           (unsigned long long)view->real,
                           (unsigned long long)view->real >> VIRT_HPT_RPN_SHIFT);
    } else {
        virtHptOutputField(tool->out, _("Page size:"), "%s",
                           _("invalid: L and the low bits of RPN encode none"));
    }
    virtHptOutputField(tool->out, _("Protection:"), "%u (%s)", virtHptEntryGetProtection(entry),
                       accessText(entry));
    virtHptOutputField(tool->out, _("Storage key:"), "%u", key);
    if (view->order)
        textPlace(tool, view);
}

/* Both of --slot and --order, or neither */
static gboolean
parsePlace(VirtHptTool *tool,
           const char *slotText,
           const char *orderText,
           guint64 *slot,
           guint64 *order,
           VirtHptExit *status)
{
    if (!slotText && !orderText)
        return TRUE;
    if (!slotText || !orderText) {
        *status = virtHptToolUsage(tool, _("--slot and --order need each other"));
        return FALSE;
    }
    if (!virtHptOptionsNumber(orderText, VIRT_HPT_ORDER_MIN, VIRT_HPT_ORDER_MAX, order)) {
        *status = virtHptToolUsage(tool, _("--order: '%1$s' is not a number from %2$d to %3$d"),
                                   orderText, VIRT_HPT_ORDER_MIN, VIRT_HPT_ORDER_MAX);
        return FALSE;
    }
    if (!virtHptOptionsNumber(slotText, 0, (1ULL << (*order - 4)) - 1, slot)) {
        *status = virtHptToolUsage(tool, _("--slot: '%1$s' is not a slot of a table of order %2$u"),
                                   slotText, (guint)*order);
        return FALSE;
    }
    return TRUE;
}

VirtHptExit
virtHptCmdDecode(VirtHptTool *tool, int argc, char **argv)
{
    g_autofree char *slotText = NULL;
    g_autofree char *orderText = NULL;
    const GOptionEntry entries[] = {
        {"slot", 0, 0, G_OPTION_ARG_FILENAME, &slotText, N_("Where the entry lies"), N_("N")},
        {"order", 0, 0, G_OPTION_ARG_FILENAME, &orderText,
         N_("Order of the table: log2 of its size in bytes"), N_("N")},
        {.long_name = NULL},
    };
    g_auto(GStrv) operands = NULL;
    VirtHptEntryView view;
    VirtHptEntry entry;
    guint64 slot = 0;
    guint64 order = 0;
    guint64 high;
    VirtHptExit status;

    if (!virtHptOptionsParse(tool, entries, argc, argv, &operands, &status))
        return status;
    if (!virtHptOptionsHex(operands[0], 64, &high, &entry.v) ||
        !virtHptOptionsHex(operands[1], 64, &high, &entry.r))
        return virtHptToolUsage(tool, _("V and R are hexadecimal numbers of up to 64 bits"));
    if (!parsePlace(tool, slotText, orderText, &slot, &order, &status))
        return status;

    virtHptEntryViewInit(&view, &entry, slot, (guint)order);
    if (tool->json)
        printJson(tool, &view);
    else
        printText(tool, &view);

    if ((entry.v & VIRT_HPT_V_VALID) && (hasInvalidEncoding(&view) || (view.order && !view.placed)))
        return VIRT_HPT_EXIT_BAD;
    return VIRT_HPT_EXIT_GOOD;
}
