# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# An installed Debian (tests/installed-boot) boots under cpu-kvm from a qcow2 image on virtio-blk, whose doorbells are the
# kernel's and whose device has a thread of its own, to its login prompt; root logs in, changes the disk and switches off.
# It does not prove speed.
"$program" img create --backing /lab/installed/disk.qcow2 disk.qcow2 &&
    console "$program" run "$backend" --kernel /lab/installed/vmlinuz --initrd /lab/installed/initrd.img \
        --disk disk.qcow2 --set disk0.thread=yes --memory 512M --cmdline "root=/dev/vda rw $cmdline" \
        </lab/installed/first.script
