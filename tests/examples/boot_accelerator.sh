#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Boots Debian's cloud kernel under cpu-interp with the accelerator, which its driver in user space uses by polling and by
# interrupts (uio_pci_generic). Everything of Backplane's is the installed one.
# usage: boot_accelerator.sh PREFIX ACCELERATOR-EXAMPLE
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/../../scripts/lib.sh"

prefix=$1 example=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
need_packages "${packages_guest[@]}"

kernel=$(fetch_kernel cloud)
files=("$example/driver:bin/driver")
for module in uio uio_pci_generic; do
    files+=("$(kernel_module "$kernel" "$module"):lib/modules/$module.ko")
done
make_initramfs "$dir/guest.gz" "$here/accelerator-init" "${files[@]}"

unset BACKPLANE_PLUGIN_PATH
status=0
timeout -k 10 "${BOOT_PATIENCE:-240}" "$prefix/bin/backplane" run --set cpu.plugin=cpu-interp \
    --set "boot.kernel=$(kernel_image "$kernel")" --set "boot.initrd=$dir/guest.gz" "$example/accelerator.ini" \
    </dev/null >"$dir/console" || status=$?
tr -d '\r' <"$dir/console" >"$dir/said"
[ "$status" = 0 ] || {
    tail -n 40 "$dir/said"
    die "the machine ended with status $status"
}
grep '^driver: ' "$dir/said" >"$dir/driver" || true
diff -u - "$dir/driver" <<END || die "the driver says something else than expected; the guest's last words: $(tail -n 20 "$dir/said")"
driver: found
driver: copies are right
driver: sums are right
driver: XORs are right
driver: mistakes are answered
driver: messages came
driver: found
driver: copies are right
driver: sums are right
driver: XORs are right
driver: mistakes are answered
driver: each was an interrupt
END
if grep -inE "irq .*nobody cared|spurious|BUG:|Oops|Call Trace" "$dir/said"; then
    die "the kernel complains of the lines above"
fi
# As many as there were descriptors: the pin was never left up.
grep -E '^ *[0-9]+: +14 .*uio' "$dir/said" || die "14 interrupts were expected: $(grep uio "$dir/said" || true)"
