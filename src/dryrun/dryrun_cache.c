/*
 * dryrun_cache.c: libvirt's capability cache, shared between dry runs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * libvirt asks an emulator for its capabilities once, which takes seconds, and keeps them in
 * files that it checks before it uses them.  A run works on copies of its own.  What it adds is
 * published by a rename, so that nobody reads half a file.  The first run keeps others waiting
 * until it has published.
 */

#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/dryrun_conf.h"
#include "dryrun/dryrun.h"
#include "full-read.h"
#include "full-write.h"

#define CACHE_DIR STATEDIR "/libvirt-hpt/cache"
#define CACHE_LOCK "lock"
#define CACHE_NEW "new"
#define PRIVATE_DIR VIRT_HPT_DRY_RUN_DIR "/cache/qemu/capabilities"
/* Real files have 40 to 400 KB */
#define FILE_MAX ((off_t)16 * 1024 * 1024)
#define FILES_MAX 64

static gboolean
isOurs(int fd, mode_t type)
{
    struct stat st;

    return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == type && st.st_uid == 0 &&
           !(st.st_mode & (S_IWGRP | S_IWOTH)) && (type != S_IFREG || st.st_size <= FILE_MAX);
}

/* Names of cached files in @dir */
static GPtrArray *
listFiles(int dir)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (!stream) {
        if (fd >= 0)
            close(fd);
        return g_steal_pointer(&names);
    }
    while (names->len < FILES_MAX && (entry = readdir(stream))) {
        if (g_str_has_suffix(entry->d_name, ".xml"))
            g_ptr_array_add(names, g_strdup(entry->d_name));
    }
    closedir(stream);
    return g_steal_pointer(&names);
}

static GByteArray *
readFile(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    g_autoptr(GByteArray) bytes = NULL;
    struct stat st;

    if (fd >= 0 && isOurs(fd, S_IFREG) && fstat(fd, &st) == 0) {
        bytes = g_byte_array_new();
        g_byte_array_set_size(bytes, (guint)st.st_size);
        if ((gsize)full_read(fd, bytes->data, bytes->len) != bytes->len)
            g_clear_pointer(&bytes, g_byte_array_unref);
    }
    if (fd >= 0)
        close(fd);
    return g_steal_pointer(&bytes);
}

static gboolean
writeFile(int dir, const char *name, const GByteArray *bytes)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    gboolean ok = fd >= 0 && (gsize)full_write(fd, bytes->data, bytes->len) == bytes->len;

    return (fd < 0 || close(fd) == 0) && ok;
}

static int
lockCache(const DryRun *run)
{
    int fd = openat(run->cache, CACHE_LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd >= 0 && flock(fd, LOCK_EX) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/**
 * virtHptCacheOpen:
 * @run: the run; its @cache is set where there is one that can be trusted
 *
 * To be called in the run's mount namespace, as it becomes a mount there.  A cache that cannot be
 * used costs time, and nothing else.
 */
void
virtHptCacheOpen(DryRun *run)
{
    /* libvirt asks QEMU anew where KVM has come or gone */
    const char *path = run->kvm ? CACHE_DIR "/kvm" : CACHE_DIR;

    g_mkdir_with_parents(path, 0700);
    run->cache = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (run->cache >= 0 && !isOurs(run->cache, S_IFDIR)) {
        close(run->cache);
        run->cache = -1;
    }
}

/**
 * virtHptCacheLoad:
 * @run: the run, in its own world
 *
 * Copies the shared cache.  Where it is empty the lock is kept, up to virtHptCacheStore().
 */
void
virtHptCacheLoad(DryRun *run)
{
    int target = open(PRIVATE_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    g_autoptr(GPtrArray) names = NULL;

    if (run->cache < 0 || target < 0)
        return;
    names = listFiles(run->cache);
    if (names->len == 0) {
        run->cacheLock = lockCache(run);
        g_ptr_array_unref(names);
        names = listFiles(run->cache);
        if (names->len > 0 && run->cacheLock >= 0) {
            close(run->cacheLock);
            run->cacheLock = -1;
        }
    }
    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autoptr(GByteArray) bytes = readFile(run->cache, name);

        if (bytes)
            writeFile(target, name, bytes);
    }
    close(target);
}

static void
publish(const DryRun *run, const char *name, const GByteArray *bytes)
{
    g_autoptr(GByteArray) shared = readFile(run->cache, name);

    if (shared && shared->len == bytes->len && memcmp(shared->data, bytes->data, bytes->len) == 0)
        return;
    if (writeFile(run->cache, CACHE_NEW, bytes))
        renameat(run->cache, CACHE_NEW, run->cache, name);
}

/* Whether the run has a file that the shared cache has not, or has otherwise. */
static gboolean
hasNews(const DryRun *run, int source, const GPtrArray *names)
{
    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autoptr(GByteArray) own = readFile(source, name);
        g_autoptr(GByteArray) shared = readFile(run->cache, name);

        if (own &&
            (!shared || own->len != shared->len || memcmp(own->data, shared->data, own->len) != 0))
            return TRUE;
    }
    return FALSE;
}

/**
 * virtHptCacheStore:
 * @run: the run, after libvirt has asked for what it needs; its @cacheLock is given up
 *
 * Publishes what is new, and lets others go on.
 */
void
virtHptCacheStore(DryRun *run)
{
    int source = open(PRIVATE_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int lock = run->cacheLock;
    g_autoptr(GPtrArray) names = NULL;

    if (run->cache < 0 || source < 0)
        return;
    names = listFiles(source);
    if (hasNews(run, source, names)) {
        if (lock < 0)
            lock = lockCache(run);
        for (guint i = 0; i < names->len; i++) {
            const char *name = g_ptr_array_index(names, i);
            g_autoptr(GByteArray) bytes = readFile(source, name);

            if (bytes)
                publish(run, name, bytes);
        }
    }
    if (lock >= 0)
        close(lock);
    run->cacheLock = -1;
    close(source);
}
