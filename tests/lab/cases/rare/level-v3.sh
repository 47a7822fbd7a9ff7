# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# x86-64-v3: the guest finds BMI2, which v2 has not. It does not prove AVX2: the lab's emulated processor keeps the guest's
# XSETBV from KVM, which then tells another size of XSAVE's area than Linux has just set (QEMU's own -accel kvm finds the
# same), and Linux does without.
console "$program" run "$backend" --kernel /lab/kernel-cloud --initrd /lab/guest.gz --cmdline "$cmdline" --memory 256M --level v3 <<END
expect GUEST-READY
expect #\\s
send echo bmi2-\$((\$(grep -c bmi2 /proc/cpuinfo) + 1))\\r
expect bmi2-2
expect #\\s
send poweroff -f\\r
status 0
END
