/*
 * powerhost.h: the tests that run on an emulated POWER host
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "hostvm.h"
#include "htab_fd.h"
#include "libvirt-hpt/htab_kvm.h"

G_BEGIN_DECLS

const HtabFd *kernelFd(void);

VirtHptKvmReader *kernelReader(const HostVm *vm, guint order, guint flags);
VirtHptKvmWriter *kernelWriter(const HostVm *vm, guint order);
VirtHptKvmPass kernelPass(VirtHptKvmReader *reader, VirtHptTable *table);
void kernelAssertProbes(const HostVm *vm, VirtHptKvmState expected, guint expectedOrder);

void addDescriptorTests(void);
void addTableTests(void);
void addNestedTests(void);
void addVcpuTests(void);
void addResizeTests(void);
void addChangesTests(void);
void addCompareTests(void);

G_END_DECLS
