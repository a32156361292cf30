/*
 * progress.c: a bar on the terminal for steps that take a while
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "config.h"

#include "progress.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "full-write.h"

#include "text.h"

#define DELAY_US G_USEC_PER_SEC
#define INTERVAL_US (G_USEC_PER_SEC / 10)
#define COLUMNS_DEFAULT 80
#define COLUMNS_MIN 30
#define BAR_MAX 40

/**
 * virtHptProgressInit:
 * @progress: (out): a bar that does not show yet
 * @tool: whose options say whether it may
 */
void
virtHptProgressInit(VirtHptProgress *progress, const VirtHptTool *tool)
{
    progress->enabled = !tool->quiet && !tool->json && isatty(STDERR_FILENO);
    progress->started = g_get_monotonic_time();
    progress->drawn = 0;
    progress->columns = 0;
}

/**
 * virtHptProgressClear:
 * @progress: a bar
 *
 * Wipes it off the terminal.  Blanks do that on every terminal, an escape sequence does not.
 */
void
virtHptProgressClear(VirtHptProgress *progress)
{
    g_autofree char *blanks = NULL;
    g_autofree char *line = NULL;

    if (progress->columns == 0)
        return;
    blanks = g_strnfill(progress->columns, ' ');
    line = g_strdup_printf("\r%s\r", blanks);
    full_write(STDERR_FILENO, line, (gssize)strlen(line));
    progress->columns = 0;
}

static guint
terminalColumns(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return COLUMNS_DEFAULT;
    return size.ws_col;
}

/* "[=====>    ]  42 %  1.20 GiB", or without a total only how much was read */
static char *
formatBar(guint64 done, guint64 total, guint columns)
{
    g_autofree char *size = virtHptTextSize(done);
    guint percent;
    guint width;
    guint filled;
    char bar[BAR_MAX + 1];

    if (total == 0 || columns < COLUMNS_MIN)
        return g_strdup(size);

    done = MIN(done, total);
    percent = (guint)((double)done / (double)total * 100);
    width = MIN(columns - 24, BAR_MAX);
    filled = width * percent / 100;
    memset(bar, ' ', width);
    memset(bar, '=', filled);
    if (filled < width)
        bar[filled] = '>';
    bar[width] = '\0';
    return g_strdup_printf("[%s] %3u %%  %s", bar, percent, size);
}

/**
 * virtHptProgressUpdate:
 * @done: bytes passed
 * @total: bytes in all, 0: unknown
 * @opaque: the VirtHptProgress
 *
 * A VirtHptProgressFunc.
 */
void
virtHptProgressUpdate(guint64 done, guint64 total, gpointer opaque)
{
    VirtHptProgress *progress = opaque;
    gint64 now = g_get_monotonic_time();
    g_autofree char *text = NULL;
    g_autofree char *line = NULL;
    guint width;

    if (!progress->enabled || now - progress->started < DELAY_US ||
        now - progress->drawn < INTERVAL_US)
        return;

    progress->drawn = now;
    text = formatBar(done, total, terminalColumns());
    width = (guint)strlen(text);
    /* A shorter line must not leave the end of a longer one behind */
    line = g_strdup_printf("\r%-*s", (int)progress->columns, text);
    full_write(STDERR_FILENO, line, (gssize)strlen(line));
    progress->columns = MAX(progress->columns, width);
}
