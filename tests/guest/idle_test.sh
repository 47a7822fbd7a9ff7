#!/bin/sh
# SPDX-License-Identifier: MIT
#
# idle_test.sh PROGRAM PLUGINS: a guest that waits in HLT costs its host no time, whether interrupts are on or off. That is
# measured while the guest stands in HLT: a busy machine makes it less, never more.
set -eu
program=$1
export BACKPLANE_PLUGIN_PATH="$2" LC_ALL=C
dir=$(mktemp -d)
child=
trap '[ -z "$child" ] || kill -9 "$child" 2>/dev/null; rm -rf "$dir"' EXIT
trap 'exit 2' HUP INT TERM

cat >"$dir/idle.ini" <<END
[machine]
memory = 1M
[boot]
binary = idle.bin
address = 0x7c00
mode = 16
[com1]
plugin = dev-uart
chardev = terminal
[terminal]
plugin = chr-host
model = stdio
END

# Hundredths of a second since the boot.
now() {
    sed 's/ .*//;s/[.]//' /proc/uptime
}

# Hundredths of a second of processor time that the child has had (Linux shows programs 100 ticks a second on x86): fields 14
# and 15, behind the name in brackets.
ticks() {
    sed 's/.*) //' "/proc/$child/stat" | awk '{ print $12 + $13 }'
}

# idles NAME CODE: the guest says x and runs CODE.
idles() {
    # mov al, "x"; mov dx, 0x3f8; out dx, al
    # shellcheck disable=SC2059  # octal escapes
    printf "\\260x\\272\\370\\003\\356$2" >"$dir/idle.bin"
    "$program" run --backend interp "$dir/idle.ini" </dev/null >"$dir/out" 2>"$dir/err" &
    child=$!
    tries=600
    while [ "$(cat "$dir/out" 2>/dev/null)" != x ]; do
        tries=$((tries - 1))
        if [ "$tries" = 0 ] || ! kill -0 "$child" 2>/dev/null; then
            cat "$dir/err"
            echo "$1: the guest does not say x"
            exit 1
        fi
        sleep 0.1
    done
    sleep 0.5 # until it has come to HLT, and what the start left to do is done
    before=$(ticks) from=$(now)
    sleep 2
    used=$(($(ticks) - before)) wall=$(($(now) - from))
    kill -9 "$child"
    wait "$child" 2>/dev/null || true
    child=
    # A loop would use all of the time that there is.
    if [ $((used * 20)) -gt "$wall" ]; then
        echo "$1: $used hundredths of a second of processor time in $wall"
        exit 1
    fi
}

idles 'interrupts off' '\372\364'         # cli; hlt
idles 'interrupts on' '\373\364\353\375'  # sti; again: hlt; jmp again
