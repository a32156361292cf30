/*
 * hpt_snapshot_conf.c: the record's descriptor: the struct, its names and its schema
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <gio/gio.h>
#include <glib/gi18n-lib.h>

#include "conf/conf_resources.h"
#include "conf/hpt_snapshot_conf_priv.h"

#define SCHEMA_PATH "/libvirt-hpt/hptsnapshot.rng"

/* The most messages of the validator that are kept: it begins with the innermost element and
 * repeats itself outwards */
#define SCHEMA_MESSAGES_MAX 4

const char *const virtHptMmuNames[] = {
    [VIRT_HPT_MMU_HASH] = "hash",
    [VIRT_HPT_MMU_RADIX] = "radix",
    NULL,
};

const char *const virtHptSnapshotImageKindNames[] = {
    [VIRT_HPT_SNAPSHOT_IMAGE_STREAM] = "stream",
    [VIRT_HPT_SNAPSHOT_IMAGE_SAVE] = "save-image",
    NULL,
};

const char *const virtHptImagePartNames[] = {
    [VIRT_HPT_IMAGE_PART_HEADER] = "header",
    [VIRT_HPT_IMAGE_PART_TABLE] = "table",
    [VIRT_HPT_IMAGE_PART_STATE] = "state",
    NULL,
};

/**
 * virtHptMmuGetName:
 * @mmu: an MMU mode
 *
 * Returns: its name in a descriptor; never translated
 */
const char *
virtHptMmuGetName(VirtHptMmu mmu)
{
    g_return_val_if_fail((guint)mmu <= VIRT_HPT_MMU_RADIX, "unknown");
    return virtHptMmuNames[mmu];
}

/**
 * virtHptSnapshotImageKindGetName:
 * @kind: a kind of image
 *
 * Returns: its name in a descriptor; never translated
 */
const char *
virtHptSnapshotImageKindGetName(VirtHptSnapshotImageKind kind)
{
    g_return_val_if_fail((guint)kind <= VIRT_HPT_SNAPSHOT_IMAGE_SAVE, "unknown");
    return virtHptSnapshotImageKindNames[kind];
}

/**
 * virtHptImagePartGetName:
 * @part: a part of an image
 *
 * Returns: its name in a descriptor; never translated
 */
const char *
virtHptImagePartGetName(VirtHptImagePart part)
{
    g_return_val_if_fail((guint)part <= VIRT_HPT_IMAGE_PART_STATE, "unknown");
    return virtHptImagePartNames[part];
}

static void
virtHptKnownFindingClear(gpointer opaque)
{
    VirtHptKnownFinding *finding = opaque;

    g_clear_pointer(&finding->rule, g_free);
}

/**
 * virtHptSnapshotDefNew:
 *
 * Returns: (transfer full): a descriptor without a value: all zero, the arrays empty
 */
VirtHptSnapshotDef *
virtHptSnapshotDefNew(void)
{
    VirtHptSnapshotDef *def = g_new0(VirtHptSnapshotDef, 1);

    def->extents = g_array_new(FALSE, TRUE, sizeof(VirtHptExtent));
    def->findings = g_array_new(FALSE, TRUE, sizeof(VirtHptKnownFinding));
    g_array_set_clear_func(def->findings, virtHptKnownFindingClear);
    return def;
}

/**
 * virtHptSnapshotDefFree:
 * @def: (nullable): a descriptor
 *
 * Frees @def and everything in it.
 */
void
virtHptSnapshotDefFree(VirtHptSnapshotDef *def)
{
    if (!def)
        return;

    g_free(def->name);
    g_free(def->imageFormat);
    g_free(def->imageFile);
    g_array_unref(def->extents);
    g_free(def->table.file);
    g_free(def->state.file);
    g_free(def->machine);
    g_array_unref(def->findings);
    g_free(def->sourceHost);
    g_free(def->sourceAccel);
    g_free(def->sourceQemu);
    g_free(def->sourceLibvirt);
    g_free(def->domainXml);
    g_free(def);
}

typedef struct {
    GString *text;
    guint messages;
    long line;
} SchemaErrors;

static void
virtHptSnapshotNoteSchemaError(void *opaque, VirtHptXmlError *err)
{
    SchemaErrors *errors = opaque;
    g_autofree char *message = NULL;

    if (errors->messages >= SCHEMA_MESSAGES_MAX)
        return;
    message = virtHptXmlQuote(err->message ? err->message : "");
    if (errors->line <= 0)
        errors->line = err->node ? xmlGetLineNo(err->node) : err->line;
    if (errors->messages++)
        g_string_append(errors->text, "; ");
    g_string_append(errors->text, message);
}

/* Compiling takes about a millisecond.  libxml2 initialises its data types at the first use, and
 * does not lock: hence the mutex. */
static xmlRelaxNG *
virtHptSnapshotCompileSchema(GError **error)
{
    static GMutex mutex;
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(xmlRelaxNGParserCtxt) context = NULL;
    xmlRelaxNG *schema = NULL;
    const char *text;
    gsize length = 0;

    /* g_resources_lookup_data() would obey G_RESOURCE_OVERLAYS: with it the environment could
     * replace the schema.  The resource itself knows no overlay. */
    bytes = g_resource_lookup_data(virt_hpt_conf_get_resource(), SCHEMA_PATH,
                                   G_RESOURCE_LOOKUP_FLAGS_NONE, error);
    if (!bytes)
        return NULL;
    text = g_bytes_get_data(bytes, &length);

    g_mutex_lock(&mutex);
    context = xmlRelaxNGNewMemParserCtxt(text, (int)length);
    if (context)
        schema = xmlRelaxNGParse(context);
    g_mutex_unlock(&mutex);

    if (!schema) {
        g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED,
                    _("cannot compile the schema of the descriptor"));
    }
    return schema;
}

/**
 * virtHptSnapshotValidateTree:
 * @doc: a descriptor
 * @origin: where it comes from, for messages, or %NULL
 * @error: return location for an error
 *
 * Checks @doc against docs/schemas/hptsnapshot.rng.  libxml2's validator needs time in the square
 * of the number of siblings, so the caller bounds these.  Thread-safe.
 *
 * Returns: whether @doc is valid; else %VIRT_HPT_ERROR_MALFORMED is set, with the line
 */
gboolean
virtHptSnapshotValidateTree(xmlDoc *doc, const char *origin, GError **error)
{
    g_autoptr(xmlRelaxNG) schema = virtHptSnapshotCompileSchema(error);
    g_autoptr(xmlRelaxNGValidCtxt) context = NULL;
    g_autoptr(GString) text = g_string_new(NULL);
    SchemaErrors errors = {.text = text};
    int ret;

    if (!schema)
        return FALSE;
    context = xmlRelaxNGNewValidCtxt(schema);
    if (!context)
        g_error("%s: out of memory", G_STRLOC);
    xmlRelaxNGSetValidStructuredErrors(context, virtHptSnapshotNoteSchemaError, &errors);

    ret = xmlRelaxNGValidateDoc(context, doc);
    if (ret < 0) {
        virtHptXmlSetError(error, VIRT_HPT_ERROR_FAILED, origin, 0,
                           _("the validator failed on the descriptor"));
        return FALSE;
    }
    if (ret > 0) {
        virtHptXmlSetError(error, VIRT_HPT_ERROR_MALFORMED, origin, errors.line,
                           _("the descriptor violates its schema: %1$s"),
                           errors.messages ? text->str : _("unknown error"));
        return FALSE;
    }
    return TRUE;
}
