/*
 * options.h: the command line
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#pragma once

#include "tool.h"

G_BEGIN_DECLS

gboolean virtHptOptionsParseLeading(VirtHptTool *tool,
                                    int *argc,
                                    char ***argv,
                                    gboolean *help,
                                    VirtHptExit *status);
gboolean virtHptOptionsParse(VirtHptTool *tool,
                             const GOptionEntry *entries,
                             int argc,
                             char **argv,
                             char ***operands,
                             VirtHptExit *status);

gboolean virtHptOptionsWantJson(int argc, char **argv);

gboolean virtHptOptionsNumber(const char *text, guint64 min, guint64 max, guint64 *value);
gboolean virtHptOptionsHex(const char *text, guint bits, guint64 *high, guint64 *low);

G_END_DECLS
