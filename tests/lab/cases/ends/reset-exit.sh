# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# A reset by the guest with --no-reboot ends the program with status 8.
debian cloud --no-reboot <<'END'
expect GUEST-READY
expect #\s
send reboot -f\r
status 8
terminal same
never Kernel panic
END
