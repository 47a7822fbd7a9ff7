# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# A kernel that panics tells the pvpanic device, which its ACPI tables name: status 10.
cmdline='console=ttyS0 panic=0 backplane.module=pvpanic backplane.module=pvpanic-mmio'
debian cloud --set panic.plugin=dev-pc --set panic.model=pvpanic <<'END'
expect GUEST-READY
expect #\s
send echo c >/proc/sysrq-trigger\r
expect Kernel panic - not syncing
status 10
terminal same
END
