/*
 * htab_fd.c: records of a guest's HPT, for the tests of all that give and take them
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The records are taken apart and put together here once more, with nothing of src/htab.
 */

#include <string.h>

#include "htab_fd.h"

#define HEADER 8
#define ENTRY 16

/* V's lowest byte holds VALID and the private bits */
#define V_LOW 7

const VirtHptEntry htabFdPlain = {0x4001000000000001, 0x7194};
const VirtHptEntry htabFdBolted = {0x4001000000000015, 0x11194};
const VirtHptEntry htabFdLarge = {0x4001000000000005, 0x5000190};

GByteArray *
htabFdMakeRecord(guint32 index, const VirtHptEntry *entries, guint n, guint invalid)
{
    GByteArray *record = g_byte_array_sized_new(HEADER + n * ENTRY);
    const guint16 counts[] = {(guint16)n, (guint16)invalid};

    g_byte_array_append(record, (const guint8 *)&index, sizeof(index));
    g_byte_array_append(record, (const guint8 *)counts, sizeof(counts));
    for (guint i = 0; i < n; i++) {
        const guint64 wire[] = {GUINT64_TO_BE(entries[i].v), GUINT64_TO_BE(entries[i].r)};

        g_byte_array_append(record, (const guint8 *)wire, sizeof(wire));
    }
    return record;
}

/* Takes the next record off @data; FALSE at its end.  There must be whole records. */
gboolean
htabFdNextRecord(const guint8 **data, gsize *left, HtabFdRecord *record)
{
    guint16 counts[2];
    gsize length;

    if (*left == 0)
        return FALSE;
    g_assert_cmpuint(*left, >=, HEADER);
    memcpy(&record->index, *data, sizeof(record->index));
    memcpy(counts, *data + sizeof(record->index), sizeof(counts));
    record->valid = counts[0];
    record->invalid = counts[1];
    record->hptes = *data + HEADER;
    length = HEADER + (gsize)record->valid * ENTRY;
    g_assert_cmpuint(*left, >=, length);
    g_assert_cmpuint(record->valid + record->invalid, >, 0);
    *data += length;
    *left -= length;
    return TRUE;
}

/* Records as "index:valid+invalid", separated by spaces; "" if there are none */
char *
htabFdSay(const guint8 *data, gsize length)
{
    GString *text = g_string_new(NULL);
    HtabFdRecord record;

    while (htabFdNextRecord(&data, &length, &record)) {
        if (text->len)
            g_string_append_c(text, ' ');
        g_string_append_printf(text, "%u:%u+%u", record.index, record.valid, record.invalid);
    }
    return g_string_free(text, FALSE);
}

/* Puts what was read into @table.  All entries must be valid, and locked: HVLOCK and not ABSENT. */
void
htabFdApply(VirtHptTable *table, const guint8 *data, gsize length)
{
    HtabFdRecord record;

    while (htabFdNextRecord(&data, &length, &record)) {
        for (guint i = 0; i < record.valid; i++) {
            guint8 low = record.hptes[i * ENTRY + V_LOW];

            g_assert_cmphex(low & 0x61, ==, 0x41);
        }
        g_assert_cmpuint((guint64)record.index + record.valid + record.invalid, <=,
                         virtHptTableGetSlots(table));
        virtHptTableSetWire(table, record.index, record.hptes, record.valid);
        virtHptTableClear(table, (guint64)record.index + record.valid, record.invalid);
    }
}

gssize
htabFdWrite(const HtabFd *fd,
            gpointer guest,
            guint32 index,
            const VirtHptEntry *entries,
            guint n,
            guint invalid)
{
    g_autoptr(GByteArray) record = htabFdMakeRecord(index, entries, n, invalid);

    return fd->write(guest, record->data, record->len);
}

void
htabFdPut(const HtabFd *fd, gpointer guest, guint32 slot, const VirtHptEntry *entry)
{
    g_assert_cmpint(htabFdWrite(fd, guest, slot, entry, 1, 0), ==, HEADER + ENTRY);
}

void
htabFdClear(const HtabFd *fd, gpointer guest, guint32 slot, guint n)
{
    g_assert_cmpint(htabFdWrite(fd, guest, slot, NULL, 0, n), ==, HEADER);
}

/* One read.  The memory ends where the buffer does, so that a sanitizer sees more. */
GByteArray *
htabFdRead(const HtabFd *fd, gpointer reader, gsize count)
{
    guint8 *buffer = g_malloc(MAX(count, 1));
    gssize n = fd->read(reader, buffer, count);

    g_assert_cmpint(n, >=, 0);
    g_assert_cmpint(n, <=, count);
    return g_byte_array_new_take(buffer, (gsize)n);
}

VirtHptTable *
htabFdTableNew(guint order)
{
    VirtHptTable *table = virtHptTableNew(order, TEST_MAX_BYTES, NULL);

    g_assert_nonnull(table);
    return table;
}

/* The whole table, by a reader of its own */
VirtHptTable *
htabFdReadTable(const HtabFd *fd, gpointer guest, guint order)
{
    VirtHptTable *table = htabFdTableNew(order);
    gpointer reader = fd->open(guest, 0, 0);
    guint64 next = 0;

    while (next < virtHptTableGetSlots(table)) {
        g_autoptr(GByteArray) bytes = htabFdRead(fd, reader, 1 << 20);
        const guint8 *data = bytes->data;
        gsize left = bytes->len;
        HtabFdRecord record;

        g_assert_cmpuint(bytes->len, >, 0);
        htabFdApply(table, bytes->data, bytes->len);
        while (htabFdNextRecord(&data, &left, &record)) {
            g_assert_cmpuint(record.index, ==, next);
            next += record.valid + record.invalid;
        }
    }
    fd->close(reader);
    return table;
}

/* Any entry that is well-formed and keeps its bits: of any page size, address, protection */
VirtHptEntry
htabFdRandomEntry(guint64 keptV)
{
    /* Encodings in R, and their masks: 16M, 64K, 16G, 4K/64K, 64K/16M, 4K/16M */
    static const guint64 large[][2] = {
        {0x00000, 0xff000}, {0x01000, 0x0f000}, {0x03000, 0xff000},
        {0x07000, 0x0f000}, {0x08000, 0xff000}, {0x38000, 0xff000},
    };
    VirtHptEntry entry = {
        .v = (guint64)(guint32)g_test_rand_int() << 32 | (guint32)g_test_rand_int(),
        .r = (guint64)(guint32)g_test_rand_int() << 32 | (guint32)g_test_rand_int(),
    };
    guint which = (guint)g_test_rand_int_range(0, G_N_ELEMENTS(large));

    /* B is 0 or 1 */
    entry.v = (entry.v & keptV & ~(1ULL << 63) & ~VIRT_HPT_V_PRIVATE) | VIRT_HPT_V_VALID;
    entry.r &= ~VIRT_HPT_R_TS;
    if (entry.v & VIRT_HPT_V_LARGE)
        entry.r = (entry.r & ~large[which][1]) | large[which][0];
    return entry;
}

static void
setUp(HtabFdFixture *f, gconstpointer data)
{
    f->fd = data;
    f->guest = f->fd->guestNew(HTAB_FD_ORDER);
}

static void
tearDown(HtabFdFixture *f, G_GNUC_UNUSED gconstpointer data)
{
    f->fd->guestFree(f->guest);
}

/* Adds a case: @name is that of the side, and what it proves: "read/0 is not end of file" */
void
htabFdAdd(const HtabFd *fd, const char *name, HtabFdFunc func)
{
    g_autofree char *path = g_strdup_printf("/htab-fd/%s/%s", fd->name, name);

    g_test_add(path, HtabFdFixture, fd, setUp, func, tearDown);
}
