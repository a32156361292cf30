/*
 * program.c: a program of commands
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "config.h"

#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n.h>
#include <locale.h>
#include <signal.h>
#include <unistd.h>

#include "options.h"

#define NAME_WIDTH 19

static const VirtHptCommand *commands;

static void
printHelp(VirtHptTool *tool)
{
    virtHptOutputPrintf(
        tool->out, "%s\n\n%s", _("Usage: virt-hpt [OPTION...] COMMAND [OPTION...] OPERAND..."),
        _("Reads, checks and records the hashed page table of ppc64 pseries guests."));
    virtHptOutputPrintf(tool->out, "\n\n%s\n", _("Commands:"));
    for (gsize i = 0; commands[i].name; i++) {
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
    for (gsize i = 0; commands[i].name; i++) {
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
    VirtHptExit status = VIRT_HPT_EXIT_FAILED;
    gboolean help = FALSE;

    if (!virtHptOptionsParseLeading(tool, &argc, &argv, &help, &status))
        return status;
    if (argc > 2)
        return virtHptToolUsage(tool, _("unexpected operand '%s'"), argv[2]);
    if (help || argc < 2 || g_str_equal(argv[1], "help")) {
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

/**
 * virtHptProgramRun:
 * @table: the commands; the last has no name
 * @argc: of main()
 * @argv: of main()
 *
 * Is main().
 *
 * Returns: the exit code
 */
int
virtHptProgramRun(const VirtHptCommand *table, int argc, char **argv)
{
    g_autoptr(VirtHptOutput) out = NULL;
    VirtHptTool tool = {0};
    VirtHptExit status;

    commands = table;
    guardStandardFds();
    /* A write that fails says so; a signal would leave what is half made */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
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
