/*
 * htab_entry.h: one hashed page table entry (HPTE)
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Source of the layout: Power ISA 2.07 Book III-S 5.7; Linux
 * arch/powerpc/include/asm/book3s/64/mmu-hash.h and kvm_book3s_64.h;
 * QEMU 7.2 target/ppc/mmu-hash64.c.
 *
 * Streams always carry the format before ISA 3.0 (B in the first doubleword), also on POWER9.
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* First doubleword (V) */
#define VIRT_HPT_V_B_SHIFT 62 /* 0 = 256 MiB segment, 1 = 1 TiB, 2 and 3 reserved */
#define VIRT_HPT_V_AVPN_SHIFT 7
#define VIRT_HPT_V_AVPN_BITS 55   /* bits 61:7; AVPN = VA >> 23 */
#define VIRT_HPT_V_HVLOCK 0x40ULL /* KVM private; TCG: dirty */
#define VIRT_HPT_V_ABSENT 0x20ULL /* KVM private */
#define VIRT_HPT_V_PRIVATE (VIRT_HPT_V_HVLOCK | VIRT_HPT_V_ABSENT)
#define VIRT_HPT_V_BOLTED 0x10ULL
#define VIRT_HPT_V_LOCK 0x08ULL
#define VIRT_HPT_V_LARGE 0x04ULL
#define VIRT_HPT_V_SECONDARY 0x02ULL
#define VIRT_HPT_V_VALID 0x01ULL

/* Second doubleword (R) */
#define VIRT_HPT_R_PP0 (1ULL << 63)
#define VIRT_HPT_R_TS (1ULL << 62)
#define VIRT_HPT_R_KEY_HI (3ULL << 60)
#define VIRT_HPT_R_RPN (((1ULL << 60) - 1) & ~0xfffULL)
#define VIRT_HPT_R_KEY_LO (7ULL << 9)
#define VIRT_HPT_R_R 0x100ULL
#define VIRT_HPT_R_C 0x80ULL
#define VIRT_HPT_R_W 0x40ULL
#define VIRT_HPT_R_I 0x20ULL
#define VIRT_HPT_R_M 0x10ULL
#define VIRT_HPT_R_G 0x08ULL
#define VIRT_HPT_R_N 0x04ULL
#define VIRT_HPT_R_PP 0x03ULL

#define VIRT_HPT_ENTRY_SIZE 16 /* bytes */
#define VIRT_HPT_PTEG_SLOTS 8  /* entries of one PTEG, where a hash leads to */

/* KVM_PPC_ALLOCATE_HTAB accepts these orders (Linux arch/powerpc/kvm/book3s_64_mmu_hv.c) */
#define VIRT_HPT_ORDER_MIN 18
#define VIRT_HPT_ORDER_MAX 46

/**
 * VirtHptEntry:
 * @v: first doubleword, host byte order
 * @r: second doubleword, host byte order
 */
typedef struct {
    guint64 v;
    guint64 r;
} VirtHptEntry;

/**
 * VirtHptPageSize:
 * @base: base page shift: log2 of the size that the hash uses, in bytes
 * @actual: actual page shift: log2 of what one entry maps, in bytes
 */
typedef struct {
    guint base;
    guint actual;
} VirtHptPageSize;

/**
 * VirtHptAddress:
 * @vsid: virtual segment identifier
 * @offset: byte offset in the segment
 * @segmentShift: log2 of the segment size in bytes: 28 or 40
 *
 * A virtual address has up to 78 bits: it is vsid << segmentShift | offset.
 */
typedef struct {
    guint64 vsid;
    guint64 offset;
    guint segmentShift;
} VirtHptAddress;

/* 20 hexadecimal digits hold 78 bits; "0x" and NUL */
#define VIRT_HPT_ADDRESS_BUFLEN 24

guint virtHptEntryGetSegmentShift(const VirtHptEntry *entry);
gboolean virtHptEntryGetPageSize(const VirtHptEntry *entry, VirtHptPageSize *size);
guint64 virtHptEntryGetRealAddress(const VirtHptEntry *entry, const VirtHptPageSize *size);
guint virtHptEntryGetKey(const VirtHptEntry *entry);
guint virtHptEntryGetProtection(const VirtHptEntry *entry);

guint virtHptPageSizeVerifiableBits(const VirtHptPageSize *size, guint order);

gboolean virtHptEntryGetAddress(const VirtHptEntry *entry,
                                const VirtHptPageSize *size,
                                guint64 slot,
                                guint order,
                                VirtHptAddress *address);

void virtHptAddressFormat(const VirtHptAddress *address, char buf[VIRT_HPT_ADDRESS_BUFLEN]);
gboolean virtHptAddressCovers(const VirtHptAddress *address,
                              guint pageShift,
                              guint64 high,
                              guint64 low);

G_END_DECLS
