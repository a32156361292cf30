/*
 * htab_rules.c: the rules of a check by name, and what is to be said about each
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#include "libvirt-hpt/htab_check.h"

typedef struct {
    const char *name;
    VirtHptSeverity severity;
    VirtHptRuleText text;
} Rule;

/*
 * Severities follow from what sane guests do, which is said with each rule.  An error is what no
 * guest can make use of.  A warning is what no known guest has but some guest could, or what only
 * the facts around the table speak against.  A note is what a sane guest has at times.
 */
static const Rule rules[VIRT_HPT_RULE_COUNT] = {
    [VIRT_HPT_RULE_ORDER_RANGE] =
        {
            "order-range",
            VIRT_HPT_SEVERITY_ERROR,
            {
                N_("the order of the HPT is outside 18 to 46"),
                N_("A table has 2^order bytes, and no hypervisor makes one of that order. A stream "
                   "that claims one is refused as malformed when it is read; QEMU itself takes any "
                   "order in a stream."),
                N_("QEMU chooses the order, and chooses it within these bounds."),
                N_("The stream is damaged or not what it seems: do not restore it."),
                "Linux arch/powerpc/kvm/book3s_64_mmu_hv.c kvmppc_allocate_hpt(); QEMU 7.2 "
                "hw/ppc/spapr.c htab_load()",
            },
        },
    [VIRT_HPT_RULE_ORDER_RAM] =
        {
            "order-ram",
            VIRT_HPT_SEVERITY_WARNING,
            {
                N_("the order of the HPT is far from what the guest's RAM implies"),
                N_("QEMU makes a table of a 128th of RAM, or of the memory that may be plugged. One "
                   "that is more than eight times smaller or larger belongs to another machine, or "
                   "was damaged."),
                N_("A guest may resize its table as memory is plugged and unplugged, so that some "
                   "distance is ordinary. More was never seen, but is possible."),
                N_("Compare with the RAM and maxMemory of the domain that the image belongs to."),
                "QEMU 7.2 hw/ppc/spapr.c spapr_hpt_shift_for_ramsize()",
            },
        },
    [VIRT_HPT_RULE_SEGMENT_RESERVED] =
        {
            "segment-reserved",
            VIRT_HPT_SEVERITY_ERROR,
            {
                N_("an entry has a reserved segment size"),
                N_("B, the two highest bits of V, is 0 for segments of 256 MiB and 1 for 1 TiB; 2 "
                   "and 3 mean nothing. No MMU finds the entry, KVM refuses to load it, and QEMU "
                   "cannot resize a table that has it."),
                N_("None has it: H_ENTER of KVM refuses it."),
                N_("The entry is damaged: do not restore the image."),
                "Power ISA 2.07 III-S 5.7.6; Linux arch/powerpc/kvm/book3s_hv_rm_mmu.c "
                "kvmppc_do_h_enter()",
            },
        },
    [VIRT_HPT_RULE_PAGE_SIZE] =
        {
            "page-size",
            VIRT_HPT_SEVERITY_ERROR,
            {
                N_("an entry encodes no page size"),
                N_("L and the low bits of RPN encode base and actual page size. Other values, and a "
                   "page that is larger than its segment, mean nothing: KVM refuses to load unknown "
                   "values, and no MMU can use either."),
                N_("None has it: H_ENTER refuses unknown values, and segments are made for pages "
                   "that fit."),
                N_("The entry is damaged: do not restore the image."),
                "Linux arch/powerpc/include/asm/kvm_book3s_64.h; QEMU 7.2 target/ppc/mmu-hash64.c "
                "hpte_page_shift()",
            },
        },
    [VIRT_HPT_RULE_PAGE_SIZE_UNUSUAL] =
        {
            "page-size-unusual",
            VIRT_HPT_SEVERITY_WARNING,
            {
                N_("an entry has a page size that KVM does not advertise"),
                N_("Pages of 16 GiB, and pages of 64 KiB in segments of 4 KiB, are well formed. KVM "
                   "tells guests that it has neither."),
                N_("A guest uses the page sizes that its device tree lists. Under TCG with "
                   "cap-hpt-max-page-size=16g it may list 16 GiB."),
                N_("See whether the domain asks for such pages. If it does not the entry is "
                   "damaged."),
                "Linux arch/powerpc/kvm/book3s_hv.c kvm_vm_ioctl_get_smmu_info_hv()",
            },
        },
    [VIRT_HPT_RULE_PAGE_SIZE_LIMIT] =
        {
            "page-size-limit",
            VIRT_HPT_SEVERITY_ERROR,
            {
                N_("an entry's page is larger than the machine allows"),
                N_("The machine has a largest page size, cap-hpt-max-page-size, which under KVM is "
                   "that of the host pages behind RAM. A larger page cannot be backed: KVM answers "
                   "EIO when it is loaded."),
                N_("None has it: the limit is in the device tree, and KVM enforces it."),
                N_("Compare maxpagesize of the domain with that of the one that was saved."),
                "QEMU 7.2 hw/ppc/spapr_caps.c cap_hpt_maxpagesize_apply()",
            },
        },
    [VIRT_HPT_RULE_RPN_ALIGNMENT] =
        {
            "rpn-alignment",
            VIRT_HPT_SEVERITY_ERROR,
            {
                N_("an entry's real address is not aligned to its page"),
                N_("Below the actual page size RPN must hold the encoding of the page size and "
                   "nothing else. KVM reads past a stray bit there, while QEMU decodes no page size "
                   "and the access faults."),
                N_("None has it: a real page begins at a multiple of its size."),
                N_("The entry is damaged: do not restore the image."),
                "Power ISA 2.07 III-S 5.7.6; QEMU 7.2 target/ppc/mmu-hash64.c hpte_page_shift()",
            },
        },
    [VIRT_HPT_RULE_RPN_RANGE] =
        {
            "rpn-range",
            VIRT_HPT_SEVERITY_WARNING,
            {
                N_("an entry maps cacheable memory outside the guest's RAM"),
                N_("The real address is neither base RAM nor a plugged DIMM, and the entry is not "
                   "marked as a device by its I bit. Where plugged memory lies is known from the "
                   "domain XML; without it, a stream with plugged memory is not checked."),
                N_("Linux maps nothing cacheable but RAM, and H_ENTER of QEMU refuses it. A driver "
                   "that maps the memory of a PCI device cacheable, such as that of shared memory, "
                   "is possible under KVM."),
                N_("See whether the guest has such a device. If it has none the entry is damaged, "
                   "or the image is that of a machine with more memory."),
                "QEMU 7.2 hw/ppc/spapr_softmmu.c h_enter(); Linux arch/powerpc/kvm/book3s_hv_rm_mmu.c "
                "kvmppc_do_h_enter()",
            },
        },
    [VIRT_HPT_RULE_HASH_PLACEMENT] =
        {
            "hash-placement",
            VIRT_HPT_SEVERITY_ERROR,
            {
                N_("an entry is in neither PTEG of its hash"),
                N_("The MMU looks for a page in two groups of eight slots, which follow from its "
                   "address. An entry anywhere else is never found: the guest loses a mapping, and "
                   "a bolted one is never entered again. Neither KVM nor QEMU checks it."),
                N_("None has it: guests enter by the hash. The bits of the address that an entry "
                   "does not hold cannot be verified; the report says how many are."),
                N_("The entry is damaged, or the order of the table is not the one that it was made "
                   "for: do not restore the image."),
                "Power ISA 2.07 III-S 5.7.7.3; Linux arch/powerpc/include/asm/book3s/64/mmu-hash.h "
                "hpt_hash()",
            },
        },
    [VIRT_HPT_RULE_DUPLICATE] =
        {
            "duplicate",
            VIRT_HPT_SEVERITY_ERROR,
            {
                N_("a virtual page has two entries"),
                N_("Which of the two the MMU takes is undefined, and real hardware may answer with "
                   "a machine check. The guest removes one of them and goes on using the other."),
                N_("None has it: a guest looks before it enters. Records that were applied to the "
                   "wrong table make such pairs."),
                N_("Do not restore the image."),
                "Power ISA 2.07 III-S 5.7.7.3",
            },
        },
    [VIRT_HPT_RULE_AVPN_WIDTH] =
        {
            "avpn-width",
            VIRT_HPT_SEVERITY_WARNING,
            {
                N_("an entry has address bits beyond the 68 that are in use"),
                N_("V bits 61 to 52 are virtual address bits beyond 68. POWER8 hosts and TCG keep "
                   "them; POWER9 hosts have no room for them and drop them, and then the entry is "
                   "another one."),
                N_("Linux uses 68 bits at the most. The architecture has 78, so that another guest "
                   "could use them on a host that keeps them."),
                N_("For a Linux guest the entry is damaged. For any other do not restore it on "
                   "POWER9."),
                "Linux arch/powerpc/include/asm/book3s/64/mmu-hash.h VA_BITS, HPTE_V_COMMON_BITS",
            },
        },
    [VIRT_HPT_RULE_NO_BOLTED] =
        {
            "no-bolted",
            VIRT_HPT_SEVERITY_WARNING,
            {
                N_("the HPT has entries, and none of them is bolted"),
                N_("Linux bolts the entries of its kernel, so that they are never evicted. Without "
                   "them the first access of the kernel to its own memory faults for good."),
                N_("Linux has thousands of them once it runs, and KVM makes some before that. "
                   "Bolted is a bit of software: another guest may do without."),
                N_("For a Linux guest the table is not whole, such as one of a stream that was cut "
                   "or of a later pass alone."),
                "Linux arch/powerpc/mm/book3s64/hash_utils.c htab_bolt_mapping()",
            },
        },
    [VIRT_HPT_RULE_MMIO_RANGE] =
        {
            "mmio-range",
            VIRT_HPT_SEVERITY_WARNING,
            {
                N_("an entry maps a device where no device can be"),
                N_("A cache-inhibited page that is not RAM is a device. Those of a pseries machine "
                   "lie from 1 TiB on and end below 2^51."),
                N_("Guests map devices where the device tree says that they are. Only a machine "
                   "with addresses given by hand has others."),
                N_("See whether the domain places a PCI host bridge by hand. If it does not the "
                   "entry is damaged."),
                "QEMU 7.2 include/hw/ppc/spapr.h, include/hw/ppc/spapr_xive.h, hw/ppc/spapr.c",
            },
        },
    [VIRT_HPT_RULE_CACHE_MODE] =
        {
            "cache-mode",
            VIRT_HPT_SEVERITY_WARNING,
            {
                N_("an entry has cache attributes that do not fit what it maps"),
                N_("RAM is mapped with M alone, or with W, I and M for strong access ordering; a "
                   "device with I and without W. H_ENTER of QEMU refuses anything else. That of KVM "
                   "accepts it, and has the hardware do something that is possible instead."),
                N_("Linux maps its RAM in no other way by itself. Under KVM a driver could, as "
                   "graphics drivers have RAM that is not cached."),
                N_("See whether the guest has such a driver. If it has none the entry is damaged, "
                   "or what is said to be RAM is not."),
                "QEMU 7.2 hw/ppc/spapr_softmmu.c h_enter(); Linux "
                "arch/powerpc/include/asm/kvm_book3s_64.h hpte_cache_flags_ok()",
            },
        },
    [VIRT_HPT_RULE_RESERVED_BITS] =
        {
            "reserved-bits",
            VIRT_HPT_SEVERITY_WARNING,
            {
                N_("an entry has reserved bits"),
                N_("In the format that streams use, V has no reserved bits: four are software's, "
                   "and all others have a meaning. R has one, bit 62. The MMU ignores it, TCG keeps "
                   "it, and KVM drops it, so that the entry reads back as another one."),
                N_("None is known to set it: KVM guests cannot."),
                N_("It does no harm of itself, but something wrote what the guest did not: see "
                   "which other findings the image has."),
                "Linux arch/powerpc/include/asm/kvm_book3s_64.h HPTE_GR_RESERVED",
            },
        },
    [VIRT_HPT_RULE_PROTECTION] =
        {
            "protection",
            VIRT_HPT_SEVERITY_WARNING,
            {
                N_("an entry has a reserved page protection"),
                N_("PP0 and PP together are 0 to 3, or 6. An MMU may do anything with 4, 5 and 7; "
                   "QEMU denies each access."),
                N_("Linux uses 0, 2, 3 and 6. H_ENTER and H_PROTECT take any value, so that a guest "
                   "could have others."),
                N_("See which other findings the image has. Alone it costs the guest one page."),
                "Power ISA 2.07 III-S 5.7.9.1; QEMU 7.2 target/ppc/mmu-hash64.c ppc_hash64_pte_prot()",
            },
        },
    [VIRT_HPT_RULE_AVPN_STRAY] =
        {
            "avpn-stray",
            VIRT_HPT_SEVERITY_WARNING,
            {
                N_("an entry has address bits below its base page size"),
                N_("For pages of 16 MiB and more, AVPN has bits that are offset within the page. "
                   "Hardware does not compare them; QEMU does, so that TCG never finds the entry."),
                N_("Linux clears them. A guest that sets them would run on hardware."),
                N_("For a Linux guest the entry is damaged."),
                "Linux arch/powerpc/include/asm/book3s/64/mmu-hash.h hpte_encode_avpn(); QEMU 7.2 "
                "target/ppc/mmu-hash64.c ppc_hash64_pteg_search()",
            },
        },
    [VIRT_HPT_RULE_VRMA_MAPPING] =
        {
            "vrma-mapping",
            VIRT_HPT_SEVERITY_WARNING,
            {
                N_("an entry of the real mode area does not map it to itself"),
                N_("Under KVM-HV, real mode of a hash guest goes through entries of the 1 TiB "
                   "segment with VSID 0x1ffffff: the VRMA. KVM makes them, bolted, one for each "
                   "page, all of one size, and each maps an offset to the same real address. The "
                   "first one that is loaded sets the page size of all."),
                N_("Each KVM-HV guest has them, and Linux spares them when it clears the table; TCG "
                   "needs none. A guest of another kind may use that segment as it likes."),
                N_("For a Linux guest the entry is damaged: its interrupt handlers run in real "
                   "mode."),
                "Linux arch/powerpc/kvm/book3s_64_mmu_hv.c kvmppc_map_vrma(), kvm_htab_write(); "
                "arch/powerpc/include/asm/book3s/64/mmu-hash.h HPTE_V_VRMA_MASK",
            },
        },
    [VIRT_HPT_RULE_TABLE_FULL] =
        {
            "table-full",
            VIRT_HPT_SEVERITY_NOTE,
            {
                N_("no slot of the HPT is free"),
                N_("Each further page evicts another one. It says nothing against the table."),
                N_("A guest whose processes share much memory can fill any table: each process has "
                   "an entry of its own for a shared page. For that reason no number of entries is "
                   "too many for the RAM that they map."),
                N_("Give the guest more maxMemory, or let it resize its table, if it is slow."),
                "Linux arch/powerpc/mm/book3s64/hash_utils.c hash_page_mm(), "
                "arch/powerpc/platforms/pseries/lpar.c pSeries_lpar_hpte_remove()",
            },
        },
    [VIRT_HPT_RULE_SECONDARY_EXCESS] =
        {
            "secondary-excess",
            VIRT_HPT_SEVERITY_WARNING,
            {
                N_("most entries are secondary although the HPT has room"),
                N_("More than half of the entries are in the second of their two groups, in a table "
                   "that is less than half full."),
                N_("Linux takes the second group only while the first one is full, which is rare in "
                   "such a table. A guest may choose otherwise."),
                N_("For a Linux guest the H bit of many entries is damaged, or the entries are "
                   "those of another order."),
                "Linux arch/powerpc/mm/book3s64/hash_utils.c hash_page_mm(), htab_bolt_mapping()",
            },
        },
    [VIRT_HPT_RULE_BOLTED_EXCESS] =
        {
            "bolted-excess",
            VIRT_HPT_SEVERITY_WARNING,
            {
                N_("bolted entries map the guest's RAM several times over"),
                N_("Bolted entries of RAM together map more than four times what there is."),
                N_("Linux bolts one mapping of its RAM and the description of it, a thousandth "
                   "more; KVM adds one for real mode. Only entries that are not bolted grow with "
                   "the number of processes."),
                N_("The table was joined from those of several guests, or the image is that of a "
                   "machine with more memory."),
                "Linux arch/powerpc/mm/book3s64/hash_utils.c htab_initialize()",
            },
        },
};

/**
 * virtHptRuleGetName:
 * @rule: a rule
 *
 * Returns: its stable name, never translated
 */
const char *
virtHptRuleGetName(VirtHptRule rule)
{
    g_return_val_if_fail((guint)rule < VIRT_HPT_RULE_COUNT, "unknown");
    return rules[rule].name;
}

/**
 * virtHptRuleFromName:
 * @name: a name that virtHptRuleGetName() gave
 * @rule: (out): the rule; left alone on failure
 *
 * Returns: %FALSE if there is no rule of that name
 */
gboolean
virtHptRuleFromName(const char *name, VirtHptRule *rule)
{
    for (guint i = 0; i < VIRT_HPT_RULE_COUNT; i++) {
        if (strcmp(rules[i].name, name) == 0) {
            *rule = (VirtHptRule)i;
            return TRUE;
        }
    }
    return FALSE;
}

/**
 * virtHptRuleGetSeverity:
 * @rule: a rule
 *
 * Returns: the severity of every finding of @rule
 */
VirtHptSeverity
virtHptRuleGetSeverity(VirtHptRule rule)
{
    g_return_val_if_fail((guint)rule < VIRT_HPT_RULE_COUNT, VIRT_HPT_SEVERITY_ERROR);
    return rules[rule].severity;
}

/**
 * virtHptRuleGetSummary:
 * @rule: a rule
 *
 * Returns: what a finding of @rule says, in one line, translated
 */
const char *
virtHptRuleGetSummary(VirtHptRule rule)
{
    g_return_val_if_fail((guint)rule < VIRT_HPT_RULE_COUNT, "");
    return _(rules[rule].text.summary);
}

/**
 * virtHptRuleGetText:
 * @rule: a rule
 * @text: (out): all that there is to say about it, translated; the strings are static
 */
void
virtHptRuleGetText(VirtHptRule rule, VirtHptRuleText *text)
{
    g_return_if_fail((guint)rule < VIRT_HPT_RULE_COUNT);
    *text = rules[rule].text;
    text->summary = _(text->summary);
    text->meaning = _(text->meaning);
    text->guests = _(text->guests);
    text->advice = _(text->advice);
}

/**
 * virtHptSeverityGetName:
 * @severity: a severity
 *
 * Returns: its stable name, never translated
 */
const char *
virtHptSeverityGetName(VirtHptSeverity severity)
{
    switch (severity) {
    case VIRT_HPT_SEVERITY_NOTE:
        return "note";
    case VIRT_HPT_SEVERITY_WARNING:
        return "warning";
    case VIRT_HPT_SEVERITY_ERROR:
        return "error";
    default:
        g_return_val_if_reached("unknown");
    }
}
