/*
 * htab_check_duplicate.c: the rule that no virtual page has two entries
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Memory is constant.  A virtual page has one hash, and a hash has two PTEGs; so an entry that
 * lies where it should can have a double in its own PTEG and in the complement of it only.
 */

#include "config.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#include "htab/htab_checkpriv.h"
#include "htab/htab_entrypriv.h"

/*
 * Looks for the same virtual page in the slots of [@slot, @end).  In the PTEG of a hash, with the
 * right H, an equal AVPN is an equal address: what AVPN does not hold follows from the PTEG.
 */
static guint64
findDouble(const VirtHptCheck *check,
           const VirtHptCheckSubject *subject,
           guint64 slot,
           guint64 end,
           guint64 secondary)
{
    const guint64 valid = VIRT_HPT_V_VALID | VIRT_HPT_V_SECONDARY;
    const guint64 mask = GUINT64_TO_BE(virtHptPageSizeVMask(&subject->size) | valid);
    const guint64 wanted =
        GUINT64_TO_BE((subject->entry.v & ~valid) | VIRT_HPT_V_VALID | secondary) & mask;
    const guint8 *wire = virtHptTablePeekWire(check->table, slot);

    for (; slot < end; slot++, wire += VIRT_HPT_ENTRY_SIZE) {
        guint64 v;

        memcpy(&v, wire, sizeof(v));
        if ((v & mask) == wanted) {
            VirtHptEntry other = virtHptTableGet(check->table, slot);
            VirtHptPageSize size;

            if (virtHptEntryGetPageSize(&other, &size) && size.base == subject->size.base)
                return slot;
        }
    }
    return VIRT_HPT_NO_SLOT;
}

/*
 * virtHptCheckDuplicate:
 * @check: a check
 * @subject: an entry that lies where its hash wants it
 * @address: its virtual address
 *
 * Compares with slots before the entry only, so that each pair is found once.
 */
void
virtHptCheckDuplicate(VirtHptCheck *check,
                      const VirtHptCheckSubject *subject,
                      const VirtHptAddress *address)
{
    guint64 secondary = subject->entry.v & VIRT_HPT_V_SECONDARY;
    guint64 pteg = subject->slot / VIRT_HPT_PTEG_SLOTS;
    guint64 complement = ~pteg & (virtHptTableGetPtegs(check->table) - 1);
    guint64 other = VIRT_HPT_NO_SLOT;

    if (complement < pteg) {
        other =
            findDouble(check, subject, complement * VIRT_HPT_PTEG_SLOTS,
                       (complement + 1) * VIRT_HPT_PTEG_SLOTS, secondary ^ VIRT_HPT_V_SECONDARY);
    }
    if (other == VIRT_HPT_NO_SLOT)
        other = findDouble(check, subject, pteg * VIRT_HPT_PTEG_SLOTS, subject->slot, secondary);

    if (other != VIRT_HPT_NO_SLOT && virtHptCheckCount(check, VIRT_HPT_RULE_DUPLICATE)) {
        char buf[VIRT_HPT_ADDRESS_BUFLEN];

        virtHptAddressFormat(address, buf);
        virtHptCheckKeep(check, VIRT_HPT_RULE_DUPLICATE, subject,
                         g_strdup_printf(_("virtual page %1$s, as at slot 0x%2$llx"), buf,
                                         (unsigned long long)other),
                         g_strdup(_("one entry for a virtual page")));
    }
}
