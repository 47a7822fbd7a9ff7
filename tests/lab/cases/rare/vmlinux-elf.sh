# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# The same ELF vmlinux starts at its entry in long mode, as the 64-bit boot protocol has it.
console "$program" run "$backend" --kernel /lab/vmlinux --initrd /lab/guest.gz --cmdline "$cmdline" --memory 256M -v \
    --set boot.protocol=elf <<END
expect booting by ELF
expect GUEST-READY
expect #\\s
send poweroff -f\\r
status 0
END
