/*
 * xml_read.h: elements and attributes of a tree that a schema has approved
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "conf/xml_util.h"

G_BEGIN_DECLS

/* Sets VIRT_HPT_ERROR_MALFORMED at the line of an element */
#define virtHptXmlSetMalformed(error, origin, node, ...)                                           \
    virtHptXmlSetError(error, VIRT_HPT_ERROR_MALFORMED, origin, xmlGetLineNo(node), __VA_ARGS__)

xmlNode *virtHptXmlNext(xmlNode *node, const char *name);
xmlNode *virtHptXmlChild(const xmlNode *parent, const char *name);
xmlNode *virtHptXmlRequire(const xmlNode *parent,
                           const char *name,
                           const char *origin,
                           GError **error);

void virtHptXmlDrop(xmlNode *parent, const char *name);

xmlNode *virtHptXmlFindDisk(const xmlNode *devices, const char *target);
char *virtHptXmlGetAttribute(xmlNode *node, const char *name);
gboolean virtHptXmlReadText(xmlNode *node,
                            const char *name,
                            const char *origin,
                            char **text,
                            GError **error);
gboolean virtHptXmlReadNumber(xmlNode *node,
                              const char *name,
                              guint64 max,
                              const char *origin,
                              guint64 *number,
                              GError **error);
gboolean virtHptXmlReadEnum(xmlNode *node,
                            const char *name,
                            const char *const *names,
                            const char *origin,
                            guint *index,
                            GError **error);

G_END_DECLS
