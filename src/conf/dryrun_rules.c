/*
 * dryrun_rules.c: the allow list of a dry run's domain XML
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Kept is what makes a section of the migration stream, or decides about its contents: devices,
 * their models and addresses, the sizes of RAM blocks, the virtio features that a guest may have
 * negotiated.  Left out is what only the host knows.  Names are those of libvirt 11.3
 * docs/formatdomain.rst, as far as a pseries guest can have them.
 */

#include "config.h"

#include "conf/dryrun_rules.h"

/* Versions of clang-format disagree about braces in macros */
/* clang-format off */
#define DROP(what)                                                                                 \
    {                                                                                              \
        .name = (what), .drop = TRUE                                                               \
    }
#define ATTRIBUTES(...)                                                                            \
    .attributes = (const VirtHptDryRunAttribute[])                                                 \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define CHILDREN(...)                                                                              \
    .children = (const VirtHptDryRunElement[])                                                     \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define NONE(what)                                                                                 \
    {                                                                                              \
        (what), VIRT_HPT_DRY_RUN_DROP, NULL                                                        \
    }
#define NUMBER(what)                                                                               \
    {                                                                                              \
        (what), VIRT_HPT_DRY_RUN_NUMBER, NULL                                                      \
    }
#define WORD(what)                                                                                 \
    {                                                                                              \
        (what), VIRT_HPT_DRY_RUN_WORD, NULL                                                        \
    }
#define SET(what)                                                                                  \
    {                                                                                              \
        (what), VIRT_HPT_DRY_RUN_SET, NULL                                                         \
    }
#define ONE_OF(what, words)                                                                        \
    {                                                                                              \
        (what), VIRT_HPT_DRY_RUN_ONE_OF, (words)                                                   \
    }
#define FIXED(what, value)                                                                         \
    {                                                                                              \
        (what), VIRT_HPT_DRY_RUN_FIXED, (value)                                                    \
    }
#define ON_OFF(what) ONE_OF(what, "on off")
#define YES_NO(what) ONE_OF(what, "yes no")
#define UNIT ONE_OF("unit", "b bytes KB k KiB MB M MiB GB G GiB TB T TiB")

/* A size with its unit as text */
#define SIZE(what)                                                                                 \
    {                                                                                              \
        .name = (what), .text = TRUE, .textKind = VIRT_HPT_DRY_RUN_NUMBER,                         \
        ATTRIBUTES(UNIT, NONE("dumpCore"))                                                         \
    }
/* A capability of the machine: <NAME state='on'/> */
#define STATE(what)                                                                                \
    {                                                                                              \
        .name = (what), ATTRIBUTES(ON_OFF("state"))                                                \
    }

/* QEMU names sections and RAM blocks by addresses and, for aliases that users gave, by these */
#define ALIAS                                                                                      \
    {                                                                                              \
        .name = "alias", ATTRIBUTES(WORD("name"))                                                  \
    }
#define ADDRESS                                                                                    \
    {                                                                                              \
        .name = "address",                                                                         \
        ATTRIBUTES(ONE_OF("type", "pci drive virtio-serial usb spapr-vio dimm"), NUMBER("domain"), \
                   NUMBER("bus"), NUMBER("slot"), NUMBER("function"), ON_OFF("multifunction"),     \
                   NUMBER("controller"), NUMBER("target"), NUMBER("unit"), WORD("port"),           \
                   NUMBER("reg"), NUMBER("base"))                                                  \
    }
#define COMMON DROP("boot"), DROP("acpi"), ALIAS, ADDRESS

/* Virtio features that libvirt can set */
#define VIRTIO_OPTIONS                                                                             \
    ON_OFF("iommu"), ON_OFF("ats"), ON_OFF("packed"), ON_OFF("page_per_vq"), ON_OFF("ioeventfd"),  \
        ON_OFF("event_idx")
#define VIRTIO_DRIVER                                                                              \
    {                                                                                              \
        .name = "driver", ATTRIBUTES(VIRTIO_OPTIONS)                                               \
    }
#define VIRTIO_MODELS "virtio virtio-transitional virtio-non-transitional"
/* clang-format on */

static const VirtHptDryRunElement diskRules[] = {
    {
        .name = "driver",
        ATTRIBUTES(NONE("name"),
                   NONE("type"),
                   NONE("cache"),
                   NONE("error_policy"),
                   NONE("rerror_policy"),
                   NONE("io"),
                   NONE("copy_on_read"),
                   NONE("discard"),
                   NONE("discard_no_unref"),
                   NONE("detect_zeroes"),
                   NONE("iothread"),
                   NUMBER("queues"),
                   NUMBER("queue_size"),
                   VIRTIO_OPTIONS),
        CHILDREN(DROP("metadata_cache"), DROP("iothreads"), DROP("statistics")),
    },
    DROP("source"),
    DROP("backingStore"),
    DROP("mirror"),
    DROP("auth"),
    DROP("encryption"),
    {
        .name = "target",
        ATTRIBUTES(WORD("dev"),
                   ONE_OF("bus", "virtio scsi sata usb"),
                   ONE_OF("tray", "open closed"),
                   ON_OFF("removable"),
                   NUMBER("rotation_rate")),
    },
    {
        .name = "geometry",
        ATTRIBUTES(NUMBER("cyls"),
                   NUMBER("heads"),
                   NUMBER("secs"),
                   ONE_OF("trans", "none auto lba")),
    },
    {
        .name = "blockio",
        ATTRIBUTES(NUMBER("logical_block_size"),
                   NUMBER("physical_block_size"),
                   NUMBER("discard_granularity")),
    },
    {.name = "readonly"},
    DROP("shareable"),
    DROP("transient"),
    DROP("iotune"),
    DROP("throttlefilters"),
    DROP("serial"),
    DROP("wwn"),
    DROP("vendor"),
    DROP("product"),
    COMMON,
    {0},
};

#define OFFLOADS                                                                                   \
    ON_OFF("csum"), ON_OFF("gso"), ON_OFF("tso4"), ON_OFF("tso6"), ON_OFF("ecn"), ON_OFF("ufo"),   \
        ON_OFF("mrg_rxbuf")

static const VirtHptDryRunElement interfaceRules[] = {
    {.name = "mac",
     ATTRIBUTES(WORD("address"), NONE("type"), NONE("check"), NONE("currentAddress"))},
    DROP("source"),
    DROP("target"),
    DROP("guest"),
    DROP("script"),
    DROP("downscript"),
    DROP("backend"),
    DROP("bandwidth"),
    DROP("tune"),
    DROP("filterref"),
    DROP("vlan"),
    DROP("virtualport"),
    DROP("port"),
    DROP("portForward"),
    DROP("coalesce"),
    DROP("ip"),
    DROP("route"),
    DROP("local"),
    {
        .name = "model",
        ATTRIBUTES(ONE_OF("type",
                          VIRTIO_MODELS " spapr-vlan e1000 e1000e rtl8139 ne2k_pci pcnet i82550 "
                                        "i82551 i82557b i82559er tulip usb-net")),
    },
    {
        .name = "driver",
        ATTRIBUTES(NONE("name"),
                   ONE_OF("txmode", "iothread timer"),
                   NUMBER("queues"),
                   NUMBER("rx_queue_size"),
                   NUMBER("tx_queue_size"),
                   ON_OFF("rss"),
                   ON_OFF("rss_hash_report"),
                   VIRTIO_OPTIONS),
        CHILDREN({.name = "host", ATTRIBUTES(OFFLOADS)}, {.name = "guest", ATTRIBUTES(OFFLOADS)}),
    },
    {.name = "link", ATTRIBUTES(ONE_OF("state", "up down"))},
    {.name = "mtu", ATTRIBUTES(NUMBER("size"))},
    {.name = "rom", ATTRIBUTES(ON_OFF("bar"), YES_NO("enabled"))},
    COMMON,
    {0},
};

static const VirtHptDryRunElement controllerRules[] = {
    {
        .name = "driver",
        ATTRIBUTES(NUMBER("queues"),
                   NUMBER("cmd_per_lun"),
                   NUMBER("max_sectors"),
                   NONE("iothread"),
                   VIRTIO_OPTIONS),
        CHILDREN(DROP("iothreads")),
    },
    {.name = "master", ATTRIBUTES(NUMBER("startport"))},
    {
        .name = "model",
        ATTRIBUTES(ONE_OF("name", "spapr-pci-host-bridge pci-bridge")),
    },
    {
        .name = "target",
        ATTRIBUTES(NUMBER("index"), NUMBER("chassisNr"), ON_OFF("hotplug")),
        CHILDREN({.name = "node", .text = TRUE, .textKind = VIRT_HPT_DRY_RUN_NUMBER}),
    },
    COMMON,
    {0},
};

/* Whatever was behind a character device: nothing is now */
#define CHARDEV_ATTRIBUTES FIXED("type", "null"), NONE("tty")
#define CHARDEV_SOURCES                                                                            \
    DROP("source"), DROP("protocol"), DROP("log"), DROP("reconnect"), ALIAS, ADDRESS

static const VirtHptDryRunElement serialRules[] = {
    {
        .name = "target",
        ATTRIBUTES(ONE_OF("type", "serial virtio spapr-vio-serial pci-serial usb-serial"),
                   NUMBER("port")),
        CHILDREN({
            .name = "model",
            ATTRIBUTES(ONE_OF("name", "spapr-vty pci-serial usb-serial")),
        }),
    },
    CHARDEV_SOURCES,
    {0},
};

static const VirtHptDryRunElement channelRules[] = {
    {
        .name = "target",
        ATTRIBUTES(ONE_OF("type", "virtio"), WORD("name"), NONE("state")),
    },
    CHARDEV_SOURCES,
    {0},
};

static const VirtHptDryRunElement videoRules[] = {
    {
        .name = "model",
        ATTRIBUTES(ONE_OF("type", "vga virtio bochs none"),
                   NUMBER("vram"),
                   NUMBER("heads"),
                   YES_NO("primary"),
                   ON_OFF("blob"),
                   ON_OFF("edid")),
        CHILDREN(
            {.name = "resolution", ATTRIBUTES(NUMBER("x"), NUMBER("y"))},
            {.name = "acceleration", ATTRIBUTES(ONE_OF("accel3d", "no"), ONE_OF("accel2d", "no"))}),
    },
    VIRTIO_DRIVER,
    COMMON,
    {0},
};

static const VirtHptDryRunElement memoryDeviceRules[] = {
    DROP("source"),
    {.name = "target",
     CHILDREN(SIZE("size"), {.name = "node", .text = TRUE, .textKind = VIRT_HPT_DRY_RUN_NUMBER})},
    ALIAS,
    ADDRESS,
    {0},
};

static const VirtHptDryRunElement deviceRules[] = {
    {
        .name = "emulator",
        .text = TRUE,
        .textKind = VIRT_HPT_DRY_RUN_ONE_OF,
        .textArg = "/usr/bin/qemu-system-ppc64 /usr/bin/qemu-system-ppc64le /usr/bin/qemu-kvm "
                   "/usr/bin/kvm /usr/libexec/qemu-kvm",
    },
    {
        .name = "disk",
        ATTRIBUTES(ONE_OF("type", "file block network volume"),
                   ONE_OF("device", "disk cdrom"),
                   ONE_OF("model", VIRTIO_MODELS),
                   NONE("snapshot"),
                   NONE("sgio")),
        .children = diskRules,
        .amend = virtHptDryRunAmendDisk,
    },
    {
        .name = "interface",
        ATTRIBUTES(ONE_OF("type",
                          "network bridge direct ethernet user internal server client "
                          "mcast udp vhostuser vdpa null"),
                   NONE("trustGuestRxFilters")),
        .children = interfaceRules,
        .amend = virtHptDryRunAmendInterface,
    },
    {
        .name = "controller",
        ATTRIBUTES(ONE_OF("type", "pci usb scsi sata virtio-serial"),
                   NUMBER("index"),
                   WORD("model"),
                   NUMBER("ports"),
                   NUMBER("vectors")),
        .children = controllerRules,
    },
    {.name = "serial", ATTRIBUTES(CHARDEV_ATTRIBUTES), .children = serialRules},
    {.name = "console", ATTRIBUTES(CHARDEV_ATTRIBUTES), .children = serialRules},
    {.name = "channel", ATTRIBUTES(CHARDEV_ATTRIBUTES), .children = channelRules},
    {
        .name = "input",
        ATTRIBUTES(ONE_OF("type", "tablet mouse keyboard"),
                   ONE_OF("bus", "usb virtio"),
                   ONE_OF("model", VIRTIO_MODELS)),
        CHILDREN(VIRTIO_DRIVER, COMMON),
    },
    DROP("graphics"),
    DROP("audio"),
    DROP("lease"),
    {.name = "video", .children = videoRules},
    {
        .name = "sound",
        ATTRIBUTES(ONE_OF("model", "ac97 es1370 ich6 ich9 usb")),
        CHILDREN({.name = "codec", ATTRIBUTES(ONE_OF("type", "duplex micro output"))},
                 DROP("audio"),
                 COMMON),
    },
    {
        .name = "watchdog",
        ATTRIBUTES(ONE_OF("model", "i6300esb"), FIXED("action", "none")),
        CHILDREN(COMMON),
    },
    {
        .name = "memballoon",
        ATTRIBUTES(ONE_OF("model", VIRTIO_MODELS " none"),
                   ON_OFF("autodeflate"),
                   ON_OFF("freePageReporting")),
        CHILDREN(DROP("stats"), VIRTIO_DRIVER, COMMON),
    },
    {
        .name = "rng",
        ATTRIBUTES(ONE_OF("model", VIRTIO_MODELS)),
        CHILDREN(DROP("backend"), DROP("rate"), VIRTIO_DRIVER, COMMON),
        .amend = virtHptDryRunAmendRng,
    },
    {.name = "panic", ATTRIBUTES(ONE_OF("model", "pseries")), CHILDREN(ALIAS)},
    {.name = "nvram", CHILDREN(ALIAS, ADDRESS)},
    {.name = "hub", ATTRIBUTES(ONE_OF("type", "usb")), CHILDREN(COMMON)},
    {
        .name = "memory",
        ATTRIBUTES(ONE_OF("model", "dimm"), NONE("access"), NONE("discard")),
        .children = memoryDeviceRules,
    },
    {0},
};

static const VirtHptDryRunElement featureRules[] = {
    /* What another architecture's template leaves behind, and libvirt passes over here */
    DROP("acpi"),
    DROP("apic"),
    DROP("pae"),
    {
        .name = "hpt",
        ATTRIBUTES(ONE_OF("resizing", "enabled disabled required")),
        CHILDREN(SIZE("maxpagesize")),
    },
    STATE("htm"),
    STATE("nested-hv"),
    STATE("ccf-assist"),
    {.name = "cfpc", ATTRIBUTES(ONE_OF("value", "broken workaround fixed"))},
    {.name = "sbbc", ATTRIBUTES(ONE_OF("value", "broken workaround fixed"))},
    {
        .name = "ibs",
        ATTRIBUTES(ONE_OF("value", "broken workaround fixed-ibs fixed-ccd fixed-na")),
    },
    {0},
};

static const VirtHptDryRunElement cpuRules[] = {
    {
        .name = "model",
        .text = TRUE,
        .textKind = VIRT_HPT_DRY_RUN_WORD,
        ATTRIBUTES(ONE_OF("fallback", "allow forbid")),
    },
    {
        .name = "topology",
        ATTRIBUTES(NUMBER("sockets"),
                   NUMBER("dies"),
                   NUMBER("clusters"),
                   NUMBER("cores"),
                   NUMBER("threads")),
    },
    {
        .name = "numa",
        CHILDREN({
            .name = "cell",
            ATTRIBUTES(NUMBER("id"),
                       SET("cpus"),
                       NUMBER("memory"),
                       UNIT,
                       NONE("memAccess"),
                       NONE("discard")),
            CHILDREN({
                .name = "distances",
                CHILDREN({.name = "sibling", ATTRIBUTES(NUMBER("id"), NUMBER("value"))}),
            }),
        }),
    },
    {0},
};

static const VirtHptDryRunElement domainRules[] = {
    DROP("name"),
    {.name = "uuid", .text = TRUE, .textKind = VIRT_HPT_DRY_RUN_WORD},
    DROP("title"),
    DROP("description"),
    DROP("metadata"),
    {
        .name = "maxMemory",
        .text = TRUE,
        .textKind = VIRT_HPT_DRY_RUN_NUMBER,
        ATTRIBUTES(NUMBER("slots"), UNIT),
    },
    SIZE("memory"),
    SIZE("currentMemory"),
    {
        .name = "vcpu",
        .text = TRUE,
        .textKind = VIRT_HPT_DRY_RUN_NUMBER,
        ATTRIBUTES(NONE("placement"), NONE("cpuset"), NUMBER("current")),
    },
    {
        .name = "vcpus",
        CHILDREN({
            .name = "vcpu",
            ATTRIBUTES(NUMBER("id"), YES_NO("enabled"), YES_NO("hotpluggable"), NUMBER("order")),
        }),
    },
    /* Where RAM comes from: a dry run touches none of it.  Where large pages matter all the same
     * the domain is refused before. */
    {
        .name = "memoryBacking",
        CHILDREN(DROP("hugepages"),
                 DROP("nosharepages"),
                 DROP("locked"),
                 DROP("source"),
                 DROP("access"),
                 DROP("allocation"),
                 DROP("discard")),
    },
    DROP("iothreads"),
    DROP("iothreadids"),
    DROP("defaultiothread"),
    DROP("cputune"),
    DROP("numatune"),
    DROP("memtune"),
    DROP("blkiotune"),
    DROP("resource"),
    DROP("throttlegroups"),
    {
        .name = "os",
        ATTRIBUTES(NONE("firmware")),
        /* The guest is restored, not booted */
        CHILDREN(
            {
                .name = "type",
                .text = TRUE,
                .textKind = VIRT_HPT_DRY_RUN_ONE_OF,
                .textArg = "hvm",
                ATTRIBUTES(ONE_OF("arch", "ppc64 ppc64le"), WORD("machine")),
            },
            DROP("loader"),
            DROP("nvram"),
            DROP("kernel"),
            DROP("initrd"),
            DROP("cmdline"),
            DROP("dtb"),
            DROP("boot"),
            DROP("bootmenu"),
            DROP("bios"),
            DROP("firmware")),
    },
    {.name = "features", .children = featureRules},
    {
        .name = "cpu",
        ATTRIBUTES(ONE_OF("mode", "custom host-model host-passthrough maximum"),
                   ONE_OF("match", "minimum exact strict"),
                   ONE_OF("check", "none partial full"),
                   NONE("migratable")),
        .children = cpuRules,
        .amend = virtHptDryRunAmendCpu,
    },
    DROP("clock"),
    DROP("on_poweroff"),
    DROP("on_reboot"),
    DROP("on_crash"),
    DROP("on_lockfailure"),
    DROP("pm"),
    DROP("perf"),
    DROP("seclabel"),
    {.name = "devices", .children = deviceRules},
    {0},
};

const VirtHptDryRunElement virtHptDryRunDomain = {
    .name = "domain",
    ATTRIBUTES(ONE_OF("type", "kvm qemu"), NONE("id")),
    .children = domainRules,
    .amend = virtHptDryRunAmendDomain,
};
