/*
 * qemu_dryrun.c: the skeleton of a save image, and what QEMU says when it is restored
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <string.h>
#include <unistd.h>

#include <glib/gi18n-lib.h>

#include "full-read.h"

#include "qemu/qemu_dryrun.h"
#include "qemu/qemu_saveimage.h"
#include "qemu/qemu_streampriv.h"

#define SECTION_START 0x01
#define SECTION_END 0x03
#define SECTION_FOOTER 0x7e
#define SECTION_MARK_SIZE 5 /* type or footer, be32 id */

#define HTAB_IDSTR "spapr/htab"
#define HTAB_INSTANCE 0
#define HTAB_VERSION 1

#define CHUNK_SIZE ((gsize)256 * 1024)
#define SAVE_XML_MAX ((gsize)VIRT_HPT_SAVE_DATA_MAX)

/* Where the parts of a machine state lie */
typedef struct {
    int fd;
    const char *name;
    guint64 headerEnd;
    guint64 devices;
    guint64 end;
    gboolean footers;
    guint32 htabSection;
} Layout;

/* Where bytes go */
typedef struct {
    VirtHptWriteFunc write;
    gpointer opaque;
} Output;

static gboolean
put(const Output *output, const void *data, gsize length, GError **error)
{
    return output->write(data, length, output->opaque, error);
}

static gboolean
put8(const Output *output, guint8 value, GError **error)
{
    return put(output, &value, sizeof(value), error);
}

static gboolean
put32(const Output *output, guint32 value, GError **error)
{
    guint32 wire = GUINT32_TO_BE(value);

    return put(output, &wire, sizeof(wire), error);
}

static gboolean
readAt(const Layout *layout, guint64 offset, void *buffer, gsize length, GError **error)
{
    if (lseek(layout->fd, (off_t)offset, SEEK_SET) >= 0 &&
        (gsize)full_read(layout->fd, buffer, (gssize)length) == length)
        return TRUE;
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_IO,
                _("cannot read the machine state of '%1$s'"), layout->name);
    return FALSE;
}

static gboolean
putRange(const Output *output, const Layout *layout, guint64 from, guint64 to, GError **error)
{
    g_autofree guint8 *buffer = g_malloc(CHUNK_SIZE);

    while (from < to) {
        gsize some = (gsize)MIN(to - from, CHUNK_SIZE);

        if (!readAt(layout, from, buffer, some, error) || !put(output, buffer, some, error))
            return FALSE;
        from += some;
    }
    return TRUE;
}

static gboolean
notePart(VirtHptStreamPart part,
         const guint8 *data G_GNUC_UNUSED,
         gsize length,
         guint64 offset,
         gpointer opaque,
         GError **error G_GNUC_UNUSED)
{
    Layout *layout = opaque;

    if (part == VIRT_HPT_STREAM_PART_HEADER)
        layout->headerEnd = offset + length;
    else if (layout->devices == 0)
        layout->devices = offset;
    layout->end = offset + length;
    return TRUE;
}

/* Reads the machine state, as untrusted as any stream, and notes where its parts begin. */
static gboolean
readLayout(Layout *layout, GError **error)
{
    VirtHptStreamOptions options = {.machineState = TRUE, .part = notePart, .opaque = layout};
    g_autoptr(VirtHptSource) source = virtHptSourceNewFd(layout->fd, layout->name, error);
    g_autoptr(VirtHptStream) stream = source ? virtHptStreamRead(source, &options, error) : NULL;
    guint8 mark[SECTION_MARK_SIZE];

    if (!stream)
        return FALSE;
    /* The last of section 'ram' begins behind the header: type, be32 id */
    if (!readAt(layout, layout->headerEnd, mark, sizeof(mark), error))
        return FALSE;
    layout->htabSection = virtHptReadBE32(mark + 1) + 1;
    if (!readAt(layout, layout->headerEnd - sizeof(mark), mark, sizeof(mark), error))
        return FALSE;
    layout->footers =
        mark[0] == SECTION_FOOTER && virtHptReadBE32(mark + 1) == layout->htabSection - 1;
    return TRUE;
}

static gboolean
putSaveHeader(const Output *output, const char *domainXml, GError **error)
{
    guint8 header[VIRT_HPT_SAVE_HEADER_SIZE] = {0};
    gsize length = strlen(domainXml) + 1;
    /* version, bytes of XML, guest not running, format, no cookie */
    const guint32 words[] = {2, (guint32)length, 0, VIRT_HPT_SAVE_FORMAT_RAW, 0};

    if (length > SAVE_XML_MAX) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_LIMIT,
                    _("%1$zu bytes of domain XML: a save image holds at most %2$zu"), length,
                    SAVE_XML_MAX);
        return FALSE;
    }
    memcpy(header, VIRT_HPT_SAVE_MAGIC, VIRT_HPT_SAVE_MAGIC_SIZE);
    memcpy(header + VIRT_HPT_SAVE_MAGIC_SIZE, words, sizeof(words));
    return put(output, header, sizeof(header), error) && put(output, domainXml, length, error);
}

static gboolean
putFooter(const Output *output, const Layout *layout, GError **error)
{
    return !layout->footers ||
           (put8(output, SECTION_FOOTER, error) && put32(output, layout->htabSection, error));
}

static gboolean
putHtabStart(const Output *output, const Layout *layout, const VirtHptTable *table, GError **error)
{
    return put8(output, SECTION_START, error) && put32(output, layout->htabSection, error) &&
           put8(output, (guint8)strlen(HTAB_IDSTR), error) &&
           put(output, HTAB_IDSTR, strlen(HTAB_IDSTR), error) &&
           put32(output, HTAB_INSTANCE, error) && put32(output, HTAB_VERSION, error) &&
           put32(output, table ? virtHptTableGetOrder(table) : VIRT_HPT_STREAM_NO_HPT, error) &&
           putFooter(output, layout, error);
}

static gboolean
putHtabEnd(const Output *output, const Layout *layout, const VirtHptTable *table, GError **error)
{
    if (!put8(output, SECTION_END, error) || !put32(output, layout->htabSection, error) ||
        !put32(output, table ? 0 : VIRT_HPT_STREAM_NO_HPT, error))
        return FALSE;
    if (table &&
        !virtHptTableEncode(table, VIRT_HPT_ENCODING_QEMU, output->write, output->opaque, error))
        return FALSE;
    return putFooter(output, layout, error);
}

/**
 * virtHptSkeletonWrite:
 * @state: a machine state as virtHptStreamRead() hands it on, open for reading; its position is
 *   moved
 * @name: what messages call it
 * @table: (nullable): the guest's table, %NULL for a radix guest
 * @domainXml: for libvirt's header
 * @write: called with the bytes of the skeleton
 * @opaque: passed to @write
 * @error: set on failure: as virtHptStreamRead(), or what @write set
 *
 * Writes a save image, raw, of a paused guest.  The sections of the HPT lie where QEMU has them
 * (7.2 migration/savevm.c): begun behind the list of RAM blocks, ended before the devices.
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptSkeletonWrite(int state,
                     const char *name,
                     const VirtHptTable *table,
                     const char *domainXml,
                     VirtHptWriteFunc write,
                     gpointer opaque,
                     GError **error)
{
    Layout layout = {.fd = state, .name = name};
    Output output = {.write = write, .opaque = opaque};

    return readLayout(&layout, error) && putSaveHeader(&output, domainXml, error) &&
           putRange(&output, &layout, 0, layout.headerEnd, error) &&
           putHtabStart(&output, &layout, table, error) &&
           putRange(&output, &layout, layout.headerEnd, layout.devices, error) &&
           putHtabEnd(&output, &layout, table, error) &&
           putRange(&output, &layout, layout.devices, layout.end, error);
}

typedef struct {
    const char *pattern;
    VirtHptRefusal refusal;
} KnownMessage;

#define SAME_HARDWARE N_("restore it with the domain XML that it was saved with")
#define NO_EMULATOR                                                                                \
    N_("install QEMU's qemu-system-ppc64, or restore it with this host's <emulator> in its domain XML")
#define OTHER_QEMU N_("restore it on a host whose QEMU has this machine type")

/* Messages of QEMU 7.2 to 10.0, most telling first: a line that follows from another one comes
 * behind it, and what speaks of the dry run alone behind what speaks of the guest.
 *
 * A queue of a virtio device is compared with its ring in RAM (7.2 hw/virtio/virtio.c virtio_load).
 * Without RAM contents the ring's indices are 0: a queue whose own index is at most its
 * size below 65536 is refused, for any other one but 0 there is but a message.  With the index
 * moved to where it is not refused, a queue that the real restore refuses would pass: nothing is
 * moved. */
static const KnownMessage messages[] = {
    {"Machine type received is '*' and local is '*'",
     {"machine-type", SAME_HARDWARE, FALSE, FALSE}},
    {"does not support machine type '*'", {"machine-type", OTHER_QEMU, FALSE, FALSE}},
    {"unsupported machine type", {"machine-type", OTHER_QEMU, FALSE, FALSE}},
    {"cap-* higher level (*) in incoming stream than on destination (*)",
     {"capability",
      N_("raise this capability in the domain's <features>, or restore it on a host that has it"),
      FALSE, FALSE}},
    {"Size mismatch: *", {"ram-size", SAME_HARDWARE, FALSE, FALSE}},
    {"Length mismatch: *", {"ram-size", SAME_HARDWARE, FALSE, FALSE}},
    {"Unknown ramblock *", {"ram-block", SAME_HARDWARE, FALSE, FALSE}},
    {"Unknown section or instance '*'", {"missing-device", SAME_HARDWARE, FALSE, FALSE}},
    {"Unknown savevm section or instance '*'", {"missing-device", SAME_HARDWARE, FALSE, FALSE}},
    {"virtio-net: saved image requires *", {"virtio-features", NULL, FALSE, FALSE}},
    {"Features 0x* unsupported. Allowed features: *",
     {"virtio-features", SAME_HARDWARE, FALSE, FALSE}},
    {"Bad page size encoding in SLB store*",
     {"page-size", N_("raise <maxpagesize> in the domain's <hpt>"), FALSE, FALSE}},
    {"Failed to allocate KVM HPT of order *",
     {"hpt-allocation",
      N_("free contiguous memory on this host, or reserve more (kvm_cma_resv_ratio=)"), FALSE,
      FALSE}},
    {"Requested order * HPT, but kernel allocated order *",
     {"hpt-allocation",
      N_("free contiguous memory on this host, or reserve more (kvm_cma_resv_ratio=)"), FALSE,
      FALSE}},
    {"HPT not supported in nested guests",
     {"hpt-unsupported", N_("restore it on a host that is no guest itself"), FALSE, FALSE}},
    {"Can't support * kiB guest pages with * kiB host pages*",
     {"page-size", N_("back the guest's memory with larger pages on this host"), FALSE, FALSE}},
    {"Process table config unsupported by the host",
     {"mmu-mode", N_("restore it on a host that has the guest's MMU mode"), FALSE, FALSE}},
    {"failed to get \"write\" lock*", {"dry-run-disk", NULL, TRUE, FALSE}},
    {"VQ * size * < last_avail_idx * - used_idx *",
     {"virtqueue-without-memory",
      N_("to have them checked, let the guest use that device, save it again, and validate that"),
      FALSE, TRUE}},
    {"Missing section footer for *", {"section-contents", SAME_HARDWARE, FALSE, FALSE}},
    {"error while loading state for instance * of device '*'",
     {"device-state", SAME_HARDWARE, FALSE, FALSE}},
    {"error while loading state section id *", {"section-contents", SAME_HARDWARE, FALSE, FALSE}},
    {"could not find capabilities for *", {"no-emulator", NO_EMULATOR, FALSE, FALSE}},
    {"Cannot check QEMU binary *", {"no-emulator", NO_EMULATOR, FALSE, FALSE}},
    {"load of migration failed: *", {"qemu-refused", NULL, FALSE, FALSE}},
};

static char *
findLine(char **lines, const char *pattern)
{
    g_autofree char *glob = g_strconcat("*", pattern, "*", NULL);

    for (gsize i = 0; lines[i]; i++) {
        if (g_pattern_match_simple(glob, lines[i]))
            return lines[i];
    }
    return NULL;
}

/* A line of QEMU's without time stamp and the program's name. */
static char *
stripLine(const char *line)
{
    const char *mark = strstr(line, "qemu-system-ppc64: ");

    return g_strstrip(g_strdup(mark ? mark + strlen("qemu-system-ppc64: ") : line));
}

/**
 * virtHptRefusalRecognise:
 * @log: what QEMU printed, lines of any text
 * @line: (out) (transfer full): the line that says why, without its time stamp
 *
 * Returns: (nullable): what it means; %NULL, with @line %NULL too, where no line is known
 */
const VirtHptRefusal *
virtHptRefusalRecognise(const char *log, char **line)
{
    g_auto(GStrv) lines = g_strsplit(log, "\n", -1);

    *line = NULL;
    for (gsize i = 0; i < G_N_ELEMENTS(messages); i++) {
        const char *found = findLine(lines, messages[i].pattern);

        if (found) {
            *line = stripLine(found);
            return &messages[i].refusal;
        }
    }
    return NULL;
}

/**
 * virtHptRefusalGetDevice:
 * @log: what QEMU printed, lines of any text
 *
 * Returns: (transfer full) (nullable): the device whose state QEMU refused, as it calls it
 */
char *
virtHptRefusalGetDevice(const char *log)
{
    static const char before[] = "of device '";
    g_auto(GStrv) lines = g_strsplit(log, "\n", -1);
    const char *line = findLine(lines, "error while loading state for instance * of device '*'");
    const char *name = line ? strstr(line, before) : NULL;

    if (!name)
        return NULL;
    name += strlen(before);
    return g_strndup(name, strcspn(name, "'"));
}

/**
 * virtHptLogCountUncheckedQueues:
 * @log: what QEMU printed as it took a state, lines of any text
 *
 * Returns: how many queues of virtio devices were not compared with their rings, which lie in RAM
 */
guint
virtHptLogCountUncheckedQueues(const char *log)
{
    g_auto(GStrv) lines = g_strsplit(log, "\n", -1);
    guint count = 0;

    for (gsize i = 0; lines[i]; i++) {
        if (g_pattern_match_simple("*VQ * size * Guest index * inconsistent with Host index *",
                                   lines[i]))
            count++;
    }
    return count;
}
