/*
 * test_dryrun_conf.c: a domain's XML -> the XML of its dry run
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves that the guest's hardware is kept and the host's resources are not, and that what is not
 * known is refused by name.  Every document in dryrunxmldata/ names paths with "canary" in them,
 * which must not turn up in the output.  Needs nothing but the files there
 *
 *   NAME.xml, NAME-out.xml        a domain and its dry run
 *   refused/NAME.xml, NAME.err    refused; the file holds "code: message"
 *
 * With VIRT_HPT_TEST_REGENERATE_OUTPUT=1 the expected side is written anew.
 */

#include "config.h"

#include <string.h>

#include "conf/dryrun_conf.h"
#include "dryrun_testutils.h"
#include "data_testutils.h"

#define DATA "dryrunxmldata"

typedef struct {
    const char *name;
    const char *out; /* suffix of the expected side */
    VirtHptDryRunHost host;
    gboolean kvm;
    gboolean fallback;
} AcceptedCase;

static const AcceptedCase accepted[] = {
    {"ordinary", "-out.xml", {TRUE, TRUE}, FALSE, FALSE},
    {"ordinary", "-no-tap-out.xml", {TRUE, FALSE}, FALSE, FALSE},
    {"every-device", "-out.xml", {TRUE, TRUE}, TRUE, FALSE},
    {"every-device", "-fallback-out.xml", {FALSE, TRUE}, FALSE, TRUE},
    {"passthrough-cpu", "-out.xml", {TRUE, TRUE}, TRUE, FALSE},
    {"passthrough-cpu", "-fallback-out.xml", {FALSE, TRUE}, FALSE, TRUE},
    {"untyped", "-out.xml", {TRUE, TRUE}, FALSE, FALSE},
    {"huge-pages", "-out.xml", {TRUE, TRUE}, TRUE, FALSE},
    {"huge-pages-limit", "-fallback-out.xml", {FALSE, TRUE}, FALSE, TRUE},
    {"numa", "-out.xml", {TRUE, TRUE}, TRUE, FALSE},
    {"host-resources", "-out.xml", {TRUE, TRUE}, TRUE, FALSE},
    {"user-network", "-out.xml", {TRUE, TRUE}, FALSE, FALSE},
};

static const char *const refused[] = {
    "accel3d",
    "address-unassigned",
    "alias-comma",
    "arch",
    "attribute",
    "attribute-namespace",
    "chain-loader",
    "channel-name-path",
    "cpu-feature",
    "device-path",
    "disk-lun",
    "disk-vhostuser",
    "emulator",
    "entity",
    "evdev",
    "filesystem",
    "floppy",
    "hostdev",
    "huge-pages-limit",
    "huge-pages-old-machine",
    "hypervisor",
    "interface-hostdev",
    "interface-rom-file",
    "machine",
    "machine-missing",
    "machine-path",
    "memory-not-number",
    "nvdimm",
    "os-type",
    "processing",
    "qemu-capabilities",
    "qemu-commandline",
    "redirdev",
    "root",
    "shmem",
    "smartcard",
    "tpm",
    "vcpu-negative",
    "vsock",
};

static void
testAccepted(gconstpointer opaque)
{
    const AcceptedCase *test = opaque;
    g_autofree char *inPath = testDataPath(DATA, test->name, ".xml");
    g_autofree char *outPath = testDataPath(DATA, test->name, test->out);
    gsize length = 0;
    g_autofree char *in = testDataRead(inPath, &length);
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptDryRunDef) def =
        virtHptDryRunDefNew(in, length, "test.xml", &test->host, &error);

    g_assert_no_error(error);
    g_assert_cmpint(def->kvm, ==, test->kvm);
    g_assert_cmpint(def->fallback, ==, test->fallback);
    g_assert_nonnull(strstr(in, "canary"));
    g_assert_null(strstr(def->xml, "canary"));
    testDryRunNamesNoPath(def);
    testDryRunIsItsOwn(def, &test->host);
    testDataCompare(outPath, def->xml);
}

static void
testRefused(gconstpointer opaque)
{
    const VirtHptDryRunHost host = {.kvm = TRUE, .tap = TRUE};
    g_autofree char *base = g_strconcat("refused/", opaque, NULL);
    g_autofree char *xmlPath = testDataPath(DATA, base, ".xml");
    g_autofree char *errPath = testDataPath(DATA, base, ".err");
    gsize length = 0;
    g_autofree char *xml = testDataRead(xmlPath, &length);
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptDryRunDef) def = virtHptDryRunDefNew(xml, length, "test.xml", &host, &error);
    g_autofree char *actual = NULL;

    g_assert_null(def);
    g_assert_nonnull(error);
    g_assert_true(error->domain == VIRT_HPT_ERROR);
    actual =
        g_strdup_printf("%s: %s\n", virtHptErrorName((VirtHptError)error->code), error->message);
    testDataCompare(errPath, actual);
}

/* A domain with one element more */
static void
testMustNotTakeDisksWithoutBound(void)
{
    const VirtHptDryRunHost host = {0};
    GString *xml = g_string_new("<domain type='qemu'><os><type arch='ppc64' "
                                "machine='pseries-7.2'>hvm</type></os><devices>");
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptDryRunDef) def = NULL;

    for (guint i = 0; i <= VIRT_HPT_DRY_RUN_DISKS_MAX; i++)
        g_string_append(xml, "<disk type='file'><source file='/canary'/></disk>");
    g_string_append(xml, "</devices></domain>");
    text = g_string_free(xml, FALSE);
    def = virtHptDryRunDefNew(text, strlen(text), "test.xml", &host, &error);
    g_assert_null(def);
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_LIMIT);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(accepted); i++) {
        g_autofree char *path =
            g_strconcat("/conf/dry-run/", accepted[i].name, accepted[i].out, NULL);

        g_test_add_data_func(path, &accepted[i], testAccepted);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autofree char *path = g_strconcat("/conf/dry-run/refused/", refused[i], NULL);

        g_test_add_data_func(path, refused[i], testRefused);
    }
    g_test_add_func("/conf/dry-run/disks-are-bounded", testMustNotTakeDisksWithoutBound);
    return g_test_run();
}
