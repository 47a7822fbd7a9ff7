#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tests/examples/build_example.sh PREFIX EXAMPLE-DIR OUTPUT-DIR
#
# Builds the example against the Backplane that is installed in PREFIX, as a user would: pkg-config and make, from a
# copy, so that nothing of the source tree can be found by a relative path. Checks that the plugin exports its one
# symbol, and that `make install` goes to the plugin folder. Leaves the example in OUTPUT-DIR/example.
set -eu

prefix=$1 example=$2 output=$3
rm -rf "$output"
mkdir -p "$output"
cp -R "$example" "$output/example"
rm -f "$output"/example/*.so "$output"/example/*.bin

PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name backplane.pc)")
export PKG_CONFIG_PATH
make -s -C "$output/example" CC="${CC:-cc}" CFLAGS="-O2 -Wall -Wextra -Wconversion -Werror"
symbols=$(nm -D --defined-only "$output/example/dev-scratch.so" | awk '{ print $3 }')
[ "$symbols" = "bp_plugin_v0" ] || {
    echo "dev-scratch.so exports these, expected bp_plugin_v0 alone:" "$symbols"
    exit 1
}
make -s -C "$output/example" install DESTDIR="$output/root"
installed=$output/root$(pkg-config --variable=plugindir backplane)/dev-scratch.so
cmp "$output/example/dev-scratch.so" "$installed"
