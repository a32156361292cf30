/*
 * qemu_capture.h: the HPT of a guest that runs, or is paused
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "qemu/qemu_libvirt.h"
#include "qemu/qemu_stream.h"

G_BEGIN_DECLS

VirtHptStream *virtHptCapture(virDomain *domain,
                              const VirtHptStreamOptions *options,
                              guint timeout,
                              GError **error);
gboolean virtHptCaptureCheckSpent(virDomain *domain, GError **error);

G_END_DECLS
