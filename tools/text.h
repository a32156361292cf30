/*
 * text.h: values as people read them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

gboolean virtHptTextIsUnsafe(gunichar c);
char *virtHptTextEscape(const char *text);
char *virtHptTextXml(const char *xml);
char *virtHptTextShellQuote(const char *path);
guint virtHptTextWidth(const char *text);
char *virtHptTextSize(guint64 bytes);
char *virtHptTextPageSize(guint shift);
char *virtHptTextTime(gint64 seconds);

G_END_DECLS
