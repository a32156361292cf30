/*
 * fuzz_json.c: any bytes as what a helper or QEMU answers
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What is accepted nests no deeper than it may.
 */

#include "config.h"

#include "qemu/qemu_json.h"

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

static guint depthOf(JsonNode *node);

static void
deepest(JsonObject *object G_GNUC_UNUSED,
        const char *name G_GNUC_UNUSED,
        JsonNode *node,
        gpointer opaque)
{
    guint *depth = opaque;
    guint below = depthOf(node);

    *depth = MAX(*depth, below);
}

static void
deepestElement(JsonArray *array G_GNUC_UNUSED,
               guint index G_GNUC_UNUSED,
               JsonNode *node,
               gpointer opaque)
{
    deepest(NULL, NULL, node, opaque);
}

static guint
depthOf(JsonNode *node)
{
    guint depth = 0;

    if (JSON_NODE_HOLDS_OBJECT(node))
        json_object_foreach_member(json_node_get_object(node), deepest, &depth);
    else if (JSON_NODE_HOLDS_ARRAY(node))
        json_array_foreach_element(json_node_get_array(node), deepestElement, &depth);
    else
        return 0;
    return depth + 1;
}

int
LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    g_autoptr(JsonNode) node = virtHptJsonParse((const char *)data, size);

    if (node)
        g_assert_cmpuint(depthOf(node), <=, VIRT_HPT_JSON_DEPTH_MAX);
    return 0;
}
