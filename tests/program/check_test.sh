#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check_test.sh PROGRAM PLUGINS: `check` and --print-config create no instance. What the instances of this machine would
# make or empty when they are created is as it was. It does not show that nothing is locked.
set -eu
program=$1 plugins=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export LC_ALL=C

printf 'as it was\n' >kept
printf 'x' >binary
cat >m.ini <<END
[boot]
binary = binary
[machine]
log-file = messages
[out]
plugin = chr-host
model = file
path = kept
log = copy
[listener]
plugin = chr-host
model = socket
listen = unix:$dir/socket
[pty]
plugin = chr-host
model = pty
link = link
[com1]
plugin = dev-uart
chardev = out
[com2]
plugin = dev-uart
port = 0x2f8
irq = 3
chardev = listener
[com3]
plugin = dev-uart
port = 0x3e8
irq = 5
chardev = pty
END
# refuses SENTENCE ARGUMENT...: with the same sentence and status `check` and `run` do.
refuses() {
    expected=$1
    shift
    for command in check run; do
        status=0
        said=$(timeout 60 "$program" "$command" --plugin-path "$plugins" "$@" 2>&1) || status=$?
        [ "$status: $said" = "2: $expected" ] || {
            printf '%s %s: expected\n2: %s\ngot\n%s: %s\n' "$command" "$*" "$expected" "$status" "$said"
            exit 1
        }
    done
}

said=$("$program" check --plugin-path "$plugins" m.ini 2>&1) || {
    printf '%s\n' "$said"
    exit 1
}
[ "$said" = 'm.ini: no errors found' ]
"$program" run --print-config --plugin-path "$plugins" m.ini >/dev/null
[ "$(cat kept)" = 'as it was' ] || {
    echo "a file that would be written was emptied"
    exit 1
}
found=$(find . ! -name . | sort | tr '\n' ' ')
[ "$found" = './binary ./kept ./m.ini ' ] || {
    echo "found afterwards: $found"
    exit 1
}

: >empty
mkfifo fifo
refuses "--kernel: error: [boot] kernel = empty: $dir/empty: is empty (0 bytes)" --no-serial --kernel empty
refuses "--kernel: error: [boot] kernel = fifo: $dir/fifo: is a FIFO, expected a regular file" --no-serial --kernel fifo
refuses "--initrd: error: [boot] initrd = empty: $dir/empty: is empty (0 bytes)" \
    --no-serial --kernel binary --initrd empty
refuses "--firmware: error: [boot] firmware = binary: $dir/binary: has 1 bytes, which no firmware image has: expected a \
multiple of 4096, and at most 16777216" --no-serial --bios binary
refuses "--binary: error: [boot] binary = .: $dir/. is a folder, expected a file" --no-serial --binary .
refuses '--serial: error: [terminal] listen = tcp:1: expected :port at the end, a number up to 65535' \
    --binary binary --serial tcp:1
refuses '--trace-range: error: [cpu] trace-range = 9-1: the range is empty: its first number is above its last' \
    --no-serial --binary binary --trace insn --trace-range 9-1
