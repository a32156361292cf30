/*
 * snapshot.h: the commands that need libvirt, which live in a program of their own
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * To load libvirt takes longer than most commands of virt-hpt take to run, so virt-hpt only knows
 * their names, and hands over to virt-hpt-snapshot.
 */

#pragma once

#include "tool.h"

G_BEGIN_DECLS

VirtHptExit virtHptSnapshotExec(VirtHptTool *tool, int argc, char **argv);

VirtHptExit virtHptCmdSnapshotCreateAs(VirtHptTool *tool, int argc, char **argv);
VirtHptExit virtHptCmdSnapshotList(VirtHptTool *tool, int argc, char **argv);
VirtHptExit virtHptCmdSnapshotInfo(VirtHptTool *tool, int argc, char **argv);
VirtHptExit virtHptCmdSnapshotDumpxml(VirtHptTool *tool, int argc, char **argv);
VirtHptExit virtHptCmdSnapshotValidate(VirtHptTool *tool, int argc, char **argv);
VirtHptExit virtHptCmdSnapshotRevert(VirtHptTool *tool, int argc, char **argv);
VirtHptExit virtHptCmdSnapshotDelete(VirtHptTool *tool, int argc, char **argv);

/* Both programs list them */
#define VIRT_HPT_SNAPSHOT_COMMANDS(func)                                                                                                                                                                  \
    {                                                                                                                                                                                                     \
        "snapshot-create-as",                                                                                                                                                                             \
        {"DOMAIN", "[NAME]"},                                                                                                                                                                             \
        N_("Make an external snapshot of a domain, and record it"),                                                                                                                                       \
        N_("Its name is the time in seconds if none is given. Exit code: 0 made and recorded, 3 made, and not recorded."),                                                                                \
        func,                                                                                                                                                                                             \
    },                                                                                                                                                                                                    \
        {                                                                                                                                                                                                 \
            "snapshot-list",                                                                                                                                                                              \
            {"DOMAIN"},                                                                                                                                                                                   \
            N_("List the snapshots of a domain"),                                                                                                                                                         \
            N_("A snapshot without a record is listed as such."),                                                                                                                                         \
            func,                                                                                                                                                                                         \
        },                                                                                                                                                                                                \
        {                                                                                                                                                                                                 \
            "snapshot-info",                                                                                                                                                                              \
            {"DOMAIN", "[NAME]"},                                                                                                                                                                         \
            N_("Show what a snapshot and its record hold"),                                                                                                                                               \
            N_("With --current, the current snapshot is meant."),                                                                                                                                         \
            func,                                                                                                                                                                                         \
        },                                                                                                                                                                                                \
        {                                                                                                                                                                                                 \
            "snapshot-dumpxml",                                                                                                                                                                           \
            {"DOMAIN", "[NAME]"},                                                                                                                                                                         \
            N_("Print the descriptor of a snapshot's record"),                                                                                                                                            \
            N_("With --current, the current snapshot is meant."),                                                                                                                                         \
            func,                                                                                                                                                                                         \
        },                                                                                                                                                                                                \
        {                                                                                                                                                                                                 \
            "snapshot-validate",                                                                                                                                                                          \
            {"DOMAIN", "[NAME]"},                                                                                                                                                                         \
            N_("Tell whether a snapshot may be reverted to"),                                                                                                                                             \
            N_("Exit code: 0 passed, 2 failed, 3 passed with warnings."),                                                                                                                                 \
            func,                                                                                                                                                                                         \
        },                                                                                                                                                                                                \
        {                                                                                                                                                                                                 \
            "snapshot-revert",                                                                                                                                                                            \
            {"DOMAIN", "[NAME]"},                                                                                                                                                                         \
            N_("Revert a domain to a snapshot that was validated"),                                                                                                                                       \
            N_("The state of the running guest is saved first, and brought back if the revert fails. Exit code: 0 reverted, 2 refused, or the guest is paused since its table is not the recorded one."), \
            func,                                                                                                                                                                                         \
        },                                                                                                                                                                                                \
    {                                                                                                                                                                                                     \
        "snapshot-delete", {"DOMAIN", "[NAME]"}, N_("Delete a snapshot and its record"),                                                                                                                  \
            N_("With --current, the current snapshot is meant."), func,                                                                                                                                   \
    }

G_END_DECLS
