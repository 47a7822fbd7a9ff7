# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# A disk and a network interface of virtio with threads of their own under cpu-kvm: their interrupts go by eventfds
# (irqfds), as their own count says at the end, and what was read and answered is right. It does not prove speed.
head -c 3145728 /dev/urandom >disk.img
sum=$(sha256sum disk.img | cut -d' ' -f1)
console "$program" run "$backend" --kernel /lab/kernel-cloud --initrd /lab/virtio.gz --memory 256M \
    --cmdline "$cmdline quiet" --disk disk.img --set disk0.thread=yes --net user --nic virtio --set nic0.thread=yes \
    --log 4 --log-file log <<END || exit 1
expect SAID read $sum
expect SAID pings
status 0
never Kernel panic
never BUG:
never I/O error
never nobody cared
END
for section in disk0 nic0; do
    count=$(sed -n "s/.*$section.* \([0-9]*\) interrupts were sent by eventfd.*/\1/p" log)
    echo "$section: ${count:-0} interrupts by eventfd"
    [ "${count:-0}" -ge 3 ] || exit 1
done
