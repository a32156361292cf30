/*
 * htab_kvm.h: the file descriptor through which the kernel gives and takes a guest's HPT
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * KVM_PPC_GET_HTAB_FD is documented in Linux Documentation/virt/kvm/api.rst 4.78, which leaves most
 * of its behaviour to arch/powerpc/kvm/book3s_64_mmu_hv.c.  What stands here of the kernel was read
 * there and observed on emulated POWER8 and POWER9 hosts (tests/e2e/powerhost).
 *
 * Reading, as a live migration does it:
 *
 *     reader = virtHptKvmReaderNew(vmFd, order, 0, 0, &error);
 *     do
 *         ok = virtHptKvmReaderPass(reader, table, &pass, &error);
 *     while (ok && vCPUs run && pass.valid + pass.invalid is still many);
 *     stop the vCPUs;
 *     ok = virtHptKvmReaderPass(reader, table, &pass, &error);
 *
 * The first pass gives every slot, each later one those that changed since they were last given.
 */

#pragma once

#include "libvirt-hpt/htab_stream.h"

G_BEGIN_DECLS

/* An index has 32 bits: no record reaches a slot of a larger table beyond the first 2^32 */
#define VIRT_HPT_KVM_ORDER_MAX 36

/**
 * VirtHptKvmFlags:
 * @VIRT_HPT_KVM_BOLTED_ONLY: read entries with the software bit "bolted" alone; the others are
 * given as invalid slots, so that replaying such a stream removes them
 * @VIRT_HPT_KVM_WRITE: open for writing, not for reading
 *
 * The values are the kernel's (Linux arch/powerpc/include/uapi/asm/kvm.h, KVM_GET_HTAB_*).
 */
typedef enum {
    VIRT_HPT_KVM_BOLTED_ONLY = 1 << 0,
    VIRT_HPT_KVM_WRITE = 1 << 1,
} VirtHptKvmFlags;

/**
 * VirtHptKvmState:
 * @VIRT_HPT_KVM_STATE_RADIX: the VM translates through radix trees; it has no HPT
 * @VIRT_HPT_KVM_STATE_NO_TABLE: the VM uses an HPT, and none was allocated yet, or the last
 *   KVM_PPC_ALLOCATE_HTAB failed
 * @VIRT_HPT_KVM_STATE_TABLE: the VM has an HPT, and no vCPU of it runs
 * @VIRT_HPT_KVM_STATE_RUNNING: the VM has an HPT, and vCPUs of it run, so that nothing can be
 *   written and the order cannot be told
 */
typedef enum {
    VIRT_HPT_KVM_STATE_RADIX,
    VIRT_HPT_KVM_STATE_NO_TABLE,
    VIRT_HPT_KVM_STATE_TABLE,
    VIRT_HPT_KVM_STATE_RUNNING,
} VirtHptKvmState;

int virtHptKvmOpen(int vmFd, guint flags, guint64 startIndex, GError **error);
gboolean virtHptKvmProbe(int vmFd, VirtHptKvmState *state, guint *order, GError **error);

/**
 * VirtHptKvmPass:
 * @first: whether it is the first pass, which gives slots whether they changed or not
 * @reads: calls of read(2)
 * @records: records
 * @valid: valid entries in them
 * @invalid: invalid slots in them
 * @bytes: what was read
 *
 * What one pass over the table gave.
 */
typedef struct {
    gboolean first;
    guint64 reads;
    guint64 records;
    guint64 valid;
    guint64 invalid;
    guint64 bytes;
} VirtHptKvmPass;

/**
 * VirtHptKvmRecordFunc:
 * @slot: first slot of the record
 * @hptes: @valid entries of 16 bytes, big-endian doublewords, private bits cleared
 * @valid: how many, at most 65535
 * @invalid: invalid slots behind them, at most 65535
 * @opaque: the caller's
 * @error: set on failure
 *
 * Receives one record.  The memory at @hptes is good for the call alone.
 *
 * Returns: %TRUE, or %FALSE to stop; the kernel takes what it gave for delivered, so that the
 *   reader cannot go on then
 */
typedef gboolean (*VirtHptKvmRecordFunc)(guint64 slot,
                                         const guint8 *hptes,
                                         guint valid,
                                         guint invalid,
                                         gpointer opaque,
                                         GError **error);

/**
 * VirtHptKvmReader:
 *
 * Reads a VM's HPT, pass by pass, in bounded memory.  It belongs to one thread at a time.
 */
typedef struct _VirtHptKvmReader VirtHptKvmReader;

VirtHptKvmReader *virtHptKvmReaderNew(int vmFd,
                                      guint order,
                                      guint flags,
                                      guint64 startIndex,
                                      GError **error);
VirtHptKvmReader *virtHptKvmReaderNewForFd(int fd, guint order, guint64 startIndex, GError **error);
void virtHptKvmReaderFree(VirtHptKvmReader *reader);

gboolean virtHptKvmReaderStep(VirtHptKvmReader *reader,
                              VirtHptKvmRecordFunc func,
                              gpointer opaque,
                              VirtHptKvmPass *pass,
                              gboolean *ended,
                              GError **error);
gboolean virtHptKvmReaderPass(VirtHptKvmReader *reader,
                              VirtHptTable *table,
                              VirtHptKvmPass *pass,
                              GError **error);
gboolean virtHptKvmReaderPassRecords(VirtHptKvmReader *reader,
                                     VirtHptKvmRecordFunc func,
                                     gpointer opaque,
                                     VirtHptKvmPass *pass,
                                     GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptKvmReader, virtHptKvmReaderFree)

/**
 * VirtHptKvmWritten:
 * @records: records that the kernel took whole
 * @valid: entries written
 * @invalid: slots made sure to be empty
 * @next: the slot behind the last one that was written or emptied; on failure the slot that the
 *   kernel refused, before which all that was asked for is done and behind which nothing is, unless
 *   @unsure
 * @lost: whether the slot @next has lost the entry that it may have held: the kernel removes the
 *   old entry before it tries the new one
 * @unsure: whether the kernel took another number of bytes than it was given at @next, or refused
 *   a record as a whole and then, entry by entry, for another reason: what is before @next is done,
 *   but other slots may have changed or lost their entries besides.  Write the whole table anew
 *
 * How far a write came.
 */
typedef struct {
    guint64 records;
    guint64 valid;
    guint64 invalid;
    guint64 next;
    gboolean lost;
    gboolean unsure;
} VirtHptKvmWritten;

/**
 * VirtHptKvmWriter:
 *
 * Writes to a VM's HPT, in bounded memory.  It belongs to one thread at a time.
 */
typedef struct _VirtHptKvmWriter VirtHptKvmWriter;

VirtHptKvmWriter *virtHptKvmWriterNew(int vmFd, guint order, GError **error);
VirtHptKvmWriter *virtHptKvmWriterNewForFd(int fd, guint order, GError **error);
void virtHptKvmWriterFree(VirtHptKvmWriter *writer);

gboolean virtHptKvmWriterWriteRecord(VirtHptKvmWriter *writer,
                                     guint64 slot,
                                     const guint8 *hptes,
                                     guint valid,
                                     guint invalid,
                                     VirtHptKvmWritten *written,
                                     GError **error);
gboolean virtHptKvmWriterWriteTable(VirtHptKvmWriter *writer,
                                    const VirtHptTable *table,
                                    VirtHptKvmWritten *written,
                                    GError **error);
gboolean virtHptKvmWriterWriteChanges(VirtHptKvmWriter *writer,
                                      const VirtHptTable *before,
                                      const VirtHptTable *after,
                                      VirtHptKvmWritten *written,
                                      GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptKvmWriter, virtHptKvmWriterFree)

G_END_DECLS
