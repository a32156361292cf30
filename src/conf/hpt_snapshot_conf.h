/*
 * hpt_snapshot_conf.h: the record's descriptor, XML <-> struct
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The format is described in docs/formathptsnapshot.rst; docs/schemas/hptsnapshot.rng is compiled
 * in, and every document is checked against it before a single value is read.
 */

#pragma once

#include "libvirt-hpt/htab_check.h"
#include "libvirt-hpt/htab_table.h"

G_BEGIN_DECLS

/* The largest descriptor that is read or written, in bytes */
#define VIRT_HPT_SNAPSHOT_XML_MAX ((gsize)32 * 1024 * 1024)
/* The most extents an image may have */
#define VIRT_HPT_SNAPSHOT_EXTENTS_MAX 65536

#define VIRT_HPT_DIGEST_SIZE 32 /* SHA-256, bytes */

typedef enum {
    VIRT_HPT_MMU_HASH,
    VIRT_HPT_MMU_RADIX,
} VirtHptMmu;

/**
 * VirtHptSnapshotImageKind:
 * @VIRT_HPT_SNAPSHOT_IMAGE_STREAM: a bare QEMU migration stream ('stream')
 * @VIRT_HPT_SNAPSHOT_IMAGE_SAVE: libvirt's save image, also a managed save or an external
 *   memory snapshot, which have the same format ('save-image')
 */
typedef enum {
    VIRT_HPT_SNAPSHOT_IMAGE_STREAM,
    VIRT_HPT_SNAPSHOT_IMAGE_SAVE,
} VirtHptSnapshotImageKind;

/**
 * VirtHptImagePart:
 * @VIRT_HPT_IMAGE_PART_HEADER: all before the first byte of RAM contents or HPT ('header')
 * @VIRT_HPT_IMAGE_PART_TABLE: sections of the HPT ('table')
 * @VIRT_HPT_IMAGE_PART_STATE: device sections and what follows them ('state')
 */
typedef enum {
    VIRT_HPT_IMAGE_PART_HEADER,
    VIRT_HPT_IMAGE_PART_TABLE,
    VIRT_HPT_IMAGE_PART_STATE,
} VirtHptImagePart;

/**
 * VirtHptExtent:
 * @part: what the bytes hold
 * @offset: first byte in the image
 * @length: bytes
 * @digest: SHA-256 of these bytes
 */
typedef struct {
    VirtHptImagePart part;
    guint64 offset;
    guint64 length;
    guint8 digest[VIRT_HPT_DIGEST_SIZE];
} VirtHptExtent;

/**
 * VirtHptPayload:
 * @file: name in the record directory, no '/'; %NULL: there is no such payload
 * @length: uncompressed length in bytes
 * @zstd: whether the file is zstd-compressed
 * @digest: SHA-256 of the uncompressed bytes
 * @stored: whether the file itself has a length and a digest, too: a decompressor passes over
 *   some bits, so that @digest alone does not tell whether the file is as it was written
 * @storedLength: length of the file in bytes
 * @storedDigest: SHA-256 of the file
 */
typedef struct {
    char *file;
    guint64 length;
    gboolean zstd;
    guint8 digest[VIRT_HPT_DIGEST_SIZE];
    gboolean stored;
    guint64 storedLength;
    guint8 storedDigest[VIRT_HPT_DIGEST_SIZE];
} VirtHptPayload;

/**
 * VirtHptKnownFinding:
 * @rule: the rule's stable name, kept also where this version does not know the rule
 * @severity: of the rule
 * @count: findings of that rule when the record was made
 */
typedef struct {
    char *rule;
    VirtHptSeverity severity;
    guint64 count;
} VirtHptKnownFinding;

/**
 * VirtHptSnapshotDef:
 * @name: the snapshot's name
 * @creationTime: seconds since the epoch
 * @mmu: the guest's MMU mode
 * @order: HPT order; 0 where @mmu is radix
 * @stats: of the table; pteg fill and @mapped are not stored and read back as 0
 * @imageKind: what the image is
 * @imageFormat: 'raw' or 'sparse'
 * @imageFile: the image's name, relative to the directory that holds the record, or absolute where
 *   the record lies elsewhere
 * @imageSize: bytes
 * @imageInode: inode number when recorded
 * @imageMtime: modification time when recorded, nanoseconds since the epoch
 * @extents: (element-type VirtHptExtent): ascending by offset, not overlapping
 * @table: the HPT stream in canonical form; no file where @mmu is radix
 * @state: the machine state
 * @machine: versioned machine type, or %NULL where the stream does not say
 * @ramBytes: the guest's RAM in bytes, 0 where the stream does not say
 * @findings: (element-type VirtHptKnownFinding): of the table check
 * @sourceHost: host that made the record, or %NULL
 * @sourceAccel: 'kvm', 'tcg', or %NULL
 * @sourceQemu: QEMU's version, or %NULL
 * @sourceLibvirt: libvirt's version, or %NULL
 * @domainXml: the domain's XML, the element <domain> alone, or %NULL
 */
typedef struct {
    char *name;
    gint64 creationTime;
    VirtHptMmu mmu;
    guint order;
    VirtHptTableStats stats;
    VirtHptSnapshotImageKind imageKind;
    char *imageFormat;
    char *imageFile;
    guint64 imageSize;
    guint64 imageInode;
    gint64 imageMtime;
    GArray *extents;
    VirtHptPayload table;
    VirtHptPayload state;
    char *machine;
    guint64 ramBytes;
    GArray *findings;
    char *sourceHost;
    char *sourceAccel;
    char *sourceQemu;
    char *sourceLibvirt;
    char *domainXml;
} VirtHptSnapshotDef;

VirtHptSnapshotDef *virtHptSnapshotDefNew(void);
void virtHptSnapshotDefFree(VirtHptSnapshotDef *def);

VirtHptSnapshotDef *virtHptSnapshotDefParse(const char *xml,
                                            gsize length,
                                            const char *origin,
                                            GError **error);
char *virtHptSnapshotDefFormat(const VirtHptSnapshotDef *def, gsize *length, GError **error);

const char *virtHptMmuGetName(VirtHptMmu mmu);
const char *virtHptSnapshotImageKindGetName(VirtHptSnapshotImageKind kind);
const char *virtHptImagePartGetName(VirtHptImagePart part);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptSnapshotDef, virtHptSnapshotDefFree)

G_END_DECLS
