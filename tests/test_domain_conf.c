/*
 * test_domain_conf.c: what is read of a domain's XML
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Proves on a table of documents that the facts are found, and that what is no fact is passed over.
 * Requires nothing.
 */

#include "config.h"

#include <string.h>

#include "conf/domain_conf.h"

typedef struct {
    const char *name;
    const char *xml;
    const char *type; /* %NULL: there is none */
    const char *uuid;
    guint64 maxMemory;
    guint shift;
    gboolean refused;
} DomainCase;

#define HPT(what) "<domain><features><hpt>" what "</hpt></features></domain>"

static const DomainCase cases[] = {
    {.name = "empty", .xml = "<domain/>"},
    {.name = "type", .xml = "<domain type='kvm'/>", .type = "kvm"},
    {.name = "uuid-is-made-canonical",
     .xml = "<domain><uuid> 6BA7B810-9dad-11d1-80b4-00c04fd430c8\n</uuid></domain>",
     .uuid = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"},
    {.name = "uuid-is-no-path", .xml = "<domain><uuid>../../../../etc</uuid></domain>"},
    {.name = "page-size-kib", .xml = HPT("<maxpagesize unit='KiB'>64</maxpagesize>"), .shift = 16},
    {.name = "page-size-gib", .xml = HPT("<maxpagesize unit='GiB'>16</maxpagesize>"), .shift = 34},
    {.name = "page-size-bytes", .xml = HPT("<maxpagesize>4096</maxpagesize>"), .shift = 12},
    {.name = "page-size-no-power", .xml = HPT("<maxpagesize unit='KiB'>65</maxpagesize>")},
    {.name = "page-size-unknown-unit", .xml = HPT("<maxpagesize unit='furlong'>64</maxpagesize>")},
    {.name = "page-size-negative", .xml = HPT("<maxpagesize unit='KiB'>-64</maxpagesize>")},
    {.name = "max-memory",
     .xml = "<domain><maxMemory slots='16' unit='GiB'>8</maxMemory></domain>",
     .maxMemory = G_GUINT64_CONSTANT(8) << 30},
    {.name = "max-memory-kib",
     .xml = "<domain><maxMemory slots='16'>1024</maxMemory></domain>",
     .maxMemory = 1 << 20},
    {.name = "max-memory-beyond",
     .xml = "<domain><maxMemory unit='TiB'>99999999</maxMemory></domain>"},
    {.name = "other-element", .xml = "<domainsnapshot/>", .refused = TRUE},
    {.name = "not-xml", .xml = "domain", .refused = TRUE},
    {.name = "document-type", .xml = "<!DOCTYPE domain><domain/>", .refused = TRUE},
};

static void
testCase(gconstpointer opaque)
{
    const DomainCase *domain = opaque;
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptDomainDef) def =
        virtHptDomainDefParse(domain->xml, strlen(domain->xml), "test", &error);

    if (domain->refused) {
        g_assert_null(def);
        g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED);
        return;
    }
    g_assert_no_error(error);
    g_assert_cmpstr(def->type, ==, domain->type);
    g_assert_cmpstr(def->uuid, ==, domain->uuid);
    g_assert_cmpuint(def->hptMaxPageShift, ==, domain->shift);
    g_assert_cmpuint(def->maxMemory, ==, domain->maxMemory);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/conf/domain/", cases[i].name, NULL);

        g_test_add_data_func(path, &cases[i], testCase);
    }
    return g_test_run();
}
