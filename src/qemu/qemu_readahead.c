/*
 * qemu_readahead.c: a file read in windows, the next ones while the last is looked at
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <errno.h>
#include <unistd.h>

#include "qemu/qemu_readahead.h"

#define SLOTS 4

/* Below this size a second thread costs more than it saves, in bytes */
#define PARALLEL_MIN ((guint64)64 * 1024 * 1024)

typedef enum {
    SLOT_EMPTY,
    SLOT_FILLING,
    SLOT_READY,
} SlotState;

/* Window @index is held in slot @index modulo SLOTS. */
typedef struct {
    SlotState state;
    guint64 index;
    gsize length;
    int code;
    guint8 *data;
} Slot;

struct _VirtHptReadahead {
    int fd;
    guint64 size;
    GThread *helper;
    GMutex lock;
    GCond changed;
    gboolean stop;
    guint64 current; /* the window that is looked at: those before are free */
    guint64 next;    /* the first window that nobody has begun to read */
    guint8 *memory;
    Slot slots[SLOTS];
};

static void
readWindow(const VirtHptReadahead *readahead, Slot *slot)
{
    guint64 offset = slot->index * VIRT_HPT_WINDOW_SIZE;
    gsize wanted = (gsize)MIN(VIRT_HPT_WINDOW_SIZE, readahead->size - offset);

    slot->length = 0;
    slot->code = 0;
    while (slot->length < wanted) {
        ssize_t n = pread(readahead->fd, slot->data + slot->length, wanted - slot->length,
                          (off_t)(offset + slot->length));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            slot->code = errno;
        if (n <= 0)
            return;
        slot->length += (gsize)n;
    }
}

/* Reads the next window that nobody reads yet, if there is room for it.  Called with the lock
 * held, which is released meanwhile. */
static gboolean
readNext(VirtHptReadahead *readahead)
{
    Slot *slot = &readahead->slots[readahead->next % SLOTS];

    if (readahead->next >= readahead->current + SLOTS ||
        readahead->next * VIRT_HPT_WINDOW_SIZE >= readahead->size || slot->state == SLOT_FILLING)
        return FALSE;
    slot->state = SLOT_FILLING;
    slot->index = readahead->next++;
    g_mutex_unlock(&readahead->lock);
    readWindow(readahead, slot);
    g_mutex_lock(&readahead->lock);
    slot->state = SLOT_READY;
    g_cond_broadcast(&readahead->changed);
    return TRUE;
}

static gpointer
help(gpointer opaque)
{
    VirtHptReadahead *readahead = opaque;

    g_mutex_lock(&readahead->lock);
    while (!readahead->stop) {
        if (!readNext(readahead))
            g_cond_wait(&readahead->changed, &readahead->lock);
    }
    g_mutex_unlock(&readahead->lock);
    return NULL;
}

/**
 * virtHptReadaheadNew:
 * @fd: a file that can be read at any offset; stays the caller's, and open
 * @size: its size in bytes
 *
 * Where no second thread can be had, one does.
 *
 * Returns: (transfer full): a readahead
 */
VirtHptReadahead *
virtHptReadaheadNew(int fd, guint64 size)
{
    const gsize stride = VIRT_HPT_WINDOW_HEADROOM + VIRT_HPT_WINDOW_SIZE;
    VirtHptReadahead *readahead = g_new0(VirtHptReadahead, 1);

    readahead->fd = fd;
    readahead->size = size;
    g_mutex_init(&readahead->lock);
    g_cond_init(&readahead->changed);
    readahead->memory = g_malloc(SLOTS * stride);
    for (gsize i = 0; i < SLOTS; i++)
        readahead->slots[i].data = readahead->memory + i * stride + VIRT_HPT_WINDOW_HEADROOM;
    if (size >= PARALLEL_MIN && g_get_num_processors() > 1)
        readahead->helper = g_thread_try_new("readahead", help, readahead, NULL);
    return readahead;
}

void
virtHptReadaheadFree(VirtHptReadahead *readahead)
{
    if (!readahead)
        return;
    if (readahead->helper) {
        g_mutex_lock(&readahead->lock);
        readahead->stop = TRUE;
        g_cond_broadcast(&readahead->changed);
        g_mutex_unlock(&readahead->lock);
        g_thread_join(readahead->helper);
    }
    g_cond_clear(&readahead->changed);
    g_mutex_clear(&readahead->lock);
    g_free(readahead->memory);
    g_free(readahead);
}

/**
 * virtHptReadaheadGet:
 * @readahead: a readahead
 * @index: of a window that begins in the file, not below that of the last call
 * @length: (out): bytes read, fewer than the window has where the file became shorter or could not
 *   be read
 * @code: (out): errno where it could not be read, else 0
 *
 * Waits for a window.  Those before it are given up.
 *
 * Returns: (transfer none): its bytes, valid until the next call; %VIRT_HPT_WINDOW_HEADROOM bytes
 *   in front of them are the caller's to write to
 */
guint8 *
virtHptReadaheadGet(VirtHptReadahead *readahead, guint64 index, gsize *length, int *code)
{
    Slot *slot = &readahead->slots[index % SLOTS];

    g_mutex_lock(&readahead->lock);
    g_assert(index >= readahead->current && index * VIRT_HPT_WINDOW_SIZE < readahead->size);
    readahead->current = index;
    readahead->next = MAX(readahead->next, index);
    g_cond_broadcast(&readahead->changed);
    while (slot->index != index || slot->state != SLOT_READY) {
        if (!readNext(readahead))
            g_cond_wait(&readahead->changed, &readahead->lock);
    }
    *length = slot->length;
    *code = slot->code;
    g_mutex_unlock(&readahead->lock);
    return slot->data;
}
