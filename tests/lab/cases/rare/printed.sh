# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# What --print-config prints runs the same machine.
"$program" run "$backend" --kernel /lab/kernel-cloud --initrd /lab/guest.gz --cmdline "$cmdline" --memory 256M --cpus 2 \
    --print-config >machine.ini || exit 1
answers 2 "$program" run "$backend" machine.ini
