/*
 * snapshot_stopped.c: what must not change while a guest is off in the middle of a revert
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The memory of a guest knows what is on its disks, so it must not meet them again after somebody
 * else let a guest write to them.  Once the guest is off, the files that its disks are on are
 * noted, and whoever comes after an interruption compares them.
 *
 * A process that is killed just when the guest has gone notes nothing.  Then the time of the saved
 * state is all there is: libvirt marks it as whole after QEMU wrote to the disks for the last time.
 * Without one it is the journal's, which is older than the end of the guest.
 */

#include "config.h"

#include <sys/stat.h>
#include <unistd.h>

#include "qemu/qemu_image.h"
#include "snapshot/snapshot_keep.h"
#include "snapshot/snapshot_stopped.h"
#include "snapshot/snapshot_uses.h"

/* How long a guest that was told to end may write on: libvirt gives QEMU less */
#define ENDING 60 /* seconds */

static void
addPath(VirtHptJournal *journal, const char *path)
{
    g_ptr_array_add(journal->stopped, virtHptFileMarkNew(path));
}

/**
 * virtHptStoppedPlan:
 * @guest: a guest, before it is stopped
 * @journal: of its revert; gets the names of what virtHptStoppedNote() will note: the files that
 *   the disks are on which nobody else writes to, and the saved state, or where there is none the
 *   new layers, which the snapshot's guest is restored on
 * @error: set on failure
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptStoppedPlan(VirtHptGuest *guest, VirtHptJournal *journal, GError **error)
{
    g_autoptr(GPtrArray) own = virtHptUsesOwn(guest, error);

    if (!own)
        return FALSE;
    for (guint i = 0; i < own->len; i++)
        addPath(journal, g_ptr_array_index(own, i));
    if (journal->aside)
        addPath(journal, journal->aside);
    for (guint i = 0; !journal->aside && i < journal->overlays->len; i++) {
        const VirtHptOverlay *overlay = g_ptr_array_index(journal->overlays, i);

        addPath(journal, overlay->path);
    }
    return TRUE;
}

/* What is at @path now; where there is nothing, nothing. */
static VirtHptFileMark *
look(const char *path)
{
    g_autofree char *name = virtHptKeepFind(path);
    VirtHptFileMark *mark = virtHptFileMarkNew(path);
    struct stat st;

    if (stat(name, &st) == 0)
        virtHptFileMarkFill(mark, &st);
    return mark;
}

/* Else a power failure might take the file back to what it was earlier. */
static void
settle(const char *path)
{
    struct stat st;
    int fd = virtHptImageOpenFile(path, &st, NULL);

    if (fd < 0)
        return;
    fsync(fd);
    close(fd);
}

/* Of a device nothing can be told. */
static gboolean
isNoted(const VirtHptFileMark *mark)
{
    return mark->inode != 0;
}

/**
 * virtHptStoppedNote:
 * @journal: of the revert of a guest that is off; it is not written
 *
 * Notes what must not change from now on.
 */
void
virtHptStoppedNote(VirtHptJournal *journal)
{
    GPtrArray *marks = virtHptFileMarksNew();

    for (guint i = 0; i < journal->stopped->len; i++) {
        const VirtHptFileMark *mark = g_ptr_array_index(journal->stopped, i);

        settle(mark->path);
        g_ptr_array_add(marks, look(mark->path));
    }
    g_ptr_array_unref(journal->stopped);
    journal->stopped = marks;
}

/* Not the device: that of a file system may be another once the host was started anew. */
static gboolean
isSame(const VirtHptFileMark *a, const VirtHptFileMark *b)
{
    return a->inode == b->inode && a->size == b->size && a->seconds == b->seconds &&
           a->nanoseconds == b->nanoseconds;
}

static gboolean
isNewer(const VirtHptFileMark *a, const VirtHptFileMark *b)
{
    return a->seconds != b->seconds ? a->seconds > b->seconds : a->nanoseconds > b->nanoseconds;
}

/* What is compared with */
typedef struct {
    VirtHptFileMark *aside; /* now, or %NULL where there is none */
    gboolean touched;       /* whether somebody touched it: as it is it shall be restored */
    gint64 limit;           /* in seconds since 1970 */
} Reference;

static gboolean
isUsed(const VirtHptFileMark *then, const Reference *reference)
{
    g_autoptr(VirtHptFileMark) now = look(then->path);

    /* Who needs what is gone says so. */
    if (!isNoted(now) || (isNoted(then) && isSame(then, now)))
        return FALSE;
    if (isNoted(then))
        return !reference->touched || isNewer(now, reference->aside);
    return reference->aside ? isNewer(now, reference->aside) : now->seconds > reference->limit;
}

static const VirtHptFileMark *
findMark(const VirtHptJournal *journal, const char *path)
{
    for (guint i = 0; path && i < journal->stopped->len; i++) {
        const VirtHptFileMark *mark = g_ptr_array_index(journal->stopped, i);

        if (g_str_equal(mark->path, path))
            return mark;
    }
    return NULL;
}

/**
 * virtHptStoppedFindUsed:
 * @guest: a locked guest, which is off
 * @journal: of its revert, which was interrupted
 *
 * Returns: (transfer none): the file that the saved state, or where there is none the snapshot's,
 *   would meet again, and that was written to or replaced since; or %NULL
 */
const char *
virtHptStoppedFindUsed(const VirtHptGuest *guest, const VirtHptJournal *journal)
{
    g_autoptr(VirtHptFileMark) aside = journal->aside ? look(journal->aside) : NULL;
    const VirtHptFileMark *then = findMark(journal, journal->aside);
    const Reference reference = {
        .aside = aside,
        .touched = then && isNoted(then) && isNewer(aside, then),
        .limit = virtHptJournalGetTime(guest) + ENDING,
    };

    for (guint i = 0; i < journal->stopped->len; i++) {
        const VirtHptFileMark *mark = g_ptr_array_index(journal->stopped, i);

        if (mark != then && isUsed(mark, &reference))
            return mark->path;
    }
    return NULL;
}
