/*
 * qemu_streampriv.h: what the parts of the stream reader share
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <string.h>

#include "qemu/qemu_stream.h"

G_BEGIN_DECLS

/* Bounds on what a stream may list; real streams stay far below */
#define VIRT_HPT_RAM_BLOCKS_MAX 4096
#define VIRT_HPT_CAPABILITIES_MAX 64

/* Target pages of ppc64 (QEMU target/ppc/cpu-param.h) */
#define VIRT_HPT_TARGET_PAGE_BITS 12
#define VIRT_HPT_TARGET_PAGE_SIZE (1U << VIRT_HPT_TARGET_PAGE_BITS)

/* Ends a part of a RAM section (QEMU 7.2 migration/ram.c) */
#define VIRT_HPT_RAM_EOS 0x10U

/* What begins with it (QEMU 7.2 migration/savevm.h) */
enum {
    VIRT_HPT_SECTION_START = 0x01,
    VIRT_HPT_SECTION_PART = 0x02,
    VIRT_HPT_SECTION_END = 0x03,
    VIRT_HPT_SECTION_FULL = 0x04,
    VIRT_HPT_SECTION_CONFIGURATION = 0x07,
    VIRT_HPT_SECTION_COMMAND = 0x08,
    VIRT_HPT_SECTION_FOOTER = 0x7e,
};

/**
 * VirtHptSectionHeader:
 *
 * A section's header, not yet consumed.
 */
typedef struct {
    guint64 offset;
    guint8 type;
    guint32 id;
    char idstr[256];
    guint32 instance;
    guint32 version;
    gsize length;
} VirtHptSectionHeader;

/**
 * VirtHptStreamReader:
 *
 * The state of one pass.  @emit tells whether bytes that are taken go to the machine state too.
 */
typedef struct {
    VirtHptSource *source;
    const VirtHptStreamOptions *options;
    VirtHptStream *stream;
    VirtHptStreamPart part;
    gboolean emit;
    gboolean ignoreShared;
    gboolean mappedRam;
    gboolean footers;
    gboolean ramStarted;
    gboolean ramEnded;
    gboolean htabStarted;
    gboolean htabEnded;
    guint32 ramSection;
    guint32 htabSection;
    guint currentBlock;     /* index in stream->ramBlocks, G_MAXUINT: none yet */
    GHashTable *blockIndex; /* name -> index in stream->ramBlocks */
} VirtHptStreamReader;

static inline guint16
virtHptReadBE16(const guint8 *p)
{
    return (guint16)((guint16)p[0] << 8 | p[1]);
}

static inline guint32
virtHptReadBE32(const guint8 *p)
{
    guint32 value;

    memcpy(&value, p, sizeof(value));
    return GUINT32_FROM_BE(value);
}

static inline guint64
virtHptReadBE64(const guint8 *p)
{
    guint64 value;

    memcpy(&value, p, sizeof(value));
    return GUINT64_FROM_BE(value);
}

void virtHptStreamBeginPart(VirtHptStreamReader *reader, VirtHptStreamPart part);
void virtHptStreamEndPart(VirtHptStreamReader *reader);

gboolean virtHptStreamEmit(VirtHptStreamReader *reader,
                           const void *data,
                           gsize length,
                           GError **error);
gboolean virtHptStreamTake(VirtHptStreamReader *reader, gsize length, GError **error);
gboolean virtHptStreamTakeBE32(VirtHptStreamReader *reader, guint32 *value, GError **error);
gboolean virtHptStreamTakeBE64(VirtHptStreamReader *reader, guint64 *value, GError **error);
gboolean virtHptStreamIsName(const guint8 *p, gsize length);
char *virtHptStreamTakeString(VirtHptStreamReader *reader,
                              gsize length,
                              const char *what,
                              GError **error);
char *virtHptStreamTakeName(VirtHptStreamReader *reader, const char *what, GError **error);

gboolean virtHptStreamReadConfiguration(VirtHptStreamReader *reader, GError **error);
gboolean virtHptStreamReadFooter(VirtHptStreamReader *reader,
                                 const VirtHptSectionHeader *header,
                                 GError **error);
gboolean virtHptStreamRefuseOrder(VirtHptStreamReader *reader,
                                  const VirtHptSectionHeader *header,
                                  GError **error);

gboolean virtHptStreamReadHtab(VirtHptStreamReader *reader,
                               const VirtHptSectionHeader *header,
                               GError **error);
gboolean virtHptStreamReadRam(VirtHptStreamReader *reader, gboolean setup, GError **error);
gboolean virtHptStreamReadDevices(VirtHptStreamReader *reader, GError **error);

G_END_DECLS
