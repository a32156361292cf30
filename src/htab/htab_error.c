/*
 * htab_error.c: the error domain of libvirt-hpt
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "libvirt-hpt/htab_error.h"

static const char *const errorNames[] = {
    [VIRT_HPT_ERROR_FAILED] = "failed",       [VIRT_HPT_ERROR_IO] = "io",
    [VIRT_HPT_ERROR_MALFORMED] = "malformed", [VIRT_HPT_ERROR_UNSUPPORTED] = "unsupported",
    [VIRT_HPT_ERROR_LIMIT] = "limit",         [VIRT_HPT_ERROR_DAMAGED] = "damaged",
    [VIRT_HPT_ERROR_UNTRUSTED] = "untrusted", [VIRT_HPT_ERROR_NOT_FOUND] = "not-found",
    [VIRT_HPT_ERROR_EXISTS] = "exists",       [VIRT_HPT_ERROR_BUSY] = "busy",
};

/**
 * virtHptErrorName:
 * @code: a code of the domain %VIRT_HPT_ERROR
 *
 * Returns: the stable name of @code, as `--json` prints it; never translated
 */
const char *
virtHptErrorName(VirtHptError code)
{
    if ((guint)code >= G_N_ELEMENTS(errorNames))
        return "failed";
    return errorNames[code];
}

/**
 * virtHptErrorQuark:
 *
 * Returns: the quark behind %VIRT_HPT_ERROR
 */
GQuark
virtHptErrorQuark(void)
{
    return g_quark_from_static_string("virt-hpt-error-quark");
}
