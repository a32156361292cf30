/*
 * lib_init.c: what the shared library does when it is loaded
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <libintl.h>

/* Programs bind their own text domain: nobody else knows where ours is */
static void initialise(void) __attribute__((constructor));

static void
initialise(void)
{
    bindtextdomain(GETTEXT_PACKAGE, LOCALEDIR);
    bind_textdomain_codeset(GETTEXT_PACKAGE, "UTF-8");
}
