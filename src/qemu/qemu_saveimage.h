/*
 * qemu_saveimage.h: the header of libvirt's save image
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Layout: libvirt 9.0 src/qemu/qemu_saveimage.h virQEMUSaveHeader.  92 bytes: magic[16], then
 * 32-bit words in the writer's byte order: version, data_len, was_running, compressed,
 * cookieOffset, unused[14].  Then data_len bytes: domain XML and NUL, cookie and NUL, padding.
 */

#pragma once

#include "qemu/qemu_source.h"

G_BEGIN_DECLS

#define VIRT_HPT_SAVE_MAGIC "LibvirtQemudSave"
#define VIRT_HPT_SAVE_MAGIC_PARTIAL "LibvirtQemudPart"
#define VIRT_HPT_SAVE_MAGIC_SIZE 16
#define VIRT_HPT_SAVE_HEADER_SIZE 92

/* The longest domain XML and cookie that are read, in bytes */
#define VIRT_HPT_SAVE_DATA_MAX (16 * 1024 * 1024)

/**
 * VirtHptSaveFormat:
 *
 * Values of the header's "compressed" (libvirt 11.3 src/qemu/qemu_saveimage.h).
 */
typedef enum {
    VIRT_HPT_SAVE_FORMAT_RAW = 0,
    VIRT_HPT_SAVE_FORMAT_GZIP = 1,
    VIRT_HPT_SAVE_FORMAT_BZIP2 = 2,
    VIRT_HPT_SAVE_FORMAT_XZ = 3,
    VIRT_HPT_SAVE_FORMAT_LZOP = 4,
    VIRT_HPT_SAVE_FORMAT_ZSTD = 5,
    VIRT_HPT_SAVE_FORMAT_SPARSE = 6,
} VirtHptSaveFormat;

/**
 * VirtHptSaveHeader:
 * @format: how the stream behind the header is stored
 * @wasRunning: whether libvirt resumes the guest after a restore
 * @domainXml: the domain's XML, unchecked
 */
typedef struct {
    VirtHptSaveFormat format;
    gboolean wasRunning;
    char *domainXml;
} VirtHptSaveHeader;

gboolean virtHptSaveHeaderRead(VirtHptSource *source, VirtHptSaveHeader *header, GError **error);
void virtHptSaveHeaderClear(VirtHptSaveHeader *header);

const char *virtHptSaveFormatGetName(guint32 format);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VirtHptSaveHeader, virtHptSaveHeaderClear)

G_END_DECLS
