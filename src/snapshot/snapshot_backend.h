/*
 * snapshot_backend.h: kinds of images that hold the state of a guest
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * As in libvirt's storage driver: one table of functions a kind.  The driver knows no kind.
 */

#pragma once

#include <sys/stat.h>

#include "conf/xml_util.h"
#include "snapshot/snapshot_journal.h"
#include "snapshot/snapshot_record.h"

G_BEGIN_DECLS

typedef struct _VirtHptBackend VirtHptBackend;

/**
 * VirtHptSnapshot:
 * @backend: its kind, or %NULL for one that no backend knows
 * @guest: the guest it is of
 * @handle: libvirt's snapshot, or %NULL for an image without one
 * @name: its name
 * @doc: libvirt's XML of it, or %NULL
 * @state: of the guest in it: 'running', 'paused', 'shutoff', 'disk-snapshot'
 * @creationTime: seconds since the epoch, 0 where libvirt does not know
 * @image: absolute path of the image that holds the guest's memory, or %NULL
 */
typedef struct {
    const VirtHptBackend *backend;
    VirtHptGuest *guest;
    virDomainSnapshot *handle;
    char *name;
    xmlDoc *doc;
    char *state;
    gint64 creationTime;
    char *image;
} VirtHptSnapshot;

/**
 * VirtHptCreateOptions:
 * @name: (nullable): of the snapshot
 * @description: (nullable): a text
 * @memory: (nullable): path of the image to write
 * @disks: (element-type VirtHptDiskSpec) (nullable): what to do with the disks, or %NULL for what
 *   libvirt does by itself
 * @live: whether the guest may run on while its memory is written
 * @atomic: whether libvirt is asked to do all or nothing
 */
typedef struct {
    const char *name;
    const char *description;
    const char *memory;
    const GPtrArray *disks;
    gboolean live;
    gboolean atomic;
} VirtHptCreateOptions;

/**
 * VirtHptDiskSpec:
 * @name: target or source of the disk
 * @snapshot: (nullable): 'external' or 'no'
 * @driver: (nullable): format of the new layer
 * @type: (nullable): 'file' or 'block'
 * @file: (nullable): path of the new layer
 */
typedef struct {
    char *name;
    char *snapshot;
    char *driver;
    char *type;
    char *file;
} VirtHptDiskSpec;

/**
 * VirtHptBackend:
 * @name: its stable name, never translated
 * @probe: whether a snapshot is of this kind
 * @locate: path of the image that holds the guest's memory, or %NULL with an error
 * @open: opens that image
 * @plan: finds what a revert needs, and names the files in the journal that will be made for it;
 *   makes none
 * @prepare: makes these files, while the guest still runs
 * @create: makes a snapshot
 * @revert: restores the guest, which is off, and leaves it paused
 * @settle: makes a restored guest's disks those of its next cold boot
 *
 * What a kind of image cannot do is %NULL.
 */
struct _VirtHptBackend {
    const char *name;
    gboolean (*probe)(const VirtHptSnapshot *snapshot);
    char *(*locate)(const VirtHptSnapshot *snapshot, GError **error);
    VirtHptPlace *(*open)(const VirtHptSnapshot *snapshot, GError **error);
    gboolean (*plan)(const VirtHptSnapshot *snapshot, VirtHptJournal *journal, GError **error);
    gboolean (*prepare)(const VirtHptSnapshot *snapshot, VirtHptJournal *journal, GError **error);
    gboolean (*create)(VirtHptGuest *guest, const VirtHptCreateOptions *options, GError **error);
    gboolean (*revert)(const VirtHptSnapshot *snapshot,
                       const VirtHptJournal *journal,
                       GError **error);
    gboolean (*settle)(const VirtHptSnapshot *snapshot,
                       const VirtHptJournal *journal,
                       GError **error);
};

extern const VirtHptBackend virtHptBackendExternal;
extern const VirtHptBackend virtHptBackendSave;

VirtHptPlace *virtHptBackendOpenImage(const VirtHptSnapshot *snapshot, GError **error);
gboolean virtHptBackendSaveGuest(VirtHptGuest *guest, const char *path, GError **error);
gboolean virtHptBackendRestoreGuest(VirtHptGuest *guest, const char *path, GError **error);
gboolean virtHptBackendIsWhole(const char *path);
gboolean virtHptBackendIsPartial(const char *path);

G_END_DECLS
