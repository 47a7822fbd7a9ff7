#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tests/guest/trace_test.sh BACKPLANE MACHINE.ini EXPECTED-OUTPUT
#
# Runs the machine file of the guest hello under cpu-interp with traces, from options and from keys, and compares them
# with what the guest is known to do; then asks for traces that cannot be. Plugins are looked for in GUEST_PLUGINS too.
set -u

if [ $# -ne 3 ]; then
    echo "usage: $0 BACKPLANE MACHINE.ini EXPECTED-OUTPUT" >&2
    exit 2
fi
backplane=$1 machine=$2 expected=$3
scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT
trap 'exit 2' HUP INT TERM
failed=0

fail() {
    echo "$1"
    cat "$scratch/messages"
    failed=1
}

# run STATUS ARGUMENTS...: runs the program; its status must be STATUS.
run() {
    wanted=$1
    shift
    timeout -k 5 "${GUEST_SECONDS:-60}" "$backplane" "$@" ${GUEST_PLUGINS:+--plugin-path "$GUEST_PLUGINS"} \
        </dev/null >"$scratch/output" 2>"$scratch/messages"
    got=$?
    [ "$got" -eq "$wanted" ] || fail "exit status $got, expected $wanted: $*"
}

# says STATUS SENTENCE ARGUMENTS...: likewise, with SENTENCE among the messages.
says() {
    sentence=$2
    wanted=$1
    shift 2
    run "$wanted" "$@"
    grep -qF -e "$sentence" "$scratch/messages" || fail "it does not say: $sentence"
}

# lines N PATTERN FILE: so many lines match.
lines() {
    n=$(grep -cE -e "$2" "$3")
    [ "$n" -eq "$1" ] || fail "$n lines of $3 match $2, expected $1"
}

characters=$(wc -c <"$expected")

# A trace does not disturb what the guest says.
run 0 run --trace insn,pio --trace-file "$scratch/trace" "$machine"
cmp -s "$expected" "$scratch/output" || fail "the guest's output is not that of $expected"
lines "$characters" '^pio 0 [0-9]+ real/0 [0-9a-f]{16} out port=0x3f8 width=1 value=0x' "$scratch/trace"
lines 1 '^pio 0 .* out port=0x604 width=2 value=0x2000$' "$scratch/trace"
lines 1 '^insn 0 .* mov dx, 0x604 ; rdx=0x604$' "$scratch/trace"
lines 0 '^(int|mmio|msr) ' "$scratch/trace"

# Keys do the same, and ranges leave out the rest. Standard error is no terminal here.
run 0 run --set cpu.plugin=cpu-interp --set cpu.trace=pio --set cpu.trace-range=0x7c00-0x7c0a "$machine"
lines "$characters" '^pio 0 .* out port=0x3f8 ' "$scratch/messages"
lines 0 ' port=0x604 ' "$scratch/messages"

if command -v zstd >/dev/null; then
    run 0 run --trace pio --trace-file "$scratch/trace.zst" "$machine"
    zstd -dqf "$scratch/trace.zst" -o "$scratch/trace" || fail "zstd cannot read the trace"
    lines "$characters" '^pio 0 .* out port=0x3f8 ' "$scratch/trace"
fi

# A trace that ends early is no reason for the guest to.
if [ -c /dev/full ]; then
    says 0 'the trace ends here, and the guest goes on: /dev/full' run --trace pio --trace-file /dev/full "$machine"
    cmp -s "$expected" "$scratch/output" || fail "the guest's output is not that of $expected"
fi

# What cannot be.
says 2 'expected insn, int, mmio, pio or msr' check --trace insns "$machine"
says 2 'no folder /nowhere' check --trace insn --trace-file /nowhere/trace "$machine"
says 2 'expected all, user or kernel' check --trace insn --trace-privilege root "$machine"
says 2 'expected a number from 0 to 254' check --trace insn --trace-vcpus one "$machine"
says 2 'the backend cpu-kvm cannot trace' check --trace insn --backend kvm "$machine"
says 4 'there is no vCPU 1 to trace; the last one is 0' run --trace insn --trace-vcpus 1 "$machine"
says 2 'expected two numbers of 64 bits' check --trace insn --set cpu.trace-range=0x10000000000000000-0 "$machine"
says 2 'the range is empty' check --trace insn --trace-range 0x20-0x1f "$machine"
says 4 'not what is to be traced' run --set cpu.plugin=cpu-interp --set "cpu.trace-file=$scratch/t" "$machine"

exit "$failed"
