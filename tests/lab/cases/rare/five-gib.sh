# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# RAM on both sides of the hole below 4 GiB; the guest counts it. The lab has a fifth of it, so none but what is touched exists.
console "$program" run "$backend" --kernel /lab/kernel-cloud --initrd /lab/guest.gz --cmdline "$cmdline" --memory 5G <<END
expect GUEST-READY
expect #\\s
send awk '/MemTotal/ { print "gib-" int(\$2 / 1000000) }' /proc/meminfo\\r
expect gib-5
expect #\\s
send poweroff -f\\r
status 0
END
