#!/bin/sh
# SPDX-License-Identifier: MIT
#
# bus_trace_test.sh PROGRAM PLUGINS HELLO-INI: the trace of the bus, of the smallest guest: every access, in
# order, with the names of registers. Times, and the program counter where the backend knows it, are left out.
set -eu
program=$1 plugins=$2 machine=$3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export BACKPLANE_PLUGIN_PATH="$plugins" LC_ALL=C

timeout 60 "$program" run "$machine" --backend interp --trace bus --trace-file "$dir/trace" </dev/null >"$dir/out"
cut -d ' ' -f 1-2,6- "$dir/trace" >"$dir/got"
{
    for value in 48 65 6c 6c 6f 20 66 72 6f 6d 20 42 61 63 6b 70 6c 61 6e 65 d a; do
        echo "bus 0 write port=0x3f8 width=1 value=0x$value com1.THR"
    done
    echo "bus 0 write port=0x604 width=2 value=0x2000 acpi.PM1_CNT"
} >"$dir/expected"
diff "$dir/expected" "$dir/got"

# Without a file it goes to standard error, where there is no terminal; and nothing else changes.
timeout 60 "$program" run "$machine" --backend interp --trace bus </dev/null >"$dir/out2" 2>"$dir/err"
cmp "$dir/out" "$dir/out2"
[ "$(grep -c '^bus 0 [0-9]* - - write port=0x3f8 width=1 ' "$dir/err")" = 22 ]

# A file that cannot be written is told before anything runs.
status=0
said=$(timeout 60 "$program" run "$machine" --trace bus --trace-file "$dir/no/trace" 2>&1 </dev/null) || status=$?
expected="--trace-file: error: [machine] trace-file = $dir/no/trace: there is no folder $dir/no to write trace in"
[ "$status: $said" = "2: $expected" ] || {
    printf 'expected\n%s\ngot\n%s: %s\n' "2: $expected" "$status" "$said"
    exit 1
}
