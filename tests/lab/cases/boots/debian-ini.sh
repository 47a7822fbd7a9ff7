# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# configs/debian.ini boots to a shell, with the files that the lab has.
answers 1 "$program" run /lab/configs/debian.ini --set boot.kernel=/lab/kernel-cloud --set boot.initrd=/lab/guest.gz --memory 256M
