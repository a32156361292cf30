/*
 * test_htab_cost.c: what differs costs what it says, not what the tables are
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves that to compare two large tables that are nearly empty, and to write and apply what
 * differs, touches no slot but those near entries: all others are memory that nobody may read, so
 * that the first look at one would end the test.  For what is applied the same holds of the map
 * that tells where entries may be.  That a record which empties slots of a tracked table touches
 * none but those, either, and that an entry which is not valid is no reason to touch any.  And that
 * the memory of a comparison does not grow with what differs.
 *
 * Requires /proc.  Nothing is told from times.
 */

#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libvirt-hpt/htab_delta.h"
#include "libvirt-hpt/htab_diff.h"
#include "libvirt-hpt/htab_kvm.h"
#include "libvirt-hpt/htab_tracker.h"
#include "htab/htab_streampriv.h"
#include "htab/htab_tablepriv.h"
#include "htab_testutils.h"

/* 8 GiB, of which nothing is there but what is opened */
#define ORDER 33
#define SLOTS (G_GUINT64_CONSTANT(1) << (ORDER - 4))
#define TABLE_BYTES ((gsize)1 << ORDER)
#define MAP_BYTES ((gsize)(SLOTS / VIRT_HPT_CHUNK_SLOTS / 8))

/* A table whose slots all differ from those of another one */
#define FULL_ORDER 22
#define FULL_SLOTS (G_GUINT64_CONSTANT(1) << (FULL_ORDER - 4))

/* One whose map says nothing */
#define SEARCHED_ORDER 24

#define KIB_PER_MIB G_GUINT64_CONSTANT(1024)

static const guint64 places[] = {0, 77, SLOTS / 3, SLOTS / 2, SLOTS - 1};

/* Memory that faults, whoever touches it */
static void *
newClosed(gsize bytes)
{
    void *memory = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    g_assert(memory != MAP_FAILED);
    return memory;
}

/* Opens the pages of @bytes bytes at @at of @memory */
static void
openAt(void *memory, gsize at, gsize bytes)
{
    gsize page = (gsize)sysconf(_SC_PAGESIZE);
    gsize first = at / page * page;

    g_assert_cmpint(mprotect((guint8 *)memory + first, at + bytes - first, PROT_READ | PROT_WRITE),
                    ==, 0);
}

static void
initGuarded(VirtHptTable *table)
{
    *table = (VirtHptTable){
        .order = ORDER,
        .slots = SLOTS,
        .words = newClosed(TABLE_BYTES),
        .chunks = newClosed(MAP_BYTES),
    };
    for (guint i = 0; i < G_N_ELEMENTS(places); i++) {
        guint64 chunk = places[i] / VIRT_HPT_CHUNK_SLOTS;

        openAt(table->words, (gsize)(chunk * VIRT_HPT_CHUNK_SLOTS * VIRT_HPT_ENTRY_SIZE),
               (gsize)VIRT_HPT_CHUNK_SLOTS * VIRT_HPT_ENTRY_SIZE);
        openAt(table->chunks, (gsize)(chunk / 64 * sizeof(guint64)), sizeof(guint64));
    }
}

static void
clearGuarded(VirtHptTable *table)
{
    munmap(table->words, TABLE_BYTES);
    munmap(table->chunks, MAP_BYTES);
}

/* Entries at every other one of the places, beginning with @first */
static void
put(VirtHptTable *table, guint first)
{
    const VirtHptEntry entry = {VIRT_HPT_V_VALID | 0x100, 0x1000};

    for (guint i = first; i < G_N_ELEMENTS(places); i += 2)
        virtHptTableSet(table, places[i], &entry);
}

static GByteArray *
makeDelta(VirtHptTable *before, VirtHptTable *after)
{
    GByteArray *delta = g_byte_array_new();
    g_autoptr(GError) error = NULL;

    /* To find the entries of a table the map of it is read, all of it */
    openAt(before->chunks, 0, MAP_BYTES);
    openAt(after->chunks, 0, MAP_BYTES);
    virtHptTableEncodeDelta(before, after, testAppend, delta, &error);
    g_assert_no_error(error);
    return delta;
}

static void
testCompare(void)
{
    VirtHptTable before;
    VirtHptTable after;
    g_autoptr(GByteArray) delta = NULL;
    g_autoptr(VirtHptDiff) diff = NULL;
    g_autoptr(GError) error = NULL;

    initGuarded(&before);
    initGuarded(&after);
    put(&before, 0);
    put(&after, 1);

    delta = makeDelta(&before, &after);
    /* Order and reserved, a header a record, the entries that are new, and the end */
    g_assert_cmpuint(delta->len, ==,
                     8 + G_N_ELEMENTS(places) * 8 + G_N_ELEMENTS(places) / 2 * VIRT_HPT_ENTRY_SIZE +
                         8);

    diff = virtHptTableDiff(&before, &after, 16, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(diff->counts[VIRT_HPT_DIFF_ADDED], ==, G_N_ELEMENTS(places) / 2);
    g_assert_cmpuint(diff->counts[VIRT_HPT_DIFF_REMOVED], ==, (G_N_ELEMENTS(places) + 1) / 2);

    clearGuarded(&before);
    clearGuarded(&after);
}

static void
testApply(void)
{
    VirtHptTable before;
    VirtHptTable after;
    VirtHptTable table;
    g_autoptr(GByteArray) delta = NULL;
    g_autoptr(VirtHptDeltaReader) reader = NULL;
    g_autoptr(GError) error = NULL;
    VirtHptDeltaStats stats = {0};

    initGuarded(&before);
    initGuarded(&after);
    initGuarded(&table);
    put(&before, 0);
    put(&table, 0);
    put(&after, 1);
    delta = makeDelta(&before, &after);

    reader = virtHptDeltaReaderNew(&table);
    virtHptDeltaReaderFeed(reader, delta->data, delta->len, &error);
    g_assert_no_error(error);
    virtHptDeltaReaderFinish(reader, &stats, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(stats.set, ==, G_N_ELEMENTS(places) / 2);
    g_assert_cmpuint(stats.cleared, ==, (G_N_ELEMENTS(places) + 1) / 2);
    g_assert_cmpuint(stats.same + stats.absent, ==, 0);
    for (guint i = 0; i < G_N_ELEMENTS(places); i++)
        g_assert_cmpuint(virtHptTableGet(&table, places[i]).v & VIRT_HPT_V_VALID, ==, i % 2);

    clearGuarded(&before);
    clearGuarded(&after);
    clearGuarded(&table);
}

/* Eight bytes: @n slots from @slot on are to be empty */
static void
writeInvalid(VirtHptTracker *tracker, guint64 slot, guint16 n)
{
    const VirtHptRecordHeader header = {.index = (guint32)slot, .invalid = n};
    guint8 record[VIRT_HPT_RECORD_HEADER_SIZE];
    g_autoptr(GError) error = NULL;

    virtHptRecordHeaderStore(header, VIRT_HPT_ENCODING_KVM_BE, record);
    g_assert_cmpint(
        virtHptTrackerWrite(tracker, VIRT_HPT_TRACKER_BIG_ENDIAN, record, sizeof(record), &error),
        ==, sizeof(record));
    g_assert_no_error(error);
}

static void
testEmpty(void)
{
    const guint64 place = SLOTS / 2;
    const gsize chunkBytes = (gsize)VIRT_HPT_CHUNK_SLOTS * VIRT_HPT_ENTRY_SIZE;
    VirtHptTable table;
    VirtHptTracker *tracker;
    VirtHptTrackerReader *reader;

    initGuarded(&table);
    put(&table, 1);
    openAt(table.chunks, 0, MAP_BYTES);
    g_assert_cmpuint(virtHptTableNextValidBelow(&table, place, place + 1), ==, place);
    tracker = virtHptTrackerNew(&table);
    reader = virtHptTrackerOpen(tracker, 0, SLOTS, NULL);

    writeInvalid(tracker, place - 40000, VIRT_HPT_RECORD_MAX);
    g_assert_cmpuint(virtHptTrackerGetChanges(tracker), ==, 1);
    g_assert_cmpuint(virtHptTableGet(&table, place).v, ==, 0);

    /* What is empty now is not looked at again */
    g_assert_cmpint(
        mprotect((guint8 *)table.words + place * VIRT_HPT_ENTRY_SIZE, chunkBytes, PROT_NONE), ==,
        0);
    writeInvalid(tracker, place - 40000, VIRT_HPT_RECORD_MAX);
    g_assert_cmpuint(virtHptTrackerGetChanges(tracker), ==, 1);

    virtHptTrackerReaderFree(reader);
    virtHptTrackerFree(tracker);
    clearGuarded(&table);
}

/* Far from entries even the map may only be read */
static void
testSetInvalid(void)
{
    static const guint64 far[] = {VIRT_HPT_CHUNK_SLOTS, SLOTS / 4, SLOTS / 2 - 1};
    const VirtHptEntry invalid = {0x100, 0x1000};
    VirtHptTable table;

    initGuarded(&table);
    put(&table, 0);
    g_assert_cmpint(mprotect(table.chunks, MAP_BYTES, PROT_READ), ==, 0);

    for (guint i = 0; i < G_N_ELEMENTS(far); i++)
        virtHptTableSet(&table, far[i], &invalid);
    for (guint i = 0; i < G_N_ELEMENTS(places); i++)
        virtHptTableSet(&table, places[i], &invalid);
    g_assert_cmpuint(virtHptTableGet(&table, places[0]).v, ==, 0);
    g_assert_cmpuint(virtHptTableNextValidBelow(&table, 0, SLOTS / 4), ==, SLOTS / 4);

    clearGuarded(&table);
}

/* What the other tests rely on: who looks further does not come back */
static void
testGuard(void)
{
    VirtHptTable table;
    pid_t child;
    int status = 0;

    initGuarded(&table);
    put(&table, 0);
    child = fork();
    g_assert_cmpint(child, >=, 0);
    if (child == 0) {
        /* What a sanitizer would say of it is no news */
        close(STDERR_FILENO);
        _exit(virtHptTableNextValid(&table, 1) == SLOTS ? EXIT_SUCCESS : 2);
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 1);
    clearGuarded(&table);
}

static VirtHptTable *
newFull(guint64 r)
{
    const VirtHptEntry entry = {VIRT_HPT_V_VALID | 0x100, r};
    VirtHptTable *table = virtHptTableNew(FULL_ORDER, G_MAXSIZE, NULL);

    g_assert_nonnull(table);
    for (guint64 slot = 0; slot < FULL_SLOTS; slot++)
        virtHptTableSet(table, slot, &entry);
    return table;
}

/* A writer of a table of @order to which the kernel would say that all is well */
static VirtHptKvmWriter *
newWriter(guint order)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    VirtHptKvmWriter *writer;

    g_assert_cmpint(fd, >=, 0);
    writer = virtHptKvmWriterNewForFd(fd, order, NULL);
    g_assert_nonnull(writer);
    return writer;
}

static void
testWrite(void)
{
    g_autoptr(VirtHptKvmWriter) writer = newWriter(ORDER);
    g_autoptr(GError) error = NULL;
    VirtHptKvmWritten written;
    VirtHptTable before;
    VirtHptTable after;

    initGuarded(&before);
    initGuarded(&after);
    put(&before, 0);
    put(&after, 1);
    openAt(before.chunks, 0, MAP_BYTES);
    openAt(after.chunks, 0, MAP_BYTES);

    virtHptKvmWriterWriteChanges(writer, &before, &after, &written, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(written.valid, ==, G_N_ELEMENTS(places) / 2);
    g_assert_cmpuint(written.invalid, ==, (G_N_ELEMENTS(places) + 1) / 2);

    clearGuarded(&before);
    clearGuarded(&after);
}

/*
 * A table that was emptied slot by slot has to be searched, but once: where each record searched
 * the rest of it, this would take minutes.
 */
static void
testSearchOnce(void)
{
    g_autoptr(VirtHptTable) before = virtHptTableNew(SEARCHED_ORDER, G_MAXSIZE, NULL);
    g_autoptr(VirtHptTable) after = virtHptTableNew(SEARCHED_ORDER, G_MAXSIZE, NULL);
    g_autoptr(VirtHptKvmWriter) writer = newWriter(SEARCHED_ORDER);
    g_autoptr(GError) error = NULL;
    const VirtHptEntry entry = {VIRT_HPT_V_VALID | 0x100, 0x1000};
    VirtHptKvmWritten written;

    for (guint64 slot = 0; slot < virtHptTableGetSlots(before); slot++) {
        virtHptTableSet(before, slot, &entry);
        virtHptTableClear(before, slot, 1);
        if (slot % 2)
            virtHptTableSet(after, slot, &entry);
    }
    virtHptKvmWriterWriteChanges(writer, before, after, &written, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(written.valid, ==, virtHptTableGetSlots(after) / 2);
    g_assert_cmpuint(written.invalid, ==, 0);
}

static gboolean
apply(const guint8 *data, gsize length, gpointer opaque, GError **error)
{
    return virtHptDeltaReaderFeed(opaque, data, length, error);
}

/* Of what differs the first is kept and the rest counted, and a delta is handed on as it comes */
static void
testMemory(void)
{
    g_autoptr(VirtHptTable) before = newFull(0x1000);
    g_autoptr(VirtHptTable) after = newFull(0x2000);
    g_autoptr(VirtHptTable) table = newFull(0x1000);
    g_autoptr(VirtHptDeltaReader) reader = virtHptDeltaReaderNew(table);
    g_autoptr(VirtHptDiff) diff = NULL;
    g_autoptr(VirtHptDiff) all = NULL;
    VirtHptDeltaStats stats = {0};
    guint64 tables = testPeakMemory();
    guint64 bounded;

    diff = virtHptTableDiff(before, after, 16, NULL);
    g_assert_cmpuint(virtHptDiffGetTotal(diff), ==, FULL_SLOTS);
    g_assert_cmpuint(diff->differences->len, ==, 16);
    g_assert_true(virtHptTableEncodeDelta(before, after, apply, reader, NULL));
    g_assert_true(virtHptDeltaReaderFinish(reader, &stats, NULL));
    g_assert_true(virtHptTableEqual(table, after));
    bounded = testPeakMemory();
    g_test_message("%" G_GUINT64_FORMAT " KiB besides tables", bounded - tables);
    g_assert_cmpuint(bounded - tables, <, 4 * KIB_PER_MIB);

    /* It would be seen if it were otherwise */
    all = virtHptTableDiff(before, after, FULL_SLOTS, NULL);
    g_assert_cmpuint(all->differences->len, ==, FULL_SLOTS);
    g_assert_cmpuint(testPeakMemory() - bounded, >, 8 * KIB_PER_MIB);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    g_test_add_func("/htab/cost/memory of a comparison is the tables' and a constant", testMemory);
    g_test_add_func("/htab/cost/a look beyond the slots that are open ends a process", testGuard);
    g_test_add_func("/htab/cost/a comparison looks at no slot far from entries", testCompare);
    g_test_add_func("/htab/cost/a delta is applied where its slots are and nowhere else",
                    testApply);
    g_test_add_func("/htab/cost/a record that empties slots looks at none far from entries",
                    testEmpty);
    g_test_add_func("/htab/cost/an entry that is not valid touches no slot far from others",
                    testSetInvalid);
    g_test_add_func("/htab/cost/changes are written where they are and nowhere else", testWrite);
    g_test_add_func("/htab/cost/a table without entries is searched once", testSearchOnce);

    return g_test_run();
}
