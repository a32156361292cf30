/*
 * check-image.c: checks the hashed page table in a save image or a migration stream
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 *     cc check-image.c -o check-image $(pkg-config --cflags --libs libvirt-hpt)
 *     ./check-image guest.save
 *
 * Exit status: 0 the table is sound, or the guest has none; 2 no sane guest has such a table; 1 the
 * image could not be read; 64 wrong usage.
 */

#include <stdio.h>
#include <stdlib.h>

#include <libvirt-hpt/htab_check.h>
#include <libvirt-hpt/htab_error.h>
#include <libvirt-hpt/image.h>

#define FINDINGS_PER_RULE 10

enum {
    SOUND = 0,
    FAILED = 1,
    BAD = 2,
    USAGE = 64,
};

static void
printFinding(const VirtHptFinding *finding)
{
    printf("%s: %s", virtHptSeverityGetName(finding->severity), virtHptRuleGetName(finding->rule));
    if (finding->slot != VIRT_HPT_NO_SLOT)
        printf(" at slot 0x%llx", (unsigned long long)finding->slot);
    printf(": %s, expected %s\n", finding->found, finding->expected);
}

static int
checkTable(const VirtHptImage *image)
{
    g_autoptr(VirtHptReport) report = NULL;
    VirtHptCheckContext context;
    guint64 errors;

    virtHptImageGetCheckContext(image, &context);
    context.maxPerRule = FINDINGS_PER_RULE;
    report = virtHptTableCheck(virtHptImageGetTable(image), &context);
    for (guint i = 0; i < report->findings->len; i++)
        printFinding(report->findings->pdata[i]);

    errors = virtHptReportCount(report, VIRT_HPT_SEVERITY_ERROR);
    printf("%llu errors, %llu warnings, %llu notes\n", (unsigned long long)errors,
           (unsigned long long)virtHptReportCount(report, VIRT_HPT_SEVERITY_WARNING),
           (unsigned long long)virtHptReportCount(report, VIRT_HPT_SEVERITY_NOTE));
    return errors > 0 ? BAD : SOUND;
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptImage) image = NULL;
    const char *machine;

    if (argc != 2) {
        fprintf(stderr, "usage: check-image FILE\n");
        return USAGE;
    }
    image = virtHptImageOpen(argv[1], 0, &error);
    if (!image) {
        fprintf(stderr, "check-image: %s: %s\n", virtHptErrorName((VirtHptError)error->code),
                error->message);
        return FAILED;
    }
    machine = virtHptImageGetMachine(image);
    printf("%s, %s, %llu MiB RAM\n", virtHptImageKindGetName(virtHptImageGetKind(image)),
           machine ? machine : "unknown machine",
           (unsigned long long)virtHptImageGetRamBytes(image) >> 20);
    if (!virtHptImageGetTable(image)) {
        printf("radix: there is no table to check\n");
        return SOUND;
    }
    printf("table of order %u\n", virtHptImageGetOrder(image));
    return checkTable(image);
}
