# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# configs/smp.ini boots to a shell on its two processors.
answers 2 "$program" run "$backend" /lab/configs/smp.ini --set boot.kernel=/lab/kernel-cloud --set boot.initrd=/lab/guest.gz --memory 256M
