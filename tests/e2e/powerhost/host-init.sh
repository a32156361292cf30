#!/bin/busybox sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=dash
#
# /init of an emulated POWER host: the modules, then the test program, whose TAP goes to the console.

/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs tmpfs /tmp

for module in /modules/*.ko; do
    insmod "$module" || echo "POWERHOST FAILED insmod $module"
done

echo "POWERHOST RELEASE $(uname -r)"
# What the kernel says of entries that it refuses is no part of the TAP
dmesg -n 1
# The firmware writes to the same console, also within a line: so lines have a number and a length,
# and come a second time when all is done
frame() {
    awk '{ printf "@%d:%d:%s\n", NR, length($0), $0; fflush() }' "$@"
}
seed=$(sed -n 's/.*powerhost\.seed=\([^ ]*\).*/\1/p' /proc/cmdline)
{
    powerhost --tap ${seed:+"--seed=$seed"} 2>&1
    status=$?
    htab-reader 2>&1 | sed 's/^/# htab-reader: /'
    # The shell knows the status of a pipe's last command alone
    htab-reader >/dev/null 2>&1
    echo "POWERHOST EXAMPLE $?"
    echo "POWERHOST END $status"
} | tee /tmp/log | frame
frame /tmp/log
poweroff -f
