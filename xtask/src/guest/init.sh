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
mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup2 /sys/fs/cgroup
ip link set lo up
hostname guest
echo "guest: Linux $(uname -r), control groups: $(cat /sys/fs/cgroup/cgroup.controllers)"

run() {
    name=$1
    shift
    echo "guest: $name"
    "$@" --test-threads 1 || echo "guest: failed: $name"
}

