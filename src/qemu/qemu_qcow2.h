/*
 * qemu_qcow2.h: what the header of a qcow2 image says
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* As much of an image as is looked at, in bytes: QEMU writes header, extensions and the name of the
 * backing file into the first cluster, one after the other */
#define VIRT_HPT_QCOW2_HEAD ((gsize)64 * 1024)

/**
 * VirtHptQcow2:
 * @version: of the format, 2 or 3
 * @backing: the backing file as the header names it, or %NULL where there is none
 * @backingFormat: its format as the header names it, or %NULL
 * @dataFile: whether the guest's data is in another file
 */
typedef struct {
    guint version;
    char *backing;
    char *backingFormat;
    gboolean dataFile;
} VirtHptQcow2;

gboolean virtHptQcow2Probe(const guint8 *head, gsize length);
VirtHptQcow2 *virtHptQcow2Parse(const guint8 *head, gsize length, const char *name, GError **error);
void virtHptQcow2Free(VirtHptQcow2 *header);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtHptQcow2, virtHptQcow2Free)

G_END_DECLS
