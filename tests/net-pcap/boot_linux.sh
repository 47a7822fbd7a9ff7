#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Debian's kernel under cpu-interp uses configs/capture.ini and configs/replay.ini: it pings its network, and both
# directions are in the file; then it is fed a recording, and its own counters say that every datagram was good.
# usage: boot_linux.sh BUILD-FOLDER
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/../../scripts/lib.sh"

build=$(cd "$1" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

package=$(fetch_kernel cloud)
kernel=$(kernel_image "$package")
files=() words=
for module in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci failover net_failover \
    virtio_net; do
    files+=("$(find "$package" -name "$module.ko"):lib/modules/$module.ko")
    words+=" backplane.module=$module"
done
make_initramfs "$dir/guest.gz" "$here/../guest/initramfs/init" "${files[@]}"
export BACKPLANE_PLUGIN_PATH=$build/plugins
ended='terminal same\nnever Kernel panic\nnever BUG:\nnever Oops\n'

# boot MACHINE SCRIPT [OPTION]...
boot() {
    local machine=$1 script=$2

    shift 2
    printf "expect GUEST-READY\nexpect #\\\\s\n%bsend poweroff -f\\\\r\nstatus 0\n$ended" "$script" >"$dir/script"
    "$build/bin/lab-console" -t "${BOOT_PATIENCE:-240}" "$dir/script" "$build/bin/backplane" run "$machine" \
        --backend interp --set "boot.kernel=$kernel" --set "boot.initrd=$dir/guest.gz" \
        --set "boot.cmdline=console=ttyS0 panic=-1$words" "$@"
}

boot "$here/../../configs/capture.ini" \
    'send ip addr add 10.0.2.15/24 dev eth0 && ip link set eth0 up && ping -c 3 10.0.2.2\\r\nexpect 3 packets received\nexpect #\\s\n' \
    --set "tap.file=$dir/guest.pcapng"
"$build/bin/list-capture" "$dir/guest.pcapng" >"$dir/list"
for frame in out in; do
    count=$(grep -c "^$frame 98 type-0800 protocol-1$" "$dir/list" || true)
    if [ "$count" != 3 ]; then
        echo "$count echoes of three are in the capture, $frame:"
        cat "$dir/list"
        exit 1
    fi
done

mkdir "$dir/samples"
"$build/bin/capture-sample" "$dir/samples" >/dev/null 2>&1
# shellcheck disable=SC2016  # for the guest
boot "$here/../../configs/replay.ini" \
    'send ip addr add 10.0.2.15/24 dev eth0 && ip link set eth0 up && sleep 3; grep Udp: /proc/net/snmp | tail -1; echo received-$(cat /sys/class/net/eth0/statistics/rx_packets)\\r\nexpect Udp: 0 4 0 \nexpect received-4\nexpect #\\s\n' \
    --set "recording.file=$dir/samples/guest.pcapng" --set 'recording.rewrite-ip=10.0.0.2>10.0.2.15'
