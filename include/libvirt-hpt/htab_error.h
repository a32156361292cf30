/*
 * htab_error.h: the error domain of libvirt-hpt
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define VIRT_HPT_ERROR (virtHptErrorQuark())

/**
 * VirtHptError:
 * @VIRT_HPT_ERROR_FAILED: the operation could not be carried out
 * @VIRT_HPT_ERROR_IO: a system call failed; the message holds its reason
 * @VIRT_HPT_ERROR_MALFORMED: the input violates its own format; the message holds where
 * @VIRT_HPT_ERROR_UNSUPPORTED: the input is recognised, and cannot be read by this version
 * @VIRT_HPT_ERROR_LIMIT: the input is well formed, and exceeds a stated bound
 * @VIRT_HPT_ERROR_DAMAGED: recorded data does not match its digest
 * @VIRT_HPT_ERROR_UNTRUSTED: a link, or a file of another owner, where our own file belongs
 * @VIRT_HPT_ERROR_NOT_FOUND: what was asked for does not exist
 * @VIRT_HPT_ERROR_EXISTS: what was to be created exists already
 * @VIRT_HPT_ERROR_BUSY: not while the guest runs
 *
 * Codes of the domain %VIRT_HPT_ERROR.  They are stable: a caller may branch on them.
 */
typedef enum {
    VIRT_HPT_ERROR_FAILED,
    VIRT_HPT_ERROR_IO,
    VIRT_HPT_ERROR_MALFORMED,
    VIRT_HPT_ERROR_UNSUPPORTED,
    VIRT_HPT_ERROR_LIMIT,
    VIRT_HPT_ERROR_DAMAGED,
    VIRT_HPT_ERROR_UNTRUSTED,
    VIRT_HPT_ERROR_NOT_FOUND,
    VIRT_HPT_ERROR_EXISTS,
    VIRT_HPT_ERROR_BUSY,
} VirtHptError;

GQuark virtHptErrorQuark(void);

const char *virtHptErrorName(VirtHptError code);

G_END_DECLS
