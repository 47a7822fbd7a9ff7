#!/bin/sh
# SPDX-License-Identifier: MIT
#
# compare_guest.sh BACKPLANE MACHINE.ini SECOND: cpu-interp and the backend SECOND do the same, instruction by
# instruction, until the guest ends. Plugins are looked for in GUEST_PLUGINS. Skipped, with status 77 and the reason, for
# a KVM that is not to be had, or has no hardware below it.
set -u

backplane=$1 machine=$2 second=$3
if [ "$second" = cpu-kvm ]; then
    (exec 3<>/dev/kvm) 2>/dev/null || {
        echo "skipped: /dev/kvm cannot be opened by $(id -un)"
        exit 77
    }
    grep -qwE 'vmx|svm' /proc/cpuinfo || {
        echo "skipped: this KVM has no hardware below it, and emulates ring 0"
        exit 77
    }
fi
said=$(timeout -k 5 280 "$backplane" compare --backends "cpu-interp,$second" --set cpu.level=host \
    --plugin-path "$GUEST_PLUGINS" "$machine" 2>&1 >/dev/null </dev/null)
status=$?
printf '%s\n' "$said"
[ "$status" = 0 ] || exit 1
case $said in
*"cpu-interp and $second do the same for "*" instructions, and the guest has ended"*) ;;
*)
    echo "the guest has not ended"
    exit 1
    ;;
esac
