/*
 * snapshot_exec.c: hand a command over to virt-hpt-snapshot
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "config.h"

#include "snapshot.h"

#include <errno.h>
#include <glib/gi18n.h>
#include <unistd.h>

#include "libvirt-hpt/htab_error.h"

#define PROGRAM "virt-hpt-snapshot"

/*
 * Where it was installed, or beside a virt-hpt that was not.  The environment has no say: it may be
 * a user's, while the program is root's.
 */
static char *
findProgram(void)
{
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *directory = NULL;
    g_autofree char *beside = NULL;

    if (self && !g_str_equal(self, BINDIR "/virt-hpt")) {
        directory = g_path_get_dirname(self);
        beside = g_build_filename(directory, PROGRAM, NULL);
        if (access(beside, X_OK) == 0)
            return g_steal_pointer(&beside);
    }
    return g_build_filename(PKGLIBEXECDIR, PROGRAM, NULL);
}

/**
 * virtHptSnapshotExec:
 * @tool: whose options are passed on
 * @argc: with the command's name
 * @argv: from the command's name on
 *
 * Returns: only where it fails, the exit code
 */
VirtHptExit
virtHptSnapshotExec(VirtHptTool *tool, int argc, char **argv)
{
    g_autofree char *program = findProgram();
    g_autoptr(GPtrArray) command = g_ptr_array_new();
    g_autoptr(GError) error = NULL;
    char connect[] = "-c";
    char json[] = "--json";
    char quiet[] = "-q";

    g_ptr_array_add(command, program);
    if (tool->connection) {
        g_ptr_array_add(command, connect);
        g_ptr_array_add(command, tool->connection);
    }
    if (tool->json)
        g_ptr_array_add(command, json);
    if (tool->quiet)
        g_ptr_array_add(command, quiet);
    for (int i = 0; i < argc; i++)
        g_ptr_array_add(command, argv[i]);
    g_ptr_array_add(command, NULL);
    execv(program, (char **)command->pdata);

    g_set_error(&error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED, _("cannot run '%1$s': %2$s"),
                program, g_strerror(errno));
    return virtHptToolFail(tool, error);
}
