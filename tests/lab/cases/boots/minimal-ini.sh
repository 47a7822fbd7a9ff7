# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# configs/minimal.ini: the kernel looks for a root file system, finds none, and ends as the file says it will.
console "$program" run "$backend" /lab/configs/minimal.ini --set boot.kernel=/lab/kernel-cloud <<END
expect Kernel panic - not syncing: VFS
status 8
END
