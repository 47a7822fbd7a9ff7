#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tests/examples/run_third_party.sh PREFIX LAB-CONSOLE GPIO-EXAMPLE configs/third-party.ini CPU-PLUGIN
#
# Checks and runs the machine file, with the example built in GPIO-EXAMPLE where the file says that it is, and flips the
# switch that its guest waits for. Exit status 77: this host has no KVM.
set -eu

prefix=$1 console=$2 example=$3 machine=$4 cpu=$5
if [ "$cpu" = cpu-kvm ] && ! (exec 3<>/dev/kvm) 2>/dev/null; then
    echo "skipped: /dev/kvm does not exist or cannot be opened"
    exit 77
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/configs" "$dir/examples"
cp "$machine" "$dir/configs/third-party.ini"
cp -R "$example" "$dir/examples/gpio"

unset BACKPLANE_PLUGIN_PATH
"$prefix/bin/backplane" check "$dir/configs/third-party.ini"
cat >"$dir/script" <<END
never 31 on
expect 0 on
expect 1 on
expect 0 off
expect 1 off
expect 2 on
expect 3 on
send 5
status 0
terminal same
END
# The guest needs no more of a CPU than it has; some hosts cannot give v2.
"$console" "$dir/script" "$prefix/bin/backplane" run --set "cpu.plugin=$cpu" --set cpu.level=host \
    "$dir/configs/third-party.ini"
