#!/bin/sh
# The first process of the guest: makes it a machine like others, and then runs the lines that are
# added below, one for each test target.
export PATH=/usr/bin:/usr/sbin HOME=/ RUST_BACKTRACE=0

# The root that a kernel starts with cannot be changed by pivot_root: move to another one.
if [ ! -e /moved ]; then
    /usr/bin/busybox --install -s /usr/bin
    mkdir -p /new /proc /sys /dev
    mount -t tmpfs -o size=90%,mode=755 tmpfs /new
    for name in /*; do
        case $name in
            /new | /proc | /sys | /dev) ;;
            *) cp -a "$name" /new/ ;;
        esac
    done
    mkdir -p /new/proc /new/sys /new/dev /new/run /new/root /new/home
    touch /new/moved
    exec switch_root /new /init
fi

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm /dev/pts /tmp
chmod 1777 /tmp /dev/shm
# Control groups, as systemd mounts them; the kernel's command line says how.
second=/sys/fs/cgroup
case $groups in
    unified)
        ;;
    hybrid)
        second=/sys/fs/cgroup/unified
        mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
        for name in $(sed 1d /proc/cgroups | cut -f 1); do
            case $name in
                cpu | cpuacct) mounted=cpu,cpuacct ;;
                net_cls | net_prio) mounted=net_cls,net_prio ;;
                *) mounted=$name ;;
            esac
            if [ ! -d "/sys/fs/cgroup/$mounted" ]; then
                mkdir "/sys/fs/cgroup/$mounted"
                mount -t cgroup -o "$mounted" cgroup "/sys/fs/cgroup/$mounted"
            fi
            [ "$mounted" = "$name" ] || ln -s "$mounted" "/sys/fs/cgroup/$name"
        done
        mkdir /sys/fs/cgroup/systemd "$second"
        mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
        ;;
esac
mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup2 "$second"
ip link set lo up
# An interface for those who look for a way outside; behind it is nothing.
insmod /usr/lib/interface.ko numdummies=1
ip addr add 198.51.100.1/24 dev dummy0
ip link set dummy0 up
ip route add default dev dummy0
hostname guest
echo "guest: Linux $(uname -r), $groups, of version 2: $(cat "$second/cgroup.controllers")"

run() {
    name=$1
    shift
    echo "guest: $name"
    "$@" --test-threads 1 || echo "guest: failed: $name"
}

