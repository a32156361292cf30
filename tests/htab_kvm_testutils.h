/*
 * htab_kvm_testutils.h: a socket where the kernel's HPT file descriptor would be
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * It keeps the boundaries of packets: one read(2) or write(2) is one packet.
 */

#pragma once

#include "libvirt-hpt/htab_kvm.h"
#include "htab_testutils.h"

G_BEGIN_DECLS

#define TRANSPORT_ORDER 18

/* The reader or writer under test has @theirs */
typedef struct {
    int ours;
    int theirs;
    GByteArray *packet;
} Transport;

typedef void (*TransportFunc)(Transport *transport, gconstpointer data);

/* An entry with the private bits that the kernel gives */
extern const VirtHptEntry transportSample;

VirtHptTable *transportTableNew(void);
void transportAdd(const char *path, gconstpointer data, TransportFunc func);

G_END_DECLS
