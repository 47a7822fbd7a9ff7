# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# SeaBIOS and GRUB from a virtio disk under cpu-kvm: what configs/firmware.ini does under cpu-interp (tests/firmware-boot), by the
# same disk and the same script. The host bridge changes the kernel's memory slots under a running guest here.
console "$program" run /lab/configs/firmware.ini --set cpu.plugin=cpu-kvm --set boot.firmware=/lab/firmware/bios-256k.bin \
    --set image.file=/lab/firmware/disk.img --cpus 2 </lab/firmware/choose.script
