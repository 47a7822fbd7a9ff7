#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tests/guest/run_guest.sh BACKPLANE MACHINE.ini EXPECTED-OUTPUT EXPECTED-STATUS [CPU-PLUGIN]
#
# Runs a machine file, within GUEST_SECONDS (60), and compares what it wrote to standard output with the file
# EXPECTED-OUTPUT, byte by byte, and its exit status. Beside the machine file there may be a file of the same
# name that ends with .input: the guest's input. Plugins are looked for in GUEST_PLUGINS too. With CPU-PLUGIN
# the machine runs under that backend, whatever the file says; where the host cannot have it, the test is
# skipped: exit status 77, after a line that says why. GUEST_FILTER is what sed is to do to both texts first;
# with GUEST_NEEDS_HARDWARE a KVM on a processor without VMX and SVM is not tried.
set -u

if [ $# -lt 4 ]; then
    echo "usage: $0 BACKPLANE MACHINE.ini EXPECTED-OUTPUT EXPECTED-STATUS [CPU-PLUGIN]" >&2
    exit 2
fi
backplane=$1 machine=$2 expected=$3 status=$4 cpu=${5:-}

skip() {
    echo "skipped: $1"
    exit 77
}

[ -x "$backplane" ] || skip "$backplane is not built"
if [ "$cpu" = cpu-kvm ]; then
    [ -e /dev/kvm ] || skip "/dev/kvm does not exist: this host or its kernel has no KVM"
    # Opened as a backend does it; root passes a test of the mode.
    (exec 3<>/dev/kvm) 2>/dev/null || skip "/dev/kvm cannot be opened by $(id -un)"
    if [ -n "${GUEST_NEEDS_HARDWARE:-}" ] && ! grep -qwE 'vmx|svm' /proc/cpuinfo; then
        skip "this KVM has no hardware below it, and emulates ring 0"
    fi
fi

scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT
trap 'exit 2' HUP INT TERM

input=${machine%.ini}.input
[ -e "$input" ] || input=/dev/null
set -- run
# These guests need no more of a CPU than it has; some hosts cannot give v2.
[ -z "$cpu" ] || set -- "$@" --set "cpu.plugin=$cpu" --set cpu.level=host
[ -z "${GUEST_PLUGINS:-}" ] || set -- "$@" --plugin-path "$GUEST_PLUGINS"
timeout -k 5 "${GUEST_SECONDS:-60}" "$backplane" "$@" "$machine" \
    <"$input" >"$scratch/output" 2>"$scratch/messages"
got=$?

if [ -n "${GUEST_FILTER:-}" ]; then
    sed "$GUEST_FILTER" "$expected" >"$scratch/expected"
    sed -i "$GUEST_FILTER" "$scratch/output"
    expected=$scratch/expected
fi

failed=0
if ! cmp -s "$expected" "$scratch/output"; then
    echo "the guest's output is not that of $expected:"
    diff -a -u "$expected" "$scratch/output"
    failed=1
fi
if [ "$got" -eq 124 ] || [ "$got" -eq 137 ]; then
    echo "the guest was still running after ${GUEST_SECONDS:-60} seconds"
    failed=1
elif [ "$got" -ne "$status" ]; then
    echo "exit status $got, expected $status"
    failed=1
fi
if [ "$failed" -ne 0 ]; then
    echo "messages of the program:"
    cat "$scratch/messages"
fi
exit "$failed"
