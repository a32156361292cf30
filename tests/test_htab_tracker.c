/*
 * test_htab_tracker.c: what the table in userspace has that the kernel's descriptor has not
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * That both read and write alike is proved by the test program that both answer (test_htab_fd.c,
 * tests/e2e/powerhost).  Here is the rest: how a VMM changes the table, what it may ask of it, the
 * other byte order, and what is refused where the kernel misreads.  That a slot which neither the
 * tracker nor its table has ends the process.  And, on random changes with buffers of random sizes,
 * that what was read makes the same table elsewhere.
 *
 * Requires nothing.  GLib prints the seed ("random seed: R02S..."); --seed=R02S... repeats a run.
 */

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libvirt-hpt/htab_error.h"
#include "libvirt-hpt/htab_tracker.h"
#include "htab_fd.h"

#define SLOTS HTAB_FD_SLOTS
#define ROOM ((gsize)1 << 20)

typedef struct {
    VirtHptTable *table;
    VirtHptTracker *tracker;
} Fixture;

static void
setUp(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    f->table = htabFdTableNew(HTAB_FD_ORDER);
    f->tracker = virtHptTrackerNew(f->table);
}

static void
tearDown(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    virtHptTrackerFree(f->tracker);
    virtHptTableFree(f->table);
}

static VirtHptTrackerReader *
openReader(const Fixture *f, guint flags, guint64 start)
{
    g_autoptr(GError) error = NULL;
    VirtHptTrackerReader *reader = virtHptTrackerOpen(f->tracker, flags, start, &error);

    g_assert_no_error(error);
    return reader;
}

/* Into memory of exactly @count bytes, so that a sanitizer sees a write beyond it */
static GByteArray *
readBytes(VirtHptTrackerReader *reader, gsize count)
{
    guint8 *buffer = g_malloc(count);
    gsize n = virtHptTrackerReaderRead(reader, buffer, count);

    g_assert_cmpuint(n, <=, count);
    return g_byte_array_new_take(buffer, n);
}

#define assertReads(reader, expected)                                                              \
    G_STMT_START                                                                                   \
    {                                                                                              \
        g_autoptr(GByteArray) bytes_ = readBytes(reader, ROOM);                                    \
        g_autofree char *said_ = htabFdSay(bytes_->data, bytes_->len);                             \
        g_assert_cmpstr(said_, ==, expected);                                                      \
    }                                                                                              \
    G_STMT_END

/* V or R of the first entry in what was read */
static guint64
firstWord(const GByteArray *bytes, guint which)
{
    guint64 wire;

    g_assert_cmpuint(bytes->len, >=, VIRT_HPT_RECORD_HEADER_SIZE + VIRT_HPT_ENTRY_SIZE);
    memcpy(&wire, bytes->data + VIRT_HPT_RECORD_HEADER_SIZE + which * sizeof(wire), sizeof(wire));
    return GUINT64_FROM_BE(wire);
}

static void
testReaderTellsItsPass(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    g_autoptr(VirtHptTrackerReader) reader = openReader(f, 0, 0);
    g_autoptr(VirtHptTrackerReader) behind = openReader(f, 0, SLOTS);
    g_autoptr(GByteArray) nothing = readBytes(reader, 24);

    g_assert_cmpuint(nothing->len, ==, 0);
    g_assert_true(virtHptTrackerReaderIsFirstPass(reader));
    assertReads(reader, "0:0+16384");
    g_assert_false(virtHptTrackerReaderIsFirstPass(reader));

    g_assert_true(virtHptTrackerReaderIsFirstPass(behind));
    assertReads(behind, "");
    g_assert_false(virtHptTrackerReaderIsFirstPass(behind));
}

static void
testChangesAreCounted(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    VirtHptTrackerReader *reader;

    virtHptTrackerSet(f->tracker, 5, &htabFdPlain);
    g_assert_cmpuint(virtHptTrackerGetChanges(f->tracker), ==, 0);
    reader = openReader(f, 0, 0);
    assertReads(reader, "0:0+5 5:1+16378");
    virtHptTrackerSet(f->tracker, 5, &htabFdPlain);
    virtHptTrackerSet(f->tracker, 6, &htabFdBolted);
    virtHptTrackerSet(f->tracker, 3000, &htabFdPlain);
    virtHptTrackerInvalidate(f->tracker, 3000);
    g_assert_cmpuint(virtHptTrackerGetChanges(f->tracker), ==, 3);
    assertReads(reader, "5:2+0 3000:0+1");
    g_assert_cmpuint(virtHptTrackerGetChanges(f->tracker), ==, 0);
    virtHptTrackerSet(f->tracker, 7, &htabFdPlain);
    virtHptTrackerReaderFree(reader);
    g_assert_cmpuint(virtHptTrackerGetChanges(f->tracker), ==, 1);
}

static void
testReferenceAndChange(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    const guint64 both = VIRT_HPT_R_R | VIRT_HPT_R_C;
    const VirtHptEntry fresh = {htabFdPlain.v, htabFdPlain.r & ~both};
    g_autoptr(VirtHptTrackerReader) reader = NULL;
    g_autoptr(GByteArray) bytes = NULL;

    virtHptTrackerSet(f->tracker, 5, &fresh);
    virtHptTrackerTouch(f->tracker, 5, VIRT_HPT_R_R);
    reader = openReader(f, 0, SLOTS);
    assertReads(reader, "");
    assertReads(reader, "5:1+0"); /* R was set while nobody was there */

    virtHptTrackerTouch(f->tracker, 5, VIRT_HPT_R_R);
    virtHptTrackerTouch(f->tracker, 5, ~both);
    virtHptTrackerTouch(f->tracker, 6, both);
    assertReads(reader, "");
    virtHptTrackerTouch(f->tracker, 5, VIRT_HPT_R_C);
    bytes = readBytes(reader, ROOM);
    g_assert_cmpuint(bytes->len, ==, VIRT_HPT_RECORD_HEADER_SIZE + VIRT_HPT_ENTRY_SIZE);
    g_assert_cmphex(firstWord(bytes, 1), ==, fresh.r | both);
}

static void
testNothingThere(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    const VirtHptEntry invalid = {htabFdPlain.v & ~VIRT_HPT_V_VALID, htabFdPlain.r};
    g_autoptr(VirtHptTrackerReader) reader = openReader(f, 0, SLOTS);

    assertReads(reader, "");
    virtHptTrackerInvalidate(f->tracker, 5);
    virtHptTrackerSet(f->tracker, 6, &invalid);
    assertReads(reader, "");
    virtHptTrackerSet(f->tracker, 6, &htabFdPlain);
    virtHptTrackerSet(f->tracker, 6, &invalid);
    assertReads(reader, "6:0+1");
}

static void
testPrivateBits(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    const VirtHptEntry entry = {htabFdPlain.v | VIRT_HPT_V_PRIVATE, htabFdPlain.r | VIRT_HPT_R_TS};
    const VirtHptEntry direct = {htabFdPlain.v, entry.r};

    virtHptTableSet(f->table, 6, &direct); /* from before the tracker, as it were */
    virtHptTrackerSet(f->tracker, 5, &entry);
    for (guint64 slot = 5; slot <= 6; slot++) {
        g_autoptr(VirtHptTrackerReader) plain = openReader(f, 0, slot);
        g_autoptr(VirtHptTrackerReader) kernel = openReader(f, VIRT_HPT_TRACKER_PRIVATE_BITS, slot);
        g_autoptr(GByteArray) a = readBytes(plain, ROOM);
        g_autoptr(GByteArray) b = readBytes(kernel, ROOM);

        g_assert_cmphex(firstWord(a, 0), ==, htabFdPlain.v);
        g_assert_cmphex(firstWord(a, 1), ==, htabFdPlain.r);
        g_assert_cmphex(firstWord(b, 0), ==, htabFdPlain.v | VIRT_HPT_V_HVLOCK);
        g_assert_cmphex(firstWord(b, 1), ==, htabFdPlain.r);
    }
}

static void
testBigEndian(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    static const guint8 header[] = {0, 0, 1, 2, 0, 1, 0x3e, 0xfd};
    g_autoptr(VirtHptTrackerReader) reader = NULL;
    g_autoptr(GByteArray) bytes = NULL;

    virtHptTrackerSet(f->tracker, 0x102, &htabFdPlain);
    reader = openReader(f, VIRT_HPT_TRACKER_BIG_ENDIAN, 0x102);
    bytes = readBytes(reader, ROOM);
    g_assert_cmpmem(bytes->data, 8, header, 8);
    g_assert_cmphex(firstWord(bytes, 0), ==, htabFdPlain.v);
    virtHptTrackerInvalidate(f->tracker, 0x102);
    g_assert_cmpint(
        virtHptTrackerWrite(f->tracker, VIRT_HPT_TRACKER_BIG_ENDIAN, bytes->data, bytes->len, NULL),
        ==, bytes->len);
    g_assert_cmphex(virtHptTableGet(f->table, 0x102).v, ==, htabFdPlain.v);
}

static void
testUnknownFlags(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) writeError = NULL;
    static const guint8 record[VIRT_HPT_RECORD_HEADER_SIZE];

    g_assert_null(virtHptTrackerOpen(f->tracker, 2, 0, &error)); /* KVM_GET_HTAB_WRITE */
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_UNSUPPORTED);
    g_assert_cmpint(virtHptTrackerWrite(f->tracker, VIRT_HPT_TRACKER_BOLTED_ONLY, record,
                                        sizeof(record), &writeError),
                    ==, -EINVAL);
    g_assert_error(writeError, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED);
}

/* The kernel takes a record that is cut, and misreads two: they are refused here */
static void
testWriteTakesOneWholeRecord(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    const VirtHptEntry entries[] = {htabFdPlain, htabFdBolted};
    g_autoptr(GByteArray) once = htabFdMakeRecord(5, entries, 2, 0);
    g_autoptr(GByteArray) twice = htabFdMakeRecord(5, entries, 2, 0);

    g_byte_array_append(twice, once->data, once->len);
    for (guint n = 0; n <= twice->len; n++) {
        g_autofree guint8 *copy = g_malloc(MAX(n, 1));
        g_autoptr(GError) error = NULL;

        if (n == once->len)
            continue;
        memcpy(copy, twice->data, n);
        g_assert_cmpint(virtHptTrackerWrite(f->tracker, 0, copy, n, &error), ==, -EINVAL);
        g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED);
    }
    g_assert_cmpuint(virtHptTableNextValid(f->table, 0), ==, SLOTS);
    g_assert_cmpint(virtHptTrackerWrite(f->tracker, 0, once->data, once->len, NULL), ==, once->len);
}

/* The kernel says EINVAL or EIO and no more */
static void
testRefusalSaysWhichSlot(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    const VirtHptEntry bad[] = {
        {htabFdPlain.v & ~VIRT_HPT_V_VALID, htabFdPlain.r},
        {htabFdLarge.v, 0xf000},
        {htabFdPlain.v | 1ULL << 63, htabFdPlain.r},
    };
    static const char *const messages[] = {
        "*slot 0xb:*valid bit*from 0xa to*",
        "*slot 0xb:*no page size*from 0xa to*",
        "*slot 0xb:*segment size*from 0xa to*",
    };

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        const VirtHptEntry entries[] = {htabFdPlain, bad[i]};
        g_autoptr(GByteArray) record = htabFdMakeRecord(10, entries, 2, 0);
        g_autoptr(GError) error = NULL;

        g_assert_cmpint(virtHptTrackerWrite(f->tracker, 0, record->data, record->len, &error), <,
                        0);
        g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED);
        g_test_message("%s", error->message);
        g_assert_true(g_pattern_match_simple(messages[i], error->message));
    }
}

static guint
randomBelow(guint n)
{
    return (guint)g_test_rand_int_range(0, (gint32)n);
}

static void
mutateRandomly(const Fixture *f, guint changes)
{
    for (guint i = 0; i < changes; i++) {
        guint64 slot = randomBelow(SLOTS);
        guint n = randomBelow(8) ? 1 + randomBelow(6) : 1 + randomBelow(500);

        for (guint64 end = MIN(slot + n, SLOTS); slot < end; slot++) {
            switch (randomBelow(4)) {
            case 0:
                virtHptTrackerInvalidate(f->tracker, slot);
                break;
            case 1:
                virtHptTrackerTouch(f->tracker, slot, randomBelow(2) ? 0x100 : 0x180);
                break;
            default:
                virtHptTrackerSet(f->tracker, slot, randomBelow(2) ? &htabFdBolted : &htabFdPlain);
            }
        }
    }
}

/* Through the write side: into a table that a tracker has, record by record */
static void
replay(VirtHptTracker *target, const GByteArray *bytes, guint flags)
{
    gboolean big = (flags & VIRT_HPT_TRACKER_BIG_ENDIAN) != 0;
    guint at = 0;

    while (at < bytes->len) {
        const guint8 *data = bytes->data + at;
        g_autoptr(GError) error = NULL;
        guint16 valid;
        guint length;

        memcpy(&valid, data + 4, sizeof(valid));
        length = 8 + 16 * (guint)(big ? GUINT16_FROM_BE(valid) : valid);
        g_assert_cmpuint(length, <=, bytes->len - at);
        virtHptTrackerWrite(target, flags & VIRT_HPT_TRACKER_BIG_ENDIAN, data, length, &error);
        g_assert_no_error(error);
        at += length;
    }
}

static gsize
randomSize(void)
{
    switch (randomBelow(4)) {
    case 0:
        return randomBelow(60);
    case 1:
        return 25 + randomBelow(4000);
    default:
        return 25 + randomBelow(200000);
    }
}

/* Both the decoder and the write side replay what was read while the table changed */
static void
testConverges(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    const guint flags[] = {0, VIRT_HPT_TRACKER_PRIVATE_BITS, VIRT_HPT_TRACKER_BIG_ENDIAN};

    for (guint round = 0; round < 30; round++) {
        guint chosen = flags[round % G_N_ELEMENTS(flags)];
        g_autoptr(VirtHptTable) decoded = htabFdTableNew(HTAB_FD_ORDER);
        g_autoptr(VirtHptTable) written = htabFdTableNew(HTAB_FD_ORDER);
        g_autoptr(VirtHptTracker) target = virtHptTrackerNew(written);
        g_autoptr(VirtHptTrackerReader) reader = NULL;
        g_autoptr(VirtHptDecoder) decoder = virtHptDecoderNew(
            decoded, chosen & VIRT_HPT_TRACKER_BIG_ENDIAN ? VIRT_HPT_ENCODING_KVM_BE
                                                          : VIRT_HPT_ENCODING_KVM);
        guint steps = randomBelow(60);

        mutateRandomly(f, randomBelow(100));
        reader = openReader(f, chosen, 0);
        for (guint i = 0;; i++) {
            gsize count = i < steps ? randomSize() : 65536;
            g_autoptr(GByteArray) bytes = readBytes(reader, count);
            g_autoptr(GError) error = NULL;

            virtHptDecoderFeed(decoder, 0, bytes->data, bytes->len, NULL, NULL, &error);
            g_assert_no_error(error);
            replay(target, bytes, chosen);
            if (i < steps)
                mutateRandomly(f, randomBelow(5));
            else if (bytes->len == 0 && virtHptTrackerGetChanges(f->tracker) == 0)
                break;
        }
        g_assert_true(virtHptTableEqual(f->table, decoded));
        g_assert_true(virtHptTableEqual(f->table, written));
    }
}

static const VirtHptEntry valid = {VIRT_HPT_V_VALID | 0x100, 0x1000};
static const VirtHptEntry invalid = {0x100, 0x1000};

static void
trackerSet(const Fixture *f, guint64 slot)
{
    virtHptTrackerSet(f->tracker, slot, &valid);
}

static void
trackerSetInvalid(const Fixture *f, guint64 slot)
{
    virtHptTrackerSet(f->tracker, slot, &invalid);
}

static void
trackerInvalidate(const Fixture *f, guint64 slot)
{
    virtHptTrackerInvalidate(f->tracker, slot);
}

static void
trackerTouch(const Fixture *f, guint64 slot)
{
    virtHptTrackerTouch(f->tracker, slot, VIRT_HPT_R_R);
}

static void
tableGet(const Fixture *f, guint64 slot)
{
    virtHptTableGet(f->table, slot);
}

static void
tableSet(const Fixture *f, guint64 slot)
{
    virtHptTableSet(f->table, slot, &valid);
}

static void
tableSetInvalid(const Fixture *f, guint64 slot)
{
    virtHptTableSet(f->table, slot, &invalid);
}

static void
tableClear(const Fixture *f, guint64 slot)
{
    virtHptTableClear(f->table, slot, 1);
}

/* Returns what a process that calls @function says when it aborts, as it must */
static char *
abortsWith(void (*function)(const Fixture *f, guint64 slot), const Fixture *f, guint64 slot)
{
    char said[4096];
    gsize length = 0;
    gssize n;
    int fds[2];
    pid_t child;
    int status = 0;

    g_assert_cmpint(pipe(fds), ==, 0);
    child = fork();
    g_assert_cmpint(child, >=, 0);
    if (child == 0) {
        /* GLib would tell whoever reads our results as well */
        dup2(fds[1], STDOUT_FILENO);
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        function(f, slot);
        _exit(0);
    }
    close(fds[1]);
    while ((n = read(fds[0], said + length, sizeof(said) - length)) > 0)
        length += (gsize)n;
    close(fds[0]);
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    return g_strndup(said, length);
}

/* A sanitizer may abort, too, at what is read there: it is the assertion that has to */
static void
testSlotOutside(Fixture *f, gconstpointer data G_GNUC_UNUSED)
{
    static void (*const functions[])(const Fixture *f, guint64 slot) = {
        trackerSet, trackerSetInvalid, trackerInvalidate, trackerTouch,
        tableGet,   tableSet,          tableSetInvalid,   tableClear,
    };
    static const guint64 slots[] = {SLOTS, SLOTS + 1, G_MAXUINT64};

    for (gsize i = 0; i < G_N_ELEMENTS(functions); i++) {
        for (gsize j = 0; j < G_N_ELEMENTS(slots); j++) {
            g_autofree char *said = abortsWith(functions[i], f, slots[j]);

            g_assert_nonnull(strstr(said, "assertion failed"));
        }
        functions[i](f, SLOTS - 1);
    }
}

#define ADD(name, function)                                                                        \
    g_test_add("/htab/tracker/" name, Fixture, NULL, setUp, function, tearDown)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    ADD("a reader tells which pass it is in", testReaderTellsItsPass);
    ADD("changes are counted", testChangesAreCounted);
    ADD("R and C send an entry again", testReferenceAndChange);
    ADD("an empty slot that stays empty is no change", testNothingThere);
    ADD("private bits and TS are not the guest's", testPrivateBits);
    ADD("headers may be big-endian", testBigEndian);
    ADD("unknown flags are refused", testUnknownFlags);
    ADD("a write takes one whole record", testWriteTakesOneWholeRecord);
    ADD("a refusal says which slot", testRefusalSaysWhichSlot);
    ADD("a slot outside the table aborts", testSlotOutside);
    ADD("any passes over any changes make the same table", testConverges);

    return g_test_run();
}
