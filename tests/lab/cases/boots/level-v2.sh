# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# x86-64-v2: the guest finds SSE4.2, and neither BMI2 nor AVX, which the processor has.
console "$program" run "$backend" --kernel /lab/kernel-cloud --initrd /lab/guest.gz --cmdline "$cmdline" --memory 256M --level v2 <<END
expect GUEST-READY
expect #\\s
send echo v2-\$(grep -c sse4_2 /proc/cpuinfo)-\$(grep -cE 'bmi2|avx' /proc/cpuinfo)\\r
expect v2-1-0
expect #\\s
send poweroff -f\\r
status 0
END
