#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tests/examples/build_example.sh PREFIX EXAMPLE-DIR PLUGIN OUTPUT-DIR [TARGET]...
#
# Builds the example against the Backplane that is installed in PREFIX, as a user would: pkg-config and make, from a
# copy, so that nothing of the source tree can be found by a relative path; further TARGETs of its Makefile, too.
# Checks that the plugin exports its one symbol, that `backplane plugins show` takes it and `backplane validate`, where
# there is one, finds nothing, and that `make install` goes to the plugin folder. Leaves the example in
# OUTPUT-DIR/example.
set -eu

prefix=$1 example=$2 plugin=$3 output=$4
shift 4
rm -rf "$output"
mkdir -p "$output"
cp -R "$example" "$output/example"
rm -f "$output"/example/*.so "$output"/example/*.bin

PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name backplane.pc)")
export PKG_CONFIG_PATH
make -s -C "$output/example" CC="${CC:-cc}" CFLAGS="-O2 -Wall -Wextra -Wconversion -Werror" "$plugin.so" "$@"
symbols=$(nm -D --defined-only "$output/example/$plugin.so" | awk '{ print $3 }')
[ "$symbols" = "bp_plugin_v0" ] || {
    echo "$plugin.so exports these, expected bp_plugin_v0 alone:" "$symbols"
    exit 1
}
make -s -C "$output/example" install DESTDIR="$output/root"
installed=$output/root$(pkg-config --variable=plugindir backplane)/$plugin.so
cmp "$output/example/$plugin.so" "$installed"

cd "$output/example"
"$prefix/bin/backplane" plugins show "./$plugin.so" >"$output/shown" || {
    cat "$output/shown"
    exit 1
}
if "$prefix/bin/backplane" --help | grep -q "backplane validate "; then
    "$prefix/bin/backplane" validate --seed 1 "./$plugin.so"
fi
