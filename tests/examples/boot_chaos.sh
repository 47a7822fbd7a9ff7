#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Boots Debian's cloud kernel under cpu-interp, whose pings go over the example's bad line: some are lost, some are answered,
# some of them twice, and the line has counted that. Everything of Backplane's is the installed one.
# usage: boot_chaos.sh PREFIX CHAOS-EXAMPLE
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/../../scripts/lib.sh"

prefix=$1 example=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
need_packages "${packages_guest[@]}"

kernel=$(fetch_kernel cloud)
files=()
for module in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci failover net_failover virtio_net; do
    files+=("$(kernel_module "$kernel" "$module"):lib/modules/$module.ko")
done
make_initramfs "$dir/guest.gz" "$here/chaos-init" "${files[@]}"

unset BACKPLANE_PLUGIN_PATH
status=0
timeout -k 10 "${BOOT_PATIENCE:-240}" "$prefix/bin/backplane" run --log 4 --set cpu.plugin=cpu-interp \
    --set "boot.kernel=$(kernel_image "$kernel")" --set "boot.initrd=$dir/guest.gz" "$example/chaos.ini" \
    </dev/null >"$dir/console" 2>"$dir/log" || status=$?
tr -d '\r' <"$dir/console" >"$dir/said"
[ "$status" = 0 ] || {
    tail -n 40 "$dir/said" "$dir/log"
    die "the machine ended with status $status"
}
counts=$(grep -o 'frames so far: .*' "$dir/log") || die "the line did not say what it did: $(tail -n 5 "$dir/log")"
result=$(sed -n 's/^\([0-9]*\) packets transmitted, \([0-9]*\) packets received.*/\1 \2/p' "$dir/said")
fastest=$(sed -n 's/^round-trip min.* = \([0-9]*\)\..*/\1/p' "$dir/said")
say "$counts; of ${result% *} pings ${result#* } were answered, the fastest after $fastest ms"
[ "${result% *}" = 60 ] || die "60 pings were expected: $(tail -n 20 "$dir/said")"
if [ "${result#* }" -eq 0 ] || [ "${result#* }" -eq 60 ]; then
    die "some of 60 answers were expected, not none or all"
fi
grep -q '(DUP!)' "$dir/said" || die "no answer came twice"
if grep -qE 'frames so far: 0 lost|, 0 doubled' <<<"$counts"; then
    die "nothing was lost or doubled: $counts"
fi
if grep -nE "BUG:|Oops|Call Trace" "$dir/said"; then
    die "the kernel complains of the lines above"
fi
