#!/bin/sh
# SPDX-License-Identifier: MIT
#
# compare_guest.sh BACKPLANE MACHINE.ini SECOND [TEXT]: cpu-interp and the backend SECOND do the same, instruction by
# instruction, until the guest ends, or has written TEXT. Plugins are looked for in GUEST_PLUGINS. Skipped, with status
# 77 and the reason, for a KVM that is not to be had, or has no hardware below it.
set -u

backplane=$1 machine=$2 second=$3 text=${4:-}
ends=', and the guest has ended'
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
set -- --backends "cpu-interp,$second" --set cpu.level=host --plugin-path "$GUEST_PLUGINS" "$machine"
if [ -n "$text" ]; then
    set -- --until "$text" "$@"
    ends=
fi
input=${machine%.ini}.input
[ -e "$input" ] || input=/dev/null
said=$(timeout -k 5 "${COMPARE_SECONDS:-280}" "$backplane" compare "$@" 2>&1 >/dev/null <"$input")
status=$?
printf '%s\n' "$said"
[ "$status" = 0 ] || exit 1
case $said in
*"cpu-interp and $second do the same for "*" instructions$ends") ;;
*)
    echo "expected the end of the guest${text:+, or \"$text\"}"
    exit 1
    ;;
esac
