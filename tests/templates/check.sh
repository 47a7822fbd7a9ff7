#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tests/templates/check.sh make|cmake PREFIX WORK KIND LANGUAGE
#
# Makes a plugin from a template with the Backplane that is installed in PREFIX, builds it as its README says, and runs
# its test, which validates it and runs a machine. Nothing of the source tree is used.
set -eu
tool=$1 prefix=$2 work=$3 kind=$4 language=$5

rm -rf "$work"
mkdir -p "$work"
cd "$work"
# What a compiler brings along, a cache for one, is not ours to leave in a home.
RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
HOME=$work
export HOME RUSTUP_HOME
unset BACKPLANE_PLUGIN_PATH BACKPLANE_TEMPLATES
"$prefix/bin/backplane" new plugin my-thing --kind "$kind" --language "$language" >said
[ "$(head -n 1 said | cut -d ' ' -f 1)" = my-thing/ ]
! grep -rn '@[A-Z]*@' my-thing || {
    echo "words of the template are left"
    exit 1
}
case $tool in
make)
    PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name backplane.pc)")
    export PKG_CONFIG_PATH
    make -C my-thing check CC="${CC:-cc}" CFLAGS="-O2 -Wall -Wextra -Werror" CXXFLAGS="-O2 -Wall -Wextra -Werror" \
        BACKPLANE="$prefix/bin/backplane"
    make -s -C my-thing install DESTDIR="$work/root" CFLAGS=-O2
    cmp my-thing/my-thing.so "$work/root$(pkg-config --variable=plugindir backplane)/my-thing.so"
    ;;
cmake)
    cmake -S my-thing -B build -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="${CC:-cc}"
    cmake --build build
    ctest --test-dir build --output-on-failure
    ;;
esac
