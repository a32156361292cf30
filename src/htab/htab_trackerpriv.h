/*
 * htab_trackerpriv.h: what the two sides of a tracker share
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "libvirt-hpt/htab_stream.h"
#include "libvirt-hpt/htab_tracker.h"

G_BEGIN_DECLS

/* Slots whose marks are in one word */
#define VIRT_HPT_TRACKER_WORD_SLOTS 64

struct _VirtHptTracker {
    VirtHptTable *table; /* the caller's */
    guint64 slots;
    guint readers;
    guint64 *changed; /* bit n of the array is slot n's */
};

/* That of the headers of records, as @flags, which are VirtHptTrackerFlags, ask for */
static inline VirtHptEncoding
virtHptTrackerEncoding(guint flags)
{
    return flags & VIRT_HPT_TRACKER_BIG_ENDIAN ? VIRT_HPT_ENCODING_KVM_BE : VIRT_HPT_ENCODING_KVM;
}

G_END_DECLS
