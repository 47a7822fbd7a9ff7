# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# A reset by the guest starts it again, from the beginning and as often as it wants.
debian cloud --cpus 2 <<'END'
expect GUEST-READY
expect #\s
send reboot -f\r
expect Linux version
expect GUEST-READY
expect #\s
send echo nproc-$(nproc)\r
expect nproc-2
send poweroff -f\r
status 0
terminal same
END
