/*
 * virt-hpt.c: reads, checks and records the hashed page table of ppc64 pseries guests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n.h>
#include <locale.h>
#include <signal.h>
#include <unistd.h>

#include "options.h"
#include "tool.h"

static const VirtHptCommand commands[] = {
    {
        "inspect",
        {"FILE"},
        N_("Show what an image or a record holds"),
        N_("FILE is a save image, a memory snapshot, a migration stream or a record directory."),
        virtHptCmdInspect,
    },
    {
        "check",
        {"FILE"},
        N_("Check a hashed page table as fsck checks a file system"),
        N_("Exit code: 0 consistent, 2 errors or a malformed file, 3 warnings only."),
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
        N_("V and R are hexadecimal, with or without 0x. With --slot and --order the exit code is 2 if the encoding is invalid or the entry is misplaced."),
        virtHptCmdDecode,
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
        N_("FILE is an image or a record directory. Exit code: 0 passed, 2 failed, 3 passed with warnings."),
        virtHptCmdValidate,
    },
};

#define NAME_WIDTH 12

static void
printHelp(VirtHptTool *tool)
{
    virtHptOutputPrintf(
        tool->out, "%s\n\n%s", _("Usage: virt-hpt [OPTION...] COMMAND [OPTION...] OPERAND..."),
        _("Reads, checks and records the hashed page table of ppc64 pseries guests."));
    virtHptOutputPrintf(tool->out, "\n\n%s\n", _("Commands:"));
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++) {
        virtHptOutputPuts(tool->out, "  ");
        virtHptOutputPadded(tool->out, commands[i].name, NAME_WIDTH);
        virtHptOutputPrintf(tool->out, "%s\n", _(commands[i].summary));
    }
    virtHptOutputPuts(tool->out, "  ");
    virtHptOutputPadded(tool->out, "help", NAME_WIDTH);
    virtHptOutputPrintf(tool->out, "%s\n\n%s\n", _("Show the help of a command"),
                        _("Options of all commands:"));
    virtHptOutputPrintf(tool->out, "  -c, --connect=URI   %s\n",
                        _("Connect to this libvirt, where the command needs one"));
    virtHptOutputPrintf(tool->out, "  --json              %s\n", _("Print JSON"));
    virtHptOutputPrintf(tool->out, "  -q, --quiet         %s\n",
                        _("No headers, hints, summaries or progress"));
    virtHptOutputPrintf(tool->out, "  -h, --help          %s\n", _("Show this help"));
    virtHptOutputPrintf(tool->out, "  -V, --version       %s\n\n", _("Show the version"));
    virtHptOutputPuts(
        tool->out,
        _("Exit codes: 0 good, 1 could not do it, 2 checked and found bad, 3 done with warnings, 63 recognised but unsupported, 64 wrong usage."));
    virtHptOutputPuts(tool->out, "\n");
}

static const VirtHptCommand *
findCommand(const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (g_str_equal(commands[i].name, name))
            return &commands[i];
    }
    return NULL;
}

static VirtHptExit
runCommand(VirtHptTool *tool, int argc, char **argv)
{
    tool->command = findCommand(argv[0]);
    if (!tool->command)
        return virtHptToolUsage(tool, _("unknown command '%s'"), argv[0]);
    return tool->command->run(tool, argc, argv);
}

/* "help" and "help COMMAND" */
static VirtHptExit
runHelp(VirtHptTool *tool, int argc, char **argv)
{
    char option[] = "--help";
    char *request[] = {NULL, option, NULL};

    if (argc > 2)
        return virtHptToolUsage(tool, _("unexpected operand '%s'"), argv[2]);
    if (argc < 2 || argv[1][0] == '-' || g_str_equal(argv[1], "help")) {
        printHelp(tool);
        return VIRT_HPT_EXIT_GOOD;
    }
    request[0] = argv[1];
    return runCommand(tool, 2, request);
}

static VirtHptExit
dispatch(VirtHptTool *tool, int argc, char **argv)
{
    VirtHptExit status = VIRT_HPT_EXIT_FAILED;
    gboolean help = FALSE;

    if (!virtHptOptionsParseLeading(tool, &argc, &argv, &help, &status))
        return status;

    argc--;
    argv++;
    if (argc > 0 && g_str_equal(argv[0], "--")) {
        argc--;
        argv++;
    }
    if (help) {
        printHelp(tool);
        return VIRT_HPT_EXIT_GOOD;
    }
    if (argc == 0)
        return virtHptToolUsage(tool, _("missing command"));
    if (g_str_equal(argv[0], "help"))
        return runHelp(tool, argc, argv);
    return runCommand(tool, argc, argv);
}

/*
 * A program that is started with standard output closed would get its first open file in that
 * place, and print into it.  What takes the place here refuses to be written, or read, so that the
 * failure shows.
 */
static void
guardStandardFds(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            _exit(VIRT_HPT_EXIT_FAILED);
    }
}

/* Output that nobody got is a failure, whatever the command found */
static VirtHptExit
finishOutput(VirtHptTool *tool, VirtHptExit status)
{
    int errnum = virtHptOutputFlush(tool->out);
    g_autoptr(VirtHptOutput) err = NULL;

    if (errnum == 0)
        return status;
    /* A reader such as "head" that had enough is no news */
    if (errnum != EPIPE) {
        err = virtHptOutputNew(STDERR_FILENO);
        virtHptOutputPuts(err, "virt-hpt: ");
        virtHptOutputPrintf(err, _("error: cannot write to standard output: %s"),
                            g_strerror(errnum));
        virtHptOutputPuts(err, "\n");
        virtHptOutputFlush(err);
    }
    return VIRT_HPT_EXIT_FAILED;
}

int
main(int argc, char **argv)
{
    g_autoptr(VirtHptOutput) out = NULL;
    VirtHptTool tool = {0};
    VirtHptExit status;

    guardStandardFds();
    signal(SIGPIPE, SIG_IGN);
    setlocale(LC_ALL, "");
    bindtextdomain(GETTEXT_PACKAGE, LOCALEDIR);
    bind_textdomain_codeset(GETTEXT_PACKAGE, "UTF-8");
    textdomain(GETTEXT_PACKAGE);
    g_set_prgname("virt-hpt");

    out = virtHptOutputNew(STDOUT_FILENO);
    tool.out = out;
    tool.json = virtHptOptionsWantJson(argc, argv);

    status = dispatch(&tool, argc, argv);
    status = finishOutput(&tool, status);
    g_free(tool.connection);
    return status;
}
