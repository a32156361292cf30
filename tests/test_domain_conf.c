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
#include "conf/xml_util.h"

typedef struct {
    const char *name;
    const char *xml;
    const char *type; /* %NULL: there is none */
    const char *uuid;
    guint64 maxMemory;
    guint shift;
    const char *memory; /* "start+length" of each device, hexadecimal */
    gboolean memoryUnknown;
    gboolean refused;
} DomainCase;

#define HPT(what) "<domain><features><hpt>" what "</hpt></features></domain>"

#define DEVICES(what) "<domain><devices>" what "</devices></domain>"
#define MEMORY(address, size)                                                                      \
    "<memory model='dimm'><target><size unit='MiB'>" size "</size><node>0</node></target>"         \
    "<address type='dimm' slot='0'" address "/></memory>"

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
    {.name = "memory",
     .xml = DEVICES("<emulator/>" MEMORY(" base='0x40000000'",
                                         "256") "<disk/>" MEMORY(" base='0x7ff0000000'", "512")),
     .memory = "40000000+10000000 7ff0000000+20000000 "},
    {.name = "memory-without-address",
     .xml = DEVICES(MEMORY(" base='0x40000000'", "256") MEMORY("", "256")),
     .memoryUnknown = TRUE},
    {.name = "memory-without-size",
     .xml = DEVICES("<memory model='dimm'><address type='dimm' base='0x40000000'/></memory>"),
     .memoryUnknown = TRUE},
    {.name = "memory-address-no-number",
     .xml = DEVICES(MEMORY(" base='0x-1'", "256")),
     .memoryUnknown = TRUE},
    {.name = "memory-address-not-hexadecimal",
     .xml = DEVICES(MEMORY(" base='1073741824'", "256")),
     .memoryUnknown = TRUE},
    {.name = "memory-address-beyond",
     .xml = DEVICES(MEMORY(" base='0xffffffffffffffff'", "256")),
     .memoryUnknown = TRUE},
    {.name = "memory-size-beyond",
     .xml = DEVICES(MEMORY(" base='0x40000000'", "99999999999999")),
     .memoryUnknown = TRUE},
    {.name = "memory-no-device",
     .xml = "<domain><memory unit='KiB'>524288</memory><devices/></domain>"},
    {.name = "other-element", .xml = "<domainsnapshot/>", .refused = TRUE},
    {.name = "not-xml", .xml = "domain", .refused = TRUE},
    {.name = "document-type", .xml = "<!DOCTYPE domain><domain/>", .refused = TRUE},
};

static void
checkMemory(const GArray *memory, const char *expected)
{
    g_autoptr(GString) found = g_string_new(NULL);

    for (guint i = 0; i < memory->len; i++) {
        const VirtHptRamRange *range = &g_array_index(memory, VirtHptRamRange, i);

        g_string_append_printf(found, "%" G_GINT64_MODIFIER "x+%" G_GINT64_MODIFIER "x ",
                               range->start, range->length);
    }
    g_assert_cmpstr(found->str, ==, expected);
}

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
    g_assert_cmpint(def->memoryKnown, ==, !domain->memoryUnknown);
    checkMemory(def->memory, domain->memory ? domain->memory : "");
}

/* As many devices as a machine may have, and one more */
static void
testManyDevices(void)
{
    for (guint n = 256; n <= 257; n++) {
        g_autoptr(GString) xml = g_string_new("<domain><devices>");
        g_autoptr(GError) error = NULL;
        g_autoptr(VirtHptDomainDef) def = NULL;

        for (guint i = 0; i < n; i++)
            g_string_append(xml, MEMORY(" base='0x40000000'", "256"));
        g_string_append(xml, "</devices></domain>");
        def = virtHptDomainDefParse(xml->str, xml->len, "test", &error);
        g_assert_no_error(error);
        g_assert_cmpint(def->memoryKnown, ==, n == 256);
        g_assert_cmpuint(def->memory->len, ==, n == 256 ? 256 : 0);
    }
}

/* @n elements, named "a0", "a1" and so on up to @names */
static void
testLimit(guint n, guint names, const char *expected)
{
    g_autoptr(GString) xml = g_string_new("<domain>");
    g_autoptr(GError) error = NULL;
    g_autoptr(VirtHptDomainDef) def = NULL;

    for (guint i = 0; i < n; i++)
        g_string_append_printf(xml, "<a%u/>", i % names);
    g_string_append(xml, "</domain>");
    def = virtHptDomainDefParse(xml->str, xml->len, "test", &error);
    if (!expected) {
        g_assert_no_error(error);
        g_assert_nonnull(def);
        return;
    }
    g_assert_null(def);
    g_assert_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_LIMIT);
    g_assert_cmpstr(error->message, ==, expected);
}

/* The root and its end tag are two of them */
static void
testManyNodes(void)
{
    testLimit(VIRT_HPT_XML_DOMAIN_NODES_MAX - 2, 100, NULL);
    testLimit(VIRT_HPT_XML_DOMAIN_NODES_MAX - 1, 100,
              "test:1: the document has more than 131072 nodes");
}

static void
testManyNames(void)
{
    testLimit(100000, 20000, NULL);
    testLimit(100000, 100000, "test:1: the names in the document have more than 262144 bytes");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/conf/domain/", cases[i].name, NULL);

        g_test_add_data_func(path, &cases[i], testCase);
    }
    g_test_add_func("/conf/domain/memory-more-devices-than-slots", testManyDevices);
    g_test_add_func("/conf/domain/more-nodes-than-a-domain-has", testManyNodes);
    g_test_add_func("/conf/domain/more-names-than-a-domain-has", testManyNames);
    return g_test_run();
}
