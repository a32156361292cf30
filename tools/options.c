/*
 * options.c: the command line
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Common options may stand before the command, as in virsh, and with the command's own before or
 * after its operands.  GOption's own --help exits by itself and never learns that standard output
 * is full, so help is an option like the others here.
 */

#include "config.h"

#include "options.h"

#include <glib/gi18n.h>
#include <string.h>

#define HEX_DIGITS_MAX 20

typedef struct {
    char *connection;
    gboolean json;
    gboolean quiet;
    gboolean help;
    gboolean version;
} Common;

#define COMMON_OPTIONS 5

static void
commonEntries(Common *common, GOptionEntry entries[COMMON_OPTIONS + 1])
{
    const GOptionEntry all[COMMON_OPTIONS + 1] = {
        {"connect", 'c', 0, G_OPTION_ARG_FILENAME, &common->connection,
         N_("Connect to this libvirt, where the command needs one"), N_("URI")},
        {"json", 0, 0, G_OPTION_ARG_NONE, &common->json, N_("Print JSON"), NULL},
        {"quiet", 'q', 0, G_OPTION_ARG_NONE, &common->quiet,
         N_("No headers, hints, summaries or progress"), NULL},
        {"help", 'h', 0, G_OPTION_ARG_NONE, &common->help, N_("Show this help"), NULL},
        {"version", 'V', 0, G_OPTION_ARG_NONE, &common->version, N_("Show the version"), NULL},
        {.long_name = NULL},
    };

    memcpy(entries, all, sizeof(all));
}

static GOptionContext *
newContext(const char *parameters, const GOptionEntry *common)
{
    GOptionContext *context = g_option_context_new(parameters);

    g_option_context_set_help_enabled(context, FALSE);
    g_option_context_set_translation_domain(context, GETTEXT_PACKAGE);
    g_option_context_add_main_entries(context, common, GETTEXT_PACKAGE);
    return context;
}

/* Moves what was given into @tool; the later of two connections counts */
static void
adopt(VirtHptTool *tool, Common *common)
{
    tool->json |= common->json;
    tool->quiet |= common->quiet;
    if (common->connection) {
        g_free(tool->connection);
        tool->connection = g_steal_pointer(&common->connection);
    }
}

/*
 * GOption takes "--force=no" for "--force": a value where none is expected must not turn into its
 * opposite.
 */
static gboolean
refuseValues(VirtHptTool *tool, const GOptionEntry *entries, char **argv, VirtHptExit *status)
{
    for (; *argv && !g_str_equal(*argv, "--"); argv++) {
        for (const GOptionEntry *entry = entries; entry->long_name; entry++) {
            g_autofree char *prefix = g_strdup_printf("--%s=", entry->long_name);

            if (entry->arg == G_OPTION_ARG_NONE && g_str_has_prefix(*argv, prefix)) {
                *status = virtHptToolUsage(tool, _("option --%s takes no value"), entry->long_name);
                return FALSE;
            }
        }
    }
    return TRUE;
}

static void
printVersion(VirtHptTool *tool)
{
    virtHptOutputPrintf(tool->out, "virt-hpt (%s) %s\n", PACKAGE_NAME, PACKAGE_VERSION);
}

/**
 * virtHptOptionsWantJson:
 * @argc: of main()
 * @argv: of main()
 *
 * A command line that is wrong must be answered in the form that was asked for all the same.
 *
 * Returns: whether --json is among the arguments
 */
gboolean
virtHptOptionsWantJson(int argc, char **argv)
{
    for (int i = 1; i < argc && !g_str_equal(argv[i], "--"); i++) {
        if (g_str_equal(argv[i], "--json"))
            return TRUE;
    }
    return FALSE;
}

/**
 * virtHptOptionsParseLeading:
 * @tool: gets the options
 * @argc: (inout): of main(); left with what is not an option before the command
 * @argv: (inout): of main()
 * @help: (out): whether --help was among them
 * @status: (out): exit code if there is nothing more to do
 *
 * Returns: %FALSE if there is nothing more to do
 */
gboolean
virtHptOptionsParseLeading(VirtHptTool *tool,
                           int *argc,
                           char ***argv,
                           gboolean *help,
                           VirtHptExit *status)
{
    Common common = {0};
    GOptionEntry commons[COMMON_OPTIONS + 1];
    g_autoptr(GOptionContext) context = NULL;
    g_autoptr(GError) error = NULL;

    commonEntries(&common, commons);
    if (!refuseValues(tool, commons, *argv, status))
        return FALSE;
    context = newContext(NULL, commons);
    g_option_context_set_strict_posix(context, TRUE);
    if (!g_option_context_parse(context, argc, argv, &error)) {
        *status = virtHptToolUsage(tool, "%s", error->message);
        return FALSE;
    }
    adopt(tool, &common);
    *help = common.help;
    if (common.version && !common.help) {
        printVersion(tool);
        *status = VIRT_HPT_EXIT_GOOD;
        return FALSE;
    }
    return TRUE;
}

/* Whether as many operands were given as the command takes */
static gboolean
checkOperands(VirtHptTool *tool, char **operands, VirtHptExit *status)
{
    const char *const *wanted = tool->command->operands;
    guint have = operands ? g_strv_length(operands) : 0;
    guint want = 0;

    while (wanted[want])
        want++;
    if (have < want && wanted[have][0] != '[') {
        *status = virtHptToolUsage(tool, _("missing operand %s"), wanted[have]);
        return FALSE;
    }
    if (have > want) {
        *status = virtHptToolUsage(tool, _("unexpected operand '%s'"), operands[want]);
        return FALSE;
    }
    return TRUE;
}

static void
printHelp(VirtHptTool *tool, GOptionContext *context)
{
    g_autofree char *help = NULL;
    g_autofree char *name = g_strdup_printf("virt-hpt %s", tool->command->name);

    g_set_prgname(name);
    g_option_context_set_summary(context, _(tool->command->summary));
    g_option_context_set_description(context, _(tool->command->description));
    help = g_option_context_get_help(context, TRUE, NULL);
    virtHptOutputPuts(tool->out, help);
}

/**
 * virtHptOptionsParse:
 * @tool: whose command runs; gets the common options
 * @entries: (nullable): the command's own options
 * @argc: with the command's name
 * @argv: from the command's name on; options are taken out of it
 * @operands: (out) (transfer full): as many as the command takes, or fewer if the last of them may
 *   be left out
 * @status: (out): exit code if there is nothing more to do
 *
 * Returns: %FALSE if there is nothing more to do
 */
gboolean
virtHptOptionsParse(VirtHptTool *tool,
                    const GOptionEntry *entries,
                    int argc,
                    char **argv,
                    char ***operands,
                    VirtHptExit *status)
{
    Common common = {0};
    g_auto(GStrv) given = NULL;
    const GOptionEntry remaining[] = {
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &given, NULL, NULL},
        {.long_name = NULL},
    };
    GOptionEntry commons[COMMON_OPTIONS + 1];
    g_autofree char *parameters = g_strjoinv(" ", (char **)tool->command->operands);
    g_autoptr(GOptionContext) context = NULL;
    g_autoptr(GError) error = NULL;

    commonEntries(&common, commons);
    if (entries && !refuseValues(tool, entries, argv, status))
        return FALSE;
    context = newContext(parameters, commons);
    if (entries)
        g_option_context_add_main_entries(context, entries, GETTEXT_PACKAGE);
    g_option_context_add_main_entries(context, remaining, GETTEXT_PACKAGE);

    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        *status = virtHptToolUsage(tool, "%s", error->message);
        return FALSE;
    }
    adopt(tool, &common);
    if (common.help || common.version) {
        if (common.help)
            printHelp(tool, context);
        else
            printVersion(tool);
        *status = VIRT_HPT_EXIT_GOOD;
        return FALSE;
    }
    if (!checkOperands(tool, given, status))
        return FALSE;
    *operands = g_steal_pointer(&given);
    return TRUE;
}

/**
 * virtHptOptionsNumber:
 * @text: decimal, or hexadecimal with 0x
 * @min: the least
 * @max: the most
 * @value: (out): the number
 *
 * Returns: %FALSE if @text is anything else
 */
gboolean
virtHptOptionsNumber(const char *text, guint64 min, guint64 max, guint64 *value)
{
    guint64 high;

    if (g_str_has_prefix(text, "0x") || g_str_has_prefix(text, "0X")) {
        if (!virtHptOptionsHex(text, 64, &high, value))
            return FALSE;
        return *value >= min && *value <= max;
    }
    return g_ascii_string_to_unsigned(text, 10, min, max, value, NULL);
}

/**
 * virtHptOptionsHex:
 * @text: hexadecimal, with or without 0x
 * @bits: the most that it may have, up to 80
 * @high: (out): bits 127:64
 * @low: (out): bits 63:0
 *
 * Returns: %FALSE if @text is anything else
 */
gboolean
virtHptOptionsHex(const char *text, guint bits, guint64 *high, guint64 *low)
{
    const char *p = text;
    guint64 top = 0;
    guint64 bottom = 0;

    g_return_val_if_fail(bits >= 64 && bits <= HEX_DIGITS_MAX * 4, FALSE);

    if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X'))
        p += 2;
    if (!*p)
        return FALSE;
    while (p[0] == '0' && p[1])
        p++;
    if (strlen(p) > HEX_DIGITS_MAX)
        return FALSE;
    for (; *p; p++) {
        int digit = g_ascii_xdigit_value(*p);

        if (digit < 0)
            return FALSE;
        top = top << 4 | bottom >> 60;
        bottom = bottom << 4 | (guint64)digit;
    }
    if (top >> (bits - 64))
        return FALSE;
    *high = top;
    *low = bottom;
    return TRUE;
}
