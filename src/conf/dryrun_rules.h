/*
 * dryrun_rules.h: the allow list of a dry run's domain XML
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A rule says of one element what of it may stand in the XML that libvirt is given.  What no rule
 * names is refused, never copied.  No kind of value can hold a path.
 */

#pragma once

#include "conf/xml_util.h"

G_BEGIN_DECLS

/**
 * VirtHptDryRunKind:
 * @VIRT_HPT_DRY_RUN_DROP: a host resource, or nothing that the guest sees: left out
 * @VIRT_HPT_DRY_RUN_NUMBER: decimal, or hexadecimal with 0x
 * @VIRT_HPT_DRY_RUN_WORD: up to 64 letters, digits and "_.:+-", a letter or digit first
 * @VIRT_HPT_DRY_RUN_SET: numbers and ranges ('0-3,8')
 * @VIRT_HPT_DRY_RUN_ONE_OF: a word of the rule's list
 * @VIRT_HPT_DRY_RUN_FIXED: the rule's value, whatever stood there
 *
 * What a value may be.
 */
typedef enum {
    VIRT_HPT_DRY_RUN_DROP,
    VIRT_HPT_DRY_RUN_NUMBER,
    VIRT_HPT_DRY_RUN_WORD,
    VIRT_HPT_DRY_RUN_SET,
    VIRT_HPT_DRY_RUN_ONE_OF,
    VIRT_HPT_DRY_RUN_FIXED,
} VirtHptDryRunKind;

/**
 * VirtHptDryRunAttribute:
 * @name: of an attribute without a namespace; %NULL ends a list
 * @kind: what its value may be
 * @arg: of @kind: words between blanks, or the value
 */
typedef struct {
    const char *name;
    VirtHptDryRunKind kind;
    const char *arg;
} VirtHptDryRunAttribute;

typedef struct _VirtHptDryRunElement VirtHptDryRunElement;
typedef struct _VirtHptDryRunContext VirtHptDryRunContext;

/**
 * VirtHptDryRunAmendFunc:
 * @copy: the element as the rule made it
 * @node: the element of the original
 * @context: of the run
 *
 * Puts into @copy what replaces a host resource.
 */
typedef void (*VirtHptDryRunAmendFunc)(xmlNode *copy, xmlNode *node, VirtHptDryRunContext *context);

/**
 * VirtHptDryRunElement:
 * @name: of an element without a namespace; %NULL ends a list
 * @drop: leave it out with all that is in it
 * @text: whether its text is kept, as @textKind says
 * @textKind: what the text may be
 * @textArg: of @textKind
 * @attributes: those that it may have, or %NULL: none
 * @children: those that it may have, or %NULL: none
 * @amend: called in the end, or %NULL
 */
struct _VirtHptDryRunElement {
    const char *name;
    gboolean drop;
    gboolean text;
    VirtHptDryRunKind textKind;
    const char *textArg;
    const VirtHptDryRunAttribute *attributes;
    const VirtHptDryRunElement *children;
    VirtHptDryRunAmendFunc amend;
};

/* The rule of <domain> */
extern const VirtHptDryRunElement virtHptDryRunDomain;

/* In dryrun_conf.c */
void virtHptDryRunAmendDisk(xmlNode *copy, xmlNode *node, VirtHptDryRunContext *context);
void virtHptDryRunAmendInterface(xmlNode *copy, xmlNode *node, VirtHptDryRunContext *context);
void virtHptDryRunAmendRng(xmlNode *copy, xmlNode *node, VirtHptDryRunContext *context);
void virtHptDryRunAmendCpu(xmlNode *copy, xmlNode *node, VirtHptDryRunContext *context);
void virtHptDryRunAmendDomain(xmlNode *copy, xmlNode *node, VirtHptDryRunContext *context);

G_END_DECLS
