/*
 * qemu_stream.h: one bounded forward pass over a QEMU migration stream of a pseries guest
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * RAM contents are skipped, spapr/htab is read over all its passes, machine state is handed on.
 * Framing: QEMU 7.2 to 10.2 migration/savevm.c, migration/ram.c, hw/ppc/spapr.c.
 */

#pragma once

#include "libvirt-hpt/htab_stream.h"
#include "libvirt-hpt/htab_table.h"
#include "qemu/qemu_source.h"

G_BEGIN_DECLS

/* Bytes of device sections that are read.  Real ones take a few megabytes, TCE tables of the
 * largest guests some hundred.  A sparse file may claim any number, at no cost. */
#define VIRT_HPT_DEVICES_MAX (G_GUINT64_CONSTANT(1) << 30)

/**
 * VirtHptStreamPart:
 * @VIRT_HPT_STREAM_PART_HEADER: from the start of the image to the first byte of RAM contents or
 *   HPT: libvirt's header, configuration, RAM block list
 * @VIRT_HPT_STREAM_PART_TABLE: sections of the HPT
 * @VIRT_HPT_STREAM_PART_STATE: device sections, end mark and description
 */
typedef enum {
    VIRT_HPT_STREAM_PART_HEADER,
    VIRT_HPT_STREAM_PART_TABLE,
    VIRT_HPT_STREAM_PART_STATE,
} VirtHptStreamPart;

/**
 * VirtHptStreamPartFunc:
 * @part: what the bytes belong to
 * @data: the bytes, as the image has them
 * @length: how many
 * @offset: of the first of them in the image
 * @opaque: the caller's
 * @error: set on failure
 *
 * Called for everything but RAM contents, in ascending order of @offset, in pieces of any size.
 *
 * Returns: %TRUE, or %FALSE to stop.
 */
typedef gboolean (*VirtHptStreamPartFunc)(VirtHptStreamPart part,
                                          const guint8 *data,
                                          gsize length,
                                          guint64 offset,
                                          gpointer opaque,
                                          GError **error);

/**
 * VirtHptStreamOptions:
 * @maxTableBytes: the largest table to hold, in bytes; 0: virtHptTableDefaultMaxBytes()
 * @machineState: whether the stream is a record's machine state, which has neither RAM contents
 *   nor HPT
 * @part: called with the bytes of each part, or %NULL
 * @state: called with the machine state, itself a stream without RAM contents and HPT, or %NULL
 * @record: called for each record of the HPT, or %NULL
 * @opaque: passed to the functions above
 *
 * How to read a stream.  Zero-initialised it just reads it.
 */
typedef struct {
    guint64 maxTableBytes;
    gboolean machineState;
    VirtHptStreamPartFunc part;
    VirtHptWriteFunc state;
    VirtHptRecordFunc record;
    gpointer opaque;
} VirtHptStreamOptions;

/**
 * VirtHptRamBlock:
 * @id: QEMU's name of it
 * @length: bytes
 */
typedef struct {
    char *id;
    guint64 length;
} VirtHptRamBlock;

/**
 * VirtHptStream:
 * @machine: versioned machine type ('pseries-7.2'), or %NULL where the stream does not say
 * @uuid: the guest's UUID as text, or %NULL where the stream does not say
 * @capabilities: (element-type utf8): migration capabilities that the stream declares
 * @ramBlocks: (element-type VirtHptRamBlock): in stream order
 * @ramBytes: the guest's base RAM in bytes, 0: unknown
 * @ramOnly: whether no other block can be guest memory (DIMMs), so that addresses end at @ramBytes
 * @hasHpt: whether there is a table; a guest without is radix
 * @order: HPT order; 0 without a table
 * @table: the table, or %NULL
 * @start: offset of the stream in the image
 * @end: offset behind its last byte
 */
typedef struct {
    char *machine;
    char *uuid;
    GPtrArray *capabilities;
    GArray *ramBlocks;
    guint64 ramBytes;
    gboolean ramOnly;
    gboolean hasHpt;
    guint order;
    VirtHptTable *table;
    guint64 start;
    guint64 end;
} VirtHptStream;

VirtHptStream *virtHptStreamRead(VirtHptSource *source,
                                 const VirtHptStreamOptions *options,
                                 GError **error);
void virtHptStreamFree(VirtHptStream *stream);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptStream, virtHptStreamFree)

G_END_DECLS
