# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# configs/debian.ini with nothing changed but the CPU backend: the guest says what it says under cpu-interp
# (tests/interp-boots, the test interp.cloud-ini), by the same initramfs and the same expectation.
/lab/workload-script 1 /lab/workload.expected |
    console "$program" run /lab/configs/debian.ini --set cpu.plugin=cpu-kvm --set boot.kernel=/lab/kernel-cloud \
        --set boot.initrd=/lab/guest.gz
