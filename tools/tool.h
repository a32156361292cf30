/*
 * tool.h: what every command of virt-hpt shares
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#pragma once

#include <glib.h>

#include "output.h"
#include "snapshot/snapshot_subject.h"

G_BEGIN_DECLS

/**
 * VirtHptExit:
 * @VIRT_HPT_EXIT_GOOD: done, and nothing to object to
 * @VIRT_HPT_EXIT_FAILED: could not do it
 * @VIRT_HPT_EXIT_BAD: checked, and found bad
 * @VIRT_HPT_EXIT_WARNED: done, with warnings
 * @VIRT_HPT_EXIT_UNSUPPORTED: the input is recognised, and cannot be read by this version
 * @VIRT_HPT_EXIT_USAGE: the command line is wrong
 *
 * Exit codes.  They are stable: scripts branch on them.
 */
typedef enum {
    VIRT_HPT_EXIT_GOOD = 0,
    VIRT_HPT_EXIT_FAILED = 1,
    VIRT_HPT_EXIT_BAD = 2,
    VIRT_HPT_EXIT_WARNED = 3,
    VIRT_HPT_EXIT_UNSUPPORTED = 63,
    VIRT_HPT_EXIT_USAGE = 64,
} VirtHptExit;

typedef struct _VirtHptTool VirtHptTool;

/* Runs a command whose name is argv[0] */
typedef VirtHptExit (*VirtHptCommandFunc)(VirtHptTool *tool, int argc, char **argv);

#define VIRT_HPT_OPERANDS_MAX 2

/**
 * VirtHptCommand:
 * @name: as the user types it
 * @operands: what it needs besides options; one in brackets may be left out
 * @summary: one line for the list of commands, to be translated
 * @description: what the command's own help adds, to be translated
 * @run: does it
 */
typedef struct {
    const char *name;
    const char *operands[VIRT_HPT_OPERANDS_MAX + 1];
    const char *summary;
    const char *description;
    VirtHptCommandFunc run;
} VirtHptCommand;

/**
 * VirtHptTool:
 * @command: the command that runs, or %NULL
 * @connection: libvirt connection URI, or %NULL
 * @json: whether to print JSON
 * @quiet: whether to leave out headers, hints and progress
 * @out: standard output
 */
struct _VirtHptTool {
    const VirtHptCommand *command;
    char *connection;
    gboolean json;
    gboolean quiet;
    VirtHptOutput *out;
};

VirtHptExit virtHptToolFail(VirtHptTool *tool, const GError *error);
VirtHptExit virtHptToolFailCheck(VirtHptTool *tool, const GError *error);
VirtHptExit virtHptToolUsage(VirtHptTool *tool, const char *format, ...) G_GNUC_PRINTF(2, 3);
void virtHptToolWarn(const VirtHptTool *tool, const char *format, ...) G_GNUC_PRINTF(2, 3);

VirtHptSubject *virtHptToolOpen(const VirtHptTool *tool, const char *path, GError **error);
VirtHptSubject *virtHptToolOpenTable(const VirtHptTool *tool, const char *path, GError **error);

VirtHptExit virtHptCmdInspect(VirtHptTool *tool, int argc, char **argv);
VirtHptExit virtHptCmdCheck(VirtHptTool *tool, int argc, char **argv);
VirtHptExit virtHptCmdEntryList(VirtHptTool *tool, int argc, char **argv);
VirtHptExit virtHptCmdDecode(VirtHptTool *tool, int argc, char **argv);
VirtHptExit virtHptCmdDiff(VirtHptTool *tool, int argc, char **argv);
VirtHptExit virtHptCmdApply(VirtHptTool *tool, int argc, char **argv);
VirtHptExit virtHptCmdExtract(VirtHptTool *tool, int argc, char **argv);
VirtHptExit virtHptCmdRecord(VirtHptTool *tool, int argc, char **argv);
VirtHptExit virtHptCmdValidate(VirtHptTool *tool, int argc, char **argv);

G_END_DECLS
