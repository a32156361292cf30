/*
 * test_changes.c: a guest that changes its table while it is read
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The guest asks the hypervisor to put and to remove entries (H_ENTER, H_REMOVE; PAPR), as fast as
 * it can.  Proves that passes lose none of that, and measures what they hold.
 */

#include "powerhost.h"

#define ORDER 18
#define SLOTS (G_GUINT64_CONSTANT(1) << (ORDER - 4))

/*
 * Each round puts an entry and removes the one that was put 1024 rounds before, in slot 0 of one
 * PTEG after the other; entries of the VRMA are in slot 7.
 *
 *         mr    20,5             r20: where to count
 *         li    22,0             r22: rounds
 *         li    17,0x4001        r17: V, r18: R, those of htabFdPlain
 *         sldi  17,17,48
 *         ori   17,17,1
 *         li    18,0x7194
 *         li    15,1             r15: H_EXACT
 *         sldi  15,15,39
 *     1:  li    3,8              H_ENTER(H_EXACT, round % 2048 * 8, V, R)
 *         mr    4,15
 *         rldic 5,22,3,50
 *         mr    6,17
 *         mr    7,18
 *         sc    1
 *         addi  5,22,1024        H_REMOVE(0, (round + 1024) % 2048 * 8, 0)
 *         rldic 5,5,3,50
 *         li    3,4
 *         li    4,0
 *         li    6,0
 *         sc    1
 *         addi  22,22,1
 *         std   22,0(20)
 *         b     1b
 */
static const guint32 program[] = {
    0x7cb42b78, 0x3ac00000, 0x3a204001, 0x7a3183c6, 0x62310001, 0x3a407194, 0x39e00001, 0x79ef3e06,
    0x38600008, 0x7de47b78, 0x7ac51ca8, 0x7e268b78, 0x7e479378, 0x44000022, 0x38b60400, 0x78a51ca8,
    0x38600004, 0x38800000, 0x38c00000, 0x44000022, 0x3ad60001, 0xfad40000, 0x4bffffc8,
};

/* How many of the guest's entries there are once it is past the first 1024 rounds */
#define ENTRIES G_GUINT64_CONSTANT(1024)

static HostVm *
vmThatChangesItsTable(void)
{
    HostVm *vm = hostVmNewThatCounts(ORDER);

    hostVmLoad(vm, program, G_N_ELEMENTS(program));
    return vm;
}

/* The guest's own entries in @table; all others are bolted ones of the VRMA */
static guint
countEntries(const VirtHptTable *table)
{
    guint count = 0;

    for (guint64 slot = virtHptTableNextValid(table, 0); slot < SLOTS;
         slot = virtHptTableNextValid(table, slot + 1)) {
        const VirtHptEntry entry = virtHptTableGet(table, slot);

        if (entry.v & VIRT_HPT_V_BOLTED)
            continue;
        g_assert_cmpuint(slot % 8, ==, 0);
        g_assert_cmphex(entry.v, ==, htabFdPlain.v);
        g_assert_cmphex(entry.r, ==, htabFdPlain.r);
        count++;
    }
    return count;
}

static void
testPassesFollowGuest(void)
{
    g_autoptr(HostVm) vm = vmThatChangesItsTable();
    g_autoptr(VirtHptKvmReader) reader = kernelReader(vm, ORDER, 0);
    g_autoptr(VirtHptTable) followed = htabFdTableNew(ORDER);
    g_autoptr(VirtHptTable) held = NULL;

    hostVmStart(vm);
    while (hostVmGetCount(vm) < 20 * ENTRIES) {
        hostVmWaitCount(vm);
        kernelPass(reader, followed);
    }
    hostVmStop(vm);
    kernelPass(reader, followed);
    held = htabFdReadTable(kernelFd(), vm, ORDER);
    g_assert_true(virtHptTableEqual(followed, held));
    /* It stopped between its two calls, or not */
    g_assert_cmpuint(countEntries(held), >=, ENTRIES);
    g_assert_cmpuint(countEntries(held), <=, ENTRIES + 1);
    g_assert_cmpuint(kernelPass(reader, followed).records, ==, 0);
}

/* The number of slots in a pass is that of slots which changed, however often they did */
static void
testPassHoldsSlotsOnce(void)
{
    static const guint waits[] = {1, 10, 100, 1000}; /* ms */
    g_autoptr(HostVm) vm = vmThatChangesItsTable();
    g_autoptr(VirtHptKvmReader) reader = kernelReader(vm, ORDER, 0);
    g_autoptr(VirtHptTable) table = htabFdTableNew(ORDER);

    hostVmStart(vm);
    while (hostVmGetCount(vm) < 3 * ENTRIES)
        hostVmWaitCount(vm);
    kernelPass(reader, table);
    for (guint i = 0; i < G_N_ELEMENTS(waits); i++) {
        guint64 rounds = hostVmGetCount(vm);
        gint64 start = g_get_monotonic_time();
        VirtHptKvmPass pass;

        g_usleep((gulong)waits[i] * 1000);
        hostVmWaitCount(vm);
        pass = kernelPass(reader, table);
        g_assert_cmpuint(pass.valid + pass.invalid, >, 0);
        g_assert_cmpuint(pass.valid + pass.invalid, <=, 2 * ENTRIES);
        g_test_message("%.1f ms: %" G_GUINT64_FORMAT " rounds; a pass of %" G_GUINT64_FORMAT
                       " records, %" G_GUINT64_FORMAT " valid + %" G_GUINT64_FORMAT " invalid",
                       (double)(g_get_monotonic_time() - start) / 1000, hostVmGetCount(vm) - rounds,
                       pass.records, pass.valid, pass.invalid);
    }
    hostVmStop(vm);
}

static gboolean
writeRecord(guint64 slot,
            const guint8 *hptes,
            guint valid,
            guint invalid,
            gpointer opaque,
            GError **error)
{
    VirtHptKvmWritten written;

    return virtHptKvmWriterWriteRecord(opaque, slot, hptes, valid, invalid, &written, error);
}

/* Its own entries are gone and it runs: it puts them again */
static void
testGuestRunsOnWithBoltedEntriesAlone(void)
{
    g_autoptr(HostVm) source = vmThatChangesItsTable();
    g_autoptr(HostVm) destination = vmThatChangesItsTable();
    g_autoptr(VirtHptKvmReader) reader = NULL;
    g_autoptr(VirtHptKvmWriter) writer = kernelWriter(destination, ORDER);
    g_autoptr(VirtHptTable) before = NULL;
    g_autoptr(VirtHptTable) held = NULL;
    g_autoptr(GError) error = NULL;
    VirtHptTableStats stats;
    VirtHptKvmPass pass;

    hostVmStart(source);
    while (hostVmGetCount(source) < 2 * ENTRIES)
        hostVmWaitCount(source);
    hostVmStop(source);
    reader = kernelReader(source, ORDER, VIRT_HPT_KVM_BOLTED_ONLY);
    virtHptKvmReaderPassRecords(reader, writeRecord, writer, &pass, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(pass.valid, ==, HOST_VM_MEMORY / HOST_VM_PAGE);
    before = htabFdReadTable(kernelFd(), destination, ORDER);
    virtHptTableGetStats(before, &stats);
    g_assert_cmpuint(stats.valid, ==, HOST_VM_MEMORY / HOST_VM_PAGE);
    g_assert_cmpuint(stats.bolted, ==, stats.valid);

    hostVmCopyMemory(destination, source);
    hostVmRunAndStop(destination);
    held = htabFdReadTable(kernelFd(), destination, ORDER);
    g_assert_cmpuint(countEntries(held), >, 0);
}

void
addChangesTests(void)
{
    g_test_add_func("/kernel/changes/passes follow a guest that changes its table",
                    testPassesFollowGuest);
    g_test_add_func("/kernel/changes/a pass holds a slot once", testPassHoldsSlotsOnce);
    g_test_add_func("/kernel/changes/a guest runs on with its bolted entries alone",
                    testGuestRunsOnWithBoltedEntriesAlone);
}
