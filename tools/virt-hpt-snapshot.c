/*
 * virt-hpt-snapshot.c: the commands of virt-hpt that need libvirt
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * virt-hpt runs it; it is not meant to be run by hand.
 */

#include "config.h"

#include <glib/gi18n.h>

#include "program.h"
#include "snapshot.h"
#include "snapshot_common.h"

static const struct {
    const char *name;
    VirtHptCommandFunc run;
} functions[] = {
    {"snapshot-create-as", virtHptCmdSnapshotCreateAs},
    {"snapshot-list", virtHptCmdSnapshotList},
    {"snapshot-info", virtHptCmdSnapshotInfo},
    {"snapshot-dumpxml", virtHptCmdSnapshotDumpxml},
    {"snapshot-validate", virtHptCmdSnapshotValidate},
    {"snapshot-revert", virtHptCmdSnapshotRevert},
    {"snapshot-delete", virtHptCmdSnapshotDelete},
};

static VirtHptExit
run(VirtHptTool *tool, int argc, char **argv)
{
    for (gsize i = 0; i < G_N_ELEMENTS(functions); i++) {
        if (g_str_equal(tool->command->name, functions[i].name))
            return functions[i].run(tool, argc, argv);
    }
    g_return_val_if_reached(VIRT_HPT_EXIT_FAILED);
}

static const VirtHptCommand commands[] = {
    VIRT_HPT_SNAPSHOT_COMMANDS(run),
    {.name = NULL},
};

/* libvirt prints its errors to standard error by itself unless told not to. */
static void
ignoreError(void *opaque G_GNUC_UNUSED, virError *error G_GNUC_UNUSED)
{
}

int
main(int argc, char **argv)
{
    virSetErrorFunc(NULL, ignoreError);
    return virtHptProgramRun(commands, argc, argv);
}
