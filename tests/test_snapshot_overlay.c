/*
 * test_snapshot_overlay.c: a domain is put on new disk layers, and nothing else of it changes
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves that an overlay takes the place of its base, which becomes its backing store with all that
 * lay below, that other disks stay as they are, that names which somebody has are not taken, that
 * a journal reads back as it was written, and that no saved state is taken for a partial one.
 * Requires nothing.
 */

#include "config.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "libvirt-hpt/htab_error.h"
#include "snapshot/snapshot_backend.h"
#include "snapshot/snapshot_backing.h"
#include "snapshot/snapshot_keep.h"

static void
overlayFree(gpointer data)
{
    virtHptOverlayFree(data);
}

static GPtrArray *
newOverlays(const char *target, const char *base, const char *format, const char *path)
{
    GPtrArray *overlays = g_ptr_array_new_with_free_func(overlayFree);
    VirtHptOverlay *overlay = virtHptOverlayNew(target, base, format, FALSE);

    overlay->path = g_strdup(path);
    g_ptr_array_add(overlays, overlay);
    return overlays;
}

static void
testEdit(void)
{
    static const char before[] =
        "<domain><name>d</name><devices>"
        "<disk type='file' device='disk'><driver name='qemu' type='raw' cache='none'/>"
        "<source file='/i/a' index='2'/><backingStore/><target dev='vda' bus='virtio'/></disk>"
        "<disk type='file' device='disk'><source file='/i/b'/><target dev='vdb'/></disk>"
        "</devices></domain>";
    static const char after[] =
        "<domain><name>d</name><devices>"
        "<disk type=\"file\" device=\"disk\"><driver name=\"qemu\" type=\"qcow2\" cache=\"none\"/>"
        "<target dev=\"vda\" bus=\"virtio\"/><source file=\"/i/a&amp;1\"/>"
        "<backingStore type=\"file\"><format type=\"raw\"/><source file=\"/i/a\"/>"
        "<backingStore/></backingStore></disk>"
        "<disk type=\"file\" device=\"disk\"><source file=\"/i/b\"/><target dev=\"vdb\"/></disk>"
        "</devices></domain>";
    g_autoptr(GPtrArray) overlays = newOverlays("vda", "/i/a", "raw", "/i/a&1");
    g_autoptr(GError) error = NULL;
    g_autofree char *edited = virtHptOverlayEditDomain(before, overlays, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(edited, ==, after);
}

/* The disk was on a layer that was merged since into the base */
static void
testMerged(void)
{
    static const char before[] =
        "<domain><devices><disk type='file'><driver name='qemu' type='qcow2'/>"
        "<source file='/i/merged'/><backingStore type='file'><format type='raw'/>"
        "<source file='/i/base'/></backingStore><target dev='vda'/></disk></devices></domain>";
    static const char after[] =
        "<domain><devices><disk type=\"file\"><driver name=\"qemu\" type=\"qcow2\"/>"
        "<target dev=\"vda\"/><source file=\"/i/new\"/><backingStore type=\"file\">"
        "<format type=\"raw\"/><source file=\"/i/base\"/></backingStore></disk></devices></domain>";
    g_autoptr(GPtrArray) overlays = newOverlays("vda", "/i/base", "raw", "/i/new");
    g_autoptr(GError) error = NULL;
    g_autofree char *xml = virtHptOverlayEditDomain(before, overlays, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(xml, ==, after);
}

/* Each revert would make it longer, until no file system takes it */
static void
testNameStays(void)
{
    g_autoptr(VirtHptOverlay) overlay = virtHptOverlayNew("vda", "/i/a.b", "raw", FALSE);
    g_autofree char *first = NULL;

    virtHptOverlayName(overlay, "/i/a.b", "one");
    first = g_strdup(overlay->path);
    for (guint i = 0; i < 3; i++) {
        g_autofree char *before = g_strdup(overlay->path);

        virtHptOverlayName(overlay, before, "two");
    }
    g_assert_true(g_str_has_prefix(first, "/i/a.b.one.revert-"));
    g_assert_true(g_str_has_prefix(overlay->path, "/i/a.b.two.revert-"));
    g_assert_cmpuint(strlen(overlay->path), ==, strlen(first));
}

/* It stands in XML, which takes no half of a character */
static void
testLongName(void)
{
    for (guint shift = 0; shift < 3; shift++) {
        g_autoptr(VirtHptOverlay) overlay = virtHptOverlayNew("vda", "/i/a", "raw", FALSE);
        g_autoptr(GString) beside = g_string_new("/i/");
        g_autofree char *name = NULL;

        for (guint i = 0; i < shift; i++)
            g_string_append_c(beside, 'x');
        while (beside->len < NAME_MAX)
            g_string_append(beside, "\342\202\254");
        virtHptOverlayName(overlay, beside->str, "one");
        name = g_path_get_basename(overlay->path);
        g_assert_cmpuint(strlen(name), <=, NAME_MAX);
        g_assert_cmpuint(strlen(name), >, NAME_MAX - 3);
        g_assert_true(g_utf8_validate(name, -1, NULL));
    }
}

static void
testNoDisk(void)
{
    g_autoptr(GPtrArray) overlays = newOverlays("vdz", "/i/a", "raw", "/i/1");
    g_autoptr(GError) error = NULL;

    g_assert_null(virtHptOverlayEditDomain("<domain><devices/></domain>", overlays, &error));
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND);
}

static void
testReserve(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *dir = g_dir_make_tmp("virt-hpt-XXXXXX", &error);
    g_autofree char *base = g_build_filename(dir, "base", NULL);
    g_autofree char *prefix = g_strconcat(base, ".a%2Fb.revert-", NULL);
    g_autofree char *made = NULL;
    g_autofree char *taken = NULL;
    g_autoptr(VirtHptOverlay) overlay = virtHptOverlayNew("vda", base, "raw", FALSE);
    g_autoptr(VirtHptOverlay) second = virtHptOverlayNew("vda", base, "raw", FALSE);
    GStatBuf st;
    int fd;

    g_assert_no_error(error);
    g_assert_true(g_file_set_contents(base, "", 0, NULL));
    g_assert_cmpint(g_chmod(base, 0440), ==, 0);
    virtHptOverlayName(overlay, base, "a/b");
    virtHptOverlayName(second, base, "a/b");
    g_assert_true(g_str_has_prefix(overlay->path, prefix));
    g_assert_cmpstr(overlay->path, !=, second->path);
    fd = virtHptOverlayReserve(overlay, &error);
    g_assert_no_error(error);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(close(fd), ==, 0);
    made = g_strdup(overlay->path);
    g_assert_cmpint(g_stat(made, &st), ==, 0);
    g_assert_cmpuint(st.st_mode & 0777, ==, 0640);

    g_assert_cmpint(symlink("/nowhere", second->path), ==, 0);
    taken = g_strdup(second->path);
    g_assert_cmpint(virtHptOverlayReserve(second, &error), ==, -1);
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO);
    g_assert_null(second->path);
    g_unlink(taken);
    g_unlink(made);
    g_unlink(base);
    g_rmdir(dir);
}

/* The tool is run by root, with an environment that may be somebody else's */
static void
testPath(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *dir = g_dir_make_tmp("virt-hpt-XXXXXX", &error);
    g_autofree char *base = g_build_filename(dir, "base", NULL);
    g_autofree char *program = g_build_filename(dir, "qemu-img", NULL);
    g_autofree char *trace = g_build_filename(dir, "trace", NULL);
    g_autofree char *script = g_strdup_printf("#!/bin/sh\necho >'%s'\n", trace);
    g_autofree char *path = g_strconcat(dir, ":", g_getenv("PATH"), NULL);
    g_autofree char *before = g_strdup(g_getenv("PATH"));
    g_autoptr(VirtHptOverlay) overlay = virtHptOverlayNew("vda", base, "raw", FALSE);
    gboolean made;
    int fd;

    g_assert_true(g_file_set_contents(base, "", 0, NULL));
    g_assert_true(g_file_set_contents(program, script, -1, NULL));
    g_assert_cmpint(g_chmod(program, 0755), ==, 0);
    virtHptOverlayName(overlay, base, "a");
    fd = virtHptOverlayReserve(overlay, &error);
    g_assert_no_error(error);
    g_setenv("PATH", path, TRUE);
    made = virtHptOverlayFormat(overlay, fd, &error);
    g_setenv("PATH", before, TRUE);
    g_assert_false(g_file_test(trace, G_FILE_TEST_EXISTS));
    /* A machine that builds need not have qemu-img. */
    g_assert_true(made == g_file_test(QEMU_IMG, G_FILE_TEST_IS_EXECUTABLE));
    g_unlink(overlay->path);
    g_unlink(program);
    g_unlink(base);
    g_rmdir(dir);
}

/* The directory may be a user's, who sees the file appear */
static void
testLink(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *dir = g_dir_make_tmp("virt-hpt-XXXXXX", &error);
    g_autofree char *base = g_build_filename(dir, "base", NULL);
    g_autofree char *victim = g_build_filename(dir, "victim", NULL);
    g_autofree char *moved = g_build_filename(dir, "moved", NULL);
    g_autofree char *text = NULL;
    g_autofree char *backing = NULL;
    g_autoptr(VirtHptOverlay) overlay = virtHptOverlayNew("vda", base, "raw", FALSE);
    gboolean made;
    int fd;

    g_assert_true(g_file_set_contents(base, "", 0, NULL));
    g_assert_true(g_file_set_contents(victim, "whole", -1, NULL));
    virtHptOverlayName(overlay, base, "a");
    fd = virtHptOverlayReserve(overlay, &error);
    g_assert_no_error(error);
    g_assert_cmpint(g_rename(overlay->path, moved), ==, 0);
    g_assert_cmpint(symlink(victim, overlay->path), ==, 0);
    made = virtHptOverlayFormat(overlay, fd, &error);
    g_assert_true(made == g_file_test(QEMU_IMG, G_FILE_TEST_IS_EXECUTABLE));
    g_assert_true(g_file_get_contents(victim, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "whole");
    backing = virtHptBackingRead(moved);
    g_assert_cmpstr(backing, ==, made ? base : NULL);
    g_unlink(overlay->path);
    g_unlink(moved);
    g_unlink(victim);
    g_unlink(base);
    g_rmdir(dir);
}

static void
testJournal(void)
{
    static const char *const malformed[] = {
        "[revert]\nphase=dancing\n",
        "[revert]\nphase=deleting\nsnapshot=s\ndoomed=/i/a.hpt;i/a;\n",
        "[revert]\nphase=restoring\nsnapshot=s\nstopped=1:2:3:/i/a;\n",
        "[revert]\nphase=restoring\nsnapshot=s\nstopped=1:2:3:4:5:i/a;\n",
    };
    g_autoptr(GError) error = NULL;
    g_autofree char *dir = g_dir_make_tmp("virt-hpt-XXXXXX", &error);
    g_autofree char *file = g_build_filename(dir, "journal", NULL);
    g_autofree char *marked = g_build_filename(dir, "1:2;3", NULL);
    g_autoptr(VirtHptWatch) watch = virtHptWatchNew();
    g_autoptr(VirtHptJournal) written = virtHptJournalNew(" s\n\\ap ");
    g_autoptr(VirtHptJournal) read = NULL;
    VirtHptGuest guest = {.statePath = dir};
    const VirtHptOverlay *overlay;
    const VirtHptFileMark *mark;
    const VirtHptLayer *layer;

    g_assert_no_error(error);
    guest.stateDir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    g_assert_true(virtHptJournalLoad(&guest, &read, &error));
    g_assert_null(read);

    written->definition = g_strdup("<domain>\n  <name>'ä'</name>\n</domain>\n");
    written->resume = TRUE;
    written->noDryRun = TRUE;
    g_assert_true(g_file_set_contents(marked, "what was validated", -1, NULL));
    g_assert_true(virtHptWatchAdd(watch, marked, &error));
    virtHptWatchMark(watch, written->files);
    virtHptWatchMark(watch, written->stopped);
    g_ptr_array_add(written->stopped, virtHptFileMarkNew("/i/later"));
    virtHptJournalAddMade(written, "/i/new", VIRT_HPT_LAYER_SIZE_UNKNOWN);
    g_ptr_array_add(written->kept, g_strdup("/i/2;3"));
    g_ptr_array_add(written->doomed, g_strdup("/i/gone.hpt"));
    written->created = G_GINT64_CONSTANT(1) << 40;
    g_ptr_array_unref(written->overlays);
    written->overlays = newOverlays("vda", "/i/a", "raw", "/i/1;2");
    g_assert_true(virtHptJournalEnter(written, &guest, VIRT_HPT_PHASE_RESTORING, &error));
    g_assert_true(virtHptJournalLoad(&guest, &read, &error));
    g_assert_no_error(error);
    g_assert_cmpint(read->phase, ==, VIRT_HPT_PHASE_RESTORING);
    g_assert_cmpstr(read->snapshot, ==, written->snapshot);
    g_assert_cmpstr(read->definition, ==, written->definition);
    g_assert_null(read->aside);
    g_assert_true(read->resume);
    g_assert_true(read->noDryRun);
    g_assert_cmpuint(read->files->len, ==, 1);
    mark = g_ptr_array_index(read->files, 0);
    g_assert_cmpstr(mark->path, ==, marked);
    g_assert_true(virtHptFileMarkIsSame(mark));
    g_assert_cmpuint(read->stopped->len, ==, 2);
    g_assert_true(virtHptFileMarkIsSame(g_ptr_array_index(read->stopped, 0)));
    mark = g_ptr_array_index(read->stopped, 1);
    g_assert_cmpstr(mark->path, ==, "/i/later");
    g_assert_cmpuint(mark->inode, ==, 0);
    g_assert_cmpuint(read->made->len, ==, 1);
    layer = g_ptr_array_index(read->made, 0);
    g_assert_cmpuint(layer->size, ==, VIRT_HPT_LAYER_SIZE_UNKNOWN);
    mark = g_ptr_array_index(read->files, 0);
    g_assert_true(g_file_set_contents(marked, "what was not", -1, NULL));
    g_assert_false(virtHptFileMarkIsSame(mark));
    g_assert_cmpuint(read->kept->len, ==, 1);
    g_assert_cmpstr(g_ptr_array_index(read->kept, 0), ==, "/i/2;3");
    g_assert_cmpint(read->created, ==, written->created);
    g_assert_cmpuint(read->doomed->len, ==, 1);
    g_assert_cmpstr(g_ptr_array_index(read->doomed, 0), ==, "/i/gone.hpt");
    g_assert_cmpuint(read->overlays->len, ==, 1);
    overlay = g_ptr_array_index(read->overlays, 0);
    g_assert_cmpstr(overlay->base, ==, "/i/a");
    g_assert_cmpstr(overlay->path, ==, "/i/1;2");
    g_clear_pointer(&read, virtHptJournalFree);

    for (gsize i = 0; i < G_N_ELEMENTS(malformed); i++) {
        g_assert_true(g_file_set_contents(file, malformed[i], -1, NULL));
        g_assert_false(virtHptJournalLoad(&guest, &read, &error));
        g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_DAMAGED);
        g_clear_error(&error);
    }
    g_assert_true(virtHptJournalRemove(&guest, &error));
    g_assert_false(g_file_test(file, G_FILE_TEST_EXISTS));
    close(guest.stateDir);
    g_unlink(marked);
    g_rmdir(dir);
}

static void
testKeep(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *dir = g_dir_make_tmp("virt-hpt-XXXXXX", &error);
    g_autofree char *file = g_build_filename(dir, "layer", NULL);
    g_autofree char *text = NULL;

    g_assert_no_error(error);
    g_assert_true(g_file_set_contents(file, "old", -1, NULL));
    g_assert_true(virtHptKeepFile(file, &error));
    g_assert_true(g_file_set_contents(file, "layer", -1, NULL));
    g_assert_true(virtHptKeepFile(file, &error));
    g_assert_true(virtHptKeepBringBack(file, &error));
    g_unlink(file);
    g_assert_true(virtHptKeepBringBack(file, &error));
    g_assert_no_error(error);
    g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "layer");
    virtHptKeepDrop(file);
    g_unlink(file);
    g_assert_false(virtHptKeepBringBack(file, &error));
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_NOT_FOUND);
    g_assert_cmpint(g_rmdir(dir), ==, 0);
}

/* What is not whole is removed by a recovery: a format that we cannot read is no reason. */
static void
testWhole(void)
{
    static const struct {
        const char *header;
        gssize length;
        gboolean whole;
    } cases[] = {
        {"LibvirtQemudSave\2\0\0\0\20\0\0\0\1\0\0\0\1\0\0\0", 32, TRUE}, /* gzip */
        {"LibvirtQemudSave\2\0\0\0\20\0\0\0\1\0\0\0\5\0\0\0", 32, TRUE}, /* zstd */
        {"LibvirtQemudSave\3\0\0\0", 20, TRUE},                          /* to come */
        {"LibvirtQemudPart\2\0\0\0", 20, FALSE},
        {"LibvirtQemud", 12, FALSE},
        {"", 0, FALSE},
    };
    g_autoptr(GError) error = NULL;
    g_autofree char *dir = g_dir_make_tmp("virt-hpt-XXXXXX", &error);
    g_autofree char *file = g_build_filename(dir, "aside", NULL);

    g_assert_no_error(error);
    g_assert_false(virtHptBackendIsWhole(file));
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_true(g_file_set_contents(file, cases[i].header, cases[i].length, NULL));
        g_assert_cmpint(virtHptBackendIsWhole(file), ==, cases[i].whole);
    }
    g_unlink(file);
    g_rmdir(dir);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/snapshot/overlay/takes-the-place-of-its-base", testEdit);
    g_test_add_func("/snapshot/overlay/lies-on-a-merged-base-once", testMerged);
    g_test_add_func("/snapshot/overlay/name-does-not-grow", testNameStays);
    g_test_add_func("/snapshot/overlay/long-name-is-whole-text", testLongName);
    g_test_add_func("/snapshot/overlay/needs-its-disk", testNoDisk);
    g_test_add_func("/snapshot/overlay/takes-no-name-that-is-taken", testReserve);
    g_test_add_func("/snapshot/overlay/runs-no-program-from-the-path", testPath);
    g_test_add_func("/snapshot/overlay/follows-no-link", testLink);
    g_test_add_func("/snapshot/journal/reads-back-as-written", testJournal);
    g_test_add_func("/snapshot/keep/gives-a-file-its-name-again", testKeep);
    g_test_add_func("/snapshot/save/is-whole-in-every-format", testWhole);
    return g_test_run();
}
