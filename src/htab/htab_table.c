/*
 * htab_table.c: a hashed page table in memory
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Tables are large (2^27 bytes for a guest of 16 GiB) and nearly empty (3 % on an idle guest).
 * The memory comes zeroed from the kernel and only written pages of it become real.  A bit for
 * each chunk of 256 slots tells which may hold an entry, so that a scan need not fault in the rest.
 * Entries are scattered by their hash, so that nearly all pages of a table come to be written; they
 * are asked for in large ones.
 */

#include "config.h"

#include <glib/gi18n-lib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libvirt-hpt/htab_error.h"
#include "htab/htab_entrypriv.h"
#include "htab/htab_tablepriv.h"

#define WORDS_PER_SLOT (VIRT_HPT_ENTRY_SIZE / sizeof(guint64))

#define CHUNK_SLOTS VIRT_HPT_CHUNK_SLOTS

#define WIRE_VALID GUINT64_TO_BE(VIRT_HPT_V_VALID)
#define WIRE_PRIVATE GUINT64_TO_BE(VIRT_HPT_V_PRIVATE)

/*
 * Asks for large pages, where the system gives them to those who ask.  A fault each 4 KiB takes
 * longer than to decode what is written there.
 */
static void
adviseLargePages(guint64 *words, gsize bytes)
{
    gsize pageSize = (gsize)sysconf(_SC_PAGESIZE);
    gsize skip = (pageSize - (gsize)words % pageSize) % pageSize;

    if (bytes > skip)
        (void)madvise((guint8 *)words + skip, bytes - skip, MADV_HUGEPAGE);
}

/**
 * virtHptTableNew:
 * @order: log2 of the table's size in bytes
 * @maxBytes: the largest table to allow, in bytes
 * @error: return location
 *
 * Makes a table without entries.  @order may be untrusted: nothing is allocated before it was
 * checked.  The bounds are those of KVM_PPC_ALLOCATE_HTAB (Linux
 * arch/powerpc/kvm/book3s_64_mmu_hv.c); QEMU follows the same for TCG.
 *
 * Errors: %VIRT_HPT_ERROR_MALFORMED if @order is outside 18..46; %VIRT_HPT_ERROR_LIMIT if the
 * table would exceed @maxBytes, or memory does not suffice.
 *
 * Returns: (transfer full): a table, or %NULL
 */
VirtHptTable *
virtHptTableNew(guint order, guint64 maxBytes, GError **error)
{
    g_autoptr(VirtHptTable) table = NULL;
    guint64 bytes;
    guint64 chunkWords;

    if (order < VIRT_HPT_ORDER_MIN || order > VIRT_HPT_ORDER_MAX) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED,
                    _("HPT order is %1$u, expected %2$d to %3$d"), order, VIRT_HPT_ORDER_MIN,
                    VIRT_HPT_ORDER_MAX);
        return NULL;
    }

    bytes = G_GUINT64_CONSTANT(1) << order;
    if (bytes > maxBytes || bytes > G_MAXSIZE) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_LIMIT,
                    _("an HPT of order %1$u takes %2$llu bytes, at most %3$llu are allowed"), order,
                    (unsigned long long)bytes, (unsigned long long)MIN(maxBytes, G_MAXSIZE));
        return NULL;
    }

    table = g_new0(VirtHptTable, 1);
    table->order = order;
    table->slots = bytes / VIRT_HPT_ENTRY_SIZE;
    chunkWords = (table->slots / CHUNK_SLOTS + 63) / 64;
    table->words = g_try_malloc0((gsize)bytes);
    table->chunks = g_try_malloc0_n((gsize)chunkWords, sizeof(guint64));
    if (!table->words || !table->chunks) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_LIMIT,
                    _("out of memory for an HPT of order %1$u, which takes %2$llu bytes"), order,
                    (unsigned long long)bytes);
        return NULL;
    }
    adviseLargePages(table->words, (gsize)bytes);
    return g_steal_pointer(&table);
}

/**
 * virtHptTableFree:
 * @table: (nullable): a table
 */
void
virtHptTableFree(VirtHptTable *table)
{
    if (!table)
        return;
    g_free(table->words);
    g_free(table->chunks);
    g_free(table);
}

/**
 * virtHptTableGetOrder:
 * @table: a table
 *
 * Returns: log2 of its size in bytes, 18..46
 */
guint
virtHptTableGetOrder(const VirtHptTable *table)
{
    return table->order;
}

/**
 * virtHptTableGetSlots:
 * @table: a table
 *
 * Returns: how many entries it has room for: 2^(order - 4)
 */
guint64
virtHptTableGetSlots(const VirtHptTable *table)
{
    return table->slots;
}

/**
 * virtHptTableGetPtegs:
 * @table: a table
 *
 * Returns: how many groups of 8 slots it has: 2^(order - 7)
 */
guint64
virtHptTableGetPtegs(const VirtHptTable *table)
{
    return table->slots / VIRT_HPT_PTEG_SLOTS;
}

/* For internal use only: a slot or count from outside is checked where it comes in. */
static inline void
assertRange(const VirtHptTable *table, guint64 slot, guint64 n)
{
    g_assert(slot <= table->slots && n <= table->slots - slot);
}

static inline gboolean
chunkMayHoldEntry(const VirtHptTable *table, guint64 chunk)
{
    return ((table->chunks[chunk / 64] >> (chunk % 64)) & 1) != 0;
}

static void
markChunks(VirtHptTable *table, guint64 slot, guint64 n)
{
    for (guint64 chunk = slot / CHUNK_SLOTS; chunk <= (slot + n - 1) / CHUNK_SLOTS; chunk++)
        table->chunks[chunk / 64] |= G_GUINT64_CONSTANT(1) << (chunk % 64);
}

static void
unmarkChunk(VirtHptTable *table, guint64 chunk)
{
    table->chunks[chunk / 64] &= ~(G_GUINT64_CONSTANT(1) << (chunk % 64));
}

static inline gboolean
slotIsValid(const VirtHptTable *table, guint64 slot)
{
    return (table->words[slot * WORDS_PER_SLOT] & WIRE_VALID) != 0;
}

/**
 * virtHptTableGet:
 * @table: a table
 * @slot: a slot of it
 *
 * A slot outside the table is a programming error and aborts the process.
 *
 * Returns: the entry at @slot in host byte order; zeroes if there is none
 */
VirtHptEntry
virtHptTableGet(const VirtHptTable *table, guint64 slot)
{
    const guint64 *words;

    assertRange(table, slot, 1);
    words = &table->words[slot * WORDS_PER_SLOT];
    return (VirtHptEntry){GUINT64_FROM_BE(words[0]), GUINT64_FROM_BE(words[1])};
}

/**
 * virtHptTableSet:
 * @table: a table
 * @slot: a slot of it
 * @entry: an entry in host byte order
 *
 * Puts @entry less its private bits at @slot.  An entry that is not valid is virtHptTableClear()
 * of that slot.
 *
 * A slot outside the table is a programming error and aborts the process.
 */
void
virtHptTableSet(VirtHptTable *table, guint64 slot, const VirtHptEntry *entry)
{
    guint64 wire[WORDS_PER_SLOT] = {GUINT64_TO_BE(entry->v), GUINT64_TO_BE(entry->r)};

    if (!(entry->v & VIRT_HPT_V_VALID)) {
        virtHptTableClear(table, slot, 1);
        return;
    }
    virtHptTableSetWire(table, slot, (const guint8 *)wire, 1);
}

/**
 * virtHptTablePeekWire:
 * @table: a table
 * @slot: a slot of it, or the number of slots: the end, where nothing may be read
 *
 * The memory may be read up to the end of the table, and belongs to it.
 *
 * A slot behind the end is a programming error and aborts the process.
 *
 * Returns: the entry at @slot and those behind it, 16 bytes each, big-endian doublewords
 */
const guint8 *
virtHptTablePeekWire(const VirtHptTable *table, guint64 slot)
{
    assertRange(table, slot, 0);
    return (const guint8 *)&table->words[slot * WORDS_PER_SLOT];
}

/*
 * virtHptTableCopyPlain:
 * @table: a table
 * @slot: the first slot
 * @hptes: as of virtHptTableSetWire()
 * @n: how many
 *
 * Puts entries at consecutive slots where all are valid and none has private bits, as in most
 * streams: what is copied as it is need not be read back, which costs as much as the copy.
 *
 * Returns: whether that is so
 */
gboolean
virtHptTableCopyPlain(VirtHptTable *table, guint64 slot, const guint8 *hptes, guint64 n)
{
    guint64 odd = 0;

    assertRange(table, slot, n);
    for (guint64 i = 0; i < n; i++) {
        guint64 v;

        /* Whole words are read faster than bytes */
        memcpy(&v, hptes + i * VIRT_HPT_ENTRY_SIZE, sizeof(v));
        odd |= v ^ WIRE_VALID;
    }
    if (odd & (WIRE_VALID | WIRE_PRIVATE))
        return FALSE;
    if (n > 0) {
        markChunks(table, slot, n);
        memcpy(&table->words[slot * WORDS_PER_SLOT], hptes, (gsize)n * VIRT_HPT_ENTRY_SIZE);
    }
    return TRUE;
}

/**
 * virtHptTableSetWire:
 * @table: a table
 * @slot: the first slot
 * @hptes: @n entries of 16 bytes, big-endian doublewords, at any alignment
 * @n: how many
 *
 * Puts entries less their private bits at consecutive slots.  One that is not valid clears its
 * slot.
 *
 * Slots outside the table are a programming error and abort the process.
 */
void
virtHptTableSetWire(VirtHptTable *table, guint64 slot, const guint8 *hptes, guint64 n)
{
    guint64 *to;

    assertRange(table, slot, n);
    if (n == 0)
        return;

    markChunks(table, slot, n);
    to = &table->words[slot * WORDS_PER_SLOT];
    for (guint64 i = 0; i < n; i++) {
        guint64 wire[WORDS_PER_SLOT];
        guint64 keep;

        memcpy(wire, hptes + i * VIRT_HPT_ENTRY_SIZE, sizeof(wire));
        keep = wire[0] & WIRE_VALID ? G_MAXUINT64 : 0;
        to[i * WORDS_PER_SLOT] = wire[0] & keep & ~WIRE_PRIVATE;
        to[i * WORDS_PER_SLOT + 1] = wire[1] & keep;
    }
}

/**
 * virtHptTableClear:
 * @table: a table
 * @slot: the first slot
 * @n: how many
 *
 * Removes the entries at consecutive slots.  Memory that holds none is not touched.
 *
 * Slots outside the table are a programming error and abort the process.
 */
void
virtHptTableClear(VirtHptTable *table, guint64 slot, guint64 n)
{
    guint64 end = slot + n;

    assertRange(table, slot, n);
    while (slot < end) {
        guint64 stop = MIN(end, (slot / CHUNK_SLOTS + 1) * CHUNK_SLOTS);

        if (chunkMayHoldEntry(table, slot / CHUNK_SLOTS)) {
            memset(&table->words[slot * WORDS_PER_SLOT], 0,
                   (gsize)(stop - slot) * VIRT_HPT_ENTRY_SIZE);
            /* Or eight bytes of a hostile stream would clear a mebibyte, again and again. */
            if (stop - slot == CHUNK_SLOTS)
                unmarkChunk(table, slot / CHUNK_SLOTS);
        }
        slot = stop;
    }
}

/* Returns the first slot from @slot on whose chunk may hold an entry, at most @limit */
static guint64
skipUntouched(const VirtHptTable *table, guint64 slot, guint64 limit)
{
    guint64 chunks = (limit + CHUNK_SLOTS - 1) / CHUNK_SLOTS;
    guint64 first = slot / CHUNK_SLOTS;
    guint64 chunk = first;

    while (chunk < chunks) {
        guint64 word = table->chunks[chunk / 64] >> (chunk % 64);

        if (word & 1)
            break;
        chunk = word ? chunk + 1 : (chunk / 64 + 1) * 64;
    }
    if (chunk == first)
        return slot;
    return MIN(chunk * CHUNK_SLOTS, limit);
}

/* Returns the first valid slot of [@slot, @end), else @end; a PTEG at a time where none is valid */
static guint64
findValid(const VirtHptTable *table, guint64 slot, guint64 end)
{
    while (slot < end) {
        if (slot % VIRT_HPT_PTEG_SLOTS == 0 && end - slot >= VIRT_HPT_PTEG_SLOTS) {
            const guint64 *w = &table->words[slot * WORDS_PER_SLOT];

            if (!((w[0] | w[2] | w[4] | w[6] | w[8] | w[10] | w[12] | w[14]) & WIRE_VALID)) {
                slot += VIRT_HPT_PTEG_SLOTS;
                continue;
            }
        }
        if (slotIsValid(table, slot))
            return slot;
        slot++;
    }
    return end;
}

/**
 * virtHptTableNextValid:
 * @table: a table
 * @slot: where to begin, at most the number of slots
 *
 * Returns: the first slot from @slot on that holds an entry, or the number of slots if none does
 */
guint64
virtHptTableNextValid(const VirtHptTable *table, guint64 slot)
{
    return virtHptTableNextValidBelow(table, slot, table->slots);
}

/**
 * virtHptTableNextValidBelow:
 * @table: a table
 * @slot: where to begin
 * @limit: where to stop, at most the number of slots
 *
 * A limit behind the end is a programming error and aborts the process.
 *
 * Returns: the first slot of [@slot, @limit) that holds an entry, or @limit if none does
 */
guint64
virtHptTableNextValidBelow(const VirtHptTable *table, guint64 slot, guint64 limit)
{
    assertRange(table, limit, 0);

    while (slot < limit && (slot = skipUntouched(table, slot, limit)) < limit) {
        guint64 end = MIN((slot / CHUNK_SLOTS + 1) * CHUNK_SLOTS, limit);

        slot = findValid(table, slot, end);
        if (slot < end)
            return slot;
    }
    return limit;
}

/**
 * virtHptTableNextInvalid:
 * @table: a table
 * @slot: where to begin
 * @limit: where to stop, at most the number of slots
 *
 * A limit behind the end is a programming error and aborts the process.
 *
 * Returns: the first slot of [@slot, @limit) that holds no entry, or @limit if all do
 */
guint64
virtHptTableNextInvalid(const VirtHptTable *table, guint64 slot, guint64 limit)
{
    assertRange(table, limit, 0);

    while (slot < limit) {
        if (slot % CHUNK_SLOTS == 0 && !chunkMayHoldEntry(table, slot / CHUNK_SLOTS))
            return slot;
        if (slot % VIRT_HPT_PTEG_SLOTS == 0 && limit - slot >= VIRT_HPT_PTEG_SLOTS) {
            const guint64 *w = &table->words[slot * WORDS_PER_SLOT];

            if (w[0] & w[2] & w[4] & w[6] & w[8] & w[10] & w[12] & w[14] & WIRE_VALID) {
                slot += VIRT_HPT_PTEG_SLOTS;
                continue;
            }
        }
        if (!slotIsValid(table, slot))
            return slot;
        slot++;
    }
    return limit;
}

/**
 * virtHptTableEqual:
 * @a: a table
 * @b: another
 *
 * Returns: whether both have the same order and the same entries
 */
gboolean
virtHptTableEqual(const VirtHptTable *a, const VirtHptTable *b)
{
    guint64 slot = 0;

    if (a->order != b->order)
        return FALSE;

    for (;;) {
        guint64 next = MIN(skipUntouched(a, slot, a->slots), skipUntouched(b, slot, b->slots));
        guint64 end;

        if (next >= a->slots)
            return TRUE;
        end = (next / CHUNK_SLOTS + 1) * CHUNK_SLOTS;
        if (memcmp(&a->words[next * WORDS_PER_SLOT], &b->words[next * WORDS_PER_SLOT],
                   (gsize)(end - next) * VIRT_HPT_ENTRY_SIZE) != 0)
            return FALSE;
        slot = end;
    }
}

/**
 * virtHptTableDefaultMaxBytes:
 *
 * The bound for a caller that has no better one.  An HPT has a 128th of its guest's RAM, so that
 * this is no limit for the tables of any guest that fits the machine.
 *
 * Returns: half of the physical memory, in bytes; 1 GiB where the system does not tell
 */
guint64
virtHptTableDefaultMaxBytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    long pageSize = sysconf(_SC_PAGESIZE);

    if (pages <= 0 || pageSize <= 0)
        return G_GUINT64_CONSTANT(1) << 30;
    return (guint64)pages * (guint64)pageSize / 2;
}
