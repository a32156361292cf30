/*
 * virt-hpt.c: reads, checks and records the hashed page table of ppc64 pseries guests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "config.h"

#include <glib/gi18n.h>

#include "program.h"
#include "snapshot.h"

static const VirtHptCommand commands[] = {
    {
        "inspect",
        {"FILE"},
        N_("Show what an image or a record holds"),
        N_("FILE is a save image, a memory snapshot, a migration stream, a record directory, or a file that holds a table alone."),
        virtHptCmdInspect,
    },
    {
        "check",
        {"[FILE]"},
        N_("Check a hashed page table as fsck checks a file system"),
        N_("FILE may be left out with --explain alone. Exit code: 0 consistent, 2 errors or a malformed file, 3 warnings only."),
        virtHptCmdCheck,
    },
    {
        "entry-list",
        {"FILE"},
        N_("List the valid entries of a hashed page table"),
        N_("Filters add up: an entry is listed if all of them match. With --json each line is an object of its own."),
        virtHptCmdEntryList,
    },
    {
        "decode",
        {"V", "R"},
        N_("Explain one entry, given its two doublewords"),
        N_("V and R are hexadecimal, with or without 0x. The exit code is 2 if a valid entry has an invalid encoding or, with --slot and --order, is misplaced."),
        virtHptCmdDecode,
    },
    {
        "diff",
        {"A", "B"},
        N_("Tell what changed from one hashed page table to another"),
        N_("A and B are images, records, or tables as 'extract' writes them. Exit code: 0 equal, 2 different."),
        virtHptCmdDiff,
    },
    {
        "apply",
        {"BASE", "DELTA"},
        N_("Make a hashed page table of another one and a delta"),
        N_("BASE is an image, a record, or a table; DELTA is what 'diff' wrote, or a pass of a migration. Exit code: 0 applied, 2 DELTA is malformed, 3 applied and DELTA was not made from BASE."),
        virtHptCmdApply,
    },
    {
        "extract",
        {"FILE"},
        N_("Write the hashed page table to a file of its own"),
        N_("Formats: 'qemu' is the body of the section spapr/htab: order, records, end marker, all big-endian. 'kvm-le' and 'kvm-be' are records alone, as KVM_PPC_GET_HTAB_FD takes them on hosts of that byte order."),
        virtHptCmdExtract,
    },
    {
        "record",
        {"FILE"},
        N_("Record the hashed page table of an image beside it"),
        N_("Exit code: 0 recorded or unchanged, 3 recorded and the table has errors or warnings, which the record keeps."),
        virtHptCmdRecord,
    },
    {
        "validate",
        {"FILE"},
        N_("Tell whether an image may be restored"),
        N_("FILE is an image or a record directory. Levels: 'record', 'table', and, for root, 'dry-run': a restore without RAM contents by this host's libvirt and QEMU, which is thrown away. Exit code: 0 passed, 2 failed, 3 passed with warnings."),
        virtHptCmdValidate,
    },
    VIRT_HPT_SNAPSHOT_COMMANDS(virtHptSnapshotExec),
    {.name = NULL},
};

int
main(int argc, char **argv)
{
    return virtHptProgramRun(commands, argc, argv);
}
