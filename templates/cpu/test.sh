#!/bin/sh
# test.sh PLUGIN: validates the plugin, and runs the machine of machine.ini with it. BACKPLANE names the program.
set -eu
plugin=$(realpath "$1")
cd "$(dirname "$0")"
backplane=${BACKPLANE:-backplane}

"$backplane" validate "$plugin" --seed 1

status=0
said=$("$backplane" run --set "cpu.plugin=$plugin" machine.ini 2>&1 </dev/null) || status=$?
printf '%s\n' "$said"
[ "$status" = 0 ] || {
    echo "expected the machine to power off, status 0; got status $status"
    exit 1
}
printf '%s\n' "$said" | grep -q '@EXPECTED@' || {
    echo "expected a line with: @EXPECTED@"
    exit 1
}
