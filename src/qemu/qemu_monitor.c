/*
 * qemu_monitor.c: QMP commands to the QEMU of a domain, through libvirt
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <string.h>

#include <glib/gi18n-lib.h>

#include "qemu/qemu_json.h"
#include "qemu/qemu_monitor.h"

static char *
formatCommand(const char *command, JsonNode *arguments)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonNode) root = NULL;

    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "execute");
    json_builder_add_string_value(builder, command);
    if (arguments) {
        json_builder_set_member_name(builder, "arguments");
        json_builder_add_value(builder, arguments);
    }
    json_builder_end_object(builder);
    root = json_builder_get_root(builder);
    return json_to_string(root, FALSE);
}

static gboolean
refuseReply(const char *command, GError **error)
{
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_MALFORMED,
                _("QEMU's reply to '%1$s' is not one of QMP"), command);
    return FALSE;
}

/* QEMU's own words for why it refused */
static gboolean
refuseCommand(const char *command, JsonNode *failure, GError **error)
{
    const char *description = NULL;

    if (JSON_NODE_HOLDS_OBJECT(failure))
        description =
            json_object_get_string_member_with_default(json_node_get_object(failure), "desc", NULL);
    g_set_error(error, VIRT_HPT_ERROR, VIRT_HPT_ERROR_FAILED, _("QEMU refused '%1$s': %2$s"),
                command, description ? description : _("it gave no reason"));
    return FALSE;
}

/* Takes apart {"return": ...} and {"error": {"desc": ...}}. */
static JsonNode *
parseReply(const char *command, const char *reply, GError **error)
{
    gsize length = reply ? strnlen(reply, VIRT_HPT_MONITOR_REPLY_MAX + 1) : 0;
    g_autoptr(JsonNode) root =
        length <= VIRT_HPT_MONITOR_REPLY_MAX ? virtHptJsonParse(reply, length) : NULL;
    JsonObject *object;

    if (!root || !JSON_NODE_HOLDS_OBJECT(root)) {
        refuseReply(command, error);
        return NULL;
    }
    object = json_node_get_object(root);
    if (json_object_has_member(object, "error")) {
        refuseCommand(command, json_object_get_member(object, "error"), error);
        return NULL;
    }
    if (!json_object_has_member(object, "return")) {
        refuseReply(command, error);
        return NULL;
    }
    return json_object_dup_member(object, "return");
}

static JsonNode *
sendCommand(virDomain *domain, const char *command, JsonNode *arguments, int fd, GError **error)
{
    g_autofree char *request = formatCommand(command, arguments);
    g_autoptr(VirtHptLibvirtString) reply = NULL;
    int status;

    if (fd < 0)
        status = virDomainQemuMonitorCommand(domain, request, &reply, 0);
    else
        status =
            virDomainQemuMonitorCommandWithFiles(domain, request, 1, &fd, NULL, NULL, &reply, 0);
    if (status < 0) {
        virtHptLibvirtSetError(error, _("cannot send '%1$s' to QEMU"), command);
        return NULL;
    }
    return parseReply(command, reply, error);
}

/**
 * virtHptMonitorCommand:
 * @domain: a domain that runs, on this host
 * @command: name of a QMP command
 * @arguments: (nullable) (transfer full): a JSON object, or %NULL
 * @error: set on failure: %VIRT_HPT_ERROR_FAILED where libvirt or QEMU refuses,
 *   %VIRT_HPT_ERROR_MALFORMED for a reply that is none, or what libvirt's errors stand for
 *
 * Returns: (transfer full): what the command returned, or %NULL
 */
JsonNode *
virtHptMonitorCommand(virDomain *domain, const char *command, JsonNode *arguments, GError **error)
{
    return sendCommand(domain, command, arguments, -1, error);
}

/**
 * virtHptMonitorRun:
 * @domain: a domain that runs, on this host
 * @command: name of a QMP command that returns nothing of interest
 * @arguments: (nullable) (transfer full): a JSON object, or %NULL
 * @error: set on failure, as virtHptMonitorCommand() does
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptMonitorRun(virDomain *domain, const char *command, JsonNode *arguments, GError **error)
{
    g_autoptr(JsonNode) result = virtHptMonitorCommand(domain, command, arguments, error);

    return result != NULL;
}

/**
 * virtHptMonitorPassFd:
 * @domain: a domain that runs, on this host; the connection must be local (a UNIX socket)
 * @name: what QEMU shall call it; one of that name is replaced
 * @fd: what QEMU gets a duplicate of
 * @error: set on failure, as virtHptMonitorCommand() does
 *
 * Returns: %TRUE, or %FALSE with @error set
 */
gboolean
virtHptMonitorPassFd(virDomain *domain, const char *name, int fd, GError **error)
{
    g_autoptr(JsonBuilder) arguments = json_builder_new();
    g_autoptr(JsonNode) result = NULL;

    json_builder_begin_object(arguments);
    json_builder_set_member_name(arguments, "fdname");
    json_builder_add_string_value(arguments, name);
    json_builder_end_object(arguments);
    result = sendCommand(domain, "getfd", json_builder_get_root(arguments), fd, error);
    return result != NULL;
}

/**
 * virtHptMonitorQueryString:
 * @domain: a domain that runs, on this host
 * @command: name of a QMP command that returns an object
 * @member: name of one of the object's members
 * @error: set on failure, as virtHptMonitorCommand() does
 *
 * Returns: (transfer full): the member, "" where there is none, or %NULL
 */
char *
virtHptMonitorQueryString(virDomain *domain,
                          const char *command,
                          const char *member,
                          GError **error)
{
    g_autoptr(JsonNode) result = virtHptMonitorCommand(domain, command, NULL, error);
    const char *value = NULL;

    if (!result)
        return NULL;
    /* %NULL for a member that is no string */
    if (JSON_NODE_HOLDS_OBJECT(result))
        value =
            json_object_get_string_member_with_default(json_node_get_object(result), member, "");
    if (!value)
        refuseReply(command, error);
    return g_strdup(value);
}
