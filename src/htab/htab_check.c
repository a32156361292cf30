/*
 * htab_check.c: structural verification of a table, as fsck checks a file system
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One pass in the order of slots.  The rules about single entries are in htab_check_entry.c; here
 * are those about the table, which are judged before the pass, or by what it counted.
 */

#include "config.h"

#include <glib/gi18n-lib.h>

#include "htab/htab_checkpriv.h"

/*
 * The order follows from RAM when the guest is made, and departs from it later: with resize-hpt the
 * guest asks for an order of its own as memory is plugged, and without it maxmem counts.
 * A factor of eight covers what was seen of both.
 */
#define ORDER_RAM_TOLERANCE 3

/* log2 of how much smaller than RAM an HPT is (QEMU 7.2 hw/ppc/spapr.c,
 * spapr_hpt_shift_for_ramsize()) */
#define ORDER_RAM_SHIFT 7

/* Fewer entries say nothing about how they are spread */
#define SECONDARY_ENTRIES_MIN 128

/*
 * Bolted entries map RAM once for the kernel, once more for real mode (the VRMA, under KVM), and
 * the kernel's own description of it, a thousandth.
 */
#define BOLTED_RAM_FACTOR 4

/* The order that QEMU chooses for so much memory (QEMU 7.2 hw/ppc/spapr.c
 * spapr_hpt_shift_for_ramsize()). */
static guint
impliedOrder(guint64 bytes)
{
    guint shift = 0;

    while (shift < 64 && bytes - 1 > (G_GUINT64_CONSTANT(1) << shift) - 1)
        shift++; /* log2 of @bytes, rounded up */
    shift = shift > ORDER_RAM_SHIFT ? shift - ORDER_RAM_SHIFT : 0;
    return CLAMP(shift, VIRT_HPT_ORDER_MIN, VIRT_HPT_ORDER_MAX);
}

static void
checkOrderRam(VirtHptCheck *check)
{
    guint64 bytes = check->context->orderBytes;
    guint64 most = MAX(bytes, check->context->orderMaxBytes);
    guint low;
    guint high;

    if (bytes == 0)
        return;
    low = impliedOrder(bytes);
    high = impliedOrder(most);

    if ((check->order + ORDER_RAM_TOLERANCE < low || check->order > high + ORDER_RAM_TOLERANCE) &&
        virtHptCheckCount(check, VIRT_HPT_RULE_ORDER_RAM)) {
        gboolean small = check->order < low;

        virtHptCheckKeep(
            check, VIRT_HPT_RULE_ORDER_RAM, NULL, g_strdup_printf(_("order %1$u"), check->order),
            g_strdup_printf(_("about order %1$u for %2$llu bytes of RAM"), small ? low : high,
                            (unsigned long long)(small ? bytes : most)));
    }
}

static void
checkOrder(VirtHptCheck *check)
{
    if (check->order >= VIRT_HPT_ORDER_MIN && check->order <= VIRT_HPT_ORDER_MAX) {
        checkOrderRam(check);
        return;
    }
    if (virtHptCheckCount(check, VIRT_HPT_RULE_ORDER_RANGE)) {
        virtHptCheckKeep(
            check, VIRT_HPT_RULE_ORDER_RANGE, NULL, g_strdup_printf(_("order %1$u"), check->order),
            g_strdup_printf(_("order %1$d to %2$d"), VIRT_HPT_ORDER_MIN, VIRT_HPT_ORDER_MAX));
    }
}

static void
checkBolted(VirtHptCheck *check)
{
    guint64 ram = check->context->ramBytes;
    guint64 most;

    if (check->valid > 0 && check->bolted == 0 &&
        virtHptCheckCount(check, VIRT_HPT_RULE_NO_BOLTED)) {
        virtHptCheckKeep(check, VIRT_HPT_RULE_NO_BOLTED, NULL,
                         g_strdup_printf(_("none of the entries is bolted, of %1$llu"),
                                         (unsigned long long)check->valid),
                         g_strdup(_("bolted entries for the guest's kernel")));
    }

    for (gsize i = 0; i < check->context->nplugged; i++) {
        if (!g_uint64_checked_add(&ram, ram, check->context->plugged[i].length))
            return;
    }
    if (check->context->ramBytes == 0 || !g_uint64_checked_mul(&most, ram, BOLTED_RAM_FACTOR) ||
        check->boltedBytes <= most || !virtHptCheckCount(check, VIRT_HPT_RULE_BOLTED_EXCESS))
        return;
    virtHptCheckKeep(check, VIRT_HPT_RULE_BOLTED_EXCESS, NULL,
                     g_strdup_printf(_("bolted entries map %1$llu bytes"),
                                     (unsigned long long)check->boltedBytes),
                     g_strdup_printf(_("at most %1$d times the %2$llu bytes of RAM"),
                                     BOLTED_RAM_FACTOR, (unsigned long long)ram));
}

static void
checkOccupancy(VirtHptCheck *check, guint64 slots)
{
    if (check->valid == slots && virtHptCheckCount(check, VIRT_HPT_RULE_TABLE_FULL)) {
        virtHptCheckKeep(
            check, VIRT_HPT_RULE_TABLE_FULL, NULL,
            g_strdup_printf(_("all %1$llu slots hold an entry"), (unsigned long long)slots),
            g_strdup(_("free slots")));
    }
    if (check->valid >= SECONDARY_ENTRIES_MIN && check->secondary > check->valid / 2 &&
        check->valid < slots / 2 && virtHptCheckCount(check, VIRT_HPT_RULE_SECONDARY_EXCESS)) {
        virtHptCheckKeep(check, VIRT_HPT_RULE_SECONDARY_EXCESS, NULL,
                         g_strdup_printf(_("%1$llu of %2$llu entries are secondary"),
                                         (unsigned long long)check->secondary,
                                         (unsigned long long)check->valid),
                         g_strdup(_("mostly primary entries in a table less than half full")));
    }
}

static void
checkEntries(VirtHptCheck *check, guint64 slots)
{
    const VirtHptTable *table = check->table;
    VirtHptPlain plain;
    guint64 slot = 0;

    virtHptPlainInit(&plain, check);
    while ((slot = virtHptTableNextValid(table, slot)) < slots) {
        guint64 pteg = slot / VIRT_HPT_PTEG_SLOTS;

        if (!virtHptPlainPteg(&plain, table, pteg)) {
            VirtHptCheckSubject subjects[VIRT_HPT_PTEG_SLOTS];
            guint n = virtHptPlainSuspects(&plain, table, pteg, subjects);

            for (guint i = 0; i < n; i++)
                virtHptCheckEntry(check, &subjects[i]);
        }
        slot = (pteg + 1) * VIRT_HPT_PTEG_SLOTS;
    }
    virtHptPlainFinish(&plain, check);
}

/**
 * virtHptTableCheck:
 * @table: a table
 * @context: (nullable): what is known of the machine around it
 *
 * Checks every entry against the rules of #VirtHptRule.  A table without entries is sound: a guest
 * in firmware has one.  Memory and the number of findings kept do not depend on the table; time
 * is one pass over the entries.
 *
 * Findings of %VIRT_HPT_RULE_HASH_PLACEMENT are certain, the absence of them is not: see
 * @placement in the report for how much of it could be verified.
 *
 * Thread-safe as long as nobody changes @table.
 *
 * Returns: (transfer full): the report
 */
VirtHptReport *
virtHptTableCheck(const VirtHptTable *table, const VirtHptCheckContext *context)
{
    guint64 slots = virtHptTableGetSlots(table);
    VirtHptCheck check;

    virtHptCheckInit(&check, table, virtHptTableGetOrder(table), context);
    checkOrder(&check);
    checkEntries(&check, slots);
    checkBolted(&check);
    checkOccupancy(&check, slots);
    return virtHptCheckFinish(&check);
}

/**
 * virtHptOrderCheck:
 * @order: log2 of a table's size in bytes; any number, it may be untrusted
 * @context: (nullable): what is known of the machine around it
 *
 * Checks an order before there is a table of it: no #VirtHptTable can be made whose order is out
 * of range.  Only %VIRT_HPT_RULE_ORDER_RANGE and %VIRT_HPT_RULE_ORDER_RAM apply.
 *
 * Thread-safe.
 *
 * Returns: (transfer full): the report
 */
VirtHptReport *
virtHptOrderCheck(guint order, const VirtHptCheckContext *context)
{
    VirtHptCheck check;

    virtHptCheckInit(&check, NULL, order, context);
    checkOrder(&check);
    return virtHptCheckFinish(&check);
}
