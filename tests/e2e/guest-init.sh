#!/bin/busybox sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=dash
#
# /init of the test guest.  It says what it sees (READY), counts in memory once a second (TICK),
# writes the count to its disk and reads it back, says that its disk is IDLE, and keeps its hash table
# busy.

/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs tmpfs /tmp

while read -r module; do
    insmod "/modules/$module.ko" || echo "E2E FAILED insmod $module"
done < /modules/order

# Names of devices come after a moment
for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ -b /dev/vda ] && break
    sleep 0.2
done
[ -d /sys/class/net/eth0 ] && ip link set eth0 up

field() {
    sed -n "s/^$1[[:space:]]*:[[:space:]]*//p" "$2" | head -n 1
}

# The firmware tells the guest log2 of the table's size in bytes: two 32-bit words, the second counts
pft=none
for file in /proc/device-tree/cpus/PowerPC*/ibm,pft-size; do
    [ -e "$file" ] && pft=$((0x$(od -An -tx1 -j4 -N4 "$file" | tr -d ' ')))
done
page=$(field KernelPageSize /proc/self/smaps | tr -d ' B')
vda=none
[ -b /dev/vda ] && vda=$(cat /sys/block/vda/size)
nic=none
[ -d /sys/class/net/eth0 ] && nic=eth0

# Processes come and go, and 20 MiB of pages change several times a second: a live migration at low
# bandwidth does not converge.  The random bytes make pages that differ a little each time.
churn() {
    while :; do
        for copy in 1 2 3 4 5 6 7 8; do
            cat /bin/busybox > /tmp/churn.$copy
        done
        for offset in 1 9 17 25 33 41 49 57; do
            dd if=/dev/urandom of=/tmp/stable bs=512 seek=$((offset * 128)) count=1 conv=notrunc
        done 2>/dev/null
        usleep 100000
        rm -f /tmp/churn.*
    done
}

# e2e.load=: what the guest does instead, to see what becomes of its hash table.
# memory: 64 MiB are mapped, written and unmapped again and again.  fork: processes that end at once.
load() {
    case $1 in
    idle) ;;
    memory)
        while :; do
            dd if=/dev/zero of=/dev/null bs=64M count=1 2>/dev/null
        done
        ;;
    fork)
        while :; do
            /bin/busybox true
        done
        ;;
    *) echo "E2E FAILED load '$1'" ;;
    esac
}

# The count goes to a sector of its own and must read back the same, past the page cache.  With the
# boot's name: a disk may hold the counts of several boots
disk() {
    sector=$(($1 % 1024 + 8))
    printf '%-511s\n' "E2E COUNT $1 $boot" |
        dd of=/dev/vda bs=512 seek=$sector conv=notrunc,fsync 2>/dev/null
    echo 7 > /proc/sys/vm/drop_caches
    back=$(dd if=/dev/vda bs=512 skip=$sector count=1 2>/dev/null)
    [ "${back%% *}" = E2E ] || echo "E2E FAILED disk $1 '$back'"
}

# QEMU before 8.2 does not migrate the decrementer under TCG: a restored guest waits for a timer that
# never fires.  A waking reader of the trace buffer is work for an interrupt, and powerpc raises that
# by setting the decrementer; so a process that always runs, at the lowest priority, heals the clock:
# when a tenth of a second has passed without a tick (jiffies, the second line of schedstat).  Not otherwise: a
# guest that is saved just between request and interrupt is not healed.
heartbeat() {
    cat /tracing/trace_pipe > /dev/null &
    last='' before=''
    while read -r now _ < /proc/uptime; do
        [ "${now%?}" = "$last" ] && continue
        last=${now%?}
        { read -r _; read -r _ ticks; } < /proc/schedstat
        [ "$ticks" = "$before" ] && echo heartbeat > /tracing/trace_marker
        before=$ticks
    done
}

dd if=/dev/urandom of=/tmp/stable bs=64k count=64 2>/dev/null

# e2e.fill=MIB: so much memory in use, no page of it zero
fill=$(sed -n 's/.*\be2e\.fill=\([0-9]*\).*/\1/p' /proc/cmdline)
if [ -n "$fill" ]; then
    mkdir /fill
    mount -t tmpfs -o "size=${fill}m" tmpfs /fill
    while [ "$fill" -gt 0 ]; do
        cat /tmp/stable || break
        fill=$((fill - 4))
    done > /fill/data
    [ "$fill" -le 0 ] || echo "E2E FAILED fill $fill"
fi

load=$(sed -n 's/.*\be2e\.load=\([a-z]*\).*/\1/p' /proc/cmdline)
if [ -n "$load" ]; then
    load "$load" &
else
    churn &
    mkdir /tracing
    mount -t tracefs tracefs /tracing
    heartbeat &
    renice -n 19 -p $! > /dev/null
fi

boot=$(cut -c 1-8 /proc/sys/kernel/random/boot_id)
echo "E2E READY boot=$boot mmu=$(field MMU /proc/cpuinfo) pft=$pft page=$page vda=$vda nic=$nic" \
    "mem=$(field MemTotal /proc/meminfo | tr -d ' ') release=$(uname -r)" \
    "cpu=$(field cpu /proc/cpuinfo | tr -c '[:alnum:].\n' _)"
count=0
while :; do
    count=$((count + 1))
    echo $count > /tmp/count
    echo "E2E TICK $count"
    [ "$vda" = none ] || disk $count
    echo "E2E IDLE $count"
    sleep 1
done
