/*
 * qemu_dryrun.h: the skeleton of a save image, and what QEMU says when it is restored
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A skeleton is a save image with machine state and HPT, and without RAM contents: QEMU restores
 * it into a paused guest in a time that does not depend on the guest's RAM.
 */

#pragma once

#include "libvirt-hpt/htab_stream.h"
#include "libvirt-hpt/htab_table.h"

G_BEGIN_DECLS

gboolean virtHptSkeletonWrite(int state,
                              const char *name,
                              const VirtHptTable *table,
                              const char *domainXml,
                              VirtHptWriteFunc write,
                              gpointer opaque,
                              GError **error);

/**
 * VirtHptRefusal:
 * @code: stable reason code ('machine-type'), never translated
 * @advice: what to do about it, to be translated, or %NULL
 * @artefact: whether the dry run itself is the cause: nothing can be said
 * @unchecked: whether QEMU gave up where it compares a state with RAM contents, which a dry run
 *   has not: the real restore may or may not do so, and takes all that came before
 *
 * What a message of QEMU's means.
 */
typedef struct {
    const char *code;
    const char *advice;
    gboolean artefact;
    gboolean unchecked;
} VirtHptRefusal;

const VirtHptRefusal *virtHptRefusalRecognise(const char *log, char **line);
char *virtHptRefusalGetDevice(const char *log);
guint virtHptLogCountUncheckedQueues(const char *log);

G_END_DECLS
