/*
 * qemu_libvirt.c: libvirt's objects and errors in GLib's manner
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "qemu/qemu_libvirt.h"

static VirtHptError
codeOf(const virError *last)
{
    switch (last ? last->code : VIR_ERR_INTERNAL_ERROR) {
    case VIR_ERR_NO_DOMAIN:
    case VIR_ERR_NO_DOMAIN_SNAPSHOT:
        return VIRT_HPT_ERROR_NOT_FOUND;
    case VIR_ERR_NO_SUPPORT:
    case VIR_ERR_OPERATION_UNSUPPORTED:
    case VIR_ERR_CONFIG_UNSUPPORTED:
    case VIR_ERR_ARGUMENT_UNSUPPORTED:
        return VIRT_HPT_ERROR_UNSUPPORTED;
    default:
        return VIRT_HPT_ERROR_FAILED;
    }
}

/**
 * virtHptLibvirtSetError:
 * @error: set: %VIRT_HPT_ERROR_NOT_FOUND, %VIRT_HPT_ERROR_UNSUPPORTED or %VIRT_HPT_ERROR_FAILED
 * @format: what could not be done, translated
 *
 * Sets an error that ends with libvirt's own message for what failed last in this thread.
 *
 * Returns: %FALSE
 */
gboolean
virtHptLibvirtSetError(GError **error, const char *format, ...)
{
    const virError *last = virGetLastError();
    g_autofree char *what = NULL;
    va_list args;

    va_start(args, format);
    what = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, VIRT_HPT_ERROR, (gint)codeOf(last), "%s: %s", what,
                virGetLastErrorMessage());
    return FALSE;
}
