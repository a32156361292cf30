/*
 * hostvm.h: a VM of KVM-HV, as small as it can be
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Requires a POWER host with /dev/kvm; fails the test that calls it where there is none.
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The guest's memory, from real address 0 on, and the host's page size behind it */
#define HOST_VM_MEMORY ((gsize)16 * 1024 * 1024)
#define HOST_VM_PAGE ((gsize)64 * 1024)

/* Where the guest program counts, and how far apart the pages are that it touches */
#define HOST_VM_COUNTER ((gsize)2 * HOST_VM_PAGE)

typedef struct {
    int kvmFd;
    int fd;
    guint8 *memory; /* NULL: the guest has none */
    int vcpuFd;     /* -1: none */
    gpointer run;   /* struct kvm_run, mapped */
    gsize runSize;
    GThread *thread; /* runs the vCPU */
    gint threadId;   /* -1: not begun; 0: ended */
    gint stop;
    gint exitReason; /* why it ended by itself; -1: it did not */
} HostVm;

HostVm *hostVmNew(void);
HostVm *hostVmNewWithTable(guint order);
HostVm *hostVmNewThatCounts(guint order);
void hostVmFree(HostVm *vm);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HostVm, hostVmFree)

gboolean hostIsArch300(void);
gboolean hostIsRadix(void);
gboolean hostIsGuest(void);
gboolean hostMixesMmus(void);

int hostVmAllocate(HostVm *vm, guint order);
int hostVmConfigureMmu(HostVm *vm, guint64 flags, guint64 processTable);
int hostVmResize(HostVm *vm, gulong request, guint order);
gint hostVmCapability(const HostVm *vm, glong capability);
int hostVmGetHtab(const HostVm *vm, guint64 flags, guint64 start, guint64 reserved);

void hostVmAddMemory(HostVm *vm);
void hostVmLoad(HostVm *vm, const guint32 *code, guint n);
void hostVmAddVcpu(HostVm *vm);
guint64 hostVmGetLpcr(const HostVm *vm);
void hostVmStart(HostVm *vm);
void hostVmStop(HostVm *vm);
guint64 hostVmGetCount(const HostVm *vm);
void hostVmCopyMemory(HostVm *to, const HostVm *from);
void hostVmWaitCount(const HostVm *vm);
void hostVmRunAndStop(HostVm *vm);

G_END_DECLS
