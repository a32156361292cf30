/*
 * htab_fd.h: what gives and takes a guest's HPT as records, and the test program for all that do
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "htab_testutils.h"

G_BEGIN_DECLS

/* As the kernel has them (KVM_GET_HTAB_*) */
#define HTAB_FD_BOLTED_ONLY 1

/*
 * HtabFd:
 * @name: in the tests' names
 * @keptV: bits of V that come back as they were written
 * @guestNew: makes a guest with an empty table
 * @guestFree: ends it
 * @write: write(2) of a descriptor for writing: bytes, or a negative errno
 * @open: a descriptor for reading
 * @read: read(2): bytes, or a negative errno
 * @close: close(2)
 *
 * Who does what KVM_PPC_GET_HTAB_FD does.
 */
typedef struct {
    const char *name;
    guint64 keptV;
    gpointer (*guestNew)(guint order);
    void (*guestFree)(gpointer guest);
    gssize (*write)(gpointer guest, const void *data, gsize length);
    gpointer (*open)(gpointer guest, guint flags, guint64 startIndex);
    gssize (*read)(gpointer reader, void *buffer, gsize count);
    void (*close)(gpointer reader);
} HtabFd;

/* A record, as it was read */
typedef struct {
    guint32 index;
    guint valid;
    guint invalid;
    const guint8 *hptes;
} HtabFdRecord;

/* Entries as a sound guest writes them: 4K, not bolted; 64K, bolted; 16M */
extern const VirtHptEntry htabFdPlain;
extern const VirtHptEntry htabFdBolted;
extern const VirtHptEntry htabFdLarge;

GByteArray *htabFdMakeRecord(guint32 index, const VirtHptEntry *entries, guint n, guint invalid);
gboolean htabFdNextRecord(const guint8 **data, gsize *left, HtabFdRecord *record);
char *htabFdSay(const guint8 *data, gsize length);
void htabFdApply(VirtHptTable *table, const guint8 *data, gsize length);

gssize htabFdWrite(const HtabFd *fd,
                   gpointer guest,
                   guint32 index,
                   const VirtHptEntry *entries,
                   guint n,
                   guint invalid);
void htabFdPut(const HtabFd *fd, gpointer guest, guint32 slot, const VirtHptEntry *entry);
void htabFdClear(const HtabFd *fd, gpointer guest, guint32 slot, guint n);
GByteArray *htabFdRead(const HtabFd *fd, gpointer reader, gsize count);
VirtHptTable *htabFdTableNew(guint order);
VirtHptTable *htabFdReadTable(const HtabFd *fd, gpointer guest, guint order);
VirtHptEntry htabFdRandomEntry(guint64 keptV);

/* A guest with an empty table of HTAB_FD_ORDER, for a case of its own */
#define HTAB_FD_ORDER 18
#define HTAB_FD_SLOTS (1U << (HTAB_FD_ORDER - 4))

typedef struct {
    const HtabFd *fd;
    gpointer guest;
} HtabFdFixture;

typedef void (*HtabFdFunc)(HtabFdFixture *f, gconstpointer data);

void htabFdAdd(const HtabFd *fd, const char *name, HtabFdFunc func);

void htabFdAddReadTests(const HtabFd *fd);
void htabFdAddWriteTests(const HtabFd *fd);

extern const HtabFd htabFdTracker;

G_END_DECLS
