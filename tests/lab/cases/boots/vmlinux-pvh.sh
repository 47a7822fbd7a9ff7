# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# The ELF vmlinux inside Debian's generic kernel starts by PVH, which its note offers.
console "$program" run "$backend" --kernel /lab/vmlinux --initrd /lab/guest.gz --cmdline "$cmdline" --memory 256M -v <<END
expect booting by PVH
expect GUEST-READY
expect #\\s
send poweroff -f\\r
status 0
END
