/*
 * htab_kvm_testutils.c: a socket where the kernel's HPT file descriptor would be
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <sys/socket.h>
#include <unistd.h>

#include "htab_kvm_testutils.h"

const VirtHptEntry transportSample = {0x4000000000000051, 0x1196};

static void
transportUp(Transport *transport, G_GNUC_UNUSED gconstpointer data)
{
    int fds[2];
    int bytes = 1024 * 1024;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), ==, 0);
    g_assert_cmpint(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), ==, 0);
    g_assert_cmpint(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), ==, 0);
    transport->ours = fds[0];
    transport->theirs = fds[1];
    transport->packet = g_byte_array_new();
}

static void
transportDown(Transport *transport, G_GNUC_UNUSED gconstpointer data)
{
    close(transport->ours);
    g_byte_array_unref(transport->packet);
}

VirtHptTable *
transportTableNew(void)
{
    VirtHptTable *table = virtHptTableNew(TRANSPORT_ORDER, TEST_MAX_BYTES, NULL);

    g_assert_nonnull(table);
    return table;
}

/* Adds a case that has a transport of its own */
void
transportAdd(const char *path, gconstpointer data, TransportFunc func)
{
    g_test_add(path, Transport, data, transportUp, func, transportDown);
}
