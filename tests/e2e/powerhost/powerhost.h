/*
 * powerhost.h: the tests that run on an emulated POWER host
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "hostvm.h"
#include "htab_fd.h"

G_BEGIN_DECLS

const HtabFd *kernelFd(void);

void addDescriptorTests(void);
void addTableTests(void);
void addNestedTests(void);
void addVcpuTests(void);
void addCompareTests(void);

G_END_DECLS
